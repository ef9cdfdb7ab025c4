/* Which formats there are, and which shared objects are refused. */
#include "base/check.h"
#include "cmd/formats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int do_sync(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return 0;
}

static int do_publish(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return 0;
}

static const struct sluice_format good = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "toy",
	.kind = "toy",
	.version = "1",
	.model = "Toy",
	.policies = SLUICE_ON_DEMAND,
	.content_type = "toy.toy",
	.content_plural = "toys",
	.task_sync = "toy.sync",
	.task_publish = "toy.publish",
	.sync = do_sync,
	.publish = do_publish,
};

static void test_built_in(void **state)
{
	static const char *const names[] = {"deb", "file", "rpm"};
	struct formats f;

	assert_true(formats_need_publication("file.file")); /* nothing loaded: the careful answer */
	assert_int_equal(formats_load("", &f, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t at = 0;

		while (at < (size_t)f.count && strcmp(f.list[at]->name, names[i]) != 0)
			at++;
		assert_true(at < (size_t)f.count);
		assert_int_equal(formats_check(&(struct formats){0}, f.list[at], NULL), 0);
	}
	assert_null(f.list[f.count]);
	assert_true(formats_need_publication("file.file"));
	assert_true(formats_need_publication("unknown.unknown"));
	formats_unload(&f);
	assert_int_equal(f.count, 0);
}

static void test_checks(void **state)
{
	struct formats f;

	assert_int_equal(formats_load("", &f, NULL), 0);
	assert_int_equal(formats_check(&f, &good, NULL), 0);
#define BAD(field, value)                                                    \
	do {                                                                 \
		struct sluice_format bad = good;                             \
		bad.field = value;                                           \
		assert_int_equal(formats_check(&f, &bad, NULL), -ERR_INVAL); \
	} while (0)
	BAD(abi, SLUICE_FORMAT_ABI + 1);
	BAD(name, NULL);
	BAD(name, "");
	BAD(name, "../x");
	BAD(name, "Toy");
	BAD(kind, "a b");
	BAD(model, NULL);
	BAD(version, "");
	BAD(content_type, NULL);
	BAD(content_plural, "");
	BAD(task_sync, NULL);
	BAD(task_publish, NULL);
	BAD(policies, 0);
	BAD(sync, NULL);
	BAD(publish, NULL);
	BAD(more_publications, ((const struct sluice_publication_kind[]){{.kind = "verbatim"}, {.kind = NULL}}));
#undef BAD
	formats_unload(&f);
}

static void test_name_is_taken(void **state)
{
	struct sluice_format twin = good;
	struct formats f;

	assert_int_equal(formats_load("", &f, NULL), 0);
	twin.name = twin.kind = "file";
	assert_int_equal(formats_check(&f, &twin, NULL), -ERR_INVAL);
	formats_unload(&f);
}

static void test_plugins_that_cannot_be_loaded(void **state)
{
	static const struct {
		const char *plugins, *says;
	} rows[] = {
		{"relative.so", "begin with /"},
		{"/nowhere/plugin.so", "/nowhere/plugin.so"},
		{" , /nowhere/plugin.so", "/nowhere/plugin.so"},
		{"/proc/self/exe", "loaded"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		struct formats f;

		assert_int_equal(formats_load(rows[i].plugins, &f, &err), -ERR_INVAL);
		assert_non_null(strstr(err.msg, rows[i].says));
		assert_int_equal(f.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_built_in),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_name_is_taken),
		cmocka_unit_test(test_plugins_that_cannot_be_loaded),
	};

	return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
