/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunk.h - who has a chunk, and room within chunks (I7, I9)
 *
 * DOC: Theory of operation
 *
 * A chunk is free (no user; in share::free of the VM whose home it is or in
 * core_pool::shared), in use (charged to its one user), or broken (no user, a
 * BAD granule, in no index).
 *
 * A request that waits may claim a chunk that another VM still uses.  Then
 * both are charged: the user for what is there, the claimer for what is to
 * come.  When nothing of the user's is left, the claimer becomes the user.
 *
 * chunk_settle() brings a chunk into the place where it belongs.  It is called
 * after any change to a chunk's granules or claim, and it alone moves chunks
 * out of use.
 */
#ifndef VCMA_BROKER_CHUNK_H
#define VCMA_BROKER_CHUNK_H

#include "core_internal.h"

/* A free chunk becomes @share's. */
void chunk_use(struct core_pool *pool, struct chunk *c, struct share *share);
/* @wait (of whole chunks) claims it; it is free or in use. */
void chunk_claim(struct core_pool *pool, struct chunk *c, struct wait *wait, struct share *share);
/* The claim ends; chunk_settle() must follow. */
void chunk_unclaim(struct chunk *c, struct share *share);
void chunk_settle(struct core_pool *pool, struct chunk *c);

/* True if nothing is in it but what the scrubber brings back, and nobody waits for that. */
bool chunk_is_only_dirty(const struct chunk *c);
uint8_t *chunk_buddies(const struct core_pool *pool, const struct chunk *c);

#endif /* VCMA_BROKER_CHUNK_H */
