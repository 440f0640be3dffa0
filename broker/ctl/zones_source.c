// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_source.c - reads the platform of a file or of this machine
 */
#include "zones_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LIVE_TREE	"/sys/firmware/fdt"
#define LIVE_IOMEM	"/proc/iomem"
#define LIVE_MEMMAP	"/sys/firmware/memmap"

/* All of a file, but never more than one byte above @max.  NULL: errno says why. */
static char *read_file(const char *path, size_t max, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0, room = 64 * KIB;
	char *buf;
	ssize_t n;

	if (fd < 0)
		return NULL;
	buf = g_malloc(room);
	for (;;) {
		n = read(fd, buf + size, MIN(room, max + 1) - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += (size_t)n;
		if (size > max)
			break;
		if (size == room) {
			room *= 2;
			buf = g_realloc(buf, room);
		}
	}
	if (n < 0) {
		int err = errno;

		g_free(buf);
		close(fd);
		errno = err;
		return NULL;
	}
	close(fd);
	*ret_size = size;
	return buf;
}

typedef struct zones_platform *(*reader)(const void *data, size_t size, char **ret_error);

static struct zones_platform *listing_reader(const void *data, size_t size, char **ret_error)
{
	return zones_listing_read(data, size, ret_error);
}

static struct zones_platform *from_file(const char *path, size_t max, reader read_it,
					char **ret_error)
{
	struct zones_platform *p;
	char *data, *why = NULL;
	size_t size;

	data = read_file(path, max, &size);
	if (!data) {
		*ret_error = g_strdup_printf("%s: %s%s", path, g_strerror(errno),
					     errno == EACCES ? "; run vcmactl as root" : "");
		return NULL;
	}
	p = read_it(data, size, &why);
	g_free(data);
	if (!p) {
		*ret_error = g_strdup_printf("%s: %s", path, why);
		g_free(why);
	}
	return p;
}

struct zones_platform *zones_from_tree(const char *path, char **ret_error)
{
	return from_file(path, ZONES_TREE_MAX, zones_tree_read, ret_error);
}

struct zones_platform *zones_from_listing(const char *path, char **ret_error)
{
	return from_file(path, ZONES_LISTING_MAX, listing_reader, ret_error);
}

/* One file of an entry of the firmware's memory map, without its newline; NULL: none. */
static char *memmap_value(const char *entry, const char *file)
{
	char *path = g_build_filename(LIVE_MEMMAP, entry, file, NULL);
	size_t size;
	char *data = read_file(path, 256, &size), *text = NULL;

	if (data)
		text = g_strchomp(g_strndup(data, size));
	g_free(data);
	g_free(path);
	return text;
}

/* What firmware told the kernel, which anybody may read, in the plain form. */
static struct zones_platform *from_memmap(char **ret_error)
{
	GDir *dir = g_dir_open(LIVE_MEMMAP, 0, NULL);
	GString *text = g_string_new(NULL);
	struct zones_platform *p;
	const char *entry;
	char *why = NULL;

	while (dir && (entry = g_dir_read_name(dir)) && text->len < ZONES_LISTING_MAX) {
		char *start = memmap_value(entry, "start"), *end = memmap_value(entry, "end");
		char *type = memmap_value(entry, "type");

		if (start && end && type && *type)
			g_string_append_printf(text, "%s-%s %s\n", start, end, type);
		g_free(start);
		g_free(end);
		g_free(type);
	}
	if (dir)
		g_dir_close(dir);
	p = zones_listing_read(text->str, text->len, &why);
	g_string_free(text, TRUE);
	if (!p) {
		*ret_error = g_strdup_printf("%s: %s", LIVE_MEMMAP, why);
		g_free(why);
	}
	return p;
}

struct zones_platform *zones_from_here(char **ret_error)
{
	struct zones_platform *p;
	enum zones_arch arch = ZONES_ARCH_UNKNOWN;
	struct utsname u;
	char *why = NULL;

	if (uname(&u) == 0)
		arch = zones_arch_by_name(u.machine);
	if (access(LIVE_TREE, F_OK) == 0) {
		p = zones_from_tree(LIVE_TREE, ret_error);
	} else {
		p = zones_from_listing(LIVE_IOMEM, &why);
		if (!p) {
			p = from_memmap(ret_error);
			if (!p) {
				g_free(*ret_error);
				*ret_error = why;
				why = NULL;
			}
			g_free(why);
		}
	}
	if (p)
		p->arch = arch;
	return p;
}
