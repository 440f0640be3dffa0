// SPDX-License-Identifier: GPL-2.0-or-later
/* buddy.c - room within one chunk; see buddy.h */

#include "buddy.h"

void buddy_init(uint8_t *node, uint32_t nr)
{
	uint32_t n, width = 1;
	uint8_t room = (uint8_t)(__builtin_ctz(nr) + 1);

	for (n = 1; n < 2 * nr; n++) {
		if (n == 2 * width) {
			width = n;
			room--;
		}
		node[n] = room;
	}
}

void buddy_set(uint8_t *node, uint32_t nr, uint32_t i, bool is_free)
{
	uint32_t n = nr + i;
	uint8_t full = 1;	/* what a node of this level holds if all of it is free */

	node[n] = is_free;
	for (n /= 2; n; n /= 2, full++) {
		uint8_t a = node[2 * n], b = node[2 * n + 1];

		if (a == full && b == full)
			node[n] = full + 1;
		else
			node[n] = a > b ? a : b;
	}
}

struct find {
	const uint8_t *node;
	bool (*accept)(void *opaque, uint32_t i);
	void *opaque;
	uint32_t ret;
	unsigned int order;
};

/* @level: the order of node @n; @i: its first granule. */
static bool find(struct find *f, uint32_t n, unsigned int level, uint32_t i)
{
	uint32_t half, near;

	if (f->node[n] <= f->order)
		return false;
	if (level == f->order) {
		f->ret = i;
		return !f->accept || f->accept(f->opaque, i);
	}
	half = UINT32_C(1) << (level - 1);
	/* The half with less room first: the other keeps its large block. */
	near = f->node[2 * n] <= f->node[2 * n + 1] ? 0 : 1;
	return find(f, 2 * n + near, level - 1, i + near * half) ||
	       find(f, 2 * n + 1 - near, level - 1, i + (1 - near) * half);
}

bool buddy_find(const uint8_t *node, uint32_t nr, unsigned int order,
		bool (*accept)(void *opaque, uint32_t i), void *opaque, uint32_t *ret_i)
{
	struct find f = { .node = node, .accept = accept, .opaque = opaque, .order = order };

	if (!find(&f, 1, (unsigned int)__builtin_ctz(nr), 0))
		return false;
	*ret_i = f.ret;
	return true;
}
