// SPDX-License-Identifier: GPL-2.0-only
/*
 * range.c - ranges: what clients have allocated
 *
 * DOC: Theory of operation
 *
 * A range is room in a lease (alloc.c) with two addresses: the client's device
 * uses one, the CPU the other, and by the CPU's the client knows the range.
 * With DMA_ATTR_NO_KERNEL_MAPPING the client gets a cookie that says which range
 * it is, and is no address of the memory: the same on every architecture.
 *
 * Behind an IOMMU the range is mapped like a resource, and the IOMMU driver
 * chooses the device's address.  A range is unmapped before it is free, and only free
 * ranges' leases are unplugged, so nothing that the host gets back is mapped: a page
 * that were would be pinned for ever.  Where IOTLBs are flushed lazily (iommu.strict=0,
 * the default of many kernels, unless the IOMMU is in caching mode), the IOMMU driver
 * leaves that to a timer of 10 ms, and until then the device may still get there.  So
 * it is done here, once for each range that is freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-direct.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "vcma_client.h"

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

/* The device cannot get to the range any more.  Any context. */
static void range_unmap(struct vcma_client *c, const struct vcma_range *range)
{
#ifdef CONFIG_IOMMU_API
	struct iommu_domain *domain = iommu_get_domain_for_dev(c->dev);
#endif

	if (!c->prev)
		return;
	c->prev->unmap_resource(c->dev, range->dma, (size_t)range->pages << PAGE_SHIFT,
				DMA_BIDIRECTIONAL, 0);
#ifdef CONFIG_IOMMU_API
	/* Lazy: a flush queue has it.  It may be switched on while a driver is bound. */
	if (domain && domain->type == IOMMU_DOMAIN_DMA_FQ)
		iommu_flush_iotlb_all(domain);
#endif
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
	if (!c->prev->map_resource || !c->prev->unmap_resource)
		return false;
	range->dma = c->prev->map_resource(c->dev, range->phys, want->bytes,
					   DMA_BIDIRECTIONAL, 0);
	if (range->dma == DMA_MAPPING_ERROR)
		return false;
	/* The IOMMU driver goes by the streaming mask. */
	vcma_reach_init(&reach, c->dev->coherent_dma_mask, c->dev->bus_dma_limit, 0, 0);
	if (vcma_reach_ok(&reach, range->dma, want->bytes))
		return true;
	range_unmap(c, range);
	return false;
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

/**
 * vcma_range_take() - take a range
 * @c: for whom
 * @want: what it needs; changed if address space is short
 * @gfp: whether the caller may wait
 * @zero: make it zero
 *
 * Context: any, if @gfp says so.
 *
 * Return: the range; or NULL.
 */
struct vcma_range *vcma_range_take(struct vcma_client *c, struct vcma_want *want, gfp_t gfp,
				   bool zero)
{
	struct vcma_range *range;
	struct vcma_place at;
	struct vcma_dev *vcma;
	u64 offset;

	if (READ_ONCE(c->withdrawn))
		return NULL;
	vcma = vcma_get_live();
	if (!vcma)
		return NULL;
	range = kzalloc(sizeof(*range), gfpflags_allow_blocking(gfp) ? GFP_NOIO : GFP_ATOMIC);
	if (!range)
		goto out_put;
	if (!vcma_take(c, vcma, want, gfp, &at))
		goto out_free;

	offset = at.lease->offset + ((u64)at.first << PAGE_SHIFT);
	range->lease = at.lease;
	range->first = at.first;
	range->pages = want->pages;
	range->mapped = at.mapped;
	range->vaddr = at.mapped ? at.lease->vaddr + ((size_t)at.first << PAGE_SHIFT) :
				   (void *)range;
	range->phys = at.lease->win->base + offset;
	if (!range_map(c, range, want))
		goto out_give;

	if (zero && at.zero_from < at.zero_end)
		vcma_map_zero(at.lease, at.mapped, at.zero_from, at.zero_end);
	range_insert(c, range);
	return range;

out_give:
	vcma_lease_give(at.lease, at.first, want->pages, at.mapped);
out_free:
	kfree(range);
out_put:
	vcma_put(vcma);
	return NULL;
}

/**
 * vcma_range_alloc() - allocate a range of coherent memory
 * @c: for whom
 * @size: bytes
 * @gfp: whether the caller may wait
 * @attrs: DMA_ATTR_*
 *
 * Context: any, if @gfp says so.
 *
 * Return: the range, all zero; or NULL.
 */
struct vcma_range *vcma_range_alloc(struct vcma_client *c, size_t size, gfp_t gfp,
				    unsigned long attrs)
{
	struct vcma_range *range;
	struct vcma_want want;
	unsigned long flags;

	if (!size || size > SIZE_MAX / 2 || !c->dev->coherent_dma_mask)
		return NULL;
	vcma_want_init(&want, c, size, mapping_of(gfp, attrs));
	range = vcma_range_take(c, &want, gfp, true);
	if (!range)
		return NULL;

	spin_lock_irqsave(&c->lock, flags);
	c->allocs++;
	spin_unlock_irqrestore(&c->lock, flags);
	atomic64_inc(&range->lease->win->vcma->allocs);
	return range;
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
	range_unmap(c, range);
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
