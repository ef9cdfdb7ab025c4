/* Ranges of a file, held against a row of bytes that are there or not. */
#include "lazy/extents.h"

#include "base/check.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 64

static void assert_same(const struct extents *x, const bool there[SIZE])
{
	int64_t last = -1;

	for (size_t i = 0; i < x->n; i++) {
		assert_true(x->e[i].from > last && x->e[i].from < x->e[i].to); /* apart, else they were one */
		last = x->e[i].to;
	}
	for (int off = 0; off < SIZE; off++) {
		int end = off, begin = off, next = off;

		while (end < SIZE && there[end])
			end++;
		assert_int_equal(extents_end(x, off), end);
		while (begin > 0 && there[begin - 1])
			begin--;
		if (begin < off && !there[off])
			assert_int_equal(extents_begin(x, off), begin);
		else if (!there[off])
			assert_int_equal(extents_begin(x, off), off);
		while (next < SIZE && !(there[next] && (next == 0 || !there[next - 1])))
			next++;
		assert_true(extents_next(x, off) == (next < SIZE ? next : INT64_MAX));
	}
}

static void test_against_a_row_of_bytes(void **state)
{
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		struct extents x = {.e = NULL};
		bool there[SIZE] = {false};

		for (int i = 0; i < 12; i++) {
			int from = rand_r(&seed) % (SIZE - 1), to = from + 1 + rand_r(&seed) % MIN(12, SIZE - from);

			if (rand_r(&seed) % 8 == 0) {
				extents_forget_before(&x, from);
				memset(there, 0, (size_t)from * sizeof(*there));
			} else {
				to = MIN(to, SIZE);
				assert_int_equal(extents_add(&x, from, to), 0);
				memset(there + from, 1, (size_t)(to - from) * sizeof(*there));
			}
			assert_same(&x, there);
		}
		extents_clear(&x);
		assert_int_equal(x.n, 0);
	}
}

static void test_has_a_bound(void **state)
{
	struct extents x = {.e = NULL};

	for (int i = 0; i < EXTENTS_MAX; i++)
		assert_int_equal(extents_add(&x, 10 * i, 10 * i + 5), 0);
	assert_int_equal(extents_add(&x, 10 * EXTENTS_MAX, 10 * EXTENTS_MAX + 1), -ERR_LIMIT);
	assert_int_equal(x.n, EXTENTS_MAX);
	assert_int_equal(extents_add(&x, 5, 10), 0); /* what joins two takes no place */
	assert_int_equal(x.n, EXTENTS_MAX - 1);
	extents_clear(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_row_of_bytes),
		cmocka_unit_test(test_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
