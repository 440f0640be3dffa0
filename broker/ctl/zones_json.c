// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_json.c - vcmactl zones as JSON
 *
 * Addresses and sizes are numbers, of 64 bits without a sign.
 */
#include "zones_show.h"

#include "ctl.h"

static void add_number(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

/* @text may be NULL. */
static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static struct json_object *texts(const GPtrArray *list)
{
	struct json_object *a = json_object_new_array();
	guint i;

	for (i = 0; i < list->len; i++)
		json_object_array_add(a, json_object_new_string(g_ptr_array_index(list, i)));
	return a;
}

static struct json_object *span(const struct vcma_span *s)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "base", s->base);
	add_number(o, "size", s->size);
	return o;
}

static struct json_object *memory(const struct zones_platform *p)
{
	struct json_object *a = json_object_new_array();
	guint i;

	for (i = 0; i < p->memory->len; i++) {
		const struct zones_memory *m = &g_array_index(p->memory, struct zones_memory, i);
		struct json_object *o = span(&m->span);

		add_text(o, "name", m->name);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *reserved(const struct zones_platform *p)
{
	struct json_object *a = json_object_new_array();
	guint i, k;

	for (i = 0; i < p->reserved->len; i++) {
		const struct zones_reserved *r = &g_array_index(p->reserved, struct zones_reserved, i);
		struct json_object *o = json_object_new_object();
		struct json_object *allowed = json_object_new_array();

		add_text(o, "name", r->name);
		if (!(r->flags & ZONES_DYNAMIC))
			add_number(o, "base", r->span.base);
		add_number(o, "size", r->span.size);
		json_add_bool(o, "dynamic", r->flags & ZONES_DYNAMIC);
		json_add_bool(o, "no_map", r->flags & ZONES_NO_MAP);
		json_add_bool(o, "reusable", r->flags & ZONES_REUSABLE);
		json_add_bool(o, "dma_pool", r->flags & ZONES_DMA_POOL);
		json_add_bool(o, "default", r->flags & ZONES_DEFAULT);
		for (k = 0; k < r->allowed->len; k++)
			json_object_array_add(allowed,
					      span(&g_array_index(r->allowed, struct vcma_span, k)));
		json_object_object_add(o, "allowed", allowed);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *kernels(const struct zones_report *r)
{
	struct json_object *a = json_object_new_array();
	unsigned int i, z;

	for (i = 0; i < r->nr_kernels; i++) {
		const struct zones_kernel *k = &r->kernels[i];
		struct json_object *o = json_object_new_object();
		struct json_object *zones = json_object_new_array();

		add_text(o, "with", k->name);
		json_add_bool(o, "debian", k->debian);
		json_add_bool(o, "wanted", k->wanted);
		for (z = 0; z < VCMA_NR_ZONES; z++) {
			const struct vcma_zone *zone = &k->map.zone[z];
			struct json_object *one = json_object_new_object();

			if (!zone->exists) {
				json_object_put(one);
				continue;
			}
			add_text(one, "name", vcma_zone_name((enum vcma_zone_type)z));
			add_number(one, "lowest", zone->lowest);
			add_number(one, "highest", zone->highest);
			add_number(one, "bytes", zone->bytes);
			json_object_array_add(zones, one);
		}
		json_object_object_add(o, "zones", zones);
		add_number(o, "cut_off", k->map.cut_off);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *pieces(const struct zones_map *m)
{
	struct json_object *a = json_object_new_array();
	guint i;

	for (i = 0; i < m->pieces->len; i++) {
		const struct zones_piece *q = &g_array_index(m->pieces, struct zones_piece, i);
		struct json_object *o = json_object_new_object();

		add_number(o, "bus", q->bus);
		add_number(o, "cpu", q->cpu);
		add_number(o, "size", q->size);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *devices(const struct zones_platform *p, const struct zones_class *c)
{
	struct json_object *a = json_object_new_array();
	guint i, k;

	for (i = 0; i < c->devices->len; i++) {
		const struct zones_device *d = g_ptr_array_index(c->devices, i);
		struct json_object *o = json_object_new_object();
		struct json_object *regions = json_object_new_array();

		add_text(o, "path", d->path);
		add_text(o, "bus", d->bus);
		json_add_bool(o, "pci", d->pci);
		json_add_bool(o, "coherent", d->coherent);
		json_add_bool(o, "iommu", d->iommu);
		json_add_bool(o, "redirected", d->redirected);
		for (k = 0; k < d->regions->len; k++) {
			guint index = g_array_index(d->regions, guint, k);

			json_object_array_add(regions, json_object_new_string(
				g_array_index(p->reserved, struct zones_reserved, index).name));
		}
		json_object_object_add(o, "regions", regions);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *classes(const struct zones_report *r)
{
	struct json_object *a = json_object_new_array();
	guint i;

	for (i = 0; i < r->classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(r->classes, i);
		const struct zones_served *s = &g_array_index(r->advice->served, struct zones_served, i);
		enum vcma_zone_type zone = zones_class_zone(c, r->p, &r->kernels[0].map);
		struct json_object *o = json_object_new_object();

		add_text(o, "name", c->mask ? c->name : c->label);
		add_number(o, "bits", zones_bits(c->highest));
		add_number(o, "highest", c->highest);
		add_number(o, "forbidden", c->reach.forbidden);
		add_number(o, "forbidden_by_ranges", c->forbids);
		add_number(o, "boundary", c->reach.boundary);
		json_add_bool(o, "unlimited", c->map->identity);
		json_add_bool(o, "clipped", c->map->clipped);
		json_object_object_add(o, "pieces", pieces(c->map));
		add_number(o, "memory", zones_class_memory(c, r->p));
		add_text(o, "zone", zone == VCMA_NR_ZONES ? NULL : vcma_zone_name(zone));
		add_text(o, "window", s->window < 0 ? NULL :
			 g_array_index(r->advice->windows, struct zones_window, s->window).zone);
		add_number(o, "window_bytes", s->window < 0 ? 0 : s->bytes);
		add_text(o, "why", s->why);
		json_object_object_add(o, "devices", devices(r->p, c));
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *windows(const struct zones_advice *advice)
{
	struct json_object *a = json_object_new_array();
	guint i;

	for (i = 0; i < advice->windows->len; i++) {
		const struct zones_window *w =
			&g_array_index(advice->windows, struct zones_window, i);
		struct json_object *o = span(&w->span);

		add_text(o, "zone", w->zone);
		add_text(o, "value", w->value);
		add_text(o, "where", w->why);
		json_object_array_add(a, o);
	}
	return a;
}

struct json_object *zones_json(const struct zones_report *r)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "model", r->p->model);
	add_text(o, "arch", zones_arch_name(r->p->arch));
	json_object_object_add(o, "memory", memory(r->p));
	json_object_object_add(o, "reserved", reserved(r->p));
	json_object_object_add(o, "kernels", kernels(r));
	json_object_object_add(o, "reasons", texts(r->reasons));
	json_object_object_add(o, "dma_limit", r->p->dma_limit == NO_LIMIT ? NULL :
			       json_object_new_uint64(r->p->dma_limit));
	add_text(o, "dma_limit_bus", r->p->dma_limit_bus);
	json_object_object_add(o, "reach", classes(r));
	json_object_object_add(o, "windows", windows(r->advice));
	add_text(o, "option", r->advice->option);
	json_object_object_add(o, "notes", texts(r->p->notes));
	return o;
}
