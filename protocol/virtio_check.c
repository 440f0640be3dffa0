// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio_check.c - what a well-formed virtio-cma request is
 */
#include "virtio_check.h"

size_t vcma_resp_size(uint32_t num_ranges)
{
	return sizeof(struct virtio_cma_resp) +
		(size_t)num_ranges * sizeof(struct virtio_cma_result);
}

size_t vcma_clients_size(uint32_t num_clients)
{
	return sizeof(struct virtio_cma_resp) + sizeof(struct virtio_cma_clients) +
		(size_t)num_clients * sizeof(struct virtio_cma_client);
}

uint32_t vcma_clients_room(size_t out_len)
{
	size_t n;

	if (out_len < vcma_clients_size(0))
		return 0;
	n = (out_len - vcma_clients_size(0)) / sizeof(struct virtio_cma_client);
	return n < VIRTIO_CMA_CLIENTS_MAX ? (uint32_t)n : VIRTIO_CMA_CLIENTS_MAX;
}

/* Feature bit @bit of @features. */
static bool has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

unsigned int vcma_req_check(const struct vcma_req_head *req, uint64_t features,
			    size_t in_len, size_t out_len)
{
	uint32_t most;

	switch (req->type) {
	case VIRTIO_CMA_REQ_PLUG:
	case VIRTIO_CMA_REQ_UNPLUG:
	case VIRTIO_CMA_REQ_STATE:
		most = VIRTIO_CMA_RANGES_MAX;
		break;
	case VIRTIO_CMA_REQ_UNPLUG_ALL:
	case VIRTIO_CMA_REQ_RECLAIM_DONE:
		most = 0;
		break;
	case VIRTIO_CMA_REQ_CONFIRM:
		if (!has(features, VIRTIO_CMA_F_FIXED))
			return VIRTIO_CMA_S_UNSUPPORTED;
		most = 1;
		break;
	case VIRTIO_CMA_REQ_CLIENTS:
		if (!has(features, VIRTIO_CMA_F_CLIENT_TABLE))
			return VIRTIO_CMA_S_UNSUPPORTED;
		most = 0;
		break;
	default:
		return VIRTIO_CMA_S_INVALID;
	}

	if (req->num_ranges > most || (most && !req->num_ranges))
		return VIRTIO_CMA_S_INVALID;
	if (in_len != sizeof(struct virtio_cma_req) +
		      (size_t)req->num_ranges * sizeof(struct virtio_cma_range))
		return VIRTIO_CMA_S_INVALID;
	if (out_len < vcma_resp_size(req->num_ranges))
		return VIRTIO_CMA_S_INVALID;

	if (req->type == VIRTIO_CMA_REQ_RECLAIM_DONE) {
		if (!req->id || (req->status != VIRTIO_CMA_S_OK &&
				 req->status != VIRTIO_CMA_S_BUSY))
			return VIRTIO_CMA_S_INVALID;
	} else if (req->type == VIRTIO_CMA_REQ_CLIENTS) {
		if (req->status || !vcma_clients_room(out_len))
			return VIRTIO_CMA_S_INVALID;
	} else if (req->id || req->status) {
		return VIRTIO_CMA_S_INVALID;
	}
	return VIRTIO_CMA_S_OK;
}

const char *vcma_range_why(uint64_t offset, uint64_t size, uint64_t window_length,
			   uint64_t granule)
{
	if (!size)
		return "its size is 0; ask for a granule at least";
	if (offset + size < offset)
		return "its end is beyond 2^64; stay inside the window";
	if ((offset | size) & (granule - 1))
		return "offset and size are not both multiples of the granule; round them";
	if (offset + size > window_length)
		return "it reaches beyond the window's end; stay inside the window";
	return NULL;
}

const char *vcma_plug_why(uint64_t offset, uint64_t size, uint64_t window_length,
			  uint64_t granule, uint64_t lease_max)
{
	const char *why = vcma_range_why(offset, size, window_length, granule);

	if (why)
		return why;
	if (size & (size - 1))
		return "its size is no power of two; ask for several leases";
	if (size > lease_max)
		return "its size is above lease_max; ask for several leases";
	return NULL;
}

bool vcma_window_usable(uint32_t flags, uint16_t bank, uint64_t features)
{
	if ((flags & VIRTIO_CMA_WIN_FIXED) && !has(features, VIRTIO_CMA_F_FIXED))
		return false;
	return !bank || has(features, VIRTIO_CMA_F_BANKS);
}

const char *vcma_confirm_why(uint32_t flags, uint64_t offset, uint64_t size,
			     uint64_t window_length)
{
	if (!(flags & VIRTIO_CMA_WIN_FIXED))
		return "the window is not fixed; only those with the flag need CONFIRM";
	if (offset || size != window_length)
		return "it is not the whole window; name offset 0 and the window's length";
	return NULL;
}

bool vcma_range_check(uint64_t offset, uint64_t size, uint64_t window_length,
		      uint64_t granule)
{
	return !vcma_range_why(offset, size, window_length, granule);
}

bool vcma_plug_check(uint64_t offset, uint64_t size, uint64_t window_length,
		     uint64_t granule, uint64_t lease_max)
{
	return !vcma_plug_why(offset, size, window_length, granule, lease_max);
}
