// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - vcmad: holds contiguous memory and leases it to VMs
 */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "log.h"
#include "service.h"
#include "options.h"
#include "server.h"
#include "vcma_build.h"

#define EXIT_CONFIG 2

static gboolean on_signal(gpointer data)
{
	g_main_loop_quit(data);
	return G_SOURCE_CONTINUE;
}

static void run(struct server *s)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	guint source[G_N_ELEMENTS(signals)];

	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		source[i] = g_unix_signal_add(signals[i], on_signal, loop);
	log_info("ready: %u VMs, operator socket %s", s->vms->len, s->cfg->oper_socket);
	service_notify("READY=1");
	g_main_loop_run(loop);
	service_notify("STOPPING=1");
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		g_source_remove(source[i]);
	g_main_loop_unref(loop);
}

static int serve(const struct config *cfg)
{
	struct server *s = NULL;
	char *error = NULL;

	if (server_new(cfg, &s, &error) < 0) {
		log_err("%s", error);
		g_free(error);
		return EXIT_FAILURE;
	}
	run(s);
	log_info("stopped, %u VMs still hold memory", server_stop(s));
	server_free(s);
	return EXIT_SUCCESS;
}

static int with_options(const struct options *o, struct log_sink *sink)
{
	const struct config_args args = options_config(o);
	GPtrArray *errors = g_ptr_array_new_with_free_func(g_free);
	struct config *cfg = NULL;
	int code = EXIT_CONFIG;

	if (o->log_level && log_level_set(sink, o->log_level) < 0)
		g_ptr_array_add(errors, g_strdup_printf("--log-level: \"%s\" is none of error, warning, info, debug",
							o->log_level));
	config_load(&args, &cfg, errors);
	for (unsigned int i = 0; i < errors->len; i++)
		fprintf(stderr, "vcmad: %s\n", (const char *)g_ptr_array_index(errors, i));
	if (!errors->len && o->check) {
		printf("%s: good: %u pools, %u VMs\n", cfg->origin, cfg->pools->len,
		       cfg->vms->len);
		code = EXIT_SUCCESS;
	} else if (!errors->len) {
		if (cfg->log_level && !o->log_level)
			log_level_set(sink, cfg->log_level);
		code = serve(cfg);
	}
	config_free(cfg);
	g_ptr_array_unref(errors);
	return code;
}

int main(int argc, char **argv)
{
	struct log_sink sink = { .level = G_LOG_LEVEL_INFO };
	struct options o = { 0 };
	char *error = NULL;
	int code;

	log_start(&sink);
	if (options_parse(&o, &argc, &argv, &error) < 0) {
		fprintf(stderr, "vcmad: %s\n", error);
		g_free(error);
		code = EXIT_CONFIG;
#ifdef VCMA_TEST_FAULTS
	} else if (o.fault && test_fault_set(o.fault) < 0) {
		fprintf(stderr, "vcmad: --test-fault: punch, no-truncate or moved\n");
		code = EXIT_CONFIG;
#endif
	} else if (o.version) {
		printf("vcmad %s\n", VCMA_VERSION);
		code = EXIT_SUCCESS;
	} else {
		code = with_options(&o, &sink);
	}
	options_free(&o);
	return code;
}
