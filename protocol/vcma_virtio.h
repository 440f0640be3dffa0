/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-cma: contiguous memory for a guest, from windows of guest-physical
 * addresses.  Version 1; modern virtio only (VIRTIO_F_VERSION_1).
 *
 * The device has windows.  A window is a range of guest-physical addresses,
 * in a BAR or fixed, and empty at first: a load reads all ones, a store does
 * nothing [V-4].  The driver PLUGs a range of a window: the host finds physically
 * contiguous memory (a lease) and maps it there.  UNPLUG gives it back.  The
 * driver chooses window and offset, because it knows its zones; the host
 * chooses the memory, because it knows what is contiguous.
 *
 * Queue 0 (requests): each buffer has a device-readable part, struct
 * virtio_cma_req with its ranges, and a device-writable part, struct
 * virtio_cma_resp with as many range results (CLIENTS: with clients).  Requests
 * are answered when they are done, in any order.
 * Queue 1 (events): the driver posts device-writable buffers of at least
 * sizeof(struct virtio_cma_event).
 *
 * Offsets are relative to the window.  All fields are little-endian.
 * The rules are normative in SPEC.md, section 7 and on; [V-n] names them.
 */
#ifndef VCMA_VIRTIO_H
#define VCMA_VIRTIO_H

#include <linux/types.h>

#define VIRTIO_ID_CMA		63	/* PCI device 0x107f; a device property can change it */

/* Feature bits [V-60] to [V-63], [V-65]. */
#define VIRTIO_CMA_F_RESUME	0	/* reserved: a new driver instance keeps the leases */
#define VIRTIO_CMA_F_STATE_TABLE 1	/* reserved: lease state table in device memory */
#define VIRTIO_CMA_F_CLIENT_TABLE 2	/* table of client devices, and CLIENTS [V-62] */
#define VIRTIO_CMA_F_FIXED	3	/* fixed windows and CONFIRM */
#define VIRTIO_CMA_F_BANKS	4	/* windows with a bank other than 0 */

#define VIRTIO_CMA_QUEUE_REQ	0
#define VIRTIO_CMA_QUEUE_EVENT	1
#define VIRTIO_CMA_QUEUES	2

#define VIRTIO_CMA_WINDOWS_MAX	16
#define VIRTIO_CMA_RANGES_MAX	64	/* in one request */
#define VIRTIO_CMA_EVENT_RANGES	64	/* in one event */
#define VIRTIO_CMA_CLIENTS_MAX	256	/* in the client table */

/*
 * Zones, by what the guest's kernel calls them.  A name only: where a window
 * really is decides who can use it (firmware places BARs) [V-3].
 */
#define VIRTIO_CMA_ZONE_DMA	1
#define VIRTIO_CMA_ZONE_DMA32	2
#define VIRTIO_CMA_ZONE_NORMAL	3
#define VIRTIO_CMA_ZONE_HIGHMEM	4

#define VIRTIO_CMA_WIN_FIXED	(1u << 0) /* `offset` is a guest-physical address [V-60] */

#define VIRTIO_CMA_BAR_NONE	0xffffffffu

struct virtio_cma_window {
	__le32 id;		/* 1 ..; what requests call it */
	__le16 zone;		/* VIRTIO_CMA_ZONE_* */
	__le16 bank;		/* whose memory leases are of; 0: the VM's main pool [V-65] */
	__le32 flags;		/* VIRTIO_CMA_WIN_* */
	__le32 bar;		/* number of the BAR; VIRTIO_CMA_BAR_NONE if it is fixed */
	__le64 offset;		/* in the BAR; if it is fixed, the guest-physical address */
	__le64 length;		/* a multiple of granule_size */
};

/* Configuration space, read-only; it never changes while the device lives [V-1] [V-2]. */
struct virtio_cma_config {
	__le32 num_windows;	/* 1 to VIRTIO_CMA_WINDOWS_MAX */
	__le32 max_leases;	/* at any time, over all windows */
	__le64 granule_size;	/* offset and size of every range are multiples of it */
	__le64 lease_size;	/* what to ask for when less is needed */
	__le64 lease_max;	/* largest range of a PLUG */
	struct virtio_cma_window window[VIRTIO_CMA_WINDOWS_MAX];
};

/* Requests. */
#define VIRTIO_CMA_REQ_PLUG		1	/* each range becomes one lease [V-20] */
#define VIRTIO_CMA_REQ_UNPLUG		2	/* each range is exactly one lease [V-25] */
#define VIRTIO_CMA_REQ_UNPLUG_ALL	3	/* num_ranges is 0 [V-27] */
#define VIRTIO_CMA_REQ_STATE		4	/* changes nothing [V-28] */
#define VIRTIO_CMA_REQ_CONFIRM		5	/* its one range is a whole fixed window [V-60] */
#define VIRTIO_CMA_REQ_RECLAIM_DONE	6	/* `id` of a RECLAIM is finished [V-41] */
#define VIRTIO_CMA_REQ_CLIENTS		7	/* a page of the client table [V-62] [V-68] */

