// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - the virtio driver: a virtio-cma device comes, sleeps and goes
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/crash_dump.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/virtio_config.h>

#include "vcma_client.h"

bool vcma_strict;
module_param_named(strict, vcma_strict, bool, 0644);
MODULE_PARM_DESC(strict, "clients never fall back to the kernel's own allocator (default: they do)");

static unsigned int deadline_ms = 5000;
module_param(deadline_ms, uint, 0644);
MODULE_PARM_DESC(deadline_ms, "how long an allocation may wait for the host, 1 to 60000 ms (default 5000)");

struct workqueue_struct *vcma_wq;

/*
 * vcma_live_lock protects vcma_live, the device that serves allocations, or
 * NULL.  Taken in any context; innermost.
 */
static DEFINE_SPINLOCK(vcma_live_lock);
static struct vcma_dev *vcma_live;

/*
 * vcma_instances_lock protects the list of all instances: the live one, and
 * those whose device is gone while clients still have ranges.  Process context.
 */
static DEFINE_MUTEX(vcma_instances_lock);
static LIST_HEAD(vcma_instances);

/**
 * vcma_deadline_ms() - how long an allocation may wait for the host
 *
 * Return: milliseconds, never zero.
 */
unsigned int vcma_deadline_ms(void)
{
	return clamp(READ_ONCE(deadline_ms), 1U, 60000U);
}

/**
 * vcma_get_live() - the device that serves allocations
 *
 * Return: with a reference, or NULL if there is none.
 */
struct vcma_dev *vcma_get_live(void)
{
	struct vcma_dev *vcma;
	unsigned long flags;

	spin_lock_irqsave(&vcma_live_lock, flags);
	vcma = vcma_live;
	if (vcma)
		kref_get(&vcma->ref);
	spin_unlock_irqrestore(&vcma_live_lock, flags);
	return vcma;
}

static void set_live(struct vcma_dev *vcma)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma_live_lock, flags);
	vcma_live = vcma;
	spin_unlock_irqrestore(&vcma_live_lock, flags);
}

static void set_ready(struct vcma_dev *vcma, bool ready)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	vcma->ready = ready;
	spin_unlock_irqrestore(&vcma->lock, flags);
}

/* The last reference is gone: nobody uses an address in the windows. */
static void vcma_release_work(struct work_struct *work)
{
	struct vcma_dev *vcma = container_of(work, struct vcma_dev, release_work);

	mutex_lock(&vcma_instances_lock);
	list_del(&vcma->node);
	mutex_unlock(&vcma_instances_lock);

	vcma_windows_fini(vcma);
	pci_dev_put(vcma->pdev);
	kfree(vcma->events);
	kfree(vcma);
}

static void vcma_release(struct kref *ref)
{
	struct vcma_dev *vcma = container_of(ref, struct vcma_dev, ref);

	/* A range may be freed in atomic context; unmapping sleeps. */
	queue_work(vcma_wq, &vcma->release_work);
}

/**
 * vcma_get() - take another reference
 * @vcma: the caller has one, or @vcma is known to have one
 */
void vcma_get(struct vcma_dev *vcma)
{
	kref_get(&vcma->ref);
}

/**
 * vcma_put() - give a reference back
 * @vcma: not to be used afterwards
 *
 * Context: any.
 */
void vcma_put(struct vcma_dev *vcma)
{
	kref_put(&vcma->ref, vcma_release);
}

