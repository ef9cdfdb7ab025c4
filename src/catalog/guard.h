/* Content guards as they are stored: who may read a distribution. What they mean is src/guard's. Blocking. */
#ifndef SLUICE_CATALOG_GUARD_H
#define SLUICE_CATALOG_GUARD_H

#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

/* Strings are malloc'ed; NULL where the column is null. */
struct guard_row {
	int64_t id;
	struct uuid uuid;
	char *type, *name; /* "core.header" */
	int64_t updated_us;
	char *header_name, *header_value, *jq_filter;
	char *ca_certificate, *crl; /* PEM */
	char *guards;               /* JSON list of uuids */
	int64_t *users;             /* ids, ascending: whom a core.rbac one lets pass */
	size_t user_count;
};

/* All of them, by id. Zero rows is success. */
int catalog_guards(struct txn *t, struct guard_row **rows, size_t *count, struct err *err);
void guard_rows_free(struct guard_row **rows, size_t count);

/* Whom a guard lets pass, by name; each a change of what is served. -ERR_NOTFOUND: there is no such user. Granting twice is once. */
int catalog_guard_grant(struct txn *t, int64_t guard_id, struct slice username, struct err *err);
int catalog_guard_revoke(struct txn *t, int64_t guard_id, struct slice username, struct err *err);
/* Likewise groups. */
int catalog_guard_grant_group(struct txn *t, int64_t guard_id, struct slice name, struct err *err);
int catalog_guard_revoke_group(struct txn *t, int64_t guard_id, struct slice name, struct err *err);
int catalog_guard_groups(struct txn *t, int64_t guard_id, char ***names, size_t *count, struct err *err);
/* Who is in which group has changed, or will by the end of the transaction: guards are read anew. */
int catalog_guards_touch(struct txn *t, struct err *err);
/* Their names, in order; malloc'ed, also each. */
int catalog_guard_users(struct txn *t, int64_t guard_id, char ***names, size_t *count, struct err *err);
void guard_users_free(char ***names, size_t count);

#endif
