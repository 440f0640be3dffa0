/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify.h - requests that failed, and whom to tell when there is more again */
#ifndef VCMA_BROKER_NOTIFY_H
#define VCMA_BROKER_NOTIFY_H

#include "core_internal.h"

void notify_init(struct core *core);
/* What @share could lease without any reclaim, bytes. */
uint64_t notify_available(const struct share *share);
void notify_refused(struct share *share, uint64_t size, uint32_t status, const struct share *by);
void notify_run(struct core *core);

#endif /* VCMA_BROKER_NOTIFY_H */
