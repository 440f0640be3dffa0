// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-random.c - random events against a model that knows nothing of
 * how the core decides, only what it must never do
 *
 * The model has one owner for each granule.  After each event core_check()
 * is called, too.  VCMA_SEED=N repeats a run; the seed is printed.
 */

#include "core-sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

#define GRANULE		(2 * MIB)
#define NR_GRANULES	256
#define MAX_LEASES	512
#define MAX_REQUESTS	512
#define NR_VMS		4

/* What the model knows of a granule. */
struct cell {
	uint64_t lease;		/* 0: none */
	bool dirty;		/* given back, not proved to be clean */
	int home;		/* VM, or -1 */
};

struct held {
	struct core_lease *lease;
	uint64_t id;
	int vm;
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
	uint64_t base[2];	/* the pool is two extents */
	struct cell cell[NR_GRANULES];
	struct held held[MAX_LEASES];
	uint32_t nr_held;
	struct request request[MAX_REQUESTS];
	uint32_t nr_requests;
	bool connected[NR_VMS];
	uint32_t seen_answers, seen_reclaims;
	uint32_t grants, refusals, obeyed;
	bool may_be_bad;
	uint64_t guarantee[NR_VMS];
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

static uint64_t cell_addr(const struct model *m, uint32_t i)
{
	return i < NR_GRANULES / 2 ? m->base[0] + i * GRANULE
				   : m->base[1] + (i - NR_GRANULES / 2) * GRANULE;
}

static uint32_t cell_of(const struct model *m, const struct core_granule *g)
{
	uint64_t addr = core_granule_pfn(g) * 4096;

	return addr >= m->base[1] ? (uint32_t)((addr - m->base[1]) / GRANULE) + NR_GRANULES / 2
				  : (uint32_t)((addr - m->base[0]) / GRANULE);
}

static struct model *make_model(uint64_t seed, uint32_t per)
{
	static const char *const name[NR_VMS] = { "a", "b", "c", "d" };
	struct model *m = calloc(1, sizeof(*m));
	uint64_t pfn[NR_GRANULES], chunk = per * GRANULE;
	uint32_t i;

	assert_non_null(m);
	m->random = seed * 2654435761u + 1;
	m->base[0] = GIB;
	m->base[1] = 4 * GIB;
	for (i = 0; i < NR_GRANULES; i++)
		pfn[i] = cell_addr(m, i) / 4096;
	m->sim = sim_new_pfns(pfn, NR_GRANULES, chunk, GRANULE);
	m->guarantee[0] = 4 * chunk;
	m->guarantee[1] = 4 * chunk;
	m->guarantee[2] = 2 * chunk;
	sim_vm(m->sim, name[0], 4 * chunk, 4 * chunk, NR_GRANULES * GRANULE / 2);
	sim_vm(m->sim, name[1], 4 * chunk, 2 * chunk, NR_GRANULES * GRANULE);
	sim_vm(m->sim, name[2], 2 * chunk, chunk, NR_GRANULES * GRANULE / 4);
	sim_vm(m->sim, name[3], 0, 0, NR_GRANULES * GRANULE * 3 / 4);
	for (i = 0; i < NR_VMS; i++)
		m->connected[i] = true;
	for (i = 0; i < NR_GRANULES; i++) {
		const struct core_vm *home = m->sim->pool->chunk[i / per].home;

		m->cell[i].home = home ? vm_number(m, home) : -1;
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

/* I1, I2, I5, I7: a lease is made of what nobody has, in one run, where it was asked for. */
static void model_grant(struct model *m, const struct sim_answer *a, const struct request *r)
{
	struct held *h = &m->held[m->nr_held++];
	const struct core_lease_args *args = &r->args;
	uint64_t addr, i;

	assert_true(m->nr_held < MAX_LEASES);
	h->lease = a->lease;
	h->id = a->id;
	h->vm = r->vm;
	h->acked = false;
	h->nr = core_lease_nr_granules(a->lease);
	h->first = cell_of(m, core_lease_granule(a->lease, 0));
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
		assert_true(c->home < 0 || c->home == r->vm);
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
static bool must_have_at_once(const struct model *m, int vm, uint64_t size)
{
	const struct core_vm *v = m->sim->vm[vm];
	uint32_t i;

	if (!m->guarantee[vm] || size > v->run * m->sim->pool->chunk_size ||
	    vm_charged(v) * m->sim->pool->chunk_size + size > m->guarantee[vm])
		return false;
	for (i = 0; i < NR_GRANULES; i++)
		if (m->cell[i].home == vm &&
		    core_granule_state(&m->sim->pool->granule[i]) != GRANULE_CLEAN)
			return false;
	return true;
}

static void do_lease(struct model *m)
{
	int vm = (int)roll(m, NR_VMS);
	struct core_lease_args args = {
		.size = GRANULE << roll(m, roll(m, 4) ? 5 : 9),
		.max_addr = UINT64_MAX,
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
			args.max_addr = roll(m, 2) ? 4 * GIB - 1 : GIB + roll(m, 512) * MIB;
		if (roll(m, 2))
			args.forbidden = GRANULE << roll(m, 8);
	}
	at_once = plain && must_have_at_once(m, vm, args.size);
	m->request[m->nr_requests++] = (struct request){
		.vm = vm, .sequence = m->sim->sequence + 1, .args = args,
		.deadline = m->sim->now + args.deadline_ms,
	};
	sim_ask_args(m->sim, m->sim->vm[vm], &args);
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
	struct core_granule *g = core_scrub_found(m->sim->pool, cell_addr(m, i) / 4096);

	assert_int_equal(!!g, core_granule_state(&m->sim->pool->granule[i]) ==
			 GRANULE_QUARANTINED);
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

static void do_operator(struct model *m)
{
	uint32_t id = core_op_reclaim(m->sim->core,
				      roll(m, 2) ? m->sim->vm[roll(m, NR_VMS)] : NULL,
				      roll(m, 2) ? UINT64_MAX : roll(m, NR_GRANULES) * GRANULE,
				      1 + (uint32_t)roll(m, 500), m->sim->now);
	uint64_t bytes;
	bool late;

	assert_int_not_equal(id, 0);
	catch_up(m);
	core_op_reclaim_poll(m->sim->core, id, &bytes, &late);
}

static void step(struct model *m)
{
	switch (roll(m, 32)) {
	case 0 ... 9:
		do_lease(m);
		break;
	case 10 ... 13:
		do_ack(m);
		break;
	case 14 ... 17:
		do_release(m);
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
	default:
		m->sim->now += roll(m, 8) ? roll(m, 20) : roll(m, 3000);
		core_tick(m->sim->core, m->sim->now);
		break;
	}
	sim_check(m->sim);
	catch_up(m);
}

/* All comes back in the end. */
static void drain(struct model *m, uint64_t longest)
{
	struct vcma_op_pool r;
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
	r = sim_pool_record(m->sim);
	assert_int_equal(r.clean + r.bad, NR_GRANULES);
	if (!r.bad)
		assert_int_equal(r.free_longest, longest);
	for (vm = 0; vm < NR_VMS; vm++)
		assert_int_equal(sim_vm_record(m->sim, m->sim->vm[vm]).charged, 0);
}

static void run(uint64_t seed, uint32_t per, bool may_be_bad, uint32_t steps)
{
	struct model *m = make_model(seed, per);
	uint64_t longest = sim_pool_record(m->sim).free_longest;

	m->may_be_bad = may_be_bad;
	while (steps--)
		step(m);
	drain(m, longest);
	/* The run must have been one. */
	assert_true(m->grants > 100);
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
