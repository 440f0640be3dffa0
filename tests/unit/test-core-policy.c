// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-policy.c - whom the core asks for memory: idle first, then by priority,
 * then by fair share; never below a guarantee (I7, I9)
 */

#include "core-sim.h"

#include "core_internal.h"

#define CHUNK	(16 * MIB)

struct world {
	struct sim *sim;
	struct core_vm *a, *b, *c;
	uint64_t of_a[4], of_b[4];
};

/* A pool of eight chunks; a and b have four each. */
static struct world make_world(uint8_t a, uint8_t b, uint8_t c)
{
	struct world w;
	int i;

	w.sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	w.a = sim_vm(w.sim, "a", 0, 0, 8 * CHUNK);
	w.b = sim_vm(w.sim, "b", 0, 0, 8 * CHUNK);
	w.c = sim_vm(w.sim, "c", 0, 0, 8 * CHUNK);
	w.a->priority = a;
	w.b->priority = b;
	w.c->priority = c;
	for (i = 0; i < 4; i++) {
		w.of_a[i] = sim_lease(w.sim, w.a, CHUNK);
		w.of_b[i] = sim_lease(w.sim, w.b, CHUNK);
	}
	return w;
}

static void says(struct world *w, struct core_vm *vm, uint64_t lease, uint64_t idle)
{
	const struct core_stats stats = { .lease = lease, .idle = idle };

	core_stats(w->sim->core, vm, &stats, 1, w->sim->now);
	sim_check(w->sim);
}

static void all_busy(struct world *w)
{
	int i;

	for (i = 0; i < 4; i++) {
		says(w, w->a, w->of_a[i], 0);
		says(w, w->b, w->of_b[i], CHUNK - 1);	/* idle in part is in use */
	}
}

static void lower_priority_first(void **state)
{
	struct world w = make_world(3, 7, 5);

	(void)state;
	sim_ask(w.sim, w.c, CHUNK);
	assert_int_equal(w.sim->reclaims, 1);
	assert_ptr_equal(w.sim->reclaim[0].vm, w.a);
	/* As few as possible of the other one. */
	sim_ask(w.sim, w.c, 4 * CHUNK);
	sim_obey(w.sim, 0);
	sim_scrub(w.sim);
	sim_free(w.sim);

	w = make_world(7, 3, 5);
	sim_ask(w.sim, w.c, CHUNK);
	assert_int_equal(w.sim->reclaims, 1);
	assert_ptr_equal(w.sim->reclaim[0].vm, w.b);
	sim_free(w.sim);
}

static void idle_goes_before_priority(void **state)
{
	struct world w = make_world(3, 7, 5);

	(void)state;
	says(&w, w.b, w.of_b[2], CHUNK);
	sim_ask(w.sim, w.c, CHUNK);
	assert_int_equal(w.sim->reclaims, 1);
	assert_ptr_equal(w.sim->reclaim[0].vm, w.b);
	assert_int_equal(w.sim->reclaim[0].count, 1);
	assert_int_equal(w.sim->reclaim[0].lease[0], w.of_b[2]);
	/* Nobody is believed about another VM's leases. */
	says(&w, w.a, w.of_b[3], CHUNK);
	sim_ask(w.sim, w.c, CHUNK);
	assert_int_equal(w.sim->reclaims, 2);
	assert_ptr_equal(w.sim->reclaim[1].vm, w.a);
	sim_free(w.sim);
}

/* I9: who stays within its fair share is not pressed for what it uses. */
static void busy_is_protected(void **state)
{
	struct world w = make_world(5, 5, 5);
	uint32_t sequence, i;

	(void)state;
	all_busy(&w);
	/* Of eight chunks three VMs are entitled to two at least: c gets these. */
	for (i = 0; i < 2; i++) {
		sequence = sim_ask(w.sim, w.c, CHUNK);
		assert_int_equal(w.sim->reclaims, i + 1);
		sim_obey(w.sim, i);
		sim_scrub(w.sim);
		sim_ack(w.sim, sim_answer(w.sim, w.c, sequence));
	}
	/* But no more. */
	assert_int_equal(sim_refusal(w.sim, w.c, CHUNK), VCMA_ST_TRY_LATER);
	assert_int_equal(w.sim->reclaims, 2);
	/* Unless it matters more than they do. */
	w.c->priority = 6;
	sim_ask(w.sim, w.c, CHUNK);
	assert_int_equal(w.sim->reclaims, 3);
	sim_free(w.sim);
}

