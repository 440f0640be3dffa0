// SPDX-License-Identifier: GPL-2.0-or-later
/* reclaim.c - orders to give leases back; see reclaim.h */

#include "reclaim.h"
#include "lease.h"
#include "wait.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/**
 * struct operation - an operator's OP_RECLAIM
 * @nr_orders: of its orders, those that have not ended
 * @bytes: released so far
 * @late: its deadline has passed before all orders had ended
 */
struct operation {
	struct list in_core;
	uint32_t id;
	uint32_t nr_orders;
	uint64_t bytes;
	uint64_t deadline;
	bool late;
};

/**
 * struct order - one RECLAIM message
 * @op: the operation it belongs to, or NULL
 * @count: leases it names
 * @left: of these, not released yet
 * @lease: their ids
 */
struct order {
	struct list in_core;
	uint32_t id;
	struct share *share;
	struct operation *op;
	uint64_t deadline;
	uint32_t deadline_ms;
	uint32_t count, left;
	uint64_t lease[VCMA_IDS_MAX];
};

void reclaim_init(struct core *core)
{
	list_init(&core->orders);
	list_init(&core->operations);
	list_init(&core->filling);
}

void reclaim_fini(struct core *core)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &core->orders)
		free(list_entry(l, struct order, in_core));
	list_for_each_safe(l, tmp, &core->operations)
		free(list_entry(l, struct operation, in_core));
	reclaim_init(core);
}

static uint32_t next_id(struct core *core)
{
	if (++core->last_id == 0)
		core->last_id = 1;
	return core->last_id;
}

static void send(struct order *order)
{
	struct core *core = order->share->vm->core;

	order->share->filling = NULL;
	list_del(&order->share->in_filling);
	core->ops->reclaim(core->opaque, order->share->vm, order->id, order->deadline_ms,
			   order->lease, order->count);
}

/* Put @lease into the order that is being filled for its share. */
static int ask(struct core_lease *lease, struct operation *op, uint32_t deadline_ms)
{
	struct share *share = lease->share;
	struct core *core = share->vm->core;
	struct order *order = share->filling;

	assert(!lease->home && !lease->order && !lease->granting && share->vm->connected);
	if (!order) {
		order = calloc(1, sizeof(*order));
		if (!order)
			return -ENOMEM;
		order->id = next_id(core);
		order->share = share;
		order->op = op;
		order->deadline_ms = deadline_ms;
		order->deadline = core->now + deadline_ms;
		list_add(&core->orders, &order->in_core);
		if (op)
			op->nr_orders++;
		share->filling = order;
		list_add(&core->filling, &share->in_filling);
	}
	order->lease[order->count++] = lease->id;
	order->left++;
	lease_set_order(lease, order);
	if (order->count == VCMA_IDS_MAX)
		send(order);
	return 0;
}

static void send_filled(struct core *core)
{
	while (!list_is_empty(&core->filling))
		send(list_entry(core->filling.next, struct share, in_filling)->filling);
}

/* @refused: its holder has had its chance to give up what is left. */
static void end_order(struct core *core, struct order *order, bool refused)
{
	uint32_t i, j;

	for (i = 0; i < order->count && order->left; i++) {
		struct core_lease *lease = core_lease_find(core, order->lease[i]);

		if (!lease || lease->order != order)
			continue;
		lease_set_order(lease, NULL);
		if (refused)
			lease_refuse(lease);
		for (j = lease->first; j < lease->first + lease->nr; j++)
			wait_disturb(lease->share->pool->granule[j].wait);
		order->left--;
	}
	order->share->pool->changed = true;
	if (order->op)
		order->op->nr_orders--;
	list_del(&order->in_core);
	free(order);
}

int reclaim_run(struct core_pool *pool, uint32_t first, uint32_t nr, uint32_t deadline_ms)
{
	uint32_t i = first;
	int ret = 0;

	while (i < first + nr && !ret) {
		struct core_lease *lease = lease_at(pool, i);

		if (lease && !lease->order)
			ret = ask(lease, NULL, deadline_ms);
		i = lease ? lease->first + lease->nr : i + 1;
	}
	send_filled(pool->core);
	return ret;
}

void reclaim_released(struct core_lease *lease)
{
	struct order *order = lease->order;
	uint64_t bytes = core_lease_size(lease);

	lease_set_order(lease, NULL);
	lease->share->reclaimed += bytes;
	lease->share->pool->reclaimed += bytes;
	if (order->op)
		order->op->bytes += bytes;
	if (--order->left == 0)
		end_order(lease->share->vm->core, order, false);
}

