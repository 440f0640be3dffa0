/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_vm.h - the smallest virtual machine: one processor in real mode, on the plain KVM API
 *
 * The guest runs a few bytes of code and knows one address, KVM_VM_TARGET,
 * where the caller puts what it likes: a memory slot, or nothing.  Errors are
 * -errno.  One thread may run the guest while another one changes slots.
 */
#ifndef KVM_VM_H
#define KVM_VM_H

#include <stddef.h>
#include <stdint.h>

/* Guest address of what the guest reads and writes; its data segment begins there. */
#define KVM_VM_TARGET 0x200000

struct kvm_run;

/**
 * struct kvm_vm - a virtual machine
 * @kvm: /dev/kvm
 * @vm: its descriptor
 * @vcpu: the descriptor of its processor
 * @run: what the processor and we share
 * @run_size: bytes of @run
 * @code: the page that the guest's code is in
 */
struct kvm_vm {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *code;
};

/* What the guest does, from its first instruction on. */
enum kvm_vm_program {
	KVM_VM_WRITE_ONCE,	/* AX to KVM_VM_TARGET, then an exit (out) */
	KVM_VM_READ_ONCE,	/* KVM_VM_TARGET to AX, then an exit (out) */
	KVM_VM_WRITE_ON,	/* AX to KVM_VM_TARGET, AX + 1, again, for ever */
};

/* How it stopped. */
enum kvm_vm_exit {
	KVM_VM_DONE,		/* the program's own exit */
	KVM_VM_MMIO,		/* an access to what is no memory */
	KVM_VM_FAULT,		/* an access to memory that is there no more: EFAULT, internal error */
	KVM_VM_INTERRUPTED,	/* a signal */
	KVM_VM_OTHER,		/* anything else */
};

/*
 * A machine without memory but its code.  0, or -errno of what KVM refused
 * (-ENOENT, -EACCES: no /dev/kvm for us); then there is nothing to free.
 */
int kvm_vm_open(struct kvm_vm *m);
/* Fine after a failed kvm_vm_open(), too. */
void kvm_vm_close(struct kvm_vm *m);

/* The memory at @host, in slot 1, is at KVM_VM_TARGET from now on; @size 0: nothing is. */
int kvm_vm_slot(struct kvm_vm *m, void *host, uint64_t size);

/* The processor starts @program anew at the next kvm_vm_run(), with @ax in AX. */
int kvm_vm_reset(struct kvm_vm *m, enum kvm_vm_program program, uint16_t ax);

/* Run until the guest stops.  *@ret_ax: its AX then; NULL is fine. */
enum kvm_vm_exit kvm_vm_run(struct kvm_vm *m, uint16_t *ret_ax);

/* "MMIO", "fault" ... */
const char *kvm_vm_exit_name(enum kvm_vm_exit e);

#endif /* KVM_VM_H */
