/* The elements of primary.xml. Relations and files become JSON at once: that is what is kept of them. */
#include "formats/rpm/primary.h"

#include "base/check.h"
#include "formats/rpm/repomd.h"

#include <string.h>

const char *const rpm_relation_names[RPM_RELATION_COUNT] = {
#define X(id, name) name,
	RPM_RELATIONS(X)
#undef X
};

/* ---- JSON ---- */

void rpm_json_text(struct buf *b, struct slice s)
{
	size_t from = 0;

	if (s.p == NULL) {
		buf_adds(b, "null");
		return;
	}
	buf_adds(b, "\"");
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s.p + from, i - from);
		from = i + 1;
		if (c == '\n')
			buf_adds(b, "\\n");
		else if (c == '\t')
			buf_adds(b, "\\t");
		else if (c >= 0x20)
			buf_addf(b, "\\%c", c);
		else
			buf_addf(b, "\\u%04x", c);
	}
	buf_add(b, s.p + from, s.n - from);
	buf_adds(b, "\"");
}

static struct slice maybe(const char *z)
{
	return slice_str(z);
}

/* ---- elements ---- */

static int no_memory(struct primary *m)
{
	return err_set(&m->xml.err, -ERR_LIMIT, "a package holds more than %zu bytes", PRIMARY_PACKAGE_MAX);
}

static int keep(struct primary *m, struct slice s, struct slice *out)
{
	char *copy = arena_strdup(&m->arena, s);

	if (copy == NULL)
		return no_memory(m);
	*out = slice_of(copy, s.n);
	return 0;
}

static int keep_attr(struct primary *m, const char **attrs, const char *name, struct slice *out)
{
	const char *v = xml_attr(attrs, name);

	return v != NULL ? keep(m, slice_str(v), out) : 0;
}

/* What is no number counts as absent: clients take it so. */
static int64_t number_of(const char **attrs, const char *name)
{
	const char *v = xml_attr(attrs, name);
	struct slice whole = slice_trim(slice_str(v));
	int64_t n;

	whole = slice_cut(&whole, '.');
	return v != NULL && slice_to_i64(whole, INT64_MAX, &n) == 0 ? n : -1;
}

static void begin_package(struct primary *m)
{
	arena_reset(&m->arena);
	m->is_known = false;
	m->p = (struct rpm_package){.time_file = -1,
		.time_build = -1,
		.size_package = -1,
		.size_installed = -1,
		.size_archive = -1,
		.header_start = -1,
		.header_end = -1};
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		buf_reset(&m->relations[i]);
	buf_reset(&m->files);
}

static int bad_package(struct primary *m, const char *what)
{
	return err_set(&m->xml.err, -ERR_PARSE, "line %lld: the package %.*s %s", (long long)xml_line(&m->xml),
		(int)MIN(m->p.name.n, 200), m->p.name.p != NULL ? m->p.name.p : "without a name", what);
}

/* Names and versions become parts of a key that line ends separate, and of file names. */
static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '/' || s.p[i] == '\\')
			return false;
	return s.n > 0 && s.n <= 512;
}

static int end_package(struct primary *m)
{
	struct rpm_package *p = &m->p;

	if (m->is_known) {
		m->packages++;
		return 0;
	}
	if (p->epoch.p == NULL)
		p->epoch = SLICE("0");
	if (!is_word(p->name))
		return bad_package(m, "has a name that is none");
	if (!is_word(p->arch) || !is_word(p->version) || !is_word(p->release) || !is_word(p->epoch))
		return bad_package(m, "lacks its version or architecture");
	if (p->pkgid.p == NULL || p->checksum_type.p == NULL || !repomd_is_checksum(p->pkgid))
		return bad_package(m, "has no checksum");
	if (p->href.n == 0)
		return bad_package(m, "has no location");
	for (int i = 0; i < RPM_RELATION_COUNT; i++) {
		if (m->relations[i].failed != 0)
			return no_memory(m);
		p->relations[i] = buf_slice(&m->relations[i]);
	}
	if (m->files.failed != 0)
		return no_memory(m);
	p->files = buf_slice(&m->files);
	m->packages++;
	return m->take(m->arg, p);
}

static bool relation_of(const char *name, enum rpm_relation *out)
{
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		if (strcmp(name, rpm_relation_names[i]) == 0) {
			*out = (enum rpm_relation)i;
			return true;
		}
	return false;
}

