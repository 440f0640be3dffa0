// SPDX-License-Identifier: GPL-2.0-or-later
/* study-rivals.c - what one might do instead: partitions, and first fit; see study.h */

#include "study.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FREE	0
#define TAKEN	1

/* A handle is 1 + the first granule. */
struct bits {
	uint8_t taken[STUDY_GRANULES];
	uint32_t used[STUDY_VMS];
	uint32_t lowest;	/* none is free below */
};

static void *bits_make(void)
{
	void *self = calloc(1, sizeof(struct bits));

	if (!self)
		abort();
	return self;
}

/* The lowest run of @n free granules in [@from, @end). */
static uint64_t first_run(struct bits *b, uint32_t from, uint32_t end, uint32_t n)
{
	const uint8_t *at = b->taken + from, *stop = b->taken + end, *next;

	while ((at = memchr(at, FREE, (size_t)(stop - at)))) {
		next = memchr(at, TAKEN, (size_t)(stop - at));
		if (!next)
			next = stop;
		if (next - at >= (ptrdiff_t)n) {
			memset(b->taken + (at - b->taken), TAKEN, n);
			return 1 + (uint64_t)(at - b->taken);
		}
		at = next;
	}
	return 0;
}

static void bits_release(void *self, uint32_t vm, uint64_t handle, uint32_t granules)
{
	struct bits *b = self;

	b->used[vm] -= granules;
	memset(b->taken + handle - 1, FREE, granules);
	if (handle - 1 < b->lowest)
		b->lowest = (uint32_t)(handle - 1);
}

static void bits_minute(void *self, uint32_t now)
{
	(void)self;
	(void)now;
}

static uint64_t static_lease(void *self, uint32_t vm, uint32_t granules)
{
	const uint32_t part = STUDY_GRANULES / STUDY_VMS;
	struct bits *b = self;
	uint64_t handle = first_run(b, vm * part, (vm + 1) * part, granules);

	if (handle)
		b->used[vm] += granules;
	return handle;
}

static uint64_t first_fit_lease(void *self, uint32_t vm, uint32_t granules)
{
	struct bits *b = self;
	uint64_t handle;

	if (b->used[vm] + granules > STUDY_LIMIT)
		return 0;
	while (b->lowest < STUDY_GRANULES && b->taken[b->lowest])
		b->lowest++;
	handle = first_run(b, b->lowest, STUDY_GRANULES, granules);
	if (handle)
		b->used[vm] += granules;
	return handle;
}

const struct study_rival study_static = {
	.name = "partitions",
	.make = bits_make, .free = free, .lease = static_lease, .release = bits_release,
	.minute = bits_minute,
};

const struct study_rival study_first_fit = {
	.name = "first fit",
	.make = bits_make, .free = free, .lease = first_fit_lease, .release = bits_release,
	.minute = bits_minute,
};
