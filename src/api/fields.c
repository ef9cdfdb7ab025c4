/* Checking what a client wants written, field by field: types, limits, references, uniqueness. The messages are part of the
 * interface: clients compare them. Works on one request. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

#define REAL_MAX 1e15

void api_problem(json_t *problems, const char *field, const char *fmt, ...)
{
	struct buf b = BUF_INIT(1 << 16);
	json_t *list = json_object_get(problems, field), *text;
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	text = json_string(b.p != NULL && !b.failed ? b.p : "Invalid value.");
	if (text == NULL)
		text = json_string("Invalid value.");
	buf_fini(&b);
	if (json_is_array(list))
		json_array_append_new(list, text);
	else
		json_object_set_new(problems, field, json_pack("[o]", text));
}

bool api_bool_parse(struct slice s, bool *out)
{
	static const char *const words[] = {"false", "true", "0", "1", "f", "t", "n", "y", "no", "yes", "off", "on"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_eq_nocase(s, slice_str(words[i]))) {
			*out = i % 2 == 1;
			return true;
		}
	return false;
}

static struct slice text_of(const json_t *v)
{
	return slice_of(json_string_value(v), json_string_length(v));
}

static size_t characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static const char *type_name(const json_t *v)
{
	static const char *const names[] = {[JSON_OBJECT] = "dict",
		[JSON_ARRAY] = "list",
		[JSON_STRING] = "str",
		[JSON_INTEGER] = "int",
		[JSON_REAL] = "float",
		[JSON_TRUE] = "bool",
		[JSON_FALSE] = "bool",
		[JSON_NULL] = "NoneType"};

	return names[json_typeof(v)];
}

/* ---- one function a type: NULL and *out, or the message; a nested message goes to *nested ---- */

static const char *clean_string(struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out)
{
	struct slice s;

	if (!json_is_string(in))
		return "Not a valid string.";
	s = text_of(in);
	if (!(f->flags & F_VERBATIM))
		s = slice_trim(s);
	if (s.n == 0 && !(f->flags & F_BLANK))
		return "This field may not be blank.";
	if (f->max_length > 0 && characters(s) > (size_t)f->max_length)
		return api_text(x, "Ensure this field has no more than %lld characters.", (long long)f->max_length);
	*out = json_stringn(s.n > 0 ? s.p : "", s.n);
	return NULL;
}

static const char *clean_integer(struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out)
{
	int64_t v;

	if (json_is_integer(in)) {
		v = json_integer_value(in);
	} else if (json_is_real(in) && fabs(json_real_value(in)) < REAL_MAX &&
		   trunc(json_real_value(in)) == json_real_value(in)) {
		v = (int64_t)json_real_value(in);
	} else if (json_is_string(in)) {
		struct slice s = slice_trim(text_of(in));
		bool negative = s.n > 0 && s.p[0] == '-';

		if (slice_to_i64(slice_of(s.p + negative, s.n - negative), INT64_MAX, &v) < 0)
			return "A valid integer is required.";
		v = negative ? -v : v;
	} else {
		return "A valid integer is required.";
	}
	if (f->bounded && v < f->min)
		return api_text(x, "Ensure this value is greater than or equal to %lld.", (long long)f->min);
	if (!(f->flags & F_BIG) && (v > INT32_MAX || v < INT32_MIN))
		return api_text(x, "Ensure this value is less than or equal to %d.", INT32_MAX);
	*out = json_integer(v);
	return NULL;
}

static const char *clean_float(struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out)
{
	double v = NAN;
	char *end;

	if (json_is_number(in)) {
		v = json_number_value(in);
	} else if (json_is_string(in) && json_string_length(in) > 0) {
		v = strtod(json_string_value(in), &end);
		if (*end != '\0')
			v = NAN;
	}
	if (!isfinite(v) || v > REAL_MAX)
		return "A valid number is required.";
	if (f->bounded && v < (double)f->min)
		return api_text(x, "Ensure this value is greater than or equal to %.1f.", (double)f->min);
	*out = json_real(v);
	return NULL;
}

static const char *clean_boolean(json_t *in, json_t **out)
{
	bool v;

	if (json_is_boolean(in))
		v = json_is_true(in);
	else if (json_is_integer(in) && (json_integer_value(in) == 0 || json_integer_value(in) == 1))
		v = json_integer_value(in) == 1;
	else if (!json_is_string(in) || !api_bool_parse(slice_trim(text_of(in)), &v))
		return "Must be a valid boolean.";
	*out = json_boolean(v);
	return NULL;
}

