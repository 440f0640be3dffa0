/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-window-test.c - several windows, where they are, and their banks
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"
#include "qapi/qmp/qdict.h"

typedef struct Window {
    uint16_t zone;
    uint32_t bar;
    uint64_t offset;
    uint64_t length;
} Window;

static void assert_windows(VcmaDev *d, const Window *want, uint32_t n)
{
    g_assert_cmpuint(d->cfg.num_windows, ==, n);
    for (uint32_t i = 0; i < n; i++) {
        struct virtio_cma_window *w = &d->cfg.window[i];

        g_assert_cmpuint(w->id, ==, i + 1);
        g_assert_cmpuint(w->zone, ==, want[i].zone);
        g_assert_cmphex(w->bar, ==, want[i].bar);
        g_assert_cmphex(w->offset, ==, want[i].offset);
        g_assert_cmphex(w->length, ==, want[i].length);
        g_assert_cmphex(w->flags, ==, want[i].bar == VIRTIO_CMA_BAR_NONE ?
                                      VIRTIO_CMA_WIN_FIXED : 0);
    }
}

static void assert_number(VcmaTest *t, const char *name, uint64_t want)
{
    uint64_t value = vcma_qom_uint(t->qs->qts, "/machine/peripheral/cma0",
                                   name);

    if (value != want) {
        g_error("%s is %" PRIu64 ", not %" PRIu64, name, value, want);
    }
}

/*
 * Every form of every property.  Ids are in the order of the zones and as
 * given; windows lie in a BAR side by side. [V-1], [V-3], [V-60]
 */
static void test_forms(const void *machine)
{
    static const Window want[] = {
        { VIRTIO_CMA_ZONE_NORMAL, 2, 0, MiB_(6) },
        { VIRTIO_CMA_ZONE_NORMAL, 2, MiB_(6), MiB_(10) },
        { VIRTIO_CMA_ZONE_NORMAL, VIRTIO_CMA_BAR_NONE, MiB_(48), MiB_(4) },
        { VIRTIO_CMA_ZONE_DMA32, 0, 0, MiB_(4) },
        { VIRTIO_CMA_ZONE_DMA32, VIRTIO_CMA_BAR_NONE, MiB_(32), MiB_(8) },
        { VIRTIO_CMA_ZONE_DMA32, 0, MiB_(4), MiB_(6) },
        { VIRTIO_CMA_ZONE_DMA, VIRTIO_CMA_BAR_NONE, MiB_(12), MiB_(4) },
        { VIRTIO_CMA_ZONE_DMA, VIRTIO_CMA_BAR_NONE, MiB_(8), MiB_(2) },
        { VIRTIO_CMA_ZONE_HIGHMEM, 2, MiB_(16), MiB_(2) },
    };
    const uint32_t n = G_N_ELEMENTS(want);
    VcmaTest t;

    vcma_test_init_windows(&t, machine,
                           "normal=6M+10M+4M@48M,dma32=4M+8M@0x2000000+6M:"
                           "bank=0,dma=4M@12M+2097152@8M,highmem=2M");
    assert_windows(t.d, want, n);
    g_assert_cmphex(t.d->features & 0xffffff, ==,
                    1 << VIRTIO_CMA_F_CLIENT_TABLE | 1 << VIRTIO_CMA_F_FIXED);
    g_assert_cmpuint(t.d->cfg.lease_max, ==, MiB_(8));

    /* Each is a place of its own. */
    for (uint32_t i = 0; i < n; i++) {
        uint64_t last = want[i].length - VCMA_GRANULE;

        if (want[i].bar == VIRTIO_CMA_BAR_NONE) {
            g_assert_cmpuint(vcma_confirm(t.d, i + 1), ==, VIRTIO_CMA_S_OK);
        }
        g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, i + 1, last,
                                    VCMA_GRANULE), ==, VIRTIO_CMA_S_OK);
        g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[i] + last), ==, 0);
        qtest_writeq(t.qs->qts, t.d->base[i] + last, i + 1);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t end = want[i].length;

        g_assert_cmphex(qtest_readq(t.qs->qts,
                                    t.d->base[i] + end - VCMA_GRANULE), ==,
                        i + 1);
        if (end > VCMA_GRANULE) {
            g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[i]), ==, ~0ull);
        }
    }
    /* A BAR is a power of two, and nothing is behind its last window. */
    g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[0] + MiB_(18)), ==, ~0ull);
    qtest_writeq(t.qs->qts, t.d->base[0] + MiB_(18), 1);
    g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[0] + MiB_(18)), ==, ~0ull);

    assert_number(&t, "leases", n);
    assert_number(&t, "normal-leases", 3);
    assert_number(&t, "dma32-bytes", 3 * VCMA_GRANULE);
    assert_number(&t, "dma-leases", 2);
    assert_number(&t, "dma-bytes", 2 * VCMA_GRANULE);
    assert_number(&t, "highmem-leases", 1);
    assert_number(&t, "highmem-bytes", VCMA_GRANULE);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, n);
    assert_number(&t, "leases", 0);
    vcma_test_fini(&t);
}

