/* Generic reading and writing over the views of views.h, for the REST API: a query is built from names and foreign values,
 * names are looked up in the view's tables, and every value becomes a parameter. Rows are JSON objects by column name.
 * Builder: one thread, no I/O. Running: blocking. */
#ifndef SLUICE_CATALOG_QUERY_H
#define SLUICE_CATALOG_QUERY_H

#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "catalog/catalog.h"
#include "catalog/views.h"

#include <jansson.h>

/* Comparisons, with the suffix that a filter's name has for each. */
#define QUERY_OPS(X)                  \
	X(EQ, "")                     \
	X(NE, "ne")                   \
	X(IEXACT, "iexact")           \
	X(IN, "in")                   \
	X(CONTAINS, "contains")       \
	X(ICONTAINS, "icontains")     \
	X(STARTSWITH, "startswith")   \
	X(ISTARTSWITH, "istartswith") \
	X(REGEX, "regex")             \
	X(IREGEX, "iregex")           \
	X(LT, "lt")                   \
	X(LTE, "lte")                 \
	X(GT, "gt")                   \
	X(GTE, "gte")                 \
	X(RANGE, "range")             \
	X(ISNULL, "isnull")

enum query_op {
#define X(NAME, suffix) QUERY_##NAME,
	QUERY_OPS(X)
#undef X
		QUERY_OP_COUNT
};
const char *query_op_suffix(enum query_op op);
int query_op_parse(struct slice suffix, enum query_op *out); /* -ERR_INVAL */

enum query_junction { QUERY_AND, QUERY_OR, QUERY_NOT /* none of what is inside */ };

struct query;

/* -ERR_NOMEM. */
int query_new(const struct view *v, struct query **out);
void query_free(struct query **pq);
/* Which columns come out, one call each; without any call all do. A name that the view lacks is our mistake (BUG). */
void query_select(struct query *q, const char *column);
/* Adds a term. IN, RANGE: the comma-separated parts of `value`; ISNULL: true or false. -ERR_INVAL with a text for people
 * when the value is none of the column's type; -ERR_UNSUPPORTED: the comparison makes no sense for the type. `value` is copied. */
int query_where(struct query *q, const char *column, enum query_op op, struct slice value, struct err *err);
/* The same for one value that may hold commas. */
int query_where_any(struct query *q, const char *column, const struct slice *values, size_t count, struct err *err);
/* Adds a condition of the view, with as many values as it has parameters, or any number if it is an `each`. */
int query_condition(struct query *q, const char *condition, const struct slice *values, size_t count, struct err *err);
/* Terms until the matching close belong together. Begins as AND. */
void query_open(struct query *q, enum query_junction j);
void query_close(struct query *q);
/* A label (of the JSON object in `column`): has key; equals; differs, the key being there; contains, any case. */
enum query_label { QUERY_LABEL_HAS, QUERY_LABEL_LACKS, QUERY_LABEL_EQ, QUERY_LABEL_NE, QUERY_LABEL_CONTAINS };
void query_label(struct query *q, const char *column, enum query_label how, struct slice key, struct slice value);
/* Newest (highest id) first is the default and the last tie-breaker. */
void query_order(struct query *q, const char *column, bool descending);
void query_page(struct query *q, int64_t limit, int64_t offset);

int query_count(struct txn *t, struct query *q, int64_t *count, struct err *err);
/* A new JSON array of objects; "_id" is always among the members. */
int query_rows(struct txn *t, struct query *q, json_t **rows, struct err *err);
/* The first row alone. -ERR_NOTFOUND. */
int query_row(struct txn *t, struct query *q, json_t **row, struct err *err);
/* Shorthand: the row with this uuid, all columns. -ERR_NOTFOUND. */
int query_by_uuid(struct txn *t, const struct view *v, const struct uuid *u, json_t **row, struct err *err);

/* Writes. `values`: column names with values as query_rows gives them (a uuid for a reference, null to clear); names must be columns
 * with a `store`. -ERR_EXISTS: a unique constraint; -ERR_NOTFOUND: a referenced object, or the row, is not there.
 * Objects "extra" and the like are stored as they are: merge before. */
int row_insert(struct txn *t, const struct view *v, const char *type, const json_t *values, int64_t *id,
	struct uuid *uuid, struct err *err);
int row_update(struct txn *t, const struct view *v, int64_t id, const json_t *values, struct err *err);
/* Takes the object out of service, deletes what hangs on it in batches, then the row: several short transactions, none of
 * which leaves the object half served. -ERR_BUSY, with a text for people: the view's `hold` keeps it, and nothing was deleted. */
int row_delete(struct catalog *c, const struct view *v, int64_t id, struct err *err);
/* The same inside one transaction, for objects without bulk. */
int row_delete_in(struct txn *t, const struct view *v, int64_t id, struct err *err);

#endif
