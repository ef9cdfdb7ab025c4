/* The bounds that expat is used in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "formats/rpm/xml.h"

static int on_start(void *arg, struct xml *x, const char *name, const char **attrs)
{
	const char *v = xml_attr(attrs, "v");

	return v != NULL ? buf_addf(arg, "<%s v=%s>", name, v) : buf_addf(arg, "<%s>", name);
}

static int on_end(void *arg, struct xml *x, const char *name, struct slice text)
{
	return buf_addf(arg, "%.*s</%s>", SLICE_ARG(text), name);
}

static const struct xml_ops ops = {on_start, on_end};

static int parse(const char *p, size_t n, size_t piece, struct buf *out, struct err *err)
{
	struct xml x;
	int rc;

	*err = ERR_INIT;
	assert_int_equal(xml_init(&x, &ops, out), 0);
	rc = 0;
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = xml_feed(&x, p + at, MIN(piece, n - at), err);
	if (rc == 0)
		rc = xml_end(&x, err);
	xml_fini(&x);
	return rc;
}

static void elements_by_their_local_names(void **state)
{
	static const char text[] = "<?xml version='1.0'?><a xmlns:r='u'><r:b r:v='1'>x &amp; y</r:b>\n<c/></a>";

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		struct buf out = BUF_INIT(0);
		struct err err;

		assert_int_equal(parse(text, sizeof(text) - 1, piece, &out, &err), 0);
		assert_string_equal(out.p, "<a><b v=1>x & y</b><c></c></a>");
		buf_fini(&out);
	}
}

static const struct {
	const char *text;
	int rc;
	const char *says;
} bad[] = {
	{"", -ERR_PARSE, "no element found"},
	{"<a>", -ERR_PARSE, "no element found"},
	{"<a></b>", -ERR_PARSE, "mismatched tag"},
	{"<a>&b;</a>", -ERR_PARSE, "undefined entity"},
	{"<a>\x80</a>", -ERR_PARSE, "line 1: "},
	{"<!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>", -ERR_PARSE, "document type"},
	{"<!DOCTYPE a SYSTEM 'file:///etc/passwd' []><a/>", -ERR_PARSE, "document type"},
};

static void what_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = BUF_INIT(0);
		struct err err;

		assert_int_equal(parse(bad[i].text, strlen(bad[i].text), 7, &out, &err), bad[i].rc);
		assert_non_null(strstr(err.msg, bad[i].says));
		buf_fini(&out);
	}
}

/* `what` again and again, `n` bytes of it in all, behind `head`. */
static int parse_long(const char *head, const char *what, size_t n, struct err *err)
{
	struct buf in = BUF_INIT(0), out = BUF_INIT(0);
	int rc;

	buf_adds(&in, head);
	while (in.n < n)
		buf_adds(&in, what);
	rc = parse(in.p, in.n, 65536, &out, err);
	buf_fini(&in);
	buf_fini(&out);
	return rc;
}

static void what_has_no_end(void **state)
{
	struct err err;

	assert_int_equal(parse_long("", "<a>", 1000, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "nested more than"));
	assert_int_equal(parse_long("<a>", "xxxxxxxxxxxxxxxx", XML_TEXT_MAX + 100000, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "an element holds more than"));
	assert_int_equal(parse_long("<a b='", "xxxxxxxxxxxxxxxx", (size_t)XML_TAG_MAX + 200000, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "a tag is longer than"));
}

static void written_and_read_again(void **state)
{
	struct buf b = BUF_INIT(0);

	xml_add(&b, SLICE("a<b>&\"c\"\001\r\n\t'd'"));
	assert_string_equal(b.p, "a&lt;b&gt;&amp;&quot;c&quot;&#13;\n\t'd'");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_by_their_local_names),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(what_has_no_end),
		cmocka_unit_test(written_and_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
