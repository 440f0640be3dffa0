// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-hostile.c - peers that do what they must not, on a live vcmad
 *
 * Each wrong-doer loses its own connection.  A good peer is connected all the
 * time and has to be served afterwards, and vcmad must have as many
 * descriptors as before (I9, I10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sockio.h"
#include "wire.h"

#define MIB (UINT64_C(1) << 20)
#define WAIT_MS 10000

struct daemon {
	char dir[64];
	pid_t pid;
	int good;		/* connection of VM good */
	unsigned int fds;	/* of vcmad, at rest */
	uint32_t sequence;
};

/* --- a peer without manners --- */

static int dial(const struct daemon *d, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s.sock", d->dir, name);
	for (int i = 0; connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0; i++) {
		if (i == 1000) {
			close(fd);
			return -1;
		}
		usleep(10000);
	}
	return fd;
}

static int send_raw(int fd, const void *msg, size_t len)
{
	return vcma_sock_send(fd, msg, len, NULL, 0);
}

/* 1: a packet; 0: closed.  Fails the test if neither comes. */
static int receive(int fd, struct vcma_packet *pkt)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	while ((r = vcma_sock_recv(fd, pkt, VCMA_FDS_MAX)) == -EAGAIN)
		if (poll(&p, 1, WAIT_MS) == 0)
			fail_msg("no answer in %d ms", WAIT_MS);
	return r == -ECONNRESET ? 0 : r;
}

/* The next packet of this type; events of other types are passed over. */
static void expect(int fd, struct vcma_packet *pkt, uint16_t type)
{
	for (;;) {
		if (receive(fd, pkt) != 1)
			fail_msg("closed, %s was expected", vcma_msg_name(type));
		if (vcma_msg_type(&pkt->hdr) == type)
			return;
		vcma_packet_close_fds(pkt);
	}
}

static void expect_goodbye(int fd, uint32_t status)
{
	struct vcma_packet pkt;

	expect(fd, &pkt, VCMA_MSG_GOODBYE);
	assert_int_equal(vcma_msg_status(&pkt.hdr), status);
	while (receive(fd, &pkt) == 1)
		vcma_packet_close_fds(&pkt);
	close(fd);
}

static void make_hello(struct daemon *d, struct vcma_hello *m)
{
	vcma_msg_init(m, sizeof(*m), VCMA_MSG_HELLO);
	m->hdr.sequence = vcma_cpu_to_le32(++d->sequence);
	m->version_min = vcma_cpu_to_le16(1);
	m->version_max = vcma_cpu_to_le16(7);
	vcma_name_set(m->name, "test");
}

static uint32_t say_hello(struct daemon *d, int fd)
{
	struct vcma_packet pkt;
	struct vcma_hello m;

	make_hello(d, &m);
	send_raw(fd, &m, sizeof(m)); /* if it was closed already, there is a GOODBYE to read */
	if (receive(fd, &pkt) != 1)
		fail_msg("closed, an answer to HELLO was expected");
	if (vcma_msg_type(&pkt.hdr) != VCMA_MSG_GOODBYE)
		assert_int_equal(vcma_msg_type(&pkt.hdr), VCMA_MSG_HELLO | VCMA_MSG_REPLY);
	return vcma_msg_status(&pkt.hdr);
}

/* A connection of VM bad that has said HELLO; the one before may still be on its way out. */
static int dial_bad(struct daemon *d)
{
	for (int i = 0; i < 500; i++) {
		int fd = dial(d, "bad");

		assert_true(fd >= 0);
		if (say_hello(d, fd) == VCMA_ST_OK)
			return fd;
		close(fd);
		usleep(10000);
	}
	fail_msg("VM bad is not let in");
	return -1;
}

static void make_lease(struct daemon *d, struct vcma_lease_req *m, uint64_t size, uint32_t deadline)
{
	vcma_msg_init(m, sizeof(*m), VCMA_MSG_LEASE);
	m->hdr.sequence = vcma_cpu_to_le32(++d->sequence);
	m->size = vcma_cpu_to_le64(size);
	m->max_addr = ~(__le64)0;
	m->deadline_ms = vcma_cpu_to_le32(deadline);
}

