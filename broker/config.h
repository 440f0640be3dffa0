/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h - what the operator wants, checked as a whole
 *
 * A configuration comes from a file or from the command line, goes through the
 * same checks, and is complete and consistent afterwards.  Every mistake is
 * reported, not only the first, with file, group and key.
 */
#ifndef VCMA_BROKER_CONFIG_H
#define VCMA_BROKER_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backing_sim.h"
#include "vcma_broker.h"

#define CONFIG_SIZE_MAX		(UINT64_C(1) << 46)
#define CONFIG_VMS_MAX		10000
#define CONFIG_POOLS_MAX	64

struct backing_ops;

struct config_pool {
	char name[VCMA_NAME_MAX];
	const struct backing_ops *backing; /* NULL: hugetlb if it can be had, else memfd; never from a file */
	uint64_t size;
	uint64_t chunk;
	struct sim_pattern sim;	/* for backing=sim; address 0: where no machine has memory */
};

/* What a VM may have of a pool. */
struct config_share {
	unsigned int pool;	/* index of the pool */
	uint64_t guarantee;
	uint64_t guarantee_run;	/* 0 if there is no guarantee */
	uint64_t limit;
};

struct config_vm {
	char name[VCMA_NAME_MAX];
	uint32_t banks;		/* bit n: bank[n] is there; bit 0 always is */
	struct config_share bank[VCMA_BANKS_MAX];
	uint8_t priority;	/* up to POLICY_PRIORITY_MAX */
	char *socket;
	uid_t uid;		/* who may connect, besides root */
	gid_t gid;
	bool group;		/* members of gid may connect, too */
	mode_t mode;
};

struct config {
	char *origin;		/* file name, or "command line" */
	char *run_dir;
	char *oper_socket;
	char *log_level;	/* NULL: not said */
	GPtrArray *pools;	/* struct config_pool * */
	GPtrArray *vms;		/* struct config_vm * */
};

/* What the command line says; NULL or empty: not given. */
struct config_args {
	const char *file;
	const char *run_dir;
	const char *pool_size;
	const char *backing;
	const char *chunk;
	char **vms;		/* NULL-terminated */
};

int config_load(const struct config_args *args, struct config **ret_config, GPtrArray *errors);
void config_free(struct config *cfg);

const struct config_pool *config_pool(const struct config *cfg, unsigned int i);
const struct config_vm *config_vm(const struct config *cfg, unsigned int i);
/* Bank @bank of VM @vm; NULL: it has no such bank. */
const struct config_share *config_share(const struct config *cfg, unsigned int vm,
					unsigned int bank);

char *config_default_run_dir(void);

/* config_check.c: defaults and the rules between values; adds to @errors. */
void config_error(GPtrArray *errors, const struct config *cfg, const char *group,
		  const char *key, const char *fmt, ...) G_GNUC_PRINTF(5, 6);
void config_check(struct config *cfg, GPtrArray *errors);
bool config_name_ok(const char *name);

#endif /* VCMA_BROKER_CONFIG_H */
