// SPDX-License-Identifier: GPL-2.0-or-later
/* core-sim.c - a daemon with no memory around the core, for its tests */

#include "core-sim.h"

#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 1000

static void on_grant(void *opaque, struct core_vm *vm, uint32_t sequence,
		     struct core_lease *lease)
{
	struct sim *sim = opaque;

	assert_int_equal(core_lease_vm(lease) == vm, 1);
	assert_true(sim->answers < SIM_LOG);
	sim->answer[sim->answers++] = (struct sim_answer){
		.vm = vm, .sequence = sequence, .lease = lease, .id = core_lease_id(lease),
	};
}

static void on_refuse(void *opaque, struct core_vm *vm, uint32_t sequence, uint32_t status)
{
	struct sim *sim = opaque;

	assert_int_not_equal(status, VCMA_ST_OK);
	assert_true(sim->answers < SIM_LOG);
	sim->answer[sim->answers++] = (struct sim_answer){
		.vm = vm, .sequence = sequence, .status = status,
	};
}

static void on_reclaim(void *opaque, struct core_vm *vm, uint32_t id, uint32_t deadline_ms,
		       const uint64_t *lease, uint32_t count)
{
	struct sim *sim = opaque;
	struct sim_reclaim *r;

	assert_true(sim->reclaims < SIM_LOG);
	assert_int_not_equal(id, 0);
	assert_in_range(count, 1, VCMA_IDS_MAX);
	assert_in_range(deadline_ms, 1, VCMA_DEADLINE_MAX_MS);
	r = &sim->reclaim[sim->reclaims++];
	*r = (struct sim_reclaim){ .vm = vm, .id = id, .deadline_ms = deadline_ms, .count = count };
	memcpy(r->lease, lease, count * sizeof(*lease));
}

static void on_pool_changed(void *opaque, struct core_vm *vm, uint64_t available)
{
	struct sim *sim = opaque;

	assert_true(sim->changes < SIM_LOG);
	sim->changed[sim->changes++] = (struct sim_changed){ .vm = vm, .available = available };
}

static void on_scrub(void *opaque, struct core_granule *g)
{
	struct sim *sim = opaque;

	assert_int_equal(core_granule_state(g), GRANULE_SCRUBBING);
	assert_true(sim->scrubs < CORE_SCRUB_MAX);
	sim->scrub[sim->scrubs++] = g;
}

static const struct core_ops sim_ops = {
	.grant = on_grant,
	.refuse = on_refuse,
	.reclaim = on_reclaim,
	.pool_changed = on_pool_changed,
	.scrub = on_scrub,
};

static struct sim *sim_empty(void)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	assert_non_null(sim);
	sim->now = 1000;
	sim->core = core_new(&sim_ops, sim);
	assert_non_null(sim->core);
	return sim;
}

struct core_pool *sim_pool_pfns(struct sim *sim, const char *name, const uint64_t *pfn, uint32_t nr,
				uint64_t chunk, uint64_t granule)
{
	struct core_pool_desc desc = {
		.name = name, .granule_size = granule, .chunk_size = chunk,
		.flags = VCMA_POOL_CONTIGUOUS, .backing = VCMA_BACKING_HUGETLB,
		.pfn = pfn, .nr = nr,
	};
	struct core_pool *pool = NULL;

	assert_int_equal(core_pool_add(sim->core, &desc, &pool), 0);
	return pool;
}

struct core_pool *sim_pool(struct sim *sim, const char *name, uint64_t base, uint64_t size,
			   uint64_t chunk, uint64_t granule)
{
	uint32_t nr = (uint32_t)(size / granule), i;
	uint64_t *pfn = calloc(nr, sizeof(*pfn));
	struct core_pool *pool;

	assert_non_null(pfn);
	for (i = 0; i < nr; i++)
		pfn[i] = (base + i * granule) / 4096;
	pool = sim_pool_pfns(sim, name, pfn, nr, chunk, granule);
	free(pfn);
	return pool;
}

struct sim *sim_new_pfns(const uint64_t *pfn, uint32_t nr, uint64_t chunk, uint64_t granule)
{
	struct sim *sim = sim_empty();

	sim->pool = sim_pool_pfns(sim, "pool", pfn, nr, chunk, granule);
	return sim;
}

struct sim *sim_new(uint64_t base, uint64_t size, uint64_t chunk, uint64_t granule)
{
	struct sim *sim = sim_empty();

	sim->pool = sim_pool(sim, "pool", base, size, chunk, granule);
	return sim;
}

void sim_free(struct sim *sim)
{
	core_free(sim->core);
	free(sim);
}

void sim_check(struct sim *sim)
{
	const char *bad = core_check(sim->core);

	if (bad)
		fail_msg("core_check: %s", bad);
}

struct core_vm *sim_vm(struct sim *sim, const char *name, uint64_t guarantee, uint64_t run,
		       uint64_t limit)
{
	struct core_vm_desc desc = {
		.name = name,
		.share = { .pool = sim->pool, .guarantee = guarantee, .guarantee_run = run,
			   .limit = limit },
	};
	struct core_vm *vm;

	assert_true(sim->nr_vms < SIM_VMS && sim->nr_shares < SIM_SHARES);
	assert_int_equal(core_vm_add(sim->core, &desc, &vm, NULL), 0);
	core_vm_connected(sim->core, vm, 1000 + sim->nr_vms, sim->now);
	sim->vm[sim->nr_vms++] = vm;
	sim->share[sim->nr_shares++] = (struct sim_share){ .vm = vm };
	sim_check(sim);
	return vm;
}

