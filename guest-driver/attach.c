// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach.c - which devices are clients, and for how long
 *
 * DOC: Theory of operation
 *
 * The bus says when a driver is about to probe a device, when it has failed to,
 * and when it was unbound.  A device that the clients parameter names gets our
 * dma_map_ops before its driver probes, so that all its coherent memory is of
 * one kind, and loses them after its driver has gone.
 *
 * When a probe has failed, memory that the driver core manages for the driver
 * is freed only after the bus was told.  And a driver may free late, or never.
 * So a client stays attached while it has ranges, and is detached by a sweep,
 * with its device locked, when the last one is freed.
 *
 * A client holds a reference of this module: as long as there is one, unloading
 * fails with "in use".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "virtio_cma.h"

static char *clients = "";
module_param(clients, charp, 0444);
MODULE_PARM_DESC(clients, "devices to serve: PCI addresses (0000:00:05.0), ids (1b36:0010), separated by commas, or all");

/* One entry of the clients parameter. */
struct client_match {
	enum { MATCH_ALL, MATCH_ADDRESS, MATCH_ID } type;
	unsigned int domain, bus, slot, func;
	unsigned int vendor, device;
};

#define MATCHES_MAX 64
static struct client_match matches[MATCHES_MAX];	/* constant after init */
static unsigned int nr_matches;

/*
 * vcma_clients_lock protects the list of clients and their `leaving` and
 * `swept`; a client in the list is not freed while it is held.  Process context;
 * taken with the device locked, or without, but never the other way round.
 */
static DEFINE_MUTEX(vcma_clients_lock);
static LIST_HEAD(vcma_clients);

static void sweep(struct work_struct *work);
static DECLARE_WORK(sweep_work, sweep);

static int parse_match(const char *s, struct client_match *m)
{
	char end;

	if (!strcmp(s, "all")) {
		m->type = MATCH_ALL;
		return 0;
	}
	m->type = MATCH_ADDRESS;
	if (sscanf(s, "%4x:%2x:%2x.%1x%c", &m->domain, &m->bus, &m->slot, &m->func, &end) == 4)
		return 0;
	m->domain = 0;
	if (sscanf(s, "%2x:%2x.%1x%c", &m->bus, &m->slot, &m->func, &end) == 3)
		return 0;
	m->type = MATCH_ID;
	if (sscanf(s, "%4x:%4x%c", &m->vendor, &m->device, &end) == 2)
		return 0;
	pr_err("clients: `%s' is neither a PCI address (0000:00:05.0), nor an id (1b36:0010), nor `all'\n",
	       s);
	return -EINVAL;
}

/**
 * vcma_clients_parse() - read the clients parameter
 *
 * Return: 0; -EINVAL or -E2BIG, with a message, if it makes no sense.
 */
int vcma_clients_parse(void)
{
	char *copy, *rest, *word;
	int err = 0;

	copy = kstrdup(clients, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	rest = copy;
	while (!err && (word = strsep(&rest, ","))) {
		word = strim(word);
		if (!*word)
			continue;
		if (nr_matches == MATCHES_MAX) {
			pr_err("clients: more than %d entries\n", MATCHES_MAX);
			err = -E2BIG;
			break;
		}
		err = parse_match(word, &matches[nr_matches++]);
	}
	kfree(copy);
	return err;
}

/* Is this the PCI function of a virtio-cma device?  It cannot be its own client. */
static bool is_own(const struct pci_dev *pdev)
{
	return pdev->vendor == PCI_VENDOR_ID_REDHAT_QUMRANET &&
	       pdev->device == 0x1040 + VIRTIO_ID_CMA;
}

static bool wanted(struct pci_dev *pdev)
{
	unsigned int i;

	if (is_own(pdev) || pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return false;
	for (i = 0; i < nr_matches; i++) {
		const struct client_match *m = &matches[i];

		switch (m->type) {
		case MATCH_ALL:
			return true;
		case MATCH_ADDRESS:
			if (pci_domain_nr(pdev->bus) == m->domain &&
			    pdev->bus->number == m->bus &&
			    pdev->devfn == PCI_DEVFN(m->slot, m->func))
				return true;
			break;
		case MATCH_ID:
			if (pdev->vendor == m->vendor && pdev->device == m->device)
				return true;
			break;
		}
	}
	return false;
}

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

/* The device is locked, and its driver has not probed yet.  Under vcma_clients_lock. */
static int client_attach(struct device *dev)
{
	struct vcma_dev *vcma;
	struct vcma_client *c;
	int err;

	if (!try_module_get(THIS_MODULE))
		return -ENODEV;		/* being unloaded */
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c) {
		err = -ENOMEM;
		goto out_module;
	}
	spin_lock_init(&c->lock);
	c->ranges = RB_ROOT;
	c->dev = get_device(dev);
	err = vcma_ops_init(c);
	if (err)
		goto out_free;

	list_add_tail(&c->node, &vcma_clients);
	set_dma_ops(dev, &c->ops);
	vcma = vcma_get_live();
	dev_info(dev, "coherent DMA memory comes from vcma%s%s%s\n",
		 c->prev ? ", through the IOMMU" : "",
		 vcma_strict ? ", and from nowhere else" : "",
		 vcma ? "" : "; but there is no virtio-cma device yet");
	if (vcma)
		vcma_put(vcma);
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
		if (c && c->leaving && !dev->driver && client_is_idle(c))
			client_detach(c);
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

static void on_bind(struct device *dev)
{
	struct vcma_client *c;
	int err = 0;

	mutex_lock(&vcma_clients_lock);
	c = client_find(dev);
	if (c)
		client_set_leaving(c, false);
	else if (wanted(to_pci_dev(dev)))
		err = client_attach(dev);
	mutex_unlock(&vcma_clients_lock);
	if (err)
		dev_err(dev, "cannot be a client of vcma: %d\n", err);
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
	device_lock(dev);
	if (dev->driver && wanted(to_pci_dev(dev)))
		dev_warn(dev, "not a client of vcma: driver %s has it already; load virtio_cma first, or unbind and bind the device\n",
			 dev->driver->name);
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
	int err;

	err = bus_register_notifier(&pci_bus_type, &bus_nb);
	if (err)
		return err;
	bus_for_each_dev(&pci_bus_type, NULL, NULL, warn_if_bound);
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
		u64 bytes, allocs, fallbacks, failures;
		unsigned long flags;

		spin_lock_irqsave(&c->lock, flags);
		nr_ranges = c->nr_ranges;
		bytes = c->range_bytes;
		allocs = c->allocs;
		fallbacks = c->fallbacks;
		failures = c->failures;
		spin_unlock_irqrestore(&c->lock, flags);

		len += sysfs_emit_at(buf, len,
				     "%s ranges=%u range_bytes=%llu allocs=%llu fallbacks=%llu failures=%llu\n",
				     dev_name(c->dev), nr_ranges, bytes, allocs, fallbacks,
				     failures);
	}
	mutex_unlock(&vcma_clients_lock);
	return len;
}
