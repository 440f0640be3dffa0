/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma: the client table
 *
 * DOC: Theory of operation
 *
 * The guest's driver reads the table with CLIENTS requests.  It is made anew
 * for each of them (vcma-clients.c), so it is never older than its answer; if
 * it differs from the one before it gets another generation, by which the
 * driver knows that two pages are of one table [V-68].
 *
 * A change that the driver has not asked about is an event, CLIENTS_CHANGED.
 * The device looks when a PCI device has come or gone (QEMU tells of all
 * devices that are realized or unrealized), and when somebody has written the
 * bus numbers of a bridge (pci_bridge.c tells, by lines of the graft's).  It
 * does so in a bottom half: then the device that goes is gone.  There is an
 * event only for a driver that has read the table, and one for any number of
 * changes until it does so again.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "hw/pci/pci.h"
#include "hw/virtio/virtio-access.h"
#include "sysemu/sysemu.h"
#include "virtio-cma.h"
#include "virtio_check.h"
#include "trace.h"

/* --- the table --- */

static void virtio_cma_clients_refresh(VirtIOCMA *s)
{
    VirtIOCMATable *t = &s->table;
    g_autofree VcmaClient *now = g_new0(VcmaClient, VIRTIO_CMA_CLIENTS_MAX);
    unsigned int nr = vcma_clients_collect(&t->clients, now);

    if (nr == t->nr && (!nr || !memcmp(now, t->client, nr * sizeof(now[0])))) {
        return;
    }
    g_free(t->client);
    t->client = g_steal_pointer(&now);
    t->nr = nr;
    t->generation++;
    trace_virtio_cma_clients(t->generation, nr);
}

size_t virtio_cma_clients_respond(VirtIOCMA *s, uint32_t first,
                                  const struct iovec *iov,
                                  unsigned int iov_cnt)
{
    VirtIOCMATable *t = &s->table;
    uint32_t i, n, room = vcma_clients_room(iov_size(iov, iov_cnt));
    g_autofree uint8_t *buf = g_malloc0(vcma_clients_size(room));
    struct virtio_cma_resp *resp = (struct virtio_cma_resp *)buf;
    struct virtio_cma_clients *page = (void *)(resp + 1);

    virtio_cma_clients_refresh(s);
    t->read = t->generation;
    t->was_read = true;
    t->told = false;
    t->changed = false;

    first = MIN(first, t->nr);
    n = MIN(t->nr - first, room);
    resp->status = cpu_to_le16(VIRTIO_CMA_S_OK);
    resp->num_done = cpu_to_le32(n);
    page->generation = cpu_to_le32(t->generation);
    page->next = cpu_to_le32(first + n < t->nr ? first + n : 0);
    for (i = 0; i < n; i++) {
        const VcmaClient *client = &t->client[first + i];

        page->client[i].segment = cpu_to_le16(client->segment);
        page->client[i].bus = client->bus;
        page->client[i].devfn = client->devfn;
        page->client[i].bank = cpu_to_le32(client->bank);
        page->client[i].forbidden = cpu_to_le64(client->forbidden);
    }
    trace_virtio_cma_clients_page(t->generation, first, n);
    return iov_from_buf(iov, iov_cnt, 0, buf, vcma_clients_size(n));
}

void virtio_cma_clients_no_driver(VirtIOCMA *s)
{
    s->table.was_read = false;
    s->table.changed = false;
}

/* --- changes --- */

static void virtio_cma_clients_look(void *opaque)
{
    VirtIOCMA *s = opaque;
    VirtIOCMATable *t = &s->table;

    virtio_cma_clients_refresh(s);
    t->changed = t->was_read && !t->told && t->read != t->generation;
    virtio_cma_handle_events(VIRTIO_DEVICE(s), s->event_vq);
}

static void virtio_cma_on_device(DeviceListener *listener, DeviceState *dev)
{
    VirtIOCMATable *t = container_of(listener, VirtIOCMATable, devices);

    if (object_dynamic_cast(OBJECT(dev), TYPE_PCI_DEVICE)) {
        qemu_bh_schedule(t->bh);
    }
}

static void virtio_cma_on_bus_number(Notifier *notifier, void *data)
{
    VirtIOCMATable *t = container_of(notifier, VirtIOCMATable, bus_numbers);

    qemu_bh_schedule(t->bh);
}

/* All of the command line's devices are there. */
static void virtio_cma_clients_machine_done(Notifier *notifier, void *data)
{
    VirtIOCMATable *t = container_of(notifier, VirtIOCMATable, machine_done);
    Error *err = NULL;

    if (!vcma_clients_check(&t->clients, &err)) {
        error_reportf_err(err, "virtio-cma: ");
        exit(1);
    }
}

/* --- life --- */

static bool virtio_cma_client_has_bank(const VcmaClientSpec *client,
                                       const VcmaSpecs *specs)
{
    unsigned int i;

    for (i = 0; i < specs->nr; i++) {
        if (specs->spec[i].bank == client->bank) {
            return true;
        }
    }
    return false;
}

bool virtio_cma_clients_plan(VirtIOCMA *s, const VcmaSpecs *specs, Error **errp)
{
    VcmaClients *clients = &s->table.clients;
    unsigned int i;

    if (!vcma_clients_parse(clients, s->clients_text, errp)) {
        return false;
    }
    for (i = 0; i < clients->nr; i++) {
        const VcmaClientSpec *client = &clients->spec[i];

        if (!virtio_cma_client_has_bank(client, specs)) {
            error_setg(errp, "property 'clients': client '%s' is served from "
                       "bank %" PRIu32 ", and no window has it; add one, for "
                       "instance normal=64M:bank=%" PRIu32 ", or name another "
                       "bank", client->text, client->bank, client->bank);
            return false;
        }
    }
    /* Else the command line goes on, and they are checked when it ends. */
    return !DEVICE(s)->hotplugged || vcma_clients_check(clients, errp);
}

void virtio_cma_clients_realize(VirtIOCMA *s)
{
    VirtIOCMATable *t = &s->table;

    t->generation = 1;
    if (t->clients.mode == VCMA_CLIENTS_OFF) {
        return;
    }
    if (t->clients.mode == VCMA_CLIENTS_LIST && !DEVICE(s)->hotplugged) {
        t->machine_done.notify = virtio_cma_clients_machine_done;
        qemu_add_machine_init_done_notifier(&t->machine_done);
    }
    t->bh = qemu_bh_new(virtio_cma_clients_look, s);
    t->devices.realize = virtio_cma_on_device;
    t->devices.unrealize = virtio_cma_on_device;
    device_listener_register(&t->devices);
    t->bus_numbers.notify = virtio_cma_on_bus_number;
    notifier_list_add(&vcma_bus_number_notifiers, &t->bus_numbers);
}

void virtio_cma_clients_unrealize(VirtIOCMA *s)
{
    VirtIOCMATable *t = &s->table;

    if (t->bh) {
        if (t->machine_done.notify) {
            qemu_remove_machine_init_done_notifier(&t->machine_done);
            t->machine_done.notify = NULL;
        }
        device_listener_unregister(&t->devices);
        notifier_remove(&t->bus_numbers);
        qemu_bh_delete(t->bh);
        t->bh = NULL;
    }
    g_clear_pointer(&t->client, g_free);
    t->nr = 0;
    vcma_clients_clear(&t->clients);
}

/* For the operator: SEGMENT:BUS:SLOT.FUNCTION and so on, a client a line. */
char *virtio_cma_clients_text(Object *obj, Error **errp)
{
    VirtIOCMATable *t = &VIRTIO_CMA(obj)->table;
    g_autofree VcmaClient *now = g_new0(VcmaClient, VIRTIO_CMA_CLIENTS_MAX);
    unsigned int i, nr = vcma_clients_collect(&t->clients, now);
    GString *text = g_string_new(NULL);

    for (i = 0; i < nr; i++) {
        g_string_append_printf(text, "%04x:%02x:%02x.%x bank=%" PRIu32
                               " forbid=0x%" PRIx64 "\n", now[i].segment,
                               now[i].bus, PCI_SLOT(now[i].devfn),
                               PCI_FUNC(now[i].devfn), now[i].bank,
                               now[i].forbidden);
    }
    return g_string_free(text, false);
}
