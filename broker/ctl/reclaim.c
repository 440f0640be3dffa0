// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reclaim.c - vcmactl reclaim: ask VMs to give idle memory back
 */
#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../size.h"

struct reclaim_args {
	const char *vm;		/* "" for all */
	uint64_t bytes;		/* UINT64_MAX: all that can be spared */
	uint32_t deadline_ms;
};

/* 0, or CTL_USAGE (reported). */
static int check_args(struct reclaim_args *a, int nr, char **argv, gboolean all,
		      const char *bytes, const char *deadline)
{
	if (nr > 1)
		return ctl_usage("reclaim takes one VM; name one, or say --all");
	if (nr == 1 && all)
		return ctl_usage("reclaim takes a VM or --all, not both");
	if (nr == 0 && !all)
		return ctl_usage("reclaim: from whom? Name a VM (see \"vcmactl vms\"), "
				 "or say --all");
	a->vm = nr ? argv[1] : "";
	if (nr && (!*a->vm || strlen(a->vm) >= VCMA_NAME_MAX))
		return ctl_usage("\"%s\" is not a VM's name: names have 1 to %d characters",
				 a->vm, VCMA_NAME_MAX - 1);

	a->bytes = UINT64_MAX;
	if (bytes && (size_parse(bytes, &a->bytes) || !a->bytes))
		return ctl_usage("--bytes=%s is not a size; write one such as 64M or 1G", bytes);
	a->deadline_ms = 10000;
	if (deadline && parse_deadline(deadline, &a->deadline_ms))
		return ctl_usage("--deadline=%s: write 1ms to 10m, such as 500ms or 30s",
				 deadline);
	return 0;
}

/* vcmad refused: most likely it has no such VM. */
static int explain_invalid(struct ctl *ctl, const char *vm)
{
	GArray *vms = ctl_list(ctl, VCMA_MSG_OP_VMS, sizeof(struct vcma_op_vm));
	GPtrArray *names;
	const char *close;
	bool known = false;
	guint i;

	if (!vms)
		return CTL_FAILED;
	names = g_ptr_array_new_with_free_func(g_free);
	for (i = 0; i < vms->len; i++) {
		char *name = format_name(g_array_index(vms, struct vcma_op_vm, i).name);

		known |= strcmp(name, vm) == 0;
		g_ptr_array_add(names, name);
	}
	g_ptr_array_add(names, NULL);
	close = closest_word(vm, (const char *const *)names->pdata);
	if (known || !*vm)
		ctl_refused("reclaim", VCMA_ST_INVALID);
	else if (close)
		ctl_fail("no VM \"%s\" is configured; did you mean \"%s\"?", vm, close);
	else
		ctl_fail("no VM \"%s\" is configured; \"vcmactl vms\" lists those that are", vm);
	g_ptr_array_unref(names);
	g_array_unref(vms);
	return CTL_FAILED;
}

static int report(const struct ctl *ctl, const struct reclaim_args *a, uint32_t status,
		  uint64_t bytes)
{
	const bool late = status == VCMA_ST_TRY_LATER;
	const bool less = a->bytes != UINT64_MAX && bytes < a->bytes;
	char *got = format_size(bytes), *wanted = format_size(a->bytes);
	const char *from = *a->vm ? a->vm : "all VMs";

	if (ctl->json) {
		struct json_object *o = json_object_new_object();

		json_add_text(o, "vm", a->vm);
		json_object_object_add(o, "bytes", json_object_new_uint64(bytes));
		json_add_text(o, "status", vcma_status_name(status));
		json_print(o);
	} else {
		printf("reclaimed %s from %s\n", got, from);
	}
	if (less)
		ctl_fail("only %s of %s came back%s: the rest is in use or guaranteed; "
			 "try again later", got, wanted, late ? " before the deadline" : "");
	else if (late)
		ctl_fail("the deadline passed before %s had answered; "
			 "try again, or with a longer --deadline", from);
	g_free(got);
	g_free(wanted);
	return less || late ? CTL_FAILED : CTL_OK;
}

static int reclaim(struct ctl *ctl, const struct reclaim_args *a)
{
	struct vcma_op_reclaimed reply;
	struct vcma_op_reclaim msg;
	uint32_t status;
	int ret;

	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_OP_RECLAIM);
	msg.bytes = vcma_cpu_to_le64(a->bytes);
	msg.deadline_ms = vcma_cpu_to_le32(a->deadline_ms);
	if (vcma_name_set(msg.vm, a->vm))
		return ctl_usage("\"%s\" is not a VM's name: it has unprintable characters",
				 a->vm);

	ret = ctl_connect(ctl);
	if (ret)
		return ret;
	memset(&reply, 0, sizeof(reply));
	ret = ctl_call(ctl, &msg.hdr, a->deadline_ms + VCMA_CLIENT_GRACE_MS, &reply,
		       sizeof(reply));
	if (ret)
		return ret;
	status = vcma_msg_status(&reply.hdr);
	if (status == VCMA_ST_INVALID)
		return explain_invalid(ctl, a->vm);
	if (status != VCMA_ST_OK && status != VCMA_ST_TRY_LATER)
		return ctl_refused("reclaim", status);
	return report(ctl, a, status, vcma_le64_to_cpu(reply.bytes));
}

int cmd_reclaim(struct ctl *ctl, int argc, char **argv)
{
	char *bytes = NULL, *deadline = NULL;
	gboolean all = FALSE;
	const GOptionEntry own[] = {
		{ "all", 'a', 0, G_OPTION_ARG_NONE, &all, "Ask every VM", NULL },
		{ "bytes", 'b', 0, G_OPTION_ARG_STRING, &bytes,
		  "How much, such as 64M (default: all that can be spared)", "SIZE" },
		{ "deadline", 'd', 0, G_OPTION_ARG_STRING, &deadline,
		  "How long to wait, such as 500ms, 30s or 2m (default: 10s)", "TIME" },
		G_OPTION_ENTRY_NULL,
	};
	struct reclaim_args a;
	int ret, nr;

	nr = ctl_parse(ctl, argc, &argv, own, "VM | --all",
		       "Asks a VM to give back leases that it does not use.  What is guaranteed\n"
		       "to a VM, and what its guest uses, stays.");
	ret = nr < 0 ? CTL_USAGE : check_args(&a, nr, argv, all, bytes, deadline);
	if (!ret)
		ret = reclaim(ctl, &a);
	g_free(bytes);
	g_free(deadline);
	return ret;
}
