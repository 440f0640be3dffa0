/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-lease: contiguous memory of vcmad, mapped in a window
 *
 * DOC: Theory of operation
 *
 * A lease is an object that owns one RAM MemoryRegion, so that every user of
 * that region (a flat view, an I/O request, a ring cache) holds the lease.  It
 * is nobody's child: a parent would hold a reference, too.  One reference is
 * the device's own.
 *
 * The order of taking leases out matters.  VFIO unmaps them first
 * (vcma-discard.c).  All regions are disabled in one memory transaction; after
 * its commit KVM, VFIO and vhost have let go, with the regions still in their
 * container.  Then they are removed from it, and the leases are DRAINING.
 * Whoever holds one finishes its business with the memory still in place.  Only
 * when the device's own reference is the last one (read under the big lock,
 * which every new user of a region needs, and there is no way to a region that
 * is in no container) the memory is replaced by PROT_NONE, and vcmad hears
 * RELEASE.  If the last reference dropped elsewhere, an IOThread would finalize
 * a MemoryRegion, and abort.
 *
 * The granules of a lease are mapped side by side, and their descriptors are
 * closed then: a mapping is all that is needed.
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "vcma-lease.h"
#include "vcma_virtio.h"
#include "trace.h"

#define VCMA_COMPLAIN_MS    10000   /* a guest can have it fail all the time */

/* The only one to change the state of a lease. */
static void vcma_lease_set_state(VcmaLease *lease, VcmaLeaseState state)
{
    static const uint8_t legal[VCMA_LEASE_NR_STATES] = {
        [VCMA_LEASE_ASKING] = BIT(VCMA_LEASE_CANCELLED) |
                              BIT(VCMA_LEASE_READY) | BIT(VCMA_LEASE_DRAINING),
        [VCMA_LEASE_CANCELLED] = BIT(VCMA_LEASE_DRAINING),
        [VCMA_LEASE_READY] = BIT(VCMA_LEASE_PLUGGED) |
                             BIT(VCMA_LEASE_DRAINING),
        [VCMA_LEASE_PLUGGED] = BIT(VCMA_LEASE_DRAINING),
    };
    VcmaWindow *w = lease->window;

    assert(legal[lease->state] & BIT(state));
    trace_vcma_lease_state(lease->id, w->id, lease->offset, lease->size,
                           lease->state, state);
    w->nr[lease->state]--;
    w->bytes[lease->state] -= lease->size;
    lease->state = state;
    w->nr[lease->state]++;
    w->bytes[lease->state] += lease->size;
    if (state == VCMA_LEASE_DRAINING && lease->id) {
        vcma_broker_expect_release(lease->broker);
    }
}

/* Say what VFIO's @err means for whoever runs this host. */
static void vcma_lease_complain(VcmaLease *lease, const char *what, int err)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    VcmaWindow *w = lease->window;
    g_autofree char *why = NULL;

    if (w->complained && now - w->complained < VCMA_COMPLAIN_MS) {
        return;
    }
    w->complained = now;
    why = vcma_discard_why(err);
    error_report("virtio-cma: VFIO cannot map a lease of %" PRIu64 " bytes at "
                 "0x%" PRIx64 " of window %" PRIu32 ", so %s: %s: %s",
                 lease->size, lease->offset, w->id, what, strerror(-err), why);
}

/* A VFIO device that came later, or a BAR that has moved, has no map of it. */
static void vcma_lease_failed(VcmaDiscard *discard, int err)
{
    VcmaLease *lease = container_of(discard, VcmaLease, discard);
    VcmaWindow *w = lease->window;

    trace_vcma_lease_bad(lease->id, w->id, lease->offset, lease->size, err);
    vcma_lease_complain(lease, "a device does not reach it, and the guest is "
                        "told", err);
    lease->bad = true;
    if (w->ops) {
        w->ops->bad(w->opaque);
    }
}

/* Back to reserved address space.  False: the memory is still mapped. */
static bool vcma_lease_unmap(VcmaLease *lease)
{
    void *host = lease->window->base + lease->offset;

    trace_vcma_lease_unmap(lease->id, host, lease->size);
    if (mmap(host, lease->size, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
             -1, 0) == MAP_FAILED) {
        error_report_once("virtio-cma: cannot unmap a lease of %" PRIu64
                          " bytes: %s; trying again", lease->size,
                          strerror(errno));
        return false;
    }
    return true;
}

static void vcma_grant_close(struct vcma_client_lease *grant)
{
    uint32_t i;

    for (i = 0; i < grant->nr_granules; i++) {
        close(grant->fds[i]);
    }
    free(grant->fds);
    grant->fds = NULL;
}

