// SPDX-License-Identifier: GPL-2.0-only
/*
 * choose.c - which windows will do for an allocation, and in which order
 *
 * DOC: Theory of operation
 *
 * What a client can reach is computed at each allocation, because drivers set
 * their masks late, and twice: min_not_zero(coherent_dma_mask, bus_dma_limit),
 * the segment boundary, and the address bits that the administrator has
 * forbidden for it (I5).  A window will do if it is of the client's bank, and
 * if, empty, it had a place for the allocation.  Those that do are tried from
 * the highest address downwards (I6).
 *
 * An allocation that could be served higher up has to leave a part of each
 * lower window free, for those who can go nowhere else: vcma_zone_reserve().
 * Free is what is in no range; idle leases count as free.  So the first window
 * in the order has no reserve, and a client that reaches one window only may
 * have all of it.
 *
 * Windows that the operator calls high memory are tried first for allocations
 * without a kernel mapping, and on a 32-bit kernel last for all others.
 *
 * Behind an IOMMU the client's address is one that the IOMMU driver chooses,
 * so every window will do.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-direct.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/sizes.h>

#include "vcma_client.h"

static unsigned int lowmem_reserve_ratio = 32;
module_param(lowmem_reserve_ratio, uint, 0644);
MODULE_PARM_DESC(lowmem_reserve_ratio, "who can use higher windows leaves 1/N of their size free in a lower one (default 32; 0: nothing)");

/**
 * vcma_want_init() - what an allocation needs
 * @want: written in full
 * @c: for whom
 * @size: bytes
 * @mapping: what it needs of the CPU's mapping
 */
void vcma_want_init(struct vcma_want *want, struct vcma_client *c, size_t size,
		    enum vcma_mapping mapping)
{
	struct device *dev = c->dev;
	u64 boundary = (u64)dma_get_seg_boundary(dev) + 1;

	if (c->prev)
		vcma_reach_init(&want->reach, 0, 0, 0, 0);
	else
		vcma_reach_init(&want->reach, dev->coherent_dma_mask, dev->bus_dma_limit,
				boundary, c->forbidden);
	want->bytes = PAGE_ALIGN(size);
	want->pages = want->bytes >> PAGE_SHIFT;
	want->align = (u64)PAGE_SIZE << get_order(size);
	want->mapping = mapping;
	want->map_max = ~0ULL;
}

/*
 * A window as the client sees it.  A device may see memory elsewhere than the
 * CPU does; what is not in one piece for it is no window for it.
 */
static bool window_span(struct vcma_client *c, const struct vcma_window *win,
			struct vcma_span *ret)
{
	dma_addr_t first = win->base, last;

	if (!c->prev) {
		struct device *shadow = vcma_shadow(c);

		first = phys_to_dma(shadow, win->base);
		last = phys_to_dma(shadow, win->base + win->length - 1);
		if (first == DMA_MAPPING_ERROR || last != first + win->length - 1)
			return false;
	}
	ret->base = first;
	ret->size = win->length;
	return true;
}

/* Has the window, when it is empty, a place for @want? */
static bool would_do(const struct vcma_span *span, const struct vcma_want *want)
{
	return vcma_reach_place(&want->reach, span->base, span->base + span->size,
				want->bytes, want->align) != VCMA_NO_ADDR;
}

/*
 * Windows that the operator has meant for high memory are the first for those who
 * need no mapping, and the last for others where mappings are scarce.
 */
static void sort_high(struct vcma_choice *choice, bool first)
{
	struct vcma_option sorted[VIRTIO_CMA_WINDOWS_MAX];
	unsigned int i, pass, n = 0;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < choice->nr; i++)
			if ((choice->opt[i].win->zone == VIRTIO_CMA_ZONE_HIGHMEM) ==
			    (first == !pass))
				sorted[n++] = choice->opt[i];
	memcpy(choice->opt, sorted, n * sizeof(sorted[0]));
}

/**
 * vcma_choose() - find the windows that will do
 * @choice: written in full
 * @vcma: the device
 * @c: for whom
 * @want: what the allocation needs
 *
 * Return: VCMA_SERVED if there are some; else why not, and @choice is empty.
 */
enum vcma_reason vcma_choose(struct vcma_choice *choice, struct vcma_dev *vcma,
			     struct vcma_client *c, const struct vcma_want *want)
{
	unsigned int ratio = READ_ONCE(lowmem_reserve_ratio);
	struct vcma_span span[VIRTIO_CMA_WINDOWS_MAX];
	unsigned int idx[VIRTIO_CMA_WINDOWS_MAX], order[VIRTIO_CMA_WINDOWS_MAX];
	unsigned int i, nr = 0;
	bool reached = false, unmappable = false;

	choice->nr = 0;
	for (i = 0; i < vcma->nr_windows; i++) {
		const struct vcma_window *win = &vcma->win[i];

		if (win->state != VCMA_WINDOW_USABLE || win->bank != c->bank ||
		    !window_span(c, win, &span[nr]))
			continue;
		if (want->mapping != VCMA_MAP_NONE && !vcma_window_mappable(win)) {
			unmappable = true;
			continue;
		}
		reached |= vcma_reach_bytes(&want->reach, &span[nr]) >= PAGE_SIZE;
		if (would_do(&span[nr], want))
			idx[nr++] = i;
	}
	nr = vcma_zone_order(span, nr, &want->reach, order);
	if (!nr && unmappable)
		return VCMA_UNMAPPED;
	if (!nr)
		return reached ? VCMA_TOO_LARGE : VCMA_NO_WINDOW;

