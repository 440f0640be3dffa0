// SPDX-License-Identifier: BSD-3-Clause
/*
 * wire.c - judge messages of the broker protocol
 *
 * One row of a table per type and direction says how large a message is, how
 * many ids or records it may carry, and who may send it; one small function per
 * type looks at its fields.
 */
#include "wire.h"

#include <errno.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define TO_PEER		(VCMA_TO_VM | VCMA_TO_OPERATOR)
#define FROM_PEER	(VCMA_FROM_VM | VCMA_FROM_OPERATOR)

#define REPLY_TO(type)	((type) | VCMA_MSG_REPLY)

/* What a function that looks at fields knows; it returns what is wrong, or NULL. */
struct look {
	unsigned int path;
	unsigned int nfds;
	uint32_t status;	/* in the header */
	int verdict;		/* status to answer with; INVALID unless changed */
};

typedef const char *look_fn(const void *msg, struct look *look);

struct wire_row {
	uint16_t type;
	uint16_t size;		/* of the fixed part */
	uint16_t record;	/* of each id or record after it; 0: none */
	uint16_t min, max;	/* how many of these */
	uint16_t path;		/* VCMA_FROM_*, VCMA_TO_* that may carry it */
	look_fn *look;		/* NULL: nothing but the header */
};

static bool is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

static bool is_deadline(__le32 ms)
{
	uint32_t v = vcma_le32_to_cpu(ms);

	return v >= 1 && v <= VCMA_DEADLINE_MAX_MS;
}

bool vcma_name_is_valid(const char name[VCMA_NAME_MAX], bool may_be_empty)
{
	size_t i = 0;

	while (i < VCMA_NAME_MAX && name[i] >= 0x20 && name[i] <= 0x7e)
		i++;
	if (i == VCMA_NAME_MAX || (i == 0 && !may_be_empty))
		return false;
	for (; i < VCMA_NAME_MAX; i++) {
		if (name[i])
			return false;
	}
	return true;
}

int vcma_name_set(char name[VCMA_NAME_MAX], const char *text)
{
	char copy[VCMA_NAME_MAX] = "";
	size_t len = strnlen(text, VCMA_NAME_MAX);

	if (len == VCMA_NAME_MAX)
		return -EINVAL;
	memcpy(copy, text, len);
	if (!vcma_name_is_valid(copy, true))
		return -EINVAL;
	memcpy(name, copy, VCMA_NAME_MAX);
	return 0;
}

/* --- requests --- */

static const char *look_hello(const void *msg, struct look *look)
{
	const struct vcma_hello *m = msg;
	uint16_t min = vcma_le16_to_cpu(m->version_min);
	uint16_t max = vcma_le16_to_cpu(m->version_max);

	if (!min || min > max)
		return "the span of versions is empty or begins at 0";
	if (!vcma_name_is_valid(m->name, true))
		return "the program's name is not printable text that ends in NULs";
	if (min > VCMA_BROKER_VERSION || max < VCMA_BROKER_VERSION) {
		look->verdict = VCMA_ST_VERSION;
		return "no common protocol version";
	}
	return NULL;
}

static const char *look_lease(const void *msg, struct look *look)
{
	const struct vcma_lease_req *m = msg;
	uint64_t size = vcma_le64_to_cpu(m->size);
	uint64_t alignment = vcma_le64_to_cpu(m->alignment);
	uint64_t boundary = vcma_le64_to_cpu(m->boundary);

	(void)look;	/* which banks there are, the receiver knows */
	if (!is_power_of_two(size))
		return "the size is not a power of two";
	if (alignment && !is_power_of_two(alignment))
		return "the alignment is not a power of two";
	if (boundary && (!is_power_of_two(boundary) || boundary < size))
		return "the boundary is not a power of two, or below the size";
	if (vcma_le64_to_cpu(m->max_addr) < size - 1)
		return "the highest address is below the size";
	if (!is_deadline(m->deadline_ms))
		return "the deadline is 0 or beyond VCMA_DEADLINE_MAX_MS";
	return NULL;
}

