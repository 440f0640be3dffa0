/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio_cma.h - what the files of virtio_cma.ko share
 *
 * DOC: Theory of operation
 *
 * A client is a PCI device whose coherent DMA memory comes from vcma.  Its
 * dma_map_ops are ours from before its driver probes until it is unbound
 * (match.c, table.c, attach.c, ops.c; vcma_client.h has its structs).  An
 * allocation becomes a range: whole pages inside a lease (range.c, alloc.c), in
 * one of the windows that will do for it (choose.c).  Streaming maps take ranges,
 * too, where the kernel cannot be trusted with them (bounce.c).
 *
 * A lease is memory that the host has put in a window (lease.c), mapped for the
 * CPU always or when need be (map.c).  A window is a part of a BAR of the
 * virtio-cma device, or lies at a fixed address (window.c, fixed.c).  Leases come
 * by PLUG and go by UNPLUG requests (req.c).  An idle lease, one without a range,
 * stays warm until the host asks for it (event.c), until the administrator gives
 * it back (sysfs.c), until a client is pulled out (attach.c), or until it stands
 * in the way of a larger one.  One that a device may not reach goes when it is
 * idle (bad.c).
 *
 * Contexts: alloc may be called in atomic context, and is then served from
 * warm leases only.  free may be called in any context but NMI.  Requests are
 * completed in the virtqueue's interrupt.  So every spinlock here is taken
 * with interrupts off, and nothing sleeps under one.
 *
 * Lifetimes: a range holds a reference of its struct vcma_dev.  When the
 * device goes while ranges exist, the struct and the mapping of its windows
 * stay until the last range is freed.  A client is attached as long as it has
 * a range, and holds a reference of the module.
 *
 * Lock order: device_lock(client) -> vcma_clients_lock -> vcma->table_mutex;
 * vcma_clients_lock -> (client->lock | vcma->lock); (vcma->plug_mutex |
 * vcma->map_mutex | vcma->table_mutex) -> (vcma->lock | vcma->req_lock).  No
 * spinlock is taken under another one.
 */
#ifndef VIRTIO_CMA_H
#define VIRTIO_CMA_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>

#include "layout.h"
#include "vcma_virtio.h"
#include "zone.h"

struct vcma_dev;
struct vcma_window;

/* Answers come this long after the deadline that the device knows of, or late. */
#define VCMA_ANSWER_MARGIN_MS	2000
/* For requests that wait for no memory: UNPLUG at unload, suspend, by hand. */
#define VCMA_UNPLUG_MS		5000

/* Instead of the number of a bank: all; all, but bad leases only. */
#define VCMA_ALL_BANKS		(-1)
#define VCMA_BAD_LEASES		(-2)

/* A 32-bit kernel has no room to map whole windows: each lease is mapped when need be. */
#ifdef CONFIG_64BIT
#define VCMA_MAP_LEASES 0
#else
#define VCMA_MAP_LEASES 1
#endif

/*
 * With an unsigned PAGE_MASK, ioremap() and memremap() of a 32-bit x86 kernel cut
 * addresses off at 32 bits, and map what happens to be there (Linux 6.1).
 */
#define VCMA_NO_HIGH_REMAP (IS_ENABLED(CONFIG_X86_32) && !((u64)PAGE_MASK >> 32))

/**
 * enum vcma_lease_state - what a lease is good for
 * @VCMA_LEASE_PLUGGING: PLUG is on its way.
 *	Operations: plug_complete() moves it to READY or takes it out.
 *	Caveats: ranges may be taken by who sent the PLUG only, and are not to
 *	be touched before READY.
 * @VCMA_LEASE_READY: memory is there.
 *	Operations: ranges are taken and freed; without ranges it is idle, and
 *	lease_take_idle() moves it to UNPLUGGING.
 * @VCMA_LEASE_UNPLUGGING: UNPLUG is on its way.
 *	Operations: unplug_complete() takes it out, or moves it back to READY if
 *	the device says that it is still there.
 *	Caveats: has no ranges and gets none.
 */
enum vcma_lease_state {
	VCMA_LEASE_PLUGGING,
	VCMA_LEASE_READY,
	VCMA_LEASE_UNPLUGGING,
};

