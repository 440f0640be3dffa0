/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.h - the peer's side of the broker protocol
 *
 * No thread, no event loop, no global state: the caller polls
 * vcma_client_fd() for vcma_client_events(), and vcma_client_timeout() says how
 * long at most; then vcma_client_dispatch().  Used by the QEMU device, by
 * vcmactl and by the tests.
 *
 * Every callback runs inside vcma_client_dispatch() or vcma_client_close().
 * A callback may start requests and may call vcma_client_close(), but must not
 * call vcma_client_free(), vcma_client_dispatch() or a function for tools.
 *
 * Errors are -errno.  Once dispatch has returned one (-ECONNRESET, -EPROTO,
 * -ETIMEDOUT; -EACCES: HELLO was refused; -ECONNABORTED: a callback closed) the
 * connection is closed: all pending requests have been called back with status
 * VCMA_ST_AWAY.  Then, or in closed(), vcma_client_connect() may be called again
 * on the same object.
 *
 * Deadlines (I10) are the client's own, by CLOCK_MONOTONIC: the reply to HELLO,
 * to each request, each further part of a lease, an answer to the PING that is
 * sent when nothing has come for a while, and room in the socket for what has
 * to be sent.  A LEASE waits VCMA_CLIENT_GRACE_MS longer than the deadline that
 * the broker was given, so that the broker's answer comes first.
 */
#ifndef VCMA_CLIENT_H
#define VCMA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vcma_broker.h"

#define VCMA_CLIENT_HELLO_MS	10000	/* for the reply to HELLO */
#define VCMA_CLIENT_REPLY_MS	30000	/* for replies without a deadline of their own */
#define VCMA_CLIENT_GRACE_MS	15000	/* later than the broker's own deadline */
#define VCMA_CLIENT_IDLE_MS	30000	/* of silence until a PING is sent */
#define VCMA_CLIENT_STALL_MS	30000	/* for room in the socket */

struct vcma_client;

/* What HELLO said, in host byte order.  Valid while connected. */
struct vcma_client_info {
	uint32_t capabilities;
	uint32_t flags;		/* VCMA_POOL_*, VCMA_HELLO_RESUMED */
	uint64_t instance;
	uint32_t banks;		/* bit n: a lease may be of bank n; bit 0 is always set, if vm is */
	uint64_t granule_size, chunk_size, lease_max;
	uint64_t guarantee, limit;	/* these and pool: of bank 0 */
	char vm[VCMA_NAME_MAX];
	char pool[VCMA_NAME_MAX];
};

/* A lease as granted.  The callback owns @fds (the descriptors and the array, free()). */
struct vcma_client_lease {
	uint64_t lease;
	uint64_t size;
	uint32_t nr_granules;
	uint8_t token[VCMA_TOKEN_SIZE];
	int *fds;		/* nr_granules of them, in physical order */
};

struct vcma_client_ops {
	/*
	 * HELLO was answered: status OK and @info, or the refusal and NULL.
	 * After a refusal the connection is closed; closed() is not called.
	 */
	void (*hello)(void *opaque, uint32_t status, const struct vcma_client_info *info);
	/*
	 * RECLAIM: @lease is valid during the call.  Answer with
	 * vcma_client_reclaim_done().  Without this callback: BUSY.
	 */
	void (*reclaim)(void *opaque, uint32_t id, uint32_t deadline_ms,
			const uint64_t *lease, uint32_t count);
	void (*pool_changed)(void *opaque, uint64_t available);
	/*
	 * The connection ended, but not by vcma_client_close(): @err is -errno;
	 * @status of a GOODBYE, or VCMA_ST_AWAY.
	 */
	void (*closed)(void *opaque, int err, uint32_t status);
};

/* @ops is copied, and not NULL; its members may be NULL.  NULL on lack of memory. */
struct vcma_client *vcma_client_new(const struct vcma_client_ops *ops, void *opaque);
/* Closes first.  NULL is fine. */
void vcma_client_free(struct vcma_client *c);

