// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server.c - the daemon's turns: orders of the core, results of the scrubbers,
 * time
 */
#include <glib-unix.h>
#include <string.h>

#include "log.h"
#include "oper.h"
#include "pool.h"
#include "scrub.h"
#include "server.h"
#include "util.h"
#include "vm.h"

#define TURN_ROUNDS_MAX 1000	/* then the timer goes on: peers get their turn */

/* --- the core's orders --- */

static void on_grant(void *opaque, struct core_vm *cvm, uint32_t sequence,
		     struct core_lease *lease)
{
	(void)opaque;
	vm_grant(core_vm_tag(cvm), sequence, lease);
}

static void on_refuse(void *opaque, struct core_vm *cvm, uint32_t sequence, uint32_t status)
{
	(void)opaque;
	vm_refuse(core_vm_tag(cvm), sequence, status);
}

static void on_reclaim(void *opaque, struct core_vm *cvm, uint32_t id, uint32_t deadline_ms,
		       const uint64_t *lease, uint32_t count)
{
	(void)opaque;
	vm_reclaim(core_vm_tag(cvm), id, deadline_ms, lease, count);
}

static void on_pool_changed(void *opaque, struct core_vm *cvm, uint64_t available)
{
	(void)opaque;
	vm_pool_changed(core_vm_tag(cvm), available);
}

static void on_scrub(void *opaque, struct core_granule *cg)
{
	struct granule *g = core_granule_tag(cg);

	(void)opaque;
	g->core = cg;
	scrubber_add(g->pool->scrubber, g);
}

const struct core_ops server_core_ops = {
	.grant = on_grant,
	.refuse = on_refuse,
	.reclaim = on_reclaim,
	.pool_changed = on_pool_changed,
	.scrub = on_scrub,
};

/* --- what the scrubbers did --- */

/* The VM that is charged for a granule, or NULL. */
static struct vm *charged(const struct granule *g)
{
	struct core_vm *cvm = core_granule_holder(g->core);

	return cvm ? core_vm_tag(cvm) : NULL;
}

/* A line about a missing page counts as one about the VM that can cause many (I9). */
static bool may_log(const struct granule *g)
{
	struct vm *vm = charged(g);

	return !vm || log_rate_ok(&vm->rate, now_ms());
}

static void log_missing(const struct granule *g, bool obstructed)
{
	const struct vm *vm = charged(g);

	if (!may_log(g))
		return;
	log_warn("pool %s: PFN 0x%" G_GINT64_MODIFIER "x is quarantined, charged to %s: %s", g->pool->name,
		 g->pfn, vm ? vm->cfg->name : "nobody", obstructed ?
		 "its process forbade to revoke it (seals); it comes back when that process has exited" :
		 "its page has not come back (pinned, or taken by another user of huge pages)");
}

static void log_back(const struct granule *g)
{
	if (may_log(g))
		log_info("pool %s: PFN 0x%" G_GINT64_MODIFIER "x is back from quarantine",
			 g->pool->name, g->pfn);
}

/* A page that was sought for one granule belongs to another. */
static void take_found(struct server *s, struct pool *pool, struct granule_file *found)
{
	struct core_granule *cg = core_scrub_found(pool->core, found->pfn);
	struct granule *g = cg ? core_granule_tag(cg) : NULL;

	if (!g || g->file.fd >= 0) {
		if (!scrubber_offer(pool->scrubber, found))
			granule_file_close(found);
		return;
	}
	g->file = *found;
	g->misses = 0;
	log_back(g);
	core_scrubbed(s->core, cg, CORE_SCRUB_CLEAN, now_ms());
}

struct scrub_source {
	struct server *server;
	struct pool *pool;
};

static gboolean on_scrubbed(gint fd, GIOCondition condition, gpointer data)
{
	const struct scrub_source *src = data;
	struct scrub_result r;

	(void)fd;
	(void)condition;
	while (scrubber_next(src->pool->scrubber, &r)) {
		if (!r.granule) {
			take_found(src->server, src->pool, &r.found);
			continue;
		}
		/* A retry that fails again is no news. */
		if (r.result == CORE_SCRUB_MISSING && r.misses == 1)
			log_missing(r.granule, r.obstructed);
		else if (r.result == CORE_SCRUB_CLEAN && r.misses)
			log_back(r.granule);
		core_scrubbed(src->server->core, r.granule->core, r.result, now_ms());
	}
	server_turn(src->server);
	return G_SOURCE_CONTINUE;
}