/**
 * struct vcma_lease - memory that the host has put, or is putting, in a window
 * @node: in the window's list, by offset
 * @win: its window
 * @offset: in the window
 * @size: a power of two
 * @state: see there; only lease_set_state() changes it
 * @bad: a device may not reach it [V-64]: gets no ranges any more, and is unplugged
 *	when it has none (bad.c)
 * @nr_ranges: ranges in it
 * @nr_mapped: those of them that need the mapping
 * @vaddr: its mapping; NULL if there is none (map.c).  Stays while @nr_mapped is
 *	not 0.
 * @unmap: in the list of leases to be unmapped and freed
 * @free_pages: pages in no range
 * @used: a bit a page: in a range
 * @dirty: a bit a page: was in a range before, so may not be zero
 */
struct vcma_lease {
	struct list_head node;
	struct vcma_window *win;
	u64 offset;
	u64 size;
	enum vcma_lease_state state;
	bool bad;
	unsigned int nr_ranges;
	unsigned int nr_mapped;
	void *vaddr;
	struct llist_node unmap;
	unsigned long free_pages;
	unsigned long *used;
	unsigned long *dirty;
};

/* A window's sysfs directory. */
#define VCMA_WINDOW_ATTRS 13

struct vcma_window_attr {
	struct device_attribute attr;
	struct vcma_window *win;
};

/**
 * enum vcma_window_state - what a window is good for
 * @VCMA_WINDOW_USABLE: leases may be had there
 * @VCMA_WINDOW_SYSTEM_RAM: fixed, and this kernel uses it as memory
 * @VCMA_WINDOW_TAKEN: fixed, and something else has claimed it
 * @VCMA_WINDOW_UNCONFIRMED: fixed, and the device has not said OK to CONFIRM
 * @VCMA_NR_WINDOW_STATES: how many
 */
enum vcma_window_state {
	VCMA_WINDOW_USABLE,
	VCMA_WINDOW_SYSTEM_RAM,
	VCMA_WINDOW_TAKEN,
	VCMA_WINDOW_UNCONFIRMED,
	VCMA_NR_WINDOW_STATES
};

/**
 * struct vcma_window - a range of guest-physical addresses where leases appear
 * @vcma: its device
 * @id: what requests call it
 * @zone: what the device calls its zone; says nothing about where it is
 * @bank: of memory behind it; 0: none in particular
 * @fixed: it is in no BAR, but at an address that the machine has left out
 * @bar: number of the BAR, if it is in one
 * @res: the claim on a fixed window, in /proc/iomem; or NULL
 * @state: only in use if VCMA_WINDOW_USABLE; changes only while it has no leases
 *	and the device is not ready
 * @base: guest-physical address; decides who can use it
 * @length: bytes
 * @vaddr: all of it, mapped once; NULL if leases are mapped one by one
 * @leases: its leases by offset
 * @rotor: where to look for room first: after the latest lease, so that an
 *	offset whose lease was just given up is not asked for at once
 * @nr_leases: leases in @leases
 * @lease_bytes: their size
 * @range_bytes: size of the ranges in them
 * @allocs: allocations that it has served
 * @reserve_refused: allocations that went elsewhere, or failed, because of what
 *	they have to leave free in it (I6)
 * @backoff: a refusal for its bank is fresh: no new leases for small requests
 * @backoff_until: in jiffies
 * @attrs: sysfs
 * @attr_list: sysfs
 * @group: sysfs
 * @group_name: sysfs
 */
struct vcma_window {
	struct vcma_dev *vcma;
	u32 id;
	u16 zone;
	u16 bank;
	bool fixed;
	unsigned int bar;
	struct resource *res;
	enum vcma_window_state state;
	phys_addr_t base;
	u64 length;
	void *vaddr;

	/* Under vcma->lock. */
	struct list_head leases;
	u64 rotor;
	unsigned int nr_leases;
	u64 lease_bytes;
	u64 range_bytes;
	u64 allocs;
	u64 reserve_refused;
	bool backoff;
	unsigned long backoff_until;

	struct vcma_window_attr attrs[VCMA_WINDOW_ATTRS];
	struct attribute *attr_list[VCMA_WINDOW_ATTRS + 1];
	struct attribute_group group;
	char group_name[16];
};

