/* Chunked request bodies: the same data and the same end wherever the input is cut. */
#include "http/parse.h"

#include "base/buf.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
	int rc; /* of the last call: 0 more, 2 end, -1 malformed */
	struct buf data;
	size_t used; /* of the input, when at the end */
};

/* Feeds text[0, cut) and then the rest, each in memory of its own size. */
static void feed(struct outcome *o, struct http_chunked *c, const char *p, size_t n)
{
	char *exact = malloc(n > 0 ? n : 1);
	struct slice in, out;

	assert_non_null(exact);
	memcpy(exact, p, n);
	in = slice_of(exact, n);
	while ((o->rc = http_chunked_next(c, &in, &out)) == 1) {
		assert_true(out.n > 0);
		buf_add_slice(&o->data, out);
	}
	o->used += n - in.n;
	free(exact);
}

static void decode(struct outcome *o, struct slice text, size_t cut)
{
	struct http_chunked c = {0};

	*o = (struct outcome){.data = BUF_INIT(1 << 20)};
	feed(o, &c, text.p, cut);
	if (o->rc == 0)
		feed(o, &c, text.p + cut, text.n - cut);
}

#define A16 "aaaaaaaaaaaaaaaa"
#define A256 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16
#define A4K A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256

static const struct {
	struct slice text;
	int rc;
	const char *data;
	const char *rest; /* behind the end */
} bodies[] = {
#define R(text, rc, data, rest)                          \
	{                                                \
		{text, sizeof(text) - 1}, rc, data, rest \
	}
	R("0\r\n\r\n", 2, "", ""),
	R("0\r\n\r\nGET", 2, "", "GET"),
	R("5\r\nhello\r\n0\r\n\r\n", 2, "hello", ""),
	R("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext", 2, "hello world", "next"),
	R("00000005\r\nhello\r\n000\r\n\r\n", 2, "hello", ""),
	R("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 2, "01234567890123456789", ""),
	R("5;name\r\nhello\r\n0;last=\"a b\"\r\n\r\n", 2, "hello", ""),
	R("5;\r\nhello\r\n0\r\n\r\n", 2, "hello", ""),
	R("2\r\n\r\n\r\n0\r\n\r\n", 2, "\r\n", ""),
	R("0\r\nTrailer: x\r\nOther: y\r\n\r\nrest", 2, "", "rest"),
	R("1\r\na\r\n0\r\n" A256 ": b\r\n\r\n", 2, "a", ""),
	/* incomplete */
	R("", 0, "", ""),
	R("5", 0, "", ""),
	R("5\r\nhel", 0, "hel", ""),
	R("5\r\nhello\r\n0\r\n", 0, "hello", ""),
	R("5\r\nhello\r\n0\r\n\r", 0, "hello", ""),
	/* malformed */
	R("\r\n", -1, "", ""),
	R(";\r\n", -1, "", ""),
	R("x\r\n", -1, "", ""),
	R(" 5\r\nhello", -1, "", ""),
	R("5 \r\nhello", -1, "", ""),
	R("5 5\r\nhello", -1, "", ""),
	R("+5\r\nhello", -1, "", ""),
	R("-1\r\nhello", -1, "", ""),
	R("0x5\r\nhello", -1, "", ""),
	R("5\nhello", -1, "", ""),
	R("5\r\rhello", -1, "", ""),
	R("5\rhello", -1, "", ""),
	R("5;a\nb\r\nhello", -1, "", ""),
	R("5;a\rb\r\nhello", -1, "", ""),
	R("5;a\0b\r\nhello", -1, "", ""),
	R("5\r\nhelloXX0\r\n\r\n", -1, "hello", ""),
	R("5\r\nhello\n0\r\n\r\n", -1, "hello", ""),
	R("5\r\nhello\r0\r\n\r\n", -1, "hello", ""),
	R("5\r\nhello0\r\n\r\n", -1, "hello", ""),
	R("0\r\nTrailer: x\n\r\n", -1, "", ""),
	R("0\r\nTrailer: x\rY\r\n\r\n", -1, "", ""),
	R("0\r\nTrailer: \0\r\n\r\n", -1, "", ""),
	R("0\r\n\rx", -1, "", ""),
	R("fffffffffffffffff\r\n", -1, "", ""),
	R("7fffffffffffffff\r\n", -1, "", ""),
	R("8000000000000000\r\n", -1, "", ""),
	R("10000000000000000000000000000000000005\r\nhello", -1, "", ""),
	R("5;" A4K "\r\nhello\r\n0\r\n\r\n", -1, "", ""),
	R("0\r\n" A4K ": x\r\n\r\n", -1, "", ""),
	R("0\r\n" A256 ":\r\n" A4K "\r\n\r\n", -1, "", ""),
#undef R
};

static void test_bodies_wherever_they_are_cut(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		for (size_t cut = 0; cut <= bodies[i].text.n; cut++) {
			struct outcome o;

			decode(&o, bodies[i].text, cut);
			if (o.rc != bodies[i].rc || !slice_eq(buf_slice(&o.data), slice_str(bodies[i].data)) ||
				(o.rc == 2 && strlen(bodies[i].rest) > 0 && cut < o.used &&
					o.used + strlen(bodies[i].rest) != bodies[i].text.n))
				fail_msg("row %zu cut at %zu: %d", i, cut, o.rc);
			buf_fini(&o.data);
		}
	}
}

/* `unit` over and over until the decoder refuses: how many bytes that took. */
static size_t refused_after(const char *unit, size_t give_up)
{
	struct http_chunked c = {0};
	size_t fed = 0;

	for (; fed < give_up; fed += strlen(unit)) {
		struct slice in = slice_str(unit), out;
		int rc;

		while ((rc = http_chunked_next(&c, &in, &out)) == 1)
			;
		if (rc < 0)
			return fed;
		assert_int_equal(rc, 0);
	}
	return give_up;
}

static void test_overhead_is_bounded(void **state)
{
	/* Many chunks with extensions; an extension, a size and a trailer without end. */
	assert_in_range(refused_after("1;" A256 "\r\nx\r\n", 1 << 20), 60000, 70000);
	assert_in_range(refused_after("1;" A256, 1 << 20), 0, 5000);
	assert_in_range(refused_after("0", 1 << 20), 0, 5000);
	/* Data has no limit here: that is for whoever reads it. */
	assert_int_equal(refused_after("1\r\nx\r\n", 1 << 20), 1 << 20);
}

static void test_trailers_are_bounded(void **state)
{
	struct http_chunked c = {0};
	struct slice in = SLICE("0\r\n"), out;
	size_t fed = 0;
	int rc;

	assert_int_equal(http_chunked_next(&c, &in, &out), 0);
	do {
		in = SLICE("Name: value\r\n");
		rc = http_chunked_next(&c, &in, &out);
		fed += 13;
	} while (rc == 0 && fed < 1 << 20);
	assert_int_equal(rc, -1);
	assert_in_range(fed, 16000, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_wherever_they_are_cut),
		cmocka_unit_test(test_overhead_is_bounded),
		cmocka_unit_test(test_trailers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
