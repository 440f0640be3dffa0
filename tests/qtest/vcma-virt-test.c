/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-virt-test.c - windows on Arm's 'virt'
 *
 * The program under test is the qemu-system-aarch64 beside QTEST_QEMU_BINARY.
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "libqos/generic-pcihost.h"
#include "qemu/bswap.h"
#include <libfdt.h>

#define RAM     0x40000000ull
#define RAM_END 0x60000000ull
#define HOLE    0x0f000000ull
#define IN_RAM  0x50000000ull
#define SIZE    MiB_(4)

/* --- the machine --- */

static void virt_alloc_init(QGuestAllocator *alloc, QTestState *qts,
                            QAllocOpts flags)
{
    /* The device tree is at the beginning of RAM. */
    alloc_init(alloc, flags, RAM + MiB_(16), RAM_END, 4096);
}

static QPCIBus *virt_pci_new(QTestState *qts, QGuestAllocator *alloc)
{
    QGenericPCIBus *pci = g_new0(QGenericPCIBus, 1);

    qpci_init_generic(pci, qts, alloc, false);
    return &pci->bus;
}

static void virt_pci_free(QPCIBus *bus)
{
    g_free(container_of(bus, QGenericPCIBus, bus));
}

static QOSOps virt_ops = {
    .alloc_init = virt_alloc_init,
    .qpci_new = virt_pci_new,
    .qpci_free = virt_pci_free,
    .shutdown = qtest_common_shutdown,
};

/* --- windows --- */

static void assert_filled(VcmaTest *t, uint64_t at, uint64_t value)
{
    g_assert_cmphex(qtest_readq(t->qs->qts, at), ==, value);
    g_assert_cmphex(qtest_readq(t->qs->qts, at + MiB_(2) - 8), ==, value);
    g_assert_cmphex(qtest_readq(t->qs->qts, at + MiB_(2)), ==, value);
    g_assert_cmphex(qtest_readq(t->qs->qts, at + SIZE - 8), ==, value);
}

static void fill(VcmaTest *t, uint64_t at, uint64_t value)
{
    qtest_writeq(t->qs->qts, at, value);
    qtest_writeq(t->qs->qts, at + MiB_(2) - 8, value);
    qtest_writeq(t->qs->qts, at + MiB_(2), value);
    qtest_writeq(t->qs->qts, at + SIZE - 8, value);
}

/* RAM, all ones, a lease, and RAM again, in the hole and in RAM. [V-60] */
static void test_life(const void *machine)
{
    VcmaTest t;

    vcma_test_init_windows(&t, machine,
                           "normal=16M,dma32=8M+4M@0x50000000,"
                           "dma=4M@0x0f000000");
    g_assert_cmpuint(t.d->cfg.num_windows, ==, 4);
    g_assert_cmphex(t.d->cfg.window[2].offset, ==, IN_RAM);
    g_assert_cmphex(t.d->cfg.window[3].offset, ==, HOLE);
    g_assert_cmpuint(t.d->cfg.window[3].zone, ==, VIRTIO_CMA_ZONE_DMA);
    qtest_writeq(t.qs->qts, IN_RAM - 8, 0x1234);
    qtest_writeq(t.qs->qts, IN_RAM + SIZE, 0x5678);

    for (uint32_t id = 3; id <= 4; id++) {
        uint64_t at = t.d->base[id - 1];

        fill(&t, at, 0x5a5a);
        assert_filled(&t, at, 0x5a5a);
        g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, id, 0, SIZE), ==,
                         VIRTIO_CMA_S_INVALID);
        vcma_assert_said(&t, "send CONFIRM");
        g_assert_cmpuint(vcma_confirm(t.d, id), ==, VIRTIO_CMA_S_OK);
        assert_filled(&t, at, ~0ull);
        g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, id, 0, SIZE), ==,
                         VIRTIO_CMA_S_OK);
        assert_filled(&t, at, 0);
        fill(&t, at, id);
    }
    assert_filled(&t, HOLE, 4);
    assert_filled(&t, IN_RAM, 3);
    g_assert_cmphex(qtest_readq(t.qs->qts, IN_RAM - 8), ==, 0x1234);
    g_assert_cmphex(qtest_readq(t.qs->qts, IN_RAM + SIZE), ==, 0x5678);

    /* The BARs are windows as elsewhere. */
    for (uint32_t id = 1; id <= 2; id++) {
        uint64_t at = t.d->base[id - 1];

        assert_filled(&t, at, ~0ull);
        g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, id, 0, SIZE), ==,
                         VIRTIO_CMA_S_OK);
        assert_filled(&t, at, 0);
        fill(&t, at, id);
        assert_filled(&t, at, id);
    }

    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    assert_filled(&t, HOLE, ~0ull);
    assert_filled(&t, IN_RAM, ~0ull);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 4, 0, SIZE), ==,
                     VIRTIO_CMA_S_INVALID);

    vcma_system_reset(&t);
    assert_filled(&t, HOLE, 0x5a5a);
    assert_filled(&t, IN_RAM, 0x5a5a);
    vcma_op_wait_leases(t.b, "alpha", 0);
    vcma_test_fini(&t);
}

