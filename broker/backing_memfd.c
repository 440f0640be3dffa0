// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backing_memfd.c - granules of ordinary memory, for machines without huge
 * pages or without root
 *
 * The same files, seals and revocation as with huge pages, but the
 * PFNs are made up: nothing here is contiguous, and every report says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backing.h"
#include "util.h"
#include "vcma_broker.h"

static int memfd_open(struct backing *b, char **ret_error)
{
	(void)b;
	(void)ret_error;
	return 0;
}

static void memfd_close(struct backing *b)
{
	(void)b;
}

static int memfd_take(struct backing *b, uint64_t want, struct granule_file *ret)
{
	struct granule_file f = { .fd = -1, .pfn = want };
	int r;

	(void)b;
	f.fd = memfd_create("vcma", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (f.fd < 0)
		return -errno;
	if (ftruncate(f.fd, BACKING_GRANULE) < 0 ||
	    fcntl(f.fd, F_ADD_SEALS, F_SEAL_GROW) < 0 ||
	    fallocate(f.fd, 0, 0, BACKING_GRANULE) < 0) {
		r = errno == ENOMEM ? -ENOSPC : -errno;
		granule_file_close(&f);
		return r;
	}
	*ret = f;
	return 0;
}

/* The made-up PFN is right if the memory is all there. */
static int memfd_inspect(struct backing *b, const struct granule_file *f, uint64_t *ret_pfn)
{
	struct stat st;

	(void)b;
	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)BACKING_GRANULE ||
	    (uint64_t)st.st_blocks * 512 < BACKING_GRANULE)
		return -ENXIO;
	*ret_pfn = f->pfn;
#ifdef VCMA_TEST_FAULTS
	if (test_fault == TEST_FAULT_MOVED)
		*ret_pfn += BACKING_GRANULE >> BACKING_PFN_SHIFT;
#endif
	return 0;
}

static int memfd_revoke(struct backing *b, struct granule_file *f)
{
	(void)b;
#ifdef VCMA_TEST_FAULTS
	if (test_fault == TEST_FAULT_PUNCH) {
		if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      BACKING_GRANULE) < 0 ||
		    fallocate(f->fd, 0, 0, BACKING_GRANULE) < 0)
			return -errno;
		return 0;
	}
#endif
	return granule_file_empty(f);
}

const struct backing_ops backing_memfd = {
	.name = "memfd",
	.id = VCMA_BACKING_MEMFD,
	.contiguous = false,
	.revocable = true,
	.isolating = true,
	.open = memfd_open,
	.close = memfd_close,
	.take = memfd_take,
	.inspect = memfd_inspect,
	.revoke = memfd_revoke,
};
