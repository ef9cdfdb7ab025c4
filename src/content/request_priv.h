/* A content request on its way, and what a loop has of the content service. request.c walks the steps; resolve.c asks the catalog; listing.c makes
 * directory pages; content.c sets up. */
#ifndef SLUICE_CONTENT_REQUEST_PRIV_H
#define SLUICE_CONTENT_REQUEST_PRIV_H

#include "base/buf.h"
#include "content/save.h"
#include "content/answer.h"
#include "content/cache.h"
#include "content/content.h"
#include "content/proofs.h"
#include "content/snapshot.h"
#include "content/use.h"
#include "guard/signature.h"
#include "lazy/flight.h"

#include <pthread.h>

#define REQUEST_MAGIC 0x72657175u
/* Bodies up to this are kept in memory beside their entry and leave in one call with their head. */
#define SMALL_BODY (16 * 1024)
#define PAGE_MAX (256 * 1024 * 1024)

/* The life of a content request. A step that must wait returns STEP_WAIT and its continuation sets the step to go on with. */
#define CONTENT_STEPS(X)                                                    \
	X(match)    /* which distribution                               */  \
	X(above)    /* none: a directory of their base_paths            */  \
	X(guard)    /* may this client learn whether the path exists    */  \
	X(denied)   /* it may not: 403                                  */  \
	X(resolve)  /* which artifact; does the store have it           */  \
	X(reopen)   /* saved, but the cache gave file or body up        */  \
	X(hit)      /* body := open file, or small body in memory       */  \
	X(delegate) /* the web server in front sends it: delegate.c     */  \
	X(ready)    /* head and body as they were made for others before */ \
	X(miss)     /* body := flight, joined or started                */  \
	X(prospect) /* HEAD of a missing one: is there any source       */  \
	X(listing)  /* body := page of a directory                      */  \
	X(redirect) /* to the same with a slash                         */  \
	X(away)     /* to where it is streamed: redirect.c              */  \
	X(unknown)  /* 404                                              */  \
	X(respond)  /* head, body, access log                           */

enum step {
#define X(name) STEP_##name,
	CONTENT_STEPS(X)
#undef X
		STEP_WAIT,
	STEP_DONE
};

/* On whose behalf the path is looked up. */
enum request_role { ROLE_CONTENT, ROLE_STREAMER, ROLE_REDIRECT };

struct shard_state;

struct request {
	uint32_t magic;
	struct shard_state *shard;
	struct http_x *x; /* NULL: the client is gone */
	const struct http_request *http;
	struct slice path; /* below the content prefix, no leading slash */
	enum step step;
	enum request_role role;
	struct slice target;   /* as the client sent it, path and query; the exchange's */
	bool by_save_task;     /* it is the save task that asks: no other is needed */
	bool lazy_known, lazy; /* does a remote offer it lazily */
	uint64_t generation;   /* at its arrival, + 1: what it must see at least */
	struct snapshot *snap; /* a reference while a job runs; else borrowed from the shard, and stale after a wait */
	bool owns_snap;
	int dist;          /* index; -1 */
	struct slice rest; /* path inside the distribution; p == NULL: its root without the slash */

	struct entry *entry;   /* a reference */
	struct flight *flight; /* a reference, until it is a body */
	bool alone;            /* the next flight is for this request's repository only */
	struct body *body;
	int64_t size;
	struct wake wake;

	/* the pool's, while a job runs */
	struct pool_job job;
	char *own;          /* copy of the path, which path and rest point into: a job outlives its client */
	uint64_t id;        /* of the HTTP request, for logs */
	struct entry found; /* result of a resolve */
	struct buf page;    /* result of a listing */
	int job_rc;
	struct err job_err;

	struct request *next; /* of the free list, or of those that wait for a snapshot */
};

/* What a loop has. */
struct shard_state {
	struct content *content;
	struct loop *loop;
	struct snapshot *snap; /* a reference */
	struct cache *cache;
	struct use_log uses;
	struct proofs *proofs; /* NULL until a guard needed one */
	struct request *free_list;
	size_t free_count;
	struct request *waiting;    /* for a snapshot */
	struct answer_kept unknown; /* the answer to unknown paths */
	struct loop_post reload;    /* a snapshot was loaded, or failed to */
	_Atomic int64_t busy;       /* requests on their way; written by the loop */
};

