/* The store's interface: finds the kind of store and counts what it saves. Holds no state of its own. */
#include "store/store.h"

#include "base/check.h"
#include "base/digest.h"
#include "base/metrics.h"
#include "store/store_ops.h"

#include <stdio.h>

int store_open(const char *media, bool sweep, struct store **out, struct err *err)
{
	return store_fs_open(media, sweep, out, err);
}

void store_close(struct store **ps)
{
	struct store *s = TAKE(*ps);

	if (s == NULL)
		return;
	MAGIC_CHECK(s, STORE_MAGIC);
	s->magic = 0;
	s->ops->close(s);
}

int staging_new(struct store *s, struct staging **out, struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->staging(s, out, err);
}

void store_commit(struct store *s, struct store_item *items, size_t count)
{
	int64_t failed = 0;

	MAGIC_CHECK(s, STORE_MAGIC);
	for (size_t i = 0; i < count; i++) {
		BUG(items[i].st == NULL);
		items[i].rc = 0;
		items[i].existed = false;
		items[i].err = ERR_INIT;
	}
	s->ops->commit(s, items, count);
	for (size_t i = 0; i < count; i++) {
		if (!items[i].keep)
			staging_drop(&items[i].st);
		failed += items[i].rc != 0;
	}
	if (failed > 0)
		metric_add(M_store_commit_failures, failed);
}

int store_get(struct store *s, const uint8_t sha256[32], int64_t size, int *fd, int64_t *actual_size, struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->get(s, sha256, size, fd, actual_size, err);
}

int store_get_cached(struct store *s, const uint8_t sha256[32], int64_t size, int *fd)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->get_cached(s, sha256, size, fd);
}

bool store_has(struct store *s, const uint8_t sha256[32])
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->has(s, sha256);
}

bool store_is(struct store *s, const uint8_t sha256[32], int fd)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->is(s, sha256, fd);
}

int store_remove(struct store *s, const uint8_t sha256[32], struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->remove(s, sha256, err);
}

int store_set_aside(struct store *s, const uint8_t sha256[32], struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->set_aside(s, sha256, err);
}

int store_discard(struct store *s, const uint8_t sha256[32], struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->discard(s, sha256, err);
}

bool store_items_there(struct store *s, const struct store_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (items[i].existed && !store_has(s, items[i].sha256))
			return false;
	return true;
}

int store_space(struct store *s, int64_t *total, int64_t *used, int64_t *free_, struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->space(s, total, used, free_, err);
}

char *store_name(const uint8_t sha256[32], char out[STORE_NAME_MAX])
{
	char hex[65];

	hex_of(sha256, 32, hex);
	snprintf(out, STORE_NAME_MAX, "artifact/%.2s/%s", hex, hex + 2);
	return out;
}
