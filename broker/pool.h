/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - the granules of a pool, with the files that the core knows not of
 */
#ifndef VCMA_BROKER_POOL_H
#define VCMA_BROKER_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "backing.h"
#include "vcma_broker.h"

struct config_pool;
struct core;
struct core_granule;
struct core_pool;
struct scrubber;

/**
 * struct granule - what the daemon knows of a granule; the core's tag of it
 * @file: its page's file of this tenancy; fd -1 while the page is missing.
 *	Owned by the scrubber while the core says SCRUBBING, by the main loop
 *	at all other times; handed over with the job and with its result
 * @pfn: its page; never changes
 * @pool: it belongs to
 * @core: the core's granule; set when the core first hands it over
 * @found: @file is its page, found while it waited for the scrubber; goes with @file
 * @misses: attempts in a row that did not get its page back; goes with @file
 */
struct granule {
	struct granule_file file;
	uint64_t pfn;
	struct pool *pool;
	struct core_granule *core;
	bool found;
	unsigned int misses;
};

/**
 * struct pool - see above
 * @backing: shared by all pools of that kind
 * @granules: in the order of their PFNs
 * @fd_end: descriptors from this number on are not for granules, not even for those
 *	that the scrubber holds for a moment: they are for the VMs' connections (I9)
 */
struct pool {
	char name[VCMA_NAME_MAX];
	struct backing *backing;
	uint64_t chunk_size;
	struct granule *granules;
	uint32_t nr;
	int fd_end;
	struct core_pool *core;
	struct scrubber *scrubber;
};

int pool_build(const struct config_pool *cfg, struct backing *backing, uint64_t min_run,
	       uint64_t first_pfn, int fd_end, struct pool **ret_pool, char **ret_error);
int pool_add_to_core(struct pool *pool, struct core *core, char **ret_error);
void pool_free(struct pool *pool);
struct granule *pool_find(const struct pool *pool, uint64_t pfn);

/* What leases of this pool have: VCMA_POOL_*. */
uint32_t pool_promises(const struct pool *pool);

/* Consecutive PFNs: how many runs, and the longest one in bytes. */
void pool_extents(const struct pool *pool, uint32_t *ret_extents, uint64_t *ret_longest);

#endif /* VCMA_BROKER_POOL_H */
