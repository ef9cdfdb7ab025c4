/* The event loop: one epoll set, one heap of timers, one stack of posts, one thread.
 *
 * A turn: wait; call the descriptors that are ready; then the timers that are due; then the posts that were queued
 * before. Each phase works on what it found when it began, so a callback that asks for more of the same kind is served
 * in the next turn and starves nobody.
 *
 * Everything belongs to the thread that runs the loop, except `posts`, `posting` and `stop`. Before and between runs the
 * loop belongs to whoever sets it up. Nothing is allocated in a turn, except when more timers are set at once than ever
 * before. */
#include "base/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOP_MAGIC 0x6c6f6f70u /* "loop" */

/* Events fetched at once. More only makes one turn longer; the rest comes with the next epoll_wait. */
#define LOOP_EVENTS 256
#define LOOP_TURN_MAX_NS (50 * NS_PER_MS)

/* What a phase of a turn called. The function stands for the phase in the report only if it was the only one. */
struct phase {
	int n;
	uintptr_t fn;
};

struct loop {
	uint32_t magic;
	char name[32];
	int epoll_fd;
	int wake_fd;
	_Atomic uintptr_t owner; /* the running thread, see thread_token(); 0 when nobody runs it */
	int64_t now_ns;

	struct epoll_event events[LOOP_EVENTS]; /* of this turn */
	int event_at;                           /* the one being served */
	int event_n;

	struct loop_timer **heap; /* earliest first */
	int32_t timer_n;
	int32_t timer_cap;

	struct phase events_phase, timers_phase, posts_phase; /* of this turn */

	_Atomic bool stop;
	_Atomic int posting;               /* threads inside loop_post or loop_stop: loop_free waits for them */
	_Atomic(struct loop_post *) posts; /* newest first */
};

/* An address that no other living thread has. */
static uintptr_t thread_token(void)
{
	static _Thread_local char token;

	return (uintptr_t)&token;
}

static bool loop_runs_here(const struct loop *lp)
{
	return atomic_load_explicit(&lp->owner, memory_order_relaxed) == thread_token();
}

bool loop_is_mine(const struct loop *lp)
{
	uintptr_t owner = atomic_load_explicit(&lp->owner, memory_order_relaxed);

	return owner == 0 || owner == thread_token();
}

int64_t loop_now(const struct loop *lp)
{
	return loop_runs_here(lp) ? lp->now_ns : clock_mono_ns();
}

int loop_new(const char *name, struct loop **out, struct err *err)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct loop *lp = calloc(1, sizeof(*lp));
	int rc = 0;

	if (lp == NULL)
		return err_set(err, -ERR_NOMEM, "event loop '%s'", name);
	lp->magic = LOOP_MAGIC;
	lp->wake_fd = -1;
	snprintf(lp->name, sizeof(lp->name), "%s", name);
	lp->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (lp->epoll_fd < 0) {
		rc = err_sys(err, errno, "epoll_create1 for loop '%s'", name);
		goto out;
	}
	lp->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lp->wake_fd < 0) {
		rc = err_sys(err, errno, "eventfd for loop '%s'", name);
		goto out;
	}
	ev.data.ptr = lp;
	if (epoll_ctl(lp->epoll_fd, EPOLL_CTL_ADD, lp->wake_fd, &ev) < 0)
		rc = err_sys(err, errno, "epoll_ctl for loop '%s'", name);
out:
	if (rc < 0)
		loop_free(&lp);
	else
		*out = lp;
	return rc;
}

void loop_free(struct loop **plp)
{
	struct loop *lp = TAKE(*plp);

	if (lp == NULL)
		return;
	MAGIC_CHECK(lp, LOOP_MAGIC);
	BUG(atomic_load(&lp->owner) != 0);
	/* Whoever posted last may still be between queueing and waking: it must not find the loop gone. */
	while (atomic_load_explicit(&lp->posting, memory_order_acquire) != 0)
		sched_yield();
	/* Its owner would take it out of a heap that is gone, or has freed it, and whoever came next has moved it there. */
	(void)CHECK(lp->timer_n == 0);
	if (lp->wake_fd >= 0)
		close(lp->wake_fd);
	if (lp->epoll_fd >= 0)
		close(lp->epoll_fd);
	free(lp->heap);
	lp->magic = 0;
	free(lp);
}

