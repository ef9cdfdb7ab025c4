/* modules.yaml: documents of several kinds in one file, told apart by lines that begin with "---", which nothing else in YAML does. libyaml reads each;
 * its text is kept as it is. */
#include "formats/rpm/notes.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 24
#define NODES_MAX 500000 /* of one document: thousands are usual */

struct reader {
	yaml_parser_t parser;
	json_t *stack[DEPTH_MAX]; /* lists and mappings that are open */
	char *keys[DEPTH_MAX];    /* of a mapping: the key whose value comes next; NULL: a key comes next */
	size_t depth, nodes;
	json_t *root;
	struct err *err;
};

/* Takes `v`. */
static int put(struct reader *r, json_t *v)
{
	json_t *in = r->depth > 0 ? r->stack[r->depth - 1] : NULL;
	int rc;

	if (v == NULL || ++r->nodes > NODES_MAX) {
		json_decref(v);
		return err_set(r->err, -ERR_LIMIT, "it has more than %d values", NODES_MAX);
	}
	if (in == NULL) {
		rc = r->root == NULL ? 0 : -1;
		if (rc == 0)
			r->root = v;
		else
			json_decref(v);
	} else if (json_is_array(in)) {
		rc = json_array_append_new(in, v);
	} else {
		rc = r->keys[r->depth - 1] != NULL ? json_object_set_new(in, r->keys[r->depth - 1], v) : -1;
		if (r->keys[r->depth - 1] == NULL)
			json_decref(v);
		free(r->keys[r->depth - 1]);
		r->keys[r->depth - 1] = NULL;
	}
	return rc == 0 ? 0 : err_set(r->err, -ERR_PARSE, "a key that is no text, or a value without a key");
}

static int scalar(struct reader *r, const yaml_event_t *e)
{
	const char *p = (const char *)e->data.scalar.value;
	size_t n = e->data.scalar.length;

	if (memchr(p, '\0', n) != NULL)
		return err_set(r->err, -ERR_PARSE, "a text has a zero byte");
	if (r->depth > 0 && json_is_object(r->stack[r->depth - 1]) && r->keys[r->depth - 1] == NULL) {
		r->keys[r->depth - 1] = slice_dup(slice_of(p, n));
		return r->keys[r->depth - 1] != NULL ? 0 : err_set(r->err, -ERR_NOMEM, "no memory for it");
	}
	return put(r, json_stringn(p, n));
}

static int open_one(struct reader *r, json_t *v)
{
	int rc;

	if (r->depth == DEPTH_MAX) {
		json_decref(v);
		return err_set(r->err, -ERR_LIMIT, "it is nested more than %d deep", DEPTH_MAX);
	}
	rc = put(r, v);
	if (rc == 0) {
		r->stack[r->depth] = v; /* its parent holds it */
		r->keys[r->depth++] = NULL;
	}
	return rc;
}

static int take(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return scalar(r, e);
	case YAML_ALIAS_EVENT:
		return err_set(r->err, -ERR_PARSE, "it has an alias, which no repository needs");
	case YAML_SEQUENCE_START_EVENT:
		return open_one(r, json_array());
	case YAML_MAPPING_START_EVENT:
		return open_one(r, json_object());
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		if (r->keys[r->depth] != NULL) {
			free(r->keys[r->depth]);
			r->keys[r->depth] = NULL;
		}
		return 0;
	default:
		return 0;
	}
}

