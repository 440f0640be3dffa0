/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-plug-test.c - negotiation, each request, and what the memory is like
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "hw/pci/pci_regs.h"
#include "standard-headers/linux/virtio_config.h"

/* [V-1], [V-2] */
static void test_negotiate(void)
{
    g_autofree char *args = NULL;
    struct virtio_cma_window *w;
    VcmaTest t = { .b = vcma_broker_new(NULL) };
    VcmaDev *d;

    args = vcma_args(t.b, "alpha", NULL, NULL);
    t.qs = vcma_boot(t.b, args);
    d = t.d = vcma_dev_probe(t.qs, QPCI_DEVFN(4, 0));

    g_assert_cmphex(qpci_config_readw(d->pci->pdev, PCI_VENDOR_ID), ==, 0x1af4);
    g_assert_cmphex(qpci_config_readw(d->pci->pdev, PCI_DEVICE_ID), ==, 0x107f);
    g_assert_cmpuint(d->vdev->device_type, ==, VIRTIO_ID_CMA);
    g_assert_true(d->features & (1ull << VIRTIO_F_VERSION_1));
    /* The reserved features are not offered. */
    g_assert_cmphex(d->features & 0xffffff, ==,
                    1ull << VIRTIO_CMA_F_CLIENT_TABLE);

    g_assert_cmpuint(d->cfg.num_windows, ==, 2);
    g_assert_cmpuint(d->cfg.max_leases, >=, 16);
    g_assert_cmpuint(d->cfg.granule_size, ==, VCMA_GRANULE);
    g_assert_cmpuint(d->cfg.lease_size, ==, MiB_(4)); /* the chunk */
    g_assert_cmpuint(d->cfg.lease_max, >=, MiB_(16));
    g_assert_true(is_power_of_2(d->cfg.lease_max));

    w = &d->cfg.window[0];
    g_assert_cmpuint(w->id, ==, 1);
    g_assert_cmpuint(w->zone, ==, VIRTIO_CMA_ZONE_NORMAL);
    g_assert_cmpuint(w->bar, ==, 2);
    g_assert_cmpuint(w->length, ==, VCMA_NORMAL_SIZE);
    w = &d->cfg.window[1];
    g_assert_cmpuint(w->id, ==, 2);
    g_assert_cmpuint(w->zone, ==, VIRTIO_CMA_ZONE_DMA32);
    g_assert_cmpuint(w->bar, ==, 0);
    g_assert_cmpuint(w->length, ==, VCMA_DMA32_SIZE);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpuint(d->cfg.window[i].bank, ==, 0);
        g_assert_cmpuint(d->cfg.window[i].flags, ==, 0);
        g_assert_cmpuint(d->cfg.window[i].offset % VCMA_GRANULE, ==, 0);
    }

    /* The configuration space is read-only. */
    qpci_io_writel(d->pci->pdev, d->pci->bar, d->pci->device_cfg_offset, 99);
    g_assert_cmpuint(d->vdev->bus->config_readl(d->vdev, 0), ==, 2);

    vcma_dev_start(d);
    g_assert_cmpuint(vcma_plug(d, 0, VCMA_GRANULE), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/* The device tells its queues' vectors when it has answered. */
static void test_msix(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1 };
    gint64 deadline = vcma_deadline();
    VcmaReply reply;
    VcmaTest t;
    int slot;

    vcma_test_init(&t);
    vcma_dev_reset(t.d);
    vcma_dev_start_msix(t.d);
    g_assert_false(t.d->vdev->bus->get_queue_isr_status(t.d->vdev, t.d->req));
    vcma_range(&req.range[0], 1, 0, VCMA_GRANULE);
    slot = vcma_send(t.d, &req);
    while (!t.d->vdev->bus->get_queue_isr_status(t.d->vdev, t.d->req)) {
        vcma_nap(deadline, "the interrupt of the request queue");
    }
    g_assert_true(vcma_is_done(t.d, slot));
    vcma_collect(t.d, slot, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/*
 * Zero when it comes, ordinary while it is there, all ones when it is gone.
 * [V-4]
 */
static void test_memory(void)
{
    VcmaTest t;
    VcmaDev *d;

    vcma_test_init(&t);
    d = t.d;
    vcma_assert_filled(d, 0, 4096, 0xff);
    vcma_poke(d, 0, 0x1122334455667788ull);
    g_assert_cmphex(vcma_peek(d, 0), ==, ~0ull);

    g_assert_cmpuint(vcma_plug(d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_assert_filled(d, MiB_(4), MiB_(4), 0);
    g_assert_cmphex(vcma_peek(d, MiB_(4) - 8), ==, ~0ull);
    g_assert_cmphex(vcma_peek(d, MiB_(8)), ==, ~0ull);

    vcma_poke(d, MiB_(4), 0x1122334455667788ull);
    vcma_poke(d, MiB_(6) - 8, 1);
    vcma_poke(d, MiB_(6), 2);
    vcma_poke(d, MiB_(8) - 8, 3);
    qtest_writeb(d->qts, d->base[0] + MiB_(4), 0x99);
    g_assert_cmphex(vcma_peek(d, MiB_(4)), ==, 0x1122334455667799ull);
    g_assert_cmphex(vcma_peek(d, MiB_(6) - 8), ==, 1);
    g_assert_cmphex(vcma_peek(d, MiB_(6)), ==, 2);
    g_assert_cmphex(vcma_peek(d, MiB_(8) - 8), ==, 3);

    g_assert_cmpuint(vcma_unplug(d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_assert_filled(d, MiB_(4), 4096, 0xff);
    vcma_poke(d, MiB_(4), 5);
    g_assert_cmphex(vcma_peek(d, MiB_(4)), ==, ~0ull);
    vcma_test_fini(&t);
}

/* A part of each granule: every byte takes libqtest seconds. */
static void check_zero(VcmaDev *d, uint64_t offset, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += VCMA_GRANULE / 4) {
        vcma_assert_filled(d, offset + at, 16384, 0);
    }
}

/* What a VM wrote never comes back: not to it (I4), not to another VM. [V-5] */
static void test_content(void)
{
    VcmaPeer *p;
    VcmaTest t;
    int i, j;

    vcma_test_init(&t);
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 4; j++) {
            g_assert_cmpuint(vcma_plug_retry(t.d, MiB_(8) * j, MiB_(8)), ==,
                             VIRTIO_CMA_S_OK);
            check_zero(t.d, MiB_(8) * j, MiB_(8));
            vcma_fill(t.d, MiB_(8) * j, MiB_(8), 0x5a);
        }
        g_assert_cmpuint(vcma_unplug_all(t.d), ==, 4);
        vcma_wait_idle(t.b);
    }
    /* The peer checks that every byte is zero, and leaves a mark. */
    p = vcma_peer_new(t.b, "beta");
    for (i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_peer_free(p);
    vcma_wait_idle(t.b);
    for (j = 0; j < 4; j++) {
        g_assert_cmpuint(vcma_plug_retry(t.d, MiB_(8) * j, MiB_(8)), ==,
                         VIRTIO_CMA_S_OK);
        check_zero(t.d, MiB_(8) * j, MiB_(8));
    }
    vcma_test_fini(&t);
}

/* [V-13], [V-15] */
static void test_ranges(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 6 };
    VcmaReply reply;
    VcmaTest t;

    vcma_test_init(&t);
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    vcma_range(&req.range[1], 2, 0, MiB_(2));
    vcma_range(&req.range[2], 1, MiB_(2), MiB_(2)); /* overlaps the first */
    vcma_range(&req.range[3], 1, MiB_(8), MiB_(8));
    vcma_range(&req.range[4], 2, VCMA_DMA32_SIZE, MiB_(2)); /* outside */
    vcma_range(&req.range[5], 2, MiB_(14), MiB_(2));
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.len, ==, sizeof(struct virtio_cma_resp) +
                     6 * sizeof(struct virtio_cma_result));
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_INVALID);
    g_assert_cmpuint(reply.num_done, ==, 4);
    for (int i = 0; i < 6; i++) {
        bool bad = i == 2 || i == 4;

        g_assert_cmpuint(reply.result[i], ==,
                         bad ? VIRTIO_CMA_S_INVALID : VIRTIO_CMA_S_OK);
        if (!bad) {
            g_assert_cmpuint(reply.state[i], ==, VIRTIO_CMA_PLUGGED);
        }
    }
    vcma_op_wait_leases(t.b, "alpha", 4);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0);
    g_assert_cmphex(qtest_readq(t.d->qts, t.d->base[1]), ==, 0);
    g_assert_cmphex(qtest_readq(t.d->qts, t.d->base[1] + MiB_(14)), ==, 0);
    g_assert_cmphex(qtest_readq(t.d->qts, t.d->base[1] + MiB_(2)), ==, ~0ull);

    req.type = VIRTIO_CMA_REQ_UNPLUG;
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.num_done, ==, 4);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_INVALID);
    g_assert_cmpuint(reply.result[5], ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(qtest_readq(t.d->qts, t.d->base[1]), ==, ~0ull);
    vcma_op_wait_leases(t.b, "alpha", 0);
    vcma_test_fini(&t);
}

