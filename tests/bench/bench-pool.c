// SPDX-License-Identifier: GPL-2.0-or-later
/* bench-pool.c - a pool without memory and its VMs around the core; see bench-pool.h */

#include "bench-pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backing_sim.h"
#include "chunk_select.h"

static void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void on_grant(void *opaque, struct core_vm *vm, uint32_t sequence, struct core_lease *lease)
{
	struct bench_pool *b = opaque;

	(void)vm;
	b->answered = sequence;
	b->status = VCMA_ST_OK;
	b->lease = lease;
	b->answers++;
}

static void on_refuse(void *opaque, struct core_vm *vm, uint32_t sequence, uint32_t status)
{
	struct bench_pool *b = opaque;

	(void)vm;
	b->answered = sequence;
	b->status = status;
	b->answers++;
}

static void on_reclaim(void *opaque, struct core_vm *vm, uint32_t id, uint32_t deadline_ms,
		       const uint64_t *lease, uint32_t count)
{
	struct bench_pool *b = opaque;
	struct bench_order *o = &b->order[b->nr_orders];

	(void)deadline_ms;
	if (b->nr_orders == BENCH_ORDERS)
		return;
	b->nr_orders++;
	o->vm = vm;
	o->id = id;
	o->count = count;
	memcpy(o->lease, lease, count * sizeof(*lease));
}

static void on_pool_changed(void *opaque, struct core_vm *vm, uint64_t available)
{
	(void)opaque;
	(void)vm;
	(void)available;
}

static void on_scrub(void *opaque, struct core_granule *g)
{
	struct bench_pool *b = opaque;

	b->scrub[b->nr_scrub++] = g;
}

static const struct core_ops bench_ops = {
	.grant = on_grant,
	.refuse = on_refuse,
	.reclaim = on_reclaim,
	.pool_changed = on_pool_changed,
	.scrub = on_scrub,
};

struct bench_pool *bench_pool_new(uint32_t nr, uint64_t chunk, const uint64_t *extent,
				  uint32_t nr_extents, uint64_t seed)
{
	struct bench_pool *b = calloc(1, sizeof(*b));
	struct sim_pattern pattern = { .address = 4 * GIB, .nr = nr_extents };
	uint64_t *pfn = calloc(nr, sizeof(*pfn));
	struct core_pool_desc desc = {
		.name = "bench", .granule_size = GRANULE, .flags = VCMA_POOL_CONTIGUOUS,
		.backing = VCMA_BACKING_SIM, .pfn = pfn,
	};
	uint32_t i;

	if (!b || !pfn)
		die("no memory");
	desc.chunk_size = chunk ? chunk : chunk_default(nr * GRANULE, GRANULE);
	desc.nr = nr - nr % (uint32_t)(desc.chunk_size / GRANULE);
	if (nr_extents)
		memcpy(pattern.extent, extent, nr_extents * sizeof(*extent));
	for (i = 0; i < nr; i++)
		pfn[i] = sim_address(&pattern, desc.chunk_size, i * GRANULE) / 4096;
	b->random = seed * UINT64_C(2654435761) + 1;
	b->now = 1000;
	b->core = core_new(&bench_ops, b);
	if (!b->core || core_pool_add(b->core, &desc, &b->pool))
		die("cannot make the pool");
	free(pfn);
	return b;
}

void bench_pool_free(struct bench_pool *b)
{
	core_free(b->core);
	free(b);
}

struct core_vm *bench_vm(struct bench_pool *b, uint32_t number, uint8_t priority,
			 uint64_t guarantee, uint64_t run, uint64_t limit)
{
	char name[16];
	struct core_vm_desc desc = {
		.name = name, .priority = priority,
		.share = { .pool = b->pool, .guarantee = guarantee, .guarantee_run = run,
			   .limit = limit },
	};
	struct core_vm *vm;

	snprintf(name, sizeof(name), "vm%u", number);
	if (core_vm_add(b->core, &desc, &vm, NULL))
		die("cannot add a VM");
	core_vm_connected(b->core, vm, 1, b->now);
	return vm;
}

uint64_t bench_roll(struct bench_pool *b, uint64_t below)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (b->random >> 11) % below;
}

uint64_t bench_lease(struct bench_pool *b, struct core_vm *vm, uint64_t size,
		     uint32_t deadline_ms, bool *ret_waits)
{
	const struct core_lease_args args = {
		.size = size, .max_addr = UINT64_MAX, .deadline_ms = deadline_ms,
	};
	uint64_t id;

	b->answered = 0;
	core_lease(b->core, vm, ++b->sequence, &args, b->now);
	if (ret_waits)
		*ret_waits = !b->answered;
	if (!b->answered && !ret_waits)
		core_cancel(b->core, vm, b->sequence, b->now);
	if (b->answered != b->sequence || b->status != VCMA_ST_OK)
		return 0;
	id = core_lease_id(b->lease);
	core_lease_acked(b->core, b->lease, b->now);
	return id;
}

void bench_release(struct bench_pool *b, struct core_vm *vm, uint64_t lease)
{
	if (core_released(b->core, vm, &lease, 1, b->now))
		die("a lease is not there");
}

uint32_t bench_scrub(struct bench_pool *b, uint32_t max)
{
	uint32_t n;

	for (n = 0; n < max && b->nr_scrub; n++) {
		struct core_granule *g = b->scrub[0];

		b->nr_scrub--;
		memmove(b->scrub, b->scrub + 1, b->nr_scrub * sizeof(b->scrub[0]));
		core_scrubbed(b->core, g, CORE_SCRUB_CLEAN, b->now);
	}
	return n;
}

uint64_t bench_resident(void)
{
	unsigned long size, resident;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		die("/proc/self/statm");
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t bench_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