static const char *look_cancel(const void *msg, struct look *look)
{
	const struct vcma_cancel *m = msg;

	(void)look;
	if (vcma_le32_to_cpu(m->reserved))
		return "a reserved field is not 0";
	if (!vcma_le32_to_cpu(m->sequence))
		return "sequence 0 is no request";
	return NULL;
}

static const char *look_ids(const __le64 *id, uint32_t count)
{
	uint32_t i, j;

	for (i = 0; i < count; i++) {
		if (!vcma_le64_to_cpu(id[i]))
			return "lease id 0";
		for (j = 0; j < i; j++) {
			if (id[j] == id[i])
				return "a lease id is there twice";
		}
	}
	return NULL;
}

static const char *look_release(const void *msg, struct look *look)
{
	const struct vcma_release *m = msg;

	(void)look;
	if (vcma_le32_to_cpu(m->reserved))
		return "a reserved field is not 0";
	return look_ids(m->lease, vcma_le32_to_cpu(m->count));
}

static const char *look_op_reclaim(const void *msg, struct look *look)
{
	const struct vcma_op_reclaim *m = msg;

	(void)look;
	if (!vcma_name_is_valid(m->vm, true))
		return "the VM's name is not printable text that ends in NULs";
	if (!vcma_le64_to_cpu(m->bytes))
		return "0 bytes to reclaim";
	if (!is_deadline(m->deadline_ms))
		return "the deadline is 0 or beyond VCMA_DEADLINE_MAX_MS";
	if (vcma_le32_to_cpu(m->reserved))
		return "a reserved field is not 0";
	return NULL;
}

static const char *look_op_wait(const void *msg, struct look *look)
{
	const struct vcma_op_wait *m = msg;

	(void)look;
	if (!is_deadline(m->deadline_ms))
		return "the deadline is 0 or beyond VCMA_DEADLINE_MAX_MS";
	if (vcma_le32_to_cpu(m->reserved))
		return "a reserved field is not 0";
	return NULL;
}

/* --- one-way messages and events --- */

static const char *look_lease_ack(const void *msg, struct look *look)
{
	const struct vcma_lease_ack *m = msg;
	uint32_t status = vcma_le32_to_cpu(m->status);

	(void)look;
	if (!vcma_le64_to_cpu(m->lease))
		return "lease id 0";
	if (status >= VCMA_ST_AWAY)
		return "unknown status";
	if (status == VCMA_ST_OK && !vcma_le32_to_cpu(m->received))
		return "nothing was received";
	return NULL;
}

static const char *look_reclaim_done(const void *msg, struct look *look)
{
	const struct vcma_reclaim_done *m = msg;
	uint32_t status = vcma_le32_to_cpu(m->status);

	(void)look;
	if (!vcma_le32_to_cpu(m->id))
		return "reclaim id 0";
	if (status != VCMA_ST_OK && status != VCMA_ST_BUSY)
		return "the status is neither OK nor BUSY";
	return NULL;
}

static const char *look_lease_part(const void *msg, struct look *look)
{
	const struct vcma_lease_part *m = msg;

	if (!vcma_le64_to_cpu(m->lease))
		return "lease id 0";
	if (!vcma_le32_to_cpu(m->first))
		return "the first granules come with the reply, not in a part";
	if (!look->nfds || look->nfds != vcma_le32_to_cpu(m->nr_fds))
		return "the number of descriptors is not as announced";
	return NULL;
}

static const char *look_reclaim(const void *msg, struct look *look)
{
	const struct vcma_reclaim *m = msg;

	(void)look;
	if (!vcma_le32_to_cpu(m->id))
		return "reclaim id 0";
	if (!is_deadline(m->deadline_ms))
		return "the deadline is 0 or beyond VCMA_DEADLINE_MAX_MS";
	if (vcma_le32_to_cpu(m->reserved))
		return "a reserved field is not 0";
	return look_ids(m->lease, vcma_le32_to_cpu(m->count));
}

