# SPDX-License-Identifier: GPL-2.0-or-later
# What the passthrough cases need besides the programs, the driver and QEMU.

test_programs += relay
relay-objs := tests/passthrough/relay.o

passthrough_tests := 'tests/passthrough/run $(CASE)'
