/* Filters that are more than a comparison: references, versions, content. Each adds one term to a query. */
#include "api/api_priv.h"

#include "base/check.h"

static int not_valid(struct api_ctx *x, struct slice value, struct err *err)
{
	x->filter_bare = true;
	return err_set(err, -ERR_INVAL, "URI not valid: %.*s", SLICE_ARG(slice_is_utf8(value) ? value : SLICE("?")));
}

/* One object, none ("null" or nothing), or any of a type. */
static int add_ref(struct api_ctx *x, struct query *q, const struct api_filter *f, struct slice value, struct err *err)
{
	char uuid[UUID_STR];
	struct api_ref ref;
	json_t *row = NULL;
	int rc;

	if (f->nullable && (value.n == 0 || slice_eq(value, SLICE("null"))))
		return query_where(q, f->column, QUERY_ISNULL, SLICE("true"), err);
	if (!slice_is_utf8(value) || api_ref_parse(x->api, value, &ref) < 0)
		return not_valid(x, value, err);
	if (ref.is_type)
		return query_where(q, api_text(x, "%s_type", f->column), QUERY_EQ,
			slice_str(ref.resource->type != NULL ? ref.resource->type : ""), err);
	if (ref.has_uuid)
		return query_where(q, f->column, QUERY_EQ, slice_str(uuid_str(&ref.uuid, uuid)), err);
	if ((rc = api_ref_row(x, &ref, &row, err)) == -ERR_NOTFOUND) {
		query_open(q, QUERY_OR); /* nothing inside: nothing matches */
		query_close(q);
		return 0;
	}
	if (rc == 0)
		rc = query_where(q, f->column, QUERY_EQ, slice_str(api_row_str(row, "uuid")), err);
	json_decref(row);
	return rc;
}

int api_filter_ref(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value;
	int rc = 0;

	if (op != QUERY_IN)
		return add_ref(x, q, f, value, err);
	query_open(q, QUERY_OR);
	while (rc == 0 && value.n > 0 && rest.p != NULL)
		rc = add_ref(x, q, f, slice_trim(slice_cut(&rest, ',')), err);
	query_close(q);
	return rc;
}

/* A condition of the view that takes the uuid of an object of f->kind; several in a list: any of them. */
int api_filter_content(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value;
	int rc = 0;

	query_open(q, QUERY_OR);
	while (rc == 0 && rest.p != NULL) {
		struct slice one = slice_trim(slice_cut(&rest, ','));
		char uuid[UUID_STR];
		struct api_ref ref;

		if (op == QUERY_IN && one.n == 0)
			continue;
		if (!slice_is_utf8(one) || api_ref_parse(x->api, one, &ref) < 0 || !ref.has_uuid)
			rc = not_valid(x, one, err);
		else
			rc = query_condition(
				q, f->column, &(struct slice){uuid_str(&ref.uuid, uuid), UUID_STR - 1}, 1, err);
	}
	query_close(q);
	return rc;
}

/* The repository and number that a version is named by, or a repository's latest. */
static int version_of(
	struct api_ctx *x, struct slice value, json_t **row, const char **repository, int64_t *number, struct err *err)
{
	struct api_ref ref;
	int rc;

	if (!slice_is_utf8(value) || api_ref_parse(x->api, value, &ref) < 0 || ref.is_type)
		return not_valid(x, value, err);
	if ((rc = api_ref_row(x, &ref, row, err)) < 0) {
		if (rc != -ERR_NOTFOUND)
			return rc;
		x->filter_bare = true;
		return err_set(err, -ERR_INVAL, "URI %.*s not found for repositoryversion.", SLICE_ARG(value));
	}
	if (strcmp(ref.resource->kind->view, "version") == 0) {
		*repository = api_row_str(*row, "repository");
		*number = api_row_int(*row, "number");
	} else if (strcmp(ref.resource->kind->view, "repository") == 0) {
		*repository = api_row_str(*row, "uuid");
		*number = api_row_int(*row, "latest_version");
	} else {
		x->filter_bare = true;
		return err_set(err, -ERR_INVAL, "URI %.*s is not a valid repositoryversion.", SLICE_ARG(value));
	}
	return 0;
}

/* f->column: a condition with (repository, number), or a column with the version's uuid. */
int api_filter_version(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	const struct view_condition *c = view_condition_find(r->view, f->column);
	struct slice values[2], text;
	const char *repository = "";
	json_t *row = NULL;
	int64_t number = 0;
	int rc;

	if (f->nullable && (value.n == 0 || slice_eq(value, SLICE("null"))))
		return query_where(q, f->column, QUERY_ISNULL, SLICE("true"), err);
	if ((rc = version_of(x, value, &row, &repository, &number, err)) < 0)
		goto out;
	text = slice_str(api_text(x, "%lld", (long long)number));
	if (c != NULL) {
		values[0] = slice_str(repository);
		values[1] = text;
		rc = query_condition(q, f->column, values, c->param_count, err);
	} else {
		json_t *version = NULL;

		rc = api_row_find(x, api_resource_by_path(x->api, "repository_versions"), slice_str(repository), text,
			&version, err);
		if (rc == 0)
			rc = query_where(q, f->column, QUERY_EQ, slice_str(api_row_str(version, "uuid")), err);
		json_decref(version);
	}
out:
	json_decref(row);
	return rc;
}

/* f->column: a condition with one parameter, the value itself; in a list all must hold if the condition says so. */
int api_filter_condition(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	const struct view_condition *c = view_condition_find(r->view, f->column);
	struct slice values[VIEW_PARAMS_MAX];

	BUG(c == NULL);
	for (size_t i = 0; i < c->param_count; i++)
		values[i] = value;
	return query_condition(q, f->column, values, c->param_count, err);
}

int api_filter_own_field(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value, values[2] = {slice_str(f->name), value};
	int rc = 0;

	query_open(q, op == QUERY_NE ? QUERY_NOT : QUERY_OR);
	if (op != QUERY_IN)
		rc = query_condition(q, "own_field", values, 2, err);
	while (op == QUERY_IN && rc == 0 && rest.p != NULL) {
		values[1] = slice_cut(&rest, ',');
		rc = query_condition(q, "own_field", values, 2, err);
	}
	query_close(q);
	return rc;
}
