/* Files that clients send: artifacts, and units made of them. */
#include "fixture.h"

#include "base/digest.h"
#include "store/store.h"

#include <stdio.h>

#define FILES "content/file/files/"
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* sha256 of "hello" */

static bool in_store(struct fixture *f, const char *hex)
{
	uint8_t sha256[32];

	assert_int_equal(hex_parse(slice_str(hex), sha256, sizeof(sha256)), 0);
	return store_has(f->store, sha256);
}

static void test_an_artifact(void **state)
{
	struct fixture *f = *state;

	form(f, "POST", "artifacts/", "file@=hello&size=5&sha256=" HELLO, 201,
		"{\"file\":\"artifact/2c/"
		"f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"size\":5,\"md5\":null,"
		"\"sha1\":null,\"sha224\":\"ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193\",\"sha256\":"
		"\"" HELLO "\"}",
		"a=pulp_href");
	assert_true(in_store(f, HELLO));
	PLAY(f, {"GET", "{a}", NULL, 200, "{\"sha256\":\"" HELLO "\"}", NULL},
		{"GET", "artifacts/?sha256=" HELLO, NULL, 200, "{\"count\":1}", NULL},
		{"DELETE", "{a}", NULL, 403, NULL, NULL});
	form(f, "POST", "artifacts/", "file@=hello", 400,
		"={\"non_field_errors\":[\"Artifact with sha256 checksum of '" HELLO "' already exists.\"]}", NULL);
	form(f, "POST", "artifacts/", "file@=", 201, "{\"size\":0}", NULL);
}

