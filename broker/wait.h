/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wait.h - requests that have no answer yet (I10)
 *
 * DOC: Theory of operation
 *
 * Each request becomes a wait, and most end in the same event.  A wait looks
 * first whether it can be served at once (place.h), then makes a plan
 * (plan.h).  A plan claims granules: the run is the request's, whoever has
 * parts of it now.  Granules of it that are CLEAN become RESERVED, the others
 * as they come.  When all are RESERVED, the lease is granted.  If one of them
 * will not come (its holder refuses, its page is quarantined), the claim is
 * given up and another plan is made.
 *
 * Whenever a chunk or a lease has changed hands, waits are looked at again, those of
 * VMs with the highest priority first, and of these the oldest; before anybody
 * who asks later.  One that has a claim
 * cannot be overtaken.  Those without one are content with what is free, and
 * make a new plan now and then.  Each has a deadline.
 */
#ifndef VCMA_BROKER_WAIT_H
#define VCMA_BROKER_WAIT_H

#include "core_internal.h"

void wait_init(struct core *core);
void wait_fini(struct core *core);
/* A request has come; ends in ops->grant() or ops->refuse(), maybe now. */
void wait_new(struct core_vm *vm, uint32_t sequence, const struct core_lease_args *args);
/* 0 or -ENOENT. */
int wait_cancel(struct core_vm *vm, uint32_t sequence);
/* All requests of @vm end without an answer. */
void wait_drop_vm(struct core_vm *vm);
/* @g, which @g->wait has claimed, is CLEAN. */
void wait_reserve(struct core_granule *g);
/* Something that @wait counts on will not come; NULL is allowed. */
void wait_disturb(struct wait *wait);
/* Look at all that may go on. */
void wait_run(struct core *core);
void wait_tick(struct core *core);
uint64_t wait_next(const struct core *core);
struct share *wait_share(const struct wait *wait);
/* Chunks that requests of @share wait for and have not claimed. */
uint32_t wait_wanted(const struct share *share);
/* For core_check(): the claim of a wait and what is missing. */
void wait_claim_of(const struct wait *wait, uint32_t *ret_first, uint32_t *ret_nr,
		   uint32_t *ret_missing, bool *ret_whole);
struct wait *wait_from(const struct list *in_core);

#endif /* VCMA_BROKER_WAIT_H */
