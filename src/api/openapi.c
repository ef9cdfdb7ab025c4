/* The document that describes the API (OpenAPI 3.0.3): paths, parameters, bodies and answers of everything that the tables
 * serve, and nothing else. pulp-cli builds all its requests from it and dispatches by operationId, so names and shapes are Pulp's:
 * a path has one placeholder, which is a whole href, and each parameter that may come is named.
 *
 * Out of memory anywhere: `failed`, and no document. */
#include "api/api_priv.h"

#include "base/check.h"

struct doc {
	struct api_ctx *x; /* names are made in its arena */
	const struct api *api;
	const struct api_doc_opts *opts;
	json_t *paths, *schemas;
	bool failed;
};

/* ---- making JSON; values are taken over ---- */

static void put(struct doc *d, json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) < 0)
		d->failed = true;
}

static void put_text(struct doc *d, json_t *object, const char *name, const char *text)
{
	put(d, object, name, json_string(text));
}

static void append(struct doc *d, json_t *list, json_t *value)
{
	if (json_array_append_new(list, value) < 0)
		d->failed = true;
}

static json_t *schema_ref(struct doc *d, const char *name)
{
	return json_pack("{s:s}", "$ref", api_text(d->x, "#/components/schemas/%s", name));
}

/* Names the schema, made unless it is there already, and refers to it. */
static json_t *component(struct doc *d, const char *name, json_t *schema)
{
	if (json_object_get(d->schemas, name) != NULL)
		json_decref(schema);
	else
		put(d, d->schemas, name, schema);
	return schema_ref(d, name);
}

/* ---- names ---- */

/* "remotes/file/file" → "remotes_file_file"; a star of a nested path has no name. */
static const char *operation_prefix(struct doc *d, const char *path)
{
	struct slice rest = slice_str(path);
	const char *out = "";

	while (rest.p != NULL) {
		struct slice part = slice_cut(&rest, '/');

		if (!slice_eq(part, SLICE("*")))
			out = api_text(d->x, "%s%s%.*s", out, out[0] != '\0' ? "_" : "", SLICE_ARG(part));
	}
	for (char *p = (char *)(uintptr_t)out; *p != '\0'; p++) /* the arena's own */
		*p = (char)(*p == '-' ? '_' : *p);
	return out;
}

static bool is_core(const struct api_resource *r)
{
	return strcmp(api_plugin_of(r), "core") == 0;
}

/* "FileRemote" of the format file → "file_file_remote". Each capital begins a word, in abbreviations too. */
static const char *snake_name(struct doc *d, const struct api_resource *r)
{
	const char *plugin = api_plugin_of(r), *out = is_core(r) ? "" : api_text(d->x, "%s_", plugin);

	for (const char *p = r->model; *p != '\0'; p++) {
		bool capital = *p >= 'A' && *p <= 'Z';

		out = api_text(d->x, "%s%s%c", out, capital && p > r->model ? "_" : "", capital ? *p + 32 : *p);
	}
	return out;
}

/* Versions are addressed with their repository's model, and shown with a model that all formats share. */
static bool is_nested(const struct api_resource *r)
{
	return r->kind->below != NULL;
}

static const struct api_resource *parent_of(const struct doc *d, const struct api_resource *r)
{
	return api_resource_of(d->api, r->kind->below, r->type);
}

/* The placeholder that stands for an object's whole href. */
static const char *href_name(struct doc *d, const struct api_resource *r)
{
	if (is_nested(r) && r->format != NULL)
		return api_text(d->x, "%s_version_href", snake_name(d, parent_of(d, r)));
	return api_text(d->x, "%s_href", snake_name(d, r));
}

static const char *schema_name(struct doc *d, const struct api_resource *r)
{
	return is_core(r) || is_nested(r) ? r->model : api_text(d->x, "%s.%s", api_plugin_of(r), r->model);
}

static const char *title(struct doc *d, struct slice part)
{
	char *out = arena_strdup(&d->x->arena, part);
	bool upper = true;

	for (char *p = out; p != NULL && *p != '\0'; p++) {
		if (upper && *p >= 'a' && *p <= 'z')
			*p = (char)(*p - 32);
		upper = *p == '-' || *p == '_';
	}
	d->failed |= out == NULL;
	return out != NULL ? out : "";
}

