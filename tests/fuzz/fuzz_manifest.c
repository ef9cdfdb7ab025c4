/* The manifest of a file repository: the same comes out however the bytes were cut into pieces; what comes out is safe to
 * serve and survives being written and read again. */
#include "fuzz.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/file/manifest.h"

#include <stdlib.h>

static int note(void *arg, const struct manifest_entry *e)
{
	BUG(url_relpath_check(slice_str(e->path), NULL) != 0);
	BUG(strlen(e->sha256) != 64 || e->size < 0);
	/* A path that begins so would be a comment in a manifest of ours; it cannot come out of one of theirs. */
	BUG(e->path[0] == '#');
	BUG(buf_addf(arg, "%s,%s,%lld\n", e->path, e->sha256, (long long)e->size) != 0);
	return 0;
}

static int parse(const char *p, size_t n, size_t piece, struct buf *out, int64_t *line)
{
	struct manifest m;
	struct err err = ERR_INIT;
	int rc = 0;

	manifest_init(&m, note, out);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = manifest_feed(&m, p + at, MIN(piece, n - at), &err);
	if (rc == 0)
		rc = manifest_end(&m, &err);
	BUG(rc != 0 && (rc != -ERR_PARSE || err.code != rc));
	*line = m.line;
	manifest_fini(&m);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), cut = BUF_INIT(0), again = BUF_INIT(0);
	size_t piece = size > 0 ? 1 + data[0] % 97 : 1;
	int64_t line, other;
	int rc = parse((const char *)data, size, size + 1, &whole, &line);

	BUG(parse((const char *)data, size, piece, &cut, &other) != rc || other != line);
	BUG(!slice_eq(buf_slice(&whole), buf_slice(&cut)));
	BUG(parse(whole.p, whole.n, whole.n + 1, &again, &other) != 0);
	BUG(!slice_eq(buf_slice(&whole), buf_slice(&again)));
	buf_fini(&whole);
	buf_fini(&cut);
	buf_fini(&again);
	return 0;
}
