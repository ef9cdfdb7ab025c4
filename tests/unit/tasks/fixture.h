/* A catalog in a directory of its own, and what tests of tasks ask it. Every failure is the test's. */
#ifndef SLUICE_TESTS_TASKS_FIXTURE_H
#define SLUICE_TESTS_TASKS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tasks/tasks.h"

struct fixture {
	char dir[64], db[96];
	struct shm *shm;
	struct catalog *catalog;
	struct settings settings;
};

/* Of the catalogs that are opened from now on. */
extern int64_t fixture_busy_ms;

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
/* Another process's look at the same catalog. */
struct catalog *fixture_catalog(const char *db_path, const char *shm_path, struct shm **shm, bool migrate);

/* Dispatches with one exclusive resource, or none. */
struct uuid fixture_dispatch(
	struct fixture *f, const struct task_registry *r, const char *name, const char *args, const char *resource);
void fixture_cancel(struct fixture *f, const struct uuid *u);
enum task_state fixture_state(struct fixture *f, const struct uuid *u);
void fixture_wait(struct fixture *f, const struct uuid *u, enum task_state state);
/* The first column of the first row, $1 being the task's id; "" for none. Until the next call. */
const char *fixture_text(struct fixture *f, const struct uuid *u, const char *sql);
void fixture_exec(struct fixture *f, const char *sql);

#endif
