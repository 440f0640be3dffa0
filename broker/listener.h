/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listener.h - a listening Unix socket in the file system
 */
#ifndef VCMA_BROKER_LISTENER_H
#define VCMA_BROKER_LISTENER_H

#include <glib-unix.h>
#include <sys/types.h>

#define LISTENER_PAUSE_MS 1000

/**
 * struct listener - see above
 * @path: of the socket file
 * @dev: of the file that we made, as @ino: we remove no other
 * @source: what watches the socket, or waits until it is watched again
 * @fn: called when somebody connects
 */
struct listener {
	int fd;
	char *path;
	dev_t dev;
	ino_t ino;
	guint source;
	GUnixFDSourceFunc fn;
	void *data;
};

int listener_open(struct listener *l, const char *path, uid_t uid, gid_t gid, mode_t mode,
		  char **ret_error);
/* Call @fn from now on when somebody connects.  The listener does not move. */
void listener_watch(struct listener *l, GUnixFDSourceFunc fn, void *data);

/*
 * The next connection: a descriptor.  -EAGAIN: none.  -EMFILE: there is no descriptor
 * for it; nobody is accepted for LISTENER_PAUSE_MS, so that the main loop does not spin.
 */
int listener_accept(struct listener *l);
/* Stop and remove the file, if it is still ours. */
void listener_close(struct listener *l);

#endif /* VCMA_BROKER_LISTENER_H */
