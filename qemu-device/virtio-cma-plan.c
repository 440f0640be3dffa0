/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma: which windows there are, and where
 *
 * DOC: Theory of operation
 *
 * There is a property for each zone, a list of windows.  A window with an
 * address is fixed (vcma-fixed.c).  All others lie side by side in two BARs, in
 * the order in which they are given: those of dma32 in a 32-bit BAR, those of
 * normal and then of highmem in a 64-bit prefetchable one.  A BAR is the next
 * power of two; behind its last window it reads all ones.  A window of zone DMA
 * is always fixed: no firmware puts a BAR so low.
 *
 * Ids count from 1, in the order normal, dma32, dma, highmem and as they are
 * given, so the same command line has the same ids, always.
 *
 * Everything is checked before anything is made, so that a mistake is found
 * when QEMU starts, and not by a guest.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qemu/range.h"
#include "qemu/units.h"
#include "sysemu/kvm.h"
#include "vcma-board.h"
#include "virtio-cma.h"

#define VIRTIO_CMA_LEASES_LIMIT     4096
#define VIRTIO_CMA_SLOTS_SPARE      64  /* of KVM, for the rest of the VM */
#define VIRTIO_CMA_LEASE_SIZE       (32 * MiB)
#define VIRTIO_CMA_GRANULE          (2 * MiB)   /* if nobody says otherwise */
/*
 * Of the hole below 4 GiB, about 1 GiB on a PC and 768 MiB on 'virt'.  With a
 * BAR of 512 MiB behind a root port SeaBIOS finds no room and stops, and on
 * 'virt' there is none at a multiple of 512 MiB.
 */
#define VIRTIO_CMA_BAR32_LIMIT      (256 * MiB)

const VirtIOCMAZone virtio_cma_zones[VIRTIO_CMA_NR_ZONES] = {
    { "normal", VIRTIO_CMA_ZONE_NORMAL, VIRTIO_CMA_BAR64 },
    { "dma32", VIRTIO_CMA_ZONE_DMA32, VIRTIO_CMA_BAR32 },
    { "dma", VIRTIO_CMA_ZONE_DMA, VIRTIO_CMA_NR_BARS },
    { "highmem", VIRTIO_CMA_ZONE_HIGHMEM, VIRTIO_CMA_BAR64 },
};

static const VirtIOCMAZone *virtio_cma_zone(uint16_t zone)
{
    unsigned int i;

    for (i = 0; virtio_cma_zones[i].zone != zone; i++) {
        assert(i + 1 < VIRTIO_CMA_NR_ZONES);
    }
    return &virtio_cma_zones[i];
}

/* --- checks --- */

static bool virtio_cma_check_granule(VirtIOCMA *s, Error **errp)
{
    const struct vcma_client_info *info = vcma_broker_info(s->broker);
    g_autofree char *granule = NULL;

    if (info && s->granule && s->granule != info->granule_size) {
        granule = size_to_str(info->granule_size);
        error_setg(errp, "property 'granule': pool '%s' has granules of %s; "
                   "leave the property out", info->pool, granule);
        return false;
    }
    if (!s->granule) {
        s->granule = info ? info->granule_size : VIRTIO_CMA_GRANULE;
    }
    if (!is_power_of_2(s->granule) ||
        s->granule < qemu_real_host_page_size()) {
        granule = size_to_str(s->granule);
        error_setg(errp, "property 'granule': %s is not a power of two of at "
                   "least a page; set it to the granule size of the pool",
                   granule);
        return false;
    }
    return true;
}

/* What concerns a window by itself, wherever it is. */
static bool virtio_cma_check_window(VirtIOCMA *s, const VcmaSpec *spec,
                                    Error **errp)
{
    const struct vcma_client_info *info = vcma_broker_info(s->broker);
    g_autofree char *granule = size_to_str(s->granule);

    if (!spec->size) {
        vcma_spec_error(spec, errp, "has no bytes; use at least the pool's "
                        "granule, %s, or leave it out", granule);
        return false;
    }
    if (spec->size % s->granule) {
        vcma_spec_error(spec, errp, "is not a multiple of the pool's granule; "
                        "use a multiple of %s", granule);
        return false;
    }
    if (info && !vcma_broker_has_bank(s->broker, spec->bank)) {
        vcma_spec_error(spec, errp, "needs bank %u, and vcmad gives VM '%s' "
                        "no such bank; add a group [bank %s %u] to vcmad.conf",
                        spec->bank, info->vm, info->vm, spec->bank);
        return false;
    }
    return true;
}

