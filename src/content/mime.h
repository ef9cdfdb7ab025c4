/* Content-Type of a path, by its last extension, any case (facts of Pulp's content app, which clients rely on). */
#ifndef SLUICE_CONTENT_MIME_H
#define SLUICE_CONTENT_MIME_H

#include "base/slice.h"

const char *mime_of_path(struct slice path);

#endif
