/* Signed URLs: what one opens, what it does not, and the key behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "guard/signature.h"

#include <sys/stat.h>
#include <unistd.h>

static const struct uuid guard = {.b = {1, 2, 3}}, other_guard = {.b = {1, 2, 4}};
static const struct signing_key key = {.b = {7}}, other_key = {.b = {8}};

#define NOW 1000000

static void sign(const char *path, const char *query, struct buf *out)
{
	*out = BUF_INIT(0);
	assert_int_equal(buf_adds(out, query), 0);
	assert_int_equal(signature_add(&key, &guard, slice_str(path), slice_str(query), NOW + 60, out), 0);
}

static void test_what_a_signature_opens(void **state)
{
	static const char *const queries[] = {"", "a=b", "a=b&c", "expires=1", "validate_token=x"};
	struct buf q;

	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		sign("r/a", queries[i], &q);
		assert_true(signature_holds(&key, &guard, SLICE("r/a"), buf_slice(&q), NOW));
		assert_true(signature_holds(&key, &guard, SLICE("r/a"), buf_slice(&q), NOW + 59));
		assert_false(signature_holds(&key, &guard, SLICE("r/a"), buf_slice(&q), NOW + 60));
		assert_false(signature_holds(&key, &guard, SLICE("r/b"), buf_slice(&q), NOW));
		assert_false(signature_holds(&key, &guard, SLICE("r/a/"), buf_slice(&q), NOW));
		assert_false(signature_holds(&key, &other_guard, SLICE("r/a"), buf_slice(&q), NOW));
		assert_false(signature_holds(&other_key, &guard, SLICE("r/a"), buf_slice(&q), NOW));
		buf_fini(&q);
	}
}

/* Each byte of it counts, and each byte more. */
static void test_what_is_changed_opens_nothing(void **state)
{
	struct buf q;

	sign("r/a", "a=b", &q);
	for (size_t i = 0; i < q.n; i++) {
		q.p[i] ^= 1;
		assert_false(signature_holds(&key, &guard, SLICE("r/a"), buf_slice(&q), NOW));
		q.p[i] ^= 1;
		assert_false(signature_holds(&key, &guard, SLICE("r/a"), slice_of(q.p, i), NOW));
		if (i > 0)
			assert_false(signature_holds(&key, &guard, SLICE("r/a"), slice_of(q.p + i, q.n - i), NOW));
	}
	assert_int_equal(buf_adds(&q, "&x=y"), 0);
	assert_false(signature_holds(&key, &guard, SLICE("r/a"), buf_slice(&q), NOW));
	assert_false(signature_holds(&key, &guard, SLICE("r/a"), SLICE_NULL, NOW));
	assert_false(signature_holds(&key, &guard, SLICE("r/a"), SLICE("expires=9999999999999"), NOW));
	assert_false(signature_holds(&key, &guard, SLICE("r/a"), SLICE("expires=9999999999999&validate_token=:"), NOW));
	buf_fini(&q);
}

/* A byte cannot be moved from the path to the query or back. */
static void test_path_and_query_are_kept_apart(void **state)
{
	struct buf q;

	sign("r/a", "b=c", &q);
	assert_false(signature_holds(&key, &guard, SLICE("r/ab"), slice_of(q.p + 1, q.n - 1), NOW));
	buf_fini(&q);
}

static void test_the_key_is_made_once(void **state)
{
	char dir[] = "/tmp/sluice-signature-XXXXXX", path[64];
	struct signing_key a, b;
	struct err err = ERR_INIT;
	struct stat st;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/signing.key", dir);
	assert_int_equal(signing_key_load(dir, &a, &err), 0);
	assert_int_equal(signing_key_load(dir, &b, &err), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(signing_key_load(dir, &b, &err), -ERR_INVAL); /* never a key of zeros */
	unlink(path);
	rmdir(dir);
	assert_true(signing_key_load(dir, &b, &err) < 0);
	assert_int_equal(signing_key_load("", &b, &err), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_signature_opens),
		cmocka_unit_test(test_what_is_changed_opens_nothing),
		cmocka_unit_test(test_path_and_query_are_kept_apart),
		cmocka_unit_test(test_the_key_is_made_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
