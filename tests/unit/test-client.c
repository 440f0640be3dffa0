// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-client.c - the client library against a broker that this test plays
 *
 * The other end of a socket pair says what a broker says, and what no broker
 * should.  After each test as many descriptors are open as before it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "client.h"
#include "sockio.h"
#include "wire.h"

#define MIB (UINT64_C(1) << 20)
#define GRANULE (2 * MIB)

struct fixture {
	struct vcma_client *client;
	int broker;			/* the broker's end, or -1 */
	unsigned int fds_before;

	unsigned int hellos, closes, reclaims, changes, replies, leases;
	uint32_t hello_status, closed_status, reply_status, lease_status;
	int closed_err;
	uint32_t reclaim_id, reclaim_deadline, reclaim_count;
	uint64_t reclaimed[VCMA_IDS_MAX], available;
	struct vcma_client_lease lease;
	bool close_in_callback;
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

static void on_hello(void *opaque, uint32_t status, const struct vcma_client_info *info)
{
	struct fixture *f = opaque;

	f->hellos++;
	f->hello_status = status;
	assert_true((status == VCMA_ST_OK) == (info != NULL));
}

static void on_reclaim(void *opaque, uint32_t id, uint32_t deadline_ms,
		       const uint64_t *lease, uint32_t count)
{
	struct fixture *f = opaque;

	f->reclaims++;
	f->reclaim_id = id;
	f->reclaim_deadline = deadline_ms;
	f->reclaim_count = count;
	memcpy(f->reclaimed, lease, count * sizeof(*lease));
}

static void on_pool_changed(void *opaque, uint64_t available)
{
	struct fixture *f = opaque;

	f->changes++;
	f->available = available;
	if (f->close_in_callback)
		vcma_client_close(f->client);
}

static void on_closed(void *opaque, int err, uint32_t status)
{
	struct fixture *f = opaque;

	f->closes++;
	f->closed_err = err;
	f->closed_status = status;
}

static void on_reply(void *opaque, uint32_t status, const struct vcma_hdr *msg, size_t len)
{
	struct fixture *f = opaque;

	(void)len;
	f->replies++;
	f->reply_status = status;
	assert_true((status == VCMA_ST_AWAY) == (msg == NULL));
}

static void on_lease(void *opaque, uint32_t status, struct vcma_client_lease *lease)
{
	struct fixture *f = opaque;

	f->leases++;
	f->lease_status = status;
	assert_true((status == VCMA_ST_OK) == (lease != NULL));
	if (lease)
		f->lease = *lease;
}

static const struct vcma_client_ops ops = {
	.hello = on_hello,
	.reclaim = on_reclaim,
	.pool_changed = on_pool_changed,
	.closed = on_closed,
};

/* --- the broker's side --- */

static void *take(struct fixture *f, uint16_t type)
{
	assert_int_equal(vcma_sock_recv(f->broker, &f->pkt, 0), 1);
	assert_int_equal(vcma_wire_check(f->pkt.data, f->pkt.len, 0, VCMA_FROM_VM, NULL), 0);
	assert_int_equal(vcma_msg_type(&f->pkt.hdr), type);
	return f->pkt.data;
}

static void assert_nothing_sent(struct fixture *f)
{
	assert_int_equal(vcma_sock_recv(f->broker, &f->pkt, 0), -EAGAIN);
}

static void give(struct fixture *f, const void *msg, size_t len)
{
	assert_int_equal(vcma_sock_send(f->broker, msg, len, NULL, 0), 0);
}

static void give_fds(struct fixture *f, const void *msg, size_t len, unsigned int nfds)
{
	int fds[VCMA_FDS_MAX];
	unsigned int i;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(null >= 0);
	for (i = 0; i < nfds; i++)
		fds[i] = null;
	assert_int_equal(vcma_sock_send(f->broker, msg, len, fds, nfds), 0);
	close(null);
}

static void reply_empty(struct fixture *f, const struct vcma_hdr *request, uint32_t status)
{
	struct vcma_empty m;

	vcma_msg_reply(&m, sizeof(m), request, status);
	give(f, &m, sizeof(m));
}

static void make_hello_reply(struct vcma_hello_reply *m, const struct vcma_hdr *request)
{
	vcma_msg_reply(m, sizeof(*m), request, VCMA_ST_OK);
	m->version = vcma_cpu_to_le16(1);
	m->flags = vcma_cpu_to_le32(VCMA_POOL_CONTIGUOUS | VCMA_POOL_REVOCABLE);
	m->instance = vcma_cpu_to_le64(4711);
	m->granule_size = vcma_cpu_to_le64(GRANULE);
	m->chunk_size = vcma_cpu_to_le64(16 * MIB);
	m->lease_max = vcma_cpu_to_le64(UINT64_C(1) << 30);
	m->guarantee = vcma_cpu_to_le64(64 * MIB);
	m->limit = vcma_cpu_to_le64(192 * MIB);
	vcma_name_set(m->vm, "alpha");
	vcma_name_set(m->pool, "main");
}

static void make_lease_reply(struct vcma_lease_reply *m, const struct vcma_hdr *request,
			     uint64_t id, uint64_t size)
{
	uint32_t nr = (uint32_t)(size / GRANULE);

	vcma_msg_reply(m, sizeof(*m), request, VCMA_ST_OK);
	m->lease = vcma_cpu_to_le64(id);
	m->size = vcma_cpu_to_le64(size);
	m->nr_granules = vcma_cpu_to_le32(nr);
	m->nr_fds = vcma_cpu_to_le32(nr < VCMA_FDS_MAX ? nr : VCMA_FDS_MAX);
	memset(m->token, 0x5a, sizeof(m->token));
}

static uint32_t announced(const struct vcma_lease_reply *m)
{
	return vcma_le32_to_cpu(m->nr_fds);
}

/* --- set up, tear down --- */

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct vcma_hello_reply reply;
	int pair[2];

