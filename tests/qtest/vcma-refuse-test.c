/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-refuse-test.c - each refusal with its status
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"

#define U64(n)      ((uint64_t)(n))
#define NEG(n)      (-U64(n))

typedef struct BadRange {
    const char *why;
    uint32_t window;
    uint64_t offset;
    uint64_t size;
    const char *said;       /* with -d guest_errors */
} BadRange;

/* None of these can be a lease; at 4 MiB, 4 MiB long, there is one. */
static const BadRange bad_plug[] = {
    { "no such window", 3, 0, MiB_(2), "no such window;" },
    { "window 0", 0, 0, MiB_(2), "no such window;" },
    { "window 2^32-1", ~0u, 0, MiB_(2), "no such window;" },
    { "size 0", 1, 0, 0, "size is 0;" },
    { "size 2^64-1", 1, 0, ~U64(0), "multiples of the granule;" },
    { "size 2^63", 1, 0, U64(1) << 63, "beyond the window's end;" },
    { "size 1", 1, 0, 1, "multiples of the granule;" },
    { "below a granule", 1, 0, MiB_(1), "multiples of the granule;" },
    { "no power of two", 1, 0, MiB_(6), "power of two;" },
    { "no multiple of a granule", 1, 0, MiB_(2) + 4096,
      "multiples of the granule;" },
    { "offset within a granule", 1, 4096, MiB_(2),
      "multiples of the granule;" },
    { "offset odd", 1, MiB_(2) + 1, MiB_(2), "multiples of the granule;" },
    { "beyond the window", 1, VCMA_NORMAL_SIZE, MiB_(2),
      "beyond the window's end;" },
    { "across its end", 1, VCMA_NORMAL_SIZE - MiB_(2), MiB_(4),
      "beyond the window's end;" },
    { "larger than the window", 2, 0, MiB_(32), "beyond the window's end;" },
    { "offset 2^64-2M", 1, NEG(MiB_(2)), MiB_(2), "beyond 2^64;" },
    { "wraps to the window", 1, NEG(MiB_(2)), MiB_(4), "beyond 2^64;" },
    { "offset 2^63", 1, U64(1) << 63, MiB_(2), "beyond the window's end;" },
    { "both 2^63", 1, U64(1) << 63, U64(1) << 63, "beyond 2^64;" },
    { "the lease itself", 1, MiB_(4), MiB_(4), "overlaps a lease;" },
    { "inside the lease", 1, MiB_(6), MiB_(2), "overlaps a lease;" },
    { "around the lease", 1, 0, MiB_(16), "overlaps a lease;" },
};

/* These are not exactly the lease. */
static const BadRange bad_unplug[] = {
    { "nothing there", 1, MiB_(16), MiB_(4), "no lease is exactly that;" },
    { "half of it", 1, MiB_(4), MiB_(2), "no lease is exactly that;" },
    { "the other half", 1, MiB_(6), MiB_(2), "no lease is exactly that;" },
    { "more than it", 1, MiB_(4), MiB_(8), "no lease is exactly that;" },
    { "size 0", 1, MiB_(4), 0, "size is 0;" },
    { "size 2^64-1", 1, MiB_(4), ~U64(0), "beyond 2^64;" },
    { "wraps", 1, MiB_(4), NEG(MiB_(4)), "beyond 2^64;" },
    { "in the other window", 2, MiB_(4), MiB_(4), "no lease is exactly that;" },
    { "no such window", 7, MiB_(4), MiB_(4), "no such window;" },
};

static const BadRange bad_state[] = {
    { "no such window", 9, 0, MiB_(2), "no such window;" },
    { "size 0", 1, 0, 0, "size is 0;" },
    { "wraps", 1, MiB_(4), NEG(MiB_(2)), "beyond 2^64;" },
    { "across the end", 1, VCMA_NORMAL_SIZE - MiB_(2), MiB_(4),
      "beyond the window's end;" },
    { "offset within a granule", 1, 4096, MiB_(2),
      "multiples of the granule;" },
};

static void check_bad(VcmaTest *t, uint16_t type, const BadRange *bad, size_t n)
{
    g_free(vcma_said(t));
    for (size_t i = 0; i < n; i++) {
        g_autofree char *text = NULL;
        uint16_t status = vcma_call1(t->d, type, bad[i].window, bad[i].offset,
                                     bad[i].size);

        if (status != VIRTIO_CMA_S_INVALID) {
            g_error("request %u, %s: status %u", type, bad[i].why, status);
        }
        text = vcma_said(t);
        if (!strstr(text, bad[i].said)) {
            g_error("request %u, %s: '%s'", type, bad[i].why, text);
        }
    }
}

