// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer.c - a VM process without a VM, told line by line what to do
 *
 *	peer SOCKET [INSTANCE]
 *
 * Reads commands from standard input and writes one line for each: "ok ...",
 * "refused STATUS", "bad ..." or "error ...".  Meanwhile it answers the broker:
 * PING always, RECLAIM as the command on-reclaim says.
 *
 *	info				banks, granule, chunk, largest lease, guarantee, limit, instance
 *	lease NAME SIZE [DEADLINE_MS [BANK]]
 *					ok ID GRANULES, mapped side by side
 *	fill NAME BYTE			write the byte everywhere
 *	check NAME BYTE			is it there everywhere?
 *	pfn NAME			first PFN, from pagemap; bad if they are not consecutive
 *	release NAME...			unmap, close, RELEASE all of them at once
 *	keep NAME			RELEASE, but keep descriptors and mapping
 *	poke NAME BYTE			write to what was kept: ok, or "ok fault"
 *	peek NAME BYTE			as check, or "ok fault"
 *	remap NAME			map what was kept anew, writable: ok, or "ok refused"
 *	haunt NAME			from now on a thread here, and another process that was sent
 *					the descriptors, touch it in a loop
 *	haunted				how often each tried and reached anything, since last asked:
 *					ok TRIED REACHED TRIED REACHED
 *	obstruct NAME			seal against shrinking and against seals
 *	on-reclaim release|busy|ignore	the default is release
 *	reclaimed			how many leases were given back on RECLAIM, since last asked
 *	wait MS				do nothing but listen
 *	stall MS			do nothing at all
 *	close				end the connection, keep everything
 *	connect [same]			connect again; same: with the instance from before
 *	forget NAME			unmap and close, say nothing
 *	quit
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "haunt.h"
#include "size.h"
#include "wire.h"

#define LEASES_MAX	256
#define WORDS_MAX	8
#define DEADLINE_MS	10000

struct held {
	char name[32];
	bool used, kept;
	uint64_t id, size;
	uint32_t nr;
	int *fds;
	uint8_t *map;
};

enum on_reclaim { RECLAIM_RELEASE, RECLAIM_BUSY, RECLAIM_IGNORE };

struct peer {
	struct vcma_client *client;
	const char *path;
	struct held held[LEASES_MAX];
	uint64_t granule, instance;
	enum on_reclaim on_reclaim;
	unsigned int reclaimed;
	uint32_t closed_status;
	/* of the request that is being waited for */
	bool answered;
	uint32_t status;
	struct vcma_client_lease lease;
};

/* All that a signal handler can reach. */
static _Thread_local sigjmp_buf fault_jump;
static _Thread_local volatile sig_atomic_t fault_expected;

