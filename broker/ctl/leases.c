// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leases.c - vcmactl leases: which pages are whose
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

#define PFN_SIZE 4096
#define COLUMN_BANK 2

static uint64_t last_pfn(const struct vcma_op_lease *l)
{
	return vcma_le64_to_cpu(l->pfn) + vcma_le64_to_cpu(l->size) / PFN_SIZE - 1;
}

static struct json_object *to_json(const void *record)
{
	const struct vcma_op_lease *l = record;
	struct json_object *o = json_object_new_object();

	json_add_size(o, "lease", l->lease);
	json_add_name(o, "vm", l->vm);
	json_object_object_add(o, "bank", json_object_new_int(vcma_le16_to_cpu(l->bank)));
	json_add_name(o, "pool", l->pool);
	json_add_size(o, "pfn", l->pfn);
	json_object_object_add(o, "pfn_last", json_object_new_uint64(last_pfn(l)));
	json_add_size(o, "size", l->size);
	json_add_text(o, "state", format_lease_state(vcma_le32_to_cpu(l->state)));
	json_add_bool(o, "guaranteed", vcma_le16_to_cpu(l->guaranteed));
	json_add_size(o, "age_ms", l->age_ms);
	return o;
}

static void print_table(const GArray *leases)
{
	static const char *const headings[] = {
		">LEASE", "VM", ">BANK", "POOL", ">SIZE", ">PFN", ">LAST PFN", "STATE", "OUT OF", ">AGE",
		NULL,
	};
	struct table *t = table_new(headings);
	bool banks = false;
	guint i;

	for (i = 0; i < leases->len; i++) {
		const struct vcma_op_lease *l = &g_array_index(leases, struct vcma_op_lease, i);

		table_take(t, g_strdup_printf("%" PRIu64, vcma_le64_to_cpu(l->lease)));
		banks |= l->bank != 0;
		table_take(t, format_name(l->vm));
		table_take(t, g_strdup_printf("%u", vcma_le16_to_cpu(l->bank)));
		table_take(t, format_name(l->pool));
		table_take(t, cell_size(l->size));
		table_take(t, g_strdup_printf("%#" PRIx64, vcma_le64_to_cpu(l->pfn)));
		table_take(t, g_strdup_printf("%#" PRIx64, last_pfn(l)));
		table_add(t, format_lease_state(vcma_le32_to_cpu(l->state)));
		table_add(t, vcma_le16_to_cpu(l->guaranteed) ? "guarantee" : "shared");
		table_take(t, format_age(vcma_le64_to_cpu(l->age_ms)));
	}
	if (!banks)
		table_hide(t, COLUMN_BANK);
	table_print(t);
}

int cmd_leases(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_view view = {
		.summary = "Shows each lease, its VM and its page frame numbers (of 4096 bytes).",
		.type = VCMA_MSG_OP_LEASES,
		.record_size = sizeof(struct vcma_op_lease),
		.to_json = to_json,
		.print = print_table,
		.in_pools = true,
	};

	return ctl_show(ctl, argc, argv, &view);
}
