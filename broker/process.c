// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * process.c - who a process is: pid and start time
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

/**
 * process_get - pid and start time of a running process
 * @pid: as the kernel said
 * @ret: untouched on failure
 *
 * Return: 0, or -ESRCH: there is none, or it has exited and is not buried yet.
 */
int process_get(pid_t pid, struct process *ret)
{
	char path[64], buf[1024], state, *p;
	uint64_t start;
	int threads;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	/* pid (name) state ppid ...; the name may have any byte in it */
	p = strrchr(buf, ')');
	if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %" SCNu64,
			 &state, &threads, &start) != 3)
		return -ESRCH;
	/* A main thread that has ended is a zombie, too; the others have the memory. */
	if ((state == 'Z' || state == 'X') && threads < 2)
		return -ESRCH;
	ret->pid = pid;
	ret->start = start;
	return 0;
}

int process_watch(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0u);

	return fd < 0 ? -errno : (int)fd;
}

bool process_is_alive(const struct process *p)
{
	struct process now;

	return process_get(p->pid, &now) == 0 && now.start == p->start;
}

void process_name(pid_t pid, char *ret, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret, size - 1);
		close(fd);
	}
	if (n <= 0) {
		snprintf(ret, size, "?");
		return;
	}
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}
