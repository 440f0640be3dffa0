// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-core-wait.c - requests that wait: for their VM's own dirt, for leases
 * of others, for holders that refuse or say nothing
 */

#include "core-sim.h"

#include <string.h>

#define CHUNK	(16 * MIB)

static uint32_t status_of(struct sim *sim, struct core_vm *vm, uint32_t sequence)
{
	struct sim_answer *answer = sim_answer(sim, vm, sequence);

	assert_non_null(answer);
	return answer->status;
}

static void own_dirt(void **state)
{
	struct sim *sim = sim_new(GIB, 4 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, CHUNK);
	uint64_t id[8];
	uint32_t sequence, i;

	(void)state;
	id[0] = sim_lease(sim, vm, CHUNK);
	assert_int_equal(sim_refusal(sim, vm, CHUNK), VCMA_ST_OVER_LIMIT);
	sim_release(sim, vm, id[0]);
	/* Charged until it is clean again, but not refused: it waits. */
	assert_int_equal(sim_vm_record(sim, vm).charged, CHUNK);
	sequence = sim_ask(sim, vm, CHUNK);
	assert_null(sim_answer(sim, vm, sequence));
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	sim_ack(sim, sim_answer(sim, vm, sequence));
	sim_release(sim, vm, sim_answer(sim, vm, sequence)->id);
	sim_scrub(sim);
	assert_int_equal(sim_vm_record(sim, vm).charged, 0);

	/* The same with part of a chunk, whose other leases stay. */
	for (i = 0; i < 8; i++)
		id[i] = sim_lease(sim, vm, 2 * MIB);
	assert_int_equal(sim_refusal(sim, vm, 2 * MIB), VCMA_ST_OVER_LIMIT);
	sim_release(sim, vm, id[3]);
	sequence = sim_ask(sim, vm, 2 * MIB);
	assert_null(sim_answer(sim, vm, sequence));
	assert_int_equal(sim_refusal(sim, vm, 2 * MIB), VCMA_ST_OVER_LIMIT);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	assert_int_equal(sim->reclaims, 0);
	sim_free(sim);
}

/* @nr chunks, all held by the first VM as leases of a chunk each. */
static struct sim *full_pool(uint32_t nr, struct core_vm **ret_holder, struct core_vm **ret_vm)
{
	struct sim *sim = sim_new(GIB, nr * CHUNK, CHUNK, 2 * MIB);
	uint32_t i;

	*ret_holder = sim_vm(sim, "holder", 0, 0, nr * CHUNK);
	*ret_vm = sim_vm(sim, "v", 0, 0, nr * CHUNK);
	for (i = 0; i < nr; i++)
		sim_lease(sim, *ret_holder, CHUNK);
	return sim;
}

/* [B-53] */
static void busy_holder(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(3, &holder, &vm);
	uint32_t sequence, i, j;

	(void)state;
	sequence = sim_ask(sim, vm, CHUNK);
	/* Each lease is asked for once, one after the other. */
	for (i = 0; i < 3; i++) {
		assert_int_equal(sim->reclaims, i + 1);
		assert_int_equal(sim->reclaim[i].count, 1);
		for (j = 0; j < i; j++)
			assert_int_not_equal(sim->reclaim[j].lease[0], sim->reclaim[i].lease[0]);
		assert_null(sim_answer(sim, vm, sequence));
		core_reclaim_done(sim->core, holder, sim->reclaim[i].id, VCMA_ST_BUSY, sim->now);
		sim_check(sim);
	}
	assert_int_equal(sim->reclaims, 3);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_TRY_LATER);
	assert_int_equal(sim_vm_record(sim, vm).charged, 0);
	assert_int_equal(sim_vm_record(sim, holder).nr_leases, 3);

	/* Another request does not repeat the question at once, but soon. */
	sequence = sim_ask(sim, vm, CHUNK);
	assert_int_equal(sim->reclaims, 3);
	assert_null(sim_answer(sim, vm, sequence));
	assert_true(core_next_tick(sim->core) <= sim->now + 100);
	sim_tick(sim, 100);
	assert_int_equal(sim->reclaims, 4);
	sim_obey(sim, 3);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	sim_free(sim);
}