/* "repositories/file/file/<star>/versions" → "Repositories: File Versions". The generator of the bindings names classes by it. */
static const char *tag_of(struct doc *d, const char *path)
{
	struct slice rest = slice_str(path), parts[8];
	const char *out = "";
	size_t count = 0;

	while (rest.p != NULL && count < ARRAY_LEN(parts)) {
		struct slice part = slice_cut(&rest, '/');

		if (!slice_eq(part, SLICE("*")))
			parts[count++] = part;
	}
	for (size_t i = 0; i < count; i++)
		if (i != 1 || count == 2)
			out = api_text(d->x, "%s%s%s", out,
				i == 0                            ? ""
				: i == 1 || (i == 2 && count > 2) ? ": "
								  : " ",
				title(d, parts[i]));
	return out;
}

/* ---- parameters ---- */

static void parameter(
	struct doc *d, json_t *list, const char *in, const char *name, json_t *schema, const char *help, bool list_of)
{
	json_t *p = json_pack("{s:s, s:s, s:o}", "name", name, "in", in, "schema", schema);

	if (help != NULL)
		put_text(d, p, "description", help);
	if (strcmp(in, "path") == 0)
		put(d, p, "required", json_true());
	if (list_of) { /* one value with commas */
		put_text(d, p, "style", "form");
		put(d, p, "explode", json_false());
	}
	append(d, list, p);
}

