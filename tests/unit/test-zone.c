// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-zone.c - the zone core against an oracle that looks at every byte
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "zone.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The definition of a good buffer, byte by byte. */
static bool oracle_ok(const struct vcma_reach *r, uint64_t addr, uint64_t size)
{
	uint64_t i;

	if (!size || addr + size - 1 < addr)
		return false;
	for (i = 0; i < size; i++) {
		uint64_t a = addr + i;

		if (a > r->highest || (a & r->forbidden))
			return false;
		if (i && r->boundary && a % r->boundary == 0)
			return false;
	}
	return true;
}

static uint64_t oracle_place(const struct vcma_reach *r, uint64_t from, uint64_t end,
			     uint64_t size, uint64_t align)
{
	uint64_t a;

	for (a = from; a < end; a++) {
		if (a % align == 0 && size <= end - a && oracle_ok(r, a, size))
			return a;
	}
	return VCMA_NO_ADDR;
}

static void fail_case(const char *what, const struct vcma_reach *r, uint64_t from,
		      uint64_t end, uint64_t size, uint64_t align, uint64_t got, uint64_t want)
{
	fail_msg("%s: highest %#llx forbidden %#llx boundary %#llx from %#llx end %#llx "
		 "size %#llx align %#llx: got %#llx, want %#llx", what,
		 (unsigned long long)r->highest, (unsigned long long)r->forbidden,
		 (unsigned long long)r->boundary, (unsigned long long)from,
		 (unsigned long long)end, (unsigned long long)size,
		 (unsigned long long)align, (unsigned long long)got,
		 (unsigned long long)want);
}

/* I5: every reach of a 5-bit address space, every buffer in it. */
static void test_i5_exhaustive(void **state)
{
	const uint64_t space = 32;
	uint64_t highest, forbidden, boundary, from, end, size, align;

	(void)state;
	for (highest = 0; highest < space; highest += 1 + highest / 8)
	for (forbidden = 0; forbidden < space; forbidden++)
	for (boundary = 0; boundary <= space; boundary = boundary ? boundary * 2 : 1) {
		struct vcma_reach r = { highest, forbidden, boundary };

		for (from = 0; from < space; from += 3)
		for (size = 0; size <= 9; size++) {
			bool ok = vcma_reach_ok(&r, from, size);

			if (ok != oracle_ok(&r, from, size))
				fail_case("ok", &r, from, 0, size, 0, ok, !ok);
			for (end = from; end <= space; end += 5)
			for (align = 1; align <= 8; align *= 2) {
				uint64_t got = vcma_reach_place(&r, from, end, size, align);
				uint64_t want = oracle_place(&r, from, end, size, align);

				if (got != want)
					fail_case("place", &r, from, end, size, align, got, want);
			}
		}
	}
}

/* I5 at the top of the address space, where sums wrap around. */
static void test_i5_wrap_around(void **state)
{
	const uint64_t base = ~UINT64_C(0) - 31;
	uint64_t forbidden, boundary, from, size, align;

	(void)state;
	for (forbidden = 0; forbidden < 32; forbidden++)
	for (boundary = 0; boundary <= 16; boundary = boundary ? boundary * 2 : 1)
	for (from = 0; from < 32; from++)
	for (size = 0; size <= 34; size++) {
		struct vcma_reach r = { ~UINT64_C(0), forbidden, boundary };
		uint64_t a = base + from;
		bool ok = vcma_reach_ok(&r, a, size);

		if (ok != oracle_ok(&r, a, size))
			fail_case("ok", &r, a, 0, size, 0, ok, !ok);
		for (align = 1; align <= 64; align *= 4) {
			uint64_t got = vcma_reach_place(&r, a, ~UINT64_C(0), size, align);
			uint64_t want = oracle_place(&r, a, ~UINT64_C(0), size, align);

			if (got != want)
				fail_case("place", &r, a, ~UINT64_C(0), size, align, got, want);
		}
	}
}

/*
 * I5 in large spaces: what is found is good, and what lies between the start
 * and the place found is bad at every aligned address that is looked at.
 */