/**
 * enum vcma_mapping - what an allocation needs of the CPU's mapping
 * @VCMA_MAP_NONE: nothing
 * @VCMA_MAP_LATER: the lease shall be mapped, and the caller can do that
 * @VCMA_MAP_NOW: the lease must be mapped already
 */
enum vcma_mapping {
	VCMA_MAP_NONE,
	VCMA_MAP_LATER,
	VCMA_MAP_NOW,
};

/**
 * struct vcma_want - what an allocation needs
 * @reach: addresses that the client can use
 * @bytes: size, whole pages
 * @pages: the same
 * @align: dma_alloc_coherent()'s promise: the smallest power of two pages that
 *	is not less than the size
 * @mapping: what it needs of the CPU's mapping
 * @map_max: with VCMA_MAP_LATER: the largest lease for which there may be address
 *	space
 */
struct vcma_want {
	struct vcma_reach reach;
	u64 bytes;
	unsigned long pages;
	u64 align;
	enum vcma_mapping mapping;
	u64 map_max;
};

/**
 * struct vcma_option - a window that may serve an allocation
 * @win: the window
 * @span: the window as the client sees it
 * @reserve: bytes that the allocation has to leave free in it (I6)
 * @refused: the reserve stood in the way
 */
struct vcma_option {
	struct vcma_window *win;
	struct vcma_span span;
	u64 reserve;
	bool refused;
};

/**
 * struct vcma_choice - the windows that may serve an allocation
 * @nr: how many
 * @opt: those, in the order in which they are tried
 */
struct vcma_choice {
	unsigned int nr;
	struct vcma_option opt[VIRTIO_CMA_WINDOWS_MAX];
};

/**
 * enum vcma_reason - why an allocation got nothing from vcma
 * @VCMA_SERVED: it got something
 * @VCMA_NO_WINDOW: the client reaches no window of its bank
 * @VCMA_TOO_LARGE: no window, or no lease, can have that size where the client
 *	needs it
 * @VCMA_RESERVED: what is left of the windows is for those who can go nowhere else
 * @VCMA_FULL: the windows have no place
 * @VCMA_NOT_WARM: the caller cannot wait for a lease, and those there have no room
 * @VCMA_HOST: the host said no, or nothing
 * @VCMA_UNMAPPED: no address space to map the lease
 * @VCMA_NR_REASONS: how many
 */
enum vcma_reason {
	VCMA_SERVED,
	VCMA_NO_WINDOW,
	VCMA_TOO_LARGE,
	VCMA_RESERVED,
	VCMA_FULL,
	VCMA_NOT_WARM,
	VCMA_HOST,
	VCMA_UNMAPPED,
	VCMA_NR_REASONS
};

/**
 * struct vcma_dev - one virtio-cma device, or what is left of it
 * @ref: the driver binding holds one, each range holds one, callers in between
 * @node: in the list of all instances, main.c
 * @release_work: frees all this when @ref has gone to zero
 * @vdev: the virtio device; not to be touched after remove
 * @pdev: its PCI device; holds a reference, to recognise it
 * @granule_size: offset and size of leases are multiples of it
 * @lease_size: what to ask for when less is needed
 * @lease_max: the largest lease
 * @nr_windows: windows in @win
 * @win: windows as the device lists them
 * @bars: BARs that are claimed, a bit each
 * @lock: protects the windows' leases, the leases with their bitmaps, and the
 *	counters below it.  While it is held no lease comes, goes or changes
 *	its state.  Taken in any context; nobody holding it may wait, allocate
 *	but with GFP_ATOMIC, or take another lock.
 * @ready: ranges may be placed and leases plugged; false before probe has
 *	ended, while the system sleeps, and after remove
 * @nr_ranges: ranges in all leases
 * @plugs: leases that the host has given
 * @reclaimed_bytes: what it has got back
 * @refused_size: of the latest allocation that got nothing
 * @refused_why: and the reason, a constant; NULL: there was none
 * @allocs: of all clients, served
 * @fallbacks: of all clients, served by the kernel's own allocator
 * @failures: of all clients, not served at all
 * @refill_work: gets a lease in the place of a caller who could not wait for it
 * @refill_want: what that caller wanted
 * @refill_choice: and could use
 * @bad_work: unplugs bad leases without ranges
 * @has_table: the device has a client table
 * @table_work: reads it after a change
 * @table_mutex: held while it is read; protects @table_nr and @table
 * @table_nr: clients in it, as it was read last
 * @table: those
 * @plug_mutex: held while a lease is asked for, so that many callers who find
 *	no room do not ask for one each.  Not to be taken by event work, which
 *	makes the room that the holder may be waiting for.
 * @map_mutex: held while a lease is mapped, or unmapped for want of address space;
 *	not together with @plug_mutex
 * @req_lock: protects the request queue and @stopped.  Taken in the queue's
 *	interrupt.
 * @req_vq: request queue
 * @stopped: no requests any more (or not yet)
 * @stalled: the device has let a deadline pass and answered nothing since
 * @event_vq: event queue; touched by probe, remove and @event_work only
 * @event_work: reads events
 * @events: memory for the events
 */
