/* The clients of bench/run: keep-alive connections that ask for what a list names and compare every byte that comes with
 * the file that it must be.
 *
 *   load [OPTIONS] PORT LIST
 *     -c N       connections (1)
 *     -d MS      ask for that long, lines of the list at random; without it each line once, in order
 *     -n N       that many requests, going round the list
 *     -H FIELD   a further request field, "Range: bytes=0-99"
 *     -r RATE    a connection takes no more than RATE bytes a second, and its body need not end
 *     -a BYTES   the last connection begins when the first one has that many bytes
 *     -s N       connection I compares every Nth block only, from block I on, so that N together compare all; the others it counts
 *     -t         over TLS 1.3; whose certificate it is does not matter
 *     -x         a connection for each request
 *     -e         also print each request: when it began, its first body byte, its end (microseconds), bytes, outcome
 *
 * LIST is a file of lines "TARGET STATUS FILE OFFSET LENGTH": FILE and the part of it that the body is, or "-" when only
 * status and length count (LENGTH -1: any). 127.0.0.1 is the only host there is.
 *
 * It prints "ready" when the list is read, waits for a line, runs, and prints one object of JSON. With -r it prints "steady"
 * once every connection has its head. A body that is too short, too long or different is counted, never overlooked. */
#include "base/check.h"
#include "base/clock.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM (256 << 10) /* read at once; stays in the second-level cache */
#define HEAD_MAX 16384
#define TIMES_MAX (4 << 20) /* latencies kept; later ones are not */
#define TICK_MS 100         /* of slow readers */
#define GIVE_UP_S 120       /* no byte for that long: the end of the run */
#define CONNECTIONS_MAX 16000
#define NUMBER_MAX INT64_C(1000000000000)

/* What a body can be but right, and why a request failed. */
#define OUTCOMES(X)    \
	X(ok)          \
	X(bad_status)  \
	X(bad_length)  \
	X(wrong_bytes) \
	X(cut_short)   \
	X(no_answer)   \
	X(refused)
enum outcome {
#define X(name) OUT_##name,
	OUTCOMES(X)
#undef X
		OUT_COUNT_
};
static const char *const outcome_name[] = {
#define X(name) #name,
	OUTCOMES(X)
#undef X
};

struct want {
	char *target;
	int status;
	const char *bytes; /* NULL: not compared */
	int64_t length;    /* -1: any */
};

enum framing { BY_LENGTH, BY_CHUNKS, BY_CLOSE };
enum chunk { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER };

/* A connection: idle (fd < 0) → connecting → with TLS, shaking hands → sending and reading one answer after the other → idle. */
struct client {
	int fd;
	SSL *ssl; /* NULL: a plain connection */
	int number;
	bool connected, shaking, in_body, reused, done;
	const struct want *want;
	size_t sent;
	int64_t began_ns, first_ns;
	char *head; /* HEAD_MAX bytes; what of a head came so far */
	size_t head_n;
	enum framing framing;
	enum chunk chunk;
	int64_t left; /* of the body, or of the chunk */
	int64_t got;
	bool wrong, close_after;
};

struct each {
	int64_t began_ns, first_ns, done_ns, bytes;
	enum outcome out;
	int client;
};

static struct {
	int connections, port;
	int64_t for_ns, total, rate, after;
	int share; /* of -s; 1: everybody compares everything */
	bool one_shot, show_each, tls;
	const char *field;
} opt = {.connections = 1, .after = -1, .share = 1};

static struct want *wants;
static size_t want_count;
static struct client *clients;
static SSL_CTX *tls;
static int ep;
static int64_t asked, ended, body_bytes, began_ns, deadline_ns, last_byte_ns;
static int64_t outcomes[OUT_COUNT_];
static int64_t unseen; /* not right, although status and framing are as if it were */
static int active, with_head;
static uint32_t *first_us, *done_us;
static size_t times;
static struct each *eachs;
static size_t each_count;
static char *room;

