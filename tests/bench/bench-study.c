// SPDX-License-Identifier: GPL-2.0-or-later
/* bench-study.c - print the study's tables, as docs/policy.md has them */

#include "study.h"

int main(void)
{
	study_print(stdout);
	return 0;
}
