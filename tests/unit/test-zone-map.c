// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-zone-map.c - zones against an oracle that fills them address by address
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "zone_map.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define ALL (~UINT64_C(0))

static const struct vcma_zone_rules amd64_rules = {
	.dma = true, .dma32 = true,
	.dma_highest = 16 * MIB - 1, .dma32_highest = 4 * GIB - 1, .low_highest = ALL,
};

static const struct vcma_zone_rules i386_rules = {
	.dma = true, .highmem = true,
	.dma_highest = 16 * MIB - 1, .low_highest = 887 * MIB - 1,
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/*
 * The six rules as a person would apply them to one byte of memory at @addr: the
 * lowest zone, in the order DMA, DMA32, NORMAL, HIGHMEM, whose end is not below it.
 */
static unsigned int oracle_zone(const struct vcma_zone_rules *rules, uint64_t addr)
{
	if (addr > rules->low_highest)
		return rules->highmem ? VCMA_ZONE_HIGHMEM : VCMA_NR_ZONES;
	if (rules->dma && addr <= rules->dma_highest)
		return VCMA_ZONE_DMA;
	if (rules->dma32 && addr <= rules->dma32_highest)
		return VCMA_ZONE_DMA32;
	return VCMA_ZONE_NORMAL;
}

static bool in_memory(const struct vcma_span *mem, unsigned int nr, uint64_t addr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (mem[i].base <= addr && addr < mem[i].base + mem[i].size)
			return true;
	return false;
}

static void compare(const struct vcma_zone_rules *rules, const struct vcma_span *mem,
		    unsigned int nr, uint64_t space)
{
	uint64_t bytes[VCMA_NR_ZONES + 1] = { 0 }, addr;
	struct vcma_zone_map map;
	unsigned int type;

	assert_int_equal(vcma_zone_map_fill(&map, rules, mem, nr), 0);
	for (addr = 0; addr < space; addr++) {
		type = oracle_zone(rules, addr);
		assert_int_equal(vcma_zone_of(&map, addr), type);
		if (in_memory(mem, nr, addr))
			bytes[type]++;
	}
	for (type = 0; type < VCMA_NR_ZONES; type++) {
		assert_int_equal(map.zone[type].bytes, bytes[type]);
		assert_int_equal(map.zone[type].forbidden, 0);
	}
	assert_int_equal(map.cut_off, bytes[VCMA_NR_ZONES]);
}

/* Every kernel on every platform of a small address space. */
static void test_rules_1_to_3_random(void **state)
{
	const uint64_t space = 48;
	uint64_t seed = 1;
	unsigned int round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		uint64_t bits = next_random(&seed);
		struct vcma_zone_rules rules = {
			.dma = bits & 1, .dma32 = bits & 2, .highmem = bits & 4,
			.dma_highest = bits & 8 ? ALL : next_random(&seed) % space,
			.dma32_highest = next_random(&seed) % space,
			.low_highest = bits & 16 ? ALL : next_random(&seed) % space,
		};
		struct vcma_span mem[4];
		unsigned int nr = 0;
		uint64_t pos = 0;

		while (nr < 4 && (pos += next_random(&seed) % 9) < space) {
			mem[nr].base = pos;
			mem[nr].size = next_random(&seed) % 12;
			if (mem[nr].size > space - pos)
				mem[nr].size = space - pos;
			pos += mem[nr++].size;
		}
		/* Their order does not matter. */
		if (nr > 1 && bits & 32) {
			struct vcma_span first = mem[0];

			mem[0] = mem[nr - 1];
			mem[nr - 1] = first;
		}
		compare(&rules, mem, nr, space);
	}
}

static void test_rule_2_all_low_memory_is_dma(void **state)
{
	const struct vcma_span mem[] = { { GIB, 3 * GIB } };
	struct vcma_zone_rules rules = {
		.dma = true, .highmem = true, .dma_highest = ALL, .low_highest = 0x6fffffff,
	};
	struct vcma_zone_map map;

	(void)state;
	assert_int_equal(vcma_zone_map_fill(&map, &rules, mem, 1), 0);
	assert_int_equal(map.zone[VCMA_ZONE_DMA].bytes, 768 * MIB);
	assert_int_equal(map.zone[VCMA_ZONE_NORMAL].bytes, 0);
	assert_true(map.zone[VCMA_ZONE_NORMAL].highest < map.zone[VCMA_ZONE_NORMAL].lowest);
	assert_int_equal(map.zone[VCMA_ZONE_HIGHMEM].bytes, 3 * GIB - 768 * MIB);

	/* A device that reaches 30 bits moves the boundary down. */
	rules.dma_highest = 0x4fffffff;
	assert_int_equal(vcma_zone_map_fill(&map, &rules, mem, 1), 0);
	assert_int_equal(map.zone[VCMA_ZONE_DMA].bytes, 256 * MIB);
	assert_int_equal(map.zone[VCMA_ZONE_NORMAL].bytes, 512 * MIB);

	/* No DMA zone: all low memory is NORMAL. */
	rules.dma = false;
	assert_int_equal(vcma_zone_map_fill(&map, &rules, mem, 1), 0);
	assert_int_equal(map.zone[VCMA_ZONE_DMA].bytes, 0);
	assert_false(map.zone[VCMA_ZONE_DMA].exists);
	assert_int_equal(map.zone[VCMA_ZONE_NORMAL].bytes, 768 * MIB);

	/* No HIGHMEM: what is above low memory is lost. */
	rules.highmem = false;
	assert_int_equal(vcma_zone_map_fill(&map, &rules, mem, 1), 0);
	assert_int_equal(map.cut_off, 3 * GIB - 768 * MIB);
	assert_int_equal(vcma_zone_of(&map, 0x80000000), VCMA_NR_ZONES);
}

