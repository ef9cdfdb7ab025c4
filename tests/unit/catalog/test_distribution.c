/* What distributions point at, and what they served before. */
#include "fixture.h"

#include "base/clock.h"

static bool needs_publication(const char *type)
{
	return strcmp(type, "file.file") == 0;
}

static bool never_needs_publication(const char *type)
{
	return false;
}

static int64_t repository;

static int set_up(void **state)
{
	struct change_opts o;

	if (fixture_set_up(state) < 0)
		return -1;
	repository = make_repository("r");
	o = fixture_opts(repository, 0);
	for (int i = 1; i <= 3; i++) {
		char unit_text[16];

		snprintf(unit_text, sizeof(unit_text), "a=%d", i);
		OK(change(&o, unit_text, NULL));
	}
	return 0;
}

static int64_t version_id(int n)
{
	char q[96];

	snprintf(q, sizeof(q), "SELECT id FROM repository_version WHERE number = %d", n);
	return number(q);
}

static int64_t begin_publication(int version)
{
	struct txn *t;
	struct uuid uuid;
	int64_t id = 0, of = version_id(version);

	t = begin_write();
	OK(catalog_publication_begin(t, "file.file", of, true, false, SLICE("{\"m\":1}"), &id, &uuid, &err));
	commit(t);
	return id;
}

static void complete(int64_t id)
{
	struct txn *t = begin_write();

	OK(catalog_publication_complete(t, id, &err));
	commit(t);
}

static int64_t publish(int version)
{
	int64_t id = begin_publication(version);

	complete(id);
	return id;
}

static void distribute(const char *name, const char *columns)
{
	char q[512];

	snprintf(q, sizeof(q),
		"INSERT INTO distribution (uuid, type, name, created, updated, base_path) "
		"VALUES (CAST('%s' AS BLOB), 'file.file', '%s', 1, 1, '%s'); UPDATE distribution SET %s WHERE name = "
		"'%s';",
		name, name, name, columns, name);
	sql(q);
}

/* The publications of a distribution's sets, current first, "-" before a superseded one; a version without
 * publication as "v2". */
static const char *sets(const char *base_path, int64_t window_us, bool (*needs)(const char *type))
{
	static char out[128];
	struct served_table *table = NULL;
	struct txn *t = begin_read();
	size_t n = 0;

	OK(catalog_served_load(t, window_us, needs, &table, &err));
	txn_end(&t);
	snprintf(out, sizeof(out), "no such distribution");
	for (size_t i = 0; i < table->count; i++) {
		const struct served_distribution *d = &table->d[i];

		if (strcmp(d->base_path, base_path) != 0)
			continue;
		out[0] = '\0';
		for (size_t j = 0; j < d->set_count; j++) {
			const struct served_set *s = &d->sets[j];

			assert_int_equal(s->repository_id, repository);
			assert_true(s->pass_through);
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s%lld", n > 0 ? " " : "",
				s->superseded ? "-" : "", s->publication_id == 0 ? "v" : "",
				(long long)(s->publication_id == 0 ? s->version_number : s->publication_id));
		}
	}
	served_table_free(&table);
	assert_null(table);
	return out;
}

static void test_distributions_come_sorted_and_whole(void **state)
{
	struct served_table *table = NULL;
	struct txn *t;

	distribute("b", "hidden = 1, content_guard_id = 7");
	distribute("a/z", "remote_id = NULL, repository_id = 1");
	distribute("a-b", "type = 'python.python'");
	sql("INSERT INTO remote (uuid, type, name, created, updated, url, policy) VALUES (CAST('r' AS BLOB), 't', 'r', "
	    "1, 1, 'u', "
	    "'streamed'); UPDATE distribution SET remote_id = 1 WHERE name = 'a-b';");
	t = begin_read();
	OK(catalog_served_load(t, 0, NULL, &table, &err));
	txn_end(&t);
	assert_int_equal(table->count, 3);
	assert_string_equal(table->d[0].base_path, "a-b");
	assert_string_equal(table->d[1].base_path, "a/z");
	assert_string_equal(table->d[2].base_path, "b");
	assert_string_equal(table->d[0].type, "python.python");
	assert_true(table->d[0].has_source);
	assert_true(table->d[1].has_source);
	assert_false(table->d[2].has_source);
	assert_true(table->d[2].hidden);
	assert_int_equal(table->d[2].content_guard_id, 7);
	assert_int_equal(table->d[1].content_guard_id, 0);
	assert_int_equal(table->d[2].set_count, 0);
	served_table_free(&table);
}

