// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server_start.c - the daemon's start, in stages, and its end
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "backing.h"
#include "log.h"
#include "oper.h"
#include "pool.h"
#include "scrub.h"
#include "server.h"
#include "size.h"
#include "util.h"
#include "vm.h"
#include "wire.h"

/* Descriptors beside those of granules: the daemon's own, and what one VM's peers may cost. */
#define FDS_OWN		(64 + OPER_PEERS_MAX)
/* Listener, session and pidfd; and peers without a session. */
#define FDS_VM		(3 + 2 * PEERS_MAX)

#define MADE_UP_PFN_BASE (UINT64_C(1) << 36) /* where no machine has memory */

/*
 * One descriptor a granule: take all that this process may have.  The kernel lets an
 * unprivileged user have no more than that in flight; half of it is divided among
 * the VMs, so that none can use up what another one needs.
 */
static void raise_descriptors(struct server *s)
{
	const uint64_t nr_vms = s->cfg->vms->len, reserved = FDS_OWN + nr_vms * FDS_VM;
	struct rlimit lim;

	s->fds_share = 1;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	if (lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim); /* if it fails, pool_build() does the sums */
	}
	s->fd_end = (int)(MIN(lim.rlim_cur, G_MAXINT) - MIN(lim.rlim_cur, reserved));
	s->fds_share = (uint32_t)CLAMP(lim.rlim_cur / 2 / nr_vms, 1, VCMA_FDS_MAX);
}

static int get_backing(struct server *s, const struct backing_ops *ops, struct backing **ret,
		       char **ret_error)
{
	for (unsigned int i = 0; i < s->backings->len; i++) {
		struct backing *b = g_ptr_array_index(s->backings, i);

		if (b->ops == ops) {
			*ret = b;
			return 0;
		}
	}
	if (backing_open(ops, ret, ret_error) < 0)
		return -EPERM;
	g_ptr_array_add(s->backings, *ret);
	return 0;
}

static uint64_t longest_promise(const struct config *cfg, unsigned int pool)
{
	uint64_t run = 0;

	for (unsigned int i = 0; i < cfg->vms->len; i++)
		for (unsigned int b = 0; b < VCMA_BANKS_MAX; b++) {
			const struct config_share *share = config_share(cfg, i, b);

			if (share && share->pool == pool)
				run = MAX(run, share->guarantee_run);
		}
	return run;
}

static int build_from(struct server *s, unsigned int index, const struct backing_ops *ops,
		      struct pool **ret_pool, char **ret_error)
{
	struct config_pool cfg = *config_pool(s->cfg, index);
	struct backing *b;
	int r = get_backing(s, ops, &b, ret_error);

	if (r < 0)
		return r;
	cfg.backing = ops;
	return pool_build(&cfg, b, longest_promise(s->cfg, index),
			  MADE_UP_PFN_BASE + ((uint64_t)index << 34), s->fd_end, ret_pool,
			  ret_error);
}

static void log_pool(const struct pool *pool)
{
	char size[SIZE_TEXT_MAX], granule[SIZE_TEXT_MAX], chunk[SIZE_TEXT_MAX];
	char run[SIZE_TEXT_MAX];
	uint32_t extents;
	uint64_t longest;

	pool_extents(pool, &extents, &longest);
	log_info("pool %s: %s of %s: %u granules of %s in %u extent%s, the longest %s, chunk %s%s",
		 pool->name, size_format((uint64_t)pool->nr * BACKING_GRANULE, size),
		 pool->backing->ops->name, pool->nr, size_format(BACKING_GRANULE, granule),
		 extents, extents == 1 ? "" : "s", size_format(longest, run),
		 size_format(pool->chunk_size, chunk),
		 pool->backing->ops->simulated ? "; no memory, nothing of it can be leased" :
		 pool->backing->ops->contiguous ? "" : "; contiguity not guaranteed");
}

