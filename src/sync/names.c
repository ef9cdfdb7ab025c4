/* What tasks say about what they made: hrefs, PRNs, and objects as the API shows them. */
#include "sync/sync_priv.h"

#include "catalog/query.h"
#include "catalog/repository.h"

#include <stdio.h>

#define ROOT "/pulp/api/v3/"

/* "file.file" as a part of a path: "file/file". */
static void add_type_path(struct buf *b, const char *type)
{
	for (; *type != '\0'; type++)
		buf_add(b, *type == '.' ? "/" : type, 1);
}

static void add_lower(struct buf *b, const char *z)
{
	for (; *z != '\0'; z++) {
		char c = (char)(*z >= 'A' && *z <= 'Z' ? *z - 'A' + 'a' : *z);

		buf_add(b, &c, 1);
	}
}

static void add_repository_href(struct buf *b, const char *type, const struct uuid *repo)
{
	char uuid[UUID_STR];

	buf_adds(b, ROOT "repositories/");
	add_type_path(b, type);
	buf_addf(b, "/%s/", uuid_str(repo, uuid));
}

void sync_version_names(const char *type, const struct uuid *repo, int64_t number, const struct uuid *version,
	struct buf *href, struct buf *prn)
{
	char uuid[UUID_STR];

	add_repository_href(href, type, repo);
	buf_addf(href, "versions/%lld/", (long long)number);
	buf_addf(prn, "prn:core.repositoryversion:%s", uuid_str(version, uuid));
}

void sync_publication_names(const struct sluice_format *f, const struct sluice_publication_kind *kind,
	const struct uuid *pub, struct buf *href, struct buf *prn)
{
	char uuid[UUID_STR];

	buf_addf(
		href, ROOT "publications/%s/%s/%s/", f->name, kind != NULL ? kind->kind : f->kind, uuid_str(pub, uuid));
	buf_addf(prn, "prn:%s.", f->name);
	add_lower(prn, kind != NULL ? kind->model : f->model);
	buf_addf(prn, "%s:%s", kind != NULL ? "" : "publication", uuid);
}

int sync_created_version(struct task *t, const char *type, const struct uuid *repo, int64_t number,
	const struct uuid *version, struct err *err)
{
	struct buf href = BUF_INIT(0), prn = BUF_INIT(0);
	int rc = 0;

	sync_version_names(type, repo, number, version, &href, &prn);
	if (href.failed != 0 || prn.failed != 0)
		rc = err_set(err, -ERR_NOMEM, "no memory for a name");
	else if (task_created(t, prn.p, href.p) != 0)
		rc = err_set(err, -ERR_DB, "the new version cannot be recorded with its task");
	buf_fini(&href);
	buf_fini(&prn);
	return rc;
}

