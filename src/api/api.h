/* The REST API: Pulp 3's paths, fields and answers, made from tables. `api_handle` answers one request and may block;
 * `api_http_handler` puts it behind the HTTP server: body and answer on the loop, the work on a pool thread. */
#ifndef SLUICE_API_API_H
#define SLUICE_API_API_H

#include "base/activity.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/settings.h"
#include "catalog/catalog.h"
#include "guard/guard.h"
#include "http/http.h"
#include "sluice/format.h"
#include "tasks/tasks.h"

struct api;
struct api_form;
struct store;

struct api_opts { /* all borrowed, for as long as the api lives */
	const struct settings *settings;
	struct catalog *catalog;
	const struct task_registry *registry; /* of handlers that may run inside a request; others are queued by name */
	const struct sluice_format *const *formats; /* NULL-terminated */
	struct pool *pool; /* for api_http_handler; best one of its own: a request may wait for a database lock */
	int (*usage)(void *arg, int64_t *total, int64_t *used,
		int64_t *free_bytes); /* of the store; NULL: unknown. Blocking. */
	void *usage_arg;
	struct store *store; /* where files go that clients send */
	/* Adds units to a repository inside of a task (sync.h: sync_add_units). */
	int (*add_units)(struct task *t, const char *repository_uuid, const int64_t *content_ids, size_t count,
		bool replace, struct err *err);
	/* Downloads a file inside of a task (sync.h: sync_fetch_url). */
	int (*fetch_url)(
		struct task *t, const char *url, const json_t *config, char sha256[DIGEST_HEX_MAX], struct err *err);
};
/* Makes the tables, and the domain's uuid in the catalog if it has none. */
int api_new(const struct api_opts *opts, struct api **out, struct err *err);
void api_free(struct api **pa);
/* What this process serves, for flights/ and sources/; borrowed. Before the first request; without it they answer 404. */
void api_set_activity(struct api *api, const struct activity *a);

struct api_request { /* borrowed */
	enum http_method method;
	struct slice method_text;
	struct slice path;  /* decoded */
	struct slice query; /* as sent, without '?' */
	struct slice authorization, content_type, correlation_id, host, forwarded_proto, requested_with, content_range,
		accept_encoding; /* fields; p == NULL: absent */
	struct slice body;
	struct api_form *form; /* a multipart body that was read as it came; NULL: it is in `body` */
	const char *peer;
	struct slice forwarded_for; /* X-Forwarded-For; p == NULL: absent */
	uint64_t id;
};
struct api_response {
	int status;
	const char *content_type; /* constant; NULL: no body */
	struct buf body;
	char correlation_id[UUID_STR];
	char *location;           /* malloc'ed, or NULL */
	const char *authenticate; /* WWW-Authenticate, constant, or NULL */
	char allow[64];           /* "" or the methods of a 405 */
	int retry_after_s;        /* 0: none */
	char etag[64];            /* with its quotes: it may be kept, and asked for again by this. "": it may not */
	bool gzip;                /* so the body is encoded. Others get another: only with an etag */
	const char *policy;       /* Content-Security-Policy, constant, or NULL */
};
void api_response_fini(struct api_response *res);

/* Any thread that may block, many at once. Always fills *res (which the caller frees with api_response_fini). */
void api_handle(struct api *api, const struct api_request *req, struct api_response *res);

/* The first half of it, before a body is read that may be large: may this request come in? False: *res says why not. */
bool api_admit(struct api *api, const struct api_request *req, struct api_response *res);

/* An http_handler; arg is the api. */
void api_http_handler(struct http_x *x, const struct http_request *r, void *api);

/* A guard_login; api is the api. */
int api_login(
	void *api, struct slice authorization, const struct addr *client, struct guard_user *out, struct err *err);

/* Handlers of the tasks that the API itself queues: general_create, ageneral_update, ageneral_delete, general_multi_delete,
 * delete_version. For `cmd` to put into the registry. They work on the api of their process: task processes make one too,
 * and bind it before they run a task. */
extern const struct task_handler api_task_handlers[];
extern const size_t api_task_handler_count;
void api_tasks_bind(struct api *api); /* NULL: none */

/* Makes the user `admin` with this password, or sets its password if that differs, and makes it an active administrator again. */
int api_user_ensure_admin(struct catalog *c, const char *password, struct err *err);
/* -ERR_NOTFOUND: there is no user `admin` yet. */
int api_user_has_admin(struct catalog *c, struct err *err);

#endif
