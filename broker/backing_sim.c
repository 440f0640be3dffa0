// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backing_sim.c - granules without memory; see backing_sim.h
 */
#include <errno.h>

#include "backing.h"
#include "backing_sim.h"
#include "vcma_broker.h"

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