/* Nor for the sake of somebody who matters less, though it be beyond its share. */
static void busy_of_a_higher_priority(void **state)
{
	struct world w = make_world(9, 9, 1);
	uint32_t sequence;

	(void)state;
	all_busy(&w);
	/* Its fair share is its own, whatever the priority. */
	sequence = sim_ask(w.sim, w.c, CHUNK);
	assert_int_equal(w.sim->reclaims, 1);
	sim_obey(w.sim, 0);
	sim_scrub(w.sim);
	sim_ack(w.sim, sim_answer(w.sim, w.c, sequence));
	assert_int_equal(sim_refusal(w.sim, w.c, 2 * CHUNK), VCMA_ST_TRY_LATER);
	sim_free(w.sim);
}

/* Of equals, the one who has more than its part. */
static void beyond_the_fair_share_first(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *a = sim_vm(sim, "a", 0, 0, 8 * CHUNK);
	struct core_vm *b = sim_vm(sim, "b", 0, 0, 8 * CHUNK);
	struct core_vm *c = sim_vm(sim, "c", 0, 0, 8 * CHUNK);
	int i;

	(void)state;
	for (i = 0; i < 2; i++)
		sim_lease(sim, a, CHUNK);
	for (i = 0; i < 6; i++)
		sim_lease(sim, b, CHUNK);
	sim_ask(sim, c, CHUNK);
	assert_int_equal(sim->reclaims, 1);
	assert_ptr_equal(sim->reclaim[0].vm, b);
	sim_free(sim);
}

/* I7: whatever the priorities, what is guaranteed is not asked for. */
static void never_below_a_guarantee(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *a = sim_vm(sim, "a", 4 * CHUNK, 4 * CHUNK, 8 * CHUNK);
	struct core_vm *b = sim_vm(sim, "b", 0, 0, 8 * CHUNK);
	uint64_t lease;

	(void)state;
	b->priority = POLICY_PRIORITY_MAX;
	lease = sim_lease(sim, a, 4 * CHUNK);
	core_stats(sim->core, a, &(struct core_stats){ .lease = lease, .idle = 4 * CHUNK }, 1,
		   sim->now);
	sim_lease(sim, a, 4 * CHUNK);
	sim_ask(sim, b, 4 * CHUNK);
	assert_int_equal(sim->reclaims, 1);
	assert_int_equal(sim->reclaim[0].count, 1);
	assert_int_not_equal(sim->reclaim[0].lease[0], lease);
	assert_int_equal(sim_refusal(sim, b, 8 * CHUNK), VCMA_ST_OVER_LIMIT);
	sim_free(sim);
}

/* Of two who wait for the same memory the one with the higher priority gets it. */
static void waiters_by_priority(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *a = sim_vm(sim, "a", 0, 0, 8 * CHUNK);
	struct core_vm *b = sim_vm(sim, "b", 0, 0, 8 * CHUNK);
	struct core_vm *c = sim_vm(sim, "c", 0, 0, 8 * CHUNK);
	uint32_t of_b, again, of_c;

	(void)state;
	c->priority = POLICY_PRIORITY_MAX;
	sim_lease(sim, a, 8 * CHUNK);
	core_vm_disconnected(sim->core, a, sim->now);
	of_b = sim_ask(sim, b, 4 * CHUNK);
	again = sim_ask(sim, b, 4 * CHUNK);
	of_c = sim_ask(sim, c, 4 * CHUNK);
	core_vm_gone(sim->core, a, sim->now);
	sim_check(sim);
	sim_scrub(sim);
	assert_int_equal(sim->answers, 3);
	assert_ptr_equal(sim->answer[1].vm, c);
	assert_int_equal(sim->answer[1].sequence, of_c);
	/* The other half to the older one of b's. */
	sim_ack(sim, sim_answer(sim, b, of_b));
	assert_null(sim_answer(sim, b, again));
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lower_priority_first),
		cmocka_unit_test(idle_goes_before_priority),
		cmocka_unit_test(busy_is_protected),
		cmocka_unit_test(busy_of_a_higher_priority),
		cmocka_unit_test(beyond_the_fair_share_first),
		cmocka_unit_test(never_below_a_guarantee),
		cmocka_unit_test(waiters_by_priority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