static uint32_t send_lease(struct daemon *d, int fd, uint64_t size, uint32_t deadline)
{
	struct vcma_lease_req m;

	make_lease(d, &m, size, deadline);
	assert_int_equal(send_raw(fd, &m, sizeof(m)), 0);
	return d->sequence;
}

static void send_ack(int fd, uint64_t lease, uint32_t received, uint32_t status)
{
	struct vcma_lease_ack m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_LEASE_ACK);
	m.lease = vcma_cpu_to_le64(lease);
	m.received = vcma_cpu_to_le32(received);
	m.status = vcma_cpu_to_le32(status);
	send_raw(fd, &m, sizeof(m));
}

static uint32_t release(struct daemon *d, int fd, uint64_t lease, unsigned int times)
{
	uint64_t buf[(sizeof(struct vcma_release) + VCMA_IDS_MAX * 8) / 8];
	struct vcma_release *m = (struct vcma_release *)buf;
	size_t len = vcma_msg_size(VCMA_MSG_RELEASE, times);
	struct vcma_packet pkt;

	vcma_msg_init(m, len, VCMA_MSG_RELEASE);
	m->hdr.sequence = vcma_cpu_to_le32(++d->sequence);
	m->count = vcma_cpu_to_le32(times);
	for (unsigned int i = 0; i < times; i++)
		m->lease[i] = vcma_cpu_to_le64(lease);
	assert_int_equal(send_raw(fd, m, len), 0);
	expect(fd, &pkt, VCMA_MSG_RELEASE | VCMA_MSG_REPLY);
	return vcma_msg_status(&pkt.hdr);
}

/* The reply to a LEASE; descriptors are closed.  0 if refused. */
static uint64_t lease_reply(int fd, uint32_t *ret_status)
{
	const struct vcma_lease_reply *r;
	struct vcma_packet pkt;

	expect(fd, &pkt, VCMA_MSG_LEASE | VCMA_MSG_REPLY);
	r = (const void *)pkt.data;
	assert_int_equal(pkt.nfds, vcma_le32_to_cpu(r->nr_fds));
	vcma_packet_close_fds(&pkt);
	*ret_status = vcma_msg_status(&pkt.hdr);
	return vcma_le64_to_cpu(r->lease);
}

static uint64_t get_lease(struct daemon *d, int fd, uint64_t size)
{
	uint32_t status;
	uint64_t id;

	send_lease(d, fd, size, 5000);
	id = lease_reply(fd, &status);
	assert_int_equal(status, VCMA_ST_OK);
	send_ack(fd, id, (uint32_t)(size / (2 * MIB)), VCMA_ST_OK);
	return id;
}

/* --- vcmad --- */

static unsigned int count_fds(pid_t pid)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static uint64_t operator_call(struct daemon *d, void *msg, size_t len, struct vcma_packet *pkt)
{
	struct vcma_hdr *hdr = msg;
	int fd = dial(d, "vcmad");

	assert_true(fd >= 0);
	assert_int_equal(say_hello(d, fd), VCMA_ST_OK);
	hdr->sequence = vcma_cpu_to_le32(++d->sequence);
	assert_int_equal(send_raw(fd, msg, len), 0);
	expect(fd, pkt, vcma_msg_type(hdr) | VCMA_MSG_REPLY);
	close(fd);
	return vcma_msg_status(&pkt->hdr);
}

static void wait_idle(struct daemon *d)
{
	struct vcma_packet pkt;
	struct vcma_op_wait m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_OP_WAIT_IDLE);
	m.deadline_ms = vcma_cpu_to_le32(WAIT_MS);
	assert_int_equal(operator_call(d, &m, sizeof(m), &pkt), VCMA_ST_OK);
}

