/* A whole format, as somebody outside of sluice would write it: upstream is a text file with one URL a line, anywhere on
 * the web. Nothing is known of the files but where they are. docs/plugins.md walks through it.
 *
 *   cc -std=c17 -shared -fPIC -I/usr/include -o urls.so urls.c */
#include <sluice/format.h>

#include <string.h>

#define LINE_MAX_BYTES 4096

struct reader {
	const struct sluice_sync_host *host;
	struct sluice_sync *sync;
	char line[LINE_MAX_BYTES]; /* the one that is being read */
	size_t length;
};

/* One line: one unit with one artifact. It is found below the distribution by the last part of its URL. */
static int take_line(struct reader *r)
{
	const char *name;
	struct sluice_artifact artifact = {0};
	struct sluice_unit unit = {0};

	r->line[r->length] = '\0';
	r->length = 0;
	if (r->line[0] == '\0')
		return 0;
	name = strrchr(r->line, '/');
	if (name == NULL)
		return r->host->fail(r->sync, "the list holds a line that is no URL");

	artifact.relative_path = name + 1;
	artifact.url = r->line;
	artifact.size = -1; /* not known */
	unit.type = "url.list";
	unit.natural_key = r->line;
	unit.artifacts = &artifact;
	unit.artifact_count = 1;
	return r->host->unit(r->sync, &unit);
}

/* The file comes in pieces of any size. */
static int take_piece(void *arg, const char *p, size_t n)
{
	struct reader *r = arg;
	size_t i;

	for (i = 0; i < n; i++) {
		int rc = 0;

		if (p[i] == '\n')
			rc = take_line(r);
		else if (r->length + 1 < sizeof(r->line))
			r->line[r->length++] = p[i];
		else
			rc = r->host->fail(r->sync, "the list holds a line that is too long");
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int url_sync(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	struct reader r = {0};
	struct sluice_fetch list = {0};
	struct sluice_fetched got;
	int rc;

	r.host = h;
	r.sync = s;
	list.url = h->get(s, "remote.url");
	list.if_changed = true;
	list.size = -1; /* not known */
	list.take = take_piece;
	list.arg = &r;
	rc = h->fetch(s, &list, &got);
	if (rc != 0)
		return rc;
	if (got.status == 304)
		return h->unchanged(s);
	if (got.status != 200)
		return h->fail(s, "%s", got.problem);
	return take_line(&r); /* the last line, when no newline ends it */
}

struct writer {
	const struct sluice_publish_host *host;
	struct sluice_publish *publish;
};

static int write_name(void *arg, const struct sluice_file *f)
{
	struct writer *w = arg;
	int rc = w->host->file_write(w->publish, f->relative_path, strlen(f->relative_path));

	return rc == 0 ? w->host->file_write(w->publish, "\n", 1) : rc;
}

/* What clients of this format read first: the names of all files. */
static int url_publish(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	struct writer w = {h, p};
	int rc = h->file_begin(p, "index.txt");

	if (rc == 0)
		rc = h->each_file(p, write_name, &w);
	return rc == 0 ? h->file_end(p) : rc;
}

const struct sluice_format sluice_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "url",
	.kind = "list",
	.version = "1.0.0",
	.model = "Url",
	.policies = SLUICE_IMMEDIATE | SLUICE_ON_DEMAND | SLUICE_STREAMED,
	.reclaimable = true,
	.content_type = "url.list",
	.content_plural = "files",
	.task_sync = "example_url.sync",
	.task_publish = "example_url.publish",
	.sync = url_sync,
	.publish = url_publish,
};
