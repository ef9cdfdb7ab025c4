/* Heartbeats of the roles that answer requests; the worker has its own. */
#include "cmd/presence.h"

#include "base/log.h"
#include "catalog/task.h"

#include <stdio.h>
#include <unistd.h>

#define VERSIONS "{\"sluice\":\"" SLUICE_VERSION "\"}"

static int beat_one(struct txn *t, const char *kind, int64_t *id, struct err *err)
{
	char host[256] = "localhost", name[320];
	int rc = *id != 0 ? catalog_worker_heartbeat(t, *id, err) : -ERR_NOTFOUND;

	if (rc != -ERR_NOTFOUND)
		return rc;
	/* New, or it was taken for dead. Names are unique over the kinds. */
	(void)gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "%ld@%s/%s", (long)getpid(), host, kind);
	return catalog_worker_register(t, name, kind, VERSIONS, id, err);
}

void presence_beat(struct presence *p, struct catalog *c)
{
	struct txn *t = NULL;
	struct err err = ERR_INIT;
	int rc = catalog_write(c, &t, &err);

	if (rc == 0 && p->api)
		rc = beat_one(t, "api", &p->api_id, &err);
	if (rc == 0 && p->content)
		rc = beat_one(t, "content", &p->content_id, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0)
		log_warn("start", "ignoring that a heartbeat cannot be written: %s", err.msg);
}

void presence_end(struct presence *p, struct catalog *c)
{
	struct txn *t = NULL;
	struct err err = ERR_INIT;
	int rc;

	if (p->api_id == 0 && p->content_id == 0)
		return;
	rc = catalog_write(c, &t, &err);
	if (rc == 0 && p->api_id != 0)
		rc = catalog_worker_remove(t, p->api_id, &err);
	if (rc == 0 && p->content_id != 0)
		rc = catalog_worker_remove(t, p->content_id, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0)
		log_warn("start", "ignoring that the server cannot sign off: %s", err.msg);
}
