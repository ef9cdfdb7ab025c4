/* A whole API request: "METHOD TARGET\nCONTENT-TYPE\nBODY". Whatever it is, the answer is no 5xx, and is JSON where it says so.
 * "{r}" in the target and the body stands for a repository, "{m}" for a remote. */
#include "fuzz.h"

#include "api/api.h"
#include "base/check.h"
#include "base/log.h"
#include "base/url.h"
#include "store/store.h"

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORGET_EVERY 500 /* inputs: what they made is deleted then, or lists grow without end */
#define ROOT "/pulp/api/v3/"

static int run_nothing(struct task *t, struct err *err)
{
	return 0;
}

static int add_units(struct task *t, const char *repository_uuid, const int64_t *content_ids, size_t count,
	bool replace, struct err *err)
{
	return 0;
}

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

	(void)snprintf(key, sizeof(key), "%s\n%s", path, h->get(u, "sha256"));
	(void)snprintf(extra, sizeof(extra), "{}");
	return h->unit(u, &unit);
}

static const struct sluice_format format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "file",
	.kind = "file",
	.version = "1",
	.model = "File",
	.policies = SLUICE_IMMEDIATE,
	.content_type = "file.file",
	.content_plural = "files",
	.task_sync = "sync",
	.task_publish = "publish",
	.upload = upload,
};
static const struct sluice_format *const formats[] = {&format, NULL};
static struct task_handler handlers[32] = {
	{"sync", run_nothing, false},
	{"publish", run_nothing, false},
	{"pulpcore.app.tasks.repository.add_and_remove", run_nothing, false},
	{"pulpcore.app.tasks.orphan.orphan_cleanup", run_nothing, false},
	{"pulpcore.app.tasks.reclaim_space.reclaim_space", run_nothing, false},
};
static struct task_registry registry = {.handlers = handlers, .count = 5};

static struct {
	char dir[64];
	struct settings settings;
	struct catalog *catalog;
	struct api *api;
	struct store *store;
	char repository[128], remote[128];
	int inputs;
} world;

static int ask(enum http_method m, const char *method, struct slice path, struct slice query, struct slice type,
	struct slice body, struct api_response *res)
{
	/* "admin:x" */
	struct api_request req = {.method = m,
		.method_text = slice_str(method),
		.path = path,
		.query = query,
		.authorization = SLICE("Basic YWRtaW46eA=="),
		.content_type = type,
		.host = SLICE("h"),
		.body = body};

	api_handle(world.api, &req, res);
	return res->status;
}

static void make(const char *path, const char *body, char *href, size_t cap)
{
	struct api_response res;
	json_t *json;

	BUG(ask(HTTP_POST, "POST", slice_str(path), SLICE_NULL, SLICE("application/json"), slice_str(body), &res) !=
		201);
	json = json_loadb(res.body.p, res.body.n, 0, NULL);
	(void)snprintf(href, cap, "%s", json_string_value(json_object_get(json, "pulp_href")));
	json_decref(json);
	api_response_fini(&res);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)remove(path);
	return 0;
}

static void close_world(void)
{
	api_tasks_bind(NULL);
	api_free(&world.api);
	catalog_close(&world.catalog);
	settings_fini(&world.settings);
	store_close(&world.store);
	(void)nftw(world.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_world(void)
{
	char url[96], media[96];

	/* in memory if possible: each write is synced */
	(void)snprintf(world.dir, sizeof(world.dir), "%s/sluice-fuzz-api-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	BUG(mkdtemp(world.dir) == NULL);
	(void)snprintf(url, sizeof(url), "sqlite:%s/c.db", world.dir);
	(void)snprintf(media, sizeof(media), "%s/media", world.dir);
	log_set_level(LOG_ERROR);
	BUG(store_open(media, false, &world.store, NULL) < 0);
	BUG(settings_init(&world.settings, NULL) < 0);
	BUG(catalog_open(&(struct catalog_opts){.url = url, .busy_timeout_ms = 1000, .readers = 2}, true,
		    &world.catalog, NULL) < 0);
	BUG(api_new(&(struct api_opts){.settings = &world.settings,
			    .catalog = world.catalog,
			    .registry = &registry,
			    .formats = formats,
			    .store = world.store,
			    .add_units = add_units},
		    &world.api, NULL) < 0);
	api_tasks_bind(world.api);
	BUG(api_user_ensure_admin(world.catalog, "x", NULL) < 0);
	make(ROOT "remotes/file/file/", "{\"name\":\"m\",\"url\":\"http://h/\"}", world.remote, sizeof(world.remote));
	make(ROOT "repositories/file/file/", "{\"name\":\"r\"}", world.repository, sizeof(world.repository));
}

static void start(void)
{
	if (world.api != NULL && ++world.inputs % FORGET_EVERY != 0)
		return;
	if (world.api != NULL)
		close_world();
	else {
		for (size_t i = 0; i < api_task_handler_count; i++)
			handlers[registry.count++] = api_task_handlers[i];
		(void)atexit(close_world);
	}
	open_world();
}

static void replace(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		bool hole = i + 2 < in.n && in.p[i] == '{' && in.p[i + 2] == '}';

		if (hole && in.p[i + 1] == 'r')
			buf_adds(out, world.repository);
		else if (hole && in.p[i + 1] == 'm')
			buf_adds(out, world.remote);
		else
			buf_add(out, in.p + i, 1);
		i += hole && (in.p[i + 1] == 'r' || in.p[i + 1] == 'm') ? 2 : 0;
	}
}

static void check(const struct api_response *res)
{
	json_t *json;

	BUG(res->status >= 500 || res->status < 200);
	if (res->content_type == NULL || strcmp(res->content_type, "application/json") != 0)
		return;
	json = json_loadb(res->body.p, res->body.n, JSON_DECODE_ANY, NULL);
	BUG(json == NULL);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		const char *name;
		enum http_method m;
	} methods[] = {{"GET", HTTP_GET}, {"POST", HTTP_POST}, {"PATCH", HTTP_PATCH}, {"PUT", HTTP_PUT},
		{"DELETE", HTTP_DELETE}};
	struct slice rest = slice_of((const char *)data, size), line = slice_cut(&rest, '\n'),
		     method = slice_cut(&line, ' '), type, query;
	struct buf target = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);
	struct api_response res;
	char path[4096];
	size_t n;

	if (rest.p == NULL || line.p == NULL)
		return 0;
	start();
	type = slice_cut(&rest, '\n');
	replace(line, &target);
	replace(rest, &body);
	query = buf_slice(&target);
	line = slice_cut(&query, '?');
	/* the HTTP server has decoded and checked the path before */
	if (line.n == 0 || memchr(line.p, '%', line.n) != NULL ||
		url_path_decode(line, path, sizeof(path), &n, NULL) < 0)
		goto out;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (slice_eq(method, slice_str(methods[i].name))) {
			(void)ask(
				methods[i].m, methods[i].name, slice_of(path, n), query, type, buf_slice(&body), &res);
			check(&res);
			api_response_fini(&res);
		}
out:
	buf_fini(&target);
	buf_fini(&body);
	return 0;
}
