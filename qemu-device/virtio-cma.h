/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma: contiguous memory for a guest, from vcmad
 */
#ifndef HW_VIRTIO_CMA_H
#define HW_VIRTIO_CMA_H

#include "hw/virtio/virtio.h"
#include "qemu/notify.h"
#include "vcma-broker.h"
#include "vcma-clients.h"
#include "vcma-lease.h"
#include "vcma-spec.h"
#include "vcma-window.h"
#include "vcma_virtio.h"

#define TYPE_VIRTIO_CMA "virtio-cma-device"
OBJECT_DECLARE_SIMPLE_TYPE(VirtIOCMA, VIRTIO_CMA)

#define VIRTIO_CMA_QUEUE_SIZE   128

/* The BARs with windows. */
enum {
    VIRTIO_CMA_BAR32,           /* 32 bits */
    VIRTIO_CMA_BAR64,           /* 64 bits, prefetchable */
    VIRTIO_CMA_NR_BARS
};

typedef struct VirtIOCMABar {
    uint64_t size;              /* of all windows in it; 0: there is none */
    MemoryRegion mr;            /* the whole BAR */
    MemoryRegion rest;          /* what is in no window */
} VirtIOCMABar;

/* The number of a BAR in PCI configuration space. */
static inline int virtio_cma_bar_nr(unsigned int bar)
{
    return bar == VIRTIO_CMA_BAR32 ? 0 : 2;
}

/* The properties with windows. */
#define VIRTIO_CMA_NR_ZONES     4

typedef struct VirtIOCMAZone {
    const char *name;           /* of the property */
    uint16_t zone;              /* VIRTIO_CMA_ZONE_* */
    uint8_t bar;                /* VIRTIO_CMA_NR_BARS: always fixed */
} VirtIOCMAZone;

/* In the order in which windows are numbered. */
extern const VirtIOCMAZone virtio_cma_zones[VIRTIO_CMA_NR_ZONES];

/* The client table. */
typedef struct VirtIOCMATable {
    VcmaClients clients;        /* what the operator wants; OFF: no feature */
    VcmaClient *client;         /* the latest table */
    unsigned int nr;
    uint32_t generation;        /* of it */
    uint32_t read;              /* generation that the driver has */
    bool was_read;
    bool told;                  /* that it is not the latest */
    bool changed;               /* an event to be sent */
    DeviceListener devices;
    Notifier bus_numbers;
    Notifier machine_done;
    QEMUBH *bh;                 /* look whether it has changed */
} VirtIOCMATable;

typedef struct VirtIOCMAReq VirtIOCMAReq;
typedef struct VirtIOCMAReclaim VirtIOCMAReclaim;

struct VirtIOCMA {
    VirtIODevice parent_obj;

    /* properties */
    VcmaBroker *broker;
    char *zone_text[VIRTIO_CMA_NR_ZONES];
    char *clients_text;         /* NULL: auto */
    uint64_t granule;           /* 0: as the pool's; never 0 once realized */
    uint64_t lease_size;        /* 0: default; never 0 once realized */
    uint32_t max_leases;
    uint16_t virtio_id;

    uint64_t lease_max;
    VcmaWindow *window[VIRTIO_CMA_WINDOWS_MAX];
    unsigned int nr_windows;
    VirtIOCMABar bar[VIRTIO_CMA_NR_BARS];
    VirtIOCMATable table;
    VirtQueue *req_vq;
    VirtQueue *event_vq;
    QEMUBH *bh;                 /* look at both queues */
    bool driver_ok;             /* a driver instance is there */
    bool suspended;             /* the machine sleeps (S3) */
    Notifier suspend_notifier;
    Error *blocker;             /* of migration: leases */
    bool blocked;
    Error *ram_blocker;         /* of migration: a fixed window is no RAM */
    bool ram_blocked;
    Error *unplug_blocker;      /* NULL: there is no fixed window */

    QTAILQ_HEAD(, VirtIOCMAReq) waiting;    /* for vcmad */
    QTAILQ_HEAD(, VirtIOCMAReq) done;       /* for the VM to run */

    QTAILQ_HEAD(, VirtIOCMAReclaim) reclaims;   /* oldest first */
    unsigned int nr_reclaims;
    uint32_t last_reclaim;
    QEMUTimer *reclaim_timer;
    bool pool_changed;          /* an event to be sent */
    bool lease_bad;             /* the same; of the leases that are bad */
};

/* virtio-cma.c */
VcmaWindow *virtio_cma_window_by_id(VirtIOCMA *s, uint32_t id);
/* Give back all leases that the guest sees.  Returns how many. */
unsigned int virtio_cma_drop_all(VirtIOCMA *s);
/* False: there cannot be leases now, because a migration is under way. */
bool virtio_cma_block_migration(VirtIOCMA *s);
void virtio_cma_unblock_migration(VirtIOCMA *s);
/* The same for as long as the RAM of a fixed window is switched off. */
bool virtio_cma_block_migration_ram(VirtIOCMA *s);

/* virtio-cma-plan.c */
/* Parse and check what the properties ask for; sets the sizes of leases. */
bool virtio_cma_plan(VirtIOCMA *s, VcmaSpecs *specs, Error **errp);
/* The opaque of @ops is @s. */
bool virtio_cma_make_windows(VirtIOCMA *s, const VcmaSpecs *specs,
                             const VcmaWindowOps *ops, Error **errp);
void virtio_cma_retire_windows(VirtIOCMA *s);

/* virtio-cma-req.c */
void virtio_cma_handle_requests(VirtIODevice *vdev, VirtQueue *vq);
/* Send the responses that could not be sent while the VM was stopped. */
void virtio_cma_flush(VirtIOCMA *s);
/* The driver is gone: drop its requests, and what they asked for. */
void virtio_cma_cancel_requests(VirtIOCMA *s);

/* virtio-cma-event.c */
extern const VcmaBrokerOps virtio_cma_broker_ops;
void virtio_cma_handle_events(VirtIODevice *vdev, VirtQueue *vq);
/* The guest says that it is finished; VIRTIO_CMA_S_* for the response. */
uint16_t virtio_cma_reclaim_answer(VirtIOCMA *s, uint32_t id, uint16_t status);
/* A lease is with vcmad again. */
void virtio_cma_reclaim_gone(VirtIOCMA *s, uint64_t lease);
/* The driver is gone: nobody will answer. */
void virtio_cma_reclaim_no_driver(VirtIOCMA *s);
/* Forget all events; @answer: tell vcmad that it waits in vain. */
void virtio_cma_reclaim_forget(VirtIOCMA *s, bool answer);
void virtio_cma_reclaim_timeout(void *opaque);

/* virtio-cma-client.c */
/* Parse and check property 'clients', with the windows that there will be. */
bool virtio_cma_clients_plan(VirtIOCMA *s, const VcmaSpecs *specs,
                             Error **errp);
void virtio_cma_clients_realize(VirtIOCMA *s);
void virtio_cma_clients_unrealize(VirtIOCMA *s);
/* Write the response to CLIENTS, from client @first on.  Returns its bytes. */
size_t virtio_cma_clients_respond(VirtIOCMA *s, uint32_t first,
                                  const struct iovec *iov,
                                  unsigned int iov_cnt);
/* The driver that has read the table is gone. */
void virtio_cma_clients_no_driver(VirtIOCMA *s);
char *virtio_cma_clients_text(Object *obj, Error **errp);

#endif /* HW_VIRTIO_CMA_H */
