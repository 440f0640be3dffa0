/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vcma broker protocol, version 1: what vcmad and its peers say on a socket.
 *
 * A peer connects to a Unix SOCK_SEQPACKET socket.  Each VM has a listening
 * socket of its own, so that the socket says which VM the peer is; the
 * operator has another one.  One message is one packet.  All fields are
 * little-endian; all sizes, offsets and addresses are in bytes unless the
 * name says otherwise (pfn: host page frame number in units of 4096 bytes).
 *
 * The first message is HELLO from the peer.  A request gets exactly one reply
 * with the same type, VCMA_MSG_REPLY set, and the same sequence number.
 * One-way messages and events get none.
 *
 * Memory travels as file descriptors, from the broker to a VM only: one
 * descriptor is one granule for one tenancy.  The descriptors of a lease are
 * in the order of their host page frame numbers, which are consecutive.  At
 * most VCMA_FDS_MAX go in a packet; while one such packet is not acknowledged
 * (LEASE_ACK) the broker sends that peer no other.
 *
 * The rules are normative in SPEC.md, section 2 and on; numbers in brackets,
 * [B-n], name them.
 */
#ifndef VCMA_BROKER_H
#define VCMA_BROKER_H

#include <linux/types.h>

#define VCMA_BROKER_MAGIC	0x414d4356u /* "VCMA" as bytes on the wire */
#define VCMA_BROKER_VERSION	1

/* Limits, the same for every peer [B-1] [B-27] [B-32] [B-46]. */
#define VCMA_MSG_MAX		16384	/* bytes in one message, header included */
#define VCMA_FDS_MAX		253	/* descriptors in one packet (kernel: SCM_MAX_FD) */
#define VCMA_IDS_MAX		64	/* lease ids in one RELEASE, RECLAIM, STATS */
#define VCMA_RECORDS_MAX	64	/* records in one operator reply */
#define VCMA_NAME_MAX		32	/* a name with its NUL; the rest is NUL, too */
#define VCMA_TOKEN_SIZE		16	/* random bytes that prove a grant */
#define VCMA_REQUESTS_MAX	64	/* requests of one peer without a reply yet */
#define VCMA_BANKS_MAX		32	/* banks of one VM: bits in vcma_hello_reply.banks */

/* Every message begins with this [B-5] to [B-9]. */
struct vcma_hdr {
	__le32 magic;		/* VCMA_BROKER_MAGIC */
	__le16 version;		/* of this header and message; 1 */
	__le16 type;		/* VCMA_MSG_* */
	__le32 length;		/* of the whole message; equals the packet's size */
	__le32 sequence;	/* the requester's choice, copied to the reply; 0 in events */
	__le32 status;		/* VCMA_ST_* in a reply; 0 otherwise */
	__le32 reserved;	/* 0 */
};

#define VCMA_MSG_REPLY		0x8000

/* --- requests of a VM -> broker; each has a reply [B-6] [B-13] --- */
#define VCMA_MSG_HELLO		0x0001	/* vcma_hello -> vcma_hello_reply */
#define VCMA_MSG_LEASE		0x0002	/* vcma_lease_req -> vcma_lease_reply (+ descriptors) */
#define VCMA_MSG_CANCEL		0x0003	/* vcma_cancel -> vcma_empty */
#define VCMA_MSG_RELEASE	0x0004	/* vcma_release -> vcma_empty */
#define VCMA_MSG_ADOPT		0x0005	/* reserved: needs VCMA_CAP_ADOPT [B-80] */
#define VCMA_MSG_PING		0x0006	/* vcma_empty -> vcma_empty; either side may ask [B-28] */

/* --- one-way, VM -> broker --- */
#define VCMA_MSG_LEASE_ACK	0x0041	/* vcma_lease_ack */
#define VCMA_MSG_RECLAIM_DONE	0x0042	/* vcma_reclaim_done */
#define VCMA_MSG_STATS		0x0043	/* reserved: needs VCMA_CAP_STATS [B-81] */

/* --- events, broker -> VM --- */
#define VCMA_MSG_LEASE_PART	0x0081	/* vcma_lease_part + descriptors */
#define VCMA_MSG_RECLAIM	0x0082	/* vcma_reclaim */
#define VCMA_MSG_POOL_CHANGED	0x0083	/* vcma_pool_changed */
#define VCMA_MSG_LEASE_BAD	0x0084	/* reserved: needs VCMA_CAP_LEASE_BAD [B-82] */
#define VCMA_MSG_GOODBYE	0x0085	/* vcma_empty; hdr.status says why, then it closes [B-29] */

