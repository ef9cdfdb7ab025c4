/* The manifest's lines. There is no quoting in this format: a path may hold commas, so a line is split at its last two,
 * and a newline cannot occur in a path. */
#include "formats/file/manifest.h"

#include "base/digest.h"
#include "base/url.h"

#include <stdlib.h>
#include <string.h>

void manifest_init(struct manifest *m, int (*take)(void *arg, const struct manifest_entry *e), void *arg)
{
	*m = (struct manifest){.take = take, .arg = arg, .partial = BUF_INIT(MANIFEST_LINE_MAX)};
}

void manifest_fini(struct manifest *m)
{
	buf_fini(&m->partial);
}

/* Cuts what follows the last comma off *s. */
static int cut_last(struct slice *s, struct slice *part)
{
	ptrdiff_t at = slice_rchr(*s, ',');

	if (at < 0)
		return -ERR_PARSE;
	*part = slice_trim(slice_of(s->p + at + 1, s->n - (size_t)at - 1));
	s->n = (size_t)at;
	return 0;
}

static int parse_digest(struct slice hex, char out[65], struct err *err)
{
	uint8_t bytes[32];

	if (hex.n != 2 * sizeof(bytes) || hex_parse(hex, bytes, sizeof(bytes)) != 0)
		return err_set(err, -ERR_PARSE, "the digest is not a sha256 of 64 hex digits");
	hex_of(bytes, sizeof(bytes), out);
	return 0;
}

static int parse_line(struct manifest *m, struct slice line, struct err *err)
{
	struct slice path = line, digest, size;
	struct manifest_entry e;
	struct err why;
	int rc;

	if (cut_last(&path, &size) != 0 || cut_last(&path, &digest) != 0)
		return err_set(err, -ERR_PARSE, "it is not of the form path,sha256,size");
	path = slice_trim(path);
	if (url_relpath_check(path, &why) != 0)
		return err_set(err, -ERR_PARSE, "%s", why.msg);
	rc = parse_digest(digest, e.sha256, err);
	if (rc != 0)
		return rc;
	if (slice_to_i64(size, INT64_MAX, &e.size) != 0)
		return err_set(err, -ERR_PARSE, "the size is not a number of bytes");
	e.path = slice_dup(path);
	if (e.path == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a line of the manifest");
	rc = m->take(m->arg, &e);
	free(e.path);
	m->entries++;
	return rc;
}

static int take_line(struct manifest *m, struct slice line, struct err *err)
{
	m->line++;
	if (line.n > MANIFEST_LINE_MAX)
		return err_set(err, -ERR_PARSE, "it is longer than %d bytes", MANIFEST_LINE_MAX);
	line = slice_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return 0;
	return parse_line(m, line, err);
}

/* Keeps the begin of a line. The bound holds before its end is seen: an endless line must not fill the memory. */
static int keep(struct manifest *m, struct slice part, struct err *err)
{
	if (part.n > MANIFEST_LINE_MAX - m->partial.n) {
		m->line++;
		return err_set(err, -ERR_PARSE, "it is longer than %d bytes", MANIFEST_LINE_MAX);
	}
	if (buf_add(&m->partial, part.p, part.n) != 0)
		return err_set(err, -ERR_NOMEM, "no memory for a line of the manifest");
	return 0;
}

static int take_partial(struct manifest *m, struct err *err)
{
	int rc = take_line(m, buf_slice(&m->partial), err);

	buf_reset(&m->partial);
	return rc;
}

int manifest_feed(struct manifest *m, const char *p, size_t n, struct err *err)
{
	struct slice rest = slice_of(p, n);
	int rc = 0;

	while (rc == 0 && rest.n > 0) {
		ptrdiff_t end = slice_chr(rest, '\n');
		struct slice part = slice_of(rest.p, end < 0 ? rest.n : (size_t)end);

		rest = slice_of(rest.p + part.n + (end >= 0), rest.n - part.n - (end >= 0));
		if (end >= 0 && m->partial.n == 0) {
			rc = take_line(m, part, err);
			continue;
		}
		rc = keep(m, part, err);
		if (rc == 0 && end >= 0)
			rc = take_partial(m, err);
	}
	return rc;
}

int manifest_end(struct manifest *m, struct err *err)
{
	return m->partial.n > 0 ? take_partial(m, err) : 0;
}