void reclaim_done(struct core *core, const struct core_vm *vm, uint32_t id)
{
	struct list *l;

	list_for_each(l, &core->orders) {
		struct order *order = list_entry(l, struct order, in_core);

		if (order->id == id && order->share->vm == vm) {
			end_order(core, order, true);
			return;
		}
	}
}

void reclaim_vm_away(struct core *core, const struct core_vm *vm)
{
	struct list *l, *tmp;

	list_for_each_safe(l, tmp, &core->orders) {
		struct order *order = list_entry(l, struct order, in_core);

		if (order->share->vm == vm)
			end_order(core, order, false);
	}
}

void reclaim_tick(struct core *core)
{
	struct list *l, *tmp;

	list_for_each(l, &core->operations) {
		struct operation *op = list_entry(l, struct operation, in_core);

		if (op->deadline <= core->now && op->nr_orders)
			op->late = true;
	}
	list_for_each_safe(l, tmp, &core->orders) {
		struct order *order = list_entry(l, struct order, in_core);

		if (order->deadline <= core->now)
			end_order(core, order, true);
	}
}

uint64_t reclaim_next(const struct core *core)
{
	uint64_t next = UINT64_MAX;
	struct list *l;

	list_for_each(l, &core->orders) {
		const struct order *order = list_entry(l, struct order, in_core);

		if (order->deadline < next)
			next = order->deadline;
	}
	return next;
}

/* Ask for the leases in shared chunks of @share, chunk by chunk, for at least @bytes. */
static int ask_share(struct share *share, uint64_t bytes, struct operation *op,
		     uint32_t deadline_ms, uint64_t *asked)
{
	struct core_pool *pool = share->pool;
	struct list *l;

	list_for_each(l, &share->used) {
		const struct chunk *c = list_entry(l, struct chunk, used);
		uint32_t i = chunk_index(pool, c) * pool->per, end = i + pool->per;

		if (c->home || *asked >= bytes)
			continue;
		while (i < end) {
			struct core_lease *lease = lease_at(pool, i);

			i = lease ? lease->first + lease->nr : i + 1;
			if (!lease || lease->home || lease->granting || lease->order)
				continue;
			if (ask(lease, op, deadline_ms))
				return -ENOMEM;
			*asked += core_lease_size(lease);
		}
	}
	return 0;
}

/**
 * core_op_reclaim() - Begin an operator's reclaim
 * @core: the core
 * @vm: whom to ask; NULL: all VMs
 * @bytes: how much; UINT64_MAX: all they can spare
 * @deadline_ms: from now
 * @now: CLOCK_MONOTONIC in ms
 *
 * Asks for leases outside the guarantees only, and for all leases of a chunk,
 * so that whole chunks become free.
 *
 * Return: the id for core_op_reclaim_poll(), or 0 (no memory).
 */
uint32_t core_op_reclaim(struct core *core, struct core_vm *vm, uint64_t bytes,
			 uint32_t deadline_ms, uint64_t now)
{
	struct operation *op = calloc(1, sizeof(*op));
	struct share *share;
	uint64_t asked = 0;

	if (!op)
		return 0;
	core->now = now;
	op->id = next_id(core);
	op->deadline = now + deadline_ms;
	list_add(&core->operations, &op->in_core);
	for (share = core->shares; share; share = share->next)
		if (share->vm->connected && (!vm || share->vm == vm) &&
		    ask_share(share, bytes, op, deadline_ms, &asked))
			break;
	send_filled(core);
	return op->id;
}

/**
 * core_op_reclaim_poll() - Has an operator's reclaim ended?
 * @core: the core
 * @id: from core_op_reclaim()
 * @ret_bytes: how much came back
 * @ret_late: some holder had not answered at the deadline
 *
 * Return: true if it has; it is forgotten then.  True, with nothing, for an
 * unknown @id.
 */
bool core_op_reclaim_poll(struct core *core, uint32_t id, uint64_t *ret_bytes, bool *ret_late)
{
	struct list *l;

	list_for_each(l, &core->operations) {
		struct operation *op = list_entry(l, struct operation, in_core);

		if (op->id != id)
			continue;
		if (op->nr_orders)
			return false;
		*ret_bytes = op->bytes;
		*ret_late = op->late;
		list_del(&op->in_core);
		free(op);
		return true;
	}
	*ret_bytes = 0;
	*ret_late = false;
	return true;
}