/* Each property alone: the other BAR is not there. */
static void test_alone(void)
{
    static const struct {
        const char *windows;
        Window want;
    } one[] = {
        { "normal=2M", { VIRTIO_CMA_ZONE_NORMAL, 2, 0, MiB_(2) } },
        { "dma32=6M", { VIRTIO_CMA_ZONE_DMA32, 0, 0, MiB_(6) } },
        { "highmem=4M", { VIRTIO_CMA_ZONE_HIGHMEM, 2, 0, MiB_(4) } },
        { "dma=4M@12M", { VIRTIO_CMA_ZONE_DMA, VIRTIO_CMA_BAR_NONE, MiB_(12),
                          MiB_(4) } },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(one); i++) {
        VcmaTest t;

        vcma_test_init_windows(&t, "q35", one[i].windows);
        assert_windows(t.d, &one[i].want, 1);
        if (one[i].want.bar != 0) {
            g_assert_cmphex(qpci_config_readl(t.d->pci->pdev, 0x10), ==, 0);
        }
        if (one[i].want.bar != 2) {
            g_assert_cmphex(qpci_config_readl(t.d->pci->pdev, 0x18), ==, 0);
        }
        if (one[i].want.bar == VIRTIO_CMA_BAR_NONE) {
            g_assert_cmpuint(vcma_confirm(t.d, 1), ==, VIRTIO_CMA_S_OK);
        }
        g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
        g_assert_cmphex(vcma_peek(t.d, 0), ==, 0);
        vcma_test_fini(&t);
    }
}

/* The most there can be; vcma-place-test has one more. */
static void test_sixteen(void)
{
    VcmaTest t;

    vcma_test_init_windows(&t, "q35", "normal=2M+2M+2M+2M+2M+2M+2M+2M,"
                           "dma32=2M+2M+2M+2M+2M+2M+2M+2M");
    g_assert_cmpuint(t.d->cfg.num_windows, ==, VIRTIO_CMA_WINDOWS_MAX);
    for (uint32_t i = 1; i <= VIRTIO_CMA_WINDOWS_MAX; i++) {
        g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, i, 0,
                                    VCMA_GRANULE), ==, VIRTIO_CMA_S_OK);
        qtest_writeq(t.qs->qts, t.d->base[i - 1], i);
    }
    for (uint32_t i = 1; i <= VIRTIO_CMA_WINDOWS_MAX; i++) {
        g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[i - 1]), ==, i);
    }
    vcma_test_fini(&t);
}

/* --- banks --- */

/* Alpha has memory of a second pool as bank 1. */
#define BANK_CONF \
    "[pool side]\nbacking=memfd\nsize=32M\nchunk=2M\n" \
    "[vm alpha]\npool=main\nlimit=16M\n" \
    "[bank alpha 1]\npool=side\nlimit=4M\n"

