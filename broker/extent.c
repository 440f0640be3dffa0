// SPDX-License-Identifier: GPL-2.0-or-later
/* extent.c - index of free extents by address and by size; see extent.h */

#include "extent.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* How many extents that fit by size alone are tried before a full search. */
#define EXTENT_TRIES	16

static struct extent_slot *size_slot(const struct tree_node *n)
{
	return tree_entry(n, struct extent_slot, by_size);
}

static struct extent_slot *addr_slot(const struct tree_node *n)
{
	return tree_entry(n, struct extent_slot, by_addr);
}

/* Slots of a map lie in the order of their addresses. */
static bool addr_less(const struct tree_node *a, const struct tree_node *b)
{
	return a < b;
}

static bool size_less(const struct tree_node *a, const struct tree_node *b)
{
	const struct extent_slot *x = size_slot(a), *y = size_slot(b);

	return x->len != y->len ? x->len < y->len : x > y;
}

static void update_longest(struct tree_node *n)
{
	struct extent_slot *s = addr_slot(n);

	s->longest = s->len;
	if (n->left && addr_slot(n->left)->longest > s->longest)
		s->longest = addr_slot(n->left)->longest;
	if (n->right && addr_slot(n->right)->longest > s->longest)
		s->longest = addr_slot(n->right)->longest;
}

/**
 * extent_map_init() - Describe where the units of a pool lie
 * @map: to be initialised
 * @addr: address of each unit, ascending; kept, not copied
 * @nr: number of units
 * @unit: size of each in bytes
 *
 * Return: 0, or -ENOMEM.
 */
