// SPDX-License-Identifier: GPL-2.0-or-later
/* study-trace.c - who wants how much, when and for how long; see study.h */

#include "study.h"

#include <stdlib.h>

#define BLOCK	120	/* minutes in which a VM is as busy as it is */

struct dice {
	uint64_t state;
};

static uint32_t roll(struct dice *d, uint32_t below)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (uint32_t)((d->state >> 20) % below);
}

/* Most buffers are small, most memory is in large ones: 10.8 MiB on average. */
static uint32_t some_size(struct dice *d)
{
	static const uint8_t share[] = { 40, 20, 15, 10, 10, 5 };
	uint32_t at = roll(d, 100), order = 0;

	while (at >= share[order])
		at -= share[order++];
	return 1u << order;
}

/* Most live for minutes, some for hours. */
static uint32_t some_life(struct dice *d)
{
	uint32_t kind = roll(d, 10);

	if (kind < 6)
		return 1 + roll(d, 10);
	if (kind < 9)
		return 10 + roll(d, 110);
	return 120 + roll(d, 600);
}

/* How busy each VM is: from a quarter of the usual to twice as much. */
static void some_weights(struct dice *d, uint32_t weight[STUDY_VMS], uint32_t *ret_sum)
{
	uint32_t i;

	*ret_sum = 0;
	for (i = 0; i < STUDY_VMS; i++) {
		weight[i] = 1u << roll(d, 4);
		*ret_sum += weight[i];
	}
}

static void add(struct study_trace *t, uint32_t *room, struct study_buffer b)
{
	if (t->nr == *room) {
		*room = *room ? 2 * *room : 1024;
		t->buffer = realloc(t->buffer, *room * sizeof(*t->buffer));
		if (!t->buffer)
			abort();
	}
	t->buffer[t->nr++] = b;
}

void study_trace_make(struct study_trace *ret, uint32_t load, uint64_t seed)
{
	uint32_t live[STUDY_VMS] = { 0 }, weight[STUDY_VMS] = { 0 }, sum = 1, room = 0, now, vm;
	static uint32_t ends[STUDY_VMS][2 * STUDY_MINUTES];
	struct dice d = { .state = seed * UINT64_C(2654435761) + 1 };

	*ret = (struct study_trace){ 0 };
	for (vm = 0; vm < STUDY_VMS; vm++)
		for (now = 0; now < 2 * STUDY_MINUTES; now++)
			ends[vm][now] = 0;
	for (now = 0; now < STUDY_MINUTES; now++) {
		if (now % BLOCK == 0)
			some_weights(&d, weight, &sum);
		for (vm = 0; vm < STUDY_VMS; vm++) {
			uint32_t most = STUDY_GRANULES / 100 * load / sum * weight[vm];

			if (most > STUDY_LIMIT)
				most = STUDY_LIMIT;
			live[vm] -= ends[vm][now];
			while (live[vm] < most) {
				struct study_buffer b = {
					.begin = now, .end = now + some_life(&d),
					.vm = vm, .granules = some_size(&d),
				};

				add(ret, &room, b);
				live[vm] += b.granules;
				ends[vm][b.end] += b.granules;
			}
		}
	}
}

void study_trace_free(struct study_trace *trace)
{
	free(trace->buffer);
	trace->buffer = NULL;
}
