// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_listing.c - reads memory from an e820 or iomem listing
 *
 * Three forms are told apart by their lines:
 *
 *	[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007ffdefff] usable
 *	00100000-7ffdefff : System RAM
 *	0x100000-0x7ffdefff usable
 *
 * that is, what Linux writes to its log (its other lines are passed over), what
 * /proc/iomem has, and a plain one, in which a line that is not understood is
 * an error, and '#' begins a comment.  Ends are inclusive, numbers hexadecimal.
 */
#include "zones.h"

#include <errno.h>
#include <string.h>

enum form { FORM_LOG, FORM_IOMEM, FORM_PLAIN };

/* "START-END": the text after it, NULL: there is none. */
static const char *read_span(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
	char *end;

	if (!g_ascii_isxdigit(*text))
		return NULL;
	errno = 0;
	*ret_first = g_ascii_strtoull(text, &end, 16);
	if (*end != '-' || !g_ascii_isxdigit(end[1]))
		return NULL;
	*ret_last = g_ascii_strtoull(end + 1, &end, 16);
	return errno ? NULL : end;
}

static enum form find_form(char *const *lines)
{
	uint64_t first, last;

	for (; *lines; lines++) {
		const char *rest = read_span(lines[0] + strspn(lines[0], " \t"), &first, &last);

		if (strstr(lines[0], "BIOS-e820: [mem "))
			return FORM_LOG;
		if (rest && g_str_has_prefix(rest, " : "))
			return FORM_IOMEM;
	}
	return FORM_PLAIN;
}

static bool is_memory(const char *type)
{
	return g_ascii_strcasecmp(type, "usable") == 0 || g_ascii_strcasecmp(type, "ram") == 0 ||
		g_str_has_prefix(type, "System RAM");
}

/*
 * One line: 1, 0: nothing in it, -1: not understood.  What lies inside a run of
 * /proc/iomem is indented, and counts only if it is memory of a device (kmem).
 */
static int read_line(enum form form, const char *line, uint64_t *first, uint64_t *last,
		     const char **type)
{
	const char *s = line + strspn(line, " \t");

	switch (form) {
	case FORM_LOG:
		s = strstr(line, "BIOS-e820: [mem ");
		if (!s)
			return 0;
		s = read_span(s + strlen("BIOS-e820: [mem "), first, last);
		if (!s || !g_str_has_prefix(s, "] "))
			return -1;
		*type = s + 2;
		return 1;
	case FORM_IOMEM:
		if (!*s)
			return 0;
		*type = read_span(s, first, last);
		if (!*type || !g_str_has_prefix(*type, " : "))
			return -1;
		*type += 3;
		return s == line || strcmp(*type, "System RAM (kmem)") == 0;
	default:
		if (!*s || *s == '#')
			return 0;
		*type = read_span(s, first, last);
		if (!*type || !strchr(" \t", **type))
			return -1;
		*type += strspn(*type, " \t");
		return **type ? 1 : -1;
	}
}

static void add(struct zones_platform *p, const char *type, uint64_t first, uint64_t last)
{
	char *name = zones_text(type, 40);
	guint n = p->memory->len;

	g_strchomp(name);
	if (!is_memory(name)) {
		zones_add_reserved(p, name, first, last - first + 1, 0);
		return;
	}
	/* Linux splits runs for reasons of its own; together they are one bank. */
	if (n) {
		struct zones_memory *m = &g_array_index(p->memory, struct zones_memory, n - 1);

		if (m->span.base + m->span.size == first && last - first + 1 <= ~m->span.size) {
			m->span.size += last - first + 1;
			g_free(name);
			return;
		}
	}
	zones_add_memory(p, name, first, last - first + 1);
}

static bool read_lines(struct zones_platform *p, char *const *lines, char **ret_error)
{
	enum form form = find_form(lines);
	unsigned int nr, hidden = 0;

	for (nr = 0; lines[nr]; nr++) {
		uint64_t first = 0, last = 0;
		const char *type = "";
		int ret = read_line(form, lines[nr], &first, &last, &type);

		if (ret < 0) {
			char *text = zones_text(lines[nr], 60);

			*ret_error = g_strdup_printf("line %u: \"%s\" is not understood; "
						     "expected \"START-END TYPE\", a line of /proc/iomem or of Linux's log (BIOS-e820)",
						     nr + 1, text);
			g_free(text);
			return false;
		}
		if (ret == 0)
			continue;
		if (form == FORM_IOMEM && !first && !last) {
			hidden++;
			continue;
		}
		if (first > last || last - first == UINT64_MAX) {
			*ret_error = g_strdup_printf("line %u: 0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER "x ends before it begins, or is everything",
						     nr + 1, first, last);
			return false;
		}
		if (p->reserved->len > 4 * ZONES_BANKS_MAX) {
			*ret_error = g_strdup_printf("more than %d reserved runs", 4 * ZONES_BANKS_MAX);
			return false;
		}
		add(p, type, first, last);
	}
	if (!p->memory->len) {
		*ret_error = g_strdup(hidden ?
			"all addresses are 0: Linux shows them to root only" :
			"there is no memory in it (\"usable\" or \"System RAM\")");
		return false;
	}
	return true;
}

/* Memory must not be reserved at the same time; Linux would have to choose. */
static bool check_reserved(const struct zones_platform *p, char **ret_error)
{
	guint i, k;

	for (i = 0; i < p->reserved->len; i++) {
		const struct zones_reserved *r = &g_array_index(p->reserved, struct zones_reserved, i);
		uint64_t last = r->span.base + (r->span.size - 1);

		for (k = 0; k < p->memory->len; k++) {
			const struct vcma_span *m =
				&g_array_index(p->memory, struct zones_memory, k).span;

			if (m->base > last || m->base + (m->size - 1) < r->span.base)
				continue;
			*ret_error = g_strdup_printf("0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER "x is memory and \"%s\" at once",
						     MAX(m->base, r->span.base),
						     MIN(m->base + (m->size - 1), last), r->name);
			return false;
		}
	}
	return true;
}

struct zones_platform *zones_listing_read(const char *text, size_t size, char **ret_error)
{
	struct zones_platform *p;
	char *copy, **lines;
	bool ok;

	if (size > ZONES_LISTING_MAX) {
		*ret_error = g_strdup_printf("it is larger than %uM", ZONES_LISTING_MAX >> 20);
		return NULL;
	}
	if (memchr(text, '\0', size)) {
		*ret_error = g_strdup("it is no text");
		return NULL;
	}
	copy = g_strndup(text, size);
	lines = g_strsplit(copy, "\n", -1);
	p = zones_platform_new();
	p->arch = ZONES_AMD64;
	ok = read_lines(p, lines, ret_error) && zones_sort_memory(p, ret_error) &&
		check_reserved(p, ret_error);
	g_strfreev(lines);
	g_free(copy);
	if (!ok) {
		zones_platform_free(p);
		return NULL;
	}
	return p;
}
