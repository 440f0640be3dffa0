// SPDX-License-Identifier: GPL-2.0-or-later
/* lease.c - leases: consecutive granules of one VM (I2) */

#include "lease.h"
#include "chunk.h"
#include "debt.h"
#include "granule.h"

#include <stdlib.h>

static struct core_lease *id_lease(const struct tree_node *n)
{
	return tree_entry(n, struct core_lease, by_id);
}

static bool id_less(const struct tree_node *a, const struct tree_node *b)
{
	return id_lease(a)->id < id_lease(b)->id;
}

static bool id_below(const struct tree_node *n, const void *key)
{
	return id_lease(n)->id < *(const uint64_t *)key;
}

void lease_tree_init(struct core *core)
{
	tree_init(&core->leases, id_less, NULL);
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
	struct core_lease *lease = calloc(1, sizeof(*lease));
	struct core_pool *pool = share->pool;
	struct core *core = share->vm->core;
	uint32_t i;

	if (!lease)
		return NULL;
	lease->id = ++core->last_lease;
	lease->share = share;
	lease->first = first;
	lease->nr = nr;
	lease->granting = true;
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
		if (i + 1 == first + nr || chunk_of(g + 1) != c)
			chunk_settle(pool, c);
	}
	tree_insert(&core->leases, &lease->by_id);
	list_add(&share->leases, &lease->in_share);
	share->nr_leases++;
	core->nr_leases++;
	return lease;
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

	for (i = lease->first; i < lease->first + lease->nr; i++) {
		struct core_granule *g = &pool->granule[i];

		debt_add(core, g);
	}
	tree_remove(&core->leases, &lease->by_id);
	list_del(&lease->in_share);
	share->nr_leases--;
	core->nr_leases--;
	pool->changed = true;
	free(lease);
}

struct core_lease *lease_at(const struct core_pool *pool, uint32_t i)
{
	return granule_lease(&pool->granule[i]);
}

struct core_lease *lease_first_from(const struct core *core, uint64_t id)
{
	struct tree_node *n = tree_find(&core->leases, id_below, &id);

	return n ? id_lease(n) : NULL;
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
	struct core_lease *lease = lease_first_from(core, id);

	return lease && lease->id == id ? lease : NULL;
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
