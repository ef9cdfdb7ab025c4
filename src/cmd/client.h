/* The CLI's side of the REST API: libcurl, basic auth, JSON. Blocking, one thread.
 *
 * Failures: -ERR_CONNECT no answer from the server; -ERR_DENIED it refused, the text is its own; -ERR_UPSTREAM a task
 * failed; -ERR_NOTFOUND no such object; -ERR_INVAL what we were told makes no sense. */
#ifndef SLUICE_CMD_CLIENT_H
#define SLUICE_CMD_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "cmd/options.h"

#include <jansson.h>

struct client;
struct progress;

/* Finds the server and the login in options, environment and data directory; does not connect yet. */
int client_open(const struct options *o, struct client **out, struct err *err);
void client_close(struct client **pc);
void client_limit(struct client *c, long ms);   /* what one call may take, connecting included; default: two minutes */
const char *client_url(const struct client *c); /* without trailing slash */

/* `path` begins with '/'. `body` NULL: none. *out (if asked for) is a new reference, NULL for an empty answer. */
int client_call(
	struct client *c, const char *method, const char *path, const json_t *body, json_t **out, struct err *err);
/* A piece of a file, sent as the form's field "file". */
struct client_part {
	int fd;
	int64_t off, size;
	const char *name;                     /* of the file */
	void (*sent)(void *arg, int64_t off); /* up to there; called often */
	void *arg;
	int64_t at; /* private: how far it is */
};
/* As client_call, but with a form: `fields` as texts (what is no text, as JSON) and the part. `header`: one more, NULL: none. May take as
 * long as bytes flow. */
int client_send(struct client *c, const char *method, const char *path, const json_t *fields, struct client_part *part,
	const char *header, json_t **out, struct err *err);
/* The server's counters and gauges by name: {"sluice_flights_open": 3, …}; those that are no whole numbers are left out. */
int client_metrics(struct client *c, json_t **out, struct err *err);
/* Polls until the task has ended. -ERR_UPSTREAM with its reason when it has not completed. */
int client_wait(struct client *c, const char *task_href, struct progress *p, json_t **task, struct err *err);
/* As client_call, and waits if the answer is a task. `created`: then the first created resource below `path` is
 * read into *out; else *out is the task. */
int client_do(struct client *c, const char *method, const char *path, const json_t *body, bool created, json_t **out,
	struct err *err);

/* What a POST to `path` made, after its answer: the object itself, or a task, which is waited for and names it. */
int client_take_made(struct client *c, const json_t *answer, const char *path, json_t **out, struct err *err);

/* The object of a collection by its name. -ERR_NOTFOUND. */
int client_find(struct client *c, const char *collection, const char *name, json_t **out, struct err *err);
/* All objects of a collection (with parameters after '?', perhaps): a new array. */
int client_list(struct client *c, const char *collection, json_t **out, struct err *err);
/* At most `limit` of them (0: all). *count: how many there are. */
int client_list_first(
	struct client *c, const char *collection, int64_t limit, json_t **out, int64_t *count, struct err *err);

/* What an error answer says, in one line. */
int client_error_text(const json_t *body, struct buf *out);

#endif
