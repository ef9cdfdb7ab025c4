/* Lists: filters, order, pages. Names of parameters are looked up in the kind's tables; values go to the query, which checks
 * them by the column's type. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/url.h"

#define LIMIT_DEFAULT 100

/* ---- filters that every list has ---- */

static int filter_id_in(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	return query_where(q, "uuid", op, value, err);
}

/* hrefs and PRNs of this list's kind; others match nothing */
static int filter_href_in(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value;
	int rc = 0;

	query_open(q, QUERY_OR);
	while (value.n > 0 && rest.p != NULL && rc == 0) {
		struct slice one = slice_trim(slice_cut(&rest, ','));
		char uuid[UUID_STR];
		struct api_ref ref;

		if (api_ref_parse(x->api, one, &ref) < 0 || ref.is_type) {
			x->filter_bare = true;
			rc = err_set(err, -ERR_INVAL, "URI not valid: %.*s",
				SLICE_ARG(slice_is_utf8(one) ? one : SLICE("?")));
			break;
		}
		if (ref.resource->view != r->view)
			continue;
		if (ref.has_uuid) {
			rc = query_where(q, "uuid", QUERY_EQ, slice_str(uuid_str(&ref.uuid, uuid)), err);
		} else {
			query_open(q, QUERY_AND);
			rc = query_where(q, "repository", QUERY_EQ, slice_str(uuid_str(&ref.parent, uuid)), err);
			if (rc == 0)
				rc = query_where(q, "number", QUERY_EQ,
					slice_str(api_text(x, "%lld", (long long)ref.number)), err);
			query_close(q);
		}
	}
	query_close(q);
	return rc;
}

static const struct api_filter common_filters[] = {
	{"pulp_id", OP(IN), .apply = filter_id_in, .help = "UUIDs, separated by commas"},
	{"pulp_href", OP(IN), .apply = filter_href_in, .help = "hrefs, separated by commas"},
	{"prn", OP(IN), .apply = filter_href_in, .help = "PRNs, separated by commas"},
	{"pulp_created", OPS_TIME, "created", .help = "when it was made"},
	{"pulp_last_updated", OPS_TIME, "updated", .help = "when it was changed last"},
	{.name = NULL},
};

static const struct api_filter type_filter = {"pulp_type", OP(EQ) | OP(IN), "type", .help = "type, as file.file"};

/* ---- applying one ---- */

const struct api_filter *api_filter_at(const struct api_resource *r, size_t i)
{
	size_t own = 0, common = ARRAY_LEN(common_filters) - 1, kind;

	while (r->kind->filters != NULL && r->kind->filters[own].name != NULL)
		if (own++ == i)
			return &r->kind->filters[i];
	kind = own;
	while (r->own_filters != NULL && r->own_filters[own - kind].name != NULL)
		if (own++ == i)
			return &r->own_filters[i - kind];
	if (i - own < common)
		return &common_filters[i - own];
	if (i - own == common && r->all_types && view_column_find(r->view, "type") != NULL)
		return &type_filter;
	return NULL;
}

static const struct api_filter *filter_find(const struct api_resource *r, struct slice name)
{
	const struct api_filter *f;

	for (size_t i = 0; (f = api_filter_at(r, i)) != NULL; i++)
		if (slice_eq(name, slice_str(f->name)))
			return f;
	return NULL;
}

static ptrdiff_t suffix_at(struct slice name)
{
	for (ptrdiff_t i = (ptrdiff_t)name.n - 2; i > 0; i--)
		if (name.p[i] == '_' && name.p[i + 1] == '_')
			return i;
	return -1;
}

static const struct api_filter *filter_split(const struct api_resource *r, struct slice name, enum query_op *op)
{
	const struct api_filter *f = filter_find(r, name);
	ptrdiff_t at = suffix_at(name);

	*op = QUERY_EQ;
	if (f == NULL && at > 0 && query_op_parse(slice_of(name.p + at + 2, name.n - (size_t)at - 2), op) == 0)
		f = filter_find(r, slice_of(name.p, (size_t)at));
	return f != NULL && (f->ops & (1u << *op)) ? f : NULL;
}

static bool chosen(const char *const *choices, struct slice value)
{
	for (; *choices != NULL; choices++)
		if (slice_eq(value, slice_str(*choices)))
			return true;
	return false;
}

static int check_choices(const struct api_filter *f, enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value;

	if (f->choices == NULL || op == QUERY_ISNULL)
		return 0;
	while (rest.p != NULL) {
		struct slice one = op == QUERY_IN ? slice_trim(slice_cut(&rest, ',')) : value;

		if (op != QUERY_IN)
			rest = SLICE_NULL;
		if (one.n == 0 && op == QUERY_IN)
			continue;
		if (!chosen(f->choices, one))
			return err_set(err, -ERR_INVAL,
				"Select a valid choice. %.*s is not one of the available choices.",
				SLICE_ARG(slice_is_utf8(one) ? one : SLICE("?")));
	}
	return 0;
}

