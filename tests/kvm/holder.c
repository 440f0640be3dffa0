// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * holder.c - a VM process without QEMU: one connection to vcmad, one lease at a time
 */
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define WAIT_MS 20000
#define LEASE_MS 10000
#define PAGE 4096
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_PFN ((UINT64_C(1) << 55) - 1)

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* The granules side by side; their descriptors are not needed any more. */
static int map_granules(struct holder *h, const struct vcma_client_lease *lease)
{
	size_t room = lease->size + h->granule;
	uint8_t *area = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t i;

	if (area == MAP_FAILED)
		return -errno;
	h->map = area + (-(uintptr_t)area & (h->granule - 1));
	h->size = lease->size;
	if (h->map > area)
		munmap(area, (size_t)(h->map - area));
	if (h->map + h->size < area + room)
		munmap(h->map + h->size, (size_t)(area + room - h->map - h->size));
	for (i = 0; i < lease->nr_granules; i++)
		if (mmap(h->map + i * h->granule, h->granule, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, lease->fds[i], 0) == MAP_FAILED)
			return -errno;
	h->lease = lease->lease;
	return 0;
}

static void on_lease(void *opaque, uint32_t status, struct vcma_client_lease *lease)
{
	struct holder *h = opaque;
	uint32_t i;

	h->answered = 1;
	h->status = status;
	if (!lease)
		return;
	if (map_granules(h, lease) < 0)
		h->status = VCMA_ST_LOCAL;
	for (i = 0; i < lease->nr_granules; i++)
		close(lease->fds[i]);
	free(lease->fds);
}

static void on_reply(void *opaque, uint32_t status, const struct vcma_hdr *msg, size_t len)
{
	struct holder *h = opaque;

	(void)msg;
	(void)len;
	h->answered = 1;
	h->status = status;
}

static int wait_answer(struct holder *h)
{
	int64_t end = now_ms() + WAIT_MS;

	while (!h->answered) {
		struct pollfd p = {
			.fd = vcma_client_fd(h->client),
			.events = vcma_client_events(h->client),
		};
		int64_t left = end - now_ms();
		int timeout = vcma_client_timeout(h->client);
		int r;

		if (left <= 0)
			return -ETIMEDOUT;
		poll(&p, 1, timeout < 0 || timeout > left ? (int)left : timeout);
		r = vcma_client_dispatch(h->client);
		if (r < 0)
			return r;
	}
	return h->status == VCMA_ST_OK ? 0 : -ENOSPC;
}

int holder_open(struct holder *h, const char *path)
{
	static const struct vcma_client_ops ops;
	uint32_t status;
	int r;

	memset(h, 0, sizeof(*h));
	h->client = vcma_client_new(&ops, h);
	if (!h->client)
		return -ENOMEM;
	r = vcma_client_connect(h->client, path, "test-kvm", 0);
	if (!r)
		r = vcma_client_wait_hello(h->client, WAIT_MS, &status);
	if (r < 0) {
		holder_close(h);
		return r;
	}
	h->granule = vcma_client_info(h->client)->granule_size;
	return 0;
}

void holder_close(struct holder *h)
{
	vcma_client_free(h->client);
	h->client = NULL;
	holder_unmap(h);
}

int holder_take(struct holder *h, uint64_t size)
{
	struct vcma_client_lease_args args = {
		.size = size,
		.max_addr = ~UINT64_C(0),
		.deadline_ms = LEASE_MS,
	};
	int r;

	if (h->map)
		return -EBUSY;
	h->answered = 0;
	r = vcma_client_lease(h->client, &args, on_lease, h);
	return r < 0 ? r : wait_answer(h);
}

int holder_release(struct holder *h)
{
	int r;

	h->answered = 0;
	r = vcma_client_release(h->client, &h->lease, 1, on_reply, h);
	return r < 0 ? r : wait_answer(h);
}

void holder_unmap(struct holder *h)
{
	if (h->map)
		munmap(h->map, h->size);
	h->map = NULL;
}

uint64_t holder_pfn(const struct holder *h)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)h->map / PAGE * sizeof(entry))) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry & PAGEMAP_PRESENT ? entry & PAGEMAP_PFN : 0;
}
