/* updateinfo.xml and comps.xml. */
#include "formats/rpm/notes.h"

#include "base/check.h"
#include "base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- handing over ---- */

static int sha256_of(const struct buf *text, char out[DIGEST_HEX_MAX])
{
	struct hasher *h;
	struct digests d;
	int rc = hasher_new(1u << DIGEST_SHA256, &h);

	if (rc != 0)
		return rc;
	hasher_add(h, text->p, text->n);
	hasher_end(h, &d);
	hasher_free(&h);
	digest_hex(DIGEST_SHA256, d.d[DIGEST_SHA256], out);
	return 0;
}

/* It becomes the first line of a key. */
static bool is_id(const char *id)
{
	size_t n = strlen(id);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)id[i] < 0x20 || id[i] == 0x7f)
			return false;
	return n > 0 && n <= NOTE_ID_MAX;
}

int note_give(const char *type, const char *id, json_t *fields, const struct buf *text, note_fn *fn, void *arg,
	struct err *err)
{
	char key[NOTE_ID_MAX + DIGEST_HEX_MAX + 2], digest[DIGEST_HEX_MAX];
	struct note n = {.type = type, .key = key, .fields = fields};
	int rc = -ERR_NOMEM;

	if (!is_id(id)) {
		rc = err_set(err, -ERR_PARSE, "a '%s' has no id, or none that can be used", type);
		goto out;
	}
	if (text->failed != 0 || sha256_of(text, digest) != 0) {
		rc = err_set(err, -ERR_NOMEM, "no memory for '%.100s'", id);
		goto out;
	}
	(void)snprintf(key, sizeof(key), "%s\n%s", id, digest);
	if (json_object_set_new(fields, "digest", json_string(digest)) != 0 ||
		json_object_set_new(fields, NOTE_TEXT, json_stringn(text->p, text->n)) != 0)
		rc = err_set(err, -ERR_NOMEM, "no memory for '%.100s'", id);
	else
		rc = fn(arg, &n);
out:
	json_decref(fields);
	return rc;
}

static int give_record(const char *type, const char *id, json_t *fields, const struct record *r, note_fn *fn, void *arg,
	struct err *err)
{
	struct buf text = BUF_INIT(0);
	int rc;

	record_xml(r, &text);
	rc = note_give(type, id, fields, &text, fn, arg, err);
	buf_fini(&text);
	return rc;
}

static void set(json_t *o, const char *name, const char *z)
{
	(void)json_object_set_new(o, name, json_string(z != NULL ? z : ""));
}

static void set_or_null(json_t *o, const char *name, const char *z)
{
	(void)json_object_set_new(o, name, z != NULL && z[0] != '\0' ? json_string(z) : json_null());
}

static void set_bool(json_t *o, const char *name, bool v)
{
	(void)json_object_set_new(o, name, json_boolean(v));
}

/* ---- updateinfo.xml ---- */

static json_t *references_of(const struct record *r)
{
	const struct record *list = record_child(r, "references");
	json_t *out = json_array();

	for (const struct record *e = list != NULL ? list->child : NULL; e != NULL; e = e->next) {
		json_t *one = json_object();

		set(one, "href", record_attr(e, "href"));
		set_or_null(one, "ref_id", record_attr(e, "id"));
		set_or_null(one, "title", record_attr(e, "title"));
		set(one, "ref_type", record_attr(e, "type"));
		(void)json_array_append_new(out, one);
	}
	return out;
}

static json_t *package_of(const struct record *e)
{
	static const char *const attrs[] = {"name", "version", "release", "epoch", "arch", "src"};
	static const char *const suggests[] = {"reboot_suggested", "relogin_suggested", "restart_suggested"};
	json_t *one = json_object();

	for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
		set(one, attrs[i], record_attr(e, attrs[i]));
	set(one, "filename", record_text(e, "filename"));
	set(one, "sum", record_text(e, "sum"));
	set(one, "sum_type", record_attr(record_child(e, "sum"), "type"));
	for (size_t i = 0; i < ARRAY_LEN(suggests); i++)
		set_bool(one, suggests[i], record_child(e, suggests[i]) != NULL);
	return one;
}

static json_t *module_of(const struct record *e)
{
	static const char *const attrs[] = {"name", "stream", "version", "context", "arch"};
	json_t *one;

	if (e == NULL)
		return json_null();
	one = json_object();
	for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
		set(one, attrs[i], record_attr(e, attrs[i]));
	return one;
}

static json_t *pkglist_of(const struct record *r)
{
	const struct record *list = record_child(r, "pkglist");
	json_t *out = json_array();

	for (const struct record *c = list != NULL ? list->child : NULL; c != NULL; c = c->next) {
		json_t *one = json_object(), *packages = json_array();

		for (const struct record *e = c->child; e != NULL; e = e->next)
			if (strcmp(e->name, "package") == 0)
				(void)json_array_append_new(packages, package_of(e));
		set(one, "name", record_text(c, "name"));
		set(one, "shortname", record_attr(c, "short"));
		(void)json_object_set_new(one, "module", module_of(record_child(c, "module")));
		(void)json_object_set_new(one, "packages", packages);
		(void)json_array_append_new(out, one);
	}
	return out;
}

