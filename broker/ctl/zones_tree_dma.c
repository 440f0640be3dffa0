// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_tree_dma.c - where the addresses of a bus lead to
 *
 * DOC: Theory of operation
 *
 * A bus node's dma-ranges are a list of {address on the bus, address on the bus
 * above, size}; an empty one says that addresses go up unchanged.  Addresses of
 * a bus are followed up to the root, and come out there as the CPU's: the map
 * of a bus is its own list, cut by the map of the bus above.  Maps are made once
 * for each bus, so that time is bounded by the tree's size.
 *
 * What a bus without the property does, two books say differently.  The device
 * tree specification: no DMA goes through it.  Linux (drivers/of/address.c of
 * 6.1, of_dma_get_range()): it looks upwards from the device's parent for the
 * first list that is not empty; the parent itself may lack the property, but
 * after that an absent one ends the search, and then there is no limit at all.
 * Above the list that was found, an absent property counts as an empty one.  This
 * is Linux's view throughout, because it is Linux that places the buffers.
 *
 * In one thing it is stricter: Linux translates the first address of each entry
 * and believes its size, also if a bus above carries less.  Here it is cut, and
 * the map says so.
 *
 * The way up goes by parents, but where a node's "interconnects" name a "dma-mem",
 * by that: such buses can be in a circle.
 */
#include "zones_tree.h"

#include <libfdt.h>

/* Flag cells before an address: PCI's and ISA's, and any bus of three cells. */
static uint32_t flag_cells(const struct tree_node *n)
{
	return n->pci || n->isa || n->address_cells == 3;
}

/*
 * Read one entry of the dma-ranges of node @i at @at.  False: refused.  Linux takes
 * an odd size for a mask, one less than the size (of_dma_configure_id()).
 */
static bool read_entry(struct tree *t, int i, const uint8_t *at, struct zones_piece *ret)
{
	const struct tree_node *n = &t->nodes[i];
	const struct tree_node *up = &t->nodes[n->parent];
	uint32_t flags = flag_cells(n), up_flags = flag_cells(up);
	const uint8_t *up_at = at + 4 * n->address_cells;

	if (!tree_number(at + 4 * flags, n->address_cells - flags, &ret->bus) ||
	    !tree_number(up_at + 4 * up_flags, up->address_cells - up_flags, &ret->cpu) ||
	    !tree_number(up_at + 4 * up->address_cells, n->size_cells, &ret->size))
		return tree_refuse(t, i, "dma-ranges has an address of more than 64 bits");
	if (ret->size & 1)
		ret->size++;
	if (!ret->size)
		return true;
	if (ret->size - 1 > ~ret->bus || ret->size - 1 > ~ret->cpu)
		return tree_refuse(t, i, "dma-ranges: 0x%" G_GINT64_MODIFIER "x bytes at 0x%" G_GINT64_MODIFIER "x wrap around the end of the address space",
				   ret->size, ret->bus);
	return true;
}

static int by_bus(const void *a, const void *b)
{
	const struct zones_piece *x = a, *y = b;

	return x->bus < y->bus ? -1 : x->bus > y->bus;
}

