// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_platform.c - what is told about a machine, and the end of it
 */
#include "zones.h"

#include <string.h>

static const char *const arch_names[] = {
	[ZONES_AMD64] = "amd64",
	[ZONES_I386] = "i386",
	[ZONES_ARM64] = "arm64",
	[ZONES_ARM] = "arm",
};

const char *zones_arch_name(enum zones_arch arch)
{
	return (size_t)arch < G_N_ELEMENTS(arch_names) ? arch_names[arch] : "unknown";
}

enum zones_arch zones_arch_by_name(const char *name)
{
	static const struct { const char *name; enum zones_arch arch; } others[] = {
		{ "x86", ZONES_AMD64 }, { "x86_64", ZONES_AMD64 }, { "x86-64", ZONES_AMD64 },
		{ "i686", ZONES_I386 }, { "i586", ZONES_I386 }, { "aarch64", ZONES_ARM64 },
		{ "armhf", ZONES_ARM }, { "armv7l", ZONES_ARM }, { "armv8l", ZONES_ARM },
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(arch_names); i++) {
		if (strcmp(name, arch_names[i]) == 0)
			return (enum zones_arch)i;
	}
	for (i = 0; i < G_N_ELEMENTS(others); i++) {
		if (strcmp(name, others[i].name) == 0)
			return others[i].arch;
	}
	return ZONES_ARCH_UNKNOWN;
}

char *zones_text(const char *text, size_t len)
{
	char *s = g_strndup(text, len);
	char *c;

	for (c = s; *c; c++) {
		if (!g_ascii_isprint(*c))
			*c = '?';
	}
	return s;
}

struct zones_map *zones_map_new(void)
{
	struct zones_map *m = g_new0(struct zones_map, 1);

	m->ref = 1;
	m->pieces = g_array_new(FALSE, FALSE, sizeof(struct zones_piece));
	return m;
}

struct zones_map *zones_map_ref(struct zones_map *m)
{
	m->ref++;
	return m;
}

void zones_map_unref(struct zones_map *m)
{
	if (!m || --m->ref)
		return;
	g_array_unref(m->pieces);
	g_free(m);
}

/* Two maps under which the same addresses lead to the same places. */
bool zones_map_same(const struct zones_map *a, const struct zones_map *b)
{
	if (a->identity != b->identity || a->pieces->len != b->pieces->len)
		return false;
	return !a->pieces->len || memcmp(a->pieces->data, b->pieces->data,
					 a->pieces->len * sizeof(struct zones_piece)) == 0;
}

static void memory_clear(void *p)
{
	struct zones_memory *m = p;

	g_free(m->name);
}

static void reserved_clear(void *p)
{
	struct zones_reserved *r = p;

	g_free(r->name);
	g_array_unref(r->allowed);
}

static void device_free(void *p)
{
	struct zones_device *d = p;

	g_free(d->name);
	g_free(d->path);
	g_free(d->bus);
	zones_map_unref(d->map);
	g_array_unref(d->regions);
	g_free(d);
}

struct zones_platform *zones_platform_new(void)
{
	struct zones_platform *p = g_new0(struct zones_platform, 1);

	p->arch = ZONES_ARCH_UNKNOWN;
	p->dma_limit = NO_LIMIT;
	p->memory = g_array_new(FALSE, FALSE, sizeof(struct zones_memory));
	g_array_set_clear_func(p->memory, memory_clear);
	p->reserved = g_array_new(FALSE, FALSE, sizeof(struct zones_reserved));
	g_array_set_clear_func(p->reserved, reserved_clear);
	p->devices = g_ptr_array_new_with_free_func(device_free);
	p->notes = g_ptr_array_new_with_free_func(g_free);
	return p;
}

void zones_platform_free(struct zones_platform *p)
{
	if (!p)
		return;
	g_free(p->model);
	g_free(p->dma_limit_bus);
	g_array_unref(p->memory);
	g_array_unref(p->reserved);
	g_ptr_array_unref(p->devices);
	g_ptr_array_unref(p->notes);
	g_free(p);
}

void zones_add_memory(struct zones_platform *p, char *name, uint64_t base, uint64_t size)
{
	const struct zones_memory m = { .name = name, .span = { base, size } };

	g_array_append_val(p->memory, m);
}

void zones_add_reserved(struct zones_platform *p, char *name, uint64_t base, uint64_t size,
			unsigned int flags)
{
	const struct zones_reserved r = {
		.name = name,
		.span = { base, size },
		.flags = flags,
		.allowed = g_array_new(FALSE, FALSE, sizeof(struct vcma_span)),
	};

	g_array_append_val(p->reserved, r);
}

void zones_note(struct zones_platform *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(p->notes, g_strdup_vprintf(format, args));
	va_end(args);
}

static int by_base(const void *a, const void *b)
{
	const struct zones_memory *x = a, *y = b;

	return x->span.base < y->span.base ? -1 : x->span.base > y->span.base;
}

bool zones_sort_memory(struct zones_platform *p, char **ret_error)
{
	guint i;

	if (p->memory->len > ZONES_BANKS_MAX) {
		*ret_error = g_strdup_printf("%u runs of memory; %d are the most that can be handled",
					     p->memory->len, ZONES_BANKS_MAX);
		return false;
	}
	g_array_sort(p->memory, by_base);
	for (i = 0; i < p->memory->len; i++) {
		const struct zones_memory *m = &g_array_index(p->memory, struct zones_memory, i);
		const struct zones_memory *before = i ? m - 1 : NULL;

		if (!m->span.size || m->span.size - 1 > ~m->span.base) {
			*ret_error = g_strdup_printf("%s: memory at 0x%" G_GINT64_MODIFIER "x wraps around the end of the address space",
						     m->name, m->span.base);
			return false;
		}
		if (before && before->span.base + (before->span.size - 1) >= m->span.base) {
			*ret_error = g_strdup_printf("memory overlaps: %s has 0x%" G_GINT64_MODIFIER "x, which %s has, too",
						     m->name, m->span.base, before->name);
			return false;
		}
	}
	return true;
}