static void test_rule_5_x86(void **state)
{
	const struct vcma_span mem[] = {
		{ 0x100000, 3 * GIB - 0x100000 }, { 4 * GIB, GIB }, { 0, 0x9fc00 },
	};
	struct vcma_zone_map map;

	(void)state;
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, mem, 3), 0);
	assert_int_equal(map.zone[VCMA_ZONE_DMA].bytes, 15 * MIB + 0x9fc00);
	assert_int_equal(map.zone[VCMA_ZONE_DMA32].bytes, 3 * GIB - 16 * MIB);
	assert_int_equal(map.zone[VCMA_ZONE_NORMAL].bytes, GIB);
	assert_int_equal(vcma_zone_of(&map, 16 * MIB - 1), VCMA_ZONE_DMA);
	assert_int_equal(vcma_zone_of(&map, 16 * MIB), VCMA_ZONE_DMA32);
	assert_int_equal(vcma_zone_of(&map, ALL), VCMA_ZONE_NORMAL);

	assert_int_equal(vcma_zone_map_fill(&map, &i386_rules, mem, 3), 0);
	assert_int_equal(map.zone[VCMA_ZONE_DMA].bytes, 15 * MIB + 0x9fc00);
	assert_int_equal(map.zone[VCMA_ZONE_NORMAL].bytes, 871 * MIB);
	assert_int_equal(map.zone[VCMA_ZONE_HIGHMEM].bytes, 3 * GIB - 887 * MIB + GIB);
	assert_int_equal(map.cut_off, 0);
}

static void test_rule_6_only_even_megabytes(void **state)
{
	struct vcma_reach r = { 0xffffffff, MIB, 0 };

	(void)state;
	assert_int_equal(vcma_zone_dma_end(&r), MIB);
	r.forbidden = 2 * MIB;
	assert_int_equal(vcma_zone_dma_end(&r), 2 * MIB);
	r.forbidden = 0;
	assert_int_equal(vcma_zone_dma_end(&r), 4 * GIB);
	r.highest = 0xffffff;
	assert_int_equal(vcma_zone_dma_end(&r), 16 * MIB);
	r.highest = ALL;
	assert_int_equal(vcma_zone_dma_end(&r), ALL);
	r.forbidden = 1;
	assert_int_equal(vcma_zone_dma_end(&r), 1);
}

static void test_which_zone_serves_a_mask(void **state)
{
	const struct vcma_span mem[] = { { 0, 3 * GIB }, { 4 * GIB, GIB } };
	const struct vcma_span high_only[] = { { GIB, GIB } };
	struct vcma_zone_map map;

	(void)state;
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, mem, 2), 0);
	assert_int_equal(vcma_zone_for(&map, ALL), VCMA_ZONE_NORMAL);
	assert_int_equal(vcma_zone_for(&map, 0xffffffff), VCMA_ZONE_DMA32);
	assert_int_equal(vcma_zone_for(&map, 0x3fffffff), VCMA_ZONE_DMA);
	assert_int_equal(vcma_zone_for(&map, 0xffffff), VCMA_ZONE_DMA);
	assert_int_equal(vcma_zone_for(&map, 0xfffff), VCMA_ZONE_DMA);
	/* Never from high memory. */
	assert_int_equal(vcma_zone_map_fill(&map, &i386_rules, mem, 2), 0);
	assert_int_equal(vcma_zone_for(&map, ALL), VCMA_ZONE_NORMAL);
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, high_only, 1), 0);
	assert_int_equal(vcma_zone_for(&map, 0xffffff), VCMA_NR_ZONES);
	assert_int_equal(vcma_zone_for(&map, 0x4fffffff), VCMA_ZONE_DMA32);
}

static void test_bad_memory(void **state)
{
	const struct vcma_span wraps[] = { { ALL - 10, 100 } };
	const struct vcma_span overlap[] = { { 0, 100 }, { 200, 100 }, { 99, 2 } };
	const struct vcma_span odd[] = { { 50, 0 }, { 0, 100 }, { ALL, 1 } };
	struct vcma_zone_map map, before;

	(void)state;
	memset(&map, 0x5a, sizeof(map));
	before = map;
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, wraps, 1), -1);
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, overlap, 3), -1);
	assert_memory_equal(&map, &before, sizeof(map));
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, odd, 3), 0);
	assert_int_equal(map.zone[VCMA_ZONE_DMA].bytes, 100);
	assert_int_equal(map.zone[VCMA_ZONE_NORMAL].bytes, 1);
	assert_int_equal(vcma_zone_map_fill(&map, &amd64_rules, NULL, 0), 0);
	assert_int_equal(vcma_zone_for(&map, ALL), VCMA_NR_ZONES);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(vcma_zone_name(VCMA_ZONE_DMA), "DMA");
	assert_string_equal(vcma_zone_name(VCMA_ZONE_HIGHMEM), "HighMem");
	assert_string_equal(vcma_zone_name(VCMA_NR_ZONES), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_1_to_3_random),
		cmocka_unit_test(test_rule_2_all_low_memory_is_dma),
		cmocka_unit_test(test_rule_5_x86),
		cmocka_unit_test(test_rule_6_only_even_megabytes),
		cmocka_unit_test(test_which_zone_serves_a_mask),
		cmocka_unit_test(test_bad_memory),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
