// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config.c - reads the configuration from a key file or from the command line
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"
#include "config.h"
#include "policy.h"
#include "size.h"

#ifndef VCMA_RUNSTATEDIR
#define VCMA_RUNSTATEDIR "/run"
#endif

/* A value that was not given, until config_check() fills it in. */
#define UNSET_POOL	G_MAXUINT

static const char *const daemon_keys[] = { "run-dir", "operator-socket", "log-level", NULL };
static const char *const pool_keys[] = { "backing", "size", "chunk", "address", "extents", NULL };
static const char *const vm_keys[] = {
	"pool", "guarantee", "limit", "priority", "socket", "owner", "mode", NULL
};
static const char *const bank_keys[] = { "pool", "guarantee", "limit", NULL };

const struct config_pool *config_pool(const struct config *cfg, unsigned int i)
{
	return g_ptr_array_index(cfg->pools, i);
}

const struct config_vm *config_vm(const struct config *cfg, unsigned int i)
{
	return g_ptr_array_index(cfg->vms, i);
}

const struct config_share *config_share(const struct config *cfg, unsigned int vm,
					unsigned int bank)
{
	const struct config_vm *v = config_vm(cfg, vm);

	return bank < VCMA_BANKS_MAX && v->banks & (1u << bank) ? &v->bank[bank] : NULL;
}

static void vm_free(void *p)
{
	struct config_vm *vm = p;

	g_free(vm->socket);
	g_free(vm);
}

static struct config *config_new(const char *origin)
{
	struct config *cfg = g_new0(struct config, 1);

	cfg->origin = g_strdup(origin);
	cfg->pools = g_ptr_array_new_with_free_func(g_free);
	cfg->vms = g_ptr_array_new_with_free_func(vm_free);
	return cfg;
}

/**
 * config_free - forget a configuration; NULL is fine
 * @cfg: the configuration
 */
void config_free(struct config *cfg)
{
	if (!cfg)
		return;
	g_ptr_array_unref(cfg->pools);
	g_ptr_array_unref(cfg->vms);
	g_free(cfg->origin);
	g_free(cfg->run_dir);
	g_free(cfg->oper_socket);
	g_free(cfg->log_level);
	g_free(cfg);
}

/**
 * config_default_run_dir - where sockets go if nobody says otherwise
 *
 * Return: the directory, g_free(); NULL for a user without $XDG_RUNTIME_DIR.
 */
char *config_default_run_dir(void)
{
	const char *xdg;

	if (geteuid() == 0)
		return g_strdup(VCMA_RUNSTATEDIR "/vcma");
	xdg = getenv("XDG_RUNTIME_DIR");
	return xdg && *xdg ? g_strconcat(xdg, "/vcma", NULL) : NULL;
}

static bool parse_size(GPtrArray *errors, const struct config *cfg, const char *group,
		       const char *key, const char *text, uint64_t *ret_size)
{
	uint64_t size;
	int r = size_parse(text, &size);

	if (r == 0 && size > CONFIG_SIZE_MAX)
		r = -ERANGE;
	if (r == -ERANGE)
		config_error(errors, cfg, group, key, "%s is beyond 64T", text);
	else if (r < 0)
		config_error(errors, cfg, group, key,
			     "\"%s\" is not a size: write a number with K, M, G or T, such as 64M",
			     text);
	if (r < 0)
		return false;
	*ret_size = size;
	return true;
}

/* A size that is 0 when it was not given, so that it cannot be given as 0. */
static void parse_size_above_0(GPtrArray *errors, const struct config *cfg, const char *group,
			       const char *key, const char *text, uint64_t *ret_size)
{
	if (parse_size(errors, cfg, group, key, text, ret_size) && !*ret_size)
		config_error(errors, cfg, group, key, "cannot be 0");
}

/* TOTAL or TOTAL/RUN */
static void parse_guarantee(GPtrArray *errors, const struct config *cfg, const char *group,
			    const char *text, struct config_share *share)
{
	char **part = g_strsplit(text, "/", 2);

	parse_size(errors, cfg, group, "guarantee", part[0] ? part[0] : "", &share->guarantee);
	if (part[0] && part[1] &&
	    parse_size(errors, cfg, group, "guarantee", part[1], &share->guarantee_run) &&
	    !share->guarantee_run)
		config_error(errors, cfg, group, "guarantee", "a run of 0 is no run");
	g_strfreev(part);
}