static const char *map(struct slice path, int64_t *size)
{
	char *name = slice_dup(path);
	struct stat st;
	void *p;
	int fd;

	if (name == NULL || (fd = open(name, O_RDONLY | O_CLOEXEC)) < 0 || fstat(fd, &st) < 0)
		tool_die("'%.*s': %s", SLICE_ARG(path), strerror(errno));
	*size = st.st_size;
	p = mmap(NULL, (size_t)MAX(st.st_size, 1), PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		tool_die("mmap of '%s': %s", name, strerror(errno));
	close(fd);
	free(name);
	return p;
}

/* One line of the list. Lines that name the file of the line before share its mapping. */
static void read_want(struct want *w, struct slice line)
{
	static struct slice before;
	static const char *bytes;
	static int64_t size;
	struct slice target = slice_cut(&line, ' '), status = slice_cut(&line, ' '), file = slice_cut(&line, ' '),
		     off = slice_cut(&line, ' ');

	w->target = slice_dup(target);
	w->status = (int)tool_number("status", status, 999);
	w->length = slice_eq(line, SLICE("-1")) ? -1 : tool_number("length", line, NUMBER_MAX);
	if (slice_eq(file, SLICE("-")))
		return;
	if (before.p == NULL || !slice_eq(before, file))
		bytes = map(file, &size);
	before = file;
	w->bytes = bytes + tool_number("offset", off, size);
	if (w->length < 0)
		w->length = bytes + size - w->bytes;
	if (w->bytes + w->length > bytes + size)
		tool_die("'%.*s' ends before what '%s' wants", SLICE_ARG(file), w->target);
}

static void read_list(const char *path)
{
	int64_t size;
	struct slice text = {map(slice_str(path), &size), 0};
	size_t room_for = 0;

	text.n = (size_t)size;
	while (text.p != NULL) {
		struct slice line = slice_cut(&text, '\n');

		if (line.n == 0)
			continue;
		if (want_count == room_for)
			wants = tool_grow(wants, (room_for = room_for * 2 + 64) * sizeof(wants[0]));
		wants[want_count] = (struct want){.length = -1};
		read_want(&wants[want_count++], line);
	}
	if (want_count == 0)
		tool_die("'%s' is empty", path);
}

/* The same sequence in every run (xorshift). */
static uint64_t dice(void)
{
	static uint64_t x = UINT64_C(88172645463325252);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x >> 16;
}

static void watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(ep, op, c->fd, &ev) < 0)
		tool_die("epoll_ctl: %s", strerror(errno));
}

static void hang_up(struct client *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->connected = false;
	c->reused = false;
}

static void next_request(struct client *c, int64_t now);

static void record(struct client *c, enum outcome out, int64_t now)
{
	outcomes[out]++;
	ended++;
	if (opt.show_each) {
		eachs = tool_grow(eachs, (each_count + 1) * sizeof(eachs[0]));
		eachs[each_count++] = (struct each){c->began_ns, c->first_ns, now, c->got, out, c->number};
	}
	if (out == OUT_ok && times < TIMES_MAX) {
		first_us[times] = (uint32_t)((c->first_ns - c->began_ns) / 1000);
		done_us[times++] = (uint32_t)((now - c->began_ns) / 1000);
	}
}

/* The answer is over, well or not; the next request follows. */
static void finish(struct client *c, enum outcome out, int64_t now)
{
	record(c, out, now);
	if (out != OUT_ok || c->close_after || opt.one_shot)
		hang_up(c);
	else
		c->reused = true;
	c->want = NULL;
	active--;
	next_request(c, now);
}

static void connect_client(struct client *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)opt.port)};
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		tool_die("socket: %s", strerror(errno));
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		tool_die("connect to port %d: %s", opt.port, strerror(errno));
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* ---- TLS ---- */

static void tls_prepare(void)
{
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1)
		tool_die("TLS 1.3 cannot be had");
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	/* As many records as there are with one read: this program is not what is measured, and must not be what limits. */
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_default_read_buffer_len(tls, ROOM);
}

