/* REST calls of the CLI. */
#include "cmd/client.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/url.h"
#include "cmd/datadir.h"
#include "cmd/progress.h"
#include "cmd/textfile.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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
	long limit_ms;
	char curl_error[CURL_ERROR_SIZE];
};

/* ---- where and who ---- */

static const char *first_of(const char *a, const char *b, const char *c)
{
	if (a != NULL && a[0] != '\0')
		return a;
	return b != NULL && b[0] != '\0' ? b : c;
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
	rc = o->password_file != NULL ? textfile_first_line(o->password_file, &c->password, err) : 0;
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

void client_limit(struct client *c, long ms)
{
	c->limit_ms = ms;
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

/* What is sent: a text, a form, or nothing. */
struct request {
	const char *method, *path;
	const char *text;
	curl_mime *form;
	const char *header; /* one more; NULL: none */
};

static void client_set_up(
	struct client *c, const struct request *r, const char *url, struct buf *answer, struct curl_slist *headers)
{
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	if (r->form == NULL) {
		curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, c->limit_ms > 0 ? c->limit_ms : ANSWER_S * 1000);
	} else {
		curl_easy_setopt(c->curl, CURLOPT_MIMEPOST, r->form);
		curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, ANSWER_S);
	}
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
	if (r->text != NULL) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(r->text));
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, r->text);
	}
	/* Last: a body would make it a POST. */
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, r->method);
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
static int client_fetch(struct client *c, const struct request *r, struct buf *answer, long *status, struct err *err)
{
	/* A server is never asked whether it wants a body: it would cost a round trip. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:"), *more = NULL;
	struct buf url = BUF_INIT(1 << 20);
	CURLcode code;
	int rc = 0;

	buf_addf(&url, "%s%s", c->url, r->path);
	if (headers != NULL)
		more = curl_slist_append(headers, r->header != NULL ? r->header : "Accept: application/json");
	if (more != NULL && r->form == NULL)
		more = curl_slist_append(headers, "Content-Type: application/json");
	if (more == NULL || url.failed != 0) {
		rc = err_set(err, -ERR_NOMEM, "calling the server");
		goto out;
	}
	client_set_up(c, r, url.p, answer, headers);
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

static int client_ask(struct client *c, const struct request *r, json_t **out, struct err *err)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	long status = 0;
	int rc = client_fetch(c, r, &answer, &status, err);

	if (rc == 0)
		rc = client_answer(c, status, buf_slice(&answer), out, err);
	buf_fini(&answer);
	return rc;
}

int client_call(
	struct client *c, const char *method, const char *path, const json_t *body, json_t **out, struct err *err)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct request r = {.method = method, .path = path, .text = text};
	int rc = body != NULL && text == NULL ? err_set(err, -ERR_NOMEM, "calling the server")
					      : client_ask(c, &r, out, err);

	free(text);
	return rc;
}

/* ---- files ---- */

static size_t part_read(char *p, size_t size, size_t n, void *arg)
{
	struct client_part *part = arg;
	size_t want = (size_t)MIN((int64_t)(size * n), part->size - part->at);
	ssize_t got = want > 0 ? pread(part->fd, p, want, part->off + part->at) : 0;

	/* A file that has become shorter meanwhile is no file to send. */
	if (got < 0 || (got == 0 && want > 0))
		return CURL_READFUNC_ABORT;
	part->at += got;
	if (part->sent != NULL)
		part->sent(part->arg, part->off + part->at);
	return (size_t)got;
}

static int part_seek(void *arg, curl_off_t off, int origin)
{
	struct client_part *part = arg;

	if (origin != SEEK_SET || off < 0 || off > part->size)
		return CURL_SEEKFUNC_CANTSEEK;
	part->at = off;
	return CURL_SEEKFUNC_OK;
}

static int form_add_field(curl_mime *form, const char *name, const json_t *v)
{
	char *text = json_is_string(v) ? strdup(json_string_value(v)) : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	curl_mimepart *field = text != NULL ? curl_mime_addpart(form) : NULL;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (field != NULL && (code = curl_mime_name(field, name)) == CURLE_OK)
		code = curl_mime_data(field, text, CURL_ZERO_TERMINATED);
	free(text);
	return code == CURLE_OK ? 0 : -ERR_NOMEM;
}

static int form_add_part(curl_mime *form, struct client_part *part)
{
	curl_mimepart *field = curl_mime_addpart(form);

	part->at = 0;
	if (field == NULL || curl_mime_name(field, "file") != CURLE_OK ||
		curl_mime_filename(field, part->name) != CURLE_OK ||
		curl_mime_type(field, "application/octet-stream") != CURLE_OK ||
		curl_mime_data_cb(field, part->size, part_read, part_seek, NULL, part) != CURLE_OK)
		return -ERR_NOMEM;
	return 0;
}

int client_send(struct client *c, const char *method, const char *path, const json_t *fields, struct client_part *part,
	const char *header, json_t **out, struct err *err)
{
	struct request r = {.method = method, .path = path, .form = curl_mime_init(c->curl), .header = header};
	const char *name;
	json_t *v;
	int rc = r.form != NULL ? 0 : -ERR_NOMEM;

	json_object_foreach((json_t *)(uintptr_t)fields, name, v)
	{
		if (rc == 0)
			rc = form_add_field(r.form, name, v);
	}
	if (rc == 0)
		rc = form_add_part(r.form, part);
	rc = rc < 0 ? err_set(err, rc, "sending '%s'", part->name) : client_ask(c, &r, out, err);
	curl_mime_free(r.form);
	return rc;
}

int client_metrics(struct client *c, json_t **out, struct err *err)
{
	struct request r = {.method = "GET", .path = "/metrics", .header = "Accept: text/plain"};
	struct buf answer = BUF_INIT(ANSWER_MAX);
	struct slice rest;
	json_t *all = NULL;
	long status = 0;
	int rc = client_fetch(c, &r, &answer, &status, err);

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

int client_take_made(struct client *c, const json_t *answer, const char *path, json_t **out, struct err *err)
{
	const char *task_href = member(answer, "task");
	json_t *task = NULL, *href;
	size_t i;
	int rc;

	if (task_href[0] == '\0') {
		if (out != NULL)
			*out = json_incref((json_t *)(uintptr_t)answer);
		return 0;
	}
	rc = client_wait(c, task_href, NULL, &task, err);
	if (rc < 0)
		return rc;
	json_array_foreach(json_object_get(task, "created_resources"), i, href)
	{
		const char *h = json_string_value(href);

		if (h != NULL && strncmp(h, path, strlen(path)) == 0) {
			rc = client_call(c, "GET", h, NULL, out, err);
			goto out;
		}
	}
	rc = err_set(err, -ERR_UPSTREAM, "the task that should have made %s… names nothing", path);
out:
	json_decref(task);
	return rc;
}

int client_do(struct client *c, const char *method, const char *path, const json_t *body, bool created, json_t **out,
	struct err *err)
{
	json_t *answer = NULL;
	int rc = client_call(c, method, path, body, &answer, err);

	if (rc == 0 && !created && json_object_get(answer, "task") != NULL)
		rc = client_wait(c, member(answer, "task"), NULL, out, err);
	else if (rc == 0)
		rc = client_take_made(c, answer, path, out, err);
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

int client_list_first(
	struct client *c, const char *collection, int64_t limit, json_t **out, int64_t *count, struct err *err)
{
	struct slice given = slice_str(collection);
	bool open = slice_ends(given, SLICE("?")) || slice_ends(given, SLICE("&"));
	const char *joint = open ? "" : slice_chr(given, '?') >= 0 ? "&" : "?";
	json_t *all = json_array(), *page = NULL;
	struct buf path = BUF_INIT(1 << 20);
	int rc = all != NULL ? 0 : err_set(err, -ERR_NOMEM, "listing %s", collection);

	while (rc == 0) {
		int64_t have = (int64_t)json_array_size(all), want = limit > 0 ? MIN(limit - have, PAGE) : PAGE;
		json_t *results;

		buf_reset(&path);
		buf_addf(&path, "%s%slimit=%lld&offset=%lld", collection, joint, (long long)want, (long long)have);
		json_decref(TAKE(page));
		rc = client_call(c, "GET", path.p, NULL, &page, err);
		if (rc < 0)
			break;
		results = json_object_get(page, "results");
		*count = json_integer_value(json_object_get(page, "count"));
		if (json_array_size(results) == 0 || json_array_extend(all, results) < 0)
			break;
		if (json_is_null(json_object_get(page, "next")) ||
			(limit > 0 && (int64_t)json_array_size(all) >= limit))
			break;
	}
	json_decref(page);
	buf_fini(&path);
	if (rc == 0)
		*out = TAKE(all);
	json_decref(all);
	return rc;
}

int client_list(struct client *c, const char *collection, json_t **out, struct err *err)
{
	int64_t count = 0;

	return client_list_first(c, collection, 0, out, &count, err);
}
