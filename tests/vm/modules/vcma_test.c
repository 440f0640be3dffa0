// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_test - lets a shell script in a guest allocate and judge DMA buffers
 *
 * Binds to QEMU's `edu` (1234:11e8) and `pci-testdev` (1b36:0005) and behaves
 * like any driver that needs big coherent buffers.  It knows nothing of vcma:
 * without virtio_cma.ko it shows what the kernel's own allocator does.
 *
 * Each bound device has two files in its sysfs directory:
 *
 *	/sys/bus/pci/drivers/vcma_test/0000:00:05.0/vcma_test/ctl	(write)
 *	/sys/bus/pci/drivers/vcma_test/0000:00:05.0/vcma_test/result	(read)
 *
 * One command a write.  A command that fails makes the write fail, too, so
 * that `echo COMMAND >ctl || ...` works.  `result` is the line that the last
 * command left: "ok KEY=VALUE ..." or "fail errno=N REASON ...".
 *
 *	mask BITS		set streaming and coherent DMA mask (default 32)
 *	alloc SLOT BYTES [BITS]	dma_alloc_coherent(), with that coherent mask
 *		ok slot=0 size=67108864 dma=0x100000000 end=0x103ffffff aligned=1 inmask=1
 *		fail errno=12 ...
 *	atomic SLOT BYTES	as alloc, with GFP_ATOMIC
 *	fill SLOT SEED		write a pattern that depends on SEED and place
 *	check SLOT SEED		ok if every byte is as fill left it
 *	zero SLOT		ok if every byte is zero
 *		fail errno=5 offset=0x1000 value=0x12 expected=0x00
 *	find SLOT SEED		ok if no 8-byte word is one that fill SEED writes
 *	info SLOT		as alloc's answer
 *	free SLOT		dma_free_coherent()
 *	freeall			all slots
 *	many FIRST COUNT BYTES	alloc for COUNT slots from FIRST; all or none
 *	copy SRC DST		edu only: the device itself reads the first 2048
 *				bytes of slot SRC by DMA, and writes them to DST;
 *				ok if they are there then
 *
 * SLOT is 0 to 1023, numbers are decimal or 0x hexadecimal.  Buffers that are
 * left are freed when the driver is unbound.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "edu_regs.h"

#define NR_SLOTS 1024
#define WORDS_MAX 5

#define EDU_BYTES 2048
#define EDU_DEADLINE_MS 2000

struct slot {
	void *vaddr;		/* NULL: free */
	dma_addr_t dma;
	size_t size;
	u64 mask;		/* when it was allocated */
};

/**
 * struct vcma_test - a bound device
 * @pdev: the device
 * @regs: BAR 0 of an edu, else NULL
 * @lock: protects all that follows
 * @slots: buffers
 * @result: what the last command left
 */
struct vcma_test {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct mutex lock;	/* of all that follows */
	struct slot slots[NR_SLOTS];
	char result[256];
};

#define say(t, fmt, ...) snprintf((t)->result, sizeof((t)->result), fmt, ##__VA_ARGS__)

static int refuse(struct vcma_test *t, int err, const char *why)
{
	say(t, "fail errno=%d %s", -err, why);
	return err;
}

static int done(struct vcma_test *t)
{
	say(t, "ok");
	return 0;
}

/* A word of the pattern; with another seed or at another place it is another. */
static u64 pattern(u64 seed, size_t offset)
{
	u64 x = (seed + 1) * 0x9e3779b97f4a7c15ULL + offset;

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 29;
	return x;
}

static int show_slot(struct vcma_test *t, unsigned int nr)
{
	const struct slot *s = &t->slots[nr];
	u64 end = s->dma + s->size - 1;
	u64 align = PAGE_SIZE << get_order(s->size);

	say(t, "ok slot=%u size=%zu dma=%#llx end=%#llx aligned=%d inmask=%d", nr, s->size,
	    (u64)s->dma, end, IS_ALIGNED(s->dma, align) && IS_ALIGNED((uintptr_t)s->vaddr, align),
	    end <= s->mask);
	return 0;
}

static int alloc_slot(struct vcma_test *t, unsigned int nr, size_t size, gfp_t gfp)
{
	struct slot *s = &t->slots[nr];

	if (s->vaddr)
		return refuse(t, -EBUSY, "the slot has a buffer");
	if (!size)
		return refuse(t, -EINVAL, "a buffer of no bytes");
	s->vaddr = dma_alloc_coherent(&t->pdev->dev, size, &s->dma, gfp | __GFP_NOWARN);
	if (!s->vaddr)
		return refuse(t, -ENOMEM, "dma_alloc_coherent() failed");
	s->size = size;
	s->mask = t->pdev->dev.coherent_dma_mask;
	return 0;
}

static void free_slot(struct vcma_test *t, unsigned int nr)
{
	struct slot *s = &t->slots[nr];

	if (s->vaddr)
		dma_free_coherent(&t->pdev->dev, s->size, s->vaddr, s->dma);
	s->vaddr = NULL;
}

