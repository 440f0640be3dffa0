/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio_check.h - what a well-formed virtio-cma request is
 *
 * Pure: plain numbers in host byte order, no library.  For the device and its
 * tests.  Statuses are VIRTIO_CMA_S_*: OK, INVALID or UNSUPPORTED.
 */
#ifndef VCMA_VIRTIO_CHECK_H
#define VCMA_VIRTIO_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* struct virtio_cma_req in host byte order. */
struct vcma_req_head {
	uint16_t type;
	uint16_t status;
	uint32_t num_ranges;
	uint32_t deadline_ms;
	uint32_t id;
};

/*
 * The head of a request, and whether the descriptors hold exactly what it
 * announces: @in_len device-readable bytes, and at least the response (of
 * CLIENTS: with one client) in @out_len device-writable ones.  @features are
 * those that were negotiated.  If the status is not OK the response has no
 * results; without room for struct virtio_cma_resp there is none at all.
 */
unsigned int vcma_req_check(const struct vcma_req_head *req, uint64_t features,
			    size_t in_len, size_t out_len);

/* Bytes of the response to a request with @num_ranges ranges. */
size_t vcma_resp_size(uint32_t num_ranges);
/* Bytes of a CLIENTS response with @num_clients clients. */
size_t vcma_clients_size(uint32_t num_clients);
/* Clients that fit in a CLIENTS response of @out_len bytes, at most the whole table. */
uint32_t vcma_clients_room(size_t out_len);

/*
 * Is [@offset, @offset + @size) a whole number of granules inside a window of
 * @window_length?  Zero and overflow are looked at first.  @granule is a power
 * of two.
 */
bool vcma_range_check(uint64_t offset, uint64_t size, uint64_t window_length,
		      uint64_t granule);

/* As above, and may it become a lease: a power of two, not above @lease_max? */
bool vcma_plug_check(uint64_t offset, uint64_t size, uint64_t window_length,
		     uint64_t granule, uint64_t lease_max);

/* May a driver that negotiated @features PLUG in such a window?  False: UNSUPPORTED. */
bool vcma_window_usable(uint32_t flags, uint16_t bank, uint64_t features);

/* Why CONFIRM of this range is INVALID, cause and cure; NULL if it is not [V-66]. */
const char *vcma_confirm_why(uint32_t flags, uint64_t offset, uint64_t size,
			     uint64_t window_length);

/* Why vcma_range_check() and vcma_plug_check() say no; NULL if they say yes. */
const char *vcma_range_why(uint64_t offset, uint64_t size, uint64_t window_length,
			   uint64_t granule);
const char *vcma_plug_why(uint64_t offset, uint64_t size, uint64_t window_length,
			  uint64_t granule, uint64_t lease_max);

#endif /* VCMA_VIRTIO_CHECK_H */
