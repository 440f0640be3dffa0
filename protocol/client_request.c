// SPDX-License-Identifier: BSD-3-Clause
/*
 * client_request.c - what a peer asks of the broker, with and without waiting
 */
#include "client_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* Judge our own message as the broker will; the caller's mistake is -EINVAL. */
static bool is_sendable(const void *msg, size_t len)
{
	return vcma_wire_check(msg, len, 0, VCMA_FROM_VM | VCMA_FROM_OPERATOR, NULL) == 0;
}

static int start_request(struct vcma_client *c, struct vcma_hdr *msg, uint64_t wait_ms,
			 struct request **ret_req)
{
	struct request *req;

	/* Any number will do for the check; the real one comes below. */
	msg->sequence = vcma_cpu_to_le32(1);
	if (!is_sendable(msg, vcma_msg_length(msg)))
		return -EINVAL;
	if (c->state != CLIENT_UP)
		return -ENOTCONN;
	req = client_add_request(c, msg, wait_ms);
	if (!req)
		return -errno;
	*ret_req = req;
	return (int)req->sequence;
}

int vcma_client_lease(struct vcma_client *c, const struct vcma_client_lease_args *args,
		      vcma_client_lease_fn fn, void *opaque)
{
	struct vcma_lease_req msg;
	struct request *req;
	int ret;

	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_LEASE);
	msg.size = vcma_cpu_to_le64(args->size);
	msg.alignment = vcma_cpu_to_le64(args->alignment);
	msg.boundary = vcma_cpu_to_le64(args->boundary);
	msg.max_addr = vcma_cpu_to_le64(args->max_addr);
	msg.forbidden = vcma_cpu_to_le64(args->forbidden);
	msg.bank = vcma_cpu_to_le32(args->bank);
	msg.deadline_ms = vcma_cpu_to_le32(args->deadline_ms);

	if (!fn)
		return -EINVAL;
	/* [B-22]; whether there is such a bank, the broker says. */
	if (args->bank && c->state == CLIENT_UP && !(c->info.capabilities & VCMA_CAP_BANKS))
		return -EINVAL;
	ret = start_request(c, &msg.hdr, (uint64_t)args->deadline_ms + VCMA_CLIENT_GRACE_MS,
			    &req);
	if (ret < 0)
		return ret;
	req->leased = fn;
	req->opaque = opaque;
	req->size = args->size;
	return ret;
}

int vcma_client_cancel(struct vcma_client *c, uint32_t sequence)
{
	struct vcma_cancel msg;
	struct request *req;

	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_CANCEL);
	msg.sequence = vcma_cpu_to_le32(sequence);
	return start_request(c, &msg.hdr, VCMA_CLIENT_REPLY_MS, &req);
}

int vcma_client_release(struct vcma_client *c, const uint64_t *lease, uint32_t count,
			vcma_client_reply_fn fn, void *opaque)
{
	union {
		struct vcma_release msg;
		unsigned char bytes[sizeof(struct vcma_release) + VCMA_IDS_MAX * sizeof(__le64)];
	} u;
	struct request *req;
	uint32_t i;
	int ret;

	if (count < 1 || count > VCMA_IDS_MAX)
		return -EINVAL;
	vcma_msg_init(&u.msg, vcma_msg_size(VCMA_MSG_RELEASE, count), VCMA_MSG_RELEASE);
	u.msg.count = vcma_cpu_to_le32(count);
	for (i = 0; i < count; i++)
		u.msg.lease[i] = vcma_cpu_to_le64(lease[i]);

	ret = start_request(c, &u.msg.hdr, VCMA_CLIENT_REPLY_MS, &req);
	if (ret < 0)
		return ret;
	req->reply = fn;
	req->opaque = opaque;
	return ret;
}

