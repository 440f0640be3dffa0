# SPDX-License-Identifier: GPL-2.0-or-later
# The unit tests; each block belongs to the modules that it names.

# --- protocol, sizes ---
unit_tests += test-zone test-zone-map test-wire test-sockio test-client test-client-lease
unit_tests += test-virtio-check test-size
test-zone-objs := tests/unit/test-zone.o protocol/zone.o
test-zone-map-objs := tests/unit/test-zone-map.o $(vcma-zone-objs)
test-wire-objs := tests/unit/test-wire.o protocol/wire.o protocol/wire_text.o
test-sockio-objs := tests/unit/test-sockio.o protocol/sockio.o
test-client-objs := tests/unit/test-client.o tests/unit/client-fixture.o $(vcma-client-objs)
test-client-lease-objs := tests/unit/test-client-lease.o tests/unit/client-fixture.o \
	$(vcma-client-objs)
test-virtio-check-objs := tests/unit/test-virtio-check.o protocol/virtio_check.o
test-size-objs := tests/unit/test-size.o broker/size.o
unit_tests += test-ctl-format
test-ctl-format-objs := tests/unit/test-ctl-format.o broker/ctl/format.o \
	broker/ctl/table.o broker/size.o protocol/wire_text.o
test-ctl-format-libs := $(GLIB_LIBS)

# --- core ---
include broker/core.mk
core-sim-objs := tests/unit/core-sim.o $(core-objs)
unit_tests += test-policy
test-policy-objs := tests/unit/test-policy.o broker/policy.o
unit_tests += test-extent test-chunk test-core-demo test-core-refuse test-core-wait \
	test-core-share test-core-bank test-core-policy test-core-random
test-extent-objs := tests/unit/test-extent.o broker/extent.o broker/tree.o protocol/zone.o
test-chunk-objs := tests/unit/test-chunk.o $(core-objs)
test-core-demo-objs := tests/unit/test-core-demo.o $(core-sim-objs)
test-core-refuse-objs := tests/unit/test-core-refuse.o $(core-sim-objs)
test-core-wait-objs := tests/unit/test-core-wait.o $(core-sim-objs)
test-core-share-objs := tests/unit/test-core-share.o $(core-sim-objs)
test-core-bank-objs := tests/unit/test-core-bank.o $(core-sim-objs)
test-core-policy-objs := tests/unit/test-core-policy.o $(core-sim-objs)
test-core-random-objs := tests/unit/test-core-random.o $(core-sim-objs)

# --- daemon ---
unit_tests += test-config test-record test-backing test-scrub
test-scrub-objs := tests/unit/test-scrub.o broker/scrub.o
test-scrub-libs = $(GLIB_LIBS)
test-config-objs := tests/unit/test-config.o broker/config.o broker/config_check.o \
	broker/backing.o broker/backing_hugetlb.o broker/backing_memfd.o broker/backing_sim.o broker/log.o \
	broker/size.o broker/chunk_select.o broker/sim_pattern.o
test-config-libs = $(GLIB_LIBS)
test-record-objs := tests/unit/test-record.o broker/record.o broker/process.o
test-record-libs = $(GLIB_LIBS)
test-backing-objs := tests/unit/test-backing.o broker/backing.o broker/backing_hugetlb.o \
	broker/backing_memfd.o broker/backing_sim.o
test-backing-libs = $(GLIB_LIBS)

# --- vcmactl zones ---
unit_tests += test-zones-tree test-zones-advice test-zones-fuzz
zones-test-objs = $(ctl-zones-objs) broker/ctl/format.o broker/size.o protocol/wire_text.o
test-zones-tree-objs = tests/unit/test-zones-tree.o $(zones-test-objs)
test-zones-tree-libs = $(GLIB_LIBS) $(FDT_LIBS)
test-zones-advice-objs = tests/unit/test-zones-advice.o $(zones-test-objs)
test-zones-advice-libs = $(GLIB_LIBS) $(FDT_LIBS)
test-zones-fuzz-objs = tests/unit/test-zones-fuzz.o $(zones-test-objs)
test-zones-fuzz-libs = $(GLIB_LIBS) $(FDT_LIBS)
