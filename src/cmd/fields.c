/* What options say, as members of a request's body and as parameters of a list. */
#include "base/check.h"
#include "base/url.h"
#include "cmd/objects.h"
#include "cmd/textfile.h"

#include <stdlib.h>
#include <string.h>

/* One body being made. */
struct making {
	struct client *client;
	const struct options *o;
	const json_t *is; /* NULL: it is new */
	json_t *body;
};

/* ---- values ---- */

static int file_value(const char *path, json_t **v, struct err *err)
{
	struct buf text = BUF_INIT(TEXTFILE_BYTES_MAX);
	int rc = textfile_read(path, &text, err);

	if (rc == 0)
		*v = json_stringn(text.p != NULL ? text.p : "", text.n);
	buf_fini(&text);
	return rc;
}

static int secret_value(const char *path, json_t **v, struct err *err)
{
	char *secret = NULL;
	int rc = textfile_first_line(path, &secret, err);

	if (rc < 0)
		return rc;
	*v = json_string(secret);
	explicit_bzero(secret, strlen(secret));
	free(secret);
	return 0;
}

static int number_value(const char *text, json_t **v, struct err *err)
{
	json_t *n = json_loads(text, JSON_DECODE_ANY, NULL);

	if (!json_is_number(n)) {
		json_decref(n);
		return err_set(err, -ERR_INVAL, "'%s' is not a number", text);
	}
	*v = n;
	return 0;
}

static int yesno_value(const char *text, json_t **v, struct err *err)
{
	bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "no") != 0 && strcmp(text, "false") != 0)
		return err_set(err, -ERR_INVAL, "'%s' is neither yes nor no", text);
	*v = json_boolean(yes);
	return 0;
}

static int ref_value(struct client *c, const struct object_kind *kind, const char *name, json_t **v, struct err *err)
{
	char *href = NULL;
	int rc = object_href(c, kind, name, &href, err);

	if (rc == 0)
		*v = json_string(href);
	free(href);
	return rc;
}

/* "docs/3"; names of repositories may have slashes themselves. */
static int version_value(struct client *c, const char *text, json_t **v, struct err *err)
{
	ptrdiff_t slash = slice_rchr(slice_str(text), '/');
	char *name, *href = NULL;
	struct buf path = BUF_INIT(65536);
	int64_t number;
	int rc;

	if (text[0] == '/') {
		*v = json_string(text);
		return 0;
	}
	if (slash <= 0 || slice_to_i64(slice_str(text + slash + 1), INT32_MAX, &number) < 0)
		return err_set(err, -ERR_INVAL, "'%s' is no version: REPOSITORY/NUMBER", text);
	name = slice_dup(slice_of(text, (size_t)slash));
	rc = name != NULL ? object_href(c, &kind_repository, name, &href, err) : err_set(err, -ERR_NOMEM, "'%s'", text);
	if (rc == 0) {
		buf_addf(&path, "%sversions/%lld/", href, (long long)number);
		*v = json_string(path.p);
	}
	buf_fini(&path);
	free(href);
	free(name);
	return rc;
}

/* Of an option with one value. */
static int text_value(struct client *c, const struct field *f, const char *text, json_t **v, struct err *err)
{
	if (text[0] == '\0' && (f->flags & FIELD_NULLABLE)) {
		*v = json_null();
		return 0;
	}
	switch (f->type) {
	case FIELD_NUMBER:
		return number_value(text, v, err);
	case FIELD_YESNO:
		return yesno_value(text, v, err);
	case FIELD_FILE:
		return file_value(text, v, err);
	case FIELD_SECRET:
		return secret_value(text, v, err);
	case FIELD_REF:
		return ref_value(c, f->ref, text, v, err);
	case FIELD_VERSION:
		return version_value(c, text, v, err);
	default:
		*v = json_string(text);
		return 0;
	}
}

static int header_value(const char *text, json_t **v, struct err *err)
{
	struct slice rest = slice_str(text), name = slice_trim(slice_cut(&rest, ':'));

	if (rest.p == NULL || name.n == 0)
		return err_set(err, -ERR_INVAL, "'%s' is no header field: 'NAME: VALUE'", text);
	rest = slice_trim(rest);
	*v = json_object();
	if (*v != NULL && json_object_setn_new(*v, name.p, name.n, json_stringn(rest.p, rest.n)) < 0) {
		json_decref(*v);
		*v = NULL;
	}
	return 0;
}

static int list_value(struct client *c, const struct field *f, const struct option_list *l, json_t **v, struct err *err)
{
	bool none = l->n == 1 && l->v[0][0] == '\0';
	int rc = 0;

	*v = json_array();
	for (size_t i = 0; rc == 0 && i < l->n && !none; i++) {
		json_t *one = NULL;

		if (f->type == FIELD_HEADERS)
			rc = header_value(l->v[i], &one, err);
		else if (f->type == FIELD_REFS)
			rc = ref_value(c, f->ref, l->v[i], &one, err);
		else
			one = json_string(l->v[i]);
		if (rc == 0 && json_array_append_new(*v, one) < 0)
			rc = err_set(err, -ERR_INVAL, "'%s' is not UTF-8", l->v[i]);
	}
	if (rc < 0)
		json_decref(TAKE(*v));
	return rc;
}

