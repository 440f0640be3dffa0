// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leases.c - vcmactl leases: which pages are whose
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

#define PFN_SIZE 4096

static uint64_t last_pfn(const struct vcma_op_lease *l)
{
	return vcma_le64_to_cpu(l->pfn) + vcma_le64_to_cpu(l->size) / PFN_SIZE - 1;
}

static struct json_object *to_json(const struct vcma_op_lease *l)
{
	struct json_object *o = json_object_new_object();

	json_add_size(o, "lease", l->lease);
	json_add_name(o, "vm", l->vm);
	json_add_name(o, "pool", l->pool);
	json_add_size(o, "pfn", l->pfn);
	json_object_object_add(o, "pfn_last", json_object_new_uint64(last_pfn(l)));
	json_add_size(o, "size", l->size);
	json_add_text(o, "state", format_lease_state(vcma_le32_to_cpu(l->state)));
	json_add_bool(o, "guaranteed", vcma_le32_to_cpu(l->guaranteed));
	json_add_size(o, "age_ms", l->age_ms);
	return o;
}

static void print_table(const GArray *leases)
{
	static const char *const headings[] = {
		">LEASE", "VM", "POOL", ">SIZE", ">PFN", ">LAST PFN", "STATE", "OUT OF", ">AGE",
		NULL,
	};
	struct table *t = table_new(headings);
	guint i;

	for (i = 0; i < leases->len; i++) {
		const struct vcma_op_lease *l = &g_array_index(leases, struct vcma_op_lease, i);

		table_take(t, g_strdup_printf("%" PRIu64, vcma_le64_to_cpu(l->lease)));
		table_take(t, format_name(l->vm));
		table_take(t, format_name(l->pool));
		table_take(t, cell_size(l->size));
		table_take(t, g_strdup_printf("%#" PRIx64, vcma_le64_to_cpu(l->pfn)));
		table_take(t, g_strdup_printf("%#" PRIx64, last_pfn(l)));
		table_add(t, format_lease_state(vcma_le32_to_cpu(l->state)));
		table_add(t, vcma_le32_to_cpu(l->guaranteed) ? "guarantee" : "shared");
		table_take(t, format_age(vcma_le64_to_cpu(l->age_ms)));
	}
	table_print(t);
}

int cmd_leases(struct ctl *ctl, int argc, char **argv)
{
	GArray *leases, *pools;
	guint i;
	int ret;

	if (ctl_parse(ctl, argc, &argv, NULL, NULL,
		      "Shows each lease, its VM and its page frame numbers (of 4096 bytes).") < 0)
		return CTL_USAGE;
	ret = ctl_connect(ctl);
	if (ret)
		return ret;
	leases = ctl_list(ctl, VCMA_MSG_OP_LEASES, sizeof(struct vcma_op_lease));
	if (!leases)
		return CTL_FAILED;

	if (ctl->json) {
		struct json_object *a = json_object_new_array();

		for (i = 0; i < leases->len; i++)
			json_object_array_add(a, to_json(&g_array_index(leases,
							 struct vcma_op_lease, i)));
		ret = json_print(a);
	} else {
		print_table(leases);
		pools = ctl_list(ctl, VCMA_MSG_OP_POOLS, sizeof(struct vcma_op_pool));
		if (pools) {
			ctl_note_pools(pools);
			g_array_unref(pools);
		} else {
			ret = CTL_FAILED;
		}
	}
	g_array_unref(leases);
	return ret;
}