	*state = f;
	f->fds_before = count_fds();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->broker = pair[0];
	f->client = vcma_client_new(&ops, f);
	assert_int_equal(vcma_client_adopt_fd(f->client, pair[1], "test", 0), 0);
	assert_false(vcma_client_is_connected(f->client));
	make_hello_reply(&reply, take(f, VCMA_MSG_HELLO));
	give(f, &reply, sizeof(reply));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_true(vcma_client_is_connected(f->client));
	return 0;
}

static int set_up_closed(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->fds_before = count_fds();
	f->broker = -1;
	f->client = vcma_client_new(&ops, f);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	vcma_client_free(f->client);
	if (f->broker >= 0)
		close(f->broker);
	for (i = 0; i < f->lease.nr_granules; i++)
		close(f->lease.fds[i]);
	free(f->lease.fds);
	assert_int_equal(count_fds(), f->fds_before);
	free(f);
	return 0;
}

static void greet(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->broker = pair[0];
	assert_int_equal(vcma_client_adopt_fd(f->client, pair[1], "test", 99), 0);
}

static int ask_lease(struct fixture *f, uint64_t size)
{
	struct vcma_client_lease_args args = {
		.size = size, .max_addr = UINT64_MAX, .deadline_ms = 1000,
	};

	return vcma_client_lease(f->client, &args, on_lease, f);
}

/* The connection has ended for that reason, and everybody was told. */
static void assert_ended(struct fixture *f, int err)
{
	assert_int_equal(vcma_client_dispatch(f->client), err);
	assert_int_equal(f->closes, 1);
	assert_int_equal(f->closed_err, err);
	assert_int_equal(vcma_client_fd(f->client), -1);
	assert_false(vcma_client_is_connected(f->client));
	assert_int_equal(vcma_client_timeout(f->client), -1);
	assert_int_equal(vcma_client_dispatch(f->client), -ENOTCONN);
	assert_int_equal(ask_lease(f, GRANULE), -ENOTCONN);
}

/* --- HELLO --- */

static void test_hello(void **state)
{
	struct fixture *f = *state;
	const struct vcma_client_info *info = vcma_client_info(f->client);

	assert_int_equal(f->hellos, 1);
	assert_int_equal(f->hello_status, VCMA_ST_OK);
	assert_int_equal(info->instance, 4711);
	assert_int_equal(info->granule_size, GRANULE);
	assert_int_equal(info->limit, 192 * MIB);
	assert_string_equal(info->vm, "alpha");
	assert_string_equal(info->pool, "main");
	assert_int_equal(vcma_client_events(f->client), POLLIN);
	assert_true(vcma_client_timeout(f->client) > 1000);
	assert_int_equal(vcma_client_connect(f->client, "/nowhere", "test", 0), -EISCONN);
}

static void test_hello_says_who(void **state)
{
	struct fixture *f = *state;
	struct vcma_hello *m;

	greet(f);
	m = take(f, VCMA_MSG_HELLO);
	assert_int_equal(vcma_le64_to_cpu(m->instance), 99);
	assert_string_equal(m->name, "test");
	assert_int_equal(vcma_le32_to_cpu(m->capabilities), 0);
	assert_int_equal(ask_lease(f, GRANULE), -ENOTCONN);
}

