/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-test-broker.c - a real vcmad for a test, its operator and other VMs
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "vcma-test-util.h"
#include "qemu/bswap.h"
#include <glib/gstdio.h>

gint64 vcma_deadline(void)
{
    return g_get_monotonic_time() + VCMA_TEST_WAIT_MS * (gint64)1000;
}

/* Sleep a moment in a loop that waits for @what, but not beyond @deadline. */
void vcma_nap(gint64 deadline, const char *what)
{
    if (g_get_monotonic_time() > deadline) {
        g_error("waited %d ms in vain for: %s", VCMA_TEST_WAIT_MS, what);
    }
    g_usleep(500);
}

/* A connection of which nothing is wanted but replies. */
static const struct vcma_client_ops no_ops;

/* --- the daemon --- */

static void die_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static void kill_on_abort(void *opaque)
{
    VcmaBroker *b = opaque;

    if (b->pid) {
        kill(b->pid, SIGKILL);
    }
}

/* A run directory and a configuration with the pool and @vms; not started. */
VcmaBroker *vcma_broker_prepare(const char *vms)
{
    const char *backing = g_getenv("VCMA_BACKING") ?: "memfd";
    g_autofree char *pool = g_strdup_printf(VCMA_CONF_POOL, backing);
    g_autofree char *text = NULL;
    VcmaBroker *b = g_new0(VcmaBroker, 1);
    GError *err = NULL;

    b->dir = g_dir_make_tmp("vcma-qtest-XXXXXX", &err);
    g_assert_no_error(err);
    b->config = g_build_filename(b->dir, "vcmad.conf", NULL);
    b->log = g_build_filename(b->dir, "vcmad.log", NULL);
    text = g_strdup_printf("%s%s", pool, vms ?: VCMA_CONF_DEFAULT);
    g_file_set_contents(b->config, text, -1, &err);
    g_assert_no_error(err);
    return b;
}

static void spawn(VcmaBroker *b)
{
    const char *vcmad = g_getenv("VCMA_VCMAD");
    int log;

    if (!vcmad) {
        g_error("VCMA_VCMAD is not set: give it the path of vcmad");
    }
    log = open(b->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    g_assert_cmpint(log, >=, 0);
    b->pid = fork();
    g_assert_cmpint(b->pid, >=, 0);
    if (!b->pid) {
        die_with_parent();
        dup2(log, 1);
        dup2(log, 2);
        execl(vcmad, vcmad, "--config", b->config, "--run-dir", b->dir, NULL);
        _exit(127);
    }
    close(log);
}

void vcma_broker_start(VcmaBroker *b)
{
    g_autofree char *socket = vcma_broker_socket(b, "vcmad");
    gint64 deadline = vcma_deadline();

    spawn(b);
    qtest_add_abrt_handler(kill_on_abort, b);
    for (;;) {
        struct vcma_client *c = vcma_client_new(&no_ops, NULL);
        int r = vcma_client_connect(c, socket, "qtest", 0);

        r = r ?: vcma_client_wait_hello(c, 1000, NULL);
        vcma_client_free(c);
        if (!r) {
            return;
        }
        if (waitpid(b->pid, NULL, WNOHANG) == b->pid) {
            g_autofree char *text = NULL;

            b->pid = 0;
            g_file_get_contents(b->log, &text, NULL, NULL);
            g_error("vcmad did not start: %s", text);
        }
        vcma_nap(deadline, "vcmad's operator socket");
    }
}

/* vcmad does not start, and says @text. */
void vcma_broker_refuses(VcmaBroker *b, const char *text)
{
    gint64 deadline = vcma_deadline();
    g_autofree char *said = NULL;
    int status;

    spawn(b);
    while (waitpid(b->pid, &status, WNOHANG) != b->pid) {
        vcma_nap(deadline, "vcmad to refuse to start");
    }
    b->pid = 0;
    g_assert_true(g_file_get_contents(b->log, &said, NULL, NULL));
    g_test_message("vcmad said: %s", said);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), !=, 0);
    g_assert_nonnull(strstr(said, text));
}

VcmaBroker *vcma_broker_new(const char *vms)
{
    VcmaBroker *b = vcma_broker_prepare(vms);

    vcma_broker_start(b);
    return b;
}

