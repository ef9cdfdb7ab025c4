/* primary.xml: the same packages come out however the bytes were cut into pieces, and each is a valid unit: fields that are JSON, and a key of three lines. */
#include "fuzz.h"

#include "base/check.h"
#include "formats/rpm/rpm_format.h"

#include <jansson.h>
#include <stdlib.h>

static int note(void *arg, const struct rpm_package *p)
{
	struct buf b = BUF_INIT(0), *out = arg;
	json_t *fields;
	size_t lines = 0;

	BUG(rpm_package_json(p, &b) != 0);
	fields = json_loads(b.p, JSON_REJECT_DUPLICATES, NULL);
	BUG(fields == NULL || json_string_length(json_object_get(fields, "name")) == 0);
	json_decref(fields);
	buf_add_slice(out, buf_slice(&b));
	BUG(rpm_package_key(p, "path", &b) != 0);
	for (size_t i = 0; i < b.n; i++)
		lines += b.p[i] == '\n';
	BUG(lines != 2);
	buf_add_slice(out, buf_slice(&b));
	buf_fini(&b);
	return 0;
}

static int parse(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct primary *m = malloc(sizeof(*m));
	struct err err = ERR_INIT;
	int rc = 0;

	BUG(primary_init(m, note, out) != 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = primary_feed(m, p + at, MIN(piece, n - at), &err);
	if (rc == 0)
		rc = primary_end(m, &err);
	BUG(rc != 0 && rc != -ERR_PARSE && rc != -ERR_LIMIT);
	BUG(rc != 0 && err.code != rc);
	primary_fini(m);
	free(m);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(0), cut = BUF_INIT(0);
	size_t piece = size > 0 ? 1 + data[0] % 97 : 1;
	int rc = parse((const char *)data, size, size + 1, &whole);

	BUG((parse((const char *)data, size, piece, &cut) == 0) != (rc == 0));
	BUG(rc == 0 && !slice_eq(buf_slice(&whole), buf_slice(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
