// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs.c - what an administrator can see, below the virtio device
 *
 *	/sys/bus/virtio/drivers/virtio_cma/virtio0/
 *		leases lease_bytes idle_leases idle_bytes
 *		bad_leases		that a device may not reach: not used for more, and given
 *					back when their users are done
 *		ranges range_bytes
 *		allocs			allocations served by vcma, since it was loaded
 *		fallbacks failures	by the kernel's allocator; not at all
 *		plugs			leases got since then
 *		reclaimed_bytes		given back, for whatever reason
 *		last_refusal		size and reason of the latest allocation that got nothing:
 *					"67108864 over limit"; or "none"
 *		clients			a line for each, with its own counters
 *		client_table		which devices the host wants to be clients, a line for each,
 *					as it said last
 *		release_idle		write 1: give all idle leases back now
 *		window1/ ...
 *			base length	in guest-physical addresses
 *			zone		what the kernel calls addresses there
 *			bank
 *			fixed		1: at an address that the machine has left out of its RAM
 *			state		"usable", or why not: "System RAM: left alone"
 *			leases lease_bytes range_bytes
 *			free_bytes	in no range
 *			reserve		what a client that reaches everything leaves free
 *			allocs		served from here
 *			reserve_refused	not served from here, because of a reserve
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kstrtox.h>
#include <linux/sysfs.h>

#include "vcma_client.h"

static struct vcma_dev *to_vcma(struct device *dev)
{
	return dev_to_virtio(dev)->priv;
}

/* Sums over all windows, of one moment. */
struct totals {
	unsigned int leases, idle_leases, bad_leases, ranges;
	u64 lease_bytes, idle_bytes, range_bytes;
	u64 plugs, reclaimed_bytes;
};

static struct totals sum_up(struct vcma_dev *vcma)
{
	const struct vcma_lease *lease;
	struct totals t = { 0 };
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&vcma->lock, flags);
	t.ranges = vcma->nr_ranges;
	t.plugs = vcma->plugs;
	t.reclaimed_bytes = vcma->reclaimed_bytes;
	for (i = 0; i < vcma->nr_windows; i++) {
		t.leases += vcma->win[i].nr_leases;
		t.lease_bytes += vcma->win[i].lease_bytes;
		t.range_bytes += vcma->win[i].range_bytes;
		list_for_each_entry(lease, &vcma->win[i].leases, node) {
			t.bad_leases += lease->bad;
			if (lease->nr_ranges)
				continue;
			t.idle_leases++;
			t.idle_bytes += lease->size;
		}
	}
	spin_unlock_irqrestore(&vcma->lock, flags);
	return t;
}

#define TOTAL_ATTR(name)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	return sysfs_emit(buf, "%llu\n", (u64)sum_up(to_vcma(dev)).name);	\
}										\
static DEVICE_ATTR_RO(name)

TOTAL_ATTR(leases);
TOTAL_ATTR(lease_bytes);
TOTAL_ATTR(idle_leases);
TOTAL_ATTR(idle_bytes);
TOTAL_ATTR(bad_leases);
TOTAL_ATTR(ranges);
TOTAL_ATTR(range_bytes);
TOTAL_ATTR(plugs);
TOTAL_ATTR(reclaimed_bytes);

#define COUNT_ATTR(name)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	return sysfs_emit(buf, "%llu\n", (u64)atomic64_read(&to_vcma(dev)->name)); \
}										\
static DEVICE_ATTR_RO(name)

COUNT_ATTR(allocs);
COUNT_ATTR(fallbacks);
COUNT_ATTR(failures);

static ssize_t last_refusal_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vcma_dev *vcma = to_vcma(dev);
	unsigned long flags;
	const char *why;
	u64 size;

	spin_lock_irqsave(&vcma->lock, flags);
	why = vcma->refused_why;
	size = vcma->refused_size;
	spin_unlock_irqrestore(&vcma->lock, flags);
	return why ? sysfs_emit(buf, "%llu %s\n", size, why) : sysfs_emit(buf, "none\n");
}
static DEVICE_ATTR_RO(last_refusal);

static ssize_t clients_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return vcma_clients_show(buf);
}
static DEVICE_ATTR_RO(clients);

static ssize_t client_table_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return vcma_table_show(to_vcma(dev), buf);
}
static DEVICE_ATTR_RO(client_table);

static ssize_t release_idle_store(struct device *dev, struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct vcma_dev *vcma = to_vcma(dev);
	bool yes;
	u64 bytes;
	int err;

	err = kstrtobool(buf, &yes);
	if (err)
		return err;
	if (yes) {
		bytes = vcma_lease_release_idle(vcma, VCMA_ALL_BANKS, VCMA_UNPLUG_MS);
		pr_debug("%llu MiB given back by hand\n", bytes >> 20);
	}
	return count;
}
static DEVICE_ATTR_WO(release_idle);

