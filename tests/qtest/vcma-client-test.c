/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-client-test.c - the client table: what is in it, and when it changes
 *
 * edu stands for devices that are passed through: any PCI device can be a
 * client.  That clients=auto finds those of VFIO takes VFIO, and is shown
 * elsewhere.
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_regs.h"
#include "qapi/qmp/qdict.h"

/* I/O ports of q35's ACPI hot-plug controller. */
#define PCIHP_EJECT 0x0cc8
#define PCIHP_SEL   0x0cd0

static void boot(VcmaTest *t, const char *clients, const char *extra)
{
    g_autofree char *windows = g_strdup_printf("normal=64M%s%s",
                                               clients ? ",clients=" : "",
                                               clients ?: "");

    vcma_test_boot(t, NULL, "q35", windows, extra);
    vcma_dev_start(t->d);
}

/* All of it is on one page. */
static void read_table(VcmaTest *t, VcmaTable *ret)
{
    vcma_clients(t->d, 0, VCMA_TEST_CLIENTS, ret);
    g_assert_cmpuint(ret->status, ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(ret->next, ==, 0);
}

static void assert_client(const VcmaTable *table, uint32_t i, uint8_t bus,
                          uint8_t devfn, uint32_t bank, uint64_t forbidden)
{
    g_assert_cmpuint(i, <, table->nr);
    g_assert_cmphex(table->client[i].segment, ==, 0);
    g_assert_cmphex(table->client[i].bus, ==, bus);
    g_assert_cmphex(table->client[i].devfn, ==, devfn);
    g_assert_cmpuint(table->client[i].bank, ==, bank);
    g_assert_cmphex(table->client[i].forbidden, ==, forbidden);
}

static bool changed(VcmaTest *t)
{
    VcmaEvent ev;

    while (vcma_poll_event(t->d, &ev)) {
        if (ev.type == VIRTIO_CMA_EV_CLIENTS_CHANGED) {
            g_assert_cmpuint(ev.num_ranges, ==, 0);
            g_assert_cmpuint(ev.id, ==, 0);
            return true;
        }
    }
    return false;
}

static void wait_changed(VcmaTest *t)
{
    gint64 deadline = vcma_deadline();

    while (!changed(t)) {
        vcma_nap(deadline, "CLIENTS_CHANGED");
    }
}

static void assert_unchanged(VcmaTest *t)
{
    g_usleep(50000);
    g_assert_false(changed(t));
}

static void post_events(VcmaTest *t, int n)
{
    while (n--) {
        vcma_post_event(t->d, sizeof(struct virtio_cma_event));
    }
}

/* --- what is in it --- */

#define BANK_CONF \
    "[vm alpha]\npool=main\nlimit=32M\n" \
    "[pool side]\nbacking=memfd\nsize=16M\nchunk=2M\n" \
    "[bank alpha 1]\npool=side\nlimit=4M\n"

/* [V-62] */
static void test_list(void)
{
    g_autofree char *text = NULL;
    VcmaTable table;
    VcmaTest t;
    QDict *r;

    vcma_test_boot(&t, BANK_CONF, "q35", "normal=16M+16M:bank=1,"
                   "clients=edu1:forbid=0x100000+edu0+edu2:bank=1:hotplug+"
                   "later.gpu:hotplug",
                   "-device edu,id=edu0,addr=5.0 -device edu,id=edu1,addr=7.3 "
                   "-device edu,id=edu2,addr=6.0 -device edu,id=edu3,addr=9.0");
    vcma_dev_start(t.d);
    g_assert_true(t.d->features & 1ull << VIRTIO_CMA_F_CLIENT_TABLE);
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, ==, 3);
    assert_client(&table, 0, 0, PCI_DEVFN(5, 0), 0, 0);
    assert_client(&table, 1, 0, PCI_DEVFN(6, 0), 1, 0);
    assert_client(&table, 2, 0, PCI_DEVFN(7, 3), 0, 0x100000);

    r = qtest_qmp(t.qs->qts, "{ 'execute': 'qom-get', 'arguments': { 'path': "
                  "'/machine/peripheral/cma0', 'property': 'client-table' } }");
    text = g_strdup(qdict_get_str(r, "return"));
    qobject_unref(r);
    g_assert_cmpstr(text, ==, "0000:00:05.0 bank=0 forbid=0x0\n"
                    "0000:00:06.0 bank=1 forbid=0x0\n"
                    "0000:00:07.3 bank=0 forbid=0x100000\n");
    vcma_test_fini(&t);
}

