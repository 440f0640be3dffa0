/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vcma_client.h - clients and their ranges
 */
#ifndef VCMA_CLIENT_H
#define VCMA_CLIENT_H

#include "virtio_cma.h"

/**
 * struct vcma_needs - what the clients parameter, or the host's table, says of a device
 * @from_table: the table does, and the parameter does not
 * @bank: number of the bank that its memory has to come from; 0: none
 * @forbidden: address bits that it cannot have set; 0: none
 */
struct vcma_needs {
	bool from_table;
	u32 bank;
	u64 forbidden;
};

#define VCMA_TOLD_SGTABLE 0

/**
 * struct vcma_client - a device whose coherent memory comes from vcma
 * @node: in the list of clients, attach.c
 * @dev: the device; holds a reference
 * @own_ops: dev->dma_ops as it was, to be put back
 * @prev: ops that the device had, its own or its architecture's; or NULL
 * @ops: ours, one set a client: where @prev has no function there is none
 * @shadow: for clients without @prev: a device that never was registered, with
 *	the client's masks and no ops, so that the kernel maps directly for it
 * @shadow_mask: the shadow's streaming mask
 * @from_table: it is one because of the host's table
 * @withdrawn: and the table does not name it any more: it keeps what it has, and
 *	gets no more [V-70]
 * @bank: its memory comes from windows of this bank
 * @forbidden: address bits that it cannot have set
 * @barred: why it may have no DMA memory at all, from anywhere; or NULL
 * @leaving: its driver is gone; detach it when its last range is freed
 * @swept: generation of the sweep that has looked at it
 * @lock: protects @ranges and what is below it.  Taken in any context;
 *	nobody holding it may wait or take another lock.
 * @ranges: by address
 * @nr_ranges: how many
 * @range_bytes: and how large
 * @allocs: allocations served
 * @fallbacks: served by the kernel's own allocator
 * @failures: not served at all
 * @bounces: streaming maps that are bounced, by device address
 * @bounced: how many there have been
 * @bounced_bytes: and how large
 * @bounce_failures: maps that could not be bounced
 * @told: for each reason why it got nothing, the highest address that it reached
 *	when the log last said so; 0: never
 * @told_once: VCMA_TOLD_*, a bit each, of what the log has said
 */
struct vcma_client {
	struct list_head node;
	struct device *dev;
	const struct dma_map_ops *own_ops;
	const struct dma_map_ops *prev;
	struct dma_map_ops ops;		/* not const: a set for each client */
	struct device *shadow;
	u64 shadow_mask;
	bool from_table;
	bool withdrawn;
	u32 bank;
	u64 forbidden;
	const char *barred;
	bool leaving;
	unsigned int swept;

	spinlock_t lock;		/* of the ranges */
	struct rb_root ranges;
	unsigned int nr_ranges;
	u64 range_bytes;
	u64 allocs;
	u64 fallbacks;
	u64 failures;
	struct rb_root bounces;
	u64 bounced;
	u64 bounced_bytes;
	u64 bounce_failures;
	u64 told[VCMA_NR_REASONS];
	unsigned long told_once;
};

/**
 * struct vcma_range - what a client has allocated
 * @node: in client->ranges
 * @lease: where it is; not freed while the range exists
 * @first: its first page in the lease
 * @pages: how many
 * @mapped: it has an address for the CPU
 * @vaddr: what the client knows it by: that address, or without one the address
 *	of this struct
 * @phys: guest-physical address
 * @dma: for the device
 */
struct vcma_range {
	struct rb_node node;
	struct vcma_lease *lease;
	unsigned long first;
	unsigned long pages;
	bool mapped;
	void *vaddr;
	phys_addr_t phys;
	dma_addr_t dma;
};

/* The kernel's own allocator knows nothing of such needs (I5). */
static inline bool vcma_client_has_needs(const struct vcma_client *c)
{
	return c->bank || c->forbidden;
}

/* match.c */
int vcma_clients_parse(void);
bool vcma_clients_match(struct pci_dev *pdev, struct vcma_needs *ret);
bool vcma_clients_possible(const struct pci_dev *pdev);
bool vcma_clients_use_table(void);

/* table.c */
bool vcma_table_ask(struct pci_dev *pdev, struct vcma_needs *ret);
bool vcma_table_known(struct vcma_dev *vcma, const struct pci_dev *pdev, struct vcma_needs *ret);

/* attach.c */
int vcma_attach_init(void);
void vcma_attach_fini(void);
void vcma_client_idle(void);
void vcma_clients_review(struct vcma_dev *vcma);
void vcma_clients_tell_bad(const struct vcma_dev *vcma, phys_addr_t base, u64 size);
ssize_t vcma_clients_show(char *buf);

/* ops.c */
int vcma_ops_init(struct vcma_client *c);
void vcma_ops_fini(struct vcma_client *c);
struct device *vcma_shadow(struct vcma_client *c);

/* choose.c */
void vcma_want_init(struct vcma_want *want, struct vcma_client *c, size_t size,
		    enum vcma_mapping mapping);
enum vcma_reason vcma_choose(struct vcma_choice *choice, struct vcma_dev *vcma,
			     struct vcma_client *c, const struct vcma_want *want);
void vcma_explain(struct vcma_client *c, struct vcma_dev *vcma, const struct vcma_want *want,
		  enum vcma_reason reason);

/* alloc.c */
bool vcma_take(struct vcma_client *c, struct vcma_dev *vcma, struct vcma_want *want, gfp_t gfp,
	       struct vcma_place *ret);
void vcma_warm_up(struct vcma_client *c, struct vcma_dev *vcma, const struct vcma_want *want);

/* range.c */
struct vcma_range *vcma_range_take(struct vcma_client *c, struct vcma_want *want, gfp_t gfp,
				   bool zero);
struct vcma_range *vcma_range_alloc(struct vcma_client *c, size_t size, gfp_t gfp,
				    unsigned long attrs);
struct vcma_range *vcma_range_find(struct vcma_client *c, const void *vaddr);
bool vcma_range_free(struct vcma_client *c, const void *vaddr);

/* bounce.c */
bool vcma_bounce_mask(struct vcma_client *c, u64 mask, bool supported);
size_t vcma_bounce_max(struct vcma_client *c);
dma_addr_t vcma_bounce_map(struct vcma_client *c, struct page *page, unsigned long offset,
			   size_t size, enum dma_data_direction dir, unsigned long attrs);
bool vcma_bounce_unmap(struct vcma_client *c, dma_addr_t dma, enum dma_data_direction dir,
		       unsigned long attrs);
bool vcma_bounce_sync(struct vcma_client *c, dma_addr_t dma, size_t size,
		      enum dma_data_direction dir, bool for_device);
int vcma_bounce_map_sg(struct vcma_client *c, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs);
void vcma_bounce_unmap_sg(struct vcma_client *c, struct scatterlist *sgl, int nents,
			  enum dma_data_direction dir, unsigned long attrs);
bool vcma_bounce_resource_ok(struct vcma_client *c, phys_addr_t phys, size_t size);

#endif /* VCMA_CLIENT_H */
