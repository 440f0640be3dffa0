// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-random.c - random events against a model that knows nothing of
 * how the core decides, only what it must never do
 *
 * The model has one owner for each granule of all pools.  After each event
 * core_check() is called, too.  VCMA_SEED=N repeats a run; the seed is printed.
 */

#include "core-sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

#define GRANULE		(2 * MIB)
#define PER_POOL	256
#define NR_POOLS	2
#define NR_GRANULES	(NR_POOLS * PER_POOL)
#define MAX_LEASES	512
#define MAX_REQUESTS	512
#define NR_VMS		4

/* What the model knows of a granule. */
struct cell {
	uint64_t lease;		/* 0: none */
	bool dirty;		/* given back, not proved to be clean */
	int home;		/* share, or -1 */
};

/* What a VM may have of a pool; share i is what sim::share[i] says. */
struct share_of {
	uint32_t pool;
	uint64_t guarantee;
};

struct held {
	struct core_lease *lease;
	uint64_t id;
	int vm;
	uint32_t pool;
	bool acked;
	uint32_t first, nr;
};

struct request {
	int vm;
	uint32_t sequence;
	struct core_lease_args args;
	uint64_t deadline;
};

struct model {
	struct sim *sim;
	uint64_t random;
	uint64_t base[2 * NR_POOLS];	/* each pool is two extents */
	struct cell cell[NR_GRANULES];
	struct held held[MAX_LEASES];
	uint32_t nr_held;
	struct request request[MAX_REQUESTS];
	uint32_t nr_requests;
	bool connected[NR_VMS];
	uint32_t seen_answers, seen_reclaims;
	uint32_t grants, refusals, obeyed;
	uint32_t grants_of[NR_POOLS];
	bool may_be_bad;
	struct core_pool *pool[NR_POOLS];
	struct share_of share[SIM_SHARES];
};

static uint64_t roll(struct model *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (m->random >> 11) % below;
}

static int vm_number(const struct model *m, const struct core_vm *vm)
{
	int i;

	for (i = 0; i < NR_VMS; i++)
		if (m->sim->vm[i] == vm)
			return i;
	fail_msg("an order for a VM that is none");
	return -1;
}

/* The share of @vm in its @bank, or -1. */
static int share_number(const struct model *m, const struct core_vm *vm, uint32_t bank)
{
	uint32_t i;

	for (i = 0; i < m->sim->nr_shares; i++)
		if (m->sim->share[i].vm == vm && m->sim->share[i].bank == bank)
			return (int)i;
	return -1;
}

static uint64_t cell_addr(const struct model *m, uint32_t i)
{
	return m->base[i / (PER_POOL / 2)] + i % (PER_POOL / 2) * GRANULE;
}

static uint32_t cell_of(const struct model *m, const struct core_granule *g)
{
	uint64_t addr = core_granule_pfn(g) * 4096;
	uint32_t e = 2 * NR_POOLS - 1;

	while (addr < m->base[e])
		e--;
	return (uint32_t)((addr - m->base[e]) / GRANULE) + e * (PER_POOL / 2);
}

static struct core_granule *cell_granule(const struct model *m, uint32_t i)
{
	return &m->pool[i / PER_POOL]->granule[i % PER_POOL];
}

static struct core_pool *make_pool(struct model *m, uint32_t p, uint32_t per)
{
	uint64_t pfn[PER_POOL];
	uint32_t i;

	for (i = 0; i < PER_POOL; i++)
		pfn[i] = cell_addr(m, p * PER_POOL + i) / 4096;
	if (p)
		return sim_pool_pfns(m->sim, "second", pfn, PER_POOL, per * GRANULE, GRANULE);
	m->sim = sim_new_pfns(pfn, PER_POOL, per * GRANULE, GRANULE);
	return m->sim->pool;
}

static void note_share(struct model *m, uint32_t pool, uint64_t guarantee)
{
	m->share[m->sim->nr_shares - 1] = (struct share_of){
		.pool = pool, .guarantee = guarantee,
	};
}

static void add_vm(struct model *m, const char *name, uint64_t guarantee, uint64_t run,
		   uint64_t limit)
{
	sim_vm(m->sim, name, guarantee, run, limit);
	note_share(m, 0, guarantee);
}

