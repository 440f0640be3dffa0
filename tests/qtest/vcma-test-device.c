/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-test-device.c - finds, starts and resets a virtio-cma device
 */
#include "qemu/osdep.h"
#include "vcma-test-util.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "standard-headers/linux/virtio_config.h"

/* I/O ports of the ACPI hot-plug controllers. */
#define PCIHP_Q35   0x0cc0
#define PCIHP_PC    0xae00
#define PCIHP_EJECT 0x08
#define PCIHP_SEL   0x10

char *vcma_args(const VcmaBroker *b, const char *vm, const char *object_extra,
                const char *device_extra)
{
    return g_strdup_printf(
        "-object vcma-broker,id=b0,path=%s/%s.sock%s%s "
        "-device virtio-cma-pci,id=cma0,broker=b0,normal=64M,dma32=16M%s%s",
        b->dir, vm, object_extra ? "," : "", object_extra ?: "",
        device_extra ? "," : "", device_extra ?: ",addr=04.0");
}

QOSState *vcma_boot(const VcmaBroker *b, const char *args)
{
    g_autofree char *all = g_strdup_printf("%s -nodefaults -pidfile "
                                           "%s/qemu.pid %s", vcma_machine.args,
                                           b->dir, args);

    return vcma_machine.ops ? qtest_boot(vcma_machine.ops, "%s", all) :
                              qtest_pc_boot("%s", all);
}

int vcma_qemu_pid(const VcmaBroker *b)
{
    g_autofree char *path = g_build_filename(b->dir, "qemu.pid", NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return atoi(text);
}

/* libqos knows 32-bit BARs only. */
static uint64_t map_bar64(VcmaDev *d, int bar, uint64_t size)
{
    int reg = PCI_BASE_ADDRESS_0 + 4 * bar;
    uint64_t mask;

    g_assert_cmphex(qpci_config_readl(d->pci->pdev, reg) &
                    PCI_BASE_ADDRESS_MEM_TYPE_64, !=, 0);
    qpci_config_writel(d->pci->pdev, reg, ~0u);
    qpci_config_writel(d->pci->pdev, reg + 4, ~0u);
    mask = (uint64_t)qpci_config_readl(d->pci->pdev, reg + 4) << 32;
    mask |= qpci_config_readl(d->pci->pdev, reg) & PCI_BASE_ADDRESS_MEM_MASK;
    g_assert_cmphex(-mask, >=, size);
    qpci_config_writel(d->pci->pdev, reg, (uint32_t)vcma_machine.bar64);
    qpci_config_writel(d->pci->pdev, reg + 4, vcma_machine.bar64 >> 32);
    return vcma_machine.bar64;
}

static void read_config(VcmaDev *d)
{
    struct virtio_cma_config *cfg = &d->cfg;
    QVirtioDevice *v = d->vdev;
    size_t at = offsetof(struct virtio_cma_config, window);
    uint32_t i;

#define CFG(type, field) (v->bus->config_read##type(v, \
        offsetof(struct virtio_cma_config, field)))
    cfg->num_windows = CFG(l, num_windows);
    cfg->max_leases = CFG(l, max_leases);
    cfg->granule_size = CFG(q, granule_size);
    cfg->lease_size = CFG(q, lease_size);
    cfg->lease_max = CFG(q, lease_max);
#undef CFG
    g_assert_cmpuint(cfg->num_windows, >=, 1);
    g_assert_cmpuint(cfg->num_windows, <=, VIRTIO_CMA_WINDOWS_MAX);
    for (i = 0; i < cfg->num_windows; i++) {
        struct virtio_cma_window *w = &cfg->window[i];

#define WIN(type, field) (v->bus->config_read##type(v, \
        at + i * sizeof(*w) + offsetof(struct virtio_cma_window, field)))
        w->id = WIN(l, id);
        w->zone = WIN(w, zone);
        w->bank = WIN(w, bank);
        w->flags = WIN(l, flags);
        w->bar = WIN(l, bar);
        w->offset = WIN(q, offset);
        w->length = WIN(q, length);
#undef WIN
    }
}

static void map_windows(VcmaDev *d)
{
    uint64_t bar[6] = { 0 };
    uint32_t i;

    for (i = 0; i < d->cfg.num_windows; i++) {
        struct virtio_cma_window *w = &d->cfg.window[i];

        if (w->flags & VIRTIO_CMA_WIN_FIXED) {
            g_assert_cmphex(w->bar, ==, VIRTIO_CMA_BAR_NONE);
            d->base[i] = w->offset;
            continue;
        }
        g_assert_cmpuint(w->bar, <, 6);
        if (!bar[w->bar]) {
            bar[w->bar] = w->bar == 0 ?
                qpci_iomap(d->pci->pdev, 0, NULL).addr :
                map_bar64(d, w->bar, w->offset + w->length);
        }
        d->base[i] = bar[w->bar] + w->offset;
    }
}

