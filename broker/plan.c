// SPDX-License-Identifier: GPL-2.0-or-later
/* plan.c - what a request that cannot be served at once should wait for; see plan.h */

#include "plan.h"
#include "chunk.h"
#include "lease.h"
#include "policy.h"
#include "wait.h"

#include <string.h>

/* What stands in the way of having a chunk; the later ones weigh more. */
enum bar {
	BAR_NONE,
	BAR_TIME,	/* something that ends by itself */
	BAR_REFUSED,	/* a lease that this request has asked for in vain */
	BAR_GUARANTEE,	/* home of another VM */
	BAR_OWN,	/* the VM's own leases and claims */
	BAR_BROKEN,
	BAR_NR
};

/**
 * struct look - one chunk as the request sees it
 * @bar: what stands in the way
 * @mine: it is charged to the VM already
 * @coming: granules that are on their way back
 * @ask: granules of small leases that somebody has to give up, by what he says of them
 * @big: a lease of several chunks that is to be reclaimed
 * @pair: who asks whom, if one of these is there
 */
struct look {
	enum bar bar;
	bool mine;
	uint32_t coming;
	const uint32_t *ask;
	const struct core_lease *big;
	struct policy_pair pair;
};

/* The run that is being looked at, and what was found so far. */
struct scan {
	struct share *share;
	const struct want *want;
	uint64_t serial;
	uint64_t recheck;
	uint32_t fair;			/* share of each VM, chunks */
	bool within;			/* the VM stays within it */
	uint32_t bars[BAR_NR];		/* in the run */
	uint32_t all[BAR_NR];		/* in the pool */
	struct policy_cost cost;
	uint32_t mine;
	uint32_t first, nr;		/* the run, in chunks */
	bool possible, refused, guaranteed;
	const struct share *by;
	uint32_t by_bars;
	bool found;
	struct policy_cost best_cost;
	uint32_t best;
};

static void raise(struct look *look, enum bar bar)
{
	if (look->bar < bar)
		look->bar = bar;
}

/* Leases of another VM in a shared chunk, refused at the latest when it says here. */
static void look_at_leases(struct scan *s, const struct share *holder, uint64_t refused,
			   uint64_t refused_at, struct look *look)
{
	uint64_t again = refused_at + PLAN_ASK_AGAIN_MS;

	look->pair = (struct policy_pair){
		.asker = s->share->vm->priority, .holder = holder->vm->priority,
		.within = s->within, .beyond = holder->nr_shared > s->fair,
	};
	if (!holder->vm->connected) {
		raise(look, BAR_TIME);
	} else if (refused >= s->serial) {
		raise(look, BAR_REFUSED);
	} else if (refused && again > s->share->vm->core->now) {
		raise(look, BAR_TIME);
		if (again < s->recheck)
			s->recheck = again;
	}
}

static void look_at_big(struct scan *s, const struct core_lease *lease, struct look *look)
{
	if (lease->home || lease->granting)
		raise(look, BAR_TIME);
	else
		look_at_leases(s, lease->share, lease->refused, lease->refused_at, look);
	if (!lease->order && policy_rank(&look->pair, lease->use) == POLICY_NEVER)
		raise(look, BAR_REFUSED);
	look->big = lease;
}

static void look_at_small(struct scan *s, const struct chunk *c, struct look *look)
{
	const uint32_t *ask = c->nr_ask;

	if (c->nr[GRANULE_GRANTING])
		raise(look, BAR_TIME);
	look_at_leases(s, c->user, c->refused, c->refused_at, look);
	if (ask[POLICY_BUSY] && policy_rank(&look->pair, POLICY_BUSY) == POLICY_NEVER)
		raise(look, BAR_REFUSED);
	look->coming += c->nr[GRANULE_LEASED] + c->nr[GRANULE_GRANTING] -
			ask[POLICY_IDLE] - ask[POLICY_UNKNOWN] - ask[POLICY_BUSY];
	look->ask = ask;
}

static struct look look_at(struct scan *s, uint32_t index)
{
	const struct chunk *c = &s->share->pool->chunk[index];
	struct look look = { .bar = BAR_NONE, .mine = c->user == s->share };

