// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm.c - a VM: its socket, its peers, and the process that holds its leases
 */
#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "pool.h"
#include "server.h"
#include "size.h"
#include "util.h"
#include "vm.h"
#include "wire.h"

static void on_turn(void *opaque)
{
	struct peer *p = opaque;

	server_turn(p->vm->server);
}

static const struct conn_ops peer_ops = {
	.message = vm_message,
	.turn = on_turn,
};

static void peer_free(void *data)
{
	struct peer *p = data;

	conn_free(p->conn);
	g_free(p);
}

/* The socket's owner and root may be the VM; so may the group, if one is configured. */
static bool is_welcome(const struct vm *vm, const struct conn *c)
{
	const struct config_vm *cfg = vm->cfg;

	return c->cred.uid == cfg->uid || c->cred.uid == 0 ||
	       (cfg->group && cfg->mode & 0020 && conn_peer_in_group(c, cfg->gid)) ||
	       (cfg->mode & 0002);
}

static unsigned int count_waiting(const struct vm *vm, bool unwelcome)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < vm->peers->len; i++) {
		const struct peer *p = g_ptr_array_index(vm->peers, i);

		n += p != vm->session && p->unwelcome == unwelcome;
	}
	return n;
}

static void peer_add(struct vm *vm, int fd)
{
	struct peer *p = g_new0(struct peer, 1);

	p->vm = vm;
	p->deadline = now_ms() + HELLO_DEADLINE_MS;
	if (conn_new(fd, VCMA_FROM_VM, &peer_ops, p, &p->conn) < 0) {
		g_free(p);
		return;
	}
	p->unwelcome = !is_welcome(vm, p->conn);
	if (count_waiting(vm, p->unwelcome) >= PEERS_MAX)
		conn_end(p->conn, VCMA_ST_TOO_MANY, "too many connections wait to say HELLO");
	g_ptr_array_add(vm->peers, p);
}

static gboolean on_accept(gint fd, GIOCondition condition, gpointer data)
{
	struct vm *vm = data;

	(void)fd;
	(void)condition;
	for (unsigned int i = 0; i < PEERS_MAX; i++) {
		int c = listener_accept(&vm->listener);

		if (c < 0) {
			if (c == -EMFILE)
				log_peer(&vm->rate, G_LOG_LEVEL_WARNING,
					 "%s: connection refused: too many open files", vm->cfg->name);
			break;
		}
		peer_add(vm, c);
	}
	server_turn(vm->server);
	return G_SOURCE_CONTINUE;
}

/**
 * vm_new - a VM as configured, not known to the core, not listening yet
 * @s: gets it, and has the pools of its banks
 * @index: in the configuration
 *
 * Return: the VM; vm_free().
 */
struct vm *vm_new(struct server *s, unsigned int index)
{
	struct vm *vm = g_new0(struct vm, 1);

	vm->server = s;
	vm->cfg = config_vm(s->cfg, index);
	for (unsigned int b = 0; b < VCMA_BANKS_MAX; b++) {
		const struct config_share *share = config_share(s->cfg, index, b);

		if (share)
			vm->bank[b] = g_ptr_array_index(s->pools, share->pool);
	}
	vm->listener.fd = -1;
	vm->pidfd = -1;
	vm->peers = g_ptr_array_new_with_free_func(peer_free);
	vm->requests = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
	vm->refusals = g_array_new(FALSE, FALSE, sizeof(struct refusal));
	g_queue_init(&vm->grants);
	log_rate_init(&vm->rate, now_ms());
	/* Whether there is such a run is the core's to say, for it can say why not. */
	for (vm->lease_max = BACKING_GRANULE; vm->lease_max * 2 <= vm->cfg->bank[0].limit;
	     vm->lease_max *= 2)
		;
	return vm;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vm_drop_grants(vm);
	listener_close(&vm->listener);
	holder_forget(vm);
	g_ptr_array_unref(vm->peers);
	g_hash_table_unref(vm->requests);
	g_array_unref(vm->refusals);
	g_free(vm);
}

int vm_listen(struct vm *vm, char **ret_error)
{
	char *err = NULL;
	int r = listener_open(&vm->listener, vm->cfg->socket, vm->cfg->uid, vm->cfg->gid,
			      vm->cfg->mode, &err);

	if (r < 0) {
		*ret_error = g_strdup_printf("VM %s: socket: %s", vm->cfg->name, err);
		g_free(err);
		return r;
	}
	listener_watch(&vm->listener, on_accept, vm);
	return 0;
}

