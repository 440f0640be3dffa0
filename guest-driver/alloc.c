// SPDX-License-Identifier: GPL-2.0-only
/*
 * alloc.c - from what a client wants to where it gets it
 *
 * DOC: Theory of operation
 *
 * Each window that will do (choose.c) is asked first for room in a lease that is
 * there, then, if the caller may wait, for a new lease.  When the host has said
 * no for a reason that holds for every window, lower ones are tried for room
 * only.
 *
 * Which zone the caller meant does not matter here: the DMA API strips GFP_DMA
 * and GFP_DMA32 before it calls ops->alloc, and a device's masks alone decide
 * what it reaches.
 *
 * Who may not wait is served from leases that are there, and if there is no room
 * a lease is asked for in the background, for the next one.
 *
 * Refused because of what it has already, the guest gives its idle leases of that
 * bank back and asks again: many small leases may stand where one large one would
 * fit.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vcma_client.h"

/* After a refusal small requests do not ask again for this long. */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

/* Leases that were given back count until the host has dealt with them. */
#define SETTLE_MS 1000

/* The host has refused memory of one bank; others have their own limits. */
static void backoff_set(struct vcma_dev *vcma, u16 bank, unsigned long since)
{
	unsigned int i, ms = jiffies_to_msecs(jiffies - since);
	unsigned long flags;

	ms = clamp_t(unsigned int, ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	spin_lock_irqsave(&vcma->lock, flags);
	for (i = 0; i < vcma->nr_windows; i++) {
		struct vcma_window *win = &vcma->win[i];

		if (win->bank != bank)
			continue;
		win->backoff = true;
		win->backoff_until = jiffies + msecs_to_jiffies(ms);
	}
	spin_unlock_irqrestore(&vcma->lock, flags);
}

static bool backoff_active(struct vcma_window *win)
{
	unsigned long flags;
	bool active;

	spin_lock_irqsave(&win->vcma->lock, flags);
	if (win->backoff && time_after_eq(jiffies, win->backoff_until))
		win->backoff = false;
	active = win->backoff;
	spin_unlock_irqrestore(&win->vcma->lock, flags);
	return active;
}

/**
 * vcma_backoff_clear() - the host may have memory again
 * @vcma: the device; vcma->lock is held
 */
void vcma_backoff_clear(struct vcma_dev *vcma)
{
	unsigned int i;

	for (i = 0; i < vcma->nr_windows; i++)
		vcma->win[i].backoff = false;
}

static void note_refusal(struct vcma_dev *vcma, u64 size, const char *why)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	vcma->refused_size = size;
	vcma->refused_why = why;
	spin_unlock_irqrestore(&vcma->lock, flags);
}

/* Would the host have more for us if we had less? */
static bool idle_may_help(int status)
{
	switch (status) {
	case VIRTIO_CMA_S_NO_MEMORY:
	case VIRTIO_CMA_S_NO_RUN:
	case VIRTIO_CMA_S_OVER_LIMIT:
	case VIRTIO_CMA_S_GUARANTEED:
		return true;
	}
	return false;
}

/*
 * One size of lease in one window, until the host has it or has a reason.  The
 * host says "later" when an earlier lease at that place is not gone yet; the
 * next attempt is at another place.
 */
static int plug_patiently(struct vcma_option *opt, const struct vcma_want *want, u64 size,
			  unsigned long until, struct vcma_place *ret)
{
	unsigned int ms = 2;
	int err;

	for (;;) {
		err = vcma_lease_plug(opt, want, size, until, ret);
		if (err != VIRTIO_CMA_S_TRY_LATER ||
		    time_after_eq(jiffies + msecs_to_jiffies(ms), until))
			return err;
		msleep(ms);
		ms = min(ms * 2, 100U);
	}
}

/*
 * A new lease in one window: first of the size that leases normally have, then
 * just large enough.  0 or as vcma_lease_plug().
 */
static int plug(struct vcma_option *opt, const struct vcma_want *want, unsigned long until,
		struct vcma_place *ret)
{
	struct vcma_dev *vcma = opt->win->vcma;
	u64 least = max_t(u64, roundup_pow_of_two(want->pages) << PAGE_SHIFT,
			  vcma->granule_size);
	u64 usual = max_t(u64, least, min(vcma->lease_size, want->map_max));
	int err;

