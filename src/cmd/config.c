/* Effective settings, and the command that prints them. */
#include "cmd/config.h"

#include "base/fsutil.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/datadir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ETC_FILE "/etc/sluice/server.conf"

extern char **environ;

static int set_str(
	struct settings *s, const char *section, const char *key, const char *v, const char *origin, struct err *err)
{
	return v == NULL ? 0 : settings_set(s, section, key, slice_str(v), origin, err);
}

/* A file that was named must be there; the two usual ones may be. */
static int config_read_file(const struct options *o, const char *data, struct settings *s, struct err *err)
{
	const char *named = o->config != NULL ? o->config : getenv("SLUICE_CONFIG");
	struct buf beside = BUF_INIT(PATH_MAX);
	int rc;

	if (named != NULL && named[0] != '\0')
		return settings_read_file(s, named, err);
	buf_addf(&beside, "%s/server.conf", data);
	if (beside.failed != 0) {
		rc = err_set(err, -ERR_INVAL, "the name of the data directory is too long");
	} else {
		rc = settings_read_file(s, beside.p, err);
		if (rc == -ERR_NOTFOUND)
			rc = settings_read_file(s, ETC_FILE, err);
	}
	buf_fini(&beside);
	return rc == -ERR_NOTFOUND ? 0 : rc;
}