static void add_bank(struct model *m, uint32_t vm, uint32_t bank, uint64_t guarantee, uint64_t run,
		     uint64_t limit)
{
	sim_bank(m->sim, m->sim->vm[vm], bank, m->pool[1], guarantee, run, limit);
	note_share(m, 1, guarantee);
}

static struct model *make_model(uint64_t seed, uint32_t per)
{
	struct model *m = calloc(1, sizeof(*m));
	const uint64_t pool = PER_POOL * GRANULE;
	uint64_t chunk = per * GRANULE;
	uint32_t i;

	assert_non_null(m);
	m->random = seed * 2654435761u + 1;
	for (i = 0; i < 2 * NR_POOLS; i++)
		m->base[i] = (1 + 3 * i) * GIB;
	m->pool[0] = make_pool(m, 0, per);
	add_vm(m, "a", 4 * chunk, 4 * chunk, pool / 2);
	add_vm(m, "b", 4 * chunk, 2 * chunk, pool);
	add_vm(m, "c", 2 * chunk, chunk, pool / 4);
	add_vm(m, "d", 0, 0, pool * 3 / 4);
	/* The second pool is cut in other chunks. */
	per = per > 1 ? per / 2 : 4;
	chunk = per * GRANULE;
	m->pool[1] = make_pool(m, 1, per);
	add_bank(m, 0, 1, 2 * chunk, chunk, pool / 2);
	add_bank(m, 1, 31, 0, 0, pool);
	add_bank(m, 3, 1, 4 * chunk, 2 * chunk, pool / 4);
	for (i = 0; i < NR_VMS; i++)
		m->connected[i] = true;
	/* Some equal, some not. */
	for (i = 0; i < NR_VMS; i++)
		m->sim->vm[i]->priority = (uint8_t)roll(m, 3);
	for (i = 0; i < NR_GRANULES; i++) {
		const struct share *home = chunk_of(cell_granule(m, i))->home;

		m->cell[i].home = home ? share_number(m, home->vm, home->number) : -1;
	}
	return m;
}

static struct request *find_request(struct model *m, int vm, uint32_t sequence)
{
	uint32_t i;

	for (i = 0; i < m->nr_requests; i++)
		if (m->request[i].vm == vm && m->request[i].sequence == sequence)
			return &m->request[i];
	return NULL;
}

static void forget_request(struct model *m, struct request *r)
{
	*r = m->request[--m->nr_requests];
}

/* I1, I2, I5, I7: a lease is made of what nobody has, in one run, in the bank that was asked for. */
static void model_grant(struct model *m, const struct sim_answer *a, const struct request *r)
{
	struct held *h = &m->held[m->nr_held++];
	const struct core_lease_args *args = &r->args;
	int share = share_number(m, a->vm, args->bank);
	uint64_t addr, i;

	assert_true(m->nr_held < MAX_LEASES);
	assert_true(share >= 0);
	h->lease = a->lease;
	h->id = a->id;
	h->vm = r->vm;
	h->acked = false;
	h->nr = core_lease_nr_granules(a->lease);
	h->first = cell_of(m, core_lease_granule(a->lease, 0));
	h->pool = h->first / PER_POOL;
	assert_int_equal(h->pool, m->share[share].pool);	/* I5 */
	m->grants_of[h->pool]++;
	addr = cell_addr(m, h->first);
	assert_int_equal(core_lease_size(a->lease), args->size);
	assert_int_equal(h->nr * GRANULE, args->size);
	if (args->alignment)
		assert_int_equal(addr % args->alignment, 0);
	if (args->boundary)
		assert_int_equal(addr / args->boundary, (addr + args->size - 1) / args->boundary);
	assert_true(addr + args->size - 1 <= args->max_addr);
	for (i = 0; i < h->nr; i++) {
		struct core_granule *g = core_lease_granule(a->lease, (uint32_t)i);
		struct cell *c = &m->cell[h->first + i];

		assert_int_equal(core_granule_pfn(g) * 4096, addr + i * GRANULE);
		assert_int_equal((addr + i * GRANULE) & args->forbidden, 0);
		assert_int_equal(core_granule_state(g), GRANULE_GRANTING);
		assert_int_equal(c->lease, 0);
		assert_false(c->dirty);
		assert_int_equal((h->first + i) / PER_POOL, h->pool);
		assert_true(c->home < 0 || c->home == share);
		c->lease = h->id;
	}
}

