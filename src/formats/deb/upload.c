/* Packages that users bring. The unit is that of an index which lists the file: control's fields as they stand there, and what an index
 * says of the file beside. */
#include "formats/deb/deb_format.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/deb/debfile.h"
#include "formats/deb/package.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 65536

struct upload {
	const struct sluice_upload_host *h;
	struct sluice_upload *u;
	const char *component;       /* for the path */
	char path[PACKAGE_PATH_MAX]; /* once it is known */
	struct package package;
	struct err err;
};

static int refuse(struct upload *x, int rc)
{
	/* What the host has said itself it knows. */
	return x->err.code != 0 ? x->h->fail(x->u, "%s", x->err.msg) : rc;
}

static int read_control(struct upload *x, struct debfile *d)
{
	char *piece = malloc(PIECE);
	int64_t at = 0, n = 1;
	int rc = piece != NULL ? 0 : err_set(&x->err, -ERR_NOMEM, "no memory to read a package");

	while (rc == 0 && n > 0) {
		n = x->h->read(x->u, at, piece, PIECE);
		if (n < 0)
			rc = (int)n;
		else if (n == 0)
			rc = err_set(&x->err, -ERR_PARSE, "the package breaks off before its control file ends");
		else
			rc = debfile_feed(d, piece, (size_t)n, &x->err);
		at += n;
	}
	free(piece);
	return MIN(rc, 0);
}

/* The host's name for a package (Debian policy, 5.6.7): letters, digits and + - . */
static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.", s.p[i]) == NULL ||
			s.p[i] == '\0')
			return false;
	return s.n > 0 && s.n <= 255 && s.p[0] != '.' && s.p[0] != '-';
}

/* pool/COMPONENT/h/hello/hello_1.0_amd64.deb, as archives have it: without the epoch of the version. */
static int make_path(struct upload *x, const struct stanza *s, struct err *err)
{
	struct slice name = stanza_get(s, "Package"), version = stanza_get(s, "Version"),
		     arch = stanza_get(s, "Architecture"), source = stanza_get(s, "Source"), letter;
	struct slice upstream = version, epoch = slice_cut(&upstream, ':');
	int n;

	if (upstream.p == NULL)
		upstream = epoch;
	source = source.p != NULL && source.n > 0 ? slice_cut(&source, ' ') : name;
	if (!is_name(name) || !is_name(source) || !is_name(arch))
		return err_set(err, -ERR_PARSE,
			"the package has no Package, Source or Architecture that can be part of a path");
	letter = slice_of(source.p, slice_starts(source, SLICE("lib")) && source.n > 3 ? 4 : 1);
	n = snprintf(x->path, sizeof(x->path), "pool/%s/%.*s/%.*s/%.*s_%.*s_%.*s.deb", x->component, SLICE_ARG(letter),
		SLICE_ARG(source), SLICE_ARG(name), SLICE_ARG(upstream), SLICE_ARG(arch));
	if (n >= (int)sizeof(x->path) || url_relpath_check(slice_str(x->path), NULL) != 0 || upstream.n == 0 ||
		memchr(upstream.p, '/', upstream.n) != NULL)
		return err_set(
			err, -ERR_PARSE, "no path can be made of the package's Version; give it a relative_path");
	return 0;
}

/* Of the control file as it is. */
static int take_control(void *arg, const struct stanza *s, struct err *err)
{
	static const char *const of_indexes[] = {"Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512"};
	struct upload *x = arg;

	for (size_t i = 0; i < ARRAY_LEN(of_indexes); i++)
		if (stanza_get(s, of_indexes[i]).p != NULL)
			return err_set(err, -ERR_PARSE, "the control file has a field %s, which only indexes have",
				of_indexes[i]);
	return x->path[0] != '\0' ? 0 : make_path(x, s, err);
}

/* And of the stanza that an index would have. */
static int take_stanza(void *arg, const struct stanza *s, struct err *err)
{
	struct upload *x = arg;
	int rc = package_parse(s, &x->package, err);

	return rc == 0 ? package_fields_read(s, &x->package, err) : rc;
}

