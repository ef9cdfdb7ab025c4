/* See service.h. */
#include "service.h"

#include "base/buf.h"
#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_S 60

/* ---- the service ---- */

void service_open(struct service *s, int pool_threads, int queue_max)
{
	static bool warm;

	if (!warm) { /* what libraries open once is no leak */
		warm = true;
		service_open(s, 1, 16);
		service_start(s, 1);
		service_close(s);
	}
	memset(s, 0, sizeof(*s));
	s->fds = open_fds();
	stock_open(&s->stock, pool_threads, queue_max);
	s->origin = origin_new();
}

static bool needs_publication(const char *type)
{
	return true;
}

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void start_content(struct service *s)
{
	struct content_opts opts = {.loops = s->loops,
		.loop_count = s->loop_count,
		.pool = s->stock.pool,
		.catalog = s->stock.catalog,
		.store = s->stock.store,
		.settings = &s->stock.settings,
		.shm = s->stock.shm,
		.needs_publication = needs_publication,
		.login = s->login};

	MUST(content_new(&opts, &s->content, &err));
}

void service_start(struct service *s, size_t loop_count)
{
	const char *listen[] = {"127.0.0.1:0", NULL};
	struct http_server_opts opts = {.loops = s->loops,
		.loop_count = loop_count,
		.listen = listen,
		.limits = {.max_line = 16384,
			.max_headers = 100,
			.max_header_bytes = 65536,
			.max_connections = 1000,
			.idle_ms = PATIENCE_S * 1000,
			.header_ms = PATIENCE_S * 1000,
			.body_ms = PATIENCE_S * 1000,
			.send_ms = PATIENCE_S * 1000},
		.handler = s->handler != NULL ? s->handler : (s->door != NULL ? s->door : content_handler),
		.server_name = "sluice"};

	s->loop_count = loop_count;
	for (size_t i = 0; i < loop_count; i++)
		MUST(loop_new("content", &s->loops[i], &err));
	if (s->handler == NULL)
		start_content(s);
	opts.arg = s->content;
	MUST(http_server_new(&opts, &s->http, &err));
	s->port = http_server_port(s->http, 0);
	for (size_t i = 0; i < loop_count; i++)
		assert_int_equal(pthread_create(&s->threads[i], NULL, run, s->loops[i]), 0);
	http_server_start(s->http);
}

void service_cut(struct service *s)
{
	http_server_drain(s->http, 0);
	s->cut = true;
}

/* As the server ends. */
void service_close(struct service *s)
{
	if (!s->cut)
		service_cut(s);
	if (s->content != NULL)
		content_drain(s->content, 20000);
	for (size_t i = 0; i < s->loop_count; i++) {
		loop_stop(s->loops[i]);
		pthread_join(s->threads[i], NULL);
	}
	pool_free(&s->stock.pool);
	http_server_free(&s->http);
	content_free(&s->content);
	for (size_t i = 0; i < s->loop_count; i++)
		loop_free(&s->loops[i]);
	origin_free(&s->origin);
	stock_close(&s->stock);
	assert_int_equal(open_fds(), s->fds);
}

/* ---- files ---- */

void file_new(struct file *f, struct service *s, const char *base_path, const char *path, size_t size, unsigned seed)
{
	char target[256];

	snprintf(target, sizeof(target), "/%s/%s", base_path, path);
	*f = (struct file){.body = bytes_new(size, seed), .size = size};
	f->digests = digests_of(f->body, size, 0);
	f->repository = stock_repository(&s->stock, base_path);
	f->remote = stock_remote(&s->stock, base_path, origin_url(s->origin, "/"), POLICY_ON_DEMAND);
	f->ca = stock_declare(
		&s->stock, f->repository, f->remote, path, origin_url(s->origin, target), (int64_t)size, &f->digests);
	(void)stock_publish(&s->stock, f->repository);
	(void)stock_distribute(&s->stock, base_path, f->repository);
	ORIGIN_PUT(s->origin, target, {.ranges = true, .body = f->body, .size = size});
}

