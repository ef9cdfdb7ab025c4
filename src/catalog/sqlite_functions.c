/* The SQL functions that SQLite lacks. Called by SQLite on the connection's thread; no state but what SQLite keeps for a
 * statement (the compiled pattern). */
#include "catalog/sqlite_functions.h"

#include "base/check.h"
#include "base/slice.h"

#include <jansson.h>
#include <regex.h>
#include <stdlib.h>

struct pattern {
	regex_t re;
	bool bad;
};

static void pattern_free(void *arg)
{
	struct pattern *p = arg;

	if (!p->bad)
		regfree(&p->re);
	free(p);
}

static void text_matches(sqlite3_context *x, int argc, sqlite3_value **argv)
{
	struct pattern *p = sqlite3_get_auxdata(x, 1), *fresh = NULL;
	const char *text, *re;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return;
	text = (const char *)sqlite3_value_text(argv[0]);
	re = (const char *)sqlite3_value_text(argv[1]);
	if (p == NULL) {
		if (text == NULL || re == NULL || (fresh = calloc(1, sizeof(*fresh))) == NULL) {
			sqlite3_result_error_nomem(x);
			return;
		}
		p = fresh;
		p->bad = regcomp(&p->re, re, REG_EXTENDED | REG_NOSUB | (sqlite3_value_int(argv[2]) ? REG_ICASE : 0)) !=
			 0;
	}
	sqlite3_result_int(x, !p->bad && text != NULL && regexec(&p->re, text, 0, NULL, 0) == 0);
	/* Last: SQLite may free it at once. */
	if (fresh != NULL)
		sqlite3_set_auxdata(x, 1, fresh, pattern_free);
}

/* The member `key` of the object in argv[0]: a new reference, NULL when it is missing. */
static json_t *member(sqlite3_value **argv)
{
	const char *text = (const char *)sqlite3_value_text(argv[0]), *key = (const char *)sqlite3_value_text(argv[1]);
	json_t *all, *one;

	if (text == NULL || key == NULL || (all = json_loads(text, 0, NULL)) == NULL)
		return NULL;
	one = json_incref(json_object_get(all, key));
	json_decref(all);
	return one;
}

static void label_has(sqlite3_context *x, int argc, sqlite3_value **argv)
{
	json_t *one = member(argv);

	sqlite3_result_int(x, one != NULL);
	json_decref(one);
}

static void label_get(sqlite3_context *x, int argc, sqlite3_value **argv)
{
	json_t *one = member(argv);

	if (json_is_string(one))
		sqlite3_result_text(x, json_string_value(one), (int)json_string_length(one), SQLITE_TRANSIENT);
	json_decref(one);
}

int sqlite_functions_add(sqlite3 *db)
{
	static const struct {
		const char *name;
		int args;
		void (*fn)(sqlite3_context *, int, sqlite3_value **);
	} functions[] = {
		{"text_matches", 3, text_matches},
		{"label_has", 2, label_has},
		{"label_get", 2, label_get},
	};
	int rc = SQLITE_OK;

	for (size_t i = 0; i < ARRAY_LEN(functions) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].args,
			SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, functions[i].fn, NULL, NULL, NULL);
	return rc;
}
