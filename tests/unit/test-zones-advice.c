// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-zones-advice.c - devices with the same reach, and the windows that serve them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/zones.h"

static struct zones_platform *platform(enum zones_arch arch)
{
	struct zones_platform *p = zones_platform_new();

	p->arch = arch;
	p->tree = arch == ZONES_ARM64 || arch == ZONES_ARM;
	return p;
}

static struct zones_device *add_device(struct zones_platform *p, const char *name)
{
	struct zones_device *d = g_new0(struct zones_device, 1);

	d->name = g_strdup(name);
	d->path = g_strconcat("/", name, NULL);
	d->bus = g_strdup("/");
	d->map = zones_map_new();
	d->map->identity = true;
	d->regions = g_array_new(FALSE, FALSE, sizeof(guint));
	vcma_reach_init(&d->reach, 0, 0, 0, 0);
	g_ptr_array_add(p->devices, d);
	return d;
}

static void add_piece(struct zones_device *d, uint64_t bus, uint64_t cpu, uint64_t size)
{
	const struct zones_piece piece = { bus, cpu, size };

	d->map->identity = false;
	g_array_append_val(d->map->pieces, piece);
}

static GPtrArray *classes_of(const struct zones_platform *p)
{
	char *error = NULL;
	GPtrArray *classes = zones_classes(p, 0, &error);

	if (!classes)
		fail_msg("%s", error);
	return classes;
}

static const struct zones_class *class_called(const GPtrArray *classes, const char *name,
					      guint *ret_index)
{
	guint i;

	for (i = 0; i < classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(classes, i);

		*ret_index = i;
		if (g_strcmp0(c->mask ? c->name : c->label, name) == 0)
			return c;
	}
	fail_msg("no class %s", name);
	return NULL;
}

/* The window that the advice has for a class: "dma=4M@12M", or NULL. */
static char *window_of(const struct zones_advice *a, guint class)
{
	const struct zones_served *s = &g_array_index(a->served, struct zones_served, class);
	const struct zones_window *w;

	if (s->window < 0)
		return NULL;
	w = &g_array_index(a->windows, struct zones_window, s->window);
	return g_strdup_printf("%s=%s", w->zone, w->value);
}

static void expect_window(const struct zones_advice *a, const GPtrArray *classes,
			  const char *class, const char *window)
{
	char *got;
	guint i;

	class_called(classes, class, &i);
	got = window_of(a, i);
	if (g_strcmp0(got, window) != 0)
		fail_msg("%s: %s, not %s", class, got ? got : "none", window ? window : "none");
	g_free(got);
}

/* Every served class reaches what it is said to, wherever the window comes to lie (I5). */
static void check_served(const struct zones_advice *a, const GPtrArray *classes)
{
	guint i;

	assert_int_equal(a->served->len, classes->len);
	for (i = 0; i < classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(classes, i);
		const struct zones_served *s = &g_array_index(a->served, struct zones_served, i);
		const struct zones_window *w;
		struct vcma_span at;

		assert_non_null(s->why);
		if (s->window < 0)
			continue;
		w = &g_array_index(a->windows, struct zones_window, s->window);
		assert_true(s->bytes > 0 && s->bytes <= w->size && s->all == (s->bytes == w->size));
		at.size = w->size;
		for (at.base = w->span.base; at.base - w->span.base < w->span.size; at.base += w->size)
			assert_true(zones_class_bus_bytes(c, &at) >= s->bytes);
	}
}

