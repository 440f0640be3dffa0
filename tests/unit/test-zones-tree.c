// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-zones-tree.c - where the addresses of buses lead, against an oracle that
 * goes up the lists one by one; and what the kernels of booted guests said
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <libfdt.h>

#include "ctl/zones.h"

#define LEVELS 3
#define ENTRIES 3
#define SPACE 4096	/* addresses of each bus */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A bus's dma-ranges, not overlapping; nr 0: an empty property. */
struct list {
	unsigned int nr;
	uint32_t entry[ENTRIES][3];
};

static void random_list(struct list *l, uint64_t *seed)
{
	uint32_t at = 0, i;

	l->nr = next_random(seed) % (ENTRIES + 1);
	for (i = 0; i < l->nr; i++) {
		uint32_t room = SPACE / ENTRIES;

		/* Even sizes: an odd one is a mask. */
		l->entry[i][0] = at + 2 * (next_random(seed) % (room / 4));
		l->entry[i][2] = 2 + 2 * (next_random(seed) % (room / 4));
		l->entry[i][1] = 2 * (next_random(seed) % (SPACE / 2));
		at += room;
	}
}

/* Go up from @level; false: the address is lost on the way. */
static bool oracle(const struct list *lists, unsigned int level, uint64_t *addr)
{
	for (level++; level-- > 0;) {
		const struct list *l = &lists[level];
		unsigned int i;

		for (i = 0; i < l->nr; i++) {
			if (*addr >= l->entry[i][0] && *addr - l->entry[i][0] < l->entry[i][2])
				break;
		}
		if (!l->nr)
			continue;
		if (i == l->nr)
			return false;
		*addr = *addr - l->entry[i][0] + l->entry[i][1];
	}
	return true;
}

static bool follow(const struct zones_map *m, uint64_t *addr)
{
	guint i;

	if (m->identity)
		return true;
	for (i = 0; i < m->pieces->len; i++) {
		const struct zones_piece *q = &g_array_index(m->pieces, struct zones_piece, i);

		if (*addr >= q->bus && *addr - q->bus < q->size) {
			*addr = *addr - q->bus + q->cpu;
			return true;
		}
	}
	return false;
}

static void put_cells(void *fdt, uint32_t address, uint32_t size)
{
	assert_int_equal(fdt_property_u32(fdt, "#address-cells", address), 0);
	assert_int_equal(fdt_property_u32(fdt, "#size-cells", size), 0);
}

/* A bus, and below it a device and the bus below. */
static void put_bus(void *fdt, const struct list *lists, unsigned int level)
{
	fdt32_t cells[ENTRIES * 3];
	unsigned int i;
	char name[16];

	g_snprintf(name, sizeof(name), "bus%u", level);
	assert_int_equal(fdt_begin_node(fdt, name), 0);
	put_cells(fdt, 1, 1);
	assert_int_equal(fdt_property(fdt, "ranges", NULL, 0), 0);
	for (i = 0; i < lists[level].nr * 3; i++)
		cells[i] = cpu_to_fdt32(lists[level].entry[i / 3][i % 3]);
	assert_int_equal(fdt_property(fdt, "dma-ranges", cells, (int)(i * sizeof(*cells))), 0);
	g_snprintf(name, sizeof(name), "device@%u", level);
	assert_int_equal(fdt_begin_node(fdt, name), 0);
	assert_int_equal(fdt_property_string(fdt, "compatible", "vcma,device"), 0);
	cells[0] = cpu_to_fdt32(level);
	cells[1] = cpu_to_fdt32(1);
	assert_int_equal(fdt_property(fdt, "reg", cells, 2 * sizeof(*cells)), 0);
	assert_int_equal(fdt_end_node(fdt), 0);
	if (level + 1 < LEVELS)
		put_bus(fdt, lists, level + 1);
	assert_int_equal(fdt_end_node(fdt), 0);
}

static struct zones_platform *nested_platform(const struct list *lists)
{
	struct zones_platform *p;
	char fdt[8192], *error = NULL;

	assert_int_equal(fdt_create(fdt, sizeof(fdt)), 0);
	assert_int_equal(fdt_finish_reservemap(fdt), 0);
	assert_int_equal(fdt_begin_node(fdt, ""), 0);
	put_cells(fdt, 1, 1);
	put_bus(fdt, lists, 0);
	assert_int_equal(fdt_end_node(fdt), 0);
	assert_int_equal(fdt_finish(fdt), 0);
	p = zones_tree_read(fdt, fdt_totalsize(fdt), &error);
	if (!p)
		fail_msg("%s", error);
	return p;
}

/*
 * Every address of every bus.  Linux begins at the first list that is not empty, which
 * changes nothing, and a tree of empty ones has no limit.
 */
static void test_nested_buses(void **state)
{
	uint64_t seed = 3, round, lost = 0, led = 0;

	(void)state;
	for (round = 0; round < 400; round++) {
		struct list lists[LEVELS];
		struct zones_platform *p;
		unsigned int level;

		for (level = 0; level < LEVELS; level++)
			random_list(&lists[level], &seed);
		p = nested_platform(lists);
		assert_int_equal(p->devices->len, LEVELS);
		for (level = 0; level < LEVELS; level++) {
			const struct zones_device *d = g_ptr_array_index(p->devices, level);
			uint64_t bus;

			for (bus = 0; bus < SPACE; bus++) {
				uint64_t want = bus, got = bus;
				bool leads = oracle(lists, level, &want);

				if (leads != follow(d->map, &got) || (leads && want != got))
					fail_msg("round %u level %u: 0x%x leads to 0x%x, not 0x%x",
						 (unsigned int)round, level, (unsigned int)bus,
						 (unsigned int)got, (unsigned int)want);
				lost += !leads;
				led += leads;
			}
		}
		zones_platform_free(p);
	}
	assert_true(lost > 10000 && led > 10000);
}

