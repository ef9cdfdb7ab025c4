/* A metadata file being written: compressed, with the digests and sizes that repomd.xml has of it, open and as it is. Goes into a publication. One thread. */
#ifndef SLUICE_FORMATS_RPM_PACKED_H
#define SLUICE_FORMATS_RPM_PACKED_H

#include "base/buf.h"
#include "base/digest.h"
#include "sluice/format.h"

enum packing { PACK_NONE, PACK_GZ, PACK_ZSTD };

struct packed {
	const struct sluice_publish_host *host;
	struct sluice_publish *publish;
	enum packing packing;
	enum digest_alg alg;
	void *stream; /* z_stream or ZSTD_CCtx */
	struct hasher *open_hasher, *hasher;
	struct buf pending; /* open bytes */
	int64_t size, open_size;
	char checksum[DIGEST_HEX_MAX], open_checksum[DIGEST_HEX_MAX]; /* after packed_end */
};

/* Negative results: the publication has failed. */
int packed_begin(struct packed *f, const struct sluice_publish_host *h, struct sluice_publish *p, enum packing packing,
	enum digest_alg alg);
int packed_add(struct packed *f, struct slice s);
/* Ends it as "repodata/<checksum>-<name>", with the suffix of the packing. `path` (2,048 bytes) gets that. */
int packed_end(struct packed *f, const char *name, char *path);
void packed_fini(struct packed *f); /* also of one that was not ended, and of a zeroed one */

#endif