static void test_hello_refused(void **state)
{
	struct fixture *f = *state;

	greet(f);
	reply_empty(f, take(f, VCMA_MSG_HELLO), VCMA_ST_EXISTS);
	assert_int_equal(vcma_client_dispatch(f->client), -EACCES);
	assert_int_equal(f->hellos, 1);
	assert_int_equal(f->hello_status, VCMA_ST_EXISTS);
	assert_int_equal(f->closes, 0);
	assert_int_equal(vcma_client_fd(f->client), -1);
}

static void test_hello_refused_when_waited_for(void **state)
{
	struct fixture *f = *state;
	uint32_t status = 77;

	greet(f);
	reply_empty(f, take(f, VCMA_MSG_HELLO), VCMA_ST_DENIED);
	assert_int_equal(vcma_client_wait_hello(f->client, 1000, &status), -EACCES);
	assert_int_equal(status, VCMA_ST_DENIED);
}

static void test_hello_never_answered(void **state)
{
	struct fixture *f = *state;

	greet(f);
	assert_int_equal(vcma_client_wait_hello(f->client, 20, NULL), -ETIMEDOUT);
	assert_int_equal(vcma_client_fd(f->client), -1);
}

static void test_hello_bad_replies(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 7; i++) {
		struct vcma_hello_reply m;

		greet(f);
		make_hello_reply(&m, take(f, VCMA_MSG_HELLO));
		switch (i) {
		case 0: m.instance = vcma_cpu_to_le64(0); break;
		case 1: m.granule_size = vcma_cpu_to_le64(3); break;
		case 2: m.version = vcma_cpu_to_le16(2); break;
		case 3: m.hdr.sequence = vcma_cpu_to_le32(12345); break;
		case 4: m.capabilities = vcma_cpu_to_le32(1); break;
		case 5: memset(m.vm, 'x', sizeof(m.vm)); break;
		case 6: m.hdr.type = vcma_cpu_to_le16(VCMA_MSG_PING | VCMA_MSG_REPLY);
			break;
		}
		give(f, &m, sizeof(m));
		f->closes = 0;
		assert_ended(f, -EPROTO);
		assert_int_equal(f->hellos, 0);
		close(f->broker);
		f->broker = -1;
	}
}

static void test_event_before_hello(void **state)
{
	struct fixture *f = *state;
	struct vcma_pool_changed m;

	greet(f);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_POOL_CHANGED);
	give(f, &m, sizeof(m));
	assert_ended(f, -EPROTO);
	assert_int_equal(f->changes, 0);
}

static void test_connect_errors(void **state)
{
	struct fixture *f = *state;
	char path[200], dir[] = "/tmp/vcma-test-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = 0;
	assert_int_equal(vcma_client_connect(f->client, path, "test", 0), -ENAMETOOLONG);
	assert_int_equal(vcma_client_connect(f->client, "", "test", 0), -ENOENT);
	assert_int_equal(vcma_client_connect(f->client, "/nowhere/x.sock", "test", 0), -ENOENT);

	assert_non_null(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(vcma_client_connect(f->client, addr.sun_path, "test", 0),
			 -ECONNREFUSED);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(vcma_client_connect(f->client, addr.sun_path,
			 "a name that is longer than the field for names", 0), -EINVAL);
	assert_int_equal(vcma_client_connect(f->client, addr.sun_path, "test", 0), 0);
	close(fd);
	unlink(addr.sun_path);
	rmdir(dir);
	/* Nobody ever accepted it. */
	assert_ended(f, -ECONNRESET);
}

/* --- leases --- */

static void test_lease_in_one_packet(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_reply reply;
	struct vcma_lease_ack *ack;
	int seq = ask_lease(f, 8 * MIB);

	assert_true(seq > 0);
	make_lease_reply(&reply, take(f, VCMA_MSG_LEASE), 7, 8 * MIB);
	assert_int_equal(vcma_msg_sequence(&reply.hdr), seq);
	give_fds(f, &reply, sizeof(reply), announced(&reply));
	assert_int_equal(f->leases, 0);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->leases, 1);
	assert_int_equal(f->lease_status, VCMA_ST_OK);
	assert_int_equal(f->lease.lease, 7);
	assert_int_equal(f->lease.nr_granules, 4);
	assert_int_equal(f->lease.token[3], 0x5a);
	assert_int_equal(fcntl(f->lease.fds[3], F_GETFD), FD_CLOEXEC);

	ack = take(f, VCMA_MSG_LEASE_ACK);
	assert_int_equal(vcma_le64_to_cpu(ack->lease), 7);
	assert_int_equal(vcma_le32_to_cpu(ack->received), 4);
	assert_int_equal(vcma_le32_to_cpu(ack->status), VCMA_ST_OK);
}

