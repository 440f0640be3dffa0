// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-wire.c - every message, whole and damaged
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire.h"

#define MIB (UINT64_C(1) << 20)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define REPLY(type) ((type) | VCMA_MSG_REPLY)
#define ALL_FROM (VCMA_FROM_VM | VCMA_FROM_OPERATOR)
#define ALL_TO (VCMA_TO_VM | VCMA_TO_OPERATOR)

/* A good message of each type, with its descriptors and the paths that may carry it. */
struct sample {
	uint16_t type;
	uint32_t count;
	unsigned int paths, nfds;
};

static const struct sample samples[] = {
	{ VCMA_MSG_HELLO, 0, ALL_FROM, 0 },
	{ VCMA_MSG_LEASE, 0, VCMA_FROM_VM, 0 },
	{ VCMA_MSG_CANCEL, 0, VCMA_FROM_VM, 0 },
	{ VCMA_MSG_RELEASE, 1, VCMA_FROM_VM, 0 },
	{ VCMA_MSG_RELEASE, VCMA_IDS_MAX, VCMA_FROM_VM, 0 },
	{ VCMA_MSG_PING, 0, ALL_FROM | ALL_TO, 0 },
	{ VCMA_MSG_LEASE_ACK, 0, VCMA_FROM_VM, 0 },
	{ VCMA_MSG_RECLAIM_DONE, 0, VCMA_FROM_VM, 0 },
	{ VCMA_MSG_OP_STATUS, 0, VCMA_FROM_OPERATOR, 0 },
	{ VCMA_MSG_OP_POOLS, 0, VCMA_FROM_OPERATOR, 0 },
	{ VCMA_MSG_OP_VMS, 0, VCMA_FROM_OPERATOR, 0 },
	{ VCMA_MSG_OP_LEASES, 0, VCMA_FROM_OPERATOR, 0 },
	{ VCMA_MSG_OP_RECLAIM, 0, VCMA_FROM_OPERATOR, 0 },
	{ VCMA_MSG_OP_WAIT_IDLE, 0, VCMA_FROM_OPERATOR, 0 },
	{ VCMA_MSG_LEASE_PART, 0, VCMA_TO_VM, 3 },
	{ VCMA_MSG_RECLAIM, 2, VCMA_TO_VM, 0 },
	{ VCMA_MSG_RECLAIM, VCMA_IDS_MAX, VCMA_TO_VM, 0 },
	{ VCMA_MSG_POOL_CHANGED, 0, VCMA_TO_VM, 0 },
	{ VCMA_MSG_GOODBYE, 0, ALL_TO, 0 },
	{ REPLY(VCMA_MSG_HELLO), 0, ALL_TO, 0 },
	{ REPLY(VCMA_MSG_LEASE), 0, VCMA_TO_VM, 4 },
	{ REPLY(VCMA_MSG_CANCEL), 0, VCMA_TO_VM, 0 },
	{ REPLY(VCMA_MSG_RELEASE), 0, VCMA_TO_VM, 0 },
	{ REPLY(VCMA_MSG_PING), 0, ALL_FROM | ALL_TO, 0 },
	{ REPLY(VCMA_MSG_OP_STATUS), 0, VCMA_TO_OPERATOR, 0 },
	{ REPLY(VCMA_MSG_OP_POOLS), 0, VCMA_TO_OPERATOR, 0 },
	{ REPLY(VCMA_MSG_OP_POOLS), VCMA_RECORDS_MAX, VCMA_TO_OPERATOR, 0 },
	{ REPLY(VCMA_MSG_OP_VMS), 3, VCMA_TO_OPERATOR, 0 },
	{ REPLY(VCMA_MSG_OP_LEASES), VCMA_RECORDS_MAX, VCMA_TO_OPERATOR, 0 },
	{ REPLY(VCMA_MSG_OP_RECLAIM), 0, VCMA_TO_OPERATOR, 0 },
	{ REPLY(VCMA_MSG_OP_WAIT_IDLE), 0, VCMA_TO_OPERATOR, 0 },
};

