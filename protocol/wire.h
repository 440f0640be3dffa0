/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - encode, decode and validate the messages of the broker protocol
 *
 * Pure: no I/O, no allocation.  Built into vcmad, the client library, the QEMU
 * device and the tests.
 *
 * DOC: Theory of operation
 *
 * All knowledge of what a well-formed message is sits behind one function.
 * Who receives a packet calls vcma_wire_check() before it looks at any field;
 * what passes can be used without any further check of its form: its size is
 * that of its type, counts agree with the length, names end in NUL, reserved
 * fields are 0, flags and statuses are known, powers of two are such.  What the
 * check cannot know (does this lease exist? is the size at least a granule?) is
 * the caller's.
 *
 * The answer says what to do.  0: use it.  A positive VCMA_ST_*: the message
 * is a request and the answer to it is that status; the connection goes on.
 * -EPROTO: the peer does not follow the protocol, or there is nothing to
 * answer to; close its connection.
 */
#ifndef VCMA_WIRE_H
#define VCMA_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "vcma_broker.h"

/* --- byte order; sparse checks that each field goes through these --- */

#ifdef __CHECKER__
#define VCMA_FORCE __attribute__((force))
#else
#define VCMA_FORCE
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define VCMA_SWAP(bits, x) ((uint##bits##_t)(x))
#else
#define VCMA_SWAP(bits, x) __builtin_bswap##bits(x)
#endif

static inline uint16_t vcma_le16_to_cpu(__le16 x)
{
	return VCMA_SWAP(16, (VCMA_FORCE uint16_t)x);
}

static inline uint32_t vcma_le32_to_cpu(__le32 x)
{
	return VCMA_SWAP(32, (VCMA_FORCE uint32_t)x);
}

static inline uint64_t vcma_le64_to_cpu(__le64 x)
{
	return VCMA_SWAP(64, (VCMA_FORCE uint64_t)x);
}

static inline __le16 vcma_cpu_to_le16(uint16_t x)
{
	return (VCMA_FORCE __le16)VCMA_SWAP(16, x);
}

static inline __le32 vcma_cpu_to_le32(uint32_t x)
{
	return (VCMA_FORCE __le32)VCMA_SWAP(32, x);
}

static inline __le64 vcma_cpu_to_le64(uint64_t x)
{
	return (VCMA_FORCE __le64)VCMA_SWAP(64, x);
}

/* --- making messages --- */

/* Zero @size bytes at @msg and fill in the header; sequence and status are 0. */
void vcma_msg_init(void *msg, size_t size, uint16_t type);

/* As above for the reply to @request (may lie in @msg itself). */
void vcma_msg_reply(void *msg, size_t size, const struct vcma_hdr *request, uint32_t status);

static inline uint16_t vcma_msg_type(const struct vcma_hdr *hdr)
{
	return vcma_le16_to_cpu(hdr->type);
}

static inline uint32_t vcma_msg_length(const struct vcma_hdr *hdr)
{
	return vcma_le32_to_cpu(hdr->length);
}

static inline uint32_t vcma_msg_sequence(const struct vcma_hdr *hdr)
{
	return vcma_le32_to_cpu(hdr->sequence);
}

static inline uint32_t vcma_msg_status(const struct vcma_hdr *hdr)
{
	return vcma_le32_to_cpu(hdr->status);
}

/*
 * Bytes in a message of @type (with VCMA_MSG_REPLY for a reply) that carries
 * @count ids or records; 0 if the type is unknown or carries no such number.
 */
size_t vcma_msg_size(uint16_t type, uint32_t count);

/* True if @name ends in NUL, has only NUL after it, and is printable ASCII. */
bool vcma_name_is_valid(const char name[VCMA_NAME_MAX], bool may_be_empty);

/* Copy @text to a name field, NUL-padded.  0, or -EINVAL: too long or not printable. */
int vcma_name_set(char name[VCMA_NAME_MAX], const char *text);

/* --- judging messages --- */

/* Who sent the packet, and on which socket.  May be or-ed if it could be either. */
#define VCMA_FROM_VM		(1u << 0)	/* a VM to the broker */
#define VCMA_FROM_OPERATOR	(1u << 1)	/* an operator to the broker */
#define VCMA_TO_VM		(1u << 2)	/* the broker to a VM */
#define VCMA_TO_OPERATOR	(1u << 3)	/* the broker to an operator */

/*
 * Judge the packet of @len bytes at @msg (aligned to 8) that came with @nfds
 * descriptors.  Returns 0, a positive VCMA_ST_* or -EPROTO: see above.  Unless it
 * returns 0, *@ret_why (if not NULL) says what is wrong; a static text.
 */
int vcma_wire_check(const void *msg, size_t len, unsigned int nfds, unsigned int path,
		    const char **ret_why);

/* --- names for people (wire_text.c) --- */

/* "LEASE", also for its reply; "unknown" */
const char *vcma_msg_name(uint16_t type);
/* "OVER_LIMIT"; "unknown" */
const char *vcma_status_name(uint32_t status);
/* One sentence that says what happened and what helps. */
const char *vcma_status_text(uint32_t status);

#endif /* VCMA_WIRE_H */