struct vcma_dev {
	struct kref ref;
	struct list_head node;
	struct work_struct release_work;
	struct virtio_device *vdev;
	struct pci_dev *pdev;

	u64 granule_size;
	u64 lease_size;
	u64 lease_max;
	unsigned int nr_windows;
	struct vcma_window win[VIRTIO_CMA_WINDOWS_MAX];
	unsigned long bars;

	spinlock_t lock;		/* of what follows, and of the leases */
	bool ready;
	unsigned int nr_ranges;
	u64 plugs;
	u64 reclaimed_bytes;
	u64 refused_size;
	const char *refused_why;
	struct work_struct refill_work;
	struct vcma_want refill_want;
	struct vcma_choice refill_choice;
	struct work_struct bad_work;

	bool has_table;
	struct work_struct table_work;
	struct mutex table_mutex;	/* of the table */
	unsigned int table_nr;
	struct virtio_cma_client table[VIRTIO_CMA_CLIENTS_MAX];

	atomic64_t allocs;
	atomic64_t fallbacks;
	atomic64_t failures;

	struct mutex plug_mutex;	/* while a lease is asked for */
	struct mutex map_mutex;		/* while a lease is mapped */

	spinlock_t req_lock;		/* of the request queue */
	struct virtqueue *req_vq;
	bool stopped;
	bool stalled;

	struct virtqueue *event_vq;
	struct work_struct event_work;
	struct virtio_cma_event *events;
};

/**
 * struct vcma_place - where a range was taken
 * @lease: the lease
 * @first: first page
 * @mapped: the range needs the lease's mapping
 * @zero_from: first page that may not be zero
 * @zero_end: and the end of those; equal: all is zero
 */
struct vcma_place {
	struct vcma_lease *lease;
	unsigned long first;
	bool mapped;
	unsigned long zero_from;
	unsigned long zero_end;
};

/**
 * struct vcma_call - a request and its answer
 * @ref: the queue holds one, who waits another
 * @done: answered, or never will be
 * @vcma: the device
 * @complete: called once, without locks, maybe in an interrupt, before @done
 * @err: 0: answered; -ENODEV: the device is gone; -EPROTO: the answer is bad
 * @len: bytes of the answer
 * @applied: @complete has done its work; under vcma->lock
 * @nr: ranges
 * @room: CLIENTS: clients for which the answer has room; else 0
 * @req: for the device to read
 * @resp: for the device to write
 * @lease: the lease of each range
 */
struct vcma_call {
	struct kref ref;
	struct completion done;
	struct vcma_dev *vcma;
	void (*complete)(struct vcma_call *call);
	int err;
	unsigned int len;
	bool applied;
	unsigned int nr;
	unsigned int room;
	struct virtio_cma_req *req;
	struct virtio_cma_resp *resp;
	struct vcma_lease *lease[];
};

/* main.c */
extern struct workqueue_struct *vcma_wq;
extern bool vcma_strict;
unsigned int vcma_deadline_ms(void);
struct vcma_dev *vcma_get_live(void);
void vcma_get(struct vcma_dev *vcma);
void vcma_put(struct vcma_dev *vcma);

