/* Objects made, changed and synced over REST. Blocking. */
#include "cmd/remote_ops.h"

#include "base/check.h"
#include "base/url.h"
#include "cmd/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLLECTIONS(format_, part_, verbatim_)                           \
	.format = format_, .remotes = "/pulp/api/v3/remotes/" part_ "/", \
	.repositories = "/pulp/api/v3/repositories/" part_ "/",          \
	.publications = "/pulp/api/v3/publications/" verbatim_ "/",      \
	.distributions = "/pulp/api/v3/distributions/" part_ "/"

static const struct collections all_collections[] = {
	{COLLECTIONS("file", "file/file", "file/file"), .manifest = "PULP_MANIFEST", .publishes_own = true},
	{COLLECTIONS("rpm", "rpm/rpm", "rpm/rpm"), .manifest = ""},
	{COLLECTIONS("deb", "deb/apt", "deb/verbatim"), .manifest = ""},
};

const struct collections *collections_of(const char *format)
{
	for (size_t i = 0; i < ARRAY_LEN(all_collections); i++)
		if (strcmp(all_collections[i].format, format) == 0)
			return &all_collections[i];
	return NULL;
}

const char *json_text_of(const json_t *object, const char *key)
{
	const char *v = json_string_value(json_object_get(object, key));

	return v != NULL ? v : "";
}

int64_t version_units(const json_t *version, const char *which)
{
	json_t *types = json_object_get(json_object_get(version, "content_summary"), which), *type;
	const char *name;
	int64_t n = 0;

	json_object_foreach(types, name, type) n += json_integer_value(json_object_get(type, "count"));
	return n;
}

/* The members of `wanted` that `is` has otherwise. */
static json_t *differences(const json_t *is, const json_t *wanted)
{
	json_t *diff = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)wanted, key, v)
	{
		if (!json_equal(json_object_get(is, key), v) && json_object_set(diff, key, v) < 0) {
			json_decref(diff);
			return NULL;
		}
	}
	return diff;
}

static int update_object(struct client *c, const json_t *is, const json_t *wanted, json_t **out, struct err *err)
{
	const char *href = json_text_of(is, "pulp_href");
	json_t *diff = differences(is, wanted);
	int rc = 0;

	if (diff == NULL)
		return err_set(err, -ERR_NOMEM, "changing %s", href);
	if (json_object_size(diff) > 0)
		rc = client_do(c, "PATCH", href, diff, false, NULL, err);
	if (rc == 0)
		rc = client_call(c, "GET", href, NULL, out, err);
	json_decref(diff);
	return rc;
}

int ensure_object(struct client *c, const char *collection, const json_t *wanted, json_t **out, struct err *err)
{
	const char *name = json_text_of(wanted, "name"), *at;
	json_t *is = NULL;
	int rc = client_find(c, collection, name, &is, err);

	if (rc == -ERR_NOTFOUND)
		rc = client_do(c, "POST", collection, wanted, true, out, err);
	else if (rc == 0)
		rc = update_object(c, is, wanted, out, err);
	at = is != NULL ? json_text_of(is, "pulp_href") : collection;
	if (rc < 0)
		err_wrap(err, "'%s' at %s%s", name, client_url(c), at);
	json_decref(is);
	return rc;
}

int ensure_published(struct client *c, const char *publications, const json_t *version, struct err *err)
{
	const char *href = json_text_of(version, "pulp_href");
	json_t *there = NULL, *wanted = NULL;
	struct buf path = BUF_INIT(65536);
	int rc;

	buf_addf(&path, "%s?repository_version=", publications);
	url_encode(&path, slice_str(href), "/");
	rc = path.failed != 0 ? err_set(err, path.failed, "the version's name is too long")
			      : client_list(c, path.p, &there, err);
	if (rc == 0 && json_array_size(there) == 0) {
		wanted = json_pack("{s:s}", "repository_version", href);
		rc = wanted != NULL ? client_do(c, "POST", publications, wanted, false, NULL, err)
				    : err_set(err, -ERR_NOMEM, "no memory for the request");
	}
	if (rc < 0)
		err_wrap(err, "publishing %s%s", client_url(c), href);
	json_decref(wanted);
	json_decref(there);
	buf_fini(&path);
	return rc;
}

int sync_repository(struct client *c, const json_t *repository, const json_t *body, bool quiet, struct sync_done *out,
	struct err *err)
{
	const char *href = json_text_of(repository, "pulp_href");
	json_t *answer = NULL, *task = NULL, *now = NULL;
	struct buf path = BUF_INIT(65536);
	struct sync_done done = {0};
	struct progress p;
	int rc;

	progress_init(&p, STDERR_FILENO);
	buf_addf(&path, "%ssync/", href);
	rc = client_call(c, "POST", path.p, body, &answer, err);
	if (rc == 0)
		rc = client_wait(c, json_text_of(answer, "task"), quiet ? NULL : &p, &task, err);
	if (rc == 0)
		rc = client_call(c, "GET", href, NULL, &now, err);
	if (rc == 0)
		rc = client_call(c, "GET", json_text_of(now, "latest_version_href"), NULL, &done.version, err);
	if (rc < 0)
		goto out;
	done.changed = json_array_size(json_object_get(task, "created_resources")) > 0;
	done.task = strdup(json_text_of(answer, "task"));
	if (done.task == NULL) {
		rc = err_set(err, -ERR_NOMEM, "syncing");
		goto out;
	}
	*out = done;
	done = (struct sync_done){0};
out:
	sync_done_fini(&done);
	json_decref(now);
	json_decref(task);
	json_decref(answer);
	buf_fini(&path);
	return rc;
}

void sync_done_fini(struct sync_done *d)
{
	json_decref(TAKE(d->version));
	free(TAKE(d->task));
}

int distribution_url(const struct client *c, const json_t *distribution, struct buf *out)
{
	const char *base = json_text_of(distribution, "base_url");

	/* Without a content origin in the server's settings it is a path. */
	if (base[0] == '/')
		buf_adds(out, client_url(c));
	return buf_adds(out, base);
}
