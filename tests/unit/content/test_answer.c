/* The table of final answers, row by row, and as a client sees them. */
#include "content/answer.h"
#include "service.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct row {
	int code, status;
	const char *reason, *retry_after;
} rows[] = {
	{-ERR_NOTFOUND, 404, "not-found", NULL},
	{-ERR_NOSOURCE, 404, "no-source", NULL},
	{-ERR_UNSAVED, 404, "not-saved", NULL},
	{-ERR_GONE, 404, "upstream-missing", NULL},
	{-ERR_COOLDOWN, 404, "cooling-down", "60"},
	{-ERR_CONNECT, 502, "upstream-unreachable", NULL},
	{-ERR_UPSTREAM, 502, "upstream-error", NULL},
	{-ERR_TRUNCATED, 502, "upstream-broke-off", NULL},
	{-ERR_DIGEST, 502, "wrong-digest", NULL},
	{-ERR_SIZE, 502, "wrong-size", NULL},
	{-ERR_DENIED, 502, "source-refused", NULL},
	{-ERR_INVAL, 502, "bad-source", NULL},
	{-ERR_TIMEOUT, 504, "upstream-timeout", NULL},
	{-ERR_LIMIT, 503, "overload", "1"},
	{-ERR_NOMEM, 503, "out-of-memory", "1"},
	{-ERR_NOSPACE, 503, "storage-full", "30"},
	{-ERR_STAGING, 503, "staging-full", "10"},
	{-ERR_IO, 503, "storage-error", "30"},
	{-ERR_DB, 503, "database-error", "5"},
	{-ERR_BUSY, 503, "database-busy", "1"},
	{-ERR_CANCELED, 503, "canceled", "1"},
	{-ERR_CLOSED, 503, "stopping", "1"},
	{-ERR_INTERNAL, 500, "internal-error", NULL},
	{-ERR_PARSE, 500, "internal-error", NULL},
	{-ERR_EXISTS, 500, "internal-error", NULL},
	{-ERR_UNSUPPORTED, 500, "internal-error", NULL},
};

/* The path is a code and a time: "/-5?10". */
static void answer_path(struct http_x *x, const struct http_request *r, void *arg)
{
	int64_t retry = -1;

	(void)slice_to_i64(r->query, INT32_MAX, &retry);
	answer_failure(x, atoi(r->path.p + 1), retry);
}

static void test_every_code_has_its_answer(void **state)
{
	struct service s;
	char path[32], text[64];

	service_open(&s, 1, 16);
	s.handler = answer_path;
	service_start(&s, 1);
	for (int code = 1; code < ERR_COUNT_; code++) {
		const struct row *row = NULL;
		struct response r;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (rows[i].code == -code)
				row = &rows[i];
		if (row == NULL)
			fail_msg("this test knows no answer to %s", err_name(code));
		snprintf(path, sizeof(path), "/%d", -code);
		get(&s, path, &r);
		assert_int_equal(r.status, row->status);
		assert_string_equal(field(&r, "X-Sluice-Reason"), row->reason);
		if (row->retry_after == NULL)
			assert_null(field(&r, "Retry-After"));
		else
			assert_string_equal(field(&r, "Retry-After"), row->retry_after);
		snprintf(text, sizeof(text), "%d: %s\n", row->status, http_reason(row->status));
		assert_string_equal(r.body, text);
		response_fini(&r);
	}
	service_close(&s);
}

/* A failure that knows when to come again says so instead of the table. */
static void test_the_failures_own_time_wins(void **state)
{
	static const int codes[] = {-ERR_COOLDOWN, -ERR_GONE, -ERR_LIMIT};
	struct service s;

	service_open(&s, 1, 16);
	s.handler = answer_path;
	service_start(&s, 1);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct response r;
		char path[32];

		snprintf(path, sizeof(path), "/%d?123", codes[i]);
		get(&s, path, &r);
		assert_string_equal(field(&r, "Retry-After"), "123");
		response_fini(&r);
	}
	service_close(&s);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_code_has_its_answer),
		T(test_the_failures_own_time_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
