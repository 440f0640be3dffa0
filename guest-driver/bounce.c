// SPDX-License-Identifier: GPL-2.0-only
/*
 * bounce.c - streaming maps of memory that a client's device cannot use
 *
 * DOC: Theory of operation
 *
 * The kernel knows nothing of forbidden address bits and banks, and what it maps
 * for a client that has them may be memory that the device cannot use (I5).  So
 * for such a client a streaming map of memory that is good for the device goes on
 * as before, and any other is bounced: the device gets a range, the data are
 * copied into it when the caller maps it or syncs it for the device, and back when
 * it syncs for the CPU or unmaps.  Memory of a bank is in that bank's windows only,
 * which have no struct page: for a client with a bank every map is bounced.
 *
 * The same is done for other clients where the kernel itself has no way: memory that
 * the device does not reach, and no bounce buffers (swiotlb), or a mask of less than
 * 32 bits, so that it may not reach those either.
 *
 * Streaming maps may be made in atomic context, so they are served from leases that
 * are there (and mapped); without one with room the map fails, and one is asked for
 * in the background.  The first is asked for when the driver sets a mask that will
 * need it.
 *
 * A bounced address has the same offset in a page as the memory has, or in more than
 * a page if the device has said so (min_align_mask): NVMe relies on that.  The whole
 * of a map is copied in, whatever its direction: a device that writes less than the
 * caller has mapped leaves the rest as it was.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-direct.h>
#include <linux/highmem.h>
#include <linux/memremap.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "vcma_client.h"

/* No single map that is bounced need be larger: what drivers are told. */
#define BOUNCE_MAX SZ_256K

/**
 * struct vcma_bounce - a streaming map that is bounced
 * @node: in client->bounces, by @dma
 * @range: what the device uses; mapped
 * @vaddr: its first byte of the map for the CPU
 * @dma: and for the device
 * @phys: of the caller's memory, which has a struct page
 * @size: bytes
 */
struct vcma_bounce {
	struct rb_node node;
	struct vcma_range *range;
	void *vaddr;
	dma_addr_t dma;
	phys_addr_t phys;
	size_t size;
};

/* What the device reaches with streaming maps. */
static void streaming_reach(struct vcma_client *c, u64 mask, u64 boundary,
			    struct vcma_reach *ret)
{
	vcma_reach_init(ret, mask, c->dev->bus_dma_limit, boundary, c->forbidden);
}

static u64 streaming_mask(const struct vcma_client *c)
{
	return c->dev->dma_mask ? *c->dev->dma_mask : 0;
}

/* Can the kernel bounce for a device with this streaming mask, and does it get there? */
static bool kernel_bounces(struct device *shadow, u64 mask)
{
	/* Without bounce buffers there is no limit. */
	return mask >= DMA_BIT_MASK(32) && dma_max_mapping_size(shadow) != SIZE_MAX;
}

static void bounce_want(struct vcma_want *want, struct vcma_client *c, u64 mask, size_t bytes,
			enum vcma_mapping mapping)
{
	vcma_want_init(want, c, bytes, mapping);
	streaming_reach(c, mask, (u64)dma_get_seg_boundary(c->dev) + 1, &want->reach);
	want->align = max_t(u64, PAGE_SIZE, (u64)dma_get_min_align_mask(c->dev) + 1);
}

/**
 * vcma_bounce_mask() - a driver sets a mask
 * @c: the client
 * @mask: the mask
 * @supported: the kernel has memory for it
 *
 * Return: can the client have memory within it, from the kernel or from a window?
 */
