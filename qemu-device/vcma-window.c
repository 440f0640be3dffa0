/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-window: a range of guest-physical addresses that leases are mapped in
 *
 * DOC: Theory of operation
 *
 * A window reserves as much address space of this process as it has, once, so
 * that the host address of a lease is base + offset, always.  The base is a
 * multiple of the granule.  So is the place of a window in its BAR, and a BAR
 * is naturally aligned and not smaller than a granule; so is the address of a
 * fixed window.  So (host address - guest address) is a multiple of the
 * granule, too, wherever the guest places the BAR, and second-level page tables
 * and IOMMUs (which VFIO fills by exactly these two addresses) can use large
 * pages.
 *
 * A window is a container, which is in that of its BAR, or in the machine's
 * memory (vcma-fixed.c).  At the lowest priority an I/O region covers all of
 * it: a load where no lease is reads all ones, a store does nothing.
 *
 * A window is an object of its own, because it has to outlive its device: a
 * lease that somebody still holds after device_del lies in its reservation.
 *
 * A lease that was taken out is DRAINING until the last reference drops.
 * Flat views drop theirs in an RCU callback, and QEMU's RCU thread sleeps up
 * to 50 ms until VCMA_RCU_BATCH callbacks have come together.  So as many are
 * added: before the memory transaction, to wake the thread (it then waits
 * for the big lock, which its callbacks need), and after it, so that it finds
 * a full batch at once.  A ring cache holds its view until its own callback,
 * which makes a second one for the view: while leases are still held there
 * are up to VCMA_RCU_ROUNDS batches.  What is held longer (I/O under way) is
 * found by a timer with a growing delay.
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "vcma-lease.h"
#include "vcma-window.h"
#include "vcma_virtio.h"
#include "trace.h"

#define VCMA_RCU_BATCH      30      /* RCU_CALL_MIN_SIZE of util/rcu.c */
#define VCMA_RCU_ROUNDS     3
#define VCMA_DRAIN_FIRST_MS 1
#define VCMA_DRAIN_LAST_MS  100

/* Callbacks that fill a batch of the RCU thread. */
typedef struct VcmaNudge {
    struct rcu_head head[VCMA_RCU_BATCH];
    VcmaWindow *window;         /* a reference; NULL: only to wake it */
    unsigned int rounds;
} VcmaNudge;

/* --- the empty window --- */

static uint64_t vcma_empty_read(void *opaque, hwaddr addr, unsigned int size)
{
    return UINT64_MAX;
}

static void vcma_empty_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned int size)
{
}

