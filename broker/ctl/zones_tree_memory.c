// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_tree_memory.c - memory and reserved memory of a device tree
 *
 * As Linux reads them (drivers/of/fdt.c of 6.1): memory is in children of the root
 * with device_type "memory", in the root's cells; /reserved-memory counts only
 * if it has the root's cells and a "ranges" property.
 */
#include "zones_tree.h"

#include <libfdt.h>
#include <string.h>

/* The next {address, size} of a list in the root's cells. */
static bool next_span(struct tree *t, int i, const uint8_t **p, struct vcma_span *ret)
{
	const struct tree_node *root = &t->nodes[0];

	if (!tree_number(*p, root->address_cells, &ret->base) ||
	    !tree_number(*p + 4 * root->address_cells, root->size_cells, &ret->size))
		return tree_refuse(t, i, "an address of more than 64 bits");
	*p += 4 * (root->address_cells + root->size_cells);
	if (ret->size && ret->size - 1 > ~ret->base)
		return tree_refuse(t, i, "0x%" G_GINT64_MODIFIER "x and 0x%" G_GINT64_MODIFIER "x bytes wrap around the end of the address space",
				   ret->base, ret->size);
	return true;
}

/* A list of {address, size}: its first byte, and how many; -1: refused. */
static int span_list(struct tree *t, int i, const char *name, const uint8_t **ret)
{
	int one = 4 * (int)(t->nodes[0].address_cells + t->nodes[0].size_cells);
	int len;

	*ret = tree_prop(t, i, name, &len);
	if (!*ret)
		return 0;
	if (len % one) {
		tree_refuse(t, i, "%s is %d bytes long, which is no multiple of %d (an address of %u cells and a size of %u)",
			    name, len, one, t->nodes[0].address_cells, t->nodes[0].size_cells);
		return -1;
	}
	return len / one;
}

static bool read_banks(struct tree *t, int i)
{
	const uint8_t *p;
	int n = span_list(t, i, "linux,usable-memory", &p);
	struct vcma_span s;

	if (n == 0 && !p)
		n = span_list(t, i, "reg", &p);
	if (n > ZONES_BANKS_MAX)
		return tree_refuse(t, i, "%d banks; %d are the most that can be handled", n,
				   ZONES_BANKS_MAX);
	for (; n > 0; n--) {
		if (!next_span(t, i, &p, &s))
			return false;
		if (s.size)
			zones_add_memory(t->p, tree_name(t, i), s.base, s.size);
	}
	return n == 0;
}

static bool read_all_banks(struct tree *t)
{
	int i;

	for (i = 1; i < t->nr; i++) {
		const char *type = tree_string(t, i, "device_type");
		bool memory = type && strcmp(type, "memory") == 0;

		if (t->nodes[i].depth != 1)
			continue;
		if (!memory && (strncmp(t->nodes[i].name, "memory@", 7) == 0 ||
				strcmp(t->nodes[i].name, "memory") == 0)) {
			char *path = tree_path(t, i);

			zones_note(t->p, "%s has no device_type \"memory\", so Linux does not take it for memory.",
				   path);
			g_free(path);
		}
		if (memory && t->nodes[i].available && !read_banks(t, i))
			return false;
	}
	return true;
}

static bool read_memreserve(struct tree *t)
{
	int n = fdt_num_mem_rsv(t->fdt);
	int i;

	for (i = 0; i < n && i < ZONES_BANKS_MAX; i++) {
		uint64_t base, size;

		if (fdt_get_mem_rsv(t->fdt, i, &base, &size))
			break;
		if (size && size - 1 > ~base)
			return tree_refuse(t, -1, "/memreserve/ 0x%" G_GINT64_MODIFIER "x wraps around the end of the address space",
					   base);
		if (size)
			zones_add_reserved(t->p, g_strdup("/memreserve/"), base, size, ZONES_HEADER);
	}
	return true;
}

/* A region that the kernel places: "size", "alignment", "alloc-ranges". */
static bool read_dynamic(struct tree *t, int i, unsigned int flags)
{
	const uint8_t *p;
	struct vcma_span s;
	uint64_t size;
	GArray *allowed;
	int len, n;

	p = tree_prop(t, i, "size", &len);
	if (!p)
		return true;
	if (len != 4 * (int)t->nodes[0].size_cells)
		return tree_refuse(t, i, "size is %d bytes long instead of %u", len,
				   4 * t->nodes[0].size_cells);
	if (!tree_number(p, t->nodes[0].size_cells, &size))
		return tree_refuse(t, i, "a size of more than 64 bits");
	n = span_list(t, i, "alloc-ranges", &p);
	zones_add_reserved(t->p, tree_name(t, i), 0, size, flags | ZONES_DYNAMIC);
	allowed = g_array_index(t->p->reserved, struct zones_reserved,
				t->p->reserved->len - 1).allowed;
	for (; n > 0; n--) {
		if (!next_span(t, i, &p, &s))
			return false;
		if (s.size)
			g_array_append_val(allowed, s);
	}
	return n == 0;
}

static bool read_region(struct tree *t, int i)
{
	unsigned int flags = 0;
	guint first = t->p->reserved->len;
	struct vcma_span s;
	const uint8_t *p;
	int len, n;

	if (tree_prop(t, i, "no-map", &len))
		flags |= ZONES_NO_MAP;
	if (tree_prop(t, i, "reusable", &len))
		flags |= ZONES_REUSABLE;
	if (tree_has_string(t, i, "compatible", "shared-dma-pool"))
		flags |= ZONES_DMA_POOL;
	if (tree_prop(t, i, "linux,cma-default", &len))
		flags |= ZONES_DEFAULT;

	n = span_list(t, i, "reg", &p);
	if (n < 0)
		return false;
	if (!p && !read_dynamic(t, i, flags))
		return false;
	for (; n > 0; n--) {
		if (!next_span(t, i, &p, &s))
			return false;
		if (s.size)
			zones_add_reserved(t->p, tree_name(t, i), s.base, s.size, flags);
	}
	if (t->p->reserved->len > 4 * ZONES_BANKS_MAX)
		return tree_refuse(t, -1, "more than %d reserved runs", 4 * ZONES_BANKS_MAX);
	if (t->p->reserved->len > first)
		g_hash_table_insert(t->reserved, GINT_TO_POINTER(i + 1), GUINT_TO_POINTER(first + 1));
	return true;
}

static bool read_reserved(struct tree *t)
{
	int top = tree_root_child(t, "reserved-memory");
	const struct tree_node *root = &t->nodes[0];
	int i, len;

	if (top < 0)
		return true;
	if (t->nodes[top].address_cells != root->address_cells ||
	    t->nodes[top].size_cells != root->size_cells || !tree_prop(t, top, "ranges", &len)) {
		zones_note(t->p, "/reserved-memory has other cells than the root, or no \"ranges\": Linux ignores it.");
		return true;
	}
	for (i = top + 1; i < t->nr && t->nodes[i].depth > 1; i++) {
		if (t->nodes[i].depth == 2 && t->nodes[i].available && !read_region(t, i))
			return false;
	}
	return true;
}

bool tree_read_memory(struct tree *t)
{
	char *error = NULL;

	if (!read_all_banks(t) || !read_memreserve(t) || !read_reserved(t))
		return false;
	if (!zones_sort_memory(t->p, &error)) {
		tree_refuse(t, -1, "%s", error);
		g_free(error);
		return false;
	}
	return true;
}
