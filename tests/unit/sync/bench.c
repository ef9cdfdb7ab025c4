/* The fixture of the tests of this folder. */
#include "bench.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "catalog/query.h"
#include "catalog/remote.h"
#include "catalog/repository.h"
#include "catalog/served.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OK(call)                                                 \
	do {                                                     \
		struct err *e_ = &bench_err;                     \
		int rc_ = (call);                                \
		if (rc_ != 0)                                    \
			print_error("%s: %s\n", #call, e_->msg); \
		assert_int_equal(rc_, 0);                        \
	} while (0)

static struct err bench_err;
static struct buf text = BUF_INIT(0);

static const struct task_handler handlers[] = {
	{"sync", sync_task, true},
	{"publish", publish_task, true},
	{"modify", modify_task, true},
	{"orphans", orphan_cleanup_task, true},
	{"reclaim", reclaim_task, true},
	{"repair", repair_task, true},
	{"warm", warm_task, true},
};

int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char path[128], url[160];
	struct catalog_opts opts = {.url = url, .busy_timeout_ms = 10000, .readers = 4};

	strcpy(b->dir, "/tmp/sluice-sync-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(url, sizeof(url), "sqlite:%s/catalog.db", b->dir);
	snprintf(path, sizeof(path), "%s/media", b->dir);
	OK(settings_init(&b->settings, &bench_err));
	OK(settings_set(&b->settings, "content", "allowed_import_paths", slice_str(b->dir), "test", &bench_err));
	OK(catalog_open(&opts, true, &b->catalog, &bench_err));
	OK(store_open(path, true, &b->store, &bench_err));
	b->env = (struct sync_env){
		.settings = &b->settings, .catalog = b->catalog, .store = b->store, .formats = bench_formats};
	b->registry = (struct task_registry){handlers, ARRAY_LEN(handlers), &b->env};
	b->up = site_start();
	*state = b;
	return 0;
}

static void forget_task(struct bench *b)
{
	json_decref(b->task);
	json_decref(b->progress);
	json_decref(b->created);
	b->task = b->progress = b->created = NULL;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	forget_task(b);
	site_stop(&b->up);
	store_close(&b->store);
	catalog_close(&b->catalog);
	settings_fini(&b->settings);
	OK(fs_remove_tree(b->dir, &bench_err));
	buf_fini(&text);
	free(b);
	return 0;
}

/* Single quotes are easier to read in C. */
static json_t *json_of(const char *z)
{
	char *copy = strdup(z);
	json_error_t je;
	json_t *out;

	for (char *c = copy; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	out = json_loads(copy, 0, &je);
	if (out == NULL)
		print_error("%s: %s\n", je.text, copy);
	assert_non_null(out);
	free(copy);
	return out;
}

static json_t *object_of(const char *settings)
{
	struct buf b = BUF_INIT(0);
	json_t *out;

	buf_addf(&b, "{%s}", settings);
	out = json_of(b.p);
	buf_fini(&b);
	return out;
}

static void insert(struct bench *b, const char *view, const char *type, json_t *values, char out[UUID_STR])
{
	struct txn *t = NULL;
	struct uuid u;
	int64_t id;

	OK(catalog_write(b->catalog, &t, &bench_err));
	OK(row_insert(t, view_find(view), type, values, &id, &u, &bench_err));
	OK(txn_commit(&t, &bench_err));
	json_decref(values);
	uuid_str(&u, out);
}

static void update(struct bench *b, const char *view, const char *uuid, json_t *values)
{
	struct txn *t = NULL;
	struct uuid u;
	json_t *row;

	OK(uuid_parse(slice_str(uuid), &u));
	OK(catalog_write(b->catalog, &t, &bench_err));
	OK(query_by_uuid(t, view_find(view), &u, &row, &bench_err));
	OK(row_update(t, view_find(view), json_integer_value(json_object_get(row, "_id")), values, &bench_err));
	OK(txn_commit(&t, &bench_err));
	json_decref(row);
	json_decref(values);
}

const char *bench_remote(struct bench *b, const char *type, const char *name, const char *url, const char *settings)
{
	static char uuid[4][UUID_STR];
	static int at;
	json_t *values = object_of(settings);

	at = (at + 1) % 4;
	json_object_set_new(values, "name", json_string(name));
	json_object_set_new(values, "url", json_string(url));
	if (json_object_get(values, "policy") == NULL)
		json_object_set_new(values, "policy", json_string("immediate"));
	insert(b, "remote", type, values, uuid[at]);
	return uuid[at];
}

void bench_remote_set(struct bench *b, const char *uuid, const char *settings)
{
	update(b, "remote", uuid, object_of(settings));
}

const char *bench_repository(struct bench *b, const char *type, const char *name, const char *settings)
{
	static char uuid[4][UUID_STR];
	static int at;
	struct txn *t = NULL;
	struct uuid u;
	int64_t id;

	at = (at + 1) % 4;
	OK(catalog_write(b->catalog, &t, &bench_err));
	OK(catalog_repository_create(t, type, name, &id, &u, &bench_err));
	OK(txn_commit(&t, &bench_err));
	uuid_str(&u, uuid[at]);
	if (settings[0] != '\0')
		update(b, "repository", uuid[at], object_of(settings));
	return uuid[at];
}

void bench_repository_set(struct bench *b, const char *uuid, const char *settings)
{
	update(b, "repository", uuid, object_of(settings));
}

/* ---- tasks ---- */

static json_t *rows_of_task(struct txn *t, const char *view, json_int_t task)
{
	struct query *q;
	json_t *rows;
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)task);
	assert_int_equal(query_new(view_find(view), &q), 0);
	OK(query_where(q, "task", QUERY_EQ, slice_str(id), &bench_err));
	OK(query_rows(t, q, &rows, &bench_err));
	query_free(&q);
	return rows;
}

