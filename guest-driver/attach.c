// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach.c - which devices are clients, and for how long
 *
 * DOC: Theory of operation
 *
 * The bus says when a driver is about to probe a device, when it has failed to,
 * and when it was unbound.  A device that the clients parameter or the host's table
 * names gets our dma_map_ops before its driver probes, so that all its coherent memory
 * is of one kind, and loses them after its driver has gone.  Leases without ranges
 * stay warm for its next driver; when the device itself is pulled out, they are given
 * back.
 *
 * When a probe has failed, memory that the driver core manages for the driver
 * is freed only after the bus was told.  And a driver may free late, or never.
 * So a client stays attached while it has ranges, and is detached by a sweep,
 * with its device locked, when the last one is freed.
 *
 * On arm and arm64 the driver core takes a device's ops away when it is unbound,
 * and sets up new ones before the next driver probes.  So whoever finds a client
 * that stays attached puts its ops back.
 *
 * Windows are mapped cached.  A client whose DMA does not snoop caches would need
 * an uncached mapping of the same memory, and the two must not be mixed: it is
 * left to the kernel.  A client that the kernel knows too little of, because it
 * has needs (a bank, or forbidden address bits), is not left to it: if vcma cannot
 * serve such a client, it gets no DMA memory at all (I5).
 *
 * A function level reset of a client changes nothing here: its memory is the
 * driver's, and stays where it is.
 *
 * A client holds a reference of this module: as long as there is one, unloading
 * fails with "in use".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "vcma_client.h"

/*
 * vcma_clients_lock protects the list of clients and their `leaving` and
 * `swept`; a client in the list is not freed while it is held.  Process context;
 * taken with the device locked, or without, but never the other way round.
 */
static DEFINE_MUTEX(vcma_clients_lock);
static LIST_HEAD(vcma_clients);

static void sweep(struct work_struct *work);
static DECLARE_WORK(sweep_work, sweep);
static void give_back(struct work_struct *work);
static DECLARE_WORK(give_back_work, give_back);

/* range_free() looks at it under the client's lock.  Under vcma_clients_lock. */
static void client_set_leaving(struct vcma_client *c, bool leaving)
{
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	c->leaving = leaving;
	spin_unlock_irqrestore(&c->lock, flags);
}

/* Under vcma_clients_lock. */
static struct vcma_client *client_find(const struct device *dev)
{
	struct vcma_client *c;

	list_for_each_entry(c, &vcma_clients, node)
		if (c->dev == dev)
			return c;
	return NULL;
}

/* Why vcma cannot serve a device, or NULL. */
static const char *cannot_serve(struct device *dev, const struct vcma_needs *needs)
{
	if (!dev_is_dma_coherent(dev))
		return "its DMA does not snoop the CPU's caches";
	if (get_dma_ops(dev) && (needs->bank || needs->forbidden))
		return "it is behind an IOMMU, which chooses its addresses";
	/* The parameter cannot say so, but the host can: its pages are of another size. */
	if (needs->forbidden & ~PAGE_MASK)
		return "a page of this kernel has addresses with and without these bits";
	return NULL;
}

/* Our ops, if it does not have them any more.  The device is locked. */
static void client_keep_ops(struct vcma_client *c)
{
	if (c->dev->dma_ops != &c->ops)
		set_dma_ops(c->dev, &c->ops);
}

static void tell_attached(const struct vcma_client *c)
{
	struct vcma_dev *vcma = vcma_get_live();
	char needs[64] = "";
	int len = 0;

	if (c->bank)
		len = scnprintf(needs, sizeof(needs), ", of bank %u", c->bank);
	if (c->forbidden)
		scnprintf(needs + len, sizeof(needs) - len, ", without address bits %#llx",
			  c->forbidden);
	dev_info(c->dev, "coherent DMA memory comes from vcma%s%s%s%s%s\n",
		 c->from_table ? ", as the host wants" : "", needs,
		 c->prev ? ", through the IOMMU" : "",
		 vcma_strict || vcma_client_has_needs(c) ? ", and from nowhere else" : "",
		 vcma ? "" : "; but there is no virtio-cma device yet");
	if (vcma)
		vcma_put(vcma);
}

