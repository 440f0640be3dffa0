// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * core.c - events: each is passed to the module that it concerns, then what
 * may go on because of it does; see core.h
 */

#include "chunk.h"
#include "core_internal.h"
#include "debt.h"
#include "granule.h"
#include "lease.h"
#include "notify.h"
#include "pool_index.h"
#include "reclaim.h"
#include "wait.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/**
 * core_new() - Make a core with no pools
 * @ops: how it gives orders; kept, not copied
 * @opaque: passed to each of them
 *
 * Return: the core, or NULL (no memory).
 */
struct core *core_new(const struct core_ops *ops, void *opaque)
{
	struct core *core = calloc(1, sizeof(*core));

	if (!core)
		return NULL;
	core->ops = ops;
	core->opaque = opaque;
	core->vms_end = &core->vms;
	core->shares_end = &core->shares;
	lease_table_init(core);
	wait_init(core);
	reclaim_init(core);
	debt_init(core);
	notify_init(core);
	return core;
}

/**
 * core_free() - Free a core with all that it knows; gives no orders
 * @core: may be NULL
 */
void core_free(struct core *core)
{
	if (!core)
		return;
	wait_fini(core);
	reclaim_fini(core);
	while (core->shares) {
		struct share *share = core->shares;
		struct list *l, *tmp;

		core->shares = share->next;
		list_for_each_safe(l, tmp, &share->leases)
			free(list_entry(l, struct core_lease, in_share));
		free(share);
	}
	while (core->vms) {
		struct core_vm *vm = core->vms;

		core->vms = vm->next;
		free(vm);
	}
	while (core->pools) {
		struct core_pool *pool = core->pools;

		core->pools = pool->next;
		pool_index_free(pool);
	}
	lease_table_fini(core);
	free(core);
}

static void begin(struct core *core, uint64_t now)
{
	core->now = now;
}

/* At the end of each event: whatever may go on now, does. */
static void settle(struct core *core)
{
	wait_run(core);
	debt_dispatch(core);
	notify_run(core);
}

void core_lease(struct core *core, struct core_vm *vm, uint32_t sequence,
		const struct core_lease_args *args, uint64_t now)
{
	begin(core, now);
	wait_new(vm, sequence, args);
	settle(core);
}

int core_cancel(struct core *core, struct core_vm *vm, uint32_t sequence, uint64_t now)
{
	int ret;

	begin(core, now);
	ret = wait_cancel(vm, sequence);
	settle(core);
	return ret;
}

void core_lease_acked(struct core *core, struct core_lease *lease, uint64_t now)
{
	struct core_pool *pool = lease->share->pool;
	uint32_t i;

	begin(core, now);
	if (!lease->granting)
		return;
	for (i = lease->first; i < lease->first + lease->nr; i++)
		granule_set_state(&pool->granule[i], GRANULE_LEASED);
	lease->granting = false;
	lease->since = now;
	pool->changed = true;
	settle(core);
}

void core_lease_failed(struct core *core, struct core_lease *lease, uint64_t now)
{
	begin(core, now);
	if (!lease->granting)
		return;
	lease_end(lease);
	settle(core);
}

/**
 * core_released() - A VM gives leases back
 * @core: the core
 * @vm: the VM
 * @lease: ids
 * @count: how many
 * @now: CLOCK_MONOTONIC in ms
 *
 * Return: 0, or -ENOENT (one of them is not a lease of this VM that it has
 * acknowledged, or is named twice): then nothing has changed.
 */
int core_released(struct core *core, struct core_vm *vm, const uint64_t *lease,
		  uint32_t count, uint64_t now)
{
	uint32_t i, named;

	begin(core, now);
	for (named = 0; named < count; named++) {
		struct core_lease *found = core_lease_find(core, lease[named]);

		if (!found || found->share->vm != vm || found->granting || found->named)
			break;
		found->named = true;
	}
	for (i = 0; i < named; i++)
		core_lease_find(core, lease[i])->named = false;
	if (named < count)
		return -ENOENT;
	for (i = 0; i < count; i++) {
		struct core_lease *found = core_lease_find(core, lease[i]);

		if (found->order)
			reclaim_released(found);
		lease_end(found);
	}
	settle(core);
	return 0;
}

void core_reclaim_done(struct core *core, struct core_vm *vm, uint32_t id,
		       uint32_t status, uint64_t now)
{
	(void)status;	/* what has not been released says it all */
	begin(core, now);
	reclaim_done(core, vm, id);
	settle(core);
}

void core_vm_connected(struct core *core, struct core_vm *vm, uint32_t pid, uint64_t now)
{
	unsigned int bank;

	begin(core, now);
	vm->connected = true;
	vm->pid = pid;
	for (bank = 0; bank < VCMA_BANKS_MAX; bank++)
		if (vm->bank[bank])
			vm->bank[bank]->pool->changed = true;
	settle(core);
}

/* End the leases of @share that its VM may not know of (or all). */
static void end_leases(struct share *share, bool all)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &share->leases) {
		struct core_lease *lease = list_entry(l, struct core_lease, in_share);

		if (all || lease->granting)
			lease_end(lease);
	}
}

