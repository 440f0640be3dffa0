// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - vcmactl, the operator's tool: finds the subcommand
 */
#include "ctl.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "vcma_build.h"

static const struct ctl_command commands[] = {
	{ "status", cmd_status, "whether vcmad is well" },
	{ "pools", cmd_pools, "the memory, its runs, its states" },
	{ "vms", cmd_vms, "what each VM is promised, has, and was refused" },
	{ "leases", cmd_leases, "which pages are whose" },
	{ "reclaim", cmd_reclaim, "ask VMs to give idle memory back" },
	{ "wait-idle", cmd_wait_idle, "wait until nothing is in motion" },
	{ "zones", cmd_zones, "a platform's zones, who reaches them, and windows for its devices" },
};

static char *command_list(void)
{
	GString *s = g_string_new("Commands:");
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(commands); i++)
		g_string_append_printf(s, "\n  %-12s %s", commands[i].name, commands[i].help);
	g_string_append(s, "\n\n\"vcmactl COMMAND --help\" says more.  "
			"Exit codes: 0 done, 1 failed or refused, 2 wrong usage.");
	return g_string_free(s, FALSE);
}

static int unknown_command(const char *name)
{
	const char *names[G_N_ELEMENTS(commands) + 1] = { NULL };
	const char *close;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(commands); i++)
		names[i] = commands[i].name;
	close = closest_word(name, names);
	if (close)
		return ctl_usage("no command \"%s\"; did you mean \"%s\"?", name, close);
	return ctl_usage("no command \"%s\"; \"vcmactl --help\" lists them", name);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(commands); i++) {
		if (strcmp(argv[0], commands[i].name) == 0)
			return commands[i].fn(ctl, argc, argv);
	}
	return unknown_command(argv[0]);
}

/* Options before the command.  Returns an exit code, or -1: go on with @argv. */
static int parse_main(struct ctl *ctl, int *argc, char ***argv)
{
	gboolean version = FALSE;
	const GOptionEntry own[] = {
		{ "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
		G_OPTION_ENTRY_NULL,
	};
	GOptionContext *ctx = g_option_context_new("COMMAND [OPTION...]");
	char *list = command_list();
	GError *error = NULL;
	int ret = -1;

	g_option_context_set_summary(ctx, "Shows and steers what vcmad does.");
	g_option_context_set_description(ctx, list);
	g_option_context_set_strict_posix(ctx, TRUE);
	g_option_context_add_main_entries(ctx, own, NULL);
	ctl_add_options(ctl, ctx, false);
	if (!g_option_context_parse(ctx, argc, argv, &error)) {
		ret = ctl_usage("%s; see \"vcmactl --help\"", error->message);
		g_clear_error(&error);
	} else if (version) {
		puts("vcmactl " VCMA_VERSION);
		ret = CTL_OK;
	} else if (*argc < 2) {
		ret = ctl_usage("no command; \"vcmactl --help\" lists them");
	}
	g_free(list);
	g_option_context_free(ctx);
	return ret;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .end_status = VCMA_ST_OK };
	int ret;

	setlocale(LC_ALL, "");
	g_set_prgname("vcmactl");
	ret = parse_main(&ctl, &argc, &argv);
	if (ret < 0)
		ret = run(&ctl, argc - 1, argv + 1);
	vcma_client_free(ctl.client);
	g_free(ctl.socket);
	g_free(ctl.run_dir);
	if (fflush(stdout) || ferror(stdout)) {
		perror("vcmactl: standard output");
		return CTL_FAILED;
	}
	return ret;
}
