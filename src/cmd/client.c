/* REST calls of the CLI. */
#include "cmd/client.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/url.h"
#include "cmd/datadir.h"
#include "cmd/progress.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ANSWER_MAX (64 << 20)
#define CONNECT_S 10L
/* Calls answer at once; what takes long is a task. */
#define ANSWER_S 120L
#define PAGE 500
#define POLL_FIRST_MS 30
#define POLL_LAST_MS 500

struct client {
	CURL *curl;
	char *url, *user, *password;
	char *ca_file;                 /* NULL: the system's authorities */
	struct curl_slist *connect_to; /* where the server is, if not where the name of its certificate says */
	char curl_error[CURL_ERROR_SIZE];
};

/* ---- where and who ---- */

static const char *first_of(const char *a, const char *b, const char *c)
{
	if (a != NULL && a[0] != '\0')
		return a;
	return b != NULL && b[0] != '\0' ? b : c;
}

static int read_password(const char *path, char **out, struct err *err)
{
	struct buf text = BUF_INIT(65536);
	struct slice rest;
	int rc = fs_read_file(path, 65536, &text, err);

	if (rc == 0) {
		rest = buf_slice(&text);
		*out = rest.p != NULL ? slice_dup(slice_trim(slice_cut(&rest, '\n'))) : strdup("");
		if (*out == NULL)
			rc = err_set(err, -ERR_NOMEM, "'%s'", path);
	}
	buf_fini(&text);
	return rc;
}

static int client_take(struct client *c, const char *url, const char *user, const char *password, struct err *err)
{
	struct slice s = slice_trim(slice_str(url));
	struct url parts;

	if (url_parse(s, &parts, err) < 0)
		return err_wrap(err, "'%s' is not the URL of a server", url);
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	c->url = slice_dup(s);
	c->user = strdup(user);
	if (password != NULL && c->password == NULL)
		c->password = strdup(password);
	if (c->url == NULL || c->user == NULL || (password != NULL && c->password == NULL))
		return err_set(err, -ERR_NOMEM, "opening '%s'", url);
	return 0;
}

/* Over TLS, what the data directory's server says of itself. */
static int client_take_tls(struct client *c, const struct client_info *info, struct err *err)
{
	char entry[1024];

	if (info->ca_file != NULL && (c->ca_file = strdup(info->ca_file)) == NULL)
		return err_set(err, -ERR_NOMEM, "opening '%s'", c->url);
	if (info->connect_to == NULL)
		return 0;
	(void)snprintf(entry, sizeof(entry), "::%s", info->connect_to);
	c->connect_to = curl_slist_append(NULL, entry);
	return c->connect_to != NULL ? 0 : err_set(err, -ERR_NOMEM, "opening '%s'", c->url);
}

/* The data directory answers what options and environment leave open. */
static int client_configure(struct client *c, const struct options *o, struct err *err)
{
	struct client_info info = {0};
	struct buf dir = BUF_INIT(4096);
	const char *url = first_of(o->server, getenv("SLUICE_SERVER"), NULL);
	int rc = datadir_find(o->data, &dir, err);

	if (rc == 0)
		rc = client_info_read(dir.p, &info, err);
	if (rc < 0 && url == NULL) {
		rc = err_set(err, -ERR_CONNECT,
			"no server is known: '%s/client.json' cannot be read; start one with `sluice serve`, or name "
			"one with --server URL or --data DIR",
			dir.p != NULL ? dir.p : "");
		goto out;
	}
	/* The password of this directory's server is not for another one. */
	if (url != NULL && info.url != NULL && !url_same_origin(slice_str(url), slice_str(info.url)))
		client_info_fini(&info);
	rc = o->password_file != NULL ? read_password(o->password_file, &c->password, err) : 0;
	if (rc == 0)
		rc = client_take(c, first_of(url, info.url, ""), first_of(o->user, info.username, "admin"),
			first_of(getenv("SLUICE_ADMIN_PASSWORD"), info.password, NULL), err);
	if (rc == 0)
		rc = client_take_tls(c, &info, err);
out:
	client_info_fini(&info);
	buf_fini(&dir);
	return rc;
}

