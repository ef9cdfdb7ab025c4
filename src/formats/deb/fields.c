/* Fields as they stand in an index: values are text, continuation lines included, so that an index made from them loses
 * nothing. */
#include "formats/deb/fields.h"

#include "base/buf.h"
#include "base/check.h"

#include <stdlib.h>

/* Bytes that are no UTF-8 become U+FFFD: some old packages have names in Latin-1. */
static json_t *text_of(struct slice v)
{
	json_t *j;
	char *fixed, *to;

	if (v.p == NULL)
		return json_string("");
	j = json_stringn(v.p, v.n);
	if (j != NULL)
		return j;
	fixed = malloc(3 * v.n + 1);
	if (fixed == NULL)
		return NULL;
	to = fixed;
	for (size_t i = 0; i < v.n;) {
		size_t n = 1;

		while (n <= 4 && i + n <= v.n && !slice_is_utf8(slice_of(v.p + i, n)))
			n++;
		if (n <= 4 && i + n <= v.n) {
			memcpy(to, v.p + i, n);
			to += n;
			i += n;
		} else {
			memcpy(to, "\xEF\xBF\xBD", 3);
			to += 3;
			i++;
		}
	}
	j = json_stringn(fixed, (size_t)(to - fixed));
	free(fixed);
	return j;
}

static const char *member_of(const struct deb_field *known, struct slice name)
{
	for (; known->name != NULL; known++)
		if (slice_eq_nocase(name, slice_str(known->name)))
			return known->member;
	return NULL;
}

/* As one field's part of the digest that tells two stanzas of one file apart. */
static void add_field(struct buf *b, const struct stanza_field *f)
{
	size_t at = b->n;

	buf_add_slice(b, f->name);
	for (; b->failed == 0 && at < b->n; at++)
		b->p[at] = (char)(b->p[at] >= 'A' && b->p[at] <= 'Z' ? b->p[at] - 'A' + 'a' : b->p[at]);
	buf_adds(b, ":");
	buf_add_slice(b, f->value);
	buf_adds(b, "\n");
}

int fields_digest(const struct stanza *s, fields_filter *leave_out, char out[33])
{
	struct buf text = BUF_INIT(0);
	struct hasher *h = NULL;
	struct digests ds;
	int rc;

	for (size_t i = 0; i < s->count; i++)
		if (!leave_out(s->fields[i].name))
			add_field(&text, &s->fields[i]);
	rc = text.failed == 0 ? hasher_new(0, &h) : text.failed;
	if (rc == 0) {
		hasher_add(h, text.p, text.n);
		hasher_end(h, &ds);
		(void)hex_of(ds.d[DIGEST_SHA256], 16, out);
	}
	hasher_free(&h);
	buf_fini(&text);
	return rc == 0 ? 0 : -ERR_NOMEM;
}

static int add_custom(json_t *custom, const struct stanza_field *f)
{
	json_t *name = text_of(f->name);
	int rc = name != NULL ? json_object_set_new(custom, json_string_value(name), text_of(f->value)) : -1;

	json_decref(name);
	return rc;
}

json_t *fields_read(const struct stanza *s, const struct deb_field *known, fields_filter *leave_out)
{
	json_t *o = json_object(), *custom = json_object();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->count; i++) {
		const struct stanza_field *f = &s->fields[i];
		const char *member;

		if (leave_out(f->name))
			continue;
		member = member_of(known, f->name);
		rc = member != NULL ? json_object_set_new(o, member, text_of(f->value)) : add_custom(custom, f);
	}
	if (rc == 0 && json_object_size(custom) > 0)
		rc = json_object_set(o, "custom_fields", custom);
	if (rc != 0)
		json_decref(TAKE(o));
	json_decref(custom);
	return o;
}
