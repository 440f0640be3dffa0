// SPDX-License-Identifier: GPL-2.0-or-later
/* wait.c - requests that have no answer yet; see wait.h */

#include "wait.h"
#include "chunk.h"
#include "debt.h"
#include "granule.h"
#include "lease.h"
#include "notify.h"
#include "place.h"
#include "plan.h"
#include "reclaim.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Each plan is a pass along the pool.  A VM's requests that wait for nothing in
 * particular make one in this time together, however much happens (I9).
 */
#define WAIT_PAUSE_MS	10

/* A reclaim gets at least this much of what is left to the request. */
#define WAIT_RECLAIM_MS	100

/**
 * struct wait - a request
 * @serial: core::serial when it came
 * @first, @nr: the granules that it has claimed; @nr 0: none
 * @missing: of these, not RESERVED yet
 * @lease_first: where in the claim the lease will be
 * @whole: the claim is whole chunks
 * @disturbed: the plan has failed
 * @recheck: ms, when to look again though nothing has changed
 * @pause: ms, no plan is made before, unless one has failed
 */
struct wait {
	struct list in_core;
	struct list in_vm;
	struct share *share;
	uint32_t sequence;
	uint64_t serial;
	uint64_t deadline;
	struct want want;
	uint32_t first, nr, missing;
	uint32_t lease_first;
	bool whole;
	bool disturbed;
	uint64_t recheck;
	uint64_t pause;
};

void wait_init(struct core *core)
{
	list_init(&core->waits);
}

void wait_fini(struct core *core)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &core->waits)
		free(list_entry(l, struct wait, in_core));
	wait_init(core);
}

struct share *wait_share(const struct wait *wait)
{
	return wait->share;
}

struct wait *wait_from(const struct list *in_core)
{
	return list_entry(in_core, struct wait, in_core);
}

static struct wait *from_vm(const struct list *in_vm)
{
	return list_entry(in_vm, struct wait, in_vm);
}

void wait_claim_of(const struct wait *wait, uint32_t *ret_first, uint32_t *ret_nr,
		   uint32_t *ret_missing, bool *ret_whole)
{
	*ret_first = wait->first;
	*ret_nr = wait->nr;
	*ret_missing = wait->missing;
	*ret_whole = wait->whole;
}

