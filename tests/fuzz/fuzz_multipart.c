/* A multipart form: "BOUNDARY\nBODY". However the body is cut, the parts are the same, and so is the verdict. */
#include "fuzz.h"

#include "api/multipart.h"
#include "base/buf.h"
#include "base/check.h"

struct seen {
	struct buf text;
	bool open;
};

static int begin(void *arg, struct slice name, struct slice filename, struct err *err)
{
	struct seen *s = arg;

	BUG(s->open || name.n == 0);
	s->open = true;
	buf_adds(&s->text, "<");
	buf_add_slice(&s->text, name);
	buf_adds(&s->text, filename.p != NULL ? "|f:" : "|:");
	return 0;
}

static int data(void *arg, struct slice piece, struct err *err)
{
	struct seen *s = arg;

	BUG(!s->open || piece.n == 0);
	return buf_add_slice(&s->text, piece);
}

static int end(void *arg, struct err *err)
{
	struct seen *s = arg;

	BUG(!s->open);
	s->open = false;
	return buf_adds(&s->text, ">");
}

static const struct multipart_ops ops = {begin, data, end};

static int read_form(struct slice type, struct slice body, size_t step, struct seen *s)
{
	struct multipart *m = NULL;
	int rc = multipart_new(type, &ops, s, &m, NULL);

	for (size_t at = 0; rc == 0 && at < body.n; at += step)
		rc = multipart_feed(m, body.p + at, MIN(step, body.n - at), NULL);
	if (rc == 0)
		rc = multipart_end(m, NULL);
	multipart_free(&m);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice body = slice_of((const char *)bytes, size), boundary = slice_cut(&body, '\n');
	struct seen whole = {.text = BUF_INIT(0)}, pieces = {.text = BUF_INIT(0)};
	struct buf type = BUF_INIT(0);
	int a, b;

	if (body.p == NULL)
		return 0;
	buf_adds(&type, "multipart/form-data; boundary=");
	buf_add_slice(&type, boundary);
	a = read_form(buf_slice(&type), body, size, &whole);
	b = read_form(buf_slice(&type), body, 1 + size % 7, &pieces);
	/* which limit is met first depends on the cut */
	BUG((a == 0) != (b == 0));
	BUG(a == 0 && !slice_eq(buf_slice(&whole.text), buf_slice(&pieces.text)));
	buf_fini(&type);
	buf_fini(&whole.text);
	buf_fini(&pieces.text);
	return 0;
}