static bool parse_number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* USER[:GROUP], names or numbers */
static void parse_owner(GPtrArray *errors, const struct config *cfg, const char *group,
			const char *text, struct config_vm *vm)
{
	char **part = g_strsplit(text, ":", 2);
	const char *user = part[0] ? part[0] : "";
	const struct passwd *pw = getpwnam(user);
	const struct group *gr;
	uint32_t n;

	if (pw) {
		vm->uid = pw->pw_uid;
		vm->gid = pw->pw_gid;
	} else if (parse_number(user, &n)) {
		vm->uid = n;
	} else {
		config_error(errors, cfg, group, "owner",
			     "there is no user \"%s\" on this machine", user);
	}
	if (part[0] && part[1]) {
		vm->group = true;
		gr = getgrnam(part[1]);
		if (gr)
			vm->gid = gr->gr_gid;
		else if (parse_number(part[1], &n))
			vm->gid = n;
		else
			config_error(errors, cfg, group, "owner",
				     "there is no group \"%s\" on this machine", part[1]);
	}
	g_strfreev(part);
}

static void parse_mode(GPtrArray *errors, const struct config *cfg, const char *group,
		       const char *text, struct config_vm *vm)
{
	char *end;
	unsigned long v = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || v > 0777) {
		config_error(errors, cfg, group, "mode",
			     "\"%s\" is not a file mode: write octal digits, such as 0660", text);
		return;
	}
	if (!(v & 0200)) {
		config_error(errors, cfg, group, "mode",
			     "%s does not let the owner connect: connecting needs write permission, as in 0600",
			     text);
		return;
	}
	vm->mode = (mode_t)v;
}

static void parse_priority(GPtrArray *errors, const struct config *cfg, const char *group,
			   const char *text, struct config_vm *vm)
{
	uint32_t n;

	if (parse_number(text, &n) && n <= POLICY_PRIORITY_MAX)
		vm->priority = (uint8_t)n;
	else
		config_error(errors, cfg, group, "priority",
			     "\"%s\" is not a priority: write 0 (asked first to give back) to %d (asked last)",
			     text, POLICY_PRIORITY_MAX);
}

static void parse_backing(GPtrArray *errors, const struct config *cfg, const char *group,
			  const char *key, const char *text, struct config_pool *pool)
{
	pool->backing = backing_find(text);
	if (!pool->backing)
		config_error(errors, cfg, group, key,
			     "there is no backing \"%s\": write hugetlb, memfd or sim", text);
}

static bool copy_name(GPtrArray *errors, const struct config *cfg, const char *group,
		      const char *what, const char *name, char ret[VCMA_NAME_MAX])
{
	if (!config_name_ok(name)) {
		config_error(errors, cfg, group, NULL,
			     "\"%s\" is not a name for a %s: use 1 to %d letters, digits, '.', '_' or '-', the first a letter or digit",
			     name, what, VCMA_NAME_MAX - 1);
		return false;
	}
	g_strlcpy(ret, name, VCMA_NAME_MAX);
	return true;
}

static void check_keys(GPtrArray *errors, const struct config *cfg, GKeyFile *kf,
		       const char *group, const char *const *known)
{
	char **keys = g_key_file_get_keys(kf, group, NULL, NULL);
	char *list = g_strjoinv(", ", (char **)known);

	for (char **k = keys; k && *k; k++)
		if (!g_strv_contains(known, *k))
			config_error(errors, cfg, group, *k, "unknown key; known here: %s", list);
	g_free(list);
	g_strfreev(keys);
}

/* The value without blanks around it; NULL if the key is not there. */
static char *get_value(GPtrArray *errors, const struct config *cfg, GKeyFile *kf,
		       const char *group, const char *key)
{
	GError *err = NULL;
	char *v;

	if (!g_key_file_has_key(kf, group, key, NULL))
		return NULL;
	v = g_key_file_get_string(kf, group, key, &err);
	if (!v) {
		config_error(errors, cfg, group, key, "%s", err->message);
		g_error_free(err);
		return NULL;
	}
	g_strstrip(v);
	if (!*v) {
		config_error(errors, cfg, group, key, "has no value: give one or drop the line");
		g_clear_pointer(&v, g_free);
	}
	return v;
}

