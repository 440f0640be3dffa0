// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * relay.c - makes sockets of pairs of named pipes
 *
 * usage: relay SOCKET PIPE [SOCKET PIPE]...
 *
 * Whoever connects to SOCKET writes to PIPE.in and reads from PIPE.out; QEMU's
 * character device `pipe` has the other ends.  One client is served at a time,
 * others wait.  A client that has said all still hears, until nothing has come
 * for two seconds; one that has gone is forgotten at once.  What comes when
 * nobody listens is lost, as on a serial line.  Ends by a signal, or when an
 * argument is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHANNELS_MAX 8
#define CHUNK 4096
#define SILENCE_MS 2000
#define LOOK_MS 200

/**
 * struct channel - a socket and its pipes
 * @listener: the socket
 * @client: who is connected, or -1
 * @said_all: the client's end of file has come
 * @latest: when something came from or for the client, in ms (CLOCK_MONOTONIC)
 * @in: where the client's bytes go
 * @out: where its answers come from
 */
struct channel {
	int listener;
	int client;
	bool said_all;
	long long latest;
	int in, out;
};

static void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int open_pipe(const char *name, const char *end)
{
	char path[256];
	int fd;

	if (snprintf(path, sizeof(path), "%s.%s", name, end) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		die(name);
	}
	/* For both, so that neither end waits for the other or sees it close. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static int open_listener(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(addr.sun_path, path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		die(path);
	return fd;
}

static void hang_up(struct channel *c)
{
	close(c->client);
	c->client = -1;
	c->said_all = false;
}

/* All of it: a pipe, or a client that reads, takes it sooner or later. */
static bool pass_on(int fd, const char *buf, ssize_t len)
{
	ssize_t done;

	while (len > 0) {
		done = write(fd, buf, (size_t)len);
		if (done < 0)
			return false;
		buf += done;
		len -= done;
	}
	return true;
}

static void from_client(struct channel *c)
{
	char buf[CHUNK];
	ssize_t len = read(c->client, buf, sizeof(buf));

	if (len == 0)
		c->said_all = true;
	else if (len < 0 || !pass_on(c->in, buf, len))
		hang_up(c);
}

static void from_pipe(struct channel *c)
{
	char buf[CHUNK];
	ssize_t len = read(c->out, buf, sizeof(buf));

	if (c->client >= 0 && !pass_on(c->client, buf, len))
		hang_up(c);
}

/* What to wait for: the pipe's, then the client's or the next client. */
static void ask(const struct channel *c, struct pollfd pollfds[2])
{
	pollfds[0] = (struct pollfd){ .fd = c->out, .events = POLLIN };
	if (c->client < 0)
		pollfds[1] = (struct pollfd){ .fd = c->listener, .events = POLLIN };
	else
		pollfds[1] = (struct pollfd){
			.fd = c->client,
			.events = c->said_all ? 0 : POLLIN,
		};
}

static void serve(struct channel *c, const struct pollfd pollfds[2])
{
	long long now = now_ms();

	if (pollfds[0].revents & POLLIN)
		from_pipe(c);
	if (c->client < 0) {
		if (pollfds[1].fd == c->listener && pollfds[1].revents)
			c->client = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
		return;
	}
	if (pollfds[0].revents || pollfds[1].revents & POLLIN)
		c->latest = now;
	if (pollfds[1].revents & POLLIN)
		from_client(c);
	else if (pollfds[1].revents & (POLLHUP | POLLERR) ||
		 (c->said_all && now - c->latest > SILENCE_MS))
		hang_up(c);
}

int main(int argc, char **argv)
{
	struct channel channels[CHANNELS_MAX];
	struct pollfd pollfds[2 * CHANNELS_MAX];
	int i, nr = (argc - 1) / 2;

	if (argc < 3 || argc % 2 == 0 || nr > CHANNELS_MAX) {
		fprintf(stderr, "usage: relay SOCKET PIPE [SOCKET PIPE]...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < nr; i++)
		channels[i] = (struct channel){
			.listener = open_listener(argv[1 + 2 * i]),
			.client = -1,
			.in = open_pipe(argv[2 + 2 * i], "in"),
			.out = open_pipe(argv[2 + 2 * i], "out"),
		};
	for (;;) {
		for (i = 0; i < nr; i++)
			ask(&channels[i], pollfds + 2 * i);
		if (poll(pollfds, (nfds_t)(2 * nr), LOOK_MS) < 0)
			die("poll");
		for (i = 0; i < nr; i++)
			serve(&channels[i], pollfds + 2 * i);
	}
}
