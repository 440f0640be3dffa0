// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-ctl-format.c - what vcmactl writes for people, and reads from them
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/ctl/format.h"
#include "broker/ctl/table.h"

static void assert_taken(char *text, const char *want)
{
	assert_string_equal(text, want);
	g_free(text);
}

static void test_ages(void **state)
{
	(void)state;
	assert_taken(format_age(0), "0ms");
	assert_taken(format_age(999), "999ms");
	assert_taken(format_age(1000), "1s");
	assert_taken(format_age(59999), "59s");
	assert_taken(format_age(63000), "1m03s");
	assert_taken(format_age(3600 * 1000), "1h00m");
	assert_taken(format_age(UINT64_C(86400) * 1000 * 40 + 5 * 3600 * 1000), "40d05h");
}

static void test_deadlines(void **state)
{
	static const struct { const char *text; uint32_t ms; } good[] = {
		{ "10", 10000 }, { "10s", 10000 }, { "250ms", 250 }, { "2m", 120000 },
		{ "600", 600000 }, { "10m", 600000 }, { "1ms", 1 },
	};
	static const char *const bad[] = { "", "x", "-1", " 1", "1 s", "1h", "1.5", "ms" };
	static const char *const out[] = {
		"0", "0ms", "601", "11m", "600001ms", "99999999999999999999",
	};
	uint32_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < G_N_ELEMENTS(good); i++) {
		assert_int_equal(parse_deadline(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	ms = 7;
	for (i = 0; i < G_N_ELEMENTS(bad); i++)
		assert_int_equal(parse_deadline(bad[i], &ms), -EINVAL);
	for (i = 0; i < G_N_ELEMENTS(out); i++)
		assert_int_equal(parse_deadline(out[i], &ms), -ERANGE);
	assert_int_equal(ms, 7);
}

static void test_words(void **state)
{
	static const char name[VCMA_NAME_MAX] = "0123456789abcdef0123456789abcdef";

	(void)state;
	assert_taken(format_size(UINT64_C(192) << 20), "192M");
	assert_taken(format_refusal(VCMA_ST_GUARANTEED, "alpha"), "guaranteed to alpha");
	assert_taken(format_refusal(VCMA_ST_GUARANTEED, ""), "guaranteed to other VMs");
	assert_taken(format_refusal(VCMA_ST_OVER_LIMIT, ""), "over limit");
	assert_taken(format_refusal(12345, ""), "unknown");
	assert_taken(format_vm_state(0), "away");
	assert_taken(format_vm_state(VCMA_VM_CONNECTED), "connected");
	assert_taken(format_vm_state(VCMA_VM_ORPHANED | VCMA_VM_DEGRADED), "orphaned,degraded");
	assert_string_equal(format_contiguity(VCMA_POOL_REVOCABLE), "contiguity not guaranteed");
	assert_string_equal(format_contiguity(VCMA_POOL_CONTIGUOUS), "contiguous");
	assert_string_equal(format_backing(VCMA_BACKING_MEMFD), "memfd");
	assert_string_equal(format_backing(VCMA_BACKING_SIM), "sim");
	assert_string_equal(format_backing(99), "unknown");
	assert_string_equal(format_lease_state(VCMA_LEASE_HELD), "held");
	/* A name without NUL, as no vcmad would send it. */
	assert_taken(format_name(name), "0123456789abcdef0123456789abcdef");
}

static void test_suggestions(void **state)
{
	static const char *const words[] = {
		"status", "pools", "vms", "leases", "reclaim", "wait-idle", NULL,
	};
	static const char *const none[] = { NULL };

	(void)state;
	assert_string_equal(closest_word("sttus", words), "status");
	assert_string_equal(closest_word("pool", words), "pools");
	assert_string_equal(closest_word("lease", words), "leases");
	assert_string_equal(closest_word("wait", words), "wait-idle");
	assert_string_equal(closest_word("recliam", words), "reclaim");
	assert_string_equal(closest_word("vm", words), "vms");
	assert_null(closest_word("frobnicate", words));
	assert_null(closest_word("", words));
	assert_null(closest_word("status", none));
}

static void test_table(void **state)
{
	static const char *const headings[] = { "VM", ">LIMIT", "LAST REFUSAL", NULL };
	struct table *t = table_new(headings);

	(void)state;
	table_add(t, "alpha");
	table_take(t, g_strdup("192M"));
	table_add(t, "");
	table_add(t, "b");
	table_add(t, "1073741823K");
	table_add(t, "64M: guaranteed to alpha");
	assert_taken(table_to_string(t),
		     "VM           LIMIT  LAST REFUSAL\n"
		     "alpha         192M  -\n"
		     "b      1073741823K  64M: guaranteed to alpha\n");
	table_hide(t, 1);
	assert_taken(table_to_string(t),
		     "VM     LAST REFUSAL\n"
		     "alpha  -\n"
		     "b      64M: guaranteed to alpha\n");
	table_free(t);
	table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_suggestions),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
