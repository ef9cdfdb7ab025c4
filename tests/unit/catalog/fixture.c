#include "fixture.h"

#include "base/buf.h"

#include <unistd.h>

static const struct {
	const char *name;
	int (*make)(void); /* an empty database at fixture_url, in fixture_dir */
	void (*remove)(void);
} * backend;

struct catalog *catalog;
struct shm *shm;
struct err err;
char fixture_dir[64], fixture_url[96];

static int sqlite_make(void)
{
	strcpy(fixture_dir, "/tmp/sluice-catalog-XXXXXX");
	if (mkdtemp(fixture_dir) == NULL)
		return -1;
	snprintf(fixture_url, sizeof(fixture_url), "sqlite:%s/db", fixture_dir);
	return 0;
}

static void sqlite_remove(void)
{
	static const char *const files[] = {"db", "db-wal", "db-shm", "db-journal", "shm"};
	char path[96];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture_dir, files[i]);
		unlink(path);
	}
	rmdir(fixture_dir);
}

static const __typeof__(*backend) backends[] = {
	{"sqlite", sqlite_make, sqlite_remove},
};

int fixture_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	char title[64];
	int failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		backend = &backends[i];
		snprintf(title, sizeof(title), "%s on %s", name, backend->name);
		failed += _cmocka_run_group_tests(title, tests, count, NULL, NULL);
	}
	return failed;
}