/* What was given up before the refusal is not lost. */
static void half_busy_holder(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(4, &holder, &vm);
	uint32_t sequence = sim_ask(sim, vm, 2 * CHUNK);

	(void)state;
	assert_int_equal(sim->reclaims, 1);
	assert_int_equal(sim->reclaim[0].count, 2);
	/* The second of a pair is given, the first is not: the run moves by one. */
	sim_release(sim, holder, sim->reclaim[0].lease[1]);
	core_reclaim_done(sim->core, holder, sim->reclaim[0].id, VCMA_ST_BUSY, sim->now);
	sim_check(sim);
	assert_int_equal(sim->reclaims, 2);
	assert_int_equal(sim->reclaim[1].count, 1);
	sim_obey(sim, 1);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	assert_int_equal(sim_vm_record(sim, holder).reclaimed, 2 * CHUNK);
	sim_free(sim);
}

static void silent_holder(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(2, &holder, &vm);
	uint32_t sequence = sim_ask(sim, vm, CHUNK);

	(void)state;
	assert_int_equal(sim->reclaims, 1);
	assert_true(sim->reclaim[0].deadline_ms < 1000);
	assert_int_equal(core_next_tick(sim->core), sim->now + sim->reclaim[0].deadline_ms);
	sim_tick(sim, sim->reclaim[0].deadline_ms - 1);
	assert_int_equal(sim->reclaims, 1);
	sim_tick(sim, 1);
	/* The lease stays; another is asked for in the time that is left. */
	assert_int_equal(sim->reclaims, 2);
	assert_int_not_equal(sim->reclaim[0].lease[0], sim->reclaim[1].lease[0]);
	assert_int_equal(sim_vm_record(sim, holder).nr_leases, 2);
	sim_tick(sim, 1000);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_TRY_LATER);
	assert_int_equal(sim_vm_record(sim, holder).nr_leases, 2);
	assert_true(core_is_idle(sim->core));
	/* An answer that comes late is not wrong. */
	sim_obey(sim, 0);
	sim_scrub(sim);
	assert_int_equal(sim_vm_record(sim, holder).charged, CHUNK);
	sim_lease(sim, vm, CHUNK);
	sim_free(sim);
}

static void deadline_gives_back_what_was_reserved(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(4, &holder, &vm);
	uint32_t sequence;

	(void)state;
	sim_release(sim, holder, sim->answer[0].id);
	sim_scrub(sim);
	sequence = sim_ask(sim, vm, 2 * CHUNK);
	assert_int_equal(sim->reclaims, 1);
	assert_int_equal(sim_pool_record(sim).reserved, 8);
	assert_int_equal(sim_vm_record(sim, vm).charged, 2 * CHUNK);
	/* What is reserved is nobody else's. */
	assert_int_equal(sim_pool_record(sim).free_longest, 0);
	sim_tick(sim, 999);
	assert_null(sim_answer(sim, vm, sequence));
	sim_tick(sim, 1);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_TRY_LATER);
	assert_int_equal(sim_pool_record(sim).reserved, 0);
	assert_int_equal(sim_pool_record(sim).free_longest, CHUNK);
	assert_int_equal(sim_vm_record(sim, vm).charged, 0);
	sim_free(sim);
}

static void served_elsewhere_meanwhile(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(4, &holder, &vm);
	uint32_t sequence = sim_ask(sim, vm, CHUNK), i;
	struct core_lease *lease;

	(void)state;
	assert_int_equal(sim->reclaims, 1);
	for (i = 0; i < 4; i++)
		if (sim->answer[i].id != sim->reclaim[0].lease[0])
			break;
	/* The holder gives up another one of its own accord. */
	sim_release(sim, holder, sim->answer[i].id);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	lease = sim_answer(sim, vm, sequence)->lease;
	sim_ack(sim, sim_answer(sim, vm, sequence));
	assert_ptr_equal(core_granule_holder(core_lease_granule(lease, 0)), vm);
	/* The order is still answered, and what comes is free. */
	sim_obey(sim, 0);
	sim_scrub(sim);
	assert_int_equal(sim_pool_record(sim).free_longest, CHUNK);
	sim_free(sim);
}

