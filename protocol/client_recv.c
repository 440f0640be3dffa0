// SPDX-License-Identifier: BSD-3-Clause
/*
 * client_recv.c - what a peer does with each message of the broker
 *
 * The form of a message is judged by vcma_wire_check(); here is what depends on
 * what this client has asked for.  A broker that answers what was not asked, or
 * something else than what was asked, is not followed any further: -EPROTO.
 *
 * Leases.  The reply brings the first descriptors, LEASE_PARTs the others; each
 * is acknowledged, and with the last acknowledgement the lease is the caller's.
 * Until then the request holds the descriptors, so that they are closed with it
 * whatever happens.  If this process cannot take a packet's descriptors, only
 * that lease is given up.
 */
#include "client_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct request *find_sequence(struct vcma_client *c, uint32_t sequence, uint16_t type)
{
	struct request *req;

	for (req = c->requests; req; req = req->next) {
		if (req->sequence == sequence && req->type == type)
			return req;
	}
	return NULL;
}

/* The request whose lease @id is on its way. */
static struct request *find_arriving(struct vcma_client *c, uint64_t id)
{
	struct request *req;

	for (req = c->requests; req; req = req->next) {
		if (req->lease.fds && req->lease.lease == id)
			return req;
	}
	return NULL;
}

static int handle_hello_reply(struct vcma_client *c, uint32_t *ret_status)
{
	const struct vcma_hello_reply *m = (const void *)c->pkt.data;
	uint32_t status = vcma_msg_status(&m->hdr);
	struct vcma_client_info *info = &c->info;

	if (c->state != CLIENT_GREETING || vcma_msg_sequence(&m->hdr) != c->greeting)
		return -EPROTO;
	if (status) {
		*ret_status = status;
		return -EACCES;
	}
	/* What was not offered [B-22]. */
	if (vcma_le32_to_cpu(m->capabilities) & ~CLIENT_CAPABILITIES)
		return -EPROTO;

	info->capabilities = vcma_le32_to_cpu(m->capabilities);
	info->flags = vcma_le32_to_cpu(m->flags);
	info->instance = vcma_le64_to_cpu(m->instance);
	info->banks = vcma_le32_to_cpu(m->banks);
	if (m->vm[0])
		info->banks |= 1;	/* also of a broker that knows no others */
	info->granule_size = vcma_le64_to_cpu(m->granule_size);
	info->chunk_size = vcma_le64_to_cpu(m->chunk_size);
	info->lease_max = vcma_le64_to_cpu(m->lease_max);
	info->guarantee = vcma_le64_to_cpu(m->guarantee);
	info->limit = vcma_le64_to_cpu(m->limit);
	memcpy(info->vm, m->vm, sizeof(info->vm));
	memcpy(info->pool, m->pool, sizeof(info->pool));

	c->greeting = 0;
	c->state = CLIENT_UP;
	if (c->ops.hello)
		c->ops.hello(c->opaque, VCMA_ST_OK, info);
	return 0;
}

static int send_ack(struct vcma_client *c, uint64_t lease, uint32_t received, uint32_t status)
{
	struct vcma_lease_ack ack;

	vcma_msg_init(&ack, sizeof(ack), VCMA_MSG_LEASE_ACK);
	ack.lease = vcma_cpu_to_le64(lease);
	ack.received = vcma_cpu_to_le32(received);
	ack.status = vcma_cpu_to_le32(status);
	return client_send(c, &ack, sizeof(ack)) ? -EPROTO : 0;
}

static void finish_lease(struct vcma_client *c, struct request *req, uint32_t status)
{
	vcma_client_lease_fn fn = req->leased;
	void *opaque = req->opaque;
	struct vcma_client_lease lease = req->lease;

	client_drop_request(c, req);
	if (status == VCMA_ST_OK) {
		/* The descriptors are the callback's from here on. */
		req->lease.fds = NULL;
		req->received = 0;
	}
	client_free_request(req);
	fn(opaque, status, status == VCMA_ST_OK ? &lease : NULL);
}

/* Give the lease up half way: the broker takes back what it has sent. */
static int abort_lease(struct vcma_client *c, struct request *req)
{
	int err = send_ack(c, req->lease.lease, req->received, VCMA_ST_CANCELLED);

	if (!err)
		finish_lease(c, req, VCMA_ST_LOCAL);
	return err;
}

/* The packet's descriptors are the next ones of this lease. */
static int take_granules(struct vcma_client *c, struct request *req)
{
	int err;

	if (c->pkt.fds_lost)
		return abort_lease(c, req);

	memcpy(req->lease.fds + req->received, c->pkt.fds, c->pkt.nfds * sizeof(int));
	req->received += c->pkt.nfds;
	c->pkt.nfds = 0;
	req->due = client_now() + VCMA_CLIENT_REPLY_MS;

	err = send_ack(c, req->lease.lease, req->received, VCMA_ST_OK);
	if (!err && req->received == req->lease.nr_granules)
		finish_lease(c, req, VCMA_ST_OK);
	return err;
}

