// SPDX-License-Identifier: GPL-2.0-or-later
/* debt.c - which granule the scrubber gets next; see debt.h */

#include "debt.h"
#include "granule.h"

/* ms to wait after @tries tries in a row. */
static uint64_t backoff_ms(unsigned int tries)
{
	uint64_t ms = (uint64_t)RETRY_FIRST_MS << (tries - 1);

	return tries < DEBT_BACKOFFS ? ms : RETRY_MAX_MS;
}

_Static_assert(RETRY_FIRST_MS << (DEBT_BACKOFFS - 2) < RETRY_MAX_MS &&
	       RETRY_FIRST_MS << (DEBT_BACKOFFS - 1) >= RETRY_MAX_MS,
	       "a list for each time to wait");

void debt_init(struct core *core)
{
	int i;

	list_init(&core->debtors[DEBT_URGENT]);
	list_init(&core->debtors[DEBT_ORDINARY]);
	for (i = 0; i < DEBT_BACKOFFS; i++)
		list_init(&core->retry[i]);
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

/* The one whose time comes first, or NULL. */
static struct core_granule *first_retry(const struct core *core)
{
	struct core_granule *first = NULL;
	int i;

	for (i = 0; i < DEBT_BACKOFFS; i++) {
		const struct list *head = &core->retry[i];
		struct core_granule *g = list_entry(head->next, struct core_granule, debt);

		if (!list_is_empty(head) && (!first || g->due < first->due))
			first = g;
	}
	return first;
}

static struct core_granule *next_retry(struct core *core)
{
	struct core_granule *g = first_retry(core);

	if (!g || g->due > core->now || core->nr_retrying >= RETRY_AT_ONCE)
		return NULL;
	list_del(&g->debt);
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
	if (g->tries)
		core->nr_retrying--;
}

void debt_quarantine(struct core *core, struct core_granule *g)
{
	if (g->tries < DEBT_BACKOFFS)
		g->tries++;
	granule_set_state(g, GRANULE_QUARANTINED);
	g->due = core->now + backoff_ms(g->tries);
	list_add(&core->retry[g->tries - 1], &g->debt);
}

void debt_unquarantine(struct core_granule *g)
{
	list_del(&g->debt);
}

uint64_t debt_next(const struct core *core)
{
	const struct core_granule *g = first_retry(core);

	return g ? g->due : UINT64_MAX;
}