static void test_i5_random_large(void **state)
{
	uint64_t seed = 20240607, round;
	unsigned int found = 0;

	(void)state;
	for (round = 0; round < 200000; round++) {
		unsigned int bits = 12 + next_random(&seed) % 53;
		uint64_t mask = bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
		uint64_t size = (next_random(&seed) & mask) >> (next_random(&seed) % bits);
		uint64_t align = UINT64_C(1) << next_random(&seed) % bits;
		uint64_t from = next_random(&seed) & mask;
		uint64_t end = next_random(&seed) & mask;
		struct vcma_reach r = { mask, 0, 0 };
		uint64_t got, probe;
		unsigned int i;

		if (next_random(&seed) % 2)
			r.highest = next_random(&seed) & mask;
		for (i = next_random(&seed) % 4; i > 0; i--)
			r.forbidden |= UINT64_C(1) << next_random(&seed) % bits;
		if (next_random(&seed) % 2)
			r.boundary = UINT64_C(1) << next_random(&seed) % bits;

		got = vcma_reach_place(&r, from, end, size, align);
		if (got != VCMA_NO_ADDR) {
			found++;
			assert_true(got >= from && got % align == 0);
			assert_true(size <= end && got <= end - size);
			assert_true(vcma_reach_ok(&r, got, size));
		}
		for (i = 0; i < 16; i++) {
			uint64_t top = got != VCMA_NO_ADDR ? got : end;

			if (top <= from)
				break;
			probe = from + next_random(&seed) % (top - from);
			probe &= ~(align - 1);
			if (probe < from || size > end || probe > end - size)
				continue;
			if (vcma_reach_ok(&r, probe, size))
				fail_case("lower place", &r, from, end, size, align, got, probe);
		}
	}
	assert_true(found > 10000);
}

static void test_bit_20_is_every_even_megabyte(void **state)
{
	struct vcma_reach r;
	uint64_t from = 0, n = 0;

	(void)state;
	vcma_reach_init(&r, 0xffffffff, 0, 0, MIB);
	for (;;) {
		uint64_t a = vcma_reach_place(&r, from, 64 * MIB, MIB, 4096);

		if (a == VCMA_NO_ADDR)
			break;
		assert_int_equal(a, 2 * n * MIB);
		n++;
		from = a + 1;
	}
	assert_int_equal(n, 32);
	/* One byte more than a megabyte fits nowhere. */
	assert_int_equal(vcma_reach_place(&r, 0, 4 * GIB, MIB + 1, 1), VCMA_NO_ADDR);
	assert_true(vcma_reach_ok(&r, 2 * MIB, MIB));
	assert_false(vcma_reach_ok(&r, 2 * MIB + 1, MIB));
	assert_false(vcma_reach_ok(&r, MIB, 1));
	/* From within an odd megabyte: the next even one. */
	assert_int_equal(vcma_reach_place(&r, 3 * MIB + 5, 64 * MIB, 4096, 4096), 4 * MIB);
	/* Bits 20 and 21: megabytes 0, 4, 8 ... */
	r.forbidden = 3 * MIB;
	assert_int_equal(vcma_reach_place(&r, 1, 64 * MIB, MIB, 1), 4 * MIB);
}

static void test_limits(void **state)
{
	static const unsigned int bits[] = { 24, 28, 30, 32, 64 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		uint64_t mask = bits[i] == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits[i]) - 1;
		uint64_t top = mask - 4095;
		struct vcma_reach r;

		vcma_reach_init(&r, mask, 0, 0, 0);
		assert_int_equal(r.highest, mask);
		assert_true(vcma_reach_ok(&r, top, 4096));
		assert_false(vcma_reach_ok(&r, top, 4097));
		assert_false(vcma_reach_ok(&r, top + 1, 4096));
		if (bits[i] < 64) {
			assert_int_equal(vcma_reach_place(&r, 0, ~UINT64_C(0), mask + 1, 1), 0);
			assert_int_equal(vcma_reach_place(&r, 1, ~UINT64_C(0), mask + 1, 1),
					 VCMA_NO_ADDR);
			assert_int_equal(vcma_reach_place(&r, mask, ~UINT64_C(0), 1, 1), mask);
			assert_int_equal(vcma_reach_place(&r, mask + 1, ~UINT64_C(0), 1, 1),
					 VCMA_NO_ADDR);
		}
	}
}

static void test_init_takes_the_lower_limit(void **state)
{
	struct vcma_reach r;

	(void)state;
	vcma_reach_init(&r, 0, 0, 0, 0);
	assert_int_equal(r.highest, ~UINT64_C(0));
	vcma_reach_init(&r, 0xffffffff, 0, 4096, 7);
	assert_int_equal(r.highest, 0xffffffff);
	assert_int_equal(r.boundary, 4096);
	assert_int_equal(r.forbidden, 7);
	vcma_reach_init(&r, 0, 0xffffff, 0, 0);
	assert_int_equal(r.highest, 0xffffff);
	vcma_reach_init(&r, 0xffffffff, 0xffffff, 0, 0);
	assert_int_equal(r.highest, 0xffffff);
	vcma_reach_init(&r, 0xffffff, 0xffffffff, 0, 0);
	assert_int_equal(r.highest, 0xffffff);
}

