// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * list.c - what the subcommands that list records have in common
 */
#include "ctl.h"

static int print_json(const struct ctl_view *view, const GArray *records)
{
	struct json_object *a = json_object_new_array();
	guint i;

	for (i = 0; i < records->len; i++)
		json_object_array_add(a, view->to_json(records->data + i * view->record_size));
	return json_print(a);
}

static int note_pools(struct ctl *ctl)
{
	GArray *pools = ctl_list(ctl, VCMA_MSG_OP_POOLS, sizeof(struct vcma_op_pool));

	if (!pools)
		return CTL_FAILED;
	ctl_note_pools(pools);
	g_array_unref(pools);
	return CTL_OK;
}

/**
 * ctl_show - a subcommand that lists records
 * @ctl: the program
 * @argc: of the subcommand
 * @argv: of the subcommand
 * @view: what it lists, and how
 *
 * Return: an exit code; failures were reported.
 */
int ctl_show(struct ctl *ctl, int argc, char **argv, const struct ctl_view *view)
{
	GArray *records;
	int ret;

	if (ctl_parse(ctl, argc, &argv, NULL, NULL, view->summary) < 0)
		return CTL_USAGE;
	ret = ctl_connect(ctl);
	if (ret)
		return ret;
	records = ctl_list(ctl, view->type, view->record_size);
	if (!records)
		return CTL_FAILED;

	if (ctl->json) {
		ret = print_json(view, records);
	} else {
		view->print(records);
		if (view->in_pools)
			ret = note_pools(ctl);
	}
	g_array_unref(records);
	return ret;
}
