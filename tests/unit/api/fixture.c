#include "fixture.h"

#include "base/check.h"
#include "catalog/db.h"
#include "catalog/task.h"
#include "store/store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOT "/pulp/api/v3/"

/* ---- two formats: one as Pulp has it, one with a field of every type ---- */

static const struct sluice_field file_fields[] = {
	{.name = "manifest",
		.type = SLUICE_STRING,
		.nullable = true,
		.default_json = "\"PULP_MANIFEST\"",
		.help = "name"},
	{.name = NULL},
};
static int upload(const struct sluice_upload_host *h, struct sluice_upload *u)
{
	const char *path = h->get(u, "relative_path");
	char key[4096], extra[64];
	struct sluice_artifact artifact = {.relative_path = path};
	struct sluice_unit unit = {.type = "file.file",
		.natural_key = key,
		.extra_json = extra,
		.artifacts = &artifact,
		.artifact_count = 1};

	if (strcmp(path, "no/unit") == 0)
		return (h->fail)(u, "no unit can be made of '%s'", path);
	(void)snprintf(key, sizeof(key), "%s\n%s", path, h->get(u, "sha256"));
	(void)snprintf(extra, sizeof(extra), "{\"size\":%s}", h->get(u, "size"));
	return h->unit(u, &unit);
}

static const struct sluice_format file_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "file",
	.kind = "file",
	.version = "1.2.3",
	.model = "File",
	.policies = SLUICE_IMMEDIATE | SLUICE_ON_DEMAND | SLUICE_STREAMED,
	.repository_fields = file_fields,
	.publication_fields = file_fields,
	.content_type = "file.file",
	.content_plural = "files",
	.task_sync = "test.file.sync",
	.task_publish = "test.file.publish",
	.upload = upload,
};
static const struct sluice_field box_fields[] = {
	{.name = "depth", .type = SLUICE_INTEGER, .nullable = true, .help = "number"},
	{.name = "tags", .type = SLUICE_STRING_LIST, .default_json = "[]", .help = "list"},
	{.name = "more", .type = SLUICE_OBJECT, .nullable = true, .help = "object"},
	{.name = "strict", .type = SLUICE_BOOLEAN, .default_json = "true", .help = "flag"},
	{.name = "suite", .type = SLUICE_STRING, .required = true, .help = "text"},
	{.name = NULL},
};
static const struct sluice_field box_content_fields[] = {
	{.name = "weight", .type = SLUICE_INTEGER, .help = "number"},
	{.name = "colour", .type = SLUICE_STRING, .filter = true, .help = "text"},
	{.name = NULL},
};
static const struct sluice_content_type box_more[] = {
	{.type = "box.lid", .plural = "lids", .model = "Lid"},
	{.type = NULL},
};
static const char *const box_sync_policies[] = {"additive", "mirror_content_only", "mirror_complete", NULL};
static const char *const box_skippable[] = {"lids", "labels", NULL};
static const struct sluice_field box_sync_fields[] = {
	{.name = "sync_policy",
		.type = SLUICE_CHOICE,
		.choices = box_sync_policies,
		.help = "what becomes of the rest"},
	{.name = "skip_types",
		.type = SLUICE_CHOICE_LIST,
		.choices = box_skippable,
		.default_json = "[]",
		.help = "what is left out"},
	{.name = NULL},
};
static const struct sluice_format box_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "box",
	.kind = "box",
	.version = "4.5.6",
	.model = "Box",
	.policies = SLUICE_IMMEDIATE,
	.remote_fields = box_fields,
	.content_fields = box_content_fields,
	.content_type = "box.item",
	.content_plural = "items",
	.more_content = box_more,
	.sync_fields = box_sync_fields,
	.task_sync = "test.box.sync",
	.task_publish = "test.box.publish",
};
static const struct sluice_format *const formats[] = {&file_format, &box_format, NULL};

/* ---- tasks of other layers: their result is what they were asked for ---- */

static int echo(struct task *t, struct err *err)
{
	task_result(t, json_deep_copy(task_args(t)));
	return 0;
}

