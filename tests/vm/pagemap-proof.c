// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pagemap-proof.c - shows which host pages are behind each lease of running VMs, and judges them
 *
 * usage: pagemap-proof [--file NAME] NAME=QMP-SOCKET...
 *
 * Nothing here is what vcmad says.  QEMU's monitor tells where guest-physical
 * RAM is in its address space (info mtree, gpa2hva; not info mtree -f, which on
 * QEMU 7.2 keeps every region that it has shown for ever); /proc/PID/maps tells
 * which of that is a granule's file; /proc/PID/pagemap tells the page frame
 * behind every single 4 KiB of it, at this moment.  PID is who listens on the
 * socket.
 *
 * --file says how granules' files are called in maps; it lets one see the proof
 * fail on memory that is not vcma's.
 *
 * Fails if a lease is not made of consecutive pages, if a page is not there,
 * if two leases share a page, in one process or in two, or if a file is mapped by
 * two processes.  Granules that a process maps but its guest does not see (a
 * lease on its way out) are counted, and their pages compared, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAGE		UINT64_C(4096)
#define PRESENT		(UINT64_C(1) << 63)
#define PFN_MASK	((UINT64_C(1) << 55) - 1)
#define GRANULE_FILE	"/memfd:vcma"
#define REPLY_MS	10000
#define REPLY_MAX	(4u << 20)
#define NO_ADDR		(~UINT64_C(0))

/* A mapping of a granule's file. */
struct mapping {
	uint64_t start, end;
	uint64_t inode;
	bool used;		/* a part of a lease that the guest sees */
};

/* Guest-physical memory that is made of granules, and what is behind it. */
struct lease {
	const char *vm;
	uint64_t gpa, size, hva;
	uint64_t pfn, last_pfn;
	bool present, contiguous;
	bool unseen;		/* mapped by the process, but not in the guest */
};

struct vm {
	const char *name;
	char *reply;		/* the monitor's latest */
	int qmp, pagemap;
	pid_t pid;
	struct mapping *map;
	size_t nr_maps;
};

struct proof {
	struct lease *lease;
	size_t nr;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "pagemap-proof: %s: %s\n", what, why);
	exit(2);
}

/* @p with room for one more element after the @nr it has. */
static void *grow(void *p, size_t nr, size_t size)
{
	if (nr & (nr - 1))
		return p;
	p = realloc(p, (nr ? nr * 2 : 1) * size);
	if (!p)
		die("memory", strerror(ENOMEM));
	return p;
}

/* --- QEMU's monitor */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The next line that begins with @start, in vm->reply. */
static void qmp_wait(struct vm *vm, const char *start)
{
	int64_t end = now_ms() + REPLY_MS;
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = { .fd = vm->qmp, .events = POLLIN };
		int64_t left = end - now_ms();

		if (left <= 0 || len == REPLY_MAX - 1)
			die(vm->name, "QEMU's monitor does not answer");
		if (poll(&pfd, 1, (int)left) <= 0)
			continue;
		/* Byte by byte: a line must not take from the next one. */
		if (read(vm->qmp, vm->reply + len, 1) != 1)
			die(vm->name, "QEMU closed its monitor");
		if (vm->reply[len++] != '\n')
			continue;
		vm->reply[len] = '\0';
		if (!strncmp(vm->reply, start, strlen(start)))
			return;
		if (!strncmp(vm->reply, "{\"error\"", 8))
			die(vm->name, vm->reply);
		len = 0;
	}
}

