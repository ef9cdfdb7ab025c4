/* Upstream's metadata: downloaded whole to staging, then handed to the format in pieces. So a transfer that breaks off is
 * simply repeated, the format never sees half a file or the same piece twice, and a file whose bytes did not change is
 * recognised before anything was declared. */
#include "sync/details.h"
#include "sync/sync_priv.h"
#include "sync/unpack.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_MAX ((int64_t)16 << 30) /* on disk, not in memory; an upstream that never ends must not fill it */
#define PIECE 65536

struct transfer {
	struct sluice_sync *s;
	const struct sluice_fetch *what;
	const struct digests *expected; /* what->digests */
	struct staging *st;
	struct hasher *hasher;
	int64_t off;
	int status;
	char etag[256], last_modified[64];
	bool done;
	int rc;
	struct err err;
};

static void copy_header(char *out, size_t cap, struct slice v)
{
	/* A validator that is cut would never match again: better none. */
	if (v.n < cap)
		(void)snprintf(out, cap, "%.*s", SLICE_ARG(v));
	else
		out[0] = '\0';
}

static int on_head(void *arg, const struct fetch_head *head)
{
	struct transfer *x = arg;

	x->status = head->status;
	copy_header(x->etag, sizeof(x->etag), head->etag);
	copy_header(x->last_modified, sizeof(x->last_modified), head->last_modified);
	return 0;
}

static int about(struct transfer *x, int code, const char *what)
{
	struct buf url = BUF_INIT(0);

	(void)url_redact(slice_str(x->what->url), &url); /* an error text is written with what there is */
	err_set(&x->err, code, "%s%s: %s",
		code == -ERR_DIGEST ? "[PLP0003] "
		: code == -ERR_SIZE ? "[PLP0004] "
				    : "",
		url.p != NULL ? url.p : "", what);
	buf_fini(&url);
	return code;
}

static int wrong_size(struct transfer *x)
{
	char what[96];

	(void)snprintf(what, sizeof(what), "%lld bytes came where %lld were expected", (long long)x->off,
		(long long)x->what->size);
	return about(x, -ERR_SIZE, what);
}

/* The bytes of a 200 are all there. */
static int verify(struct transfer *x, struct digests *actual)
{
	struct err why;
	int rc;

	hasher_end(x->hasher, actual);
	hasher_free(&x->hasher);
	if (x->what->size >= 0 && x->off != x->what->size)
		return wrong_size(x);
	rc = digests_match(x->expected, actual, &why);
	return rc == 0 ? 0 : about(x, rc, why.msg);
}

static int add(struct transfer *x, const char *p, size_t n)
{
	hasher_add(x->hasher, p, n);
	x->off += (int64_t)n;
	return staging_write(x->st, p, n, x->off - (int64_t)n, &x->err);
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct transfer *x = arg;

	if ((int64_t)n > METADATA_MAX - x->off)
		return err_set(&x->err, -ERR_LIMIT, "upstream's metadata does not end");
	if (x->status == 200 && x->what->size >= 0 && (int64_t)n > x->what->size - x->off) {
		x->off += (int64_t)n;
		return wrong_size(x);
	}
	return add(x, p, n);
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct transfer *x = arg;

	x->rc = rc;
	if (rc != 0 && x->err.code == 0 && err != NULL)
		x->err = *err;
	x->done = true;
}

static void transfer_fini(struct transfer *x)
{
	staging_drop(&x->st);
	hasher_free(&x->hasher);
}

static int transfer_begin(struct transfer *x)
{
	int rc;

	transfer_fini(x);
	*x = (struct transfer){.s = x->s, .what = x->what, .expected = x->expected};
	rc = staging_new(x->s->env->store, &x->st, &x->err);
	if (rc == 0 && hasher_new(x->expected->have, &x->hasher) != 0)
		rc = err_set(&x->err, -ERR_NOMEM, "no memory for a digest");
	return rc;
}

/* One request, to its end. */
static int transfer_once(struct transfer *x, const char *etag, const char *last_modified, struct digests *actual)
{
	struct sluice_sync *s = x->s;
	struct fetch_remote remote;
	struct fetch_req req = {
		.url = x->what->url,
		.if_none_match = etag[0] != '\0' ? etag : NULL,
		.if_modified_since = last_modified[0] != '\0' ? last_modified : NULL,
		.gather = true,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = x,
	};
	struct fetch *f;
	int rc = transfer_begin(x);

	if (rc != 0)
		return rc;
	wire_remote(s->remote, &remote);
	rc = fetch_start(s->wire.fetch, &remote, &req, &f, &x->err);
	if (rc != 0)
		return rc;
	loop_run_until(s->wire.loop, &x->done);
	return x->rc == 0 && x->status == 200 ? verify(x, actual) : x->rc;
}

