// SPDX-License-Identifier: GPL-2.0-only
/*
 * table.c - the client table: which devices the host wants to be clients
 *
 * DOC: Theory of operation
 *
 * The host knows which devices it has passed through to this guest, and what each
 * needs; the guest need not be told by anybody else [V-62].  A table names devices
 * by PCI addresses, as they are when it is read.  So it is read anew each time that
 * a device meets a driver, just before that driver probes [V-69]: a moment later the
 * device has our dma_map_ops.  That takes one request, or two for a long table, and
 * waits for nothing but QEMU.  When there is no answer, the latest table counts.
 *
 * What has changed is read in the background when the host says so [V-70]: clients
 * that are no longer in the table get no more memory, and if a device is in it whose
 * driver has probed already, the log says what to do.  The same is done when the
 * virtio-cma device has started, or started again after a sleep.
 *
 * A device that the clients parameter names is not looked for here.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/sysfs.h>

#include "vcma_client.h"

/* What is asked for at once; the whole table has VIRTIO_CMA_CLIENTS_MAX. */
#define PAGE_CLIENTS 64

/* The device answers CLIENTS by itself, so this is long. */
#define ANSWER_MS 2000

/* A table that changes each time it is read is not read for ever. */
#define ATTEMPTS 4

/* A page at @first, put into @client: 0, or -errno.  @ret_next is 0 for the last. */
static int read_page(struct vcma_dev *vcma, u32 first, struct virtio_cma_client *client,
		     u32 *ret_nr, u32 *ret_next, u32 *ret_generation)
{
	unsigned int room = min_t(unsigned int, PAGE_CLIENTS, VIRTIO_CMA_CLIENTS_MAX - first);
	struct vcma_call *call = vcma_call_new_clients(vcma, first, room);
	const struct virtio_cma_clients *page;
	int err;

	if (!call)
		return -ENOMEM;
	err = vcma_call_start(call);
	if (!err)
		err = vcma_call_wait(call, ANSWER_MS);
	if (!err && vcma_call_status(call, 0) != VIRTIO_CMA_S_OK)
		err = -EPROTO;
	if (err)
		goto out_put;

	page = vcma_call_clients(call);
	*ret_nr = le32_to_cpu(call->resp->num_done);
	*ret_next = le32_to_cpu(page->next);
	*ret_generation = le32_to_cpu(page->generation);
	/* Room for one more, or the device would lead us astray. */
	if (*ret_next && (!*ret_nr || *ret_next != first + *ret_nr ||
			  *ret_next >= VIRTIO_CMA_CLIENTS_MAX))
		err = -EPROTO;
	else
		memcpy(client + first, page->client, *ret_nr * sizeof(page->client[0]));
out_put:
	vcma_call_put(call);
	return err;
}

/* All pages of one generation: how many clients, or -errno. */
static int read_all(struct vcma_dev *vcma, struct virtio_cma_client *client)
{
	unsigned int attempt;

	for (attempt = 0; attempt < ATTEMPTS; attempt++) {
		u32 first = 0, nr, next, generation, start = 0;
		int err;

		do {
			err = read_page(vcma, first, client, &nr, &next, &generation);
			if (err)
				return err;
			if (!first)
				start = generation;
			else if (generation != start)
				break;
			if (!next)
				return first + nr;
			first = next;
		} while (true);
	}
	return -EAGAIN;
}

/* Reads the table if the device answers.  Under vcma->table_mutex. */
static int refresh(struct vcma_dev *vcma)
{
	struct virtio_cma_client *client;
	int nr;

	if (READ_ONCE(vcma->stalled))
		return -ETIMEDOUT;
	client = kcalloc(VIRTIO_CMA_CLIENTS_MAX, sizeof(*client), GFP_NOIO);
	if (!client)
		return -ENOMEM;
	nr = read_all(vcma, client);
	if (nr >= 0) {
		memcpy(vcma->table, client, nr * sizeof(*client));
		vcma->table_nr = nr;
	} else if (nr != -ENODEV) {
		pr_warn_ratelimited("the host's client table cannot be read (%d); what it said last counts\n",
				    nr);
	}
	kfree(client);
	return nr < 0 ? nr : 0;
}