static bool virtio_cma_check_fixed(VirtIOCMA *s, const VcmaSpec *spec,
                                   Error **errp)
{
    const VcmaBoard *board = vcma_board();
    g_autofree char *granule = size_to_str(s->granule);
    uint64_t end;

    if (!board) {
        vcma_spec_error(spec, errp, "is fixed, which is for the machines q35, "
                        "pc and virt; leave '@' and the address out");
        return false;
    }
    if (DEVICE(s)->hotplugged) {
        vcma_spec_error(spec, errp, "is fixed, and firmware and kernel learn "
                        "of it only when they start; put the device on QEMU's "
                        "command line instead of hot-plugging it");
        return false;
    }
    if (spec->addr % s->granule) {
        vcma_spec_error(spec, errp, "begins within a granule; choose an "
                        "address that is a multiple of %s", granule);
        return false;
    }
    if (uadd64_overflow(spec->addr, spec->size, &end)) {
        vcma_spec_error(spec, errp, "ends beyond 2^64; choose a lower address");
        return false;
    }
    if (spec->zone == VIRTIO_CMA_ZONE_DMA && end > board->dma_end) {
        g_autofree char *top = size_to_str(board->dma_end);

        vcma_spec_error(spec, errp, "ends above %s, where a DMA window of this "
                        "machine has to end; use for instance dma=%s, or "
                        "property 'dma32'", top, board->dma_example);
        return false;
    }
    if (spec->zone == VIRTIO_CMA_ZONE_DMA32 && end > 4 * GiB) {
        vcma_spec_error(spec, errp, "ends above 4 GiB; choose a lower address, "
                        "or property 'normal'");
        return false;
    }
    return board->check(spec, errp);
}

static bool virtio_cma_check_apart(const VcmaSpecs *specs, unsigned int n,
                                   Error **errp)
{
    const VcmaSpec *a = &specs->spec[n], *b;

    for (b = specs->spec; b < a; b++) {
        if (b->fixed &&
            ranges_overlap(a->addr, a->size, b->addr, b->size)) {
            vcma_spec_error(a, errp, "overlaps window '%s' of property '%s'; "
                            "choose another address", b->text, b->prop);
            return false;
        }
    }
    return true;
}

static bool virtio_cma_check_bar(const char *bar, uint64_t size,
                                 const VcmaSpec *spec, uint64_t limit,
                                 const char *why, Error **errp)
{
    g_autofree char *max = size_to_str(limit);

    if (size <= limit) {
        return true;
    }
    vcma_spec_error(spec, errp, "makes the %s-bit BAR too large for this "
                    "machine; use at most %s for all windows in it (%s)", bar,
                    max, why);
    return false;
}

/* Places all windows that are not fixed in their BARs. */
static bool virtio_cma_check_bars(const VcmaSpecs *specs, Error **errp)
{
    const VcmaBoard *board = vcma_board();
    uint64_t size[VIRTIO_CMA_NR_BARS] = { 0 };
    const char *why = "this machine is not known";
    uint64_t limit64 = board ? board->bar64_limit(&why) :
                               VIRTIO_CMA_BAR32_LIMIT;
    unsigned int i;

    for (i = 0; i < specs->nr; i++) {
        const VcmaSpec *spec = &specs->spec[i];
        unsigned int bar = virtio_cma_zone(spec->zone)->bar;

        if (spec->fixed) {
            continue;
        }
        if (bar == VIRTIO_CMA_NR_BARS) {
            vcma_spec_error(spec, errp, "has no address, and a BAR never lies "
                            "so low; write SIZE@ADDR, for instance %s=%s",
                            spec->prop, board ? board->dma_example : "4M@12M");
            return false;
        }
        if (uadd64_overflow(size[bar], spec->size, &size[bar])) {
            size[bar] = UINT64_MAX;
        }
        if (bar == VIRTIO_CMA_BAR32 ?
            !virtio_cma_check_bar("32", size[bar], spec, VIRTIO_CMA_BAR32_LIMIT,
                                  "32-bit BARs share the hole below 4 GiB",
                                  errp) :
            !virtio_cma_check_bar("64", size[bar], spec, limit64, why, errp)) {
            return false;
        }
    }
    return true;
}

