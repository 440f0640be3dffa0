/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-reset-test.c - who ends a lease: drivers, resets and hot-unplug
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"

/* Two leases with something in them. */
static void plug_two(VcmaDev *d)
{
    g_assert_cmpuint(vcma_plug_retry(d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug_retry(d, MiB_(8), MiB_(8)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_poke(d, 0, 0x1111);
    vcma_poke(d, MiB_(8), 0x2222);
}

/*
 * A device reset changes no lease: what the old driver had is there until the
 * new one says DRIVER_OK.  Then it goes, and PLUG there may say TRY_LATER.
 * [V-30], [V-31]
 */
static void test_device_reset(void)
{
    uint16_t status;
    VcmaTest t;

    vcma_test_init(&t);
    plug_two(t.d);
    vcma_dev_reset(t.d);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x1111);
    g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, 0x2222);
    vcma_poke(t.d, 0, 0x3333);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x3333);
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 2);

    vcma_dev_start(t.d);
    status = vcma_plug(t.d, 0, MiB_(4));
    if (status != VIRTIO_CMA_S_TRY_LATER) {
        g_assert_cmpuint(status, ==, VIRTIO_CMA_S_OK);
    } else {
        g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==,
                         VIRTIO_CMA_S_OK);
    }
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0);
    g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, ~0ull);
    vcma_op_wait_leases(t.b, "alpha", 1);

    /* Again, and again at once: resets in a row drop nothing twice. */
    for (int i = 0; i < 5; i++) {
        vcma_dev_reset(t.d);
        vcma_dev_reset(t.d);
        vcma_dev_start(t.d);
    }
    vcma_op_wait_leases(t.b, "alpha", 0);
    plug_two(t.d);
    vcma_test_fini(&t);
}

/*
 * A driver that goes without a word; the next one knows nothing of it.
 * [V-31]
 */
static void test_second_driver(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_UNPLUG, .num_ranges = 1 };
    VcmaReply reply;
    VcmaTest t;

    vcma_test_init(&t);
    plug_two(t.d);
    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    /* It cannot UNPLUG what was another's. */
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, !=, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 0);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(vcma_state(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_UNPLUGGED);
    plug_two(t.d);
    vcma_test_fini(&t);
}

/*
 * A reset while a PLUG waits for memory: no answer, and nothing is kept.
 * [V-30]
 */
static void test_reset_waiting(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 2, .deadline_ms = 5000
    };
    gint64 deadline = vcma_deadline();
    struct vcma_op_vm vm;
    VcmaPeer *p;
    VcmaTest t;

    vcma_test_init(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    vcma_range(&req.range[1], 1, MiB_(4), MiB_(4));
    vcma_send(t.d, &req);
    do {
        vcma_nap(deadline, "the request to wait at the broker");
        vcma_op_get_vm(t.b, "alpha", &vm);
    } while (!le32_to_cpu(vm.nr_waiting));

    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    do {
        vcma_nap(deadline, "the request to be taken back");
        vcma_op_get_vm(t.b, "alpha", &vm);
    } while (le32_to_cpu(vm.nr_waiting));
    vcma_peer_release(p, p->lease_id);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/*
 * The broker wants memory back between two drivers: a reset changes no lease,
 * and DMA into it may be under way, so nobody is there to give it.
 * [V-30], [V-41]
 */
static void test_reset_reclaim(void)
{
    VcmaPeer *p;
    VcmaTest t;

    vcma_test_init(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    plug_two(t.d);
    /* Asked before the reset, and again after it. */
    vcma_peer_lease_send(p, MiB_(16), 2000);
    vcma_peer_pump(p, 50);
    vcma_dev_reset(t.d);
    g_assert_cmpuint(vcma_peer_lease_wait(p), !=, VCMA_ST_OK);
    vcma_peer_lease_send(p, MiB_(16), 500);
    g_assert_cmpuint(vcma_peer_lease_wait(p), !=, VCMA_ST_OK);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x1111);
    g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, 0x2222);
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 2);
    vcma_dev_start(t.d);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* All is given back; the next boot finds an empty device. [V-32] */
static void test_system_reset(void)
{
    VcmaTest t;

    vcma_test_init(&t);
    for (int i = 0; i < 2; i++) {
        plug_two(t.d);
        vcma_system_reset(&t);
        vcma_op_wait_leases(t.b, "alpha", 0);
        vcma_dev_start(t.d);
        g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
    }
    plug_two(t.d);
    vcma_test_fini(&t);
}

