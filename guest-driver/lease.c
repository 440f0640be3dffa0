// SPDX-License-Identifier: GPL-2.0-only
/*
 * lease.c - leases: how they come, how they go, and the pages in them
 *
 * DOC: Theory of operation
 *
 * The driver chooses where in a window a lease shall be, because it knows what
 * its clients can reach; the host chooses the memory.  A lease is entered in
 * its window's list before PLUG is sent, with the range that it is wanted for
 * already taken, so that nobody else takes either the place or the memory.  It
 * leaves the list when the answer to PLUG is no, or the answer to UNPLUG yes.
 * Answers are applied in the request queue's interrupt.  An answer that never
 * comes leaves the lease as it is: its place stays taken, which is the truth.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "virtio_cma.h"

static unsigned long lease_pages(const struct vcma_lease *lease)
{
	return lease->size >> PAGE_SHIFT;
}

static bool lease_is_idle(const struct vcma_lease *lease)
{
	return lease->state == VCMA_LEASE_READY && !lease->nr_ranges;
}

/* The one place where a lease's state changes.  Under vcma->lock. */
static void lease_set_state(struct vcma_lease *lease, enum vcma_lease_state state)
{
	lockdep_assert_held(&lease->win->vcma->lock);
	switch (state) {
	case VCMA_LEASE_PLUGGING:
		WARN_ON_ONCE(1);	/* born so */
		break;
	case VCMA_LEASE_READY:
		WARN_ON_ONCE(lease->state == VCMA_LEASE_READY);
		break;
	case VCMA_LEASE_UNPLUGGING:
		WARN_ON_ONCE(!lease_is_idle(lease));
		break;
	}
	lease->state = state;
}

/**
 * vcma_lease_free() - free a lease
 * @lease: in no list; NULL: nothing happens
 *
 * Context: any.
 */
void vcma_lease_free(struct vcma_lease *lease)
{
	if (!lease || vcma_map_drop(lease))
		return;
	kvfree(lease->used);
	kvfree(lease->dirty);
	kfree(lease);
}

static struct vcma_lease *lease_new(struct vcma_window *win, u64 size)
{
	size_t bytes = BITS_TO_LONGS(size >> PAGE_SHIFT) * sizeof(long);
	struct vcma_lease *lease;

	lease = kzalloc(sizeof(*lease), GFP_NOIO);
	if (!lease)
		return NULL;
	INIT_LIST_HEAD(&lease->node);
	lease->win = win;
	lease->size = size;
	lease->state = VCMA_LEASE_PLUGGING;
	lease->free_pages = lease_pages(lease);
	lease->used = kvzalloc(bytes, GFP_NOIO);
	lease->dirty = kvzalloc(bytes, GFP_NOIO);
	if (!lease->used || !lease->dirty) {
		vcma_lease_free(lease);
		return NULL;
	}
	return lease;
}

/* Enters @lease in its window's list.  Under vcma->lock. */
static void lease_add(struct vcma_lease *lease)
{
	struct vcma_window *win = lease->win;
	struct list_head *pos = &win->leases;
	struct vcma_lease *other;

	list_for_each_entry(other, &win->leases, node) {
		if (other->offset > lease->offset) {
			pos = &other->node;
			break;
		}
	}
	list_add_tail(&lease->node, pos);
	if (win->vaddr)
		lease->vaddr = win->vaddr + lease->offset;
	win->nr_leases++;
	win->lease_bytes += lease->size;
	win->rotor = lease->offset + lease->size;
}

/* Takes @lease out of its window's list.  Under vcma->lock; free it after. */
static void lease_del(struct vcma_lease *lease)
{
	struct vcma_window *win = lease->win;

	list_del_init(&lease->node);
	win->nr_leases--;
	win->lease_bytes -= lease->size;
}

/*
 * The lowest good place for @want in @lease, where all is as it is now: first
 * page, or -1.  @lo is the lease's address as the client sees it.
 */
static long lease_fit(const struct vcma_lease *lease, u64 lo, const struct vcma_want *want)
{
	unsigned long total = lease_pages(lease), first, busy;
	u64 pos = lo;

	if (lease->free_pages < want->pages)
		return -1;
	for (;;) {
		u64 addr = vcma_reach_place(&want->reach, pos, lo + lease->size,
					    want->bytes, want->align);

		if (addr == VCMA_NO_ADDR)
			return -1;
		first = (addr - lo) >> PAGE_SHIFT;
		busy = find_next_bit(lease->used, first + want->pages, first);
		if (busy >= first + want->pages)
			return first;
		/* Nothing that contains this page will do. */
		busy = find_next_zero_bit(lease->used, total, busy);
		if (busy >= total)
			return -1;
		pos = lo + ((u64)busy << PAGE_SHIFT);
	}
}