/* @files: descriptors that vcmad may have; 0: as many as this process. */
static void start(struct daemon *d, const char *pool, rlim_t files)
{
	const struct rlimit lim = { files, files };
	const char *build = getenv("VCMA_BUILD");
	char program[512];

	strcpy(d->dir, "/tmp/vcma-hostile.XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(program, sizeof(program), "%s/vcmad", build ? build : "build");
	d->pid = fork();
	if (!d->pid) {
		char log[96];
		int fd;

		if (files)
			setrlimit(RLIMIT_NOFILE, &lim);
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that fails leaves nothing behind */
		snprintf(log, sizeof(log), "%s/log", d->dir);
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 2);
		execl(program, "vcmad", "--run-dir", d->dir, "--backing", "memfd", "--pool", pool,
		      "--chunk", "2M", "--vm", "good", "--vm", "bad", (char *)NULL);
		_exit(127);
	}
	d->good = dial(d, "good");
	assert_true(d->good >= 0);
	assert_int_equal(say_hello(d, d->good), VCMA_ST_OK);
	wait_idle(d);
	d->fds = count_fds(d->pid);
}

static int stop(struct daemon *d)
{
	char cmd[128];
	int status = -1;

	close(d->good);
	kill(d->pid, SIGTERM);
	waitpid(d->pid, &status, 0);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", d->dir);
	return system(cmd) ? -1 : status;
}

static int setup(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));

	start(d, "160M", 0);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	int status = stop(*state);

	free(*state);
	return status;
}

/* The connections that were closed last may be on their way out. */
static int fds_settle(struct daemon *d)
{
	for (unsigned int i = 0; i < 100; i++) {
		wait_idle(d);
		if (count_fds(d->pid) == d->fds)
			return 0;
		usleep(20000);
	}
	print_message("# vcmad has %u descriptors, %u before\n", count_fds(d->pid), d->fds);
	return -1;
}

/* The good peer is served, nothing moves, nothing leaks. */
static int after(void **state)
{
	struct daemon *d = *state;

	assert_int_equal(release(d, d->good, get_lease(d, d->good, 8 * MIB), 1), VCMA_ST_OK);
	return fds_settle(d);
}

/* --- what they do --- */

/* [B-1], [B-5], [B-12] */
static void test_garbage(void **state)
{
	struct daemon *d = *state;
	struct vcma_empty m;
	uint8_t junk[VCMA_MSG_MAX + 64];

	memset(junk, 0xa5, sizeof(junk));
	for (unsigned int i = 0; i < 6; i++) {
		int fd = i & 1 ? dial_bad(d) : dial(d, "bad");
		size_t len = sizeof(m);

		vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
		m.hdr.sequence = vcma_cpu_to_le32(1);
		if (i / 2 == 0)
			m.hdr.magic = 0;
		else if (i / 2 == 1)
			m.hdr.length = vcma_cpu_to_le32(4000);
		else
			len = 7;
		assert_int_equal(send_raw(fd, &m, len), 0);
		expect_goodbye(fd, VCMA_ST_INVALID);
		fd = dial_bad(d);
		assert_int_equal(send_raw(fd, junk, i ? 100 * i : sizeof(junk)), 0);
		expect_goodbye(fd, VCMA_ST_INVALID);
	}
}

/* [B-11] */
static void test_descriptors(void **state)
{
	struct daemon *d = *state;
	int fd = dial_bad(d), gift[3] = { 0, 1, 2 };
	struct vcma_empty m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
	m.hdr.sequence = vcma_cpu_to_le32(1);
	assert_int_equal(vcma_sock_send(fd, &m, sizeof(m), gift, 3), 0);
	expect_goodbye(fd, VCMA_ST_INVALID);
}

