/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-start-test.c - how QEMU starts, or says why not; migration
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"

/* No vcmad there: an error that names the socket and the cure. */
static void test_no_broker(void)
{
    VcmaBroker *b = vcma_broker_prepare(NULL);
    g_autofree char *args = vcma_args(b, "alpha", NULL, NULL);

    vcma_qemu_refuses(args, "/alpha.sock'", "wait=off");
    vcma_broker_free(b);
}

static void test_refused_by_broker(void)
{
    VcmaBroker *b = vcma_broker_new(NULL);
    g_autofree char *unknown = vcma_args(b, "delta", NULL, NULL);
    g_autofree char *taken = vcma_args(b, "beta", NULL, NULL);
    g_autofree char *operator = vcma_args(b, "vcmad", NULL, NULL);
    VcmaPeer *p = vcma_peer_new(b, "beta");

    /* Not configured, so there is no socket. */
    vcma_qemu_refuses(unknown, "/delta.sock'", "[vm]");
    /* A second connection of a VM. */
    vcma_qemu_refuses(taken, "/beta.sock'", "connection");
    /* The operator's socket gives no memory. */
    vcma_qemu_refuses(operator, "/vcmad.sock'", "operator");
    vcma_peer_free(p);
    vcma_broker_free(b);
}

/* wait=off: it starts without one, and connects when it comes. */
static void test_wait_off(void)
{
    VcmaTest t = { .b = vcma_broker_prepare(NULL) };
    gint64 deadline = vcma_deadline();
    g_autofree char *args = NULL;
    uint16_t status;

    args = vcma_args(t.b, "alpha", "wait=off,reconnect-ms=20", NULL);
    t.qs = vcma_boot(t.b, args);
    t.d = vcma_dev_probe(t.qs, QPCI_DEVFN(4, 0));
    g_assert_cmpuint(t.d->cfg.granule_size, ==, VCMA_GRANULE);
    vcma_dev_start(t.d);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_BROKER_AWAY);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 0);
    vcma_broker_start(t.b);
    while ((status = vcma_plug(t.d, 0, MiB_(4))) != VIRTIO_CMA_S_OK) {
        g_assert_true(status == VIRTIO_CMA_S_BROKER_AWAY ||
                      status == VIRTIO_CMA_S_TRY_LATER);
        vcma_nap(deadline, "the connection to the broker that came late");
    }
    vcma_assert_filled(t.d, 0, 4096, 0);
    vcma_test_fini(&t);
}

static void test_properties(void)
{
    static const struct {
        const char *device;     /* after virtio-cma-pci */
        const char *text;
        const char *text2;
    } bad[] = {
        { "normal=64M", "broker", NULL },
        { "broker=b9,normal=64M", "b9", NULL },
        { "broker=b0", "normal", "dma32" },
        { "broker=b0,normal=0", "normal", NULL },
        { "broker=b0,normal=1", "normal", "2 MiB" },
        { "broker=b0,normal=3M", "normal", "2 MiB" },
        { "broker=b0,normal=18446744073709551615", "normal", NULL },
        { "broker=b0,normal=9223372036854775808", "normal", NULL },
        { "broker=b0,dma32=4097", "dma32", "2 MiB" },
        { "broker=b0,dma32=8G", "dma32", NULL },
        { "broker=b0,normal=64M -device virtio-cma-pci,broker=b0,normal=64M",
          "b0", "already" },
    };
    VcmaBroker *b = vcma_broker_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *args = g_strdup_printf(
            "-object vcma-broker,id=b0,path=%s/alpha.sock "
            "-device virtio-cma-pci,%s", b->dir, bad[i].device);

        vcma_qemu_refuses(args, bad[i].text, bad[i].text2);
    }
    vcma_qemu_refuses("-object vcma-broker,id=b0", "path", NULL);
    vcma_broker_free(b);
}

/* Two devices, each with a broker of its own, know nothing of each other. */
static void test_two_devices(void)
{
    VcmaTest t = { .b = vcma_broker_new(NULL) };
    g_autofree char *one = vcma_args(t.b, "alpha", NULL, NULL);
    g_autofree char *both = g_strdup_printf(
        "%s -object vcma-broker,id=b1,path=%s/beta.sock "
        "-device virtio-cma-pci,id=cma1,broker=b1,normal=16M,addr=05.0",
        one, t.b->dir);
    QPCIDevice *second;
    VcmaDev *d;

    t.qs = vcma_boot(t.b, both);
    d = vcma_dev_probe(t.qs, QPCI_DEVFN(5, 0));
    vcma_dev_start(d);
    /* Out of the way of the first one's BAR. */
    second = d->pci->pdev;
    qpci_config_writel(second, 0x1c, 9);
    d->base[0] += 0x100000000ull;
    t.d = vcma_dev_probe(t.qs, QPCI_DEVFN(4, 0));
    vcma_dev_start(t.d);

    g_assert_cmpuint(vcma_plug(d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(d, 0, 0x22);
    g_assert_cmphex(vcma_peek(t.d, 0), ==, ~0ull);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_poke(t.d, 0, 0x11);
    g_assert_cmpuint(vcma_unplug_all(t.d), ==, 1);
    g_assert_cmphex(vcma_peek(d, 0), ==, 0x22);
    g_assert_cmpuint(vcma_op_nr_leases(t.b, "beta"), ==, 1);
    vcma_dev_free(d);
    vcma_test_fini(&t);
}

/* Contiguous memory of this host cannot follow the VM. [V-34] */
static void test_migration(void)
{
    g_autofree char *why = NULL;
    VcmaTest t;

    vcma_test_init(&t);
    g_assert_cmpuint(vcma_plug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(vcma_plug(t.d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    why = vcma_migrate_error(t.qs->qts);
    g_assert_nonnull(why);
    g_test_message("%s", why);
    g_assert_nonnull(strstr(why, "virtio-cma"));
    g_assert_nonnull(strstr(why, "unload"));
    g_free(g_steal_pointer(&why));

    g_assert_cmpuint(vcma_unplug(t.d, 0, MiB_(4)), ==, VIRTIO_CMA_S_OK);
    why = vcma_migrate_error(t.qs->qts);
    g_assert_nonnull(why);
    g_free(g_steal_pointer(&why));

    g_assert_cmpuint(vcma_unplug(t.d, MiB_(4), MiB_(4)), ==, VIRTIO_CMA_S_OK);
    vcma_op_wait_leases(t.b, "alpha", 0);
    why = vcma_migrate_error(t.qs->qts);
    g_assert_null(why);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/start/no-broker", test_no_broker);
    qtest_add_func("vcma/start/refused-by-broker", test_refused_by_broker);
    qtest_add_func("vcma/start/wait-off", test_wait_off);
    qtest_add_func("vcma/start/properties", test_properties);
    qtest_add_func("vcma/start/two-devices", test_two_devices);
    qtest_add_func("vcma/start/migration", test_migration);
    return g_test_run();
}
