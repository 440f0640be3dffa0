// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check.c - core_check(): do the invariants hold?
 *
 * Counts everything anew from granules, leases and requests, and compares:
 * nothing here trusts a counter or an index.
 */

#include "chunk.h"
#include "core_internal.h"
#include "granule.h"
#include "lease.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

/* I1: the state of one granule agrees with all that refers to it. */
static const char *check_granule(const struct core_granule *g)
{
	const struct core_lease *lease = granule_lease(g);
	const struct chunk *c = chunk_of(g);

	if (g->state >= GRANULE_NR_STATES)
		return "I1: a granule is in no state";
	if (granule_is_held(g) && !lease)
		return "I1: a granule is leased and has no lease";
	if (lease && (g->index < lease->first || g->index - lease->first >= lease->nr))
		return "I2: a granule is none of its lease's";
	if (lease && lease->granting != (g->state == GRANULE_GRANTING))
		return "I1: a granule is not in the state of its lease";
	if (g->state == GRANULE_RESERVED && !g->wait)
		return "I1: a granule is reserved for nobody";
	if (g->state == GRANULE_CLEAN && g->wait)
		return "I1: a granule is clean and somebody waits for it";
	if (!c->user && !granule_is_idle(g->state))
		return "I9: a granule is in use and nobody is charged for it";
	if (lease && lease->share->pool != g->pool)
		return "I5: a lease lies outside its bank's pool";
	if (lease && lease->share != c->user)
		return "I9: a lease lies in a chunk of another VM";
	return NULL;
}

/* I9: what a plan sees of the leases in one chunk. */
static const char *check_leases_in(const struct core_pool *pool, const struct chunk *c)
{
	uint32_t ask[POLICY_USES] = { 0 }, i = chunk_index(pool, c) * pool->per, end = i + pool->per;
	uint64_t refused = 0, refused_at = 0;
	const struct core_lease *big = NULL;

	while (i < end) {
		const struct core_lease *lease = lease_at(pool, i);

		i = lease ? lease->first + lease->nr : i + 1;
		if (!lease)
			continue;
		if (lease->nr > pool->per) {
			big = lease;
			continue;
		}
		if (!lease->order)
			ask[lease->use] += lease->nr;
		if (lease->refused > refused)
			refused = lease->refused;
		if (lease->refused_at > refused_at)
			refused_at = lease->refused_at;
	}
	if (big != c->big)
		return "I9: a chunk does not know the lease that it is part of";
	if (memcmp(ask, c->nr_ask, sizeof(ask)))
		return "I9: a chunk counts wrongly what can be asked for";
	if (!big && (refused != c->refused || refused_at != c->refused_at))
		return "I9: a chunk does not know that a lease in it was refused";
	return NULL;
}

/* I1: counts and room of one chunk. */
static const char *check_counts(const struct core_pool *pool, const struct chunk *c)
{
	const uint8_t *node = chunk_buddies(pool, c);
	uint32_t nr[GRANULE_NR_STATES] = { 0 };
	uint32_t base = chunk_index(pool, c) * pool->per, claimed = 0, i;
	const char *bad;


	for (i = 0; i < pool->per; i++) {
		const struct core_granule *g = &pool->granule[base + i];

		bad = check_granule(g);
		if (bad)
			return bad;
		nr[g->state]++;
		claimed += g->wait && g->wait != c->claim;
		if (!!node[pool->per + i] != (g->state == GRANULE_CLEAN))
			return "I1: room in a chunk is not its clean granules";
		if (c->claim && g->wait != c->claim)
			return "I9: a request has claimed part of a chunk that another has claimed";
	}
	if (memcmp(nr, c->nr, sizeof(nr)))
		return "I1: a chunk counts its granules wrongly";
	if (claimed != c->nr_claimed)
		return "I9: a chunk counts its claimed granules wrongly";
	return NULL;
}

/* I9: one chunk is where it belongs. */
static const char *check_chunk(struct core_pool *pool, const struct chunk *c)
{
	const struct extent_index *idx = c->home ? &c->home->free : &pool->shared;
	bool is_free = !c->user && !c->nr[GRANULE_BAD];

	if ((c->user && c->user->pool != pool) || (c->home && c->home->pool != pool))
		return "I9: a chunk is charged or promised to a share in another pool";
	if (c->home && c->user && c->user != c->home)
		return "I7: a VM uses what is guaranteed to another";
	if (c->home && c->claim && wait_share(c->claim) != c->home)
		return "I7: a request has claimed what is guaranteed to another VM";
	if (is_free != (pool->map.slot[chunk_index(pool, c)].in == idx) ||
	    (!is_free && pool->map.slot[chunk_index(pool, c)].in))
		return "I9: a chunk is in the wrong index, or is not in one";
	if (!c->user && (c->claim || c->nr_claimed || c->nr_room))
		return "I9: a free chunk is claimed or has room for its user";
	if (!c->user && c->nr[GRANULE_CLEAN] + c->nr[GRANULE_BAD] != pool->per)
		return "I9: a chunk is free but not clean";
	if (c->user && !c->claim && c->nr[GRANULE_CLEAN] + c->nr[GRANULE_BAD] == pool->per)
		return "I9: a VM is charged for a chunk that is clean";
	if (c->user && c->nr_room != (c->claim || c->nr[GRANULE_BAD] ? 0 : c->nr[GRANULE_CLEAN]))
		return "I9: room in a chunk is not counted";
	return check_counts(pool, c);
}

