/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zones_source.h - where vcmactl zones gets a platform from
 */
#ifndef VCMA_CTL_ZONES_SOURCE_H
#define VCMA_CTL_ZONES_SOURCE_H

#include "zones.h"

/*
 * A device tree or a listing from a file.  NULL, and a message that names @path
 * in @ret_error (g_free()), if it cannot be read or understood.
 */
struct zones_platform *zones_from_tree(const char *path, char **ret_error);
struct zones_platform *zones_from_listing(const char *path, char **ret_error);
/* This machine's: its device tree, else /proc/iomem, else the firmware's memory map. */
struct zones_platform *zones_from_here(char **ret_error);

#endif /* VCMA_CTL_ZONES_SOURCE_H */