/* Leases of each window come from its bank, and count there. [V-65] */
static void test_banks(void)
{
    VcmaTest t;

    vcma_test_boot(&t, BANK_CONF, "q35",
                   "normal=16M+16M:bank=1,dma=2M@14M:bank=1", NULL);
    g_assert_cmphex(t.d->features & 0xffffff, ==,
                    1 << VIRTIO_CMA_F_CLIENT_TABLE | 1 << VIRTIO_CMA_F_FIXED |
                    1 << VIRTIO_CMA_F_BANKS);
    g_assert_cmpuint(t.d->cfg.window[0].bank, ==, 0);
    g_assert_cmpuint(t.d->cfg.window[1].bank, ==, 1);
    g_assert_cmpuint(t.d->cfg.window[2].bank, ==, 1);
    vcma_dev_start(t.d);
    g_assert_cmpuint(vcma_confirm(t.d, 3), ==, VIRTIO_CMA_S_OK);

    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_op_bank_leases(t.b, "alpha", 0), ==, 1);
    g_assert_cmpuint(vcma_op_bank_leases(t.b, "alpha", 1), ==, 0);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, MiB_(2)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 3, 0, MiB_(2)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_op_bank_leases(t.b, "alpha", 0), ==, 1);
    g_assert_cmpuint(vcma_op_bank_leases(t.b, "alpha", 1), ==, 2);

    /* Bank 1 is full, bank 0 is not. */
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, MiB_(4), MiB_(2)),
                     ==, VIRTIO_CMA_S_OVER_LIMIT);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(4), MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 4);
    vcma_test_fini(&t);
}

/* A driver that does not know of banks gets the main pool's memory only. */
static void test_banks_not_negotiated(void)
{
    VcmaTest t;

    vcma_test_boot(&t, BANK_CONF, "q35", "normal=16M+16M:bank=1", NULL);
    t.d->accept &= ~(1ull << VIRTIO_CMA_F_BANKS);
    vcma_dev_start(t.d);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, MiB_(2)), ==,
                     VIRTIO_CMA_S_UNSUPPORTED);
    vcma_assert_said(&t, "has not negotiated the feature");
    /* What is wrong in any case comes first. [V-14] */
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, 4096), ==,
                     VIRTIO_CMA_S_INVALID);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/* vcmad comes late, and has no such bank for this VM. [V-22] */
static void test_banks_denied(void)
{
    VcmaTest t = { .b = vcma_broker_prepare(NULL) };
    gint64 deadline = vcma_deadline();
    g_autofree char *args = g_strdup_printf(
        "-object vcma-broker,id=b0,path=%s/alpha.sock,wait=off,reconnect-ms=20 "
        "-device virtio-cma-pci,id=cma0,broker=b0,normal=16M+16M:bank=2,"
        "addr=04.0", t.b->dir);

    t.qs = vcma_boot(t.b, args);
    t.d = vcma_dev_probe(t.qs, QPCI_DEVFN(4, 0));
    vcma_dev_start(t.d);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, MiB_(2)), ==,
                     VIRTIO_CMA_S_BROKER_AWAY);
    vcma_broker_start(t.b);
    while (vcma_plug_retry(t.d, 0, MiB_(2)) == VIRTIO_CMA_S_BROKER_AWAY) {
        vcma_nap(deadline, "the connection to the broker that came late");
    }
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, MiB_(2)), ==,
                     VIRTIO_CMA_S_DENIED);
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 1);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("vcma/window/forms/q35", "q35", test_forms);
    qtest_add_data_func("vcma/window/forms/pc", "pc", test_forms);
    qtest_add_func("vcma/window/alone", test_alone);
    qtest_add_func("vcma/window/sixteen", test_sixteen);
    qtest_add_func("vcma/window/banks", test_banks);
    qtest_add_func("vcma/window/banks-not-negotiated",
                   test_banks_not_negotiated);
    qtest_add_func("vcma/window/banks-denied", test_banks_denied);
    return g_test_run();
}
