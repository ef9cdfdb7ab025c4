/* Compressed metadata: the same comes out however the bytes were cut into pieces, and never more than a bomb may. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/check.h"
#include "sync/unpack.h"

static int note(void *arg, const char *p, size_t n)
{
	BUG(n == 0);
	/* What is compared is bounded; the rest only counts. */
	return ((struct buf *)arg)->n < (1u << 20) ? buf_add(arg, p, n) : 0;
}

static int run(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct unpack *u = NULL;
	struct err err = ERR_INIT;
	int rc = unpack_new(note, out, &u);

	BUG(rc != 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = unpack_feed(u, p + at, MIN(piece, n - at), &err);
	if (rc == 0)
		rc = unpack_end(u, &err);
	BUG(rc != 0 && err.code != rc);
	unpack_free(&u);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), cut = BUF_INIT(0);
	size_t piece = size > 0 ? 1 + data[size - 1] % 61 : 1;
	int rc = run((const char *)data, size, size + 1, &whole);

	BUG((run((const char *)data, size, piece, &cut) == 0) != (rc == 0));
	BUG(rc == 0 && !slice_eq(buf_slice(&whole), buf_slice(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
