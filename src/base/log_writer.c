/* See log_writer.h. The ring holds whole lines, [tail, head) of a stream of bytes that is counted from the start.
 *
 * Producers add under `lock`, which is held for a copy of 4 KiB at most and never across a call that may block; `head` is published
 * behind the bytes. The writer is the only one that moves `tail`, behind what is written; it takes no lock but to sleep. So the last words of a
 * dying process can be read without any lock. */
#include "base/log_writer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RESERVE (LOG_RING_BYTES / 4)
#define LAST_WORDS_MS 500
#define LAST_WORDS_STEP_MS 10
/* How often a writer whose reader hangs looks whether it is to stop. */
#define POLL_MS 100

enum writer_state { WRITER_NONE, WRITER_RUNS, WRITER_STOPS, WRITER_ENDED };

static char ring[LOG_RING_BYTES];
static _Atomic uint64_t head, tail;
static _Atomic int64_t dropped; /* lines, not reported yet */
static _Atomic int state;       /* enum writer_state; changed under lock */
static _Atomic bool gives_up;   /* stopping took too long */
static _Atomic bool dying;
static bool idle; /* lock: the writer sleeps */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, ended;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_t thread;

static int64_t lines_in(const char *p, size_t n)
{
	int64_t lines = 0;

	for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		lines++;
	return lines;
}

/* ---- to the descriptor ---- */

enum wait_for { WAIT_EVER, WAIT_WHILE_RUNNING, WAIT_SHORTLY };

/* Until it takes something; false: not in the time that may be waited. */
static bool wait_writable(int fd, enum wait_for wait)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int rc;

	do {
		rc = poll(&p, 1, wait == WAIT_EVER ? -1 : POLL_MS);
		/* Also when it failed, or has no reader: write() says so. */
		if (rc > 0 || (rc < 0 && errno != EINTR))
			return true;
	} while (wait != WAIT_SHORTLY && !atomic_load_explicit(&gives_up, memory_order_relaxed));
	return false;
}

