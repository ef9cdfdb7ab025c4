/* Request paths, paths from metadata, and URLs. The properties are those on which the services above rely: a path that
 * passed names one thing below its root, and nothing secret is left in what a log would show. */
#include "fuzz.h"

#include "base/check.h"
#include "base/url.h"

#include <stdlib.h>

/* Written apart from the code under test: a byte-wise look, without slices and cuts. */
static void assert_harmless(const char *path, size_t n)
{
	size_t start = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && path[i] != '/') {
			BUG((unsigned char)path[i] < 0x20 || path[i] == 0x7f || path[i] == '\\');
			continue;
		}
		BUG(i == start && i < n); /* an empty segment that is not the last one */
		BUG(i - start == 1 && path[start] == '.');
		BUG(i - start == 2 && path[start] == '.' && path[start + 1] == '.');
		start = i + 1;
	}
	BUG(!slice_is_utf8(slice_of(path, n)));
}

/* Encoded and decoded again, `decoded` is itself. */
static void assert_round_trip(struct slice decoded)
{
	struct buf b = BUF_INIT(0);
	char *out = malloc(decoded.n + 1);
	size_t n;

	BUG(out == NULL);
	BUG(url_encode(&b, decoded, "/") != 0);
	BUG(url_path_decode(buf_slice(&b), out, decoded.n + 1, &n, NULL) != 0);
	BUG(!slice_eq(slice_of(out, n), decoded));
	free(out);
	buf_fini(&b);
}

static void try_request_path(struct slice s)
{
	char *out = malloc(s.n + 1);
	struct err err = ERR_INIT;
	size_t n = 0;

	BUG(out == NULL);
	if (url_path_decode(s, out, s.n + 1, &n, &err) == 0) {
		BUG(n == 0 || n > s.n || out[0] != '/' || out[n] != '\0' || strlen(out) != n);
		assert_harmless(out + 1, n - 1);
		assert_round_trip(slice_of(out, n));
	} else {
		BUG(err.code != -ERR_INVAL || err.msg[0] == '\0'); /* out was large enough */
	}
	free(out);
}

static void try_relative_path(struct slice s)
{
	struct buf b = BUF_INIT(0);
	bool good = url_relpath_check(s, NULL) == 0;

	if (good) {
		BUG(s.n == 0 || s.p[s.n - 1] == '/');
		assert_harmless(s.p, s.n);
		buf_adds(&b, "/");
		buf_add_slice(&b, s);
		assert_round_trip(buf_slice(&b));
		buf_reset(&b);
	}
	BUG((url_sibling(SLICE("https://u:p@h:1/dir/MANIFEST?t=1"), s, &b) == 0) != good);
	BUG(good && !slice_starts(buf_slice(&b), SLICE("https://u:p@h:1/dir/")));
	BUG(good && !slice_ends(buf_slice(&b), SLICE("?t=1")));
	buf_fini(&b);
}

static void assert_inside(struct slice part, struct slice whole)
{
	BUG(part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n));
}

static void try_parsed(struct slice s, const struct url *u)
{
	bool file = slice_eq_nocase(u->scheme, SLICE("file"));
	struct buf b = BUF_INIT(0);
	struct url other;

	assert_inside(u->scheme, s);
	assert_inside(u->userinfo, s);
	assert_inside(u->host, s);
	assert_inside(u->port, s);
	assert_inside(u->path, s);
	assert_inside(u->query, s);
	BUG(u->path.n > 0 && u->path.p[0] != '/');
	BUG(!file && u->host.n == 0);
	BUG(!url_same_origin(s, s));

	BUG(url_sibling(s, SLICE("x/y z"), &b) != 0);
	BUG(url_parse(buf_slice(&b), &other, NULL) != 0);
	BUG(!url_same_origin(s, buf_slice(&b)));
	BUG(!slice_eq(other.userinfo, u->userinfo) || !slice_eq(other.query, u->query));
	BUG(!slice_ends(other.path, file ? SLICE("/x/y z") : SLICE("/x/y%20z")));

	buf_reset(&b);
	BUG(url_redact(s, &b) != 0);
	BUG(url_parse(buf_slice(&b), &other, NULL) != 0);
	BUG(other.userinfo.p != NULL || !url_same_origin(s, buf_slice(&b)));
	BUG(!slice_eq(other.path, u->path));
	buf_fini(&b);
}

static void try_url(struct slice s)
{
	struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct url u;

	if (url_parse(s, &u, &err) == 0) {
		try_parsed(s, &u);
	} else {
		BUG(err.code != -ERR_INVAL || err.msg[0] == '\0');
		BUG(url_same_origin(s, s));
		BUG(url_redact(s, &b) != 0);
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of((const char *)data, size);

	try_request_path(s);
	try_relative_path(s);
	try_url(s);
	return 0;
}
