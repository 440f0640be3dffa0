/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-broker-test.c - events of the broker, and a broker that goes away
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"

#define EVENT_SIZE  sizeof(struct virtio_cma_event)

/* Alpha has 32 MiB in four leases, the peer has all the rest. */
static VcmaPeer *fill_pool(VcmaTest *t)
{
    VcmaPeer *p;
    int i;

    for (i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_plug_retry(t->d, MiB_(8) * i, MiB_(8)), ==,
                         VIRTIO_CMA_S_OK);
        vcma_poke(t->d, MiB_(8) * i, i + 1);
    }
    p = vcma_peer_new(t->b, "beta");
    for (i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(8)), ==, VCMA_ST_OK);
    }
    return p;
}

static uint16_t reclaim_done(VcmaDev *d, uint32_t id, uint16_t status)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_RECLAIM_DONE, .id = id, .status = status
    };
    VcmaReply reply;

    vcma_call(d, &req, &reply);
    return reply.status;
}

/* Gives back what the event asks for; returns how many bytes. */
static uint64_t give_back(VcmaDev *d, const VcmaEvent *e)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < e->num_ranges; i++) {
        const struct virtio_cma_range *r = &e->range[i];

        g_assert_cmpuint(r->window, ==, 1);
        g_assert_cmpuint(r->size, ==, MiB_(8));
        g_assert_cmphex(vcma_peek(d, r->offset), ==,
                        r->offset / MiB_(8) + 1);
        g_assert_cmpuint(vcma_unplug(d, r->offset, r->size), ==,
                         VIRTIO_CMA_S_OK);
        bytes += r->size;
    }
    return bytes;
}

