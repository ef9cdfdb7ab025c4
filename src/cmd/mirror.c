/* `sluice mirror NAME URL`: remote, repository, sync and distribution in one go. It says what shall be: run again with other
 * options, it changes what is there. */
#include "base/check.h"
#include "base/url.h"
#include "catalog/remote.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/names.h"
#include "cmd/remote_ops.h"

#include <stdio.h>
#include <string.h>

struct mirror {
	const struct options *o;
	const char *name, *base_path;
	const struct collections *at;
	struct client *client;
	json_t *remote, *repository, *distribution;
	struct sync_done sync;
};

/* What can be known to be wrong before anything is made, and before the server is asked. */
static int mirror_check(const struct options *o, struct err *err)
{
	const char *format = o->format != NULL ? o->format : "file";
	bool deb = strcmp(format, "deb") == 0;
	struct slice policy = slice_str(o->policy), url = slice_trim(slice_str(o->operands[2]));
	struct url parts;
	enum policy p;

	if (policy.p != NULL && policy_parse(policy, &p) < 0)
		return err_set(err, -ERR_INVAL, "there is no policy '%s': immediate, on_demand or streamed", o->policy);
	if (url_parse(url, &parts, err) < 0)
		return err_wrap(err, "'%s'", o->operands[2]);
	if (collections_of(format) == NULL)
		return err_set(err, -ERR_INVAL, "there is no format '%s': file, rpm or deb", format);
	if (deb && o->distributions == NULL)
		return err_set(err, -ERR_INVAL,
			"--distributions is needed: which ones of the archive, for example 'bookworm'");
	if (!deb && (o->distributions != NULL || o->components != NULL || o->architectures != NULL))
		return err_set(
			err, -ERR_INVAL, "--distributions, --components and --architectures are for --format deb");
	if (name_check(slice_str(o->operands[1]), err) < 0)
		return -ERR_INVAL;
	if (o->base_path != NULL)
		return base_path_check(slice_str(o->base_path), err);
	if (base_path_check(slice_str(o->operands[1]), err) < 0)
		return err_wrap(err, "the name is no base path, give one with --base-path");
	return 0;
}

/* Paths that overlap begin with the same segment: the server need not list more. */
static int mirror_check_base_path(struct mirror *m, struct err *err)
{
	struct slice rest = slice_str(m->base_path);
	struct buf path = BUF_INIT(65536);
	json_t *all = NULL, *other;
	size_t i;
	int rc;

	buf_adds(&path, ALL_DISTRIBUTIONS "?fields=pulp_href,name,base_path&base_path__contains=");
	url_encode(&path, slice_cut(&rest, '/'), "");
	rc = path.failed != 0 ? err_set(err, path.failed, "the base path is too long")
			      : client_list(m->client, path.p, &all, err);
	json_array_foreach(all, i, other)
	{
		const char *taken = json_text_of(other, "base_path"), *name = json_text_of(other, "name");
		bool own = strcmp(name, m->name) == 0 &&
			   slice_starts(slice_str(json_text_of(other, "pulp_href")), slice_str(m->at->distributions));

		if (rc < 0 || own || !base_paths_overlap(slice_str(m->base_path), slice_str(taken)))
			continue;
		rc = err_set(err, -ERR_DENIED,
			"the base path '%s' overlaps with '%s' of the distribution '%s'; give another one with "
			"--base-path",
			m->base_path, taken, name);
	}
	json_decref(all);
	buf_fini(&path);
	return rc;
}

/* Which part of an archive; what is not given means all of it, also where it was given before. */
static int mirror_add_choice(const struct mirror *m, json_t *wanted)
{
	const struct options *o = m->o;

	if (o->distributions == NULL)
		return 0;
	return json_object_set_new(wanted, "distributions", json_string(o->distributions)) |
	       json_object_set_new(
		       wanted, "components", o->components != NULL ? json_string(o->components) : json_null()) |
	       json_object_set_new(
		       wanted, "architectures", o->architectures != NULL ? json_string(o->architectures) : json_null());
}

/* Upstream's own metadata is served, as the file format does when it is told to, and the others do always. */
static bool mirrors(const struct mirror *m)
{
	return m->o->mirror || !m->at->publishes_own;
}

