/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process.h - who a process is, proved rather than assumed (I8)
 *
 * A pid alone names different processes at different times; pid and start time
 * together name one for as long as the machine runs.
 */
#ifndef VCMA_BROKER_PROCESS_H
#define VCMA_BROKER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	uint64_t start;		/* in clock ticks after boot */
};

/* Who has @pid now.  0, or -ESRCH: nobody, or one that has exited. */
int process_get(pid_t pid, struct process *ret);

/* A descriptor that becomes readable when @pid exits, or -errno. */
int process_watch(pid_t pid);

bool process_is_alive(const struct process *p);

/* Its command's name, for messages.  "?" if it is gone. */
void process_name(pid_t pid, char *ret, size_t size);

#endif /* VCMA_BROKER_PROCESS_H */
