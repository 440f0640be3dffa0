// SPDX-License-Identifier: GPL-2.0-or-later
/* place.c - what is wanted, and where it can be had at once; see place.h */

#include "place.h"
#include "chunk.h"

#include <errno.h>

/* Chunks with room that are looked at for each size of their largest block. */
#define PLACE_TRIES	64

static bool is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

/**
 * want_init() - Check a request and put it in the pool's terms
 * @ret: the result
 * @pool: the pool
 * @args: as they came from the peer
 *
 * Return: 0, or -EINVAL.
 */
int want_init(struct want *ret, const struct core_pool *pool, const struct core_lease_args *args)
{
	uint64_t align = args->alignment ? args->alignment : pool->granule_size, least;

	if (!is_power_of_two(args->size) || args->size < pool->granule_size ||
	    !is_power_of_two(align) ||
	    (args->boundary && (!is_power_of_two(args->boundary) || args->boundary < args->size)) ||
	    args->deadline_ms < 1 || args->deadline_ms > VCMA_DEADLINE_MAX_MS)
		return -EINVAL;
	least = args->size < pool->chunk_size ? args->size : pool->chunk_size;
	ret->ext.size = args->size;
	ret->ext.align = align > least ? align : least;
	ret->ext.reach.highest = args->max_addr;
	ret->ext.reach.forbidden = args->forbidden;
	ret->ext.reach.boundary = args->boundary;
	/* More than UINT32_MAX granules are more than any pool has. */
	if (args->size / pool->granule_size > UINT32_MAX) {
		ret->granules = UINT32_MAX;
		ret->chunks = UINT32_MAX;
	} else {
		ret->granules = (uint32_t)(args->size / pool->granule_size);
		ret->chunks = (ret->granules - 1) / pool->per + 1;
	}
	return 0;
}

uint32_t place_granule(const struct core_pool *pool, uint32_t chunk, uint64_t addr)
{
	return chunk * pool->per +
	       (uint32_t)((addr - pool->chunk_addr[chunk]) / pool->granule_size);
}

struct in_chunk {
	const struct core_pool *pool;
	const struct want *want;
	uint32_t first;
};

static bool accept_block(void *opaque, uint32_t i)
{
	const struct in_chunk *in = opaque;
	uint64_t addr = granule_addr(in->pool, in->first + i);

	return !(addr & (in->want->ext.align - 1)) &&
	       vcma_reach_ok(&in->want->ext.reach, addr, in->want->ext.size);
}

/* Room in a chunk that @share has already. */
static bool find_room(struct share *share, const struct want *want, uint32_t *ret_first)
{
	unsigned int order = (unsigned int)__builtin_ctz(want->granules), kind, o;
	struct core_pool *pool = share->pool;
	struct list *l;
	int tries;

	for (kind = ROOM_HOME; kind <= ROOM_SHARED; kind++) {
		for (o = order + 1; o <= pool->order + 1; o++) {
			tries = 0;
			list_for_each(l, share_room(share, kind, o)) {
				struct chunk *c = list_entry(l, struct chunk, room);
				struct in_chunk in = {
					.pool = pool, .want = want,
					.first = chunk_index(pool, c) * pool->per,
				};
				uint32_t i;

				if (tries++ == PLACE_TRIES)
					break;
				if (buddy_find(chunk_buddies(pool, c), pool->per, order,
					       accept_block, &in, &i)) {
					*ret_first = in.first + i;
					return true;
				}
			}
		}
	}
	return false;
}

/* A run of free chunks of both kinds, about each of @share's free home extents. */
static bool find_spanning(struct share *share, const struct want *want,
			  uint32_t *ret_chunk, uint64_t *ret_addr)
{
	const struct extent_index *home = &share->free, *shared = &share->pool->shared;
	const struct extent_map *map = home->map;
	uint32_t i = extent_next(home, 0), begin, end, n;

	while (i != UINT32_MAX) {
		begin = i;
		end = i + extent_from(home, i);
		while (begin && extent_consecutive(map, begin - 1, 2) &&
		       ((n = extent_until(shared, begin - 1)) ||
			(n = extent_until(home, begin - 1))))
			begin -= n;
		while (end < map->nr && extent_consecutive(map, end - 1, 2) &&
		       ((n = extent_from(shared, end)) || (n = extent_from(home, end))))
			end += n;
		if (extent_place(map, begin, end - begin, &want->ext,
				 ret_chunk, ret_addr))
			return true;
		i = extent_next(home, end);
	}
	return false;
}

/**
 * place_find() - Where can a VM have a lease at once?
 * @share: whose request it is
 * @want: what it wants
 * @spare: chunks charged to it that it would give up for this
 * @ret_first: index of the first granule in the pool
 *
 * Return: true if it can.
 */
bool place_find(struct share *share, const struct want *want, uint32_t spare, uint32_t *ret_first)
{
	struct core_pool *pool = share->pool;
	uint64_t addr;
	uint32_t c;

	if (want->granules < pool->per && find_room(share, want, ret_first))
		return true;
	if (want->chunks > pool->nr_chunks || share_charged(share) - spare + want->chunks > share->limit)
		return false;
	if (!extent_find(&share->free, &want->ext, &c, &addr) &&
	    !extent_find(&pool->shared, &want->ext, &c, &addr) &&
	    (want->chunks < 2 || !find_spanning(share, want, &c, &addr)))
		return false;
	*ret_first = place_granule(pool, c, addr);
	return true;
}
