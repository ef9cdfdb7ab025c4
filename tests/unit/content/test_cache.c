/* The resolver cache: what it finds, what it forgets, and its bounds. */
#include "content/cache.h"
#include "stock.h"

#include "base/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY_BYTES 1000000

static struct entry *put(struct cache *c, const char *path, uint64_t generation, int fd, size_t data_n)
{
	struct entry e = {.kind = ENTRY_FILE, .fd = fd, .size = (int64_t)data_n};

	if (data_n > 0) {
		e.room = malloc(HTTP_READY_ROOM + data_n);
		assert_non_null(e.room);
		e.data = e.room + HTTP_READY_ROOM;
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

static void test_forgetting_artifacts(void **state)
{
	const int64_t gone[] = {3, 5, 1000};
	int fd3 = a_file(), fd4 = a_file();
	struct entry *e;
	struct cache *c;

	assert_int_equal(cache_new(100, 1000000, 10, &c), 0);
	e = put(c, "three", 1, fd3, 0);
	e->what.artifact_id = 3;
	entry_unref(&e);
	e = put(c, "four", 1, fd4, 0);
	e->what.artifact_id = 4;
	entry_unref(&e);
	e = put(c, "five", 1, -1, 5);
	e->what.artifact_id = 5; /* and somebody is being sent it */
	put_and_forget(c, "none", 1, -1, 0);
	cache_forget(c, gone, ARRAY_LEN(gone));
	assert_false(has(c, "three", 1));
	assert_true(has(c, "four", 1) && has(c, "none", 1));
	assert_false(has(c, "five", 1));
	assert_false(is_open(fd3));
	assert_true(is_open(fd4));
	assert_memory_equal(e->data, "fffff", 5);
	entry_unref(&e);
	cache_free(&c);
}

static void test_sweeping_another_generation(void **state)
{
	int old[3] = {a_file(), a_file(), a_file()}, now = a_file();
	struct cache *c;

	assert_int_equal(cache_new(100, 1000000, 10, &c), 0);
	put_and_forget(c, "a", 1, old[0], 0);
	put_and_forget(c, "b", 1, old[1], 0);
	put_and_forget(c, "nothing", 1, -1, 0);
	put_and_forget(c, "c", 2, now, 0);
	put_and_forget(c, "d", 1, old[2], 0);
	cache_sweep(c, 2, 1);
	assert_true(!is_open(old[0]) && is_open(old[1]));
	cache_sweep(c, 2, 100);
	assert_true(!is_open(old[1]) && !is_open(old[2]) && is_open(now));
	assert_true(has(c, "c", 2) && has(c, "nothing", 1));
	cache_sweep(c, 2, 100);
	cache_free(&c);
}

static void test_what_was_not_used_goes_first(void **state)
{
	struct cache *c;

	assert_int_equal(cache_new(3, 1000, 10, &c), 0);
	for (int i = 0; i < 3; i++)
		put_and_forget(c, (char[]){(char)('a' + i), '\0'}, 1, -1, 0);
	put_and_forget(c, "d", 1, -1, 0); /* all were used when they came: the oldest goes */
	assert_true(has(c, "b", 1) && has(c, "c", 1) && has(c, "d", 1) && !has(c, "a", 1));
	put_and_forget(c, "e", 1, -1, 0); /* again */
	assert_true(has(c, "c", 1) && !has(c, "b", 1));
	put_and_forget(c, "f", 1, -1, 0); /* "c" was asked for since, "d" was not */
	assert_true(has(c, "c", 1) && has(c, "e", 1) && has(c, "f", 1) && !has(c, "d", 1));
	cache_free(&c);
}

/* However many were used, the search for the next to go ends soon; it just goes by age then. */
static void test_the_search_is_bounded(void **state)
{
	enum { MANY = 1000 };
	struct cache *c;
	char path[32];
	int left = 0;

	assert_int_equal(cache_new(MANY, 1000, 10, &c), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "file-%d", i);
		put_and_forget(c, path, 1, -1, 0);
	}
	put_and_forget(c, "new", 1, -1, 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "file-%d", i);
		left += has(c, path, 1);
	}
	assert_int_equal(left, MANY - 1);
	assert_true(has(c, "file-0", 1)); /* spared; the one behind those that were is gone */
	assert_false(has(c, "file-64", 1));
	cache_free(&c);
}

