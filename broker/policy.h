/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - may this VM have it, and if not, why (I7)
 *
 * A pure function of a snapshot in chunks.  "Firm" is what a VM holds and no
 * scrubber brings back: leases, claims, quarantined granules.
 */
#ifndef VCMA_BROKER_POLICY_H
#define VCMA_BROKER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct policy_view - what the decision depends on
 * @need: chunks that the request takes
 * @limit: of the VM
 * @firm: chunks charged to the VM for good
 * @pool: chunks that are not broken
 * @guaranteed: of these, set aside for other VMs
 * @own: of these, what the VM holds itself for good
 * @run_guaranteed: a run exists in which only guarantees of other VMs stand in the way
 * @run_refused: one in which only leases stand in the way that their holders
 *	have refused to give up for this request
 * @run_possible: one that can be had, now or once others have given back
 */
struct policy_view {
	uint32_t need, limit, firm;
	uint32_t pool, guaranteed, own;
	bool run_guaranteed, run_refused, run_possible;
};

/* VCMA_ST_OK: it may have it or wait for it; else why not. */
uint32_t policy_decide(const struct policy_view *v);

#endif /* VCMA_BROKER_POLICY_H */