void server_watch_scrubber(struct server *s, struct pool *pool)
{
	struct scrub_source *src = g_new0(struct scrub_source, 1);
	guint id;

	src->server = s;
	src->pool = pool;
	id = g_unix_fd_add_full(G_PRIORITY_DEFAULT, scrubber_fd(pool->scrubber), G_IO_IN,
				on_scrubbed, src, g_free);
	g_array_append_val(s->scrub_sources, id);
}

/* --- time --- */

static gboolean on_timer(GSource *source, GSourceFunc callback, gpointer data)
{
	(void)source;
	return callback(data);
}

static GSourceFuncs timer_funcs = { .dispatch = on_timer };

static gboolean server_tick(gpointer data)
{
	struct server *s = data;
	uint64_t now = now_ms();

	if (core_next_tick(s->core) <= now)
		core_tick(s->core, now);
	for (unsigned int i = 0; i < s->vms->len; i++)
		vm_tick(g_ptr_array_index(s->vms, i), now);
	oper_tick(s->oper, now);
	server_turn(s);
	return G_SOURCE_CONTINUE;
}

void server_start_timer(struct server *s)
{
	s->timer = g_source_new(&timer_funcs, sizeof(GSource));
	g_source_set_callback(s->timer, server_tick, s, NULL);
	g_source_attach(s->timer, NULL);
}

static void timer_set(struct server *s)
{
	uint64_t next = MIN(core_next_tick(s->core), oper_next_tick(s->oper));
	gint64 ready;

	for (unsigned int i = 0; i < s->vms->len; i++)
		next = MIN(next, vm_next_tick(g_ptr_array_index(s->vms, i)));
	ready = next == UINT64_MAX ? -1 : (gint64)MIN(next, (uint64_t)G_MAXINT64 / 1000) * 1000;
	/* Setting it wakes the loop up once more, even to the same time. */
	if (ready != g_source_get_ready_time(s->timer))
		g_source_set_ready_time(s->timer, ready);
}

/* --- turns --- */

int server_write_record(struct server *s)
{
	struct record_entry *e = g_new0(struct record_entry, s->vms->len);
	unsigned int nr = 0;
	int r;

	for (unsigned int i = 0; i < s->vms->len; i++) {
		const struct vm *vm = g_ptr_array_index(s->vms, i);

		if (!vm->recorded)
			continue;
		g_strlcpy(e[nr].vm, vm->cfg->name, sizeof(e[nr].vm));
		e[nr++].process = vm->holder;
	}
	r = record_write(s->run.path, e, nr);
	if (r == 0)
		s->record_stale = false;
	g_free(e);
	return r;
}

static bool turn_round(struct server *s)
{
	bool any = false;

	for (unsigned int i = 0; i < s->vms->len; i++)
		any |= vm_reap(g_ptr_array_index(s->vms, i));
	for (unsigned int i = 0; i < s->vms->len; i++)
		any |= vm_pump(g_ptr_array_index(s->vms, i));
	return any | oper_turn(s->oper);
}

/**
 * server_turn - the end of a turn; see the theory of operation
 * @s: the server
 */
void server_turn(struct server *s)
{
	if (s->in_turn)
		return;
	s->in_turn = true;
	for (int i = 0; i < TURN_ROUNDS_MAX && turn_round(s); i++)
		;
	for (unsigned int i = 0; i < s->vms->len; i++)
		vm_log_refusals(g_ptr_array_index(s->vms, i));
	if (s->record_stale && server_write_record(s) < 0) {
		log_warn("cannot write the run record %s/" RECORD_FILE, s->run.path);
		s->record_stale = false; /* it names too many, which is the safe side */
	}
	timer_set(s);
	s->in_turn = false;
}

struct vm *server_find_vm(const struct server *s, const char *name)
{
	for (unsigned int i = 0; i < s->vms->len; i++) {
		struct vm *vm = g_ptr_array_index(s->vms, i);

		if (!strcmp(vm->cfg->name, name))
			return vm;
	}
	return NULL;
}
