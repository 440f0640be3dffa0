/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-broker: the connection of a virtio-cma device to vcmad
 *
 * DOC: Theory of operation
 *
 * The object wraps the client library: its descriptor is polled by the main
 * loop, one timer serves all its deadlines.  It counts the leases that vcmad
 * believes to be held here.  While there are any, a new connection names the
 * instance of vcmad that granted them (HELLO.instance).  If that instance is
 * still there it says RESUMED and all goes on; RELEASEs that were not confirmed
 * are sent again.  If not, the memory stays ours as long as we have it mapped,
 * but that vcmad must not give us more: it is not usable until the last of the
 * old leases is gone.
 *
 * At most VCMA_ASKS_SENT requests are with vcmad at a time; the others wait
 * here, so that there is always room for a RELEASE.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "vcma-broker-int.h"

#define VCMA_HELLO_MS       3000    /* how long to wait for vcmad at start */

static void vcma_broker_complete(UserCreatable *uc, Error **errp)
{
    VcmaBroker *b = VCMA_BROKER(uc);
    uint32_t status = VCMA_ST_OK;
    int ret;

    if (!b->path) {
        error_setg(errp, "vcma-broker needs 'path': the VM's socket of vcmad");
        return;
    }
    b->backoff_ms = b->reconnect_ms;
    vcma_broker_fds_max();
    ret = vcma_broker_connect(b);
    if (!ret) {
        ret = vcma_client_wait_hello(b->client, VCMA_HELLO_MS, &status);
        if (ret) {
            vcma_client_close(b->client);
        }
    }
    if (ret && b->wait) {
        if (b->refusal != VCMA_ST_OK) {
            error_setg(errp, "vcmad at '%s' refused this VM: %s", b->path,
                       vcma_status_text(b->refusal));
        } else {
            error_setg(errp, "cannot use vcmad at '%s': %s", b->path,
                       b->last_error ? b->last_error : strerror(-ret));
        }
        error_append_hint(errp, "Is vcmad running, and is this the socket of "
                          "its [vm] group that this user may open?  wait=off "
                          "starts the VM without it.\n");
        return;
    }
    b->completed = true;
    if (ret) {
        warn_report("%s: no vcmad at '%s' yet (%s); there is no contiguous "
                    "memory until it is there", vcma_broker_id(b), b->path,
                    b->last_error ? b->last_error : strerror(-ret));
        b->was_lost = true;
        b->backoff_ms = b->reconnect_ms;
        vcma_broker_retry_in(b, b->backoff_ms);
    }
    vcma_broker_update(b);
}

static bool vcma_broker_can_be_deleted(UserCreatable *uc)
{
    VcmaBroker *b = VCMA_BROKER(uc);

    return !b->ops && !b->held && QTAILQ_EMPTY(&b->asks);
}

bool vcma_broker_claim(VcmaBroker *b, const char *user,
                       const VcmaBrokerOps *ops, void *opaque, Error **errp)
{
    if (b->ops) {
        error_setg(errp, "property 'broker': '%s' serves device '%s' already; "
                   "create one vcma-broker object for each virtio-cma device "
                   "(and a [vm] group of vcmad for each object)",
                   vcma_broker_id(b), b->user);
        return false;
    }
    b->ops = ops;
    b->ops_opaque = opaque;
    b->user = g_strdup(user);
    return true;
}

void vcma_broker_unclaim(VcmaBroker *b)
{
    b->ops = NULL;
    b->ops_opaque = NULL;
    g_clear_pointer(&b->user, g_free);
}

bool vcma_broker_is_usable(const VcmaBroker *b)
{
    return b->usable;
}

const struct vcma_client_info *vcma_broker_info(const VcmaBroker *b)
{
    return b->info.instance ? &b->info : NULL;
}

bool vcma_broker_has_bank(const VcmaBroker *b, uint32_t bank)
{
    return !bank || (bank < VCMA_BANKS_MAX && b->info.banks >> bank & 1);
}

void vcma_broker_set_granule(VcmaBroker *b, uint64_t granule)
{
    b->granule = granule;
}

