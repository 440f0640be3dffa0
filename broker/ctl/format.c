// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * format.c - how vcmactl writes things for people, and reads what they type
 */
#include "format.h"

#include <errno.h>
#include <string.h>

#include "../size.h"
#include "wire.h"

char *format_size(uint64_t size)
{
	char buf[SIZE_TEXT_MAX];

	return g_strdup(size_format(size, buf));
}

char *format_age(uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		return g_strdup_printf("%" G_GUINT64_FORMAT "ms", ms);
	if (s < 60)
		return g_strdup_printf("%" G_GUINT64_FORMAT "s", s);
	if (s < 3600)
		return g_strdup_printf("%" G_GUINT64_FORMAT "m%02us", s / 60,
				       (unsigned int)(s % 60));
	if (s < 86400)
		return g_strdup_printf("%" G_GUINT64_FORMAT "h%02um", s / 3600,
				       (unsigned int)(s / 60 % 60));
	return g_strdup_printf("%" G_GUINT64_FORMAT "d%02uh", s / 86400,
			       (unsigned int)(s / 3600 % 24));
}

int parse_deadline(const char *text, uint32_t *ret_ms)
{
	static const struct { const char *unit; uint64_t ms; } units[] = {
		{ "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 },
	};
	guint64 value;
	char *end;
	size_t i;

	if (!g_ascii_isdigit(*text))
		return -EINVAL;
	errno = 0;
	value = g_ascii_strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	for (i = 0; i < G_N_ELEMENTS(units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (!value || value > VCMA_DEADLINE_MAX_MS / units[i].ms)
			return -ERANGE;
		*ret_ms = (uint32_t)(value * units[i].ms);
		return 0;
	}
	return -EINVAL;
}

const char *format_backing(uint32_t backing)
{
	switch (backing) {
	case VCMA_BACKING_HUGETLB: return "hugetlb";
	case VCMA_BACKING_MEMFD: return "memfd";
	case VCMA_BACKING_SIM: return "sim";
	default: return "unknown";
	}
}

const char *format_contiguity(uint32_t pool_flags)
{
	return pool_flags & VCMA_POOL_CONTIGUOUS ? "contiguous" : "contiguity not guaranteed";
}

char *format_vm_state(uint32_t flags)
{
	const char *state = flags & VCMA_VM_CONNECTED ? "connected" :
			    flags & VCMA_VM_ORPHANED ? "orphaned" : "away";

	return g_strconcat(state, flags & VCMA_VM_DEGRADED ? ",degraded" : "", NULL);
}

const char *format_lease_state(uint32_t state)
{
	switch (state) {
	case VCMA_LEASE_GRANTING: return "granting";
	case VCMA_LEASE_HELD: return "held";
	default: return "unknown";
	}
}

char *format_refusal(uint32_t status, const char *by)
{
	char *text, *c;

	if (status == VCMA_ST_GUARANTEED)
		return g_strconcat("guaranteed to ", by && *by ? by : "other VMs", NULL);

	text = g_ascii_strdown(vcma_status_name(status), -1);
	for (c = text; *c; c++) {
		if (*c == '_')
			*c = ' ';
	}
	return text;
}

char *format_name(const char name[VCMA_NAME_MAX])
{
	return g_strndup(name, VCMA_NAME_MAX);
}

/* How many letters have to be changed, added or left out to make @b from @a. */
static size_t distance(const char *a, const char *b)
{
	size_t lb = strlen(b), i, j, result;
	size_t *row = g_new(size_t, lb + 1);

	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (j = 0; j < lb; j++) {
			size_t above = row[j + 1];

			row[j + 1] = MIN(MIN(row[j], above) + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	result = row[lb];
	g_free(row);
	return result;
}

const char *closest_word(const char *typed, const char *const *words)
{
	const char *best = NULL;
	size_t best_distance = SIZE_MAX, len = strlen(typed);

	/* What is much longer than any word is none of them. */
	if (!len || len > 64)
		return NULL;
	for (; *words; words++) {
		size_t d = distance(typed, *words);

		if (len >= 2 && g_str_has_prefix(*words, typed))
			d = 0;
		if (d < best_distance) {
			best = *words;
			best_distance = d;
		}
	}
	return best && best_distance <= 1 + strlen(best) / 4 ? best : NULL;
}
