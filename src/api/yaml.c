/* JSON values as YAML 1.2: block style for what has members, JSON's own quoting for every string, so that no text can be taken for
 * anything else. */
#include "api/api_priv.h"

#define DUMP (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

static int dump(const char *p, size_t n, void *arg)
{
	return buf_add(arg, p, n);
}

static int add_scalar(struct buf *out, const json_t *v)
{
	if (json_dump_callback(v, dump, out, DUMP) < 0)
		return out->failed < 0 ? out->failed : -ERR_NOMEM;
	return buf_adds(out, "\n");
}

static int add_name(struct buf *out, const char *name)
{
	json_t *text = json_string(name);
	int rc = text == NULL || json_dump_callback(text, dump, out, DUMP) < 0 ? -ERR_NOMEM : 0;

	json_decref(text);
	return rc < 0 ? rc : buf_adds(out, ":");
}

static bool is_block(const json_t *v)
{
	return json_object_size(v) > 0 || json_array_size(v) > 0;
}

static int add_block(struct buf *out, const json_t *v, int depth, bool first_here);

/* After "name:" or "-". */
static int add_value(struct buf *out, const json_t *v, int depth, bool in_list)
{
	int rc;

	if (!is_block(v)) {
		rc = buf_adds(out, " ");
		return rc < 0 ? rc : add_scalar(out, v);
	}
	/* the first member of an object in a list stands beside its dash */
	rc = buf_adds(out, in_list ? " " : "\n");
	return rc < 0 ? rc : add_block(out, v, depth, in_list);
}

static int indent(struct buf *out, int depth, bool *first_here)
{
	bool here = *first_here;

	*first_here = false;
	return here ? 0 : buf_addf(out, "%*s", 2 * depth, "");
}

static int add_block(struct buf *out, const json_t *v, int depth, bool first_here)
{
	const char *name;
	json_t *member;
	size_t i;
	int rc = 0;

	json_object_foreach((json_t *)v, name, member)
	{
		if ((rc = indent(out, depth, &first_here)) < 0 || (rc = add_name(out, name)) < 0 ||
			(rc = add_value(out, member, depth + 1, false)) < 0)
			return rc;
	}
	json_array_foreach((json_t *)v, i, member)
	{
		if ((rc = indent(out, depth, &first_here)) < 0 || (rc = buf_adds(out, "-")) < 0 ||
			(rc = add_value(out, member, depth + 1, true)) < 0)
			return rc;
	}
	return rc;
}

int api_yaml(struct buf *out, const json_t *v)
{
	return is_block(v) ? add_block(out, v, 0, false) : add_scalar(out, v);
}