int extent_map_init(struct extent_map *map, const uint64_t *addr, uint32_t nr, uint64_t unit)
{
	struct extent_slot *slot = calloc(nr ? nr : 1, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	map->addr = addr;
	map->unit = unit;
	map->nr = nr;
	map->slot = slot;
	return 0;
}

void extent_map_fini(struct extent_map *map)
{
	free(map->slot);
	map->slot = NULL;
}

void extent_index_init(struct extent_index *idx, struct extent_map *map)
{
	idx->map = map;
	tree_init(&idx->by_size, size_less, NULL);
	tree_init(&idx->by_addr, addr_less, update_longest);
	idx->units = 0;
	idx->extents = 0;
}

/**
 * extent_consecutive() - Do units form one run of addresses?
 * @map: where they lie
 * @first: the first
 * @nr: how many, at least one
 */
bool extent_consecutive(const struct extent_map *map, uint32_t first, uint32_t nr)
{
	return map->addr[first + nr - 1] - map->addr[first] == (uint64_t)(nr - 1) * map->unit;
}

static void link_extent(struct extent_index *idx, uint32_t first, uint32_t len)
{
	struct extent_slot *s = &idx->map->slot[first];

	s->len = len;
	idx->map->slot[first + len - 1].first = first;
	tree_insert(&idx->by_size, &s->by_size);
	tree_insert(&idx->by_addr, &s->by_addr);
	idx->extents++;
}

static void unlink_extent(struct extent_index *idx, uint32_t first)
{
	struct extent_slot *s = &idx->map->slot[first];

	tree_remove(&idx->by_size, &s->by_size);
	tree_remove(&idx->by_addr, &s->by_addr);
	idx->extents--;
}

bool extent_has(const struct extent_index *idx, uint32_t unit)
{
	return unit < idx->map->nr && idx->map->slot[unit].in == idx;
}

/* Do units @unit - 1 and @unit belong to one extent of @idx? */
static bool joined(const struct extent_index *idx, uint32_t unit)
{
	return unit > 0 && extent_has(idx, unit - 1) && extent_has(idx, unit) &&
	       extent_consecutive(idx->map, unit - 1, 2);
}

uint32_t extent_from(const struct extent_index *idx, uint32_t unit)
{
	if (!extent_has(idx, unit) || joined(idx, unit))
		return 0;
	return idx->map->slot[unit].len;
}

uint32_t extent_until(const struct extent_index *idx, uint32_t unit)
{
	if (!extent_has(idx, unit) || joined(idx, unit + 1))
		return 0;
	return unit + 1 - idx->map->slot[unit].first;
}

/* Add units with consecutive addresses. */
static void put_run(struct extent_index *idx, uint32_t first, uint32_t nr)
{
	struct extent_slot *slot = idx->map->slot;
	uint32_t i, len = nr;

	for (i = first; i < first + nr; i++) {
		assert(!slot[i].in);
		slot[i].in = idx;
	}
	idx->units += nr;
	if (joined(idx, first + nr)) {
		len += slot[first + nr].len;
		unlink_extent(idx, first + nr);
	}
	if (joined(idx, first)) {
		uint32_t before = slot[first - 1].first;

		unlink_extent(idx, before);
		len += first - before;
		first = before;
	}
	link_extent(idx, first, len);
}

/**
 * extent_put() - Make units free
 * @idx: in this index
 * @first: the first unit
 * @nr: how many; their addresses need not be consecutive
 */
void extent_put(struct extent_index *idx, uint32_t first, uint32_t nr)
{
	const struct extent_map *map = idx->map;
	uint32_t i, begin = first;

	for (i = first + 1; i <= first + nr; i++) {
		if (i < first + nr && extent_consecutive(map, i - 1, 2))
			continue;
		put_run(idx, begin, i - begin);
		begin = i;
	}
}

/* First unit of the extent that holds @unit. */
static bool addr_below(const struct tree_node *n, const void *key)
{
	return n <= (const struct tree_node *)key;
}

static uint32_t extent_of(const struct extent_index *idx, uint32_t unit)
{
	const struct tree_node *key = &idx->map->slot[unit].by_addr;
	const struct tree_node *n = idx->by_addr.root, *found = NULL;

	while (n) {
		if (addr_below(n, key)) {
			found = n;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	assert(found);
	return (uint32_t)(addr_slot(found) - idx->map->slot);
}

/**
 * extent_take() - Remove units that are free
 * @idx: from this index
 * @first: the first unit
 * @nr: how many; all in one extent
 */
void extent_take(struct extent_index *idx, uint32_t first, uint32_t nr)
{
	struct extent_slot *slot = idx->map->slot;
	uint32_t begin = extent_of(idx, first), end = begin + slot[begin].len, i;

	assert(first + nr <= end);
	unlink_extent(idx, begin);
	for (i = first; i < first + nr; i++) {
		assert(slot[i].in == idx);
		slot[i].in = NULL;
	}
	idx->units -= nr;
	if (begin < first)
		link_extent(idx, begin, first - begin);
	if (first + nr < end)
		link_extent(idx, first + nr, end - first - nr);
}

uint32_t extent_longest(const struct extent_index *idx)
{
	return idx->by_addr.root ? addr_slot(idx->by_addr.root)->longest : 0;
}

/**
 * extent_place() - Place a run within given units
 * @map: where they lie
 * @first: the first unit
 * @nr: how many, with consecutive addresses
 * @want: what is wanted
 * @ret_unit: the unit in which it begins
 * @ret_addr: its address
 *
 * Return: true if there is room for it.
 */
bool extent_place(const struct extent_map *map, uint32_t first, uint32_t nr,
		  const struct extent_want *want, uint32_t *ret_unit, uint64_t *ret_addr)
{
	uint64_t base = map->addr[first], addr;

	addr = vcma_reach_place(&want->reach, base, base + nr * map->unit, want->size, want->align);
	if (addr == VCMA_NO_ADDR)
		return false;
	*ret_unit = first + (uint32_t)((addr - base) / map->unit);
	*ret_addr = addr;
	return true;
}

static bool size_below(const struct tree_node *n, const void *key)
{
	return size_slot(n)->len < *(const uint64_t *)key;
}

/* At an end of the extent, if that is possible, so that it is not split in two. */
static bool try_extent(const struct extent_index *idx, const struct extent_slot *s,
		       const struct extent_want *want, uint32_t *ret_unit, uint64_t *ret_addr)
{
	const struct extent_map *map = idx->map;
	uint32_t first = (uint32_t)(s - map->slot);
	uint64_t end = map->addr[first] + s->len * map->unit, last;

	if (!extent_place(map, first, s->len, want, ret_unit, ret_addr))
		return false;
	last = end - want->size;
	if (*ret_unit != first && last % want->align == 0 &&
	    vcma_reach_ok(&want->reach, last, want->size)) {
		*ret_unit = first + (uint32_t)((last - map->addr[first]) / map->unit);
		*ret_addr = last;
	}
	return true;
}

/* The shortest of the first few extents of at least @units that do. */
static bool find_by_size(const struct extent_index *idx, uint64_t units,
			 const struct extent_want *want, uint32_t *ret_unit, uint64_t *ret_addr)
{
	struct tree_node *n = tree_find(&idx->by_size, size_below, &units);
	int tries;

	for (tries = 0; n && tries < EXTENT_TRIES; tries++) {
		if (try_extent(idx, size_slot(n), want, ret_unit, ret_addr))
			return true;
		n = tree_next(&idx->by_size, n);
	}
	return false;
}

/* The highest extent of at least @units in which @want can be placed. */
static bool find_by_addr(const struct extent_index *idx, const struct tree_node *n,
			 uint64_t units, const struct extent_want *want,
			 uint32_t *ret_unit, uint64_t *ret_addr)
{
	const struct extent_slot *s;

	if (!n || addr_slot(n)->longest < units)
		return false;
	s = addr_slot(n);
	if (idx->map->addr[s - idx->map->slot] <= want->reach.highest) {
		if (find_by_addr(idx, n->right, units, want, ret_unit, ret_addr))
			return true;
		if (s->len >= units && try_extent(idx, s, want, ret_unit, ret_addr))
			return true;
	}
	return find_by_addr(idx, n->left, units, want, ret_unit, ret_addr);
}

/**
 * extent_find() - Find the best free run
 * @idx: where to look
 * @want: what is wanted
 * @ret_unit: the unit in which it begins
 * @ret_addr: its address
 *
 * O(log n) if one of the shortest extents that are long enough can be used, or
 * if alignment alone stands in the way; else each extent that is long enough
 * and not too high is looked at.
 *
 * Return: true if there is one.
 */
bool extent_find(const struct extent_index *idx, const struct extent_want *want,
		 uint32_t *ret_unit, uint64_t *ret_addr)
{
	uint64_t unit = idx->map->unit, units = (want->size - 1) / unit + 1;

	if (units > extent_longest(idx))
		return false;
	if (find_by_size(idx, units, want, ret_unit, ret_addr))
		return true;
	if (want->align > unit &&
	    find_by_size(idx, units + want->align / unit - 1, want, ret_unit, ret_addr))
		return true;
	return find_by_addr(idx, idx->by_addr.root, units, want, ret_unit, ret_addr);
}

static bool before_unit(const struct tree_node *n, const void *key)
{
	return n < (const struct tree_node *)key;
}

uint32_t extent_next(const struct extent_index *idx, uint32_t unit)
{
	struct tree_node *n;

	if (unit >= idx->map->nr)
		return UINT32_MAX;
	n = tree_find(&idx->by_addr, before_unit, &idx->map->slot[unit].by_addr);
	return n ? (uint32_t)(addr_slot(n) - idx->map->slot) : UINT32_MAX;
}
