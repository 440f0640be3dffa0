# SPDX-License-Identifier: GPL-2.0-or-later
# What the VM cases and the demo need besides the programs, the driver and QEMU.

test_programs += pagemap-proof
pagemap-proof-objs := tests/vm/pagemap-proof.o

vm_tests := 'tests/vm/run $(CASE)'
