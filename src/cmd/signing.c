/* `sluice signing-service add|list|check|remove`: on the server's own machine, at its data directory, and not by way of the API:
 * what is added is a program that the server will run. */
#include "base/check.h"
#include "base/fsutil.h"
#include "base/gpgv.h"
#include "catalog/query.h"
#include "cmd/commands.h"
#include "cmd/datadir.h"
#include "cmd/names.h"
#include "cmd/wiring.h"
#include "sync/signing.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char sample[] = "Origin: sluice\nLabel: a test of a signing service\n";

struct signing_cmd {
	const struct options *o;
	struct wiring w;
	struct buf out;
};

/* As another user than the server's the database's files could become unreadable for it, and the program would find other keys. */
static int check_user(const char *data, struct err *err)
{
	struct stat st;

	if (stat(data, &st) != 0)
		return err_sys(err, errno, "the data directory '%.300s' (is the server's another one? --data)", data);
	if (st.st_uid != geteuid())
		return err_set(err, -ERR_DENIED,
			"the data directory '%.300s' belongs to the user %ld: run this as that user, who runs the "
			"server",
			data, (long)st.st_uid);
	return 0;
}

/* ---- what is there ---- */

static int find(struct signing_cmd *c, const char *name, json_t **row, struct err *err)
{
	struct query *q = NULL;
	struct txn *t = NULL;
	int rc = query_new(view_find("signing_service"), &q);

	if (rc == 0)
		rc = catalog_read(c->w.catalog, &t, err);
	if (rc == 0)
		rc = query_where(q, "name", QUERY_EQ, slice_str(name), err);
	if (rc == 0)
		rc = query_row(t, q, row, err);
	txn_end(&t);
	query_free(&q);
	return rc == -ERR_NOTFOUND ? err_set(err, rc, "there is no signing service '%.200s'", name) : rc;
}

static int list(struct signing_cmd *c, struct err *err)
{
	struct query *q = NULL;
	struct txn *t = NULL;
	json_t *rows = NULL, *row;
	size_t i;
	int rc = query_new(view_find("signing_service"), &q);

	if (rc == 0)
		rc = catalog_read(c->w.catalog, &t, err);
	if (rc == 0) {
		query_order(q, "name", false);
		query_select(q, "name");
		query_select(q, "pubkey_fingerprint");
		query_select(q, "script");
		rc = query_rows(t, q, &rows, err);
	}
	txn_end(&t);
	query_free(&q);
	json_array_foreach(rows, i, row)
	{
		json_object_del(row, "_id");
		if (!c->o->json)
			buf_addf(&c->out, "%s  %s  %s\n", json_string_value(json_object_get(row, "name")),
				json_string_value(json_object_get(row, "pubkey_fingerprint")),
				json_string_value(json_object_get(row, "script")));
	}
	if (rc == 0 && c->o->json)
		commands_add_json(&c->out, rows);
	json_decref(rows);
	return rc;
}

/* ---- trying ---- */

static int try_it(struct signing_cmd *c, const struct signing_service *s, struct err *err)
{
	struct signatures made;
	int rc = signing_sign(s, "Release", SLICE(sample), c->w.settings.tasks_signing_limit, true, &made, err);

	if (rc != 0)
		return rc;
	buf_addf(&c->out, "%s signs with %s:%s%s\n", s->name, s->fingerprint,
		made.clear.n > 0 ? " clear-signed files" : "",
		made.detached.n == 0 ? ""
		: made.clear.n > 0   ? " and detached signatures"
				     : " detached signatures");
	signatures_fini(&made);
	return 0;
}

static int check(struct signing_cmd *c, const char *name, struct err *err)
{
	struct signing_service s;
	json_t *row = NULL;
	int rc = find(c, name, &row, err);

	if (rc != 0)
		return rc;
	rc = signing_find(c->w.catalog, json_string_value(json_object_get(row, "uuid")), &s, err);
	json_decref(row);
	if (rc == 0) {
		rc = try_it(c, &s, err);
		signing_service_fini(&s);
	}
	return rc;
}

