/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core.h - the broker's decisions, without any I/O
 *
 * DOC: Theory of operation
 *
 * The core holds what vcmad knows: pools of granules, VMs, leases, requests
 * that wait.  Events go in (a request came, a granule was scrubbed, a process
 * is gone, time has passed), orders come out through struct core_ops (send
 * this grant, ask for these leases, revoke this granule).  It makes no system
 * call, knows no descriptor and no clock: tests drive it with random events
 * and call core_check() after each.
 *
 * Shares.  What a VM may have of a pool is its share there, numbered as a bank
 * of the VM; every VM has bank 0.  Everything that is counted in chunks is a
 * share's: guarantee, limit, leases, requests, reclaim.  A request is its
 * share's from the beginning, so no bank is ever served from another one's
 * pool.  A VM's connection, its process, the number of its requests and its
 * scrub debt are the VM's, however many banks it has (I9).  Below, "VM" is a VM
 * in one pool: its share there.
 *
 * Granules (I1).  Each is in exactly one state; granule_set_state() is the only
 * one to change it, and asserts that the step is legal.
 *
 * Chunks (I9).  A pool is cut in chunks: naturally aligned runs of
 * chunk_size.  A chunk is either part of a VM's guarantee (its `home`, for
 * ever), or shared.  A shared chunk is free, or in use by one VM alone, which
 * is charged for the whole of it until all its granules are CLEAN again, so a
 * VM pays for its own dirt.  Leases up to a chunk are packed in chunks
 * that the VM already has; larger ones take consecutive whole chunks.
 *
 * A request for a run is served, in this order: from room in the VM's own
 * chunks (home chunks first), from its clean home chunks, from clean shared
 * chunks (best fit: the extent that loses least), from a run that goes over
 * from home to shared chunks, and then by waiting: for dirty chunks to become
 * clean, and for leases in the way to be reclaimed from VMs that use shared
 * chunks.  Policy ranks these (policy.h), and the run with the least to reclaim of the
 * highest rank is chosen; its clean granules become RESERVED at once, the others
 * as they come.  A lease with a granule in a home chunk is never reclaimed (I7).
 * If a holder refuses (BUSY), another run is tried; if there is none, the request
 * waits for one and fails at its deadline at the latest (I10).
 */
#ifndef VCMA_BROKER_CORE_H
#define VCMA_BROKER_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "vcma_broker.h"
#include "zone.h"

struct core;
struct core_pool;
struct core_vm;
struct core_lease;
struct core_granule;

enum granule_state {
	GRANULE_CLEAN,		/* zero, in a new file that nobody else has */
	GRANULE_RESERVED,	/* clean, for a request that waits */
	GRANULE_GRANTING,	/* descriptor sent (or being sent), not acknowledged */
	GRANULE_LEASED,
	GRANULE_DIRTY,		/* given back; queued for the scrubber */
	GRANULE_SCRUBBING,	/* the scrubber has it */
	GRANULE_QUARANTINED,	/* its page has not come back; retried */
	GRANULE_BAD,		/* never again */
	GRANULE_NR_STATES
};

/*
 * Orders.  A callback must not call back into the core; it queues.  @tag is
 * what the caller gave for the VM or the granule.  All that is about a VM is about
 * all of its banks, unless it says otherwise.
 */
struct core_ops {
	/*
	 * Lease granted: send the descriptors of core_lease_granule(lease, 0 ..).
	 * The granules are GRANTING.  The sender verifies their PFNs (I2); if
	 * one is not where it should be: core_lease_failed().  @lease is valid
	 * until core_released() or core_lease_failed() of it, and until
	 * core_vm_disconnected() (while GRANTING) or core_vm_gone() of its VM.
	 */
	void (*grant)(void *opaque, struct core_vm *vm, uint32_t sequence,
		      struct core_lease *lease);
	/* A LEASE request ended without a lease. */
	void (*refuse)(void *opaque, struct core_vm *vm, uint32_t sequence, uint32_t status);
	/* Ask @vm to give back, all of one bank; answer: core_released() and core_reclaim_done(). */
	void (*reclaim)(void *opaque, struct core_vm *vm, uint32_t id, uint32_t deadline_ms,
			const uint64_t *lease, uint32_t count);
	/* @available in the bank whose request had failed. */
	void (*pool_changed)(void *opaque, struct core_vm *vm, uint64_t available);
	/*
	 * Revoke and make anew; answer: core_scrubbed().  At most
	 * CORE_SCRUB_MAX granules are out at a time, VMs taking turns.
	 */
	void (*scrub)(void *opaque, struct core_granule *g);
};

