// SPDX-License-Identifier: GPL-2.0-only
/*
 * ops.c - the dma_map_ops that clients get
 *
 * DOC: Theory of operation
 *
 * Coherent memory comes from vcma; everything else goes on as before.
 *
 * A client that has ops already (it is behind an IOMMU) keeps them: its new ops
 * are a copy in which alloc, free, mmap and get_sgtable are ours.
 *
 * A client without ops is mapped directly by the kernel, with functions that a
 * module cannot call, and does not call for a device that has ops.  So each
 * streaming operation is done for the client's shadow: a struct device of our
 * own, never registered, without ops, that reaches what the client reaches.
 * Masks, bus limit, parameters and translation are copied before each use,
 * because drivers set masks late, and twice.  Coherence is settled before the
 * driver probes.  The addresses that result mean
 * the same for the client, and bounce buffers are of the same pool.
 *
 * There is no struct page for memory in a window.  So dma_get_sgtable() fails
 * for it, and memory that is asked for as pages does not come from there.
 *
 * Streaming maps that the kernel cannot be trusted with are in bounce.c.  A mask
 * that is too narrow for the kernel's memory is supported all the same if a window
 * lies within it: on arm64 that is every mask of less than 32 bits.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "vcma_client.h"

static struct vcma_client *to_client(struct device *dev)
{
	return container_of(get_dma_ops(dev), struct vcma_client, ops);
}

/**
 * vcma_shadow() - the device that is mapped directly in a client's place
 * @c: a client without previous ops
 *
 * Return: the shadow, in step with the client.
 *
 * Two callers may bring it into step at once: they write the same values.
 */
struct device *vcma_shadow(struct vcma_client *c)
{
	struct device *dev = c->dev, *shadow = c->shadow;

	if (dev->dma_mask) {
		WRITE_ONCE(c->shadow_mask, *dev->dma_mask);
		WRITE_ONCE(shadow->dma_mask, &c->shadow_mask);
	} else {
		WRITE_ONCE(shadow->dma_mask, NULL);
	}
	WRITE_ONCE(shadow->coherent_dma_mask, dev->coherent_dma_mask);
	WRITE_ONCE(shadow->bus_dma_limit, dev->bus_dma_limit);
	WRITE_ONCE(shadow->dma_parms, dev->dma_parms);
	WRITE_ONCE(shadow->dma_range_map, dev->dma_range_map);
#ifdef CONFIG_SWIOTLB
	WRITE_ONCE(shadow->dma_io_tlb_mem, dev->dma_io_tlb_mem);
#endif
	return shadow;
}

static struct device *shadow_of(struct device *dev)
{
	return vcma_shadow(to_client(dev));
}

static void count(struct vcma_client *c, bool fallback)
{
	struct vcma_dev *vcma = vcma_get_live();
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	if (fallback)
		c->fallbacks++;
	else
		c->failures++;
	spin_unlock_irqrestore(&c->lock, flags);
	if (!vcma)
		return;
	atomic64_inc(fallback ? &vcma->fallbacks : &vcma->failures);
	vcma_put(vcma);
}

static void *vcma_op_alloc(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
			   unsigned long attrs)
{
	struct vcma_client *c = to_client(dev);
	struct vcma_range *range;
	void *vaddr = NULL;

	range = vcma_range_alloc(c, size, gfp, attrs);
	if (range) {
		*handle = range->dma;
		return range->vaddr;
	}

	if (!READ_ONCE(vcma_strict) && !vcma_client_has_needs(c)) {
		if (!c->prev)
			vaddr = dma_alloc_attrs(vcma_shadow(c), size, handle, gfp, attrs);
		else if (c->prev->alloc)
			vaddr = c->prev->alloc(dev, size, handle, gfp, attrs);
	}
	count(c, vaddr);
	return vaddr;
}

static void vcma_op_free(struct device *dev, size_t size, void *vaddr, dma_addr_t handle,
			 unsigned long attrs)
{
	struct vcma_client *c = to_client(dev);

	if (vcma_range_free(c, vaddr))
		return;
	if (!c->prev)
		dma_free_attrs(vcma_shadow(c), size, vaddr, handle, attrs);
	else if (c->prev->free)
		c->prev->free(dev, size, vaddr, handle, attrs);
}

