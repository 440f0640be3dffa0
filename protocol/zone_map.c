// SPDX-License-Identifier: BSD-3-Clause
/*
 * zone_map.c - how Linux divides a platform's memory into zones
 */
#include "zone_map.h"

static const char *const zone_names[VCMA_NR_ZONES] = {
	[VCMA_ZONE_DMA] = "DMA",
	[VCMA_ZONE_DMA32] = "DMA32",
	[VCMA_ZONE_NORMAL] = "Normal",
	[VCMA_ZONE_HIGHMEM] = "HighMem",
};

/**
 * vcma_zone_name() - what the kernel calls a zone
 * @type: the zone
 *
 * Return: its name in /proc/zoneinfo, or "?".
 */
const char *vcma_zone_name(enum vcma_zone_type type)
{
	return (unsigned int)type < VCMA_NR_ZONES ? zone_names[type] : "?";
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Bytes that @m has in [@lowest, @highest]. */
static uint64_t overlap(const struct vcma_span *m, uint64_t lowest, uint64_t highest)
{
	uint64_t first, last;

	if (!m->size || lowest > highest)
		return 0;
	first = m->base > lowest ? m->base : lowest;
	last = lower(m->base + (m->size - 1), highest);
	return first <= last ? last - first + 1 : 0;
}

static bool memory_ok(const struct vcma_span *mem, unsigned int nr)
{
	unsigned int i, k;

	for (i = 0; i < nr; i++) {
		uint64_t last = mem[i].base + (mem[i].size - 1);

		if (!mem[i].size)
			continue;
		if (last < mem[i].base)
			return false;
		for (k = 0; k < i; k++)
			if (overlap(&mem[k], mem[i].base, last))
				return false;
	}
	return true;
}

/* The last address of a zone by rules 1 to 3; false if the kernel has no such zone. */
static bool zone_end(const struct vcma_zone_rules *rules, enum vcma_zone_type type,
		     uint64_t *ret_highest)
{
	switch (type) {
	case VCMA_ZONE_DMA:
		*ret_highest = lower(rules->dma_highest, rules->low_highest);
		return rules->dma;
	case VCMA_ZONE_DMA32:
		*ret_highest = lower(rules->dma32_highest, rules->low_highest);
		return rules->dma32;
	case VCMA_ZONE_NORMAL:
		*ret_highest = rules->low_highest;
		return true;
	default:
		*ret_highest = ~(uint64_t)0;
		return rules->highmem;
	}
}

/**
 * vcma_zone_map_fill() - divide memory into zones
 * @ret: written in full on success
 * @rules: what the platform's kernel says
 * @mem: runs of memory, in any order
 * @nr: how many
 *
 * Return: 0, or -1 if a run of @mem wraps around or two overlap.
 */
int vcma_zone_map_fill(struct vcma_zone_map *ret, const struct vcma_zone_rules *rules,
		       const struct vcma_span *mem, unsigned int nr)
{
	uint64_t begin = 0, end;
	bool full = false;		/* the zones before go up to the last address */
	unsigned int type, i;

	if (!memory_ok(mem, nr))
		return -1;
	for (type = 0; type < VCMA_NR_ZONES; type++) {
		struct vcma_zone *z = &ret->zone[type];

		z->exists = zone_end(rules, (enum vcma_zone_type)type, &end);
		z->forbidden = 0;
		z->bytes = 0;
		if (!z->exists || full || end < begin) {
			z->lowest = ~(uint64_t)0;
			z->highest = 0;
			continue;
		}
		z->lowest = begin;
		z->highest = end;
		for (i = 0; i < nr; i++)
			z->bytes += overlap(&mem[i], begin, end);
		full = end == ~(uint64_t)0;
		begin = end + 1;
	}
	ret->cut_off = 0;
	for (i = 0; !full && i < nr; i++)
		ret->cut_off += overlap(&mem[i], begin, ~(uint64_t)0);
	return 0;
}

/**
 * vcma_zone_of() - the zone of an address
 * @map: the zones
 * @addr: the address
 *
 * Return: its zone, whether there is memory or not; VCMA_NR_ZONES: none.
 */
enum vcma_zone_type vcma_zone_of(const struct vcma_zone_map *map, uint64_t addr)
{
	unsigned int type;

	for (type = 0; type < VCMA_NR_ZONES; type++) {
		const struct vcma_zone *z = &map->zone[type];

		if (z->exists && z->lowest <= addr && addr <= z->highest)
			break;
	}
	return (enum vcma_zone_type)type;
}

/**
 * vcma_zone_dma_end() - where a DMA zone for a device has to end (rule 6)
 * @r: the device
 *
 * Return: one past the last address from 0 on up to which the device reaches
 * all; 0 if it does not even reach address 0, and all-ones if it reaches all.
 */
uint64_t vcma_zone_dma_end(const struct vcma_reach *r)
{
	struct vcma_span run;

	if (!vcma_reach_next(r, 0, ~(uint64_t)0, &run) || run.base)
		return 0;
	return run.size;
}

/**
 * vcma_zone_for() - the zone that serves a device which Linux maps directly
 * @map: the zones
 * @highest: the last address that the device reaches
 *
 * Linux knows masks only, and its direct mapping has no use for high memory.
 *
 * Return: the highest zone that lies within reach as a whole and has memory; if
 * there is none, the lowest zone with memory, if a part of it is within reach
 * (what is taken from there may be out of reach, and then the request fails);
 * VCMA_NR_ZONES if no zone has memory that low.
 */
enum vcma_zone_type vcma_zone_for(const struct vcma_zone_map *map, uint64_t highest)
{
	unsigned int type;

	for (type = VCMA_ZONE_HIGHMEM; type-- > 0;) {
		const struct vcma_zone *z = &map->zone[type];

		if (z->bytes && z->highest <= highest)
			return (enum vcma_zone_type)type;
	}
	for (type = 0; type < VCMA_ZONE_HIGHMEM; type++) {
		const struct vcma_zone *z = &map->zone[type];

		if (z->bytes && z->lowest <= highest)
			return (enum vcma_zone_type)type;
	}
	return VCMA_NR_ZONES;
}