static void read_daemon(GPtrArray *errors, struct config *cfg, GKeyFile *kf, const char *group)
{
	check_keys(errors, cfg, kf, group, daemon_keys);
	cfg->run_dir = get_value(errors, cfg, kf, group, "run-dir");
	cfg->oper_socket = get_value(errors, cfg, kf, group, "operator-socket");
	cfg->log_level = get_value(errors, cfg, kf, group, "log-level");
}

/* SIZE[,SIZE]... */
static void parse_extents(GPtrArray *errors, const struct config *cfg, const char *group,
			  const char *text, struct sim_pattern *p)
{
	char **part = g_strsplit(text, ",", -1);
	unsigned int n = g_strv_length(part);

	if (n > SIM_EXTENTS_MAX)
		config_error(errors, cfg, group, "extents", "%u lengths are more than %d", n,
			     SIM_EXTENTS_MAX);
	for (p->nr = 0; p->nr < MIN(n, SIM_EXTENTS_MAX); p->nr++)
		parse_size_above_0(errors, cfg, group, "extents", g_strstrip(part[p->nr]),
				   &p->extent[p->nr]);
	g_strfreev(part);
}

/* Where the granules of a pool without memory lie. */
static void read_sim(GPtrArray *errors, struct config *cfg, GKeyFile *kf, const char *group,
		     struct config_pool *pool)
{
	static const char *const keys[] = { "address", "extents" };
	char *v;

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		v = get_value(errors, cfg, kf, group, keys[i]);
		if (v && pool->backing && !pool->backing->simulated)
			config_error(errors, cfg, group, keys[i],
				     "is for backing=sim only: where real memory lies is not for you to say");
		else if (v && i == 0)
			parse_size_above_0(errors, cfg, group, keys[i], v, &pool->sim.address);
		else if (v)
			parse_extents(errors, cfg, group, v, &pool->sim);
		g_free(v);
	}
}

static void read_pool(GPtrArray *errors, struct config *cfg, GKeyFile *kf, const char *group)
{
	struct config_pool *pool = g_new0(struct config_pool, 1);
	char *v;

	check_keys(errors, cfg, kf, group, pool_keys);
	g_ptr_array_add(cfg->pools, pool);
	copy_name(errors, cfg, group, "pool", group + strlen("pool "), pool->name);
	pool->backing = &backing_hugetlb; /* who writes a file wants what it says */
	v = get_value(errors, cfg, kf, group, "backing");
	if (v)
		parse_backing(errors, cfg, group, "backing", v, pool);
	g_free(v);
	v = get_value(errors, cfg, kf, group, "size");
	if (!v)
		config_error(errors, cfg, group, "size", "is missing: say how large the pool is, as in size=256M");
	else
		parse_size_above_0(errors, cfg, group, "size", v, &pool->size);
	g_free(v);
	v = get_value(errors, cfg, kf, group, "chunk");
	if (v)
		parse_size_above_0(errors, cfg, group, "chunk", v, &pool->chunk);
	g_free(v);
	read_sim(errors, cfg, kf, group, pool);
}

static struct config_share *bank_add(struct config_vm *vm, unsigned int bank)
{
	struct config_share *share = &vm->bank[bank];

	vm->banks |= 1u << bank;
	share->pool = UNSET_POOL;
	share->limit = UINT64_MAX;
	return share;
}

static struct config_vm *vm_add(struct config *cfg)
{
	struct config_vm *vm = g_new0(struct config_vm, 1);

	bank_add(vm, 0);
	vm->uid = geteuid();
	vm->gid = getegid();
	vm->mode = 0660;
	vm->priority = POLICY_PRIORITY_DEFAULT;
	g_ptr_array_add(cfg->vms, vm);
	return vm;
}

