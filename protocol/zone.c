// SPDX-License-Identifier: BSD-3-Clause
/*
 * zone.c - where a buffer for a device may lie
 *
 * DOC: Theory of operation
 *
 * Let b be the lowest forbidden address bit.  A buffer that begins where bit b
 * is 0 and crosses a multiple of 2^b would have bytes where bit b is 1.  So
 * forbidden bits say two things: the first byte has none of them set, and the
 * buffer crosses no multiple of 2^b.  The second is a segment boundary like
 * the device's own, so both become one `unit`, and a good buffer is one that
 *
 *   - has no forbidden bit in its first address,
 *   - crosses no multiple of the unit, and
 *   - ends at or below the highest address.
 *
 * The search goes upwards and skips only addresses that are certainly bad: past
 * a forbidden bit (to where the carry clears it), to the next unit, to the next
 * aligned address.  Each skip leaves more trailing zero bits than before, so
 * there are at most about as many as an address has bits.
 *
 * This file is built into the kernel module, too: no library, no division.
 */
#include "zone.h"

static uint64_t lowest_bit(uint64_t x)
{
	return x & (~x + 1);
}

/* All ones from bit 0 up to and including the highest bit of @x. */
static uint64_t fill_below(uint64_t x)
{
	x |= x >> 1;
	x |= x >> 2;
	x |= x >> 4;
	x |= x >> 8;
	x |= x >> 16;
	x |= x >> 32;
	return x;
}

/*
 * What no buffer may cross a multiple of; 0: nothing.  A boundary that is not a
 * power of two counts as its lowest bit, which is stricter, never laxer.
 */
static uint64_t reach_unit(const struct vcma_reach *r)
{
	uint64_t bit = lowest_bit(r->forbidden);
	uint64_t boundary = lowest_bit(r->boundary);

	if (!bit || (boundary && boundary < bit))
		return boundary;
	return bit;
}

/* @size is not 0 and not above @unit, so the sum is at most 2^64 - 1. */
static bool crosses(uint64_t addr, uint64_t size, uint64_t unit)
{
	return unit && (addr & (unit - 1)) + size > unit;
}

/* The next multiple of mask + 1 at or after @addr; false if there is none. */
static bool align_up(uint64_t *addr, uint64_t mask)
{
	uint64_t up = (*addr + mask) & ~mask;

	if (up < *addr)
		return false;
	*addr = up;
	return true;
}

/* As vcma_reach_place(), with @last inclusive. */
static bool reach_find(const struct vcma_reach *r, uint64_t from, uint64_t last,
		       uint64_t size, uint64_t align, uint64_t *ret_addr)
{
	const uint64_t unit = reach_unit(r);
	uint64_t addr = from;

	if (!align)
		align = 1;
	if (!size || (align & (align - 1)) || (unit && size > unit))
		return false;
	if (last > r->highest)
		last = r->highest;

	for (;;) {
		uint64_t skip;

		if (!align_up(&addr, align - 1))
			return false;
		if (addr > last || size - 1 > last - addr)
			return false;

		if (addr & r->forbidden)
			skip = fill_below(addr & r->forbidden);
		else if (crosses(addr, size, unit))
			skip = unit - 1;
		else
			break;

		addr = (addr | skip) + 1;
		if (!addr)
			return false;
	}

	*ret_addr = addr;
	return true;
}

/**
 * vcma_reach_init() - what a device can reach, from its DMA masks
 * @ret: written in full
 * @coherent_mask: the device's mask for coherent memory; 0: none set
 * @bus_limit: what the bus above it can carry; 0: no limit
 * @boundary: segment boundary, a power of two; 0: none
 * @forbidden: address bits that must be 0; 0: none
 */
void vcma_reach_init(struct vcma_reach *ret, uint64_t coherent_mask,
		     uint64_t bus_limit, uint64_t boundary, uint64_t forbidden)
{
	uint64_t highest = coherent_mask;

	if (!highest || (bus_limit && bus_limit < highest))
		highest = bus_limit;

	ret->highest = highest ? highest : ~(uint64_t)0;
	ret->forbidden = forbidden;
	ret->boundary = boundary;
}

/**
 * vcma_reach_ok() - is a buffer good for a device (I5)?
 * @r: the device
 * @addr: first byte
 * @size: bytes
 *
 * Return: true if every byte of [@addr, @addr + @size) is reachable and it
 * crosses no boundary.  False if @size is 0 or the buffer wraps around.
 */
bool vcma_reach_ok(const struct vcma_reach *r, uint64_t addr, uint64_t size)
{
	const uint64_t unit = reach_unit(r);

	if (!size || size - 1 > ~addr)
		return false;
	if (addr + (size - 1) > r->highest)
		return false;
	if (addr & r->forbidden)
		return false;
	return !unit || (size <= unit && !crosses(addr, size, unit));
}

/**
 * vcma_reach_place() - the lowest good place for a buffer (I5)
 * @r: the device
 * @from: lowest address allowed
 * @from_end: end of what is allowed, exclusive
 * @size: of the buffer in bytes
 * @align: of its address: a power of two; 0 counts as 1
 *
 * Return: the address, or VCMA_NO_ADDR if there is none, or if @size is 0 or
 * @align is no power of two.
 */
