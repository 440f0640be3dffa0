// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-client-lease.c - the client library: leases, whole and in parts, good and bad
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client-fixture.h"

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
	/* [B-22]: this broker did not say that it knows banks. */
	args.bank = 1;
	assert_int_equal(vcma_client_lease(f->client, &args, on_lease, f), -EINVAL);
	assert_nothing_sent(f);
	args.bank = 0;
	assert_true(vcma_client_lease(f->client, &args, on_lease, f) > 0);
	assert_true(vcma_client_timeout(f->client) > 1000);
	assert_true(vcma_client_timeout(f->client) <= 1000 + VCMA_CLIENT_GRACE_MS);
}

/* [B-83]: which banks there are, the broker says; a bank is named only to who knows the word. */
static void test_lease_of_bank(void **state)
{
	struct fixture *f = *state;
	struct vcma_client_lease_args args = {
		.size = GRANULE, .max_addr = UINT64_MAX, .deadline_ms = 1000, .bank = 31,
	};
	struct vcma_hello_reply m;
	struct vcma_lease_req *req;

	greet(f);
	assert_int_equal(vcma_client_lease(f->client, &args, on_lease, f), -ENOTCONN);
	make_hello_reply(&m, take(f, VCMA_MSG_HELLO));
	m.capabilities = vcma_cpu_to_le32(VCMA_CAP_BANKS);
	m.banks = vcma_cpu_to_le32(3);
	give(f, &m, sizeof(m));
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_true(vcma_client_lease(f->client, &args, on_lease, f) > 0);
	req = take(f, VCMA_MSG_LEASE);
	assert_int_equal(vcma_le32_to_cpu(req->bank), 31);
	reply_empty(f, &req->hdr, VCMA_ST_DENIED);
	assert_int_equal(vcma_client_dispatch(f->client), 0);
	assert_int_equal(f->lease_status, VCMA_ST_DENIED);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		BARE(test_lease_of_bank),
		LIVE(test_flipped_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
