// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-backing.c - both backings: taking, inspecting and revoking (I2, I4)
 *
 * With huge pages only as root; two are reserved for the time of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backing.h"

/* All that a signal handler can reach. */
static sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	siglongjmp(fault_jump, sig);
}

/* cmocka has a handler of its own, so ours is there only for a moment. */
static bool read_faults(const volatile uint8_t *p)
{
	void (*before)(int) = signal(SIGBUS, on_fault);
	volatile bool faulted = false;

	if (sigsetjmp(fault_jump, 1))
		faulted = true;
	else
		(void)*p;
	signal(SIGBUS, before);
	return faulted;
}

static unsigned int free_pages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned int n = 0;

	if (f && fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static struct backing *open_or_skip(const struct backing_ops *ops)
{
	struct backing *b = NULL;
	char *error = NULL;

	if (ops == &backing_hugetlb && free_pages() < 2) {
		print_message("# no free huge pages\n");
		skip();
	}
	if (backing_open(ops, &b, &error) < 0) {
		print_message("# %s\n", error);
		g_free(error);
		skip();
	}
	return b;
}

static uint8_t *map(const struct granule_file *f)
{
	void *p = mmap(NULL, BACKING_GRANULE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void take_and_inspect(const struct backing_ops *ops)
{
	struct backing *b = open_or_skip(ops);
	struct granule_file f = { .fd = -1 };
	uint64_t pfn = 0;
	uint8_t *p;

	assert_int_equal(b->ops->take(b, 0x200, &f), 0);
	assert_int_equal(fcntl(f.fd, F_GET_SEALS), F_SEAL_GROW);
	assert_true(fcntl(f.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(b->ops->inspect(b, &f, &pfn), 0);
	assert_int_equal(pfn, f.pfn);
	p = map(&f);
	for (uint64_t i = 0; i < BACKING_GRANULE; i += 512)
		assert_int_equal(p[i], 0);
	munmap(p, BACKING_GRANULE);
	granule_file_close(&f);
	assert_int_equal(f.fd, -1);
	backing_close(b);
}

static void revoke_and_reuse(const struct backing_ops *ops)
{
	struct backing *b = open_or_skip(ops);
	struct granule_file f = { .fd = -1 }, again = { .fd = -1 };
	struct stat st;
	uint64_t pfn;
	uint8_t *p;
	void *m;
	int kept;

	assert_int_equal(b->ops->take(b, 0x200, &f), 0);
	pfn = f.pfn;
	kept = dup(f.fd);
	p = map(&f);
	memset(p, 0x5a, BACKING_GRANULE);
	assert_int_equal(b->ops->revoke(b, &f), 0);
	assert_int_equal(f.fd, -1);
	assert_int_equal(fstat(kept, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_true(read_faults(p));
	assert_int_equal(ftruncate(kept, BACKING_GRANULE), -1);
	assert_int_equal(fallocate(kept, 0, 0, BACKING_GRANULE), -1);
	m = mmap(NULL, BACKING_GRANULE, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0);
	assert_ptr_equal(m, MAP_FAILED);

	/* The page in its next tenancy: zero, and out of reach of the old mapping. */
	assert_int_equal(b->ops->take(b, pfn, &again), 0);
	if (ops == &backing_memfd)
		assert_int_equal(again.pfn, pfn);
	m = map(&again);
	assert_int_equal(*(uint8_t *)m, 0);
	memset(m, 0x33, BACKING_GRANULE);
	assert_true(read_faults(p));
	munmap(m, BACKING_GRANULE);
	munmap(p, BACKING_GRANULE);
	close(kept);
	granule_file_close(&again);
	backing_close(b);
}

/* Whoever seals the file keeps the page, and the daemon is told. */
static void obstruct(const struct backing_ops *ops, int seals)
{
	struct backing *b = open_or_skip(ops);
	struct granule_file f = { .fd = -1 };
	uint8_t *p;
	int kept;

	assert_int_equal(b->ops->take(b, 0x200, &f), 0);
	kept = dup(f.fd);
	p = map(&f);
	assert_int_equal(fcntl(kept, F_ADD_SEALS, seals), 0);
	assert_int_equal(b->ops->revoke(b, &f), -EPERM);
	assert_int_equal(f.fd, -1);
	assert_false(read_faults(p));
	munmap(p, BACKING_GRANULE);
	close(kept);
	backing_close(b);
}

static void test_memfd_take(void **state)
{
	(void)state;
	take_and_inspect(&backing_memfd);
}

static void test_memfd_revoke(void **state)
{
	(void)state;
	revoke_and_reuse(&backing_memfd);
}

static void test_memfd_obstruct(void **state)
{
	(void)state;
	obstruct(&backing_memfd, F_SEAL_SHRINK);
	obstruct(&backing_memfd, F_SEAL_SEAL);
}

/* A page that has left its file is noticed at hand-out. */
static void test_memfd_inspect_empty(void **state)
{
	struct backing *b = open_or_skip(&backing_memfd);
	struct granule_file f = { .fd = -1 };
	uint64_t pfn;

	(void)state;
	assert_int_equal(b->ops->take(b, 0x200, &f), 0);
	assert_int_equal(fallocate(f.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   BACKING_GRANULE), 0);
	assert_int_equal(b->ops->inspect(b, &f, &pfn), -ENXIO);
	granule_file_close(&f);
	backing_close(b);
}

static void test_hugetlb_take(void **state)
{
	(void)state;
	take_and_inspect(&backing_hugetlb);
}

static void test_hugetlb_revoke(void **state)
{
	(void)state;
	revoke_and_reuse(&backing_hugetlb);
}

static void test_hugetlb_obstruct(void **state)
{
	(void)state;
	obstruct(&backing_hugetlb, F_SEAL_SHRINK);
	obstruct(&backing_hugetlb, F_SEAL_SEAL);
}

static void test_names(void **state)
{
	(void)state;
	assert_ptr_equal(backing_find("hugetlb"), &backing_hugetlb);
	assert_ptr_equal(backing_find("memfd"), &backing_memfd);
	assert_ptr_equal(backing_find("sim"), &backing_sim);
	assert_null(backing_find("dream"));
}

/* Pages of our own, if that is possible; given back in any case. */
static int hugepages(const char *what)
{
	const char *src = getenv("VCMA_SRC");
	char cmd[512];

	if (geteuid() != 0)
		return 0;
	snprintf(cmd, sizeof(cmd), "%s/scripts/hugepages --owner %d %s >&2", src ? src : ".",
		 (int)getpid(), what);
	if (system(cmd))
		print_message("# scripts/hugepages %s failed\n", what);
	return 0;
}

static int reserve(void **state)
{
	(void)state;
	return hugepages("reserve 8M");
}

static int restore(void **state)
{
	(void)state;
	return hugepages("restore");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_memfd_take),
		cmocka_unit_test(test_memfd_revoke),
		cmocka_unit_test(test_memfd_obstruct),
		cmocka_unit_test(test_memfd_inspect_empty),
		cmocka_unit_test(test_hugetlb_take),
		cmocka_unit_test(test_hugetlb_revoke),
		cmocka_unit_test(test_hugetlb_obstruct),
	};

	return cmocka_run_group_tests_name("backing", tests, reserve, restore);
}