int vcma_client_reclaim_done(struct vcma_client *c, uint32_t id, uint32_t status)
{
	struct vcma_reclaim_done msg;
	int err;

	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_RECLAIM_DONE);
	msg.id = vcma_cpu_to_le32(id);
	msg.status = vcma_cpu_to_le32(status);
	if (!is_sendable(&msg, sizeof(msg)))
		return -EINVAL;
	if (c->state != CLIENT_UP)
		return -ENOTCONN;
	err = client_send(c, &msg, sizeof(msg));
	return err == -ENOBUFS ? -EBUSY : err;
}

int vcma_client_request(struct vcma_client *c, struct vcma_hdr *msg, uint32_t deadline_ms,
			vcma_client_reply_fn fn, void *opaque)
{
	uint16_t type = vcma_msg_type(msg);
	struct request *req;
	int ret;

	/* These two have a life of their own; a one-way message has no reply. */
	if (type == VCMA_MSG_HELLO || type == VCMA_MSG_LEASE || (type & VCMA_MSG_REPLY))
		return -EINVAL;
	msg->magic = vcma_cpu_to_le32(VCMA_BROKER_MAGIC);
	msg->version = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	msg->status = vcma_cpu_to_le32(0);
	msg->reserved = vcma_cpu_to_le32(0);

	ret = start_request(c, msg, deadline_ms ? deadline_ms : VCMA_CLIENT_REPLY_MS, &req);
	if (ret < 0)
		return ret;
	req->reply = fn;
	req->opaque = opaque;
	return ret;
}

/* --- for tools: wait --- */

/* Wait for something to happen, at most until @until, and handle it. */
static int wait_once(struct vcma_client *c, uint64_t until)
{
	struct pollfd pfd = { .fd = c->fd, .events = vcma_client_events(c) };
	int timeout = vcma_client_timeout(c);
	uint64_t now = client_now();
	int left = now < until ? (int)(until - now) : 0;

	if (timeout < 0 || timeout > left)
		timeout = left;
	if (poll(&pfd, 1, timeout) < 0 && errno != EINTR)
		return -errno;
	return vcma_client_dispatch(c);
}

struct call {
	bool done;
	void *reply;
	size_t size;
	int result;
};

static void on_call_reply(void *opaque, uint32_t status, const struct vcma_hdr *msg, size_t len)
{
	struct call *call = opaque;

	(void)status;
	call->done = true;
	if (!msg) {
		call->result = -ECONNRESET;
	} else if (len > call->size) {
		call->result = -EMSGSIZE;
	} else {
		memcpy(call->reply, msg, len);
		call->result = (int)len;
	}
}

int vcma_client_call(struct vcma_client *c, struct vcma_hdr *msg, uint32_t deadline_ms,
		     void *reply, size_t size)
{
	struct call call = { .reply = reply, .size = size };
	uint64_t until;
	int ret;

	if (c->dispatching)
		return -EBUSY;
	until = client_now() + (deadline_ms ? deadline_ms : VCMA_CLIENT_REPLY_MS);
	ret = vcma_client_request(c, msg, deadline_ms, on_call_reply, &call);
	if (ret < 0)
		return ret;
	/* The request's own deadline ends the connection, and with it this loop. */
	ret = 0;
	while (!call.done && !ret)
		ret = wait_once(c, until);
	if (!call.done)
		vcma_client_close(c);	/* nobody may call back into this frame */
	return call.result < 0 && ret ? ret : call.result;
}

int vcma_client_wait_hello(struct vcma_client *c, uint32_t deadline_ms, uint32_t *ret_status)
{
	const uint64_t until = client_now() + deadline_ms;
	const uint64_t epoch = c->epoch;

	if (c->dispatching)
		return -EBUSY;
	while (c->state == CLIENT_GREETING && c->epoch == epoch) {
		int err = wait_once(c, until);

		if (err) {
			if (err == -EACCES && ret_status)
				*ret_status = c->last_status;
			return err;
		}
		if (c->state == CLIENT_GREETING && client_now() >= until) {
			client_end(c, -ETIMEDOUT, VCMA_ST_AWAY, true);
			return -ETIMEDOUT;
		}
	}
	if (c->state != CLIENT_UP)
		return -ENOTCONN;
	if (ret_status)
		*ret_status = VCMA_ST_OK;
	return 0;
}