static int insert(struct signing_cmd *c, const struct signing_service *s, struct err *err)
{
	json_t *values = json_pack("{s:s, s:s, s:s, s:s}", "name", s->name, "public_key", s->public_key,
		"pubkey_fingerprint", s->fingerprint, "script", s->script);
	struct txn *t = NULL;
	struct uuid uuid;
	int64_t id;
	int rc = values != NULL ? catalog_write(c->w.catalog, &t, err) : err_set(err, -ERR_NOMEM, "a signing service");

	if (rc == 0)
		rc = row_insert(t, view_find("signing_service"), NULL, values, &id, &uuid, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	json_decref(values);
	return rc == -ERR_EXISTS ? err_set(err, rc, "there is a signing service '%s' already", s->name) : rc;
}

/* Only what signs well is added. */
static int add(struct signing_cmd *c, const char *name, const char *script, const char *key_file, struct err *err)
{
	struct buf key = BUF_INIT(SIGNING_KEY_MAX);
	char fingerprint[GPGV_FINGERPRINT_MAX], path[PATH_MAX];
	struct signing_service s = {
		.name = (char *)(uintptr_t)name, .script = path, .fingerprint = fingerprint}; /* borrowed: not freed */
	int rc = name_check(slice_str(name), err);

	if (rc == 0 && realpath(script, path) == NULL)
		rc = err_sys(err, errno, "'%.300s'", script);
	if (rc == 0 && access(path, X_OK) != 0)
		rc = err_sys(err, errno, "'%.300s' cannot be run", path);
	if (rc == 0)
		rc = fs_read_file(key_file, SIGNING_KEY_MAX, &key, err);
	if (rc == 0 && !slice_is_utf8(buf_slice(&key)))
		rc = err_set(err, -ERR_PARSE, "there is no armoured public key");
	if (rc == 0)
		rc = gpgv_fingerprint(buf_slice(&key), fingerprint, err);
	if (rc != 0 && err->code != 0 && key.n > 0)
		(void)err_wrap(err, "'%.300s'", key_file);
	s.public_key = key.p;
	if (rc == 0)
		rc = try_it(c, &s, err);
	if (rc == 0)
		rc = insert(c, &s, err);
	buf_fini(&key);
	return rc;
}

static int remove_it(struct signing_cmd *c, const char *name, struct err *err)
{
	json_t *row = NULL;
	int rc = find(c, name, &row, err);

	if (rc == 0)
		rc = row_delete(c->w.catalog, view_find("signing_service"),
			json_integer_value(json_object_get(row, "_id")), err);
	json_decref(row);
	return rc;
}

int cmd_signing_service(const struct options *o)
{
	struct signing_cmd c = {.o = o, .out = BUF_INIT(0)};
	const char *what = o->operands[1], *name = o->operands[2];
	struct buf dir = BUF_INIT(PATH_MAX);
	struct err err = ERR_INIT;
	int wanted, rc;

	wanted = strcmp(what, "list") == 0     ? 2
		 : strcmp(what, "add") == 0    ? 5
		 : strcmp(what, "check") == 0  ? 3
		 : strcmp(what, "remove") == 0 ? 3
					       : 0;
	if (wanted != o->operand_count) {
		err_set(&err, -ERR_INVAL,
			"it is `signing-service list`, `add NAME PROGRAM KEYFILE`, `check NAME`, or `remove NAME`");
		return commands_fail("signing-service", -ERR_INVAL, &err);
	}
	rc = datadir_find(o->data, &dir, &err);
	if (rc == 0)
		rc = check_user(dir.p, &err);
	buf_fini(&dir);
	/* As a task is: beside the server, if there is one. */
	if (rc == 0)
		rc = wiring_open_task(o, &c.w, &err);
	if (rc == 0) {
		rc = wanted == 2                  ? list(&c, &err)
		     : wanted == 5                ? add(&c, name, o->operands[3], o->operands[4], &err)
		     : strcmp(what, "check") == 0 ? check(&c, name, &err)
						  : remove_it(&c, name, &err);
		wiring_close(&c.w);
	}
	if (rc == 0)
		rc = commands_print(&c.out, &err);
	buf_fini(&c.out);
	return rc < 0 ? commands_fail("signing-service", rc, &err) : EXIT_OK;
}
