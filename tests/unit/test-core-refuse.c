// SPDX-License-Identifier: GPL-2.0-or-later
/* test-core-refuse.c - each way in which the core says no, and that nothing changes then */

#include "core-sim.h"

#include <stdlib.h>
#include <string.h>

static void bad_pools(void **state)
{
	static const struct core_ops ops;
	struct core *core = core_new(&ops, NULL);
	uint64_t pfn[4] = { 0, 512, 1024, 1536 };
	struct core_pool_desc desc = {
		.name = "p", .granule_size = 2 * MIB, .chunk_size = 4 * MIB, .pfn = pfn, .nr = 4,
	};
	struct core_pool *pool = NULL;

	(void)state;
	assert_non_null(core);
	desc.nr = 3;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	desc.nr = 0;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	desc.nr = 4;
	desc.chunk_size = MIB;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	desc.chunk_size = 6 * MIB;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	desc.chunk_size = 4 * MIB;
	desc.granule_size = 1024;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	desc.granule_size = 2 * MIB;
	pfn[1] = 513;		/* a hole in a chunk */
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	pfn[0] = 512;		/* not aligned */
	pfn[1] = 1024;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	pfn[0] = 2048;		/* not ascending */
	pfn[1] = 2560;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	pfn[0] = 0;
	pfn[1] = 512;
	pfn[2] = UINT64_MAX / 4096 - 1023;	/* beyond the last address */
	pfn[3] = pfn[2] + 512;
	assert_int_equal(core_pool_add(core, &desc, &pool), -EINVAL);
	assert_null(pool);
	pfn[2] = 4096;
	pfn[3] = 4608;
	assert_int_equal(core_pool_add(core, &desc, &pool), 0);
	assert_non_null(pool);
	assert_null(core_check(core));
	core_free(core);
	core_free(NULL);
}

static void bad_vms(void **state)
{
	struct sim *sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	struct core_vm_desc desc = {
		.name = "v", .share = { .pool = sim->pool, .limit = 64 * MIB },
	};
	struct core_vm *vm = NULL;
	uint64_t got = 77;

	(void)state;
	desc.share.limit = 65 * MIB;
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -EINVAL);
	desc.share.limit = 64 * MIB;
	desc.share.guarantee = 8 * MIB;
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -EINVAL);
	desc.share.guarantee = 32 * MIB;	/* no run length */
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -EINVAL);
	desc.share.guarantee_run = 64 * MIB;	/* not a divisor */
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -EINVAL);
	desc.share.guarantee = 128 * MIB;	/* beyond the limit */
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -EINVAL);
	assert_int_equal(got, 77);
	desc.share.limit = 512 * MIB;
	desc.share.guarantee = 320 * MIB;	/* beyond the pool: four runs of 64M are there */
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -ENOSPC);
	assert_int_equal(got, 256 * MIB);
	assert_null(vm);
	/* Nothing has been set aside by all that. */
	assert_int_equal(sim_pool_record(sim).guaranteed, 0);
	assert_int_equal(sim_pool_record(sim).free_longest, 256 * MIB);
	sim_check(sim);
	/* Runs that overlap another guarantee. */
	sim_vm(sim, "first", 192 * MIB, 192 * MIB, 192 * MIB);
	desc.share.guarantee = 64 * MIB;
	desc.share.guarantee_run = 32 * MIB;
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), 0);
	desc.share.guarantee = 16 * MIB;
	desc.share.guarantee_run = 16 * MIB;
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -ENOSPC);
	assert_int_equal(got, 0);
	sim_free(sim);
}

static uint32_t status_of(struct sim *sim, struct core_vm *vm, struct core_lease_args args)
{
	struct sim_answer *answer = sim_answer(sim, vm, sim_ask_args(sim, vm, &args));

	assert_non_null(answer);
	return answer->status;
}

