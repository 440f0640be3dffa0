// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_advice.c - which windows of a guest serve a class, and the option for them
 *
 * DOC: Theory of operation
 *
 * A platform is either that of a guest, or of a host whose device is to be
 * passed through.  In both cases the windows are the guest's: of a PC for x86, of
 * QEMU's `virt` for ARM, with the same word length.  An IOMMU makes a passed-through
 * device's addresses guest-physical ones, but does not widen its bus: what the
 * device can put on its bus is what counts, not where that leads on the host.
 *
 * For each kind of guest there is a short list of windows that it can have, the
 * highest first (I6).  Where firmware places a BAR, the window's span is all
 * places it can come to, and a class is served only as much as at the worst of
 * them.  A class takes the first window of which it reaches anything.  On `virt`, a
 * class that reaches none may get one in the guest's memory.
 */
#include "zones_advice.h"

#include <string.h>

#include "format.h"

#define HIGHMEM_SIZE	(1 * GIB)	/* an example */

/* What the class reaches of the window at the worst of its places. */
static uint64_t worst_bytes(const struct zones_class *c, const struct zones_window *w)
{
	struct vcma_span at = { w->span.base, w->size };
	uint64_t worst = NO_LIMIT;

	for (; at.base - w->span.base < w->span.size; at.base += w->size) {
		uint64_t bytes = zones_class_bus_bytes(c, &at);

		worst = MIN(worst, bytes);
	}
	return worst;
}

static char *limits_text(const struct zones_class *c)
{
	GString *s = g_string_new(NULL);

	if (c->map->identity)
		g_string_printf(s, "its %u address bits", zones_bits(c->highest));
	else
		g_string_printf(s, "what its bus carries");
	if (c->reach.forbidden)
		g_string_append_printf(s, " without the bits " HEX, c->reach.forbidden);
	return g_string_free(s, FALSE);
}

static struct zones_served serve(const struct zones_advice *a, const struct zones_platform *p,
				 const struct zones_class *c)
{
	struct zones_served s = { .window = -1 };
	guint i;

	for (i = 0; i < a->windows->len; i++) {
		const struct zones_window *w = &g_array_index(a->windows, struct zones_window, i);
		char *limits, *some, *all;

		s.bytes = worst_bytes(c, w);
		if (!s.bytes)
			continue;
		s.window = (int)i;
		s.all = s.bytes == w->size;
		limits = limits_text(c);
		some = format_size(s.bytes);
		all = format_size(w->size);
		s.why = s.all ? g_strdup_printf("all of it is within %s", limits) :
			g_strdup_printf("%s of %s are within %s", some, all, limits);
		g_free(limits);
		g_free(some);
		g_free(all);
		return s;
	}
	s.why = zones_why_none(p, c);
	return s;
}

/* --- banks --- */

/* The index of the bank that a region lies in, -1: in none or in several. */
static int bank_of(const struct zones_platform *p, const struct zones_reserved *r)
{
	struct vcma_span s = r->span;
	guint i;

	if (r->flags & ZONES_DYNAMIC) {
		if (r->allowed->len != 1)
			return -1;
		s = g_array_index(r->allowed, struct vcma_span, 0);
	}
	for (i = 0; i < p->memory->len; i++) {
		const struct vcma_span *m = &g_array_index(p->memory, struct zones_memory, i).span;

		if (s.base >= m->base && s.base - m->base < m->size &&
		    s.size <= m->size - (s.base - m->base))
			return (int)i;
	}
	return -1;
}

/*
 * A device whose memory-regions lie in different banks of memory, or that has
 * several: one window for each.  Returns how many, 0: it needs none.
 */
static unsigned int count_banks(const struct zones_platform *p, const struct zones_device *d,
				GString *text)
{
	unsigned int n = 0;
	guint i;

	if (d->regions->len < 2)
		return 0;
	for (i = 0; i < d->regions->len; i++) {
		const struct zones_reserved *r = &g_array_index(p->reserved, struct zones_reserved,
								g_array_index(d->regions, guint, i));
		int bank = bank_of(p, r);

		if (!(r->flags & ZONES_DMA_POOL))
			continue;
		n++;
		g_string_append_printf(text, "%sbank %u is \"%s\"", n > 1 ? ", " : "", n, r->name);
		if (bank >= 0)
			g_string_append_printf(text, " in %s",
					       g_array_index(p->memory, struct zones_memory, bank).name);
	}
	return n >= 2 ? n : 0;
}

/* The most banks that a device of the class needs; says so in the notes. */
static unsigned int class_banks(struct zones_advice *a, const struct zones_platform *p,
				const struct zones_class *c)
{
	unsigned int most = 0;
	guint i;

	for (i = 0; i < c->devices->len; i++) {
		const struct zones_device *d = g_ptr_array_index(c->devices, i);
		GString *text = g_string_new(NULL);
		unsigned int n = count_banks(p, d, text);

		if (n)
			g_ptr_array_add(a->notes,
					g_strdup_printf("%s needs buffers in %u places: %s. Each gets a window with a bank= of its own; [bank VM N] in vcmad.conf(5) says which pool it is.",
							d->name, n, text->str));
		most = MAX(most, n);
		g_string_free(text, TRUE);
	}
	return most;
}