int note_advisory(const struct record *r, note_fn *fn, void *arg, struct err *err)
{
	static const char *const texts[] = {
		"id", "title", "summary", "description", "severity", "solution", "release", "rights", "pushcount"};
	static const char *const attrs[] = {"status", "type", "version"};
	json_t *o;

	if (strcmp(r->name, "update") != 0)
		return 0;
	o = json_object();
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		set(o, texts[i], record_text(r, texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
		set(o, attrs[i], record_attr(r, attrs[i]));
	set(o, "fromstr", record_attr(r, "from"));
	set(o, "issued_date", record_attr(record_child(r, "issued"), "date"));
	set(o, "updated_date", record_attr(record_child(r, "updated"), "date"));
	set_bool(o, "reboot_suggested", record_child(r, "reboot_suggested") != NULL);
	(void)json_object_set_new(o, "references", references_of(r));
	(void)json_object_set_new(o, "pkglist", pkglist_of(r));
	return give_record(RPM_ADVISORY, record_text(r, "id"), o, r, fn, arg, err);
}

/* ---- comps.xml ---- */

static bool is_true(const char *z)
{
	return z != NULL && (strcmp(z, "true") == 0 || strcmp(z, "1") == 0 || strcmp(z, "yes") == 0);
}

/* {"de": "…"} of the translations. */
static json_t *by_lang(const struct record *r, const char *name)
{
	json_t *out = json_object();

	for (const struct record *e = r->child; e != NULL; e = e->next)
		if (strcmp(e->name, name) == 0 && record_attr(e, "xml:lang") != NULL)
			set(out, record_attr(e, "xml:lang"), e->text);
	return out;
}

/* Without a language. */
static const char *plain(const struct record *r, const char *name)
{
	for (const struct record *e = r->child; e != NULL; e = e->next)
		if (strcmp(e->name, name) == 0 && record_attr(e, "xml:lang") == NULL)
			return e->text;
	return "";
}

static json_t *comps_fields(const struct record *r)
{
	json_t *o = json_object();
	int64_t order;

	set(o, "id", record_text(r, "id"));
	set(o, "name", plain(r, "name"));
	set(o, "description", plain(r, "description"));
	(void)json_object_set_new(o, "name_by_lang", by_lang(r, "name"));
	(void)json_object_set_new(o, "desc_by_lang", by_lang(r, "description"));
	(void)json_object_set_new(o, "display_order",
		slice_to_i64(slice_trim(slice_str(record_text(r, "display_order"))), INT32_MAX, &order) == 0
			? json_integer(order)
			: json_null());
	return o;
}

/* libcomps' numbers, which Pulp shows. */
static int requirement(const char *type)
{
	return type == NULL                       ? 3
	       : strcmp(type, "default") == 0     ? 0
	       : strcmp(type, "optional") == 0    ? 1
	       : strcmp(type, "conditional") == 0 ? 2
						  : 3;
}

static json_t *packages_of(const struct record *r)
{
	const struct record *list = record_child(r, "packagelist");
	json_t *out = json_array();

	for (const struct record *e = list != NULL ? list->child : NULL; e != NULL; e = e->next) {
		json_t *one = json_object();

		set(one, "name", e->text);
		(void)json_object_set_new(one, "type", json_integer(requirement(record_attr(e, "type"))));
		set_bool(one, "basearchonly", is_true(record_attr(e, "basearchonly")));
		set_or_null(one, "requires", record_attr(e, "requires"));
		(void)json_array_append_new(out, one);
	}
	return out;
}

static json_t *ids_of(const struct record *r, const char *name)
{
	const struct record *list = record_child(r, name);
	json_t *out = json_array();

	for (const struct record *e = list != NULL ? list->child : NULL; e != NULL; e = e->next) {
		json_t *one = json_object();

		set(one, "name", e->text);
		set_bool(one, "default", is_true(record_attr(e, "default")));
		(void)json_array_append_new(out, one);
	}
	return out;
}

static json_t *matches_of(const struct record *r)
{
	json_t *out = json_object();

	for (const struct record *e = r->child; e != NULL; e = e->next)
		if (strcmp(e->name, "match") == 0 && record_attr(e, "name") != NULL)
			set(out, record_attr(e, "name"), record_attr(e, "install"));
	return out;
}

int note_comps(const struct record *r, note_fn *fn, void *arg, struct err *err)
{
	const char *type = RPM_LANGPACKS, *id = "langpacks";
	json_t *o;

	if (strcmp(r->name, "group") == 0) {
		type = RPM_GROUP;
		o = comps_fields(r);
		set_bool(o, "default", is_true(record_text(r, "default")));
		set_bool(o, "user_visible",
			record_text(r, "uservisible")[0] == '\0' || is_true(record_text(r, "uservisible")));
		set_bool(o, "biarch_only", is_true(record_text(r, "biarchonly")));
		(void)json_object_set_new(o, "packages", packages_of(r));
	} else if (strcmp(r->name, "category") == 0) {
		type = RPM_CATEGORY;
		o = comps_fields(r);
		(void)json_object_set_new(o, "group_ids", ids_of(r, "grouplist"));
	} else if (strcmp(r->name, "environment") == 0) {
		type = RPM_ENVIRONMENT;
		o = comps_fields(r);
		(void)json_object_set_new(o, "group_ids", ids_of(r, "grouplist"));
		(void)json_object_set_new(o, "option_ids", ids_of(r, "optionlist"));
	} else if (strcmp(r->name, "langpacks") == 0) {
		o = json_object();
		(void)json_object_set_new(o, "matches", matches_of(r));
	} else {
		return 0;
	}
	if (strcmp(type, RPM_LANGPACKS) != 0)
		id = record_text(r, "id");
	return give_record(type, id, o, r, fn, arg, err);
}
