// SPDX-License-Identifier: BSD-3-Clause
/*
 * client.c - the connection of a peer to the broker: what goes out, and when it ends
 *
 * DOC: Theory of operation
 *
 * A message is sent at once if the socket has room and nothing waits before it;
 * else it is copied to a bounded queue that dispatch empties.  Errors of
 * sending are not acted upon where they happen, because callbacks run in
 * dispatch and close only: the message is queued, and dispatch runs into the
 * same error.
 *
 * Dispatch reads first, then sends, then looks at deadlines.  So a process that
 * was stopped for a while hears what came meanwhile before it counts anybody as
 * late.
 *
 * A connection ends in client_end() and nowhere else.  It takes the lists of
 * requests and messages away from the object before it calls anybody back, so
 * that a callback may use the object, even connect it anew.  Dispatch notices by
 * the epoch.
 */
#include "client_internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PACKETS_PER_DISPATCH 32

uint64_t client_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct vcma_client *vcma_client_new(const struct vcma_client_ops *ops, void *opaque)
{
	struct vcma_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ops = *ops;
	c->opaque = opaque;
	c->fd = -1;
	c->state = CLIENT_CLOSED;
	c->out_tail = &c->out;
	return c;
}

void vcma_client_free(struct vcma_client *c)
{
	if (!c)
		return;
	vcma_client_close(c);
	free(c);
}

/* --- what goes out --- */

static bool sequence_in_use(const struct vcma_client *c, uint32_t sequence)
{
	const struct request *req;

	for (req = c->requests; req; req = req->next) {
		if (req->sequence == sequence)
			return true;
	}
	return sequence == c->ping;
}

uint32_t client_next_sequence(struct vcma_client *c)
{
	do {
		c->last_sequence = c->last_sequence < INT_MAX ? c->last_sequence + 1 : 1;
	} while (sequence_in_use(c, c->last_sequence));
	return c->last_sequence;
}

/* 0, -ENOBUFS or -ENOMEM. */
int client_send(struct vcma_client *c, const void *msg, size_t len)
{
	struct outgoing *o;

	if (!c->out && vcma_sock_send(c->fd, msg, len, NULL, 0) == 0)
		return 0;
	if (c->nr_out >= CLIENT_QUEUE_MAX)
		return -ENOBUFS;

	o = malloc(sizeof(*o) + len);
	if (!o)
		return -ENOMEM;
	o->next = NULL;
	o->len = len;
	memcpy(o->data, msg, len);
	if (!c->out)
		c->out_since = client_now();
	*c->out_tail = o;
	c->out_tail = &o->next;
	c->nr_out++;
	return 0;
}

static void free_outgoing(struct outgoing *o)
{
	while (o) {
		struct outgoing *next = o->next;

		free(o);
		o = next;
	}
}

static int flush(struct vcma_client *c)
{
	while (c->out) {
		struct outgoing *o = c->out;
		int err = vcma_sock_send(c->fd, o->data, o->len, NULL, 0);

		if (err == -EAGAIN)
			return 0;
		if (err)
			return -ECONNRESET;
		c->out = o->next;
		if (!c->out)
			c->out_tail = &c->out;
		c->nr_out--;
		c->out_since = client_now();
		free(o);
	}
	return 0;
}

/* Number, remember and send a request.  NULL: errno is EBUSY or ENOMEM. */
struct request *client_add_request(struct vcma_client *c, struct vcma_hdr *msg, uint64_t wait_ms)
{
	struct request *req, **tail;
	int err;

	if (c->nr_requests >= VCMA_REQUESTS_MAX) {
		errno = EBUSY;
		return NULL;
	}
	req = calloc(1, sizeof(*req));
	if (!req) {
		errno = ENOMEM;
		return NULL;
	}
	req->type = vcma_msg_type(msg);
	req->sequence = client_next_sequence(c);
	req->due = client_now() + wait_ms;