static int handle_lease_reply(struct vcma_client *c)
{
	const struct vcma_lease_reply *m = (const void *)c->pkt.data;
	uint32_t status = vcma_msg_status(&m->hdr);
	uint32_t nr = vcma_le32_to_cpu(m->nr_granules);
	uint64_t id = vcma_le64_to_cpu(m->lease);
	struct request *req = find_sequence(c, vcma_msg_sequence(&m->hdr), VCMA_MSG_LEASE);

	if (!req || req->lease.fds)
		return -EPROTO;
	if (status) {
		finish_lease(c, req, status);
		return 0;
	}
	if (vcma_le64_to_cpu(m->size) != req->size || req->size / nr != c->info.granule_size ||
	    find_arriving(c, id))
		return -EPROTO;

	req->lease.lease = id;
	req->lease.size = req->size;
	req->lease.nr_granules = nr;
	memcpy(req->lease.token, m->token, sizeof(req->lease.token));
	req->lease.fds = malloc((size_t)nr * sizeof(int));
	if (!req->lease.fds)
		return abort_lease(c, req);
	return take_granules(c, req);
}

static int handle_lease_part(struct vcma_client *c)
{
	const struct vcma_lease_part *m = (const void *)c->pkt.data;
	uint32_t nr = vcma_le32_to_cpu(m->nr_fds);
	struct request *req = find_arriving(c, vcma_le64_to_cpu(m->lease));

	if (!req || vcma_le32_to_cpu(m->first) != req->received ||
	    nr > req->lease.nr_granules - req->received)
		return -EPROTO;
	return take_granules(c, req);
}

static int handle_reply(struct vcma_client *c, uint16_t type)
{
	const struct vcma_hdr *hdr = &c->pkt.hdr;
	uint32_t sequence = vcma_msg_sequence(hdr);
	vcma_client_reply_fn fn;
	struct request *req;
	void *opaque;

	if (type == VCMA_MSG_PING && c->ping && sequence == c->ping) {
		c->ping = 0;
		return 0;
	}
	req = find_sequence(c, sequence, type);
	if (!req)
		return -EPROTO;

	fn = req->reply;
	opaque = req->opaque;
	client_drop_request(c, req);
	client_free_request(req);
	if (fn)
		fn(opaque, vcma_msg_status(hdr), hdr, c->pkt.len);
	return 0;
}

static int handle_ping(struct vcma_client *c)
{
	struct vcma_empty pong;

	vcma_msg_reply(&pong, sizeof(pong), &c->pkt.hdr, VCMA_ST_OK);
	return client_send(c, &pong, sizeof(pong)) ? -EPROTO : 0;
}

static int handle_reclaim(struct vcma_client *c)
{
	const struct vcma_reclaim *m = (const void *)c->pkt.data;
	uint32_t i, count = vcma_le32_to_cpu(m->count);
	uint64_t lease[VCMA_IDS_MAX];

	if (!c->ops.reclaim)
		return vcma_client_reclaim_done(c, vcma_le32_to_cpu(m->id), VCMA_ST_BUSY) ?
			-EPROTO : 0;

	for (i = 0; i < count; i++)
		lease[i] = vcma_le64_to_cpu(m->lease[i]);
	c->ops.reclaim(c->opaque, vcma_le32_to_cpu(m->id), vcma_le32_to_cpu(m->deadline_ms),
		       lease, count);
	return 0;
}

static int handle_pool_changed(struct vcma_client *c)
{
	const struct vcma_pool_changed *m = (const void *)c->pkt.data;

	if (c->ops.pool_changed)
		c->ops.pool_changed(c->opaque, vcma_le64_to_cpu(m->available));
	return 0;
}

/* How many descriptors the packet had, also if they could not be installed. */
static unsigned int sent_fds(const struct vcma_packet *pkt)
{
	const struct vcma_lease_reply *reply = (const void *)pkt->data;
	const struct vcma_lease_part *part = (const void *)pkt->data;

	if (!pkt->fds_lost)
		return pkt->nfds;
	if (pkt->len == sizeof(*reply))
		return vcma_le32_to_cpu(reply->nr_fds);
	return pkt->len == sizeof(*part) ? vcma_le32_to_cpu(part->nr_fds) : 1;
}

int client_handle(struct vcma_client *c, uint32_t *ret_status)
{
	const struct vcma_hdr *hdr = &c->pkt.hdr;
	uint16_t type;

	if (vcma_wire_check(c->pkt.data, c->pkt.len, sent_fds(&c->pkt),
			    VCMA_TO_VM | VCMA_TO_OPERATOR, NULL))
		return -EPROTO;

	type = vcma_msg_type(hdr);
	if (type == VCMA_MSG_GOODBYE) {
		*ret_status = vcma_msg_status(hdr);
		return -ECONNRESET;
	}
	if (type == (VCMA_MSG_HELLO | VCMA_MSG_REPLY))
		return handle_hello_reply(c, ret_status);
	if (c->state != CLIENT_UP)
		return -EPROTO;

	switch (type) {
	case VCMA_MSG_LEASE | VCMA_MSG_REPLY:
		return handle_lease_reply(c);
	case VCMA_MSG_LEASE_PART:
		return handle_lease_part(c);
	case VCMA_MSG_PING:
		return handle_ping(c);
	case VCMA_MSG_RECLAIM:
		return handle_reclaim(c);
	case VCMA_MSG_POOL_CHANGED:
		return handle_pool_changed(c);
	default:
		return handle_reply(c, type & ~VCMA_MSG_REPLY);
	}
}
