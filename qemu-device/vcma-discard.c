/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-discard: whose IOMMU a lease is mapped in
 *
 * DOC: Theory of operation
 *
 * VFIO maps every RAM region of the guest for DMA when the region enters the
 * memory map, and ends QEMU if it cannot.  A region with a RamDiscardManager is
 * another matter: then VFIO registers a listener with the manager, once for
 * each of its containers, is told when there is something to map, and may say
 * no.  This is the manager of one lease.  A lease comes and goes as a whole, so
 * there is one bit of state, and one map for each container: the granularity is
 * the size of the lease, a power of two.
 *
 * In:  the region is added to its window with nothing populated, so VFIO
 *      registers and maps nothing.  Then vcma_discard_populate() tells one
 *      listener after the other.  If one objects, those before it are told of
 *      a discard (the one that objects has cleaned up by itself), the region
 *      leaves the window, and the guest gets an answer.
 * Out: vcma_discard_depopulate() has all listeners unmap.  Then the region is
 *      disabled, and on commit VFIO comes to unregister.  It finds the manager
 *      through memory_region_get_ram_discard_manager(), which up to QEMU 10
 *      denies that a region without a container has one.  So the region leaves
 *      its container only after that commit.
 *
 * Two more things go through the same door.  A VFIO device that is plugged in
 * while there are leases, or a window that is moved, registers for a lease that
 * is populated, and has to be served at once.  If that fails nobody can be
 * refused: the lease is reported (@failed), and the guest is told [V-64].  And
 * the end of a VFIO device unregisters, and is told of a discard first.
 *
 * A listener is told of a discard only if it had been told to populate.  What a
 * listener covers is copied without the flat view that the section came with: a
 * view keeps all regions in it, so the copy of lease A's section would keep
 * lease B from going back to vcmad for as long as A stays (virtio-mem, with its
 * one region, can afford that).  The copy does not even hold its own region:
 * the region's lease owns this manager.
 *
 * This file is all that QEMU 10.1 and later would have otherwise: there the
 * callbacks of both replays return int and have one type, and setting a manager
 * can fail.
 */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qemu/module.h"
#include "vcma-discard.h"
#include "trace.h"

/* A listener, and what it has. */
struct VcmaDiscardUser {
    RamDiscardListener *listener;
    MemoryRegionSection section;    /* without a flat view, no reference */
    bool populated;
    QTAILQ_ENTRY(VcmaDiscardUser) next;
};

/* --- telling the listeners --- */

static int vcma_discard_tell_populate(VcmaDiscardUser *user)
{
    MemoryRegionSection section = user->section;
    int ret = user->listener->notify_populate(user->listener, &section);

    trace_vcma_discard_populate(user->listener,
                                section.offset_within_address_space,
                                int128_get64(section.size), ret);
    user->populated = !ret;
    return ret;
}

static void vcma_discard_tell_discard(VcmaDiscardUser *user)
{
    MemoryRegionSection section = user->section;

    if (!user->populated) {
        return;
    }
    trace_vcma_discard_discard(user->listener,
                               section.offset_within_address_space,
                               int128_get64(section.size));
    user->populated = false;
    user->listener->notify_discard(user->listener, &section);
}

int vcma_discard_populate(VcmaDiscard *d)
{
    VcmaDiscardUser *user;
    int ret;

    assert(!d->populated);
    QTAILQ_FOREACH(user, &d->users, next) {
        ret = vcma_discard_tell_populate(user);
        if (ret) {
            vcma_discard_depopulate(d);
            return ret;
        }
    }
    d->populated = true;
    return 0;
}

void vcma_discard_depopulate(VcmaDiscard *d)
{
    VcmaDiscardUser *user;

    d->populated = false;
    QTAILQ_FOREACH(user, &d->users, next) {
        vcma_discard_tell_discard(user);
    }
}

bool vcma_discard_is_used(const VcmaDiscard *d)
{
    return !QTAILQ_EMPTY(&d->users);
}

char *vcma_discard_why(int err)
{
    struct rlimit limit;
    g_autofree char *lock = NULL;

    switch (err) {
    case -ENOMEM:
        if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
            limit.rlim_cur == RLIM_INFINITY) {
            return g_strdup("the host has no memory for it");
        }
        return g_strdup_printf(
            "QEMU may lock %" PRIu64 " bytes of memory (RLIMIT_MEMLOCK), and "
            "VFIO locks the VM's RAM and its leases, once for each container; "
            "raise the limit (ulimit -l, prlimit --memlock, LimitMEMLOCK= of a "
            "systemd unit, <hard_limit> in libvirt's <memtune>), or the VM's "
            "limit in vcmad.conf is too high for it",
            (uint64_t)limit.rlim_cur);
    case -ENOSPC:
        return g_strdup("VFIO has no mapping left; use larger leases (property "
                        "'lease-size'), or raise the parameter dma_entry_limit "
                        "of the host's module vfio_iommu_type1");
    case -EINVAL:
        return g_strdup("its IOMMU does not reach that guest address; give the "
                        "window another place (property 'dma32', or an address "
                        "that the host's IOMMU can express)");
    default:
        return g_strdup("see VFIO's own message");
    }
}

