// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-kvm.c - a KVM guest whose memory is leased, and revoked under it (I3, I4)
 *
 *	test-kvm SOCKET-A SOCKET-B	the tests, as TAP
 *	test-kvm --probe		0 if a guest runs here, else 1 and the reason
 *
 * The sockets are those of two VMs of a vcmad whose pool is one chunk of SIZE,
 * so that B gets what A gave back.  This process plays both.  A's guest may be
 * as hostile as it likes: the memory slot and the mapping behind it stay when
 * A's lease has been given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/kvm/holder.h"
#include "tests/kvm/kvm_vm.h"

#define SIZE (UINT64_C(32) << 20)
#define PROBE_S 2
#define STOP_MS 5000
#define ATTEMPTS 1000u
#define ROUNDS 500
#define MARK 0x5a

static const char *socket_a, *socket_b;

/* --- a processor in a thread --- */

struct runner {
	struct kvm_vm *vm;
	pthread_t thread;
	enum kvm_vm_exit exit;
	atomic_bool stopped;
};

static void on_signal(int sig)
{
	(void)sig;
}

static void *run_on(void *opaque)
{
	struct runner *r = opaque;

	r->exit = kvm_vm_run(r->vm, NULL);
	atomic_store(&r->stopped, true);
	return NULL;
}

static void runner_start(struct runner *r, struct kvm_vm *vm)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &act, NULL);
	r->vm = vm;
	atomic_store(&r->stopped, false);
	assert_int_equal(pthread_create(&r->thread, NULL, run_on, r), 0);
}

/* How it stopped within STOP_MS; if it does not, it is interrupted. */
static enum kvm_vm_exit runner_wait(struct runner *r)
{
	int i;

	for (i = 0; i < STOP_MS && !atomic_load(&r->stopped); i++)
		usleep(1000);
	/* One signal may come before the processor is back in the guest. */
	while (!atomic_load(&r->stopped)) {
		pthread_kill(r->thread, SIGUSR1);
		usleep(1000);
	}
	pthread_join(r->thread, NULL);
	return r->exit;
}

/* The guest is writing to @word. */
static bool is_busy(const volatile uint16_t *word)
{
	uint16_t first = *word;
	int i;

	for (i = 0; i < STOP_MS; i++) {
		if (*word != first)
			return true;
		usleep(1000);
	}
	return false;
}

/* --- fixtures --- */

struct state {
	struct holder a, b;
	struct kvm_vm vm;
};

static int setup(void **opaque)
{
	static struct state s;

	*opaque = &s;
	if (holder_open(&s.a, socket_a) || holder_open(&s.b, socket_b))
		return -1;
	return kvm_vm_open(&s.vm);
}

static int teardown(void **opaque)
{
	struct state *s = *opaque;

	kvm_vm_close(&s->vm);
	holder_close(&s->a);
	holder_close(&s->b);
	return 0;
}

/* A takes the pool, and its guest gets it. */
static void give_to_guest(struct state *s)
{
	assert_int_equal(holder_take(&s->a, SIZE), 0);
	assert_int_equal(kvm_vm_slot(&s->vm, s->a.map, s->a.size), 0);
}

/* B takes what A gave back, and marks it. */
static void give_to_b(struct state *s, uint64_t pfn)
{
	assert_int_equal(holder_take(&s->b, SIZE), 0);
	memset(s->b.map, MARK, s->b.size);
	assert_int_not_equal(pfn, 0);
	assert_int_equal(holder_pfn(&s->b), pfn);
}

static size_t changed_bytes(const struct state *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->b.size; i++)
		n += s->b.map[i] != MARK;
	return n;
}

/* How often A's guest reaches memory, of ATTEMPTS to read and to write. */
static unsigned int reaches(struct state *s)
{
	unsigned int i, n = 0;
	enum kvm_vm_exit e;

	for (i = 0; i < 2 * ATTEMPTS; i++) {
		assert_int_equal(kvm_vm_reset(&s->vm, i & 1 ? KVM_VM_READ_ONCE : KVM_VM_WRITE_ONCE,
					      0x7777), 0);
		e = kvm_vm_run(&s->vm, NULL);
		n += e != KVM_VM_MMIO && e != KVM_VM_FAULT;
	}
	return n;
}

/* --- tests --- */

static void test_lease_is_guest_memory(void **opaque)
{
	struct state *s = *opaque;
	uint16_t ax = 0;

	give_to_guest(s);
	assert_int_equal(kvm_vm_reset(&s->vm, KVM_VM_READ_ONCE, 0x1111), 0);
	assert_int_equal(kvm_vm_run(&s->vm, &ax), KVM_VM_DONE);
	assert_int_equal(ax, 0);
	assert_int_equal(kvm_vm_reset(&s->vm, KVM_VM_WRITE_ONCE, 0x1234), 0);
	assert_int_equal(kvm_vm_run(&s->vm, NULL), KVM_VM_DONE);
	assert_int_equal(*(uint16_t *)s->a.map, 0x1234);
}

