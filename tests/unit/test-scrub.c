// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-scrub.c - the scrubber on a backing that does what the test wants (I4)
 *
 * The backing has a list of free pages, last in, first out, as the kernel has.
 * A page is free again when its file is closed; the next take() sees to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scrub.h"
#include "util.h"

#define GRANULES	8
#define STEP		(BACKING_GRANULE >> BACKING_PFN_SHIFT)
#define FIRST		(UINT64_C(0x100) * STEP)
#define FOREIGN		(UINT64_C(0x9000) * STEP)

struct page {
	uint64_t pfn;
	int fd;
	ino_t inode;
};

struct fake {
	struct backing backing;	/* first: backing_ops get it */
	GArray *free;		/* uint64_t, the last one is next */
	GArray *used;		/* struct page */
	bool obstructed;
	unsigned int takes;
	struct pool pool;
	struct granule granules[GRANULES];
};

static struct fake *fake_of(struct backing *b)
{
	return (struct fake *)b;
}

static void push(struct fake *f, uint64_t pfn)
{
	g_array_append_val(f->free, pfn);
}

/* Pages whose file has been closed are free. */
static void collect(struct fake *f)
{
	for (unsigned int i = 0; i < f->used->len;) {
		const struct page *p = &g_array_index(f->used, struct page, i);
		struct stat st;

		if (fstat(p->fd, &st) == 0 && st.st_ino == p->inode) {
			i++;
			continue;
		}
		push(f, p->pfn);
		g_array_remove_index(f->used, i);
	}
}

static int fake_take(struct backing *b, uint64_t want, struct granule_file *ret)
{
	struct fake *f = fake_of(b);
	struct page p = { .fd = -1 };
	struct stat st;

	(void)want;
	f->takes++;
	collect(f);
	if (!f->free->len)
		return -ENOSPC;
	p.pfn = g_array_index(f->free, uint64_t, f->free->len - 1);
	g_array_set_size(f->free, f->free->len - 1);
	p.fd = memfd_create("test", MFD_CLOEXEC);
	if (p.fd < 0 || fstat(p.fd, &st) < 0)
		return -EMFILE;
	p.inode = st.st_ino;
	g_array_append_val(f->used, p);
	ret->fd = p.fd;
	ret->pfn = p.pfn;
	return 0;
}

static int fake_revoke(struct backing *b, struct granule_file *file)
{
	struct fake *f = fake_of(b);

	for (unsigned int i = 0; f->obstructed && i < f->used->len; i++)
		if (g_array_index(f->used, struct page, i).fd == file->fd)
			g_array_remove_index(f->used, i); /* held by somebody: not free */
	granule_file_close(file);
	return f->obstructed ? -EPERM : 0;
}

static const struct backing_ops fake_ops = {
	.name = "fake",
	.take = fake_take,
	.revoke = fake_revoke,
};

/* pool_find() without the rest of pool.c */
struct granule *pool_find(const struct pool *pool, uint64_t pfn)
{
	for (uint32_t i = 0; i < pool->nr; i++)
		if (pool->granules[i].pfn == pfn)
			return &pool->granules[i];
	return NULL;
}

void granule_file_close(struct granule_file *f)
{
	fd_close(&f->fd);
	f->pfn = 0;
}

static int setup(void **state)
{
	struct fake *f = g_new0(struct fake, 1);

	f->backing.ops = &fake_ops;
	g_mutex_init(&f->backing.section);
	f->free = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	f->used = g_array_new(FALSE, FALSE, sizeof(struct page));
	f->pool.backing = &f->backing;
	f->pool.granules = f->granules;
	f->pool.nr = GRANULES;
	f->pool.fd_end = 100000;
	for (unsigned int i = 0; i < GRANULES; i++) {
		push(f, FIRST + i * STEP);
		f->granules[i].pfn = FIRST + i * STEP;
		f->granules[i].pool = &f->pool;
		fake_take(&f->backing, 0, &f->granules[i].file);
	}
	f->takes = 0;
	*state = f;
	return scrubber_start(&f->pool, &f->pool.scrubber);
}

static int teardown(void **state)
{
	struct fake *f = *state;

	scrubber_stop(f->pool.scrubber);
	for (unsigned int i = 0; i < GRANULES; i++)
		granule_file_close(&f->granules[i].file);
	g_array_unref(f->free);
	g_array_unref(f->used);
	g_mutex_clear(&f->backing.section);
	g_free(f);
	return 0;
}

static struct scrub_result next(struct fake *f)
{
	struct pollfd p = { .fd = scrubber_fd(f->pool.scrubber), .events = POLLIN };
	struct scrub_result r;

