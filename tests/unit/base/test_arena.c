#include "base/arena.h"

#include "base/check.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Every piece is filled with its own byte and looked at after all others were written. */
static void pieces_are_aligned_and_apart(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 15, 16, 17, 500, 999, 1000, 1001, 3999, 4000, 4001, 9000, 1};
	unsigned char *p[ARRAY_LEN(sizes) * 8];
	struct arena a;

	arena_init(&a, 1 << 20);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			size_t n = sizes[i % ARRAY_LEN(sizes)];

			p[i] = arena_alloc(&a, n);
			assert_non_null(p[i]);
			assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
			memset(p[i], (int)i + 1, n);
		}
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			for (size_t k = 0; k < sizes[i % ARRAY_LEN(sizes)]; k++)
				assert_int_equal(p[i][k], i + 1);
		if (round < 2)
			arena_reset(&a);
		else
			arena_fini(&a);
		assert_int_equal(a.used, 0);
	}
}

static void maximum_holds(void **state)
{
	struct arena a;

	arena_init(&a, 1000);
	assert_null(arena_alloc(&a, 1001));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_strdup(&a, (struct slice){"", SIZE_MAX}));
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 1));
	arena_reset(&a);
	for (int i = 0; i < 10; i++)
		assert_non_null(arena_alloc(&a, 90));
	assert_null(arena_alloc(&a, 90));
	assert_true(a.used <= a.max);
	arena_fini(&a);
	assert_non_null(arena_alloc(&a, 1)); /* usable again */
	arena_fini(&a);
}

static void texts(void **state)
{
	struct arena a;
	char *z;

	arena_init(&a, 1 << 16);
	assert_string_equal(arena_strdup(&a, slice_of("abcdef", 3)), "abc");
	assert_string_equal(arena_strdup(&a, SLICE_NULL), "");
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 42), "x-42");
	z = arena_printf(&a, "%05000d", 7);
	assert_int_equal(strlen(z), 5000);
	z = arena_zalloc(&a, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(z[i], 0);
	arena_fini(&a);
}

struct trace {
	char order[16];
	struct arena *arena;
};

static struct trace trace;

static void note(void *arg)
{
	strcat(trace.order, arg);
}

static void note_and_register(void *arg)
{
	note(arg);
	assert_int_equal(arena_on_fini(trace.arena, note, (char *)"!"), 0);
}

static char one[] = "1", two[] = "2", three[] = "3";

static void cleanups_run_newest_first(void **state)
{
	struct arena a;

	for (int reset = 0; reset < 2; reset++) {
		trace = (struct trace){.arena = &a};
		arena_init(&a, 1 << 16);
		assert_int_equal(arena_on_fini(&a, note, one), 0);
		assert_int_equal(arena_on_fini(&a, note_and_register, two), 0);
		assert_int_equal(arena_on_fini(&a, note, three), 0);
		if (reset)
			arena_reset(&a);
		else
			arena_fini(&a);
		assert_string_equal(trace.order, "32!1");
		arena_fini(&a);
		assert_string_equal(trace.order, "32!1"); /* once */
	}
}

/* A clean-up may read what lies in the arena: memory goes last. */
static void print_piece(void *arg)
{
	snprintf(trace.order, sizeof(trace.order), "%s", (const char *)arg);
}

static void cleanups_see_the_memory(void **state)
{
	struct arena a;

	trace = (struct trace){.arena = &a};
	arena_init(&a, 1 << 16);
	assert_int_equal(arena_on_fini(&a, print_piece, arena_strdup(&a, SLICE("piece"))), 0);
	assert_non_null(arena_alloc(&a, 5000));
	arena_fini(&a);
	assert_string_equal(trace.order, "piece");
}

static void a_cleanup_that_does_not_fit_is_reported(void **state)
{
	struct arena a;

	trace = (struct trace){.arena = &a};
	arena_init(&a, 8);
	assert_int_equal(arena_on_fini(&a, note, one), -ERR_NOMEM);
	arena_fini(&a);
	assert_string_equal(trace.order, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_and_apart),
		cmocka_unit_test(maximum_holds),
		cmocka_unit_test(texts),
		cmocka_unit_test(cleanups_run_newest_first),
		cmocka_unit_test(cleanups_see_the_memory),
		cmocka_unit_test(a_cleanup_that_does_not_fit_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
