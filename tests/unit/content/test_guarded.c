/* Distributions with a content guard: nobody learns what is in one, hit or miss, file or not, whom its guard does not let pass; and what a guard said is
 * not asked again before anything changed. */
#include "service.h"

#include "ca.h"

#include "base/check.h"
#include "catalog/db.h"
#include "catalog/guard.h"
#include "content/proofs.h"
#include "guard/guard.h"
#include "guard/signature.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONTENT "/pulp/content/"
#define TRUSTED "127.0.0.0/8"

static _Atomic int logins;
static _Atomic int64_t login_is; /* the user of "Basic good"; 1: an administrator */

static int login(
	void *arg, struct slice authorization, const struct addr *client, struct guard_user *out, struct err *err)
{
	atomic_fetch_add(&logins, 1);
	if (slice_eq(authorization, SLICE("Basic busy")))
		return err_set(err, -ERR_LIMIT, "busy");
	if (!slice_eq(authorization, SLICE("Basic good")))
		return err_set(err, -ERR_DENIED, "wrong");
	*out = (struct guard_user){atomic_load(&login_is), atomic_load(&login_is) == 1};
	return 0;
}

static int64_t guard_new(struct service *s, const char *type, const char *columns)
{
	static int count;
	char sql[16384];

	count++;
	snprintf(sql, sizeof(sql),
		"INSERT INTO content_guard (uuid, type, name, created, updated) VALUES "
		"(CAST('%016d' AS BLOB), '%s', 'g%d', %d, %d)",
		count, type, count, count, count);
	stock_exec(&s->stock, sql, 0);
	snprintf(sql, sizeof(sql), "UPDATE content_guard SET %s WHERE name = 'g%d'", columns, count);
	stock_exec(&s->stock, sql, 0);
	return stock_int(&s->stock, "SELECT max(id) FROM content_guard", 0);
}

static void guarded_by(struct service *s, int64_t id)
{
	stock_exec(&s->stock, "UPDATE distribution SET content_guard_id = $1", id);
}

static void open_with(struct service *s, struct file *f, const char *trusted)
{
	service_open(s, 2, 1000);
	free(s->stock.settings.server_trusted_proxies);
	s->stock.settings.server_trusted_proxies = strdup(trusted);
	s->login = login;
	file_new(f, s, "r", "dir/a.xml", 100, 1);
	service_start(s, 1);
}

static void done_with(struct service *s, struct file *f)
{
	service_close(s);
	file_free(f);
}

static int status_of(struct service *s, const char *path, const char *fields)
{
	struct response r;

	ask(s, "GET", path, fields, &r);
	if (r.status == 403) {
		assert_string_equal(r.body, "403: Access denied.");
		assert_non_null(strstr(r.head, "HTTP/1.1 403 Access denied.\r\n"));
		assert_null(field(&r, "ETag"));
	}
	response_fini(&r);
	return r.status;
}

static char *cert_field(char *taken)
{
	char *out;

	assert_true(asprintf(&out, "X-CLIENT-CERT: %s\r\n", taken) > 0);
	free(taken);
	return out;
}

/* Every kind of path is the same 403, and none of them asks upstream or the catalog. */
static void test_nothing_is_revealed(void **state)
{
	static const char *const paths[] = {CONTENT "r/dir/a.xml", CONTENT "r/no", CONTENT "r/dir/", CONTENT "r/dir",
		CONTENT "r/", CONTENT "r", CONTENT "r/../r/dir/a.xml", CONTENT "r//dir/a.xml", CONTENT "r/%64ir/a.xml"};
	static const char *const methods[] = {"GET", "HEAD"};
	struct service s;
	struct file f;

	open_with(&s, &f, "");
	for (int saved = 0; saved < 2; saved++) {
		int64_t lookups;
		int asked = origin_hits(s.origin, "/r/dir/a.xml");

		/* 0: its guard is gone from the catalog; 1: one that passes for others */
		guarded_by(&s, saved ? guard_new(&s, "core.header", "header_name = 'X-A', header_value = 'v'") : 77);
		lookups = metric_get(M_content_catalog_lookups);
		for (size_t i = 0; i < ARRAY_LEN(paths); i++)
			for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
				struct response r;

				ask(&s, methods[m], paths[i], "X-A: eA==\r\n", &r);
				/* a path that is no path at all is refused before anybody looks whose it is */
				if (r.status != 403 && !(r.status == 400 && (strstr(paths[i], "..") != NULL ||
										    strstr(paths[i], "//") != NULL)))
					fail_msg("%s %s is a %d", methods[m], paths[i], r.status);
				response_fini(&r);
			}
		assert_int_equal(metric_get(M_content_catalog_lookups), lookups);
		assert_int_equal(origin_hits(s.origin, "/r/dir/a.xml"), asked);
		guarded_by(&s, 0);
		stock_exec(&s.stock, "UPDATE distribution SET content_guard_id = NULL", 0);
		expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size); /* and is saved now */
	}
	done_with(&s, &f);
}