static int publish(struct task *t, struct err *err)
{
	return err_set(err, -ERR_INVAL, "[PLP0012] nothing to publish");
}

static struct task_handler handlers[32] = {
	{"test.file.sync", echo, false},
	{"test.box.sync", echo, false},
	{"test.file.publish", echo, false},
	{"test.box.publish", publish, false},
	{"pulpcore.app.tasks.repository.add_and_remove", echo, false},
	{"pulpcore.app.tasks.orphan.orphan_cleanup", echo, false},
	{"pulpcore.app.tasks.reclaim_space.reclaim_space", echo, false},
};
static struct task_registry registry = {.handlers = handlers, .count = 7};

/* What sync does to a repository is told by what it reports as created. */
static int add_units(struct task *t, const char *repository_uuid, const int64_t *content_ids, size_t count,
	bool replace, struct err *err)
{
	char href[256];

	if (!replace)
		return err_set(err, -ERR_EXISTS, "[PLP0023] taken");
	(void)snprintf(href, sizeof(href), "/pulp/api/v3/repositories/file/file/%s/versions/1/", repository_uuid);
	return task_created(t, "prn:core.repositoryversion:00000000-0000-7000-8000-000000000000", href);
}

static int usage(void *arg, int64_t *total, int64_t *used, int64_t *free_bytes)
{
	*total = 1000;
	*used = 300;
	*free_bytes = 700;
	return 0;
}

/* ---- life ---- */

static int set_up(void **state, bool with_pool)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = ERR_INIT;
	char url[128], media[128];

	assert_non_null(f);
	if (with_pool)
		assert_int_equal(pool_new("test", 1, 2, &f->pool, &err), 0);
	if (registry.count == 7)
		for (size_t i = 0; i < api_task_handler_count; i++)
			handlers[registry.count++] = api_task_handlers[i];
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/sluice-api-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(url, sizeof(url), "sqlite:%s/catalog.db", f->dir);
	(void)snprintf(media, sizeof(media), "%s/media", f->dir);
	assert_int_equal(store_open(media, false, &f->store, &err), 0);
	assert_int_equal(settings_init(&f->settings, &err), 0);
	assert_int_equal(catalog_open(&(struct catalog_opts){.url = url, .busy_timeout_ms = 5000, .readers = 2}, true,
				 &f->catalog, &err),
		0);
	assert_int_equal(api_new(&(struct api_opts){.settings = &f->settings,
					 .catalog = f->catalog,
					 .registry = &registry,
					 .formats = formats,
					 .pool = f->pool,
					 .store = f->store,
					 .add_units = add_units,
					 .usage = usage},
				 &f->api, &err),
		0);
	api_tasks_bind(f->api);
	assert_int_equal(api_user_ensure_admin(f->catalog, ADMIN_PASSWORD, &err), 0);
	*state = f;
	return 0;
}

int fixture_setup(void **state)
{
	return set_up(state, false);
}

int fixture_setup_pool(void **state)
{
	return set_up(state, true);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)remove(path);
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	api_tasks_bind(NULL);
	if (f->pool != NULL)
		pool_free(&f->pool);
	api_free(&f->api);
	catalog_close(&f->catalog);
	store_close(&f->store);
	settings_fini(&f->settings);
	for (size_t i = 0; i < f->saved_count; i++)
		free(f->saved[i].value);
	(void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

void exec_sql(struct fixture *f, const char *sql)
{
	struct err err = ERR_INIT;
	struct txn *t = NULL;

	assert_int_equal(catalog_write(f->catalog, &t, &err), 0);
	if (db_exec(txn_db(t), sql, &err) < 0)
		fail_msg("%s: %s", sql, err.msg);
	assert_int_equal(txn_commit(&t, &err), 0);
}

void work(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct task_row *row;
	char uuid[UUID_STR];
	struct txn *t = NULL;
	int64_t worker;

	assert_int_equal(catalog_write(f->catalog, &t, &err), 0);
	assert_int_equal(catalog_worker_register(t, "1@test", "worker", "{}", &worker, &err), 0);
	assert_int_equal(txn_commit(&t, &err), 0);
	for (;;) {
		int rc;

		assert_int_equal(catalog_write(f->catalog, &t, &err), 0);
		rc = catalog_task_claim(t, worker, &row, &err);
		if (rc == -ERR_NOTFOUND)
			break;
		assert_int_equal(rc, 0);
		assert_int_equal(txn_commit(&t, &err), 0);
		assert_int_equal(task_child_main(&registry, f->catalog, uuid_str(&row->uuid, uuid)), 0);
		task_row_free(&row);
	}
	txn_end(&t);
}

/* ---- saved values ---- */

const char *saved(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->saved_count; i++)
		if (strcmp(f->saved[i].name, name) == 0)
			return f->saved[i].value;
	fail_msg("nothing was saved as '%s'", name);
	return NULL;
}

