/* Rows as clients see them. Constant tables; one request's arena. */
#include "api/api_priv.h"

#include "base/check.h"

struct api_selection {
	struct slice *only, *not_these;
	size_t only_count, not_count;
	bool minimal;
};

/* Comma-separated, repeated, or both. */
static int names_of(struct api_ctx *x, const char *param, struct slice **out, size_t *count)
{
	size_t max = 0, n = 0;

	for (size_t i = 0; i < x->param_count; i++)
		if (slice_eq(x->params[i].name, slice_str(param)))
			for (size_t k = 0; k <= x->params[i].value.n; k++)
				max += k == x->params[i].value.n || x->params[i].value.p[k] == ',';
	if (max > 0 && (*out = arena_alloc(&x->arena, max * sizeof(**out))) == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < x->param_count; i++) {
		struct slice rest = x->params[i].value;

		if (!slice_eq(x->params[i].name, slice_str(param)))
			continue;
		while (rest.p != NULL) {
			struct slice name = slice_trim(slice_cut(&rest, ','));

			if (name.n > 0)
				(*out)[n++] = name;
		}
	}
	*count = n;
	return 0;
}

int api_selection_read(struct api_ctx *x, struct api_selection **out)
{
	struct api_selection *sel = arena_zalloc(&x->arena, sizeof(*sel));
	struct slice minimal = api_param_get(x, "minimal");
	int rc;

	if (sel == NULL)
		return -ERR_NOMEM;
	if ((rc = names_of(x, "fields", &sel->only, &sel->only_count)) < 0 ||
		(rc = names_of(x, "exclude_fields", &sel->not_these, &sel->not_count)) < 0)
		return rc;
	if (minimal.p != NULL)
		(void)(api_bool_parse(minimal, &sel->minimal) || (sel->minimal = false));
	*out = sel;
	return 0;
}

static bool listed(const struct slice *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(names[i], slice_str(name)))
			return true;
	return false;
}

bool api_field_shown(const struct api_resource *r, const struct api_field *f)
{
	if ((f->flags & F_WRITE_ONLY) || (f->flags & (F_OPTION | F_SHOWN)) == F_OPTION)
		return false;
	if (f->flags & F_GENERIC)
		return r->all_types;
	return !r->all_types || (f->flags & F_COMMON);
}

static bool is_shown(const struct api_resource *r, const struct api_field *f, const struct api_selection *sel)
{
	if (!api_field_shown(r, f))
		return false;
	if (sel == NULL)
		return true;
	if (sel->minimal && strcmp(r->kind->name, "tasks") == 0 && !(f->flags & F_MINIMAL))
		return false;
	if (sel->only_count > 0 && !listed(sel->only, sel->only_count, f->name))
		return false;
	return !listed(sel->not_these, sel->not_count, f->name);
}

static json_t *show_ref(struct api_ctx *x, const struct api_field *f, const json_t *row)
{
	const char *column = api_field_column(f), *type,
		   *uuid = api_row_str((f->flags & F_EXTRA) ? json_object_get(row, "extra") : row, column);

	if (uuid == NULL)
		return json_null();
	type = api_row_str(row, api_text(x, "%s_type", column));
	if (strcmp(f->kind, "repository_versions") == 0)
		return json_string(api_version_href(x, type, api_row_str(row, api_text(x, "%s_repository", column)),
			api_row_int(row, api_text(x, "%s_number", column))));
	return json_string(api_href_by(x, f->kind, type, uuid));
}

static json_t *show_field(struct api_ctx *x, const struct api_resource *r, const struct api_field *f, const json_t *row)
{
	json_t *v;

	if ((f->flags & F_ADMIN) && x->viewer)
		return f->type == T_STRING ? json_string("") : f->type == T_HEADERS ? json_array() : json_null();
	if (f->show != NULL)
		return f->show(x, r, row);
	if (f->type == T_REF)
		return f->kind != NULL ? show_ref(x, f, row) : json_null();
	if (f->flags & F_EXTRA) {
		v = json_object_get(json_object_get(row, "extra"), f->name);
		if (v == NULL && f->default_json != NULL)
			return json_loads(f->default_json, JSON_DECODE_ANY, NULL);
	} else {
		v = json_object_get(row, api_field_column(f));
	}
	return v != NULL ? json_incref(v) : json_null();
}

const struct api_resource *api_resource_of_row(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct api_resource *own;

	if (!r->all_types)
		return r;
	own = api_resource_of(x->api, r->kind->name, api_row_str(row, "type"));
	return own != NULL ? own : r;
}

json_t *api_show_href(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_href(x, r, row));
}

json_t *api_show_prn(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_prn(x, api_resource_of_row(x, r, row), api_row_str(row, "uuid")));
}

json_t *api_show_null(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_null();
}

json_t *api_show_row(
	struct api_ctx *x, const struct api_resource *r, const json_t *row, const struct api_selection *sel)
{
	json_t *out = json_object();

	for (const struct api_field **f = r->fields; *f != NULL && out != NULL; f++) {
		if (!is_shown(r, *f, sel))
			continue;
		if (json_object_set_new(out, (*f)->name, show_field(x, r, *f, row)) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

json_t *api_show_minimal(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	static const struct api_selection minimal = {.minimal = true};

	return api_show_row(x, r, row, &minimal);
}