static struct held *find_held(struct model *m, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < m->nr_held; i++)
		if (m->held[i].id == id)
			return &m->held[i];
	return NULL;
}

static void model_end_lease(struct model *m, struct held *h)
{
	uint32_t i;

	for (i = h->first; i < h->first + h->nr; i++) {
		m->cell[i].lease = 0;
		m->cell[i].dirty = true;
	}
	*h = m->held[--m->nr_held];
}

/* Take in what the core has ordered in the event just past. */
static void catch_up(struct model *m)
{
	struct sim *sim = m->sim;
	uint32_t i, j;

	for (; m->seen_answers < sim->answers; m->seen_answers++) {
		const struct sim_answer *a = &sim->answer[m->seen_answers];
		struct request *r = find_request(m, vm_number(m, a->vm), a->sequence);

		assert_non_null(r);	/* each request has one answer */
		if (a->status == VCMA_ST_OK) {
			model_grant(m, a, r);
			m->grants++;
		} else {
			m->refusals++;
		}
		forget_request(m, r);
	}
	if (sim->answers > SIM_LOG / 2) {
		sim->answers = 0;
		m->seen_answers = 0;
	}
	for (; m->seen_reclaims < sim->reclaims; m->seen_reclaims++) {
		const struct sim_reclaim *r = &sim->reclaim[m->seen_reclaims];

		assert_true(m->connected[vm_number(m, r->vm)]);
		for (i = 0; i < r->count; i++) {
			const struct held *h = find_held(m, r->lease[i]);

			assert_non_null(h);
			assert_int_equal(h->vm, vm_number(m, r->vm));
			assert_true(h->acked);
			assert_int_equal(h->pool, find_held(m, r->lease[0])->pool);
			for (j = h->first; j < h->first + h->nr; j++)
				assert_int_equal(m->cell[j].home, -1);	/* I7 */
		}
	}
	if (sim->reclaims > SIM_LOG / 2) {
		memmove(sim->reclaim, sim->reclaim + sim->reclaims - 16,
			16 * sizeof(sim->reclaim[0]));
		sim->reclaims = 16;
		m->seen_reclaims = 16;
	}
	sim->changes = 0;
	for (i = 0; i < m->nr_requests; i++) {
		assert_true(core_next_tick(sim->core) <= m->request[i].deadline);
		assert_true(m->request[i].deadline > sim->now);	/* I10 */
	}
}

/* I7: below its guarantee, and all of its home is clean and unused. */
static bool must_have_at_once(const struct model *m, int vm, uint32_t bank, uint64_t size)
{
	int n = share_number(m, m->sim->vm[vm], bank);
	const struct share *share;
	uint64_t chunk;
	uint32_t i;

	if (n < 0 || !m->share[n].guarantee)
		return false;
	share = m->sim->vm[vm]->bank[bank];
	chunk = m->pool[m->share[n].pool]->chunk_size;
	if (size > share->run * chunk ||
	    share_charged(share) * chunk + size > m->share[n].guarantee)
		return false;
	for (i = 0; i < NR_GRANULES; i++)
		if (m->cell[i].home == n &&
		    core_granule_state(cell_granule(m, i)) != GRANULE_CLEAN)
			return false;
	return true;
}

