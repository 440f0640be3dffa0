// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_print_reach.c - the tables of vcmactl zones about devices and windows
 */
#include "zones_show.h"

#include <stdio.h>

#include "format.h"
#include "table.h"

#define SHOWN_PIECES 4
#define SHOWN_NAMES 3
#define BLANK " "		/* an empty cell would be shown as "-" */

/* @size 0: everything. */
static void reach_row(struct table *t, uint64_t bus, uint64_t cpu, uint64_t size)
{
	char *a = zones_address(bus), *b = zones_address(bus + (size - 1));

	table_take(t, size ? g_strdup_printf("%s-%s", a, b) : g_strdup("all"));
	g_free(a);
	g_free(b);
	if (bus == cpu) {
		table_add(t, "the same");
		return;
	}
	a = zones_address(cpu);
	b = zones_address(cpu + (size - 1));
	table_take(t, g_strdup_printf("%s-%s", a, b));
	g_free(a);
	g_free(b);
}

static char *limits(const struct zones_class *c)
{
	GString *s = g_string_new(NULL);

	if (c->reach.forbidden)
		g_string_append_printf(s, "without bits 0x%" G_GINT64_MODIFIER "x ", c->reach.forbidden);
	if (c->reach.boundary) {
		char *size = format_size(c->reach.boundary);

		g_string_append_printf(s, "no buffer crosses %s", size);
		g_free(size);
	}
	return g_strchomp(g_string_free(s, FALSE));
}

static void class_rows(struct table *t, const struct zones_report *r, const struct zones_class *c)
{
	enum vcma_zone_type zone = zones_class_zone(c, r->p, &r->kernels[0].map);
	GArray *pieces = c->map->pieces;
	guint i, rows = MIN(pieces->len, SHOWN_PIECES);

	table_add(t, zones_class_title(c));
	table_take(t, g_strdup_printf("%u", zones_bits(c->highest)));
	if (c->map->identity) {
		reach_row(t, 0, 0, c->highest + 1);
	} else if (rows) {
		const struct zones_piece *q = &g_array_index(pieces, struct zones_piece, 0);

		reach_row(t, q->bus, q->cpu, q->size);
	} else {
		table_add(t, "none");
		table_add(t, "");
	}
	table_take(t, zones_size(zones_class_memory(c, r->p)));
	table_add(t, zone == VCMA_NR_ZONES ? "none" : vcma_zone_name(zone));
	table_take(t, limits(c));

	for (i = 1; i < rows; i++) {
		const struct zones_piece *q = &g_array_index(pieces, struct zones_piece, i);

		table_add(t, BLANK);
		table_add(t, BLANK);
		if (i == SHOWN_PIECES - 1 && pieces->len > SHOWN_PIECES) {
			table_take(t, g_strdup_printf("and %u more", pieces->len - i));
			table_add(t, BLANK);
		} else {
			reach_row(t, q->bus, q->cpu, q->size);
		}
		table_add(t, BLANK);
		table_add(t, BLANK);
		table_add(t, BLANK);
	}
}

static void print_classes(const struct zones_report *r)
{
	static const char *const headings[] = {
		"REACH", ">BITS", "BUS ADDRESSES", "CPU ADDRESSES", ">MEMORY", "FROM ZONE", "LIMITS", NULL,
	};
	struct table *t = table_new(headings);
	guint i;

	for (i = 0; i < r->classes->len; i++)
		class_rows(t, r, zones_class_at(r, i));
	putchar('\n');
	table_print(t);
	for (i = 0; i < r->classes->len; i++) {
		const struct zones_class *c = zones_class_at(r, i);

		if (c->forbids)
			printf("%s: the bits 0x%" G_GINT64_MODIFIER "x are always 0: a client with these forbidden has the same reach.\n",
			       c->label, c->forbids);
		if (c->map->clipped)
			printf("%s: a bus further up carries less than its dma-ranges promise; Linux does not notice.\n",
			       c->label);
		if (c->reach.forbidden || c->forbids) {
			struct vcma_reach reach = c->reach;
			char *end;

			reach.forbidden |= c->forbids;
			end = format_size(vcma_zone_dma_end(&reach));
			printf("%s: Linux knows of no forbidden bits: its DMA zone would have to end at %s (rule 6).\n",
			       c->label, end);
			g_free(end);
		}
	}
}

