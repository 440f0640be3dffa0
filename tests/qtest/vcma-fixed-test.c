/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-fixed-test.c - a window that is RAM until CONFIRM, on PCs
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "libqos/fw_cfg.h"
#include "qapi/qmp/qdict.h"
#include "qemu/bswap.h"

#define AT      MiB_(12)
#define SIZE    MiB_(4)
#define E820_RESERVED   2

/* A pattern of this many bytes, at the window's ends and somewhere inside. */
#define LEN     8192

static const uint64_t spots[] = { 0, MiB_(2) - LEN / 2, SIZE - LEN };

static void fill(VcmaTest *t, uint8_t byte)
{
    for (size_t i = 0; i < G_N_ELEMENTS(spots); i++) {
        qtest_memset(t->qs->qts, AT + spots[i], byte, LEN);
    }
}

static void assert_is(VcmaTest *t, uint8_t byte)
{
    for (size_t i = 0; i < G_N_ELEMENTS(spots); i++) {
        uint8_t buf[LEN];

        qtest_bufread(t->qs->qts, AT + spots[i], buf, LEN);
        for (size_t j = 0; j < LEN; j++) {
            g_assert_cmphex(buf[j], ==, byte);
        }
    }
}

/* Main RAM on both sides is what it was. */
static void mark_around(VcmaTest *t)
{
    qtest_writeq(t->qs->qts, AT - 8, 0x1234);
    qtest_writeq(t->qs->qts, AT + SIZE, 0x5678);
}

static void assert_around(VcmaTest *t)
{
    g_assert_cmphex(qtest_readq(t->qs->qts, AT - 8), ==, 0x1234);
    g_assert_cmphex(qtest_readq(t->qs->qts, AT + SIZE), ==, 0x5678);
}

static void init(VcmaTest *t)
{
    vcma_test_init_windows(t, "q35", "dma=4M@12M,normal=16M");
    g_assert_cmpuint(t->d->cfg.window[1].zone, ==, VIRTIO_CMA_ZONE_DMA);
}

static uint16_t plug(VcmaTest *t, uint64_t offset, uint64_t size)
{
    return vcma_call1(t->d, VIRTIO_CMA_REQ_PLUG, 2, offset, size);
}

static uint16_t plug_retry(VcmaTest *t, uint64_t offset, uint64_t size)
{
    gint64 deadline = vcma_deadline();
    uint16_t status;

    while ((status = plug(t, offset, size)) == VIRTIO_CMA_S_TRY_LATER) {
        vcma_nap(deadline, "PLUG to say something else than TRY_LATER");
    }
    return status;
}

