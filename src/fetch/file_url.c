/* file:// URLs, read by the pool in pieces, and only below the directories that the site allows.
 *
 * What is compared is the canonical path, and once more the path of what was opened in the end: a symbolic link, or one
 * that changes in between, leads out of an allowed directory in neither way.
 *
 * A job belongs to the pool from submit until its fn has ended, else to the loop. A fetch that goes away meanwhile leaves
 * its job behind (job->fetch is NULL), and a context that goes away leaves the port, which the last job frees. The port
 * wakes the loop through an eventfd: unlike a post, that can be taken back. `lock` protects what is marked. */
#include "fetch/fetch_priv.h"

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/metrics.h"
#include "base/url.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (64 * 1024)

struct file_port {
	pthread_mutex_t lock;
	int refs;              /* lock: the context, and each job in the pool */
	bool closed;           /* lock: the context is gone */
	struct file_job *done; /* lock: for the loop */
	int wake_fd;           /* lock to write; -1 once closed */
	struct loop_io io;     /* loop */
};

/* One file being read. */
struct file_job {
	struct pool_job job;
	struct file_port *port;
	struct file_job *next; /* port->done */
	struct fetch *fetch;   /* loop; NULL: nobody waits for it any more */
	_Atomic bool unwanted; /* the same for the pool: it need not do what it has not begun */
	bool in_pool;          /* loop */
	bool paused;           /* loop: `piece` was not taken */
	bool head_done;        /* loop */

	/* The side that has the job: */
	char *path;
	char *allowed;
	int fd; /* -1: to be opened */
	int64_t off;
	int64_t end; /* size when it was opened */
	int64_t mtime_s;
	char etag[64];
	int status; /* of the open, as a server would put it: 200, 403, 404 */
	int rc;     /* of the last step */
	struct err err;
	size_t n;
	char piece[PIECE_BYTES];
};

/* ---- what the pool does ---- */

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n == 1 && dir[0] == '/')
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Below one of the comma-separated directories, as they are written or as they resolve. */
static bool is_allowed(const char *path, const char *list)
{
	struct slice rest = slice_str(list);

	while (rest.p != NULL) {
		struct slice item = slice_trim(slice_cut(&rest, ','));
		char dir[PATH_MAX], real[PATH_MAX];

		if (item.n == 0 || item.n >= sizeof(dir) || item.p[0] != '/')
			continue;
		memcpy(dir, item.p, item.n);
		dir[item.n] = '\0';
		if (realpath(dir, real) != NULL && is_below(path, real))
			return true;
	}
	return false;
}

/* Before anything is looked at: the answer "not there" must not tell what exists outside. The nearest ancestor that
 * exists decides. */
static bool place_is_allowed(const char *path, const char *list)
{
	char part[PATH_MAX], real[PATH_MAX + 2];
	char *slash;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return false;
	while ((slash = strrchr(part, '/')) != NULL) {
		size_t n;

		*slash = '\0';
		if (realpath(part[0] != '\0' ? part : "/", real) == NULL)
			continue;
		n = strlen(real);
		if (n == 0 || real[n - 1] != '/')
			memcpy(real + n, "/", 2); /* something in that directory */
		return is_allowed(real, list);
	}
	return false;
}

static int job_denied(struct file_job *j)
{
	return err_set(&j->err, -ERR_DENIED, "the file is not below a directory of allowed_import_paths");
}

/* Not there, and no access: answers, as a server gives them. */
static int job_answer(struct file_job *j, int sys)
{
	if (sys != ENOENT && sys != ENOTDIR && sys != EACCES)
		return err_sys(&j->err, sys, "cannot open the file");
	j->status = sys == EACCES ? 403 : 404;
	return 0;
}

static bool opened_is_allowed(const struct file_job *j)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", j->fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_allowed(path, j->allowed);
}

