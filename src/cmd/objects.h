/* Commands about objects of the REST API: what is listed, shown, made, changed and deleted alike, by tables. A kind of objects is a row
 * of kinds.c, with the fields that options set; a command names the kind and one of the verbs below. Blocking, one thread. */
#ifndef SLUICE_CMD_OBJECTS_H
#define SLUICE_CMD_OBJECTS_H

#include "cmd/client.h"
#include "cmd/table.h"

#define API "/pulp/api/v3/"

struct object_type {
	const char *name; /* as on the command line; NULL: the end of the table */
	const char *path; /* of its collection, below the kind's: "file/file/" */
};

struct object_kind {
	const char *noun;                /* "remote": for messages, and before the verb of its commands */
	const char *path;                /* "/pulp/api/v3/remotes/" */
	bool lists_all;                  /* `path` is a list of all types */
	bool by_uuid;                    /* it has no name */
	const char *key;                 /* parameter of the list that selects by name; NULL: "name" */
	const struct object_type *types; /* NULL: `path` is the only collection */
	enum option_id type_option;
	const char *preset_type; /* on create, when none is given; NULL: it has to be */
	const struct column *columns;
	int64_t limit; /* of a list without --limit; 0: all */
};

extern const struct object_kind kind_remote, kind_repository, kind_distribution, kind_guard, kind_acs, kind_task,
	kind_content;
/* What options set, and what they select by. */
extern const struct field remote_fields[], repository_fields[], distribution_fields[], guard_fields[], acs_fields[],
	upload_fields[], sign_fields[], orphan_fields[], warm_fields[], repair_fields[];
extern const struct field name_filters[], label_filters[], task_filters[], content_filters[];

/* The verbs: `o->command` names the kind and the fields. */
int objects_list(const struct options *o);
int objects_show(const struct options *o);
int objects_create(const struct options *o);
int objects_update(const struct options *o);
int objects_delete(const struct options *o);

/* One command at work. What it prints at its end goes to `out`. */
struct work {
	const struct options *o;
	const struct object_kind *kind; /* the command's; NULL: none */
	struct client *client;
	struct buf out;
};
/* Opens the client, lets `verb` do it, prints, and tells of errors. The exit code. */
int objects_run(const struct options *o, int (*verb)(struct work *w, struct err *err));
/* The type that an option names, or the kind's preset; -ERR_INVAL: there is none of that name, or one has to be given. */
int objects_type(const struct work *w, const struct object_type **out, struct err *err);
/* Prints rows: JSON if it was asked for, else a table. */
int objects_print(struct work *w, const struct column *columns, const json_t *rows);
/* Whether people are to be told on standard error what happens. */
bool objects_talks(const struct work *w);
/* A POST that a task answers; waits for it, with progress if people are to be told. *task: may be NULL. */
int objects_do(struct work *w, const char *path, const json_t *body, json_t **task, struct err *err);

/* What a task counted, a line each; for programs the whole task. */
int objects_add_reports(struct work *w, const json_t *task);

/* The type that an href is of: "file"; "" when it is none of the kind's. */
const char *object_type_of(const struct object_kind *kind, const char *href);
/* By name (uuid, digest: as the kind has it), href or PRN; as a read of it shows it. -ERR_NOTFOUND; -ERR_INVAL: the name is not enough. */
int object_find(struct client *c, const struct object_kind *kind, const char *name, json_t **out, struct err *err);
/* The same, when the href is enough. free() it. */
int object_href(struct client *c, const struct object_kind *kind, const char *name, char **out, struct err *err);

/* fields.c: the body that the options given make. `is`: the object as it is, NULL on create. */
int fields_body(struct client *c, const struct options *o, const struct object_kind *kind, const char *type,
	const json_t *is, json_t **out, struct err *err);
/* Appends the parameters that select: "name=x&". */
int fields_query(struct client *c, const struct options *o, struct buf *out, struct err *err);

#endif
