#include "base/fsutil.h"

#include "base/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test works in a directory of its own, which is the current one. */
static char dir[64];

static int enter_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/test_fsutil.XXXXXX");
	return mkdtemp(dir) != NULL ? chdir(dir) : -1;
}

static int leave_dir(void **state)
{
	return chdir("/") != 0 ? -1 : fs_remove_tree(dir, NULL);
}

static void make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text), NULL), 0);
	fs_close(&fd);
	assert_int_equal(fd, -1);
}

static void assert_file(const char *path, const char *want)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(fs_read_file(path, 1 << 20, &b, NULL), 0);
	assert_string_equal(b.p, want);
	buf_fini(&b);
}

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void positioned_reads_and_writes(void **state)
{
	int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct err e = ERR_INIT;
	char got[8] = "";

	assert_int_equal(fs_pwrite_all(fd, "abcdef", 6, 2, NULL), 0);
	assert_int_equal(fs_pwrite_all(fd, "XY", 2, 0, NULL), 0);
	assert_int_equal(fs_pread_all(fd, got, 8, 0, NULL), 0);
	assert_memory_equal(got, "XYabcdef", 8);
	assert_int_equal(fs_pread_all(fd, got, 0, 100, NULL), 0);
	assert_int_equal(fs_pread_all(fd, got, 4, 6, &e), -ERR_TRUNCATED);
	assert_non_null(strstr(e.msg, "ends at 8"));
	fs_close(&fd);
	assert_int_equal(fs_pread_all(fd, got, 1, 0, NULL), -ERR_IO);
	assert_int_equal(fs_pwrite_all(fd, got, 1, 0, NULL), -ERR_IO);
	assert_int_equal(fs_write_all(fd, got, 1, NULL), -ERR_IO);
	fs_close(&fd); /* of nothing */
}

static void whole_files_up_to_a_maximum(void **state)
{
	struct buf b = BUF_INIT(0), small = BUF_INIT(3);
	struct err e = ERR_INIT;
	char *big = malloc(100001);

	assert_int_equal(fs_read_file("none", 10, &b, &e), -ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "none"));
	assert_int_equal(fs_read_file(".", 10, &b, NULL), -ERR_IO);
	make_file("f", "12345");
	assert_int_equal(fs_read_file("f", 4, &b, NULL), -ERR_LIMIT);
	buf_reset(&b);
	assert_int_equal(fs_read_file("f", 5, &b, NULL), 0);
	assert_int_equal(fs_read_file("f", 5, &b, NULL), 0); /* appends */
	assert_string_equal(b.p, "1234512345");
	assert_int_equal(fs_read_file("f", 5, &small, NULL), -ERR_LIMIT);
	buf_reset(&b);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	make_file("big", big);
	assert_int_equal(fs_read_file("big", 99999, &b, NULL), -ERR_LIMIT);
	buf_reset(&b);
	assert_int_equal(fs_read_file("big", 100000, &b, NULL), 0);
	assert_string_equal(b.p, big);
	free(big);
	buf_fini(&b);
	buf_fini(&small);
}

static void replace_is_new_content_and_mode(void **state)
{
	mode_t old = umask(077);
	struct stat st;

	assert_int_equal(fs_replace_file("f", "one", 3, 0644, NULL), 0);
	assert_file("f", "one");
	assert_int_equal(fs_replace_file("f", "", 0, 0600, NULL), 0);
	assert_file("f", "");
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(fs_replace_file("d/f", "two", 3, 0640, NULL), 0);
	assert_int_equal(stat("d/f", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640); /* whatever the umask */
	umask(old);
	assert_int_equal(count_entries("."), 2);
	assert_int_equal(count_entries("d"), 1);
}

/* Whoever has the old file open keeps it whole: the new one is another file. */
static void replace_leaves_readers_alone(void **state)
{
	char got[3];
	int fd;

	assert_int_equal(fs_replace_file("f", "old", 3, 0600, NULL), 0);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fs_replace_file("f", "new", 3, 0600, NULL), 0);
	assert_int_equal(fs_pread_all(fd, got, 3, 0, NULL), 0);
	assert_memory_equal(got, "old", 3);
	fs_close(&fd);
	assert_file("f", "new");
}

static void a_failed_replace_leaves_nothing_behind(void **state)
{
	char *deep = malloc(5001);
	struct err e = ERR_INIT;

	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(mkdir("d/sub", 0700), 0);
	assert_int_equal(fs_replace_file("d", "x", 1, 0600, &e), -ERR_IO); /* a directory */
	assert_non_null(strstr(e.msg, "rename"));
	assert_int_equal(count_entries("."), 1);
	assert_int_equal(fs_replace_file("none/f", "x", 1, 0600, NULL), -ERR_NOTFOUND);
	memset(deep, 'x', 5000);
	deep[5000] = '\0';
	assert_int_equal(fs_replace_file(deep, "x", 1, 0600, NULL), -ERR_INVAL);
	free(deep);
}

