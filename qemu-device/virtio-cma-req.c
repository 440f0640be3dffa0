/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma: what the guest asks for
 *
 * Everything is read from the guest's memory once, before it is judged.  A
 * request waits for vcmad if one of its ranges does; all that came for it
 * is shown to the guest in one memory transaction.
 */
#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "hw/virtio/virtio-access.h"
#include "virtio-cma.h"
#include "virtio_check.h"
#include "trace.h"

#define VIRTIO_CMA_DEADLINE_MS      5000    /* of a PLUG that names none */
#define VIRTIO_CMA_DEADLINE_LAST_MS 60000

typedef struct VirtIOCMARange {
    VirtIOCMAReq *req;
    VcmaWindow *window;         /* NULL: no such window, or out of it */
    uint64_t offset;
    uint64_t size;
    uint32_t window_id;         /* as the guest says */
    uint16_t status;            /* VIRTIO_CMA_S_* */
    const char *why;            /* INVALID: cause and cure, if known */
    VcmaLease *lease;           /* PLUG: ASKING or READY */
} VirtIOCMARange;

struct VirtIOCMAReq {
    VirtQueueElement elem;      /* first, for virtqueue_pop() */
    VirtIOCMA *s;
    struct vcma_req_head head;
    uint16_t status;            /* not OK: there are no results */
    uint32_t extra_done;        /* UNPLUG_ALL */
    unsigned int waiting;       /* ranges without an answer of vcmad */
    VirtIOCMARange range[VIRTIO_CMA_RANGES_MAX];
    QTAILQ_ENTRY(VirtIOCMAReq) next;
};

static bool virtio_cma_has_results(const VirtIOCMAReq *req)
{
    return req->status == VIRTIO_CMA_S_OK && req->head.num_ranges;
}

/* --- responses --- */

static void virtio_cma_respond(VirtIOCMAReq *req)
{
    struct {
        struct virtio_cma_resp head;
        struct virtio_cma_result result[VIRTIO_CMA_RANGES_MAX];
    } resp = { };
    uint32_t i, done = req->extra_done, n = 0;
    uint16_t status = req->status;
    size_t len;

    if (req->head.type == VIRTIO_CMA_REQ_CLIENTS &&
        status == VIRTIO_CMA_S_OK) {
        len = virtio_cma_clients_respond(req->s, req->head.id, req->elem.in_sg,
                                         req->elem.in_num);
        virtqueue_push(req->s->req_vq, &req->elem, len);
        return;
    }
    if (virtio_cma_has_results(req)) {
        n = req->head.num_ranges;
    }
    for (i = 0; i < n; i++) {
        VirtIOCMARange *r = &req->range[i];
        uint16_t state = r->window ?
            vcma_window_state(r->window, r->offset, r->size) : 0;

        resp.result[i].status = cpu_to_le16(r->status);
        resp.result[i].state = cpu_to_le16(state);
        if (r->status == VIRTIO_CMA_S_OK) {
            done++;
        } else if (status == VIRTIO_CMA_S_OK) {
            status = r->status;
        }
    }
    resp.head.status = cpu_to_le16(status);
    resp.head.num_done = cpu_to_le32(done);
    len = iov_from_buf(req->elem.in_sg, req->elem.in_num, 0, &resp,
                       vcma_resp_size(n));
    trace_virtio_cma_response(req->head.type, n, status, done);
    virtqueue_push(req->s->req_vq, &req->elem, len);
}

void virtio_cma_flush(VirtIOCMA *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    VirtIOCMAReq *req;

    if (!vdev->vm_running || QTAILQ_EMPTY(&s->done)) {
        return;
    }
    while ((req = QTAILQ_FIRST(&s->done))) {
        QTAILQ_REMOVE(&s->done, req, next);
        virtio_cma_respond(req);
        g_free(req);
    }
    virtio_notify(vdev, s->req_vq);
    virtio_cma_unblock_migration(s);
}

static void virtio_cma_drop_request(VirtIOCMAReq *req)
{
    virtqueue_detach_element(req->s->req_vq, &req->elem, 0);
    g_free(req);
}