	choice->nr = nr;
	for (i = 0; i < nr; i++) {
		struct vcma_option *opt = &choice->opt[i];

		opt->win = &vcma->win[idx[order[i]]];
		opt->span = span[order[i]];
		opt->reserve = vcma_zone_reserve(span, order, i, ratio);
		opt->refused = false;
	}
	if (want->mapping == VCMA_MAP_NONE)
		sort_high(choice, true);
	else if (VCMA_MAP_LEASES)
		sort_high(choice, false);
	return VCMA_SERVED;
}

/**
 * vcma_window_reserve() - what a client that reaches everything leaves free
 * @win: of this window
 *
 * Return: bytes.
 */
u64 vcma_window_reserve(const struct vcma_window *win)
{
	static const struct vcma_reach all = { .highest = ~0ULL };
	const struct vcma_dev *vcma = win->vcma;
	struct vcma_span span[VIRTIO_CMA_WINDOWS_MAX];
	unsigned int order[VIRTIO_CMA_WINDOWS_MAX];
	unsigned int i, nr = 0, own = VIRTIO_CMA_WINDOWS_MAX;

	for (i = 0; i < vcma->nr_windows; i++) {
		if (vcma->win[i].state != VCMA_WINDOW_USABLE || vcma->win[i].bank != win->bank)
			continue;
		if (&vcma->win[i] == win)
			own = nr;
		span[nr].base = vcma->win[i].base;
		span[nr++].size = vcma->win[i].length;
	}
	nr = vcma_zone_order(span, nr, &all, order);
	for (i = 0; i < nr; i++)
		if (order[i] == own)
			return vcma_zone_reserve(span, order, i, READ_ONCE(lowmem_reserve_ratio));
	return 0;
}

/**
 * vcma_reason_str() - a reason in a few words
 * @reason: not VCMA_SERVED; of VCMA_HOST more is known elsewhere
 *
 * Return: a constant string.
 */
const char *vcma_reason_str(enum vcma_reason reason)
{
	static const char * const str[] = {
		[VCMA_SERVED] = "served",
		[VCMA_NO_WINDOW] = "no window within reach",
		[VCMA_TOO_LARGE] = "too large for the windows within reach",
		[VCMA_RESERVED] = "the rest of the windows is reserved",
		[VCMA_FULL] = "no room in the windows",
		[VCMA_NOT_WARM] = "no room in a lease, and no time to wait",
		[VCMA_HOST] = "no lease from the host",
		[VCMA_UNMAPPED] = "no kernel address space to map it",
	};

	static_assert(ARRAY_SIZE(str) == VCMA_NR_REASONS);
	return str[reason];
}

/* What helps against it. */
static const char *reason_cure(enum vcma_reason reason, const struct vcma_client *c,
			       const struct vcma_want *want)
{
	switch (reason) {
	case VCMA_NO_WINDOW:
	case VCMA_TOO_LARGE:
	case VCMA_FULL:
		if (c->bank)
			return "give the VM a larger window of that bank";
		if (want->reach.highest < SZ_16M)
			return "give the VM a larger one there (dma=SIZE@ADDR)";
		if (want->reach.highest < SZ_4G)
			return "give the VM a larger one there (dma32=SIZE@ADDR)";
		return "give the VM a larger one (normal=SIZE)";
	case VCMA_RESERVED:
		return "enlarge the highest one, or change lowmem_reserve_ratio";
	case VCMA_NOT_WARM:
		return "a lease has been asked for, for the next time";
	case VCMA_UNMAPPED:
		return "give the kernel more (vmalloc=SIZE on its command line), and windows below 4 GiB";
	default:
		return "see above, and vcmactl on the host";
	}
}

/* The first time for a client and a reason; and again when its reach has changed. */
static bool tell(struct vcma_client *c, enum vcma_reason reason, u64 highest)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	unsigned long flags;
	bool told;

	spin_lock_irqsave(&c->lock, flags);
	told = c->told[reason] == highest;
	c->told[reason] = highest;
	spin_unlock_irqrestore(&c->lock, flags);
	return !told && __ratelimit(&limit);
}

/**
 * vcma_explain() - say in the log why an allocation got nothing from vcma
 * @c: who wanted it
 * @vcma: the device
 * @want: what it wanted
 * @reason: why
 *
 * Context: any.
 */
void vcma_explain(struct vcma_client *c, struct vcma_dev *vcma, const struct vcma_want *want,
		  enum vcma_reason reason)
{
	char windows[240] = "none", bits[40] = "";
	unsigned int i;
	int len = 0;

	if (!tell(c, reason, want->reach.highest))
		return;
	for (i = 0; i < vcma->nr_windows; i++) {
		const struct vcma_window *win = &vcma->win[i];

		if (win->bank == c->bank && win->state == VCMA_WINDOW_USABLE)
			len += scnprintf(windows + len, sizeof(windows) - len,
					 "%s%llu MiB at %pa", len ? ", " : "",
					 win->length >> 20, &win->base);
	}
	if (c->forbidden)
		scnprintf(bits, sizeof(bits), " without bits %#llx", c->forbidden);
	dev_info(c->dev,
		 "%llu KiB not from vcma: %s. It reaches up to %#llx%s; windows of bank %u: %s. Cure: %s\n",
		 want->bytes >> 10, vcma_reason_str(reason), want->reach.highest, bits,
		 c->bank, windows, reason_cure(reason, c, want));
}
