/* Remotes: where content comes from, and how it is fetched. */
#include "api/api_priv.h"

#include "base/check.h"

#include <stdlib.h>

static const char *const policies[] = {"immediate", "on_demand", "streamed", NULL};

/* Which of the fields that are never shown have a value. */
static json_t *show_hidden(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *list = json_array();

	for (const struct api_field **f = r->fields; *f != NULL; f++) {
		const json_t *v = json_object_get(row, api_field_column(*f));

		if (!((*f)->flags & F_WRITE_ONLY))
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:b}", "name", (*f)->name, "is_set", v != NULL && !json_is_null(v)));
	}
	return list;
}

#define TEXT_OR_NULL F_NULLABLE
#define SECRET (F_NULLABLE | F_WRITE_ONLY | F_VERBATIM)
#define SECONDS(name_, help_)                                                                       \
	{                                                                                           \
		.name = name_, .type = T_FLOAT, .flags = F_NULLABLE, .bounded = true, .help = help_ \
	}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "name",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE | F_COMMON,
		.max_length = API_NAME_MAX,
		.help = "unique name"},
	{.name = "url",
		.type = T_STRING,
		.flags = F_REQUIRED | F_COMMON,
		.check = api_check_url,
		.help = "where upstream's content begins; of the file format: of its manifest"},
	{.name = "ca_cert",
		.type = T_STRING,
		.flags = TEXT_OR_NULL | F_COMMON,
		.check = api_check_certificate,
		.help = "certificates that upstream's must be signed by, PEM"},
	{.name = "client_cert",
		.type = T_STRING,
		.flags = TEXT_OR_NULL | F_COMMON,
		.check = api_check_certificate,
		.help = "certificate shown to upstream, PEM"},
	{.name = "client_key", .type = T_STRING, .flags = SECRET | F_COMMON, .help = "private key of client_cert, PEM"},
	{.name = "tls_validation",
		.type = T_BOOLEAN,
		.flags = F_COMMON,
		.default_json = "true",
		.help = "whether upstream's certificate is checked"},
	{.name = "proxy_url",
		.type = T_STRING,
		.flags = TEXT_OR_NULL | F_COMMON,
		.check = api_check_proxy_url,
		.help = "proxy to go through, without credentials"},
	{.name = "proxy_username", .type = T_STRING, .flags = SECRET | F_COMMON, .help = "user at the proxy"},
	{.name = "proxy_password", .type = T_STRING, .flags = SECRET | F_COMMON, .help = "password at the proxy"},
	{.name = "username", .type = T_STRING, .flags = SECRET | F_COMMON, .help = "user at upstream"},
	{.name = "password", .type = T_STRING, .flags = SECRET | F_COMMON, .help = "password at upstream"},
	{.name = "pulp_labels", .type = T_LABELS, .flags = F_COMMON, .column = "labels", .help = "labels"},
	{.name = "download_concurrency",
		.type = T_INTEGER,
		.flags = F_NULLABLE | F_COMMON,
		.bounded = true,
		.min = 1,
		.help = "requests at once; null: 10"},
	{.name = "max_retries",
		.type = T_INTEGER,
		.flags = F_NULLABLE | F_COMMON,
		.help = "how often a failed request is repeated; null: 3"},
	{.name = "policy",
		.type = T_CHOICE,
		.flags = F_COMMON,
		.default_json = "\"immediate\"",
		.choices = policies,
		.check = api_check_policy,
		.help = "immediate: all is downloaded by a sync; on_demand: when a client asks; streamed: nothing is "
			"kept"},
	SECONDS("total_timeout", "seconds that one download may take"),
	SECONDS("connect_timeout", "seconds to get a connection, waiting for a free one included"),
	SECONDS("sock_connect_timeout", "seconds to connect"),
	SECONDS("sock_read_timeout", "seconds without a byte"),
	{.name = "headers",
		.type = T_HEADERS,
		.flags = F_COMMON | F_ADMIN,
		.help = "further header fields of each request"},
	{.name = "rate_limit", .type = T_INTEGER, .flags = F_NULLABLE | F_COMMON, .help = "requests a second"},
	{.name = "hidden_fields",
		.type = T_JSON,
		.flags = F_READ_ONLY | F_COMMON,
		.show = show_hidden,
		.help = "which fields that are never shown are set",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
			  "\"string\"},\"is_set\":{\"type\":\"boolean\"}}}}"},
	{.name = NULL},
};

/* How something is fetched, and nothing else of a remote. */
static bool is_network(const struct api_field *f)
{
	static const char *const other[] = {"name", "url", "pulp_labels", "policy", "hidden_fields"};

	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		if (strcmp(f->name, other[i]) == 0)
			return false;
	return !(f->flags & F_READ_ONLY);
}

const char *api_check_downloader(struct api_ctx *x, const struct api_field *field, json_t **value)
{
	json_t *values = json_object(), *options = json_object(), *problems = json_object(), *body = x->body;
	const struct api_field *list[ARRAY_LEN(fields)];
	struct err err = ERR_INIT;
	const char *wrong = NULL;
	bool form = x->form;
	size_t n = 0;
	char *text;

	for (const struct api_field *f = fields; f->name != NULL; f++)
		if (is_network(f))
			list[n++] = f;
	list[n] = NULL;
	x->body = *value;
	x->form = false; /* it came as JSON, whatever it came in */
	if (api_fields_clean(x, NULL, list, API_MODE_PATCH, 0, values, options, problems, &err) < 0) {
		wrong = api_text(x, "%s", err.msg);
	} else if (json_object_size(problems) > 0) {
		text = json_dumps(problems, JSON_COMPACT);
		wrong = api_text(x, "%s", text != NULL ? text : "Not valid.");
		free(text);
	}
	x->body = body;
	x->form = form;
	json_decref(*value);
	*value = values;
	json_decref(options);
	json_decref(problems);
	return wrong;
}

static const struct api_filter filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{"pulp_label_select", OPS_EXACT, .apply = api_filter_label, .help = "terms about labels"},
	{.name = NULL},
};

static const struct api_action actions[] = {API_LABEL_ACTIONS, {.name = NULL}};

/* The value as it will be: written now, or there already. */
static bool will_be(const json_t *row, const json_t *values, const char *column)
{
	const json_t *v = json_object_get(values, column);

	if (v == NULL)
		v = json_object_get(row, column);
	return v != NULL && !json_is_null(v);
}

static int check(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values, json_t *options,
	json_t *problems, struct err *err)
{
	bool user = will_be(row, values, "proxy_username"), password = will_be(row, values, "proxy_password");

	if ((user || password) && !will_be(row, values, "proxy_url"))
		api_problem(problems, "non_field_errors", "proxy credentials cannot be specified without a proxy");
	else if (user != password)
		api_problem(problems, "non_field_errors", "proxy username and password can only be specified together");
	return 0;
}

const struct api_kind api_kinds_remote = {
	.name = "remotes",
	.model = "Remote",
	.view = "remote",
	.per_format = true,
	.generic = true,
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_TASK,
	.fields = fields,
	.filters = filters,
	.actions = actions,
	.check = check,
	.reserve = api_reserve_itself,
};
