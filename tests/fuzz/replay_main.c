/* Runs a fuzz target over every file of the directories that are named as arguments: the corpus as a regression test, for
 * compilers without libFuzzer. An empty corpus is a failure: nothing would have been tested. */
#include "fuzz.h"

#include "base/fsutil.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)16 << 20)

static int replay_file(const char *path)
{
	struct buf b = BUF_INIT(INPUT_MAX);
	struct err err = ERR_INIT;
	uint8_t *exact = NULL;
	int rc = fs_read_file(path, INPUT_MAX, &b, &err);

	if (rc != 0) {
		fprintf(stderr, "%s\n", err.msg);
		goto out;
	}
	/* Before the run, unbuffered: if it crashes, this is the file. */
	fprintf(stderr, "%s\n", path);
	exact = malloc(b.n > 0 ? b.n : 1);
	if (exact == NULL) {
		rc = -ERR_NOMEM;
		goto out;
	}
	memcpy(exact, b.p, b.n);
	rc = LLVMFuzzerTestOneInput(exact, b.n);
out:
	free(exact);
	buf_fini(&b);
	return rc;
}

static int is_input(const struct dirent *de)
{
	return de->d_name[0] != '.';
}

static int replay_dir(const char *dir)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, is_input, alphasort), rc = 0;

	if (n <= 0) {
		fprintf(stderr, "no inputs in %s\n", dir);
		rc = -1;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];
		int len = snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);

		if (len < 0 || (size_t)len >= sizeof(path) || replay_file(path) != 0)
			rc = -1;
		free(names[i]);
	}
	free(names);
	return rc;
}

int main(int argc, char **argv)
{
	int failures = argc < 2;

	for (int i = 1; i < argc; i++)
		failures += replay_dir(argv[i]) != 0;
	return failures != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
