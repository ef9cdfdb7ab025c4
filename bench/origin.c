/* The upstream of bench/run: serves the files of a directory, and misbehaves where a path asks for it.
 *
 *   origin DIRECTORY
 *
 * A path may begin with a segment of rules, separated by commas: /~rate=67108864,chunked/r/f.bin
 *   rate=N     all such requests together get N bytes a second
 *   drop=OFF   the first answer that reaches byte OFF ends there; every later one is whole
 *   flip=OFF   byte OFF is another one, always
 *   chunked    no length: chunks
 *   close      no length: the end of the connection ends the body (a drop looks like the end, then)
 *   as=WORD    nothing: another path for the same bytes
 *
 * GET /_total and /_total/PATH tell in JSON what was asked and sent (all, or of that path with its rules); /_forget starts
 * over. One thread, one loop. */
#include "base/check.h"
#include "base/clock.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX 16384
#define TABLE_SIZE 65536 /* paths that are counted; a power of two, sparsely filled by 20,000 */
#define CHUNK_BYTES 65536
#define TURN_BYTES (1 << 20) /* per connection and turn */
#define CREDIT_MS 20         /* what a link gives at most after a pause */
#define NUMBER_MAX INT64_C(1000000000000)

struct rules {
	int64_t rate, drop, flip; /* -1: no such rule */
	bool chunked, close;
};

/* What one path was asked for. */
struct asked {
	char *path;
	int64_t requests, ranges, bytes;
	bool dropped;
};

struct conn {
	int fd;
	uint32_t watched;
	struct conn *next_slow; /* among those that the rate paces */
	char head[HEAD_MAX];
	size_t head_n;
	struct rules rules;
	struct asked *asked;
	int file; /* -1: no body in progress */
	int64_t off, end;
	int64_t chunk_left;
	char out[1024]; /* head or chunk framing that is not sent yet */
	size_t out_n, out_at;
	bool in_chunks, last_chunk_said, close_after, head_only, blocked;
};

static const char *top;
static int ep;
static struct asked table[TABLE_SIZE];
static struct asked total;
static struct conn *slow;
static int64_t link_rate, link_credit, link_ns; /* of the paced link */

static struct asked *asked_of(struct slice path)
{
	uint64_t i = slice_hash(path) & (TABLE_SIZE - 1);

	while (table[i].path != NULL && !slice_eq(slice_str(table[i].path), path))
		i = (i + 1) & (TABLE_SIZE - 1);
	if (table[i].path == NULL && (table[i].path = slice_dup(path)) == NULL)
		tool_die("out of memory");
	return &table[i];
}

static void forget(void)
{
	for (size_t i = 0; i < TABLE_SIZE; i++) {
		table[i].requests = table[i].ranges = table[i].bytes = 0;
		table[i].dropped = false;
	}
	total.requests = total.ranges = total.bytes = 0;
}

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (op == EPOLL_CTL_MOD && events == c->watched)
		return;
	c->watched = events;
	if (epoll_ctl(ep, op, c->fd, &ev) < 0)
		tool_die("epoll_ctl: %s", strerror(errno));
}

static void slow_remove(struct conn *c)
{
	for (struct conn **p = &slow; *p != NULL; p = &(*p)->next_slow) {
		if (*p == c) {
			*p = c->next_slow;
			return;
		}
	}
}

static void slow_add(struct conn *c)
{
	struct conn **p = &slow;

	if (slow == NULL) { /* the link was idle */
		link_credit = 0;
		link_ns = clock_mono_ns();
	}
	while (*p != NULL)
		p = &(*p)->next_slow;
	*p = c;
	c->next_slow = NULL;
	link_rate = c->rules.rate;
}

static void body_over(struct conn *c)
{
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	slow_remove(c);
}

static void hang_up(struct conn *c)
{
	body_over(c);
	close(c->fd);
	free(c);
}

static void say(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct conn *c, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(c->out + c->out_n, sizeof(c->out) - c->out_n, fmt, ap);
	va_end(ap);
	if (n < 0 || c->out_n + (size_t)n >= sizeof(c->out))
		tool_die("a head does not fit");
	c->out_n += (size_t)n;
}

/* "/~a=1,b/rest": takes the rules, leaves "/rest". */
static struct slice read_rules(struct slice target, struct rules *r)
{
	struct slice list;