static void test_revoked_under_a_running_guest(void **opaque)
{
	struct state *s = *opaque;
	enum kvm_vm_exit stopped;
	struct runner runner;
	unsigned int reached;
	uint64_t pfn;
	bool busy;

	give_to_guest(s);
	assert_int_equal(kvm_vm_reset(&s->vm, KVM_VM_WRITE_ON, 0), 0);
	runner_start(&runner, &s->vm);
	busy = is_busy((uint16_t *)s->a.map);
	pfn = holder_pfn(&s->a);
	/* Slot and mapping stay. */
	if (holder_release(&s->a))
		busy = false;
	stopped = runner_wait(&runner);
	assert_true(busy);
	give_to_b(s, pfn);
	reached = reaches(s);
	printf("# the guest stopped by: %s; then it reached memory %u times of %u, %zu bytes changed\n",
	       kvm_vm_exit_name(stopped), reached, 2 * ATTEMPTS, changed_bytes(s));
	assert_true(stopped == KVM_VM_MMIO || stopped == KVM_VM_FAULT);
	assert_int_equal(reached, 0);
	assert_int_equal(changed_bytes(s), 0);
}

static void test_slot_removed_under_a_running_guest(void **opaque)
{
	struct state *s = *opaque;
	enum kvm_vm_exit stopped;
	struct runner runner;
	bool busy, removed;
	uint64_t pfn;

	give_to_guest(s);
	assert_int_equal(kvm_vm_reset(&s->vm, KVM_VM_WRITE_ON, 0), 0);
	runner_start(&runner, &s->vm);
	busy = is_busy((uint16_t *)s->a.map);
	pfn = holder_pfn(&s->a);
	removed = kvm_vm_slot(&s->vm, s->a.map, 0) == 0;
	stopped = runner_wait(&runner);
	assert_true(busy && removed);
	assert_int_equal(stopped, KVM_VM_MMIO);
	holder_unmap(&s->a);
	assert_int_equal(holder_release(&s->a), 0);
	give_to_b(s, pfn);
	assert_int_equal(reaches(s), 0);
	assert_int_equal(changed_bytes(s), 0);
}

struct slot_times {
	double add, del;
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Mean of ROUNDS; the guest touches the slot each time, so that there is something to take away. */
static void measure(struct kvm_vm *vm, void *map, struct slot_times *ret)
{
	double start;
	int i;

	*ret = (struct slot_times){ 0 };
	for (i = 0; i < ROUNDS; i++) {
		start = now_us();
		assert_int_equal(kvm_vm_slot(vm, map, SIZE), 0);
		ret->add += (now_us() - start) / ROUNDS;
		assert_int_equal(kvm_vm_reset(vm, KVM_VM_WRITE_ONCE, 1), 0);
		assert_int_equal(kvm_vm_run(vm, NULL), KVM_VM_DONE);
		start = now_us();
		assert_int_equal(kvm_vm_slot(vm, map, 0), 0);
		ret->del += (now_us() - start) / ROUNDS;
	}
}

static void test_times_of_slots(void **opaque)
{
	struct state *s = *opaque;
	struct slot_times lease, plain;
	int fd = memfd_create("plain", MFD_CLOEXEC);
	void *map;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(holder_take(&s->a, SIZE), 0);
	measure(&s->vm, map, &plain);
	measure(&s->vm, s->a.map, &lease);
	printf("# a slot of %u MiB: add %.1f us with a lease, %.1f us with a plain memfd, ratio %.2f; "
	       "delete %.1f us, %.1f us, ratio %.2f\n", (unsigned int)(SIZE >> 20),
	       lease.add, plain.add, lease.add / plain.add,
	       lease.del, plain.del, lease.del / plain.del);
	munmap(map, SIZE);
	close(fd);
}

/* --- */

/* In a process of its own, because it may never end. */
static void probe_guest(void)
{
	struct kvm_vm vm;
	uint16_t ax = 0;
	uint16_t *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = kvm_vm_open(&vm);

	alarm(PROBE_S);
	if (r || map == MAP_FAILED || kvm_vm_slot(&vm, map, SIZE) ||
	    kvm_vm_reset(&vm, KVM_VM_WRITE_ONCE, 0x1234) || kvm_vm_run(&vm, NULL) != KVM_VM_DONE ||
	    *map != 0x1234)
		_exit(r ? -r : 255);
	*map = 0x4321;
	_exit(kvm_vm_reset(&vm, KVM_VM_READ_ONCE, 0) || kvm_vm_run(&vm, &ax) != KVM_VM_DONE ||
	      ax != 0x4321 ? 255 : 0);
}

static int probe(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		probe_guest();
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		printf("no process for a guest: %s\n", strerror(errno));
		return 1;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 255)
		printf("no KVM here: %s\n", strerror(WEXITSTATUS(status)));
	else
		printf("KVM is here, but a guest of two instructions does not run in %d s\n", PROBE_S);
	return 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lease_is_guest_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revoked_under_a_running_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_removed_under_a_running_guest,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_times_of_slots, setup, teardown),
	};

	if (argc == 2 && !strcmp(argv[1], "--probe"))
		return probe();
	if (argc != 3) {
		fprintf(stderr, "usage: test-kvm SOCKET-A SOCKET-B | test-kvm --probe\n");
		return 2;
	}
	socket_a = argv[1];
	socket_b = argv[2];
	return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
