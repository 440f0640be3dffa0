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

unsigned int vcma_req_check(const struct vcma_req_head *req, size_t in_len, size_t out_len)
{
	bool ranges;

	switch (req->type) {
	case VIRTIO_CMA_REQ_PLUG:
	case VIRTIO_CMA_REQ_UNPLUG:
	case VIRTIO_CMA_REQ_STATE:
		ranges = true;
		break;
	case VIRTIO_CMA_REQ_UNPLUG_ALL:
	case VIRTIO_CMA_REQ_RECLAIM_DONE:
		ranges = false;
		break;
	case VIRTIO_CMA_REQ_CONFIRM:
		return VIRTIO_CMA_S_UNSUPPORTED;
	default:
		return VIRTIO_CMA_S_INVALID;
	}

	if (ranges ? !req->num_ranges || req->num_ranges > VIRTIO_CMA_RANGES_MAX :
		     req->num_ranges)
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
	} else if (req->id || req->status) {
		return VIRTIO_CMA_S_INVALID;
	}
	return VIRTIO_CMA_S_OK;
}

bool vcma_range_check(uint64_t offset, uint64_t size, uint64_t window_length,
		      uint64_t granule)
{
	if (!size || offset + size < offset)
		return false;
	if ((offset | size) & (granule - 1))
		return false;
	return offset + size <= window_length;
}

bool vcma_plug_check(uint64_t offset, uint64_t size, uint64_t window_length,
		     uint64_t granule, uint64_t lease_max)
{
	return vcma_range_check(offset, size, window_length, granule) &&
		!(size & (size - 1)) && size <= lease_max;
}
