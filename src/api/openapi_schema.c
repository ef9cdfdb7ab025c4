/* Schemas of OpenAPI 3.0 for what fields hold and how bodies and answers are made of them. Constant tables in, new JSON out. */
#include "api/api_priv.h"

#include "base/check.h"

static const char headers_schema[] =
	"{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}}";

/* JSON text of a type as it is on the wire, by enum api_type. */
static const char *const types[] = {
	[T_STRING] = "{\"type\":\"string\"}",
	[T_INTEGER] = "{\"type\":\"integer\"}",
	[T_FLOAT] = "{\"type\":\"number\",\"format\":\"double\"}",
	[T_BOOLEAN] = "{\"type\":\"boolean\"}",
	[T_TIME] = "{\"type\":\"string\",\"format\":\"date-time\"}",
	[T_CHOICE] = "{\"type\":\"string\"}",
	[T_LABELS] = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\",\"nullable\":true}}",
	[T_OBJECT] = "{\"type\":\"object\",\"additionalProperties\":{}}",
	[T_JSON] = "{}",
	[T_STRINGS] = "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
	[T_HEADERS] = headers_schema,
	[T_FILE] = "{\"type\":\"string\",\"format\":\"binary\"}",
	[T_REF] = "{\"type\":\"string\",\"format\":\"uri\"}",
};

json_t *api_schema_type(enum api_type type)
{
	BUG((size_t)type >= ARRAY_LEN(types) || types[type] == NULL);
	return json_loads(types[type], 0, NULL);
}

static int add_limits(json_t *schema, const struct api_field *f)
{
	int rc = 0;

	if (f->type == T_STRING && f->max_length > 0)
		rc |= json_object_set_new(schema, "maxLength", json_integer(f->max_length));
	if (f->type == T_STRING && !(f->flags & (F_BLANK | F_READ_ONLY)))
		rc |= json_object_set_new(schema, "minLength", json_integer(1));
	if (f->bounded)
		rc |= json_object_set_new(schema, "minimum", json_integer(f->min));
	return rc;
}

static int add_choices(json_t *schema, const struct api_field *f)
{
	json_t *list = json_array();
	int rc = json_object_set_new(schema, "enum", list);

	for (const char *const *c = f->choices; rc == 0 && *c != NULL; c++)
		rc = json_array_append_new(list, json_string(*c));
	return rc;
}

json_t *api_schema_field(const struct api_field *f, bool request)
{
	json_t *schema = f->schema != NULL ? json_loads(f->schema, 0, NULL) : api_schema_type(f->type);
	int rc = schema == NULL ? -1 : 0;

	if (rc == 0 && f->type == T_CHOICE)
		rc = add_choices(schema, f);
	if (rc == 0 && request)
		rc = add_limits(schema, f);
	if (rc == 0 && (f->flags & F_NULLABLE))
		rc = json_object_set_new(schema, "nullable", json_true());
	if (rc == 0 && !request && (f->flags & F_READ_ONLY))
		rc = json_object_set_new(schema, "readOnly", json_true());
	if (rc == 0 && request && (f->flags & F_WRITE_ONLY))
		rc = json_object_set_new(schema, "writeOnly", json_true());
	if (rc == 0 && request && f->default_json != NULL)
		rc = json_object_set_new(schema, "default", json_loads(f->default_json, JSON_DECODE_ANY, NULL));
	if (rc == 0)
		rc = json_object_set_new(schema, "description", json_string(f->help));
	if (rc == 0)
		return schema;
	json_decref(schema);
	return NULL;
}

/* An object of these properties; takes both over. */
static json_t *object_of(json_t *properties, json_t *required)
{
	json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);

	if (json_array_size(required) > 0 && json_object_set(schema, "required", required) < 0) {
		json_decref(schema);
		schema = NULL;
	}
	json_decref(required);
	return schema;
}

json_t *api_schema_body(const struct api_field *const *fields, bool partial)
{
	json_t *properties = json_object(), *required = json_array();
	int rc = properties == NULL || required == NULL ? -1 : 0;

	for (; rc == 0 && *fields != NULL; fields++) {
		const struct api_field *f = *fields;

		if (f->flags & F_READ_ONLY)
			continue;
		rc = json_object_set_new(properties, f->name, api_schema_field(f, true));
		if (rc == 0 && !partial && (f->flags & F_REQUIRED))
			rc = json_array_append_new(required, json_string(f->name));
	}
	if (rc == 0)
		return object_of(properties, required);
	json_decref(properties);
	json_decref(required);
	return NULL;
}

json_t *api_schema_shown(const struct api_resource *r)
{
	json_t *properties = json_object(), *required = json_array();
	int rc = properties == NULL || required == NULL ? -1 : 0;

	for (const struct api_field **f = r->fields; rc == 0 && *f != NULL; f++) {
		if (!api_field_shown(r, *f))
			continue;
		rc = json_object_set_new(properties, (*f)->name, api_schema_field(*f, false));
		/* what is read only may be missing where `fields` leaves it out, and then so may the rest: only what
		 * makes the object usable is promised */
		if (rc == 0 && ((*f)->flags & F_REQUIRED))
			rc = json_array_append_new(required, json_string((*f)->name));
	}
	if (rc == 0)
		return object_of(properties, required);
	json_decref(properties);
	json_decref(required);
	return NULL;
}