static int set_mask(struct vcma_test *t, u64 bits, bool streaming)
{
	int err;

	if (bits < 1 || bits > 64)
		return refuse(t, -EINVAL, "a mask has 1 to 64 bits");
	if (streaming)
		err = dma_set_mask_and_coherent(&t->pdev->dev, DMA_BIT_MASK(bits));
	else
		err = dma_set_coherent_mask(&t->pdev->dev, DMA_BIT_MASK(bits));
	return err ? refuse(t, err, "the platform does not support this mask") : done(t);
}

/* --- commands: 0 or -errno; the result is written in either case --- */

static int cmd_mask(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	return set_mask(t, arg[0], true);
}

static int cmd_alloc(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	int err = 0;

	if (nr > 2)
		err = set_mask(t, arg[2], false);
	if (!err)
		err = alloc_slot(t, arg[0], arg[1], GFP_KERNEL);
	return err ? err : show_slot(t, arg[0]);
}

static int cmd_atomic(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	int err = alloc_slot(t, arg[0], arg[1], GFP_ATOMIC);

	return err ? err : show_slot(t, arg[0]);
}

static int cmd_many(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	u64 i, first = arg[0], count = arg[1];
	int err;

	if (count > NR_SLOTS - first)
		return refuse(t, -EINVAL, "not so many slots");
	for (i = 0; i < count; i++) {
		err = alloc_slot(t, first + i, arg[2], GFP_KERNEL);
		if (err)
			goto out_free;
		if (!(i % 64))
			cond_resched();
	}
	say(t, "ok count=%llu", count);
	return 0;

out_free:
	while (i--)
		free_slot(t, first + i);
	return err;
}

static int cmd_fill(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	struct slot *s = &t->slots[arg[0]];
	u64 word;
	size_t i;

	for (i = 0; i < s->size; i += sizeof(word)) {
		word = pattern(arg[1], i);
		memcpy(s->vaddr + i, &word, min(sizeof(word), s->size - i));
	}
	return done(t);
}

static int judge(struct vcma_test *t, const struct slot *s, bool zero, u64 seed)
{
	u64 word;
	size_t i, k;

	for (i = 0; i < s->size; i += sizeof(word)) {
		size_t len = min(sizeof(word), s->size - i);
		const u8 *is = s->vaddr + i, *should = (const u8 *)&word;

		word = zero ? 0 : pattern(seed, i);
		if (!memcmp(is, should, len))
			continue;
		for (k = 0; is[k] == should[k] && k + 1 < len; k++)
			;
		say(t, "fail errno=%d offset=%#zx value=%#04x expected=%#04x", EIO, i + k,
		    is[k], should[k]);
		return -EIO;
	}
	return done(t);
}

static int cmd_check(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	return judge(t, &t->slots[arg[0]], false, arg[1]);
}

static int cmd_zero(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	return judge(t, &t->slots[arg[0]], true, 0);
}

static int cmd_find(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	struct slot *s = &t->slots[arg[0]];
	size_t i;

	for (i = 0; i + sizeof(u64) <= s->size; i += sizeof(u64)) {
		if (*(u64 *)(s->vaddr + i) != pattern(arg[1], i))
			continue;
		say(t, "fail errno=%d offset=%#zx has a word of the pattern", EIO, i);
		return -EIO;
	}
	return done(t);
}

static int cmd_info(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	return show_slot(t, arg[0]);
}

static int cmd_free(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	free_slot(t, arg[0]);
	return done(t);
}

static int cmd_freeall(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		free_slot(t, i);
	return done(t);
}

/* edu moves bytes between its own memory and the guest's; it takes 100 ms. */
static int edu_dma(struct vcma_test *t, u64 dma, bool from_edu)
{
	unsigned long until = jiffies + msecs_to_jiffies(EDU_DEADLINE_MS);

	edu_dma_start(t->regs, dma, EDU_BYTES, from_edu);
	while (edu_dma_is_running(t->regs)) {
		if (time_after(jiffies, until))
			return refuse(t, -ETIMEDOUT, "edu does not finish its DMA");
		msleep(20);
	}
	return 0;
}

static int cmd_copy(struct vcma_test *t, const u64 *arg, unsigned int nr)
{
	const struct slot *src = &t->slots[arg[0]], *dst;
	int err;

	if (arg[1] >= NR_SLOTS || !t->slots[arg[1]].vaddr)
		return refuse(t, -ENOENT, "no buffer in the second slot");
	dst = &t->slots[arg[1]];
	if (!t->regs)
		return refuse(t, -EOPNOTSUPP, "only edu has a DMA engine");
	if (src->size < EDU_BYTES || dst->size < EDU_BYTES)
		return refuse(t, -EINVAL, "edu copies 2048 bytes");
	err = edu_dma(t, src->dma, false);
	if (!err)
		err = edu_dma(t, dst->dma, true);
	if (err)
		return err;
	if (memcmp(src->vaddr, dst->vaddr, EDU_BYTES))
		return refuse(t, -EIO, "edu has copied something else, or to another place");
	return done(t);
}

