// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zones_tree.c - reads a device tree: its nodes, and what machine it is of
 */
#include "zones_tree.h"

#include <libfdt.h>
#include <string.h>

bool tree_refuse(struct tree *t, int i, const char *format, ...)
{
	va_list args;
	char *text, *path;

	if (t->error)
		return false;
	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	if (i < 0) {
		t->error = text;
		return false;
	}
	path = tree_path(t, i);
	t->error = g_strdup_printf("%s: %s", path, text);
	g_free(path);
	g_free(text);
	return false;
}

char *tree_name(const struct tree *t, int i)
{
	return zones_text(t->nodes[i].name, (size_t)t->nodes[i].name_len);
}

char *tree_path(const struct tree *t, int i)
{
	GString *s = g_string_new(NULL);

	for (; i > 0; i = t->nodes[i].parent) {
		char *name = tree_name(t, i);

		g_string_prepend(s, name);
		g_string_prepend_c(s, '/');
		g_free(name);
	}
	if (!s->len)
		g_string_append_c(s, '/');
	return g_string_free(s, FALSE);
}

const void *tree_prop(const struct tree *t, int i, const char *name, int *ret_len)
{
	const void *p = fdt_getprop(t->fdt, t->nodes[i].offset, name, ret_len);

	if (!p)
		*ret_len = 0;
	return p;
}

const char *tree_string(const struct tree *t, int i, const char *name)
{
	int len;
	const char *s = tree_prop(t, i, name, &len);

	return s && len > 0 && memchr(s, '\0', (size_t)len) ? s : NULL;
}

bool tree_has_string(const struct tree *t, int i, const char *property, const char *string)
{
	return fdt_stringlist_search(t->fdt, t->nodes[i].offset, property, string) >= 0;
}