static void qmp_send(struct vm *vm, const char *text)
{
	size_t len = strlen(text);

	if (send(vm->qmp, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		die(vm->name, "QEMU's monitor takes no command");
}

/* A command of the human monitor; its text is vm->reply then. */
static void hmp(struct vm *vm, const char *command)
{
	char json[256], *from, *to;

	snprintf(json, sizeof(json),
		 "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"%s\"}}\n",
		 command);
	qmp_send(vm, json);
	qmp_wait(vm, "{\"return\"");
	from = strstr(vm->reply, ": \"");
	if (!from)
		die(vm->name, vm->reply);
	for (from += 3, to = vm->reply; *from && *from != '"'; from++) {
		if (*from != '\\')
			*to++ = *from;
		else if (*++from == 'n')
			*to++ = '\n';
		else if (*from != 'r')
			*to++ = *from;
	}
	*to = '\0';
}

static void vm_open(struct vm *vm, char *arg)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char path[64], *socket_path = strchr(arg, '=');

	if (!socket_path || strlen(socket_path + 1) >= sizeof(sun.sun_path))
		die(arg, "not NAME=QMP-SOCKET");
	*socket_path++ = '\0';
	vm->name = arg;
	strcpy(sun.sun_path, socket_path);
	vm->reply = malloc(REPLY_MAX);
	vm->qmp = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!vm->reply || vm->qmp < 0 || connect(vm->qmp, (void *)&sun, sizeof(sun)) < 0)
		die(socket_path, strerror(errno));
	if (getsockopt(vm->qmp, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		die(socket_path, strerror(errno));
	vm->pid = cred.pid;
	qmp_wait(vm, "{\"QMP\"");
	qmp_send(vm, "{\"execute\":\"qmp_capabilities\"}\n");
	qmp_wait(vm, "{\"return\"");
	snprintf(path, sizeof(path), "/proc/%d/pagemap", vm->pid);
	vm->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (vm->pagemap < 0)
		die(path, strerror(errno));
}

/* --- what is mapped where */

static void read_maps(struct vm *vm, const char *granule_file)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", vm->pid);
	f = fopen(path, "re");
	if (!f)
		die(path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		struct mapping m = { 0 };
		char name[256] = "";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64 " %255s",
			   &m.start, &m.end, &m.inode, name) < 4 ||
		    strncmp(name, granule_file, strlen(granule_file)))
			continue;
		vm->map = grow(vm->map, vm->nr_maps, sizeof(m));
		vm->map[vm->nr_maps++] = m;
	}
	fclose(f);
}

/* Is [hva, hva + size) all granules?  Marks them. */
static bool is_granules(struct vm *vm, uint64_t hva, uint64_t size)
{
	uint64_t at = hva;

	/* The kernel lists mappings by address. */
	for (size_t i = 0; i < vm->nr_maps && at < hva + size; i++) {
		if (vm->map[i].start <= at && at < vm->map[i].end) {
			vm->map[i].used = true;
			at = vm->map[i].end;
		}
	}
	return at >= hva + size;
}

static uint64_t gpa_to_hva(struct vm *vm, uint64_t gpa)
{
	char command[64];
	uint64_t hva;
	char *is;

	snprintf(command, sizeof(command), "gpa2hva 0x%" PRIx64, gpa);
	hmp(vm, command);
	is = strstr(vm->reply, ") is 0x");
	return is && sscanf(is, ") is 0x%" SCNx64, &hva) == 1 ? hva : NO_ADDR;
}

static void read_frames(struct vm *vm, struct lease *l)
{
	uint64_t nr = l->size / PAGE;
	uint64_t *entry = calloc(nr, sizeof(*entry));
	size_t bytes = nr * sizeof(*entry);

	if (!entry)
		die("memory", strerror(ENOMEM));
	if (pread(vm->pagemap, entry, bytes, (off_t)(l->hva / PAGE * sizeof(*entry))) != (ssize_t)bytes)
		die("pagemap", strerror(errno));
	l->present = l->contiguous = true;
	for (uint64_t i = 0; i < nr; i++) {
		if (!(entry[i] & PRESENT) || !(entry[i] & PFN_MASK))
			l->present = l->contiguous = false;
		if ((entry[i] & PFN_MASK) != (entry[0] & PFN_MASK) + i)
			l->contiguous = false;
	}
	l->pfn = entry[0] & PFN_MASK;
	l->last_pfn = entry[nr - 1] & PFN_MASK;
	free(entry);
}

static int by_gpa(const void *a, const void *b)
{
	const struct lease *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static void add_lease(struct proof *proof, const struct lease *l)
{
	proof->lease = grow(proof->lease, proof->nr, sizeof(*l));
	proof->lease[proof->nr++] = *l;
}

/* All RAM of the guest that is made of granules, and granules beside it. */
static void read_leases(struct vm *vm, struct proof *proof, const char *granule_file)
{
	struct lease *found = NULL;
	size_t nr = 0;
	char *line, *save = NULL;

	read_maps(vm, granule_file);
	hmp(vm, "info mtree");
	for (line = strtok_r(vm->reply, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct lease l = { .vm = vm->name };
		uint64_t end;
		int at = 0;

		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " (prio %*d, ram): %n", &l.gpa, &end, &at) < 2 ||
		    !at || !strncmp(line + at, "alias ", 6) || strstr(line, "[disabled]"))
			continue;
		l.size = end - l.gpa + 1;
		found = grow(found, nr, sizeof(l));
		found[nr++] = l;
	}
	if (nr)
		qsort(found, nr, sizeof(*found), by_gpa);
	for (size_t i = 0; i < nr; i++) {
		struct lease *l = &found[i];

		/* What is behind a bridge, say, is printed several times. */
		if (i && l->gpa == found[i - 1].gpa && l->size == found[i - 1].size)
			continue;
		l->hva = gpa_to_hva(vm, l->gpa);
		if (l->hva == NO_ADDR || !is_granules(vm, l->hva, l->size))
			continue;
		read_frames(vm, l);
		add_lease(proof, l);
	}
	free(found);
	for (size_t i = 0; i < vm->nr_maps; i++) {
		const struct mapping *m = &vm->map[i];
		struct lease l = { .vm = vm->name, .hva = m->start, .gpa = NO_ADDR,
				   .size = m->end - m->start, .unseen = true };

		if (m->used)
			continue;
		read_frames(vm, &l);
		add_lease(proof, &l);
	}
}

