/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reclaim.h - orders to give leases back, and the operator's operations (I7, I10)
 *
 * DOC: Theory of operation
 *
 * An order names up to VCMA_IDS_MAX leases of one share; a lease is in one order
 * at most.  It ends when all of them have been released, when the VM says
 * RECLAIM_DONE, when its deadline has passed, or with the connection.  What is
 * not released by then stays with its holder and counts as refused (unless the
 * connection was lost); requests that wait for it look elsewhere.  Orders do
 * not know who waits: a request knows its run, and a lease in that run is
 * either in an order or refused.
 *
 * Only leases that touch no home chunk are ever in an order (I7).
 */
#ifndef VCMA_BROKER_RECLAIM_H
#define VCMA_BROKER_RECLAIM_H

#include "core_internal.h"

struct operation;

void reclaim_init(struct core *core);
void reclaim_fini(struct core *core);
/*
 * Ask for the leases in granules [@first, @first + @nr) of @pool that are in
 * no order yet.  0 or -ENOMEM (then some of them have not been asked for).
 */
int reclaim_run(struct core_pool *pool, uint32_t first, uint32_t nr, uint32_t deadline_ms);
/* @lease is released while in an order: takes it out, and counts it. */
void reclaim_released(struct core_lease *lease);
/* Order @id of @vm ends; unknown ids are ignored. */
void reclaim_done(struct core *core, const struct core_vm *vm, uint32_t id);
/* All orders of @vm end. */
void reclaim_vm_away(struct core *core, const struct core_vm *vm);
void reclaim_tick(struct core *core);
uint64_t reclaim_next(const struct core *core);

#endif /* VCMA_BROKER_RECLAIM_H */
