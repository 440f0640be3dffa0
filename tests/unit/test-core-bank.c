// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-bank.c - VMs with shares in several pools: nothing of one bank comes
 * from another's pool (I5), each keeps what it is promised (I7), and many banks
 * are no way to have more of what is a VM's (I9)
 */

#include "core-sim.h"

#include <stdio.h>
#include <string.h>

#include "core_internal.h"

#define CHUNK	(16 * MIB)
#define LOW	(4 * MIB)	/* chunk of the second pool */
#define LATER	(64 * GIB)	/* where the second pool begins */

struct two {
	struct sim *sim;
	struct core_pool *second;
	struct core_vm *a, *b;
};

/* a: 2 of 8 chunks guaranteed, and 1 of 16 of the other pool; b: the other way round, nothing. */
static struct two make_two(void)
{
	struct two t = { .sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB) };

	t.second = sim_pool(t.sim, "second", LATER, 16 * LOW, LOW, 2 * MIB);
	t.a = sim_vm(t.sim, "a", 2 * CHUNK, 2 * CHUNK, 4 * CHUNK);
	sim_bank(t.sim, t.a, 1, t.second, LOW, LOW, 8 * LOW);
	t.b = sim_vm(t.sim, "b", 0, 0, 8 * CHUNK);
	sim_bank(t.sim, t.b, 31, t.second, 0, 0, 16 * LOW);
	return t;
}

static uint64_t address(struct sim *sim, uint64_t lease)
{
	return sim_lease_record(sim, lease).pfn * 4096;
}

/* [B-83] */
static void each_from_its_pool(void **state)
{
	struct two t = make_two();
	uint64_t in_0, in_1;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		in_0 = sim_lease_of(t.sim, t.a, 0, 8 * MIB);
		in_1 = sim_lease_of(t.sim, t.a, 1, 8 * MIB);
		assert_true(address(t.sim, in_0) < LATER);
		assert_true(address(t.sim, in_1) >= LATER);
		assert_int_equal(sim_lease_record(t.sim, in_0).bank, 0);
		assert_int_equal(sim_lease_record(t.sim, in_1).bank, 1);
		assert_string_equal(sim_lease_record(t.sim, in_1).pool, "second");
	}
	/* Bank 1 is at its limit, and the room in bank 0 is no room for it. */
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).charged, 8 * LOW);
	assert_int_equal(sim_vm_record(t.sim, t.a).charged, 2 * CHUNK);
	assert_int_equal(sim_refusal_of(t.sim, t.a, 1, 2 * MIB), VCMA_ST_OVER_LIMIT);
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).refused_status, VCMA_ST_OVER_LIMIT);
	assert_int_equal(sim_vm_record(t.sim, t.a).refused_status, 0);
	sim_lease(t.sim, t.a, 2 * CHUNK);
	/* What fits in bank 0 is more than all of the other pool. */
	assert_int_equal(sim_refusal_of(t.sim, t.b, 31, 8 * CHUNK), VCMA_ST_NO_MEMORY);
	sim_free(t.sim);
}

static void banks_that_are_not_there(void **state)
{
	struct two t = make_two();
	static const uint32_t none[] = { 2, 31, 32, 33, UINT32_MAX };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(sim_refusal_of(t.sim, t.a, none[i], 2 * MIB), VCMA_ST_DENIED);
		assert_false(core_vm_has_bank(t.a, none[i]));
		assert_string_equal(core_vm_refused_by(t.a, none[i]), "");
	}
	/* What is malformed is that first [B-44]. */
	assert_int_equal(sim_refusal_of(t.sim, t.a, 2, 3 * MIB), VCMA_ST_INVALID);
	assert_true(core_vm_has_bank(t.a, 1));
	sim_free(t.sim);
}