/*
 * Requests that are under way together are all answered, in any order.
 * [V-11]
 */
static void test_parallel(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1 };
    VcmaReply reply;
    int slot[8], i;
    VcmaTest t;

    vcma_test_init(&t);
    for (i = 0; i < 8; i++) {
        vcma_range(&req.range[0], 1, MiB_(4) * i, MiB_(4));
        slot[i] = vcma_send(t.d, &req);
    }
    for (i = 7; i >= 0; i--) {
        vcma_collect(t.d, slot[i], &reply);
        g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
        g_assert_cmphex(vcma_peek(t.d, MiB_(4) * i), ==, 0);
    }
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 8);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 8);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 0);
    vcma_assert_filled(t.d, 0, 4096, 0xff);
    vcma_op_wait_leases(t.b, "alpha", 0);
    vcma_test_fini(&t);
}

/*
 * UNPLUG_ALL while a PLUG waits for memory, one range of which is here already:
 * both are answered, and what the guest is told is what it has.
 * [V-27]
 */
static void test_unplug_all_waiting(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 3, .deadline_ms = 1000
    };
    gint64 deadline = vcma_deadline();
    uint32_t i, leases = 0;
    struct vcma_op_vm vm;
    VcmaReply reply;
    VcmaPeer *p;
    VcmaTest t;
    int slot;

    vcma_test_init(&t);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    p = vcma_peer_new(t.b, "beta");
    for (i = 0; i < 14; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(4)), ==, VCMA_ST_OK);
    }
    for (i = 0; i < 3; i++) {
        vcma_range(&req.range[i], 1, MiB_(8) + MiB_(4) * i, MiB_(4));
    }
    slot = vcma_send(t.d, &req);
    do {
        vcma_nap(deadline, "the request to wait at the broker");
        vcma_op_get_vm(t.b, "alpha", &vm);
    } while (!le32_to_cpu(vm.nr_waiting));
    g_assert_cmpuint(vcma_unplug_all(t.d), >=, 1);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
    vcma_collect(t.d, slot, &reply);
    for (i = 0; i < 3; i++) {
        uint64_t at = MiB_(8) + MiB_(4) * i;
        bool ok = reply.result[i] == VIRTIO_CMA_S_OK;

        leases += ok;
        g_assert_cmphex(vcma_peek(t.d, at), ==, ok ? 0 : ~0ull);
    }
    g_assert_cmpuint(reply.num_done, ==, leases);
    vcma_op_wait_leases(t.b, "alpha", leases);
    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* [V-28] */
