/* Bodies of memory and of files: what is ready where, and who is told at the end. */
#include "base/body.h"

#include "base/check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const char text[] = "0123456789";
#define TEXT_N 10

static int released;
static int released_fd;

static void on_release(void *arg)
{
	assert_ptr_equal(arg, &released);
	released++;
}

static void on_release_fd(void *arg, int fd)
{
	on_release(arg);
	released_fd = fd;
}

static int open_text(void)
{
	int fd = memfd_create("test_body", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, TEXT_N), TEXT_N);
	return fd;
}

/* What holds for every complete body of the ten digits. */
static void check(struct body *b)
{
	char got[32];
	struct wake w = {0};

	assert_non_null(b);
	assert_int_equal(b->ops->size(b), TEXT_N);
	assert_int_equal(b->ops->ready(b, 0), TEXT_N);
	assert_int_equal(b->ops->ready(b, 4), 6);
	assert_int_equal(b->ops->ready(b, TEXT_N), 0);
	assert_int_equal(b->ops->ready(b, TEXT_N + 5), 0); /* not a failure */
	assert_int_equal(b->ops->wait(b, TEXT_N, &w), 1);
	b->ops->unwait(b, &w);
	assert_null(w.on);
	assert_int_equal(b->ops->read(b, 0, got, sizeof(got)), TEXT_N);
	assert_memory_equal(got, text, TEXT_N);
	assert_int_equal(b->ops->read(b, 7, got, 2), 2);
	assert_memory_equal(got, "78", 2);
	assert_int_equal(b->ops->read(b, TEXT_N, got, 1), 0);
	assert_int_equal(b->ops->read(b, TEXT_N + 5, got, 1), 0);
}

static void check_and_end(struct body *b)
{
	check(b);
	b->ops->done(&b);
	assert_null(b);
}

static int reset(void **state)
{
	released = 0;
	released_fd = -1;
	return 0;
}

static void test_copied_memory(void **state)
{
	char own[TEXT_N];
	struct body *b;
	size_t n = 0;

	memcpy(own, text, TEXT_N);
	b = body_memory(own, TEXT_N);
	memset(own, 'x', TEXT_N);
	assert_non_null(b);
	assert_memory_equal(body_peek(b, &n), text, TEXT_N);
	assert_int_equal(n, TEXT_N);
	assert_int_equal(b->ops->fd(b), -1);
	check_and_end(b);
}

static void test_empty_memory(void **state)
{
	struct body *b = body_memory(NULL, 0);

	assert_non_null(b);
	assert_int_equal(b->ops->size(b), 0);
	assert_int_equal(b->ops->ready(b, 0), 0);
	b->ops->done(&b);
}

static void test_memory_with_an_owner(void **state)
{
	char *taken = malloc(TEXT_N);

	assert_non_null(taken);
	memcpy(taken, text, TEXT_N);
	check_and_end(body_memory_take(taken, TEXT_N));
	check_and_end(body_memory_shared(text, TEXT_N, on_release, &released));
	assert_int_equal(released, 1);
	check_and_end(body_memory_shared(text, TEXT_N, NULL, NULL));
}

static void test_file(void **state)
{
	int fd = open_text();
	struct body *b = body_file(fd, TEXT_N, NULL, NULL, NULL);
	size_t n;

	assert_non_null(b);
	assert_int_equal(b->ops->fd(b), fd);
	assert_null(body_peek(b, &n));
	check_and_end(b);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
}

static void test_file_with_an_owner(void **state)
{
	int fd = open_text();

	check_and_end(body_file(fd, TEXT_N, NULL, on_release_fd, &released));
	assert_int_equal(released, 1);
	assert_int_equal(released_fd, fd);
	assert_int_equal(close(fd), 0);
}

static void test_in_an_arena(void **state)
{
	struct arena a;
	int fd = open_text();

	arena_init(&a, 1000);
	check_and_end(body_memory_in(&a, text, TEXT_N, on_release, &released));
	check_and_end(body_memory_in(&a, text, TEXT_N, NULL, NULL));
	check_and_end(body_file_in(&a, fd, TEXT_N, NULL, on_release_fd, &released));
	check_and_end(body_file_in(&a, fd, TEXT_N, NULL, NULL, NULL));
	assert_int_equal(released, 2);
	assert_int_equal(close(fd), 0); /* still open: nobody else closed it */
	arena_fini(&a);
	arena_init(&a, 1);
	assert_null(body_memory_in(&a, text, TEXT_N, on_release, &released));
	assert_null(body_file_in(&a, -1, TEXT_N, NULL, on_release_fd, &released));
	assert_int_equal(released, 2);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_copied_memory, reset),
		cmocka_unit_test_setup(test_empty_memory, reset),
		cmocka_unit_test_setup(test_memory_with_an_owner, reset),
		cmocka_unit_test_setup(test_file, reset),
		cmocka_unit_test_setup(test_file_with_an_owner, reset),
		cmocka_unit_test_setup(test_in_an_arena, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