/* What nobody has claimed goes to the oldest request. */
static void oldest_first(void **state)
{
	struct core_vm *holder, *vm, *other;
	struct sim *sim = full_pool(4, &holder, &vm);
	uint32_t first, second, third, i;

	(void)state;
	other = sim_vm(sim, "w", 0, 0, 4 * CHUNK);
	first = sim_ask(sim, vm, CHUNK);
	second = sim_ask(sim, other, CHUNK);
	third = sim_ask(sim, other, CHUNK);
	assert_int_equal(sim->reclaims, 3);
	for (i = 0; i < 4; i++)
		if (sim->answer[i].id != sim->reclaim[0].lease[0] &&
		    sim->answer[i].id != sim->reclaim[1].lease[0] &&
		    sim->answer[i].id != sim->reclaim[2].lease[0])
			break;
	sim_release(sim, holder, sim->answer[i].id);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, first), VCMA_ST_OK);
	assert_null(sim_answer(sim, other, second));
	assert_null(sim_answer(sim, other, third));
	/* So does what had been claimed for it. */
	sim_obey(sim, 0);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, other, second), VCMA_ST_OK);
	assert_null(sim_answer(sim, other, third));
	sim_free(sim);
}

/* A run that a request has claimed is not anybody else's, however long they wait. */
static void claims_last(void **state)
{
	struct core_vm *holder, *vm, *other;
	struct sim *sim = full_pool(2, &holder, &vm);
	uint32_t first, second, third;

	(void)state;
	other = sim_vm(sim, "w", 0, 0, 2 * CHUNK);
	first = sim_ask(sim, vm, CHUNK);
	second = sim_ask(sim, other, CHUNK);
	third = sim_ask(sim, vm, CHUNK);	/* both leases are claimed: it waits */
	assert_int_equal(sim->reclaims, 2);
	sim_obey(sim, 1);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, other, second), VCMA_ST_OK);
	assert_null(sim_answer(sim, vm, first));
	assert_null(sim_answer(sim, vm, third));
	sim_obey(sim, 0);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, first), VCMA_ST_OK);
	assert_null(sim_answer(sim, vm, third));
	sim_ack(sim, sim_answer(sim, other, second));
	/* It does not make one plan after the other, but will soon. */
	assert_int_equal(sim->reclaims, 2);
	assert_true(core_next_tick(sim->core) <= sim->now + 20);
	sim_tick(sim, 20);
	assert_int_equal(sim->reclaims, 3);
	assert_ptr_equal(sim->reclaim[2].vm, other);
	sim_obey(sim, 2);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, third), VCMA_ST_OK);
	sim_free(sim);
}

/* [B-31] */
static void holder_without_connection(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(1, &holder, &vm);
	uint32_t sequence = sim_ask(sim, vm, CHUNK);

	(void)state;
	assert_int_equal(sim->reclaims, 1);
	core_vm_disconnected(sim->core, holder, sim->now);
	sim_check(sim);
	assert_int_equal(sim_vm_record(sim, holder).flags, VCMA_VM_ORPHANED);
	assert_int_equal(sim_vm_record(sim, holder).pid, 1000);
	/* It may come back, or be proved gone: the request waits for that. */
	assert_int_equal(sim->reclaims, 1);
	assert_null(sim_answer(sim, vm, sequence));
	assert_int_equal(sim_vm_record(sim, vm).nr_waiting, 1);
	sim->now += 10;
	core_vm_connected(sim->core, holder, 4711, sim->now);
	sim_check(sim);
	assert_int_equal(sim_vm_record(sim, holder).flags, VCMA_VM_CONNECTED);
	assert_int_equal(sim->reclaims, 2);
	core_vm_gone(sim->core, holder, sim->now);
	sim_check(sim);
	assert_int_equal(sim_vm_record(sim, holder).flags, 0);
	assert_int_equal(sim_vm_record(sim, holder).pid, 0);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	sim_free(sim);
}

