// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_class.c - devices with the same reach
 */
#include "zones.h"

#include <string.h>

#include "format.h"

/* Masks that drivers commonly set, for devices that the platform does not tell of. */
static const unsigned int common_masks[] = { 24, 28, 30, 32, 36, 64 };

unsigned int zones_bits(uint64_t highest)
{
	return highest ? 64 - (unsigned int)__builtin_clzll(highest) : 0;
}

/* How much of @cpu the class reaches through one piece. */
static uint64_t piece_bytes(const struct zones_class *c, const struct zones_piece *piece,
			    const struct vcma_span *cpu)
{
	uint64_t first = MAX(piece->cpu, cpu->base);
	uint64_t last = MIN(piece->cpu + (piece->size - 1), cpu->base + (cpu->size - 1));
	struct vcma_span bus;

	if (first > last)
		return 0;
	bus.base = piece->bus + (first - piece->cpu);
	bus.size = last - first + 1;
	return vcma_reach_bytes(&c->reach, &bus);
}

uint64_t zones_class_bytes(const struct zones_class *c, const struct vcma_span *cpu)
{
	uint64_t bytes = 0;
	guint i;

	if (!cpu->size)
		return 0;
	if (c->map->identity)
		return vcma_reach_bytes(&c->reach, cpu);
	/* Two addresses of a bus may lead to one byte: then it counts once. */
	for (i = 0; i < c->map->pieces->len; i++)
		bytes += piece_bytes(c, &g_array_index(c->map->pieces, struct zones_piece, i), cpu);
	return MIN(bytes, cpu->size);
}

uint64_t zones_class_bus_bytes(const struct zones_class *c, const struct vcma_span *bus)
{
	uint64_t bytes = 0;
	guint i;

	if (c->map->identity)
		return vcma_reach_bytes(&c->reach, bus);
	for (i = 0; i < c->map->pieces->len; i++) {
		struct zones_piece piece = g_array_index(c->map->pieces, struct zones_piece, i);

		piece.cpu = piece.bus;
		bytes += piece_bytes(c, &piece, bus);
	}
	return bytes;
}

uint64_t zones_class_memory(const struct zones_class *c, const struct zones_platform *p)
{
	uint64_t bytes = 0;
	guint i;

	for (i = 0; i < p->memory->len; i++)
		bytes += zones_class_bytes(c, &g_array_index(p->memory, struct zones_memory, i).span);
	return bytes;
}

/* Linux compares what the CPU calls the highest address of the bus (dma_to_phys()). */
enum vcma_zone_type zones_class_zone(const struct zones_class *c, const struct zones_platform *p,
				     const struct vcma_zone_map *map)
{
	uint64_t highest = 0;
	guint i;

	if (!zones_class_memory(c, p))
		return VCMA_NR_ZONES;

	if (c->map->identity)
		return vcma_zone_for(map, c->highest);
	for (i = 0; i < c->map->pieces->len; i++) {
		const struct zones_piece *q =
			&g_array_index(c->map->pieces, struct zones_piece, i);

		if (q->bus <= c->highest)
			highest = q->cpu + (MIN(q->bus + (q->size - 1), c->highest) - q->bus);
	}
	return vcma_zone_for(map, highest);
}

/*
 * Address bits that no piece ever has, if these and the highest address say
 * just what the pieces do: "only even megabytes" is bit 20.
 */
static uint64_t pieces_forbid(const struct zones_map *m)
{
	struct vcma_reach r = { NO_LIMIT, 0, 0 };
	struct vcma_span all = { 0, 0 };
	uint64_t seen = 0, bytes = 0;
	guint i;

	if (m->identity || m->pieces->len < 2)
		return 0;
	for (i = 0; i < m->pieces->len; i++) {
		const struct zones_piece *q = &g_array_index(m->pieces, struct zones_piece, i);

		if (q->bus != q->cpu || (q->size & (q->size - 1)) || (q->bus & (q->size - 1)))
			return 0;
		seen |= q->bus | (q->size - 1);
		bytes += q->size;
		all.size = q->bus + q->size;
	}
	if (!all.size)
		return 0;
	r.highest = all.size - 1;
	r.forbidden = ~seen & ((UINT64_C(2) << (zones_bits(r.highest) - 1)) - 1);
	return r.forbidden && vcma_reach_bytes(&r, &all) == bytes ? r.forbidden : 0;
}

static void class_free(void *p)
{
	struct zones_class *c = p;

	g_free(c->label);
	g_free(c->name);
	zones_map_unref(c->map);
	g_ptr_array_unref(c->devices);
	g_free(c);
}

static struct zones_class *class_new(const struct vcma_reach *reach, struct zones_map *map)
{
	struct zones_class *c = g_new0(struct zones_class, 1);

	c->reach = *reach;
	c->map = zones_map_ref(map);
	c->devices = g_ptr_array_new();
	c->highest = reach->highest;
	if (!map->identity) {
		const struct zones_piece *q = map->pieces->len ?
			&g_array_index(map->pieces, struct zones_piece, map->pieces->len - 1) : NULL;

		c->highest = q ? MIN(c->highest, q->bus + (q->size - 1)) : 0;
	}
	c->forbids = pieces_forbid(map);
	return c;
}

static bool same_reach(const struct vcma_reach *a, const struct vcma_reach *b)
{
	return a->highest == b->highest && a->forbidden == b->forbidden &&
		a->boundary == b->boundary;
}