uint64_t vcma_reach_place(const struct vcma_reach *r, uint64_t from,
			  uint64_t from_end, uint64_t size, uint64_t align)
{
	uint64_t addr;

	if (from >= from_end || !reach_find(r, from, from_end - 1, size, align, &addr))
		return VCMA_NO_ADDR;
	return addr;
}

/* Can the device reach any byte of @win?  A window that is empty or wraps has none. */
static bool reach_touches(const struct vcma_reach *r, const struct vcma_span *win)
{
	uint64_t addr;

	if (!win->size || win->size - 1 > ~win->base)
		return false;
	return reach_find(r, win->base, win->base + (win->size - 1), 1, 1, &addr);
}

/**
 * vcma_zone_order() - in which order windows serve a device (I6)
 * @win: the windows, where they really are
 * @nr: how many
 * @r: the device
 * @ret_order: room for @nr indices
 *
 * Windows with the same base keep the order that they have in @win.
 *
 * Return: how many indices were written: those of the windows of which the
 * device can reach at least one byte, the highest base first.
 */
unsigned int vcma_zone_order(const struct vcma_span *win, unsigned int nr,
			     const struct vcma_reach *r, unsigned int *ret_order)
{
	unsigned int i, j, n = 0;

	for (i = 0; i < nr; i++) {
		if (!reach_touches(r, &win[i]))
			continue;
		for (j = n; j > 0 && win[ret_order[j - 1]].base < win[i].base; j--)
			ret_order[j] = ret_order[j - 1];
		ret_order[j] = i;
		n++;
	}
	return n;
}

/**
 * vcma_zone_reserve() - what a request leaves free of a window (I6)
 * @win: the windows, as for vcma_zone_order()
 * @order: what that returned for the request
 * @pos: which one of @order
 * @ratio: one part in so many of the windows above; 0: no reserve
 *
 * Who can be served higher up may take from a lower window, but not the last of
 * it: what lowmem_reserve_ratio is for Linux's zones.
 *
 * Return: bytes, a multiple of 4096, half of the window at most.
 */
uint64_t vcma_zone_reserve(const struct vcma_span *win, const unsigned int *order,
			   unsigned int pos, unsigned int ratio)
{
	uint64_t half = win[order[pos]].size >> 1, above = 0, part = 0, rest = 0;
	unsigned int i, bit;

	if (!ratio)
		return 0;
	for (i = 0; i < pos; i++) {
		uint64_t size = win[order[i]].size;

		above = size > ~above ? ~(uint64_t)0 : above + size;
	}
	/* part = above / ratio; a 32-bit kernel has no operator for that. */
	for (bit = 64; bit-- > 0;) {
		rest = rest << 1 | (above >> bit & 1);
		if (rest >= ratio) {
			rest -= ratio;
			part |= (uint64_t)1 << bit;
		}
	}
	return (part < half ? part : half) & ~(uint64_t)4095;
}

/*
 * How many numbers below @end have no bit of @forbidden.  Bit by bit from the
 * lowest: @n counts for the bits seen so far, @any is how many values they can
 * have at all.  Where @end has a 1, a number with a 0 there may go on with any.
 */
static uint64_t count_below(uint64_t end, uint64_t forbidden)
{
	uint64_t n = 0, any = 1, bit;

	for (bit = 1; bit; bit <<= 1) {
		if (end & bit)
			n = any + (forbidden & bit ? 0 : n);
		if (!(forbidden & bit))
			any <<= 1;
	}
	return n;
}

/**
 * vcma_reach_bytes() - how much of a span can a device reach?
 * @r: the device
 * @span: addresses
 *
 * Return: bytes; 0 if @span is empty or wraps around.
 */
uint64_t vcma_reach_bytes(const struct vcma_reach *r, const struct vcma_span *span)
{
	uint64_t last = span->base + (span->size - 1);

	if (!span->size || last < span->base || span->base > r->highest)
		return 0;
	if (last > r->highest)
		last = r->highest;
	return count_below(last, r->forbidden) + !(last & r->forbidden) -
	       count_below(span->base, r->forbidden);
}

/**
 * vcma_reach_next() - the next run of addresses that a device can reach
 * @r: the device
 * @from: where to begin
 * @from_end: end of what is looked at, exclusive
 * @ret: the run; untouched if there is none
 *
 * Segment boundaries do not end a run: they say where a buffer may lie, not
 * which bytes are reachable.
 *
 * Return: true if there is one.
 */
bool vcma_reach_next(const struct vcma_reach *r, uint64_t from, uint64_t from_end,
		     struct vcma_span *ret)
{
	uint64_t addr = vcma_reach_place(r, from, from_end, 1, 1), last = from_end - 1;

	if (addr == VCMA_NO_ADDR)
		return false;
	if (last > r->highest)
		last = r->highest;
	/* Below the lowest forbidden bit all is alike; above, that bit is set. */
	if (r->forbidden && last > (addr | (lowest_bit(r->forbidden) - 1)))
		last = addr | (lowest_bit(r->forbidden) - 1);
	ret->base = addr;
	ret->size = last - addr + 1;
	return true;
}