/* One buffer for any of them. */
union any {
	struct vcma_hdr hdr;
	struct vcma_hello hello;
	struct vcma_hello_reply hello_reply;
	struct vcma_lease_req lease;
	struct vcma_lease_reply lease_reply;
	struct vcma_lease_part part;
	struct vcma_lease_ack ack;
	struct vcma_cancel cancel;
	struct vcma_release release;
	struct vcma_reclaim reclaim;
	struct vcma_reclaim_done done;
	struct vcma_op_page page;
	struct vcma_op_reclaim op_reclaim;
	struct vcma_op_wait op_wait;
	unsigned char bytes[VCMA_MSG_MAX + 64];
	uint64_t align;
};

static void fill_ids(__le64 *id, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		id[i] = vcma_cpu_to_le64(1000 + i);
}

static void fill_hello_reply(struct vcma_hello_reply *m)
{
	m->version = vcma_cpu_to_le16(1);
	m->flags = vcma_cpu_to_le32(VCMA_POOL_CONTIGUOUS | VCMA_HELLO_RESUMED);
	m->instance = vcma_cpu_to_le64(1);
	m->granule_size = vcma_cpu_to_le64(2 * MIB);
	m->chunk_size = vcma_cpu_to_le64(16 * MIB);
	m->lease_max = vcma_cpu_to_le64(256 * MIB);
	m->guarantee = vcma_cpu_to_le64(64 * MIB);
	m->limit = vcma_cpu_to_le64(64 * MIB);
	assert_int_equal(vcma_name_set(m->vm, "alpha"), 0);
	assert_int_equal(vcma_name_set(m->pool, "main"), 0);
}

static void fill_payload(union any *m, const struct sample *s)
{
	switch (s->type) {
	case VCMA_MSG_HELLO:
		m->hello.version_min = vcma_cpu_to_le16(1);
		m->hello.version_max = vcma_cpu_to_le16(3);
		m->hello.capabilities = vcma_cpu_to_le32(~0u);
		vcma_name_set(m->hello.name, "test");
		break;
	case VCMA_MSG_LEASE:
		m->lease.size = vcma_cpu_to_le64(8 * MIB);
		m->lease.boundary = vcma_cpu_to_le64(8 * MIB);
		m->lease.alignment = vcma_cpu_to_le64(4096);
		m->lease.max_addr = vcma_cpu_to_le64(0xffffffff);
		m->lease.deadline_ms = vcma_cpu_to_le32(VCMA_DEADLINE_MAX_MS);
		break;
	case VCMA_MSG_CANCEL:
		m->cancel.sequence = vcma_cpu_to_le32(7);
		break;
	case VCMA_MSG_RELEASE:
		m->release.count = vcma_cpu_to_le32(s->count);
		fill_ids(m->release.lease, s->count);
		break;
	case VCMA_MSG_LEASE_ACK:
		m->ack.lease = vcma_cpu_to_le64(9);
		m->ack.received = vcma_cpu_to_le32(4);
		break;
	case VCMA_MSG_RECLAIM_DONE:
		m->done.id = vcma_cpu_to_le32(3);
		m->done.status = vcma_cpu_to_le32(VCMA_ST_BUSY);
		break;
	case VCMA_MSG_OP_RECLAIM:
		m->op_reclaim.bytes = vcma_cpu_to_le64(UINT64_MAX);
		m->op_reclaim.deadline_ms = vcma_cpu_to_le32(1);
		break;
	case VCMA_MSG_OP_WAIT_IDLE:
		m->op_wait.deadline_ms = vcma_cpu_to_le32(1000);
		break;
	case VCMA_MSG_LEASE_PART:
		m->part.lease = vcma_cpu_to_le64(9);
		m->part.first = vcma_cpu_to_le32(253);
		m->part.nr_fds = vcma_cpu_to_le32(s->nfds);
		break;
	case VCMA_MSG_RECLAIM:
		m->reclaim.id = vcma_cpu_to_le32(1);
		m->reclaim.deadline_ms = vcma_cpu_to_le32(500);
		m->reclaim.count = vcma_cpu_to_le32(s->count);
		fill_ids(m->reclaim.lease, s->count);
		break;
	case REPLY(VCMA_MSG_HELLO):
		fill_hello_reply(&m->hello_reply);
		break;
	case REPLY(VCMA_MSG_LEASE):
		m->lease_reply.lease = vcma_cpu_to_le64(9);
		m->lease_reply.size = vcma_cpu_to_le64(8 * MIB);
		m->lease_reply.nr_granules = vcma_cpu_to_le32(4);
		m->lease_reply.nr_fds = vcma_cpu_to_le32(4);
		break;
	case REPLY(VCMA_MSG_OP_POOLS):
		m->page.record_size = vcma_cpu_to_le32(sizeof(struct vcma_op_pool));
		m->page.count = vcma_cpu_to_le32(s->count);
		break;
	case REPLY(VCMA_MSG_OP_VMS):
		m->page.record_size = vcma_cpu_to_le32(sizeof(struct vcma_op_vm));
		m->page.count = vcma_cpu_to_le32(s->count);
		break;
	case REPLY(VCMA_MSG_OP_LEASES):
		m->page.record_size = vcma_cpu_to_le32(sizeof(struct vcma_op_lease));
		m->page.count = vcma_cpu_to_le32(s->count);
		break;
	}
}