int client_open(const struct options *o, struct client **out, struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_set(err, -ERR_NOMEM, "opening the client");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = client_configure(c, o, err);
	if (rc < 0)
		goto out;
	c->curl = curl_easy_init();
	if (c->curl == NULL) {
		rc = err_set(err, -ERR_NOMEM, "opening the client");
		goto out;
	}
	*out = c;
out:
	if (rc < 0)
		client_close(&c);
	return rc;
}

void client_close(struct client **pc)
{
	struct client *c = TAKE(*pc);

	if (c == NULL)
		return;
	if (c->curl != NULL)
		curl_easy_cleanup(c->curl);
	free(c->url);
	free(c->user);
	if (c->password != NULL)
		explicit_bzero(c->password, strlen(c->password));
	free(c->password);
	free(c->ca_file);
	curl_slist_free_all(c->connect_to);
	free(c);
	curl_global_cleanup();
}

const char *client_url(const struct client *c)
{
	return c->url;
}

/* ---- one call ---- */

static void error_text(const json_t *j, const char *key, int depth, struct buf *out)
{
	const char *name;
	json_t *v;
	size_t i;

	if (depth > 8)
		return;
	if (json_is_object(j)) {
		json_object_foreach((json_t *)(uintptr_t)j, name, v)
		{
			bool plain = strcmp(name, "detail") == 0 || strcmp(name, "non_field_errors") == 0 ||
				     (key != NULL && strcmp(name, key) == 0);

			error_text(v, plain ? key : name, depth + 1, out);
		}
	} else if (json_is_array(j)) {
		json_array_foreach(j, i, v) error_text(v, key, depth + 1, out);
	} else if (json_is_string(j)) {
		if (out->n > 0)
			buf_adds(out, "; ");
		if (key != NULL)
			buf_addf(out, "%s: ", key);
		buf_adds(out, json_string_value(j));
	}
}

int client_error_text(const json_t *body, struct buf *out)
{
	error_text(body, NULL, 0, out);
	return out->failed;
}

static size_t take_answer(char *p, size_t size, size_t n, void *arg)
{
	return buf_add(arg, p, size * n) == 0 ? size * n : 0;
}

/* A loopback address is never behind the proxy that the environment names. */
static bool is_loopback(const char *url)
{
	struct url u;

	if (url_parse(slice_str(url), &u, NULL) < 0)
		return false;
	return slice_starts(u.host, SLICE("127.")) || slice_eq(u.host, SLICE("::1")) ||
	       slice_eq_nocase(u.host, SLICE("localhost"));
}

static void client_set_up(struct client *c, const char *method, const char *url, const char *text, struct buf *answer,
	struct curl_slist *headers)
{
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, ANSWER_S);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
	c->curl_error[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->curl_error);
	if (is_loopback(url) || c->connect_to != NULL)
		curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	if (c->connect_to != NULL)
		curl_easy_setopt(c->curl, CURLOPT_CONNECT_TO, c->connect_to);
	if (c->ca_file != NULL)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->ca_file);
	if (c->password != NULL) {
		curl_easy_setopt(c->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(c->curl, CURLOPT_USERNAME, c->user);
		curl_easy_setopt(c->curl, CURLOPT_PASSWORD, c->password);
	}
	if (text != NULL) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
	}
}

static int client_refused(const struct client *c, long status, const json_t *body, struct err *err)
{
	struct buf text = BUF_INIT(700);

	client_error_text(body, &text);
	if (status == 401 && c->password == NULL)
		err_set(err, -ERR_DENIED,
			"the server wants a password: give it in SLUICE_ADMIN_PASSWORD or with --password-file");
	else if (text.n > 0)
		err_set(err, -ERR_DENIED, "the server refused (%ld): %s", status, text.p);
	else
		err_set(err, -ERR_DENIED, "the server answered with status %ld", status);
	buf_fini(&text);
	return -ERR_DENIED;
}