/* End requests and orders of @vm, and the leases that it may not know of (or all). */
static void cut_off(struct core *core, struct core_vm *vm, bool all)
{
	unsigned int bank;

	vm->connected = false;
	wait_drop_vm(vm);
	reclaim_vm_away(core, vm);
	for (bank = 0; bank < VCMA_BANKS_MAX; bank++) {
		if (!vm->bank[bank])
			continue;
		list_del(&vm->bank[bank]->in_wanting);
		end_leases(vm->bank[bank], all);
	}
}

void core_vm_disconnected(struct core *core, struct core_vm *vm, uint64_t now)
{
	begin(core, now);
	cut_off(core, vm, false);
	settle(core);
}

void core_vm_gone(struct core *core, struct core_vm *vm, uint64_t now)
{
	begin(core, now);
	cut_off(core, vm, true);
	vm->pid = 0;
	settle(core);
}

static void became_clean(struct core_granule *g)
{
	struct core_pool *pool = g->pool;

	/* What was quarantined stood in the way of whole runs. */
	if (g->tries)
		pool->changed = true;
	g->tries = 0;
	pool->scrubbed++;
	granule_set_state(g, GRANULE_CLEAN);
	if (g->wait)
		wait_reserve(g);
	chunk_settle(pool, chunk_of(g));
}

/**
 * core_scrubbed() - The scrubber has done with a granule
 * @core: the core
 * @g: SCRUBBING, or QUARANTINED and found by core_scrub_found()
 * @result: how it went
 * @now: CLOCK_MONOTONIC in ms
 */
void core_scrubbed(struct core *core, struct core_granule *g,
		   enum core_scrub_result result, uint64_t now)
{
	begin(core, now);
	if (g->state == GRANULE_QUARANTINED) {
		assert(result == CORE_SCRUB_CLEAN);
		debt_unquarantine(g);
		became_clean(g);
		settle(core);
		return;
	}
	assert(g->state == GRANULE_SCRUBBING);
	debt_scrubbed(core, g);
	switch (result) {
	case CORE_SCRUB_CLEAN:
		became_clean(g);
		break;
	case CORE_SCRUB_MISSING:
		debt_quarantine(core, g);
		wait_disturb(g->wait);
		break;
	case CORE_SCRUB_BAD:
		granule_set_state(g, GRANULE_BAD);
		wait_disturb(g->wait);
		chunk_settle(g->pool, chunk_of(g));
		break;
	}
	settle(core);
}

/**
 * core_scrub_found() - Whose page is this?
 * @pool: the pool
 * @pfn: of 4096 bytes
 *
 * Return: the QUARANTINED granule that misses it, or NULL.
 */
struct core_granule *core_scrub_found(struct core_pool *pool, uint64_t pfn)
{
	uint32_t low = 0, high = pool->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (core_granule_pfn(&pool->granule[mid]) < pfn)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == pool->nr || core_granule_pfn(&pool->granule[low]) != pfn ||
	    pool->granule[low].state != GRANULE_QUARANTINED)
		return NULL;
	return &pool->granule[low];
}

void core_tick(struct core *core, uint64_t now)
{
	begin(core, now);
	reclaim_tick(core);
	wait_tick(core);
	settle(core);
}

uint64_t core_next_tick(const struct core *core)
{
	uint64_t next = wait_next(core), other = reclaim_next(core);

	if (other < next)
		next = other;
	/* With all its places taken, the scrubber's next answer is what retries wait for. */
	other = core->nr_scrubbing < CORE_SCRUB_MAX ? debt_next(core) : UINT64_MAX;
	return other < next ? other : next;
}

bool core_is_idle(const struct core *core)
{
	const struct core_pool *pool;

	if (core->nr_waits || !list_is_empty(&core->orders))
		return false;
	for (pool = core->pools; pool; pool = pool->next)
		if (pool->state[GRANULE_RESERVED] || pool->state[GRANULE_GRANTING] ||
		    pool->state[GRANULE_DIRTY] || pool->state[GRANULE_SCRUBBING])
			return false;
	return true;
}

void *core_vm_tag(const struct core_vm *vm)
{
	return vm->tag;
}

bool core_vm_has_bank(const struct core_vm *vm, uint32_t bank)
{
	return bank < VCMA_BANKS_MAX && vm->bank[bank];
}

uint32_t core_vm_leases(const struct core_vm *vm, uint64_t *ret_bytes)
{
	unsigned int bank;
	uint32_t nr = 0;

	*ret_bytes = 0;
	for (bank = 0; bank < VCMA_BANKS_MAX; bank++) {
		const struct share *share = vm->bank[bank];

		if (!share)
			continue;
		nr += share->nr_leases;
		*ret_bytes += (share->state[GRANULE_GRANTING] +
			       (uint64_t)share->state[GRANULE_LEASED]) * share->pool->granule_size;
	}
	return nr;
}

const char *core_vm_refused_by(const struct core_vm *vm, uint32_t bank)
{
	return core_vm_has_bank(vm, bank) ? vm->bank[bank]->refused_by : "";
}

void *core_granule_tag(const struct core_granule *g)
{
	return g->tag;
}

uint64_t core_granule_pfn(const struct core_granule *g)
{
	return granule_addr(g->pool, g->index) / PAGE_BYTES;
}

enum granule_state core_granule_state(const struct core_granule *g)
{
	return g->state;
}

struct core_vm *core_granule_holder(const struct core_granule *g)
{
	const struct share *user = chunk_of(g)->user;

	return user ? user->vm : NULL;
}