	*r = (struct rules){.rate = -1, .drop = -1, .flip = -1};
	if (!slice_starts(target, SLICE("/~")))
		return target;
	target = slice_of(target.p + 2, target.n - 2);
	list = slice_cut(&target, '/');
	while (list.p != NULL) {
		struct slice value = slice_cut(&list, ','), name = slice_cut(&value, '=');

		if (slice_eq(name, SLICE("rate")))
			r->rate = tool_number("rate", value, NUMBER_MAX);
		else if (slice_eq(name, SLICE("drop")))
			r->drop = tool_number("drop", value, NUMBER_MAX);
		else if (slice_eq(name, SLICE("flip")))
			r->flip = tool_number("flip", value, NUMBER_MAX);
		else if (slice_eq(name, SLICE("chunked")))
			r->chunked = true;
		else if (slice_eq(name, SLICE("close")))
			r->close = true;
		else if (!slice_eq(name, SLICE("as")))
			tool_die("no rule '%.*s'", SLICE_ARG(name));
	}
	return target.p != NULL ? slice_of(target.p - 1, target.n + 1) : SLICE("/");
}

/* "bytes=A-B", "bytes=A-", "bytes=-N". False: as if nobody had asked for a part. */
static bool read_range(struct slice text, int64_t size, int64_t *first, int64_t *end)
{
	struct slice a, b;
	int64_t from = 0, to = size - 1;

	if (!slice_starts(text, SLICE("bytes=")) || slice_chr(text, ',') >= 0)
		return false;
	b = slice_of(text.p + 6, text.n - 6);
	a = slice_cut(&b, '-');
	if (a.n == 0) {
		if (slice_to_i64(b, NUMBER_MAX, &to) < 0)
			return false;
		from = MAX(0, size - to);
		to = size - 1;
	} else if (slice_to_i64(a, NUMBER_MAX, &from) < 0 || (b.n > 0 && slice_to_i64(b, NUMBER_MAX, &to) < 0)) {
		return false;
	}
	if (from >= size || to < from)
		return false;
	*first = from;
	*end = MIN(to + 1, size);
	return true;
}

