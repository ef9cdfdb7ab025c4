/* A sync in progress, as the files of this folder share it. One thread: the task's. */
#ifndef SLUICE_SYNC_SYNC_PRIV_H
#define SLUICE_SYNC_SYNC_PRIV_H

#include "base/arena.h"
#include "catalog/change.h"
#include "catalog/remote.h"
#include "catalog/repository.h"
#include "sync/facts.h"
#include "sync/sync.h"
#include "sync/wire.h"

#include <jansson.h>

/* A metadata file that is to be published as upstream has it. Its bytes stay in staging until the publication is made, so
 * that no clean-up can take them for unused. */
struct kept {
	struct kept *next;
	char *name;
	struct staging *st;
	struct digests digests;
	int64_t size;
	int64_t artifact_id; /* once it was saved with a unit */
};
#define KEPT_MAX 256 /* each holds a descriptor */
void kept_free(struct kept **list);
struct kept *kept_find(struct kept *list, const char *name); /* whose bytes are still in staging */

/* Declared units that are not written yet. */
#define UNITS_MAX 1000                      /* what change_declare takes */
#define UNITS_BYTES ((size_t)8 << 20)       /* written when they hold more */
#define UNITS_BYTES_MAX ((size_t)128 << 20) /* one unit may be large (file lists), but not without end */
struct units {
	struct arena arena;
	struct change_unit *unit; /* UNITS_MAX */
	bool **undeferred;        /* of each unit: NULL, or which of its artifacts must be had now */
	size_t count;
	struct change_artifact *scratch; /* of the unit at hand, borrowed from the format */
	size_t scratch_cap;
};

struct sluice_sync {
	struct task *task;
	const struct sync_env *env;
	const struct sluice_format *format;
	struct repository_row *repository;
	struct remote_row *remote;
	int64_t acs_id; /* it refreshes this alternate source: acs.h; 0: it syncs a repository */
	const char *acs_path;
	struct version_row latest; /* before this sync */
	bool mirror;               /* what is not declared is removed */
	bool verbatim;             /* upstream's own metadata is published */
	bool optimize;
	bool fail_missing; /* what upstream lacks fails the task */
	bool may_skip;     /* nothing but upstream's metadata can make this sync do something */
	bool unchanged;    /* the format said that there is nothing to do */

	json_t *last;     /* what the last sync recorded: details.h */
	json_t *metadata; /* what this one records, by URL */
	json_t *options;  /* those of the format, and what of the repository's fields a sync goes by */
	struct facts facts;
	struct wire wire;

	const struct download_rules *rules; /* NULL: those of a sync */

	struct change *change; /* begun by the first unit */
	struct units units;
	struct kept *kept;
	size_t kept_count;
	struct sluice_reading *readings;

	int64_t fetched, declared, downloaded, missing; /* for reports */
	struct change_result result;
	struct err err; /* why it failed: set by whoever noticed */
};

/* host.c */
extern const struct sluice_sync_host sync_host;

/* units.c: copying what the format declares, writing it in batches */
int units_init(struct sluice_sync *s);
void units_fini(struct sluice_sync *s);
int units_add(struct sluice_sync *s, const struct sluice_unit *u);
/* As sluice_sync_host.known. */
int units_known(struct sluice_sync *s, const struct sluice_unit *u);
int units_flush(struct sluice_sync *s);
int sync_begin_change(struct sluice_sync *s); /* unless it is begun */

/* Saves what was kept under that name: its digests, size, and row. -ERR_INVAL: nothing was. */
int units_save_kept(struct sluice_sync *s, const char *name, struct change_artifact *a);

/* metadata.c */
int metadata_fetch(struct sluice_sync *s, const struct sluice_fetch *what, struct sluice_fetched *out);

/* What was kept, opened, piece by piece. */
int reading_begin(struct sluice_sync *s, const char *save_as, int (*take)(void *arg, const char *p, size_t n),
	void *arg, struct sluice_reading **out);