/* --- requests of an operator -> broker, operator socket only [B-60] --- */
#define VCMA_MSG_OP_STATUS	0x0101	/* vcma_empty -> vcma_op_status */
#define VCMA_MSG_OP_POOLS	0x0102	/* vcma_op_list -> vcma_op_page + vcma_op_pool[] */
#define VCMA_MSG_OP_VMS		0x0103	/* vcma_op_list -> vcma_op_page + vcma_op_vm[] */
#define VCMA_MSG_OP_LEASES	0x0104	/* vcma_op_list -> vcma_op_page + vcma_op_lease[] */
#define VCMA_MSG_OP_RECLAIM	0x0105	/* vcma_op_reclaim -> vcma_op_reclaimed */
#define VCMA_MSG_OP_WAIT_IDLE	0x0106	/* vcma_op_wait -> vcma_empty */

/*
 * Statuses.  The name says the cause; vcma_status_text() in wire.h has a
 * sentence with the cure for each.  Which request can end how: SPEC.md, 5.
 */
#define VCMA_ST_OK		0
#define VCMA_ST_INVALID		1	/* malformed, or a value out of its range */
#define VCMA_ST_DENIED		2	/* this peer may not do that */
#define VCMA_ST_VERSION		3	/* no common protocol version */
#define VCMA_ST_UNSUPPORTED	4	/* needs a capability that was not negotiated */
#define VCMA_ST_EXISTS		5	/* the VM has a live connection already */
#define VCMA_ST_UNKNOWN_LEASE	6	/* no such lease of this VM */
#define VCMA_ST_TOO_MANY	7	/* VCMA_REQUESTS_MAX reached */
#define VCMA_ST_OVER_LIMIT	8	/* would go beyond the VM's limit */
#define VCMA_ST_GUARANTEED	9	/* only what is guaranteed to other VMs is left */
#define VCMA_ST_NO_MEMORY	10	/* the pool is too small for this request at any time */
#define VCMA_ST_NO_RUN		11	/* enough memory, but no such run of consecutive pages */
#define VCMA_ST_TRY_LATER	12	/* holders did not give it back before the deadline */
#define VCMA_ST_CANCELLED	13	/* by CANCEL */
#define VCMA_ST_BUSY		14	/* RECLAIM_DONE: all leases asked for are in use */
#define VCMA_ST_SHUTDOWN	15	/* the broker is ending */
#define VCMA_ST_INTERNAL	16	/* the broker failed; its log says why */
/* Never on the wire; the client library's own. */
#define VCMA_ST_AWAY		17	/* there is no connection */
#define VCMA_ST_LOCAL		18	/* this process could not take the descriptors */
#define VCMA_ST_MAX		19

/* Capabilities (bits in HELLO) [B-22].  The first three are reserved for later. */
#define VCMA_CAP_ADOPT		(1u << 0)
#define VCMA_CAP_STATS		(1u << 1)
#define VCMA_CAP_LEASE_BAD	(1u << 2)
#define VCMA_CAP_BANKS		(1u << 3) /* LEASE and the operator's records name banks [B-83] */

/* A request, reply or event that is only a header. */
struct vcma_empty {
	struct vcma_hdr hdr;
};

/* HELLO: the peer offers a span of versions and what it is able to do [B-20] [B-21]. */
struct vcma_hello {
	struct vcma_hdr hdr;
	__le16 version_min;	/* lowest and highest version that the peer speaks */
	__le16 version_max;
	__le32 capabilities;	/* VCMA_CAP_* the peer is able to use */
	/*
	 * 0: the peer holds no lease.  Else the `instance` of an earlier
	 * vcma_hello_reply: the same process comes back on a new connection
	 * and still holds its leases [B-25].
	 */
	__le64 instance;
	char name[VCMA_NAME_MAX];	/* of the program, for the broker's log */
};

/* Flags of vcma_op_pool, and of vcma_hello_reply: there, what is true of every bank [B-32]. */
#define VCMA_POOL_CONTIGUOUS	(1u << 0) /* host pages of a lease are physically consecutive */
#define VCMA_POOL_REVOCABLE	(1u << 1) /* memory can be taken from a live process */
#define VCMA_HELLO_RESUMED	(1u << 8) /* the leases of `instance` are still held */

/* [B-26]; what is said of a pool or of a share is said of bank 0 */
struct vcma_hello_reply {
	struct vcma_hdr hdr;	/* OK, VERSION, DENIED, EXISTS, INVALID, SHUTDOWN */
	__le16 version;		/* the highest that both speak */
	__le16 reserved;
	__le32 capabilities;	/* the intersection */
	__le32 flags;		/* VCMA_POOL_*, VCMA_HELLO_RESUMED */
	__le32 banks;		/* bit n: LEASE may name bank n; 0 without VCMA_CAP_BANKS [B-32] */
	__le64 instance;	/* random, never 0; of this run of the broker */
	__le64 granule_size;	/* one descriptor; a power of two */
	__le64 chunk_size;	/* what a VM's share is counted in; a power of two */
	__le64 lease_max;	/* largest lease: a power of two */
	__le64 guarantee;	/* of this VM */
	__le64 limit;		/* of this VM */
	char vm[VCMA_NAME_MAX];	/* the VM's name as configured */
	char pool[VCMA_NAME_MAX];
};

