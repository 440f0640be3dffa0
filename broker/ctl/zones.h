/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zones.h - a platform's memory and buses, and what follows for zones and windows
 *
 * Everything here is apart from I/O: a device tree or a listing comes as bytes,
 * and what is printed is printed elsewhere (zones_print.c, zones_json.c).
 *
 * DOC: Theory of operation
 *
 * A *platform* is what is told about a machine: its memory, what of it is
 * reserved, its devices, and for each device which addresses of its bus lead
 * to which addresses of the CPU (*pieces*; none: every address leads to itself).
 * It comes from a device tree (zones_tree*.c) or from an e820 or iomem listing
 * (zones_listing.c), which knows of no devices.
 *
 * Three things are worked out of it:
 *
 *   - *kernels* (zones_kernel.c): what a Linux with or without a DMA zone, with or
 *     without HIGHMEM, would make of the memory.  Here is only what an
 *     architecture says about its zones; how they fill is in protocol/zone_map.h.
 *   - *classes* (zones_class.c): devices with the same reach.
 *   - *windows* (zones_window.c, zones_advice.c): where a virtio-cma device of a guest can have
 *     windows, which of them serve a class, and why.
 *
 * A device's reach has two parts: struct vcma_reach is about the addresses
 * that the device puts on its bus, as in protocol/zone.h; the pieces are what
 * the buses make of them.
 */
#ifndef VCMA_CTL_ZONES_H
#define VCMA_CTL_ZONES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "zone.h"
#include "zone_map.h"

/* What is read is bounded: bytes of a file, and parts of a platform. */
#define ZONES_TREE_MAX		(2U << 20)	/* as Linux: MAX_FDT_SIZE on arm64 */
#define ZONES_LISTING_MAX	(1U << 20)
#define ZONES_NODES_MAX		65536
#define ZONES_DEPTH_MAX		64		/* as Linux: FDT_MAX_DEPTH */
#define ZONES_BANKS_MAX		256
#define ZONES_CLASSES_MAX	64
#define ZONES_PIECES_MAX	256		/* of one bus */

#define KIB	(UINT64_C(1) << 10)
#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)
#define NO_LIMIT (~(uint64_t)0)

enum zones_arch {
	ZONES_AMD64,
	ZONES_I386,
	ZONES_ARM64,
	ZONES_ARM,
	ZONES_ARCH_UNKNOWN,
};

/**
 * struct zones_memory - a run of memory
 * @name: what the source calls it
 * @span: where
 */
struct zones_memory {
	char *name;
	struct vcma_span span;
};

/* What is known of reserved memory. */
#define ZONES_NO_MAP	(1U << 0)	/* the kernel does not even map it */
#define ZONES_REUSABLE	(1U << 1)	/* the kernel lends it out meanwhile: CMA */
#define ZONES_DMA_POOL	(1U << 2)	/* "shared-dma-pool" */
#define ZONES_DEFAULT	(1U << 3)	/* what everybody's CMA memory is taken from */
#define ZONES_DYNAMIC	(1U << 4)	/* the kernel chooses the place */
#define ZONES_HEADER	(1U << 5)	/* from the tree's header: /memreserve/ */

/**
 * struct zones_reserved - memory that is set aside
 * @name: of its node, or its type in a listing
 * @span: where; with ZONES_DYNAMIC only the size counts
 * @flags: ZONES_*
 * @allowed: with ZONES_DYNAMIC: where it may lie; empty: anywhere; struct vcma_span
 */
struct zones_reserved {
	char *name;
	struct vcma_span span;
	unsigned int flags;
	GArray *allowed;
};

/**
 * struct zones_piece - addresses of a bus that lead to addresses of the CPU
 * @bus: first address on the bus
 * @cpu: the CPU's for the same byte
 * @size: bytes; neither end wraps around
 */
struct zones_piece {
	uint64_t bus;
	uint64_t cpu;
	uint64_t size;
};

/**
 * struct zones_map - where all addresses of a bus lead
 * @ref: who uses it
 * @identity: to themselves; then @pieces is empty
 * @clipped: a bus further up carries less than one further down promises
 * @pieces: struct zones_piece, sorted by @bus, not overlapping there
 */
