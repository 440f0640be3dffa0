// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_tree_device.c - the devices of a tree, and where their DMA goes
 *
 * A tree does not say which devices do DMA.  Taken for one is what has a
 * "compatible" and a "reg", is enabled, and sits on a bus whose addresses are
 * memory addresses; interrupt controllers and buses themselves are not.  All that
 * is behind a PCI host bridge is one device, because Linux gives it the
 * bridge's own dma-ranges.
 */
#include "zones_tree.h"

#include <string.h>

#define DEVICES_MAX 4096
#define REGIONS_MAX 16
#define ISA_HIGHEST 0xffffff	/* 24 address lines */

static bool is_device(const struct tree *t, int i)
{
	const struct tree_node *n = &t->nodes[i];
	int len;

	if (i == 0 || !n->available || !t->nodes[n->parent].bus || t->nodes[n->parent].pci)
		return false;
	if (n->pci)
		return n->bus;
	if (n->isa || !tree_prop(t, i, "compatible", &len) || !tree_prop(t, i, "reg", &len) || !len)
		return false;
	return !tree_has_string(t, i, "compatible", "simple-bus") &&
		!tree_prop(t, i, "interrupt-controller", &len) &&
		!tree_prop(t, i, "msi-controller", &len) &&
		!tree_has_string(t, i, "device_type", "memory") &&
		!tree_has_string(t, i, "device_type", "cpu");
}

/* The first on the way up that says something; Linux on ARM assumes no coherence. */
static bool is_coherent(const struct tree *t, int i)
{
	int hops;

	for (hops = 0; i >= 0 && hops < TREE_HOPS_MAX; hops++, i = t->nodes[i].dma_parent) {
		if (t->nodes[i].coherent || t->nodes[i].noncoherent)
			return t->nodes[i].coherent;
	}
	return false;
}

/* Its memory-region: a list of phandles of children of /reserved-memory. */
static void read_regions(struct tree *t, int i, GArray *regions)
{
	int len, at;
	const uint8_t *p = tree_prop(t, i, "memory-region", &len);

	for (at = 0; p && at + 4 <= len && regions->len < REGIONS_MAX; at += 4) {
		int node = tree_by_phandle(t, tree_cell(p + at));
		guint index = GPOINTER_TO_UINT(g_hash_table_lookup(t->reserved,
								   GINT_TO_POINTER(node + 1)));

		if (index) {
			index--;
			g_array_append_val(regions, index);
		}
	}
}

static bool read_device(struct tree *t, int i)
{
	const struct tree_node *n = &t->nodes[i];
	int bus = n->pci ? i : n->dma_parent;
	struct zones_map *map = tree_map_of(t, bus);
	struct zones_device *d;
	int len;

	if (!map)
		return false;
	if (t->p->devices->len >= DEVICES_MAX) {
		zones_map_unref(map);
		return tree_refuse(t, -1, "more than %d devices", DEVICES_MAX);
	}
	d = g_new0(struct zones_device, 1);
	d->name = tree_name(t, i);
	d->path = tree_path(t, i);
	d->bus = tree_path(t, bus);
	d->pci = n->pci;
	d->redirected = n->redirected;
	d->coherent = is_coherent(t, i);
	d->iommu = tree_prop(t, i, n->pci ? "iommu-map" : "iommus", &len);
	d->map = map;
	d->regions = g_array_new(FALSE, FALSE, sizeof(guint));
	vcma_reach_init(&d->reach, t->nodes[n->parent].isa ? ISA_HIGHEST : 0, 0, 0, 0);
	read_regions(t, i, d->regions);
	g_ptr_array_add(t->p->devices, d);
	return true;
}

bool tree_read_devices(struct tree *t)
{
	int i;

	for (i = 1; i < t->nr; i++) {
		if (is_device(t, i) && !read_device(t, i))
			return false;
	}
	return true;
}
