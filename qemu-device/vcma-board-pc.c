/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-board: fixed windows of a PC (q35 and i440fx)
 *
 * A window lies in RAM, and is a reserved range of the e820 map, so that
 * firmware and kernel leave it out.  fw_cfg has made its copy of that map when
 * the machine was made, so the file is replaced when the machine is done;
 * firmware reads it later, at each boot.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/i386/e820_memory_layout.h"
#include "hw/i386/pc.h"
#include "hw/nvram/fw_cfg.h"
#include "vcma-board.h"

#define VCMA_PC_LOW_END     (1 * MiB)   /* of what firmware and VGA use */

static bool vcma_pc_check(const VcmaSpec *spec, Error **errp)
{
    X86MachineState *x86ms = X86_MACHINE(qdev_get_machine());
    g_autofree char *low = size_to_str(x86ms->below_4g_mem_size);
    g_autofree char *other = NULL;
    uint64_t last = spec->addr + spec->size - 1;
    VcmaSpan span;

    if (spec->addr < VCMA_PC_LOW_END) {
        vcma_spec_error(spec, errp, "lies in the first MiB, which firmware and "
                        "VGA use; choose an address from 1M on");
        return false;
    }
    span = vcma_board_look(spec->addr, spec->size, &other);
    if (span == VCMA_SPAN_TAKEN) {
        vcma_spec_error(spec, errp, "overlaps %s; choose another address",
                        other);
        return false;
    }
    if (span != VCMA_SPAN_RAM ||
        !(last < x86ms->below_4g_mem_size ||
          (spec->addr >= x86ms->above_4g_mem_start &&
           last - x86ms->above_4g_mem_start < x86ms->above_4g_mem_size))) {
        vcma_spec_error(spec, errp, "is not inside the RAM of this machine, "
                        "which below 4 GiB ends at %s (0x%" PRIx64 "); choose "
                        "a lower address, or give the machine more memory "
                        "(-m)", low, (uint64_t)x86ms->below_4g_mem_size);
        return false;
    }
    return true;
}

static void vcma_pc_reserve(uint64_t addr, uint64_t size)
{
    X86MachineState *x86ms = X86_MACHINE(qdev_get_machine());

    e820_add_entry(addr, size, E820_RESERVED);
    /* The former content was the table, which has moved if it had to. */
    fw_cfg_modify_file(x86ms->fw_cfg, "etc/e820", e820_table,
                       sizeof(struct e820_entry) * e820_get_num_entries());
}

static uint64_t vcma_pc_bar64_limit(const char **ret_why)
{
    uint64_t bits = 0;

    if (first_cpu && object_property_find(OBJECT(first_cpu), "phys-bits")) {
        bits = object_property_get_uint(OBJECT(first_cpu), "phys-bits", NULL);
    }
    if (bits < 34 || bits > 52) {
        bits = 40;
    }
    *ret_why = "half of what the CPU's phys-bits can address";
    /* It is naturally aligned, and RAM comes first. */
    return 1ULL << (bits - 1);
}

const VcmaBoard vcma_board_pc = {
    .machine = TYPE_PC_MACHINE,
    .dma_example = "4M@12M",
    .dma_end = 16 * MiB,
    .check = vcma_pc_check,
    .reserve = vcma_pc_reserve,
    .bar64_limit = vcma_pc_bar64_limit,
};