static char *vcma_broker_get_path(Object *obj, Error **errp)
{
    return g_strdup(VCMA_BROKER(obj)->path);
}

static void vcma_broker_set_path(Object *obj, const char *value, Error **errp)
{
    VcmaBroker *b = VCMA_BROKER(obj);

    if (b->completed) {
        error_setg(errp, "'path' cannot be changed; create another object");
        return;
    }
    g_free(b->path);
    b->path = g_strdup(value);
}

static bool vcma_broker_get_wait(Object *obj, Error **errp)
{
    return VCMA_BROKER(obj)->wait;
}

static void vcma_broker_set_wait(Object *obj, bool value, Error **errp)
{
    VCMA_BROKER(obj)->wait = value;
}

static void vcma_broker_get_reconnect(Object *obj, Visitor *v, const char *name,
                                      void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &VCMA_BROKER(obj)->reconnect_ms, errp);
}

static void vcma_broker_set_reconnect(Object *obj, Visitor *v, const char *name,
                                      void *opaque, Error **errp)
{
    uint32_t value;

    if (!visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (!value || value > VCMA_RECONNECT_LAST_MS) {
        error_setg(errp, "'%s' has to be from 1 to %d", name,
                   VCMA_RECONNECT_LAST_MS);
        return;
    }
    VCMA_BROKER(obj)->reconnect_ms = value;
}

static bool vcma_broker_get_connected(Object *obj, Error **errp)
{
    return vcma_client_is_connected(VCMA_BROKER(obj)->client);
}

static bool vcma_broker_get_usable(Object *obj, Error **errp)
{
    return VCMA_BROKER(obj)->usable;
}

static bool vcma_broker_get_contiguous(Object *obj, Error **errp)
{
    return VCMA_BROKER(obj)->info.flags & VCMA_POOL_CONTIGUOUS;
}

static char *vcma_broker_get_vm(Object *obj, Error **errp)
{
    return g_strdup(VCMA_BROKER(obj)->info.vm);
}

static char *vcma_broker_get_pool(Object *obj, Error **errp)
{
    return g_strdup(VCMA_BROKER(obj)->info.pool);
}

static char *vcma_broker_get_error(Object *obj, Error **errp)
{
    VcmaBroker *b = VCMA_BROKER(obj);

    return g_strdup(b->last_error ? b->last_error : "");
}

/* The numbers that can be read. */
typedef enum VcmaBrokerNumber {
    VCMA_BROKER_GRANULE,
    VCMA_BROKER_CHUNK,
    VCMA_BROKER_LEASE_MAX,
    VCMA_BROKER_GUARANTEE,
    VCMA_BROKER_LIMIT,
    VCMA_BROKER_LEASES,
    VCMA_BROKER_PENDING,
    VCMA_BROKER_CONNECTIONS,
    VCMA_BROKER_NUMBERS
} VcmaBrokerNumber;

static const char *const vcma_broker_numbers[] = {
    [VCMA_BROKER_GRANULE] = "granule-size",
    [VCMA_BROKER_CHUNK] = "chunk-size",
    [VCMA_BROKER_LEASE_MAX] = "lease-max",
    [VCMA_BROKER_GUARANTEE] = "guarantee",
    [VCMA_BROKER_LIMIT] = "limit",
    [VCMA_BROKER_LEASES] = "leases",
    [VCMA_BROKER_PENDING] = "pending-releases",
    [VCMA_BROKER_CONNECTIONS] = "connections",
};

QEMU_BUILD_BUG_ON(ARRAY_SIZE(vcma_broker_numbers) != VCMA_BROKER_NUMBERS);

static void vcma_broker_get_number(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    VcmaBroker *b = VCMA_BROKER(obj);
    uint64_t value = 0;

    switch ((VcmaBrokerNumber)(uintptr_t)opaque) {
    case VCMA_BROKER_GRANULE:
        value = b->info.granule_size;
        break;
    case VCMA_BROKER_CHUNK:
        value = b->info.chunk_size;
        break;
    case VCMA_BROKER_LEASE_MAX:
        value = b->info.lease_max;
        break;
    case VCMA_BROKER_GUARANTEE:
        value = b->info.guarantee;
        break;
    case VCMA_BROKER_LIMIT:
        value = b->info.limit;
        break;
    case VCMA_BROKER_LEASES:
        value = b->held;
        break;
    case VCMA_BROKER_PENDING:
        value = vcma_broker_pending_releases(b);
        break;
    case VCMA_BROKER_CONNECTIONS:
        value = b->connections;
        break;
    case VCMA_BROKER_NUMBERS:
        break;
    }
    visit_type_uint64(v, name, &value, errp);
}

static void vcma_broker_init(Object *obj)
{
    VcmaBroker *b = VCMA_BROKER(obj);

    b->wait = true;
    b->reconnect_ms = VCMA_RECONNECT_MS;
    b->fd = -1;
    QTAILQ_INIT(&b->asks);
    b->releases = g_array_new(false, false, sizeof(VcmaRelease));
    b->timer = timer_new_ms(QEMU_CLOCK_REALTIME, vcma_broker_work, b);
    b->bh = qemu_bh_new(vcma_broker_work, b);
    b->client = vcma_client_new(&vcma_broker_client_ops, b);
    if (!b->client) {
        g_error("vcma-broker: no memory for a client");
    }
}

static void vcma_broker_finalize(Object *obj)
{
    VcmaBroker *b = VCMA_BROKER(obj);

    b->completed = false;
    if (b->fd >= 0) {
        qemu_set_fd_handler(b->fd, NULL, NULL, NULL);
    }
    b->usable = false;
    vcma_client_free(b->client);
    timer_free(b->timer);
    qemu_bh_delete(b->bh);
    g_array_free(b->releases, true);
    g_free(b->last_error);
    g_free(b->user);
    g_free(b->path);
}

static void vcma_broker_class_init(ObjectClass *oc, void *data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);
    uintptr_t i;

    ucc->complete = vcma_broker_complete;
    ucc->can_be_deleted = vcma_broker_can_be_deleted;

    object_class_property_add_str(oc, "path", vcma_broker_get_path,
                                  vcma_broker_set_path);
    object_class_property_set_description(oc, "path",
        "the VM's socket of vcmad");
    object_class_property_add_bool(oc, "wait", vcma_broker_get_wait,
                                   vcma_broker_set_wait);
    object_class_property_set_description(oc, "wait",
        "fail if vcmad cannot be reached at start (default: on)");
    object_class_property_add(oc, "reconnect-ms", "uint32",
                              vcma_broker_get_reconnect,
                              vcma_broker_set_reconnect, NULL, NULL);
    object_class_property_set_description(oc, "reconnect-ms",
        "first delay before connecting again; doubles up to 10000");
    object_class_property_add_bool(oc, "connected",
                                   vcma_broker_get_connected, NULL);
    object_class_property_add_bool(oc, "usable", vcma_broker_get_usable, NULL);
    object_class_property_add_bool(oc, "contiguous",
                                   vcma_broker_get_contiguous, NULL);
    object_class_property_add_str(oc, "vm", vcma_broker_get_vm, NULL);
    object_class_property_add_str(oc, "pool", vcma_broker_get_pool, NULL);
    object_class_property_add_str(oc, "last-error", vcma_broker_get_error,
                                  NULL);
    for (i = 0; i < VCMA_BROKER_NUMBERS; i++) {
        object_class_property_add(oc, vcma_broker_numbers[i], "uint64",
                                  vcma_broker_get_number, NULL, NULL,
                                  (void *)i);
    }
}

static const TypeInfo vcma_broker_type = {
    .name = TYPE_VCMA_BROKER,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(VcmaBroker),
    .instance_init = vcma_broker_init,
    .instance_finalize = vcma_broker_finalize,
    .class_init = vcma_broker_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_USER_CREATABLE },
        { }
    },
};

static void vcma_broker_register_types(void)
{
    type_register_static(&vcma_broker_type);
}

type_init(vcma_broker_register_types)
