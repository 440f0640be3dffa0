// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config_check.c - defaults, and the rules between the values of a configuration
 */
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#include "backing.h"
#include "chunk_select.h"
#include "config.h"
#include "log.h"
#include "size.h"

/**
 * config_error - note a mistake
 * @errors: gets one more line: "FILE: [group] key: text"
 * @cfg: where it was found
 * @group: or NULL
 * @key: or NULL
 * @fmt: cause and cure
 */
void config_error(GPtrArray *errors, const struct config *cfg, const char *group,
		  const char *key, const char *fmt, ...)
{
	GString *s = g_string_new(cfg->origin);
	va_list ap;

	g_string_append(s, ": ");
	if (group)
		g_string_append_printf(s, g_str_has_prefix(group, "--") ? "%s" : "[%s]", group);
	if (key)
		g_string_append_printf(s, group ? " %s" : "%s", key);
	if (group || key)
		g_string_append(s, ": ");
	va_start(ap, fmt);
	g_string_append_vprintf(s, fmt, ap);
	va_end(ap);
	g_ptr_array_add(errors, g_string_free(s, FALSE));
}

/**
 * config_name_ok - is this a name for a VM or a pool?
 * @name: becomes part of a file name and of log lines
 *
 * Return: true if it is.
 */
bool config_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= VCMA_NAME_MAX || !g_ascii_isalnum(*name))
		return false;
	for (; *name; name++)
		if (!g_ascii_isalnum(*name) && !strchr("._-", *name))
			return false;
	return true;
}

static bool is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static void check_sim(struct config *cfg, const struct config_pool *pool, const char *group,
		      GPtrArray *errors)
{
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

	if (pool->sim.address % pool->chunk)
		config_error(errors, cfg, group, "address", "%s is not a multiple of the chunk (%s)",
			     size_format(pool->sim.address, a), size_format(pool->chunk, b));
	for (unsigned int i = 0; i < pool->sim.nr; i++)
		if (pool->sim.extent[i] % pool->chunk)
			config_error(errors, cfg, group, "extents",
				     "%s is not a multiple of the chunk (%s)",
				     size_format(pool->sim.extent[i], a),
				     size_format(pool->chunk, b));
}

static void check_pool(struct config *cfg, struct config_pool *pool, GPtrArray *errors)
{
	bool file = strcmp(cfg->origin, "command line") != 0;
	char *group = file ? g_strconcat("pool ", pool->name, NULL) : NULL;
	const char *key_size = file ? "size" : "--pool", *key_chunk = file ? "chunk" : "--chunk";
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

	if (!pool->size) /* missing or wrong: said already */
		goto out;
	if (!pool->chunk)
		pool->chunk = chunk_default(pool->size, BACKING_GRANULE);
	if (!is_power_of_two(pool->chunk) || pool->chunk < BACKING_GRANULE) {
		config_error(errors, cfg, group, key_chunk,
			     "%s is not a power of two of at least a granule (%s)",
			     size_format(pool->chunk, a), size_format(BACKING_GRANULE, b));
		pool->chunk = BACKING_GRANULE; /* so that what follows makes sense */
	}
	if (pool->size % pool->chunk)
		config_error(errors, cfg, group, key_size,
			     "%s is not a multiple of the chunk (%s): use %" G_GUINT64_FORMAT "M or another chunk",
			     size_format(pool->size, a), size_format(pool->chunk, b),
			     ((pool->size / pool->chunk + 1) * pool->chunk) >> 20);
	check_sim(cfg, pool, group, errors);
out:
	g_free(group);
}