VcmaDev *vcma_dev_probe(QOSState *qs, int devfn)
{
    QPCIAddress addr = { .devfn = devfn };
    VcmaDev *d = g_new0(VcmaDev, 1);
    int i;

    d->qs = qs;
    d->qts = qs->qts;
    d->pci = virtio_pci_new(qs->pcibus, &addr);
    d->vdev = &d->pci->vdev;
    qvirtio_pci_device_enable(d->pci);
    qvirtio_reset(d->vdev);
    qvirtio_set_acknowledge(d->vdev);
    qvirtio_set_driver(d->vdev);
    d->features = qvirtio_get_features(d->vdev);
    d->accept = d->features & (1ull << VIRTIO_F_VERSION_1 |
                               1ull << VIRTIO_CMA_F_CLIENT_TABLE |
                               1ull << VIRTIO_CMA_F_FIXED |
                               1ull << VIRTIO_CMA_F_BANKS);
    read_config(d);
    map_windows(d);
    d->slots = guest_alloc(&qs->alloc, VCMA_TEST_SLOTS * 4096);
    d->events = guest_alloc(&qs->alloc, VCMA_TEST_SLOTS * 4096);
    for (i = 0; i < VCMA_TEST_SLOTS; i++) {
        d->head[i] = ~0u;
    }
    return d;
}

static void start(VcmaDev *d, bool msix)
{
    int i;

    g_assert_null(d->req);
    qvirtio_start_device(d->vdev);
    qvirtio_set_features(d->vdev, d->accept);
    if (msix) {
        qpci_msix_enable(d->pci->pdev);
        qvirtio_pci_set_msix_configuration_vector(d->pci, &d->qs->alloc, 0);
    }
    d->req = qvirtqueue_setup(d->vdev, &d->qs->alloc, VIRTIO_CMA_QUEUE_REQ);
    d->ev = qvirtqueue_setup(d->vdev, &d->qs->alloc, VIRTIO_CMA_QUEUE_EVENT);
    if (msix) {
        qvirtqueue_pci_msix_setup(d->pci,
                                  container_of(d->req, QVirtQueuePCI, vq),
                                  &d->qs->alloc, 1);
        qvirtqueue_pci_msix_setup(d->pci,
                                  container_of(d->ev, QVirtQueuePCI, vq),
                                  &d->qs->alloc, 2);
    }
    qvirtio_set_driver_ok(d->vdev);
    for (i = 0; i < VCMA_TEST_SLOTS; i++) {
        d->head[i] = ~0u;
    }
    d->nr_events = 0;
}

void vcma_dev_start(VcmaDev *d)
{
    start(d, false);
}

void vcma_dev_start_msix(VcmaDev *d)
{
    start(d, true);
}

void vcma_dev_reset(VcmaDev *d)
{
    qvirtio_reset(d->vdev);
    if (d->req) {
        qvirtqueue_cleanup(d->vdev->bus, d->req, &d->qs->alloc);
        qvirtqueue_cleanup(d->vdev->bus, d->ev, &d->qs->alloc);
    }
    d->req = NULL;
    d->ev = NULL;
}

void vcma_dev_free(VcmaDev *d)
{
    if (!d) {
        return;
    }
    if (d->req) {
        qvirtqueue_cleanup(d->vdev->bus, d->req, &d->qs->alloc);
        qvirtqueue_cleanup(d->vdev->bus, d->ev, &d->qs->alloc);
    }
    guest_free(&d->qs->alloc, d->slots);
    guest_free(&d->qs->alloc, d->events);
    g_free(d->pci->pdev);
    g_free(d->pci);
    g_free(d);
}