static bool is_request(uint16_t type)
{
	return type < 0x40 || (type > 0x100 && type < 0x140);
}

static size_t make(union any *m, const struct sample *s)
{
	size_t len = vcma_msg_size(s->type, s->count);

	assert_true(len >= sizeof(struct vcma_hdr) && len <= VCMA_MSG_MAX);
	memset(m, 0xee, sizeof(*m));
	vcma_msg_init(m, len, s->type);
	if (is_request(s->type) || s->type & VCMA_MSG_REPLY)
		m->hdr.sequence = vcma_cpu_to_le32(5);
	fill_payload(m, s);
	return len;
}

static unsigned int first_path(const struct sample *s)
{
	return s->paths & (~s->paths + 1);
}

/* What the check says of a good message that was damaged in its payload. */
static int damage(const struct sample *s)
{
	return is_request(s->type) && s->paths & ALL_FROM && first_path(s) & ALL_FROM ?
		VCMA_ST_INVALID : -EPROTO;
}

static int check(const union any *m, size_t len, const struct sample *s)
{
	return vcma_wire_check(m, len, s->nfds, first_path(s), NULL);
}

static void test_good_messages(void **state)
{
	union any m;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		unsigned int path;

		for (path = VCMA_FROM_VM; path <= VCMA_TO_OPERATOR; path <<= 1) {
			size_t len = make(&m, s);
			const char *why = "none";
			int ret = vcma_wire_check(&m, len, s->nfds, path, &why);

			if (s->paths & path) {
				if (ret)
					fail_msg("%#x path %u: %d, %s", s->type, path, ret, why);
				assert_string_equal(why, "none");
			} else if (path & ALL_FROM && is_request(s->type) &&
				   s->paths & ALL_FROM) {
				assert_int_equal(ret, VCMA_ST_DENIED);
			} else {
				assert_int_equal(ret, -EPROTO);
				assert_string_not_equal(why, "none");
			}
		}
	}
}