/* The node's own list, sorted; NULL: refused. */
static GArray *read_ranges(struct tree *t, int i)
{
	const struct tree_node *n = &t->nodes[i];
	const struct tree_node *up = &t->nodes[n->parent];
	uint32_t cells;
	GArray *list;
	const uint8_t *p;
	int len;
	guint k;

	p = tree_prop(t, i, "dma-ranges", &len);
	if (n->address_cells <= flag_cells(n) || n->address_cells > TREE_CELLS_MAX ||
	    up->address_cells <= flag_cells(up) || up->address_cells > TREE_CELLS_MAX ||
	    !n->size_cells || n->size_cells > TREE_CELLS_MAX) {
		tree_refuse(t, i, "dma-ranges cannot be read with %u address cells, %u of the bus above and %u size cells",
			    n->address_cells, up->address_cells, n->size_cells);
		return NULL;
	}
	cells = n->address_cells + up->address_cells + n->size_cells;
	if ((uint32_t)len % (4 * cells)) {
		tree_refuse(t, i, "dma-ranges is %d bytes long, which is no multiple of %u (cells: %u address, %u of the bus above, %u size)",
			    len, 4 * cells, n->address_cells, up->address_cells, n->size_cells);
		return NULL;
	}
	if ((uint32_t)len / (4 * cells) > ZONES_PIECES_MAX) {
		tree_refuse(t, i, "dma-ranges has more than %d entries", ZONES_PIECES_MAX);
		return NULL;
	}

	list = g_array_new(FALSE, FALSE, sizeof(struct zones_piece));
	for (; len > 0; len -= (int)(4 * cells), p += 4 * cells) {
		struct zones_piece piece;

		if (!read_entry(t, i, p, &piece))
			goto refused;
		if (piece.size)
			g_array_append_val(list, piece);
	}
	g_array_sort(list, by_bus);
	for (k = 1; k < list->len; k++) {
		const struct zones_piece *a = &g_array_index(list, struct zones_piece, k - 1);

		if (a->bus + (a->size - 1) >= a[1].bus) {
			tree_refuse(t, i, "dma-ranges overlap: 0x%" G_GINT64_MODIFIER "x on the bus leads to two places",
				    a[1].bus);
			goto refused;
		}
	}
	return list;
refused:
	g_array_unref(list);
	return NULL;
}

/* Add to @m what @above carries of @own. */
static void follow_up(struct zones_map *m, const struct zones_piece *own,
		      const struct zones_map *above)
{
	uint64_t carried = 0;
	guint k;

	if (above->identity) {
		g_array_append_val(m->pieces, *own);
		return;
	}
	for (k = 0; k < above->pieces->len; k++) {
		const struct zones_piece *q = &g_array_index(above->pieces, struct zones_piece, k);
		uint64_t first = MAX(own->cpu, q->bus);
		uint64_t last = MIN(own->cpu + (own->size - 1), q->bus + (q->size - 1));
		struct zones_piece piece;

		if (first > last)
			continue;
		piece.bus = own->bus + (first - own->cpu);
		piece.cpu = q->cpu + (first - q->bus);
		piece.size = last - first + 1;
		carried += piece.size;
		g_array_append_val(m->pieces, piece);
	}
	if (carried != own->size)
		m->clipped = true;
}

/* Entries that go on where the one before ended are one. */
static void join_pieces(GArray *pieces)
{
	guint from, to = 0;

	for (from = 1; from < pieces->len; from++) {
		struct zones_piece *a = &g_array_index(pieces, struct zones_piece, to);
		const struct zones_piece *b = &g_array_index(pieces, struct zones_piece, from);

		if (a->bus + a->size == b->bus && a->cpu + a->size == b->cpu)
			a->size += b->size;
		else
			g_array_index(pieces, struct zones_piece, ++to) = *b;
	}
	if (pieces->len)
		g_array_set_size(pieces, to + 1);
}

static void refuse_circle(struct tree *t, int i)
{
	tree_refuse(t, i, "the way that DMA takes from here leads in a circle or is endless (\"interconnects\")");
}

/* Its map, borrowed; NULL: refused. */
static struct zones_map *map_up(struct tree *t, int i)
{
	struct tree_node *n = &t->nodes[i];
	struct zones_map *above, *m;
	GArray *own;
	guint k;

	if (n->walk == TREE_DONE)
		return n->map;
	if (n->walk == TREE_BUSY) {
		refuse_circle(t, i);
		return NULL;
	}
	if (i == 0) {
		n->map = zones_map_new();
		n->map->identity = true;
		n->walk = TREE_DONE;
		return n->map;
	}

	n->walk = TREE_BUSY;
	if (++t->hops > TREE_HOPS_MAX) {
		refuse_circle(t, i);
		return NULL;
	}
	above = map_up(t, n->dma_parent);
	t->hops--;
	if (!above)
		return NULL;
	if (!n->has_ranges) {
		n->map = zones_map_ref(above);
		n->walk = TREE_DONE;
		return n->map;
	}