static int client_answer(const struct client *c, long status, struct slice text, json_t **out, struct err *err)
{
	json_error_t je;
	json_t *body = text.n > 0 ? json_loadb(text.p, text.n, JSON_DECODE_ANY, &je) : NULL;
	int rc = 0;

	if (status < 200 || status > 299)
		rc = client_refused(c, status, body, err);
	else if (text.n > 0 && body == NULL)
		rc = err_set(err, -ERR_DENIED, "what answers at '%s' is not the API: %s", c->url, je.text);
	if (rc == 0 && out != NULL)
		*out = TAKE(body);
	json_decref(body);
	return rc;
}

/* The answer as it came, whatever its status. */
static int client_fetch(struct client *c, const char *method, const char *path, const char *text, struct buf *answer,
	long *status, struct err *err)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct buf url = BUF_INIT(65536);
	CURLcode code;
	int rc = 0;

	buf_addf(&url, "%s%s", c->url, path);
	if (headers == NULL || url.failed != 0) {
		rc = err_set(err, -ERR_NOMEM, "calling the server");
		goto out;
	}
	client_set_up(c, method, url.p, text, answer, headers);
	code = curl_easy_perform(c->curl);
	if (code != CURLE_OK)
		rc = err_set(err, -ERR_CONNECT, "no answer from %s: %s", c->url,
			c->curl_error[0] != '\0' ? c->curl_error : curl_easy_strerror(code));
	else
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, status);
out:
	curl_slist_free_all(headers);
	buf_fini(&url);
	return rc;
}

int client_call(
	struct client *c, const char *method, const char *path, const json_t *body, json_t **out, struct err *err)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct buf answer = BUF_INIT(ANSWER_MAX);
	long status = 0;
	int rc;

	if (body != NULL && text == NULL)
		rc = err_set(err, -ERR_NOMEM, "calling the server");
	else
		rc = client_fetch(c, method, path, text, &answer, &status, err);
	if (rc == 0)
		rc = client_answer(c, status, buf_slice(&answer), out, err);
	buf_fini(&answer);
	free(text);
	return rc;
}

int client_metrics(struct client *c, json_t **out, struct err *err)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	struct slice rest;
	json_t *all = NULL;
	long status = 0;
	int rc = client_fetch(c, "GET", "/metrics", NULL, &answer, &status, err);

	if (rc == 0 && status != 200)
		rc = client_refused(c, status, NULL, err);
	if (rc < 0)
		goto out;
	all = json_object();
	for (rest = buf_slice(&answer); rest.p != NULL;) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		ptrdiff_t space = slice_chr(line, ' ');
		int64_t n;

		if (space <= 0 || line.p[0] == '#')
			continue;
		if (slice_to_i64(slice_of(line.p + space + 1, line.n - (size_t)space - 1), INT64_MAX, &n) == 0)
			json_object_setn_new(all, line.p, (size_t)space, json_integer(n));
	}
	*out = all;
out:
	buf_fini(&answer);
	return rc;
}

/* ---- tasks ---- */

static const char *member(const json_t *j, const char *key)
{
	const char *v = json_string_value(json_object_get(j, key));

	return v != NULL ? v : "";
}

static int task_failed(const json_t *task, struct err *err)
{
	const json_t *error = json_object_get(task, "error");
	const char *why = member(error, "description");

	if (why[0] == '\0')
		why = member(error, "reason");
	return err_set(err, -ERR_UPSTREAM, "the task %s%s%s%s",
		strcmp(member(task, "state"), "failed") == 0 ? "" : "was ", member(task, "state"),
		why[0] != '\0' ? ": " : "", why);
}