/* I9: the extents of an index are maximal, and are all that is in it. */
static const char *check_index(const struct extent_index *idx)
{
	uint32_t i, units = 0, extents = 0, longest = 0;

	for (i = extent_next(idx, 0); i != UINT32_MAX;) {
		uint32_t len = extent_from(idx, i), j;

		if (!len || extent_until(idx, i + len - 1) != len)
			return "I9: an extent does not know its ends";
		if (!extent_consecutive(idx->map, i, len))
			return "I9: an extent is not consecutive";
		for (j = i; j < i + len; j++)
			if (!extent_has(idx, j))
				return "I9: an extent has units that are not free";
		units += len;
		extents++;
		longest = len > longest ? len : longest;
		i = extent_next(idx, i + len);
	}
	if (units != idx->units || extents != idx->extents || longest != extent_longest(idx))
		return "I9: an index counts its extents wrongly";
	return NULL;
}

static const char *check_pool(struct core_pool *pool)
{
	uint32_t state[GRANULE_NR_STATES] = { 0 };
	uint32_t i, s, home = 0, broken = 0;
	const char *bad;

	for (i = 0; i < pool->nr_chunks; i++) {
		const struct chunk *c = &pool->chunk[i];

		bad = check_chunk(pool, c);
		if (bad)
			return bad;
		for (s = 0; s < GRANULE_NR_STATES; s++)
			state[s] += c->nr[s];
		home += !!c->home;
		broken += !!c->nr[GRANULE_BAD];
	}
	if (memcmp(state, pool->state, sizeof(state)))
		return "I1: a pool counts its granules wrongly";
	if (home != pool->nr_home || broken != pool->nr_broken)
		return "I7: a pool counts its guarantees wrongly";
	return check_index(&pool->shared);
}

/* I2, and I7 for what is being reclaimed. */
static const char *check_lease(const struct core_lease *lease)
{
	const struct core_pool *pool = lease->share->pool;
	bool home = false;
	uint32_t i;

	for (i = lease->first; i < lease->first + lease->nr; i++) {
		if (i >= pool->nr || granule_lease(&pool->granule[i]) != lease)
			return "I2: a lease does not have all its granules";
		if (granule_addr(pool, i) != granule_addr(pool, lease->first) +
					     (i - lease->first) * pool->granule_size)
			return "I2: a lease is not consecutive";
		home |= !!chunk_of(&pool->granule[i])->home;
	}
	if (home != lease->home)
		return "I7: a lease does not know that it is guaranteed";
	if (lease->home && lease->order)
		return "I7: a guaranteed lease is being reclaimed";
	return NULL;
}

/* What the counters of a VM should be. */
struct tally {
	uint32_t used, home, coming, shared, missing;
	uint64_t room;
	uint32_t state[GRANULE_NR_STATES];
};

/* I7: home chunks lie in whole runs. */
static bool home_is_in_runs(const struct share *share)
{
	const struct core_pool *pool = share->pool;
	uint32_t i, run = 0;

	for (i = 0; i < pool->nr_chunks; i++) {
		if (run && (pool->chunk[i].home != share || !extent_consecutive(&pool->map, i - 1, 2))) {
			if (run % share->run)
				return false;
			run = 0;
		}
		run += pool->chunk[i].home == share;
	}
	return !run || run % share->run == 0;
}

static void tally(const struct share *share, struct tally *ret)
{
	const struct core_pool *pool = share->pool;
	uint32_t i, s;

	for (i = 0; i < pool->nr_chunks; i++) {
		const struct chunk *c = &pool->chunk[i];

		if (c->home == share) {
			ret->home++;
			ret->missing += c->nr[GRANULE_QUARANTINED] + c->nr[GRANULE_BAD];
		}
		if (c->claim && wait_share(c->claim) == share && c->user != share) {
			ret->coming++;
			ret->shared += !c->home;
		}
		if (c->user == share)
			ret->shared += !c->home;
		if (c->user != share)
			continue;
		ret->used++;
		ret->room += c->nr_room;
		for (s = 0; s < GRANULE_NR_STATES; s++)
			ret->state[s] += granule_is_idle(s) ? 0 : c->nr[s];
	}
}

