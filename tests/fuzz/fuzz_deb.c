/* Binary packages: the same control file comes out however the bytes were cut into pieces. (Where compressed data is damaged may be
 * noticed before or after the file is there.) */
#include "fuzz.h"

#include "base/buf.h"
#include "base/check.h"
#include "formats/deb/debfile.h"

static int run(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct debfile *d = NULL;
	struct err err = ERR_INIT;
	int rc = debfile_new(&d);

	BUG(rc != 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = debfile_feed(d, p + at, MIN(piece, n - at), &err);
	BUG(rc < 0 && err.code != rc);
	BUG(rc == 1 && (debfile_control(d).n == 0 || debfile_control(d).n > DEBFILE_CONTROL_MAX));
	if (rc == 1)
		buf_add_slice(out, debfile_control(d));
	debfile_free(&d);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), cut = BUF_INIT(0);
	size_t piece = size > 0 ? 1 + data[size - 1] % 61 : 1;
	int rc = run((const char *)data, size, size + 1, &whole), cut_rc = run((const char *)data, size, piece, &cut);

	BUG(rc >= 0 && cut_rc >= 0 && rc != cut_rc);
	BUG(rc == 1 && cut_rc == 1 && !slice_eq(buf_slice(&whole), buf_slice(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