/* [B-40] */
static void invalid_requests(void **state)
{
	struct sim *sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 256 * MIB);
	const struct core_lease_args fine = {
		.size = 16 * MIB, .max_addr = UINT64_MAX, .deadline_ms = 100,
	};
	static const uint64_t bad_size[] = {
		0, 1, MIB, 3 * MIB, 2 * MIB + 1, UINT64_MAX, UINT64_MAX - 4095,
	};
	struct core_lease_args args;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad_size) / sizeof(bad_size[0]); i++) {
		args = fine;
		args.size = bad_size[i];
		assert_int_equal(status_of(sim, vm, args), VCMA_ST_INVALID);
	}
	args = fine;
	args.alignment = 3 * MIB;
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_INVALID);
	args = fine;
	args.boundary = 8 * MIB;	/* less than the size */
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_INVALID);
	args.boundary = 24 * MIB;
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_INVALID);
	args = fine;
	args.deadline_ms = 0;
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_INVALID);
	args.deadline_ms = VCMA_DEADLINE_MAX_MS + 1;
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_INVALID);
	assert_int_equal(sim_vm_record(sim, vm).charged, 0);
	assert_int_equal(status_of(sim, vm, fine), VCMA_ST_OK);
	sim_free(sim);
}

/* [B-44] */
static void no_memory(void **state)
{
	struct sim *sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 4 * GIB);

	(void)state;
	assert_int_equal(sim_refusal(sim, vm, 512 * MIB), VCMA_ST_NO_MEMORY);
	assert_int_equal(sim_refusal(sim, vm, UINT64_C(1) << 63), VCMA_ST_NO_MEMORY);
	assert_int_equal(sim_vm_record(sim, vm).refused_status, VCMA_ST_NO_MEMORY);
	assert_int_equal(sim_vm_record(sim, vm).refused_size, UINT64_C(1) << 63);
	sim_lease(sim, vm, 256 * MIB);
	assert_int_equal(sim_refusal(sim, vm, 2 * MIB), VCMA_ST_NO_MEMORY);
	assert_int_equal(sim_pool_record(sim).refused, 3);
	sim_free(sim);
}

/* A pool of two extents, 8 chunks each. */
static struct sim *two_extents(void)
{
	uint64_t pfn[128];
	uint32_t i;

	for (i = 0; i < 128; i++)
		pfn[i] = (i < 64 ? GIB : 2 * GIB) / 4096 + (i % 64) * 512;
	return sim_new_pfns(pfn, 128, 16 * MIB, 2 * MIB);
}

/* Enough bytes, but no run as long as is promised: an error at start (I7). */
static void guarantee_without_run(void **state)
{
	struct sim *sim = two_extents();
	struct core_vm_desc desc = {
		.name = "v",
		.share = { .pool = sim->pool, .limit = 256 * MIB,
			   .guarantee = 256 * MIB, .guarantee_run = 256 * MIB },
	};
	struct core_vm *vm = NULL;
	uint64_t got = 77;

	(void)state;
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), -ENOSPC);
	assert_int_equal(got, 0);
	assert_int_equal(sim_pool_record(sim).guaranteed, 0);
	desc.share.guarantee_run = 128 * MIB;
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, &got), 0);
	assert_int_equal(sim_pool_record(sim).guaranteed, 256 * MIB);
	sim_free(sim);
}