/* [B-6], [B-20], [B-47] */
static void test_order(void **state)
{
	struct daemon *d = *state;
	struct vcma_empty m;
	int fd = dial(d, "bad");

	/* before HELLO */
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
	m.hdr.sequence = vcma_cpu_to_le32(1);
	assert_int_equal(send_raw(fd, &m, sizeof(m)), 0);
	expect_goodbye(fd, VCMA_ST_INVALID);
	/* an answer to nothing */
	fd = dial_bad(d);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING | VCMA_MSG_REPLY);
	m.hdr.sequence = vcma_cpu_to_le32(1);
	assert_int_equal(send_raw(fd, &m, sizeof(m)), 0);
	expect_goodbye(fd, VCMA_ST_INVALID);
	/* an acknowledgement of nothing */
	fd = dial_bad(d);
	send_ack(fd, 42, 1, VCMA_ST_OK);
	expect_goodbye(fd, VCMA_ST_INVALID);
}

/* [B-13] */
static void test_operator_requests(void **state)
{
	struct daemon *d = *state;
	int fd = dial_bad(d);
	struct vcma_packet pkt;
	struct vcma_empty m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_OP_STATUS);
	m.hdr.sequence = vcma_cpu_to_le32(9);
	assert_int_equal(send_raw(fd, &m, sizeof(m)), 0);
	expect(fd, &pkt, VCMA_MSG_OP_STATUS | VCMA_MSG_REPLY);
	assert_int_equal(vcma_msg_status(&pkt.hdr), VCMA_ST_DENIED);
	close(fd);
}

/* [B-47], [B-48] */
static void test_wrong_ack(void **state)
{
	struct daemon *d = *state;
	int fd = dial_bad(d);
	uint32_t status;
	uint64_t id;

	send_lease(d, fd, 8 * MIB, 1000);
	id = lease_reply(fd, &status);
	assert_int_equal(status, VCMA_ST_OK);
	assert_int_equal(release(d, fd, id, 1), VCMA_ST_UNKNOWN_LEASE); /* not its own yet */
	send_ack(fd, id, 3, VCMA_ST_OK);
	expect_goodbye(fd, VCMA_ST_INVALID);
}

/* [B-47] */
static void test_abort(void **state)
{
	struct daemon *d = *state;
	int fd = dial_bad(d);
	uint32_t status;
	uint64_t id;

	send_lease(d, fd, 8 * MIB, 1000);
	id = lease_reply(fd, &status);
	send_ack(fd, id, 4, VCMA_ST_INTERNAL);
	assert_int_equal(release(d, fd, id, 1), VCMA_ST_UNKNOWN_LEASE);
	assert_int_equal(release(d, fd, get_lease(d, fd, 8 * MIB), 1), VCMA_ST_OK);
	close(fd);
}

static uint32_t ask_bank(struct daemon *d, int fd, uint64_t size, uint32_t bank)
{
	struct vcma_lease_req m;
	uint32_t status;

	make_lease(d, &m, size, 1000);
	m.bank = vcma_cpu_to_le32(bank);
	assert_int_equal(send_raw(fd, &m, sizeof(m)), 0);
	lease_reply(fd, &status);
	return status;
}

/* Banks, by peers that did not say that they know them, and by one that did. [B-22], [B-32], [B-83] */
static void test_banks(void **state)
{
	struct daemon *d = *state;
	struct vcma_hello_reply *r;
	struct vcma_packet pkt;
	struct vcma_hello m;
	int fd = dial_bad(d);

	assert_int_equal(ask_bank(d, fd, MIB, 1), VCMA_ST_INVALID);
	assert_int_equal(ask_bank(d, fd, 8 * MIB, 1), VCMA_ST_UNSUPPORTED);
	assert_int_equal(ask_bank(d, fd, 8 * MIB, UINT32_MAX), VCMA_ST_UNSUPPORTED);
	assert_int_equal(release(d, fd, get_lease(d, fd, 8 * MIB), 1), VCMA_ST_OK);
	close(fd);
	wait_idle(d);

	make_hello(d, &m);
	m.capabilities = ~(__le32)0;
	for (int i = 0; i < 500; i++, close(fd), usleep(10000)) {
		fd = dial(d, "bad");
		send_raw(fd, &m, sizeof(m));
		assert_int_equal(receive(fd, &pkt), 1);
		if (vcma_msg_status(&pkt.hdr) == VCMA_ST_OK)
			break;
	}
	r = (void *)pkt.data;
	assert_int_equal(vcma_le32_to_cpu(r->capabilities), VCMA_CAP_BANKS);
	assert_int_equal(vcma_le32_to_cpu(r->banks), 1);
	assert_int_equal(ask_bank(d, fd, MIB, 1), VCMA_ST_INVALID);
	assert_int_equal(ask_bank(d, fd, 8 * MIB, 1), VCMA_ST_DENIED);
	assert_int_equal(ask_bank(d, fd, 8 * MIB, 32), VCMA_ST_DENIED);
	assert_int_equal(ask_bank(d, fd, 8 * MIB, UINT32_MAX), VCMA_ST_DENIED);
	assert_int_equal(release(d, fd, get_lease(d, fd, 8 * MIB), 1), VCMA_ST_OK);
	close(fd);
}