/* Those that it has, with what is said now. */
static int labels_value(const json_t *is, const struct option_list *l, json_t **v, struct err *err)
{
	const json_t *old = json_object_get(is, "pulp_labels");
	int rc = 0;

	*v = json_is_object(old) ? json_copy((json_t *)(uintptr_t)old) : json_object();
	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		struct slice rest = slice_str(l->v[i]), key = slice_cut(&rest, '=');

		if (key.n == 0 || !slice_is_utf8(slice_str(l->v[i])))
			rc = err_set(err, -ERR_INVAL, "'%s' is no label: KEY=VALUE", l->v[i]);
		else if (rest.p == NULL)
			json_object_deln(*v, key.p, key.n);
		else if (json_object_setn_new(*v, key.p, key.n, json_stringn(rest.p, rest.n)) < 0)
			rc = err_set(err, -ERR_NOMEM, "labels");
	}
	if (rc < 0)
		json_decref(TAKE(*v));
	return rc;
}

/* ---- the body ---- */

static int add_any(struct making *m, const struct option_list *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct slice rest = slice_str(l->v[i]), key = slice_cut(&rest, '=');
		json_t *v = rest.p != NULL ? json_loadb(rest.p, rest.n, JSON_DECODE_ANY, NULL) : NULL;

		if (v == NULL && rest.p != NULL)
			v = json_stringn(rest.p, rest.n);
		if (key.n == 0 || v == NULL || !slice_is_utf8(key)) {
			json_decref(v);
			return err_set(err, -ERR_INVAL, "'%s' sets no field: FIELD=VALUE", l->v[i]);
		}
		if (json_object_setn_new(m->body, key.p, key.n, v) < 0)
			return err_set(err, -ERR_NOMEM, "'%s'", l->v[i]);
	}
	return 0;
}

static int add_field(struct making *m, const struct field *f, struct err *err)
{
	json_t *v = NULL;
	int rc;

	switch (f->type) {
	case FIELD_ANY:
		return add_any(m, options_list(m->o, f->option), err);
	case FIELD_WORDS:
	case FIELD_HEADERS:
	case FIELD_REFS:
		rc = list_value(m->client, f, options_list(m->o, f->option), &v, err);
		break;
	case FIELD_LABELS:
		rc = labels_value(m->is, options_list(m->o, f->option), &v, err);
		break;
	default:
		rc = text_value(m->client, f, options_text(m->o, f->option), &v, err);
	}
	if (rc == 0 && json_object_set_new(m->body, f->member, v) < 0)
		rc = err_set(err, -ERR_INVAL, "the value is not UTF-8");
	if (rc < 0)
		err_wrap(err, "--%s", options_describe(NULL, f->option).name);
	return rc;
}

/* Of what is new and was not given. */
static int add_preset(struct making *m, const struct field *f, const char *name, struct err *err)
{
	const char *v = f->flags & FIELD_FROM_NAME ? name : f->preset;

	if (f->flags & FIELD_REQUIRED)
		return err_set(err, -ERR_INVAL, "--%s is needed: %s", options_describe(NULL, f->option).name,
			options_describe(m->o->command, f->option).help);
	if (v != NULL && json_object_set_new(m->body, f->member, json_string(v)) < 0)
		return err_set(err, -ERR_INVAL, "'%s' is not UTF-8", v);
	return 0;
}

/* Is `type` one of the words of `types`? */
static bool is_of(const char *types, const char *type)
{
	struct slice rest = slice_str(types);

	while (rest.p != NULL) {
		if (slice_eq(slice_cut(&rest, ' '), slice_str(type)))
			return true;
	}
	return types == NULL;
}

int fields_body(struct client *c, const struct options *o, const struct object_kind *kind, const char *type,
	const json_t *is, json_t **out, struct err *err)
{
	struct making m = {.client = c, .o = o, .is = is, .body = json_object()};
	int rc = m.body != NULL ? 0 : err_set(err, -ERR_NOMEM, "the request");

	for (const struct field *f = o->command->fields; rc == 0 && f->member != NULL; f++) {
		bool fits = is_of(f->types, type);

		/* Of a type that is not known here the server knows what it has. */
		if (options_given(o, f->option))
			rc = fits || type[0] == '\0'
				     ? add_field(&m, f, err)
				     : err_set(err, -ERR_INVAL, "--%s is not for a %s of type %s, but for: %s",
					       options_describe(NULL, f->option).name, kind->noun, type, f->types);
		else if (fits && is == NULL)
			rc = add_preset(&m, f, o->operands[1], err);
	}
	if (rc == 0)
		*out = TAKE(m.body);
	json_decref(m.body);
	return rc;
}

int fields_query(struct client *c, const struct options *o, struct buf *out, struct err *err)
{
	int rc = 0;

	for (const struct field *f = o->command->fields; rc == 0 && f != NULL && f->member != NULL; f++) {
		json_t *v = NULL;

		if (!options_given(o, f->option))
			continue;
		rc = text_value(c, f, options_text(o, f->option), &v, err);
		if (rc == 0) {
			char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

			buf_addf(out, "%s=", f->member);
			url_encode(out, slice_str(json_is_string(v) ? json_string_value(v) : text), "/");
			buf_adds(out, "&");
			free(text);
		} else {
			err_wrap(err, "--%s", options_describe(NULL, f->option).name);
		}
		json_decref(v);
	}
	if (rc == 0 && out->failed != 0)
		rc = err_set(err, -ERR_INVAL, "what is asked for is too long");
	return rc;
}
