/* .treeinfo: what comes out are paths inside of the tree, each once, and the text without its repomd.xml is read as the same. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/url.h"
#include "formats/rpm/treeinfo.h"

static int check_file(void *arg, const char *path, const char *alg, const char *hex)
{
	BUG(url_relpath_check(slice_str(path), NULL) != 0);
	BUG((alg == NULL) != (hex == NULL));
	++*(size_t *)arg;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	const char *dirs[TREEINFO_REPOSITORIES_MAX];
	struct buf b = BUF_INIT(0);
	struct treeinfo t, again;
	struct err err = ERR_INIT;
	size_t files = 0, files_again = 0, n;
	int rc = treeinfo_parse(&t, text, &err);

	BUG(rc != 0 && ((rc != -ERR_PARSE && rc != -ERR_LIMIT) || err.code != rc));
	if (rc == 0) {
		json_t *fields = treeinfo_json(&t);

		BUG(!json_is_object(fields));
		json_decref(fields);
		BUG(treeinfo_files(&t, check_file, &files) != 0);
		n = treeinfo_repositories(&t, dirs, TREEINFO_REPOSITORIES_MAX);
		for (size_t i = 0; i < n; i++)
			BUG(url_relpath_check(slice_str(dirs[i]), NULL) != 0);
		BUG(treeinfo_without_repomd(text, &b) != 0 || b.n > size);
		if (treeinfo_parse(&again, buf_slice(&b), &err) == 0) { /* it may have had nothing else */
			BUG(treeinfo_files(&again, check_file, &files_again) != 0);
			BUG(files_again != files);
		}
		treeinfo_fini(&again);
	}
	treeinfo_fini(&t);
	buf_fini(&b);
	return 0;
}
