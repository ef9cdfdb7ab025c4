/* `sluice secrets`: another key for what the catalog seals, and the way out when a key is lost. Both need the data directory for themselves: a server that
 * runs has the old key in memory. */
#include "base/fsutil.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "catalog/keyring.h"
#include "catalog/secrets.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/datadir.h"

#include <stdio.h>
#include <string.h>

struct alone {
	struct settings settings;
	bool has_settings, key_is_fresh;
	int lock_fd;
	struct keyring *keyring;
	struct catalog *catalog;
};

static int lock_alone(struct alone *a, struct err *err)
{
	const char *dir = a->settings.server_data;
	bool members = false;
	int rc = datadir_lock(dir, &a->lock_fd, err);

	if (rc == 0)
		rc = datadir_wait_for_tasks(dir, err);
	if (rc == 0)
		rc = datadir_has_members(dir, &members, err);
	if (rc == 0 && members)
		rc = err_set(err, -ERR_BUSY, "'%s' is in use by processes that serve content", dir);
	return rc;
}

/* `may_lack`: a missing key file is no error. */
static int open_alone(const struct options *o, bool may_lack, struct alone *a, struct err *err)
{
	struct catalog_opts opts;
	int rc = config_load(o, &a->settings, err);

	a->has_settings = rc == 0;
	if (rc == 0)
		rc = lock_alone(a, err);
	if (rc == 0)
		rc = keyring_load(a->settings.server_secrets_key, &a->keyring, err);
	if (rc == -ERR_NOTFOUND && may_lack) {
		a->key_is_fresh = true;
		rc = keyring_new(&a->keyring, err);
	}
	if (rc < 0)
		return rc;
	opts = (struct catalog_opts){
		.url = a->settings.database_url,
		.busy_timeout_ms = a->settings.database_busy_timeout,
		.readers = 1,
		.keyring = a->keyring,
	};
	return catalog_open(&opts, false, &a->catalog, err);
}

static void close_alone(struct alone *a)
{
	catalog_close(&a->catalog);
	keyring_free(&a->keyring);
	fs_close(&a->lock_fd);
	if (a->has_settings)
		settings_fini(&a->settings);
}

static int rotate(const struct options *o, struct alone *a, struct buf *out, struct err *err)
{
	int rc = open_alone(o, false, a, err);

	if (rc == 0)
		rc = catalog_secrets_rotate(a->catalog, a->keyring, a->settings.server_secrets_key, err);
	if (rc == 0)
		buf_addf(out, "the secrets have a new key, in '%s'\n", a->settings.server_secrets_key);
	return rc;
}

static int forget(const struct options *o, struct alone *a, struct buf *out, struct err *err)
{
	int64_t count = 0;
	int rc = open_alone(o, true, a, err);

	if (rc == 0)
		rc = catalog_secrets_forget(a->catalog, a->keyring, &count, err);
	if (rc == 0)
		rc = catalog_secrets_start(
			a->catalog, a->keyring, a->settings.server_secrets_key, a->key_is_fresh, err);
	if (rc == 0)
		buf_addf(out, "%lld secrets that no key opened are given up\n", (long long)count);
	return rc;
}

int cmd_secrets(const struct options *o)
{
	struct alone a = {.lock_fd = -1};
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;
	const char *verb = o->operands[1];
	int rc;

	if (strcmp(verb, "rotate") == 0)
		rc = rotate(o, &a, &out, &err);
	else if (strcmp(verb, "forget") == 0)
		rc = forget(o, &a, &out, &err);
	else
		rc = err_set(&err, -ERR_INVAL, "'%s' is neither rotate nor forget", verb);
	close_alone(&a);
	if (rc == 0)
		rc = commands_print(&out, &err);
	buf_fini(&out);
	if (rc == 0)
		return EXIT_OK;
	/* The other codes speak of a server that one talks to. */
	return commands_fail("secrets", rc, &err) == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