/* Without VFIO nobody is a client by himself. */
static void test_auto(void)
{
    static const char *const how[] = { NULL, "auto" };
    VcmaTable table;
    VcmaTest t;

    for (int i = 0; i < 2; i++) {
        boot(&t, how[i], "-device edu,id=edu0,addr=5.0");
        g_assert_true(t.d->features & 1ull << VIRTIO_CMA_F_CLIENT_TABLE);
        read_table(&t, &table);
        g_assert_cmpuint(table.nr, ==, 0);
        vcma_test_fini(&t);
    }
}

static void test_off(void)
{
    VcmaTable table;
    VcmaTest t;

    boot(&t, "off", "-device edu,id=edu0,addr=5.0");
    g_assert_false(t.d->features & 1ull << VIRTIO_CMA_F_CLIENT_TABLE);
    vcma_clients(t.d, 0, 8, &table);
    g_assert_cmpuint(table.status, ==, VIRTIO_CMA_S_UNSUPPORTED);
    vcma_test_fini(&t);
}

/* It is offered, and the driver does not want it. */
static void test_not_negotiated(void)
{
    VcmaTable table;
    VcmaTest t;

    boot(&t, "edu0", "-device edu,id=edu0,addr=5.0");
    vcma_dev_reset(t.d);
    t.d->accept &= ~(1ull << VIRTIO_CMA_F_CLIENT_TABLE);
    vcma_dev_start(t.d);
    vcma_clients(t.d, 0, 8, &table);
    g_assert_cmpuint(table.status, ==, VIRTIO_CMA_S_UNSUPPORTED);
    vcma_test_fini(&t);
}

/* All but bridges, and the device itself. */
static void test_all(void)
{
    bool seen = false;
    VcmaTable table;
    VcmaTest t;

    boot(&t, "all", "-device edu,id=edu0,addr=5.0 "
         "-device pcie-root-port,id=rp0,addr=6.0,chassis=1");
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, >, 1);   /* q35 has a disk controller */
    for (uint32_t i = 0; i < table.nr; i++) {
        int bdf = table.client[i].bus << 8 | table.client[i].devfn;
        QPCIDevice *dev = qpci_device_find(t.qs->pcibus, bdf);

        g_assert_nonnull(dev);
        g_assert_cmphex(qpci_config_readw(dev, PCI_CLASS_DEVICE) >> 8, !=,
                        PCI_BASE_CLASS_BRIDGE);
        g_assert_cmphex(table.client[i].devfn, !=, PCI_DEVFN(4, 0));
        seen |= table.client[i].devfn == PCI_DEVFN(5, 0);
        g_free(dev);
    }
    g_assert_true(seen);
    vcma_test_fini(&t);
}

