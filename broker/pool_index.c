// SPDX-License-Identifier: GPL-2.0-or-later
/* pool_index.c - pools, VMs and their shares as the core knows them: making and freeing */

#include "pool_index.h"
#include "lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

static void copy_name(char ret[VCMA_NAME_MAX], const char *name)
{
	size_t length = strnlen(name, VCMA_NAME_MAX - 1);

	memset(ret, 0, VCMA_NAME_MAX);
	memcpy(ret, name, length);
}

static bool desc_is_valid(const struct core_pool_desc *desc)
{
	uint64_t step = desc->granule_size / PAGE_BYTES, per;
	uint32_t i;

	if (!is_power_of_two(desc->granule_size) || desc->granule_size < PAGE_BYTES ||
	    !is_power_of_two(desc->chunk_size) || desc->chunk_size < desc->granule_size ||
	    !desc->nr)
		return false;
	per = desc->chunk_size / desc->granule_size;
	if (per > UINT32_C(1) << BUDDY_MAX_ORDER || desc->nr % per)
		return false;
	for (i = 0; i < desc->nr; i++) {
		if (desc->pfn[i] > UINT64_MAX / PAGE_BYTES - step)
			return false;
		if (i % per == 0 ? desc->pfn[i] % (per * step) != 0 ||
				   (i && desc->pfn[i] <= desc->pfn[i - 1])
				 : desc->pfn[i] != desc->pfn[i - 1] + step)
			return false;
	}
	return true;
}

void pool_index_free(struct core_pool *pool)
{
	if (!pool)
		return;
	extent_map_fini(&pool->map);
	free(pool->granule);
	free(pool->chunk);
	free(pool->chunk_addr);
	free(pool->buddies);
	free(pool->view);
	free(pool);
}

static int fill(struct core_pool *pool, const struct core_pool_desc *desc)
{
	uint32_t i;
	int ret;

	pool->granule = calloc(pool->nr, sizeof(*pool->granule));
	pool->chunk = calloc(pool->nr_chunks, sizeof(*pool->chunk));
	pool->chunk_addr = calloc(pool->nr_chunks, sizeof(*pool->chunk_addr));
	pool->buddies = malloc(2 * (size_t)pool->nr);
	if (!pool->granule || !pool->chunk || !pool->chunk_addr || !pool->buddies)
		return -ENOMEM;
	for (i = 0; i < pool->nr_chunks; i++) {
		struct chunk *c = &pool->chunk[i];

		pool->chunk_addr[i] = desc->pfn[i * pool->per] * PAGE_BYTES;
		list_init(&c->used);
		list_init(&c->room);
		c->nr[GRANULE_CLEAN] = pool->per;
		buddy_init(pool->buddies + 2 * (size_t)i * pool->per, pool->per);
	}
	for (i = 0; i < pool->nr; i++) {
		pool->granule[i].tag = desc->tags ? desc->tags[i] : NULL;
		pool->granule[i].pool = pool;
		pool->granule[i].index = i;
		pool->granule[i].state = GRANULE_CLEAN;
	}
	pool->state[GRANULE_CLEAN] = pool->nr;
	ret = extent_map_init(&pool->map, pool->chunk_addr, pool->nr_chunks, pool->chunk_size);
	if (ret)
		return ret;
	extent_index_init(&pool->shared, &pool->map);
	extent_put(&pool->shared, 0, pool->nr_chunks);
	pool->extents = pool->shared.extents;
	pool->longest = extent_longest(&pool->shared);
	return 0;
}

/**
 * core_pool_add() - Tell the core of a pool
 * @core: the core
 * @desc: its granules; copied
 * @ret_pool: the pool
 *
 * Return: 0, -EINVAL (sizes, or @desc->pfn is not made of whole, aligned
 * chunks in ascending order), -ENOMEM.
 */
