// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-config.c - the configuration: what is good, and each thing that is not
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"
#include "config.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	char *file;
	struct config *cfg;
	GPtrArray *errors;
};

static int setup(void **state)
{
	struct fixture *f = g_new0(struct fixture, 1);
	int fd = g_file_open_tmp("vcma-config-XXXXXX", &f->file, NULL);

	if (fd < 0)
		return -1;
	close(fd);
	f->errors = g_ptr_array_new_with_free_func(g_free);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	g_unlink(f->file);
	g_free(f->file);
	config_free(f->cfg);
	g_ptr_array_unref(f->errors);
	g_free(f);
	return 0;
}

static int load(struct fixture *f, const char *text)
{
	const struct config_args args = { .file = f->file, .run_dir = "/run/vcma-test" };

	assert_true(g_file_set_contents(f->file, text, -1, NULL));
	g_ptr_array_set_size(f->errors, 0);
	return config_load(&args, &f->cfg, f->errors);
}

static int load_options(struct fixture *f, struct config_args args)
{
	args.run_dir = "/run/vcma-test";
	return config_load(&args, &f->cfg, f->errors);
}

/* One of the errors has all of @group, @key and @text in it, and the file's name. */
static void assert_error(struct fixture *f, const char *group, const char *key, const char *text)
{
	for (unsigned int i = 0; i < f->errors->len; i++) {
		const char *e = g_ptr_array_index(f->errors, i);

		if (strstr(e, group) && strstr(e, key) && strstr(e, text) &&
		    (g_str_has_prefix(e, f->file) || g_str_has_prefix(e, "command line")))
			return;
	}
	for (unsigned int i = 0; i < f->errors->len; i++)
		print_message("# %s\n", (const char *)g_ptr_array_index(f->errors, i));
	fail_msg("no error with %s, %s, %s", group, key, text);
}

static void assert_only_error(struct fixture *f, const char *text, const char *group,
			      const char *key, const char *say)
{
	assert_int_equal(load(f, text), -EINVAL);
	assert_error(f, group, key, say);
	assert_int_equal(f->errors->len, 1);
	assert_null(f->cfg);
}

#define POOL "[pool main]\nbacking=memfd\nsize=256M\nchunk=16M\n"

static void test_demo(void **state)
{
	struct fixture *f = *state;
	const struct config_vm *vm;

	assert_int_equal(load(f, POOL
		"[vm alpha]\nguarantee=64M/64M\nlimit=192M\nowner=0:0\nmode=0600\n"
		"[vm beta]\npool=main\nguarantee=32M\nlimit=224M\nsocket=/tmp/b.sock\n"), 0);
	assert_int_equal(config_pool(f->cfg, 0)->size, 256 * MIB);
	assert_int_equal(config_pool(f->cfg, 0)->chunk, 16 * MIB);
	assert_ptr_equal(config_pool(f->cfg, 0)->backing, &backing_memfd);
	vm = config_vm(f->cfg, 0);
	assert_string_equal(vm->name, "alpha");
	assert_int_equal(vm->bank[0].guarantee, 64 * MIB);
	assert_int_equal(vm->bank[0].guarantee_run, 64 * MIB);
	assert_int_equal(vm->bank[0].limit, 192 * MIB);
	assert_string_equal(vm->socket, "/run/vcma-test/alpha.sock");
	assert_int_equal(vm->mode, 0600);
	assert_true(vm->group);
	vm = config_vm(f->cfg, 1);
	assert_int_equal(vm->bank[0].guarantee_run, 16 * MIB); /* defaults to the chunk */
	assert_string_equal(vm->socket, "/tmp/b.sock");
	assert_int_equal(vm->mode, 0660);
	assert_false(vm->group);
	assert_string_equal(f->cfg->oper_socket, "/run/vcma-test/vcmad.sock");
}

