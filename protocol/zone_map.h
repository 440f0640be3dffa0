/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zone_map.h - how Linux divides a platform's memory into zones
 *
 * Pure, like zone.h: no I/O, no allocation, no library.
 *
 * DOC: Theory of operation
 *
 * Linux fills its zones from address zero upwards, in the order DMA, DMA32,
 * NORMAL, HIGHMEM; each has a highest address, and takes what memory there is
 * below it and above the zone before (rule 1).  What a platform says is
 *
 *   - which zones its kernel was built with,
 *   - up to where low memory goes, which the kernel has mapped all the time:
 *     what lies above is HIGHMEM, or is cut off if the kernel has no such zone
 *     (rule 3),
 *   - where the DMA zone ends.  Without a DMA zone all low memory is NORMAL.
 *     With one, *all* low memory is DMA by default, so that users of GFP_DMA
 *     get memory at all; a platform on which some device reaches less moves the
 *     boundary down (rule 2).  x86's 16 MiB for ISA devices are one size of this
 *     rule, the 1 GiB of a Raspberry Pi 4 another (rule 5).
 *
 * A page of a zone is taken for an ordinary request only if no zone above has
 * one (rule 4): vcma_zone_order() and vcma_zone_reserve() in zone.h do the same
 * for windows.  Forbidden address bits are nothing that Linux knows: a platform
 * with some has to end its DMA zone below the lowest of them (rule 6), which
 * vcma_zone_dma_end() works out; a window serves such devices from everywhere.
 */
#ifndef VCMA_ZONE_MAP_H
#define VCMA_ZONE_MAP_H

#include "zone.h"

enum vcma_zone_type {
	VCMA_ZONE_DMA,
	VCMA_ZONE_DMA32,
	VCMA_ZONE_NORMAL,
	VCMA_ZONE_HIGHMEM,
	VCMA_NR_ZONES
};

/**
 * struct vcma_zone - what addresses a consumer of the zone can be given
 * @exists: the kernel has such a zone; it may be empty all the same
 * @lowest: first address
 * @highest: last address; below @lowest if the zone is empty
 * @forbidden: address bits that are 0 in all of them that may be used; 0 for none
 * @bytes: memory in the zone
 */
struct vcma_zone {
	bool exists;
	uint64_t lowest;
	uint64_t highest;
	uint64_t forbidden;
	uint64_t bytes;
};

/**
 * struct vcma_zone_rules - what a platform's kernel says about its zones
 * @dma: it has a DMA zone
 * @dma32: it has a DMA32 zone
 * @highmem: it has a HIGHMEM zone
 * @dma_highest: last address of the DMA zone; all-ones: all low memory (rule 2)
 * @dma32_highest: last address of the DMA32 zone
 * @low_highest: last address of low memory; all-ones: all memory is low
 */
struct vcma_zone_rules {
	bool dma, dma32, highmem;
	uint64_t dma_highest;
	uint64_t dma32_highest;
	uint64_t low_highest;
};

/**
 * struct vcma_zone_map - the zones that come of it
 * @zone: by enum vcma_zone_type
 * @cut_off: bytes of memory that are in no zone, because the kernel has no HIGHMEM
 */
struct vcma_zone_map {
	struct vcma_zone zone[VCMA_NR_ZONES];
	uint64_t cut_off;
};

/* "DMA", "DMA32", "Normal", "HighMem", as /proc/zoneinfo has them; "?" for another number. */
const char *vcma_zone_name(enum vcma_zone_type type);

/*
 * Fill the zones of @rules with @nr runs of memory, in any order, not
 * overlapping.  0, or -1: a run wraps around, or two overlap; @ret is untouched.
 */
int vcma_zone_map_fill(struct vcma_zone_map *ret, const struct vcma_zone_rules *rules,
		       const struct vcma_span *mem, unsigned int nr);

/* The zone of an address, or VCMA_NR_ZONES if it is in none. */
enum vcma_zone_type vcma_zone_of(const struct vcma_zone_map *map, uint64_t addr);

/*
 * Where Linux has to end a DMA zone whose every page a device with @r reaches,
 * exclusive: it cannot leave out pages in between (rule 6).  0: not even address 0.
 */
uint64_t vcma_zone_dma_end(const struct vcma_reach *r);

/*
 * The zone that serves a device which Linux maps directly and which reaches up
 * to @highest: the highest one that lies within reach as a whole, else the
 * lowest one, if a part of it is within reach.  VCMA_NR_ZONES: no memory is that low.
 */
enum vcma_zone_type vcma_zone_for(const struct vcma_zone_map *map, uint64_t highest);

#endif /* VCMA_ZONE_MAP_H */