static void requester_without_connection(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(4, &holder, &vm);
	struct sim_answer *granting;
	uint32_t sequence, answers;
	uint64_t held;

	(void)state;
	sim_release(sim, holder, sim->answer[0].id);
	sim_release(sim, holder, sim->answer[1].id);
	sim_scrub(sim);
	held = sim_lease(sim, vm, 2 * MIB);
	granting = sim_answer(sim, vm, sim_ask(sim, vm, 2 * MIB));
	sequence = sim_ask(sim, vm, 2 * CHUNK);
	assert_null(sim_answer(sim, vm, sequence));
	answers = sim->answers;
	core_vm_disconnected(sim->core, vm, sim->now);
	sim_check(sim);
	assert_int_equal(sim->answers, answers);	/* there is nobody to answer */
	assert_int_equal(sim_vm_record(sim, vm).nr_leases, 1);
	assert_int_equal(sim_vm_record(sim, vm).nr_waiting, 0);
	assert_null(core_lease_find(sim->core, granting->id));
	assert_int_equal(sim->scrubs, 1);
	assert_int_equal(sim_lease_record(sim, held).state, VCMA_LEASE_HELD);
	assert_int_equal(sim_pool_record(sim).reserved, 0);
	sim_free(sim);
}

/* [B-52] */
static void missing_pages(void **state)
{
	struct sim *sim = sim_new(GIB, 4 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", CHUNK, CHUNK, 2 * CHUNK);
	uint64_t wait = 100, pfn;
	struct core_granule *g;
	int i;

	(void)state;
	sim_release(sim, vm, sim_lease(sim, vm, 2 * MIB));
	assert_int_equal(sim->scrubs, 1);
	g = sim->scrub[0];
	pfn = core_granule_pfn(g);
	assert_null(core_scrub_found(sim->pool, pfn));
	for (i = 0; i < 12; i++) {
		assert_int_equal(sim->scrubs, 1);
		assert_ptr_equal(sim->scrub[0], g);
		sim->scrubs = 0;
		core_scrubbed(sim->core, g, CORE_SCRUB_MISSING, sim->now);
		sim_check(sim);
		/* Charged to the VM that left it so, and its guarantee is less than whole. */
		assert_int_equal(sim_vm_record(sim, vm).charged, CHUNK);
		assert_int_equal(sim_vm_record(sim, vm).quarantined, 2 * MIB);
		assert_true(sim_vm_record(sim, vm).flags & VCMA_VM_DEGRADED);
		assert_true(core_is_idle(sim->core));
		assert_int_equal(core_next_tick(sim->core), sim->now + wait);
		sim_tick(sim, wait - 1);
		assert_int_equal(sim->scrubs, 0);
		sim_tick(sim, 1);
		wait = wait * 2 > 30000 ? 30000 : wait * 2;
	}
	sim->scrubs = 0;
	core_scrubbed(sim->core, g, CORE_SCRUB_MISSING, sim->now);
	/* Its page comes up while another one is looked for. */
	assert_null(core_scrub_found(sim->pool, pfn + 1));
	assert_null(core_scrub_found(sim->pool, pfn + 512));
	assert_null(core_scrub_found(sim->pool, 0));
	assert_null(core_scrub_found(sim->pool, UINT64_MAX));
	assert_ptr_equal(core_scrub_found(sim->pool, pfn), g);
	core_scrubbed(sim->core, g, CORE_SCRUB_CLEAN, sim->now);
	sim_check(sim);
	assert_int_equal(core_granule_state(g), GRANULE_CLEAN);
	assert_int_equal(core_next_tick(sim->core), UINT64_MAX);
	assert_int_equal(sim_vm_record(sim, vm).charged, 0);
	assert_false(sim_vm_record(sim, vm).flags & VCMA_VM_DEGRADED);
	sim_free(sim);
}

/* A page in a run that is waited for does not come back: another run is taken. */
static void missing_page_in_a_run(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(3, &holder, &vm);
	uint32_t sequence = sim_ask(sim, vm, CHUNK);
	struct core_granule *g;

	(void)state;
	sim_obey(sim, 0);
	g = sim->scrub[0];
	sim->scrub[0] = sim->scrub[--sim->scrubs];
	core_scrubbed(sim->core, g, CORE_SCRUB_MISSING, sim->now);
	sim_check(sim);
	assert_null(sim_answer(sim, vm, sequence));
	assert_int_equal(sim->reclaims, 2);
	sim_obey(sim, 1);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	assert_int_equal(sim_vm_record(sim, holder).charged, 2 * CHUNK);
	assert_int_equal(sim_vm_record(sim, holder).quarantined, 2 * MIB);
	sim_free(sim);
}

static void bad_page(void **state)
{
	struct sim *sim = sim_new(GIB, 3 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 3 * CHUNK);
	uint64_t id = sim_lease(sim, vm, CHUNK);

	(void)state;
	sim_release(sim, vm, id);
	core_scrubbed(sim->core, sim->scrub[--sim->scrubs], CORE_SCRUB_BAD, sim->now);
	sim_scrub(sim);
	assert_int_equal(sim_pool_record(sim).bad, 1);
	assert_int_equal(sim_vm_record(sim, vm).charged, 0);
	sim_lease(sim, vm, CHUNK);
	sim_lease(sim, vm, CHUNK);
	assert_int_equal(sim_refusal(sim, vm, 2 * MIB), VCMA_ST_NO_MEMORY);
	sim_free(sim);
}

/* [B-55] */
static void pool_changed_once(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(4, &holder, &vm);
	uint32_t sequence = sim_ask(sim, vm, CHUNK), i;

	(void)state;
	assert_int_equal(core_cancel(sim->core, vm, sequence, sim->now), 0);
	sim_obey(sim, 0);
	sim_scrub(sim);
	assert_int_equal(sim->changes, 0);	/* a cancelled request is not a failed one */
	sim_lease(sim, vm, CHUNK);
	sequence = sim_ask(sim, vm, CHUNK);
	sim_tick(sim, 1000);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_TRY_LATER);
	assert_int_equal(sim->changes, 0);
	for (i = 1; i < sim->reclaims; i++)
		core_reclaim_done(sim->core, holder, sim->reclaim[i].id, VCMA_ST_BUSY, sim->now);
	core_vm_gone(sim->core, holder, sim->now);
	sim_scrub(sim);
	assert_int_equal(sim->changes, 1);
	assert_ptr_equal(sim->changed[0].vm, vm);
	assert_int_equal(sim->changed[0].available, CHUNK);
	sim_free(sim);
}