static void test_headers(void **state)
{
	union any m;
	size_t i, len;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		int other = s->type == VCMA_MSG_HELLO ? VCMA_ST_VERSION : -EPROTO;

		len = make(&m, s);
		m.hdr.magic = vcma_cpu_to_le32(0x564d4341);
		assert_int_equal(check(&m, len, s), -EPROTO);
		len = make(&m, s);
		m.hdr.version = vcma_cpu_to_le16(2);
		assert_int_equal(check(&m, len, s), other);
		len = make(&m, s);
		m.hdr.version = vcma_cpu_to_le16(0);
		assert_int_equal(check(&m, len, s), other);
		len = make(&m, s);
		m.hdr.reserved = vcma_cpu_to_le32(1);
		assert_int_equal(check(&m, len, s), -EPROTO);
		len = make(&m, s);
		m.hdr.length = vcma_cpu_to_le32((uint32_t)len + 1);
		assert_int_equal(check(&m, len, s), -EPROTO);
		/* Sequences: requests and replies have one, others have not. */
		len = make(&m, s);
		m.hdr.sequence = vcma_cpu_to_le32(!vcma_msg_sequence(&m.hdr));
		assert_int_equal(check(&m, len, s), -EPROTO);
		/* Descriptors: exactly what the type has. */
		len = make(&m, s);
		assert_int_equal(vcma_wire_check(&m, len, s->nfds + 1, first_path(s), NULL),
				 -EPROTO);
		if (s->nfds)
			assert_int_equal(vcma_wire_check(&m, len, s->nfds - 1, first_path(s),
							 NULL), -EPROTO);
		/* A status belongs to replies of the broker and to GOODBYE. */
		len = make(&m, s);
		m.hdr.status = vcma_cpu_to_le32(VCMA_ST_AWAY);
		assert_int_equal(check(&m, len, s), -EPROTO);
		m.hdr.status = vcma_cpu_to_le32(VCMA_ST_INTERNAL);
		if (first_path(s) & ALL_TO && !s->nfds &&
		    (s->type & VCMA_MSG_REPLY || s->type == VCMA_MSG_GOODBYE))
			assert_int_equal(check(&m, len, s), 0);
		else
			assert_int_equal(check(&m, len, s), -EPROTO);
	}
}

/* Any other length is refused, and nothing beyond the packet is looked at. */
static void test_lengths(void **state)
{
	union any m;
	size_t i, len;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		size_t good = make(&m, s);

		for (len = 0; len < good + 24; len++) {
			unsigned char *exact;
			int ret;

			if (len == good || (len > 200 && len + 20 < good))
				continue;
			make(&m, s);
			m.hdr.length = vcma_cpu_to_le32((uint32_t)len);
			exact = malloc(len ? len : 1);
			memcpy(exact, &m, len);
			ret = vcma_wire_check(exact, len, s->nfds, first_path(s), NULL);
			if (len < sizeof(struct vcma_hdr) || len > VCMA_MSG_MAX)
				assert_int_equal(ret, -EPROTO);
			else
				assert_int_equal(ret, damage(s));
			free(exact);
		}
	}
}

/* A refusal may be a bare header, of any type, but has no descriptor. */
static void test_refusals(void **state)
{
	struct vcma_empty m, request;

	(void)state;
	vcma_msg_init(&request, sizeof(request), VCMA_MSG_LEASE);
	request.hdr.sequence = vcma_cpu_to_le32(77);
	vcma_msg_reply(&m, sizeof(m), &request.hdr, VCMA_ST_OVER_LIMIT);
	assert_int_equal(vcma_msg_sequence(&m.hdr), 77);
	assert_int_equal(vcma_msg_status(&m.hdr), VCMA_ST_OVER_LIMIT);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_TO_VM, NULL), 0);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 1, VCMA_TO_VM, NULL), -EPROTO);
	m.hdr.status = vcma_cpu_to_le32(0);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_TO_VM, NULL), -EPROTO);
	/* In place. */
	vcma_msg_reply(&request, sizeof(request), &request.hdr, VCMA_ST_INVALID);
	assert_int_equal(vcma_msg_type(&request.hdr), REPLY(VCMA_MSG_LEASE));
	assert_int_equal(vcma_msg_sequence(&request.hdr), 77);
	/* A peer cannot refuse a PING. */
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING | VCMA_MSG_REPLY);
	m.hdr.sequence = vcma_cpu_to_le32(1);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_FROM_VM, NULL), 0);
	m.hdr.status = vcma_cpu_to_le32(1);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_FROM_VM, NULL), -EPROTO);
}