/* req.c */
struct vcma_call *vcma_call_new(struct vcma_dev *vcma, u16 type, unsigned int nr);
struct vcma_call *vcma_call_new_clients(struct vcma_dev *vcma, u32 first, unsigned int room);
void vcma_call_range(struct vcma_call *call, unsigned int i, struct vcma_lease *lease);
void vcma_call_window(struct vcma_call *call, unsigned int i, const struct vcma_window *win);
int vcma_call_start(struct vcma_call *call);
int vcma_call_wait(struct vcma_call *call, unsigned int ms);
u16 vcma_call_status(const struct vcma_call *call, unsigned int i);
u16 vcma_call_state(const struct vcma_call *call, unsigned int i);
const struct virtio_cma_clients *vcma_call_clients(const struct vcma_call *call);
void vcma_call_put(struct vcma_call *call);
void vcma_req_callback(struct virtqueue *vq);
void vcma_req_drain(struct vcma_dev *vcma);
const char *vcma_status_str(u16 status);

/* event.c */
int vcma_event_init(struct vcma_dev *vcma);
int vcma_event_post_all(struct vcma_dev *vcma);
void vcma_event_callback(struct virtqueue *vq);
void vcma_event_fini(struct vcma_dev *vcma);

/* window.c */
int vcma_windows_init(struct vcma_dev *vcma);
void vcma_windows_unclaim(struct vcma_dev *vcma);
void vcma_windows_fini(struct vcma_dev *vcma);
struct vcma_window *vcma_window_find(struct vcma_dev *vcma, u32 id);
const char *vcma_window_zone(const struct vcma_window *win);
bool vcma_window_mappable(const struct vcma_window *win);

/* fixed.c */
bool vcma_fixed_claim(struct vcma_window *win);
void vcma_fixed_unclaim(struct vcma_window *win);
int vcma_fixed_start(struct vcma_dev *vcma);
const char *vcma_window_state_str(const struct vcma_window *win);

/* choose.c; more in vcma_client.h */
u64 vcma_window_reserve(const struct vcma_window *win);
const char *vcma_reason_str(enum vcma_reason reason);

/* lease.c */
int vcma_lease_plug(struct vcma_option *opt, const struct vcma_want *want, u64 size,
		    unsigned long until, struct vcma_place *ret);
bool vcma_lease_warm(struct vcma_option *opt, const struct vcma_want *want,
		     struct vcma_place *ret);
void vcma_lease_give(struct vcma_lease *lease, unsigned long first, unsigned long pages,
		     bool mapped);
struct vcma_lease *vcma_lease_find(struct vcma_dev *vcma, const struct virtio_cma_range *range,
				   bool exact);
unsigned int vcma_lease_reclaim(struct vcma_dev *vcma, const struct virtio_cma_range *range,
				unsigned int nr, unsigned int ms);
u64 vcma_lease_release_idle(struct vcma_dev *vcma, int bank, unsigned int ms);
void vcma_lease_forget_all(struct vcma_window *win);
void vcma_lease_free(struct vcma_lease *lease);

/* bad.c */
void vcma_bad_mark(struct vcma_dev *vcma, const struct virtio_cma_range *range, unsigned int nr);
void vcma_bad_drop(struct vcma_dev *vcma);
void vcma_bad_work(struct work_struct *work);

/* table.c; more in vcma_client.h */
void vcma_table_changed(struct vcma_dev *vcma);
void vcma_table_work(struct work_struct *work);
ssize_t vcma_table_show(struct vcma_dev *vcma, char *buf);

/* map.c */
bool vcma_map_lease(struct vcma_lease *lease);
void vcma_map_zero(struct vcma_lease *lease, bool mapped, unsigned long first,
		   unsigned long end);
bool vcma_map_drop(struct vcma_lease *lease);
void vcma_map_fini(void);

/* alloc.c; more in vcma_client.h */
void vcma_backoff_clear(struct vcma_dev *vcma);
void vcma_refill_work(struct work_struct *work);

/* sysfs.c */
extern const struct attribute_group *vcma_groups[];
int vcma_sysfs_add_windows(struct vcma_dev *vcma);
void vcma_sysfs_remove_windows(struct vcma_dev *vcma);

#endif /* VIRTIO_CMA_H */
