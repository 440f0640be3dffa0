/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zones_tree.h - a device tree that has been looked through once
 *
 * Private to the zones_tree*.c files.
 *
 * DOC: Theory of operation
 *
 * libfdt finds a parent or a phandle by walking the whole tree, which a large
 * and hostile file could make slow.  So the tree is walked once, into an array of
 * nodes in the order of the file: a parent always comes before its children.
 * All later steps go by index and look at each node a bounded number of times.
 *
 * An error is kept in the tree, the first one only; every function returns
 * false or NULL from then on.
 */
#ifndef VCMA_CTL_ZONES_TREE_H
#define VCMA_CTL_ZONES_TREE_H

#include "zones.h"

#define TREE_HOPS_MAX (2 * ZONES_DEPTH_MAX)	/* on the way from a device to the CPU */
#define TREE_NAME_MAX 128
#define TREE_CELLS_MAX 4	/* as Linux: OF_MAX_ADDR_CELLS */

enum tree_walk { TREE_NEW, TREE_BUSY, TREE_DONE };

/**
 * struct tree_node - a node
 * @offset: for libfdt
 * @parent: index, -1 for the root
 * @depth: 0 for the root
 * @name: with its unit address, in the blob
 * @name_len: without NUL
 * @phandle: 0: none
 * @address_cells: of its children's addresses; as Linux does, its parent's if it says nothing
 * @size_cells: likewise
 * @available: it and all above it are enabled
 * @bus: its children's addresses are memory addresses all the way up
 * @pci: a PCI host bridge
 * @isa: an ISA bus
 * @has_ranges: it has a dma-ranges property that is not empty
 * @empty_ranges: it has an empty one
 * @coherent: it says "dma-coherent"; @noncoherent: "dma-noncoherent"
 * @dma_parent: where its DMA goes first: its parent, or the "dma-mem" of its
 *	"interconnects"; -1 for the root
 * @redirected: the latter
 * @walk: while maps are made; finds circles
 * @map: where addresses on it lead to, NULL until asked for
 */
struct tree_node {
	int offset;
	int parent;
	unsigned int depth;
	const char *name;
	int name_len;
	uint32_t phandle;
	uint32_t address_cells, size_cells;
	bool available, bus, pci, isa;
	bool has_ranges, empty_ranges;
	bool coherent, noncoherent, redirected;
	int dma_parent;
	enum tree_walk walk;
	struct zones_map *map;
};

struct tree {
	const void *fdt;
	struct tree_node *nodes;
	int nr;
	GHashTable *by_phandle;		/* phandle -> index + 1 */
	GHashTable *reserved;		/* node's index + 1 -> index in p->reserved + 1 */
	unsigned int hops;		/* of the way up that is being followed */
	struct zones_platform *p;
	char *error;
};

/* Keep the error if it is the first; always false.  Names node @i, -1: no node. */
bool tree_refuse(struct tree *t, int i, const char *format, ...) G_GNUC_PRINTF(3, 4);
char *tree_path(const struct tree *t, int i);
char *tree_name(const struct tree *t, int i);
/* A property, NULL if there is none; @ret_len in bytes. */
const void *tree_prop(const struct tree *t, int i, const char *name, int *ret_len);
/* The first string of a property, NULL if it has none that ends. */
const char *tree_string(const struct tree *t, int i, const char *name);
bool tree_has_string(const struct tree *t, int i, const char *property, const char *string);
/* A 32-bit property; false: there is none, or it is not one cell long. */
bool tree_u32(const struct tree *t, int i, const char *name, uint32_t *ret);
/* The node of a phandle, -1: none. */
int tree_by_phandle(const struct tree *t, uint32_t phandle);
/* The child of the root called @name, -1: none. */
int tree_root_child(const struct tree *t, const char *name);
/* One cell. */
uint32_t tree_cell(const uint8_t *p);
/* A number of @cells cells; false: it does not fit in 64 bits. */
bool tree_number(const uint8_t *p, uint32_t cells, uint64_t *ret);

/* Memory, reserved memory (zones_tree_memory.c). */
bool tree_read_memory(struct tree *t);
/* What leads where (zones_tree_dma.c): NULL if the tree is broken; the caller's to unref. */
struct zones_map *tree_map_of(struct tree *t, int bus);
/* Fill dma_parent of node @i, as Linux finds it; all nodes have been read. */
void tree_find_dma_parent(struct tree *t, int i);
/* The lowest limit of all dma-ranges. */
bool tree_read_limit(struct tree *t);
/* Devices (zones_tree_device.c). */
bool tree_read_devices(struct tree *t);

#endif /* VCMA_CTL_ZONES_TREE_H */
