/* What the files of src/api share: the tables that make a resource, and one request in progress.
 *
 * kind      what all formats have alike (remotes, repositories …): fields, filters, actions, and what may be done
 * resource  a kind at a path: of one format (remotes/file/file), of the core (tasks), or the list of all types (remotes)
 *
 * Everything but a request is constant once api_new is done. A request belongs to the thread that handles it. */
#ifndef SLUICE_API_PRIV_H
#define SLUICE_API_PRIV_H

#include "api/api.h"
#include "api/form.h"
#include "base/arena.h"
#include "base/uuid.h"
#include "catalog/query.h"
#include "guard/signature.h"

#include <jansson.h>

#define API_ROOT "/pulp/api/v3/"
#define API_NAME_MAX 255           /* characters */
#define API_CORE_VERSION "3.117.0" /* pulpcore's that the API is compatible with */

struct api_ctx;
struct api_field;
struct api_resource;
struct api_auth;

/* ---- fields ---- */

enum api_type {
	T_STRING,
	T_INTEGER,
	T_FLOAT,
	T_BOOLEAN,
	T_TIME,
	T_CHOICE,  /* one of `choices` */
	T_LABELS,  /* object of strings */
	T_OBJECT,  /* any object */
	T_JSON,    /* anything (read-only fields) */
	T_STRINGS, /* list of strings */
	T_HEADERS, /* list of objects with one string each */
	T_FILE,    /* a file of a form: struct api_file; F_OPTION only */
	T_REF,     /* href or PRN of an object of `kind`; its uuid in the view */
};

#define F_REQUIRED 0x01u
#define F_NULLABLE 0x02u
#define F_READ_ONLY 0x04u
#define F_WRITE_ONLY 0x08u
#define F_BLANK 0x10u /* the empty string is a value */
#define F_EXTRA 0x20u /* the format's own: a member of the view's column `extra` */
#define F_UNIQUE 0x40u
#define F_VERBATIM 0x80u  /* white space around it is kept */
#define F_COMMON 0x100u   /* also in the list of all types */
#define F_MINIMAL 0x200u  /* also with minimal=true */
#define F_OPTION 0x400u   /* of an action or a create: no column */
#define F_GENERIC 0x2000u /* only in the list of all types */
#define F_BIG 0x1000u     /* an integer of up to 63 bits, not 31 */
#define F_ADMIN 0x4000u   /* a secret: shown to administrators, empty for viewers */
#define F_SHOWN 0x800u    /* F_OPTION that `show` makes a value for */

/* Checks a value that has the right type and may replace it. NULL, or what is wrong with it (constant or of the arena). */
typedef const char *api_check(struct api_ctx *x, const struct api_field *f, json_t **value);
/* Makes the value of a field from the row. A new reference; NULL: out of memory. */
typedef json_t *api_show(struct api_ctx *x, const struct api_resource *r, const json_t *row);

struct api_field {
	const char *name;
	enum api_type type;
	unsigned flags;
	const char *column;       /* of the view; NULL: named as the field */
	const char *default_json; /* NULL: none */
	const char *kind;         /* T_REF */
	int64_t max_length;       /* T_STRING, characters; 0: any */
	bool bounded;             /* numbers: */
	int64_t min;
	const char *const *choices; /* NULL-terminated */
	api_check *check;
	api_show *show;
	const char *help;
	const char *schema; /* T_JSON: what it looks like, as a schema of JSON; NULL: anything */
};

static inline const char *api_field_column(const struct api_field *f)
{
	return f->column != NULL ? f->column : f->name;
}

/* ---- filters ---- */

#define OP(name) (1u << QUERY_##name)
#define OPS_EXACT OP(EQ)
#define OPS_STRING                                                                                                    \
	(OP(EQ) | OP(IEXACT) | OP(IN) | OP(CONTAINS) | OP(ICONTAINS) | OP(STARTSWITH) | OP(ISTARTSWITH) | OP(REGEX) | \
		OP(IREGEX))
#define OPS_TIME (OP(EQ) | OP(LT) | OP(LTE) | OP(GT) | OP(GTE) | OP(RANGE) | OP(ISNULL))
#define OPS_NUMBER (OP(EQ) | OP(NE) | OP(LT) | OP(LTE) | OP(GT) | OP(GTE) | OP(RANGE) | OP(ISNULL))

