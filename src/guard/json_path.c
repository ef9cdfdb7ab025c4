/* See json_path.h. A path is a row of steps: a member by name, or an element by number. Pipes and question marks change nothing about which value that
 * is: where jq fails, or gives null, there is no value here. */
#include "guard/json_path.h"

#include "base/check.h"

#include <stdlib.h>

#define STEPS_MAX 64

struct step {
	char *member; /* NULL: an element */
	int64_t index;
};
struct json_path {
	size_t count;
	struct step steps[STEPS_MAX];
};

struct reader {
	struct slice text;
	size_t at;
	struct json_path *path;
	struct err *err;
};

static int wrong(struct reader *r, const char *what)
{
	return err_set(r->err, -ERR_INVAL, "%s at character %zu", what, r->at + 1);
}

static char peek(const struct reader *r)
{
	return r->at < r->text.n ? r->text.p[r->at] : '\0';
}

static void skip_space(struct reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n')
		r->at++;
}

static bool is_name(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static int add_step(struct reader *r, char *member, int64_t index)
{
	struct json_path *p = r->path;

	if (p->count == STEPS_MAX) {
		free(member);
		return wrong(r, "more than 64 steps");
	}
	p->steps[p->count++] = (struct step){.member = member, .index = index};
	return 0;
}

static int add_member(struct reader *r, struct slice name)
{
	char *copy = slice_dup(name);

	return copy == NULL ? err_set(r->err, -ERR_NOMEM, "no memory for a filter") : add_step(r, copy, 0);
}

static int read_name(struct reader *r)
{
	size_t from = r->at;

	while (is_name(peek(r), r->at == from))
		r->at++;
	return add_member(r, slice_of(r->text.p + from, r->at - from));
}

/* A JSON string, quotes and all. */
static int read_string(struct reader *r)
{
	size_t from = r->at;
	json_t *v;
	int rc;

	for (r->at++; peek(r) != '"'; r->at++) {
		if (peek(r) == '\\' && r->at + 1 < r->text.n)
			r->at++;
		if (r->at >= r->text.n)
			return wrong(r, "a string without an end");
	}
	r->at++;
	v = json_loadb(r->text.p + from, r->at - from, JSON_DECODE_ANY, NULL);
	if (!json_is_string(v)) {
		json_decref(v);
		return wrong(r, "no string");
	}
	rc = add_member(r, slice_str(json_string_value(v)));
	json_decref(v);
	return rc;
}

static int read_index(struct reader *r)
{
	bool minus = peek(r) == '-';
	size_t from = r->at += minus;
	int64_t n;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->at++;
	if (slice_to_i64(slice_of(r->text.p + from, r->at - from), INT32_MAX, &n) < 0)
		return wrong(r, "no index");
	return add_step(r, NULL, minus ? -n : n);
}

static int read_brackets(struct reader *r)
{
	int rc;

	r->at++;
	skip_space(r);
	rc = peek(r) == '"' ? read_string(r) : read_index(r);
	skip_space(r);
	if (rc == 0 && peek(r) != ']')
		rc = wrong(r, "no ']'");
	r->at++;
	return rc;
}

/* `.`, `.a`, `."a"`, and `.a`, `[…]` and `?` behind one. */
static int read_term(struct reader *r)
{
	bool more = true;
	int rc = 0;

	if (peek(r) != '.')
		return wrong(r, "not a path, which is all that is known here");
	while (rc == 0 && more) {
		if (peek(r) == '.') {
			r->at++;
			if (is_name(peek(r), true))
				rc = read_name(r);
			else if (peek(r) == '"')
				rc = read_string(r);
			else if (peek(r) == '.')
				rc = wrong(r, "two dots");
		} else if (peek(r) == '[') {
			rc = read_brackets(r);
		} else if (peek(r) == '?') {
			r->at++;
		} else {
			more = false;
		}
	}
	return rc;
}

int json_path_new(struct slice text, struct json_path **out, struct err *err)
{
	struct reader r = {.text = text, .err = err};
	int rc;

	r.path = calloc(1, sizeof(*r.path));
	if (r.path == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a filter");
	do {
		skip_space(&r);
		rc = read_term(&r);
		skip_space(&r);
	} while (rc == 0 && peek(&r) == '|' && r.at++ < text.n);
	if (rc == 0 && r.at < text.n)
		rc = wrong(&r, "not a path, which is all that is known here");
	if (rc < 0)
		json_path_free(&r.path);
	else
		*out = r.path;
	return rc;
}

void json_path_free(struct json_path **pp)
{
	struct json_path *p = TAKE(*pp);

	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++)
		free(p->steps[i].member);
	free(p);
}

const json_t *json_path_apply(const struct json_path *p, const json_t *document)
{
	const json_t *v = document;

	for (size_t i = 0; i < p->count && v != NULL; i++) {
		const struct step *s = &p->steps[i];

		if (s->member != NULL) {
			v = json_object_get(v, s->member);
		} else {
			int64_t n = (int64_t)json_array_size(v), at = s->index < 0 ? n + s->index : s->index;

			v = at >= 0 && at < n ? json_array_get(v, (size_t)at) : NULL;
		}
	}
	return v;
}
