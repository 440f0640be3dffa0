// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * client-fixture.c - a client, and a broker that the test plays
 */
#include "client-fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned int count_fds(void)
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

void on_reply(void *opaque, uint32_t status, const struct vcma_hdr *msg, size_t len)
{
	struct fixture *f = opaque;

	(void)len;
	f->replies++;
	f->reply_status = status;
	assert_true((status == VCMA_ST_AWAY) == (msg == NULL));
}

void on_lease(void *opaque, uint32_t status, struct vcma_client_lease *lease)
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

void *take(struct fixture *f, uint16_t type)
{
	assert_int_equal(vcma_sock_recv(f->broker, &f->pkt, 0), 1);
	assert_int_equal(vcma_wire_check(f->pkt.data, f->pkt.len, 0, VCMA_FROM_VM, NULL), 0);
	assert_int_equal(vcma_msg_type(&f->pkt.hdr), type);
	return f->pkt.data;
}

void assert_nothing_sent(struct fixture *f)
{
	assert_int_equal(vcma_sock_recv(f->broker, &f->pkt, 0), -EAGAIN);
}

void give(struct fixture *f, const void *msg, size_t len)
{
	assert_int_equal(vcma_sock_send(f->broker, msg, len, NULL, 0), 0);
}

void give_fds(struct fixture *f, const void *msg, size_t len, unsigned int nfds)
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

void reply_empty(struct fixture *f, const struct vcma_hdr *request, uint32_t status)
{
	struct vcma_empty m;

	vcma_msg_reply(&m, sizeof(m), request, status);
	give(f, &m, sizeof(m));
}

void make_hello_reply(struct vcma_hello_reply *m, const struct vcma_hdr *request)
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

void make_lease_reply(struct vcma_lease_reply *m, const struct vcma_hdr *request,
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

uint32_t announced(const struct vcma_lease_reply *m)
{
	return vcma_le32_to_cpu(m->nr_fds);
}

/* --- set up, tear down --- */

int set_up(void **state)
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

int set_up_closed(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->fds_before = count_fds();
	f->broker = -1;
	f->client = vcma_client_new(&ops, f);
	return 0;
}

int tear_down(void **state)
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

void greet(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->broker = pair[0];
	assert_int_equal(vcma_client_adopt_fd(f->client, pair[1], "test", 99), 0);
}

int ask_lease(struct fixture *f, uint64_t size)
{
	struct vcma_client_lease_args args = {
		.size = size, .max_addr = UINT64_MAX, .deadline_ms = 1000,
	};

	return vcma_client_lease(f->client, &args, on_lease, f);
}

/* The connection has ended for that reason, and everybody was told. */
void assert_ended(struct fixture *f, int err)
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