static json_t *array_of(json_t *items)
{
	return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

static enum api_type filter_type(const struct api_resource *r, const struct api_filter *f)
{
	static const enum api_type types[] = {[COL_INT] = T_INTEGER,
		[COL_REAL] = T_FLOAT,
		[COL_BOOL] = T_BOOLEAN,
		[COL_TEXT] = T_STRING,
		[COL_JSON] = T_STRING,
		[COL_UUID] = T_STRING,
		[COL_TIME] = T_TIME,
		[COL_HEX] = T_STRING};
	const struct view_column *c =
		f->apply == NULL && f->column != NULL ? view_column_find(r->view, f->column) : NULL;

	return c != NULL ? types[c->type] : f->kind != NULL ? T_REF : f->type;
}

static json_t *filter_schema(struct doc *d, enum api_type type, const struct api_filter *f)
{
	json_t *schema = api_schema_type(type), *list;

	if (f->choices == NULL)
		return schema;
	put(d, schema, "enum", list = json_array());
	for (const char *const *c = f->choices; *c != NULL; c++)
		append(d, list, json_string(*c));
	return schema;
}

static void filter_parameters(
	struct doc *d, const struct api_resource *r, const struct api_filter *f, json_t *parameters)
{
	enum api_type type = filter_type(r, f);

	for (int op = 0; op < QUERY_OP_COUNT; op++) {
		const char *suffix = query_op_suffix((enum query_op)op);
		bool many = op == QUERY_IN || op == QUERY_RANGE;
		const char *name;
		json_t *schema;

		if (!(f->ops & (1u << op)))
			continue;
		name = api_text(d->x, "%s%s%s", f->name, suffix[0] != '\0' ? "__" : "", suffix);
		schema = filter_schema(d, op == QUERY_ISNULL ? T_BOOLEAN : type, f);
		parameter(d, parameters, "query", name, many ? array_of(schema) : schema, f->help, many);
	}
}

static void selection_parameters(struct doc *d, json_t *parameters)
{
	parameter(d, parameters, "query", "fields", array_of(api_schema_type(T_STRING)), "only these fields", false);
	parameter(d, parameters, "query", "exclude_fields", array_of(api_schema_type(T_STRING)), "not these fields",
		false);
}

static void ordering_parameter(struct doc *d, const struct api_resource *r, json_t *parameters)
{
	json_t *names = json_array(), *items;

	for (const struct api_field **f = r->fields; *f != NULL; f++) {
		if (api_order_column(r, *f) == NULL)
			continue;
		append(d, names, json_string((*f)->name));
		append(d, names, json_string(api_text(d->x, "-%s", (*f)->name)));
	}
	append(d, names, json_string("pk"));
	append(d, names, json_string("-pk"));
	items = api_schema_type(T_STRING);
	put(d, items, "enum", names);
	parameter(d, parameters, "query", "ordering", array_of(items), "fields to order by; '-' descends", true);
}

static bool has_minimal(const struct api_resource *r)
{
	for (const struct api_field **f = r->fields; *f != NULL; f++)
		if ((*f)->flags & F_MINIMAL && strcmp(r->kind->name, "tasks") == 0)
			return true;
	return false;
}

static void list_parameters(struct doc *d, const struct api_resource *r, json_t *parameters)
{
	const struct api_filter *f;

	for (size_t i = 0; (f = api_filter_at(r, i)) != NULL; i++)
		filter_parameters(d, r, f, parameters);
	ordering_parameter(d, r, parameters);
	parameter(d, parameters, "query", "q", api_schema_type(T_STRING), "filters with NOT, AND, OR and parentheses",
		false);
	parameter(d, parameters, "query", "limit", api_schema_type(T_INTEGER), "length of a page", false);
	parameter(d, parameters, "query", "offset", api_schema_type(T_INTEGER), "where the page begins", false);
}

/* ---- operations ---- */

struct operation {
	const char *path;            /* of the document */
	const char *tag_path;        /* what its tag is made of */
	const char *prefix, *action; /* of the operationId; prefix NULL: the action is all of it */
	const char *method;
	const char *help;
	bool anonymous;
};

static json_t *answer(struct doc *d, json_t *schema)
{
	json_t *a = json_pack("{s:s}", "description", "");

	if (schema != NULL)
		put(d, a, "content", json_pack("{s:{s:o}}", "application/json", "schema", schema));
	return a;
}

static json_t *task_schema(struct doc *d)
{
	return component(d, "AsyncOperationResponse",
		json_loads("{\"type\":\"object\",\"properties\":{\"task\":{\"type\":\"string\",\"format\":\"uri\"}},"
			   "\"required\":[\"task\"]}",
			0, NULL));
}

static json_t *group_schema(struct doc *d)
{
	return component(d, "TaskGroupOperationResponse",
		json_loads("{\"type\":\"object\",\"properties\":{\"task_group\":{\"type\":\"string\",\"format\":"
			   "\"uri\"}},\"required\":[\"task_group\"]}",
			0, NULL));
}

/* The bodies' media types, in the order in which clients choose. */
static json_t *request_body(struct doc *d, json_t *schema, bool has_file, bool required)
{
	static const char *const media[] = {
		"application/json", "application/x-www-form-urlencoded", "multipart/form-data"};
	static const char *const media_file[] = {"multipart/form-data", "application/x-www-form-urlencoded"};
	const char *const *names = has_file ? media_file : media;
	size_t count = has_file ? ARRAY_LEN(media_file) : ARRAY_LEN(media);
	json_t *content = json_object(), *body;

	for (size_t i = 0; i < count; i++)
		put(d, content, names[i], json_pack("{s:O}", "schema", schema));
	json_decref(schema);
	body = json_pack("{s:o}", "content", content);
	if (required)
		put(d, body, "required", json_true());
	return body;
}

/* Begins an operation; parameters and responses are borrowed from it, for the caller to fill. */
static json_t *operation(struct doc *d, const struct operation *o, json_t **parameters, json_t **responses)
{
	json_t *item = json_object_get(d->paths, o->path), *op;

	if (item == NULL) {
		put(d, d->paths, o->path, json_object());
		item = json_object_get(d->paths, o->path);
	}
	op = json_pack("{s:s, s:s, s:[s]}", "operationId",
		d->opts->bindings || o->prefix == NULL ? o->action : api_text(d->x, "%s_%s", o->prefix, o->action),
		"description", o->help, "tags", tag_of(d, o->tag_path));
	put(d, op, "parameters", json_array());
	put(d, op, "responses", json_object());
	put(d, op, "security", o->anonymous ? json_pack("[{}]") : json_pack("[{s:[]}]", "basicAuth"));
	put(d, item, o->method, op);
	*parameters = json_object_get(op, "parameters");
	*responses = json_object_get(op, "responses");
	parameter(d, *parameters, "header", "X-Task-Diagnostics", array_of(api_schema_type(T_STRING)),
		"what to measure in tasks; none is at present", true);
	return op;
}

/* Of what is below something of the core: "users" of "groups/<star>/users". */
static const char *last_segment(const struct api_resource *r)
{
	return strrchr(r->path, '/') + 1;
}

/* What stands in the path of an object: its whole href, or its keys. `action`: what comes after it, or "". */
static const char *object_path(struct doc *d, const struct api_resource *r, const char *action)
{
	const char *slash = action[0] != '\0' ? "/" : "";

	if (!d->opts->pk_path)
		return api_text(d->x, "{%s}%s%s", href_name(d, r), action, slash);
	if (is_nested(r) && r->format == NULL)
		return api_text(d->x, API_ROOT "%s/{parent_pk}/%s/{pk}/%s%s", parent_of(d, r)->path, last_segment(r),
			action, slash);
	if (is_nested(r))
		return api_text(d->x, API_ROOT "%s/{repository_pk}/versions/{number}/%s%s", parent_of(d, r)->path,
			action, slash);
	return api_text(d->x, API_ROOT "%s/{pk}/%s%s", r->path, action, slash);
}

static const char *collection_path(struct doc *d, const struct api_resource *r)
{
	if (!is_nested(r))
		return api_text(d->x, API_ROOT "%s/", r->path);
	if (d->opts->pk_path && r->format == NULL)
		return api_text(d->x, API_ROOT "%s/{parent_pk}/%s/", parent_of(d, r)->path, last_segment(r));
	if (d->opts->pk_path)
		return api_text(d->x, API_ROOT "%s/{repository_pk}/versions/", parent_of(d, r)->path);
	if (r->format == NULL)
		return api_text(d->x, "{%s}%s/", href_name(d, parent_of(d, r)), last_segment(r));
	return api_text(d->x, "{%s}versions/", href_name(d, parent_of(d, r)));
}

/* Each placeholder of the path is a parameter. */
static void path_parameters(struct doc *d, const char *path, json_t *parameters)
{
	const char *open = path;

	while ((open = strchr(open, '{')) != NULL) {
		const char *close = strchr(open, '}');

		parameter(d, parameters, "path", api_text(d->x, "%.*s", (int)(close - open - 1), open + 1),
			api_schema_type(T_STRING), NULL, false);
		open = close;
	}
}

static json_t *shown(struct doc *d, const struct api_resource *r)
{
	return component(d, api_text(d->x, "%sResponse", schema_name(d, r)), api_schema_shown(r));
}

static json_t *page_of(struct doc *d, const struct api_resource *r)
{
	json_t *schema = json_loads(
		"{\"type\":\"object\",\"required\":[\"count\",\"results\"],\"properties\":{\"count\":{\"type\":"
		"\"integer\"},\"next\":{\"type\":\"string\",\"nullable\":true,\"format\":\"uri\"},"
		"\"previous\":{\"type\":\"string\",\"nullable\":true,\"format\":\"uri\"}}}",
		0, NULL);

	put(d, json_object_get(schema, "properties"), "results", array_of(shown(d, r)));
	return component(d, api_text(d->x, "Paginated%sResponseList", schema_name(d, r)), schema);
}

static bool takes_file(const struct api_field *const *fields)
{
	for (; *fields != NULL; fields++)
		if ((*fields)->type == T_FILE)
			return true;
	return false;
}

static void write_body(struct doc *d, json_t *op, const struct api_resource *r, bool create, bool partial)
{
	const struct api_field *const *fields =
		(const struct api_field *const *)(create ? r->create_fields : r->fields);
	const char *name = api_text(d->x, "%s%s", partial ? "Patched" : "", schema_name(d, r));

	put(d, op, "requestBody",
		request_body(d, component(d, name, api_schema_body(fields, partial)), takes_file(fields), !partial));
}

/* ---- resources ---- */

static void write_operations(struct doc *d, const struct api_resource *r, const char *prefix)
{
	static const struct {
		enum api_op op;
		const char *method, *action, *help;
		bool partial;
	} all[] = {
		{API_CREATE, "post", "create", "makes one", false},
		{API_UPDATE, "put", "update", "changes it; what has a default and is not named is reset", false},
		{API_UPDATE, "patch", "partial_update", "changes what is named", true},
		{API_DELETE, "delete", "delete", "deletes it", false},
	};
	json_t *op, *parameters, *responses;
	const char *path;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		bool create = all[i].op == API_CREATE,
		     task = all[i].op == API_UPDATE ? !r->kind->update_now
						    : (create ? r->kind->create : r->kind->destroy) == API_TASK;

		if (!(r->ops & all[i].op))
			continue;
		path = create ? collection_path(d, r) : object_path(d, r, "");
		op = operation(d,
			&(struct operation){path, r->path, prefix, all[i].action, all[i].method, all[i].help, false},
			&parameters, &responses);
		path_parameters(d, path, parameters);
		if (all[i].op != API_DELETE)
			write_body(d, op, r, create, all[i].partial);
		if (all[i].op == API_UPDATE)
			put(d, responses, "200", answer(d, shown(d, r)));
		if (all[i].op == API_DELETE && r->kind->refused != 0)
			put(d, responses, api_text(d->x, "%d", r->kind->refused), answer(d, NULL));
		else if (task)
			put(d, responses, "202", answer(d, task_schema(d)));
		else if (all[i].op != API_UPDATE)
			put(d, responses, create ? "201" : "204", answer(d, create ? shown(d, r) : NULL));
	}
}

