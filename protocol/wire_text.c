// SPDX-License-Identifier: BSD-3-Clause
/*
 * wire_text.c - names of messages and statuses, and what to do about them
 */
#include "wire.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct status_row {
	const char *name;
	const char *text;
};

static const struct status_row statuses[] = {
	[VCMA_ST_OK] = { "OK", "done" },
	[VCMA_ST_INVALID] = { "INVALID",
		"the request is malformed or has a value out of its range; "
		"correct the request" },
	[VCMA_ST_DENIED] = { "DENIED",
		"this peer may not do that; connect as the configured owner, "
		"to the socket that is meant for it, and name only banks that the VM has" },
	[VCMA_ST_VERSION] = { "VERSION",
		"the two sides have no protocol version in common; "
		"install matching versions of vcmad and its peer" },
	[VCMA_ST_UNSUPPORTED] = { "UNSUPPORTED",
		"the request needs a capability that was not negotiated; "
		"use a vcmad that offers it" },
	[VCMA_ST_EXISTS] = { "EXISTS",
		"the VM has a live connection or a live process that holds its leases; "
		"stop that process first" },
	[VCMA_ST_UNKNOWN_LEASE] = { "UNKNOWN_LEASE",
		"the VM holds no such lease; nothing was released" },
	[VCMA_ST_TOO_MANY] = { "TOO_MANY",
		"too many requests have no reply yet; wait for some of them" },
	[VCMA_ST_OVER_LIMIT] = { "OVER_LIMIT",
		"the VM would go beyond its limit; give leases back or raise `limit`" },
	[VCMA_ST_GUARANTEED] = { "GUARANTEED",
		"all that is left is guaranteed to other VMs; "
		"wait until somebody gives memory back, or enlarge the pool" },
	[VCMA_ST_NO_MEMORY] = { "NO_MEMORY",
		"the pool is too small for this request at any time; "
		"ask for less or enlarge the pool" },
	[VCMA_ST_NO_RUN] = { "NO_RUN",
		"there is enough memory, but no run of consecutive pages that fits; "
		"ask for smaller leases or use a larger chunk" },
	[VCMA_ST_TRY_LATER] = { "TRY_LATER",
		"the holders did not give memory back before the deadline; "
		"try again, or with a longer deadline" },
	[VCMA_ST_CANCELLED] = { "CANCELLED", "the request was cancelled by its sender" },
	[VCMA_ST_BUSY] = { "BUSY",
		"some of the leases are in use; try again when they are idle" },
	[VCMA_ST_SHUTDOWN] = { "SHUTDOWN", "vcmad is ending; connect again when it is back" },
	[VCMA_ST_INTERNAL] = { "INTERNAL", "vcmad failed; its log says why" },
	[VCMA_ST_AWAY] = { "AWAY",
		"there is no connection to vcmad; see whether it runs "
		"and whether the socket's path is right" },
	[VCMA_ST_LOCAL] = { "LOCAL",
		"this process could not take the descriptors; "
		"raise its limit of open files (RLIMIT_NOFILE) or give leases back" },
};

_Static_assert(ARRAY_SIZE(statuses) == VCMA_ST_MAX, "a row for each VCMA_ST_*");

const char *vcma_status_name(uint32_t status)
{
	return status < VCMA_ST_MAX ? statuses[status].name : "unknown";
}

const char *vcma_status_text(uint32_t status)
{
	return status < VCMA_ST_MAX ? statuses[status].text :
		"vcmad answered with a status that this program does not know; "
		"install matching versions";
}

const char *vcma_msg_name(uint16_t type)
{
	switch (type & ~VCMA_MSG_REPLY) {
	case VCMA_MSG_HELLO: return "HELLO";
	case VCMA_MSG_LEASE: return "LEASE";
	case VCMA_MSG_CANCEL: return "CANCEL";
	case VCMA_MSG_RELEASE: return "RELEASE";
	case VCMA_MSG_ADOPT: return "ADOPT";
	case VCMA_MSG_PING: return "PING";
	case VCMA_MSG_LEASE_ACK: return "LEASE_ACK";
	case VCMA_MSG_RECLAIM_DONE: return "RECLAIM_DONE";
	case VCMA_MSG_STATS: return "STATS";
	case VCMA_MSG_LEASE_PART: return "LEASE_PART";
	case VCMA_MSG_RECLAIM: return "RECLAIM";
	case VCMA_MSG_POOL_CHANGED: return "POOL_CHANGED";
	case VCMA_MSG_LEASE_BAD: return "LEASE_BAD";
	case VCMA_MSG_GOODBYE: return "GOODBYE";
	case VCMA_MSG_OP_STATUS: return "OP_STATUS";
	case VCMA_MSG_OP_POOLS: return "OP_POOLS";
	case VCMA_MSG_OP_VMS: return "OP_VMS";
	case VCMA_MSG_OP_LEASES: return "OP_LEASES";
	case VCMA_MSG_OP_RECLAIM: return "OP_RECLAIM";
	case VCMA_MSG_OP_WAIT_IDLE: return "OP_WAIT_IDLE";
	default: return "unknown";
	}
}