void virtio_cma_cancel_requests(VirtIOCMA *s)
{
    VirtIOCMAReq *req;

    while ((req = QTAILQ_FIRST(&s->waiting))) {
        VcmaLease *lease[VIRTIO_CMA_RANGES_MAX];
        uint32_t i, n = 0;

        QTAILQ_REMOVE(&s->waiting, req, next);
        for (i = 0; i < req->head.num_ranges; i++) {
            if (req->range[i].lease) {
                lease[n++] = req->range[i].lease;
            }
        }
        trace_virtio_cma_cancel(req->head.type, n);
        vcma_lease_drop(lease, n);
        virtio_cma_drop_request(req);
    }
    while ((req = QTAILQ_FIRST(&s->done))) {
        QTAILQ_REMOVE(&s->done, req, next);
        virtio_cma_drop_request(req);
    }
}

/* --- PLUG --- */

static void virtio_cma_plug_finish(VirtIOCMAReq *req)
{
    VcmaLease *lease[VIRTIO_CMA_RANGES_MAX];
    uint16_t status[VIRTIO_CMA_RANGES_MAX];
    uint32_t i, n = 0;

    for (i = 0; i < req->head.num_ranges; i++) {
        if (req->range[i].lease) {
            lease[n++] = req->range[i].lease;
        }
    }
    vcma_lease_plug(lease, n, status);
    for (i = 0, n = 0; i < req->head.num_ranges; i++) {
        VirtIOCMARange *r = &req->range[i];

        if (r->lease) {
            r->lease = NULL;    /* the window's from now on, or given back */
            r->status = status[n++];
        }
    }
}

/* vcmad's answer for one range has come. */
static void virtio_cma_plug_done(void *opaque, VcmaLease *lease,
                                 uint16_t status)
{
    VirtIOCMARange *r = opaque;
    VirtIOCMAReq *req = r->req;
    VirtIOCMA *s = req->s;

    r->lease = lease;
    r->status = status;
    if (--req->waiting) {
        return;
    }
    virtio_cma_plug_finish(req);
    QTAILQ_REMOVE(&s->waiting, req, next);
    QTAILQ_INSERT_TAIL(&s->done, req, next);
    virtio_cma_flush(s);
}

static uint16_t virtio_cma_room(VirtIOCMA *s)
{
    unsigned int i, n = 0, draining = 0;

    for (i = 0; i < s->nr_windows; i++) {
        n += vcma_window_leases(s->window[i]);
        draining += s->window[i]->nr[VCMA_LEASE_DRAINING];
    }
    if (n < s->max_leases) {
        return VIRTIO_CMA_S_OK;
    }
    return n - draining < s->max_leases ? VIRTIO_CMA_S_TRY_LATER :
                                          VIRTIO_CMA_S_OVER_LIMIT;
}

static uint16_t virtio_cma_plug_one(VirtIOCMAReq *req, VirtIOCMARange *r,
                                    uint32_t deadline_ms)
{
    VirtIOCMA *s = req->s;
    const struct vcma_client_info *info = vcma_broker_info(s->broker);
    uint16_t status;

    if (r->window) {
        r->why = vcma_plug_why(r->offset, r->size, r->window->size,
                               s->granule, s->lease_max);
    }
    if (r->why) {
        return VIRTIO_CMA_S_INVALID;
    }
    if (!vcma_window_usable(r->window->flags, r->window->bank,
                            VIRTIO_DEVICE(s)->guest_features)) {
        r->why = "the driver has not negotiated the feature that the window "
                 "needs";
        return VIRTIO_CMA_S_UNSUPPORTED;
    }
    if (vcma_window_is_fixed(r->window) && !r->window->confirmed) {
        r->why = "the window is RAM still; prove that it is none of the "
                 "kernel's, and send CONFIRM";
        return VIRTIO_CMA_S_INVALID;
    }
    status = vcma_window_place(r->window, r->offset, r->size);
    if (status == VIRTIO_CMA_S_INVALID) {
        r->why = "it overlaps a lease; UNPLUG that one first, or choose "
                 "another offset";
    }
    if (status == VIRTIO_CMA_S_OK) {
        status = virtio_cma_room(s);
    }
    if (status != VIRTIO_CMA_S_OK) {
        return status;
    }
    if (!vcma_broker_is_usable(s->broker)) {
        return VIRTIO_CMA_S_BROKER_AWAY;
    }
    if (!vcma_broker_has_bank(s->broker, r->window->bank)) {
        return VIRTIO_CMA_S_DENIED;
    }
    if (!r->window->bank && r->size > info->lease_max) {
        return VIRTIO_CMA_S_NO_RUN; /* another vcmad than at start */
    }
    if (!virtio_cma_block_migration(s)) {
        return VIRTIO_CMA_S_TRY_LATER;
    }
    r->lease = vcma_lease_ask(r->window, s->broker, r->offset, r->size,
                              deadline_ms, virtio_cma_plug_done, r);
    if (!r->lease) {
        return VIRTIO_CMA_S_BROKER_AWAY;
    }
    req->waiting++;
    return VIRTIO_CMA_S_OK;
}

