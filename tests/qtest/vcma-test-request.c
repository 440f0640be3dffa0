/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-test-request.c - requests, events and memory of a started device
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"

#define SLOT_SIZE   4096
#define RESP_AT     2048    /* in a slot: the device-writable part */

void vcma_range(struct virtio_cma_range *r, uint32_t window, uint64_t offset,
                uint64_t size)
{
    r->window = window;
    r->reserved = 0;
    r->offset = offset;
    r->size = size;
}

static uint32_t encode(const VcmaRequest *req, uint8_t *buf)
{
    struct virtio_cma_req *w = (struct virtio_cma_req *)buf;
    uint32_t i;

    w->type = cpu_to_le16(req->type);
    w->status = cpu_to_le16(req->status);
    w->num_ranges = cpu_to_le32(req->num_ranges);
    w->deadline_ms = cpu_to_le32(req->deadline_ms);
    w->id = cpu_to_le32(req->id);
    for (i = 0; i < req->num_ranges; i++) {
        w->range[i].window = cpu_to_le32(req->range[i].window);
        w->range[i].reserved = cpu_to_le32(req->range[i].reserved);
        w->range[i].offset = cpu_to_le64(req->range[i].offset);
        w->range[i].size = cpu_to_le64(req->range[i].size);
    }
    return sizeof(*w) + req->num_ranges * sizeof(w->range[0]);
}

/* Takes what the device has answered off the used ring. */
static void poll_used(VcmaDev *d)
{
    uint32_t head, len;
    bool busy = false;
    int i;

    while (qvirtqueue_get_buf(d->qts, d->req, &head, &len)) {
        i = 0;
        while (d->head[i] != head) {
            g_assert_cmpint(++i, <, VCMA_TEST_SLOTS);
        }
        g_assert_false(d->done[i]);
        d->done[i] = true;
        d->done_len[i] = len;
    }
    for (i = 0; i < VCMA_TEST_SLOTS; i++) {
        busy |= d->head[i] != ~0u && !d->done[i];
    }
    if (!busy) {
        d->req->free_head = 0;
        d->req->num_free = d->req->size;
    }
}

int vcma_send(VcmaDev *d, const VcmaRequest *req)
{
    uint8_t buf[sizeof(struct virtio_cma_req) +
                VCMA_TEST_RANGES * sizeof(struct virtio_cma_range)];
    uint32_t len = encode(req, buf);
    uint32_t head;
    uint64_t at;
    int slot;

    for (slot = 0; d->head[slot] != ~0u; slot++) {
        g_assert_cmpint(slot + 1, <, VCMA_TEST_SLOTS);
    }
    at = d->slots + slot * SLOT_SIZE;
    qtest_memset(d->qts, at, 0xa5, SLOT_SIZE);
    qtest_memwrite(d->qts, at, buf, len);
    head = qvirtqueue_add(d->qts, d->req, at, len, false, true);
    qvirtqueue_add(d->qts, d->req, at + RESP_AT,
                   sizeof(struct virtio_cma_resp) +
                   req->num_ranges * sizeof(struct virtio_cma_result) +
                   req->room, true, false);
    d->head[slot] = head;
    d->done[slot] = false;
    qvirtqueue_kick(d->qts, d->vdev, d->req, head);
    return slot;
}

bool vcma_is_done(VcmaDev *d, int slot)
{
    poll_used(d);
    return d->done[slot];
}

/* Waits for the answer, which is in @buf then.  Returns its bytes. */
static uint32_t collect(VcmaDev *d, int slot, uint8_t *buf)
{
    struct virtio_cma_resp *w = (struct virtio_cma_resp *)buf;
    gint64 deadline = vcma_deadline();
    uint32_t len;

    while (!vcma_is_done(d, slot)) {
        vcma_nap(deadline, "the answer to a request");
    }
    d->head[slot] = ~0u;
    len = d->done_len[slot];
    g_assert_cmpuint(len, >=, sizeof(*w));
    g_assert_cmpuint(len, <=, SLOT_SIZE - RESP_AT);
    qtest_memread(d->qts, d->slots + slot * SLOT_SIZE + RESP_AT, buf, len);
    return len;
}

