// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_edu_pages.c - what is not a coherent buffer in the kernel
 *
 * The kernel's own pages by zone, streaming maps of ordinary memory, and coherent
 * buffers in user space and as tables of pages.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "edu_regs.h"
#include "vcma_edu.h"

#define STREAMS_AT_ONCE 8

static const char * const zone_names[MAX_NR_ZONES] = {
#ifdef CONFIG_ZONE_DMA
	[ZONE_DMA] = "DMA",
#endif
#ifdef CONFIG_ZONE_DMA32
	[ZONE_DMA32] = "DMA32",
#endif
	[ZONE_NORMAL] = "Normal",
#ifdef CONFIG_HIGHMEM
	[ZONE_HIGHMEM] = "HighMem",
#endif
	[ZONE_MOVABLE] = "Movable",
};

/* GFP_DMA and its like, without trying hard: what the zones' lists give at once. */
int vcma_edu_cmd_pages(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	gfp_t gfp = (__force gfp_t)arg->zone | GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	u64 lowest = U64_MAX, highest = 0, zone[MAX_NR_ZONES] = { 0 };
	struct page *page, *next;
	unsigned int i, nr = 0;
	LIST_HEAD(list);

	if (arg->order >= MAX_ORDER)
		return vcma_edu_refuse(t, -EINVAL, "order: too large");
	while (nr < arg->count && !signal_pending(current)) {
		page = alloc_pages(gfp, arg->order);
		if (!page)
			break;
		nr++;
		zone[page_zonenum(page)]++;
		lowest = min_t(u64, lowest, page_to_phys(page));
		highest = max_t(u64, highest, page_to_phys(page) + (PAGE_SIZE << arg->order) - 1);
		list_add(&page->lru, &list);
	}
	list_for_each_entry_safe(page, next, &list, lru) {
		list_del(&page->lru);
		__free_pages(page, arg->order);
	}
	vcma_edu_say(t, "got=%u", nr);
	if (nr)
		vcma_edu_say(t, " lowest=%#llx highest=%#llx", lowest, highest);
	for (i = 0; i < MAX_NR_ZONES; i++)
		if (zone_names[i])
			vcma_edu_say(t, " %s=%llu", zone_names[i], zone[i]);
	return 0;
}

/*
 * Some maps at once, so that each engine has one.  What cannot be mapped is refused;
 * what is mapped has to be in reach, be it by luck or by bouncing.
 */
static int stream_some(struct vcma_edu *t, const struct vcma_edu_args *arg, unsigned int nr,
		       u64 *bounced)
{
	struct device *dev = &t->pdev->dev;
	struct vcma_edu_job job[STREAMS_AT_ONCE];
	struct page *page[STREAMS_AT_ONCE];
	unsigned int i, order = get_order(arg->size), mapped = 0;

	for (i = 0; i < nr; i++) {
		dma_addr_t dma;

		page[mapped] = alloc_pages((__force gfp_t)arg->zone | GFP_KERNEL, order);
		if (!page[mapped])
			break;
		dma = dma_map_page_attrs(dev, page[mapped], 0, arg->size, DMA_BIDIRECTIONAL,
					 DMA_ATTR_NO_WARN);
		if (dma_mapping_error(dev, dma)) {
			t->tally.refused++;
			__free_pages(page[mapped], order);
			continue;
		}
		t->tally.served++;
		*bounced += dma != page_to_phys(page[mapped]);
		vcma_edu_judge_address(t, "stream", dma, arg->size, *dev->dma_mask);
		job[mapped] = (struct vcma_edu_job){
			.what = "stream",
			.cpu = page_address(page[mapped]),
			.dma = dma,
			.bytes = min_t(u64, round_down(arg->size, 8), EDU_BYTES_MAX),
			.seed = vcma_edu_random(t),
			.sync = dev,
		};
		mapped++;
	}
	vcma_edu_run_jobs(t, job, mapped);
	t->tally.proved += mapped;
	while (mapped--) {
		dma_unmap_page(dev, job[mapped].dma, arg->size, DMA_BIDIRECTIONAL);
		__free_pages(page[mapped], order);
	}
	return i < nr ? -ENOMEM : 0;
}