/* --- the device tree --- */

/* What QEMU has put into memory for the kernel. */
static void *read_tree(VcmaTest *t)
{
    uint32_t size = be32_to_cpu(qtest_readl(t->qs->qts, RAM + 4));
    void *fdt;

    g_assert_cmpuint(size, >, 1000);
    g_assert_cmpuint(size, <=, MiB_(2));
    fdt = g_malloc(size);
    qtest_bufread(t->qs->qts, RAM, fdt, size);
    g_assert_cmpint(fdt_check_header(fdt), ==, 0);
    return fdt;
}

static void assert_node(const void *fdt, const char *path, uint64_t addr,
                        uint64_t size)
{
    int node = fdt_path_offset(fdt, path), len;
    const fdt64_t *reg;

    if (node < 0) {
        g_error("there is no node %s", path);
    }
    g_assert_cmpint(fdt_node_check_compatible(fdt, node, "vcma,fixed-window"),
                    ==, 0);
    reg = fdt_getprop(fdt, node, "reg", &len);
    g_assert_cmpint(len, ==, 16);
    g_assert_cmphex(fdt64_to_cpu(reg[0]), ==, addr);
    g_assert_cmphex(fdt64_to_cpu(reg[1]), ==, size);
}

static const char *string(const void *fdt, const char *path, const char *name)
{
    return fdt_getprop(fdt, fdt_path_offset(fdt, path), name, NULL);
}

static bool has(const void *fdt, const char *path, const char *name)
{
    return fdt_getprop(fdt, fdt_path_offset(fdt, path), name, NULL);
}

/* [V-67] */
static void test_tree(void)
{
    static const char hole[] = "/vcma-window@f000000";
    static const char *const in_ram[] = {
        "/reserved-memory/vcma-window@50000000",
        "/reserved-memory/vcma-window@58000000",
    };
    g_autofree void *fdt = NULL;
    const fdt32_t *cells;
    VcmaTest t;

    vcma_test_boot(&t, NULL, NULL, "normal=16M,dma32=4M@0x50000000+"
                   "64M@0x58000000,dma=16M@0x0f000000", NULL);
    fdt = read_tree(&t);
    assert_node(fdt, hole, HOLE, MiB_(16));
    g_assert_cmpstr(string(fdt, hole, "device_type"), ==, "memory");
    g_assert_cmpstr(string(fdt, hole, "status"), ==, "disabled");
    g_assert_false(has(fdt, hole, "no-map"));

    assert_node(fdt, in_ram[0], 0x50000000, MiB_(4));
    assert_node(fdt, in_ram[1], 0x58000000, MiB_(64));
    for (int i = 0; i < 2; i++) {
        g_assert_true(has(fdt, in_ram[i], "no-map"));
        g_assert_false(has(fdt, in_ram[i], "device_type"));
        g_assert_false(has(fdt, in_ram[i], "status"));
    }
    g_assert_true(has(fdt, "/reserved-memory", "ranges"));
    cells = fdt_getprop(fdt, fdt_path_offset(fdt, "/reserved-memory"),
                        "#address-cells", NULL);
    g_assert_cmpuint(fdt32_to_cpu(*cells), ==, 2);
    cells = fdt_getprop(fdt, fdt_path_offset(fdt, "/reserved-memory"),
                        "#size-cells", NULL);
    g_assert_cmpuint(fdt32_to_cpu(*cells), ==, 2);
    /* Main memory is as always. */
    g_assert_cmpint(fdt_path_offset(fdt, "/memory@40000000"), >=, 0);
    vcma_test_fini(&t);
}