static const char *check_share(const struct share *share)
{
	struct tally t = { 0 };
	struct list *l;
	uint32_t leases = 0, waiting = 0, idle_granules = 0;

	if (share->vm->bank[share->number] != share)
		return "I9: a share is none of its VM's banks";
	list_for_each(l, &share->vm->core->waits)
		waiting += wait_share(wait_from(l)) == share;
	if (waiting != share->nr_waiting)
		return "I9: a share counts its requests wrongly";
	tally(share, &t);
	if (t.home != share->guarantee || !home_is_in_runs(share))
		return "I7: a guarantee is not set aside in its runs";
	if (t.missing != share->nr_missing)
		return "I7: a VM does not know what is missing in its home";
	if (t.used != share->nr_used || t.coming != share->nr_coming ||
	    t.shared != share->nr_shared)
		return "I9: a VM is charged wrongly";
	if (share_charged(share) > share->limit)
		return "I9: a VM is beyond its limit";
	if (t.room != share->nr_room || memcmp(t.state, share->state, sizeof(t.state)))
		return "I9: a VM counts its granules wrongly";
	list_for_each(l, &share->leases) {
		const struct core_lease *lease = list_entry(l, struct core_lease, in_share);
		const char *bad = lease->share == share ? check_lease(lease)
						      : "I9: a lease is in the list of another share";

		if (bad)
			return bad;
		leases++;
		idle_granules += lease->use == POLICY_IDLE ? lease->nr : 0;
	}
	if (idle_granules != share->nr_idle)
		return "I9: a VM counts wrongly what it says to be idle";
	if (list_is_empty(&share->in_active) != (!share->nr_shared && !share->nr_waiting))
		return "I9: a VM that has or wants anything is not counted";
	if (leases != share->nr_leases)
		return "I9: a VM counts its leases wrongly";
	return check_index(&share->free);
}

/* I9: banks of one VM have pools of their own; what they have together is bounded. */
static const char *check_vm(const struct core_vm *vm)
{
	uint32_t i, j, waiting = 0;

	if (!vm->bank[0])
		return "I9: a VM has no bank 0";
	for (i = 0; i < VCMA_BANKS_MAX; i++) {
		if (!vm->bank[i])
			continue;
		if (vm->bank[i]->vm != vm || vm->bank[i]->number != i)
			return "I9: a bank is a share of another VM";
		for (j = 0; j < i; j++)
			if (vm->bank[j] && vm->bank[j]->pool == vm->bank[i]->pool)
				return "I5: two banks of a VM are in one pool";
		waiting += vm->bank[i]->nr_waiting;
	}
	if (waiting != vm->nr_waiting || waiting > VCMA_REQUESTS_MAX)
		return "I9: a VM counts its requests wrongly";
	return NULL;
}

/* I9: a request has claimed what it says, and waits for what can come. */
static const char *check_wait(const struct wait *wait)
{
	const struct core_pool *pool = wait_share(wait)->pool;
	uint32_t first, nr, missing, i;
	bool whole;

	wait_claim_of(wait, &first, &nr, &missing, &whole);
	if (nr && !missing)
		return "I10: a request has all it waits for and no answer";
	for (i = first; i < first + nr; i++) {
		const struct core_granule *g = &pool->granule[i];
		const struct chunk *c = chunk_of(g);

		if (g->wait != wait || (whole && c->claim != wait))
			return "I9: a request has lost part of its claim";
		if (!whole && (c->claim || c->user != wait_share(wait)))
			return "I9: a request has claimed part of a chunk that is not its VM's";
		missing -= g->state != GRANULE_RESERVED;
		if (g->state == GRANULE_QUARANTINED || g->state == GRANULE_BAD ||
		    (granule_lease(g) && !granule_lease(g)->order))
			return "I10: a request waits for what nobody has been asked for";
	}
	return nr && missing ? "I9: a request counts what is missing wrongly" : NULL;
}

static const char *check_leases(const struct core *core)
{
	const struct core_lease *lease = lease_first_from(core, 0);
	const struct core_pool *pool;
	uint32_t n = 0, scrubbing = 0;

	while (lease) {
		n++;
		lease = lease_first_from(core, lease->id + 1);
	}
	if (n != core->nr_leases)
		return "I9: leases are counted wrongly";
	for (pool = core->pools; pool; pool = pool->next)
		scrubbing += pool->state[GRANULE_SCRUBBING];
	if (scrubbing != core->nr_scrubbing || scrubbing > CORE_SCRUB_MAX)
		return "I9: the scrubber has more than it can take";
	return NULL;
}

/**
 * core_check() - Do the invariants hold?
 * @core: the core, between events
 *
 * Return: NULL if all hold, or a text that begins with the number of the one
 * that does not.
 */
const char *core_check(const struct core *core)
{
	struct core_pool *pool;
	const struct share *share;
	const struct core_vm *vm;
	const char *bad = NULL;
	struct list *l;
	uint32_t waits = 0, i;

	for (pool = core->pools; pool && !bad; pool = pool->next)
		bad = check_pool(pool);
	for (share = core->shares; share && !bad; share = share->next)
		bad = check_share(share);
	for (vm = core->vms; vm && !bad; vm = vm->next)
		bad = check_vm(vm);
	for (pool = core->pools; pool && !bad; pool = pool->next)
		for (i = 0; i < pool->nr_chunks && !bad; i++)
			bad = check_leases_in(pool, &pool->chunk[i]);
	if (bad)
		return bad;
	list_for_each(l, &core->waits) {
		bad = check_wait(wait_from(l));
		if (bad)
			return bad;
		waits++;
	}
	if (waits != core->nr_waits)
		return "I10: requests are counted wrongly";
	return check_leases(core);
}