static int vcma_op_mmap(struct device *dev, struct vm_area_struct *vma, void *vaddr,
			dma_addr_t handle, size_t size, unsigned long attrs)
{
	struct vcma_client *c = to_client(dev);
	struct vcma_range *range = vcma_range_find(c, vaddr);
	unsigned long off = vma->vm_pgoff;

	if (range) {
		if (off >= range->pages || vma_pages(vma) > range->pages - off)
			return -ENXIO;
		return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(range->phys) + off,
				       vma_pages(vma) << PAGE_SHIFT, vma->vm_page_prot);
	}
	if (!c->prev)
		return dma_mmap_attrs(vcma_shadow(c), vma, vaddr, handle, size, attrs);
	if (!c->prev->mmap)
		return -ENXIO;
	return c->prev->mmap(dev, vma, vaddr, handle, size, attrs);
}

static int vcma_op_get_sgtable(struct device *dev, struct sg_table *sgt, void *vaddr,
			       dma_addr_t handle, size_t size, unsigned long attrs)
{
	struct vcma_client *c = to_client(dev);

	if (vcma_range_find(c, vaddr)) {
		if (!test_and_set_bit(VCMA_TOLD_SGTABLE, &c->told_once))
			dev_info(dev, "dma_get_sgtable() fails: memory in a window has no struct page\n");
		return -ENXIO;
	}
	if (!c->prev)
		return dma_get_sgtable_attrs(vcma_shadow(c), sgt, vaddr, handle, size, attrs);
	if (!c->prev->get_sgtable)
		return -ENXIO;
	return c->prev->get_sgtable(dev, sgt, vaddr, handle, size, attrs);
}

/* --- what follows is for clients without previous ops --- */

static struct page *shadow_alloc_pages(struct device *dev, size_t size, dma_addr_t *handle,
				       enum dma_data_direction dir, gfp_t gfp)
{
	struct vcma_client *c = to_client(dev);

	/* Pages are the kernel's memory (I5). */
	if (vcma_client_has_needs(c))
		return NULL;
	return dma_alloc_pages(vcma_shadow(c), size, handle, dir, gfp);
}

static void shadow_free_pages(struct device *dev, size_t size, struct page *page,
			      dma_addr_t handle, enum dma_data_direction dir)
{
	dma_free_pages(shadow_of(dev), size, page, handle, dir);
}

static dma_addr_t shadow_map_page(struct device *dev, struct page *page, unsigned long offset,
				  size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	return vcma_bounce_map(to_client(dev), page, offset, size, dir, attrs);
}

static void shadow_unmap_page(struct device *dev, dma_addr_t addr, size_t size,
			      enum dma_data_direction dir, unsigned long attrs)
{
	struct vcma_client *c = to_client(dev);

	if (!vcma_bounce_unmap(c, addr, dir, attrs))
		dma_unmap_page_attrs(vcma_shadow(c), addr, size, dir, attrs);
}

static int shadow_map_sg(struct device *dev, struct scatterlist *sg, int nents,
			 enum dma_data_direction dir, unsigned long attrs)
{
	return vcma_bounce_map_sg(to_client(dev), sg, nents, dir, attrs);
}

static void shadow_unmap_sg(struct device *dev, struct scatterlist *sg, int nents,
			    enum dma_data_direction dir, unsigned long attrs)
{
	vcma_bounce_unmap_sg(to_client(dev), sg, nents, dir, attrs);
}

static dma_addr_t shadow_map_resource(struct device *dev, phys_addr_t phys, size_t size,
				      enum dma_data_direction dir, unsigned long attrs)
{
	struct vcma_client *c = to_client(dev);

	if (!vcma_bounce_resource_ok(c, phys, size))
		return DMA_MAPPING_ERROR;
	return dma_map_resource(vcma_shadow(c), phys, size, dir, attrs);
}

static void shadow_unmap_resource(struct device *dev, dma_addr_t addr, size_t size,
				  enum dma_data_direction dir, unsigned long attrs)
{
	dma_unmap_resource(shadow_of(dev), addr, size, dir, attrs);
}

static void shadow_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
				       enum dma_data_direction dir)
{
	struct vcma_client *c = to_client(dev);

	if (!vcma_bounce_sync(c, addr, size, dir, false))
		dma_sync_single_for_cpu(vcma_shadow(c), addr, size, dir);
}

static void shadow_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
					  enum dma_data_direction dir)
{
	struct vcma_client *c = to_client(dev);

	if (!vcma_bounce_sync(c, addr, size, dir, true))
		dma_sync_single_for_device(vcma_shadow(c), addr, size, dir);
}

static void shadow_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl, int nents,
				   enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i)
		shadow_sync_single_for_cpu(dev, sg_dma_address(sg), sg->length, dir);
}

static void shadow_sync_sg_for_device(struct device *dev, struct scatterlist *sgl, int nents,
				      enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i)
		shadow_sync_single_for_device(dev, sg_dma_address(sg), sg->length, dir);
}

