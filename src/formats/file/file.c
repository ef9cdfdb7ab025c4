/* The file format: plain files that a PULP_MANIFEST lists. A unit is one file, the same one again when path and sha256
 * are the same: its natural key is "<relative_path>\n<sha256 in lower case>" (a path holds no control bytes).
 *
 * sha256 and size also lie in the unit's own fields: our manifest lists a file of the version even when upstream has
 * dropped it, and with it what the catalog knows of where it was. */
#include "formats/file/file_format.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

static const struct sluice_field repository_fields[] = {
	{.name = "manifest",
		.type = SLUICE_PATH,
		.nullable = true,
		.default_json = "\"" FILE_MANIFEST "\"",
		.help = "Name of the manifest in publications that autopublish makes; null: none."},
	{.name = NULL},
};

static const struct sluice_field publication_fields[] = {
	{.name = "manifest",
		.type = SLUICE_PATH,
		.nullable = true,
		.default_json = "\"" FILE_MANIFEST "\"",
		.help = "Name of the manifest that lists every file; null: none."},
	{.name = NULL},
};

int file_unit_of(const char *relative_path, const char *sha256, int64_t size, char *key, size_t key_cap, char *extra,
	size_t extra_cap)
{
	int key_n = snprintf(key, key_cap, "%s\n%s", relative_path, sha256),
	    extra_n = snprintf(extra, extra_cap, "{\"sha256\":\"%s\",\"size\":%lld}", sha256, (long long)size);

	return key_n < 0 || (size_t)key_n >= key_cap || extra_n < 0 || (size_t)extra_n >= extra_cap ? -ERR_INVAL : 0;
}

static int file_upload(const struct sluice_upload_host *h, struct sluice_upload *u)
{
	const char *path = h->get(u, "relative_path"), *sha256 = h->get(u, "sha256"), *size = h->get(u, "size");
	char key[FILE_KEY_CAP], extra[FILE_EXTRA_CAP];
	struct sluice_artifact artifact = {.relative_path = path};
	struct sluice_unit unit = {.type = file_format.content_type,
		.natural_key = key,
		.extra_json = extra,
		.artifacts = &artifact,
		.artifact_count = 1};

	if (path == NULL || sha256 == NULL || size == NULL ||
		file_unit_of(path, sha256, strtoll(size, NULL, 10), key, sizeof(key), extra, sizeof(extra)) != 0)
		return h->fail(u, "it cannot be a file of a repository");
	return h->unit(u, &unit);
}

const struct sluice_format file_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "file",
	.kind = "file",
	/* The last one whose clients do not expect remotes that read git repositories. */
	.version = "3.103.0",
	.model = "File",
	.policies = SLUICE_IMMEDIATE | SLUICE_ON_DEMAND | SLUICE_STREAMED,
	.serves_without_publication = false,
	.reclaimable = true,
	.repository_fields = repository_fields,
	.publication_fields = publication_fields,
	.content_type = "file.file",
	.content_plural = "files",
	.task_sync = "pulp_file.app.tasks.synchronizing.synchronize",
	.task_publish = "pulp_file.app.tasks.publishing.publish",
	.sync = file_sync,
	.publish = file_publish,
	.upload = file_upload,
};