/* --- replies; these run only if the status is OK --- */

static const char *look_hello_reply(const void *msg, struct look *look)
{
	const struct vcma_hello_reply *m = msg;
	const uint32_t flags = VCMA_POOL_CONTIGUOUS | VCMA_POOL_REVOCABLE | VCMA_HELLO_RESUMED;
	uint64_t granule = vcma_le64_to_cpu(m->granule_size);
	uint64_t chunk = vcma_le64_to_cpu(m->chunk_size);
	uint64_t lease_max = vcma_le64_to_cpu(m->lease_max);
	bool has_banks = vcma_le32_to_cpu(m->capabilities) & VCMA_CAP_BANKS && m->vm[0];

	if (vcma_le16_to_cpu(m->version) != VCMA_BROKER_VERSION)
		return "the broker chose a version that was not offered";
	if (vcma_le16_to_cpu(m->reserved))
		return "a reserved field is not 0";
	if (vcma_le32_to_cpu(m->flags) & ~flags)
		return "unknown flags";
	if (!vcma_le64_to_cpu(m->instance))
		return "instance 0";
	if (!vcma_name_is_valid(m->vm, look->path & VCMA_TO_OPERATOR) ||
	    !vcma_name_is_valid(m->pool, look->path & VCMA_TO_OPERATOR))
		return "a name is not printable text that ends in NULs";
	/* Bit 0 is always set; without the capability there are none. */
	if (has_banks ? !(vcma_le32_to_cpu(m->banks) & 1) : vcma_le32_to_cpu(m->banks) != 0)
		return "the banks do not go together with the capability";
	if (!m->vm[0])
		return NULL;	/* an operator has no memory */

	if (!is_power_of_two(granule) || granule < 4096)
		return "the granule size is not a power of two of at least 4096";
	if (!is_power_of_two(chunk) || chunk < granule)
		return "the chunk size is not a power of two of at least a granule";
	if (!is_power_of_two(lease_max) || lease_max < granule)
		return "the largest lease is not a power of two of at least a granule";
	if (vcma_le64_to_cpu(m->guarantee) > vcma_le64_to_cpu(m->limit))
		return "the guarantee is above the limit";
	return NULL;
}

static const char *look_lease_reply(const void *msg, struct look *look)
{
	const struct vcma_lease_reply *m = msg;
	uint64_t size = vcma_le64_to_cpu(m->size);
	uint32_t nr = vcma_le32_to_cpu(m->nr_granules);
	uint32_t first = vcma_le32_to_cpu(m->nr_fds);

	if (!vcma_le64_to_cpu(m->lease))
		return "lease id 0";
	if (!is_power_of_two(size) || !is_power_of_two(nr) || nr > size / 4096)
		return "size and number of granules do not go together";
	if (!first || first > nr || look->nfds != first)
		return "the number of descriptors is not as announced";
	return NULL;
}

static const char *look_op_page(const void *msg, struct look *look)
{
	const struct vcma_op_page *m = msg;

	(void)look;
	if (vcma_le64_to_cpu(m->next) && !vcma_le32_to_cpu(m->count))
		return "a page without a record that is not the last";
	return NULL;
}

static const char *look_op_status(const void *msg, struct look *look)
{
	const struct vcma_op_status *m = msg;

	(void)look;
	return vcma_name_is_valid(m->version, true) ? NULL :
		"the version is not printable text that ends in NULs";
}