static int read_config(struct vcma_dev *vcma)
{
	struct virtio_device *vdev = vcma->vdev;
	u32 nr;

	virtio_cread_le(vdev, struct virtio_cma_config, num_windows, &nr);
	virtio_cread_le(vdev, struct virtio_cma_config, granule_size, &vcma->granule_size);
	virtio_cread_le(vdev, struct virtio_cma_config, lease_size, &vcma->lease_size);
	virtio_cread_le(vdev, struct virtio_cma_config, lease_max, &vcma->lease_max);

	if (nr < 1 || nr > VIRTIO_CMA_WINDOWS_MAX) {
		dev_err(&vdev->dev, "the device has %u windows; 1 to %d are possible\n",
			nr, VIRTIO_CMA_WINDOWS_MAX);
		return -EINVAL;
	}
	vcma->nr_windows = nr;

	if (hweight64(vcma->granule_size) != 1 || vcma->granule_size < PAGE_SIZE ||
	    vcma->lease_max < vcma->granule_size) {
		dev_err(&vdev->dev,
			"the device's sizes make no sense: granule %#llx, largest lease %#llx\n",
			vcma->granule_size, vcma->lease_max);
		return -EINVAL;
	}
	/* A lease is a power of two from a granule to the largest. */
	vcma->lease_max = 1ULL << ilog2(vcma->lease_max);
	if (hweight64(vcma->lease_size) != 1)
		vcma->lease_size = vcma->granule_size;
	if (VCMA_MAP_LEASES)
		vcma->lease_size = min_t(u64, vcma->lease_size, SZ_4M);
	vcma->lease_size = clamp(vcma->lease_size, vcma->granule_size, vcma->lease_max);
	return 0;
}

static int init_queues(struct vcma_dev *vcma)
{
	vq_callback_t *callbacks[VIRTIO_CMA_QUEUES] = {
		[VIRTIO_CMA_QUEUE_REQ] = vcma_req_callback,
		[VIRTIO_CMA_QUEUE_EVENT] = vcma_event_callback,
	};
	static const char * const names[VIRTIO_CMA_QUEUES] = {
		[VIRTIO_CMA_QUEUE_REQ] = "requests",
		[VIRTIO_CMA_QUEUE_EVENT] = "events",
	};
	struct virtqueue *vqs[VIRTIO_CMA_QUEUES];
	int err;

	err = virtio_find_vqs(vcma->vdev, VIRTIO_CMA_QUEUES, vqs, callbacks, names, NULL);
	if (err)
		return err;
	vcma->req_vq = vqs[VIRTIO_CMA_QUEUE_REQ];
	vcma->event_vq = vqs[VIRTIO_CMA_QUEUE_EVENT];

	err = vcma_event_post_all(vcma);
	if (err)
		vcma->vdev->config->del_vqs(vcma->vdev);
	return err;
}

/* The device is told to let go of the queues; who waits is told that it is gone. */
static void stop_queues(struct vcma_dev *vcma)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma->req_lock, flags);
	vcma->stopped = true;
	spin_unlock_irqrestore(&vcma->req_lock, flags);

	virtio_reset_device(vcma->vdev);
	/* First those who wait; the event work may be one of them. */
	vcma_req_drain(vcma);
	vcma_event_fini(vcma);
	vcma->vdev->config->del_vqs(vcma->vdev);
}

static void start_queues(struct vcma_dev *vcma)
{
	unsigned long flags;

	virtio_device_ready(vcma->vdev);
	virtqueue_kick(vcma->event_vq);
	spin_lock_irqsave(&vcma->req_lock, flags);
	vcma->stopped = false;
	vcma->stalled = false;
	spin_unlock_irqrestore(&vcma->req_lock, flags);
}

/* No new leases and no ranges; what was under way is done when this returns. */
static void close_shop(struct vcma_dev *vcma)
{
	set_ready(vcma, false);
	cancel_work_sync(&vcma->refill_work);
	cancel_work_sync(&vcma->bad_work);
	cancel_work_sync(&vcma->table_work);
	mutex_lock(&vcma->plug_mutex);
	mutex_unlock(&vcma->plug_mutex);
}

/*
 * One device serves all clients.  And a new driver instance makes the host
 * drop the leases of an earlier one, so there must not be one while clients
 * still use those.
 */
static int add_instance(struct vcma_dev *vcma)
{
	struct vcma_dev *other;
	int err = 0;

	/* Leave an instance that was given up the time to go. */
	flush_workqueue(vcma_wq);

	mutex_lock(&vcma_instances_lock);
	list_for_each_entry(other, &vcma_instances, node) {
		if (other == vcma_live) {
			dev_err(&vcma->vdev->dev,
				"a guest has one virtio-cma device, and %s is it: give that one more windows\n",
				pci_name(other->pdev));
			err = -EBUSY;
		} else if (other->pdev == vcma->pdev) {
			dev_err(&vcma->vdev->dev,
				"clients still use memory that they had from this device: unbind them first\n");
			err = -EBUSY;
		}
	}
	if (!err)
		list_add_tail(&vcma->node, &vcma_instances);
	mutex_unlock(&vcma_instances_lock);
	return err;
}

