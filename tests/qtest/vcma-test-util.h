/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-test-util.h - a real vcmad and a virtio-cma device driven by libqos
 *
 * Environment: QTEST_QEMU_BINARY and VCMA_VCMAD are the programs under test;
 * VCMA_VCMACTL, if set, waits for the broker to be idle; VCMA_BACKING is the
 * pool's backing, memfd unless it says hugetlb.
 *
 * Every helper asserts: a test that goes on has what it asked for.  Nothing
 * here waits longer than VCMA_TEST_WAIT_MS.
 */
#ifndef TESTS_QTEST_VCMA_TEST_UTIL_H
#define TESTS_QTEST_VCMA_TEST_UTIL_H

/* Before QEMU's own virtio headers, which define __le32 and its like. */
#include "vcma_virtio.h"
#include "vcma_broker.h"
#include "client.h"

#include "libqtest.h"
#include "libqos/libqos-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio.h"
#include "libqos/virtio-pci.h"

#define VCMA_TEST_WAIT_MS   10000
#define VCMA_TEST_SLOTS     16
#define VCMA_TEST_RANGES    (VIRTIO_CMA_RANGES_MAX + 1)

#define MiB_(n)             ((uint64_t)(n) << 20)
#define VCMA_GRANULE        MiB_(2)

/* The windows that vcma_args() asks for, as the device numbers them. */
#define VCMA_NORMAL_SIZE    MiB_(64)
#define VCMA_DMA32_SIZE     MiB_(16)

/* --- the broker: vcma-test-broker.c --- */

typedef struct VcmaBroker {
    char *dir;              /* run directory, gone when the test succeeded */
    char *config;
    char *log;              /* what vcmad wrote to stdout and stderr */
    GPid pid;               /* 0: not running */
} VcmaBroker;

/*
 * The pool and the VMs of almost every test: 64 MiB in chunks of 4 MiB; alpha,
 * beta and gamma without guarantee, limit 32, 64 and 64 MiB.
 */
#define VCMA_CONF_POOL \
    "[pool main]\nbacking=%s\nsize=64M\nchunk=4M\n"
#define VCMA_CONF_DEFAULT \
    "[vm alpha]\npool=main\nlimit=32M\n" \
    "[vm beta]\npool=main\nlimit=64M\n" \
    "[vm gamma]\npool=main\nlimit=64M\n"

VcmaBroker *vcma_broker_prepare(const char *vms);
void vcma_broker_start(VcmaBroker *b);
void vcma_broker_refuses(VcmaBroker *b, const char *text);
VcmaBroker *vcma_broker_new(const char *vms);
void vcma_broker_kill(VcmaBroker *b, int sig);
void vcma_broker_free(VcmaBroker *b);
char *vcma_broker_socket(const VcmaBroker *b, const char *vm);

/* What the operator sees. */
void vcma_op_get_vm(const VcmaBroker *b, const char *vm,
                    struct vcma_op_vm *ret);
void vcma_op_get_pool(const VcmaBroker *b, struct vcma_op_pool *ret);
uint32_t vcma_op_nr_leases(const VcmaBroker *b, const char *vm);
uint32_t vcma_op_bank_leases(const VcmaBroker *b, const char *vm,
                             uint32_t bank);
void vcma_op_wait_leases(const VcmaBroker *b, const char *vm, uint32_t count);
void vcma_op_wait_connected(const VcmaBroker *b, const char *vm,
                            bool connected);
void vcma_wait_idle(const VcmaBroker *b);

/* Another VM, played by the test; it fills what it gets with this byte. */
#define VCMA_PEER_MARK  0xee

typedef struct VcmaPeer {
    struct vcma_client *client;
    char *socket;
    uint32_t hello;         /* status of HELLO */
    bool greeted;
    bool lease_done;        /* of the latest LEASE */
    uint32_t lease_status;
    uint64_t lease_id;
    unsigned released;      /* replies to RELEASE */
    unsigned nr_reclaims;
} VcmaPeer;

VcmaPeer *vcma_peer_new(const VcmaBroker *b, const char *vm);
void vcma_peer_free(VcmaPeer *p);
void vcma_peer_pump(VcmaPeer *p, int ms);
void vcma_peer_lease_send(VcmaPeer *p, uint64_t size, uint32_t deadline_ms);
uint32_t vcma_peer_lease_wait(VcmaPeer *p);
uint32_t vcma_peer_lease(VcmaPeer *p, uint64_t size);
void vcma_peer_release(VcmaPeer *p, uint64_t lease);