static const struct wire_row rows[] = {
	/* requests */
	{ VCMA_MSG_HELLO, sizeof(struct vcma_hello), 0, 0, 0, FROM_PEER, look_hello },
	{ VCMA_MSG_LEASE, sizeof(struct vcma_lease_req), 0, 0, 0, VCMA_FROM_VM, look_lease },
	{ VCMA_MSG_CANCEL, sizeof(struct vcma_cancel), 0, 0, 0, VCMA_FROM_VM, look_cancel },
	{ VCMA_MSG_RELEASE, sizeof(struct vcma_release), 8, 1, VCMA_IDS_MAX, VCMA_FROM_VM,
	  look_release },
	{ VCMA_MSG_PING, sizeof(struct vcma_empty), 0, 0, 0, FROM_PEER | TO_PEER, NULL },
	{ VCMA_MSG_OP_STATUS, sizeof(struct vcma_empty), 0, 0, 0, VCMA_FROM_OPERATOR, NULL },
	{ VCMA_MSG_OP_POOLS, sizeof(struct vcma_op_list), 0, 0, 0, VCMA_FROM_OPERATOR, NULL },
	{ VCMA_MSG_OP_VMS, sizeof(struct vcma_op_list), 0, 0, 0, VCMA_FROM_OPERATOR, NULL },
	{ VCMA_MSG_OP_LEASES, sizeof(struct vcma_op_list), 0, 0, 0, VCMA_FROM_OPERATOR, NULL },
	{ VCMA_MSG_OP_RECLAIM, sizeof(struct vcma_op_reclaim), 0, 0, 0, VCMA_FROM_OPERATOR,
	  look_op_reclaim },
	{ VCMA_MSG_OP_WAIT_IDLE, sizeof(struct vcma_op_wait), 0, 0, 0, VCMA_FROM_OPERATOR,
	  look_op_wait },
	/* one-way messages and events */
	{ VCMA_MSG_LEASE_ACK, sizeof(struct vcma_lease_ack), 0, 0, 0, VCMA_FROM_VM,
	  look_lease_ack },
	{ VCMA_MSG_RECLAIM_DONE, sizeof(struct vcma_reclaim_done), 0, 0, 0, VCMA_FROM_VM,
	  look_reclaim_done },
	{ VCMA_MSG_LEASE_PART, sizeof(struct vcma_lease_part), 0, 0, 0, VCMA_TO_VM,
	  look_lease_part },
	{ VCMA_MSG_RECLAIM, sizeof(struct vcma_reclaim), 8, 1, VCMA_IDS_MAX, VCMA_TO_VM,
	  look_reclaim },
	{ VCMA_MSG_POOL_CHANGED, sizeof(struct vcma_pool_changed), 0, 0, 0, VCMA_TO_VM, NULL },
	{ VCMA_MSG_GOODBYE, sizeof(struct vcma_empty), 0, 0, 0, TO_PEER, NULL },
	/* replies */
	{ REPLY_TO(VCMA_MSG_HELLO), sizeof(struct vcma_hello_reply), 0, 0, 0, TO_PEER,
	  look_hello_reply },
	{ REPLY_TO(VCMA_MSG_LEASE), sizeof(struct vcma_lease_reply), 0, 0, 0, VCMA_TO_VM,
	  look_lease_reply },
	{ REPLY_TO(VCMA_MSG_CANCEL), sizeof(struct vcma_empty), 0, 0, 0, VCMA_TO_VM, NULL },
	{ REPLY_TO(VCMA_MSG_RELEASE), sizeof(struct vcma_empty), 0, 0, 0, VCMA_TO_VM, NULL },
	{ REPLY_TO(VCMA_MSG_PING), sizeof(struct vcma_empty), 0, 0, 0, FROM_PEER | TO_PEER,
	  NULL },
	{ REPLY_TO(VCMA_MSG_OP_STATUS), sizeof(struct vcma_op_status), 0, 0, 0,
	  VCMA_TO_OPERATOR, look_op_status },
	{ REPLY_TO(VCMA_MSG_OP_POOLS), sizeof(struct vcma_op_page),
	  sizeof(struct vcma_op_pool), 0, VCMA_RECORDS_MAX, VCMA_TO_OPERATOR, look_op_page },
	{ REPLY_TO(VCMA_MSG_OP_VMS), sizeof(struct vcma_op_page),
	  sizeof(struct vcma_op_vm), 0, VCMA_RECORDS_MAX, VCMA_TO_OPERATOR, look_op_page },
	{ REPLY_TO(VCMA_MSG_OP_LEASES), sizeof(struct vcma_op_page),
	  sizeof(struct vcma_op_lease), 0, VCMA_RECORDS_MAX, VCMA_TO_OPERATOR, look_op_page },
	{ REPLY_TO(VCMA_MSG_OP_RECLAIM), sizeof(struct vcma_op_reclaimed), 0, 0, 0,
	  VCMA_TO_OPERATOR, NULL },
	{ REPLY_TO(VCMA_MSG_OP_WAIT_IDLE), sizeof(struct vcma_empty), 0, 0, 0,
	  VCMA_TO_OPERATOR, NULL },
};