static void on_fault(int sig)
{
	haunt_fault();
	if (fault_expected)
		siglongjmp(fault_jump, sig);
	signal(sig, SIG_DFL);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- leases --- */

static struct held *find(struct peer *p, const char *name)
{
	for (unsigned int i = 0; i < LEASES_MAX; i++)
		if (p->held[i].used && !strcmp(p->held[i].name, name))
			return &p->held[i];
	return NULL;
}

static struct held *find_id(struct peer *p, uint64_t id)
{
	for (unsigned int i = 0; i < LEASES_MAX; i++)
		if (p->held[i].used && !p->held[i].kept && p->held[i].id == id)
			return &p->held[i];
	return NULL;
}

static int map_lease(struct peer *p, struct held *h)
{
	/* Aligned, so that huge pages fit. */
	uint8_t *area = mmap(NULL, h->size + p->granule, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	h->map = area + (-(uintptr_t)area & (p->granule - 1));
	if (h->map > area)
		munmap(area, (size_t)(h->map - area));
	if (h->map < area + p->granule)
		munmap(h->map + h->size, (size_t)(area + p->granule - h->map));
	for (uint32_t i = 0; i < h->nr; i++)
		if (mmap(h->map + i * p->granule, p->granule, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, h->fds[i], 0) == MAP_FAILED)
			return -errno;
	return 0;
}

static void drop(struct held *h)
{
	if (h->map)
		munmap(h->map, h->size);
	for (uint32_t i = 0; i < h->nr; i++)
		close(h->fds[i]);
	free(h->fds);
	memset(h, 0, sizeof(*h));
}

/* --- the client's callbacks --- */

static void on_hello(void *opaque, uint32_t status, const struct vcma_client_info *info)
{
	struct peer *p = opaque;

	if (status == VCMA_ST_OK) {
		p->granule = info->granule_size;
		p->instance = info->instance;
	}
}

static void on_reclaim(void *opaque, uint32_t id, uint32_t deadline_ms, const uint64_t *lease,
		       uint32_t count)
{
	struct peer *p = opaque;
	uint64_t ids[VCMA_IDS_MAX];
	uint32_t n = 0;

	(void)deadline_ms;
	if (p->on_reclaim == RECLAIM_IGNORE)
		return;
	for (uint32_t i = 0; p->on_reclaim == RECLAIM_RELEASE && i < count; i++) {
		struct held *h = find_id(p, lease[i]);

		if (!h)
			continue;
		drop(h);
		ids[n++] = lease[i];
	}
	if (n)
		vcma_client_release(p->client, ids, n, NULL, NULL);
	p->reclaimed += n;
	vcma_client_reclaim_done(p->client, id, n == count ? VCMA_ST_OK : VCMA_ST_BUSY);
}

static void on_closed(void *opaque, int err, uint32_t status)
{
	struct peer *p = opaque;

	(void)err;
	p->closed_status = status;
}

static void on_lease(void *opaque, uint32_t status, struct vcma_client_lease *lease)
{
	struct peer *p = opaque;

	p->answered = true;
	p->status = status;
	if (lease)
		p->lease = *lease;
}

static void on_reply(void *opaque, uint32_t status, const struct vcma_hdr *msg, size_t len)
{
	struct peer *p = opaque;

	(void)msg;
	(void)len;
	p->answered = true;
	p->status = status;
}

/* Listen until there is an answer, or for @ms. */
static bool listen_for(struct peer *p, uint64_t ms, bool answer)
{
	uint64_t end = now_ms() + ms;

	while (!answer || !p->answered) {
		uint64_t now = now_ms();
		struct pollfd pfd = { .fd = vcma_client_fd(p->client),
				      .events = vcma_client_events(p->client) };
		int timeout = vcma_client_timeout(p->client);

		if (now >= end)
			return false;
		if (timeout < 0 || (uint64_t)timeout > end - now)
			timeout = (int)(end - now);
		poll(&pfd, 1, timeout);
		if (pfd.fd >= 0)
			vcma_client_dispatch(p->client);
		else if (answer)
			return p->answered;
	}
	return true;
}

/* --- commands --- */

static void cmd_lease(struct peer *p, const char *name, const char *size, const char *deadline,
		      const char *bank)
{
	struct vcma_client_lease_args args = { .max_addr = ~UINT64_C(0), .deadline_ms = 2000 };
	struct held *h = NULL;
	int r;

	if (find(p, name) || size_parse(size, &args.size) < 0) {
		printf("error: name or size\n");
		return;
	}
	if (deadline)
		args.deadline_ms = (uint32_t)atoi(deadline);
	if (deadline && bank)
		args.bank = (uint32_t)atoi(bank);
	for (unsigned int i = 0; i < LEASES_MAX && !h; i++)
		h = p->held[i].used ? NULL : &p->held[i];
	if (!h) {
		printf("error: too many leases\n");
		return;
	}
	p->answered = false;
	r = vcma_client_lease(p->client, &args, on_lease, p);
	if (r < 0 || !listen_for(p, args.deadline_ms + DEADLINE_MS, true)) {
		printf("error: %s\n", r < 0 ? strerror(-r) : "no answer");
		return;
	}
	if (p->status != VCMA_ST_OK) {
		printf("refused %s\n", vcma_status_name(p->status));
		return;
	}
	h->used = true;
	snprintf(h->name, sizeof(h->name), "%s", name);
	h->id = p->lease.lease;
	h->size = p->lease.size;
	h->nr = p->lease.nr_granules;
	h->fds = p->lease.fds;
	r = map_lease(p, h);
	if (r < 0)
		printf("error: map: %s\n", strerror(-r));
	else
		printf("ok %" PRIu64 " %" PRIu32 "\n", h->id, h->nr);
}

static bool fill(struct held *h, int v)
{
	if (sigsetjmp(fault_jump, 1)) {
		fault_expected = 0;
		return false;
	}
	fault_expected = 1;
	memset(h->map, v, h->size);
	fault_expected = 0;
	return true;
}

static void cmd_fill(struct held *h, const char *byte)
{
	printf("%s\n", fill(h, (int)strtoul(byte, NULL, 0) & 255) ? "ok" : "ok fault");
}

/* False: a fault.  *ret_at: where the first other byte is. */
static bool compare(const volatile uint8_t *map, uint64_t size, uint8_t v,
		    volatile uint64_t *ret_at, volatile uint8_t *ret_byte)
{
	if (sigsetjmp(fault_jump, 1)) {
		fault_expected = 0;
		return false;
	}
	fault_expected = 1;
	for (*ret_at = 0; *ret_at < size; *ret_at += 1) {
		*ret_byte = map[*ret_at];
		if (*ret_byte != v)
			break;
	}
	fault_expected = 0;
	return true;
}

static void cmd_check(struct held *h, const char *byte)
{
	volatile uint64_t at = 0;
	volatile uint8_t found = 0;

	if (!compare(h->map, h->size, (uint8_t)strtoul(byte, NULL, 0), &at, &found))
		printf("ok fault\n");
	else if (at < h->size)
		printf("bad 0x%02x at 0x%" PRIx64 "\n", found, at);
	else
		printf("ok\n");
}

static void cmd_remap(struct peer *p, struct held *h)
{
	void *m = mmap(NULL, p->granule, PROT_READ | PROT_WRITE, MAP_SHARED, h->fds[0], 0);
	volatile uint64_t at = 0;
	volatile uint8_t found = 0;

	if (m == MAP_FAILED) {
		printf("ok refused\n");
		return;
	}
	if (compare(m, 1, 0, &at, &found))
		printf("ok 0x%02x\n", found);
	else
		printf("ok fault\n");
	munmap(m, p->granule);
}

static void cmd_pfn(struct peer *p, struct held *h)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t first = 0;

	for (uint32_t i = 0; i < h->nr; i++) {
		const uint8_t *at = h->map + i * p->granule;
		uint64_t entry = 0, pfn;

		(void)*(const volatile uint8_t *)at;
		if (pread(fd, &entry, 8, (off_t)((uintptr_t)at / 4096 * 8)) != 8)
			entry = 0;
		pfn = entry & ((UINT64_C(1) << 55) - 1);
		if (!i)
			first = pfn;
		if (!pfn || pfn != first + i * (p->granule >> 12)) {
			printf("bad granule %" PRIu32 " is at 0x%" PRIx64 "\n", i, pfn);
			close(fd);
			return;
		}
	}
	close(fd);
	printf("ok 0x%" PRIx64 "\n", first);
}

static void release_ids(struct peer *p, const uint64_t *id, uint32_t n)
{
	int r;

	p->answered = false;
	r = vcma_client_release(p->client, id, n, on_reply, p);
	if (r < 0 || !listen_for(p, DEADLINE_MS, true))
		printf("error: %s\n", r < 0 ? strerror(-r) : "no answer");
	else if (p->status != VCMA_ST_OK)
		printf("refused %s\n", vcma_status_name(p->status));
	else
		printf("ok\n");
}

static void cmd_keep(struct peer *p, struct held *h)
{
	h->kept = true;
	release_ids(p, &h->id, 1);
}

static void cmd_release(struct peer *p, char **names)
{
	struct held *h[WORDS_MAX];
	uint64_t id[WORDS_MAX];
	uint32_t n = 0;

	for (; *names; names++) {
		h[n] = find(p, *names);
		if (!h[n]) {
			printf("error: %s: no such lease\n", *names);
			return;
		}
		id[n] = h[n]->id;
		n++;
	}
	for (uint32_t i = 0; i < n; i++)
		drop(h[i]);
	release_ids(p, id, n);
}

static void cmd_haunt(struct peer *p, struct held *h)
{
	int r = haunt_start(h->map, h->fds, h->nr, p->granule);

	printf("%s%s\n", r < 0 ? "error: " : "ok", r < 0 ? strerror(-r) : "");
}

static void cmd_haunted(void)
{
	printf("ok");
	for (unsigned int i = 0; i < HAUNT_GHOSTS; i++) {
		unsigned long tried, reached;

		haunt_count(i, &tried, &reached);
		printf(" %lu %lu", tried, reached);
	}
	printf("\n");
}

static void cmd_obstruct(struct held *h)
{
	for (uint32_t i = 0; i < h->nr; i++) {
		if (fcntl(h->fds[i], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
			printf("error: %s\n", strerror(errno));
			return;
		}
	}
	printf("ok\n");
}

static void cmd_connect(struct peer *p, uint64_t instance)
{
	uint32_t status = 0;
	int r = vcma_client_connect(p->client, p->path, "peer", instance);

	if (r == 0)
		r = vcma_client_wait_hello(p->client, DEADLINE_MS, &status);
	if (r == 0)
		printf("ok%s\n", vcma_client_info(p->client)->flags & VCMA_HELLO_RESUMED ?
		       " resumed" : "");
	else if (r == -EACCES && status)
		printf("refused %s\n", vcma_status_name(status));
	else
		printf("error: %s\n", strerror(-r));
}

static void cmd_info(struct peer *p)
{
	const struct vcma_client_info *i = vcma_client_info(p->client);

	if (!i) {
		printf("refused %s\n", vcma_status_name(p->closed_status));
		return;
	}
	printf("ok vm=%s pool=%s granule=%" PRIu64 " chunk=%" PRIu64 " max=%" PRIu64
	       " guarantee=%" PRIu64 " limit=%" PRIu64 " contiguous=%d banks=%" PRIx32
	       " instance=%" PRIx64 "\n",
	       i->vm, i->pool, i->granule_size, i->chunk_size, i->lease_max, i->guarantee,
	       i->limit, !!(i->flags & VCMA_POOL_CONTIGUOUS), i->banks, i->instance);
}

static void cmd_on_reclaim(struct peer *p, const char *how)
{
	p->on_reclaim = !strcmp(how, "busy") ? RECLAIM_BUSY :
			!strcmp(how, "ignore") ? RECLAIM_IGNORE : RECLAIM_RELEASE;
	printf("ok\n");
}

static bool on_lease_command(struct peer *p, char **w)
{
	struct held *h = w[1] ? find(p, w[1]) : NULL;
	const char *byte = w[1] && w[2] ? w[2] : "0";

	if (!strcmp(w[0], "lease") && w[1] && w[2])
		cmd_lease(p, w[1], w[2], w[3], w[3] ? w[4] : NULL);
	else if (!h)
		return false;
	else if (!strcmp(w[0], "fill") || !strcmp(w[0], "poke"))
		cmd_fill(h, byte);
	else if (!strcmp(w[0], "check") || !strcmp(w[0], "peek"))
		cmd_check(h, byte);
	else if (!strcmp(w[0], "pfn"))
		cmd_pfn(p, h);
	else if (!strcmp(w[0], "release"))
		cmd_release(p, w + 1);
	else if (!strcmp(w[0], "keep"))
		cmd_keep(p, h);
	else if (!strcmp(w[0], "remap"))
		cmd_remap(p, h);
	else if (!strcmp(w[0], "haunt"))
		cmd_haunt(p, h);
	else if (!strcmp(w[0], "obstruct"))
		cmd_obstruct(h);
	else if (!strcmp(w[0], "forget"))
		printf("ok %" PRIu64 "\n", (drop(h), (uint64_t)0));
	else
		return false;
	return true;
}

static void command(struct peer *p, char **w)
{
	if (!strcmp(w[0], "quit")) {
		vcma_client_free(p->client);
		exit(0);
	}
	if (!strcmp(w[0], "info")) {
		cmd_info(p);
	} else if (!strcmp(w[0], "on-reclaim") && w[1]) {
		cmd_on_reclaim(p, w[1]);
	} else if (!strcmp(w[0], "reclaimed")) {
		printf("ok %u\n", p->reclaimed);
		p->reclaimed = 0;
	} else if (!strcmp(w[0], "wait") && w[1]) {
		listen_for(p, (uint64_t)atoi(w[1]), false);
		printf("ok\n");
	} else if (!strcmp(w[0], "stall") && w[1]) {
		usleep((useconds_t)atoi(w[1]) * 1000);
		printf("ok\n");
	} else if (!strcmp(w[0], "haunted")) {
		cmd_haunted();
	} else if (!strcmp(w[0], "close")) {
		vcma_client_close(p->client);
		printf("ok\n");
	} else if (!strcmp(w[0], "connect")) {
		cmd_connect(p, w[1] ? p->instance : 0);
	} else if (!on_lease_command(p, w)) {
		printf("error: %s: no such command or lease\n", w[0]);
	}
}

static void line(struct peer *p, char *text)
{
	char *w[WORDS_MAX + 1] = { NULL }, *save = NULL;
	unsigned int n = 0;

	for (char *t = strtok_r(text, " \n", &save); t && n < WORDS_MAX;
	     t = strtok_r(NULL, " \n", &save))
		w[n++] = t;
	if (n)
		command(p, w);
}

/* Lines as they come, with the broker listened to in between. */
static int loop(struct peer *p)
{
	char buf[4096];
	size_t len = 0;

	for (;;) {
		struct pollfd pfd[2] = {
			{ .fd = 0, .events = POLLIN },
			{ .fd = vcma_client_fd(p->client), .events = vcma_client_events(p->client) },
		};
		char *end;
		ssize_t n;

		poll(pfd, 2, vcma_client_timeout(p->client));
		if (pfd[1].fd >= 0)
			vcma_client_dispatch(p->client);
		if (!pfd[0].revents)
			continue;
		n = read(0, buf + len, sizeof(buf) - 1 - len);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		buf[len] = '\0';
		while ((end = strchr(buf, '\n'))) {
			*end = '\0';
			line(p, buf);
			len -= (size_t)(end + 1 - buf);
			memmove(buf, end + 1, len + 1);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct vcma_client_ops ops = {
		.hello = on_hello,
		.reclaim = on_reclaim,
		.closed = on_closed,
	};
	struct peer *p = calloc(1, sizeof(*p));

	if (argc < 2 || argc > 3 || !p) {
		fprintf(stderr, "usage: peer SOCKET [INSTANCE]\n");
		return 2;
	}
	signal(SIGBUS, on_fault);
	signal(SIGSEGV, on_fault);
	setvbuf(stdout, NULL, _IOLBF, 0);
	p->path = argv[1];
	p->client = vcma_client_new(&ops, p);
	if (!p->client)
		return 1;
	cmd_connect(p, argc > 2 ? strtoull(argv[2], NULL, 16) : 0);
	loop(p);
	vcma_client_free(p->client);
	free(p);
	return 0;
}
