// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options.c - the command line of vcmad
 */
#include <errno.h>

#include "options.h"

static const char summary[] =
	"Holds physically contiguous host memory and leases it to virtual machines.\n"
	"\n"
	"  vcmad --config /etc/vcma/vcmad.conf\n"
	"  vcmad --pool 256M --vm alpha --vm beta\n"
	"\n"
	"Without a file there is one pool, of huge pages if that is possible, and\n"
	"the sockets are in the run directory: NAME.sock for each VM, vcmad.sock for\n"
	"vcmactl.  vcmad stays in the foreground and ends on SIGTERM or SIGINT.";

/**
 * options_parse - read the command line
 * @o: filled in; options_free() in any case
 * @argc: of main()
 * @argv: of main(); what was understood is removed
 * @ret_error: on failure, what is wrong; g_free()
 *
 * Return: 0, or -EINVAL.  --help ends the process, as GOption has it.
 */
int options_parse(struct options *o, int *argc, char ***argv, char **ret_error)
{
	const GOptionEntry entries[] = {
		{ "config", 'c', 0, G_OPTION_ARG_FILENAME, &o->config,
		  "Configuration file, see vcmad.conf(5)", "FILE" },
		{ "pool", 0, 0, G_OPTION_ARG_STRING, &o->pool,
		  "Without a file: a pool of this size, such as 256M", "SIZE" },
		{ "vm", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->vms,
		  "Without a file: a VM; may be repeated", "NAME" },
		{ "backing", 0, 0, G_OPTION_ARG_STRING, &o->backing,
		  "Without a file: hugetlb, memfd or sim (default: hugetlb if it can be had)", "KIND" },
		{ "chunk", 0, 0, G_OPTION_ARG_STRING, &o->chunk,
		  "Without a file: what a VM's share is counted in", "SIZE" },
		{ "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &o->run_dir,
		  "Where sockets and the run record go (default: /run/vcma as root, else $XDG_RUNTIME_DIR/vcma)",
		  "DIR" },
		{ "log-level", 0, 0, G_OPTION_ARG_STRING, &o->log_level,
		  "error, warning, info (default) or debug", "LEVEL" },
		{ "check-config", 0, 0, G_OPTION_ARG_NONE, &o->check,
		  "Check the configuration and exit: 0 if it is good, 2 if not", NULL },
		{ "foreground", 0, 0, G_OPTION_ARG_NONE, &o->foreground,
		  "Stay in the foreground (vcmad always does)", NULL },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &o->version, "Print the version and exit",
		  NULL },
#ifdef VCMA_TEST_FAULTS
		{ "test-fault", 0, 0, G_OPTION_ARG_STRING, &o->fault,
		  "Make a mistake on purpose: punch, no-truncate or moved", "FAULT" },
#endif
		{ NULL },
	};
	GOptionContext *ctx = g_option_context_new(NULL);
	GError *err = NULL;
	int r = 0;

	g_option_context_set_summary(ctx, summary);
	g_option_context_add_main_entries(ctx, entries, NULL);
	if (!g_option_context_parse(ctx, argc, argv, &err)) {
		*ret_error = g_strdup(err->message);
		g_error_free(err);
		r = -EINVAL;
	} else if (*argc > 1) {
		*ret_error = g_strdup_printf("\"%s\": not an option; see --help", (*argv)[1]);
		r = -EINVAL;
	}
	g_option_context_free(ctx);
	return r;
}

void options_free(struct options *o)
{
	g_free(o->config);
	g_free(o->run_dir);
	g_free(o->pool);
	g_free(o->backing);
	g_free(o->chunk);
	g_free(o->log_level);
	g_strfreev(o->vms);
#ifdef VCMA_TEST_FAULTS
	g_free(o->fault);
#endif
}

struct config_args options_config(const struct options *o)
{
	return (struct config_args){
		.file = o->config,
		.run_dir = o->run_dir,
		.pool_size = o->pool,
		.backing = o->backing,
		.chunk = o->chunk,
		.vms = o->vms,
	};
}