static bool is_choice(const struct api_field *f, const json_t *v)
{
	for (const char *const *c = f->choices; *c != NULL && json_is_string(v); c++)
		if (slice_eq(text_of(v), slice_str(*c)))
			return true;
	return false;
}

static const char *clean_choice(struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out)
{
	if (is_choice(f, in)) {
		*out = json_incref(in);
		return NULL;
	}
	if (json_is_string(in))
		return api_text(x, "\"%s\" is not a valid choice.", json_string_value(in));
	if (json_is_integer(in))
		return api_text(x, "\"%" JSON_INTEGER_FORMAT "\" is not a valid choice.", json_integer_value(in));
	return api_text(x, "\"%s\" is not a valid choice.", type_name(in));
}

static const char *clean_time(json_t *in, json_t **out)
{
	char iso[CLOCK_ISO_MAX];
	int64_t us;

	if (!json_is_string(in) || clock_iso_parse(slice_trim(text_of(in)), &us) < 0)
		return "Datetime has wrong format. Use one of these formats instead: "
		       "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].";
	*out = json_string(clock_iso(us, iso));
	return NULL;
}

const char *api_label_problem(struct api_ctx *x, struct slice key, const json_t *value)
{
	bool bad = key.n == 0;

	for (size_t i = 0; i < key.n; i++) {
		unsigned char c = (unsigned char)key.p[i];

		/* letters of all scripts: what is not ASCII counts as one */
		bad |= !(c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			 strchr("_ -.", c) != NULL);
	}
	if (bad)
		return api_text(x, "Key '%.*s' contains non-alphanumerics.", SLICE_ARG(key));
	if (json_is_string(value) && strpbrk(json_string_value(value), "()") != NULL)
		return "Value cannot contain '(' or ')'.";
	return NULL;
}

static const char *clean_labels(struct api_ctx *x, json_t *in, json_t **out, json_t **nested)
{
	const char *key, *problem;
	json_t *v;

	if (!json_is_object(in))
		return api_text(x, "Expected a dictionary of items but got type \"%s\".", type_name(in));
	json_object_foreach(in, key, v)
	{
		if (!json_is_string(v) && !json_is_null(v)) {
			*nested = json_pack("{s:[s]}", key, "Not a valid string.");
			return "";
		}
		if ((problem = api_label_problem(x, slice_str(key), v)) != NULL)
			return problem;
	}
	*out = json_incref(in);
	return NULL;
}

static const char *clean_list(struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out, json_t **nested)
{
	json_t *v, *list = in;
	size_t i;

	/* a form gives one value of a list without brackets */
	if (x->form && json_is_string(in))
		list = json_pack("[O]", in);
	else
		json_incref(list);
	if (!json_is_array(list)) {
		json_decref(list);
		return api_text(x, "Expected a list of items but got type \"%s\".", type_name(in));
	}
	json_array_foreach(list, i, v)
	{
		const char *wrong = NULL;
		char at[24];

		(void)snprintf(at, sizeof(at), "%zu", i);
		if (f->type == T_STRINGS && !json_is_string(v))
			wrong = "Not a valid string.";
		if (wrong == NULL && f->type == T_STRINGS && f->choices != NULL && !is_choice(f, v))
			wrong = api_text(x, "\"%s\" is not a valid choice.", json_string_value(v));
		if (f->type == T_HEADERS && !json_is_object(v))
			wrong = api_text(x, "Expected a dictionary of items but got type \"%s\".", type_name(v));
		if (f->type == T_HEADERS && wrong == NULL) {
			const char *name;
			json_t *text;

			json_object_foreach(v, name, text)
			{
				/* a line break would be a header of its own */
				if (!json_is_string(text) || strpbrk(json_string_value(text), "\r\n") != NULL ||
					name[0] == '\0' || strpbrk(name, "\r\n: ") != NULL)
					wrong = "Not a valid header.";
			}
			if (json_object_size(v) != 1)
				wrong = "Not a valid header.";
		}
		if (wrong != NULL) {
			*nested = json_pack("{s:[s]}", at, wrong);
			json_decref(list);
			return "";
		}
	}
	*out = list;
	return NULL;
}