static void test_defaults(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "[pool p]\nsize=1G\n[vm a]\n"), 0);
	assert_int_equal(config_pool(f->cfg, 0)->chunk, 64 * MIB); /* a sixteenth */
	assert_ptr_equal(config_pool(f->cfg, 0)->backing, &backing_hugetlb);
	assert_int_equal(config_share(f->cfg, 0, 0)->guarantee, 0);
	assert_int_equal(config_share(f->cfg, 0, 0)->guarantee_run, 0);
	assert_int_equal(config_share(f->cfg, 0, 0)->limit, 1024 * MIB);
	assert_int_equal(config_vm(f->cfg, 0)->uid, geteuid());
}

static void test_options(void **state)
{
	struct fixture *f = *state;
	char *vms[] = { (char *)"alpha", (char *)"beta", NULL };

	assert_int_equal(load_options(f, (struct config_args){ .pool_size = "256M", .vms = vms }), 0);
	assert_int_equal(f->cfg->vms->len, 2);
	assert_int_equal(config_share(f->cfg, 1, 0)->limit, 256 * MIB);
	assert_int_equal(config_pool(f->cfg, 0)->chunk, 16 * MIB);
	assert_null(config_pool(f->cfg, 0)->backing); /* whichever can be had */
}

static void test_options_bad(void **state)
{
	struct fixture *f = *state;
	char *twice[] = { (char *)"alpha", (char *)"alpha", NULL };
	char *odd[] = { (char *)"a/b", NULL };
	struct config_args args = { .pool_size = "64M", .run_dir = "" };

	assert_int_equal(load_options(f, (struct config_args){ .vms = twice }), -EINVAL);
	assert_error(f, "--pool", "is missing", "--vm alpha");
	assert_int_equal(load_options(f, (struct config_args){ .pool_size = "256M", .vms = twice }),
			 -EINVAL);
	assert_error(f, "--vm", "\"alpha\"", "twice");
	assert_int_equal(load_options(f, (struct config_args){ .pool_size = "0", .vms = twice + 1 }),
			 -EINVAL);
	assert_error(f, "--pool", "", "cannot be 0");
	args.vms = twice + 1;
	assert_int_equal(config_load(&args, &f->cfg, f->errors), -EINVAL);
	assert_error(f, "--run-dir", "\"\"", "not a directory");
	assert_int_equal(load_options(f, (struct config_args){ .pool_size = "256M", .vms = odd }),
			 -EINVAL);
	assert_error(f, "--vm", "a/b", "not a name");
	assert_int_equal(load_options(f, (struct config_args){ .pool_size = "3M", .vms = NULL,
							       .chunk = "3M", .backing = "dream" }),
			 -EINVAL);
	assert_error(f, "--chunk", "3M", "power of two");
	assert_error(f, "--backing", "dream", "hugetlb, memfd or sim");
	assert_int_equal(load_options(f, (struct config_args){ .file = f->file, .pool_size = "3M" }),
			 -EINVAL);
	assert_error(f, "--pool", "--config", "drop");
}

static void test_unknown_key(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nlimmit=64M\n", "[vm a]", "limmit",
			  "unknown key; known here: pool, guarantee, limit");
}

static void test_unknown_group(void **state)
{
	assert_only_error(*state, POOL "[vm a]\n[banks 1]\n", "[banks 1]", "", "unknown group");
}

static void test_group_twice(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nlimit=64M\n[vm a]\nlimit=32M\n", "[vm a]", "",
			  "twice");
}

static void test_limit_below_guarantee(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nguarantee=64M\nlimit=32M\n", "[vm a]", "limit",
			  "32M is below the guarantee of 64M");
}

static void test_beyond_pool(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nguarantee=160M\n[vm b]\nguarantee=128M\n",
			  "[pool main]", "size", "add up to 288M, beyond the pool's 256M");
}

