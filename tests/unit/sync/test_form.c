/* What is well-formed for certain, and what jansson is to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/check.h"
#include "sync/form.h"

static const struct {
	const char *text;
	bool sure;
} texts[] = {
	{"{}", true},
	{"{ }", true},
	{"{\"a\":1,\"b\":[],\"c\":{\"d\":[null,true,false,-7,\"x\"]}}", true},
	{"{\"a\": [1, 2],\n \"b\": \"\"}", true},
	{"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\"}", true},
	{"{\"a\":\"\xc3\xa4\"}", true},
	{"{\"a\":123456789012345678}", true},
	{"{\"a\":0}", true},
	/* well-formed, but more than it knows */
	{"{\"a\":1.5}", false},
	{"{\"a\":1e3}", false},
	{"{\"a\":1234567890123456789}", false},
	{"{\"a\":\"\\u00e4\"}", false},
	{"{\"a\":\"\\ud83d\\ude00\"}", false},
	/* not well-formed */
	{"", false},
	{"{", false},
	{"}", false},
	{"[]", false},
	{"1", false},
	{"{}x", false},
	{"{} ", false},
	{"{\"a\"}", false},
	{"{\"a\":}", false},
	{"{\"a\":1,}", false},
	{"{,}", false},
	{"{a:1}", false},
	{"{\"a\":[1,]}", false},
	{"{\"a\":[1 2]}", false},
	{"{\"a\":[1}", false},
	{"{\"a\":01}", false},
	{"{\"a\":-}", false},
	{"{\"a\":+1}", false},
	{"{\"a\":nul}", false},
	{"{\"a\":\"\n\"}", false},
	{"{\"a\":\"x}", false},
	{"{\"a\":\"\\\"}", false},
	{"{\"a\":\"\\x\"}", false},
	{"{\"a\":\"\\u0000\"}", false},
	{"{\"a\":\"\\u00\"}", false},
	{"{\"a\":\"\xff\"}", false},
};

static void test_texts(void **unused)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (form_is_object(slice_str(texts[i].text)) != texts[i].sure)
			fail_msg("%s", texts[i].text);
}

static void test_depth_has_an_end(void **unused)
{
	char deep[4096];

	for (size_t n = 1; n < sizeof(deep) - 8; n *= 2) {
		memcpy(deep, "{\"a\":", 5);
		memset(deep + 5, '[', n);
		assert_false(form_is_object(slice_of(deep, 5 + n)));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_depth_has_an_end),
	};

	return cmocka_run_group_tests_name("form", tests, NULL, NULL);
}