/* Map the granules side by side.  0, or -errno: nothing is mapped. */
static int vcma_lease_map(VcmaLease *lease, struct vcma_client_lease *grant)
{
    uint64_t granule = lease->window->granule;
    uint8_t *host = lease->window->base + lease->offset;
    uint32_t i;

    if (grant->size != lease->size ||
        grant->size != grant->nr_granules * granule) {
        error_report("virtio-cma: vcmad granted %" PRIu64 " bytes in %" PRIu32
                     " granules instead of %" PRIu64 " bytes in granules of %"
                     PRIu64, grant->size, grant->nr_granules, lease->size,
                     granule);
        return -EPROTO;
    }
    for (i = 0; i < grant->nr_granules; i++) {
        struct stat st;
        int err = 0;

        if (fstat(grant->fds[i], &st)) {
            err = errno;
        } else if (st.st_size < granule) {
            err = EPROTO;   /* touching it would raise SIGBUS */
        } else if (mmap(host + i * granule, granule, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED | MAP_POPULATE, grant->fds[i],
                        0) == MAP_FAILED) {
            err = errno;
        }
        if (err) {
            error_report("virtio-cma: cannot map granule %" PRIu32 " of a "
                         "lease of %" PRIu64 " bytes: %s%s", i, lease->size,
                         strerror(err), err == ENOMEM ?
                         "; raise vm.max_map_count or use larger granules" :
                         "");
            return -err;
        }
    }
    trace_vcma_lease_map(grant->lease, host, lease->size, grant->nr_granules);
    return 0;
}

static uint16_t vcma_virtio_status(uint32_t status)
{
    switch (status) {
    case VCMA_ST_OK:
        return VIRTIO_CMA_S_OK;
    case VCMA_ST_INVALID:
        return VIRTIO_CMA_S_INVALID;
    case VCMA_ST_DENIED:
        return VIRTIO_CMA_S_DENIED;
    case VCMA_ST_UNSUPPORTED:
        return VIRTIO_CMA_S_UNSUPPORTED;
    case VCMA_ST_OVER_LIMIT:
        return VIRTIO_CMA_S_OVER_LIMIT;
    case VCMA_ST_GUARANTEED:
        return VIRTIO_CMA_S_GUARANTEED;
    case VCMA_ST_NO_MEMORY:
        return VIRTIO_CMA_S_NO_MEMORY;
    case VCMA_ST_NO_RUN:
        return VIRTIO_CMA_S_NO_RUN;
    case VCMA_ST_TRY_LATER:
    case VCMA_ST_TOO_MANY:
    case VCMA_ST_BUSY:
        return VIRTIO_CMA_S_TRY_LATER;
    case VCMA_ST_AWAY:
    case VCMA_ST_SHUTDOWN:
    case VCMA_ST_CANCELLED:
        return VIRTIO_CMA_S_BROKER_AWAY;
    default:
        return VIRTIO_CMA_S_HOST_ERROR;
    }
}

/* vcmad has answered. */
static void vcma_lease_answer(void *opaque, uint32_t status,
                              struct vcma_client_lease *grant)
{
    VcmaLease *lease = opaque;
    uint16_t result = vcma_virtio_status(status);

    lease->ask = NULL;
    if (grant) {
        lease->id = grant->lease;
        trace_vcma_lease_grant(lease->id, lease->window->id, lease->offset,
                               lease->size);
        if (lease->state == VCMA_LEASE_ASKING &&
            vcma_lease_map(lease, grant)) {
            result = VIRTIO_CMA_S_HOST_ERROR;
        }
        vcma_grant_close(grant);
    }
    if (lease->state == VCMA_LEASE_CANCELLED || result != VIRTIO_CMA_S_OK) {
        VcmaLeaseFunc *done = lease->done;
        void *done_opaque = lease->done_opaque;

        vcma_lease_set_state(lease, VCMA_LEASE_DRAINING);
        vcma_lease_try_destroy(lease);
        if (done) {
            done(done_opaque, NULL, result);
        }
        return;
    }
    memory_region_init_ram_ptr(&lease->mr, OBJECT(lease), "vcma-lease",
                               lease->size,
                               lease->window->base + lease->offset);
    vcma_discard_attach(&lease->discard, &lease->mr, vcma_lease_failed);
    vcma_lease_set_state(lease, VCMA_LEASE_READY);
    lease->done(lease->done_opaque, lease, VIRTIO_CMA_S_OK);
}

VcmaLease *vcma_lease_ask(VcmaWindow *w, VcmaBroker *broker, uint64_t offset,
                          uint64_t size, uint32_t deadline_ms,
                          VcmaLeaseFunc *done, void *opaque)
{
    VcmaLease *lease = VCMA_LEASE(object_new(TYPE_VCMA_LEASE));

    lease->ask = vcma_broker_ask(broker, size, w->bank, deadline_ms,
                                 vcma_lease_answer, lease);
    if (!lease->ask) {
        object_unref(OBJECT(lease));
        return NULL;
    }
    lease->window = w;
    object_ref(OBJECT(w));
    lease->broker = broker;
    object_ref(OBJECT(broker));
    lease->offset = offset;
    lease->size = size;
    lease->done = done;
    lease->done_opaque = opaque;
    lease->state = VCMA_LEASE_ASKING;
    w->nr[VCMA_LEASE_ASKING]++;
    w->bytes[VCMA_LEASE_ASKING] += size;
    QTAILQ_INSERT_TAIL(&w->leases, lease, next);
    return lease;
}

