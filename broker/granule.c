// SPDX-License-Identifier: GPL-2.0-or-later
/* granule.c - the states of a granule (I1); see granule.h */

#include "granule.h"

#include <assert.h>

#define BIT(state) (1u << (state))

static const uint8_t granule_next[GRANULE_NR_STATES] = {
	[GRANULE_CLEAN]		= BIT(GRANULE_RESERVED) | BIT(GRANULE_GRANTING),
	[GRANULE_RESERVED]	= BIT(GRANULE_GRANTING) | BIT(GRANULE_CLEAN),
	[GRANULE_GRANTING]	= BIT(GRANULE_LEASED) | BIT(GRANULE_DIRTY),
	[GRANULE_LEASED]	= BIT(GRANULE_DIRTY),
	[GRANULE_DIRTY]		= BIT(GRANULE_SCRUBBING),
	[GRANULE_SCRUBBING]	= BIT(GRANULE_CLEAN) | BIT(GRANULE_QUARANTINED) | BIT(GRANULE_BAD),
	[GRANULE_QUARANTINED]	= BIT(GRANULE_SCRUBBING) | BIT(GRANULE_CLEAN),
	[GRANULE_BAD]		= 0,
};

static const char *const granule_names[] = {
	"clean", "reserved", "granting", "leased", "dirty", "scrubbing", "quarantined", "bad",
};

_Static_assert(sizeof(granule_names) / sizeof(granule_names[0]) == GRANULE_NR_STATES,
	       "a name for each state");
_Static_assert(GRANULE_NR_STATES <= 8, "a bit for each state");

bool granule_step_is_legal(enum granule_state from, enum granule_state to)
{
	return granule_next[from] & BIT(to);
}

const char *granule_state_name(enum granule_state state)
{
	return granule_names[state];
}

static unsigned int is_missing(enum granule_state state)
{
	return state == GRANULE_QUARANTINED || state == GRANULE_BAD;
}

/**
 * granule_set_state() - Move a granule on
 * @g: the granule
 * @state: must be a legal step from where it is
 */
void granule_set_state(struct core_granule *g, enum granule_state state)
{
	struct core_pool *pool = g->pool;
	struct chunk *c = chunk_of(g);

	assert(granule_step_is_legal(g->state, state));
	c->nr[g->state]--;
	pool->state[g->state]--;
	if (!granule_is_idle(g->state))
		c->user->state[g->state]--;
	if (c->home)
		c->home->nr_missing += is_missing(state) - is_missing(g->state);
	if (g->state == GRANULE_CLEAN || state == GRANULE_CLEAN)
		buddy_set(pool->buddies + 2 * (size_t)pool->per * chunk_index(pool, c), pool->per,
			  g->index & (pool->per - 1), state == GRANULE_CLEAN);
	if (state == GRANULE_BAD && c->nr[GRANULE_BAD] == 0)
		pool->nr_broken++;
	g->state = (uint8_t)state;
	c->nr[state]++;
	pool->state[state]++;
	if (!granule_is_idle(state))
		c->user->state[state]++;
}
