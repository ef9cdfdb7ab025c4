/* Reading upstream's manifest: fetched once, and each line declared as a unit of one artifact. */
#include "formats/file/file_format.h"

#include "base/err.h"
#include "formats/file/manifest.h"

#include <string.h>

#define URL_CAP 16384       /* three times the longest path, and what the remote's URL adds */
#define PROGRESS_EVERY 1000 /* entries: a unit of work that takes some milliseconds */

struct reading {
	const struct sluice_sync_host *host;
	struct sluice_sync *sync;
	const char *url;
	struct manifest manifest;
	struct err err;
};

static void report(struct reading *r, int64_t total)
{
	r->host->progress(r->sync, "sync.parsing.metadata", "Parsing Metadata", total, r->manifest.entries);
}

static int declare(void *arg, const struct manifest_entry *e)
{
	struct reading *r = arg;
	struct sluice_digest digest = {.algorithm = "sha256", .hex = e->sha256};
	char url[URL_CAP], key[FILE_KEY_CAP], extra[FILE_EXTRA_CAP];
	struct sluice_artifact artifact = {
		.relative_path = e->path,
		.url = url,
		.size = e->size,
		.digests = &digest,
		.digest_count = 1,
	};
	struct sluice_unit unit = {
		.type = file_format.content_type,
		.natural_key = key,
		.extra_json = extra,
		.artifacts = &artifact,
		.artifact_count = 1,
	};
	int rc = r->host->sibling_url(r->sync, r->url, e->path, url, sizeof(url));

	if (rc != 0)
		return rc;
	rc = file_unit_of(e->path, e->sha256, e->size, key, sizeof(key), extra, sizeof(extra));
	if (rc != 0)
		return rc;
	if (r->manifest.entries % PROGRESS_EVERY == 0)
		report(r, -1);
	return r->host->unit(r->sync, &unit);
}

static int bad_line(struct reading *r, int rc)
{
	if (rc != -ERR_PARSE)
		return rc;
	/* Clients look for the text before the number. */
	return r->host->fail(r->sync, "Error: Parsing of the manifest file failed on line:%lld: %s",
		(long long)r->manifest.line, r->err.msg);
}

static int take_piece(void *arg, const char *p, size_t n)
{
	struct reading *r = arg;

	return bad_line(r, manifest_feed(&r->manifest, p, n, &r->err));
}

int file_sync(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const char *mirror = h->get(s, "mirror");
	bool keep = mirror != NULL && strcmp(mirror, "true") == 0;
	struct reading r = {.host = h, .sync = s, .url = h->get(s, "remote.url")};
	struct sluice_fetch manifest = {
		.url = r.url,
		.if_changed = true,
		.save_as = keep ? FILE_MANIFEST : NULL,
		.size = -1,
		.take = take_piece,
		.arg = &r,
	};
	struct sluice_fetched got;
	int rc;

	manifest_init(&r.manifest, declare, &r);
	rc = h->fetch(s, &manifest, &got);
	if (rc != 0)
		goto out;
	if (got.status == 304) {
		rc = h->unchanged(s);
		goto out;
	}
	if (got.status != 200) {
		rc = h->fail(s, "%s", got.problem);
		goto out;
	}
	rc = bad_line(&r, manifest_end(&r.manifest, &r.err));
	if (rc == 0)
		report(&r, r.manifest.entries);
out:
	manifest_fini(&r.manifest);
	return rc;
}
