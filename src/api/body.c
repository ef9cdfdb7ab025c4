/* What a request says: its query parameters, and its body as a JSON object, whichever of the media types it came in.
 * Foreign bytes all of it. Pure functions over the request's arena. */
#include "api/api_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define PARAMS_MAX 10000 /* names in a query string or a form */
#define PARTS_MAX 1000

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

/* A name that comes again makes a list of its values. `value` is taken over. */
static int add_value(json_t *body, const char *name, json_t *value)
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

static bool is_text(struct slice s)
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
		if (!is_text(params[i].name) || !is_text(params[i].value)) {
			api_reply_detail(x, 400, "The form is not UTF-8 text.");
			return false;
		}
		if (add_value(x->body, params[i].name.p, json_stringn(params[i].value.p, params[i].value.n)) < 0) {
			api_reply_err(x, -ERR_NOMEM, &err);
			return false;
		}
	}
	return true;
}

/* ---- multipart/form-data (RFC 7578, RFC 2046 section 5.1) ---- */

/* The parameter of a header field: name="value" or name=value, after the first ';'. */
static struct slice parameter(struct slice field, struct slice name)
{
	struct slice rest = field;

	(void)slice_cut(&rest, ';');
	while (rest.p != NULL) {
		struct slice key, value;

		rest = slice_trim(rest);
		key = slice_cut(&rest, '=');
		if (rest.p == NULL)
			break;
		if (rest.n > 0 && rest.p[0] == '"') {
			rest = slice_of(rest.p + 1, rest.n - 1);
			value = slice_cut(&rest, '"');
			(void)slice_cut(&rest, ';');
		} else {
			value = slice_trim(slice_cut(&rest, ';'));
		}
		if (slice_eq_nocase(slice_trim(key), name))
			return value;
	}
	return SLICE_NULL;
}

/* What comes before `what`, and moves *rest behind it; p == NULL: it does not come. */
static struct slice cut_at(struct slice *rest, struct slice what)
{
	const char *at = rest->n > 0 ? memmem(rest->p, rest->n, what.p, what.n) : NULL;
	struct slice before;

	if (at == NULL)
		return SLICE_NULL;
	before = slice_of(rest->p, (size_t)(at - rest->p));
	*rest = slice_of(at + what.n, rest->n - before.n - what.n);
	return before;
}

/* One part: its header fields, a blank line, its content. False: malformed. */
static bool read_part(struct api_ctx *x, struct slice part)
{
	struct slice content = part, head = cut_at(&content, SLICE("\r\n\r\n")), name = SLICE_NULL, file = SLICE_NULL;
	json_t *value;
	char *key;

	if (head.p == NULL)
		return false;
	while (head.p != NULL) {
		struct slice line = slice_trim(slice_cut(&head, '\n')), field = line,
			     title = slice_trim(slice_cut(&field, ':'));

		if (field.p == NULL || !slice_eq_nocase(title, SLICE("Content-Disposition")))
			continue;
		name = parameter(field, SLICE("name"));
		file = parameter(field, SLICE("filename"));
	}
	if (name.n == 0 || !is_text(name) || (key = arena_strdup(&x->arena, name)) == NULL)
		return false;
	if (file.p == NULL && !is_text(content))
		return false;
	/* No field takes files yet: one in the place of a text has the wrong type. */
	value = file.p != NULL ? json_object() : json_stringn(content.n > 0 ? content.p : "", content.n);
	return add_value(x->body, key, value) == 0;
}

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

static bool read_multipart(struct api_ctx *x)
{
	struct slice boundary = parameter(x->req->content_type, SLICE("boundary")), rest = x->req->body, part,
		     delimiter, first;
	char text[4 + BOUNDARY_MAX] = "\r\n--";
	size_t parts = 0;

	x->form = true;
	x->body = json_object();
	if (boundary.n == 0 || boundary.n > BOUNDARY_MAX)
		goto bad;
	memcpy(text + 4, boundary.p, boundary.n); /* foreign bytes: any of them, zeros too */
	delimiter = slice_of(text, 4 + boundary.n);
	first = slice_of(text + 2, 2 + boundary.n); /* without its line end at the very beginning */
	if (slice_starts(rest, first))
		rest = slice_of(rest.p + first.n, rest.n - first.n);
	else if (cut_at(&rest, delimiter).p == NULL)
		goto bad;
	for (;;) {
		if (slice_starts(rest, SLICE("--")))
			return true;
		if (cut_at(&rest, SLICE("\r\n")).p == NULL || (part = cut_at(&rest, delimiter)).p == NULL)
			goto bad;
		if (++parts > PARTS_MAX || !read_part(x, part))
			goto bad;
	}
bad:
	api_reply_detail(x, 400, "Multipart form parse error - the form is malformed.");
	return false;
}

bool api_body_read(struct api_ctx *x)
{
	struct slice rest = x->req->content_type, type;
	struct err err = ERR_INIT;

	if (x->body != NULL)
		return true;
	if (x->req->body.n == 0) {
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
	if (slice_eq_nocase(type, SLICE("multipart/form-data")))
		return read_multipart(x);
	if (!slice_is_utf8(x->req->content_type))
		type = SLICE("?");
	api_reply_detail(x, 415, "Unsupported media type \"%.*s\" in request.",
		SLICE_ARG(slice_eq(type, SLICE("?")) ? type : x->req->content_type));
	return false;
}