int core_pool_add(struct core *core, const struct core_pool_desc *desc,
		  struct core_pool **ret_pool)
{
	struct core_pool *pool, **end;
	uint64_t granules = 0;
	int ret;

	if (!desc_is_valid(desc))
		return -EINVAL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->core = core;
	list_init(&pool->active);
	copy_name(pool->name, desc->name);
	pool->granule_size = desc->granule_size;
	pool->chunk_size = desc->chunk_size;
	pool->flags = desc->flags;
	pool->backing = desc->backing;
	pool->nr = desc->nr;
	pool->per = (uint32_t)(desc->chunk_size / desc->granule_size);
	pool->order = (unsigned int)__builtin_ctz(pool->per);
	pool->nr_chunks = desc->nr / pool->per;
	for (end = &core->pools; *end; end = &(*end)->next)
		granules += (*end)->nr;
	ret = fill(pool, desc);
	if (!ret)
		ret = lease_table_grow(core, granules + desc->nr);
	if (ret) {
		pool_index_free(pool);
		return ret;
	}
	*end = pool;
	*ret_pool = pool;
	return 0;
}

uint64_t core_pool_bytes(const struct core_pool *pool)
{
	return pool->nr * pool->granule_size;
}

/* Give the home chunks of @share back to the shared part. */
static void drop_home(struct share *share)
{
	struct core_pool *pool = share->pool;
	uint32_t i;

	for (i = 0; i < pool->nr_chunks; i++) {
		if (pool->chunk[i].home != share)
			continue;
		extent_take(&share->free, i, 1);
		pool->chunk[i].home = NULL;
		extent_put(&pool->shared, i, 1);
		pool->nr_home--;
	}
}

/* Set one run of the guarantee aside. */
static bool add_home_run(struct share *share)
{
	struct core_pool *pool = share->pool;
	const struct extent_want want = {
		.size = share->run * pool->chunk_size,
		.align = pool->chunk_size,
		.reach = { .highest = VCMA_NO_ADDR },
	};
	uint64_t addr;
	uint32_t first, i;

	if (!extent_find(&pool->shared, &want, &first, &addr))
		return false;
	extent_take(&pool->shared, first, share->run);
	for (i = first; i < first + share->run; i++)
		pool->chunk[i].home = share;
	extent_put(&share->free, first, share->run);
	pool->nr_home += share->run;
	return true;
}

/* No pool has as many as UINT32_MAX chunks. */
static uint32_t in_chunks(uint64_t size, uint64_t chunk)
{
	return size / chunk > UINT32_MAX ? UINT32_MAX : (uint32_t)(size / chunk);
}

static void init_vm(struct core_vm *vm, struct core *core, const struct core_vm_desc *desc)
{
	unsigned int i;

	vm->core = core;
	copy_name(vm->name, desc->name);
	vm->tag = desc->tag;
	vm->priority = desc->priority < POLICY_PRIORITY_MAX ? desc->priority : POLICY_PRIORITY_MAX;
	list_init(&vm->waits);
	for (i = 0; i < 2; i++) {
		list_init(&vm->debt[i]);
		list_init(&vm->in_debt[i]);
	}
}

static void init_share(struct share *share, struct core_vm *vm, uint32_t bank,
		       const struct core_share_desc *desc)
{
	uint64_t chunk = desc->pool->chunk_size;
	size_t i;

	share->vm = vm;
	share->pool = desc->pool;
	share->number = bank;
	share->guarantee = in_chunks(desc->guarantee, chunk);
	share->run = in_chunks(desc->guarantee_run, chunk);
	share->limit = in_chunks(desc->limit, chunk);
	extent_index_init(&share->free, &share->pool->map);
	list_init(&share->used);
	list_init(&share->leases);
	list_init(&share->in_active);
	list_init(&share->in_filling);
	list_init(&share->in_wanting);
	for (i = 0; i < share_rooms(share->pool); i++)
		list_init(&share->room[i]);
}

