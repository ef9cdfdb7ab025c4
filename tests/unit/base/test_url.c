#include "base/url.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void request_paths_decoded(void **state)
{
	static const struct {
		const char *raw, *want;
	} rows[] = {
		{"/", "/"},
		{"/a", "/a"},
		{"/a/", "/a/"},
		{"/a/b.c", "/a/b.c"},
		{"/%61%2Db", "/a-b"},
		{"/a%20b", "/a b"},
		{"/a+b", "/a+b"},
		{"/a%2Bb", "/a+b"},
		{"/%c3%a4", "/\xc3\xa4"},
		{"/\xc3\xa4", "/\xc3\xa4"},
		{"/\xc3%a4", "/\xc3\xa4"},
		{"/a%3Fb%23c", "/a?b#c"},
		{"/...", "/..."},
		{"/.a/..b/c../d.", "/.a/..b/c../d."},
		{"/%2e%2e%2e", "/..."},
		{"/a:b@c;d=e,f!$&'()*", "/a:b@c;d=e,f!$&'()*"},
		/* once: what looks like an escape after decoding stays as it is */
		{"/%252e%252e/x", "/%2e%2e/x"},
		{"/%252F", "/%2F"},
		{"/%25", "/%"},
		{"/%2500", "/%00"},
		{"/~user/libstdc++-12.rpm", "/~user/libstdc++-12.rpm"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[64];
		size_t n = 0;

		assert_int_equal(url_path_decode(slice_str(rows[i].raw), out, sizeof(out), &n, NULL), 0);
		assert_string_equal(out, rows[i].want);
		assert_int_equal(n, strlen(rows[i].want));
	}
}

static void request_paths_refused(void **state)
{
	static const struct {
		const char *raw, *reason;
	} rows[] = {
		{"", "start with '/'"},
		{"a", "start with '/'"},
		{"*", "start with '/'"},
		{"%2Fa", "start with '/'"},
		{"http://h/a", "start with '/'"},
		{"/%", "malformed"},
		{"/%4", "malformed"},
		{"/%4g", "malformed"},
		{"/%g4", "malformed"},
		{"/%%41", "malformed"},
		{"/%u0041", "malformed"},
		{"/a%0", "malformed"},
		{"/%+1", "malformed"},
		{"/%00", "control"},
		{"/a%00.rpm", "control"},
		{"/%0a", "control"},
		{"/%0D%0aX", "control"},
		{"/%1f", "control"},
		{"/%7F", "control"},
		{"/a\tb", "control"},
		{"/a\x7f", "control"},
		{"/a\\b", "backslash"},
		{"/a%5cb", "backslash"},
		{"/..%5c..", "backslash"},
		{"/%2F", "encoded slash"},
		{"/a%2fb", "encoded slash"},
		{"/..%2f..%2fetc", "encoded slash"},
		{"//", "empty"},
		{"//a", "empty"},
		{"/a//b", "empty"},
		{"/a//", "empty"},
		{"/.", "\"..\""},
		{"/..", "\"..\""},
		{"/./", "\"..\""},
		{"/../a", "\"..\""},
		{"/a/..", "\"..\""},
		{"/a/../b", "\"..\""},
		{"/a/./b", "\"..\""},
		{"/%2e", "\"..\""},
		{"/%2E%2e/a", "\"..\""},
		{"/.%2e", "\"..\""},
		{"/a/%2e./", "\"..\""},
		{"/%ff", "UTF-8"},
		{"/\xff", "UTF-8"},
		{"/%c0%ae%c0%ae/a", "UTF-8"}, /* overlong ".." */
		{"/%c0%af", "UTF-8"},         /* overlong slash */
		{"/%e0%80%af", "UTF-8"},
		{"/%ed%a0%80", "UTF-8"},
		{"/%c3", "UTF-8"},
		{"/%c3/%a4", "UTF-8"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		char out[64];
		size_t n = 99;

		assert_int_equal(url_path_decode(slice_str(rows[i].raw), out, sizeof(out), &n, &e), -ERR_INVAL);
		assert_non_null(strstr(e.msg, rows[i].reason));
		assert_int_equal(n, 99);
	}
	assert_int_equal(url_path_decode(slice_of("/a\0b", 4), (char[8]){0}, 8, &(size_t){0}, NULL), -ERR_INVAL);
	assert_int_equal(url_path_decode(SLICE_NULL, (char[8]){0}, 8, &(size_t){0}, NULL), -ERR_INVAL);
}

/* Every byte, raw and escaped, alone in a segment: only these are refused. */
static void every_byte_in_a_path(void **state)
{
	for (int c = 0; c < 256; c++) {
		char raw[4] = {'/', 'a', (char)c, 'b'}, escaped[16], out[8];
		bool bad = c < 0x20 || c == 0x7f || c == '\\' || c >= 0x80;
		size_t n;

		snprintf(escaped, sizeof(escaped), "/a%%%02xb", (unsigned)c);
		assert_int_equal(url_path_decode(slice_str(escaped), out, sizeof(out), &n, NULL),
			bad || c == '/' ? -ERR_INVAL : 0);
		assert_int_equal(url_path_decode(slice_of(raw, 4), out, sizeof(out), &n, NULL),
			bad || c == '%' ? -ERR_INVAL : 0);
	}
}

static void decoding_needs_room_for_the_nul(void **state)
{
	char out[8];
	size_t n;

	for (size_t cap = 0; cap <= sizeof(out); cap++) {
		memset(out, 'x', sizeof(out));
		assert_int_equal(url_path_decode(SLICE("/%61bc"), out, cap, &n, NULL), cap < 5 ? -ERR_LIMIT : 0);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 'x');
	}
	memcpy(out, "/%61%62", 8);
	assert_int_equal(url_path_decode(slice_of(out, 7), out, sizeof(out), &n, NULL), 0); /* in place */
	assert_string_equal(out, "/ab");
}

static void relative_paths(void **state)
{
	static const char *const good[] = {"a", "a/b", "a b", "%2e%2e/a", "repodata/repomd.xml", "...", ".hidden",
		"a..b", "\xc3\xa4", "a?b#c", "a:b", "C:/x", "~", "a%00"};
	static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b",
		"a/../b", "a\\b", "..\\a", "a\nb", "a\x7f", "\x01", "\xff", "a/\xc0\xae\xc0\xae/b", "//a"};
	char big[2049];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(url_relpath_check(slice_str(good[i]), NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(url_relpath_check(slice_str(bad[i]), &e), -ERR_INVAL);
		assert_true(strlen(e.msg) > 10);
	}
	assert_int_equal(url_relpath_check(slice_of("a\0", 2), NULL), -ERR_INVAL);
	memset(big, 'a', sizeof(big));
	assert_int_equal(url_relpath_check(slice_of(big, 2048), NULL), 0);
	assert_int_equal(url_relpath_check(slice_of(big, 2049), NULL), -ERR_INVAL);
}

static void encoding(void **state)
{
	static const struct {
		const char *text, *keep, *want;
	} rows[] = {
		{"", NULL, ""},
		{"azAZ09-._~", NULL, "azAZ09-._~"},
		{"a/b", NULL, "a%2Fb"},
		{"a/b c", "/", "a/b%20c"},
		{"a+b%", "/", "a%2Bb%25"},
		{"?#&=", "", "%3F%23%26%3D"},
		{"\xc3\xa4", "/", "%C3%A4"},
		{"\xff\n", NULL, "%FF%0A"},
	};
	struct buf b = BUF_INIT(0), small = BUF_INIT(4);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		assert_int_equal(url_encode(&b, slice_str(rows[i].text), rows[i].keep), 0);
		assert_int_equal(b.n, strlen(rows[i].want));
		assert_memory_equal(b.p, rows[i].want, b.n);
	}
	buf_reset(&b);
	assert_int_equal(url_encode(&b, slice_of("\0", 1), "/"), 0); /* keep ends with a NUL that is not in it */
	assert_string_equal(b.p, "%00");
	assert_int_equal(url_encode(&small, SLICE("\n\n"), NULL), -ERR_LIMIT);
	buf_fini(&b);
	buf_fini(&small);
}

