// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status.c - vcmactl status: is vcmad well?
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

static int print_json(const struct vcma_op_status *s)
{
	struct json_object *o = json_object_new_object();
	char instance[20];

	g_snprintf(instance, sizeof(instance), "%016" PRIx64, vcma_le64_to_cpu(s->instance));
	json_add_name(o, "version", s->version);
	json_add_text(o, "instance", instance);
	json_add_number(o, "pid", s->pid);
	json_add_size(o, "uptime_ms", s->uptime_ms);
	json_add_number(o, "pools", s->nr_pools);
	json_add_number(o, "vms", s->nr_vms);
	json_add_number(o, "connected", s->nr_connected);
	json_add_number(o, "leases", s->nr_leases);
	json_add_number(o, "waiting", s->nr_waiting);
	return json_print(o);
}

int cmd_status(struct ctl *ctl, int argc, char **argv)
{
	struct vcma_empty msg;
	struct vcma_op_status s;
	char *up;
	int ret;

	if (ctl_parse(ctl, argc, &argv, NULL, NULL, "Shows whether vcmad is well.") < 0)
		return CTL_USAGE;
	ret = ctl_connect(ctl);
	if (ret)
		return ret;
	vcma_msg_init(&msg, sizeof(msg), VCMA_MSG_OP_STATUS);
	ret = ctl_call(ctl, &msg.hdr, 0, &s, sizeof(s));
	if (ret)
		return ret;
	if (vcma_msg_status(&s.hdr))
		return ctl_refused("status", vcma_msg_status(&s.hdr));
	if (ctl->json)
		return print_json(&s);

	up = format_age(vcma_le64_to_cpu(s.uptime_ms));
	printf("vcmad %.*s, pid %" PRIu32 ", up %s\n", VCMA_NAME_MAX, s.version,
	       vcma_le32_to_cpu(s.pid), up);
	printf("pools    %" PRIu32 "\n", vcma_le32_to_cpu(s.nr_pools));
	printf("VMs      %" PRIu32 ", %" PRIu32 " connected\n", vcma_le32_to_cpu(s.nr_vms),
	       vcma_le32_to_cpu(s.nr_connected));
	printf("leases   %" PRIu32 "\n", vcma_le32_to_cpu(s.nr_leases));
	printf("waiting  %" PRIu32 "\n", vcma_le32_to_cpu(s.nr_waiting));
	g_free(up);
	return CTL_OK;
}
