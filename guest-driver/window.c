// SPDX-License-Identifier: GPL-2.0-only
/*
 * window.c - the windows of a device: where they are, and their mapping
 *
 * DOC: Theory of operation
 *
 * A window is a part of a BAR, or lies at a fixed address (fixed.c).  Where it
 * is decides which clients can use it: firmware or the kernel has placed the
 * BAR, and the zone that the device states is a name only.
 *
 * Each window is mapped once, or a 32-bit kernel maps each lease when need be
 * (map.c): cached, with memremap(), which takes page tables and no struct page.
 * A 64-bit kernel's mapping has large pages where base and size allow (a window of
 * 4 GiB at a multiple of 1 GiB takes four entries).  Nothing is behind the
 * mapping where no lease is; a speculative load there reads all ones.
 *
 * Cache attributes, on x86: memremap() asks PAT for write-back, and gets that
 * where the MTRRs say write-back.  That is so above 4 GiB, where the default
 * type holds, and for a fixed window, which lies where the MTRRs know RAM.  In
 * between firmware declares the PCI hole uncached, so a 32-bit BAR is mapped
 * UC- there: correct (DMA is coherent either way) and slow if the hypervisor
 * honours guest cache types, which KVM does only when a device without snooping
 * is assigned.  The kernel keeps track of the type, so dma_mmap_coherent() gives
 * user space the same one, never an alias.  On arm64 and arm a mapping has the
 * type that the page tables say: memremap() makes it normal memory, write-back,
 * as RAM is (PROT_NORMAL, MT_MEMORY_RW), and so does remap_pfn_range() with what
 * a user mapping has by default.  No window has another mapping: what is no
 * System RAM is not in the kernel's direct map.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/virtio_config.h>

#include "virtio_cma.h"
#include "zone_map.h"

/* Where a window in a BAR is; claims the BAR. */
static int init_in_bar(struct vcma_window *win, u32 bar, u64 offset)
{
	struct vcma_dev *vcma = win->vcma;
	struct pci_dev *pdev = vcma->pdev;
	u64 bar_size;
	int err;

	if (bar >= PCI_STD_NUM_BARS || !(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
	    !pci_resource_start(pdev, bar)) {
		pr_err("window %u: BAR %u has no address: is there room for it? (QEMU: pci-hole64-size, or a smaller window)\n",
		       win->id, bar);
		return -ENODEV;
	}
	bar_size = pci_resource_len(pdev, bar);
	if (offset > bar_size || win->length > bar_size - offset ||
	    !IS_ALIGNED(offset, PAGE_SIZE)) {
		pr_err("window %u: %#llx bytes at %#llx do not fit into BAR %u of %#llx\n",
		       win->id, win->length, offset, bar, bar_size);
		return -EINVAL;
	}
	win->bar = bar;
	win->base = pci_resource_start(pdev, bar) + offset;

	if (!(vcma->bars & BIT(bar))) {
		err = pci_request_region(pdev, bar, KBUILD_MODNAME);
		if (err) {
			pr_err("window %u: BAR %u is in use\n", win->id, bar);
			return err;
		}
		vcma->bars |= BIT(bar);
	}
	return 0;
}

/* Where a fixed window is; claims it, if it can be used. */
static int init_fixed(struct vcma_window *win, u32 bar, u64 addr)
{
	win->fixed = true;
	win->bar = bar;
	win->base = addr;
	if (bar != VIRTIO_CMA_BAR_NONE || win->base != addr ||
	    !IS_ALIGNED(addr, PAGE_SIZE) || win->length - 1 > ~addr ||
	    !virtio_has_feature(win->vcma->vdev, VIRTIO_CMA_F_FIXED)) {
		pr_err("window %u: %#llx bytes at %#llx, BAR %#x: no fixed window can be like that\n",
		       win->id, win->length, addr, bar);
		return -EINVAL;
	}
	vcma_fixed_claim(win);
	return 0;
}

/* Checks what the device says about a window, and finds out where it is. */
static int window_init(struct vcma_dev *vcma, struct vcma_window *win, unsigned int i)
{
	struct virtio_cma_window w;
	u32 flags;
	int err;

	virtio_cread_bytes(vcma->vdev,
			   offsetof(struct virtio_cma_config, window) + i * sizeof(w),
			   &w, sizeof(w));
	win->vcma = vcma;
	win->id = le32_to_cpu(w.id);
	win->zone = le16_to_cpu(w.zone);
	win->bank = le16_to_cpu(w.bank);
	win->length = le64_to_cpu(w.length);
	INIT_LIST_HEAD(&win->leases);
	flags = le32_to_cpu(w.flags);

	if (!win->id) {
		pr_err("window %u of %u is called 0\n", i + 1, vcma->nr_windows);
		return -EINVAL;
	}
	if (flags & ~VIRTIO_CMA_WIN_FIXED ||
	    (win->bank && !virtio_has_feature(vcma->vdev, VIRTIO_CMA_F_BANKS))) {
		pr_err("window %u: flags %#x, bank %u: not what the device and this driver have agreed on\n",
		       win->id, flags, win->bank);
		return -EINVAL;
	}
	if (!win->length || !IS_ALIGNED(win->length, vcma->granule_size)) {
		pr_err("window %u: its size of %#llx bytes is not a multiple of %#llx\n",
		       win->id, win->length, vcma->granule_size);
		return -EINVAL;
	}
	if (flags & VIRTIO_CMA_WIN_FIXED)
		err = init_fixed(win, le32_to_cpu(w.bar), le64_to_cpu(w.offset));
	else
		err = init_in_bar(win, le32_to_cpu(w.bar), le64_to_cpu(w.offset));
	if (err || win->state != VCMA_WINDOW_USABLE)
		return err;

	if (!vcma_window_mappable(win))
		pr_info("window %u is above 4 GiB, where this kernel maps the wrong memory: for buffers without a kernel mapping only\n",
			win->id);
	if (!VCMA_MAP_LEASES)
		win->vaddr = memremap(win->base, win->length, MEMREMAP_WB);
	if (!VCMA_MAP_LEASES && !win->vaddr) {
		pr_err("window %u: %#llx bytes at %pa cannot be mapped\n",
		       win->id, win->length, &win->base);
		return -ENOMEM;
	}
	pr_info("window %u: %llu MiB at %pa (%s%s)\n", win->id, win->length >> 20,
		&win->base, vcma_window_zone(win), win->fixed ? ", fixed" : "");
	return 0;
}

/**
 * vcma_window_mappable() - can the kernel map leases in a window?
 * @win: the window
 *
 * Return: false if it serves allocations without a kernel mapping only.
 */
bool vcma_window_mappable(const struct vcma_window *win)
{
	return !VCMA_NO_HIGH_REMAP || win->base + win->length - 1 <= U32_MAX;
}

/**
 * vcma_windows_init() - find, check and map all windows
 * @vcma: the device, with its sizes
 *
 * Return: 0, or -errno with nothing claimed; vcma_windows_fini() is still due.
 */
int vcma_windows_init(struct vcma_dev *vcma)
{
	unsigned int i, k;
	int err;

	for (i = 0; i < vcma->nr_windows; i++) {
		err = window_init(vcma, &vcma->win[i], i);
		for (k = 0; !err && k < i; k++) {
			if (vcma->win[k].id == vcma->win[i].id) {
				pr_err("two windows are called %u\n", vcma->win[i].id);
				err = -EINVAL;
			}
		}
		if (err) {
			vcma_windows_unclaim(vcma);
			return err;
		}
	}
	return 0;
}

/**
 * vcma_windows_unclaim() - give BARs and addresses back; the mappings stay
 * @vcma: the device
 */
void vcma_windows_unclaim(struct vcma_dev *vcma)
{
	unsigned int i;

	for_each_set_bit(i, &vcma->bars, PCI_STD_NUM_BARS)
		pci_release_region(vcma->pdev, i);
	vcma->bars = 0;
	for (i = 0; i < vcma->nr_windows; i++)
		vcma_fixed_unclaim(&vcma->win[i]);
}

/**
 * vcma_windows_fini() - unmap all windows
 * @vcma: nobody uses an address in them
 *
 * Context: may sleep.
 */
void vcma_windows_fini(struct vcma_dev *vcma)
{
	unsigned int i;

	for (i = 0; i < vcma->nr_windows; i++) {
		struct vcma_window *win = &vcma->win[i];

		if (!win->vcma)
			continue;
		vcma_lease_forget_all(win);
		if (win->vaddr)
			memunmap(win->vaddr);
	}
}

/**
 * vcma_window_find() - the window of a name
 * @vcma: the device
 * @id: what the device calls it
 *
 * Return: the window, or NULL.
 */
struct vcma_window *vcma_window_find(struct vcma_dev *vcma, u32 id)
{
	unsigned int i;

	for (i = 0; i < vcma->nr_windows; i++)
		if (vcma->win[i].id == id)
			return &vcma->win[i];
	return NULL;
}

/*
 * The last address of the kernel's DMA zone.  Where the next zone begins says it
 * if there is memory on both sides; else it is what the architecture has by
 * default: 16 MiB for ISA devices on x86, 32 bits on arm64, and all low memory
 * where there is no such platform device as would need less (rule 2).
 */
static u64 dma_zone_highest(void)
{
	u64 highest = ~0ULL;
#ifdef CONFIG_ZONE_DMA
	unsigned int nid, i;

	if (IS_ENABLED(CONFIG_X86))
		return SZ_16M - 1;
	if (IS_ENABLED(CONFIG_ARM64))
		highest = U32_MAX;
	for_each_online_node(nid) {
		const struct zone *zones = NODE_DATA(nid)->node_zones;

		for (i = ZONE_DMA + 1; i < MAX_NR_ZONES; i++)
			if (i != ZONE_MOVABLE && zones[i].spanned_pages)
				highest = min(highest, PFN_PHYS((u64)zones[i].zone_start_pfn) - 1);
	}
#endif
	return highest;
}

/**
 * vcma_window_zone() - the zone that a window really is in
 * @win: the window
 *
 * Return: what this kernel calls it, as in /proc/zoneinfo: that of the lowest one
 * whose limit the whole window keeps.
 */
const char *vcma_window_zone(const struct vcma_window *win)
{
	const struct vcma_zone_rules rules = {
		.dma = IS_ENABLED(CONFIG_ZONE_DMA),
		.dma32 = IS_ENABLED(CONFIG_ZONE_DMA32),
		.highmem = IS_ENABLED(CONFIG_HIGHMEM),
		.dma_highest = dma_zone_highest(),
		.dma32_highest = U32_MAX,
		.low_highest = IS_ENABLED(CONFIG_64BIT) ? ~0ULL : __pa(high_memory - 1),
	};
	struct vcma_zone_map map;

	vcma_zone_map_fill(&map, &rules, NULL, 0);
	return vcma_zone_name(vcma_zone_of(&map, win->base + win->length - 1));
}