int vcma_edu_cmd_stream(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	u64 done, bounced = 0;
	int err;

	if (arg->size < 8 || arg->size > PAGE_SIZE << (MAX_ORDER - 1))
		return vcma_edu_refuse(t, -EINVAL, "size: too small or too large");
	if (arg->zone & (__force u64)__GFP_HIGHMEM)
		return vcma_edu_refuse(t, -EINVAL, "memory that the kernel has mapped, please");
	for (done = 0; done < arg->count; done += STREAMS_AT_ONCE) {
		err = stream_some(t, arg, min_t(u64, arg->count - done, STREAMS_AT_ONCE), &bounced);
		if (err)
			return vcma_edu_refuse(t, err, "the kernel has no pages");
	}
	vcma_edu_say(t, "served=%llu refused=%llu bounced=%llu proved=%llu errors=%llu",
		     t->tally.served, t->tally.refused, bounced, t->tally.proved, t->tally.errors);
	return 0;
}

static int map_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vcma_edu_buf *b = file->private_data;

	return dma_mmap_attrs(&b->edu->pdev->dev, vma, b->cookie, b->dma, b->size, b->attrs);
}

static const struct file_operations map_fops = {
	.owner = THIS_MODULE,
	.mmap = map_mmap,
};

/* The present process has the buffer at @user: both sides see what the other writes. */
static void compare_views(struct vcma_edu *t, struct vcma_edu_buf *b, unsigned long user)
{
	size_t at;

	for (at = 0; at < b->bytes; at += PAGE_SIZE) {
		u64 *cpu = b->cpu + at, word, answer = vcma_edu_random(t);

		if (copy_from_user(&word, (void __user *)(user + at), sizeof(word))) {
			vcma_edu_fail(t, "map: user space cannot read page %#zx", at);
			return;
		}
		if (word != *cpu)
			vcma_edu_fail(t, "map: user space sees other memory at %#zx", at);
		if (copy_to_user((void __user *)(user + at), &answer, sizeof(answer))) {
			vcma_edu_fail(t, "map: user space cannot write page %#zx", at);
			return;
		}
		if (READ_ONCE(*cpu) != answer)
			vcma_edu_fail(t, "map: user space writes other memory at %#zx", at);
	}
	vcma_edu_mark(b);
}

/* The process that writes the command is user space. */
int vcma_edu_cmd_map(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	unsigned long user, attrs = arg->nomap ? DMA_ATTR_NO_KERNEL_MAPPING : 0;
	struct vcma_edu_buf *b;
	struct file *file;
	int err = 0;

	b = vcma_edu_alloc(t, arg->size, GFP_KERNEL, attrs, arg->where);
	if (!b)
		return vcma_edu_refuse(t, -ENOMEM, "no buffer");
	if (!b->cpu)
		goto out_free;
	file = anon_inode_getfile("[vcma_edu]", &map_fops, b, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto out_free;
	}
	user = vm_mmap(file, 0, b->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	if (IS_ERR_VALUE(user)) {
		err = (long)user;
	} else {
		compare_views(t, b, user);
		vm_munmap(user, b->bytes);
		vcma_edu_prove(t, &b, 1);
	}
	fput(file);
out_free:
	vcma_edu_say(t, "place=%s", vcma_edu_place_name(b->place));
	vcma_edu_free(t, t->nr - 1);
	if (err)
		vcma_edu_say(t, " errno=%d", -err);
	return err;
}

int vcma_edu_cmd_sgtable(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	struct vcma_edu_buf *b;
	struct sg_table table;
	int err;

	b = vcma_edu_alloc(t, arg->size, GFP_KERNEL, 0, arg->where);
	if (!b)
		return vcma_edu_refuse(t, -ENOMEM, "no buffer");
	err = dma_get_sgtable_attrs(&t->pdev->dev, &table, b->cookie, b->dma, b->size, 0);
	vcma_edu_say(t, "place=%s errno=%d", vcma_edu_place_name(b->place), -err);
	if (!err) {
		if (sg_phys(table.sgl) != b->dma)
			vcma_edu_fail(t, "sgtable: of other memory");
		sg_free_table(&table);
	}
	vcma_edu_free(t, t->nr - 1);
	return err;
}
