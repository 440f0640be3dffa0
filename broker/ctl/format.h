/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - how vcmactl writes things for people, and reads what they type
 *
 * Pure.  Strings that are returned are the caller's, g_free().
 */
#ifndef VCMA_CTL_FORMAT_H
#define VCMA_CTL_FORMAT_H

#include <glib.h>
#include <stdint.h>

#include "vcma_broker.h"

/* "64M" */
char *format_size(uint64_t size);
/* "350ms", "12s", "5m03s", "2h05m", "3d04h" */
char *format_age(uint64_t ms);
/* Read "10" (seconds), "10s", "250ms" or "2m".  0, -EINVAL, or -ERANGE: not 1 ms to 10 min. */
int parse_deadline(const char *text, uint32_t *ret_ms);

const char *format_backing(uint32_t backing);
/* "contiguous", or "contiguity not guaranteed" */
const char *format_contiguity(uint32_t pool_flags);
/* "connected", "orphaned" or "away", and "degraded" */
char *format_vm_state(uint32_t flags);
const char *format_lease_state(uint32_t state);
/* "over limit"; "guaranteed to alpha" if @by names a VM */
char *format_refusal(uint32_t status, const char *by);

/* A wire name as a string, also if it has no NUL. */
char *format_name(const char name[VCMA_NAME_MAX]);

/* The word of @words (ends with NULL) that @typed may have been meant to be, or NULL. */
const char *closest_word(const char *typed, const char *const *words);

#endif /* VCMA_CTL_FORMAT_H */
