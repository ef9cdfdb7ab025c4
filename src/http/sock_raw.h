/* The system calls of the data path, all of them here, so that a build with -Dstress=true can make every step partial: at most
 * seven bytes a call, and every third call finds the socket not ready. Both are allowed to happen at any time; on a fast machine
 * they hardly ever do. */
#ifndef SLUICE_HTTP_SOCK_RAW_H
#define SLUICE_HTTP_SOCK_RAW_H

#include "base/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifdef SLUICE_STRESS
#define SOCK_MAX ((size_t)7)
static inline bool sock_is_busy(void)
{
	static _Thread_local unsigned calls;

	if (++calls % 3 != 0)
		return false;
	errno = EAGAIN;
	return true;
}
#else
#define SOCK_MAX SIZE_MAX
static inline bool sock_is_busy(void)
{
	return false;
}
#endif

static inline ssize_t raw_recv(int fd, void *p, size_t n)
{
	return sock_is_busy() ? -1 : recv(fd, p, MIN(n, SOCK_MAX), 0);
}

static inline ssize_t raw_send(int fd, const void *p, size_t n, int flags)
{
	return sock_is_busy() ? -1 : send(fd, p, MIN(n, SOCK_MAX), flags | MSG_NOSIGNAL);
}

/* Two pieces of memory, of which the first may be empty. */
static inline ssize_t raw_send2(int fd, const void *a, size_t a_n, const void *b, size_t b_n, int flags)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)a, MIN(a_n, SOCK_MAX)}, {(void *)(uintptr_t)b, 0}};
	struct msghdr msg = {.msg_iov = iov + (a_n == 0), .msg_iovlen = a_n == 0 ? 1 : 2};

	iov[1].iov_len = MIN(b_n, SOCK_MAX - iov[0].iov_len);
	return sock_is_busy() ? -1 : sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

static inline ssize_t raw_sendfile(int fd, int in_fd, int64_t off, size_t n)
{
	off_t at = off;

	return sock_is_busy() ? -1 : sendfile(fd, in_fd, &at, MIN(n, SOCK_MAX));
}

#endif
