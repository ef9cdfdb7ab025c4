/* Generic writes over the views: one row from a JSON object of column values. The statements are made of names from
 * views.c; values are parameters. One thread, inside a write transaction of the caller's. */
#include "catalog/query.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"
#include "catalog/db.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUES_MAX 64
#define BYTES_MAX (64u << 20) /* of one row: labels and certificates of a request body */

struct value {
	const char *store;
	enum { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BLOB } kind;
	int64_t i;
	double f;
	struct slice s;
};
struct row {
	struct arena arena;
	const char *table;
	struct uuid uuid; /* of a dated one */
	struct value v[VALUES_MAX];
	size_t count;
};

static void row_add(struct row *r, struct value v)
{
	BUG(r->count == VALUES_MAX);
	r->v[r->count++] = v;
}

static int referenced_id(struct txn *t, const char *view, struct slice uuid, int64_t *id, struct err *err)
{
	const struct view *v = view_find(view);
	struct db_stmt *st = NULL;
	struct uuid u;
	char sql[96];
	int rc;

	BUG(v == NULL);
	if (uuid_parse(uuid, &u) < 0)
		return err_set(err, -ERR_INVAL, "not a UUID: '%.*s'", SLICE_ARG(uuid));
	(void)snprintf(sql, sizeof(sql), "SELECT id FROM %s WHERE uuid = $1", v->table);
	if ((rc = db_query_text(txn_db(t), sql, &st, err)) < 0)
		return rc;
	db_bind_blob(st, 1, slice_of((const char *)u.b, sizeof(u.b)));
	if ((rc = db_step(st, err)) > 0)
		*id = db_col_i64(st, 0);
	else if (rc == 0)
		rc = err_set(err, -ERR_NOTFOUND, "the %s %.*s does not exist any more", view, SLICE_ARG(uuid));
	db_done(&st);
	return rc < 0 ? rc : 0;
}

/* As it is written, in the arena. */
static int sealed_text(struct txn *t, struct row *r, const struct view_column *c, struct slice *text, struct err *err)
{
	struct sealed_at at = {.table = r->table, .column = c->store, .row = r->uuid};
	char *mem = NULL;
	int rc;

	if (!c->secret || (rc = secret_sealed(t, &at, *text, text, &mem, err)) < 0)
		return c->secret ? rc : 0;
	if (mem != NULL) {
		text->p = arena_strdup(&r->arena, *text);
		free(mem);
	}
	return text->p != NULL ? 0 : err_set(err, -ERR_NOMEM, "out of memory for '%s'", c->name);
}

static int value_of(struct txn *t, struct row *r, const struct view_column *c, const json_t *in, struct err *err)
{
	struct slice text = {json_string_value(in), json_is_string(in) ? json_string_length(in) : 0};
	struct value v = {.store = c->store};
	char *dump;
	int rc;

	if (json_is_null(in)) {
		row_add(r, v);
		return 0;
	}
	switch (c->type) {
	case COL_UUID:
		if (c->ref == NULL || text.p == NULL)
			goto wrong;
		v.kind = VALUE_INT;
		if ((rc = referenced_id(t, c->ref, text, &v.i, err)) < 0)
			return rc;
		break;
	case COL_INT:
	case COL_BOOL:
		if (json_is_integer(in) == json_is_boolean(in))
			goto wrong;
		v.kind = VALUE_INT;
		v.i = json_is_integer(in) ? json_integer_value(in) : json_is_true(in);
		break;
	case COL_REAL:
		if (!json_is_number(in))
			goto wrong;
		v.kind = VALUE_REAL;
		v.f = json_number_value(in);
		break;
	case COL_TEXT:
		if (text.p == NULL)
			goto wrong;
		v.kind = VALUE_TEXT;
		v.s = text;
		if ((rc = sealed_text(t, r, c, &v.s, err)) < 0)
			return rc;
		break;
	case COL_TIME:
		if (text.p == NULL || clock_iso_parse(text, &v.i) < 0)
			goto wrong;
		v.kind = VALUE_INT;
		break;
	case COL_JSON:
		if ((dump = json_dumps(in, JSON_COMPACT | JSON_ENCODE_ANY)) == NULL)
			return err_set(err, -ERR_NOMEM, "out of memory for '%s'", c->name);
		v.kind = VALUE_TEXT;
		v.s.p = arena_strdup(&r->arena, slice_str(dump));
		v.s.n = strlen(dump);
		free(dump);
		if (v.s.p == NULL)
			return err_set(err, -ERR_NOMEM, "out of memory for '%s'", c->name);
		if ((rc = sealed_text(t, r, c, &v.s, err)) < 0)
			return rc;
		break;
	case COL_HEX:
		goto wrong; /* no view has writable ones */
	}
	row_add(r, v);
	return 0;
wrong:
	return err_set(err, -ERR_INVAL, "a value of the wrong type for '%s'", c->name);
}

