/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h - the daemon as one object
 *
 * DOC: Theory of operation
 *
 * Everything runs on GLib's default main context, in turns: a source fires, its
 * handler feeds events to the core, and server_turn() ends the turn: it
 * frees connections that have ended, sends grants, answers operators who wait,
 * keeps the run record true and sets the timer.  The core's orders arrive as
 * callbacks in the middle of a turn.  They send or queue but never call
 * the core; what needs the core is left to the end of the turn.
 *
 * The only other threads are the scrubbers (scrub.h).
 */
#ifndef VCMA_BROKER_SERVER_H
#define VCMA_BROKER_SERVER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "core.h"
#include "record.h"

struct oper;
struct pool;
struct vm;

/**
 * struct server - see above
 * @instance: random; names this run of the daemon
 * @backings: struct backing *, one of a kind
 * @pools: struct pool *, in the configuration's order
 * @vms: struct vm *, likewise
 * @fd_end: descriptors below this number are for granules
 * @fds_share: descriptors that a VM may have in flight: sent and not acknowledged (I9)
 * @record_stale: the run record names somebody who holds nothing any more
 */
struct server {
	const struct config *cfg;
	struct core *core;
	struct run_dir run;
	uint64_t instance;
	uint64_t started;
	GPtrArray *backings;
	GPtrArray *pools;
	GPtrArray *vms;
	struct oper *oper;
	GSource *timer;
	GArray *scrub_sources;
	int fd_end;
	uint32_t fds_share;
	bool record_stale;
	bool in_turn;
};

int server_new(const struct config *cfg, struct server **ret_server, char **ret_error);

/*
 * Clean shutdown: peers are told, files removed, granules that no VM holds go
 * back.  Returns how many VMs still hold leases.
 */
unsigned int server_stop(struct server *s);
void server_free(struct server *s);

void server_turn(struct server *s);
struct vm *server_find_vm(const struct server *s, const char *name);

/* The run record, now: before a process gets its first descriptor.  0 or -errno. */
int server_write_record(struct server *s);

/* --- shared by server.c and server_start.c only --- */

extern const struct core_ops server_core_ops;
void server_watch_scrubber(struct server *s, struct pool *pool);
void server_start_timer(struct server *s);

#endif /* VCMA_BROKER_SERVER_H */