static void test_refused_artifacts(void **state)
{
	static const struct {
		const char *fields, *want;
	} bad[] = {
		{"size=5", "={\"file\":[\"This field is required.\"]}"},
		{"file=hello",
			"={\"file\":[\"The submitted data was not a file. Check the encoding type on the form.\"]}"},
		{"file@=hello&size=4", "={\"non_field_errors\":[\"The size did not match actual size of file.\"]}"},
		{"file@=hello&size=x", "={\"size\":[\"A valid integer is required.\"]}"},
		{"file@=hello&size@=5", "={\"size\":[\"A valid integer is required.\"]}"},
		{"file@=hello&sha256=00", "={\"non_field_errors\":[\"The sha256 checksum did not match.\"]}"},
		{"file@=hello&sha512=00", "={\"non_field_errors\":[\"The sha512 checksum did not match.\"]}"},
		{"file@=hello&md5=5d41402abc4b2a76b9719d911017c592",
			"={\"non_field_errors\":[\"Checksum algorithms ['md5'] forbidden for this Pulp instance.\"]}"},
		{"file@=hello&other=1", "={\"other\":[\"Unexpected field\"]}"},
		{"file@=hello&other@=1", "={\"other\":[\"Unexpected field\"]}"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		form(f, "POST", "artifacts/", bad[i].fields, 400, bad[i].want, NULL);
	PLAY(f, {"POST", "artifacts/", "{\"file\":{}}", 400, "~was not a file", NULL},
		{"GET", "artifacts/", NULL, 200, "{\"count\":0}", NULL});
	assert_false(in_store(f, HELLO));
}

static void test_a_unit_at_once(void **state)
{
	struct fixture *f = *state;

	form(f, "POST", FILES "upload/", "relative_path=d/a&file@=hello&pulp_labels={\"k\":\"v\"}", 201,
		"{\"relative_path\":\"d/a\",\"sha256\":\"" HELLO "\",\"pulp_labels\":{\"k\":\"v\"}}", "u=pulp_href");
	/* once more: it is there, as it is */
	form(f, "POST", FILES "upload/", "relative_path=d/a&file@=hello&pulp_labels={}", 201,
		"{\"pulp_href\":\"{u}\",\"pulp_labels\":{\"k\":\"v\"}}", NULL);
	PLAY(f, {"GET", FILES, NULL, 200, "{\"count\":1}", "a=results.0.artifact"},
		{"POST", FILES "upload/", "relative_path=d/b&artifact={a}", 201, "{\"artifact\":\"{a}\"}", NULL},
		{"POST", FILES "upload/", "relative_path=no/unit&artifact={a}", 400,
			"{\"non_field_errors\":[\"no unit can be made of 'no/unit'\"]}", NULL},
		{"GET", FILES "upload/", NULL, 405, NULL, NULL}, {"GET", FILES, NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

static void test_a_unit_by_a_task(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", "repositories/file/file/", "{\"name\":\"r\"}", 201, NULL, "r=pulp_href"},
		{"GET", "{r}", NULL, 200, NULL, "rprn=prn"});
	form(f, "POST", FILES, "relative_path=a&file@=hello&repository={r}", 202, NULL, "t=task");
	form(f, "POST", FILES, "relative_path=b&file@=hello", 202, NULL, "alone=task");
	form(f, "POST", FILES, "relative_path=c&file@=hello&repository={r}&overwrite=false", 202, NULL, "taken=task");
	PLAY(f, {"GET", "{t}", NULL, 200, "{\"state\":\"waiting\"}", "first=reserved_resources_record.0"},
		{"GET", "tasks/?exclusive_resources={rprn}", NULL, 200, "{\"count\":2}", NULL});
	work(f);
	PLAY(f, {"GET", FILES "?relative_path=a", NULL, 200, "{\"count\":1}", "u=results.0.pulp_href"},
		{"GET", "{t}", NULL, 200,
			"{\"state\":\"completed\",\"name\":\"pulpcore.app.tasks.base.general_create\",\"result\":{"
			"\"pulp_href\":"
			"\"{u}\",\"relative_path\":\"a\"}}",
			"made=created_resources.1"},
		{"GET", "{u}", NULL, 200, "{\"pulp_href\":\"{made}\"}", NULL},
		{"GET", "{alone}", NULL, 200, "{\"state\":\"completed\"}", "one=created_resources.0"},
		{"GET", "{one}", NULL, 200, "{\"relative_path\":\"b\"}", NULL},
		{"GET", "{taken}", NULL, 200, "{\"state\":\"failed\",\"error\":{\"error_code\":\"PLP0023\"}}", NULL});
}

/* What is not saved gets its file; and a clean-up may be faster than a task. */
static void test_units_and_missing_files(void **state)
{
	struct fixture *f = *state;
	uint8_t sha256[32];

	exec_sql(f, "INSERT INTO content (id, uuid, type, natural_key, created, updated) VALUES (1, "
		    "x'01900000000070008000000000000041', 'file.file', 'lazy' || char(10) || '" HELLO "', 1, 1);"
		    "INSERT INTO content_artifact (content_id, relative_path) VALUES (1, 'lazy');");
	PLAY(f, {"GET", FILES "?relative_path=lazy", NULL, 200, "~\"artifact\":null", "u=results.0.pulp_href"});
	form(f, "POST", FILES, "relative_path=lazy&file@=hello", 202, NULL, "t=task");
	work(f);
	PLAY(f, {"GET", "{u}", NULL, 200, "{\"sha256\":\"" HELLO "\"}", NULL},
		{"GET", "{t}", NULL, 200, "{\"created_resources\":[\"{u}\"]}", NULL});
	assert_int_equal(hex_parse(SLICE(HELLO), sha256, sizeof(sha256)), 0);
	form(f, "POST", FILES, "relative_path=gone&file@=hello", 202, NULL, "t=task");
	assert_int_equal(store_remove(f->store, sha256, NULL), 0);
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, "{\"state\":\"failed\"}", NULL},
		{"GET", FILES "?relative_path=gone", NULL, 200, "{\"count\":0}", NULL});
}

/* ---- in chunks ---- */

static void chunk(struct fixture *f, const char *fields, const char *range, int status, const char *want)
{
	f->content_range = range;
	form(f, "PUT", "{up}", fields, status, want, NULL);
	f->content_range = NULL;
}

static void test_chunks_in_any_order(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", "uploads/", "{\"size\":5}", 201, "{\"size\":5,\"completed\":null,\"chunks\":[]}",
			"up=pulp_href"},
		{"GET", "{up}", NULL, 200, NULL, "prn=prn"});
	chunk(f, "file@=lo", "bytes 3-4/5", 200, "{\"chunks\":[{\"offset\":3,\"size\":2}]}");
	PLAY(f, {"POST", "{up}commit/", "{\"sha256\":\"" HELLO "\"}", 202, NULL, "t=task"});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200,
			"{\"state\":\"failed\",\"error\":{\"description\":\"The upload is not complete: of 5 bytes "
			"those from 0 on "
			"are missing.\"}}",
			NULL});
	chunk(f, "file@=HEL", "bytes 0-2/*", 200, NULL);
	/* the same place again */
	chunk(f, "file@=hel&sha256=f1d2af0ee5e1d1ea0ff0ed4ed9a8ac6b5d9ae3d3e5d6d3fee9ef32e0d5a0fb1e", "bytes 0-2/*",
		400, "=[\"Checksum does not match chunk upload.\"]");
	PLAY(f, {"POST", "{up}commit/", "{\"sha256\":\"" HELLO "\"}", 202, NULL, "t=task"});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, "{\"state\":\"failed\",\"error\":{\"error_code\":\"PLP0003\"}}", NULL});
	chunk(f, "file@=hel", "bytes 0-2/*", 200, "{\"chunks\":[{\"offset\":0,\"size\":3},{\"offset\":3,\"size\":2}]}");
	PLAY(f, {"POST", "{up}commit/", "{\"sha256\":\"" HELLO "\"}", 202, NULL, "t=task"});
	work(f);
	PLAY(f,
		{"GET", "{t}", NULL, 200,
			"{\"state\":\"completed\",\"name\":\"pulpcore.app.tasks.upload.commit\",\"result\":null}",
			"a=created_resources.0"},
		{"GET", "{t}", NULL, 200, "~\"reserved_resources_record\":[\"{prn}\",", NULL},
		{"GET", "{a}", NULL, 200, "{\"sha256\":\"" HELLO "\",\"size\":5}", NULL},
		{"GET", "{up}", NULL, 404, "={\"detail\":\"No Upload matches the given query.\"}", NULL});
	assert_true(in_store(f, HELLO));
}

