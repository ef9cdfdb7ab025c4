/* The set beside a plain array of flags, under the same operations. */
#include "base/check.h"
#include "catalog/idset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDS 5000

static uint64_t state;

static uint64_t next_random(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return state >> 33;
}

static void compare(struct idset *s, const bool *there)
{
	int64_t at = -1;

	for (int64_t id = 0; id < IDS; id++) {
		assert_int_equal(idset_has(s, id), there[id]);
		if (!there[id])
			continue;
		at = idset_next(s, at);
		assert_int_equal(at, id);
	}
	assert_int_equal(idset_next(s, at), -1);
}

static void test_it_is_as_an_array_of_flags(void **unused)
{
	struct idset s = {.count = 0};
	bool there[IDS] = {false};

	state = 1;
	for (int i = 0; i < 20000; i++) {
		/* Mostly in order, as rows come. */
		int64_t id = (int64_t)(i % 3 == 0 ? next_random() % IDS : (unsigned)i / 3 % IDS);

		if (next_random() % 4 > 0) {
			assert_int_equal(idset_add(&s, id), !there[id]);
			there[id] = true;
		} else {
			idset_remove(&s, id);
			there[id] = false;
		}
		if (i % 1000 == 0)
			compare(&s, there);
	}
	compare(&s, there);
	idset_fini(&s);
	assert_int_equal(idset_next(&s, -1), -1);
}

static void test_ids_may_lie_far_apart(void **unused)
{
	static const int64_t ids[] = {INT64_MAX, 0, INT64_C(1) << 40, 511, 512, 513};
	static const int64_t sorted[] = {0, 511, 512, 513, INT64_C(1) << 40, INT64_MAX};
	struct idset s = {.count = 0};
	int64_t at = -1;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		assert_int_equal(idset_add(&s, ids[i]), 1);
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
		at = idset_next(&s, at);
		assert_int_equal(at, sorted[i]);
	}
	assert_int_equal(idset_next(&s, at), -1);
	assert_false(idset_has(&s, -1));
	idset_fini(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_as_an_array_of_flags),
		cmocka_unit_test(test_ids_may_lie_far_apart),
	};

	return cmocka_run_group_tests_name("idset", tests, NULL, NULL);
}