static void test_bounds_of_bytes_and_files(void **state)
{
	struct cache *c;
	struct entry *e;
	int fds[3];

	/* Heads to come count, too. */
	assert_int_equal(cache_new(100, 10 + 2 * HTTP_READY_ROOM, 2, &c), 0);
	put_and_forget(c, "a", 1, -1, 4);
	put_and_forget(c, "b", 1, -1, 6);
	assert_true(has(c, "b", 1));
	put_and_forget(c, "c", 1, -1, 1);
	assert_false(has(c, "a", 1)); /* only "b" was asked for */
	assert_true(has(c, "b", 1) && has(c, "c", 1));
	for (int i = 0; i < 3; i++) {
		char path[2] = {(char)('x' + i), '\0'};

		put_and_forget(c, path, 1, fds[i] = a_file(), 0);
	}
	assert_false(is_open(fds[0]));
	assert_true(is_open(fds[1]) && is_open(fds[2]));
	/* Larger than all there may be: not kept, and good for who has it. */
	e = put(c, "huge", 1, -1, 11 + 2 * HTTP_READY_ROOM);
	assert_non_null(e);
	assert_false(has(c, "huge", 1));
	assert_memory_equal(e->data, "hhhhhhhhhhh", 11);
	entry_unref(&e);
	cache_free(&c);
	assert_false(is_open(fds[1]) || is_open(fds[2]));
}

/* For want of descriptors what is saved only gives up its own; for want of entries it goes. */
static void test_what_is_saved_stays_known(void **state)
{
	struct cache *c;
	struct entry *e, *held;
	int fds[4];

	assert_int_equal(cache_new(4, MANY_BYTES, 2, &c), 0);
	for (int i = 0; i < 3; i++) {
		struct entry from = {.kind = ENTRY_FILE, .fd = fds[i] = a_file(), .size = 100000 + i, .in_store = true};

		e = cache_put(c, slice_of(&"abc"[i], 1), 1, &from);
		assert_non_null(e);
		entry_unref(&e);
	}
	assert_false(is_open(fds[0]));
	assert_true(is_open(fds[1]) && is_open(fds[2]));
	e = cache_get(c, SLICE("a"), 1);
	assert_non_null(e);
	assert_true(e->fd == -1 && e->data == NULL && e->ready.p == NULL && e->in_store && e->size == 100000);
	/* Got again, it counts again; "b" is being sent to somebody, and goes altogether. */
	held = cache_get(c, SLICE("b"), 1);
	assert_true(has(c, "c", 1));
	e->fd = fds[3] = a_file();
	cache_holds(e);
	assert_false(has(c, "b", 1));
	assert_true(is_open(fds[1]) && is_open(fds[2]) && is_open(fds[3]));
	entry_unref(&held);
	assert_false(is_open(fds[1]));
	entry_unref(&e);
	for (int i = 0; i < 3; i++)
		put_and_forget(c, (char[]){(char)('x' + i), '\0'}, 1, -1, 0);
	assert_int_equal(has(c, "a", 1) + has(c, "c", 1), 1);
	cache_free(&c);
	assert_false(is_open(fds[2]) || is_open(fds[3]));
}

/* Memory likewise; and an entry that is not in the cache any more may get its own again. */
static void test_small_bodies_are_given_up_and_got_again(void **state)
{
	struct cache *c;
	struct entry *e;

	assert_int_equal(cache_new(10, 2 * HTTP_READY_ROOM, 2, &c), 0);
	for (int i = 0; i < 2; i++) {
		struct entry from = {.kind = ENTRY_FILE, .fd = -1, .size = 10, .in_store = true};

		from.room = malloc(HTTP_READY_ROOM + 10);
		from.data = from.room + HTTP_READY_ROOM;
		e = cache_put(c, slice_of(&"ab"[i], 1), 1, &from);
		entry_unref(&e);
	}
	e = cache_get(c, SLICE("a"), 1);
	assert_non_null(e);
	assert_null(e->room);
	cache_drop(e);
	e->room = malloc(HTTP_READY_ROOM + 10);
	e->data = e->room + HTTP_READY_ROOM;
	cache_holds(e);
	assert_false(has(c, "a", 1));
	entry_unref(&e);
	assert_true(has(c, "b", 1));
	cache_free(&c);
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
		T(test_forgetting_artifacts),
		T(test_sweeping_another_generation),
		T(test_what_was_not_used_goes_first),
		T(test_the_search_is_bounded),
		T(test_bounds_of_bytes_and_files),
		T(test_what_is_saved_stays_known),
		T(test_small_bodies_are_given_up_and_got_again),
		T(test_drop_is_for_once),
		T(test_many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
