// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-zones-fuzz.c - broken trees and listings: refused or understood, never more
 *
 * Every tree and listing of tests/zones is changed at random, a few places at a time,
 * and goes all the way to the advice.  A mutation that is understood has to obey what
 * a platform promises; each is bounded in time.  It is the build with AddressSanitizer
 * that sees most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <libfdt.h>

#include "ctl/zones.h"

#define MUTATIONS 10000	/* of each source */
#define ALL_SECONDS 20		/* for all of them; what is left then is left out */
#define ONE_SECONDS 5		/* for one, at most */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static char *source_path(const char *name)
{
	const char *top = g_getenv("VCMA_SRC");

	return g_build_filename(top ? top : ".", "tests/zones", name, NULL);
}

/* What a platform promises, and all that is made of one. */
static void use(struct zones_platform *p)
{
	static const struct zones_options none = { 0 };
	struct zones_kernel k[ZONES_KERNELS_MAX];
	char *error = NULL;
	GPtrArray *classes;
	guint i, n;

	if (p->arch == ZONES_ARCH_UNKNOWN)
		p->arch = ZONES_ARM64;
	for (i = 0; i < p->devices->len; i++) {
		const struct zones_device *d = g_ptr_array_index(p->devices, i);

		for (n = 0; n < d->map->pieces->len; n++) {
			const struct zones_piece *q =
				&g_array_index(d->map->pieces, struct zones_piece, n);

			assert_true(q->size && q->size - 1 <= ~q->bus && q->size - 1 <= ~q->cpu);
			assert_true(!n || q[-1].bus + (q[-1].size - 1) < q->bus);
		}
		for (n = 0; n < d->regions->len; n++)
			assert_true(g_array_index(d->regions, guint, n) < p->reserved->len);
	}
	zones_kernels(p, &none, k);
	classes = zones_classes(p, 0, &error);
	if (classes) {
		struct zones_advice *a = zones_advise(p, classes);
		GPtrArray *reasons = zones_reasons(p, &none);

		for (i = 0; i < classes->len; i++)
			zones_class_zone(g_ptr_array_index(classes, i), p, &k[0].map);
		g_ptr_array_unref(reasons);
		zones_advice_free(a);
		g_ptr_array_unref(classes);
	}
	g_free(error);
	zones_platform_free(p);
}

typedef struct zones_platform *(*reader)(const void *data, size_t size, char **ret_error);

static struct zones_platform *read_listing(const void *data, size_t size, char **ret_error)
{
	return zones_listing_read(data, size, ret_error);
}

/* True if it was understood. */
static bool try_one(const void *data, size_t size, reader read_it)
{
	gint64 start = g_get_monotonic_time();
	struct zones_platform *p;
	char *error = NULL;

	p = read_it(data, size, &error);
	if (!p) {
		assert_non_null(error);
		assert_true(*error);
		g_free(error);
		return false;
	}
	assert_null(error);
	use(p);
	assert_true(g_get_monotonic_time() - start < ONE_SECONDS * G_USEC_PER_SEC);
	return true;
}

/* One change at a random place; words are what trees are made of. */
static size_t mutate(uint8_t *data, size_t size, bool words, uint64_t *seed)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 5, 8, 0x7fffffff, 0x80000000, 0xffffffff };
	size_t at = next_random(seed) % size;
	uint32_t value;

	switch (next_random(seed) % 8) {
	case 0:
		return 1 + at;
	case 1:
		data[at] = (uint8_t)next_random(seed);
		break;
	case 2:
		data[at] ^= (uint8_t)(1 << next_random(seed) % 8);
		break;
	case 3: {
		size_t from = next_random(seed) % size;
		size_t n = 1 + next_random(seed) % 64;

		memmove(data + at, data + from, MIN(n, size - MAX(at, from)));
		break;
	}
	default:
		if (!words) {
			data[at] = (uint8_t)("0123456789abcdef-: \n[]"[next_random(seed) % 22]);
			break;
		}
		at &= ~(size_t)3;
		value = next_random(seed) % 2 ? values[next_random(seed) % G_N_ELEMENTS(values)] :
			(uint32_t)next_random(seed) & 0xff;
		value = cpu_to_fdt32(value);
		memcpy(data + at, &value, MIN(sizeof(value), size - at));
		break;
	}
	return size;
}

/* Trees are taken apart behind the header: in that, most changes are found at once. */
static void fuzz(const void *data, size_t size, reader read_it, uint64_t seed, gint64 end)
{
	unsigned int round, understood = 0;

	assert_true(try_one(data, size, read_it));
	for (round = 0; round < MUTATIONS && g_get_monotonic_time() < end; round++) {
		bool tree = read_it == zones_tree_read;
		uint8_t *copy = g_memdup2(data, size);
		size_t skip = tree && next_random(&seed) % 8 ? 56 : 0, n = size;
		unsigned int changes = 1 + next_random(&seed) % 4;

		while (changes-- && n > skip)
			n = skip + mutate(copy + skip, n - skip, tree, &seed);
		understood += try_one(copy, n, read_it);
		g_free(copy);
	}
	/* A test that only ever sees refusals would test fdt_check_full(). */
	if (round == MUTATIONS)
		assert_true(understood > MUTATIONS / 50 && understood < MUTATIONS);
}

