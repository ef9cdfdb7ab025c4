/* The plugin interface of sluice: what a repository format is made of.
 *
 * A format reads upstream's metadata and declares what is there; sluice does the rest: it decides what is downloaded now
 * and what when a client asks, verifies, saves, publishes and serves. To be served lazily an artifact needs a URL and, at best,
 * a size and digests; what must not be deferred is marked `never_deferred`. Nothing else is asked of a format.
 *
 * A format runs inside a task process of its own: it may block, and when hostile metadata kills it only that task fails.
 * Built in, or as a shared object with the symbol `sluice_format` (see docs/plugins.md). This header includes nothing of sluice,
 * and compiles alone. All strings are UTF-8 and NUL-terminated, and borrowed for the duration of the call. */
#ifndef SLUICE_FORMAT_H
#define SLUICE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLUICE_FORMAT_ABI 6

/* Policies that a format supports, as bits. */
#define SLUICE_IMMEDIATE 1u
#define SLUICE_ON_DEMAND 2u
#define SLUICE_STREAMED 4u

struct sluice_digest {
	const char *algorithm; /* "md5" "sha1" "sha224" "sha256" "sha384" "sha512" */
	const char *hex;
};

struct sluice_artifact {
	const char *relative_path; /* where clients find it, below the distribution */
	const char *url;           /* absolute, percent-encoded */
	int64_t size;              /* bytes; -1 unknown */
	const struct sluice_digest *digests;
	size_t digest_count;
	bool never_deferred; /* downloaded inside the sync whatever the policy */
	/* The bytes are those that this sync fetched with this `save_as`: they are saved with the unit, and with `url` NULL nothing ever looks
	 * for them upstream again. Size and digests may be left out. NULL: they have to be had. */
	const char *kept;
};

struct sluice_unit {
	const char *type;        /* "file.file" */
	const char *natural_key; /* what makes it the same unit again, within the type */
	const char *extra_json;  /* the unit's own fields as a JSON object, or NULL */
	/* What only publications need of it, in a form of the format's own (bytes): read by each_file, shown by no API. NULL: none. A unit that is known
	 * without gets it when it is declared again. */
	const void *detail;
	size_t detail_size;
	const struct sluice_artifact *artifacts;
	size_t artifact_count;
	/* Takes the place of the unit in the version whose natural key begins with the same line (and has more of them): the same thing in another state. */
	bool supersedes;
};

/* A metadata file to be had. */
struct sluice_fetch {
	const char *url;
	/* Conditional on what the last successful sync of this very URL saw; then status may be 304, nothing is handed over, and the sync may
	 * end with unchanged(). */
	bool if_changed;
	/* Keeps the bytes, so that the publication of this sync can show them under that path (upstream's own metadata); NULL: does not. */
	const char *save_as;
	/* Whatever keeps it from being had is told in `problem`, with the status (0: no answer), and does not fail the sync. */
	bool optional;
	/* What another file says of it; when it is otherwise it is fetched again, and then the sync fails. What is saved under such a sha256
	 * already is not downloaded. */
	int64_t size; /* bytes; -1: unknown */
	const struct sluice_digest *digests;
	size_t digest_count;
	/* If it is compressed (gzip, xz, bzip2 or zstd, by its first bytes), `take` gets what is in it. It is kept as it came. */
	bool open;
	/* Gets it in pieces; returns 0, or negative to stop. NULL: nobody reads it. */
	int (*take)(void *arg, const char *p, size_t n);
	void *arg;
};

/* How it was had. */
struct sluice_fetched {
	int status;     /* 200, 304, 404 or 410; any, when it was optional */
	char etag[256]; /* "" when absent */
	char last_modified[64];
	char sha256[65]; /* of the bytes as they came */
	int64_t size;
	char problem[512]; /* of all but 200 and 304: what to say when the file was needed */
};

struct sluice_sync; /* one sync in progress */
struct sluice_reading;

