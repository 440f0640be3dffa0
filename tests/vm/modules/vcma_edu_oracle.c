// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_edu_oracle.c - is it right what was allocated?
 *
 * DOC: Theory of operation
 *
 * This judges by its own few lines, and shares none with who places buffers: it
 * looks at each page's address, and at each of its bits.  All live buffers of
 * all devices are in one tree, so that an overlap is seen whoever has the other
 * one.  A buffer is put in after it was allocated and taken out before it is
 * freed.
 *
 * Each page of a buffer keeps a word that says whose it is.  If memory is behind
 * two addresses, one of the buffers will find another's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "vcma_edu.h"

static struct {
	char name[16];
	u64 base, size;
} windows[VCMA_EDU_WINDOWS];
static unsigned int nr_windows;

static DEFINE_MUTEX(tree_lock);		/* of the tree */
static struct rb_root tree = RB_ROOT;

/* NAME:BASE:SIZE,... */
int vcma_edu_windows_parse(const char *text)
{
	char *copy = kstrdup(text, GFP_KERNEL), *rest = copy, *word;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	while (!err && (word = strsep(&rest, ","))) {
		char *name = strsep(&word, ":"), *base = strsep(&word, ":");

		if (!*name)
			continue;
		if (nr_windows == VCMA_EDU_WINDOWS || !base || !word ||
		    strscpy(windows[nr_windows].name, name, sizeof(windows[0].name)) < 0 ||
		    kstrtou64(base, 0, &windows[nr_windows].base) ||
		    kstrtou64(word, 0, &windows[nr_windows].size))
			err = -EINVAL;
		nr_windows++;
	}
	kfree(copy);
	return err;
}

const char *vcma_edu_place_name(unsigned int place)
{
	if (place == VCMA_EDU_RAM)
		return "ram";
	return place < nr_windows ? windows[place].name : NULL;
}

/* A bit for each place of this name; windows of one zone may share it. */
u64 vcma_edu_places(const char *name)
{
	u64 bits = 0;
	unsigned int i;

	for (i = 0; i < VCMA_EDU_PLACES; i++) {
		const char *is = vcma_edu_place_name(i);

		if (is && !strcmp(is, name))
			bits |= BIT_ULL(i);
	}
	return bits;
}

static int place_of(u64 dma, u64 bytes)
{
	unsigned int i;

	for (i = 0; i < nr_windows; i++)
		if (dma >= windows[i].base && dma - windows[i].base < windows[i].size &&
		    bytes <= windows[i].size - (dma - windows[i].base))
			return i;
	if (page_is_ram(dma >> PAGE_SHIFT) && page_is_ram((dma + bytes - 1) >> PAGE_SHIFT))
		return VCMA_EDU_RAM;
	return -1;
}

/* True if another buffer has a byte of it. */
static bool insert(struct vcma_edu_buf *b, u64 *ret_other)
{
	struct rb_node **link = &tree.rb_node, *parent = NULL;
	bool overlap = false;

	mutex_lock(&tree_lock);
	while (*link) {
		struct vcma_edu_buf *other;

		parent = *link;
		other = rb_entry(parent, struct vcma_edu_buf, node);
		if (b->dma + b->bytes <= other->dma) {
			link = &parent->rb_left;
		} else if (other->dma + other->bytes <= b->dma) {
			link = &parent->rb_right;
		} else {
			overlap = true;
			*ret_other = other->dma;
			break;
		}
	}
	if (!overlap) {
		rb_link_node(&b->node, parent, link);
		rb_insert_color(&b->node, &tree);
	}
	mutex_unlock(&tree_lock);
	return overlap;
}

static void erase(struct vcma_edu_buf *b)
{
	mutex_lock(&tree_lock);
	if (!RB_EMPTY_NODE(&b->node))
		rb_erase(&b->node, &tree);
	mutex_unlock(&tree_lock);
}