static void fuzz_tree(const char *name, gint64 end)
{
	char *dts = source_path(name), *blob = NULL;
	char *dtb = g_strdup_printf("%s/vcma-fuzz-%d.dtb", g_get_tmp_dir(), (int)getpid());
	char *argv[] = {
		(char *)"dtc", (char *)"-q", (char *)"-f", (char *)"-I", (char *)"dts",
		(char *)"-O", (char *)"dtb", (char *)"-o", dtb, dts, NULL,
	};
	GError *error = NULL;
	gsize size = 0;
	int status = 0;

	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status,
			  &error) || status)
		fail_msg("dtc %s: %s", name, error ? error->message : "failed");
	assert_true(g_file_get_contents(dtb, &blob, &size, NULL));
	unlink(dtb);
	fuzz(blob, size, zones_tree_read, g_str_hash(name), end);
	g_free(blob);
	g_free(dtb);
	g_free(dts);
}

static void test_trees(void **state)
{
	static const char *const names[] = {
		"even-megabytes.dts", "two-banks.dts", "isa-like.dts", "no-dma-zone.dts",
		"nested.dts", "cells.dts", "pi4-like.dts",
	};
	gint64 end = g_get_monotonic_time() + ALL_SECONDS * G_USEC_PER_SEC;
	char *dtc = g_find_program_in_path("dtc");
	size_t i;

	(void)state;
	if (!dtc) {
		print_message("dtc is missing (Debian package device-tree-compiler)\n");
		skip();
	}
	g_free(dtc);
	for (i = 0; i < G_N_ELEMENTS(names); i++)
		fuzz_tree(names[i], end);
}

static void test_listings(void **state)
{
	static const char *const names[] = { "q35-2g-log.txt", "q35-8g-iomem.txt", "small-e820.txt" };
	gint64 end = g_get_monotonic_time() + ALL_SECONDS * G_USEC_PER_SEC;
	size_t i;

	(void)state;
	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		char *path = source_path(names[i]), *text;
		gsize size;

		assert_true(g_file_get_contents(path, &text, &size, NULL));
		fuzz(text, size, read_listing, g_str_hash(names[i]), end);
		g_free(text);
		g_free(path);
	}
}

/* Bounded in time whatever the size: trees made to be slow. */
static void test_large(void **state)
{
	const size_t size = ZONES_TREE_MAX - 4096;
	unsigned int kind, i;
	char *fdt = g_malloc(size);

	(void)state;
	for (kind = 0; kind < 3; kind++) {
		assert_int_equal(fdt_create(fdt, (int)size), 0);
		assert_int_equal(fdt_finish_reservemap(fdt), 0);
		assert_int_equal(fdt_begin_node(fdt, ""), 0);
		assert_int_equal(fdt_property_u32(fdt, "#address-cells", 1), 0);
		assert_int_equal(fdt_property_u32(fdt, "#size-cells", 1), 0);
		for (i = 0; i < 3000; i++) {
			const fdt32_t reg[] = { cpu_to_fdt32(i), cpu_to_fdt32(1) };
			const fdt32_t next[] = { cpu_to_fdt32(2 + i % 3000) };
			const fdt32_t range[] = { 0, 0, cpu_to_fdt32(0x1000 + 16 * i) };
			char name[16];

			g_snprintf(name, sizeof(name), "n@%x", i);
			assert_int_equal(fdt_begin_node(fdt, name), 0);
			assert_int_equal(fdt_property_u32(fdt, "phandle", i + 1), 0);
			assert_int_equal(fdt_property_string(fdt, "compatible", "x"), 0);
			assert_int_equal(fdt_property(fdt, "reg", reg, sizeof(reg)), 0);
			/* 1: a long way from one to the next; 2: as many reaches. */
			if (kind == 1) {
				assert_int_equal(fdt_property_u32(fdt, "#interconnect-cells", 0), 0);
				assert_int_equal(fdt_property(fdt, "interconnects", next, 4), 0);
				assert_int_equal(fdt_property_string(fdt, "interconnect-names", "dma-mem"), 0);
			}
			if (kind)
				assert_int_equal(fdt_property(fdt, "dma-ranges", range, sizeof(range)), 0);
			if (kind == 2) {
				assert_int_equal(fdt_begin_node(fdt, "d"), 0);
				assert_int_equal(fdt_property_string(fdt, "compatible", "x"), 0);
				assert_int_equal(fdt_property(fdt, "reg", reg, sizeof(reg)), 0);
				assert_int_equal(fdt_end_node(fdt), 0);
			}
			assert_int_equal(fdt_end_node(fdt), 0);
		}
		assert_int_equal(fdt_end_node(fdt), 0);
		assert_int_equal(fdt_finish(fdt), 0);
		assert_int_equal(try_one(fdt, fdt_totalsize(fdt), zones_tree_read), kind == 0);
	}
	g_free(fdt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_listings),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
