// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-extent.c - the index of free extents against a model that looks at
 * every unit
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "extent.h"

#define UNIT	UINT64_C(0x100000)
#define NR	200

struct model {
	struct extent_map map;
	struct extent_index idx[2];
	uint64_t addr[NR];
	int owner[NR];		/* 0: not free, else 1 + the index it is free in */
	uint64_t random;
};

static uint64_t roll(struct model *m, uint64_t below)
{
	m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (m->random >> 33) % below;
}

static void init(struct model *m, uint64_t seed)
{
	uint64_t at = 16 * UNIT;
	uint32_t i;

	m->random = seed;
	for (i = 0; i < NR; i++) {
		m->owner[i] = 0;
		m->addr[i] = at;
		/* A gap now and then: extents end there. */
		at += roll(m, 16) ? UNIT : (1 + roll(m, 40)) * UNIT;
	}
	assert_int_equal(extent_map_init(&m->map, m->addr, NR, UNIT), 0);
	extent_index_init(&m->idx[0], &m->map);
	extent_index_init(&m->idx[1], &m->map);
}

/* First unit after the extent that begins at @i. */
static uint32_t model_end(const struct model *m, uint32_t i)
{
	uint32_t j = i + 1;

	while (j < NR && m->owner[j] == m->owner[i] && m->addr[j] == m->addr[j - 1] + UNIT)
		j++;
	return j;
}

static void compare(const struct model *m, int which)
{
	const struct extent_index *idx = &m->idx[which];
	uint32_t i = 0, extents = 0, units = 0, longest = 0, at = extent_next(idx, 0);

	while (i < NR) {
		uint32_t end = model_end(m, i);

		if (m->owner[i] == which + 1) {
			assert_int_equal(at, i);
			assert_int_equal(extent_from(idx, i), end - i);
			assert_int_equal(extent_until(idx, end - 1), end - i);
			if (end - i > 1) {
				assert_int_equal(extent_from(idx, i + 1), 0);
				assert_int_equal(extent_until(idx, i), 0);
			}
			at = extent_next(idx, end);
			extents++;
			units += end - i;
			longest = end - i > longest ? end - i : longest;
		} else {
			assert_false(extent_has(idx, i));
			assert_int_equal(extent_from(idx, i), 0);
		}
		i = end;
	}
	assert_int_equal(at, UINT32_MAX);
	assert_int_equal(idx->extents, extents);
	assert_int_equal(idx->units, units);
	assert_int_equal(extent_longest(idx), longest);
}

/* The length of the shortest extent in which @want can be placed; 0: none. */
static uint32_t model_best(const struct model *m, int which, const struct extent_want *want)
{
	uint32_t i, end, best = 0;

	for (i = 0; i < NR; i = end) {
		uint64_t at;

		end = model_end(m, i);
		if (m->owner[i] != which + 1 || (best && end - i >= best))
			continue;
		for (at = m->addr[i]; at + want->size <= m->addr[i] + (end - i) * UNIT;
		     at += UNIT / 4)
			if (at % want->align == 0 &&
			    vcma_reach_ok(&want->reach, at, want->size)) {
				best = end - i;
				break;
			}
	}
	return best;
}

static struct extent_want some_want(struct model *m, bool plain)
{
	struct extent_want want = {
		.size = (UNIT / 4) << roll(m, 7),
		.reach = { .highest = VCMA_NO_ADDR },
	};

	want.align = want.size < UNIT ? want.size : UNIT;
	if (plain)
		return want;
	if (roll(m, 2))
		want.align = UNIT << roll(m, 6);
	if (roll(m, 2))
		want.reach.highest = m->addr[roll(m, NR)] + UNIT - 1;
	if (roll(m, 3) == 0)
		want.reach.forbidden = UNIT << roll(m, 6);
	if (roll(m, 3) == 0)
		want.reach.boundary = want.size << roll(m, 3);
	return want;
}

static bool is_good(const struct extent_want *want, uint64_t addr)
{
	return addr % want->align == 0 && vcma_reach_ok(&want->reach, addr, want->size);
}