/* RAM, then all ones, then leases. [V-4], [V-60] */
static void test_life(const void *machine)
{
    VcmaTest t;

    vcma_test_init_windows(&t, machine, "dma=4M@12M,normal=16M");
    mark_around(&t);
    fill(&t, 0x5a);
    assert_is(&t, 0x5a);
    g_assert_cmpuint(plug(&t, 0, MiB_(2)), ==, VIRTIO_CMA_S_INVALID);
    vcma_assert_said(&t, "send CONFIRM");
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 0);
    assert_is(&t, 0x5a);
    /* A window in a BAR waits for nothing. */
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);

    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    assert_is(&t, 0xff);
    fill(&t, 0x11);
    assert_is(&t, 0xff);
    assert_around(&t);

    g_assert_cmpuint(plug(&t, MiB_(2), MiB_(2)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(qtest_readq(t.qs->qts, AT + MiB_(2)), ==, 0);
    g_assert_cmphex(qtest_readq(t.qs->qts, AT + SIZE - 8), ==, 0);
    g_assert_cmphex(qtest_readq(t.qs->qts, AT + MiB_(2) - 8), ==, ~0ull);
    qtest_writeq(t.qs->qts, AT + SIZE - 8, 0x9abc);
    g_assert_cmphex(qtest_readq(t.qs->qts, AT + SIZE - 8), ==, 0x9abc);
    assert_around(&t);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_UNPLUG, 2, MiB_(2),
                                MiB_(2)), ==, VIRTIO_CMA_S_OK);
    assert_is(&t, 0xff);
    assert_around(&t);

    g_assert_cmpuint(plug_retry(&t, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    assert_is(&t, 0);
    fill(&t, 0x77);
    assert_is(&t, 0x77);
    assert_around(&t);
    vcma_test_fini(&t);
}

/* Where RAM above 4 GiB begins. */
static void test_high(void)
{
    const uint64_t at = 1ull << 32;
    VcmaTest t;

    vcma_test_boot(&t, NULL, "q35", "normal=4M@4G", "-m 4G");
    vcma_dev_start(t.d);
    g_assert_cmphex(t.d->base[0], ==, at);
    qtest_writeq(t.qs->qts, at, 0x5a5a);
    g_assert_cmphex(qtest_readq(t.qs->qts, at), ==, 0x5a5a);
    g_assert_cmpuint(vcma_confirm(t.d, 1), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(qtest_readq(t.qs->qts, at), ==, ~0ull);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(qtest_readq(t.qs->qts, at), ==, 0);
    vcma_system_reset(&t);
    g_assert_cmphex(qtest_readq(t.qs->qts, at), ==, 0x5a5a);
    vcma_test_fini(&t);
}

/* --- the driver --- */

/* Whatever CONFIRM is for, it is for exactly one whole window. [V-66] */
static void test_bad_confirm(void)
{
    static const struct {
        uint32_t window;
        uint64_t offset;
        uint64_t size;
        const char *said;
    } bad[] = {
        { 2, 0, MiB_(2), "not the whole window;" },
        { 2, MiB_(2), MiB_(2), "not the whole window;" },
        { 2, 0, MiB_(8), "beyond the window's end;" },
        { 2, 0, 0, "size is 0;" },
        { 2, 0, SIZE - 1, "multiples of the granule;" },
        { 2, MiB_(4), -MiB_(4), "beyond 2^64;" },
        { 2, AT, SIZE, "beyond the window's end;" },
        { 1, 0, MiB_(16), "not fixed;" },
        { 0, 0, SIZE, "no such window;" },
        { 3, 0, SIZE, "no such window;" },
        { ~0u, 0, SIZE, "no such window;" },
    };
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_CONFIRM, .num_ranges = 2 };
    VcmaReply reply;
    VcmaTest t;

    init(&t);
    fill(&t, 0x5a);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_CONFIRM, bad[i].window,
                                    bad[i].offset, bad[i].size), ==,
                         VIRTIO_CMA_S_INVALID);
        vcma_assert_said(&t, bad[i].said);
    }
    vcma_range(&req.range[0], 2, 0, SIZE);
    vcma_range(&req.range[1], 2, 0, SIZE);
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_INVALID);
    req.num_ranges = 0;
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_INVALID);
    req.num_ranges = 1;
    req.range[0].reserved = 1;
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_INVALID);
    assert_is(&t, 0x5a);
    g_assert_cmpuint(plug(&t, 0, MiB_(2)), ==, VIRTIO_CMA_S_INVALID);

    /* Twice is once, also over a lease. */
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(plug(&t, 0, SIZE), ==, VIRTIO_CMA_S_OK);
    fill(&t, 0x33);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    assert_is(&t, 0x33);
    vcma_test_fini(&t);
}