/* Answered, and the connection goes on. [B-12], [B-40] */
static void test_bad_sizes(void **state)
{
	static const uint64_t size[] = { 0, UINT64_MAX, 1, 3 * MIB, MIB, UINT64_MAX - 4095 };
	struct daemon *d = *state;
	int fd = dial_bad(d);
	uint32_t status;

	for (unsigned int i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		send_lease(d, fd, size[i], 1000);
		lease_reply(fd, &status);
		assert_int_equal(status, VCMA_ST_INVALID);
	}
	assert_int_equal(release(d, fd, get_lease(d, fd, 8 * MIB), 1), VCMA_ST_OK);
	close(fd);
}

/* I10: it costs the one who does not answer its connection, and nobody else's. [B-46] */
static void test_no_ack(void **state)
{
	struct daemon *d = *state;
	int fd = dial_bad(d);
	uint32_t status;

	send_lease(d, fd, 8 * MIB, 1000);
	lease_reply(fd, &status);
	assert_int_equal(release(d, d->good, get_lease(d, d->good, 8 * MIB), 1), VCMA_ST_OK);
	expect_goodbye(fd, VCMA_ST_TRY_LATER);
}

/* [B-51] */
static void test_foreign_leases(void **state)
{
	struct daemon *d = *state;
	int fd = dial_bad(d);
	uint64_t mine = get_lease(d, d->good, 4 * MIB);

	assert_int_equal(release(d, fd, mine, 1), VCMA_ST_UNKNOWN_LEASE);
	assert_int_equal(release(d, d->good, mine, 2), VCMA_ST_INVALID); /* twice */
	assert_int_equal(release(d, d->good, mine, 1), VCMA_ST_OK);
	assert_int_equal(release(d, d->good, mine, 1), VCMA_ST_UNKNOWN_LEASE);
	close(fd);
}

/* [B-27], [B-50] */
static void test_too_many(void **state)
{
	struct daemon *d = *state;
	uint64_t most = get_lease(d, d->good, 128 * MIB), rest = get_lease(d, d->good, 32 * MIB);
	int fd = dial_bad(d);
	uint32_t status, first = 0;
	struct vcma_cancel c;
	struct vcma_packet pkt;

	for (unsigned int i = 0; i <= VCMA_REQUESTS_MAX; i++) {
		uint32_t s = send_lease(d, fd, 2 * MIB, 60000);

		first = first ? first : s;
	}
	lease_reply(fd, &status);
	assert_int_equal(status, VCMA_ST_TOO_MANY);
	vcma_msg_init(&c, sizeof(c), VCMA_MSG_CANCEL);
	c.hdr.sequence = vcma_cpu_to_le32(++d->sequence);
	c.sequence = vcma_cpu_to_le32(first);
	assert_int_equal(send_raw(fd, &c, sizeof(c)), 0);
	expect(fd, &pkt, VCMA_MSG_LEASE | VCMA_MSG_REPLY);
	assert_int_equal(vcma_msg_status(&pkt.hdr), VCMA_ST_CANCELLED);
	assert_int_equal(vcma_msg_sequence(&pkt.hdr), first);
	/* leaves with 63 requests under way */
	close(fd);
	assert_int_equal(release(d, d->good, most, 1), VCMA_ST_OK);
	assert_int_equal(release(d, d->good, rest, 1), VCMA_ST_OK);
}

