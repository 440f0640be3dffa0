/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-board: what virtio-cma has to know of the machine
 */
#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/boards.h"
#include "vcma-board.h"
#include "vcma-window.h"
#include CONFIG_DEVICES

static const VcmaBoard *const vcma_boards[] = {
#ifdef CONFIG_PC
    &vcma_board_pc,
#endif
#ifdef CONFIG_ARM_VIRT
    &vcma_board_virt,
#endif
    NULL
};

const VcmaBoard *vcma_board(void)
{
    unsigned int i;

    for (i = 0; vcma_boards[i]; i++) {
        if (object_dynamic_cast(qdev_get_machine(), vcma_boards[i]->machine)) {
            return vcma_boards[i];
        }
    }
    return NULL;
}

static bool vcma_is_plain_ram(MemoryRegion *mr)
{
    return memory_region_is_ram(mr) && !memory_region_is_rom(mr) &&
           !memory_region_is_ram_device(mr);
}

VcmaSpan vcma_board_look(uint64_t addr, uint64_t size, char **ret_name)
{
    uint64_t at = addr, ram = 0;

    *ret_name = NULL;
    while (at - addr < size) {
        MemoryRegionSection sec = memory_region_find(get_system_memory(), at,
                                                     size - (at - addr));
        uint64_t len = int128_get64(sec.size);

        if (!sec.mr) {
            break;
        }
        if (sec.mr->owner &&
            object_dynamic_cast(sec.mr->owner, TYPE_VCMA_WINDOW)) {
            *ret_name = g_strdup("a window of another virtio-cma device");
        } else if (!vcma_is_plain_ram(sec.mr)) {
            *ret_name = g_strdup_printf("'%s'", memory_region_name(sec.mr));
        }
        at = sec.offset_within_address_space + len;
        ram += len;
        memory_region_unref(sec.mr);
        if (*ret_name) {
            return VCMA_SPAN_TAKEN;
        }
    }
    return !ram ? VCMA_SPAN_EMPTY :
           ram == size ? VCMA_SPAN_RAM : VCMA_SPAN_PARTLY;
}
