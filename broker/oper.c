// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * oper.c - the operator's socket: reports, and requests that take their time
 *
 * OP_RECLAIM and OP_WAIT_IDLE are answered later.  A waiter is such a request;
 * it is looked at in the end of every turn, and ends at its deadline at the
 * latest.  An OP_RECLAIM goes on when its operator has left.
 */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"
#include "listener.h"
#include "log.h"
#include "oper.h"
#include "server.h"
#include "util.h"
#include "vcma_build.h"
#include "vm.h"
#include "wire.h"

struct oper_peer {
	struct oper *oper;
	struct conn *conn;
	bool hello;
	bool banks;		/* knows of them [B-66] */
	uint64_t deadline;	/* for HELLO */
	unsigned int waiting;
};

struct waiter {
	struct oper_peer *peer;	/* NULL: has left */
	uint16_t type;
	uint32_t sequence;
	uint64_t deadline;	/* WAIT_IDLE */
	uint32_t id;		/* RECLAIM: the core's; 0 for WAIT_IDLE */
};

struct oper {
	struct server *server;
	struct listener listener;
	GPtrArray *peers;
	GPtrArray *waiters;
	struct log_rate rate;
};

static void on_turn(void *opaque)
{
	struct oper_peer *p = opaque;

	server_turn(p->oper->server);
}

/* --- reports --- */

static void handle_status(struct oper_peer *p, const struct vcma_hdr *msg)
{
	const struct server *s = p->oper->server;
	struct vcma_op_status r;
	uint32_t connected = 0;
	char version[VCMA_NAME_MAX];

	vcma_msg_reply(&r, sizeof(r), msg, VCMA_ST_OK);
	core_report_status(s->core, &r);
	for (unsigned int i = 0; i < s->vms->len; i++)
		connected += vm_is_connected(g_ptr_array_index(s->vms, i));
	r.instance = vcma_cpu_to_le64(s->instance);
	r.uptime_ms = vcma_cpu_to_le64(now_ms() - s->started);
	r.pid = vcma_cpu_to_le32((uint32_t)getpid());
	r.nr_connected = vcma_cpu_to_le32(connected);
	g_strlcpy(version, VCMA_VERSION, sizeof(version));
	vcma_name_set(r.version, version);
	conn_send(p->conn, &r, sizeof(r));
}

static void send_page(struct oper_peer *p, const struct vcma_hdr *msg, struct vcma_op_page *page,
		      uint32_t count, size_t record, uint64_t next)
{
	size_t len = sizeof(*page) + count * record;

	vcma_msg_init(page, sizeof(*page), vcma_msg_type(msg) | VCMA_MSG_REPLY);
	page->hdr.sequence = msg->sequence;
	page->hdr.length = vcma_cpu_to_le32((uint32_t)len);
	page->count = vcma_cpu_to_le32(count);
	page->record_size = vcma_cpu_to_le32((uint32_t)record);
	page->next = vcma_cpu_to_le64(next);
	conn_send(p->conn, page, len);
}

static void handle_list(struct oper_peer *p, const struct vcma_op_list *m)
{
	union {
		struct vcma_op_page page;
		uint64_t align;
		uint8_t data[VCMA_MSG_MAX];
	} buf;
	void *records = buf.data + sizeof(buf.page);
	const uint32_t room = (uint32_t)(sizeof(buf) - sizeof(buf.page));
	const struct core *core = p->oper->server->core;
	uint64_t after = vcma_le64_to_cpu(m->after), next = 0;
	uint32_t count, record;

	memset(&buf, 0, sizeof(buf));
	switch (vcma_msg_type(&m->hdr)) {
	case VCMA_MSG_OP_POOLS:
		record = sizeof(struct vcma_op_pool);
		count = core_report_pools(core, after, records,
					  MIN(VCMA_RECORDS_MAX, room / record), &next);
		break;
	case VCMA_MSG_OP_VMS:
		record = sizeof(struct vcma_op_vm);
		count = core_report_vms(core, p->banks, after, records,
					MIN(VCMA_RECORDS_MAX, room / record), &next);
		break;
	default:
		record = sizeof(struct vcma_op_lease);
		count = core_report_leases(core, p->banks, after, records,
					   MIN(VCMA_RECORDS_MAX, room / record), now_ms(), &next);
	}
	send_page(p, &m->hdr, &buf.page, count, record, next);
}

/* --- requests that take their time --- */

static void waiter_add(struct oper_peer *p, const struct vcma_hdr *msg, uint64_t deadline,
		       uint32_t id)
{
	struct waiter *w = g_new0(struct waiter, 1);

	w->peer = p;
	w->type = vcma_msg_type(msg);
	w->sequence = vcma_msg_sequence(msg);
	w->deadline = deadline;
	w->id = id;
	p->waiting++;
	g_ptr_array_add(p->oper->waiters, w);
}

