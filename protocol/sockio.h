/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sockio.h - packets with descriptors over a Unix SOCK_SEQPACKET socket
 *
 * The only place that sends or receives descriptors, for the broker and for its
 * peers.  Never blocks, never raises SIGPIPE, repeats what a signal interrupted.
 *
 * Ownership: vcma_sock_send() closes no descriptor.  vcma_sock_recv() gives the
 * descriptors in the packet to the caller if it returns 1; on every other path
 * none is left open.
 */
#ifndef VCMA_SOCKIO_H
#define VCMA_SOCKIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vcma_broker.h"

struct vcma_packet {
	union {
		struct vcma_hdr hdr;
		uint64_t align;
		uint8_t data[VCMA_MSG_MAX];
	};
	size_t len;
	unsigned int nfds;
	/*
	 * Descriptors came, but could not all be installed (this process has
	 * too many open); those that were are closed, nfds is 0.
	 */
	bool fds_lost;
	int fds[VCMA_FDS_MAX];
};

/*
 * Send one packet with @nfds (at most VCMA_FDS_MAX) descriptors.  0, or -errno:
 * -EAGAIN (poll for POLLOUT), -EPIPE or -ECONNRESET (the peer is gone),
 * -ETOOMANYREFS (too many descriptors of this user are in flight).
 */
int vcma_sock_send(int fd, const void *msg, size_t len, const int *fds, unsigned int nfds);

/*
 * Receive one packet.  A peer that may not send descriptors: @max_fds 0; then
 * none is ever installed in this process.  All are close-on-exec.
 * 1: a packet.  0: the peer has closed the connection.  -errno: -EAGAIN (poll for
 * POLLIN); -EMSGSIZE (larger than VCMA_MSG_MAX); -EPROTO (more descriptors than
 * @max_fds); -ECONNRESET.
 */
int vcma_sock_recv(int fd, struct vcma_packet *pkt, unsigned int max_fds);

/* Close descriptors that were received, and forget them.  errno is kept. */
void vcma_packet_close_fds(struct vcma_packet *pkt);

#endif /* VCMA_SOCKIO_H */
