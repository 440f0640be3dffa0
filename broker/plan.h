/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h - what a request that cannot be served at once should wait for
 *
 * DOC: Theory of operation
 *
 * A small request may wait for dirt in the VM's own chunks.  Any request may
 * wait for a run of whole chunks.  Each run of the right length and place is
 * looked at, in one pass along the pool; a chunk in it is free, or about to be
 * clean, or can be reclaimed at a cost (the granules of the leases that their
 * holders would have to give up, by rank: policy.h), or stands in the way for some time (another
 * request has claimed it, a grant is under way, a page is quarantined, its
 * holder has no connection) or for good.  The cheapest run that nothing
 * stands in the way of is the plan.  If there is none, what stands in the way
 * of the others says whether to wait or why to refuse (policy.h).
 *
 * A chunk is looked at as a whole, whatever leases are in it: it keeps what a plan
 * has to know of them.  So a plan costs no more in a pool that is full of the
 * smallest leases.
 *
 * A lease that its holder refused to give up is not asked for again by the
 * same request, and by others only after PLAN_ASK_AGAIN_MS.
 */
#ifndef VCMA_BROKER_PLAN_H
#define VCMA_BROKER_PLAN_H

#include "core_internal.h"
#include "place.h"

#define PLAN_ASK_AGAIN_MS	100

/**
 * struct plan - what to do with a request
 * @status: VCMA_ST_OK, or why to refuse it
 * @by: GUARANTEED: the VM that stands in the way
 * @first: of the run to claim
 * @nr: its granules; 0: nothing to claim now, wait
 * @lease_first: where the lease will be
 * @whole: the run is whole chunks
 * @recheck: ms, when to look again; UINT64_MAX: when something changes
 */
struct plan {
	uint32_t status;
	const struct share *by;
	uint32_t first, nr;
	uint32_t lease_first;
	bool whole;
	uint64_t recheck;
};

/* @serial: core::serial when the request came.  It has no claim. */
void plan_make(struct share *share, const struct want *want, uint64_t serial, struct plan *ret);

#endif /* VCMA_BROKER_PLAN_H */