static void bad_banks(void **state)
{
	struct two t = make_two();
	struct core_pool *third = sim_pool(t.sim, "third", 128 * GIB, 4 * LOW, LOW, 2 * MIB);
	struct core_pool *fine = sim_pool(t.sim, "fine", 256 * GIB, 4 * LOW, LOW, MIB);
	struct core_share_desc desc = { .pool = third, .limit = LOW };
	uint64_t got = 77;

	(void)state;
	assert_int_equal(core_bank_add(t.sim->core, t.a, 1, &desc, &got), -EINVAL);
	assert_int_equal(core_bank_add(t.sim->core, t.a, 0, &desc, &got), -EINVAL);
	assert_int_equal(core_bank_add(t.sim->core, t.a, 32, &desc, &got), -EINVAL);
	desc.pool = t.second;	/* is that of bank 1 */
	assert_int_equal(core_bank_add(t.sim->core, t.a, 2, &desc, &got), -EINVAL);
	desc.pool = fine;	/* granules of another size */
	assert_int_equal(core_bank_add(t.sim->core, t.a, 2, &desc, &got), -EINVAL);
	desc.pool = third;
	desc.limit = LOW + 2 * MIB;
	assert_int_equal(core_bank_add(t.sim->core, t.a, 2, &desc, &got), -EINVAL);
	assert_int_equal(got, 77);
	desc.limit = 8 * LOW;
	desc.guarantee = 8 * LOW;
	desc.guarantee_run = 2 * LOW;
	assert_int_equal(core_bank_add(t.sim->core, t.a, 2, &desc, &got), -ENOSPC);
	assert_int_equal(got, 4 * LOW);
	sim_check(t.sim);
	assert_false(core_vm_has_bank(t.a, 2));
	desc.guarantee = 4 * LOW;
	assert_int_equal(core_bank_add(t.sim->core, t.a, 2, &desc, &got), 0);
	sim_check(t.sim);
	assert_int_equal(sim_refusal_of(t.sim, t.b, 2, LOW), VCMA_ST_DENIED);
	sim_lease_of(t.sim, t.a, 2, 2 * LOW);
	sim_free(t.sim);
}

/* A guarantee holds in its pool, and only there (I7). */
static void guarantees_of_banks(void **state)
{
	struct two t = make_two();
	uint32_t i;

	(void)state;
	sim_vm(t.sim, "c", 3 * CHUNK, CHUNK, 3 * CHUNK);	/* in the first pool only */
	for (i = 0; i < 15; i++)
		sim_lease_of(t.sim, t.b, 31, LOW);
	assert_int_equal(sim_refusal_of(t.sim, t.b, 31, LOW), VCMA_ST_GUARANTEED);
	assert_string_equal(core_vm_refused_by(t.b, 31), "a");
	assert_string_equal(core_vm_refused_by(t.b, 0), "");
	sim_lease_of(t.sim, t.a, 1, LOW);	/* at once */
	assert_int_equal(t.sim->reclaims, 0);
	/* What is not used of the guarantee in bank 0 does not make bank 1's larger. */
	assert_null(sim_answer(t.sim, t.a, sim_ask_of(t.sim, t.a, 1, LOW)));
	assert_int_equal(t.sim->reclaims, 1);
	assert_ptr_equal(t.sim->reclaim[0].vm, t.b);
	for (i = 0; i < t.sim->reclaim[0].count; i++)
		assert_int_equal(sim_lease_record(t.sim, t.sim->reclaim[0].lease[i]).bank, 31);
	sim_free(t.sim);
}

/* [B-51], [B-56] */
static void release_of_several_banks(void **state)
{
	struct two t = make_two();
	uint64_t id[4];

	(void)state;
	id[0] = sim_lease_of(t.sim, t.a, 0, CHUNK);
	id[1] = sim_lease_of(t.sim, t.a, 1, LOW);
	id[2] = sim_lease_of(t.sim, t.b, 31, LOW);
	id[3] = sim_answer(t.sim, t.a, sim_ask_of(t.sim, t.a, 1, LOW))->id;
	assert_int_equal(core_released(t.sim->core, t.a, id, 3, t.sim->now), -ENOENT);
	id[2] = id[3];		/* still on its way */
	assert_int_equal(core_released(t.sim->core, t.a, id, 3, t.sim->now), -ENOENT);
	assert_int_equal(sim_vm_record(t.sim, t.a).nr_leases, 1);
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).nr_leases, 2);
	assert_int_equal(core_released(t.sim->core, t.a, id, 2, t.sim->now), 0);
	sim_check(t.sim);
	assert_int_equal(sim_vm_record(t.sim, t.a).dirty, CHUNK);
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).dirty, LOW);
	assert_false(core_is_idle(t.sim->core));
	sim_scrub(t.sim);
	assert_int_equal(sim_vm_record(t.sim, t.a).charged, 0);
	sim_free(t.sim);
}