static bool virtio_cma_check_leases(VirtIOCMA *s, const VcmaSpecs *specs,
                                    Error **errp)
{
    const struct vcma_client_info *info = vcma_broker_info(s->broker);
    g_autofree char *granule = size_to_str(s->granule);
    uint64_t largest = 0, fds;
    unsigned int i, spare = VIRTIO_CMA_SLOTS_SPARE;
    bool banks = false;

    for (i = 0; i < specs->nr; i++) {
        largest = MAX(largest, pow2floor(specs->spec[i].size));
        banks |= specs->spec[i].bank;
        /* It cuts main RAM in two, and has RAM of its own. */
        spare += specs->spec[i].fixed ? 2 : 0;
    }
    if (!s->max_leases || s->max_leases > VIRTIO_CMA_LEASES_LIMIT) {
        error_setg(errp, "property 'max-leases' has to be from 1 to %d",
                   VIRTIO_CMA_LEASES_LIMIT);
        return false;
    }
    if (kvm_enabled() && s->max_leases + spare > kvm_get_max_memslots()) {
        error_setg(errp, "property 'max-leases': KVM has %d memory slots on "
                   "this host; use at most %d", kvm_get_max_memslots(),
                   kvm_get_max_memslots() - (int)spare);
        return false;
    }

    /* vcmad tells what is possible in the main pool only. */
    s->lease_max = info && !banks ? MIN(info->lease_max, largest) : largest;
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

bool virtio_cma_plan(VirtIOCMA *s, VcmaSpecs *specs, Error **errp)
{
    unsigned int i;

    for (i = 0; i < VIRTIO_CMA_NR_ZONES; i++) {
        const VirtIOCMAZone *zone = &virtio_cma_zones[i];

        if (s->zone_text[i] &&
            !vcma_specs_parse(specs, zone->name, zone->zone, s->zone_text[i],
                              errp)) {
            return false;
        }
    }
    if (!specs->nr) {
        error_setg(errp, "virtio-cma has no window; set property 'normal', "
                   "'dma32', 'dma' or 'highmem', or several of them, to the "
                   "size of one");
        return false;
    }
    if (!virtio_cma_check_granule(s, errp)) {
        return false;
    }
    for (i = 0; i < specs->nr; i++) {
        if (!virtio_cma_check_window(s, &specs->spec[i], errp) ||
            (specs->spec[i].fixed &&
             (!virtio_cma_check_fixed(s, &specs->spec[i], errp) ||
              !virtio_cma_check_apart(specs, i, errp)))) {
            return false;
        }
    }
    return virtio_cma_check_bars(specs, errp) &&
           virtio_cma_check_leases(s, specs, errp);
}

/* --- making them --- */

static void virtio_cma_make_bars(VirtIOCMA *s)
{
    unsigned int i;

    for (i = 0; i < VIRTIO_CMA_NR_BARS; i++) {
        VirtIOCMABar *bar = &s->bar[i];
        g_autofree char *name = g_strdup_printf("virtio-cma-bar%d",
                                                virtio_cma_bar_nr(i));

        if (bar->size) {
            uint64_t size = pow2ceil(bar->size);

            memory_region_init(&bar->mr, OBJECT(s), name, size);
            vcma_empty_init(&bar->rest, OBJECT(s), size);
            memory_region_add_subregion_overlap(&bar->mr, 0, &bar->rest,
                                                INT_MIN);
        }
    }
}

static bool virtio_cma_make_window(VirtIOCMA *s, const VcmaSpec *spec,
                                   unsigned int nr_in_zone,
                                   const VcmaWindowOps *ops, Error **errp)
{
    const VirtIOCMAZone *zone = virtio_cma_zone(spec->zone);
    g_autofree char *name = nr_in_zone > 1 ?
        g_strdup_printf("%s-window-%u", zone->name, nr_in_zone) :
        g_strdup_printf("%s-window", zone->name);
    VcmaWindowDesc desc = {
        .name = name,
        .id = s->nr_windows + 1,
        .zone = spec->zone,
        .bank = spec->bank,
        .flags = spec->fixed ? VIRTIO_CMA_WIN_FIXED : 0,
        .bar = VIRTIO_CMA_BAR_NONE,
        .place = spec->addr,
        .size = spec->size,
        .granule = s->granule,
        .ops = ops,
        .opaque = s,
    };
    VcmaWindow *w;

    if (!spec->fixed) {
        desc.bar = virtio_cma_bar_nr(zone->bar);
        desc.place = s->bar[zone->bar].size;
        s->bar[zone->bar].size += spec->size;
    }
    w = vcma_window_new(OBJECT(s), &desc, errp);
    if (!w) {
        return false;
    }
    s->window[s->nr_windows++] = w;
    return true;
}

bool virtio_cma_make_windows(VirtIOCMA *s, const VcmaSpecs *specs,
                             const VcmaWindowOps *ops, Error **errp)
{
    unsigned int i, in_zone = 0;

    for (i = 0; i < specs->nr; i++) {
        in_zone = i && specs->spec[i].zone == specs->spec[i - 1].zone ?
                  in_zone + 1 : 1;
        if (!virtio_cma_make_window(s, &specs->spec[i], in_zone, ops, errp)) {
            virtio_cma_retire_windows(s);
            return false;
        }
    }

    /* From here on nothing fails. */
    virtio_cma_make_bars(s);
    for (i = 0; i < s->nr_windows; i++) {
        VcmaWindow *w = s->window[i];

        if (vcma_window_is_fixed(w)) {
            vcma_fixed_map(w);
        } else {
            unsigned int bar = virtio_cma_zone(w->zone)->bar;

            memory_region_add_subregion(&s->bar[bar].mr, w->place, &w->mr);
        }
    }
    return true;
}

void virtio_cma_retire_windows(VirtIOCMA *s)
{
    while (s->nr_windows) {
        vcma_window_retire(s->window[--s->nr_windows]);
        s->window[s->nr_windows] = NULL;
    }
}