/* Two extents are made of one only where neither end of it can be used. */
static void splits_only_if_it_must(const struct model *m, uint32_t unit,
				   const struct extent_want *want, uint64_t addr)
{
	uint32_t first = unit, end;

	if (want->size < UNIT)
		return;
	while (first && m->owner[first - 1] == m->owner[first] &&
	       m->addr[first - 1] + UNIT == m->addr[first])
		first--;
	end = model_end(m, first);
	if (addr == m->addr[first] || addr + want->size == m->addr[end - 1] + UNIT)
		return;
	assert_false(is_good(want, m->addr[first]));
	assert_false(is_good(want, m->addr[end - 1] + UNIT - want->size));
}

static void find_one(struct model *m, int which, bool plain)
{
	struct extent_want want = some_want(m, plain);
	uint32_t best = model_best(m, which, &want), unit, i;
	uint64_t addr;
	bool found = extent_find(&m->idx[which], &want, &unit, &addr);

	assert_int_equal(found, best != 0);
	if (!found)
		return;
	assert_int_equal(addr % want.align, 0);
	assert_true(vcma_reach_ok(&want.reach, addr, want.size));
	assert_true(addr >= m->addr[unit] && addr < m->addr[unit] + UNIT);
	for (i = unit; m->addr[i] < addr + want.size; i++) {
		assert_int_equal(m->owner[i], which + 1);
		if (i + 1 == NR)
			break;
	}
	splits_only_if_it_must(m, unit, &want, addr);
	if (plain) {
		uint32_t first = unit;

		while (first && m->owner[first - 1] == m->owner[first] &&
		       m->addr[first - 1] + UNIT == m->addr[first])
			first--;
		assert_int_equal(model_end(m, first) - first, best);
	}
}

static void change_some(struct model *m)
{
	uint32_t first = (uint32_t)roll(m, NR), n = 0, max = 1 + (uint32_t)roll(m, 24);
	int which = (int)roll(m, 2), owner = m->owner[first];

	/* A run of free units with consecutive addresses is taken, or any run is put. */
	while (n < max && first + n < NR && m->owner[first + n] == owner &&
	       (!owner || !n || m->addr[first + n] == m->addr[first + n - 1] + UNIT))
		n++;
	if (owner)
		extent_take(&m->idx[owner - 1], first, n);
	else
		extent_put(&m->idx[which], first, n);
	while (n--)
		m->owner[first + n] = owner ? 0 : which + 1;
}

static void against_a_model(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 10; seed++) {
		struct model m;
		int i;

		init(&m, seed);
		for (i = 0; i < 1500; i++) {
			change_some(&m);
			if (i % 8 == 0) {
				compare(&m, 0);
				compare(&m, 1);
			}
			find_one(&m, i % 2, roll(&m, 2));
		}
		extent_map_fini(&m.map);
	}
}

static void shortest_extent_first(void **state)
{
	struct extent_want want = {
		.size = 2 * UNIT, .align = UNIT, .reach = { .highest = VCMA_NO_ADDR },
	};
	struct model m;
	uint64_t addr;
	uint32_t i, unit;

	(void)state;
	init(&m, 1);
	for (i = 0; i < NR; i++)
		m.addr[i] = i * UNIT;
	extent_put(&m.idx[0], 0, 10);
	extent_put(&m.idx[0], 20, 3);
	extent_put(&m.idx[0], 30, 3);
	extent_put(&m.idx[0], 40, 1);
	assert_true(extent_find(&m.idx[0], &want, &unit, &addr));
	assert_int_equal(unit, 30);	/* of the two shortest the higher one (I6) */
	want.reach.highest = 30 * UNIT;
	assert_true(extent_find(&m.idx[0], &want, &unit, &addr));
	assert_int_equal(unit, 20);
	want.align = 8 * UNIT;
	assert_true(extent_find(&m.idx[0], &want, &unit, &addr));
	assert_int_equal(addr % want.align, 0);
	want.size = 16 * UNIT;
	assert_false(extent_find(&m.idx[0], &want, &unit, &addr));
	extent_map_fini(&m.map);
}