static void answer_file(struct conn *c, struct slice head, const char *path)
{
	struct slice range = tool_field(head, "Range"), condition = tool_field(head, "If-Range");
	char etag[64], modified[CLOCK_HTTP_MAX], now[CLOCK_HTTP_MAX];
	bool part = false;
	struct stat st;

	c->file = open(path, O_RDONLY | O_CLOEXEC);
	if (c->file < 0 || fstat(c->file, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (c->file >= 0)
			close(c->file);
		c->file = -1;
		say(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	snprintf(etag, sizeof(etag), "\"%llx-%llx\"", (long long)st.st_mtime, (long long)st.st_size);
	clock_http(st.st_mtime, modified);
	c->off = 0;
	c->end = st.st_size;
	if (range.p != NULL && (condition.p == NULL || slice_eq(condition, slice_str(etag)) ||
				       slice_eq(condition, slice_str(modified))))
		part = read_range(range, st.st_size, &c->off, &c->end);
	if (part) {
		c->asked->ranges++;
		total.ranges++;
	}
	say(c, "HTTP/1.1 %s\r\nETag: %s\r\nLast-Modified: %s\r\nContent-Type: application/octet-stream\r\n",
		part ? "206 Partial Content" : "200 OK", etag, modified);
	/* Without a date Squid takes everything for stale. */
	say(c, "Date: %s\r\nCache-Control: public, max-age=86400\r\nAccept-Ranges: bytes\r\n",
		clock_http(clock_wall_us() / US_PER_S, now));
	if (part)
		say(c, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)c->off, (long long)c->end - 1,
			(long long)st.st_size);
	if (c->rules.chunked)
		say(c, "Transfer-Encoding: chunked\r\n");
	else if (!c->rules.close)
		say(c, "Content-Length: %lld\r\n", (long long)(c->end - c->off));
	c->close_after |= c->rules.close;
	say(c, "%s\r\n", c->close_after ? "Connection: close\r\n" : "");
	c->chunk_left = 0;
	c->in_chunks = c->last_chunk_said = false;
	if (c->head_only) {
		close(c->file);
		c->file = -1;
	} else if (c->rules.rate > 0) {
		slow_add(c);
	}
}

static void answer_total(struct conn *c, struct slice target)
{
	const struct asked *a = target.n > 7 ? asked_of(slice_of(target.p + 7, target.n - 7)) : &total;
	char text[256];
	int n = snprintf(text, sizeof(text), "{\"requests\": %lld, \"ranges\": %lld, \"bytes\": %lld}\n",
		(long long)a->requests, (long long)a->ranges, (long long)a->bytes);

	say(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, text);
}

static void answer(struct conn *c, struct slice head)
{
	struct slice rest = head, method = slice_cut(&rest, ' '), target = slice_cut(&rest, ' '), path;
	char name[4096];

	c->out_n = c->out_at = 0;
	c->head_only = slice_eq(method, SLICE("HEAD"));
	c->close_after = slice_eq_nocase(tool_field(head, "Connection"), SLICE("close"));
	if (slice_starts(target, SLICE("/_total"))) {
		answer_total(c, target);
		return;
	}
	if (slice_eq(target, SLICE("/_forget"))) {
		forget();
		say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	c->asked = asked_of(target);
	c->asked->requests += !c->head_only;
	total.requests += !c->head_only;
	path = read_rules(target, &c->rules);
	/* Only the bench asks; but nothing outside the directory is served to anybody. */
	if (memmem(path.p, path.n, "..", 2) != NULL ||
		snprintf(name, sizeof(name), "%s%.*s", top, SLICE_ARG(path)) >= (int)sizeof(name))
		tool_die("strange target '%.*s'", SLICE_ARG(target));
	answer_file(c, head, name);
}

/* Up to `max` bytes of the file from c->off: what was sent; 0 when the socket is full; negative when the client is gone. */
static ssize_t send_piece(struct conn *c, int64_t max)
{
	off_t at = c->off;
	ssize_t n;

	if (c->rules.flip == c->off) {
		char byte;

		if (pread(c->file, &byte, 1, at) != 1)
			return -1;
		byte ^= 1;
		n = send(c->fd, &byte, 1, MSG_NOSIGNAL);
	} else {
		if (c->rules.flip > c->off)
			max = MIN(max, c->rules.flip - c->off);
		n = sendfile(c->fd, c->file, &at, (size_t)max);
	}
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->off += n;
	c->asked->bytes += n;
	total.bytes += n;
	return n;
}

/* Sends what out[] holds; false when the socket is full or gone. */
static bool send_out(struct conn *c)
{
	while (c->out_at < c->out_n) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at,
			MSG_NOSIGNAL | (c->file >= 0 && c->off < c->end ? MSG_MORE : 0));

		if (n < 0)
			return false;
		c->out_at += (size_t)n;
	}
	c->out_n = c->out_at = 0;
	return true;
}

/* What of the framing must go out before the next byte of the body. */
static void frame(struct conn *c)
{
	if (!c->rules.chunked || c->chunk_left > 0 || c->last_chunk_said)
		return;
	c->chunk_left = MIN(CHUNK_BYTES, c->end - c->off);
	say(c, "%s%llx\r\n%s", c->in_chunks ? "\r\n" : "", (long long)c->chunk_left, c->chunk_left == 0 ? "\r\n" : "");
	c->in_chunks = true;
	c->last_chunk_said = c->chunk_left == 0;
}

enum step { STEP_ON, STEP_FULL, STEP_OVER, STEP_GONE };

/* One step of the answer in progress, within `budget` bytes, which it lowers. */
static enum step send_step(struct conn *c, int64_t *budget)
{
	int64_t max = MIN(*budget, c->end - c->off);
	ssize_t n;

	if (c->rules.drop >= 0 && !c->asked->dropped) {
		if (c->off == c->rules.drop) {
			c->asked->dropped = true;
			return STEP_GONE;
		}
		if (c->off < c->rules.drop)
			max = MIN(max, c->rules.drop - c->off);
	}
	if (c->rules.chunked)
		frame(c);
	if (!send_out(c))
		return STEP_FULL;
	if (c->off == c->end)
		return !c->rules.chunked || c->last_chunk_said ? STEP_OVER : STEP_ON;
	if (c->rules.chunked)
		max = MIN(max, c->chunk_left);
	n = send_piece(c, max);
	if (n < 0)
		return STEP_GONE;
	if (n == 0)
		return STEP_FULL;
	c->chunk_left -= c->rules.chunked ? n : 0;
	*budget -= n;
	return STEP_ON;
}

static bool next_head(struct conn *c);

/* Sends as much as goes within `budget`. False: the connection is gone. */
static bool push(struct conn *c, int64_t *budget)
{
	enum step s = STEP_ON;

	while (c->file >= 0 && *budget > 0 && s == STEP_ON)
		s = send_step(c, budget);
	if (c->file < 0 && !send_out(c))
		s = STEP_FULL;
	if (s == STEP_GONE || ((s == STEP_OVER || (c->file < 0 && s == STEP_ON)) && c->close_after)) {
		/* What is queued still arrives: shutdown before close, and nothing unread. */
		shutdown(c->fd, SHUT_WR);
		hang_up(c);
		return false;
	}
	if (s == STEP_OVER)
		body_over(c);
	c->blocked = s == STEP_FULL;
	watch(c, EPOLL_CTL_MOD, EPOLLIN | (c->blocked || (c->file >= 0 && c->rules.rate < 0) ? EPOLLOUT : 0));
	return c->file >= 0 || c->blocked || next_head(c);
}

/* The next request, if its head is there. False: the connection is gone. */
static bool next_head(struct conn *c)
{
	size_t end = tool_head_end(c->head, c->head_n);
	int64_t budget = TURN_BYTES;

	if (end == 0) {
		if (c->head_n < HEAD_MAX)
			return true;
		hang_up(c);
		return false;
	}
	answer(c, slice_of(c->head, end));
	memmove(c->head, c->head + end, c->head_n - end);
	c->head_n -= end;
	if (c->file >= 0 && c->rules.rate > 0)
		budget = 0;
	if (budget == 0) { /* the head at once, the body as the link gives it */
		c->blocked = !send_out(c);
		return true;
	}
	return push(c, &budget);
}

static void on_event(struct conn *c, uint32_t events)
{
	int64_t budget = TURN_BYTES;
	ssize_t n;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = recv(c->fd, c->head + c->head_n, HEAD_MAX - c->head_n, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			hang_up(c);
			return;
		}
		c->head_n += n > 0 ? (size_t)n : 0;
		if (c->file < 0 && c->out_n == 0 && !next_head(c))
			return;
	}
	if (events & EPOLLOUT) {
		c->blocked = false;
		if (c->file >= 0 && c->rules.rate > 0)
			watch(c, EPOLL_CTL_MOD, EPOLLIN);
		else
			(void)push(c, &budget);
	}
}

