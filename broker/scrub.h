/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scrub.h - the thread that makes granules clean again
 *
 * DOC: Theory of operation
 *
 * One thread a pool.  A job is a granule whose old tenancy is over: revoke
 * its file, then seek its page in a new one (I4).  Both happen under the backing's
 * section lock, because the kernel gives freed huge pages out again last in,
 * first out: two scrubbers side by side would swap their pages.
 *
 * If another page comes than the one that was freed, the scrubber holds it and
 * takes a few more (SCRUB_HOLD).  What it holds in the end is either the page of
 * another granule of this pool that misses it - then the main loop gets it -
 * or somebody else's, and goes back.  A granule whose page does not come
 * is MISSING: it has no file, and the core has it retried later.
 *
 * A page may be deep in the kernel's list, because others freed theirs after
 * it, and what is taken and given back does not change that.  So a granule that
 * has been missing for some time is sought among many more pages
 * (SCRUB_HOLD_DEEP), to the end, which finds all others that are missing as well.  Each
 * page taken costs the zeroing of it, so this happens only every
 * SCRUB_DEEP_EVERY_MS: whoever keeps pages from us cannot keep the scrubber busy (I9).
 *
 * Results go through a queue and an eventfd to the main loop.  The queue of
 * jobs is bounded by the core (CORE_SCRUB_MAX); results are bounded by the jobs.
 */
#ifndef VCMA_BROKER_SCRUB_H
#define VCMA_BROKER_SCRUB_H

#include <stdbool.h>

#include "core.h"
#include "pool.h"

#define SCRUB_HOLD		16
#define SCRUB_HOLD_DEEP		4096
#define SCRUB_DEEP_AFTER	3	/* attempts that failed */
#define SCRUB_DEEP_EVERY_MS	10000

struct scrubber;

/**
 * struct scrub_result - one job done, or a page found on the way
 * @granule: the job's; its file is the main loop's again.  NULL: a found page
 * @result: of the job
 * @misses: attempts in a row that failed, this one or those before it
 * @obstructed: MISSING because a holder forbade to revoke
 * @found: @granule is NULL: a page of this pool, the receiver owns the file
 */
struct scrub_result {
	struct granule *granule;
	enum core_scrub_result result;
	unsigned int misses;
	bool obstructed;
	struct granule_file found;
};

int scrubber_start(struct pool *pool, struct scrubber **ret_scrubber);

/* Jobs that wait are only revoked from now on; then the thread ends.  NULL is fine. */
void scrubber_stop(struct scrubber *s);

/* Readable when there are results. */
int scrubber_fd(const struct scrubber *s);

void scrubber_add(struct scrubber *s, struct granule *g);

/* A page turned up.  True: a granule that waits for the scrubber has it now. */
bool scrubber_offer(struct scrubber *s, const struct granule_file *found);

/* The next result; false: none.  Reading the last one makes the descriptor quiet. */
bool scrubber_next(struct scrubber *s, struct scrub_result *ret);

#endif /* VCMA_BROKER_SCRUB_H */