#ifdef SLUICE_FAULTS
/* Wherever it fails: the old content whole, or the new one whole, an error, and no file of its own left. */
static void every_failure_of_replace_leaves_old_or_new(void **state)
{
	static const struct {
		const char *rule, *want;
	} rows[] = {
		{"fs.replace.write@1=ENOSPC", "old"},
		{"fs.replace.sync@1=ENOSPC", "old"},
		{"fs.replace.rename@1=ENOSPC", "old"},
		{"fs.replace.syncdir@1=ENOSPC", "new"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(fs_mkdirs("d", 0700, NULL), 0);
		assert_int_equal(fs_replace_file("d/f", "old", 3, 0600, NULL), 0);
		make_file("faults", rows[i].rule);
		setenv("SLUICE_FAULT_FILE", "faults", 1);
		assert_int_equal(fs_replace_file("d/f", "new", 3, 0600, NULL), -ERR_NOSPACE);
		unsetenv("SLUICE_FAULT_FILE");
		assert_file("d/f", rows[i].want);
		assert_int_equal(count_entries("d"), 1);
	}
}
#endif

static void directories_made_on_the_way(void **state)
{
	static const char *const good[] = {"a", "a/b/c", "a/b/c", "./x//y/", "/tmp", "/", "."};
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(fs_mkdirs(good[i], 0750, NULL), 0);
		assert_int_equal(stat(good[i], &st), 0);
		assert_true(S_ISDIR(st.st_mode));
	}
	make_file("f", "");
	assert_int_equal(fs_mkdirs("f", 0750, NULL), -ERR_IO);
	assert_int_equal(fs_mkdirs("f/x", 0750, NULL), -ERR_IO);
	assert_int_equal(fs_mkdirs("", 0750, NULL), -ERR_INVAL);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(fs_mkdirs("link/new", 0750, NULL), 0);
	assert_true(exists("a/new"));
}

static void syncing_directories(void **state)
{
	assert_int_equal(fs_sync_dir(".", NULL), 0);
	assert_int_equal(fs_sync_dir("none", NULL), -ERR_NOTFOUND);
	make_file("f", "");
	assert_int_equal(fs_sync_dir("f", NULL), -ERR_IO);
}

static void trees_removed_but_never_through_links(void **state)
{
	assert_int_equal(fs_mkdirs("keep/sub", 0700, NULL), 0);
	make_file("keep/sub/f", "kept");
	assert_int_equal(fs_mkdirs("t/a/b", 0700, NULL), 0);
	make_file("t/f", "x");
	make_file("t/a/b/f", "x");
	assert_int_equal(symlink("../keep", "t/link"), 0);
	assert_int_equal(symlink("nowhere", "t/a/dangling"), 0);
	assert_int_equal(fs_remove_tree("t", NULL), 0);
	assert_false(exists("t"));
	assert_file("keep/sub/f", "kept");

	assert_int_equal(symlink("keep", "link"), 0);
	assert_int_equal(fs_remove_tree("link/", NULL), 0);
	assert_false(exists("link"));
	assert_file("keep/sub/f", "kept");

	assert_int_equal(fs_remove_tree("keep/sub/f", NULL), 0); /* a file */
	assert_int_equal(fs_remove_tree("keep/", NULL), 0);
	assert_false(exists("keep"));
	assert_int_equal(fs_remove_tree("keep", NULL), 0); /* gone already */
	assert_int_equal(fs_remove_tree("", NULL), -ERR_INVAL);
}

static void wide_trees_go_in_one_call(void **state)
{
	char path[64];

	assert_int_equal(mkdir("t", 0700), 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "t/%d", i);
		make_file(path, "");
	}
	assert_int_equal(fs_remove_tree("t", NULL), 0);
	assert_false(exists("t"));
}

static void trees_too_deep_are_refused(void **state)
{
	char path[1024] = "t";

	for (int i = 0; i < 200; i++)
		strcat(path, "/d");
	assert_int_equal(fs_mkdirs(path, 0700, NULL), 0);
	assert_int_equal(fs_remove_tree("t", NULL), -ERR_LIMIT);
	assert_true(exists(path));
	path[strlen("t") + 2 * 100] = '\0'; /* its lower half, then the rest */
	assert_int_equal(fs_remove_tree(path, NULL), 0);
	assert_int_equal(fs_remove_tree("t", NULL), 0);
	assert_false(exists("t"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, enter_dir, leave_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(positioned_reads_and_writes),
		T(whole_files_up_to_a_maximum),
		T(replace_is_new_content_and_mode),
		T(replace_leaves_readers_alone),
		T(a_failed_replace_leaves_nothing_behind),
#ifdef SLUICE_FAULTS
		T(every_failure_of_replace_leaves_old_or_new),
#endif
		T(directories_made_on_the_way),
		T(syncing_directories),
		T(trees_removed_but_never_through_links),
		T(wide_trees_go_in_one_call),
		T(trees_too_deep_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
