/* The store of files: what is saved is whole, durable in the right order, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "base/metrics.h"
#include "store/group_sync.h"
#include "store/staging.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	char media[80];
	struct store *store;
	int fds; /* open before the test */
};

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *de; (de = readdir(dir)) != NULL;)
		n += strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static int open_fds(void)
{
	return count_entries("/proc/self/fd");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	strcpy(f->dir, "/tmp/sluice-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->media, sizeof(f->media), "%s/media", f->dir);
	f->fds = open_fds();
	assert_int_equal(store_open(f->media, true, &f->store, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(&f->store);
	assert_null(f->store);
	assert_int_equal(open_fds(), f->fds);
	assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
	free(f);
	return 0;
}

static char *path_of(struct fixture *f, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->media, name);
	return path;
}

static char *artifact_path(struct fixture *f, const uint8_t sha256[32])
{
	char name[STORE_NAME_MAX];

	return path_of(f, store_name(sha256, name));
}

static void sha256_of(const char *text, uint8_t out[32])
{
	struct digests ds;
	struct hasher *h = NULL;

	assert_int_equal(hasher_new(0, &h), 0);
	hasher_add(h, text, strlen(text));
	hasher_end(h, &ds);
	memcpy(out, ds.d[DIGEST_SHA256], 32);
	hasher_free(&h);
}

static struct store_item staged(struct fixture *f, const char *text)
{
	struct store_item item = {.size = (int64_t)strlen(text), .rc = 1};

	sha256_of(text, item.sha256);
	assert_int_equal(staging_new(f->store, &item.st, NULL), 0);
	assert_int_equal(staging_write(item.st, text, strlen(text), 0, NULL), 0);
	return item;
}

static int save(struct fixture *f, const char *text)
{
	struct store_item item = staged(f, text);

	store_commit(f->store, &item, 1);
	assert_null(item.st);
	return item.rc;
}

static void assert_saved(struct fixture *f, const char *text)
{
	uint8_t sha[32];
	char got[256] = "";
	int64_t size = -1;
	int fd = -1;

	sha256_of(text, sha);
	assert_true(store_has(f->store, sha));
	assert_int_equal(store_get(f->store, sha, (int64_t)strlen(text), &fd, &size, NULL), 0);
	assert_int_equal(size, strlen(text));
	assert_int_equal(fs_pread_all(fd, got, strlen(text), 0, NULL), 0);
	assert_string_equal(got, text);
	fs_close(&fd);
}

static void put_file(const char *path, const char *text)
{
	assert_int_equal(fs_replace_file(path, text, strlen(text), 0640, NULL), 0);
}

/* ---- tests ---- */

static void test_name_is_the_digest(void **state)
{
	uint8_t sha[32];
	char name[STORE_NAME_MAX];

	(void)state;
	sha256_of("", sha);
	assert_string_equal(
		store_name(sha, name), "artifact/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_saves_and_gives_back(void **state)
{
	struct fixture *f = *state;
	int64_t commits = metric_get(M_store_commits), bytes = metric_get(M_store_bytes_saved);
	struct stat st;
	uint8_t sha[32];

	assert_int_equal(save(f, "hello"), 0);
	assert_saved(f, "hello");
	assert_int_equal(save(f, ""), 0);
	assert_saved(f, "");
	assert_int_equal(metric_get(M_store_commits) - commits, 2);
	assert_int_equal(metric_get(M_store_bytes_saved) - bytes, 5);
	assert_int_equal(count_entries(path_of(f, "staging")), 0);
	sha256_of("hello", sha);
	assert_int_equal(stat(artifact_path(f, sha), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07137, 0); /* owner writes, group reads, others nothing */
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	struct store_item items[300];
	char text[32];

	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "artifact %d", i);
		items[i] = staged(f, text);
	}
	items[7].size++; /* one of them is not what was announced: the others do not suffer */
	store_commit(f->store, items, ARRAY_LEN(items));
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "artifact %d", i);
		assert_null(items[i].st);
		assert_int_equal(items[i].rc, i == 7 ? -ERR_SIZE : 0);
		if (i == 7)
			assert_false(store_has(f->store, items[i].sha256));
		else
			assert_saved(f, text);
	}
	assert_non_null(strstr(items[7].err.msg, "10 bytes are staged, 11 were announced"));
}

static void test_existing_is_success(void **state)
{
	struct fixture *f = *state;
	int64_t commits;
	struct stat before, after;
	uint8_t sha[32];

	sha256_of("twice", sha);
	assert_int_equal(save(f, "twice"), 0);
	assert_int_equal(stat(artifact_path(f, sha), &before), 0);
	commits = metric_get(M_store_commits);
	assert_int_equal(save(f, "twice"), 0);
	assert_int_equal(stat(artifact_path(f, sha), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(metric_get(M_store_commits), commits);
	assert_saved(f, "twice");
}

static void test_damaged_is_a_miss_and_replaced(void **state)
{
	struct fixture *f = *state;
	uint8_t sha[32];
	int64_t size = -1;
	int fd = -1;
	struct err err;

	sha256_of("the whole text", sha);
	assert_int_equal(save(f, "the whole text"), 0);
	assert_int_equal(truncate(artifact_path(f, sha), 4), 0);
	assert_int_equal(store_get(f->store, sha, 14, &fd, &size, &err), -ERR_NOTFOUND);
	assert_int_equal(fd, -1);
	assert_int_equal(size, -1);
	assert_int_equal(store_get(f->store, sha, -1, &fd, &size, &err), 0); /* size unknown: as it is */
	assert_int_equal(size, 4);
	fs_close(&fd);
	assert_int_equal(save(f, "the whole text"), 0);
	assert_saved(f, "the whole text");
	assert_int_equal(count_entries(path_of(f, "staging")), 0);
}

static void test_opened_without_the_disk(void **state)
{
	struct fixture *f = *state;
	uint8_t sha[32], other[32];
	char got[16] = "";
	int64_t size;
	int fd = -1;

	sha256_of("a saved one", sha);
	sha256_of("never saved", other);
	assert_int_equal(save(f, "a saved one"), 0);
	assert_int_equal(store_get(f->store, sha, 11, &fd, &size, NULL), 0); /* now its name is in memory */
	fs_close(&fd);
	assert_int_equal(store_get_cached(f->store, sha, 11, &fd), 0);
	assert_int_equal(fs_pread_all(fd, got, 11, 0, NULL), 0);
	assert_string_equal(got, "a saved one");
	fs_close(&fd);
	assert_int_equal(store_get_cached(f->store, sha, 12, &fd), -ERR_BUSY); /* damaged, or whatever: for store_get */
	assert_int_equal(store_get_cached(f->store, other, 11, &fd), -ERR_BUSY);
	assert_int_equal(store_remove(f->store, sha, NULL), 0);
	assert_int_equal(store_get_cached(f->store, sha, 11, &fd), -ERR_BUSY);
	assert_int_equal(fd, -1);
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	uint8_t sha[32];
	int64_t size;
	int fd = -1;

	sha256_of("gone", sha);
	assert_int_equal(store_remove(f->store, sha, NULL), 0);
	assert_int_equal(save(f, "gone"), 0);
	assert_int_equal(store_remove(f->store, sha, NULL), 0);
	assert_false(store_has(f->store, sha));
	assert_int_equal(store_get(f->store, sha, 4, &fd, &size, NULL), -ERR_NOTFOUND);
	assert_int_equal(save(f, "gone"), 0); /* its directory is there already, empty */
	assert_saved(f, "gone");
}

static void test_removed_in_two_steps(void **state)
{
	struct fixture *f = *state;
	struct store_item first = staged(f, "twice"), second = staged(f, "twice");
	uint8_t sha[32];

	sha256_of("twice", sha);
	assert_int_equal(store_set_aside(f->store, sha, NULL), 0); /* it is not there */
	assert_int_equal(store_discard(f->store, sha, NULL), 0);
	store_commit(f->store, &first, 1);
	assert_false(first.existed);
	second.keep = true;
	store_commit(f->store, &second, 1);
	assert_true(second.existed);
	assert_true(store_items_there(f->store, &second, 1));
	assert_int_equal(store_set_aside(f->store, sha, NULL), 0);
	assert_false(store_has(f->store, sha));
	assert_true(store_items_there(f->store, &first, 1)); /* of what it brought itself nobody is asked */
	assert_false(store_items_there(f->store, &second, 1));
	store_commit(f->store, &second, 1); /* once more, from the file that was kept */
	assert_int_equal(second.rc, 0);
	assert_false(second.existed);
	assert_saved(f, "twice");
	staging_drop(&second.st);
	assert_int_equal(count_entries(path_of(f, "staging")), 1);
	assert_int_equal(store_discard(f->store, sha, NULL), 0);
	assert_int_equal(count_entries(path_of(f, "staging")), 0);
	assert_saved(f, "twice");
}

/* Somebody removed the directory after this process had used it. */
static void test_lost_directory_comes_back(void **state)
{
	struct fixture *f = *state;
	uint8_t sha[32];
	char *path;

	sha256_of("lost", sha);
	assert_int_equal(save(f, "lost"), 0);
	path = artifact_path(f, sha);
	*strrchr(path, '/') = '\0';
	assert_int_equal(fs_remove_tree(path, NULL), 0);
	assert_int_equal(save(f, "lost"), 0);
	assert_saved(f, "lost");
}

static void test_dropped_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct staging *st = NULL;
	int before = open_fds();

	for (int i = 0; i < 100; i++) {
		assert_int_equal(staging_new(f->store, &st, NULL), 0);
		assert_int_equal(staging_write(st, "abc", 3, 1000, NULL), 0);
		staging_drop(&st);
		assert_null(st);
	}
	staging_drop(&st);
	assert_int_equal(open_fds(), before);
	assert_int_equal(count_entries(path_of(f, "staging")), 0);
}

static void test_duplicated_descriptor_outlives_commit(void **state)
{
	struct fixture *f = *state;
	struct store_item item = staged(f, "still readable");
	char got[16] = "";
	int fd = dup(staging_fd(item.st));

	store_commit(f->store, &item, 1);
	assert_int_equal(item.rc, 0);
	assert_int_equal(fs_pread_all(fd, got, 14, 0, NULL), 0);
	assert_string_equal(got, "still readable");
	fs_close(&fd);
}

static void test_sweep(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;

	put_file(path_of(f, "staging/body-1"), "left over");
	put_file(path_of(f, "staging/body-2"), "left over");
	assert_int_equal(mkdir(path_of(f, "staging/lost+found"), 0700), 0);
	assert_int_equal(store_open(f->media, false, &other, NULL), 0); /* a task: the server's downloads are not its */
	store_close(&other);
	assert_int_equal(count_entries(path_of(f, "staging")), 3);
	assert_int_equal(store_open(f->media, true, &other, NULL), 0);
	store_close(&other);
	assert_int_equal(count_entries(path_of(f, "staging")), 1);
}

/* As on a file system without O_TMPFILE. */
static void test_named_staging_files(void **state)
{
	struct fixture *f = *state;
	struct staging_area area = {.dir = open(path_of(f, "staging"), O_RDONLY | O_DIRECTORY), .named = true};
	struct store_item items[2] = {{.size = 5}, {.size = 5}};
	struct staging *dropped;

	sha256_of("named", items[0].sha256);
	sha256_of("named", items[1].sha256);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(staging_create(&area, &items[i].st, NULL), 0);
		assert_int_equal(staging_write(items[i].st, "named", 5, 0, NULL), 0);
	}
	assert_int_equal(staging_create(&area, &dropped, NULL), 0);
	assert_int_equal(count_entries(path_of(f, "staging")), 3);
	staging_drop(&dropped);
	assert_int_equal(count_entries(path_of(f, "staging")), 2);
	store_commit(f->store, items, 2);
	assert_int_equal(items[0].rc, 0);
	assert_int_equal(items[1].rc, 0);
	assert_saved(f, "named");
	assert_int_equal(count_entries(path_of(f, "staging")), 0);
	/* Over a damaged one. */
	assert_int_equal(truncate(artifact_path(f, items[0].sha256), 1), 0);
	assert_int_equal(staging_create(&area, &items[0].st, NULL), 0);
	assert_int_equal(staging_write(items[0].st, "named", 5, 0, NULL), 0);
	store_commit(f->store, items, 1);
	assert_int_equal(items[0].rc, 0);
	assert_saved(f, "named");
	assert_int_equal(count_entries(path_of(f, "staging")), 0);
	fs_close(&area.dir);
}

static void test_full_disk_is_no_space(void **state)
{
	struct fixture *f = *state;
	struct staging *st;
	struct err err;
	int full = open("/dev/full", O_RDWR);

	assert_true(full >= 0);
	assert_int_equal(staging_new(f->store, &st, NULL), 0);
	assert_int_equal(dup2(full, st->fd), st->fd);
	assert_int_equal(staging_write(st, "x", 1, 0, &err), -ERR_NOSPACE);
	assert_int_equal(err.code, -ERR_NOSPACE);
	assert_int_equal(err.sys, ENOSPC);
	staging_drop(&st);
	fs_close(&full);
}

static void test_no_descriptor_left_is_a_limit(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;
	struct staging *st = NULL;
	struct err err;
	uint8_t sha[32];
	int64_t size;
	int fd = -1;

	sha256_of("saved", sha);
	assert_int_equal(save(f, "saved"), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(staging_new(f->store, &st, &err), -ERR_LIMIT);
	assert_int_equal(err.code, -ERR_LIMIT);
	assert_int_equal(store_get(f->store, sha, 5, &fd, &size, &err), -ERR_LIMIT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_null(st);
	assert_int_equal(fd, -1);
}

static void test_space(void **state)
{
	struct fixture *f = *state;
	int64_t total, used, available;

	assert_int_equal(store_space(f->store, &total, &used, &available, NULL), 0);
	assert_true(total > 0 && used >= 0 && available >= 0);
	assert_true(used + available <= total);
}

static void test_open_says_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct store *s = NULL;
	struct err err;
	int before = open_fds();

	put_file(path_of(f, "plain"), "");
	assert_int_not_equal(store_open(path_of(f, "plain"), true, &s, &err), 0);
	assert_null(s);
	assert_non_null(strstr(err.msg, "/media/plain"));
	assert_int_equal(open_fds(), before);
}

static void test_group_sync_only_where_it_pays(void **state)
{
	struct fixture *f = *state;
	int dir = open(f->media, O_RDONLY | O_DIRECTORY), proc = open("/proc", O_RDONLY | O_DIRECTORY);
	struct group_sync g;

	group_sync_init(&g, proc); /* any file system that is not known to do it well */
	assert_false(group_sync_pays(&g, 1000, INT32_MAX));
	group_sync_init(&g, dir);
	assert_false(group_sync_pays(&g, 3, INT32_MAX));
	/* Room for as much as a machine may have that is dirty; without any, what a builder next door writes decides. */
	assert_int_equal(group_sync_pays(&g, 4, INT64_C(1) << 50), g.trusted);
	assert_false(group_sync_pays(&g, 4, INT64_MIN / 2));
	if (g.trusted)
		assert_int_equal(group_sync_run(&g, dir), 0);
	fs_close(&proc);
	fs_close(&dir);
}

#ifdef SLUICE_FAULTS
static void faults(const char *rules)
{
	/* The file is read again when it changes; a new one has a new inode. */
	put_file(getenv("SLUICE_FAULT_FILE"), rules);
}

static void test_faults_of_commit(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *rule;
		int rc;
		bool named; /* whether the artifact has its name afterwards */
	} cases[] = {
		{"store.commit.sync@1=EIO", -ERR_IO, false},
		{"store.commit.sync@1=ENOSPC", -ERR_NOSPACE, false},
		{"store.commit.link@1=ENOSPC", -ERR_NOSPACE, false},
		{"store.commit.link@1=EDQUOT", -ERR_NOSPACE, false},
		{"store.commit.dirsync@1=EIO", -ERR_IO, true},
		{"store.commit.dirsync@2=EIO", -ERR_IO, true},
	};
	char text[32];
	uint8_t sha[32];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t failures = metric_get(M_store_commit_failures);
		int fds = open_fds();

		snprintf(text, sizeof(text), "fault %zu", i);
		sha256_of(text, sha);
		faults(cases[i].rule);
		assert_int_equal(save(f, text), cases[i].rc);
		faults("");
		assert_int_equal(metric_get(M_store_commit_failures) - failures, 1);
		assert_int_equal(store_has(f->store, sha), cases[i].named);
		assert_int_equal(open_fds(), fds);
		assert_int_equal(count_entries(path_of(f, "staging")), 0);
		assert_int_equal(save(f, text), 0); /* it heals */
		assert_saved(f, text);
	}
}