/* As recv(2). */
static ssize_t tls_take(struct client *c, void *p, size_t n)
{
	size_t got = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(c->ssl, p, n, &got);
	if (rc == 1)
		return (ssize_t)got;
	rc = SSL_get_error(c->ssl, rc);
	errno = rc == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
	return rc == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* ---- requests ---- */

static void send_request(struct client *c)
{
	char text[4096];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s\r\n", c->want->target,
		opt.port, opt.field != NULL ? opt.field : "", opt.field != NULL ? "\r\n" : "",
		opt.one_shot ? "Connection: close\r\n" : "");

	/* A request fits into an empty socket: if it does not, the connection is gone, and reading says so. */
	if (n < 0 || (size_t)n >= sizeof(text))
		tool_die("'%s' is too long", c->want->target);
	if (c->ssl != NULL)
		(void)SSL_write(c->ssl, text, n);
	else
		(void)send(c->fd, text, (size_t)n, MSG_NOSIGNAL);
}

static bool more(int64_t now)
{
	if (opt.for_ns > 0)
		return now < deadline_ns;
	return asked < opt.total;
}

static void next_request(struct client *c, int64_t now)
{
	if (c->done || !more(now)) {
		c->done = true;
		hang_up(c);
		return;
	}
	c->want = &wants[opt.for_ns > 0 && want_count > 1 ? dice() % want_count : (uint64_t)asked % want_count];
	asked++;
	active++;
	c->began_ns = now;
	c->first_ns = 0;
	c->head_n = 0;
	c->got = 0;
	c->in_body = c->wrong = c->close_after = false;
	if (c->fd >= 0)
		send_request(c);
	else
		connect_client(c);
}

/* Reads status and framing; *out is why the answer is worth nothing already. */
static bool take_head(struct client *c, struct slice head, enum outcome *out)
{
	struct slice length = tool_field(head, "Content-Length"), encoding = tool_field(head, "Transfer-Encoding"),
		     connection = tool_field(head, "Connection"), line = head;
	int64_t status;

	(void)slice_cut(&line, ' ');
	if (slice_to_i64(slice_cut(&line, ' '), 999, &status) < 0 || status != c->want->status) {
		*out = OUT_bad_status;
		return false;
	}
	c->close_after = slice_eq_nocase(connection, SLICE("close"));
	c->left = 0;
	c->chunk = CHUNK_SIZE;
	c->framing = BY_CLOSE;
	if (slice_eq_nocase(encoding, SLICE("chunked"))) {
		c->framing = BY_CHUNKS;
	} else if (length.p != NULL) {
		c->framing = BY_LENGTH;
		c->left = tool_number("Content-Length", length, NUMBER_MAX);
		if (c->want->length >= 0 && c->left != c->want->length) {
			*out = OUT_bad_length;
			unseen++;
			return false;
		}
	}
	c->close_after |= c->framing == BY_CLOSE;
	c->in_body = true;
	with_head++;
	return true;
}

static void take_data(struct client *c, const char *p, size_t n)
{
	const struct want *w = c->want;

	if (w->length >= 0 && c->got + (int64_t)n > w->length)
		c->wrong = true;
	else if (w->bytes != NULL && memcmp(w->bytes + c->got, p, n) != 0)
		c->wrong = true;
	c->got += (int64_t)n;
	body_bytes += (int64_t)n;
}

/* One line of the chunked framing, collected in c->head, which a body does not need any more. */
static bool chunk_line(struct client *c, const char **p, size_t *n)
{
	while (*n > 0) {
		char b = *(*p)++;

		--*n;
		if (b == '\n')
			return true;
		if (b != '\r' && c->head_n < HEAD_MAX - 1)
			c->head[c->head_n++] = b;
	}
	return false;
}

