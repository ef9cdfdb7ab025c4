/* last_sync_details of a repository: what the last sync saw, so that the next one can find out with one conditional
 * request that there is nothing to do. A JSON object:
 * {"remote": uuid, "url": …, "policy": …, "mirror": bool, "options": {…}, "version": n, "metadata": {URL: {"etag", "last_modified", "sha256"}}} */
#ifndef SLUICE_SYNC_DETAILS_H
#define SLUICE_SYNC_DETAILS_H

#include "sync/sync_priv.h"

#define DETAILS_URLS_MAX 64 /* metadata files that are remembered; further ones are simply fetched */

/* Was the last sync made of the same remote, url, policy, mirror flag and options of the format, and is its version the latest still? */
bool details_match(const struct sluice_sync *s);
int64_t details_version(const struct sluice_sync *s); /* that the last sync left; -1: none */
/* Of a metadata file; "" when absent. */
const char *details_of(const json_t *metadata, const char *url, const char *key);
/* What a URL answered, into s->metadata. */
int details_note(
	struct sluice_sync *s, const char *url, const char *etag, const char *last_modified, const char *sha256);
/* Writes them, with `version` as what the sync left. */
int details_save(struct sluice_sync *s, int64_t version);

#endif
