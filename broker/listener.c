// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * listener.c - a listening Unix socket in the file system
 *
 * The file is never more open than asked for: it is made with mode 0600
 * whatever the umask says, gets its owner and then its mode, and only then
 * does anybody listen.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listener.h"
#include "util.h"

#define LISTEN_BACKLOG 16

static int set_address(struct sockaddr_un *addr, const char *path)
{
	if (strlen(path) >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	strcpy(addr->sun_path, path);
	return 0;
}

/* A file of that name: in use, or left behind by a process that died? */
static int remove_stale(const struct sockaddr_un *addr, char **ret_error)
{
	struct stat st;
	int fd, r = 0;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		*ret_error = g_strdup_printf("%s exists and is not a socket: choose another path, or remove it",
					     addr->sun_path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		r = -errno;
	close(fd);
	if (r == -ECONNREFUSED || r == -ENOENT)
		return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
	*ret_error = g_strdup_printf("%s is in use by a running program: stop that one, or choose another path",
				     addr->sun_path);
	return -EADDRINUSE;
}

/* Owner, then mode, of the very file that was made, wherever its name points now. */
static int set_access(struct listener *l, uid_t uid, gid_t gid, mode_t mode)
{
	char proc[64];
	struct stat st;
	int r = 0, fd = open(l->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISSOCK(st.st_mode))
		r = -ENOTSOCK;
	else if ((st.st_uid != uid || st.st_gid != gid) &&
		 fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		r = -errno;
	else if (chmod(proc, mode) < 0)
		r = -errno;
	if (r == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	close(fd);
	return r;
}

/**
 * listener_open - make a socket file and listen
 * @l: filled in; untouched on failure
 * @path: of the file
 * @uid: its owner
 * @gid: its group
 * @mode: who may connect, as far as the file system is concerned
 * @ret_error: on failure, cause and cure in words; g_free()
 *
 * Return: 0 or -errno.
 */
int listener_open(struct listener *l, const char *path, uid_t uid, gid_t gid, mode_t mode,
		  char **ret_error)
{
	struct listener new = { .fd = -1 };
	struct sockaddr_un addr;
	int r = set_address(&addr, path);

	*ret_error = NULL;
	if (r == 0)
		r = remove_stale(&addr, ret_error);
	if (r < 0)
		goto fail;
	new.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (new.fd < 0 || fchmod(new.fd, 0600) < 0 ||
	    bind(new.fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		r = -errno;
		goto fail;
	}
	new.path = g_strdup(path);
	r = set_access(&new, uid, gid, mode);
	if (r == 0 && listen(new.fd, LISTEN_BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		unlink(path);
		goto fail;
	}
	*l = new;
	return 0;

fail:
	fd_close(&new.fd);
	g_free(new.path);
	if (!*ret_error)
		*ret_error = g_strdup_printf("%s: %s", path, g_strerror(-r));
	return r;
}

void listener_watch(struct listener *l, GUnixFDSourceFunc fn, void *data)
{
	l->fn = fn;
	l->data = data;
	l->source = g_unix_fd_add(l->fd, G_IO_IN, fn, data);
}

static gboolean on_pause_over(gpointer data)
{
	struct listener *l = data;

	listener_watch(l, l->fn, l->data);
	return G_SOURCE_REMOVE;
}

int listener_accept(struct listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		return fd;
	/* Without the means to accept it the peer stays in the queue: do not spin. */
	if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
		return -EAGAIN;
	g_source_remove(l->source);
	l->source = g_timeout_add(LISTENER_PAUSE_MS, on_pause_over, l);
	return -EMFILE;
}

void listener_close(struct listener *l)
{
	struct stat st;

	if (l->source)
		g_source_remove(l->source);
	l->source = 0;
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	fd_close(&l->fd);
	g_clear_pointer(&l->path, g_free);
}
