// SPDX-License-Identifier: GPL-2.0-or-later
/* debt.c - which granule the scrubber gets next; see debt.h */

#include "debt.h"
#include "granule.h"

static struct core_granule *retry_granule(const struct tree_node *n)
{
	return tree_entry(n, struct core_granule, retry);
}

static bool retry_less(const struct tree_node *a, const struct tree_node *b)
{
	const struct core_granule *x = retry_granule(a), *y = retry_granule(b);

	return x->due != y->due ? x->due < y->due : x < y;
}

void debt_init(struct core *core)
{
	list_init(&core->debtors[DEBT_URGENT]);
	list_init(&core->debtors[DEBT_ORDINARY]);
	tree_init(&core->retry, retry_less, NULL);
}

static void enqueue(struct core *core, struct core_granule *g)
{
	struct core_vm *vm = chunk_of(g)->user->vm;
	int class = g->wait ? DEBT_URGENT : DEBT_ORDINARY;

	list_add(&vm->debt[class], &g->debt);
	if (list_is_empty(&vm->in_debt[class]))
		list_add(&core->debtors[class], &vm->in_debt[class]);
}

void debt_add(struct core *core, struct core_granule *g)
{
	granule_set_state(g, GRANULE_DIRTY);
	enqueue(core, g);
}

void debt_hurry(struct core *core, struct core_granule *g)
{
	list_del(&g->debt);
	enqueue(core, g);
}

/* The next granule of the VM whose turn it is. */
static struct core_granule *next_of(struct core *core, int class)
{
	struct list *turn = core->debtors[class].next;
	struct core_granule *g = NULL;
	struct core_vm *vm;

	while (!g && turn != &core->debtors[class]) {
		vm = list_entry(turn, struct core_vm, in_debt[class]);
		list_del(turn);
		if (!list_is_empty(&vm->debt[class])) {
			g = list_entry(vm->debt[class].next, struct core_granule, debt);
			list_del(&g->debt);
			if (!list_is_empty(&vm->debt[class]))
				list_add(&core->debtors[class], turn);
		}
		turn = core->debtors[class].next;
	}
	return g;
}

static struct core_granule *next_retry(struct core *core)
{
	struct tree_node *n = tree_first(&core->retry);
	struct core_granule *g = n ? retry_granule(n) : NULL;

	if (!g || g->due > core->now || core->nr_retrying >= RETRY_AT_ONCE)
		return NULL;
	tree_remove(&core->retry, n);
	core->nr_retrying++;
	return g;
}

/**
 * debt_dispatch() - Hand to the scrubber what it can take
 * @core: the core
 */
void debt_dispatch(struct core *core)
{
	struct core_granule *g;

	while (core->nr_scrubbing < CORE_SCRUB_MAX) {
		g = next_retry(core);
		if (!g)
			g = next_of(core, DEBT_URGENT);
		if (!g)
			g = next_of(core, DEBT_ORDINARY);
		if (!g)
			return;
		granule_set_state(g, GRANULE_SCRUBBING);
		core->nr_scrubbing++;
		core->ops->scrub(core->opaque, g);
	}
}

void debt_scrubbed(struct core *core, struct core_granule *g)
{
	core->nr_scrubbing--;
	if (g->backoff)
		core->nr_retrying--;
}

void debt_quarantine(struct core *core, struct core_granule *g)
{
	g->backoff = g->backoff ? (uint16_t)(g->backoff * 2u > RETRY_MAX_MS ? RETRY_MAX_MS :
					     g->backoff * 2u) : RETRY_FIRST_MS;
	g->due = core->now + g->backoff;
	granule_set_state(g, GRANULE_QUARANTINED);
	tree_insert(&core->retry, &g->retry);
}

void debt_unquarantine(struct core *core, struct core_granule *g)
{
	tree_remove(&core->retry, &g->retry);
}

uint64_t debt_next(const struct core *core)
{
	struct tree_node *n = tree_first(&core->retry);

	return n ? retry_granule(n)->due : UINT64_MAX;
}
