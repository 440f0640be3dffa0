// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * haunt.c - those who go on touching memory that was given back
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "haunt.h"
#include "sockio.h"
#include "wire.h"

#define BYTE	0x77
#define AT	4095	/* of each granule */

struct ghost {
	atomic_ulong tried, reached;
};

struct haunting {
	struct ghost *ghost;	/* HAUNT_GHOSTS of them, shared by the processes */
	struct ghost *self;
	uint8_t *map;
	const int *fds;
	uint32_t nr;
	uint64_t granule;
};

static struct haunting haunting;
static _Thread_local sigjmp_buf jump;
static _Thread_local volatile sig_atomic_t expected;

void haunt_fault(void)
{
	if (expected)
		siglongjmp(jump, 1);
}

static void touch(struct ghost *g, volatile uint8_t *at, bool writing)
{
	atomic_fetch_add(&g->tried, 1);
	if (sigsetjmp(jump, 1)) {
		expected = 0;
		return;
	}
	expected = 1;
	if (writing)
		*at = BYTE;
	else
		(void)*at;
	expected = 0;
	atomic_fetch_add(&g->reached, 1);
}

static void haunt_granule(const struct haunting *t, uint32_t i)
{
	uint8_t *at = t->map + i * t->granule, *anew;

	touch(t->self, at + AT, false);
	touch(t->self, at + AT, true);
	atomic_fetch_add(&t->self->tried, 1);
	if (fallocate(t->fds[i], 0, 0, (off_t)t->granule) == 0)
		atomic_fetch_add(&t->self->reached, 1);
	anew = mmap(NULL, t->granule, PROT_READ, MAP_SHARED, t->fds[i], 0);
	if (anew == MAP_FAILED)
		return;
	touch(t->self, anew + AT, false);
	munmap(anew, t->granule);
}

static void *haunt(void *opaque)
{
	const struct haunting *t = opaque;

	for (;;) {
		for (uint32_t i = 0; i < t->nr; i++)
			haunt_granule(t, i);
		usleep(500);
	}
	return NULL;
}

/* The third process: all that it has is what comes through the socket. */
static _Noreturn void haunt_from_outside(struct haunting t, int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct vcma_packet pkt;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	munmap(t.map, t.nr * t.granule);
	for (uint32_t i = 0; i < t.nr; i++)
		close(t.fds[i]);
	if (poll(&p, 1, 5000) != 1 || vcma_sock_recv(sock, &pkt, VCMA_FDS_MAX) != 1)
		_exit(1);
	t.self = &t.ghost[HAUNT_PROCESS];
	t.fds = pkt.fds;
	t.nr = pkt.nfds;
	for (uint32_t i = 0; i < t.nr; i++)
		if (mmap(t.map + i * t.granule, t.granule, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, t.fds[i], 0) == MAP_FAILED)
			_exit(1);
	haunt(&t);
	_exit(0);
}

static int haunt_by_process(int sock[2])
{
	struct vcma_empty m;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		haunt_from_outside(haunting, sock[1]);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
	return vcma_sock_send(sock[0], &m, sizeof(m), haunting.fds, haunting.nr);
}

int haunt_start(uint8_t *map, const int *fds, uint32_t nr, uint64_t granule)
{
	pthread_t thread;
	int sock[2], r;
	void *ghost;

	if (haunting.ghost || nr > VCMA_FDS_MAX)
		return -EBUSY;
	ghost = mmap(NULL, HAUNT_GHOSTS * sizeof(struct ghost), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ghost == MAP_FAILED)
		return -errno;
	haunting = (struct haunting){
		.ghost = ghost, .self = ghost, .map = map, .fds = fds, .nr = nr, .granule = granule,
	};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return -errno;
	r = haunt_by_process(sock);
	close(sock[0]);
	close(sock[1]);
	return r < 0 ? r : -pthread_create(&thread, NULL, haunt, &haunting);
}

void haunt_count(unsigned int ghost, unsigned long *ret_tried, unsigned long *ret_reached)
{
	*ret_tried = *ret_reached = 0;
	if (!haunting.ghost)
		return;
	*ret_reached = atomic_exchange(&haunting.ghost[ghost].reached, 0);
	*ret_tried = atomic_exchange(&haunting.ghost[ghost].tried, 0);
}