static void test_unknown_types(void **state)
{
	unsigned int type;

	(void)state;
	for (type = 0; type < 0x10000; type++) {
		struct vcma_empty m;
		int vm, op;

		vcma_msg_init(&m, sizeof(m), (uint16_t)type);
		if (is_request((uint16_t)type))
			m.hdr.sequence = vcma_cpu_to_le32(1);
		vm = vcma_wire_check(&m, sizeof(m), 0, VCMA_FROM_VM, NULL);
		op = vcma_wire_check(&m, sizeof(m), 0, VCMA_FROM_OPERATOR, NULL);
		if (strcmp(vcma_msg_name((uint16_t)type), "unknown") != 0)
			continue;
		if ((type >= 1 && type <= 0x3f) || (type >= 0x101 && type <= 0x13f)) {
			assert_int_equal(vm, VCMA_ST_UNSUPPORTED);
			assert_int_equal(op, VCMA_ST_UNSUPPORTED);
		} else {
			assert_int_equal(vm, -EPROTO);
			assert_int_equal(op, -EPROTO);
		}
		assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, ALL_TO, NULL), -EPROTO);
	}
}

/* Reserved for later: requests are answered, the rest ends the connection. */
static void test_reserved_types(void **state)
{
	struct vcma_empty m;

	(void)state;
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_ADOPT);
	m.hdr.sequence = vcma_cpu_to_le32(1);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_FROM_VM, NULL),
			 VCMA_ST_UNSUPPORTED);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_STATS);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_FROM_VM, NULL), -EPROTO);
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_LEASE_BAD);
	assert_int_equal(vcma_wire_check(&m, sizeof(m), 0, VCMA_TO_VM, NULL), -EPROTO);
}

#define DAMAGE(n, type_, count_, paths_, nfds_, change, want) do {		\
	const struct sample s_ = { type_, count_, paths_, nfds_ };		\
	union any m;								\
	size_t len_ = make(&m, &s_);						\
	int got_;								\
										\
	change;									\
	got_ = vcma_wire_check(&m, len_, nfds_, paths_, NULL);			\
	if (got_ != (want))							\
		fail_msg("%s: %s: got %d, want %d", n, #change, got_, want);	\
} while (0)

#define L16(x) vcma_cpu_to_le16(x)
#define L32(x) vcma_cpu_to_le32(x)
#define L64(x) vcma_cpu_to_le64(x)