static void add_entry(struct primary *m, const char **attrs)
{
	struct buf *b = &m->relations[m->relation];
	const char *pre = xml_attr(attrs, "pre");

	buf_adds(b, b->n > 0 ? ",[" : "[");
	rpm_json_text(b, maybe(xml_attr(attrs, "name")));
	buf_adds(b, ",");
	rpm_json_text(b, maybe(xml_attr(attrs, "flags")));
	buf_adds(b, ",");
	rpm_json_text(b, maybe(xml_attr(attrs, "epoch")));
	buf_adds(b, ",");
	rpm_json_text(b, maybe(xml_attr(attrs, "ver")));
	buf_adds(b, ",");
	rpm_json_text(b, maybe(xml_attr(attrs, "rel")));
	buf_adds(b, pre != NULL && strcmp(pre, "1") == 0 ? ",true]" : ",false]");
}

/* The file's path cut behind its last slash, as the tools of rpm keep it. */
static void add_file(struct primary *m, struct slice path)
{
	struct buf *b = &m->files;
	size_t cut = (size_t)(slice_rchr(path, '/') + 1);

	buf_adds(b, b->n > 0 ? ",[" : "[");
	rpm_json_text(b, m->file_type[0] != '\0' ? slice_str(m->file_type) : SLICE_NULL);
	buf_adds(b, ",");
	rpm_json_text(b, slice_of(path.p, cut));
	buf_adds(b, ",");
	rpm_json_text(b, slice_of(path.p + cut, path.n - cut));
	buf_adds(b, "]");
}

/* <format> begins. Files that have it in front of a fact that is needed are read whole. */
static int ask(struct primary *m, struct xml *x)
{
	struct rpm_package *p = &m->p;
	int rc;

	if (m->known == NULL || !is_word(p->name) || !is_word(p->arch) || !is_word(p->version) ||
		!is_word(p->release) || p->pkgid.p == NULL || p->checksum_type.p == NULL ||
		!repomd_is_checksum(p->pkgid) || p->href.n == 0)
		return 0;
	if (p->epoch.p == NULL)
		p->epoch = SLICE("0");
	if (!is_word(p->epoch))
		return 0;
	rc = m->known(m->arg, p);
	m->is_known = rc == 1;
	if (m->is_known)
		x->skip_depth = x->depth;
	return MIN(rc, 0);
}

/* Elements of <package>. */
static int start_fact(struct primary *m, const char *name, const char **attrs)
{
	struct rpm_package *p = &m->p;
	int rc = 0;

	if (strcmp(name, "version") == 0) {
		if ((rc = keep_attr(m, attrs, "epoch", &p->epoch)) == 0 &&
			(rc = keep_attr(m, attrs, "ver", &p->version)) == 0)
			rc = keep_attr(m, attrs, "rel", &p->release);
	} else if (strcmp(name, "checksum") == 0) {
		rc = keep(m, slice_str(repomd_checksum_type(xml_attr(attrs, "type"))), &p->checksum_type);
	} else if (strcmp(name, "time") == 0) {
		p->time_file = number_of(attrs, "file");
		p->time_build = number_of(attrs, "build");
	} else if (strcmp(name, "size") == 0) {
		p->size_package = number_of(attrs, "package");
		p->size_installed = number_of(attrs, "installed");
		p->size_archive = number_of(attrs, "archive");
	} else if (strcmp(name, "location") == 0) {
		if ((rc = keep_attr(m, attrs, "href", &p->href)) == 0)
			rc = keep_attr(m, attrs, "xml:base", &p->base);
	}
	return rc;
}

/* Elements of <format>. */
static int start_detail(struct primary *m, const char *name, const char **attrs)
{
	const char *type;

	m->in_relation = relation_of(name, &m->relation);
	if (strcmp(name, "header-range") == 0) {
		m->p.header_start = number_of(attrs, "start");
		m->p.header_end = number_of(attrs, "end");
	} else if (strcmp(name, "file") == 0) {
		type = xml_attr(attrs, "type");
		m->file_type = type == NULL                 ? ""
			       : strcmp(type, "dir") == 0   ? "dir"
			       : strcmp(type, "ghost") == 0 ? "ghost"
							    : "";
	}
	return 0;
}