/* What fetch does not repeat by itself: it has handed out bytes already. */
static bool may_repeat(const struct transfer *x, int rc)
{
	return rc == -ERR_TRUNCATED || rc == -ERR_DIGEST || rc == -ERR_SIZE ||
	       (x->off > 0 && (rc == -ERR_TIMEOUT || rc == -ERR_CONNECT));
}

static int transfer_run(struct transfer *x, const char *etag, const char *last_modified, struct digests *actual)
{
	struct sluice_sync *s = x->s;
	int rc;

	for (int attempt = 1;; attempt++) {
		rc = transfer_once(x, etag, last_modified, actual);
		if (rc == 0 || !may_repeat(x, rc) || attempt > wire_retries(s->remote))
			break;
		rc = wire_wait(&s->wire, fetch_backoff_ms(attempt), &x->err);
		if (rc != 0)
			break;
	}
	if (rc != 0) {
		s->err = x->err;
		if (s->err.code == 0)
			err_set(&s->err, rc, "the download of upstream's metadata failed: %s", err_text(rc));
		rc = wire_error(&s->err);
	}
	return rc;
}

/* What is saved under the declared sha256 needs no request: upstreams name everything anew in a file that has changed in one
 * place. Read as a download would be: if the file is not what it says, one is made. */
static bool from_store(struct transfer *x, struct digests *actual)
{
	struct sluice_sync *s = x->s;
	char piece[PIECE];
	int64_t size;
	int fd, rc;

	if ((x->expected->have & (1u << DIGEST_SHA256)) == 0 ||
		store_get(s->env->store, x->expected->d[DIGEST_SHA256], x->what->size, &fd, &size, &x->err) != 0)
		return false;
	rc = transfer_begin(x);
	while (rc == 0 && x->off < size) {
		size_t n = (size_t)MIN(size - x->off, PIECE);

		rc = fs_pread_all(fd, piece, n, x->off, &x->err);
		if (rc == 0)
			rc = add(x, piece, n);
	}
	fs_close(&fd);
	if (rc == 0)
		rc = verify(x, actual);
	x->status = 200;
	return rc == 0;
}

/* To the format; a refusal of ours counts, whatever the format makes of it. */
static int hand_over(void *arg, const char *p, size_t n)
{
	struct transfer *x = arg;
	int rc = x->what->take(x->what->arg, p, n);

	return rc < 0 ? rc : x->s->err.code;
}

static int feed_pieces(struct transfer *x, struct unpack *u)
{
	char piece[PIECE];
	int rc = 0;

	for (int64_t at = 0; rc == 0 && at < x->off; at += PIECE) {
		size_t n = (size_t)MIN(x->off - at, PIECE);

		rc = fs_pread_all(staging_fd(x->st), piece, n, at, &x->err);
		if (rc == 0)
			rc = u != NULL ? unpack_feed(u, piece, n, &x->err) : hand_over(x, piece, n);
	}
	return rc == 0 && u != NULL ? unpack_end(u, &x->err) : rc;
}

/* Hands the file over. */
static int feed(struct transfer *x)
{
	struct sluice_sync *s = x->s;
	struct unpack *u = NULL;
	int rc;

	x->err = ERR_INIT;
	if (x->what->open && unpack_new(hand_over, x, &u) != 0)
		return err_set(&s->err, -ERR_NOMEM, "no memory to open upstream's metadata");
	rc = feed_pieces(x, u);
	unpack_free(&u);
	if (rc != 0 && s->err.code == 0) {
		struct err why = x->err;

		(void)about(x, rc, why.code != 0 ? why.msg : "the format stopped reading it");
		s->err = x->err;
	}
	return rc;
}

void kept_free(struct kept **list)
{
	while (*list != NULL) {
		struct kept *k = *list;

		*list = k->next;
		staging_drop(&k->st);
		free(k->name);
		free(k);
	}
}

struct kept *kept_find(struct kept *list, const char *name)
{
	while (list != NULL && (list->st == NULL || strcmp(list->name, name) != 0))
		list = list->next;
	return list;
}

static int keep(struct transfer *x, const char *name, const struct digests *digests)
{
	struct sluice_sync *s = x->s;
	struct kept *k;

	if (s->kept_count >= KEPT_MAX)
		return err_set(&s->err, -ERR_LIMIT, "more than %d metadata files to keep", KEPT_MAX);
	k = calloc(1, sizeof(*k));
	if (k != NULL)
		k->name = strdup(name);
	if (k == NULL || k->name == NULL) {
		free(k);
		return err_set(&s->err, -ERR_NOMEM, "no memory for kept metadata");
	}
	k->st = TAKE(x->st);
	k->digests = *digests;
	k->size = x->off;
	k->next = s->kept;
	s->kept = k;
	s->kept_count++;
	return 0;
}

