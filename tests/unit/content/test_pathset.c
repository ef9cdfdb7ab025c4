/* The filter: never "no" for what is there, directories included, and rarely "perhaps" for what is not. */
#include "content/pathset.h"
#include "stock.h"

#include "base/check.h"
#include "catalog/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void declare_many(struct stock *s, int64_t repository, const char *const *paths, size_t count)
{
	struct change_opts opts = {.repository_id = repository, .base_number = -1};
	struct change_artifact *a = calloc(count, sizeof(*a));
	struct change_unit *u = calloc(count, sizeof(*u));
	struct change_result result;
	struct change *ch;

	assert_true(a != NULL && u != NULL);
	for (size_t i = 0; i < count; i++) {
		a[i] = (struct change_artifact){.relative_path = slice_str(paths[i]), .size = 1};
		u[i] = (struct change_unit){.type = SLICE("file.file"),
			.natural_key = slice_str(paths[i]),
			.artifacts = &a[i],
			.artifact_count = 1};
	}
	MUST(change_begin(s->catalog, &opts, &ch, &err));
	for (size_t at = 0; at < count; at += 1000)
		MUST(change_declare(ch, u + at, MIN(count - at, 1000), &err));
	MUST(change_finish(&ch, &result, &err));
	free(a);
	free(u);
}

static struct pathset *build(struct stock *s, int64_t repository, int64_t version)
{
	struct served_set set = {.repository_id = repository, .version_number = version, .pass_through = true};
	struct pathset *p = NULL;
	struct txn *t;

	MUST(catalog_read(s->catalog, &t, &err));
	MUST(pathset_build(t, &set, &p, &err));
	txn_end(&t);
	return p;
}

static bool maybe(const struct pathset *p, const char *path)
{
	return pathset_maybe(p, slice_str(path));
}

static void test_paths_and_their_directories(void **state)
{
	static const char *const paths[] = {
		"a", "a-b/c", "a.d/e", "b/c/d/e", "b/c/d/f", "b/c-/x", "b/x", "z\xc3\xa4/\xc3\xb6"};
	static const char *const there[] = {"a", "a-b", "a-b/c", "a.d", "a.d/e", "b", "b/c", "b/c/d", "b/c/d/e",
		"b/c/d/f", "b/c-", "b/c-/x", "b/x", "z\xc3\xa4", "z\xc3\xa4/\xc3\xb6"};
	static const char *const missing[] = {
		"c", "a/", "a/b", "b/", "/b", "b/c/d/g", "b/c/", "a-", "a-b/", "z", "A", "b/c/d/e/f", ""};
	struct stock s;
	struct pathset *p, *same;
	int64_t repository;

	stock_open(&s, 1, 10);
	repository = stock_repository(&s, "r");
	declare_many(&s, repository, paths, ARRAY_LEN(paths));
	p = build(&s, repository, 1);
	for (size_t i = 0; i < ARRAY_LEN(there); i++)
		assert_true(maybe(p, there[i]));
	for (size_t i = 0; i < ARRAY_LEN(missing); i++)
		assert_false(maybe(p, missing[i]));
	same = pathset_ref(p);
	pathset_unref(&p);
	assert_true(maybe(same, "a"));
	pathset_unref(&same);
	/* Nothing is in an empty version. */
	p = build(&s, repository, 0);
	assert_false(maybe(p, "a"));
	pathset_unref(&p);
	stock_close(&s);
}

static void test_rarely_perhaps(void **state)
{
	enum { MANY = 20000, UNKNOWN = 200000 };
	char **paths = calloc(MANY, sizeof(*paths)), path[64];
	struct stock s;
	struct pathset *p;
	int64_t repository;
	int wrong = 0;

	assert_non_null(paths);
	stock_open(&s, 1, 10);
	repository = stock_repository(&s, "r");
	for (int i = 0; i < MANY; i++)
		assert_true(asprintf(&paths[i], "Packages/%c/package-%d.x86_64.rpm", 'a' + i % 26, i) > 0);
	declare_many(&s, repository, (const char *const *)paths, MANY);
	p = build(&s, repository, 1);
	for (int i = 0; i < MANY; i++)
		assert_true(maybe(p, paths[i]));
	for (int i = 0; i < UNKNOWN; i++) {
		snprintf(path, sizeof(path), "Packages/%c/package-%d.x86_64.rpm", 'a' + i % 26, i + MANY);
		wrong += maybe(p, path);
	}
	assert_true(wrong < UNKNOWN / 1000);
	for (int i = 0; i < MANY; i++)
		free(paths[i]);
	free(paths);
	pathset_unref(&p);
	stock_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_and_their_directories),
		cmocka_unit_test(test_rarely_perhaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
