// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_edu_shoot.c - DMA to memory that is given back in the same moment
 *
 * DOC: Theory of operation
 *
 * What no driver should do, and a hostile one does: each round allocates a buffer,
 * starts a transfer by an engine that is free, and frees the buffer
 *
 *	at once, so that the transfer, which takes its 100 ms, hits what is there then;
 *	some time later, up to a little more than a transfer takes;
 *	or before the transfer is even started.
 *
 * The first engine reads, the others write words of VCMA_EDU_SHOT, at a random place
 * in the buffer.  Nothing is judged here: whether somebody has been hit is seen
 * elsewhere, in memory of others.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/sched/signal.h>

#include "edu_regs.h"
#include "vcma_edu.h"

/* Longer than a transfer takes. */
#define LATER_MS 120

enum when { AT_ONCE, LATER, BEFORE, NR_WHEN };

static u32 below(struct vcma_edu *t, u32 limit)
{
	return (u32)(vcma_edu_random(t) >> 32) % limit;
}

/* An engine that is free, or -EINTR. */
static int free_engine(struct vcma_edu **engine, unsigned int nr)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < nr; i++)
			if (!edu_dma_is_running(engine[i]->regs))
				return i;
		if (signal_pending(current))
			return -EINTR;
		usleep_range(500, 1000);
	}
}

static bool drain(struct vcma_edu **engine, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		while (edu_dma_is_running(engine[i]->regs))
			if (msleep_interruptible(4))
				return false;
	return true;
}

/* All engines have the words in their own memory. */
static int charge(struct vcma_edu *t, struct vcma_edu **engine, unsigned int nr)
{
	struct device *dev = &t->pdev->dev;
	dma_addr_t dma;
	unsigned int i;
	u64 *word;

	word = dma_alloc_coherent(dev, PAGE_SIZE, &dma, GFP_KERNEL);
	if (!word)
		return vcma_edu_refuse(t, -ENOMEM, "no buffer for the words of the engines");
	for (i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		word[i] = VCMA_EDU_SHOT;
	for (i = 0; i < nr; i++)
		edu_dma_start(engine[i]->regs, dma, EDU_BYTES_MAX, false);
	/* Not before it has been read. */
	while (!drain(engine, nr))
		;
	dma_free_coherent(dev, PAGE_SIZE, word, dma);
	return 0;
}

static void shoot(struct vcma_edu *t, struct vcma_edu *engine, bool write, size_t size,
		  enum when when)
{
	struct device *dev = &t->pdev->dev;
	dma_addr_t dma, at;
	void *vaddr;

	vaddr = dma_alloc_coherent(dev, size, &dma, GFP_KERNEL | __GFP_NOWARN);
	if (!vaddr) {
		t->tally.refused++;
		return;
	}
	t->tally.served++;
	at = dma + ((u64)below(t, PAGE_ALIGN(size) >> PAGE_SHIFT) << PAGE_SHIFT);
	if (when == BEFORE)
		dma_free_coherent(dev, size, vaddr, dma);
	edu_dma_start(engine->regs, at, EDU_BYTES_MAX, write);
	if (when == LATER)
		msleep_interruptible(below(t, LATER_MS));
	if (when != BEFORE)
		dma_free_coherent(dev, size, vaddr, dma);
	if (write)
		t->tally.writes++;
	else
		t->tally.reads++;
}

int vcma_edu_cmd_shoot(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	struct vcma_edu *engine[VCMA_EDU_SISTERS];
	u64 count[NR_WHEN] = { 0 };
	unsigned int nr;
	int i, err;

	t->random = arg->seed;
	nr = vcma_edu_sisters_get(t, engine);
	err = charge(t, engine, nr);
	while (!err && t->tally.rounds < arg->rounds) {
		/* Who waits keeps the others waiting: less often. */
		enum when when = below(t, 8) ? (below(t, 2) ? AT_ONCE : BEFORE) : LATER;

		i = free_engine(engine, nr);
		if (i < 0) {
			err = i;
			break;
		}
		shoot(t, engine[i], i || nr == 1, arg->size, when);
		t->tally.rounds++;
		count[when]++;
		cond_resched();
	}
	drain(engine, nr);
	vcma_edu_sisters_put(engine, nr);
	if (!err)
		vcma_edu_say(t, "rounds=%llu served=%llu refused=%llu at_once=%llu later=%llu before=%llu dma_reads=%llu dma_writes=%llu",
			     t->tally.rounds, t->tally.served, t->tally.refused, count[AT_ONCE],
			     count[LATER], count[BEFORE], t->tally.reads, t->tally.writes);
	return err;
}
