/* `sluice serve`: everything in one process. The start reads from top to bottom in serve_up(), the end in serve_down();
 * in between the main thread waits for signals and says now and then that the server is alive. */
#include "base/addr.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "base/notify.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/datadir.h"
#include "cmd/presence.h"
#include "cmd/route.h"
#include "cmd/wiring.h"
#include "content/content.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define ITEMS_MAX 64 /* of a list: addresses to listen on, certificates */
#define LOOPS_MAX 256
/* What the last lines wait for a reader that hangs. */
#define LOG_STOP_MS 5000

struct serve {
	struct wiring w;
	struct loop *loops[LOOPS_MAX];
	pthread_t threads[LOOPS_MAX];
	size_t loop_count, thread_count;
	struct pool *pool;
	struct http_server *http; /* NULL: a streamer that listens nowhere else */
	struct http_server *streamer;
	struct content *content;
	struct activity activity;
	struct worker *worker;
	struct route route;
	struct presence presence;
	struct items {
		char *mem;
		const char *list[ITEMS_MAX + 1];
		size_t count;
	} listen, streamer_listen, certificates;
	struct client_info client;
};

/* ---- sizes ---- */

static int processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return MAX(CPU_COUNT(&set), 1);
}

/* Descriptors are connections, open artifacts, flights: as many as the host permits. */
static int64_t raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return 1024;
	if (r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			(void)getrlimit(RLIMIT_NOFILE, &r);
	}
	return r.rlim_cur == RLIM_INFINITY ? 1 << 20 : (int64_t)r.rlim_cur;
}

static int pool_threads(const struct settings *s)
{
	/* Cold reads wait for the disk, so more threads than processors. */
	return s->server_pool_threads > 0 ? (int)s->server_pool_threads : MIN(MAX(4 * processors(), 8), 64);
}

static struct http_limits limits_of(const struct settings *s)
{
	return (struct http_limits){
		.max_line = s->server_max_line,
		.max_headers = s->server_max_headers,
		.max_header_bytes = s->server_max_header_bytes,
		/* The other half of the descriptors is for artifacts, upstreams and the database. */
		.max_connections = s->server_max_connections > 0 ? s->server_max_connections : raise_descriptors() / 2,
		.idle_ms = s->server_idle_timeout,
		.header_ms = s->server_header_timeout,
		.body_ms = s->server_body_timeout,
		.send_ms = s->server_send_timeout,
		.max_handshakes = s->server_tls_max_handshakes,
	};
}

static struct http_tls tls_of(const struct settings *s, const char *const *certificates)
{
	struct http_tls tls = {
		.certificates = certificates,
		.client_ca = s->server_tls_client_ca[0] != '\0' ? s->server_tls_client_ca : NULL,
		.only_1_3 = strcmp(s->server_tls_min_version, "1.3") == 0,
		.kernel = s->server_tls_kernel,
	};

	if (strcmp(s->server_tls_client_certificates, "request") == 0)
		tls.client_certs = HTTP_CERTS_PASS;
	else if (strcmp(s->server_tls_client_certificates, "verify") == 0)
		tls.client_certs = HTTP_CERTS_VERIFY;
	return tls;
}

/* ---- the administrator ---- */