	if (c->nr[GRANULE_BAD]) {
		look.bar = BAR_BROKEN;
		return look;
	}
	if (c->home && c->home != s->share) {
		look.bar = BAR_GUARANTEE;
		return look;
	}
	if (!c->user)
		return look;
	if (look.mine && (c->nr[GRANULE_LEASED] || c->nr[GRANULE_GRANTING] ||
			  c->nr[GRANULE_RESERVED])) {
		look.bar = BAR_OWN;
		return look;
	}
	if (c->claim || c->nr_claimed || c->nr[GRANULE_QUARANTINED])
		look.bar = BAR_TIME;
	look.coming = c->nr[GRANULE_DIRTY] + c->nr[GRANULE_SCRUBBING];
	if (c->big)
		look_at_big(s, c->big, &look);
	else if (c->nr[GRANULE_LEASED] || c->nr[GRANULE_GRANTING])
		look_at_small(s, c, &look);
	return look;
}

/* What a chunk adds to the cost of the run (@sign 1), or takes from it (-1). */
static void add_cost(struct scan *s, const struct look *look, bool big, uint32_t sign)
{
	unsigned int use, rank;

	s->cost.coming += sign * look->coming;
	for (use = 0; look->ask && use < POLICY_USES; use++) {
		rank = policy_rank(&look->pair, use);
		if (rank != POLICY_NEVER)
			s->cost.asked[rank] += sign * look->ask[use];
	}
	if (!big)
		return;
	rank = policy_rank(&look->pair, look->big->use);
	if (look->big->order)
		s->cost.coming += sign * look->big->nr;
	else if (rank != POLICY_NEVER)
		s->cost.asked[rank] += sign * look->big->nr;
}

/* Does no run with such a chunk teach anything? */
static bool is_fatal(const struct scan *s, enum bar bar)
{
	return bar == BAR_OWN || bar == BAR_BROKEN || (bar == BAR_REFUSED && s->refused);
}

/* The run begins anew at @index. */
static void restart(struct scan *s, uint32_t index)
{
	s->first = index;
	if (!s->nr)
		return;
	s->nr = 0;
	s->mine = 0;
	memset(s->bars, 0, sizeof(s->bars));
	memset(&s->cost, 0, sizeof(s->cost));
}

/* The run grows by the chunk after it, or begins anew behind that one. */
static void take_in(struct scan *s)
{
	uint32_t index = s->first + s->nr;
	struct look look = look_at(s, index);

	s->all[look.bar]++;
	if (is_fatal(s, look.bar)) {
		restart(s, index + 1);
		return;
	}
	s->bars[look.bar]++;
	s->mine += look.mine;
	/* A lease of several chunks counts once, when its first chunk in the run comes in. */
	add_cost(s, &look, look.big &&
		 (!s->nr || s->share->pool->chunk[index - 1].big != look.big), 1);
	s->nr++;
}

/* The run loses its first chunk. */
static void let_go(struct scan *s)
{
	struct look look = look_at(s, s->first);

	s->bars[look.bar]--;
	s->mine -= look.mine;
	s->first++;
	s->nr--;
	add_cost(s, &look, look.big &&
		 (!s->nr || s->share->pool->chunk[s->first].big != look.big), -1u);
}

/* The other VM whose guarantee lies in the run. */
static const struct share *guaranteed_to(const struct scan *s)
{
	uint32_t i;

	for (i = s->first; i < s->first + s->nr; i++) {
		const struct share *home = s->share->pool->chunk[i].home;

		if (home && home != s->share)
			return home;
	}
	return NULL;
}

static void judge_run(struct scan *s)
{
	const struct share *share = s->share;
	uint64_t addr;
	uint32_t c;

	if (!extent_consecutive(&share->pool->map, s->first, s->nr) ||
	    !extent_place(&share->pool->map, s->first, s->nr, &s->want->ext, &c, &addr))
		return;
	if (s->bars[BAR_GUARANTEE]) {
		if (!s->guaranteed || s->bars[BAR_GUARANTEE] < s->by_bars) {
			s->by = guaranteed_to(s);
			s->by_bars = s->bars[BAR_GUARANTEE];
		}
		s->guaranteed = true;
		return;
	}
	if (s->bars[BAR_REFUSED]) {
		s->refused = true;
		return;
	}
	s->possible = true;
	if (s->bars[BAR_TIME] || share_charged(share) + s->nr - s->mine > share->limit)
		return;
	if (!s->found || policy_cheaper(&s->cost, &s->best_cost)) {
		s->found = true;
		s->best_cost = s->cost;
		s->best = s->first;
	}
}

/* Charged to the VM, and not about to be clean. */
static uint32_t firm(const struct share *share)
{
	uint32_t n = share_charged(share);
	struct list *l;

	list_for_each(l, &share->used) {
		const struct chunk *c = list_entry(l, struct chunk, used);

		n -= chunk_is_only_dirty(c);
	}
	return n;
}

/* The other VM with the largest guarantee. */
static const struct share *largest_guarantee(const struct share *share)
{
	return share->pool->most[share->pool->most[0] == share];
}