/* ---- descriptors ---- */

int loop_io_add(struct loop *lp, struct loop_io *io, int fd, uint32_t events, struct err *err)
{
	struct epoll_event ev = {.events = events, .data.ptr = io};

	ASSERT_ON_LOOP(lp);
	BUG(io->added || io->fn == NULL);
	if (epoll_ctl(lp->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_sys(err, errno, "watching descriptor %d", fd);
	io->fd = fd;
	io->events = events;
	io->added = true;
	return 0;
}

void loop_io_mod(struct loop *lp, struct loop_io *io, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = io};

	ASSERT_ON_LOOP(lp);
	BUG(!io->added);
	if (io->events == events)
		return;
	io->events = events;
	(void)CHECK(epoll_ctl(lp->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev) == 0);
}

void loop_io_del(struct loop *lp, struct loop_io *io)
{
	ASSERT_ON_LOOP(lp);
	if (!io->added)
		return;
	/* EBADF, ENOENT: closed by a library that says so too late (libcurl 7.88); that took it out of the set, too. */
	(void)CHECK(epoll_ctl(lp->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL) == 0 || errno == EBADF || errno == ENOENT);
	for (int i = lp->event_at; i < lp->event_n; i++) {
		if (lp->events[i].data.ptr == io)
			lp->events[i].data.ptr = NULL;
	}
	io->added = false;
	io->events = 0;
	io->fd = -1;
}

static void phase_note(struct phase *p, uintptr_t fn)
{
	p->n++;
	p->fn = fn;
}

static void loop_drain_wake(struct loop *lp)
{
	uint64_t n;

	/* EAGAIN says that it was drained already; nothing else can happen to an eventfd. */
	if (read(lp->wake_fd, &n, sizeof(n)) < 0)
		BUG(errno != EAGAIN && errno != EINTR);
}

static void loop_serve_events(struct loop *lp)
{
	for (lp->event_at = 0; lp->event_at < lp->event_n; lp->event_at++) {
		struct epoll_event *ev = &lp->events[lp->event_at];
		struct loop_io *io = ev->data.ptr;
		uint32_t ready;

		if (io == NULL)
			continue;
		if (ev->data.ptr == lp) {
			loop_drain_wake(lp);
			continue;
		}
		/* What is asked for may have changed since the kernel answered. */
		ready = ev->events & (io->events | EPOLLERR | EPOLLHUP);
		if (ready == 0)
			continue;
		phase_note(&lp->events_phase, (uintptr_t)io->fn);
		io->fn(io, ready); /* io may be gone afterwards */
	}
	lp->event_at = lp->event_n = 0;
}

/* ---- timers: a binary heap whose entries know their place ---- */

static void heap_put(struct loop *lp, int32_t i, struct loop_timer *t)
{
	lp->heap[i] = t;
	t->slot = i + 1;
}

static void heap_up(struct loop *lp, int32_t i, struct loop_timer *t)
{
	while (i > 0) {
		int32_t up = (i - 1) / 2;

		if (lp->heap[up]->at_ns <= t->at_ns)
			break;
		heap_put(lp, i, lp->heap[up]);
		i = up;
	}
	heap_put(lp, i, t);
}

static void heap_down(struct loop *lp, int32_t i, struct loop_timer *t)
{
	for (;;) {
		int32_t down = 2 * i + 1;

		if (down >= lp->timer_n)
			break;
		if (down + 1 < lp->timer_n && lp->heap[down + 1]->at_ns < lp->heap[down]->at_ns)
			down++;
		if (lp->heap[down]->at_ns >= t->at_ns)
			break;
		heap_put(lp, i, lp->heap[down]);
		i = down;
	}
	heap_put(lp, i, t);
}

static void heap_place(struct loop *lp, int32_t i, struct loop_timer *t)
{
	if (i > 0 && lp->heap[(i - 1) / 2]->at_ns > t->at_ns)
		heap_up(lp, i, t);
	else
		heap_down(lp, i, t);
}

static int heap_grow(struct loop *lp)
{
	int32_t cap = lp->timer_cap == 0 ? 64 : lp->timer_cap * 2;
	struct loop_timer **heap;

	if (lp->timer_cap > INT32_MAX / 2)
		return -ERR_NOMEM;
	heap = realloc(lp->heap, (size_t)cap * sizeof(*heap));
	if (heap == NULL)
		return -ERR_NOMEM;
	lp->heap = heap;
	lp->timer_cap = cap;
	return 0;
}

int loop_timer_set(struct loop *lp, struct loop_timer *t, int64_t after_ns)
{
	int64_t now = loop_now(lp);
	int64_t at;
	int rc;

	ASSERT_ON_LOOP(lp);
	BUG(t->fn == NULL || t->slot < 0 || t->slot > lp->timer_n);
	/* At least one: a timer that sets itself to "now" waits for the next turn. */
	if (__builtin_add_overflow(now, MAX(after_ns, 1), &at))
		at = INT64_MAX;
	if (t->slot != 0) {
		BUG(lp->heap[t->slot - 1] != t);
		t->at_ns = at;
		heap_place(lp, t->slot - 1, t);
		return 0;
	}
	if (lp->timer_n == lp->timer_cap && (rc = heap_grow(lp)) < 0)
		return rc;
	t->at_ns = at;
	lp->timer_n++;
	heap_up(lp, lp->timer_n - 1, t);
	return 0;
}

void loop_timer_cancel(struct loop *lp, struct loop_timer *t)
{
	struct loop_timer *last;
	int32_t i = t->slot - 1;

	ASSERT_ON_LOOP(lp);
	if (t->slot == 0)
		return;
	BUG(i < 0 || i >= lp->timer_n || lp->heap[i] != t);
	last = lp->heap[--lp->timer_n];
	t->slot = 0;
	if (last != t)
		heap_place(lp, i, last);
}

static void loop_serve_timers(struct loop *lp)
{
	while (lp->timer_n > 0 && lp->heap[0]->at_ns <= lp->now_ns) {
		struct loop_timer *t = lp->heap[0];

		loop_timer_cancel(lp, t);
		phase_note(&lp->timers_phase, (uintptr_t)t->fn);
		t->fn(t); /* t may be gone afterwards */
	}
}

/* ---- posts ---- */

static void loop_wake(struct loop *lp)
{
	uint64_t one = 1;
	ssize_t n;

	do {
		n = write(lp->wake_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
	/* EAGAIN: the counter is at its maximum, so the loop is about to wake anyway. */
	BUG(n < 0 && errno != EAGAIN);
}

static void loop_push(struct loop *lp, struct loop_post *p)
{
	struct loop_post *head;

	atomic_fetch_add_explicit(&lp->posting, 1, memory_order_relaxed);
	head = atomic_load_explicit(&lp->posts, memory_order_relaxed);
	do {
		p->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&lp->posts, &head, p, memory_order_release, memory_order_relaxed));
	/* From here p belongs to the loop. Whoever found the stack empty wakes; the running loop itself looks before it
	 * waits. */
	if (head == NULL && !loop_runs_here(lp))
		loop_wake(lp);
	atomic_fetch_sub_explicit(&lp->posting, 1, memory_order_release);
}

void loop_post(struct loop *lp, struct loop_post *p)
{
	BUG(atomic_exchange_explicit(&p->queued, 1, memory_order_acq_rel) != 0);
	loop_push(lp, p);
}

bool loop_post_once(struct loop *lp, struct loop_post *p)
{
	if (atomic_exchange_explicit(&p->queued, 1, memory_order_acq_rel) != 0)
		return false;
	loop_push(lp, p);
	return true;
}

static void loop_serve_posts(struct loop *lp)
{
	struct loop_post *p = atomic_exchange_explicit(&lp->posts, NULL, memory_order_acquire);
	struct loop_post *oldest = NULL;

	while (p != NULL) {
		struct loop_post *next = p->next;

		p->next = oldest;
		oldest = p;
		p = next;
	}
	while (oldest != NULL) {
		p = oldest;
		oldest = p->next;
		/* An exchange, not a store: it pairs with a loop_post_once that found it queued, so that fn sees what
		 * that caller wrote before. */
		(void)atomic_exchange_explicit(&p->queued, 0, memory_order_acq_rel);
		phase_note(&lp->posts_phase, (uintptr_t)p->fn);
		p->fn(p); /* p may be gone afterwards */
	}
}

void loop_stop(struct loop *lp)
{
	atomic_fetch_add_explicit(&lp->posting, 1, memory_order_relaxed);
	atomic_store_explicit(&lp->stop, true, memory_order_release);
	if (!loop_runs_here(lp))
		loop_wake(lp);
	atomic_fetch_sub_explicit(&lp->posting, 1, memory_order_release);
}

/* ---- turns ---- */

static int loop_wait_ms(struct loop *lp)
{
	int64_t left, ms;

	if (atomic_load_explicit(&lp->posts, memory_order_relaxed) != NULL)
		return 0;
	if (lp->timer_n == 0)
		return -1;
	left = lp->heap[0]->at_ns - clock_mono_ns();
	if (left <= 0)
		return 0;
	/* Rounded up, else the last millisecond would be spent spinning. */
	ms = left / NS_PER_MS + 1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* " events=3", " timer=0x2f10": an only callback is told by its place in the program, for addr2line -f -e sluice. */
static void phase_text(char *out, size_t size, const char *one, const char *more, const struct phase *p)
{
	extern const char __executable_start[];
	size_t n = strlen(out);

	if (p->n == 1)
		(void)snprintf(
			out + n, size - n, " %s=%#lx", one, (unsigned long)(p->fn - (uintptr_t)__executable_start));
	else if (p->n > 1)
		(void)snprintf(out + n, size - n, " %s=%d", more, p->n);
}

/* `events_ns` of the turn's time went to events. The phase that took longest is named alone, if it is known. */
static void loop_report(struct loop *lp, int64_t took_ns, int64_t events_ns)
{
	char phases[160] = "";

	if (events_ns >= took_ns / 2) {
		phase_text(phases, sizeof(phases), "event", "events", &lp->events_phase);
	} else {
		phase_text(phases, sizeof(phases), "timer", "timers", &lp->timers_phase);
		phase_text(phases, sizeof(phases), "post", "posts", &lp->posts_phase);
	}
	log_warn("loop", "a turn took long loop=%s ms=%lld%s", lp->name, (long long)(took_ns / NS_PER_MS), phases);
}

static void loop_turn(struct loop *lp)
{
	int64_t events_ns = 0, took_ns;
	bool more;

	lp->event_n = epoll_wait(lp->epoll_fd, lp->events, LOOP_EVENTS, loop_wait_ms(lp));
	if (lp->event_n < 0) {
		BUG(errno != EINTR);
		lp->event_n = 0;
	}
	lp->now_ns = clock_mono_ns();
	lp->events_phase.n = lp->timers_phase.n = lp->posts_phase.n = 0;
	loop_serve_events(lp);
	/* A look at the clock costs as much as a callback: between phases only if there are some on both sides. */
	more = (lp->timer_n > 0 && lp->heap[0]->at_ns <= lp->now_ns) ||
	       atomic_load_explicit(&lp->posts, memory_order_relaxed) != NULL;
	if (more && lp->events_phase.n > 0)
		events_ns = clock_mono_ns() - lp->now_ns;
	loop_serve_timers(lp);
	loop_serve_posts(lp);
	if (lp->events_phase.n + lp->timers_phase.n + lp->posts_phase.n == 0)
		return;
	took_ns = clock_mono_ns() - lp->now_ns;
	if (lp->timers_phase.n + lp->posts_phase.n == 0)
		events_ns = took_ns;
	histogram_add(H_loop_turn_seconds, took_ns);
	if (took_ns > LOOP_TURN_MAX_NS)
		loop_report(lp, took_ns, events_ns);
}

static void loop_run_while(struct loop *lp, const bool *done)
{
	uintptr_t nobody = 0;

	MAGIC_CHECK(lp, LOOP_MAGIC);
	BUG(!atomic_compare_exchange_strong(&lp->owner, &nobody, thread_token()));
	lp->now_ns = clock_mono_ns();
	while (!atomic_load_explicit(&lp->stop, memory_order_acquire) && (done == NULL || !*done))
		loop_turn(lp);
	atomic_store(&lp->owner, 0);
}

void loop_run(struct loop *lp)
{
	loop_run_while(lp, NULL);
}

void loop_run_until(struct loop *lp, const bool *done)
{
	loop_run_while(lp, done);
}