static int row_fill(struct txn *t, struct row *r, const struct view *v, const json_t *values, struct err *err)
{
	const char *key;
	const json_t *in;
	int rc;

	json_object_foreach((json_t *)values, key, in)
	{
		const struct view_column *c = view_column_find(v, key);

		BUG(c == NULL || c->store == NULL);
		if ((rc = value_of(t, r, c, in, err)) < 0)
			return rc;
	}
	return 0;
}

static void row_bind(struct db_stmt *st, const struct row *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct value *v = &r->v[i];
		int at = (int)i + 1;

		if (v->kind == VALUE_NULL)
			db_bind_null(st, at);
		else if (v->kind == VALUE_INT)
			db_bind_i64(st, at, v->i);
		else if (v->kind == VALUE_REAL)
			db_bind_f64(st, at, v->f);
		else if (v->kind == VALUE_TEXT)
			db_bind_text(st, at, v->s);
		else
			db_bind_blob(st, at, v->s);
	}
}

/* Later than the newest of the table, whichever process wrote that: lists are ordered by it. */
static int created_us(struct txn *t, const struct view *v, int64_t *out, struct err *err)
{
	struct db_stmt *st;
	char sql[96];
	int rc;

	(void)snprintf(sql, sizeof(sql), "SELECT created FROM %s ORDER BY id DESC LIMIT 1", v->table);
	if ((rc = db_query_text(txn_db(t), sql, &st, err)) < 0)
		return rc;
	*out = clock_wall_unique_us();
	if ((rc = db_step(st, err)) > 0)
		*out = MAX(*out, db_col_i64(st, 0) + 1);
	db_done(&st);
	return MIN(rc, 0);
}

int row_insert(struct txn *t, const struct view *v, const char *type, const json_t *values, int64_t *id,
	struct uuid *uuid, struct err *err)
{
	struct buf sql = BUF_INIT(1 << 16);
	struct uuid u = uuid_v7();
	struct db_stmt *st = NULL;
	int64_t now = 0;
	struct row r = {.table = v->table, .uuid = u};
	int rc;

	arena_init(&r.arena, BYTES_MAX);
	BUG(v->typed && type == NULL);
	if (v->typed)
		row_add(&r, (struct value){.store = "type", .kind = VALUE_TEXT, .s = slice_str(type)});
	if (v->dated && (rc = created_us(t, v, &now, err)) < 0)
		goto out;
	if (v->dated) {
		row_add(&r, (struct value){.store = "uuid", .kind = VALUE_BLOB, .s = {(const char *)u.b, sizeof(u.b)}});
		row_add(&r, (struct value){.store = "created", .kind = VALUE_INT, .i = now});
		row_add(&r, (struct value){.store = "updated", .kind = VALUE_INT, .i = now});
	}
	if ((rc = row_fill(t, &r, v, values, err)) < 0)
		goto out;
	buf_addf(&sql, "INSERT INTO %s (", v->table);
	for (size_t i = 0; i < r.count; i++)
		buf_addf(&sql, "%s%s", i > 0 ? ", " : "", r.v[i].store);
	buf_adds(&sql, ") VALUES (");
	for (size_t i = 0; i < r.count; i++)
		buf_addf(&sql, "%s$%zu", i > 0 ? ", " : "", i + 1);
	buf_adds(&sql, ")");
	if ((rc = sql.failed) < 0 || (rc = db_query_text(txn_db(t), sql.p, &st, err)) < 0)
		goto out;
	row_bind(st, &r);
	if ((rc = db_run(&st, err)) < 0)
		goto out;
	*id = db_last_id(txn_db(t));
	if (uuid != NULL)
		*uuid = u;
	if (v->serves)
		txn_changes_service(t);
out:
	db_done(&st);
	buf_fini(&sql);
	arena_fini(&r.arena);
	return rc;
}

static int uuid_of(struct txn *t, const struct view *v, int64_t id, struct uuid *out, struct err *err)
{
	struct db_stmt *st;
	char sql[96];
	int rc;

	(void)snprintf(sql, sizeof(sql), "SELECT uuid FROM %s WHERE id = $1", v->table);
	if ((rc = db_query_text(txn_db(t), sql, &st, err)) < 0)
		return rc;
	db_bind_i64(st, 1, id);
	if ((rc = db_step(st, err)) > 0)
		col_uuid(st, 0, out);
	db_done(&st);
	return rc == 0 ? err_set(err, -ERR_NOTFOUND, "the %s does not exist any more", v->name) : MIN(rc, 0);
}

