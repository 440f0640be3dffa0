// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-record.c - the run directory and its record (I8)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record.h"

static int setup(void **state)
{
	*state = g_dir_make_tmp("vcma-record-XXXXXX", NULL);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	char *cmd = g_strdup_printf("rm -rf '%s'", (char *)*state);
	int r = g_spawn_command_line_sync(cmd, NULL, NULL, NULL, NULL) ? 0 : -1;

	g_free(cmd);
	g_free(*state);
	return r;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void bury(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_living(void **state)
{
	struct record_entry e[2] = { { .vm = "alpha" }, { .vm = "beta" } };
	pid_t a = sleeper(), b = sleeper();
	char *error = NULL;

	assert_int_equal(process_get(a, &e[0].process), 0);
	assert_int_equal(process_get(b, &e[1].process), 0);
	assert_int_equal(record_check(*state, &error), 0); /* none yet */
	assert_int_equal(record_write(*state, e, 2), 0);
	assert_int_equal(record_check(*state, &error), -EBUSY);
	assert_non_null(strstr(error, "VM alpha"));
	assert_non_null(strstr(error, "VM beta"));
	g_clear_pointer(&error, g_free);

	bury(a);
	assert_int_equal(record_check(*state, &error), -EBUSY);
	assert_null(strstr(error, "VM alpha"));
	g_clear_pointer(&error, g_free);
	bury(b);
	assert_int_equal(record_check(*state, &error), 0);
}

/* A zombie holds no memory. */
static void test_zombie(void **state)
{
	struct record_entry e = { .vm = "alpha" };
	char *error = NULL;
	siginfo_t info;
	pid_t a = sleeper();

	assert_int_equal(process_get(a, &e.process), 0);
	assert_int_equal(record_write(*state, &e, 1), 0);
	kill(a, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)a, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(record_check(*state, &error), 0);
	bury(a);
}

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

/* Its main thread is a zombie, but another one has the memory still. */
static void test_main_thread_gone(void **state)
{
	struct process p;
	char path[64], *stat = NULL;
	pthread_t thread;
	pid_t a = fork();

	(void)state;
	if (!a) {
		alarm(30); /* a test that fails leaves nothing behind */
		if (pthread_create(&thread, NULL, sleep_on, NULL) == 0)
			pthread_exit(NULL);
		_exit(1);
	}
	assert_true(a > 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)a);
	for (unsigned int i = 0; i < 500; i++) {
		g_clear_pointer(&stat, g_free);
		assert_true(g_file_get_contents(path, &stat, NULL, NULL));
		if (strstr(stat, ") Z "))
			break;
		g_usleep(10000);
	}
	assert_non_null(strstr(stat, ") Z "));
	g_free(stat);
	assert_int_equal(process_get(a, &p), 0);
	assert_true(process_is_alive(&p));
	bury(a);
	assert_false(process_is_alive(&p));
}

/* The same pid, another start: another process. */
static void test_pid_reused(void **state)
{
	struct record_entry e = { .vm = "alpha" };
	char *error = NULL;

	assert_int_equal(process_get(getpid(), &e.process), 0);
	e.process.start--;
	assert_int_equal(record_write(*state, &e, 1), 0);
	assert_int_equal(record_check(*state, &error), 0);
}

static void test_empty_is_no_file(void **state)
{
	struct record_entry e = { .vm = "alpha" };
	char *file = g_build_filename(*state, RECORD_FILE, NULL);

	assert_int_equal(process_get(getpid(), &e.process), 0);
	assert_int_equal(record_write(*state, &e, 1), 0);
	assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
	assert_int_equal(record_write(*state, NULL, 0), 0);
	assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
	assert_int_equal(record_write(*state, NULL, 0), 0);
	g_free(file);
}

static void test_not_a_record(void **state)
{
	char *file = g_build_filename(*state, RECORD_FILE, NULL), *error = NULL;

	assert_true(g_file_set_contents(file, "something else\n", -1, NULL));
	assert_int_equal(record_check(*state, &error), -EINVAL);
	assert_non_null(strstr(error, "remove it"));
	g_free(error);
	g_free(file);
}

static void test_lock(void **state)
{
	char *path = g_build_filename(*state, "run", NULL), *error = NULL;
	struct run_dir a = { .lock = -1 }, b = { .lock = -1 };

	assert_int_equal(run_dir_open(&a, path, &error), 0);
	assert_true(a.made);
	assert_int_equal(run_dir_open(&b, path, &error), -EWOULDBLOCK);
	assert_non_null(strstr(error, "another vcmad runs in"));
	g_clear_pointer(&error, g_free);
	assert_null(b.path); /* untouched */
	run_dir_close(&a);
	assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	assert_int_equal(run_dir_open(&b, path, &error), 0);
	run_dir_close(&b);
	assert_int_equal(run_dir_open(&b, "/nonexistent/a/b", &error), -ENOENT);
	g_free(error);
	g_free(path);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_living), T(test_zombie), T(test_main_thread_gone),
		T(test_pid_reused), T(test_empty_is_no_file),
		T(test_not_a_record), T(test_lock),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
