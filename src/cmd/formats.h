/* The formats of this process: those built in, and shared objects that the setting server.plugins names. Made at start, constant
 * afterwards. */
#ifndef SLUICE_CMD_FORMATS_H
#define SLUICE_CMD_FORMATS_H

#include "base/err.h"
#include "sluice/format.h"

#include <stddef.h>

#define FORMATS_MAX 64

struct formats {
	const struct sluice_format *list[FORMATS_MAX + 1]; /* NULL-terminated */
	size_t count;
	void *handles[FORMATS_MAX]; /* of shared objects */
	size_t handle_count;
};

/* `plugins`: paths, comma-separated. -ERR_INVAL with the path: it cannot be loaded, is for another ABI, or its name is taken. */
int formats_load(const char *plugins, struct formats *out, struct err *err);
void formats_unload(struct formats *f);
/* -ERR_INVAL: it is not what the plugin interface asks for. */
int formats_check(const struct formats *f, const struct sluice_format *format, struct err *err);
/* Does a repository of this type ("file.file") need a publication to be served? Of the formats loaded last; any thread. */
bool formats_need_publication(const char *type);

#endif
