/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_select.h - which granules make up a pool: whole, naturally aligned chunks */
#ifndef VCMA_BROKER_CHUNK_SELECT_H
#define VCMA_BROKER_CHUNK_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#define CHUNK_DEFAULT_MAX	(UINT64_C(256) << 20)	/* bytes */
#define CHUNK_PER_POOL		16

uint64_t chunk_default(uint64_t pool_size, uint64_t granule_size);
int chunk_select(const uint64_t *pfn, uint32_t nr, uint64_t granule_size, uint64_t chunk_size,
		 uint32_t wanted, bool *ret_take, uint32_t *ret_nr);

#endif /* VCMA_BROKER_CHUNK_SELECT_H */