/* --- buses and their devices --- */

static void bus_row(struct table *t, const struct zones_report *r, const struct zones_class *c,
		    guint first)
{
	const struct zones_device *d = g_ptr_array_index(c->devices, first);
	GString *names = g_string_new(NULL);
	guint i, n = 0, coherent = 0, iommu = 0;

	for (i = first; i < c->devices->len; i++) {
		const struct zones_device *other = g_ptr_array_index(c->devices, i);

		if (g_strcmp0(other->bus, d->bus) != 0)
			continue;
		coherent += other->coherent;
		iommu += other->iommu;
		if (r->all || n < SHOWN_NAMES)
			g_string_append_printf(names, "%s%s", n ? ", " : "",
					       other->pci ? "all PCI devices" : other->name);
		n++;
	}
	if (!r->all && n > SHOWN_NAMES)
		g_string_append_printf(names, " and %u more", n - SHOWN_NAMES);
	table_add(t, d->bus);
	table_add(t, c->label);
	table_take(t, g_strdup_printf("%u", coherent));
	table_take(t, g_strdup_printf("%u", iommu));
	table_take(t, g_string_free(names, FALSE));
}

static void print_buses(const struct zones_report *r)
{
	static const char *const headings[] = {
		"BUS", "REACH", ">COHERENT", ">IOMMU", "DEVICES", NULL,
	};
	struct table *t;
	guint i, k, n;

	if (!r->p->tree || !r->p->devices->len)
		return;
	t = table_new(headings);
	for (i = 0; i < r->classes->len; i++) {
		const struct zones_class *c = zones_class_at(r, i);
		GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);

		for (k = 0, n = c->devices->len; k < n; k++) {
			const struct zones_device *d = g_ptr_array_index(c->devices, k);

			if (g_hash_table_add(seen, d->bus))
				bus_row(t, r, c, k);
		}
		g_hash_table_unref(seen);
	}
	putchar('\n');
	table_print(t);
}

void zones_print_reach(const struct zones_report *r)
{
	print_classes(r);
	print_buses(r);
}

/* --- advice --- */

static char *window_text(const struct zones_advice *a, guint i)
{
	const struct zones_window *w = &g_array_index(a->windows, struct zones_window, i);

	return g_strdup_printf("%s=%s", w->zone, w->value);
}

void zones_print_windows(const struct zones_report *r)
{
	static const char *const headings[] = { "WINDOW", ">FROM", ">TO", "WHERE", NULL };
	static const char *const served[] = { "REACH", "WINDOW", "WHY", NULL };
	const struct zones_advice *a = r->advice;
	struct table *t = table_new(headings);
	guint i;

	for (i = 0; i < a->windows->len; i++) {
		const struct zones_window *w = &g_array_index(a->windows, struct zones_window, i);

		table_take(t, window_text(a, i));
		table_take(t, zones_address(w->span.base));
		table_take(t, zones_address(w->span.base + (w->span.size - 1)));
		table_add(t, w->why);
	}
	printf("\nWindows of a guest on %s:\n", a->machine);
	table_print(t);

	t = table_new(served);
	for (i = 0; i < a->served->len; i++) {
		const struct zones_served *s = &g_array_index(a->served, struct zones_served, i);

		table_add(t, zones_class_title(zones_class_at(r, i)));
		table_take(t, s->window < 0 ? g_strdup("none") : window_text(a, (guint)s->window));
		table_add(t, s->why);
	}
	putchar('\n');
	table_print(t);
}
