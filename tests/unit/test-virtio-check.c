// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-virtio-check.c - requests and ranges of the virtio device
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "virtio_check.h"

#define MIB (UINT64_C(1) << 20)

/* Every range near the two ends of a small window and of the number space. */
static void test_ranges(void **state)
{
	static const uint64_t around[] = {
		0, 4, 8, 12, 16, 60, 64, 68, UINT64_MAX - 7, UINT64_MAX - 3, UINT64_MAX,
		UINT64_C(1) << 63, UINT64_C(1) << 32,
	};
	const unsigned int n = sizeof(around) / sizeof(around[0]);
	unsigned int i, j, good = 0;
	int di, dj;

	(void)state;
	for (i = 0; i < n; i++)
	for (j = 0; j < n; j++)
	for (di = -1; di <= 1; di++)
	for (dj = -1; dj <= 1; dj++) {
		uint64_t offset = around[i] + (uint64_t)di, size = around[j] + (uint64_t)dj;
		bool want = offset <= 64 && size >= 1 && size <= 64 && offset + size <= 64 &&
			offset % 4 == 0 && size % 4 == 0;
		bool plug = want && (size == 4 || size == 8 || size == 16);

		assert_int_equal(vcma_range_check(offset, size, 64, 4), want);
		assert_int_equal(vcma_plug_check(offset, size, 64, 4, 16), plug);
		good += want;
	}
	assert_true(good > 10);
}

static void test_named_ranges(void **state)
{
	(void)state;
	assert_false(vcma_range_check(0, 0, 64 * MIB, 2 * MIB));
	assert_false(vcma_range_check(0, UINT64_MAX, 64 * MIB, 2 * MIB));
	assert_false(vcma_range_check(2 * MIB, UINT64_MAX - 2 * MIB + 1, 64 * MIB, 2 * MIB));
	assert_false(vcma_range_check(64 * MIB, 2 * MIB, 64 * MIB, 2 * MIB));
	assert_true(vcma_range_check(62 * MIB, 2 * MIB, 64 * MIB, 2 * MIB));
	assert_true(vcma_range_check(0, 64 * MIB, 64 * MIB, 2 * MIB));
	assert_false(vcma_range_check(0, 0, 0, 2 * MIB));
	assert_true(vcma_range_check(0, 6 * MIB, 64 * MIB, 2 * MIB));
	assert_false(vcma_plug_check(0, 6 * MIB, 64 * MIB, 2 * MIB, 32 * MIB));
	assert_false(vcma_plug_check(0, 64 * MIB, 64 * MIB, 2 * MIB, 32 * MIB));
}

/* A refusal names its cause, and after the semicolon the cure. */
static void test_reasons(void **state)
{
	static const struct {
		uint64_t offset, size;
		const char *cause;
	} bad[] = {
		{ 0, 0, "size is 0;" },
		{ 2 * MIB, UINT64_MAX, "beyond 2^64;" },
		{ 0, UINT64_MAX, "multiples of the granule;" },
		{ 4096, 2 * MIB, "multiples of the granule;" },
		{ 64 * MIB, 2 * MIB, "beyond the window's end;" },
		{ 0, 6 * MIB, "power of two;" },
		{ 0, 64 * MIB, "above lease_max;" },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = vcma_plug_why(bad[i].offset, bad[i].size, 64 * MIB, 2 * MIB,
						32 * MIB);

		assert_non_null(why);
		assert_non_null(strstr(why, bad[i].cause));
	}
	assert_null(vcma_plug_why(62 * MIB, 2 * MIB, 64 * MIB, 2 * MIB, 32 * MIB));
	assert_null(vcma_range_why(0, 6 * MIB, 64 * MIB, 2 * MIB));
}

#define FIXED (UINT64_C(1) << VIRTIO_CMA_F_FIXED)
#define BANKS (UINT64_C(1) << VIRTIO_CMA_F_BANKS)

