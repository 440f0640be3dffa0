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
	int spare;		/* given up for a moment when no descriptor is left */
	char *path;
	dev_t dev;		/* of the file that we made: we remove no other */
	ino_t ino;
};

int listener_open(struct listener *l, const char *path, uid_t uid, gid_t gid, mode_t mode,
		  char **ret_error);
/*
 * The next connection: a descriptor.  -EAGAIN: none.  -EMFILE: there was one, but no
 * descriptor for it; it has been closed, so that the socket does not stay
 * readable for ever.
 */
int listener_accept(struct listener *l);
/* Stop and remove the file, if it is still ours. */
void listener_close(struct listener *l);

#endif /* VCMA_BROKER_LISTENER_H */
