/* SQL functions that SQLite lacks and views.c and query.c use; a PostgreSQL backend defines the same ones in SQL.
 *
 * text_matches(text, pattern, any_case): 1, 0 or null; a POSIX extended regular expression found anywhere in the text;
 *   a pattern that does not compile matches nothing.
 * label_has(json, key): 1 when the object has the key. label_get(json, key): its text; null when it is null or missing. */
#ifndef SLUICE_CATALOG_SQLITE_FUNCTIONS_H
#define SLUICE_CATALOG_SQLITE_FUNCTIONS_H

#include <sqlite3.h>

/* On every connection, after it is opened. An SQLite result code. */
int sqlite_functions_add(sqlite3 *db);

#endif