static void give_part(struct fixture *f, uint64_t id, uint32_t first, uint32_t nr)
{
	struct vcma_lease_part m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_LEASE_PART);
	m.lease = vcma_cpu_to_le64(id);
	m.first = vcma_cpu_to_le32(first);
	m.nr_fds = vcma_cpu_to_le32(nr);
	give_fds(f, &m, sizeof(m), nr);
}

static void begin_large(struct fixture *f)
{
	struct vcma_lease_reply reply;

	assert_true(ask_lease(f, 1024 * MIB) > 0);
	make_lease_reply(&reply, take(f, VCMA_MSG_LEASE), 9, 1024 * MIB);
	give_fds(f, &reply, sizeof(reply), announced(&reply));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->leases, 0);
	take(f, VCMA_MSG_LEASE_ACK);
}

static void test_lease_in_parts(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_ack *ack;

	begin_large(f);
	give_part(f, 9, 253, 253);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->leases, 0);
	ack = take(f, VCMA_MSG_LEASE_ACK);
	assert_int_equal(vcma_le32_to_cpu(ack->received), 506);
	give_part(f, 9, 506, 6);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->leases, 1);
	assert_int_equal(f->lease_status, VCMA_ST_OK);
	assert_int_equal(f->lease.nr_granules, 512);
	ack = take(f, VCMA_MSG_LEASE_ACK);
	assert_int_equal(vcma_le32_to_cpu(ack->received), 512);
	/* Another part has no lease to belong to. */
	give_part(f, 9, 506, 6);
	assert_ended(f, -EPROTO);
}

/* A second reply to the same LEASE, and a second lease with the same id. */
static void test_lease_answered_twice(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_reply reply;

	assert_true(ask_lease(f, 1024 * MIB) > 0);
	make_lease_reply(&reply, take(f, VCMA_MSG_LEASE), 9, 1024 * MIB);
	give_fds(f, &reply, sizeof(reply), announced(&reply));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	reply.lease = vcma_cpu_to_le64(10);
	give_fds(f, &reply, sizeof(reply), announced(&reply));
	assert_ended(f, -EPROTO);
	assert_int_equal(f->leases, 1);
}

static void test_lease_id_twice(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_reply reply;

	begin_large(f);
	assert_true(ask_lease(f, 8 * MIB) > 0);
	make_lease_reply(&reply, take(f, VCMA_MSG_LEASE), 9, 8 * MIB);
	give_fds(f, &reply, sizeof(reply), announced(&reply));
	assert_ended(f, -EPROTO);
	assert_int_equal(f->leases, 2);
	assert_int_equal(f->lease_status, VCMA_ST_AWAY);
}

static void test_lease_bad_parts(void **state)
{
	struct fixture *f = *state;
	static const struct { uint64_t id; uint32_t first, nr; } bad[] = {
		{ 9, 254, 3 }, { 9, 252, 3 }, { 8, 253, 3 }, { 0, 253, 3 }, { 9, 0, 3 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin_large(f);
		give_part(f, bad[i].id, bad[i].first, bad[i].nr);
		f->closes = 0;
		assert_ended(f, -EPROTO);
		assert_int_equal(f->leases, 1);
		assert_int_equal(f->lease_status, VCMA_ST_AWAY);
		close(f->broker);
		vcma_client_free(f->client);
		assert_int_equal(count_fds(), f->fds_before);
		free(f);
		set_up(state);
		f = *state;
	}
	/* More than the lease has. */
	begin_large(f);
	give_part(f, 9, 253, 253);
	give_part(f, 9, 506, 7);
	assert_ended(f, -EPROTO);
}

static void test_lease_bad_replies(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 9; i++) {
		struct vcma_lease_reply m;
		uint32_t nr;

		ask_lease(f, 8 * MIB);
		make_lease_reply(&m, take(f, VCMA_MSG_LEASE), 7, 8 * MIB);
		nr = announced(&m);
		switch (i) {
		case 0: nr--; break;
		case 1: nr++; break;
		case 2: m.size = vcma_cpu_to_le64(16 * MIB); break;
		case 3: m.nr_granules = m.nr_fds = vcma_cpu_to_le32(nr = 8); break;
		case 4: m.lease = vcma_cpu_to_le64(0); break;
		case 5: m.hdr.status = vcma_cpu_to_le32(VCMA_ST_NO_RUN); break;
		case 6: m.hdr.sequence = vcma_cpu_to_le32(999); break;
		case 7: m.hdr.length = vcma_cpu_to_le32(sizeof(m) - 8); break;
		case 8: m.hdr.type = vcma_cpu_to_le16(VCMA_MSG_RELEASE | VCMA_MSG_REPLY);
			break;
		}
		give_fds(f, &m, sizeof(m), nr);
		f->closes = 0;
		assert_ended(f, -EPROTO);
		assert_int_equal(f->leases, 1);
		assert_int_equal(f->lease_status, VCMA_ST_AWAY);
		close(f->broker);
		vcma_client_free(f->client);
		assert_int_equal(count_fds(), f->fds_before);
		free(f);
		set_up(state);
		f = *state;
	}
}

