/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-broker: asking for leases and giving them back
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "vcma-broker-int.h"
#include "trace.h"

#define VCMA_ASKS_SENT      32      /* LEASE requests without a reply */

/* --- requests for leases --- */

static void vcma_ask_end(VcmaAsk *ask, uint32_t status,
                         struct vcma_client_lease *grant)
{
    VcmaBroker *b = ask->broker;

    QTAILQ_REMOVE(&b->asks, ask, next);
    if (ask->sequence) {
        b->asks_sent--;
    }
    if (grant) {
        b->held++;
    }
    trace_vcma_broker_answer(ask, vcma_status_name(status),
                             grant ? grant->lease : 0);
    ask->fn(ask->opaque, status, grant);
    g_free(ask);
    qemu_bh_schedule(b->bh);
}

/*
 * A guest that gives one lease back and asks for another one does not know that
 * the first is still on its way.  vcmad does not either, so ask again then.
 */
static bool vcma_ask_may_fit_soon(VcmaAsk *ask, uint32_t status)
{
    VcmaBroker *b = ask->broker;

    return !ask->cancelled && vcma_now() < ask->deadline &&
           (status == VCMA_ST_OVER_LIMIT || status == VCMA_ST_GUARANTEED ||
            status == VCMA_ST_NO_RUN) &&
           (b->releases_expected || vcma_broker_pending_releases(b));
}

static void vcma_ask_reply(void *opaque, uint32_t status,
                           struct vcma_client_lease *grant)
{
    VcmaAsk *ask = opaque;

    if (vcma_ask_may_fit_soon(ask, status)) {
        trace_vcma_broker_park(ask, vcma_status_name(status));
        ask->sequence = 0;
        ask->parked = true;
        ask->broker->asks_sent--;
        qemu_bh_schedule(ask->broker->bh);
        return;
    }
    vcma_ask_end(ask, status, grant);
}

void vcma_broker_send_asks(VcmaBroker *b)
{
    int64_t now = vcma_now();
    VcmaAsk *ask, *tmp;

    QTAILQ_FOREACH_SAFE(ask, &b->asks, next, tmp) {
        struct vcma_client_lease_args args = {
            .size = ask->size,
            .bank = ask->bank,
            .max_addr = UINT64_MAX,
        };
        int ret;

        if (ask->sequence) {
            continue;
        }
        if (ask->cancelled || !b->usable || now >= ask->deadline) {
            vcma_ask_end(ask, ask->cancelled ? VCMA_ST_CANCELLED :
                         !b->usable ? VCMA_ST_AWAY : VCMA_ST_TRY_LATER, NULL);
            continue;
        }
        if (!vcma_broker_has_bank(b, ask->bank)) {
            vcma_ask_end(ask, VCMA_ST_DENIED, NULL);
            continue;
        }
        if (ask->parked || b->asks_sent >= VCMA_ASKS_SENT) {
            continue;
        }
        args.deadline_ms = ask->deadline - now;
        ret = vcma_client_lease(b->client, &args, vcma_ask_reply, ask);
        if (ret == -EBUSY) {
            break;
        }
        if (ret <= 0) {
            vcma_ask_end(ask, ret == -ENOTCONN ? VCMA_ST_AWAY :
                         VCMA_ST_INTERNAL, NULL);
            continue;
        }
        ask->sequence = ret;
        b->asks_sent++;
        trace_vcma_broker_ask(ask, ask->size, ask->bank, args.deadline_ms);
    }
}

VcmaAsk *vcma_broker_ask(VcmaBroker *b, uint64_t size, uint32_t bank,
                         uint32_t deadline_ms, VcmaAskFunc *fn, void *opaque)
{
    VcmaAsk *ask;

    if (!b->usable) {
        return NULL;
    }
    ask = g_new0(VcmaAsk, 1);
    ask->broker = b;
    ask->size = size;
    ask->bank = bank;
    ask->deadline = vcma_now() + deadline_ms;
    ask->fn = fn;
    ask->opaque = opaque;
    QTAILQ_INSERT_TAIL(&b->asks, ask, next);
    qemu_bh_schedule(b->bh);
    return ask;
}

