#include "formats/deb/stanza.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* As text: "line name=value|name=value\n" a stanza. */
static int note(void *arg, const struct stanza *s, struct err *err)
{
	struct buf *out = arg;

	buf_addf(out, "%lld ", (long long)s->line);
	for (size_t i = 0; i < s->count; i++)
		buf_addf(out, "%s%.*s=%.*s", i > 0 ? "|" : "", SLICE_ARG(s->fields[i].name),
			SLICE_ARG(s->fields[i].value));
	return buf_adds(out, ";");
}

static int parse(struct slice text, size_t piece, size_t max, struct buf *out, struct err *err)
{
	struct stanza_parser p;
	int rc = stanza_init(&p, max, note, out);

	buf_reset(out);
	for (size_t at = 0; rc == 0 && at < text.n; at += piece)
		rc = stanza_feed(&p, text.p + at, MIN(piece, text.n - at), err);
	if (rc == 0)
		rc = stanza_end(&p, err);
	stanza_fini(&p);
	return rc;
}

static void good_stanzas(void **state)
{
	static const struct {
		const char *text, *out;
	} rows[] = {
		{"", ""},
		{"\n\n\n", ""},
		{"A: b", "1 A=b;"},
		{"A: b\n\nC: d\n", "1 A=b;3 C=d;"},
		{"\n\nA: b\n\n\n\nC: d\n\n", "3 A=b;7 C=d;"},
		{"A: b\r\nB: c\r\n\r\nC: d\r\n", "1 A=b|B=c;4 C=d;"},
		{"A:b\nB:\nC:  \n", "1 A=b|B=|C=;"},
		{"A: one\n two\n\tthree \nB: x:y\n", "1 A=one\n two\n\tthree|B=x:y;"},
		{"List:\n a b\n c d\n", "1 List=\n a b\n c d;"},
		{"A: b\n \nC: d\n", "1 A=b|C=d;"}, /* blanks alone end no stanza */
		{"A: b\n \n c\n \t\nC: d\n", "1 A=b\n \n c|C=d;"},
		{"# a comment\nA: b\n# another\nB: c\n", "1 A=b|B=c;"},
		{"# nothing else\n\nA: b\n", "3 A=b;"},
		{"A: 1\na: 2\n", "1 A=1|a=2;"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].text) + 1; piece++) {
			assert_int_equal(parse(slice_str(rows[i].text), piece, 0, &out, &err), 0);
			assert_string_equal(out.n > 0 ? out.p : "", rows[i].out);
		}
	}
	buf_fini(&out);
}

static void bad_stanzas(void **state)
{
	static const struct {
		struct slice text;
		const char *reason;
	} rows[] = {
		{SLICE("A: b\nnothing\n"), "line 2 is no field"},
		{SLICE(": b\n"), "line 1 is no field"},
		{SLICE("A b: c\n"), "line 1 is no field: there is a blank"},
		{SLICE(" a\n"), "line 1 continues a field"},
		{SLICE("A: b\n\n a\n"), "line 3 continues a field"},
		{SLICE("A: b\0c\n"), "line 1 begins a stanza that holds a zero byte"},
		{SLICE("A: b\n\nA: 0123456789012345678901234567890123456789\n"),
			"line 3 belongs to a stanza of more than 32"},
		{SLICE("A: b\nB: 0123456789\nC: 0123456789\nD: 0123456789"), "of more than 32 bytes"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= rows[i].text.n; piece += 3) {
			assert_int_equal(parse(rows[i].text, piece, 32, &out, &err), -ERR_PARSE);
			assert_non_null(strstr(err.msg, rows[i].reason));
		}
	}
	buf_fini(&out);
}

static int keep_last(void *arg, const struct stanza *s, struct err *err)
{
	struct slice *out = arg;
	struct slice v = stanza_get(s, "FILENAME");

	assert_null(stanza_get(s, "File").p);
	*out = slice_of(strndup(v.p, v.n), v.n);
	return -ERR_CANCELED;
}

static void a_field_by_its_name(void **state)
{
	static const char text[] = "filename: a\nSize: 1\nFilename: b\n\nFilename: c\n";
	struct stanza_parser p;
	struct slice got = SLICE_NULL;
	struct err err = ERR_INIT;

	assert_int_equal(stanza_init(&p, 0, keep_last, &got), 0);
	/* Of two the last, as apt takes it; and who refuses a stanza is asked no more. */
	assert_int_equal(stanza_feed(&p, text, sizeof(text) - 1, &err), -ERR_CANCELED);
	assert_true(slice_eq(got, SLICE("b")));
	free((char *)(uintptr_t)got.p);
	stanza_fini(&p);
}

static void too_many_fields(void **state)
{
	struct buf text = BUF_INIT(0), out = BUF_INIT(0);
	struct err err;

	for (int i = 0; i < STANZA_FIELDS_MAX; i++)
		buf_addf(&text, "F%d: x\n", i);
	assert_int_equal(parse(buf_slice(&text), text.n, 0, &out, &err), 0);
	buf_adds(&text, "One: more\n");
	assert_int_equal(parse(buf_slice(&text), text.n, 0, &out, &err), -ERR_PARSE);
	assert_non_null(strstr(err.msg, "one field too many"));
	buf_fini(&text);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_stanzas),
		cmocka_unit_test(bad_stanzas),
		cmocka_unit_test(a_field_by_its_name),
		cmocka_unit_test(too_many_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
