// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_edu_torture.c - buffers by the thousand
 *
 * torture: random sizes, each a power of two of pages or less by anything up to a
 * half, small ones more often; freed in random order.  fill: pieces of one size
 * until there are no more, which are kept until empty.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vcma_edu.h"

#define PROVE_AT_ONCE 8

static u32 below(struct vcma_edu *t, u32 limit)
{
	return limit ? (u32)(vcma_edu_random(t) >> 32) % limit : 0;
}

static size_t random_size(struct vcma_edu *t, u64 max)
{
	unsigned int orders = max > PAGE_SIZE ? ilog2(max) - PAGE_SHIFT + 1 : 1;
	size_t size = PAGE_SIZE << min(below(t, orders), below(t, orders));

	return below(t, 2) ? size : size - below(t, size / 2);
}

static void free_random(struct vcma_edu *t)
{
	vcma_edu_free(t, below(t, t->nr));
}

/* Some of those that the device has not been to yet. */
static void prove_some(struct vcma_edu *t, u64 most)
{
	struct vcma_edu_buf *chosen[PROVE_AT_ONCE];
	unsigned int i, first = below(t, t->nr), nr = 0;

	for (i = 0; i < t->nr && nr < min_t(u64, most, PROVE_AT_ONCE); i++) {
		struct vcma_edu_buf *b = t->buf[(first + i) % t->nr];

		if (!b->proved && b->cpu)
			chosen[nr++] = b;
	}
	if (nr)
		vcma_edu_prove(t, chosen, nr);
}

static void say_tally(struct vcma_edu *t)
{
	const struct vcma_edu_tally *y = &t->tally;
	unsigned int i, k;

	vcma_edu_say(t, "rounds=%llu served=%llu refused=%llu refused_atomic=%llu", y->rounds,
		     y->served, y->refused, y->refused_atomic);
	for (i = 0; i < VCMA_EDU_PLACES; i++) {
		const char *name = vcma_edu_place_name(i);
		u64 sum = 0, same;

		if (!name)
			continue;
		same = vcma_edu_places(name);
		/* The first of a name speaks for all. */
		if (same & (BIT_ULL(i) - 1))
			continue;
		for (k = i; k < VCMA_EDU_PLACES; k++)
			if (same & BIT_ULL(k))
				sum += y->place[k];
		vcma_edu_say(t, " %s=%llu", name, sum);
	}
	vcma_edu_say(t, " held_max=%llu proved=%llu dma_reads=%llu dma_writes=%llu errors=%llu",
		     y->held_max, y->proved, y->reads, y->writes, y->errors);
}

int vcma_edu_cmd_torture(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	unsigned long attrs = arg->nomap ? DMA_ATTR_NO_KERNEL_MAPPING : 0;
	u64 round, due;

	if (t->nr)
		return vcma_edu_refuse(t, -EBUSY, "there are buffers; empty first");
	t->random = arg->seed;
	for (round = 0; round < arg->rounds && !signal_pending(current); round++) {
		size_t size = random_size(t, arg->max);
		bool atomic = below(t, 100) < arg->atomic;

		if (t->nr && below(t, 2))
			free_random(t);
		while (t->nr && (t->held + size > arg->hold || t->nr == VCMA_EDU_BUFFERS))
			free_random(t);
		vcma_edu_alloc(t, size, atomic ? GFP_ATOMIC : GFP_KERNEL, attrs, arg->where);
		t->tally.rounds++;

		due = div64_u64(arg->proofs * (round + 1), arg->rounds);
		if (t->nr && (due >= t->tally.proved + PROVE_AT_ONCE || round + 1 == arg->rounds))
			prove_some(t, arg->proofs - t->tally.proved);
		cond_resched();
	}
	while (t->nr)
		vcma_edu_free(t, t->nr - 1);
	say_tally(t);
	return round < arg->rounds ? -EINTR : 0;
}

int vcma_edu_cmd_fill(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	unsigned long attrs = arg->nomap ? DMA_ATTR_NO_KERNEL_MAPPING : 0;
	unsigned int first = t->nr, step, i, nr;
	u64 size, held = t->held, largest = 0;
	char *spans;

	for (size = arg->size; size >= arg->min && size >= PAGE_SIZE; size /= 2)
		while (t->held + size <= arg->limit && !signal_pending(current) &&
		       vcma_edu_alloc(t, size, GFP_KERNEL, attrs, arg->where))
			t->tally.rounds++;

	nr = t->nr - first;
	step = arg->proofs ? max(1U, nr / (u32)min_t(u64, arg->proofs, nr + 1)) : nr + 1;
	for (i = first; i < t->nr; i++)
		largest = max_t(u64, largest, t->buf[i]->size);
	for (i = step - 1; i < nr; i += step)
		if (t->buf[first + i]->cpu)
			vcma_edu_prove(t, &t->buf[first + i], 1);

	say_tally(t);
	vcma_edu_say(t, " pieces=%u bytes=%llu largest=%llu", nr, t->held - held, largest);
	spans = (char *)get_zeroed_page(GFP_KERNEL);
	if (spans && vcma_edu_spans(t, spans, PAGE_SIZE))
		vcma_edu_say(t, " spans=%s", spans);
	free_page((unsigned long)spans);
	return 0;
}

int vcma_edu_cmd_empty(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	while (t->nr)
		vcma_edu_free(t, t->nr - 1);
	say_tally(t);
	return 0;
}