static void check_share(struct config *cfg, struct config_share *share, const char *group,
			GPtrArray *errors)
{
	const struct config_pool *pool = config_pool(cfg, share->pool);
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

	if (!pool->size || !pool->chunk)
		return;
	if (share->limit == UINT64_MAX)
		share->limit = pool->size;
	if (!share->guarantee)
		share->guarantee_run = 0;
	else if (!share->guarantee_run)
		share->guarantee_run = pool->chunk;
	if (share->guarantee % pool->chunk)
		config_error(errors, cfg, group, "guarantee",
			     "%s is not a multiple of the chunk of pool %s (%s)",
			     size_format(share->guarantee, a), pool->name, size_format(pool->chunk, b));
	if (share->guarantee_run % pool->chunk)
		config_error(errors, cfg, group, "guarantee",
			     "the run of %s is not a multiple of the chunk of pool %s (%s)",
			     size_format(share->guarantee_run, a), pool->name,
			     size_format(pool->chunk, b));
	else if (share->guarantee_run && share->guarantee % share->guarantee_run)
		config_error(errors, cfg, group, "guarantee",
			     "%s is not a multiple of its run of %s",
			     size_format(share->guarantee, a), size_format(share->guarantee_run, b));
	if (!share->limit)
		config_error(errors, cfg, group, "limit", "0 would let the VM have nothing: drop [%s] instead", group);
	else if (share->limit % pool->chunk)
		config_error(errors, cfg, group, "limit",
			     "%s is not a multiple of the chunk of pool %s (%s)",
			     size_format(share->limit, a), pool->name, size_format(pool->chunk, b));
	if (share->limit && share->limit < share->guarantee)
		config_error(errors, cfg, group, "limit",
			     "%s is below the guarantee of %s: raise the limit or lower the guarantee",
			     size_format(share->limit, a), size_format(share->guarantee, b));
	if (share->limit > pool->size)
		config_error(errors, cfg, group, "limit",
			     "%s is more than pool %s has (%s)", size_format(share->limit, a),
			     pool->name, size_format(pool->size, b));
}

/* The bank of @vm before @bank that is in the same pool; @bank: there is none. */
static unsigned int same_pool(const struct config_vm *vm, unsigned int bank)
{
	for (unsigned int b = 0; b < bank; b++)
		if (vm->banks & (1u << b) && vm->bank[b].pool == vm->bank[bank].pool)
			return b;
	return bank;
}

static void check_banks(struct config *cfg, struct config_vm *vm, GPtrArray *errors)
{
	for (unsigned int b = 0; b < VCMA_BANKS_MAX; b++) {
		struct config_share *share = &vm->bank[b];
		char *group;

		if (!(vm->banks & (1u << b)) || share->pool >= cfg->pools->len)
			continue;
		group = b ? g_strdup_printf("bank %s %u", vm->name, b) :
			    g_strconcat("vm ", vm->name, NULL);
		if (same_pool(vm, b) < b)
			config_error(errors, cfg, group, "pool",
				     "%s is the pool of bank %u of %s already: each bank is in a pool of its own",
				     config_pool(cfg, share->pool)->name, same_pool(vm, b), vm->name);
		check_share(cfg, share, group, errors);
		g_free(group);
	}
}

static void check_guarantees(struct config *cfg, unsigned int pool, GPtrArray *errors)
{
	const struct config_pool *p = config_pool(cfg, pool);
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], *group;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < cfg->vms->len; i++)
		for (unsigned int bank = 0; bank < VCMA_BANKS_MAX; bank++) {
			const struct config_share *share = config_share(cfg, i, bank);

			if (share && share->pool == pool)
				sum += share->guarantee; /* 10000 * 64T fit */
		}
	if (!p->size || sum <= p->size)
		return;
	group = g_strconcat("pool ", p->name, NULL);
	config_error(errors, cfg, group, "size",
		     "the guarantees of its VMs add up to %s, beyond the pool's %s: enlarge the pool or guarantee less",
		     size_format(sum, a), size_format(p->size, b));
	g_free(group);
}

