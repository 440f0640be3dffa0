/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-hang-test.c - a read that hangs in an IOThread, into a lease that goes
 *
 * A virtio-blk disk is throttled to a byte a second.  The first read goes
 * through; the second one, taken off the ring and its buffer mapped, waits
 * until the test lifts the limit.
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"

#define DISK_BYTE   0xc3
#define READ_SIZE   MiB_(1)
#define LEASE_AT    MiB_(8)     /* where the lease is that the read goes to */
#define READ_AT     (LEASE_AT + MiB_(2) - 4096) /* across two granules */

typedef struct HangTest {
    VcmaTest t;
    QVirtioPCIDevice *blk;
    QVirtQueue *vq;
    uint64_t buf;               /* request header, status, and a page */
    unsigned reads;
} HangTest;

static char *make_disk(const VcmaBroker *b)
{
    g_autofree char *path = g_build_filename(b->dir, "disk.img", NULL);
    g_autofree char *data = g_malloc(READ_SIZE);

    memset(data, DISK_BYTE, READ_SIZE);
    g_assert_true(g_file_set_contents(path, data, READ_SIZE, NULL));
    return g_strdup_printf(
        "-object iothread,id=io0 "
        "-drive if=none,id=d0,file=%s,format=raw "
        "-device virtio-blk-pci,id=blk0,drive=d0,iothread=io0,addr=06.0",
        path);
}

static void start_disk(HangTest *h)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(6, 0) };

    h->blk = virtio_pci_new(h->t.qs->pcibus, &addr);
    qvirtio_pci_device_enable(h->blk);
    qvirtio_start_device(&h->blk->vdev);
    qvirtio_set_features(&h->blk->vdev, 1ull << VIRTIO_F_VERSION_1);
    h->vq = qvirtqueue_setup(&h->blk->vdev, &h->t.qs->alloc, 0);
    qvirtio_set_driver_ok(&h->blk->vdev);
    h->buf = guest_alloc(&h->t.qs->alloc, 8192);
}

static void send_read(HangTest *h, uint64_t to, uint32_t size)
{
    QTestState *qts = h->t.qs->qts;
    uint32_t head;

    h->reads++;
    qtest_memset(qts, h->buf, 0, 16); /* VIRTIO_BLK_T_IN of sector 0 */
    qtest_writeb(qts, h->buf + 16, 0xff);
    head = qvirtqueue_add(qts, h->vq, h->buf, 16, false, true);
    qvirtqueue_add(qts, h->vq, to, size, true, true);
    qvirtqueue_add(qts, h->vq, h->buf + 16, 1, true, false);
    qvirtqueue_kick(qts, &h->blk->vdev, h->vq, head);
}

static bool read_done(HangTest *h)
{
    return qvirtqueue_get_buf(h->t.qs->qts, h->vq, NULL, NULL);
}

static void wait_read(HangTest *h)
{
    gint64 deadline = vcma_deadline();

    while (!read_done(h)) {
        vcma_nap(deadline, "a read from the disk");
    }
    g_assert_cmpuint(qtest_readb(h->t.qs->qts, h->buf + 16), ==,
                     VIRTIO_BLK_S_OK);
}

/* The IOThread has taken all requests off the ring. */
static void wait_taken(HangTest *h)
{
    gint64 deadline = vcma_deadline();

    for (;;) {
        QDict *r = qtest_qmp(h->t.qs->qts,
            "{ 'execute': 'x-query-virtio-queue-status', 'arguments': "
            "{ 'path': '/machine/peripheral/blk0/virtio-backend', "
            "'queue': 0 } }");
        QDict *status = qdict_get_qdict(r, "return");
        bool taken = qdict_get_int(status, "last-avail-idx") == h->reads;

        qobject_unref(r);
        if (taken) {
            break;
        }
        vcma_nap(deadline, "the IOThread to take a request");
    }
    g_usleep(20000);
}

/* At most @bps bytes a second; 0: without a limit. */
static void throttle(HangTest *h, int bps)
{
    qtest_qmp_assert_success(h->t.qs->qts,
        "{ 'execute': 'block_set_io_throttle', 'arguments': "
        "{ 'device': 'd0', 'bps': %d, 'bps_rd': 0, 'bps_wr': 0, "
        "'iops': 0, 'iops_rd': 0, 'iops_wr': 0 } }", bps);
}

static void end_hang(HangTest *h)
{
    throttle(h, 0);
    wait_read(h);
}

