/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma: contiguous memory for a guest, from vcmad
 *
 * DOC: Theory of operation
 *
 * The device has windows (vcma-window.c), empty at first.  The guest asks for
 * a range of a window; the broker object (vcma-broker.c) gets memory for it,
 * which becomes a lease (vcma-lease.c).  Requests are in virtio-cma-req.c, what
 * the host wants of the guest in virtio-cma-event.c.  All of it runs under the
 * big lock.
 *
 * Who has leases?  A driver instance, from its DRIVER_OK to the next one's.  A
 * device reset changes no lease (a guest that restarts its driver may have
 * DMA under way), but the next DRIVER_OK gives back all that there was before,
 * and so does a system reset.  Wake-up from S3 is none.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "hw/core/cpu.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-access.h"
#include "migration/blocker.h"
#include "migration/vmstate.h"
#include "sysemu/kvm.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#include "sysemu/sysemu.h"
#include "virtio-cma.h"
#include "trace.h"

#define VIRTIO_CMA_LEASES_DEFAULT   256
#define VIRTIO_CMA_LEASES_LIMIT     4096
#define VIRTIO_CMA_SLOTS_SPARE      64  /* of KVM, for the rest of the VM */
#define VIRTIO_CMA_LEASE_SIZE       (32 * MiB)
#define VIRTIO_CMA_GRANULE          (2 * MiB)   /* if nobody says otherwise */
/*
 * Of the hole below 4 GiB, about 1 GiB on a PC.  With a BAR of 512 MiB behind a
 * root port SeaBIOS finds no room and stops.
 */
#define VIRTIO_CMA_DMA32_LIMIT      (256 * MiB)

/* --- leases --- */

VcmaWindow *virtio_cma_window_by_id(VirtIOCMA *s, uint32_t id)
{
    unsigned int i;

    for (i = 0; i < s->nr_windows; i++) {
        if (s->window[i]->id == id) {
            return s->window[i];
        }
    }
    return NULL;
}

unsigned int virtio_cma_drop_all(VirtIOCMA *s)
{
    unsigned int i, n = 0;

    /*
     * No memory transaction around it: regions are disabled, and that is
     * committed, before they leave their container.
     */
    for (i = 0; i < s->nr_windows; i++) {
        n += vcma_lease_drop_plugged(s->window[i]);
    }
    trace_virtio_cma_drop_all(n);
    return n;
}

bool virtio_cma_block_migration(VirtIOCMA *s)
{
    Error *err = NULL;

    if (s->blocked) {
        return true;
    }
    if (migrate_add_blocker(s->blocker, &err)) {
        trace_virtio_cma_no_blocker(error_get_pretty(err));
        error_free(err);
        return false;
    }
    s->blocked = true;
    return true;
}

void virtio_cma_unblock_migration(VirtIOCMA *s)
{
    unsigned int i;

    if (!s->blocked || !QTAILQ_EMPTY(&s->waiting) || !QTAILQ_EMPTY(&s->done)) {
        return;
    }
    for (i = 0; i < s->nr_windows; i++) {
        if (vcma_window_leases(s->window[i])) {
            return;
        }
    }
    migrate_del_blocker(s->blocker);
    s->blocked = false;
}

static void virtio_cma_gone(void *opaque, uint64_t lease)
{
    VirtIOCMA *s = opaque;

    virtio_cma_reclaim_gone(s, lease);
    virtio_cma_unblock_migration(s);
}

/* --- the virtio device --- */

static void virtio_cma_get_config(VirtIODevice *vdev, uint8_t *data)
{
    VirtIOCMA *s = VIRTIO_CMA(vdev);
    struct virtio_cma_config config = {
        .num_windows = cpu_to_le32(s->nr_windows),
        .max_leases = cpu_to_le32(s->max_leases),
        .granule_size = cpu_to_le64(s->granule),
        .lease_size = cpu_to_le64(s->lease_size),
        .lease_max = cpu_to_le64(s->lease_max),
    };
    unsigned int i;

    for (i = 0; i < s->nr_windows; i++) {
        config.window[i].id = cpu_to_le32(s->window[i]->id);
        config.window[i].zone = cpu_to_le16(s->window[i]->zone);
        config.window[i].bar = cpu_to_le32(s->window[i]->bar);
        config.window[i].length = cpu_to_le64(s->window[i]->size);
    }
    memcpy(data, &config, sizeof(config));
}