/* A link in a generated page must lead to what it names. */
static void encoded_paths_decode_to_themselves(void **state)
{
	static const char *const paths[] = {
		"a/b", "a b", "100%", "%2e%2e/x", "a+b", "\xc3\xa4?x=1#y", "a:b;c", "\"<&>'"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct buf b = BUF_INIT(0);
		char out[64];
		size_t n;

		buf_adds(&b, "/");
		assert_int_equal(url_encode(&b, slice_str(paths[i]), "/"), 0);
		assert_int_equal(url_path_decode(buf_slice(&b), out, sizeof(out), &n, NULL), 0);
		assert_string_equal(out + 1, paths[i]);
		buf_fini(&b);
	}
}

static bool same(struct slice s, const char *want)
{
	return want == NULL ? s.p == NULL : s.p != NULL && slice_eq(s, slice_str(want));
}

static void urls_parsed(void **state)
{
	static const struct {
		const char *url, *scheme, *userinfo, *host, *port, *path, *query;
	} rows[] = {
		{"http://h", "http", NULL, "h", "", "", NULL},
		{"https://h/", "https", NULL, "h", "", "/", NULL},
		{"HTTP://H.example:8080/A/b?x=1&y", "HTTP", NULL, "H.example", "8080", "/A/b", "x=1&y"},
		{"http://h:/", "http", NULL, "h", "", "/", NULL},
		{"http://h?x", "http", NULL, "h", "", "", "x"},
		{"http://h?", "http", NULL, "h", "", "", ""},
		{"http://h/?a?b/c@d:e", "http", NULL, "h", "", "/", "a?b/c@d:e"},
		{"http://h/a#frag?x", "http", NULL, "h", "", "/a", NULL},
		{"http://h/a?x#frag", "http", NULL, "h", "", "/a", "x"},
		{"http://h#f", "http", NULL, "h", "", "", NULL},
		{"http://u:p@h:1/", "http", "u:p", "h", "1", "/", NULL},
		{"http://@h/", "http", "", "h", "", "/", NULL},
		{"http://u%40x@h/a@b", "http", "u%40x", "h", "", "/a@b", NULL},
		{"http://127.0.0.1:65535/", "http", NULL, "127.0.0.1", "65535", "/", NULL},
		{"http://[::1]/", "http", NULL, "::1", "", "/", NULL},
		{"http://u@[2001:db8::1.2.3.4]:443/x", "http", "u", "2001:db8::1.2.3.4", "443", "/x", NULL},
		{"http://h/\xc3\xa4", "http", NULL, "h", "", "/\xc3\xa4", NULL},
		{"file:///srv/a b", "file", NULL, "", "", "/srv/a b", NULL},
		{"file:///srv/a?b#c%20", "file", NULL, "", "", "/srv/a?b#c%20", NULL},
		{"file://localhost/srv", "file", NULL, "localhost", "", "/srv", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct url u;

		assert_int_equal(url_parse(slice_str(rows[i].url), &u, NULL), 0);
		assert_true(same(u.scheme, rows[i].scheme));
		assert_true(same(u.userinfo, rows[i].userinfo));
		assert_true(same(u.host, rows[i].host));
		assert_true(slice_eq(u.port, slice_str(rows[i].port)));
		assert_true(same(u.path, rows[i].path));
		assert_true(same(u.query, rows[i].query));
	}
}

static void urls_refused(void **state)
{
	static const struct {
		const char *url, *reason;
	} rows[] = {
		{"", "no scheme"},
		{"h/a", "no scheme"},
		{"/a", "no scheme"},
		{"//h/a", "no scheme"},
		{"http:/h", "no scheme"},
		{"http:h", "no scheme"},
		{"://h", "no scheme"},
		{"ftp://h/", "scheme other"},
		{"gopher://h/", "scheme other"},
		{"httpx://h/", "scheme other"},
		{"javascript://h/", "scheme other"},
		{" http://h/", "scheme other"},
		{"http://", "no host"},
		{"http:///a", "no host"},
		{"http://:80/", "no host"},
		{"http://u@/", "no host"},
		{"http://?x", "no host"},
		{"http://h:0/", "bad port"},
		{"http://h:65536/", "bad port"},
		{"http://h:x/", "bad port"},
		{"http://h:-1/", "bad port"},
		{"http://h:80:80/", "bad port"},
		{"http://h:99999999999999999999/", "bad port"},
		{"http://a b/", "space"},
		{"http://h/a b", "space"},
		{"http://h/a\r\nHost: x", "control"},
		{"http://h/\x01", "control"},
		{"file:///a\nb", "control"},
		{"http://h\\@x/", "backslash"},
		{"http://h/a\\b", "backslash"},
		{"http://a@b@h/", "'@'"},
		{"http://h%2e/", "no name has"},
		{"http://h\xc3\xa4/", "no name has"},
		{"http://h,x/", "no name has"},
		{"http://[::1/", "IPv6"},
		{"http://[]/", "IPv6"},
		{"http://[1.2.3.4]/", "IPv6"},
		{"http://[::g]/", "IPv6"},
		{"http://[fe80::1%25eth0]/", "IPv6"},
		{"http://[::1]x/", "between"},
		{"http://::1/", "no host"},
		{"http://h/\xff", "UTF-8"},
		{"file://host/a", "file:"},
		{"file://", "no path"},
		{"file://localhost", "no path"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct url u = {.scheme = SLICE("untouched")};

		assert_int_equal(url_parse(slice_str(rows[i].url), &u, &e), -ERR_INVAL);
		assert_non_null(strstr(e.msg, rows[i].reason));
		assert_true(same(u.scheme, "untouched"));
	}
	assert_int_equal(url_parse(slice_of("http://h/\0", 10), &(struct url){0}, NULL), -ERR_INVAL);
}

static void origins(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"http://h/a", "http://h/b?c", true},
		{"http://h", "HTTP://H:80/", true},
		{"https://h", "https://h:443/", true},
		{"https://h", "https://h:0443/", true},
		{"https://u:p@h/", "https://h/", true},
		{"http://h", "https://h", false},
		{"http://h:443", "https://h:443", false},
		{"http://h", "http://h:81", false},
		{"http://h", "http://h.example", false},
		{"http://h.example", "http://h.example.evil", false},
		{"http://h", "http://x@h2", false},
		{"http://h@evil/", "http://h/", false},
		{"http://[::1]", "http://[::1]:80", true},
		{"http://h", "h", false},
		{"nonsense", "nonsense", false},
		{"http://a@b@h/", "http://a@b@h/", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(url_same_origin(slice_str(rows[i].a), slice_str(rows[i].b)), rows[i].same);
		assert_int_equal(url_same_origin(slice_str(rows[i].b), slice_str(rows[i].a)), rows[i].same);
	}
}

static void origins_as_text(void **state)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{"HTTP://User:secret@Host.Example/a?b", "http://host.example:80"},
		{"https://h", "https://h:443"},
		{"https://h:8443/a", "https://h:8443"},
		{"http://[::1]:8080/", "http://[::1]:8080"},
		{"file:///srv/a", NULL},
		{"nonsense", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[URL_ORIGIN_MAX] = "";

		assert_int_equal(url_origin(slice_str(rows[i].url), out), rows[i].want != NULL ? 0 : -ERR_INVAL);
		assert_string_equal(out, rows[i].want != NULL ? rows[i].want : "");
	}
}