int sync_uuid_of(const char *name, struct uuid *out, struct err *err)
{
	struct slice s = slice_str(name);
	ptrdiff_t at;

	if (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	at = slice_rchr(s, s.n > 4 && slice_starts(s, SLICE("prn:")) ? ':' : '/');
	if (uuid_parse(slice_of(s.p + at + 1, s.n - (size_t)(at + 1)), out) != 0)
		return err_set(err, -ERR_INVAL, "'%.200s' names nothing", name);
	return 0;
}

/* ---- objects ---- */

/* {"file.file": {"count": n, "href": …}, …}, or {} for none. `counts` (by type): of a format with more types than one. */
static json_t *summary(const struct sluice_format *f, const json_t *counts, json_int_t all, const char *filter,
	const char *version_href)
{
	const struct sluice_content_type *more = f->more_content;
	struct buf href = BUF_INIT(0);
	json_t *out = json_object();

	for (size_t i = 0; out != NULL; i++) {
		const char *type = i == 0 ? f->content_type : more[i - 1].type,
			   *plural = i == 0 ? f->content_plural : more[i - 1].plural;
		json_int_t count = all;

		if (type == NULL)
			break;
		if (counts != NULL)
			count = json_integer_value(json_object_get(counts, type));
		buf_reset(&href);
		buf_addf(&href, ROOT "content/%s/%s/?%s=%s", f->name, plural, filter, version_href);
		if (count > 0 &&
			(href.failed != 0 || json_object_set_new(out, type,
						     json_pack("{s:I, s:s}", "count", count, "href", href.p)) != 0)) {
			json_decref(out);
			out = NULL;
		}
		if (more == NULL)
			break;
	}
	buf_fini(&href);
	return out;
}

static json_int_t count_of(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *v = json_string_value(json_object_get(row, key));

	return v != NULL ? v : "";
}

/* The href of a version by the members of a row; NULL when the row has none. */
static json_t *version_href_of(const json_t *row, const char *type, const char *repository, const char *number)
{
	struct buf href = BUF_INIT(0);
	struct uuid u;
	json_t *out = NULL;

	if (uuid_parse(slice_str(text_of(row, repository)), &u) == 0) {
		add_repository_href(&href, text_of(row, type), &u);
		buf_addf(&href, "versions/%lld/", (long long)count_of(row, number));
		out = href.failed == 0 ? json_string(href.p) : NULL;
	}
	buf_fini(&href);
	return out;
}

static json_t *repository_href_of(const json_t *row, const char *type, const char *repository)
{
	struct buf href = BUF_INIT(0);
	struct uuid u;
	json_t *out = NULL;

	if (uuid_parse(slice_str(text_of(row, repository)), &u) == 0) {
		add_repository_href(&href, text_of(row, type), &u);
		out = href.failed == 0 ? json_string(href.p) : NULL;
	}
	buf_fini(&href);
	return out;
}

static json_t *version_object(const struct sluice_format *f, const json_t *counts, const json_t *row)
{
	json_t *href = version_href_of(row, "type", "repository", "number");
	const char *z = json_string_value(href);
	char prn[64];

	if (z == NULL)
		return NULL;
	(void)snprintf(prn, sizeof(prn), "prn:core.repositoryversion:%s", text_of(row, "uuid"));
	return json_pack("{s:o, s:s, s:O, s:O, s:I, s:o, s:o?, s:{s:o, s:o, s:o}, s:n}", "pulp_href", href, "prn", prn,
		"pulp_created", json_object_get(row, "created"), "pulp_last_updated", json_object_get(row, "updated"),
		"number", count_of(row, "number"), "repository", repository_href_of(row, "type", "repository"),
		"base_version", version_href_of(row, "base_type", "base_repository", "base_number"), "content_summary",
		"added",
		summary(f, json_object_get(counts, "added"), count_of(row, "added"), "repository_version_added", z),
		"removed",
		summary(f, json_object_get(counts, "removed"), count_of(row, "removed"), "repository_version_removed",
			z),
		"present",
		summary(f, json_object_get(counts, "present"), count_of(row, "present"), "repository_version", z),
		"vuln_report");
}

int sync_version_json(struct txn *t, const struct sluice_format *f, const struct uuid *repo, int64_t number,
	json_t **out, struct err *err)
{
	const struct view *v = view_find("version");
	char uuid[UUID_STR], text[24];
	struct query *q = NULL;
	json_t *row = NULL, *counts = NULL;
	int rc;

	if (query_new(v, &q) != 0)
		return err_set(err, -ERR_NOMEM, "no memory for a query");
	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	rc = query_where(q, "repository", QUERY_EQ, slice_str(uuid_str(repo, uuid)), err);
	if (rc == 0)
		rc = query_where(q, "number", QUERY_EQ, slice_str(text), err);
	if (rc == 0)
		rc = query_row(t, q, &row, err);
	query_free(&q);
	if (rc == 0 && f->more_content != NULL)
		rc = catalog_version_counts(t, count_of(row, "_id"), &counts, err);
	if (rc == 0)
		*out = version_object(f, counts, row);
	json_decref(row);
	json_decref(counts);
	if (rc != 0)
		return rc;
	return *out != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for a version");
}

/* The fields of a publication as the API shows them: a signing service by its href. */
static json_t *publication_fields(
	const struct sluice_format *f, const struct sluice_publication_kind *kind, const json_t *extra)
{
	const struct sluice_field *field = kind != NULL ? kind->fields : f->publication_fields;
	json_t *out = json_copy((json_t *)(uintptr_t)extra);

	for (; out != NULL && field != NULL && field->name != NULL; field++) {
		const char *uuid = json_string_value(json_object_get(out, field->name));

		if (field->type == SLUICE_SIGNING_SERVICE && uuid != NULL)
			(void)json_object_set_new(
				out, field->name, json_sprintf("/pulp/api/v3/signing-services/%s/", uuid));
	}
	return out;
}

int sync_publication_json(struct txn *t, const struct sluice_format *f, const struct sluice_publication_kind *kind,
	const struct uuid *publication, json_t **out, struct err *err)
{
	struct buf href = BUF_INIT(0), prn = BUF_INIT(0);
	json_t *row = NULL, *object = NULL, *fields = NULL;
	int rc = query_by_uuid(t, view_find("publication"), publication, &row, err);

	if (rc != 0)
		return rc;
	sync_publication_names(f, kind, publication, &href, &prn);
	if (href.failed == 0 && prn.failed == 0)
		object = json_pack("{s:s, s:s, s:O, s:O, s:o, s:o, s:[], s:O}", "pulp_href", href.p, "prn", prn.p,
			"pulp_created", json_object_get(row, "created"), "pulp_last_updated",
			json_object_get(row, "updated"), "repository_version",
			version_href_of(row, "repository_type", "repository", "number"), "repository",
			repository_href_of(row, "repository_type", "repository"), "distributions", "checkpoint",
			json_object_get(row, "checkpoint"));
	fields = publication_fields(f, kind, json_object_get(row, "extra"));
	if (object != NULL && fields != NULL && json_object_update_missing(object, fields) == 0)
		*out = object;
	else
		rc = err_set(err, -ERR_NOMEM, "no memory for a publication");
	if (rc != 0)
		json_decref(object);
	json_decref(fields);
	json_decref(row);
	buf_fini(&href);
	buf_fini(&prn);
	return rc;
}
