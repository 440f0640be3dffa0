/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - may this VM have it, who should give, and if not, why (I7, I9)
 *
 * DOC: Theory of operation
 *
 * Pure functions of a snapshot, which counts in chunks.
 *
 * Guarantees come first and are no matter of policy: they are set aside, and
 * nobody is ever asked for them (I7).  The rest of a pool is shared.  Each VM
 * may have of it what others leave, up to its limit.  When VMs together want
 * more than there is, each is entitled to its fair share: the level up to which all
 * of them can be served, those that want less being served in full (max-min
 * fairness).  What counts is what a VM has and asks for, not what it may have; what
 * it says to be idle does not count.
 *
 * Whom to ask for leases is a matter of rank, and a plan is the run that asks for
 * the fewest granules of the highest rank, then of the next one, and so on:
 *
 *   1. what its VM says to be idle before what it says nothing about, before
 *	what it says to be in use;
 *   2. then VMs of a lower priority before those of a higher one;
 *   3. then VMs beyond their fair share before those within.
 *
 * What is said to be in use is asked for only on behalf of a VM of a higher priority,
 * or from one that is beyond its fair share for one that stays within its own.
 * So no VM presses others for what they use by asking for more and more.
 *
 * "Firm" is what a VM holds and no scrubber brings back: leases, claims,
 * quarantined granules.
 */
#ifndef VCMA_BROKER_POLICY_H
#define VCMA_BROKER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_PRIORITY_MAX	9	/* the last to be asked */
#define POLICY_PRIORITY_DEFAULT	5

/* What a VM says of a lease. */
enum policy_use {
	POLICY_IDLE,		/* it needs none of it at the moment */
	POLICY_UNKNOWN,		/* nothing */
	POLICY_BUSY,
	POLICY_USES
};

#define POLICY_RANKS	(POLICY_USES * (POLICY_PRIORITY_MAX + 1) * 2)
#define POLICY_NEVER	POLICY_RANKS

/**
 * struct policy_view - what the decision depends on
 * @need: chunks that the request takes
 * @limit: of the VM
 * @firm: chunks charged to the VM for good
 * @pool: chunks that are not broken
 * @guaranteed: of these, set aside for other VMs
 * @own: of these, what the VM holds itself for good
 * @run_guaranteed: a run exists in which only guarantees of other VMs stand in the way
 * @run_refused: one in which only leases stand in the way that their holders
 *	have refused to give up for this request, or are not to be asked for
 * @run_possible: one that can be had, now or once others have given back
 */
struct policy_view {
	uint32_t need, limit, firm;
	uint32_t pool, guaranteed, own;
	bool run_guaranteed, run_refused, run_possible;
};

/* VCMA_ST_OK: it may have it or wait for it; else why not. */
uint32_t policy_decide(const struct policy_view *v);

/**
 * struct policy_vm - one VM's part of what is above guarantees, in chunks
 * @held: charged to it
 * @idle: of these, said to be idle
 * @wanted: what it waits for
 * @most: it may not have more: limit less guarantee
 */
struct policy_vm {
	uint32_t held, idle, wanted, most;
};

/*
 * The fair share of each VM when @shared chunks are above guarantees: all that
 * want no more than this get it.  UINT32_MAX: there is enough for all.
 */
uint32_t policy_fair_share(const struct policy_vm *vm, uint32_t nr, uint32_t shared);

/**
 * struct policy_pair - who asks and who would have to give
 * @asker, @holder: their priorities, up to POLICY_PRIORITY_MAX
 * @within: with what it asks for, the asker would be within its fair share
 * @beyond: the holder is beyond its own
 */
struct policy_pair {
	uint8_t asker, holder;
	bool within, beyond;
};

/* When to ask for such a lease: below POLICY_RANKS, the lowest first; or POLICY_NEVER. */
unsigned int policy_rank(const struct policy_pair *pair, enum policy_use use);

/**
 * struct policy_cost - what a run costs those who have it now
 * @asked: granules that somebody has to give up, by rank
 * @coming: granules that are on their way back already
 */
struct policy_cost {
	uint32_t asked[POLICY_RANKS];
	uint32_t coming;
};

/* True if @a costs less than @b. */
bool policy_cheaper(const struct policy_cost *a, const struct policy_cost *b);

#endif /* VCMA_BROKER_POLICY_H */
