// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pools.c - vcmactl pools: the memory, how long its runs are, what state it is in
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t granules(const struct vcma_op_pool *p)
{
	uint64_t size = vcma_le64_to_cpu(p->granule_size);

	return size ? vcma_le64_to_cpu(p->size) / size : 0;
}

static struct json_object *to_json(const void *record)
{
	const struct vcma_op_pool *p = record;
	struct json_object *o = json_object_new_object();
	struct json_object *states = json_object_new_object();
	uint32_t flags = vcma_le32_to_cpu(p->flags);

	json_add_name(o, "name", p->name);
	json_add_text(o, "backing", format_backing(vcma_le32_to_cpu(p->backing)));
	json_add_bool(o, "contiguous", flags & VCMA_POOL_CONTIGUOUS);
	json_add_bool(o, "revocable", flags & VCMA_POOL_REVOCABLE);
	json_add_text(o, "note", format_contiguity(flags));
	json_add_size(o, "granule_size", p->granule_size);
	json_add_size(o, "chunk_size", p->chunk_size);
	json_add_size(o, "size", p->size);
	json_object_object_add(o, "nr_granules", json_object_new_uint64(granules(p)));
	json_add_size(o, "extents", p->extents);
	json_add_size(o, "longest", p->longest);
	json_add_size(o, "free_longest", p->free_longest);
	json_add_size(o, "guaranteed", p->guaranteed);
	json_add_number(states, "clean", p->clean);
	json_add_number(states, "reserved", p->reserved);
	json_add_number(states, "granting", p->granting);
	json_add_number(states, "leased", p->leased);
	json_add_number(states, "dirty", p->dirty);
	json_add_number(states, "scrubbing", p->scrubbing);
	json_add_number(states, "quarantined", p->quarantined);
	json_add_number(states, "bad", p->bad);
	json_object_object_add(o, "granules", states);
	json_add_size(o, "scrubbed", p->scrubbed);
	json_add_size(o, "reclaimed", p->reclaimed);
	json_add_size(o, "refused", p->refused);
	return o;
}

static void print_memory(const GArray *pools)
{
	static const char *const headings[] = {
		"POOL", "BACKING", ">SIZE", ">GRANULES", ">CHUNK", ">EXTENTS", ">LONGEST",
		">FREE RUN", ">GUARANTEED", "PAGES", NULL,
	};
	struct table *t = table_new(headings);
	guint i;

	for (i = 0; i < pools->len; i++) {
		const struct vcma_op_pool *p = &g_array_index(pools, struct vcma_op_pool, i);
		char *granule = cell_size(p->granule_size);

		table_take(t, format_name(p->name));
		table_add(t, format_backing(vcma_le32_to_cpu(p->backing)));
		table_take(t, cell_size(p->size));
		table_take(t, g_strdup_printf("%" PRIu64 " x %s", granules(p), granule));
		table_take(t, cell_size(p->chunk_size));
		table_take(t, g_strdup_printf("%" PRIu64, vcma_le64_to_cpu(p->extents)));
		table_take(t, cell_size(p->longest));
		table_take(t, cell_size(p->free_longest));
		table_take(t, cell_size(p->guaranteed));
		table_add(t, format_contiguity(vcma_le32_to_cpu(p->flags)));
		g_free(granule);
	}
	table_print(t);
}

static void print_states(const GArray *pools)
{
	static const char *const headings[] = {
		"GRANULES", ">CLEAN", ">RESERVED", ">GRANTING", ">LEASED", ">DIRTY",
		">SCRUBBING", ">QUARANTINED", ">BAD", ">SCRUBBED", ">RECLAIMED", ">REFUSED",
		NULL,
	};
	struct table *t = table_new(headings);
	guint i;

	for (i = 0; i < pools->len; i++) {
		const struct vcma_op_pool *p = &g_array_index(pools, struct vcma_op_pool, i);

		table_take(t, format_name(p->name));
		table_take(t, cell_number(p->clean));
		table_take(t, cell_number(p->reserved));
		table_take(t, cell_number(p->granting));
		table_take(t, cell_number(p->leased));
		table_take(t, cell_number(p->dirty));
		table_take(t, cell_number(p->scrubbing));
		table_take(t, cell_number(p->quarantined));
		table_take(t, cell_number(p->bad));
		table_take(t, g_strdup_printf("%" PRIu64, vcma_le64_to_cpu(p->scrubbed)));
		table_take(t, cell_size(p->reclaimed));
		table_take(t, g_strdup_printf("%" PRIu64, vcma_le64_to_cpu(p->refused)));
	}
	table_print(t);
}

static void print_tables(const GArray *pools)
{
	print_memory(pools);
	putchar('\n');
	print_states(pools);
}

int cmd_pools(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_view view = {
		.summary = "Shows the memory of each pool, its runs, and the state of its granules.",
		.type = VCMA_MSG_OP_POOLS,
		.record_size = sizeof(struct vcma_op_pool),
		.to_json = to_json,
		.print = print_tables,
	};

	return ctl_show(ctl, argc, argv, &view);
}
