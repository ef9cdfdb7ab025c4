/* Names and base paths: what the server will take, said before anything is made. Pure text work. */
#ifndef SLUICE_CMD_NAMES_H
#define SLUICE_CMD_NAMES_H

#include "base/err.h"
#include "base/slice.h"

/* Of a remote, a repository, a distribution. -ERR_INVAL with the reason. */
int name_check(struct slice name, struct err *err);
/* The path of a distribution below the content URL. -ERR_INVAL with the reason. */
int base_path_check(struct slice path, struct err *err);
/* The same, or one lies within the other: clients could not reach both. */
bool base_paths_overlap(struct slice a, struct slice b);

#endif
