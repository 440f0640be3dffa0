/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma: what the host wants of the guest
 *
 * DOC: Theory of operation
 *
 * vcmad asks for leases back (RECLAIM).  The device passes that on under an id
 * of its own and keeps it until the guest has given its answer and everything
 * that it gave up is with vcmad again, or until the deadline; only then vcmad
 * hears RECLAIM_DONE.  While there is no driver the answer is BUSY: between two
 * drivers DMA may be under way, so nothing is taken.  There are at most
 * VIRTIO_CMA_RECLAIMS at a time.
 *
 * LEASE_BAD is sent once for each bad lease that is still plugged.  An event
 * waits for a buffer of the guest's as long as it is of use.
 */
#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "hw/virtio/virtio-access.h"
#include "virtio-cma.h"
#include "trace.h"

#define VIRTIO_CMA_RECLAIMS 16

struct VirtIOCMAReclaim {
    uint32_t id;                /* what the guest is told */
    uint32_t broker_id;         /* what vcmad calls it */
    int64_t deadline;           /* QEMU_CLOCK_REALTIME, ms */
    bool sent;                  /* to the guest */
    bool answered;              /* by the guest, or nobody is there to do so */
    uint32_t count;
    uint64_t lease[VCMA_IDS_MAX];   /* of vcmad; 0: it is back */
    QTAILQ_ENTRY(VirtIOCMAReclaim) next;
};

static VcmaLease *virtio_cma_find_lease(VirtIOCMA *s, uint64_t id)
{
    unsigned int i;
    VcmaLease *lease;

    for (i = 0; id && i < s->nr_windows; i++) {
        QTAILQ_FOREACH(lease, &s->window[i]->leases, next) {
            if (lease->id == id) {
                return lease;
            }
        }
    }
    return NULL;
}

static void virtio_cma_reclaim_end(VirtIOCMA *s, VirtIOCMAReclaim *r,
                                   uint32_t status)
{
    trace_virtio_cma_reclaim_end(r->id, r->broker_id, status);
    QTAILQ_REMOVE(&s->reclaims, r, next);
    s->nr_reclaims--;
    vcma_broker_reclaim_done(s->broker, r->broker_id, status);
    g_free(r);
}

/* Is there nothing more to come?  Then tell vcmad. */
static void virtio_cma_reclaim_check(VirtIOCMA *s, VirtIOCMAReclaim *r)
{
    bool kept = false;
    uint32_t i;

    for (i = 0; i < r->count; i++) {
        VcmaLease *lease = virtio_cma_find_lease(s, r->lease[i]);

        if (!lease) {
            r->lease[i] = 0;
        } else if (lease->state != VCMA_LEASE_DRAINING) {
            kept = true;
        } else {
            return;
        }
    }
    if (!kept || r->answered) {
        virtio_cma_reclaim_end(s, r, kept ? VCMA_ST_BUSY : VCMA_ST_OK);
    }
}

static void virtio_cma_reclaim_arm(VirtIOCMA *s)
{
    int64_t next = INT64_MAX;
    VirtIOCMAReclaim *r;

    QTAILQ_FOREACH(r, &s->reclaims, next) {
        next = MIN(next, r->deadline);
    }
    if (next == INT64_MAX) {
        timer_del(s->reclaim_timer);
    } else {
        timer_mod(s->reclaim_timer, next);
    }
}

void virtio_cma_reclaim_timeout(void *opaque)
{
    VirtIOCMA *s = opaque;
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    VirtIOCMAReclaim *r, *tmp;

    QTAILQ_FOREACH_SAFE(r, &s->reclaims, next, tmp) {
        if (now >= r->deadline) {
            virtio_cma_reclaim_end(s, r, VCMA_ST_BUSY);
        }
    }
    virtio_cma_reclaim_arm(s);
}

void virtio_cma_reclaim_no_driver(VirtIOCMA *s)
{
    VirtIOCMAReclaim *r, *tmp;

    QTAILQ_FOREACH_SAFE(r, &s->reclaims, next, tmp) {
        r->answered = true;
        virtio_cma_reclaim_check(s, r);
    }
}

void virtio_cma_reclaim_gone(VirtIOCMA *s, uint64_t lease)
{
    VirtIOCMAReclaim *r, *tmp;
    uint32_t i;

    QTAILQ_FOREACH_SAFE(r, &s->reclaims, next, tmp) {
        for (i = 0; i < r->count; i++) {
            if (lease && r->lease[i] == lease) {
                r->lease[i] = 0;
                virtio_cma_reclaim_check(s, r);
                break;
            }
        }
    }
}