/* SIGKILL, or SIGTERM: then it has to end well, and soon. */
void vcma_broker_kill(VcmaBroker *b, int sig)
{
    gint64 deadline = vcma_deadline();
    int status;

    g_assert_cmpint(b->pid, !=, 0);
    g_assert_cmpint(kill(b->pid, sig), ==, 0);
    while (waitpid(b->pid, &status, WNOHANG) != b->pid) {
        vcma_nap(deadline, "the end of vcmad");
    }
    qtest_remove_abrt_handler(b);
    b->pid = 0;
    if (sig == SIGKILL) {
        g_assert_true(WIFSIGNALED(status));
    } else {
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    }
}

void vcma_broker_free(VcmaBroker *b)
{
    const char *name;
    GDir *dir;

    if (b->pid) {
        vcma_broker_kill(b, SIGTERM);
    }
    dir = g_dir_open(b->dir, 0, NULL);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(b->dir, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(b->dir);
    g_free(b->dir);
    g_free(b->config);
    g_free(b->log);
    g_free(b);
}

char *vcma_broker_socket(const VcmaBroker *b, const char *vm)
{
    return g_strdup_printf("%s/%s.sock", b->dir, vm);
}

/* --- the operator --- */

static size_t op_call(const VcmaBroker *b, struct vcma_hdr *msg, uint16_t type,
                      uint32_t length, void *reply, size_t size)
{
    g_autofree char *socket = vcma_broker_socket(b, "vcmad");
    struct vcma_client *c = vcma_client_new(&no_ops, NULL);
    int r;

    g_assert_cmpint(vcma_client_connect(c, socket, "qtest", 0), ==, 0);
    g_assert_cmpint(vcma_client_wait_hello(c, VCMA_TEST_WAIT_MS, NULL), ==, 0);
    msg->type = cpu_to_le16(type);
    msg->length = cpu_to_le32(length);
    r = vcma_client_call(c, msg, VCMA_TEST_WAIT_MS, reply, size);
    g_assert_cmpint(r, >=, (int)sizeof(struct vcma_hdr));
    vcma_client_free(c);
    return r;
}

/* All pages of a list have room in one: the tests have few of anything. */
static void *op_list(const VcmaBroker *b, uint16_t type, size_t record,
                     uint32_t *ret_count)
{
    struct vcma_op_list list = { 0 };
    g_autofree char *reply = g_malloc0(VCMA_MSG_MAX);
    struct vcma_op_page *page = (struct vcma_op_page *)reply;
    uint32_t count;

    op_call(b, &list.hdr, type, sizeof(list), reply, VCMA_MSG_MAX);
    g_assert_cmpuint(le32_to_cpu(page->hdr.status), ==, VCMA_ST_OK);
    g_assert_cmpuint(le64_to_cpu(page->next), ==, 0);
    count = le32_to_cpu(page->count);
    if (count) {
        g_assert_cmpuint(le32_to_cpu(page->record_size), ==, record);
    }
    *ret_count = count;
    return g_memdup2(reply + sizeof(*page), count * record + 1);
}

static void get_share(const VcmaBroker *b, const char *vm, uint32_t bank,
                      struct vcma_op_vm *ret)
{
    g_autofree struct vcma_op_vm *list = NULL;
    uint32_t i, count;

    list = op_list(b, VCMA_MSG_OP_VMS, sizeof(*ret), &count);
    for (i = 0; i < count; i++) {
        if (!strncmp(list[i].name, vm, VCMA_NAME_MAX) &&
            le32_to_cpu(list[i].bank) == bank) {
            *ret = list[i];
            return;
        }
    }
    g_error("vcmad knows no bank %u of VM %s", bank, vm);
}

void vcma_op_get_vm(const VcmaBroker *b, const char *vm, struct vcma_op_vm *ret)
{
    get_share(b, vm, 0, ret);
}

uint32_t vcma_op_bank_leases(const VcmaBroker *b, const char *vm, uint32_t bank)
{
    struct vcma_op_vm rec;

    get_share(b, vm, bank, &rec);
    return le32_to_cpu(rec.nr_leases);
}

/* The one that all tests have; there may be others. */
void vcma_op_get_pool(const VcmaBroker *b, struct vcma_op_pool *ret)
{
    g_autofree struct vcma_op_pool *list = NULL;
    uint32_t i, count;

    list = op_list(b, VCMA_MSG_OP_POOLS, sizeof(*ret), &count);
    for (i = 0; i < count; i++) {
        if (!strncmp(list[i].name, "main", VCMA_NAME_MAX)) {
            *ret = list[i];
            return;
        }
    }
    g_error("vcmad has no pool main");
}

uint32_t vcma_op_nr_leases(const VcmaBroker *b, const char *vm)
{
    struct vcma_op_vm rec;

    vcma_op_get_vm(b, vm, &rec);
    return le32_to_cpu(rec.nr_leases);
}

void vcma_op_wait_leases(const VcmaBroker *b, const char *vm, uint32_t count)
{
    gint64 deadline = vcma_deadline();

    while (vcma_op_nr_leases(b, vm) != count) {
        vcma_nap(deadline, "the broker to have the right number of leases");
    }
}

void vcma_op_wait_connected(const VcmaBroker *b, const char *vm, bool connected)
{
    gint64 deadline = vcma_deadline();
    struct vcma_op_vm rec;

    for (;;) {
        vcma_op_get_vm(b, vm, &rec);
        if (!!(le32_to_cpu(rec.flags) & VCMA_VM_CONNECTED) == connected) {
            return;
        }
        vcma_nap(deadline, "the connection of the VM");
    }
}

/* As an operator does it, with vcmactl, if there is one. */
void vcma_wait_idle(const VcmaBroker *b)
{
    const char *vcmactl = g_getenv("VCMA_VCMACTL");
    struct vcma_op_wait wait = { 0 };
    struct vcma_empty reply;

    if (vcmactl) {
        g_autofree char *cmd = g_strdup_printf(
            "%s --socket %s/vcmad.sock wait-idle >/dev/null", vcmactl, b->dir);
        int status = system(cmd);

        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
        return;
    }
    wait.deadline_ms = cpu_to_le32(VCMA_TEST_WAIT_MS / 2);
    op_call(b, &wait.hdr, VCMA_MSG_OP_WAIT_IDLE, sizeof(wait), &reply,
            sizeof(reply));
    g_assert_cmpuint(le32_to_cpu(reply.hdr.status), ==, VCMA_ST_OK);
}

/* --- processes --- */

static void count_once(int pid, VcmaCounts *ret)
{
    g_autofree char *fds = g_strdup_printf("/proc/%d/fd", pid);
    g_autofree char *maps = g_strdup_printf("/proc/%d/maps", pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GDir *dir = g_dir_open(fds, 0, NULL);
    char flags[5];

    memset(ret, 0, sizeof(*ret));
    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        ret->fds++;
    }
    g_dir_close(dir);
    g_assert_true(g_file_get_contents(maps, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **l = lines; *l; l++) {
        if (sscanf(*l, "%*s %4s", flags) == 1) {
            ret->maps++;
            ret->shared += flags[3] == 's';
        }
    }
}

/* A process may need a moment to close what its last peer left. */
void vcma_count(int pid, VcmaCounts *ret)
{
    VcmaCounts last = { 0 };
    int same = 0;

    while (same < 5) {
        count_once(pid, ret);
        same = memcmp(&last, ret, sizeof(last)) ? 0 : same + 1;
        last = *ret;
        g_usleep(20000);
    }
}

void vcma_assert_counts(int pid, const VcmaCounts *before)
{
    VcmaCounts now;

    vcma_count(pid, &now);
    g_assert_cmpuint(now.fds, ==, before->fds);
    g_assert_cmpuint(now.shared, ==, before->shared);
    g_assert_cmpuint(now.maps, <=, before->maps + VCMA_MAPS_SLACK);
}

void vcma_qemu_refuses(const char *args, const char *text, const char *text2)
{
    g_autofree char *err_path = NULL;
    g_autofree char *said = NULL;
    g_autofree char *cmd = NULL;
    gint64 deadline = vcma_deadline();
    int fd, status;
    pid_t pid;

    fd = g_file_open_tmp("vcma-qtest-err-XXXXXX", &err_path, NULL);
    g_assert_cmpint(fd, >=, 0);
    cmd = g_strdup_printf("exec %s %s -nodefaults -display none "
                          "-accel qtest %s 2>%s >/dev/null",
                          g_getenv("QTEST_QEMU_BINARY"), vcma_machine.args,
                          args, err_path);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (!pid) {
        die_with_parent();
        execl("/bin/sh", "sh", "-c", cmd, NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (g_get_monotonic_time() > deadline) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            g_error("QEMU did not refuse: %s", args);
        }
        g_usleep(2000);
    }
    g_assert_true(g_file_get_contents(err_path, &said, NULL, NULL));
    close(fd);
    g_unlink(err_path);
    g_test_message("QEMU said: %s", said);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    if (!strstr(said, text) || (text2 && !strstr(said, text2))) {
        g_error("'%s' or '%s' is missing in: %s", text, text2, said);
    }
}
