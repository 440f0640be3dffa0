# SPDX-License-Identifier: GPL-2.0-or-later
# vcmad, and a second one with mistakes in it that tests use.

include broker/core.mk

# What needs neither the command line nor a backing that can be made to fail.
vcmad-common-objs := $(addprefix broker/,config.o config_check.o conn.o \
	listener.o log.o oper.o pool.o process.o record.o scrub.o server.o \
	server_start.o size.o vm.o vm_grant.o vm_session.o) \
	protocol/wire.o protocol/wire_text.o protocol/sockio.o
vcmad-backing-objs := broker/backing.o broker/backing_hugetlb.o broker/backing_memfd.o \
	broker/backing_sim.o

programs += vcmad
vcmad-objs := $(vcmad-common-objs) $(vcmad-backing-objs) broker/main.o broker/options.o \
	$(core-objs)
vcmad-libs := $(GLIB_LIBS) $(SYSTEMD_LIBS)
man_pages += broker/man/vcmad.8 broker/man/vcmad.conf.5

test_programs += vcmad-faults
vcmad-faults-objs := $(vcmad-common-objs) broker/faults.o $(core-objs)
vcmad-faults-libs := $(vcmad-libs)

test_programs += peer
peer-objs = tests/proto/peer.o tests/proto/haunt.o broker/size.o $(vcma-client-objs)
proto_tests += tests/proto/test-smoke.sh
proto_tests += tests/proto/test-policy.sh tests/proto/test-banks.sh tests/proto/test-start.sh
proto_tests += tests/proto/test-revoke.sh tests/proto/test-sim.sh
proto_tests += test-hostile
test-hostile-objs = tests/proto/test-hostile.o $(vcma-wire-objs)
test-hostile-libs = $(CMOCKA_LIBS)
