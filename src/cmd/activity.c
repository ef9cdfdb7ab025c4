/* `sluice flights` and `sluice sources`: what is being downloaded for clients, and how the upstreams fare. */
#include "base/check.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/remote_ops.h"

#include <string.h>

static const char *text_or_dash(const json_t *row, const char *key)
{
	const char *z = json_string_value(json_object_get(row, key));

	return z != NULL ? z : "-";
}

static double mib(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key)) / (1024.0 * 1024);
}

static void flight_line(const json_t *row, struct buf *out)
{
	double size = mib(row, "size"), bytes = mib(row, "bytes");

	buf_addf(out, "%6lld  %-10s  %5.0f s  %7lld  %9.1f  ",
		(long long)json_integer_value(json_object_get(row, "id")), json_text_of(row, "state"),
		json_number_value(json_object_get(row, "age")),
		(long long)json_integer_value(json_object_get(row, "readers")), mib(row, "rate"));
	if (size > 0)
		buf_addf(out, "%9.1f of %9.1f  %s\n", bytes, size, text_or_dash(row, "source"));
	else
		buf_addf(out, "%9.1f of         ?  %s\n", bytes, text_or_dash(row, "source"));
}

static void source_line(const json_t *row, struct buf *out)
{
	const json_t *ms = json_object_get(row, "first_byte_ms");

	buf_addf(out, "%-8s  %5lld  %7lld  %8lld  ", json_text_of(row, "state"),
		(long long)json_integer_value(json_object_get(row, "open_requests")),
		(long long)json_integer_value(json_object_get(row, "waiting_requests")),
		(long long)json_integer_value(json_object_get(row, "answers")));
	if (json_is_number(ms))
		buf_addf(out, "%7.0f ms  ", json_number_value(ms));
	else
		buf_adds(out, "         -  ");
	buf_addf(out, "%s  %s", text_or_dash(row, "remote_name"), json_text_of(row, "origin"));
	if (json_is_string(json_object_get(row, "backoff_until")))
		buf_addf(out, "  left alone until %s: %s", json_text_of(row, "backoff_until"),
			text_or_dash(row, "last_error"));
	buf_adds(out, "\n");
}

struct view {
	const char *name, *path, *header;
	void (*line)(const json_t *row, struct buf *out);
};
static const struct view flights_view = {"flights", "/pulp/api/v3/flights/",
	"FLIGHT  STATE           AGE  READERS    MIB/S           MIB             SOURCE\n", flight_line};
static const struct view sources_view = {"sources", "/pulp/api/v3/sources/",
	"STATE      OPEN  WAITING   ANSWERS  FIRST BYTE  REMOTE  UPSTREAM\n", source_line};

static void table(const struct view *v, const json_t *page, struct buf *out)
{
	const json_t *rows = json_object_get(page, "results");
	long long more =
		(long long)json_integer_value(json_object_get(page, "count")) - (long long)json_array_size(rows);
	json_t *row;
	size_t i;

	buf_adds(out, v->header);
	json_array_foreach((json_t *)(uintptr_t)rows, i, row) v->line(row, out);
	if (more > 0)
		buf_addf(out, "and %lld more\n", more);
}

static int show(const struct options *o, const struct view *v)
{
	struct buf out = BUF_INIT(0);
	struct client *c = NULL;
	json_t *page = NULL;
	struct err err = ERR_INIT;
	int rc = client_open(o, &c, &err);

	if (rc == 0)
		rc = client_call(c, "GET", v->path, NULL, &page, &err);
	if (rc == 0) {
		if (o->json)
			commands_add_json(&out, json_object_get(page, "results"));
		else
			table(v, page, &out);
		rc = commands_print(&out, &err);
	}
	json_decref(page);
	buf_fini(&out);
	client_close(&c);
	return rc < 0 ? commands_fail(v->name, rc, &err) : EXIT_OK;
}

int cmd_flights(const struct options *o)
{
	return show(o, &flights_view);
}

int cmd_sources(const struct options *o)
{
	return show(o, &sources_view);
}