static void handle_reclaim(struct oper_peer *p, const struct vcma_op_reclaim *m)
{
	struct server *s = p->oper->server;
	struct vm *vm = NULL;
	uint64_t bytes = vcma_le64_to_cpu(m->bytes);
	uint32_t deadline = vcma_le32_to_cpu(m->deadline_ms), id;

	if (*m->vm) {
		vm = server_find_vm(s, m->vm);
		if (!vm) {
			conn_reply(p->conn, &m->hdr, VCMA_ST_INVALID);
			return;
		}
	}
	id = core_op_reclaim(s->core, vm ? vm->core : NULL, bytes, deadline, now_ms());
	if (id)
		waiter_add(p, &m->hdr, UINT64_MAX, id);
	else
		conn_reply(p->conn, &m->hdr, VCMA_ST_INTERNAL);
}

/* True: the waiter has its answer. */
static bool waiter_look(struct oper *o, const struct waiter *w, uint64_t now)
{
	struct vcma_op_reclaimed r;
	uint64_t bytes = 0;
	bool late = false;

	if (w->type == VCMA_MSG_OP_WAIT_IDLE) {
		if (!w->peer)
			return true;
		if (!core_is_idle(o->server->core) && now < w->deadline)
			return false;
		conn_reply_to(w->peer->conn, w->type, w->sequence,
			      core_is_idle(o->server->core) ? VCMA_ST_OK : VCMA_ST_TRY_LATER);
		return true;
	}
	if (!core_op_reclaim_poll(o->server->core, w->id, &bytes, &late))
		return false;
	if (!w->peer)
		return true;
	vcma_msg_init(&r, sizeof(r), VCMA_MSG_OP_RECLAIM | VCMA_MSG_REPLY);
	r.hdr.sequence = vcma_cpu_to_le32(w->sequence);
	r.hdr.status = vcma_cpu_to_le32(late ? VCMA_ST_TRY_LATER : VCMA_ST_OK);
	r.bytes = vcma_cpu_to_le64(bytes);
	conn_send(w->peer->conn, &r, sizeof(r));
	return true;
}

static void handle_hello(struct oper_peer *p, const struct vcma_hello *m)
{
	struct vcma_hello_reply r;

	if (p->hello) {
		conn_end_invalid(p->conn, "a second HELLO");
		return;
	}
	if (p->conn->cred.uid != 0 && p->conn->cred.uid != geteuid()) {
		log_peer(&p->oper->rate, G_LOG_LEVEL_WARNING, "operator socket: process %d of uid %d refused: only root and uid %d may",
			 (int)p->conn->cred.pid, (int)p->conn->cred.uid, (int)geteuid());
		conn_reply(p->conn, &m->hdr, VCMA_ST_DENIED);
		conn_end(p->conn, 0, "%s", "");
		return;
	}
	p->hello = true;
	p->banks = vcma_le32_to_cpu(m->capabilities) & VCMA_CAP_BANKS;
	vcma_msg_reply(&r, sizeof(r), &m->hdr, VCMA_ST_OK);
	r.version = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	r.capabilities = vcma_cpu_to_le32(p->banks ? VCMA_CAP_BANKS : 0);
	r.instance = vcma_cpu_to_le64(p->oper->server->instance);
	conn_send(p->conn, &r, sizeof(r));
}

static void on_message(void *opaque, struct conn *c, const struct vcma_hdr *msg, size_t len)
{
	struct oper_peer *p = opaque;
	const void *m = msg;
	const struct vcma_op_wait *wait = m;

	(void)len;
	if (vcma_msg_type(msg) == VCMA_MSG_HELLO) {
		handle_hello(p, m);
		return;
	}
	if (!p->hello) {
		conn_end_invalid(c, "%s before HELLO", vcma_msg_name(vcma_msg_type(msg)));
		return;
	}
	switch (vcma_msg_type(msg)) {
	case VCMA_MSG_PING:
		conn_reply(c, msg, VCMA_ST_OK);
		break;
	case VCMA_MSG_OP_STATUS:
		handle_status(p, msg);
		break;
	case VCMA_MSG_OP_POOLS:
	case VCMA_MSG_OP_VMS:
	case VCMA_MSG_OP_LEASES:
		handle_list(p, m);
		break;
	case VCMA_MSG_OP_RECLAIM:
	case VCMA_MSG_OP_WAIT_IDLE:
		if (p->waiting >= OPER_WAITERS_MAX)
			conn_reply(c, msg, VCMA_ST_TOO_MANY);
		else if (vcma_msg_type(msg) == VCMA_MSG_OP_RECLAIM)
			handle_reclaim(p, m);
		else
			waiter_add(p, msg, now_ms() + vcma_le32_to_cpu(wait->deadline_ms), 0);
		break;
	default:
		conn_end_invalid(c, "%s is not expected here", vcma_msg_name(vcma_msg_type(msg)));
	}
}

