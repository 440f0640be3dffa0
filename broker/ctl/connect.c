// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * connect.c - finding vcmad, asking it, and saying why it does not answer
 */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vcma_build.h"

#define HELLO_MS 10000

static void on_closed(void *opaque, int err, uint32_t status)
{
	struct ctl *ctl = opaque;

	(void)err;
	ctl->end_status = status;
}

/* The socket's path, g_free(); NULL: reported. */
static char *find_socket(const struct ctl *ctl)
{
	const char *dir = ctl->run_dir;

	if (ctl->socket)
		return g_strdup(ctl->socket);
	if (!dir)
		dir = g_getenv("VCMA_RUN_DIR");
	if (dir && *dir)
		return g_build_filename(dir, "vcmad.sock", NULL);
	if (geteuid() == 0)
		return g_build_filename(VCMA_RUNSTATEDIR, "vcma", "vcmad.sock", NULL);
	dir = g_getenv("XDG_RUNTIME_DIR");
	if (dir && *dir)
		return g_build_filename(dir, "vcma", "vcmad.sock", NULL);
	ctl_fail("cannot tell where vcmad's socket is: $XDG_RUNTIME_DIR is not set; "
		 "say --socket or --run-dir");
	return NULL;
}

static int explain(const char *path, int err)
{
	switch (err) {
	case -ENOENT:
		return ctl_fail("%s: no such socket; start vcmad, or say where its socket is "
				"with --socket or --run-dir", path);
	case -ECONNREFUSED:
		return ctl_fail("%s: nobody listens; vcmad has ended without removing "
				"its socket, start it again", path);
	case -EACCES:
	case -EPERM:
		return ctl_fail("%s: permission denied; run vcmactl as the user or group "
				"that may use the operator socket, such as root", path);
	case -EAGAIN:
		return ctl_fail("%s: vcmad does not accept connections at the moment; "
				"see its log, and try again", path);
	case -ENAMETOOLONG:
		return ctl_fail("%s: too long for the path of a socket; "
				"use a shorter run directory", path);
	case -EPROTOTYPE:
	case -ENOTSOCK:
		return ctl_fail("%s: not a socket of vcmad; correct --socket or --run-dir", path);
	default:
		return ctl_fail("%s: %s; see whether vcmad runs", path, g_strerror(-err));
	}
}

/* HELLO failed. */
static int explain_hello(const char *path, int err, uint32_t status)
{
	switch (err) {
	case -EACCES:
		return ctl_fail("%s: vcmad refused the connection (%s): %s", path,
				vcma_status_name(status), vcma_status_text(status));
	case -ETIMEDOUT:
		return ctl_fail("%s: vcmad accepted the connection but does not answer; "
				"see its log", path);
	case -EPROTO:
		return ctl_fail("%s: what answers there does not speak vcmad's protocol; "
				"correct --socket, or install matching versions", path);
	default:
		return ctl_fail("%s: vcmad closed the connection; see its log", path);
	}
}

int ctl_connect(struct ctl *ctl)
{
	const struct vcma_client_ops ops = { .closed = on_closed };
	char *path = find_socket(ctl);
	uint32_t status = VCMA_ST_AWAY;
	int err;

	if (!path)
		return CTL_FAILED;

	ctl->client = vcma_client_new(&ops, ctl);
	if (!ctl->client)
		g_error("out of memory");
	err = vcma_client_connect(ctl->client, path, "vcmactl", 0);
	if (err) {
		err = explain(path, err);
	} else {
		err = vcma_client_wait_hello(ctl->client, HELLO_MS, &status);
		if (err)
			err = explain_hello(path, err, status);
		else if (vcma_client_info(ctl->client)->vm[0])
			err = ctl_fail("%s is the socket of VM %s; use the operator socket, "
				       "vcmad.sock", path, vcma_client_info(ctl->client)->vm);
	}
	g_free(path);
	return err;
}

int ctl_call(struct ctl *ctl, struct vcma_hdr *msg, uint32_t deadline_ms,
	     void *reply, size_t size)
{
	int ret = vcma_client_call(ctl->client, msg, deadline_ms, reply, size);

	if (ret >= 0)
		return 0;
	if (ctl->end_status == VCMA_ST_SHUTDOWN)
		return ctl_fail("%s", vcma_status_text(VCMA_ST_SHUTDOWN));
	if (ret == -ETIMEDOUT)
		return ctl_fail("vcmad does not answer; see its log");
	if (ret == -EPROTO)
		return ctl_fail("vcmad's answer is not understood; install matching versions");
	if (ret == -EINVAL)
		return ctl_fail("the request is not valid");
	return ctl_fail("the connection to vcmad was lost; see its log");
}

int ctl_refused(const char *what, uint32_t status)
{
	return ctl_fail("%s was refused (%s): %s", what, vcma_status_name(status),
			vcma_status_text(status));
}

GArray *ctl_list(struct ctl *ctl, uint16_t type, size_t record_size)
{
	GArray *records = g_array_new(FALSE, FALSE, (guint)record_size);
	uint64_t after = 0;

	do {
		union {
			struct vcma_op_page page;
			unsigned char bytes[VCMA_MSG_MAX];
		} reply;
		struct vcma_op_list msg;
		uint32_t status;
		uint64_t next;

		vcma_msg_init(&msg, sizeof(msg), type);
		msg.after = vcma_cpu_to_le64(after);
		if (ctl_call(ctl, &msg.hdr, 0, &reply, sizeof(reply)))
			goto fail;
		status = vcma_msg_status(&reply.page.hdr);
		if (status) {
			ctl_refused(vcma_msg_name(type), status);
			goto fail;
		}
		g_array_append_vals(records, &reply.page + 1, vcma_le32_to_cpu(reply.page.count));
		next = vcma_le64_to_cpu(reply.page.next);
		if (next && next <= after) {
			ctl_fail("vcmad's list has no end; see its log");
			goto fail;
		}
		after = next;
	} while (after);

	return records;

fail:
	g_array_unref(records);
	return NULL;
}

void ctl_note_pools(const GArray *pools)
{
	guint i;

	for (i = 0; i < pools->len; i++) {
		const struct vcma_op_pool *p = &g_array_index(pools, struct vcma_op_pool, i);
		uint32_t flags = vcma_le32_to_cpu(p->flags);

		if (!(flags & VCMA_POOL_CONTIGUOUS))
			printf("pool %.*s: %s\n", VCMA_NAME_MAX, p->name,
			       format_contiguity(flags));
	}
}
