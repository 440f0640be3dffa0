// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_window.c - the windows that a guest can have, by its kind of machine
 */
#include "zones_advice.h"

#include <string.h>

#include "format.h"

/* QEMU 7.2's hw/arm/virt.c: base_memmap, extended_memmap. */
#define VIRT_HOLE	UINT64_C(0x0f000000)
#define VIRT_HOLE_SIZE	(16 * MIB)
#define VIRT_BAR32	UINT64_C(0x10000000)	/* to 0x3eff0000: room for two of 256 MiB */
#define VIRT_BAR32_SIZE	(256 * MIB)
#define VIRT_RAM	(1 * GIB)
#define VIRT_RAM_USED	(256 * MIB)	/* where QEMU puts kernel, initrd and tree */
#define VIRT_BAR64	UINT64_C(0x8000000000)
#define VIRT_BAR64_SIZE	(512 * GIB)

#define NORMAL_SIZE	(4 * GIB)
#define DMA32_SIZE	(256 * MIB)
#define DMA32_SMALLEST	(16 * MIB)
#define DMA_BASE	(12 * MIB)
#define DMA_SIZE	(4 * MIB)

static void add_window(struct zones_advice *a, const char *zone, uint64_t size, bool fixed,
		       uint64_t base, uint64_t span, char *why)
{
	struct zones_window w = { .zone = zone, .span = { base, span }, .size = size, .why = why };
	char *text = format_size(size);

	if (!fixed)
		w.value = g_strdup(text);
	else if (base < 16 * MIB && base % MIB == 0)
		w.value = g_strdup_printf("%s@%uM", text, (unsigned int)(base / MIB));
	else
		w.value = g_strdup_printf("%s@" ADDRESS, text, base);
	g_free(text);
	g_array_append_val(a->windows, w);
}

/* --- where they can lie --- */

static uint64_t memory_below(const struct zones_platform *p, uint64_t end)
{
	const struct vcma_reach r = { end - 1, 0, 0 };
	uint64_t bytes = 0;
	guint i;

	for (i = 0; i < p->memory->len; i++)
		bytes += vcma_reach_bytes(&r, &g_array_index(p->memory, struct zones_memory, i).span);
	return bytes;
}

static bool is_memory(const struct zones_platform *p, uint64_t base, uint64_t size)
{
	guint i;

	for (i = 0; i < p->memory->len; i++) {
		const struct vcma_span *m = &g_array_index(p->memory, struct zones_memory, i).span;

		if (base >= m->base && base - m->base < m->size && size <= m->size - (base - m->base))
			return true;
	}
	return false;
}

/*
 * The highest naturally aligned place in memory below @end; 0: there is none.  The top
 * of a PC's memory below 4 GiB, where firmware and initrd lie, is never a whole piece.
 */
static uint64_t place_dma32(const struct zones_platform *p, uint64_t size, uint64_t end)
{
	uint64_t base;

	if (end < size)
		return 0;
	for (base = (end - size) & ~(size - 1); base >= MAX(size, 16 * MIB); base -= size) {
		if (is_memory(p, base, size))
			return base;
	}
	return 0;
}

/* Below 4 GiB; lower if a device that was asked for reaches less, but more than a DMA window. */
static uint64_t dma32_end(const GPtrArray *classes)
{
	uint64_t end = 4 * GIB;
	guint i;

	for (i = 0; i < classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(classes, i);

		if (c->asked && c->highest < end - 1 && c->highest >= DMA32_SMALLEST * 4 - 1)
			end = c->highest + 1;
	}
	return end;
}

static void pc_dma32(struct zones_advice *a, const struct zones_platform *p,
		     const GPtrArray *classes)
{
	uint64_t end = dma32_end(classes), size = DMA32_SIZE;
	uint64_t below = memory_below(p, end), base = 0;

	/* It is taken from the guest's memory: a quarter of what is there at most. */
	for (; size >= DMA32_SMALLEST && !base; size /= 2) {
		if (size <= below / 4)
			base = place_dma32(p, size, end);
	}
	if (base)
		add_window(a, "dma32", size * 2, true, base, size * 2,
			   g_strdup("in reserved memory below 4 GiB, taken from the guest's"));
	else
		add_window(a, "dma32", DMA32_SIZE, false, 3 * GIB, 1 * GIB,
			   g_strdup("a 32-bit BAR: memory below 4 GiB is too small for a fixed window"));
}