static unsigned int check_with(uint64_t features, uint16_t type, uint32_t n, uint16_t status,
			       uint32_t id)
{
	struct vcma_req_head req = { type, status, n, 100, id };

	return vcma_req_check(&req, features, 16 + (size_t)n * 24, vcma_resp_size(n));
}

static unsigned int check(uint16_t type, uint32_t n, uint16_t status, uint32_t id)
{
	return check_with(0, type, n, status, id);
}

static void test_heads(void **state)
{
	static const uint16_t ranged[] = {
		VIRTIO_CMA_REQ_PLUG, VIRTIO_CMA_REQ_UNPLUG, VIRTIO_CMA_REQ_STATE,
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(check(ranged[i], 1, 0, 0), VIRTIO_CMA_S_OK);
		assert_int_equal(check(ranged[i], 64, 0, 0), VIRTIO_CMA_S_OK);
		assert_int_equal(check(ranged[i], 0, 0, 0), VIRTIO_CMA_S_INVALID);
		assert_int_equal(check(ranged[i], 65, 0, 0), VIRTIO_CMA_S_INVALID);
		assert_int_equal(check(ranged[i], 1, 1, 0), VIRTIO_CMA_S_INVALID);
		assert_int_equal(check(ranged[i], 1, 0, 1), VIRTIO_CMA_S_INVALID);
	}
	assert_int_equal(check(VIRTIO_CMA_REQ_UNPLUG_ALL, 0, 0, 0), VIRTIO_CMA_S_OK);
	assert_int_equal(check(VIRTIO_CMA_REQ_UNPLUG_ALL, 1, 0, 0), VIRTIO_CMA_S_INVALID);
	assert_int_equal(check(VIRTIO_CMA_REQ_RECLAIM_DONE, 0, 0, 7), VIRTIO_CMA_S_OK);
	assert_int_equal(check(VIRTIO_CMA_REQ_RECLAIM_DONE, 0, VIRTIO_CMA_S_BUSY, 7),
			 VIRTIO_CMA_S_OK);
	assert_int_equal(check(VIRTIO_CMA_REQ_RECLAIM_DONE, 0, VIRTIO_CMA_S_DENIED, 7),
			 VIRTIO_CMA_S_INVALID);
	assert_int_equal(check(VIRTIO_CMA_REQ_RECLAIM_DONE, 0, 0, 0), VIRTIO_CMA_S_INVALID);
	assert_int_equal(check(VIRTIO_CMA_REQ_CONFIRM, 1, 0, 0), VIRTIO_CMA_S_UNSUPPORTED);
	assert_int_equal(check(0, 1, 0, 0), VIRTIO_CMA_S_INVALID);
	assert_int_equal(check(8, 1, 0, 0), VIRTIO_CMA_S_INVALID);
	assert_int_equal(check(0xffff, 1, 0, 0), VIRTIO_CMA_S_INVALID);
}

/* [V-60], [V-65], [V-66] */
static void test_features(void **state)
{
	const uint32_t fixed = VIRTIO_CMA_WIN_FIXED;

	(void)state;
	assert_int_equal(check_with(~FIXED, VIRTIO_CMA_REQ_CONFIRM, 1, 0, 0),
			 VIRTIO_CMA_S_UNSUPPORTED);
	assert_int_equal(check_with(FIXED, VIRTIO_CMA_REQ_CONFIRM, 1, 0, 0), VIRTIO_CMA_S_OK);
	assert_int_equal(check_with(FIXED, VIRTIO_CMA_REQ_CONFIRM, 0, 0, 0), VIRTIO_CMA_S_INVALID);
	assert_int_equal(check_with(FIXED, VIRTIO_CMA_REQ_CONFIRM, 2, 0, 0), VIRTIO_CMA_S_INVALID);
	assert_int_equal(check_with(FIXED, VIRTIO_CMA_REQ_CONFIRM, 1, 0, 1), VIRTIO_CMA_S_INVALID);

	assert_true(vcma_window_usable(0, 0, 0));
	assert_false(vcma_window_usable(fixed, 0, ~FIXED));
	assert_true(vcma_window_usable(fixed, 0, FIXED));
	assert_false(vcma_window_usable(0, 1, ~BANKS));
	assert_true(vcma_window_usable(0, 1, BANKS));
	assert_false(vcma_window_usable(fixed, 1, FIXED));
	assert_false(vcma_window_usable(fixed, 1, BANKS));
	assert_true(vcma_window_usable(fixed, 1, FIXED | BANKS));

	assert_null(vcma_confirm_why(fixed, 0, 4 * MIB, 4 * MIB));
	assert_non_null(strstr(vcma_confirm_why(0, 0, 4 * MIB, 4 * MIB), "not fixed;"));
	assert_non_null(strstr(vcma_confirm_why(fixed, 0, 2 * MIB, 4 * MIB), "whole window;"));
	assert_non_null(strstr(vcma_confirm_why(fixed, 2 * MIB, 2 * MIB, 4 * MIB),
			       "whole window;"));
}

