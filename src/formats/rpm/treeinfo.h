/* .treeinfo (or treeinfo): an INI file that makes a repository an installable tree: which images it has, with their digests, and which
 * repositories lie in it. Written by lorax, pungi and productmd in several dialects, so that sections are looked up by what they mean. One thread. */
#ifndef SLUICE_FORMATS_RPM_TREEINFO_H
#define SLUICE_FORMATS_RPM_TREEINFO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

#define TREEINFO_BYTES_MAX ((size_t)1 << 20) /* some KiB are usual */
#define TREEINFO_ENTRIES_MAX 4096
#define TREEINFO_REPOSITORIES_MAX 32

struct treeinfo_entry {
	const char *section, *key, *value;
};

struct treeinfo {
	struct arena arena;
	struct treeinfo_entry *entries;
	size_t count, cap;
};

/* -ERR_PARSE with the line's number (also when a path in it leaves the tree), -ERR_LIMIT, -ERR_NOMEM. treeinfo_fini in any case. */
int treeinfo_parse(struct treeinfo *t, struct slice text, struct err *err);
void treeinfo_fini(struct treeinfo *t);
/* The last of that name counts; NULL: there is none. */
const char *treeinfo_get(const struct treeinfo *t, const char *section, const char *key);

/* A file of the tree; each is handed over once, the digest NULL when there is none. `fn` returns 0, or negative to stop. Metadata of repositories is not
 * among them: that comes with the repository. */
typedef int treeinfo_file_fn(void *arg, const char *path, const char *alg, const char *hex);
int treeinfo_files(const struct treeinfo *t, treeinfo_file_fn *fn, void *arg);
/* Directories of the repositories of variants and addons inside of the tree, each once, without the tree's own; at most `max`. */
size_t treeinfo_repositories(const struct treeinfo *t, const char **dirs, size_t max);
/* The fields of the unit, as Pulp shows a distribution tree. NULL: no memory. */
json_t *treeinfo_json(const struct treeinfo *t);

/* The same text without the digest of the tree's own repomd.xml, which publications write anew. */
int treeinfo_without_repomd(struct slice text, struct buf *out);

#endif
