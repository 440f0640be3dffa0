// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-chunk.c - the small pure parts of the core: which granules make a
 * pool, room within a chunk, legal steps of a granule, the policy
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "buddy.h"
#include "chunk_select.h"
#include "granule.h"
#include "policy.h"

#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)
#define STEP	512	/* pages in a granule of 2 MiB */

static void default_chunk(void **state)
{
	(void)state;
	assert_int_equal(chunk_default(256 * MIB, 2 * MIB), 16 * MIB);
	assert_int_equal(chunk_default(255 * MIB, 2 * MIB), 8 * MIB);
	assert_int_equal(chunk_default(2 * MIB, 2 * MIB), 2 * MIB);
	assert_int_equal(chunk_default(64 * MIB, 4096), 4 * MIB);
	assert_int_equal(chunk_default(1024 * GIB, 2 * MIB), 256 * MIB);
	assert_int_equal(chunk_default(64 * GIB, GIB), GIB);
	assert_int_equal(chunk_default(UINT64_MAX, 4096), 256 * MIB);
}

static void select_longest_first(void **state)
{
	/* In chunks of 4: 8..11 whole; 16..27 three of them; 40.. not aligned; 52..55 whole. */
	static const int at[] = {
		3, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
		41, 42, 43, 44, 48, 49, 51, 52, 53, 54, 55,
	};
	uint64_t pfn[28];
	bool take[28];
	uint32_t nr, i;

	(void)state;
	for (i = 0; i < 28; i++)
		pfn[i] = (uint64_t)at[i] * STEP;
	assert_int_equal(chunk_select(pfn, 28, 2 * MIB, 8 * MIB, 8, take, &nr), 0);
	assert_int_equal(nr, 8);
	for (i = 0; i < 28; i++)
		assert_int_equal(take[i], at[i] >= 16 && at[i] < 24);
	assert_int_equal(chunk_select(pfn, 28, 2 * MIB, 8 * MIB, 16, take, &nr), 0);
	assert_int_equal(nr, 16);
	for (i = 0; i < 28; i++)
		assert_int_equal(take[i], (at[i] >= 16 && at[i] < 28) || (at[i] >= 8 && at[i] < 12));
	/* All that there is. */
	assert_int_equal(chunk_select(pfn, 28, 2 * MIB, 8 * MIB, 28, take, &nr), 0);
	assert_int_equal(nr, 20);
	/* Part of a chunk is not chosen. */
	assert_int_equal(chunk_select(pfn, 28, 2 * MIB, 8 * MIB, 7, take, &nr), 0);
	assert_int_equal(nr, 4);
	assert_int_equal(chunk_select(pfn, 28, 2 * MIB, 2 * MIB, 28, take, &nr), 0);
	assert_int_equal(nr, 28);
	assert_int_equal(chunk_select(pfn, 0, 2 * MIB, 8 * MIB, 8, take, &nr), 0);
	assert_int_equal(nr, 0);
}

static void select_refuses(void **state)
{
	uint64_t pfn[2] = { STEP, 0 };
	uint32_t nr = 77;
	bool take[2];

	(void)state;
	assert_int_equal(chunk_select(pfn, 2, 2 * MIB, 2 * MIB, 2, take, &nr), -EINVAL);
	pfn[1] = STEP;
	assert_int_equal(chunk_select(pfn, 2, 2 * MIB, 2 * MIB, 2, take, &nr), -EINVAL);
	assert_int_equal(chunk_select(pfn, 1, 2 * MIB, MIB, 1, take, &nr), -EINVAL);
	assert_int_equal(chunk_select(pfn, 1, 3 * MIB, 6 * MIB, 1, take, &nr), -EINVAL);
	assert_int_equal(chunk_select(pfn, 1, 2 * MIB, 6 * MIB, 1, take, &nr), -EINVAL);
	assert_int_equal(chunk_select(pfn, 1, 1024, 4096, 1, take, &nr), -EINVAL);
	assert_int_equal(nr, 77);
}

#define BUDDIES 32

/* What buddy_room() should say, from single granules. */
static unsigned int model_room(const bool *is_free)
{
	unsigned int order, best = 0;
	uint32_t i, j;

	for (order = 0; UINT32_C(1) << order <= BUDDIES; order++)
		for (i = 0; i < BUDDIES; i += UINT32_C(1) << order) {
			for (j = i; j < i + (UINT32_C(1) << order) && is_free[j]; j++)
				;
			if (j == i + (UINT32_C(1) << order))
				best = order + 1;
		}
	return best;
}

static void buddies_against_a_model(void **state)
{
	uint8_t node[2 * BUDDIES];
	bool is_free[BUDDIES];
	uint64_t random = 7;
	uint32_t i, at, j;
	unsigned int order;

	(void)state;
	buddy_init(node, BUDDIES);
	memset(is_free, true, sizeof(is_free));
	assert_int_equal(buddy_room(node), 6);
	for (i = 0; i < 5000; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		at = (uint32_t)(random >> 40) % BUDDIES;
		/* For a while most are taken, for a while most are free. */
		is_free[at] = (random >> 50) % 8 < (i / 500) % 8;
		buddy_set(node, BUDDIES, at, is_free[at]);
		assert_int_equal(buddy_room(node), model_room(is_free));
		for (order = 0; order <= 5; order++) {
			bool found = buddy_find(node, BUDDIES, order, NULL, NULL, &at);

			assert_int_equal(found, order < buddy_room(node));
			for (j = 0; found && j < UINT32_C(1) << order; j++)
				assert_true(is_free[at + j]);
			if (found)
				assert_int_equal(at % (UINT32_C(1) << order), 0);
		}
	}
}

