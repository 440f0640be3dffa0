/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line of vcmad
 */
#ifndef VCMA_BROKER_OPTIONS_H
#define VCMA_BROKER_OPTIONS_H

#include <glib.h>

#include "config.h"

struct options {
	char *config, *run_dir, *pool, *backing, *chunk, *log_level;
	char **vms;
	gboolean foreground, check, version;
#ifdef VCMA_TEST_FAULTS
	char *fault;
#endif
};

/* 0; -EINVAL: *ret_error says why (g_free). */
int options_parse(struct options *o, int *argc, char ***argv, char **ret_error);
void options_free(struct options *o);
struct config_args options_config(const struct options *o);

#endif /* VCMA_BROKER_OPTIONS_H */