static void load_task(struct bench *b, const struct uuid *u)
{
	struct txn *t = NULL;
	json_int_t id;
	json_t *rows;

	forget_task(b);
	OK(catalog_read(b->catalog, &t, &bench_err));
	OK(query_by_uuid(t, view_find("task"), u, &b->task, &bench_err));
	id = json_integer_value(json_object_get(b->task, "_id"));
	b->progress = rows_of_task(t, "progress", id);
	rows = rows_of_task(t, "task_created", id);
	/* Newest first as all rows; the order of creation is what is promised. */
	b->created = json_array();
	for (size_t i = json_array_size(rows); i-- > 0;)
		json_array_append(b->created, json_object_get(json_array_get(rows, i), "href"));
	json_decref(rows);
	txn_end(&t);
}

const char *bench_run(struct bench *b, const char *name, const char *args_fmt, ...)
{
	struct buf args = BUF_INIT(0);
	struct task_new n = {.name = name, .immediate = true};
	struct uuid u;
	json_t *json;
	va_list ap;
	char *dump;

	va_start(ap, args_fmt);
	buf_addv(&args, args_fmt, ap);
	va_end(ap);
	json = json_of(args.p);
	dump = json_dumps(json, JSON_COMPACT);
	n.args = slice_str(dump);
	OK(tasks_dispatch(&b->registry, b->catalog, &n, &u, &bench_err));
	json_decref(json);
	free(dump);
	buf_fini(&args);
	load_task(b, &u);
	return json_string_value(json_object_get(b->task, "state"));
}

const char *bench_sync(struct bench *b, const char *repository, const char *remote, const char *more)
{
	return bench_run(b, "sync", "{'repository': '%s', 'remote': '%s'%s%s}", repository, remote,
		more[0] != '\0' ? ", " : "", more);
}

const char *bench_error(const struct bench *b)
{
	const char *d = json_string_value(json_object_get(json_object_get(b->task, "error"), "description"));

	return d != NULL ? d : "";
}

json_int_t bench_done(const struct bench *b, const char *code)
{
	const json_t *row;
	size_t i;

	json_array_foreach(b->progress, i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "code")), code) == 0)
			return json_integer_value(json_object_get(row, "done"));
	}
	return -1;
}

/* ---- looking ---- */

static struct repository_row *repository_of(struct txn *t, const char *uuid)
{
	struct repository_row *r;
	struct uuid u;

	OK(uuid_parse(slice_str(uuid), &u));
	OK(catalog_repository_by_uuid(t, &u, &r, &bench_err));
	return r;
}

static int note_file(void *arg, const struct unit_file *f)
{
	char hex[DIGEST_HEX_MAX];

	digest_hex(DIGEST_SHA256, f->digests->d[DIGEST_SHA256], hex);
	return buf_addf(&text, "%.*s %.8s %lld\n", SLICE_ARG(f->relative_path), hex, (long long)f->size);
}

const char *bench_files(struct bench *b, const char *repository, int64_t number)
{
	struct repository_row *r;
	struct txn *t = NULL;

	buf_reset(&text);
	buf_adds(&text, "");
	OK(catalog_read(b->catalog, &t, &bench_err));
	r = repository_of(t, repository);
	OK(catalog_version_files_each(t, r->id, number, note_file, NULL, &bench_err));
	repository_row_free(&r);
	txn_end(&t);
	return text.p != NULL ? text.p : "";
}

int64_t bench_latest(struct bench *b, const char *repository)
{
	struct repository_row *r;
	struct version_row v;
	struct txn *t = NULL;

	OK(catalog_read(b->catalog, &t, &bench_err));
	r = repository_of(t, repository);
	OK(catalog_version_latest(t, r->id, &v, &bench_err));
	repository_row_free(&r);
	txn_end(&t);
	return v.number;
}

