// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-share.c - what VMs can do to each other and what they cannot
 * (I7, I9), and what the operator sees and does
 */

#include "core-sim.h"

#include <stdio.h>
#include <string.h>

#include "core_internal.h"

#define CHUNK	(16 * MIB)

static void leases_are_packed(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", CHUNK, CHUNK, 4 * CHUNK);
	uint64_t id[16], again;
	int i;

	(void)state;
	for (i = 0; i < 16; i++)
		id[i] = sim_lease(sim, vm, 2 * MIB);
	assert_int_equal(sim_vm_record(sim, vm).charged, 2 * CHUNK);
	for (i = 0; i < 16; i++)
		assert_int_equal(sim_lease_record(sim, id[i]).guaranteed, i < 8);
	/* A hole of the right size is used before a larger one, and home before shared. */
	sim_release(sim, vm, id[12]);
	sim_release(sim, vm, id[13]);
	sim_release(sim, vm, id[10]);
	sim_scrub(sim);
	again = sim_lease(sim, vm, 2 * MIB);
	assert_int_equal(sim_lease_record(sim, again).pfn, GIB / 4096 + 512 * (8 + 2));
	sim_release(sim, vm, id[1]);
	sim_scrub(sim);
	again = sim_lease(sim, vm, 2 * MIB);
	assert_int_equal(sim_lease_record(sim, again).guaranteed, 1);
	/* Natural alignment: two granules side by side, and not any two. */
	again = sim_lease(sim, vm, 4 * MIB);
	assert_int_equal(sim_lease_record(sim, again).pfn % 1024, 0);
	assert_int_equal(sim_vm_record(sim, vm).charged, 2 * CHUNK);
	sim_free(sim);
}

/* Lease all in single granules, give back every other one: who is harmed? */
static void shredding_harms_nobody_else(void **state)
{
	struct sim *sim = sim_new(GIB, 16 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *good = sim_vm(sim, "good", 4 * CHUNK, 4 * CHUNK, 16 * CHUNK);
	struct core_vm *evil = sim_vm(sim, "evil", 0, 0, 8 * CHUNK);
	uint64_t id[64], run;
	int i;

	(void)state;
	for (i = 0; i < 64; i++)
		id[i] = sim_lease(sim, evil, 2 * MIB);
	for (i = 0; i < 64; i += 2)
		sim_release(sim, evil, id[i]);
	sim_scrub(sim);
	/* It pays for all that it has broken up, and can have no more than before. */
	assert_int_equal(sim_vm_record(sim, evil).charged, 8 * CHUNK);
	assert_int_equal(sim_vm_record(sim, evil).leased, 4 * CHUNK);
	assert_int_equal(sim_refusal(sim, evil, CHUNK), VCMA_ST_OVER_LIMIT);
	/* Nothing outside its chunks is broken. */
	assert_int_equal(sim_pool_record(sim).free_longest, 4 * CHUNK);
	run = sim_lease(sim, good, 4 * CHUNK);
	assert_int_equal(sim_lease_record(sim, run).guaranteed, 1);
	sim_lease(sim, good, 4 * CHUNK);
	assert_int_equal(sim->reclaims, 0);
	/* Its holes are its own: nobody else's small leases go there. */
	assert_int_equal(sim_vm_record(sim, good).charged, 8 * CHUNK);
	for (i = 0; i < 64; i += 2)
		sim_lease(sim, evil, 2 * MIB);
	assert_int_equal(sim_vm_record(sim, evil).charged, 8 * CHUNK);
	sim_free(sim);
}

/*
 * A VM below its guarantee does not wait, whatever others do and wait for.
 * [B-45]
 */
static void guarantee_at_once(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 2 * CHUNK, 2 * CHUNK, 8 * CHUNK);
	struct core_vm *a = sim_vm(sim, "a", 0, 0, 8 * CHUNK), *b = sim_vm(sim, "b", 0, 0, 8 * CHUNK);
	uint32_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		sim_lease(sim, a, CHUNK);
	for (i = 0; i < 6; i++)
		assert_null(sim_answer(sim, b, sim_ask(sim, b, CHUNK)));
	assert_int_equal(sim_refusal(sim, b, 8 * CHUNK), VCMA_ST_OVER_LIMIT);
	sim_lease(sim, vm, 2 * CHUNK);
	/* Above it, it is one of many. */
	assert_null(sim_answer(sim, vm, sim_ask(sim, vm, CHUNK)));
	sim_free(sim);
}