static void test_header_guard(void **state)
{
	static const struct {
		const char *columns, *fields;
		int status;
	} cases[] = {
		{"header_name = 'X-Org', header_value = 'abc'", "X-Org: YWJj\r\n", 200},
		{"header_name = 'x-ORG', header_value = 'abc'", "X-Org: YWJj\r\n", 200},
		{"header_name = 'X-Org', header_value = 'abc'", "X-Org: abc\r\n", 403},
		{"header_name = 'X-Org', header_value = 'abc'", "X-Org: YWJjZA==\r\n", 403},
		{"header_name = 'X-Org', header_value = 'abc'", "X-Org: YWI=\r\n", 403},
		{"header_name = 'X-Org', header_value = 'abc'", "X-Org:\r\n", 403},
		{"header_name = 'X-Org', header_value = 'abc'", "", 403},
		/* one of them is somebody else's */
		{"header_name = 'X-Org', header_value = 'abc'", "X-Org: YWJj\r\nX-Org: YWJj\r\n", 403},
		/* {"i":{"o":"12","n":12}} */
		{"header_name = 'X', header_value = '12', jq_filter = '.i.o'",
			"X: eyJpIjp7Im8iOiIxMiIsIm4iOjEyfX0=\r\n", 200},
		{"header_name = 'X', header_value = '12', jq_filter = '.i.n'",
			"X: eyJpIjp7Im8iOiIxMiIsIm4iOjEyfX0=\r\n", 200},
		{"header_name = 'X', header_value = '1', jq_filter = '.i.o'", "X: eyJpIjp7Im8iOiIxMiIsIm4iOjEyfX0=\r\n",
			403},
		{"header_name = 'X', header_value = '12', jq_filter = '.i'", "X: eyJpIjp7Im8iOiIxMiIsIm4iOjEyfX0=\r\n",
			403},
		{"header_name = 'X', header_value = 'null', jq_filter = '.z'",
			"X: eyJpIjp7Im8iOiIxMiIsIm4iOjEyfX0=\r\n", 403},
		{"header_name = 'X', header_value = '12', jq_filter = '.i.o'", "X: bm8ganNvbg==\r\n", 403},
		/* what cannot be understood lets nobody pass */
		{"header_name = 'X', header_value = '12', jq_filter = 'length'", "X: MTI=\r\n", 403},
		{"header_name = 'X'", "X: \r\n", 403},
	};
	struct service s;
	struct file f;

	open_with(&s, &f, "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status;

		guarded_by(&s, guard_new(&s, "core.header", cases[i].columns));
		status = status_of(&s, CONTENT "r/dir/a.xml", cases[i].fields);
		if (status != cases[i].status)
			fail_msg("%s with %s is a %d", cases[i].columns, cases[i].fields, status);
	}
	done_with(&s, &f);
}

static void test_x509_guard(void **state)
{
	struct id root, client, stranger;
	char *columns, *good, *other, *both;
	struct service s;
	struct file f;

	id_make(&root, "root", NULL, true, NULL);
	id_make(&client, "client", &root, false, NULL);
	id_make(&stranger, "client", NULL, false, NULL);
	good = cert_field(pem_escaped(client.pem));
	other = cert_field(pem_on_one_line(stranger.pem));
	assert_true(asprintf(&both, "%s%s", good, good) > 0);
	assert_true(asprintf(&columns, "ca_certificate = '%s'", root.pem) > 0);
	open_with(&s, &f, TRUSTED);
	guarded_by(&s, guard_new(&s, "certguard.x509", columns));
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", NULL), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", other), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "X-CLIENT-CERT: rubbish\r\n"), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "X-CLIENT-CERT:\r\n"), 403);
	assert_int_equal(origin_hits(s.origin, "/r/dir/a.xml"), 0);
	for (int i = 0; i < 3; i++) /* a miss, then hits */
		assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", good), 200);
	assert_int_equal(origin_hits(s.origin, "/r/dir/a.xml"), 1);
	assert_int_equal(status_of(&s, CONTENT "r/no", good), 404);
	assert_int_equal(status_of(&s, CONTENT "r", good), 301);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", NULL), 403);
	/* two fields: one of them may be the client's own */
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", both), 403);
	done_with(&s, &f);

	/* From a proxy that nobody has named the field counts for nothing. */
	open_with(&s, &f, "192.0.2.0/24");
	guarded_by(&s, guard_new(&s, "certguard.x509", columns));
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", good), 403);
	done_with(&s, &f);
	free(good);
	free(other);
	free(both);
	free(columns);
	id_free(&root);
	id_free(&client);
	id_free(&stranger);
}

