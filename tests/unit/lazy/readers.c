/* See readers.h. */
#include "readers.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 20000

/* ---- the lab ---- */

void lab_open(struct lab *l, int threads, int queue_max)
{
	static bool warm;

	if (!warm) { /* libcurl, SQLite and OpenSSL open this and that once: no leak */
		warm = true;
		lab_open(l, 1, 10);
		lab_start(l);
		lab_close(l);
	}
	memset(l, 0, sizeof(*l));
	l->fds = open_fds();
	stock_open(&l->stock, threads, queue_max);
	l->origin = origin_new();
}

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

void lab_start(struct lab *l)
{
	struct lazy_opts opts = {.pool = l->stock.pool,
		.catalog = l->stock.catalog,
		.store = l->stock.store,
		.settings = &l->stock.settings};

	MUST(lazy_new(&opts, &l->lazy, &err));
	for (int i = 0; i < READER_LOOPS; i++) {
		MUST(loop_new("reader", &l->loops[i], &err));
		assert_int_equal(pthread_create(&l->threads[i], NULL, run, l->loops[i]), 0);
	}
}

void lab_close(struct lab *l)
{
	lazy_drain(l->lazy, 20000);
	for (int i = 0; i < READER_LOOPS; i++) {
		loop_stop(l->loops[i]);
		pthread_join(l->threads[i], NULL);
	}
	lazy_free(&l->lazy);
	for (int i = 0; i < READER_LOOPS; i++)
		loop_free(&l->loops[i]);
	origin_free(&l->origin);
	stock_close(&l->stock);
	assert_int_equal(open_fds(), l->fds);
}

/* ---- units ---- */

static int64_t declare(struct unit *u, struct lab *l, const char *path, int64_t remote, const char *url)
{
	return stock_declare(&l->stock, u->repository, remote, path, url, u->size, &u->digests);
}

void unit_new(struct unit *u, struct lab *l, const char *name, size_t size, unsigned seed, enum policy policy)
{
	char target[64];

	snprintf(target, sizeof(target), "/%s", name);
	*u = (struct unit){.body = bytes_new(size, seed), .size = (int64_t)size};
	u->digests = digests_of(u->body, size, 0);
	u->repository = stock_repository(&l->stock, name);
	u->remote = stock_remote(&l->stock, name, origin_url(l->origin, "/"), policy);
	u->ca = declare(u, l, name, u->remote, origin_url(l->origin, target));
	u->want = (struct flight_want){
		.content_artifact_id = u->ca, .repository_id = u->repository, .digests = u->digests, .size = u->size};
	ORIGIN_PUT(l->origin, target, {.ranges = true, .body = u->body, .size = size});
}

int64_t unit_add_source(struct unit *u, struct lab *l, const char *name, const char *url)
{
	int64_t remote = stock_remote(&l->stock, name, url, POLICY_ON_DEMAND), id;
	char sql[512];

	snprintf(sql, sizeof(sql),
		"INSERT INTO remote_artifact (content_artifact_id, remote_id, url, size, sha256) SELECT "
		"content_artifact_id, %ld, '%s', size, sha256 FROM remote_artifact WHERE content_artifact_id = $1 "
		"LIMIT 1",
		remote, url);
	stock_exec(&l->stock, sql, u->ca);
	id = stock_source(&l->stock, u->ca, remote);
	assert_true(id > 0);
	return id;
}

void unit_free(struct unit *u)
{
	free(u->body);
}

/* ---- a reader, on its loop ---- */

static void end(struct reader *r, int rc)
{
	struct err err = ERR_INIT;
	int64_t retry_after_s = -1;
	struct flight *f = r->f;

	if (f != NULL && rc < 0 && rc != -ERR_CLOSED) {
		flight_error(f, &err, &retry_after_s);
		r->try_alone = flight_try_alone(f, &r->want);
	}
	if (r->b != NULL) {
		r->f = NULL;
		r->b->ops->done(&r->b);
	}
	flight_leave(&r->f);
	pthread_mutex_lock(&r->lock);
	r->rc = rc;
	r->err = err;
	r->retry_after_s = retry_after_s;
	r->over = true;
	pthread_mutex_unlock(&r->lock);
}

