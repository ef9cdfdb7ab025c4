#include "base/uuid.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_and_back(void **state)
{
	static const char *const same[] = {"0198f3a2-1b2c-7d3e-8f40-a1b2c3d4e5f6",
		"0198F3A2-1B2C-7D3E-8F40-A1B2C3D4E5F6", "0198f3a21b2c7d3e8f40a1b2c3d4e5f6"};

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		struct uuid u = {{0}};
		char out[UUID_STR];

		assert_int_equal(uuid_parse(slice_str(same[i]), &u), 0);
		assert_int_equal(u.b[0], 0x01);
		assert_int_equal(u.b[15], 0xf6);
		assert_string_equal(uuid_str(&u, out), same[0]);
	}
}

static void malformed_texts(void **state)
{
	static const char *const bad[] = {"", "0198f3a2", "0198f3a2-1b2c-7d3e-8f40-a1b2c3d4e5f",
		"0198f3a2-1b2c-7d3e-8f40-a1b2c3d4e5f6a", "0198f3a21-b2c-7d3e-8f40-a1b2c3d4e5f6",
		"0198f3a2-1b2c-7d3e-8f40a-1b2c3d4e5f6", "0198f3a2_1b2c-7d3e-8f40-a1b2c3d4e5f6",
		"0198f3a2-1b2c-7d3e-8f40-a1b2c3d4e5fg", "0198f3a21b2c7d3e8f40a1b2c3d4e5fg",
		"{198f3a2-1b2c-7d3e-8f40-a1b2c3d4e5f}", "0198f3a2-1b2c-7d3e-8f40a1b2c3d4e5f6",
		"------------------------------------"};
	struct uuid u = {{1}}, before = u;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(uuid_parse(slice_str(bad[i]), &u), -ERR_INVAL);
	assert_memory_equal(&u, &before, sizeof(u));
}

static void versions_and_time(void **state)
{
	int64_t before_ms = clock_wall_us() / 1000, ms = 0;
	struct uuid v7 = uuid_v7(), v4 = uuid_v4();

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | v7.b[i];
	/* Not exact at the end: ticks that were taken in advance run a little ahead of the clock. */
	assert_in_range(ms, before_ms, clock_wall_us() / 1000 + 1000);
	assert_int_equal(v7.b[6] >> 4, 7);
	assert_int_equal(v7.b[8] >> 6, 2);
	assert_int_equal(v4.b[6] >> 4, 4);
	assert_int_equal(v4.b[8] >> 6, 2);
}

static void v4_is_random(void **state)
{
	uint8_t ones[16] = {0}, zeros[16] = {0};

	for (int i = 0; i < 200; i++) {
		struct uuid u = uuid_v4();

		for (int k = 0; k < 16; k++) {
			ones[k] |= u.b[k];
			zeros[k] |= (uint8_t)~u.b[k];
		}
	}
	for (int k = 0; k < 16; k++) { /* every bit but version and variant was seen in both states */
		assert_int_equal(ones[k], k == 6 ? 0x4f : k == 8 ? 0xbf : 0xff);
		assert_int_equal(zeros[k], k == 6 ? 0xbf : k == 8 ? 0x7f : 0xff);
	}
}

#define THREADS 4
#define EACH 20000

static void *take_many(void *arg)
{
	struct uuid *out = arg;

	for (int i = 0; i < EACH; i++)
		out[i] = uuid_v7();
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct uuid));
}

static void v7_increases_and_never_repeats(void **state)
{
	struct uuid *all = calloc(THREADS * EACH, sizeof(*all));
	pthread_t threads[THREADS];

	for (size_t t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, take_many, all + t * EACH), 0);
	for (size_t t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	for (size_t i = 1; i < THREADS * EACH; i++)
		assert_true(i % EACH == 0 || memcmp(&all[i - 1], &all[i], sizeof(*all)) < 0);
	qsort(all, THREADS * EACH, sizeof(*all), compare);
	for (size_t i = 1; i < THREADS * EACH; i++) /* the clock's part alone already tells them apart */
		assert_true(memcmp(&all[i - 1], &all[i], 8) < 0);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_back),
		cmocka_unit_test(malformed_texts),
		cmocka_unit_test(versions_and_time),
		cmocka_unit_test(v4_is_random),
		cmocka_unit_test(v7_increases_and_never_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