/* [V-68] */
static void test_pages(void)
{
    GString *extra = g_string_new(NULL), *clients = g_string_new(NULL);
    VcmaTable table;
    uint32_t first = 0, n = 0, generation = 0;
    VcmaTest t;

    for (int i = 0; i < 10; i++) {
        g_string_append_printf(extra, "-device edu,id=e%d,addr=%x.0 ", i,
                               i + 5);
        g_string_append_printf(clients, "%se%d", i ? "+" : "", i);
    }
    boot(&t, clients->str, extra->str);
    do {
        vcma_clients(t.d, first, 3, &table);
        g_assert_cmpuint(table.status, ==, VIRTIO_CMA_S_OK);
        g_assert_true(!generation || generation == table.generation);
        generation = table.generation;
        g_assert_cmpuint(table.nr, ==, first < 9 ? 3 : 1);
        for (uint32_t i = 0; i < table.nr; i++) {
            assert_client(&table, i, 0, PCI_DEVFN(5 + n, 0), 0, 0);
            n++;
        }
        g_assert_cmpuint(table.next, ==, n < 10 ? n : 0);
        first = table.next;
    } while (first);
    g_assert_cmpuint(n, ==, 10);

    /* Exactly as much room as is needed; and beyond the end. */
    vcma_clients(t.d, 0, 10, &table);
    g_assert_cmpuint(table.nr, ==, 10);
    g_assert_cmpuint(table.next, ==, 0);
    vcma_clients(t.d, 10, 4, &table);
    g_assert_cmpuint(table.status, ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(table.nr, ==, 0);
    g_assert_cmpuint(table.next, ==, 0);
    vcma_clients(t.d, ~0u, 4, &table);
    g_assert_cmpuint(table.status, ==, VIRTIO_CMA_S_OK);
    g_assert_cmpuint(table.nr, ==, 0);
    /* No room for a single one. */
    vcma_clients(t.d, 0, 0, &table);
    g_assert_cmpuint(table.status, ==, VIRTIO_CMA_S_INVALID);
    vcma_test_fini(&t);
    g_string_free(extra, true);
    g_string_free(clients, true);
}

/* --- bus numbers --- */

/* As firmware or a kernel does it. */
static void number_bridge(VcmaTest *t, uint8_t bus, uint8_t devfn,
                          uint8_t secondary, uint8_t subordinate)
{
    QPCIDevice *dev = qpci_device_find(t->qs->pcibus, bus << 8 | devfn);

    g_assert_nonnull(dev);
    g_assert_cmphex(qpci_config_readb(dev, PCI_HEADER_TYPE) & 0x7f, ==,
                    PCI_HEADER_TYPE_BRIDGE);
    qpci_config_writeb(dev, PCI_PRIMARY_BUS, bus);
    qpci_config_writeb(dev, PCI_SECONDARY_BUS, secondary);
    qpci_config_writeb(dev, PCI_SUBORDINATE_BUS, subordinate);
    g_free(dev);
}

/* A client is where the guest's configuration accesses find it. [V-69] */
static void test_bridges(void)
{
    uint32_t generation;
    QPCIDevice *dev;
    VcmaTable table;
    VcmaTest t;

    boot(&t, "edu0+edu1", "-device pcie-root-port,id=rp0,addr=5.0,chassis=1 "
         "-device edu,id=edu0,bus=rp0,addr=0.0 "
         "-device i82801b11-bridge,id=b0,addr=6.0 "
         "-device pci-bridge,id=b1,bus=b0,addr=1.0,chassis_nr=2,shpc=off "
         "-device edu,id=edu1,bus=b1,addr=3.0");
    post_events(&t, 6);
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, ==, 0);  /* behind bridges without numbers */
    generation = table.generation;

    number_bridge(&t, 0, PCI_DEVFN(5, 0), 7, 7);
    wait_changed(&t);
    read_table(&t, &table);
    g_assert_cmpuint(table.generation, !=, generation);
    g_assert_cmpuint(table.nr, ==, 1);
    assert_client(&table, 0, 7, PCI_DEVFN(0, 0), 0, 0);

    /* The outer one alone is no way to the client behind both. */
    number_bridge(&t, 0, PCI_DEVFN(6, 0), 8, 9);
    assert_unchanged(&t);
    number_bridge(&t, 8, PCI_DEVFN(1, 0), 9, 9);
    wait_changed(&t);
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, ==, 2);
    assert_client(&table, 0, 7, PCI_DEVFN(0, 0), 0, 0);
    assert_client(&table, 1, 9, PCI_DEVFN(3, 0), 0, 0);
    dev = qpci_device_find(t.qs->pcibus, 9 << 8 | PCI_DEVFN(3, 0));
    g_assert_nonnull(dev);
    g_assert_cmphex(qpci_config_readw(dev, PCI_DEVICE_ID), ==, 0x11e8);
    g_free(dev);

    /* The guest changes its mind: one event, whatever it writes. */
    generation = table.generation;
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 0x20, 0x2f);
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 0x30, 0x3f);
    wait_changed(&t);
    assert_unchanged(&t);
    read_table(&t, &table);
    g_assert_cmpuint(table.generation, !=, generation);
    assert_client(&table, 0, 9, PCI_DEVFN(3, 0), 0, 0);
    assert_client(&table, 1, 0x30, PCI_DEVFN(0, 0), 0, 0);

    /* The same numbers once more: nothing has changed. */
    generation = table.generation;
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 0x30, 0x3f);
    assert_unchanged(&t);
    read_table(&t, &table);
    g_assert_cmpuint(table.generation, ==, generation);
    vcma_test_fini(&t);
}

