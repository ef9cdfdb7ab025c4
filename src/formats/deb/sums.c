/* The lists of an installer's files, as sha256sum writes them. */
#include "formats/deb/sums.h"

#include "base/digest.h"
#include "base/url.h"

static int parse_line(struct slice line, int64_t number, int (*take)(void *arg, struct slice path, const char *sha256),
	void *arg, struct err *err)
{
	char hex[2 * 32 + 1];
	struct slice path;
	uint8_t bytes[32];
	struct err why;

	if (line.n < 66 || hex_parse(slice_of(line.p, 64), bytes, sizeof(bytes)) != 0 || line.p[64] != ' ' ||
		(line.p[65] != ' ' && line.p[65] != '*'))
		return err_set(err, -ERR_PARSE, "line %lld is not a sha256, two blanks, and a path", (long long)number);
	path = slice_of(line.p + 66, line.n - 66);
	while (slice_starts(path, SLICE("./")))
		path = slice_of(path.p + 2, path.n - 2);
	if (url_relpath_check(path, &why) != 0)
		return err_set(err, -ERR_PARSE, "line %lld has a bad path: %s", (long long)number, why.msg);
	return take(arg, path, hex_of(bytes, sizeof(bytes), hex));
}

int sums_parse(
	struct slice text, int (*take)(void *arg, struct slice path, const char *sha256), void *arg, struct err *err)
{
	int64_t number = 0;
	int rc = 0;

	while (rc == 0 && text.p != NULL) {
		struct slice line = slice_cut(&text, '\n');

		number++;
		if (line.n > 0)
			rc = parse_line(line, number, take, arg, err);
	}
	return rc;
}