static const struct command {
	const char *name;
	int (*run)(struct vcma_test *t, const u64 *arg, unsigned int nr);
	unsigned int min, max;		/* arguments */
	bool slot;			/* the first is a slot ... */
	bool buffer;			/* ... with a buffer in it */
} commands[] = {
	{ "mask", cmd_mask, 1, 1 },
	{ "alloc", cmd_alloc, 2, 3, .slot = true },
	{ "atomic", cmd_atomic, 2, 2, .slot = true },
	{ "many", cmd_many, 3, 3, .slot = true },
	{ "fill", cmd_fill, 2, 2, .slot = true, .buffer = true },
	{ "check", cmd_check, 2, 2, .slot = true, .buffer = true },
	{ "zero", cmd_zero, 1, 1, .slot = true, .buffer = true },
	{ "find", cmd_find, 2, 2, .slot = true, .buffer = true },
	{ "info", cmd_info, 1, 1, .slot = true, .buffer = true },
	{ "free", cmd_free, 1, 1, .slot = true, .buffer = true },
	{ "freeall", cmd_freeall, 0, 0 },
	{ "copy", cmd_copy, 2, 2, .slot = true, .buffer = true },
};

static int run_command(struct vcma_test *t, char *line)
{
	const struct command *cmd = NULL;
	u64 arg[WORDS_MAX] = { 0 };
	unsigned int i, nr = 0;
	char *name, *word;

	line = strim(line);
	name = strsep(&line, " ");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name))
			cmd = &commands[i];
	if (!cmd)
		return refuse(t, -EINVAL, "no such command");

	while ((word = strsep(&line, " "))) {
		if (!*word)
			continue;
		if (nr == ARRAY_SIZE(arg) || kstrtou64(word, 0, &arg[nr]))
			return refuse(t, -EINVAL, "arguments are numbers");
		nr++;
	}
	if (nr < cmd->min || nr > cmd->max)
		return refuse(t, -EINVAL, "wrong number of arguments");
	if (cmd->slot && arg[0] >= NR_SLOTS)
		return refuse(t, -EINVAL, "no such slot");
	if (cmd->buffer && !t->slots[arg[0]].vaddr)
		return refuse(t, -ENOENT, "no buffer in this slot");
	return cmd->run(t, arg, nr);
}

static ssize_t ctl_store(struct device *dev, struct device_attribute *attr, const char *buf,
			 size_t count)
{
	struct vcma_test *t = dev_get_drvdata(dev);
	char *line;
	int err;

	line = kstrndup(buf, count, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	mutex_lock(&t->lock);
	err = run_command(t, line);
	mutex_unlock(&t->lock);
	kfree(line);
	return err ? err : count;
}
static DEVICE_ATTR_WO(ctl);

static ssize_t result_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vcma_test *t = dev_get_drvdata(dev);
	ssize_t len;

	mutex_lock(&t->lock);
	len = sysfs_emit(buf, "%s\n", t->result);
	mutex_unlock(&t->lock);
	return len;
}
static DEVICE_ATTR_RO(result);

static struct attribute *vcma_test_attrs[] = {
	&dev_attr_ctl.attr,
	&dev_attr_result.attr,
	NULL,
};

static const struct attribute_group vcma_test_group = {
	.name = "vcma_test",
	.attrs = vcma_test_attrs,
};

static const struct attribute_group *vcma_test_groups[] = {
	&vcma_test_group,
	NULL,
};

static int vcma_test_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vcma_test *t;
	int err;

	t = kvzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock);
	t->pdev = pdev;
	pci_set_drvdata(pdev, t);
	done(t);

	err = pci_enable_device(pdev);
	if (err)
		goto out_free;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (err)
		goto out_disable;
	if (pdev->vendor == EDU_VENDOR) {
		t->regs = pci_iomap(pdev, 0, EDU_REGS_BYTES);
		if (!t->regs) {
			err = -ENOMEM;
			goto out_disable;
		}
	}
	pci_set_master(pdev);
	return 0;

out_disable:
	pci_disable_device(pdev);
out_free:
	kvfree(t);
	return err;
}

static void vcma_test_remove(struct pci_dev *pdev)
{
	struct vcma_test *t = pci_get_drvdata(pdev);
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		free_slot(t, i);
	if (t->regs)
		pci_iounmap(pdev, t->regs);
	pci_clear_master(pdev);
	pci_disable_device(pdev);
	kvfree(t);
}

static const struct pci_device_id vcma_test_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT, 0x0005) },
	{ 0 },
};
MODULE_DEVICE_TABLE(pci, vcma_test_ids);

static struct pci_driver vcma_test_driver = {
	.name = KBUILD_MODNAME,
	.id_table = vcma_test_ids,
	.probe = vcma_test_probe,
	.remove = vcma_test_remove,
	.dev_groups = vcma_test_groups,
};
module_pci_driver(vcma_test_driver);

MODULE_DESCRIPTION("Lets scripts allocate and judge coherent DMA buffers");
MODULE_AUTHOR("The vcma authors");
MODULE_LICENSE("GPL");
