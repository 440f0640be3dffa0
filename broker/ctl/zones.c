// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones.c - vcmactl zones: where a platform's devices reach, and windows for them
 *
 * The only command that needs no vcmad.
 */
#include "ctl.h"

#include <errno.h>
#include <string.h>

#include "../size.h"
#include "zones_show.h"
#include "zones_source.h"

/* What was typed. */
struct zones_args {
	char *dtb, *e820, *iomem;
	gboolean live;
	char *arch;
	char **memory;
	char **devices;
	char *forbid;
	char *dma_end, *low_end;
	gboolean no_dma, no_highmem, all;
};

/* "0x100000" or "1M". */
static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	if (!g_str_has_prefix(text, "0x") && !g_str_has_prefix(text, "0X"))
		return size_parse(text, ret) == 0;
	if (!g_ascii_isxdigit(text[2]))
		return false;
	errno = 0;
	*ret = g_ascii_strtoull(text + 2, &end, 16);
	return !errno && !*end;
}

static int parse_memory(struct zones_platform *p, char **list)
{
	char *error = NULL;
	int ret;

	if (!list)
		return 0;
	g_array_set_size(p->memory, 0);
	for (; *list; list++) {
		char **part = g_strsplit(*list, "+", 2);
		uint64_t base, size;
		bool ok = part[0] && part[1] && parse_number(part[0], &base) &&
			parse_number(part[1], &size) && size;

		g_strfreev(part);
		if (!ok)
			return ctl_usage("--memory=%s: write START+SIZE, such as 0x40000000+2G", *list);
		zones_add_memory(p, g_strdup("memory"), base, size);
	}
	if (zones_sort_memory(p, &error))
		return 0;
	ret = ctl_usage("--memory: %s", error);
	g_free(error);
	return ret;
}

/* "bits=24,forbid=0x100000,boundary=64K" */
static bool parse_reach(const char *text, struct vcma_reach *ret)
{
	char **part = g_strsplit(text, ",", -1), **s;
	uint64_t bits = 64, forbid = 0, boundary = 0;
	bool ok = *text;

	for (s = part; ok && *s; s++) {
		char *value = strchr(*s, '=');

		if (!value) {
			ok = false;
			break;
		}
		*value++ = '\0';
		if (strcmp(*s, "bits") == 0)
			ok = parse_number(value, &bits) && bits >= 1 && bits <= 64;
		else if (strcmp(*s, "forbid") == 0)
			ok = parse_number(value, &forbid);
		else if (strcmp(*s, "boundary") == 0)
			ok = parse_number(value, &boundary) && !(boundary & (boundary - 1));
		else
			ok = false;
	}
	g_strfreev(part);
	if (ok)
		vcma_reach_init(ret, bits == 64 ? NO_LIMIT : (UINT64_C(1) << bits) - 1, 0,
				boundary, forbid);
	return ok;
}

static int parse_devices(struct zones_platform *p, char **list)
{
	for (; list && *list; list++) {
		char *name = g_strdup(*list), *colon = strrchr(name, ':'), *error = NULL;
		struct vcma_reach reach;
		int ret = 0;

		if (colon)
			*colon++ = '\0';
		if (!*name || (colon && !parse_reach(colon, &reach)))
			ret = ctl_usage("--device=%s: write NAME, or NAME:LIMITS, where LIMITS are bits=1 to 64, "
					"forbid=MASK and boundary=SIZE (a power of two), separated by commas",
					*list);
		if (!colon)
			vcma_reach_init(&reach, 0, 0, 0, 0);
		if (!ret && !zones_refine(p, name, &reach, &error)) {
			ret = ctl_usage("--device=%s: %s", *list, error);
			g_free(error);
		}
		g_free(name);
		if (ret)
			return ret;
	}
	return 0;
}

static int parse_arch(struct zones_platform *p, const char *name)
{
	static const char *const names[] = { "x86", "amd64", "i386", "arm64", "arm", "armhf", NULL };
	const char *close;

	if (name) {
		p->arch = zones_arch_by_name(name);
		if (p->arch == ZONES_ARCH_UNKNOWN) {
			close = closest_word(name, names);
			return ctl_usage("--arch=%s: there are x86 (or amd64), i386, arm64 and arm (or armhf)%s%s%s",
					 name, close ? "; did you mean \"" : "", close ? close : "",
					 close ? "\"?" : "");
		}
	}
	if (p->arch == ZONES_ARCH_UNKNOWN)
		return ctl_usage("the processors do not tell for which architecture the kernel is; say --arch arm64 or --arch arm");
	if (p->tree && (p->arch == ZONES_AMD64 || p->arch == ZONES_I386))
		return ctl_usage("--arch=%s: only ARM's device trees are understood; for a PC give --e820 or --iomem",
				 zones_arch_name(p->arch));
	return 0;
}

static int parse_options(const struct zones_args *a, struct zones_options *o, uint64_t *ret_forbid)
{
	o->no_dma = a->no_dma;
	o->no_highmem = a->no_highmem;
	if (a->forbid && !parse_number(a->forbid, ret_forbid))
		return ctl_usage("--forbid=%s is no mask of address bits; write one such as 0x100000",
				 a->forbid);
	if (a->dma_end && (!parse_number(a->dma_end, &o->dma_end) || !o->dma_end))
		return ctl_usage("--dma-end=%s is no address; write one such as 1G or 0x40000000",
				 a->dma_end);
	if (a->low_end && (!parse_number(a->low_end, &o->low_end) || !o->low_end))
		return ctl_usage("--low-end=%s is no address; write one such as 896M or 0x38000000",
				 a->low_end);
	return 0;
}