/* The device is locked, and its driver has not probed yet.  Under vcma_clients_lock. */
static int client_attach(struct device *dev, const struct vcma_needs *needs)
{
	const char *why = cannot_serve(dev, needs);
	struct vcma_client *c;
	int err;

	if (why && !needs->bank && !needs->forbidden) {
		dev_warn(dev, "not a client of vcma: %s\n", why);
		return 0;
	}
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;		/* being unloaded */
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c) {
		err = -ENOMEM;
		goto out_module;
	}
	spin_lock_init(&c->lock);
	c->ranges = RB_ROOT;
	c->bounces = RB_ROOT;
	c->from_table = needs->from_table;
	c->bank = needs->bank;
	c->forbidden = needs->forbidden;
	c->barred = why;
	c->dev = get_device(dev);
	err = vcma_ops_init(c);
	if (err)
		goto out_free;

	list_add_tail(&c->node, &vcma_clients);
	set_dma_ops(dev, &c->ops);
	if (why)
		dev_err(dev, "no DMA memory at all: it has a bank or forbidden address bits, and vcma cannot serve it: %s\n",
			why);
	else
		tell_attached(c);
	return 0;

out_free:
	vcma_ops_fini(c);
	put_device(c->dev);
	kfree(c);
out_module:
	module_put(THIS_MODULE);
	return err;
}

static bool client_is_idle(struct vcma_client *c)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&c->lock, flags);
	idle = !c->nr_ranges;
	spin_unlock_irqrestore(&c->lock, flags);
	return idle;
}

/* The device is locked, has no driver, and no range.  Under vcma_clients_lock. */
static void client_detach(struct vcma_client *c)
{
	struct device *dev = c->dev;

	list_del(&c->node);
	if (dev->dma_ops == &c->ops)
		set_dma_ops(dev, c->own_ops);
	vcma_ops_fini(c);
	kfree(c);
	put_device(dev);
	module_put(THIS_MODULE);
}

/* Detaches clients whose drivers are gone and whose last range was freed. */
static void sweep(struct work_struct *work)
{
	static unsigned int generation;		/* work does not run twice at once */
	struct vcma_client *c;
	struct device *dev;

	generation++;
	for (;;) {
		dev = NULL;
		mutex_lock(&vcma_clients_lock);
		list_for_each_entry(c, &vcma_clients, node) {
			if (!c->leaving || c->swept == generation)
				continue;
			c->swept = generation;
			dev = get_device(c->dev);
			break;
		}
		mutex_unlock(&vcma_clients_lock);
		if (!dev)
			return;

		/* Not before the driver core is through with the driver. */
		device_lock(dev);
		mutex_lock(&vcma_clients_lock);
		c = client_find(dev);
		if (c && c->leaving && !dev->driver) {
			if (client_is_idle(c))
				client_detach(c);
			else
				client_keep_ops(c);
		}
		mutex_unlock(&vcma_clients_lock);
		device_unlock(dev);
		put_device(dev);
	}
}

/**
 * vcma_client_idle() - the last range of a client that is leaving was freed
 *
 * Context: any.
 */
void vcma_client_idle(void)
{
	queue_work(vcma_wq, &sweep_work);
}

/* A client that is there has a driver again. */
static bool client_return(struct device *dev)
{
	struct vcma_client *c;

	mutex_lock(&vcma_clients_lock);
	c = client_find(dev);
	if (c) {
		client_set_leaving(c, false);
		client_keep_ops(c);
	}
	mutex_unlock(&vcma_clients_lock);
	return c;
}

static void on_bind(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	struct vcma_needs needs = { 0 };
	int err;

	/* The device is locked: nobody else makes it a client meanwhile. */
	if (client_return(dev) ||
	    (!vcma_clients_match(pdev, &needs) && !vcma_table_ask(pdev, &needs)))
		return;
	mutex_lock(&vcma_clients_lock);
	err = client_attach(dev, &needs);
	mutex_unlock(&vcma_clients_lock);
	if (err)
		dev_err(dev, "cannot be a client of vcma: %d\n", err);
}

/* Is a device a client?  The device is locked. */
static bool is_client(struct device *dev)
{
	bool yes;

	mutex_lock(&vcma_clients_lock);
	yes = client_find(dev);
	mutex_unlock(&vcma_clients_lock);
	return yes;
}

