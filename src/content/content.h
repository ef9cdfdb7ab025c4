/* The content service: from a request's path to bytes, saved or streamed.
 *
 *   match ── guard ── resolve ──┬── hit ───┬── respond
 *                               └── miss ──┘
 *
 * The handler runs on the loops and never blocks: what needs the catalog or the disk goes to the pool. */
#ifndef SLUICE_CONTENT_CONTENT_H
#define SLUICE_CONTENT_CONTENT_H

#include "base/err.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/settings.h"
#include "base/shm.h"
#include "catalog/catalog.h"
#include "http/http.h"
#include "store/store.h"

struct content;

struct content_opts {
	struct loop *const *loops; /* where http_server runs the handler */
	size_t loop_count;
	struct pool *pool;
	struct catalog *catalog;
	struct store *store;
	const struct settings *settings;
	struct shm *shm;
	/* Does a repository type need a publication to be served? (facts 4.2, step 10) */
	bool (*needs_publication)(const char *type);
};
/* Starts the loop that downloads (a thread of its own). */
int content_new(const struct content_opts *opts, struct content **out, struct err *err);
/* After the HTTP server has drained and before its loops end: lets downloads that are to be finished end (at most wait_ms), cancels the rest, and waits
 * for what is at work. Afterwards the pool may end. Blocks. */
void content_drain(struct content *c, int64_t wait_ms);
/* After the drain, and after the loops have ended. */
void content_free(struct content **pc);

/* Everything below settings.content_path_prefix. */
void content_handler(struct http_x *x, const struct http_request *r, void *content);

#endif