/*
 * LEASE: one physically contiguous run [B-40] [B-41].  Not enough clean memory:
 * the broker reclaims from others and answers when it has it, at the deadline at
 * last [B-43].
 */
struct vcma_lease_req {
	struct vcma_hdr hdr;
	__le64 size;		/* a power of two, at least a granule */
	__le64 alignment;	/* of the host address: a power of two, or 0 for a granule's */
	__le64 boundary;	/* no lease crosses a multiple of it: a power of two >= size, or 0 */
	__le64 max_addr;	/* highest host address allowed, ~0 for any */
	__le64 forbidden;	/* host address bits that have to be 0, or 0 */
	__le32 bank;		/* 0, or another of vcma_hello_reply.banks [B-83] */
	__le32 deadline_ms;	/* 1 to VCMA_DEADLINE_MAX_MS */
};

#define VCMA_DEADLINE_MAX_MS	600000

/*
 * Status OK: the first descriptors ride along, as many as the broker chooses;
 * more follow in LEASE_PART, one packet for each LEASE_ACK.  The
 * lease is the VM's when the last one is acknowledged [B-46] [B-48].  The receiver
 * owns the descriptors.  Otherwise: all fields 0 or a bare header [B-14], no
 * descriptor, hdr.status says why [B-44].
 */
struct vcma_lease_reply {
	struct vcma_hdr hdr;
	__le64 lease;		/* id, never 0, never used again in this run [B-49] */
	__le64 size;		/* as asked */
	__le32 nr_granules;	/* of the lease */
	__le32 nr_fds;		/* in this packet */
	__u8 token[VCMA_TOKEN_SIZE];
};

struct vcma_lease_part {
	struct vcma_hdr hdr;
	__le64 lease;
	__le32 first;		/* index of the first granule in this packet */
	__le32 nr_fds;		/* in this packet */
};

/*
 * LEASE_ACK: descriptors arrived.  A status other than OK gives the lease up
 * half way: the broker sends no further part and takes everything back [B-47].
 */
struct vcma_lease_ack {
	struct vcma_hdr hdr;
	__le64 lease;
	__le32 received;	/* granules received so far, in all */
	__le32 status;		/* VCMA_ST_OK to go on; anything else aborts */
};

/* CANCEL a LEASE that has no reply yet; that one then ends with CANCELLED [B-50]. */
struct vcma_cancel {
	struct vcma_hdr hdr;
	__le32 sequence;	/* of the LEASE */
	__le32 reserved;
};

/*
 * RELEASE: the peer has unmapped and closed all granules of these leases.
 * hdr.length says how many.  All or nothing: one unknown id and none is
 * released (UNKNOWN_LEASE) [B-51].
 */
struct vcma_release {
	struct vcma_hdr hdr;
	__le32 count;		/* 1 to VCMA_IDS_MAX */
	__le32 reserved;
	__le64 lease[];
};

/*
 * RECLAIM: please RELEASE these, first the first, and say RECLAIM_DONE when
 * no more will come.  What is in use stays: refusing is not an error [B-53].
 */
struct vcma_reclaim {
	struct vcma_hdr hdr;
	__le32 id;		/* never 0; copied to RECLAIM_DONE */
	__le32 deadline_ms;	/* from now; an answer after that is late but not wrong */
	__le32 count;		/* 1 to VCMA_IDS_MAX */
	__le32 reserved;
	__le64 lease[];
};

struct vcma_reclaim_done {
	struct vcma_hdr hdr;
	__le32 id;
	__le32 status;		/* OK: all released.  BUSY: some or all are in use */
};

/* POOL_CHANGED: a request that failed for want of memory may succeed now [B-55]. */
struct vcma_pool_changed {
	struct vcma_hdr hdr;
	__le64 available;	/* bytes that the VM could lease in that bank without any reclaim */
};

/* --- operator --- */

struct vcma_op_list {
	struct vcma_hdr hdr;
	__le64 after;		/* list from here: index (pools, VMs) or lease id; 0: from the start */
};

/* Records follow, `count` of them; ask again with after = next until next is 0 [B-61]. */
struct vcma_op_page {
	struct vcma_hdr hdr;
	__le32 count;		/* 0 to VCMA_RECORDS_MAX */
	__le32 record_size;	/* of each record that follows */
	__le64 next;		/* 0: this was the last page */
};

