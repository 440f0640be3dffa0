// SPDX-License-Identifier: GPL-2.0-or-later
/* chunk.c - who has a chunk, and room within chunks; see chunk.h */

#include "chunk.h"
#include "wait.h"

#include <assert.h>

uint8_t *chunk_buddies(const struct core_pool *pool, const struct chunk *c)
{
	return pool->buddies + 2 * (size_t)pool->per * chunk_index(pool, c);
}

static struct extent_index *index_of(struct core_pool *pool, const struct chunk *c)
{
	return c->home ? &c->home->free : &pool->shared;
}

/* @share is charged for one more chunk that is to come, or for one less. */
static void change_coming(struct share *share, const struct chunk *c, uint32_t by)
{
	share->nr_coming += by;
	share->nr_shared += c->home ? 0 : by;
	share_update_active(share);
}

static void set_user(struct chunk *c, struct share *share)
{
	if (c->user) {
		c->user->nr_used--;
		c->user->nr_shared -= !c->home;
		share_update_active(c->user);
		list_del(&c->used);
	}
	c->user = share;
	if (share) {
		share->nr_used++;
		share->nr_shared += !c->home;
		share_update_active(share);
		list_add(&share->used, &c->used);
	}
}

/* Is it a place for small leases of its user? */
static bool offers_room(const struct chunk *c)
{
	return c->user && !c->claim && !c->nr[GRANULE_BAD] && c->nr[GRANULE_CLEAN];
}

static void drop_room(struct chunk *c)
{
	if (c->nr_room) {
		c->user->nr_room -= c->nr_room;
		c->nr_room = 0;
		list_del(&c->room);
	}
}

static void update_room(struct core_pool *pool, struct chunk *c)
{
	struct share *share = c->user;

	drop_room(c);
	if (!offers_room(c))
		return;
	c->nr_room = c->nr[GRANULE_CLEAN];
	share->nr_room += c->nr_room;
	/* First: who fills one chunk after the other leaves the others whole. */
	list_add(share_room(share, c->home ? ROOM_HOME : ROOM_SHARED,
			    buddy_room(chunk_buddies(pool, c)))->next, &c->room);
}

/**
 * chunk_use() - A VM takes a free chunk
 * @pool: of the chunk
 * @c: free
 * @share: who is charged for it from now on
 *
 * chunk_settle() must follow, when granules have been taken.
 */
void chunk_use(struct core_pool *pool, struct chunk *c, struct share *share)
{
	assert(!c->user && !c->claim);
	assert(!c->home || c->home == share);
	extent_take(index_of(pool, c), chunk_index(pool, c), 1);
	set_user(c, share);
}

void chunk_claim(struct core_pool *pool, struct chunk *c, struct wait *wait, struct share *share)
{
	assert(!c->claim);
	if (!c->user)
		chunk_use(pool, c, share);
	drop_room(c);
	c->claim = wait;
	if (c->user != share)
		change_coming(share, c, 1);
}

void chunk_unclaim(struct chunk *c, struct share *share)
{
	assert(c->claim);
	c->claim = NULL;
	if (c->user != share)
		change_coming(share, c, -1u);
}

bool chunk_is_only_dirty(const struct chunk *c)
{
	return !c->claim && !c->nr_claimed && !c->nr[GRANULE_LEASED] && !c->nr[GRANULE_GRANTING] &&
	       !c->nr[GRANULE_RESERVED] && !c->nr[GRANULE_QUARANTINED];
}

/* Granules that nobody has and that are not on their way back. */
static uint32_t idle(const struct chunk *c)
{
	return c->nr[GRANULE_CLEAN] + c->nr[GRANULE_RESERVED] + c->nr[GRANULE_BAD];
}

/**
 * chunk_settle() - Move a chunk to where it belongs now
 * @pool: of the chunk
 * @c: whose granules or claim have changed
 */
void chunk_settle(struct core_pool *pool, struct chunk *c)
{
	if (c->user && idle(c) == pool->per) {
		drop_room(c);
		if (c->claim && wait_share(c->claim) != c->user) {
			change_coming(wait_share(c->claim), c, -1u);
			set_user(c, wait_share(c->claim));
		} else if (!c->claim && !c->nr[GRANULE_RESERVED]) {
			set_user(c, NULL);
			if (!c->nr[GRANULE_BAD])
				extent_put(index_of(pool, c), chunk_index(pool, c), 1);
			pool->changed = true;
		}
	}
	if (c->user)
		update_room(pool, c);
}
