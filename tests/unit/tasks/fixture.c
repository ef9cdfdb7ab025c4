/* The fixture of the tests of tasks. */
#include "fixture.h"

#include "base/clock.h"
#include "base/fsutil.h"
#include "catalog/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEADLINE_NS (60 * NS_PER_S)

#define MUST(call)                                                    \
	do {                                                          \
		struct err err = ERR_INIT;                            \
		int rc_ = (call);                                     \
		if (rc_ < 0)                                          \
			fail_msg("%s: %s (%d)", #call, err.msg, rc_); \
	} while (0)

int64_t fixture_busy_ms = 10000;

struct catalog *fixture_catalog(const char *db_path, const char *shm_path, struct shm **shm, bool migrate)
{
	struct catalog_opts opts = {.busy_timeout_ms = fixture_busy_ms, .readers = 2};
	struct catalog *c = NULL;
	char url[256];

	snprintf(url, sizeof(url), "sqlite:%s", db_path);
	opts.url = url;
	MUST(shm_open_file(shm_path, shm, &err));
	opts.shm = *shm;
	MUST(catalog_open(&opts, migrate, &c, &err));
	return c;
}

void fixture_open(struct fixture *f)
{
	char shm_path[96];

	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/sluice-tasks-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/catalog.db", f->dir);
	snprintf(shm_path, sizeof(shm_path), "%s/generation", f->dir);
	MUST(settings_init(&f->settings, &err));
	f->catalog = fixture_catalog(f->db, shm_path, &f->shm, true);
}

void fixture_close(struct fixture *f)
{
	catalog_close(&f->catalog);
	shm_close(&f->shm);
	settings_fini(&f->settings);
	MUST(fs_remove_tree(f->dir, &err));
}

struct uuid fixture_dispatch(
	struct fixture *f, const struct task_registry *r, const char *name, const char *args, const char *resource)
{
	const char *resources[] = {resource, NULL};
	struct task_new n = {.name = name, .args = slice_str(args), .exclusive = resource != NULL ? resources : NULL};
	struct uuid u;

	MUST(tasks_dispatch(r, f->catalog, &n, &u, &err));
	return u;
}

void fixture_cancel(struct fixture *f, const struct uuid *u)
{
	enum task_state now;
	struct txn *t;

	MUST(catalog_write(f->catalog, &t, &err));
	MUST(catalog_task_cancel(t, u, &now, &err));
	MUST(txn_commit(&t, &err));
}

enum task_state fixture_state(struct fixture *f, const struct uuid *u)
{
	struct task_row *row;
	enum task_state s;
	struct txn *t;

	MUST(catalog_read(f->catalog, &t, &err));
	MUST(catalog_task_by_uuid(t, u, &row, &err));
	txn_end(&t);
	s = row->state;
	task_row_free(&row);
	return s;
}

void fixture_wait(struct fixture *f, const struct uuid *u, enum task_state state)
{
	int64_t deadline = clock_mono_ns() + DEADLINE_NS;
	enum task_state now;

	while ((now = fixture_state(f, u)) != state) {
		struct timespec nap = {.tv_nsec = 5 * NS_PER_MS};

		if (clock_mono_ns() > deadline || task_state_is_final(now))
			fail_msg("the task is %s, and was to become %s", task_state_name(now), task_state_name(state));
		nanosleep(&nap, NULL);
	}
}

const char *fixture_text(struct fixture *f, const struct uuid *u, const char *sql)
{
	static char text[4096];
	struct task_row *row;
	struct db_stmt *s;
	struct txn *t;

	text[0] = '\0';
	MUST(catalog_read(f->catalog, &t, &err));
	MUST(catalog_task_by_uuid(t, u, &row, &err));
	MUST(db_query_text(txn_db(t), sql, &s, &err));
	db_bind_i64(s, 1, row->id);
	if (db_step(s, NULL) == 1) {
		struct slice v = db_col_text(s, 0);

		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(v));
	}
	db_done(&s);
	task_row_free(&row);
	txn_end(&t);
	return text;
}

void fixture_exec(struct fixture *f, const char *sql)
{
	struct txn *t;

	MUST(catalog_write(f->catalog, &t, &err));
	MUST(db_exec(txn_db(t), sql, &err));
	MUST(txn_commit(&t, &err));
}