struct zones_map {
	unsigned int ref;
	bool identity;
	bool clipped;
	GArray *pieces;
};

/**
 * struct zones_device - what may do DMA
 * @name: of its node
 * @path: of its node
 * @bus: path of the node to which its DMA goes first; NULL in a listing
 * @pci: stands for all that is behind a PCI host bridge, which is @path
 * @coherent: caches see its DMA
 * @iommu: an IOMMU translates its addresses first
 * @redirected: @bus is not its parent, "interconnects" says "dma-mem"
 * @asked: the operator said something about it
 * @reach: what it can put on its bus
 * @map: where that leads
 * @regions: of its memory-region: indices in struct zones_platform.reserved
 */
struct zones_device {
	char *name;
	char *path;
	char *bus;
	bool pci, coherent, iommu, redirected, asked;
	struct vcma_reach reach;
	struct zones_map *map;
	GArray *regions;
};

/**
 * struct zones_platform - what is told about a machine
 * @model: its name, NULL: not told
 * @arch: of the kernel that is meant
 * @tree: it comes from a device tree
 * @qemu_virt: it is QEMU's `virt` machine
 * @dma_zone_size: arm: the DMA zone's size that Linux has for this machine; 0: none
 * @memory: struct zones_memory, sorted, not overlapping
 * @reserved: struct zones_reserved
 * @devices: struct zones_device, by pointer
 * @dma_limit: the lowest highest address of the CPU that the dma-ranges of any
 *	bus lead to; NO_LIMIT: there are none
 * @dma_limit_bus: that bus, or NULL
 * @notes: sentences about what is odd
 */
struct zones_platform {
	char *model;
	enum zones_arch arch;
	bool tree, qemu_virt;
	uint64_t dma_zone_size;
	GArray *memory;
	GArray *reserved;
	GPtrArray *devices;
	uint64_t dma_limit;
	char *dma_limit_bus;
	GPtrArray *notes;
};

struct zones_platform *zones_platform_new(void);
void zones_platform_free(struct zones_platform *p);
/* Takes @name over. */
void zones_add_memory(struct zones_platform *p, char *name, uint64_t base, uint64_t size);
void zones_add_reserved(struct zones_platform *p, char *name, uint64_t base, uint64_t size,
			unsigned int flags);
void zones_note(struct zones_platform *p, const char *format, ...) G_GNUC_PRINTF(2, 3);
/*
 * Sort the memory.  False, and a message in @ret_error (g_free()): a run wraps
 * around, two overlap, or there are too many.
 */
bool zones_sort_memory(struct zones_platform *p, char **ret_error);

struct zones_map *zones_map_new(void);
struct zones_map *zones_map_ref(struct zones_map *m);
void zones_map_unref(struct zones_map *m);
bool zones_map_same(const struct zones_map *a, const struct zones_map *b);

/* @text with whatever a terminal could take for more than text replaced; @len: bytes at most. */
char *zones_text(const char *text, size_t len);
/* "arm64"; ZONES_ARCH_UNKNOWN if there is no such. */
enum zones_arch zones_arch_by_name(const char *name);
const char *zones_arch_name(enum zones_arch arch);

/*
 * Read a device tree of @size bytes.  NULL, and a message in @ret_error
 * (g_free()), if it is broken.  @blob may be thrown away afterwards.
 */
struct zones_platform *zones_tree_read(const void *blob, size_t size, char **ret_error);
/* The same for an e820 or iomem listing. */
struct zones_platform *zones_listing_read(const char *text, size_t size, char **ret_error);

/* --- what Linux makes of it (zones_kernel.c) --- */

/**
 * struct zones_options - what differs from Debian's kernel
 * @no_dma: no DMA zone
 * @no_highmem: no HIGHMEM
 * @dma_end: the DMA zone ends here, exclusive; 0: as the platform says
 * @low_end: low memory ends here, exclusive; 0: as the architecture says
 */
struct zones_options {
	gboolean no_dma, no_highmem;
	uint64_t dma_end, low_end;
};

#define ZONES_KERNELS_MAX 4

/**
 * struct zones_kernel - a kernel, and the zones that it makes
 * @name: "with DMA and HIGHMEM"
 * @debian: Debian's is such a one
 * @wanted: such a one was asked for; exactly one of all kernels is
 * @rules: what it says about its zones
 * @map: what comes of it
 */