/* [B-44] */
static void no_run(void **state)
{
	struct sim *sim = two_extents();
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 256 * MIB);
	struct core_lease_args args = {
		.size = 256 * MIB, .max_addr = UINT64_MAX, .deadline_ms = 100,
	};

	(void)state;
	assert_int_equal(sim_pool_record(sim).extents, 2);
	assert_int_equal(sim_pool_record(sim).longest, 128 * MIB);
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_NO_RUN);
	args.size = 16 * MIB;
	args.max_addr = GIB - 1;		/* all of the pool is above it */
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_NO_RUN);
	args.max_addr = UINT64_MAX;
	args.forbidden = UINT64_C(1) << 21;	/* in each run of 4 MiB */
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_NO_RUN);
	args.forbidden = 0;
	args.alignment = 4 * GIB;
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_NO_RUN);
	args.alignment = 0;
	args.forbidden = UINT64_C(1) << 30;	/* leaves the second extent */
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_OK);
	assert_int_equal(sim_lease_record(sim, sim->answer[sim->answers - 1].id).pfn * 4096 / GIB, 2);
	args.forbidden = 0;
	args.max_addr = 2 * GIB - 1;
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_OK);
	assert_int_equal(sim_lease_record(sim, sim->answer[sim->answers - 1].id).pfn * 4096 / GIB, 1);
	/* Its own leases are in the way. */
	sim_lease(sim, vm, 2 * MIB);
	args = (struct core_lease_args){
		.size = 128 * MIB, .max_addr = 2 * GIB - 1, .deadline_ms = 100,
	};
	assert_int_equal(status_of(sim, vm, args), VCMA_ST_NO_RUN);
	sim_free(sim);
}

/* Enough is shared, but a guarantee lies across each run. [B-44] */
static void guaranteed_run(void **state)
{
	struct sim *sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	struct core_vm *a, *b, *vm;

	(void)state;
	a = sim_vm(sim, "a", 64 * MIB, 64 * MIB, 64 * MIB);
	b = sim_vm(sim, "b", 0, 0, 256 * MIB);
	vm = sim_vm(sim, "v", 0, 0, 256 * MIB);
	assert_int_equal(sim_refusal(sim, vm, 256 * MIB), VCMA_ST_GUARANTEED);
	assert_string_equal(sim_vm_record(sim, vm).refused_by, "a");
	/* Nothing is asked of anybody for what cannot be. */
	sim_lease(sim, b, 64 * MIB);
	sim_lease(sim, b, 128 * MIB);
	assert_int_equal(sim_refusal(sim, vm, 256 * MIB), VCMA_ST_GUARANTEED);
	assert_int_equal(sim->reclaims, 0);
	/* The guarantee itself is there at once, whatever others have. */
	sim_lease(sim, a, 64 * MIB);
	assert_int_equal(sim_refusal(sim, a, 2 * MIB), VCMA_ST_OVER_LIMIT);
	assert_string_equal(sim_vm_record(sim, a).refused_by, "");
	sim_free(sim);
}

/* [B-44] */
static void guarantee_splits_runs(void **state)
{
	uint64_t pfn[48];
	struct sim *sim;
	struct core_vm *vm;
	uint32_t i;

	(void)state;
	/* Extents of 2, 2 and 2 chunks; both guarantees take one half of one each. */
	for (i = 0; i < 48; i++)
		pfn[i] = (GIB + i / 16 * GIB) / 4096 + (i % 16) * 512;
	sim = sim_new_pfns(pfn, 48, 16 * MIB, 2 * MIB);
	sim_vm(sim, "a", 16 * MIB, 16 * MIB, 16 * MIB);
	sim_vm(sim, "b", 48 * MIB, 16 * MIB, 48 * MIB);
	vm = sim_vm(sim, "v", 0, 0, 96 * MIB);
	sim_lease(sim, vm, 16 * MIB);
	assert_int_equal(sim_refusal(sim, vm, 32 * MIB), VCMA_ST_GUARANTEED);
	assert_string_equal(sim_vm_record(sim, vm).refused_by, "b");
	sim_free(sim);
}