static void test_which_publication_is_served(void **state)
{
	int64_t of_two, of_one;
	char expected[32], columns[64];

	distribute("repo", "repository_id = 1");
	distribute("version", "repository_version_id = (SELECT id FROM repository_version WHERE number = 1)");
	assert_string_equal(sets("repo", 0, needs_publication), "");
	assert_string_equal(sets("repo", 0, never_needs_publication), "v3");
	assert_string_equal(sets("version", 0, never_needs_publication), "v1");
	of_two = publish(2);
	of_one = publish(1); /* newer, but of an older version */
	begin_publication(3);
	snprintf(expected, sizeof(expected), "%lld", (long long)of_two);
	assert_string_equal(sets("repo", 0, needs_publication), expected); /* goes on while version 3 has none */
	assert_string_equal(sets("repo", 0, never_needs_publication), expected);
	snprintf(expected, sizeof(expected), "%lld", (long long)of_one);
	assert_string_equal(sets("version", 0, needs_publication), expected);
	of_one = publish(1);
	snprintf(expected, sizeof(expected), "%lld", (long long)of_one);
	assert_string_equal(sets("version", 0, needs_publication), expected); /* the latest of the version */
	snprintf(columns, sizeof(columns), "publication_id = %lld", (long long)begin_publication(1));
	distribute("direct", columns);
	assert_string_equal(sets("direct", 0, never_needs_publication), ""); /* not complete */
}

static void test_superseded_publications_are_answered_for_a_while(void **state)
{
	int64_t first, second, third;
	char expected[64];

	distribute("d", "repository_id = 1");
	first = publish(1);
	second = publish(2);
	publish(1); /* supersedes nothing */
	snprintf(expected, sizeof(expected), "%lld -%lld", (long long)second, (long long)first);
	assert_string_equal(sets("d", US_PER_S, needs_publication), expected);
	third = publish(3);
	snprintf(expected, sizeof(expected), "%lld -%lld -%lld", (long long)third, (long long)second, (long long)first);
	assert_string_equal(sets("d", 60 * US_PER_S, needs_publication), expected);
	/* The window is over for the oldest. */
	sql("UPDATE distribution_history SET superseded_at = superseded_at - 100000000 WHERE publication_id = "
	    "(SELECT MIN(publication_id) FROM distribution_history);");
	snprintf(expected, sizeof(expected), "%lld -%lld", (long long)third, (long long)second);
	assert_string_equal(sets("d", 60 * US_PER_S, needs_publication), expected);
	snprintf(expected, sizeof(expected), "%lld", (long long)third);
	assert_string_equal(sets("d", 0, needs_publication), expected);
	/* Without a source nothing is answered. */
	sql("UPDATE distribution SET repository_id = NULL;");
	assert_string_equal(sets("d", 60 * US_PER_S, needs_publication), "");
}

static void test_a_new_source_supersedes_the_old_one(void **state)
{
	int64_t first = publish(1), second = publish(2), id;
	char columns[64], expected[64];
	struct txn *t;

	snprintf(columns, sizeof(columns), "publication_id = %lld", (long long)first);
	distribute("d", columns);
	id = number("SELECT id FROM distribution");
	t = begin_write();
	OK(catalog_distribution_supersede(t, id, &err));
	assert_int_equal(catalog_distribution_supersede(t, 4711, &err), -ERR_NOTFOUND);
	commit(t);
	snprintf(columns, sizeof(columns), "UPDATE distribution SET publication_id = %lld;", (long long)second);
	sql(columns);
	snprintf(expected, sizeof(expected), "%lld -%lld", (long long)second, (long long)first);
	assert_string_equal(sets("d", US_PER_S, needs_publication), expected);
	t = begin_write();
	OK(catalog_distribution_forget(t, id, &err));
	commit(t);
	snprintf(expected, sizeof(expected), "%lld", (long long)second);
	assert_string_equal(sets("d", US_PER_S, needs_publication), expected);
}

/* Nothing else has to change for it to be over. */
static void test_the_window_ends(void **state)
{
	struct catalog_opts opts = {
		.url = fixture_url, .busy_timeout_ms = 5000, .readers = 2, .shm = shm, .window_ms = 60000};
	uint64_t generation;

	distribute("d", "repository_id = 1");
	for (int version = 1; version <= 3; version++)
		publish(version);
	catalog_close(&catalog);
	OK(catalog_open(&opts, true, &catalog, &err));
	sql("UPDATE distribution_history SET superseded_at = superseded_at - 61000000 WHERE publication_id = "
	    "(SELECT MIN(publication_id) FROM distribution_history);");
	generation = shm_generation(shm);
	OK(catalog_history_sweep(catalog, &err));
	assert_int_equal(number("SELECT COUNT(*) FROM distribution_history"), 1);
	assert_true(shm_generation(shm) > generation);
	generation = shm_generation(shm);
	OK(catalog_history_sweep(catalog, &err));
	assert_true(shm_generation(shm) == generation);
	/* Without a window nothing is kept. */
	opts.window_ms = 0;
	catalog_close(&catalog);
	OK(catalog_open(&opts, true, &catalog, &err));
	OK(catalog_history_sweep(catalog, &err));
	assert_int_equal(number("SELECT COUNT(*) FROM distribution_history"), 0);
}

