// SPDX-License-Identifier: GPL-2.0-only
/*
 * alloc.c - ranges: from what a client wants to where it gets it
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
 * Refused because of what it has already, the guest gives its idle leases back
 * and asks again: many small leases may stand where one large one would fit.
 *
 * With DMA_ATTR_NO_KERNEL_MAPPING the client gets a cookie that says which range
 * it is, and is no address of the memory: the same on every architecture.
 *
 * Behind an IOMMU the range is mapped like a resource.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/dma-direct.h>
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

static void backoff_set(struct vcma_dev *vcma, unsigned long since)
{
	unsigned int ms = jiffies_to_msecs(jiffies - since);
	unsigned long flags;

	ms = clamp_t(unsigned int, ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	spin_lock_irqsave(&vcma->lock, flags);
	vcma->backoff = true;
	vcma->backoff_until = jiffies + msecs_to_jiffies(ms);
	spin_unlock_irqrestore(&vcma->lock, flags);
}

static bool backoff_active(struct vcma_dev *vcma)
{
	unsigned long flags;
	bool active;

	spin_lock_irqsave(&vcma->lock, flags);
	if (vcma->backoff && time_after_eq(jiffies, vcma->backoff_until))
		vcma->backoff = false;
	active = vcma->backoff;
	spin_unlock_irqrestore(&vcma->lock, flags);
	return active;
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
	u64 usual = max_t(u64, least, vcma->lease_size);
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
	unsigned int ms = 5;
	bool ask;
	int err;

	/* While we wait for the mutex somebody may get a lease with room for us. */
	mutex_lock(&vcma->plug_mutex);
	ask = time_before(jiffies, until) && !(small && backoff_active(vcma));
	err = try_windows(choice, want, ask, until, ret);

	if (idle_may_help(err) && vcma_lease_release_idle(vcma, VCMA_UNPLUG_MS)) {
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
			backoff_set(vcma, start);
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

/* Maps the lease of a range that needs it, and gives the range back if that fails. */
static enum vcma_reason map_place(const struct vcma_want *want, const struct vcma_place *at)
{
	unsigned int noio;
	bool mapped;

	if (want->mapping != VCMA_MAP_LATER)
		return VCMA_SERVED;
	noio = memalloc_noio_save();
	mapped = vcma_map_lease(at->lease);
	memalloc_noio_restore(noio);
	if (mapped)
		return VCMA_SERVED;
	vcma_lease_give(at->lease, at->first, want->pages, at->mapped);
	return VCMA_UNMAPPED;
}

/* What an allocation with @attrs needs of the CPU's mapping. */
static enum vcma_mapping mapping_of(gfp_t gfp, unsigned long attrs)
{
	/* What is not mapped can be made zero only through local mappings. */
	if ((attrs & DMA_ATTR_NO_KERNEL_MAPPING) &&
	    (!VCMA_MAP_LEASES || IS_ENABLED(CONFIG_HIGHMEM)))
		return VCMA_MAP_NONE;
	return gfpflags_allow_blocking(gfp) ? VCMA_MAP_LATER : VCMA_MAP_NOW;
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

static void range_insert(struct vcma_client *c, struct vcma_range *range)
{
	struct rb_node **link, *parent = NULL;
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	link = &c->ranges.rb_node;
	while (*link) {
		parent = *link;
		if (range->vaddr < rb_entry(parent, struct vcma_range, node)->vaddr)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&range->node, parent, link);
	rb_insert_color(&range->node, &c->ranges);
	c->nr_ranges++;
	c->range_bytes += (u64)range->pages << PAGE_SHIFT;
	c->allocs++;
	spin_unlock_irqrestore(&c->lock, flags);
}

/* The range that its client knows by @vaddr.  Under c->lock. */
static struct vcma_range *range_lookup(struct vcma_client *c, const void *vaddr)
{
	struct rb_node *node = c->ranges.rb_node;

	while (node) {
		struct vcma_range *range = rb_entry(node, struct vcma_range, node);

		if (vaddr == range->vaddr)
			return range;
		node = vaddr < range->vaddr ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* What the client's device has to say to get to the range. */
static bool range_map(struct vcma_client *c, struct vcma_range *range,
		      const struct vcma_want *want)
{
	struct vcma_reach reach;

	if (!c->prev) {
		range->dma = phys_to_dma(vcma_shadow(c), range->phys);
		return true;
	}
	if (!c->prev->map_resource)
		return false;
	range->dma = c->prev->map_resource(c->dev, range->phys, want->bytes,
					   DMA_BIDIRECTIONAL, 0);
	if (range->dma == DMA_MAPPING_ERROR)
		return false;
	/* The IOMMU driver goes by the streaming mask. */
	vcma_reach_init(&reach, c->dev->coherent_dma_mask, c->dev->bus_dma_limit, 0, 0);
	if (vcma_reach_ok(&reach, range->dma, want->bytes))
		return true;
	c->prev->unmap_resource(c->dev, range->dma, want->bytes, DMA_BIDIRECTIONAL, 0);
	return false;
}

/**
 * vcma_range_alloc() - allocate a range
 * @c: for whom
 * @size: bytes
 * @gfp: whether it may wait
 * @attrs: DMA_ATTR_*
 *
 * Context: any, if @gfp says so.
 *
 * Return: the range, all zero; or NULL.
 */
struct vcma_range *vcma_range_alloc(struct vcma_client *c, size_t size, gfp_t gfp,
				    unsigned long attrs)
{
	struct vcma_choice choice;
	enum vcma_reason reason;
	struct vcma_range *range;
	struct vcma_place at;
	struct vcma_want want;
	struct vcma_dev *vcma;
	u64 offset;

	if (!size || size > SIZE_MAX / 2 || !c->dev->coherent_dma_mask || c->barred)
		return NULL;
	vcma = vcma_get_live();
	if (!vcma)
		return NULL;
	range = kzalloc(sizeof(*range), gfpflags_allow_blocking(gfp) ? GFP_NOIO : GFP_ATOMIC);
	if (!range)
		goto out_put;

	vcma_want_init(&want, c, size, mapping_of(gfp, attrs));
	reason = vcma_choose(&choice, vcma, c, &want);
	if (reason == VCMA_SERVED)
		reason = place(vcma, &choice, &want, gfp, &at);
	if (reason == VCMA_SERVED)
		reason = map_place(&want, &at);
	if (reason != VCMA_SERVED) {
		count(vcma, &choice, NULL);
		if (reason != VCMA_HOST)
			note_refusal(vcma, want.bytes, vcma_reason_str(reason));
		vcma_explain(c, vcma, &want, reason);
		goto out_free;
	}

	offset = at.lease->offset + ((u64)at.first << PAGE_SHIFT);
	range->lease = at.lease;
	range->first = at.first;
	range->pages = want.pages;
	range->mapped = at.mapped;
	range->vaddr = at.mapped ? at.lease->vaddr + ((size_t)at.first << PAGE_SHIFT) :
				   (void *)range;
	range->phys = at.lease->win->base + offset;
	if (!range_map(c, range, &want))
		goto out_give;

	if (at.zero_from < at.zero_end)
		vcma_map_zero(at.lease, at.mapped, at.zero_from, at.zero_end);
	range_insert(c, range);
	count(vcma, &choice, at.lease->win);
	atomic64_inc(&vcma->allocs);
	return range;

out_give:
	vcma_lease_give(at.lease, at.first, want.pages, at.mapped);
out_free:
	kfree(range);
out_put:
	vcma_put(vcma);
	return NULL;
}

/**
 * vcma_range_find() - the range of an address
 * @c: whose
 * @vaddr: what vcma_range_alloc() has called it
 *
 * Return: the range, good until it is freed; or NULL if it is not ours.
 */
struct vcma_range *vcma_range_find(struct vcma_client *c, const void *vaddr)
{
	struct vcma_range *range;
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	range = range_lookup(c, vaddr);
	spin_unlock_irqrestore(&c->lock, flags);
	return range;
}

/**
 * vcma_range_free() - free a range
 * @c: whose
 * @vaddr: what vcma_range_alloc() has called it
 *
 * Context: any.
 *
 * Return: false if it is not ours.
 */
bool vcma_range_free(struct vcma_client *c, const void *vaddr)
{
	struct vcma_range *range;
	struct vcma_dev *vcma;
	unsigned long flags;
	bool last = false;

	spin_lock_irqsave(&c->lock, flags);
	range = range_lookup(c, vaddr);
	if (range) {
		rb_erase(&range->node, &c->ranges);
		c->range_bytes -= (u64)range->pages << PAGE_SHIFT;
	}
	spin_unlock_irqrestore(&c->lock, flags);
	if (!range)
		return false;

	vcma = range->lease->win->vcma;
	if (c->prev)
		c->prev->unmap_resource(c->dev, range->dma, (size_t)range->pages << PAGE_SHIFT,
					DMA_BIDIRECTIONAL, 0);
	vcma_lease_give(range->lease, range->first, range->pages, range->mapped);
	kfree(range);
	vcma_put(vcma);

	/* The client counts it until here, so that it is not detached before. */
	spin_lock_irqsave(&c->lock, flags);
	last = !--c->nr_ranges && c->leaving;
	spin_unlock_irqrestore(&c->lock, flags);
	if (last)
		vcma_client_idle();
	return true;
}