	while (!scrubber_next(f->pool.scrubber, &r))
		if (poll(&p, 1, 5000) != 1)
			fail_msg("no result in 5 s");
	return r;
}

static struct scrub_result scrub_one(struct fake *f, unsigned int i)
{
	scrubber_add(f->pool.scrubber, &f->granules[i]);
	return next(f);
}

static bool is_quiet(struct fake *f)
{
	struct scrub_result r;

	return !scrubber_next(f->pool.scrubber, &r);
}

/* Somebody else has the page of granule @i, whose file is gone. */
static void steal(struct fake *f, unsigned int i)
{
	granule_file_close(&f->granules[i].file);
	g_mutex_lock(&f->backing.section);
	collect(f);
	assert_int_equal(g_array_index(f->free, uint64_t, f->free->len - 1), f->granules[i].pfn);
	g_array_set_size(f->free, f->free->len - 1);
	g_mutex_unlock(&f->backing.section);
}

static void give_back(struct fake *f, uint64_t pfn)
{
	g_mutex_lock(&f->backing.section);
	push(f, pfn);
	g_mutex_unlock(&f->backing.section);
}

static void test_same_page(void **state)
{
	struct fake *f = *state;
	ino_t before = g_array_index(f->used, struct page, 3).inode;
	struct scrub_result r = scrub_one(f, 3);
	struct stat st;

	assert_ptr_equal(r.granule, &f->granules[3]);
	assert_int_equal(r.result, CORE_SCRUB_CLEAN);
	assert_int_equal(r.misses, 0);
	assert_int_equal(f->granules[3].file.pfn, f->granules[3].pfn);
	assert_int_equal(fstat(f->granules[3].file.fd, &st), 0);
	assert_int_not_equal(st.st_ino, before); /* an inode is granted once */
	assert_true(is_quiet(f));
}

static void test_missing_then_back(void **state)
{
	struct fake *f = *state;
	struct scrub_result r;

	steal(f, 2);
	r = scrub_one(f, 2);
	assert_int_equal(r.result, CORE_SCRUB_MISSING);
	assert_false(r.obstructed);
	assert_int_equal(r.misses, 1);
	assert_int_equal(f->granules[2].file.fd, -1);
	r = scrub_one(f, 2);
	assert_int_equal(r.misses, 2);
	give_back(f, f->granules[2].pfn);
	r = scrub_one(f, 2);
	assert_int_equal(r.result, CORE_SCRUB_CLEAN);
	assert_int_equal(r.misses, 2);
	r = scrub_one(f, 2);
	assert_int_equal(r.misses, 0);
}

static void test_obstructed(void **state)
{
	struct fake *f = *state;
	struct scrub_result r;

	f->obstructed = true;
	r = scrub_one(f, 1);
	assert_int_equal(r.result, CORE_SCRUB_MISSING);
	assert_true(r.obstructed);
	assert_int_equal(f->granules[1].file.fd, -1);
	assert_int_equal(f->takes, 0); /* nothing to seek: its page is where it was */
}

/* Foreign pages are held while more are taken, then they all go back. */
static void test_foreign_pages(void **state)
{
	struct fake *f = *state;
	struct scrub_result r;

	steal(f, 4);
	give_back(f, f->granules[4].pfn);
	for (unsigned int i = 0; i < SCRUB_HOLD - 1; i++)
		give_back(f, FOREIGN + i * STEP);
	r = scrub_one(f, 4);
	assert_int_equal(r.result, CORE_SCRUB_CLEAN);
	assert_int_equal(f->takes, SCRUB_HOLD);
	assert_true(is_quiet(f));
	g_mutex_lock(&f->backing.section);
	collect(f);
	assert_int_equal(f->free->len, SCRUB_HOLD - 1);
	g_mutex_unlock(&f->backing.section);
}

/* The page of another granule in quarantine: the main loop gets it. */
static void test_found(void **state)
{
	struct fake *f = *state;
	struct scrub_result r;

	steal(f, 5);
	steal(f, 6);
	give_back(f, f->granules[6].pfn);
	scrubber_add(f->pool.scrubber, &f->granules[5]);
	r = next(f);
	assert_null(r.granule);
	assert_int_equal(r.found.pfn, f->granules[6].pfn);
	assert_true(r.found.fd >= 0);
	granule_file_close(&r.found);
	r = next(f);
	assert_ptr_equal(r.granule, &f->granules[5]);
	assert_int_equal(r.result, CORE_SCRUB_MISSING);
}