static void test_lease_refused(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_reply m;

	ask_lease(f, 8 * MIB);
	reply_empty(f, take(f, VCMA_MSG_LEASE), VCMA_ST_GUARANTEED);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->lease_status, VCMA_ST_GUARANTEED);
	/* A refusal of full size is as good. */
	ask_lease(f, 8 * MIB);
	vcma_msg_reply(&m, sizeof(m), take(f, VCMA_MSG_LEASE), VCMA_ST_OVER_LIMIT);
	give(f, &m, sizeof(m));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->lease_status, VCMA_ST_OVER_LIMIT);
	assert_int_equal(f->leases, 2);
	assert_nothing_sent(f);
}

static void test_lease_cancelled(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_reply refusal;
	struct vcma_cancel *m;
	int seq = ask_lease(f, 8 * MIB);

	vcma_msg_reply(&refusal, sizeof(refusal), take(f, VCMA_MSG_LEASE), VCMA_ST_CANCELLED);
	assert_true(vcma_client_cancel(f->client, (uint32_t)seq) > 0);
	m = take(f, VCMA_MSG_CANCEL);
	assert_int_equal(vcma_le32_to_cpu(m->sequence), seq);
	reply_empty(f, &m->hdr, VCMA_ST_OK);
	give(f, &refusal, sizeof(refusal));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->lease_status, VCMA_ST_CANCELLED);
}

/* No room for the descriptors here: that lease is given up, the connection stays. */
static void test_lease_without_room(void **state)
{
	struct fixture *f = *state;
	struct vcma_lease_reply reply;
	struct vcma_lease_ack *ack;
	struct rlimit old, low;
	unsigned int before = count_fds();

	assert_true(ask_lease(f, 64 * MIB) > 0);
	make_lease_reply(&reply, take(f, VCMA_MSG_LEASE), 7, 64 * MIB);
	give_fds(f, &reply, sizeof(reply), announced(&reply));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = before + 4;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

	assert_int_equal(count_fds(), before);
	assert_int_equal(f->leases, 1);
	assert_int_equal(f->lease_status, VCMA_ST_LOCAL);
	ack = take(f, VCMA_MSG_LEASE_ACK);
	assert_int_equal(vcma_le32_to_cpu(ack->received), 0);
	assert_int_equal(vcma_le32_to_cpu(ack->status), VCMA_ST_CANCELLED);
	assert_true(vcma_client_is_connected(f->client));
}

static void test_lease_arguments(void **state)
{
	struct fixture *f = *state;
	struct vcma_client_lease_args args = {
		.size = 3 * MIB, .max_addr = UINT64_MAX, .deadline_ms = 10,
	};

	assert_int_equal(vcma_client_lease(f->client, &args, on_lease, f), -EINVAL);
	args.size = 2 * MIB;
	assert_int_equal(vcma_client_lease(f->client, &args, NULL, f), -EINVAL);
	args.deadline_ms = 0;
	assert_int_equal(vcma_client_lease(f->client, &args, on_lease, f), -EINVAL);
	args.deadline_ms = VCMA_DEADLINE_MAX_MS + 1;
	assert_int_equal(vcma_client_lease(f->client, &args, on_lease, f), -EINVAL);
	args.deadline_ms = VCMA_DEADLINE_MAX_MS;
	args.max_addr = MIB;
	assert_int_equal(vcma_client_lease(f->client, &args, on_lease, f), -EINVAL);
	assert_nothing_sent(f);
	/* The client's own deadline is after the broker's. */
	args.max_addr = UINT64_MAX;
	args.deadline_ms = 1000;
	assert_true(vcma_client_lease(f->client, &args, on_lease, f) > 0);
	assert_true(vcma_client_timeout(f->client) > 1000);
	assert_true(vcma_client_timeout(f->client) <= 1000 + VCMA_CLIENT_GRACE_MS);
}

