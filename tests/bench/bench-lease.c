// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-lease.c - leases from a live vcmad a second, beside the least that sending a
 * descriptor costs
 *
 *	bench-lease raw ROUNDS			a process of its own sends a descriptor for
 *						each packet: round trips a second
 *	bench-lease lease SOCKET ROUNDS		leases of one granule from the clean reserve, each
 *						acknowledged; given back afterwards
 *	bench-lease churn SOCKET ROUNDS		the same, each given back at once: its answer is
 *						not awaited, so the clean reserve and the scrubber
 *						set the pace
 *	bench-lease scrub ROUNDS		what the scrubber does to a huge page: seal, truncate,
 *						a new file with a zeroed page; a second
 *
 * Prints one number: what is done in a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sockio.h"
#include "wire.h"

#define GRANULE		(2u << 20)
#define DEADLINE_MS	30000
#define ROUNDS_MAX	1000000

static void die(const char *what, int err)
{
	fprintf(stderr, "bench-lease: %s: %s\n", what, strerror(err));
	exit(1);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void send_packet(int fd, const void *msg, size_t len, const int *fds, unsigned int nfds)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int r;

	while ((r = vcma_sock_send(fd, msg, len, fds, nfds)) == -EAGAIN)
		poll(&pfd, 1, DEADLINE_MS);
	if (r < 0)
		die("send", -r);
}

/* False: the other end has closed. */
static bool receive(int fd, struct vcma_packet *pkt)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int r;

	while ((r = vcma_sock_recv(fd, pkt, VCMA_FDS_MAX)) == -EAGAIN)
		if (poll(&pfd, 1, DEADLINE_MS) == 0)
			die("no answer", ETIMEDOUT);
	if (r < 0)
		die("receive", -r);
	return r;
}

/* --- the least that it costs --- */

static void serve_raw(int fd)
{
	struct vcma_lease_reply reply;
	int granule = memfd_create("bench", MFD_CLOEXEC);
	struct vcma_packet pkt;

	vcma_msg_init(&reply, sizeof(reply), VCMA_MSG_LEASE | VCMA_MSG_REPLY);
	while (receive(fd, &pkt))
		send_packet(fd, &reply, sizeof(reply), &granule, 1);
	_exit(0);
}

static double raw(unsigned int rounds)
{
	struct vcma_lease_req req;
	struct vcma_packet pkt;
	double t;
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		die("socketpair", errno);
	pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (!pid) {
		close(sv[0]);
		serve_raw(sv[1]);
	}
	close(sv[1]);
	vcma_msg_init(&req, sizeof(req), VCMA_MSG_LEASE);
	t = seconds();
	for (unsigned int i = 0; i < rounds; i++) {
		send_packet(sv[0], &req, sizeof(req), NULL, 0);
		if (!receive(sv[0], &pkt))
			die("the other process", ECONNRESET);
		vcma_packet_close_fds(&pkt);
	}
	t = seconds() - t;
	close(sv[0]);
	waitpid(pid, NULL, 0);
	return rounds / t;
}

/* --- vcmad --- */