/* All or nothing, as far as the descriptor permits; false: nobody took it. A pipe that is writable takes a piece at once. */
static bool write_piece(const char *p, size_t n, enum wait_for wait)
{
	int fd = log_get_fd();
	size_t done = 0;

	while (done < n) {
		ssize_t w = 0;

		if (wait != WAIT_EVER && !wait_writable(fd, wait))
			return false;
		w = write(fd, p + done, n - done);
		if (w > 0) {
			done += (size_t)w;
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		/* Somebody made it non-blocking. */
		if (w < 0 && errno == EAGAIN && wait_writable(fd, wait))
			continue;
		return false;
	}
	return true;
}

/* ---- the ring ---- */

static void ring_copy_in(uint64_t at, const char *p, size_t n)
{
	size_t off = at % LOG_RING_BYTES, first = MIN(n, LOG_RING_BYTES - off);

	memcpy(ring + off, p, first);
	memcpy(ring, p + first, n - first);
}

/* The whole lines from `at` on that fit in a piece. */
static size_t ring_piece(uint64_t at, uint64_t end, char out[LOG_PIECE_MAX])
{
	size_t n = (size_t)MIN(end - at, (uint64_t)LOG_PIECE_MAX), off = at % LOG_RING_BYTES;
	size_t first = MIN(n, LOG_RING_BYTES - off);
	char *last;

	memcpy(out, ring + off, first);
	memcpy(out + first, ring, n - first);
	last = memrchr(out, '\n', n);
	return last != NULL ? (size_t)(last - out) + 1 : n;
}

static void count_dropped(int64_t lines)
{
	metric_add(M_log_dropped, lines);
	atomic_fetch_add_explicit(&dropped, lines, memory_order_relaxed);
}

void log_write(const char *p, size_t n, bool important)
{
	bool wake = false, queued = false;

	BUG(n > LOG_PIECE_MAX);
	if (atomic_load_explicit(&state, memory_order_acquire) == WRITER_NONE) {
		(void)write_piece(p, n, WAIT_EVER); /* nobody is left to tell */
		return;
	}
	pthread_mutex_lock(&lock);
	if (atomic_load_explicit(&state, memory_order_relaxed) == WRITER_RUNS) {
		uint64_t at = atomic_load_explicit(&head, memory_order_relaxed);
		uint64_t used = at - atomic_load_explicit(&tail, memory_order_acquire);

		queued = used + n <= LOG_RING_BYTES - (important ? 0 : RESERVE);
		if (queued) {
			ring_copy_in(at, p, n);
			atomic_store_explicit(&head, at + n, memory_order_release);
		}
		wake = idle;
		idle = false;
	}
	pthread_mutex_unlock(&lock);
	if (wake)
		pthread_cond_signal(&more);
	if (!queued)
		count_dropped(lines_in(p, n));
}

/* ---- the writer ---- */

static void report_dropped(void)
{
	int64_t lines = atomic_exchange_explicit(&dropped, 0, memory_order_relaxed);
	char text[160], when[CLOCK_ISO_MAX];
	int n;

	if (lines == 0)
		return;
	n = snprintf(text, sizeof(text), "%s WARNING log %" PRId64 " lines were dropped: nobody took them in time\n",
		clock_iso(clock_wall_us(), when), lines);
	metric_inc(M_log_warnings);
	(void)write_piece(text, (size_t)n, WAIT_WHILE_RUNNING); /* the metric has them, too */
}

/* Waits for lines; false: it is to stop, and nothing is left. */
static bool await_lines(void)
{
	bool any;

	pthread_mutex_lock(&lock);
	while (!(any = atomic_load(&head) != atomic_load(&tail) || atomic_load(&dropped) > 0) &&
		atomic_load(&state) == WRITER_RUNS) {
		idle = true;
		pthread_cond_wait(&more, &lock);
	}
	idle = false;
	pthread_mutex_unlock(&lock);
	return any && !atomic_load_explicit(&gives_up, memory_order_relaxed);
}

static void write_some(void)
{
	uint64_t at = atomic_load_explicit(&tail, memory_order_relaxed);
	uint64_t end = atomic_load_explicit(&head, memory_order_acquire);
	char piece[LOG_PIECE_MAX];
	size_t n = 0;

	if (at != end) {
		n = ring_piece(at, end, piece);
		if (!write_piece(piece, n, WAIT_WHILE_RUNNING))
			metric_add(M_log_dropped, lines_in(piece, n));
		atomic_store_explicit(&tail, at + n, memory_order_release);
	}
	/* Once all is written that was there before them. */
	if (at + n == atomic_load_explicit(&head, memory_order_acquire))
		report_dropped();
}

static void *writer_main(void *arg)
{
	(void)pthread_setname_np(pthread_self(), "log");
	while (await_lines())
		write_some();
	pthread_mutex_lock(&lock);
	atomic_store(&state, WRITER_ENDED);
	pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* ---- the end of the process ---- */

void log_writer_last_words(void)
{
	const struct timespec step = {.tv_nsec = LAST_WORDS_STEP_MS * NS_PER_MS};
	char piece[LOG_PIECE_MAX];
	uint64_t at, end;

	if (atomic_load(&state) == WRITER_NONE || atomic_exchange(&dying, true))
		return;
	/* The writer does it, unless it is what dies, or hangs. */
	for (int i = 0; i < LAST_WORDS_MS / LAST_WORDS_STEP_MS && !pthread_equal(pthread_self(), thread) &&
			atomic_load(&head) != atomic_load(&tail);
		i++)
		(void)nanosleep(&step, NULL);
	end = atomic_load(&head);
	for (at = atomic_load(&tail); at != end;) {
		size_t n = ring_piece(at, end, piece);

		if (!write_piece(piece, n, WAIT_SHORTLY))
			return;
		at += n;
	}
}

static void on_fatal(int sig)
{
	log_writer_last_words();
	/* It was reset to the default: the signal that comes again when this returns, or this one, ends the process as it would have. */
	(void)raise(sig);
}

static void catch_fatal(void)
{
	static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	struct sigaction sa = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER}, was;

	for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
		/* A sanitizer's or a debugger's handler knows better. */
		if (sigaction(fatal[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL)
			(void)sigaction(fatal[i], &sa, NULL); /* cannot fail: the signal exists */
	}
}

/* The thread is not there, and what waits is the parent's to write. The lock may be held for ever: without a writer nobody takes it. */
static void in_forked_child(void)
{
	atomic_store(&state, WRITER_NONE);
	atomic_store(&tail, atomic_load(&head));
	atomic_store(&dropped, 0);
}

static void set_up_once(void)
{
	pthread_condattr_t monotonic;

	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&ended, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)pthread_atfork(NULL, NULL, in_forked_child);
}

/* ---- start and stop ---- */

int log_writer_start(struct err *err)
{
	sigset_t all, old;
	int sys;

	pthread_once(&once, set_up_once);
	catch_fatal();
	BUG(atomic_load(&state) != WRITER_NONE);
	atomic_store(&gives_up, false);
	atomic_store(&state, WRITER_RUNS);
	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	sys = pthread_create(&thread, NULL, writer_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (sys != 0) {
		atomic_store(&state, WRITER_NONE);
		return err_sys(err, sys, "starting the writer of the log");
	}
	return 0;
}

/* With the lock, until the writer has ended; false: it takes longer. */
static bool await_end(int64_t wait_ms)
{
	int64_t until_ns = clock_mono_ns() + wait_ms * NS_PER_MS;
	const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
	int rc = 0;

	while (atomic_load(&state) != WRITER_ENDED && rc == 0)
		rc = pthread_cond_timedwait(&ended, &lock, &until);
	return atomic_load(&state) == WRITER_ENDED;
}

void log_writer_stop(int64_t wait_ms)
{
	bool over;

	if (atomic_load(&state) != WRITER_RUNS)
		return;
	pthread_mutex_lock(&lock);
	atomic_store(&state, WRITER_STOPS);
	pthread_cond_signal(&more);
	over = await_end(wait_ms);
	if (!over) {
		atomic_store(&gives_up, true);
		over = await_end(3 * (int64_t)POLL_MS);
	}
	pthread_mutex_unlock(&lock);
	if (!over) { /* inside of a write that another process made it wait in: it goes with this process */
		(void)pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	atomic_store(&tail, atomic_load(&head));
	atomic_store(&dropped, 0);
	atomic_store(&state, WRITER_NONE);
}