static struct zones_platform *platform(enum zones_arch arch, uint64_t base, uint64_t size)
{
	struct zones_platform *p = zones_platform_new();

	p->arch = arch;
	p->tree = arch == ZONES_ARM64 || arch == ZONES_ARM;
	zones_add_memory(p, g_strdup("memory"), base, size);
	return p;
}

static void expect_zone(const struct zones_kernel *k, enum vcma_zone_type type, uint64_t lowest,
			uint64_t bytes)
{
	const struct vcma_zone *z = &k->map.zone[type];

	if (z->bytes != bytes || (bytes && z->lowest > lowest))
		fail_msg("%s: zone %s has 0x%llx bytes from 0x%llx", k->name, vcma_zone_name(type),
			 (unsigned long long)z->bytes, (unsigned long long)z->lowest);
}

/* "Zone ranges" in the logs of Debian's 6.1 kernels under QEMU: see zones_kernel.c. */
static void test_measured(void **state)
{
	static const struct zones_options none = { 0 };
	struct zones_kernel k[ZONES_KERNELS_MAX];
	struct zones_platform *p;

	(void)state;
	p = platform(ZONES_I386, 0x100000, 0x7ffdf000 - 0x100000);
	assert_int_equal(zones_kernels(p, &none, k), 4);
	assert_true(k[0].debian && k[0].wanted);
	expect_zone(&k[0], VCMA_ZONE_DMA, 0x100000, 15 * MIB);
	expect_zone(&k[0], VCMA_ZONE_NORMAL, 16 * MIB, 0x36ffe000 - 16 * MIB);
	expect_zone(&k[0], VCMA_ZONE_HIGHMEM, 0x36ffe000, 0x7ffdf000 - 0x36ffe000);
	zones_platform_free(p);

	p = platform(ZONES_ARM64, GIB, 4 * GIB);
	assert_int_equal(zones_kernels(p, &none, k), 3);
	expect_zone(&k[0], VCMA_ZONE_DMA, GIB, 3 * GIB);
	expect_zone(&k[0], VCMA_ZONE_DMA32, 0, 0);
	expect_zone(&k[0], VCMA_ZONE_NORMAL, 4 * GIB, GIB);
	zones_platform_free(p);

	p = platform(ZONES_ARM, GIB, 2 * GIB);
	assert_int_equal(zones_kernels(p, &none, k), 4);
	expect_zone(&k[0], VCMA_ZONE_DMA, GIB, 0x30000000);
	expect_zone(&k[0], VCMA_ZONE_NORMAL, 0, 0);
	expect_zone(&k[0], VCMA_ZONE_HIGHMEM, 0x70000000, 0x50000000);
	zones_platform_free(p);
}

/* arm64's max_zone_phys(): memory that begins above the DMA zone, or above 4 GiB. */
static void test_arm64_high_memory(void **state)
{
	static const struct zones_options none = { 0 };
	struct zones_kernel k[ZONES_KERNELS_MAX];
	struct zones_platform *p;

	(void)state;
	p = platform(ZONES_ARM64, 0, 8 * GIB);
	p->dma_limit = GIB - 1;
	zones_kernels(p, &none, k);
	expect_zone(&k[0], VCMA_ZONE_DMA, 0, GIB);
	expect_zone(&k[0], VCMA_ZONE_DMA32, GIB, 3 * GIB);
	expect_zone(&k[0], VCMA_ZONE_NORMAL, 4 * GIB, 4 * GIB);
	/* Bits, not the limit itself. */
	p->dma_limit = 0x3effffff;
	zones_kernels(p, &none, k);
	expect_zone(&k[0], VCMA_ZONE_DMA, 0, GIB);
	zones_platform_free(p);

	p = platform(ZONES_ARM64, 2 * GIB, 4 * GIB);
	p->dma_limit = GIB - 1;
	zones_kernels(p, &none, k);
	expect_zone(&k[0], VCMA_ZONE_DMA, 2 * GIB, 2 * GIB);
	zones_platform_free(p);

	p = platform(ZONES_ARM64, 32 * GIB, 4 * GIB);
	p->dma_limit = GIB - 1;
	zones_kernels(p, &none, k);
	expect_zone(&k[0], VCMA_ZONE_DMA, 32 * GIB, 4 * GIB);
	zones_platform_free(p);
}

/* The kernel that was asked for comes first, whatever Debian's is. */
static void test_wanted_kernel(void **state)
{
	const struct zones_options o = { .no_dma = TRUE, .no_highmem = TRUE };
	struct zones_platform *p = platform(ZONES_ARM, GIB, 2 * GIB);
	struct zones_kernel k[ZONES_KERNELS_MAX];
	unsigned int i, wanted = 0, n = zones_kernels(p, &o, k);

	(void)state;
	for (i = 0; i < n; i++)
		wanted += k[i].wanted;
	assert_int_equal(wanted, 1);
	assert_true(k[0].wanted && !k[0].debian && k[1].debian);
	assert_false(k[0].map.zone[VCMA_ZONE_DMA].exists);
	assert_int_equal(k[0].map.cut_off, 0x50000000);
	zones_platform_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nested_buses),
		cmocka_unit_test(test_measured),
		cmocka_unit_test(test_arm64_high_memory),
		cmocka_unit_test(test_wanted_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