static void do_lease(struct model *m)
{
	int vm = (int)roll(m, NR_VMS);
	struct core_lease_args args = {
		.size = GRANULE << roll(m, roll(m, 4) ? 5 : 9),
		.max_addr = UINT64_MAX,
		.bank = roll(m, 2) ? 0 : roll(m, 8) ? (vm == 1 ? 31 : 1) : (uint32_t)roll(m, 40),
		.deadline_ms = 1 + (uint32_t)roll(m, 2000),
	};
	bool at_once, plain = roll(m, 4) != 0;
	uint32_t before = m->nr_held;

	if (!m->connected[vm] || m->nr_requests > MAX_REQUESTS - 4 || m->nr_held > MAX_LEASES - 4)
		return;
	if (!plain) {
		if (roll(m, 2))
			args.alignment = GRANULE << roll(m, 8);
		if (roll(m, 2))
			args.boundary = args.size << roll(m, 3);
		if (roll(m, 2))
			args.max_addr = roll(m, 2) ? 4 * GIB - 1 : m->base[roll(m, 4)] + roll(m, 512) * MIB;
		if (roll(m, 2))
			args.forbidden = GRANULE << roll(m, 8);
	}
	at_once = plain && must_have_at_once(m, vm, args.bank, args.size);
	m->request[m->nr_requests++] = (struct request){
		.vm = vm, .sequence = m->sim->sequence + 1, .args = args,
		.deadline = m->sim->now + args.deadline_ms,
	};
	sim_ask_args(m->sim, m->sim->vm[vm], &args);
	if (!core_vm_has_bank(m->sim->vm[vm], args.bank))
		assert_int_equal(m->sim->answer[m->sim->answers - 1].status, VCMA_ST_DENIED);
	catch_up(m);
	if (at_once)
		assert_int_equal(m->nr_held, before + 1);
}

static void do_ack(struct model *m)
{
	uint32_t i;

	for (i = 0; i < m->nr_held; i++) {
		struct held *h = &m->held[i];

		if (h->acked || roll(m, 3) == 0)
			continue;
		if (roll(m, 16) == 0) {
			struct core_lease *lease = h->lease;

			model_end_lease(m, h);
			core_lease_failed(m->sim->core, lease, m->sim->now);
		} else {
			h->acked = true;
			core_lease_acked(m->sim->core, h->lease, m->sim->now);
		}
		catch_up(m);
	}
}

static void release(struct model *m, struct held *h)
{
	struct core_vm *vm = m->sim->vm[h->vm];
	uint64_t id = h->id;

	model_end_lease(m, h);
	assert_int_equal(core_released(m->sim->core, vm, &id, 1, m->sim->now), 0);
	catch_up(m);
}

static void do_release(struct model *m)
{
	struct held *h;
	uint64_t bad[2];

	if (!m->nr_held)
		return;
	h = &m->held[roll(m, m->nr_held)];
	bad[0] = h->id;
	bad[1] = roll(m, 2) ? h->id : h->id + 100000;
	assert_int_equal(core_released(m->sim->core, m->sim->vm[h->vm], bad, 2, m->sim->now),
			 -ENOENT);
	assert_int_equal(core_released(m->sim->core, m->sim->vm[(h->vm + 1) % NR_VMS], bad, 1,
				       m->sim->now), -ENOENT);
	if (h->acked && m->connected[h->vm])
		release(m, h);
}

/* All or nothing, of whatever banks. */
static void do_release_some(struct model *m)
{
	int vm = (int)roll(m, NR_VMS);
	uint64_t id[8];
	uint32_t i, n = 0;

	for (i = 0; i < m->nr_held && n < 7 && m->connected[vm]; i++)
		if (m->held[i].vm == vm && m->held[i].acked && roll(m, 2))
			id[n++] = m->held[i].id;
	if (!n)
		return;
	id[n] = UINT64_MAX;
	assert_int_equal(core_released(m->sim->core, m->sim->vm[vm], id, n + 1, m->sim->now),
			 -ENOENT);
	for (i = 0; i < n; i++)
		model_end_lease(m, find_held(m, id[i]));
	assert_int_equal(core_released(m->sim->core, m->sim->vm[vm], id, n, m->sim->now), 0);
	catch_up(m);
}

/* A holder answers one of the latest orders: obeys, gives some, or refuses. */
static void do_reclaim_answer(struct model *m)
{
	uint32_t n = m->sim->reclaims < 16 ? m->sim->reclaims : 16, i, how = (uint32_t)roll(m, 4);
	struct sim_reclaim r;

	if (!n)
		return;
	r = m->sim->reclaim[m->sim->reclaims - 1 - roll(m, n)];
	if (!m->connected[vm_number(m, r.vm)])
		return;
	for (i = 0; i < r.count && how; i++) {
		struct held *h = find_held(m, r.lease[i]);

		if (h && (how > 1 || roll(m, 2)))
			release(m, h);
	}
	m->obeyed += how > 1;
	core_reclaim_done(m->sim->core, r.vm, r.id, how > 1 ? VCMA_ST_OK : VCMA_ST_BUSY,
			  m->sim->now);
}