/* Clean shutdown: no new peers, a GOODBYE to the old ones. */
void vm_stop(struct vm *vm)
{
	listener_close(&vm->listener);
	for (unsigned int i = 0; i < vm->peers->len; i++) {
		struct peer *p = g_ptr_array_index(vm->peers, i);

		conn_end(p->conn, VCMA_ST_SHUTDOWN, "shutdown");
	}
	vm_reap(vm);
	if (vm->holder.pid && !process_is_alive(&vm->holder))
		holder_gone(vm, "has exited");
}

bool vm_is_connected(const struct vm *vm)
{
	return vm->session && !vm->session->conn->ended;
}

/* --- the process that holds the leases --- */

static gboolean on_holder_exit(gint fd, GIOCondition condition, gpointer data)
{
	struct vm *vm = data;

	(void)fd;
	(void)condition;
	vm->pid_source = 0;
	holder_gone(vm, "has exited");
	server_turn(vm->server);
	return G_SOURCE_REMOVE;
}

/* Nobody has leases of this VM any more, or nobody ever had. */
void holder_forget(struct vm *vm)
{
	if (vm->pid_source)
		g_source_remove(vm->pid_source);
	vm->pid_source = 0;
	fd_close(&vm->pidfd);
	vm->holder = (struct process){ 0 };
}

/**
 * holder_set - this process may hold leases from now on
 * @vm: has no holder
 * @pid: of the session's process, as the socket says
 *
 * Return: 0; -ESRCH: it has exited; another -errno.
 */
int holder_set(struct vm *vm, pid_t pid)
{
	struct process p;
	int fd, r;

	if (pid <= 0)
		return -ESRCH; /* of another pid namespace: its end could not be seen */
	fd = process_watch(pid);
	if (fd < 0)
		return fd;
	r = process_get(pid, &p);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	vm->holder = p;
	vm->pidfd = fd;
	vm->pid_source = g_unix_fd_add(fd, G_IO_IN, on_holder_exit, vm);
	return 0;
}

/**
 * holder_gone - everything that the VM had is free to take back
 * @vm: the VM
 * @how: what proves it, for the log
 */
void holder_gone(struct vm *vm, const char *how)
{
	char size[SIZE_TEXT_MAX];
	uint64_t bytes;
	uint32_t nr;

	if (vm->session) {
		conn_end(vm->session->conn, 0, "%s", "");
		session_close(vm);
	}
	nr = core_vm_leases(vm->core, &bytes);
	if (nr)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: process %d %s: %u leases (%s) come back",
			 vm->cfg->name, (int)vm->holder.pid, how, nr, size_format(bytes, size));
	core_vm_gone(vm->server->core, vm->core, now_ms());
	holder_forget(vm);
	vm_check_recorded(vm);
}

/* A process that holds nothing any more needs no line in the run record. */
void vm_check_recorded(struct vm *vm)
{
	uint64_t bytes;

	if (!vm->recorded || !g_queue_is_empty(&vm->grants) || core_vm_leases(vm->core, &bytes))
		return;
	vm->recorded = false;
	vm->server->record_stale = true;
}

/* --- the end of a turn, and time --- */

/* The session's connection has ended: requests end, leases stay. */
void session_close(struct vm *vm)
{
	char size[SIZE_TEXT_MAX];
	uint64_t bytes;
	uint32_t nr;

	vm->session = NULL;
	vm->ping_sent = 0;
	vm_drop_grants(vm);
	g_hash_table_remove_all(vm->requests);
	core_vm_disconnected(vm->server->core, vm->core, now_ms());
	nr = core_vm_leases(vm->core, &bytes);
	if (nr)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO,
			 "%s: connection ended, process %d still holds %u leases (%s)",
			 vm->cfg->name, (int)vm->holder.pid, nr, size_format(bytes, size));
	else
		holder_forget(vm);
	vm_check_recorded(vm);
}

static void log_end(struct vm *vm, const struct peer *p)
{
	const struct conn *c = p->conn;

	if (c->protocol_error)
		log_peer(&vm->rate, G_LOG_LEVEL_WARNING, "%s: process %d does not follow the protocol: %s: connection closed",
			 vm->cfg->name, (int)c->cred.pid, c->why);
	else if (*c->why && !p->refused)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: connection of process %d closed: %s",
			 vm->cfg->name, (int)c->cred.pid, c->why);
	else if (p == vm->session)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: disconnected (process %d)",
			 vm->cfg->name, (int)c->cred.pid);
}

