// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * record.c - the run directory, its lock, and the run record in it
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record.h"
#include "util.h"

#define RECORD_HEAD "vcmad-state 1\n"

/* Whoever holds the lock may have removed the file; then ours is another one. */
static int lock_file(const char *path)
{
	for (int tries = 0; tries < 10; tries++) {
		struct stat mine, there;
		int r, fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &mine) < 0) {
			r = -errno;
			close(fd);
			return r;
		}
		if (stat(path, &there) == 0 && there.st_ino == mine.st_ino &&
		    there.st_dev == mine.st_dev)
			return fd;
		close(fd);
	}
	return -EWOULDBLOCK;
}

/**
 * run_dir_open - make the run directory if need be, and lock it
 * @d: filled in; untouched on failure
 * @path: of the directory
 * @ret_error: on failure, cause and cure in words; g_free()
 *
 * Return: 0, -EWOULDBLOCK: another vcmad runs there, or another -errno.
 */
int run_dir_open(struct run_dir *d, const char *path, char **ret_error)
{
	struct run_dir new = { .lock = -1 };
	char *file;
	int r = 0;

	if (mkdir(path, 0755) == 0)
		new.made = true;
	else if (errno != EEXIST)
		r = -errno;
	if (r < 0) {
		*ret_error = g_strdup_printf("cannot make the run directory %s: %s", path,
					     g_strerror(-r));
		return r;
	}
	file = g_build_filename(path, RECORD_LOCK, NULL);
	new.lock = lock_file(file);
	g_free(file);
	if (new.lock < 0) {
		r = new.lock;
		*ret_error = r == -EWOULDBLOCK ?
			g_strdup_printf("another vcmad runs in %s: stop it, or give this one a --run-dir of its own",
					path) :
			g_strdup_printf("cannot lock %s/" RECORD_LOCK ": %s", path,
					g_strerror(-r));
		return r;
	}
	new.path = g_strdup(path);
	*d = new;
	return 0;
}

void run_dir_close(struct run_dir *d)
{
	char *file;

	if (!d->path)
		return;
	file = g_build_filename(d->path, RECORD_LOCK, NULL);
	unlink(file);
	g_free(file);
	fd_close(&d->lock);
	if (d->made)
		rmdir(d->path); /* fails if something else is in it, and that is right */
	g_clear_pointer(&d->path, g_free);
}

static void note_living(GString *living, const char *line)
{
	char vm[VCMA_NAME_MAX], name[64];
	struct process p;
	int pid;

	if (sscanf(line, "%31s %d %" SCNu64, vm, &pid, &p.start) != 3)
		return;
	p.pid = pid;
	if (!process_is_alive(&p))
		return;
	process_name(p.pid, name, sizeof(name));
	g_string_append_printf(living, "%s%d (%s) of VM %s", living->len ? ", " : "",
			       pid, name, vm);
}

/**
 * record_check - does anybody hold what an earlier vcmad leased?
 * @dir: run directory
 * @ret_error: on failure, cause and cure in words; g_free()
 *
 * Return: 0: nobody; -EBUSY: they live; -EINVAL: not a record; another -errno.
 */
int record_check(const char *dir, char **ret_error)
{
	char *file = g_build_filename(dir, RECORD_FILE, NULL), *data = NULL, **lines;
	GString *living = g_string_new(NULL);
	GError *err = NULL;
	int r = 0;

	if (!g_file_get_contents(file, &data, NULL, &err)) {
		if (!g_error_matches(err, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
			r = -EIO;
			*ret_error = g_strdup(err->message);
		}
		g_error_free(err);
		goto out;
	}
	if (!g_str_has_prefix(data, RECORD_HEAD)) {
		r = -EINVAL;
		*ret_error = g_strdup_printf("%s is not a run record of this version: if no VM of an earlier vcmad runs any more, remove it",
					     file);
		goto out;
	}
	lines = g_strsplit(data + strlen(RECORD_HEAD), "\n", -1);
	for (char **l = lines; *l; l++)
		note_living(living, *l);
	g_strfreev(lines);
	if (living->len) {
		r = -EBUSY;
		*ret_error = g_strdup_printf("processes that hold leases of an earlier vcmad are alive: %s.  This version cannot take them over: end these VMs, then start vcmad again (%s)",
					     living->str, file);
	}
out:
	g_string_free(living, TRUE);
	g_free(data);
	g_free(file);
	return r;
}

/**
 * record_write - replace the run record
 * @dir: run directory
 * @entries: who holds leases
 * @nr: how many; 0 removes the file
 *
 * Return: 0 or -errno.
 */
int record_write(const char *dir, const struct record_entry *entries, unsigned int nr)
{
	char *file = g_build_filename(dir, RECORD_FILE, NULL);
	char *tmp = g_strconcat(file, ".new", NULL);
	GString *s = g_string_new(RECORD_HEAD);
	int fd, r = 0;

	if (!nr) {
		if (unlink(file) < 0 && errno != ENOENT)
			r = -errno;
		goto out;
	}
	for (unsigned int i = 0; i < nr; i++)
		g_string_append_printf(s, "%s %d %" PRIu64 "\n", entries[i].vm,
				       (int)entries[i].process.pid, entries[i].process.start);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	if (write(fd, s->str, s->len) != (ssize_t)s->len)
		r = -EIO;
	close(fd);
	if (r == 0 && rename(tmp, file) < 0)
		r = -errno;
out:
	g_string_free(s, TRUE);
	g_free(tmp);
	g_free(file);
	return r;
}
