/* The reader of multipart forms: the same result however the bytes are cut, and a refusal for what is no form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/multipart.h"
#include "base/buf.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

/* What came, as text: "<name|filename:content>" for each part, '-' for no file name. */
static int begin(void *arg, struct slice name, struct slice filename, struct err *err)
{
	if (slice_eq(name, SLICE("stop")))
		return err_set(err, -ERR_NOSPACE, "stopped");
	return buf_addf(arg, "<%.*s|%.*s:", SLICE_ARG(name), SLICE_ARG(filename.p != NULL ? filename : SLICE("-")));
}

static int data(void *arg, struct slice piece, struct err *err)
{
	return buf_add_slice(arg, piece);
}

static int end(void *arg, struct err *err)
{
	return buf_adds(arg, ">");
}

static const struct multipart_ops ops = {begin, data, end};

/* In pieces of `step` bytes. */
static int read_form(struct slice type, struct slice body, size_t step, struct buf *out)
{
	struct err err = ERR_INIT;
	struct multipart *m = NULL;
	int rc = multipart_new(type, &ops, out, &m, &err);

	for (size_t at = 0; rc == 0 && at < body.n; at += step)
		rc = multipart_feed(m, body.p + at, MIN(step, body.n - at), &err);
	if (rc == 0)
		rc = multipart_end(m, &err);
	assert_true(rc == 0 || err.msg[0] != '\0');
	multipart_free(&m);
	return rc;
}

#define PART(head) "--b\r\nContent-Disposition: form-data; " head "\r\n\r\n"

static const struct {
	const char *body, *want;
	int rc;
} forms[] = {
	{PART("name=\"a\"") "1\r\n--b--\r\n", "<a|-:1>", 0},
	{PART("name=\"a\"") "1\r\n--b--", "<a|-:1>", 0},
	{PART("name=a") "\r\n--b--", "<a|-:>", 0},
	{PART("name=\"a\"; filename=\"x y.bin\"") "1\r\n" PART("NAME=\"b;c\"") "2\r\n--b--", "<a|x y.bin:1><b;c|-:2>",
		0},
	{PART("name=\"a\"; filename=\"\"") "1\r\n--b--", "<a|:1>", 0},
	{"before\r\n--b \t\r\nX: y\r\ncontent-disposition:form-data;name=a\r\n\r\n1\r\n--b--after\r\n--b\r\n",
		"<a|-:1>", 0},
	/* what only looks like a boundary */
	{PART("name=a") "\r\n-\r\n--\r\n--a\r\r\n--\r\n--b--", "<a|-:\r\n-\r\n--\r\n--a\r\r\n-->", 0},
	{PART("name=a") "--b\r\n--b--", "<a|-:--b>", 0},
	{PART("name=a") "\n--b--\r\n--b--", "<a|-:\n--b-->", 0},
	{"--b--", "", 0},
	/* no forms */
	{"", "", -ERR_PARSE},
	{"x", "", -ERR_PARSE},
	{"--c--", "", -ERR_PARSE},
	{"--b", "", -ERR_PARSE},
	{"--b\r\n", "", -ERR_PARSE},
	{"--bc\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--", "", -ERR_PARSE},
	{"--b\r\n\r\n1\r\n--b--", "", -ERR_PARSE},
	{"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--", "", -ERR_PARSE},
	{"--b\r\nContent-Disposition: form-data; name=a\r\n--b--\r\n\r\n", "", -ERR_PARSE},
	{PART("name=\"\"") "1\r\n--b--", "", -ERR_PARSE},
	{PART("name=a") "1", "<a|-:", -ERR_PARSE},
	{PART("name=a") "1\r\n--b", "<a|-:1>", -ERR_PARSE},
	{PART("name=a") "1\r\n--b-", "<a|-:1>", -ERR_PARSE},
	{PART("name=stop") "1\r\n--b--", "", -ERR_NOSPACE},
};

static void test_forms_cut_anywhere(void **state)
{
	static const size_t steps[] = {1, 2, 3, 5, 7, 16, 1 << 20};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			struct buf out = BUF_INIT(0);
			int rc = read_form(
				SLICE("multipart/form-data; boundary=b"), slice_str(forms[i].body), steps[k], &out);
			/* what a refused part had brought depends on how it was cut */
			bool same = slice_starts(buf_slice(&out), slice_str(forms[i].want)) &&
				    (forms[i].rc != 0 || out.n == strlen(forms[i].want));

			if (rc != forms[i].rc || !same)
				fail_msg("%zu by %zu: %d, %s", i, steps[k], rc, out.p != NULL ? out.p : "");
			buf_fini(&out);
		}
}

static void test_boundaries(void **state)
{
	static const struct {
		const char *type;
		int rc;
	} types[] = {
		{"multipart/form-data", -ERR_PARSE},
		{"multipart/form-data; boundary=", -ERR_PARSE},
		{"multipart/form-data; boundary=\"\"", -ERR_PARSE},
		{"multipart/form-data; charset=x; BOUNDARY = \"b\"", 0},
		{"multipart/form-data; "
		 "boundary=\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
			-ERR_PARSE}, /* allowed, but not the one that comes */
		{"multipart/form-data; "
		 "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
			-ERR_PARSE},
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct buf out = BUF_INIT(0);

		assert_int_equal(read_form(slice_str(types[i].type), slice_str(forms[0].body), 4, &out), types[i].rc);
		buf_fini(&out);
	}
}

static void test_a_boundary_with_a_zero(void **state)
{
	struct buf out = BUF_INIT(0);

	assert_int_equal(read_form(SLICE("multipart/form-data; boundary=\0b"), SLICE("--\0b--"), 1, &out), 0);
	buf_fini(&out);
}

static void repeat(struct buf *b, const char *text, int times)
{
	for (int i = 0; i < times; i++)
		assert_int_equal(buf_adds(b, text), 0);
}

static void test_limits(void **state)
{
	struct buf body = BUF_INIT(0), out = BUF_INIT(0);

	repeat(&body, PART("name=a") "1\r\n", 1000);
	buf_adds(&body, "--b--");
	assert_int_equal(read_form(SLICE("m; boundary=b"), buf_slice(&body), 1000, &out), 0);
	buf_reset(&body);
	repeat(&body, PART("name=a") "1\r\n", 1001);
	assert_int_equal(read_form(SLICE("m; boundary=b"), buf_slice(&body), 1000, &out), -ERR_LIMIT);
	buf_reset(&body);
	buf_adds(&body, "--b\r\nX: ");
	repeat(&body, "0123456789", 2000);
	assert_int_equal(read_form(SLICE("m; boundary=b"), buf_slice(&body), 1000, &out), -ERR_LIMIT);
	buf_reset(&body);
	buf_adds(&body, "--b");
	repeat(&body, " ", 20000);
	assert_int_equal(read_form(SLICE("m; boundary=b"), buf_slice(&body), 1000, &out), -ERR_PARSE);
	buf_fini(&body);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms_cut_anywhere),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_a_boundary_with_a_zero),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
