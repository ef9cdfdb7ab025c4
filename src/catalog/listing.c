/* Directories: there are none in the catalog, only sorted paths. An entry costs one seek: after a file to the path
 * behind it, after a directory "d" to "d0", '0' being the byte behind '/'. So what lies inside of a directory is
 * never walked.
 *
 * Two cursors, over published and over passed-through paths, are merged. Their order is that of the bytes with a
 * directory's slash counted, which is also how a listing shows them. */
#include "catalog/served.h"

#include "base/buf.h"
#include "base/check.h"
#include "catalog/catalog_priv.h"

struct cursor {
	bool published;
	bool at_entry;
	struct buf from; /* where the next seek begins */
	bool inclusive;  /* a path that equals `from` counts */
	struct buf name; /* of the entry, a directory's with its slash */
	bool is_dir;
	int64_t size, date_us;
};

#define DECLARED_SIZE                                                                   \
	"(SELECT ra.size FROM remote_artifact ra WHERE ra.content_artifact_id = ca.id " \
	"ORDER BY CASE WHEN ra.sha256 IS NULL THEN 1 ELSE 0 END, ra.id LIMIT 1)"

#define UNIT_SEEK(op)                                                                                        \
	"SELECT rp.relative_path, COALESCE(a.size, " DECLARED_SIZE "), rp.added_at FROM repository_path rp " \
	"LEFT JOIN content_artifact ca ON ca.id = rp.content_artifact_id "                                   \
	"LEFT JOIN artifact a ON a.id = ca.artifact_id WHERE rp.repository_id = $1 AND rp.relative_path " op \
	" $2 AND rp.version_added <= $3 AND (rp.version_removed IS NULL OR rp.version_removed > $3) "        \
	"ORDER BY rp.relative_path LIMIT 1"

#define PUBLISHED_SEEK(op)                                                                                      \
	"SELECT pa.relative_path, COALESCE(a.size, " DECLARED_SIZE "), $3 FROM published_artifact pa "          \
	"LEFT JOIN content_artifact ca ON ca.id = pa.content_artifact_id "                                      \
	"LEFT JOIN artifact a ON a.id = COALESCE(pa.artifact_id, ca.artifact_id) WHERE pa.publication_id = $1 " \
	"AND pa.relative_path " op " $2 ORDER BY pa.relative_path LIMIT 1"

static int seek(
	struct db *db, const struct served_set *set, const struct cursor *c, struct db_stmt **s, struct err *err)
{
	struct slice from = c->from.n > 0 ? buf_slice(&c->from) : SLICE("");

	if (c->published)
		return db_first(db, c->inclusive ? PUBLISHED_SEEK(">=") : PUBLISHED_SEEK(">"), s, err,
			DB_I64(set->publication_id), DB_TEXT(from), DB_I64(set->date_us));
	return db_first(db, c->inclusive ? UNIT_SEEK(">=") : UNIT_SEEK(">"), s, err, DB_I64(set->repository_id),
		DB_TEXT(from), DB_I64(set->version_number));
}

/* Moves to the next entry below `prefix` (empty, or ending in a slash). */
static int cursor_next(
	struct db *db, const struct served_set *set, struct cursor *c, struct slice prefix, struct err *err)
{
	struct db_stmt *s;
	struct slice path, name;
	ptrdiff_t slash;
	int rc = seek(db, set, c, &s, err);

	c->at_entry = false;
	if (rc <= 0)
		return rc;
	path = db_col_text(s, 0);
	if (!slice_starts(path, prefix)) {
		rc = 0;
		goto out;
	}
	name = slice_of(path.p + prefix.n, path.n - prefix.n);
	slash = slice_chr(name, '/');
	c->is_dir = slash >= 0;
	if (c->is_dir)
		name.n = (size_t)slash + 1;
	c->size = col_size(s, 1);
	c->date_us = db_col_i64(s, 2);
	buf_reset(&c->name);
	buf_reset(&c->from);
	buf_add_slice(&c->name, name);
	buf_add(&c->from, path.p, prefix.n + name.n - (c->is_dir ? 1 : 0));
	if (c->is_dir)
		buf_adds(&c->from, "0");
	c->inclusive = c->is_dir;
	c->at_entry = true;
	rc = c->name.failed < 0 || c->from.failed < 0 ? err_set(err, -ERR_NOMEM, "no memory for a listing") : 0;
out:
	db_done(&s);
	return rc;
}

