/* Tables and lists of members for people. Pure text work. */
#ifndef SLUICE_CMD_TABLE_H
#define SLUICE_CMD_TABLE_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

struct client;

/* What stands in a column, where it is more than a member of the row. Appends. */
typedef void table_cell(const struct client *c, const json_t *row, struct buf *out);

struct column {
	const char *title;  /* NULL: the end of the table */
	const char *member; /* texts as they are, numbers to the right, null as "-" */
	table_cell *cell;   /* NULL: the member */
};

/* A line of titles and one for each row; c is for the cells. */
int table_add(const struct column *columns, const json_t *rows, const struct client *c, struct buf *out);
/* A line for each member of the object. */
int table_add_members(const json_t *object, struct buf *out);
/* A value as a table shows it: no control characters, which a terminal would obey. */
void table_add_value(const json_t *v, struct buf *out);

#endif