static void test_odd_arguments(void **state)
{
	struct vcma_reach r;

	(void)state;
	vcma_reach_init(&r, 0, 0, 0, 0);
	assert_int_equal(vcma_reach_place(&r, 0, GIB, 0, 1), VCMA_NO_ADDR);
	assert_int_equal(vcma_reach_place(&r, 0, GIB, ~UINT64_C(0), 1), VCMA_NO_ADDR);
	assert_int_equal(vcma_reach_place(&r, 0, GIB, 4096, 3), VCMA_NO_ADDR);
	assert_int_equal(vcma_reach_place(&r, 5, GIB, 4096, 0), 5);
	assert_int_equal(vcma_reach_place(&r, 5, 5, 1, 1), VCMA_NO_ADDR);
	assert_int_equal(vcma_reach_place(&r, 5, 0, 1, 1), VCMA_NO_ADDR);
	assert_int_equal(vcma_reach_place(&r, 1, ~UINT64_C(0), 1, UINT64_C(1) << 63),
			 UINT64_C(1) << 63);
	assert_int_equal(vcma_reach_place(&r, (UINT64_C(1) << 63) + 1, ~UINT64_C(0), 1,
					  UINT64_C(1) << 63), VCMA_NO_ADDR);
	/* A boundary that is not a power of two is taken as a stricter one. */
	r.boundary = 0x3000;
	assert_false(vcma_reach_ok(&r, 0x800, 0x1000));
	assert_true(vcma_reach_ok(&r, 0x1000, 0x1000));
}

static void test_i6_highest_zone_first(void **state)
{
	const struct vcma_span win[] = {
		{ 12 * MIB, 4 * MIB },		/* DMA */
		{ 0x100000000, 4 * GIB },	/* NORMAL */
		{ 0xc0000000, 256 * MIB },	/* DMA32 */
		{ 0, 0 },			/* empty */
		{ ~UINT64_C(0) - 1, 8 },	/* wraps around */
		{ 0x800000000, GIB },		/* NORMAL, higher */
	};
	unsigned int order[6];
	struct vcma_reach r;

	(void)state;
	vcma_reach_init(&r, 0, 0, 0, 0);
	assert_int_equal(vcma_zone_order(win, 6, &r, order), 4);
	assert_int_equal(order[0], 5);
	assert_int_equal(order[1], 1);
	assert_int_equal(order[2], 2);
	assert_int_equal(order[3], 0);

	vcma_reach_init(&r, 0xffffffff, 0, 0, 0);
	assert_int_equal(vcma_zone_order(win, 6, &r, order), 2);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 0);

	/* 30 bits end below the DMA32 window here. */
	vcma_reach_init(&r, 0x3fffffff, 0, 0, 0);
	assert_int_equal(vcma_zone_order(win, 6, &r, order), 1);
	assert_int_equal(order[0], 0);

	vcma_reach_init(&r, 0xfff, 0, 0, 0);
	assert_int_equal(vcma_zone_order(win, 6, &r, order), 0);

	/* A forbidden bit that every address of the window has. */
	vcma_reach_init(&r, 0xffffffff, 0, 0, UINT64_C(1) << 31);
	assert_int_equal(vcma_zone_order(win, 6, &r, order), 1);
	assert_int_equal(order[0], 0);

	assert_int_equal(vcma_zone_order(win, 0, &r, order), 0);
}

/* I6 at random: reachable ones only, each once, bases never rising, ties in order. */
static void test_i6_random(void **state)
{
	uint64_t seed = 77;
	unsigned int round, i, n;

	(void)state;
	for (round = 0; round < 20000; round++) {
		struct vcma_span win[16];
		unsigned int order[16];
		bool seen[16] = { false };
		struct vcma_reach r = { next_random(&seed) % 300, next_random(&seed) % 256, 0 };
		unsigned int nr = next_random(&seed) % 17;

		for (i = 0; i < nr; i++) {
			win[i].base = next_random(&seed) % 256;
			win[i].size = next_random(&seed) % 40;
		}
		n = vcma_zone_order(win, nr, &r, order);
		for (i = 0; i < n; i++) {
			assert_true(order[i] < nr && !seen[order[i]]);
			seen[order[i]] = true;
			if (i) {
				const struct vcma_span *a = &win[order[i - 1]];
				const struct vcma_span *b = &win[order[i]];

				assert_true(a->base > b->base ||
					    (a->base == b->base && order[i - 1] < order[i]));
			}
		}
		for (i = 0; i < nr; i++)
			assert_int_equal(seen[i], oracle_place(&r, win[i].base,
							       win[i].base + win[i].size,
							       1, 1) != VCMA_NO_ADDR);
	}
}