/* NULL: failed, *err says why; or the document is empty (err->code 0). `line`: of the file, where the document begins. */
static json_t *read_document(struct slice text, size_t line, struct err *err)
{
	struct reader r = {.err = err};
	yaml_event_t e;
	bool ended = false;
	int rc = 0;

	if (yaml_parser_initialize(&r.parser) == 0) {
		err_set(err, -ERR_NOMEM, "no memory for YAML");
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
	while (rc == 0 && !ended) {
		if (yaml_parser_parse(&r.parser, &e) == 0) {
			rc = err_set(err, -ERR_PARSE, "line %zu: %s", line + r.parser.problem_mark.line,
				r.parser.problem != NULL ? r.parser.problem : "no YAML");
			break;
		}
		ended = e.type == YAML_STREAM_END_EVENT;
		rc = take(&r, &e);
		if (rc != 0)
			err_wrap(err, "line %zu", line + e.start_mark.line);
		yaml_event_delete(&e);
	}
	for (size_t i = 0; i < r.depth; i++)
		free(r.keys[i]);
	yaml_parser_delete(&r.parser);
	if (rc != 0) {
		json_decref(r.root);
		return NULL;
	}
	return r.root;
}

/* ---- fields ---- */

static const char *text_of(const json_t *o, const char *name)
{
	const char *z = json_string_value(json_object_get(o, name));

	return z != NULL ? z : "";
}

static void set(json_t *out, const char *name, const char *z)
{
	(void)json_object_set_new(out, name, json_string(z));
}

static void set_or_null(json_t *out, const char *name, const json_t *v)
{
	(void)json_object_set_new(out, name, json_is_string(v) ? json_copy((json_t *)v) : json_null());
}

/* {"default": ["a", "b"]} of {"default": {"rpms": ["a", "b"]}} */
static json_t *profiles_of(const json_t *data)
{
	json_t *out = json_object(), *one;
	const char *name;

	json_object_foreach(json_object_get(data, "profiles"), name, one)
	{
		json_t *rpms = json_is_object(one) ? json_object_get(one, "rpms") : one;

		(void)json_object_set_new(out, name, json_is_array(rpms) ? json_incref(rpms) : json_array());
	}
	return out;
}

static json_t *requires_of(const json_t *data)
{
	json_t *out = json_array(), *one;
	size_t i;

	json_array_foreach(json_object_get(data, "dependencies"), i, one)
	{
		json_t *needs = json_object_get(one, "requires");

		(void)json_array_append_new(out, json_is_object(needs) ? json_incref(needs) : json_object());
	}
	return out;
}

static json_t *stream_fields(const json_t *data)
{
	static const char *const texts[] = {"name", "stream", "version", "context", "arch", "description"};
	json_t *out = json_object(), *rpms = json_object_get(json_object_get(data, "artifacts"), "rpms");

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		set(out, texts[i], text_of(data, texts[i]));
	(void)json_object_set_new(
		out, "static_context", json_boolean(strcmp(text_of(data, "static_context"), "true") == 0));
	(void)json_object_set_new(out, "artifacts", json_is_array(rpms) ? json_incref(rpms) : json_array());
	(void)json_object_set_new(out, "dependencies", requires_of(data));
	(void)json_object_set_new(out, "profiles", profiles_of(data));
	return out;
}

static json_t *defaults_fields(const json_t *data)
{
	json_t *out = json_object();

	set(out, "module", text_of(data, "module"));
	set(out, "stream", text_of(data, "stream"));
	(void)json_object_set_new(out, "profiles", profiles_of(data));
	return out;
}

static json_t *obsolete_fields(const json_t *data)
{
	const json_t *by = json_object_get(data, "obsoleted_by");
	json_t *out = json_object();

	set(out, "modified", text_of(data, "modified"));
	set(out, "module_name", text_of(data, "module"));
	set(out, "module_stream", text_of(data, "stream"));
	set(out, "message", text_of(data, "message"));
	set_or_null(out, "override_previous", json_object_get(data, "reset"));
	set_or_null(out, "module_context", json_object_get(data, "context"));
	set_or_null(out, "eol_date", json_object_get(data, "eol_date"));
	set_or_null(out, "obsoleted_by_module_name", json_object_get(by, "module"));
	set_or_null(out, "obsoleted_by_module_stream", json_object_get(by, "stream"));
	return out;
}

/* ---- documents ---- */

static int give(const json_t *root, const struct buf *text, note_fn *fn, void *arg, struct err *err)
{
	const char *kind = text_of(root, "document");
	const json_t *data = json_object_get(root, "data");
	char id[NOTE_ID_MAX + 64];
	const char *type;
	json_t *fields;
	int n;

	if (strcmp(kind, "modulemd") == 0 || strcmp(kind, "modulemd-stream") == 0) {
		type = RPM_MODULEMD;
		fields = stream_fields(data);
		n = snprintf(id, sizeof(id), "%s:%s:%s:%s:%s", text_of(data, "name"), text_of(data, "stream"),
			text_of(data, "version"), text_of(data, "context"), text_of(data, "arch"));
	} else if (strcmp(kind, "modulemd-defaults") == 0) {
		type = RPM_MODULEMD_DEFAULTS;
		fields = defaults_fields(data);
		n = snprintf(id, sizeof(id), "%s", text_of(data, "module"));
	} else if (strcmp(kind, "modulemd-obsoletes") == 0) {
		type = RPM_MODULEMD_OBSOLETE;
		fields = obsolete_fields(data);
		n = snprintf(id, sizeof(id), "%s:%s:%s:%s", text_of(data, "modified"), text_of(data, "module"),
			text_of(data, "stream"), text_of(data, "context"));
	} else {
		return 0;
	}
	if (n < 0 || n >= (int)sizeof(id)) /* note_give says so */
		id[0] = '\0';
	return note_give(type, id, fields, text, fn, arg, err);
}

/* The document's lines, from its "---" on. */
static int take_document(struct slice text, size_t line, note_fn *fn, void *arg, struct err *err)
{
	struct err why = ERR_INIT;
	struct buf own = BUF_INIT(0);
	json_t *root;
	int rc = 0;

	if (slice_trim(text).n == 0)
		return 0;
	root = read_document(text, line, &why);
	if (why.code != 0) {
		*err = why;
		return why.code;
	}
	if (json_is_object(root)) {
		/* Whatever it ended with, it ends alike. */
		text = slice_trim(text);
		if (slice_ends(text, SLICE("\n...")))
			text = slice_trim(slice_of(text.p, text.n - 3));
		if (!slice_starts(text, SLICE("---")))
			buf_adds(&own, "---\n");
		buf_add_slice(&own, text);
		buf_adds(&own, "\n...\n");
		rc = give(root, &own, fn, arg, err);
	}
	buf_fini(&own);
	json_decref(root);
	return rc;
}

static bool begins_document(struct slice line)
{
	return slice_starts(line, SLICE("---")) && (line.n == 3 || strchr(" \t\r\n", line.p[3]) != NULL);
}

int note_modules(struct slice yaml, note_fn *fn, void *arg, struct err *err)
{
	const char *begin = yaml.p, *end = yaml.n > 0 ? yaml.p + yaml.n : yaml.p;
	size_t number = 1, began = 1;
	int rc = 0;

	if (yaml.n == 0)
		return 0;
	while (rc == 0 && yaml.n > 0) {
		const char *at = yaml.p;

		if (begins_document(slice_cut(&yaml, '\n'))) {
			/* What is before the first one are comments and directives. */
			if (begins_document(slice_of(begin, (size_t)(at - begin))))
				rc = take_document(slice_of(begin, (size_t)(at - begin)), began, fn, arg, err);
			begin = at;
			began = number;
		}
		number++;
	}
	return rc == 0 ? take_document(slice_of(begin, (size_t)(end - begin)), began, fn, arg, err) : rc;
}
