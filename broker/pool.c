// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool.c - takes a pool's granules from its backing
 *
 * DOC: Theory of operation
 *
 * A pool is made of whole, naturally aligned chunks.  The kernel gives huge
 * pages in no particular order, the most scattered ones first; so more are
 * taken than the pool will have, while they are free, until there are enough
 * whole chunks, and a run as long as the longest one that is promised to a
 * VM.  The longest extents are kept, the rest goes back at once.  At most twice
 * as many are taken, or HARVEST_MIN if that is more: a small pool has to look
 * beyond what a busy machine has in pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunk_select.h"
#include "config.h"
#include "core.h"
#include "pool.h"
#include "size.h"
#include "util.h"

#define HARVEST_MIN		1024
#define GRANULE_PFNS		(BACKING_GRANULE >> BACKING_PFN_SHIFT)

/* What has been taken so far, and which of it would be kept. */
struct harvest {
	struct granule_file *file;
	uint64_t *pfn;
	bool *keep;
	uint32_t nr, max;
	uint32_t kept;
};

static int compare_files(const void *a, const void *b)
{
	const struct granule_file *x = a, *y = b;

	return (x->pfn > y->pfn) - (x->pfn < y->pfn);
}

/* Choose from what is there.  The longest run of what is kept, in granules. */
static int harvest_choose(struct harvest *h, const struct config_pool *cfg, uint32_t *ret_longest)
{
	uint32_t run = 0, longest = 0;
	uint64_t last = 0;
	int r;

	qsort(h->file, h->nr, sizeof(*h->file), compare_files);
	for (uint32_t i = 0; i < h->nr; i++)
		h->pfn[i] = h->file[i].pfn;
	r = chunk_select(h->pfn, h->nr, BACKING_GRANULE, cfg->chunk,
			 (uint32_t)(cfg->size / BACKING_GRANULE), h->keep, &h->kept);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < h->nr; i++) {
		if (!h->keep[i])
			continue;
		run = run && h->pfn[i] == last + GRANULE_PFNS ? run + 1 : 1;
		last = h->pfn[i];
		longest = MAX(longest, run);
	}
	*ret_longest = longest;
	return 0;
}

/* Where granule @i would be, if that is not for the machine to say. */
static uint64_t made_up_pfn(const struct config_pool *cfg, uint64_t first_pfn, uint32_t i)
{
	struct sim_pattern sim = cfg->sim;

	if (!sim.address)
		sim.address = first_pfn << BACKING_PFN_SHIFT;
	return sim_address(&sim, cfg->chunk, i * BACKING_GRANULE) >> BACKING_PFN_SHIFT;
}

static int harvest_take(struct harvest *h, struct backing *b, const struct config_pool *cfg,
			uint32_t upto, uint64_t first_pfn)
{
	while (h->nr < upto) {
		int r = b->ops->take(b, made_up_pfn(cfg, first_pfn, h->nr), &h->file[h->nr]);

		if (r < 0)
			return r;
		h->nr++;
	}
	return 0;
}

/*
 * How many descriptors this process may still open for granules.
 * The lowest that is free says how many are open: none is closed before this.
 */
static uint32_t descriptors_left(int fd_end)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int left = fd < 0 ? 0 : fd_end - fd;

	fd_close(&fd);
	return left < 0 ? 0 : (uint32_t)left;
}

static void read_number(const char *path, uint64_t *ret)
{
	FILE *f = fopen(path, "re");

	*ret = 0;
	if (!f)
		return;
	if (fscanf(f, "%" SCNu64, ret) != 1)
		*ret = 0;
	fclose(f);
}