static void test_priority(void **state)
{
	struct fixture *f = *state;

	assert_only_error(f, POOL "[vm a]\npriority=10\n", "[vm a]", "priority", "write 0 (asked first");
	assert_only_error(f, POOL "[vm a]\npriority=high\n", "[vm a]", "priority", "is not a priority");
	assert_int_equal(load(f, POOL "[vm a]\npriority=9\n[vm b]\npriority=0\n[vm c]\n"), 0);
	assert_int_equal(config_vm(f->cfg, 0)->priority, 9);
	assert_int_equal(config_vm(f->cfg, 1)->priority, 0);
	assert_int_equal(config_vm(f->cfg, 2)->priority, 5);
}

static void test_sim(void **state)
{
	struct fixture *f = *state;
	const struct sim_pattern *p;

	assert_int_equal(load(f, "[pool s]\nbacking=sim\nsize=2T\nchunk=16M\naddress=1G\n"
				 "extents=64M, 1G\n[vm a]\n"), 0);
	p = &config_pool(f->cfg, 0)->sim;
	assert_int_equal(p->nr, 2);
	/* A hole of a chunk after each extent. */
	assert_int_equal(sim_address(p, 16 * MIB, 0), 1024 * MIB);
	assert_int_equal(sim_address(p, 16 * MIB, 62 * MIB), 1086 * MIB);
	assert_int_equal(sim_address(p, 16 * MIB, 64 * MIB), (1024 + 80) * MIB);
	assert_int_equal(sim_address(p, 16 * MIB, 1086 * MIB), (1024 + 1102) * MIB);
	assert_int_equal(sim_address(p, 16 * MIB, 1088 * MIB), (1024 + 1120) * MIB);
	assert_int_equal(sim_address(p, 16 * MIB, 3 * 1088 * MIB + 64 * MIB),
			 (1024 + 3 * 1120 + 80) * MIB);
	config_free(f->cfg);
	f->cfg = NULL;
	assert_int_equal(load(f, "[pool s]\nbacking=sim\nsize=64M\nchunk=16M\naddress=24M\n"
				 "extents=16M,8M\n[vm a]\n"), -EINVAL);
	assert_error(f, "[pool s]", "address", "24M is not a multiple of the chunk");
	assert_error(f, "[pool s]", "extents", "8M is not a multiple of the chunk");
	assert_int_equal(f->errors->len, 2);
	assert_int_equal(load(f, POOL "address=1G\nextents=16M\n[vm a]\n"), -EINVAL);
	assert_error(f, "[pool main]", "address", "backing=sim only");
	assert_error(f, "[pool main]", "extents", "backing=sim only");
	assert_only_error(f, "[pool s]\nbacking=sim\nsize=64M\nextents=4M,,4M\n[vm a]\n", "[pool s]",
			  "extents", "is not a size");
	assert_only_error(f, "[pool s]\nbacking=sim\nsize=64M\nextents=4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M,4M\n"
			  "[vm a]\n", "[pool s]", "extents", "17 lengths are more than 16");
}

static void test_limit_beyond_pool(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nlimit=512M\n", "[vm a]", "limit",
			  "512M is more than pool main has (256M)");
}

static void test_not_a_multiple(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nlimit=40M\n", "[vm a]", "limit",
			  "40M is not a multiple of the chunk");
}

static void test_run(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, POOL
		"[vm a]\nguarantee=64M/48M\n[vm b]\nguarantee=64M/0\n[vm c]\nguarantee=32M/8M\n"),
		-EINVAL);
	assert_error(f, "[vm a]", "guarantee", "64M is not a multiple of its run of 48M");
	assert_error(f, "[vm b]", "guarantee", "a run of 0");
	assert_error(f, "[vm c]", "guarantee", "run of 8M is not a multiple of the chunk");
}

static void test_duplicate_socket(void **state)
{
	assert_only_error(*state, POOL "[vm a]\nsocket=/tmp/x\n[vm b]\nsocket=/tmp/x\n", "[vm b]",
			  "socket", "/tmp/x is the socket of vm a already");
}

