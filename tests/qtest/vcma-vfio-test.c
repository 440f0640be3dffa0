/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-vfio-test.c - what VFIO is told of leases, and in which order
 *
 * Runs qemu-test-system-x86_64 (environment: VCMA_TEST_QEMU), whose
 * vcma-fake-vfio devices stand for VFIO's containers and write down what they
 * are told.  The checks that find the mistakes of vcma-faults.c are written so
 * that they return what is wrong; without a mistake that is nothing.
 */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "vcma-test-util.h"
#include "hw/pci/pci_regs.h"
#include "qapi/qmp/qdict.h"

#define FAKE(id)    "-device vcma-fake-vfio,id=" id " "
#define BACK_MS     3000    /* a lease is back in 5 ms, if nothing is wrong */

/* --- the fake containers --- */

static void boot(VcmaTest *t, const char *windows, const char *extra)
{
    vcma_test_boot(t, NULL, "q35", windows, extra);
    vcma_dev_start(t->d);
}

static QDict *qom(VcmaTest *t, const char *id, const char *get)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    return qtest_qmp(t->qs->qts, "{ 'execute': 'qom-get', 'arguments': "
                     "{ 'path': %s, 'property': %s } }", path, get);
}

static void set_uint(VcmaTest *t, const char *id, const char *name,
                     uint64_t value)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(t->qs->qts, "{ 'execute': 'qom-set', 'arguments': "
                             "{ 'path': %s, 'property': %s, 'value': %" PRIu64
                             " } }", path, name, value);
}

static void attach(VcmaTest *t, const char *id, bool value)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(t->qs->qts, "{ 'execute': 'qom-set', 'arguments': "
                             "{ 'path': %s, 'property': 'attached', "
                             "'value': %i } }", path, value);
}

static uint64_t mapped(VcmaTest *t, const char *id)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    return vcma_qom_uint(t->qs->qts, path, "mapped");
}

/* What was recorded since the last time; free it. */
static char *record(VcmaTest *t)
{
    QDict *r = qom(t, "v0", "record");
    char *text = g_strdup(qdict_get_str(r, "return"));

    qobject_unref(r);
    qtest_qmp_assert_success(t->qs->qts, "{ 'execute': 'qom-set', 'arguments': "
                             "{ 'path': '/machine/peripheral/v0', "
                             "'property': 'record', 'value': '' } }");
    return text;
}

/* @want has the address of offset 0 of window 1 as @, and a line ends with ; */
static char *expand(VcmaTest *t, const char *want)
{
    GString *s = g_string_new(NULL);

    for (; *want; want++) {
        if (*want == '@') {
            g_string_append_printf(s, "0x%" PRIx64, t->d->base[0]);
        } else {
            g_string_append_c(s, *want == ';' ? '\n' : *want);
        }
    }
    return g_string_free(s, false);
}

/* NULL, or what was recorded instead of @want. */
static char *differs(VcmaTest *t, const char *want)
{
    g_autofree char *text = expand(t, want);
    g_autofree char *got = record(t);

    return strcmp(got, text) ?
        g_strdup_printf("recorded:\n%sinstead of:\n%s", got, text) : NULL;
}

static void assert_record(VcmaTest *t, const char *want)
{
    g_autofree char *wrong = differs(t, want);

    if (wrong) {
        g_error("%s", wrong);
    }
}

/* False: there are more leases after BACK_MS still. */
static bool back(VcmaTest *t, uint32_t count)
{
    gint64 end = g_get_monotonic_time() + BACK_MS * 1000;

    while (vcma_op_nr_leases(t->b, "alpha") != count) {
        if (g_get_monotonic_time() > end) {
            return false;
        }
        g_usleep(500);
    }
    return true;
}

static void plug2(VcmaTest *t)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 2 };
    VcmaReply reply;

    vcma_range(&req.range[0], 1, 0, MiB_(4));
    vcma_range(&req.range[1], 1, MiB_(8), MiB_(4));
    vcma_call(t->d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_OK);
}

/* --- checks that find mistakes: NULL, or what is wrong --- */

/*
 * A lease comes: VFIO gets to know the region with nothing in it, and then
 * maps.  It goes: VFIO unmaps, then the region goes, then vcmad has it back.
 */