struct api_filter;
/* Adds its term. -ERR_INVAL with a text for the client; x->filter_bare when the answer is the bare list. */
typedef int api_filter_apply(struct api_ctx *x, const struct api_resource *r, struct query *q,
	const struct api_filter *f, enum query_op op, struct slice value, struct err *err);

struct api_filter {
	const char *name;
	unsigned ops;            /* OP() bits */
	const char *column;      /* of the view, a condition of it, or what `apply` makes of it */
	api_filter_apply *apply; /* NULL: compares the column */
	const char *kind;        /* of what is referred to */
	bool nullable;           /* "null" and "" are values */
	const char *const *choices;
	const char *help;
	enum api_type type; /* of the value, when it is no column of the view */
};

/* ---- actions, kinds, resources ---- */

struct api_route {
	const struct api_resource *resource;
	const struct api_action *action;
	struct slice parent; /* of a nested resource: the segment of '*' */
	struct slice key;    /* p == NULL: the collection */
};

typedef void api_action_fn(struct api_ctx *x, const struct api_route *rt);

/* What an action or a page answers with when all is well, for the document that describes the API. */
enum api_answer {
	ANSWER_TASK,   /* 202: a task */
	ANSWER_GROUP,  /* 202: a group of tasks */
	ANSWER_OBJECT, /* 200: the resource's object */
	ANSWER_NEW,    /* 201: the same */
	ANSWER_MADE,   /* 201: `schema`, called as the body with "Response" behind it */
	ANSWER_JSON,   /* 200: `schema` */
	ANSWER_EMPTY,  /* 200: nothing */
};
struct api_doc {
	const char *id;   /* of the operation, NULL: the action's name; a page's whole operationId */
	const char *body; /* name of the schema of the body; '*' stands for the resource's model. NULL: no body */
	enum api_answer answer;
	const char *schema; /* of ANSWER_MADE and ANSWER_JSON */
	const char *verb;   /* as `id`, but short where the names of other operations are */
	const char *header; /* a field of the request that must be there */
	bool conflict;      /* with ANSWER_OBJECT: 409 shows the object as well */
};

struct api_action {
	const char *name; /* the path's last segment */
	enum http_method method;
	bool on_object; /* <href>name/; else <collection>name/ */
	api_action_fn *run;
	const struct api_field *fields; /* of the body; NULL: none */
	const char *help;
	struct api_doc doc;
	bool uploads; /* only where units can be uploaded */
};

enum api_op { API_LIST = 1, API_READ = 2, API_CREATE = 4, API_UPDATE = 8, API_DELETE = 16 };
enum api_how { API_NOW, API_TASK };

/* What a task reserves. Strings of the arena. */
struct api_locks {
	const char **exclusive, **shared; /* NULL-terminated */
	size_t exclusive_count, shared_count, exclusive_cap, shared_cap;
	bool brief; /* the task is short though its handler is not always: it may run inside the call */
};

struct api_kind {
	const char *name;  /* "remotes": first segment of its paths */
	const char *model; /* "Remote": end of the model's name */
	const char *view;
	const char *plugin, *variant; /* one of several of this name, of no format: NAME/PLUGIN/VARIANT */
	bool per_format; /* exists once for each format, and once as the list of all types (if in_generic) */
	bool generic;
	bool by_number; /* objects are addressed by their number below a parent, else by uuid */
	const char *
		below; /* nested: kind of the parent, whose column of this view is `parent_column`; without a format `name` has the whole path */
	const char *parent_column;
	const char *only_column, *only_value; /* rows of the view that count; NULL: all */
	unsigned ops;
	enum api_how create, destroy;
	int refused;     /* the status that a DELETE is always answered with; 0: it can be done */
	bool update_now; /* 200; else by a task */
	const struct api_field *fields;
	const struct api_field *create_fields; /* of the body of a create; NULL: `fields` */
	const struct api_filter *filters;
	const struct api_action *actions;
	/* Fields in combination. `row`: as it is, NULL on create; `values`: what is to be written, by column, may be changed; `options`: F_OPTION values.
	 * Adds to `problems`. Run again inside the task, without options then. */
	int (*check)(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values,
		json_t *options, json_t *problems, struct err *err);
	int (*insert)(struct txn *t, const struct api_resource *r, json_t *values, int64_t *id, struct uuid *uuid,
		struct err *err);
	/* Before an update, in its transaction: what must happen while the row still is as it was. */
	int (*before_update)(struct txn *t, const json_t *row, const json_t *values, struct err *err);
	/* A create inside its task, when it is more than a row (the task's args are create_by's). */
	int (*make)(struct task *t, struct api_ctx *x, const struct api_resource *r, struct err *err);
	void (*create_by)(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options);
	void (*destroy_by)(struct api_ctx *x, const struct api_resource *r, const json_t *row);
	void (*reserve)(struct api_ctx *x, const struct api_resource *r, enum api_op op, const json_t *row,
		const json_t *values, struct api_locks *l);
};