/* Whether they are synced together or one by one: a failure is that of one file, or of one directory. */
static void test_faults_within_a_batch(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *rule;
		int failed;
	} cases[] = {
		{"store.commit.sync@3=EIO", 1}, {"store.commit.link@5=ENOSPC", 1}, {"store.commit.sync@*=EIO", 10}};
	char text[32];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_item items[10];
		int failed = 0;

		for (int k = 0; k < 10; k++) {
			snprintf(text, sizeof(text), "batch %zu, %d", i, k);
			items[k] = staged(f, text);
		}
		faults(cases[i].rule);
		store_commit(f->store, items, ARRAY_LEN(items));
		faults("");
		for (int k = 0; k < 10; k++) {
			assert_true(store_has(f->store, items[k].sha256) == (items[k].rc == 0));
			failed += items[k].rc != 0;
		}
		assert_int_equal(failed, cases[i].failed);
		assert_int_equal(count_entries(path_of(f, "staging")), 0);
	}
}

static void test_faults_of_staging(void **state)
{
	struct fixture *f = *state;
	struct staging *st = NULL;

	faults("staging.new@1=EMFILE staging.new@2=ENOSPC staging.write@1=ENOSPC");
	assert_int_equal(staging_new(f->store, &st, NULL), -ERR_LIMIT);
	assert_int_equal(staging_new(f->store, &st, NULL), -ERR_NOSPACE);
	assert_null(st);
	assert_int_equal(staging_new(f->store, &st, NULL), 0);
	assert_int_equal(staging_write(st, "x", 1, 0, NULL), -ERR_NOSPACE);
	staging_drop(&st);
	faults("");
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_is_the_digest),
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_saves_and_gives_back),
		T(test_many_at_once),
		T(test_existing_is_success),
		T(test_damaged_is_a_miss_and_replaced),
		T(test_opened_without_the_disk),
		T(test_remove),
		T(test_removed_in_two_steps),
		T(test_lost_directory_comes_back),
		T(test_dropped_leaves_nothing),
		T(test_duplicated_descriptor_outlives_commit),
		T(test_sweep),
		T(test_named_staging_files),
		T(test_full_disk_is_no_space),
		T(test_no_descriptor_left_is_a_limit),
		T(test_space),
		T(test_open_says_what_is_wrong),
		T(test_group_sync_only_where_it_pays),
#ifdef SLUICE_FAULTS
		T(test_faults_of_commit),
		T(test_faults_within_a_batch),
		T(test_faults_of_staging),
#endif
	};
#ifdef SLUICE_FAULTS
	char path[] = "/tmp/sluice-faults-XXXXXX";
	int fd = mkstemp(path), rc;

	fs_close(&fd);
	setenv("SLUICE_FAULT_FILE", path, 1);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
#else
	return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