static void test_state(void)
{
    VcmaTest t;
    VcmaDev *d;

    vcma_test_init(&t);
    d = t.d;
    g_assert_cmpuint(vcma_plug(d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(d, MiB_(8), MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_state(d, 0, MiB_(4)), ==, VIRTIO_CMA_UNPLUGGED);
    g_assert_cmpuint(vcma_state(d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_PLUGGED);
    g_assert_cmpuint(vcma_state(d, MiB_(4), MiB_(12)), ==, VIRTIO_CMA_PLUGGED);
    g_assert_cmpuint(vcma_state(d, 0, MiB_(8)), ==, VIRTIO_CMA_MIXED);
    g_assert_cmpuint(vcma_state(d, 0, VCMA_NORMAL_SIZE), ==, VIRTIO_CMA_MIXED);
    g_assert_cmpuint(vcma_state(d, MiB_(16), MiB_(48)), ==,
                     VIRTIO_CMA_UNPLUGGED);
    /* It changed nothing. */
    g_assert_cmphex(vcma_peek(d, MiB_(4)), ==, 0);
    g_assert_cmphex(vcma_peek(d, 0), ==, ~0ull);
    vcma_test_fini(&t);
}

/* A stopped VM sees no answer; all come when it goes on. */
static void test_stopped(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1 };
    gint64 deadline = vcma_deadline();
    int waits, comes, state;
    struct vcma_op_vm vm;
    VcmaReply reply;
    VcmaPeer *p;
    VcmaTest t;

    vcma_test_init(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    waits = vcma_send(t.d, &req);
    do {
        vcma_nap(deadline, "the request to wait at the broker");
        vcma_op_get_vm(t.b, "alpha", &vm);
    } while (!le32_to_cpu(vm.nr_waiting));
    qtest_qmp_assert_success(t.qs->qts, "{ 'execute': 'stop' }");
    vcma_range(&req.range[0], 1, MiB_(4), MiB_(4));
    comes = vcma_send(t.d, &req);
    req.type = VIRTIO_CMA_REQ_STATE;
    state = vcma_send(t.d, &req);
    vcma_peer_release(p, p->lease_id);
    vcma_op_wait_leases(t.b, "alpha", 1);
    g_usleep(50000);
    g_assert_false(vcma_is_done(t.d, waits));
    g_assert_false(vcma_is_done(t.d, comes));
    g_assert_false(vcma_is_done(t.d, state));
    qtest_qmp_assert_success(t.qs->qts, "{ 'execute': 'cont' }");
    vcma_collect(t.d, waits, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
    vcma_collect(t.d, comes, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
    vcma_collect(t.d, state, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* Another device id, for a guest that uses ours for something else. */
static void test_virtio_id(void)
{
    VcmaTest t;

    vcma_test_init_vms(&t, NULL, NULL, "addr=04.0,virtio-id=50");
    g_assert_cmphex(qpci_config_readw(t.d->pci->pdev, PCI_DEVICE_ID), ==,
                    0x1040 + 50);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

static void test_root_port(void)
{
    VcmaTest t = { .b = vcma_broker_new(NULL) };

    vcma_boot_root_port(&t, "");
    vcma_find_device(&t);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, MiB_(2), MiB_(2)),
                     ==, VIRTIO_CMA_S_OK);
    vcma_assert_filled(t.d, 0, MiB_(4), 0);
    vcma_poke(t.d, MiB_(2), 0x77);
    g_assert_cmphex(vcma_peek(t.d, MiB_(2)), ==, 0x77);
    g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[1]), ==, ~0ull);
    g_assert_cmphex(qtest_readq(t.qs->qts, t.d->base[1] + MiB_(2)), ==, 0);
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(vcma_peek(t.d, MiB_(2)), ==, ~0ull);
    vcma_test_fini(&t);
}

/* The properties that an operator reads follow the leases. */
static void test_qom(void)
{
    const char *path = "/machine/peripheral/cma0";
    VcmaTest t;

    vcma_test_init(&t);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "leases"), ==, 0);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "lease-bytes"), ==, 0);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "leases"), ==, 2);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "lease-bytes"), ==,
                     MiB_(12));
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "normal-bytes"), ==,
                     MiB_(8));
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "dma32-bytes"), ==,
                     MiB_(4));
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "dma32-leases"), ==, 1);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, "/objects/b0", "leases"), ==, 2);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 2);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "leases"), ==, 0);
    g_assert_cmpuint(vcma_qom_uint(t.qs->qts, path, "lease-bytes"), ==, 0);
    vcma_test_fini(&t);
}

