/* The insides that flight.c (table, readers), source.c (who offers it), drive.c (fetching), leg.c (ranges ahead of it), verify.c and commit.c share.
 *
 * Who may touch what: `key … sources` are set before anyone else sees them, or by the fetch loop; the atomics are written by the fetch loop
 * and read by readers; `lock` guards the waiters and the outcome; the table's lock guards who is in the table, who reads, and who else is to be told. */
#ifndef SLUICE_LAZY_FLIGHT_PRIV_H
#define SLUICE_LAZY_FLIGHT_PRIV_H

#include "lazy/flight.h"

#include "catalog/served.h"
#include "fetch/fetch.h"
#include "fetch/health.h"
#include "lazy/extents.h"

#include <pthread.h>
#include <stdatomic.h>

#define FLIGHT_MAGIC 0x666c6967u
#define FLIGHT_KEY_MAX 192
/* Bodies up to this are hashed as they come: handing 64 KiB to another thread costs more than hashing them. */
#define HASH_INLINE_MAX (64 * 1024)
/* Resumes that bring less than this count against max_retries; a flight may be resumed this often in all. */
#define RESUME_PROGRESS (64 * 1024)
#define RESUMES_MAX 1000
/* How long readers of a saved artifact, or of a failed source, wait for the catalog: usually it takes milliseconds, a locked one half a minute. */
#define ROWS_WAIT_MS 1000
/* What lies no further ahead of the download than this comes soon by itself; about what a connection has under way. */
#define AHEAD_MIN (256 * 1024)
/* A catalog that fails at once is told this often; later the next request for the artifact does it. */
#define TELLS_MAX 20

/* A flight's place in a queue of commit.c: it may wait to be saved while a note about an earlier source still waits. */
struct stage_item {
	struct stage_item *next;
	struct flight *f;
	bool is_note;
};

/* A reader as a body: flight.c. */
struct flight_reader {
	struct body b;
	struct flight *f;
	struct flight_reader *next, *prev; /* of the flight, under its lock */
	_Atomic int64_t acknowledged;      /* by the client: it needs nothing before that any more */
	int64_t told;                      /* ... when the fetch loop was told last */
	void (*left)(void *arg, const struct flight *f);
	void *arg;
};

enum flight_state {
	FLIGHT_LOADING,
	FLIGHT_FETCHING,
	FLIGHT_WAITING,
	FLIGHT_VERIFYING,
	FLIGHT_COMMITTING,
	FLIGHT_DONE,
	FLIGHT_FAILED
};

struct flight {
	uint32_t magic;
	struct lazy *lz;
	uint64_t id;
	char key[FLIGHT_KEY_MAX];
	_Atomic int
		refs; /* each reader has one; the driver until the end; each post and job on its way (flight_hold) */

	/* table lock */
	struct flight *chain;
	int readers;
	bool in_table;
	int64_t *others; /* content artifacts of those who joined: they get the artifact, too */
	size_t other_count, others_told;

	struct flight_want want;

	/* what readers see */
	_Atomic int64_t limit;  /* bytes that may be sent */
	_Atomic int64_t size;   /* -1 unknown */
	_Atomic int state;      /* enum flight_state; DONE and FAILED are the last thing set */
	_Atomic bool exposed;   /* a reader was promised bytes: they can not be taken back */
	_Atomic bool prospects; /* sources are known */
	int fd;                 /* before limit > 0; constant then */
	struct flight_header {
		char *name, *value;
	} * headers; /* of upstream's answer, for readers; set while limit == 0 */
	size_t header_count;

	pthread_mutex_t lock;
	struct wake *waiters;
	struct flight_reader *bodies; /* lock: fewer than `readers` while some are no bodies (yet) */
	struct extents ahead;         /* lock: what legs have brought behind the watermark */
	_Atomic bool has_ahead;       /* something was in it: worth a look under the lock */
	struct err err;               /* lock; set before FAILED */
	int64_t retry_after_s;