static const MemoryRegionOps vcma_empty_ops = {
    .read = vcma_empty_read,
    .write = vcma_empty_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

void vcma_empty_init(MemoryRegion *mr, Object *owner, uint64_t size)
{
    memory_region_init_io(mr, owner, &vcma_empty_ops, NULL, "vcma-empty", size);
}

/* --- bookkeeping --- */

static bool vcma_lease_overlaps(const VcmaLease *lease, uint64_t offset,
                                uint64_t size)
{
    return lease->offset < offset + size &&
           offset < lease->offset + lease->size;
}

uint16_t vcma_window_state(VcmaWindow *w, uint64_t offset, uint64_t size)
{
    uint64_t whole = 0;
    bool plugged = false, pending = false;
    VcmaLease *lease;

    QTAILQ_FOREACH(lease, &w->leases, next) {
        if (!vcma_lease_overlaps(lease, offset, size)) {
            continue;
        }
        if (lease->state != VCMA_LEASE_PLUGGED) {
            pending = true;
            continue;
        }
        plugged = true;
        if (lease->offset >= offset &&
            lease->offset + lease->size <= offset + size) {
            whole += lease->size;
        }
    }
    if (!plugged) {
        return pending ? VIRTIO_CMA_PENDING : VIRTIO_CMA_UNPLUGGED;
    }
    return whole == size ? VIRTIO_CMA_PLUGGED : VIRTIO_CMA_MIXED;
}

uint16_t vcma_window_place(VcmaWindow *w, uint64_t offset, uint64_t size)
{
    uint16_t status = VIRTIO_CMA_S_OK;
    VcmaLease *lease;

    QTAILQ_FOREACH(lease, &w->leases, next) {
        if (!vcma_lease_overlaps(lease, offset, size)) {
            continue;
        }
        if (lease->state != VCMA_LEASE_DRAINING &&
            lease->state != VCMA_LEASE_CANCELLED) {
            return VIRTIO_CMA_S_INVALID;
        }
        status = VIRTIO_CMA_S_TRY_LATER;
    }
    return status;
}

VcmaLease *vcma_window_find(VcmaWindow *w, uint64_t offset, uint64_t size)
{
    VcmaLease *lease;

    QTAILQ_FOREACH(lease, &w->leases, next) {
        if (lease->state == VCMA_LEASE_PLUGGED && lease->offset == offset &&
            lease->size == size) {
            return lease;
        }
    }
    return NULL;
}

unsigned int vcma_window_leases(const VcmaWindow *w)
{
    unsigned int i, n = 0;

    for (i = 0; i < VCMA_LEASE_NR_STATES; i++) {
        n += w->nr[i];
    }
    return n;
}

/* --- getting rid of leases --- */

static void vcma_window_sweep(void *opaque)
{
    VcmaWindow *w = opaque;
    VcmaLease *lease, *tmp;

    QTAILQ_FOREACH_SAFE(lease, &w->leases, next, tmp) {
        if (lease->state == VCMA_LEASE_DRAINING) {
            vcma_lease_try_destroy(lease);
        }
    }
    if (w->retired && !w->mapped && QTAILQ_EMPTY(&w->leases) &&
        OBJECT(w)->ref == 1) {
        object_unref(OBJECT(w));
        return;
    }
    if (w->nr[VCMA_LEASE_DRAINING] || (w->retired && !w->mapped)) {
        timer_mod(w->timer,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + w->delay_ms);
        w->delay_ms = MIN(w->delay_ms * 2, VCMA_DRAIN_LAST_MS);
    }
}

static void vcma_nudge_none(struct rcu_head *head)
{
}

static void vcma_nudge_last(struct rcu_head *head);

static void vcma_nudge_go(VcmaNudge *nudge)
{
    unsigned int i;

    for (i = 0; i < VCMA_RCU_BATCH - 1; i++) {
        call_rcu1(&nudge->head[i], vcma_nudge_none);
    }
    call_rcu1(&nudge->head[i], vcma_nudge_last);
}

static bool vcma_window_is_held(VcmaWindow *w)
{
    VcmaLease *lease;

    QTAILQ_FOREACH(lease, &w->leases, next) {
        if (lease->state == VCMA_LEASE_DRAINING && OBJECT(lease)->ref > 1) {
            return true;
        }
    }
    return false;
}

static void vcma_nudge_last(struct rcu_head *head)
{
    VcmaNudge *nudge = container_of(head, VcmaNudge, head[VCMA_RCU_BATCH - 1]);

    if (nudge->window) {
        qemu_bh_schedule(nudge->window->bh);
        if (--nudge->rounds && vcma_window_is_held(nudge->window)) {
            vcma_nudge_go(nudge);
            return;
        }
        object_unref(OBJECT(nudge->window));
    }
    g_free(nudge);
}

static void vcma_nudge(VcmaWindow *w)
{
    VcmaNudge *nudge = g_new(VcmaNudge, 1);

    nudge->window = w;
    nudge->rounds = VCMA_RCU_ROUNDS;
    if (w) {
        object_ref(OBJECT(w));
    }
    vcma_nudge_go(nudge);
}

void vcma_window_drain_soon(void)
{
    vcma_nudge(NULL);
}

void vcma_window_drain(VcmaWindow *w)
{
    vcma_nudge(w);
    w->delay_ms = VCMA_DRAIN_FIRST_MS;
    timer_mod(w->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + w->delay_ms);
}

/* --- life --- */

static bool vcma_window_reserve(VcmaWindow *w, Error **errp)
{
    size_t size = w->size + w->granule;
    uint8_t *p;

    p = mmap(NULL, size, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        error_setg_errno(errp, errno, "cannot reserve %zu bytes of address "
                         "space for a window; use a smaller window or raise "
                         "RLIMIT_AS", size);
        return false;
    }
    w->reservation = p;
    w->reservation_size = size;
    w->base = (uint8_t *)QEMU_ALIGN_PTR_UP(p, w->granule);
    return true;
}

VcmaWindow *vcma_window_new(Object *parent, const VcmaWindowDesc *desc,
                            Error **errp)
{
    VcmaWindow *w = VCMA_WINDOW(object_new(TYPE_VCMA_WINDOW));
    g_autofree char *name = g_strdup_printf("vcma-%s", desc->name);

    w->id = desc->id;
    w->zone = desc->zone;
    w->bank = desc->bank;
    w->flags = desc->flags;
    w->bar = desc->bar;
    w->place = desc->place;
    w->size = desc->size;
    w->granule = desc->granule;
    memory_region_init(&w->mr, OBJECT(w), name, w->size);
    vcma_empty_init(&w->empty, OBJECT(w), w->size);
    memory_region_add_subregion_overlap(&w->mr, 0, &w->empty, INT_MIN);
    if (!vcma_window_reserve(w, errp) ||
        (vcma_window_is_fixed(w) && !vcma_fixed_init(w, errp))) {
        object_unref(OBJECT(w));
        return NULL;
    }
    w->ops = desc->ops;
    w->opaque = desc->opaque;
    object_property_add_child(parent, desc->name, OBJECT(w));
    trace_vcma_window_new(w->id, desc->name, w->size, w->base);
    return w;
}

void vcma_window_retire(VcmaWindow *w)
{
    if (!w) {
        return;
    }
    trace_vcma_window_retire(w->id, vcma_window_leases(w));
    w->ops = NULL;
    vcma_lease_drop_plugged(w);
    if (w->mapped) {
        vcma_fixed_forget_driver(w);
    } else if (w->mr.container) {
        memory_region_del_subregion(w->mr.container, &w->mr);
    }
    object_unparent(OBJECT(w));
    w->retired = true;
    vcma_window_drain(w);
}

static void vcma_window_get_number(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    uint64_t value = *(uint64_t *)((char *)obj + (uintptr_t)opaque);

    visit_type_uint64(v, name, &value, errp);
}

static void vcma_window_get_leases(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    uint64_t value = VCMA_WINDOW(obj)->nr[(uintptr_t)opaque];

    visit_type_uint64(v, name, &value, errp);
}

static void vcma_window_init(Object *obj)
{
    VcmaWindow *w = VCMA_WINDOW(obj);

    QTAILQ_INIT(&w->leases);
    w->timer = timer_new_ms(QEMU_CLOCK_REALTIME, vcma_window_sweep, w);
    w->bh = qemu_bh_new(vcma_window_sweep, w);
}

static void vcma_window_finalize(Object *obj)
{
    VcmaWindow *w = VCMA_WINDOW(obj);

    assert(QTAILQ_EMPTY(&w->leases));
    trace_vcma_window_free(w->id);
    timer_free(w->timer);
    qemu_bh_delete(w->bh);
    if (w->reservation) {
        munmap(w->reservation, w->reservation_size);
    }
}

static void vcma_window_class_init(ObjectClass *oc, void *data)
{
    object_class_property_add(oc, "size", "uint64", vcma_window_get_number,
                              NULL, NULL,
                              (void *)offsetof(VcmaWindow, size));
    object_class_property_add(oc, "lease-bytes", "uint64",
                              vcma_window_get_number, NULL, NULL,
                              (void *)offsetof(VcmaWindow,
                                               bytes[VCMA_LEASE_PLUGGED]));
    object_class_property_add(oc, "leases", "uint64", vcma_window_get_leases,
                              NULL, NULL, (void *)VCMA_LEASE_PLUGGED);
    object_class_property_add(oc, "draining", "uint64", vcma_window_get_leases,
                              NULL, NULL, (void *)VCMA_LEASE_DRAINING);
}

static const TypeInfo vcma_window_type = {
    .name = TYPE_VCMA_WINDOW,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(VcmaWindow),
    .instance_init = vcma_window_init,
    .instance_finalize = vcma_window_finalize,
    .class_init = vcma_window_class_init,
};

static void vcma_window_register_types(void)
{
    type_register_static(&vcma_window_type);
}

type_init(vcma_window_register_types)