	own = read_ranges(t, i);
	if (!own)
		return NULL;
	m = zones_map_new();
	m->clipped = above->clipped;
	for (k = 0; k < own->len && m->pieces->len <= ZONES_PIECES_MAX; k++)
		follow_up(m, &g_array_index(own, struct zones_piece, k), above);
	g_array_unref(own);
	if (m->pieces->len > ZONES_PIECES_MAX) {
		zones_map_unref(m);
		tree_refuse(t, i, "dma-ranges lead to more than %d pieces of memory", ZONES_PIECES_MAX);
		return NULL;
	}
	g_array_sort(m->pieces, by_bus);
	join_pieces(m->pieces);
	n->map = m;
	n->walk = TREE_DONE;
	return m;
}

void tree_find_dma_parent(struct tree *t, int i)
{
	struct tree_node *n = &t->nodes[i];
	uint32_t cells;
	const uint8_t *p;
	int index, len, at;

	n->dma_parent = n->parent;
	index = fdt_stringlist_search(t->fdt, n->offset, "interconnect-names", "dma-mem");
	if (index < 0)
		return;
	p = tree_prop(t, i, "interconnects", &len);
	for (at = 0; p && at + 4 <= len; at += 4 * (int)(1 + cells)) {
		int node = tree_by_phandle(t, tree_cell(p + at));

		/* A list that leads nowhere counts for nothing, as in Linux. */
		if (node < 0 || !tree_u32(t, node, "#interconnect-cells", &cells) || cells > 16)
			return;
		if (index-- == 0) {
			n->dma_parent = node;
			n->redirected = true;
			return;
		}
	}
}

struct zones_map *tree_map_of(struct tree *t, int bus)
{
	struct zones_map *m;
	int i = bus, hops;

	/* The rule in this file's head; where the search ends, the root's map says: no limit. */
	for (hops = 0; i > 0 && !t->nodes[i].has_ranges; hops++) {
		if (hops > 0 && !t->nodes[i].empty_ranges)
			i = 0;
		else
			i = t->nodes[i].dma_parent;
		if (hops > TREE_HOPS_MAX) {
			refuse_circle(t, bus);
			return NULL;
		}
	}
	m = map_up(t, i);
	return m ? zones_map_ref(m) : NULL;
}

/* Where one address of bus @m leads; false: nowhere. */
static bool lead(const struct zones_map *m, uint64_t bus, uint64_t *ret)
{
	guint k;

	if (m->identity) {
		*ret = bus;
		return true;
	}
	for (k = 0; k < m->pieces->len; k++) {
		const struct zones_piece *q = &g_array_index(m->pieces, struct zones_piece, k);

		if (bus >= q->bus && bus - q->bus < q->size) {
			*ret = q->cpu + (bus - q->bus);
			return true;
		}
	}
	return false;
}

/*
 * As of_dma_get_max_cpu_address(): of each enabled node with a list of its own,
 * the highest address that an entry leads to, found from the entry's first address
 * and its size; of these, the lowest.
 */
bool tree_read_limit(struct tree *t)
{
	int i;

	if (t->nodes[0].has_ranges)
		zones_note(t->p, "The root's dma-ranges lead nowhere; Linux takes no address from them.");
	for (i = 1; i < t->nr; i++) {
		struct zones_map *above;
		uint64_t highest = 0;
		GArray *own;
		guint k;

		if (!t->nodes[i].available || !t->nodes[i].has_ranges)
			continue;
		above = map_up(t, t->nodes[i].dma_parent);
		own = above ? read_ranges(t, i) : NULL;
		if (!own)
			return false;
		for (k = 0; k < own->len; k++) {
			const struct zones_piece *r = &g_array_index(own, struct zones_piece, k);
			uint64_t cpu;

			if (lead(above, r->cpu, &cpu) && r->size - 1 <= ~cpu)
				highest = MAX(highest, cpu + (r->size - 1));
		}
		g_array_unref(own);
		if (highest && highest < t->p->dma_limit) {
			t->p->dma_limit = highest;
			g_free(t->p->dma_limit_bus);
			t->p->dma_limit_bus = tree_path(t, i);
		}
	}
	return true;
}
