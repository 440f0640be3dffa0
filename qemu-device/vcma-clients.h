/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-clients: which devices of the VM are clients, and where the guest has
 * them
 */
#ifndef HW_VCMA_CLIENTS_H
#define HW_VCMA_CLIENTS_H

#include "hw/qdev-core.h"
#include "qemu/notify.h"
#include "vcma_virtio.h"

typedef enum VcmaClientsMode {
    VCMA_CLIENTS_OFF,
    VCMA_CLIENTS_AUTO,          /* all that are passed through by VFIO */
    VCMA_CLIENTS_ALL,           /* all PCI devices that are no bridges */
    VCMA_CLIENTS_LIST,
} VcmaClientsMode;

/* ID[:bank=N][:forbid=BITS][:hotplug] */
typedef struct VcmaClientSpec {
    char *text;                 /* as given */
    char *id;
    uint32_t bank;
    uint64_t forbidden;
    bool hotplug;               /* it may come later */
} VcmaClientSpec;

typedef struct VcmaClients {
    VcmaClientsMode mode;
    unsigned int nr;            /* LIST */
    VcmaClientSpec *spec;
} VcmaClients;

/* A client where the guest has it.  In host byte order. */
typedef struct VcmaClient {
    uint16_t segment;
    uint8_t bus;
    uint8_t devfn;
    uint32_t bank;
    uint64_t forbidden;
} VcmaClient;

/*
 * What property 'clients' says.  Only what is written is looked at.  False:
 * @errp has cause and cure, and nothing needs to be freed.
 */
bool vcma_clients_parse(VcmaClients *c, const char *text, Error **errp);
void vcma_clients_clear(VcmaClients *c);

/* Are the devices of a LIST there, and can they be clients? */
bool vcma_clients_check(const VcmaClients *c, Error **errp);

/*
 * Those that the guest can find now: at most VIRTIO_CMA_CLIENTS_MAX, in the
 * order of their addresses.  Returns how many.
 */
unsigned int vcma_clients_collect(const VcmaClients *c, VcmaClient *ret);

/*
 * Of pci_bridge.c, where the graft has put it: somebody has written to the bus
 * numbers of a bridge.
 */
extern NotifierList vcma_bus_number_notifiers;

#endif /* HW_VCMA_CLIENTS_H */