bool vcma_bounce_mask(struct vcma_client *c, u64 mask, bool supported)
{
	struct vcma_want want;
	struct vcma_dev *vcma;
	struct vcma_choice choice;
	bool within;

	if (supported && !vcma_client_has_needs(c) &&
	    (mask >= dma_get_required_mask(c->shadow) || kernel_bounces(c->shadow, mask)))
		return true;
	vcma = vcma_get_live();
	if (!vcma)
		return supported;

	bounce_want(&want, c, mask, PAGE_SIZE, VCMA_MAP_LATER);
	within = vcma_choose(&choice, vcma, c, &want) == VCMA_SERVED;
	if (within)
		vcma_warm_up(c, vcma, &want);
	vcma_put(vcma);
	return supported || within;
}

/**
 * vcma_bounce_max() - the largest map that a driver should make
 * @c: the client
 *
 * Return: bytes; SIZE_MAX if there is no limit.
 */
size_t vcma_bounce_max(struct vcma_client *c)
{
	struct device *shadow = vcma_shadow(c);
	size_t kernel = dma_max_mapping_size(shadow);
	u64 max = BOUNCE_MAX;

	if (!vcma_client_has_needs(c) &&
	    (!dma_addressing_limited(shadow) || kernel_bounces(shadow, streaming_mask(c))))
		return kernel;
	/* A range crosses no multiple of the lowest forbidden bit. */
	if (c->forbidden)
		max = min(max, 1ULL << __ffs64(c->forbidden));
	/* The map may begin anywhere in its first page. */
	max = max > PAGE_SIZE ? max - PAGE_SIZE : PAGE_SIZE;
	return min_t(u64, kernel, max);
}

/* Copies @len bytes at @offset of the map: to the device, or from it. */
static void bounce_copy(const struct vcma_bounce *b, size_t offset, size_t len, bool to_device)
{
	while (len) {
		phys_addr_t phys = b->phys + offset;
		size_t part = min_t(size_t, len, PAGE_SIZE - offset_in_page(phys));
		void *page = kmap_local_page(pfn_to_page(PHYS_PFN(phys)));
		void *memory = page + offset_in_page(phys);

		if (to_device)
			memcpy(b->vaddr + offset, memory, part);
		else
			memcpy(memory, b->vaddr + offset, part);
		kunmap_local(page);
		offset += part;
		len -= part;
	}
}

static void bounce_insert(struct vcma_client *c, struct vcma_bounce *b)
{
	struct rb_node **link = &c->bounces.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (b->dma < rb_entry(parent, struct vcma_bounce, node)->dma)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&b->node, parent, link);
	rb_insert_color(&b->node, &c->bounces);
}

/* The bounced map that has the byte at @dma, or NULL.  Under c->lock. */
static struct vcma_bounce *bounce_lookup(struct vcma_client *c, dma_addr_t dma)
{
	struct rb_node *node = c->bounces.rb_node;

	while (node) {
		struct vcma_bounce *b = rb_entry(node, struct vcma_bounce, node);

		if (dma < b->dma)
			node = node->rb_left;
		else if (dma - b->dma >= b->size)
			node = node->rb_right;
		else
			return b;
	}
	return NULL;
}

/* Good until its owner, the caller of the DMA API, unmaps it. */
static struct vcma_bounce *bounce_find(struct vcma_client *c, dma_addr_t dma)
{
	struct vcma_bounce *b;
	unsigned long flags;

	/* The caller has mapped what it asks for, so if it was bounced this is seen. */
	if (RB_EMPTY_ROOT(&c->bounces))
		return NULL;
	spin_lock_irqsave(&c->lock, flags);
	b = bounce_lookup(c, dma);
	spin_unlock_irqrestore(&c->lock, flags);
	return b;
}

static void count_bounce(struct vcma_client *c, struct vcma_bounce *b)
{
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	if (b) {
		bounce_insert(c, b);
		c->bounced++;
		c->bounced_bytes += b->size;
	} else {
		c->bounce_failures++;
	}
	spin_unlock_irqrestore(&c->lock, flags);
}

