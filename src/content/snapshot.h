/* What is served right now, as one immutable value: distributions, what each answers from, and the filters of their paths. Made by the
 * pool when the generation has moved, shared by all loops. */
#ifndef SLUICE_CONTENT_SNAPSHOT_H
#define SLUICE_CONTENT_SNAPSHOT_H

#include "catalog/served.h"
#include "content/pathset.h"
#include "guard/guard.h"

#include <pthread.h>
#include <stdatomic.h>

/* A filter that is made when it is first missed. Shared by the snapshots whose set is the same: sets never change. */
struct filter {
	_Atomic int refs;
	_Atomic(struct pathset *) set; /* NULL until made */
	_Atomic bool building;
};

struct snapshot {
	_Atomic int refs;
	uint64_t generation; /* read before the catalog was: what is newer is seen as newer */
	struct served_table *table;
	struct guards *guards;
	struct filter ***filters; /* [distribution][set] */
};

/* Blocking, pool. `old` (may be NULL) lends the filters of sets that are still served. */
int snapshot_load(struct catalog *c, uint64_t generation, int64_t window_us,
	bool (*needs_publication)(const char *type), const struct snapshot *old, struct snapshot **out,
	struct err *err);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot **ps);
struct filter *filter_ref(struct filter *f);
void filter_unref(struct filter **pf);

/* The distribution whose base_path is a path-prefix of `path` (no leading slash): its index, and *rest is what follows, without the slash between;
 * *rest.p == NULL when the path is the base_path itself, without a slash. -1: none. */
int snapshot_match(const struct snapshot *s, struct slice path, struct slice *rest);
/* Those whose base_path begins with `prefix` follow each other: the index of the first of them, if there are any. */
size_t snapshot_first_below(const struct snapshot *s, struct slice prefix);

#endif