static void check_socket(struct config *cfg, const char *group, const char *key,
			 const char *path, GHashTable *seen, GPtrArray *errors)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	const char *other;

	if (!g_path_is_absolute(path))
		config_error(errors, cfg, group, key, "%s is not an absolute path", path);
	else if (strlen(path) > max)
		config_error(errors, cfg, group, key,
			     "%s is longer than the %zu bytes that a socket address can have: use a shorter run-dir",
			     path, max);
	other = g_hash_table_lookup(seen, path);
	if (other)
		config_error(errors, cfg, group, key, "%s is the socket of %s already",
			     path, other);
	else
		g_hash_table_insert(seen, g_strdup(path), g_strdup(group ? group : "the operator"));
}

static void check_sockets(struct config *cfg, GPtrArray *errors)
{
	GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	bool have_dir = cfg->run_dir != NULL;

	if (!have_dir) {
		cfg->run_dir = config_default_run_dir();
		have_dir = cfg->run_dir != NULL;
	}
	if (!have_dir) {
		config_error(errors, cfg, "daemon", "run-dir",
			     "is missing and $XDG_RUNTIME_DIR is not set: say --run-dir DIR");
	} else if (!*cfg->run_dir) {
		config_error(errors, cfg, NULL, "--run-dir", "\"\" is not a directory");
		have_dir = false;
	} else if (!g_path_is_absolute(cfg->run_dir)) {
		char *dir = g_canonicalize_filename(cfg->run_dir, NULL);

		g_free(cfg->run_dir);
		cfg->run_dir = dir;
	}
	if (!cfg->oper_socket && have_dir)
		cfg->oper_socket = g_build_filename(cfg->run_dir, "vcmad.sock", NULL);
	if (cfg->oper_socket)
		check_socket(cfg, "daemon", "operator-socket", cfg->oper_socket, seen, errors);
	for (unsigned int i = 0; i < cfg->vms->len; i++) {
		struct config_vm *vm = g_ptr_array_index(cfg->vms, i);
		char *group;

		if (!*vm->name)
			continue; /* said already */
		if (!vm->socket && have_dir)
			vm->socket = g_strdup_printf("%s/%s.sock", cfg->run_dir, vm->name);
		group = g_strconcat("vm ", vm->name, NULL);
		if (vm->socket)
			check_socket(cfg, group, "socket", vm->socket, seen, errors);
		g_free(group);
	}
	g_hash_table_unref(seen);
}

/**
 * config_check - fill in defaults and check the rules between values
 * @cfg: as read
 * @errors: one line is added for each rule that is broken
 */
void config_check(struct config *cfg, GPtrArray *errors)
{
	if (!cfg->pools->len && !errors->len)
		config_error(errors, cfg, NULL, NULL, "there is no [pool NAME]: a broker without memory is no use");
	if (!cfg->vms->len && !errors->len)
		config_error(errors, cfg, NULL, NULL, "there is no VM: add [vm NAME], or --vm NAME");
	if (cfg->pools->len > CONFIG_POOLS_MAX)
		config_error(errors, cfg, NULL, NULL, "%u pools are more than %d",
			     cfg->pools->len, CONFIG_POOLS_MAX);
	if (cfg->vms->len > CONFIG_VMS_MAX)
		config_error(errors, cfg, NULL, NULL, "%u VMs are more than %d",
			     cfg->vms->len, CONFIG_VMS_MAX);
	if (cfg->log_level && !log_level_known(cfg->log_level))
		config_error(errors, cfg, "daemon", "log-level",
			     "\"%s\" is none of error, warning, info, debug", cfg->log_level);
	for (unsigned int i = 0; i < cfg->pools->len; i++)
		check_pool(cfg, g_ptr_array_index(cfg->pools, i), errors);
	for (unsigned int i = 0; i < cfg->vms->len; i++)
		check_banks(cfg, g_ptr_array_index(cfg->vms, i), errors);
	for (unsigned int i = 0; i < cfg->pools->len; i++)
		check_guarantees(cfg, i, errors);
	check_sockets(cfg, errors);
}