static void virtio_cma_plug(VirtIOCMAReq *req)
{
    uint32_t i, deadline_ms = req->head.deadline_ms;

    if (!deadline_ms) {
        deadline_ms = VIRTIO_CMA_DEADLINE_MS;
    }
    deadline_ms = MIN(deadline_ms, VIRTIO_CMA_DEADLINE_LAST_MS);
    for (i = 0; i < req->head.num_ranges; i++) {
        req->range[i].status = virtio_cma_plug_one(req, &req->range[i],
                                                   deadline_ms);
    }
}

/* --- the others --- */

static void virtio_cma_unplug(VirtIOCMAReq *req)
{
    VcmaLease *lease[VIRTIO_CMA_RANGES_MAX];
    uint32_t i, j, n = 0;

    for (i = 0; i < req->head.num_ranges; i++) {
        VirtIOCMARange *r = &req->range[i];
        VcmaLease *found = r->window ?
            vcma_window_find(r->window, r->offset, r->size) : NULL;

        for (j = 0; j < n && lease[j] != found; j++) {
            /* twice in one request? */
        }
        if (!found || j < n) {
            r->status = VIRTIO_CMA_S_INVALID;
            if (r->window) {
                r->why = found ? "it is in this request already" :
                    "no lease is exactly that; name it as it was plugged";
            }
        } else {
            lease[n++] = found;
        }
    }
    vcma_lease_drop(lease, n);
}

static void virtio_cma_state(VirtIOCMAReq *req)
{
    uint32_t i;

    for (i = 0; i < req->head.num_ranges; i++) {
        if (!req->range[i].window) {
            req->range[i].status = VIRTIO_CMA_S_INVALID;
        }
    }
}

static void virtio_cma_confirm(VirtIOCMAReq *req)
{
    VirtIOCMARange *r = &req->range[0];
    VcmaWindow *w = r->window;

    if (w) {
        r->why = vcma_confirm_why(w->flags, r->offset, r->size, w->size);
    }
    if (r->why) {
        r->status = VIRTIO_CMA_S_INVALID;
    } else if (!virtio_cma_block_migration_ram(req->s)) {
        r->status = VIRTIO_CMA_S_TRY_LATER;
    } else {
        vcma_fixed_confirm(w);
    }
}

static void virtio_cma_execute(VirtIOCMAReq *req)
{
    VirtIOCMA *s = req->s;

    switch (req->head.type) {
    case VIRTIO_CMA_REQ_PLUG:
        virtio_cma_plug(req);
        break;
    case VIRTIO_CMA_REQ_UNPLUG:
        virtio_cma_unplug(req);
        break;
    case VIRTIO_CMA_REQ_UNPLUG_ALL:
        req->extra_done = virtio_cma_drop_all(s);
        break;
    case VIRTIO_CMA_REQ_STATE:
        virtio_cma_state(req);
        break;
    case VIRTIO_CMA_REQ_CONFIRM:
        virtio_cma_confirm(req);
        break;
    case VIRTIO_CMA_REQ_RECLAIM_DONE:
        req->status = virtio_cma_reclaim_answer(s, req->head.id,
                                                req->head.status);
        break;
    case VIRTIO_CMA_REQ_CLIENTS:
        break;      /* the table is that of the response */
    default:
        req->status = VIRTIO_CMA_S_UNSUPPORTED;
        break;
    }
}

/* --- receiving --- */

/* For whoever writes a driver: -d guest_errors shows it. */
static void virtio_cma_log_invalid(const VirtIOCMAReq *req)
{
    uint32_t i;

    if (req->status != VIRTIO_CMA_S_OK) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-cma: a request of type %u with "
                      "%" PRIu32 " ranges is refused: status %u; see [V-10] "
                      "to [V-13] of the specification\n", req->head.type,
                      req->head.num_ranges, req->status);
        return;
    }
    for (i = 0; i < req->head.num_ranges; i++) {
        const VirtIOCMARange *r = &req->range[i];

        if (r->status != VIRTIO_CMA_S_OK && r->why) {
            qemu_log_mask(LOG_GUEST_ERROR, "virtio-cma: a request of type %u "
                          "for 0x%" PRIx64 " bytes at 0x%" PRIx64 " of window "
                          "%" PRIu32 " is refused: status %u: %s\n",
                          req->head.type, r->size, r->offset, r->window_id,
                          r->status, r->why);
        }
    }
}

