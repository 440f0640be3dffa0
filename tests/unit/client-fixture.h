/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client-fixture.h - a client, and a broker that the test plays
 *
 * The other end of a socket pair says what a broker says, and what no broker
 * should.  After each test as many descriptors are open as before it.
 */
#ifndef VCMA_TEST_CLIENT_FIXTURE_H
#define VCMA_TEST_CLIENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client.h"
#include "sockio.h"
#include "wire.h"

#define MIB (UINT64_C(1) << 20)
#define GRANULE (2 * MIB)

struct fixture {
	struct vcma_client *client;
	int broker;			/* the broker's end, or -1 */
	unsigned int fds_before;

	unsigned int hellos, closes, reclaims, changes, replies, leases;
	uint32_t hello_status, closed_status, reply_status, lease_status;
	int closed_err;
	uint32_t reclaim_id, reclaim_deadline, reclaim_count;
	uint64_t reclaimed[VCMA_IDS_MAX], available;
	struct vcma_client_lease lease;
	bool close_in_callback;
	struct vcma_packet pkt;
};

unsigned int count_fds(void);
void on_reply(void *opaque, uint32_t status, const struct vcma_hdr *msg, size_t len);
void on_lease(void *opaque, uint32_t status, struct vcma_client_lease *lease);
void *take(struct fixture *f, uint16_t type);
void assert_nothing_sent(struct fixture *f);
void give(struct fixture *f, const void *msg, size_t len);
void give_fds(struct fixture *f, const void *msg, size_t len, unsigned int nfds);
void reply_empty(struct fixture *f, const struct vcma_hdr *request, uint32_t status);
void make_hello_reply(struct vcma_hello_reply *m, const struct vcma_hdr *request);
void make_lease_reply(struct vcma_lease_reply *m, const struct vcma_hdr *request,
		      uint64_t id, uint64_t size);
uint32_t announced(const struct vcma_lease_reply *m);
int set_up(void **state);
int set_up_closed(void **state);
int tear_down(void **state);
void greet(struct fixture *f);
int ask_lease(struct fixture *f, uint64_t size);
/* The connection has ended for that reason, and everybody was told. */
void assert_ended(struct fixture *f, int err);

#define LIVE(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
#define BARE(t) cmocka_unit_test_setup_teardown(t, set_up_closed, tear_down)

#endif /* VCMA_TEST_CLIENT_FIXTURE_H */