/* --- coming and going --- */

static void unplug(VcmaTest *t, const char *id)
{
    qtest_qmp_device_del_send(t->qs->qts, id);
    qtest_outl(t->qs->qts, PCIHP_SEL, 0);
    qtest_outl(t->qs->qts, PCIHP_EJECT, 1);
    qtest_qmp_eventwait(t->qs->qts, "DEVICE_DELETED");
}

/* [V-70] */
static void test_hotplug(void)
{
    uint32_t generation;
    VcmaTable table;
    VcmaTest t;

    boot(&t, "edu0:hotplug:forbid=0x40000000",
         "-device pcie-root-port,id=rp0,addr=5.0,chassis=1");
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 1, 1);
    post_events(&t, 6);
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, ==, 0);
    for (int i = 0; i < 2; i++) {
        generation = table.generation;
        qtest_qmp_device_add(t.qs->qts, "edu", "edu0", "{ 'bus': 'rp0' }");
        wait_changed(&t);
        read_table(&t, &table);
        g_assert_cmpuint(table.generation, !=, generation);
        g_assert_cmpuint(table.nr, ==, 1);
        assert_client(&table, 0, 1, 0, 0, 0x40000000);
        generation = table.generation;
        unplug(&t, "edu0");
        wait_changed(&t);
        read_table(&t, &table);
        g_assert_cmpuint(table.generation, !=, generation);
        g_assert_cmpuint(table.nr, ==, 0);
    }
    /* Another device is nobody's business. */
    qtest_qmp_device_add(t.qs->qts, "edu", "edu7", "{ 'bus': 'rp0' }");
    assert_unchanged(&t);
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, ==, 0);
    vcma_test_fini(&t);
}

/*
 * Only a driver that has read the table hears of changes; the event waits for a
 * buffer, unless the driver reads the table meanwhile. [V-70]
 */
static void test_who_hears(void)
{
    VcmaTable table;
    VcmaTest t;

    boot(&t, "edu0", "-device pcie-root-port,id=rp0,addr=5.0,chassis=1 "
         "-device edu,id=edu0,bus=rp0");
    post_events(&t, 4);
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 1, 1);
    assert_unchanged(&t);
    read_table(&t, &table);
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 2, 2);
    wait_changed(&t);

    /* The next driver has read nothing yet. */
    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    post_events(&t, 1);
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 3, 3);
    assert_unchanged(&t);

    /* No buffer for the event, and the driver looks by itself. */
    vcma_dev_reset(t.d);
    vcma_dev_start(t.d);
    read_table(&t, &table);
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 4, 4);
    g_usleep(20000);
    read_table(&t, &table);
    assert_client(&table, 0, 4, 0, 0, 0);
    post_events(&t, 1);
    assert_unchanged(&t);

    /* No buffer, and it does not. */
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 5, 5);
    wait_changed(&t);
    read_table(&t, &table);
    number_bridge(&t, 0, PCI_DEVFN(5, 0), 6, 6);
    g_usleep(20000);
    post_events(&t, 1);
    wait_changed(&t);
    vcma_test_fini(&t);
}

/* --- mistakes on the command line --- */

typedef struct Mistake {
    const char *clients;
    const char *said;       /* the cause */
    const char *cure;
} Mistake;

#define FORM "a client is ID[:bank=N][:forbid=BITS][:hotplug]"