static void virtio_cma_parse(VirtIOCMAReq *req, size_t in_len, size_t out_len)
{
    VirtIOCMA *s = req->s;
    struct virtio_cma_req head;
    struct virtio_cma_range range[VIRTIO_CMA_RANGES_MAX];
    uint32_t i;

    iov_to_buf(req->elem.out_sg, req->elem.out_num, 0, &head, sizeof(head));
    req->head.type = le16_to_cpu(head.type);
    req->head.status = le16_to_cpu(head.status);
    req->head.num_ranges = le32_to_cpu(head.num_ranges);
    req->head.deadline_ms = le32_to_cpu(head.deadline_ms);
    req->head.id = le32_to_cpu(head.id);
    trace_virtio_cma_request(req->head.type, req->head.num_ranges,
                             req->head.deadline_ms);

    req->status = vcma_req_check(&req->head,
                                 VIRTIO_DEVICE(s)->guest_features,
                                 in_len, out_len);
    if (req->status != VIRTIO_CMA_S_OK) {
        return;
    }
    iov_to_buf(req->elem.out_sg, req->elem.out_num, sizeof(head), range,
               req->head.num_ranges * sizeof(range[0]));
    for (i = 0; i < req->head.num_ranges; i++) {
        VirtIOCMARange *r = &req->range[i];
        VcmaWindow *w;

        r->req = req;
        r->window_id = le32_to_cpu(range[i].window);
        r->offset = le64_to_cpu(range[i].offset);
        r->size = le64_to_cpu(range[i].size);
        trace_virtio_cma_range(i, r->window_id, r->offset, r->size);
        w = virtio_cma_window_by_id(s, r->window_id);
        if (!w) {
            r->why = "there is no such window; the configuration space has "
                     "their ids";
        } else if (range[i].reserved) {
            r->why = "its reserved field is not 0; clear it";
        } else {
            r->why = vcma_range_why(r->offset, r->size, w->size, s->granule);
        }
        if (!r->why) {
            r->window = w;
        }
    }
}

/* One buffer.  False: the queue is empty, or broken. */
static bool virtio_cma_handle_one(VirtIOCMA *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    VirtIOCMAReq *req = virtqueue_pop(s->req_vq, sizeof(*req));
    size_t in_len, out_len;

    if (!req) {
        return false;
    }
    req->s = s;
    req->status = VIRTIO_CMA_S_OK;
    req->extra_done = 0;
    req->waiting = 0;
    memset(req->range, 0, sizeof(req->range));

    in_len = iov_size(req->elem.out_sg, req->elem.out_num);
    out_len = iov_size(req->elem.in_sg, req->elem.in_num);
    if (in_len < sizeof(struct virtio_cma_req) ||
        out_len < sizeof(struct virtio_cma_resp)) {
        virtio_error(vdev, "virtio-cma: a request of %zu bytes with room for "
                     "%zu bytes of response", in_len, out_len);
        virtio_cma_drop_request(req);
        return false;
    }
    virtio_cma_parse(req, in_len, out_len);
    if (req->status == VIRTIO_CMA_S_OK) {
        virtio_cma_execute(req);
    }
    virtio_cma_log_invalid(req);
    if (req->waiting) {
        QTAILQ_INSERT_TAIL(&s->waiting, req, next);
    } else {
        QTAILQ_INSERT_TAIL(&s->done, req, next);
    }
    return true;
}

void virtio_cma_handle_requests(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOCMA *s = VIRTIO_CMA(vdev);
    unsigned int i;

    if (!s->driver_ok || !vdev->vm_running) {
        return;
    }
    /* A guest that refills the queue all the time must not hold the lock. */
    for (i = 0; i < VIRTIO_CMA_QUEUE_SIZE; i++) {
        if (!virtio_cma_handle_one(s)) {
            break;
        }
    }
    if (i == VIRTIO_CMA_QUEUE_SIZE) {
        qemu_bh_schedule(s->bh);
    }
    virtio_cma_flush(s);
}
