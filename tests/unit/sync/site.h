/* An upstream of the test's own: a few pages over HTTP on 127.0.0.1, each with its script of misbehaviour, and a count of
 * what was asked. Any thread. */
#ifndef SLUICE_TESTS_SYNC_SITE_H
#define SLUICE_TESTS_SYNC_SITE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct site;

struct site *site_start(void);
void site_stop(struct site **pu);
/* "http://127.0.0.1:PORT<path>" into a buffer of the upstream's, valid until the next call. */
const char *site_url(struct site *u, const char *path);

/* Puts or replaces a page. Its script is empty then, its counts zero. */
void site_put(struct site *u, const char *path, struct slice body);
void site_drop(struct site *u, const char *path);

struct site_script {
	const char *etag; /* sent, and honoured in If-None-Match; NULL: none */
	int status;       /* instead of 200 */
	int flip;         /* so many answers have a flipped byte; -1: all */
	int cut;          /* so many break off after cut_at bytes; -1: all */
	int64_t cut_at;
	bool no_length; /* no Content-Length: the end of the connection is the end */
};
void site_script(struct site *u, const char *path, const struct site_script *s);

int site_hits(struct site *u, const char *path);        /* requests */
int site_conditional(struct site *u, const char *path); /* of these with a condition that we answered 304 */
int site_ranges(struct site *u, const char *path);      /* answered 206 */
int site_most_at_once(struct site *u);                  /* requests in progress */
int site_all_hits(struct site *u);
void site_forget_hits(struct site *u);

#endif