/* --- RamDiscardManager --- */

/* A section of ours as it is kept, and passed on. */
static MemoryRegionSection vcma_discard_section(const VcmaDiscard *d,
                                                const MemoryRegionSection *s)
{
    MemoryRegionSection section = *s;

    assert(s->mr == d->mr);
    section.fv = NULL;
    return section;
}

static uint64_t vcma_discard_get_granularity(const RamDiscardManager *rdm,
                                             const MemoryRegion *mr)
{
    return VCMA_DISCARD(rdm)->size;
}

static bool vcma_discard_is_populated(const RamDiscardManager *rdm,
                                      const MemoryRegionSection *s)
{
    const VcmaDiscard *d = VCMA_DISCARD(rdm);
    uint64_t size = int128_get64(s->size);

    return d->populated && s->offset_within_region <= d->size &&
           size <= d->size - s->offset_within_region;
}

static int vcma_discard_replay_populated(const RamDiscardManager *rdm,
                                         MemoryRegionSection *s,
                                         ReplayRamPopulate fn, void *opaque)
{
    const VcmaDiscard *d = VCMA_DISCARD(rdm);
    MemoryRegionSection section = vcma_discard_section(d, s);

    return d->populated ? fn(&section, opaque) : 0;
}

static void vcma_discard_replay_discarded(const RamDiscardManager *rdm,
                                          MemoryRegionSection *s,
                                          ReplayRamDiscard fn, void *opaque)
{
    const VcmaDiscard *d = VCMA_DISCARD(rdm);
    MemoryRegionSection section = vcma_discard_section(d, s);

    if (!d->populated) {
        fn(&section, opaque);
    }
}

static void vcma_discard_register(RamDiscardManager *rdm,
                                  RamDiscardListener *listener,
                                  MemoryRegionSection *s)
{
    VcmaDiscard *d = VCMA_DISCARD(rdm);
    VcmaDiscardUser *user = g_new0(VcmaDiscardUser, 1);
    int ret;

    user->listener = listener;
    user->section = vcma_discard_section(d, s);
    listener->section = &user->section;
    QTAILQ_INSERT_TAIL(&d->users, user, next);
    trace_vcma_discard_register(listener, s->offset_within_address_space,
                                int128_get64(s->size), d->populated);
    if (d->populated) {
        ret = vcma_discard_tell_populate(user);
        if (ret) {
            d->failed(d, ret);
        }
    }
}

static void vcma_discard_unregister(RamDiscardManager *rdm,
                                    RamDiscardListener *listener)
{
    VcmaDiscard *d = VCMA_DISCARD(rdm);
    VcmaDiscardUser *user;

    QTAILQ_FOREACH(user, &d->users, next) {
        if (user->listener == listener) {
            break;
        }
    }
    assert(user);
    vcma_discard_tell_discard(user);
    trace_vcma_discard_unregister(listener);
    listener->section = NULL;
    QTAILQ_REMOVE(&d->users, user, next);
    g_free(user);
}

/* --- life --- */

void vcma_discard_attach(VcmaDiscard *d, MemoryRegion *mr,
                         VcmaDiscardFunc *failed)
{
    d->mr = mr;
    d->size = memory_region_size(mr);
    d->failed = failed;
    memory_region_set_ram_discard_manager(mr, RAM_DISCARD_MANAGER(d));
}

static void vcma_discard_init(Object *obj)
{
    QTAILQ_INIT(&VCMA_DISCARD(obj)->users);
}

static void vcma_discard_finalize(Object *obj)
{
    assert(!vcma_discard_is_used(VCMA_DISCARD(obj)));
}

static void vcma_discard_class_init(ObjectClass *oc, void *data)
{
    RamDiscardManagerClass *rdmc = RAM_DISCARD_MANAGER_CLASS(oc);

    rdmc->get_min_granularity = vcma_discard_get_granularity;
    rdmc->is_populated = vcma_discard_is_populated;
    rdmc->replay_populated = vcma_discard_replay_populated;
    rdmc->replay_discarded = vcma_discard_replay_discarded;
    rdmc->register_listener = vcma_discard_register;
    rdmc->unregister_listener = vcma_discard_unregister;
}

static const TypeInfo vcma_discard_type = {
    .name = TYPE_VCMA_DISCARD,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(VcmaDiscard),
    .instance_init = vcma_discard_init,
    .instance_finalize = vcma_discard_finalize,
    .class_init = vcma_discard_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_RAM_DISCARD_MANAGER },
        { }
    },
};

static void vcma_discard_register_types(void)
{
    type_register_static(&vcma_discard_type);
}

type_init(vcma_discard_register_types)
