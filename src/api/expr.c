/* The parameter q: terms NAME=VALUE with NOT, AND, OR (in upper case) and parentheses. A recursive descent that adds to the
 * query as it goes; depth and size are limited by the complexity that clients may use. */
#include "api/api_priv.h"

#include "base/check.h"

#define COMPLEXITY_MAX 8
#define DEPTH_MAX 16 /* parentheses cost no complexity; each opens two of the junctions of which a query has 64 */

struct expression {
	struct api_ctx *x;
	const struct api_resource *r;
	struct query *q;
	struct slice rest;
	int complexity, depth;
	struct err *err;
};

static int syntax(struct expression *e)
{
	return err_set(e->err, -ERR_INVAL, "Syntax error in expression.");
}

static int costs(struct expression *e)
{
	if (++e->complexity > COMPLEXITY_MAX)
		return err_set(e->err, -ERR_INVAL, "Filter expression exceeds allowed complexity.");
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip(struct expression *e, size_t n)
{
	e->rest = slice_of(e->rest.p + n, e->rest.n - n);
}

static void skip_space(struct expression *e)
{
	while (e->rest.n > 0 && is_space(e->rest.p[0]))
		skip(e, 1);
}

/* A word in upper case that stands alone. */
static bool take_word(struct expression *e, struct slice word)
{
	skip_space(e);
	if (!slice_starts(e->rest, word))
		return false;
	if (e->rest.n > word.n && !is_space(e->rest.p[word.n]) && e->rest.p[word.n] != '(' && e->rest.p[word.n] != ')')
		return false;
	skip(e, word.n);
	return true;
}

static bool take_char(struct expression *e, char c)
{
	skip_space(e);
	if (e->rest.n == 0 || e->rest.p[0] != c)
		return false;
	skip(e, 1);
	return true;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Bare up to a space or parenthesis, or in quotes of either kind, where \ takes the next one as it is. */
static int take_value(struct expression *e, struct slice *out)
{
	char quote, *p;
	size_t n = 0, i;

	skip_space(e);
	quote = e->rest.n > 0 && (e->rest.p[0] == '"' || e->rest.p[0] == '\'') ? e->rest.p[0] : '\0';
	if ((p = arena_alloc(&e->x->arena, e->rest.n + 1)) == NULL)
		return err_set(e->err, -ERR_NOMEM, "no memory for an expression");
	for (i = quote != '\0'; i < e->rest.n; i++) {
		char c = e->rest.p[i];

		if (quote != '\0' ? c == quote : is_space(c) || c == '(' || c == ')')
			break;
		if (quote != '\0' && c == '\\' && i + 1 < e->rest.n)
			c = e->rest.p[++i];
		p[n++] = c;
	}
	if (quote != '\0' ? i == e->rest.n : n == 0)
		return syntax(e);
	skip(e, i + (quote != '\0'));
	p[n] = '\0';
	*out = slice_of(p, n);
	return 0;
}

/* Errors of the inner filter come as JSON text inside the message. */
static int inner_error(struct expression *e, struct slice name, const struct err *inner)
{
	const char *code = strstr(inner->msg, "Select a valid choice") != NULL ? "invalid_choice" : "invalid";
	json_t *o = json_object(), *text = json_string(inner->msg);
	char *dump;

	json_object_set_new(o, api_text(e->x, "%.*s", SLICE_ARG(name)),
		json_pack(
			"[{s:o, s:s}]", "message", text != NULL ? text : json_string("Invalid value."), "code", code));
	dump = json_dumps(o, 0);
	err_set(e->err, -ERR_INVAL, "%s", dump != NULL ? dump : "Invalid value.");
	free(dump);
	json_decref(o);
	return -ERR_INVAL;
}

static int term(struct expression *e)
{
	struct err inner = ERR_INIT;
	struct slice name, value;
	size_t n = 0;
	int rc;

	skip_space(e);
	while (n < e->rest.n && is_name(e->rest.p[n]))
		n++;
	name = slice_of(e->rest.p, n);
	if (n == 0)
		return syntax(e);
	skip(e, n);
	if (!take_char(e, '='))
		return syntax(e);
	if ((rc = take_value(e, &value)) < 0 || (rc = costs(e)) < 0)
		return rc;
	rc = slice_eq(name, SLICE("q")) || slice_eq(name, SLICE("ordering"))
		     ? -ERR_NOTFOUND
		     : api_filter_add(e->x, e->r, e->q, name, value, &inner);
	if (rc == -ERR_NOTFOUND)
		return err_set(e->err, -ERR_INVAL, "Filter '%.*s' does not exist.", SLICE_ARG(name));
	if (rc == -ERR_INVAL || rc == -ERR_UNSUPPORTED) {
		e->x->filter_bare = false;
		return inner_error(e, name, &inner);
	}
	if (rc < 0 && e->err != NULL)
		*e->err = inner;
	return rc;
}

static int chain(struct expression *e, bool or);

static int negation(struct expression *e)
{
	int rc;

	if (++e->depth > DEPTH_MAX)
		return err_set(e->err, -ERR_INVAL, "Filter expression exceeds allowed complexity.");
	if (take_word(e, SLICE("NOT"))) {
		if ((rc = costs(e)) < 0)
			return rc;
		query_open(e->q, QUERY_NOT);
		rc = negation(e);
		query_close(e->q);
	} else if (take_char(e, '(')) {
		rc = chain(e, true);
		if (rc == 0 && !take_char(e, ')'))
			rc = syntax(e);
	} else {
		rc = term(e);
	}
	e->depth--;
	return rc;
}

/* An unbroken chain of OR costs one, and so does one of AND, however long. */
static int chain(struct expression *e, bool or)
{
	bool first = true;
	int rc;

	query_open(e->q, or ? QUERY_OR : QUERY_AND);
	do {
		rc = or ? chain(e, false) : negation(e);
		if (rc == 0 && !take_word(e, or ? SLICE("OR") : SLICE("AND")))
			break;
		if (rc == 0 && first)
			rc = costs(e);
		first = false;
	} while (rc == 0);
	query_close(e->q);
	return rc;
}

int api_expression_add(
	struct api_ctx *x, const struct api_resource *r, struct query *q, struct slice text, struct err *err)
{
	struct expression e = {.x = x, .r = r, .q = q, .rest = text, .err = err};
	int rc;

	if (!slice_is_utf8(text))
		return syntax(&e);
	rc = chain(&e, true);
	skip_space(&e);
	return rc == 0 && e.rest.n > 0 ? syntax(&e) : rc;
}