/* I6: who could go higher leaves a part of what is lower; the others nothing. */
static void test_i6_reserve(void **state)
{
	const struct vcma_span win[] = {
		{ 12 * MIB, 4 * MIB },		/* DMA */
		{ 0x100000000, GIB },		/* NORMAL */
		{ 0xc0000000, 256 * MIB },	/* DMA32 */
	};
	unsigned int order[3];
	struct vcma_reach r;

	(void)state;
	vcma_reach_init(&r, 0, 0, 0, 0);
	assert_int_equal(vcma_zone_order(win, 3, &r, order), 3);
	assert_int_equal(vcma_zone_reserve(win, order, 0, 32), 0);
	assert_int_equal(vcma_zone_reserve(win, order, 1, 32), 32 * MIB);
	/* (1 GiB + 256 MiB) / 32 is more than half of the window. */
	assert_int_equal(vcma_zone_reserve(win, order, 2, 32), 2 * MIB);
	assert_int_equal(vcma_zone_reserve(win, order, 2, 0), 0);
	assert_int_equal(vcma_zone_reserve(win, order, 1, 1), 128 * MIB);

	vcma_reach_init(&r, 0xffffff, 0, 0, 0);
	assert_int_equal(vcma_zone_order(win, 3, &r, order), 1);
	assert_int_equal(vcma_zone_reserve(win, order, 0, 32), 0);
}

static void test_i6_reserve_random(void **state)
{
	uint64_t seed = 4711;
	unsigned int round, i;

	(void)state;
	for (round = 0; round < 20000; round++) {
		unsigned int order[4] = { 3, 1, 0, 2 }, pos = next_random(&seed) % 4;
		unsigned int ratio = 1 + (uint32_t)next_random(&seed) % 1000;
		unsigned __int128 above = 0;
		struct vcma_span win[4];
		uint64_t want;

		for (i = 0; i < 4; i++) {
			win[i].base = 0;
			win[i].size = next_random(&seed) >> next_random(&seed) % 64;
		}
		for (i = 0; i < pos; i++)
			above += win[order[i]].size;
		if (above > UINT64_MAX)
			above = UINT64_MAX;
		want = (uint64_t)above / ratio;
		if (want > win[order[pos]].size / 2)
			want = win[order[pos]].size / 2;
		assert_int_equal(vcma_zone_reserve(win, order, pos, ratio), want / 4096 * 4096);
	}
}

/* I5: the bytes and the runs of a span are those that are good one by one. */
static void test_i5_runs(void **state)
{
	const uint64_t space = 40;
	uint64_t highest, forbidden, base, size, a;

	(void)state;
	for (highest = 0; highest < space; highest++)
	for (forbidden = 0; forbidden < 64; forbidden++)
	for (base = 0; base < space; base += 3)
	for (size = 0; size < space; size += 5) {
		const struct vcma_reach r = { highest, forbidden, 4 };
		const struct vcma_span span = { base, size };
		uint64_t bytes = 0, sum = 0, from = base;
		struct vcma_span run;

		for (a = base; a < base + size; a++)
			bytes += a <= highest && !(a & forbidden);
		assert_int_equal(vcma_reach_bytes(&r, &span), bytes);
		while (vcma_reach_next(&r, from, base + size, &run)) {
			assert_true(run.base >= from && run.size);
			for (a = from; a < run.base; a++)
				assert_true(a > highest || (a & forbidden));
			for (a = run.base; a < run.base + run.size; a++)
				assert_true(a <= highest && !(a & forbidden));
			sum += run.size;
			from = run.base + run.size;
			assert_true(from == base + size || from > highest || (from & forbidden));
		}
		assert_int_equal(sum, bytes);
	}
}

static void test_i5_bytes_at_the_top(void **state)
{
	const struct vcma_reach all = { ~UINT64_C(0), 0, 0 };
	const struct vcma_reach even = { ~UINT64_C(0), 1, 0 };
	const struct vcma_span top = { ~UINT64_C(0) - 15, 16 }, wraps = { ~UINT64_C(0) - 15, 17 };

	(void)state;
	assert_int_equal(vcma_reach_bytes(&all, &top), 16);
	assert_int_equal(vcma_reach_bytes(&even, &top), 8);
	assert_int_equal(vcma_reach_bytes(&all, &wraps), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_i5_exhaustive),
		cmocka_unit_test(test_i5_wrap_around),
		cmocka_unit_test(test_i5_random_large),
		cmocka_unit_test(test_bit_20_is_every_even_megabyte),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_init_takes_the_lower_limit),
		cmocka_unit_test(test_odd_arguments),
		cmocka_unit_test(test_i6_highest_zone_first),
		cmocka_unit_test(test_i6_random),
		cmocka_unit_test(test_i6_reserve),
		cmocka_unit_test(test_i6_reserve_random),
		cmocka_unit_test(test_i5_runs),
		cmocka_unit_test(test_i5_bytes_at_the_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
