// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options.c - what all subcommands accept, and how failures are reported
 */
#include "ctl.h"

#include <stdio.h>

static void report(const char *format, va_list args)
{
	char *text = g_strdup_vprintf(format, args);

	fflush(stdout);
	fprintf(stderr, "vcmactl: %s\n", text);
	g_free(text);
}

int ctl_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(format, args);
	va_end(args);
	return CTL_USAGE;
}

int ctl_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(format, args);
	va_end(args);
	return CTL_FAILED;
}

void ctl_add_options(struct ctl *ctl, GOptionContext *ctx, bool json)
{
	const GOptionEntry where[] = {
		{ "socket", 's', 0, G_OPTION_ARG_FILENAME, &ctl->socket,
		  "The operator socket (default: vcmad.sock in the run directory)", "PATH" },
		{ "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &ctl->run_dir,
		  "The run directory of vcmad (default: $VCMA_RUN_DIR, else as vcmad's own)",
		  "DIR" },
		G_OPTION_ENTRY_NULL,
	};
	const GOptionEntry output[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &ctl->json, "Print JSON", NULL },
		G_OPTION_ENTRY_NULL,
	};

	g_option_context_add_main_entries(ctx, where, NULL);
	if (json)
		g_option_context_add_main_entries(ctx, output, NULL);
}

int ctl_parse(struct ctl *ctl, int argc, char ***argv, const GOptionEntry *own,
	      const char *args, const char *summary)
{
	GOptionContext *ctx = g_option_context_new(args);
	char *name = g_strconcat("vcmactl ", (*argv)[0], NULL);
	GError *error = NULL;

	g_option_context_set_summary(ctx, summary);
	if (own)
		g_option_context_add_main_entries(ctx, own, NULL);
	ctl_add_options(ctl, ctx, true);
	g_set_prgname(name);

	if (!g_option_context_parse(ctx, &argc, argv, &error)) {
		ctl_usage("%s; see \"%s --help\"", error->message, name);
		g_clear_error(&error);
		argc = 0;
	} else if (argc > 1 && !args) {
		ctl_usage("%s takes no argument, such as \"%s\"; see \"%s --help\"",
			  (*argv)[0], (*argv)[1], name);
		argc = 0;
	}
	g_option_context_free(ctx);
	g_free(name);
	return argc - 1;
}
