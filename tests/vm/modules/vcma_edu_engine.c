// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_edu_engine.c - the device's own word: is this address the memory that the CPU sees?
 *
 * DOC: Theory of operation
 *
 * What edu has read it shows to nobody, but it can write it.  So a job is: the
 * CPU writes a pattern, the device reads it, the CPU overwrites it, the device
 * writes it back, and the CPU finds the pattern, and around it what was there.
 * An address that the device cannot say leads it elsewhere, twice, and the CPU
 * finds what it has overwritten the pattern with.
 *
 * A transfer takes 100 ms whatever its size.  So all functions of a PCI slot work
 * for function 0, which has their locks meanwhile; they must be able to say the
 * same addresses.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "edu_regs.h"
#include "vcma_edu.h"

#define TRANSFER_MS 100
#define DEADLINE_MS 10000
#define PAGES_PER_BUFFER 3

static DEFINE_MUTEX(list_lock);		/* of the list; sisters' locks are taken inside */
static LIST_HEAD(list);

void vcma_edu_add(struct vcma_edu *t)
{
	mutex_lock(&list_lock);
	list_add_tail(&t->node, &list);
	mutex_unlock(&list_lock);
}

void vcma_edu_del(struct vcma_edu *t)
{
	mutex_lock(&list_lock);
	list_del(&t->node);
	mutex_unlock(&list_lock);
	/* Whoever has it for a sister will give it back. */
	mutex_lock(&t->lock);
	mutex_unlock(&t->lock);
}

static bool are_sisters(const struct pci_dev *a, const struct pci_dev *b)
{
	return a->bus == b->bus && PCI_SLOT(a->devfn) == PCI_SLOT(b->devfn);
}

/* @t itself, and who works for it, locked. */
unsigned int vcma_edu_sisters_get(struct vcma_edu *t, struct vcma_edu **ret)
{
	unsigned int func, nr = 0;
	struct vcma_edu *s;

	ret[nr++] = t;
	if (PCI_FUNC(t->pdev->devfn))
		return nr;
	mutex_lock(&list_lock);
	for (func = 1; func < VCMA_EDU_SISTERS; func++) {
		list_for_each_entry(s, &list, node) {
			if (!are_sisters(s->pdev, t->pdev) || PCI_FUNC(s->pdev->devfn) != func)
				continue;
			mutex_lock_nested(&s->lock, SINGLE_DEPTH_NESTING);
			ret[nr++] = s;
		}
	}
	mutex_unlock(&list_lock);
	return nr;
}

void vcma_edu_sisters_put(struct vcma_edu **sister, unsigned int nr)
{
	while (--nr)
		mutex_unlock(&sister[nr]->lock);
}

static u64 pattern(u64 seed, unsigned int at)
{
	u64 x = (seed ^ at) * 0xff51afd7ed558ccdULL;

	return x ^ x >> 33;
}

static void fill(struct vcma_edu_job *job, u64 seed)
{
	u64 *word = job->cpu;
	unsigned int i;

	for (i = 0; i < job->bytes / sizeof(*word); i++)
		word[i] = pattern(seed, i);
	if (job->guard)
		*job->guard = job->seed;
	if (job->sync)
		dma_sync_single_for_device(job->sync, job->dma, job->bytes, DMA_BIDIRECTIONAL);
}

static void compare(struct vcma_edu *t, struct vcma_edu_job *job)
{
	const u64 *word = job->cpu;
	unsigned int i;

	if (job->sync)
		dma_sync_single_for_cpu(job->sync, job->dma, job->bytes, DMA_BIDIRECTIONAL);
	for (i = 0; i < job->bytes / sizeof(*word); i++) {
		if (word[i] == pattern(job->seed, i))
			continue;
		vcma_edu_fail(t, "%s: DMA at %#llx has %s", job->what, job->dma,
			      word[i] == pattern(~job->seed, i) ? "gone elsewhere"
								: "brought something else");
		return;
	}
	if (job->guard && *job->guard != job->seed)
		vcma_edu_fail(t, "%s: DMA at %#llx went beyond its end", job->what, job->dma);
}

