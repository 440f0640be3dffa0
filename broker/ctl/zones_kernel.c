// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_kernel.c - what an architecture says about Linux's zones
 *
 * The facts are those of Linux 6.1 with Debian 12's configurations, from its
 * source, and looked at in /proc/zoneinfo's companion, the lines "Zone ranges" of a
 * booted kernel (6.1.176, QEMU's q35 and virt):
 *
 *   amd64   ZONE_DMA, ZONE_DMA32; 16 MiB and 4 GiB (arch/x86/include/asm/dma.h).
 *   i386    (686-pae) ZONE_DMA, HIGHMEM64G, VMSPLIT_3G; 16 MiB.  Low memory ends
 *           at 0x36ffe000: *measured*, "low ram: 0 - 36ffe000".  It is what 1 GiB of
 *           kernel addresses leave (MAXMEM, asm/pgtable_32_areas.h) and depends
 *           on NR_CPUS.  Without HIGHMEM there is no area to map it in, which
 *           leaves 2 MiB more: *derived* from the same file.
 *   arm64   ZONE_DMA, ZONE_DMA32.  The DMA zone's bits are min(32, bits of the lowest
 *           limit of all dma-ranges) (arch/arm64/mm/init.c, zone_sizes_init()).  If
 *           memory begins above the zone, it ends at 4 GiB; if it begins above
 *           4 GiB, it is all memory (max_zone_phys()).
 *   arm     (armmp-lpae) ZONE_DMA, HIGHMEM, VMSPLIT_3G, LPAE.  Low memory is 768 MiB
 *           from the first byte of memory: VMALLOC_END 0xff800000, less vmalloc= of
 *           240 MiB, VMALLOC_OFFSET 8 MiB and PAGE_OFFSET 0xc0000000
 *           (adjust_lowmem_bounds()); *derived*, and measured on `virt`.  The DMA zone is
 *           all of it, unless the source has a dma_zone_size for the machine.
 *           None of those that Debian's kernel knows is smaller than 768 MiB.
 */
#include "zones.h"

#include <string.h>

#define X86_DMA_END	(16 * MIB)
#define I386_LOW_END	UINT64_C(0x36ffe000)
#define I386_NO_HIGHMEM	(2 * MIB)
#define ARM_LOW		(768 * MIB)

/* First and last byte of memory; false: there is none. */
static bool memory_bounds(const struct zones_platform *p, uint64_t *ret_first, uint64_t *ret_last)
{
	const struct zones_memory *m = (const struct zones_memory *)(void *)p->memory->data;
	guint n = p->memory->len;

	if (!n)
		return false;
	*ret_first = m[0].span.base;
	*ret_last = m[n - 1].span.base + (m[n - 1].span.size - 1);
	return true;
}

/* arm64's max_zone_phys(), as a last address. */
static uint64_t max_zone_phys(const struct zones_platform *p, unsigned int bits)
{
	uint64_t mask = bits >= 64 ? NO_LIMIT : (UINT64_C(1) << bits) - 1;
	uint64_t first, last;

	if (!memory_bounds(p, &first, &last))
		return mask;
	if (first > UINT32_MAX)
		mask = NO_LIMIT;
	else if (first > mask)
		mask = UINT32_MAX;
	return MIN(mask, last);
}

static unsigned int arm64_dma_bits(const struct zones_platform *p)
{
	return MIN(32, zones_bits(p->dma_limit));
}

static uint64_t dma_highest(const struct zones_platform *p, const struct zones_options *o)
{
	uint64_t first, last;

	if (o->dma_end)
		return o->dma_end - 1;
	switch (p->arch) {
	case ZONES_ARM64:
		return max_zone_phys(p, arm64_dma_bits(p));
	case ZONES_ARM:
		if (!p->dma_zone_size || !memory_bounds(p, &first, &last) ||
		    p->dma_zone_size - 1 > ~first)
			return NO_LIMIT;
		return first + (p->dma_zone_size - 1);
	default:
		return X86_DMA_END - 1;
	}
}

static uint64_t low_highest(const struct zones_platform *p, const struct zones_options *o,
			    bool highmem)
{
	uint64_t first, last;

	if (o->low_end)
		return o->low_end - 1;
	switch (p->arch) {
	case ZONES_I386:
		return I386_LOW_END - 1 + (highmem ? 0 : I386_NO_HIGHMEM);
	case ZONES_ARM:
		if (!memory_bounds(p, &first, &last) || first > ~ARM_LOW)
			return NO_LIMIT;
		return first + (ARM_LOW - 1);
	default:
		return NO_LIMIT;
	}
}

static void add_kernel(const struct zones_platform *p, const struct zones_options *o,
		       struct zones_kernel *k, bool dma, bool dma32, bool highmem)
{
	bool small = p->arch == ZONES_I386 || p->arch == ZONES_ARM;
	struct vcma_span *mem = g_new(struct vcma_span, p->memory->len);
	guint i;

