/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listener.h - a listening Unix socket in the file system
 */
#ifndef VCMA_BROKER_LISTENER_H
#define VCMA_BROKER_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

struct listener {
	int fd;
	char *path;
	dev_t dev;		/* of the file that we made: we remove no other */
	ino_t ino;
};

int listener_open(struct listener *l, const char *path, uid_t uid, gid_t gid, mode_t mode,
		  char **ret_error);
/* Stop and remove the file, if it is still ours. */
void listener_close(struct listener *l);

#endif /* VCMA_BROKER_LISTENER_H */