/* Takes pages that lease_fit() has found.  Under vcma->lock. */
static void lease_take(struct vcma_lease *lease, unsigned long first,
		       const struct vcma_want *want, struct vcma_place *ret)
{
	unsigned long pages = want->pages, end = first + pages;
	bool mapped = want->mapping != VCMA_MAP_NONE;

	bitmap_set(lease->used, first, pages);
	lease->free_pages -= pages;
	lease->nr_ranges++;
	lease->nr_mapped += mapped;
	lease->win->range_bytes += (u64)pages << PAGE_SHIFT;
	lease->win->vcma->nr_ranges++;

	ret->lease = lease;
	ret->first = first;
	ret->mapped = mapped;
	ret->zero_from = find_next_bit(lease->dirty, end, first);
	ret->zero_end = ret->zero_from;
	if (ret->zero_from < end)
		ret->zero_end = find_last_bit(lease->dirty, end) + 1;
}

static void lease_give_locked(struct vcma_lease *lease, unsigned long first,
			      unsigned long pages, bool mapped)
{
	bitmap_clear(lease->used, first, pages);
	lease->free_pages += pages;
	lease->nr_ranges--;
	lease->nr_mapped -= mapped;
	lease->win->range_bytes -= (u64)pages << PAGE_SHIFT;
	lease->win->vcma->nr_ranges--;
}

/**
 * vcma_lease_give() - a range is freed
 * @lease: its lease
 * @first: its first page
 * @pages: how many
 * @mapped: it has needed the lease's mapping
 *
 * Context: any.
 */
void vcma_lease_give(struct vcma_lease *lease, unsigned long first, unsigned long pages,
		     bool mapped)
{
	struct vcma_dev *vcma = lease->win->vcma;
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	bitmap_set(lease->dirty, first, pages);
	lease_give_locked(lease, first, pages, mapped);
	if (lease->bad && !lease->nr_ranges)
		vcma_bad_drop(vcma);
	spin_unlock_irqrestore(&vcma->lock, flags);
}

/* Does @want leave the reserve of the window alone (I6)?  Under vcma->lock. */
static bool reserve_kept(struct vcma_option *opt, const struct vcma_want *want)
{
	u64 unused = opt->win->length - opt->win->range_bytes;

	if (opt->reserve && (unused < opt->reserve || unused - opt->reserve < want->bytes))
		opt->refused = true;
	else
		opt->refused = false;
	return !opt->refused;
}

/* Will the lease's mapping, or none, do for @want? */
static bool mapping_ok(const struct vcma_lease *lease, const struct vcma_want *want)
{
	switch (want->mapping) {
	case VCMA_MAP_NOW:
		return lease->vaddr;
	case VCMA_MAP_LATER:
		return lease->vaddr || lease->size <= want->map_max;
	default:
		return true;
	}
}

/*
 * Is @a the better one of two leases that have room for @want?  A lease that is
 * mapped saves a mapping; who needs none leaves it to others.  Leases in use come
 * before idle ones, so that those stay idle, and small ones before large ones, so
 * that those stay whole.
 */
static bool lease_better(const struct vcma_lease *a, const struct vcma_lease *b,
			 const struct vcma_want *want)
{
	if (!a->vaddr != !b->vaddr)
		return !a->vaddr == (want->mapping == VCMA_MAP_NONE);
	if (!a->nr_ranges != !b->nr_ranges)
		return a->nr_ranges;
	return a->size < b->size;
}

/**
 * vcma_lease_warm() - take a range in a lease that is there
 * @opt: the window
 * @want: what is needed
 * @ret: where it was taken
 *
 * Context: any.
 *
 * Return: true if there was room.
 */
bool vcma_lease_warm(struct vcma_option *opt, const struct vcma_want *want,
		     struct vcma_place *ret)
{
	struct vcma_window *win = opt->win;
	struct vcma_dev *vcma = win->vcma;
	struct vcma_lease *lease, *best = NULL;
	unsigned long flags;
	long first, best_first = -1;

	spin_lock_irqsave(&vcma->lock, flags);
	if (!vcma->ready || !reserve_kept(opt, want))
		goto out_unlock;
	list_for_each_entry(lease, &win->leases, node) {
		if (lease->state != VCMA_LEASE_READY || lease->bad || !mapping_ok(lease, want) ||
		    (best && !lease_better(lease, best, want)))
			continue;
		first = lease_fit(lease, opt->span.base + lease->offset, want);
		if (first < 0)
			continue;
		best = lease;
		best_first = first;
	}
	if (best)
		lease_take(best, best_first, want, ret);
out_unlock:
	spin_unlock_irqrestore(&vcma->lock, flags);
	return best;
}

