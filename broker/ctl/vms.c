// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vms.c - vcmactl vms: who has what in which bank, and who was refused what
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

#define COLUMN_BANK 1

/* "64M: guaranteed to alpha"; empty if nothing was refused. */
static char *refusal(const struct vcma_op_vm *v)
{
	uint64_t bytes = vcma_le64_to_cpu(v->refused_size);
	char *by, *why, *size, *text;

	if (!bytes)
		return g_strdup("");
	by = format_name(v->refused_by);
	why = format_refusal(vcma_le32_to_cpu(v->refused_status), by);
	size = format_size(bytes);
	text = g_strdup_printf("%s: %s", size, why);
	g_free(by);
	g_free(why);
	g_free(size);
	return text;
}

static struct json_object *to_json(const void *record)
{
	const struct vcma_op_vm *v = record;
	struct json_object *o = json_object_new_object();
	uint32_t flags = vcma_le32_to_cpu(v->flags);
	char *state = format_vm_state(flags & ~VCMA_VM_DEGRADED);

	json_add_name(o, "name", v->name);
	json_add_number(o, "bank", v->bank);
	json_add_name(o, "pool", v->pool);
	json_add_text(o, "state", state);
	json_add_bool(o, "degraded", flags & VCMA_VM_DEGRADED);
	json_add_number(o, "pid", v->pid);
	json_add_size(o, "guarantee", v->guarantee);
	json_add_size(o, "guarantee_run", v->guarantee_run);
	json_add_size(o, "limit", v->limit);
	json_add_size(o, "charged", v->charged);
	json_add_size(o, "leased", v->leased);
	json_add_size(o, "dirty", v->dirty);
	json_add_size(o, "quarantined", v->quarantined);
	json_add_number(o, "leases", v->nr_leases);
	json_add_number(o, "waiting", v->nr_waiting);
	json_add_size(o, "reclaimed", v->reclaimed);
	if (vcma_le64_to_cpu(v->refused_size)) {
		struct json_object *r = json_object_new_object();
		char *text = refusal(v);

		json_add_size(r, "size", v->refused_size);
		json_add_text(r, "status", vcma_status_name(vcma_le32_to_cpu(v->refused_status)));
		json_add_name(r, "guaranteed_to", v->refused_by);
		json_add_text(r, "text", text);
		json_object_object_add(o, "last_refusal", r);
		g_free(text);
	} else {
		json_object_object_add(o, "last_refusal", NULL);
	}
	g_free(state);
	return o;
}

static char *guarantee(const struct vcma_op_vm *v)
{
	char *total, *run, *text;

	if (!vcma_le64_to_cpu(v->guarantee))
		return g_strdup("0");
	total = cell_size(v->guarantee);
	run = cell_size(v->guarantee_run);
	text = g_strdup_printf("%s/%s", total, run);
	g_free(total);
	g_free(run);
	return text;
}

static void print_table(const GArray *vms)
{
	static const char *const headings[] = {
		"VM", ">BANK", "POOL", "STATE", ">GUARANTEE", ">LIMIT", ">CHARGED", ">LEASED", ">DIRTY",
		">QUARANTINED", ">LEASES", ">WAITING", ">RECLAIMED", ">PID", "LAST REFUSAL",
		NULL,
	};
	struct table *t = table_new(headings);
	bool banks = false;
	guint i;

	for (i = 0; i < vms->len; i++) {
		const struct vcma_op_vm *v = &g_array_index(vms, struct vcma_op_vm, i);

		banks |= v->bank != 0;
		table_take(t, format_name(v->name));
		table_take(t, cell_number(v->bank));
		table_take(t, format_name(v->pool));
		table_take(t, format_vm_state(vcma_le32_to_cpu(v->flags)));
		table_take(t, guarantee(v));
		table_take(t, cell_size(v->limit));
		table_take(t, cell_size(v->charged));
		table_take(t, cell_size(v->leased));
		table_take(t, cell_size(v->dirty));
		table_take(t, cell_size(v->quarantined));
		table_take(t, cell_number(v->nr_leases));
		table_take(t, cell_number(v->nr_waiting));
		table_take(t, cell_size(v->reclaimed));
		if (vcma_le32_to_cpu(v->pid))
			table_take(t, cell_number(v->pid));
		else
			table_add(t, "");
		table_take(t, refusal(v));
	}
	if (!banks)
		table_hide(t, COLUMN_BANK);
	table_print(t);
}

int cmd_vms(struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_view view = {
		.summary = "Shows what each VM is promised, what it has, and what it was refused, in each of its banks.",
		.type = VCMA_MSG_OP_VMS,
		.record_size = sizeof(struct vcma_op_vm),
		.to_json = to_json,
		.print = print_table,
		.in_pools = true,
	};

	return ctl_show(ctl, argc, argv, &view);
}