static void test_values_of_requests(void **state)
{
	(void)state;
#define BAD(type, change) \
	DAMAGE(#type, VCMA_MSG_##type, 0, VCMA_FROM_VM, 0, change, VCMA_ST_INVALID)
#define FINE(type, change) DAMAGE(#type, VCMA_MSG_##type, 0, VCMA_FROM_VM, 0, change, 0)
	BAD(HELLO, m.hello.version_min = L16(0));
	BAD(HELLO, m.hello.version_min = L16(4));
	BAD(HELLO, memset(m.hello.name, 'x', 32));
	BAD(HELLO, m.hello.name[1] = '\n');
	BAD(HELLO, m.hello.name[1] = '\x80');
	BAD(HELLO, m.hello.name[9] = 'x');
	FINE(HELLO, memset(m.hello.name, 0, 32));
	FINE(HELLO, m.hello.version_max = L16(1));
	DAMAGE("HELLO", VCMA_MSG_HELLO, 0, VCMA_FROM_VM, 0,
	       m.hello.version_min = L16(2), VCMA_ST_VERSION);
	BAD(LEASE, m.lease.size = L64(0));
	BAD(LEASE, m.lease.size = L64(UINT64_MAX));
	BAD(LEASE, m.lease.size = L64(3 * MIB));
	BAD(LEASE, m.lease.size = L64(16 * MIB));	/* above the boundary */
	BAD(LEASE, m.lease.alignment = L64(3));
	FINE(LEASE, m.lease.alignment = L64(0));
	FINE(LEASE, m.lease.alignment = L64(UINT64_C(1) << 63));
	BAD(LEASE, m.lease.boundary = L64(4 * MIB));
	BAD(LEASE, m.lease.boundary = L64(24 * MIB));
	FINE(LEASE, m.lease.boundary = L64(0));
	BAD(LEASE, m.lease.max_addr = L64(8 * MIB - 2));
	FINE(LEASE, m.lease.max_addr = L64(8 * MIB - 1));
	FINE(LEASE, m.lease.forbidden = L64(UINT64_MAX));
	BAD(LEASE, m.lease.deadline_ms = L32(0));
	BAD(LEASE, m.lease.deadline_ms = L32(VCMA_DEADLINE_MAX_MS + 1));
	/* Which banks there are is not the wire's to know. */
	FINE(LEASE, m.lease.bank = L32(1));
	FINE(LEASE, m.lease.bank = L32(UINT32_MAX));
	BAD(CANCEL, m.cancel.sequence = L32(0));
	BAD(CANCEL, m.cancel.reserved = L32(1));
#undef BAD
#undef FINE
#define BAD(change) DAMAGE("RELEASE", VCMA_MSG_RELEASE, 2, VCMA_FROM_VM, 0, change, \
			   VCMA_ST_INVALID)
	BAD(m.release.count = L32(0));
	BAD(m.release.count = L32(1));
	BAD(m.release.count = L32(3));
	BAD(m.release.count = L32(UINT32_MAX));
	BAD(m.release.count = L32(0x20000002));	/* 8 * this wraps around in 32 bits */
	BAD(m.release.reserved = L32(1));
	BAD(m.release.lease[1] = L64(0));
	BAD(m.release.lease[1] = m.release.lease[0]);
#undef BAD
#define BAD(type, change) \
	DAMAGE(#type, VCMA_MSG_##type, 0, VCMA_FROM_OPERATOR, 0, change, VCMA_ST_INVALID)
	BAD(OP_RECLAIM, m.op_reclaim.bytes = L64(0));
	BAD(OP_RECLAIM, m.op_reclaim.deadline_ms = L32(0));
	BAD(OP_RECLAIM, m.op_reclaim.deadline_ms = L32(VCMA_DEADLINE_MAX_MS + 1));
	BAD(OP_RECLAIM, m.op_reclaim.reserved = L32(1));
	BAD(OP_RECLAIM, m.op_reclaim.vm[3] = 'x');
	BAD(OP_WAIT_IDLE, m.op_wait.deadline_ms = L32(0));
	BAD(OP_WAIT_IDLE, m.op_wait.reserved = L32(1));
#undef BAD
}

static void test_values_of_others(void **state)
{
	(void)state;
#define BAD(type, n, path, nfds, change) \
	DAMAGE(#type, VCMA_MSG_##type, n, path, nfds, change, -EPROTO)
	BAD(LEASE_ACK, 0, VCMA_FROM_VM, 0, m.ack.lease = L64(0));
	BAD(LEASE_ACK, 0, VCMA_FROM_VM, 0, m.ack.received = L32(0));
	BAD(LEASE_ACK, 0, VCMA_FROM_VM, 0, m.ack.status = L32(VCMA_ST_AWAY));
	DAMAGE("LEASE_ACK", VCMA_MSG_LEASE_ACK, 0, VCMA_FROM_VM, 0,
	       (m.ack.received = L32(0), m.ack.status = L32(VCMA_ST_CANCELLED)), 0);
	BAD(RECLAIM_DONE, 0, VCMA_FROM_VM, 0, m.done.id = L32(0));
	BAD(RECLAIM_DONE, 0, VCMA_FROM_VM, 0, m.done.status = L32(VCMA_ST_INVALID));
	BAD(LEASE_PART, 0, VCMA_TO_VM, 3, m.part.lease = L64(0));
	BAD(LEASE_PART, 0, VCMA_TO_VM, 3, m.part.first = L32(0));
	BAD(LEASE_PART, 0, VCMA_TO_VM, 3, m.part.nr_fds = L32(4));
	BAD(LEASE_PART, 0, VCMA_TO_VM, 0, m.part.nr_fds = L32(0));
	BAD(RECLAIM, 2, VCMA_TO_VM, 0, m.reclaim.id = L32(0));
	BAD(RECLAIM, 2, VCMA_TO_VM, 0, m.reclaim.deadline_ms = L32(0));
	BAD(RECLAIM, 2, VCMA_TO_VM, 0, m.reclaim.count = L32(3));
	BAD(RECLAIM, 2, VCMA_TO_VM, 0, m.reclaim.count = L32(1));
	BAD(RECLAIM, 2, VCMA_TO_VM, 0, m.reclaim.reserved = L32(1));
	BAD(RECLAIM, 2, VCMA_TO_VM, 0, m.reclaim.lease[0] = L64(0));
#undef BAD
}

static void test_values_of_replies(void **state)
{
	(void)state;
#define BAD(type, n, path, nfds, change) \
	DAMAGE(#type, VCMA_MSG_##type | VCMA_MSG_REPLY, n, path, nfds, change, -EPROTO)
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.version = L16(2));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.reserved = L16(1));
	/* [B-32] */
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.banks = L32(1));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.capabilities = L32(VCMA_CAP_BANKS));
	BAD(HELLO, 0, VCMA_TO_VM, 0, (m.hello_reply.capabilities = L32(VCMA_CAP_BANKS),
				      m.hello_reply.banks = L32(6)));
	DAMAGE("HELLO", VCMA_MSG_HELLO | VCMA_MSG_REPLY, 0, VCMA_TO_VM, 0,
	       (m.hello_reply.capabilities = L32(VCMA_CAP_BANKS),
		m.hello_reply.banks = L32(0x80000001)), 0);
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.flags = L32(4));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.instance = L64(0));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.granule_size = L64(2048));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.chunk_size = L64(MIB));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.lease_max = L64(MIB));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.lease_max = L64(3 * MIB));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.guarantee = L64(65 * MIB));
	BAD(HELLO, 0, VCMA_TO_VM, 0, memset(m.hello_reply.vm, 0, 32));
	BAD(HELLO, 0, VCMA_TO_VM, 0, m.hello_reply.pool[31] = 'x');
	/* To an operator, who has no VM. */
	DAMAGE("HELLO", VCMA_MSG_HELLO | VCMA_MSG_REPLY, 0, VCMA_TO_OPERATOR, 0,
	       (memset(m.hello_reply.vm, 0, 32), memset(m.hello_reply.pool, 0, 32),
		m.hello_reply.granule_size = L64(0)), 0);
	DAMAGE("HELLO", VCMA_MSG_HELLO | VCMA_MSG_REPLY, 0, VCMA_TO_OPERATOR, 0,
	       (memset(m.hello_reply.vm, 0, 32), memset(m.hello_reply.pool, 0, 32),
		m.hello_reply.capabilities = L32(VCMA_CAP_BANKS)), 0);
	BAD(HELLO, 0, VCMA_TO_OPERATOR, 0,
	    (memset(m.hello_reply.vm, 0, 32), memset(m.hello_reply.pool, 0, 32),
	     m.hello_reply.capabilities = L32(VCMA_CAP_BANKS), m.hello_reply.banks = L32(1)));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.lease = L64(0));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.size = L64(0));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.size = L64(3 * MIB));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.size = L64(8192));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.nr_granules = L32(0));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.nr_granules = L32(2));
	BAD(LEASE, 0, VCMA_TO_VM, 4, m.lease_reply.nr_fds = L32(3));
	BAD(LEASE, 0, VCMA_TO_VM, 5, m.lease_reply.nr_fds = L32(5));
	BAD(LEASE, 0, VCMA_TO_VM, 0, m.lease_reply.nr_fds = L32(0));
	/* Of a large lease the first packet has some, as many as announced. */
	DAMAGE("LEASE", VCMA_MSG_LEASE | VCMA_MSG_REPLY, 0, VCMA_TO_VM, 1,
	       (m.lease_reply.size = L64(1024 * MIB), m.lease_reply.nr_granules = L32(512),
		m.lease_reply.nr_fds = L32(1)), 0);
	DAMAGE("LEASE", VCMA_MSG_LEASE | VCMA_MSG_REPLY, 0, VCMA_TO_VM, VCMA_FDS_MAX,
	       (m.lease_reply.size = L64(1024 * MIB), m.lease_reply.nr_granules = L32(512),
		m.lease_reply.nr_fds = L32(VCMA_FDS_MAX)), 0);
	BAD(OP_VMS, 3, VCMA_TO_OPERATOR, 0, m.page.count = L32(2));
	BAD(OP_VMS, 3, VCMA_TO_OPERATOR, 0, m.page.count = L32(65));
	BAD(OP_VMS, 3, VCMA_TO_OPERATOR, 0, m.page.record_size = L32(8));
	BAD(OP_VMS, 0, VCMA_TO_OPERATOR, 0, m.page.next = L64(8));
