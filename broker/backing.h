/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backing.h - where granules come from
 *
 * DOC: Theory of operation
 *
 * A granule is a page (known by its PFN) in a file of its own for each
 * tenancy (I3, I4).  A backing makes such files, says which page is in one, and
 * takes the page away from everybody who may hold a descriptor or a mapping:
 * revocation.  An inode is granted once; after revocation its file is empty for
 * ever and the page is sought in a new file.
 *
 * Taking and revoking touch no memory: page contents are zeroed by the
 * kernel when it gives the page to a new file.
 */
#ifndef VCMA_BROKER_BACKING_H
#define VCMA_BROKER_BACKING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define BACKING_GRANULE		(UINT64_C(2) << 20)
#define BACKING_PFN_SHIFT	12	/* PFNs count 4096 bytes on every host */

struct backing;

/* One tenancy: an open file with exactly one granule in it, or fd -1: none. */
struct granule_file {
	int fd;
	uint64_t pfn;
};

struct backing_ops {
	const char *name;	/* as in the configuration */
	uint32_t id;		/* VCMA_BACKING_* */
	bool contiguous;	/* PFNs are real: consecutive ones are neighbours */
	bool revocable;		/* revoke() works while a process holds the file */
	bool isolating;		/* a file gives no way to any other granule */
	bool simulated;		/* there is no memory, and no file: see backing_sim.h */

	/* Get ready.  0, or -errno with the cause and the cure in *ret_error (g_free). */
	int (*open)(struct backing *b, char **ret_error);
	void (*close)(struct backing *b);

	/*
	 * A new file with a zeroed page in it, sealed against growing.  @want is
	 * the page that the caller hopes for; ret->pfn says which one came.
	 * -ENOSPC: no page is free.  -EMFILE, -ENOMEM, -ENXIO (PFN unreadable).
	 */
	int (*take)(struct backing *b, uint64_t want, struct granule_file *ret);

	/*
	 * Which page is in @f now?  Read at hand-out (I2), never after: the
	 * daemon does not map what a peer holds (I9).
	 */
	int (*inspect)(struct backing *b, const struct granule_file *f, uint64_t *ret_pfn);

	/*
	 * Nobody can reach the page through this file any more, and @f is closed.
	 * -EPERM: a holder added seals that forbid it; @f is closed all the same, so
	 * that the page is free when the holder is gone.
	 */
	int (*revoke)(struct backing *b, struct granule_file *f);
};

/**
 * struct backing - one source of pages
 * @ops: what it is
 * @section: held over "free a page and allocate it again" (I4), by all
 *	scrubbers that share this source; nothing else may be locked inside
 * @pagemap_fd: /proc/self/pagemap, opened once, or -1
 */
struct backing {
	const struct backing_ops *ops;
	GMutex section;
	int pagemap_fd;
};

extern const struct backing_ops backing_hugetlb;
extern const struct backing_ops backing_memfd;
extern const struct backing_ops backing_sim;

int backing_open(const struct backing_ops *ops, struct backing **ret_backing, char **ret_error);
void backing_close(struct backing *b);
const struct backing_ops *backing_find(const char *name);

/*
 * Seal the file against new writable mappings, truncate it to nothing, close
 * it.  0, or -errno if a holder has forbidden it; it is closed all the same.
 */
int granule_file_empty(struct granule_file *f);

/* Close the file: the page goes back to where it came from. */
void granule_file_close(struct granule_file *f);

#endif /* VCMA_BROKER_BACKING_H */