static void first_bytes(struct reader *r)
{
	const char *name, *value;

	r->begun = true;
	r->size = flight_size(r->f);
	r->headers = flight_header_count(r->f);
	if (r->headers > 0) {
		flight_header(r->f, 0, &name, &value);
		snprintf(r->first_header, sizeof(r->first_header), "%s: %s", name, value);
	}
}

/* Takes some of the bytes that were promised. False: it pauses here. */
static bool take(struct reader *r, int64_t promised)
{
	char piece[PIECE], *grown;
	int64_t n = MIN(promised, (int64_t)sizeof(piece));
	ssize_t got;

	pthread_mutex_lock(&r->lock);
	r->seen = MAX(r->seen, r->n + promised);
	if (!r->begun)
		first_bytes(r);
	if (r->pause_at >= 0)
		n = MIN(n, r->pause_at - r->n);
	pthread_mutex_unlock(&r->lock);
	if (n <= 0)
		return false;
	got = r->b->ops->read(r->b, r->from + r->n, piece, (size_t)n);
	BUG(got != n); /* promised bytes are there */
	pthread_mutex_lock(&r->lock);
	if (r->n + got > r->room) {
		r->room = MAX(2 * r->room, 16 * PIECE);
		grown = realloc(r->data, (size_t)r->room);
		BUG(grown == NULL);
		r->data = grown;
	}
	memcpy(r->data + r->n, piece, (size_t)got);
	r->n += got;
	pthread_mutex_unlock(&r->lock);
	r->b->ops->sent(r->b, r->from + r->n);
	return true;
}

static void read_on(struct reader *r)
{
	for (;;) {
		int64_t off = r->from + r->n, ready = r->b->ops->ready(r->b, off), size;

		if (r->to > 0 && off == r->to) {
			end(r, 0);
			return;
		}
		if (ready > 0 && r->to > 0)
			ready = MIN(ready, r->to - off);
		if (ready < 0) {
			end(r, (int)ready);
			return;
		}
		if (ready > 0) {
			if (!take(r, ready))
				return;
			continue;
		}
		size = r->b->ops->size(r->b);
		if (flight_is_done(r->f) && size >= 0 && r->n >= size) {
			end(r, 0);
			return;
		}
		r->wake.end = r->to > 0 ? r->to : INT64_MAX;
		if (r->b->ops->wait(r->b, off, &r->wake) == 0)
			return;
	}
}

static void ask_prospects(struct reader *r)
{
	for (;;) {
		int rc = flight_prospects(r->f);

		if (rc != 0) {
			end(r, MIN(rc, 0));
			return;
		}
		if (flight_wait_prospects(r->f, &r->wake) == 0)
			return;
	}
}

static void unwait(struct reader *r)
{
	if (r->b != NULL)
		r->b->ops->unwait(r->b, &r->wake);
	else
		flight_unwait(r->f, &r->wake);
}

static void go_on(struct reader *r)
{
	if (r->f == NULL)
		return;
	unwait(r); /* reader_go comes when it likes */
	if (r->head_only)
		ask_prospects(r);
	else
		read_on(r);
}

static void on_wake(struct loop_post *p)
{
	go_on(container_of(p, struct reader, wake.post));
}

static void on_start(struct loop_post *p)
{
	struct reader *r = container_of(p, struct reader, start);
	int rc = flight_join(r->lab->lazy, &r->want, &r->f);

	pthread_mutex_lock(&r->lock);
	r->joined = true;
	pthread_mutex_unlock(&r->lock);
	if (rc < 0) {
		end(r, rc);
		return;
	}
	if (!r->head_only) {
		r->b = flight_body(r->f, NULL, NULL);
		BUG(r->b == NULL);
	}
	go_on(r);
}

