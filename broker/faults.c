// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * faults.c - vcmad with mistakes in it, so that tests can show that they fail
 *
 * Never part of vcmad itself: the sources that can make a mistake are compiled
 * here once more, with the option that chooses one.
 */
#define VCMA_TEST_FAULTS 1

#include <errno.h>
#include <string.h>

enum test_fault {
	TEST_FAULT_NONE,
	TEST_FAULT_PUNCH,	/* revoke by punching a hole, use the file again */
	TEST_FAULT_NO_TRUNCATE,	/* revoke by closing our descriptor only */
	TEST_FAULT_MOVED,	/* memfd: no page is where it was when it was taken */
};

static enum test_fault test_fault;

static int test_fault_set(const char *name)
{
	if (!strcmp(name, "punch"))
		test_fault = TEST_FAULT_PUNCH;
	else if (!strcmp(name, "no-truncate"))
		test_fault = TEST_FAULT_NO_TRUNCATE;
	else if (!strcmp(name, "moved"))
		test_fault = TEST_FAULT_MOVED;
	else
		return -EINVAL;
	return 0;
}

#include "backing.c"
#include "backing_hugetlb.c"
#include "backing_memfd.c"
#include "backing_sim.c"
#include "options.c"
#include "main.c"
