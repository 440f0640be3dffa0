/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-broker: the connection, its loss and its return
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/resource.h>
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "vcma-broker-int.h"
#include "trace.h"

#define VCMA_FDS_SPARE      512     /* descriptors for the rest of QEMU */
#define VCMA_FDS_WANTED     8192

void vcma_broker_set_error(VcmaBroker *b, const char *text)
{
    g_free(b->last_error);
    b->last_error = g_strdup(text);
}

static void vcma_broker_set_usable(VcmaBroker *b, bool usable)
{
    if (b->usable == usable) {
        return;
    }
    b->usable = usable;
    trace_vcma_broker_usable(vcma_broker_id(b), usable, b->held);
    if (b->ops && b->ops->link_changed) {
        b->ops->link_changed(b->ops_opaque, usable);
    }
}

void vcma_broker_retry_in(VcmaBroker *b, uint32_t ms)
{
    b->retry_at = vcma_now() + ms;
}

uint32_t vcma_broker_fds_max(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim)) {
        return VCMA_FDS_MAX;
    }
    if (lim.rlim_cur < VCMA_FDS_WANTED && lim.rlim_cur < lim.rlim_max) {
        rlim_t old = lim.rlim_cur;

        lim.rlim_cur = lim.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &lim)) {
            lim.rlim_cur = old;
        }
        trace_vcma_broker_nofile(old, lim.rlim_cur);
    }
    if (lim.rlim_cur < 2 * VCMA_FDS_SPARE) {
        return lim.rlim_cur / 2;
    }
    return MIN(lim.rlim_cur - VCMA_FDS_SPARE, INT32_MAX);
}

static void vcma_broker_hello(void *opaque, uint32_t status,
                              const struct vcma_client_info *info)
{
    VcmaBroker *b = opaque;

    trace_vcma_broker_hello(vcma_broker_id(b), vcma_status_name(status),
                            info ? info->flags : 0);
    if (status != VCMA_ST_OK) {
        if (b->completed && b->refusal != status) {
            warn_report("%s: vcmad at '%s' refused this VM: %s",
                        vcma_broker_id(b), b->path, vcma_status_text(status));
        }
        b->refusal = status;
        vcma_broker_set_error(b, vcma_status_text(status));
        vcma_broker_retry_in(b, b->backoff_ms);
        qemu_bh_schedule(b->bh);
        return;
    }
    b->refusal = VCMA_ST_OK;
    if (!is_power_of_2(info->granule_size)) {
        vcma_broker_set_error(b, "this is not the socket of a VM, but maybe "
                              "the operator's one");
        vcma_client_close(b->client);
        return;
    }
    b->connections++;
    b->backoff_ms = b->reconnect_ms;
    if (b->granule && info->granule_size != b->granule) {
        g_autofree char *text = g_strdup_printf(
            "the pool's granule is %" PRIu64 " bytes, the device was started "
            "with %" PRIu64 "; start the VM anew, or set the device's "
            "'granule'", info->granule_size, b->granule);

        if (g_strcmp0(text, b->last_error)) {
            warn_report("%s: %s", vcma_broker_id(b), text);
        }
        vcma_broker_set_error(b, text);
        return;
    }
    if (b->held && !(info->flags & VCMA_HELLO_RESUMED)) {
        /* What waits for RELEASE is unknown to this vcmad; the rest stays. */
        b->held -= b->releases->len;
        g_array_set_size(b->releases, 0);
        if (b->held) {
            const char *text = "this vcmad does not know the leases that this "
                "VM holds; they stay, and there will be no new ones until the "
                "guest has given all of them back";

            if (g_strcmp0(text, b->last_error)) {
                warn_report("%s: %s", vcma_broker_id(b), text);
            }
            vcma_broker_set_error(b, text);
            return;
        }
    }
    b->info = *info;
    vcma_broker_set_error(b, NULL);
    if (b->was_lost) {
        b->was_lost = false;
        info_report("%s: vcmad is back", vcma_broker_id(b));
    }
    vcma_broker_set_usable(b, true);
    qemu_bh_schedule(b->bh);
}

