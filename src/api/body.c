/* What a request says: its query parameters, and its body as a JSON object, whichever of the media types it came in.
 * Foreign bytes all of it. Pure functions over the request's arena. */
#include "api/api_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define PARAMS_MAX 10000 /* names in a query string or a form */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* application/x-www-form-urlencoded: '+' is a space; a '%' without two digits stays as it is. */
static int decode(struct arena *a, struct slice in, struct slice *out)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t n = 0;

	if (p == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '%' && i + 2 < in.n && hex_digit(in.p[i + 1]) >= 0 && hex_digit(in.p[i + 2]) >= 0) {
			p[n++] = (char)(hex_digit(in.p[i + 1]) * 16 + hex_digit(in.p[i + 2]));
			i += 2;
		} else {
			p[n++] = in.p[i] == '+' ? ' ' : in.p[i];
		}
	}
	p[n] = '\0';
	*out = slice_of(p, n);
	return 0;
}

int api_params_read(struct api_ctx *x, struct slice query, struct api_param **out, size_t *count)
{
	struct slice rest = query;
	struct api_param *params;
	size_t max = 1, n = 0;
	int rc;

	for (size_t i = 0; i < query.n; i++)
		max += query.p[i] == '&';
	if (max > PARAMS_MAX)
		return -ERR_LIMIT;
	if ((params = arena_alloc(&x->arena, max * sizeof(*params))) == NULL)
		return -ERR_NOMEM;
	while (query.n > 0 && rest.p != NULL) {
		struct slice value = slice_cut(&rest, '&'), name = slice_cut(&value, '=');

		if (name.n == 0)
			continue;
		if ((rc = decode(&x->arena, name, &params[n].name)) < 0 ||
			(rc = decode(&x->arena, value, &params[n].value)) < 0)
			return rc;
		n++;
	}
	*out = params;
	*count = n;
	return 0;
}

struct slice api_param_get(const struct api_ctx *x, const char *name)
{
	for (size_t i = x->param_count; i-- > 0;)
		if (slice_eq(x->params[i].name, slice_str(name)))
			return x->params[i].value;
	return SLICE_NULL;
}

static const char *type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_ARRAY:
		return "list";
	case JSON_STRING:
		return "str";
	case JSON_INTEGER:
		return "int";
	case JSON_REAL:
		return "float";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	case JSON_NULL:
		return "NoneType";
	case JSON_OBJECT:
		break;
	}
	return "dict";
}

static bool read_json(struct api_ctx *x)
{
	json_error_t e;
	json_t *v;

	/* A name that comes twice is a mistake or a trick: whoever checked the body elsewhere may have seen the other value. */
	v = json_loadb(x->req->body.p, x->req->body.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);
	/* An integer of more than 64 bits is valid JSON, and its field's error to report. */
	if (v == NULL && json_error_code(&e) == json_error_numeric_overflow)
		v = json_loadb(x->req->body.p, x->req->body.n,
			JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &e);
	if (v == NULL) {
		/* jansson quotes what it stumbled over, which need not be UTF-8 */
		if (!slice_is_utf8(slice_str(e.text)))
			(void)snprintf(e.text, sizeof(e.text), "unable to decode bytes");
		api_reply_detail(x, 400, "JSON parse error - %s: line %d column %d (char %d)", e.text, e.line, e.column,
			e.position);
		return false;
	}
	if (json_is_null(v)) {
		json_decref(v);
		api_reply_field(x, "non_field_errors", "No data provided");
		return false;
	}
	if (!json_is_object(v)) {
		api_reply_field(
			x, "non_field_errors", "Invalid data. Expected a dictionary, but got %s.", type_name(v));
		json_decref(v);
		return false;
	}
	x->body = v;
	return true;
}

