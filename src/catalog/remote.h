/* Remotes and their settings, as downloads need them. Blocking. */
#ifndef SLUICE_CATALOG_REMOTE_H
#define SLUICE_CATALOG_REMOTE_H

#include "base/digest.h"
#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

enum policy { POLICY_IMMEDIATE, POLICY_ON_DEMAND, POLICY_STREAMED };
const char *policy_name(enum policy p);
int policy_parse(struct slice s, enum policy *out); /* -ERR_INVAL */

/* All strings are malloc'ed and owned; NULL where the column is null. */
struct remote_row {
	int64_t id;
	struct uuid uuid;
	char *type; /* "file.file" */
	char *name;
	char *url;
	enum policy policy;
	char *ca_cert, *client_cert, *client_key; /* PEM */
	bool tls_validation;
	char *proxy_url, *proxy_username, *proxy_password;
	char *username, *password;
	int64_t max_retries;    /* null and 0 in the table are 3 here */
	double total_timeout_s; /* 0: none set; likewise the next three */
	double connect_timeout_s;
	double sock_connect_timeout_s;
	double sock_read_timeout_s;
	char *headers;                /* JSON: list of one-key objects */
	int64_t download_concurrency; /* null in the table is 0 here: syncs take 10, clients' downloads are not limited */
	int64_t rate_limit;           /* requests per second; 0: none */
	char *extra;                  /* JSON: the format's own fields */
	int64_t updated_us;           /* changes whenever a setting does: key of pooled connections */
};
void remote_row_free(struct remote_row **pr);
int catalog_remote_by_id(struct txn *t, int64_t id, struct remote_row **out, struct err *err); /* -ERR_NOTFOUND */
int catalog_remote_by_uuid(
	struct txn *t, const struct uuid *u, struct remote_row **out, struct err *err); /* -ERR_NOTFOUND */
/* Does it hold anything that another origin must not see: user, password, client key, proxy password, headers? */
bool remote_has_credentials(const struct remote_row *r);

#endif