uint32_t wait_wanted(const struct share *share)
{
	uint64_t n = 0;
	struct list *l;

	if (share->nr_waiting)
		list_for_each(l, &share->vm->waits)
			if (from_vm(l)->share == share && !from_vm(l)->nr)
				n += from_vm(l)->want.chunks;
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

void wait_disturb(struct wait *wait)
{
	if (wait)
		wait->disturbed = true;
}

void wait_reserve(struct core_granule *g)
{
	granule_set_state(g, GRANULE_RESERVED);
	g->wait->missing--;
}

static void claim(struct wait *wait, const struct plan *plan)
{
	struct share *share = wait->share;
	struct core_pool *pool = share->pool;
	uint32_t i;

	wait->first = plan->first;
	wait->nr = plan->nr;
	wait->missing = plan->nr;
	wait->lease_first = plan->lease_first;
	wait->whole = plan->whole;
	for (i = wait->first; i < wait->first + wait->nr; i++) {
		struct core_granule *g = &pool->granule[i];
		struct chunk *c = chunk_of(g);

		if (!wait->whole)
			c->nr_claimed++;
		else if (!c->claim)
			chunk_claim(pool, c, wait, share);
		g->wait = wait;
		if (g->state == GRANULE_CLEAN)
			wait_reserve(g);
		else if (g->state == GRANULE_DIRTY)
			debt_hurry(share->vm->core, g);
		if (i + 1 == wait->first + wait->nr || chunk_of(g + 1) != c)
			chunk_settle(pool, c);
	}
}

static void unclaim(struct wait *wait)
{
	struct share *share = wait->share;
	struct core_pool *pool = share->pool;
	uint32_t i;

	for (i = wait->first; i < wait->first + wait->nr; i++) {
		struct core_granule *g = &pool->granule[i];
		struct chunk *c = chunk_of(g);

		if (!wait->whole)
			c->nr_claimed--;
		else if (c->claim)
			chunk_unclaim(c, share);
		g->wait = NULL;
		if (g->state == GRANULE_RESERVED)
			granule_set_state(g, GRANULE_CLEAN);
		if (i + 1 == wait->first + wait->nr || chunk_of(g + 1) != c)
			chunk_settle(pool, c);
	}
	if (wait->nr)
		pool->changed = true;
	wait->nr = 0;
	wait->missing = 0;
	wait->disturbed = false;
}

static void end(struct wait *wait)
{
	unclaim(wait);
	list_del(&wait->in_core);
	list_del(&wait->in_vm);
	wait->share->nr_waiting--;
	share_update_active(wait->share);
	wait->share->vm->nr_waiting--;
	wait->share->vm->core->nr_waits--;
	free(wait);
}

static void refuse(struct wait *wait, uint32_t status, const struct share *by)
{
	struct share *share = wait->share;
	struct core *core = share->vm->core;
	uint32_t sequence = wait->sequence;
	uint64_t size = wait->want.ext.size;

	end(wait);
	if (status != VCMA_ST_CANCELLED)
		notify_refused(share, size, status, by);
	core->ops->refuse(core->opaque, share->vm, sequence, status);
}

static void grant(struct wait *wait, uint32_t first)
{
	struct share *share = wait->share;
	struct core *core = share->vm->core;
	uint32_t sequence = wait->sequence;
	struct core_lease *lease;

	unclaim(wait);
	lease = lease_new(share, first, wait->want.granules);
	if (!lease) {
		refuse(wait, VCMA_ST_INTERNAL, NULL);
		return;
	}
	end(wait);
	core->ops->grant(core->opaque, share->vm, sequence, lease);
}

/* Ask for what is in the way; the rest of the time is for another try. */
static int ask(struct wait *wait)
{
	uint64_t left = wait->deadline - wait->share->vm->core->now, ms = left / 2;

	if (ms < WAIT_RECLAIM_MS)
		ms = left < WAIT_RECLAIM_MS ? left : WAIT_RECLAIM_MS;
	return reclaim_run(wait->share->pool, wait->first, wait->nr, (uint32_t)(ms ? ms : 1));
}

/* Chunks that are charged to the VM for this claim alone. */
static uint32_t spare(const struct wait *wait)
{
	const struct core_pool *pool = wait->share->pool;
	uint32_t i, n = 0;

	for (i = wait->first; wait->whole && i < wait->first + wait->nr; i += pool->per) {
		const struct chunk *c = chunk_of(&pool->granule[i]);

		n += c->user != wait->share || c->nr[GRANULE_RESERVED] == pool->per;
	}
	return n;
}

/*
 * Will an older small request's chunk, which is on its way, have room for this
 * one, too?  Then a chunk of its own would be too much to ask for.
 */
static bool room_is_coming(const struct wait *wait)
{
	const struct want *want = &wait->want;
	uint32_t per = wait->share->pool->per;
	int64_t room = 0;
	struct list *l;

	if (want->granules >= per || want->ext.align > want->ext.size ||
	    want->ext.reach.highest != VCMA_NO_ADDR || want->ext.reach.forbidden)
		return false;
	for (l = wait->share->vm->waits.next; from_vm(l) != wait; l = l->next) {
		const struct wait *older = from_vm(l);

		if (older->share != wait->share || older->want.granules >= per)
			continue;
		if (older->nr && older->whole)
			room += per - older->want.granules;
		else if (!older->nr)
			room -= older->want.granules;
	}
	return room >= want->granules;
}

/* Go on with @wait as far as it gets. */
static void look_at(struct wait *wait)
{
	struct share *share = wait->share;
	struct plan plan;
	uint32_t first;

	if (wait->nr && !wait->missing) {
		grant(wait, wait->lease_first);
		return;
	}
	if (place_find(share, &wait->want, spare(wait), &first)) {
		grant(wait, first);
		return;
	}
	if (wait->nr && !wait->disturbed)
		return;
	if (!wait->nr && wait->pause > share->vm->core->now) {
		wait->recheck = wait->pause;
		return;
	}
	unclaim(wait);
	wait->recheck = UINT64_MAX;
	if (room_is_coming(wait))
		return;
	plan_make(share, &wait->want, wait->serial, &plan);
	wait->recheck = plan.recheck;
	wait->pause = share->vm->core->now + WAIT_PAUSE_MS * share->vm->nr_waiting;
	if (plan.status != VCMA_ST_OK) {
		refuse(wait, plan.status, plan.by);
		return;
	}
	if (!plan.nr)
		return;
	claim(wait, &plan);
	if (!wait->missing)
		grant(wait, wait->lease_first);
	else if (ask(wait))
		refuse(wait, VCMA_ST_INTERNAL, NULL);
}

/* In core::waits: the first request of a lower priority, or the head. */
static struct list *next_in_turn(struct core *core, uint8_t priority)
{
	struct list *l = &core->waits;

	while (l->prev != &core->waits && wait_from(l->prev)->share->vm->priority < priority)
		l = l->prev;
	return l;
}

void wait_new(struct core_vm *vm, uint32_t sequence, const struct core_lease_args *args)
{
	struct share *share = args->bank < VCMA_BANKS_MAX ? vm->bank[args->bank] : NULL;
	struct core *core = vm->core;
	struct wait *wait;
	struct list *l;
	struct want want;
	uint32_t status = VCMA_ST_OK;

	/* What is wrong in one bank is wrong in all: their granules have one size. */
	if (want_init(&want, (share ? share : vm->bank[0])->pool, args))
		status = VCMA_ST_INVALID;
	else if (!share)
		status = VCMA_ST_DENIED;
	else if (vm->nr_waiting >= VCMA_REQUESTS_MAX)
		status = VCMA_ST_TOO_MANY;
	list_for_each(l, &vm->waits)
		if (from_vm(l)->sequence == sequence)
			status = VCMA_ST_INVALID;
	wait = status == VCMA_ST_OK ? calloc(1, sizeof(*wait)) : NULL;
	if (!wait) {
		core->ops->refuse(core->opaque, vm, sequence, status ? status : VCMA_ST_INTERNAL);
		return;
	}
	wait->share = share;
	wait->sequence = sequence;
	wait->serial = ++core->serial;
	wait->deadline = core->now + args->deadline_ms;
	wait->recheck = UINT64_MAX;
	wait->want = want;
	list_add(next_in_turn(core, vm->priority), &wait->in_core);
	list_add(&vm->waits, &wait->in_vm);
	core->nr_waits++;
	share->nr_waiting++;
	share_update_active(share);
	vm->nr_waiting++;
	look_at(wait);
}

int wait_cancel(struct core_vm *vm, uint32_t sequence)
{
	struct list *l;

	list_for_each(l, &vm->waits) {
		if (from_vm(l)->sequence == sequence) {
			refuse(from_vm(l), VCMA_ST_CANCELLED, NULL);
			return 0;
		}
	}
	return -ENOENT;
}

void wait_drop_vm(struct core_vm *vm)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &vm->waits)
		end(from_vm(l));
}

