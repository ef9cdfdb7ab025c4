/* What is sent: a file, a flight, a block of memory, all behind one table of functions. The sender only asks; hit and miss
 * share its code. */
#ifndef SLUICE_BASE_BODY_H
#define SLUICE_BASE_BODY_H

#include "base/arena.h"
#include "base/loop.h"

#include <stdint.h>
#include <sys/types.h>

/* A sleeper: posted to its loop when what it waits for may have come. One wake sleeps on one body at a time. */
struct wake {
	struct loop *loop;
	struct loop_post post;    /* fn set by its owner; posted with loop_post_once */
	struct wake *next, *prev; /* of the body that it sleeps on, under that body's lock */
	void *on;                 /* that body, or NULL */
	int64_t off;              /* what it waits for */
	int64_t end; /* up to where its reader will read on from there: what a body fetches for it; INT64_MAX for all. Set by the reader */
};

struct body;
struct pool;
struct body_ops {
	/* Bytes that may be sent from `off` on; 0: none yet (or none at all, see size); negative: failed, and why (-ERR_x). Loop of the reader. */
	int64_t (*ready)(struct body *b, int64_t off);
	/* "More at off, or wake me", as one atomic question. 1: more, an end or a failure is there already, do not sleep; 0: *w will be posted. */
	int (*wait)(struct body *b, int64_t off, struct wake *w);
	/* Afterwards w is not posted any more by this body (a post that is queued already still comes). */
	void (*unwait)(struct body *b, struct wake *w);
	/* Complete size in bytes; -1 while unknown. When it is known and off has reached it, the body is at its end. */
	int64_t (*size)(const struct body *b);
	int (*fd)(const struct body *b); /* for sendfile; -1: use read */
	/* Copies ready bytes; as pread. Only bytes that ready() has promised. */
	ssize_t (*read)(struct body *b, int64_t off, void *p, size_t n);
	/* The client has acknowledged the bytes up to `off` and is never sent them again: bodies that free what is behind all readers listen; may be
	 * NULL. Told at the next chance (more is sent, the socket has room, the reader goes to sleep), each time further. done tells the end, of whatever
	 * became of it: it may come while the last bytes are still under way. */
	void (*sent)(struct body *b, int64_t off);
	void (*done)(struct body **pb); /* gives the reference back; loop of the reader */
};
struct body {
	const struct body_ops *ops;
};

/* A block of memory: copied. NULL when out of memory. */
struct body *body_memory(const void *p, size_t n);
/* Takes over malloc'ed memory, also on failure. */
struct body *body_memory_take(void *p, size_t n);
/* Memory with an owner: `release` is called once at the end. */
struct body *body_memory_shared(const void *p, size_t n, void (*release)(void *arg), void *arg);
/* An open file of `size` bytes; `release(arg, fd)` at the end (NULL: close it). With a pool, a thread of it reads what is not in the page cache before it is
 * ready: body_file.c. */
struct body *body_file(int fd, int64_t size, struct pool *pool, void (*release)(void *arg, int fd), void *arg);
/* The same two with the body itself in an arena that outlives it (an exchange's, say): no malloc. Without release nobody is told, and a file is
 * left open. NULL when out of memory. */
struct body *body_memory_in(struct arena *a, const void *p, size_t n, void (*release)(void *arg), void *arg);
struct body *body_file_in(
	struct arena *a, int fd, int64_t size, struct pool *pool, void (*release)(void *arg, int fd), void *arg);
/* The memory behind a memory body, NULL for others: for sending head and body in one call. */
const char *body_peek(const struct body *b, size_t *n);

#endif
