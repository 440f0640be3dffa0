// SPDX-License-Identifier: GPL-2.0-or-later
/* policy.c - may this VM have it, who should give, and if not, why; see policy.h */

#include "policy.h"
#include "vcma_broker.h"

/**
 * policy_decide() - Decide on a request for a lease
 * @v: the snapshot
 *
 * The VM's own limit comes first: it is what the VM can do something about.
 * Then whether there is enough, and who has it; then whether it lies in one
 * run.
 *
 * Return: VCMA_ST_OK, OVER_LIMIT, NO_MEMORY, GUARANTEED, NO_RUN, TRY_LATER.
 */
uint32_t policy_decide(const struct policy_view *v)
{
	uint64_t theirs_or_free = (uint64_t)v->pool - v->own;

	if ((uint64_t)v->firm + v->need > v->limit)
		return v->need > v->pool ? VCMA_ST_NO_MEMORY : VCMA_ST_OVER_LIMIT;
	if (v->need > theirs_or_free)
		return VCMA_ST_NO_MEMORY;
	if (v->need > theirs_or_free - v->guaranteed)
		return VCMA_ST_GUARANTEED;
	if (v->run_possible)
		return VCMA_ST_OK;
	if (v->run_refused)
		return VCMA_ST_TRY_LATER;
	if (v->run_guaranteed)
		return VCMA_ST_GUARANTEED;
	return VCMA_ST_NO_RUN;
}

/* What @vm would have if there were enough. */
static uint32_t demand(const struct policy_vm *vm)
{
	uint64_t n = (uint64_t)vm->held - vm->idle + vm->wanted;

	return n < vm->most ? (uint32_t)n : vm->most;
}

/**
 * policy_fair_share() - How much is each VM entitled to?
 * @vm: those that have or want anything
 * @nr: how many
 * @shared: chunks above guarantees
 *
 * Begins with equal parts; what some do not want of theirs is divided among the
 * others, until nobody leaves anything.
 *
 * Return: the largest level at which all VMs together, each having what it wants
 * up to the level, have no more than there is; UINT32_MAX if all can have what
 * they want.
 */
uint32_t policy_fair_share(const struct policy_vm *vm, uint32_t nr, uint32_t shared)
{
	uint64_t level = 0, next = nr ? shared / nr : 0, content, n;
	uint32_t i, more;

	do {
		level = next;
		content = 0;
		more = 0;
		for (i = 0; i < nr; i++) {
			n = demand(&vm[i]);
			if (n <= level)
				content += n;
			else
				more++;
		}
		if (!more)
			return UINT32_MAX;
		next = (shared - content) / more;
	} while (next > level);
	return (uint32_t)level;
}

/**
 * policy_rank() - When is a lease asked for, of all that stand in the way?
 * @pair: on whose behalf, and whose it is
 * @use: what its holder says of it
 *
 * Return: the rank, or POLICY_NEVER.
 */
unsigned int policy_rank(const struct policy_pair *pair, enum policy_use use)
{
	if (use == POLICY_BUSY && pair->holder >= pair->asker && !(pair->beyond && pair->within))
		return POLICY_NEVER;
	return ((unsigned int)use * (POLICY_PRIORITY_MAX + 1) + pair->holder) * 2 + !pair->beyond;
}

bool policy_cheaper(const struct policy_cost *a, const struct policy_cost *b)
{
	unsigned int rank;

	for (rank = POLICY_RANKS; rank-- > 0;)
		if (a->asked[rank] != b->asked[rank])
			return a->asked[rank] < b->asked[rank];
	return a->coming < b->coming;
}