int row_update(struct txn *t, const struct view *v, int64_t id, const json_t *values, struct err *err)
{
	struct buf sql = BUF_INIT(1 << 16);
	struct db_stmt *st = NULL;
	struct row r = {.table = v->table};
	int rc;

	arena_init(&r.arena, BYTES_MAX);
	if (v->dated && (rc = uuid_of(t, v, id, &r.uuid, err)) < 0)
		goto out;
	if (v->dated)
		row_add(&r, (struct value){.store = "updated", .kind = VALUE_INT, .i = clock_wall_unique_us()});
	if ((rc = row_fill(t, &r, v, values, err)) < 0)
		goto out;
	if (r.count == 0)
		goto out;
	buf_addf(&sql, "UPDATE %s SET ", v->table);
	for (size_t i = 0; i < r.count; i++)
		buf_addf(&sql, "%s%s = $%zu", i > 0 ? ", " : "", r.v[i].store, i + 1);
	buf_addf(&sql, " WHERE id = $%zu", r.count + 1);
	if ((rc = sql.failed) < 0 || (rc = db_query_text(txn_db(t), sql.p, &st, err)) < 0)
		goto out;
	row_bind(st, &r);
	db_bind_i64(st, (int)r.count + 1, id);
	if ((rc = db_run(&st, err)) < 0)
		goto out;
	if (db_changes(txn_db(t)) == 0)
		rc = err_set(err, -ERR_NOTFOUND, "the %s does not exist any more", v->name);
	else if (v->serves)
		txn_changes_service(t);
out:
	db_done(&st);
	buf_fini(&sql);
	arena_fini(&r.arena);
	return rc;
}

static int run_with_id(struct txn *t, const char *sql, int64_t id, int64_t *changes, struct err *err)
{
	struct db_stmt *st;
	int rc;

	if ((rc = db_query_text(txn_db(t), sql, &st, err)) < 0)
		return rc;
	db_bind_i64(st, 1, id);
	if ((rc = db_run(&st, err)) == 0 && changes != NULL)
		*changes = db_changes(txn_db(t));
	return rc;
}

static int check_hold(struct txn *t, const struct view *v, int64_t id, struct err *err)
{
	struct db_stmt *s;
	int rc = v->hold != NULL ? db_first(txn_db(t), v->hold->sql, &s, err, DB_I64(id)) : 0;

	if (rc <= 0)
		return rc;
	rc = err_set(err, -ERR_BUSY,
		"Cannot delete the %s because it is referenced through protected foreign keys: '%s' of '%.*s'.",
		v->name, v->hold->by, SLICE_ARG(db_col_text(s, 0)));
	db_done(&s);
	return rc;
}

int row_delete_in(struct txn *t, const struct view *v, int64_t id, struct err *err)
{
	int64_t gone = 0;
	char sql[96];
	int rc;

	(void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE id = $1", v->table);
	if ((rc = check_hold(t, v, id, err)) < 0 || (rc = run_with_id(t, sql, id, &gone, err)) < 0)
		return rc;
	if (gone == 0)
		return err_set(err, -ERR_NOTFOUND, "the %s does not exist any more", v->name);
	if (v->serves)
		txn_changes_service(t);
	return 0;
}

/* One short transaction; *more: a full batch was deleted, there may be others. */
static int bulk_delete(struct catalog *c, const struct view_bulk *b, int64_t id, bool *more, struct err *err)
{
	int64_t rows = 0;
	struct txn *t;
	int rc;

	if ((rc = catalog_write(c, &t, err)) < 0)
		return rc;
	if ((rc = run_with_id(t, b->sql, id, &rows, err)) == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	*more = rows > 0;
	return rc;
}

/* Before anything is taken from it. */
static int check_before(struct catalog *c, const struct view *v, int64_t id, struct err *err)
{
	struct txn *t = NULL;
	int rc = v->hold != NULL ? catalog_read(c, &t, err) : 0;

	if (rc == 0)
		rc = check_hold(t, v, id, err);
	txn_end(&t);
	return rc;
}

static int detach(struct catalog *c, const struct view *v, int64_t id, struct err *err)
{
	struct txn *t;
	int rc = catalog_write(c, &t, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < VIEW_DETACH_MAX && v->detach[i] != NULL && rc == 0; i++)
		rc = run_with_id(t, v->detach[i], id, NULL, err);
	txn_changes_service(t);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

int row_delete(struct catalog *c, const struct view *v, int64_t id, struct err *err)
{
	struct txn *t = NULL;
	bool more;
	int rc;

	if ((rc = check_before(c, v, id, err)) < 0)
		return rc;
	if (v->detach[0] != NULL && (rc = detach(c, v, id, err)) < 0)
		return rc;
	for (size_t i = 0; i < v->bulk_count; i++)
		for (more = true; more;)
			if ((rc = bulk_delete(c, &v->bulk[i], id, &more, err)) < 0)
				return rc;
	if ((rc = catalog_write(c, &t, err)) < 0)
		return rc;
	if ((rc = row_delete_in(t, v, id, err)) == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}