/* More unsuitable extents of the right length than are tried by size. */
static void found_behind_many(void **state)
{
	struct extent_want want = {
		.size = UNIT, .align = UNIT, .reach = { .highest = 3 * UNIT - 1 },
	};
	struct model m;
	uint64_t addr;
	uint32_t i, unit;

	(void)state;
	init(&m, 1);
	for (i = 0; i < NR; i++)
		m.addr[i] = 2 * i * UNIT;
	extent_put(&m.idx[0], 0, NR);
	assert_int_equal(m.idx[0].extents, NR);
	assert_true(extent_find(&m.idx[0], &want, &unit, &addr));
	assert_int_equal(unit, 1);
	extent_take(&m.idx[0], 1, 1);
	assert_true(extent_find(&m.idx[0], &want, &unit, &addr));
	assert_int_equal(unit, 0);
	extent_map_fini(&m.map);
}

/* --- at scale: a hundred thousand units, against a look at each of them --- */

#define MANY	(1u << 17)

struct large {
	struct extent_map map;
	struct extent_index idx;
	uint64_t *addr;
	bool *is_free;
};

/* Longest run of free, consecutive units that begins at each unit, from the back. */
static uint32_t *runs(const struct large *l)
{
	uint32_t *run = calloc(MANY + 1, sizeof(*run)), i;

	assert_non_null(run);
	for (i = MANY; i-- > 0;) {
		bool next = i + 1 < MANY && l->addr[i + 1] == l->addr[i] + UNIT;

		run[i] = l->is_free[i] ? 1 + (next ? run[i + 1] : 0) : 0;
	}
	return run;
}

static void at_scale(void **state)
{
	struct large l = { 0 };
	struct model m = { .random = 11 };	/* for its dice */
	uint32_t i, n, found = 0, unit, *run;
	uint64_t at = 0, addr;

	(void)state;
	l.addr = calloc(MANY, sizeof(*l.addr));
	l.is_free = calloc(MANY, sizeof(*l.is_free));
	assert_non_null(l.addr);
	assert_non_null(l.is_free);
	for (i = 0; i < MANY; i++) {
		l.addr[i] = at;
		at += roll(&m, 200) ? UNIT : roll(&m, 600) * UNIT + UNIT;
	}
	assert_int_equal(extent_map_init(&l.map, l.addr, MANY, UNIT), 0);
	extent_index_init(&l.idx, &l.map);
	for (i = 0; i < MANY; i += n) {
		n = 1 + (uint32_t)roll(&m, roll(&m, 4) ? 8 : 100);
		n = n < MANY - i ? n : MANY - i;
		if (roll(&m, 3) == 0)
			continue;
		extent_put(&l.idx, i, n);
		while (n--)
			l.is_free[i + n] = true;
		n = 1;
		while (i + n < MANY && l.is_free[i + n])
			n++;
	}
	run = runs(&l);
	for (n = 0; n < 300; n++) {
		struct extent_want want = {
			.size = UNIT << roll(&m, 8), .reach = { .highest = VCMA_NO_ADDR },
		};
		uint32_t units = (uint32_t)(want.size / UNIT);
		bool any = false;

		want.align = UNIT << roll(&m, 9);
		if (roll(&m, 2))
			want.reach.highest = roll(&m, 4) ? roll(&m, at / UNIT) * UNIT : 64 * UNIT;
		if (roll(&m, 2))
			want.reach.forbidden = UNIT << roll(&m, 18) | UNIT << roll(&m, 18);
		if (roll(&m, 2))
			want.reach.boundary = want.size << roll(&m, 4);
		for (i = 0; i < MANY && !any; i++)
			any = run[i] >= units && is_good(&want, l.addr[i]);
		assert_int_equal(extent_find(&l.idx, &want, &unit, &addr), any);
		if (!any)
			continue;
		found++;
		assert_int_equal(l.addr[unit], addr);
		assert_true(run[unit] >= units);
		assert_true(is_good(&want, addr));
	}
	assert_true(found > 50 && found < 290);
	extent_map_fini(&l.map);
	free(run);
	free(l.addr);
	free(l.is_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_a_model),
		cmocka_unit_test(shortest_extent_first),
		cmocka_unit_test(found_behind_many),
		cmocka_unit_test(at_scale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