/* -ERR_NOTFOUND: there is no such filter. */
int api_filter_add(struct api_ctx *x, const struct api_resource *r, struct query *q, struct slice name,
	struct slice value, struct err *err)
{
	enum query_op op;
	const struct api_filter *f = filter_split(r, name, &op);
	int rc;

	if (f == NULL)
		return -ERR_NOTFOUND;
	if ((rc = check_choices(f, op, value, err)) < 0)
		return rc;
	if (f->apply != NULL)
		return f->apply(x, r, q, f, op, value, err);
	return query_where(q, f->column, op, value, err);
}

/* ---- order ---- */

static const struct api_field *field_named(const struct api_resource *r, struct slice name)
{
	for (const struct api_field **f = r->fields; *f != NULL; f++)
		if (slice_eq(name, slice_str((*f)->name)))
			return *f;
	return NULL;
}

const char *api_order_column(const struct api_resource *r, const struct api_field *f)
{
	const struct view_column *c;

	if (f->show != NULL || f->type == T_REF || (f->flags & (F_WRITE_ONLY | F_EXTRA | F_OPTION)))
		return NULL;
	if (r->all_types && !(f->flags & F_COMMON))
		return NULL;
	c = view_column_find(r->view, api_field_column(f));
	return c != NULL && c->type != COL_JSON ? c->name : NULL;
}

static const char *order_column(const struct api_resource *r, struct slice name)
{
	const struct api_field *f;

	if (slice_eq(name, SLICE("pk")) || slice_eq(name, SLICE("pulp_id")))
		return "uuid";
	f = field_named(r, name);
	return f != NULL ? api_order_column(r, f) : NULL;
}

static bool add_order(struct api_ctx *x, const struct api_resource *r, struct query *q)
{
	struct slice rest = api_param_get(x, "ordering");

	while (rest.n > 0 && rest.p != NULL) {
		struct slice name = slice_trim(slice_cut(&rest, ','));
		bool descending = name.n > 0 && name.p[0] == '-';
		const char *column;

		if (name.n == 0)
			continue;
		column = order_column(r, slice_of(name.p + descending, name.n - descending));
		if (column == NULL) {
			api_reply_field(x, "ordering",
				"Select a valid choice. %.*s is not one of the available choices.",
				SLICE_ARG(slice_is_utf8(name) ? name : SLICE("?")));
			return false;
		}
		query_order(q, column, descending);
	}
	return true;
}

/* ---- pages ---- */

static int64_t number_or(struct slice s, int64_t otherwise)
{
	int64_t v;

	return slice_to_i64(s, INT32_MAX, &v) == 0 ? v : otherwise;
}

const char *api_base_url(struct api_ctx *x)
{
	struct slice host = x->req->host;

	return api_text(x, "%s://%.*s", slice_eq_nocase(x->req->forwarded_proto, SLICE("https")) ? "https" : "http",
		SLICE_ARG(host.n > 0 && slice_is_utf8(host) ? host : SLICE("localhost")));
}

/* The URL of another page of this list. */
static json_t *page_url(struct api_ctx *x, int64_t limit, int64_t offset)
{
	struct buf b = BUF_INIT(1 << 20);
	bool first = true;
	json_t *url;

	buf_adds(&b, api_base_url(x));
	buf_add_slice(&b, x->req->path);
	for (size_t i = 0; i < x->param_count; i++) {
		const struct api_param *p = &x->params[i];

		if (slice_eq(p->name, SLICE("limit")) || slice_eq(p->name, SLICE("offset")))
			continue;
		buf_adds(&b, first ? "?" : "&");
		url_encode(&b, p->name, "");
		buf_adds(&b, "=");
		url_encode(&b, p->value, "");
		first = false;
	}
	buf_addf(&b, "%slimit=%lld", first ? "?" : "&", (long long)limit);
	if (offset > 0)
		buf_addf(&b, "&offset=%lld", (long long)offset);
	url = b.failed ? json_null() : json_stringn(b.p, b.n);
	buf_fini(&b);
	return url;
}

/* ---- the list ---- */

static bool is_paging(struct slice name)
{
	static const char *const names[] = {
		"limit", "offset", "ordering", "fields", "exclude_fields", "minimal", "format", "page_size", "q"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_eq(name, slice_str(names[i])))
			return true;
	return false;
}

static void reply_filter_error(struct api_ctx *x, struct slice name, int rc, struct err *err)
{
	json_t *o;

	if (rc == -ERR_NOTFOUND) {
		o = json_pack("{s:[o]}", "errors",
			json_string(api_text(
				x, "Invalid Filter: '%.*s'", SLICE_ARG(slice_is_utf8(name) ? name : SLICE("?")))));
		api_reply(x, 400, o);
	} else if (rc != -ERR_INVAL && rc != -ERR_UNSUPPORTED) {
		api_reply_err(x, rc, err);
	} else if (x->filter_bare) {
		api_reply_bare(x, "%s", err->msg);
	} else {
		api_reply_field(x, api_text(x, "%.*s", SLICE_ARG(name)), "%s", err->msg);
	}
}