static void test_names(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, POOL "[vm a b]\n[vm .x]\n[pool p/q]\nsize=32M\n"), -EINVAL);
	assert_error(f, "[vm a b]", "\"a b\"", "not a name for a VM");
	assert_error(f, "[vm .x]", "\".x\"", "not a name for a VM");
	assert_error(f, "[pool p/q]", "\"p/q\"", "not a name for a pool");
	assert_false(config_name_ok("12345678901234567890123456789012"));
	assert_true(config_name_ok("1234567890123456789012345678901"));
}

static void test_unknown_pool(void **state)
{
	assert_only_error(*state, POOL "[vm a]\npool=other\n", "[vm a]", "pool",
			  "there is no [pool other]");
}

static void test_which_pool(void **state)
{
	assert_only_error(*state, POOL "[pool two]\nsize=64M\n[vm a]\n", "[vm a]", "pool",
			  "there are 2 pools");
}

static void test_sizes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "[pool p]\nsize=lots\n[pool q]\nsize=65T\n[pool r]\n"
				 "[pool s]\nsize=33M\n[pool t]\nsize=64M\nchunk=0\n[pool u]\nsize=0\n"
				 "[vm a]\npool=s\nlimit=-1\n"), -EINVAL);
	assert_error(f, "[pool p]", "size", "\"lots\" is not a size");
	assert_error(f, "[pool q]", "size", "65T is beyond 64T");
	assert_error(f, "[pool r]", "size", "is missing");
	assert_error(f, "[pool s]", "size", "33M is not a multiple of the chunk");
	assert_error(f, "[pool t]", "chunk", "cannot be 0");
	assert_error(f, "[pool u]", "size", "cannot be 0");
	assert_error(f, "[vm a]", "limit", "\"-1\" is not a size");
}

#define TWO POOL "[pool two]\nbacking=memfd\nsize=64M\nchunk=4M\n"

static void test_banks(void **state)
{
	struct fixture *f = *state;
	const struct config_share *share;

	/* A bank may come before its VM, and a VM before its pools. */
	assert_int_equal(load(f, "[bank a 31]\npool=two\nguarantee=8M/8M\nlimit=16M\n"
				 "[vm b]\npool=two\nguarantee=56M\n" "[vm a]\npool=main\n" TWO
				 "[bank b 1]\npool=main\n"), 0);
	assert_int_equal(config_vm(f->cfg, 1)->banks, 0x80000001);
	share = config_share(f->cfg, 1, 31);
	assert_int_equal(share->pool, 1);
	assert_int_equal(share->guarantee, 8 * MIB);
	assert_int_equal(share->guarantee_run, 8 * MIB);
	assert_int_equal(share->limit, 16 * MIB);
	assert_int_equal(config_vm(f->cfg, 0)->banks, 3);
	share = config_share(f->cfg, 0, 1);
	assert_int_equal(share->pool, 0);
	assert_int_equal(share->guarantee, 0);
	assert_int_equal(share->limit, 256 * MIB); /* the pool's size */
	assert_null(config_share(f->cfg, 0, 2));
	assert_null(config_share(f->cfg, 0, 32));
}

static void test_bank_names(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, TWO "[vm a]\npool=main\n[bank a 0]\npool=two\n"
				 "[bank a 32]\npool=two\n[bank a x]\npool=two\n[bank a]\npool=two\n"
				 "[bank a 1 2]\npool=two\n[bank b 1]\npool=two\n"
				 "[bank a 2]\npool=two\n[bank a 02]\npool=two\n"), -EINVAL);
	assert_error(f, "[bank a 0]", "\"0\" is not the number of a bank", "what [vm a] says");
	assert_error(f, "[bank a 32]", "\"32\" is not the number of a bank", "1 to 31");
	assert_error(f, "[bank a x]", "\"x\" is not the number of a bank", "");
	assert_error(f, "[bank a]", "write [bank VM NUMBER]", "");
	assert_error(f, "[bank a 1 2]", "write [bank VM NUMBER]", "");
	assert_error(f, "[bank b 1]", "there is no [vm b]", "");
	assert_error(f, "[bank a 02]", "bank 2 of a is there twice", "");
	assert_int_equal(f->errors->len, 7);
}

