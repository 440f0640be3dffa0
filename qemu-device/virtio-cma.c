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
 *
 * For as long as it lives the device requires coordinated discarding of RAM:
 * leases come and go by RamDiscardManagers (vcma-discard.c).  VFIO type1 knows
 * them and agrees.  vhost-vdpa, which would keep a released lease pinned and
 * mapped, and those who want all RAM to stay where it is, do not, and QEMU
 * refuses whichever of the two comes second.  It is not only required while
 * there are leases: the answer would come too late then.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "exec/memory.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-access.h"
#include "migration/blocker.h"
#include "migration/vmstate.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#include "sysemu/sysemu.h"
#include "virtio-cma.h"
#include "trace.h"

#define VIRTIO_CMA_LEASES_DEFAULT   256

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

bool virtio_cma_block_migration_ram(VirtIOCMA *s)
{
    Error *err = NULL;

    if (!s->ram_blocked && migrate_add_blocker(s->ram_blocker, &err)) {
        trace_virtio_cma_no_blocker(error_get_pretty(err));
        error_free(err);
        return false;
    }
    s->ram_blocked = true;
    return true;
}

static void virtio_cma_unblock_migration_ram(VirtIOCMA *s)
{
    if (s->ram_blocked) {
        migrate_del_blocker(s->ram_blocker);
        s->ram_blocked = false;
    }
}

static void virtio_cma_gone(void *opaque, uint64_t lease)
{
    VirtIOCMA *s = opaque;

    virtio_cma_reclaim_gone(s, lease);
    virtio_cma_unblock_migration(s);
}

static void virtio_cma_bad(void *opaque)
{
    VirtIOCMA *s = opaque;

    s->lease_bad = true;
    qemu_bh_schedule(s->bh);
}

static const VcmaWindowOps virtio_cma_window_ops = {
    .gone = virtio_cma_gone,
    .bad = virtio_cma_bad,
};

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
        const VcmaWindow *w = s->window[i];

        config.window[i].id = cpu_to_le32(w->id);
        config.window[i].zone = cpu_to_le16(w->zone);
        config.window[i].bank = cpu_to_le16(w->bank);
        config.window[i].flags = cpu_to_le32(w->flags);
        config.window[i].bar = cpu_to_le32(w->bar);
        config.window[i].offset = cpu_to_le64(w->place);
        config.window[i].length = cpu_to_le64(w->size);
    }
    memcpy(data, &config, sizeof(config));
}

static uint64_t virtio_cma_get_features(VirtIODevice *vdev, uint64_t features,
                                        Error **errp)
{
    VirtIOCMA *s = VIRTIO_CMA(vdev);
    unsigned int i;

    if (s->table.clients.mode != VCMA_CLIENTS_OFF) {
        virtio_add_feature(&features, VIRTIO_CMA_F_CLIENT_TABLE);
    }
    for (i = 0; i < s->nr_windows; i++) {
        if (vcma_window_is_fixed(s->window[i])) {
            virtio_add_feature(&features, VIRTIO_CMA_F_FIXED);
        }
        if (s->window[i]->bank) {
            virtio_add_feature(&features, VIRTIO_CMA_F_BANKS);
        }
    }
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
        unsigned int i;

        /* A new driver instance begins with nothing. */
        trace_virtio_cma_driver_ok();
        virtio_cma_cancel_requests(s);
        virtio_cma_drop_all(s);
        for (i = 0; i < s->nr_windows; i++) {
            vcma_fixed_forget_driver(s->window[i]);
        }
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
    virtio_cma_clients_no_driver(s);
    virtio_cma_cancel_requests(s);
    virtio_cma_reclaim_no_driver(s);
}