	/* the driver's: fetch loop only */
	struct staging *st;
	struct source_row *sources;
	size_t source_count, source_at;
	struct fetch *fetch;
	struct fetch *hedge; /* hedge.c: of the source at hedge_at, beside a late one */
	size_t hedge_at;
	struct loop_timer hedge_timer;
	int64_t started_ns;
	int64_t progress_ns;      /* when bytes came last */
	int64_t watermark;        /* bytes in the staging file */
	struct space_share share; /* of the quota */
	int room_looks;           /* how often it was looked whether there is room to save it */
	int64_t room;             /* bytes of the disk that are its own, whether written yet or not: room.c */
	int64_t skip;             /* bytes to drop: the upstream began again at 0 */
	int64_t drop;             /* likewise: legs have brought them already */
	bool jump;                /* this transfer was ended because another one does better from the watermark on */
	struct leg *legs;         /* leg.c */
	int leg_count, leg_failures;
	struct loop_post wanted; /* a reader waits for bytes far ahead */
	int64_t resumed_at;      /* watermark at the last (re)start */
	int attempts, resumes;   /* without progress; in all */
	bool upstream_size;      /* size came from the source, not from the catalog */
	char etag[256], last_modified[64];
	struct err last;  /* why the current source failed */
	bool ours;        /* ... or rather we: no other source would fare better */
	bool named;       /* its text has the URL already */
	bool asked;       /* some source was */
	struct err worst; /* the failure that the answer is made of */
	bool streamed;    /* by the policy of the source in use, or because it only passes, or may not be saved */
	struct loop_timer timer;
	struct loop_post start, abandoned;
	struct pool_job load; /* and then: notes */
	int load_rc;
	struct err load_err;

	/* commit.c, the note about a source: the loop's, but while noting */
	bool noting;         /* on its way to the catalog */
	bool missing;        /* the source lacks it; else: it sent wrong bytes */
	int64_t note_source; /* remote artifact */
	struct loop_post noted;
	int note_rc;
	struct err note_err;

	/* window.c: the loop's, but for the atomics, and what punch() reads while `punching` */
	_Atomic bool windowed; /* bytes behind its readers go, and it does not run far ahead of them */
	_Atomic bool paused;   /* it waits for its readers */
	int64_t fed_to;        /* up to there it goes on without a look */
	int64_t punched;       /* the bytes before are gone, or about to be */
	int64_t hashed_to;     /* `hashed`, when it could be read last */
	bool punching, cannot_punch;
	int64_t punch_from;
	int punch_errno;
	struct pool_job punch_job;
	struct loop_post moved;

	/* verify.c */
	struct hasher *hasher;
	int64_t hashed;          /* by the pool; read by the loop when no job runs */
	_Atomic int64_t hash_to; /* how far it may go */
	int64_t written_back;    /* by the pool: so far the disk was told to write what is hashed */
	bool hashing, hash_dirty, write_back;
	struct pool_job hash_job;
	int hash_rc;
	struct digests actual;

	/* commit.c */
	struct stage_item save_item, note_item;
	struct loop_post committed;
	struct store_item item; /* st is NULL: the store has it, only the catalog is told */
	bool told;              /* the catalog knows about want.content_artifact_id */
	_Atomic bool stored;    /* the file is durable */
	int tells;              /* how often the catalog was told in vain */
	int commit_rc;
	struct err commit_err;
};

struct flight_table {
	pthread_mutex_t lock;
	struct flight **buckets;
	size_t bucket_count;
	int64_t count;
};

/* A thread and what waits for it: commit.c. */
struct stage {
	struct lazy *lz;
	void (*run)(struct lazy *lz, struct stage_item **batch, size_t n);
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct stage_item *head, **tail;
	bool stop, started;
};

struct lazy {
	struct pool *pool;
	struct catalog *catalog;
	struct store *store;
	const struct settings *settings;
	struct space *space;
	struct loop *loop; /* the fetch loop */
	pthread_t thread;
	bool thread_started;
	struct fetch_ctx *fetch;
	struct health_table *health;
	struct flight_table table;
	struct stage files, rows;
	_Atomic uint64_t next_id;
	_Atomic int64_t room_used; /* bytes of all flights: room.c */
	_Atomic int64_t work;      /* holders of flights that still do something (flight_hold) */
	_Atomic bool closed;       /* no more flights */
	_Atomic int64_t drain_ns,
		idle_ns; /* when lazy_drain began, and what is given up after so long; set before cancel_idle is posted */
	bool stopping;   /* fetch loop: nothing new is begun */
	struct loop_post cancel_all, cancel_idle;
	unsigned allowed_digests; /* bits of settings.storage_allowed_checksums */
};

