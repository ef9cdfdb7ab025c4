/* filelists.xml and other.xml: the same comes out however the bytes were cut into pieces; and what comes out, in an element again, is read as the same. */
#include "fuzz.h"

#include "base/check.h"
#include "formats/rpm/lists.h"

#include <stdlib.h>

static int note(void *arg, struct slice pkgid, struct slice inside)
{
	return buf_addf(arg, "<package pkgid=\"%.*s\">%.*s</package>", SLICE_ARG(pkgid), SLICE_ARG(inside));
}

static int parse(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct err err = ERR_INIT;
	struct lists l;
	int rc = 0;

	buf_adds(out, "<filelists>");
	BUG(lists_init(&l, "filelists", note, out) != 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = lists_feed(&l, p + at, MIN(piece, n - at), &err);
	if (rc == 0)
		rc = lists_end(&l, &err);
	BUG(rc != 0 && ((rc != -ERR_PARSE && rc != -ERR_LIMIT) || err.code != rc));
	lists_fini(&l);
	buf_adds(out, "</filelists>");
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), cut = BUF_INIT(0), again = BUF_INIT(0);
	size_t piece = size > 0 ? 1 + data[0] % 97 : 1;
	int rc = parse((const char *)data, size, size + 1, &whole);

	BUG((parse((const char *)data, size, piece, &cut) == 0) != (rc == 0));
	BUG(rc == 0 && !slice_eq(buf_slice(&whole), buf_slice(&cut)));
	if (rc == 0) {
		/* Prefixes of attributes may lack their declaration now, which does not matter here: namespaces are not looked at. */
		BUG(parse(whole.p, whole.n, whole.n, &again) != 0);
		BUG(!slice_eq(buf_slice(&whole), buf_slice(&again)));
	}
	buf_fini(&whole);
	buf_fini(&cut);
	buf_fini(&again);
	return 0;
}
