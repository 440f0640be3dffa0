// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-sockio.c - packets with descriptors: what arrives, and what does not stay open
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "sockio.h"

struct fixture {
	int a, b, null;
	unsigned int open;	/* descriptors in the process when all is well */
	struct vcma_packet pkt;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	*state = f;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->a = pair[0];
	f->b = pair[1];
	f->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	f->open = count_fds();
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(count_fds(), f->open);
	close(f->a);
	close(f->b);
	close(f->null);
	free(f);
	return 0;
}

static int send_fds(struct fixture *f, size_t len, unsigned int nfds)
{
	static unsigned char data[VCMA_MSG_MAX + 1];
	int fds[VCMA_FDS_MAX + 1];
	unsigned int i;

	for (i = 0; i < nfds; i++)
		fds[i] = f->null;
	memset(data, 0x3c, sizeof(data));
	return vcma_sock_send(f->a, data, len, fds, nfds);
}

static void test_round_trip(void **state)
{
	static const unsigned int counts[] = { 0, 1, 2, 252, 253 };
	struct fixture *f = *state;
	unsigned int i, k;

	for (i = 0; i < 5; i++) {
		assert_int_equal(send_fds(f, 100 + i, counts[i]), 0);
		assert_int_equal(vcma_sock_recv(f->b, &f->pkt, VCMA_FDS_MAX), 1);
		assert_int_equal(f->pkt.len, 100 + i);
		assert_int_equal(f->pkt.data[99], 0x3c);
		assert_int_equal(f->pkt.nfds, counts[i]);
		assert_false(f->pkt.fds_lost);
		for (k = 0; k < counts[i]; k++)
			assert_int_equal(fcntl(f->pkt.fds[k], F_GETFD), FD_CLOEXEC);
		errno = 4711;
		vcma_packet_close_fds(&f->pkt);
		assert_int_equal(errno, 4711);
		vcma_packet_close_fds(&f->pkt);
	}
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, VCMA_FDS_MAX), -EAGAIN);
}

static void test_sizes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_fds(f, 0, 0), -EINVAL);
	assert_int_equal(send_fds(f, 8, VCMA_FDS_MAX + 1), -EINVAL);
	assert_int_equal(send_fds(f, VCMA_MSG_MAX, 0), 0);
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, 0), 1);
	assert_int_equal(f->pkt.len, VCMA_MSG_MAX);
	assert_int_equal(send_fds(f, VCMA_MSG_MAX + 1, 5), 0);
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, VCMA_FDS_MAX), -EMSGSIZE);
	assert_int_equal(f->pkt.nfds, 0);
}

static void test_surplus_is_closed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_fds(f, 8, 3), 0);
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, 2), -EPROTO);
	assert_int_equal(count_fds(), f->open);
	assert_int_equal(send_fds(f, 8, 1), 0);
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, 0), -EPROTO);
	assert_int_equal(count_fds(), f->open);
	/* The next packet is whole again. */
	assert_int_equal(send_fds(f, 8, 0), 0);
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, 0), 1);
}

/* The process may open some of them, not all: none stays, and the message is there. */
static void test_too_many_open(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, low;
	int ret;

	assert_int_equal(send_fds(f, 64, 200), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = f->open + 20;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	ret = vcma_sock_recv(f->b, &f->pkt, VCMA_FDS_MAX);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, 1);
	assert_true(f->pkt.fds_lost);
	assert_int_equal(f->pkt.nfds, 0);
	assert_int_equal(f->pkt.len, 64);
	assert_int_equal(count_fds(), f->open);
}

static void test_end(void **state)
{
	struct fixture *f = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[0]);
	assert_int_equal(vcma_sock_recv(pair[1], &f->pkt, 0), 0);
	assert_int_equal(vcma_sock_send(pair[1], "x", 1, NULL, 0), -EPIPE);
	close(pair[1]);
	assert_int_equal(vcma_sock_recv(-1, &f->pkt, 0), -EBADF);
	assert_int_equal(vcma_sock_send(-1, "x", 1, NULL, 0), -EBADF);
	assert_int_equal(f->pkt.nfds, 0);
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	unsigned int n = 0;

	while (send_fds(f, 4096, 1) == 0)
		assert_true(++n < 100000);
	assert_int_equal(send_fds(f, 4096, 1), -EAGAIN);
	assert_true(n > 0);
	for (; n > 0; n--) {
		assert_int_equal(vcma_sock_recv(f->b, &f->pkt, 1), 1);
		vcma_packet_close_fds(&f->pkt);
	}
	assert_int_equal(vcma_sock_recv(f->b, &f->pkt, 1), -EAGAIN);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_sizes),
		TEST(test_surplus_is_closed),
		TEST(test_too_many_open),
		TEST(test_end),
		TEST(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
