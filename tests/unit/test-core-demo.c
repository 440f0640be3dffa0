// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-demo.c - the story that `make demo` tells, decided by the core:
 * two VMs share a pool of 256 MiB that is too small for both
 */

#include "core-sim.h"

struct world {
	struct sim *sim;
	struct core_vm *alpha, *beta;
};

static struct world make_world(void)
{
	struct world w;

	w.sim = sim_new(GIB, 256 * MIB, 16 * MIB, 2 * MIB);
	w.alpha = sim_vm(w.sim, "alpha", 64 * MIB, 64 * MIB, 192 * MIB);
	w.beta = sim_vm(w.sim, "beta", 32 * MIB, 32 * MIB, 224 * MIB);
	return w;
}

/* Alpha takes all that it may have; the leases from @ret_lease[1] on are shared. */
static void grow_alpha(struct world *w)
{
	uint64_t id;
	int i;

	id = sim_lease(w->sim, w->alpha, 16 * MIB);
	assert_int_equal(sim_lease_record(w->sim, id).guaranteed, 1);
	id = sim_lease(w->sim, w->alpha, 64 * MIB);
	assert_int_equal(sim_lease_record(w->sim, id).guaranteed, 0);
	assert_int_equal(sim_vm_record(w->sim, w->alpha).charged, 80 * MIB);
	for (i = 0; i < 7; i++)
		sim_lease(w->sim, w->alpha, 16 * MIB);
	assert_int_equal(sim_vm_record(w->sim, w->alpha).charged, 192 * MIB);
	assert_int_equal(sim_vm_record(w->sim, w->alpha).leased, 192 * MIB);
}

static void pool_at_start(void **state)
{
	struct world w = make_world();
	struct vcma_op_pool r = sim_pool_record(w.sim);

	(void)state;
	assert_int_equal(r.size, 256 * MIB);
	assert_int_equal(r.extents, 1);
	assert_int_equal(r.longest, 256 * MIB);
	assert_int_equal(r.guaranteed, 96 * MIB);
	assert_int_equal(r.free_longest, 160 * MIB);
	assert_int_equal(r.clean, 128);
	assert_string_equal(r.name, "pool");
	sim_free(w.sim);
}

static void beta_gets_what_alpha_gives_up(void **state)
{
	struct world w = make_world();
	struct sim *sim = w.sim;
	struct sim_answer *answer;
	uint32_t sequence, i;
	uint64_t id;

	(void)state;
	grow_alpha(&w);
	assert_int_equal(sim_refusal(sim, w.alpha, 16 * MIB), VCMA_ST_OVER_LIMIT);
	assert_int_equal(sim_vm_record(sim, w.alpha).refused_size, 16 * MIB);
	assert_int_equal(sim->reclaims, 0);

	id = sim_lease(sim, w.beta, 16 * MIB);
	assert_int_equal(sim_lease_record(sim, id).guaranteed, 1);
	sequence = sim_ask(sim, w.beta, 64 * MIB);
	assert_null(sim_answer(sim, w.beta, sequence));
	assert_int_equal(sim_vm_record(sim, w.beta).nr_waiting, 1);
	assert_false(core_is_idle(sim->core));

	/* 32M are free beside two of alpha's leases of 16M: these are the least. */
	assert_int_equal(sim->reclaims, 1);
	assert_ptr_equal(sim->reclaim[0].vm, w.alpha);
	assert_int_equal(sim->reclaim[0].count, 2);
	for (i = 0; i < 2; i++) {
		struct vcma_op_lease r = sim_lease_record(sim, sim->reclaim[0].lease[i]);

		assert_int_equal(r.guaranteed, 0);
		assert_int_equal(r.size, 16 * MIB);
	}
	sim_obey(sim, 0);
	assert_null(sim_answer(sim, w.beta, sequence));
	assert_int_equal(sim_vm_record(sim, w.alpha).dirty, 32 * MIB);
	sim_scrub(sim);
	answer = sim_answer(sim, w.beta, sequence);
	sim_ack(sim, answer);
	assert_int_equal(core_lease_size(answer->lease), 64 * MIB);
	assert_int_equal(sim_vm_record(sim, w.alpha).charged, 160 * MIB);
	assert_int_equal(sim_vm_record(sim, w.alpha).reclaimed, 32 * MIB);
	assert_int_equal(sim_vm_record(sim, w.beta).charged, 80 * MIB);
	assert_true(core_is_idle(sim->core));

	/* Within beta's limit, but only alpha's guarantee could give it. */
	assert_int_equal(sim_refusal(sim, w.beta, 128 * MIB), VCMA_ST_GUARANTEED);
	assert_string_equal(sim_vm_record(sim, w.beta).refused_by, "alpha");
	assert_int_equal(sim->reclaims, 1);
	assert_int_equal(sim->scrubs, 0);
	sim_free(sim);
}

static void a_dead_vm_gives_all_back(void **state)
{
	struct world w = make_world();
	struct sim *sim = w.sim;

	(void)state;
	grow_alpha(&w);
	core_vm_gone(sim->core, w.alpha, sim->now);
	sim_check(sim);
	assert_int_equal(sim_vm_record(sim, w.alpha).dirty, 192 * MIB);
	assert_int_equal(sim_vm_record(sim, w.alpha).nr_leases, 0);
	sim_scrub(sim);
	assert_int_equal(sim_pool_record(sim).clean, 128);
	assert_int_equal(sim_pool_record(sim).free_longest, 160 * MIB);
	assert_int_equal(sim_vm_record(sim, w.alpha).charged, 0);
	assert_true(core_is_idle(sim->core));
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_at_start),
		cmocka_unit_test(beta_gets_what_alpha_gives_up),
		cmocka_unit_test(a_dead_vm_gives_all_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
