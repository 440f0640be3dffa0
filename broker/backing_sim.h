/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backing_sim.h - where the granules of a pool without memory lie
 *
 * DOC: Theory of operation
 *
 * backing=sim has no memory at all, only page frame numbers, made up in a declared
 * pattern: extents of given lengths, over and over, with a hole of one chunk
 * after each.  So a pool of terabytes, as fragmented as one likes, can be
 * configured, started, shown and reported on any machine, and whatever decides
 * about memory can be driven at that size (tests/bench).  Nothing of it can be
 * leased by a VM: its LEASE is answered UNSUPPORTED [B-90], because the only thing
 * it could get is a descriptor with nothing behind it.
 */
#ifndef VCMA_BROKER_BACKING_SIM_H
#define VCMA_BROKER_BACKING_SIM_H

#include <stdint.h>

#define SIM_EXTENTS_MAX	16

/**
 * struct sim_pattern - where granules lie
 * @address: of the first one, bytes
 * @extent: lengths of extents, bytes, used in turn; multiples of the chunk
 * @nr: how many; 0: all is one extent
 */
struct sim_pattern {
	uint64_t address;
	uint64_t extent[SIM_EXTENTS_MAX];
	uint32_t nr;
};

/* The address of the byte at @offset of a pool with chunks of @chunk bytes. */
uint64_t sim_address(const struct sim_pattern *p, uint64_t chunk, uint64_t offset);

#endif /* VCMA_BROKER_BACKING_SIM_H */
