/* What of a file the page cache has not: who sends it sleeps until a thread has read it. Where the file system cannot tell, nobody sleeps. */
#include "base/body.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/metrics.h"
#include "base/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (INT64_C(1024) * 1024)
#define SIZE (3 * MIB + 12345)

struct env {
	struct loop *loop;
	struct pool *pool; /* one thread, and two may wait */
	char path[64];
	int fd;
	struct wake wake;
	bool woken;
};

static void on_wake(struct loop_post *p)
{
	container_of(p, struct env, wake.post)->woken = true;
}

static char byte_at(int64_t off)
{
	return (char)(off * 7 + off / 4096);
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));
	struct err err;
	char *bytes = malloc(SIZE);

	assert_int_equal(loop_new("body", &e->loop, &err), 0);
	assert_int_equal(pool_new("disk", 1, 2, &e->pool, &err), 0);
	e->wake.loop = e->loop;
	e->wake.post.fn = on_wake;
	strcpy(e->path, "/var/tmp/test_body_file.XXXXXX"); /* where a disk is, if anywhere */
	e->fd = mkstemp(e->path);
	assert_true(e->fd >= 0);
	for (int64_t i = 0; i < SIZE; i++)
		bytes[i] = byte_at(i);
	assert_int_equal(pwrite(e->fd, bytes, SIZE, 0), SIZE);
	assert_int_equal(fsync(e->fd), 0);
	free(bytes);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	pool_free(&e->pool);
	loop_free(&e->loop);
	unlink(e->path);
	fs_close(&e->fd);
	free(e);
	return 0;
}

/* False: here nothing is, as far as can be told. */
static bool make_cold(struct env *e)
{
	char byte;
	struct iovec v = {&byte, 1};

	assert_int_equal(posix_fadvise(e->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	return preadv2(e->fd, &v, 1, SIZE - 1, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

static struct body *body_of(struct env *e)
{
	struct body *b = body_file(dup(e->fd), SIZE, e->pool, NULL, NULL);

	assert_non_null(b);
	return b;
}

static void sleep_on_it(struct env *e)
{
	e->woken = false;
	loop_run_until(e->loop, &e->woken);
	assert_null(e->wake.on);
}

/* As the sender does it: what is ready is read, else it sleeps. Returns how often it slept. */
static int read_all(struct env *e, struct body *b)
{
	char *got = malloc(SIZE);
	int sleeps = 0;

	assert_non_null(got);
	for (int64_t off = 0; off < SIZE;) {
		int64_t n = b->ops->ready(b, off);

		assert_true(n >= 0 && n <= MIB);
		if (n > 0) {
			assert_int_equal(b->ops->read(b, off, got + off, (size_t)n), n);
			off += n;
		} else if (b->ops->wait(b, off, &e->wake) == 0) {
			sleeps++;
			sleep_on_it(e);
			assert_true(b->ops->ready(b, off) > 0); /* whatever became of its pages meanwhile */
		}
	}
	assert_int_equal(b->ops->ready(b, SIZE), 0);
	for (int64_t i = 0; i < SIZE; i++)
		if (got[i] != byte_at(i))
			fail_msg("byte %lld", (long long)i);
	free(got);
	return sleeps;
}

static void test_what_is_cached_is_ready(void **state)
{
	struct env *e = *state;
	struct body *b;
	char *all = malloc(SIZE);

	assert_int_equal(pread(e->fd, all, SIZE, 0), SIZE);
	free(all);
	b = body_of(e);
	assert_int_equal(b->ops->ready(b, 0), MIB);
	assert_int_equal(b->ops->ready(b, SIZE - 5), 5);
	assert_int_equal(read_all(e, b), 0);
	b->ops->done(&b);
}

static void test_what_is_not_is_read_first(void **state)
{
	struct env *e = *state;
	int64_t before = metric_get(M_cold_reads);
	bool cold = make_cold(e);
	struct body *b = body_of(e);
	int sleeps = read_all(e, b);

	if (cold)
		assert_true(sleeps >= 1);
	assert_int_equal(metric_get(M_cold_reads) - before, sleeps);
	b->ops->done(&b);
}

struct held {
	struct pool_job job;
	_Atomic bool begun, go;
};

static void hold(struct pool_job *j)
{
	struct held *h = container_of(j, struct held, job);
	const struct timespec tick = {.tv_nsec = 1000000};

	atomic_store(&h->begun, true);
	while (!atomic_load(&h->go))
		nanosleep(&tick, NULL);
}

/* The client is gone before the thread has come to it; it asks twice; the pool has no place. */
static void test_while_the_thread_is_busy(void **state)
{
	struct env *e = *state;
	struct held h = {.job.fn = hold};
	const struct timespec tick = {.tv_nsec = 1000000};
	struct body *gone = body_of(e), *waits = body_of(e), *late = body_of(e);

	assert_int_equal(pool_submit(e->pool, &h.job), 0);
	while (!atomic_load(&h.begun))
		nanosleep(&tick, NULL);
	if (make_cold(e)) {
		assert_int_equal(gone->ops->ready(gone, 2 * MIB), 0);
		assert_int_equal(gone->ops->wait(gone, 2 * MIB, &e->wake), 0);
		assert_non_null(e->wake.on);
		gone->ops->unwait(gone, &e->wake);
		assert_null(e->wake.on);
		assert_int_equal(waits->ops->wait(waits, 2 * MIB, &e->wake), 0);
		assert_int_equal(waits->ops->wait(waits, 2 * MIB, &e->wake), 0); /* the same job */
		assert_int_equal(late->ops->ready(late, 2 * MIB), 0);
		assert_int_equal(late->ops->wait(late, 2 * MIB, &(struct wake){.loop = e->loop}), 1);
		assert_true(late->ops->ready(late, 2 * MIB) > 0); /* better late than never */
		gone->ops->done(&gone);
		atomic_store(&h.go, true);
		sleep_on_it(e);
		assert_true(waits->ops->ready(waits, 2 * MIB) > 0);
	}
	atomic_store(&h.go, true);
	if (gone != NULL)
		gone->ops->done(&gone);
	waits->ops->done(&waits);
	late->ops->done(&late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_cached_is_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_is_read_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_while_the_thread_is_busy, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
