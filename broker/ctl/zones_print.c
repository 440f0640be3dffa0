// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_print.c - vcmactl zones as tables: memory and kernels
 */
#include "zones_show.h"

#include <stdio.h>
#include <string.h>

#include "format.h"
#include "table.h"

#define MAP_CLASSES_MAX 8	/* columns of the map */
#define BLANK " "		/* an empty cell would be shown as "-" */

char *zones_address(uint64_t a)
{
	return g_strdup_printf("0x%08" G_GINT64_MODIFIER "x", a);
}

static void take_address(struct table *t, uint64_t a)
{
	table_take(t, a == NO_LIMIT ? g_strdup("end") : zones_address(a));
}

char *zones_size(uint64_t size)
{
	char *text = format_size(size);

	if (strlen(text) > 6 && size >= MIB) {
		g_free(text);
		text = g_strdup_printf("%" G_GINT64_MODIFIER "uM", size / MIB);
	}
	return text;
}

static void take_size(struct table *t, uint64_t size)
{
	table_take(t, zones_size(size));
}

static const struct zones_memory *bank(const struct zones_platform *p, guint i)
{
	return &g_array_index(p->memory, struct zones_memory, i);
}

const struct zones_class *zones_class_at(const struct zones_report *r, guint i)
{
	return g_ptr_array_index(r->classes, i);
}

/* Classes that have a column: those of devices; without any, a few masks. */
static bool has_column(const struct zones_report *r, const struct zones_class *c)
{
	unsigned int bits = zones_bits(c->highest);

	return r->p->devices->len ? !c->mask : bits == 24 || bits == 32 || bits == 64;
}

const char *zones_class_title(const struct zones_class *c)
{
	return c->mask ? c->name : c->label;
}

/* --- the map: memory, zone by zone, and who reaches it --- */

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A row ends before @at. */
static void add_edge(GArray *edges, uint64_t at)
{
	if (at && at != NO_LIMIT)
		g_array_append_val(edges, at);
}

static GArray *find_edges(const struct zones_report *r)
{
	GArray *edges = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	guint i, k;

	for (i = 0; i < VCMA_NR_ZONES; i++) {
		const struct vcma_zone *z = &r->kernels[0].map.zone[i];

		if (z->exists && z->bytes)
			add_edge(edges, z->highest + 1);
	}
	for (i = 0; i < r->classes->len; i++) {
		const struct zones_class *c = zones_class_at(r, i);

		if (!has_column(r, c))
			continue;
		if (c->map->identity)
			add_edge(edges, c->highest + 1);
		for (k = 0; k < c->map->pieces->len; k++) {
			const struct zones_piece *q =
				&g_array_index(c->map->pieces, struct zones_piece, k);

			/* Between the first and the last there is a share, no picture. */
			if (k == 0 || q->cpu != q[-1].cpu + q[-1].size + q->size)
				add_edge(edges, q->cpu);
			if (k + 1 == c->map->pieces->len || q[1].cpu != q->cpu + 2 * q->size)
				add_edge(edges, q->cpu + q->size);
		}
	}
	g_array_sort(edges, by_value);
	return edges;
}

static void map_row(struct table *t, const struct zones_report *r, const char *what,
		    uint64_t first, uint64_t last, bool memory)
{
	const struct vcma_span s = { first, last - first + 1 };
	enum vcma_zone_type zone = vcma_zone_of(&r->kernels[0].map, first);
	unsigned int columns = 0;
	guint i;

	take_address(t, first);
	table_take(t, zones_address(last));
	take_size(t, s.size);
	table_add(t, what);
	table_add(t, !memory ? BLANK : zone == VCMA_NR_ZONES ? "cut off" : vcma_zone_name(zone));
	for (i = 0; i < r->classes->len && columns < MAP_CLASSES_MAX; i++) {
		const struct zones_class *c = zones_class_at(r, i);
		uint64_t bytes;

		if (!has_column(r, c))
			continue;
		columns++;
		bytes = memory ? zones_class_bytes(c, &s) : 0;
		if (!memory)
			table_add(t, BLANK);
		else if (bytes == s.size)
			table_add(t, "all");
		else if (!bytes)
			table_add(t, "");
		else
			take_size(t, bytes);
	}
}

static void print_map(const struct zones_report *r)
{
	const char *headings[6 + MAP_CLASSES_MAX] = { ">FROM", ">TO", ">SIZE", "WHAT", "ZONE" };
	char *columns[MAP_CLASSES_MAX] = { NULL };
	unsigned int n = 0;
	GArray *edges;
	struct table *t;
	guint i, k;

	for (i = 0; i < r->classes->len && n < MAP_CLASSES_MAX; i++) {
		if (!has_column(r, zones_class_at(r, i)))
			continue;
		columns[n] = g_strdup_printf(">%s", zones_class_title(zones_class_at(r, i)));
		headings[5 + n] = columns[n];
		n++;
	}
	t = table_new(headings);
	edges = find_edges(r);
	for (i = 0; i < r->p->memory->len; i++) {
		const struct zones_memory *m = bank(r->p, i);
		uint64_t first = m->span.base, last = first + (m->span.size - 1);

		if (i) {
			const struct zones_memory *before = m - 1;
			uint64_t end = before->span.base + before->span.size;

			if (end != first)
				map_row(t, r, "no memory", end, first - 1, false);
		}
		for (k = 0; k < edges->len; k++) {
			uint64_t edge = g_array_index(edges, uint64_t, k);

			if (edge <= first || edge > last)
				continue;
			map_row(t, r, m->name, first, edge - 1, true);
			first = edge;
		}
		map_row(t, r, m->name, first, last, true);
	}
	table_print(t);
	g_array_unref(edges);
	for (i = 0; i < n; i++)
		g_free(columns[i]);
}