static int compare(const struct cursor *a, const struct cursor *b)
{
	int order;

	if (!a->at_entry || !b->at_entry)
		return a->at_entry ? -1 : 1;
	order = memcmp(a->name.p, b->name.p, MIN(a->name.n, b->name.n));
	return order != 0 ? order : (a->name.n > b->name.n) - (a->name.n < b->name.n);
}

static int prefix_of(struct slice dir, struct buf *out, struct err *err)
{
	if (dir.n > 0) {
		buf_add_slice(out, dir);
		buf_adds(out, "/");
	}
	return out->failed < 0 ? err_set(err, out->failed, "no memory for a listing") : 0;
}

/* Puts a cursor before the first path below `prefix`. No path ends in a slash, so the directory itself is not met. */
static void cursor_init(struct cursor *c, bool published, struct slice prefix)
{
	*c = (struct cursor){.published = published, .inclusive = true};
	buf_add(&c->from, prefix.p != NULL ? prefix.p : "", prefix.n);
}

static void cursor_fini(struct cursor *c)
{
	buf_fini(&c->from);
	buf_fini(&c->name);
}

int catalog_listing(struct txn *t, const struct served_set *set, struct slice dir,
	int (*fn)(void *arg, const struct listing_entry *e), void *arg, struct err *err)
{
	struct db *db = txn_db(t);
	struct buf prefix_buf = BUF_INIT(0);
	struct cursor published, units;
	struct slice prefix;
	int rc = prefix_of(dir, &prefix_buf, err);

	prefix = buf_slice(&prefix_buf);
	cursor_init(&published, true, prefix);
	cursor_init(&units, false, prefix);
	if (rc == 0 && set->publication_id != 0)
		rc = cursor_next(db, set, &published, prefix, err);
	if (rc == 0 && set->pass_through)
		rc = cursor_next(db, set, &units, prefix, err);
	while (rc == 0 && (published.at_entry || units.at_entry)) {
		int order = compare(&published, &units);
		struct cursor *c = order <= 0 ? &published : &units;
		struct listing_entry e = {
			.name = slice_of(c->name.p, c->name.n - (c->is_dir ? 1 : 0)),
			.is_dir = c->is_dir,
			.size = c->size,
			.date_us = c->date_us,
		};

		rc = fn(arg, &e);
		if (rc == 0 && order <= 0)
			rc = cursor_next(db, set, &published, prefix, err);
		if (rc == 0 && order >= 0)
			rc = cursor_next(db, set, &units, prefix, err);
	}
	cursor_fini(&published);
	cursor_fini(&units);
	buf_fini(&prefix_buf);
	return rc;
}

int catalog_path_is_dir(struct txn *t, const struct served_set *set, struct slice path, struct err *err)
{
	struct buf prefix = BUF_INIT(0);
	struct cursor c;
	int rc = prefix_of(path, &prefix, err);
	bool found = false;

	for (int published = 1; published >= 0 && rc == 0 && !found; published--) {
		if (published ? set->publication_id == 0 : !set->pass_through)
			continue;
		cursor_init(&c, published, buf_slice(&prefix));
		rc = cursor_next(txn_db(t), set, &c, buf_slice(&prefix), err);
		found = c.at_entry;
		cursor_fini(&c);
	}
	buf_fini(&prefix);
	return rc < 0 ? rc : found;
}

static int each_path(struct db_stmt *s, int (*fn)(void *arg, struct slice path), void *arg, struct err *err)
{
	int rc;

	while ((rc = db_step(s, err)) == 1) {
		rc = fn(arg, db_col_text(s, 0));
		if (rc != 0)
			break;
	}
	db_done(&s);
	return rc;
}

int catalog_paths_each(struct txn *t, const struct served_set *set, int (*fn)(void *arg, struct slice path), void *arg,
	struct err *err)
{
	struct db_stmt *s;
	int rc = 0;

	if (set->publication_id != 0) {
		rc = db_rows(txn_db(t),
			"SELECT relative_path FROM published_artifact WHERE publication_id = $1 ORDER BY relative_path",
			&s, err, DB_I64(set->publication_id));
		if (rc == 0)
			rc = each_path(s, fn, arg, err);
	}
	if (rc == 0 && set->pass_through) {
		rc = db_rows(txn_db(t),
			"SELECT relative_path FROM repository_path WHERE repository_id = $1 AND version_added <= $2 "
			"AND (version_removed IS NULL OR version_removed > $2) ORDER BY relative_path",
			&s, err, DB_I64(set->repository_id), DB_I64(set->version_number));
		if (rc == 0)
			rc = each_path(s, fn, arg, err);
	}
	return rc;
}
