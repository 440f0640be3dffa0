// SPDX-License-Identifier: GPL-2.0-or-later
/* lease.c - leases: consecutive granules of one VM (I2) */

#include "lease.h"
#include "chunk.h"
#include "debt.h"
#include "granule.h"

#include <errno.h>
#include <stdlib.h>

#define PREFETCH_MAX	16

static struct core_lease *id_lease(const struct list *l)
{
	return list_entry(l, struct core_lease, by_id);
}

void lease_table_init(struct core *core)
{
	list_init(&core->leases);
}

void lease_table_fini(struct core *core)
{
	free(core->bucket);
}

static struct core_lease **bucket_of(const struct core *core, uint64_t id)
{
	return &core->bucket[id & (core->nr_buckets - 1)];
}

/**
 * lease_table_grow() - Be ready for more leases
 * @core: the core
 * @granules: there are in all; no more leases can there be
 *
 * Return: 0 or -ENOMEM.
 */
int lease_table_grow(struct core *core, uint64_t granules)
{
	struct core_lease **bucket;
	uint32_t nr = 1;
	struct list *l;

	while (nr < granules / LEASES_PER_BUCKET && nr < UINT32_C(1) << 31)
		nr *= 2;
	if (nr <= core->nr_buckets)
		return 0;
	bucket = calloc(nr, sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	free(core->bucket);
	core->bucket = bucket;
	core->nr_buckets = nr;
	list_for_each(l, &core->leases) {
		struct core_lease *lease = id_lease(l);

		lease->same_bucket = *bucket_of(core, lease->id);
		*bucket_of(core, lease->id) = lease;
	}
	return 0;
}

static void table_add(struct core *core, struct core_lease *lease)
{
	struct list *after = core->leases.prev;

	/* A new id is the highest. */
	while (after != &core->leases && id_lease(after)->id > lease->id)
		after = after->prev;
	list_add(after->next, &lease->by_id);
	lease->same_bucket = *bucket_of(core, lease->id);
	*bucket_of(core, lease->id) = lease;
	core->nr_leases++;
}

static void table_remove(struct core *core, struct core_lease *lease)
{
	struct core_lease **at = bucket_of(core, lease->id);

	while (*at != lease)
		at = &(*at)->same_bucket;
	*at = lease->same_bucket;
	list_del(&lease->by_id);
	core->nr_leases--;
}

static bool is_big(const struct core_lease *lease)
{
	return lease->nr > lease->share->pool->per;
}

static struct chunk *lease_chunk(const struct core_lease *lease)
{
	const struct core_pool *pool = lease->share->pool;

	return &pool->chunk[lease->first >> pool->order];
}

/* What a plan sees of a lease changes: @sign -1 before, 1 after. */
static void tell_chunk(const struct core_lease *lease, int sign)
{
	if (!is_big(lease) && !lease->order)
		lease_chunk(lease)->nr_ask[lease->use] += sign * lease->nr;
}

void lease_set_order(struct core_lease *lease, struct order *order)
{
	tell_chunk(lease, -1);
	lease->order = order;
	tell_chunk(lease, 1);
}

void lease_set_use(struct core_lease *lease, enum policy_use use)
{
	tell_chunk(lease, -1);
	lease->share->nr_idle -= lease->use == POLICY_IDLE ? lease->nr : 0;
	lease->use = (uint8_t)use;
	lease->share->nr_idle += lease->use == POLICY_IDLE ? lease->nr : 0;
	tell_chunk(lease, 1);
}

void lease_refuse(struct core_lease *lease)
{
	struct core *core = lease->share->vm->core;
	struct chunk *c = lease_chunk(lease);

	lease->refused = core->serial;
	lease->refused_at = core->now;
	if (!is_big(lease)) {
		c->refused = lease->refused;
		c->refused_at = lease->refused_at;
	}
}

/* @lease, which was refused, is no more: what of the others in its chunk? */
static void forget_refusal(const struct core_lease *lease)
{
	const struct core_pool *pool = lease->share->pool;
	struct chunk *c = lease_chunk(lease);
	uint32_t i = chunk_index(pool, c) * pool->per, end = i + pool->per;

	c->refused = 0;
	c->refused_at = 0;
	while (i < end) {
		const struct core_lease *other = lease_at(pool, i);

		i = other ? other->first + other->nr : i + 1;
		if (!other || other->refused < c->refused)
			continue;
		c->refused = other->refused;
		if (other->refused_at > c->refused_at)
			c->refused_at = other->refused_at;
	}
}

/* In a large pool none of them is in the cache: fetch them side by side. */
static void fetch_granules(const struct core_pool *pool, uint32_t first, uint32_t nr)
{
	uint32_t i;

	for (i = first; i < first + nr && i < first + PREFETCH_MAX; i++)
		__builtin_prefetch(&pool->granule[i], 1);
}

/**
 * lease_new() - Make a lease
 * @share: whose it is
 * @first: index of the first granule in the share's pool
 * @nr: how many granules
 *
 * Return: the lease, with all granules GRANTING, or NULL (no memory).
 */
struct core_lease *lease_new(struct share *share, uint32_t first, uint32_t nr)
{
	struct core_pool *pool = share->pool;
	struct core *core = share->vm->core;
	struct core_lease *lease;
	uint32_t i;

	fetch_granules(pool, first, nr);
	__builtin_prefetch(bucket_of(core, core->last_lease + 1), 1);
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return NULL;
	lease->id = ++core->last_lease;
	lease->share = share;
	lease->first = first;
	lease->nr = nr;
	lease->granting = true;
	lease->use = POLICY_UNKNOWN;
	lease->since = core->now;
	for (i = first; i < first + nr; i++) {
		struct core_granule *g = &pool->granule[i];
		struct chunk *c = chunk_of(g);

		if (!c->user)
			chunk_use(pool, c, share);
		granule_set_state(g, GRANULE_GRANTING);
		g->lease = lease;
		if (c->home)
			lease->home = true;
		if (i + 1 == first + nr || chunk_of(g + 1) != c) {
			c->big = is_big(lease) ? lease : NULL;
			chunk_settle(pool, c);
		}
	}
	tell_chunk(lease, 1);
	table_add(core, lease);
	list_add(&share->leases, &lease->in_share);
	share->nr_leases++;
	return lease;
}

/**
 * core_stats() - A VM says how much of its leases is idle
 * @core: the core
 * @vm: the VM
 * @stats: for each lease: its id, and bytes that the VM does not use
 * @count: how many
 * @now: CLOCK_MONOTONIC in ms
 *
 * Advice on whom to ask, nothing else.  A lease that is idle in part is in use.
 * What is not a lease of this VM's is passed over: it may have just been released.
 */
void core_stats(struct core *core, struct core_vm *vm, const struct core_stats *stats,
		uint32_t count, uint64_t now)
{
	uint32_t i;

	core->now = now;
	for (i = 0; i < count; i++) {
		struct core_lease *lease = core_lease_find(core, stats[i].lease);

		if (lease && lease->share->vm == vm)
			lease_set_use(lease, stats[i].idle < core_lease_size(lease) ?
					     POLICY_BUSY : POLICY_IDLE);
	}
}

/**
 * lease_end() - Take a lease's granules back
 * @lease: no reclaim order asks for it (any more)
 */
void lease_end(struct core_lease *lease)
{
	struct share *share = lease->share;
	struct core_pool *pool = share->pool;
	struct core *core = share->vm->core;
	uint32_t i;

	fetch_granules(pool, lease->first, lease->nr);
	lease_set_use(lease, POLICY_UNKNOWN);
	tell_chunk(lease, -1);
	for (i = lease->first; i < lease->first + lease->nr; i++) {
		struct core_granule *g = &pool->granule[i];

		debt_add(core, g);
		chunk_of(g)->big = NULL;
	}
	if (lease->refused && !is_big(lease))
		forget_refusal(lease);
	table_remove(core, lease);
	list_del(&lease->in_share);
	share->nr_leases--;
	pool->changed = true;
	free(lease);
}

struct core_lease *lease_at(const struct core_pool *pool, uint32_t i)
{
	return granule_lease(&pool->granule[i]);
}

/**
 * core_lease_find() - Find a lease
 * @core: the core
 * @id: as in core_lease_id()
 *
 * Return: the lease, or NULL.
 */
struct core_lease *core_lease_find(const struct core *core, uint64_t id)
{
	struct core_lease *lease = core->nr_leases ? *bucket_of(core, id) : NULL;

	while (lease && lease->id != id)
		lease = lease->same_bucket;
	return lease;
}

struct core_lease *lease_first_from(const struct core *core, uint64_t id)
{
	struct core_lease *lease = core_lease_find(core, id);
	struct list *l;

	if (lease)
		return lease;
	/* Who walks along the list has most likely seen the one before. */
	lease = id ? core_lease_find(core, id - 1) : NULL;
	l = lease ? lease->by_id.next : core->leases.next;
	while (l != &core->leases && id_lease(l)->id < id)
		l = l->next;
	return l != &core->leases ? id_lease(l) : NULL;
}

struct core_granule *core_lease_granule(const struct core_lease *lease, uint32_t i)
{
	return i < lease->nr ? &lease->share->pool->granule[lease->first + i] : NULL;
}

uint32_t core_lease_nr_granules(const struct core_lease *lease)
{
	return lease->nr;
}

uint64_t core_lease_id(const struct core_lease *lease)
{
	return lease->id;
}

uint64_t core_lease_size(const struct core_lease *lease)
{
	return lease->nr * lease->share->pool->granule_size;
}

struct core_vm *core_lease_vm(const struct core_lease *lease)
{
	return lease->share->vm;
}