void vcma_broker_cancel(VcmaBroker *b, VcmaAsk *ask)
{
    ask->cancelled = true;
    if (ask->sequence) {
        /* A failure means that the answer is on its way already. */
        vcma_client_cancel(b->client, ask->sequence);
    }
    qemu_bh_schedule(b->bh);
}

/* --- giving back --- */

static void vcma_broker_forget(VcmaBroker *b, unsigned int count)
{
    assert(b->held >= count);
    b->held -= count;
    if (!b->held && !b->usable && vcma_client_is_connected(b->client)) {
        /* Nothing is left that this vcmad does not know: begin anew. */
        vcma_client_close(b->client);
        vcma_broker_retry_in(b, 0);
    }
}

static void vcma_broker_queue_release(VcmaBroker *b, uint64_t lease, bool alone)
{
    VcmaRelease r = { .lease = lease, .alone = alone };

    g_array_append_val(b->releases, r);
}

static void vcma_release_reply(void *opaque, uint32_t status,
                               const struct vcma_hdr *msg, size_t len)
{
    g_autofree VcmaReleaseMsg *m = opaque;
    VcmaBroker *b = m->broker;
    VcmaAsk *ask;
    uint32_t i;

    trace_vcma_broker_released(m->lease[0], m->count, vcma_status_name(status));
    b->releases_sent -= m->count;
    QTAILQ_FOREACH(ask, &b->asks, next) {
        ask->parked = false;
    }
    switch (status) {
    case VCMA_ST_AWAY:
        for (i = 0; i < m->count; i++) {
            vcma_broker_queue_release(b, m->lease[i], true);
        }
        break;
    case VCMA_ST_UNKNOWN_LEASE:
        if (m->count > 1) {
            for (i = 0; i < m->count; i++) {
                vcma_broker_queue_release(b, m->lease[i], true);
            }
            break;
        }
        /* It was heard before the former connection ended. */
        vcma_broker_forget(b, m->count);
        break;
    case VCMA_ST_OK:
        vcma_broker_forget(b, m->count);
        break;
    default:
        warn_report("%s: vcmad refused a RELEASE of %" PRIu32 " leases: %s; it "
                    "counts them as held until this process ends",
                    vcma_broker_id(b), m->count, vcma_status_text(status));
        vcma_broker_forget(b, m->count);
        break;
    }
    qemu_bh_schedule(b->bh);
}

void vcma_broker_send_releases(VcmaBroker *b)
{
    while (b->usable && b->releases->len) {
        VcmaReleaseMsg *m = g_new0(VcmaReleaseMsg, 1);
        int ret;

        m->broker = b;
        while (m->count < VCMA_IDS_MAX && m->count < b->releases->len) {
            VcmaRelease *r = &g_array_index(b->releases, VcmaRelease, m->count);

            if (r->alone && m->count) {
                break;
            }
            m->lease[m->count++] = r->lease;
            if (r->alone) {
                break;
            }
        }
        ret = vcma_client_release(b->client, m->lease, m->count,
                                  vcma_release_reply, m);
        if (ret <= 0) {
            g_free(m);
            return;
        }
        trace_vcma_broker_release(m->lease[0], m->count);
        b->releases_sent += m->count;
        g_array_remove_range(b->releases, 0, m->count);
    }
}

void vcma_broker_expect_release(VcmaBroker *b)
{
    b->releases_expected++;
}

void vcma_broker_release(VcmaBroker *b, uint64_t lease)
{
    assert(b->releases_expected);
    b->releases_expected--;
    if (!b->usable && vcma_client_is_connected(b->client)) {
        vcma_broker_forget(b, 1);   /* that vcmad never knew it */
    } else {
        vcma_broker_queue_release(b, lease, false);
    }
    qemu_bh_schedule(b->bh);
}

unsigned int vcma_broker_pending_releases(const VcmaBroker *b)
{
    return b->releases->len + b->releases_sent;
}

void vcma_broker_reclaim_done(VcmaBroker *b, uint32_t id, uint32_t status)
{
    if (!b->usable) {
        return;
    }
    vcma_broker_send_releases(b);
    trace_vcma_broker_reclaim_done(id, vcma_status_name(status));
    vcma_client_reclaim_done(b->client, id, status);
    vcma_broker_update(b);
}