/* The first lease that has a byte in [@offset, @offset + @size), or NULL. */
static struct vcma_lease *lease_in(struct vcma_window *win, u64 offset, u64 size)
{
	struct vcma_lease *lease;

	list_for_each_entry(lease, &win->leases, node)
		if (lease->offset < offset + size && offset < lease->offset + lease->size)
			return lease;
	return NULL;
}

/*
 * The lowest place at or after @from for a lease of @size bytes that has a good
 * place for @want in it: the offset, or VCMA_NO_ADDR.  Under vcma->lock.
 */
static u64 window_room(struct vcma_window *win, const struct vcma_span *span,
		       const struct vcma_want *want, u64 size, u64 from)
{
	u64 end = span->base + win->length;
	u64 pos = ALIGN(span->base + from, size);

	for (;;) {
		struct vcma_lease *other;
		u64 addr;

		addr = vcma_reach_place(&want->reach, pos, end, want->bytes, want->align);
		if (addr == VCMA_NO_ADDR)
			return VCMA_NO_ADDR;
		pos = ALIGN_DOWN(addr, size);
		if (size > end - pos)
			return VCMA_NO_ADDR;
		other = lease_in(win, pos - span->base, size);
		if (!other)
			return pos - span->base;
		pos = ALIGN(span->base + other->offset + other->size, size);
	}
}

/* Nobody has the ranges in @lease after all.  Under vcma->lock. */
static void lease_undo(struct vcma_lease *lease)
{
	unsigned long taken = lease_pages(lease) - lease->free_pages;

	bitmap_zero(lease->used, lease_pages(lease));
	lease->win->range_bytes -= (u64)taken << PAGE_SHIFT;
	lease->win->vcma->nr_ranges -= lease->nr_ranges;
	lease->free_pages += taken;
	lease->nr_ranges = 0;
	lease->nr_mapped = 0;
}

static void plug_complete(struct vcma_call *call)
{
	struct vcma_dev *vcma = call->vcma;
	struct vcma_lease *lease = call->lease[0];
	struct vcma_lease *gone = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	call->applied = true;
	if (!call->err && vcma_call_status(call, 0) == VIRTIO_CMA_S_OK) {
		lease_set_state(lease, VCMA_LEASE_READY);
		vcma->plugs++;
		if (lease->bad) {
			/* It was overtaken by LEASE_BAD, and nobody has seen it yet. */
			lease_undo(lease);
			call->lease[0] = NULL;
			vcma_bad_drop(vcma);
		}
	} else {
		lease_undo(lease);
		lease_del(lease);
		gone = lease;
	}
	spin_unlock_irqrestore(&vcma->lock, flags);
	vcma_lease_free(gone);
}

/* Chooses a place for @lease and enters it there, with a range for @want. */
static int lease_place(struct vcma_lease *lease, struct vcma_option *opt,
		       const struct vcma_want *want, struct vcma_place *ret)
{
	const struct vcma_span *span = &opt->span;
	struct vcma_window *win = lease->win;
	struct vcma_dev *vcma = win->vcma;
	unsigned long flags;
	int err = 0;
	u64 offset;

	spin_lock_irqsave(&vcma->lock, flags);
	if (!vcma->ready) {
		err = -ENODEV;
		goto out_unlock;
	}
	if (!reserve_kept(opt, want)) {
		err = -ENOSPC;
		goto out_unlock;
	}
	offset = window_room(win, span, want, lease->size, win->rotor);
	if (offset == VCMA_NO_ADDR)
		offset = window_room(win, span, want, lease->size, 0);
	if (offset == VCMA_NO_ADDR) {
		err = -ENOSPC;
		goto out_unlock;
	}
	lease->offset = offset;
	lease_add(lease);
	lease_take(lease, lease_fit(lease, span->base + offset, want), want, ret);
out_unlock:
	spin_unlock_irqrestore(&vcma->lock, flags);
	return err;
}

/**
 * vcma_lease_plug() - ask for a new lease, and take a range in it
 * @opt: the window
 * @want: what the range needs
 * @size: of the lease: a power of two, not less than @want
 * @until: in jiffies: how long the host may wait for memory
 * @ret: where the range was taken
 *
 * Context: may sleep; vcma->plug_mutex is held.
 *
 * Return: 0; VIRTIO_CMA_S_* (positive) if the host said no, or has given a lease
 * that is bad; -ENOSPC if the
 * window has no room, or no more than its reserve; -ETIMEDOUT without an answer in time (what comes later
 * becomes an idle lease); -ENODEV, -EAGAIN, -ENOMEM, -EPROTO.
 */
