/* The resolver cache: what it finds, what it forgets, and its bounds. */
#include "content/cache.h"
#include "stock.h"

#include "base/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct entry *put(struct cache *c, const char *path, uint64_t generation, int fd, size_t data_n)
{
	struct entry e = {.kind = ENTRY_FILE, .fd = fd, .size = (int64_t)data_n};

	if (data_n > 0) {
		e.data = malloc(data_n);
		assert_non_null(e.data);
		memset(e.data, path[0], data_n);
	}
	return cache_put(c, slice_str(path), generation, &e);
}

static void put_and_forget(struct cache *c, const char *path, uint64_t generation, int fd, size_t data_n)
{
	struct entry *e = put(c, path, generation, fd, data_n);

	assert_non_null(e);
	entry_unref(&e);
}

static bool has(struct cache *c, const char *path, uint64_t generation)
{
	struct entry *e = cache_get(c, slice_str(path), generation);
	bool found = e != NULL;

	entry_unref(&e);
	return found;
}

static int a_file(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_finds_what_was_put_for_this_generation(void **state)
{
	struct cache *c;
	struct entry *e;

	assert_int_equal(cache_new(100, 1000, 10, &c), 0);
	assert_false(has(c, "a", 1));
	put_and_forget(c, "a", 1, -1, 3);
	e = cache_get(c, SLICE("a"), 1);
	assert_non_null(e);
	assert_memory_equal(e->data, "aaa", 3);
	assert_false(has(c, "b", 1));
	assert_false(has(c, "", 1));
	/* Another generation, newer or older: it is gone, but who holds it goes on. */
	assert_false(has(c, "a", 2));
	assert_false(has(c, "a", 1));
	assert_memory_equal(e->data, "aaa", 3);
	entry_unref(&e);
	cache_free(&c);
}

static void test_a_second_put_replaces_the_first(void **state)
{
	struct cache *c;
	struct entry *old, *now;
	int fd = a_file();

	assert_int_equal(cache_new(100, 1000, 10, &c), 0);
	old = put(c, "a", 1, fd, 0);
	put_and_forget(c, "a", 1, -1, 5);
	now = cache_get(c, SLICE("a"), 1);
	assert_int_equal(now->size, 5);
	assert_true(is_open(fd));
	entry_unref(&old);
	assert_false(is_open(fd));
	entry_unref(&now);
	cache_free(&c);
}

static void test_least_recently_used_goes_first(void **state)
{
	struct cache *c;

	assert_int_equal(cache_new(3, 1000, 10, &c), 0);
	put_and_forget(c, "a", 1, -1, 0);
	put_and_forget(c, "b", 1, -1, 0);
	put_and_forget(c, "c", 1, -1, 0);
	assert_true(has(c, "a", 1));
	put_and_forget(c, "d", 1, -1, 0);
	assert_false(has(c, "b", 1));
	assert_true(has(c, "a", 1) && has(c, "c", 1) && has(c, "d", 1));
	cache_free(&c);
}

static void test_bounds_of_bytes_and_files(void **state)
{
	struct cache *c;
	struct entry *e;
	int fds[3];

	assert_int_equal(cache_new(100, 10, 2, &c), 0);
	put_and_forget(c, "a", 1, -1, 4);
	put_and_forget(c, "b", 1, -1, 6);
	assert_true(has(c, "a", 1) && has(c, "b", 1));
	put_and_forget(c, "c", 1, -1, 1);
	assert_false(has(c, "a", 1)); /* "a" was asked for before "b" just now */
	assert_true(has(c, "b", 1) && has(c, "c", 1));
	for (int i = 0; i < 3; i++) {
		char path[2] = {(char)('x' + i), '\0'};

		put_and_forget(c, path, 1, fds[i] = a_file(), 0);
	}
	assert_false(is_open(fds[0]));
	assert_true(is_open(fds[1]) && is_open(fds[2]));
	/* Larger than all there may be: not kept, and good for who has it. */
	e = put(c, "huge", 1, -1, 11);
	assert_non_null(e);
	assert_false(has(c, "huge", 1));
	assert_memory_equal(e->data, "hhhhhhhhhhh", 11);
	entry_unref(&e);
	cache_free(&c);
	assert_false(is_open(fds[1]) || is_open(fds[2]));
}

static void test_drop_is_for_once(void **state)
{
	struct cache *c;
	struct entry *e;
	int fd = a_file();

	assert_int_equal(cache_new(1, 1000, 10, &c), 0);
	e = put(c, "a", 1, fd, 0);
	cache_drop(e);
	cache_drop(e);
	assert_false(has(c, "a", 1));
	assert_true(is_open(fd));
	put_and_forget(c, "b", 1, -1, 0);
	cache_drop(e); /* has nothing to do with what is there now */
	assert_true(has(c, "b", 1));
	cache_free(&c);
	cache_drop(e); /* nor with a cache that is gone */
	entry_unref(&e);
	assert_false(is_open(fd));
}

/* The table grows with it, and stays right. */
static void test_many_entries(void **state)
{
	enum { MANY = 5000 };
	struct cache *c;
	char path[32];

	assert_int_equal(cache_new(MANY, 1000, 10, &c), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++) {
			snprintf(path, sizeof(path), "%c/file-%d", 'a' + round, i);
			put_and_forget(c, path, 1, -1, 0);
		}
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "a/file-%d", i);
		assert_false(has(c, path, 1));
		path[0] = 'b';
		assert_true(has(c, path, 1));
	}
	cache_free(&c);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_finds_what_was_put_for_this_generation),
		T(test_a_second_put_replaces_the_first),
		T(test_least_recently_used_goes_first),
		T(test_bounds_of_bytes_and_files),
		T(test_drop_is_for_once),
		T(test_many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