static void vcma_broker_reclaim(void *opaque, uint32_t id, uint32_t deadline_ms,
                                const uint64_t *lease, uint32_t count)
{
    VcmaBroker *b = opaque;

    trace_vcma_broker_reclaim(id, count, deadline_ms);
    if (b->ops && b->ops->reclaim) {
        b->ops->reclaim(b->ops_opaque, id, deadline_ms, lease, count);
    } else {
        vcma_broker_reclaim_done(b, id, VCMA_ST_BUSY);
    }
}

static void vcma_broker_pool_changed(void *opaque, uint64_t available)
{
    VcmaBroker *b = opaque;

    trace_vcma_broker_pool_changed(available);
    if (b->ops && b->ops->pool_changed) {
        b->ops->pool_changed(b->ops_opaque);
    }
}

static void vcma_broker_closed(void *opaque, int err, uint32_t status)
{
    VcmaBroker *b = opaque;

    trace_vcma_broker_closed(vcma_broker_id(b), err, vcma_status_name(status));
    if (b->usable) {
        g_autofree char *text = g_strdup_printf("%s (%s)",
            status == VCMA_ST_AWAY ? "the connection to vcmad ended" :
            vcma_status_text(status), strerror(-err));

        warn_report("%s: %s; %u leases stay usable, trying to connect again",
                    vcma_broker_id(b), text, b->held);
        vcma_broker_set_error(b, text);
        b->was_lost = true;
        vcma_broker_set_usable(b, false);
    }
    vcma_broker_retry_in(b, b->backoff_ms);
    qemu_bh_schedule(b->bh);
}

const struct vcma_client_ops vcma_broker_client_ops = {
    .hello = vcma_broker_hello,
    .reclaim = vcma_broker_reclaim,
    .pool_changed = vcma_broker_pool_changed,
    .closed = vcma_broker_closed,
};

int vcma_broker_connect(VcmaBroker *b)
{
    int ret = vcma_client_connect(b->client, b->path, "qemu",
                                  b->held ? b->info.instance : 0);

    trace_vcma_broker_connect(vcma_broker_id(b), b->path, ret);
    b->backoff_ms = MIN(b->backoff_ms * 2, VCMA_RECONNECT_LAST_MS);
    vcma_broker_retry_in(b, b->backoff_ms);
    if (ret) {
        vcma_broker_set_error(b, strerror(-ret));
    }
    return ret;
}

void vcma_broker_work(void *opaque)
{
    VcmaBroker *b = opaque;

    if (vcma_client_fd(b->client) >= 0) {
        vcma_client_dispatch(b->client);
    }
    if (b->completed && vcma_client_fd(b->client) < 0 &&
        vcma_now() >= b->retry_at) {
        vcma_broker_connect(b);
    }
    vcma_broker_send_releases(b);
    vcma_broker_send_asks(b);
    vcma_broker_update(b);
}

void vcma_broker_update(VcmaBroker *b)
{
    int fd = vcma_client_fd(b->client);
    int64_t next = INT64_MAX;
    VcmaAsk *ask;

    if (b->fd >= 0 && b->fd != fd) {
        qemu_set_fd_handler(b->fd, NULL, NULL, NULL);
    }
    b->fd = fd;
    if (fd >= 0) {
        short events = vcma_client_events(b->client);
        int timeout = vcma_client_timeout(b->client);

        qemu_set_fd_handler(fd, events & POLLIN ? vcma_broker_work : NULL,
                            events & POLLOUT ? vcma_broker_work : NULL, b);
        if (timeout >= 0) {
            next = vcma_now() + timeout;
        }
    } else if (b->completed) {
        next = b->retry_at;
    }
    QTAILQ_FOREACH(ask, &b->asks, next) {
        if (!ask->sequence) {
            next = MIN(next, ask->deadline);
        }
    }
    if (next == INT64_MAX) {
        timer_del(b->timer);
    } else {
        timer_mod(b->timer, next);
    }
}
