/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place.h - what is wanted, and where it can be had at once
 *
 * DOC: Theory of operation
 *
 * A lease smaller than a chunk is naturally aligned and lies in one chunk: in
 * one of the VM's if there is room, in a fresh one else.  A larger one takes
 * consecutive whole chunks.  place_find() looks, in this order, at the room
 * in the VM's own chunks (home first, the smallest block that does), its free
 * home chunks, free shared chunks, and runs of both.  It changes nothing.
 */
#ifndef VCMA_BROKER_PLACE_H
#define VCMA_BROKER_PLACE_H

#include "core_internal.h"

/**
 * struct want - a request in the pool's terms
 * @ext: size, alignment and reach
 * @granules: how many
 * @chunks: how many whole chunks it takes; 1 for a smaller one
 */
struct want {
	struct extent_want ext;
	uint32_t granules;
	uint32_t chunks;
};

/* 0, or -EINVAL: a value out of its range. */
int want_init(struct want *ret, const struct core_pool *pool, const struct core_lease_args *args);
/*
 * Where @share can have it at once: true and the index of the first granule.
 * @spare: chunks charged to it that it would give up for this.
 */
bool place_find(struct share *share, const struct want *want, uint32_t spare, uint32_t *ret_first);
/* Index of the granule at @addr, which lies in chunk @chunk. */
uint32_t place_granule(const struct core_pool *pool, uint32_t chunk, uint64_t addr);

#endif /* VCMA_BROKER_PLACE_H */
