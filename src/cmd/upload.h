/* Sending files to the server: in one request when they are small, in chunks when they are not, with flat memory and with progress on
 * standard error. Blocking, one thread. */
#ifndef SLUICE_CMD_UPLOAD_H
#define SLUICE_CMD_UPLOAD_H

#include "cmd/client.h"

#include <stdint.h>

#define UPLOAD_CHUNK (INT64_C(32) << 20)

/* Makes what `body` says at the collection `path`, of the bytes of `file`; chunks of at most `chunk_bytes`. Waits for the task. *out: the
 * new object. -ERR_IO, -ERR_NOTFOUND: the file. An upload that fails is taken back. */
int upload_file(struct client *c, const char *path, const json_t *body, const char *file, int64_t chunk_bytes,
	bool quiet, json_t **out, struct err *err);

#endif