static void siblings(void **state)
{
	static const struct {
		const char *manifest, *relpath, *want;
	} rows[] = {
		{"http://h/d/PULP_MANIFEST", "a.iso", "http://h/d/a.iso"},
		{"http://h/d/", "a.iso", "http://h/d/a.iso"},
		{"http://h/M", "sub/a b%.iso", "http://h/sub/a%20b%25.iso"},
		{"http://h", "a", "http://h/a"},
		{"http://u:p@h:81", "a", "http://u:p@h:81/a"},
		{"http://h:", "a", "http://h:/a"},
		{"http://[::1]", "a", "http://[::1]/a"},
		{"http://[::1]:8080?t=1", "a", "http://[::1]:8080/a?t=1"},
		{"http://h?t=/x/y", "a", "http://h/a?t=/x/y"},
		{"http://h/d/M?token=a/b&c=%20", "x:y/z?#", "http://h/d/x:y/z%3F%23?token=a/b&c=%20"},
		{"http://h/d/M#f", "a", "http://h/d/a"},
		{"http://h/d%2Fe/M", "a", "http://h/d%2Fe/a"},
		{"file:///srv/x?y/M", "a b?c%.iso", "file:///srv/x?y/a b?c%.iso"},
		{"file:///M", "a", "file:///a"},
	};
	static const char *const bad[] = {"", "/etc/passwd", "../a", "a/../b", "a//b", "a\r\nb", "\xff", "a\\b"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(0);
		struct url u;

		assert_int_equal(url_sibling(slice_str(rows[i].manifest), slice_str(rows[i].relpath), &b), 0);
		assert_string_equal(b.p, rows[i].want);
		assert_int_equal(url_parse(buf_slice(&b), &u, NULL), 0);
		buf_fini(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf b = BUF_INIT(0);

		assert_int_equal(url_sibling(SLICE("http://h/d/M"), slice_str(bad[i]), &b), -ERR_INVAL);
		assert_int_equal(b.n, 0);
		assert_int_equal(url_sibling(SLICE("ftp://h/d/M"), SLICE("a"), &b), -ERR_INVAL);
	}
}

static void secrets_stay_out_of_logs(void **state)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{"http://h/a", "http://h/a"},
		{"http://h/pkg@1.2", "http://h/pkg@1.2"},
		{"https://user:secret@h:1/a", "https://h:1/a"},
		{"http://h/a?token=secret&x=&secret&y=secret=secret", "http://h/a?token=***&x=***&***&y=***"},
		{"http://h?secret", "http://h?***"},
		{"http://h/a#secret", "http://h/a"},
		{"http://h/a?k=secret#secret", "http://h/a?k=***"},
		{"file:///srv/a?b@c", "file:///srv/a?b@c"},
		/* not URLs to us, but somebody typed a password into them */
		{"http:/user:secret@h/a", "***@h/a"},
		{"http://user:sec/ret@h/a", "***@h/a"},
		{"http://user:sec?ret@h/a", "***@h/a"},
		{"http://a@secret@h/a?t=secret", "***@h/a?t=***"},
		{"user:secret@h", "***@h"},
		{"ftp://user:secret@h/a", "***@h/a"},
		{"nonsense", "nonsense"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(0);

		assert_int_equal(url_redact(slice_str(rows[i].url), &b), 0);
		assert_string_equal(b.p, rows[i].want);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_paths_decoded),
		cmocka_unit_test(request_paths_refused),
		cmocka_unit_test(every_byte_in_a_path),
		cmocka_unit_test(decoding_needs_room_for_the_nul),
		cmocka_unit_test(relative_paths),
		cmocka_unit_test(encoding),
		cmocka_unit_test(encoded_paths_decode_to_themselves),
		cmocka_unit_test(urls_parsed),
		cmocka_unit_test(urls_refused),
		cmocka_unit_test(origins),
		cmocka_unit_test(origins_as_text),
		cmocka_unit_test(siblings),
		cmocka_unit_test(secrets_stay_out_of_logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
