/* Release and InRelease files: what comes out is sorted, names each file once, and stays below the Release. */
#include "fuzz.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/deb/release.h"
#include "formats/deb/select.h"

static void check(const struct release *r)
{
	struct selection all = {.sources = true};

	for (size_t i = 0; i < r->file_count; i++) {
		const struct release_file *f = &r->files[i];

		BUG(url_relpath_check(slice_str(f->path), NULL) != 0);
		BUG(f->size < 0 || f->digests.have == 0);
		BUG(i > 0 && strcmp(r->files[i - 1].path, f->path) >= 0);
		BUG(release_find(r, f->path) != f);
		(void)select_file(&all, r, f->path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct release r;
	int rc = release_signed_text(slice_of((const char *)data, size), &text, &err);

	BUG(rc != 0 && err.code != rc);
	if (rc == 0) {
		rc = release_parse(buf_slice(&text), &r, &err);
		BUG(rc != 0 && (rc != -ERR_PARSE || err.code != rc));
		BUG(rc != 0 && r.file_count > 0);
		if (rc == 0)
			check(&r);
		release_fini(&r);
	}
	buf_fini(&text);
	return 0;
}
