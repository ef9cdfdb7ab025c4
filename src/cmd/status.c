/* `sluice status`: is the server there, and what is it doing. */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/remote_ops.h"

#define API "/pulp/api/v3/"

static const struct {
	const char *name, *path;
} counts[] = {
	{"repositories", ALL_REPOSITORIES "?limit=1"},
	{"distributions", ALL_DISTRIBUTIONS "?limit=1"},
	{"tasks_waiting", API "tasks/?limit=1&state=waiting"},
	{"tasks_running", API "tasks/?limit=1&state=running"},
	{"tasks_failed", API "tasks/?limit=1&state=failed"},
};
#define COUNTS (sizeof(counts) / sizeof(counts[0]))

static int status_fetch(struct client *c, json_t **out, struct err *err)
{
	json_t *status = NULL, *metrics = NULL, *n = json_object();
	int rc = client_call(c, "GET", API "status/", NULL, &status, err);

	for (size_t i = 0; rc == 0 && i < COUNTS; i++) {
		json_t *page = NULL;

		rc = client_call(c, "GET", counts[i].path, NULL, &page, err);
		if (rc == 0)
			json_object_set(n, counts[i].name, json_object_get(page, "count"));
		json_decref(page);
	}
	if (rc == 0)
		rc = client_metrics(c, &metrics, err);
	if (rc == 0 && (json_object_set(status, "counts", n) < 0 || json_object_set(status, "metrics", metrics) < 0 ||
			       json_object_set_new(status, "url", json_string(client_url(c))) < 0))
		rc = err_set(err, -ERR_DENIED, "what answers at '%s' is not the API", client_url(c));
	json_decref(metrics);
	json_decref(n);
	if (rc == 0)
		*out = status;
	else
		json_decref(status);
	return rc;
}

static double gib(const json_t *storage, const char *key)
{
	return json_number_value(json_object_get(storage, key)) / (1024.0 * 1024 * 1024);
}

static long long count_of(const json_t *status, const char *name)
{
	return (long long)json_integer_value(json_object_get(json_object_get(status, "counts"), name));
}

static long long metric_of(const json_t *status, const char *name)
{
	return (long long)json_integer_value(json_object_get(json_object_get(status, "metrics"), name));
}

static void status_text(const json_t *status, struct buf *out)
{
	const json_t *storage = json_object_get(status, "storage");
	json_t *versions = json_object_get(status, "versions"), *v;
	size_t i;

	buf_addf(out, "Server         %s\n", json_text_of(status, "url"));
	buf_adds(out, "Components    ");
	json_array_foreach(versions, i, v)
		buf_addf(out, " %s %s", json_text_of(v, "component"), json_text_of(v, "version"));
	buf_addf(out, "\nDatabase       %s\n",
		json_is_true(json_object_get(json_object_get(status, "database_connection"), "connected"))
			? "connected"
			: "not connected");
	buf_addf(out, "Online         %zu workers, %zu API, %zu content\n",
		json_array_size(json_object_get(status, "online_workers")),
		json_array_size(json_object_get(status, "online_api_apps")),
		json_array_size(json_object_get(status, "online_content_apps")));
	if (json_is_number(json_object_get(storage, "total")))
		buf_addf(out, "Storage        %.1f GiB used, %.1f of %.1f GiB free\n", gib(storage, "used"),
			gib(storage, "free"), gib(storage, "total"));
	if (json_is_number(json_object_get(storage, "artifact_bytes")))
		buf_addf(out, "Artifacts      %lld, %.1f GiB",
			(long long)json_integer_value(json_object_get(storage, "artifacts")),
			gib(storage, "artifact_bytes"));
	if (json_is_number(json_object_get(storage, "quota")))
		buf_addf(out, " of at most %.1f GiB, %lld evicted since the start", gib(storage, "quota"),
			metric_of(status, "sluice_store_evictions_total"));
	if (json_is_number(json_object_get(storage, "artifact_bytes")))
		buf_adds(out, "\n");
	buf_addf(out, "Repositories   %lld, with %lld distributions\n", count_of(status, "repositories"),
		count_of(status, "distributions"));
	buf_addf(out, "Downloads      %lld in progress, %lld clients reading them\n",
		metric_of(status, "sluice_flights_open"), metric_of(status, "sluice_flight_readers"));
	buf_addf(out, "Content        %lld requests answered from disk, %lld downloaded for, since the start\n",
		metric_of(status, "sluice_content_hits_total"), metric_of(status, "sluice_content_misses_total"));
	buf_addf(out, "Tasks          %lld running, %lld waiting, %lld failed\n", count_of(status, "tasks_running"),
		count_of(status, "tasks_waiting"), count_of(status, "tasks_failed"));
}

int cmd_status(const struct options *o)
{
	struct buf out = BUF_INIT(0);
	struct client *c = NULL;
	json_t *status = NULL;
	struct err err = ERR_INIT;
	int rc = client_open(o, &c, &err);

	if (rc == 0)
		rc = status_fetch(c, &status, &err);
	if (rc == 0) {
		if (o->json)
			commands_add_json(&out, status);
		else
			status_text(status, &out);
		rc = commands_print(&out, &err);
	}
	json_decref(status);
	buf_fini(&out);
	client_close(&c);
	return rc < 0 ? commands_fail("status", rc, &err) : EXIT_OK;
}
