/* multipart/form-data (RFC 7578, RFC 2046 section 5.1), read as it comes: in pieces of any size, with memory for the head of one part.
 * Foreign bytes. One owner, one thread at a time. */
#ifndef SLUICE_API_MULTIPART_H
#define SLUICE_API_MULTIPART_H

#include "base/err.h"
#include "base/slice.h"

/* What is done with the parts. Each returns 0, or negative to stop, which multipart_feed then returns. Slices live during the call. */
struct multipart_ops {
	int (*begin)(void *arg, struct slice name, struct slice filename /* p == NULL: no file */, struct err *err);
	int (*data)(void *arg, struct slice piece, struct err *err);
	int (*end)(void *arg, struct err *err);
};

struct multipart;
/* `content_type`: the header field, with the boundary. -ERR_PARSE: it names none that may be one; -ERR_NOMEM. */
int multipart_new(
	struct slice content_type, const struct multipart_ops *ops, void *arg, struct multipart **out, struct err *err);
void multipart_free(struct multipart **pm);
/* -ERR_PARSE: malformed; -ERR_LIMIT: too many parts, or too large a head; or what ops said. Not to be called again after a failure. */
int multipart_feed(struct multipart *m, const char *p, size_t n, struct err *err);
/* After all was fed. -ERR_PARSE: the last boundary did not come. */
int multipart_end(struct multipart *m, struct err *err);

#endif
