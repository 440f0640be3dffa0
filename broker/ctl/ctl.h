/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.h - what the subcommands of vcmactl share
 */
#ifndef VCMA_CTL_H
#define VCMA_CTL_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "format.h"
#include "table.h"
#include "wire.h"

/* Exit codes; documented in vcmactl(1). */
#define CTL_OK		0
#define CTL_FAILED	1	/* refused, no daemon, deadline */
#define CTL_USAGE	2

struct ctl {
	char *socket;		/* as given, or NULL */
	char *run_dir;
	gboolean json;
	struct vcma_client *client;
	uint32_t end_status;	/* of a GOODBYE */
};

struct ctl_command {
	const char *name;
	/* @argv[0] is the command.  Returns an exit code. */
	int (*fn)(struct ctl *ctl, int argc, char **argv);
	const char *help;
};

int cmd_status(struct ctl *ctl, int argc, char **argv);
int cmd_pools(struct ctl *ctl, int argc, char **argv);
int cmd_vms(struct ctl *ctl, int argc, char **argv);
int cmd_leases(struct ctl *ctl, int argc, char **argv);
int cmd_reclaim(struct ctl *ctl, int argc, char **argv);
int cmd_wait_idle(struct ctl *ctl, int argc, char **argv);
int cmd_zones(struct ctl *ctl, int argc, char **argv);

/* --- command lines (options.c) --- */

/*
 * Parse a subcommand's options: --socket, --run-dir, --json and @own (may be
 * NULL; ends with an empty entry).  @args names its arguments in --help, NULL for
 * none.  Returns the number of arguments, in @argv[1] and up, or -1 (reported).
 */
int ctl_parse(struct ctl *ctl, int argc, char ***argv, const GOptionEntry *own,
	      const char *args, const char *summary);
/* The options that every command has. */
void ctl_add_options(struct ctl *ctl, GOptionContext *ctx, bool json);
/* Report a wrong command line; returns CTL_USAGE. */
int ctl_usage(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Report a failure; returns CTL_FAILED. */
int ctl_fail(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* --- talking to vcmad (connect.c) --- */

/* 0, or an exit code; the reason was reported. */
int ctl_connect(struct ctl *ctl);
/*
 * Ask, and wait for the reply at most @deadline_ms.  0 and the reply in @reply
 * (of @size bytes), or an exit code; that was reported.  A status other than OK
 * is not a failure here: look at the reply.
 */
int ctl_call(struct ctl *ctl, struct vcma_hdr *msg, uint32_t deadline_ms,
	     void *reply, size_t size);
/* All records of a list, in an array of @record_size bytes each.  NULL: reported. */
GArray *ctl_list(struct ctl *ctl, uint16_t type, size_t record_size);
/* Report the status of a refused request; returns CTL_FAILED. */
int ctl_refused(const char *what, uint32_t status);
/* Print a line for each pool whose leases need not be contiguous. */
void ctl_note_pools(const GArray *pools);

/* --- lists (list.c) --- */

/**
 * struct ctl_view - a kind of record, and how it is shown
 * @summary: for --help
 * @type: the request, VCMA_MSG_OP_*
 * @record_size: bytes of a record
 * @to_json: a record as an object, which the caller owns
 * @print: all records as tables
 * @in_pools: records lie in pools: say of which contiguity is not guaranteed
 */
struct ctl_view {
	const char *summary;
	uint16_t type;
	size_t record_size;
	struct json_object *(*to_json)(const void *record);
	void (*print)(const GArray *records);
	bool in_pools;
};

int ctl_show(struct ctl *ctl, int argc, char **argv, const struct ctl_view *view);

/* --- JSON (json.c) --- */

void json_add_size(struct json_object *o, const char *key, __le64 value);
void json_add_number(struct json_object *o, const char *key, __le32 value);
void json_add_text(struct json_object *o, const char *key, const char *text);
void json_add_name(struct json_object *o, const char *key, const char name[VCMA_NAME_MAX]);
void json_add_bool(struct json_object *o, const char *key, bool value);
/* Print and free; returns CTL_OK. */
int json_print(struct json_object *o);

/* A wire size as a cell. */
char *cell_size(__le64 value);
char *cell_number(__le32 value);

#endif /* VCMA_CTL_H */
