/* Keys in their file, and values that only their own place opens. */
#include "base/buf.h"
#include "base/check.h"
#include "base/fsutil.h"
#include "catalog/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static struct err err;

static int set_up(void **state)
{
	int fd;

	strcpy(path, "/tmp/sluice-keys-XXXXXX");
	if ((fd = mkstemp(path)) < 0)
		return -1;
	close(fd);
	return unlink(path);
}

static int tear_down(void **state)
{
	(void)unlink(path);
	return 0;
}

static struct keyring *fresh(void)
{
	struct keyring *k = NULL;

	assert_int_equal(keyring_new(&k, &err), 0);
	return k;
}

static struct keyring *loaded(void)
{
	struct keyring *k = NULL;

	assert_int_equal(keyring_load(path, &k, &err), 0);
	return k;
}

static const struct sealed_at here = {"remote", "password", {{1, 2, 3}}};

static char *sealed(const struct keyring *k, const char *text)
{
	char *out = NULL;

	assert_int_equal(keyring_seal(k, &here, slice_str(text), &out, &err), 0);
	return out;
}

static int open_at(const struct keyring *k, const struct sealed_at *at, const char *stored, const char *want)
{
	char *out = NULL;
	size_t n = 0;
	int rc = keyring_open(k, at, slice_str(stored), &out, &n, &err);

	if (rc == 0) {
		assert_string_equal(out, want);
		assert_int_equal(n, strlen(want));
	} else {
		assert_null(out);
	}
	free(out);
	return rc;
}

static void test_a_value_comes_back(void **state)
{
	static const char *const texts[] = {
		"p", "pass word", "\xc3\xa9\n", "s1:0123abcd:AAAA", "0123456789abcdef0123456789abcdef"};
	struct keyring *k = fresh();

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char *a = sealed(k, texts[i]), *b = sealed(k, texts[i]);

		assert_true(keyring_is_sealed(slice_str(a)));
		assert_string_not_equal(a, b); /* a nonce of its own */
		assert_true(strlen(texts[i]) < 8 || strstr(a, texts[i]) == NULL);
		assert_int_equal(open_at(k, &here, a, texts[i]), 0);
		assert_int_equal(open_at(k, &here, b, texts[i]), 0);
		free(a);
		free(b);
	}
	assert_int_equal(open_at(k, &here, "plain", "plain"), 0);
	keyring_free(&k);
}

static void test_only_its_place_opens_it(void **state)
{
	const struct sealed_at others[] = {
		{"remote", "password", {{1, 2, 4}}},
		{"remote", "username", {{1, 2, 3}}},
		{"remotes", "password", {{1, 2, 3}}},
	};
	struct keyring *k = fresh(), *other = fresh();
	char *v = sealed(k, "secret");

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(open_at(k, &others[i], v, ""), -ERR_DENIED);
	assert_int_equal(open_at(other, &here, v, ""), -ERR_DENIED);
	free(v);
	keyring_free(&k);
	keyring_free(&other);
}

#define SECRET "51 bytes with the rest." /* base64 of them has no padding, so each of its bits counts */
/* Any byte of it changed, or any of its end missing: never another value. */
static void test_a_damaged_value_is_none(void **state)
{
	struct keyring *k = fresh();
	char *v = sealed(k, SECRET), *cut = strdup(v);
	size_t n = strlen(v);

	for (size_t i = KEYRING_PREFIX_LEN; i < n; i++) {
		char was = v[i];

		v[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(open_at(k, &here, v, ""), -ERR_DENIED);
		v[i] = was;
	}
	v[KEYRING_PREFIX_LEN - 2] ^= 1;
	assert_int_equal(open_at(k, &here, v, ""), -ERR_DENIED);
	for (size_t i = n - 1; i > KEYRING_PREFIX_LEN; i--) {
		cut[i] = '\0';
		assert_int_equal(open_at(k, &here, cut, ""), -ERR_DENIED);
	}
	free(v);
	free(cut);
	keyring_free(&k);
}

static void test_keys_and_their_file(void **state)
{
	struct keyring *k = fresh(), *again;
	char *old = sealed(k, "old"), *new, prefix[KEYRING_PREFIX_LEN + 1];
	struct stat st;

	assert_int_equal(keyring_load(path, &again, &err), -ERR_NOTFOUND);
	assert_int_equal(keyring_add(k, &err), 0);
	new = sealed(k, "new");
	assert_int_equal(keyring_save(k, path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	again = loaded();
	assert_int_equal(keyring_count(again), 2);
	assert_int_equal(open_at(again, &here, old, "old"), 0);
	assert_int_equal(open_at(again, &here, new, "new"), 0);
	keyring_prefix(again, prefix);
	assert_memory_equal(new, prefix, KEYRING_PREFIX_LEN);
	keyring_keep_first(again);
	assert_int_equal(open_at(again, &here, old, ""), -ERR_DENIED);
	assert_int_equal(open_at(again, &here, new, "new"), 0);
	for (int i = 1; i < 8; i++)
		assert_int_equal(keyring_add(again, &err), 0);
	assert_int_equal(keyring_add(again, &err), -ERR_LIMIT);
	assert_int_equal(keyring_save(again, path, &err), 0);
	keyring_free(&again);
	again = loaded();
	assert_int_equal(keyring_count(again), 8);
	free(old);
	free(new);
	keyring_free(&k);
	keyring_free(&again);
}

#define ZEROS "00000000000000000000000000000000"
static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *why;
	} files[] = {
		{"", "no key"},
		{"# nothing\n\n", "no key"},
		{"0123abcd\n", "line 1"},
		{"# x\n0123abcd " ZEROS "\n", "line 2"},
		{"0123abcd " ZEROS ZEROS "\n", "damaged"},
		{"0123abcd " ZEROS ZEROS "0\n", "line 1"},
		{"0123abcd " ZEROS ZEROS "\xff\n", "line 1"},
		{"\x01\x02\x03", "line 1"},
	};
	struct keyring *k = NULL;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		assert_int_equal(fs_replace_file(path, files[i].text, strlen(files[i].text), 0600, &err), 0);
		assert_int_equal(keyring_load(path, &k, &err), -ERR_PARSE);
		assert_null(k);
		assert_non_null(strstr(err.msg, path));
		assert_non_null(strstr(err.msg, files[i].why));
		assert_null(strstr(err.msg, ZEROS));
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_value_comes_back),
		TEST(test_only_its_place_opens_it),
		TEST(test_a_damaged_value_is_none),
		TEST(test_keys_and_their_file),
		TEST(test_bad_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
