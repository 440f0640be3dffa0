/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-fake-vfio: does to memory what a VFIO container does, without VFIO
 *
 * DOC: Theory of operation
 *
 * A device of qemu-test-system-x86_64, which is QEMU with the files of this
 * directory in addition: qtest has no IOMMU.  Like VFIO's container it listens
 * to the memory map, registers a RamDiscardListener with each region that has a
 * manager (which are leases, and no others), and unregisters it when the region
 * goes, if it then still finds the manager.  Instead of mapping anything it
 * writes down what it was told.  All devices of a VM, and the broker object,
 * write to one record, so that a test can see the order.
 *
 * What must never happen is recorded with a '!': a range that is mapped twice
 * or unmapped without a map, a region that goes without its manager, a host
 * address that forbids large pages.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "vcma-fake.h"

#define TYPE_VCMA_FAKE_VFIO "vcma-fake-vfio"
OBJECT_DECLARE_SIMPLE_TYPE(VcmaFakeVfio, VCMA_FAKE_VFIO)

#define FAKE_GRANULE    (2 * MiB)

/* What VFIO keeps for a section of a region with a manager. */
typedef struct FakeMap {
    RamDiscardListener listener;
    VcmaFakeVfio *fake;
    MemoryRegion *mr;
    hwaddr addr;
    bool mapped;
    QTAILQ_ENTRY(FakeMap) next;
} FakeMap;

struct VcmaFakeVfio {
    DeviceState parent_obj;

    MemoryListener listener;
    bool attached;
    bool keep_all;          /* as vhost-vdpa: nothing may be discarded */
    uint32_t fail;          /* errno of the next maps; 0: they succeed */
    uint64_t fail_at;       /* at this address only; UINT64_MAX: at any */
    uint64_t nr_mapped;
    QTAILQ_HEAD(, FakeMap) maps;
};

/* --- the record --- */

static GString *fake_record;

void vcma_fake_record(const char *fmt, ...)
{
    va_list ap;

    if (!fake_record) {
        fake_record = g_string_new(NULL);
    }
    va_start(ap, fmt);
    g_string_append_vprintf(fake_record, fmt, ap);
    va_end(ap);
    g_string_append_c(fake_record, '\n');
}

static char *fake_get_record(Object *obj, Error **errp)
{
    return g_strdup(fake_record ? fake_record->str : "");
}

/* Whatever is written, the record begins anew. */
static void fake_set_record(Object *obj, const char *value, Error **errp)
{
    if (fake_record) {
        g_string_truncate(fake_record, 0);
    }
}

/* --- mapping --- */

static int fake_populate(RamDiscardListener *listener, MemoryRegionSection *s)
{
    FakeMap *map = container_of(listener, FakeMap, listener);
    VcmaFakeVfio *fake = map->fake;
    uintptr_t host = (uintptr_t)memory_region_get_ram_ptr(s->mr) +
                     s->offset_within_region;
    uint64_t size = int128_get64(s->size);

    if (fake->fail && (fake->fail_at == UINT64_MAX ||
                       fake->fail_at == s->offset_within_address_space)) {
        vcma_fake_record("%s refuse 0x%" PRIx64 " 0x%" PRIx64,
                         DEVICE(fake)->id, s->offset_within_address_space,
                         size);
        return -(int)fake->fail;
    }
    vcma_fake_record("%s map 0x%" PRIx64 " 0x%" PRIx64 "%s%s",
                     DEVICE(fake)->id, s->offset_within_address_space, size,
                     map->mapped ? " !twice" : "",
                     (host ^ s->offset_within_address_space) % FAKE_GRANULE ?
                     " !askew" : "");
    fake->nr_mapped += !map->mapped;
    map->mapped = true;
    return 0;
}

static void fake_discard(RamDiscardListener *listener, MemoryRegionSection *s)
{
    FakeMap *map = container_of(listener, FakeMap, listener);
    VcmaFakeVfio *fake = map->fake;

    vcma_fake_record("%s unmap 0x%" PRIx64 " 0x%" PRIx64 "%s",
                     DEVICE(fake)->id, s->offset_within_address_space,
                     (uint64_t)int128_get64(s->size),
                     map->mapped ? "" : " !nothing");
    fake->nr_mapped -= map->mapped;
    map->mapped = false;
}