static int on_start(void *arg, struct xml *x, const char *name, const char **attrs)
{
	struct primary *m = arg;

	switch (x->depth) {
	case 1:
		if (strcmp(name, "metadata") != 0)
			return err_set(&x->err, -ERR_PARSE, "it is no primary.xml: its root is '%.40s'", name);
		m->declared = number_of(attrs, "packages");
		return 0;
	case 2:
		m->in_package = strcmp(name, "package") == 0;
		if (m->in_package)
			begin_package(m);
		return 0;
	case 3:
		if (m->in_package && strcmp(name, "format") == 0)
			return ask(m, x);
		return m->in_package && !m->is_known ? start_fact(m, name, attrs) : 0;
	case 4:
		return m->in_package ? start_detail(m, name, attrs) : 0;
	case 5:
		if (m->in_package && m->in_relation && strcmp(name, "entry") == 0)
			add_entry(m, attrs);
		return 0;
	default:
		return 0;
	}
}

static int end_pkgid(struct primary *m, struct slice text)
{
	int rc = keep(m, slice_trim(text), &m->p.pkgid);

	for (size_t i = 0; rc == 0 && i < m->p.pkgid.n; i++) {
		char *c = (char *)(uintptr_t)&m->p.pkgid.p[i]; /* our own copy */

		*c = (char)(*c >= 'A' && *c <= 'F' ? *c - 'A' + 'a' : *c);
	}
	return rc;
}

static int end_fact(struct primary *m, const char *name, struct slice text)
{
	static const struct {
		const char *name;
		size_t at;
		bool trim;
	} facts[] = {
		{"name", offsetof(struct rpm_package, name), true},
		{"arch", offsetof(struct rpm_package, arch), true},
		{"summary", offsetof(struct rpm_package, summary), false},
		{"description", offsetof(struct rpm_package, description), false},
		{"packager", offsetof(struct rpm_package, packager), false},
		{"url", offsetof(struct rpm_package, url), true},
	};

	if (strcmp(name, "checksum") == 0)
		return end_pkgid(m, text);
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		if (strcmp(name, facts[i].name) == 0)
			return keep(m, facts[i].trim ? slice_trim(text) : text,
				(struct slice *)(void *)((char *)&m->p + facts[i].at));
	return 0;
}

static int end_detail(struct primary *m, const char *name, struct slice text)
{
	static const struct {
		const char *name;
		size_t at;
	} details[] = {
		{"license", offsetof(struct rpm_package, license)},
		{"vendor", offsetof(struct rpm_package, vendor)},
		{"group", offsetof(struct rpm_package, group)},
		{"buildhost", offsetof(struct rpm_package, buildhost)},
		{"sourcerpm", offsetof(struct rpm_package, sourcerpm)},
	};

	m->in_relation = false;
	if (strcmp(name, "file") == 0) {
		add_file(m, text);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(details); i++)
		if (strcmp(name, details[i].name) == 0)
			return keep(m, text, (struct slice *)(void *)((char *)&m->p + details[i].at));
	return 0;
}

static int on_end(void *arg, struct xml *x, const char *name, struct slice text)
{
	struct primary *m = arg;

	if (!m->in_package)
		return 0;
	switch (x->depth) {
	case 2:
		m->in_package = false;
		return end_package(m);
	case 3:
		return m->is_known ? 0 : end_fact(m, name, text);
	case 4:
		return end_detail(m, name, text);
	default:
		return 0;
	}
}

static const struct xml_ops ops = {on_start, on_end};

int primary_init(struct primary *m, int (*take)(void *arg, const struct rpm_package *p), void *arg)
{
	*m = (struct primary){
		.take = take, .arg = arg, .declared = -1, .file_type = "", .files = BUF_INIT(PRIMARY_PACKAGE_MAX)};
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		m->relations[i] = BUF_INIT(PRIMARY_PACKAGE_MAX);
	arena_init(&m->arena, PRIMARY_PACKAGE_MAX);
	return xml_init(&m->xml, &ops, m);
}

void primary_fini(struct primary *m)
{
	xml_fini(&m->xml);
	arena_fini(&m->arena);
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		buf_fini(&m->relations[i]);
	buf_fini(&m->files);
}

int primary_feed(struct primary *m, const char *p, size_t n, struct err *err)
{
	return xml_feed(&m->xml, p, n, err);
}

int primary_end(struct primary *m, struct err *err)
{
	return xml_end(&m->xml, err);
}
