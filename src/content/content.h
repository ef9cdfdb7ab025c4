/* The content service: from a request's path to bytes, saved or streamed.
 *
 *   match ── guard ── resolve ──┬── hit ───┬── respond
 *                               └── miss ──┘
 *
 * The handler runs on the loops and never blocks: what needs the catalog or the disk goes to the pool. */
#ifndef SLUICE_CONTENT_CONTENT_H
#define SLUICE_CONTENT_CONTENT_H

#include "base/activity.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/settings.h"
#include "base/shm.h"
#include "catalog/catalog.h"
#include "guard/guard.h"
#include "http/http.h"
#include "space/space.h"
#include "store/store.h"

struct content;

struct content_opts {
	struct loop *const *loops; /* where http_server runs the handler */
	size_t loop_count;
	struct pool *pool;
	struct catalog *catalog;
	struct store *store;
	const struct settings *settings;
	struct space *space; /* NULL: no bound on what is saved */
	struct shm *shm;
	/* Does a repository type need a publication to be served? (facts 4.2, step 10) */
	bool (*needs_publication)(const char *type);
	guard_login *login; /* whose passwords content guards take; NULL: nobody's */
	void *login_arg;
};
/* Starts the loop that downloads (a thread of its own). */
int content_new(const struct content_opts *opts, struct content **out, struct err *err);
/* After the HTTP server has drained and before its loops end: lets downloads that are to be finished end (at most wait_ms), cancels the rest, and waits
 * for what is at work. Afterwards the pool may end. Blocks. */
void content_drain(struct content *c, int64_t wait_ms);
/* After the drain, and after the loops have ended. */
void content_free(struct content **pc);

/* What is in flight, for the API. Valid until content_free. */
void content_activity(struct content *c, struct activity *out);

/* These artifacts (ids in rising order, SPACE_GONE_MAX at most) are not in the store any more: the loops let go of their files. Any thread, while the
 * loops run; never blocks. */
void content_gone(void *content, const int64_t *artifact_ids, size_t count);

/* Everything below settings.content_path_prefix. */
void content_handler(struct http_x *x, const struct http_request *r, void *content);
/* The same paths for a cache in front (role streamer): what is missing is downloaded and passes, unsaved, with upstream's own fields and
 * `Cache-Control: public, max-age=…`; what is saved is served. No guard: who may ask was decided on the way here. */
void content_streamer_handler(struct http_x *x, const struct http_request *r, void *content);
/* /pulp/api/v2/content/redirect (role redirect), where a web server in front turns to with what it does not have: see redirect.c. */
#define CONTENT_REDIRECT_PATH "/pulp/api/v2/content/redirect"
void content_redirect_handler(struct http_x *x, const struct http_request *r, void *content);

#endif