int reading_more(struct sluice_sync *s, struct sluice_reading *r);
void readings_free(struct sluice_sync *s);

/* download.c. `next` hands out what is wanted, at most max rows, which are the caller's afterwards; *count 0: no more. */
typedef int wanted_fn(void *arg, struct change_missing *rows, size_t max, size_t *count, struct err *err);
/* Downloads of other tasks. They need of struct sluice_sync only task, env, wire, rules, and the repository that sources are to serve (NULL with
 * any_source); there is no remote: any source of the row's content artifact is asked, in the catalog's order. What cannot be had is reported and is no
 * end; each batch is saved as soon as the one before is. */
struct download_rules {
	int concurrency;
	int64_t rate;    /* bytes a second, of all downloads together; 0: as they come */
	bool ahead;      /* of clients: nobody has used what is saved, but as the rows say (for_us) */
	bool any_source; /* also one whose credentials serve other repositories, or that failed lately */
	/* Before a batch is saved: space.h. NULL: what comes takes the place of what was lost, and is counted already. */
	int (*room)(struct space *s, int64_t bytes, struct err *err);
	/* So much is durable by now, or was there already; now and then, and at the end. */
	void (*saved)(void *arg, int64_t artifacts, int64_t bytes);
	/* `missing`: upstream says that it does not have it. why->code 0: nobody was there to be asked. Negative: ends it; s.err is set. */
	int (*lost)(void *arg, const struct change_missing *row, bool missing, const struct err *why);
	void *arg;
};
int download_all(struct sluice_sync *s, wanted_fn *next, void *arg);

/* warm.c: a task for the version that this sync has made, if its argument `warm` says which of its artifacts to fetch ahead of clients. */
int warm_later(struct sluice_sync *s);

/* each_unit.c: for formats. Does nothing when *err is one already. */
int sync_each_unit(struct catalog *c, int64_t repository_id, int64_t number, const char *type,
	int (*fn)(void *arg, const char *natural_key, const char *extra_json), void *arg, struct err *err);

/* settle.c: lets the format take out what its rules forbid, before the version is completed. */
int settle_change(struct change *change, const struct sluice_format *f, const struct repository_row *r,
	struct catalog *catalog, struct err *err);

/* publish.c */
struct publish_what {
	const struct sync_env *env;
	const struct sluice_format *format;
	const struct repository_row *repository;
	struct version_row version;
	const struct sluice_publication_kind *kind; /* NULL: the format's main one */
	const json_t *fields;                       /* of the publication; what is absent has its default; NULL: none */
	bool checkpoint;
	bool mirror;            /* upstream's own metadata: */
	const char *remote_url; /* where it came from, */
	struct kept **kept;     /* and what the sync kept of it */
};
/* Makes the publication and reports it as created. *result (may be NULL): it as the API shows it. */
int publish_version(struct task *t, const struct publish_what *what, json_t **result, struct err *err);
/* Finishes a change of the repository and makes the publication of its version (`what`, whose version is filled in; NULL: none): both are
 * there afterwards, and reported as created, or none. */
int publish_change(struct task *t, const struct repository_row *r, struct publish_what *what, struct change **change,
	struct change_result *out, struct err *err);
/* The fields of a publication that the repository chooses (autopublish); a new reference. */
json_t *publish_repository_fields(const struct sluice_format *f, const struct repository_row *r);

/* names.c */
int sync_created_version(struct task *t, const char *type, const struct uuid *repo, int64_t number,
	const struct uuid *version, struct err *err);
/* As the API shows them; new references. */
int sync_version_json(struct txn *t, const struct sluice_format *f, const struct uuid *repo, int64_t number,
	json_t **out, struct err *err);
int sync_publication_json(struct txn *t, const struct sluice_format *f, const struct sluice_publication_kind *kind,
	const struct uuid *publication, json_t **out, struct err *err);
/* Of an href, a PRN, or a bare uuid. -ERR_INVAL. */
int sync_uuid_of(const char *name, struct uuid *out, struct err *err);

#endif