static void do_scrub(struct model *m, bool always_clean)
{
	struct sim *sim = m->sim;
	uint32_t n = (uint32_t)roll(m, 24) + 1;

	while (n-- && sim->scrubs) {
		uint32_t i = (uint32_t)roll(m, sim->scrubs), what = (uint32_t)roll(m, 200);
		struct core_granule *g = sim->scrub[i];
		enum core_scrub_result result = CORE_SCRUB_CLEAN;

		sim->scrub[i] = sim->scrub[--sim->scrubs];
		if (!always_clean && what < 20)
			result = CORE_SCRUB_MISSING;
		if (!always_clean && m->may_be_bad && what == 199)
			result = CORE_SCRUB_BAD;
		m->cell[cell_of(m, g)].dirty = result != CORE_SCRUB_CLEAN;
		core_scrubbed(sim->core, g, result, sim->now);
		catch_up(m);
	}
}

static void do_found(struct model *m)
{
	uint32_t i = (uint32_t)roll(m, NR_GRANULES);
	struct core_granule *g = core_scrub_found(m->pool[i / PER_POOL], cell_addr(m, i) / 4096);

	assert_int_equal(!!g, core_granule_state(cell_granule(m, i)) == GRANULE_QUARANTINED);
	if (!g)
		return;
	m->cell[i].dirty = false;
	core_scrubbed(m->sim->core, g, CORE_SCRUB_CLEAN, m->sim->now);
}

static void do_cancel(struct model *m)
{
	struct request *r;

	if (!m->nr_requests)
		return;
	r = &m->request[roll(m, m->nr_requests)];
	assert_int_equal(core_cancel(m->sim->core, m->sim->vm[r->vm], r->sequence, m->sim->now), 0);
	assert_int_equal(core_cancel(m->sim->core, m->sim->vm[0], 0, m->sim->now), -ENOENT);
}

static void lose_vm(struct model *m, int vm, bool gone)
{
	uint32_t i;

	for (i = 0; i < m->nr_requests;)
		if (m->request[i].vm == vm)
			forget_request(m, &m->request[i]);
		else
			i++;
	for (i = 0; i < m->nr_held;)
		if (m->held[i].vm == vm && (gone || !m->held[i].acked))
			model_end_lease(m, &m->held[i]);
		else
			i++;
	m->connected[vm] = false;
	if (gone)
		core_vm_gone(m->sim->core, m->sim->vm[vm], m->sim->now);
	else
		core_vm_disconnected(m->sim->core, m->sim->vm[vm], m->sim->now);
}

static void do_connection(struct model *m)
{
	int vm = (int)roll(m, NR_VMS);

	if (m->connected[vm]) {
		if (roll(m, 4) == 0)
			lose_vm(m, vm, roll(m, 2));
	} else {
		m->connected[vm] = true;
		core_vm_connected(m->sim->core, m->sim->vm[vm], 1, m->sim->now);
	}
}

/* A VM says something about its leases, or about leases that are none of its. */
static void do_stats(struct model *m)
{
	int vm = (int)roll(m, NR_VMS);
	struct core_stats stats[8];
	uint32_t i, n = 0;

	for (i = 0; i < m->nr_held && n < 8; i++)
		if (roll(m, 3) == 0)
			stats[n++] = (struct core_stats){
				.lease = m->held[i].id + (roll(m, 8) ? 0 : 100000),
				.idle = roll(m, 2) ? m->held[i].nr * GRANULE : roll(m, 2) * GRANULE,
			};
	core_stats(m->sim->core, m->sim->vm[vm], stats, n, m->sim->now);
}

