/* A sync of an archive in progress, as the files of this folder share it. One thread: the task's. */
#ifndef SLUICE_FORMATS_DEB_SYNC_PRIV_H
#define SLUICE_FORMATS_DEB_SYNC_PRIV_H

#include "base/buf.h"
#include "base/seen.h"
#include "formats/deb/deb_format.h"
#include "formats/deb/release.h"
#include "formats/deb/select.h"

#include <stdbool.h>
#include <stdint.h>

#define DEB_URL_CAP 16384 /* three times the longest path, and what the remote's URL adds */
#define DEB_DIR_CAP 2100  /* the longest path that is let pass, "dists/" and a slash */
#define DEB_PATH_CAP 4400 /* a directory, a path below it, and by-hash */

/* One distribution, as upstream's Release says it is. */
struct dist {
	const char *name;      /* as the remote has it */
	char dir[DEB_DIR_CAP]; /* where its files are: "dists/bookworm/"; "" or "x/" of a flat repository */
	bool flat;
	bool unchanged;       /* since the last sync */
	bool clear_signed;    /* there is an InRelease */
	char sha256[65];      /* of InRelease, else of Release: the file that pins all others */
	struct buf file;      /* its bytes */
	struct buf text;      /* what of it is signed */
	struct buf signature; /* Release.gpg, where there is no InRelease */
	char signature_sha256[65];
	struct release release;
	bool parsed;
};

struct deb_sync {
	const struct sluice_sync_host *h;
	struct sluice_sync *s;
	char root[DEB_URL_CAP]; /* remote.url with a slash at its end */
	struct words distributions;
	struct selection sel;
	bool ignore_missing;
	const char *gpgkey;                  /* NULL: signatures are not checked */
	struct dist *dists;                  /* distributions.count */
	struct seen seen;                    /* what was declared: a package of two distributions is one unit */
	struct err err;                      /* why a file was refused */
	int64_t releases, indexes, packages; /* packages: those of sources too */
};

/* URL of a path below the root, encoded. */
int deb_url(struct deb_sync *ds, const char *path, char out[DEB_URL_CAP]);
int deb_no_memory(struct deb_sync *ds);
/* The error that a parser of ours left in ds->err, about a file; what came from the host is passed on. */
int deb_bad_file(struct deb_sync *ds, const char *path, int rc);

/* dist.c: Release files. Fetches what pins the distribution, if it has changed. */
int dist_fetch(struct deb_sync *ds, struct dist *d);
/* Reads it, again if it is unchanged. */
int dist_read(struct deb_sync *ds, struct dist *d);
/* Declares InRelease, Release, Release.gpg. */
int dist_declare(struct deb_sync *ds, struct dist *d);
void dist_fini(struct dist *d);

/* index.c: the files that a Release lists. Fetches and reads the indexes of what is selected, and declares all files. */
int index_sync(struct deb_sync *ds, struct dist *d);

#endif