/* Has the kernel mapped the device's registers where they are? */
static int check_registers(struct virtio_device *vdev)
{
	struct pci_dev *pdev = to_pci_dev(vdev->dev.parent);
	unsigned int bar;

	for (bar = 0; VCMA_NO_HIGH_REMAP && bar < PCI_STD_NUM_BARS; bar++) {
		if (pci_resource_end(pdev, bar) <= U32_MAX)
			continue;
		dev_err(&vdev->dev,
			"BAR %u is %pR, and this kernel maps the wrong memory above 4 GiB: start the VM with windows that fit below (dma32=, or less of normal= and highmem=)\n",
			bar, &pdev->resource[bar]);
		return -ENODEV;
	}
	return 0;
}

static int check_platform(struct virtio_device *vdev)
{
	if (is_kdump_kernel()) {
		/* DRIVER_OK would drop the leases of the kernel that is to be dumped. */
		dev_info(&vdev->dev, "not used in a kdump kernel\n");
		return -ENODEV;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		dev_err(&vdev->dev, "not possible in a guest with encrypted memory\n");
		return -ENODEV;
	}
	if (!vdev->dev.parent || !dev_is_pci(vdev->dev.parent)) {
		dev_err(&vdev->dev, "windows are in BARs: a PCI device is needed\n");
		return -ENODEV;
	}
	if (check_registers(vdev))
		return -ENODEV;
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev,
			"a modern virtio device is needed: start QEMU with disable-legacy=on\n");
		return -ENODEV;
	}
	return 0;
}

static int vcma_probe(struct virtio_device *vdev)
{
	struct vcma_dev *vcma;
	int err;

	err = check_platform(vdev);
	if (err)
		return err;

	vcma = kzalloc(sizeof(*vcma), GFP_KERNEL);
	if (!vcma)
		return -ENOMEM;
	kref_init(&vcma->ref);
	INIT_LIST_HEAD(&vcma->node);
	INIT_WORK(&vcma->release_work, vcma_release_work);
	INIT_WORK(&vcma->refill_work, vcma_refill_work);
	INIT_WORK(&vcma->bad_work, vcma_bad_work);
	INIT_WORK(&vcma->table_work, vcma_table_work);
	spin_lock_init(&vcma->lock);
	spin_lock_init(&vcma->req_lock);
	mutex_init(&vcma->plug_mutex);
	mutex_init(&vcma->map_mutex);
	mutex_init(&vcma->table_mutex);
	vcma->has_table = virtio_has_feature(vdev, VIRTIO_CMA_F_CLIENT_TABLE);
	vcma->vdev = vdev;
	vcma->pdev = pci_dev_get(to_pci_dev(vdev->dev.parent));
	vcma->stopped = true;
	vdev->priv = vcma;

	err = add_instance(vcma);
	if (err)
		goto out_put;
	err = read_config(vcma);
	if (err)
		goto out_put;
	err = vcma_event_init(vcma);
	if (err)
		goto out_put;
	err = vcma_windows_init(vcma);
	if (err)
		goto out_put;
	err = init_queues(vcma);
	if (err)
		goto out_unclaim;
	err = vcma_sysfs_add_windows(vcma);
	if (err)
		goto out_queues;

	start_queues(vcma);
	err = vcma_fixed_start(vcma);
	if (err)
		goto out_sysfs;
	set_ready(vcma, true);
	set_live(vcma);
	vcma_table_changed(vcma);
	dev_info(&vdev->dev, "%u windows, leases of %llu to %llu MiB\n", vcma->nr_windows,
		 vcma->granule_size >> 20, vcma->lease_max >> 20);
	return 0;

out_sysfs:
	vcma_sysfs_remove_windows(vcma);
out_queues:
	stop_queues(vcma);
out_unclaim:
	vcma_windows_unclaim(vcma);
out_put:
	vdev->priv = NULL;
	vcma_put(vcma);
	return err;
}