/* --- connections --- */

static const struct conn_ops oper_ops = {
	.message = on_message,
	.turn = on_turn,
};

static void peer_free(void *data)
{
	struct oper_peer *p = data;

	conn_free(p->conn);
	g_free(p);
}

static void peer_add(struct oper *o, int fd)
{
	struct oper_peer *p = g_new0(struct oper_peer, 1);

	p->oper = o;
	p->deadline = now_ms() + HELLO_DEADLINE_MS;
	if (conn_new(fd, VCMA_FROM_OPERATOR, &oper_ops, p, &p->conn) < 0) {
		g_free(p);
		return;
	}
	if (o->peers->len >= OPER_PEERS_MAX)
		conn_end(p->conn, VCMA_ST_TOO_MANY, "more than %d operators", OPER_PEERS_MAX);
	g_ptr_array_add(o->peers, p);
}

static gboolean on_accept(gint fd, GIOCondition condition, gpointer data)
{
	struct oper *o = data;
	int c = listener_accept(&o->listener);

	(void)fd;
	(void)condition;
	if (c >= 0)
		peer_add(o, c);
	else if (c == -EMFILE)
		log_peer(&o->rate, G_LOG_LEVEL_WARNING, "operator socket: connection refused: too many open files");
	server_turn(o->server);
	return G_SOURCE_CONTINUE;
}

int oper_new(struct server *s, const char *path, struct oper **ret_oper, char **ret_error)
{
	struct oper *o = g_new0(struct oper, 1);
	char *err = NULL;
	int r;

	o->server = s;
	o->listener.fd = -1;
	o->peers = g_ptr_array_new_with_free_func(peer_free);
	o->waiters = g_ptr_array_new_with_free_func(g_free);
	log_rate_init(&o->rate, now_ms());
	r = listener_open(&o->listener, path, geteuid(), getegid(), 0600, &err);
	if (r < 0) {
		*ret_error = g_strdup_printf("operator socket: %s", err);
		g_free(err);
		oper_free(o);
		return r;
	}
	listener_watch(&o->listener, on_accept, o);
	*ret_oper = o;
	return 0;
}

void oper_free(struct oper *o)
{
	if (!o)
		return;
	listener_close(&o->listener);
	g_ptr_array_unref(o->waiters);
	g_ptr_array_unref(o->peers);
	g_free(o);
}

/* Clean shutdown. */
void oper_stop(struct oper *o)
{
	listener_close(&o->listener);
	for (unsigned int i = 0; i < o->peers->len; i++) {
		struct oper_peer *p = g_ptr_array_index(o->peers, i);

		conn_end(p->conn, VCMA_ST_SHUTDOWN, "shutdown");
	}
}

static void forget_peer(struct oper *o, const struct oper_peer *p)
{
	for (unsigned int i = 0; i < o->waiters->len; i++) {
		struct waiter *w = g_ptr_array_index(o->waiters, i);

		if (w->peer == p)
			w->peer = NULL;
	}
}

bool oper_turn(struct oper *o)
{
	uint64_t now = now_ms();
	bool any = false;

	for (unsigned int i = o->waiters->len; i-- > 0;) {
		struct waiter *w = g_ptr_array_index(o->waiters, i);

		if (!waiter_look(o, w, now))
			continue;
		if (w->peer)
			w->peer->waiting--;
		g_ptr_array_remove_index_fast(o->waiters, i);
		any = true;
	}
	for (unsigned int i = o->peers->len; i-- > 0;) {
		struct oper_peer *p = g_ptr_array_index(o->peers, i);

		if (!p->conn->ended)
			continue;
		if (*p->conn->why)
			log_peer(&o->rate, G_LOG_LEVEL_INFO, "operator socket: connection of process %d closed: %s",
				 (int)p->conn->cred.pid, p->conn->why);
		forget_peer(o, p);
		g_ptr_array_remove_index_fast(o->peers, i);
		any = true;
	}
	return any;
}

void oper_tick(struct oper *o, uint64_t now)
{
	for (unsigned int i = 0; i < o->peers->len; i++) {
		struct oper_peer *p = g_ptr_array_index(o->peers, i);

		if (!p->hello && now >= p->deadline)
			conn_end(p->conn, VCMA_ST_TRY_LATER, "no HELLO in %d ms",
				 HELLO_DEADLINE_MS);
	}
}

uint64_t oper_next_tick(const struct oper *o)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int i = 0; i < o->peers->len; i++) {
		const struct oper_peer *p = g_ptr_array_index(o->peers, i);

		if (!p->hello)
			next = MIN(next, p->deadline);
	}
	for (unsigned int i = 0; i < o->waiters->len; i++)
		next = MIN(next, ((const struct waiter *)g_ptr_array_index(o->waiters, i))->deadline);
	return next;
}
