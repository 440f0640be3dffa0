// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conn.c - one peer's connection on the main loop
 */
#include <errno.h>
#include <glib-unix.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "sockio.h"
#include "util.h"
#include "wire.h"

/* A packet that the socket had no room for. */
struct out_packet {
	size_t len;
	uint8_t data[];
};

static void out_drop(struct conn *c)
{
	g_queue_clear_full(&c->out, g_free);
	c->out_bytes = 0;
	if (c->out_source)
		g_source_remove(c->out_source);
	c->out_source = 0;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
	struct conn *c = data;
	struct out_packet *o;
	int r = 0;

	(void)condition;
	while (!c->ended && (o = g_queue_peek_head(&c->out))) {
		r = vcma_sock_send(fd, o->data, o->len, NULL, 0);
		if (r < 0)
			break;
		c->out_bytes -= o->len;
		g_free(g_queue_pop_head(&c->out));
	}
	if (r < 0 && r != -EAGAIN)
		conn_end(c, 0, "%s", r == -EPIPE || r == -ECONNRESET ? "" : g_strerror(-r));
	if (!c->ended && g_queue_is_empty(&c->out)) {
		c->out_source = 0;
		c->ops->turn(c->opaque);
		return G_SOURCE_REMOVE;
	}
	if (c->ended)
		c->ops->turn(c->opaque);
	return G_SOURCE_CONTINUE; /* an ended connection has removed the source already */
}

static bool out_push(struct conn *c, const void *msg, size_t len)
{
	struct out_packet *o;

	if (c->out.length >= CONN_OUT_MAX || c->out_bytes + len > CONN_OUT_BYTES_MAX) {
		conn_end(c, 0, "it does not read what it is sent");
		return false;
	}
	o = g_malloc(sizeof(*o) + len);
	o->len = len;
	memcpy(o->data, msg, len);
	g_queue_push_tail(&c->out, o);
	c->out_bytes += len;
	if (!c->out_source)
		c->out_source = g_unix_fd_add(c->fd, G_IO_OUT, on_writable, c);
	return true;
}

/* 0; -EAGAIN: there is no room, or others wait before it; else the connection has ended. */
static int send_now(struct conn *c, const void *msg, size_t len, const int *fds,
		    unsigned int nfds)
{
	int r = -EAGAIN;

	if (c->ended)
		return -EPIPE;
	if (g_queue_is_empty(&c->out))
		r = vcma_sock_send(c->fd, msg, len, fds, nfds);
	if (r < 0 && r != -EAGAIN)
		conn_end(c, 0, "%s", r == -EPIPE || r == -ECONNRESET ? "" : g_strerror(-r));
	return r;
}

bool conn_send(struct conn *c, const void *msg, size_t len)
{
	int r = send_now(c, msg, len, NULL, 0);

	return r == -EAGAIN ? out_push(c, msg, len) : r == 0;
}

bool conn_send_fds(struct conn *c, const void *msg, size_t len, const int *fds, unsigned int nfds)
{
	int r = send_now(c, msg, len, fds, nfds);

	if (r == -EAGAIN)
		conn_end(c, 0, "it does not read what it is sent");
	return r == 0;
}

/**
 * conn_reply_to - answer with nothing but a status
 * @c: the connection
 * @type: of the request
 * @sequence: of the request
 * @status: what happened
 *
 * Return: false if the connection has ended.
 */
bool conn_reply_to(struct conn *c, uint16_t type, uint32_t sequence, uint32_t status)
{
	uint64_t buf[64];
	size_t len = vcma_msg_size(type | VCMA_MSG_REPLY, 0);
	struct vcma_hdr *hdr = (struct vcma_hdr *)buf;
	struct vcma_op_page *page = (struct vcma_op_page *)buf;
	size_t record = 0;

	if (!len || len > sizeof(buf)) /* a type that this version does not know */
		len = sizeof(*hdr);
	vcma_msg_init(buf, len, type | VCMA_MSG_REPLY);
	hdr->sequence = vcma_cpu_to_le32(sequence);
	hdr->status = vcma_cpu_to_le32(status);
	if (type == VCMA_MSG_OP_POOLS)
		record = sizeof(struct vcma_op_pool);
	else if (type == VCMA_MSG_OP_VMS)
		record = sizeof(struct vcma_op_vm);
	else if (type == VCMA_MSG_OP_LEASES)
		record = sizeof(struct vcma_op_lease);
	if (record && status == VCMA_ST_OK)
		page->record_size = vcma_cpu_to_le32((uint32_t)record);
	return conn_send(c, buf, len);
}