static int start_pool(struct server *s, unsigned int index, char **ret_error)
{
	const struct config_pool *cfg = config_pool(s->cfg, index);
	const struct backing_ops *ops = cfg->backing ? cfg->backing : &backing_hugetlb;
	struct pool *pool = NULL;
	int r = build_from(s, index, ops, &pool, ret_error);

	if (r < 0 && !cfg->backing) {
		log_warn("%s", *ret_error);
		log_warn("pool %s: using ordinary memory (memfd) instead: contiguity not guaranteed",
			 cfg->name);
		g_clear_pointer(ret_error, g_free);
		r = build_from(s, index, &backing_memfd, &pool, ret_error);
	}
	if (r < 0)
		return r;
	g_ptr_array_add(s->pools, pool);
	r = pool_add_to_core(pool, s->core, ret_error);
	if (r < 0)
		return r;
	r = scrubber_start(pool, &pool->scrubber);
	if (r < 0) {
		*ret_error = g_strdup_printf("pool %s: cannot start its scrubber: %s", pool->name,
					     g_strerror(-r));
		return r;
	}
	server_watch_scrubber(s, pool);
	log_pool(pool);
	return 0;
}

static int start_share(struct server *s, unsigned int index, unsigned int bank, struct vm *vm,
		       char **ret_error)
{
	const struct config_share *cfg = config_share(s->cfg, index, bank);
	const struct pool *pool = vm->bank[bank];
	struct core_vm_desc desc = {
		.name = vm->cfg->name,
		.priority = vm->cfg->priority,
		.share = {
			.pool = pool->core,
			.guarantee = cfg->guarantee,
			.guarantee_run = cfg->guarantee_run,
			.limit = cfg->limit,
		},
		.tag = vm,
	};
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX], who[64];
	uint64_t got = 0;
	int r = bank ? core_bank_add(s->core, vm->core, bank, &desc.share, &got) :
		       core_vm_add(s->core, &desc, &vm->core, &got);

	if (r == 0)
		return 0;
	if (bank)
		snprintf(who, sizeof(who), "VM %s, bank %u", desc.name, bank);
	else
		snprintf(who, sizeof(who), "VM %s", desc.name);
	if (r == -ENOSPC)
		*ret_error = g_strdup_printf("%s: its guarantee of %s needs runs of %s, pool %s has only %s in such runs left: enlarge the pool, promise shorter runs, or raise vm.nr_hugepages so that there are more pages to choose from",
					     who, size_format(cfg->guarantee, a),
					     size_format(cfg->guarantee_run, b), pool->name,
					     size_format(got, c));
	else
		*ret_error = g_strdup_printf("%s: %s", who, g_strerror(-r));
	return r;
}

