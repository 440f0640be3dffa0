// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * study-vcma.c - the broker's core in the study, with guests that say what they use
 * and give back what they do not; see study.h
 */

#include "study.h"

#include <stdlib.h>

#include "bench-pool.h"

#define KEEP	30	/* minutes that a guest keeps what it does not use */
#define ORDERS	8

/* What a guest keeps, the oldest first. */
struct idle {
	uint64_t id;
	uint32_t granules;
	uint32_t until;
};

struct guest {
	struct core_vm *vm;
	struct idle *idle;
	uint32_t nr, room;
};

struct vcma {
	struct bench_pool *b;
	struct guest guest[STUDY_VMS];
	uint32_t now;
};

static void *make(uint64_t chunk)
{
	struct vcma *v = calloc(1, sizeof(*v));
	uint32_t i;

	if (!v)
		abort();
	v->b = bench_pool_new(STUDY_GRANULES, chunk, NULL, 0, 1);
	for (i = 0; i < STUDY_VMS; i++)
		v->guest[i].vm = bench_vm(v->b, i, 5, 0, 0, STUDY_LIMIT * GRANULE);
	return v;
}

static void *make_256(void)
{
	return make(256 * MIB);
}

static void *make_64(void)
{
	return make(64 * MIB);
}

static void *make_16(void)
{
	return make(16 * MIB);
}

static void vcma_free(void *self)
{
	struct vcma *v = self;
	uint32_t i;

	for (i = 0; i < STUDY_VMS; i++)
		free(v->guest[i].idle);
	bench_pool_free(v->b);
	free(v);
}

static void say(struct vcma *v, struct guest *g, uint64_t id, uint64_t idle)
{
	const struct core_stats stats = { .lease = id, .idle = idle };

	core_stats(v->b->core, g->vm, &stats, 1, v->b->now);
}

static void forget(struct guest *g, uint32_t i)
{
	g->nr--;
	for (; i < g->nr; i++)
		g->idle[i] = g->idle[i + 1];
}

static uint64_t reuse(struct vcma *v, struct guest *g, uint32_t granules)
{
	uint32_t i;

	for (i = g->nr; i-- > 0;) {
		uint64_t id = g->idle[i].id;

		if (g->idle[i].granules != granules)
			continue;
		forget(g, i);
		say(v, g, id, 0);
		return id;
	}
	return 0;
}

/* Guests give back what they do not use, and refuse the rest. */
static void obey(struct vcma *v)
{
	struct bench_pool *b = v->b;

	while (b->nr_orders) {
		const struct bench_order o = b->order[--b->nr_orders];
		struct guest *g = v->guest;
		uint32_t i, j, given = 0;

		while (g->vm != o.vm)
			g++;
		for (i = 0; i < o.count; i++) {
			for (j = 0; j < g->nr && g->idle[j].id != o.lease[i]; j++)
				;
			if (j == g->nr)
				continue;
			forget(g, j);
			bench_release(b, g->vm, o.lease[i]);
			given++;
		}
		core_reclaim_done(b->core, g->vm, o.id,
				  given == o.count ? VCMA_ST_OK : VCMA_ST_BUSY, b->now);
		while (bench_scrub(b, 1))
			;
	}
}

/* One LEASE, and what comes of it. */
static uint64_t ask(struct vcma *v, struct guest *g, uint32_t granules)
{
	struct bench_pool *b = v->b;
	bool waits;
	uint64_t id;
	int i;

	id = bench_lease(b, g->vm, granules * GRANULE, 1000, &waits);
	for (i = 0; waits && b->answered != b->sequence && b->nr_orders && i < ORDERS; i++)
		obey(v);
	if (waits && b->answered != b->sequence)
		core_cancel(b->core, g->vm, b->sequence, b->now);
	if (waits && b->status == VCMA_ST_OK) {
		id = core_lease_id(b->lease);
		core_lease_acked(b->core, b->lease, b->now);
	}
	b->nr_orders = 0;
	if (id)
		say(v, g, id, 0);
	return id;
}

static uint64_t vcma_lease(void *self, uint32_t vm, uint32_t granules)
{
	struct vcma *v = self;
	struct guest *g = &v->guest[vm];
	uint64_t id = reuse(v, g, granules);

	if (!id)
		id = ask(v, g, granules);
	if (id || !g->nr)
		return id;
	/* What the guest keeps itself may stand in the way. */
	while (g->nr) {
		bench_release(v->b, g->vm, g->idle[g->nr - 1].id);
		g->nr--;
	}
	while (bench_scrub(v->b, 1))
		;
	return ask(v, g, granules);
}

static void vcma_release(void *self, uint32_t vm, uint64_t id, uint32_t granules)
{
	struct vcma *v = self;
	struct guest *g = &v->guest[vm];

	if (g->nr == g->room) {
		g->room = g->room ? 2 * g->room : 64;
		g->idle = realloc(g->idle, g->room * sizeof(*g->idle));
		if (!g->idle)
			abort();
	}
	g->idle[g->nr++] = (struct idle){ .id = id, .granules = granules, .until = v->now + KEEP };
	say(v, g, id, granules * GRANULE);
}

static void vcma_minute(void *self, uint32_t now)
{
	struct vcma *v = self;
	uint32_t i;

	v->now = now;
	v->b->now += 60000;
	for (i = 0; i < STUDY_VMS; i++)
		while (v->guest[i].nr && v->guest[i].idle[0].until <= now) {
			bench_release(v->b, v->guest[i].vm, v->guest[i].idle[0].id);
			forget(&v->guest[i], 0);
		}
	while (bench_scrub(v->b, 1))
		;
	core_tick(v->b->core, v->b->now);
}

const struct study_rival study_vcma_256 = {
	.name = "vcma, chunk=256M",
	.make = make_256, .free = vcma_free, .lease = vcma_lease, .release = vcma_release,
	.minute = vcma_minute,
};

const struct study_rival study_vcma_64 = {
	.name = "vcma, chunk=64M",
	.make = make_64, .free = vcma_free, .lease = vcma_lease, .release = vcma_release,
	.minute = vcma_minute,
};

const struct study_rival study_vcma_16 = {
	.name = "vcma, chunk=16M",
	.make = make_16, .free = vcma_free, .lease = vcma_lease, .release = vcma_release,
	.minute = vcma_minute,
};