/* All pools have been read. */
static void read_share(GPtrArray *errors, const struct config *cfg, GKeyFile *kf,
		       const char *group, struct config_share *share)
{
	char *v = get_value(errors, cfg, kf, group, "pool");

	for (unsigned int i = 0; v && i < cfg->pools->len; i++)
		if (!strcmp(config_pool(cfg, i)->name, v))
			share->pool = i;
	if (v && share->pool == UNSET_POOL)
		config_error(errors, cfg, group, "pool", "there is no [pool %s] in this file", v);
	else if (!v && g_str_has_prefix(group, "bank "))
		config_error(errors, cfg, group, "pool", "is missing: say in which pool this bank is");
	else if (!v && cfg->pools->len == 1)
		share->pool = 0;
	else if (!v && cfg->pools->len > 1)
		config_error(errors, cfg, group, "pool", "is missing: there are %u pools, say which one",
			     cfg->pools->len);
	g_free(v);
	v = get_value(errors, cfg, kf, group, "guarantee");
	if (v)
		parse_guarantee(errors, cfg, group, v, share);
	g_free(v);
	v = get_value(errors, cfg, kf, group, "limit");
	if (v)
		parse_size(errors, cfg, group, "limit", v, &share->limit);
	g_free(v);
}

static void read_vm(GPtrArray *errors, struct config *cfg, GKeyFile *kf, const char *group)
{
	struct config_vm *vm = vm_add(cfg);
	char *v;

	check_keys(errors, cfg, kf, group, vm_keys);
	copy_name(errors, cfg, group, "VM", group + strlen("vm "), vm->name);
	read_share(errors, cfg, kf, group, &vm->bank[0]);
	v = get_value(errors, cfg, kf, group, "priority");
	if (v)
		parse_priority(errors, cfg, group, v, vm);
	g_free(v);
	v = get_value(errors, cfg, kf, group, "owner");
	if (v)
		parse_owner(errors, cfg, group, v, vm);
	g_free(v);
	v = get_value(errors, cfg, kf, group, "mode");
	if (v)
		parse_mode(errors, cfg, group, v, vm);
	g_free(v);
	vm->socket = get_value(errors, cfg, kf, group, "socket");
}

static struct config_vm *find_vm(const struct config *cfg, const char *name)
{
	for (unsigned int i = 0; i < cfg->vms->len; i++) {
		struct config_vm *vm = g_ptr_array_index(cfg->vms, i);

		if (!strcmp(vm->name, name))
			return vm;
	}
	return NULL;
}

/* [bank VM NUMBER]; all VMs have been read. */
static void read_bank(GPtrArray *errors, struct config *cfg, GKeyFile *kf, const char *group)
{
	char **word = g_strsplit(group, " ", -1);
	struct config_vm *vm = NULL;
	uint32_t bank = 0;

	check_keys(errors, cfg, kf, group, bank_keys);
	if (g_strv_length(word) != 3 || !*word[1])
		config_error(errors, cfg, group, NULL,
			     "is not a VM and a number: write [bank VM NUMBER], as in [bank alpha 1]");
	else if (!parse_number(word[2], &bank) || !bank || bank >= VCMA_BANKS_MAX)
		config_error(errors, cfg, group, NULL,
			     "\"%s\" is not the number of a bank: write 1 to %d; bank 0 is what [vm %s] says",
			     word[2], VCMA_BANKS_MAX - 1, word[1]);
	else if (!(vm = find_vm(cfg, word[1])))
		config_error(errors, cfg, group, NULL, "there is no [vm %s] in this file", word[1]);
	else if (vm->banks & (1u << bank))
		config_error(errors, cfg, group, NULL, "bank %u of %s is there twice: merge them",
			     bank, vm->name);
	else
		read_share(errors, cfg, kf, group, bank_add(vm, bank));
	g_strfreev(word);
}

/* GKeyFile merges groups of the same name without a word. */
static void check_twice(GPtrArray *errors, const struct config *cfg, const char *data)
{
	char **lines = g_strsplit(data, "\n", -1);
	GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (char **l = lines; *l; l++) {
		char *end;

		g_strstrip(*l);
		if (**l != '[')
			continue;
		end = strchr(*l, ']');
		if (end)
			*end = '\0';
		if (!g_hash_table_add(seen, *l + 1))
			config_error(errors, cfg, *l + 1, NULL, "this group is there twice: merge them");
	}
	g_hash_table_unref(seen);
	g_strfreev(lines);
}