/* The connection and the process are the VM's: [B-31], [B-56]. */
static void ends_are_for_all_banks(void **state)
{
	struct two t = make_two();
	struct vcma_op_vm rec;
	uint64_t bytes;
	uint32_t waiting;

	(void)state;
	sim_lease_of(t.sim, t.a, 0, CHUNK);
	sim_lease_of(t.sim, t.a, 1, LOW);
	sim_ask_of(t.sim, t.a, 1, LOW);		/* granted, not acknowledged */
	sim_lease_of(t.sim, t.b, 31, 8 * LOW);
	sim_lease_of(t.sim, t.b, 31, 4 * LOW);
	waiting = sim_ask_of(t.sim, t.a, 1, 4 * LOW);
	assert_null(sim_answer(t.sim, t.a, waiting));
	assert_int_equal(core_vm_leases(t.a, &bytes), 3);
	assert_int_equal(bytes, CHUNK + 2 * LOW);

	core_vm_disconnected(t.sim->core, t.a, t.sim->now);
	sim_check(t.sim);
	assert_int_equal(core_vm_leases(t.a, &bytes), 2);
	rec = sim_bank_record(t.sim, t.a, 1);
	assert_int_equal(rec.nr_waiting, 0);
	assert_int_equal(rec.flags, VCMA_VM_ORPHANED);
	sim_scrub(t.sim);

	core_vm_connected(t.sim->core, t.a, 5, t.sim->now);
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).pid, 5);
	core_vm_gone(t.sim->core, t.a, t.sim->now);
	sim_check(t.sim);
	assert_int_equal(core_vm_leases(t.a, &bytes), 0);
	assert_int_equal(bytes, 0);
	sim_scrub(t.sim);
	assert_int_equal(sim_vm_record(t.sim, t.a).charged, 0);
	rec = sim_bank_record(t.sim, t.a, 1);
	assert_int_equal(rec.charged, 0);
	assert_int_equal(rec.flags, 0);
	/* b is still being asked, for nobody. */
	sim_obey(t.sim, 0);
	sim_scrub(t.sim);
	assert_true(core_is_idle(t.sim->core));
	sim_free(t.sim);
}

/* Orphaned is a VM, also in a bank where it holds nothing. */
static void orphaned_in_all_banks(void **state)
{
	struct two t = make_two();

	(void)state;
	sim_lease_of(t.sim, t.a, 1, LOW);
	core_vm_disconnected(t.sim->core, t.a, t.sim->now);
	assert_int_equal(sim_vm_record(t.sim, t.a).flags, VCMA_VM_ORPHANED);
	assert_int_equal(sim_vm_record(t.sim, t.a).nr_leases, 0);
	sim_free(t.sim);
}

/* [B-64], [B-66] */
static void operator_reclaims_in_all_banks(void **state)
{
	struct two t = make_two();
	uint64_t bytes;
	uint32_t op, i;
	bool late;

	(void)state;
	sim_lease_of(t.sim, t.a, 0, 2 * CHUNK);	/* guaranteed */
	sim_lease_of(t.sim, t.a, 0, CHUNK);
	sim_lease_of(t.sim, t.a, 1, LOW);	/* guaranteed */
	sim_lease_of(t.sim, t.a, 1, 2 * LOW);
	sim_lease_of(t.sim, t.b, 31, LOW);
	op = core_op_reclaim(t.sim->core, t.a, UINT64_MAX, 500, t.sim->now);
	sim_check(t.sim);
	assert_int_equal(t.sim->reclaims, 2);
	for (i = 0; i < 2; i++) {
		assert_ptr_equal(t.sim->reclaim[i].vm, t.a);
		assert_int_equal(t.sim->reclaim[i].count, 1);
		assert_int_equal(sim_lease_record(t.sim, t.sim->reclaim[i].lease[0]).bank, i);
		assert_false(core_op_reclaim_poll(t.sim->core, op, &bytes, &late));
		sim_obey(t.sim, i);
	}
	assert_true(core_op_reclaim_poll(t.sim->core, op, &bytes, &late));
	assert_int_equal(bytes, CHUNK + 2 * LOW);
	assert_int_equal(sim_vm_record(t.sim, t.a).reclaimed, CHUNK);
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).reclaimed, 2 * LOW);
	sim_free(t.sim);
}

