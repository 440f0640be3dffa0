// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad.c - leases that a device may not reach
 *
 * DOC: Theory of operation
 *
 * The host could not map a lease for the DMA of a device that came later, or whose
 * guest has moved a BAR, and there it cannot be refused any more [V-64].  For the CPU
 * the lease is as good as ever, and those who have ranges in it may or may not be that
 * device.  So nothing is taken away from anybody: the lease gets no further ranges, the
 * log says once who has some in it and how to get them out, and when the last one is
 * freed the lease is unplugged.
 *
 * The event may overtake the answer to the PLUG that has made the lease, on the other
 * queue: then who has asked for the lease gets another one (plug_complete()).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vcma_client.h"

/**
 * vcma_bad_drop() - a bad lease has no range any more
 * @vcma: its device; vcma->lock is held
 *
 * Context: any.
 */
void vcma_bad_drop(struct vcma_dev *vcma)
{
	/* Else the device is going, or asleep, and with it all leases without ranges. */
	if (vcma->ready)
		queue_work(vcma_wq, &vcma->bad_work);
}

/**
 * vcma_bad_work() - unplug bad leases without ranges
 * @work: in struct vcma_dev
 */
void vcma_bad_work(struct work_struct *work)
{
	struct vcma_dev *vcma = container_of(work, struct vcma_dev, bad_work);

	vcma_lease_release_idle(vcma, VCMA_BAD_LEASES, VCMA_UNPLUG_MS);
}

/**
 * vcma_bad_mark() - the host says that leases are bad
 * @vcma: the device
 * @range: leases, as the host lists them
 * @nr: how many
 *
 * Context: may sleep.
 */
void vcma_bad_mark(struct vcma_dev *vcma, const struct virtio_cma_range *range, unsigned int nr)
{
	struct vcma_lease *lease;
	unsigned int i, ranges;
	unsigned long flags;
	phys_addr_t base;
	u64 size;
	u32 id;

	for (i = 0; i < nr; i++) {
		spin_lock_irqsave(&vcma->lock, flags);
		lease = vcma_lease_find(vcma, &range[i], true);
		if (!lease || lease->bad || lease->state == VCMA_LEASE_UNPLUGGING) {
			spin_unlock_irqrestore(&vcma->lock, flags);
			continue;	/* gone, going, or known */
		}
		lease->bad = true;
		id = lease->win->id;
		base = lease->win->base + lease->offset;
		size = lease->size;
		ranges = lease->nr_ranges;
		if (!ranges)
			vcma_bad_drop(vcma);
		spin_unlock_irqrestore(&vcma->lock, flags);

		pr_warn("window %u: a device may not reach the lease of %llu KiB at %pa, says the host, whose QEMU has the reason in its log; it is %s\n",
			id, size >> 10, &base,
			ranges ? "not used for more, and given back when its users are done" :
				 "given back");
		/* By its address alone: it may go at any time. */
		if (ranges)
			vcma_clients_tell_bad(vcma, base, size);
	}
}