static void read_operations(struct doc *d, const struct api_resource *r, const char *prefix)
{
	json_t *parameters, *responses;
	const char *path;

	if (r->ops & API_LIST) {
		path = collection_path(d, r);
		(void)operation(d, &(struct operation){path, r->path, prefix, "list", "get", "lists them", false},
			&parameters, &responses);
		path_parameters(d, path, parameters);
		list_parameters(d, r, parameters);
		selection_parameters(d, parameters);
		if (has_minimal(r))
			parameter(d, parameters, "query", "minimal", api_schema_type(T_BOOLEAN),
				"only the most needed fields", false);
		put(d, responses, "200", answer(d, page_of(d, r)));
	}
	if (r->ops & API_READ) {
		path = object_path(d, r, "");
		(void)operation(d, &(struct operation){path, r->path, prefix, "read", "get", "shows one", false},
			&parameters, &responses);
		path_parameters(d, path, parameters);
		selection_parameters(d, parameters);
		put(d, responses, "200", answer(d, shown(d, r)));
	}
}

static const char *method_name(enum http_method m)
{
	static const char *const names[] = {[HTTP_GET] = "get",
		[HTTP_POST] = "post",
		[HTTP_PUT] = "put",
		[HTTP_PATCH] = "patch",
		[HTTP_DELETE] = "delete"};

	return names[m];
}