void file_free(struct file *f)
{
	free(f->body);
}

/* ---- the client ---- */

static int ask_with(struct service *s, const char *method, const char *path, const char *fields)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)s->port)};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *text = NULL;
	int n = asprintf(&text, "%s %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%s\r\n", method, path, fields);

	assert_true(fd >= 0 && n > 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	free(text);
	return fd;
}

int ask_begin(struct service *s, const char *method, const char *path)
{
	return ask_with(s, method, path, "");
}

static void read_to_the_end(int fd, struct buf *all)
{
	char piece[65536];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		assert_int_equal(buf_add(all, piece, (size_t)n), 0);
	close(fd);
}

/* In place. False: the last chunk is missing. */
static bool unchunk(struct response *r)
{
	size_t at = 0, to = 0;

	for (;;) {
		char *end = NULL;
		size_t n = at < r->n ? strtoul(r->body + at, &end, 16) : 0;

		if (end == NULL || end == r->body + at)
			break;
		at = (size_t)(end - r->body) + 2;
		if (n == 0) {
			r->n = to;
			return true;
		}
		n = MIN(n, r->n - MIN(at, r->n));
		memmove(r->body + to, r->body + at, n);
		to += n;
		at += n + 2;
	}
	r->n = to;
	return false;
}

void ask_end(int fd, struct response *r)
{
	struct buf all = BUF_INIT(0);
	const char *head_end, *length;

	*r = (struct response){.status = 0};
	read_to_the_end(fd, &all);
	head_end = all.n > 0 ? memmem(all.p, all.n, "\r\n\r\n", 4) : NULL;
	if (head_end == NULL) {
		buf_fini(&all);
		return;
	}
	snprintf(r->head, sizeof(r->head), "%.*s", (int)(head_end + 2 - all.p), all.p);
	assert_int_equal(sscanf(r->head, "HTTP/1.1 %d", &r->status), 1);
	r->n = all.n - (size_t)(head_end + 4 - all.p);
	r->body = malloc(r->n + 1);
	assert_non_null(r->body);
	memcpy(r->body, head_end + 4, r->n);
	r->body[r->n] = '\0';
	buf_fini(&all);
	length = field(r, "Content-Length");
	if (length != NULL)
		r->complete = r->n == strtoul(length, NULL, 10);
	else
		r->complete = field(r, "Transfer-Encoding") != NULL ? unchunk(r) : true;
	r->body[r->n] = '\0';
}

void ask(struct service *s, const char *method, const char *path, const char *fields, struct response *r)
{
	ask_end(ask_with(s, method, path, fields != NULL ? fields : ""), r);
	assert_int_not_equal(r->status, 0);
}

void get(struct service *s, const char *path, struct response *r)
{
	ask(s, "GET", path, NULL, r);
}

void response_fini(struct response *r)
{
	free(r->body);
	r->body = NULL;
}

const char *field(const struct response *r, const char *name)
{
	static char value[4096];
	const char *line = strstr(r->head, "\r\n");
	size_t n = strlen(name);

	while (line != NULL && line[2] != '\0') {
		const char *end = strstr(line + 2, "\r\n");

		if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)(end - (line + 2 + n + 2)), line + 2 + n + 2);
			return value;
		}
		line = end;
	}
	return NULL;
}

void expect(struct service *s, const char *path, int status)
{
	struct response r;

	get(s, path, &r);
	if (r.status != status)
		fail_msg("%s is a %d: %s", path, r.status, r.head);
	response_fini(&r);
}

void expect_body(struct service *s, const char *path, const char *p, size_t n)
{
	struct response r;

	get(s, path, &r);
	if (r.status != 200 || !r.complete || r.n != n || memcmp(r.body, p, n) != 0)
		fail_msg("%s: status %d, %zu bytes%s", path, r.status, r.n, r.complete ? "" : ", incomplete");
	response_fini(&r);
}