/* All engines that are running come to an end. */
static void wait_for(struct vcma_edu *t, struct vcma_edu **engine, unsigned int nr)
{
	unsigned long until = jiffies + msecs_to_jiffies(DEADLINE_MS);
	unsigned int i;

	msleep(TRANSFER_MS);
	for (i = 0; i < nr; i++) {
		while (edu_dma_is_running(engine[i]->regs)) {
			if (time_after(jiffies, until)) {
				vcma_edu_fail(t, "edu does not finish its DMA");
				return;
			}
			usleep_range(4000, 8000);
		}
	}
}

/* As many as there are engines, at once. */
static void run_some(struct vcma_edu *t, struct vcma_edu **engine, struct vcma_edu_job *job,
		     unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		fill(&job[i], job[i].seed);
		edu_dma_start(engine[i]->regs, job[i].dma, job[i].bytes, false);
	}
	wait_for(t, engine, nr);
	for (i = 0; i < nr; i++) {
		if (job[i].sync)
			dma_sync_single_for_cpu(job[i].sync, job[i].dma, job[i].bytes,
						DMA_BIDIRECTIONAL);
		fill(&job[i], ~job[i].seed);
		edu_dma_start(engine[i]->regs, job[i].dma, job[i].bytes, true);
	}
	wait_for(t, engine, nr);
	for (i = 0; i < nr; i++)
		compare(t, &job[i]);
	t->tally.reads += nr;
	t->tally.writes += nr;
}

void vcma_edu_run_jobs(struct vcma_edu *t, struct vcma_edu_job *jobs, unsigned int nr)
{
	struct vcma_edu *engine[VCMA_EDU_SISTERS];
	unsigned int i, some, nr_engines;

	nr_engines = vcma_edu_sisters_get(t, engine);
	for (i = 0; i < nr; i += some) {
		some = min(nr - i, nr_engines);
		run_some(t, engine, &jobs[i], some);
	}
	vcma_edu_sisters_put(engine, nr_engines);
}

/* First, last and a random page of each buffer: all of it but one word, the guard. */
void vcma_edu_prove(struct vcma_edu *t, struct vcma_edu_buf **buf, unsigned int nr)
{
	struct vcma_edu_job *jobs;
	unsigned int i, k, nr_jobs = 0;

	jobs = kvcalloc(nr, PAGES_PER_BUFFER * sizeof(*jobs), GFP_KERNEL);
	if (!jobs) {
		vcma_edu_fail(t, "no memory to prove %u buffers", nr);
		return;
	}
	for (i = 0; i < nr; i++) {
		unsigned int pages = buf[i]->bytes >> PAGE_SHIFT;
		size_t at[PAGES_PER_BUFFER] = { 0, buf[i]->bytes - EDU_BYTES_MAX };

		if (pages > 2)
			at[2] = (1 + (u32)vcma_edu_random(t) % (pages - 2)) << PAGE_SHIFT;
		for (k = 0; k < min_t(unsigned int, pages, PAGES_PER_BUFFER); k++)
			jobs[nr_jobs++] = (struct vcma_edu_job){
				.what = vcma_edu_place_name(buf[i]->place),
				.cpu = buf[i]->cpu + at[k],
				.dma = buf[i]->dma + at[k],
				.bytes = EDU_BYTES_MAX,
				.guard = buf[i]->cpu + (k == 1 ? at[k] & PAGE_MASK : at[k] + EDU_BYTES_MAX),
				.seed = vcma_edu_random(t),
			};
		buf[i]->proved = true;
		t->tally.proved++;
	}
	vcma_edu_run_jobs(t, jobs, nr_jobs);
	kvfree(jobs);
	for (i = 0; i < nr; i++)
		vcma_edu_mark(buf[i]);
}
