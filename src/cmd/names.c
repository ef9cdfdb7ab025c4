/* Names and base paths. */
#include "cmd/names.h"

#include "base/url.h"

#include <string.h>

#define CHARACTERS_MAX 255

static size_t characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static int text_check(struct slice s, const char *what, struct err *err)
{
	if (s.n == 0)
		return err_set(err, -ERR_INVAL, "the %s is empty", what);
	if (!slice_is_utf8(s))
		return err_set(err, -ERR_INVAL, "the %s is not UTF-8", what);
	if (characters(s) > CHARACTERS_MAX)
		return err_set(err, -ERR_INVAL, "the %s is longer than %d characters", what, CHARACTERS_MAX);
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return err_set(err, -ERR_INVAL, "the %s has a control character", what);
	}
	return 0;
}

int name_check(struct slice name, struct err *err)
{
	int rc = text_check(name, "name", err);

	if (rc == 0 && slice_trim(name).n != name.n)
		rc = err_set(err, -ERR_INVAL, "the name '%.*s' begins or ends with a space", SLICE_ARG(name));
	return rc;
}

int base_path_check(struct slice path, struct err *err)
{
	int rc = text_check(path, "base path", err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < path.n; i++) {
		if (strchr(" ?#", path.p[i]) != NULL)
			return err_set(err, -ERR_INVAL, "the base path '%.*s' has a '%c', which none can have",
				SLICE_ARG(path), path.p[i]);
	}
	rc = url_relpath_check(path, err);
	if (rc < 0 && err != NULL)
		err_wrap(err, "the base path '%.*s'", SLICE_ARG(path));
	return rc;
}

static bool lies_within(struct slice inner, struct slice outer)
{
	return slice_starts(inner, outer) && (inner.n == outer.n || inner.p[outer.n] == '/');
}

bool base_paths_overlap(struct slice a, struct slice b)
{
	return lies_within(a, b) || lies_within(b, a);
}
