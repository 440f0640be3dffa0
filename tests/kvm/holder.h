/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * holder.h - a VM process without QEMU: one connection to vcmad, one lease at a time
 */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdint.h>

struct vcma_client;

/**
 * struct holder - a connection and its lease
 * @client: the connection
 * @granule: bytes of a granule
 * @map: the lease, granule by granule, aligned to @granule; NULL: none
 * @size: its bytes
 * @lease: its id
 * @answered: the request that is waited for has its answer
 * @status: which is this (VCMA_ST_*)
 */
struct holder {
	struct vcma_client *client;
	uint64_t granule;
	uint8_t *map;
	uint64_t size;
	uint64_t lease;
	int answered;
	uint32_t status;
};

/* Connect to the VM's socket at @path.  0 or -errno. */
int holder_open(struct holder *h, const char *path);
/* Unmaps what is mapped.  Fine after a failed holder_open(), too. */
void holder_close(struct holder *h);

/*
 * Take a lease of @size bytes and map it.  0, or -errno: -EBUSY if there is one
 * already, -ENOSPC if vcmad refused, -ETIMEDOUT.
 */
int holder_take(struct holder *h, uint64_t size);
/* Give it back, and wait until vcmad says so; the mapping stays, as no honest process would have it. */
int holder_release(struct holder *h);
/* Unmap what holder_release() left. */
void holder_unmap(struct holder *h);

/* The page frame behind the first byte, by pagemap; 0: none, or we may not see it. */
uint64_t holder_pfn(const struct holder *h);

#endif /* HOLDER_H */
