/* The life of an API request: identify, route, authenticate, method, then the resource's or page's own code. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/url.h"

#include <stdlib.h>

/* ---- routes ---- */

bool api_action_there(const struct api_resource *r, const struct api_action *a)
{
	return !a->uploads || api_uploads(r);
}

static const struct api_action *action_named(const struct api_resource *r, bool on_object, struct slice name)
{
	for (const struct api_action *a = r->kind->actions; a != NULL && a->name != NULL; a++)
		if (a->on_object == on_object && api_action_there(r, a) && a->name[0] != '\0' &&
			slice_eq(name, slice_str(a->name)))
			return a;
	return NULL;
}

/* Does the resource's path, then a key, then an action make this path? `path` without root and outer slashes. */
static bool resource_match(const struct api_resource *r, struct slice path, struct api_route *rt)
{
	struct slice want = slice_str(r->path), rest = path, parent = SLICE_NULL, key;

	while (want.p != NULL) {
		struct slice w = slice_cut(&want, '/'), have;

		if (rest.p == NULL)
			return false;
		have = slice_cut(&rest, '/');
		if (slice_eq(w, SLICE("*")))
			parent = have;
		else if (!slice_eq(w, have))
			return false;
	}
	*rt = (struct api_route){.resource = r, .parent = parent};
	if (rest.p == NULL)
		return true;
	if (!(r->ops & (API_READ | API_DELETE)))
		return false;
	key = slice_cut(&rest, '/');
	if (key.n == 0)
		return false;
	if (rest.p == NULL) {
		rt->action = action_named(r, false, key);
		if (rt->action == NULL)
			rt->key = key;
		return true;
	}
	rt->key = key;
	rt->action = action_named(r, true, rest);
	return rt->action != NULL;
}

static const struct api_page *page_match(const struct api *api, struct slice path, bool slash)
{
	for (size_t i = 0; i < api_page_count; i++)
		if (slice_eq(path, slice_str(api_pages[i].path)) && api_pages[i].no_slash == !slash &&
			(api_pages[i].format == NULL || api_format_named(api, api_pages[i].format) != NULL))
			return &api_pages[i];
	return NULL;
}

/* True when the path means anything. */
static bool route(const struct api *api, struct slice path, struct api_route *rt, const struct api_page **page)
{
	struct slice inner;
	bool slash;

	if (!slice_starts(path, SLICE(API_ROOT)))
		return false;
	slash = path.p[path.n - 1] == '/';
	inner = slice_of(path.p + strlen(API_ROOT), path.n - strlen(API_ROOT));
	if (slash && inner.n > 0)
		inner.n--;
	*page = page_match(api, inner, slash);
	if (*page != NULL)
		return true;
	if (!slash)
		return false;
	for (size_t i = 0; i < api->resource_count; i++)
		if (resource_match(&api->resources[i], inner, rt))
			return true;
	return false;
}

/* ---- methods ---- */

static void not_allowed(struct api_ctx *x, const char *allow)
{
	(void)snprintf(x->res->allow, sizeof(x->res->allow), "%s", allow);
	api_reply_detail(x, 405, "Method \"%.*s\" not allowed.",
		SLICE_ARG(slice_is_utf8(x->req->method_text) ? x->req->method_text : SLICE("?")));
}

static void allow_of(const struct api_resource *r, const struct api_route *rt, char *out, size_t cap)
{
	const struct api_action *a;
	size_t n = 0;

	out[0] = '\0';
#define ALLOW(cond, name) \
	if (cond)         \
	n += (size_t)snprintf(out + n, cap - n, "%s%s", n > 0 ? ", " : "", name)
	if (rt->key.p == NULL) {
		ALLOW(r->ops & API_LIST, "GET, HEAD");
		ALLOW(r->ops & API_CREATE, "POST");
	} else {
		ALLOW(r->ops & API_READ, "GET, HEAD");
		ALLOW(r->ops & API_UPDATE, "PUT, PATCH");
		ALLOW(r->ops & API_DELETE, "DELETE");
		for (a = r->kind->actions; a != NULL && a->name != NULL; a++)
			ALLOW(a->name[0] == '\0', a->method == HTTP_PUT ? "PUT" : "PATCH");
	}
#undef ALLOW
}

static void run_resource(struct api_ctx *x, const struct api_route *rt)
{
	const struct api_resource *r = rt->resource;
	enum http_method m = x->req->method == HTTP_HEAD ? HTTP_GET : x->req->method;
	char allow[64];

	if (rt->action != NULL) {
		if (m == rt->action->method)
			rt->action->run(x, rt);
		else
			not_allowed(x, "POST");
		return;
	}
	for (const struct api_action *a = r->kind->actions; rt->key.p != NULL && a != NULL && a->name != NULL; a++)
		if (a->name[0] == '\0' && a->method == m) {
			a->run(x, rt);
			return;
		}
	if (rt->key.p == NULL && m == HTTP_GET && (r->ops & API_LIST)) {
		api_list(x, rt);
	} else if (rt->key.p == NULL && m == HTTP_POST && (r->ops & API_CREATE)) {
		api_create(x, rt);
	} else if (rt->key.p != NULL && m == HTTP_GET && (r->ops & API_READ)) {
		api_read(x, rt);
	} else if (rt->key.p != NULL && m == HTTP_PUT && (r->ops & API_UPDATE)) {
		api_update(x, rt, API_MODE_PUT);
	} else if (rt->key.p != NULL && m == HTTP_PATCH && (r->ops & API_UPDATE)) {
		api_update(x, rt, API_MODE_PATCH);
	} else if (rt->key.p != NULL && m == HTTP_DELETE && (r->ops & API_DELETE)) {
		api_delete(x, rt);
	} else {
		allow_of(r, rt, allow, sizeof(allow));
		not_allowed(x, allow);
	}
}