/* True at the end of the body. */
static bool take_chunks(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		if (c->chunk == CHUNK_DATA) {
			size_t take = (size_t)MIN((int64_t)n, c->left);

			take_data(c, p, take);
			p += take;
			n -= take;
			c->left -= (int64_t)take;
			if (c->left == 0)
				c->chunk = CHUNK_END;
			continue;
		}
		if (!chunk_line(c, &p, &n))
			return false;
		c->head[c->head_n] = '\0';
		if (c->chunk == CHUNK_TRAILER && c->head_n == 0)
			return true;
		if (c->chunk == CHUNK_SIZE) {
			c->left = (int64_t)strtoull(c->head, NULL, 16);
			c->chunk = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
		} else if (c->chunk == CHUNK_END) {
			c->chunk = CHUNK_SIZE;
		}
		c->head_n = 0;
	}
	return false;
}

/* Of a body whose framing says that it is over. */
static enum outcome verdict(const struct client *c)
{
	enum outcome out = OUT_ok;

	if (c->wrong)
		out = OUT_wrong_bytes;
	else if (c->want->length >= 0 && c->got != c->want->length)
		out = OUT_cut_short;
	unseen += out != OUT_ok;
	return out;
}

/* True when the answer is over. */
static bool take_body(struct client *c, const char *p, size_t n)
{
	if (c->framing == BY_CHUNKS)
		return take_chunks(c, p, n);
	if (c->framing == BY_LENGTH && (int64_t)n > c->left) {
		c->wrong = true; /* nobody asked for what follows */
		n = (size_t)c->left;
	}
	take_data(c, p, n);
	c->left -= (int64_t)n;
	return c->framing == BY_LENGTH && c->left == 0;
}

/* The end of the connection: right after a body that it delimits, too early otherwise. */
static void gone(struct client *c, bool orderly, int64_t now)
{
	if (c->in_body)
		finish(c,
			c->framing == BY_CLOSE && orderly ? verdict(c)
			: c->wrong                        ? OUT_wrong_bytes
							  : OUT_cut_short,
			now);
	else if (c->reused && c->head_n == 0) { /* closed while idle: RFC 9112 §9.3.1 lets us ask again */
		hang_up(c);
		connect_client(c);
	} else
		finish(c, OUT_no_answer, now);
}

/* Looks whether the late one may begin. */
static void maybe_late(struct client *c, int64_t now)
{
	if (opt.after >= 0 && c->number == 0 && c->got >= opt.after) {
		opt.after = -1;
		next_request(&clients[opt.connections - 1], now);
	}
}

/* With -s: how many of the bytes to come are for other connections to compare. The kernel drops those without copying, so that
 * a herd does not measure its own reading. */
static int64_t not_ours(const struct client *c)
{
	if (opt.share == 1 || !c->in_body || c->framing != BY_LENGTH ||
		c->got / ROOM % opt.share == c->number % opt.share)
		return 0;
	return MIN(c->left, ROOM - c->got % ROOM);
}

static ssize_t read_some(struct client *c, size_t max)
{
	char *p = room;
	int64_t skip = not_ours(c);
	ssize_t n = skip > 0         ? recv(c->fd, NULL, (size_t)skip, MSG_TRUNC)
		    : c->ssl != NULL ? tls_take(c, room, MIN(max, (size_t)ROOM))
				     : recv(c->fd, room, MIN(max, (size_t)ROOM), 0);
	int64_t now;
	enum outcome out = OUT_ok;
	size_t rest;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	now = clock_mono_ns();
	if (n <= 0) {
		gone(c, n == 0, now);
		return -1;
	}
	last_byte_ns = now;
	rest = (size_t)n;
	if (!c->in_body) {
		size_t part = MIN(rest, HEAD_MAX - c->head_n), end, before = c->head_n;

		memcpy(c->head + before, p, part);
		end = tool_head_end(c->head, before + part);
		c->head_n += part;
		if (end == 0) {
			if (c->head_n == HEAD_MAX)
				finish(c, OUT_no_answer, now);
			return c->fd >= 0 ? n : -1;
		}
		if (!take_head(c, slice_of(c->head, end), &out)) {
			finish(c, out, now);
			return -1;
		}
		p += end - before;
		rest -= end - before;
		c->head_n = 0;
	}
	if (rest > 0 && c->first_ns == 0)
		c->first_ns = now;
	if (skip > 0) {
		c->got += n;
		c->left -= n;
		body_bytes += n;
		rest = 0;
	}
	if ((rest > 0 && take_body(c, p, rest)) || (rest == 0 && c->framing == BY_LENGTH && c->left == 0)) {
		if (c->first_ns == 0)
			c->first_ns = now;
		finish(c, verdict(c), now);
		return -1;
	}
	maybe_late(c, now);
	return n;
}

