// SPDX-License-Identifier: GPL-2.0-only
/*
 * req.c - the request queue: calls, their answers and their deadlines
 *
 * DOC: Theory of operation
 *
 * A call is a request in the queue.  Whoever starts it may wait for it, for a
 * time that is always limited (I10), or not at all.  What the answer means is
 * applied by the call's complete function, in the interrupt, whether or not
 * somebody still waits: a PLUG that is answered too late has made a lease all
 * the same.  The queue and the waiter hold a reference each, so a call that
 * outlives its waiter is freed when it is answered, or when the queue goes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "virtio_cma.h"

/* Bytes of the longest answer that a call may get. */
static size_t answer_size(const struct vcma_call *call)
{
	if (!call->room)
		return struct_size(call->resp, result, call->nr);
	return sizeof(*call->resp) + sizeof(struct virtio_cma_clients) +
	       call->room * sizeof(struct virtio_cma_client);
}

static struct vcma_call *call_new(struct vcma_dev *vcma, u16 type, unsigned int nr,
				  unsigned int room)
{
	struct vcma_call *call;

	call = kzalloc(struct_size(call, lease, nr), GFP_NOIO);
	if (!call)
		return NULL;
	kref_init(&call->ref);
	init_completion(&call->done);
	call->nr = nr;
	call->room = room;
	call->req = kzalloc(struct_size(call->req, range, nr), GFP_NOIO);
	call->resp = kzalloc(answer_size(call), GFP_NOIO);
	if (!call->req || !call->resp) {
		kfree(call->req);
		kfree(call->resp);
		kfree(call);
		return NULL;
	}
	call->req->type = cpu_to_le16(type);
	call->req->num_ranges = cpu_to_le32(nr);
	call->vcma = vcma;
	vcma_get(vcma);
	return call;
}

/**
 * vcma_call_new() - make a call
 * @vcma: the device
 * @type: VIRTIO_CMA_REQ_*, but for CLIENTS
 * @nr: ranges
 *
 * Context: may sleep, but starts no I/O to get memory: the caller may be the
 * driver of the disk.
 *
 * Return: the call, or NULL on lack of memory.
 */
struct vcma_call *vcma_call_new(struct vcma_dev *vcma, u16 type, unsigned int nr)
{
	return call_new(vcma, type, nr, 0);
}

/**
 * vcma_call_new_clients() - make a call for a page of the client table
 * @vcma: the device
 * @first: index of the first client that is wanted
 * @room: for how many, at least one
 *
 * Context: as vcma_call_new().
 *
 * Return: the call, or NULL on lack of memory.
 */
struct vcma_call *vcma_call_new_clients(struct vcma_dev *vcma, u32 first, unsigned int room)
{
	struct vcma_call *call = call_new(vcma, VIRTIO_CMA_REQ_CLIENTS, 0, room);

	if (call)
		call->req->id = cpu_to_le32(first);
	return call;
}

/**
 * vcma_call_range() - say what a range of a call is
 * @call: the call
 * @i: number of the range
 * @lease: its lease, which says where it is
 */
void vcma_call_range(struct vcma_call *call, unsigned int i, struct vcma_lease *lease)
{
	struct virtio_cma_range *range = &call->req->range[i];

	range->window = cpu_to_le32(lease->win->id);
	range->offset = cpu_to_le64(lease->offset);
	range->size = cpu_to_le64(lease->size);
	call->lease[i] = lease;
}

/**
 * vcma_call_window() - say that a range of a call is a whole window
 * @call: the call
 * @i: number of the range
 * @win: the window
 */
void vcma_call_window(struct vcma_call *call, unsigned int i, const struct vcma_window *win)
{
	struct virtio_cma_range *range = &call->req->range[i];

	range->window = cpu_to_le32(win->id);
	range->offset = 0;
	range->size = cpu_to_le64(win->length);
}

static void call_release(struct kref *ref)
{
	struct vcma_call *call = container_of(ref, struct vcma_call, ref);

	vcma_put(call->vcma);
	kfree(call->req);
	kfree(call->resp);
	kfree(call);
}

