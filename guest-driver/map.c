// SPDX-License-Identifier: GPL-2.0-only
/*
 * map.c - what the CPU sees of a lease
 *
 * DOC: Theory of operation
 *
 * A 64-bit kernel maps each window once (window.c), and a lease is mapped from
 * the moment it is there.
 *
 * A 32-bit kernel has one or two hundred MiB of address space for all mappings of
 * this kind.  So it maps a lease when the first range is taken in it that needs
 * a mapping, where the caller may sleep.  The lease stays mapped until it has been
 * given back to the host, or until address space runs out and none of its ranges
 * needs the mapping.  Who may not sleep is served from leases that are mapped.
 * Where there is no address space for a lease, a smaller one is tried, and then
 * the allocation gets nothing from vcma.  Each mapping costs its size and, because
 * of the guard page and the alignment that the kernel insists on, up to as much
 * again: leases are smaller there.  A mapping is aligned to its size, but not to
 * more than 2 MiB on i386 and 16 MiB on arm, so what the DMA API says of a larger
 * buffer's alignment is true of its DMA address only.
 *
 * Debian's 6.1 kernel for 32-bit x86 maps the wrong memory above 4 GiB
 * (VCMA_NO_HIGH_REMAP).  So a window there serves no range that needs a mapping;
 * and a device that has registers there cannot be used at all (main.c).
 *
 * A range without a mapping (DMA_ATTR_NO_KERNEL_MAPPING) needs none even to be
 * made zero: that is done page by page through the kernel's local mappings, in
 * any context.  All these mappings are cached alike.
 *
 * An answer to UNPLUG comes in an interrupt, and unmapping sleeps: it is work.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/llist.h>
#include <linux/string.h>

#include "virtio_cma.h"

static LLIST_HEAD(unmap_list);

static void unmap_work_fn(struct work_struct *work)
{
	struct vcma_lease *lease, *next;

	llist_for_each_entry_safe(lease, next, llist_del_all(&unmap_list), unmap) {
		memunmap(lease->vaddr);
		lease->vaddr = NULL;
		vcma_lease_free(lease);
	}
}
static DECLARE_WORK(unmap_work, unmap_work_fn);

/**
 * vcma_map_drop() - unmap a lease and free it
 * @lease: in no list, used by nobody
 *
 * Context: any.
 *
 * Return: false if it has no mapping of its own: there is nothing to do here.
 */
bool vcma_map_drop(struct vcma_lease *lease)
{
	if (!VCMA_MAP_LEASES || !lease->vaddr)
		return false;
	if (llist_add(&lease->unmap, &unmap_list))
		queue_work(vcma_wq, &unmap_work);
	return true;
}

/**
 * vcma_map_fini() - wait until all that was dropped is unmapped
 *
 * Context: process.
 */
void vcma_map_fini(void)
{
	flush_work(&unmap_work);
}

/* A lease whose mapping nobody needs loses it: the mapping, or NULL.  Under vcma->lock. */
static void *take_unneeded(struct vcma_dev *vcma)
{
	struct vcma_lease *lease;
	unsigned int i;
	void *vaddr;

	for (i = 0; i < vcma->nr_windows; i++) {
		list_for_each_entry(lease, &vcma->win[i].leases, node) {
			if (!lease->vaddr || lease->nr_mapped ||
			    lease->state != VCMA_LEASE_READY)
				continue;
			vaddr = lease->vaddr;
			lease->vaddr = NULL;
			return vaddr;
		}
	}
	return NULL;
}

/* Makes address space free.  Under vcma->map_mutex. */
static bool trim(struct vcma_dev *vcma)
{
	unsigned long flags;
	bool some = false;
	void *vaddr;

	for (;;) {
		spin_lock_irqsave(&vcma->lock, flags);
		vaddr = take_unneeded(vcma);
		spin_unlock_irqrestore(&vcma->lock, flags);
		if (!vaddr)
			return some;
		memunmap(vaddr);
		some = true;
	}
}

/**
 * vcma_map_lease() - map a lease, if it is not mapped
 * @lease: the caller has a range in it that needs the mapping
 *
 * Context: may sleep.
 *
 * Return: false if there is no address space for it.
 */
bool vcma_map_lease(struct vcma_lease *lease)
{
	struct vcma_dev *vcma = lease->win->vcma;
	phys_addr_t base = lease->win->base + lease->offset;
	unsigned long flags;
	void *vaddr;

	if (READ_ONCE(lease->vaddr))
		return true;

	mutex_lock(&vcma->map_mutex);
	vaddr = lease->vaddr;
	if (!vaddr) {
		vaddr = memremap(base, lease->size, MEMREMAP_WB);
		if (!vaddr && trim(vcma))
			vaddr = memremap(base, lease->size, MEMREMAP_WB);
		spin_lock_irqsave(&vcma->lock, flags);
		lease->vaddr = vaddr;
		spin_unlock_irqrestore(&vcma->lock, flags);
	}
	mutex_unlock(&vcma->map_mutex);
	return vaddr;
}

/**
 * vcma_map_zero() - make pages of a lease zero
 * @lease: the caller has them in a range
 * @mapped: the range needs the mapping, so the lease has it
 * @first: first page
 * @end: behind the last one
 *
 * Context: any.
 */
void vcma_map_zero(struct vcma_lease *lease, bool mapped, unsigned long first,
		   unsigned long end)
{
#if !VCMA_MAP_LEASES || !defined(CONFIG_HIGHMEM)
	memset(lease->vaddr + (first << PAGE_SHIFT), 0, (end - first) << PAGE_SHIFT);
#else
	unsigned long pfn = PHYS_PFN(lease->win->base + lease->offset);

	if (mapped) {
		memset(lease->vaddr + (first << PAGE_SHIFT), 0, (end - first) << PAGE_SHIFT);
		return;
	}
	/* Its mapping, if there is one, may go at any time. */
	for (; first < end; first++) {
		void *vaddr = kmap_local_pfn(pfn + first);

		memset(vaddr, 0, PAGE_SIZE);
		kunmap_local(vaddr);
	}
#endif
}
