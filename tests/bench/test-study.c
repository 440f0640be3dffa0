// SPDX-License-Identifier: GPL-2.0-or-later
/* test-study.c - the tables in docs/policy.md are what the study prints */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "study.h"

static char *read_document(void)
{
	const char *src = getenv("VCMA_SRC");
	size_t size = 0, room = 1 << 20;
	char *text = malloc(room), path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/docs/policy.md", src ? src : ".");
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(text);
	size = fread(text, 1, room - 1, f);
	fclose(f);
	text[size] = '\0';
	return text;
}

/* Each line that the study prints is there, in this order and with nothing between but other text. */
static void tables_are_what_is_printed(void **state)
{
	char *text = read_document(), *at = text, *printed = NULL, *line, *rest;
	size_t size = 0, lines = 0;
	FILE *out = open_memstream(&printed, &size);

	(void)state;
	assert_non_null(out);
	study_print(out);
	fclose(out);
	for (line = strtok_r(printed, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *found = strstr(at, line);

		if (!found || (found > text && found[-1] != '\n') || found[strlen(line)] != '\n')
			fail_msg("docs/policy.md lacks, or has elsewhere: %s", line);
		at = found + strlen(line);
		lines++;
	}
	assert_true(lines > 30);
	free(printed);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_what_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
