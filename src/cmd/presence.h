/* The rows by which status/ knows that the API and the content service of this process are online. Blocking; one thread. */
#ifndef SLUICE_CMD_PRESENCE_H
#define SLUICE_CMD_PRESENCE_H

#include "catalog/catalog.h"

struct presence {
	int64_t api_id, content_id; /* 0: none */
	bool api, content;
};

/* Registers what it is to be, or tells that it is alive. Fails quietly, with a log line: the next beat tries again. */
void presence_beat(struct presence *p, struct catalog *c);
void presence_end(struct presence *p, struct catalog *c);

#endif