/* --- processes --- */

typedef struct VcmaCounts {
    unsigned fds;           /* open descriptors */
    unsigned shared;        /* mappings of files, as leases are */
    unsigned maps;          /* mappings of all kinds */
} VcmaCounts;

/* The C library maps memory for itself when it likes. */
#define VCMA_MAPS_SLACK 3

void vcma_count(int pid, VcmaCounts *ret);
void vcma_assert_counts(int pid, const VcmaCounts *before);
/* Runs QEMU: it has to end by itself, not with 0, and say each of the texts. */
void vcma_qemu_refuses(const char *args, const char *text, const char *text2);

/* --- the device: vcma-test-device.c --- */

typedef struct VcmaRequest {
    uint16_t type;
    uint16_t status;
    uint32_t num_ranges;
    uint32_t deadline_ms;
    uint32_t id;
    uint32_t room;          /* bytes of response in addition */
    struct virtio_cma_range range[VCMA_TEST_RANGES];
} VcmaRequest;

typedef struct VcmaReply {
    uint32_t len;           /* as in the used ring */
    uint16_t status;
    uint32_t num_done;
    uint16_t result[VCMA_TEST_RANGES];
    uint16_t state[VCMA_TEST_RANGES];
} VcmaReply;

/* A page of the client table. */
#define VCMA_TEST_CLIENTS   64

typedef struct VcmaTable {
    uint16_t status;
    uint32_t len;           /* as in the used ring */
    uint32_t nr;
    uint32_t generation;
    uint32_t next;
    struct virtio_cma_client client[VCMA_TEST_CLIENTS];
} VcmaTable;

typedef struct VcmaEvent {
    uint16_t type;
    uint32_t id;
    uint32_t deadline_ms;
    uint32_t num_ranges;
    struct virtio_cma_range range[VIRTIO_CMA_EVENT_RANGES];
} VcmaEvent;

typedef struct VcmaDev {
    QOSState *qs;
    QTestState *qts;
    QVirtioPCIDevice *pci;
    QVirtioDevice *vdev;
    QVirtQueue *req;
    QVirtQueue *ev;
    uint64_t features;              /* offered */
    uint64_t accept;                /* what vcma_dev_start() negotiates */
    struct virtio_cma_config cfg;   /* in host byte order */
    uint64_t base[VIRTIO_CMA_WINDOWS_MAX]; /* guest-physical, of each window */
    uint64_t slots;                 /* guest memory: VCMA_TEST_SLOTS pages */
    uint32_t head[VCMA_TEST_SLOTS]; /* descriptor of the request there, or ~0 */
    uint32_t done_len[VCMA_TEST_SLOTS];
    bool done[VCMA_TEST_SLOTS];
    uint64_t events;                /* guest memory for event buffers */
    unsigned nr_events;             /* posted since the start */
} VcmaDev;

/* Command line for one device; free it.  @extra: further device properties. */
char *vcma_args(const VcmaBroker *b, const char *vm, const char *object_extra,
                const char *device_extra);
QOSState *vcma_boot(const VcmaBroker *b, const char *args);
int vcma_qemu_pid(const VcmaBroker *b);
/* Finds, enables and maps the device, reads its configuration; no driver. */
VcmaDev *vcma_dev_probe(QOSState *qs, int devfn);
/* Takes a driver from reset to DRIVER_OK. */
void vcma_dev_start(VcmaDev *d);
void vcma_dev_start_msix(VcmaDev *d);
/* Device reset, and forget the queues. */
void vcma_dev_reset(VcmaDev *d);
void vcma_dev_free(VcmaDev *d);
bool vcma_dev_needs_reset(VcmaDev *d);

/* A VM of its own: broker, QEMU, started device at 04.0 on pcie.0. */
typedef struct VcmaTest {
    VcmaBroker *b;
    QOSState *qs;
    VcmaDev *d;
    size_t said;            /* of what vcma_said() reads */
} VcmaTest;