void virtio_cma_reclaim_forget(VirtIOCMA *s, bool answer)
{
    VirtIOCMAReclaim *r;

    while ((r = QTAILQ_FIRST(&s->reclaims))) {
        if (answer) {
            virtio_cma_reclaim_end(s, r, VCMA_ST_BUSY);
        } else {
            QTAILQ_REMOVE(&s->reclaims, r, next);
            s->nr_reclaims--;
            g_free(r);
        }
    }
}

uint16_t virtio_cma_reclaim_answer(VirtIOCMA *s, uint32_t id, uint16_t status)
{
    VirtIOCMAReclaim *r;

    trace_virtio_cma_reclaim_answer(id, status);
    QTAILQ_FOREACH(r, &s->reclaims, next) {
        if (r->id == id && r->sent) {
            r->answered = true;
            virtio_cma_reclaim_check(s, r);
            return VIRTIO_CMA_S_OK;
        }
    }
    /* Late is not wrong, but an id that was never given is. */
    return s->last_reclaim - id < INT32_MAX ? VIRTIO_CMA_S_OK :
                                              VIRTIO_CMA_S_INVALID;
}

/* --- sending --- */

static void virtio_cma_set_range(struct virtio_cma_range *r,
                                 const VcmaLease *lease)
{
    r->window = cpu_to_le32(lease->window->id);
    r->offset = cpu_to_le64(lease->offset);
    r->size = cpu_to_le64(lease->size);
}

/* False: nothing of it is in the guest's hands any more. */
static bool virtio_cma_fill_reclaim(VirtIOCMA *s, VirtIOCMAReclaim *r,
                                    struct virtio_cma_event *ev)
{
    int64_t left = r->deadline - qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    uint32_t i, n = 0;

    QEMU_BUILD_BUG_ON(VCMA_IDS_MAX > VIRTIO_CMA_EVENT_RANGES);
    for (i = 0; i < r->count; i++) {
        VcmaLease *lease = virtio_cma_find_lease(s, r->lease[i]);

        if (lease && lease->state == VCMA_LEASE_PLUGGED) {
            virtio_cma_set_range(&ev->range[n++], lease);
        }
    }
    ev->type = cpu_to_le16(VIRTIO_CMA_EV_RECLAIM);
    ev->id = cpu_to_le32(r->id);
    ev->deadline_ms = cpu_to_le32(MAX(left, 1));
    ev->num_ranges = cpu_to_le32(n);
    return n;
}

/* Bad leases that the guest has not heard of; @told: now it has. */
static bool virtio_cma_fill_bad(VirtIOCMA *s, struct virtio_cma_event *ev,
                                bool told)
{
    uint32_t i, n = 0;
    VcmaLease *lease;

    for (i = 0; i < s->nr_windows; i++) {
        QTAILQ_FOREACH(lease, &s->window[i]->leases, next) {
            if (lease->bad && !lease->bad_told &&
                lease->state == VCMA_LEASE_PLUGGED &&
                n < VIRTIO_CMA_EVENT_RANGES) {
                virtio_cma_set_range(&ev->range[n++], lease);
                lease->bad_told = told;
            }
        }
    }
    ev->type = cpu_to_le16(VIRTIO_CMA_EV_LEASE_BAD);
    ev->num_ranges = cpu_to_le32(n);
    return n;
}

/* The next event to send.  False: there is none. */
static bool virtio_cma_next_event(VirtIOCMA *s, struct virtio_cma_event *ev,
                                  VirtIOCMAReclaim **ret_reclaim)
{
    VirtIOCMAReclaim *r;

    memset(ev, 0, sizeof(*ev));
    QTAILQ_FOREACH(r, &s->reclaims, next) {
        if (!r->sent && !r->answered && virtio_cma_fill_reclaim(s, r, ev)) {
            *ret_reclaim = r;
            return true;
        }
    }
    *ret_reclaim = NULL;
    memset(ev, 0, sizeof(*ev));
    if (s->lease_bad && virtio_cma_fill_bad(s, ev, false)) {
        return true;
    }
    s->lease_bad = false;
    memset(ev, 0, sizeof(*ev));
    if (s->table.changed) {
        ev->type = cpu_to_le16(VIRTIO_CMA_EV_CLIENTS_CHANGED);
        return true;
    }
    ev->type = cpu_to_le16(VIRTIO_CMA_EV_POOL_CHANGED);
    return s->pool_changed;
}