/* The authority goes out of the bundle, or revokes: from then on, also on a connection that was let pass before. */
static void test_a_changed_guard_counts_at_once(void **state)
{
	struct id root, next, client;
	const struct id *revoked[] = {&client, NULL};
	char *columns, *good, *crl;
	struct service s;
	struct file f;
	int64_t g;

	id_make(&root, "root", NULL, true, NULL);
	id_make(&next, "next", NULL, true, NULL);
	id_make(&client, "client", &root, false, NULL);
	good = cert_field(base64_of(client.der, (size_t)client.der_n));
	open_with(&s, &f, TRUSTED);
	assert_true(asprintf(&columns, "ca_certificate = '%s'", root.pem) > 0);
	guarded_by(&s, g = guard_new(&s, "certguard.x509", columns));
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", good), 200);
	free(columns);
	assert_true(asprintf(&columns,
			    "UPDATE content_guard SET updated = updated + 1000000, ca_certificate = '%s' WHERE id = $1",
			    next.pem) > 0);
	stock_exec(&s.stock, columns, g);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", good), 403);
	free(columns);
	crl = crl_make(&root, revoked, 600);
	assert_true(asprintf(&columns,
			    "UPDATE content_guard SET updated = updated + 1000000, ca_certificate = '%s' WHERE id = $1",
			    root.pem) > 0);
	stock_exec(&s.stock, columns, g);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", good), 200);
	free(columns);
	assert_true(asprintf(&columns, "UPDATE content_guard SET updated = updated + 1000000, crl = '%s' WHERE id = $1",
			    crl) > 0);
	stock_exec(&s.stock, columns, g);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", good), 403);
	done_with(&s, &f);
	free(columns);
	free(crl);
	free(good);
	id_free(&root);
	id_free(&next);
	id_free(&client);
}

struct memory {
	struct guards *guards;
	struct proofs *proofs;
	int64_t guard, now_s;
};

static void remember(struct memory *m, const struct proof_key *key, const struct id *who)
{
	struct guard_claim claim = {
		.cert = slice_of((const char *)who->der, (size_t)who->der_n), .cert_is_der = true, .now_s = m->now_s};
	struct guard_proof *p = NULL;

	MUST(guard_prove(m->guards, m->guard, &claim, login, NULL, &p, &err));
	assert_string_equal(guard_proof_why(p), "");
	proofs_put(m->proofs, key, 1, p);
	guard_proof_unref(&p);
}

/* Until the first of: the certificate's end, the end of a list above it, five minutes; and not into another generation. */
static void test_how_long_a_decision_is_remembered(void **state)
{
	static const struct {
		long cert_s, list_s, holds_s;
	} rows[] = {{900, 900, 300}, {100, 900, 100}, {900, 50, 50}, {100, 50, 50}};
	struct id root, client;
	const struct id *none[] = {NULL};
	struct memory m = {.now_s = time(NULL)};
	struct service s;
	struct file f;

	id_make(&root, "root", NULL, true, NULL);
	MUST(proofs_new(&m.proofs));
	open_with(&s, &f, TRUSTED);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proof_key key = {.b = {(uint8_t)i}};
		char *crl = crl_make(&root, none, rows[i].list_s), *columns;
		struct txn *t = NULL;

		id_make(&client, "client", &root, false, &(struct id_opts){.from_s = -900, .to_s = rows[i].cert_s});
		assert_true(asprintf(&columns, "ca_certificate = '%s', crl = '%s'", root.pem, crl) > 0);
		m.guard = guard_new(&s, "certguard.x509", columns);
		MUST(catalog_read(s.stock.catalog, &t, &err));
		MUST(guards_load(t, NULL, &m.guards, &err));
		txn_end(&t);
		remember(&m, &key, &client);
		assert_non_null(proofs_get(m.proofs, &key, 1, m.now_s));
		/* dates have whole seconds, and were made a moment after now_s */
		assert_non_null(proofs_get(m.proofs, &key, 1, m.now_s + rows[i].holds_s - 2));
		assert_null(proofs_get(m.proofs, &key, 1, m.now_s + rows[i].holds_s + 30));
		assert_null(proofs_get(m.proofs, &key, 2, m.now_s));
		guards_free(&m.guards);
		free(columns);
		free(crl);
		id_free(&client);
	}
	proofs_free(&m.proofs);
	done_with(&s, &f);
	id_free(&root);
}

