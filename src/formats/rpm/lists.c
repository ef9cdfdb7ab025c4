/* Entries are written again as they are read: <file type="dir">…</file>, <changelog author="…" date="…">…</changelog>. */
#include "formats/rpm/lists.h"

#include "base/check.h"
#include "formats/rpm/repomd.h"

#include <stdio.h>
#include <string.h>

static int begin_package(struct lists *l, const char **attrs)
{
	const char *pkgid = xml_attr(attrs, "pkgid");

	if (pkgid == NULL || !repomd_is_checksum(slice_str(pkgid)))
		return err_set(
			&l->xml.err, -ERR_PARSE, "line %lld: a package has no pkgid", (long long)xml_line(&l->xml));
	(void)snprintf(l->pkgid, sizeof(l->pkgid), "%s", pkgid);
	for (char *c = l->pkgid; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'F' ? *c - 'A' + 'a' : *c);
	buf_reset(&l->inside);
	if (l->skip != NULL && l->skip(l->arg, slice_str(l->pkgid))) {
		l->in_package = false;
		l->xml.skip_depth = l->xml.depth;
	}
	return 0;
}

static void begin_entry(struct lists *l, const char *name, const char **attrs)
{
	struct buf *b = &l->inside;

	l->in_entry = strcmp(name, "version") != 0;
	if (!l->in_entry)
		return;
	buf_adds(b, "<");
	buf_adds(b, name);
	for (; *attrs != NULL; attrs += 2) {
		buf_adds(b, " ");
		buf_adds(b, attrs[0]);
		buf_adds(b, "=\"");
		xml_add(b, slice_str(attrs[1]));
		buf_adds(b, "\"");
	}
	buf_adds(b, ">");
}

static int on_start(void *arg, struct xml *x, const char *name, const char **attrs)
{
	struct lists *l = arg;

	if (x->depth == 1 && strcmp(name, l->root) != 0)
		return err_set(&x->err, -ERR_PARSE, "its root is '%.40s' and not '%s'", name, l->root);
	if (x->depth == 2) {
		l->in_package = strcmp(name, "package") == 0;
		return l->in_package ? begin_package(l, attrs) : 0;
	}
	if (x->depth == 3 && l->in_package)
		begin_entry(l, name, attrs);
	return 0;
}

static int on_end(void *arg, struct xml *x, const char *name, struct slice text)
{
	struct lists *l = arg;
	struct buf *b = &l->inside;

	if (!l->in_package)
		return 0;
	if (x->depth == 3 && l->in_entry) {
		xml_add(b, text);
		buf_adds(b, "</");
		buf_adds(b, name);
		buf_adds(b, ">\n");
	}
	if (b->failed != 0)
		return err_set(&x->err, b->failed, "a package holds more than %zu bytes", LISTS_PACKAGE_MAX);
	if (x->depth != 2)
		return 0;
	l->in_package = false;
	return l->take(l->arg, slice_str(l->pkgid), b->n > 0 ? buf_slice(b) : SLICE(""));
}

static const struct xml_ops ops = {on_start, on_end};

int lists_init(
	struct lists *l, const char *root, int (*take)(void *arg, struct slice pkgid, struct slice inside), void *arg)
{
	*l = (struct lists){.root = root, .take = take, .arg = arg, .inside = BUF_INIT(LISTS_PACKAGE_MAX)};
	return xml_init(&l->xml, &ops, l);
}

void lists_fini(struct lists *l)
{
	xml_fini(&l->xml);
	buf_fini(&l->inside);
}

int lists_feed(struct lists *l, const char *p, size_t n, struct err *err)
{
	return xml_feed(&l->xml, p, n, err);
}

int lists_end(struct lists *l, struct err *err)
{
	return xml_end(&l->xml, err);
}
