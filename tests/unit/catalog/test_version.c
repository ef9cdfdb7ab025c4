/* Versions: reading and deleting them, and letting old ones go. */
#include "fixture.h"

#include "catalog/repository.h"

static int delete_version(int64_t repository, int64_t version)
{
	struct txn *t = begin_write();
	int rc = catalog_version_delete(t, repository, version, &err);

	if (rc == 0)
		commit(t);
	else
		txn_end(&t);
	return rc;
}

static struct version_row version(int64_t repository, int64_t n)
{
	struct version_row v = {.id = 0};
	struct txn *t = begin_read();

	OK(catalog_version_get(t, repository, n, &v, &err));
	txn_end(&t);
	return v;
}

/* Versions 1 to n, each a mirror of its text. */
static int64_t make_versions(const char *name, const char *const *units, size_t n)
{
	int64_t repository = make_repository(name);
	struct change_opts o = fixture_opts(repository, 0);

	o.mirror = true;
	for (size_t i = 0; i < n; i++)
		OK(change(&o, units[i], NULL));
	return repository;
}

static const char *const three[] = {"a=1 b=2", "b=2 c=3", "a=1 c=3 d=4"};

static void test_versions_are_found(void **state)
{
	int64_t repository = make_versions("r", three, 3);
	struct version_row v = version(repository, 2), same, latest;
	struct txn *t = begin_read();

	assert_int_equal(v.number, 2);
	assert_int_equal(v.repository_id, repository);
	assert_int_equal(v.added, 1);
	assert_int_equal(v.removed, 1);
	assert_int_equal(v.present, 2);
	OK(catalog_version_by_id(t, v.id, &same, &err));
	assert_memory_equal(&same.uuid, &v.uuid, sizeof(v.uuid));
	OK(catalog_version_latest(t, repository, &latest, &err));
	assert_int_equal(latest.number, 3);
	assert_true(latest.created_us > v.created_us);
	assert_int_equal(catalog_version_get(t, repository, 4, &v, &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_version_by_id(t, 4711, &v, &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_version_latest(t, 4711, &v, &err), -ERR_NOTFOUND);
	txn_end(&t);
}

static void test_a_deleted_version_is_squashed_into_the_next(void **state)
{
	int64_t repository = make_versions("r", three, 3);
	uint64_t generation = shm_generation(shm);
	struct version_row v;

	OK(delete_version(repository, 2));
	assert_true(shm_generation(shm) > generation);
	assert_string_equal(contents(repository, 1), "a=1 b=2");
	assert_string_equal(contents(repository, 3), "a=1 c=3 d=4");
	v = version(repository, 3); /* against version 1 now: "a" was never away */
	assert_int_equal(v.added, 2);
	assert_int_equal(v.removed, 1);
	assert_int_equal(v.present, 3);
	check_invariants();
	OK(delete_version(repository, 1));
	OK(delete_version(repository, 0));
	v = version(repository, 3);
	assert_int_equal(v.added, 3);
	assert_int_equal(v.removed, 0);
	check_invariants();
}

static void test_the_latest_version_can_go_and_its_number_with_it(void **state)
{
	int64_t repository = make_versions("r", three, 3);
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;

	OK(delete_version(repository, 3));
	assert_string_equal(contents(repository, 2), "b=2 c=3");
	check_invariants();
	OK(change(&o, "e=5", &r));
	assert_int_equal(r.number, 4);
	assert_string_equal(contents(repository, 4), "b=2 c=3 e=5");
	check_invariants();
}

static void test_what_cannot_be_deleted(void **state)
{
	int64_t repository = make_versions("r", three, 1);

	assert_int_equal(delete_version(repository, 7), -ERR_NOTFOUND);
	OK(delete_version(repository, 0));
	assert_int_equal(delete_version(repository, 1), -ERR_INVAL);
	assert_int_equal(strncmp(err.msg, "[PLP0011]", 9), 0);
	assert_string_equal(contents(repository, 1), "a=1 b=2");
}

static void publish(int64_t version_id, bool checkpoint)
{
	struct txn *t = begin_write();
	struct uuid uuid;
	int64_t id;

	OK(catalog_publication_begin(t, "file.file", version_id, true, checkpoint, SLICE_NULL, &id, &uuid, &err));
	OK(catalog_publication_complete(t, id, &err));
	commit(t);
}

static void test_served_versions_stay(void **state)
{
	static const struct {
		const char *columns, *values; /* of a distribution */
		int64_t published;            /* version; 0: none */
		bool checkpoint;
		int64_t stays;
	} cases[] = {
		{"repository_version_id", "(SELECT id FROM repository_version WHERE number = 2)", 0, false, 2},
		{"publication_id", "(SELECT MAX(id) FROM publication)", 1, false, 1},
		{"repository_id", "1", 2, false, 2},
		{"repository_id", "1", 0, false, 3},
		{"checkpoint, repository_id", "1, 1", 1, true, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t repository;
		char q[512];

		if (i > 0) {
			fixture_tear_down(state);
			fixture_set_up(state);
		}
		repository = make_versions("r", three, 3);
		if (cases[i].published > 0)
			publish(version(repository, cases[i].published).id, cases[i].checkpoint);
		snprintf(q, sizeof(q),
			"INSERT INTO distribution (uuid, type, name, created, updated, base_path, %s) "
			"VALUES (CAST('d' AS BLOB), 'file.file', 'd', 1, 1, 'd', %s);",
			cases[i].columns, cases[i].values);
		sql(q);
		assert_int_equal(delete_version(repository, cases[i].stays), -ERR_BUSY);
		for (int64_t n = 0; n <= 2; n++) {
			if (n != cases[i].stays)
				OK(delete_version(repository, n));
		}
		check_invariants();
	}
}

static void test_retention_keeps_the_newest_and_the_served(void **state)
{
	static const char *const many[] = {"a=1", "b=2", "a=1 b=2", "b=2 c=3", "c=3", "a=1 c=3"};
	int64_t repository = make_versions("r", many, 2);
	struct change_opts o = fixture_opts(repository, 0);

	publish(version(repository, 1).id, true); /* a checkpoint is kept */
	o.mirror = true;
	sql("UPDATE repository SET retain_repo_versions = 2;");
	for (size_t i = 2; i < ARRAY_LEN(many); i++)
		OK(change(&o, many[i], NULL));
	assert_int_equal(number("SELECT COUNT(*) FROM repository_version"), 3);
	assert_string_equal(contents(repository, 1), many[0]);
	assert_string_equal(contents(repository, 5), many[4]);
	assert_string_equal(contents(repository, 6), many[5]);
	check_invariants();
}

static void test_retention_spares_what_is_answered_for_a_while(void **state)
{
	struct catalog_opts opts = {.url = fixture_url, .busy_timeout_ms = 5000, .readers = 2, .window_ms = 60000};
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);

	catalog_close(&catalog);
	OK(catalog_open(&opts, true, &catalog, &err));
	sql("UPDATE repository SET retain_repo_versions = 1;"
	    "INSERT INTO distribution (uuid, type, name, created, updated, base_path, repository_id) "
	    "VALUES (CAST('d' AS BLOB), 'file.file', 'd', 1, 1, 'd', 1);");
	for (int i = 1; i <= 3; i++) {
		char unit_text[16];

		snprintf(unit_text, sizeof(unit_text), "a=%d", i);
		OK(change(&o, unit_text, NULL));
		publish(version(repository, i).id, false);
	}
	/* Version 2 was superseded now; version 1 a moment ago, which makes no difference. */
	assert_string_equal(contents(repository, 1), "a=1");
	sql("UPDATE distribution_history SET superseded_at = superseded_at - 61000000 WHERE publication_id = 1;");
	OK(change(&o, "a=4", NULL));
	assert_int_equal(number("SELECT MIN(number) FROM repository_version"), 2);
	check_invariants();
}

/* --- against a model --- */

#define PATHS 7
#define VERSIONS 512
#define ROUNDS 250

struct model {
	int units[VERSIONS][PATHS]; /* the unit's number; 0: none */
	bool exists[VERSIONS];
	int next, count;
};

static void model_text(const int *units, char out[128])
{
	size_t n = 0;

	out[0] = '\0';
	for (int p = 0; p < PATHS; p++) {
		if (units[p] != 0)
			n += (size_t)snprintf(out + n, 128 - n, "%s%c=%d", n > 0 ? " " : "", 'a' + p, units[p]);
	}
}

static int model_pick(const struct model *m)
{
	int n;

	do
		n = rand() % m->next;
	while (!m->exists[n]);
	return n;
}

static int model_latest(const struct model *m)
{
	int n = m->next - 1;

	while (!m->exists[n])
		n--;
	return n;
}

static void model_change(struct model *m, int64_t repository)
{
	struct change_opts o = fixture_opts(repository, 0);
	int declared[PATHS] = {0}, latest = model_latest(m), *made = m->units[m->next], changed;
	struct change_result r;
	char units[128];

	o.mirror = rand() % 2;
	if (rand() % 4 == 0)
		o.base_number = model_pick(m);
	memcpy(made, m->units[o.base_number >= 0 ? o.base_number : latest], sizeof(m->units[0]));
	for (int p = 0; p < PATHS; p++) {
		if (rand() % 3 == 0)
			declared[p] = 1 + rand() % 2;
		if (declared[p] != 0 || o.mirror)
			made[p] = declared[p];
	}
	model_text(declared, units);
	OK(change(&o, units, &r));
	changed = memcmp(made, m->units[latest], sizeof(m->units[0])) != 0;
	assert_int_equal(r.changed, changed);
	if (changed) {
		assert_int_equal(r.number, m->next);
		m->exists[m->next++] = true;
		m->count++;
	}
}

static void test_any_sequence_of_changes_and_deletions(void **state)
{
	static struct model m;
	int64_t repository = make_repository("r");
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : 1;
	char expected[128];

	print_message("seed %u\n", seed);
	srand(seed);
	memset(&m, 0, sizeof(m));
	m.exists[0] = true;
	m.next = m.count = 1;
	for (int round = 0; round < ROUNDS; round++) {
		if (m.count > 1 && rand() % 100 < (m.count > 8 ? 70 : 30)) {
			int n = model_pick(&m);

			OK(delete_version(repository, n));
			m.exists[n] = false;
			m.count--;
		} else {
			model_change(&m, repository);
		}
		for (int n = 0; n < m.next; n++) {
			if (!m.exists[n])
				continue;
			model_text(m.units[n], expected);
			assert_string_equal(contents(repository, n), expected);
		}
		check_invariants();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions_are_found),
		TEST(test_a_deleted_version_is_squashed_into_the_next),
		TEST(test_the_latest_version_can_go_and_its_number_with_it),
		TEST(test_what_cannot_be_deleted),
		TEST(test_served_versions_stay),
		TEST(test_retention_keeps_the_newest_and_the_served),
		TEST(test_retention_spares_what_is_answered_for_a_while),
		TEST(test_any_sequence_of_changes_and_deletions),
	};

	return RUN("version", tests);
}
