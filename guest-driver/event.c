// SPDX-License-Identifier: GPL-2.0-only
/*
 * event.c - the event queue: what the host has to say of its own accord
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "virtio_cma.h"

#define NR_EVENTS 8

/* A RECLAIM is answered within this time whatever the host allows. */
#define RECLAIM_MAX_MS 30000

static int event_post(struct vcma_dev *vcma, struct virtio_cma_event *ev)
{
	struct scatterlist sg;

	memset(ev, 0, sizeof(*ev));
	sg_init_one(&sg, ev, sizeof(*ev));
	return virtqueue_add_inbuf(vcma->event_vq, &sg, 1, ev, GFP_KERNEL);
}

/* Nobody waits for the answer to this one. */
static void reclaim_done(struct vcma_dev *vcma, u32 id, bool all)
{
	struct vcma_call *call = vcma_call_new(vcma, VIRTIO_CMA_REQ_RECLAIM_DONE, 0);

	if (!call)
		return;		/* the host has a deadline for it */
	call->req->id = cpu_to_le32(id);
	call->req->status = cpu_to_le16(all ? VIRTIO_CMA_S_OK : VIRTIO_CMA_S_BUSY);
	vcma_call_start(call);
	vcma_call_put(call);
}

static void handle_reclaim(struct vcma_dev *vcma, const struct virtio_cma_event *ev)
{
	unsigned int nr = le32_to_cpu(ev->num_ranges);
	unsigned int ms = min_t(u32, le32_to_cpu(ev->deadline_ms), RECLAIM_MAX_MS);
	unsigned int left;

	left = vcma_lease_reclaim(vcma, ev->range, nr, ms);
	pr_debug("RECLAIM %u: %u of %u ranges given back\n", le32_to_cpu(ev->id),
		 nr - left, nr);
	reclaim_done(vcma, le32_to_cpu(ev->id), !left);
}

static void handle_pool_changed(struct vcma_dev *vcma)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	vcma_backoff_clear(vcma);
	spin_unlock_irqrestore(&vcma->lock, flags);
}

static void handle_event(struct vcma_dev *vcma, const struct virtio_cma_event *ev,
			 unsigned int len)
{
	u32 nr = le32_to_cpu(ev->num_ranges);

	if (len < offsetof(struct virtio_cma_event, range) || nr > VIRTIO_CMA_EVENT_RANGES ||
	    len < offsetof(struct virtio_cma_event, range) + nr * sizeof(ev->range[0])) {
		pr_err_ratelimited("an event of %u bytes with %u ranges is not valid\n", len, nr);
		return;
	}

	switch (le16_to_cpu(ev->type)) {
	case VIRTIO_CMA_EV_RECLAIM:
		handle_reclaim(vcma, ev);
		break;
	case VIRTIO_CMA_EV_POOL_CHANGED:
		handle_pool_changed(vcma);
		break;
	case VIRTIO_CMA_EV_LEASE_BAD:
		vcma_bad_mark(vcma, ev->range, nr);
		break;
	case VIRTIO_CMA_EV_CLIENTS_CHANGED:
		vcma_table_changed(vcma);
		break;
	default:
		pr_debug("event %u is not known\n", le16_to_cpu(ev->type));
	}
}

static void event_work(struct work_struct *work)
{
	struct vcma_dev *vcma = container_of(work, struct vcma_dev, event_work);
	struct virtio_cma_event *ev;
	unsigned int len;
	int err;

	while ((ev = virtqueue_get_buf(vcma->event_vq, &len))) {
		handle_event(vcma, ev, len);
		err = event_post(vcma, ev);
		if (err)
			pr_err("an event buffer is lost: %d\n", err);
		virtqueue_kick(vcma->event_vq);
	}
}

/**
 * vcma_event_init() - get memory for events
 * @vcma: the device; vcma_release_work() frees it
 *
 * Return: 0 or -ENOMEM.
 */
int vcma_event_init(struct vcma_dev *vcma)
{
	INIT_WORK(&vcma->event_work, event_work);
	vcma->events = kcalloc(NR_EVENTS, sizeof(*vcma->events), GFP_KERNEL);
	return vcma->events ? 0 : -ENOMEM;
}

/**
 * vcma_event_post_all() - give the device all event buffers
 * @vcma: its queue is new and empty
 *
 * Return: 0 or -errno.
 */
int vcma_event_post_all(struct vcma_dev *vcma)
{
	unsigned int i, nr;
	int err;

	nr = min_t(unsigned int, NR_EVENTS, virtqueue_get_vring_size(vcma->event_vq));
	for (i = 0; i < nr; i++) {
		err = event_post(vcma, &vcma->events[i]);
		if (err)
			return err;
	}
	return 0;
}

/**
 * vcma_event_callback() - there are events
 * @vq: the event queue
 *
 * Context: interrupt.  Giving leases back waits for the host, so it is work.
 */
void vcma_event_callback(struct virtqueue *vq)
{
	struct vcma_dev *vcma = vq->vdev->priv;

	queue_work(vcma_wq, &vcma->event_work);
}

/**
 * vcma_event_fini() - no more events
 * @vcma: the device was reset
 */
void vcma_event_fini(struct vcma_dev *vcma)
{
	cancel_work_sync(&vcma->event_work);
	while (virtqueue_detach_unused_buf(vcma->event_vq))
		;
}
