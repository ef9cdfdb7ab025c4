/* repomd.xml: the same comes out however the bytes were cut into pieces, and what comes out is whole. */
#include "fuzz.h"

#include "base/check.h"
#include "formats/rpm/repomd.h"

#include <stdlib.h>

static int parse(struct repomd *r, const char *p, size_t n, size_t piece)
{
	struct err err = ERR_INIT;
	int rc = 0;

	BUG(repomd_init(r) != 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = repomd_feed(r, p + at, MIN(piece, n - at), &err);
	if (rc == 0)
		rc = repomd_end(r, &err);
	BUG(rc != 0 && err.code != rc);
	BUG(rc != 0 && rc != -ERR_PARSE && rc != -ERR_LIMIT);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct repomd *whole = malloc(sizeof(*whole)), *cut = malloc(sizeof(*cut));
	size_t piece = size > 0 ? 1 + data[0] % 97 : 1;
	int rc = parse(whole, (const char *)data, size, size + 1);

	BUG((parse(cut, (const char *)data, size, piece) == 0) != (rc == 0));
	BUG(rc == 0 && whole->count != cut->count);
	for (size_t i = 0; rc == 0 && i < whole->count; i++) {
		const struct repomd_row *a = &whole->rows[i], *b = &cut->rows[i];

		BUG(strcmp(a->type, b->type) != 0 || strcmp(a->href, b->href) != 0 ||
			strcmp(a->checksum, b->checksum) != 0);
		BUG(a->size != b->size || a->checksum_type == NULL);
	}
	BUG(rc == 0 && repomd_find(whole, "primary") == NULL);
	repomd_fini(whole);
	repomd_fini(cut);
	free(whole);
	free(cut);
	return 0;
}