static void from_home_to_shared(void **state)
{
	struct sim *sim = sim_new(GIB, 8 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *vm, *other;
	struct vcma_op_lease r;
	uint32_t sequence;
	uint64_t id;

	(void)state;
	sim_vm(sim, "first", 2 * CHUNK, 2 * CHUNK, 2 * CHUNK);
	vm = sim_vm(sim, "v", 2 * CHUNK, 2 * CHUNK, 8 * CHUNK);
	other = sim_vm(sim, "w", 0, 0, 4 * CHUNK);
	id = sim_lease(sim, other, 2 * CHUNK);	/* chunks 4 and 5 */
	sim_lease(sim, other, CHUNK);
	sim_lease(sim, other, CHUNK);
	sim_release(sim, other, id);
	sim_scrub(sim);
	id = sim_lease(sim, vm, 4 * CHUNK);
	r = sim_lease_record(sim, id);
	assert_int_equal(r.pfn * 4096, GIB + 2 * CHUNK);
	assert_int_equal(r.guaranteed, 1);
	/* It touches the guarantee: nobody is asked for it. */
	sequence = sim_ask(sim, other, 2 * CHUNK);
	assert_int_equal(sim->reclaims, 0);
	sim_tick(sim, 1000);
	assert_int_equal(sim->reclaims, 0);
	assert_int_equal(status_of(sim, other, sequence), VCMA_ST_TRY_LATER);
	sim_free(sim);
}

/* A small request that must wait makes a whole chunk free, and takes its part of it. */
static void small_request_reclaims_a_chunk(void **state)
{
	struct sim *sim = sim_new(GIB, 2 * CHUNK, CHUNK, 2 * MIB);
	struct core_vm *holder = sim_vm(sim, "holder", 0, 0, 2 * CHUNK);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 2 * CHUNK);
	uint32_t sequence, i;
	uint64_t id[16];

	(void)state;
	for (i = 0; i < 16; i++)
		id[i] = sim_lease(sim, holder, 2 * MIB);
	/* The second chunk is the cheaper one: three leases are left in it. */
	for (i = 8; i < 13; i++)
		sim_release(sim, holder, id[i]);
	sim_scrub(sim);
	sequence = sim_ask(sim, vm, 2 * MIB);
	assert_int_equal(sim->reclaims, 1);
	assert_int_equal(sim->reclaim[0].count, 3);
	/* The holder gets no more room there. */
	assert_int_equal(sim_pool_record(sim).reserved, 5);
	sim_obey(sim, 0);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	sim_ack(sim, sim_answer(sim, vm, sequence));
	assert_int_equal(sim_vm_record(sim, vm).charged, CHUNK);
	assert_int_equal(sim_vm_record(sim, holder).charged, CHUNK);
	for (i = 0; i < 7; i++)
		sim_lease(sim, vm, 2 * MIB);
	assert_int_equal(sim_vm_record(sim, vm).charged, CHUNK);
	assert_int_equal(sim->reclaims, 1);
	sim_free(sim);
}

