#include "tool.h"
#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BACKLOG 4096

_Noreturn void tool_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void *tool_alloc(size_t n)
{
	void *p = calloc(1, n > 0 ? n : 1);

	if (p == NULL)
		tool_die("out of memory");
	return p;
}

void *tool_grow(void *p, size_t n)
{
	p = realloc(p, n);
	if (p == NULL)
		tool_die("out of memory");
	return p;
}

int64_t tool_number(const char *what, struct slice s, int64_t max)
{
	int64_t n;

	if (slice_to_i64(s, max, &n) < 0)
		tool_die("%s: '%.*s' is no number up to %lld", what, SLICE_ARG(s), (long long)max);
	return n;
}

int tool_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		tool_die("listen: %s", strerror(errno));
	printf("port %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

void tool_raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r); /* what is missing shows up as a failing open */
	}
}

struct slice tool_field(struct slice head, const char *name)
{
	struct slice want = slice_str(name);

	(void)slice_cut(&head, '\n');
	while (head.p != NULL) {
		struct slice line = slice_cut(&head, '\n');

		if (line.n > want.n && line.p[want.n] == ':' && slice_starts_nocase(line, want))
			return slice_trim(slice_of(line.p + want.n + 1, line.n - want.n - 1));
	}
	return SLICE_NULL;
}

size_t tool_head_end(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);

	return end != NULL ? (size_t)(end - p) + 4 : 0;
}