struct api_resource {
	const struct api_kind *kind;
	const struct view *view;
	const struct sluice_format *format;                /* NULL: of the core, or the list of all types */
	const struct sluice_publication_kind *publication; /* of publications: NULL: the format's main kind */
	bool all_types;
	char *path;                      /* "remotes/file/file", "repositories/file/file/<star>/versions" */
	char *type;                      /* "file.file", or NULL */
	char *model;                     /* "FileRemote" */
	char *prn;                       /* "file.fileremote" */
	const struct api_field **fields; /* NULL-terminated: the kind's and the format's */
	const struct api_field **create_fields;
	struct api_field *own;          /* the format's, converted */
	struct api_filter *own_filters; /* for the format's fields, NULL-name terminated */
	struct api_field *sync_fields;  /* of repositories: the options of a sync; else NULL */
	/* Of content that can be uploaded: of a create, and of the action upload; else NULL. */
	struct api_field *unit_fields, *upload_fields;
	unsigned ops;
};

/* A view of its own that is no resource: status/ and such. */
struct api_page {
	const char *path; /* "" is the root */
	enum http_method method;
	bool anonymous;
	api_action_fn *run;
	const struct api_field *fields;
	const char *help;
	struct api_doc doc;
	bool no_slash;      /* its path does not end in one */
	const char *format; /* there only with this format; NULL: always */
};

struct api {
	const struct settings *settings;
	struct catalog *catalog;
	const struct task_registry *registry;
	const struct sluice_format *const *formats;
	struct pool *pool;
	int (*usage)(void *arg, int64_t *total, int64_t *used, int64_t *free_bytes);
	void *usage_arg;
	struct store *store;
	int (*add_units)(struct task *t, const char *repository_uuid, const int64_t *content_ids, size_t count,
		bool replace, struct err *err);
	int (*fetch_url)(
		struct task *t, const char *url, const json_t *config, char sha256[DIGEST_HEX_MAX], struct err *err);
	const struct activity *activity; /* NULL: this process serves no content */
	struct api_resource *resources;
	size_t resource_count;
	struct api_auth *auth;
	struct api_documents *documents;
	struct signing_key signing_key;
	char domain[UUID_STR];
};

extern const struct api_kind api_kinds_acs, api_kinds_remote, api_kinds_repository, api_kinds_version,
	api_kinds_all_versions, api_kinds_guard, api_kinds_guard_header, api_kinds_guard_rbac,
	api_kinds_guard_composite, api_kinds_guard_x509, api_kinds_guard_rhsm, api_kinds_guard_redirect,
	api_kinds_publication, api_kinds_distribution, api_kinds_content, api_kinds_artifact, api_kinds_task,
	api_kinds_task_group, api_kinds_worker, api_kinds_signing_service, api_kinds_user, api_kinds_group,
	api_kinds_group_member, api_kinds_role, api_kinds_user_role, api_kinds_group_role;
extern const struct api_field api_sync_fields[];         /* of every format */
size_t api_content_types(const struct sluice_format *f); /* how many types of units it has */
extern const struct api_field api_repair_fields[];       /* of repair/ */
extern const char *const api_warm_what[];                /* of warm/ */
extern const struct api_page api_pages[];
extern const size_t api_page_count;

/* ---- a request ---- */

struct api_param {
	struct slice name, value; /* decoded */
};