static const char *clean_ref(struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out, struct err *err)
{
	char uuid[UUID_STR];
	struct err why = ERR_INIT;
	struct api_ref ref;
	json_t *row = NULL;
	int rc;

	if (!json_is_string(in))
		return api_text(x, "Incorrect type. Expected URL string, received %s.", type_name(in));
	if (api_ref_parse(x->api, text_of(in), &ref) == 0 && !ref.is_type && f->kind == NULL)
		return "Object does not exist.";
	rc = f->kind != NULL ? api_ref_find(x, f->kind, text_of(in), &ref, &row, &why)
			     : err_set(&why, -ERR_INVAL, "URI not valid: %s", json_string_value(in));
	if (rc == -ERR_INVAL)
		return strstr(why.msg, " not found for ") != NULL ? "Object does not exist."
								  : api_text(x, "%s", why.msg);
	if (rc < 0) {
		if (err != NULL)
			*err = why;
		return NULL;
	}
	(void)uuid;
	*out = json_incref(json_object_get(row, "uuid"));
	json_decref(row);
	return NULL;
}

static const char *clean(
	struct api_ctx *x, const struct api_field *f, json_t *in, json_t **out, json_t **nested, struct err *err)
{
	switch (f->type) {
	case T_STRING:
		return clean_string(x, f, in, out);
	case T_INTEGER:
		return clean_integer(x, f, in, out);
	case T_FLOAT:
		return clean_float(x, f, in, out);
	case T_BOOLEAN:
		return clean_boolean(in, out);
	case T_TIME:
		return clean_time(in, out);
	case T_CHOICE:
		return clean_choice(x, f, in, out);
	case T_LABELS:
		return clean_labels(x, in, out, nested);
	case T_OBJECT:
		if (!json_is_object(in))
			return api_text(x, "Expected a dictionary of items but got type \"%s\".", type_name(in));
		break;
	case T_STRINGS:
	case T_HEADERS:
		return clean_list(x, f, in, out, nested);
	case T_REF:
		return clean_ref(x, f, in, out, err);
	case T_FILE:
		if (api_form_file(x->files, in) == NULL)
			return "The submitted data was not a file. Check the encoding type on the form.";
		break;
	case T_JSON:
		break;
	}
	*out = json_incref(in);
	return NULL;
}

/* ---- fields ---- */

static bool is_empty(const json_t *v)
{
	return json_is_string(v) && slice_trim(text_of(v)).n == 0;
}

