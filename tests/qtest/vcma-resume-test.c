/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-resume-test.c - the connection ends, but both of its ends live
 *
 * QEMU reaches vcmad through a proxy in the test, which passes packets and
 * descriptors on, and cuts the connection when the test wants it.  To vcmad the
 * process of the VM is the test, which lives on: so the session resumes.
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "vcma-test-util.h"
#include "qemu/bswap.h"

typedef struct Proxy {
    char *path;         /* where QEMU connects to */
    char *upstream;     /* vcmad's socket for the VM */
    int listener;       /* -1: nobody is there */
    int end[2];         /* QEMU, vcmad; -1: no connection */
    int wake[2];        /* pipe: the thread has something to look at */
    int cut;            /* atomic: close the connection */
    int down;           /* atomic: and take no other */
    int quit;           /* atomic */
    GThread *thread;
} Proxy;

typedef struct ResumeTest {
    VcmaTest t;
    Proxy proxy;
} ResumeTest;

static int unix_socket(const char *path, bool listening)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int ret;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(strlen(path), <, sizeof(addr.sun_path));
    strcpy(addr.sun_path, path);
    if (listening) {
        unlink(path);
        ret = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
        ret = ret ?: listen(fd, 4);
    } else {
        ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    }
    g_assert_cmpint(ret, ==, 0);
    return fd;
}

static void proxy_close(Proxy *p)
{
    for (int i = 0; i < 2; i++) {
        if (p->end[i] >= 0) {
            close(p->end[i]);
        }
        p->end[i] = -1;
    }
}

/* One packet, with what rides along.  False: the connection is over. */
static bool proxy_pass(int from, int to)
{
    char buf[VCMA_MSG_MAX];
    union {
        char space[CMSG_SPACE(VCMA_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { buf, sizeof(buf) };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof(control),
    };
    ssize_t len = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c;
    bool ok;

    if (len <= 0) {
        return false;
    }
    g_assert_cmpint(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC), ==, 0);
    iov.iov_len = len;
    if (!msg.msg_controllen) {
        msg.msg_control = NULL;
    }
    msg.msg_flags = 0;
    ok = sendmsg(to, &msg, MSG_NOSIGNAL) == len;
    for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        int *fds = (int *)CMSG_DATA(c);
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        while (n--) {
            close(fds[n]);
        }
    }
    return ok;
}

static gpointer proxy_run(gpointer opaque)
{
    Proxy *p = opaque;
    char byte;

    while (!g_atomic_int_get(&p->quit)) {
        struct pollfd pfd[] = {
            { p->wake[0], POLLIN }, { p->listener, POLLIN },
            { p->end[0], POLLIN }, { p->end[1], POLLIN },
        };

        poll(pfd, G_N_ELEMENTS(pfd), -1);
        if (pfd[0].revents && read(p->wake[0], &byte, 1) == 1) {
            if (g_atomic_int_get(&p->down) && p->listener >= 0) {
                close(p->listener);
                p->listener = -1;
            } else if (!g_atomic_int_get(&p->down) && p->listener < 0) {
                p->listener = unix_socket(p->path, true);
            }
            proxy_close(p);
            g_atomic_int_set(&p->cut, 0);
            continue;
        }
        if (pfd[1].revents && p->end[0] < 0) {
            p->end[0] = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
            p->end[1] = unix_socket(p->upstream, false);
            continue;
        }
        if ((pfd[2].revents && !proxy_pass(p->end[0], p->end[1])) ||
            (pfd[3].revents && !proxy_pass(p->end[1], p->end[0]))) {
            proxy_close(p);
        }
    }
    proxy_close(p);
    return NULL;
}

/* Ends the connection; when this returns it has ended. */
static void proxy_cut(Proxy *p, bool down)
{
    gint64 deadline = vcma_deadline();

    g_atomic_int_set(&p->down, down);
    g_atomic_int_set(&p->cut, 1);
    g_assert_cmpint(write(p->wake[1], "", 1), ==, 1);
    while (g_atomic_int_get(&p->cut)) {
        vcma_nap(deadline, "the proxy to cut the connection");
    }
}

static void resume_init(ResumeTest *r)
{
    Proxy *p = &r->proxy;
    g_autofree char *args = NULL;

    memset(r, 0, sizeof(*r));
    r->t.b = vcma_broker_new(NULL);
    p->path = vcma_broker_socket(r->t.b, "proxy");
    p->upstream = vcma_broker_socket(r->t.b, "alpha");
    p->listener = unix_socket(p->path, true);
    p->end[0] = p->end[1] = -1;
    g_assert_cmpint(pipe2(p->wake, O_CLOEXEC), ==, 0);
    p->thread = g_thread_new("proxy", proxy_run, p);

    args = vcma_args(r->t.b, "proxy", "reconnect-ms=20", NULL);
    r->t.qs = vcma_boot(r->t.b, args);
    r->t.d = vcma_dev_probe(r->t.qs, QPCI_DEVFN(4, 0));
    vcma_dev_start(r->t.d);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpuint(vcma_plug(r->t.d, MiB_(8) * i, MiB_(8)), ==,
                         VIRTIO_CMA_S_OK);
        vcma_poke(r->t.d, MiB_(8) * i, i + 1);
    }
}

