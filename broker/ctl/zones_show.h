/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zones_show.h - all that vcmactl zones found out, and how it is shown
 */
#ifndef VCMA_CTL_ZONES_SHOW_H
#define VCMA_CTL_ZONES_SHOW_H

#include "zones.h"

struct json_object;

/**
 * struct zones_report - what is shown
 * @p: the platform
 * @kernels: @nr_kernels kernels, the wanted one first
 * @reasons: why zones end where they do: strings
 * @classes: struct zones_class, by pointer
 * @advice: windows
 * @all: name every device
 */
struct zones_report {
	struct zones_platform *p;
	struct zones_kernel kernels[ZONES_KERNELS_MAX];
	unsigned int nr_kernels;
	GPtrArray *reasons;
	GPtrArray *classes;
	struct zones_advice *advice;
	gboolean all;
};

/* --- between zones_print.c and zones_print_reach.c --- */

/* Cells of a table. */
char *zones_address(uint64_t a);
/* Exact if that is short, else rounded down to MiB: "1536M", not "1572863K". */
char *zones_size(uint64_t size);
const struct zones_class *zones_class_at(const struct zones_report *r, guint i);
const char *zones_class_title(const struct zones_class *c);
void zones_print_reach(const struct zones_report *r);
void zones_print_windows(const struct zones_report *r);

/* --- to be shown --- */

/* As tables, on standard output. */
void zones_print(const struct zones_report *r);
/* The caller's, json_object_put(). */
struct json_object *zones_json(const struct zones_report *r);

#endif /* VCMA_CTL_ZONES_SHOW_H */
