/* The deb format through the whole pipeline: a real catalog, a real store, an upstream over HTTP. */
#include "../sync/bench.h"

#include "base/check.h"
#include "base/digest.h"
#include "formats/deb/deb_format.h"

#include <zlib.h>

#include <stdio.h>
#include <stdlib.h>

const struct sluice_format *bench_formats[] = {&deb_format, NULL};

#define ALGS (1u << DIGEST_MD5 | 1u << DIGEST_SHA256)

/* A distribution of the upstream that is being put together. */
struct making {
	struct bench *b;
	const char *dist;
	struct buf md5, sha256;
	const char *by_hash; /* a field of the Release */
};

static void digests_of(struct slice body, char md5[DIGEST_HEX_MAX], char sha256[DIGEST_HEX_MAX])
{
	struct hasher *h;
	struct digests ds;

	assert_int_equal(hasher_new(ALGS, &h), 0);
	hasher_add(h, body.p, body.n);
	hasher_end(h, &ds);
	hasher_free(&h);
	digest_hex(DIGEST_MD5, ds.d[DIGEST_MD5], md5);
	digest_hex(DIGEST_SHA256, ds.d[DIGEST_SHA256], sha256);
}

static const char *path_of(const struct making *m, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "/debian/dists/%s/%s", m->dist, name);
	return path;
}

/* Listed, and (there) served under its name and its SHA256. */
static void file(struct making *m, const char *name, struct slice body, bool there)
{
	char md5[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX], alias[256];
	const char *slash = strrchr(name, '/');

	digests_of(body, md5, sha256);
	buf_addf(&m->md5, " %s %zu %s\n", md5, body.n, name);
	buf_addf(&m->sha256, " %s %zu %s\n", sha256, body.n, name);
	if (!there)
		return;
	site_put(m->b->up, path_of(m, name), body);
	snprintf(alias, sizeof(alias), "%.*sby-hash/SHA256/%s", slash != NULL ? (int)(slash - name) + 1 : 0, name,
		sha256);
	if (m->by_hash[0] != '\0')
		site_put(m->b->up, path_of(m, alias), body);
}

static void package(struct buf *out, const char *name, const char *path, struct slice body)
{
	char md5[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX];

	digests_of(body, md5, sha256);
	buf_addf(out, "Package: %s\nVersion: 1\nArchitecture: all\nFilename: %s\nSize: %zu\nMD5sum: %s\nSHA256: %s\n\n",
		name, path, body.n, md5, sha256);
}

static struct making begin(struct bench *b, const char *dist, const char *by_hash)
{
	return (struct making){.b = b, .dist = dist, .by_hash = by_hash};
}

/* Writes the Release, signed by nobody. */
static void end(struct making *m, const char *more)
{
	struct buf text = BUF_INIT(0);

	buf_addf(&text, "Suite: %s\nCodename: %s\nArchitectures: amd64 arm64\nComponents: main other\n%s%sMD5Sum:\n%s",
		m->dist, m->dist, m->by_hash, more, m->md5.n > 0 ? m->md5.p : "");
	buf_addf(&text, "SHA256:\n%s", m->sha256.n > 0 ? m->sha256.p : "");
	site_put(m->b->up, path_of(m, "InRelease"), buf_slice(&text));
	buf_fini(&text);
	buf_fini(&m->md5);
	buf_fini(&m->sha256);
}

#define BY_HASH "Acquire-By-Hash: yes\n"
#define INDEX "main/binary-amd64/Packages"

/* One distribution with one package. */
static void one_package(
	struct bench *b, const char *dist, const char *by_hash, const char *name, const char *path, struct slice body)
{
	struct making m = begin(b, dist, by_hash);
	struct buf packages = BUF_INIT(0);
	char page[300];

	package(&packages, name, path, body);
	snprintf(page, sizeof(page), "/debian/%s", path);
	site_put(b->up, page, body);
	file(&m, INDEX, buf_slice(&packages), true);
	file(&m, INDEX ".gz", SLICE("it is listed, and nobody has it"), false);
	file(&m, "main/Contents-amd64", SLICE("usr/share x"), true);
	file(&m, "main/Contents-arm64", SLICE("of another architecture"), true);
	file(&m, "other/i18n/Translation-en", SLICE("of another component"), true);
	end(&m, "");
	buf_fini(&packages);
}

static const char *remote_of(struct bench *b, const char *name, const char *settings)
{
	return bench_remote(b, "deb.apt", name, site_url(b->up, "/debian"), settings);
}

#define ONE_DIST \
	"'policy': 'on_demand', 'extra': {'distributions': 'x', 'components': 'main', 'architectures': 'amd64'}"

static const char *repository_of(struct bench *b)
{
	return bench_repository(b, "deb.apt", "r", "");
}

