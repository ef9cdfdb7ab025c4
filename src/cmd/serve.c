/* `sluice serve`: everything in one process. The start reads from top to bottom in serve_up(), the end in serve_down();
 * in between the main thread waits for signals and says now and then that the server is alive. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/commands.h"
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

#define LISTEN_MAX 16
#define LOOPS_MAX 256

struct serve {
	struct wiring w;
	struct loop *loops[LOOPS_MAX];
	pthread_t threads[LOOPS_MAX];
	size_t loop_count, thread_count;
	struct pool *pool;
	struct http_server *http;
	struct content *content;
	struct worker *worker;
	struct route route;
	struct presence presence;
	char *listen_mem;
	const char *listen[LISTEN_MAX + 1];
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
	};
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

static int listen_split(struct serve *s, struct err *err)
{
	struct slice rest = slice_str(s->w.settings.server_listen);
	size_t n = 0;
	char *at;

	s->listen_mem = at = calloc(1, rest.n + LISTEN_MAX + 1);
	if (at == NULL)
		return err_set(err, -ERR_NOMEM, "reading the addresses");
	while (rest.p != NULL) {
		struct slice item = slice_trim(slice_cut(&rest, ','));

		if (item.n == 0)
			continue;
		if (n == LISTEN_MAX)
			return err_set(err, -ERR_INVAL, "more than %d addresses to listen on", LISTEN_MAX);
		memcpy(at, item.p, item.n);
		s->listen[n++] = at;
		at += item.n + 1;
	}
	return n > 0 ? 0 : err_set(err, -ERR_INVAL, "there is no address to listen on");
}

/* The host part of address i, as it stands in a URL. */
static struct slice listen_host(const struct serve *s, size_t i)
{
	return slice_of(s->listen[i], (size_t)slice_rchr(slice_str(s->listen[i]), ':'));
}

/* Where the CLI reaches us: the address that means all addresses is none to connect to. */
static int client_tell(struct serve *s, struct err *err)
{
	struct slice host = listen_host(s, 0);
	char url[512];

	if (slice_eq(host, SLICE("0.0.0.0")))
		host = SLICE("127.0.0.1");
	else if (slice_eq(host, SLICE("[::]")))
		host = SLICE("[::1]");
	snprintf(url, sizeof(url), "http://%.*s:%d", SLICE_ARG(host), http_server_port(s->http, 0));
	s->client.url = strdup(url);
	if (s->client.url == NULL)
		return err_set(err, -ERR_NOMEM, "writing client.json");
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

static int up_http(struct serve *s, struct err *err)
{
	struct http_server_opts opts = {
		.loops = s->loops,
		.loop_count = s->loop_count,
		.listen = s->listen,
		.limits = limits_of(&s->w.settings),
		.handler = route_handler,
		.arg = &s->route,
		.access_log = s->w.settings.log_access,
		.server_name = "sluice",
	};
	int rc = listen_split(s, err);

	return rc < 0 ? rc : http_server_new(&opts, &s->http, err);
}

static int up_content(struct serve *s, struct err *err)
{
	struct content_opts opts = {
		.loops = s->loops,
		.loop_count = s->loop_count,
		.catalog = s->w.catalog,
		.store = s->w.store,
		.settings = &s->w.settings,
		.shm = s->w.shm,
		.needs_publication = formats_need_publication,
	};
	int rc;

	if (!has_role(s, "content"))
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
	if (has_role(s, "content")) {
		s->route.content = content_handler;
		s->route.content_arg = s->content;
		s->presence.content = true;
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
		int sys = pthread_create(&s->threads[s->thread_count], NULL, loop_main, s->loops[s->thread_count]);

		if (sys != 0)
			return err_sys(err, sys, "starting the loops");
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

/* Whoever started us may wait for this line. */
static void announce(const struct serve *s)
{
	for (size_t i = 0; s->listen[i] != NULL; i++) {
		struct slice host = listen_host(s, i);

		log_info("start", "listening on http://%.*s:%d/", SLICE_ARG(host), http_server_port(s->http, i));
	}
	printf("listening on http://%.*s:%d/\n", SLICE_ARG(listen_host(s, 0)), http_server_port(s->http, 0));
	(void)fflush(stdout); /* it may be closed: then nobody waits */
}

static int serve_up(struct serve *s, const struct options *o, struct err *err)
{
	int rc;

	raise_descriptors();
	rc = wiring_open_server(o, &s->w, err);
	if (rc == 0)
		rc = admin_set_up(s, err);
	if (rc == 0)
		rc = up_loops(s, err);
	if (rc == 0)
		rc = up_http(s, err);
	if (rc == 0)
		rc = up_content(s, err);
	if (rc < 0)
		return rc;
	up_route(s);
	rc = up_threads(s, err);
	if (rc == 0)
		rc = up_worker(s, o, err);
	if (rc == 0)
		rc = client_tell(s, err);
	if (rc < 0)
		return rc;
	presence_beat(&s->presence, s->w.catalog);
	http_server_start(s->http);
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
	content_free(&s->content);
	if (s->w.catalog != NULL)
		presence_end(&s->presence, s->w.catalog);
	for (size_t i = 0; i < s->loop_count; i++)
		loop_free(&s->loops[i]);
	wiring_close(&s->w);
	client_info_fini(&s->client);
	free(s->listen_mem);
}

static void serve_wait(struct serve *s, const sigset_t *signals)
{
	int64_t every_ns = s->w.settings.tasks_worker_ttl * NS_PER_MS / 4;
	struct timespec every = {.tv_sec = every_ns / NS_PER_S, .tv_nsec = every_ns % NS_PER_S};
	int sig;

	while ((sig = sigtimedwait(signals, NULL, &every)) < 0) {
		if (errno == EAGAIN)
			presence_beat(&s->presence, s->w.catalog);
	}
	log_info("start", "signal %d: stopping; another one ends the server at once", sig);
}

int cmd_serve(const struct options *o)
{
	static const int stops[] = {SIGTERM, SIGINT, SIGHUP};
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
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		sigaddset(&signals, stops[i]);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = serve_up(s, o, &err);
	if (rc == 0) {
		serve_wait(s, &signals);
		pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	}
	serve_down(s, rc == 0 ? s->w.settings.server_drain_timeout : 0);
	curl_global_cleanup();
	free(s);
	if (rc == 0)
		return EXIT_OK;
	/* The other codes speak of a server that one talks to. */
	return commands_fail("serve", rc, &err) == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