	msg->sequence = vcma_cpu_to_le32(req->sequence);
	err = client_send(c, msg, vcma_msg_length(msg));
	if (err) {
		free(req);
		errno = err == -ENOBUFS ? EBUSY : -err;
		return NULL;
	}

	for (tail = &c->requests; *tail; tail = &(*tail)->next)
		;
	*tail = req;
	c->nr_requests++;
	return req;
}

/* Take @req off the list; the caller frees it. */
void client_drop_request(struct vcma_client *c, struct request *req)
{
	struct request **at;

	for (at = &c->requests; *at != req; at = &(*at)->next)
		;
	*at = req->next;
	req->next = NULL;
	c->nr_requests--;
}

/* With all descriptors that it has received so far. */
void client_free_request(struct request *req)
{
	uint32_t i;

	for (i = 0; i < req->received; i++)
		close(req->lease.fds[i]);
	free(req->lease.fds);
	free(req);
}

/* --- beginning and end --- */

void client_end(struct vcma_client *c, int err, uint32_t status, bool closed)
{
	struct request *req = c->requests;

	close(c->fd);
	c->fd = -1;
	c->state = CLIENT_CLOSED;
	c->epoch++;
	c->last_status = status;
	c->reset_seen = false;
	c->requests = NULL;
	c->nr_requests = 0;
	free_outgoing(c->out);
	c->out = NULL;
	c->out_tail = &c->out;
	c->nr_out = 0;
	c->greeting = 0;
	c->ping = 0;

	while (req) {
		struct request *next = req->next;

		if (req->leased)
			req->leased(req->opaque, VCMA_ST_AWAY, NULL);
		else if (req->reply)
			req->reply(req->opaque, VCMA_ST_AWAY, NULL, 0);
		client_free_request(req);
		req = next;
	}
	if (closed && c->ops.closed)
		c->ops.closed(c->opaque, err, status);
}

void vcma_client_close(struct vcma_client *c)
{
	if (c->state != CLIENT_CLOSED)
		client_end(c, -ECONNABORTED, VCMA_ST_AWAY, false);
}

int vcma_client_adopt_fd(struct vcma_client *c, int fd, const char *name, uint64_t instance)
{
	struct vcma_hello hello;
	int err = 0;

	vcma_msg_init(&hello, sizeof(hello), VCMA_MSG_HELLO);
	hello.version_min = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	hello.version_max = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	hello.capabilities = vcma_cpu_to_le32(CLIENT_CAPABILITIES);
	hello.instance = vcma_cpu_to_le64(instance);

	if (c->state != CLIENT_CLOSED)
		err = -EISCONN;
	if (!err)
		err = vcma_name_set(hello.name, name);
	if (!err) {
		c->fd = fd;
		c->greeting = client_next_sequence(c);
		hello.hdr.sequence = vcma_cpu_to_le32(c->greeting);
		err = client_send(c, &hello, sizeof(hello));
	}
	if (err) {
		close(fd);
		if (err != -EISCONN)
			c->fd = -1;
		return err;
	}

	c->state = CLIENT_GREETING;
	c->last_heard = client_now();
	c->greeting_due = c->last_heard + VCMA_CLIENT_HELLO_MS;
	return 0;
}

int vcma_client_connect(struct vcma_client *c, const char *path,
			const char *name, uint64_t instance)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, err;

	if (c->state != CLIENT_CLOSED)
		return -EISCONN;
	if (!len)
		return -ENOENT;
	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len + 1);

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return vcma_client_adopt_fd(c, fd, name, instance);
}

bool vcma_client_is_connected(const struct vcma_client *c)
{
	return c->state == CLIENT_UP;
}

const struct vcma_client_info *vcma_client_info(const struct vcma_client *c)
{
	return c->state == CLIENT_UP ? &c->info : NULL;
}

/* --- the caller's event loop --- */

int vcma_client_fd(const struct vcma_client *c)
{
	return c->fd;
}

short vcma_client_events(const struct vcma_client *c)
{
	return c->out ? POLLIN | POLLOUT : POLLIN;
}