static char *check_order(void)
{
    char *wrong;
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0") FAKE("v1"));
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    wrong = differs(&t, "v0 add @ 0x400000;v1 add @ 0x400000;"
                    "v0 map @ 0x400000;v1 map @ 0x400000;");
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    if (!wrong && !back(&t, 0)) {
        g_autofree char *got = record(&t);

        wrong = g_strdup_printf("the lease does not come back; recorded:\n%s",
                                got);
    } else if (!wrong) {
        wrong = differs(&t, "v0 unmap @ 0x400000;v1 unmap @ 0x400000;"
                        "v1 del @;v0 del @;release;");
    }
    vcma_test_fini(&t);
    return wrong;
}

/* Two leases, given back one after the other: each is back at once. */
static char *check_apart(bool together, bool first_last)
{
    uint64_t first = first_last ? MiB_(8) : 0;
    char *wrong = NULL;
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0"));
    if (together) {
        plug2(&t);
    } else {
        g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
        g_assert_cmpuint(vcma_plug(t.d, MiB_(8), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    }
    g_assert_cmpuint(vcma_unplug(t.d, first, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    if (!back(&t, 1)) {
        wrong = g_strdup("the first does not come back before the second");
    }
    g_assert_cmpuint(vcma_unplug(t.d, MiB_(8) - first, MiB_(4)), ==,
                     VIRTIO_CMA_S_OK);
    if (!wrong && !back(&t, 0)) {
        wrong = g_strdup("the second does not come back");
    }
    vcma_test_fini(&t);
    return wrong;
}

static void assert_right(char *wrong)
{
    if (wrong) {
        g_error("%s", wrong);
    }
}

static void test_order(void)
{
    assert_right(check_order());
}

static void test_apart(void)
{
    for (int i = 0; i < 4; i++) {
        assert_right(check_apart(i & 1, i & 2));
    }
}

/*
 * Each of them has to be found.  (A section that is added comes with the view
 * from before, so it takes a second lease for a copied view to pin the first.)
 */
static void test_fault(const void *data)
{
    const char *fault = data;
    bool copies = !strcmp(fault, "view-copies");
    g_autofree char *wrong = NULL;

    g_setenv("VCMA_FAULT", fault, true);
    wrong = copies ? check_apart(false, false) : check_order();
    g_unsetenv("VCMA_FAULT");
    g_test_message("%s: %s", fault, wrong ?: "not found");
    g_assert_nonnull(wrong);
}

/* --- maps that fail --- */

/* The second of three says no: the first unmaps, the third is never asked. */
static void test_rollback(void)
{
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0") FAKE("v1") FAKE("v2"));
    set_uint(&t, "v1", "fail", ENOMEM);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_HOST_ERROR);
    vcma_op_wait_leases(t.b, "alpha", 0);
    assert_record(&t, "v0 add @ 0x400000;v1 add @ 0x400000;v2 add @ 0x400000;"
                  "v0 map @ 0x400000;v1 refuse @ 0x400000;v0 unmap @ 0x400000;"
                  "v2 del @;v1 del @;v0 del @;release;");
    g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);

    /* It lives, and all is well when there is room again. */
    set_uint(&t, "v1", "fail", 0);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(t.d, 0, 0x1234);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0x1234);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 1);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 1);
    g_assert_cmpuint(mapped(&t, "v2"), ==, 1);
    vcma_test_fini(&t);
}

/* One range of a request cannot be mapped; the others stay. [V-15] */
static void test_one_of_three(void)
{
    VcmaRequest req = { .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 3 };
    VcmaReply reply;
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0") FAKE("v1"));
    set_uint(&t, "v1", "fail-at", t.d->base[0] + MiB_(8));
    set_uint(&t, "v1", "fail", ENOSPC);
    for (int i = 0; i < 3; i++) {
        vcma_range(&req.range[i], 1, MiB_(8) * i, MiB_(4));
    }
    vcma_call(t.d, &req, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_HOST_ERROR);
    g_assert_cmpuint(reply.num_done, ==, 2);
    g_assert_cmpuint(reply.result[0], ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(reply.result[1], ==, VIRTIO_CMA_S_HOST_ERROR);
    g_assert_cmpuint(reply.result[2], ==, VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t.b, "alpha", 2);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 2);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 2);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, 0);
    g_assert_cmphex(vcma_peek(t.d, MiB_(8)), ==, ~0ull);
    g_assert_cmphex(vcma_peek(t.d, MiB_(16)), ==, 0);
    vcma_test_fini(&t);
}