/* --- publications --- */

static void test_dates_of_publications_differ_by_a_second(void **state)
{
	int64_t last = 0;

	for (int i = 0; i < 3; i++) {
		char q[96];
		int64_t created;

		snprintf(
			q, sizeof(q), "SELECT created FROM publication WHERE id = %lld", (long long)publish(1 + i % 2));
		created = number(q);
		assert_true(created / US_PER_S > last / US_PER_S);
		last = created;
	}
}

static void test_completing_and_deleting_change_service(void **state)
{
	int64_t id = begin_publication(1);
	uint64_t generation = shm_generation(shm);
	struct txn *t;

	complete(id);
	assert_true(shm_generation(shm) > generation);
	generation = shm_generation(shm);
	assert_string_equal(text("SELECT extra FROM publication"), "{\"m\":1}");
	t = begin_write();
	OK(catalog_publication_delete(t, id, &err));
	assert_int_equal(catalog_publication_delete(t, id, &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_publication_complete(t, id, &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_publication_begin(
				 t, "file.file", 4711, true, false, SLICE_NULL, &id, &(struct uuid){{0}}, &err),
		-ERR_DB);
	commit(t);
	assert_true(shm_generation(shm) > generation);
}

static void test_a_path_is_published_once(void **state)
{
	int64_t id = begin_publication(1);
	struct txn *t = begin_write();

	OK(catalog_publication_add(t, id, SLICE("a"), 0, 0, &err));
	assert_int_equal(catalog_publication_add(t, id, SLICE("a"), 0, 0, &err), -ERR_EXISTS);
	assert_int_equal(catalog_publication_add(t, id, SLICE("../a"), 0, 0, &err), -ERR_INVAL);
	txn_end(&t);
}

static void test_only_abandoned_publications_are_swept(void **state)
{
	int64_t done = publish(1), busy;
	char uuid[33], q[512];
	struct txn *t;

	begin_publication(1);
	busy = make_repository("busy");
	snprintf(q, sizeof(q),
		"INSERT INTO publication (uuid, type, created, updated, repository_version_id) SELECT CAST('p' AS "
		"BLOB), 't', 1, 1, id "
		"FROM repository_version WHERE repository_id = %lld;",
		(long long)busy);
	sql(q);
	snprintf(uuid, sizeof(uuid), "%s", text("SELECT lower(hex(uuid)) FROM repository WHERE name = 'busy'"));
	snprintf(q, sizeof(q),
		"INSERT INTO task (uuid, created, updated, name, state) VALUES (CAST('t' AS BLOB), 1, 1, 'publish', "
		"'running');"
		"INSERT INTO task_lock VALUES ('prn:file.filerepository:%.8s-%.4s-%.4s-%.4s-%.12s', 0, 1);",
		uuid, uuid + 8, uuid + 12, uuid + 16, uuid + 20);
	sql(q);
	t = begin_write();
	OK(catalog_publication_sweep(t, &err));
	commit(t);
	assert_int_equal(number("SELECT COUNT(*) FROM publication"), 2);
	assert_int_equal(number("SELECT id FROM publication WHERE complete = 1"), done);
	assert_string_equal(text("SELECT type FROM publication WHERE complete = 0"), "t");
}

#define DISTRIBUTION(fn) cmocka_unit_test_setup_teardown(fn, set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISTRIBUTION(test_distributions_come_sorted_and_whole),
		DISTRIBUTION(test_which_publication_is_served),
		DISTRIBUTION(test_superseded_publications_are_answered_for_a_while),
		DISTRIBUTION(test_a_new_source_supersedes_the_old_one),
		DISTRIBUTION(test_the_window_ends),
		DISTRIBUTION(test_dates_of_publications_differ_by_a_second),
		DISTRIBUTION(test_completing_and_deleting_change_service),
		DISTRIBUTION(test_a_path_is_published_once),
		DISTRIBUTION(test_only_abandoned_publications_are_swept),
	};

	return RUN("distribution", tests);
}