static dma_addr_t bounce_map(struct vcma_client *c, phys_addr_t phys, size_t size)
{
	size_t pad = phys & max_t(u64, ~PAGE_MASK, dma_get_min_align_mask(c->dev));
	struct vcma_bounce *b = NULL;
	struct vcma_want want;

	if (!size || size > SIZE_MAX / 2 - pad || !streaming_mask(c))
		goto out_fail;
	b = kzalloc(sizeof(*b), GFP_ATOMIC);
	if (!b)
		goto out_fail;
	bounce_want(&want, c, streaming_mask(c), pad + size, VCMA_MAP_NOW);
	b->range = vcma_range_take(c, &want, GFP_ATOMIC, false);
	if (!b->range)
		goto out_fail;

	b->vaddr = b->range->vaddr + pad;
	b->dma = b->range->dma + pad;
	b->phys = phys;
	b->size = size;
	bounce_copy(b, 0, size, true);
	count_bounce(c, b);
	return b->dma;

out_fail:
	kfree(b);
	count_bounce(c, NULL);
	return DMA_MAPPING_ERROR;
}

/* Good for the device as it is? */
static bool is_good(struct vcma_client *c, dma_addr_t dma, size_t size)
{
	struct vcma_reach reach;

	streaming_reach(c, streaming_mask(c), 0, &reach);
	return dma != DMA_MAPPING_ERROR && vcma_reach_ok(&reach, dma, size);
}

/* Is there no other way for this memory? */
static bool must_bounce(struct vcma_client *c, struct device *shadow, phys_addr_t phys,
			size_t size)
{
	if (c->bank)
		return true;
	if (is_good(c, phys_to_dma(shadow, phys), size))
		return false;
	return c->forbidden || !kernel_bounces(shadow, streaming_mask(c));
}

/**
 * vcma_bounce_map() - map memory, and bounce if need be
 * @c: a client without previous ops
 * @page: the memory
 * @offset: in it
 * @size: bytes
 * @dir: direction
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 *
 * Return: an address that is good for the device, or DMA_MAPPING_ERROR.
 */
dma_addr_t vcma_bounce_map(struct vcma_client *c, struct page *page, unsigned long offset,
			   size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	struct device *shadow = vcma_shadow(c);
	phys_addr_t phys = page_to_phys(page) + offset;
	dma_addr_t dma;

	if (!must_bounce(c, shadow, phys, size)) {
		dma = dma_map_page_attrs(shadow, page, offset, size, dir, attrs);
		if (!c->forbidden || dma == DMA_MAPPING_ERROR || is_good(c, dma, size))
			return dma;
		/* The kernel has bounced it, to where the device does not get. */
		dma_unmap_page_attrs(shadow, dma, size, dir, attrs | DMA_ATTR_SKIP_CPU_SYNC);
	}
	/* Another device's registers are not copied. */
	return is_pci_p2pdma_page(page) ? DMA_MAPPING_ERROR : bounce_map(c, phys, size);
}

/**
 * vcma_bounce_unmap() - unmap what may be bounced
 * @c: the client
 * @dma: the map's address
 * @dir: direction
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 *
 * Return: false if it is not bounced: the kernel has mapped it.
 */
bool vcma_bounce_unmap(struct vcma_client *c, dma_addr_t dma, enum dma_data_direction dir,
		       unsigned long attrs)
{
	struct vcma_bounce *b = bounce_find(c, dma);
	unsigned long flags;

	if (!b)
		return false;
	if (!(attrs & DMA_ATTR_SKIP_CPU_SYNC) && dir != DMA_TO_DEVICE)
		bounce_copy(b, 0, b->size, false);
	spin_lock_irqsave(&c->lock, flags);
	rb_erase(&b->node, &c->bounces);
	spin_unlock_irqrestore(&c->lock, flags);
	vcma_range_free(c, b->range->vaddr);
	kfree(b);
	return true;
}