	if (least > vcma->lease_max)
		return -E2BIG;
	err = plug_patiently(opt, want, usual, until, ret);
	if (usual > least && (err == -ENOSPC || idle_may_help(err)))
		err = plug_patiently(opt, want, least, until, ret);
	return err;
}

/*
 * Each window in turn: room that is there, then a new lease if @ask.  0, or the
 * reason why there was no lease.
 */
static int try_windows(struct vcma_choice *choice, const struct vcma_want *want, bool ask,
		       unsigned long until, struct vcma_place *ret)
{
	int reason = -ENOSPC;
	unsigned int i;

	for (i = 0; i < choice->nr; i++) {
		struct vcma_option *opt = &choice->opt[i];

		if (vcma_lease_warm(opt, want, ret))
			return 0;
		if (!ask)
			continue;
		reason = plug(opt, want, until, ret);
		if (!reason)
			return 0;
		/* Other reasons than these hold in the next window, too. */
		ask = reason == -ENOSPC || reason == VIRTIO_CMA_S_INVALID ||
		      reason == VIRTIO_CMA_S_HOST_ERROR;
	}
	return reason;
}

/* Which of our reasons is it if the windows were tried in vain? */
static enum vcma_reason reason_of(int err, const struct vcma_choice *choice)
{
	unsigned int i;

	if (err == -E2BIG)
		return VCMA_TOO_LARGE;
	if (err != -ENOSPC)
		return VCMA_HOST;
	for (i = 0; i < choice->nr; i++)
		if (choice->opt[i].refused)
			return VCMA_RESERVED;
	return VCMA_FULL;
}

/* Room in the windows, or new leases.  The caller may wait. */
static enum vcma_reason place_waiting(struct vcma_dev *vcma, struct vcma_choice *choice,
				      const struct vcma_want *want, struct vcma_place *ret)
{
	unsigned long start = jiffies, settled;
	unsigned long until = start + msecs_to_jiffies(vcma_deadline_ms());
	bool small = want->bytes <= vcma->lease_size;
	struct vcma_window *first = choice->opt[0].win;
	unsigned int ms = 5;
	bool ask;
	int err;

	/* While we wait for the mutex somebody may get a lease with room for us. */
	mutex_lock(&vcma->plug_mutex);
	ask = time_before(jiffies, until) && !(small && backoff_active(first));
	err = try_windows(choice, want, ask, until, ret);

	if (idle_may_help(err) && vcma_lease_release_idle(vcma, first->bank, VCMA_UNPLUG_MS)) {
		settled = jiffies + msecs_to_jiffies(SETTLE_MS);
		do {
			msleep(ms);
			ms = min(ms * 2, 100U);
			err = try_windows(choice, want, true, until, ret);
		} while (idle_may_help(err) && time_before(jiffies, settled));
	}
	if (err && ask) {
		if (err > 0) {
			note_refusal(vcma, want->bytes, vcma_status_str(err));
			pr_info_ratelimited("the host refuses a lease of %llu KiB: %s\n",
					    want->bytes >> 10, vcma_status_str(err));
		}
		if (small && err != -ENOSPC)
			backoff_set(vcma, first->bank, start);
	}
	mutex_unlock(&vcma->plug_mutex);
	if (!err)
		return VCMA_SERVED;
	return ask ? reason_of(err, choice) : VCMA_HOST;
}

/**
 * vcma_refill_work() - get a lease for callers who cannot wait for one
 * @work: in struct vcma_dev
 */
void vcma_refill_work(struct work_struct *work)
{
	struct vcma_dev *vcma = container_of(work, struct vcma_dev, refill_work);
	struct vcma_choice choice;
	struct vcma_place at;
	struct vcma_want want;
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	want = vcma->refill_want;
	choice = vcma->refill_choice;
	spin_unlock_irqrestore(&vcma->lock, flags);

	if (place_waiting(vcma, &choice, &want, &at) != VCMA_SERVED)
		return;
	if (at.mapped)
		vcma_map_lease(at.lease);
	vcma_lease_give(at.lease, at.first, want.pages, at.mapped);
}

/* The next one who cannot wait shall find room. */
static void refill(struct vcma_dev *vcma, const struct vcma_choice *choice,
		   const struct vcma_want *want)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	if (vcma->ready) {
		vcma->refill_want = *want;
		if (want->mapping == VCMA_MAP_NOW)
			vcma->refill_want.mapping = VCMA_MAP_LATER;
		vcma->refill_choice = *choice;
		queue_work(vcma_wq, &vcma->refill_work);
	}
	spin_unlock_irqrestore(&vcma->lock, flags);
}

