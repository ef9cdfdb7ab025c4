/* Elements become records in an arena, which is emptied after each one that is complete. */
#include "formats/rpm/records.h"

#include "base/check.h"

#include <string.h>

static int too_large(struct xml *x)
{
	return err_set(&x->err, -ERR_LIMIT, "line %lld: an entry is larger than %zu bytes", (long long)xml_line(x),
		RECORD_MAX);
}

/* NULL: too many. */
static const char *const *copy_attrs(struct arena *a, const char **attrs)
{
	const char **out;
	size_t n = 0;

	while (attrs[n] != NULL)
		n++;
	out = arena_zalloc(a, (n + 1) * sizeof(*out));
	for (size_t i = 0; out != NULL && i < n; i++) {
		out[i] = arena_strdup(a, slice_str(attrs[i]));
		if (out[i] == NULL)
			return NULL;
	}
	return (const char *const *)out;
}

static int on_start(void *arg, struct xml *x, const char *name, const char **attrs)
{
	struct records *r = arg;
	struct record *e;

	if (x->depth == 1)
		return strcmp(name, r->root) == 0
			       ? 0
			       : err_set(&x->err, -ERR_PARSE, "its root is '%.40s', where '%s' is expected", name,
					 r->root);
	e = arena_zalloc(&r->arena, sizeof(*e));
	if (e == NULL)
		return too_large(x);
	e->name = arena_strdup(&r->arena, slice_str(name));
	e->attrs = copy_attrs(&r->arena, attrs);
	e->text = "";
	e->parent = r->at;
	if (e->name == NULL || e->attrs == NULL)
		return too_large(x);
	if (e->parent != NULL) {
		if (e->parent->last != NULL)
			e->parent->last->next = e;
		else
			e->parent->child = e;
		e->parent->last = e;
	}
	r->at = e;
	return 0;
}

static int on_end(void *arg, struct xml *x, const char *name, struct slice text)
{
	struct records *r = arg;
	struct record *e = r->at;
	int rc;

	if (x->depth == 1)
		return 0;
	if (e->child == NULL) {
		e->text = arena_strdup(&r->arena, text);
		if (e->text == NULL)
			return too_large(x);
	}
	r->at = e->parent;
	if (r->at != NULL)
		return 0;
	rc = r->take(r->arg, e);
	arena_reset(&r->arena);
	return rc;
}

static const struct xml_ops ops = {on_start, on_end};

int records_init(struct records *r, const char *root, int (*take)(void *arg, const struct record *record), void *arg)
{
	*r = (struct records){.root = root, .take = take, .arg = arg};
	arena_init(&r->arena, RECORD_MAX);
	return xml_init(&r->xml, &ops, r);
}

void records_fini(struct records *r)
{
	xml_fini(&r->xml);
	arena_fini(&r->arena);
}

int records_feed(struct records *r, const char *p, size_t n, struct err *err)
{
	return xml_feed(&r->xml, p, n, err);
}

int records_end(struct records *r, struct err *err)
{
	return xml_end(&r->xml, err);
}

const struct record *record_child(const struct record *r, const char *name)
{
	const struct record *e = r->child;

	while (e != NULL && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

const char *record_text(const struct record *r, const char *name)
{
	const struct record *e = record_child(r, name);

	return e != NULL ? e->text : "";
}

const char *record_attr(const struct record *r, const char *name)
{
	for (const char *const *a = r != NULL ? r->attrs : NULL; a != NULL && a[0] != NULL; a += 2)
		if (strcmp(a[0], name) == 0)
			return a[1];
	return NULL;
}

/* As deep as xml.h lets it be. */
void record_xml(const struct record *r, struct buf *out) /* NOLINT(misc-no-recursion) */
{
	buf_addf(out, "<%s", r->name);
	for (const char *const *a = r->attrs; a[0] != NULL; a += 2) {
		buf_addf(out, " %s=\"", a[0]);
		xml_add(out, slice_str(a[1]));
		buf_adds(out, "\"");
	}
	if (r->child == NULL && r->text[0] == '\0') {
		buf_adds(out, "/>");
		return;
	}
	buf_adds(out, ">");
	xml_add(out, slice_str(r->text));
	for (const struct record *e = r->child; e != NULL; e = e->next)
		record_xml(e, out);
	buf_addf(out, "</%s>", r->name);
}
