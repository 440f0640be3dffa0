/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * debt.h - which granule the scrubber gets next, and when it tries again (I9)
 *
 * DOC: Theory of operation
 *
 * A granule that is given back joins a queue of the VM that left it so, whatever
 * bank it is of.  At
 * most CORE_SCRUB_MAX granules are with the scrubber; when there is room for
 * another, VMs take turns, so one that gives back a lot delays nobody else but
 * by one granule.  What a request waits for goes first, by turns, too.
 *
 * A granule whose page is missing is QUARANTINED and tried again after 100 ms,
 * then after twice the time, up to 30 s.  Those that wait equally long are in one
 * list, which is in the order of their times by itself.  Retries come first, but
 * take a few of the places only: so neither they nor the others can be kept from
 * the scrubber.
 */
#ifndef VCMA_BROKER_DEBT_H
#define VCMA_BROKER_DEBT_H

#include "core_internal.h"

#define RETRY_FIRST_MS	100
#define RETRY_MAX_MS	30000	/* reached after DEBT_BACKOFFS tries */
#define RETRY_AT_ONCE	(CORE_SCRUB_MAX / 4)

void debt_init(struct core *core);
/* @g, GRANTING or LEASED, becomes DIRTY. */
void debt_add(struct core *core, struct core_granule *g);
/* A request has claimed @g, which is DIRTY: it goes first. */
void debt_hurry(struct core *core, struct core_granule *g);
/* Hand to the scrubber what it can take. */
void debt_dispatch(struct core *core);
/* The scrubber has answered for @g, which is about to change its state. */
void debt_scrubbed(struct core *core, struct core_granule *g);
/* @g, which is SCRUBBING, becomes QUARANTINED. */
void debt_quarantine(struct core *core, struct core_granule *g);
/* @g, which is QUARANTINED, is about to change its state. */
void debt_unquarantine(struct core_granule *g);
/* When the next retry is due; UINT64_MAX: none. */
uint64_t debt_next(const struct core *core);

#endif /* VCMA_BROKER_DEBT_H */