int fixture_set_up(void **state)
{
	char path[96];

	err = ERR_INIT;
	if (backend->make() < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/shm", fixture_dir);
	if (shm_open_file(path, &shm, &err) < 0)
		return -1;
	catalog = fixture_open_again(5000, 4);
	return catalog == NULL ? -1 : 0;
}

int fixture_tear_down(void **state)
{
	catalog_close(&catalog);
	shm_close(&shm);
	backend->remove();
	return 0;
}

struct catalog *fixture_open_again(int64_t busy_timeout_ms, int readers)
{
	struct catalog_opts o = {
		.url = fixture_url, .busy_timeout_ms = busy_timeout_ms, .readers = readers, .shm = shm};
	struct catalog *c = NULL;

	OK(catalog_open(&o, true, &c, &err));
	return c;
}

struct txn *begin_write(void)
{
	struct txn *t = NULL;

	OK(catalog_write(catalog, &t, &err));
	return t;
}

struct txn *begin_read(void)
{
	struct txn *t = NULL;

	OK(catalog_read(catalog, &t, &err));
	return t;
}

void commit(struct txn *t)
{
	OK(txn_commit(&t, &err));
}

void sql(const char *statements)
{
	struct txn *t = begin_write();
	int rc = db_exec(txn_db(t), statements, &err);

	if (rc < 0)
		txn_end(&t);
	OK(rc);
	commit(t);
}

const char *text(const char *query)
{
	static char out[512];
	struct txn *t = begin_read();
	struct db_stmt *s = NULL;
	int rc;

	OK(db_query_text(txn_db(t), query, &s, &err));
	rc = db_step(s, &err);
	assert_in_range(rc, 0, 1);
	snprintf(out, sizeof(out), "%.*s", SLICE_ARG(rc == 1 ? db_col_text(s, 0) : SLICE("")));
	db_done(&s);
	txn_end(&t);
	return out;
}

int64_t number(const char *query)
{
	const char *z = text(query);

	return z[0] == '\0' ? -1 : strtoll(z, NULL, 10);
}

int64_t make_repository(const char *name)
{
	struct txn *t = begin_write();
	struct uuid uuid;
	int64_t id = 0;

	OK(catalog_repository_create(t, "file.file", name, &id, &uuid, &err));
	commit(t);
	return id;
}

int64_t make_remote(const char *name, const char *with)
{
	char q[1024];

	snprintf(q, sizeof(q),
		"INSERT INTO remote (uuid, type, name, created, updated, url, policy) "
		"VALUES (CAST('%-16.16s' AS BLOB), 'file.file', '%s', 1, 1, 'http://up/', 'on_demand');",
		name, name);
	sql(q);
	if (with != NULL) {
		snprintf(q, sizeof(q), "UPDATE remote SET %s WHERE name = '%s';", with, name);
		sql(q);
	}
	snprintf(q, sizeof(q), "SELECT id FROM remote WHERE name = '%s'", name);
	return number(q);
}

/* --- units --- */

#define UNITS_MAX 1000

/* Next "path=number" of *at. */
static bool next_unit(const char **at, char path[128], int *n)
{
	*at += strspn(*at, " ");
	if (sscanf(*at, "%127[^=]=%d", path, n) != 2)
		return false;
	*at += strcspn(*at, " ");
	return true;
}

static void natural_key(char out[160], const char *path, int n)
{
	snprintf(out, 160, "%s|%d", path, n);
}

struct change_opts fixture_opts(int64_t repository_id, int64_t remote_id)
{
	return (struct change_opts){.repository_id = repository_id, .remote_id = remote_id, .base_number = -1};
}

size_t make_units(const char *units, struct change_unit **out)
{
	static struct change_unit u[UNITS_MAX];
	static struct change_artifact a[UNITS_MAX];
	static char paths[UNITS_MAX][128], keys[UNITS_MAX][160], urls[UNITS_MAX][160];
	size_t count = 0;
	int n;

	while (next_unit(&units, paths[count], &n)) {
		uint8_t sha256[32];

		memset(sha256, n, sizeof(sha256));
		natural_key(keys[count], paths[count], n);
		snprintf(urls[count], sizeof(urls[count]), "http://up/%s", paths[count]);
		a[count] = (struct change_artifact){
			.relative_path = slice_str(paths[count]), .url = slice_str(urls[count]), .size = n};
		digests_set(&a[count].digests, DIGEST_SHA256, sha256);
		u[count] = (struct change_unit){.type = SLICE("file.file"),
			.natural_key = slice_str(keys[count]),
			.artifacts = &a[count],
			.artifact_count = 1};
		if (++count == UNITS_MAX)
			break;
	}
	*out = u;
	return count;
}

int declare(struct change *ch, const char *units)
{
	struct change_unit *u;
	size_t count = make_units(units, &u);

	return change_declare(ch, u, count, &err);
}

int change(const struct change_opts *opts, const char *units, struct change_result *out)
{
	struct change_result ignored;
	struct change *ch = NULL;
	int rc = change_begin(catalog, opts, &ch, &err);

	if (rc < 0)
		return rc;
	rc = declare(ch, units);
	if (rc < 0) {
		change_abort(&ch);
		return rc;
	}
	rc = change_finish(&ch, out != NULL ? out : &ignored, &err);
	assert_null(ch);
	return rc;
}

int64_t unit(const char *spec)
{
	char path[128], key[160], q[256];
	int n;

	assert_true(next_unit(&spec, path, &n));
	natural_key(key, path, n);
	snprintf(q, sizeof(q), "SELECT id FROM content WHERE natural_key = '%s'", key);
	return MAX(number(q), 0);
}

struct contents {
	struct txn *t;
	struct served_set set;
	struct buf out;
};

static int add_path(void *arg, struct slice path)
{
	struct contents *c = arg;
	struct served_path p;
	struct db_stmt *s;
	struct slice key;
	ptrdiff_t bar;

	OK(catalog_path_find(c->t, &c->set, path, &p, &err));
	assert_int_equal(db_first(txn_db(c->t),
				 "SELECT natural_key FROM content c JOIN content_artifact ca ON ca.content_id = c.id "
				 "WHERE ca.id = $1",
				 &s, &err, DB_I64(p.content_artifact_id)),
		1);
	key = db_col_text(s, 0);
	bar = slice_rchr(key, '|');
	buf_addf(&c->out, "%s%.*s=%.*s", c->out.n > 0 ? " " : "", SLICE_ARG(path),
		bar < 0 ? 0 : (int)(key.n - (size_t)bar - 1), key.p + bar + 1);
	db_done(&s);
	return 0;
}

const char *contents(int64_t repository_id, int64_t version)
{
	static char out[1 << 16];
	struct contents c = {.t = begin_read(),
		.set = {.repository_id = repository_id, .version_number = version, .pass_through = true},
		.out = BUF_INIT(sizeof(out) - 1)};

	OK(catalog_paths_each(c.t, &c.set, add_path, &c, &err));
	assert_int_equal(c.out.failed, 0);
	memcpy(out, c.out.n > 0 ? c.out.p : "", c.out.n + 1);
	buf_fini(&c.out);
	txn_end(&c.t);
	return out;
}

/* --- invariants --- */

#define ROWS "repository_content rc JOIN content_artifact ca ON ca.content_id = rc.content_id"

void check_invariants(void)
{
	static const struct {
		const char *what, *count; /* must be 0 */
	} rules[] = {
		{"units whose path is not in repository_path",
			"SELECT COUNT(*) FROM " ROWS " WHERE NOT EXISTS (SELECT 1 FROM repository_path rp "
			"WHERE rp.repository_id = rc.repository_id AND rp.relative_path = ca.relative_path "
			"AND rp.version_added = rc.version_added AND rp.content_artifact_id = ca.id "
			"AND rp.version_removed IS NOT DISTINCT FROM rc.version_removed)"},
		{"paths without a unit",
			"SELECT (SELECT COUNT(*) FROM repository_path) - (SELECT COUNT(*) FROM " ROWS ")"},
		{"rows that end before they begin",
			"SELECT COUNT(*) FROM repository_content WHERE version_removed <= version_added"},
		{"rows that no version shows",
			"SELECT COUNT(*) FROM repository_content rc WHERE NOT EXISTS (SELECT 1 FROM repository_version "
			"v "
			"WHERE v.repository_id = rc.repository_id AND v.number >= rc.version_added "
			"AND (rc.version_removed IS NULL OR rc.version_removed > v.number))"},
		{"units that are in a version twice",
			"SELECT COUNT(*) FROM repository_content a JOIN repository_content b ON b.repository_id = "
			"a.repository_id "
			"AND b.content_id = a.content_id AND b.version_added > a.version_added "
			"AND (a.version_removed IS NULL OR a.version_removed > b.version_added)"},
		{"spans with a gap",
			"SELECT COUNT(*) FROM repository_version v WHERE v.since <> 1 + COALESCE((SELECT MAX(p.number) "
			"FROM repository_version p WHERE p.repository_id = v.repository_id AND p.number < v.number), "
			"-1)"},
		{"versions that miscount what is present",
			"SELECT COUNT(*) FROM repository_version v WHERE v.complete = 1 AND v.present <> (SELECT "
			"COUNT(*) "
			"FROM repository_content rc WHERE rc.repository_id = v.repository_id AND rc.version_added <= "
			"v.number "
			"AND (rc.version_removed IS NULL OR rc.version_removed > v.number))"},
		{"versions that miscount what they added",
			"SELECT COUNT(*) FROM repository_version v WHERE v.complete = 1 AND v.added <> (SELECT "
			"COUNT(*) "
			"FROM repository_content rc WHERE rc.repository_id = v.repository_id "
			"AND rc.version_added BETWEEN v.since AND v.number)"},
		{"versions that miscount what they removed",
			"SELECT COUNT(*) FROM repository_version v WHERE v.complete = 1 AND v.removed <> (SELECT "
			"COUNT(*) "
			"FROM repository_content rc WHERE rc.repository_id = v.repository_id "
			"AND rc.version_removed BETWEEN v.since AND v.number)"},
		{"reservations of ended tasks", "SELECT COUNT(*) FROM task_lock l JOIN task t ON t.id = l.task_id "
						"WHERE t.state NOT IN ('waiting', 'running', 'canceling')"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (number(rules[i].count) != 0)
			fail_msg("%s: %lld", rules[i].what, (long long)number(rules[i].count));
	}
}