/* The place changes, so that no PLUG waits for the UNPLUG before it. */
static void rounds(VcmaTest *t, int n)
{
    for (int i = 0; i < n; i++) {
        uint64_t at = MiB_(8) * (i % 8);

        g_assert_cmpuint(vcma_plug_retry(t->d, at, MiB_(4)), ==,
                         VIRTIO_CMA_S_OK);
        g_assert_cmpuint(vcma_plug_retry(t->d, at + MiB_(4), MiB_(2)), ==,
                         VIRTIO_CMA_S_OK);
        vcma_poke(t->d, at, 1);
        g_assert_cmpuint(vcma_unplug_all(t->d), ==, 2);
    }
    vcma_op_wait_leases(t->b, "alpha", 0);
    vcma_wait_idle(t->b);
}

static void test_no_leak(void)
{
    VcmaCounts qemu, vcmad;
    VcmaTest t;

    vcma_test_init(&t);
    rounds(&t, 8);
    vcma_count(vcma_qemu_pid(t.b), &qemu);
    vcma_count(t.b->pid, &vcmad);
    rounds(&t, 100);
    vcma_assert_counts(vcma_qemu_pid(t.b), &qemu);
    vcma_assert_counts(t.b->pid, &vcmad);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/plug/negotiate", test_negotiate);
    qtest_add_func("vcma/plug/msix", test_msix);
    qtest_add_func("vcma/plug/memory", test_memory);
    qtest_add_func("vcma/plug/content", test_content);
    qtest_add_func("vcma/plug/ranges", test_ranges);
    qtest_add_func("vcma/plug/parallel", test_parallel);
    qtest_add_func("vcma/plug/unplug-all-waiting", test_unplug_all_waiting);
    qtest_add_func("vcma/plug/state", test_state);
    qtest_add_func("vcma/plug/stopped", test_stopped);
    qtest_add_func("vcma/plug/virtio-id", test_virtio_id);
    qtest_add_func("vcma/plug/root-port", test_root_port);
    qtest_add_func("vcma/plug/qom", test_qom);
    qtest_add_func("vcma/plug/no-leak", test_no_leak);
    return g_test_run();
}