/* May @vm have it, beside what it has? */
static bool share_is_valid(const struct core_vm *vm, uint32_t bank,
			   const struct core_share_desc *desc)
{
	uint64_t chunk = desc->pool->chunk_size;
	unsigned int i;

	if (desc->guarantee % chunk || desc->guarantee_run % chunk || desc->limit % chunk ||
	    desc->limit < desc->guarantee || (desc->guarantee && !desc->guarantee_run) ||
	    (desc->guarantee_run && desc->guarantee % desc->guarantee_run) ||
	    bank >= VCMA_BANKS_MAX || vm->bank[bank])
		return false;
	for (i = 0; i < VCMA_BANKS_MAX; i++)
		if (vm->bank[i] && (vm->bank[i]->pool == desc->pool ||
				    vm->bank[i]->pool->granule_size != desc->pool->granule_size))
			return false;
	return true;
}

/* Room for one more share in snapshots. */
static int grow_view(struct core_pool *pool)
{
	size_t nr = pool->nr_shares;
	struct policy_vm *view;

	if (nr & (nr - 1)) /* there is room up to the next power of two */
		return 0;
	view = realloc(pool->view, (nr ? 2 * nr : 1) * sizeof(*view));
	if (!view)
		return -ENOMEM;
	pool->view = view;
	return 0;
}

static void note_guarantee(struct core_pool *pool, const struct share *share)
{
	if (!share->guarantee)
		return;
	if (!pool->most[0] || share->guarantee > pool->most[0]->guarantee) {
		pool->most[1] = pool->most[0];
		pool->most[0] = share;
	} else if (!pool->most[1] || share->guarantee > pool->most[1]->guarantee) {
		pool->most[1] = share;
	}
}

/**
 * core_bank_add() - Give a VM a share in a pool, and set its guarantee aside
 * @core: the core
 * @vm: the VM
 * @bank: which of its banks this is
 * @desc: pool and sizes
 * @ret_got: on -ENOSPC: bytes that there are in such runs; may be NULL
 *
 * Return: 0, -EINVAL (sizes, or what the VM has already), -ENOSPC (no such runs
 * are left), -ENOMEM.
 */
int core_bank_add(struct core *core, struct core_vm *vm, uint32_t bank,
		  const struct core_share_desc *desc, uint64_t *ret_got)
{
	struct share *share;
	uint64_t got;

	if (!share_is_valid(vm, bank, desc))
		return -EINVAL;
	share = calloc(1, sizeof(*share) + share_rooms(desc->pool) * sizeof(share->room[0]));
	if (!share || grow_view(desc->pool)) {
		free(share);
		return -ENOMEM;
	}
	init_share(share, vm, bank, desc);
	for (got = 0; got < desc->guarantee; got += desc->guarantee_run) {
		if (add_home_run(share))
			continue;
		drop_home(share);
		free(share);
		if (ret_got)
			*ret_got = got;
		return -ENOSPC;
	}
	desc->pool->nr_shares++;
	note_guarantee(desc->pool, share);
	*core->shares_end = share;
	core->shares_end = &share->next;
	vm->bank[bank] = share;
	return 0;
}

/**
 * core_vm_add() - Tell the core of a VM, with its bank 0
 * @core: the core
 * @desc: name, and the share
 * @ret_vm: the VM
 * @ret_got: as in core_bank_add()
 *
 * Return: as core_bank_add().
 */
int core_vm_add(struct core *core, const struct core_vm_desc *desc,
		struct core_vm **ret_vm, uint64_t *ret_got)
{
	struct core_vm *vm;
	int ret;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	init_vm(vm, core, desc);
	ret = core_bank_add(core, vm, 0, &desc->share, ret_got);
	if (ret) {
		free(vm);
		return ret;
	}
	*core->vms_end = vm;
	core->vms_end = &vm->next;
	*ret_vm = vm;
	return 0;
}
