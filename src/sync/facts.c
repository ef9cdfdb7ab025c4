/* A short list: a format has some ten fields. */
#include "sync/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fact {
	struct fact *next;
	char *name, *value;
};

static void fact_free(struct fact *x)
{
	free(x->name);
	free(x->value);
	free(x);
}

void facts_fini(struct facts *f)
{
	while (f->list != NULL) {
		struct fact *x = f->list;

		f->list = x->next;
		fact_free(x);
	}
}

static struct fact *find(const struct facts *f, const char *name)
{
	for (struct fact *x = f->list; x != NULL; x = x->next)
		if (strcmp(x->name, name) == 0)
			return x;
	return NULL;
}

int facts_set(struct facts *f, const char *name, const char *value)
{
	struct fact *x = find(f, name);
	char *copy = value != NULL ? strdup(value) : NULL;

	if (value != NULL && copy == NULL)
		return -ERR_NOMEM;
	if (x == NULL) {
		x = calloc(1, sizeof(*x));
		if (x != NULL)
			x->name = strdup(name);
		if (x == NULL || x->name == NULL) {
			free(x);
			free(copy);
			return -ERR_NOMEM;
		}
		x->next = f->list;
		f->list = x;
	}
	free(x->value);
	x->value = copy;
	return 0;
}

int facts_set_json(struct facts *f, const char *name, const json_t *value)
{
	char *text;
	int rc;

	if (value == NULL || json_is_null(value))
		return facts_set(f, name, NULL);
	if (json_is_string(value))
		return facts_set(f, name, json_string_value(value));
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text == NULL)
		return -ERR_NOMEM;
	rc = facts_set(f, name, text);
	free(text);
	return rc;
}

json_t *facts_field_value(const struct sluice_field *field, const json_t *object)
{
	json_t *value = json_object_get(object, field->name);

	if (value != NULL)
		return json_incref(value);
	if (field->default_json == NULL)
		return json_null();
	return json_loads(field->default_json, JSON_DECODE_ANY, NULL);
}

int facts_set_fields(struct facts *f, const char *prefix, const struct sluice_field *fields, const json_t *object)
{
	char name[256];
	int rc = 0;

	for (; rc == 0 && fields != NULL && fields->name != NULL; fields++) {
		json_t *value = facts_field_value(fields, object);

		if (value == NULL)
			return -ERR_NOMEM;
		(void)snprintf(name, sizeof(name), "%s.%s", prefix, fields->name); /* names are identifiers */
		rc = facts_set_json(f, name, value);
		json_decref(value);
	}
	return rc;
}

const char *facts_get(const struct facts *f, const char *name)
{
	struct fact *x = find(f, name);

	return x != NULL ? x->value : NULL;
}
