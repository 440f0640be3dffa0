// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-size.c - sizes in and out
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "size.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "4K", 4096 }, { "4k", 4096 },
		{ "64M", UINT64_C(64) << 20 }, { "64MiB", UINT64_C(64) << 20 },
		{ "1G", UINT64_C(1) << 30 }, { "2t", UINT64_C(2) << 40 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", UINT64_C(16777215) << 40 }, { "007", 7 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t size = 99;

		assert_int_equal(size_parse(good[i].text, &size), 0);
		assert_int_equal(size, good[i].size);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "M", "64MB", "64 M", "1.5G", "64MM", "0x10",
		"64Mi", "1P", "iB", "1iB", "64M/64M",
	};
	static const char *const big[] = {
		"18446744073709551616", "16777216T", "99999999999999999999G",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t size = 99;

		assert_int_equal(size_parse(bad[i], &size), -EINVAL);
		assert_int_equal(size, 99);
	}
	for (i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
		uint64_t size = 99;

		assert_int_equal(size_parse(big[i], &size), -ERANGE);
		assert_int_equal(size, 99);
	}
}

static void test_format(void **state)
{
	char buf[SIZE_TEXT_MAX];
	uint64_t size, back;
	unsigned int i;

	(void)state;
	assert_string_equal(size_format(0, buf), "0");
	assert_string_equal(size_format(1, buf), "1");
	assert_string_equal(size_format(1023, buf), "1023");
	assert_string_equal(size_format(1025, buf), "1025");
	assert_string_equal(size_format(2 << 20, buf), "2M");
	assert_string_equal(size_format(UINT64_C(192) << 20, buf), "192M");
	assert_string_equal(size_format(UINT64_C(1) << 30, buf), "1G");
	assert_string_equal(size_format(UINT64_C(3) << 29, buf), "1536M");
	assert_string_equal(size_format(UINT64_C(1) << 60, buf), "1048576T");
	assert_string_equal(size_format(UINT64_MAX, buf), "18446744073709551615");

	for (i = 0, size = 1; i < 2000; i++, size = size * 6364136223846793005u + 1) {
		uint64_t s = size >> (i % 64) << (i % 50);

		assert_int_equal(size_parse(size_format(s, buf), &back), 0);
		assert_int_equal(back, s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