/* [V-14], [V-20], [V-25] */
static void test_ranges(void)
{
    VcmaTest t;

    vcma_test_init_windows(&t, "q35", "normal=64M,dma32=16M");
    g_assert_cmpuint(vcma_plug(t.d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(t.d, MiB_(4), 0x42);
    check_bad(&t, VIRTIO_CMA_REQ_PLUG, bad_plug, G_N_ELEMENTS(bad_plug));
    check_bad(&t, VIRTIO_CMA_REQ_UNPLUG, bad_unplug, G_N_ELEMENTS(bad_unplug));
    check_bad(&t, VIRTIO_CMA_REQ_STATE, bad_state, G_N_ELEMENTS(bad_state));
    g_assert_cmphex(vcma_peek(t.d, MiB_(4)), ==, 0x42);
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 1);
    g_assert_cmpuint(vcma_unplug(t.d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/*
 * Two ranges of one request that overlap each other: the second is refused.
 * [V-20], [V-25]
 */
static void test_overlap_within(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 2 };
    VcmaReply reply;
    VcmaTest t;

    vcma_test_init(&t);
    vcma_range(&req.range[0], 1, 0, MiB_(8));
    vcma_range(&req.range[1], 1, MiB_(4), MiB_(4));
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.result[0], ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(reply.result[1], ==, VIRTIO_CMA_S_INVALID);
    g_assert_cmpuint(reply.num_done, ==, 1);

    /* The same twice to UNPLUG: it is there only once. */
    req.type = VIRTIO_CMA_REQ_UNPLUG;
    req.range[1] = req.range[0];
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.result[0], ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(reply.result[1], !=, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(reply.num_done, ==, 1);
    vcma_test_fini(&t);
}

static void expect(VcmaDev *d, const VcmaRequest *req, uint16_t status)
{
    VcmaReply reply;

    vcma_call(d, req, &reply);
    g_assert_cmpuint(reply.status, ==, status);
    g_assert_cmpuint(reply.num_done, ==, 0);
}

/* What is wrong is not a range but the request. [V-12], [V-13] */
static void test_requests(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1 };
    static const uint16_t unknown[] = { 0, 8, 99, 0xffff };
    VcmaTest t;
    size_t i;

    vcma_test_init(&t);
    vcma_range(&req.range[0], 1, 0, MiB_(2));
    req.range[0].reserved = 1;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.range[0].reserved = 0;
    req.status = 1;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.status = 0;
    req.id = 1;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.id = 0;
    req.num_ranges = 0;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.num_ranges = VIRTIO_CMA_RANGES_MAX + 1;
    for (i = 0; i < req.num_ranges; i++) {
        vcma_range(&req.range[i], 1, 0, MiB_(2));
    }
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.num_ranges = 1;
    req.type = VIRTIO_CMA_REQ_UNPLUG_ALL;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.type = VIRTIO_CMA_REQ_CONFIRM;
    expect(t.d, &req, VIRTIO_CMA_S_UNSUPPORTED);
    for (i = 0; i < G_N_ELEMENTS(unknown); i++) {
        req.type = unknown[i];
        expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    }
    /* No RECLAIM has this id. */
    req.type = VIRTIO_CMA_REQ_RECLAIM_DONE;
    req.num_ranges = 0;
    req.id = 77;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);
    req.id = 0;
    expect(t.d, &req, VIRTIO_CMA_S_INVALID);

    g_assert_cmpuint(vcma_op_nr_leases(t.b, "alpha"), ==, 0);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/* The most ranges that a request may have. [V-12], [V-15] */
static void test_many_ranges(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_STATE,
        .num_ranges = VIRTIO_CMA_RANGES_MAX
    };
    VcmaReply reply;
    VcmaTest t;
    int i;

    vcma_test_init(&t);
    for (i = 0; i < VIRTIO_CMA_RANGES_MAX; i++) {
        vcma_range(&req.range[i], 1, MiB_(2) * (i % 32), MiB_(2));
    }
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.num_done, ==, VIRTIO_CMA_RANGES_MAX);
    req.type = VIRTIO_CMA_REQ_PLUG;
    vcma_call(t.d, &req, &reply);
    /* 16 granules are the limit; what came twice is an overlap or too much. */
    g_assert_cmpuint(reply.num_done, ==, 16);
    for (i = 0; i < 16; i++) {
        g_assert_cmpuint(reply.result[i], ==, VIRTIO_CMA_S_OK);
    }
    for (; i < 32; i++) {
        g_assert_cmpuint(reply.result[i], ==, VIRTIO_CMA_S_OVER_LIMIT);
    }
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 16);
    vcma_test_fini(&t);
}