/* The kernel's own check is not for modules; setting a mask makes it. */
static int shadow_dma_supported(struct device *dev, u64 mask)
{
	struct vcma_client *c = to_client(dev);

	return vcma_bounce_mask(c, mask, !dma_set_coherent_mask(vcma_shadow(c), mask));
}

static u64 shadow_get_required_mask(struct device *dev)
{
	return dma_get_required_mask(shadow_of(dev));
}

static size_t shadow_max_mapping_size(struct device *dev)
{
	return vcma_bounce_max(to_client(dev));
}

/* No opt_mapping_size and get_merge_boundary: without ops there are none. */
static const struct dma_map_ops shadow_ops = {
	.alloc_pages = shadow_alloc_pages,
	.free_pages = shadow_free_pages,
	.map_page = shadow_map_page,
	.unmap_page = shadow_unmap_page,
	.map_sg = shadow_map_sg,
	.unmap_sg = shadow_unmap_sg,
	.map_resource = shadow_map_resource,
	.unmap_resource = shadow_unmap_resource,
	.sync_single_for_cpu = shadow_sync_single_for_cpu,
	.sync_single_for_device = shadow_sync_single_for_device,
	.sync_sg_for_cpu = shadow_sync_sg_for_cpu,
	.sync_sg_for_device = shadow_sync_sg_for_device,
	.dma_supported = shadow_dma_supported,
	.get_required_mask = shadow_get_required_mask,
	.max_mapping_size = shadow_max_mapping_size,
};

/* --- and this for clients that may have no memory at all --- */

static void *barred_alloc(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
			  unsigned long attrs)
{
	return NULL;
}

static dma_addr_t barred_map_page(struct device *dev, struct page *page, unsigned long offset,
				  size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	return DMA_MAPPING_ERROR;
}

static int barred_map_sg(struct device *dev, struct scatterlist *sg, int nents,
			 enum dma_data_direction dir, unsigned long attrs)
{
	return -EIO;
}

static dma_addr_t barred_map_resource(struct device *dev, phys_addr_t phys, size_t size,
				      enum dma_data_direction dir, unsigned long attrs)
{
	return DMA_MAPPING_ERROR;
}

/* A driver that asks learns it early. */
static int barred_dma_supported(struct device *dev, u64 mask)
{
	return 0;
}

static const struct dma_map_ops barred_ops = {
	.alloc = barred_alloc,
	.map_page = barred_map_page,
	.map_sg = barred_map_sg,
	.map_resource = barred_map_resource,
	.dma_supported = barred_dma_supported,
};

static void shadow_release(struct device *shadow)
{
	kfree(shadow);
}

static int shadow_new(struct vcma_client *c)
{
	struct device *shadow = kzalloc(sizeof(*shadow), GFP_KERNEL);
	int err;

	if (!shadow)
		return -ENOMEM;
	device_initialize(shadow);
	shadow->release = shadow_release;
	set_dev_node(shadow, dev_to_node(c->dev));
#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	shadow->dma_coherent = c->dev->dma_coherent;
#endif
	err = dev_set_name(shadow, "vcma-shadow-%s", dev_name(c->dev));
	if (err) {
		put_device(shadow);
		return err;
	}
	c->shadow = shadow;
	return 0;
}

/**
 * vcma_ops_init() - make the ops of a client
 * @c: with its device
 *
 * Return: 0 or -ENOMEM.
 */
int vcma_ops_init(struct vcma_client *c)
{
	int err;

	c->own_ops = c->dev->dma_ops;
	c->prev = get_dma_ops(c->dev);
	if (c->barred) {
		c->ops = barred_ops;
		return 0;
	}
	if (c->prev) {
		c->ops = *c->prev;
	} else {
		err = shadow_new(c);
		if (err)
			return err;
		c->ops = shadow_ops;
	}
	c->ops.alloc = vcma_op_alloc;
	c->ops.free = vcma_op_free;
	c->ops.mmap = vcma_op_mmap;
	c->ops.get_sgtable = vcma_op_get_sgtable;
	return 0;
}

/**
 * vcma_ops_fini() - free what vcma_ops_init() has made
 * @c: nobody uses its ops any more; may be half-built
 */
void vcma_ops_fini(struct vcma_client *c)
{
	if (c->shadow) {
		c->shadow->dma_mask = NULL;
		c->shadow->dma_parms = NULL;
		c->shadow->dma_range_map = NULL;
		put_device(c->shadow);
		c->shadow = NULL;
	}
}
