// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backing_sim.c - granules without memory; see backing_sim.h
 */
#include <errno.h>

#include "backing.h"
#include "backing_sim.h"
#include "vcma_broker.h"

/**
 * sim_address() - Where is this byte of a pool?
 * @p: the pattern
 * @chunk: bytes
 * @offset: in the pool
 *
 * Return: its address.
 */
uint64_t sim_address(const struct sim_pattern *p, uint64_t chunk, uint64_t offset)
{
	uint64_t period = 0, at = p->address;
	uint32_t i;

	for (i = 0; i < p->nr; i++)
		period += p->extent[i];
	if (!period)
		return at + offset;
	at += offset / period * (period + p->nr * chunk);
	offset %= period;
	for (i = 0; offset >= p->extent[i]; i++) {
		offset -= p->extent[i];
		at += p->extent[i] + chunk;
	}
	return at + offset;
}

static int sim_open(struct backing *b, char **ret_error)
{
	(void)b;
	(void)ret_error;
	return 0;
}

static void sim_close(struct backing *b)
{
	(void)b;
}

static int sim_take(struct backing *b, uint64_t want, struct granule_file *ret)
{
	(void)b;
	*ret = (struct granule_file){ .fd = -1, .pfn = want };
	return 0;
}

static int sim_inspect(struct backing *b, const struct granule_file *f, uint64_t *ret_pfn)
{
	(void)b;
	(void)f;
	(void)ret_pfn;
	return -ENXIO; /* there is no page */
}

static int sim_revoke(struct backing *b, struct granule_file *f)
{
	(void)b;
	granule_file_close(f);
	return 0;
}

const struct backing_ops backing_sim = {
	.name = "sim",
	.id = VCMA_BACKING_SIM,
	.contiguous = false,
	.revocable = true,
	.isolating = true,
	.simulated = true,
	.open = sim_open,
	.close = sim_close,
	.take = sim_take,
	.inspect = sim_inspect,
	.revoke = sim_revoke,
};
