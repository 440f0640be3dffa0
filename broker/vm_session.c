// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm_session.c - what a VM's peer says, and the answers
 */
#include <string.h>

#include "config.h"
#include "pool.h"
#include "server.h"
#include "size.h"
#include "util.h"
#include "vm.h"
#include "wire.h"

/* What vcmad offers a VM. */
#define VM_CAPABILITIES	VCMA_CAP_BANKS

/* --- HELLO --- */

/*
 * A process that held leases may live without a connection.  Whoever says HELLO now
 * is that process, or comes too early, or comes after its end, which the main loop has
 * not seen yet.
 */
static uint32_t settle_holder(struct vm *vm, const struct peer *p, uint64_t instance,
			      bool *ret_resumed)
{
	int r;

	*ret_resumed = false;
	if (vm->holder.pid && !process_is_alive(&vm->holder))
		holder_gone(vm, "has exited");
	if (vm->holder.pid && vm->holder.pid != p->conn->cred.pid)
		return VCMA_ST_EXISTS;
	if (vm->holder.pid && instance == vm->server->instance) {
		*ret_resumed = true;
		return VCMA_ST_OK;
	}
	if (vm->holder.pid)
		holder_gone(vm, "says that it holds nothing");
	r = holder_set(vm, p->conn->cred.pid);
	if (r < 0) {
		log_peer(&vm->rate, G_LOG_LEVEL_WARNING,
			 "%s: process %d cannot be watched (%s): HELLO denied", vm->cfg->name,
			 (int)p->conn->cred.pid, g_strerror(-r));
		return VCMA_ST_DENIED;
	}
	return VCMA_ST_OK;
}

/* Banks that @p may name, as bits. */
static uint32_t usable_banks(const struct vm *vm, const struct peer *p)
{
	return p->capabilities & VCMA_CAP_BANKS ? vm->cfg->banks : 1;
}

/* What is true of all @banks [B-32]. */
static uint32_t pool_flags(const struct vm *vm, uint32_t banks)
{
	uint32_t flags = VCMA_POOL_CONTIGUOUS | VCMA_POOL_REVOCABLE;

	for (unsigned int b = 0; b < VCMA_BANKS_MAX; b++)
		if (banks & (1u << b))
			flags &= pool_promises(vm->bank[b]);
	return flags;
}

static void hello_ok(struct vm *vm, struct peer *p, const struct vcma_hello *m, bool resumed)
{
	const struct config_share *share = &vm->cfg->bank[0];
	struct vcma_hello_reply r;
	uint32_t flags;

	p->capabilities = vcma_le32_to_cpu(m->capabilities) & VM_CAPABILITIES;
	flags = pool_flags(vm, usable_banks(vm, p));
	vcma_msg_reply(&r, sizeof(r), &m->hdr, VCMA_ST_OK);
	r.version = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	r.capabilities = vcma_cpu_to_le32(p->capabilities);
	r.flags = vcma_cpu_to_le32(flags | (resumed ? VCMA_HELLO_RESUMED : 0));
	if (p->capabilities & VCMA_CAP_BANKS)
		r.banks = vcma_cpu_to_le32(vm->cfg->banks);
	r.instance = vcma_cpu_to_le64(vm->server->instance);
	r.granule_size = vcma_cpu_to_le64(BACKING_GRANULE);
	r.chunk_size = vcma_cpu_to_le64(vm->bank[0]->chunk_size);
	r.lease_max = vcma_cpu_to_le64(vm->lease_max);
	r.guarantee = vcma_cpu_to_le64(share->guarantee);
	r.limit = vcma_cpu_to_le64(share->limit);
	vcma_name_set(r.vm, vm->cfg->name);
	vcma_name_set(r.pool, vm->bank[0]->name);

	vm->session = p;
	vm->heard = now_ms();
	vm->ping_sent = 0;
	log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: %s: %s (process %d, uid %d)%s", vm->cfg->name,
		 resumed ? "resumed" : "connected", *m->name ? m->name : "a program",
		 (int)p->conn->cred.pid, (int)p->conn->cred.uid,
		 flags & VCMA_POOL_CONTIGUOUS ? "" : "; contiguity not guaranteed");
	/* The reply first, so that it comes before any event. */
	conn_send(p->conn, &r, sizeof(r));
	core_vm_connected(vm->server->core, vm->core, (uint32_t)p->conn->cred.pid, now_ms());
}