/* What a format may call during sync(). Functions return 0 or negative; after a negative result return it. */
struct sluice_sync_host {
	/* Downloads a file with the remote's settings and retries, and when it is there whole and as declared, hands it over. 404 and 410 are no
	 * error of the call: look at the status. */
	int (*fetch)(struct sluice_sync *s, const struct sluice_fetch *what, struct sluice_fetched *out);
	/* Declares a unit. Copied; written in batches. What cannot be served (a bad path, URL or digest) fails the sync. */
	int (*unit)(struct sluice_sync *s, const struct sluice_unit *u);
	/* Declares a unit that is as it was when this repository was synced last: 1, and nothing more need be said of it. 0: declare it by unit(). `extra_json` is not
	 * looked at, and of `detail` only whether it is there; so a format that knows a unit's key and artifacts may save itself the rest. */
	int (*known)(struct sluice_sync *s, const struct sluice_unit *u);
	/* After a 304: says that upstream has nothing new. Return its result; the sync ends, reported as skipped. */
	int (*unchanged)(struct sluice_sync *s);
	void (*progress)(struct sluice_sync *s, const char *code, const char *message, int64_t total /* -1 unknown */,
		int64_t done);
	/* Ends the sync with this reason, which the task shows. Always negative: `return h->fail(s, "…")`. */
	int (*fail)(struct sluice_sync *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	/* Facts: "remote.url", "remote.name", "repository.name", "mirror" ("true"/"false": what is not declared is removed), "verbatim" (upstream's own
	 * metadata is published), or a field of the format: "remote.<field>", "repository.<field>", "sync.<option>". NULL when unset. */
	const char *(*get)(struct sluice_sync *s, const char *name);
	/* The URL of `relative_path` beside `base_url`, percent-encoded, with base_url's query; into out. */
	int (*sibling_url)(
		struct sluice_sync *s, const char *base_url, const char *relative_path, char *out, size_t cap);
	/* Reads what was fetched with `save_as`, opened, a piece at a time, so that files that belong together are read side by side. read_more hands the
	 * next piece to `take`: 1, or 0 when that was the end. Closed at the end of the sync at the latest. */
	int (*read_begin)(struct sluice_sync *s, const char *save_as, int (*take)(void *arg, const char *p, size_t n),
		void *arg, struct sluice_reading **out);
	int (*read_more)(struct sluice_sync *s, struct sluice_reading *r);
	/* While this sync may still end with unchanged(): the URLs of the metadata files that the last one of this repository had, so that those of them that
	 * are entries of their own are asked for with if_changed as well. `fn` returns 0, or anything else to stop, which is the result. */
	int (*each_seen)(struct sluice_sync *s, int (*fn)(void *arg, const char *url), void *arg);
};

struct sluice_publish; /* one publication being made */

struct sluice_file {
	const char *type, *natural_key; /* of its unit */
	const char *relative_path;
	int64_t size; /* -1 unknown */
	const struct sluice_digest *digests;
	size_t digest_count;
	const char *extra_json;
	const void *detail; /* sluice_unit.detail; NULL: none */
	size_t detail_size;
};

/* Metadata to be signed, and under which paths the outcome is published; NULL: not wanted. */
struct sluice_sign {
	const char *service; /* as a field of the type SLUICE_SIGNING_SERVICE has it; an href or a PRN will do */
	const char *name;    /* what the file is called: "Release" */
	const void *data;
	size_t size;
	const char *clear_signed, *detached; /* with the signature around it; the signature alone */
	const char *key;                     /* the public key, armoured */
};

struct sluice_publish_host {
	/* Every file of the version's units, newest unit first; declared facts only, so that it does not depend on what is saved. */
	int (*each_file)(struct sluice_publish *p, int (*fn)(void *arg, const struct sluice_file *f), void *arg);
	/* Every unit of one type that the version has, with or without files, oldest first. */
	int (*each_unit)(struct sluice_publish *p, const char *type,
		int (*fn)(void *arg, const char *natural_key, const char *extra_json), void *arg);
	/* Writes a metadata file: begin, any number of writes, end. One at a time. */
	int (*file_begin)(struct sluice_publish *p, const char *relative_path);
	int (*file_write)(struct sluice_publish *p, const void *data, size_t n);
	int (*file_end)(struct sluice_publish *p);
	/* Before file_end: another path than it was begun with, for names that hold the digest. */
	int (*file_name)(struct sluice_publish *p, const char *relative_path);
	/* Publishes a metadata file that a sync kept with `save_as`; 1: not there. */
	int (*file_kept)(struct sluice_publish *p, const char *save_as, const char *relative_path);
	int (*fail)(struct sluice_publish *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	const char *(*get)(struct sluice_publish *p,
		const char
			*name); /* "publication.<field>", "repository.<field>", "mirror", "remote.url" (mirror only) */
	/* Gives a field of the publication another value (JSON) than it came with. Before the first file. */
	int (*set)(struct sluice_publish *p, const char *field, const char *json);
	/* Publishes a file of the version under a path of the publication's own. Inside each_file only, with what that handed over. */
	int (*file_unit)(struct sluice_publish *p, const struct sluice_file *f, const char *relative_path);
	/* Units are not served at their own paths then, only what is published. Before the first file. */
	int (*only_published)(struct sluice_publish *p);
	/* Has metadata signed, and publishes the signatures. A service that does not make what is wanted, or makes it badly, fails the publication. */
	int (*sign)(struct sluice_publish *p, const struct sluice_sign *what);
};

struct sluice_upload; /* one file that a user brings */

/* What a format may call during upload(). After a negative result return it. */
struct sluice_upload_host {
	/* Facts: "relative_path" (NULL: none was given; else checked), "sha256", "size" (decimal), or an option of upload_fields. NULL: not given. */
	const char *(*get)(struct sluice_upload *u, const char *name);
	/* Bytes of the file from `off` on: how many came, 0 at its end, or negative. */
	int64_t (*read)(struct sluice_upload *u, int64_t off, void *buf, size_t n);
	/* First what the file is: a unit of the main type with one artifact, of which only the relative_path counts. Then units without artifacts that
	 * go into the repository with it, a few. Copied. */
	int (*unit)(struct sluice_upload *u, const struct sluice_unit *unit);
	/* Refuses it with this reason, which the user is shown. Always negative. */
	int (*fail)(struct sluice_upload *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
};

struct sluice_settle; /* one version that is about to be completed */

struct sluice_settle_host {
	/* Every unit of one type that the version would have, oldest first. */
	int (*each_unit)(struct sluice_settle *s, const char *type,
		int (*fn)(void *arg, const char *natural_key, const char *extra_json), void *arg);
	/* Takes a unit out of it. Not inside of each_unit. */
	int (*drop)(struct sluice_settle *s, const char *type, const char *natural_key);
	const char *(*get)(struct sluice_settle *s, const char *name); /* "repository.<field>" */
	int (*fail)(struct sluice_settle *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
};

/* A field of a resource, for the REST API, its checks and its documentation. */
enum sluice_field_type {
	SLUICE_STRING,
	SLUICE_TEXT,
	SLUICE_INTEGER,
	SLUICE_BOOLEAN,
	SLUICE_STRING_LIST,
	SLUICE_OBJECT,
	SLUICE_PATH,            /* a string: a canonical relative path, as sluice_publish_host.file_begin takes it */
	SLUICE_CHOICE,          /* a string: one of `choices` */
	SLUICE_CHOICE_LIST,     /* a list of such */
	SLUICE_JSON,            /* any JSON: of units, which are only read */
	SLUICE_SIGNING_SERVICE, /* one of signing-services/, nullable; a format sees a name for sluice_sign.service */
};
struct sluice_field {
	const char *name;
	enum sluice_field_type type;
	bool required, nullable, read_only, write_only;
	const char *default_json; /* "\"PULP_MANIFEST\"", "false"; NULL: none */
	const char *help;
	const char *const *choices; /* NULL-terminated */
	bool filter;                /* of units, a text: lists can be filtered by it */
};

/* A type of units beside the main one. */
struct sluice_content_type {
	const char *type;   /* "rpm.repo_metadata_file"; NULL ends the list */
	const char *plural; /* "repo_metadata_files": content/rpm/repo_metadata_files/ */
	const char *model;  /* "RepoMetadataFile"; NULL: the format's, with "Content" behind it */
	const struct sluice_field *fields;
};

/* A kind of publications beside the main one. */
struct sluice_publication_kind {
	const char *kind;  /* "verbatim": publications/deb/verbatim/, type "deb.verbatim"; NULL ends the list */
	const char *model; /* "VerbatimPublication" */
	bool verbatim;     /* what a sync makes that publishes upstream's own metadata */
	const struct sluice_field *fields;
	const char *task_publish;
	int (*publish)(const struct sluice_publish_host *h, struct sluice_publish *p);
};

struct sluice_format {
	unsigned abi;        /* SLUICE_FORMAT_ABI */
	const char *name;    /* "file": the first part of types and paths */
	const char *kind;    /* "file": the second part; types are "<name>.<kind>" */
	const char *version; /* as status/ shows it, a Pulp plugin's version that it is compatible with */
	const char *
		model; /* "File": Pulp's model prefix: FileRemote, FileRepository, … (prn:file.fileremote:…, schema file.FileRemote) */
	unsigned policies; /* SLUICE_IMMEDIATE | … */
	bool serves_without_publication;
	bool reclaimable; /* saved artifacts may be turned back into lazy ones */
	/* Members of a unit's own fields (of the main type) that a newer version of the same thing has alike: name and architecture of a package.
	 * NULL-terminated; NULL: units are the same thing at the same path. */
	const char *const *same_thing;
	/* The format's own fields (NULL-name terminated; NULL: none), beside the common ones. */
	const struct sluice_field *remote_fields, *repository_fields, *publication_fields, *distribution_fields,
		*content_fields;
	const char *content_type;   /* "file.file": the main type of unit */
	const char *content_plural; /* "files": content/file/files/ */
	const char *content_model;  /* "Package"; NULL: `model` with "Content" behind it */
	const struct sluice_content_type *more_content;
	/* Options of a sync beside the common ones. One that is called sync_policy takes the place of `mirror`: its value is "additive", "mirror_content_only"
	 * or "mirror_complete" (which publishes upstream's own metadata). */
	const struct sluice_field *sync_fields;
	const char *task_sync, *task_publish; /* Pulp's dotted task names */
	const struct sluice_publication_kind *more_publications;

	int (*sync)(const struct sluice_sync_host *h, struct sluice_sync *s);
	int (*publish)(const struct sluice_publish_host *h, struct sluice_publish *p);
	/* Rules about what versions hold as a whole, whoever changes them (sync, modify, copy, upload): called before each is completed. NULL: there are none. Of a
	 * mirror upstream's metadata decides, and what it dropped may still be among the units. */
	int (*settle)(const struct sluice_settle_host *h, struct sluice_settle *s);
	/* What a file that a user brings is as a unit, as sync() declares the same file. Called in the server's own process, for one request or task at a time
	 * in each of several threads: it must not keep anything, and bound what it takes. 0 or negative. NULL: units cannot be uploaded. */
	int (*upload)(const struct sluice_upload_host *h, struct sluice_upload *u);
	bool upload_names; /* it finds a path itself when none is given */
	const struct sluice_field
		*upload_fields; /* options beside the common ones, when the unit goes into a repository; NULL: none */
};

#endif
