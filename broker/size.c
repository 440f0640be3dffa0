// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * size.c - sizes as people write them
 */
#include "size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char units[] = "KMGT";

static int unit_shift(const char **text)
{
	static const char lower[] = "kmgt";
	const char *at;
	int i;

	if (!**text)
		return 0;
	for (i = 0; units[i]; i++) {
		if (**text != units[i] && **text != lower[i])
			continue;
		at = *text + 1;
		if (strcmp(at, "iB") == 0)
			at += 2;
		*text = at;
		return 10 * (i + 1);
	}
	return 0;
}

int size_parse(const char *text, uint64_t *ret_size)
{
	uint64_t value = 0;
	int shift;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		unsigned int digit = *text - '0';

		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	shift = unit_shift(&text);
	if (*text)
		return -EINVAL;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;

	*ret_size = value << shift;
	return 0;
}

const char *size_format(uint64_t size, char buf[SIZE_TEXT_MAX])
{
	int n = 0;

	while (size && n < 4 && !(size & 1023)) {
		size >>= 10;
		n++;
	}
	if (n)
		snprintf(buf, SIZE_TEXT_MAX, "%" PRIu64 "%c", size, units[n - 1]);
	else
		snprintf(buf, SIZE_TEXT_MAX, "%" PRIu64, size);
	return buf;
}
