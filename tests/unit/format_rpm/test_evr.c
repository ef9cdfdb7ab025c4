/* Which version is newer: a table of cases in the order of rpm's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "formats/rpm/evr.h"

/* Each is older than the next one, or the same when it begins with '='. */
static const char *const rows[][8] = {
	{"1.0", "=1.0", "2.0", "2.0.1", "2.0.1a", "=2.0.1a", "5.5p1", "5.5p2"},
	{"5.5p1", "5.5p10", "10xyz", "10.1xyz"},
	{"xyz", "xyz.4", "8", "=8"},
	{"5.6p1", "6.5p1", "6.6"},
	{"1b.fc17", "1.fc17"},
	{"1.fc17", "1g.fc17"},
	{"FC5", "fc4"},
	{"2a", "2.0"},
	{"1.00", "1.0.z"},
	{"2.50", "=2.0050", "2.51"},
	{"20101121", "=20101121", "20101122"},
	{"1", "=01", "=_1", "=1_", "=1._+"},
	{"a", "=a+", "=a_", "=+a"},
	{"1.0~rc1", "=1.0~rc1", "1.0~rc2", "1.0"},
	{"1.0~rc1~git123", "1.0~rc1", "1.0", "1.0arc1"},
	{"1.0", "1.0^", "=1.0^", "1.0^git1", "1.0^git2", "1.01"},
	{"1.0^20160101", "1.0.1"},
	{"1.0^20160101", "1.0^20160102", "1.0.1^git1"},
	{"1.0~rc1", "1.0~rc1^git1", "1.0", "1.0^git1"},
	{"1.0^git1~pre", "1.0^git1"},
	{"1.0", "1.0^20160101~pre", "1.0^20160101"},
	{"0001", "99999999999999999999998", "99999999999999999999999", "100000000000000000000000"},
	{"", "=-", "0"},
	{"~", "", "^"},
};

static int sign(int c)
{
	return (c > 0) - (c < 0);
}

static void versions(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t k = 1; k < ARRAY_LEN(rows[i]) && rows[i][k] != NULL; k++) {
			const char *a = rows[i][k - 1], *b = rows[i][k];
			bool same = b[0] == '=';

			a += a[0] == '=';
			b += same;
			if (sign(evr_segments(slice_str(a), slice_str(b))) != (same ? 0 : -1) ||
				sign(evr_segments(slice_str(b), slice_str(a))) != (same ? 0 : 1))
				fail_msg("'%s' and '%s'", a, b);
		}
	}
}

static void whole_ones(void **state)
{
	static const char *const rising[] = {"a-9:1-1.x", "a-10:1~1-9.x", "a-10:1-1.x", "a-10:1-1^2.x", "a-10:1-2.x"};
	struct slice name, arch;
	struct evr before, e;

	for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
		assert_true(evr_of_nevra(slice_str(rising[i]), &name, &arch, &e));
		assert_true(slice_eq(name, SLICE("a")) && slice_eq(arch, SLICE("x")));
		if (i > 0)
			assert_true(evr_compare(&before, &e) < 0 && evr_compare(&e, &before) > 0);
		assert_int_equal(evr_compare(&e, &e), 0);
		before = e;
	}
	assert_true(evr_of_nevra(SLICE("g++-x-0:1.2-3.fc38.noarch"), &name, &arch, &e));
	assert_true(slice_eq(name, SLICE("g++-x")) && slice_eq(e.release, SLICE("3.fc38")) &&
		    slice_eq(e.version, SLICE("1.2")));
	assert_false(evr_of_nevra(SLICE("nothing"), &name, &arch, &e));
	assert_false(evr_of_nevra(SLICE("a-1.x"), &name, &arch, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),
		cmocka_unit_test(whole_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