struct vcma_op_status {
	struct vcma_hdr hdr;
	__le64 instance;
	__le64 uptime_ms;
	__le32 pid;
	__le32 nr_pools;
	__le32 nr_vms;
	__le32 nr_connected;	/* VMs with a live connection */
	__le32 nr_leases;
	__le32 nr_waiting;	/* LEASE requests that wait for reclaim */
	char version[VCMA_NAME_MAX];	/* of the program */
};

#define VCMA_BACKING_HUGETLB	1
#define VCMA_BACKING_MEMFD	2
#define VCMA_BACKING_SIM	16	/* no memory: nothing can be leased [B-90] */

/* [B-62] */
struct vcma_op_pool {
	char name[VCMA_NAME_MAX];
	__le32 backing;		/* VCMA_BACKING_* */
	__le32 flags;		/* VCMA_POOL_* */
	__le64 granule_size;
	__le64 chunk_size;
	__le64 size;		/* granules * granule_size */
	__le64 extents;		/* maximal runs of consecutive PFNs, whoever holds them */
	__le64 longest;		/* the longest of these, bytes */
	__le64 free_longest;	/* longest run that is CLEAN and guaranteed to nobody, bytes */
	__le64 guaranteed;	/* set aside for VMs, held or not, bytes */
	/* granules in each state (invariant I1); the sum is all granules */
	__le32 clean;
	__le32 reserved;
	__le32 granting;
	__le32 leased;
	__le32 dirty;
	__le32 scrubbing;
	__le32 quarantined;
	__le32 bad;
	/* since start */
	__le64 scrubbed;	/* granules revoked and made anew */
	__le64 reclaimed;	/* bytes given back on RECLAIM */
	__le64 refused;		/* LEASE requests that failed */
};

#define VCMA_VM_CONNECTED	(1u << 0)
#define VCMA_VM_ORPHANED	(1u << 1) /* no connection, but its process lives and holds leases */
#define VCMA_VM_DEGRADED	(1u << 2) /* some of its guarantee is quarantined or bad (I7) */

/* [B-63] */
struct vcma_op_vm {
	char name[VCMA_NAME_MAX];
	char pool[VCMA_NAME_MAX];
	__le32 flags;		/* VCMA_VM_* */
	__le32 pid;		/* of the process that holds its leases, or 0 */
	__le64 guarantee;
	__le64 guarantee_run;	/* length of each promised run */
	__le64 limit;
	__le64 charged;		/* whole chunks that count against the limit */
	__le64 leased;		/* in leases, GRANTING or LEASED */
	__le64 dirty;		/* given back, not clean yet */
	__le64 quarantined;
	__le32 nr_leases;
	__le32 nr_waiting;
	__le64 reclaimed;	/* bytes taken back by RECLAIM since start */
	/* the latest LEASE that failed */
	__le64 refused_size;	/* 0: none so far */
	__le32 refused_status;	/* VCMA_ST_* */
	__le32 bank;		/* of which all this is said; 0 without VCMA_CAP_BANKS [B-66] */
	char refused_by[VCMA_NAME_MAX];	/* GUARANTEED: the VM whose guarantee stood in the way */
};

#define VCMA_LEASE_GRANTING	1
#define VCMA_LEASE_HELD		2

struct vcma_op_lease {
	__le64 lease;
	char vm[VCMA_NAME_MAX];
	char pool[VCMA_NAME_MAX];
	__le64 pfn;		/* first, in units of 4096 bytes */
	__le64 size;
	__le32 state;		/* VCMA_LEASE_* */
	__le16 guaranteed;	/* 1: lies in the VM's own guaranteed run */
	__le16 bank;		/* 0 without VCMA_CAP_BANKS [B-66] */
	__le64 age_ms;
};

/* OP_RECLAIM: ask a VM (or every VM: empty name) to give back `bytes` [B-64]. */
struct vcma_op_reclaim {
	struct vcma_hdr hdr;
	char vm[VCMA_NAME_MAX];
	__le64 bytes;		/* ~0: all it can spare */
	__le32 deadline_ms;	/* 1 to VCMA_DEADLINE_MAX_MS */
	__le32 reserved;
};

struct vcma_op_reclaimed {
	struct vcma_hdr hdr;	/* OK, DENIED, INVALID (no such VM), TRY_LATER (deadline) */
	__le64 bytes;		/* that came back */
};

/*
 * OP_WAIT_IDLE: reply when nothing is in motion: no granule RESERVED,
 * GRANTING, DIRTY or SCRUBBING, no request waiting, no reclaim under way [B-65].
 */
struct vcma_op_wait {
	struct vcma_hdr hdr;
	__le32 deadline_ms;	/* TRY_LATER then */
	__le32 reserved;
};

#endif /* VCMA_BROKER_H */
