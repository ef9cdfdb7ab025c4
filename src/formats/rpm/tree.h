/* Installable trees: what .treeinfo says lies beside and below the repository. The tree is a unit with its images; the repositories of its variants are
 * mirrored as upstream has them, whatever the sync policy: each file of theirs is a unit at its own path. One thread. */
#ifndef SLUICE_FORMATS_RPM_TREE_H
#define SLUICE_FORMATS_RPM_TREE_H

#include "base/buf.h"
#include "formats/rpm/hashmap.h"
#include "formats/rpm/treeinfo.h"
#include "sluice/format.h"

struct tree {
	const struct sluice_sync_host *host;
	struct sluice_sync *sync;
	const char *base; /* URL of the repository, as sibling_url takes it */
	const char *name; /* ".treeinfo" or "treeinfo"; NULL: there is none */
	char sha256[65];
	struct buf text;
	struct treeinfo info;
	const char *dirs[TREEINFO_REPOSITORIES_MAX];
	size_t dir_count;
	struct hashmap paths; /* that are declared */
	bool shares;          /* a variant's repository has packages of the main one */
	int64_t skipped;
	struct buf key, json;
};

void tree_init(struct tree *t, const struct sluice_sync_host *h, struct sluice_sync *s, const char *base);
void tree_fini(struct tree *t);
/* Are the entry files of the tree as the last sync saw them? 0: yes, or there was no tree; 1: no; negative: the sync has failed. */
int tree_changed(struct tree *t);
/* Reads .treeinfo, before packages are declared. */
int tree_read(struct tree *t);
/* A package of the main repository is declared at `path`. Negative: the sync has failed. */
int tree_note(struct tree *t, const char *path);
/* Declares the tree and its repositories, after the main one's packages. */
int tree_declare(struct tree *t);
/* With a complete mirror: the files that extra_files.json lists (licences and such). */
int tree_extra_files(struct tree *t);

#endif
