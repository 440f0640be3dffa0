// SPDX-License-Identifier: GPL-2.0-or-later
/* report.c - what the operator sees: the core's records in wire form */

#include "core_internal.h"
#include "lease.h"
#include "wire.h"

#include <string.h>

void core_report_status(const struct core *core, struct vcma_op_status *ret)
{
	uint32_t pools = 0, vms = 0, connected = 0;
	const struct core_pool *pool;
	const struct core_vm *vm;

	for (pool = core->pools; pool; pool = pool->next)
		pools++;
	for (vm = core->vms; vm; vm = vm->next) {
		vms++;
		connected += vm->connected;
	}
	ret->nr_pools = vcma_cpu_to_le32(pools);
	ret->nr_vms = vcma_cpu_to_le32(vms);
	ret->nr_connected = vcma_cpu_to_le32(connected);
	ret->nr_leases = vcma_cpu_to_le32(core->nr_leases);
	ret->nr_waiting = vcma_cpu_to_le32(core->nr_waits);
}

static void report_pool(const struct core_pool *pool, struct vcma_op_pool *ret)
{
	uint64_t chunk = pool->chunk_size;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, pool->name, sizeof(ret->name));
	ret->backing = vcma_cpu_to_le32(pool->backing);
	ret->flags = vcma_cpu_to_le32(pool->flags);
	ret->granule_size = vcma_cpu_to_le64(pool->granule_size);
	ret->chunk_size = vcma_cpu_to_le64(chunk);
	ret->size = vcma_cpu_to_le64(pool->nr * pool->granule_size);
	ret->extents = vcma_cpu_to_le64(pool->extents);
	ret->longest = vcma_cpu_to_le64(pool->longest * chunk);
	ret->free_longest = vcma_cpu_to_le64(extent_longest(&pool->shared) * chunk);
	ret->guaranteed = vcma_cpu_to_le64(pool->nr_home * chunk);
	ret->clean = vcma_cpu_to_le32(pool->state[GRANULE_CLEAN]);
	ret->reserved = vcma_cpu_to_le32(pool->state[GRANULE_RESERVED]);
	ret->granting = vcma_cpu_to_le32(pool->state[GRANULE_GRANTING]);
	ret->leased = vcma_cpu_to_le32(pool->state[GRANULE_LEASED]);
	ret->dirty = vcma_cpu_to_le32(pool->state[GRANULE_DIRTY]);
	ret->scrubbing = vcma_cpu_to_le32(pool->state[GRANULE_SCRUBBING]);
	ret->quarantined = vcma_cpu_to_le32(pool->state[GRANULE_QUARANTINED]);
	ret->bad = vcma_cpu_to_le32(pool->state[GRANULE_BAD]);
	ret->scrubbed = vcma_cpu_to_le64(pool->scrubbed);
	ret->reclaimed = vcma_cpu_to_le64(pool->reclaimed);
	ret->refused = vcma_cpu_to_le64(pool->refused);
}

/**
 * core_report_pools() - Records of pools
 * @core: the core
 * @after: index to begin with
 * @ret: [@max]
 * @max: at most so many
 * @ret_next: index to go on with; 0: there are no more
 *
 * Return: how many.
 */
uint32_t core_report_pools(const struct core *core, uint64_t after, struct vcma_op_pool *ret,
			   uint32_t max, uint64_t *ret_next)
{
	const struct core_pool *pool;
	uint64_t i = 0;
	uint32_t n = 0;

	*ret_next = 0;
	for (pool = core->pools; pool; pool = pool->next, i++) {
		if (i < after)
			continue;
		if (n == max) {
			*ret_next = i;
			break;
		}
		report_pool(pool, &ret[n++]);
	}
	return n;
}