void vcma_test_init(VcmaTest *t);
/*
 * With @windows (properties of the device) instead of those of vcma_args(), on
 * @machine (NULL: that of vcma_machine).  What the driver gets wrong is in
 * vcma_said().  vcma_test_boot() leaves the device without a driver, and puts
 * @extra (or NULL) on the command line, too.
 */
void vcma_test_boot(VcmaTest *t, const char *vms, const char *machine,
                    const char *windows, const char *extra);
void vcma_test_init_windows(VcmaTest *t, const char *machine,
                            const char *windows);
void vcma_test_init_vms(VcmaTest *t, const char *vms, const char *object_extra,
                        const char *device_extra);
void vcma_test_fini(VcmaTest *t);

/* --- the machine: vcma-test-machine.c --- */

/* What all VMs of a test program are; q35 if it says nothing else. */
typedef struct VcmaMachine {
    const char *args;       /* first on the command line */
    QOSOps *ops;            /* NULL: a PC's */
    uint64_t bar64;         /* where 64-bit BARs are put */
} VcmaMachine;

extern VcmaMachine vcma_machine;

/* Why the VM cannot migrate; NULL: it did (free it). */
char *vcma_migrate_error(QTestState *qts);
/* To S3; q35 only. */
void vcma_suspend(VcmaTest *t);
void vcma_wakeup(VcmaTest *t);
/* The VM is new then, without a driver. */
void vcma_system_reset(VcmaTest *t);
/* What QEMU has said of the guest's errors since the last time; free it. */
char *vcma_said(VcmaTest *t);
void vcma_assert_said(VcmaTest *t, const char *text);
/* An HMP command; free it. */
char *vcma_hmp(QTestState *qts, const char *command);

/* The same behind a pcie-root-port, where the device can come and go. */
void vcma_boot_root_port(VcmaTest *t, const char *extra);
void vcma_find_device(VcmaTest *t);
void vcma_add_device(VcmaTest *t);
void vcma_del_device(VcmaTest *t);
void vcma_eject(VcmaTest *t, int slot);

void vcma_range(struct virtio_cma_range *r, uint32_t window, uint64_t offset,
                uint64_t size);
int vcma_send(VcmaDev *d, const VcmaRequest *req);
bool vcma_is_done(VcmaDev *d, int slot);
void vcma_collect(VcmaDev *d, int slot, VcmaReply *ret);
void vcma_call(VcmaDev *d, const VcmaRequest *req, VcmaReply *ret);
uint16_t vcma_call1(VcmaDev *d, uint16_t type, uint32_t window,
                    uint64_t offset, uint64_t size);
uint16_t vcma_plug(VcmaDev *d, uint64_t offset, uint64_t size);
uint16_t vcma_plug_retry(VcmaDev *d, uint64_t offset, uint64_t size);
uint16_t vcma_unplug(VcmaDev *d, uint64_t offset, uint64_t size);
uint32_t vcma_unplug_all(VcmaDev *d);
uint16_t vcma_state(VcmaDev *d, uint64_t offset, uint64_t size);
/* CLIENTS from @first on, with room for @room clients. */
void vcma_clients(VcmaDev *d, uint32_t first, uint32_t room, VcmaTable *ret);
/* CONFIRM of all of a window. */
uint16_t vcma_confirm(VcmaDev *d, uint32_t window);

void vcma_post_event(VcmaDev *d, uint32_t size);
bool vcma_poll_event(VcmaDev *d, VcmaEvent *ret);
void vcma_wait_event(VcmaDev *d, uint16_t type, VcmaEvent *ret);

/* Memory of window 1 (normal). */
void vcma_fill(VcmaDev *d, uint64_t offset, uint64_t size, uint8_t byte);
void vcma_assert_filled(VcmaDev *d, uint64_t offset, uint64_t size,
                        uint8_t byte);
uint64_t vcma_peek(VcmaDev *d, uint64_t offset);
void vcma_poke(VcmaDev *d, uint64_t offset, uint64_t value);

/* QOM: an unsigned property of the device or object at @path. */
uint64_t vcma_qom_uint(QTestState *qts, const char *path, const char *name);

gint64 vcma_deadline(void);
void vcma_nap(gint64 deadline, const char *what);

#endif /* TESTS_QTEST_VCMA_TEST_UTIL_H */