int vcma_lease_plug(struct vcma_option *opt, const struct vcma_want *want, u64 size,
		    unsigned long until, struct vcma_place *ret)
{
	struct vcma_window *win = opt->win;
	struct vcma_dev *vcma = win->vcma;
	unsigned long now = jiffies, flags;
	struct vcma_lease *lease;
	struct vcma_call *call;
	unsigned int ms;
	int err;

	if (READ_ONCE(vcma->stalled))
		return -ETIMEDOUT;
	/* For the device 0 means a time of its own. */
	ms = time_before(now, until) ? max(jiffies_to_msecs(until - now), 1U) : 1;

	lease = lease_new(win, size);
	call = vcma_call_new(vcma, VIRTIO_CMA_REQ_PLUG, 1);
	if (!lease || !call) {
		err = -ENOMEM;
		goto out_free;
	}
	err = lease_place(lease, opt, want, ret);
	if (err)
		goto out_free;

	vcma_call_range(call, 0, lease);
	call->req->deadline_ms = cpu_to_le32(ms);
	call->complete = plug_complete;
	err = vcma_call_start(call);
	if (err) {
		spin_lock_irqsave(&vcma->lock, flags);
		lease_undo(lease);
		lease_del(lease);
		spin_unlock_irqrestore(&vcma->lock, flags);
		goto out_free;
	}
	/* From here the lease belongs to the list and to plug_complete(). */

	err = vcma_call_wait(call, ms + VCMA_ANSWER_MARGIN_MS);
	spin_lock_irqsave(&vcma->lock, flags);
	if (!call->applied)
		lease_undo(lease);
	else
		err = call->err ? call->err : vcma_call_status(call, 0);
	if (!err && !call->lease[0])
		err = VIRTIO_CMA_S_HOST_ERROR;
	spin_unlock_irqrestore(&vcma->lock, flags);
	vcma_call_put(call);
	return err;

out_free:
	if (call)
		vcma_call_put(call);
	vcma_lease_free(lease);
	return err;
}

/* Is a range of an UNPLUG that was answered without a lease now? */
static bool unplugged(const struct vcma_call *call, unsigned int i)
{
	return vcma_call_status(call, i) == VIRTIO_CMA_S_OK ||
	       vcma_call_state(call, i) == VIRTIO_CMA_UNPLUGGED;
}

static void unplug_complete(struct vcma_call *call)
{
	struct vcma_dev *vcma = call->vcma;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&vcma->lock, flags);
	call->applied = true;
	for (i = 0; i < call->nr; i++) {
		struct vcma_lease *lease = call->lease[i];

		if (call->err || !unplugged(call, i)) {
			lease_set_state(lease, VCMA_LEASE_READY);
			call->lease[i] = NULL;
			continue;
		}
		vcma->reclaimed_bytes += lease->size;
		lease_del(lease);
	}
	vcma_backoff_clear(vcma);
	spin_unlock_irqrestore(&vcma->lock, flags);

	for (i = 0; i < call->nr; i++)
		vcma_lease_free(call->lease[i]);
}

/* Marks an idle lease and adds it to an UNPLUG.  Under vcma->lock. */
static void lease_take_idle(struct vcma_lease *lease, struct vcma_call *call)
{
	lease_set_state(lease, VCMA_LEASE_UNPLUGGING);
	vcma_call_range(call, call->nr++, lease);
}

/*
 * Sends an UNPLUG whose leases were marked by lease_take_idle(), and waits.
 * Returns how many of its leases are gone; what is answered later is gone later.
 */
static unsigned int unplug(struct vcma_call *call, unsigned int ms)
{
	struct vcma_dev *vcma = call->vcma;
	unsigned int i, gone = 0;
	unsigned long flags;

	call->req->num_ranges = cpu_to_le32(call->nr);
	call->complete = unplug_complete;
	if (vcma_call_start(call)) {
		spin_lock_irqsave(&vcma->lock, flags);
		for (i = 0; i < call->nr; i++)
			lease_set_state(call->lease[i], VCMA_LEASE_READY);
		spin_unlock_irqrestore(&vcma->lock, flags);
		return 0;
	}
	if (vcma_call_wait(call, ms))
		return 0;
	for (i = 0; i < call->nr; i++)
		gone += unplugged(call, i);
	return gone;
}