struct api_ctx {
	struct api *api;
	const struct api_request *req; /* NULL inside a task */
	struct api_response *res;      /* likewise */
	struct arena arena;
	struct txn *txn;
	int64_t user_id;
	bool viewer;                        /* may read, and no secrets */
	struct slice route_parent;          /* of what is below something */
	json_t *body;                       /* an object */
	bool form;                          /* the body's values are text */
	struct api_form *files, *own_files; /* of a multipart form; the request's, or our own */
	struct api_param *params;
	size_t param_count;
	bool filter_bare;                          /* the next filter error is a bare list */
	bool nomem;                                /* a text could not be made */
	const struct api_resource *route_resource; /* what the request (or the task) is about */
};

void api_ctx_init(struct api_ctx *x, struct api *api);
void api_ctx_fini(struct api_ctx *x);
/* The request's read transaction, opened when first asked for. Negative: err is filled. */
int api_txn(struct api_ctx *x, struct txn **out, struct err *err);
/* Before anything that writes or dispatches. */
void api_txn_end(struct api_ctx *x);

/* Answers. Each once; json is taken over. */
void api_reply(struct api_ctx *x, int status, json_t *json);
/* A 200 made in pieces, so that a long list needs no tree of all its objects: begins with `head`; JSON is appended. Text between goes into res->body. An
 * error in between is answered as any other: it replaces what was begun. */
void api_reply_begin(struct api_ctx *x, const char *head);
int api_reply_part(struct api_ctx *x, const json_t *json);
void api_reply_detail(struct api_ctx *x, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void api_reply_bare(struct api_ctx *x, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* 400 ["…"] */
void api_reply_field(struct api_ctx *x, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4))); /* 400 {"f":["…"]} */
void api_reply_location(struct api_ctx *x, const char *href);
/* An error of ours: logged, 503 or 500. */
void api_reply_err(struct api_ctx *x, int rc, struct err *err);
void api_reply_html_404(struct api_ctx *x);
void api_reply_no_object(struct api_ctx *x, const struct api_resource *r);

/* ---- body.c ---- */
/* Reads the body into x->body. False: answered. */
bool api_body_read(struct api_ctx *x);
/* A name that comes again makes a list of its values. `value` is taken over. Negative: out of memory. */
int api_body_add(json_t *body, const char *name, json_t *value);
bool api_is_text(struct slice s); /* UTF-8 without zeros */
bool api_is_multipart(struct slice content_type);
/* Answers what api_form_new, _feed or _end returned. Always false. */
bool api_form_refuse(struct api_ctx *x, int rc, struct err *err);
/* The same for a request that is not handled yet. */
void api_refuse_form(struct api *api, const struct api_request *req, int rc, struct err *err, struct api_response *res);
/* Query parameters. -ERR_NOMEM. */
int api_params_read(struct api_ctx *x, struct slice query, struct api_param **out, size_t *count);
struct slice api_param_get(const struct api_ctx *x, const char *name); /* the last; p == NULL: absent */

/* ---- fields.c ---- */
enum api_mode { API_MODE_CREATE, API_MODE_PUT, API_MODE_PATCH };
/* Checks x->body against the fields. values: by column, extra fields below "extra"; options: F_OPTION by name. Messages go to problems: field → list.
 * `self_id`: the row that may have a unique value already, 0: none. */
int api_fields_clean(struct api_ctx *x, const struct view *v, const struct api_field *const *fields, enum api_mode mode,
	int64_t self_id, json_t *values, json_t *options, json_t *problems, struct err *err);
/* Has another row than self_id this value? Adds to problems then. */
int api_unique_check(struct api_ctx *x, const struct view *v, const struct api_field *f, const json_t *value,
	int64_t self_id, json_t *problems, struct err *err);