/* --- other requests and events --- */

static void test_release(void **state)
{
	struct fixture *f = *state;
	const uint64_t ids[] = { 5, 6, 7 };
	const uint64_t twice[] = { 5, 5 };
	const uint64_t zero = 0;
	struct vcma_release *m;

	assert_int_equal(vcma_client_release(f->client, ids, 0, on_reply, f), -EINVAL);
	assert_int_equal(vcma_client_release(f->client, ids, 65, on_reply, f), -EINVAL);
	assert_int_equal(vcma_client_release(f->client, &zero, 1, on_reply, f), -EINVAL);
	assert_int_equal(vcma_client_release(f->client, twice, 2, on_reply, f), -EINVAL);
	assert_true(vcma_client_release(f->client, ids, 3, on_reply, f) > 0);
	m = take(f, VCMA_MSG_RELEASE);
	assert_int_equal(vcma_le32_to_cpu(m->count), 3);
	assert_int_equal(vcma_le64_to_cpu(m->lease[2]), 7);
	reply_empty(f, &m->hdr, VCMA_ST_UNKNOWN_LEASE);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->replies, 1);
	assert_int_equal(f->reply_status, VCMA_ST_UNKNOWN_LEASE);
}

static void test_reclaim(void **state)
{
	struct fixture *f = *state;
	struct {
		struct vcma_reclaim m;
		__le64 ids[2];
	} msg;
	struct vcma_reclaim_done *done;

	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_RECLAIM);
	msg.m.id = vcma_cpu_to_le32(31);
	msg.m.deadline_ms = vcma_cpu_to_le32(500);
	msg.m.count = vcma_cpu_to_le32(2);
	msg.ids[0] = vcma_cpu_to_le64(8);
	msg.ids[1] = vcma_cpu_to_le64(9);
	give(f, &msg, sizeof(msg));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->reclaims, 1);
	assert_int_equal(f->reclaim_id, 31);
	assert_int_equal(f->reclaim_deadline, 500);
	assert_int_equal(f->reclaim_count, 2);
	assert_int_equal(f->reclaimed[1], 9);

	assert_int_equal(vcma_client_reclaim_done(f->client, 0, VCMA_ST_OK), -EINVAL);
	assert_int_equal(vcma_client_reclaim_done(f->client, 31, VCMA_ST_DENIED), -EINVAL);
	assert_int_equal(vcma_client_reclaim_done(f->client, 31, VCMA_ST_BUSY), 0);
	done = take(f, VCMA_MSG_RECLAIM_DONE);
	assert_int_equal(vcma_le32_to_cpu(done->id), 31);
	assert_int_equal(vcma_le32_to_cpu(done->status), VCMA_ST_BUSY);

	msg.m.count = vcma_cpu_to_le32(3);
	give(f, &msg, sizeof(msg));
	assert_ended(f, -EPROTO);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	struct vcma_pool_changed m;
	struct vcma_empty ping;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_POOL_CHANGED);
	m.available = vcma_cpu_to_le64(64 * MIB);
	give(f, &m, sizeof(m));
	vcma_msg_init(&ping, sizeof(ping), VCMA_MSG_PING);
	ping.hdr.sequence = vcma_cpu_to_le32(0x80000001);
	give(f, &ping, sizeof(ping));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->changes, 1);
	assert_int_equal(f->available, 64 * MIB);
	take(f, VCMA_MSG_PING | VCMA_MSG_REPLY);
	assert_int_equal(vcma_msg_sequence(&f->pkt.hdr), 0x80000001);
}

static void test_requests_are_bounded(void **state)
{
	struct fixture *f = *state;
	const uint64_t id = 5;
	unsigned int i;

	for (i = 0; i < VCMA_REQUESTS_MAX; i++)
		assert_true(vcma_client_release(f->client, &id, 1, on_reply, f) > 0);
	assert_int_equal(vcma_client_release(f->client, &id, 1, on_reply, f), -EBUSY);
	reply_empty(f, take(f, VCMA_MSG_RELEASE), VCMA_ST_OK);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_true(vcma_client_release(f->client, &id, 1, on_reply, f) > 0);
	close(f->broker);
	f->broker = -1;
	assert_ended(f, -ECONNRESET);
	assert_int_equal(f->replies, 1 + VCMA_REQUESTS_MAX);
	assert_int_equal(f->reply_status, VCMA_ST_AWAY);
}