static bool is_entry_of(const struct virtio_cma_client *entry, const struct pci_dev *pdev)
{
	return le16_to_cpu(entry->segment) == pci_domain_nr(pdev->bus) &&
	       entry->bus == pdev->bus->number && entry->devfn == pdev->devfn;
}

/* Under vcma->table_mutex. */
static bool find(const struct vcma_dev *vcma, const struct pci_dev *pdev, struct vcma_needs *ret)
{
	unsigned int i;

	for (i = 0; i < vcma->table_nr; i++) {
		const struct virtio_cma_client *entry = &vcma->table[i];

		if (!is_entry_of(entry, pdev))
			continue;
		ret->from_table = true;
		ret->bank = le32_to_cpu(entry->bank);
		ret->forbidden = le64_to_cpu(entry->forbidden);
		return true;
	}
	return false;
}

/**
 * vcma_table_ask() - does the host want a device to be a client?
 * @pdev: the device; its driver has not probed yet
 * @ret: what it needs; untouched if it is none
 *
 * Context: may sleep; waits for the device, not for the broker.
 *
 * Return: true if it does.
 */
bool vcma_table_ask(struct pci_dev *pdev, struct vcma_needs *ret)
{
	struct vcma_dev *vcma;
	bool found = false;

	if (!vcma_clients_use_table() || !vcma_clients_possible(pdev))
		return false;
	vcma = vcma_get_live();
	if (!vcma)
		return false;
	if (vcma->has_table) {
		mutex_lock(&vcma->table_mutex);
		refresh(vcma);
		found = find(vcma, pdev, ret);
		mutex_unlock(&vcma->table_mutex);
	}
	vcma_put(vcma);
	return found;
}

/**
 * vcma_table_known() - is a device in the table that was read last?
 * @vcma: whose table
 * @pdev: the device
 * @ret: what it needs; untouched if it is not there
 *
 * Context: may sleep.
 *
 * Return: true if it is.
 */
bool vcma_table_known(struct vcma_dev *vcma, const struct pci_dev *pdev, struct vcma_needs *ret)
{
	bool found;

	if (!vcma_clients_use_table() || !vcma_clients_possible(pdev))
		return false;
	mutex_lock(&vcma->table_mutex);
	found = find(vcma, pdev, ret);
	mutex_unlock(&vcma->table_mutex);
	return found;
}

/**
 * vcma_table_changed() - the table has to be read
 * @vcma: whose
 *
 * Context: any.
 */
void vcma_table_changed(struct vcma_dev *vcma)
{
	unsigned long flags;

	spin_lock_irqsave(&vcma->lock, flags);
	if (vcma->ready && vcma->has_table && vcma_clients_use_table())
		queue_work(vcma_wq, &vcma->table_work);
	spin_unlock_irqrestore(&vcma->lock, flags);
}

/**
 * vcma_table_work() - read the table, and do what follows from it
 * @work: in struct vcma_dev
 */
void vcma_table_work(struct work_struct *work)
{
	struct vcma_dev *vcma = container_of(work, struct vcma_dev, table_work);
	int err;

	mutex_lock(&vcma->table_mutex);
	err = refresh(vcma);
	mutex_unlock(&vcma->table_mutex);
	if (!err)
		vcma_clients_review(vcma);
}

/**
 * vcma_table_show() - a line for each device in the table that was read last
 * @vcma: whose
 * @buf: a page
 *
 * Return: bytes written.
 */
ssize_t vcma_table_show(struct vcma_dev *vcma, char *buf)
{
	ssize_t len = 0;
	unsigned int i;

	mutex_lock(&vcma->table_mutex);
	for (i = 0; i < vcma->table_nr; i++) {
		const struct virtio_cma_client *entry = &vcma->table[i];

		len += sysfs_emit_at(buf, len, "%04x:%02x:%02x.%d", le16_to_cpu(entry->segment),
				     entry->bus, PCI_SLOT(entry->devfn), PCI_FUNC(entry->devfn));
		if (entry->bank)
			len += sysfs_emit_at(buf, len, " bank=%u", le32_to_cpu(entry->bank));
		if (entry->forbidden)
			len += sysfs_emit_at(buf, len, " forbid=%#llx",
					     le64_to_cpu(entry->forbidden));
		len += sysfs_emit_at(buf, len, "\n");
	}
	mutex_unlock(&vcma->table_mutex);
	return len;
}
