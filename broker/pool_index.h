/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool_index.h - pools and VMs as the core knows them: making and freeing */
#ifndef VCMA_BROKER_POOL_INDEX_H
#define VCMA_BROKER_POOL_INDEX_H

#include "core_internal.h"

/* Accepts NULL and half-built ones; in no list any more. */
void pool_index_free(struct core_pool *pool);

#endif /* VCMA_BROKER_POOL_INDEX_H */