static void test_refused_chunks(void **state)
{
	static const struct {
		const char *fields, *range, *want;
	} bad[] = {
		{"file@=hello", NULL, "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "bytes 0-", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "bytes 0-4", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "bytes 4-0/5", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "bytes -1-3/5", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "bytes 0-99999999999999999999/*", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "items 0-4/5", "=[\"Invalid or missing content range header.\"]"},
		{"file@=hello", "bytes 0-3/5", "=[\"Chunk size does not match content range.\"]"},
		{"file@=hello", "bytes 1-5/*", "=[\"End byte is greater than upload size.\"]"},
		{"file@=hello&sha256=00", "bytes 0-4/5", "=[\"Checksum does not match chunk upload.\"]"},
		{"sha256=00", "bytes 0-4/5", "={\"file\":[\"This field is required.\"]}"},
	};
	struct fixture *f = *state;

	PLAY(f, {"POST", "uploads/", "{\"size\":5}", 201, NULL, "up=pulp_href"});
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		chunk(f, bad[i].fields, bad[i].range, 400, bad[i].want);
	PLAY(f, {"GET", "{up}", NULL, 200, "{\"chunks\":[]}", NULL}, {"PATCH", "{up}", "{}", 405, NULL, NULL},
		{"POST", "{up}commit/", "{}", 400, "={\"sha256\":[\"This field is required.\"]}", NULL},
		{"GET", "uploads/?size__gt=4", NULL, 200, "{\"count\":1}", NULL},
		{"POST", "uploads/", "{}", 400, "={\"size\":[\"This field is required.\"]}", NULL},
		{"POST", "uploads/", "{\"size\":-1}", 400, NULL, NULL},
		{"POST", "uploads/", "{\"size\":9000000000000000000}", 400, NULL, NULL},
		{"POST", "uploads/", "{\"size\":5000000000}", 201, NULL, NULL},
		{"DELETE", "{up}", NULL, 204, NULL, NULL}, {"DELETE", "{up}", NULL, 404, NULL, NULL});
	chunk(f, "file@=hello", "bytes 0-4/5", 404, NULL);
}

static void test_a_unit_of_chunks(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", "uploads/", "{\"size\":5}", 201, NULL, "up=pulp_href"});
	chunk(f, "file@=hello", "bytes 0-4/5", 200, NULL);
	PLAY(f, {"POST", FILES, "relative_path=a&upload={up}", 202, NULL, "t=task"},
		{"GET", "{up}", NULL, 200, NULL, NULL});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, "{\"state\":\"completed\",\"result\":{\"sha256\":\"" HELLO "\"}}", NULL},
		{"GET", "{up}", NULL, 404, NULL, NULL},
		/* an empty file has no chunks */
		{"POST", "uploads/", "{\"size\":0}", 201, NULL, "up=pulp_href"},
		{"POST", FILES, "relative_path=empty&upload={up}", 202, NULL, "t=task"});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, "{\"state\":\"completed\"}", NULL});
}

