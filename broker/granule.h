/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * granule.h - the states of a granule (I1)
 *
 * DOC: Theory of operation
 *
 * Each granule is in one state, and granule_set_state() is the only one to
 * change it.  It asserts that the step is in the table below, and it keeps
 * the counts of the chunk and of the pool, and the room in the chunk.
 *
 * CLEAN
 *	Operations: a grant takes it (GRANTING), a request that waits claims it
 *	(RESERVED).
 *	Caveats: zero, in a new file that nobody else has; it has no lease and
 *	nobody waits for it.
 * RESERVED
 *	Operations: the request that waits gets its lease (GRANTING), or ends
 *	without it or looks elsewhere (CLEAN).
 *	Caveats: core_granule::wait is set; charged to the VM that waits, once
 *	the former user of the chunk has left it.
 * GRANTING
 *	Operations: the peer acknowledges all of the lease (LEASED); the grant
 *	fails or is aborted, or the connection ends (DIRTY).
 *	Caveats: the peer may hold a descriptor, so the way back is through
 *	DIRTY, never CLEAN.  Not reclaimed.
 * LEASED
 *	Operations: the peer releases the lease, or it is proved to be gone
 *	(DIRTY).
 *	Caveats: nothing else ends it; a deadline least of all (I8).
 * DIRTY
 *	Operations: the scrubber takes it when it is its VM's turn (SCRUBBING).
 *	Caveats: in a queue of debt.c; charged to the VM that left it.
 * SCRUBBING
 *	Operations: core_scrubbed(): same page, new file (CLEAN); page missing
 *	(QUARANTINED); given up (BAD).
 *	Caveats: the daemon owns it until it answers.
 * QUARANTINED
 *	Operations: its time has come (SCRUBBING); its page turned up while
 *	another was looked for (CLEAN).
 *	Caveats: has no file; in core::retry; charged to the VM that left it.
 * BAD
 *	Operations: none.
 *	Caveats: its chunk is out of service as soon as it is not in use.
 */
#ifndef VCMA_BROKER_GRANULE_H
#define VCMA_BROKER_GRANULE_H

#include "core_internal.h"

/* May a granule go from one state to the other? */
bool granule_step_is_legal(enum granule_state from, enum granule_state to);
/* True if nobody has it and nothing brings it back: CLEAN, RESERVED, BAD. */
static inline bool granule_is_idle(enum granule_state state)
{
	return state == GRANULE_CLEAN || state == GRANULE_RESERVED || state == GRANULE_BAD;
}
/* The chunk of a granule that is to be GRANTING has a user already. */
void granule_set_state(struct core_granule *g, enum granule_state state);
const char *granule_state_name(enum granule_state state);

#endif /* VCMA_BROKER_GRANULE_H */
