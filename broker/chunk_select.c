// SPDX-License-Identifier: GPL-2.0-or-later
/* chunk_select.c - which granules make up a pool: whole, naturally aligned chunks */

#include "chunk_select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096

/* A run of whole chunks with consecutive addresses. */
struct select_run {
	uint32_t first;		/* index of its first granule */
	uint32_t nr;		/* granules */
};

/**
 * chunk_default() - Propose a chunk size
 * @pool_size: bytes
 * @granule_size: bytes, a power of two
 *
 * Return: the largest power of two up to a sixteenth of the pool, at least a
 * granule and at most 256 MiB (or a granule, if that is larger).
 */
uint64_t chunk_default(uint64_t pool_size, uint64_t granule_size)
{
	uint64_t chunk = granule_size;

	while (chunk <= CHUNK_DEFAULT_MAX / 2 && chunk * 2 <= pool_size / CHUNK_PER_POOL)
		chunk *= 2;
	return chunk;
}

/* The longest first; of equals the lower one. */
static int compare_runs(const void *a, const void *b)
{
	const struct select_run *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? 1 : -1;
	return (x->first > y->first) - (x->first < y->first);
}

/* Is there a whole, aligned chunk of @per granules at @i? */
static bool whole_chunk(const uint64_t *pfn, uint32_t nr, uint32_t i, uint32_t per, uint64_t step)
{
	return nr - i >= per && pfn[i] % (per * step) == 0 &&
	       pfn[i + per - 1] - pfn[i] == (per - 1) * step;
}

/**
 * chunk_select() - Choose the granules of a pool from those at hand
 * @pfn: page frame numbers (of 4096 bytes) of the granules at hand, ascending,
 *	each aligned to the granule size
 * @nr: how many
 * @granule_size: bytes, a power of two, at least 4096
 * @chunk_size: bytes, a power of two, at least a granule
 * @wanted: how many granules to choose; rounded down to whole chunks
 * @ret_take: [@nr]; true for those chosen
 * @ret_nr: how many are chosen; fewer than wanted if there are not so many
 *	whole chunks
 *
 * Chooses whole, naturally aligned chunks, those of the longest extents first.
 *
 * Return: 0, -EINVAL (sizes, or @pfn not ascending) or -ENOMEM.
 */
int chunk_select(const uint64_t *pfn, uint32_t nr, uint64_t granule_size, uint64_t chunk_size,
		 uint32_t wanted, bool *ret_take, uint32_t *ret_nr)
{
	uint64_t step = granule_size / PAGE;
	uint32_t per, i, runs = 0, taken = 0;
	struct select_run *run;

	if (granule_size < PAGE || (granule_size & (granule_size - 1)) ||
	    chunk_size < granule_size || (chunk_size & (chunk_size - 1)) ||
	    chunk_size / granule_size > UINT32_MAX / 2)
		return -EINVAL;
	for (i = 1; i < nr; i++)
		if (pfn[i] <= pfn[i - 1])
			return -EINVAL;
	per = (uint32_t)(chunk_size / granule_size);
	run = calloc(nr / per + 1, sizeof(*run));
	if (!run)
		return -ENOMEM;

	for (i = 0; i < nr;) {
		if (!whole_chunk(pfn, nr, i, per, step)) {
			i++;
			continue;
		}
		if (runs && run[runs - 1].first + run[runs - 1].nr == i &&
		    pfn[i] - pfn[i - 1] == step)
			run[runs - 1].nr += per;
		else
			run[runs++] = (struct select_run){ .first = i, .nr = per };
		i += per;
	}
	qsort(run, runs, sizeof(*run), compare_runs);

	memset(ret_take, 0, nr * sizeof(*ret_take));
	wanted -= wanted % per;
	for (i = 0; i < runs && taken < wanted; i++) {
		uint32_t n = run[i].nr < wanted - taken ? run[i].nr : wanted - taken;

		memset(ret_take + run[i].first, true, n * sizeof(*ret_take));
		taken += n;
	}
	free(run);
	*ret_nr = taken;
	return 0;
}
