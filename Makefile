# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makefile - builds, tests and installs vcma; `make help` lists the targets
#
# Settings come from config.mak, which configure writes; without one, make runs
# configure itself.  Sources are listed in the */build.mk fragments, with paths
# from here:
#
#	programs += vcmad		a program, build/vcmad ...
#	vcmad-objs := broker/main.o	... its objects
#	vcmad-libs := $(GLIB_LIBS)	... and libraries
#	unit_tests += test-zone		likewise, build/tests/test-zone
#	proto_tests += test-live	likewise; or a script in the tree
#	test_programs += helper		likewise; no test, but tests use it
#	man_pages += broker/vcmad.8
#
# Variables: V=1 shows commands, C=1 runs $(CHECK) on each source, O=DIR puts
# objects there, SANITIZE=address,undefined instruments, CASE=glob selects VM
# cases, BENCH=NAME a benchmark, ARCHES=LIST restricts for which guests modules are built, DESTDIR= stages
# an installation, VCMA_DEPS=no forbids apt.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

O ?= build
V ?= 0
C ?= 0
CHECK ?= sparse
CASE ?= *
SANITIZE ?=
INSTALL ?= install

ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-7s %s\n'
endif
ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
  say = @:
endif

# --- configuration

goals := $(or $(MAKECMDGOALS),all)
no_config := help clean distclean
CONFIG := $(firstword $(wildcard $(O)/config.mak) config.mak)

# The architectures of guests; the cross compilers that their modules need.
ARCHES ?= amd64 i386 arm64 armhf
cross := $(patsubst %,cross-%,$(filter arm64 armhf,$(ARCHES)))

# What the goals will need from the system, asked for in one go.
deps-all := build
deps-demo := build qemu driver vm
deps-check := build qemu driver $(cross) vm
deps-check-vm := build qemu driver $(cross) vm
deps-check-qtest := build qemu
deps-check-zones := build qemu
deps-qemu := qemu
deps-driver := driver $(cross)
groups = $(or $(sort $(foreach goal,$(goals),$(deps-$(goal)))),build)

ifneq ($(filter-out $(no_config),$(goals)),)
  CONFIG_NOW := $(CONFIG)
  include $(CONFIG)
endif

$(CONFIG): configure VERSION
	@scripts/deps build $(groups)
	@if [ -e $@ ]; then echo "  CONFIG  again, with $(CONFIGURE_ARGS)" >&2; fi
	@cd $(@D) && sh $(abspath configure) $(CONFIGURE_ARGS)

# --- flags: ours here, the user's in CFLAGS and LDFLAGS

WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes -Wundef -Wformat=2 -Wwrite-strings \
	-Wimplicit-fallthrough -Wpointer-arith

CPPFLAGS_AUTO = -D_GNU_SOURCE -I$(O) -Iprotocol -Ibroker -I. \
	$(GLIB_CFLAGS) $(JSONC_CFLAGS) $(SYSTEMD_CFLAGS) $(CMOCKA_CFLAGS)
# What the optimizer guesses is no error: it depends on CFLAGS.
CFLAGS_AUTO = -std=gnu11 $(WARNINGS) $(WERROR) -Wno-error=maybe-uninitialized \
	-fstack-protector-strong
LDFLAGS_AUTO = -Wl,-z,relro,-z,now

ifneq ($(SANITIZE),)
  CFLAGS_AUTO += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
  LDFLAGS_AUTO += -fsanitize=$(SANITIZE)
endif

# --- fragments

