/* The head of a response, line by line. One owner. */
#ifndef SLUICE_FETCH_HEAD_H
#define SLUICE_FETCH_HEAD_H

#include "base/buf.h"
#include "base/err.h"
#include "fetch/fetch.h"

#define HEAD_BYTES_MAX (256 * 1024) /* far more than servers send; a limit against those that never stop */
#define HEAD_FIELDS_MAX 1000

struct head_field {
	uint32_t name, name_n, value, value_n; /* places in text: it may still move */
};

struct head {
	struct buf text;
	struct head_field *fields;
	size_t count;
	size_t cap;
	size_t bytes;             /* of all lines, interim responses included */
	int status;               /* 0: no status line yet */
	struct fetch_header *out; /* what head_get returned */
};

void head_fini(struct head *h);
void head_reset(struct head *h);
/* A line with or without its end. 1: it was the empty one after a final response, 0: more must come; interim responses
 * (1xx) are forgotten. -ERR_UPSTREAM, -ERR_NOMEM. */
int head_line(struct head *h, struct slice line, struct err *err);
/* The first field of that name, any case; p == NULL when there is none. Valid until the next head_line. */
struct slice head_find(const struct head *h, struct slice name);
/* What the caller of a fetch sees; borrowed from h. `range_from`: what was asked for, 0 the whole.
 * -ERR_UPSTREAM: it contradicts itself, or answers another question. -ERR_NOMEM. */
int head_get(struct head *h, int64_t range_from, struct slice url, struct fetch_head *out, struct err *err);

#endif