/* [V-22] */
static void test_over_limit(void)
{
    VcmaTest t;

    vcma_test_init(&t);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(16)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(16), MiB_(16)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(32), MiB_(2)), ==,
                     VIRTIO_CMA_S_OVER_LIMIT);
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(16)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug_retry(t.d, MiB_(32), MiB_(16)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/* The device's own limit: how many leases it can have at a time. [V-22] */
static void test_max_leases(void)
{
    VcmaTest t;

    vcma_test_init_vms(&t, NULL, NULL, "addr=04.0,max-leases=2");
    g_assert_cmpuint(t.d->cfg.max_leases, ==, 2);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_call1(t.d, VIRTIO_CMA_REQ_PLUG, 2, 0, MiB_(2)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(2), MiB_(2)), ==,
                     VIRTIO_CMA_S_OVER_LIMIT);
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug_retry(t.d, MiB_(2), MiB_(2)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/*
 * The guest's own leases lie so that there is no run of half the pool, and
 * nobody can be asked for one.
 * [V-22]
 */
static void test_no_run(void)
{
    VcmaTest t;

    if (!g_strcmp0(g_getenv("VCMA_BACKING"), "hugetlb")) {
        g_test_skip("where leases lie depends on the machine's huge pages");
        return;
    }
    vcma_test_init_vms(&t, "[vm alpha]\npool=main\nlimit=64M\n", NULL, NULL);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(32)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(48), MiB_(16)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(32), MiB_(16)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(32)), ==, VIRTIO_CMA_S_OK);
    /* There is room only where the 32 MiB were. */
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_unplug(t.d, MiB_(32), MiB_(16)), ==,
                     VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t.b, "alpha", 2);
    vcma_wait_idle(t.b);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(16), MiB_(32)), ==,
                     VIRTIO_CMA_S_NO_RUN);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(16), MiB_(16)), ==, VIRTIO_CMA_S_OK);
    vcma_test_fini(&t);
}

/*
 * Half of the pool is free, but in pieces, and the holder of the others says
 * at once that it needs them: so the answer does not wait for the deadline.
 */
static void test_in_pieces(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1, .deadline_ms = 8000
    };
    gint64 deadline = g_get_monotonic_time() + 6000 * 1000;
    uint64_t id[16];
    VcmaReply reply;
    VcmaPeer *p;
    VcmaTest t;
    int slot;

    vcma_test_init(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 16; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(4)), ==, VCMA_ST_OK);
        id[i] = p->lease_id;
    }
    for (int i = 0; i < 16; i += 2) {
        vcma_peer_release(p, id[i]);
    }
    vcma_wait_idle(t.b);
    vcma_range(&req.range[0], 1, 0, MiB_(16));
    slot = vcma_send(t.d, &req);
    while (!vcma_is_done(t.d, slot)) {
        vcma_peer_pump(p, 5); /* it says BUSY */
        vcma_nap(deadline, "the answer to a request");
    }
    vcma_collect(t.d, slot, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_TRY_LATER);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

/* [V-22] */
static void test_guaranteed(void)
{
    VcmaTest t;

    vcma_test_init_vms(&t, "[vm alpha]\npool=main\nlimit=64M\n"
                       "[vm beta]\npool=main\nguarantee=48M/16M\nlimit=64M\n",
                       NULL, NULL);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(16)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(16), MiB_(2)), ==,
                     VIRTIO_CMA_S_GUARANTEED);
    vcma_test_fini(&t);
}

/*
 * Another VM has it all and does not answer: the deadline ends the wait.
 * [V-21]
 */
static void test_deadline(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1, .deadline_ms = 200
    };
    gint64 before;
    VcmaReply reply;
    VcmaPeer *p;
    VcmaTest t;

    vcma_test_init(&t);
    p = vcma_peer_new(t.b, "beta");
    for (int i = 0; i < 4; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, 0, MiB_(4));
    before = g_get_monotonic_time();
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_TRY_LATER);
    g_assert_cmpint(g_get_monotonic_time() - before, >=, 190 * 1000);
    g_assert_cmpint(g_get_monotonic_time() - before, <, 3000 * 1000);
    /* The peer was asked, and has not read it. */
    vcma_peer_pump(p, 100);
    g_assert_cmpuint(p->nr_reclaims, >=, 1);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
    vcma_peer_release(p, p->lease_id);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_peer_free(p);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/refuse/ranges", test_ranges);
    qtest_add_func("vcma/refuse/overlap-within", test_overlap_within);
    qtest_add_func("vcma/refuse/requests", test_requests);
    qtest_add_func("vcma/refuse/many-ranges", test_many_ranges);
    qtest_add_func("vcma/refuse/over-limit", test_over_limit);
    qtest_add_func("vcma/refuse/max-leases", test_max_leases);
    qtest_add_func("vcma/refuse/guaranteed", test_guaranteed);
    qtest_add_func("vcma/refuse/no-run", test_no_run);
    qtest_add_func("vcma/refuse/in-pieces", test_in_pieces);
    qtest_add_func("vcma/refuse/deadline", test_deadline);
    return g_test_run();
}
