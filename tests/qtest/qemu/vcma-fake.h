/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-fake: what only qemu-test-system-x86_64 has
 */
#ifndef TESTS_QTEST_QEMU_VCMA_FAKE_H
#define TESTS_QTEST_QEMU_VCMA_FAKE_H

#include "exec/memory.h"
#include "vcma-lease.h"

/* Something has happened; tests read the lines in their order. */
void G_GNUC_PRINTF(1, 2) vcma_fake_record(const char *fmt, ...);

/* --- what the linker leads elsewhere: vcma-faults.c --- */

void __real_vcma_broker_release(VcmaBroker *b, uint64_t lease);
void __wrap_vcma_broker_release(VcmaBroker *b, uint64_t lease);
void __real_vcma_lease_drop(VcmaLease **lease, unsigned int count);
void __wrap_vcma_lease_drop(VcmaLease **lease, unsigned int count);
void __real_memory_region_set_enabled(MemoryRegion *mr, bool enabled);
void __wrap_memory_region_set_enabled(MemoryRegion *mr, bool enabled);
void __real_ram_discard_manager_register_listener(RamDiscardManager *rdm,
                                                  RamDiscardListener *rdl,
                                                  MemoryRegionSection *s);
void __wrap_ram_discard_manager_register_listener(RamDiscardManager *rdm,
                                                  RamDiscardListener *rdl,
                                                  MemoryRegionSection *s);
void __real_ram_discard_manager_unregister_listener(RamDiscardManager *rdm,
                                                    RamDiscardListener *rdl);
void __wrap_ram_discard_manager_unregister_listener(RamDiscardManager *rdm,
                                                    RamDiscardListener *rdl);

#endif /* TESTS_QTEST_QEMU_VCMA_FAKE_H */