	k->rules.dma = dma;
	k->rules.dma32 = dma32;
	k->rules.highmem = highmem;
	k->rules.dma_highest = dma_highest(p, o);
	k->rules.dma32_highest = p->arch == ZONES_ARM64 ? max_zone_phys(p, 32) : UINT32_MAX;
	k->rules.low_highest = low_highest(p, o, highmem);
	if (small)
		k->name = dma ? highmem ? "DMA, HighMem" : "DMA" : highmem ? "HighMem" : "neither";
	else
		k->name = dma ? "DMA, DMA32" : dma32 ? "DMA32" : "neither";
	k->debian = dma && (small ? highmem : dma32) && !o->dma_end && !o->low_end;
	k->wanted = dma == !o->no_dma && (small ? highmem == !o->no_highmem : dma32);

	for (i = 0; i < p->memory->len; i++)
		mem[i] = g_array_index(p->memory, struct zones_memory, i).span;
	/* Sorted and checked: it cannot fail. */
	if (vcma_zone_map_fill(&k->map, &k->rules, mem, p->memory->len))
		g_assert_not_reached();
	g_free(mem);
}

unsigned int zones_kernels(const struct zones_platform *p, const struct zones_options *o,
			   struct zones_kernel ret[ZONES_KERNELS_MAX])
{
	struct zones_kernel wanted;
	unsigned int n = 0, i;

	memset(ret, 0, sizeof(*ret) * ZONES_KERNELS_MAX);
	if (p->arch == ZONES_I386 || p->arch == ZONES_ARM) {
		add_kernel(p, o, &ret[n++], true, false, true);
		add_kernel(p, o, &ret[n++], false, false, true);
		add_kernel(p, o, &ret[n++], true, false, false);
		add_kernel(p, o, &ret[n++], false, false, false);
	} else {
		add_kernel(p, o, &ret[n++], true, true, false);
		add_kernel(p, o, &ret[n++], false, true, false);
		add_kernel(p, o, &ret[n++], false, false, false);
	}
	for (i = 1; i < n && !ret[0].wanted; i++) {
		if (!ret[i].wanted)
			continue;
		wanted = ret[i];
		memmove(&ret[1], &ret[0], i * sizeof(*ret));
		ret[0] = wanted;
	}
	return n;
}

static void say(GPtrArray *a, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(GPtrArray *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(a, g_strdup_vprintf(format, args));
	va_end(args);
}

static void arm64_reasons(const struct zones_platform *p, GPtrArray *a)
{
	unsigned int bits = arm64_dma_bits(p);
	uint64_t first, last;

	if (p->dma_limit == NO_LIMIT)
		say(a, p->tree ? "No bus has dma-ranges: the DMA zone ends at 4 GiB." :
		    "A listing says nothing of buses: the DMA zone is taken to end at 4 GiB.");
	else
		say(a, "The lowest limit of all dma-ranges is 0x%" G_GINT64_MODIFIER "x, of %s: %u bits; the DMA zone gets min(32, %u) = %u bits.",
		    p->dma_limit, p->dma_limit_bus, zones_bits(p->dma_limit), zones_bits(p->dma_limit),
		    bits);
	if (memory_bounds(p, &first, &last) && zones_bits(first) > bits)
		say(a, first > UINT32_MAX ?
		    "Memory begins above 4 GiB: the DMA zone is all memory." :
		    "Memory begins above that: the DMA zone ends at 4 GiB.");
}

static void arm_reasons(const struct zones_platform *p, const struct zones_options *o, GPtrArray *a)
{
	if (!o->low_end)
		say(a, "Low memory is 768 MiB from the first byte of memory on (VMSPLIT_3G, vmalloc=240M).");
	if (p->dma_zone_size)
		say(a, "Linux has a DMA zone of %u MiB in its source for this machine; it ends where low memory does at the latest.",
		    (unsigned int)(p->dma_zone_size / MIB));
	else
		say(a, "All low memory is DMA: Linux has no other size of the DMA zone for this machine (dma_zone_size); dma-ranges do not change it.");
}

GPtrArray *zones_reasons(const struct zones_platform *p, const struct zones_options *o)
{
	GPtrArray *a = g_ptr_array_new_with_free_func(g_free);

	if (o->dma_end)
		say(a, "The DMA zone ends where --dma-end says.");
	if (o->low_end)
		say(a, "Low memory ends where --low-end says.");
	switch (p->arch) {
	case ZONES_ARM64:
		if (!o->dma_end)
			arm64_reasons(p, a);
		break;
	case ZONES_ARM:
		arm_reasons(p, o, a);
		break;
	case ZONES_I386:
		if (!o->low_end)
			say(a, "Low memory ends at 0x%" G_GINT64_MODIFIER "x, as measured with Debian's 686-pae kernel; without HighMem 2 MiB later.",
			    I386_LOW_END);
		break;
	default:
		break;
	}
	return a;
}
