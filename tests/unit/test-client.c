// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-client.c - the client library: sessions, requests, events, and its end
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client-fixture.h"

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
	assert_int_equal(info->banks, 1);	/* of a broker that knows no others */
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
	assert_int_equal(vcma_le32_to_cpu(m->capabilities), VCMA_CAP_BANKS);
	assert_int_equal(ask_lease(f, GRANULE), -ENOTCONN);
}

/* [B-32] */
static void test_hello_banks(void **state)
{
	struct fixture *f = *state;
	struct vcma_hello_reply m;

	greet(f);
	make_hello_reply(&m, take(f, VCMA_MSG_HELLO));
	m.capabilities = vcma_cpu_to_le32(VCMA_CAP_BANKS);
	m.banks = vcma_cpu_to_le32(0x80000003);
	give(f, &m, sizeof(m));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(vcma_client_info(f->client)->capabilities, VCMA_CAP_BANKS);
	assert_int_equal(vcma_client_info(f->client)->banks, 0x80000003);
}

/* [B-24] */
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

/* [B-21], [B-22] */
static void test_hello_bad_replies(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 9; i++) {
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
		case 7: m.banks = vcma_cpu_to_le32(3); break;
		case 8: m.capabilities = vcma_cpu_to_le32(VCMA_CAP_BANKS); break;
		}
		give(f, &m, sizeof(m));
		f->closes = 0;
		assert_ended(f, -EPROTO);
		assert_int_equal(f->hellos, 0);
		close(f->broker);
		f->broker = -1;
	}
}

/* [B-26] */
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

/* [B-53] */
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

/* [B-27] */
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

/* [B-29] */
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

/* Descriptors with a message that has none, and other noise. [B-11] */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(test_hello),
		BARE(test_hello_says_who),
		BARE(test_hello_banks),
		BARE(test_hello_refused),
		BARE(test_hello_refused_when_waited_for),
		BARE(test_hello_never_answered),
		BARE(test_hello_bad_replies),
		BARE(test_event_before_hello),
		BARE(test_connect_errors),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