static const struct wire_row *row_find(uint16_t type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].type == type)
			return &rows[i];
	}
	return NULL;
}

/* The classes of types, also of those that a later version may define. */
static bool is_vm_request(uint16_t type)
{
	return type >= 0x0001 && type <= 0x003f;
}

static bool is_operator_request(uint16_t type)
{
	return type >= 0x0101 && type <= 0x013f;
}

size_t vcma_msg_size(uint16_t type, uint32_t count)
{
	const struct wire_row *row = row_find(type);

	if (!row || count < row->min || count > row->max)
		return 0;
	return row->size + (size_t)count * row->record;
}

void vcma_msg_init(void *msg, size_t size, uint16_t type)
{
	struct vcma_hdr *hdr = msg;

	memset(msg, 0, size);
	hdr->magic = vcma_cpu_to_le32(VCMA_BROKER_MAGIC);
	hdr->version = vcma_cpu_to_le16(VCMA_BROKER_VERSION);
	hdr->type = vcma_cpu_to_le16(type);
	hdr->length = vcma_cpu_to_le32((uint32_t)size);
}

void vcma_msg_reply(void *msg, size_t size, const struct vcma_hdr *request, uint32_t status)
{
	uint16_t type = vcma_msg_type(request) | VCMA_MSG_REPLY;
	uint32_t sequence = vcma_msg_sequence(request);
	struct vcma_hdr *hdr = msg;

	vcma_msg_init(msg, size, type);
	hdr->sequence = vcma_cpu_to_le32(sequence);
	hdr->status = vcma_cpu_to_le32(status);
}

/* Fixed size, or base + count * record with a count that agrees.  NULL or what is wrong. */
static const char *check_size(const struct wire_row *row, const void *msg, size_t len)
{
	const struct vcma_release *ids = msg;
	const struct vcma_reclaim *reclaim = msg;
	const struct vcma_op_page *page = msg;
	uint32_t count;

	if (len < row->size || (!row->record && len != row->size))
		return "the size is not that of its type";
	if (!row->record)
		return NULL;

	if (row->type == VCMA_MSG_RELEASE) {
		count = vcma_le32_to_cpu(ids->count);
	} else if (row->type == VCMA_MSG_RECLAIM) {
		count = vcma_le32_to_cpu(reclaim->count);
	} else {
		count = vcma_le32_to_cpu(page->count);
		if (vcma_le32_to_cpu(page->record_size) != row->record)
			return "the size of a record is not that of its type";
	}
	if (count < row->min || count > row->max)
		return "the count is out of its range";
	if (len != row->size + (size_t)count * row->record)
		return "the size does not agree with the count";
	return NULL;
}

static int broken(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -EPROTO;
}

static int refused(int status, const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return status;
}

/* The part of the header that is the same in all versions. */
static const char *check_header(const struct vcma_hdr *hdr, size_t len)
{
	if (len < sizeof(*hdr))
		return "shorter than a header";
	if (vcma_le32_to_cpu(hdr->magic) != VCMA_BROKER_MAGIC)
		return "wrong magic number";
	if (vcma_msg_length(hdr) != len || len > VCMA_MSG_MAX)
		return "the length in the header is not the packet's";
	return NULL;
}