static void read_file(struct config *cfg, GKeyFile *kf, GPtrArray *errors)
{
	char **groups = g_key_file_get_groups(kf, NULL);

	/* In whatever order they are in the file: pools, VMs in them, banks of these. */
	for (char **g = groups; *g; g++) {
		if (!strcmp(*g, "daemon"))
			read_daemon(errors, cfg, kf, *g);
		else if (g_str_has_prefix(*g, "pool "))
			read_pool(errors, cfg, kf, *g);
		else if (!g_str_has_prefix(*g, "vm ") && !g_str_has_prefix(*g, "bank "))
			config_error(errors, cfg, *g, NULL,
				     "unknown group; known: [daemon], [pool NAME], [vm NAME], [bank VM NUMBER]");
	}
	for (char **g = groups; *g; g++)
		if (g_str_has_prefix(*g, "vm "))
			read_vm(errors, cfg, kf, *g);
	for (char **g = groups; *g; g++)
		if (g_str_has_prefix(*g, "bank "))
			read_bank(errors, cfg, kf, *g);
	g_strfreev(groups);
}

static struct config *from_file(const struct config_args *args, GPtrArray *errors)
{
	struct config *cfg = config_new(args->file);
	GKeyFile *kf = g_key_file_new();
	GError *err = NULL;
	char *data = NULL;
	gsize len;

	if (args->pool_size || args->backing || args->chunk || (args->vms && args->vms[0]))
		config_error(errors, cfg, NULL, NULL,
			     "--pool, --vm, --backing and --chunk are for running without a file: drop them or --config");
	if (!g_file_get_contents(args->file, &data, &len, &err) ||
	    !g_key_file_load_from_data(kf, data, len, G_KEY_FILE_NONE, &err)) {
		config_error(errors, cfg, NULL, NULL, "%s", err->message);
		g_error_free(err);
	} else {
		check_twice(errors, cfg, data);
		read_file(cfg, kf, errors);
	}
	g_free(data);
	g_key_file_free(kf);
	return cfg;
}

/* Is *@v there before @v, too? */
static bool is_among(char **list, char **v)
{
	while (list < v && strcmp(*list, *v))
		list++;
	return list < v;
}

static struct config *from_options(const struct config_args *args, GPtrArray *errors)
{
	struct config *cfg = config_new("command line");
	struct config_pool *pool = g_new0(struct config_pool, 1);

	g_strlcpy(pool->name, "main", sizeof(pool->name));
	g_ptr_array_add(cfg->pools, pool);
	if (!args->pool_size)
		config_error(errors, cfg, NULL, "--pool",
			     "is missing: say --config FILE, or --pool SIZE --vm NAME as in: vcmad --pool 256M --vm alpha --vm beta");
	else
		parse_size_above_0(errors, cfg, NULL, "--pool", args->pool_size, &pool->size);
	if (args->chunk)
		parse_size_above_0(errors, cfg, NULL, "--chunk", args->chunk, &pool->chunk);
	if (args->backing)
		parse_backing(errors, cfg, NULL, "--backing", args->backing, pool);
	for (char **v = args->vms; v && *v; v++) {
		struct config_vm *vm;

		if (is_among(args->vms, v)) {
			config_error(errors, cfg, "--vm", NULL, "\"%s\" is there twice: each VM has a name of its own",
				     *v);
			continue;
		}
		vm = vm_add(cfg);
		vm->bank[0].pool = 0;
		copy_name(errors, cfg, "--vm", "VM", *v, vm->name);
	}
	return cfg;
}

/**
 * config_load - the configuration that the command line asks for
 * @args: what the command line says
 * @ret_config: complete and consistent; config_free(); untouched on failure
 * @errors: one line (g_free) for each mistake is added
 *
 * Return: 0, or -EINVAL: @errors says why.
 */
int config_load(const struct config_args *args, struct config **ret_config, GPtrArray *errors)
{
	unsigned int before = errors->len;
	struct config *cfg = args->file ? from_file(args, errors) : from_options(args, errors);

	if (args->run_dir) {
		g_free(cfg->run_dir);
		cfg->run_dir = g_strdup(args->run_dir);
	}
	config_check(cfg, errors);
	if (errors->len > before) {
		config_free(cfg);
		return -EINVAL;
	}
	*ret_config = cfg;
	return 0;
}