/* Each step fills in what the next one needs. */
static int mirror_remote(struct mirror *m, struct err *err)
{
	struct slice given = slice_trim(slice_str(m->o->operands[2]));
	struct buf url = BUF_INIT(65536);
	json_t *wanted;
	int rc;

	buf_add_slice(&url, given);
	if (slice_ends(given, SLICE("/")))
		buf_adds(&url, m->at->manifest);
	wanted = json_pack("{s:s, s:s, s:s}", "name", m->name, "url", url.p != NULL ? url.p : "", "policy",
		m->o->policy != NULL ? m->o->policy : "on_demand");
	if (wanted != NULL && mirror_add_choice(m, wanted) != 0) {
		json_decref(wanted);
		wanted = NULL;
	}
	rc = wanted != NULL ? ensure_object(m->client, m->at->remotes, wanted, &m->remote, err)
			    : err_set(err, -ERR_INVAL, "name or URL are not UTF-8");
	json_decref(wanted);
	buf_fini(&url);
	return rc;
}

static int mirror_repository(struct mirror *m, struct err *err)
{
	json_t *wanted = json_pack("{s:s, s:s, s:b}", "name", m->name, "remote", json_text_of(m->remote, "pulp_href"),
		"autopublish", !mirrors(m));
	int rc = wanted != NULL ? ensure_object(m->client, m->at->repositories, wanted, &m->repository, err)
				: err_set(err, -ERR_NOMEM, "making the repository");

	json_decref(wanted);
	return rc;
}

static int mirror_sync(struct mirror *m, struct err *err)
{
	json_t *body = json_pack("{s:s, s:b}", "remote", json_text_of(m->remote, "pulp_href"), "mirror", mirrors(m));
	int rc = body != NULL ? sync_repository(m->client, m->repository, body, m->o->json, &m->sync, err)
			      : err_set(err, -ERR_NOMEM, "syncing");

	json_decref(body);
	return rc;
}

/* Where nothing new came, nothing was published: of an empty upstream not even the empty version 0, and clients would be
 * told that there is no such place. */
static int mirror_publish(struct mirror *m, struct err *err)
{
	return m->sync.changed ? 0 : ensure_published(m->client, m->at->publications, m->sync.version, err);
}

static int mirror_distribution(struct mirror *m, struct err *err)
{
	json_t *wanted = json_pack("{s:s, s:s, s:s}", "name", m->name, "base_path", m->base_path, "repository",
		json_text_of(m->repository, "pulp_href"));
	int rc = wanted != NULL ? ensure_object(m->client, m->at->distributions, wanted, &m->distribution, err)
				: err_set(err, -ERR_INVAL, "name or base path are not UTF-8");

	json_decref(wanted);
	return rc;
}

static int mirror_print(struct mirror *m, struct err *err)
{
	json_int_t number = json_integer_value(json_object_get(m->sync.version, "number"));
	json_int_t present = version_units(m->sync.version, "present");
	struct buf out = BUF_INIT(0), url = BUF_INIT(65536);
	json_t *j;
	int rc;

	distribution_url(m->client, m->distribution, &url);
	if (m->o->json) {
		j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:I}", "name", m->name, "url",
			url.p != NULL ? url.p : "", "remote", json_text_of(m->remote, "pulp_href"), "repository",
			json_text_of(m->repository, "pulp_href"), "distribution",
			json_text_of(m->distribution, "pulp_href"), "task", m->sync.task, "version", number, "changed",
			m->sync.changed, "units", present);
		commands_add_json(&out, j);
		json_decref(j);
	} else {
		fprintf(stderr, "%s: %s version %lld, %lld units, policy %s; clients fetch from\n", m->name,
			m->sync.changed ? "new" : "nothing new,", (long long)number, (long long)present,
			json_text_of(m->remote, "policy"));
		buf_addf(&out, "%s\n", url.p != NULL ? url.p : "");
	}
	rc = commands_print(&out, err);
	buf_fini(&url);
	buf_fini(&out);
	return rc;
}

int cmd_mirror(const struct options *o)
{
	static int (*const steps[])(struct mirror * m, struct err * err) = {
		mirror_check_base_path,
		mirror_remote,
		mirror_repository,
		mirror_sync,
		mirror_publish,
		mirror_distribution,
		mirror_print,
	};
	struct mirror m = {.o = o,
		.at = collections_of(o->format != NULL ? o->format : "file"),
		.name = o->operands[1],
		.base_path = o->base_path != NULL ? o->base_path : o->operands[1]};
	struct err err = ERR_INIT;
	int rc = mirror_check(o, &err);

	if (rc == 0)
		rc = client_open(o, &m.client, &err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(steps); i++)
		rc = steps[i](&m, &err);
	sync_done_fini(&m.sync);
	json_decref(m.distribution);
	json_decref(m.repository);
	json_decref(m.remote);
	client_close(&m.client);
	return rc < 0 ? commands_fail("mirror", rc, &err) : EXIT_OK;
}