/* The host's log says which limit it is, and what to do about it. */
static void test_cure(void)
{
    static const struct {
        int err;
        const char *said;
    } cure[] = {
        { ENOMEM, "QEMU may lock 4194304 bytes of memory (RLIMIT_MEMLOCK)" },
        { ENOSPC, "dma_entry_limit" },
        { EINVAL, "IOMMU does not reach that guest address" },
    };
    struct rlimit old, lock = { MiB_(4), 0 };
    int i, out = dup(STDERR_FILENO);

    g_assert_cmpint(getrlimit(RLIMIT_MEMLOCK, &old), ==, 0);
    lock.rlim_max = old.rlim_max;
    for (i = 0; i < G_N_ELEMENTS(cure); i++) {
        g_autofree char *text = NULL;
        char name[] = "/tmp/vcma-qtest-XXXXXX";
        int log = mkstemp(name);
        VcmaTest t;

        g_assert_cmpint(log, >=, 0);
        dup2(log, STDERR_FILENO);
        g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &lock), ==, 0);
        boot(&t, "normal=64M", FAKE("v0"));
        setrlimit(RLIMIT_MEMLOCK, &old);
        dup2(out, STDERR_FILENO);
        set_uint(&t, "v0", "fail", cure[i].err);
        for (int j = 0; j < 20; j++) {
            g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==,
                             VIRTIO_CMA_S_HOST_ERROR);
        }
        vcma_test_fini(&t);
        g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
        unlink(name);
        close(log);
        g_test_message("%s", text);
        g_assert_nonnull(strstr(text, cure[i].said));
        g_assert_nonnull(strstr(text, "the guest does not get it"));
        /* Once: a guest could fill the disk otherwise. */
        g_assert_null(strstr(strstr(text, "VFIO cannot") + 1, "VFIO cannot"));
    }
    close(out);
}

/* --- VFIO devices that come later --- */

static void wait_bad(VcmaTest *t, uint32_t n, VcmaEvent *ret)
{
    vcma_wait_event(t->d, VIRTIO_CMA_EV_LEASE_BAD, ret);
    g_assert_cmpuint(ret->num_ranges, ==, n);
    g_assert_cmpuint(ret->id, ==, 0);
    g_assert_cmpuint(ret->deadline_ms, ==, 0);
}

static void test_hotplug(void)
{
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0") "-device vcma-fake-vfio,id=v1,"
         "attached=off");
    plug2(&t);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 2);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 0);
    g_free(record(&t));
    attach(&t, "v1", true);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 2);
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t.b, "alpha", 1);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 1);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 1);
    attach(&t, "v0", false);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 0);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 1);
    vcma_op_wait_leases(t.b, "alpha", 0);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 0);
    {
        g_autofree char *got = record(&t);

        g_assert_null(strchr(got, '!'));
    }
    vcma_test_fini(&t);
}

/* What cannot be refused is told to the guest, once. [V-64] */
static void test_lease_bad(void)
{
    VcmaEvent ev;
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0") "-device vcma-fake-vfio,id=v1,"
         "attached=off");
    g_assert_cmpuint(vcma_plug(t.d, MiB_(16), MiB_(8)), ==, VIRTIO_CMA_S_OK);
    plug2(&t);
    vcma_poke(t.d, MiB_(16), 77);
    set_uint(&t, "v1", "fail-at", t.d->base[0] + MiB_(16));
    set_uint(&t, "v1", "fail", ENOMEM);
    vcma_post_event(t.d, sizeof(struct virtio_cma_event));
    attach(&t, "v1", true);
    wait_bad(&t, 1, &ev);
    g_assert_cmpuint(ev.range[0].window, ==, 1);
    g_assert_cmphex(ev.range[0].offset, ==, MiB_(16));
    g_assert_cmphex(ev.range[0].size, ==, MiB_(8));
    /* The others can be reached, and so can this one by CPUs. */
    g_assert_cmpuint(mapped(&t, "v1"), ==, 2);
    g_assert_cmphex(vcma_peek(t.d, MiB_(16)), ==, 77);
    g_assert_cmpuint(vcma_state(t.d, MiB_(16), MiB_(8)), ==,
                     VIRTIO_CMA_PLUGGED);

    /* Once more, and nothing new to say. */
    vcma_post_event(t.d, sizeof(struct virtio_cma_event));
    attach(&t, "v1", false);
    attach(&t, "v1", true);
    g_usleep(100000);
    while (vcma_poll_event(t.d, &ev)) {
        g_assert_cmpuint(ev.type, !=, VIRTIO_CMA_EV_LEASE_BAD);
    }
    g_assert_cmpuint(vcma_unplug(t.d, MiB_(16), MiB_(8)), ==, VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t.b, "alpha", 2);
    /* A new lease at that place is a good one. */
    set_uint(&t, "v1", "fail", 0);
    g_assert_cmpuint(vcma_plug_retry(t.d, MiB_(16), MiB_(8)), ==,
                     VIRTIO_CMA_S_OK);
    g_assert_cmpuint(mapped(&t, "v1"), ==, 3);
    vcma_test_fini(&t);
}

