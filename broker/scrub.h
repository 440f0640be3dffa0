/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scrub.h - the thread that makes granules clean again
 *
 * DOC: Theory of operation
 *
 * One thread a pool.  A job is a granule whose old tenancy is over: revoke
 * its file, then seek its page in a new one.  Both happen under the backing's
 * section lock, because the kernel gives freed huge pages out again last in,
 * first out: two scrubbers side by side would swap their pages.
 *
 * If another page comes than the one that was freed, the scrubber holds it and
 * takes a few more (SCRUB_HOLD_MAX).  What it holds in the end is either the page of
 * another granule of this pool that misses it - then the main loop gets it -
 * or somebody else's, and goes back.  A granule whose page does not come
 * is MISSING: it has no file, and the core has it retried later.
 *
 * Results go through a queue and an eventfd to the main loop.  The queue of
 * jobs is bounded by the core (CORE_SCRUB_MAX); results are bounded by the jobs.
 */
#ifndef VCMA_BROKER_SCRUB_H
#define VCMA_BROKER_SCRUB_H

#include <stdbool.h>

#include "core.h"
#include "pool.h"

#define SCRUB_HOLD_MAX 16

struct scrubber;

/**
 * struct scrub_result - one job done, or a page found on the way
 * @granule: the job's; its file is the main loop's again.  NULL: a found page
 * @result: of the job
 * @obstructed: MISSING because a holder forbade to revoke
 * @found: @granule is NULL: a page of this pool, the receiver owns the file
 */
struct scrub_result {
	struct granule *granule;
	enum core_scrub_result result;
	bool obstructed;
	struct granule_file found;
};

int scrubber_start(struct pool *pool, struct scrubber **ret_scrubber);

/* Jobs that wait are only revoked from now on; then the thread ends.  NULL is fine. */
void scrubber_stop(struct scrubber *s);

/* Readable when there are results. */
int scrubber_fd(const struct scrubber *s);

void scrubber_add(struct scrubber *s, struct granule *g);

/* The next result; false: none.  Reading the last one makes the descriptor quiet. */
bool scrubber_next(struct scrubber *s, struct scrub_result *ret);

#endif /* VCMA_BROKER_SCRUB_H */