static bool accept_last(void *opaque, uint32_t i)
{
	return i == *(uint32_t *)opaque;
}

static void buddies_keep_large_blocks(void **state)
{
	uint8_t node[2 * BUDDIES];
	uint32_t at, only = BUDDIES - 2;

	(void)state;
	buddy_init(node, BUDDIES);
	buddy_set(node, BUDDIES, 21, false);
	assert_true(buddy_find(node, BUDDIES, 0, NULL, NULL, &at));
	assert_int_equal(at, 20);
	assert_true(buddy_find(node, BUDDIES, 1, accept_last, &only, &at));
	assert_int_equal(at, only);
	only = 21;
	assert_false(buddy_find(node, BUDDIES, 0, accept_last, &only, &at));
	buddy_init(node, 1);
	assert_int_equal(buddy_room(node), 1);
	assert_true(buddy_find(node, 1, 0, NULL, NULL, &at));
	buddy_set(node, 1, 0, false);
	assert_false(buddy_find(node, 1, 0, NULL, NULL, &at));
}

/* I1 and I4: what has been with a peer is clean again by way of the scrubber only. */
static void granule_steps(void **state)
{
	int from, to;

	(void)state;
	for (from = 0; from < GRANULE_NR_STATES; from++) {
		assert_false(granule_step_is_legal(from, from));
		assert_false(granule_step_is_legal(GRANULE_BAD, from));
		assert_non_null(granule_state_name(from));
	}
	for (to = 0; to < GRANULE_NR_STATES; to++) {
		bool dirty = to == GRANULE_DIRTY;

		assert_int_equal(granule_step_is_legal(GRANULE_LEASED, to), dirty);
		assert_int_equal(granule_step_is_legal(GRANULE_GRANTING, to),
				 dirty || to == GRANULE_LEASED);
		assert_int_equal(granule_step_is_legal(GRANULE_DIRTY, to),
				 to == GRANULE_SCRUBBING);
	}
	assert_true(granule_step_is_legal(GRANULE_CLEAN, GRANULE_RESERVED));
	assert_true(granule_step_is_legal(GRANULE_RESERVED, GRANULE_GRANTING));
	assert_true(granule_step_is_legal(GRANULE_SCRUBBING, GRANULE_QUARANTINED));
	assert_true(granule_step_is_legal(GRANULE_QUARANTINED, GRANULE_CLEAN));
	assert_false(granule_step_is_legal(GRANULE_QUARANTINED, GRANULE_GRANTING));
}

static void policy(void **state)
{
	const struct policy_view fine = {
		.need = 4, .limit = 10, .firm = 2, .pool = 16, .guaranteed = 4, .own = 2,
		.run_possible = true,
	};
	struct policy_view v = fine;

	(void)state;
	assert_int_equal(policy_decide(&v), VCMA_ST_OK);
	v.firm = 7;
	assert_int_equal(policy_decide(&v), VCMA_ST_OVER_LIMIT);
	v.need = 17;
	assert_int_equal(policy_decide(&v), VCMA_ST_NO_MEMORY);
	v.limit = 100;
	assert_int_equal(policy_decide(&v), VCMA_ST_NO_MEMORY);
	v = fine;
	v.guaranteed = 11;
	assert_int_equal(policy_decide(&v), VCMA_ST_GUARANTEED);
	v.guaranteed = 10;
	assert_int_equal(policy_decide(&v), VCMA_ST_OK);
	v.own = 13;
	v.guaranteed = 0;
	assert_int_equal(policy_decide(&v), VCMA_ST_NO_MEMORY);
	v = fine;
	v.run_possible = false;
	assert_int_equal(policy_decide(&v), VCMA_ST_NO_RUN);
	v.run_guaranteed = true;
	assert_int_equal(policy_decide(&v), VCMA_ST_GUARANTEED);
	v.run_refused = true;
	assert_int_equal(policy_decide(&v), VCMA_ST_TRY_LATER);
	v.run_possible = true;
	assert_int_equal(policy_decide(&v), VCMA_ST_OK);
	v.firm = UINT32_MAX;
	v.need = UINT32_MAX;
	v.limit = UINT32_MAX;
	assert_int_equal(policy_decide(&v), VCMA_ST_NO_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_chunk),
		cmocka_unit_test(select_longest_first),
		cmocka_unit_test(select_refuses),
		cmocka_unit_test(buddies_against_a_model),
		cmocka_unit_test(buddies_keep_large_blocks),
		cmocka_unit_test(granule_steps),
		cmocka_unit_test(policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