/* Address 0 is none: the BAR is off, and the rest of the device is not. */
static void place_bar(VcmaTest *t, uint64_t addr)
{
    QPCIDevice *pdev = t->d->pci->pdev;

    qpci_config_writel(pdev, PCI_BASE_ADDRESS_2, (uint32_t)addr);
    qpci_config_writel(pdev, PCI_BASE_ADDRESS_3, addr >> 32);
}

/* Wherever the guest places the BAR, leases go with it. */
static void test_bar_moved(void)
{
    g_autofree char *want = NULL, *got = NULL;
    uint64_t old;
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0"));
    g_assert_cmpuint(vcma_plug(t.d, MiB_(2), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(t.d, MiB_(2), 99);
    g_free(record(&t));
    old = t.d->base[0];
    place_bar(&t, 0);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 0);
    g_free(record(&t));
    t.d->base[0] = old + MiB_(64);
    place_bar(&t, t.d->base[0]);
    g_assert_cmphex(vcma_peek(t.d, MiB_(2)), ==, 99);
    t.d->base[0] += MiB_(2);    /* where the lease is */
    want = expand(&t, "v0 add @ 0x400000 populated;v0 map @ 0x400000;");
    got = record(&t);
    /* Half-written it was somewhere else for a moment. */
    g_assert_true(g_str_has_suffix(got, want));
    g_assert_null(strchr(got, '!'));
    vcma_test_fini(&t);
}

/*
 * The guest switches the BAR off and on, and it cannot be mapped again.  The
 * event waits for a buffer; what is unplugged meanwhile is not in it. [V-64]
 */
static void test_bar_off(void)
{
    uint64_t at;
    VcmaEvent ev;
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0"));
    at = t.d->base[0];
    plug2(&t);
    g_free(record(&t));
    place_bar(&t, 0);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 0);
    place_bar(&t, at);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 2);
    place_bar(&t, 0);
    set_uint(&t, "v0", "fail", ENOMEM);
    place_bar(&t, at);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 0);
    {
        g_autofree char *got = record(&t);

        g_assert_null(strchr(got, '!'));
    }
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t.b, "alpha", 1);
    vcma_post_event(t.d, sizeof(struct virtio_cma_event));
    vcma_post_event(t.d, sizeof(struct virtio_cma_event));
    wait_bad(&t, 1, &ev);
    g_assert_cmphex(ev.range[0].offset, ==, MiB_(8));

    /* While it is off nobody can object, and nothing is mapped. */
    place_bar(&t, 0);
    g_assert_cmpuint(vcma_plug_retry(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    set_uint(&t, "v0", "fail", 0);
    place_bar(&t, at);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 2);
    vcma_test_fini(&t);
}

/* More bad leases than an event can name. */
static void test_many_bad(void)
{
    uint32_t i, seen = 0;
    VcmaEvent ev;
    VcmaTest t;

    vcma_test_boot(&t, "[vm alpha]\npool=main\nlimit=64M\n", "q35",
                   "normal=64M,granule=2M,dma32=2M",
                   FAKE("v0") "-device vcma-fake-vfio,id=v1,attached=off");
    vcma_dev_start(t.d);
    for (i = 0; i < 32; i++) {
        g_assert_cmpuint(vcma_plug(t.d, MiB_(2) * i, MiB_(2)), ==,
                         VIRTIO_CMA_S_OK);
    }
    set_uint(&t, "v1", "fail", ENOMEM);
    vcma_post_event(t.d, sizeof(struct virtio_cma_event));
    attach(&t, "v1", true);
    wait_bad(&t, 32, &ev);
    for (i = 0; i < 32; i++) {
        g_assert_cmphex(ev.range[i].size, ==, MiB_(2));
        g_assert_cmphex(ev.range[i].offset % MiB_(2), ==, 0);
        g_assert_cmphex(seen & 1u << ev.range[i].offset / MiB_(2), ==, 0);
        seen |= 1u << ev.range[i].offset / MiB_(2);
    }
    vcma_test_fini(&t);
}

