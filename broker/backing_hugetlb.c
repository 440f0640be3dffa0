// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backing_hugetlb.c - granules that are huge pages of 2 MiB
 *
 * DOC: Theory of operation
 *
 * One memfd holds one huge page for one tenancy.  It cannot grow (F_SEAL_GROW)
 * but can shrink, and seals can still be added: that is what revocation needs.
 *
 * Revocation: F_SEAL_FUTURE_WRITE, then truncation to nothing.  The
 * truncation takes the page out of every page table, in every process, and
 * gives it back to the kernel's list of free huge pages.  F_SEAL_GROW alone
 * does not stop the old holder from filling the file again, because
 * hugetlbfs grows a file when it is mapped writable; F_SEAL_FUTURE_WRITE does.  The
 * file stays empty for ever and is never used again.
 *
 * The kernel hands out free huge pages last in, first out; so a page
 * that was just freed comes back at once, zeroed, unless somebody still has it
 * pinned or took it in between.  Which page came, pagemap says; it shows nothing
 * for a page that was never mapped, hence MAP_POPULATE.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backing.h"
#include "util.h"
#include "vcma_broker.h"

#define PAGEMAP_PRESENT		(UINT64_C(1) << 63)
#define PAGEMAP_PFN_MASK	((UINT64_C(1) << 55) - 1)

static int pagemap_read(int fd, const void *addr, uint64_t *ret_pfn)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entry;
	off_t pos = (off_t)((uintptr_t)addr / page * sizeof(entry));
	ssize_t n = pread(fd, &entry, sizeof(entry), pos);

	if (n < 0)
		return -errno;
	if (n != sizeof(entry) || !(entry & PAGEMAP_PRESENT))
		return -ENXIO;
	*ret_pfn = (entry & PAGEMAP_PFN_MASK) * (page >> BACKING_PFN_SHIFT);
	return 0;
}

/* The kernel shows PFNs as 0 to those who lack CAP_SYS_ADMIN. */
static int pfns_visible(int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t pfn = 0;
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int r;

	if (p == MAP_FAILED)
		return -errno;
	r = pagemap_read(fd, p, &pfn);
	munmap(p, page);
	if (r < 0)
		return r;
	return pfn ? 0 : -EPERM;
}

static int hugetlb_open(struct backing *b, char **ret_error)
{
	struct granule_file f = { .fd = -1 };
	int r;

	b->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	r = b->pagemap_fd < 0 ? -errno : pfns_visible(b->pagemap_fd);
	if (r < 0) {
		*ret_error = g_strdup_printf("backing hugetlb needs CAP_SYS_ADMIN to read page frame numbers (/proc/self/pagemap: %s): run vcmad as root, or use backing memfd, which does not promise contiguity",
					     g_strerror(-r));
		return r;
	}
	f.fd = memfd_create("vcma-probe", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (f.fd < 0) {
		r = -errno;
		*ret_error = g_strdup_printf("backing hugetlb: this kernel has no huge pages of 2M (memfd_create: %s): use backing memfd, which does not promise contiguity",
					     g_strerror(-r));
		return r;
	}
	granule_file_close(&f);
	return 0;
}

static void hugetlb_close(struct backing *b)
{
	(void)b; /* pagemap is closed by backing_close() */
}

static int hugetlb_inspect(struct backing *b, const struct granule_file *f, uint64_t *ret_pfn)
{
	uint64_t pfn;
	void *p = mmap(NULL, BACKING_GRANULE, PROT_READ,
		       MAP_SHARED | MAP_POPULATE | MAP_NORESERVE, f->fd, 0);
	int r;

	if (p == MAP_FAILED)
		return -errno;
	r = pagemap_read(b->pagemap_fd, p, &pfn);
	munmap(p, BACKING_GRANULE);
	if (r < 0)
		return r;
	if (!pfn || pfn % (BACKING_GRANULE >> BACKING_PFN_SHIFT))
		return -ENXIO;
	*ret_pfn = pfn;
	return 0;
}

static int hugetlb_fill(struct backing *b, struct granule_file *f)
{
	/* Unlike a page fault this says ENOSPC, and it zeroes the page. */
	if (fallocate(f->fd, 0, 0, BACKING_GRANULE) < 0)
		return errno == ENOMEM ? -ENOSPC : -errno;
	return hugetlb_inspect(b, f, &f->pfn);
}

static int hugetlb_take(struct backing *b, uint64_t want, struct granule_file *ret)
{
	struct granule_file f = { .fd = -1 };
	int r;

	(void)want; /* the kernel chooses */
	f.fd = memfd_create("vcma", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (f.fd < 0)
		return -errno;
	if (ftruncate(f.fd, BACKING_GRANULE) < 0 || fcntl(f.fd, F_ADD_SEALS, F_SEAL_GROW) < 0) {
		r = -errno;
		goto fail;
	}
	r = hugetlb_fill(b, &f);
	if (r < 0)
		goto fail;
	*ret = f;
	return 0;

fail:
	granule_file_close(&f);
	return r;
}

static int hugetlb_revoke(struct backing *b, struct granule_file *f)
{
	(void)b;
#ifdef VCMA_TEST_FAULTS
	if (test_fault == TEST_FAULT_PUNCH) {
		/* The mistake that inodes granted once avoid: the old mapping lives on. */
		if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      BACKING_GRANULE) < 0)
			return -errno;
		return hugetlb_fill(b, f);
	}
#endif
	return granule_file_empty(f);
}

const struct backing_ops backing_hugetlb = {
	.name = "hugetlb",
	.id = VCMA_BACKING_HUGETLB,
	.contiguous = true,
	.revocable = true,
	.isolating = true,
	.open = hugetlb_open,
	.close = hugetlb_close,
	.take = hugetlb_take,
	.inspect = hugetlb_inspect,
	.revoke = hugetlb_revoke,
};
