// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcma_edu - hardware that would notice a mistake
 *
 * Binds to QEMU's `edu` (1234:11e8), whose property dma_mask says which address
 * bits it has, and behaves like any driver that needs coherent buffers, some
 * ten thousand of them.  It knows nothing of vcma but where the windows are,
 * which the parameter `windows` tells: NAME:BASE:SIZE,...
 *
 *	/sys/bus/pci/drivers/vcma_edu/0000:00:10.0/vcma_edu/ctl		(write)
 *	/sys/bus/pci/drivers/vcma_edu/0000:00:10.0/vcma_edu/result	(read)
 *
 * One command a write.  It fails if the command cannot be done, or has found
 * errors.  `result` is a line of KEY=VALUE; if there are errors, a second one
 * tells the first of them.
 *
 *	set [mask=BITS] [coherent=BITS] [boundary=BYTES] [forbid=BITS]
 *		both DMA masks, or the coherent one alone; segment boundary; address
 *		bits that the hardware does not have (what the oracle goes by)
 *	torture [rounds=N] [seed=N] [max=BYTES] [hold=BYTES] [proofs=N]
 *		[atomic=PERCENT] [nomap=1] [where=NAME+NAME...]
 *		random allocate and free, each judged (vcma_edu_oracle.c), some proved
 *		by the DMA engine (vcma_edu_engine.c); where: windows, or ram, in which
 *		buffers may be; without it, anywhere; "none": nowhere
 *	fill size=BYTES [min=BYTES] [limit=BYTES] [proofs=N] [nomap=1] [where=...]
 *		pieces of this size until there are no more, then of its half, down to
 *		min; tells where they lie
 *	empty	frees them
 *	pages zone=dma|dma32|normal|highmem [order=N] [count=N]
 *		of the kernel's own page allocator; tells where they were
 *	stream size=BYTES [count=N] [zone=...]
 *		ordinary memory, mapped for the device, and proved
 *	map [size=BYTES] [nomap=1]
 *		dma_mmap_attrs() to user space, which writes and reads it
 *	sgtable [size=BYTES]
 *		dma_get_sgtable_attrs()
 *	shoot [rounds=N] [size=BYTES] [seed=N]
 *		DMA to buffers that are freed in the same moment (vcma_edu_shoot.c)
 *
 * All functions of a slot are DMA engines for function 0.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "edu_regs.h"
#include "vcma_edu.h"

static char *windows = "";
module_param(windows, charp, 0444);
MODULE_PARM_DESC(windows, "where the windows are: NAME:BASE:SIZE,...");

void vcma_edu_fail(struct vcma_edu *t, const char *fmt, ...)
{
	va_list args;

	if (!t->tally.errors++) {
		va_start(args, fmt);
		vscnprintf(t->tally.first_error, sizeof(t->tally.first_error), fmt, args);
		va_end(args);
	}
}

void vcma_edu_say(struct vcma_edu *t, const char *fmt, ...)
{
	size_t len = strlen(t->result);
	va_list args;

	va_start(args, fmt);
	vscnprintf(t->result + len, sizeof(t->result) - len, fmt, args);
	va_end(args);
}

int vcma_edu_refuse(struct vcma_edu *t, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(t->result, sizeof(t->result), fmt, args);
	va_end(args);
	vcma_edu_say(t, " errno=%d", -err);
	return err;
}

/* The same numbers for the same seed. */
u64 vcma_edu_random(struct vcma_edu *t)
{
	u64 x = t->random ? t->random : 1;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	t->random = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static int cmd_set(struct vcma_edu *t, const struct vcma_edu_args *arg)
{
	struct device *dev = &t->pdev->dev;
	int err = 0;

	if (arg->mask > 64 || arg->coherent > 64)
		return vcma_edu_refuse(t, -EINVAL, "a mask has 1 to 64 bits");
	if (arg->mask)
		err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(arg->mask));
	if (!err && arg->coherent)
		err = dma_set_coherent_mask(dev, DMA_BIT_MASK(arg->coherent));
	if (err)
		return vcma_edu_refuse(t, err, "the platform does not support this mask");
	if (arg->boundary && dma_set_seg_boundary(dev, arg->boundary - 1))
		return vcma_edu_refuse(t, -EIO, "no boundary can be set");
	t->forbid = arg->forbid;
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(struct vcma_edu *t, const struct vcma_edu_args *arg);
} commands[] = {
	{ "set", cmd_set },
	{ "torture", vcma_edu_cmd_torture },
	{ "fill", vcma_edu_cmd_fill },
	{ "empty", vcma_edu_cmd_empty },
	{ "pages", vcma_edu_cmd_pages },
	{ "stream", vcma_edu_cmd_stream },
	{ "map", vcma_edu_cmd_map },
	{ "sgtable", vcma_edu_cmd_sgtable },
	{ "shoot", vcma_edu_cmd_shoot },
};

static int parse_number(char *text, u64 *ret)
{
	return kstrtou64(text, 0, ret);
}

/* As flags for the page allocator. */
static int parse_zone(char *text, u64 *ret)
{
	static const struct {
		const char *name;
		gfp_t gfp;
	} zones[] = {
		{ "dma", GFP_DMA },
		{ "dma32", GFP_DMA32 },
		{ "normal", 0 },
		{ "highmem", __GFP_HIGHMEM },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(zones); i++) {
		if (strcmp(text, zones[i].name))
			continue;
		*ret = (__force u64)zones[i].gfp;
		return 0;
	}
	return -EINVAL;
}

