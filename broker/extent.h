/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extent.h - index of free extents by address and by size
 *
 * DOC: Theory of operation
 *
 * The memory of a pool is a row of units (chunks) of equal size, in ascending
 * order of address.  An extent_map says where each unit lies.  An extent_index
 * is a set of free units, kept as maximal extents: runs of units whose
 * addresses are consecutive.  Several indices (the shared part, the home of
 * each VM) share one map; a unit is in at most one of them.
 *
 * Nothing is allocated per extent: its two tree nodes lie in the slot of its
 * first unit, the slot of its last unit says where the first one is, and each
 * slot says in which index its unit is.  So neighbours are found and joined
 * without a search.  One tree orders extents by size, the other by address,
 * with the longest extent of each subtree: a search that must keep below an
 * address passes by what is too short without looking.
 *
 * extent_find() takes the shortest extent that does (best fit), among equals
 * the highest: low addresses are scarce (I6).  Within it, it takes the lower end, or the
 * upper one, or, if alignment or reach allow neither, a place between, which is
 * the only case that makes two extents of one.
 */
#ifndef VCMA_BROKER_EXTENT_H
#define VCMA_BROKER_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tree.h"
#include "zone.h"

struct extent_index;

struct extent_slot {
	struct tree_node by_size, by_addr;
	struct extent_index *in;	/* the index that this unit is free in, or NULL */
	uint32_t len;			/* of the extent; valid in its first slot */
	uint32_t first;			/* valid in its last slot */
	uint32_t longest;		/* in the subtree of by_addr */
};

struct extent_map {
	const uint64_t *addr;		/* of each unit, ascending */
	uint64_t unit;			/* bytes */
	uint32_t nr;
	struct extent_slot *slot;
};

struct extent_index {
	struct extent_map *map;
	struct tree by_size, by_addr;
	uint32_t units;			/* free in all */
	uint32_t extents;
};

/**
 * struct extent_want - a run to be found
 * @size: bytes
 * @align: of its address, bytes, a power of two
 * @reach: where it may lie
 */
struct extent_want {
	uint64_t size;
	uint64_t align;
	struct vcma_reach reach;
};

/* 0 or -ENOMEM.  Keeps @addr. */
int extent_map_init(struct extent_map *map, const uint64_t *addr, uint32_t nr, uint64_t unit);
void extent_map_fini(struct extent_map *map);
void extent_index_init(struct extent_index *idx, struct extent_map *map);

/* Units [@first, @first + @nr) become free in @idx; they were free in none. */
void extent_put(struct extent_index *idx, uint32_t first, uint32_t nr);
/* They are free in @idx, with consecutive addresses, and are so no more. */
void extent_take(struct extent_index *idx, uint32_t first, uint32_t nr);
bool extent_has(const struct extent_index *idx, uint32_t unit);

/* Length of the extent that begins (ends) with @unit; 0: none does. */
uint32_t extent_from(const struct extent_index *idx, uint32_t unit);
uint32_t extent_until(const struct extent_index *idx, uint32_t unit);
/* Length of the longest extent. */
uint32_t extent_longest(const struct extent_index *idx);

/* True if a free run as wanted exists; then its unit and its address. */
bool extent_find(const struct extent_index *idx, const struct extent_want *want,
		 uint32_t *ret_unit, uint64_t *ret_addr);
/* The same within units [@first, @first + @nr), which have consecutive addresses. */
bool extent_place(const struct extent_map *map, uint32_t first, uint32_t nr,
		  const struct extent_want *want, uint32_t *ret_unit, uint64_t *ret_addr);
/* True if the units have consecutive addresses. */
bool extent_consecutive(const struct extent_map *map, uint32_t first, uint32_t nr);

/* Walk the extents by address: the first unit of the one at or after @unit, or UINT32_MAX. */
uint32_t extent_next(const struct extent_index *idx, uint32_t unit);

#endif /* VCMA_BROKER_EXTENT_H */