static void fake_region_add(MemoryListener *listener, MemoryRegionSection *s)
{
    VcmaFakeVfio *fake = container_of(listener, VcmaFakeVfio, listener);
    RamDiscardManager *rdm = memory_region_get_ram_discard_manager(s->mr);
    FakeMap *map;

    if (!rdm) {
        return;
    }
    memory_region_ref(s->mr);
    map = g_new0(FakeMap, 1);
    map->fake = fake;
    map->mr = s->mr;
    map->addr = s->offset_within_address_space;
    QTAILQ_INSERT_TAIL(&fake->maps, map, next);
    vcma_fake_record("%s add 0x%" PRIx64 " 0x%" PRIx64 "%s", DEVICE(fake)->id,
                     map->addr, ram_discard_manager_get_min_granularity(rdm,
                                                                        s->mr),
                     ram_discard_manager_is_populated(rdm, s) ?
                     " populated" : "");
    ram_discard_listener_init(&map->listener, fake_populate, fake_discard,
                              false);
    ram_discard_manager_register_listener(rdm, &map->listener, s);
}

static void fake_region_del(MemoryListener *listener, MemoryRegionSection *s)
{
    VcmaFakeVfio *fake = container_of(listener, VcmaFakeVfio, listener);
    RamDiscardManager *rdm = memory_region_get_ram_discard_manager(s->mr);
    FakeMap *map;

    QTAILQ_FOREACH(map, &fake->maps, next) {
        if (map->mr == s->mr && map->addr == s->offset_within_address_space) {
            break;
        }
    }
    if (!map) {
        return;
    }
    if (rdm) {
        ram_discard_manager_unregister_listener(rdm, &map->listener);
        QTAILQ_REMOVE(&fake->maps, map, next);
    }
    /* Without the manager it stays registered, as VFIO's listener would. */
    vcma_fake_record("%s del 0x%" PRIx64 "%s%s", DEVICE(fake)->id, map->addr,
                     rdm ? "" : " !lost", map->mapped ? " !mapped" : "");
    memory_region_unref(s->mr);
    if (rdm) {
        g_free(map);
    }
}

/* --- the device --- */

static bool fake_get_attached(Object *obj, Error **errp)
{
    return VCMA_FAKE_VFIO(obj)->attached;
}

/* As a VFIO device that is plugged in or out. */
static void fake_set_attached(Object *obj, bool value, Error **errp)
{
    VcmaFakeVfio *fake = VCMA_FAKE_VFIO(obj);

    if (DEVICE(obj)->realized && value != fake->attached) {
        if (value) {
            memory_listener_register(&fake->listener, &address_space_memory);
        } else {
            memory_listener_unregister(&fake->listener);
        }
    }
    fake->attached = value;
}

/* Read and write: these may change while the VM runs. */
static void fake_visit_fail(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &VCMA_FAKE_VFIO(obj)->fail, errp);
}

static void fake_visit_fail_at(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    visit_type_uint64(v, name, &VCMA_FAKE_VFIO(obj)->fail_at, errp);
}

static void fake_get_mapped(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    visit_type_uint64(v, name, &VCMA_FAKE_VFIO(obj)->nr_mapped, errp);
}

static void fake_realize(DeviceState *dev, Error **errp)
{
    VcmaFakeVfio *fake = VCMA_FAKE_VFIO(dev);

    if (fake->keep_all && ram_block_discard_disable(true)) {
        error_setg(errp, "somebody needs to discard RAM");
        return;
    }
    if (fake->attached) {
        memory_listener_register(&fake->listener, &address_space_memory);
    }
}

static Property fake_properties[] = {
    DEFINE_PROP_BOOL("keep-all", VcmaFakeVfio, keep_all, false),
    DEFINE_PROP_END_OF_LIST(),
};

static void fake_init(Object *obj)
{
    VcmaFakeVfio *fake = VCMA_FAKE_VFIO(obj);

    fake->attached = true;
    fake->fail_at = UINT64_MAX;
    fake->listener.name = "vcma-fake-vfio";
    fake->listener.region_add = fake_region_add;
    fake->listener.region_del = fake_region_del;
    QTAILQ_INIT(&fake->maps);
}

static void fake_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);

    dc->realize = fake_realize;
    dc->hotpluggable = false;
    device_class_set_props(dc, fake_properties);
    object_class_property_add_bool(oc, "attached", fake_get_attached,
                                   fake_set_attached);
    object_class_property_add(oc, "fail", "uint32", fake_visit_fail,
                              fake_visit_fail, NULL, NULL);
    object_class_property_add(oc, "fail-at", "uint64", fake_visit_fail_at,
                              fake_visit_fail_at, NULL, NULL);
    object_class_property_add(oc, "mapped", "uint64", fake_get_mapped, NULL,
                              NULL, NULL);
    object_class_property_add_str(oc, "record", fake_get_record,
                                  fake_set_record);
}

static const TypeInfo fake_type = {
    .name = TYPE_VCMA_FAKE_VFIO,
    .parent = TYPE_DEVICE,
    .instance_size = sizeof(VcmaFakeVfio),
    .instance_init = fake_init,
    .class_init = fake_class_init,
};

static void fake_register_types(void)
{
    type_register_static(&fake_type);
}

type_init(fake_register_types)