/* I5, bit by bit: what the device cannot say must be zero in every page's address. */
void vcma_edu_judge_address(struct vcma_edu *t, const char *what, u64 dma, u64 bytes, u64 mask)
{
	u64 limit = t->pdev->dev.bus_dma_limit, boundary, at, last = dma + bytes - 1;
	unsigned int bit;

	for (at = dma & ~(u64)(PAGE_SIZE - 1); at <= last; at += PAGE_SIZE) {
		u64 top = at + PAGE_SIZE - 1;

		for (bit = 0; bit < 64; bit++) {
			if (!(top & BIT_ULL(bit)))
				continue;
			if (!(mask & BIT_ULL(bit)))
				vcma_edu_fail(t, "%s %#llx: bit %u is beyond the mask %#llx", what,
					      top, bit, mask);
			else if (t->forbid & ~(u64)(PAGE_SIZE - 1) & BIT_ULL(bit))
				vcma_edu_fail(t, "%s %#llx: bit %u is forbidden", what, top, bit);
		}
		if (limit && top > limit)
			vcma_edu_fail(t, "%s %#llx: beyond the bus's limit %#llx", what, top, limit);
	}
	boundary = (u64)dma_get_seg_boundary(&t->pdev->dev) + 1;
	/* It is a power of two. */
	if (boundary && (dma ^ last) & ~(boundary - 1))
		vcma_edu_fail(t, "%s %#llx, %llu bytes: crosses a boundary of %#llx", what, dma,
			      bytes, boundary);
}

