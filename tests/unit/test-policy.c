// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-policy.c - the policy's pure functions, on random snapshots: what must be
 * true whatever the numbers are
 *
 * VCMA_SEED=N repeats a run; the seed is printed.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy.h"
#include "vcma_broker.h"

#define ROUNDS	20000
#define VMS	40

static uint64_t state_of_random;

static uint32_t roll(uint32_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (uint32_t)((state_of_random >> 20) % below);
}

static void seed(void)
{
	const char *text = getenv("VCMA_SEED");
	unsigned long long n = text ? strtoull(text, NULL, 0) : 5;

	print_message("# VCMA_SEED=%llu\n", n);
	state_of_random = n * 2654435761u + 1;
}

/* --- fair shares --- */

static uint32_t demand(const struct policy_vm *vm)
{
	uint32_t n = vm->held - vm->idle + vm->wanted;

	return n < vm->most ? n : vm->most;
}

static uint64_t served(const struct policy_vm *vm, uint32_t nr, uint32_t level)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < nr; i++)
		sum += demand(&vm[i]) < level ? demand(&vm[i]) : level;
	return sum;
}

static uint32_t some_vms(struct policy_vm *vm, uint32_t scale)
{
	uint32_t nr = roll(VMS), i;

	for (i = 0; i < nr; i++) {
		vm[i] = (struct policy_vm){
			.held = roll(scale), .wanted = roll(2) ? roll(scale) : 0,
			.most = roll(3) ? roll(4 * scale) : UINT32_MAX,
		};
		vm[i].idle = roll(2) ? roll(vm[i].held + 1) : 0;
	}
	return nr;
}

/* The level is the largest at which there is enough for all. */
static void fair_share_is_max_min(void **state)
{
	struct policy_vm vm[VMS];
	uint32_t i, nr, shared, level, limited = 0;

	(void)state;
	seed();
	for (i = 0; i < ROUNDS; i++) {
		nr = some_vms(vm, 1 + roll(300));
		shared = roll(4000);
		level = policy_fair_share(vm, nr, shared);
		assert_true(served(vm, nr, level) <= shared);
		if (level == UINT32_MAX)
			continue;
		limited++;
		assert_true(served(vm, nr, level + 1) > shared);
		/* Nobody is entitled to less than an equal part. */
		assert_true(level >= shared / nr);
	}
	assert_true(limited > ROUNDS / 10);
}

/* I9: what one VM asks for does not change what the others are entitled to, beyond its own part. */
static void asking_for_more_gains_nothing(void **state)
{
	struct policy_vm vm[VMS];
	uint32_t i, j, nr, shared, before, after;

	(void)state;
	seed();
	for (i = 0; i < ROUNDS; i++) {
		nr = some_vms(vm, 1 + roll(300));
		if (!nr)
			continue;
		shared = roll(4000);
		j = roll(nr);
		before = policy_fair_share(vm, nr, shared);
		vm[j].wanted += roll(100000);
		after = policy_fair_share(vm, nr, shared);
		assert_true(after <= before);
		/* If it had all that is fair already, nothing changes at all. */
		if (before != UINT32_MAX && vm[j].wanted && demand(&vm[j]) > before) {
			vm[j].wanted = 1u << 30;
			assert_int_equal(policy_fair_share(vm, nr, shared), after);
		}
		assert_true(after >= shared / nr);
	}
}

static void fair_share_by_hand(void **state)
{
	const struct policy_vm a[] = {
		{ .held = 10, .most = 100 },			/* content */
		{ .held = 60, .wanted = 30, .most = 100 },
		{ .held = 30, .wanted = 60, .most = 100 },
	};
	const struct policy_vm b[] = {
		{ .held = 90, .idle = 80, .most = 100 },	/* uses 10 */
		{ .held = 10, .wanted = 90, .most = 100 },
	};

	(void)state;
	assert_int_equal(policy_fair_share(a, 3, 100), 45);
	assert_int_equal(policy_fair_share(a, 3, 190), UINT32_MAX);
	assert_int_equal(policy_fair_share(b, 2, 100), 90);
	assert_int_equal(policy_fair_share(a, 0, 100), UINT32_MAX);
	assert_int_equal(policy_fair_share(a, 3, 0), 0);
}

/* --- whom to ask --- */

static struct policy_pair some_pair(void)
{
	return (struct policy_pair){
		.asker = (uint8_t)roll(POLICY_PRIORITY_MAX + 1),
		.holder = (uint8_t)roll(POLICY_PRIORITY_MAX + 1),
		.within = roll(2), .beyond = roll(2),
	};
}

