/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-faults: the device with mistakes in it, so that tests can show that they
 * fail
 *
 * DOC: Theory of operation
 *
 * Part of qemu-test-system-x86_64 only.  The device in it is the very same as
 * in qemu-system-x86_64; the linker leads some calls between its files, and
 * from VFIO to QEMU's core, to the __wrap_ functions here (the graft finds
 * these names and writes the linker's options).  Without VCMA_FAULT in the
 * environment they do what was asked for, and keep the record of
 * vcma-fake-vfio.c.  VCMA_FAULT names the mistake:
 *
 *   early-release   RELEASE is sent before the region is removed
 *   leak            a reference to each lease that is unplugged is kept
 *   no-unmap        VFIO is not told to unmap
 *   late-unregister the region leaves its container before it is disabled, so
 *                   that VFIO does not find the manager when it unregisters
 *   view-copies     a listener's section is copied with its flat view
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "vcma-broker-int.h"
#include "vcma-fake.h"

typedef enum FaultKind {
    FAULT_NONE,
    FAULT_EARLY_RELEASE,
    FAULT_LEAK,
    FAULT_NO_UNMAP,
    FAULT_LATE_UNREGISTER,
    FAULT_VIEW_COPIES,
    FAULT_NR
} FaultKind;

static bool fault_is(FaultKind kind)
{
    static const char *const names[] = {
        "", "early-release", "leak", "no-unmap", "late-unregister",
        "view-copies",
    };
    static FaultKind fault = FAULT_NR;

    QEMU_BUILD_BUG_ON(ARRAY_SIZE(names) != FAULT_NR);
    if (fault == FAULT_NR) {
        const char *name = getenv("VCMA_FAULT") ?: "";

        for (fault = 0; strcmp(names[fault], name); fault++) {
            if (fault + 1 == FAULT_NR) {
                error_report("VCMA_FAULT: there is no '%s'", name);
                exit(1);
            }
        }
    }
    return fault == kind;
}

/* --- RELEASE --- */

/* Leases that were released too early, and not yet again. */
static GHashTable *fault_early;

void __wrap_vcma_broker_release(VcmaBroker *b, uint64_t lease)
{
    if (fault_early && g_hash_table_remove(fault_early, &lease)) {
        b->releases_expected--;
        return;
    }
    vcma_fake_record("release");
    __real_vcma_broker_release(b, lease);
}

static void fault_release_early(VcmaLease *lease)
{
    if (!fault_early) {
        fault_early = g_hash_table_new_full(g_int64_hash, g_int64_equal,
                                            g_free, NULL);
    }
    vcma_broker_expect_release(lease->broker);
    __wrap_vcma_broker_release(lease->broker, lease->id);
    g_hash_table_add(fault_early, g_memdup2(&lease->id, sizeof(lease->id)));
}

void __wrap_vcma_lease_drop(VcmaLease **lease, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (lease[i]->state == VCMA_LEASE_PLUGGED) {
            if (fault_is(FAULT_EARLY_RELEASE)) {
                fault_release_early(lease[i]);
            }
            if (fault_is(FAULT_LEAK)) {
                object_ref(OBJECT(lease[i]));
            }
        }
    }
    __real_vcma_lease_drop(lease, count);
}

/* --- the region --- */

void __wrap_memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    if (!enabled && fault_is(FAULT_LATE_UNREGISTER) &&
        object_dynamic_cast(memory_region_owner(mr), TYPE_VCMA_LEASE)) {
        return;
    }
    __real_memory_region_set_enabled(mr, enabled);
}

/* --- VFIO's listener --- */

static GHashTable *fault_copies;    /* listener -> its section, as copied */

static void fault_discard_nothing(RamDiscardListener *rdl,
                                  MemoryRegionSection *s)
{
}

void __wrap_ram_discard_manager_register_listener(RamDiscardManager *rdm,
                                                  RamDiscardListener *rdl,
                                                  MemoryRegionSection *s)
{
    if (fault_is(FAULT_NO_UNMAP)) {
        rdl->notify_discard = fault_discard_nothing;
    }
    __real_ram_discard_manager_register_listener(rdm, rdl, s);
    if (fault_is(FAULT_VIEW_COPIES)) {
        if (!fault_copies) {
            fault_copies = g_hash_table_new(NULL, NULL);
        }
        g_hash_table_insert(fault_copies, rdl,
                            memory_region_section_new_copy(s));
    }
}

void __wrap_ram_discard_manager_unregister_listener(RamDiscardManager *rdm,
                                                    RamDiscardListener *rdl)
{
    MemoryRegionSection *copy = fault_copies ?
        g_hash_table_lookup(fault_copies, rdl) : NULL;

    __real_ram_discard_manager_unregister_listener(rdm, rdl);
    if (copy) {
        g_hash_table_remove(fault_copies, rdl);
        memory_region_section_free_copy(copy);
    }
}