void save(struct fixture *f, const char *name, const char *value)
{
	for (size_t i = 0; i < f->saved_count; i++)
		if (strcmp(f->saved[i].name, name) == 0) {
			free(f->saved[i].value);
			f->saved[i].value = strdup(value);
			return;
		}
	assert_true(f->saved_count < ARRAY_LEN(f->saved));
	(void)snprintf(f->saved[f->saved_count].name, sizeof(f->saved[0].name), "%s", name);
	f->saved[f->saved_count++].value = strdup(value);
}

/* "{name}" where the name is of lower-case letters, digits and '_' alone, so that JSON stays what it is. */
static char *replace(struct fixture *f, const char *in)
{
	struct buf out = BUF_INIT(1 << 22);

	for (const char *p = in; p != NULL && *p != '\0'; p++) {
		size_t n = *p == '{' ? strspn(p + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
		char name[32];

		if (n > 0 && n < sizeof(name) && p[n + 1] == '}') {
			(void)snprintf(name, sizeof(name), "%.*s", (int)n, p + 1);
			buf_adds(&out, saved(f, name));
			p += n + 1;
		} else {
			buf_add(&out, p, 1);
		}
	}
	return buf_take(&out, NULL);
}

static void save_from(struct fixture *f, const char *spec, const json_t *json)
{
	const char *eq = strchr(spec, '=');
	char name[32], *path = strdup(eq + 1), *rest = path, *part;
	char *text;

	(void)snprintf(name, sizeof(name), "%.*s", (int)(eq - spec), spec);
	while ((part = strsep(&rest, ".")) != NULL)
		json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part)) : json_object_get(json, part);
	if (json == NULL)
		fail_msg("the answer has no %s", eq + 1);
	text = json_is_string(json) ? strdup(json_string_value(json))
				    : json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
	save(f, name, text);
	free(text);
	free(path);
}

/* ---- requests ---- */

static enum http_method method_of(const char *name)
{
	static const struct {
		const char *name;
		enum http_method m;
	} all[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT},
		{"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].m;
	return HTTP_OTHER;
}

void ask(struct fixture *f, const char *method, const char *path, struct api_request *req, struct api_response *res)
{
	/* "admin:" ADMIN_PASSWORD */
	static const char admin[] = "Basic YWRtaW46czNjcmV0LW9mLXRlc3Rz";
	const char *question = strchr(path, '?');
	struct buf full = BUF_INIT(1 << 20);

	if (path[0] != '/')
		buf_adds(&full, ROOT);
	buf_add(&full, path, question != NULL ? (size_t)(question - path) : strlen(path));
	req->method = method_of(method);
	req->method_text = slice_str(method);
	req->path = buf_slice(&full);
	req->query = question != NULL ? slice_str(question + 1) : SLICE_NULL;
	if (req->host.p == NULL)
		req->host = SLICE("mirror.test");
	if (req->authorization.p == NULL)
		req->authorization = SLICE(admin);
	if (req->authorization.n == 0)
		req->authorization = SLICE_NULL;
	if (req->peer == NULL)
		req->peer = "127.0.0.1:1";
	api_handle(f->api, req, res);
	buf_fini(&full);
}

/* Is all of `want` in `have`? Arrays have to be equal in length. */
static bool contains(const json_t *have, const json_t *want)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_object(want) && json_is_object(have)) {
		json_object_foreach((json_t *)want, key, v) if (!contains(json_object_get(have, key), v)) return false;
		return true;
	}
	if (json_is_array(want) && json_is_array(have)) {
		if (json_array_size(want) != json_array_size(have))
			return false;
		json_array_foreach((json_t *)want, i, v) if (!contains(json_array_get(have, i), v)) return false;
		return true;
	}
	return json_equal(have, want);
}