/* The same for the fields of an action: all values go to options. False: answered. */
bool api_options_read(struct api_ctx *x, const struct api_field *fields, json_t **options);
void api_problem(json_t *problems, const char *field, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *api_text(struct api_ctx *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool api_bool_parse(struct slice s, bool *out);
extern api_check api_check_url, api_check_certificate, api_check_proxy_url, api_check_base_path, api_check_path,
	api_check_downloader, api_check_policy;
const char *api_label_problem(struct api_ctx *x, struct slice key, const json_t *value);

/* ---- ref.c: hrefs and PRNs ---- */
struct api_ref {
	const struct api_resource *resource; /* PRNs of versions: that of all versions */
	bool has_uuid;
	struct uuid uuid;
	struct uuid parent; /* versions by href: the repository, and */
	int64_t number;
	bool is_type; /* only "/…/remotes/file/file/": any object of that type */
};
/* -ERR_INVAL: neither an href nor a PRN of anything. */
int api_ref_parse(const struct api *api, struct slice text, struct api_ref *out);
/* The row of an object. -ERR_NOTFOUND. */
int api_ref_row(struct api_ctx *x, const struct api_ref *ref, json_t **row, struct err *err);
/* Parses, and looks up an object of `kind`. -ERR_INVAL with the text for the client ("URI … not found for …"), or negative otherwise. */
int api_ref_find(
	struct api_ctx *x, const char *kind, struct slice text, struct api_ref *ref, json_t **row, struct err *err);
const struct api_resource *api_resource_of(const struct api *api, const char *kind, const char *type);
/* The format, or what else it comes from: "file", "core", "certguard". */
const char *api_plugin_of(const struct api_resource *r);
const struct api_resource *api_resource_by_path(const struct api *api, const char *path);
/* New JSON strings. */
char *api_href(struct api_ctx *x, const struct api_resource *r, const json_t *row);
char *api_prn(struct api_ctx *x, const struct api_resource *r, const char *uuid);
char *api_href_by(struct api_ctx *x, const char *kind, const char *type, const char *uuid);
char *api_version_href(struct api_ctx *x, const char *type, const char *repository, int64_t number);
/* Which fields of the row of a version or anything else; NULL when null. */
const char *api_row_str(const json_t *row, const char *column);
int64_t api_row_int(const json_t *row, const char *column);

/* ---- show.c ---- */
struct api_selection; /* fields=, exclude_fields=, minimal= */
int api_selection_read(struct api_ctx *x, struct api_selection **out);
/* A new object; NULL: out of memory. sel NULL: all fields. */
json_t *api_show_row(
	struct api_ctx *x, const struct api_resource *r, const json_t *row, const struct api_selection *sel);
json_t *api_show_minimal(struct api_ctx *x, const struct api_resource *r, const json_t *row);
/* The resource of a row: r itself, or that of the row's type when r lists all types. */
const struct api_resource *api_resource_of_row(struct api_ctx *x, const struct api_resource *r, const json_t *row);

extern api_show api_show_href, api_show_prn, api_show_null;
#define API_COMMON_FIELDS                                                                                 \
	{.name = "pulp_href",                                                                             \
		.type = T_STRING,                                                                         \
		.flags = F_READ_ONLY | F_COMMON | F_MINIMAL,                                              \
		.show = api_show_href,                                                                    \
		.help = "path of this object"},                                                           \
		{.name = "prn",                                                                           \
			.type = T_STRING,                                                                 \
			.flags = F_READ_ONLY | F_COMMON | F_MINIMAL,                                      \
			.show = api_show_prn,                                                             \
			.help = "name of this object that holds on every server"},                        \
		{.name = "pulp_created",                                                                  \
			.type = T_TIME,                                                                   \
			.flags = F_READ_ONLY | F_COMMON | F_MINIMAL,                                      \
			.column = "created",                                                              \
			.help = "when it was made"},                                                      \
	{                                                                                                 \
		.name = "pulp_last_updated", .type = T_TIME, .flags = F_READ_ONLY | F_COMMON | F_MINIMAL, \
		.column = "updated", .help = "when it was changed last"                                   \
	}

/* ---- list.c ---- */
/* "http://HOST", as the client named the server. */
const char *api_base_url(struct api_ctx *x);
void api_list(struct api_ctx *x, const struct api_route *rt);
int api_filter_add(struct api_ctx *x, const struct api_resource *r, struct query *q, struct slice name,
	struct slice value, struct err *err);
/* The filters of a list, one after the other; NULL: no more. */
const struct api_filter *api_filter_at(const struct api_resource *r, size_t i);
/* The column that the field can be ordered by; NULL: none. */
const char *api_order_column(const struct api_resource *r, const struct api_field *f);
/* expr.c: the parameter q */
int api_expression_add(
	struct api_ctx *x, const struct api_resource *r, struct query *q, struct slice text, struct err *err);
/* labels.c */
int api_label_select(struct query *q, const char *column, struct slice text, struct err *err);
extern api_filter_apply api_filter_ref, api_filter_version, api_filter_label, api_filter_content, api_filter_condition,
	api_filter_own_field;
extern api_action_fn api_action_set_label, api_action_unset_label;
extern const struct api_field api_set_label_fields[], api_unset_label_fields[];
#define API_LABEL_SCHEMA                                                                          \
	"{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\"},\"value\":{\"type\":" \
	"\"string\",\"nullable\":true}}}"
#define API_LABEL_ACTIONS                                                                                     \
	{.name = "set_label",                                                                                 \
		.method = HTTP_POST,                                                                          \
		.on_object = true,                                                                            \
		.run = api_action_set_label,                                                                  \
		.fields = api_set_label_fields,                                                               \
		.help = "sets one label",                                                                     \
		.doc = {.body = "SetLabel", .answer = ANSWER_MADE, .schema = API_LABEL_SCHEMA}},              \
	{                                                                                                     \
		.name = "unset_label", .method = HTTP_POST, .on_object = true, .run = api_action_unset_label, \
		.fields = api_unset_label_fields, .help = "removes one label",                                \
		.doc = {.body = "UnsetLabel",                                                                 \
			.answer = ANSWER_MADE,                                                                \
			.schema = API_LABEL_SCHEMA }                                                          \
	}

/* ---- crud.c ---- */
/* The row that the route's key names. False: answered (404). */
bool api_row_of_route(struct api_ctx *x, const struct api_route *rt, json_t **row);
int api_row_find(struct api_ctx *x, const struct api_resource *r, struct slice parent, struct slice key, json_t **row,
	struct err *err);
/* By a unique column. -ERR_NOTFOUND. */
int api_row_by(struct api_ctx *x, const struct api_resource *r, const char *column, const char *value, json_t **row,
	struct err *err);
void api_read(struct api_ctx *x, const struct api_route *rt);
void api_create(struct api_ctx *x, const struct api_route *rt);
void api_update(struct api_ctx *x, const struct api_route *rt, enum api_mode mode);
void api_delete(struct api_ctx *x, const struct api_route *rt);
int api_insert(
	struct txn *t, const struct api_resource *r, json_t *values, int64_t *id, struct uuid *uuid, struct err *err);

/* The action, unless the resource has none such. */
bool api_action_there(const struct api_resource *r, const struct api_action *a);

/* ---- save.c: files that clients sent become artifacts ---- */
/* Durable and known to the catalog when it returns 0. *existed: the artifact had been there. Takes the file's staging. */
int api_save(struct api_ctx *x, struct api_file *file, int64_t *id, bool *existed, struct err *err);
/* The artifact with this digest, if the store has it still: -ERR_NOTFOUND. */
int api_saved(struct api *api, struct txn *t, const uint8_t sha256[32], int64_t *id, int64_t *size, struct err *err);

/* general.c: the api of this process's tasks; NULL: none. */
struct api *api_tasks_bound(void);

/* ---- copy.c: rpm/copy/ ---- */
extern api_action_fn api_page_copy;
extern const struct api_field api_copy_fields[];
int api_task_copy(struct task *t, struct err *err);
/* The format of this name; NULL: the server has it not. */
const struct sluice_format *api_format_named(const struct api *api, const char *name);

/* ---- upload.c: files that come in chunks ---- */
extern const struct api_kind api_kinds_upload;
/* Makes an artifact of a whole upload, and deletes the upload. sha256: what it has to be, or NULL; *file is filled, without its staging. */
int api_upload_finish(struct api_ctx *x, const char *uuid, const char *sha256, struct api_file *file, struct err *err);
int api_task_upload_commit(struct task *t, struct err *err);

/* ---- unit.c: units that clients bring ---- */
bool api_uploads(const struct api_resource *r); /* content whose format can make units of files */
extern const struct api_field api_unit_fields[], api_unit_upload_fields[];
extern api_action_fn api_action_upload;
void api_unit_create_by(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options);
int api_unit_make(struct task *t, struct api_ctx *x, const struct api_resource *r, struct err *err);

/* ---- kind_user.c ---- */
/* The object of this kind that the path is below. False: answered (404). */
bool api_parent_row(struct api_ctx *x, const char *kind, json_t **row);
/* For api_kind.destroy_by, of rows that rbac guards may go by. */
void api_destroy_touching_guards(struct api_ctx *x, const struct api_resource *r, const json_t *row);

/* ---- dispatch.c ---- */
void api_lock(struct api_ctx *x, struct api_locks *l, bool exclusive, const char *resource);
/* For api_kind.reserve, of kinds whose tasks change the row and nothing beside it. */
void api_reserve_itself(struct api_ctx *x, const struct api_resource *r, enum api_op op, const json_t *row,
	const json_t *values, struct api_locks *l);
/* Queues (or runs) a task and answers 202; args is taken over. */
void api_dispatch(struct api_ctx *x, const char *name, json_t *args, struct api_locks *l);
#define API_TASK_CREATE "pulpcore.app.tasks.base.general_create"
#define API_TASK_UPDATE "pulpcore.app.tasks.base.ageneral_update"
#define API_TASK_DELETE "pulpcore.app.tasks.base.ageneral_delete"
#define API_TASK_MULTI_DELETE "pulpcore.app.tasks.base.general_multi_delete"
#define API_TASK_DELETE_VERSION "pulpcore.app.tasks.repository.delete_version"
#define API_TASK_MODIFY "pulpcore.app.tasks.repository.add_and_remove"
#define API_TASK_ORPHANS "pulpcore.app.tasks.orphan.orphan_cleanup"
#define API_TASK_UPLOAD_COMMIT "pulpcore.app.tasks.upload.commit"
#define API_TASK_COPY "pulp_rpm.app.tasks.copy.copy_content"
#define API_TASK_PURGE "pulpcore.app.tasks.purge.purge"
#define API_TASK_REPAIR "pulpcore.app.tasks.repository.repair_all_artifacts"
#define API_TASK_REPAIR_VERSION "pulpcore.app.tasks.repository.repair_version"
#define API_TASK_RECLAIM "pulpcore.app.tasks.reclaim_space.reclaim_space"

/* ---- purge.c: tasks that nobody needs to see any more ---- */
extern api_action_fn api_action_purge;
extern const struct api_field api_purge_fields[];
int api_task_purge(struct task *t, struct err *err);

/* ---- openapi.c: the document that describes the API, made from its tables ---- */
struct api_doc_opts {
	bool bindings;          /* short operationIds: the tag tells the rest */
	bool pk_path;           /* paths with parts that are keys, instead of whole hrefs */
	struct slice component; /* n == 0: all of it; "core", or a format's name */
	struct slice base;      /* "http://host" */
};
/* A new object. NULL: out of memory. */
json_t *api_openapi(struct api_ctx *x, const struct api_doc_opts *opts);
/* document.c: its texts, each made once, and the page that shows it */
struct api_documents;
int api_documents_new(const struct api *api, struct api_documents **out); /* -ERR_NOMEM */
void api_documents_free(struct api_documents **pd);
extern api_action_fn api_page_openapi_json, api_page_openapi_yaml, api_page_docs;
/* openapi_schema.c. New references; NULL: out of memory. */
json_t *api_schema_field(const struct api_field *f, bool request);
/* Of a body: what may be written. `partial`: nothing is required. */
json_t *api_schema_body(const struct api_field *const *fields, bool partial);
/* Of an answer: what is shown. */
json_t *api_schema_shown(const struct api_resource *r);
json_t *api_schema_type(enum api_type type);
bool api_field_shown(const struct api_resource *r, const struct api_field *f);
/* yaml.c: appends the value as YAML. */
int api_yaml(struct buf *out, const json_t *v);

/* ---- auth.c ---- */
int api_auth_new(const struct settings *s, struct api_auth **out, struct err *err);
void api_auth_free(struct api_auth **pa);
/* As it is stored. Slow on purpose. */
int api_password_hash(const char *password, char *out, size_t cap, struct err *err);
/* 0: x->user_id and x->viewer are set. Negative: answered. */
int api_authenticate(struct api_ctx *x);

#endif
