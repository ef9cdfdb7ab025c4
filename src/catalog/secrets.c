/* See secrets.h. How far a catalog is, is the row "secrets" of the table meta: none (values are as an older version left them), "sealed" (they are, but
 * the files may still hold them where rows were before), "clean". */
#include "catalog/secrets.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/log.h"
#include "catalog/catalog_priv.h"
#include "catalog/db_ops.h"
#include "catalog/keyring.h"

#include <stdio.h>
#include <stdlib.h>

#define STATE "secrets"
#define BATCH 1000
#define NAMES_MAX 5 /* of remotes in a message */

static const struct sealed_column {
	const char *table, *column;
	const char *forgotten; /* what it is when given up, SQL; NULL: it is not */
} columns[] = {
	{"remote", "username", "NULL"},
	{"remote", "password", "NULL"},
	{"remote", "proxy_username", "NULL"},
	{"remote", "proxy_password", "NULL"},
	{"remote", "client_key", "NULL"},
	{"remote", "headers", "'[]'"},
	{"task", "args", NULL},
	{"task", "result", NULL},
};

bool catalog_secret_column(struct slice table, struct slice column)
{
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (slice_eq(table, slice_str(columns[i].table)) && slice_eq(column, slice_str(columns[i].column)))
			return true;
	return false;
}

bool catalog_secret_empty(struct slice text)
{
	return text.n == 0 || slice_eq(text, SLICE("[]")) || slice_eq(text, SLICE("{}")) ||
	       slice_eq(text, SLICE("null"));
}

/* ---- walking over the values ---- */

/* One value of one column. Negative ends the walk. */
struct found {
	const struct sealed_column *column;
	int64_t id;
	struct sealed_at at;
	struct slice value;
	const char *name; /* of a remote; "" */
};
typedef int visit(struct txn *t, const struct found *f, void *arg, struct err *err);

struct held {
	int64_t id;
	struct uuid row;
	char *value, *name;
};

static void held_free(struct held *h, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(h[i].value);
		free(h[i].name);
	}
}

/* Up to BATCH values behind row `after`, as they are before any of them is changed. `but`: without those that begin so; NULL: all. */
static int read_batch(struct txn *t, const struct sealed_column *c, int64_t after, const char *but, struct held *out,
	size_t *count, struct err *err)
{
	bool failed = false;
	struct db_stmt *s;
	char sql[400];
	size_t n = 0;
	int rc;

	(void)snprintf(sql, sizeof(sql),
		"SELECT id, uuid, %s, name FROM %s WHERE id > $1 AND %s IS NOT NULL AND %s NOT IN ('', '[]', '{}', "
		"'null') "
		"AND substr(%s, 1, %d) <> $2 ORDER BY id LIMIT %d",
		c->column, c->table, c->column, c->column, c->column, KEYRING_PREFIX_LEN, BATCH);
	if ((rc = db_query_text(txn_db(t), sql, &s, err)) < 0)
		return rc;
	db_bind_i64(s, 1, after);
	db_bind_text(s, 2, slice_str(but != NULL ? but : ""));
	while ((rc = db_step(s, err)) == 1) {
		out[n] = (struct held){.id = db_col_i64(s, 0)};
		col_uuid(s, 1, &out[n].row);
		out[n].value = col_dup(s, 2, &failed);
		out[n].name = col_dup(s, 3, &failed);
		n++;
		if (failed) {
			rc = err_set(err, -ERR_NOMEM, "no memory for the secrets of the catalog");
			break;
		}
	}
	db_done(&s);
	*count = n;
	return rc < 0 ? rc : 0;
}

static int visit_batch(struct txn *t, const struct sealed_column *c, const struct held *h, size_t n, visit *fn,
	void *arg, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct found f = {
			.column = c,
			.id = h[i].id,
			.at = {c->table, c->column, h[i].row},
			.value = slice_str(h[i].value),
			.name = h[i].name != NULL ? h[i].name : "",
		};

		rc = fn(t, &f, arg, err);
	}
	return rc;
}

