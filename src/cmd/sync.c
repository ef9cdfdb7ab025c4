/* `sluice sync NAME`: syncs a repository with its remote, and waits. */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/remote_ops.h"

static int sync_print(const struct options *o, const json_t *repository, const struct sync_done *d, struct err *err)
{
	long long number = (long long)json_integer_value(json_object_get(d->version, "number"));
	long long present = (long long)version_units(d->version, "present");
	const char *name = json_text_of(repository, "name");
	struct buf out = BUF_INIT(0);
	json_t *j = NULL;
	int rc;

	if (o->json) {
		j = json_pack("{s:s, s:s, s:s, s:I, s:b, s:I}", "name", name, "repository",
			json_text_of(repository, "pulp_href"), "task", d->task, "version", (json_int_t)number,
			"changed", d->changed, "units", (json_int_t)present);
		commands_add_json(&out, j);
		json_decref(j);
	} else if (d->changed) {
		buf_addf(&out, "%s: version %lld, %lld units (%lld added, %lld removed)\n", name, number, present,
			(long long)version_units(d->version, "added"), (long long)version_units(d->version, "removed"));
	} else {
		buf_addf(&out, "%s: nothing new (version %lld, %lld units)\n", name, number, present);
	}
	rc = commands_print(&out, err);
	buf_fini(&out);
	return rc;
}

/* What `sluice mirror --mirror` made is synced as it was last: it publishes nothing by itself, so an additive sync would make a
 * version that no client sees. So too, at the first sync, what only has upstream's own metadata to publish. */
static bool was_mirrored(const json_t *repository)
{
	const json_t *details = json_object_get(repository, "last_sync_details");
	struct slice file = slice_str(collections_of("file")->repositories);

	return json_is_false(json_object_get(repository, "autopublish")) &&
	       (json_is_true(json_object_get(details, "mirror")) ||
		       (json_object_size(details) == 0 &&
			       !slice_starts(slice_str(json_text_of(repository, "pulp_href")), file)));
}

int cmd_sync(const struct options *o)
{
	json_t *found = NULL, *repository = NULL, *body = NULL;
	struct sync_done done = {0};
	struct client *c = NULL;
	struct err err = ERR_INIT;
	int rc = client_open(o, &c, &err);

	if (rc == 0) {
		rc = client_find(c, ALL_REPOSITORIES, o->operands[1], &found, &err);
		if (rc == -ERR_NOTFOUND)
			err_set(&err, rc, "there is no repository '%s'; `sluice repo list` shows what is there",
				o->operands[1]);
		/* The list of all formats does not show everything. */
		if (rc == 0)
			rc = client_call(c, "GET", json_text_of(found, "pulp_href"), NULL, &repository, &err);
	}
	if (rc == 0) {
		body = json_pack("{s:b}", "mirror", o->mirror || was_mirrored(repository));
		rc = sync_repository(c, repository, body, o->json, &done, &err);
	}
	if (rc == 0)
		rc = sync_print(o, repository, &done, &err);
	sync_done_fini(&done);
	json_decref(body);
	json_decref(repository);
	json_decref(found);
	client_close(&c);
	return rc < 0 ? commands_fail("sync", rc, &err) : EXIT_OK;
}
