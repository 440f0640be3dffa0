/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-clients: which devices of the VM are clients, and where the guest has
 * them
 *
 * A PCI address is made of bus numbers that firmware and guest give to bridges,
 * so it is looked up each time, in the way in which the guest's configuration
 * accesses are led: what is not found there has no address.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/id.h"
#include "vcma_broker.h"
#include "vcma-clients.h"

#define VCMA_CLIENTS_FORM   "a client is ID[:bank=N][:forbid=BITS]" \
                            "[:hotplug], as in gpu0 or gpu0:bank=1, and '+' " \
                            "stands between two"
#define VCMA_CLIENTS_PAGE   4096    /* no buffer is kept off parts of a page */

/* --- the property --- */

static void G_GNUC_PRINTF(3, 4) vcma_client_error(const VcmaClientSpec *spec,
                                                  Error **errp,
                                                  const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    error_setg(errp, "property 'clients': client '%s' %s", spec->text, text);
}

static bool vcma_client_option(VcmaClientSpec *spec, const char *option,
                               Error **errp)
{
    const char *value;

    if (strstart(option, "bank=", &value)) {
        unsigned int bank;

        if (!qemu_isdigit(*value) || qemu_strtoui(value, NULL, 10, &bank) ||
            bank >= VCMA_BANKS_MAX) {
            vcma_client_error(spec, errp, "has bank '%s'; a bank is a number "
                              "from 0 to %d", value, VCMA_BANKS_MAX - 1);
            return false;
        }
        spec->bank = bank;
    } else if (strstart(option, "forbid=", &value)) {
        if (!qemu_isdigit(*value) ||
            qemu_strtou64(value, NULL, 0, &spec->forbidden) ||
            !spec->forbidden) {
            vcma_client_error(spec, errp, "has '%s' for forbidden address "
                              "bits; write them as a number that is not 0, for "
                              "instance forbid=0x100000 for bit 20", value);
            return false;
        }
        if (spec->forbidden % VCMA_CLIENTS_PAGE) {
            vcma_client_error(spec, errp, "forbids address bits within a page, "
                              "and memory comes in whole pages; leave out "
                              "those below 0x%x", VCMA_CLIENTS_PAGE);
            return false;
        }
    } else if (!strcmp(option, "hotplug")) {
        spec->hotplug = true;
    } else {
        vcma_client_error(spec, errp, "has an option '%s'; %s", option,
                          VCMA_CLIENTS_FORM);
        return false;
    }
    return true;
}

static bool vcma_client_parse(VcmaClientSpec *spec, Error **errp)
{
    g_auto(GStrv) part = g_strsplit(spec->text, ":", -1);
    unsigned int i;

    if (!part[0] || !*part[0]) {
        vcma_client_error(spec, errp, "has no id; %s", VCMA_CLIENTS_FORM);
        return false;
    }
    if (!id_wellformed(part[0])) {
        vcma_client_error(spec, errp, "has '%s' for an id; ids consist of "
                          "letters, digits, '-', '.' and '_', and start with a "
                          "letter", part[0]);
        return false;
    }
    if (!strcmp(part[0], "auto") || !strcmp(part[0], "all") ||
        !strcmp(part[0], "off")) {
        vcma_client_error(spec, errp, "stands alone or not at all; write "
                          "clients=%s, or ids of devices", part[0]);
        return false;
    }
    spec->id = g_strdup(part[0]);
    for (i = 1; part[i]; i++) {
        if (!vcma_client_option(spec, part[i], errp)) {
            return false;
        }
    }
    return true;
}

static bool vcma_clients_parse_list(VcmaClients *c, const char *text,
                                    Error **errp)
{
    g_auto(GStrv) word = g_strsplit(text, "+", -1);
    unsigned int i, j, n = g_strv_length(word);

    if (!n) {
        error_setg(errp, "property 'clients' is empty; write off, auto, all, "
                   "or ids of devices");
        return false;
    }
    if (n > VIRTIO_CMA_CLIENTS_MAX) {
        error_setg(errp, "property 'clients': %u clients are too many; name at "
                   "most %d", n, VIRTIO_CMA_CLIENTS_MAX);
        return false;
    }
    c->spec = g_new0(VcmaClientSpec, n);
    for (i = 0; i < n; i++) {
        VcmaClientSpec *spec = &c->spec[i];

        c->nr++;
        spec->text = g_strdup(word[i]);
        if (!vcma_client_parse(spec, errp)) {
            return false;
        }
        for (j = 0; j < i; j++) {
            if (!strcmp(c->spec[j].id, spec->id)) {
                vcma_client_error(spec, errp, "is there twice; name '%s' once, "
                                  "with all its options", spec->id);
                return false;
            }
        }
    }
    return true;
}

bool vcma_clients_parse(VcmaClients *c, const char *text, Error **errp)
{
    *c = (VcmaClients) { };
    if (!text || !strcmp(text, "auto")) {
        c->mode = VCMA_CLIENTS_AUTO;
    } else if (!strcmp(text, "all")) {
        c->mode = VCMA_CLIENTS_ALL;
    } else if (strcmp(text, "off")) {
        c->mode = VCMA_CLIENTS_LIST;
        if (!vcma_clients_parse_list(c, text, errp)) {
            vcma_clients_clear(c);
            return false;
        }
    }
    return true;
}