static void too_many_and_twice(void **state)
{
	struct sim *sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	struct core_vm *holder = sim_vm(sim, "holder", 0, 0, 256 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 256 * MIB);
	struct core_lease_args args = {
		.size = 16 * MIB, .max_addr = UINT64_MAX, .deadline_ms = 100,
	};
	uint32_t i, sequence = 0;

	(void)state;
	for (i = 0; i < 16; i++)
		sim_lease(sim, holder, 16 * MIB);
	for (i = 0; i < 16; i++)
		sequence = sim_ask(sim, vm, 16 * MIB);
	assert_int_equal(sim_vm_record(sim, vm).nr_waiting, 16);
	assert_int_equal(sim_vm_record(sim, vm).charged, 256 * MIB);
	assert_int_equal(sim_refusal(sim, vm, 16 * MIB), VCMA_ST_OVER_LIMIT);
	/* The same number again, while the first waits. */
	core_lease(sim->core, vm, sequence, &args, sim->now);
	assert_int_equal(sim->answer[sim->answers - 1].status, VCMA_ST_INVALID);
	assert_int_equal(sim_vm_record(sim, vm).nr_waiting, 16);
	assert_int_equal(core_cancel(sim->core, vm, sequence, sim->now), 0);
	assert_int_equal(sim->answer[sim->answers - 1].status, VCMA_ST_CANCELLED);
	assert_int_equal(core_cancel(sim->core, vm, sequence, sim->now), -ENOENT);
	assert_int_equal(core_cancel(sim->core, holder, sequence - 1, sim->now), -ENOENT);
	sim_check(sim);
	sim_free(sim);
}

/* [B-27] */
static void too_many(void **state)
{
	struct sim *sim = sim_new(GIB, 2 * GIB, 16 * MIB, 2 * MIB);
	struct core_vm *holder = sim_vm(sim, "holder", 0, 0, 2 * GIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 2 * GIB);
	uint32_t i;

	(void)state;
	sim_lease(sim, holder, GIB);
	for (i = 0; i < 64; i++)
		sim_lease(sim, holder, 16 * MIB);
	for (i = 0; i < VCMA_REQUESTS_MAX; i++)
		assert_null(sim_answer(sim, vm, sim_ask(sim, vm, 16 * MIB)));
	assert_int_equal(sim_refusal(sim, vm, 16 * MIB), VCMA_ST_TOO_MANY);
	sim_tick(sim, 10000);
	assert_int_equal(sim_vm_record(sim, vm).nr_waiting, 0);
	sim_free(sim);
}

/* [B-51] */
static void bad_releases(void **state)
{
	struct sim *sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	struct core_vm *a = sim_vm(sim, "a", 0, 0, 256 * MIB), *b = sim_vm(sim, "b", 0, 0, 256 * MIB);
	struct sim_answer *granting;
	uint64_t id[3];

	(void)state;
	id[0] = sim_lease(sim, a, 2 * MIB);
	id[1] = sim_lease(sim, a, 2 * MIB);
	id[2] = 12345;
	assert_int_equal(core_released(sim->core, b, id, 1, sim->now), -ENOENT);
	assert_int_equal(core_released(sim->core, a, id, 3, sim->now), -ENOENT);
	id[2] = id[0];
	assert_int_equal(core_released(sim->core, a, id, 3, sim->now), -ENOENT);
	granting = sim_answer(sim, a, sim_ask(sim, a, 2 * MIB));
	id[2] = granting->id;
	assert_int_equal(core_released(sim->core, a, id, 3, sim->now), -ENOENT);
	assert_int_equal(sim_vm_record(sim, a).nr_leases, 3);
	assert_int_equal(sim->scrubs, 0);
	core_lease_acked(sim->core, granting->lease, sim->now);
	/* These do nothing to a lease that is held. */
	core_lease_acked(sim->core, granting->lease, sim->now);
	core_lease_failed(sim->core, granting->lease, sim->now);
	assert_int_equal(core_released(sim->core, a, id, 3, sim->now), 0);
	assert_int_equal(core_released(sim->core, a, id, 1, sim->now), -ENOENT);
	assert_int_equal(sim->scrubs, 3);
	sim_check(sim);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_pools),
		cmocka_unit_test(bad_vms),
		cmocka_unit_test(invalid_requests),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(guarantee_without_run),
		cmocka_unit_test(no_run),
		cmocka_unit_test(guaranteed_run),
		cmocka_unit_test(guarantee_splits_runs),
		cmocka_unit_test(too_many_and_twice),
		cmocka_unit_test(too_many),
		cmocka_unit_test(bad_releases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
