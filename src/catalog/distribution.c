/* Which set of paths a distribution points at, and the table of all distributions. Reads only; no state. */
#include "catalog/distribution.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"

#include <stdlib.h>

#define PUBLICATION_COLUMNS "p.id, v.repository_id, v.number, p.pass_through, p.created"
#define PUBLICATION_FROM " FROM publication p JOIN repository_version v ON v.id = p.repository_version_id "

static void read_set(struct db_stmt *s, struct served_set *out)
{
	*out = (struct served_set){
		.publication_id = db_col_i64(s, 0),
		.repository_id = db_col_i64(s, 1),
		.version_number = db_col_i64(s, 2),
		.pass_through = db_col_i64(s, 3) != 0,
		.date_us = db_col_i64(s, 4),
	};
}

static int current_publication(
	struct db *db, const struct distribution_source *src, struct db_stmt **s, struct err *err)
{
	if (src->publication_id != 0)
		return db_first(db, "SELECT " PUBLICATION_COLUMNS PUBLICATION_FROM "WHERE p.id = $1 AND p.complete = 1",
			s, err, DB_I64(src->publication_id));
	if (src->version_id != 0)
		return db_first(db,
			"SELECT " PUBLICATION_COLUMNS PUBLICATION_FROM
			"WHERE p.repository_version_id = $1 AND p.complete = 1 "
			"ORDER BY p.created DESC, p.id DESC LIMIT 1",
			s, err, DB_I64(src->version_id));
	return db_first(db,
		"SELECT " PUBLICATION_COLUMNS PUBLICATION_FROM "WHERE v.repository_id = $1 AND p.complete = 1 "
		"ORDER BY v.number DESC, p.created DESC, p.id DESC LIMIT 1",
		s, err, DB_I64(src->repository_id));
}

static int current_version(struct db *db, const struct distribution_source *src, struct db_stmt **s, struct err *err)
{
	if (src->version_id != 0)
		return db_first(db,
			"SELECT 0, v.repository_id, v.number, 1, v.created FROM repository_version v "
			"WHERE v.id = $1 AND v.complete = 1",
			s, err, DB_I64(src->version_id));
	return db_first(db,
		"SELECT 0, v.repository_id, v.number, 1, v.created FROM repository_version v "
		"WHERE v.repository_id = $1 AND v.complete = 1 ORDER BY v.number DESC LIMIT 1",
		s, err, DB_I64(src->repository_id));
}

int distribution_current(struct db *db, const struct distribution_source *src, bool needs_publication,
	struct served_set *out, struct err *err)
{
	struct db_stmt *s;
	int rc;

	if (src->publication_id == 0 && src->version_id == 0 && src->repository_id == 0)
		return 0;
	rc = current_publication(db, src, &s, err);
	if (rc == 0 && !needs_publication && src->publication_id == 0)
		rc = current_version(db, src, &s, err);
	if (rc == 1)
		read_set(s, out);
	db_done(&s);
	return rc;
}

/* --- the table --- */

void served_table_free(struct served_table **pt)
{
	struct served_table *t = TAKE(*pt);

	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++) {
		free(t->d[i].name);
		free(t->d[i].base_path);
		free(t->d[i].type);
		free(t->d[i].sets);
	}
	free(t->d);
	free(t);
}

static int add_set(struct served_distribution *d, const struct served_set *set, struct err *err)
{
	struct served_set *more = realloc(d->sets, (d->set_count + 1) * sizeof(*more));

	if (more == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the distributions");
	d->sets = more;
	d->sets[d->set_count++] = *set;
	return 0;
}

/* What it served before and is still answered, newest first. */
static int add_history(struct db *db, struct served_distribution *d, int64_t since_us, struct err *err)
{
	int64_t current = d->set_count > 0 ? d->sets[0].publication_id : 0;
	struct served_set set;
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT " PUBLICATION_COLUMNS PUBLICATION_FROM "JOIN distribution_history h ON h.publication_id = p.id "
		"WHERE h.distribution_id = $1 AND h.superseded_at >= $2 AND p.complete = 1 AND p.id <> $3 "
		"ORDER BY h.superseded_at DESC, p.id DESC",
		&s, err, DB_I64(d->id), DB_I64(since_us), DB_I64(current));

	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = db_step(s, err)) == 1) {
		read_set(s, &set);
		set.superseded = true;
		rc = add_set(d, &set, err);
	}
	db_done(&s);
	return rc;
}

static int add_distribution(struct db *db, struct db_stmt *s, int64_t since_us,
	bool (*needs_publication)(const char *type), struct served_distribution *d, struct err *err)
{
	struct distribution_source src = {
		.repository_id = db_col_i64(s, 7), .version_id = db_col_i64(s, 8), .publication_id = db_col_i64(s, 9)};
	struct served_set set;
	bool failed = false, has_content;
	int rc;

	d->id = db_col_i64(s, 0);
	col_uuid(s, 1, &d->uuid);
	d->type = col_dup(s, 2, &failed);
	d->name = col_dup(s, 3, &failed);
	d->base_path = col_dup(s, 4, &failed);
	d->hidden = db_col_i64(s, 5) != 0;
	d->content_guard_id = db_col_i64(s, 6);
	has_content = src.repository_id != 0 || src.version_id != 0 || src.publication_id != 0;
	d->has_source = has_content || !db_col_null(s, 10);
	if (failed)
		return err_set(err, -ERR_NOMEM, "no memory for the distributions");
	if (!has_content) /* the history is forgotten with the source (facts 4.2) */
		return 0;
	rc = distribution_current(db, &src, needs_publication == NULL || needs_publication(d->type), &set, err);
	if (rc == 1)
		rc = add_set(d, &set, err);
	if (rc == 0 && since_us > 0)
		rc = add_history(db, d, since_us, err);
	return rc;
}

int catalog_served_load(struct txn *t, int64_t window_us, bool (*needs_publication)(const char *type),
	struct served_table **out, struct err *err)
{
	int64_t since_us = window_us > 0 ? MAX(1, clock_wall_us() - window_us) : 0;
	struct served_table *table = calloc(1, sizeof(*table));
	struct served_distribution *more;
	struct db_stmt *s = NULL;
	size_t cap = 0;
	int rc;

	if (table == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the distributions");
	rc = db_rows(txn_db(t),
		"SELECT id, uuid, type, name, base_path, hidden, content_guard_id, repository_id, "
		"repository_version_id, "
		"publication_id, remote_id FROM distribution ORDER BY base_path",
		&s, err);
	while (rc >= 0 && (rc = db_step(s, err)) == 1) {
		if (table->count == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			more = realloc(table->d, cap * sizeof(*more));
			if (more == NULL) {
				rc = err_set(err, -ERR_NOMEM, "no memory for the distributions");
				break;
			}
			table->d = more;
		}
		table->d[table->count] = (struct served_distribution){.id = 0};
		rc = add_distribution(txn_db(t), s, since_us, needs_publication, &table->d[table->count++], err);
	}
	db_done(&s);
	if (rc < 0)
		served_table_free(&table);
	else
		*out = table;
	return rc;
}