static const Mistake mistakes[] = {
    { "nobody", "client 'nobody' is not there", "'nobody:hotplug'" },
    { "edu0+nobody:forbid=4096", "client 'nobody:forbid=4096' is not there",
      "id=nobody" },
    { "tab", "client 'tab' is no PCI device", "leave it out" },
    { "cma0", "is a virtio-cma device", "leave it out" },
    { "edu0+edu1+edu0", "client 'edu0' is there twice", "once" },
    { "edu0+edu0:hotplug", "client 'edu0:hotplug' is there twice", "once" },
    { "edu0:bank=1", "served from bank 1, and no window has it",
      "normal=64M:bank=1" },
    { "edu0:bank=32", "has bank '32'", "0 to 31" },
    { "edu0:bank=", "has bank ''", "0 to 31" },
    { "edu0:bank=-1", "has bank '-1'", "0 to 31" },
    { "edu0:forbid=0", "has '0' for forbidden", "forbid=0x100000" },
    { "edu0:forbid=many", "has 'many' for forbidden", "forbid=0x100000" },
    { "edu0:forbid=-4096", "has '-4096' for forbidden", "forbid=0x100000" },
    { "edu0:forbid=0x10000000000000000", "for forbidden", "forbid=0x100000" },
    { "edu0:forbid=0x100800", "bits within a page", "below 0x1000" },
    { "edu0:colour=blue", "has an option 'colour=blue'", FORM },
    { "edu0:", "has an option ''", FORM },
    { "edu0+", "client '' has no id", FORM },
    { "+edu0", "client '' has no id", FORM },
    { ":bank=1", "client ':bank=1' has no id", FORM },
    { "0000-00", "has '0000-00' for an id", "start with a letter" },
    { "auto+edu0", "client 'auto' stands alone", "clients=auto" },
    { "edu0+all", "client 'all' stands alone", "clients=all" },
    { "off:bank=1", "client 'off:bank=1' stands alone", "clients=off" },
    { "", "property 'clients' is empty", "auto" },
};

static void test_mistakes(void)
{
    VcmaBroker *b = vcma_broker_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autofree char *dev = g_strdup_printf("addr=04.0,clients=%s",
                                               mistakes[i].clients);
        g_autofree char *args = vcma_args(b, "alpha", NULL, dev);
        g_autofree char *all = g_strdup_printf(
            "-M q35 %s -device edu,id=edu0,addr=5.0 -device edu,id=edu1 "
            "-device qemu-xhci -device usb-tablet,id=tab", args);

        vcma_qemu_refuses(all, mistakes[i].said, mistakes[i].cure);
    }
    vcma_broker_free(b);
}

/* A device that is hot-plugged finds the others there already. */
static void test_hotplugged_device(void)
{
    VcmaTest t = { .b = vcma_broker_new(NULL) };
    VcmaTable table;
    QDict *r;

    vcma_boot_root_port(&t, "-device edu,id=edu0,addr=7.0");
    vcma_find_device(&t);
    vcma_del_device(&t);
    r = qtest_qmp(t.qs->qts, "{ 'execute': 'device_add', 'arguments': "
                  "{ 'driver': 'virtio-cma-pci', 'id': 'cma0', 'bus': 'rp0', "
                  "'broker': 'b0', 'normal': '64M', 'clients': 'edu9' } }");
    g_assert_true(qdict_haskey(r, "error"));
    g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(r, "error"), "desc"),
                            "client 'edu9' is not there"));
    qobject_unref(r);
    qtest_qmp_assert_success(t.qs->qts, "{ 'execute': 'device_add', "
                             "'arguments': { 'driver': 'virtio-cma-pci', "
                             "'id': 'cma0', 'bus': 'rp0', 'broker': 'b0', "
                             "'normal': '64M', 'clients': 'edu0' } }");
    vcma_find_device(&t);
    read_table(&t, &table);
    g_assert_cmpuint(table.nr, ==, 1);
    assert_client(&table, 0, 0, PCI_DEVFN(7, 0), 0, 0);
    vcma_test_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/client/list", test_list);
    qtest_add_func("vcma/client/auto", test_auto);
    qtest_add_func("vcma/client/off", test_off);
    qtest_add_func("vcma/client/not-negotiated", test_not_negotiated);
    qtest_add_func("vcma/client/all", test_all);
    qtest_add_func("vcma/client/pages", test_pages);
    qtest_add_func("vcma/client/bridges", test_bridges);
    qtest_add_func("vcma/client/hotplug", test_hotplug);
    qtest_add_func("vcma/client/who-hears", test_who_hears);
    qtest_add_func("vcma/client/mistakes", test_mistakes);
    qtest_add_func("vcma/client/hotplugged-device", test_hotplugged_device);
    return g_test_run();
}