static int random_password(char **out, struct err *err)
{
	uint8_t bytes[20];
	char hex[2 * sizeof(bytes) + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_sys(err, errno, "making a password");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	*out = strdup(hex);
	return *out != NULL ? 0 : err_set(err, -ERR_NOMEM, "making a password");
}

/* A made password is written down before it counts: after a crash in between there is no user yet, and another is made. */
static int admin_make(struct serve *s, struct err *err)
{
	int rc = random_password(&s->client.password, err);

	if (rc == 0)
		rc = client_info_write(s->w.settings.server_data, &s->client, err);
	if (rc == 0)
		rc = api_user_ensure_admin(s->w.catalog, s->client.password, err);
	return rc;
}

/* Fills in s->client but for the URL. */
static int admin_set_up(struct serve *s, struct err *err)
{
	const char *given = getenv("SLUICE_ADMIN_PASSWORD");
	struct client_info before = {0};
	struct err ignored = ERR_INIT;
	int rc;

	s->client.username = strdup("admin");
	if (s->client.username == NULL)
		return err_set(err, -ERR_NOMEM, "setting up the administrator");
	if (given != NULL && given[0] != '\0') {
		rc = api_user_ensure_admin(s->w.catalog, given, err);
		/* No task needs to know it. */
		unsetenv("SLUICE_ADMIN_PASSWORD");
		return rc;
	}
	rc = api_user_has_admin(s->w.catalog, err);
	if (rc == -ERR_NOTFOUND)
		return admin_make(s, err);
	if (rc < 0)
		return rc;
	if (client_info_read(s->w.settings.server_data, &before, &ignored) == 0)
		s->client.password = TAKE(before.password);
	client_info_fini(&before);
	return 0;
}

/* ---- addresses ---- */

static int items_split(const char *text, const char *what, struct items *out, struct err *err)
{
	struct slice rest = slice_str(text);
	char *at = calloc(1, rest.n + ITEMS_MAX + 1);

	out->mem = at;
	if (at == NULL)
		return err_set(err, -ERR_NOMEM, "reading the %s", what);
	while (rest.p != NULL) {
		struct slice item = slice_trim(slice_cut(&rest, ','));

		if (item.n == 0)
			continue;
		if (out->count == ITEMS_MAX)
			return err_set(err, -ERR_INVAL, "more than %d %s", ITEMS_MAX, what);
		memcpy(at, item.p, item.n);
		out->list[out->count++] = at;
		at += item.n + 1;
	}
	return 0;
}

/* The host part of an address, as it stands in a URL. */
static struct slice host_of(const char *address)
{
	const char *scheme = strstr(address, "://"), *host = scheme != NULL ? scheme + 3 : address;

	return slice_of(host, (size_t)slice_rchr(slice_str(host), ':'));
}

/* The same, to connect to: the address that means all addresses is none. */
static struct slice reachable(const char *address)
{
	struct slice host = host_of(address);

	if (slice_eq(host, SLICE("0.0.0.0")))
		return SLICE("127.0.0.1");
	return slice_eq(host, SLICE("[::]")) ? SLICE("[::1]") : host;
}

__attribute__((format(printf, 2, 3))) static int take_printed(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(out, fmt, ap);
	va_end(ap);
	if (n < 0)
		*out = NULL;
	return n < 0 ? -ERR_NOMEM : 0;
}

/* Over TLS the CLI asks for a name that the certificate has, at the address that we listen on, and trusts that very file. */
static int client_tell_tls(struct serve *s)
{
	const char *name = http_server_tls_name(s->http), *any = name[0] == '*' ? "sluice" : "";
	int port = http_server_port(s->http, 0);
	struct slice chain = slice_str(s->certificates.list[0]);
	int rc = take_printed(&s->client.url, "https://%s%s:%d", any, name[0] == '*' ? name + 1 : name, port);

	chain = slice_cut(&chain, ':');
	if (rc == 0)
		rc = take_printed(&s->client.connect_to, "%.*s:%d", SLICE_ARG(reachable(s->listen.list[0])), port);
	return rc == 0 ? take_printed(&s->client.ca_file, "%.*s", SLICE_ARG(chain)) : rc;
}

/* Where the CLI reaches us: by the first address without TLS, if there is one. */
static int client_tell(struct serve *s, struct err *err)
{
	size_t i = 0;
	int rc;

	while (i < s->listen.count && http_server_port_has_tls(s->http, i))
		i++;
	if (i < s->listen.count)
		rc = take_printed(&s->client.url, "http://%.*s:%d", SLICE_ARG(reachable(s->listen.list[i])),
			http_server_port(s->http, i));
	else
		rc = client_tell_tls(s);
	if (rc < 0)
		return err_set(err, rc, "writing client.json");
	return client_info_write(s->w.settings.server_data, &s->client, err);
}

/* ---- steps of the start ---- */

static bool has_role(const struct serve *s, const char *role)
{
	return settings_list_has(s->w.settings.server_roles, slice_str(role));
}

static int up_loops(struct serve *s, struct err *err)
{
	size_t want = s->w.settings.server_loops > 0 ? (size_t)s->w.settings.server_loops : (size_t)processors();
	int rc = 0;

	for (want = MIN(want, LOOPS_MAX); rc == 0 && s->loop_count < want; s->loop_count += rc == 0) {
		char name[32];

		snprintf(name, sizeof(name), "loop%zu", s->loop_count);
		rc = loop_new(name, &s->loops[s->loop_count], err);
	}
	return rc;
}

static int new_http(struct serve *s, const struct items *where, http_handler *handler, void *arg,
	struct http_server **out, struct err *err)
{
	struct http_server_opts opts = {
		.loops = s->loops,
		.loop_count = s->loop_count,
		.listen = where->list,
		.limits = limits_of(&s->w.settings),
		.handler = handler,
		.arg = arg,
		.access_log = s->w.settings.log_access,
		.server_name = "sluice",
	};
	struct http_tls tls = tls_of(&s->w.settings, s->certificates.list);

	if (s->certificates.count > 0 && where == &s->listen)
		opts.tls = &tls;
	return http_server_new(&opts, out, err);
}

static int up_http(struct serve *s, struct err *err)
{
	int rc = items_split(s->w.settings.server_listen, "addresses to listen on", &s->listen, err);

	if (rc == 0)
		rc = items_split(s->w.settings.server_tls_certificates, "certificates", &s->certificates, err);
	if (rc < 0)
		return rc;
	if (s->listen.count > 0)
		return new_http(s, &s->listen, route_handler, &s->route, &s->http, err);
	/* A streamer has its own door. */
	if (has_role(s, "content") || has_role(s, "api") || has_role(s, "redirect"))
		return err_set(err, -ERR_INVAL, "there is no address to listen on");
	return 0;
}

/* After the content service, which answers. */
static int up_streamer(struct serve *s, struct err *err)
{
	const struct settings *set = &s->w.settings;
	struct buf where = BUF_INIT(64 * 1024);
	int rc;

	if (!has_role(s, "streamer"))
		return 0;
	rc = addr_of_interfaces(set->lazy_streamer_interface, (int)set->lazy_streamer_port, &where, err);
	if (rc == 0)
		rc = items_split(where.p != NULL ? where.p : "", "addresses of the streamer", &s->streamer_listen, err);
	if (rc == 0 && s->streamer_listen.count == 0)
		rc = err_set(err, -ERR_INVAL, "the streamer has no address to listen on");
	buf_fini(&where);
	return rc < 0 ? rc : new_http(s, &s->streamer_listen, content_streamer_handler, s->content, &s->streamer, err);
}

static int up_content(struct serve *s, struct err *err)
{
	struct content_opts opts = {
		.loops = s->loops,
		.loop_count = s->loop_count,
		.catalog = s->w.catalog,
		.store = s->w.store,
		.settings = &s->w.settings,
		.space = s->w.space,
		.shm = s->w.shm,
		.needs_publication = formats_need_publication,
		.login = api_login,
		.login_arg = s->w.api,
	};
	int rc;

	if (!has_role(s, "content") && !has_role(s, "streamer") && !has_role(s, "redirect"))
		return 0;
	rc = pool_new("content", pool_threads(&s->w.settings), (int)s->w.settings.server_pool_queue, &s->pool, err);
	opts.pool = s->pool;
	if (rc == 0)
		rc = content_new(&opts, &s->content, err);
	return rc;
}

static void up_route(struct serve *s)
{
	s->route.content_prefix = s->w.settings.content_path_prefix;
	s->route.content_arg = s->content;
	if (has_role(s, "redirect"))
		s->route.redirect = content_redirect_handler;
	if (has_role(s, "content")) {
		s->route.content = content_handler;
		s->presence.content = true;
	}
	if (s->content != NULL) {
		content_activity(s->content, &s->activity);
		api_set_activity(s->w.api, &s->activity);
	}
	if (has_role(s, "api")) {
		s->route.api = api_http_handler;
		s->route.api_arg = s->w.api;
		s->presence.api = true;
	}
}

static void *loop_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

static int up_threads(struct serve *s, struct err *err)
{
	while (s->thread_count < s->loop_count) {
		char name[32];
		int sys = pthread_create(&s->threads[s->thread_count], NULL, loop_main, s->loops[s->thread_count]);

		if (sys != 0)
			return err_sys(err, sys, "starting the loops");
		snprintf(name, sizeof(name), "loop%zu", s->thread_count);
		(void)pthread_setname_np(s->threads[s->thread_count], name); /* for top -H */
		s->thread_count++;
	}
	return 0;
}

static int up_worker(struct serve *s, const struct options *o, struct err *err)
{
	/* The program that runs, even when a newer one has taken its place on disk. */
	char *argv[8] = {(char *)(uintptr_t) "/proc/self/exe", (char *)(uintptr_t) "--data", s->w.settings.server_data};
	struct worker_opts opts = {
		.settings = &s->w.settings, .catalog = s->w.catalog, .shm = s->w.shm, .child_argv = argv};
	size_t n = 3;

	if (!has_role(s, "worker"))
		return 0;
	if (o->config != NULL) {
		argv[n++] = (char *)(uintptr_t) "--config";
		argv[n++] = (char *)(uintptr_t)o->config;
	}
	return worker_start(&opts, &s->worker, err);
}

static const char *scheme_of(const struct http_server *http, size_t i)
{
	return http_server_port_has_tls(http, i) ? "https" : "http";
}

static void announce_one(const char *what, const struct items *where, const struct http_server *http)
{
	for (size_t i = 0; i < where->count; i++)
		log_info("start", "%slistening on %s://%.*s:%d/", what, scheme_of(http, i),
			SLICE_ARG(host_of(where->list[i])), http_server_port(http, i));
	if (where->count > 0)
		printf("%slistening on %s://%.*s:%d/\n", what, scheme_of(http, 0), SLICE_ARG(host_of(where->list[0])),
			http_server_port(http, 0));
}

/* Whoever started us may wait for the last line. */
static void announce(const struct serve *s)
{
	announce_one("streamer ", &s->streamer_listen, s->streamer);
	announce_one("", &s->listen, s->http);
	(void)fflush(stdout); /* it may be closed: then nobody waits */
	(void)notify_send("READY=1");
}

/* The API's process makes its administrator; the others have nobody to let in. */
static int up_wiring(struct serve *s, const struct options *o, struct err *err)
{
	struct settings probe;
	int rc = config_load(o, &probe, err);
	bool server;

	if (rc < 0)
		return rc;
	server = wiring_needs_lock(&probe);
	settings_fini(&probe);
	rc = server ? wiring_open_server(o, &s->w, err) : wiring_open_member(o, &s->w, err);
	return rc == 0 && has_role(s, "api") ? admin_set_up(s, err) : rc;
}

static int serve_up(struct serve *s, const struct options *o, struct err *err)
{
	int rc;

	raise_descriptors();
	rc = up_wiring(s, o, err);
	if (rc == 0)
		rc = up_loops(s, err);
	if (rc == 0)
		rc = up_http(s, err);
	if (rc == 0)
		rc = up_content(s, err);
	if (rc == 0)
		rc = up_streamer(s, err);
	if (rc < 0)
		return rc;
	up_route(s);
	rc = up_threads(s, err);
	if (rc == 0)
		rc = space_start(s->w.space, s->content != NULL ? content_gone : NULL, s->content, err);
	if (rc == 0)
		rc = up_worker(s, o, err);
	if (rc == 0 && has_role(s, "api"))
		rc = client_tell(s, err);
	if (rc < 0)
		return rc;
	presence_beat(&s->presence, s->w.catalog);
	if (s->http != NULL)
		http_server_start(s->http);
	if (s->streamer != NULL)
		http_server_start(s->streamer);
	announce(s);
	return 0;
}

/* ---- the end ---- */

/* A short task may end by itself; a long one is failed and begun anew by whoever wants it, so waiting longer only delays the stop. */
#define TASK_GRACE_MS 5000

/* Requests first, then what they had started, then what nobody uses any more. */
static void serve_down(struct serve *s, int64_t drain_ms)
{
	int64_t deadline = clock_mono_ns() + drain_ms * NS_PER_MS;
#define LEFT_MS MAX((deadline - clock_mono_ns()) / NS_PER_MS, 0)

	if (s->http != NULL && s->thread_count > 0)
		http_server_drain(s->http, LEFT_MS);
	if (s->streamer != NULL && s->thread_count > 0)
		http_server_drain(s->streamer, LEFT_MS);
	space_stop(s->w.space);
	if (s->content != NULL)
		content_drain(s->content, LEFT_MS);
	worker_stop(&s->worker, MIN(LEFT_MS, TASK_GRACE_MS));
#undef LEFT_MS
	for (size_t i = 0; i < s->thread_count; i++)
		loop_stop(s->loops[i]);
	for (size_t i = 0; i < s->thread_count; i++)
		pthread_join(s->threads[i], NULL);
	/* Their jobs may still speak of content and post to loops, so they end before both. */
	if (s->pool != NULL)
		pool_free(&s->pool);
	if (s->w.api_pool != NULL)
		pool_free(&s->w.api_pool);
	if (s->http != NULL)
		http_server_free(&s->http);
	if (s->streamer != NULL)
		http_server_free(&s->streamer);
	content_free(&s->content);
	if (s->w.catalog != NULL)
		presence_end(&s->presence, s->w.catalog);
	for (size_t i = 0; i < s->loop_count; i++)
		loop_free(&s->loops[i]);
	wiring_close(&s->w);
	client_info_fini(&s->client);
	free(s->listen.mem);
	free(s->streamer_listen.mem);
	free(s->certificates.mem);
}

/* Certificates are renewed while we run: SIGHUP says so, and if nobody says so their files do. */
static void reload_tls(struct serve *s, bool always)
{
	struct err err = ERR_INIT;
	int rc = s->http != NULL ? http_server_reload_tls(s->http, always, &err) : 0;

	if (rc < 0)
		log_error("start", "certificates are not reloaded, those in use stay: %s", err.msg);
	else if (rc > 0)
		log_info("start", "certificates reloaded");
	else if (always)
		log_info("start", "nothing to reload: there is no certificate");
}

static void serve_wait(struct serve *s, const sigset_t *signals)
{
	int64_t beat_ms = s->w.settings.tasks_worker_ttl / 4, dog_ms = notify_watchdog_ms() / 2;
	int64_t every_ns = (dog_ms > 0 ? MIN(beat_ms, dog_ms) : beat_ms) * NS_PER_MS;
	struct timespec every = {.tv_sec = every_ns / NS_PER_S, .tv_nsec = every_ns % NS_PER_S};
	int sig;

	while ((sig = sigtimedwait(signals, NULL, &every)) < 0 || sig == SIGHUP) {
		if (sig == SIGHUP) {
			reload_tls(s, true);
		} else if (errno == EAGAIN) {
			presence_beat(&s->presence, s->w.catalog);
			(void)notify_send("WATCHDOG=1"); /* unless it listens */
			reload_tls(s, false);
		}
	}
	(void)notify_send("STOPPING=1");
	log_info("start", "signal %d: stopping; another one ends the server at once", sig);
}

int cmd_serve(const struct options *o)
{
	static const int awaited[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct serve *s = calloc(1, sizeof(*s));
	struct err err = ERR_INIT;
	sigset_t signals;
	int rc;

	if (s == NULL)
		return commands_fail("serve", -ERR_NOMEM, &err);
	s->w.lock_fd = s->w.tasks_lock_fd = -1;
	/* Before any thread: they inherit the mask, so that only sigtimedwait sees these. */
	sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_LEN(awaited); i++)
		sigaddset(&signals, awaited[i]);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = log_writer_start(&err);
	if (rc == 0)
		rc = serve_up(s, o, &err);
	if (rc == 0) {
		serve_wait(s, &signals);
		pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	}
	serve_down(s, rc == 0 ? s->w.settings.server_drain_timeout : 0);
	curl_global_cleanup();
	free(s);
	log_writer_stop(LOG_STOP_MS);
	if (rc == 0)
		return EXIT_OK;
	/* The other codes speak of a server that one talks to. */
	return commands_fail("serve", rc, &err) == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