/* It asks and does not read. [B-30] */
static void test_does_not_read(void **state)
{
	struct daemon *d = *state;
	struct pollfd p = { .events = POLLOUT };
	struct vcma_empty m;
	int r = 0, fd = dial_bad(d);

	p.fd = fd;
	for (unsigned int i = 1; i < 200000; i++) {
		vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
		m.hdr.sequence = vcma_cpu_to_le32(i);
		r = send_raw(fd, &m, sizeof(m));
		if (r == -EAGAIN && poll(&p, 1, WAIT_MS) == 0)
			break;
		if (r < 0 && r != -EAGAIN)
			break;
	}
	assert_true(r == -EPIPE || r == -ECONNRESET);
	close(fd);
}

/*
 * It leaves no room for descriptors: it is cut off, and not when the time for its
 * acknowledgement is over, for so long vcmad would have to keep duplicates for it (I9).
 */
static void test_no_room_for_fds(void **state)
{
	struct daemon *d = *state;
	struct pollfd p = { .fd = dial_bad(d) };
	struct vcma_empty m;

	for (unsigned int i = 0; i < 400; i++) { /* more than the socket holds, less than the queue */
		vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
		m.hdr.sequence = vcma_cpu_to_le32(100000 + i);
		while (send_raw(p.fd, &m, sizeof(m)) == -EAGAIN)
			usleep(1000);
	}
	send_lease(d, p.fd, 8 * MIB, 1000);
	assert_int_equal(poll(&p, 1, 3000), 1);
	assert_true(p.revents & POLLHUP);
	close(p.fd);
}

/* Many who never say HELLO. [B-20] */
static void test_silent(void **state)
{
	struct daemon *d = *state;
	struct vcma_packet pkt;
	int fd[32];

	for (unsigned int i = 0; i < 32; i++)
		fd[i] = dial(d, "bad");
	expect(fd[31], &pkt, VCMA_MSG_GOODBYE);
	assert_int_equal(vcma_msg_status(&pkt.hdr), VCMA_ST_TOO_MANY);
	for (unsigned int i = 0; i < 32; i++)
		close(fd[i]);
	close(dial_bad(d));
}

/* Dies with everything under way. [B-31] */
static void test_hang_up(void **state)
{
	struct daemon *d = *state;

	for (unsigned int i = 0; i < 20; i++) {
		int fd = dial_bad(d);

		for (unsigned int k = 0; k < 5; k++)
			send_lease(d, fd, 4 * MIB, 1000);
		close(fd);
	}
}

/* Whatever it does again and again, the log does not grow with it (I9). */
static void test_log(void **state)
{
	struct daemon *d = *state;
	unsigned int lines = 0;
	char path[96], line[512];
	FILE *log;

	for (unsigned int i = 0; i < 50; i++) {
		int fd = dial_bad(d);

		get_lease(d, fd, 2 * MIB);
		close(fd); /* holds on to it, then says that it does not */
	}
	snprintf(path, sizeof(path), "%s/log", d->dir);
	log = fopen(path, "r");
	assert_non_null(log);
	while (fgets(line, sizeof(line), log))
		lines += !strncmp(line, "vcmad: bad: ", 12);
	fclose(log);
	assert_true(lines < 50); /* it has done nothing else that is worth many */
	close(dial_bad(d));
}