/* A broker that reads nothing: messages wait, in order, and within bounds. */
static void test_full_socket(void **state)
{
	struct fixture *f = *state;
	int size = 1;
	unsigned int sent = 0, got = 0;

	assert_int_equal(setsockopt(vcma_client_fd(f->client), SOL_SOCKET, SO_SNDBUF,
				    &size, sizeof(size)), 0);
	while (vcma_client_reclaim_done(f->client, sent + 1, VCMA_ST_OK) == 0)
		assert_true(++sent < 10000);
	assert_int_equal(vcma_client_reclaim_done(f->client, sent + 1, VCMA_ST_OK), -EBUSY);
	assert_int_equal(vcma_client_events(f->client), POLLIN | POLLOUT);
	while (got < sent) {
		struct vcma_reclaim_done *m = take(f, VCMA_MSG_RECLAIM_DONE);

		assert_int_equal(vcma_le32_to_cpu(m->id), ++got);
		assert_int_equal(vcma_client_dispatch(f->client), 0);
	}
	assert_nothing_sent(f);
	assert_int_equal(vcma_client_events(f->client), POLLIN);
}

static void test_request_times_out(void **state)
{
	struct fixture *f = *state;
	struct vcma_empty m, reply;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_OP_STATUS);
	assert_int_equal(vcma_client_call(f->client, &m.hdr, 20, &reply, sizeof(reply)),
			 -ETIMEDOUT);
	assert_int_equal(f->closes, 1);
	assert_int_equal(f->closed_err, -ETIMEDOUT);
	assert_int_equal(vcma_client_fd(f->client), -1);
}

static void test_call(void **state)
{
	struct fixture *f = *state;
	struct vcma_empty m, reply;
	struct vcma_pool_changed event;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
	/* The sequence is known: the reply can lie there before the question. */
	vcma_msg_init(&event, sizeof(event), VCMA_MSG_POOL_CHANGED);
	give(f, &event, sizeof(event));
	vcma_msg_init(&reply, sizeof(reply), VCMA_MSG_PING | VCMA_MSG_REPLY);
	reply.hdr.sequence = vcma_cpu_to_le32(2);
	give(f, &reply, sizeof(reply));
	memset(&reply, 0, sizeof(reply));
	assert_int_equal(vcma_client_call(f->client, &m.hdr, 1000, &reply, sizeof(reply)),
			 sizeof(reply));
	assert_int_equal(vcma_msg_sequence(&reply.hdr), 2);
	assert_int_equal(f->changes, 1);

	vcma_msg_init(&reply, sizeof(reply), VCMA_MSG_PING | VCMA_MSG_REPLY);
	reply.hdr.sequence = vcma_cpu_to_le32(3);
	give(f, &reply, sizeof(reply));
	assert_int_equal(vcma_client_call(f->client, &m.hdr, 1000, &reply, 8), -EMSGSIZE);
	assert_true(vcma_client_is_connected(f->client));

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_HELLO);
	assert_int_equal(vcma_client_call(f->client, &m.hdr, 1000, &reply, 8), -EINVAL);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_RECLAIM_DONE);
	assert_int_equal(vcma_client_call(f->client, &m.hdr, 1000, &reply, 8), -EINVAL);
}

/* --- the end --- */

static void test_goodbye(void **state)
{
	struct fixture *f = *state;
	struct vcma_empty m;

	assert_true(ask_lease(f, 8 * MIB) > 0);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_GOODBYE);
	m.hdr.status = vcma_cpu_to_le32(VCMA_ST_SHUTDOWN);
	give(f, &m, sizeof(m));
	/* The request is still unread: closing makes the kernel report a reset. */
	close(f->broker);
	f->broker = -1;
	assert_ended(f, -ECONNRESET);
	assert_int_equal(f->closed_status, VCMA_ST_SHUTDOWN);
	assert_int_equal(f->lease_status, VCMA_ST_AWAY);
}

static void test_end_without_goodbye(void **state)
{
	struct fixture *f = *state;

	close(f->broker);
	f->broker = -1;
	assert_ended(f, -ECONNRESET);
	assert_int_equal(f->closed_status, VCMA_ST_AWAY);
}