/* Takes room for @want in one of the windows of @choice, the best first. */
static enum vcma_reason place(struct vcma_dev *vcma, struct vcma_choice *choice,
			      const struct vcma_want *want, gfp_t gfp, struct vcma_place *ret)
{
	bool wait = gfpflags_allow_blocking(gfp);
	enum vcma_reason reason;
	unsigned int i, noio, spared = 0;

	/* Who may wait tries the best window in every way before the next one (I6). */
	for (i = 0; i < (wait ? 1 : choice->nr); i++) {
		if (vcma_lease_warm(&choice->opt[i], want, ret))
			return VCMA_SERVED;
		spared += choice->opt[i].refused;
	}
	if (!wait && spared == choice->nr)
		return VCMA_RESERVED;
	if (!wait) {
		refill(vcma, choice, want);
		return VCMA_NOT_WARM;
	}

	noio = memalloc_noio_save();
	reason = place_waiting(vcma, choice, want, ret);
	memalloc_noio_restore(noio);
	return reason;
}

/*
 * As place(), and the lease is mapped if @want needs that.  Where there is no
 * address space for the lease there may be for a smaller one.
 */
static enum vcma_reason place_mapped(struct vcma_dev *vcma, struct vcma_choice *choice,
				     struct vcma_want *want, gfp_t gfp, struct vcma_place *ret)
{
	enum vcma_reason reason;
	unsigned int noio;
	bool mapped;

	for (;;) {
		reason = place(vcma, choice, want, gfp, ret);
		if (reason != VCMA_SERVED || want->mapping != VCMA_MAP_LATER)
			return reason;
		noio = memalloc_noio_save();
		mapped = vcma_map_lease(ret->lease);
		memalloc_noio_restore(noio);
		if (mapped)
			return VCMA_SERVED;

		want->map_max = ret->lease->size >> 1;
		vcma_lease_give(ret->lease, ret->first, want->pages, ret->mapped);
		if (want->map_max < want->bytes || want->map_max < vcma->granule_size)
			return VCMA_UNMAPPED;
	}
}

/* The windows' counters: who has served it, and which reserves it has met on the way. */
static void count(struct vcma_dev *vcma, const struct vcma_choice *choice,
		  struct vcma_window *served)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&vcma->lock, flags);
	for (i = 0; i < choice->nr; i++)
		if (choice->opt[i].refused && choice->opt[i].win != served)
			choice->opt[i].win->reserve_refused++;
	if (served)
		served->allocs++;
	spin_unlock_irqrestore(&vcma->lock, flags);
}

/**
 * vcma_take() - take room for an allocation
 * @c: for whom
 * @vcma: the device
 * @want: what it needs; changed if address space is short
 * @gfp: whether the caller may wait
 * @ret: where it was taken
 *
 * Context: any, if @gfp says so.
 *
 * Return: true; false if there is nothing, and the log and sysfs say why.
 */
bool vcma_take(struct vcma_client *c, struct vcma_dev *vcma, struct vcma_want *want, gfp_t gfp,
	       struct vcma_place *ret)
{
	struct vcma_choice choice;
	enum vcma_reason reason;

	reason = vcma_choose(&choice, vcma, c, want);
	if (reason == VCMA_SERVED)
		reason = place_mapped(vcma, &choice, want, gfp, ret);
	if (reason == VCMA_SERVED) {
		count(vcma, &choice, ret->lease->win);
		return true;
	}
	count(vcma, &choice, NULL);
	if (reason != VCMA_HOST)
		note_refusal(vcma, want->bytes, vcma_reason_str(reason));
	vcma_explain(c, vcma, want, reason);
	return false;
}

/**
 * vcma_warm_up() - let there be a lease with room for an allocation
 * @c: for whom
 * @vcma: the device
 * @want: what it will need
 *
 * Context: any.  The lease, if the host has one, comes later.
 */
void vcma_warm_up(struct vcma_client *c, struct vcma_dev *vcma, const struct vcma_want *want)
{
	struct vcma_choice choice;

	if (vcma_choose(&choice, vcma, c, want) == VCMA_SERVED)
		refill(vcma, &choice, want);
}