/**
 * vcma_call_put() - the caller is done with a call
 * @call: not to be used afterwards
 *
 * Context: any.
 */
void vcma_call_put(struct vcma_call *call)
{
	kref_put(&call->ref, call_release);
}

/**
 * vcma_call_start() - put a call in the queue
 * @call: the call
 *
 * Return: 0; -EAGAIN if the queue is full; -ENODEV if the device is gone.  Only
 * after 0 will the call's complete function run.
 */
int vcma_call_start(struct vcma_call *call)
{
	struct vcma_dev *vcma = call->vcma;
	struct scatterlist out, in, *sgs[2] = { &out, &in };
	unsigned long flags;
	int err;

	sg_init_one(&out, call->req, struct_size(call->req, range, call->nr));
	sg_init_one(&in, call->resp, answer_size(call));

	spin_lock_irqsave(&vcma->req_lock, flags);
	if (vcma->stopped) {
		err = -ENODEV;
		goto out_unlock;
	}
	kref_get(&call->ref);
	err = virtqueue_add_sgs(vcma->req_vq, sgs, 1, 1, call, GFP_ATOMIC);
	if (err) {
		kref_put(&call->ref, call_release);
		err = -EAGAIN;
		goto out_unlock;
	}
	virtqueue_kick(vcma->req_vq);
out_unlock:
	spin_unlock_irqrestore(&vcma->req_lock, flags);
	return err;
}

/* Queue's reference included. */
static void call_finish(struct vcma_call *call, int err)
{
	call->err = err;
	if (call->complete)
		call->complete(call);
	complete(&call->done);
	vcma_call_put(call);
}

/**
 * vcma_call_wait() - wait for a call's answer
 * @call: was started
 * @ms: how long at most
 *
 * Return: 0; -ETIMEDOUT if there is no answer yet: it may come later; -ENODEV if
 * there will be none; -EPROTO if it is no valid answer.
 */
int vcma_call_wait(struct vcma_call *call, unsigned int ms)
{
	struct vcma_dev *vcma = call->vcma;
	unsigned long flags;

	if (wait_for_completion_timeout(&call->done, msecs_to_jiffies(ms)))
		return call->err;

	spin_lock_irqsave(&vcma->req_lock, flags);
	if (!completion_done(&call->done) && !vcma->stalled) {
		vcma->stalled = true;
		pr_warn("the device has not answered request %u within %u ms; allocations go on without it\n",
			le16_to_cpu(call->req->type), ms);
	}
	spin_unlock_irqrestore(&vcma->req_lock, flags);
	return -ETIMEDOUT;
}

/* A request that is refused as a whole has no results, nor has one without ranges. */
static bool has_results(const struct vcma_call *call)
{
	if (!call->nr)
		return false;
	return call->resp->status == cpu_to_le16(VIRTIO_CMA_S_OK) ||
	       call->len >= struct_size(call->resp, result, call->nr);
}

/* A page of the client table, of which there may be less than there is room for. */
static bool page_ok(const struct vcma_call *call)
{
	u32 nr = le32_to_cpu(call->resp->num_done);

	return call->resp->status != cpu_to_le16(VIRTIO_CMA_S_OK) ||
	       (nr <= call->room &&
		call->len >= sizeof(*call->resp) + sizeof(struct virtio_cma_clients) +
			     nr * sizeof(struct virtio_cma_client));
}

/* Is the answer one that the protocol allows? */
static bool answer_ok(const struct vcma_call *call)
{
	unsigned int i;

	if (call->len < sizeof(*call->resp) ||
	    le16_to_cpu(call->resp->status) >= VIRTIO_CMA_S_MAX)
		return false;
	if (call->room)
		return page_ok(call);
	if (!has_results(call))
		return true;
	if (call->len < struct_size(call->resp, result, call->nr))
		return false;
	for (i = 0; i < call->nr; i++)
		if (le16_to_cpu(call->resp->result[i].status) >= VIRTIO_CMA_S_MAX ||
		    le16_to_cpu(call->resp->result[i].state) > VIRTIO_CMA_MIXED)
			return false;
	return true;
}