/* Gives the paced link's bytes to those who wait for them, in pieces, in turn. */
static void pace(void)
{
	int64_t now = clock_mono_ns();

	link_credit += link_rate * (now - link_ns) / NS_PER_S;
	link_credit = MIN(link_credit, link_rate * CREDIT_MS / 1000);
	link_ns = now;
	for (bool any = true; any && link_credit > 0;) {
		any = false;
		for (struct conn *c = slow, *next; c != NULL && link_credit > 0; c = next) {
			int64_t piece = MIN(link_credit, 16384), before = piece;

			next = c->next_slow;
			if (c->blocked)
				continue;
			(void)push(c, &piece);
			link_credit -= before - piece;
			any |= before != piece;
		}
	}
}

static void accept_all(int fd)
{
	int s, on = 1;

	while ((s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = tool_alloc(sizeof(*c));

		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		c->fd = s;
		c->file = -1;
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event ev[256], listening = {.events = EPOLLIN};
	int fd;

	if (argc != 2)
		tool_die("usage: origin DIRECTORY");
	top = argv[1];
	tool_raise_files();
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		tool_die("epoll_create1: %s", strerror(errno));
	fd = tool_listen();
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &listening) < 0)
		tool_die("epoll_ctl: %s", strerror(errno));
	for (;;) {
		int n = epoll_wait(ep, ev, ARRAY_LEN(ev), slow != NULL ? 1 : 1000);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == NULL)
				accept_all(fd);
			else
				on_event(ev[i].data.ptr, ev[i].events);
		}
		if (slow != NULL)
			pace();
	}
}