/* Inside of one transaction. */
static int walk_column(
	struct txn *t, const struct sealed_column *c, const char *but, visit *fn, void *arg, struct err *err)
{
	struct held *h = calloc(BATCH, sizeof(*h));
	int64_t after = 0;
	size_t n = BATCH;
	int rc = h != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for the secrets of the catalog");

	while (rc == 0 && n == BATCH) {
		n = 0;
		rc = read_batch(t, c, after, but, h, &n, err);
		if (rc == 0)
			rc = visit_batch(t, c, h, n, fn, arg, err);
		if (n > 0)
			after = h[n - 1].id;
		held_free(h, n);
	}
	free(h);
	return rc;
}

static int walk(struct txn *t, const char *table, visit *fn, void *arg, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(columns) && rc == 0; i++)
		if (table == NULL || strcmp(columns[i].table, table) == 0)
			rc = walk_column(t, &columns[i], NULL, fn, arg, err);
	return rc;
}

static int set_value(struct txn *t, const struct found *f, struct slice value, struct err *err)
{
	struct db_stmt *s;
	char sql[128];
	int rc;

	(void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s = $1 WHERE id = $2", f->column->table, f->column->column);
	if ((rc = db_query_text(txn_db(t), sql, &s, err)) < 0)
		return rc;
	db_bind_text(s, 1, value);
	db_bind_i64(s, 2, f->id);
	return db_run(&s, err);
}

/* ---- checking ---- */

struct locked {
	const struct keyring *k;
	struct buf names;
	int64_t remotes, last_remote, values;
};

static int try_value(struct txn *t, const struct found *f, void *arg, struct err *err)
{
	struct locked *l = arg;
	char *plain = NULL;
	size_t n = 0;
	int rc = keyring_open(l->k, &f->at, f->value, &plain, &n, err);

	free(plain);
	if (rc != -ERR_DENIED)
		return rc;
	l->values++;
	return 0;
}

/* By remote, so that each is named once. */
static int try_remotes(struct txn *t, struct locked *l, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT id, uuid, name, username, password, proxy_username, proxy_password, client_key, headers "
		"FROM remote ORDER BY name",
		&s, err);

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		struct found f = {.id = db_col_i64(s, 0)};
		int64_t before = l->values;
		struct err why = ERR_INIT;

		for (size_t i = 0; i < ARRAY_LEN(columns) && rc >= 0; i++) {
			if (strcmp(columns[i].table, "remote") != 0)
				continue;
			f.at = (struct sealed_at){.table = "remote", .column = columns[i].column};
			col_uuid(s, 1, &f.at.row);
			f.value = db_col_text(s, 3 + (int)i);
			rc = f.value.p != NULL ? try_value(t, &f, l, &why) : rc;
		}
		if (rc < 0) {
			if (err != NULL)
				*err = why;
			break;
		}
		if (l->values > before && ++l->remotes <= NAMES_MAX)
			buf_addf(&l->names, "%s'%.*s'", l->remotes > 1 ? ", " : "", SLICE_ARG(db_col_text(s, 2)));
	}
	db_done(&s);
	return rc < 0 ? rc : 0;
}

static int check(struct txn *t, const struct keyring *k, const char *path, bool fresh, struct err *err)
{
	struct locked l = {.k = k, .names = BUF_INIT(4096)};
	char more[48] = "";
	int rc = try_remotes(t, &l, err);

	if (l.remotes > NAMES_MAX)
		(void)snprintf(more, sizeof(more), " and %lld more", (long long)l.remotes - NAMES_MAX);
	if (rc == 0 && l.remotes > 0)
		rc = err_set(err, -ERR_DENIED,
			"%s '%s'%s the secrets of the remotes %s%s: put the right file there, or give up these secrets "
			"with "
			"`sluice secrets forget`",
			fresh ? "the key file" : "no key in", path, fresh ? " is missing, which opens" : " opens",
			l.names.p != NULL ? l.names.p : "", more);
	buf_fini(&l.names);
	return rc;
}

