// SPDX-License-Identifier: BSD-3-Clause
/*
 * sockio.c - packets with descriptors over a Unix SOCK_SEQPACKET socket
 */
#include "sockio.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Large enough for what the kernel delivers at most, so that nothing is cut by us. */
union control {
	struct cmsghdr hdr;
	char buf[CMSG_SPACE(sizeof(int) * VCMA_FDS_MAX)];
};

void vcma_packet_close_fds(struct vcma_packet *pkt)
{
	int saved = errno;
	unsigned int i;

	for (i = 0; i < pkt->nfds; i++)
		close(pkt->fds[i]);
	pkt->nfds = 0;
	errno = saved;
}

int vcma_sock_send(int fd, const void *msg, size_t len, const int *fds, unsigned int nfds)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	if (!len || nfds > VCMA_FDS_MAX)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *cmsg = &control.hdr;

		memset(&control, 0, sizeof(control));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	}

	do {
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);

	return n < 0 ? -errno : 0;
}

/* Take over every descriptor that the kernel installed, in however many blocks. */
static bool take_fds(struct msghdr *mh, struct vcma_packet *pkt)
{
	struct cmsghdr *cmsg;
	bool surplus = false;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t i, n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (pkt->nfds < VCMA_FDS_MAX) {
				pkt->fds[pkt->nfds++] = fd;
			} else {
				surplus = true;
				close(fd);
			}
		}
	}
	return !surplus;
}

int vcma_sock_recv(int fd, struct vcma_packet *pkt, unsigned int max_fds)
{
	struct iovec iov = { .iov_base = pkt->data, .iov_len = sizeof(pkt->data) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;
	int err = 0;

	pkt->len = 0;
	pkt->nfds = 0;
	pkt->fds_lost = false;

	do {
		mh.msg_control = max_fds ? &control : NULL;
		mh.msg_controllen = max_fds ? sizeof(control) : 0;
		mh.msg_flags = 0;
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	if (max_fds && !take_fds(&mh, pkt))
		err = -EPROTO;
	else if (mh.msg_flags & MSG_TRUNC)
		err = -EMSGSIZE;
	else if ((mh.msg_flags & MSG_CTRUNC) && !max_fds)
		err = -EPROTO;
	else if (pkt->nfds > max_fds)
		err = -EPROTO;
	if (err || n == 0 || (mh.msg_flags & MSG_CTRUNC)) {
		pkt->fds_lost = !err && n > 0;
		vcma_packet_close_fds(pkt);
	}
	if (err)
		return err;

	pkt->len = n;
	return n > 0;
}
