// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm_grant.c - sends leases to a VM: descriptors, acknowledged packet by packet
 */
#include <errno.h>
#include <sys/random.h>

#include "config.h"
#include "pool.h"
#include "server.h"
#include "size.h"
#include "util.h"
#include "vm.h"
#include "wire.h"

void vm_grant(struct vm *vm, uint32_t sequence, struct core_lease *lease)
{
	struct grant *g = g_new0(struct grant, 1);

	g->lease = lease;
	g->id = core_lease_id(lease);
	g->sequence = sequence;
	g->nr = core_lease_nr_granules(lease);
	g_queue_push_tail(&vm->grants, g);
}

static struct granule *lease_granule(const struct core_lease *lease, uint32_t i)
{
	struct core_granule *cg = core_lease_granule(lease, i);
	struct granule *g = core_granule_tag(cg);

	g->core = cg;
	return g;
}

/* I2: the pages are where they should be, read now; nobody else has them yet. */
static int verify(const struct vm *vm, const struct grant *grant)
{
	for (uint32_t i = 0; i < grant->nr; i++) {
		const struct granule *g = lease_granule(grant->lease, i);
		struct backing *b = g->pool->backing;
		uint64_t pfn;
		int r = g->file.fd < 0 ? -ENXIO : b->ops->inspect(b, &g->file, &pfn);

		if (r < 0) {
			log_err("%s: granule of PFN 0x%" G_GINT64_MODIFIER "x cannot be inspected: %s: lease withdrawn",
				vm->cfg->name, g->pfn, g_strerror(-r));
			return r;
		}
		if (pfn != g->pfn) {
			log_err("%s: granule of PFN 0x%" G_GINT64_MODIFIER "x is at 0x%" G_GINT64_MODIFIER "x now: lease withdrawn",
				vm->cfg->name, g->pfn, pfn);
			return -ESTALE;
		}
	}
	return 0;
}

static void grant_pop(struct vm *vm)
{
	vm->unacked = 0;
	g_free(g_queue_pop_head(&vm->grants));
}

/* Withdrawn before the first packet: the request ends without a lease. */
static void withdraw(struct vm *vm, struct grant *g)
{
	g_hash_table_remove(vm->requests, GUINT_TO_POINTER(g->sequence));
	conn_reply_to(vm->session->conn, VCMA_MSG_LEASE, g->sequence, VCMA_ST_INTERNAL);
	core_lease_failed(vm->server->core, g->lease, now_ms());
	grant_pop(vm);
	vm_check_recorded(vm);
}

static int prepare(struct vm *vm, struct grant *g)
{
	int r = verify(vm, g);

	if (r < 0 || vm->recorded)
		return r;
	vm->recorded = true;
	r = server_write_record(vm->server);
	if (r < 0)
		log_err("%s: cannot write the run record: %s: lease withdrawn", vm->cfg->name,
			g_strerror(-r));
	return r;
}

static bool send_first(struct vm *vm, const struct grant *g, const int *fds, uint32_t n)
{
	struct vcma_lease_reply m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_LEASE | VCMA_MSG_REPLY);
	m.hdr.sequence = vcma_cpu_to_le32(g->sequence);
	m.lease = vcma_cpu_to_le64(g->id);
	m.size = vcma_cpu_to_le64(core_lease_size(g->lease));
	m.nr_granules = vcma_cpu_to_le32(g->nr);
	m.nr_fds = vcma_cpu_to_le32(n);
	if (getrandom(m.token, sizeof(m.token), 0) != sizeof(m.token)) {
		conn_end(vm->session->conn, VCMA_ST_INTERNAL, "no random numbers");
		return false;
	}
	return conn_send_fds(vm->session->conn, &m, sizeof(m), fds, n);
}

static bool send_part(struct vm *vm, const struct grant *g, const int *fds, uint32_t n)
{
	struct vcma_lease_part m;

	vcma_msg_init(&m, sizeof(m), VCMA_MSG_LEASE_PART);
	m.lease = vcma_cpu_to_le64(g->id);
	m.first = vcma_cpu_to_le32(g->sent);
	m.nr_fds = vcma_cpu_to_le32(n);
	return conn_send_fds(vm->session->conn, &m, sizeof(m), fds, n);
}

/**
 * vm_pump - send the next descriptor packet, if it is time
 * @vm: the VM
 *
 * Return: true if the core has changed, or a packet went out.
 */
bool vm_pump(struct vm *vm)
{
	struct grant *g = g_queue_peek_head(&vm->grants);
	int fds[VCMA_FDS_MAX];
	uint32_t n;

	if (!g || vm->unacked || !vm->session || vm->session->conn->ended)
		return false;
	n = MIN(g->nr - g->sent, vm->server->fds_share);
	if (!g->sent && prepare(vm, g) < 0) {
		withdraw(vm, g);
		return true;
	}
	for (uint32_t i = 0; i < n; i++)
		fds[i] = lease_granule(g->lease, g->sent + i)->file.fd;
	if (!(g->sent ? send_part(vm, g, fds, n) : send_first(vm, g, fds, n)))
		return true; /* the session has ended: to be reaped */
	if (!g->sent)
		g_hash_table_remove(vm->requests, GUINT_TO_POINTER(g->sequence));
	g->sent += n;
	vm->unacked = n;
	vm->ack_deadline = now_ms() + ACK_DEADLINE_MS;
	return true;
}

/**
 * vm_handle_ack - descriptors arrived at the session, or it gives the lease up
 * @vm: the VM
 * @ack: checked by vcma_wire_check()
 */
void vm_handle_ack(struct vm *vm, const struct vcma_lease_ack *ack)
{
	struct grant *g = g_queue_peek_head(&vm->grants);
	uint64_t id = vcma_le64_to_cpu(ack->lease);
	uint32_t status = vcma_le32_to_cpu(ack->status), received = vcma_le32_to_cpu(ack->received);
	char size[SIZE_TEXT_MAX];

	if (!g || !vm->unacked || g->id != id) {
		conn_end_invalid(vm->session->conn, "LEASE_ACK of lease %" G_GUINT64_FORMAT ", which is not on its way",
				 id);
		return;
	}
	if (status == VCMA_ST_OK && received != g->sent) {
		conn_end_invalid(vm->session->conn, "LEASE_ACK of %u granules, %u were sent",
				 received, g->sent);
		return;
	}
	size_format(core_lease_size(g->lease), size);
	if (status != VCMA_ST_OK) {
		log_peer(&vm->rate, G_LOG_LEVEL_INFO, "%s: gave up lease %" G_GUINT64_FORMAT " (%s) on its way: %s",
			 vm->cfg->name, id, size, vcma_status_name(status));
		core_lease_failed(vm->server->core, g->lease, now_ms());
		grant_pop(vm);
		vm_check_recorded(vm);
	} else if (g->sent == g->nr) {
		log_debug("%s: lease %" G_GUINT64_FORMAT " (%s) granted", vm->cfg->name, id, size);
		core_lease_acked(vm->server->core, g->lease, now_ms());
		grant_pop(vm);
	} else {
		vm->unacked = 0;
	}
}

/* The session is over: what was on its way is the core's to take back. */
void vm_drop_grants(struct vm *vm)
{
	while (!g_queue_is_empty(&vm->grants))
		grant_pop(vm);
}

bool vm_is_granting(const struct vm *vm, uint64_t lease)
{
	for (const GList *l = vm->grants.head; l; l = l->next)
		if (((const struct grant *)l->data)->id == lease)
			return true;
	return false;
}