static int by_reach(const void *a, const void *b)
{
	const struct zones_class *x = *(const struct zones_class *const *)a;
	const struct zones_class *y = *(const struct zones_class *const *)b;

	if (x->mask != y->mask)
		return x->mask ? 1 : -1;
	if (x->highest != y->highest)
		return x->highest < y->highest ? -1 : 1;
	if (x->map->identity != y->map->identity)
		return x->map->identity ? 1 : -1;
	/* Forbidden bits are less reach. */
	if (x->reach.forbidden != y->reach.forbidden)
		return x->reach.forbidden > y->reach.forbidden ? -1 : 1;
	return 0;
}

static void add_masks(GPtrArray *classes, uint64_t forbid)
{
	struct zones_map *all = zones_map_new();
	size_t i;

	all->identity = true;
	for (i = 0; i < G_N_ELEMENTS(common_masks); i++) {
		unsigned int bits = common_masks[i];
		struct vcma_reach r;
		struct zones_class *c;

		vcma_reach_init(&r, bits == 64 ? NO_LIMIT : (UINT64_C(1) << bits) - 1, 0, 0, forbid);
		c = class_new(&r, all);
		c->mask = true;
		c->name = g_strdup_printf("%u bits", bits);
		g_ptr_array_add(classes, c);
	}
	zones_map_unref(all);
}

/* In a listing devices have no bus to be found at, but a name that the operator gave. */
static char *names(const struct zones_class *c)
{
	GString *s = g_string_new(NULL);
	guint i;

	for (i = 0; i < c->devices->len; i++) {
		const struct zones_device *d = g_ptr_array_index(c->devices, i);

		g_string_append_printf(s, "%s%s", i ? ", " : "", d->name);
	}
	return g_string_free(s, FALSE);
}

static char *letter(guint i)
{
	return i < 26 ? g_strdup_printf("%c", 'A' + (int)i) : g_strdup_printf("%c%u", 'A' + (int)(i % 26), i / 26);
}

GPtrArray *zones_classes(const struct zones_platform *p, uint64_t forbid, char **ret_error)
{
	GPtrArray *classes = g_ptr_array_new_with_free_func(class_free);
	guint i, k;

	for (i = 0; i < p->devices->len; i++) {
		struct zones_device *d = g_ptr_array_index(p->devices, i);
		struct vcma_reach reach = d->reach;
		struct zones_class *c = NULL;

		reach.forbidden |= forbid;
		for (k = 0; k < classes->len; k++) {
			c = g_ptr_array_index(classes, k);
			if (same_reach(&c->reach, &reach) && zones_map_same(c->map, d->map) &&
			    c->asked == d->asked)
				break;
		}
		if (k == ZONES_CLASSES_MAX) {
			*ret_error = g_strdup_printf("the devices have more than %d different reaches",
						     ZONES_CLASSES_MAX);
			g_ptr_array_unref(classes);
			return NULL;
		}
		if (k == classes->len) {
			c = class_new(&reach, d->map);
			c->asked = d->asked;
			g_ptr_array_add(classes, c);
		}
		g_ptr_array_add(c->devices, d);
	}
	g_ptr_array_sort(classes, by_reach);
	for (i = 0; i < classes->len; i++) {
		struct zones_class *c = g_ptr_array_index(classes, i);

		c->label = p->tree ? letter(i) : names(c);
	}
	add_masks(classes, forbid);
	return classes;
}

static bool is_called(const struct zones_device *d, const char *name)
{
	size_t len = strcspn(d->name, "@");

	return strcmp(d->name, name) == 0 || strcmp(d->path, name) == 0 ||
		(strlen(name) == len && strncmp(d->name, name, len) == 0);
}

/* What of two limits is left. */
static void restrict_reach(struct vcma_reach *r, const struct vcma_reach *more)
{
	r->highest = MIN(r->highest, more->highest);
	r->forbidden |= more->forbidden;
	if (more->boundary && (!r->boundary || more->boundary < r->boundary))
		r->boundary = more->boundary;
}

bool zones_refine(struct zones_platform *p, const char *name, const struct vcma_reach *reach,
		  char **ret_error)
{
	GPtrArray *known;
	const char *close;
	bool found = false;
	guint i;

	for (i = 0; i < p->devices->len; i++) {
		struct zones_device *d = g_ptr_array_index(p->devices, i);

		if (!is_called(d, name))
			continue;
		restrict_reach(&d->reach, reach);
		d->asked = found = true;
	}
	if (found)
		return true;
	if (!p->tree) {
		struct zones_device *d = g_new0(struct zones_device, 1);

		d->name = zones_text(name, 40);
		d->path = g_strdup(d->name);
		d->map = zones_map_new();
		d->map->identity = true;
		d->regions = g_array_new(FALSE, FALSE, sizeof(guint));
		d->reach = *reach;
		d->asked = true;
		g_ptr_array_add(p->devices, d);
		return true;
	}
	known = g_ptr_array_new_with_free_func(g_free);
	for (i = 0; i < p->devices->len; i++) {
		const struct zones_device *d = g_ptr_array_index(p->devices, i);

		g_ptr_array_add(known, g_strndup(d->name, strcspn(d->name, "@")));
	}
	g_ptr_array_add(known, NULL);
	close = closest_word(name, (const char *const *)known->pdata);
	*ret_error = close ?
		g_strdup_printf("the tree has no device \"%s\"; did you mean \"%s\"?", name, close) :
		g_strdup_printf("the tree has no device \"%s\"; --all lists them", name);
	g_ptr_array_unref(known);
	return false;
}