static uint64_t virtio_cma_get_features(VirtIODevice *vdev, uint64_t features,
                                        Error **errp)
{
    return features;
}

static int virtio_cma_validate_features(VirtIODevice *vdev)
{
    return virtio_vdev_has_feature(vdev, VIRTIO_F_VERSION_1) ? 0 : -EINVAL;
}

static void virtio_cma_set_status(VirtIODevice *vdev, uint8_t status)
{
    VirtIOCMA *s = VIRTIO_CMA(vdev);
    bool ok = status & VIRTIO_CONFIG_S_DRIVER_OK;

    if (ok && !s->driver_ok) {
        /* A new driver instance begins with nothing. */
        trace_virtio_cma_driver_ok();
        virtio_cma_cancel_requests(s);
        virtio_cma_drop_all(s);
    }
    s->driver_ok = ok;
    if (ok && vdev->vm_running) {
        qemu_bh_schedule(s->bh);
    }
}

static void virtio_cma_reset(VirtIODevice *vdev)
{
    VirtIOCMA *s = VIRTIO_CMA(vdev);

    trace_virtio_cma_reset();
    s->driver_ok = false;
    s->pool_changed = false;
    virtio_cma_cancel_requests(s);
    virtio_cma_reclaim_no_driver(s);
}

static void virtio_cma_system_reset(void *opaque)
{
    VirtIOCMA *s = opaque;
    bool wakeup = s->suspended && runstate_check(RUN_STATE_RUNNING);

    s->suspended = false;
    if (wakeup) {
        return;
    }
    s->driver_ok = false;
    virtio_cma_cancel_requests(s);
    virtio_cma_drop_all(s);
}

static void virtio_cma_on_suspend(Notifier *notifier, void *data)
{
    VirtIOCMA *s = container_of(notifier, VirtIOCMA, suspend_notifier);

    s->suspended = true;
}

static void virtio_cma_bh(void *opaque)
{
    VirtIOCMA *s = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    if (!vdev->vm_running) {
        return;
    }
    virtio_cma_flush(s);
    virtio_cma_handle_events(vdev, s->event_vq);
    virtio_cma_handle_requests(vdev, s->req_vq);
}

/* --- birth and death --- */

static bool virtio_cma_check_bar(const char *name, uint64_t size,
                                 uint64_t limit, const char *why, Error **errp)
{
    g_autofree char *given = size_to_str(size);
    g_autofree char *max = size_to_str(limit);

    if (size <= limit && vcma_window_bar_size(size) <= limit) {
        return true;
    }
    error_setg(errp, "property '%s': %s needs a BAR that is too large for this "
               "machine; use at most %s (%s)", name, given, max, why);
    return false;
}

/* The largest BAR that can be placed above 4 GiB. */
static uint64_t virtio_cma_bar64_limit(void)
{
    uint64_t bits = 0;

    if (first_cpu && object_property_find(OBJECT(first_cpu), "phys-bits")) {
        bits = object_property_get_uint(OBJECT(first_cpu), "phys-bits", NULL);
    }
    if (bits < 34 || bits > 52) {
        bits = 40;
    }
    /* It is naturally aligned, and RAM comes first. */
    return 1ULL << (bits - 1);
}