static bool add_filters(struct api_ctx *x, const struct api_resource *r, struct query *q)
{
	struct err err = ERR_INIT;
	int rc;

	for (size_t i = 0; i < x->param_count; i++) {
		const struct api_param *p = &x->params[i];

		if (is_paging(p->name))
			continue;
		if ((rc = api_filter_add(x, r, q, p->name, p->value, &err)) < 0) {
			reply_filter_error(x, p->name, rc, &err);
			return false;
		}
	}
	if (api_param_get(x, "q").p != NULL && (rc = api_expression_add(x, r, q, api_param_get(x, "q"), &err)) < 0) {
		reply_filter_error(x, SLICE("q"), rc, &err);
		return false;
	}
	return true;
}

/* What the path itself says: the type, the parent, the part of the view. */
static int add_base(const struct api_route *rt, struct query *q, struct err *err)
{
	const struct api_resource *r = rt->resource;
	int rc = 0;

	if (r->type != NULL && view_column_find(r->view, "type") != NULL)
		rc = query_where(q, "type", QUERY_EQ, slice_str(r->type), err);
	if (rc == 0 && r->kind->only_column != NULL)
		rc = query_where(q, r->kind->only_column, QUERY_EQ, slice_str(r->kind->only_value), err);
	if (rc == 0 && r->kind->parent_column != NULL && rt->parent.p != NULL)
		rc = query_where(q, r->kind->parent_column, QUERY_EQ, rt->parent, err);
	return rc;
}

/* Rows that are read and rendered at once: a page of any length costs the memory of its text. */
#define ROWS_AT_ONCE 1000

static int add_rows(struct api_ctx *x, const struct api_resource *r, const json_t *rows,
	const struct api_selection *sel, bool first)
{
	json_t *row;
	size_t i;
	int rc = 0;

	json_array_foreach(rows, i, row)
	{
		json_t *shown = api_show_row(x, r, row, sel);

		if (shown == NULL)
			return -ERR_NOMEM;
		if (!first || i > 0)
			rc = buf_add(&x->res->body, ",", 1);
		if (rc == 0)
			rc = api_reply_part(x, shown);
		json_decref(shown);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int begin_page(struct api_ctx *x, int64_t count, int64_t limit, int64_t offset)
{
	json_t *next = offset + limit < count ? page_url(x, limit, offset + limit) : json_null();
	json_t *previous = offset > 0 ? page_url(x, limit, offset > limit ? offset - limit : 0) : json_null();
	int rc;

	api_reply_begin(x, "{\"count\":");
	buf_addf(&x->res->body, "%lld,\"next\":", (long long)count);
	rc = api_reply_part(x, next);
	buf_adds(&x->res->body, ",\"previous\":");
	if (rc == 0)
		rc = api_reply_part(x, previous);
	buf_adds(&x->res->body, ",\"results\":[");
	json_decref(next);
	json_decref(previous);
	return rc < 0 ? rc : x->res->body.failed;
}

static void reply_page(
	struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_selection *sel)
{
	int64_t limit = number_or(api_param_get(x, "limit"), LIMIT_DEFAULT),
		offset = number_or(api_param_get(x, "offset"), 0), count, done = 0;
	struct err err = ERR_INIT;
	bool more = true;
	struct txn *t;
	int rc;

	limit = limit == 0 ? LIMIT_DEFAULT : limit;
	rc = api_txn(x, &t, &err);
	if (rc == 0)
		rc = query_count(t, q, &count, &err);
	if (rc == 0)
		rc = begin_page(x, count, limit, offset);
	while (rc == 0 && more) { /* one transaction: the parts fit together */
		int64_t part = MIN(limit - done, ROWS_AT_ONCE);
		json_t *rows = NULL;

		query_page(q, part, offset + done);
		rc = query_rows(t, q, &rows, &err);
		if (rc == 0)
			rc = add_rows(x, r, rows, sel, done == 0);
		more = (int64_t)json_array_size(rows) == part && done + part < limit;
		done += part;
		json_decref(rows);
	}
	if (rc == 0)
		rc = buf_adds(&x->res->body, "]}");
	if (rc < 0 && err.code == 0)
		(void)err_set(&err, rc, "a list of %lld rows from %lld on", (long long)limit, (long long)offset);
	if (rc < 0)
		api_reply_err(x, rc, &err);
}

void api_list(struct api_ctx *x, const struct api_route *rt)
{
	struct api_selection *sel;
	struct err err = ERR_INIT;
	struct query *q = NULL;
	int rc;

	if ((rc = api_selection_read(x, &sel)) < 0 || (rc = query_new(rt->resource->view, &q)) < 0 ||
		(rc = add_base(rt, q, &err)) < 0) {
		if (rc == -ERR_INVAL)
			api_reply_no_object(x, rt->resource);
		else
			api_reply_err(x, rc, &err);
	} else if (add_filters(x, rt->resource, q) && add_order(x, rt->resource, q)) {
		reply_page(x, rt->resource, q, sel);
	}
	query_free(&q);
}