enum core_scrub_result {
	CORE_SCRUB_CLEAN,	/* new file, zero, the same PFN */
	CORE_SCRUB_MISSING,	/* its page is held by somebody: retry later */
	CORE_SCRUB_BAD,		/* never again */
};

#define CORE_SCRUB_MAX	32

struct core *core_new(const struct core_ops *ops, void *opaque);
void core_free(struct core *core);

/*
 * A pool of @nr granules with PFNs @pfn[] (ascending, of 4096 bytes; each run
 * of chunk_size is whole and naturally aligned: see chunk_select.h).  @tags[i]
 * is the caller's pointer for granule i; @tags may be NULL.  Copies what it
 * keeps.  0, -EINVAL, -ENOMEM.
 */
struct core_pool_desc {
	const char *name;
	uint64_t granule_size;	/* bytes */
	uint64_t chunk_size;	/* bytes */
	uint32_t flags;		/* VCMA_POOL_* */
	uint32_t backing;	/* VCMA_BACKING_* */
	const uint64_t *pfn;
	void *const *tags;
	uint32_t nr;
};

int core_pool_add(struct core *core, const struct core_pool_desc *desc,
		  struct core_pool **ret_pool);

/* What a VM may have of a pool.  All sizes are multiples of the pool's chunk size. */
struct core_share_desc {
	struct core_pool *pool;
	uint64_t guarantee;	/* bytes; 0: none */
	uint64_t guarantee_run;	/* bytes; 0 if guarantee is 0 */
	uint64_t limit;		/* bytes, >= guarantee */
};

/*
 * A VM with its bank 0, before the first event.  Sets its guarantee aside:
 * guarantee / guarantee_run runs.  -EINVAL: sizes.  -ENOSPC: the shared part has no
 * such runs (then *ret_got: how many bytes it had in them).  -ENOMEM.
 */
struct core_vm_desc {
	const char *name;
	uint8_t priority;		/* up to POLICY_PRIORITY_MAX: see policy.h */
	struct core_share_desc share;	/* bank 0 */
	void *tag;
};

int core_vm_add(struct core *core, const struct core_vm_desc *desc,
		struct core_vm **ret_vm, uint64_t *ret_got);

/*
 * Another bank of @vm, before the first event: errors as above.  -EINVAL also for a
 * @bank of VCMA_BANKS_MAX or more, one that @vm has, a pool that is another bank's,
 * or whose granules are of another size than bank 0's.
 */
int core_bank_add(struct core *core, struct core_vm *vm, uint32_t bank,
		  const struct core_share_desc *desc, uint64_t *ret_got);

/* --- events; @now: CLOCK_MONOTONIC in ms --- */

struct core_lease_args {
	uint64_t size, alignment, boundary, max_addr, forbidden; /* as in vcma_lease_req */
	uint32_t bank;
	uint32_t deadline_ms;
};

/* Ends in exactly one grant() or refuse(), maybe at once.  DENIED: no such bank. */
void core_lease(struct core *core, struct core_vm *vm, uint32_t sequence,
		const struct core_lease_args *args, uint64_t now);
/* 0, or -ENOENT: no such request waits (it has been answered already). */
int core_cancel(struct core *core, struct core_vm *vm, uint32_t sequence, uint64_t now);
/* GRANTING -> LEASED.  These two do nothing to a lease that is not GRANTING. */
void core_lease_acked(struct core *core, struct core_lease *lease, uint64_t now);
/* A grant that failed or was aborted on the way: all its granules are DIRTY. */
void core_lease_failed(struct core *core, struct core_lease *lease, uint64_t now);
/* All or nothing, whatever banks they are of.  0, or -ENOENT. */
int core_released(struct core *core, struct core_vm *vm, const uint64_t *lease,
		  uint32_t count, uint64_t now);
/* One pair of STATS. */
struct core_stats {
	uint64_t lease;
	uint64_t idle;		/* bytes */
};

void core_stats(struct core *core, struct core_vm *vm, const struct core_stats *stats,
		uint32_t count, uint64_t now);
void core_reclaim_done(struct core *core, struct core_vm *vm, uint32_t id,
		       uint32_t status, uint64_t now);