/* --- reserved memory --- */

static char *reserved_kind(const struct zones_reserved *res)
{
	GString *s = g_string_new(NULL);
	guint i;

	if (res->flags & ZONES_DMA_POOL)
		g_string_append(s, res->flags & ZONES_REUSABLE ? "CMA" : "DMA pool");
	else if (res->flags & ZONES_HEADER)
		g_string_append(s, "in the tree's header");
	else
		g_string_append(s, res->flags & ZONES_REUSABLE ? "reusable" : "reserved");
	if (res->flags & ZONES_DEFAULT)
		g_string_append(s, " for all devices");
	if (res->flags & ZONES_NO_MAP)
		g_string_append(s, ", not mapped");
	if (!(res->flags & ZONES_DYNAMIC))
		return g_string_free(s, FALSE);
	g_string_append(s, ", placed by the kernel");
	for (i = 0; i < res->allowed->len; i++) {
		const struct vcma_span *a = &g_array_index(res->allowed, struct vcma_span, i);
		char *from = zones_address(a->base), *to = zones_address(a->base + (a->size - 1));

		g_string_append_printf(s, "%s %s-%s", i ? "," : " in", from, to);
		g_free(from);
		g_free(to);
	}
	return g_string_free(s, FALSE);
}

static void print_reserved(const struct zones_report *r)
{
	static const char *const headings[] = {
		"RESERVED", ">FROM", ">TO", ">SIZE", "HOW", NULL,
	};
	struct table *t;
	guint i;

	/* What a listing has besides memory is not of interest here. */
	if (!r->p->tree || !r->p->reserved->len)
		return;
	t = table_new(headings);
	for (i = 0; i < r->p->reserved->len; i++) {
		const struct zones_reserved *res =
			&g_array_index(r->p->reserved, struct zones_reserved, i);
		bool fixed = !(res->flags & ZONES_DYNAMIC);

		table_add(t, res->name);
		table_take(t, fixed ? zones_address(res->span.base) : g_strdup(""));
		table_take(t, fixed ? zones_address(res->span.base + (res->span.size - 1)) : g_strdup(""));
		take_size(t, res->span.size);
		table_take(t, reserved_kind(res));
	}
	putchar('\n');
	table_print(t);
}

/* --- kernels --- */

static void take_zone(struct table *t, const struct zones_kernel *k, enum vcma_zone_type type)
{
	const struct vcma_zone *z = &k->map.zone[type];

	if (z->exists)
		take_size(t, z->bytes);
	else
		table_add(t, "");
}

static void print_kernels(const struct zones_report *r)
{
	static const char *const large[] = {
		"KERNEL WITH", ">DMA", ">DMA32", ">NORMAL", NULL,
	};
	static const char *const small[] = {
		"KERNEL WITH", ">DMA", ">NORMAL", ">HIGHMEM", ">CUT OFF", NULL,
	};
	bool is_small = r->p->arch == ZONES_I386 || r->p->arch == ZONES_ARM;
	struct table *t = table_new(is_small ? small : large);
	unsigned int i;

	for (i = 0; i < r->nr_kernels; i++) {
		const struct zones_kernel *k = &r->kernels[i];

		table_take(t, g_strdup_printf("%s%s", k->name, k->debian ? " (Debian's)" : ""));
		take_zone(t, k, VCMA_ZONE_DMA);
		if (!is_small)
			take_zone(t, k, VCMA_ZONE_DMA32);
		take_zone(t, k, VCMA_ZONE_NORMAL);
		if (is_small) {
			take_zone(t, k, VCMA_ZONE_HIGHMEM);
			take_size(t, k->map.cut_off);
		}
	}
	putchar('\n');
	table_print(t);
}

static void print_notes(const GPtrArray *notes)
{
	guint i;

	for (i = 0; i < notes->len; i++)
		printf("Note: %s\n", (const char *)g_ptr_array_index(notes, i));
}

void zones_print(const struct zones_report *r)
{
	guint i;

	printf("%s: %s, zones as Linux 6.1 makes them\n\n",
	       r->p->model ? r->p->model : r->p->tree ? "device tree" : "memory listing",
	       zones_arch_name(r->p->arch));
	if (r->p->memory->len)
		print_map(r);
	else
		puts("No memory is told of: firmware fills it in.  --memory START+SIZE says what it would.");
	print_reserved(r);
	if (r->p->memory->len)
		print_kernels(r);
	else if (r->reasons->len)
		putchar('\n');
	for (i = 0; i < r->reasons->len; i++)
		puts(g_ptr_array_index(r->reasons, i));
	zones_print_reach(r);
	zones_print_windows(r);
	putchar('\n');
	if (r->advice->option)
		printf("%s\n", r->advice->option);
	else
		puts("No window serves any of them.");
	print_notes(r->advice->notes);
	print_notes(r->p->notes);
}
