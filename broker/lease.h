/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.h - leases: consecutive granules of one VM (I2)
 *
 * DOC: Theory of operation
 *
 * Leases are in a list by their ids, and in a table of buckets: the lowest bits of
 * the id say in which one.  Ids are given in ascending order, so buckets fill
 * evenly, and no peer can choose one.  The table is as large as the pools make it
 * from the beginning, LEASES_PER_BUCKET at worst, and so a lease is found, made and
 * ended in constant time.
 */
#ifndef VCMA_BROKER_LEASE_H
#define VCMA_BROKER_LEASE_H

#include "core_internal.h"

#define LEASES_PER_BUCKET	4

void lease_table_init(struct core *core);
void lease_table_fini(struct core *core);
int lease_table_grow(struct core *core, uint64_t granules);
/*
 * A lease of granules [@first, @first + @nr), which are CLEAN or RESERVED for
 * no request any more, in chunks that are free or @share's; they become GRANTING.
 * NULL: no memory.
 */
struct core_lease *lease_new(struct share *share, uint32_t first, uint32_t nr);
/* An order asks for @lease from now on, or (NULL) none does. */
void lease_set_order(struct core_lease *lease, struct order *order);
/* Its holder has had its chance to give @lease up, now. */
void lease_refuse(struct core_lease *lease);
/* What its holder says of it. */
void lease_set_use(struct core_lease *lease, enum policy_use use);
/* All its granules become DIRTY, and it is no more. */
void lease_end(struct core_lease *lease);
/*
 * The lease with the lowest id that is not below @id, or NULL.  Fast if there is one
 * with @id or the id before; else all below are passed.
 */
struct core_lease *lease_first_from(const struct core *core, uint64_t id);
/* The lease that @i is part of, or NULL; in a pool. */
struct core_lease *lease_at(const struct core_pool *pool, uint32_t i);

#endif /* VCMA_BROKER_LEASE_H */