/* --- the judgement */

static int by_pfn(const void *a, const void *b)
{
	const struct lease *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

static void print_leases(const struct proof *proof)
{
	unsigned int unseen = 0;

	printf("%-8s %-7s %-39s %-23s %8s  %s\n", "VM", "window", "guest-physical range",
	       "page frames", "size", "contiguous");
	for (size_t i = 0; i < proof->nr; i++) {
		const struct lease *l = &proof->lease[i];

		if (l->unseen) {
			unseen++;
			continue;
		}
		printf("%-8s %-7s 0x%016" PRIx64 "-0x%016" PRIx64 "   0x%08" PRIx64 "-0x%08" PRIx64 " %5" PRIu64 " MiB  %s\n",
		       l->vm, l->gpa < (UINT64_C(1) << 32) ? "DMA32" : "NORMAL",
		       l->gpa, l->gpa + l->size - 1, l->pfn, l->last_pfn, l->size >> 20,
		       l->contiguous ? "yes" : l->present ? "NO" : "NO (not present)");
	}
	if (unseen)
		printf("and %u granules that a process maps but its guest does not see\n", unseen);
}

static unsigned int judge_leases(struct proof *proof)
{
	unsigned int bad = 0;

	for (size_t i = 0; i < proof->nr; i++)
		bad += !proof->lease[i].unseen && !proof->lease[i].contiguous;
	if (bad)
		printf("FAIL: %u leases are not made of consecutive pages\n", bad);
	qsort(proof->lease, proof->nr, sizeof(*proof->lease), by_pfn);
	for (size_t i = 1; i < proof->nr; i++) {
		const struct lease *a = &proof->lease[i - 1], *b = &proof->lease[i];

		if (a->contiguous && b->contiguous && b->pfn <= a->last_pfn) {
			printf("FAIL: page frame 0x%" PRIx64 " is in two leases: %s at 0x%" PRIx64 ", %s at 0x%" PRIx64 "\n",
			       b->pfn, a->vm, a->gpa, b->vm, b->gpa);
			bad++;
		}
	}
	return bad;
}

static unsigned int judge_mappings(const struct vm *vm, size_t nr)
{
	unsigned int bad = 0;

	for (size_t v = 0; v < nr; v++) {
		for (size_t i = 0; i < vm[v].nr_maps; i++) {
			const struct mapping *m = &vm[v].map[i];

			for (size_t w = 0; w < v; w++) {
				for (size_t j = 0; j < vm[w].nr_maps; j++) {
					if (vm[w].map[j].inode != m->inode)
						continue;
					printf("FAIL: %s and %s map the same file, inode %" PRIu64 "\n",
					       vm[w].name, vm[v].name, m->inode);
					bad++;
				}
			}
		}
	}
	return bad;
}

int main(int argc, char **argv)
{
	const char *granule_file = GRANULE_FILE;
	struct proof proof = { 0 };
	struct vm *vm;
	size_t nr, leases = 0;
	uint64_t bytes = 0;
	unsigned int bad;

	if (argc > 3 && !strcmp(argv[1], "--file")) {
		granule_file = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: pagemap-proof [--file NAME] NAME=QMP-SOCKET...\n");
		return 2;
	}
	nr = (size_t)argc - 1;
	vm = calloc(nr, sizeof(*vm));
	if (!vm)
		die("memory", strerror(ENOMEM));
	for (size_t i = 0; i < nr; i++)
		vm_open(&vm[i], argv[i + 1]);
	for (size_t i = 0; i < nr; i++)
		read_leases(&vm[i], &proof, granule_file);
	print_leases(&proof);
	for (size_t i = 0; i < proof.nr; i++) {
		if (proof.lease[i].unseen)
			continue;
		bytes += proof.lease[i].size;
		leases++;
	}
	bad = judge_leases(&proof) + judge_mappings(vm, nr);
	if (!bad)
		printf("%zu leases, %" PRIu64 " MiB, %" PRIu64 " pages: all contiguous, no page frame twice\n",
		       leases, bytes >> 20, bytes / PAGE);
	return bad ? 1 : 0;
}
