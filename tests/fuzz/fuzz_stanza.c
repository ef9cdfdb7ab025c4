/* Packages and Sources files: the same stanzas come out however the bytes were cut into pieces, and what comes out is safe to
 * serve. */
#include "fuzz.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/deb/package.h"
#include "formats/deb/source.h"

struct rewriting {
	struct buf *first, *second;
	int stanzas;
};

static int rewrite(void *arg, const struct stanza *s, struct err *err);

/* As an index of ours has it: it can be read again, and is the same when it is written again. */
static void check_written(const struct package *p)
{
	struct sluice_file f = {.relative_path = p->path,
		.size = p->size,
		.digests = p->digest,
		.digest_count = p->digest_count,
		.extra_json = p->extra_json};
	struct buf first = BUF_INIT(0), second = BUF_INIT(0);
	struct rewriting r = {&first, &second, 0};
	struct stanza_parser parser;
	struct err err = ERR_INIT;
	char arch[64];

	if (package_write(&f, &first, arch, sizeof(arch)) == 0) {
		BUG(stanza_init(&parser, 1 << 20, rewrite, &r) != 0);
		BUG(stanza_feed(&parser, first.p, first.n, &err) != 0 || stanza_end(&parser, &err) != 0);
		BUG(r.stanzas != 1 || !slice_eq(buf_slice(&first), buf_slice(&second)));
		stanza_fini(&parser);
	}
	buf_fini(&first);
	buf_fini(&second);
}

static int rewrite(void *arg, const struct stanza *s, struct err *err)
{
	struct rewriting *r = arg;
	struct package p;
	char arch[64];

	r->stanzas++;
	BUG(package_parse(s, &p, err) != 0 || package_fields_read(s, &p, err) != 0);
	BUG(package_write(&(struct sluice_file){.relative_path = p.path,
				  .size = p.size,
				  .digests = p.digest,
				  .digest_count = p.digest_count,
				  .extra_json = p.extra_json},
		    r->second, arch, sizeof(arch)) != 0);
	package_fini(&p);
	return 0;
}

static int note(void *arg, const struct stanza *s, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct package p;
	struct source src;

	BUG(s->count == 0 || s->count > STANZA_FIELDS_MAX || s->line < 1);
	for (size_t i = 0; i < s->count; i++) {
		BUG(s->fields[i].name.n == 0);
		buf_addf(arg, "%.*s=%.*s\n", SLICE_ARG(s->fields[i].name), SLICE_ARG(s->fields[i].value));
	}
	if (package_parse(s, &p, &ignored) == 0) {
		BUG(url_relpath_check(slice_str(p.path), NULL) != 0);
		BUG(package_fields_read(s, &p, &ignored) != 0);
		BUG(p.size < 0 || p.digest_count == 0 || p.extra_json == NULL);
		BUG(!slice_is_utf8(slice_str(p.extra_json)));
		buf_adds(arg, p.key);
		check_written(&p);
	}
	package_fini(&p);
	if (source_parse(s, &src, &ignored) == 0) {
		BUG(src.count == 0 || src.extra_json == NULL);
		for (size_t i = 0; i < src.count; i++)
			BUG(url_relpath_check(slice_str(src.files[i].path), NULL) != 0 || src.files[i].size < 0 ||
				src.files[i].digests.have == 0);
	}
	source_fini(&src);
	return 0;
}

static int parse(const char *data, size_t n, size_t piece, struct buf *out)
{
	struct stanza_parser p;
	struct err err = ERR_INIT;
	int rc = stanza_init(&p, 4096, note, out);

	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = stanza_feed(&p, data + at, MIN(piece, n - at), &err);
	if (rc == 0)
		rc = stanza_end(&p, &err);
	BUG(rc != 0 && (rc != -ERR_PARSE || err.code != rc));
	stanza_fini(&p);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), cut = BUF_INIT(0);
	size_t piece = size > 0 ? 1 + data[0] % 97 : 1;
	int rc = parse((const char *)data, size, size + 1, &whole);

	BUG(parse((const char *)data, size, piece, &cut) != rc);
	BUG(rc == 0 && !slice_eq(buf_slice(&whole), buf_slice(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
