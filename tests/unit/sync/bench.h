/* Everything that a task needs, in a directory of its own: catalog, store, settings, handlers; and an upstream. A task runs
 * in the test's process, to its end. One thread. */
#ifndef SLUICE_TESTS_SYNC_BENCH_H
#define SLUICE_TESTS_SYNC_BENCH_H

#include "catalog/catalog.h"
#include "sync/sync.h"
#include "site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

struct bench {
	char dir[64];
	struct settings settings;
	struct catalog *catalog;
	struct store *store;
	struct sync_env env;
	struct task_registry registry;
	struct site *up;
	/* of the last task */
	json_t *task;
	json_t *progress;
	json_t *created; /* hrefs */
};

/* cmocka set-up and tear-down. Formats: those of bench_formats, which the test program defines. */
extern const struct sluice_format *bench_formats[];
int bench_setup(void **state);
int bench_teardown(void **state);

/* Objects, by uuid (valid until the next call of the same function). `settings`: JSON members, e.g. "'policy': 'immediate'"
 * with single quotes, or "". */
const char *bench_remote(struct bench *b, const char *type, const char *name, const char *url, const char *settings);
void bench_remote_set(struct bench *b, const char *uuid, const char *settings);
const char *bench_repository(struct bench *b, const char *type, const char *name, const char *settings);

void bench_repository_set(struct bench *b, const char *uuid, const char *settings);

/* Runs a task; arguments as JSON with single quotes. Returns its state ("completed"); the rest is in b. */
const char *bench_run(struct bench *b, const char *name, const char *args_fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *bench_sync(struct bench *b, const char *repository, const char *remote, const char *more);
const char *bench_error(const struct bench *b); /* its description */
/* A report's `done`; -1 when there is none. */
json_int_t bench_done(const struct bench *b, const char *code);

/* What a version holds: "path sha256-of-8-digits size\n", newest first, into a buffer valid until the next call. */
const char *bench_files(struct bench *b, const char *repository, int64_t number);
int64_t bench_latest(struct bench *b, const char *repository);
int64_t bench_count(struct bench *b, const char *view); /* rows */
/* Is the artifact of a path of the latest version saved, and its file in the store? 1, 0, or -1: no such path. */
int bench_saved(struct bench *b, const char *repository, const char *path);
/* Published file of the repository's newest publication, as text; NULL: none. */
const char *bench_published(struct bench *b, const char *repository, const char *path);

/* Deletes an object; says of the artifact at a path that every source was found not to have it. */
void bench_delete(struct bench *b, const char *view, const char *uuid);
void bench_mark_missing(struct bench *b, const char *path);

/* "path,sha256,size\n" of a page's body. */
void bench_manifest_line(struct buf *out, const char *path, struct slice body);
/* Puts the pages and a manifest of them at /r/. `files`: pairs of path and body, NULL-terminated. */
void bench_upstream(struct bench *b, const char *const *files);

#endif