static void shake_hands(struct client *c)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1) {
		c->shaking = false;
		send_request(c);
	} else if (SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ) {
		finish(c, OUT_no_answer, clock_mono_ns());
	}
}

static void connected(struct client *c)
{
	c->connected = true;
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	if (!opt.tls) {
		send_request(c);
		return;
	}
	c->ssl = SSL_new(tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		tool_die("out of memory");
	SSL_set_connect_state(c->ssl);
	c->shaking = true;
	shake_hands(c);
}

/* What OpenSSL has read already no event tells of. */
static void read_records(struct client *c)
{
	const SSL *ssl = c->ssl;

	while (read_some(c, ROOM) > 0 && c->ssl == ssl)
		;
}

static void on_event(struct client *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (!c->connected) {
		int failed = 0;
		socklen_t n = sizeof(failed);

		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &n) < 0 || failed != 0) {
			finish(c, OUT_refused, clock_mono_ns());
			return;
		}
		connected(c);
	} else if (c->shaking) {
		shake_hands(c);
	} else if (c->ssl != NULL) {
		read_records(c);
	} else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		if (opt.rate > 0 && c->in_body)
			watch(c, EPOLL_CTL_MOD, 0); /* read_slowly() asks it by the clock */
		else
			(void)read_some(c, opt.rate > 0 ? 4096 : ROOM);
	}
}

/* Every TICK_MS each connection takes what its rate allows. */
static void read_slowly(void)
{
	for (int i = 0; i < opt.connections; i++) {
		struct client *c = &clients[i];
		int64_t may = opt.rate * TICK_MS / 1000;

		while (c->fd >= 0 && c->in_body && may > 0) {
			ssize_t n = read_some(c, (size_t)may);

			if (n <= 0)
				break;
			may -= n;
		}
	}
}

static void run_loop(void)
{
	struct epoll_event ev[256];
	int64_t tick_ns = began_ns;
	bool steady = false;

	while (active > 0) {
		int n = epoll_wait(ep, ev, ARRAY_LEN(ev), opt.rate > 0 ? 10 : 1000);
		int64_t now;

		for (int i = 0; i < n; i++)
			on_event(ev[i].data.ptr, ev[i].events);
		if (n > 0 && opt.rate == 0)
			continue;
		now = clock_mono_ns();
		if (opt.rate > 0 && now >= tick_ns) {
			tick_ns = MAX(tick_ns + TICK_MS * NS_PER_MS, now);
			read_slowly();
			if (!steady && with_head >= opt.connections) {
				steady = true;
				puts("steady");
				fflush(stdout);
			}
		}
		/* Slow readers do not end; what stalls for good is not waited for. */
		if ((opt.rate > 0 && now >= deadline_ns) || now - MAX(last_byte_ns, began_ns) > GIVE_UP_S * NS_PER_S)
			break;
	}
}

