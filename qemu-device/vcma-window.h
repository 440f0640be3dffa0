/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-window: a range of guest-physical addresses that leases are mapped in
 */
#ifndef HW_VCMA_WINDOW_H
#define HW_VCMA_WINDOW_H

#include "exec/memory.h"
#include "qemu/notify.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "qom/object.h"
#include "vcma_virtio.h"

#define TYPE_VCMA_WINDOW "vcma-window"
OBJECT_DECLARE_SIMPLE_TYPE(VcmaWindow, VCMA_WINDOW)

typedef struct VcmaLease VcmaLease;

/*
 * VcmaLeaseState: life of a lease in a window.
 *
 * ASKING:    vcmad has been asked.  Nothing is mapped.
 * CANCELLED: as ASKING, but nobody waits for it any more.
 * READY:     mapped in this process; the guest does not see it yet.
 * PLUGGED:   the guest sees it.
 * DRAINING:  the guest does not see it any more; somebody may still hold it
 *            (an I/O request, a flat view), so it stays mapped in this process.
 *
 * In all of them the range of the window is taken.
 */
typedef enum VcmaLeaseState {
    VCMA_LEASE_ASKING,
    VCMA_LEASE_CANCELLED,
    VCMA_LEASE_READY,
    VCMA_LEASE_PLUGGED,
    VCMA_LEASE_DRAINING,
    VCMA_LEASE_NR_STATES
} VcmaLeaseState;

/* What the device of a window wants to know. */
typedef struct VcmaWindowOps {
    /* A lease's range is free again. */
    void (*gone)(void *opaque, uint64_t lease);
    /* A lease has become bad.  Called while the memory map changes. */
    void (*bad)(void *opaque);
} VcmaWindowOps;

struct VcmaWindow {
    Object parent_obj;

    uint32_t id;                /* what the guest calls it */
    uint16_t zone;              /* VIRTIO_CMA_ZONE_* */
    uint16_t bank;
    uint32_t flags;             /* VIRTIO_CMA_WIN_* */
    uint32_t bar;               /* VIRTIO_CMA_BAR_NONE: fixed */
    uint64_t place;             /* offset in the BAR; fixed: the address */
    uint64_t size;
    uint64_t granule;

    MemoryRegion mr;            /* the window; leases are in it */
    MemoryRegion empty;         /* reads all ones where no lease is */
    MemoryRegion ram;           /* fixed: what is there before CONFIRM */
    Notifier machine_done;      /* fixed */
    bool mapped;                /* fixed: it is in the machine's memory */
    bool confirmed;             /* fixed: by the driver that is there */
    void *reservation;
    size_t reservation_size;
    uint8_t *base;              /* host address of offset 0 */

    QTAILQ_HEAD(, VcmaLease) leases;
    unsigned int nr[VCMA_LEASE_NR_STATES];
    uint64_t bytes[VCMA_LEASE_NR_STATES];

    const VcmaWindowOps *ops;   /* NULL when the device is gone */
    void *opaque;
    int64_t complained;         /* QEMU_CLOCK_REALTIME, ms; 0: never */

    QEMUTimer *timer;           /* looks at DRAINING leases */
    QEMUBH *bh;                 /* the same, now */
    uint32_t delay_ms;
    bool retired;
};

typedef struct VcmaWindowDesc {
    const char *name;           /* of the child of its parent */
    uint32_t id;
    uint16_t zone;
    uint16_t bank;
    uint32_t flags;
    uint32_t bar;
    uint64_t place;
    uint64_t size;
    uint64_t granule;
    const VcmaWindowOps *ops;
    void *opaque;
} VcmaWindowDesc;

/* A child of @parent, until vcma_window_retire(). */
VcmaWindow *vcma_window_new(Object *parent, const VcmaWindowDesc *desc,
                            Error **errp);
/*
 * The device goes away, and nothing waits for vcmad any more.  Leases are taken
 * out; the window lives on until they are gone.  A fixed one that was mapped
 * stays, without leases, for as long as the machine lives.  NULL is fine.
 */
void vcma_window_retire(VcmaWindow *w);

static inline bool vcma_window_is_fixed(const VcmaWindow *w)
{
    return w->bar == VIRTIO_CMA_BAR_NONE;
}

/* A region that reads all ones and takes every store. */
void vcma_empty_init(MemoryRegion *mr, Object *owner, uint64_t size);
/* What is leased in [offset, offset + size): VIRTIO_CMA_UNPLUGGED .. MIXED. */
uint16_t vcma_window_state(VcmaWindow *w, uint64_t offset, uint64_t size);
/* VIRTIO_CMA_S_OK if a lease may be placed there, else why not. */
uint16_t vcma_window_place(VcmaWindow *w, uint64_t offset, uint64_t size);
/* The PLUGGED lease that is exactly this range, or NULL. */
VcmaLease *vcma_window_find(VcmaWindow *w, uint64_t offset, uint64_t size);
/* Leases in any state. */
unsigned int vcma_window_leases(const VcmaWindow *w);

/* Leases will be DRAINING in a moment. */
void vcma_window_drain_soon(void);
/* Leases have become DRAINING: get rid of them soon. */
void vcma_window_drain(VcmaWindow *w);

/* --- fixed windows: vcma-fixed.c --- */

/* The RAM of a new window.  False: @errp says why there is none. */
bool vcma_fixed_init(VcmaWindow *w, Error **errp);
/* Put it into the machine's memory, for as long as the machine lives. */
void vcma_fixed_map(VcmaWindow *w);
/* CONFIRM: from now on leases can be plugged. */
void vcma_fixed_confirm(VcmaWindow *w);
/* The driver that has confirmed it is gone. */
void vcma_fixed_forget_driver(VcmaWindow *w);
/* System reset, after its leases have been dropped: it is RAM again. */
void vcma_fixed_reset(VcmaWindow *w);
/* False: it is switched off, since CONFIRM. */
bool vcma_fixed_is_ram(const VcmaWindow *w);

#endif /* HW_VCMA_WINDOW_H */
