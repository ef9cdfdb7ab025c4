/* One download by itself: whole, verified and saved. For tasks that bring one artifact. The task's thread; blocking. */
#ifndef SLUICE_SYNC_SINGLE_H
#define SLUICE_SYNC_SINGLE_H

#include "base/digest.h"
#include "base/err.h"
#include "fetch/fetch.h"
#include "store/store.h"
#include "sync/sync.h"
#include "sync/wire.h"

struct single {
	/* the caller's: borrowed */
	const struct sync_env *env;
	struct wire *wire; /* initialised */
	const char *url;
	const struct fetch_remote *remote;
	struct digests want; /* what it has to be; may be none */
	unsigned algs;       /* digests to make besides */
	int64_t size;        /* -1 unknown */
	int retries;
	bool stubborn; /* also after an answer that says no */
	/* once it is there */
	struct digests actual;
	int64_t off; /* its size */
	/* the transfer */
	struct fetch *fetch;
	struct staging *st;
	struct hasher *hasher;
	int status, rc;
	bool done;
	struct err err;
};

/* -ERR_GONE, -ERR_UPSTREAM and what fetch.h says; -ERR_SIZE "[PLP0004] …", -ERR_DIGEST "[PLP0003] …". */
int single_fetch(struct single *s, struct err *err);
/* Then: into store and catalog, durable; as the artifact of that content artifact (0: of none). */
int single_save(struct single *s, int64_t content_artifact_id, struct err *err);
/* In any case. */
void single_fini(struct single *s);

#endif