/* No leak: granules, descriptors and records are as before after 100 rounds. */
static void test_rounds(void **state)
{
	struct daemon *d = *state;
	const struct vcma_op_page *page;
	const struct vcma_op_pool *pool;
	struct vcma_packet pkt;
	struct vcma_op_list m;

	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(release(d, d->good, get_lease(d, d->good, 8 * MIB), 1),
				 VCMA_ST_OK);
	wait_idle(d);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_OP_POOLS);
	assert_int_equal(operator_call(d, &m, sizeof(m), &pkt), VCMA_ST_OK);
	page = (const void *)pkt.data;
	pool = (const void *)(page + 1);
	assert_int_equal(vcma_le32_to_cpu(page->count), 1);
	assert_int_equal(vcma_le32_to_cpu(pool->clean), 80);
}

/* More granules than one packet carries: parts, each acknowledged. [B-46], [B-47] */
static void test_parts(void **state)
{
	struct daemon big = { .good = -1 };
	const struct vcma_lease_part *part;
	struct vcma_packet pkt;
	uint32_t status, received = VCMA_FDS_MAX;
	uint64_t id;

	(void)state;
	start(&big, "1G", 0);
	send_lease(&big, big.good, 1024 * MIB, 1000);
	id = lease_reply(big.good, &status);
	assert_int_equal(status, VCMA_ST_OK);
	while (received < 512) {
		send_ack(big.good, id, received, VCMA_ST_OK);
		expect(big.good, &pkt, VCMA_MSG_LEASE_PART);
		part = (const void *)pkt.data;
		assert_int_equal(vcma_le32_to_cpu(part->first), received);
		assert_int_equal(vcma_le32_to_cpu(part->nr_fds), pkt.nfds);
		received += pkt.nfds;
		vcma_packet_close_fds(&pkt);
	}
	assert_int_equal(received, 512);
	send_ack(big.good, id, received, VCMA_ST_OK);
	assert_int_equal(release(&big, big.good, id, 1), VCMA_ST_OK);
	/* and one that is given up half way */
	wait_idle(&big);
	send_lease(&big, big.good, 1024 * MIB, 5000);
	id = lease_reply(big.good, &status);
	assert_int_equal(status, VCMA_ST_OK);
	send_ack(big.good, id, VCMA_FDS_MAX, VCMA_ST_INTERNAL);
	assert_int_equal(release(&big, big.good, id, 1), VCMA_ST_UNKNOWN_LEASE);
	assert_int_equal(fds_settle(&big), 0);
	assert_int_equal(stop(&big), 0);
}

/* I9: one who acknowledges nothing keeps nobody else waiting, however few may be in flight. */
static void test_share(void **state)
{
	struct daemon d = { .good = -1 };
	struct pollfd p = { .events = POLLIN };
	uint32_t status;
	uint64_t id;
	int fd;

	(void)state;
	start(&d, "768M", 1000);
	fd = dial_bad(&d);
	send_lease(&d, fd, 512 * MIB, 1000);
	lease_reply(fd, &status);
	assert_int_equal(status, VCMA_ST_OK);
	send_lease(&d, d.good, 256 * MIB, 1000);
	p.fd = d.good;
	assert_int_equal(poll(&p, 1, 3000), 1);
	id = lease_reply(d.good, &status);
	assert_int_equal(status, VCMA_ST_OK);
	send_ack(d.good, id, 128, VCMA_ST_OK);
	assert_int_equal(release(&d, d.good, id, 1), VCMA_ST_OK);
	expect_goodbye(fd, VCMA_ST_TRY_LATER);
	assert_int_equal(stop(&d), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, after)
	const struct CMUnitTest tests[] = {
		T(test_garbage), T(test_descriptors), T(test_order), T(test_operator_requests),
		T(test_bad_sizes), T(test_wrong_ack), T(test_abort), T(test_no_ack),
		T(test_foreign_leases), T(test_too_many), T(test_does_not_read),
		T(test_no_room_for_fds), T(test_silent), T(test_hang_up),
		T(test_rounds), T(test_banks), T(test_log), cmocka_unit_test(test_parts),
		cmocka_unit_test(test_share),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("hostile", tests, setup, teardown);
}