/* [V-41], [V-42] */
static void test_reclaim(void)
{
    VcmaPeer *p;
    VcmaEvent e;
    VcmaTest t;

    vcma_test_init(&t);
    vcma_post_event(t.d, EVENT_SIZE);
    vcma_post_event(t.d, EVENT_SIZE);
    p = fill_pool(&t);
    vcma_peer_lease_send(p, MiB_(8), 5000);
    vcma_wait_event(t.d, VIRTIO_CMA_EV_RECLAIM, &e);
    g_assert_cmpuint(e.id, !=, 0);
    g_assert_cmpuint(e.deadline_ms, >=, 1);
    g_assert_cmpuint(e.deadline_ms, <=, 5000);
    g_assert_cmpuint(e.num_ranges, >=, 1);
    g_assert_cmpuint(give_back(t.d, &e), >=, MiB_(8));
    g_assert_cmpuint(reclaim_done(t.d, e.id, VIRTIO_CMA_S_OK), ==,
                     VIRTIO_CMA_S_OK);
    /* The peer finds it zeroed: vcma-test-peer.c looks at every byte. */
    g_assert_cmpuint(vcma_peer_lease_wait(p), ==, VCMA_ST_OK);
    g_assert_cmphex(vcma_peek(t.d, e.range[0].offset), ==, ~0ull);
    /* Late is not wrong, but an id that was never given is. */
    g_assert_cmpuint(reclaim_done(t.d, e.id, VIRTIO_CMA_S_OK), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(reclaim_done(t.d, e.id + 1000, VIRTIO_CMA_S_OK), ==,
                     VIRTIO_CMA_S_INVALID);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/*
 * The guest needs them: the peer is refused before its deadline.
 * [V-41]
 */
static void test_reclaim_busy(void)
{
    gint64 before;
    uint32_t status;
    VcmaPeer *p;
    VcmaEvent e;
    VcmaTest t;

    vcma_test_init(&t);
    for (int i = 0; i < 8; i++) {
        vcma_post_event(t.d, EVENT_SIZE);
    }
    p = fill_pool(&t);
    before = g_get_monotonic_time();
    vcma_peer_lease_send(p, MiB_(8), 8000);
    while (!p->lease_done) {
        g_assert_cmpint(g_get_monotonic_time() - before, <, 8000 * 1000);
        if (vcma_poll_event(t.d, &e) && e.type == VIRTIO_CMA_EV_RECLAIM) {
            g_assert_cmpuint(reclaim_done(t.d, e.id, VIRTIO_CMA_S_BUSY), ==,
                             VIRTIO_CMA_S_OK);
        }
        vcma_peer_pump(p, 2);
    }
    status = vcma_peer_lease_wait(p);
    g_assert_true(status == VCMA_ST_TRY_LATER || status == VCMA_ST_NO_RUN ||
                  status == VCMA_ST_BUSY);
    for (int i = 0; i < 4; i++) {
        g_assert_cmphex(vcma_peek(t.d, MiB_(8) * i), ==, i + 1);
    }
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/*
 * A driver that posts no buffers stalls nobody but itself: the peer's request
 * ends, and the event comes when there is a buffer, or never.
 * [V-40]
 */
static void test_reclaim_no_buffer(void)
{
    VcmaPeer *p;
    VcmaEvent e;
    VcmaTest t;

    vcma_test_init(&t);
    p = fill_pool(&t);
    vcma_peer_lease_send(p, MiB_(8), 300);
    g_assert_cmpuint(vcma_peer_lease_wait(p), !=, VCMA_ST_OK);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 1);

    vcma_peer_lease_send(p, MiB_(8), 5000);
    vcma_peer_pump(p, 50);
    for (int i = 0; i < 8 && !p->lease_done; i++) {
        gint64 until = g_get_monotonic_time() + 300 * 1000;

        vcma_post_event(t.d, EVENT_SIZE);
        while (!p->lease_done && g_get_monotonic_time() < until) {
            if (vcma_poll_event(t.d, &e)) {
                if (e.type == VIRTIO_CMA_EV_RECLAIM) {
                    for (uint32_t j = 0; j < e.num_ranges; j++) {
                        vcma_unplug(t.d, e.range[j].offset, e.range[j].size);
                    }
                    reclaim_done(t.d, e.id, VIRTIO_CMA_S_OK);
                }
                break;
            }
            vcma_peer_pump(p, 2);
        }
    }
    vcma_peer_lease_wait(p);
    g_assert_cmpuint(vcma_unplug_all(t.d), >=, 3);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* Too small for an event: the driver is broken, the VM is not. [V-40] */
static void test_small_buffer(void)
{
    static const uint32_t size[] = { 1, 15, EVENT_SIZE - 1 };
    VcmaPeer *p;
    VcmaTest t;

    vcma_test_init(&t);
    for (size_t i = 0; i < G_N_ELEMENTS(size); i++) {
        vcma_post_event(t.d, size[i]);
        p = fill_pool(&t);
        vcma_peer_lease_send(p, MiB_(8), 200);
        vcma_peer_lease_wait(p);
        vcma_peer_free(p);
        vcma_dev_reset(t.d);
        vcma_dev_start(t.d);
        vcma_op_wait_leases(t.b, "alpha", 0);
        vcma_wait_idle(t.b);
    }
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/* [V-43] */
static void test_pool_changed(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1, .deadline_ms = 100
    };
    VcmaReply reply;
    VcmaPeer *p;
    VcmaEvent e;
    VcmaTest t;

    vcma_test_init(&t);
    for (int i = 0; i < 4; i++) {
        vcma_post_event(t.d, EVENT_SIZE);
    }
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, 0, MiB_(8));
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, !=, VIRTIO_CMA_S_OK);
    vcma_peer_release(p, p->lease_id);
    vcma_wait_event(t.d, VIRTIO_CMA_EV_POOL_CHANGED, &e);
    g_assert_cmpuint(e.num_ranges, ==, 0);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* kill -9: the memory stays, nothing more comes, and the VM goes on. [V-50] */
static void test_killed(void)
{
    gint64 deadline = vcma_deadline();
    g_autofree char *qemu = NULL;
    uint16_t status;
    VcmaTest t;

    vcma_test_init(&t);
    qemu = g_strdup_printf("%d", vcma_qemu_pid(t.b));
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(8), MiB_(8)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(t.d, 0, 0x77);
    vcma_broker_kill(t.b, SIGKILL);
    while ((status = vcma_plug(t.d, MiB_(32), MiB_(8))) ==
           VIRTIO_CMA_S_TRY_LATER) {
        vcma_nap(deadline, "the device to see that its broker is away");
    }
    g_assert_cmpuint(status, ==, VIRTIO_CMA_S_BROKER_AWAY);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x77);
    vcma_poke(t.d, MiB_(8), 0x88);
    g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, 0x88);
    g_assert_cmphex(vcma_peek(t.d, MiB_(32)), ==, ~0ull);
    g_assert_cmpuint(vcma_state(t.d, 0, MiB_(16)), ==, VIRTIO_CMA_PLUGGED);
    /* A new vcmad would not know what this process holds: it says so. */
    vcma_broker_refuses(t.b, qemu);
    /* What the guest gives up it cannot reach, broker or not. */
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 1);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(8)), !=, VIRTIO_CMA_S_OK);
    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    vcma_test_fini(&t);
}

