/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buddy.h - room within one chunk: naturally aligned blocks of 2^n granules
 *
 * DOC: Theory of operation
 *
 * A complete binary tree in an array of 2 * nr bytes: node 1 is the whole
 * chunk, nodes 2n and 2n + 1 are the halves of node n, node nr + i is granule
 * i.  Each holds 1 + the order of the largest free block in its part, or 0 if
 * nothing is free there.  So freeing, taking and finding are O(log nr).
 */
#ifndef VCMA_BROKER_BUDDY_H
#define VCMA_BROKER_BUDDY_H

#include <stdbool.h>
#include <stdint.h>

#define BUDDY_MAX_ORDER	24

/* All @nr granules are free; @nr is a power of two. */
void buddy_init(uint8_t *node, uint32_t nr);
void buddy_set(uint8_t *node, uint32_t nr, uint32_t i, bool is_free);
/* 1 + the order of the largest free block, or 0. */
static inline unsigned int buddy_room(const uint8_t *node)
{
	return node[1];
}
/*
 * A free block of 2^@order granules for which accept() is true (NULL: any), in
 * the part with the least room that has such a block.  True and its first
 * granule, or false.
 */
bool buddy_find(const uint8_t *node, uint32_t nr, unsigned int order,
		bool (*accept)(void *opaque, uint32_t i), void *opaque, uint32_t *ret_i);

#endif /* VCMA_BROKER_BUDDY_H */
