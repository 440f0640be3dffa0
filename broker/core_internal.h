/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core_internal.h - the core's data, shared by its modules only */
#ifndef VCMA_BROKER_CORE_INTERNAL_H
#define VCMA_BROKER_CORE_INTERNAL_H

#include "buddy.h"
#include "core.h"
#include "extent.h"
#include "list.h"
#include "policy.h"
#include "tree.h"

/**
 * struct core_granule - what the core knows of a granule
 * @tag: the daemon's pointer
 * @pool: it belongs to
 * @lease: it is part of, while GRANTING or LEASED; see granule_lease()
 * @due: ms, when to try again, while QUARANTINED
 * @wait: the request that has claimed it; it becomes RESERVED when CLEAN
 * @debt: while DIRTY: in a queue of the VM that left it so; while QUARANTINED:
 *	in core::retry
 * @index: in its pool
 * @tries: in a row that did not find its page; 0: it is not missing
 * @state: granule_set_state() alone changes it
 *
 * There may be millions: what a granule needs in one state only shares its place.
 */
struct core_granule {
	void *tag;
	struct core_pool *pool;
	union {
		struct core_lease *lease;
		uint64_t due;
	};
	struct wait *wait;
	struct list debt;
	uint32_t index;
	uint8_t tries;
	uint8_t state;
};

/**
 * struct chunk - what a VM's share is counted in
 * @home: the VM whose guarantee it is part of, for ever; NULL: shared
 * @user: the VM that is charged for it; NULL: it is free, and in an extent index
 * @claim: the request that waits for the whole of it
 * @big: the lease of several chunks that it is part of, or NULL
 * @nr: granules in each state
 * @nr_claimed: granules claimed one by one, by a request of @user
 * @nr_room: what it adds to share::nr_room
 * @nr_ask: granules of leases that no order asks for, by what @user says of them;
 *	this and what follows is about leases that lie in the chunk as a whole: so that a
 *	plan need not look at each
 * @refused, @refused_at: the latest of core_lease::refused, ::refused_at
 * @used: in share::used of @user
 * @room: in share::room of @user, if it has room for small leases
 */
struct chunk {
	struct share *home;
	struct share *user;
	struct wait *claim;
	struct core_lease *big;
	uint32_t nr[GRANULE_NR_STATES];
	uint32_t nr_claimed;
	uint32_t nr_room;
	uint32_t nr_ask[POLICY_USES];
	uint64_t refused;
	uint64_t refused_at;
	struct list used;
	struct list room;
};

/**
 * struct core_pool - granules of one backing
 * @per: granules in a chunk, a power of two
 * @order: its logarithm
 * @buddies: nodes of struct buddy trees, 2 * @per for each chunk; a granule is
 *	free there while it is CLEAN
 * @map: where the chunks are
 * @shared: free shared chunks; those of VMs are in share::free
 * @extents, @longest: maximal runs of consecutive PFNs, and chunks in the longest
 * @active: shares that have or want any of what is above guarantees
 * @nr_shares: in all; @view: room for a snapshot of as many
 * @most: the two shares with the largest guarantees, the larger first; or NULL
 * @changed: a chunk or a lease changed hands since waiters had a look; @look:
 *	they are having it
 */
struct core_pool {
	struct core *core;
	struct core_pool *next;
	char name[VCMA_NAME_MAX];
	uint64_t granule_size;
	uint64_t chunk_size;
	uint32_t flags;
	uint32_t backing;
	uint32_t nr;
	uint32_t nr_chunks;
	uint32_t per;
	unsigned int order;
	struct core_granule *granule;
	struct chunk *chunk;
	uint64_t *chunk_addr;
	uint8_t *buddies;
	struct extent_map map;
	struct extent_index shared;
	struct list active;
	uint32_t nr_shares;
	struct policy_vm *view;
	const struct share *most[2];
	uint32_t nr_home;		/* chunks set aside for VMs */
	uint32_t nr_broken;		/* chunks with a BAD granule */
	uint32_t state[GRANULE_NR_STATES];
	uint32_t extents, longest;
	bool changed, look;
	uint64_t scrubbed, reclaimed, refused;	/* since start, as in vcma_op_pool */
};

#define ROOM_HOME	0
#define ROOM_SHARED	1

/**
 * struct core_vm - a tenant
 * @priority: up to POLICY_PRIORITY_MAX; the higher, the later it is asked
 * @bank: its shares by number; bank[0] is always there
 * @waits: its requests in all banks, the oldest first
 * @nr_waiting: how many
 * @debt: DIRTY granules of all banks, see debt.h
 * @in_debt: in core::debtors
 */
struct core_vm {
	struct core *core;
	struct core_vm *next;
	char name[VCMA_NAME_MAX];
	void *tag;
	bool connected;
	uint32_t pid;
	uint8_t priority;
	struct share *bank[VCMA_BANKS_MAX];
	struct list waits;
	uint32_t nr_waiting;
	struct list debt[2];
	struct list in_debt[2];
};

