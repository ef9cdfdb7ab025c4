/* One signing: a directory, the file in it, the program, its answer, the check. The directory goes whatever happened.
 *
 * The program gets a new environment and not ours, in which a server may have passwords. */
#include "sync/signing.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/gpgv.h"
#include "base/run.h"
#include "catalog/query.h"
#include "sync/sync_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define SIGNED_MAX ((size_t)64 << 20) /* of a file with its signature: a Release file has less than one MiB */

void signing_service_fini(struct signing_service *s)
{
	free(s->name);
	free(s->public_key);
	free(s->fingerprint);
	free(s->script);
	*s = (struct signing_service){.name = NULL};
}

void signatures_fini(struct signatures *s)
{
	buf_fini(&s->clear);
	buf_fini(&s->detached);
}

static char *column(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return strdup(text != NULL ? text : "");
}

int signing_find(struct catalog *c, const char *which, struct signing_service *out, struct err *err)
{
	struct txn *t = NULL;
	json_t *row = NULL;
	struct uuid u;
	int rc = sync_uuid_of(which, &u, err);

	if (rc == 0)
		rc = catalog_read(c, &t, err);
	if (rc == 0)
		rc = query_by_uuid(t, view_find("signing_service"), &u, &row, err);
	txn_end(&t);
	if (rc == -ERR_NOTFOUND)
		return err_set(err, rc, "there is no signing service '%.200s'", which);
	if (rc != 0)
		return rc;
	*out = (struct signing_service){column(row, "name"), column(row, "public_key"),
		column(row, "pubkey_fingerprint"), column(row, "script")};
	json_decref(row);
	if (out->name != NULL && out->public_key != NULL && out->fingerprint != NULL && out->script != NULL)
		return 0;
	signing_service_fini(out);
	return err_set(err, -ERR_NOMEM, "no memory for a signing service");
}

/* ---- one signing ---- */

struct signing {
	const struct signing_service *service;
	char dir[PATH_MAX];
	char file[PATH_MAX];
	struct slice data;
};

static int make_dir(struct signing *g, struct err *err)
{
	const char *dir = getenv("TMPDIR");

	dir = dir != NULL && dir[0] == '/' ? dir : "/var/tmp";
	if (snprintf(g->dir, sizeof(g->dir), "%s/sluice-sign-XXXXXX", dir) >= (int)sizeof(g->dir) - NAME_MAX - 2)
		return err_set(err, -ERR_INVAL, "the name of the directory for temporary files is too long");
	if (mkdtemp(g->dir) == NULL) {
		g->dir[0] = '\0';
		return err_sys(err, errno, "a directory in '%s'", dir);
	}
	return 0;
}

static int run(const struct signing *g, int64_t limit_ms, bool show_errors, struct buf *answer, struct err *err)
{
	static const char *const passed[] = {"HOME", "GNUPGHOME", "USER", "LOGNAME", "TMPDIR"};
	const char *const argv[] = {g->service->script, g->file, NULL};
	const char *env[ARRAY_LEN(passed) + 4] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
	char *own[ARRAY_LEN(passed) + 1] = {NULL};
	size_t n = 2, made = 0;
	int rc = 0;

	if (asprintf(&own[made], "PULP_SIGNING_KEY_FINGERPRINT=%s", g->service->fingerprint) < 0)
		rc = -ERR_NOMEM;
	else
		env[n++] = own[made++];
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(passed); i++) {
		const char *value = getenv(passed[i]);

		if (value == NULL)
			continue;
		if (asprintf(&own[made], "%s=%s", passed[i], value) < 0)
			rc = -ERR_NOMEM;
		else
			env[n++] = own[made++];
	}
	env[n] = NULL;
	if (rc != 0)
		err_set(err, rc, "no memory for an environment");
	else
		rc = run_program(&(struct run_opts){.argv = argv,
					 .env = env,
					 .dir = g->dir,
					 .limit_ms = limit_ms,
					 .show_errors = show_errors},
			answer, err);
	while (made > 0)
		free(own[--made]);
	return rc;
}

