// SPDX-License-Identifier: GPL-2.0-only
/*
 * match.c - the clients parameter: which devices, and what each needs
 *
 * DOC: Theory of operation
 *
 * An entry says which device, and after that, each behind a slash, what its
 * memory has to be like:
 *
 *	0000:00:03.0			a PCI address (the domain may be left out)
 *	1b36:0010			a vendor and device id
 *	all
 *	1b36:0010/bank=2/forbid=0x100000
 *	off				no device, whatever the host's table says (table.c)
 *
 * Several entries may fit a device.  The one that says most about which device
 * is meant counts, with its options alone: an address before an id before `all`,
 * and of two that say as much, the first.  A device that the parameter names is not
 * looked for in the host's table; the others are, unless the parameter has `off`.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "vcma_client.h"

static char *clients = "";
module_param(clients, charp, 0444);
MODULE_PARM_DESC(clients, "devices to serve besides those that the host names: PCI addresses (0000:00:05.0), ids (1b36:0010), or all, each with /bank=N and /forbid=BITS if need be, separated by commas; off: do not ask the host");

/* One entry; the types in the order of what they say. */
struct client_match {
	enum { MATCH_ALL, MATCH_ID, MATCH_ADDRESS } type;
	unsigned int domain, bus, slot, func;
	unsigned int vendor, device;
	struct vcma_needs needs;
};

#define MATCHES_MAX 64
static struct client_match matches[MATCHES_MAX];	/* constant after init */
static unsigned int nr_matches;
static bool no_table;

static int parse_which(const char *s, struct client_match *m)
{
	char end;

	if (!strcmp(s, "all")) {
		m->type = MATCH_ALL;
		return 0;
	}
	m->type = MATCH_ADDRESS;
	if (sscanf(s, "%4x:%2x:%2x.%1x%c", &m->domain, &m->bus, &m->slot, &m->func, &end) == 4)
		return 0;
	m->domain = 0;
	if (sscanf(s, "%2x:%2x.%1x%c", &m->bus, &m->slot, &m->func, &end) == 3)
		return 0;
	m->type = MATCH_ID;
	if (sscanf(s, "%4x:%4x%c", &m->vendor, &m->device, &end) == 2)
		return 0;
	pr_err("clients: `%s' is neither a PCI address (0000:00:05.0), nor an id (1b36:0010), nor `all' or `off'\n",
	       s);
	return -EINVAL;
}

/* @seen: options that the entry had before, a bit each. */
static int parse_option(char *s, struct vcma_needs *needs, unsigned int *seen)
{
	char *value = strchr(s, '=');
	unsigned int option;
	u16 bank;

	if (value)
		*value++ = '\0';
	if (!strcmp(s, "bank")) {
		option = BIT(0);
		if (!value || kstrtou16(value, 0, &bank)) {
			pr_err("clients: `%s=%s': a bank is a number from 0 to 65535\n",
			       s, value ? value : "");
			return -EINVAL;
		}
		needs->bank = bank;
	} else if (!strcmp(s, "forbid")) {
		option = BIT(1);
		if (!value || kstrtou64(value, 0, &needs->forbidden) ||
		    !needs->forbidden || needs->forbidden & ~PAGE_MASK) {
			pr_err("clients: `%s=%s': forbidden are address bits, 0x%lx or above, such as 0x100000\n",
			       s, value ? value : "", PAGE_SIZE);
			return -EINVAL;
		}
	} else {
		pr_err("clients: `%s' is no option; there are bank=N and forbid=BITS\n", s);
		return -EINVAL;
	}
	if (*seen & option) {
		pr_err("clients: `%s=%s': the entry has had that option\n", s, value);
		return -EINVAL;
	}
	*seen |= option;
	return 0;
}

static int parse_match(char *s, struct client_match *m)
{
	unsigned int seen = 0;
	char *word = strsep(&s, "/");
	int err = parse_which(word, m);

	while (!err && (word = strsep(&s, "/")))
		err = parse_option(word, &m->needs, &seen);
	return err;
}

/**
 * vcma_clients_parse() - read the clients parameter
 *
 * Return: 0; -EINVAL or -E2BIG, with a message, if it makes no sense.
 */
int vcma_clients_parse(void)
{
	char *copy, *rest, *word;
	int err = 0;

	copy = kstrdup(clients, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	rest = copy;
	while (!err && (word = strsep(&rest, ","))) {
		word = strim(word);
		if (!*word)
			continue;
		if (!strcmp(word, "off")) {
			no_table = true;
			continue;
		}
		if (nr_matches == MATCHES_MAX) {
			pr_err("clients: more than %d entries\n", MATCHES_MAX);
			err = -E2BIG;
			break;
		}
		err = parse_match(word, &matches[nr_matches++]);
	}
	kfree(copy);
	return err;
}

static bool matches_device(const struct client_match *m, const struct pci_dev *pdev)
{
	switch (m->type) {
	case MATCH_ALL:
		return true;
	case MATCH_ID:
		return pdev->vendor == m->vendor && pdev->device == m->device;
	case MATCH_ADDRESS:
		return pci_domain_nr(pdev->bus) == m->domain && pdev->bus->number == m->bus &&
		       pdev->devfn == PCI_DEVFN(m->slot, m->func);
	}
	return false;
}

/* Is this the PCI function of a virtio-cma device?  It cannot be its own client. */
static bool is_own(const struct pci_dev *pdev)
{
	return pdev->vendor == PCI_VENDOR_ID_REDHAT_QUMRANET &&
	       pdev->device == 0x1040 + VIRTIO_ID_CMA;
}

/**
 * vcma_clients_possible() - can a device be a client at all?
 * @pdev: the device
 *
 * Return: false for bridges, and for virtio-cma itself.
 */
bool vcma_clients_possible(const struct pci_dev *pdev)
{
	return !is_own(pdev) && pdev->hdr_type == PCI_HEADER_TYPE_NORMAL;
}

/**
 * vcma_clients_use_table() - shall the host's table be asked?
 *
 * Return: true unless the clients parameter has `off`.
 */
bool vcma_clients_use_table(void)
{
	return !no_table;
}

/**
 * vcma_clients_match() - does the clients parameter name a device?
 * @pdev: the device
 * @ret: what it needs; untouched if it is not named
 *
 * Return: true if it does.
 */
bool vcma_clients_match(struct pci_dev *pdev, struct vcma_needs *ret)
{
	const struct client_match *best = NULL;
	unsigned int i;

	if (!vcma_clients_possible(pdev))
		return false;
	for (i = 0; i < nr_matches; i++)
		if (matches_device(&matches[i], pdev) &&
		    (!best || matches[i].type > best->type))
			best = &matches[i];
	if (best)
		*ret = best->needs;
	return best;
}
