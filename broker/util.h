/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util.h - the small helpers that every part of the daemon uses
 */
#ifndef VCMA_BROKER_UTIL_H
#define VCMA_BROKER_UTIL_H

#include <errno.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* CLOCK_MONOTONIC in ms: the only clock that deadlines use (I10). */
static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/*
 * Close *@fd if it is open and make it -1.  Keeps errno.  Never tries again
 * after EINTR: on Linux the descriptor is gone by then, and its number may be
 * somebody else's.
 */
static inline void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

#endif /* VCMA_BROKER_UTIL_H */