/* [B-55], [B-56]: only what changes in that bank is news. */
static void told_of_its_bank(void **state)
{
	struct two t = make_two();
	uint64_t small = sim_lease_of(t.sim, t.a, 1, 4 * LOW), large, mine;

	(void)state;
	mine = sim_lease_of(t.sim, t.b, 31, 8 * LOW);
	large = sim_lease_of(t.sim, t.a, 0, 2 * CHUNK);
	sim_ask_of(t.sim, t.b, 31, 4 * LOW);
	sim_tick(t.sim, 1000);	/* a says nothing */
	assert_int_equal(sim_bank_record(t.sim, t.b, 31).refused_status, VCMA_ST_TRY_LATER);
	assert_int_equal(t.sim->changes, 0);
	sim_release(t.sim, t.a, large);
	sim_scrub(t.sim);
	assert_int_equal(t.sim->changes, 0);
	sim_release(t.sim, t.a, small);
	sim_scrub(t.sim);
	assert_int_equal(t.sim->changes, 1);
	assert_ptr_equal(t.sim->changed[0].vm, t.b);
	assert_true(t.sim->changed[0].available <= 7 * LOW);
	sim_release(t.sim, t.b, mine);
	sim_free(t.sim);
}

/* [B-27]: the number of requests is bounded for all banks together (I9). */
static void requests_are_bounded(void **state)
{
	struct two t = make_two();
	uint32_t i, last = 0;

	(void)state;
	sim_lease_of(t.sim, t.a, 0, CHUNK);
	sim_lease_of(t.sim, t.a, 1, LOW);
	sim_lease_of(t.sim, t.b, 0, 4 * CHUNK);
	sim_lease_of(t.sim, t.b, 0, 2 * CHUNK);
	sim_lease_of(t.sim, t.b, 31, 8 * LOW);
	sim_lease_of(t.sim, t.b, 31, 4 * LOW);
	sim_lease_of(t.sim, t.b, 31, 2 * LOW);
	sim_lease_of(t.sim, t.b, 31, LOW);
	core_vm_disconnected(t.sim->core, t.b, t.sim->now);	/* nobody can be asked */
	for (i = 0; i < VCMA_REQUESTS_MAX; i++)
		last = sim_ask_of(t.sim, t.a, i % 2, i % 2 ? LOW : 2 * CHUNK);
	assert_null(sim_answer(t.sim, t.a, last));
	assert_int_equal(sim_vm_record(t.sim, t.a).nr_waiting, VCMA_REQUESTS_MAX / 2);
	assert_int_equal(sim_bank_record(t.sim, t.a, 1).nr_waiting, VCMA_REQUESTS_MAX / 2);
	assert_int_equal(sim_refusal_of(t.sim, t.a, 0, 2 * MIB), VCMA_ST_TOO_MANY);
	assert_int_equal(sim_refusal_of(t.sim, t.a, 1, 2 * MIB), VCMA_ST_TOO_MANY);
	/* A number that is in use is so in all banks. */
	core_cancel(t.sim->core, t.a, last, t.sim->now);
	t.sim->sequence = last - 2;	/* that one waits in bank 0 */
	assert_int_equal(sim_refusal_of(t.sim, t.a, 1, 2 * MIB), VCMA_ST_INVALID);
	sim_free(t.sim);
}

