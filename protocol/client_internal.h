/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_internal.h - shared by the client library's own files only
 */
#ifndef VCMA_CLIENT_INTERNAL_H
#define VCMA_CLIENT_INTERNAL_H

#include "client.h"
#include "sockio.h"
#include "wire.h"

/* Messages that wait for room in the socket: all requests, and answers to events. */
#define CLIENT_QUEUE_MAX (VCMA_REQUESTS_MAX + 128)

/* What HELLO offers. */
#define CLIENT_CAPABILITIES VCMA_CAP_BANKS

enum client_state {
	/* No socket.  Operations: connect, adopt_fd. */
	CLIENT_CLOSED,
	/* HELLO is sent.  Caveats: only its reply and GOODBYE may come. */
	CLIENT_GREETING,
	/* HELLO was answered with OK.  Operations: everything. */
	CLIENT_UP,
};

/* A request without a reply yet, or a LEASE whose parts are still coming. */
struct request {
	struct request *next;
	uint32_t sequence;
	uint16_t type;
	uint64_t due;			/* ms */
	vcma_client_reply_fn reply;
	vcma_client_lease_fn leased;	/* LEASE only; never NULL there */
	void *opaque;
	uint64_t size;			/* LEASE: as asked */
	uint32_t received;		/* LEASE: descriptors in lease.fds so far */
	struct vcma_client_lease lease;	/* LEASE: fds is NULL until the reply */
};

struct outgoing {
	struct outgoing *next;
	size_t len;
	unsigned char data[];
};

struct vcma_client {
	struct vcma_client_ops ops;
	void *opaque;
	int fd;
	enum client_state state;
	bool dispatching;
	bool reset_seen;	/* the socket reported ECONNRESET; what it holds is read still */
	uint64_t epoch;		/* of the connection: changes when one ends */
	uint32_t last_sequence;

	struct request *requests;	/* oldest first */
	unsigned int nr_requests;

	struct outgoing *out, **out_tail;	/* oldest first */
	unsigned int nr_out;
	uint64_t out_since;		/* ms: when the oldest began to wait */

	uint32_t greeting;		/* sequence of HELLO, or 0 */
	uint32_t ping;			/* sequence of our PING, or 0 */
	uint64_t greeting_due, ping_due;
	uint64_t last_heard;		/* ms */
	uint32_t last_status;		/* of a refused HELLO or a GOODBYE, or AWAY */

	struct vcma_client_info info;
	struct vcma_packet pkt;		/* being handled */
};

/* client.c */
uint64_t client_now(void);
uint32_t client_next_sequence(struct vcma_client *c);
int client_send(struct vcma_client *c, const void *msg, size_t len);
struct request *client_add_request(struct vcma_client *c, struct vcma_hdr *msg, uint64_t wait_ms);
void client_drop_request(struct vcma_client *c, struct request *req);
void client_free_request(struct request *req);
/* Ends the connection and calls back.  @closed: tell ops.closed(), too. */
void client_end(struct vcma_client *c, int err, uint32_t status, bool closed);

/* client_recv.c: c->pkt has come.  0, or -errno: *ret_status is a reason that was given. */
int client_handle(struct vcma_client *c, uint32_t *ret_status);

#endif /* VCMA_CLIENT_INTERNAL_H */