static struct attribute *vcma_attrs[] = {
	&dev_attr_leases.attr,
	&dev_attr_lease_bytes.attr,
	&dev_attr_idle_leases.attr,
	&dev_attr_idle_bytes.attr,
	&dev_attr_bad_leases.attr,
	&dev_attr_ranges.attr,
	&dev_attr_range_bytes.attr,
	&dev_attr_allocs.attr,
	&dev_attr_fallbacks.attr,
	&dev_attr_failures.attr,
	&dev_attr_plugs.attr,
	&dev_attr_reclaimed_bytes.attr,
	&dev_attr_last_refusal.attr,
	&dev_attr_clients.attr,
	&dev_attr_client_table.attr,
	&dev_attr_release_idle.attr,
	NULL,
};

static const struct attribute_group vcma_group = {
	.attrs = vcma_attrs,
};

const struct attribute_group *vcma_groups[] = {
	&vcma_group,
	NULL,
};

/* --- windows --- */

static struct vcma_window *to_window(struct device_attribute *attr)
{
	return container_of(attr, struct vcma_window_attr, attr)->win;
}

static ssize_t window_base_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%#llx\n", (u64)to_window(attr)->base);
}

static ssize_t window_length_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", to_window(attr)->length);
}

static ssize_t window_zone_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", vcma_window_zone(to_window(attr)));
}

static ssize_t window_bank_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", to_window(attr)->bank);
}

static ssize_t window_fixed_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_window(attr)->fixed);
}

static ssize_t window_state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", vcma_window_state_str(to_window(attr)));
}

static ssize_t window_reserve_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", vcma_window_reserve(to_window(attr)));
}

/* What changes all the time. */
#define WINDOW_ATTR(name, value)						\
static ssize_t window_##name##_show(struct device *dev,			\
				    struct device_attribute *attr, char *buf)	\
{										\
	const struct vcma_window *win = to_window(attr);			\
	unsigned long flags;							\
	u64 now;								\
										\
	spin_lock_irqsave(&win->vcma->lock, flags);				\
	now = (value);								\
	spin_unlock_irqrestore(&win->vcma->lock, flags);			\
	return sysfs_emit(buf, "%llu\n", now);					\
}

WINDOW_ATTR(leases, win->nr_leases)
WINDOW_ATTR(lease_bytes, win->lease_bytes)
WINDOW_ATTR(range_bytes, win->range_bytes)
WINDOW_ATTR(free_bytes, win->length - win->range_bytes)
WINDOW_ATTR(allocs, win->allocs)
WINDOW_ATTR(reserve_refused, win->reserve_refused)

static const struct device_attribute window_attrs[VCMA_WINDOW_ATTRS] = {
	__ATTR(base, 0444, window_base_show, NULL),
	__ATTR(length, 0444, window_length_show, NULL),
	__ATTR(zone, 0444, window_zone_show, NULL),
	__ATTR(bank, 0444, window_bank_show, NULL),
	__ATTR(fixed, 0444, window_fixed_show, NULL),
	__ATTR(state, 0444, window_state_show, NULL),
	__ATTR(leases, 0444, window_leases_show, NULL),
	__ATTR(lease_bytes, 0444, window_lease_bytes_show, NULL),
	__ATTR(range_bytes, 0444, window_range_bytes_show, NULL),
	__ATTR(free_bytes, 0444, window_free_bytes_show, NULL),
	__ATTR(reserve, 0444, window_reserve_show, NULL),
	__ATTR(allocs, 0444, window_allocs_show, NULL),
	__ATTR(reserve_refused, 0444, window_reserve_refused_show, NULL),
};

/**
 * vcma_sysfs_add_windows() - a directory for each window
 * @vcma: with all its windows
 *
 * Return: 0, or -errno with none added.
 */
int vcma_sysfs_add_windows(struct vcma_dev *vcma)
{
	unsigned int i, k;
	int err;

	for (i = 0; i < vcma->nr_windows; i++) {
		struct vcma_window *win = &vcma->win[i];

		for (k = 0; k < VCMA_WINDOW_ATTRS; k++) {
			win->attrs[k].attr = window_attrs[k];
			win->attrs[k].win = win;
			sysfs_attr_init(&win->attrs[k].attr.attr);
			win->attr_list[k] = &win->attrs[k].attr.attr;
		}
		snprintf(win->group_name, sizeof(win->group_name), "window%u", win->id);
		win->group.name = win->group_name;
		win->group.attrs = win->attr_list;
		err = sysfs_create_group(&vcma->vdev->dev.kobj, &win->group);
		if (err)
			goto out_remove;
	}
	return 0;

out_remove:
	while (i--)
		sysfs_remove_group(&vcma->vdev->dev.kobj, &vcma->win[i].group);
	return err;
}

/**
 * vcma_sysfs_remove_windows() - and take them away
 * @vcma: after this nobody reads its windows through sysfs
 */
void vcma_sysfs_remove_windows(struct vcma_dev *vcma)
{
	unsigned int i;

	for (i = 0; i < vcma->nr_windows; i++)
		sysfs_remove_group(&vcma->vdev->dev.kobj, &vcma->win[i].group);
}
