/* The server under test and its threads; waiting for what they do. */
#include "certs.h"
#include "rig_priv.h"

#include "base/clock.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

struct rig rig;
bool rig_tls;

static int pattern_fd = -1;
static char *pattern_mem;

const char *pattern_bytes(void)
{
	if (pattern_mem != NULL)
		return pattern_mem;
	pattern_fd = memfd_create("pattern", MFD_CLOEXEC);
	assert_int_equal(ftruncate(pattern_fd, PATTERN_N), 0);
	pattern_mem = mmap(NULL, PATTERN_N, PROT_READ | PROT_WRITE, MAP_SHARED, pattern_fd, 0);
	assert_ptr_not_equal(pattern_mem, MAP_FAILED);
	for (int64_t i = 0; i < PATTERN_N; i++)
		pattern_mem[i] = pattern(i);
	return pattern_mem;
}

int pattern_file(void)
{
	(void)pattern_bytes();
	return pattern_fd;
}

/* ---- waiting ---- */

struct timespec rig_deadline(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += WAIT_S;
	return t;
}

void wait_at_least(pthread_mutex_t *lock, pthread_cond_t *changed, const int *value, int n, const char *what)
{
	struct timespec until = rig_deadline();
	int rc = 0, is;

	pthread_mutex_lock(lock);
	while (*value < n && rc == 0)
		rc = pthread_cond_timedwait(changed, lock, &until);
	is = *value;
	pthread_mutex_unlock(lock);
	if (is < n)
		fail_msg("waited for %s to be %d, it is %d", what, n, is);
}

void wait_metric_past(enum metric m, int64_t before, int64_t n)
{
	const struct timespec moment = {.tv_nsec = NS_PER_MS};
	int64_t until = clock_mono_ns() + WAIT_S * NS_PER_S;

	while (metric_get(m) - before < n && clock_mono_ns() < until)
		(void)nanosleep(&moment, NULL); /* nobody signals a counter */
	assert_true(metric_get(m) - before >= n);
}

void wait_metric(enum metric m, int64_t before, int64_t n)
{
	wait_metric_past(m, before, n);
	assert_int_equal(metric_get(m) - before, n);
}

void rig_bump(int *counter)
{
	pthread_mutex_lock(&rig.lock);
	++*counter;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

void rig_hold(bool hold)
{
	pthread_mutex_lock(&rig.lock);
	rig.hold = hold;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

void rig_pause(int pauses)
{
	pthread_mutex_lock(&rig.lock);
	rig.pauses = pauses;
	pthread_mutex_unlock(&rig.lock);
}

/* ---- set-up ---- */

void rig_defaults(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.loop_count = RIG_LOOPS;
	rig.limits = (struct http_limits){.max_line = 16 * KiB,
		.max_headers = 100,
		.max_header_bytes = 64 * KiB,
		.max_connections = 1000,
		.max_handshakes = 1000,
		.idle_ms = 60000,
		.header_ms = 60000,
		.body_ms = 60000,
		.send_ms = 60000};
	rig.tls.kernel = getenv("SLUICE_TEST_KTLS") != NULL; /* the other way of sending, on a kernel that has it */
	(void)pthread_mutex_init(&rig.lock, NULL);
	(void)pthread_cond_init(&rig.changed, NULL);
	(void)pthread_mutex_init(&rig.script.lock, NULL);
	(void)pthread_cond_init(&rig.script.changed, NULL);
	(void)pattern_bytes();
}

static const char *const *own_certificate(void)
{
	static const char *list[2];

	if (list[0] == NULL)
		list[0] = cert_make("rig.pem", "rig.test", NULL)->path;
	return list;
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	rig_forget_ready();
	return NULL;
}

void rig_start(void)
{
	static const char *const plain[] = {"127.0.0.1:0", NULL}, *const tls[] = {"https://127.0.0.1:0", NULL};
	struct http_server_opts opts = {.loops = rig.loops,
		.loop_count = (size_t)rig.loop_count,
		.listen = rig_tls ? tls : plain,
		.tls = rig_tls ? &rig.tls : NULL,
		.limits = rig.limits,
		.handler = rig_handle,
		.arg = &rig,
		.access_log = rig.access_log,
		.server_name = "rig"};
	struct err err = ERR_INIT;

	if (rig_tls && rig.tls.certificates == NULL)
		rig.tls.certificates = own_certificate();
	for (int i = 0; i < rig.loop_count; i++)
		assert_int_equal(loop_new("rig", &rig.loops[i], &err), 0);
	if (http_server_new(&opts, &rig.server, &err) != 0)
		fail_msg("%s", err.msg);
	rig.port = http_server_port(rig.server, 0);
	assert_true(rig.port > 0);
	for (int i = 0; i < rig.loop_count; i++)
		assert_int_equal(pthread_create(&rig.threads[i], NULL, run_loop, rig.loops[i]), 0);
	http_server_start(rig.server);
}

int rig_set_up(void **state)
{
	rig_defaults();
	rig_start();
	return 0;
}

void rig_drain(int64_t ms)
{
	http_server_drain(rig.server, ms);
	pthread_mutex_lock(&rig.lock);
	rig.drained = true;
	pthread_mutex_unlock(&rig.lock);
}

int rig_tear_down(void **state)
{
	if (rig.server == NULL)
		return 0;
	if (!rig.drained)
		rig_drain(WAIT_S * 1000); /* the clients are gone: nothing should be left to wait for */
	rig_hold(false);
	rig_wait(replies,
		rig.asyncs); /* their threads post to the loops, also for clients that are gone; no more begin now */
	for (int i = 0; i < rig.loop_count; i++)
		loop_stop(rig.loops[i]);
	for (int i = 0; i < rig.loop_count; i++)
		pthread_join(rig.threads[i], NULL);
	http_server_free(&rig.server);
	for (int i = 0; i < rig.loop_count; i++)
		loop_free(&rig.loops[i]);
	assert_int_equal(metric_get(M_http_connections_open), 0);
	assert_int_equal(rig.script.open, 0);
	assert_null(rig.script.first);
	return 0;
}

static bool is_in(const char *name, const char *const *list)
{
	while (*list != NULL && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

int rig_run(const struct CMUnitTest *tests, size_t n, const char *const *plain_only)
{
	struct CMUnitTest over_tls[64];
	size_t count = 0, left_out = 0;
	int failed = _cmocka_run_group_tests("plain", tests, n, NULL, NULL);

	BUG(n > ARRAY_LEN(over_tls));
	for (size_t i = 0; i < n; i++)
		if (!is_in(tests[i].name, plain_only))
			over_tls[count++] = tests[i];
	while (plain_only[left_out] != NULL)
		left_out++;
	BUG(count + left_out != n); /* a name that is none */
	rig_tls = true;
	(void)signal(
		SIGPIPE, SIG_IGN); /* OpenSSL writes for the clients without MSG_NOSIGNAL; loops block it themselves */
	return failed + _cmocka_run_group_tests("TLS", over_tls, count, NULL, NULL);
}
