/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-broker: the connection of a virtio-cma device to vcmad
 *
 * Everything here runs under the big lock, callbacks in the main loop.
 */
#ifndef HW_VCMA_BROKER_H
#define HW_VCMA_BROKER_H

#include "qom/object.h"
#include "client.h"

#define TYPE_VCMA_BROKER "vcma-broker"
OBJECT_DECLARE_SIMPLE_TYPE(VcmaBroker, VCMA_BROKER)

/* A LEASE request on its way. */
typedef struct VcmaAsk VcmaAsk;

/*
 * The answer to vcma_broker_ask(), exactly once, never from within it: @status
 * is VCMA_ST_*; @grant is NULL unless it is VCMA_ST_OK.  The callee owns the
 * descriptors in @grant and, from then on, the lease.
 */
typedef void VcmaAskFunc(void *opaque, uint32_t status,
                         struct vcma_client_lease *grant);

/* What a device wants to know; each member may be NULL. */
typedef struct VcmaBrokerOps {
    void (*reclaim)(void *opaque, uint32_t id, uint32_t deadline_ms,
                    const uint64_t *lease, uint32_t count);
    void (*pool_changed)(void *opaque);
    /* The broker can (or no longer can) be asked; reclaims are void then. */
    void (*link_changed)(void *opaque, bool usable);
} VcmaBrokerOps;

/* One device has the broker; the second one is refused. */
bool vcma_broker_claim(VcmaBroker *b, const char *user,
                       const VcmaBrokerOps *ops, void *opaque, Error **errp);
void vcma_broker_unclaim(VcmaBroker *b);

bool vcma_broker_is_usable(const VcmaBroker *b);
/* What the broker said last; NULL if it never spoke. */
const struct vcma_client_info *vcma_broker_info(const VcmaBroker *b);
/* The device lives with this granule: vcmad with another one is of no use. */
void vcma_broker_set_granule(VcmaBroker *b, uint64_t granule);
/* Descriptors that can arrive in one lease, given RLIMIT_NOFILE. */
uint32_t vcma_broker_fds_max(void);

/* Does vcmad, as it spoke last, give this VM memory of @bank? */
bool vcma_broker_has_bank(const VcmaBroker *b, uint32_t bank);

/*
 * NULL if the broker is not usable; then @fn is not called.  A bank that this
 * VM does not have: VCMA_ST_DENIED.
 */
VcmaAsk *vcma_broker_ask(VcmaBroker *b, uint64_t size, uint32_t bank,
                         uint32_t deadline_ms, VcmaAskFunc *fn, void *opaque);
/* @fn is called still, with VCMA_ST_CANCELLED or with a grant that raced. */
void vcma_broker_cancel(VcmaBroker *b, VcmaAsk *ask);

/* A granted lease is on its way back: what does not fit now may fit soon. */
void vcma_broker_expect_release(VcmaBroker *b);
/* It is unmapped and closed; RELEASE goes out when it can. */
void vcma_broker_release(VcmaBroker *b, uint64_t lease);
/* Answer a RECLAIM, after all that was released before. */
void vcma_broker_reclaim_done(VcmaBroker *b, uint32_t id, uint32_t status);

/* RELEASEs that vcmad has not confirmed. */
unsigned int vcma_broker_pending_releases(const VcmaBroker *b);

#endif /* HW_VCMA_BROKER_H */