static void expect_failure(struct bench *b, const char *repo, const char *remote, const char *reason)
{
	int64_t before = bench_latest(b, repo);

	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "failed");
	if (strstr(bench_error(b), reason) == NULL)
		fail_msg("'%s' does not say '%s'", bench_error(b), reason);
	assert_int_equal(bench_latest(b, repo), before);
}

static void on_demand_reads_what_it_needs(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST), *repo = repository_of(b);

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 0);
	assert_int_equal(bench_saved(b, repo, "dists/x/InRelease"), 1);
	assert_int_equal(bench_saved(b, repo, "dists/x/" INDEX), 1);
	assert_int_equal(bench_saved(b, repo, "dists/x/" INDEX ".gz"), 0);
	assert_int_equal(bench_saved(b, repo, "dists/x/main/Contents-amd64"), 0);
	assert_int_equal(bench_saved(b, repo, "dists/x/main/Contents-arm64"), -1);
	assert_int_equal(bench_saved(b, repo, "dists/x/other/i18n/Translation-en"), -1);
	assert_int_equal(site_hits(b->up, "/debian/pool/a.deb"), 0);
	assert_int_equal(site_hits(b->up, "/debian/dists/x/main/Contents-amd64"), 0);
	/* Nothing new: one request, the same bytes. */
	site_forget_hits(b->up);
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(site_all_hits(b->up), 1);
	assert_int_equal(bench_latest(b, repo), 1);
	assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
}

static void immediate_has_everything(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", "'extra': {'distributions': 'x', 'architectures': 'amd64'}"),
		   *repo = repository_of(b);

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 1);
	assert_int_equal(bench_saved(b, repo, "dists/x/main/Contents-amd64"), 1);
	assert_int_equal(bench_saved(b, repo, "dists/x/other/i18n/Translation-en"), 1);
	/* Listed, and upstream has it not. */
	assert_int_equal(bench_saved(b, repo, "dists/x/" INDEX ".gz"), 0);
}

/* Without by-hash a file's name means other bytes after upstream's next update: had at once. */
static void nothing_is_deferred_that_may_change(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST), *repo = repository_of(b);

	one_package(b, "x", "", "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_saved(b, repo, "dists/x/main/Contents-amd64"), 1);
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 0);
}

/* A mirror of upstream's that promises by-hash and has it not. */
static void by_hash_that_is_not_there(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST), *repo = repository_of(b);
	struct making m = begin(b, "x", "");
	struct buf packages = BUF_INIT(0);

	package(&packages, "a", "pool/a.deb", SLICE("deb"));
	file(&m, INDEX, buf_slice(&packages), true);
	file(&m, "main/Contents-amd64", SLICE("usr/share x"), true);
	m.by_hash = BY_HASH;
	end(&m, "");
	buf_fini(&packages);
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_saved(b, repo, "dists/x/main/Contents-amd64"), 1);
}

/* One of two distributions changes: the other one stays, and is not downloaded again. */
static void several_distributions(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", "'policy': 'on_demand', 'extra': {'distributions': 'x y'}"),
		   *repo = repository_of(b);

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	one_package(b, "y", BY_HASH, "b", "pool/b.deb", SLICE("bed"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	one_package(b, "y", BY_HASH, "c", "pool/c.deb", SLICE("c"));
	site_forget_hits(b->up);
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_latest(b, repo), 2);
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 0);
	assert_int_equal(bench_saved(b, repo, "pool/b.deb"), -1);
	assert_int_equal(bench_saved(b, repo, "pool/c.deb"), 0);
	assert_int_equal(site_hits(b->up, "/debian/dists/x/InRelease"), 1);
	assert_int_equal(site_hits(b->up, "/debian/dists/x/" INDEX), 0);
}

/* The same package in two distributions is one unit. */
static void a_package_of_two_distributions(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", "'policy': 'on_demand', 'extra': {'distributions': 'x y'}"),
		   *repo = repository_of(b);

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	one_package(b, "y", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 0);
	one_package(b, "y", BY_HASH, "a", "pool/a.deb", SLICE("other bytes"));
	expect_failure(b, repo, remote, "has the Filename of another package");
}

/* What is chosen belongs to what a sync goes by: upstream's metadata being the same is not enough then. */
static void another_choice_is_no_skip(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST), *repo = repository_of(b);

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	bench_remote_set(
		b, remote, "'extra': {'distributions': 'x', 'components': 'main other', 'architectures': 'amd64'}");
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_latest(b, repo), 2);
	assert_int_equal(bench_saved(b, repo, "dists/x/other/i18n/Translation-en"), 0);
}

