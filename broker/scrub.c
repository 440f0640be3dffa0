// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scrub.c - the thread that makes granules clean again
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "scrub.h"
#include "util.h"

/**
 * struct scrubber - one thread and its two queues
 * @pool: whose granules
 * @lock: protects @jobs, @results and @stopping; nothing else is locked
 *	inside, and no system call but the eventfd's is made
 * @wake: a job came, or @stopping
 * @event: eventfd, raised while there are results
 * @deep_next: when many pages may be looked at again; the thread's own
 */
struct scrubber {
	struct pool *pool;
	GThread *thread;
	GMutex lock;
	GCond wake;
	GQueue jobs;		/* struct granule * */
	GQueue results;		/* struct scrub_result * */
	bool stopping;
	int event;
	uint64_t deep_next;
};

static void push_result(struct scrubber *s, const struct scrub_result *r)
{
	const uint64_t one = 1;
	ssize_t n;

	g_mutex_lock(&s->lock);
	g_queue_push_tail(&s->results, g_memdup2(r, sizeof(*r)));
	n = write(s->event, &one, sizeof(one)); /* cannot block below 2^64 - 1 */
	g_mutex_unlock(&s->lock);
	(void)n;
}

/**
 * scrubber_offer - a page turned up: is it that of a granule that waits here?
 * @s: the scrubber
 * @found: taken over if so
 *
 * Return: true if it was taken over.
 */
bool scrubber_offer(struct scrubber *s, const struct granule_file *found)
{
	bool taken = false;

	g_mutex_lock(&s->lock);
	for (const GList *l = s->jobs.head; l && !taken; l = l->next) {
		struct granule *g = l->data;

		if (g->pfn != found->pfn || g->file.fd >= 0)
			continue;
		g->file = *found;
		g->found = true;
		taken = true;
	}
	g_mutex_unlock(&s->lock);
	return taken;
}

/* To whom it belongs: a granule that waits, one in quarantine, or somebody else. */
static void drop_held(struct scrubber *s, GArray *held)
{
	for (unsigned int i = 0; i < held->len; i++) {
		struct granule_file *f = &g_array_index(held, struct granule_file, i);

		if (!pool_find(s->pool, f->pfn))
			granule_file_close(f);
		else if (!scrubber_offer(s, f))
			push_result(s, &(struct scrub_result){ .found = *f });
	}
}

/* Is it time to look at many pages for @g? */
static bool seek_is_deep(struct scrubber *s, const struct granule *g)
{
	uint64_t now = now_ms();

	if (g->misses < SCRUB_DEEP_AFTER || now < s->deep_next)
		return false;
	s->deep_next = now + SCRUB_DEEP_EVERY_MS;
	return true;
}

/*
 * Seek the page of @g in new files.  A deep search goes on when it has found
 * that one: what else is missing is likely to be there, too, and the next
 * deep search is far off.  Under the section lock.
 */
static enum core_scrub_result seek(struct scrubber *s, struct granule *g, GArray *held)
{
	enum core_scrub_result result = CORE_SCRUB_MISSING;
	struct backing *b = s->pool->backing;
	bool deep = seek_is_deep(s, g);

	while (held->len < (deep ? SCRUB_HOLD_DEEP : SCRUB_HOLD)) {
		struct granule_file f = { .fd = -1 };

		if (b->ops->take(b, g->pfn, &f) < 0)
			break; /* no free page, or no descriptor: retried later */
		if (f.pfn == g->pfn) {
			g->file = f;
			result = CORE_SCRUB_CLEAN;
			if (!deep)
				break;
			continue;
		}
		g_array_append_val(held, f);
		if (f.fd >= s->pool->fd_end)
			break; /* the other descriptors are for peers */
	}
	return result;
}