static bool may_go_on(const struct wait *wait)
{
	return wait->disturbed || (wait->nr && !wait->missing) || wait->share->pool->look ||
	       (!wait->nr && wait->recheck <= wait->share->vm->core->now);
}

/**
 * wait_run() - Look at all requests that may go on
 * @core: the core
 *
 * Ends: each round ends a request, or uses up a disturbance, or changes
 * nothing.
 */
void wait_run(struct core *core)
{
	struct core_pool *pool;
	struct list *l, *tmp;
	bool again;

	do {
		again = false;
		for (pool = core->pools; pool; pool = pool->next) {
			pool->look = pool->changed;
			pool->changed = false;
		}
		list_for_each_safe(l, tmp, &core->waits)
			if (may_go_on(wait_from(l)))
				look_at(wait_from(l));
		for (pool = core->pools; pool; pool = pool->next)
			again |= pool->changed;
	} while (again);
}

void wait_tick(struct core *core)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &core->waits)
		if (wait_from(l)->deadline <= core->now)
			refuse(wait_from(l), VCMA_ST_TRY_LATER, NULL);
}

uint64_t wait_next(const struct core *core)
{
	uint64_t next = UINT64_MAX;
	struct list *l;

	list_for_each(l, &core->waits) {
		const struct wait *wait = wait_from(l);

		if (wait->deadline < next)
			next = wait->deadline;
		if (!wait->nr && wait->recheck < next)
			next = wait->recheck;
	}
	return next;
}
