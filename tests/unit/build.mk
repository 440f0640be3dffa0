# SPDX-License-Identifier: GPL-2.0-or-later
# The unit tests; each block belongs to the modules that it names.

# --- protocol, sizes ---
unit_tests += test-zone test-size
test-zone-objs := tests/unit/test-zone.o protocol/zone.o
test-size-objs := tests/unit/test-size.o broker/size.o