/* A window, cut into one for each bank. */
static void append_banks(GString *s, const struct zones_window *w, unsigned int banks)
{
	uint64_t size = w->size;
	unsigned int i, parts = 1;

	while (parts < banks)
		parts *= 2;
	size /= parts;
	for (i = 0; i < banks; i++) {
		char *text = format_size(size);

		g_string_append_printf(s, "%s%s", i ? "+" : "", text);
		if (strchr(w->value, '@'))
			g_string_append_printf(s, "@" ADDRESS, w->span.base + i * size);
		g_string_append_printf(s, ":bank=%u", i + 1);
		g_free(text);
	}
}

/* --- the option --- */

/*
 * Which classes the option is for: those that the operator asked for; else those
 * of the platform, with masks of 32 and 64 bits, which drivers mostly have; if it
 * has no devices, all masks.
 */
static bool counts(const struct zones_platform *p, const struct zones_class *c, bool asked)
{
	if (asked)
		return c->asked;
	if (!p->devices->len || !c->mask)
		return true;
	return zones_bits(c->highest) == 32 || zones_bits(c->highest) == 64;
}

/* One property: all used windows of a zone. */
static void append_zone(GString *s, const struct zones_advice *a, const char *zone,
			const bool *used, const unsigned int *banks)
{
	bool first = true;
	guint i;

	for (i = 0; i < a->windows->len; i++) {
		const struct zones_window *w = &g_array_index(a->windows, struct zones_window, i);

		if (!used[i] || strcmp(w->zone, zone) != 0)
			continue;
		if (first)
			g_string_append_printf(s, ",%s=", zone);
		else
			g_string_append_c(s, '+');
		first = false;
		if (banks[i])
			append_banks(s, w, banks[i]);
		else
			g_string_append(s, w->value);
	}
}

static char *make_option(struct zones_advice *a, const struct zones_platform *p,
			 const GPtrArray *classes)
{
	static const char *const zones[] = { "normal", "dma32", "dma" };
	unsigned int *banks = g_new0(unsigned int, a->windows->len);
	bool *used = g_new0(bool, a->windows->len), asked = false, any = false;
	GString *s = g_string_new("-device virtio-cma-pci,broker=b0");
	guint i;

	for (i = 0; i < classes->len; i++)
		asked |= ((struct zones_class *)g_ptr_array_index(classes, i))->asked;
	for (i = 0; i < classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(classes, i);
		int w = g_array_index(a->served, struct zones_served, i).window;
		unsigned int nr;

		if (w < 0 || !counts(p, c, asked))
			continue;
		used[w] = any = true;
		nr = class_banks(a, p, c);
		banks[w] = MAX(banks[w], nr);
	}
	for (i = 0; i < G_N_ELEMENTS(zones); i++)
		append_zone(s, a, zones[i], used, banks);
	g_free(banks);
	g_free(used);
	if (!any) {
		g_string_free(s, TRUE);
		return NULL;
	}
	return g_string_free(s, FALSE);
}

static void window_clear(void *p)
{
	struct zones_window *w = p;

	g_free(w->value);
	g_free(w->why);
}

static void served_clear(void *p)
{
	struct zones_served *s = p;

	g_free(s->why);
}

struct zones_advice *zones_advise(const struct zones_platform *p, const GPtrArray *classes)
{
	bool arm = zones_is_arm(p);
	struct zones_advice *a = g_new0(struct zones_advice, 1);
	guint i;

	a->windows = g_array_new(FALSE, FALSE, sizeof(struct zones_window));
	g_array_set_clear_func(a->windows, window_clear);
	a->served = g_array_new(FALSE, FALSE, sizeof(struct zones_served));
	g_array_set_clear_func(a->served, served_clear);
	a->notes = g_ptr_array_new_with_free_func(g_free);
	a->machine = g_strdup_printf("%s (%s)", arm ? "QEMU's virt machine" : "a PC (q35 or pc)",
				     zones_arch_name(p->arch));
	zones_windows(a, p, classes);
	for (i = 0; i < classes->len; i++) {
		const struct zones_class *c = g_ptr_array_index(classes, i);
		struct zones_served s = serve(a, p, c);

		if (s.window < 0 && zones_window_for(a, p, c)) {
			g_free(s.why);
			s = serve(a, p, c);
		}
		g_array_append_val(a->served, s);
	}
	a->option = make_option(a, p, classes);
	if (p->tree && !p->qemu_virt)
		g_ptr_array_add(a->notes, g_strdup("This tree is not that of QEMU's virt machine: the windows are those of a guest to which a device of this machine is passed through."));
	if (p->arch == ZONES_I386 || p->arch == ZONES_ARM) {
		char *size = format_size(HIGHMEM_SIZE);

		g_ptr_array_add(a->notes, g_strdup_printf("highmem=%s adds a 64-bit BAR for buffers that the kernel need not map; a device needs more than 32 bits for it.",
							  size));
		g_free(size);
	}
	return a;
}

void zones_advice_free(struct zones_advice *a)
{
	if (!a)
		return;
	g_free(a->machine);
	g_free(a->option);
	g_array_unref(a->windows);
	g_array_unref(a->served);
	g_ptr_array_unref(a->notes);
	g_free(a);
}
