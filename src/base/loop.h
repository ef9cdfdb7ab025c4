/* An epoll loop: descriptors, timers, and posts from other threads. One thread runs it, and it never waits
 * in anything but epoll_wait. A turn longer than 50 ms is reported with the phase
 * that took it, and all go into the histogram sluice_loop_turn_seconds. */
#ifndef SLUICE_BASE_LOOP_H
#define SLUICE_BASE_LOOP_H

#include "base/check.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

/* A watched descriptor; lives in its owner. Zero it before loop_io_add. */
struct loop_io {
	void (*fn)(struct loop_io *io, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR */
	int fd;
	uint32_t events; /* what is asked for; 0 when not added */
	bool added;
};

/* A timer; lives in its owner. Zero it and set fn before the first loop_timer_set. */
struct loop_timer {
	void (*fn)(struct loop_timer *t);
	int64_t at_ns;
	int32_t slot; /* place in the heap + 1; 0 when not set */
};

/* Work handed to a loop by any thread; lives in its owner until fn is called, which may then reuse or free it. Zero it
 * and set fn before its first use. A post that is already queued must not be queued again: see loop_post_once. */
struct loop_post {
	struct loop_post *next;
	void (*fn)(struct loop_post *p);
	_Atomic int queued;
};

int loop_new(const char *name, struct loop **out, struct err *err);
void loop_free(struct loop **lp); /* after loop_run has returned */
/* Runs until loop_stop, also one from before. The calling thread is the loop's thread meanwhile; before and afterwards
 * "loop only" means whoever sets it up or takes it down. */
void loop_run(struct loop *lp);
/* Runs until *done is true (checked after each turn) or loop_stop: for tasks that wait for one thing. */
void loop_run_until(struct loop *lp, const bool *done);
void loop_stop(struct loop *lp); /* any thread */

int64_t loop_now(const struct loop *lp); /* monotonic ns at the start of this turn; loop only */
bool loop_is_mine(const struct loop *lp);
#define ASSERT_ON_LOOP(lp) BUG(!loop_is_mine(lp))

/* Level-triggered. Loop only. */
int loop_io_add(struct loop *lp, struct loop_io *io, int fd, uint32_t events, struct err *err);
void loop_io_mod(struct loop *lp, struct loop_io *io, uint32_t events); /* no system call when nothing changes */
/* Afterwards io->fn is not called any more, not even for events already read in this turn. Before close(fd). */
void loop_io_del(struct loop *lp, struct loop_io *io);

/* (Re)arms. Loop only; -ERR_NOMEM only when the heap cannot grow. A timer that is already set only moves. */
int loop_timer_set(struct loop *lp, struct loop_timer *t, int64_t after_ns);
void loop_timer_cancel(struct loop *lp, struct loop_timer *t);

/* Any thread; never fails, never blocks; order is kept per poster. */
void loop_post(struct loop *lp, struct loop_post *p);
/* The same unless it is queued already; true if this call queued it. fn may be posted again from the moment it starts. */
bool loop_post_once(struct loop *lp, struct loop_post *p);

#endif