static int say_hello(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct vcma_hello hello;
	struct vcma_packet pkt;

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		die(path, fd < 0 ? errno : ENAMETOOLONG);
	memcpy(addr.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(path, errno);
	vcma_msg_init(&hello, sizeof(hello), VCMA_MSG_HELLO);
	hello.hdr.sequence = vcma_cpu_to_le32(1);
	hello.version_min = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	hello.version_max = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	strcpy(hello.name, "bench-lease");
	send_packet(fd, &hello, sizeof(hello), NULL, 0);
	if (!receive(fd, &pkt) || vcma_le32_to_cpu(pkt.hdr.status) != VCMA_ST_OK)
		die("HELLO", EPROTO);
	return fd;
}

static uint64_t lease_one(int fd, uint32_t sequence)
{
	struct vcma_lease_req req;
	struct vcma_lease_ack ack;
	struct vcma_packet pkt;

	vcma_msg_init(&req, sizeof(req), VCMA_MSG_LEASE);
	req.hdr.sequence = vcma_cpu_to_le32(sequence);
	req.size = vcma_cpu_to_le64(GRANULE);
	req.max_addr = vcma_cpu_to_le64(UINT64_MAX);
	req.deadline_ms = vcma_cpu_to_le32(DEADLINE_MS);
	send_packet(fd, &req, sizeof(req), NULL, 0);
	/* Answers to RELEASE come between. */
	do {
		if (!receive(fd, &pkt))
			die("vcmad", ECONNRESET);
	} while (vcma_msg_type(&pkt.hdr) != (VCMA_MSG_LEASE | VCMA_MSG_REPLY));
	if (vcma_le32_to_cpu(pkt.hdr.status) != VCMA_ST_OK || pkt.nfds != 1)
		die(vcma_status_text(vcma_le32_to_cpu(pkt.hdr.status)), EPROTO);
	vcma_msg_init(&ack, sizeof(ack), VCMA_MSG_LEASE_ACK);
	ack.lease = ((const struct vcma_lease_reply *)&pkt.hdr)->lease;
	ack.received = vcma_cpu_to_le32(1);
	send_packet(fd, &ack, sizeof(ack), NULL, 0);
	vcma_packet_close_fds(&pkt);
	return vcma_le64_to_cpu(ack.lease);
}

static void release_some(int fd, uint32_t sequence, const uint64_t *lease, uint32_t count)
{
	uint64_t buf[(sizeof(struct vcma_release) + VCMA_IDS_MAX * 8) / 8];
	struct vcma_release *m = (struct vcma_release *)buf;
	size_t len = vcma_msg_size(VCMA_MSG_RELEASE, count);

	vcma_msg_init(m, len, VCMA_MSG_RELEASE);
	m->hdr.sequence = vcma_cpu_to_le32(sequence);
	m->count = vcma_cpu_to_le32(count);
	for (uint32_t i = 0; i < count; i++)
		m->lease[i] = vcma_cpu_to_le64(lease[i]);
	send_packet(fd, m, len, NULL, 0);
}

static double lease(const char *path, unsigned int rounds, bool churn)
{
	uint64_t *id = calloc(rounds, sizeof(*id));
	int fd = say_hello(path);
	uint32_t sequence = 1;
	struct vcma_packet pkt;
	double t;

	if (!id)
		die("ids", ENOMEM);
	/* One stays: a VM that holds nothing at all is another one each time to vcmad. */
	lease_one(fd, ++sequence);
	t = seconds();
	for (unsigned int i = 0; i < rounds; i++) {
		id[i] = lease_one(fd, ++sequence);
		if (churn)
			release_some(fd, ++sequence, &id[i], 1);
	}
	t = seconds() - t;
	for (unsigned int i = 0; i < rounds && !churn; i += VCMA_IDS_MAX) {
		release_some(fd, ++sequence, id + i,
			     rounds - i < VCMA_IDS_MAX ? rounds - i : VCMA_IDS_MAX);
		receive(fd, &pkt);
	}
	free(id);
	close(fd);
	return rounds / t;
}

/* --- the scrubber's part, by itself --- */

static int new_page(void)
{
	int fd = memfd_create("bench", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, GRANULE) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0 ||
	    fallocate(fd, 0, 0, GRANULE) < 0)
		die("a huge page", errno);
	return fd;
}

static double scrub(unsigned int rounds)
{
	int fd = new_page();
	double t = seconds();

	for (unsigned int i = 0; i < rounds; i++) {
		if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 || ftruncate(fd, 0) < 0)
			die("revoke", errno);
		close(fd);
		fd = new_page();
	}
	t = seconds() - t;
	close(fd);
	return rounds / t;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long rounds = argc > 2 ? strtol(argv[argc - 1], NULL, 10) : 0;

	signal(SIGPIPE, SIG_IGN);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		what = "";
	if (!strcmp(what, "raw") && argc == 3)
		printf("%.0f\n", raw((unsigned int)rounds));
	else if (!strcmp(what, "scrub") && argc == 3)
		printf("%.0f\n", scrub((unsigned int)rounds));
	else if (!strcmp(what, "lease") && argc == 4)
		printf("%.0f\n", lease(argv[2], (unsigned int)rounds, false));
	else if (!strcmp(what, "churn") && argc == 4)
		printf("%.0f\n", lease(argv[2], (unsigned int)rounds, true));
	else {
		fprintf(stderr, "usage: bench-lease raw|scrub ROUNDS\n"
				"       bench-lease lease|churn SOCKET ROUNDS\n");
		return 2;
	}
	return 0;
}
