/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-broker: what its source files share
 */
#ifndef HW_VCMA_BROKER_INT_H
#define HW_VCMA_BROKER_INT_H

#include "qemu/queue.h"
#include "qemu/timer.h"
#include "vcma-broker.h"
#include "wire.h"

#define VCMA_RECONNECT_MS   100     /* first delay; doubled up to the last */
#define VCMA_RECONNECT_LAST_MS 10000

struct VcmaAsk {
    VcmaBroker *broker;
    uint64_t size;
    uint32_t bank;
    int64_t deadline;           /* QEMU_CLOCK_REALTIME, ms */
    int sequence;               /* 0: not sent yet */
    bool cancelled;
    bool parked;                /* did not fit; again after a RELEASE */
    VcmaAskFunc *fn;
    void *opaque;
    QTAILQ_ENTRY(VcmaAsk) next;
};

/* A lease to RELEASE.  alone: vcmad may have heard it before. */
typedef struct VcmaRelease {
    uint64_t lease;
    bool alone;
} VcmaRelease;

/* A RELEASE message without a reply. */
typedef struct VcmaReleaseMsg {
    VcmaBroker *broker;
    uint32_t count;
    uint64_t lease[VCMA_IDS_MAX];
} VcmaReleaseMsg;

struct VcmaBroker {
    Object parent_obj;

    char *path;
    bool wait;
    uint32_t reconnect_ms;
    bool completed;

    struct vcma_client *client;
    int fd;                     /* has a handler; -1: none */
    QEMUTimer *timer;
    QEMUBH *bh;
    struct vcma_client_info info;   /* valid if info.instance is not 0 */
    uint64_t granule;           /* of the device; 0: any */
    bool usable;
    bool was_lost;              /* said so; says when it is back */
    uint32_t backoff_ms;
    int64_t retry_at;           /* QEMU_CLOCK_REALTIME, ms */
    uint32_t refusal;           /* VCMA_ST_* of the latest HELLO; OK: none */
    char *last_error;
    uint64_t connections;

    char *user;
    const VcmaBrokerOps *ops;
    void *ops_opaque;

    QTAILQ_HEAD(, VcmaAsk) asks;
    unsigned int asks_sent;
    unsigned int held;          /* granted, RELEASE not confirmed */
    GArray *releases;           /* of VcmaRelease, not sent */
    unsigned int releases_sent; /* leases in messages without a reply */
    unsigned int releases_expected; /* leases that are on their way back */
};

static inline int64_t vcma_now(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

static inline const char *vcma_broker_id(VcmaBroker *b)
{
    const char *id = object_get_canonical_path_component(OBJECT(b));

    return id ? id : TYPE_VCMA_BROKER;
}

/* vcma-broker-ask.c */
void vcma_broker_send_asks(VcmaBroker *b);
void vcma_broker_send_releases(VcmaBroker *b);

/* vcma-broker-link.c */
extern const struct vcma_client_ops vcma_broker_client_ops;
void vcma_broker_set_error(VcmaBroker *b, const char *text);
int vcma_broker_connect(VcmaBroker *b);
void vcma_broker_retry_in(VcmaBroker *b, uint32_t ms);
/* Do what can be done now: receive, connect, release, ask. */
void vcma_broker_work(void *opaque);
/* Poll for what the client waits for from now on. */
void vcma_broker_update(VcmaBroker *b);

#endif /* HW_VCMA_BROKER_INT_H */