static bool virtio_cma_check_sizes(VirtIOCMA *s, Error **errp)
{
    const struct vcma_client_info *info = vcma_broker_info(s->broker);
    g_autofree char *granule = NULL;
    uint64_t largest = pow2floor(MAX(s->normal_size, s->dma32_size));
    uint64_t fds;

    if (!s->normal_size && !s->dma32_size) {
        error_setg(errp, "virtio-cma has no window; set property 'normal', "
                   "'dma32' or both to the size of one");
        return false;
    }
    if (info && s->granule && s->granule != info->granule_size) {
        granule = size_to_str(info->granule_size);
        error_setg(errp, "property 'granule': pool '%s' has granules of %s; "
                   "leave the property out", info->pool, granule);
        return false;
    }
    if (!s->granule) {
        s->granule = info ? info->granule_size : VIRTIO_CMA_GRANULE;
    }
    granule = size_to_str(s->granule);
    if (!is_power_of_2(s->granule) ||
        s->granule < qemu_real_host_page_size()) {
        error_setg(errp, "property 'granule': %s is not a power of two of at "
                   "least a page; set it to the granule size of the pool",
                   granule);
        return false;
    }
    if (s->normal_size % s->granule || s->dma32_size % s->granule) {
        const char *name = s->normal_size % s->granule ? "normal" : "dma32";

        error_setg(errp, "property '%s' is not a multiple of the pool's "
                   "granule; use a multiple of %s", name, granule);
        return false;
    }
    if (!virtio_cma_check_bar("dma32", s->dma32_size, VIRTIO_CMA_DMA32_LIMIT,
                              "32-bit BARs share the hole below 4 GiB", errp) ||
        !virtio_cma_check_bar("normal", s->normal_size,
                              virtio_cma_bar64_limit(),
                              "half of what the CPU's phys-bits can address",
                              errp)) {
        return false;
    }
    if (!s->max_leases || s->max_leases > VIRTIO_CMA_LEASES_LIMIT) {
        error_setg(errp, "property 'max-leases' has to be from 1 to %d",
                   VIRTIO_CMA_LEASES_LIMIT);
        return false;
    }

    if (kvm_enabled() &&
        s->max_leases + VIRTIO_CMA_SLOTS_SPARE > kvm_get_max_memslots()) {
        error_setg(errp, "property 'max-leases': KVM has %d memory slots on "
                   "this host; use at most %d", kvm_get_max_memslots(),
                   kvm_get_max_memslots() - VIRTIO_CMA_SLOTS_SPARE);
        return false;
    }

    s->lease_max = info ? MIN(info->lease_max, largest) : largest;
    fds = pow2floor(vcma_broker_fds_max());
    s->lease_max = MAX(s->granule, MIN(s->lease_max, fds * s->granule));
    if (!s->lease_size) {
        s->lease_size = MIN(VIRTIO_CMA_LEASE_SIZE, s->lease_max);
        if (info) {
            s->lease_size = MIN(s->lease_size, info->chunk_size);
        }
        s->lease_size = MAX(s->lease_size, s->granule);
    }
    if (!is_power_of_2(s->lease_size) || s->lease_size < s->granule ||
        s->lease_size > s->lease_max) {
        g_autofree char *max = size_to_str(s->lease_max);

        error_setg(errp, "property 'lease-size' has to be a power of two from "
                   "%s (the granule) to %s (the largest lease)", granule, max);
        return false;
    }
    return true;
}

static bool virtio_cma_add_window(VirtIOCMA *s, const char *name, uint16_t zone,
                                  uint32_t bar, uint64_t size, Error **errp)
{
    VcmaWindowDesc desc = {
        .name = name,
        .id = s->nr_windows + 1,
        .zone = zone,
        .bar = bar,
        .size = size,
        .granule = s->granule,
        .gone = virtio_cma_gone,
        .gone_opaque = s,
    };
    VcmaWindow *w;

    if (!size) {
        return true;
    }
    w = vcma_window_new(OBJECT(s), &desc, errp);
    if (!w) {
        return false;
    }
    s->window[s->nr_windows++] = w;
    return true;
}

static void virtio_cma_retire_windows(VirtIOCMA *s)
{
    while (s->nr_windows) {
        vcma_window_retire(s->window[--s->nr_windows]);
        s->window[s->nr_windows] = NULL;
    }
}