/* One VM gives back a lot, another a little: the other does not stand in line behind. */
static void scrubbing_by_turns(void **state)
{
	struct sim *sim = sim_new(GIB, 64 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *big = sim_vm(sim, "big", 0, 0, 64 * CHUNK);
	struct core_vm *small = sim_vm(sim, "small", 0, 0, 64 * CHUNK);
	uint64_t one = sim_lease(sim, big, 32 * CHUNK), two = sim_lease(sim, small, CHUNK);
	uint32_t scrubbed = 0;

	(void)state;
	sim_release(sim, big, one);
	assert_int_equal(sim->scrubs, CORE_SCRUB_MAX);
	sim_release(sim, small, two);
	while (sim_vm_record(sim, small).dirty) {
		struct core_granule *g = sim->scrub[0];

		memmove(sim->scrub, sim->scrub + 1, --sim->scrubs * sizeof(sim->scrub[0]));
		core_scrubbed(sim->core, g, CORE_SCRUB_CLEAN, sim->now);
		scrubbed++;
	}
	/* What was with the scrubber before, then one of each by turns. */
	assert_true(scrubbed <= CORE_SCRUB_MAX + 2 * 8);
	assert_int_equal(sim_vm_record(sim, small).charged, 0);
	assert_true(sim_vm_record(sim, big).dirty >= 26 * CHUNK);
	sim_free(sim);
}

/* What somebody waits for is cleaned first. */
static void urgent_first(void **state)
{
	struct sim *sim = sim_new(GIB, 64 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *big = sim_vm(sim, "big", 0, 0, 64 * CHUNK);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, CHUNK);
	uint64_t one = sim_lease(sim, big, 32 * CHUNK), id = sim_lease(sim, vm, CHUNK);
	uint32_t sequence, scrubbed = 0;

	(void)state;
	sim_release(sim, big, one);
	sim_release(sim, vm, id);
	sequence = sim_ask(sim, vm, CHUNK);
	while (!sim_answer(sim, vm, sequence)) {
		struct core_granule *g = sim->scrub[0];

		memmove(sim->scrub, sim->scrub + 1, --sim->scrubs * sizeof(sim->scrub[0]));
		core_scrubbed(sim->core, g, CORE_SCRUB_CLEAN, sim->now);
		scrubbed++;
	}
	assert_true(scrubbed <= CORE_SCRUB_MAX + 8);
	sim_free(sim);
}

/* Retries of many missing pages leave most of the scrubber to others. */
static void retries_leave_room(void **state)
{
	struct sim *sim = sim_new(GIB, 64 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *pins = sim_vm(sim, "pins", 0, 0, 64 * CHUNK);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 64 * CHUNK);
	uint64_t mine = sim_lease(sim, vm, 8 * CHUNK);
	uint32_t i, theirs = 0;

	(void)state;
	sim_release(sim, pins, sim_lease(sim, pins, 8 * CHUNK));
	for (i = 0; i < 64; i++)
		core_scrubbed(sim->core, sim->scrub[--sim->scrubs], CORE_SCRUB_MISSING, sim->now);
	sim_check(sim);
	assert_int_equal(sim->scrubs, 0);
	sim_release(sim, vm, mine);
	assert_int_equal(sim->scrubs, CORE_SCRUB_MAX);
	sim->now += 100;
	for (i = 0; i < 48; i++) {
		core_scrubbed(sim->core, sim->scrub[--sim->scrubs], CORE_SCRUB_CLEAN, sim->now);
		sim_check(sim);
	}
	for (i = 0; i < sim->scrubs; i++)
		theirs += core_granule_holder(sim->scrub[i]) == pins;
	assert_true(theirs <= CORE_SCRUB_MAX / 4);
	sim_scrub(sim);
	sim_tick(sim, 1000);
	sim_scrub(sim);
	assert_int_equal(sim_pool_record(sim).clean, 512);
	sim_free(sim);
}

/* [B-64] */
static void operator_reclaims(void **state)
{
	struct sim *sim = sim_new(GIB, 16 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *a = sim_vm(sim, "a", 2 * CHUNK, CHUNK, 8 * CHUNK);
	struct core_vm *b = sim_vm(sim, "b", 0, 0, 8 * CHUNK);
	uint64_t bytes = 77;
	bool late = true;
	uint32_t op, i;

	(void)state;
	sim_lease(sim, a, 2 * CHUNK);	/* its guarantee */
	for (i = 0; i < 32; i++)
		sim_lease(sim, a, 2 * MIB);
	sim_lease(sim, b, 4 * CHUNK);

	/* 20M: two chunks, each wholly; not the guarantee. */
	op = core_op_reclaim(sim->core, a, 20 * MIB, 500, sim->now);
	sim_check(sim);
	assert_int_equal(sim->reclaims, 1);
	assert_ptr_equal(sim->reclaim[0].vm, a);
	assert_int_equal(sim->reclaim[0].count, 16);
	assert_false(core_op_reclaim_poll(sim->core, op, &bytes, &late));
	assert_int_equal(bytes, 77);
	sim_obey(sim, 0);
	assert_true(core_op_reclaim_poll(sim->core, op, &bytes, &late));
	assert_int_equal(bytes, 2 * CHUNK);
	assert_false(late);
	sim_scrub(sim);
	assert_int_equal(sim_vm_record(sim, a).charged, 4 * CHUNK);

	/* All of all; one obeys, the other says nothing. */
	op = core_op_reclaim(sim->core, NULL, UINT64_MAX, 500, sim->now);
	assert_int_equal(sim->reclaims, 3);
	assert_int_equal(sim->reclaim[1].count, 16);
	assert_int_equal(sim->reclaim[2].count, 1);
	sim_obey(sim, 1);
	assert_false(core_op_reclaim_poll(sim->core, op, &bytes, &late));
	assert_int_equal(core_next_tick(sim->core), sim->now + 500);
	sim_tick(sim, 500);
	assert_true(core_op_reclaim_poll(sim->core, op, &bytes, &late));
	assert_int_equal(bytes, 2 * CHUNK);
	assert_true(late);
	sim_scrub(sim);
	assert_int_equal(sim_vm_record(sim, a).charged, 2 * CHUNK);
	assert_int_equal(sim_vm_record(sim, a).reclaimed, 4 * CHUNK);
	assert_int_equal(sim_pool_record(sim).reclaimed, 4 * CHUNK);
	assert_int_equal(sim_vm_record(sim, b).charged, 4 * CHUNK);

	/* Nothing to spare. */
	op = core_op_reclaim(sim->core, a, UINT64_MAX, 500, sim->now);
	assert_true(core_op_reclaim_poll(sim->core, op, &bytes, &late));
	assert_int_equal(bytes, 0);
	assert_int_equal(sim->reclaims, 3);
	sim_free(sim);
}

/* [B-61] */
static void records_in_pages(void **state)
{
	struct sim *sim = sim_new(GIB, 16 * CHUNK, CHUNK, 2 * MIB);
	struct vcma_op_lease lease[4];
	struct vcma_op_vm vm[2];
	struct vcma_op_status status = { .pid = 5 };
	uint64_t next, after = 0, seen = 0;
	uint32_t n, i;
	char name[8];

	(void)state;
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		sim_vm(sim, name, 0, 0, 16 * CHUNK);
	}
	for (i = 0; i < 10; i++)
		sim_lease(sim, sim->vm[i % 3], 2 * MIB);
	assert_int_equal(core_report_vms(sim->core, true, 0, vm, 2, &next), 2);
	assert_int_equal(next, 2);
	assert_int_equal(core_report_vms(sim->core, true, next, vm, 2, &next), 1);
	assert_string_equal(vm[0].name, "vm2");
	assert_string_equal(vm[0].pool, "pool");
	assert_int_equal(next, 0);
	assert_int_equal(core_report_vms(sim->core, true, 99, vm, 2, &next), 0);
	assert_int_equal(next, 0);
	do {
		n = core_report_leases(sim->core, true, after, lease, 4, sim->now + 50, &next);
		for (i = 0; i < n; i++) {
			seen++;
			assert_int_equal(lease[i].lease, seen);
			assert_int_equal(lease[i].age_ms, 50);
			assert_int_equal(lease[i].state, VCMA_LEASE_HELD);
			snprintf(name, sizeof(name), "vm%u", (unsigned int)(seen - 1) % 3);
			assert_string_equal(lease[i].vm, name);
		}
		after = next;
	} while (next);
	assert_int_equal(seen, 10);
	core_vm_disconnected(sim->core, sim->vm[0], sim->now);
	core_report_status(sim->core, &status);
	assert_int_equal(status.nr_pools, 1);
	assert_int_equal(status.nr_vms, 3);
	assert_int_equal(status.nr_connected, 2);
	assert_int_equal(status.nr_leases, 10);
	assert_int_equal(status.nr_waiting, 0);
	assert_int_equal(status.pid, 5);	/* not the core's */
	sim_free(sim);
}

/* core_check() must be able to see what is wrong: spoil one thing after the other. */
static void check_sees(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *a = sim_vm(sim, "a", CHUNK, CHUNK, 4 * CHUNK);
	struct core_vm *b = sim_vm(sim, "b", 0, 0, 8 * CHUNK);
	struct core_granule *granule = sim->pool->granule;
	struct core_lease *lease;

	(void)state;
	sim_lease(sim, a, 2 * CHUNK);	/* too long for its home: shared */
	lease = core_lease_find(sim->core, sim_lease(sim, b, CHUNK));
	assert_null(core_check(sim->core));

	granule[lease->first].state = GRANULE_CLEAN;
	assert_memory_equal(core_check(sim->core), "I1", 2);
	granule[lease->first].state = GRANULE_LEASED;
	lease->nr++;
	assert_memory_equal(core_check(sim->core), "I2", 2);
	lease->nr--;
	sim->pool->chunk[0].home = b->bank[0];
	assert_memory_equal(core_check(sim->core), "I9", 2);
	sim->pool->chunk[0].home = a->bank[0];
	sim->pool->chunk[lease->first / 8].home = a->bank[0];
	assert_memory_equal(core_check(sim->core), "I7", 2);
	sim->pool->chunk[lease->first / 8].home = NULL;
	b->bank[0]->limit = 0;
	assert_memory_equal(core_check(sim->core), "I9", 2);
	b->bank[0]->limit = 8;
	b->bank[0]->nr_used++;
	assert_memory_equal(core_check(sim->core), "I9", 2);
	b->bank[0]->nr_used--;
	b->bank[0]->nr_shared++;
	assert_memory_equal(core_check(sim->core), "I9", 2);
	b->bank[0]->nr_shared--;
	b->bank[0]->nr_idle++;
	assert_memory_equal(core_check(sim->core), "I9", 2);
	b->bank[0]->nr_idle--;
	sim->pool->chunk[lease->first / 8].nr_ask[POLICY_UNKNOWN]--;
	assert_memory_equal(core_check(sim->core), "I9", 2);
	sim->pool->chunk[lease->first / 8].nr_ask[POLICY_UNKNOWN]++;
	sim->pool->chunk[lease->first / 8].refused++;
	assert_memory_equal(core_check(sim->core), "I9", 2);
	sim->pool->chunk[lease->first / 8].refused--;
	assert_null(core_check(sim->core));
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leases_are_packed),
		cmocka_unit_test(shredding_harms_nobody_else),
		cmocka_unit_test(guarantee_at_once),
		cmocka_unit_test(scrubbing_by_turns),
		cmocka_unit_test(urgent_first),
		cmocka_unit_test(retries_leave_room),
		cmocka_unit_test(operator_reclaims),
		cmocka_unit_test(records_in_pages),
		cmocka_unit_test(check_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