/**
 * vcma_bounce_sync() - the data of a map, or of a part of it, change hands
 * @c: the client
 * @dma: first byte, anywhere in the map
 * @size: bytes
 * @dir: direction
 * @for_device: they go to the device; else to the CPU
 *
 * Context: any.
 *
 * Return: false if it is not bounced: the kernel has mapped it.
 */
bool vcma_bounce_sync(struct vcma_client *c, dma_addr_t dma, size_t size,
		      enum dma_data_direction dir, bool for_device)
{
	struct vcma_bounce *b = bounce_find(c, dma);
	size_t offset;

	if (!b)
		return false;
	offset = dma - b->dma;
	if (dir != (for_device ? DMA_FROM_DEVICE : DMA_TO_DEVICE))
		bounce_copy(b, offset, min(size, b->size - offset), for_device);
	return true;
}

static bool must_bounce_sg(struct vcma_client *c, struct device *shadow,
			   struct scatterlist *sgl, int nents)
{
	struct scatterlist *sg;
	int i;

	/* Then each map is looked at when it is made. */
	if (vcma_client_has_needs(c))
		return true;
	for_each_sg(sgl, sg, nents, i)
		if (must_bounce(c, shadow, sg_phys(sg), sg->length))
			return true;
	return false;
}

/**
 * vcma_bounce_map_sg() - as vcma_bounce_map() for a list
 * @c: a client without previous ops
 * @sgl: the list
 * @nents: its entries
 * @dir: direction
 * @attrs: DMA_ATTR_*
 *
 * Return: how many entries are mapped; or -errno, and nothing is.
 */
int vcma_bounce_map_sg(struct vcma_client *c, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs)
{
	/* Unlike dma_map_sg_attrs() the one for tables says why it fails. */
	struct sg_table table = { .sgl = sgl, .nents = nents, .orig_nents = nents };
	struct device *shadow = vcma_shadow(c);
	struct scatterlist *sg;
	int i, err;

	if (!must_bounce_sg(c, shadow, sgl, nents)) {
		err = dma_map_sgtable(shadow, &table, dir, attrs);
		return err ? err : table.nents;
	}
	for_each_sg(sgl, sg, nents, i) {
		sg->dma_address = vcma_bounce_map(c, sg_page(sg), sg->offset, sg->length, dir,
						  attrs);
		if (sg->dma_address == DMA_MAPPING_ERROR) {
			vcma_bounce_unmap_sg(c, sgl, i, dir, attrs | DMA_ATTR_SKIP_CPU_SYNC);
			return -EIO;
		}
		sg_dma_len(sg) = sg->length;
	}
	return nents;
}

/**
 * vcma_bounce_unmap_sg() - undo vcma_bounce_map_sg()
 * @c: the client
 * @sgl: the list
 * @nents: its entries
 * @dir: direction
 * @attrs: DMA_ATTR_*
 */
void vcma_bounce_unmap_sg(struct vcma_client *c, struct scatterlist *sgl, int nents,
			  enum dma_data_direction dir, unsigned long attrs)
{
	struct device *shadow = vcma_shadow(c);
	struct scatterlist *sg;
	int i;

	if (!vcma_client_has_needs(c) && RB_EMPTY_ROOT(&c->bounces)) {
		dma_unmap_sg_attrs(shadow, sgl, nents, dir, attrs);
		return;
	}
	for_each_sg(sgl, sg, nents, i)
		if (!vcma_bounce_unmap(c, sg_dma_address(sg), dir, attrs))
			dma_unmap_page_attrs(shadow, sg_dma_address(sg), sg_dma_len(sg), dir,
					     attrs);
}

/**
 * vcma_bounce_resource_ok() - may a client map another device's registers?
 * @c: the client
 * @phys: where they are
 * @size: bytes
 *
 * Return: false if its device does not get there.  There is no bouncing of those.
 */
bool vcma_bounce_resource_ok(struct vcma_client *c, phys_addr_t phys, size_t size)
{
	return !vcma_client_has_needs(c) || is_good(c, phys, size);
}
