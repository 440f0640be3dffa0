/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h - the run record: which processes hold leases, should vcmad die
 *
 * DOC: Theory of operation
 *
 * A process that holds leases keeps its memory when vcmad dies.  The next
 * vcmad knows nothing of it: another pool could not have those pages, and the
 * VM would believe in leases that nobody remembers (I8).  So the file RUNDIR/vcmad.state
 * names these processes by pid and start time.  It is written before the first
 * descriptor goes out to a process, and a vcmad that finds one alive in it does not
 * start.  The file is replaced as a whole, never changed.
 *
 * RUNDIR/vcmad.lock is locked while a vcmad runs there.
 */
#ifndef VCMA_BROKER_RECORD_H
#define VCMA_BROKER_RECORD_H

#include <glib.h>

#include "process.h"
#include "vcma_broker.h"

#define RECORD_FILE	"vcmad.state"
#define RECORD_LOCK	"vcmad.lock"

struct record_entry {
	char vm[VCMA_NAME_MAX];
	struct process process;
};

/* The run directory: made if need be, and locked. */
struct run_dir {
	char *path;
	int lock;
	bool made;		/* by us: removed at the end */
};

int run_dir_open(struct run_dir *d, const char *path, char **ret_error);
void run_dir_close(struct run_dir *d);

/* 0; -EBUSY: processes in it live, *ret_error names them; other -errno. */
int record_check(const char *dir, char **ret_error);

/* Replace the record; without entries there is no file.  0 or -errno. */
int record_write(const char *dir, const struct record_entry *entries, unsigned int nr);

#endif /* VCMA_BROKER_RECORD_H */