int64_t bench_count(struct bench *b, const char *view)
{
	struct query *q;
	struct txn *t = NULL;
	int64_t n;

	OK(catalog_read(b->catalog, &t, &bench_err));
	assert_int_equal(query_new(view_find(view), &q), 0);
	OK(query_count(t, q, &n, &bench_err));
	query_free(&q);
	txn_end(&t);
	return n;
}

int bench_saved(struct bench *b, const char *repository, const char *path)
{
	struct repository_row *r;
	struct served_set set = {.pass_through = true};
	struct served_path found;
	struct version_row v;
	struct txn *t = NULL;
	int rc;

	OK(catalog_read(b->catalog, &t, &bench_err));
	r = repository_of(t, repository);
	OK(catalog_version_latest(t, r->id, &v, &bench_err));
	set.repository_id = r->id;
	set.version_number = v.number;
	set.date_us = v.created_us;
	rc = catalog_path_find(t, &set, slice_str(path), &found, &bench_err);
	repository_row_free(&r);
	txn_end(&t);
	if (rc != 0)
		return -1;
	if (!found.saved)
		return 0;
	assert_true(store_has(b->store, found.digests.d[DIGEST_SHA256]));
	return 1;
}

static json_t *newest_publication(struct txn *t, const char *repository)
{
	struct query *q;
	json_t *row = NULL;

	assert_int_equal(query_new(view_find("publication"), &q), 0);
	OK(query_where(q, "repository", QUERY_EQ, slice_str(repository), &bench_err));
	if (query_row(t, q, &row, &bench_err) != 0)
		row = NULL;
	query_free(&q);
	return row;
}

const char *bench_published(struct bench *b, const char *repository, const char *path)
{
	struct served_set set = {.pass_through = false};
	struct served_path found;
	struct txn *t = NULL;
	json_t *row;
	int64_t size;
	int fd, rc;

	OK(catalog_read(b->catalog, &t, &bench_err));
	row = newest_publication(t, repository);
	set.publication_id = json_integer_value(json_object_get(row, "_id"));
	rc = row != NULL ? catalog_path_find(t, &set, slice_str(path), &found, &bench_err) : -1;
	json_decref(row);
	txn_end(&t);
	if (rc != 0)
		return NULL;
	OK(store_get(b->store, found.digests.d[DIGEST_SHA256], -1, &fd, &size, &bench_err));
	buf_reset(&text);
	OK(buf_reserve(&text, (size_t)size));
	OK(fs_pread_all(fd, text.p, (size_t)size, 0, &bench_err));
	text.p[size] = '\0';
	close(fd);
	return text.p;
}

void bench_delete(struct bench *b, const char *view, const char *uuid)
{
	struct txn *t = NULL;
	struct uuid u;
	json_t *row;

	OK(uuid_parse(slice_str(uuid), &u));
	OK(catalog_read(b->catalog, &t, &bench_err));
	OK(query_by_uuid(t, view_find(view), &u, &row, &bench_err));
	txn_end(&t);
	OK(row_delete(b->catalog, view_find(view), json_integer_value(json_object_get(row, "_id")), &bench_err));
	json_decref(row);
}

void bench_mark_missing(struct bench *b, const char *path)
{
	struct served_set set = {.pass_through = true, .repository_id = 1, .version_number = 1};
	struct served_path found;
	struct source_row *rows;
	struct txn *t = NULL;
	size_t n;

	OK(catalog_write(b->catalog, &t, &bench_err));
	OK(catalog_path_find(t, &set, slice_str(path), &found, &bench_err));
	OK(catalog_sources(t, found.content_artifact_id, 1, true, &rows, &n, &bench_err));
	assert_int_not_equal(n, 0);
	for (size_t i = 0; i < n; i++)
		OK(catalog_source_missing(t, rows[i].remote_artifact_id, 1, &bench_err));
	source_rows_free(&rows, n);
	OK(txn_commit(&t, &bench_err));
}

/* ---- upstream ---- */

void bench_manifest_line(struct buf *out, const char *path, struct slice body)
{
	char hex[DIGEST_HEX_MAX];
	struct digests ds;
	struct hasher *h;

	assert_int_equal(hasher_new(0, &h), 0);
	hasher_add(h, body.p, body.n);
	hasher_end(h, &ds);
	hasher_free(&h);
	buf_addf(out, "%s,%s,%zu\n", path, digest_hex(DIGEST_SHA256, ds.d[DIGEST_SHA256], hex), body.n);
}

void bench_upstream(struct bench *b, const char *const *files)
{
	struct buf manifest = BUF_INIT(0);
	char path[256];

	buf_adds(&manifest, "# made for a test\n");
	for (; files[0] != NULL; files += 2) {
		snprintf(path, sizeof(path), "/r/%s", files[0]);
		site_put(b->up, path, slice_str(files[1]));
		bench_manifest_line(&manifest, files[0], slice_str(files[1]));
	}
	site_put(b->up, "/r/PULP_MANIFEST", buf_slice(&manifest));
	buf_fini(&manifest);
}
