/* The filters of header guards: what they pick, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "guard/json_path.h"

static void test_what_is_picked(void **state)
{
	static const char document[] = "{\"identity\":{\"org_id\":\"12\",\"a b\":[1,[2,3],{\"x\":true}],\"n\":null}}";
	static const struct {
		const char *path, *value; /* NULL: nothing */
	} cases[] = {
		{".identity.org_id", "\"12\""},
		{" .identity | .org_id ", "\"12\""},
		{".identity[\"org_id\"]", "\"12\""},
		{".[\"identity\"].org_id", "\"12\""},
		{".\"identity\".\"org_id\"", "\"12\""},
		{".identity?.org_id?", "\"12\""},
		{".identity[\"a b\"][0]", "1"},
		{".identity.\"a b\"[1][-1]", "3"},
		{".identity.\"a b\"|.[2]|.x", "true"},
		{".identity[\"\\u0061 b\"][0]", "1"},
		{".identity.n", "null"},
		{".identity.\"a b\"[3]", NULL},
		{".identity.\"a b\"[-4]", NULL},
		{".identity.missing", NULL},
		{".identity.missing.more", NULL},
		{".identity.org_id.deep", NULL},
		{".identity[0]", NULL},
		{".", document},
	};
	json_t *doc = json_loads(document, 0, NULL);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *want = cases[i].value != NULL ? json_loads(cases[i].value, JSON_DECODE_ANY, NULL) : NULL;
		struct err err = ERR_INIT;
		struct json_path *p = NULL;
		const json_t *have;

		if (json_path_new(slice_str(cases[i].path), &p, &err) < 0)
			fail_msg("%s: %s", cases[i].path, err.msg);
		have = json_path_apply(p, doc);
		if ((want == NULL) != (have == NULL) || (want != NULL && !json_equal(want, have)))
			fail_msg("%s picks something else", cases[i].path);
		json_path_free(&p);
		json_decref(want);
	}
	json_decref(doc);
}

static void test_what_is_no_path(void **state)
{
	static const char *const wrong[] = {"", " ", "a", "..a", ".a..b", ".a b", ".a |", "| .a", ".[", ".[]", ".[a]",
		".[\"a]", ".[1", ".[1x]", ".a == 1", ".a, .b", "length", ".a | length", ".\"a", ".[99999999999]",
		".[\"\\x\"]", ".a | | .b"};
	char many[200];

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err err = ERR_INIT;
		struct json_path *p = NULL;

		if (json_path_new(slice_str(wrong[i]), &p, &err) != -ERR_INVAL)
			fail_msg("'%s' was taken", wrong[i]);
		assert_null(p);
	}
	for (size_t i = 0; i + 1 < sizeof(many); i += 2)
		memcpy(many + i, ".a", 2);
	assert_int_equal(json_path_new(slice_of(many, sizeof(many)), &(struct json_path *){NULL}, NULL), -ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_picked),
		cmocka_unit_test(test_what_is_no_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