static void check(const struct step *s, size_t at, const char *want, const struct api_response *res, const json_t *json)
{
	const char *body = res->body.p != NULL ? res->body.p : "";
	json_t *w;

	if (want == NULL)
		return;
	if (want[0] == '=') {
		if (strcmp(body, want + 1) != 0)
			fail_msg("step %zu: %s %s\n  got    %s\n  wanted %s", at, s->method, s->path, body, want + 1);
		return;
	}
	if (want[0] == '~') {
		if (strstr(body, want + 1) == NULL)
			fail_msg("step %zu: %s %s\n  got    %s\n  wanted …%s…", at, s->method, s->path, body, want + 1);
		return;
	}
	w = json_loads(want, JSON_DECODE_ANY, NULL);
	if (w == NULL)
		fail_msg("step %zu: not JSON: %s", at, want);
	if (!contains(json, w))
		fail_msg("step %zu: %s %s\n  got    %s\n  wanted %s", at, s->method, s->path, body, want);
	json_decref(w);
}

static void run_step(struct fixture *f, size_t at, const struct step *s, struct slice type, const char *form_body)
{
	char *path = replace(f, s->path), *body = replace(f, form_body != NULL ? form_body : s->body),
	     *want = s->want != NULL ? replace(f, s->want) : NULL;
	struct api_request req = {
		.body = slice_str(body), .content_type = type, .content_range = slice_str(f->content_range)};
	struct api_response res;
	json_t *json;

	ask(f, s->method, path, &req, &res);
	json = res.body.n > 0 ? json_loadb(res.body.p, res.body.n, JSON_DECODE_ANY, NULL) : NULL;
	if (res.status != s->status)
		fail_msg("step %zu: %s %s: status %d, not %d\n  %s", at, s->method, path, res.status, s->status,
			res.body.p != NULL ? res.body.p : "");
	check(s, at, want, &res, json);
	if (s->save != NULL)
		save_from(f, s->save, json);
	if (res.status == 201 || res.status == 202)
		assert_string_equal(res.content_type, "application/json");
	json_decref(json);
	api_response_fini(&res);
	free(path);
	free(body);
	free(want);
}

void play(struct fixture *f, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *body = steps[i].body != NULL ? steps[i].body : "";
		/* what does not look like JSON is a form */
		bool form = body[0] != '\0' && strchr("{[\"0123456789", body[0]) == NULL && strcmp(body, "null") != 0;

		run_step(f, i, &steps[i], form ? SLICE("application/x-www-form-urlencoded") : SLICE("application/json"),
			NULL);
	}
}

void form(struct fixture *f, const char *method, const char *path, const char *fields, int status, const char *want,
	const char *saving)
{
	const struct step s = {method, path, "", status, want, saving};
	struct slice rest = slice_str(fields);
	struct buf body = BUF_INIT(1 << 22);

	while (rest.p != NULL) {
		struct slice value = slice_cut(&rest, '&'), name = slice_cut(&value, '=');
		bool file = name.n > 0 && name.p[name.n - 1] == '@';

		buf_addf(&body, "--fixture\r\nContent-Disposition: form-data; name=\"%.*s\"%s\r\n\r\n",
			(int)(name.n - file), name.p, file ? "; filename=\"f\"" : "");
		buf_add_slice(&body, value);
		buf_adds(&body, "\r\n");
	}
	buf_adds(&body, "--fixture--\r\n");
	run_step(f, 0, &s, SLICE("multipart/form-data; boundary=fixture"), body.p);
	buf_fini(&body);
}