programs :=
unit_tests :=
proto_tests :=
test_programs :=
man_pages :=
# protocol first: the others name its lists of objects.
fragments := protocol/build.mk \
	$(filter-out protocol/%,$(sort $(wildcard */build.mk */*/build.mk)))
include $(fragments)

# Those proto tests that are scripts are run where they are.
proto_scripts := $(wildcard $(proto_tests))
proto_built := $(filter-out $(proto_scripts),$(proto_tests))
built_tests := $(if $(HAVE_CMOCKA),$(unit_tests) $(proto_built)) $(test_programs)

program_files := $(addprefix $(O)/,$(programs))
test_files := $(addprefix $(O)/tests/,$(built_tests))
objects := $(sort $(addprefix $(O)/obj/,$(foreach p,$(programs) \
	$(unit_tests) $(proto_built) $(test_programs),$($(p)-objs))))

.PHONY: all
all: $(program_files)

# $(1): program, $(2): file
define link
$(2): $$(addprefix $(O)/obj/,$$($(1)-objs)) $(CONFIG)
	@mkdir -p $$(@D)
	$$(say) LD $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(CFLAGS_AUTO) $$(LDFLAGS) $$(LDFLAGS_AUTO) \
		-o $$@ $$(filter %.o,$$^) $$($(1)-libs)
endef
$(foreach p,$(programs),$(eval $(call link,$(p),$(O)/$(p))))
$(foreach p,$(unit_tests),$(eval $(p)-libs += $(CMOCKA_LIBS)))
$(foreach p,$(unit_tests) $(proto_built) $(test_programs),\
	$(eval $(call link,$(p),$(O)/tests/$(p))))

$(O)/obj/%.o: %.c $(CONFIG) | $(O)/vcma_build.h
	@mkdir -p $(@D)
ifeq ($(C),1)
	$(say) CHECK $<
	$(Q)$(CHECK) $(CPPFLAGS_AUTO) $(WARNINGS) $<
endif
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS_AUTO) $(CFLAGS) $(CFLAGS_AUTO) -MMD -MP -c -o $@ $<

-include $(objects:.o=.d)

# The version and the configured directories; new only if something changed.
$(O)/vcma_build.h: FORCE
	@mkdir -p $(@D)
	@scripts/version-header '$(sysconfdir)' '$(runstatedir)' $@

.PHONY: FORCE
FORCE:

# --- the guest driver, the tests' module, QEMU

# Generated from config.mak or the newest headers; asked for only when used.
# Those of other architectures are in the cache.
kdir = $(or $(KDIR),$(shell scripts/kdir))
arch_kdir = $(if $(filter amd64,$(1)),$(kdir),$(shell tests/vm/guest-cache headers --arch $(1)))
# $(O)/driver is amd64's, $(O)/driver-ARCH another one's
arch_dir = $(O)/$(2)$(if $(filter-out amd64,$(1)),-$(1))

# Kbuild writes beside its sources, so it gets a directory of links.
# $(1): architecture, $(2): directory to build in, $(3): sources
kbuild = scripts/kbuild $(if $(filter 1,$(V)),-v) --arch $(1) \
	$(call arch_dir,$(1),$(2)) '$(call arch_kdir,$(1))' $(3)

driver_goals := $(patsubst %,driver-of-%,amd64 i386 arm64 armhf)

driver_deps := $(driver_goals:driver-of-%=driver-deps-%)

.PHONY: driver driver-deps $(driver_goals) $(driver_deps)
driver-deps:
	@scripts/deps driver $(cross)
# Before the goal: its recipe looks for the headers.
$(driver_deps): driver-deps-%:
	@scripts/deps driver $(filter cross-$*,cross-arm64 cross-armhf)
#: driver          virtio_cma.ko for Debian's 6.1 kernels, and the tests' modules
driver: driver-deps
	+$(Q)$(MAKE) --no-print-directory $(parallel) $(ARCHES:%=driver-of-%)
$(driver_goals): driver-of-%: driver-deps-%
	+$(Q)$(call kbuild,$*,driver,guest-driver protocol)
	+$(Q)$(call kbuild,$*,test-modules,tests/vm/modules protocol)

qemu = scripts/qemu --build-dir $(O) $(if $(WITH_QEMU),--with-qemu=$(WITH_QEMU)) $(1)

.PHONY: qemu
#: qemu            QEMU 7.2 with the device in it, built once into a cache
qemu: $(CONFIG_NOW)
	$(Q)scripts/deps qemu
	$(Q)$(call qemu)

# --- tests

export VCMA_BUILD := $(abspath $(O))
export VCMA_SRC := $(CURDIR)
export VCMA_KDIR = $(KDIR)
asan_dir := $(O)/asan
asan_env = VCMA_BUILD=$(VCMA_BUILD)/asan \
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

unit_run = $(addprefix $(1)/tests/,$(if $(HAVE_CMOCKA),$(unit_tests)))
proto_run = $(addprefix $(1)/tests/,$(if $(HAVE_CMOCKA),$(proto_built))) $(proto_scripts)
no_cmocka = $(if $(HAVE_CMOCKA),,--skip 'cmocka is missing (libcmocka-dev)')

run_unit = --group unit --timeout 60 $(no_cmocka) $(call unit_run,$(O))
run_proto = --group proto --timeout 120 --exclusive $(no_cmocka) $(call proto_run,$(O))
run_build = --group build --timeout 60 tests/build/test-runner.sh tests/build/test-scripts.sh
run_zones_quick = --group zones --timeout 120 tests/zones/test-zones.sh
run_zones = $(run_zones_quick) tests/zones/test-dtbs.sh
run_kvm = --group kvm --timeout 120 --exclusive $(no_cmocka) $(if $(HAVE_CMOCKA),$(kvm_tests))
run_style = --group style --timeout 600 scripts/check-style
run_style_quick = --group style --timeout 60 'scripts/check-style --quick'
run_asan = --group asan --timeout 300 --exclusive --env '$(asan_env)' $(no_cmocka) \
	$(call unit_run,$(asan_dir)) $(call proto_run,$(asan_dir))
run_install = --group install --timeout 120 scripts/check-install
qtest_names = $(patsubst tests/qtest/%.c,%,$(sort $(wildcard tests/qtest/*-test.c)))
qtest_env = QTEST_QEMU_BINARY=$(VCMA_BUILD)/qemu-system-x86_64 \
	VCMA_TEST_QEMU=$(VCMA_BUILD)/qtest/qemu-test-system-x86_64 \
	VCMA_VCMAD=$(VCMA_BUILD)/vcmad VCMA_VCMACTL=$(VCMA_BUILD)/vcmactl
run_qtest = --group qtest --timeout 300 --env '$(qtest_env)' \
	$(foreach t,$(qtest_names),'$(O)/qtest/$(t) --tap -k')
vm_tests ?= $(sort $(wildcard tests/vm/cases/$(CASE)))
run_vm = --group vm --timeout 1800 --exclusive $(vm_tests)
run_passthrough = --group passthrough --timeout 1500 $(passthrough_tests)

.PHONY: everything-built tests-built qemu-tests asan-built check-deps vm-deps
everything-built: all $(test_files)
# As many compilers as processors, unless the user said something else.
parallel = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
tests-built:
	$(Q)$(MAKE) --no-print-directory $(parallel) everything-built
qemu-tests: $(CONFIG_NOW)
	$(Q)scripts/deps qemu
	$(Q)$(call qemu,--tests)
asan-built:
	$(Q)$(MAKE) --no-print-directory $(parallel) O=$(asan_dir) \
		SANITIZE=address,undefined everything-built
check-deps:
	@scripts/deps --try check
vm-deps:
	@scripts/deps vm

.PHONY: check check-quick check-unit check-proto check-kvm check-qtest check-vm check-passthrough
.PHONY: check-style check-asan check-install check-zones demo
#: check           all of the below, summed up
check: tests-built asan-built qemu-tests driver check-deps vm-deps
	$(Q)tests/run $(run_build) $(run_style) $(run_unit) $(run_zones) $(run_proto) $(run_kvm) \
		$(run_asan) $(run_install) $(run_qtest) $(run_vm) $(run_passthrough)
#: check-quick     build, unit, zones, proto, quick style checks: no QEMU, no VM, no root
check-quick: check-deps tests-built
	$(Q)tests/run $(run_build) $(run_style_quick) $(run_unit) $(run_zones_quick) \
		$(run_proto)
#: check-unit      the pure modules, each alone
check-unit: tests-built
	$(Q)tests/run $(run_unit)
#: check-zones     vcmactl zones, also on the device trees of QEMU and of Debian's kernels
check-zones: check-deps tests-built qemu-tests
	$(Q)tests/run $(run_zones)
#: check-proto     a live vcmad with hostile and clumsy peers
check-proto: tests-built
	$(Q)tests/run $(run_proto)
#: check-kvm       KVM guests on leases that are revoked under them
check-kvm: tests-built
	$(Q)tests/run $(run_kvm)
#: check-asan      unit and proto with AddressSanitizer and UBSan
check-asan: asan-built
	$(Q)tests/run $(run_asan)
#: check-qtest     the QEMU device without a guest
check-qtest: tests-built qemu-tests
	$(Q)tests/run $(run_qtest)
#: check-vm        guests with stock kernels and drivers; CASE=glob selects
check-vm: tests-built qemu-tests driver vm-deps
	$(Q)tests/run $(run_vm)
#: check-passthrough   VFIO: a host guest with an IOMMU, devices in a guest inside it
check-passthrough: tests-built qemu driver vm-deps
	$(Q)tests/run $(run_passthrough)
#: check-style     cppcheck, shellcheck, checkpatch, headers alone, man pages
check-style: check-deps tests-built
	$(Q)tests/run $(run_style)
#: check-install   install into an empty directory, run, uninstall, empty again
check-install: all
	$(Q)tests/run $(run_install)
.PHONY: bench
BENCH ?= broker
#: bench           times and memory of this machine; BENCH=broker
bench: tests-built
	$(Q)for b in $(BENCH); do tests/bench/$$b || exit 1; done
#: demo            two guests share one contiguous pool, end to end
demo: tests-built qemu driver-of-amd64 vm-deps
	$(Q)tests/demo/run

# --- installation

bindir = $(prefix)/bin
sbindir = $(prefix)/sbin
mandir = $(prefix)/share/man
docdir = $(prefix)/share/doc/vcma
unitdir = $(prefix)/lib/systemd/system
includedir = $(prefix)/include/vcma
dkmsdir = $(prefix)/src/virtio_cma-$(shell cat VERSION)
modprobedir = $(prefix)/lib/modprobe.d
hookdir = $(prefix)/share/initramfs-tools/hooks

sbin_programs := $(filter vcmad,$(programs))
bin_programs := $(filter-out $(sbin_programs),$(programs))
headers := protocol/vcma_broker.h protocol/vcma_virtio.h
dkms_files = $(wildcard guest-driver/*.[ch] guest-driver/Kbuild guest-driver/dkms.conf) \
	$(wildcard protocol/zone.[ch] protocol/zone_map.[ch]) protocol/layout.h \
	protocol/vcma_virtio.h protocol/vcma_broker.h
doc_files = README.md $(wildcard docs/*.md protocol/SPEC.md) \
	$(wildcard broker/vcmad.conf.example)
unit_files = $(wildcard broker/systemd/*.service)
installed = $(sort \
	$(addprefix $(unitdir)/,$(notdir $(unit_files))) \
	$(sbin_programs:%=$(sbindir)/%) $(bin_programs:%=$(bindir)/%) \
	$(foreach m,$(man_pages),$(mandir)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))) \
	$(headers:protocol/%=$(includedir)/%) \
	$(addprefix $(dkmsdir)/,$(notdir $(dkms_files))) \
	$(modprobedir)/virtio_cma.conf $(hookdir)/virtio_cma \
	$(addprefix $(docdir)/,$(notdir $(doc_files))))

.PHONY: install uninstall
#: install         programs, man pages, headers, module source and its initramfs hook; DESTDIR= stages
install: all
	$(say) INSTALL $(DESTDIR)$(prefix)
	$(Q)for f in $(sbin_programs); do \
		$(INSTALL) -D -m 755 $(O)/$$f $(DESTDIR)$(sbindir)/$$f || exit 1; done
	$(Q)for f in $(bin_programs); do \
		$(INSTALL) -D -m 755 $(O)/$$f $(DESTDIR)$(bindir)/$$f || exit 1; done
	$(Q)for f in $(man_pages); do \
		$(INSTALL) -D -m 644 $$f \
			$(DESTDIR)$(mandir)/man$${f##*.}/$${f##*/} || exit 1; done
	$(Q)$(INSTALL) -d $(DESTDIR)$(includedir) $(DESTDIR)$(dkmsdir) $(DESTDIR)$(docdir) \
		$(DESTDIR)$(unitdir)
	$(Q)for f in $(unit_files); do \
		sed -e 's|@sbindir@|$(sbindir)|' -e 's|@sysconfdir@|$(sysconfdir)|' $$f | \
			$(INSTALL) -m 644 /dev/stdin $(DESTDIR)$(unitdir)/$${f##*/} || exit 1; done
	$(Q)$(INSTALL) -m 644 $(headers) $(DESTDIR)$(includedir)
	$(Q)$(INSTALL) -m 644 $(dkms_files) $(DESTDIR)$(dkmsdir)
	$(Q)$(INSTALL) -D -m 644 guest-driver/initramfs/virtio_cma.conf \
		$(DESTDIR)$(modprobedir)/virtio_cma.conf
	$(Q)$(INSTALL) -D -m 755 guest-driver/initramfs/virtio_cma $(DESTDIR)$(hookdir)/virtio_cma
	$(Q)$(INSTALL) -m 644 $(doc_files) $(DESTDIR)$(docdir)
#: uninstall       remove what install put there, and no other file
uninstall:
	$(say) UNINST $(DESTDIR)$(prefix)
	$(Q)rm -f $(addprefix $(DESTDIR),$(installed))
	$(Q)for d in $(unitdir) $(prefix)/lib/systemd $(modprobedir) $(prefix)/lib \
		$(hookdir) $(prefix)/share/initramfs-tools $(includedir) $(dkmsdir) $(docdir) $(bindir) $(sbindir) \
		$(mandir)/man5 $(mandir)/man8 $(mandir)/man1 $(mandir) \
		$(prefix)/share/doc $(prefix)/share $(prefix)/include $(prefix)/src; do \
		rmdir $(DESTDIR)$$d 2>/dev/null || :; done

# --- cleaning, help

.PHONY: clean distclean help
#: clean           remove what was built; the QEMU cache stays
clean:
	$(Q)if [ -e $(O)/config.mak ]; then \
		rm -rf $(program_files) $(O)/obj $(O)/tests $(O)/asan $(O)/driver* \
			$(O)/test-modules* $(O)/vcma_build.h $(O)/qemu* $(O)/qtest; \
	else rm -rf $(O); fi
#: distclean       and config.mak
distclean: clean
	$(Q)rm -f $(CONFIG) $(if $(wildcard $(O)/config.mak),$(O)/Makefile)
#: help            this list
help:
	@echo "make [TARGET]...    without a target: all"
	@echo
	@echo "  all             vcmad and vcmactl"
	@sed -n 's/^#: /  /p' Makefile
	@echo
	@echo "Variables: V=1 C=1 O=DIR SANITIZE=LIST CASE=GLOB ARCHES=LIST DESTDIR=DIR VCMA_DEPS=no"
	@echo "Settings:  ./configure --help"
