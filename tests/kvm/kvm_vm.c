// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm_vm.c - the smallest virtual machine: one processor in real mode, on the plain KVM API
 */
#include "kvm_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#define PAGE 4096
#define CODE_GPA 0x1000
#define CODE_SLOT 0
#define TARGET_SLOT 1
#define TSS_GPA 0xfffbd000	/* three pages that Intel's processors want */

#define WRITE	0x89, 0x07		/* mov %ax, (%bx) */
#define READ	0x8b, 0x07		/* mov (%bx), %ax */
#define EXIT	0xe7, 0x10		/* out %ax, $0x10 */
#define COUNT	0x40			/* inc %ax */
#define BACK(n)	0xeb, (uint8_t)-(n)	/* jmp, n bytes back from behind it */

static const uint8_t programs[][8] = {
	[KVM_VM_WRITE_ONCE] = { WRITE, EXIT, BACK(6) },
	[KVM_VM_READ_ONCE] = { READ, EXIT, BACK(6) },
	[KVM_VM_WRITE_ON] = { WRITE, COUNT, BACK(5) },
};

static int set_slot(struct kvm_vm *m, uint32_t slot, uint64_t gpa, void *host, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int open_vcpu(struct kvm_vm *m)
{
	int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < 0)
		return -errno;
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	if (m->vcpu < 0)
		return -errno;
	m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	if (m->run == MAP_FAILED) {
		m->run = NULL;
		return -errno;
	}
	m->run_size = (size_t)size;
	return 0;
}

static int open_all(struct kvm_vm *m)
{
	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm < 0)
		return -errno;
	m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0)
		return -errno;
	/* Other processors know nothing of it. */
	ioctl(m->vm, KVM_SET_TSS_ADDR, TSS_GPA);
	m->code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->code == MAP_FAILED) {
		m->code = NULL;
		return -errno;
	}
	return set_slot(m, CODE_SLOT, CODE_GPA, m->code, PAGE);
}

int kvm_vm_open(struct kvm_vm *m)
{
	int r;

	*m = (struct kvm_vm){ .kvm = -1, .vm = -1, .vcpu = -1 };
	r = open_all(m);
	if (!r)
		r = open_vcpu(m);
	if (r)
		kvm_vm_close(m);
	return r;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void kvm_vm_close(struct kvm_vm *m)
{
	if (m->run)
		munmap(m->run, m->run_size);
	m->run = NULL;
	close_fd(&m->vcpu);
	close_fd(&m->vm);
	close_fd(&m->kvm);
	if (m->code)
		munmap(m->code, PAGE);
	m->code = NULL;
}

int kvm_vm_slot(struct kvm_vm *m, void *host, uint64_t size)
{
	return set_slot(m, TARGET_SLOT, KVM_VM_TARGET, host, size);
}

int kvm_vm_reset(struct kvm_vm *m, enum kvm_vm_program program, uint16_t ax)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2, .rax = ax };
	struct kvm_sregs sregs;

	memcpy(m->code, programs[program], sizeof(programs[program]));
	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.ds.base = KVM_VM_TARGET;
	sregs.ds.selector = 0;
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(m->vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

/* After an access that we were asked to carry out, KVM wants to finish the instruction. */
static void finish_mmio(struct kvm_vm *m)
{
	m->run->immediate_exit = 1;
	ioctl(m->vcpu, KVM_RUN, 0);
	m->run->immediate_exit = 0;
}

enum kvm_vm_exit kvm_vm_run(struct kvm_vm *m, uint16_t *ret_ax)
{
	struct kvm_regs regs;
	enum kvm_vm_exit r;

	if (ioctl(m->vcpu, KVM_RUN, 0) < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return KVM_VM_INTERRUPTED;
		return errno == EFAULT || errno == EHWPOISON ? KVM_VM_FAULT : KVM_VM_OTHER;
	}
	if (ret_ax) {
		if (ioctl(m->vcpu, KVM_GET_REGS, &regs) < 0)
			return KVM_VM_OTHER;
		*ret_ax = (uint16_t)regs.rax;
	}
	switch (m->run->exit_reason) {
	case KVM_EXIT_IO:
		return KVM_VM_DONE;
	case KVM_EXIT_MMIO:
		r = m->run->mmio.phys_addr == KVM_VM_TARGET ? KVM_VM_MMIO : KVM_VM_OTHER;
		finish_mmio(m);
		return r;
	case KVM_EXIT_INTERNAL_ERROR:
		return KVM_VM_FAULT;
	case KVM_EXIT_INTR:
		return KVM_VM_INTERRUPTED;
	default:
		return KVM_VM_OTHER;
	}
}

const char *kvm_vm_exit_name(enum kvm_vm_exit e)
{
	static const char *const names[] = {
		[KVM_VM_DONE] = "done",
		[KVM_VM_MMIO] = "MMIO",
		[KVM_VM_FAULT] = "fault",
		[KVM_VM_INTERRUPTED] = "interrupted",
		[KVM_VM_OTHER] = "another exit",
	};

	return names[e];
}
