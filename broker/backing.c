// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backing.c - what the backings have in common
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"
#include "util.h"

static const struct backing_ops *const all_backings[] = {
	&backing_hugetlb,
	&backing_memfd,
	&backing_sim,
};

/**
 * backing_find - a backing by its name in the configuration
 * @name: "hugetlb", "memfd" or "sim"
 *
 * Return: its operations, or NULL.
 */
const struct backing_ops *backing_find(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(all_backings); i++)
		if (!strcmp(all_backings[i]->name, name))
			return all_backings[i];
	return NULL;
}

/**
 * backing_open - get a source of pages ready
 * @ops: which one
 * @ret_backing: the source; free with backing_close(); untouched on failure
 * @ret_error: on failure, cause and cure in words; g_free()
 *
 * Return: 0 or -errno.
 */
int backing_open(const struct backing_ops *ops, struct backing **ret_backing, char **ret_error)
{
	struct backing *b = g_new0(struct backing, 1);
	int r;

	b->ops = ops;
	b->pagemap_fd = -1;
	g_mutex_init(&b->section);
	r = ops->open(b, ret_error);
	if (r < 0) {
		backing_close(b);
		return r;
	}
	*ret_backing = b;
	return 0;
}

/**
 * backing_close - the end of a source of pages; NULL is fine
 * @b: nobody takes, inspects or revokes any more
 */
void backing_close(struct backing *b)
{
	if (!b)
		return;
	b->ops->close(b);
	fd_close(&b->pagemap_fd);
	g_mutex_clear(&b->section);
	g_free(b);
}

int granule_file_empty(struct granule_file *f)
{
	int r = 0;

#ifdef VCMA_TEST_FAULTS
	if (test_fault == TEST_FAULT_NO_TRUNCATE) {
		granule_file_close(f);
		return 0;
	}
#endif
	/*
	 * Seals first: if a holder has forbidden further seals or shrinking, the
	 * page stays where it is, and the holder pays for it until it is gone.
	 */
	if (fcntl(f->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 || ftruncate(f->fd, 0) < 0)
		r = -errno;
	granule_file_close(f);
	return r;
}

void granule_file_close(struct granule_file *f)
{
	fd_close(&f->fd);
	f->pfn = 0;
}