/* When the next deadline is, in ms of client_now(). */
static uint64_t next_due(const struct vcma_client *c)
{
	const struct request *req;
	uint64_t due = UINT64_MAX;

	if (c->state == CLIENT_GREETING)
		due = c->greeting_due;
	else if (c->state == CLIENT_UP)
		due = c->ping ? c->ping_due : c->last_heard + VCMA_CLIENT_IDLE_MS;
	if (c->out && c->out_since + VCMA_CLIENT_STALL_MS < due)
		due = c->out_since + VCMA_CLIENT_STALL_MS;
	for (req = c->requests; req; req = req->next) {
		if (req->due < due)
			due = req->due;
	}
	return due;
}

int vcma_client_timeout(const struct vcma_client *c)
{
	uint64_t now, due;

	if (c->state == CLIENT_CLOSED)
		return -1;
	now = client_now();
	due = next_due(c);
	if (due <= now)
		return 0;
	return due - now < INT_MAX ? (int)(due - now) : INT_MAX;
}

static void send_ping(struct vcma_client *c, uint64_t now)
{
	struct vcma_empty ping;

	vcma_msg_init(&ping, sizeof(ping), VCMA_MSG_PING);
	c->ping = client_next_sequence(c);
	c->ping_due = now + VCMA_CLIENT_REPLY_MS;
	ping.hdr.sequence = vcma_cpu_to_le32(c->ping);
	/* If it cannot be sent, no answer comes, which is what the deadline is for. */
	client_send(c, &ping, sizeof(ping));
}

/*
 * 0 or -ETIMEDOUT.  @all: everything that came has been read.  If not, what is
 * waited for may be among the rest; but a flood puts no deadline off for ever.
 */
static int check_deadlines(struct vcma_client *c, bool all)
{
	uint64_t now = client_now();
	uint64_t slack = all ? 0 : VCMA_CLIENT_GRACE_MS;

	if (c->state == CLIENT_UP && !c->ping && now >= c->last_heard + VCMA_CLIENT_IDLE_MS)
		send_ping(c, now);
	return now >= slack && now - slack >= next_due(c) ? -ETIMEDOUT : 0;
}

/* Everything that can be read, or a good part of it.  *ret_all: nothing is left. */
static int read_packets(struct vcma_client *c, uint32_t *ret_status, bool *ret_all)
{
	const uint64_t epoch = c->epoch;
	unsigned int i;

	*ret_all = false;
	for (i = 0; i < PACKETS_PER_DISPATCH; i++) {
		int err = vcma_sock_recv(c->fd, &c->pkt, VCMA_FDS_MAX);

		if (err == -EAGAIN) {
			*ret_all = true;
			return c->reset_seen ? -ECONNRESET : 0;
		}
		if (err == -ECONNRESET && !c->reset_seen) {
			c->reset_seen = true;
			continue;
		}
		if (err == -EMSGSIZE || err == -EPROTO)
			return -EPROTO;
		if (err <= 0)
			return -ECONNRESET;

		c->last_heard = client_now();
		err = client_handle(c, ret_status);
		vcma_packet_close_fds(&c->pkt);
		if (c->epoch != epoch)
			return -ECONNABORTED;
		if (err)
			return err;
	}
	return 0;
}

int vcma_client_dispatch(struct vcma_client *c)
{
	const uint64_t epoch = c->epoch;
	uint32_t status = VCMA_ST_AWAY;
	bool all;
	int err;

	if (c->dispatching)
		return -EBUSY;
	if (c->state == CLIENT_CLOSED)
		return -ENOTCONN;

	c->dispatching = true;
	err = read_packets(c, &status, &all);
	if (!err)
		err = flush(c);
	if (!err)
		err = check_deadlines(c, all);
	if (err && c->epoch == epoch) {
		client_end(c, err, status, err != -EACCES);
		if (err == -EACCES && c->ops.hello)
			c->ops.hello(c->opaque, status, NULL);
	}
	c->dispatching = false;
	return err;
}