/* --- all the other ways in which leases go --- */

static void assert_gone(VcmaTest *t)
{
    g_autofree char *got = NULL;

    vcma_op_wait_leases(t->b, "alpha", 0);
    got = record(t);
    if (strchr(got, '!')) {
        g_error("recorded: %s", got);
    }
    g_assert_cmpuint(mapped(t, "v0"), ==, 0);
}

static void test_ends(void)
{
    VcmaTest t;

    boot(&t, "normal=64M", FAKE("v0"));
    plug2(&t);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 2);
    assert_gone(&t);
    plug2(&t);
    vcma_dev_reset(t.d);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 2);  /* DMA may be under way */
    vcma_dev_start(t.d);
    assert_gone(&t);
    plug2(&t);
    vcma_system_reset(&t);
    assert_gone(&t);
    vcma_test_fini(&t);
}

static void test_device_del(void)
{
    VcmaTest t = { .b = vcma_broker_new(NULL) };

    vcma_boot_root_port(&t, FAKE("v0"));
    vcma_find_device(&t);
    plug2(&t);
    g_assert_cmpuint(mapped(&t, "v0"), ==, 2);
    vcma_del_device(&t);
    assert_gone(&t);
    vcma_test_fini(&t);
}

static void test_fixed(void)
{
    VcmaTest t;

    boot(&t, "dma=4M@12M", FAKE("v0"));
    g_assert_cmpuint(vcma_confirm(t.d, 1), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    assert_record(&t, "v0 add 0xc00000 0x200000;v0 map 0xc00000 0x200000;");
    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(2)), ==, VIRTIO_CMA_S_OK);
    assert_gone(&t);
    vcma_test_fini(&t);
}

/* vhost-vdpa and its like, whichever comes first. */
static void test_keep_all(void)
{
    g_autofree char *us = NULL, *first = NULL, *second = NULL;
    VcmaBroker *b = vcma_broker_new(NULL);

    us = vcma_args(b, "alpha", NULL, NULL);
    first = g_strdup_printf("-M q35 -device vcma-fake-vfio,keep-all=on %s", us);
    second = g_strdup_printf("-M q35 %s -device vcma-fake-vfio,keep-all=on",
                             us);
    vcma_qemu_refuses(first, "wants all of it to stay", "vhost-vdpa");
    vcma_qemu_refuses(second, "somebody needs to discard RAM", "");
    vcma_broker_free(b);
}

int main(int argc, char **argv)
{
    static const char *const faults[] = {
        "early-release", "leak", "no-unmap", "late-unregister", "view-copies",
    };
    const char *qemu = g_getenv("VCMA_TEST_QEMU");
    size_t i;

    g_test_init(&argc, &argv, NULL);
    if (!qemu) {
        g_error("VCMA_TEST_QEMU is not set: give it the path of "
                "qemu-test-system-x86_64");
    }
    g_setenv("QTEST_QEMU_BINARY", qemu, true);
    qtest_add_func("vcma/vfio/order", test_order);
    qtest_add_func("vcma/vfio/apart", test_apart);
    qtest_add_func("vcma/vfio/rollback", test_rollback);
    qtest_add_func("vcma/vfio/one-of-three", test_one_of_three);
    qtest_add_func("vcma/vfio/cure", test_cure);
    qtest_add_func("vcma/vfio/hotplug", test_hotplug);
    qtest_add_func("vcma/vfio/lease-bad", test_lease_bad);
    qtest_add_func("vcma/vfio/bar-moved", test_bar_moved);
    qtest_add_func("vcma/vfio/bar-off", test_bar_off);
    qtest_add_func("vcma/vfio/many-bad", test_many_bad);
    qtest_add_func("vcma/vfio/ends", test_ends);
    qtest_add_func("vcma/vfio/device-del", test_device_del);
    qtest_add_func("vcma/vfio/fixed", test_fixed);
    qtest_add_func("vcma/vfio/keep-all", test_keep_all);
    for (i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *name = g_strdup_printf("vcma/vfio/fault/%s",
                                                faults[i]);

        qtest_add_data_func(name, faults[i], test_fault);
    }
    return g_test_run();
}
