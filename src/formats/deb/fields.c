/* Fields as they stand in an index: values are text, continuation lines included, so that an index made from them loses
 * nothing. */
#include "formats/deb/fields.h"

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
static void digest_field(struct hasher *h, const struct stanza_field *f)
{
	for (size_t i = 0; i < f->name.n; i++) {
		char c = f->name.p[i];

		c = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
		hasher_add(h, &c, 1);
	}
	hasher_add(h, ":", 1);
	hasher_add(h, f->value.p, f->value.n);
	hasher_add(h, "\n", 1);
}

static int add_custom(json_t *custom, const struct stanza_field *f)
{
	json_t *name = text_of(f->name);
	int rc = name != NULL ? json_object_set_new(custom, json_string_value(name), text_of(f->value)) : -1;

	json_decref(name);
	return rc;
}

int fields_read(
	const struct stanza *s, const struct deb_field *known, bool (*leave_out)(struct slice name), struct fields *out)
{
	json_t *o = json_object(), *custom = json_object();
	struct hasher *h = NULL;
	struct digests ds;
	int rc = hasher_new(0, &h);

	for (size_t i = 0; rc == 0 && i < s->count; i++) {
		const struct stanza_field *f = &s->fields[i];
		const char *member = member_of(known, f->name);

		if (leave_out(f->name))
			continue;
		digest_field(h, f);
		rc = member != NULL ? json_object_set_new(o, member, text_of(f->value)) : add_custom(custom, f);
	}
	if (rc == 0 && json_object_size(custom) > 0)
		rc = json_object_set(o, "custom_fields", custom);
	if (rc == 0) {
		hasher_end(h, &ds);
		(void)hex_of(ds.d[DIGEST_SHA256], 16, out->digest);
		out->object = o;
	} else {
		json_decref(o);
	}
	hasher_free(&h);
	json_decref(custom);
	return rc == 0 ? 0 : -ERR_NOMEM;
}

char *fields_take(struct fields *f)
{
	json_t *o = TAKE(f->object);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}