void vcma_clients_clear(VcmaClients *c)
{
    while (c->nr) {
        c->nr--;
        g_free(c->spec[c->nr].text);
        g_free(c->spec[c->nr].id);
    }
    g_clear_pointer(&c->spec, g_free);
    c->mode = VCMA_CLIENTS_OFF;
}

/* --- devices --- */

static Object *vcma_client_find(const VcmaClientSpec *spec)
{
    Object *peripheral = object_resolve_path("/machine/peripheral", NULL);

    return peripheral ?
        object_resolve_path_component(peripheral, spec->id) : NULL;
}

/* NULL if it can be a client, else why not. */
static const char *vcma_client_why(Object *dev)
{
    if (!object_dynamic_cast(dev, TYPE_PCI_DEVICE)) {
        return "is no PCI device, and only those have an address that the "
               "guest can be told; leave it out";
    }
    if (object_dynamic_cast(dev, "virtio-cma-pci-base")) {
        return "is a virtio-cma device, which serves others; leave it out";
    }
    return NULL;
}

bool vcma_clients_check(const VcmaClients *c, Error **errp)
{
    unsigned int i;

    for (i = 0; i < c->nr; i++) {
        const VcmaClientSpec *spec = &c->spec[i];
        Object *dev = vcma_client_find(spec);
        const char *why = dev ? vcma_client_why(dev) : NULL;

        if (why) {
            vcma_client_error(spec, errp, "%s", why);
            return false;
        }
        if (!dev && !spec->hotplug) {
            vcma_client_error(spec, errp, "is not there; give a device id=%s, "
                              "or write '%s:hotplug' if it is to be plugged in "
                              "later", spec->id, spec->text);
            return false;
        }
    }
    return true;
}

/* False: the guest does not find it anywhere. */
static bool vcma_client_locate(PCIDevice *dev, VcmaClient *ret)
{
    PCIBus *root;
    int bus;

    if (!DEVICE(dev)->realized || !pci_get_bus(dev)) {
        return false;
    }
    root = pci_device_root_bus(dev);
    bus = pci_dev_bus_num(dev);
    if (pci_find_device(root, bus, dev->devfn) != dev) {
        return false;
    }
    ret->segment = 0;   /* QEMU's machines have one */
    ret->bus = bus;
    ret->devfn = dev->devfn;
    return true;
}

typedef struct VcmaCollect {
    const VcmaClients *clients;
    VcmaClient *ret;
    unsigned int nr;
} VcmaCollect;

static void vcma_collect_add(VcmaCollect *collect, PCIDevice *dev,
                             uint32_t bank, uint64_t forbidden)
{
    VcmaClient client = { .bank = bank, .forbidden = forbidden };

    if (!vcma_client_locate(dev, &client)) {
        return;
    }
    if (collect->nr == VIRTIO_CMA_CLIENTS_MAX) {
        warn_report_once("virtio-cma: only %d devices can be clients; name "
                         "those that are to be (property 'clients')",
                         VIRTIO_CMA_CLIENTS_MAX);
        return;
    }
    collect->ret[collect->nr++] = client;
}

static int vcma_collect_visit(Object *obj, void *opaque)
{
    VcmaCollect *collect = opaque;
    PCIDevice *dev = (PCIDevice *)object_dynamic_cast(obj, TYPE_PCI_DEVICE);
    bool wanted;

    if (!dev || vcma_client_why(obj)) {
        return 0;
    }
    if (collect->clients->mode == VCMA_CLIENTS_AUTO) {
        wanted = object_dynamic_cast(obj, "vfio-pci");
    } else {
        wanted = pci_get_word(dev->config + PCI_CLASS_DEVICE) >> 8 !=
                 PCI_BASE_CLASS_BRIDGE;
    }
    if (wanted) {
        vcma_collect_add(collect, dev, 0, 0);
    }
    return 0;
}

static int vcma_client_compare(const void *a, const void *b)
{
    const VcmaClient *x = a, *y = b;

    return PCI_BUILD_BDF(x->bus, x->devfn) - PCI_BUILD_BDF(y->bus, y->devfn);
}

unsigned int vcma_clients_collect(const VcmaClients *c, VcmaClient *ret)
{
    VcmaCollect collect = { .clients = c, .ret = ret };
    unsigned int i;

    if (c->mode == VCMA_CLIENTS_AUTO || c->mode == VCMA_CLIENTS_ALL) {
        object_child_foreach_recursive(qdev_get_machine(), vcma_collect_visit,
                                       &collect);
    }
    for (i = 0; i < c->nr; i++) {
        const VcmaClientSpec *spec = &c->spec[i];
        Object *dev = vcma_client_find(spec);
        const char *why = dev ? vcma_client_why(dev) : NULL;

        if (why) {
            warn_report_once("virtio-cma: the device with id '%s', which was "
                             "plugged in, %s", spec->id, why);
        } else if (dev) {
            vcma_collect_add(&collect, PCI_DEVICE(dev), spec->bank,
                             spec->forbidden);
        }
    }
    qsort(ret, collect.nr, sizeof(ret[0]), vcma_client_compare);
    return collect.nr;
}