/* What each VM is entitled to, of what is above guarantees. */
static uint32_t fair_share(struct core_pool *pool)
{
	uint32_t n = 0;
	struct list *l;

	list_for_each(l, &pool->active) {
		const struct share *share = list_entry(l, struct share, in_active);

		pool->view[n++] = (struct policy_vm){
			.held = share->nr_shared,
			.idle = share->nr_idle / pool->per < share->nr_shared ?
				share->nr_idle / pool->per : share->nr_shared,
			.wanted = wait_wanted(share),
			.most = share->limit - share->guarantee,
		};
	}
	return policy_fair_share(pool->view, n, pool->nr_chunks - pool->nr_home);
}

/* A block of a chunk of the VM's own whose granules will all be clean. */
static bool plan_in_chunk(struct share *share, const struct want *want, struct plan *ret)
{
	struct core_pool *pool = share->pool;
	struct list *l;

	list_for_each(l, &share->used) {
		const struct chunk *c = list_entry(l, struct chunk, used);
		uint32_t base = chunk_index(pool, c) * pool->per, block, i;

		if (c->claim || c->nr[GRANULE_BAD] ||
		    c->nr[GRANULE_DIRTY] + c->nr[GRANULE_SCRUBBING] + c->nr[GRANULE_CLEAN] <
		    want->granules)
			continue;
		for (block = base; block < base + pool->per; block += want->granules) {
			uint64_t addr = granule_addr(pool, block);

			if (addr & (want->ext.align - 1) ||
			    !vcma_reach_ok(&want->ext.reach, addr, want->ext.size))
				continue;
			for (i = block; i < block + want->granules; i++) {
				const struct core_granule *g = &pool->granule[i];

				if (g->wait || (g->state != GRANULE_CLEAN &&
						g->state != GRANULE_DIRTY &&
						g->state != GRANULE_SCRUBBING))
					break;
			}
			if (i < block + want->granules)
				continue;
			ret->first = block;
			ret->nr = want->granules;
			ret->lease_first = block;
			ret->whole = false;
			return true;
		}
	}
	return false;
}

static void scan_pool(struct scan *s)
{
	struct core_pool *pool = s->share->pool;

	s->fair = fair_share(pool);
	s->within = (uint64_t)s->share->nr_shared + s->want->chunks <= s->fair;
	while (s->first + s->nr < pool->nr_chunks) {
		if (s->nr == s->want->chunks)
			let_go(s);
		take_in(s);
		if (s->nr == s->want->chunks)
			judge_run(s);
	}
}

/* All of the view but `firm`. */
static void fill_view(const struct scan *s, struct policy_view *v)
{
	const struct share *share = s->share;

	v->need = s->want->chunks;
	v->limit = share->limit;
	v->pool = share->pool->nr_chunks - share->pool->nr_broken;
	v->guaranteed = s->all[BAR_GUARANTEE];
	v->own = s->all[BAR_OWN];
	v->run_guaranteed = s->guaranteed;
	v->run_refused = s->refused;
	v->run_possible = s->possible;
}

/**
 * plan_make() - Find out what a request should wait for
 * @share: whose request it is
 * @want: what it wants; cannot be had at once
 * @serial: core::serial when it came
 * @ret: the plan
 */
void plan_make(struct share *share, const struct want *want, uint64_t serial, struct plan *ret)
{
	struct scan s = { .share = share, .want = want, .serial = serial, .recheck = UINT64_MAX };
	struct policy_view view;
	uint64_t addr;
	uint32_t c;

	*ret = (struct plan){ .status = VCMA_ST_OK, .recheck = UINT64_MAX };
	if (want->granules < share->pool->per && plan_in_chunk(share, want, ret))
		return;
	view.firm = firm(share);
	if ((uint64_t)view.firm + want->chunks <= share->limit)
		scan_pool(&s);
	fill_view(&s, &view);
	ret->status = policy_decide(&view);
	if (ret->status == VCMA_ST_GUARANTEED)
		ret->by = s.guaranteed && view.need <= view.pool - view.own - view.guaranteed ?
			  s.by : largest_guarantee(share);
	if (ret->status != VCMA_ST_OK)
		return;
	ret->recheck = s.recheck;
	if (!s.found)
		return;
	/* judge_run() has placed it there before. */
	if (!extent_place(&share->pool->map, s.best, want->chunks, &want->ext, &c, &addr))
		return;
	ret->first = s.best * share->pool->per;
	ret->nr = want->chunks * share->pool->per;
	ret->lease_first = place_granule(share->pool, c, addr);
	ret->whole = true;
}