int client_wait(struct client *c, const char *task_href, struct progress *p, json_t **out, struct err *err)
{
	int64_t ms = POLL_FIRST_MS;
	json_t *task = NULL;
	int rc;

	for (;;) {
		struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS};
		const char *state;

		rc = client_call(c, "GET", task_href, NULL, &task, err);
		if (rc < 0)
			break;
		progress_show(p, task);
		state = member(task, "state");
		if (strcmp(state, "completed") == 0)
			break;
		if (strcmp(state, "failed") == 0 || strcmp(state, "canceled") == 0 || strcmp(state, "skipped") == 0) {
			rc = task_failed(task, err);
			break;
		}
		json_decref(TAKE(task));
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		ms = MIN(ms * 3 / 2, POLL_LAST_MS);
	}
	progress_end(p);
	if (rc == 0 && out != NULL)
		*out = TAKE(task);
	json_decref(task);
	return rc;
}

int client_do(struct client *c, const char *method, const char *path, const json_t *body, bool created, json_t **out,
	struct err *err)
{
	json_t *answer = NULL, *task = NULL, *href;
	size_t i;
	int rc = client_call(c, method, path, body, &answer, err);

	if (rc < 0 || json_object_get(answer, "task") == NULL)
		goto out;
	rc = client_wait(c, member(answer, "task"), NULL, &task, err);
	json_decref(TAKE(answer));
	if (rc < 0)
		goto out;
	if (!created) {
		answer = TAKE(task);
		goto out;
	}
	json_array_foreach(json_object_get(task, "created_resources"), i, href)
	{
		const char *h = json_string_value(href);

		if (h != NULL && strncmp(h, path, strlen(path)) == 0) {
			rc = client_call(c, "GET", h, NULL, &answer, err);
			goto out;
		}
	}
	rc = err_set(err, -ERR_UPSTREAM, "the task that should have made %s… names nothing", path);
out:
	if (rc == 0 && out != NULL)
		*out = TAKE(answer);
	json_decref(task);
	json_decref(answer);
	return rc;
}

/* ---- collections ---- */

int client_find(struct client *c, const char *collection, const char *name, json_t **out, struct err *err)
{
	struct buf path = BUF_INIT(65536);
	json_t *page = NULL, *found;
	int rc;

	buf_addf(&path, "%s?limit=1&name=", collection);
	url_encode(&path, slice_str(name), "");
	rc = path.failed != 0 ? err_set(err, -ERR_INVAL, "the name is too long")
			      : client_call(c, "GET", path.p, NULL, &page, err);
	if (rc == 0) {
		found = json_array_get(json_object_get(page, "results"), 0);
		if (found == NULL)
			rc = err_set(err, -ERR_NOTFOUND, "there is no '%s'", name);
		else
			*out = json_incref(found);
	}
	json_decref(page);
	buf_fini(&path);
	return rc;
}

int client_list(struct client *c, const char *collection, json_t **out, struct err *err)
{
	json_t *all = json_array(), *page = NULL;
	struct buf path = BUF_INIT(65536);
	int rc = all != NULL ? 0 : err_set(err, -ERR_NOMEM, "listing %s", collection);

	while (rc == 0) {
		json_t *results;

		buf_reset(&path);
		buf_addf(&path, "%s%climit=%d&offset=%zu", collection, strchr(collection, '?') != NULL ? '&' : '?',
			PAGE, json_array_size(all));
		rc = client_call(c, "GET", path.p, NULL, &page, err);
		if (rc < 0)
			break;
		results = json_object_get(page, "results");
		if (json_array_size(results) == 0 || json_array_extend(all, results) < 0)
			break;
		if (json_is_null(json_object_get(page, "next")))
			break;
		json_decref(TAKE(page));
	}
	json_decref(page);
	buf_fini(&path);
	if (rc == 0)
		*out = TAKE(all);
	json_decref(all);
	return rc;
}
