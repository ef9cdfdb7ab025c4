/* A content request on its way, and what a loop has of the content service. request.c walks the steps; resolve.c asks the catalog; listing.c makes
 * directory pages; content.c sets up. */
#ifndef SLUICE_CONTENT_REQUEST_PRIV_H
#define SLUICE_CONTENT_REQUEST_PRIV_H

#include "base/buf.h"
#include "content/cache.h"
#include "content/content.h"
#include "content/snapshot.h"
#include "content/use.h"
#include "lazy/flight.h"

#include <pthread.h>

#define REQUEST_MAGIC 0x72657175u
/* Bodies up to this are kept in memory beside their entry and leave in one call with their head. */
#define SMALL_BODY (64 * 1024)
#define PAGE_MAX (256 * 1024 * 1024)

/* The life of a content request. A step that must wait returns STEP_WAIT and its continuation sets the step to go on with. */
#define CONTENT_STEPS(X)                                                   \
	X(match)    /* which distribution                               */ \
	X(above)    /* none: a directory of their base_paths            */ \
	X(guard)    /* may this client learn whether the path exists    */ \
	X(resolve)  /* which artifact; does the store have it           */ \
	X(hit)      /* body := open file, or small body in memory       */ \
	X(miss)     /* body := flight, joined or started                */ \
	X(prospect) /* HEAD of a missing one: is there any source       */ \
	X(listing)  /* body := page of a directory                      */ \
	X(redirect) /* to the same with a slash                         */ \
	X(unknown)  /* 404                                              */ \
	X(respond)  /* head, body, access log                           */

enum step {
#define X(name) STEP_##name,
	CONTENT_STEPS(X)
#undef X
		STEP_WAIT,
	STEP_DONE
};

struct shard_state;

struct request {
	uint32_t magic;
	struct shard_state *shard;
	struct http_x *x; /* NULL: the client is gone */
	const struct http_request *http;
	struct slice path; /* below the content prefix, no leading slash */
	enum step step;
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
	struct request *free_list;
	struct request *waiting; /* for a snapshot */
	struct loop_post reload; /* a snapshot was loaded, or failed to */
	_Atomic int64_t busy;    /* requests on their way; written by the loop */
};

struct content {
	const struct settings *settings;
	struct pool *pool;
	struct catalog *catalog;
	struct store *store;
	struct shm *shm;
	struct lazy *lazy;
	bool (*needs_publication)(const char *type);
	struct slice prefix; /* "/pulp/content/" */
	struct shard_state *shards;
	size_t shard_count;
	_Atomic int64_t jobs; /* of the pool, that belong to no request */

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

/* content.c: the snapshot of this moment. 1: shard->snap is it; 0: rq was queued and is run again when it is there. */
int snapshot_ensure(struct shard_state *sh, struct request *rq);

/* resolve.c: 1: rq->entry is set; 0: a job runs, resolve_done goes on; negative: failed. */
int resolve_start(struct request *rq);
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