#undef BAD
}

static void test_names(void **state)
{
	char name[VCMA_NAME_MAX] = "keep";

	(void)state;
	assert_int_equal(vcma_name_set(name, "0123456789012345678901234567890"), 0);
	assert_true(vcma_name_is_valid(name, false));
	assert_int_equal(vcma_name_set(name, "a"), 0);
	assert_true(vcma_name_is_valid(name, false));
	assert_int_equal(vcma_name_set(name, "01234567890123456789012345678901"), -EINVAL);
	assert_int_equal(vcma_name_set(name, "a\tb"), -EINVAL);
	assert_string_equal(name, "a");
	assert_int_equal(vcma_name_set(name, ""), 0);
	assert_true(vcma_name_is_valid(name, true));
	assert_false(vcma_name_is_valid(name, false));
}

static void test_texts(void **state)
{
	uint32_t i, j;

	(void)state;
	for (i = 0; i < VCMA_ST_MAX; i++) {
		assert_non_null(vcma_status_name(i));
		assert_true(strlen(vcma_status_text(i)) > 3);
		for (j = 0; j < i; j++) {
			assert_string_not_equal(vcma_status_name(i), vcma_status_name(j));
			assert_string_not_equal(vcma_status_text(i), vcma_status_text(j));
		}
	}
	assert_string_equal(vcma_status_name(VCMA_ST_MAX), "unknown");
	assert_string_equal(vcma_status_name(UINT32_MAX), "unknown");
	assert_non_null(vcma_status_text(UINT32_MAX));
	assert_string_equal(vcma_status_name(VCMA_ST_GUARANTEED), "GUARANTEED");
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		assert_string_not_equal(vcma_msg_name(samples[i].type), "unknown");
	assert_string_equal(vcma_msg_name(REPLY(VCMA_MSG_LEASE)), "LEASE");
}

