/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-board: fixed windows of Arm's 'virt'
 *
 * RAM begins at 1 GiB there.  Below it are 16 MiB that the memory map leaves
 * free, between the secure memory and the PCI windows: a window there is a
 * memory node of its own that is disabled, as QEMU's secure memory is, because
 * it would be no memory without the window.  A window in RAM is a node below
 * /reserved-memory.  Both are for kernels that get the device tree from QEMU;
 * an UEFI firmware with ACPI tables does not tell the kernel of them.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/units.h"
#include "hw/arm/virt.h"
#include "hw/boards.h"
#include "sysemu/device_tree.h"
#include "vcma-board.h"
#include <libfdt.h>

/* The hole of the memory map. */
static uint64_t vcma_virt_hole(const VirtMachineState *vms, uint64_t *ret_end)
{
    const MemMapEntry *below = &vms->memmap[VIRT_SECURE_MEM];

    *ret_end = vms->memmap[VIRT_PCIE_MMIO].base;
    return below->base + below->size;
}

static bool vcma_virt_in_ram(const VirtMachineState *vms, uint64_t addr,
                             uint64_t size)
{
    uint64_t base = vms->memmap[VIRT_MEM].base;

    return addr >= base && addr - base < MACHINE(vms)->ram_size &&
           size <= MACHINE(vms)->ram_size - (addr - base);
}

static bool vcma_virt_check(const VcmaSpec *spec, Error **errp)
{
    VirtMachineState *vms = VIRT_MACHINE(qdev_get_machine());
    MachineState *ms = MACHINE(vms);
    uint64_t hole_end, hole = vcma_virt_hole(vms, &hole_end);
    g_autofree char *other = NULL;
    VcmaSpan span = vcma_board_look(spec->addr, spec->size, &other);

    if (spec->addr < 16 * MiB) {
        vcma_spec_error(spec, errp, "needs memory below 16 MiB, and this "
                        "machine has flash there: devices with 24 address "
                        "lines cannot be served; for 28 lines and more use "
                        "dma=%s", vcma_board_virt.dma_example);
        return false;
    }
    if (span == VCMA_SPAN_TAKEN) {
        vcma_spec_error(spec, errp, "overlaps %s; choose another address",
                        other);
        return false;
    }
    if (span == VCMA_SPAN_EMPTY && spec->addr >= hole &&
        spec->addr + spec->size <= hole_end) {
        return true;
    }
    if (span != VCMA_SPAN_RAM ||
        !vcma_virt_in_ram(vms, spec->addr, spec->size)) {
        vcma_spec_error(spec, errp, "is neither in the hole of the memory map "
                        "(0x%" PRIx64 " to 0x%" PRIx64 ") nor in RAM (0x%"
                        PRIx64 " to 0x%" PRIx64 "); choose an address there, "
                        "or give the machine more memory (-m)",
                        hole, hole_end - 1,
                        (uint64_t)vms->memmap[VIRT_MEM].base,
                        (uint64_t)vms->memmap[VIRT_MEM].base + ms->ram_size -
                        1);
        return false;
    }
    if (ms->dtb) {
        vcma_spec_error(spec, errp, "lies in RAM, of which a device tree from "
                        "a file (-dtb) does not take it out; leave -dtb away, "
                        "or use the hole of the memory map (0x%" PRIx64 ")",
                        hole);
        return false;
    }
    return true;
}

static void vcma_virt_reserve(uint64_t addr, uint64_t size)
{
    VirtMachineState *vms = VIRT_MACHINE(qdev_get_machine());
    void *fdt = MACHINE(vms)->fdt;
    bool in_ram = vcma_virt_in_ram(vms, addr, size);
    const char *parent = in_ram ? "/reserved-memory" : "";
    /* Not "memory": boot.c drops such nodes and makes its own. */
    g_autofree char *node = g_strdup_printf("%s/vcma-window@%" PRIx64, parent,
                                            addr);

    if (in_ram && fdt_path_offset(fdt, parent) < 0) {
        qemu_fdt_add_subnode(fdt, parent);
        qemu_fdt_setprop_cell(fdt, parent, "#address-cells", 2);
        qemu_fdt_setprop_cell(fdt, parent, "#size-cells", 2);
        qemu_fdt_setprop(fdt, parent, "ranges", NULL, 0);
    }
    qemu_fdt_add_subnode(fdt, node);
    qemu_fdt_setprop_string(fdt, node, "compatible", "vcma,fixed-window");
    qemu_fdt_setprop_sized_cells(fdt, node, "reg", 2, addr, 2, size);
    if (in_ram) {
        qemu_fdt_setprop(fdt, node, "no-map", NULL, 0);
    } else {
        qemu_fdt_setprop_string(fdt, node, "device_type", "memory");
        qemu_fdt_setprop_string(fdt, node, "status", "disabled");
    }
}

static uint64_t vcma_virt_bar64_limit(const char **ret_why)
{
    VirtMachineState *vms = VIRT_MACHINE(qdev_get_machine());

    if (!vms->highmem_mmio) {
        *ret_why = "without a high PCI window, which takes highmem=on and a "
                   "CPU with 40 address bits, all BARs are below 1 GiB";
        return 256 * MiB;
    }
    *ret_why = "half of the machine's high PCI window, which other BARs are "
               "in, too";
    return vms->memmap[VIRT_HIGH_PCIE_MMIO].size / 2;
}

const VcmaBoard vcma_board_virt = {
    .machine = TYPE_VIRT_MACHINE,
    .dma_example = "16M@0x0f000000",
    .dma_end = 256 * MiB,
    .check = vcma_virt_check,
    .reserve = vcma_virt_reserve,
    .bar64_limit = vcma_virt_bar64_limit,
};