static void test_close_is_silent_and_reconnects(void **state)
{
	struct fixture *f = *state;
	struct vcma_hello_reply reply;

	assert_true(ask_lease(f, 8 * MIB) > 0);
	vcma_client_close(f->client);
	assert_int_equal(f->closes, 0);
	assert_int_equal(f->leases, 1);
	assert_int_equal(f->lease_status, VCMA_ST_AWAY);
	vcma_client_close(f->client);
	assert_int_equal(f->leases, 1);

	close(f->broker);
	greet(f);
	make_hello_reply(&reply, take(f, VCMA_MSG_HELLO));
	give(f, &reply, sizeof(reply));
	assert_int_equal(vcma_client_wait_hello(f->client, 1000, NULL), 0);
	assert_true(vcma_client_is_connected(f->client));
}

static void test_close_in_callback(void **state)
{
	struct fixture *f = *state;
	struct vcma_pool_changed m;

	f->close_in_callback = true;
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_POOL_CHANGED);
	give(f, &m, sizeof(m));
	give(f, &m, sizeof(m));
	assert_int_equal(vcma_client_dispatch(f->client), -ECONNABORTED);
	assert_int_equal(f->changes, 1);
	assert_int_equal(f->closes, 0);
}

/* Descriptors with a message that has none, and other noise. */
static void test_bad_packets(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 10; i++) {
		struct vcma_pool_changed m;
		unsigned char large[VCMA_MSG_MAX + 8] = { 0 };
		size_t len = sizeof(m);
		unsigned int nfds = 0;

		vcma_msg_init(&m, sizeof(m), VCMA_MSG_POOL_CHANGED);
		switch (i) {
		case 0: nfds = 1; break;
		case 1: len = sizeof(struct vcma_hdr) - 1; break;
		case 2: len--; break;
		case 3: m.hdr.magic = vcma_cpu_to_le32(0); break;
		case 4: m.hdr.version = vcma_cpu_to_le16(2); break;
		case 5: m.hdr.reserved = vcma_cpu_to_le32(1); break;
		case 6: m.hdr.status = vcma_cpu_to_le32(1); break;
		case 7: m.hdr.type = vcma_cpu_to_le16(VCMA_MSG_LEASE_BAD); break;
		case 8: m.hdr.type = vcma_cpu_to_le16(VCMA_MSG_LEASE); break;
		case 9: len = sizeof(large); nfds = 3; break;
		}
		if (len == sizeof(large))
			give_fds(f, large, len, nfds);
		else if (nfds)
			give_fds(f, &m, len, nfds);
		else
			give(f, &m, len);
		f->closes = 0;
		assert_ended(f, -EPROTO);
		assert_int_equal(f->changes, 0);
		close(f->broker);
		vcma_client_free(f->client);
		assert_int_equal(count_fds(), f->fds_before);
		free(f);
		set_up(state);
		f = *state;
	}
}

/* Every single-byte change of a lease reply is refused or harmless; nothing leaks. */
static void test_flipped_bytes(void **state)
{
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(struct vcma_lease_reply); i++) {
		struct vcma_lease_reply m;

		ask_lease(f, 8 * MIB);
		make_lease_reply(&m, take(f, VCMA_MSG_LEASE), 7, 8 * MIB);
		((unsigned char *)&m)[i] ^= 0x41;
		give_fds(f, &m, sizeof(m), 4);
		vcma_client_dispatch(f->client);
		assert_true(f->leases == 1);
		tear_down(state);
		set_up(state);
		f = *state;
	}
}

#define LIVE(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
#define BARE(t) cmocka_unit_test_setup_teardown(t, set_up_closed, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(test_hello),
		BARE(test_hello_says_who),
		BARE(test_hello_refused),
		BARE(test_hello_refused_when_waited_for),
		BARE(test_hello_never_answered),
		BARE(test_hello_bad_replies),
		BARE(test_event_before_hello),
		BARE(test_connect_errors),
		LIVE(test_lease_in_one_packet),
		LIVE(test_lease_in_parts),
		LIVE(test_lease_answered_twice),
		LIVE(test_lease_id_twice),
		LIVE(test_lease_bad_parts),
		LIVE(test_lease_bad_replies),
		LIVE(test_lease_refused),
		LIVE(test_lease_cancelled),
		LIVE(test_lease_without_room),
		LIVE(test_lease_arguments),
		LIVE(test_release),
		LIVE(test_reclaim),
		LIVE(test_events),
		LIVE(test_requests_are_bounded),
		LIVE(test_full_socket),
		LIVE(test_request_times_out),
		LIVE(test_call),
		LIVE(test_goodbye),
		LIVE(test_end_without_goodbye),
		LIVE(test_close_is_silent_and_reconnects),
		LIVE(test_close_in_callback),
		LIVE(test_bad_packets),
		LIVE(test_flipped_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