bool conn_reply(struct conn *c, const struct vcma_hdr *request, uint32_t status)
{
	return conn_reply_to(c, vcma_msg_type(request), vcma_msg_sequence(request), status);
}

static void judge(struct conn *c, struct vcma_packet *pkt)
{
	const char *why = "";
	int r = vcma_wire_check(pkt->data, pkt->len, pkt->nfds, c->path, &why);

	if (r < 0)
		conn_end_invalid(c, "%s (%s)", why, pkt->len >= sizeof(pkt->hdr) ?
				 vcma_msg_name(vcma_msg_type(&pkt->hdr)) : "no message");
	else if (r > 0)
		conn_reply(c, &pkt->hdr, (uint32_t)r);
	else
		c->ops->message(c->opaque, c, &pkt->hdr, pkt->len);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
	struct conn *c = data;
	struct vcma_packet pkt;
	int r = 1;

	(void)condition;
	for (int i = 0; i < CONN_READ_TURN && !c->ended; i++) {
		r = vcma_sock_recv(fd, &pkt, 0);
		if (r <= 0)
			break;
		judge(c, &pkt);
	}
	if (r == 0 || r == -ECONNRESET)
		conn_end(c, 0, "%s", "");
	else if (r == -EMSGSIZE)
		conn_end_invalid(c, "a packet larger than %d bytes", VCMA_MSG_MAX);
	else if (r == -EPROTO)
		conn_end_invalid(c, "a packet with descriptors");
	else if (r < 0 && r != -EAGAIN)
		conn_end(c, 0, "%s", g_strerror(-r));
	c->ops->turn(c->opaque);
	return G_SOURCE_CONTINUE; /* an ended connection has removed the source already */
}

/**
 * conn_new - a connection on the main loop
 * @fd: the socket; taken in any case
 * @path: VCMA_FROM_VM or VCMA_FROM_OPERATOR
 * @ops: what to do with messages
 * @opaque: for @ops
 * @ret_conn: conn_free(); untouched on failure
 *
 * Return: 0 or -errno.
 */
int conn_new(int fd, unsigned int path, const struct conn_ops *ops, void *opaque,
	     struct conn **ret_conn)
{
	struct conn *c = g_new0(struct conn, 1);
	socklen_t len = sizeof(c->cred);
	int r;

	c->fd = fd;
	c->path = path;
	c->ops = ops;
	c->opaque = opaque;
	g_queue_init(&c->out);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &len) < 0) {
		r = -errno;
		conn_free(c);
		return r;
	}
	c->in_source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, c);
	*ret_conn = c;
	return 0;
}

/*
 * A socket that is closed with packets unread resets the connection, and the peer
 * would see that before what was sent to it last.  So the rest is thrown away.
 */
static void drain(int fd)
{
	char byte;

	shutdown(fd, SHUT_RD); /* no more can come: the loop ends */
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

static void conn_shut(struct conn *c)
{
	if (c->in_source)
		g_source_remove(c->in_source);
	c->in_source = 0;
	out_drop(c);
	if (c->fd >= 0)
		drain(c->fd);
	fd_close(&c->fd);
}

void conn_free(struct conn *c)
{
	if (!c)
		return;
	conn_shut(c);
	g_free(c);
}

static void end(struct conn *c, uint32_t status, const char *fmt, va_list ap)
{
	struct vcma_empty bye;

	if (c->ended)
		return;
	c->ended = true;
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	if (status) {
		/* Best effort: a peer whose queue is full learns it from the hang-up. */
		vcma_msg_init(&bye, sizeof(bye), VCMA_MSG_GOODBYE);
		bye.hdr.status = vcma_cpu_to_le32(status);
		vcma_sock_send(c->fd, &bye, sizeof(bye), NULL, 0);
	}
	conn_shut(c);
}

void conn_end(struct conn *c, uint32_t status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(c, status, fmt, ap);
	va_end(ap);
}

void conn_end_invalid(struct conn *c, const char *fmt, ...)
{
	va_list ap;

	if (!c->ended)
		c->protocol_error = true;
	va_start(ap, fmt);
	end(c, VCMA_ST_INVALID, fmt, ap);
	va_end(ap);
}

/**
 * conn_peer_in_group - is the peer a member of a group?
 * @c: its connection
 * @gid: the group
 *
 * Return: true if its main group or one of its others was @gid when it connected.
 */
bool conn_peer_in_group(const struct conn *c, gid_t gid)
{
	gid_t list[128];
	socklen_t len = sizeof(list);

	if (c->cred.gid == gid)
		return true;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERGROUPS, list, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(list[0]); i++)
		if (list[i] == gid)
			return true;
	return false;
}
