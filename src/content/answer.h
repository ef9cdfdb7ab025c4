/* Which failure becomes which answer (C15): one table, one function. */
#ifndef SLUICE_CONTENT_ANSWER_H
#define SLUICE_CONTENT_ANSWER_H

#include "base/err.h"
#include "http/http.h"

#include <stdint.h>

struct answer_row {
	int code; /* -ERR_x */
	int status;
	const char *reason;    /* value of X-Sluice-Reason, and the note in the access log */
	int64_t retry_after_s; /* said when the failure itself names no time; -1: none */
};
/* Never NULL: what is not in the table is a 500. */
const struct answer_row *answer_for(int code);
/* Answers the exchange with it. retry_after_s < 0: the table's. */
void answer_failure(struct http_x *x, int code, int64_t retry_after_s);

/* As streamers of old answered, which caches and their operators rely on: no body, and 404 whatever kept the sources from delivering. Our own trouble
 * stays what it is. */
void answer_failure_bare(struct http_x *x, int code, int64_t retry_after_s);

/* A failure's answer, kept by a loop for the next of its kind. Zero it first. */
struct answer_kept {
	struct http_ready ready;
	char room[HTTP_READY_ROOM + 64];
};
/* The same for one that clients run into often; of the table's time only, and always of the same code. */
void answer_failure_kept(struct http_x *x, int code, struct answer_kept *kept);

#endif
