/* What a kind of store implements, and the base that every kind begins with. Kinds: files (fs.c). */
#ifndef SLUICE_STORE_STORE_OPS_H
#define SLUICE_STORE_STORE_OPS_H

#include "store/store.h"

/* Semantics, threads and failures as the functions of store.h that carry the same names. */
struct store_ops {
	void (*close)(struct store *s);
	int (*staging)(struct store *s, struct staging **out, struct err *err);
	void (*commit)(struct store *s, struct store_item *items, size_t count);
	int (*get)(struct store *s, const uint8_t sha256[32], int64_t size, int *fd, int64_t *actual_size,
		struct err *err);
	int (*get_cached)(struct store *s, const uint8_t sha256[32], int64_t size, int *fd);
	bool (*has)(struct store *s, const uint8_t sha256[32]);
	bool (*is)(struct store *s, const uint8_t sha256[32], int fd);
	int (*remove)(struct store *s, const uint8_t sha256[32], struct err *err);
	int (*set_aside)(struct store *s, const uint8_t sha256[32], struct err *err);
	int (*discard)(struct store *s, const uint8_t sha256[32], struct err *err);
	/* Opens a file of store_part_*; `create`: makes it if it is not there. */
	int (*part_open)(struct store *s, const char *name, bool create, int *fd, struct err *err);
	int (*part_remove)(struct store *s, const char *name, struct err *err);
	int (*space)(struct store *s, int64_t *total, int64_t *used, int64_t *free_, struct err *err);
};

#define STORE_MAGIC 0x73746f72u /* "stor" */

struct store {
	uint32_t magic;
	const struct store_ops *ops;
};

int store_fs_open(const char *media, bool sweep, struct store **out, struct err *err);

#endif