/**
 * vm_reap - free the connections that have ended
 * @vm: the VM
 *
 * Return: true if there was one.
 */
bool vm_reap(struct vm *vm)
{
	bool any = false;

	for (unsigned int i = vm->peers->len; i-- > 0;) {
		struct peer *p = g_ptr_array_index(vm->peers, i);

		if (!p->conn->ended)
			continue;
		log_end(vm, p);
		if (p == vm->session)
			session_close(vm);
		g_ptr_array_remove_index_fast(vm->peers, i);
		any = true;
	}
	return any;
}

static const char *refusal_cause(uint32_t status)
{
	switch (status) {
	case VCMA_ST_NO_MEMORY:
		return "the pool is too small for it";
	case VCMA_ST_NO_RUN:
		return "no such run of consecutive pages";
	case VCMA_ST_TRY_LATER:
		return "not enough was given back before its deadline";
	default:
		return vcma_status_text(status);
	}
}

static void log_refusal(struct vm *vm, const struct refusal *r)
{
	const uint32_t bank = r->request.bank;
	const char *by = core_vm_refused_by(vm->core, bank);
	char size[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX], of[32] = "";

	size_format(r->request.size, size);
	if (bank)
		snprintf(of, sizeof(of), " of bank %u", bank);
	if (r->status == VCMA_ST_GUARANTEED)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: %s%s refused: guaranteed to %s",
			 vm->cfg->name, size, of, *by ? by : "others");
	else if (r->status == VCMA_ST_OVER_LIMIT)
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: %s%s refused: beyond its limit of %s",
			 vm->cfg->name, size, of, size_format(vm->cfg->bank[bank].limit, limit));
	else if (r->status == VCMA_ST_DENIED)
		log_peer(&vm->rate, G_LOG_LEVEL_WARNING, "%s: %s%s refused: it has no such bank: add [bank %s NUMBER] to the configuration, or name another bank where the VM is started",
			 vm->cfg->name, size, of, vm->cfg->name);
	else
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: %s%s refused: %s", vm->cfg->name, size,
			 of, refusal_cause(r->status));
}

/* Who may be named is known only when the core has finished its turn. */
void vm_log_refusals(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->refusals->len; i++)
		log_refusal(vm, &g_array_index(vm->refusals, struct refusal, i));
	g_array_set_size(vm->refusals, 0);
}

static void ping_tick(struct vm *vm, uint64_t now)
{
	struct vcma_empty m;

	if (vm->ping_sent && now >= vm->ping_sent + PING_DEADLINE_MS) {
		conn_end(vm->session->conn, VCMA_ST_TRY_LATER, "no answer to PING in %d ms",
			 PING_DEADLINE_MS);
	} else if (!vm->ping_sent && now >= vm->heard + PING_EVERY_MS) {
		vcma_msg_init(&m, sizeof(m), VCMA_MSG_PING);
		if (!++vm->ping_sequence)
			vm->ping_sequence = 1;
		m.hdr.sequence = vcma_cpu_to_le32(vm->ping_sequence);
		vm->ping_sent = now;
		conn_send(vm->session->conn, &m, sizeof(m));
	}
}

void vm_tick(struct vm *vm, uint64_t now)
{
	for (unsigned int i = 0; i < vm->peers->len; i++) {
		struct peer *p = g_ptr_array_index(vm->peers, i);

		if (p != vm->session && now >= p->deadline)
			conn_end(p->conn, VCMA_ST_TRY_LATER, "no HELLO in %d ms",
				 HELLO_DEADLINE_MS);
	}
	if (!vm_is_connected(vm))
		return;
	if (vm->unacked && now >= vm->ack_deadline)
		conn_end(vm->session->conn, VCMA_ST_TRY_LATER,
			 "%u descriptors were not acknowledged in %d ms", vm->unacked,
			 ACK_DEADLINE_MS);
	else
		ping_tick(vm, now);
}

uint64_t vm_next_tick(const struct vm *vm)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int i = 0; i < vm->peers->len; i++) {
		const struct peer *p = g_ptr_array_index(vm->peers, i);

		if (p != vm->session)
			next = MIN(next, p->deadline);
	}
	if (!vm->session)
		return next;
	if (vm->unacked)
		next = MIN(next, vm->ack_deadline);
	return MIN(next, vm->ping_sent ? vm->ping_sent + PING_DEADLINE_MS :
				       vm->heard + PING_EVERY_MS);
}
