# SPDX-License-Identifier: GPL-2.0-or-later
# The tests on the plain KVM API.

kvm_tests := tests/kvm/test-kvm.sh
test_programs += $(if $(HAVE_CMOCKA),test-kvm)
test-kvm-objs = tests/kvm/test-kvm.o tests/kvm/kvm_vm.o tests/kvm/holder.o $(vcma-client-objs)
test-kvm-libs = $(CMOCKA_LIBS) -lpthread
