/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zone.h - what a device can reach, and where a buffer may lie (I5, I6)
 *
 * Pure: no I/O, no allocation, no library.  One source is built into vcmad,
 * the QEMU device, the kernel module and the tests.
 *
 * DOC: Theory of operation
 *
 * A device reaches an address if it is not above the device's highest one and
 * has none of the forbidden address bits set.  A buffer is good for the device
 * if every byte of it is reachable and it crosses no segment boundary.
 * Placement obeys these rules (I5); nothing is checked after the fact.  So
 * the central function is vcma_reach_place(): the lowest good address at or
 * after a given one.  It never tries address by address: a forbidden bit or a
 * crossed boundary says how far to go on.
 *
 * Low zones are scarce (I6): vcma_zone_order() sorts windows by where they
 * really are, the highest first, and leaves out those of which the device can
 * reach no byte.  A request that could also have been served higher up must
 * leave vcma_zone_reserve() bytes of a lower window free, for those who can go
 * nowhere else.
 */
#ifndef VCMA_ZONE_H
#define VCMA_ZONE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#define VCMA_NO_ADDR (~(uint64_t)0)

/**
 * struct vcma_reach - the addresses that a device can use for DMA
 * @highest: highest byte address, all-ones for no limit
 * @forbidden: address bits that must be 0 in every byte's address; 0 for none
 * @boundary: no buffer crosses a multiple of it; a power of two, 0 for none
 */
struct vcma_reach {
	uint64_t highest;
	uint64_t forbidden;
	uint64_t boundary;
};

/**
 * struct vcma_span - a run of addresses
 * @base: first byte
 * @size: bytes; base + size does not wrap
 */
struct vcma_span {
	uint64_t base;
	uint64_t size;
};

/* Reach from DMA masks: min_not_zero(@coherent_mask, @bus_limit); 0: no such limit. */
void vcma_reach_init(struct vcma_reach *ret, uint64_t coherent_mask,
		     uint64_t bus_limit, uint64_t boundary, uint64_t forbidden);

/* True if [addr, addr + size) is good for the device.  False if size is 0 or it wraps. */
bool vcma_reach_ok(const struct vcma_reach *r, uint64_t addr, uint64_t size);

/*
 * The lowest address >= @from, aligned to @align (a power of two), such that
 * [address, address + size) is good for the device and ends at or before
 * @from_end (exclusive).  VCMA_NO_ADDR if there is none.  Never wraps.
 */
uint64_t vcma_reach_place(const struct vcma_reach *r, uint64_t from,
			  uint64_t from_end, uint64_t size, uint64_t align);

/*
 * Order in which @nr windows serve a device (I6): writes the indices of those
 * that the device can reach at all to @ret_order, the highest base first, and
 * returns how many.  @nr is small (VIRTIO_CMA_WINDOWS_MAX).
 */
unsigned int vcma_zone_order(const struct vcma_span *win, unsigned int nr,
			     const struct vcma_reach *r, unsigned int *ret_order);

/*
 * What a request leaves free of window @order[@pos], in bytes: 1/@ratio of the
 * windows above it that would have done (@order[0] to @order[@pos - 1]), half of
 * the window at most.  0 for the first in the order, and if @ratio is 0.
 */
uint64_t vcma_zone_reserve(const struct vcma_span *win, const unsigned int *order,
			   unsigned int pos, unsigned int ratio);

/* How many bytes of @span the device can reach; one that wraps around has none. */
uint64_t vcma_reach_bytes(const struct vcma_reach *r, const struct vcma_span *span);

/*
 * The first run of reachable addresses at or after @from that ends before
 * @from_end (exclusive), as long as it goes.  False: there is none.
 */
bool vcma_reach_next(const struct vcma_reach *r, uint64_t from, uint64_t from_end,
		     struct vcma_span *ret);

#endif /* VCMA_ZONE_H */
