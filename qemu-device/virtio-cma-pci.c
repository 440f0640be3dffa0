/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-cma-pci: virtio-cma on PCI, windows in its BARs
 *
 * BAR 0: dma32, 32 bits.  BAR 1: MSI-X.  BAR 2 and 3: normal and highmem, 64
 * bits, prefetchable.  BAR 4 and 5: virtio.  Fixed windows are in none.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-pci.h"
#include "virtio-cma.h"

#define TYPE_VIRTIO_CMA_PCI "virtio-cma-pci-base"
OBJECT_DECLARE_SIMPLE_TYPE(VirtIOCMAPCI, VIRTIO_CMA_PCI)

struct VirtIOCMAPCI {
    VirtIOPCIProxy parent_obj;
    VirtIOCMA vdev;
};

static void virtio_cma_pci_realize(VirtIOPCIProxy *vpci_dev, Error **errp)
{
    VirtIOCMAPCI *dev = VIRTIO_CMA_PCI(vpci_dev);
    VirtIOCMA *s = &dev->vdev;
    unsigned int i;

    if (vpci_dev->nvectors == DEV_NVECTORS_UNSPECIFIED) {
        vpci_dev->nvectors = VIRTIO_CMA_QUEUES + 1;
    }
    if (vpci_dev->flags & VIRTIO_PCI_FLAG_MODERN_PIO_NOTIFY) {
        error_setg(errp, "property 'modern-pio-notify': its BAR is that of "
                   "window 'normal' here; leave it off");
        return;
    }
    virtio_pci_force_virtio_1(vpci_dev);
    if (!qdev_realize(DEVICE(s), BUS(&vpci_dev->bus), errp)) {
        return;
    }
    for (i = 0; i < VIRTIO_CMA_NR_BARS; i++) {
        uint8_t type = PCI_BASE_ADDRESS_SPACE_MEMORY;

        if (i == VIRTIO_CMA_BAR64) {
            type |= PCI_BASE_ADDRESS_MEM_TYPE_64 |
                    PCI_BASE_ADDRESS_MEM_PREFETCH;
        }
        if (s->bar[i].size) {
            pci_register_bar(&vpci_dev->pci_dev, virtio_cma_bar_nr(i), type,
                             &s->bar[i].mr);
        }
    }
}

static void virtio_cma_pci_class_init(ObjectClass *oc, void *data)
{
    static Property properties[] = {
        DEFINE_PROP_BIT("ioeventfd", VirtIOPCIProxy, flags,
                        VIRTIO_PCI_FLAG_USE_IOEVENTFD_BIT, true),
        DEFINE_PROP_UINT32("vectors", VirtIOPCIProxy, nvectors,
                           DEV_NVECTORS_UNSPECIFIED),
        DEFINE_PROP_END_OF_LIST(),
    };
    DeviceClass *dc = DEVICE_CLASS(oc);
    VirtioPCIClass *k = VIRTIO_PCI_CLASS(oc);
    PCIDeviceClass *pcidev_k = PCI_DEVICE_CLASS(oc);

    device_class_set_props(dc, properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    k->realize = virtio_cma_pci_realize;
    pcidev_k->revision = VIRTIO_PCI_ABI_VERSION;
    pcidev_k->class_id = PCI_CLASS_OTHERS;
}

static void virtio_cma_pci_init(Object *obj)
{
    static const char *const readable[] = {
        "leases", "lease-bytes", "normal-leases", "normal-bytes",
        "dma32-leases", "dma32-bytes", "dma-leases", "dma-bytes",
        "highmem-leases", "highmem-bytes", "pending-releases", "client-table",
    };
    VirtIOCMAPCI *dev = VIRTIO_CMA_PCI(obj);
    unsigned int i;

    virtio_instance_init_common(obj, &dev->vdev, sizeof(dev->vdev),
                                TYPE_VIRTIO_CMA);
    for (i = 0; i < ARRAY_SIZE(readable); i++) {
        object_property_add_alias(obj, readable[i], OBJECT(&dev->vdev),
                                  readable[i]);
    }
}

static const VirtioPCIDeviceTypeInfo virtio_cma_pci_type = {
    .base_name = TYPE_VIRTIO_CMA_PCI,
    .generic_name = "virtio-cma-pci",
    .instance_size = sizeof(VirtIOCMAPCI),
    .instance_init = virtio_cma_pci_init,
    .class_init = virtio_cma_pci_class_init,
};

static void virtio_cma_pci_register_types(void)
{
    virtio_pci_types_register(&virtio_cma_pci_type);
}

type_init(virtio_cma_pci_register_types)