/* A packet that came from a peer to the broker. */
static int check_from_peer(const struct vcma_hdr *hdr, size_t len, unsigned int path,
			   const char **ret_why)
{
	const uint16_t type = vcma_msg_type(hdr);
	const bool request = is_vm_request(type) || is_operator_request(type);
	const struct wire_row *row = row_find(type);
	struct look look = { .path = path, .verdict = VCMA_ST_INVALID };
	const char *why;

	if (vcma_msg_status(hdr))
		return broken("a status in what is no reply to a failure", ret_why);
	if (!vcma_msg_sequence(hdr) && (request || type & VCMA_MSG_REPLY))
		return broken("sequence 0 in a request or reply", ret_why);
	if (vcma_msg_sequence(hdr) && !request && !(type & VCMA_MSG_REPLY))
		return broken("a sequence in a one-way message", ret_why);
	if (!row) {
		if (!request)
			return broken("unknown type", ret_why);
		return refused(VCMA_ST_UNSUPPORTED, "unknown type of request", ret_why);
	}
	if (!(row->path & path)) {
		if (!request)
			return broken("a type that is not sent on this path", ret_why);
		return refused(VCMA_ST_DENIED, "a request of the other kind of socket", ret_why);
	}

	why = check_size(row, hdr, len);
	if (!why && row->look)
		why = row->look(hdr, &look);
	if (!why)
		return 0;
	return request ? refused(look.verdict, why, ret_why) : broken(why, ret_why);
}

/* A packet that came from the broker. */
static int check_from_broker(const struct vcma_hdr *hdr, size_t len, unsigned int nfds,
			     unsigned int path, const char **ret_why)
{
	const uint16_t type = vcma_msg_type(hdr);
	const uint32_t status = vcma_msg_status(hdr);
	const bool reply = type & VCMA_MSG_REPLY;
	const struct wire_row *row = row_find(type);
	struct look look = { .path = path, .nfds = nfds, .status = status };
	const char *why;

	if (status >= VCMA_ST_AWAY)
		return broken("unknown status", ret_why);
	if (status && !reply && type != VCMA_MSG_GOODBYE)
		return broken("a status in what is no reply", ret_why);
	if (!vcma_msg_sequence(hdr) && (reply || is_vm_request(type)))
		return broken("sequence 0 in a request or reply", ret_why);
	if (vcma_msg_sequence(hdr) && !reply && !is_vm_request(type))
		return broken("a sequence in an event", ret_why);

	/* A refusal may be a bare header, also of a type that nobody knows. */
	if (reply && status && len == sizeof(*hdr) && !nfds)
		return 0;
	if (!row || !(row->path & path))
		return broken("a type that is not sent on this path", ret_why);

	why = check_size(row, hdr, len);
	if (!why && row->look && !(reply && status))
		why = row->look(hdr, &look);
	if (!why && nfds && type != VCMA_MSG_LEASE_PART &&
	    (type != REPLY_TO(VCMA_MSG_LEASE) || status))
		why = "descriptors where none belong";
	return why ? broken(why, ret_why) : 0;
}

int vcma_wire_check(const void *msg, size_t len, unsigned int nfds, unsigned int path,
		    const char **ret_why)
{
	const struct vcma_hdr *hdr = msg;
	const bool from_peer = path & FROM_PEER;
	const char *why = check_header(hdr, len);

	if (why)
		return broken(why, ret_why);
	if (from_peer && nfds)
		return broken("descriptors go from the broker to a VM only", ret_why);
	if (vcma_le16_to_cpu(hdr->version) != VCMA_BROKER_VERSION) {
		why = "the header is of another protocol version";
		if (from_peer && vcma_msg_type(hdr) == VCMA_MSG_HELLO && vcma_msg_sequence(hdr))
			return refused(VCMA_ST_VERSION, why, ret_why);
		return broken(why, ret_why);
	}
	if (vcma_le32_to_cpu(hdr->reserved))
		return broken("a reserved field of the header is not 0", ret_why);

	return from_peer ? check_from_peer(hdr, len, path, ret_why) :
		check_from_broker(hdr, len, nfds, path, ret_why);
}