static void do_operator(struct model *m)
{
	uint32_t id = core_op_reclaim(m->sim->core,
				      roll(m, 2) ? m->sim->vm[roll(m, NR_VMS)] : NULL,
				      roll(m, 2) ? UINT64_MAX : roll(m, PER_POOL) * GRANULE,
				      1 + (uint32_t)roll(m, 500), m->sim->now);
	uint64_t bytes;
	bool late;

	assert_int_not_equal(id, 0);
	catch_up(m);
	core_op_reclaim_poll(m->sim->core, id, &bytes, &late);
}

static void step(struct model *m)
{
	switch (roll(m, 33)) {
	case 0 ... 9:
		do_lease(m);
		break;
	case 10 ... 13:
		do_ack(m);
		break;
	case 14 ... 17:
		if (roll(m, 8))
			do_release(m);
		else
			do_release_some(m);
		break;
	case 18 ... 21:
		do_reclaim_answer(m);
		break;
	case 22 ... 26:
		do_scrub(m, false);
		break;
	case 27:
		do_found(m);
		break;
	case 28:
		if (roll(m, 4) == 0)
			do_cancel(m);
		break;
	case 29:
		if (roll(m, 8) == 0)
			do_connection(m);
		break;
	case 30:
		if (roll(m, 16) == 0)
			do_operator(m);
		break;
	case 31:
		do_stats(m);
		break;
	default:
		m->sim->now += roll(m, 8) ? roll(m, 20) : roll(m, 3000);
		core_tick(m->sim->core, m->sim->now);
		break;
	}
	sim_check(m->sim);
	catch_up(m);
}

/* All comes back in the end. */
static void drain(struct model *m, const struct vcma_op_pool *before)
{
	struct vcma_op_pool r[NR_POOLS];
	uint64_t next;
	int vm, i;

	for (vm = 0; vm < NR_VMS; vm++) {
		lose_vm(m, vm, true);
		catch_up(m);
	}
	assert_int_equal(m->nr_requests, 0);
	for (i = 0; i < 200; i++) {
		do_scrub(m, true);
		m->sim->now += 5000;
		core_tick(m->sim->core, m->sim->now);
	}
	sim_check(m->sim);
	assert_true(core_is_idle(m->sim->core));
	assert_int_equal(core_report_pools(m->sim->core, 0, r, NR_POOLS, &next), NR_POOLS);
	for (i = 0; i < NR_POOLS; i++) {
		assert_int_equal(r[i].clean + r[i].bad, PER_POOL);
		if (!r[i].bad)
			assert_int_equal(r[i].free_longest, before[i].free_longest);
	}
	for (i = 0; i < (int)m->sim->nr_shares; i++)
		assert_int_equal(sim_bank_record(m->sim, m->sim->share[i].vm,
						 m->sim->share[i].bank).charged, 0);
}

static void run(uint64_t seed, uint32_t per, bool may_be_bad, uint32_t steps)
{
	struct model *m = make_model(seed, per);
	struct vcma_op_pool before[NR_POOLS];
	uint64_t next;

	assert_int_equal(core_report_pools(m->sim->core, 0, before, NR_POOLS, &next), NR_POOLS);
	m->may_be_bad = may_be_bad;
	while (steps--)
		step(m);
	drain(m, before);
	/* The run must have been one. */
	assert_true(m->grants > 100);
	assert_true(m->grants_of[0] > 50);
	assert_true(m->grants_of[1] > 30);
	assert_true(m->refusals > 20);
	assert_true(m->obeyed > 10);
	sim_free(m->sim);
	free(m);
}

static uint64_t seed_of_run(void)
{
	const char *seed = getenv("VCMA_SEED");
	uint64_t n = seed ? strtoull(seed, NULL, 0) : 20;

	print_message("# VCMA_SEED=%llu\n", (unsigned long long)n);
	return n;
}

static void random_events(void **state)
{
	uint64_t seed = seed_of_run();

	(void)state;
	run(seed, 8, false, 3000);
	run(seed + 1, 4, false, 3000);
	run(seed + 2, 16, false, 2000);
	run(seed + 3, 1, false, 2000);
}

static void random_events_and_bad_pages(void **state)
{
	uint64_t seed = seed_of_run();

	(void)state;
	run(seed + 4, 8, true, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_events),
		cmocka_unit_test(random_events_and_bad_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