struct zones_kernel {
	const char *name;
	bool debian;
	bool wanted;
	struct vcma_zone_rules rules;
	struct vcma_zone_map map;
};

/* Fill @ret, the wanted one first; returns how many.  The memory is sorted. */
unsigned int zones_kernels(const struct zones_platform *p, const struct zones_options *o,
			   struct zones_kernel ret[ZONES_KERNELS_MAX]);
/* Why the zones end where they do: sentences, to g_ptr_array_unref(). */
GPtrArray *zones_reasons(const struct zones_platform *p, const struct zones_options *o);

/* --- devices with the same reach (zones_class.c) --- */

/**
 * struct zones_class - devices with the same reach
 * @label: "A"; in a listing the names of its devices
 * @mask: no device of the platform, but any that has this mask; @devices is empty
 * @asked: the operator named it
 * @name: for a class without devices: how it is called
 * @reach: what they can put on their bus
 * @map: where that leads
 * @devices: struct zones_device, borrowed
 * @highest: highest address of the bus that is any use
 * @forbids: address bits that the pieces never have, as if they were forbidden; 0: none
 */
struct zones_class {
	char *label;
	bool mask;
	bool asked;
	char *name;
	struct vcma_reach reach;
	struct zones_map *map;
	GPtrArray *devices;
	uint64_t highest;
	uint64_t forbids;
};

/*
 * Struct zones_class, by pointer, the least reach first; then masks.  Nobody
 * can use address bits in @forbid.  g_ptr_array_unref().  NULL: the devices
 * have more than ZONES_CLASSES_MAX different reaches (@ret_error, g_free()).
 */
GPtrArray *zones_classes(const struct zones_platform *p, uint64_t forbid, char **ret_error);
/*
 * What the operator knows of a device: @name is one of the platform, by its name
 * or path, or in a listing any word.  False: there is none (@ret_error, g_free()).
 */
bool zones_refine(struct zones_platform *p, const char *name, const struct vcma_reach *reach,
		  char **ret_error);
/* How many bytes of @cpu the class reaches: addresses of the CPU. */
uint64_t zones_class_bytes(const struct zones_class *c, const struct vcma_span *cpu);
/* The same for addresses of its bus, whatever is there. */
uint64_t zones_class_bus_bytes(const struct zones_class *c, const struct vcma_span *bus);
/* All memory that it reaches. */
uint64_t zones_class_memory(const struct zones_class *c, const struct zones_platform *p);
/* The zone that serves it, as vcma_zone_for(); VCMA_NR_ZONES: it reaches no memory. */
enum vcma_zone_type zones_class_zone(const struct zones_class *c, const struct zones_platform *p,
				     const struct vcma_zone_map *map);
/* Address lines that are needed for @highest. */
unsigned int zones_bits(uint64_t highest);

/* --- windows of a guest (zones_advice.c) --- */

/**
 * struct zones_window - a window that a guest can have
 * @zone: the property: "dma32"
 * @value: its value: "256M@0x60000000"
 * @span: where it lies, or all places where firmware may put it
 * @size: of the window
 * @why: where it lies and what it costs, in words
 */
struct zones_window {
	const char *zone;
	char *value;
	struct vcma_span span;
	uint64_t size;
	char *why;
};

/**
 * struct zones_served - what serves a class
 * @window: the first window to try, an index; -1: none
 * @all: the class reaches every byte of it
 * @bytes: how much of it is reached at least
 * @why: the reason, in words
 */
struct zones_served {
	int window;
	bool all;
	uint64_t bytes;
	char *why;
};

/**
 * struct zones_advice - windows for a guest
 * @machine: which guest
 * @windows: struct zones_window, the highest first
 * @served: struct zones_served, one for each class
 * @option: the -device option that serves all classes which can be served
 * @notes: more to know, sentences
 */
struct zones_advice {
	char *machine;
	GArray *windows;
	GArray *served;
	char *option;
	GPtrArray *notes;
};

struct zones_advice *zones_advise(const struct zones_platform *p, const GPtrArray *classes);
void zones_advice_free(struct zones_advice *a);

#endif /* VCMA_CTL_ZONES_H */
