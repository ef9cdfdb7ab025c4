/* The manifest of a publication: ours, written from what the version declares, or for a mirror upstream's own bytes. All
 * else that clients see is the units themselves, at their paths. */
#include "formats/file/file_format.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/url.h"

#include <jansson.h>
#include <string.h>

#define WRITE_SIZE 65536 /* a line is some 200 bytes: hundreds of them a call */
#define NAME_CAP 2048

struct writing {
	const struct sluice_publish_host *host;
	struct sluice_publish *publish;
	struct buf lines;
};

static int flush(struct writing *w)
{
	int rc = w->host->file_write(w->publish, w->lines.p, w->lines.n);

	buf_reset(&w->lines);
	return rc;
}

static const char *sha256_of(const struct sluice_file *f)
{
	for (size_t i = 0; i < f->digest_count; i++)
		if (strcmp(f->digests[i].algorithm, "sha256") == 0)
			return f->digests[i].hex;
	return NULL;
}

static int add_line(struct writing *w, const char *path, const char *sha256, long long size)
{
	if (sha256 == NULL || size < 0)
		return w->host->fail(w->publish, "the manifest cannot list '%s': its %s is not known", path,
			sha256 == NULL ? "sha256" : "size");
	if (buf_addf(&w->lines, "%s,%s,%lld\n", path, sha256, size) != 0)
		return w->host->fail(w->publish, "no memory for the manifest");
	return w->lines.n >= WRITE_SIZE ? flush(w) : 0;
}

static int write_line(void *arg, const struct sluice_file *f)
{
	struct writing *w = arg;
	const char *sha256 = sha256_of(f);
	json_t *fields, *size;
	int rc;

	if (sha256 != NULL && f->size >= 0)
		return add_line(w, f->relative_path, sha256, f->size);
	/* Not saved, and no source any more: what the unit itself remembers. */
	fields = f->extra_json != NULL ? json_loads(f->extra_json, 0, NULL) : NULL;
	size = json_object_get(fields, "size");
	rc = add_line(w, f->relative_path, json_string_value(json_object_get(fields, "sha256")),
		json_is_integer(size) ? json_integer_value(size) : -1);
	json_decref(fields);
	return rc;
}

static int write_manifest(const struct sluice_publish_host *h, struct sluice_publish *p, const char *name)
{
	struct writing w = {.host = h, .publish = p, .lines = BUF_INIT(2 * WRITE_SIZE)};
	int rc = h->file_begin(p, name);

	if (rc == 0)
		rc = h->each_file(p, write_line, &w);
	if (rc == 0 && w.lines.n > 0)
		rc = flush(&w);
	if (rc == 0)
		rc = h->file_end(p);
	buf_fini(&w.lines);
	return rc;
}

/* The name that upstream's manifest has there: clients of the mirror look for it under the same one. */
static void upstream_name(const char *remote_url, char *out, size_t cap)
{
	struct url url;
	size_t n;
	ptrdiff_t slash;

	if (remote_url == NULL || url_parse(slice_str(remote_url), &url, NULL) != 0)
		goto usual;
	slash = slice_rchr(url.path, '/');
	if (slash < 0)
		goto usual;
	/* Decoded with its slash in front, which is then taken off. */
	if (url_path_decode(slice_of(url.path.p + slash, url.path.n - (size_t)slash), out, cap, &n, NULL) != 0)
		goto usual;
	if (url_relpath_check(slice_of(out + 1, n - 1), NULL) != 0)
		goto usual;
	memmove(out, out + 1, n);
	return;
usual:
	(void)memcpy(out, FILE_MANIFEST, sizeof(FILE_MANIFEST));
}

/* As a JSON string. A checked path has no control bytes and no backslashes: only quotes need care. */
static int set_manifest(const struct sluice_publish_host *h, struct sluice_publish *p, const char *name)
{
	struct buf json = BUF_INIT(2 * NAME_CAP + 3);
	int rc;

	buf_add(&json, "\"", 1);
	for (const char *c = name; *c != '\0'; c++) {
		if (*c == '"')
			buf_add(&json, "\\", 1);
		buf_add(&json, c, 1);
	}
	rc = buf_add(&json, "\"", 1);
	rc = rc == 0 ? h->set(p, "manifest", json.p) : h->fail(p, "no memory for the name of the manifest");
	buf_fini(&json);
	return rc;
}

int file_publish(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	const char *mirror = h->get(p, "mirror"), *manifest;
	char name[NAME_CAP];
	int rc;

	if (mirror != NULL && strcmp(mirror, "true") == 0) {
		upstream_name(h->get(p, "remote.url"), name, sizeof(name));
		rc = set_manifest(h, p, name);
		if (rc == 0)
			rc = h->file_kept(p, FILE_MANIFEST, name);
		return rc > 0 ? h->fail(p, "upstream's manifest was not kept by the sync") : rc;
	}
	manifest = h->get(p, "publication.manifest");
	return manifest != NULL ? write_manifest(h, p, manifest) : 0;
}