static int start_vm(struct server *s, unsigned int index, char **ret_error)
{
	struct vm *vm = vm_new(s, index);

	g_ptr_array_add(s->vms, vm);
	for (unsigned int b = 0; b < VCMA_BANKS_MAX; b++) {
		int r = vm->bank[b] ? start_share(s, index, b, vm, ret_error) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int server_start(struct server *s, char **ret_error)
{
	int r = run_dir_open(&s->run, s->cfg->run_dir, ret_error);

	if (r < 0)
		return r;
	r = record_check(s->run.path, ret_error);
	if (r < 0)
		return r;
	if (getrandom(&s->instance, sizeof(s->instance), 0) != sizeof(s->instance)) {
		*ret_error = g_strdup("no random numbers (getrandom)");
		return -EIO;
	}
	s->instance |= !s->instance;
	raise_descriptors(s);
	for (unsigned int i = 0; i < s->cfg->pools->len; i++) {
		r = start_pool(s, i, ret_error);
		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < s->cfg->vms->len; i++) {
		r = start_vm(s, i, ret_error);
		if (r < 0)
			return r;
	}
	record_write(s->run.path, NULL, 0); /* whoever was in it is gone */
	r = oper_new(s, s->cfg->oper_socket, &s->oper, ret_error);
	for (unsigned int i = 0; r == 0 && i < s->vms->len; i++)
		r = vm_listen(g_ptr_array_index(s->vms, i), ret_error);
	if (r < 0)
		return r;
	malloc_trim(0); /* what the building of pools needed is not needed again */
	server_start_timer(s);
	server_turn(s);
	return 0;
}

/**
 * server_new - start everything that a configuration asks for
 * @cfg: outlives the server
 * @ret_server: server_free(); untouched on failure
 * @ret_error: on failure, cause and cure in words; g_free()
 *
 * Return: 0 or -errno.
 */
int server_new(const struct config *cfg, struct server **ret_server, char **ret_error)
{
	struct server *s = g_new0(struct server, 1);
	int r;

	*ret_error = NULL;
	s->cfg = cfg;
	s->started = now_ms();
	s->run.lock = -1;
	s->backings = g_ptr_array_new_with_free_func((GDestroyNotify)backing_close);
	s->pools = g_ptr_array_new_with_free_func((GDestroyNotify)pool_free);
	s->vms = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
	s->scrub_sources = g_array_new(FALSE, FALSE, sizeof(guint));
	s->core = core_new(&server_core_ops, s);
	if (!s->core) {
		server_free(s);
		*ret_error = g_strdup("no memory");
		return -ENOMEM;
	}
	r = server_start(s, ret_error);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret_server = s;
	return 0;
}

/* --- end --- */

static void stop_scrubbers(struct server *s)
{
	for (unsigned int i = 0; i < s->scrub_sources->len; i++)
		g_source_remove(g_array_index(s->scrub_sources, guint, i));
	g_array_set_size(s->scrub_sources, 0);
	for (unsigned int i = 0; i < s->pools->len; i++) {
		struct pool *pool = g_ptr_array_index(s->pools, i);

		scrubber_stop(pool->scrubber);
		pool->scrubber = NULL;
	}
}

/* Given back, but the scrubber has not come to it: nobody keeps a way in. */
static void revoke_dirty(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->nr; i++) {
		struct granule *g = &pool->granules[i];

		if (g->core && g->file.fd >= 0 &&
		    (core_granule_state(g->core) == GRANULE_DIRTY ||
		     core_granule_state(g->core) == GRANULE_SCRUBBING))
			pool->backing->ops->revoke(pool->backing, &g->file);
	}
}

unsigned int server_stop(struct server *s)
{
	unsigned int holding = 0;
	char size[SIZE_TEXT_MAX];
	uint64_t bytes;

	s->in_turn = true; /* no turn from now on */
	oper_stop(s->oper);
	for (unsigned int i = 0; i < s->vms->len; i++)
		vm_stop(g_ptr_array_index(s->vms, i));
	stop_scrubbers(s);
	for (unsigned int i = 0; i < s->pools->len; i++)
		revoke_dirty(g_ptr_array_index(s->pools, i));
	for (unsigned int i = 0; i < s->vms->len; i++) {
		const struct vm *vm = g_ptr_array_index(s->vms, i);

		if (!core_vm_leases(vm->core, &bytes))
			continue;
		holding++;
		log_warn("%s: process %d keeps %s until it exits", vm->cfg->name,
			 (int)vm->holder.pid, size_format(bytes, size));
	}
	if (server_write_record(s) < 0)
		log_warn("cannot write the run record %s/" RECORD_FILE, s->run.path);
	return holding;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	stop_scrubbers(s);
	if (s->timer) {
		g_source_destroy(s->timer);
		g_source_unref(s->timer);
	}
	oper_free(s->oper);
	g_ptr_array_unref(s->vms);
	if (s->core)
		core_free(s->core);
	g_ptr_array_unref(s->pools);
	g_ptr_array_unref(s->backings);
	g_array_unref(s->scrub_sources);
	run_dir_close(&s->run);
	g_free(s);
}