/* A file that the answer names, relative to the directory if it is no absolute path. */
static int read_answer(
	const struct signing *g, const json_t *path, const char *member, struct buf *out, struct err *err)
{
	char name[PATH_MAX];
	const char *text = json_string_value(path);
	int rc;

	if (text == NULL || text[0] == '\0')
		return err_set(err, -ERR_PARSE, "it has printed a '%s' that is no path", member);
	if (snprintf(name, sizeof(name), "%s%s%s", text[0] == '/' ? "" : g->dir, text[0] == '/' ? "" : "/", text) >=
		(int)sizeof(name))
		return err_set(err, -ERR_PARSE, "it has printed a '%s' that is too long", member);
	*out = BUF_INIT(SIGNED_MAX);
	rc = fs_read_file(name, SIGNED_MAX, out, err);
	if (rc == 0 && out->n == 0)
		rc = err_set(err, -ERR_PARSE, "the file that it names as '%s' is empty", member);
	return rc;
}

static int read_signatures(const struct signing *g, struct slice answer, struct signatures *out, struct err *err)
{
	json_t *o = json_loadb(answer.p != NULL ? answer.p : "", answer.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *both = json_object_get(o, "signatures"), *clear = json_object_get(both, "inline"),
		     *detached = json_object_get(both, "detached");
	int rc = 0;

	if (detached == NULL)
		detached = json_object_get(o, "signature");
	if (clear == NULL && detached == NULL)
		rc = err_set(err, -ERR_PARSE,
			"it has not printed JSON with 'signatures' (of 'inline' and 'detached') or a 'signature'");
	if (rc == 0 && clear != NULL)
		rc = read_answer(g, clear, "inline", &out->clear, err);
	if (rc == 0 && detached != NULL)
		rc = read_answer(g, detached, "signature", &out->detached, err);
	json_decref(o);
	return rc;
}

static int check_clear(const struct signing *g, struct slice clear, struct err *err)
{
	struct buf text = BUF_INIT(0);
	int rc;

	if (!slice_starts(clear, SLICE("-----BEGIN PGP SIGNED MESSAGE-----")))
		return err_set(err, -ERR_DENIED, "the clear-signed file does not begin as one");
	rc = gpgv_verify(slice_str(g->service->public_key), clear, SLICE_NULL, &text, err);
	if (rc != 0)
		(void)err_wrap(err, "the clear-signed file");
	else if (!slice_eq(slice_trim(buf_slice(&text)), slice_trim(g->data)))
		rc = err_set(err, -ERR_DENIED, "the clear-signed file says something else than what was to be signed");
	buf_fini(&text);
	return rc;
}

/* Over our bytes, whatever has become of the file. */
static int check_detached(const struct signing *g, struct slice signature, struct err *err)
{
	struct buf text = BUF_INIT(0);
	int rc;

	/* apt takes no others. */
	if (!slice_starts(signature, SLICE("-----BEGIN PGP SIGNATURE-----")))
		return err_set(err, -ERR_DENIED, "the detached signature is not armoured");
	rc = gpgv_verify(slice_str(g->service->public_key), g->data, signature, &text, err);
	if (rc != 0)
		(void)err_wrap(err, "the detached signature");
	buf_fini(&text);
	return rc;
}

static int sign(struct signing *g, const char *name, int64_t limit_ms, bool show_errors, struct signatures *out,
	struct err *err)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	int rc = make_dir(g, err);

	if (rc == 0) {
		(void)snprintf(g->file, sizeof(g->file), "%.*s/%s", (int)sizeof(g->file) - NAME_MAX - 2, g->dir, name);
		rc = fs_replace_file(g->file, g->data.p, g->data.n, 0600, err);
	}
	if (rc == 0)
		rc = run(g, limit_ms, show_errors, &answer, err);
	if (rc == 0)
		rc = read_signatures(g, buf_slice(&answer), out, err);
	if (rc == 0 && out->clear.n > 0)
		rc = check_clear(g, buf_slice(&out->clear), err);
	if (rc == 0 && out->detached.n > 0)
		rc = check_detached(g, buf_slice(&out->detached), err);
	buf_fini(&answer);
	return rc;
}

int signing_sign(const struct signing_service *s, const char *name, struct slice data, int64_t limit_ms,
	bool show_errors, struct signatures *out, struct err *err)
{
	struct signing g = {.service = s, .data = data};
	struct signatures made = {.clear = BUF_INIT(0), .detached = BUF_INIT(0)};
	int rc;

	BUG(strchr(name, '/') != NULL || strlen(name) > NAME_MAX);
	rc = sign(&g, name, limit_ms, show_errors, &made, err);
	if (g.dir[0] != '\0')
		(void)fs_remove_tree(
			g.dir, NULL); /* without it a directory of public metadata stays behind, and that is all */
	if (rc != 0) {
		signatures_fini(&made);
		(void)err_wrap(err, "signing service '%.100s'", s->name);
		return rc;
	}
	*out = made;
	return 0;
}