/**
 * struct share - what a VM may have of a pool, and what it has
 * @number: which of the VM's banks it is
 * @guarantee, @run, @limit: chunks
 * @nr_used: chunks whose user it is
 * @nr_coming: chunks that its requests have claimed, of which it is not the
 *	user yet; together these are charged
 * @nr_shared: of those that are charged, which are nobody's home
 * @nr_idle: granules of leases that the VM says to be idle
 * @in_active: in core_pool::active
 * @free: its free home chunks
 * @used: its chunks
 * @room: those with room for a small lease, by kind and by 1 + the order of
 *	the largest block free; see share_room()
 * @nr_room: CLEAN granules in these
 * @state: granules of its chunks in each state, but for the idle ones: CLEAN,
 *	RESERVED and BAD are not counted
 * @nr_missing: granules of its home that are QUARANTINED or BAD
 * @filling: the reclaim order that is being put together
 * @in_filling: in core::filling, if there is one
 * @in_wanting: in core::wanting, if its latest request failed for want of memory
 * @wants_more_than: bytes that were available then
 */
struct share {
	struct share *next;
	struct core_vm *vm;
	struct core_pool *pool;
	uint32_t number;
	uint32_t guarantee, run, limit;
	uint32_t nr_used, nr_coming, nr_shared;
	uint32_t nr_idle;
	struct list in_active;
	struct extent_index free;
	struct list used;
	uint64_t nr_room;
	struct list leases;
	uint32_t nr_leases;
	uint32_t nr_waiting;
	uint32_t state[GRANULE_NR_STATES];
	uint32_t nr_missing;
	struct order *filling;
	struct list in_filling;
	struct list in_wanting;
	uint64_t wants_more_than;
	uint64_t reclaimed;
	uint64_t refused_size;
	uint32_t refused_status;
	char refused_by[VCMA_NAME_MAX];
	struct list room[];
};

/**
 * struct core_lease - consecutive granules of one VM, in one of its banks
 * @home: one of them is in a home chunk: never reclaimed (I7)
 * @order: the reclaim order that asks for it, or NULL
 * @use: what its holder says of it, see core_stats()
 * @refused: core::serial when its holder last refused to give it up; 0: never
 * @refused_at: ms, the time of that
 * @named: core_released() has come across it
 * @same_bucket: the next one there, see lease.h
 * @by_id: in core::leases
 */
struct core_lease {
	struct core_lease *same_bucket;
	struct list by_id;
	struct list in_share;
	uint64_t id;
	struct share *share;
	uint32_t first, nr;
	bool granting;
	bool home;
	bool named;
	uint8_t use;
	struct order *order;
	uint64_t refused;
	uint64_t refused_at;
	uint64_t since;
};

#define PAGE_BYTES	4096

#define DEBT_URGENT	0
#define DEBT_ORDINARY	1
#define DEBT_BACKOFFS	10

struct core {
	const struct core_ops *ops;
	void *opaque;
	uint64_t now;
	uint64_t serial;		/* of the latest LEASE request */
	uint64_t last_lease;
	uint32_t last_id;		/* of orders and operations */
	struct core_pool *pools;
	struct core_vm *vms, **vms_end;
	struct share *shares, **shares_end; /* of all VMs, in the order in which they are listed */
	struct list leases;		/* in the order of their ids */
	struct core_lease **bucket;	/* of leases, see lease.h */
	uint32_t nr_buckets;		/* a power of two, or 0 */
	uint32_t nr_leases;
	struct list waits;		/* the highest priority first, then the oldest */
	uint32_t nr_waits;
	struct list orders;
	struct list operations;
	struct list filling;		/* shares, see share::filling */
	struct list wanting;		/* shares, see share::in_wanting */
	struct list debtors[2];		/* VMs with DIRTY granules, taking turns */
	uint32_t nr_scrubbing;
	uint32_t nr_retrying;		/* of these, granules that were QUARANTINED */
	struct list retry[DEBT_BACKOFFS]; /* QUARANTINED, by how long they wait; the next one first */
};

static inline struct chunk *chunk_of(const struct core_granule *g)
{
	return &g->pool->chunk[g->index >> g->pool->order];
}

static inline uint32_t chunk_index(const struct core_pool *pool, const struct chunk *c)
{
	return (uint32_t)(c - pool->chunk);
}

static inline bool granule_is_held(const struct core_granule *g)
{
	return g->state == GRANULE_GRANTING || g->state == GRANULE_LEASED;
}

/* The lease that @g is part of, or NULL. */
static inline struct core_lease *granule_lease(const struct core_granule *g)
{
	return granule_is_held(g) ? g->lease : NULL;
}

/* Bytes, from address zero. */
static inline uint64_t granule_addr(const struct core_pool *pool, uint32_t index)
{
	return pool->chunk_addr[index >> pool->order] +
	       (index & (pool->per - 1)) * pool->granule_size;
}

/* Lists in share::room. */
static inline size_t share_rooms(const struct core_pool *pool)
{
	return 2 * ((size_t)pool->order + 2);
}

static inline struct list *share_room(struct share *share, unsigned int kind, unsigned int room)
{
	return &share->room[kind * (share->pool->order + 2) + room];
}

/* After any change to what @share has or wants. */
static inline void share_update_active(struct share *share)
{
	if (!share->nr_shared && !share->nr_waiting)
		list_del(&share->in_active);
	else if (list_is_empty(&share->in_active))
		list_add(&share->pool->active, &share->in_active);
}

static inline uint32_t share_charged(const struct share *share)
{
	return share->nr_used + share->nr_coming;
}

#endif /* VCMA_BROKER_CORE_INTERNAL_H */
