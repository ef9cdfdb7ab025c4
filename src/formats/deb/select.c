/* Selecting by name: a Release says nothing about its files but their paths, in which components are first segments and
 * architectures stand behind a dash ("binary-amd64/", "Contents-amd64.gz", "Components-amd64.yml.xz"). */
#include "formats/deb/select.h"

#include "base/check.h"

#include <string.h>

int words_split(struct words *out, const char *text)
{
	out->count = 0;
	while (text != NULL && *text != '\0') {
		size_t n = strcspn(text, " \t\r\n,");

		if (n > 0) {
			if (out->count == SELECT_WORDS_MAX)
				return -ERR_LIMIT;
			out->seen[out->count] = false;
			out->w[out->count++] = slice_of(text, n);
		}
		text += n + (text[n] != '\0');
	}
	return 0;
}

int words_find(const struct words *list, struct slice w)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice_eq(list->w[i], w))
			return (int)i;
	return -1;
}

const char *component_dir(const char *component)
{
	const char *slash = strrchr(component, '/');

	return slash != NULL ? slash + 1 : component;
}

bool select_component(const struct selection *sel, const char *component)
{
	return sel->components.count == 0 || words_find(&sel->components, slice_str(component)) >= 0 ||
	       words_find(&sel->components, slice_str(component_dir(component))) >= 0;
}

bool select_architecture(const struct selection *sel, const char *architecture)
{
	return sel->architectures.count == 0 || strcmp(architecture, "all") == 0 ||
	       words_find(&sel->architectures, slice_str(architecture)) >= 0;
}

static bool in_dir(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static bool has_dir(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	for (const char *at = path; at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, dir, n) == 0 && at[n] == '/')
			return true;
	}
	return false;
}

/* "-amd64" with an end, a dot or a slash behind it. */
static bool names_architecture(const char *path, const char *architecture)
{
	size_t n = strlen(architecture);

	for (const char *at = strchr(path, '-'); at != NULL; at = strchr(at + 1, '-'))
		if (strncmp(at + 1, architecture, n) == 0 &&
			(at[n + 1] == '\0' || at[n + 1] == '.' || at[n + 1] == '/'))
			return true;
	return false;
}

static bool begins_name(const char *path, const char *begin)
{
	const char *slash = strrchr(path, '/');

	return strncmp(slash != NULL ? slash + 1 : path, begin, strlen(begin)) == 0;
}

static bool other_component(const struct selection *sel, const struct release *r, const char *path)
{
	bool other = false;

	for (const char *const *c = r->components; *c != NULL; c++) {
		/* The directory may be that of several: then one of them is enough. */
		if (!in_dir(path, *c) && !in_dir(path, component_dir(*c)))
			continue;
		if (select_component(sel, *c))
			return false;
		other = true;
	}
	return other;
}

static bool other_architecture(const struct selection *sel, const struct release *r, const char *path)
{
	bool other = false;

	for (const char *const *a = r->architectures; *a != NULL; a++) {
		if (!names_architecture(path, *a))
			continue;
		if (select_architecture(sel, *a))
			return false;
		other = true;
	}
	return other;
}

bool select_file(const struct selection *sel, const struct release *r, const char *path)
{
	if (!sel->sources && (has_dir(path, "source") || begins_name(path, "Contents-source")))
		return false;
	if (!sel->udebs && (has_dir(path, "debian-installer") || begins_name(path, "Contents-udeb-")))
		return false;
	if (!sel->installer && select_kind(path) == DEB_INSTALLER)
		return false;
	return !other_component(sel, r, path) && !other_architecture(sel, r, path);
}

enum deb_kind select_kind(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	size_t n = strcspn(name, ".");

	if (n == strlen("Packages") && strncmp(name, "Packages", n) == 0)
		return strncmp(name + n, ".diff", 5) == 0 ? DEB_OTHER : DEB_PACKAGES;
	if (n == strlen("Sources") && strncmp(name, "Sources", n) == 0)
		return strncmp(name + n, ".diff", 5) == 0 ? DEB_OTHER : DEB_SOURCES;
	for (const char *at = path; at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, "installer-", 10) == 0)
			return DEB_INSTALLER;
	}
	return DEB_OTHER;
}
