/* Staging files, as the kinds of stores make and save them. */
#ifndef SLUICE_STORE_STAGING_H
#define SLUICE_STORE_STAGING_H

#include "store/store.h"

/* Where staging files are made. Constant once open; any thread. */
struct staging_area {
	int dir;    /* of staging/ */
	bool named; /* files have names from birth: the file system cannot do without */
};

#define STAGING_NAME_MAX 64

struct staging {
	uint32_t magic;
	int fd;
	const struct staging_area *area;
	char name[STAGING_NAME_MAX]; /* in area->dir; "" when it has none */
};

/* Makes `staging` below the open directory `parent`, and finds out what the file system can do. */
int staging_area_open(struct staging_area *a, int parent, struct err *err);
void staging_area_close(struct staging_area *a);
/* Removes what is there and counts it. Only while nobody else uses the area. */
int staging_area_sweep(const struct staging_area *a, int64_t *removed, struct err *err);

int staging_create(const struct staging_area *a, struct staging **out, struct err *err);
/* Gives the file one more name, in any directory of the same file system. 0 or -errno. */
int staging_link(const struct staging *st, int dir, const char *name);
/* Moves it over whatever has that name now; st has no name afterwards. 0 or -errno. */
int staging_replace(struct staging *st, int dir, const char *name);

#endif