/**
 * vcma_req_callback() - the device has answered requests
 * @vq: the request queue
 *
 * Context: interrupt.
 */
void vcma_req_callback(struct virtqueue *vq)
{
	struct vcma_dev *vcma = vq->vdev->priv;
	struct vcma_call *call;
	unsigned long flags;
	unsigned int len;

	for (;;) {
		spin_lock_irqsave(&vcma->req_lock, flags);
		call = vcma->stopped ? NULL : virtqueue_get_buf(vq, &len);
		if (call) {
			call->len = len;
			vcma->stalled = false;
		}
		spin_unlock_irqrestore(&vcma->req_lock, flags);
		if (!call)
			break;

		if (answer_ok(call)) {
			call_finish(call, 0);
		} else {
			pr_err_ratelimited("request %u: the device's answer is not valid\n",
					   le16_to_cpu(call->req->type));
			call_finish(call, -EPROTO);
		}
	}
}

/**
 * vcma_req_drain() - end all calls that have no answer
 * @vcma: stopped, and the device is reset
 *
 * Context: process.
 */
void vcma_req_drain(struct vcma_dev *vcma)
{
	struct vcma_call *call;
	unsigned long flags;

	for (;;) {
		spin_lock_irqsave(&vcma->req_lock, flags);
		call = virtqueue_detach_unused_buf(vcma->req_vq);
		spin_unlock_irqrestore(&vcma->req_lock, flags);
		if (!call)
			break;
		call_finish(call, -ENODEV);
	}
}

/**
 * vcma_call_clients() - the page of the client table
 * @call: was answered with OK
 *
 * Return: what follows the response; its num_done says how many clients.
 */
const struct virtio_cma_clients *vcma_call_clients(const struct vcma_call *call)
{
	return (const void *)(call->resp + 1);
}

/**
 * vcma_call_status() - what became of a range
 * @call: was answered
 * @i: number of the range; 0 if there is none
 *
 * Return: VIRTIO_CMA_S_*.
 */
u16 vcma_call_status(const struct vcma_call *call, unsigned int i)
{
	return le16_to_cpu(has_results(call) ? call->resp->result[i].status : call->resp->status);
}

/**
 * vcma_call_state() - what is in a range now
 * @call: was answered
 * @i: number of the range
 *
 * Return: VIRTIO_CMA_UNPLUGGED to VIRTIO_CMA_MIXED; a request that is refused as
 * a whole has left what was there, whatever that is: VIRTIO_CMA_MIXED.
 */
u16 vcma_call_state(const struct vcma_call *call, unsigned int i)
{
	return has_results(call) ? le16_to_cpu(call->resp->result[i].state) : VIRTIO_CMA_MIXED;
}

/**
 * vcma_status_str() - a status in words
 * @status: VIRTIO_CMA_S_*
 *
 * Return: a constant string.
 */
const char *vcma_status_str(u16 status)
{
	static const char * const str[] = {
		[VIRTIO_CMA_S_OK] = "ok",
		[VIRTIO_CMA_S_INVALID] = "invalid request",
		[VIRTIO_CMA_S_DENIED] = "denied",
		[VIRTIO_CMA_S_NO_MEMORY] = "no memory in the pool",
		[VIRTIO_CMA_S_NO_RUN] = "no run in one piece",
		[VIRTIO_CMA_S_OVER_LIMIT] = "over limit",
		[VIRTIO_CMA_S_GUARANTEED] = "guaranteed to other VMs",
		[VIRTIO_CMA_S_TRY_LATER] = "try later",
		[VIRTIO_CMA_S_BROKER_AWAY] = "broker away",
		[VIRTIO_CMA_S_UNSUPPORTED] = "not supported",
		[VIRTIO_CMA_S_BUSY] = "busy",
		[VIRTIO_CMA_S_HOST_ERROR] = "host error",
	};

	static_assert(ARRAY_SIZE(str) == VIRTIO_CMA_S_MAX);
	return status < ARRAY_SIZE(str) ? str[status] : "unknown";
}