static void on_go(struct loop_post *p)
{
	go_on(container_of(p, struct reader, go));
}

static void on_leave(struct loop_post *p)
{
	struct reader *r = container_of(p, struct reader, leave);

	if (r->f == NULL)
		return;
	unwait(r);
	end(r, -ERR_CLOSED);
}

/* ---- the test's side ---- */

void reader_init(struct reader *r, struct lab *l, int loop, const struct flight_want *want)
{
	memset(r, 0, sizeof(*r));
	r->lab = l;
	r->want = *want;
	r->loop = loop;
	r->pause_at = -1;
	r->size = -2;
	pthread_mutex_init(&r->lock, NULL);
	r->start.fn = on_start;
	r->go.fn = on_go;
	r->leave.fn = on_leave;
	r->wake.loop = l->loops[loop];
	r->wake.post.fn = on_wake;
}

void reader_start(struct reader *r)
{
	loop_post(r->lab->loops[r->loop], &r->start);
}

void reader_go(struct reader *r, int64_t pause_at)
{
	pthread_mutex_lock(&r->lock);
	r->pause_at = pause_at;
	pthread_mutex_unlock(&r->lock);
	loop_post_once(r->lab->loops[r->loop], &r->go);
}

void reader_leave(struct reader *r)
{
	loop_post(r->lab->loops[r->loop], &r->leave);
}

static int64_t get(struct reader *r, const int64_t *what)
{
	int64_t v;

	pthread_mutex_lock(&r->lock);
	v = *what;
	pthread_mutex_unlock(&r->lock);
	return v;
}

static bool is(struct reader *r, const bool *what)
{
	bool v;

	pthread_mutex_lock(&r->lock);
	v = *what;
	pthread_mutex_unlock(&r->lock);
	return v;
}

int64_t reader_seen(struct reader *r)
{
	return get(r, &r->seen);
}

void reader_wait_joined(struct reader *r)
{
	WAIT_FOR(is(r, &r->joined));
}

void reader_wait_bytes(struct reader *r, int64_t n)
{
	WAIT_FOR(get(r, &r->n) >= n);
}

int reader_wait(struct reader *r)
{
	WAIT_FOR(is(r, &r->over));
	return r->rc;
}

struct reader_flush {
	struct loop_post post;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool over;
};

static void flushed(struct loop_post *p)
{
	struct reader_flush *fl = container_of(p, struct reader_flush, post);

	pthread_mutex_lock(&fl->lock);
	fl->over = true;
	pthread_cond_signal(&fl->changed);
	pthread_mutex_unlock(&fl->lock);
}

/* Posts of the reader may be on their way to its loop still. */
void reader_fini(struct reader *r)
{
	struct reader_flush fl = {.post.fn = flushed};

	(void)reader_wait(r);
	pthread_mutex_init(&fl.lock, NULL);
	pthread_cond_init(&fl.changed, NULL);
	loop_post(r->lab->loops[r->loop], &fl.post);
	pthread_mutex_lock(&fl.lock);
	while (!fl.over)
		pthread_cond_wait(&fl.changed, &fl.lock);
	pthread_mutex_unlock(&fl.lock);
	pthread_cond_destroy(&fl.changed);
	pthread_mutex_destroy(&fl.lock);
	pthread_mutex_destroy(&r->lock);
	free(r->data);
}

int read_all(struct lab *l, struct reader *r, const struct flight_want *want)
{
	reader_init(r, l, 0, want);
	reader_start(r);
	return reader_wait(r);
}

void assert_right(const struct reader *r, const char *p, int64_t n)
{
	assert_int_equal(r->rc, 0);
	assert_int_equal(r->n, n);
	assert_true(n == 0 || memcmp(r->data, p, (size_t)n) == 0);
}