/* flight.c */
/* A reference of whoever will do something for it: lazy_drain waits until it is given back. */
void flight_hold(struct flight *f);
void flight_release(struct flight **pf);
void flight_wake(struct flight *f, bool all);
/* Lock. How far the bytes from off on are there, ahead of the download; off when they are not. Never the very last byte of what is not verified. */
int64_t flight_ahead(const struct flight *f, int64_t off);
void flight_set_state(struct flight *f, enum flight_state to);
void flight_out_of_table(struct flight *f);
bool flight_has_readers(struct flight *f);
/* Nobody reads it, and from now on nobody can join it. As one step: else a request could join what is about to be canceled. */
bool flight_claim(struct flight *f);
/* Nobody can join it any more; its readers go on. False: some reader has not said yet what it needs. */
bool flight_seal(struct flight *f);
/* The next content artifact that is to be told of; false: none is left. */
bool flight_next_other(struct flight *f, int64_t *content_artifact_id);
/* The transaction failed: all of them are to be told again. */
void flight_untell(struct flight *f);
/* Out of the table, unless somebody with another content artifact has joined meanwhile. */
bool flight_all_told(struct flight *f);
void flight_free_headers(struct flight *f);

/* source.c */
void source_load(struct pool_job *j);
/* The next source that may be tried now, from f->source_at on: 1, or 0 when none is left. */
int source_next(struct flight *f);
/* The one behind `at` that may be tried now; source_count: none. */
size_t source_after(const struct flight *f, size_t at);
void source_remote(const struct flight *f, const struct source_row *s, struct fetch_remote *out);
/* When a source that is left alone after failures is worth another try; -1: none is. */
int64_t source_retry_after_s(const struct flight *f);
/* How long its first byte may take before the next source is asked besides (health.h). */
int64_t source_hedge_delay_ns(const struct flight *f, const struct source_row *s);
/* Puts "remote 'name': url" in front of what happened there, without what is secret in a URL. */
void source_describe(const struct source_row *s, bool with_url, struct err *err);

/* drive.c: the fetch loop's side */
void drive_start(struct loop_post *p);
void drive_abandoned(struct loop_post *p);
void drive_verified(struct flight *f, int rc, const struct err *err);
void drive_committed(struct loop_post *p);
void drive_noted(struct loop_post *p);
void drive_cancel(struct flight *f);
/* Keeps what the answer is made of when sources fail in different ways. */
void drive_remember(struct flight *f, const struct err *err);
/* Is it a source's failure, so that other sources may do better? */
bool drive_blames_source(int code);

/* Call-backs of the main transfer, whoever began it (hedge.c); `flight` is one. */
int drive_on_head(void *flight, const struct fetch_head *h);
int drive_on_data(void *flight, const char *p, size_t n);
void drive_on_done(void *flight, int rc, const struct err *err);
/* sources[source_at] is another one now. */
void drive_source_changed(struct flight *f);

/* hedge.c: the fetch loop's side */
void hedge_begin(struct flight *f); /* a source was asked */
void hedge_end(struct flight *f);   /* it answered, or will not */

/* leg.c: the fetch loop's side */
void legs_wanted(struct loop_post *p);
/* Starts what sleeping readers need and the download reaches late. */
void legs_look(struct flight *f);
/* Another source: its ranges may be better. */
void legs_cancel(struct flight *f);
/* The download has come to `off`: a leg that is about to bring just that is not needed any more. True: there was one. */
bool legs_overtaken(struct flight *f, int64_t off);

/* room.c */
/* Sees to it that the flight has `bytes` of the disk in all; -ERR_STAGING: there is no room for them. */
int room_take(struct flight *f, int64_t bytes, struct err *err);
void room_give(struct flight *f, int64_t bytes); /* INT64_MAX: all */

/* window.c: the fetch loop's side */
int64_t window_step(const struct lazy *lz); /* any thread */
/* What a flight of `size` bytes takes of the disk at its start. */
int64_t window_room(const struct flight *f, int64_t size);
void window_begin(struct flight *f); /* f->streamed is set: a source is about to be asked */
/* The download has to wait: window_look resumes it. */
bool window_is_full(struct flight *f);
/* Something moved: gives back what is behind, and resumes what waits. */
void window_look(struct flight *f);
void window_moved(struct loop_post *p);

/* verify.c */
int verify_begin(struct flight *f);                          /* 0 or -ERR_NOMEM, -ERR_UNSUPPORTED: from byte 0 */
void verify_data(struct flight *f, const char *p, size_t n); /* f->watermark moved by n */
void verify_end(struct flight *f);                           /* calls drive_verified, at once or later */

/* commit.c */
int committer_start(struct lazy *lz, struct err *err);
void committer_stop(struct lazy *lz);
void committer_add(struct flight *f); /* then drive_committed on the loop */
/* Tells the catalog that the current source failed or lacks it (f->missing), then drive_noted on the loop. False: the last note is not through yet. */
bool committer_note(struct flight *f);

#endif