static void virtio_cma_system_reset(void *opaque)
{
    VirtIOCMA *s = opaque;
    bool wakeup = s->suspended && runstate_check(RUN_STATE_RUNNING);
    unsigned int i;

    s->suspended = false;
    if (wakeup) {
        return;
    }
    s->driver_ok = false;
    virtio_cma_cancel_requests(s);
    virtio_cma_drop_all(s);
    for (i = 0; i < s->nr_windows; i++) {
        if (vcma_window_is_fixed(s->window[i])) {
            vcma_fixed_reset(s->window[i]);
        }
    }
    virtio_cma_unblock_migration_ram(s);
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

static bool virtio_cma_has_fixed(const VirtIOCMA *s)
{
    unsigned int i;

    for (i = 0; i < s->nr_windows; i++) {
        if (vcma_window_is_fixed(s->window[i])) {
            return true;
        }
    }
    return false;
}

/* The operator cannot take away what firmware and kernel were told of. */
static void virtio_cma_block_unplug(VirtIOCMA *s)
{
    DeviceState *proxy = qdev_get_parent_bus(DEVICE(s))->parent;

    if (virtio_cma_has_fixed(s)) {
        error_setg(&s->unplug_blocker, "virtio-cma: a device with a fixed "
                   "window stays for as long as the VM runs; release its "
                   "memory by unloading the guest's virtio_cma driver");
        qdev_add_unplug_blocker(proxy, s->unplug_blocker);
    }
}

/* A guest can eject it nevertheless. */
static void virtio_cma_unblock_unplug(VirtIOCMA *s)
{
    DeviceState *proxy = qdev_get_parent_bus(DEVICE(s))->parent;

    if (s->unplug_blocker) {
        qdev_del_unplug_blocker(proxy, s->unplug_blocker);
        error_free(s->unplug_blocker);
        s->unplug_blocker = NULL;
    }
}

static void virtio_cma_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOCMA *s = VIRTIO_CMA(dev);
    g_autofree char *path = object_get_canonical_path(OBJECT(dev));
    VcmaSpecs specs = { };
    bool ok;

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
    if (ram_block_coordinated_discard_require(true)) {
        error_setg(errp, "virtio-cma takes memory out of the running VM, and "
                   "something else here wants all of it to stay (vhost-vdpa, "
                   "memory encryption or COLO); leave one of them out");
        vcma_broker_unclaim(s->broker);
        return;
    }
    ok = virtio_cma_plan(s, &specs, errp) &&
         virtio_cma_clients_plan(s, &specs, errp) &&
         virtio_cma_make_windows(s, &specs, &virtio_cma_window_ops, errp);
    vcma_specs_clear(&specs);
    if (!ok) {
        vcma_clients_clear(&s->table.clients);
        ram_block_coordinated_discard_require(false);
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
    virtio_cma_clients_realize(s);
    s->reclaim_timer = timer_new_ms(QEMU_CLOCK_REALTIME,
                                    virtio_cma_reclaim_timeout, s);
    error_setg(&s->blocker, "virtio-cma: the guest holds contiguous memory of "
               "this host, which cannot move; take it back first (unload the "
               "guest's virtio_cma driver or unplug the device)");
    error_setg(&s->ram_blocker, "virtio-cma: the guest has taken over a fixed "
               "window, which is no RAM until the next system reset; reset the "
               "VM first");
    qemu_register_reset(virtio_cma_system_reset, s);
    s->suspend_notifier.notify = virtio_cma_on_suspend;
    qemu_register_suspend_notifier(&s->suspend_notifier);
    virtio_cma_block_unplug(s);
    trace_virtio_cma_realize(path, s->nr_windows, s->granule, s->lease_size,
                             s->lease_max);
}

static void virtio_cma_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOCMA *s = VIRTIO_CMA(dev);

    qemu_unregister_reset(virtio_cma_system_reset, s);
    notifier_remove(&s->suspend_notifier);
    virtio_cma_unblock_unplug(s);
    s->driver_ok = false;
    virtio_cma_cancel_requests(s);
    virtio_cma_reclaim_forget(s, true);
    virtio_cma_clients_unrealize(s);
    virtio_cma_retire_windows(s);
    virtio_cma_unblock_migration(s);
    virtio_cma_unblock_migration_ram(s);
    ram_block_coordinated_discard_require(false);
    vcma_broker_set_granule(s->broker, 0);
    vcma_broker_unclaim(s->broker);

    timer_free(s->reclaim_timer);
    qemu_bh_delete(s->bh);
    error_free(s->blocker);
    s->blocker = NULL;
    error_free(s->ram_blocker);
    s->ram_blocker = NULL;
    virtio_delete_queue(s->req_vq);
    virtio_delete_queue(s->event_vq);
    virtio_cleanup(vdev);
}

/* --- what can be read --- */

static void virtio_cma_get_leases(Object *obj, Visitor *v, const char *name,
                                  void *opaque, Error **errp)
{
    VirtIOCMA *s = VIRTIO_CMA(obj);
    uint16_t zone = (uintptr_t)opaque;  /* 0: all */
    bool bytes = g_str_has_suffix(name, "-bytes");
    uint64_t value = 0;
    unsigned int i;

    for (i = 0; i < s->nr_windows; i++) {
        VcmaWindow *w = s->window[i];

        if (!zone || zone == w->zone) {
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
    DEFINE_PROP_STRING("normal", VirtIOCMA, zone_text[0]),
    DEFINE_PROP_STRING("dma32", VirtIOCMA, zone_text[1]),
    DEFINE_PROP_STRING("dma", VirtIOCMA, zone_text[2]),
    DEFINE_PROP_STRING("highmem", VirtIOCMA, zone_text[3]),
    DEFINE_PROP_STRING("clients", VirtIOCMA, clients_text),
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
        const char *text;
    } help[] = {
        { "broker", "id of a vcma-broker object" },
        { "normal", "windows in a 64-bit BAR or in RAM: "
                    "SIZE[@ADDR][:bank=N], several with '+' in between" },
        { "dma32", "windows in a 32-bit BAR or in RAM below 4 GiB" },
        { "dma", "windows in low memory: SIZE@ADDR[:bank=N]" },
        { "highmem", "as 'normal', for buffers that need no kernel mapping" },
        { "clients", "whose DMA memory comes from windows: auto (all that VFIO "
                     "passes through), all, off, or "
                     "ID[:bank=N][:forbid=BITS][:hotplug], several with '+' in "
                     "between" },
        { "client-table", "where the guest has its clients now" },
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

    for (i = 0; i <= VIRTIO_CMA_NR_ZONES; i++) {
        bool all = i == VIRTIO_CMA_NR_ZONES;
        g_autofree char *leases = g_strdup_printf(
            "%s-leases", all ? "" : virtio_cma_zones[i].name);
        g_autofree char *bytes = g_strdup_printf(
            "%s-bytes", all ? "lease" : virtio_cma_zones[i].name);
        uintptr_t zone = all ? 0 : virtio_cma_zones[i].zone;

        object_class_property_add(oc, all ? "leases" : leases, "uint64",
                                  virtio_cma_get_leases, NULL, NULL,
                                  (void *)zone);
        object_class_property_add(oc, bytes, "uint64", virtio_cma_get_leases,
                                  NULL, NULL, (void *)zone);
    }
    object_class_property_add(oc, "pending-releases", "uint64",
                              virtio_cma_get_pending, NULL, NULL, NULL);
    object_class_property_add_str(oc, "client-table", virtio_cma_clients_text,
                                  NULL);
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
