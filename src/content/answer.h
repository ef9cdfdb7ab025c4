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

#endif
