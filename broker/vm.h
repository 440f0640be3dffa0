/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm.h - a VM as its peers see it: socket, session, process, grants
 *
 * DOC: Theory of operation
 *
 * A VM has a listening socket of its own.  Whoever connects is a peer, and has
 * HELLO_DEADLINE_MS to say HELLO; the one whose HELLO is answered with OK is the VM's
 * session, and there is one at most.  The session's process is the VM's holder:
 * it may have leases mapped.  A pidfd tells when it has exited; only that proves
 * that its leases can come back (I8).  The session may end before: then the
 * VM is orphaned until the same process comes back or exits.
 *
 * Grants go out in order, one descriptor packet at a time.  A packet that is
 * not acknowledged in ACK_DEADLINE_MS ends the session (I10).
 */
#ifndef VCMA_BROKER_VM_H
#define VCMA_BROKER_VM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "core.h"
#include "listener.h"
#include "log.h"
#include "process.h"

#define HELLO_DEADLINE_MS	5000
#define ACK_DEADLINE_MS		5000
#define PING_EVERY_MS		15000
#define PING_DEADLINE_MS	30000
#define PEERS_MAX		8	/* of one VM, waiting for HELLO; as many unwelcome ones */

struct config_vm;
struct pool;
struct server;

/* Somebody on the VM's socket. */
struct peer {
	struct vm *vm;
	struct conn *conn;
	bool unwelcome;			/* not the VM's owner: HELLO will be DENIED */
	bool refused;			/* its HELLO was */
	uint32_t capabilities;		/* VCMA_CAP_* that were negotiated */
	uint64_t deadline;		/* for its HELLO */
};

/* A lease on its way to the session. */
struct grant {
	struct core_lease *lease;
	uint64_t id;
	uint32_t sequence;
	uint32_t nr;			/* granules */
	uint32_t sent;
};

/* A LEASE without a reply. */
struct request {
	uint64_t size;
	uint32_t bank;
};

/* One that ended without a lease, to be logged at the end of the turn. */
struct refusal {
	struct request request;
	uint32_t status;
};

/**
 * struct vm - see above
 * @bank: the pool of each of its banks; NULL: it has no such bank
 * @lease_max: in bank 0
 * @session: one of @peers, or NULL
 * @holder: whose leases they are; pid 0: nobody's
 * @pidfd: of @holder, or -1
 * @recorded: @holder is in the run record
 * @requests: sequence -> struct request of LEASE requests without a reply
 * @unacked: descriptors in the packet that is not acknowledged; 0: none is
 * @ping_sent: 0, or when the PING without an answer was sent
 * @heard: when the session last said anything
 */
struct vm {
	struct server *server;
	const struct config_vm *cfg;
	struct pool *bank[VCMA_BANKS_MAX];
	struct core_vm *core;
	uint64_t lease_max;
	struct listener listener;
	GPtrArray *peers;
	struct peer *session;
	struct process holder;
	int pidfd;
	guint pid_source;
	bool recorded;
	GHashTable *requests;
	GQueue grants;
	GArray *refusals;
	uint32_t unacked;
	uint64_t ack_deadline;
	uint64_t ping_sent, heard;
	uint32_t ping_sequence;
	struct log_rate rate;
};

struct vm *vm_new(struct server *s, unsigned int index);
void vm_free(struct vm *vm);
int vm_listen(struct vm *vm, char **ret_error);
void vm_stop(struct vm *vm);

/* The core's orders. */
void vm_grant(struct vm *vm, uint32_t sequence, struct core_lease *lease);
void vm_refuse(struct vm *vm, uint32_t sequence, uint32_t status);
void vm_reclaim(struct vm *vm, uint32_t id, uint32_t deadline_ms, const uint64_t *lease,
		uint32_t count);
void vm_pool_changed(struct vm *vm, uint64_t available);

/* The end of a turn.  True: something happened that others may want to know. */
bool vm_reap(struct vm *vm);
bool vm_pump(struct vm *vm);
void vm_log_refusals(struct vm *vm);

void vm_tick(struct vm *vm, uint64_t now);
uint64_t vm_next_tick(const struct vm *vm);

bool vm_is_connected(const struct vm *vm);

/* --- shared by vm.c, vm_session.c and vm_grant.c only --- */

void vm_message(void *opaque, struct conn *c, const struct vcma_hdr *msg, size_t len);
void session_close(struct vm *vm);
void holder_gone(struct vm *vm, const char *how);
void holder_forget(struct vm *vm);
int holder_set(struct vm *vm, pid_t pid);
void vm_check_recorded(struct vm *vm);
void vm_drop_grants(struct vm *vm);
void vm_handle_ack(struct vm *vm, const struct vcma_lease_ack *ack);
bool vm_is_granting(const struct vm *vm, uint64_t lease);

#endif /* VCMA_BROKER_VM_H */
