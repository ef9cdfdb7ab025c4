/* Labels: the terms of pulp_label_select, and the actions that set and unset one. */
#include "api/api_priv.h"

#include "base/check.h"

/* ---- pulp_label_select ---- */

static bool key_ok(struct slice key)
{
	if (key.n == 0)
		return false;
	for (size_t i = 0; i < key.n; i++) {
		unsigned char c = (unsigned char)key.p[i];

		if (!(c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    strchr("_ -.", c) != NULL) ||
			c == '\0')
			return false;
	}
	return true;
}

/* The next term up to a comma that is not escaped; "\," becomes "," in `out`. */
static bool next_term(struct slice *rest, struct buf *out)
{
	size_t i = 0;

	buf_reset(out);
	if (rest->p == NULL)
		return false;
	while (i < rest->n && rest->p[i] != ',') {
		if (rest->p[i] == '\\' && i + 1 < rest->n && rest->p[i + 1] == ',')
			i++;
		buf_add(out, rest->p + i, 1);
		i++;
	}
	*rest = i < rest->n ? slice_of(rest->p + i + 1, rest->n - i - 1) : SLICE_NULL;
	return true;
}

static int add_term(struct query *q, const char *column, struct slice term, struct err *err)
{
	bool lacks = term.n > 0 && term.p[0] == '!';
	enum query_label how = lacks ? QUERY_LABEL_LACKS : QUERY_LABEL_HAS;
	struct slice key = lacks ? slice_of(term.p + 1, term.n - 1) : term, value = SLICE_NULL;

	for (size_t i = 0; i < key.n; i++) {
		bool differs = key.p[i] == '!' && i + 1 < key.n && key.p[i + 1] == '=';

		if (key.p[i] != '=' && key.p[i] != '~' && !differs)
			continue;
		if (lacks)
			goto bad;
		how = differs ? QUERY_LABEL_NE : key.p[i] == '=' ? QUERY_LABEL_EQ : QUERY_LABEL_CONTAINS;
		value = slice_of(key.p + i + 1 + differs, key.n - i - 1 - differs);
		key = slice_of(key.p, i);
		break;
	}
	key = slice_trim(key);
	if (!key_ok(key) || memchr(value.n > 0 ? value.p : "-", '\0', value.n > 0 ? value.n : 1) != NULL)
		goto bad;
	query_label(q, column, how, key, value);
	return 0;
bad:
	return err_set(err, -ERR_INVAL, "Invalid search term: '%.*s'.", SLICE_ARG(term));
}

int api_label_select(struct query *q, const char *column, struct slice text, struct err *err)
{
	struct buf term = BUF_INIT(1 << 20);
	struct slice rest = text;
	int rc = 0;

	if (!slice_is_utf8(text) || text.n == 0)
		return err_set(err, -ERR_INVAL, "Invalid search term: ''.");
	query_open(q, QUERY_AND);
	while (rc == 0 && next_term(&rest, &term))
		rc = term.failed ? -ERR_NOMEM : add_term(q, column, slice_trim(buf_slice(&term)), err);
	query_close(q);
	buf_fini(&term);
	return rc;
}

int api_filter_label(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	return api_label_select(q, "labels", value, err);
}

/* ---- set_label, unset_label ---- */

static const char *check_key(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	return api_label_problem(x, slice_of(json_string_value(*value), json_string_length(*value)), NULL);
}

static const char *check_value(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	return api_label_problem(x, SLICE("key"), *value);
}

const struct api_field api_set_label_fields[] = {
	{.name = "key",
		.type = T_STRING,
		.flags = F_REQUIRED | F_OPTION,
		.check = check_key,
		.help = "name of the label"},
	{.name = "value",
		.type = T_STRING,
		.flags = F_REQUIRED | F_NULLABLE | F_BLANK | F_OPTION,
		.check = check_value,
		.help = "its value"},
	{.name = NULL},
};
const struct api_field api_unset_label_fields[] = {
	{.name = "key",
		.type = T_STRING,
		.flags = F_REQUIRED | F_OPTION,
		.check = check_key,
		.help = "name of the label"},
	{.name = NULL},
};

/* value NULL: removes the label; *was: its value, a new reference, NULL when it was not set. */
static int change_label(
	struct api_ctx *x, const struct api_route *rt, const char *key, json_t *value, json_t **was, struct err *err)
{
	json_t *row = NULL, *labels = NULL, *values = NULL;
	struct txn *t = NULL;
	int rc;

	*was = NULL;
	api_txn_end(x);
	if ((rc = catalog_write(x->api->catalog, &t, err)) < 0)
		return rc;
	/* read and written in one transaction: another client may be setting another label */
	x->txn = t;
	rc = api_row_find(x, rt->resource, rt->parent, rt->key, &row, err);
	x->txn = NULL;
	if (rc < 0)
		goto out;
	labels = json_deep_copy(json_object_get(row, "labels"));
	*was = json_incref(json_object_get(labels, key));
	if (value == NULL && *was == NULL)
		goto out;
	if (value != NULL ? json_object_set(labels, key, value) < 0 : json_object_del(labels, key) < 0) {
		rc = err_set(err, -ERR_NOMEM, "no memory for labels");
		goto out;
	}
	values = json_pack("{s:O}", "labels", labels);
	if ((rc = row_update(t, rt->resource->view, api_row_int(row, "_id"), values, err)) == 0)
		rc = txn_commit(&t, err);
out:
	txn_end(&t);
	json_decref(values);
	json_decref(labels);
	json_decref(row);
	return rc;
}

static void set_or_unset(struct api_ctx *x, const struct api_route *rt, bool set)
{
	const struct api_field *fields = set ? api_set_label_fields : api_unset_label_fields;
	json_t *options = NULL, *was = NULL, *value;
	struct err err = ERR_INIT;
	const char *key;
	int rc;

	if (!api_options_read(x, fields, &options))
		return;
	key = json_string_value(json_object_get(options, "key"));
	value = set ? json_object_get(options, "value") : NULL;
	rc = change_label(x, rt, key, value, &was, &err);
	if (rc == -ERR_NOTFOUND)
		api_reply_no_object(x, rt->resource);
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	else if (!set && was == NULL)
		api_reply_bare(x, "Label '%s' is not set on the object.", key);
	else
		api_reply(x, 201, json_pack("{s:s, s:O}", "key", key, "value", set ? value : was));
	json_decref(was);
	json_decref(options);
}

void api_action_set_label(struct api_ctx *x, const struct api_route *rt)
{
	set_or_unset(x, rt, true);
}

void api_action_unset_label(struct api_ctx *x, const struct api_route *rt)
{
	set_or_unset(x, rt, false);
}