static int job_open(struct file_job *j)
{
	char real[PATH_MAX];
	struct stat st;

	if (realpath(j->path, real) == NULL) {
		int sys = errno;

		return place_is_allowed(j->path, j->allowed) ? job_answer(j, sys) : job_denied(j);
	}
	if (!is_allowed(real, j->allowed))
		return job_denied(j);
	/* Not blocking: it may be a FIFO. */
	j->fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (j->fd < 0)
		return job_answer(j, errno);
	if (!opened_is_allowed(j))
		return job_denied(j);
	if (fstat(j->fd, &st) != 0)
		return err_sys(&j->err, errno, "cannot look at the file");
	if (!S_ISREG(st.st_mode))
		return job_answer(j, ENOENT); /* directories and devices are no files to us */
	j->status = 200;
	j->end = st.st_size;
	j->mtime_s = st.st_mtim.tv_sec;
	snprintf(j->etag, sizeof(j->etag), "\"%llx-%llx-%llx.%lx\"", (unsigned long long)st.st_ino,
		(unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

static int job_read(struct file_job *j)
{
	size_t n = (size_t)MIN(j->end - j->off, PIECE_BYTES);
	int rc = fs_pread_all(j->fd, j->piece, n, j->off, &j->err);

	j->n = rc == 0 ? n : 0;
	return rc;
}

static void job_free(struct file_job *j)
{
	fs_close(&j->fd);
	free(j->path);
	free(j->allowed);
	free(j);
}

/* Gives back a reference and unlocks. */
static void port_put(struct file_port *p)
{
	bool last = --p->refs == 0;

	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void job_run(struct pool_job *pool_job)
{
	struct file_job *j = container_of(pool_job, struct file_job, job);
	struct file_port *p = j->port;
	bool orphan;

	if (!atomic_load_explicit(&j->unwanted, memory_order_relaxed))
		j->rc = j->status == 0 ? job_open(j) : job_read(j);
	pthread_mutex_lock(&p->lock);
	orphan = p->closed;
	if (!orphan) {
		j->next = p->done;
		p->done = j;
		(void)eventfd_write(p->wake_fd, 1); /* fails only when it is full, and then it wakes anyway */
	}
	port_put(p);
	if (orphan)
		job_free(j);
}

/* ---- the port ---- */

static void file_step(struct file_job *j);

static void port_wake(struct loop_io *io, uint32_t events)
{
	struct file_port *p = container_of(io, struct file_port, io);
	struct file_job *done;
	eventfd_t n;

	(void)events;
	pthread_mutex_lock(&p->lock);
	(void)eventfd_read(p->wake_fd, &n); /* nothing there: woken twice */
	done = TAKE(p->done);
	pthread_mutex_unlock(&p->lock);
	while (done != NULL) {
		struct file_job *j = done;

		done = j->next;
		j->in_pool = false;
		if (j->fetch == NULL)
			job_free(j);
		else
			file_step(j);
	}
}

static int port_open(struct fetch_ctx *c, struct err *err)
{
	struct file_port *p;
	int rc;

	if (c->port != NULL)
		return 0;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, -ERR_NOMEM, "reader of files");
	p->refs = 1;
	p->io.fn = port_wake;
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = p->wake_fd < 0 ? err_sys(err, errno, "eventfd") : loop_io_add(c->loop, &p->io, p->wake_fd, EPOLLIN, err);
	if (rc != 0) {
		fs_close(&p->wake_fd);
		free(p);
		return rc;
	}
	pthread_mutex_init(&p->lock, NULL);
	c->port = p;
	return 0;
}

void file_port_close(struct fetch_ctx *c)
{
	struct file_port *p = TAKE(c->port);
	struct file_job *done;

	if (p == NULL)
		return;
	loop_io_del(c->loop, &p->io);
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	done = TAKE(p->done);
	fs_close(&p->wake_fd);
	port_put(p);
	while (done != NULL) {
		struct file_job *j = done;

		done = j->next;
		job_free(j);
	}
}

/* ---- what the loop does ---- */

static int job_submit(struct file_job *j)
{
	struct file_port *p = j->port;
	int rc;

	pthread_mutex_lock(&p->lock);
	p->refs++;
	pthread_mutex_unlock(&p->lock);
	j->in_pool = true;
	rc = pool_submit(j->fetch->ctx->pool, &j->job);
	if (rc != 0) {
		j->in_pool = false;
		pthread_mutex_lock(&p->lock);
		port_put(p);
	}
	return rc;
}

static void file_failed(struct file_job *j, int rc, bool may_pass)
{
	struct err err = j->err;

	if (rc == -ERR_LIMIT)
		(void)err_set(&err, rc, "too much waits for the disk");
	fetch_err_at(&err, j->fetch->req.url);
	fetch_attempt_ended(j->fetch, rc, may_pass, -1, &err);
}

static void file_next(struct file_job *j)
{
	int rc;

	if (j->off == j->end) {
		fetch_attempt_ended(j->fetch, 0, false, -1, NULL);
		return;
	}
	rc = job_submit(j);
	if (rc != 0)
		file_failed(j, rc, true);
}

static void file_deliver(struct file_job *j)
{
	int rc = fetch_deliver_data(j->fetch, j->piece, j->n);

	if (rc == FETCH_PAUSE) {
		j->paused = true;
	} else if (rc != 0) {
		(void)err_set(&j->err, MIN(rc, -1), "%s", err_text(rc));
		file_failed(j, MIN(rc, -1), false);
	} else {
		j->off += (int64_t)j->n;
		file_next(j);
	}
}

static int file_status(const struct file_job *j)
{
	const struct fetch_req *req = &j->fetch->req;
	int64_t since_s;

	if (j->status != 200)
		return j->status;
	if (req->if_none_match != NULL)
		return strcmp(req->if_none_match, j->etag) == 0 ? 304 : 200;
	if (req->if_modified_since != NULL && clock_http_parse(slice_str(req->if_modified_since), &since_s) == 0 &&
		j->mtime_s <= since_s)
		return 304;
	if (req->range_from <= 0 || (req->if_range != NULL && strcmp(req->if_range, j->etag) != 0))
		return 200;
	return req->range_from < j->end ? 206 : 416;
}

static int file_deliver_head(struct file_job *j)
{
	char date[CLOCK_HTTP_MAX], length[32];
	struct fetch_header headers[] = {{SLICE("ETag"), slice_str(j->etag)}, {SLICE("Last-Modified"), SLICE_NULL},
		{SLICE("Content-Length"), SLICE_NULL}};
	struct fetch_head head = {
		.status = file_status(j), .total = -1, .length = 0, .effective_url = slice_str(j->fetch->req.url)};

	if (head.status == 206)
		head.range_start = j->off = j->fetch->req.range_from;
	if (head.status == 200 || head.status == 206)
		head.total = j->end;
	if (head.status == 206 && j->fetch->req.range_to > j->off)
		j->end = MIN(j->end, j->fetch->req.range_to);
	if (head.status == 200 || head.status == 206)
		head.length = j->end - j->off;
	if (j->status == 200) {
		snprintf(length, sizeof(length), "%lld", (long long)head.length);
		headers[1].value = slice_str(clock_http(j->mtime_s, date));
		headers[2].value = slice_str(length);
		head.etag = headers[0].value;
		head.last_modified = headers[1].value;
		head.headers = headers;
		head.header_count = head.status == 200 || head.status == 206 ? 3 : 2;
	}
	if (head.status != 200 && head.status != 206)
		j->off = j->end; /* nothing follows */
	return fetch_deliver_head(j->fetch, &head);
}

/* The pool has done a step: opened the file, or read a piece. */
static void file_step(struct file_job *j)
{
	int rc;

	if (j->fetch->canceled) {
		fetch_attempt_ended(j->fetch, -ERR_CANCELED, false, -1, NULL);
		return;
	}
	if (j->rc != 0) {
		file_failed(j, j->rc, j->rc == -ERR_IO);
		return;
	}
	if (j->head_done) {
		file_deliver(j);
		return;
	}
	j->head_done = true;
	rc = file_deliver_head(j);
	if (rc != 0) {
		(void)err_set(&j->err, rc, "%s", err_text(rc));
		file_failed(j, rc, false);
		return;
	}
	file_next(j);
}

static int file_start(struct fetch *f, struct err *err)
{
	struct file_job *j = calloc(1, sizeof(*j));
	struct url u;
	int rc;

	if (j == NULL)
		return fetch_err(err, -ERR_NOMEM, f->req.url, "%s", err_text(-ERR_NOMEM));
	f->exchange = j;
	j->fetch = f;
	j->fd = -1;
	j->job.fn = job_run;
	rc = port_open(f->ctx, err);
	if (rc == 0)
		rc = url_parse(slice_str(f->req.url), &u, err);
	if (rc != 0) {
		fetch_err_at(err, f->req.url);
		return rc;
	}
	j->port = f->ctx->port;
	j->path = slice_dup(u.path);
	j->allowed = strdup(f->ctx->allowed_import_paths);
	if (j->path == NULL || j->allowed == NULL)
		return fetch_err(err, -ERR_NOMEM, f->req.url, "%s", err_text(-ERR_NOMEM));
	metric_inc(M_fetch_requests);
	rc = job_submit(j);
	return rc == 0 ? 0 : fetch_err(err, rc, f->req.url, "too much waits for the disk");
}

static void file_resume(struct fetch *f)
{
	struct file_job *j = f->exchange;

	if (!j->paused)
		return;
	j->paused = false;
	file_deliver(j);
}

static void file_stop(struct fetch *f)
{
	struct file_job *j = TAKE(f->exchange);

	if (j == NULL)
		return;
	j->fetch = NULL;
	atomic_store_explicit(&j->unwanted, true, memory_order_relaxed);
	if (!j->in_pool) /* else port_wake() frees it */
		job_free(j);
}

const struct fetch_kind fetch_kind_file = {
	.start = file_start,
	.resume = file_resume,
	.stop = file_stop,
};