/* vcmad has no process of a VM to wait for, so QEMU gives all back first. */
static void resume_fini(ResumeTest *r)
{
    Proxy *p = &r->proxy;

    vcma_unplug_all(r->t.d);
    vcma_op_wait_leases(r->t.b, "alpha", 0);
    g_atomic_int_set(&p->quit, 1);
    g_assert_cmpint(write(p->wake[1], "", 1), ==, 1);
    g_thread_join(p->thread);
    close(p->listener);
    close(p->wake[0]);
    close(p->wake[1]);
    vcma_test_fini(&r->t);
    g_free(p->path);
    g_free(p->upstream);
}

static void wait_connections(ResumeTest *r, uint64_t n)
{
    gint64 deadline = vcma_deadline();

    while (vcma_qom_uint(r->t.qs->qts, "/objects/b0", "connections") != n) {
        vcma_nap(deadline, "the device to connect again");
    }
    vcma_op_wait_connected(r->t.b, "alpha", true);
}

/* All leases are what they were, on both sides. */
static void test_cut(void)
{
    ResumeTest r;

    resume_init(&r);
    for (int i = 0; i < 3; i++) {
        proxy_cut(&r.proxy, false);
        g_assert_cmphex(vcma_peek(r.t.d, 0), ==, 1);
        wait_connections(&r, 2 + i);
        g_assert_cmpuint(vcma_op_nr_leases(r.t.b, "alpha"), ==, 2);
        g_assert_cmphex(vcma_peek(r.t.d, 0), ==, 1);
        g_assert_cmphex(vcma_peek(r.t.d, MiB_(8)), ==, 2);
        g_assert_cmpuint(vcma_plug_retry(r.t.d, MiB_(16), MiB_(4)), ==,
                         VIRTIO_CMA_S_OK);
        g_assert_cmpuint(vcma_op_nr_leases(r.t.b, "alpha"), ==, 3);
        g_assert_cmpuint(vcma_unplug(r.t.d, MiB_(16), MiB_(4)), ==,
                         VIRTIO_CMA_S_OK);
        vcma_op_wait_leases(r.t.b, "alpha", 2);
    }
    resume_fini(&r);
}

/* What was given back meanwhile comes back then (V-50). */
static void test_unplug_away(void)
{
    ResumeTest r;
    VcmaEvent e;

    resume_init(&r);
    for (int i = 0; i < 4; i++) {
        vcma_post_event(r.t.d, sizeof(struct virtio_cma_event));
    }
    proxy_cut(&r.proxy, true);
    while (vcma_plug(r.t.d, MiB_(32), MiB_(4)) != VIRTIO_CMA_S_BROKER_AWAY) {
        g_usleep(1000);
    }
    g_assert_cmpuint(vcma_unplug(r.t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(vcma_peek(r.t.d, 0), ==, ~0ull);
    g_usleep(100000);
    g_assert_cmpuint(vcma_op_nr_leases(r.t.b, "alpha"), ==, 2);
    proxy_cut(&r.proxy, false);
    wait_connections(&r, 2);
    vcma_op_wait_leases(r.t.b, "alpha", 1);
    g_assert_cmphex(vcma_peek(r.t.d, MiB_(8)), ==, 2);
    vcma_wait_event(r.t.d, VIRTIO_CMA_EV_POOL_CHANGED, &e);
    g_assert_cmpuint(vcma_plug_retry(r.t.d, 0, MiB_(8)), ==, VIRTIO_CMA_S_OK);
    g_assert_cmphex(vcma_peek(r.t.d, 0), ==, 0);
    resume_fini(&r);
}

/* A PLUG that waits is answered, and nothing of it stays behind at vcmad. */
static void test_cut_waiting(void)
{
    VcmaRequest req = {
        .type = VIRTIO_CMA_REQ_PLUG, .num_ranges = 1, .deadline_ms = 60000
    };
    gint64 deadline = vcma_deadline();
    struct vcma_op_vm vm;
    VcmaReply reply;
    VcmaPeer *p;
    ResumeTest r;
    int slot;

    resume_init(&r);
    p = vcma_peer_new(r.t.b, "beta");
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(vcma_peer_lease(p, MiB_(16)), ==, VCMA_ST_OK);
    }
    vcma_range(&req.range[0], 1, MiB_(32), MiB_(8));
    slot = vcma_send(r.t.d, &req);
    do {
        vcma_nap(deadline, "the request to wait at the broker");
        vcma_op_get_vm(r.t.b, "alpha", &vm);
    } while (!le32_to_cpu(vm.nr_waiting));
    proxy_cut(&r.proxy, false);
    vcma_collect(r.t.d, slot, &reply);
    g_assert_cmpuint(reply.status, ==, VIRTIO_CMA_S_BROKER_AWAY);
    wait_connections(&r, 2);
    vcma_peer_free(p);
    vcma_wait_idle(r.t.b);
    g_assert_cmpuint(vcma_op_nr_leases(r.t.b, "alpha"), ==, 2);
    g_assert_cmpuint(vcma_plug_retry(r.t.d, MiB_(32), MiB_(8)), ==,
                     VIRTIO_CMA_S_OK);
    resume_fini(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vcma/resume/cut", test_cut);
    qtest_add_func("vcma/resume/unplug-away", test_unplug_away);
    qtest_add_func("vcma/resume/cut-waiting", test_cut_waiting);
    return g_test_run();
}
