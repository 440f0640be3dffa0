# SPDX-License-Identifier: GPL-2.0-or-later
# The machines of qemu-system-aarch64.  virt has PCI Express, and with it come
# all PCI devices, virtio-cma among them; every other board would be more to build.

CONFIG_ARM_VIRT=y