static void report_share(const struct share *share, bool banks, struct vcma_op_vm *ret)
{
	const struct core_pool *pool = share->pool;
	const struct core_vm *vm = share->vm;
	uint64_t granule = pool->granule_size, chunk = pool->chunk_size;
	uint32_t flags = 0;
	uint64_t bytes;

	/* Whether its process lives is the VM's, in whatever bank its leases are. */
	if (vm->connected)
		flags |= VCMA_VM_CONNECTED;
	else if (core_vm_leases(vm, &bytes))
		flags |= VCMA_VM_ORPHANED;
	if (share->nr_missing)
		flags |= VCMA_VM_DEGRADED;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, vm->name, sizeof(ret->name));
	memcpy(ret->pool, pool->name, sizeof(ret->pool));
	ret->flags = vcma_cpu_to_le32(flags);
	ret->pid = vcma_cpu_to_le32(vm->pid);
	ret->guarantee = vcma_cpu_to_le64(share->guarantee * chunk);
	ret->guarantee_run = vcma_cpu_to_le64(share->run * chunk);
	ret->limit = vcma_cpu_to_le64(share->limit * chunk);
	ret->charged = vcma_cpu_to_le64(share_charged(share) * chunk);
	ret->leased = vcma_cpu_to_le64((share->state[GRANULE_GRANTING] +
			       (uint64_t)share->state[GRANULE_LEASED]) * granule);
	ret->dirty = vcma_cpu_to_le64((share->state[GRANULE_DIRTY] +
			      (uint64_t)share->state[GRANULE_SCRUBBING]) * granule);
	ret->quarantined = vcma_cpu_to_le64(share->state[GRANULE_QUARANTINED] * granule);
	ret->nr_leases = vcma_cpu_to_le32(share->nr_leases);
	ret->nr_waiting = vcma_cpu_to_le32(share->nr_waiting);
	ret->reclaimed = vcma_cpu_to_le64(share->reclaimed);
	ret->refused_size = vcma_cpu_to_le64(share->refused_size);
	ret->refused_status = vcma_cpu_to_le32(share->refused_status);
	ret->bank = vcma_cpu_to_le32(banks ? share->number : 0);
	memcpy(ret->refused_by, share->refused_by, sizeof(ret->refused_by));
}

/* As core_report_pools(), for the banks of VMs; without @banks, for bank 0 of each. */
uint32_t core_report_vms(const struct core *core, bool banks, uint64_t after,
			 struct vcma_op_vm *ret, uint32_t max, uint64_t *ret_next)
{
	const struct share *share;
	uint64_t i = 0;
	uint32_t n = 0;

	*ret_next = 0;
	for (share = core->shares; share; share = share->next, i++) {
		if (i < after || (share->number && !banks))
			continue;
		if (n == max) {
			*ret_next = i;
			break;
		}
		report_share(share, banks, &ret[n++]);
	}
	return n;
}

static void report_lease(const struct core_lease *lease, bool banks, struct vcma_op_lease *ret,
			 uint64_t now)
{
	const struct core_pool *pool = lease->share->pool;

	memset(ret, 0, sizeof(*ret));
	ret->lease = vcma_cpu_to_le64(lease->id);
	memcpy(ret->vm, lease->share->vm->name, sizeof(ret->vm));
	memcpy(ret->pool, pool->name, sizeof(ret->pool));
	ret->pfn = vcma_cpu_to_le64(granule_addr(pool, lease->first) / PAGE_BYTES);
	ret->size = vcma_cpu_to_le64(core_lease_size(lease));
	ret->state = vcma_cpu_to_le32(lease->granting ? VCMA_LEASE_GRANTING : VCMA_LEASE_HELD);
	ret->guaranteed = vcma_cpu_to_le16(lease->home);
	ret->bank = vcma_cpu_to_le16(banks ? (uint16_t)lease->share->number : 0);
	ret->age_ms = vcma_cpu_to_le64(now - lease->since);
}

/* As core_report_pools(), for leases; @after and *@ret_next are lease ids. */
uint32_t core_report_leases(const struct core *core, bool banks, uint64_t after,
			    struct vcma_op_lease *ret, uint32_t max, uint64_t now,
			    uint64_t *ret_next)
{
	const struct core_lease *lease = lease_first_from(core, after);
	uint32_t n = 0;

	while (lease && n < max) {
		report_lease(lease, banks, &ret[n++], now);
		lease = lease_first_from(core, lease->id + 1);
	}
	*ret_next = lease ? lease->id : 0;
	return n;
}