static void test_refused_units(void **state)
{
	static const struct {
		const char *fields, *want;
	} bad[] = {
		{"file@=hello", "={\"relative_path\":[\"This field is required.\"]}"},
		{"relative_path=a", "={\"non_field_errors\":[\"Exactly one of 'upload', 'artifact', 'file', 'file_url' "
				    "must be specified.\"]}"},
		{"relative_path=/a&file@=1",
			"={\"relative_path\":[\"Relative path cannot begin or end with slashes.\"]}"},
		{"relative_path=a b&file@=1", "={\"relative_path\":[\"Relative path is not in canonical form. a b\"]}"},
		{"relative_path=a/../b&file@=1",
			"={\"relative_path\":[\"Relative path is not in canonical form. a/../b\"]}"},
		{"relative_path=a&artifact=/pulp/api/v3/artifacts/01900000-0000-7000-8000-000000000099/",
			"={\"artifact\":[\"Object does not exist.\"]}"},
		{"relative_path=a&artifact=x", "={\"artifact\":[\"URI not valid: x\"]}"},
		{"relative_path=a&file@=1&repository={m}",
			"={\"repository\":[\"URI {m} is not a valid repository.\"]}"},
		{"relative_path=a&file@=1&repository={box}", "={\"repository\":[\"Object does not exist.\"]}"},
		{"relative_path=a&file@=1&overwrite=maybe", "={\"overwrite\":[\"Must be a valid boolean.\"]}"},
		{"relative_path=a&file@=1&pulp_labels=[]",
			"={\"pulp_labels\":[\"Expected a dictionary of items but got type \\\"list\\\".\"]}"},
	};
	struct fixture *f = *state;

	PLAY(f, {"POST", "remotes/file/file/", "{\"name\":\"m\",\"url\":\"http://h/M\"}", 201, NULL, "m=pulp_href"},
		{"POST", "repositories/box/box/", "{\"name\":\"b\"}", 201, NULL, "box=pulp_href"});
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		form(f, "POST", FILES, bad[i].fields, 400, bad[i].want, NULL);
	/* a format whose units only syncs can make */
	form(f, "POST", "content/box/items/", "relative_path=a&file@=1", 405, NULL, NULL);
	form(f, "POST", "content/box/items/upload/", "relative_path=a&file@=1", 405, NULL, NULL);
	PLAY(f, {"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL}, {"GET", FILES, NULL, 200, "{\"count\":0}", NULL});
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_an_artifact),
		TEST(test_refused_artifacts),
		TEST(test_a_unit_at_once),
		TEST(test_a_unit_by_a_task),
		TEST(test_units_and_missing_files),
		TEST(test_chunks_in_any_order),
		TEST(test_refused_chunks),
		TEST(test_a_unit_of_chunks),
		TEST(test_refused_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