/**
 * vcma_lease_find() - the lease that an event names
 * @vcma: the device; vcma->lock is held
 * @range: from the event
 * @exact: the range has to be all of it
 *
 * Return: the lease, the first if there are several in the range; or NULL.
 */
struct vcma_lease *vcma_lease_find(struct vcma_dev *vcma, const struct virtio_cma_range *range,
				   bool exact)
{
	struct vcma_window *win = vcma_window_find(vcma, le32_to_cpu(range->window));
	u64 offset = le64_to_cpu(range->offset);
	u64 size = le64_to_cpu(range->size);
	struct vcma_lease *lease;

	if (!win || !size || offset >= win->length || size > win->length - offset)
		return NULL;
	lease = lease_in(win, offset, size);
	if (lease && exact && (lease->offset != offset || lease->size != size))
		return NULL;
	return lease;
}

/* An UNPLUG with room for @nr ranges and none in it yet. */
static struct vcma_call *unplug_new(struct vcma_dev *vcma, unsigned int nr)
{
	struct vcma_call *call = vcma_call_new(vcma, VIRTIO_CMA_REQ_UNPLUG, nr);

	if (call)
		call->nr = 0;
	return call;
}

/**
 * vcma_lease_reclaim() - give back what the host asks for, if it is idle
 * @vcma: the device
 * @range: leases, as the host lists them
 * @nr: how many
 * @ms: how long to wait for the host
 *
 * Context: may sleep.
 *
 * Return: how many of them are still there.
 */
unsigned int vcma_lease_reclaim(struct vcma_dev *vcma, const struct virtio_cma_range *range,
				unsigned int nr, unsigned int ms)
{
	struct vcma_call *call = unplug_new(vcma, nr);
	unsigned int i, left = 0;
	unsigned long flags;

	if (!call)
		return nr;

	spin_lock_irqsave(&vcma->lock, flags);
	for (i = 0; i < nr; i++) {
		struct vcma_lease *lease = vcma_lease_find(vcma, &range[i], false);

		if (!lease)
			continue;	/* gone already, or never ours */
		if (vcma_lease_find(vcma, &range[i], true) && lease_is_idle(lease))
			lease_take_idle(lease, call);
		else
			left++;
	}
	spin_unlock_irqrestore(&vcma->lock, flags);

	if (call->nr)
		left += call->nr - unplug(call, ms);
	vcma_call_put(call);
	return left;
}

/* Is it one of those that VCMA_ALL_BANKS, VCMA_BAD_LEASES, or a number mean? */
static bool lease_is_of(const struct vcma_lease *lease, int bank)
{
	switch (bank) {
	case VCMA_ALL_BANKS:
		return true;
	case VCMA_BAD_LEASES:
		return lease->bad;
	default:
		return lease->win->bank == bank;
	}
}

/**
 * vcma_lease_release_idle() - give all idle leases back
 * @vcma: the device
 * @bank: those of this bank only, or VCMA_ALL_BANKS, or VCMA_BAD_LEASES
 * @ms: how long to wait for the host
 *
 * Context: may sleep.
 *
 * Return: bytes that were given back.
 */
u64 vcma_lease_release_idle(struct vcma_dev *vcma, int bank, unsigned int ms)
{
	unsigned long until = jiffies + msecs_to_jiffies(ms), flags;
	struct vcma_lease *lease;
	struct vcma_call *call;
	unsigned int i, nr, gone;
	u64 bytes = 0;

	do {
		call = unplug_new(vcma, VIRTIO_CMA_RANGES_MAX);
		if (!call)
			break;
		spin_lock_irqsave(&vcma->lock, flags);
		for (i = 0; i < vcma->nr_windows; i++)
			list_for_each_entry(lease, &vcma->win[i].leases, node)
				if (call->nr < VIRTIO_CMA_RANGES_MAX && lease_is_idle(lease) &&
				    lease_is_of(lease, bank))
					lease_take_idle(lease, call);
		spin_unlock_irqrestore(&vcma->lock, flags);

		nr = call->nr;
		gone = nr ? unplug(call, ms) : 0;
		for (i = 0; gone && i < nr; i++)
			if (unplugged(call, i))
				bytes += le64_to_cpu(call->req->range[i].size);
		vcma_call_put(call);
	} while (gone && gone == nr && time_before(jiffies, until));
	return bytes;
}

/**
 * vcma_lease_forget_all() - free what is known of a window's leases
 * @win: nothing uses it, and its device is gone
 */
void vcma_lease_forget_all(struct vcma_window *win)
{
	struct vcma_lease *lease, *next;

	list_for_each_entry_safe(lease, next, &win->leases, node) {
		list_del(&lease->node);
		vcma_lease_free(lease);
	}
}
