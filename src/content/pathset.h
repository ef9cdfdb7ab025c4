/* A filter over every path of a served set, and every directory on the way: "certainly not there" without asking the catalog, so
 * that an unknown path costs no more than a hit (C17). A Bloom filter: 16 bits a path, false "perhaps" about once in 2,000. Immutable once made: any
 * thread. */
#ifndef SLUICE_CONTENT_PATHSET_H
#define SLUICE_CONTENT_PATHSET_H

#include "base/err.h"
#include "base/slice.h"
#include "catalog/served.h"

struct pathset;

/* Reads all paths: blocking, pool. Flat memory but for 10 bytes a path while it is made. */
int pathset_build(struct txn *t, const struct served_set *set, struct pathset **out, struct err *err);
struct pathset *pathset_ref(struct pathset *p);
void pathset_unref(struct pathset **pp);
/* `path` without trailing slash. */
bool pathset_maybe(const struct pathset *p, struct slice path);

#endif