uint32_t tree_cell(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool tree_number(const uint8_t *p, uint32_t cells, uint64_t *ret)
{
	uint64_t value = 0;

	for (; cells; cells--, p += 4) {
		if (value >> 32)
			return false;
		value = value << 32 | tree_cell(p);
	}
	*ret = value;
	return true;
}

bool tree_u32(const struct tree *t, int i, const char *name, uint32_t *ret)
{
	int len;
	const uint8_t *p = tree_prop(t, i, name, &len);

	if (!p || len != 4)
		return false;
	*ret = tree_cell(p);
	return true;
}

int tree_by_phandle(const struct tree *t, uint32_t phandle)
{
	return GPOINTER_TO_INT(g_hash_table_lookup(t->by_phandle, GUINT_TO_POINTER(phandle))) - 1;
}

int tree_root_child(const struct tree *t, const char *name)
{
	int i;

	for (i = 1; i < t->nr; i++) {
		if (t->nodes[i].depth == 1 && strcmp(t->nodes[i].name, name) == 0)
			return i;
	}
	return -1;
}

static bool is_name(const struct tree_node *n, const char *name)
{
	size_t len = strlen(name);

	return strncmp(n->name, name, len) == 0 && (!n->name[len] || n->name[len] == '@');
}

/*
 * "#address-cells" or "#size-cells", or what the parent has.  Trees have odd numbers
 * where no addresses are, so that only the root's have to be good.
 */
static bool read_cells(struct tree *t, int i, const char *name, uint32_t inherited, uint32_t *ret)
{
	int len;

	if (!tree_prop(t, i, name, &len)) {
		if (i == 0)
			return tree_refuse(t, i, "has no %s: no address in the tree can be read", name);
		*ret = inherited;
		return true;
	}
	if (!tree_u32(t, i, name, ret))
		return tree_refuse(t, i, "%s is %d bytes long instead of 4", name, len);
	if (i == 0 && (!*ret || *ret > TREE_CELLS_MAX))
		return tree_refuse(t, i, "%s is %u: addresses have 1 to %d cells", name, *ret,
				   TREE_CELLS_MAX);
	return true;
}

/* Flags and cells of node @i; its parent's are known. */
static bool read_node(struct tree *t, int i)
{
	struct tree_node *n = &t->nodes[i];
	const struct tree_node *up = n->parent < 0 ? NULL : &t->nodes[n->parent];
	const char *status = tree_string(t, i, "status");
	const char *type = tree_string(t, i, "device_type");
	uint32_t phandle = fdt_get_phandle(t->fdt, n->offset);
	int len;

	if (!read_cells(t, i, "#address-cells", up ? up->address_cells : 0, &n->address_cells) ||
	    !read_cells(t, i, "#size-cells", up ? up->size_cells : 0, &n->size_cells))
		return false;

	n->available = (!up || up->available) &&
		(!status || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0);
	n->pci = (type && (strcmp(type, "pci") == 0 || strcmp(type, "pciex") == 0)) ||
		is_name(n, "pcie");
	n->isa = is_name(n, "isa") || (type && strcmp(type, "isa") == 0);
	n->has_ranges = tree_prop(t, i, "dma-ranges", &len) && len;
	n->empty_ranges = tree_prop(t, i, "dma-ranges", &len) && !len;
	n->coherent = tree_prop(t, i, "dma-coherent", &len);
	n->noncoherent = tree_prop(t, i, "dma-noncoherent", &len);
	n->bus = !up || (up->bus && up->size_cells && !is_name(n, "reserved-memory") &&
			 (n->pci || n->isa || n->has_ranges || n->empty_ranges ||
			  tree_prop(t, i, "ranges", &len)));

	if (phandle == 0 || phandle == UINT32_MAX)
		return true;
	n->phandle = phandle;
	if (tree_by_phandle(t, phandle) >= 0) {
		char *other = tree_path(t, tree_by_phandle(t, phandle));

		tree_refuse(t, i, "phandle 0x%x is that of %s, too", phandle, other);
		g_free(other);
		return false;
	}
	g_hash_table_insert(t->by_phandle, GUINT_TO_POINTER(phandle), GINT_TO_POINTER(i + 1));
	return true;
}

static bool read_nodes(struct tree *t)
{
	GArray *nodes = g_array_new(FALSE, TRUE, sizeof(struct tree_node));
	int above[ZONES_DEPTH_MAX] = { 0 };
	int offset, depth = 0, i;

	for (offset = 0; offset >= 0 && depth >= 0; offset = fdt_next_node(t->fdt, offset, &depth)) {
		struct tree_node n = { .offset = offset, .depth = (unsigned int)depth };

		if (depth >= ZONES_DEPTH_MAX) {
			tree_refuse(t, -1, "nodes are nested more than %d deep", ZONES_DEPTH_MAX);
			break;
		}
		if (nodes->len >= ZONES_NODES_MAX) {
			tree_refuse(t, -1, "more than %d nodes", ZONES_NODES_MAX);
			break;
		}
		n.name = fdt_get_name(t->fdt, offset, &n.name_len);
		if (!n.name) {
			tree_refuse(t, -1, "a node at offset %d has no name", offset);
			break;
		}
		if (n.name_len > TREE_NAME_MAX) {
			tree_refuse(t, -1, "a node's name is longer than %d bytes", TREE_NAME_MAX);
			break;
		}
		n.parent = depth ? above[depth - 1] : -1;
		above[depth] = (int)nodes->len;
		g_array_append_val(nodes, n);
	}
	t->nr = (int)nodes->len;
	t->nodes = (struct tree_node *)g_array_free(nodes, FALSE);
	for (i = 0; !t->error && i < t->nr; i++)
		read_node(t, i);
	for (i = 0; !t->error && i < t->nr; i++)
		tree_find_dma_parent(t, i);
	return !t->error;
}

/* Cores that have no 64-bit mode; all others may run either kernel. */
static bool is_32bit_cpu(const char *name)
{
	static const char *const cores[] = {
		"arm,cortex-a5", "arm,cortex-a7", "arm,cortex-a8", "arm,cortex-a9",
		"arm,cortex-a12", "arm,cortex-a15", "arm,cortex-a17", "brcm,brahma-b15",
		"marvell,sheeva-v7", NULL,
	};
	static const char *const families[] = {
		"arm,arm7", "arm,arm9", "arm,arm1", "arm,cortex-m", "marvell,pj4", "qcom,krait", "qcom,scorpion",
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(families); i++) {
		if (g_str_has_prefix(name, families[i]))
			return true;
	}
	return g_strv_contains(cores, name);
}

static bool read_arch(struct tree *t)
{
	int cpus = tree_root_child(t, "cpus");
	int i;

	for (i = cpus + 1; cpus >= 0 && i < t->nr && t->nodes[i].depth > 1; i++) {
		const char *cpu = tree_string(t, i, "compatible");

		if (t->nodes[i].depth != 2 || !is_name(&t->nodes[i], "cpu") || !cpu)
			continue;
		if (tree_has_string(t, i, "compatible", "riscv") || g_str_has_prefix(cpu, "PowerPC,"))
			return tree_refuse(t, i, "is no ARM processor; only ARM's device trees are understood");
		t->p->arch = is_32bit_cpu(cpu) ? ZONES_ARM : ZONES_ARM64;
		break;
	}
	return true;
}

/*
 * What the machine is.  Linux for 32-bit ARM has the size of the DMA zone of some
 * machines in its source, as dma_zone_size; those of Debian's armmp kernels in 6.1.
 */
static void read_machine(struct tree *t)
{
	static const struct { const char *compatible; uint64_t size; } machines[] = {
		{ "brcm,bcm2711", 1 * GIB },		/* mach-bcm/bcm2711.c */
		{ "ti,omap5", 2 * GIB },		/* mach-omap2/board-generic.c */
		{ "ti,dra7", 2 * GIB },
		{ "ti,am57", 2 * GIB },
		{ "calxeda,highbank", 4 * GIB },	/* mach-highbank/highbank.c */
		{ "calxeda,ecx-2000", 4 * GIB },
	};
	const char *model = tree_string(t, 0, "model");
	const char *name = tree_string(t, 0, "compatible");
	size_t i;

	if (model || name)
		t->p->model = zones_text(model ? model : name, 80);
	t->p->qemu_virt = tree_has_string(t, 0, "compatible", "linux,dummy-virt");
	for (i = 0; i < G_N_ELEMENTS(machines); i++) {
		if (tree_has_string(t, 0, "compatible", machines[i].compatible))
			t->p->dma_zone_size = machines[i].size;
	}
}

/* What fdt_check_full() has against it, in words. */
static const char *why_broken(int error)
{
	switch (-error) {
	case FDT_ERR_TRUNCATED:
		return "it ends too soon";
	case FDT_ERR_BADMAGIC:
		return "it is no device tree (it does not begin with d00dfeed)";
	case FDT_ERR_BADVERSION:
		return "it is of a version that is not understood; 16 and 17 are";
	case FDT_ERR_BADSTRUCTURE:
		return "its nodes and properties do not fit together";
	case FDT_ERR_BADLAYOUT:
		return "its parts do not lie where they should";
	default:
		return fdt_strerror(error);
	}
}

/*
 * The name of a node of a version before 16 is a path; libfdt 1.6.1 takes for granted
 * that it has a slash in it, and reads address 0 if it has not.
 */
static int check_blob(const void *fdt, size_t size)
{
	int ret = size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED : fdt_check_header(fdt);

	if (!ret && fdt_version(fdt) < 16)
		ret = -FDT_ERR_BADVERSION;
	return ret ? ret : fdt_check_full(fdt, size);
}

struct zones_platform *zones_tree_read(const void *blob, size_t size, char **ret_error)
{
	struct tree t = { .p = zones_platform_new() };
	void *copy = NULL;
	int i, ret;

	t.by_phandle = g_hash_table_new(NULL, NULL);
	t.reserved = g_hash_table_new(NULL, NULL);
	if (size > ZONES_TREE_MAX) {
		tree_refuse(&t, -1, "it is larger than %uM, Linux's limit", ZONES_TREE_MAX >> 20);
	} else {
		/* libfdt wants it aligned. */
		copy = g_memdup2(blob, size);
		t.fdt = copy;
		ret = check_blob(copy, size);
		if (ret)
			tree_refuse(&t, -1, "the device tree is broken: %s", why_broken(ret));
	}

	t.p->tree = true;
	if (!t.error && read_nodes(&t) && read_arch(&t)) {
		read_machine(&t);
		if (tree_read_memory(&t) && tree_read_limit(&t))
			tree_read_devices(&t);
	}

	for (i = 0; i < t.nr; i++)
		zones_map_unref(t.nodes[i].map);
	g_free(t.nodes);
	g_hash_table_unref(t.by_phandle);
	g_hash_table_unref(t.reserved);
	g_free(copy);
	if (t.error) {
		zones_platform_free(t.p);
		*ret_error = t.error;
		return NULL;
	}
	t.p->tree = true;
	return t.p;
}