struct virtio_cma_range {
	__le32 window;		/* id */
	__le32 reserved;	/* 0 */
	__le64 offset;
	__le64 size;		/* PLUG: a power of two, at most lease_max */
};

/* [V-10] [V-12] */
struct virtio_cma_req {
	__le16 type;		/* VIRTIO_CMA_REQ_* */
	__le16 status;		/* RECLAIM_DONE: OK or BUSY; else 0 */
	__le32 num_ranges;	/* 0 to VIRTIO_CMA_RANGES_MAX */
	__le32 deadline_ms;	/* PLUG: how long to wait for memory; 0: the device's default */
	__le32 id;		/* RECLAIM_DONE: of the event; CLIENTS: first client; else 0 */
	struct virtio_cma_range range[];
};

/* Statuses: of a request, and of each range [V-13] [V-22]. */
#define VIRTIO_CMA_S_OK			0
#define VIRTIO_CMA_S_INVALID		1	/* malformed, out of the window, overlap, wrong size */
#define VIRTIO_CMA_S_DENIED		2	/* the broker does not let this VM do it */
#define VIRTIO_CMA_S_NO_MEMORY		3	/* the pool cannot have that much */
#define VIRTIO_CMA_S_NO_RUN		4	/* no such contiguous run */
#define VIRTIO_CMA_S_OVER_LIMIT		5	/* the VM's limit, or max_leases of the device */
#define VIRTIO_CMA_S_GUARANTEED		6	/* the rest is guaranteed to other VMs */
#define VIRTIO_CMA_S_TRY_LATER		7	/* deadline; or the former lease is not gone yet */
#define VIRTIO_CMA_S_BROKER_AWAY	8	/* the device has no broker at the moment */
#define VIRTIO_CMA_S_UNSUPPORTED	9	/* needs a feature that was not negotiated */
#define VIRTIO_CMA_S_BUSY		10	/* RECLAIM_DONE: some of it is in use */
#define VIRTIO_CMA_S_HOST_ERROR		11	/* the host could not map it; its log says why */
#define VIRTIO_CMA_S_MAX		12

/* State of a range (STATE) [V-28]. */
#define VIRTIO_CMA_UNPLUGGED		0
#define VIRTIO_CMA_PLUGGED		1	/* exactly one or more whole leases */
#define VIRTIO_CMA_PENDING		2	/* on its way in or out */
#define VIRTIO_CMA_MIXED		3

struct virtio_cma_result {
	__le16 status;		/* VIRTIO_CMA_S_* of this range */
	__le16 state;		/* VIRTIO_CMA_UNPLUGGED .. MIXED, after the request */
	__le32 reserved;	/* 0 */
};

struct virtio_cma_resp {
	__le16 status;		/* OK, or that of the first range that failed */
	__le16 reserved;	/* 0 */
	__le32 num_done;	/* results with OK; UNPLUG_ALL: leases; CLIENTS: clients here */
	struct virtio_cma_result result[];	/* not of CLIENTS */
};

/*
 * A client: a device of the guest whose DMA memory shall come from windows.
 * Its guest PCI address is the one that it had when the device answered [V-69].
 */
struct virtio_cma_client {
	__le16 segment;		/* PCI domain */
	__u8 bus;
	__u8 devfn;		/* slot << 3 | function */
	__le32 bank;		/* of the windows that serve it; 0: the VM's main pool */
	__le64 forbidden;	/* bits that none of its DMA addresses may have; 0: none */
};

/* What follows virtio_cma_resp if CLIENTS is OK [V-68]. */
struct virtio_cma_clients {
	__le32 generation;	/* of the table: another one, and the pages do not fit together */
	__le32 next;		/* first client of the next page; 0: this is the last one */
	struct virtio_cma_client client[];	/* `num_done` of them */
};

/* Events [V-40] to [V-44], [V-64], [V-70]. */
#define VIRTIO_CMA_EV_RECLAIM		1	/* the host wants these back, first the first */
#define VIRTIO_CMA_EV_POOL_CHANGED	2	/* a PLUG that failed may work now */
#define VIRTIO_CMA_EV_LEASE_BAD		3	/* devices may not reach its ranges any more */
#define VIRTIO_CMA_EV_CLIENTS_CHANGED	4	/* the client table is not what was read last */

struct virtio_cma_event {
	__le16 type;		/* VIRTIO_CMA_EV_* */
	__le16 reserved;	/* 0 */
	__le32 id;		/* RECLAIM: for RECLAIM_DONE */
	__le32 deadline_ms;	/* RECLAIM: from now */
	__le32 num_ranges;	/* RECLAIM, LEASE_BAD: 1 to VIRTIO_CMA_EVENT_RANGES; else 0 */
	struct virtio_cma_range range[VIRTIO_CMA_EVENT_RANGES];
};

#endif /* VCMA_VIRTIO_H */
