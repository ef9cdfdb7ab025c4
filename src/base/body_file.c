/* An open file as a body. Who sends it must not wait for a disk: before a piece is promised, it is looked whether the page cache has it, and where it has
 * not, a thread of the pool reads it first. One loop, but for `warming`, which the thread shares.
 *
 * The look is a sample: a page of each stretch that the kernel reads at once. What goes from the cache between look and sending is read by the loop. */
#include "base/body.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/metrics.h"
#include "base/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is promised, and read, at a time: the sender takes no more in one turn of its loop. */
#define PIECE (INT64_C(1024) * 1024)
#define STRETCH (INT64_C(128) * 1024)
#define BLOCK (64 * 1024)

/* A piece on its way into the cache. Two hold it, the body and the job; the lock is for the sleeper. */
struct warming {
	struct pool_job job;
	_Atomic int refs;
	_Atomic bool over;
	int fd; /* its own: the body may be gone before the thread has come to it */
	int64_t off, n;
	pthread_mutex_t lock;
	struct wake *sleeper;
};

struct file_body {
	struct body b;
	bool in_arena;
	int fd;
	int64_t size;
	struct pool *pool; /* NULL: it is not looked */
	int64_t warm_from, warm_to;
	struct warming *warming;
	void (*release)(void *arg, int fd);
	void *arg;
};

static struct file_body *file_of(const struct body *b)
{
	return container_of(b, struct file_body, b);
}

static void warming_unref(struct warming **pw)
{
	struct warming *w = TAKE(*pw);

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	fs_close(&w->fd);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- on a thread of the pool ---- */

static void warm(struct pool_job *j)
{
	struct warming *w = container_of(j, struct warming, job);
	char block[BLOCK];
	int64_t at = w->off, end = w->off + w->n;

	/* What fails here fails when it is sent, too, and is told then. */
	while (at < end) {
		ssize_t got = pread(w->fd, block, (size_t)MIN((int64_t)sizeof(block), end - at), at);

		if (got <= 0)
			break;
		at += got;
	}
	/* The disk need not rest while this piece is sent. */
	(void)posix_fadvise(w->fd, end, PIECE, POSIX_FADV_WILLNEED);
	pthread_mutex_lock(&w->lock);
	atomic_store_explicit(&w->over, true, memory_order_release);
	if (w->sleeper != NULL) {
		w->sleeper->on = NULL;
		(void)loop_post_once(w->sleeper->loop, &w->sleeper->post);
		w->sleeper = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	warming_unref(&w);
}

/* ---- on the loop ---- */

static bool page_is_cached(int fd, int64_t off)
{
	char byte;
	struct iovec v = {&byte, 1};

	/* Where the question is not known the file is no disk's, or nothing can be done about it. */
	return preadv2(fd, &v, 1, off, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static bool is_cached(int fd, int64_t off, int64_t n)
{
	for (int64_t at = off; at < off + n - STRETCH; at += STRETCH)
		if (!page_is_cached(fd, at))
			return false;
	return page_is_cached(fd, off + n - 1);
}

static void warm_is(struct file_body *f, int64_t off, int64_t n)
{
	f->warm_from = off;
	f->warm_to = off + n;
}

static int64_t file_ready(struct body *b, int64_t off)
{
	struct file_body *f = file_of(b);
	int64_t n = f->size - off;

	if (n <= 0 || f->pool == NULL)
		return MAX(n, 0);
	if (f->warming != NULL && atomic_load_explicit(&f->warming->over, memory_order_acquire)) {
		warm_is(f, f->warming->off, f->warming->n);
		warming_unref(&f->warming);
	}
	if (off < f->warm_from || off >= f->warm_to) {
		n = MIN(n, PIECE);
		if (f->warming != NULL || !is_cached(f->fd, off, n))
			return 0;
		warm_is(f, off, n);
	}
	return f->warm_to - off;
}

static struct warming *warming_begin(struct file_body *f, int64_t off)
{
	struct warming *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	w->off = off;
	w->n = MIN(f->size - off, PIECE);
	w->job.fn = warm;
	(void)pthread_mutex_init(&w->lock, NULL);
	atomic_init(&w->refs, 2);
	if (w->fd < 0 || pool_submit(f->pool, &w->job) < 0) {
		atomic_store(&w->refs, 1);
		warming_unref(&w);
	} else {
		metric_inc(M_cold_reads);
	}
	return w;
}

static int file_wait(struct body *b, int64_t off, struct wake *w)
{
	struct file_body *f = file_of(b);
	bool over;

	if (f->warming == NULL && file_ready(b, off) == 0 && off < f->size)
		f->warming = warming_begin(f, off);
	if (f->warming == NULL) { /* the pool is busy, or it is there by now */
		warm_is(f, off, MIN(f->size - off, PIECE));
		return 1;
	}
	pthread_mutex_lock(&f->warming->lock);
	over = atomic_load_explicit(&f->warming->over, memory_order_relaxed);
	if (!over) {
		f->warming->sleeper = w;
		w->on = f;
		w->off = off;
	}
	pthread_mutex_unlock(&f->warming->lock);
	return over;
}

static void file_unwait(struct body *b, struct wake *w)
{
	struct file_body *f = file_of(b);

	if (f->warming == NULL)
		return;
	pthread_mutex_lock(&f->warming->lock);
	if (f->warming->sleeper == w) {
		f->warming->sleeper = NULL;
		w->on = NULL;
	}
	pthread_mutex_unlock(&f->warming->lock);
}

static int64_t file_size(const struct body *b)
{
	return file_of(b)->size;
}

static int file_fd(const struct body *b)
{
	return file_of(b)->fd;
}

static ssize_t file_read(struct body *b, int64_t off, void *p, size_t n)
{
	return pread(file_of(b)->fd, p, n, off);
}

static void file_done(struct body **pb)
{
	struct body *b = TAKE(*pb);
	struct file_body *f;

	if (b == NULL)
		return;
	f = file_of(b);
	warming_unref(&f->warming);
	if (f->release != NULL)
		f->release(f->arg, f->fd);
	else if (!f->in_arena)
		(void)close(f->fd); /* read-only: nothing can be lost */
	if (!f->in_arena)
		free(f);
}

static const struct body_ops file_ops = {
	.ready = file_ready,
	.wait = file_wait,
	.unwait = file_unwait,
	.size = file_size,
	.fd = file_fd,
	.read = file_read,
	.done = file_done,
};

static void file_init(struct file_body *f, int fd, int64_t size, struct pool *pool)
{
	*f = (struct file_body){.b.ops = &file_ops, .fd = fd, .size = size, .pool = pool};
}

struct body *body_file(int fd, int64_t size, struct pool *pool, void (*release)(void *arg, int fd), void *arg)
{
	struct file_body *f = malloc(sizeof(*f));

	if (f == NULL)
		return NULL;
	file_init(f, fd, size, pool);
	f->release = release;
	f->arg = arg;
	return &f->b;
}

struct body *body_file_in(
	struct arena *a, int fd, int64_t size, struct pool *pool, void (*release)(void *arg, int fd), void *arg)
{
	struct file_body *f = arena_alloc(a, sizeof(*f));

	if (f == NULL)
		return NULL;
	file_init(f, fd, size, pool);
	f->in_arena = true;
	f->release = release;
	f->arg = arg;
	return &f->b;
}