static void test_byte_order(void **state)
{
	struct vcma_hdr hdr;

	(void)state;
	vcma_msg_init(&hdr, sizeof(hdr), VCMA_MSG_LEASE_PART);
	assert_memory_equal(&hdr, "VCMA\1\0\x81\0\x18\0\0\0", 12);
	assert_int_equal(vcma_le16_to_cpu(vcma_cpu_to_le16(0x1234)), 0x1234);
	assert_int_equal(vcma_le64_to_cpu(vcma_cpu_to_le64(UINT64_C(0x123456789abcdef0))),
			 UINT64_C(0x123456789abcdef0));
}

/* Random damage to good messages: an answer, and (under ASan) no byte too far. */
static void test_random_damage(void **state)
{
	unsigned int round, k;
	unsigned short seed[3] = { 1, 2, 3 };

	(void)state;
	for (round = 0; round < 60000; round++) {
		const struct sample *s = &samples[(size_t)nrand48(seed) % ARRAY_SIZE(samples)];
		union any m;
		size_t len = make(&m, s);
		size_t keep = nrand48(seed) % 4 ? len : (size_t)nrand48(seed) % (len + 1);
		unsigned char *exact = malloc(keep ? keep : 1);
		int ret;

		for (k = nrand48(seed) % 4; k > 0; k--)
			m.bytes[(size_t)nrand48(seed) % len] = (unsigned char)nrand48(seed);
		if (nrand48(seed) % 2)
			m.hdr.length = vcma_cpu_to_le32((uint32_t)keep);
		memcpy(exact, &m, keep);
		ret = vcma_wire_check(exact, keep, s->nfds,
				      1u << (nrand48(seed) % 4), NULL);
		assert_true(ret == -EPROTO || ret == VCMA_ST_OK || ret == VCMA_ST_INVALID ||
			    ret == VCMA_ST_DENIED || ret == VCMA_ST_VERSION ||
			    ret == VCMA_ST_UNSUPPORTED);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_messages),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_reserved_types),
		cmocka_unit_test(test_values_of_requests),
		cmocka_unit_test(test_values_of_others),
		cmocka_unit_test(test_values_of_replies),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