struct content {
	const struct settings *settings;
	struct pool *pool;
	struct catalog *catalog;
	struct store *store;
	struct shm *shm;
	struct lazy *lazy;
	bool (*needs_publication)(const char *type);
	guard_login *login;
	void *login_arg;
	struct pool *guard_pool; /* certificates and passwords */
	struct pool *disk_pool;  /* saved files that the page cache has not */
	enum content_delegate { DELEGATE_NONE, DELEGATE_SENDFILE, DELEGATE_ACCEL } delegate; /* [content] send_by */
	char *delegate_root; /* what the names of saved files begin with, as the web server in front knows them */
	struct signing_key signing_key;
	uint8_t proof_salt[32];
	struct slice prefix; /* "/pulp/content/" */
	struct shard_state *shards;
	size_t shard_count;
	_Atomic int64_t jobs; /* of the pool, that belong to no request */
	struct save_queue saves;
	enum content_missing { MISSING_STREAM, MISSING_REDIRECT, MISSING_REFUSE } on_missing; /* [content] on_missing */

	pthread_mutex_t lock;       /* of what follows */
	struct snapshot *snap;      /* the newest */
	bool loading;               /* one of `jobs` */
	uint64_t failed_generation; /* could not be loaded (database down): the old one serves on until retry_at_ns */
	int64_t retry_at_ns;
	struct pool_job load;
};

/* request.c */
void request_run(struct request *rq);
void request_free(struct request *rq);
/* Starts the walk for a path below the content prefix, without it; p == NULL: the prefix without its slash. */
struct request *request_start(
	struct content *c, struct http_x *x, const struct http_request *r, enum request_role role, struct slice path);
enum step request_fail(struct request *rq, int code, int64_t retry_after_s);

/* redirect.c: what step_away does. */
enum step redirect_step(struct request *rq);

/* content.c: the snapshot of this moment. 1: shard->snap is it; 0: rq was queued and is run again when it is there. */
int snapshot_ensure(struct shard_state *sh, struct request *rq);

/* delegate.c. Once; delegate_root is to be freed. */
int delegate_init(struct content *c, struct err *err);
bool delegate_fits(const struct request *rq);
/* The field that names the file of rq->entry. -ERR_NOMEM. */
int delegate_fields(const struct request *rq, struct http_header out[1]);

/* guard.c: 0 and *next: pass, denied, or STEP_WAIT while a job finds out. Negative: it could not be found out. */
int guard_request(struct request *rq, int64_t guard_id, enum step *next);
/* Signed redirects (lazy.redirect_valid). What the target becomes; p == NULL: out of memory. */
struct slice guard_sign(const struct request *rq);
/* Was the streamer's client given this URL by a redirect? Always, while they are not signed. */
bool guard_was_sent(const struct request *rq);
/* How long what the streamer delivers may be kept, seconds: no longer than the URL holds. */
int64_t guard_keep_s(const struct request *rq);
static inline enum step guard_passed(const struct request *rq)
{
	if (rq->rest.p != NULL)
		return STEP_resolve;
	return rq->role == ROLE_CONTENT ? STEP_redirect : STEP_unknown;
}

/* resolve.c: 1: rq->entry is set; 0: a job runs, resolve_done goes on; negative: failed. */
int resolve_start(struct request *rq);
/* The entry gets its file or body back, if that takes neither disk nor catalog. */
bool resolve_reopen(struct request *rq);
/* Before a job is submitted: what it reads must not go with the client. 0, -ERR_NOMEM. */
int request_detach(struct request *rq);

/* listing.c */
int listing_start(struct request *rq);
/* Does a base_path that is shown begin with `dir` (ends with '/' or is "")? */
bool listing_any_distribution(const struct snapshot *s, struct slice dir);
/* The page of the next parts of all of them: 1 and rq->page is filled; 0: nothing is there; -ERR_NOMEM. */
int listing_of_distributions(struct request *rq, struct slice dir);
void listing_reply(struct request *rq);

#endif