/* ---- sealing what is not ---- */

struct sealing {
	const struct keyring *k;
	int64_t count;
};

static int seal_value(struct txn *t, const struct found *f, void *arg, struct err *err)
{
	struct sealing *s = arg;
	char *sealed = NULL;
	int rc = keyring_seal(s->k, &f->at, f->value, &sealed, err);

	if (rc == 0)
		rc = set_value(t, f, slice_str(sealed), err);
	free(sealed);
	s->count++;
	return rc;
}

/* "", "sealed" or "clean". */
static int read_state(struct txn *t, char out[16], struct err *err)
{
	char *state = NULL;
	int rc = catalog_meta_get(t, STATE, &state, err);

	out[0] = '\0';
	if (rc == 0)
		(void)snprintf(out, 16, "%s", state);
	free(state);
	return rc == -ERR_NOTFOUND ? 0 : rc;
}

static int set_state(struct catalog *c, const char *state, struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_write(c, &t, err);

	if (rc == 0)
		rc = catalog_meta_set(t, STATE, state, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

/* All of it or nothing: afterwards everything counts as sealed, whatever a password looks like. */
static int seal_all(struct catalog *c, const struct keyring *k, char state[16], struct err *err)
{
	struct sealing s = {.k = k};
	struct txn *t = NULL;
	int rc = catalog_write(c, &t, err);

	if (rc == 0)
		rc = walk(t, NULL, seal_value, &s, err);
	(void)snprintf(state, 16, "%s", s.count > 0 ? "sealed" : "clean");
	if (rc == 0)
		rc = catalog_meta_set(t, STATE, state, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc == 0 && s.count > 0)
		log_info("catalog", "%lld secrets that were stored in the clear are sealed", (long long)s.count);
	return rc;
}

/* Rows that were changed leave what they held in the files until the place is used again. Without room for that the server works, too; the next start
 * tries again. */
static int erase(struct catalog *c, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = FAULT("secrets.erase");

	rc = rc < 0 ? err_sys(&why, -rc, "erasing") : catalog_erase(c, &why);
	if (rc < 0) {
		log_warn("catalog",
			"old secrets may be left in unused parts of the database's files until the next start: %s",
			why.msg);
		return 0;
	}
	return set_state(c, "clean", err);
}

int catalog_secrets_start(struct catalog *c, const struct keyring *k, const char *path, bool fresh, struct err *err)
{
	struct txn *t = NULL;
	char state[16] = "";
	int rc = catalog_read(c, &t, err);

	if (rc == 0)
		rc = read_state(t, state, err);
	if (rc == 0 && state[0] != '\0')
		rc = check(t, k, path, fresh, err);
	txn_end(&t);
	/* Nothing is sealed with a key that is not safe. */
	if (rc == 0 && fresh && (rc = keyring_save(k, path, err)) == 0)
		log_info("catalog", "'%s' is made: it opens the secrets of the catalog, keep a copy of it", path);
	if (rc == 0 && (rc = FAULT("secrets.start")) < 0)
		rc = err_sys(err, -rc, "sealing secrets");
	if (rc == 0 && state[0] == '\0')
		rc = seal_all(c, k, state, err);
	if (rc == 0 && strcmp(state, "sealed") == 0)
		rc = erase(c, err);
	return rc;
}

/* ---- another key ---- */

static int reseal_value(struct txn *t, const struct found *f, void *arg, struct err *err)
{
	struct sealing *s = arg;
	char *plain = NULL, *sealed = NULL;
	size_t n = 0;
	int rc = keyring_open(s->k, &f->at, f->value, &plain, &n, err);

	/* Of a task of former times, whose key was given up: nothing needs it. */
	if (rc == -ERR_DENIED && f->column->forgotten == NULL)
		return 0;
	if (rc == 0)
		rc = keyring_seal(s->k, &f->at, slice_of(plain, n), &sealed, err);
	if (rc == 0)
		rc = set_value(t, f, slice_str(sealed), err);
	free(plain);
	free(sealed);
	s->count++;
	return rc;
}

/* A transaction for each batch: whatever was done stays, since every key that is needed is in the file. */
static int reseal_column(struct catalog *c, const struct sealed_column *col, struct sealing *s, struct err *err)
{
	struct held *h = calloc(BATCH, sizeof(*h));
	char but[KEYRING_PREFIX_LEN + 1];
	struct txn *t = NULL;
	int64_t after = 0;
	size_t n = BATCH;
	int rc = h != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for the secrets of the catalog");

	keyring_prefix(s->k, but);
	while (rc == 0 && n == BATCH) {
		n = 0;
		if ((rc = catalog_write(c, &t, err)) == 0)
			rc = read_batch(t, col, after, but, h, &n, err);
		if (rc == 0)
			rc = visit_batch(t, col, h, n, reseal_value, s, err);
		if (rc == 0 && (rc = FAULT("secrets.rotate.batch")) < 0)
			rc = err_sys(err, -rc, "changing the key");
		if (rc == 0)
			rc = txn_commit(&t, err);
		txn_end(&t);
		if (n > 0)
			after = h[n - 1].id;
		held_free(h, n);
	}
	free(h);
	return rc;
}

/* Everything under the first key, and no other key left. */
static int settle(struct catalog *c, struct keyring *k, const char *path, int64_t *count, struct err *err)
{
	struct sealing s = {.k = k};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(columns) && rc == 0; i++)
		rc = reseal_column(c, &columns[i], &s, err);
	if (rc == 0 && (rc = FAULT("secrets.rotate.settled")) < 0)
		rc = err_sys(err, -rc, "changing the key");
	if (rc == 0 && keyring_count(k) > 1) {
		keyring_keep_first(k);
		rc = keyring_save(k, path, err);
	}
	*count = s.count;
	return rc;
}

int catalog_secrets_rotate(struct catalog *c, struct keyring *k, const char *path, struct err *err)
{
	int64_t count = 0;
	int rc = catalog_secrets_start(c, k, path, false, err);

	/* one that was interrupted comes to its end first */
	if (rc == 0)
		rc = settle(c, k, path, &count, err);
	if (rc == 0)
		rc = keyring_add(k, err);
	if (rc == 0)
		rc = keyring_save(k, path, err);
	if (rc == 0 && (rc = FAULT("secrets.rotate.added")) < 0)
		rc = err_sys(err, -rc, "changing the key");
	if (rc == 0)
		rc = settle(c, k, path, &count, err);
	/* who has the old key and the files must not find anything in them */
	if (rc == 0)
		rc = set_state(c, "sealed", err);
	return rc == 0 ? erase(c, err) : rc;
}

/* ---- giving up ---- */

struct forgetting {
	const struct keyring *k;
	int64_t count;
};

static int forget_value(struct txn *t, const struct found *f, void *arg, struct err *err)
{
	struct forgetting *g = arg;
	struct err why = ERR_INIT;
	struct db_stmt *s;
	char sql[160];
	char *plain = NULL;
	size_t n = 0;
	int rc = keyring_open(g->k, &f->at, f->value, &plain, &n, &why);

	free(plain);
	if (rc != -ERR_DENIED) {
		if (rc < 0 && err != NULL)
			*err = why;
		return rc;
	}
	log_warn("catalog", "remote '%s': %s is given up: %s", f->name, f->column->column, why.msg);
	(void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %s WHERE id = $1", f->column->table, f->column->column,
		f->column->forgotten);
	if ((rc = db_query_text(txn_db(t), sql, &s, err)) < 0)
		return rc;
	db_bind_i64(s, 1, f->id);
	g->count++;
	return db_run(&s, err);
}

int catalog_secrets_forget(struct catalog *c, const struct keyring *k, int64_t *count, struct err *err)
{
	struct forgetting g = {.k = k};
	struct txn *t = NULL;
	int rc = catalog_write(c, &t, err);

	if (rc == 0)
		rc = walk(t, "remote", forget_value, &g, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc == 0)
		*count = g.count;
	return rc;
}