static void fill(struct sluice_fetched *out, const struct transfer *x, const char *sha256)
{
	*out = (struct sluice_fetched){.status = x->status, .size = x->off};
	memcpy(out->etag, x->etag, sizeof(out->etag));
	memcpy(out->last_modified, x->last_modified, sizeof(out->last_modified));
	(void)snprintf(out->sha256, sizeof(out->sha256), "%.64s", sha256);
}

/* A body has come. */
static int take_body(
	struct transfer *x, const struct digests *actual, const char *old_sha256, struct sluice_fetched *out)
{
	struct sluice_sync *s = x->s;
	char sha256[DIGEST_HEX_MAX];
	int rc;

	digest_hex(DIGEST_SHA256, actual->d[DIGEST_SHA256], sha256);
	fill(out, x, sha256);
	rc = details_note(s, x->what->url, x->etag, x->last_modified, sha256);
	if (rc != 0)
		return rc;
	if (strcmp(sha256, old_sha256) == 0) {
		out->status = 304; /* the same bytes: as good as if upstream had said so */
		return 0;
	}
	s->fetched++;
	task_progress(s->task, "sync.downloading.metadata", "Downloading Metadata", -1, s->fetched);
	if (x->what->take != NULL)
		rc = feed(x);
	if (rc == 0 && x->what->save_as != NULL)
		rc = keep(x, x->what->save_as, actual);
	return rc;
}

static int read_digests(struct sluice_sync *s, const struct sluice_fetch *what, struct digests *out)
{
	*out = (struct digests){.have = 0};
	for (size_t i = 0; i < what->digest_count; i++) {
		const struct sluice_digest *d = &what->digests[i];
		enum digest_alg alg;

		if (digest_alg_parse(slice_str(d->algorithm), &alg) != 0 ||
			digests_set_hex(out, alg, slice_str(d->hex)) != 0)
			return err_set(&s->err, -ERR_INVAL,
				"the digest of a metadata file is of an unknown kind or malformed");
	}
	return 0;
}

/* Why it was not had, for a format that can do without. */
static int give_up(struct transfer *x, struct sluice_fetched *out)
{
	struct sluice_sync *s = x->s;

	fill(out, x, "");
	if (s->err.code != 0 && out->status == 200)
		out->status = 0;
	(void)snprintf(out->problem, sizeof(out->problem), "%.*s", (int)sizeof(out->problem) - 1, s->err.msg);
	s->err = ERR_INIT;
	return 0;
}

/* Upstream has answered. */
static int took(struct transfer *x, const struct digests *actual, const char *sha256, const char *etag,
	const char *last_modified, struct sluice_fetched *out)
{
	const struct sluice_fetch *what = x->what;
	struct sluice_sync *s = x->s;
	struct err why;
	int rc = 0;

	switch (x->status) {
	case 200:
		rc = take_body(x, actual, sha256, out);
		break;
	case 304:
		if (etag[0] == '\0' && last_modified[0] == '\0') {
			rc = wire_status(&s->err, x->status, what->url);
			break;
		}
		fill(out, x, sha256);
		/* A 304 may leave its validators out (RFC 9110 §15.4.5): the old ones hold. */
		rc = details_note(s, what->url, x->etag[0] != '\0' ? x->etag : etag,
			x->last_modified[0] != '\0' ? x->last_modified : last_modified, sha256);
		break;
	case 404:
	case 410:
		(void)wire_status(&why, x->status, what->url);
		fill(out, x, "");
		(void)snprintf(out->problem, sizeof(out->problem), "%.*s", (int)sizeof(out->problem) - 1, why.msg);
		break;
	default:
		rc = wire_status(&s->err, x->status, what->url);
		if (what->optional)
			rc = give_up(x, out);
	}
	return rc;
}

int metadata_fetch(struct sluice_sync *s, const struct sluice_fetch *what, struct sluice_fetched *out)
{
	const json_t *last = what->if_changed && s->may_skip ? json_object_get(s->last, "metadata") : NULL;
	const char *sha256 = details_of(last, what->url, "sha256");
	const char *etag = sha256[0] != '\0' ? details_of(last, what->url, "etag") : "";
	const char *last_modified = sha256[0] != '\0' ? details_of(last, what->url, "last_modified") : "";
	struct digests expected, actual;
	struct transfer x = {.s = s, .what = what, .expected = &expected};
	int rc = read_digests(s, what, &expected);

	if (rc == 0 && !from_store(&x, &actual))
		rc = transfer_run(&x, etag, last_modified, &actual);
	if (rc != 0 && what->optional && rc != -ERR_NOMEM && rc != -ERR_NOSPACE && rc != -ERR_IO)
		rc = give_up(&x, out);
	else if (rc == 0)
		rc = took(&x, &actual, sha256, etag, last_modified, out);
	transfer_fini(&x);
	return rc;
}