static int parse(struct upload *x, struct slice text, int (*take)(void *arg, const struct stanza *s, struct err *err))
{
	struct stanza_parser p;
	int rc = stanza_init(&p, 0, take, x);

	if (rc != 0)
		return err_set(&x->err, rc, "no memory to read a control file");
	rc = stanza_feed(&p, text.p, text.n, &x->err);
	if (rc == 0)
		rc = stanza_end(&p, &x->err);
	if (rc == 0 && p.stanzas != 1)
		rc = err_set(&x->err, -ERR_PARSE, "the control file is not one stanza");
	stanza_fini(&p);
	return rc;
}

static int read_package(struct upload *x, struct slice control)
{
	const char *sha256 = x->h->get(x->u, "sha256"), *size = x->h->get(x->u, "size");
	struct buf text = BUF_INIT(0);
	int rc = parse(x, control, take_control);

	if (rc != 0)
		return err_wrap(&x->err, "the control file");
	while (control.n > 0 && (control.p[control.n - 1] == '\n' || control.p[control.n - 1] == '\r'))
		control.n--;
	buf_add_slice(&text, control);
	buf_addf(&text, "\nFilename: %s\nSize: %s\nSHA256: %s\n", x->path, size, sha256);
	rc = text.failed == 0 ? parse(x, buf_slice(&text), take_stanza)
			      : err_set(&x->err, -ERR_NOMEM, "no memory to read a control file");
	buf_fini(&text);
	return rc;
}

static int declare(struct upload *x, const char *distribution)
{
	struct package *p = &x->package;
	struct sluice_artifact artifact = {.relative_path = p->path};
	struct sluice_unit unit = {.type = DEB_PACKAGE,
				   .natural_key = p->key,
				   .extra_json = p->extra_json,
				   .artifacts = &artifact,
				   .artifact_count = 1},
			   member = {.type = DEB_MEMBER};
	struct buf key = BUF_INIT(0);
	char *extra = package_member_json(p->path, distribution, x->component);
	int rc = package_member_key(p->path, p->identity, distribution, x->component, &key);

	rc = extra != NULL && rc == 0 ? x->h->unit(x->u, &unit)
				      : err_set(&x->err, -ERR_NOMEM, "no memory for a package");

	member.natural_key = key.p;
	member.extra_json = extra;
	if (rc == 0)
		rc = x->h->unit(x->u, &member);
	free(extra);
	buf_fini(&key);
	return rc;
}

/* They become directories below dists/. */
static bool is_place(const char *text)
{
	return url_relpath_check(slice_str(text), NULL) == 0 && strlen(text) <= 255 && strpbrk(text, " \t") == NULL;
}

int deb_upload(const struct sluice_upload_host *h, struct sluice_upload *u)
{
	const char *path = h->get(u, "relative_path"), *distribution = h->get(u, "distribution"),
		   *component = h->get(u, "component");
	struct upload x = {.h = h, .u = u, .component = component != NULL ? component : DEB_UPLOAD_COMPONENT};
	struct debfile *d = NULL;
	int rc;

	distribution = distribution != NULL ? distribution : DEB_UPLOAD_DISTRIBUTION;
	if (!is_place(distribution) || !is_place(x.component))
		return h->fail(u, "a distribution or component has to be a relative path without blanks");
	if (path != NULL && (size_t)snprintf(x.path, sizeof(x.path), "%s", path) >= sizeof(x.path))
		return h->fail(u, "the relative_path is too long");
	rc = debfile_new(&d);
	if (rc != 0)
		err_set(&x.err, rc, "no memory to read a package");
	if (rc == 0)
		rc = read_control(&x, d);
	if (rc == 0)
		rc = read_package(&x, debfile_control(d));
	if (rc == 0)
		rc = declare(&x, distribution);
	package_fini(&x.package);
	debfile_free(&d);
	return rc == 0 ? 0 : refuse(&x, rc);
}