/* Without a fixed window the tree has nothing of ours. */
static void test_tree_plain(void)
{
    g_autofree void *fdt = NULL;
    VcmaTest t;

    vcma_test_boot(&t, NULL, NULL, "normal=16M,dma32=16M", NULL);
    fdt = read_tree(&t);
    g_assert_cmpint(fdt_node_offset_by_compatible(fdt, -1, "vcma,fixed-window"),
                    ==, -FDT_ERR_NOTFOUND);
    g_assert_cmpint(fdt_path_offset(fdt, "/reserved-memory"), ==,
                    -FDT_ERR_NOTFOUND);
    vcma_test_fini(&t);
}

/* --- refusals --- */

static void test_place(void)
{
    static const struct {
        const char *windows;
        const char *cause;
        const char *cure;
    } bad[] = {
        { "dma=4M", "'4M' has no address", "dma=16M@0x0f000000" },
        { "dma=4M@12M", "has flash there: devices with 24 address lines cannot "
          "be served", "dma=16M@0x0f000000" },
        { "dma=4M@128M", "overlaps 'gic_dist'", "another address" },
        { "dma=16M@0x09000000", "overlaps 'pl011'", "another address" },
        { "dma=4M@32M", "overlaps 'virt.flash0'", "another address" },
        { "dma=16M@0x0e000000", "is neither in the hole", "0xf000000 to" },
        { "dma=32M@0x0f000000", "ends above 256 MiB", "dma=16M@0x0f000000" },
        { "dma=4M@0x50000000", "ends above 256 MiB", "'dma32'" },
        { "dma32=4M@0x10000000", "overlaps 'gpex_mmio_window'",
          "another address" },
        { "dma32=4M@0x5fe00000", "is neither in the hole", "-m" },
        { "dma32=4M@0x60000000", "is neither in the hole", "-m" },
        { "dma=4M@0x0f000000,dma32=8M@0x0f000000", "overlaps window",
          "another address" },
        { "dma32=512M", "32-bit BAR too large", "256 MiB" },
        { "normal=512G", "64-bit BAR too large", "256 GiB" },
        { "dma32=4M@0x50000000 -dtb /dev/null", "-dtb", "leave -dtb away" },
        { "normal=512M -M highmem=off", "64-bit BAR too large", "highmem=on" },
    };
    VcmaBroker *b = vcma_broker_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *args = g_strdup_printf(
            "-object vcma-broker,id=b0,path=%s/alpha.sock "
            "-device virtio-cma-pci,broker=b0,%s", b->dir, bad[i].windows);

        vcma_qemu_refuses(args, bad[i].cause, bad[i].cure);
    }
    vcma_broker_free(b);
}

/* Runs the program for Arm that lies beside the one for PCs. */
static bool find_qemu(void)
{
    const char *pc = g_getenv("QTEST_QEMU_BINARY");
    g_autofree char *dir = g_path_get_dirname(pc ?: "");
    g_autofree char *arm = g_build_filename(dir, "qemu-system-aarch64", NULL);

    return g_file_test(arm, G_FILE_TEST_IS_EXECUTABLE) &&
           g_setenv("QTEST_QEMU_BINARY", arm, true);
}

static void test_no_qemu(void)
{
    g_test_skip("there is no qemu-system-aarch64 beside QTEST_QEMU_BINARY");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vcma_machine = (VcmaMachine) {
        .args = "-M virt -cpu cortex-a57 -m 512M",
        .ops = &virt_ops,
        .bar64 = 0x8000000000ull,
    };
    if (!find_qemu()) {
        g_test_add_func("/vcma/virt", test_no_qemu);
        return g_test_run();
    }
    qtest_add_data_func("vcma/virt/life/plain", NULL, test_life);
    qtest_add_data_func("vcma/virt/life/secure", "virt,secure=on", test_life);
    qtest_add_func("vcma/virt/tree", test_tree);
    qtest_add_func("vcma/virt/tree-plain", test_tree_plain);
    qtest_add_func("vcma/virt/place", test_place);
    return g_test_run();
}
