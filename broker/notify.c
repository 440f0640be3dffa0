// SPDX-License-Identifier: GPL-2.0-or-later
/* notify.c - requests that failed, and whom to tell when there is more again */

#include "notify.h"

#include <string.h>

uint64_t notify_available(const struct core_vm *vm)
{
	const struct core_pool *pool = vm->pool;
	uint64_t chunks = (uint64_t)vm->free.units + pool->shared.units;
	uint32_t allowed = vm->limit - vm_charged(vm);

	if (chunks > allowed)
		chunks = allowed;
	return chunks * pool->chunk_size + vm->nr_room * pool->granule_size;
}

/**
 * notify_refused() - Note that a request failed
 * @vm: whose
 * @size: bytes
 * @status: VCMA_ST_*
 * @by: GUARANTEED: the VM that stood in the way; else NULL
 */
void notify_refused(struct core_vm *vm, uint64_t size, uint32_t status, const struct core_vm *by)
{
	vm->pool->refused++;
	vm->refused_size = size;
	vm->refused_status = status;
	memset(vm->refused_by, 0, sizeof(vm->refused_by));
	if (by)
		memcpy(vm->refused_by, by->name, sizeof(vm->refused_by));
	vm->wants = status == VCMA_ST_GUARANTEED || status == VCMA_ST_NO_RUN ||
		    status == VCMA_ST_TRY_LATER;
	vm->wants_more_than = notify_available(vm);
}

void notify_run(struct core *core)
{
	struct core_vm *vm;

	for (vm = core->vms; vm; vm = vm->next) {
		uint64_t available;

		if (!vm->wants || !vm->connected)
			continue;
		available = notify_available(vm);
		if (available < vm->wants_more_than)
			vm->wants_more_than = available;
		if (available <= vm->wants_more_than)
			continue;
		vm->wants = false;
		core->ops->pool_changed(core->opaque, vm, available);
	}
}
