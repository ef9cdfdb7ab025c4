/* See origin.h. `lock` protects the targets. */
#include "origin.h"

#include "peer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX 64
#define NOTES_MAX 64
#define PIECE 65536

struct target {
	char path[128];
	struct origin_answer answers[ORIGIN_ANSWERS];
	size_t count;
	int hits;
	int64_t range[NOTES_MAX], range_last[NOTES_MAX];
	char if_range[NOTES_MAX][128];
};

struct origin {
	struct peer *peer;
	pthread_mutex_t lock;
	struct target targets[TARGETS_MAX];
	size_t count;
	int hits;
};

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

/* Lock. */
static struct target *find(struct origin *o, const char *path)
{
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->targets[i].path, path) == 0)
			return &o->targets[i];
	return NULL;
}

static bool next_answer(
	struct origin *o, const struct peer_req *req, int64_t *from, int64_t *last, struct origin_answer *out)
{
	const char *range = peer_header(req, "Range"), *if_range;
	struct target *t;

	*from = 0;
	*last = INT64_MAX;
	if (range != NULL && sscanf(range, "bytes=%ld-%ld", from, last) < 1)
		die("a Range that nobody asks for");
	if_range = peer_header(req, "If-Range");
	pthread_mutex_lock(&o->lock);
	o->hits++;
	t = find(o, req->target);
	if (t != NULL) {
		if (t->hits < NOTES_MAX) {
			t->range[t->hits] = *from;
			t->range_last[t->hits] = *last;
			snprintf(t->if_range[t->hits], sizeof(t->if_range[0]), "%s", if_range != NULL ? if_range : "");
		}
		*out = t->answers[(size_t)t->hits < t->count ? (size_t)t->hits : t->count - 1];
		t->hits++;
	}
	pthread_mutex_unlock(&o->lock);
	return t != NULL;
}

static void send_bytes(struct peer_conn *c, const struct origin_answer *a, size_t from, size_t to)
{
	while (from < to) {
		size_t n = to - from < PIECE ? to - from : PIECE;

		if (a->framing == ORIGIN_CHUNKED)
			peer_send(c, "%zx\r\n", n);
		peer_write(c, a->body + from, n);
		if (a->framing == ORIGIN_CHUNKED)
			peer_send(c, "\r\n");
		from += n;
	}
}

static void send_body(struct peer_conn *c, const struct origin_answer *a, size_t from, size_t to)
{
	if (a->cut > 0 && a->cut < to)
		to = a->cut;

	if (a->gate > 0 && !a->gate_head && a->gate_at >= from && a->gate_at <= to) {
		send_bytes(c, a, from, a->gate_at);
		peer_wait(c, a->gate);
		from = a->gate_at;
	}
	send_bytes(c, a, from, to);
	if (a->end == ORIGIN_RESET)
		peer_reset(c);
	else if (a->end == ORIGIN_CLOSE || a->framing == ORIGIN_UNTIL_CLOSE)
		peer_close(c);
	else if (a->framing == ORIGIN_CHUNKED)
		peer_send(c, "0\r\n\r\n");
}

static void answer(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	struct origin *o = arg;
	struct origin_answer a;
	int64_t from, last, to;
	bool part;

	if (!next_answer(o, req, &from, &last, &a)) {
		peer_send(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	if (a.gate > 0 && a.gate_head)
		peer_wait(c, a.gate);
	to = (int64_t)a.size;
	part = a.ranges && from > 0 && a.status == 0;
	if (part && (size_t)from >= a.size) {
		peer_send(c, "HTTP/1.1 416 No\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n\r\n", a.size);
		return;
	}
	if (!part)
		from = 0;
	else if (last < (int64_t)a.size - 1)
		to = last + 1;
	peer_send(c, "HTTP/1.1 %d Scripted\r\n%s",
		a.status != 0 ? a.status
		: part        ? 206
			      : 200,
		a.headers != NULL ? a.headers : "");
	if (part)
		peer_send(c, "Content-Range: bytes %ld-%ld/%zu\r\n", from, to - 1, a.size);
	if (a.framing == ORIGIN_LENGTH)
		peer_send(c, "Content-Length: %ld\r\n", a.announce != 0 ? a.announce : to - from);
	else if (a.framing == ORIGIN_CHUNKED)
		peer_send(c, "Transfer-Encoding: chunked\r\n");
	peer_send(c, "\r\n");
	send_body(c, &a, (size_t)from, (size_t)to);
}

struct origin *origin_new(void)
{
	struct origin *o = calloc(1, sizeof(*o));

	if (o == NULL)
		die("calloc");
	pthread_mutex_init(&o->lock, NULL);
	o->peer = peer_new(answer, o, NULL);
	return o;
}

void origin_free(struct origin **po)
{
	struct origin *o = *po;

	*po = NULL;
	if (o == NULL)
		return;
	peer_free(&o->peer);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

const char *origin_url(const struct origin *o, const char *target)
{
	static _Thread_local char url[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", peer_port(o->peer), target);
	return url;
}

void origin_put(struct origin *o, const char *target, const struct origin_answer *answers, size_t count)
{
	struct target *t;

	if (count == 0 || count > ORIGIN_ANSWERS)
		die("too many answers");
	pthread_mutex_lock(&o->lock);
	t = find(o, target);
	if (t == NULL && o->count == TARGETS_MAX)
		die("too many targets");
	if (t == NULL)
		t = &o->targets[o->count++];
	memset(t, 0, sizeof(*t));
	snprintf(t->path, sizeof(t->path), "%s", target);
	memcpy(t->answers, answers, count * sizeof(*answers));
	t->count = count;
	pthread_mutex_unlock(&o->lock);
}

void origin_open(struct origin *o, int gate)
{
	peer_open(o->peer, gate);
}

int origin_hits(struct origin *o, const char *target)
{
	struct target *t;
	int n;

	pthread_mutex_lock(&o->lock);
	t = find(o, target);
	n = t != NULL ? t->hits : 0;
	pthread_mutex_unlock(&o->lock);
	return n;
}

int origin_all_hits(struct origin *o)
{
	int n;

	pthread_mutex_lock(&o->lock);
	n = o->hits;
	pthread_mutex_unlock(&o->lock);
	return n;
}

int64_t origin_range(struct origin *o, const char *target, int n)
{
	struct target *t;
	int64_t from;

	pthread_mutex_lock(&o->lock);
	t = find(o, target);
	from = t != NULL && n <= t->hits && n <= NOTES_MAX ? t->range[n - 1] : -1;
	pthread_mutex_unlock(&o->lock);
	return from;
}

int64_t origin_range_last(struct origin *o, const char *target, int n)
{
	struct target *t;
	int64_t last;

	pthread_mutex_lock(&o->lock);
	t = find(o, target);
	last = t != NULL && n <= t->hits && n <= NOTES_MAX ? t->range_last[n - 1] : -1;
	pthread_mutex_unlock(&o->lock);
	return last;
}

const char *origin_if_range(struct origin *o, const char *target, int n)
{
	static _Thread_local char value[128];
	struct target *t;

	value[0] = '\0';
	pthread_mutex_lock(&o->lock);
	t = find(o, target);
	if (t != NULL && n <= t->hits && n <= NOTES_MAX)
		memcpy(value, t->if_range[n - 1], sizeof(value));
	pthread_mutex_unlock(&o->lock);
	return value;
}
