/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.h - one peer's connection on the main loop
 *
 * DOC: Theory of operation
 *
 * A connection reads a few packets a turn, judges each with vcma_wire_check()
 * and hands on what passed.  It writes at once if it can, else it queues; a
 * queue that grows beyond its bounds means that the peer does not read.  A
 * packet with descriptors is never queued: duplicates would cost vcmad
 * descriptors of its own for as long as the peer likes (I9), and the file of a
 * lease that is given up meanwhile is not to be sent.
 *
 * Whatever goes wrong - a malformed packet, a full queue, a hang-up - ends this
 * connection and nothing else.  conn_end() marks it; its owner is told at the
 * end of the turn (conn_reap()), never from inside another call, and the
 * connection is freed then.
 */
#ifndef VCMA_BROKER_CONN_H
#define VCMA_BROKER_CONN_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "vcma_broker.h"

#define CONN_OUT_MAX		512		/* packets in the queue */
#define CONN_OUT_BYTES_MAX	(256 * 1024)
#define CONN_READ_TURN		16		/* packets read in a turn */
#define CONN_TEXT_MAX		128

struct conn;

struct conn_ops {
	/* A packet that passed vcma_wire_check(), unless it was answered there. */
	void (*message)(void *opaque, struct conn *c, const struct vcma_hdr *msg, size_t len);
	/* A callback has run: do what the end of a turn asks for. */
	void (*turn)(void *opaque);
};

/**
 * struct conn - see above
 * @fd: the socket; -1 once ended
 * @path: VCMA_FROM_VM or VCMA_FROM_OPERATOR
 * @cred: of the peer when it connected
 * @ended: conn_end() was called; @why says why, "" for a plain hang-up
 * @protocol_error: it was the peer's fault
 */
struct conn {
	const struct conn_ops *ops;
	void *opaque;
	int fd;
	unsigned int path;
	struct ucred cred;
	guint in_source, out_source;
	GQueue out;
	size_t out_bytes;
	bool ended, protocol_error;
	char why[CONN_TEXT_MAX];
};

/* Takes @fd in any case.  0 or -errno. */
int conn_new(int fd, unsigned int path, const struct conn_ops *ops, void *opaque,
	     struct conn **ret_conn);
void conn_free(struct conn *c);

/* Send or queue.  False: the connection has ended, now or before. */
bool conn_send(struct conn *c, const void *msg, size_t len);
/* Send with descriptors, which stay the caller's; a peer that leaves no room is cut off. */
bool conn_send_fds(struct conn *c, const void *msg, size_t len, const int *fds, unsigned int nfds);

/* A reply that is zero but for its header, of the size that its type has. */
bool conn_reply(struct conn *c, const struct vcma_hdr *request, uint32_t status);
bool conn_reply_to(struct conn *c, uint16_t type, uint32_t sequence, uint32_t status);

/* GOODBYE with @status (0: none), and no more.  The first call's reason counts. */
void conn_end(struct conn *c, uint32_t status, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
/* As above, because the peer did what it must not. */
void conn_end_invalid(struct conn *c, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* May a member of group @gid be at the other end? */
bool conn_peer_in_group(const struct conn *c, gid_t gid);

#endif /* VCMA_BROKER_CONN_H */
