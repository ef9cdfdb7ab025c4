/* Heads of upstream responses: whatever comes, what is passed on to clients is well formed and bounded, and a part is the
 * part that was asked for. */
#include "fuzz.h"

#include "base/check.h"
#include "fetch/head.h"

#define ASKED_FROM 3

static void check_field(const struct fetch_header *f)
{
	BUG(f->name.n == 0 || slice_chr(f->name, ':') >= 0 || slice_chr(f->name, ' ') >= 0);
	for (size_t i = 0; i < f->name.n; i++)
		BUG((unsigned char)f->name.p[i] <= 0x20 || (unsigned char)f->name.p[i] >= 0x7f);
	for (size_t i = 0; i < f->value.n; i++)
		BUG(((unsigned char)f->value.p[i] < 0x20 && f->value.p[i] != '\t') || f->value.p[i] == 0x7f);
	BUG(slice_eq_nocase(f->name, SLICE("Connection")) || slice_eq_nocase(f->name, SLICE("Transfer-Encoding")));
}

static void check_head(struct head *h, int64_t from)
{
	struct fetch_head out = {.status = -1};
	struct err err = ERR_INIT;
	int rc = head_get(h, from, SLICE("http://x/"), &out, &err);

	BUG(rc != 0 && rc != -ERR_UPSTREAM && rc != -ERR_NOMEM);
	BUG(rc != 0 && (out.status != -1 || err.code != rc));
	if (rc != 0)
		return;
	BUG(out.status < 200 || out.status > 999 || out.length < -1 || out.total < -1);
	BUG(out.header_count > HEAD_FIELDS_MAX);
	if (out.status == 206)
		BUG(from <= 0 || out.range_start != from || out.length < 1 ||
			(out.total >= 0 && out.total - from < out.length));
	else
		BUG(out.range_start != 0);
	for (size_t i = 0; i < out.header_count; i++)
		check_field(&out.headers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size);
	struct head h = {.text = BUF_INIT(HEAD_BYTES_MAX)};
	struct err err = ERR_INIT;
	int rc = 0;

	while (rc == 0 && rest.p != NULL) {
		rc = head_line(&h, slice_cut(&rest, '\n'), &err);
		BUG(rc != 0 && rc != 1 && rc != -ERR_UPSTREAM && rc != -ERR_NOMEM);
		BUG(h.count > HEAD_FIELDS_MAX || h.text.n > HEAD_BYTES_MAX);
	}
	if (rc == 1) {
		check_head(&h, 0);
		check_head(&h, ASKED_FROM);
	}
	head_fini(&h);
	return 0;
}