static void handle_hello(struct vm *vm, struct peer *p, const struct vcma_hello *m)
{
	uint32_t status;
	bool resumed = false;

	if (p == vm->session) {
		conn_end_invalid(p->conn, "a second HELLO");
		return;
	}
	if (vm->session && vm->session->conn->ended)
		session_close(vm);
	if (p->unwelcome)
		status = VCMA_ST_DENIED;
	else if (vm_is_connected(vm))
		status = VCMA_ST_EXISTS;
	else
		status = settle_holder(vm, p, vcma_le64_to_cpu(m->instance), &resumed);
	if (status == VCMA_ST_OK) {
		hello_ok(vm, p, m, resumed);
		return;
	}
	if (status == VCMA_ST_DENIED && p->unwelcome)
		log_peer(&vm->rate, G_LOG_LEVEL_WARNING, "%s: process %d of uid %d refused: the socket's owner is uid %d; run it as that user, or change owner= of [vm %s]",
			 vm->cfg->name, (int)p->conn->cred.pid, (int)p->conn->cred.uid,
			 (int)vm->cfg->uid, vm->cfg->name);
	else if (status == VCMA_ST_EXISTS)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: process %d refused: process %d %s; end that one first", vm->cfg->name,
			 (int)p->conn->cred.pid, (int)vm->holder.pid,
			 vm_is_connected(vm) ? "is connected" : "still holds leases");
	p->refused = true;
	conn_reply(p->conn, &m->hdr, status);
	conn_end(p->conn, 0, "%s", vcma_status_text(status));
}

/* --- requests of the session --- */

static void handle_lease(struct vm *vm, const struct vcma_lease_req *m)
{
	struct conn *c = vm->session->conn;
	uint32_t sequence = vcma_msg_sequence(&m->hdr);
	struct core_lease_args args = {
		.size = vcma_le64_to_cpu(m->size),
		.alignment = vcma_le64_to_cpu(m->alignment),
		.boundary = vcma_le64_to_cpu(m->boundary),
		.max_addr = vcma_le64_to_cpu(m->max_addr),
		.forbidden = vcma_le64_to_cpu(m->forbidden),
		.bank = vcma_le32_to_cpu(m->bank),
		.deadline_ms = vcma_le32_to_cpu(m->deadline_ms),
	};
	const struct request request = { .size = args.size, .bank = args.bank };
	const struct refusal denied = { .request = request, .status = VCMA_ST_DENIED };

	if (args.size < BACKING_GRANULE) {
		conn_reply(c, &m->hdr, VCMA_ST_INVALID);
		return;
	}
	if (args.bank && !(vm->session->capabilities & VCMA_CAP_BANKS)) {
		conn_reply(c, &m->hdr, VCMA_ST_UNSUPPORTED);
		return;
	}
	if (!core_vm_has_bank(vm->core, args.bank)) {
		g_array_append_val(vm->refusals, denied);
		conn_reply(c, &m->hdr, VCMA_ST_DENIED);
		return;
	}
	if (vm->bank[args.bank]->backing->ops->simulated) {
		log_peer(&vm->rate, G_LOG_LEVEL_WARNING, "%s: asked for memory of pool %s, which has none (backing=sim): use another backing",
			 vm->cfg->name, vm->bank[args.bank]->name);
		conn_reply(c, &m->hdr, VCMA_ST_UNSUPPORTED);
		return;
	}
	if (g_hash_table_size(vm->requests) >= VCMA_REQUESTS_MAX) {
		conn_reply(c, &m->hdr, VCMA_ST_TOO_MANY);
		return;
	}
	if (g_hash_table_contains(vm->requests, GUINT_TO_POINTER(sequence))) {
		conn_end_invalid(c, "sequence %u is that of a request without a reply", sequence);
		return;
	}
	g_hash_table_insert(vm->requests, GUINT_TO_POINTER(sequence),
			    g_memdup2(&request, sizeof(request)));
	core_lease(vm->server->core, vm->core, sequence, &args, now_ms());
}

static void handle_cancel(struct vm *vm, const struct vcma_cancel *m)
{
	/* A request that has its answer already cannot be cancelled: nothing to do. */
	core_cancel(vm->server->core, vm->core, vcma_le32_to_cpu(m->sequence), now_ms());
	conn_reply(vm->session->conn, &m->hdr, VCMA_ST_OK);
}

static void handle_release(struct vm *vm, const struct vcma_release *m)
{
	uint32_t count = vcma_le32_to_cpu(m->count), status = VCMA_ST_OK;
	uint64_t lease[VCMA_IDS_MAX];

	for (uint32_t i = 0; i < count; i++) {
		lease[i] = vcma_le64_to_cpu(m->lease[i]);
		if (vm_is_granting(vm, lease[i]))
			status = VCMA_ST_UNKNOWN_LEASE; /* not the VM's before its last LEASE_ACK */
	}
	if (status == VCMA_ST_OK &&
	    core_released(vm->server->core, vm->core, lease, count, now_ms()) < 0)
		status = VCMA_ST_UNKNOWN_LEASE;
	conn_reply(vm->session->conn, &m->hdr, status);
	if (status == VCMA_ST_OK)
		vm_check_recorded(vm);
}

