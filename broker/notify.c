// SPDX-License-Identifier: GPL-2.0-or-later
/* notify.c - requests that failed, and whom to tell when there is more again */

#include "notify.h"

#include <string.h>

void notify_init(struct core *core)
{
	list_init(&core->wanting);
}

uint64_t notify_available(const struct share *share)
{
	const struct core_pool *pool = share->pool;
	uint64_t chunks = (uint64_t)share->free.units + pool->shared.units;
	uint32_t allowed = share->limit - share_charged(share);

	if (chunks > allowed)
		chunks = allowed;
	return chunks * pool->chunk_size + share->nr_room * pool->granule_size;
}

/**
 * notify_refused() - Note that a request failed
 * @share: whose
 * @size: bytes
 * @status: VCMA_ST_*
 * @by: GUARANTEED: the VM that stood in the way; else NULL
 */
void notify_refused(struct share *share, uint64_t size, uint32_t status, const struct share *by)
{
	share->pool->refused++;
	share->refused_size = size;
	share->refused_status = status;
	memset(share->refused_by, 0, sizeof(share->refused_by));
	if (by)
		memcpy(share->refused_by, by->vm->name, sizeof(share->refused_by));
	list_del(&share->in_wanting);
	if (status == VCMA_ST_GUARANTEED || status == VCMA_ST_NO_RUN ||
	    status == VCMA_ST_TRY_LATER)
		list_add(&share->pool->core->wanting, &share->in_wanting);
	share->wants_more_than = notify_available(share);
}

void notify_run(struct core *core)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &core->wanting) {
		struct share *share = list_entry(l, struct share, in_wanting);
		uint64_t available;

		if (!share->vm->connected)
			continue;
		available = notify_available(share);
		if (available < share->wants_more_than)
			share->wants_more_than = available;
		if (available <= share->wants_more_than)
			continue;
		list_del(l);
		core->ops->pool_changed(core->opaque, share->vm, available);
	}
}