/* The device is locked. */
static void tell_too_late(struct device *dev)
{
	dev_warn(dev, "not a client of vcma: driver %s has it already; load virtio_cma first, or unbind and bind the device\n",
		 dev->driver->name);
}

/* Its driver may have begun to probe before the table was there. */
static void on_bound(struct device *dev)
{
	struct vcma_dev *vcma = vcma_get_live();
	struct vcma_needs needs;

	if (!vcma)
		return;
	if (vcma_table_known(vcma, to_pci_dev(dev), &needs) && !is_client(dev))
		tell_too_late(dev);
	vcma_put(vcma);
}

/* Gives back leases that nobody has a range in. */
static void give_back(struct work_struct *work)
{
	struct vcma_dev *vcma = vcma_get_live();

	if (!vcma)
		return;
	vcma_lease_release_idle(vcma, VCMA_ALL_BANKS, VCMA_UNPLUG_MS);
	vcma_put(vcma);
}

/* The device was pulled out, and has no driver any more. */
static void on_removed(struct device *dev)
{
	struct vcma_dev *vcma = vcma_get_live();
	struct pci_dev *pdev = to_pci_dev(dev);
	struct vcma_needs needs;

	if (!vcma)
		return;
	if (vcma_clients_match(pdev, &needs) || vcma_table_known(vcma, pdev, &needs))
		queue_work(vcma_wq, &give_back_work);
	vcma_put(vcma);
}

static void on_gone(struct device *dev, bool unbound)
{
	struct vcma_client *c;

	mutex_lock(&vcma_clients_lock);
	c = client_find(dev);
	if (!c)
		goto out_unlock;

	client_set_leaving(c, true);
	if (!unbound) {
		/* The driver core will free more, with the device still locked. */
		queue_work(vcma_wq, &sweep_work);
	} else if (client_is_idle(c)) {
		client_detach(c);
	} else {
		client_keep_ops(c);
		dev_warn(dev, "the driver has left %u DMA buffers behind; they stay allocated\n",
			 c->nr_ranges);
	}
out_unlock:
	mutex_unlock(&vcma_clients_lock);
}