static char *explain_short(const struct config_pool *cfg, const struct harvest *h, int err,
			   uint32_t longest, uint64_t min_run)
{
	const uint32_t wanted = (uint32_t)(cfg->size / BACKING_GRANULE);
	char size[SIZE_TEXT_MAX], chunk[SIZE_TEXT_MAX], got[SIZE_TEXT_MAX], run[SIZE_TEXT_MAX];
	uint64_t total, missing = wanted - MIN(wanted, h->nr);

	size_format(cfg->size, size);
	size_format(cfg->chunk, chunk);
	if (err == -EMFILE || err == -ENFILE)
		return g_strdup_printf("pool %s: %s are %u granules with a descriptor each, and this process may open too few (%u got): raise its limit (ulimit -n, LimitNOFILE=) or use a smaller pool",
				       cfg->name, size, wanted, h->nr);
	if (h->nr < wanted && cfg->backing == &backing_hugetlb) {
		read_number("/proc/sys/vm/nr_hugepages", &total);
		return g_strdup_printf("pool %s: vm.nr_hugepages: %u huge pages free, %u needed for %s: echo %" PRIu64 " > /proc/sys/vm/nr_hugepages",
				       cfg->name, h->nr, wanted, size, total + missing);
	}
	if (h->nr < wanted)
		return g_strdup_printf("pool %s: %u of %u granules of %s, then: %s", cfg->name,
				       h->nr, wanted, size, g_strerror(-err));
	read_number("/proc/sys/vm/nr_hugepages", &total);
	if (h->kept < wanted)
		return g_strdup_printf("pool %s: the %u huge pages that are free make up only %u whole chunks of %s, %u are needed: free memory first (echo 1 > /proc/sys/vm/compact_memory), raise vm.nr_hugepages (now %" PRIu64 "), or use a smaller chunk",
				       cfg->name, h->nr,
				       (uint32_t)(h->kept / (cfg->chunk / BACKING_GRANULE)), chunk,
				       (uint32_t)(cfg->size / cfg->chunk), total);
	return g_strdup_printf("pool %s: the longest run of consecutive huge pages is %s, a guarantee promises runs of %s: raise vm.nr_hugepages (now %" PRIu64 ") so that there are more to choose from, or promise shorter runs",
			       cfg->name,
			       size_format((uint64_t)longest * BACKING_GRANULE, got),
			       size_format(min_run, run), total);
}

static void harvest_free(struct harvest *h)
{
	for (uint32_t i = 0; h->file && i < h->nr; i++)
		granule_file_close(&h->file[i]);
	g_free(h->file);
	g_free(h->pfn);
	g_free(h->keep);
}

static struct pool *pool_new(const struct config_pool *cfg, struct backing *backing, int fd_end,
			     struct harvest *h)
{
	struct pool *pool = g_new0(struct pool, 1);

	g_strlcpy(pool->name, cfg->name, sizeof(pool->name));
	pool->backing = backing;
	pool->chunk_size = cfg->chunk;
	pool->fd_end = fd_end;
	pool->granules = g_new0(struct granule, h->kept);
	for (uint32_t i = 0; i < h->nr; i++) {
		struct granule *g = &pool->granules[pool->nr];

		if (!h->keep[i])
			continue;
		g->file = h->file[i];
		g->pfn = g->file.pfn;
		g->pool = pool;
		h->file[i].fd = -1;
		pool->nr++;
	}
	return pool;
}

/**
 * pool_build - take a pool's granules
 * @cfg: how large, which chunk
 * @backing: where from; outlives the pool
 * @min_run: bytes; the longest run that is promised to a VM
 * @first_pfn: where made-up PFNs begin, a multiple of the chunk
 * @fd_end: descriptors below this number are for granules
 * @ret_pool: pool_free(); untouched on failure
 * @ret_error: on failure, cause and cure in words; g_free()
 *
 * Return: 0; -ENOSPC: too few pages, or too scattered; another -errno.
 */
