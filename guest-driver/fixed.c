// SPDX-License-Identifier: GPL-2.0-only
/*
 * fixed.c - windows at fixed guest-physical addresses
 *
 * DOC: Theory of operation
 *
 * A fixed window lies among the machine's RAM, or in a hole of it, where devices
 * with few address lines reach.  The machine tells its firmware to leave it out:
 * a reserved entry in the e820 map, or a node in the device tree.  Until CONFIRM
 * it is ordinary RAM, and from then to the next system reset it is a window like
 * others.  Firmware, or a kernel that was started by another one, may have
 * ignored the reservation.  So before anything else the driver proves that no
 * byte of it is System RAM of this kernel, and claims it: /proc/iomem shows it,
 * inside the reserved region where there is one.  Then, when the device answers
 * requests, it sends CONFIRM [V-60], and again after each sleep.
 *
 * A window that is System RAM is left alone, and the others serve.  But if the
 * host has leases there, this kernel lives in memory that an earlier driver
 * instance has got, and that goes away: then the driver does not start.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/ioport.h>
#include <linux/jiffies.h>

#include "virtio_cma.h"

/* CONFIRM is tried again for so long while the host says "later" (migration). */
#define CONFIRM_MS 5000

/**
 * vcma_window_state_str() - what a window is good for, in words
 * @win: the window
 *
 * Return: a constant string.
 */
const char *vcma_window_state_str(const struct vcma_window *win)
{
	static const char * const str[] = {
		[VCMA_WINDOW_USABLE] = "usable",
		[VCMA_WINDOW_SYSTEM_RAM] = "System RAM: left alone",
		[VCMA_WINDOW_TAKEN] = "in use by others: left alone",
		[VCMA_WINDOW_UNCONFIRMED] = "not confirmed by the device",
	};

	static_assert(ARRAY_SIZE(str) == VCMA_NR_WINDOW_STATES);
	return str[win->state];
}

/**
 * vcma_fixed_claim() - find out whether a fixed window can be used
 * @win: with base and length; its state is set
 *
 * Return: true if nobody else uses it, and it is claimed.
 */
bool vcma_fixed_claim(struct vcma_window *win)
{
	phys_addr_t end = win->base + win->length - 1;

	if (region_intersects(win->base, win->length, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		win->state = VCMA_WINDOW_SYSTEM_RAM;
		pr_warn("window %u: %pa-%pa is System RAM of this kernel, so it is left alone: firmware has ignored the reservation; start the VM with SeaBIOS, or reserve it on the kernel's command line (on x86: memmap=SIZE$ADDR), or give the window another place (dma=SIZE@ADDR)\n",
			win->id, &win->base, &end);
		return false;
	}
	win->res = request_mem_region(win->base, win->length, KBUILD_MODNAME);
	if (!win->res) {
		win->state = VCMA_WINDOW_TAKEN;
		pr_warn("window %u: %pa-%pa is in use, see /proc/iomem; give it another place (dma=SIZE@ADDR)\n",
			win->id, &win->base, &end);
		return false;
	}
	win->state = VCMA_WINDOW_USABLE;
	return true;
}

/**
 * vcma_fixed_unclaim() - undo vcma_fixed_claim()
 * @win: may not be claimed
 */
void vcma_fixed_unclaim(struct vcma_window *win)
{
	if (win->res)
		release_mem_region(win->base, win->length);
	win->res = NULL;
}

/* A request about all of a window: its status, or -errno; @ret_state may be NULL. */
static int ask(struct vcma_window *win, u16 type, u16 *ret_state)
{
	struct vcma_call *call = vcma_call_new(win->vcma, type, 1);
	int err;

	if (!call)
		return -ENOMEM;
	vcma_call_window(call, 0, win);
	err = vcma_call_start(call);
	if (!err)
		err = vcma_call_wait(call, VCMA_UNPLUG_MS);
	if (!err) {
		err = vcma_call_status(call, 0);
		if (ret_state)
			*ret_state = vcma_call_state(call, 0);
	}
	vcma_call_put(call);
	return err;
}

/* Nobody's RAM must go away under this kernel. */
static int check_ram(struct vcma_window *win)
{
	u16 state = VIRTIO_CMA_MIXED;
	int err = ask(win, VIRTIO_CMA_REQ_STATE, &state);

	if (err < 0) {
		pr_err("window %u: the device does not say whether there are leases in it: %d\n",
		       win->id, err);
		return err;
	}
	if (err != VIRTIO_CMA_S_OK || state != VIRTIO_CMA_UNPLUGGED) {
		pr_err("window %u is System RAM of this kernel, and the host has leases of an earlier driver there: memory that this kernel uses goes away; restart the VM\n",
		       win->id);
		return -EBUSY;
	}
	return 0;
}

static void confirm_one(struct vcma_window *win)
{
	unsigned long until = jiffies + msecs_to_jiffies(CONFIRM_MS);
	unsigned int ms = 5;
	int err;

	for (;;) {
		err = ask(win, VIRTIO_CMA_REQ_CONFIRM, NULL);
		if (err != VIRTIO_CMA_S_TRY_LATER || time_after(jiffies, until))
			break;
		msleep(ms);
		ms = min(ms * 2, 500U);
	}
	if (!err) {
		win->state = VCMA_WINDOW_USABLE;
		return;
	}
	win->state = VCMA_WINDOW_UNCONFIRMED;
	pr_warn("window %u: the device does not confirm it (%s), so it is not used; unload and load the driver to try again\n",
		win->id, err > 0 ? vcma_status_str(err) : "no answer");
}

/**
 * vcma_fixed_start() - make fixed windows usable
 * @vcma: answers requests, and has no leases yet
 *
 * Context: process; to be called whenever the device was started.
 *
 * Return: 0, also if some cannot be used; -errno if the driver must not start.
 */
int vcma_fixed_start(struct vcma_dev *vcma)
{
	unsigned int i;
	int err;

	for (i = 0; i < vcma->nr_windows; i++) {
		struct vcma_window *win = &vcma->win[i];

		if (win->state != VCMA_WINDOW_SYSTEM_RAM)
			continue;
		err = check_ram(win);
		if (err)
			return err;
	}
	for (i = 0; i < vcma->nr_windows; i++)
		if (vcma->win[i].res)
			confirm_one(&vcma->win[i]);
	return 0;
}
