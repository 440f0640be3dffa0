/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core-sim.h - a daemon with no memory around the core, for its tests
 *
 * Records each order that the core gives.  The scrubber is a queue that the
 * test empties; after each event core_check() is called.
 */
#ifndef VCMA_TESTS_CORE_SIM_H
#define VCMA_TESTS_CORE_SIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "core.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#define SIM_VMS		8
#define SIM_SHARES	16
#define SIM_LOG		4096

/* An answer to a LEASE request: status 0 is a grant. */
struct sim_answer {
	struct core_vm *vm;
	uint32_t sequence;
	uint32_t status;
	struct core_lease *lease;
	uint64_t id;
};

struct sim_reclaim {
	struct core_vm *vm;
	uint32_t id;
	uint32_t deadline_ms;
	uint32_t count;
	uint64_t lease[VCMA_IDS_MAX];
};

struct sim_changed {
	struct core_vm *vm;
	uint64_t available;
};

struct sim_share {
	struct core_vm *vm;
	uint32_t bank;
};

struct sim {
	struct core *core;
	struct core_pool *pool;
	struct core_vm *vm[SIM_VMS];
	uint32_t nr_vms;
	struct sim_share share[SIM_SHARES];	/* as they are listed */
	uint32_t nr_shares;
	uint64_t now;
	uint32_t sequence;
	struct sim_answer answer[SIM_LOG];
	uint32_t answers;
	struct sim_reclaim reclaim[SIM_LOG];
	uint32_t reclaims;
	struct sim_changed changed[SIM_LOG];
	uint32_t changes;
	struct core_granule *scrub[SIM_LOG];
	uint32_t scrubs;
};

/* A pool of @size bytes in one extent that begins at @base. */
struct sim *sim_new(uint64_t base, uint64_t size, uint64_t chunk, uint64_t granule);
struct sim *sim_new_pfns(const uint64_t *pfn, uint32_t nr, uint64_t chunk, uint64_t granule);
void sim_free(struct sim *sim);
/* A connected VM. */
struct core_vm *sim_vm(struct sim *sim, const char *name, uint64_t guarantee, uint64_t run,
		       uint64_t limit);
/* Another pool, of one extent, and another bank of a VM. */
struct core_pool *sim_pool(struct sim *sim, const char *name, uint64_t base, uint64_t size,
			   uint64_t chunk, uint64_t granule);
struct core_pool *sim_pool_pfns(struct sim *sim, const char *name, const uint64_t *pfn, uint32_t nr,
				uint64_t chunk, uint64_t granule);
void sim_bank(struct sim *sim, struct core_vm *vm, uint32_t bank, struct core_pool *pool,
	      uint64_t guarantee, uint64_t run, uint64_t limit);
void sim_check(struct sim *sim);

/* Ask for @size bytes; the answer, if any, is the latest in the log. */
uint32_t sim_ask(struct sim *sim, struct core_vm *vm, uint64_t size);
uint32_t sim_ask_of(struct sim *sim, struct core_vm *vm, uint32_t bank, uint64_t size);
uint32_t sim_ask_args(struct sim *sim, struct core_vm *vm, const struct core_lease_args *args);
/* The answer to request @sequence of @vm, or NULL. */
struct sim_answer *sim_answer(struct sim *sim, struct core_vm *vm, uint32_t sequence);
/* Ask, expect a lease at once, acknowledge it; its id. */
uint64_t sim_lease(struct sim *sim, struct core_vm *vm, uint64_t size);
uint64_t sim_lease_of(struct sim *sim, struct core_vm *vm, uint32_t bank, uint64_t size);
/* Ask, expect a refusal at once; its status. */
uint32_t sim_refusal(struct sim *sim, struct core_vm *vm, uint64_t size);
uint32_t sim_refusal_of(struct sim *sim, struct core_vm *vm, uint32_t bank, uint64_t size);
void sim_ack(struct sim *sim, struct sim_answer *answer);
void sim_release(struct sim *sim, struct core_vm *vm, uint64_t lease);
/* Answer all that is with the scrubber, and what comes because of it. */
void sim_scrub(struct sim *sim);
/* Release all leases of reclaim order @i and say OK. */
void sim_obey(struct sim *sim, uint32_t i);
void sim_tick(struct sim *sim, uint64_t ms);
/* The operator's records. */
struct vcma_op_vm sim_vm_record(struct sim *sim, struct core_vm *vm);
struct vcma_op_vm sim_bank_record(struct sim *sim, struct core_vm *vm, uint32_t bank);
struct vcma_op_pool sim_pool_record(struct sim *sim);	/* of the first pool */
struct vcma_op_lease sim_lease_record(struct sim *sim, uint64_t id);

#endif /* VCMA_TESTS_CORE_SIM_H */