/*
 * Connect to the socket at @path and send HELLO as program @name; @instance as
 * in struct vcma_hello.  Does not block beyond connect() on a local socket.
 * 0, or -errno (-ENOENT: no such socket, -ECONNREFUSED: nobody listens, -EACCES).
 */
int vcma_client_connect(struct vcma_client *c, const char *path,
			const char *name, uint64_t instance);
/* As above on a connected socket, whose ownership moves here in any case. */
int vcma_client_adopt_fd(struct vcma_client *c, int fd, const char *name, uint64_t instance);
void vcma_client_close(struct vcma_client *c);

bool vcma_client_is_connected(const struct vcma_client *c);	/* HELLO answered with OK */
const struct vcma_client_info *vcma_client_info(const struct vcma_client *c);

int vcma_client_fd(const struct vcma_client *c);	/* -1 when closed */
short vcma_client_events(const struct vcma_client *c);	/* POLLIN, maybe POLLOUT */
int vcma_client_timeout(const struct vcma_client *c);	/* ms until dispatch is due; -1: none */
/* Handle what is there, without blocking.  0, or -errno: the connection is closed. */
int vcma_client_dispatch(struct vcma_client *c);

/* A reply came, or never will (status AWAY).  @msg: the whole reply, or NULL. */
typedef void (*vcma_client_reply_fn)(void *opaque, uint32_t status,
				     const struct vcma_hdr *msg, size_t len);
/*
 * @lease is NULL unless status is OK.  Status LOCAL: this process could not
 * take the descriptors; the broker has the lease back.
 */
typedef void (*vcma_client_lease_fn)(void *opaque, uint32_t status,
				     struct vcma_client_lease *lease);

struct vcma_client_lease_args {
	uint64_t size;
	uint64_t alignment, boundary;	/* 0: none */
	uint64_t max_addr;		/* ~0: any */
	uint64_t forbidden;
	uint32_t bank;			/* without VCMA_CAP_BANKS 0, else: -EINVAL */
	uint32_t deadline_ms;
};

/*
 * All of these queue a message and return its sequence number (> 0), 0 for a
 * one-way message, or -errno: -ENOTCONN, -EBUSY (VCMA_REQUESTS_MAX), -EINVAL.
 * The callback comes exactly once after a positive return, never before it.
 */
int vcma_client_lease(struct vcma_client *c, const struct vcma_client_lease_args *args,
		      vcma_client_lease_fn fn, void *opaque);
int vcma_client_cancel(struct vcma_client *c, uint32_t sequence);
int vcma_client_release(struct vcma_client *c, const uint64_t *lease, uint32_t count,
			vcma_client_reply_fn fn, void *opaque);
int vcma_client_reclaim_done(struct vcma_client *c, uint32_t id, uint32_t status);
/*
 * Any request but HELLO and LEASE: @msg with type, length and payload set; magic,
 * version and sequence are filled in.  No reply after @deadline_ms (0:
 * VCMA_CLIENT_REPLY_MS): the connection ends with -ETIMEDOUT.  So give more than
 * the deadline that is in the message, if there is one: VCMA_CLIENT_GRACE_MS.
 */
int vcma_client_request(struct vcma_client *c, struct vcma_hdr *msg, uint32_t deadline_ms,
			vcma_client_reply_fn fn, void *opaque);

/*
 * For tools: send @msg, wait for its reply at most @deadline_ms, copy it to
 * @reply (at most @size).  Events meanwhile go to their callbacks.  Returns the
 * length of the reply, or -errno (-ETIMEDOUT, -EMSGSIZE, -ENOTCONN).
 */
int vcma_client_call(struct vcma_client *c, struct vcma_hdr *msg, uint32_t deadline_ms,
		     void *reply, size_t size);
/* For tools: wait until HELLO is answered.  0, -ETIMEDOUT, -ECONNRESET or -EACCES (refused). */
int vcma_client_wait_hello(struct vcma_client *c, uint32_t deadline_ms, uint32_t *ret_status);

#endif /* VCMA_CLIENT_H */