/* Several small requests at once: what one of them has asked for is enough for all. */
static void small_requests_share_a_chunk(void **state)
{
	struct core_vm *holder, *vm;
	struct sim *sim = full_pool(4, &holder, &vm);
	uint32_t sequence[9], i;

	(void)state;
	for (i = 0; i < 9; i++)
		sequence[i] = sim_ask(sim, vm, 2 * MIB);
	assert_int_equal(sim->reclaims, 2);
	assert_int_equal(sim_vm_record(sim, vm).charged, 2 * CHUNK);
	/* The first gives up, and with it the claim that others count on. */
	assert_int_equal(core_cancel(sim->core, vm, sequence[0], sim->now), 0);
	sim_check(sim);
	sim_obey(sim, 1);
	sim_scrub(sim);
	for (i = 1; i < 9; i++)
		assert_int_equal(status_of(sim, vm, sequence[i]), VCMA_ST_OK);
	assert_int_equal(sim_vm_record(sim, vm).charged, CHUNK);
	assert_int_equal(sim->reclaims, 2);
	sim_free(sim);
}

/* More leases than one order can name. */
static void many_leases_in_the_way(void **state)
{
	struct sim *sim = sim_new(GIB, 512 * MIB, 256 * MIB, 2 * MIB);
	struct core_vm *holder = sim_vm(sim, "holder", 0, 0, 512 * MIB);
	struct core_vm *vm = sim_vm(sim, "v", 0, 0, 512 * MIB);
	uint32_t sequence, i;

	(void)state;
	for (i = 0; i < 256; i++)
		sim_lease(sim, holder, 2 * MIB);
	sequence = sim_ask(sim, vm, 256 * MIB);
	assert_int_equal(sim->reclaims, 2);
	assert_int_equal(sim->reclaim[0].count + sim->reclaim[1].count, 128);
	sim_obey(sim, 1);
	sim_obey(sim, 0);
	assert_int_equal(sim->scrubs, CORE_SCRUB_MAX);
	sim_scrub(sim);
	assert_int_equal(status_of(sim, vm, sequence), VCMA_ST_OK);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_dirt),
		cmocka_unit_test(busy_holder),
		cmocka_unit_test(half_busy_holder),
		cmocka_unit_test(silent_holder),
		cmocka_unit_test(deadline_gives_back_what_was_reserved),
		cmocka_unit_test(served_elsewhere_meanwhile),
		cmocka_unit_test(oldest_first),
		cmocka_unit_test(claims_last),
		cmocka_unit_test(holder_without_connection),
		cmocka_unit_test(requester_without_connection),
		cmocka_unit_test(missing_pages),
		cmocka_unit_test(missing_page_in_a_run),
		cmocka_unit_test(bad_page),
		cmocka_unit_test(pool_changed_once),
		cmocka_unit_test(from_home_to_shared),
		cmocka_unit_test(small_request_reclaims_a_chunk),
		cmocka_unit_test(small_requests_share_a_chunk),
		cmocka_unit_test(many_leases_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
