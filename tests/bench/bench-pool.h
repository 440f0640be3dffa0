/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-pool.h - a pool without memory and its VMs around the core, as fast as can
 * be: what the benchmarks and the study drive
 *
 * Unlike the unit tests' core-sim.h it records no orders: the latest grant or refusal
 * is all that is kept.  Grants are acknowledged at once.
 */
#ifndef VCMA_TESTS_BENCH_POOL_H
#define VCMA_TESTS_BENCH_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

#define GRANULE	(UINT64_C(2) << 20)
#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)

struct bench_pool;

/* A reclaim order that nobody has answered yet.  What does not fit is ignored. */
struct bench_order {
	struct core_vm *vm;
	uint32_t id, count;
	uint64_t lease[VCMA_IDS_MAX];
};

#define BENCH_ORDERS	64

/**
 * struct bench_pool - see above
 * @status: of the latest answer; 0: a grant of @lease
 * @answers: how many there were
 * @scrub: what the scrubber has, the oldest first
 */
struct bench_pool {
	struct core *core;
	struct core_pool *pool;
	uint64_t random;
	uint64_t now;
	uint32_t sequence;
	uint32_t status;
	uint32_t answered;		/* sequence of the latest answer */
	struct core_lease *lease;
	uint64_t answers;
	struct core_granule *scrub[CORE_SCRUB_MAX];
	uint32_t nr_scrub;
	struct bench_order order[BENCH_ORDERS];
	uint32_t nr_orders;
};

/* @nr granules in extents of @extents bytes in turn; chunk 0: the default. */
struct bench_pool *bench_pool_new(uint32_t nr, uint64_t chunk, const uint64_t *extent,
				  uint32_t nr_extents, uint64_t seed);
void bench_pool_free(struct bench_pool *b);
struct core_vm *bench_vm(struct bench_pool *b, uint32_t number, uint8_t priority,
			 uint64_t guarantee, uint64_t run, uint64_t limit);
uint64_t bench_roll(struct bench_pool *b, uint64_t below);

/* The lease's id, or 0: refused, or it waits (then *ret_waits, unless NULL). */
uint64_t bench_lease(struct bench_pool *b, struct core_vm *vm, uint64_t size,
		     uint32_t deadline_ms, bool *ret_waits);
void bench_release(struct bench_pool *b, struct core_vm *vm, uint64_t lease);
/* Up to @max answers of the scrubber; how many. */
uint32_t bench_scrub(struct bench_pool *b, uint32_t max);

/* Resident memory of this process, bytes. */
uint64_t bench_resident(void);
/* Nanoseconds, CLOCK_MONOTONIC. */
uint64_t bench_ns(void);

#endif /* VCMA_TESTS_BENCH_POOL_H */