static void virtio_cma_event_sent(VirtIOCMA *s, struct virtio_cma_event *ev,
                                  VirtIOCMAReclaim *r)
{
    switch (le16_to_cpu(ev->type)) {
    case VIRTIO_CMA_EV_RECLAIM:
        r->sent = true;
        break;
    case VIRTIO_CMA_EV_LEASE_BAD:
        virtio_cma_fill_bad(s, ev, true);
        break;
    case VIRTIO_CMA_EV_CLIENTS_CHANGED:
        s->table.changed = false;
        s->table.told = true;
        break;
    case VIRTIO_CMA_EV_POOL_CHANGED:
        s->pool_changed = false;
        break;
    }
}

void virtio_cma_handle_events(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOCMA *s = VIRTIO_CMA(vdev);
    struct virtio_cma_event ev;
    VirtIOCMAReclaim *r;
    VirtQueueElement *elem;
    bool sent = false;

    while (s->driver_ok && vdev->vm_running &&
           virtio_cma_next_event(s, &ev, &r)) {
        elem = virtqueue_pop(s->event_vq, sizeof(*elem));
        if (!elem) {
            break;
        }
        if (iov_size(elem->in_sg, elem->in_num) < sizeof(ev)) {
            virtio_error(vdev, "virtio-cma: an event buffer of %zu bytes "
                         "instead of %zu", iov_size(elem->in_sg, elem->in_num),
                         sizeof(ev));
            virtqueue_detach_element(s->event_vq, elem, 0);
            g_free(elem);
            break;
        }
        virtio_cma_event_sent(s, &ev, r);
        trace_virtio_cma_event(le16_to_cpu(ev.type), le32_to_cpu(ev.id),
                               le32_to_cpu(ev.num_ranges));
        iov_from_buf(elem->in_sg, elem->in_num, 0, &ev, sizeof(ev));
        virtqueue_push(s->event_vq, elem, sizeof(ev));
        g_free(elem);
        sent = true;
    }
    if (sent) {
        virtio_notify(vdev, s->event_vq);
    }
}

/* --- what vcmad says --- */

static void virtio_cma_on_reclaim(void *opaque, uint32_t id,
                                  uint32_t deadline_ms, const uint64_t *lease,
                                  uint32_t count)
{
    VirtIOCMA *s = opaque;
    VirtIOCMAReclaim *r;

    if (s->nr_reclaims >= VIRTIO_CMA_RECLAIMS) {
        trace_virtio_cma_reclaim_full(id);
        vcma_broker_reclaim_done(s->broker, id, VCMA_ST_BUSY);
        return;
    }
    r = g_new0(VirtIOCMAReclaim, 1);
    if (!++s->last_reclaim) {
        ++s->last_reclaim;
    }
    r->id = s->last_reclaim;
    r->broker_id = id;
    r->deadline = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + deadline_ms;
    r->count = MIN(count, VCMA_IDS_MAX);
    memcpy(r->lease, lease, r->count * sizeof(lease[0]));
    QTAILQ_INSERT_TAIL(&s->reclaims, r, next);
    s->nr_reclaims++;
    trace_virtio_cma_reclaim(r->id, id, count, deadline_ms, s->driver_ok);
    r->answered = !s->driver_ok;
    virtio_cma_reclaim_check(s, r);
    virtio_cma_handle_events(VIRTIO_DEVICE(s), s->event_vq);
    virtio_cma_reclaim_arm(s);
}

static void virtio_cma_on_pool_changed(void *opaque)
{
    VirtIOCMA *s = opaque;

    if (s->driver_ok) {
        s->pool_changed = true;
        virtio_cma_handle_events(VIRTIO_DEVICE(s), s->event_vq);
    }
}

static void virtio_cma_on_link(void *opaque, bool usable)
{
    VirtIOCMA *s = opaque;

    /* vcmad's ids belong to a connection. */
    virtio_cma_reclaim_forget(s, false);
    if (usable) {
        virtio_cma_on_pool_changed(s);
    }
}

const VcmaBrokerOps virtio_cma_broker_ops = {
    .reclaim = virtio_cma_on_reclaim,
    .pool_changed = virtio_cma_on_pool_changed,
    .link_changed = virtio_cma_on_link,
};