/* A driver that does not know of fixed windows leaves RAM alone. */
static void test_not_negotiated(void)
{
    VcmaTest t;

    vcma_test_boot(&t, NULL, "q35", "dma=4M@12M,normal=16M", NULL);
    g_assert_cmphex(t.d->features & 0xffffff, ==,
                    1 << VIRTIO_CMA_F_CLIENT_TABLE | 1 << VIRTIO_CMA_F_FIXED);
    t.d->accept &= ~(1ull << VIRTIO_CMA_F_FIXED);
    vcma_dev_start(t.d);
    g_assert_cmpuint(t.d->cfg.num_windows, ==, 2);
    fill(&t, 0x5a);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_UNSUPPORTED);
    g_assert_cmpuint(plug(&t, 0, MiB_(2)), ==, VIRTIO_CMA_S_UNSUPPORTED);
    vcma_assert_said(&t, "has not negotiated the feature");
    assert_is(&t, 0x5a);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);

    /* The next one does know. */
    vcma_dev_reset(t.d);
    t.d->accept |= 1ull << VIRTIO_CMA_F_FIXED;
    vcma_dev_start(t.d);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(plug(&t, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/*
 * A confirmation ends with the driver; the RAM does not come back before a
 * system reset. [V-31], [V-60]
 */
static void test_new_driver(void)
{
    VcmaTest t;

    init(&t);
    fill(&t, 0x5a);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(plug(&t, 0, SIZE), ==, VIRTIO_CMA_S_OK);
    fill(&t, 0x33);
    vcma_dev_reset(t.d);
    assert_is(&t, 0x33);
    vcma_dev_start(t.d);
    assert_is(&t, 0xff);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(plug(&t, 0, SIZE), ==, VIRTIO_CMA_S_INVALID);
    vcma_assert_said(&t, "send CONFIRM");
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(plug_retry(&t, 0, SIZE), ==, VIRTIO_CMA_S_OK);
    assert_is(&t, 0);
    vcma_test_fini(&t);
}

/* --- the machine --- */

/* RAM is back with its content, and can be taken over again. [V-32], [V-60] */
static void test_system_reset(const void *machine)
{
    VcmaTest t;

    vcma_test_init_windows(&t, machine, "dma=4M@12M,normal=16M");
    mark_around(&t);
    fill(&t, 0x5a);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
        if (i != 1) {
            g_assert_cmpuint(plug_retry(&t, 0, SIZE), ==, VIRTIO_CMA_S_OK);
            fill(&t, 0x33);
        }
        vcma_system_reset(&t);
        assert_is(&t, 0x5a);
        assert_around(&t);
        vcma_op_wait_leases(t.b, "alpha", 0);
        vcma_dev_start(t.d);
        g_assert_cmpuint(plug(&t, 0, SIZE), ==, VIRTIO_CMA_S_INVALID);
        assert_is(&t, 0x5a);
    }
    vcma_test_fini(&t);
}

/*
 * What the machine puts into memory at a reset is there after it, although a
 * lease was in its place.
 */
static void test_rom_blob(void)
{
    VcmaBroker *dir = vcma_broker_prepare(NULL);
    g_autofree char *blob = g_build_filename(dir->dir, "blob", NULL);
    g_autofree char *extra = g_strdup_printf(
        "-device loader,file=%s,addr=0xc00000,force-raw=on", blob);
    g_autofree char *content = g_malloc(LEN);
    VcmaTest t;

    memset(content, 0x42, LEN);
    g_assert_true(g_file_set_contents(blob, content, LEN, NULL));
    vcma_test_boot(&t, NULL, "q35", "dma=4M@12M,normal=16M", extra);
    vcma_dev_start(t.d);
    for (int i = 0; i < 2; i++) {
        g_assert_cmphex(qtest_readq(t.qs->qts, AT), ==, 0x4242424242424242ull);
        fill(&t, 0x5a);
        g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
        g_assert_cmpuint(plug_retry(&t, 0, SIZE), ==, VIRTIO_CMA_S_OK);
        vcma_system_reset(&t);
        vcma_dev_start(t.d);
        g_assert_cmphex(qtest_readq(t.qs->qts, AT + LEN - 8), ==,
                        0x4242424242424242ull);
        g_assert_cmphex(qtest_readq(t.qs->qts, AT + SIZE - 8), ==,
                        0x5a5a5a5a5a5a5a5aull);
    }
    vcma_test_fini(&t);
    vcma_broker_free(dir);
}

/* S3 keeps memory, so the window stays the driver's. [V-32] */
static void test_suspend(void)
{
    VcmaTest t;

    init(&t);
    fill(&t, 0x5a);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(plug(&t, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    qtest_writeq(t.qs->qts, AT, 0x77);
    vcma_suspend(&t);
    vcma_wakeup(&t);
    g_assert_cmphex(qtest_readq(t.qs->qts, AT), ==, 0x77);
    g_assert_cmphex(qtest_readq(t.qs->qts, AT + SIZE - 8), ==, ~0ull);
    vcma_suspend(&t);
    vcma_system_reset(&t);
    assert_is(&t, 0x5a);
    vcma_op_wait_leases(t.b, "alpha", 0);
    vcma_test_fini(&t);
}

/* [V-34] */
static void test_migration(void)
{
    g_autofree char *why = NULL;
    VcmaTest t;

    init(&t);
    g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
    why = vcma_migrate_error(t.qs->qts);
    g_assert_nonnull(why);
    g_test_message("%s", why);
    g_assert_nonnull(strstr(why, "fixed window"));
    g_assert_nonnull(strstr(why, "reset"));
    /* A lease comes and goes: it is the RAM that is missing. */
    g_assert_cmpuint(plug(&t, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 1);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_free(why);
    why = vcma_migrate_error(t.qs->qts);
    g_assert_nonnull(why);
    g_free(why);

    vcma_system_reset(&t);
    vcma_dev_start(t.d);
    fill(&t, 0x5a);
    why = vcma_migrate_error(t.qs->qts);
    g_assert_null(why);
    vcma_test_fini(&t);
}

/* The RAM that a guest has there goes along, to the same command line. */
static void test_migrate_ram(void)
{
    g_autofree char *state = NULL;
    g_autofree char *save = NULL;
    g_autofree char *load = NULL;
    gint64 deadline = vcma_deadline();
    bool done = false;
    VcmaTest t;

    init(&t);
    fill(&t, 0x5a);
    state = g_strdup_printf("%s/state", t.b->dir);
    save = g_strdup_printf("exec:cat >%s", state);
    qtest_qmp_assert_success(t.qs->qts, "{ 'execute': 'migrate', 'arguments': "
                             "{ 'uri': %s } }", save);
    qtest_qmp_eventwait(t.qs->qts, "STOP");
    while (!done) {
        QDict *r = qtest_qmp(t.qs->qts, "{ 'execute': 'query-migrate' }");

        done = !g_strcmp0(qdict_get_try_str(qdict_get_qdict(r, "return"),
                                            "status"), "completed");
        qobject_unref(r);
        vcma_nap(deadline, "the migration to end");
    }
    vcma_dev_free(t.d);
    t.d = NULL;
    qtest_shutdown(t.qs);

    load = g_strdup_printf(
        "-object vcma-broker,id=b0,path=%s/alpha.sock -device virtio-cma-pci,"
        "id=cma0,broker=b0,addr=04.0,dma=4M@12M,normal=16M "
        "-incoming 'exec:cat %s'", t.b->dir, state);
    t.qs = vcma_boot(t.b, load);
    for (done = false; !done;) {
        QDict *r = qtest_qmp(t.qs->qts, "{ 'execute': 'query-status' }");

        done = qdict_get_bool(qdict_get_qdict(r, "return"), "running");
        qobject_unref(r);
        vcma_nap(deadline, "the VM to run again");
    }
    assert_is(&t, 0x5a);
    vcma_test_fini(&t);
}

/* --- what firmware and people are told --- */

static void assert_reserved(VcmaTest *t, uint64_t addr, uint64_t size)
{
    struct {
        uint64_t addr;
        uint64_t size;
        uint32_t type;
    } QEMU_PACKED e820[64];
    QFWCFG *fw = pc_fw_cfg_init(t->qs->qts);
    size_t len = qfw_cfg_get_file(fw, "etc/e820", e820, sizeof(e820));
    unsigned int found = 0, ram = 0;

    g_assert_cmpuint(len % sizeof(e820[0]), ==, 0);
    for (size_t i = 0; i < len / sizeof(e820[0]); i++) {
        if (le32_to_cpu(e820[i].type) == E820_RESERVED &&
            le64_to_cpu(e820[i].addr) == addr &&
            le64_to_cpu(e820[i].size) == size) {
            found++;
            /* What comes later counts, for SeaBIOS and for Linux. */
            g_assert_cmpuint(ram, ==, 1);
        }
        ram += le32_to_cpu(e820[i].type) == 1;
    }
    g_assert_cmpuint(found, ==, 1);
    pc_fw_cfg_uninit(fw);
}

/* [V-67] */
static void test_e820(const void *machine)
{
    g_autofree char *extra = NULL;
    VcmaTest t = { .b = vcma_broker_new(NULL) };
    g_autofree char *args = g_strdup_printf(
        "-M %s -object vcma-broker,id=b0,path=%s/alpha.sock "
        "-object vcma-broker,id=b1,path=%s/beta.sock "
        "-device virtio-cma-pci,broker=b0,addr=04.0,dma=4M@12M,dma32=8M@32M "
        "-device virtio-cma-pci,broker=b1,addr=05.0,dma=2M@8M+2M@4M",
        (const char *)machine, t.b->dir, t.b->dir);

    t.qs = vcma_boot(t.b, args);
    for (int i = 0; i < 2; i++) {
        assert_reserved(&t, MiB_(12), MiB_(4));
        assert_reserved(&t, MiB_(32), MiB_(8));
        assert_reserved(&t, MiB_(8), MiB_(2));
        assert_reserved(&t, MiB_(4), MiB_(2));
        vcma_system_reset(&t);
    }
    vcma_test_fini(&t);
}

static void test_mtree(void)
{
    g_autofree char *tree = NULL;
    VcmaTest t;

    init(&t);
    tree = vcma_hmp(t.qs->qts, "info mtree");
    g_assert_nonnull(strstr(tree, "0000000000c00000-0000000000ffffff (prio 1, "
                                  "i/o): vcma-dma-window"));
    g_assert_nonnull(strstr(tree, "vcma-ram@0xc00000"));
    g_assert_nonnull(strstr(tree, "vcma-normal-window"));
    g_assert_nonnull(strstr(tree, "virtio-cma-bar2"));
    vcma_test_fini(&t);
}

/* --- coming and going --- */

static void assert_refused(QDict *reply, const char *text)
{
    const char *desc;

    g_assert_true(qdict_haskey(reply, "error"));
    desc = qdict_get_str(qdict_get_qdict(reply, "error"), "desc");
    g_test_message("%s", desc);
    g_assert_nonnull(strstr(desc, text));
    qobject_unref(reply);
}

/* Not while the machine runs. */
static void test_hotplug(void)
{
    VcmaTest t = { .b = vcma_broker_new(NULL) };

    vcma_boot_root_port(&t, "");
    vcma_find_device(&t);
    vcma_del_device(&t);
    assert_refused(qtest_qmp(t.qs->qts, "{ 'execute': 'device_add', "
                             "'arguments': { 'driver': 'virtio-cma-pci', "
                             "'id': 'cma0', 'bus': 'rp0', 'broker': 'b0', "
                             "'dma': '4M@12M' } }"),
                   "command line");
    fill(&t, 0x11);
    assert_is(&t, 0x11);
    vcma_add_device(&t);
    vcma_find_device(&t);
    vcma_test_fini(&t);
}

/*
 * The operator cannot take the device away.  A guest that ejects it keeps the
 * address range: as RAM, or, if it was taken over, as all ones until the reset.
 */
static void test_eject(void)
{
    for (int confirm = 0; confirm < 2; confirm++) {
        VcmaTest t;

        vcma_test_init_windows(&t, "pc", "dma=4M@12M,normal=16M");
        fill(&t, 0x5a);
        if (confirm) {
            g_assert_cmpuint(vcma_confirm(t.d, 2), ==, VIRTIO_CMA_S_OK);
            g_assert_cmpuint(plug(&t, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
        }
        assert_refused(qtest_qmp(t.qs->qts, "{ 'execute': 'device_del', "
                                 "'arguments': { 'id': 'cma0' } }"),
                       "stays for as long as the VM runs");
        vcma_eject(&t, 4);
        assert_is(&t, confirm ? 0xff : 0x5a);
        vcma_op_wait_leases(t.b, "alpha", 0);
        vcma_system_reset(&t);
        assert_is(&t, 0x5a);
        vcma_test_fini(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("vcma/fixed/life/q35", "q35", test_life);
    qtest_add_data_func("vcma/fixed/life/pc", "pc", test_life);
    qtest_add_func("vcma/fixed/high", test_high);
    qtest_add_func("vcma/fixed/bad-confirm", test_bad_confirm);
    qtest_add_func("vcma/fixed/not-negotiated", test_not_negotiated);
    qtest_add_func("vcma/fixed/new-driver", test_new_driver);
    qtest_add_data_func("vcma/fixed/system-reset/q35", "q35",
                        test_system_reset);
    qtest_add_data_func("vcma/fixed/system-reset/pc", "pc", test_system_reset);
    qtest_add_func("vcma/fixed/rom-blob", test_rom_blob);
    qtest_add_func("vcma/fixed/suspend", test_suspend);
    qtest_add_func("vcma/fixed/migration", test_migration);
    qtest_add_func("vcma/fixed/migrate-ram", test_migrate_ram);
    qtest_add_data_func("vcma/fixed/e820/q35", "q35", test_e820);
    qtest_add_data_func("vcma/fixed/e820/pc", "pc", test_e820);
    qtest_add_func("vcma/fixed/mtree", test_mtree);
    qtest_add_func("vcma/fixed/hotplug", test_hotplug);
    qtest_add_func("vcma/fixed/eject", test_eject);
    return g_test_run();
}
