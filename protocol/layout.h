/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout.h - sizes and offsets of everything that two programs share
 *
 * Included by every consumer of the two protocol headers, so that a compiler
 * or a target that lays out a struct in another way fails to build.  No code.
 */
#ifndef VCMA_LAYOUT_H
#define VCMA_LAYOUT_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#else
#include <stddef.h>
#endif

#include "vcma_broker.h"
#include "vcma_virtio.h"

#define VCMA_SIZE(type, size) \
	_Static_assert(sizeof(type) == (size), "size of " #type " is not " #size)
#define VCMA_AT(type, member, offset) \
	_Static_assert(offsetof(type, member) == (offset), \
		       "offset of " #member " in " #type " is not " #offset)

/* --- vcma_broker.h --- */

VCMA_SIZE(struct vcma_hdr, 24);
VCMA_AT(struct vcma_hdr, magic, 0);
VCMA_AT(struct vcma_hdr, version, 4);
VCMA_AT(struct vcma_hdr, type, 6);
VCMA_AT(struct vcma_hdr, length, 8);
VCMA_AT(struct vcma_hdr, sequence, 12);
VCMA_AT(struct vcma_hdr, status, 16);
VCMA_AT(struct vcma_hdr, reserved, 20);

VCMA_SIZE(struct vcma_empty, 24);
VCMA_AT(struct vcma_empty, hdr, 0);

VCMA_SIZE(struct vcma_hello, 72);
VCMA_AT(struct vcma_hello, hdr, 0);
VCMA_AT(struct vcma_hello, version_min, 24);
VCMA_AT(struct vcma_hello, version_max, 26);
VCMA_AT(struct vcma_hello, capabilities, 28);
VCMA_AT(struct vcma_hello, instance, 32);
VCMA_AT(struct vcma_hello, name, 40);

VCMA_SIZE(struct vcma_hello_reply, 152);
VCMA_AT(struct vcma_hello_reply, hdr, 0);
VCMA_AT(struct vcma_hello_reply, version, 24);
VCMA_AT(struct vcma_hello_reply, reserved, 26);
VCMA_AT(struct vcma_hello_reply, capabilities, 28);
VCMA_AT(struct vcma_hello_reply, flags, 32);
VCMA_AT(struct vcma_hello_reply, banks, 36);
VCMA_AT(struct vcma_hello_reply, instance, 40);
VCMA_AT(struct vcma_hello_reply, granule_size, 48);
VCMA_AT(struct vcma_hello_reply, chunk_size, 56);
VCMA_AT(struct vcma_hello_reply, lease_max, 64);
VCMA_AT(struct vcma_hello_reply, guarantee, 72);
VCMA_AT(struct vcma_hello_reply, limit, 80);
VCMA_AT(struct vcma_hello_reply, vm, 88);
VCMA_AT(struct vcma_hello_reply, pool, 120);

VCMA_SIZE(struct vcma_lease_req, 72);
VCMA_AT(struct vcma_lease_req, hdr, 0);
VCMA_AT(struct vcma_lease_req, size, 24);
VCMA_AT(struct vcma_lease_req, alignment, 32);
VCMA_AT(struct vcma_lease_req, boundary, 40);
VCMA_AT(struct vcma_lease_req, max_addr, 48);
VCMA_AT(struct vcma_lease_req, forbidden, 56);
VCMA_AT(struct vcma_lease_req, bank, 64);
VCMA_AT(struct vcma_lease_req, deadline_ms, 68);

VCMA_SIZE(struct vcma_lease_reply, 64);
VCMA_AT(struct vcma_lease_reply, hdr, 0);
VCMA_AT(struct vcma_lease_reply, lease, 24);
VCMA_AT(struct vcma_lease_reply, size, 32);
VCMA_AT(struct vcma_lease_reply, nr_granules, 40);
VCMA_AT(struct vcma_lease_reply, nr_fds, 44);
VCMA_AT(struct vcma_lease_reply, token, 48);

VCMA_SIZE(struct vcma_lease_part, 40);
VCMA_AT(struct vcma_lease_part, hdr, 0);
VCMA_AT(struct vcma_lease_part, lease, 24);
VCMA_AT(struct vcma_lease_part, first, 32);
VCMA_AT(struct vcma_lease_part, nr_fds, 36);

VCMA_SIZE(struct vcma_lease_ack, 40);
VCMA_AT(struct vcma_lease_ack, hdr, 0);
VCMA_AT(struct vcma_lease_ack, lease, 24);
VCMA_AT(struct vcma_lease_ack, received, 32);
VCMA_AT(struct vcma_lease_ack, status, 36);

VCMA_SIZE(struct vcma_cancel, 32);
VCMA_AT(struct vcma_cancel, hdr, 0);
VCMA_AT(struct vcma_cancel, sequence, 24);
VCMA_AT(struct vcma_cancel, reserved, 28);

VCMA_SIZE(struct vcma_release, 32);
VCMA_AT(struct vcma_release, hdr, 0);
VCMA_AT(struct vcma_release, count, 24);
VCMA_AT(struct vcma_release, reserved, 28);
VCMA_AT(struct vcma_release, lease, 32);

VCMA_SIZE(struct vcma_reclaim, 40);
VCMA_AT(struct vcma_reclaim, hdr, 0);
VCMA_AT(struct vcma_reclaim, id, 24);
VCMA_AT(struct vcma_reclaim, deadline_ms, 28);
VCMA_AT(struct vcma_reclaim, count, 32);
VCMA_AT(struct vcma_reclaim, reserved, 36);
VCMA_AT(struct vcma_reclaim, lease, 40);

VCMA_SIZE(struct vcma_reclaim_done, 32);
VCMA_AT(struct vcma_reclaim_done, hdr, 0);
VCMA_AT(struct vcma_reclaim_done, id, 24);
VCMA_AT(struct vcma_reclaim_done, status, 28);

VCMA_SIZE(struct vcma_pool_changed, 32);
VCMA_AT(struct vcma_pool_changed, hdr, 0);
VCMA_AT(struct vcma_pool_changed, available, 24);

VCMA_SIZE(struct vcma_op_list, 32);
VCMA_AT(struct vcma_op_list, hdr, 0);
VCMA_AT(struct vcma_op_list, after, 24);

VCMA_SIZE(struct vcma_op_page, 40);
VCMA_AT(struct vcma_op_page, hdr, 0);
VCMA_AT(struct vcma_op_page, count, 24);
VCMA_AT(struct vcma_op_page, record_size, 28);
VCMA_AT(struct vcma_op_page, next, 32);

VCMA_SIZE(struct vcma_op_status, 96);
VCMA_AT(struct vcma_op_status, hdr, 0);
VCMA_AT(struct vcma_op_status, instance, 24);
VCMA_AT(struct vcma_op_status, uptime_ms, 32);
VCMA_AT(struct vcma_op_status, pid, 40);
VCMA_AT(struct vcma_op_status, nr_pools, 44);
VCMA_AT(struct vcma_op_status, nr_vms, 48);
VCMA_AT(struct vcma_op_status, nr_connected, 52);
VCMA_AT(struct vcma_op_status, nr_leases, 56);
VCMA_AT(struct vcma_op_status, nr_waiting, 60);
VCMA_AT(struct vcma_op_status, version, 64);

VCMA_SIZE(struct vcma_op_pool, 152);
VCMA_AT(struct vcma_op_pool, name, 0);
VCMA_AT(struct vcma_op_pool, backing, 32);
VCMA_AT(struct vcma_op_pool, flags, 36);
VCMA_AT(struct vcma_op_pool, granule_size, 40);
VCMA_AT(struct vcma_op_pool, chunk_size, 48);
VCMA_AT(struct vcma_op_pool, size, 56);
VCMA_AT(struct vcma_op_pool, extents, 64);
VCMA_AT(struct vcma_op_pool, longest, 72);
VCMA_AT(struct vcma_op_pool, free_longest, 80);
VCMA_AT(struct vcma_op_pool, guaranteed, 88);
VCMA_AT(struct vcma_op_pool, clean, 96);
VCMA_AT(struct vcma_op_pool, reserved, 100);
VCMA_AT(struct vcma_op_pool, granting, 104);
VCMA_AT(struct vcma_op_pool, leased, 108);
VCMA_AT(struct vcma_op_pool, dirty, 112);
VCMA_AT(struct vcma_op_pool, scrubbing, 116);
VCMA_AT(struct vcma_op_pool, quarantined, 120);
VCMA_AT(struct vcma_op_pool, bad, 124);
VCMA_AT(struct vcma_op_pool, scrubbed, 128);
VCMA_AT(struct vcma_op_pool, reclaimed, 136);
VCMA_AT(struct vcma_op_pool, refused, 144);

VCMA_SIZE(struct vcma_op_vm, 192);
VCMA_AT(struct vcma_op_vm, name, 0);
VCMA_AT(struct vcma_op_vm, pool, 32);
VCMA_AT(struct vcma_op_vm, flags, 64);
VCMA_AT(struct vcma_op_vm, pid, 68);
VCMA_AT(struct vcma_op_vm, guarantee, 72);
VCMA_AT(struct vcma_op_vm, guarantee_run, 80);
VCMA_AT(struct vcma_op_vm, limit, 88);
VCMA_AT(struct vcma_op_vm, charged, 96);
VCMA_AT(struct vcma_op_vm, leased, 104);
VCMA_AT(struct vcma_op_vm, dirty, 112);
VCMA_AT(struct vcma_op_vm, quarantined, 120);
VCMA_AT(struct vcma_op_vm, nr_leases, 128);
VCMA_AT(struct vcma_op_vm, nr_waiting, 132);
VCMA_AT(struct vcma_op_vm, reclaimed, 136);
VCMA_AT(struct vcma_op_vm, refused_size, 144);
VCMA_AT(struct vcma_op_vm, refused_status, 152);
VCMA_AT(struct vcma_op_vm, bank, 156);
VCMA_AT(struct vcma_op_vm, refused_by, 160);

VCMA_SIZE(struct vcma_op_lease, 104);
VCMA_AT(struct vcma_op_lease, lease, 0);
VCMA_AT(struct vcma_op_lease, vm, 8);
VCMA_AT(struct vcma_op_lease, pool, 40);
VCMA_AT(struct vcma_op_lease, pfn, 72);
VCMA_AT(struct vcma_op_lease, size, 80);
VCMA_AT(struct vcma_op_lease, state, 88);
VCMA_AT(struct vcma_op_lease, guaranteed, 92);
VCMA_AT(struct vcma_op_lease, bank, 94);
VCMA_AT(struct vcma_op_lease, age_ms, 96);

VCMA_SIZE(struct vcma_op_reclaim, 72);
VCMA_AT(struct vcma_op_reclaim, hdr, 0);
VCMA_AT(struct vcma_op_reclaim, vm, 24);
VCMA_AT(struct vcma_op_reclaim, bytes, 56);
VCMA_AT(struct vcma_op_reclaim, deadline_ms, 64);
VCMA_AT(struct vcma_op_reclaim, reserved, 68);

VCMA_SIZE(struct vcma_op_reclaimed, 32);
VCMA_AT(struct vcma_op_reclaimed, hdr, 0);
VCMA_AT(struct vcma_op_reclaimed, bytes, 24);

VCMA_SIZE(struct vcma_op_wait, 32);
VCMA_AT(struct vcma_op_wait, hdr, 0);
VCMA_AT(struct vcma_op_wait, deadline_ms, 24);
VCMA_AT(struct vcma_op_wait, reserved, 28);

/* --- vcma_virtio.h --- */

VCMA_SIZE(struct virtio_cma_window, 32);
VCMA_AT(struct virtio_cma_window, id, 0);
VCMA_AT(struct virtio_cma_window, zone, 4);
VCMA_AT(struct virtio_cma_window, bank, 6);
VCMA_AT(struct virtio_cma_window, flags, 8);
VCMA_AT(struct virtio_cma_window, bar, 12);
VCMA_AT(struct virtio_cma_window, offset, 16);
VCMA_AT(struct virtio_cma_window, length, 24);

VCMA_SIZE(struct virtio_cma_config, 544);
VCMA_AT(struct virtio_cma_config, num_windows, 0);
VCMA_AT(struct virtio_cma_config, max_leases, 4);
VCMA_AT(struct virtio_cma_config, granule_size, 8);
VCMA_AT(struct virtio_cma_config, lease_size, 16);
VCMA_AT(struct virtio_cma_config, lease_max, 24);
VCMA_AT(struct virtio_cma_config, window, 32);

VCMA_SIZE(struct virtio_cma_range, 24);
VCMA_AT(struct virtio_cma_range, window, 0);
VCMA_AT(struct virtio_cma_range, reserved, 4);
VCMA_AT(struct virtio_cma_range, offset, 8);
VCMA_AT(struct virtio_cma_range, size, 16);

VCMA_SIZE(struct virtio_cma_req, 16);
VCMA_AT(struct virtio_cma_req, type, 0);
VCMA_AT(struct virtio_cma_req, status, 2);
VCMA_AT(struct virtio_cma_req, num_ranges, 4);
VCMA_AT(struct virtio_cma_req, deadline_ms, 8);
VCMA_AT(struct virtio_cma_req, id, 12);
VCMA_AT(struct virtio_cma_req, range, 16);

VCMA_SIZE(struct virtio_cma_result, 8);
VCMA_AT(struct virtio_cma_result, status, 0);
VCMA_AT(struct virtio_cma_result, state, 2);
VCMA_AT(struct virtio_cma_result, reserved, 4);

VCMA_SIZE(struct virtio_cma_resp, 8);
VCMA_AT(struct virtio_cma_resp, status, 0);
VCMA_AT(struct virtio_cma_resp, reserved, 2);
VCMA_AT(struct virtio_cma_resp, num_done, 4);
VCMA_AT(struct virtio_cma_resp, result, 8);

VCMA_SIZE(struct virtio_cma_client, 16);
VCMA_AT(struct virtio_cma_client, segment, 0);
VCMA_AT(struct virtio_cma_client, bus, 2);
VCMA_AT(struct virtio_cma_client, devfn, 3);
VCMA_AT(struct virtio_cma_client, bank, 4);
VCMA_AT(struct virtio_cma_client, forbidden, 8);

VCMA_SIZE(struct virtio_cma_clients, 8);
VCMA_AT(struct virtio_cma_clients, generation, 0);
VCMA_AT(struct virtio_cma_clients, next, 4);
VCMA_AT(struct virtio_cma_clients, client, 8);

VCMA_SIZE(struct virtio_cma_event, 1552);
VCMA_AT(struct virtio_cma_event, type, 0);
VCMA_AT(struct virtio_cma_event, reserved, 2);
VCMA_AT(struct virtio_cma_event, id, 4);
VCMA_AT(struct virtio_cma_event, deadline_ms, 8);
VCMA_AT(struct virtio_cma_event, num_ranges, 12);
VCMA_AT(struct virtio_cma_event, range, 16);

/* The largest of each kind fits in a message; 64-bit fields stay aligned. */
_Static_assert(sizeof(struct vcma_reclaim) + VCMA_IDS_MAX * 8 <= VCMA_MSG_MAX, "RECLAIM");
_Static_assert(sizeof(struct vcma_op_page) +
	       VCMA_RECORDS_MAX * sizeof(struct vcma_op_pool) <= VCMA_MSG_MAX, "pools");
_Static_assert(sizeof(struct vcma_op_page) +
	       VCMA_RECORDS_MAX * sizeof(struct vcma_op_vm) <= VCMA_MSG_MAX, "VMs");
_Static_assert(sizeof(struct vcma_op_page) +
	       VCMA_RECORDS_MAX * sizeof(struct vcma_op_lease) <= VCMA_MSG_MAX, "leases");

#undef VCMA_SIZE
#undef VCMA_AT

#endif /* VCMA_LAYOUT_H */
