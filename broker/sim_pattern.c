// SPDX-License-Identifier: GPL-2.0-or-later
/* sim_pattern.c - where the granules of a pool without memory lie; see backing_sim.h */

#include "backing_sim.h"

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
