/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lease.h - leases: consecutive granules of one VM (I2) */
#ifndef VCMA_BROKER_LEASE_H
#define VCMA_BROKER_LEASE_H

#include "core_internal.h"

void lease_tree_init(struct core *core);
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
/* The lease with the lowest id that is not below @id, or NULL. */
struct core_lease *lease_first_from(const struct core *core, uint64_t id);
/* The lease that @i is part of, or NULL; in a pool. */
struct core_lease *lease_at(const struct core_pool *pool, uint32_t i);

#endif /* VCMA_BROKER_LEASE_H */