/* The fields of an action as the list of pointers that resources have. */
static size_t pointers(const struct api_field *fields, const struct api_field *list[32])
{
	size_t n = 0;

	for (; fields != NULL && fields[n].name != NULL; n++) {
		BUG(n + 1 >= 32);
		list[n] = &fields[n];
	}
	list[n] = NULL;
	return n;
}

/* Body and answer of an action or page; r NULL: a page. */
static void describe(struct doc *d, json_t *op, json_t *responses, const struct api_doc *doc,
	const struct api_field *fields, const struct api_resource *r)
{
	const struct api_field *list[32];
	size_t count = pointers(fields, list);
	const char *name;
	bool required = false;

	if (doc->body != NULL && count > 0) {
		bool star = doc->body[0] == '*';

		for (size_t i = 0; i < count; i++)
			required |= (list[i]->flags & F_REQUIRED) != 0;
		name = api_text(d->x, "%s%s", star && r != NULL ? r->model : "", doc->body + star);
		put(d, op, "requestBody",
			request_body(d, component(d, name, api_schema_body(list, false)), takes_file(list), required));
	}
	switch (doc->answer) {
	case ANSWER_TASK:
		put(d, responses, "202", answer(d, task_schema(d)));
		break;
	case ANSWER_GROUP:
		put(d, responses, "202", answer(d, group_schema(d)));
		break;
	case ANSWER_OBJECT:
		put(d, responses, "200", answer(d, shown(d, r)));
		if (doc->conflict)
			put(d, responses, "409", answer(d, shown(d, r)));
		break;
	case ANSWER_NEW:
		put(d, responses, "201", answer(d, shown(d, r)));
		break;
	case ANSWER_MADE:
		name = api_text(d->x, "%sResponse", doc->body);
		put(d, responses, "201", answer(d, component(d, name, json_loads(doc->schema, 0, NULL))));
		break;
	case ANSWER_JSON:
		put(d, responses, "200", answer(d, json_loads(doc->schema, 0, NULL)));
		break;
	case ANSWER_EMPTY:
		put(d, responses, "200", answer(d, NULL));
		break;
	}
}