static void scrub(struct scrubber *s, struct granule *g)
{
	struct backing *b = s->pool->backing;
	struct scrub_result res = { .granule = g, .result = CORE_SCRUB_MISSING, .found.fd = -1 };
	GArray *held = g_array_new(FALSE, FALSE, sizeof(struct granule_file));

	g_mutex_lock(&b->section);
	if (g->found)
		res.result = CORE_SCRUB_CLEAN;
	else if (g->file.fd >= 0 && b->ops->revoke(b, &g->file) < 0)
		res.obstructed = true;
	else if (g->file.fd >= 0) /* no backing does this but one that is made to fail in tests */
		res.result = g->file.pfn == g->pfn ? CORE_SCRUB_CLEAN : CORE_SCRUB_MISSING;
	else
		res.result = seek(s, g, held);
	g_mutex_unlock(&b->section);

	drop_held(s, held);
	g_array_unref(held);
	g->found = false;
	res.misses = res.result == CORE_SCRUB_MISSING ? ++g->misses : g->misses;
	if (res.result == CORE_SCRUB_CLEAN)
		g->misses = 0;
	push_result(s, &res);
}

static gpointer scrub_thread(gpointer data)
{
	struct scrubber *s = data;
	struct backing *b = s->pool->backing;

	g_mutex_lock(&s->lock);
	for (;;) {
		struct granule *g = g_queue_pop_head(&s->jobs);
		bool stopping = s->stopping;

		if (!g && stopping)
			break;
		if (!g) {
			g_cond_wait(&s->wake, &s->lock);
			continue;
		}
		g_mutex_unlock(&s->lock);
		if (!stopping)
			scrub(s, g);
		else if (g->file.fd >= 0)
			b->ops->revoke(b, &g->file); /* all that is left to do for it */
		g_mutex_lock(&s->lock);
	}
	g_mutex_unlock(&s->lock);
	return NULL;
}

/**
 * scrubber_start - start the thread of a pool
 * @pool: whose granules; outlives the scrubber
 * @ret_scrubber: scrubber_stop(); untouched on failure
 *
 * Return: 0 or -errno.
 */
int scrubber_start(struct pool *pool, struct scrubber **ret_scrubber)
{
	struct scrubber *s = g_new0(struct scrubber, 1);
	int r;

	s->pool = pool;
	g_mutex_init(&s->lock);
	g_cond_init(&s->wake);
	g_queue_init(&s->jobs);
	g_queue_init(&s->results);
	s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event < 0) {
		r = -errno;
		goto fail;
	}
	s->thread = g_thread_try_new("scrubber", scrub_thread, s, NULL);
	if (!s->thread) {
		r = -EAGAIN;
		goto fail;
	}
	*ret_scrubber = s;
	return 0;

fail:
	scrubber_stop(s);
	return r;
}

void scrubber_stop(struct scrubber *s)
{
	struct scrub_result res;

	if (!s)
		return;
	if (s->thread) {
		g_mutex_lock(&s->lock);
		s->stopping = true;
		g_cond_signal(&s->wake);
		g_mutex_unlock(&s->lock);
		g_thread_join(s->thread);
	}
	while (scrubber_next(s, &res))
		granule_file_close(&res.found);
	fd_close(&s->event);
	g_cond_clear(&s->wake);
	g_mutex_clear(&s->lock);
	g_free(s);
}

int scrubber_fd(const struct scrubber *s)
{
	return s->event;
}

/**
 * scrubber_add - hand a granule over
 * @s: its pool's scrubber
 * @g: the scrubber owns its file until the result comes
 */
void scrubber_add(struct scrubber *s, struct granule *g)
{
	g_mutex_lock(&s->lock);
	g_queue_push_tail(&s->jobs, g);
	g_cond_signal(&s->wake);
	g_mutex_unlock(&s->lock);
}

bool scrubber_next(struct scrubber *s, struct scrub_result *ret)
{
	struct scrub_result *r;
	uint64_t count;
	ssize_t n = 0;

	g_mutex_lock(&s->lock);
	r = g_queue_pop_head(&s->results);
	if (!r && s->event >= 0)
		n = read(s->event, &count, sizeof(count)); /* EAGAIN: was quiet already */
	g_mutex_unlock(&s->lock);
	(void)n;
	if (!r)
		return false;
	*ret = *r;
	g_free(r);
	return true;
}
