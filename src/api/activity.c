/* What is in flight, and how upstreams fare. It lies in the memory of the process that serves content; nothing of it is in the catalog but the
 * names of the remotes. */
#include "api/activity.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/remote.h"

#include <stdlib.h>

/* ---- remotes ---- */

/* Sets "remote" and "remote_name": null for none, and for one that is gone meanwhile. */
static int add_remote(struct api_ctx *x, int64_t id, json_t *to, struct err *err)
{
	struct remote_row *row = NULL;
	char uuid[UUID_STR];
	struct txn *t;
	int rc = id != 0 ? api_txn(x, &t, err) : -ERR_NOTFOUND;

	if (rc == 0)
		rc = catalog_remote_by_id(t, id, &row, err);
	if (rc < 0 && rc != -ERR_NOTFOUND)
		return rc;
	json_object_set_new(to, "remote",
		row != NULL ? json_string(api_href_by(x, "remotes", row->type, uuid_str(&row->uuid, uuid)))
			    : json_null());
	json_object_set_new(to, "remote_name", row != NULL ? json_string(row->name) : json_null());
	remote_row_free(&row);
	return 0;
}

static json_t *text_or_null(const char *z)
{
	return z[0] != '\0' ? json_string(z) : json_null();
}

static json_t *ms_or_null(int64_t ns)
{
	return ns > 0 ? json_real((double)ns / (double)NS_PER_MS) : json_null();
}

/* ---- rows ---- */

static json_t *flight_row(const struct flight_view *v)
{
	double age_s = (double)v->age_ns / (double)NS_PER_S;
	int64_t rate = v->age_ns > 0 ? (int64_t)((double)v->bytes / age_s) : 0;

	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:I, s:I, s:i, s:i, s:i, s:f}", "id", (json_int_t)v->id, "artifact",
		v->artifact, "state", v->state, "source", text_or_null(v->source), "size",
		v->size >= 0 ? json_integer(v->size) : json_null(), "bytes", (json_int_t)v->bytes, "rate",
		(json_int_t)rate, "readers", v->readers, "ranges", v->ranges, "resumes", v->resumes, "age", age_s);
}

static json_t *source_row(const struct source_view *v)
{
	char until[CLOCK_ISO_MAX] = "";

	if (v->wait_ns > 0)
		(void)clock_iso(clock_wall_us() + v->wait_ns / 1000, until);
	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:I, s:o, s:o, s:o, s:f}", "origin", v->origin, "state", v->state,
		"open_requests", v->open, "waiting_requests", v->waiting, "answers", (json_int_t)v->answers, "failures",
		(json_int_t)v->failures, "backoff_until", text_or_null(until), "last_error",
		text_or_null(v->last_failure), "first_byte_ms", ms_or_null(v->first_byte_ns), "hedge_ms",
		(double)v->hedge_ns / (double)NS_PER_MS);
}

/* ---- pages ---- */

/* Appends the rows of a page, at most ACTIVITY_ROWS_MAX, to `list`; *total: how many there are. */
typedef int rows_fn(struct api_ctx *x, json_t *list, int64_t *total, struct err *err);

/* `row` becomes part of the list. */
static int add_row(struct api_ctx *x, json_t *list, json_t *row, int64_t remote, struct err *err)
{
	int rc = row != NULL ? add_remote(x, remote, row, err) : err_set(err, -ERR_NOMEM, "a list of what is going on");

	if (rc == 0)
		json_array_append(list, row);
	json_decref(row);
	return rc;
}

static int add_flights(struct api_ctx *x, json_t *list, int64_t *total, struct err *err)
{
	const struct activity *a = x->api->activity;
	struct flight_view *rows = calloc(ACTIVITY_ROWS_MAX, sizeof(*rows));
	size_t n = 0;
	int rc = rows != NULL ? a->flights(a->arg, rows, ACTIVITY_ROWS_MAX, &n, total) : -ERR_NOMEM;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_row(x, list, flight_row(&rows[i]), rows[i].remote, err);
	free(rows);
	return rc;
}

static int add_sources(struct api_ctx *x, json_t *list, int64_t *total, struct err *err)
{
	const struct activity *a = x->api->activity;
	struct source_view *rows = calloc(ACTIVITY_ROWS_MAX, sizeof(*rows));
	size_t n = 0;
	int rc = rows != NULL ? a->sources(a->arg, rows, ACTIVITY_ROWS_MAX, &n, total) : -ERR_NOMEM;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_row(x, list, source_row(&rows[i]), rows[i].remote, err);
	free(rows);
	return rc;
}

static void page(struct api_ctx *x, rows_fn *add)
{
	json_t *list = json_array();
	struct err err = ERR_INIT;
	int64_t total = 0;
	int rc;

	if (x->api->activity == NULL) {
		json_decref(list);
		api_reply_detail(x, 404, "This process serves no content: ask one that does.");
		return;
	}
	rc = add(x, list, &total, &err);
	api_txn_end(x);
	if (rc == 0) {
		api_reply(x, 200,
			json_pack("{s:I, s:n, s:n, s:o}", "count", (json_int_t)total, "next", "previous", "results",
				list));
		return;
	}
	json_decref(list);
	api_reply_err(x, rc, &err);
}

void api_page_flights(struct api_ctx *x, const struct api_route *rt)
{
	page(x, add_flights);
}

void api_page_sources(struct api_ctx *x, const struct api_route *rt)
{
	page(x, add_sources);
}

void api_set_activity(struct api *api, const struct activity *a)
{
	api->activity = a;
}