static void action_operations(struct doc *d, const struct api_resource *r, const char *prefix)
{
	for (const struct api_action *a = r->kind->actions; a != NULL && a->name != NULL; a++) {
		const char *id = a->doc.id != NULL ? a->doc.id : a->doc.verb != NULL ? a->doc.verb : a->name;
		json_t *op, *parameters, *responses;
		const char *path = a->on_object ? object_path(d, r, a->name)
						: api_text(d->x, "%s%s/", collection_path(d, r), a->name),
			   *whole = api_text(d->x, "%s_%s", prefix, id);

		if (!api_action_there(r, a))
			continue;
		/* what an action calls otherwise than its path is whole in every variant of the document */
		op = operation(d,
			&(struct operation){path, r->path, a->doc.id != NULL ? NULL : prefix,
				a->doc.id != NULL ? whole : id, method_name(a->method), a->help, false},
			&parameters, &responses);
		path_parameters(d, path, parameters);
		if (a->doc.header != NULL) {
			parameter(d, parameters, "header", a->doc.header, api_schema_type(T_STRING), NULL, false);
			put(d, json_array_get(parameters, json_array_size(parameters) - 1), "required", json_true());
		}
		describe(d, op, responses, &a->doc,
			a->fields == api_sync_fields && r->sync_fields != NULL            ? r->sync_fields
			: a->fields == api_unit_upload_fields && r->upload_fields != NULL ? r->upload_fields
											  : a->fields,
			r);
	}
}

static bool wanted(const struct doc *d, const char *component)
{
	return d->opts->component.n == 0 || slice_eq(d->opts->component, slice_str(component));
}

static void add_resources(struct doc *d)
{
	for (size_t i = 0; i < d->api->resource_count; i++) {
		const struct api_resource *r = &d->api->resources[i];
		const char *prefix;

		if (!wanted(d, api_plugin_of(r)))
			continue;
		prefix = operation_prefix(d, r->path);
		read_operations(d, r, prefix);
		write_operations(d, r, prefix);
		if (!r->all_types)
			action_operations(d, r, prefix);
	}
}

static void add_pages(struct doc *d)
{
	for (size_t i = 0; i < api_page_count; i++) {
		const struct api_page *p = &api_pages[i];
		const struct sluice_format *format = p->format != NULL ? api_format_named(d->api, p->format) : NULL;
		json_t *op, *parameters, *responses;
		const char *path;

		if (p->doc.id == NULL || (p->format != NULL && format == NULL) ||
			!wanted(d, format != NULL ? format->name : "core"))
			continue;
		path = api_text(d->x, API_ROOT "%s/", p->path);
		op = operation(d,
			&(struct operation){
				path, p->path, NULL, p->doc.id, method_name(p->method), p->help, p->anonymous},
			&parameters, &responses);
		if (p->method == HTTP_GET)
			selection_parameters(d, parameters);
		describe(d, op, responses, &p->doc, p->fields, NULL);
	}
}

/* ---- the document ---- */

static json_t *app_versions(struct doc *d)
{
	json_t *versions = json_object();

	if (wanted(d, "core"))
		put_text(d, versions, "core", API_CORE_VERSION);
	if (wanted(d, "certguard"))
		put_text(d, versions, "certguard", API_CORE_VERSION);
	for (const struct sluice_format *const *f = d->api->formats; *f != NULL; f++)
		if (wanted(d, (*f)->name))
			put_text(d, versions, (*f)->name, (*f)->version);
	/* all that status/ names: clients take the document for outdated when the two differ */
	if (d->opts->component.n == 0)
		put_text(d, versions, "sluice", SLUICE_VERSION);
	return versions;
}

json_t *api_openapi(struct api_ctx *x, const struct api_doc_opts *opts)
{
	struct doc d = {.x = x, .api = x->api, .opts = opts, .paths = json_object(), .schemas = json_object()};
	json_t *all =
		json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:s}, s:o, s:b}, s:[{s:o}], s:O, s:{s:O, s:{s:{s:s, s:s}}}}",
			"openapi", "3.0.3", "info", "title", "sluice, Pulp 3 API", "version", "v3", "license", "name",
			"Apache-2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0", "x-pulp-app-versions",
			app_versions(&d), "x-pulp-domain-enabled", 0, "servers", "url",
			json_stringn(opts->base.p, opts->base.n), "paths", d.paths, "components", "schemas", d.schemas,
			"securitySchemes", "basicAuth", "type", "http", "scheme", "basic");

	if (all != NULL) {
		add_resources(&d);
		add_pages(&d);
	}
	json_decref(d.paths);
	json_decref(d.schemas);
	if (all != NULL && (d.failed || x->nomem)) {
		json_decref(all);
		all = NULL;
	}
	return all;
}