/*
 * S3 keeps memory, so it keeps leases.  A reset from there is a reset.
 * [V-32]
 */
static void test_suspend(void)
{
    VcmaTest t;

    vcma_test_init(&t);
    plug_two(t.d);
    for (int i = 0; i < 2; i++) {
        vcma_suspend(&t);
        g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 2);
        vcma_wakeup(&t);
        vcma_dev_free(t.d);
        t.d = vcma_dev_probe(t.qs, QPCI_DEVFN(4, 0));
        g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x1111);
        g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, 0x2222);
        g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 2);
    }
    vcma_suspend(&t);
    qtest_qmp_assert_success(t.qs->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(t.qs->qts, "RESET");
    vcma_op_wait_leases(t.b, "alpha", 0);
    vcma_test_fini(&t);
}

/* The BAR goes away and elsewhere: leases go along with what is in them. */
static void test_bar(void)
{
    uint64_t old;
    VcmaTest t;

    vcma_test_init(&t);
    plug_two(t.d);
    old = t.d->base[0];
    qpci_config_writew(t.d->pci->pdev, PCI_COMMAND, PCI_COMMAND_MASTER);
    g_assert_cmphex(vcma_peek(t.d, 0), !=, 0x1111);
    qpci_config_writel(t.d->pci->pdev, PCI_BASE_ADDRESS_3, 9);
    qpci_device_enable(t.d->pci->pdev);
    t.d->base[0] = 0x900000000ull;
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x1111);
    g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, 0x2222);
    g_assert_cmphex(vcma_peek(t.d, MiB_(4)), ==, ~0ull);
    g_assert_cmphex(qtest_readq(t.qs->qts, old), !=, 0x1111);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(16), MiB_(2)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(vcma_peek(t.d, MiB_(16)), ==, 0);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 3);
    vcma_test_fini(&t);
}

/* Hot-unplug gives everything back; the broker object stays for the next. */
static void test_hotplug(void)
{
    VcmaTest t = { .b = vcma_broker_new(NULL) };
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1, .deadline_ms = 5000
    };
    VcmaCounts before = { 0 };
    VcmaPeer *p;

    vcma_boot_root_port(&t, "");
    for (int i = 0; i < 6; i++) {
        vcma_find_device(&t);
        plug_two(t.d);
        vcma_del_device(&t);
        vcma_op_wait_leases(t.b, "alpha", 0);
        vcma_op_wait_connected(t.b, "alpha", true);
        vcma_wait_idle(t.b);
        if (i == 1) {
            vcma_count(vcma_qemu_pid(t.b), &before);
        } else if (i == 5) {
            vcma_assert_counts(vcma_qemu_pid(t.b), &before);
        }
        vcma_add_device(&t);
    }
    /* While a PLUG waits for memory. */
    vcma_find_device(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    vcma_send(t.d, &req);
    vcma_peer_pump(p, 50);
    vcma_del_device(&t);
    vcma_peer_free(p);
    vcma_wait_idle(t.b);
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 0);
    vcma_test_fini(&t);
}

/* The broker object cannot go while a device uses it. */
static void test_object_del(void)
{
    VcmaTest t;
    QDict *r;

    vcma_test_init(&t);
    plug_two(t.d);
    r = qtest_qmp(t.qs->qts, "{ 'execute': 'object-del', "
                  "'arguments': { 'id': 'b0' } }");
    g_assert_true(qdict_haskey(r, "error"));
    qobject_unref(r);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x1111);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 2);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/reset/device", test_device_reset);
    qtest_add_func("vcma/reset/second-driver", test_second_driver);
    qtest_add_func("vcma/reset/waiting", test_reset_waiting);
    qtest_add_func("vcma/reset/reclaim", test_reset_reclaim);
    qtest_add_func("vcma/reset/system", test_system_reset);
    qtest_add_func("vcma/reset/suspend", test_suspend);
    qtest_add_func("vcma/reset/bar", test_bar);
    qtest_add_func("vcma/reset/hotplug", test_hotplug);
    qtest_add_func("vcma/reset/object-del", test_object_del);
    return g_test_run();
}
