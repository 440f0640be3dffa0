// SPDX-License-Identifier: GPL-2.0-or-later
/* study-run.c - one day with one way to share the pool; see study.h */

#include "study.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_EVERY	10	/* minutes */
#define PROBES		4	/* VMs that try */
#define GRANULES_64M	32
#define GRANULES_1G	512
#define PLUGS		1000	/* a minute */

struct day {
	const struct study_rival *rival;
	void *self;
	const struct study_trace *trace;
	uint64_t *handle;		/* of each buffer */
	uint32_t *next;			/* chain of those that end in the same minute */
	uint32_t ending[2 * STUDY_MINUTES];
	enum study_adversary adversary;
	uint64_t mine[STUDY_LIMIT];	/* the adversary's */
	uint32_t nr_mine;
	uint64_t used, used_sum;
	struct study_score *score;
};

#define NONE UINT32_MAX

static uint64_t lease(struct day *d, uint32_t vm, uint32_t granules)
{
	uint64_t handle = d->rival->lease(d->self, vm, granules);

	d->used += handle ? granules : 0;
	return handle;
}

static void release(struct day *d, uint32_t vm, uint64_t handle, uint32_t granules)
{
	d->used -= granules;
	d->rival->release(d->self, vm, handle, granules);
}

static void hold(struct day *d)
{
	uint64_t handle;

	while (d->nr_mine < STUDY_LIMIT / 128 && (handle = lease(d, 0, 128)))
		d->mine[d->nr_mine++] = handle;
}

/*
 * Every minute it takes all that it may have, one by one, and gives back all of these but
 * one in @one_in; and its oldest ones, if it has more than @most.
 */
static void shred(struct day *d, uint32_t one_in, uint32_t most)
{
	uint32_t keep = d->nr_mine, i, n;
	uint64_t handle;

	while (d->nr_mine < STUDY_LIMIT && (handle = lease(d, 0, 1)))
		d->mine[d->nr_mine++] = handle;
	for (i = n = keep; i < d->nr_mine; i++) {
		if ((i - keep) % one_in)
			release(d, 0, d->mine[i], 1);
		else
			d->mine[n++] = d->mine[i];
	}
	d->nr_mine = n;
	if (n <= most)
		return;
	for (i = 0; i < n - most; i++)
		release(d, 0, d->mine[i], 1);
	memmove(d->mine, d->mine + (n - most), most * sizeof(d->mine[0]));
	d->nr_mine = most;
}

static void plug(struct day *d)
{
	uint64_t handle;
	int i;

	for (i = 0; i < PLUGS; i++) {
		handle = lease(d, 0, 16);
		if (handle)
			release(d, 0, handle, 16);
	}
}

static void act(struct day *d)
{
	switch (d->adversary) {
	case STUDY_HOLDER:
		hold(d);
		break;
	case STUDY_SHREDDER:
		shred(d, 2, STUDY_LIMIT);
		break;
	case STUDY_PINNER:
		shred(d, GRANULES_64M, STUDY_LIMIT / 16);
		break;
	case STUDY_PLUGGER:
		plug(d);
		break;
	case STUDY_NONE:
		break;
	}
}

static void begin_buffers(struct day *d, uint32_t *at, uint32_t now)
{
	for (; *at < d->trace->nr && d->trace->buffer[*at].begin == now; ++*at) {
		const struct study_buffer *b = &d->trace->buffer[*at];

		if (!b->vm && d->adversary != STUDY_NONE)
			continue;
		d->handle[*at] = lease(d, b->vm, b->granules);
		if (b->vm) {
			d->score->wanted++;
			d->score->refused += !d->handle[*at];
		}
		if (!d->handle[*at])
			continue;
		d->next[*at] = d->ending[b->end];
		d->ending[b->end] = *at;
	}
}

static void end_buffers(struct day *d, uint32_t now)
{
	uint32_t i;

	for (i = d->ending[now]; i != NONE; i = d->next[i])
		release(d, d->trace->buffer[i].vm, d->handle[i], d->trace->buffer[i].granules);
}

static bool probe(struct day *d, uint32_t vm, uint32_t granules)
{
	uint64_t handle = lease(d, vm, granules);

	if (handle)
		release(d, vm, handle, granules);
	return handle;
}

/* Never VM 0. */
static void probe_some(struct day *d, uint32_t now)
{
	uint32_t i, vm;

	for (i = 0; i < PROBES; i++) {
		vm = 1 + (now / PROBE_EVERY * PROBES + i) * 7 % (STUDY_VMS - 1);
		d->score->tries++;
		d->score->got_64m += probe(d, vm, GRANULES_64M);
		d->rival->minute(d->self, now);
		d->score->got_1g += probe(d, vm, GRANULES_1G);
		d->rival->minute(d->self, now);
	}
}

void study_run(const struct study_rival *rival, const struct study_trace *trace,
	       enum study_adversary adversary, struct study_score *ret)
{
	struct day *d = calloc(1, sizeof(*d));
	uint32_t now, at = 0;

	if (!d)
		abort();
	memset(ret, 0, sizeof(*ret));
	d->rival = rival;
	d->trace = trace;
	d->adversary = adversary;
	d->score = ret;
	d->self = rival->make();
	d->handle = calloc(trace->nr, sizeof(*d->handle));
	d->next = calloc(trace->nr, sizeof(*d->next));
	if (!d->handle || !d->next)
		abort();
	memset(d->ending, 0xff, sizeof(d->ending));
	for (now = 0; now < STUDY_MINUTES; now++) {
		rival->minute(d->self, now);
		end_buffers(d, now);
		rival->minute(d->self, now);
		act(d);
		begin_buffers(d, &at, now);
		d->used_sum += d->used;
		if (now % PROBE_EVERY == PROBE_EVERY - 1)
			probe_some(d, now);
	}
	ret->used_permille = (uint32_t)(d->used_sum * 1000 / STUDY_MINUTES / STUDY_GRANULES);
	rival->free(d->self);
	free(d->handle);
	free(d->next);
	free(d);
}