/* The platform that was asked for; NULL: reported, and @ret_code is set. */
static struct zones_platform *find_platform(const struct zones_args *a, int *ret_code)
{
	struct zones_platform *p;
	char *error = NULL;

	if (!!a->dtb + !!a->e820 + !!a->iomem + !!a->live > 1) {
		*ret_code = ctl_usage("zones takes one of --dtb, --e820, --iomem and --live");
		return NULL;
	}
	if (a->dtb)
		p = zones_from_tree(a->dtb, &error);
	else if (a->e820 || a->iomem)
		p = zones_from_listing(a->e820 ? a->e820 : a->iomem, &error);
	else
		p = zones_from_here(&error);
	if (!p) {
		*ret_code = ctl_fail("%s", error);
		g_free(error);
	}
	return p;
}

static int show(struct ctl *ctl, struct zones_platform *p, const struct zones_options *o,
		uint64_t forbid, gboolean all)
{
	struct zones_report r = { .p = p, .all = all };
	char *error = NULL;
	int ret = CTL_OK;

	r.classes = zones_classes(p, forbid, &error);
	if (!r.classes) {
		ret = ctl_fail("%s", error);
		g_free(error);
		return ret;
	}
	r.nr_kernels = zones_kernels(p, o, r.kernels);
	r.reasons = zones_reasons(p, o);
	r.advice = zones_advise(p, r.classes);
	if (ctl->json)
		ret = json_print(zones_json(&r));
	else
		zones_print(&r);
	zones_advice_free(r.advice);
	g_ptr_array_unref(r.classes);
	g_ptr_array_unref(r.reasons);
	return ret;
}

static int run(struct ctl *ctl, const struct zones_args *a)
{
	struct zones_options o = { 0 };
	struct zones_platform *p;
	uint64_t forbid = 0;
	int ret;

	ret = parse_options(a, &o, &forbid);
	if (ret)
		return ret;
	p = find_platform(a, &ret);
	if (!p)
		return ret;
	ret = parse_arch(p, a->arch);
	if (!ret)
		ret = parse_memory(p, a->memory);
	if (!ret)
		ret = parse_devices(p, a->devices);
	if (!ret)
		ret = show(ctl, p, &o, forbid, a->all);
	zones_platform_free(p);
	return ret;
}

int cmd_zones(struct ctl *ctl, int argc, char **argv)
{
	struct zones_args a = { 0 };
	const GOptionEntry own[] = {
		{ "dtb", 0, 0, G_OPTION_ARG_FILENAME, &a.dtb, "A device tree", "FILE" },
		{ "e820", 0, 0, G_OPTION_ARG_FILENAME, &a.e820,
		  "A PC's memory: Linux's log, or lines \"START-END TYPE\"", "FILE" },
		{ "iomem", 0, 0, G_OPTION_ARG_FILENAME, &a.iomem,
		  "The same as in /proc/iomem; each is told from the other", "FILE" },
		{ "live", 0, 0, G_OPTION_ARG_NONE, &a.live, "This machine (the default)", NULL },
		{ "arch", 0, 0, G_OPTION_ARG_STRING, &a.arch,
		  "The kernel's architecture: x86, i386, arm64 or arm", "ARCH" },
		{ "memory", 0, 0, G_OPTION_ARG_STRING_ARRAY, &a.memory,
		  "Memory instead of what is told; may be repeated", "START+SIZE" },
		{ "device", 0, 0, G_OPTION_ARG_STRING_ARRAY, &a.devices,
		  "Advise for this device; LIMITS: bits=N,forbid=MASK,boundary=SIZE; may be repeated",
		  "NAME[:LIMITS]" },
		{ "forbid", 0, 0, G_OPTION_ARG_STRING, &a.forbid,
		  "Address bits that no device can put on its bus", "MASK" },
		{ "no-dma-zone", 0, 0, G_OPTION_ARG_NONE, &a.no_dma, "A kernel without a DMA zone", NULL },
		{ "no-highmem", 0, 0, G_OPTION_ARG_NONE, &a.no_highmem, "A kernel without HIGHMEM", NULL },
		{ "dma-end", 0, 0, G_OPTION_ARG_STRING, &a.dma_end,
		  "Where the kernel's DMA zone ends", "ADDRESS" },
		{ "low-end", 0, 0, G_OPTION_ARG_STRING, &a.low_end,
		  "Where the kernel's low memory ends", "ADDRESS" },
		{ "all", 'a', 0, G_OPTION_ARG_NONE, &a.all, "Name every device", NULL },
		G_OPTION_ENTRY_NULL,
	};
	int ret = CTL_USAGE;

	if (ctl_parse(ctl, argc, &argv, own, NULL,
		      "Shows the zones that Linux makes of a machine's memory, what its devices reach,\n"
		      "and which windows serve them.  Needs no vcmad.") >= 0)
		ret = run(ctl, &a);
	g_free(a.dtb);
	g_free(a.e820);
	g_free(a.iomem);
	g_free(a.arch);
	g_strfreev(a.memory);
	g_strfreev(a.devices);
	g_free(a.forbid);
	g_free(a.dma_end);
	g_free(a.low_end);
	return ret;
}
