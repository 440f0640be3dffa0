/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-test-peer.c - another VM of the broker, played by the test itself
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/mman.h>
#include "vcma-test-util.h"

static void peer_hello(void *opaque, uint32_t status,
                       const struct vcma_client_info *info)
{
    VcmaPeer *p = opaque;

    p->hello = status;
    p->greeted = true;
}

/* The peer uses all it has: it gives nothing back. */
static void peer_reclaim(void *opaque, uint32_t id, uint32_t deadline_ms,
                         const uint64_t *lease, uint32_t count)
{
    VcmaPeer *p = opaque;

    p->nr_reclaims++;
    vcma_client_reclaim_done(p->client, id, VCMA_ST_BUSY);
}

static void peer_closed(void *opaque, int err, uint32_t status)
{
    VcmaPeer *p = opaque;

    p->greeted = true;
}

/* A granule comes zeroed; the peer leaves its mark in it. */
static void peer_use(int fd)
{
    uint64_t *p = mmap(NULL, VCMA_GRANULE, PROT_READ | PROT_WRITE, MAP_SHARED,
                       fd, 0);
    size_t i;

    g_assert_true(p != MAP_FAILED);
    for (i = 0; i < VCMA_GRANULE / sizeof(*p); i++) {
        g_assert_cmphex(p[i], ==, 0);
    }
    memset(p, VCMA_PEER_MARK, VCMA_GRANULE);
    munmap(p, VCMA_GRANULE);
    close(fd);
}

static void peer_leased(void *opaque, uint32_t status,
                        struct vcma_client_lease *lease)
{
    VcmaPeer *p = opaque;
    uint32_t i;

    p->lease_done = true;
    p->lease_status = status;
    if (!lease) {
        return;
    }
    p->lease_id = lease->lease;
    for (i = 0; i < lease->nr_granules; i++) {
        peer_use(lease->fds[i]);
    }
    free(lease->fds);
}

static void peer_released(void *opaque, uint32_t status,
                          const struct vcma_hdr *msg, size_t len)
{
    VcmaPeer *p = opaque;

    g_assert_cmpuint(status, ==, VCMA_ST_OK);
    p->released++;
}

static const struct vcma_client_ops peer_ops = {
    .hello = peer_hello,
    .reclaim = peer_reclaim,
    .closed = peer_closed,
};

/* A former connection of the VM may take a moment to end. */
static bool peer_connect(VcmaPeer *p)
{
    gint64 deadline = vcma_deadline();

    do {
        p->greeted = false;
        p->hello = VCMA_ST_AWAY;
        if (vcma_client_connect(p->client, p->socket, "peer", 0)) {
            return false;
        }
        while (!p->greeted) {
            vcma_peer_pump(p, 1);
            vcma_nap(deadline, "HELLO of a peer");
        }
    } while (p->hello == VCMA_ST_EXISTS);
    return p->hello == VCMA_ST_OK;
}

VcmaPeer *vcma_peer_new(const VcmaBroker *b, const char *vm)
{
    VcmaPeer *p = g_new0(VcmaPeer, 1);

    p->socket = vcma_broker_socket(b, vm);
    p->client = vcma_client_new(&peer_ops, p);
    g_assert_true(peer_connect(p));
    return p;
}

/*
 * The broker does not take memory from a process that lives because its
 * connection has ended; so say on a new one that nothing is held any more.
 */
void vcma_peer_free(VcmaPeer *p)
{
    vcma_client_close(p->client);
    peer_connect(p);
    vcma_client_free(p->client);
    g_free(p->socket);
    g_free(p);
}

/* Handle what comes within @ms. */
void vcma_peer_pump(VcmaPeer *p, int ms)
{
    struct pollfd pfd = {
        .fd = vcma_client_fd(p->client),
        .events = vcma_client_events(p->client),
    };
    int timeout = vcma_client_timeout(p->client);

    if (pfd.fd < 0) {
        return;
    }
    poll(&pfd, 1, timeout >= 0 ? MIN(timeout, ms) : ms);
    vcma_client_dispatch(p->client);
}

void vcma_peer_lease_send(VcmaPeer *p, uint64_t size, uint32_t deadline_ms)
{
    struct vcma_client_lease_args args = {
        .size = size,
        .max_addr = ~(uint64_t)0,
        .deadline_ms = deadline_ms,
    };

    p->lease_done = false;
    g_assert_cmpint(vcma_client_lease(p->client, &args, peer_leased, p), >, 0);
    vcma_peer_pump(p, 0);
}

uint32_t vcma_peer_lease_wait(VcmaPeer *p)
{
    gint64 deadline = vcma_deadline();

    while (!p->lease_done) {
        vcma_peer_pump(p, 5);
        vcma_nap(deadline, "the answer to a peer's LEASE");
    }
    return p->lease_status;
}

uint32_t vcma_peer_lease(VcmaPeer *p, uint64_t size)
{
    vcma_peer_lease_send(p, size, VCMA_TEST_WAIT_MS / 2);
    return vcma_peer_lease_wait(p);
}

void vcma_peer_release(VcmaPeer *p, uint64_t lease)
{
    unsigned before = p->released;
    gint64 deadline = vcma_deadline();

    g_assert_cmpint(vcma_client_release(p->client, &lease, 1, peer_released, p),
                    >, 0);
    while (p->released == before) {
        vcma_peer_pump(p, 5);
        vcma_nap(deadline, "the answer to a peer's RELEASE");
    }
}
