/* The rows of repomd.xml. All of it is kept: it is small, and bounded. */
#include "formats/rpm/repomd.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

const char *repomd_checksum_type(const char *name)
{
	return name != NULL && strcmp(name, "sha") == 0 ? "sha1" : name;
}

bool repomd_is_checksum(struct slice hex)
{
	if (hex.n < 32 || hex.n > 128)
		return false;
	for (size_t i = 0; i < hex.n; i++)
		if (strchr("0123456789abcdefABCDEF", hex.p[i]) == NULL || hex.p[i] == '\0')
			return false;
	return true;
}

static const char *keep(struct repomd *r, const char *z)
{
	return z != NULL ? arena_strdup(&r->arena, slice_str(z)) : NULL;
}

static int keep_text(struct repomd *r, struct slice text, const char **out)
{
	*out = arena_strdup(&r->arena, slice_trim(text));
	return *out != NULL ? 0 : err_set(&r->xml.err, -ERR_LIMIT, "it is too large");
}

static int on_start(void *arg, struct xml *x, const char *name, const char **attrs)
{
	struct repomd *r = arg;
	struct repomd_row *row;

	if (x->depth == 1 && strcmp(name, "repomd") != 0)
		return err_set(&x->err, -ERR_PARSE, "it is no repomd.xml: its root is '%.40s'", name);
	if (x->depth == 2) {
		r->in_row = strcmp(name, "data") == 0;
		if (!r->in_row)
			return 0;
		if (r->count == REPOMD_ROWS_MAX)
			return err_set(&x->err, -ERR_LIMIT, "it lists more than %d files", REPOMD_ROWS_MAX);
		r->rows[r->count++] = (struct repomd_row){
			.type = keep(r, xml_attr(attrs, "type")), .size = -1, .open_size = -1, .timestamp = -1};
		return 0;
	}
	if (x->depth != 3 || !r->in_row)
		return 0;
	row = &r->rows[r->count - 1];
	if (strcmp(name, "location") == 0) {
		row->href = keep(r, xml_attr(attrs, "href"));
		row->base = keep(r, xml_attr(attrs, "xml:base"));
	} else if (strcmp(name, "checksum") == 0 || strcmp(name, "open-checksum") == 0) {
		r->checksum_type = repomd_checksum_type(keep(r, xml_attr(attrs, "type")));
	}
	return 0;
}

static int number(struct xml *x, const char *name, struct slice text, int64_t *out)
{
	struct slice whole = slice_trim(text);

	/* Times come with fractions at times. */
	if (strcmp(name, "timestamp") == 0)
		whole = slice_cut(&whole, '.');
	return slice_to_i64(whole, INT64_MAX, out) == 0
		       ? 0
		       : err_set(&x->err, -ERR_PARSE, "line %lld: %s is no number", (long long)xml_line(x), name);
}

static int on_end(void *arg, struct xml *x, const char *name, struct slice text)
{
	struct repomd *r = arg;
	struct repomd_row *row;

	if (x->depth == 2 && strcmp(name, "revision") == 0)
		return keep_text(r, text, &r->revision);
	if (x->depth != 3 || !r->in_row)
		return 0;
	row = &r->rows[r->count - 1];
	if (strcmp(name, "checksum") == 0) {
		row->checksum_type = r->checksum_type;
		return keep_text(r, text, &row->checksum);
	}
	if (strcmp(name, "open-checksum") == 0) {
		row->open_checksum_type = r->checksum_type;
		return keep_text(r, text, &row->open_checksum);
	}
	if (strcmp(name, "size") == 0)
		return number(x, name, text, &row->size);
	if (strcmp(name, "open-size") == 0)
		return number(x, name, text, &row->open_size);
	if (strcmp(name, "timestamp") == 0)
		return number(x, name, text, &row->timestamp);
	return 0;
}

static const struct xml_ops ops = {on_start, on_end};

int repomd_init(struct repomd *r)
{
	*r = (struct repomd){.revision = ""};
	arena_init(&r->arena, REPOMD_BYTES_MAX);
	return xml_init(&r->xml, &ops, r);
}

void repomd_fini(struct repomd *r)
{
	xml_fini(&r->xml);
	arena_fini(&r->arena);
}

int repomd_feed(struct repomd *r, const char *p, size_t n, struct err *err)
{
	return xml_feed(&r->xml, p, n, err);
}

static int check_row(const struct repomd *r, size_t i, struct err *err)
{
	const struct repomd_row *row = &r->rows[i];

	if (row->type == NULL || row->type[0] == '\0')
		return err_set(err, -ERR_PARSE, "a file that it lists has no type");
	if (row->href == NULL || row->href[0] == '\0')
		return err_set(err, -ERR_PARSE, "'%.60s' has no location", row->type);
	if (row->checksum == NULL || row->checksum_type == NULL || !repomd_is_checksum(slice_str(row->checksum)))
		return err_set(err, -ERR_PARSE, "'%.60s' has no checksum", row->type);
	for (size_t k = 0; k < i; k++) {
		if (strcmp(r->rows[k].href, row->href) == 0)
			return err_set(err, -ERR_PARSE, "'%.60s' and '%.60s' have the same location", r->rows[k].type,
				row->type);
	}
	return 0;
}

int repomd_end(struct repomd *r, struct err *err)
{
	int rc = xml_end(&r->xml, err);

	for (size_t i = 0; rc == 0 && i < r->count; i++)
		rc = check_row(r, i, err);
	if (rc == 0 && repomd_find(r, "primary") == NULL)
		rc = err_set(err, -ERR_PARSE, "it lists no primary");
	return rc;
}

const struct repomd_row *repomd_find(const struct repomd *r, const char *type)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->rows[i].type != NULL && strcmp(r->rows[i].type, type) == 0)
			return &r->rows[i];
	return NULL;
}
