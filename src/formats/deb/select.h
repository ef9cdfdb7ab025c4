/* Which of the files that a Release lists belong to what a remote asks for. Pure functions. */
#ifndef SLUICE_FORMATS_DEB_SELECT_H
#define SLUICE_FORMATS_DEB_SELECT_H

#include "formats/deb/release.h"

#include <stdbool.h>
#include <stddef.h>

#define SELECT_WORDS_MAX 512

/* A list of names separated by blanks, as remotes have it; borrows from the text. */
struct words {
	struct slice w[SELECT_WORDS_MAX];
	bool seen[SELECT_WORDS_MAX]; /* for whoever wants to know which of them meant something */
	size_t count;
};
/* NULL: none. -ERR_LIMIT. */
int words_split(struct words *out, const char *text);
/* -1: not there. */
int words_find(const struct words *list, struct slice w);

struct selection {
	struct words components, architectures; /* none: all that the Release has */
	bool sources, udebs, installer;
};

/* Below which directory the files of a component are: what stands behind the last slash of its name ("updates/main": "main"). */
const char *component_dir(const char *component);
bool select_component(const struct selection *sel, const char *component);
bool select_architecture(const struct selection *sel, const char *architecture); /* "all" always */
/* Is the file to be had? What belongs to a component or architecture that is not selected is not. */
bool select_file(const struct selection *sel, const struct release *r, const char *path);

enum deb_kind { DEB_PACKAGES, DEB_SOURCES, DEB_INSTALLER, DEB_OTHER };
/* What the file is, by its name; compressed or not. */
enum deb_kind select_kind(const char *path);

#endif