/*
 * The VM has said HELLO: from now on it can be asked to give back.  @pid: the
 * process that holds its leases, shown in its record.
 */
void core_vm_connected(struct core *core, struct core_vm *vm, uint32_t pid, uint64_t now);
/*
 * The connection ended but the process lives: requests end without an answer,
 * leases that were GRANTING are DIRTY, the others stay.
 */
void core_vm_disconnected(struct core *core, struct core_vm *vm, uint64_t now);
/* Proved to be gone (or it says that it holds nothing): everything is DIRTY. */
void core_vm_gone(struct core *core, struct core_vm *vm, uint64_t now);
void core_scrubbed(struct core *core, struct core_granule *g,
		   enum core_scrub_result result, uint64_t now);
/*
 * The scrubber got the page @pfn, which is not the one it wanted: the
 * QUARANTINED granule of @pool that misses it, or NULL.  Make that one's file
 * of it, then core_scrubbed(that granule, CORE_SCRUB_CLEAN).
 */
struct core_granule *core_scrub_found(struct core_pool *pool, uint64_t pfn);
/*
 * Operator: ask @vm, or all if NULL, for @bytes (UINT64_MAX: all they can
 * spare); ends in core_op_reclaim_poll().  Returns its id, 0 for no memory.
 */
uint32_t core_op_reclaim(struct core *core, struct core_vm *vm, uint64_t bytes,
			 uint32_t deadline_ms, uint64_t now);
/* True when operation @id has ended; then *ret_bytes, and it is forgotten. */
bool core_op_reclaim_poll(struct core *core, uint32_t id, uint64_t *ret_bytes, bool *ret_late);
/* Time passes: deadlines, retries of quarantined granules. */
void core_tick(struct core *core, uint64_t now);
/* When core_tick() is due next; UINT64_MAX: never. */
uint64_t core_next_tick(const struct core *core);
/* Nothing in motion (OP_WAIT_IDLE). */
bool core_is_idle(const struct core *core);

/* --- questions --- */

uint64_t core_pool_bytes(const struct core_pool *pool);

struct core_granule *core_lease_granule(const struct core_lease *lease, uint32_t i);
uint32_t core_lease_nr_granules(const struct core_lease *lease);
uint64_t core_lease_id(const struct core_lease *lease);
uint64_t core_lease_size(const struct core_lease *lease);
struct core_vm *core_lease_vm(const struct core_lease *lease);
struct core_lease *core_lease_find(const struct core *core, uint64_t id);
void *core_vm_tag(const struct core_vm *vm);
bool core_vm_has_bank(const struct core_vm *vm, uint32_t bank);
/* Leases of @vm in all banks, GRANTING ones included: how many, and their bytes. */
uint32_t core_vm_leases(const struct core_vm *vm, uint64_t *ret_bytes);
/* Whose guarantee stood in the way of the latest request for @bank; "" if none did. */
const char *core_vm_refused_by(const struct core_vm *vm, uint32_t bank);
void *core_granule_tag(const struct core_granule *g);
uint64_t core_granule_pfn(const struct core_granule *g);
enum granule_state core_granule_state(const struct core_granule *g);
struct core_vm *core_granule_holder(const struct core_granule *g); /* who is charged, or NULL */

/*
 * Fill in operator records (report.c).  Lists as in SPEC: from @after, up to
 * @max; returns how many.  @banks: for a peer that knows of banks [B-66].
 * core_report_status() leaves alone what the core does not know: header, instance,
 * uptime, pid, version.
 */
void core_report_status(const struct core *core, struct vcma_op_status *ret);
uint32_t core_report_pools(const struct core *core, uint64_t after, struct vcma_op_pool *ret,
			   uint32_t max, uint64_t *ret_next);
uint32_t core_report_vms(const struct core *core, bool banks, uint64_t after,
			 struct vcma_op_vm *ret, uint32_t max, uint64_t *ret_next);
uint32_t core_report_leases(const struct core *core, bool banks, uint64_t after,
			    struct vcma_op_lease *ret, uint32_t max, uint64_t now,
			    uint64_t *ret_next);

/*
 * The invariants, by number: NULL if all hold, or a static text that begins
 * with the number of the one that does not.  Slow; for tests and debug builds.
 */
const char *core_check(const struct core *core);

#endif /* VCMA_BROKER_CORE_H */