static void ranks(void **state)
{
	bool seen[POLICY_RANKS] = { false };
	struct policy_pair p, q;
	enum policy_use u, v;
	uint32_t i, never = 0;

	(void)state;
	seed();
	for (i = 0; i < ROUNDS; i++) {
		unsigned int a, b;

		p = some_pair();
		q = p;
		q.holder = (uint8_t)roll(POLICY_PRIORITY_MAX + 1);
		q.beyond = roll(2);
		u = roll(POLICY_USES);
		v = roll(POLICY_USES);
		a = policy_rank(&p, u);
		b = policy_rank(&q, v);
		if (a == POLICY_NEVER) {
			/* Only what is in use, and not of a VM that matters less. */
			assert_int_equal(u, POLICY_BUSY);
			assert_true(p.holder >= p.asker);
			assert_false(p.beyond && p.within);
			never++;
			continue;
		}
		assert_true(a < POLICY_RANKS);
		seen[a] = true;
		if (b == POLICY_NEVER)
			continue;
		/* Use, priority, fairness: in this order. */
		if (u != v)
			assert_int_equal(a < b, u < v);
		else if (p.holder != q.holder)
			assert_int_equal(a < b, p.holder < q.holder);
		else if (p.beyond != q.beyond)
			assert_int_equal(a < b, p.beyond);
		else
			assert_int_equal(a, b);
	}
	assert_true(never > 1000);
	/* All but one: nobody is above those who are asked last. */
	for (i = 0; i < POLICY_RANKS - 1; i++)
		assert_true(seen[i]);
}

static void some_cost(struct policy_cost *c)
{
	uint32_t i;

	memset(c, 0, sizeof(*c));
	for (i = roll(4); i; i--)
		c->asked[roll(POLICY_RANKS)] = roll(3);
	c->coming = roll(3);
}

/* A strict order, in which one granule of a higher rank is worse than any number of lower ones. */
static void costs_are_in_order(void **state)
{
	struct policy_cost a, b, c;
	uint32_t i, r;

	(void)state;
	seed();
	for (i = 0; i < ROUNDS; i++) {
		some_cost(&a);
		some_cost(&b);
		some_cost(&c);
		assert_false(policy_cheaper(&a, &a));
		assert_int_equal(policy_cheaper(&a, &b) || policy_cheaper(&b, &a),
				 memcmp(&a, &b, sizeof(a)) != 0);
		if (policy_cheaper(&a, &b) && policy_cheaper(&b, &c))
			assert_true(policy_cheaper(&a, &c));
		b = a;
		r = 1 + roll(POLICY_RANKS - 1);
		b.asked[r]++;
		a.asked[r - 1] += 1000000;
		a.coming += 1000000;
		assert_true(policy_cheaper(&a, &b));
	}
}

/* --- may it have it --- */

/* I7: what a decision lets a VM have is never guaranteed to others, nor beyond its limit. */
static void decisions(void **state)
{
	uint32_t i, status, granted = 0;
	struct policy_view v;

	(void)state;
	seed();
	for (i = 0; i < ROUNDS; i++) {
		v = (struct policy_view){
			.need = 1 + roll(20), .limit = roll(60), .firm = roll(40), .pool = roll(60),
			.run_guaranteed = roll(2), .run_refused = roll(2), .run_possible = roll(2),
		};
		v.own = roll(v.pool + 1);
		v.guaranteed = roll(v.pool - v.own + 1);
		status = policy_decide(&v);
		granted += status == VCMA_ST_OK;
		if (status == VCMA_ST_OK) {
			assert_true(v.firm + v.need <= v.limit);
			assert_true(v.own + v.guaranteed + v.need <= v.pool);
			assert_true(v.run_possible);
		}
		if (status == VCMA_ST_NO_MEMORY)
			assert_true(v.need > v.pool - v.own);
		if (status == VCMA_ST_GUARANTEED)
			assert_true(v.run_guaranteed ||
				    v.need > v.pool - v.own - v.guaranteed);
		/* More room never turns a yes into a no. */
		v.limit += roll(10);
		v.guaranteed -= roll(v.guaranteed + 1);
		if (status == VCMA_ST_OK)
			assert_int_equal(policy_decide(&v), VCMA_ST_OK);
	}
	assert_true(granted > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fair_share_is_max_min),
		cmocka_unit_test(fair_share_by_hand),
		cmocka_unit_test(asking_for_more_gains_nothing),
		cmocka_unit_test(ranks),
		cmocka_unit_test(costs_are_in_order),
		cmocka_unit_test(decisions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
