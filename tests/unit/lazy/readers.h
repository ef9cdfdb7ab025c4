/* Clients without HTTP: readers of flights on loops of their own, as the HTTP server is one. The test's thread tells them what to do and waits. */
#ifndef SLUICE_TESTS_LAZY_READERS_H
#define SLUICE_TESTS_LAZY_READERS_H

#include "lazy/flight.h"
#include "origin.h"
#include "stock.h"

#include <pthread.h>

#define READER_LOOPS 2

struct lab {
	struct stock stock;
	struct origin *origin;
	struct lazy *lazy;
	struct loop *loops[READER_LOOPS];
	pthread_t threads[READER_LOOPS];
	int fds;
};
/* `threads` of the pool. Settings may be changed before lab_start. */
void lab_open(struct lab *l, int threads, int queue_max);
void lab_start(struct lab *l);
/* Also checks that no descriptor is left open. Readers have ended. */
void lab_close(struct lab *l);

#define KIB 1024
#define MIB (1024 * KIB)

/* One unit, alone in a repository of its own, and a remote that offers it at /<name>. */
struct unit {
	char *body;
	int64_t size;
	int64_t repository, remote, ca;
	struct digests digests;
	struct flight_want want;
};
void unit_new(struct unit *u, struct lab *l, const char *name, size_t size, unsigned seed, enum policy policy);
/* One more remote that offers it, in the same repository: its remote artifact. */
int64_t unit_add_source(struct unit *u, struct lab *l, const char *name, const char *url);
void unit_free(struct unit *u);

struct reader {
	struct lab *lab;
	struct flight_want want;
	int loop;
	int64_t pause_at; /* takes no byte from here on until reader_go; < 0: never pauses */
	int64_t from, to; /* a range: reads [from, to) only; to 0: all. n and data are of the range then */
	bool head_only;   /* asks for prospects, as HEAD does, and leaves */

	/* of its loop */
	struct loop_post start, go, leave;
	struct wake wake;
	struct flight *f;
	struct body *b;

	/* lock */
	pthread_mutex_t lock;
	char *data;
	int64_t room; /* of data */
	int64_t n;    /* bytes taken */
	int64_t seen; /* the largest offset that was ever promised */
	int64_t size; /* as the body said when the first byte came */
	bool joined, begun, over;
	int rc; /* 0: complete; of flight_join, or why it failed */
	struct err err;
	int64_t retry_after_s;
	bool try_alone; /* flight_try_alone said so */
	size_t headers;
	char first_header[128];
};
/* Fills it in; then pause_at and so on may be set. */
void reader_init(struct reader *r, struct lab *l, int loop, const struct flight_want *want);
void reader_start(struct reader *r);
void reader_go(struct reader *r, int64_t pause_at); /* on, up to there */
void reader_leave(struct reader *r);                /* as a client that goes away */
void reader_wait_joined(struct reader *r);
void reader_wait_bytes(struct reader *r, int64_t n);
/* Until it is over; then its result. */
int reader_wait(struct reader *r);
void reader_fini(struct reader *r);

/* A value under the reader's lock. */
int64_t reader_seen(struct reader *r);

/* All of it, with nothing to watch. Fills *r, which is to be freed; returns its result. */
int read_all(struct lab *l, struct reader *r, const struct flight_want *want);
/* Complete and right? */
void assert_right(const struct reader *r, const char *p, int64_t n);

#endif
