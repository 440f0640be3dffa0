// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wait_idle.c - vcmactl wait-idle: wait until nothing is in motion
 */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static int wait_idle(struct ctl *ctl, uint32_t deadline_ms)
{
	struct vcma_empty reply;
	struct vcma_op_wait msg;
	uint32_t status;
	char *age;
	int ret;

	ret = ctl_connect(ctl);
	if (ret)
		return ret;
	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_OP_WAIT_IDLE);
	msg.deadline_ms = vcma_cpu_to_le32(deadline_ms);
	ret = ctl_call(ctl, &msg.hdr, deadline_ms + VCMA_CLIENT_GRACE_MS, &reply, sizeof(reply));
	if (ret)
		return ret;
	status = vcma_msg_status(&reply.hdr);
	if (status != VCMA_ST_OK && status != VCMA_ST_TRY_LATER)
		return ctl_refused("wait-idle", status);

	if (ctl->json) {
		struct json_object *o = json_object_new_object();

		json_add_bool(o, "idle", status == VCMA_ST_OK);
		json_print(o);
	}
	if (status == VCMA_ST_OK)
		return CTL_OK;
	age = format_age(deadline_ms);
	ctl_fail("still busy after %s; \"vcmactl pools\" shows what is in motion, "
		 "\"vcmactl vms\" for whom", age);
	g_free(age);
	return CTL_FAILED;
}

int cmd_wait_idle(struct ctl *ctl, int argc, char **argv)
{
	char *deadline = NULL;
	const GOptionEntry own[] = {
		{ "deadline", 'd', 0, G_OPTION_ARG_STRING, &deadline,
		  "How long to wait, such as 500ms, 30s or 2m (default: 30s)", "TIME" },
		G_OPTION_ENTRY_NULL,
	};
	uint32_t ms = 30000;
	int ret = CTL_OK;

	if (ctl_parse(ctl, argc, &argv, own, NULL,
		      "Waits until no memory is on its way: nothing waits, is reclaimed, granted,\n"
		      "dirty or being scrubbed.") < 0)
		ret = CTL_USAGE;
	else if (deadline && parse_deadline(deadline, &ms))
		ret = ctl_usage("--deadline=%s: write 1ms to 10m, such as 500ms or 30s",
				deadline);
	if (!ret)
		ret = wait_idle(ctl, ms);
	g_free(deadline);
	return ret;
}