static void run_page(struct api_ctx *x, const struct api_page *first)
{
	enum http_method m = x->req->method == HTTP_HEAD ? HTTP_GET : x->req->method;
	static const char *const names[] = {[HTTP_GET] = "GET, HEAD", [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE"};

	/* A path may have a row for each of its methods. */
	for (const struct api_page *p = first; p < api_pages + api_page_count; p++)
		if (strcmp(p->path, first->path) == 0 && p->method == m) {
			p->run(x, &(struct api_route){0});
			return;
		}
	not_allowed(x, names[first->method]);
}

/* ---- the request ---- */

static void set_correlation_id(struct api_ctx *x)
{
	struct uuid u;

	if (x->req->correlation_id.p != NULL && uuid_parse(slice_trim(x->req->correlation_id), &u) == 0) {
		struct slice s = slice_trim(x->req->correlation_id);

		/* as it was spelled: clients compare it with what they sent */
		(void)snprintf(x->res->correlation_id, sizeof(x->res->correlation_id), "%.*s", SLICE_ARG(s));
		return;
	}
	u = uuid_v4();
	(void)uuid_str(&u, x->res->correlation_id);
}

static void no_slash(struct api_ctx *x)
{
	const struct api_page *page;
	struct buf b = BUF_INIT(1 << 20);
	struct api_route rt;
	struct slice with;
	bool get = x->req->method == HTTP_GET || x->req->method == HTTP_HEAD;

	buf_add_slice(&b, x->req->path);
	buf_adds(&b, "/");
	with = buf_slice(&b);
	if (!get || b.failed || !route(x->api, with, &rt, &page)) {
		buf_fini(&b);
		api_reply_html_404(x);
		return;
	}
	buf_reset(&b);
	url_encode(&b, x->req->path, "/");
	buf_adds(&b, "/");
	if (x->req->query.n > 0) {
		buf_adds(&b, "?");
		buf_add_slice(&b, x->req->query);
	}
	x->res->status = 301;
	x->res->location = buf_take(&b, NULL);
	buf_fini(&b);
}

/* Is there such a path, and who asks? False: answered. */
static bool enter(struct api_ctx *x, struct api_route *rt, const struct api_page **page)
{
	set_correlation_id(x);
	if (!route(x->api, x->req->path, rt, page)) {
		if (x->req->path.n > 0 && x->req->path.p[x->req->path.n - 1] == '/')
			api_reply_html_404(x);
		else
			no_slash(x);
		return false;
	}
	x->route_resource = rt->resource;
	x->route_parent = rt->parent;
	return (*page != NULL && (*page)->anonymous) || api_authenticate(x) == 0;
}

static void handle(struct api_ctx *x)
{
	const struct api_page *page = NULL;
	struct err err = ERR_INIT;
	struct api_route rt = {0};
	int rc;

	if (!enter(x, &rt, &page))
		return;
	if ((rc = api_params_read(x, x->req->query, &x->params, &x->param_count)) < 0) {
		if (rc == -ERR_LIMIT)
			api_reply_detail(x, 400, "The query string has too many parameters.");
		else
			api_reply_err(x, rc, &err);
		return;
	}
	if (page != NULL)
		run_page(x, page);
	else
		run_resource(x, &rt);
}

void api_handle(struct api *api, const struct api_request *req, struct api_response *res)
{
	struct api_ctx x;

	*res = (struct api_response){.status = 500};
	api_ctx_init(&x, api);
	x.req = req;
	x.res = res;
	handle(&x);
	api_ctx_fini(&x);
}

bool api_admit(struct api *api, const struct api_request *req, struct api_response *res)
{
	const struct api_page *page = NULL;
	struct api_route rt = {0};
	struct api_ctx x;
	bool in;

	*res = (struct api_response){.status = 500};
	api_ctx_init(&x, api);
	x.req = req;
	x.res = res;
	in = enter(&x, &rt, &page);
	/* Who need not say who he is has nothing to send. */
	if (in && page != NULL && page->anonymous) {
		run_page(&x, page);
		in = false;
	}
	api_ctx_fini(&x);
	if (in)
		api_response_fini(res);
	return in;
}

void api_refuse_form(struct api *api, const struct api_request *req, int rc, struct err *err, struct api_response *res)
{
	struct api_ctx x;

	*res = (struct api_response){.status = 500};
	api_ctx_init(&x, api);
	x.req = req;
	x.res = res;
	set_correlation_id(&x);
	(void)api_form_refuse(&x, rc, err);
	api_ctx_fini(&x);
}