static void judge(struct vcma_edu *t, struct vcma_edu_buf *b, u64 where)
{
	u64 align = PAGE_SIZE << get_order(b->size), other;
	int place = place_of(b->dma, b->bytes);
	const u8 *byte;

	vcma_edu_judge_address(t, "buffer", b->dma, b->bytes, t->pdev->dev.coherent_dma_mask);
	if (insert(b, &other)) {
		RB_CLEAR_NODE(&b->node);
		vcma_edu_fail(t, "buffer %#llx, %zu bytes: overlaps the one at %#llx", (u64)b->dma,
			      b->bytes, other);
	}
	if (place < 0) {
		vcma_edu_fail(t, "buffer %#llx, %zu bytes: neither in a window nor in RAM",
			      (u64)b->dma, b->bytes);
		return;
	}
	b->place = place;
	t->tally.place[place]++;
	if (!(where & BIT_ULL(place)))
		vcma_edu_fail(t, "buffer %#llx, %zu bytes: must not be in %s", (u64)b->dma, b->bytes,
			      vcma_edu_place_name(place));
	/* What the kernel takes from CMA is aligned to less, as is what 32 bits map on demand. */
	if (place == VCMA_EDU_RAM)
		align = PAGE_SIZE;
	if (b->dma & (align - 1) || !PAGE_ALIGNED(b->cpu) ||
	    (IS_ENABLED(CONFIG_64BIT) && b->cpu == b->cookie && (uintptr_t)b->cpu & (align - 1)))
		vcma_edu_fail(t, "buffer %#llx: not aligned to %llu bytes, or %#lx off them for the CPU",
			      (u64)b->dma, align, (uintptr_t)b->cpu & (unsigned long)(align - 1));
	/* The kernel does not zero what it does not map. */
	if (place == VCMA_EDU_RAM && b->attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		return;
	byte = memchr_inv(b->cpu, 0, b->bytes);
	if (byte)
		vcma_edu_fail(t, "buffer %#llx, %zu bytes: at %#zx there is %#04x, not 0", (u64)b->dma,
			      b->bytes, byte - (const u8 *)b->cpu, *byte);
}

/* A view of a buffer that the kernel did not map. */
static void *view(struct vcma_edu_buf *b)
{
	unsigned int i, nr = b->bytes >> PAGE_SHIFT;
	struct page **pages;
	void *cpu;

	if (!(b->attrs & DMA_ATTR_NO_KERNEL_MAPPING))
		return b->cookie;
	if (place_of(b->dma, b->bytes) != VCMA_EDU_RAM)
		return memremap(b->dma, b->bytes, MEMREMAP_WB);
	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;
	for (i = 0; i < nr; i++)
		pages[i] = pfn_to_page((b->dma >> PAGE_SHIFT) + i);
	cpu = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	return cpu;
}

static void drop_view(struct vcma_edu_buf *b)
{
	if (!b->cpu || b->cpu == b->cookie)
		return;
	if (b->place == VCMA_EDU_RAM)
		vunmap(b->cpu);
	else
		memunmap(b->cpu);
}

void vcma_edu_mark(struct vcma_edu_buf *b)
{
	size_t at;

	for (at = 0; at < b->bytes; at += PAGE_SIZE)
		*(u64 *)(b->cpu + at) = b->mark + at;
}

static void check_marks(struct vcma_edu *t, struct vcma_edu_buf *b)
{
	size_t at;

	for (at = 0; at < b->bytes; at += PAGE_SIZE) {
		u64 is = *(u64 *)(b->cpu + at);

		if (is == b->mark + at)
			continue;
		vcma_edu_fail(t, "buffer %#llx, %zu bytes: at %#zx there is %#llx, not its mark %#llx",
			      (u64)b->dma, b->bytes, at, is, b->mark + at);
		return;
	}
}

/*
 * Who may not wait is in atomic context indeed, so that an allocator that sleeps
 * all the same makes the kernel complain.
 */
static void *alloc(struct vcma_edu *t, size_t size, dma_addr_t *dma, gfp_t gfp,
		   unsigned long attrs)
{
	static DEFINE_SPINLOCK(lock);
	void *cookie;

	if (gfpflags_allow_blocking(gfp))
		return dma_alloc_attrs(&t->pdev->dev, size, dma, gfp, attrs);
	spin_lock_bh(&lock);
	cookie = dma_alloc_attrs(&t->pdev->dev, size, dma, gfp, attrs);
	spin_unlock_bh(&lock);
	return cookie;
}

/* A buffer that was judged, now among those of @t; NULL if it was refused. */
struct vcma_edu_buf *vcma_edu_alloc(struct vcma_edu *t, size_t size, gfp_t gfp,
				    unsigned long attrs, u64 where)
{
	struct vcma_edu_buf *b;

	if (t->nr == VCMA_EDU_BUFFERS)
		return NULL;
	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return NULL;
	b->edu = t;
	b->size = size;
	b->bytes = PAGE_ALIGN(size);
	b->attrs = attrs;
	b->place = VCMA_EDU_RAM;
	b->cookie = alloc(t, size, &b->dma, gfp | __GFP_NOWARN, attrs | DMA_ATTR_NO_WARN);
	if (!b->cookie) {
		if (gfpflags_allow_blocking(gfp))
			t->tally.refused++;
		else
			t->tally.refused_atomic++;
		kfree(b);
		return NULL;
	}
	t->tally.served++;
	t->buf[t->nr++] = b;
	t->held += b->bytes;
	t->tally.held_max = max(t->tally.held_max, t->held);
	b->mark = vcma_edu_random(t);
	b->cpu = view(b);
	if (b->cpu) {
		judge(t, b, where);
		vcma_edu_mark(b);
	} else {
		RB_CLEAR_NODE(&b->node);
		vcma_edu_fail(t, "buffer %#llx, %zu bytes: cannot be looked at", (u64)b->dma, b->bytes);
	}
	return b;
}

void vcma_edu_free(struct vcma_edu *t, unsigned int i)
{
	struct vcma_edu_buf *b = t->buf[i];

	t->buf[i] = t->buf[--t->nr];
	t->held -= b->bytes;
	if (b->cpu)
		check_marks(t, b);
	erase(b);
	drop_view(b);
	dma_free_attrs(&t->pdev->dev, b->size, b->cookie, b->dma, b->attrs);
	kfree(b);
}

/* Where the buffers of @t are: "FIRST-LAST,...", neighbours in one. */
ssize_t vcma_edu_spans(struct vcma_edu *t, char *text, size_t room)
{
	u64 first = 0, end = 0;
	struct rb_node *node;
	size_t len = 0;

	text[0] = '\0';
	mutex_lock(&tree_lock);
	for (node = rb_first(&tree); ; node = rb_next(node)) {
		struct vcma_edu_buf *b = node ? rb_entry(node, struct vcma_edu_buf, node) : NULL;

		if (b && b->edu != t)
			continue;
		if (b && end == b->dma) {
			end += b->bytes;
			continue;
		}
		if (end)
			len += scnprintf(text + len, room - len, "%s%#llx-%#llx", len ? "," : "",
					 first, end - 1);
		if (!b)
			break;
		first = b->dma;
		end = first + b->bytes;
	}
	mutex_unlock(&tree_lock);
	return len;
}