static void test_rbac_guard(void **state)
{
	struct service s;
	struct file f;
	int64_t g;
	int before;

	open_with(&s, &f, "");
	stock_exec(&s.stock,
		"INSERT INTO users (username, password, date_joined) VALUES ('admin', 'x', 1), ('eve', 'x', 1)", 0);
	guarded_by(&s, g = guard_new(&s, "core.rbac", "description = 'x'"));
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", NULL), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic wrong\r\n"), 403);
	atomic_store(&login_is, 1); /* administrators always */
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 200);
	atomic_store(&login_is, 2);
	stock_exec(&s.stock, "UPDATE users SET email = 'e'", 0); /* what was remembered of the other is void */
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 403);
	stock_exec(&s.stock, "INSERT INTO content_guard_user (guard_id, user_id) VALUES ($1, 2)", g);
	stock_exec(&s.stock, "UPDATE content_guard SET updated = updated + 1000000", 0);
	before = atomic_load(&logins);
	for (int i = 0; i < 5; i++)
		assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 200);
	for (int i = 0; i < 5; i++)
		assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic wrong\r\n"), 403);
	assert_int_equal(atomic_load(&logins), before + 2); /* once for each */
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic busy\r\n"), 503);
	assert_int_equal(
		status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\nAuthorization: Basic good\r\n"),
		403);
	done_with(&s, &f);
}

static void test_composite_guard(void **state)
{
	int64_t composite, inner;
	struct service s;
	struct file f;

	open_with(&s, &f, "");
	atomic_store(&login_is, 1);
	guarded_by(&s, composite = guard_new(&s, "core.composite", "guards = '[]'"));
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", NULL), 200); /* as Pulp */
	(void)guard_new(&s, "core.header", "header_name = 'X', header_value = 'f'");
	(void)guard_new(&s, "core.rbac", "description = 'x'");
	inner = guard_new(&s, "core.composite", "guards = '[]'");
#define SET_MEMBERS(of, list_sql)                                                                                  \
	stock_exec(&s.stock,                                                                                       \
		"UPDATE content_guard SET updated = updated + 1000000, guards = (SELECT json_group_array(lower("   \
		"substr(hex(uuid),1,8)||'-'||substr(hex(uuid),9,4)||'-'||substr(hex(uuid),13,4)||'-'||substr(hex(" \
		"uuid),17,4)||'-'||substr(hex(uuid),21))) FROM content_guard WHERE id IN (" list_sql               \
		")) WHERE id = $1",                                                                                \
		of)
	SET_MEMBERS(composite, "SELECT id FROM content_guard WHERE type <> 'core.composite'");
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", NULL), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "X: Zg==\r\n"), 200);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 200);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "X: Zg==\r\nAuthorization: Basic wrong\r\n"), 200);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "X: Zm8=\r\nAuthorization: Basic wrong\r\n"), 403);
	/* through another, and round in a circle */
	SET_MEMBERS(inner, "SELECT id FROM content_guard WHERE type <> 'core.composite'");
	SET_MEMBERS(composite, "SELECT max(id) FROM content_guard");
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 200);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic wrong\r\n"), 403);
	SET_MEMBERS(composite, "$1");
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 403);
	SET_MEMBERS(composite, "SELECT id FROM content_guard");
	SET_MEMBERS(inner, "SELECT id FROM content_guard");
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic wrong\r\n"), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 200);
	/* those that were deleted do not count */
	stock_exec(&s.stock, "DELETE FROM content_guard WHERE type = 'core.rbac'", 0);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "Authorization: Basic good\r\n"), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", "X: Zg==\r\n"), 200);
	done_with(&s, &f);
}

/* A signed URL opens one path; it may be one of several ways. The server has a key of its own, so the API's part is tests/system's. */
static void test_redirect_guard(void **state)
{
	struct signing_key wrong = {.b = {1}};
	struct buf q = BUF_INIT(0);
	struct uuid uuid = {.b = {0}};
	char path[512];
	struct service s;
	struct file f;

	open_with(&s, &f, "");
	guarded_by(&s, guard_new(&s, "core.content_redirect", "description = 'x'"));
	assert_int_equal(signature_add(&wrong, &uuid, SLICE("r/dir/a.xml"), SLICE_NULL, time(NULL) + 60, &q), 0);
	snprintf(path, sizeof(path), CONTENT "r/dir/a.xml?%s", q.p);
	assert_int_equal(status_of(&s, path, NULL), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml", NULL), 403);
	assert_int_equal(status_of(&s, CONTENT "r/dir/a.xml?validate_token=:&expires=", NULL), 403);
	buf_fini(&q);
	done_with(&s, &f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_revealed),
		cmocka_unit_test(test_header_guard),
		cmocka_unit_test(test_x509_guard),
		cmocka_unit_test(test_a_changed_guard_counts_at_once),
		cmocka_unit_test(test_how_long_a_decision_is_remembered),
		cmocka_unit_test(test_rbac_guard),
		cmocka_unit_test(test_composite_guard),
		cmocka_unit_test(test_redirect_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