static void what_is_chosen_must_be_there(void **state)
{
	struct bench *b = *state;
	const char *repo = repository_of(b);

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	expect_failure(b, repo, remote_of(b, "1", "'extra': {'distributions': 'x', 'components': 'mian'}"),
		"has the component 'mian'");
	expect_failure(b, repo, remote_of(b, "2", "'extra': {'distributions': 'x', 'architectures': 'amd46'}"),
		"has the architecture 'amd46'");
	expect_failure(
		b, repo, remote_of(b, "3", "'extra': {'distributions': 'z'}"), "'z' has neither InRelease nor Release");
	expect_failure(b, repo, remote_of(b, "4", "'extra': {'distributions': '../x'}"), "is no path");
}

static void bad_upstreams(void **state)
{
	static const struct {
		const char *packages, *reason;
	} rows[] = {
		{"Package: a\nno field\n", "line 2 is no field"},
		{"Package: a\n\n", "no Version"},
		{"Package: a\nVersion: 1\nArchitecture: all\nFilename: ../../x\nSize: 1\nMD5sum: "
		 "d41d8cd98f00b204e9800998ecf8427e\n",
			"bad Filename"},
	};
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST), *repo = repository_of(b);
	struct making m;

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		m = begin(b, "x", BY_HASH);
		file(&m, INDEX, slice_str(rows[i].packages), true);
		end(&m, "");
		expect_failure(b, repo, remote, rows[i].reason);
	}
	m = begin(b, "x", BY_HASH);
	file(&m, INDEX, SLICE("what nobody has"), false);
	end(&m, "");
	site_drop(b->up, "/debian/dists/x/" INDEX);
	expect_failure(b, repo, remote, "in no form that can be read");
	site_put(b->up, "/debian/dists/x/InRelease", SLICE("<html>"));
	expect_failure(b, repo, remote, "InRelease' cannot be read: line 1 is no field");
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 0);
}

static void a_line_without_end(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST), *repo = repository_of(b);
	struct making m = begin(b, "x", BY_HASH);
	struct buf text = BUF_INIT(0);

	buf_adds(&text, "Package: ");
	for (int i = 0; i < 10 << 10; i++)
		buf_addf(&text, "%01024d", i);
	file(&m, INDEX, buf_slice(&text), true);
	end(&m, "");
	expect_failure(b, repo, remote, "line 1 belongs to a stanza of more than");
	buf_fini(&text);
}

/* An index that opens to a thousand times what it is; one that is not as large as Release says; a Release without end. The version is what it was. */
static void what_is_out_of_proportion(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST ", 'max_retries': 0"), *repo = repository_of(b);
	size_t n = (size_t)24 << 20, cap = (size_t)1 << 16;
	char *blanks = malloc(n), *packed = malloc(cap), md5[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX];
	z_stream z = {.next_in = (unsigned char *)blanks,
		.avail_in = (unsigned)n,
		.next_out = (unsigned char *)packed,
		.avail_out = (unsigned)cap};
	struct buf text = BUF_INIT(0);
	struct making m;

	one_package(b, "x", BY_HASH, "a", "pool/a.deb", SLICE("deb"));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");

	memset(blanks, '\n', n);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	m = begin(b, "x", BY_HASH);
	file(&m, INDEX ".gz", slice_of(packed, z.total_out), true);
	end(&m, "");
	deflateEnd(&z);
	expect_failure(b, repo, remote, "bomb");

	m = begin(b, "x", "");
	digests_of(SLICE("Package: x\n"), md5, sha256);
	site_put(b->up, "/debian/dists/x/" INDEX, SLICE("Package: x\n"));
	buf_addf(&m.sha256, " %s 12 " INDEX "\n", sha256);
	end(&m, "");
	expect_failure(b, repo, remote, "11 bytes");

	while (text.n <= (size_t)4 << 20)
		buf_addf(&text, "X-%zu: y\n", text.n);
	site_put(b->up, "/debian/dists/x/InRelease", buf_slice(&text));
	expect_failure(b, repo, remote, "InRelease' is larger than");
	assert_int_equal(bench_saved(b, repo, "pool/a.deb"), 0);
	buf_fini(&text);
	free(packed);
	free(blanks);
}

static void an_index_of_other_bytes(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "u", ONE_DIST ", 'max_retries': 0"), *repo = repository_of(b);

	one_package(b, "x", "", "a", "pool/a.deb", SLICE("deb"));
	site_put(b->up, "/debian/dists/x/" INDEX, SLICE("Package: x"));
	expect_failure(b, repo, remote, "[PLP000");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(on_demand_reads_what_it_needs),
		TEST(immediate_has_everything),
		TEST(nothing_is_deferred_that_may_change),
		TEST(by_hash_that_is_not_there),
		TEST(several_distributions),
		TEST(a_package_of_two_distributions),
		TEST(another_choice_is_no_skip),
		TEST(what_is_chosen_must_be_there),
		TEST(bad_upstreams),
		TEST(a_line_without_end),
		TEST(what_is_out_of_proportion),
		TEST(an_index_of_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
