// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-core.c - what the core's decisions cost, in time and in memory, from a
 * thousand granules to a million
 *
 *	bench-core
 *
 * Each pool is half full of leases of 2 to 32 MiB of 4 VMs, which come and go at
 * random; the cost is that of one lease of 2 or 16 MiB from request to
 * acknowledgement, the median of many small batches.  Nothing here is asserted: `make bench`
 * shows it side by side.
 */

#include "bench-pool.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define VMS	4
#define BATCH	32
#define BATCHES	2000

struct held {
	struct core_vm *vm;
	uint64_t id;
	uint32_t granules;
};

struct load {
	struct bench_pool *b;
	struct core_vm *vm[VMS];
	struct held *held;
	uint32_t nr, most;
	uint64_t granules;
};

static void die_if(bool bad, const char *what)
{
	if (!bad)
		return;
	fprintf(stderr, "bench-core: %s\n", what);
	exit(1);
}

static void some_lease(struct load *l, uint32_t granules)
{
	struct held *h = &l->held[l->nr];

	h->vm = l->vm[bench_roll(l->b, VMS)];
	h->granules = granules;
	h->id = bench_lease(l->b, h->vm, h->granules * GRANULE, 1000, NULL);
	if (!h->id)
		return;
	l->granules += h->granules;
	l->nr++;
}

static void some_release(struct load *l)
{
	struct held *h = &l->held[bench_roll(l->b, l->nr)];

	bench_release(l->b, h->vm, h->id);
	l->granules -= h->granules;
	*h = l->held[--l->nr];
	bench_scrub(l->b, UINT32_MAX);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t median(uint64_t *v, uint32_t nr)
{
	qsort(v, nr, sizeof(*v), compare);
	return v[nr / 2];
}

/* ns of a plan that looks at the whole pool and finds that all of it is in use. */
static uint64_t measure_plan(struct load *l, uint64_t *ns, uint32_t nr)
{
	uint64_t size = GRANULE, t;
	uint32_t i;

	while (size <= core_pool_bytes(l->b->pool) / 3)
		size *= 2;
	for (i = 0; i < l->nr; i++)
		core_stats(l->b->core, l->held[i].vm,
			   &(struct core_stats){ .lease = l->held[i].id }, 1, l->b->now);
	for (i = 0; i < nr; i++) {
		t = bench_ns();
		die_if(bench_lease(l->b, l->vm[0], size, 1000, NULL), "a third of the pool in one run");
		ns[i] = bench_ns() - t;
		die_if(l->b->status != VCMA_ST_TRY_LATER && l->b->status != VCMA_ST_NO_RUN,
		       "not for want of a run");
	}
	return median(ns, nr);
}

static void churn(struct load *l, uint32_t steps)
{
	while (steps--) {
		some_lease(l, 1u << bench_roll(l->b, 5));
		while (l->granules > l->most)
			some_release(l);
	}
}

/* ns of one lease of so many granules, and of a return until all is clean. */
static void measure_leases(struct load *l, uint32_t granules, uint64_t *ret_lease,
			   uint64_t *ret_release)
{
	static uint64_t lease[BATCHES], release[BATCHES];
	uint32_t i, j, before;
	uint64_t t;

	for (i = 0; i < BATCHES; i++) {
		before = l->nr;
		t = bench_ns();
		for (j = 0; j < BATCH; j++)
			some_lease(l, granules);
		lease[i] = (bench_ns() - t) / BATCH;
		die_if(l->nr == before, "all leases were refused");
		t = bench_ns();
		for (j = 0; l->nr > before; j++)
			some_release(l);
		release[i] = (bench_ns() - t) / j;
		churn(l, BATCH);
	}
	*ret_lease = median(lease, BATCHES);
	*ret_release = median(release, BATCHES);
}

struct cost {
	uint64_t small, large, release, plan;	/* ns */
};

static struct cost measure(uint32_t nr)
{
	static uint64_t plan[BATCHES / 10];
	static const uint64_t extent[] = { 4 * GIB, GIB, 16 * GIB };
	struct load l = { .most = nr / 2 };
	uint64_t release;
	struct cost ret;
	uint32_t i;

	l.b = bench_pool_new(nr, 0, extent, nr > 10000 ? 3 : 0, 7);
	l.held = calloc(nr + BATCH, sizeof(*l.held));
	die_if(!l.held, "no memory");
	for (i = 0; i < VMS; i++)
		l.vm[i] = bench_vm(l.b, i, 5, 0, 0, core_pool_bytes(l.b->pool));
	/* Several times over, so that chunks and extents are as they are after a while. */
	churn(&l, nr / 2);
	measure_leases(&l, 1, &ret.small, &ret.release);
	measure_leases(&l, 8, &ret.large, &release);
	ret.plan = measure_plan(&l, plan, BATCHES / 10);
	free(l.held);
	bench_pool_free(l.b);
	malloc_trim(0);
	return ret;
}

static double growth(uint64_t ns, uint64_t first)
{
	return (double)ns / (double)first;
}

static void times(void)
{
	static const uint32_t sizes[] = { 1000, 30000, 1000000 };
	struct cost first = { 0 }, c;
	size_t i;

	printf("%-9s | %8s %6s | %8s %6s | %8s %6s | %s\n", "granules", "2M, ns", "growth",
	       "16M, ns", "growth", "back, ns", "growth", "a plan, us");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		c = measure(sizes[i]);
		if (!i)
			first = c;
		printf("%-9u | %8llu %6.2f | %8llu %6.2f | %8llu %6.2f | %10.1f\n", sizes[i],
		       (unsigned long long)c.small, growth(c.small, first.small),
		       (unsigned long long)c.large, growth(c.large, first.large),
		       (unsigned long long)c.release, growth(c.release, first.release),
		       (double)c.plan / 1000);
	}
}

#define MILLION	1000000u

/* MiB */
static double grown_since(uint64_t before)
{
	return (double)(bench_resident() - before) / (double)MIB;
}

static void memory(void)
{
	uint64_t before = bench_resident();
	struct bench_pool *b = bench_pool_new(MILLION, 0, NULL, 0, 7);
	struct core_vm *vm = NULL;
	uint32_t i;

	malloc_trim(0);
	printf("a million granules, all free: %.1f MiB\n", grown_since(before));
	for (i = 0; i < 10000; i++)
		vm = bench_vm(b, i, 5, 0, 0, core_pool_bytes(b->pool));
	printf("and 10,000 VMs: %.1f MiB\n", grown_since(before));
	while (bench_lease(b, vm, 32 * MIB, 1000, NULL))
		;
	printf("and all of it leased, 32 MiB each: %.1f MiB\n", grown_since(before));
	core_vm_gone(b->core, vm, b->now);
	while (bench_scrub(b, 1))
		;
	while (bench_lease(b, vm, GRANULE, 1000, NULL))
		;
	printf("or all of it in single granules: %.1f MiB\n", grown_since(before));
	bench_pool_free(b);
}

int main(void)
{
	times();
	memory();
	return 0;
}