/* A request that waits when the broker dies is answered. */
static void test_killed_waiting(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 2, .deadline_ms = 60000
    };
    gint64 deadline = vcma_deadline();
    struct vcma_op_vm vm;
    VcmaReply reply;
    VcmaPeer *p;
    VcmaTest t;
    int slot;

    vcma_test_init(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    vcma_range(&req.range[1], 1, MiB_(4), MiB_(4));
    slot = vcma_send(t.d, &req);
    do {
        vcma_nap(deadline, "the request to wait at the broker");
        vcma_op_get_vm(t.b, "alpha", &vm);
    } while (!le32_to_cpu(vm.nr_waiting));
    vcma_broker_kill(t.b, SIGKILL);
    vcma_collect(t.d, slot, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_BROKER_AWAY);
    g_assert_cmpuint(reply.result[1], ==, VIRTIO_CMA_S_BROKER_AWAY);
    g_assert_cmpuint(reply.num_done, ==, 0);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* The broker ends and comes again while the VM holds nothing. */
static void test_restarted(void)
{
    gint64 deadline = vcma_deadline();
    uint16_t status;
    VcmaTest t;

    vcma_test_init_vms(&t, NULL, "reconnect-ms=20", NULL);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(8)), ==,
                         VIRTIO_CMA_S_OK);
        g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
        vcma_op_wait_leases(t.b, "alpha", 0);
        vcma_broker_kill(t.b, i ? SIGKILL : SIGTERM);
        while ((status = vcma_plug(t.d, 0, MiB_(8))) !=
               VIRTIO_CMA_S_BROKER_AWAY) {
            g_assert_cmpuint(status, ==, VIRTIO_CMA_S_TRY_LATER);
            vcma_nap(deadline, "the device to see that its broker is away");
        }
        vcma_broker_start(t.b);
        vcma_op_wait_connected(t.b, "alpha", true);
        while ((status = vcma_plug(t.d, 0, MiB_(8))) != VIRTIO_CMA_S_OK) {
            g_assert_true(status == VIRTIO_CMA_S_BROKER_AWAY ||
                          status == VIRTIO_CMA_S_TRY_LATER);
            vcma_nap(deadline, "PLUG with the new broker");
        }
        vcma_assert_filled(t.d, 0, 4096, 0);
        g_assert_cmpuint(vcma_unplug_all(t.d), ==, 1);
        vcma_op_wait_leases(t.b, "alpha", 0);
    }
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/broker/reclaim", test_reclaim);
    qtest_add_func("vcma/broker/reclaim-busy", test_reclaim_busy);
    qtest_add_func("vcma/broker/reclaim-no-buffer", test_reclaim_no_buffer);
    qtest_add_func("vcma/broker/small-buffer", test_small_buffer);
    qtest_add_func("vcma/broker/pool-changed", test_pool_changed);
    qtest_add_func("vcma/broker/killed", test_killed);
    qtest_add_func("vcma/broker/killed-waiting", test_killed_waiting);
    qtest_add_func("vcma/broker/restarted", test_restarted);
    return g_test_run();
}
