/* What can be read and written generically: each view is a table, the joins around it, and typed columns with names of
 * their own. query.h turns them into SQL; nothing outside this folder sees SQL. Constant data: any thread. */
#ifndef SLUICE_CATALOG_VIEWS_H
#define SLUICE_CATALOG_VIEWS_H

#include <stdbool.h>
#include <stddef.h>

/* How a column is stored and how it looks in JSON. */
enum col_type {
	COL_INT,  /* integer */
	COL_REAL, /* real */
	COL_BOOL, /* 0 and 1: true and false */
	COL_TEXT, /* string */
	COL_JSON, /* text: the value it holds */
	COL_UUID, /* 16 bytes: string with dashes */
	COL_TIME, /* microseconds: ISO 8601 */
	COL_HEX,  /* bytes: lower-case hex */
};

struct view_join {
	const char *sql; /* begins with JOIN or LEFT JOIN */
	unsigned needs;  /* bits of the joins that must come before it */
};

struct view_column {
	const char *name;
	enum col_type type;
	const char *sql;   /* expression */
	unsigned joins;    /* bits of the joins that it reads */
	const char *store; /* column of the table that a write sets; NULL: read only */
	const char *ref;   /* `store` holds the id of an object of this view, and the value is its uuid */
	/* Comparing it by `sql` would look at every row's join: "… IN (SELECT … WHERE %)" instead, '%' the comparison of `within_sql`. */
	const char *within, *within_sql;
	bool secret; /* sealed in the table (secrets.h), in the clear for whoever reads the view, which has a uuid */
};

/* A filter that is more than a comparison of one column. "?1" is its first parameter, and so on; `each`: the whole text is
 * repeated, joined by AND, for every value (they must all hold). `member`: the text is about the view's member table, one
 * row of which says that the object belongs to something. */
#define VIEW_PARAMS_MAX 6
struct view_condition {
	const char *name;
	const char *sql;
	unsigned joins;
	enum col_type params[VIEW_PARAMS_MAX];
	size_t param_count;
	bool each;
	bool member;
};

/* Rows that hang on an object in such numbers that one transaction must not delete them all: `sql` deletes up to a
 * thousand of them, $1 being the object's id. */
struct view_bulk {
	const char *sql;
};

/* What keeps an object from being deleted: `sql` yields the name of such a thing for $1, the object's id; `by` is the reference. */
struct view_hold {
	const char *sql;
	const char *by;
};

#define VIEW_DETACH_MAX 3
struct view {
	const char *name;
	const char *table; /* that writes go to; its integer key is "id" */
	const char *from;  /* table and alias; the alias's id is `id` */
	const char *id;
	bool id_repeats;         /* rows of other objects, counted within each: `id` orders them and names none */
	const char *where;       /* holds for every row of the view; NULL: all */
	bool typed;              /* has a column "type", set once by row_insert */
	bool dated;              /* has uuid, created and updated, kept by row_insert and row_update */
	bool serves;             /* a change of it may change what clients are served */
	const char *member_from; /* table and alias; NULL: no member conditions */
	const char *member_key; /* its column that is the object's id; at most one row of an object meets a condition */
	const char *type_count; /* statement: the number of rows of the type $1; NULL: they are counted */
	const struct view_join *joins;
	size_t join_count;
	const struct view_column *columns;
	size_t column_count;
	const struct view_condition *conditions;
	size_t condition_count;
	const struct view_hold *hold; /* NULL: nothing keeps it from being deleted */
	/* Statements, $1 the id, that take the object out of service before its bulk is deleted. */
	const char *detach[VIEW_DETACH_MAX];
	const struct view_bulk *bulk;
	size_t bulk_count;
};

/* NULL when there is no such view, column or condition. */
const struct view *view_find(const char *name);
const struct view_column *view_column_find(const struct view *v, const char *name);
const struct view_condition *view_condition_find(const struct view *v, const char *name);

#endif