/* The scrubber's turns are a VM's, however many banks it has (I9). */
static void one_debt(void **state)
{
	struct sim *sim = sim_new(GIB, 16 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *many, *one;
	uint64_t id[8], mine;
	uint32_t i, scrubbed = 0;
	char name[16];

	(void)state;
	many = sim_vm(sim, "many", 0, 0, 16 * CHUNK);
	one = sim_vm(sim, "one", 0, 0, 16 * CHUNK);
	for (i = 1; i < 8; i++) {
		snprintf(name, sizeof(name), "pool%u", i);
		sim_bank(sim, many, i, sim_pool(sim, name, (64 + i) * GIB, 8 * CHUNK, CHUNK, 2 * MIB),
			 0, 0, 8 * CHUNK);
	}
	for (i = 0; i < 8; i++)
		id[i] = sim_lease_of(sim, many, i, 8 * CHUNK);
	mine = sim_lease(sim, one, CHUNK);
	assert_int_equal(core_released(sim->core, many, id, 8, sim->now), 0);
	sim_release(sim, one, mine);
	while (sim_vm_record(sim, one).dirty) {
		struct core_granule *g = sim->scrub[0];

		memmove(sim->scrub, sim->scrub + 1, --sim->scrubs * sizeof(sim->scrub[0]));
		core_scrubbed(sim->core, g, CORE_SCRUB_CLEAN, sim->now);
		scrubbed++;
	}
	assert_true(scrubbed <= CORE_SCRUB_MAX + 2 * 8);
	sim_free(sim);
}

/* [B-66] */
static void records(void **state)
{
	struct two t = make_two();
	struct vcma_op_status status = { .pid = 5 };
	struct vcma_op_lease lease;
	struct vcma_op_vm vm[8];
	uint64_t next;

	(void)state;
	sim_lease_of(t.sim, t.b, 31, LOW);
	assert_int_equal(core_report_vms(t.sim->core, true, 0, vm, 8, &next), 4);
	assert_string_equal(vm[1].name, "a");
	assert_string_equal(vm[1].pool, "second");
	assert_int_equal(vm[1].bank, 1);
	assert_int_equal(vm[1].guarantee, LOW);
	assert_int_equal(vm[1].limit, 8 * LOW);
	assert_string_equal(vm[3].name, "b");
	assert_int_equal(vm[3].bank, 31);
	assert_int_equal(core_report_leases(t.sim->core, true, 0, &lease, 1, t.sim->now, &next), 1);
	assert_int_equal(lease.bank, 31);

	/* For those who do not know of banks: page by page, too. */
	assert_int_equal(core_report_vms(t.sim->core, false, 0, vm, 1, &next), 1);
	assert_string_equal(vm[0].name, "a");
	assert_string_equal(vm[0].pool, "pool");
	assert_int_not_equal(next, 0);
	assert_int_equal(core_report_vms(t.sim->core, false, next, vm, 8, &next), 1);
	assert_string_equal(vm[0].name, "b");
	assert_int_equal(vm[0].bank, 0);
	assert_int_equal(next, 0);
	assert_int_equal(core_report_leases(t.sim->core, false, 0, &lease, 1, t.sim->now, &next), 1);
	assert_string_equal(lease.pool, "second");
	assert_int_equal(lease.bank, 0);
	core_report_status(t.sim->core, &status);
	assert_int_equal(status.nr_vms, 2);
	assert_int_equal(status.nr_pools, 2);
	sim_free(t.sim);
}

/* core_check() must be able to see what is wrong with banks. */
static void check_sees(void **state)
{
	struct two t = make_two();
	struct core_lease *lease;
	struct share *share = t.a->bank[1];

	(void)state;
	lease = core_lease_find(t.sim->core, sim_lease_of(t.sim, t.a, 1, LOW));
	assert_null(core_check(t.sim->core));
	lease->share = t.a->bank[0];
	assert_memory_equal(core_check(t.sim->core), "I5", 2);
	lease->share = share;
	share->pool = t.sim->pool;
	assert_non_null(core_check(t.sim->core));
	share->pool = t.second;
	t.second->chunk[3].home = t.a->bank[0];
	assert_memory_equal(core_check(t.sim->core), "I9", 2);
	t.second->chunk[3].home = NULL;
	t.a->bank[1] = NULL;
	assert_memory_equal(core_check(t.sim->core), "I9", 2);
	t.a->bank[1] = share;
	t.a->nr_waiting++;
	assert_memory_equal(core_check(t.sim->core), "I9", 2);
	t.a->nr_waiting--;
	share->nr_waiting++;
	assert_memory_equal(core_check(t.sim->core), "I9", 2);
	share->nr_waiting--;
	assert_null(core_check(t.sim->core));
	sim_free(t.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_from_its_pool),
		cmocka_unit_test(banks_that_are_not_there),
		cmocka_unit_test(bad_banks),
		cmocka_unit_test(guarantees_of_banks),
		cmocka_unit_test(release_of_several_banks),
		cmocka_unit_test(ends_are_for_all_banks),
		cmocka_unit_test(orphaned_in_all_banks),
		cmocka_unit_test(operator_reclaims_in_all_banks),
		cmocka_unit_test(told_of_its_bank),
		cmocka_unit_test(requests_are_bounded),
		cmocka_unit_test(one_debt),
		cmocka_unit_test(records),
		cmocka_unit_test(check_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