static void virtio_cma_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOCMA *s = VIRTIO_CMA(dev);
    g_autofree char *path = object_get_canonical_path(OBJECT(dev));

    if (!s->broker) {
        error_setg(errp, "property 'broker' is not set; create an object with "
                   "-object vcma-broker,id=ID,path=SOCKET and set broker=ID");
        return;
    }
    if (only_migratable) {
        error_setg(errp, "virtio-cma cannot migrate while the guest holds "
                   "memory from it; start without -only-migratable");
        return;
    }
    if (s->virtio_id < 42 || s->virtio_id > VIRTIO_ID_CMA) {
        error_setg(errp, "property 'virtio-id' has to be from 42 to %d, and a "
                   "number that no other virtio device has", VIRTIO_ID_CMA);
        return;
    }
    if (!vcma_broker_claim(s->broker, path, &virtio_cma_broker_ops, s, errp)) {
        return;
    }
    if (!virtio_cma_check_sizes(s, errp) ||
        !virtio_cma_add_window(s, "normal-window", VIRTIO_CMA_ZONE_NORMAL,
                               VIRTIO_CMA_BAR_NORMAL, s->normal_size, errp) ||
        !virtio_cma_add_window(s, "dma32-window", VIRTIO_CMA_ZONE_DMA32,
                               VIRTIO_CMA_BAR_DMA32, s->dma32_size, errp)) {
        virtio_cma_retire_windows(s);
        vcma_broker_unclaim(s->broker);
        return;
    }
    vcma_broker_set_granule(s->broker, s->granule);

    virtio_init(vdev, s->virtio_id, sizeof(struct virtio_cma_config));
    s->req_vq = virtio_add_queue(vdev, VIRTIO_CMA_QUEUE_SIZE,
                                 virtio_cma_handle_requests);
    s->event_vq = virtio_add_queue(vdev, VIRTIO_CMA_QUEUE_SIZE,
                                   virtio_cma_handle_events);
    s->bh = qemu_bh_new(virtio_cma_bh, s);
    s->reclaim_timer = timer_new_ms(QEMU_CLOCK_REALTIME,
                                    virtio_cma_reclaim_timeout, s);
    error_setg(&s->blocker, "virtio-cma: the guest holds contiguous memory of "
               "this host, which cannot move; take it back first (unload the "
               "guest's virtio_cma driver or unplug the device)");
    qemu_register_reset(virtio_cma_system_reset, s);
    s->suspend_notifier.notify = virtio_cma_on_suspend;
    qemu_register_suspend_notifier(&s->suspend_notifier);
    trace_virtio_cma_realize(path, s->nr_windows, s->granule, s->lease_size,
                             s->lease_max);
}

static void virtio_cma_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOCMA *s = VIRTIO_CMA(dev);

    qemu_unregister_reset(virtio_cma_system_reset, s);
    notifier_remove(&s->suspend_notifier);
    s->driver_ok = false;
    virtio_cma_cancel_requests(s);
    virtio_cma_reclaim_forget(s, true);
    virtio_cma_retire_windows(s);
    virtio_cma_unblock_migration(s);
    vcma_broker_set_granule(s->broker, 0);
    vcma_broker_unclaim(s->broker);

    timer_free(s->reclaim_timer);
    qemu_bh_delete(s->bh);
    error_free(s->blocker);
    s->blocker = NULL;
    virtio_delete_queue(s->req_vq);
    virtio_delete_queue(s->event_vq);
    virtio_cleanup(vdev);
}

/* --- what can be read --- */

static void virtio_cma_get_leases(Object *obj, Visitor *v, const char *name,
                                  void *opaque, Error **errp)
{
    VirtIOCMA *s = VIRTIO_CMA(obj);
    uint64_t bar = (uintptr_t)opaque;   /* of the window; UINT32_MAX: all */
    bool bytes = g_str_has_suffix(name, "-bytes");
    uint64_t value = 0;
    unsigned int i;

    for (i = 0; i < s->nr_windows; i++) {
        VcmaWindow *w = s->window[i];

        if (bar == UINT32_MAX || bar == w->bar) {
            value += bytes ? w->bytes[VCMA_LEASE_PLUGGED] :
                             w->nr[VCMA_LEASE_PLUGGED];
        }
    }
    visit_type_uint64(v, name, &value, errp);
}

static void virtio_cma_get_pending(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    VirtIOCMA *s = VIRTIO_CMA(obj);
    uint64_t value = s->broker ? vcma_broker_pending_releases(s->broker) : 0;
    unsigned int i;

    for (i = 0; i < s->nr_windows; i++) {
        value += s->window[i]->nr[VCMA_LEASE_DRAINING];
    }
    visit_type_uint64(v, name, &value, errp);
}