/* A form has no null and no objects: the empty text is the one where no text is wanted, JSON text the others. New reference. */
static json_t *from_form(const struct api_field *f, json_t *in)
{
	json_t *v;

	if (!json_is_string(in)) {
		/* a repeated key where one value is wanted: the last counts */
		if (json_is_array(in) && f->type != T_STRINGS && f->type != T_HEADERS)
			return from_form(f, json_array_get(in, json_array_size(in) - 1));
		return json_incref(in);
	}
	if (json_string_length(in) == 0 && (f->flags & F_NULLABLE) && !(f->flags & F_BLANK))
		return json_null();
	if (f->type != T_LABELS && f->type != T_OBJECT && f->type != T_HEADERS && f->type != T_STRINGS &&
		f->type != T_JSON)
		return json_incref(in);
	v = json_loads(json_string_value(in), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	return v != NULL ? v : json_incref(in);
}

int api_unique_check(struct api_ctx *x, const struct view *v, const struct api_field *f, const json_t *value,
	int64_t self_id, json_t *problems, struct err *err)
{
	struct query *q = NULL;
	json_t *row = NULL;
	struct txn *t;
	int rc;

	if ((rc = api_txn(x, &t, err)) < 0 || (rc = query_new(v, &q)) < 0)
		goto out;
	query_select(q, api_field_column(f));
	if ((rc = query_where(q, api_field_column(f), QUERY_EQ, text_of(value), err)) < 0)
		goto out;
	if ((rc = query_row(t, q, &row, err)) == 0 && api_row_int(row, "_id") != self_id)
		api_problem(problems, f->name, "This field must be unique.");
	rc = rc == -ERR_NOTFOUND ? 0 : rc;
out:
	json_decref(row);
	query_free(&q);
	return rc;
}

static int put_value(const struct api_field *f, json_t *value /* taken */, json_t *values, json_t *options)
{
	json_t *extra;

	if (f->flags & F_OPTION)
		return json_object_set_new(options, f->name, value);
	if (!(f->flags & F_EXTRA))
		return json_object_set_new(values, api_field_column(f), value);
	if ((extra = json_object_get(values, "extra")) == NULL) {
		json_object_set_new(values, "extra", json_object());
		extra = json_object_get(values, "extra");
	}
	return json_object_set_new(extra, f->name, value);
}

static int clean_field(struct api_ctx *x, const struct view *v, const struct api_field *f, json_t *raw, int64_t self_id,
	json_t *values, json_t *options, json_t *problems, struct err *err)
{
	json_t *in = x->form ? from_form(f, raw) : json_incref(raw), *out = NULL, *nested = NULL;
	const char *problem = NULL;
	struct err trouble = ERR_INIT;
	int rc = 0;

	if (json_is_null(in) || (f->type == T_REF && (f->flags & F_NULLABLE) && is_empty(in))) {
		if (f->flags & F_NULLABLE)
			out = json_null();
		else
			problem = "This field may not be null.";
	} else {
		problem = clean(x, f, in, &out, &nested, &trouble);
		if (trouble.code < 0) {
			*err = trouble;
			rc = trouble.code;
			goto out;
		}
		if (problem == NULL && f->check != NULL)
			problem = f->check(x, f, &out);
	}
	if (problem != NULL) {
		if (nested != NULL)
			json_object_set(problems, f->name, nested);
		else
			api_problem(problems, f->name, "%s", problem);
		goto out;
	}
	if ((f->flags & F_UNIQUE) && json_is_string(out))
		rc = api_unique_check(x, v, f, out, self_id, problems, err);
	if (rc == 0 && put_value(f, json_incref(out), values, options) < 0)
		rc = err_set(err, -ERR_NOMEM, "no memory for a value");
out:
	json_decref(in);
	json_decref(out);
	json_decref(nested);
	return rc;
}

static int clean_absent(const struct api_field *f, enum api_mode mode, json_t *values, json_t *options,
	json_t *problems, struct err *err)
{
	json_t *v;

	if (mode == API_MODE_PATCH)
		return 0;
	if (f->flags & F_REQUIRED) {
		api_problem(problems, f->name, "This field is required.");
		return 0;
	}
	/* A PUT resets what has a default and keeps the rest. */
	if (f->default_json == NULL)
		return 0;
	if ((v = json_loads(f->default_json, JSON_DECODE_ANY, NULL)) == NULL || put_value(f, v, values, options) < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a default");
	return 0;
}

int api_fields_clean(struct api_ctx *x, const struct view *v, const struct api_field *const *fields, enum api_mode mode,
	int64_t self_id, json_t *values, json_t *options, json_t *problems, struct err *err)
{
	const char *key;
	json_t *in;
	int rc;

	for (const struct api_field *const *f = fields; *f != NULL; f++) {
		if ((*f)->flags & F_READ_ONLY)
			continue;
		in = json_object_get(x->body, (*f)->name);
		rc = in != NULL ? clean_field(x, v, *f, in, self_id, values, options, problems, err)
				: clean_absent(*f, mode, values, options, problems, err);
		if (rc < 0)
			return rc;
	}
	if (json_object_size(problems) > 0)
		return 0;
	json_object_foreach(x->body, key, in)
	{
		const struct api_field *const *f = fields;

		while (*f != NULL && strcmp((*f)->name, key) != 0)
			f++;
		if (*f == NULL && strcmp(key, "csrfmiddlewaretoken") != 0)
			api_problem(problems, key, "Unexpected field");
	}
	return 0;
}

bool api_options_read(struct api_ctx *x, const struct api_field *fields, json_t **options)
{
	json_t *values = json_object(), *opts = json_object(), *problems = json_object();
	const struct api_field *list[32];
	struct err err = ERR_INIT;
	size_t n = 0;
	int rc;

	for (; fields[n].name != NULL; n++) {
		BUG(n + 1 >= ARRAY_LEN(list));
		list[n] = &fields[n];
	}
	list[n] = NULL;
	if (!api_body_read(x))
		goto no;
	if ((rc = api_fields_clean(x, NULL, list, API_MODE_CREATE, 0, values, opts, problems, &err)) < 0) {
		api_reply_err(x, rc, &err);
		goto no;
	}
	if (json_object_size(problems) > 0) {
		api_reply(x, 400, json_incref(problems));
		goto no;
	}
	json_decref(values);
	json_decref(problems);
	*options = opts;
	return true;
no:
	json_decref(values);
	json_decref(opts);
	json_decref(problems);
	return false;
}
