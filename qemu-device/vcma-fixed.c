/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-fixed: windows at fixed guest-physical addresses
 *
 * DOC: Theory of operation
 *
 * A fixed window lies where the machine has its RAM (or a hole), because
 * devices with few address lines, and caches that are told of RAM only, reach
 * nothing else.  The machine tells firmware and kernel to leave it out
 * (vcma-board.c), but they may not listen, and boot loaders use it before any
 * of that: so it is RAM until a driver has proved that its kernel does not use
 * it, and sends CONFIRM [V-60].
 *
 * The window's container is in the machine's memory, above main RAM.  In it
 * are, from the bottom: the region that reads all ones, a RAM of the window's
 * own, and leases.  The RAM is there from the start, although main RAM would do
 * until CONFIRM: a hole in main RAM that comes and goes would split its
 * section, and VFIO would unmap and map all low memory while devices use it.
 * CONFIRM switches the RAM off as a whole; from then on only leases come and
 * go.  It is on again at the next system reset, and by then all leases are
 * gone.  The machine writes its ROM images and kernels to memory in a reset
 * handler that is registered when all devices are there, so after ours: they
 * find RAM.
 *
 * What is said to firmware and kernel cannot be taken back, so the window must
 * not come or go while the machine runs.  A device with one is not hot-plugged,
 * and device_del is refused.  A guest may eject it, though: then the window
 * stays behind without a device, as RAM or all ones, and is RAM at a reset.
 *
 * The RAM is migrated by its name, which has its address.  Whether it is
 * switched off is not: the device blocks migration meanwhile.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "migration/vmstate.h"
#include "sysemu/reset.h"
#include "sysemu/sysemu.h"
#include "vcma-board.h"
#include "vcma-window.h"
#include "trace.h"

#define VCMA_FIXED_PRIORITY 1   /* in the machine's memory; RAM has 0 */

/* Of a window that has lost its device; else the device calls. */
static void vcma_fixed_on_reset(void *opaque)
{
    VcmaWindow *w = opaque;

    if (w->retired) {
        vcma_fixed_reset(w);
    }
}

static void vcma_fixed_machine_done(Notifier *notifier, void *data)
{
    VcmaWindow *w = container_of(notifier, VcmaWindow, machine_done);

    /*
     * On 'virt' this is before the device tree is finished: notifiers are
     * called in reverse order, and the machine's own is older.
     */
    vcma_board()->reserve(w->place, w->size);
}

bool vcma_fixed_init(VcmaWindow *w, Error **errp)
{
    g_autofree char *name = g_strdup_printf("vcma-ram@0x%" PRIx64, w->place);
    Error *err = NULL;

    memory_region_init_ram_nomigrate(&w->ram, OBJECT(w), name, w->size, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    memory_region_add_subregion_overlap(&w->mr, 0, &w->ram, INT_MIN + 1);
    return true;
}

void vcma_fixed_map(VcmaWindow *w)
{
    vmstate_register_ram_global(&w->ram);
    memory_region_add_subregion_overlap(get_system_memory(), w->place, &w->mr,
                                        VCMA_FIXED_PRIORITY);
    w->mapped = true;
    qemu_register_reset(vcma_fixed_on_reset, w);
    w->machine_done.notify = vcma_fixed_machine_done;
    qemu_add_machine_init_done_notifier(&w->machine_done);
    trace_vcma_fixed_map(w->id, w->place, w->size);
}

static void vcma_fixed_switch(VcmaWindow *w, bool on)
{
    if (w->ram.enabled != on) {
        trace_vcma_fixed_switch(w->id, w->place, on);
        memory_region_set_enabled(&w->ram, on);
    }
}

void vcma_fixed_confirm(VcmaWindow *w)
{
    w->confirmed = true;
    vcma_fixed_switch(w, false);
}

void vcma_fixed_forget_driver(VcmaWindow *w)
{
    w->confirmed = false;
}

void vcma_fixed_reset(VcmaWindow *w)
{
    w->confirmed = false;
    vcma_fixed_switch(w, true);
}

bool vcma_fixed_is_ram(const VcmaWindow *w)
{
    return w->ram.enabled;
}