/* Two that lack each other's page, both waiting: each gets its own. */
static void test_swapped(void **state)
{
	struct fake *f = *state;
	struct scrub_result r;

	steal(f, 5);
	steal(f, 6);
	give_back(f, f->granules[5].pfn);
	give_back(f, f->granules[6].pfn);
	g_mutex_lock(&f->backing.section); /* so that both wait */
	scrubber_add(f->pool.scrubber, &f->granules[5]);
	scrubber_add(f->pool.scrubber, &f->granules[6]);
	g_mutex_unlock(&f->backing.section);
	for (unsigned int i = 5; i <= 6; i++) {
		r = next(f);
		assert_ptr_equal(r.granule, &f->granules[i]);
		assert_int_equal(r.result, CORE_SCRUB_CLEAN);
		assert_int_equal(f->granules[i].file.pfn, f->granules[i].pfn);
	}
	assert_true(is_quiet(f));
}

/* Deep in the list: found when it has been missing for some time, but not by burning time. */
static void test_deep(void **state)
{
	struct fake *f = *state;
	struct scrub_result r;

	steal(f, 0);
	steal(f, 3);
	steal(f, 7);
	give_back(f, f->granules[3].pfn);
	give_back(f, f->granules[0].pfn);
	for (unsigned int i = 0; i < 200; i++)
		give_back(f, FOREIGN + i * STEP);
	for (unsigned int i = 0; i < SCRUB_DEEP_AFTER; i++) {
		r = scrub_one(f, 0);
		assert_int_equal(r.result, CORE_SCRUB_MISSING);
	}
	assert_int_equal(f->takes, SCRUB_HOLD * SCRUB_DEEP_AFTER);
	scrubber_add(f->pool.scrubber, &f->granules[0]);
	r = next(f); /* it lay still deeper, and is found all the same */
	assert_null(r.granule);
	assert_int_equal(r.found.pfn, f->granules[3].pfn);
	f->granules[3].file = r.found;
	r = next(f);
	assert_ptr_equal(r.granule, &f->granules[0]);
	assert_int_equal(r.result, CORE_SCRUB_CLEAN);
	f->takes = 0;
	for (unsigned int i = 0; i < 2 * SCRUB_DEEP_AFTER; i++)
		scrub_one(f, 7);
	assert_int_equal(f->takes, SCRUB_HOLD * 2 * SCRUB_DEEP_AFTER); /* not again so soon */
	f->granules[7].file.fd = -1;
}

/* I9: while the scrubber seeks a page, peers have the descriptors that are theirs. */
static void test_descriptors(void **state)
{
	struct fake *f = *state;

	steal(f, 0);
	for (unsigned int i = 0; i < 2 * SCRUB_HOLD; i++)
		give_back(f, FOREIGN + i * STEP);
	f->pool.fd_end = 0;
	assert_int_equal(scrub_one(f, 0).result, CORE_SCRUB_MISSING);
	assert_int_equal(f->takes, 1);
	f->granules[0].file.fd = -1;
}

static void test_offer(void **state)
{
	struct fake *f = *state;
	struct granule_file found = { .fd = -1 };
	struct scrub_result r;

	steal(f, 3);
	give_back(f, f->granules[3].pfn);
	g_mutex_lock(&f->backing.section);
	assert_int_equal(fake_take(&f->backing, 0, &found), 0);
	assert_false(scrubber_offer(f->pool.scrubber, &found)); /* nobody waits */
	scrubber_add(f->pool.scrubber, &f->granules[2]); /* the thread waits for the section */
	scrubber_add(f->pool.scrubber, &f->granules[3]);
	while (!scrubber_offer(f->pool.scrubber, &found))
		;
	g_mutex_unlock(&f->backing.section);
	r = next(f);
	assert_ptr_equal(r.granule, &f->granules[2]);
	r = next(f);
	assert_ptr_equal(r.granule, &f->granules[3]);
	assert_int_equal(r.result, CORE_SCRUB_CLEAN);
	assert_int_equal(f->granules[3].file.fd, found.fd);
}

/* The end: what waits is revoked, not sought. */
static void test_stop(void **state)
{
	struct fake *f = *state;

	g_mutex_lock(&f->backing.section);
	for (unsigned int i = 0; i < GRANULES; i++)
		scrubber_add(f->pool.scrubber, &f->granules[i]);
	g_mutex_unlock(&f->backing.section);
	scrubber_stop(f->pool.scrubber);
	f->pool.scrubber = NULL;
	for (unsigned int i = 0; i < GRANULES; i++)
		granule_file_close(&f->granules[i].file); /* those that were done in time */
	collect(f);
	assert_int_equal(f->free->len, GRANULES);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_same_page), T(test_missing_then_back), T(test_obstructed),
		T(test_foreign_pages), T(test_found), T(test_swapped), T(test_deep),
		T(test_descriptors), T(test_offer), T(test_stop),
	};

	return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