void vcma_lease_plug(VcmaLease **lease, unsigned int count,
                     uint16_t *ret_status)
{
    g_autofree VcmaLease **failed = g_new(VcmaLease *, count);
    unsigned int i, nr_failed = 0;

    memory_region_transaction_begin();
    for (i = 0; i < count; i++) {
        memory_region_add_subregion(&lease[i]->window->mr, lease[i]->offset,
                                    &lease[i]->mr);
        vcma_lease_set_state(lease[i], VCMA_LEASE_PLUGGED);
    }
    memory_region_transaction_commit();

    for (i = 0; i < count; i++) {
        int err = vcma_discard_populate(&lease[i]->discard);

        ret_status[i] = VIRTIO_CMA_S_OK;
        if (err) {
            vcma_lease_complain(lease[i], "the guest does not get it", err);
            ret_status[i] = VIRTIO_CMA_S_HOST_ERROR;
            failed[nr_failed++] = lease[i];
        }
    }
    vcma_lease_drop(failed, nr_failed);
}

void vcma_lease_drop(VcmaLease **lease, unsigned int count)
{
    VcmaWindow *drain = NULL;
    unsigned int i;

    if (!count) {
        return;
    }
    vcma_window_drain_soon();
    for (i = 0; i < count; i++) {
        if (lease[i]->state == VCMA_LEASE_PLUGGED) {
            vcma_discard_depopulate(&lease[i]->discard);
        }
    }
    memory_region_transaction_begin();
    for (i = 0; i < count; i++) {
        if (lease[i]->state == VCMA_LEASE_PLUGGED) {
            memory_region_set_enabled(&lease[i]->mr, false);
        }
    }
    memory_region_transaction_commit();

    for (i = 0; i < count; i++) {
        VcmaLease *l = lease[i];

        switch (l->state) {
        case VCMA_LEASE_ASKING:
            l->done = NULL;
            vcma_lease_set_state(l, VCMA_LEASE_CANCELLED);
            vcma_broker_cancel(l->broker, l->ask);
            continue;
        case VCMA_LEASE_PLUGGED:
            memory_region_del_subregion(&l->window->mr, &l->mr);
            /* fall through */
        case VCMA_LEASE_READY:
            vcma_lease_set_state(l, VCMA_LEASE_DRAINING);
            break;
        default:
            continue;
        }
        if (drain && drain != l->window) {
            vcma_window_drain(drain);
        }
        drain = l->window;
    }
    if (drain) {
        vcma_window_drain(drain);
    }
}

unsigned int vcma_lease_drop_plugged(VcmaWindow *w)
{
    unsigned int n = 0;
    g_autofree VcmaLease **all = g_new(VcmaLease *, w->nr[VCMA_LEASE_PLUGGED]);
    VcmaLease *lease;

    QTAILQ_FOREACH(lease, &w->leases, next) {
        if (lease->state == VCMA_LEASE_PLUGGED) {
            all[n++] = lease;
        }
    }
    vcma_lease_drop(all, n);
    return n;
}

void vcma_lease_try_destroy(VcmaLease *lease)
{
    VcmaWindow *w = lease->window;
    VcmaBroker *broker = lease->broker;
    uint64_t id = lease->id;

    assert(lease->state == VCMA_LEASE_DRAINING);
    if (OBJECT(lease)->ref != 1 || lease->mr.container ||
        vcma_discard_is_used(&lease->discard)) {
        return;
    }
    if (id && !vcma_lease_unmap(lease)) {
        vcma_window_drain(w);
        return;
    }
    trace_vcma_lease_destroy(id, w->id, lease->offset, lease->size);
    w->nr[lease->state]--;
    w->bytes[lease->state] -= lease->size;
    QTAILQ_REMOVE(&w->leases, lease, next);
    object_unref(OBJECT(lease));
    if (id) {
        vcma_broker_release(broker, id);
    }
    if (w->ops) {
        w->ops->gone(w->opaque, id);
    }
    object_unref(OBJECT(broker));
    object_unref(OBJECT(w));
}

static void vcma_lease_init(Object *obj)
{
    VcmaLease *lease = VCMA_LEASE(obj);

    object_initialize(&lease->discard, sizeof(lease->discard),
                      TYPE_VCMA_DISCARD);
}

static void vcma_lease_finalize(Object *obj)
{
    object_unref(OBJECT(&VCMA_LEASE(obj)->discard));
}

static const TypeInfo vcma_lease_type = {
    .name = TYPE_VCMA_LEASE,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(VcmaLease),
    .instance_init = vcma_lease_init,
    .instance_finalize = vcma_lease_finalize,
};

static void vcma_lease_register_types(void)
{
    type_register_static(&vcma_lease_type);
}

type_init(vcma_lease_register_types)
