/* Directory pages, in the form that clients of Pulp's content app scrape (facts 4.3): of a distribution, made by the pool from the catalog; and of the tree of
 * base_paths above them, made at once from the snapshot. */
#include "content/request_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_WIDTH 100

static void page_begin(struct buf *b, struct slice title, bool root)
{
	(void)buf_adds(b, "<html>\n<head><title>Index of ");
	(void)buf_add_html(b, title);
	(void)buf_adds(b, "</title></head>\n<body bgcolor=\"white\">\n<h1>Index of ");
	(void)buf_add_html(b, title);
	(void)buf_adds(b, "</h1>\n<hr><pre>");
	if (!root)
		(void)buf_adds(b, "<a href=\"../\">../</a>\n");
	else
		(void)buf_adds(b, "\n");
}

static void page_end(struct buf *b)
{
	(void)buf_adds(b, "</pre><hr></body>\n</html>\n");
}

static void add_size(struct buf *b, int64_t size)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double v = (double)size / 1000;
	size_t u = 0;

	if (size < 0)
		return;
	if (size < 1000) {
		(void)buf_addf(b, "%" PRId64 " %s", size, size == 1 ? "Byte" : "Bytes");
		return;
	}
	while (v >= 999.95 && u + 1 < ARRAY_LEN(units)) {
		v /= 1000;
		u++;
	}
	(void)buf_addf(b, "%.1f %s", v, units[u]);
}

/* Characters of UTF-8: all bytes but those that continue one. */
static size_t width_of(struct slice name)
{
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++)
		n += ((unsigned char)name.p[i] & 0xc0) != 0x80;
	return n;
}

static void page_entry(struct buf *b, const struct listing_entry *e)
{
	size_t width = width_of(e->name) + e->is_dir;
	char date[32] = "";

	(void)buf_adds(b, "<a href=\"./");
	(void)buf_add_html(b, e->name);
	(void)buf_adds(b, e->is_dir ? "/\">" : "\">");
	(void)buf_add_html(b, e->name);
	(void)buf_adds(b, e->is_dir ? "/</a>" : "</a>");
	(void)buf_addf(b, "%*s", width < NAME_WIDTH ? (int)(NAME_WIDTH - width) : 1, "");
	if (e->date_us > 0) {
		time_t s = (time_t)(e->date_us / US_PER_S);
		struct tm tm;

		(void)strftime(date, sizeof(date), "%d-%b-%Y %H:%M", gmtime_r(&s, &tm));
	}
	(void)buf_addf(b, "%s  ", date);
	add_size(b, e->size);
	(void)buf_adds(b, "\n");
}

/* ---- of a distribution ---- */

static int add_entry(void *arg, const struct listing_entry *e)
{
	struct buf *b = arg;

	page_entry(b, e);
	return b->failed;
}

/* Pool. */
static void listing_job(struct pool_job *j)
{
	struct request *rq = container_of(j, struct request, job);
	const struct served_distribution *d = &rq->snap->table->d[rq->dist];
	struct slice dir = rq->rest;
	struct txn *t = NULL;
	char *title = NULL;

	if (dir.n > 0)
		dir.n--;
	if (asprintf(&title, "%.*s%.*s", SLICE_ARG(rq->shard->content->prefix), SLICE_ARG(rq->path)) < 0) {
		rq->job_rc = -ERR_NOMEM;
		return;
	}
	page_begin(&rq->page, slice_str(title), false);
	free(title);
	rq->job_rc = catalog_read(rq->shard->content->catalog, &t, &rq->job_err);
	if (rq->job_rc == 0)
		rq->job_rc = catalog_listing(t, &d->sets[rq->entry->set], dir, add_entry, &rq->page, &rq->job_err);
	txn_end(&t);
	page_end(&rq->page);
	if (rq->job_rc == 0 && rq->page.failed < 0)
		rq->job_rc = rq->page.failed;
	if (rq->job_rc < 0)
		log_error("content", "listing of '%s' failed: %s", d->base_path, rq->job_err.msg);
}

/* Loop. */
static void listing_done(struct pool_job *j)
{
	struct request *rq = container_of(j, struct request, job);

	if (rq->job_rc < 0)
		buf_reset(&rq->page);
	if (rq->x == NULL)
		request_free(rq);
	else
		request_run(rq);
}

int listing_start(struct request *rq)
{
	if (request_detach(rq) < 0)
		return -ERR_NOMEM;
	rq->job = (struct pool_job){.fn = listing_job, .done = listing_done, .loop = rq->shard->loop};
	if (pool_submit(rq->shard->content->pool, &rq->job) < 0)
		return -ERR_LIMIT;
	return 0;
}

void listing_reply(struct request *rq)
{
	struct http_x *x = TAKE(rq->x);
	struct http_reply r = {.status = 200, .content_type = "text/html", .note = "listing"};
	size_t n = 0;
	char *page = buf_take(&rq->page, &n);

	if (page != NULL)
		r.body = body_memory_take(page, n);
	r.size = (int64_t)n;
	if (r.body == NULL) {
		http_reply_text(x, 503, NULL, NULL, 1);
		return;
	}
	http_reply(x, &r);
}

/* ---- above the distributions ---- */

/* The next one from i on whose base_path begins with `dir` and which is shown; false: none. */
static bool next_shown(const struct snapshot *s, struct slice dir, size_t *i)
{
	const struct served_table *t = s->table;

	while (*i < t->count && slice_starts(slice_str(t->d[*i].base_path), dir)) {
		if (!t->d[*i].hidden)
			return true;
		++*i;
	}
	return false;
}

bool listing_any_distribution(const struct snapshot *s, struct slice dir)
{
	size_t i = snapshot_first_below(s, dir);

	return next_shown(s, dir, &i);
}

int listing_of_distributions(struct request *rq, struct slice dir)
{
	struct slice last = SLICE_NULL;
	size_t i = snapshot_first_below(rq->snap, dir);
	char *title;

	if (dir.n > 0 && !listing_any_distribution(rq->snap, dir))
		return 0;
	title = arena_printf(http_arena(rq->x), "%.*s%.*s", SLICE_ARG(rq->shard->content->prefix), SLICE_ARG(dir));
	if (title == NULL)
		return -ERR_NOMEM;
	page_begin(&rq->page, slice_str(title), dir.n == 0);
	for (; next_shown(rq->snap, dir, &i); i++) { /* sorted, so equal first parts follow each other */
		struct slice base = slice_str(rq->snap->table->d[i].base_path);
		struct slice rest = slice_of(base.p + dir.n, base.n - dir.n);
		struct listing_entry e = {.is_dir = true, .size = -1};

		e.name = slice_cut(&rest, '/');
		if (last.p != NULL && slice_eq(last, e.name))
			continue;
		last = e.name;
		page_entry(&rq->page, &e);
	}
	page_end(&rq->page);
	return 1;
}