void sim_bank(struct sim *sim, struct core_vm *vm, uint32_t bank, struct core_pool *pool,
	      uint64_t guarantee, uint64_t run, uint64_t limit)
{
	struct core_share_desc desc = {
		.pool = pool, .guarantee = guarantee, .guarantee_run = run, .limit = limit,
	};

	assert_true(sim->nr_shares < SIM_SHARES);
	assert_int_equal(core_bank_add(sim->core, vm, bank, &desc, NULL), 0);
	sim->share[sim->nr_shares++] = (struct sim_share){ .vm = vm, .bank = bank };
	sim_check(sim);
}

uint32_t sim_ask_args(struct sim *sim, struct core_vm *vm, const struct core_lease_args *args)
{
	core_lease(sim->core, vm, ++sim->sequence, args, sim->now);
	sim_check(sim);
	return sim->sequence;
}

uint32_t sim_ask_of(struct sim *sim, struct core_vm *vm, uint32_t bank, uint64_t size)
{
	struct core_lease_args args = {
		.size = size, .max_addr = UINT64_MAX, .bank = bank, .deadline_ms = DEADLINE_MS,
	};

	return sim_ask_args(sim, vm, &args);
}

uint32_t sim_ask(struct sim *sim, struct core_vm *vm, uint64_t size)
{
	return sim_ask_of(sim, vm, 0, size);
}

struct sim_answer *sim_answer(struct sim *sim, struct core_vm *vm, uint32_t sequence)
{
	struct sim_answer *found = NULL;
	uint32_t i;

	for (i = 0; i < sim->answers; i++) {
		if (sim->answer[i].vm != vm || sim->answer[i].sequence != sequence)
			continue;
		assert_null(found);
		found = &sim->answer[i];
	}
	return found;
}

void sim_ack(struct sim *sim, struct sim_answer *answer)
{
	assert_non_null(answer);
	assert_int_equal(answer->status, VCMA_ST_OK);
	core_lease_acked(sim->core, answer->lease, sim->now);
	sim_check(sim);
}

uint64_t sim_lease_of(struct sim *sim, struct core_vm *vm, uint32_t bank, uint64_t size)
{
	struct sim_answer *answer = sim_answer(sim, vm, sim_ask_of(sim, vm, bank, size));

	sim_ack(sim, answer);
	return answer->id;
}

uint64_t sim_lease(struct sim *sim, struct core_vm *vm, uint64_t size)
{
	return sim_lease_of(sim, vm, 0, size);
}

uint32_t sim_refusal_of(struct sim *sim, struct core_vm *vm, uint32_t bank, uint64_t size)
{
	struct sim_answer *answer = sim_answer(sim, vm, sim_ask_of(sim, vm, bank, size));

	assert_non_null(answer);
	return answer->status;
}

uint32_t sim_refusal(struct sim *sim, struct core_vm *vm, uint64_t size)
{
	return sim_refusal_of(sim, vm, 0, size);
}

void sim_release(struct sim *sim, struct core_vm *vm, uint64_t lease)
{
	assert_int_equal(core_released(sim->core, vm, &lease, 1, sim->now), 0);
	sim_check(sim);
}

void sim_scrub(struct sim *sim)
{
	while (sim->scrubs) {
		struct core_granule *g = sim->scrub[0];

		sim->scrubs--;
		memmove(sim->scrub, sim->scrub + 1, sim->scrubs * sizeof(sim->scrub[0]));
		core_scrubbed(sim->core, g, CORE_SCRUB_CLEAN, sim->now);
		sim_check(sim);
	}
}

void sim_obey(struct sim *sim, uint32_t i)
{
	struct sim_reclaim r;

	assert_true(i < sim->reclaims);
	r = sim->reclaim[i];
	assert_int_equal(core_released(sim->core, r.vm, r.lease, r.count, sim->now), 0);
	sim_check(sim);
	core_reclaim_done(sim->core, r.vm, r.id, VCMA_ST_OK, sim->now);
	sim_check(sim);
}

void sim_tick(struct sim *sim, uint64_t ms)
{
	sim->now += ms;
	core_tick(sim->core, sim->now);
	sim_check(sim);
}

struct vcma_op_vm sim_bank_record(struct sim *sim, struct core_vm *vm, uint32_t bank)
{
	struct vcma_op_vm ret = { .flags = 0 };
	uint64_t next;
	uint32_t i;

	for (i = 0; i < sim->nr_shares; i++)
		if (sim->share[i].vm == vm && sim->share[i].bank == bank)
			assert_int_equal(core_report_vms(sim->core, true, i, &ret, 1, &next), 1);
	assert_int_equal(ret.bank, bank);
	return ret;
}

struct vcma_op_vm sim_vm_record(struct sim *sim, struct core_vm *vm)
{
	return sim_bank_record(sim, vm, 0);
}

struct vcma_op_pool sim_pool_record(struct sim *sim)
{
	struct vcma_op_pool ret;
	uint64_t next;

	assert_int_equal(core_report_pools(sim->core, 0, &ret, 1, &next), 1);
	return ret;
}

struct vcma_op_lease sim_lease_record(struct sim *sim, uint64_t id)
{
	struct vcma_op_lease ret;
	uint64_t next;

	assert_int_equal(core_report_leases(sim->core, true, id, &ret, 1, sim->now, &next), 1);
	assert_int_equal(ret.lease, id);
	return ret;
}