static int bus_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct device *dev = data;

	switch (action) {
	case BUS_NOTIFY_BIND_DRIVER:
		on_bind(dev);
		break;
	case BUS_NOTIFY_BOUND_DRIVER:
		on_bound(dev);
		break;
	case BUS_NOTIFY_REMOVED_DEVICE:
		on_removed(dev);
		break;
	case BUS_NOTIFY_DRIVER_NOT_BOUND:
		on_gone(dev, false);
		break;
	case BUS_NOTIFY_UNBOUND_DRIVER:
		on_gone(dev, true);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block bus_nb = {
	.notifier_call = bus_notify,
};

static int warn_if_bound(struct device *dev, void *data)
{
	struct vcma_needs needs;

	device_lock(dev);
	if (dev->driver && vcma_clients_match(to_pci_dev(dev), &needs))
		tell_too_late(dev);
	device_unlock(dev);
	return 0;
}

/**
 * vcma_attach_init() - watch for clients
 *
 * Return: 0 or -errno.
 */
int vcma_attach_init(void)
{
	struct vcma_dev *vcma;
	int err;

	err = bus_register_notifier(&pci_bus_type, &bus_nb);
	if (err)
		return err;
	bus_for_each_dev(&pci_bus_type, NULL, NULL, warn_if_bound);
	/* Who has met a driver before this moment is in the table perhaps. */
	vcma = vcma_get_live();
	if (vcma) {
		vcma_table_changed(vcma);
		vcma_put(vcma);
	}
	return 0;
}

/**
 * vcma_attach_fini() - do not watch any more
 *
 * There are no clients: each would hold a reference of the module.
 */
void vcma_attach_fini(void)
{
	bus_unregister_notifier(&pci_bus_type, &bus_nb);
	cancel_work_sync(&sweep_work);
	cancel_work_sync(&give_back_work);
}

static int warn_if_late(struct device *dev, void *data)
{
	struct vcma_dev *vcma = data;
	struct vcma_needs needs;

	if (!vcma_table_known(vcma, to_pci_dev(dev), &needs))
		return 0;
	/* Who has it locked will be told when its driver is bound. */
	if (!device_trylock(dev))
		return 0;
	if (dev->driver && !is_client(dev))
		tell_too_late(dev);
	device_unlock(dev);
	return 0;
}

/**
 * vcma_clients_review() - the host's table was read
 * @vcma: whose
 *
 * Clients that are not in it any more get no more memory; and the log says which
 * devices cannot be clients because they have a driver already.
 *
 * Context: may sleep.
 */
void vcma_clients_review(struct vcma_dev *vcma)
{
	struct vcma_needs needs;
	struct vcma_client *c;
	bool known;

	mutex_lock(&vcma_clients_lock);
	list_for_each_entry(c, &vcma_clients, node) {
		if (!c->from_table)
			continue;
		known = vcma_table_known(vcma, to_pci_dev(c->dev), &needs);
		if (!known && !c->withdrawn)
			dev_info(c->dev, "is not in the host's client table any more; it keeps the memory that it has, and gets no more\n");
		WRITE_ONCE(c->withdrawn, !known);
	}
	mutex_unlock(&vcma_clients_lock);
	bus_for_each_dev(&pci_bus_type, NULL, vcma, warn_if_late);
}

/* How many ranges a client has there.  Under vcma_clients_lock. */
static unsigned int ranges_in(struct vcma_client *c, const struct vcma_dev *vcma,
			      phys_addr_t base, u64 size)
{
	struct rb_node *node;
	unsigned long flags;
	unsigned int nr = 0;

	spin_lock_irqsave(&c->lock, flags);
	for (node = rb_first(&c->ranges); node; node = rb_next(node)) {
		struct vcma_range *range = rb_entry(node, struct vcma_range, node);

		nr += range->lease->win->vcma == vcma && range->phys >= base &&
		      range->phys - base < size;
	}
	spin_unlock_irqrestore(&c->lock, flags);
	return nr;
}

/**
 * vcma_clients_tell_bad() - tell the log who has memory that a device may not reach
 * @vcma: the device
 * @base: of a bad lease
 * @size: of it
 *
 * Context: may sleep.
 */
void vcma_clients_tell_bad(const struct vcma_dev *vcma, phys_addr_t base, u64 size)
{
	struct vcma_client *c;
	unsigned int nr;

	mutex_lock(&vcma_clients_lock);
	list_for_each_entry(c, &vcma_clients, node) {
		nr = ranges_in(c, vcma, base, size);
		if (nr)
			dev_warn(c->dev, "has %u DMA buffers in bad memory at %pa; if its DMA fails, unbind its driver and bind it again: it will get others\n",
				 nr, &base);
	}
	mutex_unlock(&vcma_clients_lock);
}

/**
 * vcma_clients_show() - a line for each client
 * @buf: a page
 *
 * Return: bytes written.
 */
ssize_t vcma_clients_show(char *buf)
{
	struct vcma_client *c;
	ssize_t len = 0;

	mutex_lock(&vcma_clients_lock);
	list_for_each_entry(c, &vcma_clients, node) {
		unsigned int nr_ranges;
		u64 bytes, allocs, fallbacks, failures, bounced, bounce_failures;
		unsigned long flags;

		spin_lock_irqsave(&c->lock, flags);
		nr_ranges = c->nr_ranges;
		bytes = c->range_bytes;
		allocs = c->allocs;
		fallbacks = c->fallbacks;
		failures = c->failures;
		bounced = c->bounced;
		bounce_failures = c->bounce_failures;
		spin_unlock_irqrestore(&c->lock, flags);

		len += sysfs_emit_at(buf, len,
				     "%s ranges=%u range_bytes=%llu allocs=%llu fallbacks=%llu failures=%llu",
				     dev_name(c->dev), nr_ranges, bytes, allocs, fallbacks,
				     failures);
		if (bounced || bounce_failures || vcma_client_has_needs(c))
			len += sysfs_emit_at(buf, len, " bounced=%llu bounce_failures=%llu",
					     bounced, bounce_failures);
		if (c->bank)
			len += sysfs_emit_at(buf, len, " bank=%u", c->bank);
		if (c->forbidden)
			len += sysfs_emit_at(buf, len, " forbid=%#llx", c->forbidden);
		len += sysfs_emit_at(buf, len, "%s%s\n", c->barred ? " barred" : "",
				     c->withdrawn ? " withdrawn" : "");
	}
	mutex_unlock(&vcma_clients_lock);
	return len;
}