/* As a bit for each. */
static int parse_places(char *text, u64 *ret)
{
	char *word;
	u64 bits;

	*ret = 0;
	while ((word = strsep(&text, "+"))) {
		if (!strcmp(word, "none"))
			continue;
		bits = vcma_edu_places(word);
		if (!bits)
			return -ENOENT;
		*ret |= bits;
	}
	return 0;
}

#define KEY(key, parse) { #key, offsetof(struct vcma_edu_args, key), parse }
static const struct {
	const char *name;
	size_t offset;
	int (*parse)(char *text, u64 *ret);
} keys[] = {
	KEY(mask, parse_number), KEY(coherent, parse_number), KEY(boundary, parse_number),
	KEY(forbid, parse_number), KEY(rounds, parse_number), KEY(seed, parse_number),
	KEY(max, parse_number), KEY(hold, parse_number), KEY(proofs, parse_number),
	KEY(atomic, parse_number), KEY(nomap, parse_number), KEY(where, parse_places),
	KEY(size, parse_number), KEY(min, parse_number), KEY(limit, parse_number),
	KEY(zone, parse_zone), KEY(order, parse_number), KEY(count, parse_number),
};

static int read_args(struct vcma_edu *t, char *rest, struct vcma_edu_args *arg)
{
	char *word, *name;
	unsigned int i;

	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		name = strsep(&word, "=");
		for (i = 0; i < ARRAY_SIZE(keys) && strcmp(name, keys[i].name); i++)
			;
		if (i == ARRAY_SIZE(keys) || !word)
			return vcma_edu_refuse(t, -EINVAL, "no such word: %s", name);
		if (keys[i].parse(word, (void *)arg + keys[i].offset))
			return vcma_edu_refuse(t, -EINVAL, "%s: no such value", name);
	}
	if (!arg->rounds || !arg->max || !arg->size || !arg->min || !arg->count)
		return vcma_edu_refuse(t, -EINVAL, "0 is too little");
	return 0;
}

static int run_command(struct vcma_edu *t, char *line)
{
	struct vcma_edu_args arg = {
		.rounds = 1000, .seed = 1, .max = 65536, .hold = 1 << 20, .where = U64_MAX,
		.size = 65536, .min = U64_MAX, .limit = U64_MAX, .count = 1,
	};
	char *name;
	unsigned int i;
	int err;

	memset(&t->tally, 0, sizeof(t->tally));
	t->tally.held_max = t->held;
	t->result[0] = '\0';
	line = strim(line);
	name = strsep(&line, " ");
	for (i = 0; i < ARRAY_SIZE(commands) && strcmp(name, commands[i].name); i++)
		;
	if (i == ARRAY_SIZE(commands))
		return vcma_edu_refuse(t, -EINVAL, "no such command: %s", name);
	err = read_args(t, line, &arg);
	if (err)
		return err;
	arg.min = min(arg.min, arg.size);
	err = commands[i].run(t, &arg);
	if (t->tally.errors)
		vcma_edu_say(t, "\nfirst error: %s", t->tally.first_error);
	return t->tally.errors && !err ? -EIO : err;
}

static ssize_t ctl_store(struct device *dev, struct device_attribute *attr, const char *buf,
			 size_t count)
{
	struct vcma_edu *t = dev_get_drvdata(dev);
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
	struct vcma_edu *t = dev_get_drvdata(dev);
	ssize_t len;

	mutex_lock(&t->lock);
	len = sysfs_emit(buf, "%s\n", t->result);
	mutex_unlock(&t->lock);
	return len;
}
static DEVICE_ATTR_RO(result);

static struct attribute *attrs[] = {
	&dev_attr_ctl.attr,
	&dev_attr_result.attr,
	NULL,
};

static const struct attribute_group group = {
	.name = KBUILD_MODNAME,
	.attrs = attrs,
};

static const struct attribute_group *groups[] = {
	&group,
	NULL,
};

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vcma_edu *t;
	int err = -ENOMEM;

	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return err;
	t->buf = kvcalloc(VCMA_EDU_BUFFERS, sizeof(*t->buf), GFP_KERNEL);
	if (!t->buf)
		goto out_free;
	mutex_init(&t->lock);
	t->pdev = pdev;
	err = pci_enable_device(pdev);
	if (err)
		goto out_buf;
	/* Some need not even be supported; whoever sets another will be told. */
	dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	t->regs = pci_iomap(pdev, 0, EDU_REGS_BYTES);
	if (!t->regs) {
		err = -ENOMEM;
		goto out_disable;
	}
	pci_set_master(pdev);
	pci_set_drvdata(pdev, t);
	vcma_edu_add(t);
	return 0;

out_disable:
	pci_disable_device(pdev);
out_buf:
	kvfree(t->buf);
out_free:
	kfree(t);
	return err;
}

static void remove(struct pci_dev *pdev)
{
	struct vcma_edu *t = pci_get_drvdata(pdev);

	vcma_edu_del(t);
	while (t->nr)
		vcma_edu_free(t, t->nr - 1);
	pci_iounmap(pdev, t->regs);
	pci_clear_master(pdev);
	pci_disable_device(pdev);
	kvfree(t->buf);
	kfree(t);
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{ 0 },
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.dev_groups = groups,
};

static int __init vcma_edu_init(void)
{
	int err = vcma_edu_windows_parse(windows);

	if (err) {
		pr_err("windows=%s: not NAME:BASE:SIZE,...\n", windows);
		return err;
	}
	return pci_register_driver(&driver);
}
module_init(vcma_edu_init);

static void __exit vcma_edu_exit(void)
{
	pci_unregister_driver(&driver);
}
module_exit(vcma_edu_exit);

MODULE_DESCRIPTION("Allocates DMA buffers by the thousand and lets edu's DMA engine judge them");
MODULE_AUTHOR("The vcma authors");
MODULE_LICENSE("GPL");