static void test_buffers(void **state)
{
	struct vcma_req_head req = { VIRTIO_CMA_REQ_PLUG, 0, 2, 0, 0 };

	(void)state;
	assert_int_equal(vcma_resp_size(0), 8);
	assert_int_equal(vcma_resp_size(2), 24);
	assert_int_equal(vcma_req_check(&req, 0, 64, 24), VIRTIO_CMA_S_OK);
	assert_int_equal(vcma_req_check(&req, 0, 64, 4096), VIRTIO_CMA_S_OK);
	assert_int_equal(vcma_req_check(&req, 0, 64, 23), VIRTIO_CMA_S_INVALID);
	assert_int_equal(vcma_req_check(&req, 0, 63, 24), VIRTIO_CMA_S_INVALID);
	assert_int_equal(vcma_req_check(&req, 0, 65, 24), VIRTIO_CMA_S_INVALID);
	req.num_ranges = UINT32_MAX;
	assert_int_equal(vcma_req_check(&req, 0, 64, 24), VIRTIO_CMA_S_INVALID);
}

/* [V-62], [V-68] */
static void test_clients(void **state)
{
	const uint64_t table = UINT64_C(1) << VIRTIO_CMA_F_CLIENT_TABLE;
	struct vcma_req_head req = { VIRTIO_CMA_REQ_CLIENTS, 0, 0, 0, 0 };

	(void)state;
	assert_int_equal(vcma_clients_size(0), 16);
	assert_int_equal(vcma_clients_size(3), 64);
	assert_int_equal(vcma_clients_room(0), 0);
	assert_int_equal(vcma_clients_room(8), 0);
	assert_int_equal(vcma_clients_room(31), 0);
	assert_int_equal(vcma_clients_room(32), 1);
	assert_int_equal(vcma_clients_room(63), 2);
	assert_int_equal(vcma_clients_room(SIZE_MAX), VIRTIO_CMA_CLIENTS_MAX);

	assert_int_equal(vcma_req_check(&req, ~table, 16, 4096), VIRTIO_CMA_S_UNSUPPORTED);
	assert_int_equal(vcma_req_check(&req, table, 16, 4096), VIRTIO_CMA_S_OK);
	assert_int_equal(vcma_req_check(&req, table, 16, 32), VIRTIO_CMA_S_OK);
	assert_int_equal(vcma_req_check(&req, table, 16, 31), VIRTIO_CMA_S_INVALID);
	assert_int_equal(vcma_req_check(&req, table, 16, 8), VIRTIO_CMA_S_INVALID);
	assert_int_equal(vcma_req_check(&req, table, 17, 4096), VIRTIO_CMA_S_INVALID);
	req.id = UINT32_MAX;
	assert_int_equal(vcma_req_check(&req, table, 16, 4096), VIRTIO_CMA_S_OK);
	req.status = 1;
	assert_int_equal(vcma_req_check(&req, table, 16, 4096), VIRTIO_CMA_S_INVALID);
	req.status = 0;
	req.num_ranges = 1;
	assert_int_equal(vcma_req_check(&req, table, 40, 4096), VIRTIO_CMA_S_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_named_ranges),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