static void vcma_remove(struct virtio_device *vdev)
{
	struct vcma_dev *vcma = vdev->priv;
	unsigned int nr_ranges;

	set_live(NULL);
	close_shop(vcma);

	/* A device reset does not give leases back. */
	vcma_lease_release_idle(vcma, VCMA_ALL_BANKS, VCMA_UNPLUG_MS);
	stop_queues(vcma);
	vcma_sysfs_remove_windows(vcma);
	vcma_windows_unclaim(vcma);

	nr_ranges = READ_ONCE(vcma->nr_ranges);
	if (nr_ranges)
		dev_warn(&vdev->dev,
			 "removed while clients have %u buffers in it; unbind their drivers\n",
			 nr_ranges);

	vdev->priv = NULL;
	vcma->vdev = NULL;
	vcma_put(vcma);
}

#ifdef CONFIG_PM_SLEEP
/*
 * What is in a lease would not survive a sleep: the device is reset on the way
 * back, and a host may do away with the guest meanwhile.  So idle leases are
 * given back, and with others the system stays awake.
 */
static int vcma_freeze(struct virtio_device *vdev)
{
	struct vcma_dev *vcma = vdev->priv;
	unsigned int i, left = 0;

	close_shop(vcma);
	vcma_lease_release_idle(vcma, VCMA_ALL_BANKS, VCMA_UNPLUG_MS);

	for (i = 0; i < vcma->nr_windows; i++)
		left += READ_ONCE(vcma->win[i].nr_leases);
	if (left) {
		set_ready(vcma, true);
		dev_err(&vdev->dev,
			"cannot sleep: %u leases are in use, and would be lost; unbind the client devices first\n",
			left);
		return -EBUSY;
	}
	stop_queues(vcma);
	return 0;
}

static int vcma_restore(struct virtio_device *vdev)
{
	struct vcma_dev *vcma = vdev->priv;
	int err;

	err = init_queues(vcma);
	if (err)
		return err;
	start_queues(vcma);
	err = vcma_fixed_start(vcma);
	if (err) {
		stop_queues(vcma);
		return err;
	}
	set_ready(vcma, true);
	vcma_table_changed(vcma);
	return 0;
}
#endif

static const struct virtio_device_id vcma_ids[] = {
	{ VIRTIO_ID_CMA, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vcma_ids);

static const unsigned int vcma_features[] = {
	VIRTIO_CMA_F_CLIENT_TABLE,
	VIRTIO_CMA_F_FIXED,
	VIRTIO_CMA_F_BANKS,
};

static struct virtio_driver vcma_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.driver.dev_groups = vcma_groups,
	.id_table = vcma_ids,
	.feature_table = vcma_features,
	.feature_table_size = ARRAY_SIZE(vcma_features),
	.probe = vcma_probe,
	.remove = vcma_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = vcma_freeze,
	.restore = vcma_restore,
#endif
};

static int __init vcma_init(void)
{
	int err;

	err = vcma_clients_parse();
	if (err)
		return err;
	vcma_wq = alloc_workqueue("virtio_cma", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!vcma_wq)
		return -ENOMEM;
	err = register_virtio_driver(&vcma_driver);
	if (err)
		goto out_wq;
	/* After the device, so that the first client finds it. */
	err = vcma_attach_init();
	if (err)
		goto out_driver;
	return 0;

out_driver:
	unregister_virtio_driver(&vcma_driver);
	flush_workqueue(vcma_wq);
	vcma_map_fini();
out_wq:
	destroy_workqueue(vcma_wq);
	return err;
}
module_init(vcma_init);

static void __exit vcma_exit(void)
{
	vcma_attach_fini();
	unregister_virtio_driver(&vcma_driver);
	flush_workqueue(vcma_wq);	/* the instance is released by work */
	vcma_map_fini();
	destroy_workqueue(vcma_wq);
}
module_exit(vcma_exit);

MODULE_DESCRIPTION("Contiguous DMA memory from the host, on demand");
MODULE_AUTHOR("The vcma authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
