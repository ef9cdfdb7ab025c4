/* What this machine gives at most: the least that a server can do, without parsing, looking up or logging.
 *
 *   ceiling constant FILE    an epoll loop that answers whatever comes with FILE, from memory
 *   ceiling sendfile FILE    an epoll loop that answers whatever comes with FILE, by sendfile
 *   ceiling paced RATE FILE  the same, but FILE comes only now, from the first request on: RATE bytes a second, looked at every two milliseconds */
#include "base/check.h"
#include "base/clock.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TURN_BYTES (1 << 20) /* per connection and turn, so that none starves */
#define CONNS_MAX 4096
#define PACE_MS 2

struct conn {
	int fd;
	int at;           /* in conns */
	bool busy, waits; /* an answer is in progress; the socket is full */
	size_t head_at;
	int64_t off;
};

static char head[256];
static size_t head_n;
static char *answer; /* head and body; NULL: sendfile */
static int file;
static int64_t size;
static int64_t there; /* how much of it may be sent; all but when paced */
static int64_t rate;  /* 0: not paced */
static int64_t began_ns;
static struct conn *conns[CONNS_MAX];
static int conn_n;
static int ep;

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(ep, op, c->fd, &ev) < 0)
		tool_die("epoll_ctl: %s", strerror(errno));
}

/* True at the end of the answer; *gone when the client is. */
static bool send_some(struct conn *c, bool *gone)
{
	int64_t most = MIN(there, c->off + TURN_BYTES);

	if (answer == NULL && c->head_at < head_n) {
		ssize_t n = send(c->fd, head + c->head_at, head_n - c->head_at, MSG_NOSIGNAL | MSG_MORE);

		c->head_at += n > 0 ? (size_t)n : 0;
	}
	while (c->off < most) {
		ssize_t n = answer != NULL ? send(c->fd, answer + c->off, (size_t)(size - c->off), MSG_NOSIGNAL)
					   : sendfile(c->fd, file, &c->off, (size_t)(most - c->off));

		if (n < 0) {
			*gone = errno != EAGAIN && errno != EINTR;
			return false;
		}
		c->off += answer != NULL ? n : 0;
	}
	return c->off == size;
}

static void drop(struct conn *c)
{
	conns[c->at] = conns[--conn_n];
	conns[c->at]->at = c->at;
	close(c->fd);
	free(c);
}

static void on_event(struct conn *c, uint32_t events)
{
	static char request[16384];
	bool gone = false;
	ssize_t n;

	if (!c->busy) {
		n = recv(c->fd, request, sizeof(request), 0);
		if (n <= 0) {
			drop(c);
			return;
		}
		c->busy = true;
		if (rate > 0 && began_ns == 0)
			began_ns = clock_mono_ns();
		c->off = 0;
		c->head_at = 0;
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		gone = true;
	}
	if (!gone && send_some(c, &gone)) {
		c->busy = false;
		if (c->waits)
			watch(c, EPOLL_CTL_MOD, EPOLLIN);
		c->waits = false;
	} else if (gone) {
		drop(c);
	} else if (!c->waits && c->off < there) {
		c->waits = true;
		watch(c, EPOLL_CTL_MOD, EPOLLOUT);
	}
}

static void accept_all(int fd)
{
	int s, on = 1;

	while ((s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = tool_alloc(sizeof(*c));

		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (conn_n == CONNS_MAX)
			tool_die("more than %d connections", CONNS_MAX);
		c->fd = s;
		c->at = conn_n;
		conns[conn_n++] = c;
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

/* What has come since, to everybody whose socket is not full. */
static void pace(void)
{
	there = MIN(size, (clock_mono_ns() - began_ns) / 1000 * rate / 1000000);
	for (int i = conn_n - 1; i >= 0; i--)
		if (conns[i]->busy && !conns[i]->waits)
			on_event(conns[i], 0);
}

static void prepare(const char *how, const char *path)
{
	struct stat st;

	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0)
		tool_die("'%s': %s", path, strerror(errno));
	head_n = (size_t)snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n\r\n",
		(long long)st.st_size);
	size = st.st_size;
	there = rate > 0 ? 0 : size;
	if (strcmp(how, "constant") != 0)
		return;
	answer = tool_alloc(head_n + (size_t)size);
	memcpy(answer, head, head_n);
	if (pread(file, answer + head_n, (size_t)size, 0) != size)
		tool_die("'%s': short read", path);
	size += (int64_t)head_n;
	there = size;
}

int main(int argc, char **argv)
{
	struct epoll_event ev[256], listening = {.events = EPOLLIN};
	int fd;

	if (argc == 4 && strcmp(argv[1], "paced") == 0)
		rate = tool_number("RATE", slice_str(argv[2]), INT64_C(1) << 32);
	else if (argc != 3 || (strcmp(argv[1], "constant") != 0 && strcmp(argv[1], "sendfile") != 0))
		tool_die("usage: ceiling constant|sendfile|paced RATE FILE");
	tool_raise_files();
	prepare(argv[1], argv[argc - 1]);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		tool_die("epoll_create1: %s", strerror(errno));
	fd = tool_listen();
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &listening) < 0)
		tool_die("epoll_ctl: %s", strerror(errno));
	for (;;) {
		bool paced = began_ns > 0 && there < size;
		int n = epoll_wait(ep, ev, ARRAY_LEN(ev), paced ? PACE_MS : -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == NULL)
				accept_all(fd);
			else
				on_event(ev[i].data.ptr, ev[i].events);
		}
		if (paced)
			pace();
	}
}