void vcma_collect(VcmaDev *d, int slot, VcmaReply *ret)
{
    uint8_t buf[SLOT_SIZE - RESP_AT];
    struct virtio_cma_resp *w = (struct virtio_cma_resp *)buf;
    uint32_t i, n;

    memset(ret, 0, sizeof(*ret));
    ret->len = collect(d, slot, buf);
    ret->status = le16_to_cpu(w->status);
    ret->num_done = le32_to_cpu(w->num_done);
    g_assert_cmpuint(le16_to_cpu(w->reserved), ==, 0);
    g_assert_cmpuint(ret->status, <, VIRTIO_CMA_S_MAX);
    n = (ret->len - sizeof(*w)) / sizeof(w->result[0]);
    for (i = 0; i < MIN(n, VCMA_TEST_RANGES); i++) {
        ret->result[i] = le16_to_cpu(w->result[i].status);
        ret->state[i] = le16_to_cpu(w->result[i].state);
        g_assert_cmpuint(le32_to_cpu(w->result[i].reserved), ==, 0);
    }
}

void vcma_call(VcmaDev *d, const VcmaRequest *req, VcmaReply *ret)
{
    vcma_collect(d, vcma_send(d, req), ret);
}

/* One range; the status of the request, which is that of the range. */
uint16_t vcma_call1(VcmaDev *d, uint16_t type, uint32_t window,
                    uint64_t offset, uint64_t size)
{
    VcmaRequest req = { .type = type, .num_ranges = 1 };
    VcmaReply reply;

    vcma_range(&req.range[0], window, offset, size);
    vcma_call(d, &req, &reply);
    g_assert_cmpuint(reply.num_done, ==, reply.status == VIRTIO_CMA_S_OK);
    return reply.status;
}

uint16_t vcma_plug(VcmaDev *d, uint64_t offset, uint64_t size)
{
    return vcma_call1(d, VIRTIO_CMA_REQ_PLUG, 1, offset, size);
}

/* As a driver does it: TRY_LATER means to try later. */
uint16_t vcma_plug_retry(VcmaDev *d, uint64_t offset, uint64_t size)
{
    gint64 deadline = vcma_deadline();
    uint16_t status;

    while ((status = vcma_plug(d, offset, size)) == VIRTIO_CMA_S_TRY_LATER) {
        vcma_nap(deadline, "PLUG to say something else than TRY_LATER");
    }
    return status;
}

uint16_t vcma_unplug(VcmaDev *d, uint64_t offset, uint64_t size)
{
    return vcma_call1(d, VIRTIO_CMA_REQ_UNPLUG, 1, offset, size);
}

uint32_t vcma_unplug_all(VcmaDev *d)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_UNPLUG_ALL };
    VcmaReply reply;

    vcma_call(d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
    return reply.num_done;
}

uint16_t vcma_state(VcmaDev *d, uint64_t offset, uint64_t size)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_STATE, .num_ranges = 1 };
    VcmaReply reply;

    vcma_range(&req.range[0], 1, offset, size);
    vcma_call(d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(reply.result[0], ==, VIRTIO_CMA_S_OK);
    return reply.state[0];
}

uint16_t vcma_confirm(VcmaDev *d, uint32_t window)
{
    return vcma_call1(d, VIRTIO_CMA_REQ_CONFIRM, window, 0,
                      d->cfg.window[window - 1].length);
}

void vcma_clients(VcmaDev *d, uint32_t first, uint32_t room, VcmaTable *ret)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_CLIENTS,
        .id = first,
        .room = sizeof(struct virtio_cma_clients) +
                room * sizeof(struct virtio_cma_client),
    };
    uint8_t buf[SLOT_SIZE - RESP_AT];
    struct virtio_cma_resp *w = (struct virtio_cma_resp *)buf;
    struct virtio_cma_clients *page = (void *)(w + 1);
    uint32_t i;

    g_assert_cmpuint(room, <=, VCMA_TEST_CLIENTS);
    memset(ret, 0, sizeof(*ret));
    ret->len = collect(d, vcma_send(d, &req), buf);
    ret->status = le16_to_cpu(w->status);
    if (ret->status != VIRTIO_CMA_S_OK) {
        g_assert_cmpuint(ret->len, ==, sizeof(*w));
        return;
    }
    ret->nr = le32_to_cpu(w->num_done);
    g_assert_cmpuint(ret->nr, <=, room);
    g_assert_cmpuint(ret->len, ==, sizeof(*w) + sizeof(*page) +
                     ret->nr * sizeof(page->client[0]));
    ret->generation = le32_to_cpu(page->generation);
    ret->next = le32_to_cpu(page->next);
    for (i = 0; i < ret->nr; i++) {
        ret->client[i] = page->client[i];
        ret->client[i].segment = le16_to_cpu(page->client[i].segment);
        ret->client[i].bank = le32_to_cpu(page->client[i].bank);
        ret->client[i].forbidden = le64_to_cpu(page->client[i].forbidden);
    }
}

