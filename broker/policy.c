// SPDX-License-Identifier: GPL-2.0-or-later
/* policy.c - may this VM have it, and if not, why; see policy.h */

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
