/* The parser is a state and a window of what has not been consumed. The body is read as if a line end came before it, so that the first
 * boundary looks like all others.
 *
 *   PREAMBLE ── boundary ──> BOUNDARY ── line end ──> HEAD ── blank line ──> CONTENT ── boundary ──> BOUNDARY …
 *                               └── "--" ──> EPILOGUE (whatever else comes is ignored)
 *
 * Between two calls the window holds less than a boundary in PREAMBLE and CONTENT, and less than HEAD_MAX in the others. */
#include "api/multipart.h"

#include "base/buf.h"
#include "base/check.h"

#include <stdlib.h>

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */
#define PARTS_MAX 1000
#define HEAD_MAX 16384 /* of a part; a browser's is some 200 bytes */
#define PIECE_MAX ((size_t)1 << 30)

enum state { PREAMBLE, BOUNDARY, HEAD, CONTENT, EPILOGUE };

struct multipart {
	enum state state;
	const struct multipart_ops *ops;
	void *arg;
	size_t parts;
	struct buf window;
	size_t delimiter_n;
	char delimiter[4 + BOUNDARY_MAX]; /* "\r\n--" and the boundary: foreign bytes, any of them, zeros too */
};

/* The parameter of a header field: name="value" or name=value, after the first ';'. p == NULL: there is none. */
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
		rest = slice_trim(rest);
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

int multipart_new(
	struct slice content_type, const struct multipart_ops *ops, void *arg, struct multipart **out, struct err *err)
{
	struct slice boundary = parameter(content_type, SLICE("boundary"));
	struct multipart *m;

	if (boundary.n == 0 || boundary.n > BOUNDARY_MAX)
		return err_set(err, -ERR_PARSE, "there is no boundary");
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a form");
	m->ops = ops;
	m->arg = arg;
	m->window = BUF_INIT(PIECE_MAX);
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.p, boundary.n);
	m->delimiter_n = 4 + boundary.n;
	if (buf_adds(&m->window, "\r\n") < 0) {
		multipart_free(&m);
		return err_set(err, -ERR_NOMEM, "no memory for a form");
	}
	*out = m;
	return 0;
}

void multipart_free(struct multipart **pm)
{
	struct multipart *m = TAKE(*pm);

	if (m == NULL)
		return;
	buf_fini(&m->window);
	free(m);
}

static ptrdiff_t find(struct slice in, struct slice what)
{
	const char *at = in.n >= what.n ? memmem(in.p, in.n, what.p, what.n) : NULL;

	return at != NULL ? at - in.p : -1;
}

static void skip(struct slice *rest, size_t n)
{
	*rest = slice_of(rest->p + n, rest->n - n);
}

/* ---- steps. 1: go on; 0: more input is needed; negative: failed ---- */

/* What comes before the next boundary goes to `data`, if anybody wants it. */
static int step_content(struct multipart *m, struct slice *rest, bool wanted, struct err *err)
{
	ptrdiff_t at = find(*rest, slice_of(m->delimiter, m->delimiter_n));
	size_t n = at >= 0 ? (size_t)at : rest->n >= m->delimiter_n ? rest->n - m->delimiter_n + 1 : 0;
	int rc = 0;

	if (wanted && n > 0)
		rc = m->ops->data(m->arg, slice_of(rest->p, n), err);
	if (rc < 0)
		return rc;
	skip(rest, n);
	if (at < 0)
		return 0;
	skip(rest, m->delimiter_n);
	m->state = BOUNDARY;
	rc = wanted ? m->ops->end(m->arg, err) : 0;
	return rc < 0 ? rc : 1;
}

/* Behind a boundary: "--" ends the form; white space up to the line end is padding. */
static int step_boundary(struct multipart *m, struct slice *rest, struct err *err)
{
	ptrdiff_t at;

	if (rest->n < 2)
		return 0;
	if (slice_starts(*rest, SLICE("--"))) {
		m->state = EPILOGUE;
		return 1;
	}
	at = find(*rest, SLICE("\r\n"));
	if (at < 0)
		return rest->n > HEAD_MAX ? err_set(err, -ERR_PARSE, "a boundary has no end of line") : 0;
	if (slice_trim(slice_of(rest->p, (size_t)at)).n > 0)
		return err_set(err, -ERR_PARSE, "something stands behind a boundary");
	if (++m->parts > PARTS_MAX)
		return err_set(err, -ERR_LIMIT, "there are more than %d parts", PARTS_MAX);
	skip(rest, (size_t)at + 2);
	m->state = HEAD;
	return 1;
}

static int begin_part(struct multipart *m, struct slice head, struct err *err)
{
	struct slice name = SLICE_NULL, filename = SLICE_NULL, rest = head;

	while (rest.p != NULL) {
		struct slice field = slice_trim(slice_cut(&rest, '\n')), title = slice_trim(slice_cut(&field, ':'));

		if (field.p == NULL || !slice_eq_nocase(title, SLICE("Content-Disposition")))
			continue;
		name = parameter(field, SLICE("name"));
		filename = parameter(field, SLICE("filename"));
	}
	if (name.n == 0)
		return err_set(err, -ERR_PARSE, "a part has no name");
	return m->ops->begin(m->arg, name, filename, err);
}

static int step_head(struct multipart *m, struct slice *rest, struct err *err)
{
	ptrdiff_t at = find(*rest, SLICE("\r\n\r\n"));
	struct slice head;
	int rc;

	if (slice_starts(*rest, SLICE("\r\n"))) /* its end would be looked for in what it holds */
		return err_set(err, -ERR_PARSE, "a part has no head");
	if (at < 0)
		return rest->n > HEAD_MAX ? err_set(err, -ERR_LIMIT, "the head of a part is too large") : 0;
	head = slice_of(rest->p, (size_t)at);
	if (head.n > HEAD_MAX)
		return err_set(err, -ERR_LIMIT, "the head of a part is too large");
	if (find(head, slice_of(m->delimiter, m->delimiter_n)) >= 0)
		return err_set(err, -ERR_PARSE, "a part ends within its head");
	if ((rc = begin_part(m, head, err)) < 0)
		return rc;
	skip(rest, (size_t)at + 4);
	m->state = CONTENT;
	return 1;
}

static int step(struct multipart *m, struct slice *rest, struct err *err)
{
	switch (m->state) {
	case PREAMBLE:
		return step_content(m, rest, false, err);
	case BOUNDARY:
		return step_boundary(m, rest, err);
	case HEAD:
		return step_head(m, rest, err);
	case CONTENT:
		return step_content(m, rest, true, err);
	case EPILOGUE:
		break;
	}
	skip(rest, rest->n);
	return 0;
}

int multipart_feed(struct multipart *m, const char *p, size_t n, struct err *err)
{
	struct slice rest;
	int rc;

	if (n == 0)
		return 0;
	if (buf_add(&m->window, p, n) < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a form");
	rest = buf_slice(&m->window);
	do
		rc = step(m, &rest, err);
	while (rc == 1);
	if (rc < 0)
		return rc;
	memmove(m->window.p, rest.p, rest.n);
	m->window.n = rest.n;
	return 0;
}

int multipart_end(struct multipart *m, struct err *err)
{
	return m->state == EPILOGUE ? 0 : err_set(err, -ERR_PARSE, "the form has no end");
}
