/* The tree of an entitlement: whatever it is, it is read or refused, answers for any path, and never covers what is above all paths. */
#include "fuzz.h"

#include "base/check.h"
#include "guard/entitlement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {
		"foo", "foo/bar/x", "content/dist/rhel/9/os/x", "a/a/a/a/a/a/a/a", "listing"};
	struct slice bytes = slice_of((const char *)data, size);
	struct entitlement *e = NULL;
	struct err err = ERR_INIT;
	int rc = entitlement_of_tree(bytes, &e, &err);

	BUG(rc < 0 ? e != NULL || (rc != -ERR_PARSE && rc != -ERR_NOMEM) || err.code != rc : e == NULL);
	if (rc < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		(void)entitlement_covers(e, slice_str(paths[i]));
	(void)entitlement_covers(e, slice_of(bytes.p, MIN(bytes.n, (size_t)300)));
	BUG(entitlement_covers(e, SLICE("")) || entitlement_covers(e, SLICE_NULL));
	entitlement_free(&e);
	return 0;
}