int api_body_add(json_t *body, const char *name, json_t *value)
{
	json_t *before = json_object_get(body, name), *list;
	int rc;

	if (before == NULL)
		return json_object_set_new(body, name, value);
	if (json_is_array(before))
		return json_array_append_new(before, value);
	if ((list = json_array()) == NULL) {
		json_decref(value);
		return -1;
	}
	rc = json_array_append(list, before);
	rc |= json_array_append_new(list, value);
	return json_object_set_new(body, name, list) | rc;
}

bool api_is_text(struct slice s)
{
	return slice_is_utf8(s) && (s.n == 0 || memchr(s.p, '\0', s.n) == NULL);
}

static bool read_form(struct api_ctx *x)
{
	struct api_param *params;
	struct err err = ERR_INIT;
	size_t count;
	int rc;

	if ((rc = api_params_read(x, x->req->body, &params, &count)) < 0) {
		if (rc == -ERR_LIMIT)
			api_reply_detail(x, 400, "The form has too many fields.");
		else
			api_reply_err(x, rc, &err);
		return false;
	}
	x->form = true;
	x->body = json_object();
	for (size_t i = 0; i < count; i++) {
		if (!api_is_text(params[i].name) || !api_is_text(params[i].value)) {
			api_reply_detail(x, 400, "The form is not UTF-8 text.");
			return false;
		}
		if (api_body_add(x->body, params[i].name.p, json_stringn(params[i].value.p, params[i].value.n)) < 0) {
			api_reply_err(x, -ERR_NOMEM, &err);
			return false;
		}
	}
	return true;
}

/* ---- multipart/form-data ---- */

/* The client's fault, or ours. */
bool api_form_refuse(struct api_ctx *x, int rc, struct err *err)
{
	if (rc == -ERR_PARSE || rc == -ERR_LIMIT)
		api_reply_detail(x, 400, "Multipart form parse error - the form is malformed: %s.", err->msg);
	else
		api_reply_err(x, rc, err);
	return false;
}

/* Read before, as it came; or here, from memory. */
static bool read_multipart(struct api_ctx *x)
{
	struct err err = ERR_INIT;
	int rc = 0;

	x->form = true;
	x->files = x->req->form;
	if (x->files == NULL) {
		rc = api_form_new(x->api->store, x->req->content_type, (size_t)x->api->settings->server_max_body,
			&x->own_files, &err);
		if (rc == 0)
			rc = api_form_feed(x->own_files, x->req->body.p, x->req->body.n, &err);
		if (rc == 0)
			rc = api_form_end(x->own_files, &err);
		if (rc < 0)
			return api_form_refuse(x, rc, &err);
		x->files = x->own_files;
	}
	x->body = json_incref(api_form_body(x->files));
	return true;
}

bool api_is_multipart(struct slice content_type)
{
	struct slice rest = content_type;

	return rest.p != NULL && slice_eq_nocase(slice_trim(slice_cut(&rest, ';')), SLICE("multipart/form-data"));
}

bool api_body_read(struct api_ctx *x)
{
	struct slice rest = x->req->content_type, type;
	struct err err = ERR_INIT;

	if (x->body != NULL)
		return true;
	if (x->req->body.n == 0 && x->req->form == NULL) {
		if ((x->body = json_object()) != NULL)
			return true;
		api_reply_err(x, -ERR_NOMEM, &err);
		return false;
	}
	type = rest.p != NULL ? slice_trim(slice_cut(&rest, ';')) : SLICE_NULL;
	if (type.n == 0 || slice_eq_nocase(type, SLICE("application/json")))
		return read_json(x);
	if (slice_eq_nocase(type, SLICE("application/x-www-form-urlencoded")))
		return read_form(x);
	if (api_is_multipart(x->req->content_type))
		return read_multipart(x);
	if (!slice_is_utf8(x->req->content_type))
		type = SLICE("?");
	api_reply_detail(x, 415, "Unsupported media type \"%.*s\" in request.",
		SLICE_ARG(slice_eq(type, SLICE("?")) ? type : x->req->content_type));
	return false;
}
