/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-lease: contiguous memory of vcmad, mapped in a window
 */
#ifndef HW_VCMA_LEASE_H
#define HW_VCMA_LEASE_H

#include "vcma-broker.h"
#include "vcma-discard.h"
#include "vcma-window.h"

#define TYPE_VCMA_LEASE "vcma-lease"
OBJECT_DECLARE_SIMPLE_TYPE(VcmaLease, VCMA_LEASE)

/* What came of a lease that was asked for: VIRTIO_CMA_S_*; OK: it is READY. */
typedef void VcmaLeaseFunc(void *opaque, VcmaLease *lease, uint16_t status);

struct VcmaLease {
    Object parent_obj;

    VcmaWindow *window;         /* a reference */
    VcmaBroker *broker;         /* a reference */
    VcmaLeaseState state;
    uint64_t id;                /* of vcmad; 0: not granted */
    uint64_t offset;            /* in the window */
    uint64_t size;
    MemoryRegion mr;            /* READY and later */
    VcmaDiscard discard;        /* manager of @mr */
    bool bad;                   /* a device may not reach it [V-64] */
    bool bad_told;              /* and the guest knows */
    VcmaAsk *ask;               /* ASKING and CANCELLED */
    VcmaLeaseFunc *done;        /* ASKING */
    void *done_opaque;
    QTAILQ_ENTRY(VcmaLease) next;   /* VcmaWindow.leases */
};

/*
 * Ask for a lease at @offset of @w, which vcma_window_place() has found to be
 * free.  @done is called later, never from within, unless vcma_lease_drop()
 * comes first.  NULL if the broker is away.
 */
VcmaLease *vcma_lease_ask(VcmaWindow *w, VcmaBroker *broker, uint64_t offset,
                          uint64_t size, uint32_t deadline_ms,
                          VcmaLeaseFunc *done, void *opaque);

/*
 * READY -> PLUGGED, all in one memory transaction.  A lease that VFIO cannot
 * map is given back like those of vcma_lease_drop(): HOST_ERROR in @ret_status,
 * which else is OK.
 */
void vcma_lease_plug(VcmaLease **lease, unsigned int count,
                     uint16_t *ret_status);

/*
 * Give leases back, whatever their state, in one memory transaction.  When
 * this returns the guest cannot reach them any more.
 */
void vcma_lease_drop(VcmaLease **lease, unsigned int count);
/* The same for all PLUGGED ones of a window.  Returns how many. */
unsigned int vcma_lease_drop_plugged(VcmaWindow *w);

/* DRAINING: if nobody holds it any more, unmap it, RELEASE and free it. */
void vcma_lease_try_destroy(VcmaLease *lease);

#endif /* HW_VCMA_LEASE_H */