static void test_bank_keys(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, TWO "[vm a]\npool=main\n[bank a 1]\nsocket=/tmp/x\n"
				 "[bank a 2]\npool=three\n[bank a 3]\npool=main\n"
				 "[bank a 4]\npool=two\nguarantee=6M\nlimit=128M\n"
				 "[vm b]\npool=two\n[bank b 1]\npool=main\nlimit=0\n"), -EINVAL);
	assert_error(f, "[bank a 1]", "socket", "known here: pool, guarantee, limit");
	assert_error(f, "[bank a 1]", "pool", "is missing: say in which pool");
	assert_error(f, "[bank a 2]", "pool", "there is no [pool three]");
	assert_error(f, "[bank a 3]", "pool", "main is the pool of bank 0 of a already");
	assert_error(f, "[bank a 4]", "guarantee", "6M is not a multiple of the chunk of pool two");
	assert_error(f, "[bank a 4]", "limit", "128M is more than pool two has");
	assert_error(f, "[bank b 1]", "limit", "drop [bank b 1] instead");
}

static void test_bank_guarantees(void **state)
{
	assert_only_error(*state, TWO "[vm a]\npool=main\n[bank a 1]\npool=two\nguarantee=36M\n"
			  "[vm b]\npool=two\nguarantee=32M\n",
			  "[pool two]", "size", "add up to 68M, beyond the pool's 64M");
}

static void test_owner_mode(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, POOL "[vm a]\nowner=no-such-user-x\nmode=9\n"
				 "[vm b]\nowner=root:no-such-group-x\nmode=0070\n"), -EINVAL);
	assert_error(f, "[vm a]", "owner", "no user \"no-such-user-x\"");
	assert_error(f, "[vm a]", "mode", "\"9\" is not a file mode");
	assert_error(f, "[vm b]", "owner", "no group \"no-such-group-x\"");
	assert_error(f, "[vm b]", "mode", "does not let the owner connect");
}

static void test_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, ""), -EINVAL);
	assert_error(f, "", "", "there is no [pool NAME]");
	assert_int_equal(load(f, POOL), -EINVAL);
	assert_error(f, "", "", "there is no VM");
	assert_int_equal(load(f, "size=3\n"), -EINVAL);
	assert_int_equal(load_options(f, (struct config_args){ .file = "/nonexistent/x" }), -EINVAL);
}

static void test_sockets_and_level(void **state)
{
	struct fixture *f = *state;
	char *longer = g_strnfill(120, 'x');
	char *text = g_strdup_printf("[daemon]\nlog-level=loud\n" POOL
				     "[vm a]\nsocket=relative\n[vm b]\nsocket=/%s\n", longer);

	assert_int_equal(load(f, text), -EINVAL);
	assert_error(f, "[daemon]", "log-level", "\"loud\"");
	assert_error(f, "[vm a]", "socket", "not an absolute path");
	assert_error(f, "[vm b]", "socket", "longer than");
	g_free(text);
	g_free(longer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_demo), T(test_defaults), T(test_options), T(test_options_bad),
		T(test_unknown_key), T(test_unknown_group), T(test_group_twice),
		T(test_priority), T(test_sim),
		T(test_limit_below_guarantee), T(test_beyond_pool), T(test_limit_beyond_pool),
		T(test_not_a_multiple), T(test_run), T(test_duplicate_socket), T(test_names),
		T(test_unknown_pool), T(test_which_pool), T(test_sizes), T(test_banks), T(test_bank_names),
		T(test_bank_keys), T(test_bank_guarantees), T(test_owner_mode),
		T(test_nothing), T(test_sockets_and_level),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
