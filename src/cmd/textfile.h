/* What options name a file for: passwords, keys, certificates. Blocking. */
#ifndef SLUICE_CMD_TEXTFILE_H
#define SLUICE_CMD_TEXTFILE_H

#include "base/buf.h"
#include "base/err.h"

#define TEXTFILE_BYTES_MAX (4u << 20)

/* Appends what the file holds; "-": standard input. */
int textfile_read(const char *path, struct buf *out, struct err *err);
/* Its first line, without blanks around it. free() it, wiped. */
int textfile_first_line(const char *path, char **out, struct err *err);

#endif
