/* Reading, comparing and writing last_sync_details. What is read was written by us, but by any version of us: whatever is
 * not as expected counts as "never synced". */
#include "sync/details.h"

#include <stdlib.h>
#include <string.h>

static bool same_text(const json_t *details, const char *key, const char *want)
{
	const char *have = json_string_value(json_object_get(details, key));

	return have != NULL && strcmp(have, want) == 0;
}

int64_t details_version(const struct sluice_sync *s)
{
	const json_t *v = json_object_get(s->last, "version");

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

bool details_match(const struct sluice_sync *s)
{
	char uuid[UUID_STR];
	const json_t *mirror = json_object_get(s->last, "mirror");
	/* Written by an older program, which had none. */
	const json_t *options = json_object_get(s->last, "options");

	return same_text(s->last, "remote", uuid_str(&s->remote->uuid, uuid)) &&
	       same_text(s->last, "url", s->remote->url) &&
	       same_text(s->last, "policy", policy_name(s->remote->policy)) && json_is_boolean(mirror) &&
	       json_is_true(mirror) == s->mirror && (options == NULL || json_equal(options, s->options)) &&
	       details_version(s) == s->latest.number;
}

const char *details_of(const json_t *metadata, const char *url, const char *key)
{
	const char *v = json_string_value(json_object_get(json_object_get(metadata, url), key));

	return v != NULL ? v : "";
}

int details_note(
	struct sluice_sync *s, const char *url, const char *etag, const char *last_modified, const char *sha256)
{
	json_t *entry;

	if (json_object_size(s->metadata) >= DETAILS_URLS_MAX && json_object_get(s->metadata, url) == NULL)
		return 0;
	/* Validators are foreign bytes: what is not UTF-8 is left out, and costs one unconditional request. */
	entry = json_pack("{s:s}", "sha256", sha256);
	if (entry == NULL)
		goto nomem;
	if (etag[0] != '\0' && slice_is_utf8(slice_str(etag)))
		(void)json_object_set_new(entry, "etag", json_string(etag));
	if (last_modified[0] != '\0' && slice_is_utf8(slice_str(last_modified)))
		(void)json_object_set_new(entry, "last_modified", json_string(last_modified));
	if (json_object_set_new(s->metadata, url, entry) != 0)
		goto nomem;
	return 0;
nomem:
	return err_set(&s->err, -ERR_NOMEM, "no memory for the details of the sync");
}

int details_save(struct sluice_sync *s, int64_t version)
{
	char uuid[UUID_STR];
	json_t *details;
	char *text;
	struct txn *t = NULL;
	int rc;

	details = json_pack("{s:s, s:s, s:s, s:b, s:O, s:I, s:O}", "remote", uuid_str(&s->remote->uuid, uuid), "url",
		s->remote->url, "policy", policy_name(s->remote->policy), "mirror", s->mirror, "options", s->options,
		"version", (json_int_t)version, "metadata", s->metadata);
	text = details != NULL ? json_dumps(details, JSON_COMPACT) : NULL;
	json_decref(details);
	if (text == NULL)
		return err_set(&s->err, -ERR_NOMEM, "no memory for the details of the sync");
	rc = catalog_write(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_repository_set_sync_details(t, s->repository->id, slice_str(text), &s->err);
	if (rc == 0)
		rc = txn_commit(&t, &s->err);
	txn_end(&t);
	free(text);
	return rc;
}
