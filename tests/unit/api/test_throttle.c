/* How often somebody may be wrong: time is a number here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/throttle.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define GUESS_NS (THROTTLE_GUESS_S * NS_PER_S)

static const uint8_t secret[32] = {1};
static const struct addr here = {{1}}, there = {{2}};

static struct throttle *made(int64_t burst)
{
	struct throttle *t = malloc(sizeof(*t));

	assert_non_null(t);
	throttle_init(t, burst, secret);
	return t;
}

static void test_the_burst_and_its_end(void **state)
{
	struct throttle *t = made(3);
	int64_t now = 1000 * NS_PER_S;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now), 0);
		throttle_failed(t, &here, SLICE("eve"), now);
	}
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now), GUESS_NS);
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now + GUESS_NS - 1), 1);
	/* one more, not three */
	now += GUESS_NS;
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now), 0);
	throttle_failed(t, &here, SLICE("eve"), now);
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now), GUESS_NS);
	/* all is forgotten in the end */
	now += 3 * GUESS_NS;
	throttle_failed(t, &here, SLICE("eve"), now);
	throttle_failed(t, &here, SLICE("eve"), now);
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now), 0);
	free(t);
}

static void test_others_do_not_wait(void **state)
{
	struct throttle *t = made(2);
	int64_t now = 5;

	for (int i = 0; i < 2; i++)
		throttle_failed(t, &here, SLICE("eve"), now);
	assert_true(throttle_wait_ns(t, &here, SLICE("eve"), now) > 0);
	assert_int_equal(throttle_wait_ns(t, &there, SLICE("eve"), now), 0);
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("adam"), now), 0);
	assert_int_equal(throttle_wait_ns(t, &here, SLICE(""), now), 0);
	throttle_passed(t, &here, SLICE("eve"));
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), now), 0);
	free(t);
}

/* One password for many users: the address waits, whomever it names, and a success of one user does not help it. */
static void test_an_address_alone(void **state)
{
	struct throttle *t = made(2);
	char user[16];

	for (int i = 0; i < 2 * THROTTLE_ADDRESS_FACTOR; i++) {
		(void)snprintf(user, sizeof(user), "user%d", i);
		assert_int_equal(throttle_wait_ns(t, &here, slice_str(user), 7), 0);
		throttle_failed(t, &here, slice_str(user), 7);
	}
	throttle_passed(t, &here, SLICE("user0"));
	assert_true(throttle_wait_ns(t, &here, SLICE("user0"), 7) > 0);
	assert_int_equal(throttle_wait_ns(t, &there, SLICE("user0"), 7), 0);
	free(t);
}

/* More guesses than the table has room for: it stays what it is, and who owes much is not pushed out by who owes little. */
static void test_the_table_is_bounded(void **state)
{
	struct throttle *t = made(3);
	char user[16];

	for (int i = 0; i < 3; i++)
		throttle_failed(t, &here, SLICE("eve"), 9);
	for (uint32_t i = 0; i < 20 * THROTTLE_SETS * THROTTLE_WAYS; i++) {
		struct addr a = {{3, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)}};

		(void)snprintf(user, sizeof(user), "u%u", i);
		throttle_failed(t, &a, slice_str(user), 9);
	}
	assert_true(throttle_wait_ns(t, &here, SLICE("eve"), 9) > 0);
	free(t);
}

static void test_off(void **state)
{
	struct throttle *t = made(0);

	for (int i = 0; i < 1000; i++)
		throttle_failed(t, &here, SLICE("eve"), 1);
	throttle_passed(t, &here, SLICE("eve"));
	assert_int_equal(throttle_wait_ns(t, &here, SLICE("eve"), 1), 0);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_burst_and_its_end),
		cmocka_unit_test(test_others_do_not_wait),
		cmocka_unit_test(test_an_address_alone),
		cmocka_unit_test(test_the_table_is_bounded),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