/* A lease, and a read into it that hangs. */
static void start_hang(HangTest *h)
{
    g_assert_cmpuint(vcma_plug_retry(h->t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_poke(h->t.d, READ_AT, 0x55);
    throttle(h, 1);
    send_read(h, h->buf + 4096, 512);
    wait_read(h);
    g_assert_cmphex(qtest_readb(h->t.qs->qts, h->buf + 4096), ==, DISK_BYTE);
    send_read(h, h->t.d->base[0] + READ_AT, READ_SIZE);
    wait_taken(h);
    g_assert_false(read_done(h));
    g_assert_cmphex(vcma_peek(h->t.d, READ_AT), ==, 0x55);
}

static void hang_init(HangTest *h)
{
    g_autofree char *args = NULL;
    g_autofree char *all = NULL;
    g_autofree char *disk = NULL;

    memset(h, 0, sizeof(*h));
    h->t.b = vcma_broker_new(NULL);
    args = vcma_args(h->t.b, "alpha", "reconnect-ms=20", NULL);
    disk = make_disk(h->t.b);
    all = g_strdup_printf("%s %s", args, disk);
    h->t.qs = vcma_boot(h->t.b, all);
    h->t.d = vcma_dev_probe(h->t.qs, QPCI_DEVFN(4, 0));
    vcma_dev_start(h->t.d);
    start_disk(h);
    start_hang(h);
}

/* The same with the device behind a root port, where it can be unplugged. */
static void hang_init_root_port(HangTest *h)
{
    g_autofree char *disk = NULL;

    memset(h, 0, sizeof(*h));
    h->t.b = vcma_broker_new(NULL);
    disk = make_disk(h->t.b);
    vcma_boot_root_port(&h->t, disk);
    vcma_find_device(&h->t);
    start_disk(h);
    start_hang(h);
}

static void hang_fini(HangTest *h)
{
    if (h->vq) {
        qvirtqueue_cleanup(h->blk->vdev.bus, h->vq, &h->t.qs->alloc);
    }
    g_free(h->blk->pdev);
    g_free(h->blk);
    vcma_test_fini(&h->t);
}

/* Nothing of it is given back while the read hangs. */
static void assert_held(HangTest *h, uint32_t leases)
{
    for (int i = 0; i < 20; i++) {
        g_assert_cmpuint(vcma_op_nr_leases(h->t.b, "alpha"), ==, leases);
        g_usleep(10000);
    }
}

/*
 * Without a hang for comparison: a read into a lease arrives there, and UNPLUG
 * gives the lease back at once.
 */
static void test_read(void)
{
    HangTest h;

    hang_init(&h);
    end_hang(&h);
    vcma_assert_filled(h.t.d, READ_AT, READ_SIZE, DISK_BYTE);
    g_assert_cmphex(vcma_peek(h.t.d, READ_AT - 8), ==, 0);
    g_assert_cmphex(vcma_peek(h.t.d, READ_AT + READ_SIZE), ==, 0);
    g_assert_cmpuint(vcma_unplug(h.t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(h.t.b, "alpha", 0);
    hang_fini(&h);
}

/* [V-26] */
static void test_unplug(void)
{
    HangTest h;
    VcmaDev *d;

    hang_init(&h);
    d = h.t.d;
    g_assert_cmpuint(vcma_unplug(d, LEASE_AT, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_assert_filled(d, LEASE_AT, 4096, 0xff);
    g_assert_cmpuint(vcma_state(d, LEASE_AT, MiB_(4)), ==, VIRTIO_CMA_PENDING);
    g_assert_cmpuint(vcma_plug(d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_TRY_LATER);
    g_assert_cmpuint(vcma_plug(d, LEASE_AT + MiB_(2), MiB_(2)), ==,
                     VIRTIO_CMA_S_TRY_LATER);
    g_assert_cmpuint(vcma_plug(d, 0, MiB_(16)), ==, VIRTIO_CMA_S_TRY_LATER);
    /* It is gone for the guest: a second UNPLUG has nothing to do. */
    g_assert_cmpuint(vcma_unplug(d, LEASE_AT, MiB_(4)), !=, VIRTIO_CMA_S_OK);
    assert_held(&h, 1);
    /* Elsewhere all goes on. */
    g_assert_cmpuint(vcma_plug(d, MiB_(16), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(d, MiB_(16), 0x99);
    g_assert_false(read_done(&h));

    end_hang(&h);
    vcma_op_wait_leases(h.t.b, "alpha", 1);
    g_assert_cmpuint(vcma_plug_retry(d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    /* What the read brought went to the old lease, and with it. */
    vcma_assert_filled(d, LEASE_AT, MiB_(4), 0);
    g_assert_cmphex(vcma_peek(d, MiB_(16)), ==, 0x99);
    hang_fini(&h);
}

/* The same by a new driver, which has nothing of it. [V-31] */
static void test_reset(void)
{
    HangTest h;
    VcmaDev *d;

    hang_init(&h);
    d = h.t.d;
    vcma_dev_reset(d);
    vcma_dev_start(d);
    g_assert_cmpuint(vcma_plug(d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_TRY_LATER);
    g_assert_cmphex(vcma_peek(d, READ_AT), ==, ~0ull);
    assert_held(&h, 1);
    g_assert_cmpuint(vcma_plug(d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    end_hang(&h);
    vcma_op_wait_leases(h.t.b, "alpha", 1);
    g_assert_cmpuint(vcma_plug_retry(d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_assert_filled(d, LEASE_AT, MiB_(4), 0);
    hang_fini(&h);
}

/* The broker dies meanwhile; what then comes back has nowhere to go. */
static void test_broker_killed(void)
{
    HangTest h;

    hang_init(&h);
    g_assert_cmpuint(vcma_unplug(h.t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_broker_kill(h.t.b, SIGKILL);
    end_hang(&h);
    g_assert_cmphex(vcma_peek(h.t.d, READ_AT), ==, ~0ull);
    g_assert_cmpuint(vcma_plug(h.t.d, 0, MiB_(4)), ==,
                     VIRTIO_CMA_S_BROKER_AWAY);
    hang_fini(&h);
}

/* The VM ends while the read hangs. */
static void test_quit(void)
{
    HangTest h;

    hang_init(&h);
    g_assert_cmpuint(vcma_unplug_all(h.t.d), ==, 1);
    hang_fini(&h);
}

/* device_del: the device goes, its lease stays until the read has ended. */
static void test_device_del(void)
{
    HangTest h;

    hang_init_root_port(&h);
    vcma_del_device(&h.t);
    g_assert_false(read_done(&h));
    assert_held(&h, 1);
    end_hang(&h);
    vcma_op_wait_leases(h.t.b, "alpha", 0);
    vcma_wait_idle(h.t.b);
    vcma_add_device(&h.t);
    vcma_find_device(&h.t);
    g_assert_cmpuint(vcma_plug_retry(h.t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_assert_filled(h.t.d, LEASE_AT, MiB_(4), 0);
    hang_fini(&h);
}

/* A new device on the same broker does not wait for the old one's read. */
static void test_device_replaced(void)
{
    HangTest h;

    hang_init_root_port(&h);
    vcma_del_device(&h.t);
    vcma_add_device(&h.t);
    vcma_find_device(&h.t);
    g_assert_cmpuint(vcma_plug_retry(h.t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_op_nr_leases(h.t.b, "alpha"), ==, 2);
    end_hang(&h);
    vcma_op_wait_leases(h.t.b, "alpha", 1);
    vcma_assert_filled(h.t.d, LEASE_AT, MiB_(4), 0);
    hang_fini(&h);
}

static void set_ring(QVirtioPCIDevice *p, size_t field, uint64_t at)
{
    qpci_io_writel(p->pdev, p->bar, p->common_cfg_offset + field, at);
    qpci_io_writel(p->pdev, p->bar, p->common_cfg_offset + field + 4, at >> 32);
}

/* The disk starts anew, with its rings in the lease. */
static void move_rings(HangTest *h)
{
    QVirtioDevice *v = &h->blk->vdev;
    uint64_t at = h->t.d->base[0] + LEASE_AT;

    qvirtio_start_device(v);
    qvirtio_set_features(v, 1ull << VIRTIO_F_VERSION_1);
    v->bus->queue_select(v, 0);
    set_ring(h->blk, offsetof(struct virtio_pci_common_cfg, queue_desc_lo), at);
    set_ring(h->blk, offsetof(struct virtio_pci_common_cfg, queue_avail_lo),
             at + MiB_(1));
    set_ring(h->blk, offsetof(struct virtio_pci_common_cfg, queue_used_lo),
             at + MiB_(2));
    qpci_io_writew(h->blk->pdev, h->blk->bar, h->blk->common_cfg_offset +
                   offsetof(struct virtio_pci_common_cfg, queue_enable), 1);
    qvirtio_set_driver_ok(v);
}

/*
 * A guest gives back memory with a disk's rings in it.  What QEMU keeps of the
 * rings holds the lease no longer than that.  There is no kick: QEMU 7.2 reads
 * a ring in MMIO under the big lock with the AioContext held, and a reset at
 * that moment takes them in the other order, whoever owns the MMIO.
 */
static void test_rings(void)
{
    HangTest h;

    hang_init(&h);
    end_hang(&h);
    move_rings(&h);
    g_assert_cmpuint(vcma_unplug(h.t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmphex(vcma_peek(h.t.d, LEASE_AT), ==, ~0ull);
    vcma_op_wait_leases(h.t.b, "alpha", 0);
    g_assert_cmpuint(vcma_plug_retry(h.t.d, LEASE_AT, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    qvirtio_reset(&h.blk->vdev);
    vcma_assert_filled(h.t.d, LEASE_AT, 4096, 0);
    hang_fini(&h);
}

/* Rings in leases, and the machine is reset: whose reset comes first? */
static void test_rings_reset(void)
{
    HangTest h;

    hang_init(&h);
    end_hang(&h);
    move_rings(&h);
    qtest_qmp_assert_success(h.t.qs->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(h.t.qs->qts, "RESET");
    vcma_op_wait_leases(h.t.b, "alpha", 0);
    hang_fini(&h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/hang/read", test_read);
    qtest_add_func("vcma/hang/unplug", test_unplug);
    qtest_add_func("vcma/hang/reset", test_reset);
    qtest_add_func("vcma/hang/broker-killed", test_broker_killed);
    qtest_add_func("vcma/hang/quit", test_quit);
    qtest_add_func("vcma/hang/device-del", test_device_del);
    qtest_add_func("vcma/hang/device-replaced", test_device_replaced);
    qtest_add_func("vcma/hang/rings", test_rings);
    qtest_add_func("vcma/hang/rings-reset", test_rings_reset);
    return g_test_run();
}