static const VMStateDescription vmstate_virtio_cma = {
    .name = "virtio-cma",
    .minimum_version_id = 1,
    .version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE,
        VMSTATE_END_OF_LIST()
    },
};

static Property virtio_cma_properties[] = {
    DEFINE_PROP_LINK("broker", VirtIOCMA, broker, TYPE_VCMA_BROKER,
                     VcmaBroker *),
    DEFINE_PROP_SIZE("normal", VirtIOCMA, normal_size, 0),
    DEFINE_PROP_SIZE("dma32", VirtIOCMA, dma32_size, 0),
    DEFINE_PROP_SIZE("granule", VirtIOCMA, granule, 0),
    DEFINE_PROP_SIZE("lease-size", VirtIOCMA, lease_size, 0),
    DEFINE_PROP_UINT32("max-leases", VirtIOCMA, max_leases,
                       VIRTIO_CMA_LEASES_DEFAULT),
    DEFINE_PROP_UINT16("virtio-id", VirtIOCMA, virtio_id, VIRTIO_ID_CMA),
    DEFINE_PROP_END_OF_LIST(),
};

static void virtio_cma_instance_init(Object *obj)
{
    VirtIOCMA *s = VIRTIO_CMA(obj);

    QTAILQ_INIT(&s->waiting);
    QTAILQ_INIT(&s->done);
    QTAILQ_INIT(&s->reclaims);
}

static void virtio_cma_class_init(ObjectClass *oc, void *data)
{
    static const struct {
        const char *name;
        uint32_t bar;
    } numbers[] = {
        { "leases", UINT32_MAX },
        { "lease-bytes", UINT32_MAX },
        { "normal-leases", VIRTIO_CMA_BAR_NORMAL },
        { "normal-bytes", VIRTIO_CMA_BAR_NORMAL },
        { "dma32-leases", VIRTIO_CMA_BAR_DMA32 },
        { "dma32-bytes", VIRTIO_CMA_BAR_DMA32 },
    };
    static const struct {
        const char *name;
        const char *text;
    } help[] = {
        { "broker", "id of a vcma-broker object" },
        { "normal", "size of the window in a 64-bit BAR" },
        { "dma32", "size of the window in a 32-bit BAR" },
        { "granule", "smallest range; 0: as the pool's" },
        { "lease-size", "what the driver should ask for; "
                        "0: 32M, at most a chunk of the pool" },
        { "max-leases", "leases at any time" },
        { "virtio-id", "virtio device id" },
        { "leases", "leases that the guest sees" },
        { "lease-bytes", "bytes in them" },
        { "pending-releases", "leases on their way back to vcmad" },
    };
    DeviceClass *dc = DEVICE_CLASS(oc);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(oc);
    unsigned int i;

    device_class_set_props(dc, virtio_cma_properties);
    dc->vmsd = &vmstate_virtio_cma;
    dc->desc = "Contiguous memory from vcmad";
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);

    vdc->realize = virtio_cma_realize;
    vdc->unrealize = virtio_cma_unrealize;
    vdc->reset = virtio_cma_reset;
    vdc->get_config = virtio_cma_get_config;
    vdc->get_features = virtio_cma_get_features;
    vdc->validate_features = virtio_cma_validate_features;
    vdc->set_status = virtio_cma_set_status;

    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        object_class_property_add(oc, numbers[i].name, "uint64",
                                  virtio_cma_get_leases, NULL, NULL,
                                  (void *)(uintptr_t)numbers[i].bar);
    }
    object_class_property_add(oc, "pending-releases", "uint64",
                              virtio_cma_get_pending, NULL, NULL, NULL);
    for (i = 0; i < ARRAY_SIZE(help); i++) {
        object_class_property_set_description(oc, help[i].name, help[i].text);
    }
}

static const TypeInfo virtio_cma_type = {
    .name = TYPE_VIRTIO_CMA,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(VirtIOCMA),
    .instance_init = virtio_cma_instance_init,
    .class_init = virtio_cma_class_init,
};

static void virtio_cma_register_types(void)
{
    type_register_static(&virtio_cma_type);
}

type_init(virtio_cma_register_types)