static void test_pc(void **state)
{
	struct zones_platform *p = platform(ZONES_AMD64);
	struct zones_advice *a;
	GPtrArray *classes;

	(void)state;
	zones_add_memory(p, g_strdup("low"), 0, 0x9fc00);
	zones_add_memory(p, g_strdup("ram"), MIB, 0x7ffdf000 - MIB);
	zones_add_memory(p, g_strdup("high"), 4 * GIB, 5 * GIB);
	classes = classes_of(p);
	a = zones_advise(p, classes);
	check_served(a, classes);
	expect_window(a, classes, "24 bits", "dma=4M@12M");
	expect_window(a, classes, "32 bits", "dma32=256M@0x60000000");
	expect_window(a, classes, "36 bits", "normal=4G");
	assert_string_equal(a->option, "-device virtio-cma-pci,broker=b0,normal=4G,dma32=256M@0x60000000,dma=4M@12M");
	/* The BAR lies above memory, at a multiple of its size. */
	assert_int_equal(g_array_index(a->windows, struct zones_window, 0).span.base, 12 * GIB);
	zones_advice_free(a);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* Too little memory: no fixed windows in what is not there. */
static void test_small_pc(void **state)
{
	struct zones_platform *p = platform(ZONES_I386);
	struct zones_advice *a;
	GPtrArray *classes;

	(void)state;
	zones_add_memory(p, g_strdup("ram"), MIB, 14 * MIB);
	classes = classes_of(p);
	a = zones_advise(p, classes);
	check_served(a, classes);
	expect_window(a, classes, "24 bits", NULL);
	expect_window(a, classes, "32 bits", "dma32=256M");
	assert_string_equal(a->option, "-device virtio-cma-pci,broker=b0,dma32=256M");
	zones_advice_free(a);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* Rule 6: half of the window, and a DMA zone of 1 MiB for Linux. */
static void test_even_megabytes(void **state)
{
	const struct vcma_reach even = { 0xffffff, 0x100000, 0 };
	struct zones_platform *p = platform(ZONES_AMD64);
	const struct zones_class *c;
	struct zones_advice *a;
	GPtrArray *classes;
	char *error = NULL;
	guint i;

	(void)state;
	zones_add_memory(p, g_strdup("ram"), 0, 64 * MIB);
	assert_true(zones_refine(p, "edu", &even, &error));
	classes = classes_of(p);
	a = zones_advise(p, classes);
	check_served(a, classes);
	c = class_called(classes, "edu", &i);
	assert_true(c->asked);
	assert_int_equal(zones_class_memory(c, p), 8 * MIB);
	assert_int_equal(vcma_zone_dma_end(&c->reach), MIB);
	assert_int_equal(g_array_index(a->served, struct zones_served, i).bytes, 2 * MIB);
	assert_string_equal(a->option, "-device virtio-cma-pci,broker=b0,dma=4M@12M");
	zones_advice_free(a);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* The same told by pieces; and pieces that no forbidden bits can say. */
static void test_forbidden_by_pieces(void **state)
{
	struct zones_platform *p = platform(ZONES_ARM64);
	struct zones_device *even = add_device(p, "even"), *two = add_device(p, "two");
	struct zones_device *moved = add_device(p, "moved"), *one = add_device(p, "one");
	GPtrArray *classes;
	guint i, found = 0;

	(void)state;
	for (i = 0; i < 16; i += 2) {
		add_piece(even, i * MIB, i * MIB, MIB);
		add_piece(moved, i * MIB, (i + 1) * MIB, MIB);
	}
	add_piece(two, 0x40000000, 0x40000000, 256 * MIB);
	add_piece(two, 0x80000000, 0x80000000, 256 * MIB);
	add_piece(one, 0, 0, 256 * MIB);
	classes = classes_of(p);
	for (i = 0; i < classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(classes, i);

		found += c->forbids != 0;
		assert_int_equal(c->forbids, c->devices->len && c->map == even->map ? MIB : 0);
	}
	assert_int_equal(found, 1);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* What counts for a guest is the bus's addresses, not where they lead on the host. */
static void test_virt(void **state)
{
	struct zones_platform *p = platform(ZONES_ARM64);
	struct zones_advice *a;
	GPtrArray *classes;

	(void)state;
	add_piece(add_device(p, "30 bits"), 0, 0x40000000, GIB);
	add_piece(add_device(p, "high bus"), 0xc0000000, 0, GIB);
	add_piece(add_device(p, "28 bits"), 0, 0, 256 * MIB);
	add_piece(add_device(p, "24 bits"), 0, 0, 16 * MIB);
	add_device(p, "unlimited");
	classes = classes_of(p);
	a = zones_advise(p, classes);
	check_served(a, classes);
	expect_window(a, classes, "A", NULL);				/* 24 bits */
	expect_window(a, classes, "B", "dma=16M@0x0f000000");		/* 28 bits */
	expect_window(a, classes, "C", "dma32=256M");			/* 30 bits */
	expect_window(a, classes, "D", "dma32=256M@0xc0000000");	/* high bus */
	expect_window(a, classes, "E", "normal=4G");			/* unlimited */
	assert_string_equal(a->option,
			    "-device virtio-cma-pci,broker=b0,normal=4G,dma32=256M+256M@0xc0000000,dma=16M@0x0f000000");
	zones_advice_free(a);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* Firmware may put the BAR where this bus does not reach: then it does not serve. */
static void test_worst_place(void **state)
{
	struct zones_platform *p = platform(ZONES_ARM64);
	struct zones_advice *a;
	GPtrArray *classes;

	(void)state;
	add_piece(add_device(p, "upper"), 0x20000000, 0, 256 * MIB);
	classes = classes_of(p);
	a = zones_advise(p, classes);
	check_served(a, classes);
	expect_window(a, classes, "A", NULL);
	zones_advice_free(a);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* The operator's word makes a device less, and gives it a class of its own. */
static void test_refine(void **state)
{
	const struct vcma_reach less = { 0xffffff, 0, 64 * KIB }, more = { NO_LIMIT, 0, MIB };
	struct zones_platform *p = platform(ZONES_ARM64);
	struct zones_device *d = add_device(p, "codec@100");
	char *error = NULL;
	GPtrArray *classes;

	(void)state;
	add_device(p, "serial@200");
	assert_true(zones_refine(p, "codec", &less, &error));
	assert_true(zones_refine(p, "/codec@100", &more, &error));
	assert_int_equal(d->reach.highest, 0xffffff);
	assert_int_equal(d->reach.boundary, 64 * KIB);
	assert_false(zones_refine(p, "codek", &less, &error));
	assert_non_null(strstr(error, "did you mean \"codec\"?"));
	g_free(error);
	classes = classes_of(p);
	assert_true(((struct zones_class *)g_ptr_array_index(classes, 0))->asked);
	assert_int_equal(((struct zones_class *)g_ptr_array_index(classes, 0))->devices->len, 1);
	assert_false(((struct zones_class *)g_ptr_array_index(classes, 1))->asked);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

/* Two buffers in two banks: two windows, naturally aligned, with a bank each. */
static void test_banks(void **state)
{
	struct zones_platform *p = platform(ZONES_ARM64);
	struct zones_device *d = add_device(p, "codec");
	struct zones_advice *a;
	GPtrArray *classes;
	guint i;

	(void)state;
	add_piece(d, 0, 0, GIB);
	d->asked = true;
	for (i = 0; i < 3; i++) {
		zones_add_reserved(p, g_strdup("pool"), i * 64 * MIB, MIB, ZONES_DMA_POOL);
		g_array_append_val(d->regions, i);
	}
	classes = classes_of(p);
	a = zones_advise(p, classes);
	assert_string_equal(a->option,
			    "-device virtio-cma-pci,broker=b0,dma32=64M:bank=1+64M:bank=2+64M:bank=3");
	zones_advice_free(a);
	g_ptr_array_unref(classes);
	zones_platform_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pc),
		cmocka_unit_test(test_small_pc),
		cmocka_unit_test(test_even_megabytes),
		cmocka_unit_test(test_forbidden_by_pieces),
		cmocka_unit_test(test_virt),
		cmocka_unit_test(test_worst_place),
		cmocka_unit_test(test_refine),
		cmocka_unit_test(test_banks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