bool vcma_dev_needs_reset(VcmaDev *d)
{
    return d->vdev->bus->get_status(d->vdev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* --- a whole VM --- */

void vcma_test_init_vms(VcmaTest *t, const char *vms, const char *object_extra,
                        const char *device_extra)
{
    g_autofree char *args = NULL;

    t->b = vcma_broker_new(vms);
    args = vcma_args(t->b, "alpha", object_extra, device_extra);
    t->qs = vcma_boot(t->b, args);
    t->d = vcma_dev_probe(t->qs, QPCI_DEVFN(4, 0));
    vcma_dev_start(t->d);
}

void vcma_test_boot(VcmaTest *t, const char *vms, const char *machine,
                    const char *windows, const char *extra)
{
    g_autofree char *args = NULL;

    t->b = vcma_broker_new(vms);
    t->said = 0;
    args = g_strdup_printf("%s%s -d guest_errors -D %s/guest-errors "
                           "-object vcma-broker,id=b0,path=%s/alpha.sock "
                           "-device virtio-cma-pci,id=cma0,broker=b0,addr=04.0,"
                           "%s %s", machine ? "-M " : "", machine ?: "",
                           t->b->dir, t->b->dir, windows, extra ?: "");
    t->qs = vcma_boot(t->b, args);
    t->d = vcma_dev_probe(t->qs, QPCI_DEVFN(4, 0));
}

void vcma_test_init_windows(VcmaTest *t, const char *machine,
                            const char *windows)
{
    vcma_test_boot(t, NULL, machine, windows, NULL);
    vcma_dev_start(t->d);
}

void vcma_test_init(VcmaTest *t)
{
    vcma_test_init_vms(t, NULL, NULL, NULL);
}

/* In the bridge's windows: all that libqos and the tests place. */
static void open_root_port(QOSState *qs, int devfn)
{
    QPCIDevice *rp = qpci_device_find(qs->pcibus, devfn);

    g_assert_nonnull(rp);
    g_assert_cmpint(qpci_secondary_buses_init(qs->pcibus), ==, 1);
    qpci_config_writew(rp, PCI_MEMORY_BASE, 0xe000);
    qpci_config_writew(rp, PCI_MEMORY_LIMIT, 0xefff);
    qpci_config_writew(rp, PCI_PREF_MEMORY_BASE, 0);
    qpci_config_writew(rp, PCI_PREF_MEMORY_LIMIT, 0xfff0);
    qpci_config_writel(rp, PCI_PREF_BASE_UPPER32, 8);
    qpci_config_writel(rp, PCI_PREF_LIMIT_UPPER32, 8);
    qpci_device_enable(rp);
    g_free(rp);
}

/* The device is on bus 1, behind the one slot that can be hot-plugged. */
void vcma_boot_root_port(VcmaTest *t, const char *extra)
{
    g_autofree char *args = vcma_args(t->b, "alpha", NULL, "bus=rp0");
    g_autofree char *all = g_strdup_printf(
        "-device pcie-root-port,id=rp0,addr=05.0,chassis=1 %s %s", args, extra);

    t->qs = vcma_boot(t->b, all);
    open_root_port(t->qs, QPCI_DEVFN(5, 0));
}

void vcma_find_device(VcmaTest *t)
{
    t->d = vcma_dev_probe(t->qs, 1 << 8);
    vcma_dev_start(t->d);
}

void vcma_add_device(VcmaTest *t)
{
    qtest_qmp_device_add(t->qs->qts, "virtio-cma-pci", "cma0",
                         "{ 'bus': 'rp0', 'broker': 'b0', "
                         "'normal': '64M', 'dma32': '16M' }");
}

static void eject(VcmaTest *t, uint16_t ports, int slot)
{
    qtest_outl(t->qs->qts, ports + PCIHP_SEL, 0);
    qtest_outl(t->qs->qts, ports + PCIHP_EJECT, 1u << slot);
    qtest_qmp_eventwait(t->qs->qts, "DEVICE_DELETED");
    vcma_dev_free(t->d);
    t->d = NULL;
}

/* The guest lets go of the device at once, as ACPI tells it to. */
void vcma_del_device(VcmaTest *t)
{
    qtest_qmp_device_del_send(t->qs->qts, "cma0");
    eject(t, PCIHP_Q35, 0);
}

/* On a pc: the guest throws the device out, and nobody has asked it to. */
void vcma_eject(VcmaTest *t, int slot)
{
    eject(t, PCIHP_PC, slot);
}

/* The VM ends well, and all that it held comes back clean. */
void vcma_test_fini(VcmaTest *t)
{
    struct vcma_op_pool pool;

    vcma_dev_free(t->d);
    qtest_shutdown(t->qs);
    if (t->b->pid) {
        vcma_wait_idle(t->b);
        vcma_op_get_pool(t->b, &pool);
        g_assert_cmpuint(le32_to_cpu(pool.clean), ==, MiB_(64) / VCMA_GRANULE);
    }
    vcma_broker_free(t->b);
}

uint64_t vcma_qom_uint(QTestState *qts, const char *path, const char *name)
{
    QDict *r = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': "
                         "{ 'path': %s, 'property': %s } }", path, name);
    uint64_t value;

    if (!qdict_haskey(r, "return")) {
        g_error("%s has no property %s", path, name);
    }
    value = qdict_get_int(r, "return");
    qobject_unref(r);
    return value;
}
