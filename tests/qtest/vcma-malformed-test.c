/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-malformed-test.c - descriptors and rings as no driver would make them
 *
 * Whatever comes, QEMU lives, nobody else notices, and after a device reset the
 * device is as good as new.
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"

typedef struct Part {
    int at;         /* offset in the buffer */
    uint32_t len;
    bool write;
} Part;

/* One chain of up to 8 descriptors over the first slots. */
static uint32_t send_chain(VcmaDev *d, const Part *part, int n)
{
    uint32_t head = 0;

    for (int i = 0; i < n; i++) {
        uint32_t desc = qvirtqueue_add(d->qts, d->req, d->slots + part[i].at,
                                       part[i].len, part[i].write, i + 1 < n);

        head = i ? head : desc;
    }
    qvirtqueue_kick(d->qts, d->vdev, d->req, head);
    return head;
}

/* A PLUG of one range at the start of the buffers. */
static void write_plug(VcmaDev *d, uint32_t num_ranges)
{
    qtest_memset(d->qts, d->slots, 0, 8192);
    qtest_writew(d->qts, d->slots, VIRTIO_CMA_REQ_PLUG);
    qtest_writel(d->qts, d->slots + 4, num_ranges);
    qtest_writel(d->qts, d->slots + 16, 1);
    qtest_writeq(d->qts, d->slots + 32, MiB_(2));
    qtest_memset(d->qts, d->slots + 4096, 0xa5, 4096);
}

/* Alive, and as good as new after a reset. */
static void check_alive(VcmaTest *t)
{
    vcma_dev_reset(t->d);
    vcma_dev_start(t->d);
    g_assert_cmpuint(vcma_plug_retry(t->d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    vcma_assert_filled(t->d, 0, 4096, 0);
    g_assert_cmpuint(vcma_unplug(t->d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t->b, "alpha", 0);
}

#define REQ1    (sizeof(struct virtio_cma_req) + \
                 sizeof(struct virtio_cma_range))
#define RESP1   (sizeof(struct virtio_cma_resp) + \
                 sizeof(struct virtio_cma_result))

/*
 * The device either answers INVALID where there is room, or needs a reset.
 * [V-10]
 */
static void test_lengths(void)
{
    static const struct {
        const char *why;
        uint32_t num_ranges;
        int n;
        Part part[4];
    } bad[] = {
        { "no writable part", 1, 1, { { 0, REQ1, false } } },
        { "no readable part", 1, 1, { { 4096, RESP1, true } } },
        { "one byte of request", 1, 2,
          { { 0, 1, false }, { 4096, RESP1, true } } },
        { "half a header", 1, 2,
          { { 0, 8, false }, { 4096, RESP1, true } } },
        { "header without its range", 1, 2,
          { { 0, 16, false }, { 4096, RESP1, true } } },
        { "range one byte short", 1, 2,
          { { 0, REQ1 - 1, false }, { 4096, RESP1, true } } },
        { "one byte too many", 1, 2,
          { { 0, REQ1 + 1, false }, { 4096, RESP1, true } } },
        { "2^32-1 ranges", ~0u, 2,
          { { 0, REQ1, false }, { 4096, RESP1, true } } },
        { "2^29 ranges", 1u << 29, 2,
          { { 0, REQ1, false }, { 4096, RESP1, true } } },
        { "no room for the result", 1, 2,
          { { 0, REQ1, false }, { 4096, RESP1 - 1, true } } },
        { "no room for the response", 1, 2,
          { { 0, REQ1, false }, { 4096, 3, true } } },
        { "one byte of room", 1, 2,
          { { 0, REQ1, false }, { 4096, 1, true } } },
        { "empty descriptors", 1, 2,
          { { 0, 0, false }, { 4096, 0, true } } },
        { "writable before readable", 1, 2,
          { { 4096, RESP1, true }, { 0, REQ1, false } } },
    };
    VcmaTest t;

    vcma_test_init(&t);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        gint64 deadline = vcma_deadline();
        uint32_t len;

        g_test_message("%s", bad[i].why);
        write_plug(t.d, bad[i].num_ranges);
        send_chain(t.d, bad[i].part, bad[i].n);
        for (;;) {
            if (vcma_dev_needs_reset(t.d)) {
                break;
            }
            if (qvirtqueue_get_buf(t.d->qts, t.d->req, NULL, &len)) {
                if (len >= 2) {
                    g_assert_cmpuint(qtest_readw(t.d->qts, t.d->slots + 4096),
                                     ==, VIRTIO_CMA_S_INVALID);
                }
                break;
            }
            vcma_nap(deadline, bad[i].why);
        }
        g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
        g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 0);
        check_alive(&t);
    }
    vcma_test_fini(&t);
}

/* How a chain is cut means nothing: header and ranges may be split anywhere. */
static void test_split(void)
{
    static const Part odd[] = {
        { 0, 1, false }, { 1, 3, false }, { 4, 13, false },
        { 17, REQ1 - 17, false },
        { 4096, 1, true }, { 4097, 8, true }, { 4105, RESP1 - 9, true },
        { 4096 + RESP1, 64, true },
    };
    gint64 deadline = vcma_deadline();
    uint32_t len;
    VcmaTest t;

    vcma_test_init(&t);
    write_plug(t.d, 1);
    send_chain(t.d, odd, G_N_ELEMENTS(odd));
    while (!qvirtqueue_get_buf(t.d->qts, t.d->req, NULL, &len)) {
        vcma_nap(deadline, "the answer to a split request");
    }
    g_assert_cmpuint(len, ==, RESP1);
    g_assert_cmpuint(qtest_readw(t.d->qts, t.d->slots + 4096), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(qtest_readl(t.d->qts, t.d->slots + 4100), ==, 1);
    g_assert_cmpuint(qtest_readw(t.d->qts, t.d->slots + 4106), ==,
                     VIRTIO_CMA_PLUGGED);
    /* Not a byte beyond the response. */
    g_assert_cmphex(qtest_readb(t.d->qts, t.d->slots + 4096 + RESP1), ==, 0xa5);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0);
    vcma_test_fini(&t);
}

/* Buffers in places that are no memory, and rings that lie. [V-16] */
static void test_wild(void)
{
    VcmaTest t;
    uint32_t head;

    vcma_test_init(&t);
    /* A request in the part of the window where nothing is leased. */
    head = qvirtqueue_add(t.d->qts, t.d->req, t.d->base[0], REQ1, false, true);
    qvirtqueue_add(t.d->qts, t.d->req, t.d->base[0] + 4096, RESP1, true, false);
    qvirtqueue_kick(t.d->qts, t.d->vdev, t.d->req, head);
    check_alive(&t);
    /* A chain that leads to itself. */
    head = qvirtqueue_add(t.d->qts, t.d->req, t.d->slots, REQ1, false, true);
    qtest_writew(t.d->qts, t.d->req->desc + 16 * head + 14, head);
    qvirtqueue_kick(t.d->qts, t.d->vdev, t.d->req, head);
    check_alive(&t);
    /* A head beyond the ring. */
    qvirtqueue_kick(t.d->qts, t.d->vdev, t.d->req, 0x7fff);
    check_alive(&t);
    /* An index that promises more than the ring has. */
    qtest_writew(t.d->qts, t.d->req->avail + 2, 0x4000);
    t.d->vdev->bus->virtqueue_kick(t.d->vdev, t.d->req);
    check_alive(&t);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/malformed/lengths", test_lengths);
    qtest_add_func("vcma/malformed/split", test_split);
    qtest_add_func("vcma/malformed/wild", test_wild);
    return g_test_run();
}