static void pc_windows(struct zones_advice *a, const struct zones_platform *p,
		       const GPtrArray *classes)
{
	guint n = p->memory->len;
	uint64_t end = 4 * GIB;

	if (n) {
		const struct vcma_span *m =
			&g_array_index(p->memory, struct zones_memory, n - 1).span;

		end = MAX(end, m->base + (m->size - 1));
	}
	end = (end + NORMAL_SIZE - 1) & ~(NORMAL_SIZE - 1);
	if (p->arch == ZONES_AMD64 && end && end <= NO_LIMIT - NORMAL_SIZE)
		add_window(a, "normal", NORMAL_SIZE, false, end, NORMAL_SIZE,
			   g_strdup("a 64-bit BAR; SeaBIOS puts it right above memory, OVMF may go higher"));
	pc_dma32(a, p, classes);
	if (is_memory(p, DMA_BASE, DMA_SIZE))
		add_window(a, "dma", DMA_SIZE, true, DMA_BASE, DMA_SIZE,
			   g_strdup("in reserved memory below 16 MiB, taken from the guest's"));
}

static void virt_windows(struct zones_advice *a, const struct zones_platform *p)
{
	if (p->arch == ZONES_ARM64)
		add_window(a, "normal", NORMAL_SIZE, false, VIRT_BAR64, VIRT_BAR64_SIZE,
			   g_strdup("a 64-bit BAR; virt has them from 512 GiB on: 40 bits"));
	add_window(a, "dma32", VIRT_BAR32_SIZE, false, VIRT_BAR32, 2 * VIRT_BAR32_SIZE,
		   g_strdup("a 32-bit BAR; virt has them below 1 GiB: 30 bits"));
	add_window(a, "dma", VIRT_HOLE_SIZE, true, VIRT_HOLE, VIRT_HOLE_SIZE,
		   g_strdup("a hole of virt's memory map: 28 bits"));
}

/* Above where kernel and initrd lie. */
static bool virt_fixed(struct zones_advice *a, const struct zones_platform *p,
		       const struct zones_class *c)
{
	uint64_t size, base;

	for (size = DMA32_SIZE; size >= DMA32_SMALLEST; size /= 2) {
		for (base = VIRT_RAM + VIRT_RAM_USED; base < 4 * GIB; base += size) {
			const struct vcma_span s = { base, size };

			if (zones_class_bus_bytes(c, &s) != size ||
			    (p->qemu_virt && !is_memory(p, base, size)))
				continue;
			add_window(a, "dma32", size, true, base, size,
				   g_strdup_printf("in reserved memory, taken from the guest's, of which there has to be %uM at least (-m)",
						   (unsigned int)((base + size - VIRT_RAM) / MIB)));
			return true;
		}
	}
	return false;
}

void zones_windows(struct zones_advice *a, const struct zones_platform *p,
		   const GPtrArray *classes)
{
	if (zones_is_arm(p))
		virt_windows(a, p);
	else
		pc_windows(a, p, classes);
}

bool zones_window_for(struct zones_advice *a, const struct zones_platform *p,
		      const struct zones_class *c)
{
	return zones_is_arm(p) && !c->mask && virt_fixed(a, p, c);
}

char *zones_why_none(const struct zones_platform *p, const struct zones_class *c)
{
	const char *machine = zones_is_arm(p) ? "virt" : "a PC";

	if (!c->map->identity && !c->map->pieces->len)
		return g_strdup("refused: its bus carries no address");
	if (zones_is_arm(p) && c->highest < VIRT_HOLE)
		return g_strdup_printf("refused: virt has nothing free below " ADDRESS ", %u bits are too few",
				       VIRT_HOLE, zones_bits(c->highest));
	if (!c->map->identity)
		return g_strdup_printf("refused: its bus carries " ADDRESS " to " ADDRESS ", and no window of %s is sure to lie there",
				       g_array_index(c->map->pieces, struct zones_piece, 0).bus,
				       c->highest, machine);
	return g_strdup("refused: there is no memory for a window that low");
}