/**
 * vm_message - a packet of a VM's peer
 * @opaque: struct peer
 * @c: its connection
 * @msg: passed vcma_wire_check()
 * @len: of @msg
 */
void vm_message(void *opaque, struct conn *c, const struct vcma_hdr *msg, size_t len)
{
	struct peer *p = opaque;
	struct vm *vm = p->vm;
	const void *m = msg;
	const struct vcma_reclaim_done *done = m;

	(void)len;
	if (vcma_msg_type(msg) == VCMA_MSG_HELLO) {
		handle_hello(vm, p, m);
		return;
	}
	if (p != vm->session) {
		conn_end_invalid(c, "%s before HELLO", vcma_msg_name(vcma_msg_type(msg)));
		return;
	}
	vm->heard = now_ms();
	switch (vcma_msg_type(msg)) {
	case VCMA_MSG_LEASE:
		handle_lease(vm, m);
		break;
	case VCMA_MSG_CANCEL:
		handle_cancel(vm, m);
		break;
	case VCMA_MSG_RELEASE:
		handle_release(vm, m);
		break;
	case VCMA_MSG_PING:
		conn_reply(c, msg, VCMA_ST_OK);
		break;
	case VCMA_MSG_PING | VCMA_MSG_REPLY:
		if (!vm->ping_sent || vcma_msg_sequence(msg) != vm->ping_sequence)
			conn_end_invalid(c, "an answer to a PING that was not sent");
		vm->ping_sent = 0;
		break;
	case VCMA_MSG_LEASE_ACK:
		vm_handle_ack(vm, m);
		break;
	case VCMA_MSG_RECLAIM_DONE:
		core_reclaim_done(vm->server->core, vm->core, vcma_le32_to_cpu(done->id),
				  vcma_le32_to_cpu(done->status), now_ms());
		break;
	default:
		conn_end_invalid(c, "%s is not expected here", vcma_msg_name(vcma_msg_type(msg)));
	}
}

/* --- the core's orders: send, queue, but do not call the core --- */

void vm_refuse(struct vm *vm, uint32_t sequence, uint32_t status)
{
	const struct request *request = g_hash_table_lookup(vm->requests,
							    GUINT_TO_POINTER(sequence));
	struct refusal r = { .status = status };

	if (request)
		r.request = *request;
	g_hash_table_remove(vm->requests, GUINT_TO_POINTER(sequence));
	if (!vm->session)
		return;
	conn_reply_to(vm->session->conn, VCMA_MSG_LEASE, sequence, status);
	if (status != VCMA_ST_CANCELLED)
		g_array_append_val(vm->refusals, r);
}

void vm_reclaim(struct vm *vm, uint32_t id, uint32_t deadline_ms, const uint64_t *lease,
		uint32_t count)
{
	uint64_t buf[(sizeof(struct vcma_reclaim) + VCMA_IDS_MAX * sizeof(__le64)) / 8];
	struct vcma_reclaim *m = (struct vcma_reclaim *)buf;
	size_t len = vcma_msg_size(VCMA_MSG_RECLAIM, count);
	uint64_t bytes = 0;
	char size[SIZE_TEXT_MAX];

	if (!vm->session || !len)
		return;
	vcma_msg_init(m, len, VCMA_MSG_RECLAIM);
	m->id = vcma_cpu_to_le32(id);
	m->deadline_ms = vcma_cpu_to_le32(deadline_ms);
	m->count = vcma_cpu_to_le32(count);
	for (uint32_t i = 0; i < count; i++) {
		const struct core_lease *l = core_lease_find(vm->server->core, lease[i]);

		m->lease[i] = vcma_cpu_to_le64(lease[i]);
		bytes += l ? core_lease_size(l) : 0;
	}
	log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: asked to give back %u leases (%s) within %u ms",
		 vm->cfg->name, count, size_format(bytes, size), deadline_ms);
	conn_send(vm->session->conn, m, len);
}

void vm_pool_changed(struct vm *vm, uint64_t available)
{
	struct vcma_pool_changed m;

	if (!vm->session)
		return;
	vcma_msg_init(&m, sizeof(m), VCMA_MSG_POOL_CHANGED);
	m.available = vcma_cpu_to_le64(available);
	conn_send(vm->session->conn, &m, sizeof(m));
}