static int by_size(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

static void print_times(const char *name, uint32_t *t)
{
	qsort(t, times, sizeof(t[0]), by_size);
	printf(", \"%s\": {\"p50\": %u, \"p99\": %u, \"max\": %u}", name, times ? t[times / 2] : 0,
		times ? t[MIN(times * 99 / 100, times - 1)] : 0, times ? t[times - 1] : 0);
}

static void print_result(int64_t end_ns)
{
	printf("{\"requests\": %lld, \"bytes\": %lld, \"seconds\": %.6f, \"unfinished\": %d, \"started\": %d, "
	       "\"unseen\": %lld",
		(long long)ended, (long long)body_bytes, (double)(end_ns - began_ns) / 1e9, active, with_head,
		(long long)unseen);
	for (int i = 0; i < OUT_COUNT_; i++)
		printf(", \"%s\": %lld", outcome_name[i], (long long)outcomes[i]);
	print_times("first_us", first_us);
	print_times("done_us", done_us);
	if (opt.show_each) {
		printf(", \"each\": [");
		for (size_t i = 0; i < each_count; i++) {
			const struct each *e = &eachs[i];

			printf("%s[%d, %lld, %lld, %lld, %lld, \"%s\"]", i > 0 ? ", " : "", e->client,
				(long long)(e->began_ns - began_ns) / 1000,
				e->first_ns > 0 ? (long long)(e->first_ns - began_ns) / 1000 : -1,
				(long long)(e->done_ns - began_ns) / 1000, (long long)e->bytes, outcome_name[e->out]);
		}
		printf("]");
	}
	printf("}\n");
}

static void parse_options(int argc, char **argv)
{
	for (int o; (o = getopt(argc, argv, "c:d:n:H:r:a:s:txe")) != -1;) {
		struct slice v = slice_str(optarg);

		if (o == 'c')
			opt.connections = (int)tool_number("-c", v, CONNECTIONS_MAX);
		else if (o == 'd')
			opt.for_ns = tool_number("-d", v, 3600000) * NS_PER_MS;
		else if (o == 'n')
			opt.total = tool_number("-n", v, NUMBER_MAX);
		else if (o == 'H')
			opt.field = optarg;
		else if (o == 'r')
			opt.rate = tool_number("-r", v, NUMBER_MAX);
		else if (o == 'a')
			opt.after = tool_number("-a", v, NUMBER_MAX);
		else if (o == 's')
			opt.share = (int)tool_number("-s", v, CONNECTIONS_MAX);
		else if (o == 't')
			opt.tls = true;
		else if (o == 'x')
			opt.one_shot = true;
		else if (o == 'e')
			opt.show_each = true;
		else
			exit(2);
	}
	if (argc - optind != 2 || opt.connections == 0 || opt.share == 0 || (opt.rate > 0 && opt.for_ns == 0) ||
		(opt.tls && (opt.rate > 0 || opt.share > 1)))
		tool_die(
			"usage: load [-c N] [-d MS | -n N] [-H FIELD] [-r RATE -d MS | -t] [-a BYTES] [-s N] [-x] [-e] "
			"PORT LIST");
	opt.port = (int)tool_number("PORT", slice_str(argv[optind]), 65535);
}

int main(int argc, char **argv)
{
	char line[16];

	parse_options(argc, argv);
	tool_raise_files();
	if (opt.tls)
		tls_prepare();
	read_list(argv[optind + 1]);
	if (opt.total == 0)
		opt.total = (int64_t)want_count;
	clients = tool_alloc((size_t)opt.connections * sizeof(clients[0]));
	room = tool_alloc(ROOM);
	first_us = tool_alloc(TIMES_MAX * sizeof(first_us[0]));
	done_us = tool_alloc(TIMES_MAX * sizeof(done_us[0]));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		tool_die("epoll_create1: %s", strerror(errno));
	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 1;
	began_ns = clock_mono_ns();
	deadline_ns = began_ns + opt.for_ns;
	for (int i = 0; i < opt.connections; i++) {
		clients[i].fd = -1;
		clients[i].number = i;
		clients[i].head = tool_alloc(HEAD_MAX);
		if (opt.after < 0 || i < opt.connections - 1)
			next_request(&clients[i], clock_mono_ns());
	}
	run_loop();
	print_result(clock_mono_ns());
	return 0;
}