/* The data directory need not exist yet: what is made absolute is its name. */
static int config_set_data(struct settings *s, const char *dir, const char *origin, struct err *err)
{
	struct buf path = BUF_INIT(PATH_MAX);
	char cwd[PATH_MAX];
	int rc;

	if (dir[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return err_sys(err, errno, "the current directory");
		buf_addf(&path, "%s/", cwd);
	}
	buf_adds(&path, dir);
	rc = path.failed != 0 ? err_set(err, -ERR_INVAL, "the name of the data directory is too long")
			      : settings_set(s, "server", "data", buf_slice(&path), origin, err);
	buf_fini(&path);
	return rc;
}

/* What follows from the data directory unless it is set. */
static int config_derive(struct settings *s, struct err *err)
{
	struct buf text = BUF_INIT(PATH_MAX + 64);
	int rc = 0;

	if (s->database_url[0] == '\0') {
		buf_addf(&text, "sqlite:%s/catalog.db", s->server_data);
		rc = settings_set(s, "database", "url", buf_slice(&text), "from server.data", err);
		buf_reset(&text);
	}
	if (rc == 0 && s->storage_media[0] == '\0') {
		buf_addf(&text, "%s/media", s->server_data);
		rc = settings_set(s, "storage", "media", buf_slice(&text), "from server.data", err);
	}
	if (rc == 0 && s->server_secrets_key[0] == '\0') {
		buf_reset(&text);
		buf_addf(&text, "%s/secrets.key", s->server_data);
		rc = settings_set(s, "server", "secrets_key", buf_slice(&text), "from server.data", err);
	}
	if (rc == 0 && text.failed != 0)
		rc = err_set(err, -ERR_INVAL, "the name of the data directory is too long");
	buf_fini(&text);
	return rc;
}

/* What no single value is wrong about. */
static int config_check(const struct settings *s, struct err *err)
{
	if (strcmp(s->content_on_missing, "redirect") == 0 && s->lazy_redirect_url[0] == '\0')
		return err_set(err, -ERR_INVAL, "[content] on_missing = redirect needs [lazy] redirect_url");
	return 0;
}

/* Where the data directory is, and who says so. The file cannot move the directory that it was found in. */
static int config_data(const struct options *o, struct settings *s, const char *found, bool by_user, struct err *err)
{
	if (o->data != NULL)
		return config_set_data(s, found, "command line", err);
	if (s->server_data[0] == '/')
		return 0;
	if (s->server_data[0] != '\0')
		return config_set_data(s, s->server_data, s->origin[0], err);
	return config_set_data(s, found, by_user ? "environment" : "default", err);
}

int config_load(const struct options *o, struct settings *s, struct err *err)
{
	struct buf data = BUF_INIT(PATH_MAX);
	const char *env = getenv("SLUICE_DATA");
	enum log_level level;
	int rc = datadir_find(o->data, &data, err);

	if (rc < 0)
		goto out;
	rc = settings_init(s, err);
	if (rc < 0)
		goto out;
	rc = config_read_file(o, data.p, s, err);
	if (rc == 0)
		rc = settings_read_env(s, environ, err);
	if (rc == 0)
		rc = config_data(o, s, data.p, env != NULL && env[0] != '\0', err);
	if (rc == 0)
		rc = set_str(s, "server", "listen", o->listen, "command line", err);
	if (rc == 0)
		rc = set_str(s, "server", "roles", o->role, "command line", err);
	if (rc == 0)
		rc = config_check(s, err);
	if (rc == 0)
		rc = config_derive(s, err);
	if (rc < 0) {
		settings_fini(s);
		goto out;
	}
	if (log_level_parse(slice_str(s->log_level), &level) == 0)
		log_set_level(level);
out:
	buf_fini(&data);
	return rc;
}

/* ---- the command ---- */

static int config_print_shipped(struct buf *out, struct err *err)
{
	struct settings s;
	int rc = settings_init(&s, err);

	if (rc < 0)
		return rc;
	buf_adds(out,
		"# Settings of sluice. Each is shown with its default; the environment (SLUICE_SECTION_KEY) and the\n"
		"# command line win over this file. `sluice config` prints what is in force and where it comes "
		"from.\n\n");
	rc = settings_print(&s, true, out);
	settings_fini(&s);
	return rc;
}

/* "key = value  (origin)" of settings_print → {"value": …, "origin": …}. */
static int config_line_to_json(struct slice line, json_t *section)
{
	ptrdiff_t eq = slice_chr(line, '='), open = slice_rchr(line, '(');
	struct slice key, value, origin;
	json_t *v;

	if (eq < 0 || open < eq || line.p[line.n - 1] != ')')
		return -ERR_PARSE;
	key = slice_trim(slice_of(line.p, (size_t)eq));
	value = slice_trim(slice_of(line.p + eq + 1, (size_t)(open - eq - 1)));
	origin = slice_of(line.p + open + 1, line.n - (size_t)open - 2);
	v = json_pack("{s:s%, s:s%}", "value", value.n > 0 ? value.p : "", value.n, "origin", origin.p, origin.n);
	return v != NULL && json_object_setn_new(section, key.p, key.n, v) == 0 ? 0 : -ERR_NOMEM;
}

static int config_to_json(struct slice text, json_t *root)
{
	json_t *section = NULL;
	int rc = 0;

	while (rc == 0 && text.p != NULL) {
		struct slice line = slice_trim(slice_cut(&text, '\n'));

		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (line.p[0] == '[') {
			section = json_object();
			rc = json_object_setn_new(root, line.p + 1, line.n - 2, section) == 0 ? 0 : -ERR_NOMEM;
		} else {
			rc = config_line_to_json(line, section);
		}
	}
	return rc;
}

static int config_print_effective(const struct options *o, struct buf *out, struct err *err)
{
	json_t *root = NULL;
	struct settings s;
	int rc = config_load(o, &s, err);

	if (rc < 0)
		return rc;
	rc = settings_print(&s, false, out);
	settings_fini(&s);
	if (rc < 0 || !o->json)
		return rc;
	root = json_object();
	rc = root != NULL ? config_to_json(buf_slice(out), root) : -ERR_NOMEM;
	if (rc == 0) {
		buf_reset(out);
		rc = commands_add_json(out, root);
	}
	json_decref(root);
	return rc;
}

int cmd_config(const struct options *o)
{
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;
	int rc = o->shipped ? config_print_shipped(&out, &err) : config_print_effective(o, &out, &err);

	if (rc == 0)
		rc = commands_print(&out, &err);
	buf_fini(&out);
	if (rc < 0) {
		fprintf(stderr, "sluice config: %s\n", err.msg[0] != '\0' ? err.msg : err_text(rc));
		return EXIT_USAGE;
	}
	return EXIT_OK;
}