int pool_build(const struct config_pool *cfg, struct backing *backing, uint64_t min_run,
	       uint64_t first_pfn, int fd_end, struct pool **ret_pool, char **ret_error)
{
	const uint32_t wanted = (uint32_t)(cfg->size / BACKING_GRANULE);
	const uint32_t left = descriptors_left(fd_end);
	struct harvest h = { 0 };
	uint32_t longest = 0, upto = wanted;
	int r;

	if (wanted > left && !backing->ops->simulated) {
		*ret_error = g_strdup_printf("pool %s: %u granules need a descriptor each, %u are left beside those that the VMs' connections may need: raise this process's limit (ulimit -n, LimitNOFILE=) or use a smaller pool",
					     cfg->name, wanted, left);
		return -EMFILE;
	}
	h.max = backing->ops->contiguous ? MIN(MAX(2 * wanted, HARVEST_MIN), left) : wanted;
	h.file = g_new0(struct granule_file, h.max);
	h.pfn = g_new0(uint64_t, h.max);
	h.keep = g_new0(bool, h.max);
	for (;;) {
		int err = harvest_take(&h, backing, cfg, upto, first_pfn);

		r = harvest_choose(&h, cfg, &longest);
		if (r < 0)
			break;
		if (h.kept == wanted && (uint64_t)longest * BACKING_GRANULE >= min_run)
			break;
		if (err < 0 || upto == h.max) {
			*ret_error = explain_short(cfg, &h, err, longest, min_run);
			r = -ENOSPC;
			goto out;
		}
		upto = MIN(upto + MAX(wanted / 4, 16), h.max);
	}
	if (r < 0)
		*ret_error = g_strdup_printf("pool %s: %s", cfg->name, g_strerror(-r));
	else
		*ret_pool = pool_new(cfg, backing, fd_end, &h);
out:
	harvest_free(&h);
	return r;
}

uint32_t pool_promises(const struct pool *pool)
{
	const struct backing_ops *ops = pool->backing->ops;

	return (ops->contiguous ? VCMA_POOL_CONTIGUOUS : 0) |
	       (ops->revocable ? VCMA_POOL_REVOCABLE : 0);
}

/**
 * pool_add_to_core - tell the core of a pool
 * @pool: gets its core pool; its granules are their core granules' tags
 * @core: where to
 * @ret_error: on failure, cause in words; g_free()
 *
 * Return: 0 or -errno.
 */
int pool_add_to_core(struct pool *pool, struct core *core, char **ret_error)
{
	struct core_pool_desc desc = {
		.name = pool->name,
		.granule_size = BACKING_GRANULE,
		.chunk_size = pool->chunk_size,
		.flags = pool_promises(pool),
		.backing = pool->backing->ops->id,
		.nr = pool->nr,
	};
	uint64_t *pfn = g_new(uint64_t, pool->nr);
	void **tags = g_new(void *, pool->nr);
	int r;

	for (uint32_t i = 0; i < pool->nr; i++) {
		pfn[i] = pool->granules[i].pfn;
		tags[i] = &pool->granules[i];
	}
	desc.pfn = pfn;
	desc.tags = tags;
	r = core_pool_add(core, &desc, &pool->core);
	if (r < 0)
		*ret_error = g_strdup_printf("pool %s: %s", pool->name, g_strerror(-r));
	g_free(pfn);
	g_free(tags);
	return r;
}

/**
 * pool_free - give the granules back; NULL is fine
 * @pool: its scrubber has ended
 */
void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < pool->nr; i++)
		granule_file_close(&pool->granules[i].file);
	g_free(pool->granules);
	g_free(pool);
}

/**
 * pool_find - the granule of a page
 * @pool: where to look
 * @pfn: of the page
 *
 * Return: the granule, or NULL: the page is not of this pool.
 */
struct granule *pool_find(const struct pool *pool, uint64_t pfn)
{
	uint32_t lo = 0, hi = pool->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (pool->granules[mid].pfn == pfn)
			return &pool->granules[mid];
		if (pool->granules[mid].pfn < pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void pool_extents(const struct pool *pool, uint32_t *ret_extents, uint64_t *ret_longest)
{
	uint32_t extents = 0, run = 0, longest = 0;

	for (uint32_t i = 0; i < pool->nr; i++) {
		bool next = i && pool->granules[i].pfn == pool->granules[i - 1].pfn + GRANULE_PFNS;

		extents += !next;
		run = next ? run + 1 : 1;
		longest = MAX(longest, run);
	}
	*ret_extents = extents;
	*ret_longest = (uint64_t)longest * BACKING_GRANULE;
}