/* --- events --- */

void vcma_post_event(VcmaDev *d, uint32_t size)
{
    uint64_t at = d->events + (d->nr_events % VCMA_TEST_SLOTS) * SLOT_SIZE;
    uint32_t head;

    g_assert_cmpuint(d->nr_events, <, VCMA_TEST_SLOTS);
    d->nr_events++;
    qtest_memset(d->qts, at, 0xa5, SLOT_SIZE);
    head = qvirtqueue_add(d->qts, d->ev, at, size, true, false);
    qvirtqueue_kick(d->qts, d->vdev, d->ev, head);
}

/* Buffers are used in the order in which they were posted. */
bool vcma_poll_event(VcmaDev *d, VcmaEvent *ret)
{
    struct virtio_cma_event w;
    uint64_t at;
    uint32_t head, len, i;

    if (!qvirtqueue_get_buf(d->qts, d->ev, &head, &len)) {
        return false;
    }
    memset(ret, 0, sizeof(*ret));
    if (len < offsetof(struct virtio_cma_event, range)) {
        return true;
    }
    at = qtest_readq(d->qts, d->ev->desc + 16 * head);
    qtest_memread(d->qts, at, &w, sizeof(w));
    ret->type = le16_to_cpu(w.type);
    ret->id = le32_to_cpu(w.id);
    ret->deadline_ms = le32_to_cpu(w.deadline_ms);
    ret->num_ranges = le32_to_cpu(w.num_ranges);
    g_assert_cmpuint(le16_to_cpu(w.reserved), ==, 0);
    g_assert_cmpuint(ret->num_ranges, <=, VIRTIO_CMA_EVENT_RANGES);
    for (i = 0; i < ret->num_ranges; i++) {
        vcma_range(&ret->range[i], le32_to_cpu(w.range[i].window),
                   le64_to_cpu(w.range[i].offset),
                   le64_to_cpu(w.range[i].size));
    }
    return true;
}

/* Other events may come first: POOL_CHANGED comes when it likes. */
void vcma_wait_event(VcmaDev *d, uint16_t type, VcmaEvent *ret)
{
    gint64 deadline = vcma_deadline();

    for (;;) {
        while (vcma_poll_event(d, ret)) {
            if (ret->type == type) {
                return;
            }
        }
        vcma_nap(deadline, "an event");
    }
}

/* --- memory of window 1 --- */

void vcma_fill(VcmaDev *d, uint64_t offset, uint64_t size, uint8_t byte)
{
    qtest_memset(d->qts, d->base[0] + offset, byte, size);
}

/* libqtest takes ever longer for each byte of a long answer. */
#define CHUNK   (64 * 1024)

void vcma_assert_filled(VcmaDev *d, uint64_t offset, uint64_t size,
                        uint8_t byte)
{
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    uint64_t at, i, n;

    for (at = 0; at < size; at += n) {
        n = MIN(size - at, CHUNK);
        qtest_bufread(d->qts, d->base[0] + offset + at, buf, n);
        for (i = 0; i < n; i++) {
            if (buf[i] != byte) {
                g_error("byte 0x%02x instead of 0x%02x at offset 0x%" PRIx64,
                        buf[i], byte, offset + at + i);
            }
        }
    }
}

uint64_t vcma_peek(VcmaDev *d, uint64_t offset)
{
    return qtest_readq(d->qts, d->base[0] + offset);
}

void vcma_poke(VcmaDev *d, uint64_t offset, uint64_t value)
{
    qtest_writeq(d->qts, d->base[0] + offset, value);
}
