/* An upstream that does what its script says: for each target a row of answers, one a request; the last one stays. On top of the scripted peer.
 * Any thread. */
#ifndef SLUICE_TESTS_ORIGIN_H
#define SLUICE_TESTS_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum origin_end {
	ORIGIN_KEEP,  /* the connection */
	ORIGIN_CLOSE, /* in order */
	ORIGIN_RESET,
};
enum origin_framing {
	ORIGIN_LENGTH,
	ORIGIN_CHUNKED,
	ORIGIN_UNTIL_CLOSE,
};
struct origin_answer {
	int status; /* 0: 200, or 206 to a range if `ranges` */
	bool ranges;
	const char *body; /* borrowed as long as the origin lives */
	size_t size;
	enum origin_framing framing;
	int64_t announce;    /* in Content-Length instead of the truth */
	size_t cut;          /* so many bytes of the whole body have been sent when `end` happens; 0: all of it */
	enum origin_end end; /* after `cut`, or after all */
	int gate;            /* > 0: opened by origin_open; the answer waits there */
	size_t gate_at;      /* ... before this byte of the whole body */
	bool gate_head;      /* ... before its head */
	const char *headers; /* whole lines, each with its CRLF */
};

struct origin;
struct origin *origin_new(void);
void origin_free(struct origin **po);
/* "http://127.0.0.1:PORT<target>", in a buffer of the calling thread until the next call. */
const char *origin_url(const struct origin *o, const char *target);
/* Replaces what was there; nothing of it was asked for yet then. At most ORIGIN_ANSWERS answers, which are copied. */
#define ORIGIN_ANSWERS 8
void origin_put(struct origin *o, const char *target, const struct origin_answer *answers, size_t count);
#define ORIGIN_PUT(o, target, ...)                                             \
	origin_put((o), (target), (const struct origin_answer[]){__VA_ARGS__}, \
		sizeof((const struct origin_answer[]){__VA_ARGS__}) / sizeof(struct origin_answer))
void origin_open(struct origin *o, int gate);
int origin_hits(struct origin *o, const char *target);
int origin_all_hits(struct origin *o);
/* Of the n-th request of the target (1, 2, …): the first byte that Range asked for; 0: no Range; -1: there was no such request. */
int64_t origin_range(struct origin *o, const char *target, int n);
/* ... the last byte; INT64_MAX: up to the end. */
int64_t origin_range_last(struct origin *o, const char *target, int n);
/* The value of If-Range of that request, or "". In a buffer of the calling thread until the next call. */
const char *origin_if_range(struct origin *o, const char *target, int n);

#endif
