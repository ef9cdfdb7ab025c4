/* TLS as clients see it: certificates by name, versions, protocols, sessions, renewed certificates, client certificates, handshakes that
 * do not come to an end. That HTTP is the same over TLS is what the other suites of this folder show, which run twice. */
#include "certs.h"
#include "client.h"

#include "base/err.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <time.h>

/* What a client begins with. */
struct offer {
	const char *name, *protocols; /* "\x02h2"; NULL: none */
	int version;                  /* 0: any */
	const struct cert *cert;
	SSL_SESSION *session;
};

/* The handshake; false: refused. */
static bool shake(struct client *c, const struct offer *o)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	bool done;

	assert_non_null(ctx);
	SSL_CTX_set_security_level(ctx, 0); /* for versions that are not offered any more */
	c->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	assert_non_null(c->ssl);
	assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
	if (o->version != 0) {
		assert_int_equal(SSL_set_min_proto_version(c->ssl, o->version), 1);
		assert_int_equal(SSL_set_max_proto_version(c->ssl, o->version), 1);
	}
	if (o->name != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(c->ssl, o->name), 1);
	if (o->protocols != NULL)
		assert_int_equal(SSL_set_alpn_protos(
					 c->ssl, (const unsigned char *)o->protocols, (unsigned)strlen(o->protocols)),
			0);
	if (o->cert != NULL) {
		assert_int_equal(SSL_use_certificate(c->ssl, o->cert->x509), 1);
		assert_int_equal(SSL_use_PrivateKey(c->ssl, o->cert->key), 1);
	}
	if (o->session != NULL)
		assert_int_equal(SSL_set_session(c->ssl, o->session), 1);
	done = SSL_connect(c->ssl) == 1;
	ERR_clear_error();
	return done;
}

static struct client shaken(const struct offer *o)
{
	struct client c = client_new();

	assert_true(shake(&c, o));
	return c;
}

static void served(struct client *c)
{
	struct answer a;

	client_get(c, "/mem?3");
	a = client_expect(c, 200, pattern_bytes(), 3);
	answer_fini(&a);
}

static bool shows(const struct client *c, const struct cert *want)
{
	return X509_cmp(SSL_get0_peer_certificate(c->ssl), want->x509) == 0;
}

static int set_up(void **state)
{
	rig_tls = true;
	return rig_set_up(state);
}

/* ---- certificates ---- */

static const struct cert *first, *second, *many;

static int set_up_names(void **state)
{
	static const char *list[4];

	rig_tls = true;
	rig_defaults();
	if (first == NULL) {
		first = cert_make("first.pem", "first.test", NULL);
		second = cert_make("second.pem", "second.test,also.second.test", NULL);
		many = cert_make_kind("many.pem", "*.many.test", NULL,
			(struct cert_kind){.from_s = -60, .to_s = 86400 * 90, .rsa = true});
	}
	list[0] = first->path;
	list[1] = second->path;
	list[2] = many->path;
	rig.tls.certificates = list;
	rig_start();
	return 0;
}

static void test_certificates_by_name(void **state)
{
	const struct {
		const char *name;
		const struct cert *want;
	} rows[] = {{"first.test", first}, {"second.test", second}, {"also.second.test", second},
		{"SECOND.test", second}, {"x.many.test", many}, {"many.test", first}, {"a.b.many.test", first},
		{"nobody.test", first}, {NULL, first}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct client c = shaken(&(struct offer){.name = rows[i].name, .version = version});

			assert_true(shows(&c, rows[i].want));
			served(&c);
			client_close(&c);
		}
	}
}

static void test_versions(void **state)
{
	int64_t failures = metric_get(M_http_tls_failures), handshakes = metric_get(M_http_tls_handshakes);
	const int old[] = {TLS1_VERSION, TLS1_1_VERSION};
	struct client c;

	for (size_t i = 0; i < ARRAY_LEN(old); i++) {
		c = client_new();
		assert_false(shake(&c, &(struct offer){.version = old[i]}));
		client_close(&c);
	}
	wait_metric(M_http_tls_failures, failures, 2);
	c = shaken(&(struct offer){.version = TLS1_2_VERSION});
	served(&c);
	client_close(&c);
	c = shaken(&(struct offer){0});
	assert_int_equal(SSL_version(c.ssl), TLS1_3_VERSION);
	served(&c);
	client_close(&c);
	assert_int_equal(metric_get(M_http_tls_handshakes) - handshakes, 2);
}

static int set_up_only_1_3(void **state)
{
	rig_tls = true;
	rig_defaults();
	rig.tls.only_1_3 = true;
	rig_start();
	return 0;
}

static void test_only_1_3(void **state)
{
	struct client c = client_new();

	assert_false(shake(&c, &(struct offer){.version = TLS1_2_VERSION}));
	client_close(&c);
	c = shaken(&(struct offer){0});
	served(&c);
	client_close(&c);
}

static void test_protocols(void **state)
{
	static const struct {
		const char *offered, *chosen;
	} rows[] = {{NULL, ""}, {"\x08http/1.1", "http/1.1"}, {"\x02h2\x08http/1.1", "http/1.1"},
		{"\x08http/1.0", "http/1.0"}};
	struct client c;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const unsigned char *chosen = NULL;
		unsigned int n = 0;

		c = shaken(&(struct offer){.protocols = rows[i].offered});
		SSL_get0_alpn_selected(c.ssl, &chosen, &n);
		assert_int_equal(n, strlen(rows[i].chosen));
		assert_true(n == 0 || memcmp(chosen, rows[i].chosen, n) == 0);
		served(&c);
		client_close(&c);
	}
	c = client_new();
	assert_false(shake(&c, &(struct offer){.protocols = "\x02h2"}));
	client_close(&c);
}

/* ---- sessions ---- */

static SSL_SESSION *taken;

static int take_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(taken);
	taken = session;
	return 1;
}

/* A connection that has brought a ticket. */
static void get_session(struct offer *o)
{
	struct client c;
	SSL_CTX *ctx;

	c = client_new();
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, take_session);
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, o->version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, o->version), 1);
	if (o->cert != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(ctx, o->cert->x509), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, o->cert->key), 1);
	}
	client_ctx = ctx;
	served(&c); /* TLS 1.3 sends tickets behind the handshake */
	client_close(&c);
	client_ctx = NULL;
	SSL_CTX_free(ctx);
	assert_non_null(taken);
	o->session = taken;
}

static void forget_session(struct offer *o)
{
	SSL_SESSION_free(TAKE(taken));
	o->session = NULL;
}

static void test_sessions_are_resumed_on_any_loop(void **state)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		int64_t resumed = metric_get(M_http_tls_resumed);
		struct offer o = {.version = version};

		get_session(&o);
		for (int i = 0; i < 16; i++) { /* on either loop, all but surely */
			struct client c = shaken(&o);

			assert_int_equal(SSL_session_reused(c.ssl), 1);
			served(&c);
			client_close(&c);
		}
		assert_int_equal(metric_get(M_http_tls_resumed) - resumed, 16);
		forget_session(&o);
	}
}

/* ---- certificates that change ---- */

static void test_reload(void **state)
{
	struct client before = shaken(&(struct offer){.name = "second.test"}), c;
	const struct cert *renewed = cert_make("renewed.pem", "second.test", NULL);
	struct offer resumed = {.version = TLS1_3_VERSION};
	struct err err = ERR_INIT;
	struct answer a;

	assert_true(shows(&before, second));
	get_session(&resumed);
	assert_int_equal(http_server_reload_tls(rig.server, false, &err), 0);
	script_begin(100000, 1000, true);
	client_get(&before, "/script");
	script_wait(sleeps, 1);
	cert_write(second->path, renewed->x509, renewed->key);
	assert_int_equal(http_server_reload_tls(rig.server, false, &err), 1);
	assert_int_equal(http_server_reload_tls(rig.server, false, &err), 0);
	c = shaken(&(struct offer){.name = "second.test"});
	assert_true(shows(&c, renewed));
	served(&c);
	client_close(&c);
	/* A transfer goes on, and so does its connection; tickets hold. */
	script_grow(100000);
	a = client_expect(&before, 200, pattern_bytes(), 100000);
	answer_fini(&a);
	served(&before);
	client_close(&before);
	c = shaken(&resumed);
	assert_int_equal(SSL_session_reused(c.ssl), 1);
	client_close(&c);
	forget_session(&resumed);
	cert_write(second->path, second->x509, second->key);
}

static void test_what_cannot_be_loaded_changes_nothing(void **state)
{
	struct err err = ERR_INIT;
	struct client c;

	cert_write(second->path, second->x509, first->key);
	assert_true(http_server_reload_tls(rig.server, false, &err) < 0);
	assert_non_null(strstr(err.msg, second->path));
	/* Said once, unless somebody asks. */
	assert_int_equal(http_server_reload_tls(rig.server, false, &err), 0);
	assert_true(http_server_reload_tls(rig.server, true, &err) < 0);
	c = shaken(&(struct offer){.name = "second.test"});
	assert_true(shows(&c, second));
	served(&c);
	client_close(&c);
	cert_write(second->path, second->x509, second->key);
	assert_int_equal(http_server_reload_tls(rig.server, false, &err), 1);
	assert_int_equal(http_server_reload_tls(rig.server, true, &err), 1);
}

static void *reload_again_and_again(void *arg)
{
	const bool *stop = arg;
	struct err err = ERR_INIT;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		assert_int_equal(http_server_reload_tls(rig.server, true, &err), 1);
	return NULL;
}

static void test_reload_while_clients_come(void **state)
{
	bool stop = false;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, reload_again_and_again, &stop), 0);
	for (int i = 0; i < 50; i++) {
		struct client c = shaken(&(struct offer){.name = i % 2 == 0 ? "second.test" : "x.many.test"});

		assert_true(shows(&c, i % 2 == 0 ? second : many));
		served(&c);
		client_close(&c);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
}

/* ---- client certificates ---- */

static const struct cert *authority, *vouched, *stranger;

static void make_clients(void)
{
	rig_tls = true;
	rig_defaults();
	if (authority != NULL)
		return;
	authority = cert_make("authority.pem", "authority.test", NULL);
	vouched = cert_make("vouched.pem", "vouched.test", authority);
	stranger = cert_make_kind(
		"stranger.pem", "stranger.test", NULL, (struct cert_kind){.from_s = -7200, .to_s = -3600});
}

static int set_up_passing(void **state)
{
	make_clients();
	rig.tls.client_certs = HTTP_CERTS_PASS;
	rig_start();
	return 0;
}

static int set_up_verifying(void **state)
{
	make_clients();
	rig.tls.client_certs = HTTP_CERTS_VERIFY;
	rig.tls.client_ca = authority->path;
	rig_start();
	return 0;
}

static int set_up_not_asking(void **state)
{
	make_clients();
	rig_start();
	return 0;
}

/* What the handler is given. */
static void expect_cert(struct client *c, const struct cert *want)
{
	unsigned char *der = NULL;
	int n = want != NULL ? i2d_X509(want->x509, &der) : 0;
	struct answer a;

	client_get(c, "/cert");
	a = client_expect(c, 200, (const char *)der, (size_t)n);
	answer_fini(&a);
	OPENSSL_free(der);
}

static void expect_certs(const struct cert *shown, const struct cert *seen)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client c = shaken(&(struct offer){.version = version, .cert = shown});

		expect_cert(&c, seen);
		expect_cert(&c, seen); /* of each request */
		client_close(&c);
	}
}

static void test_client_certificates_are_handed_on(void **state)
{
	expect_certs(NULL, NULL);
	expect_certs(vouched, vouched);
	expect_certs(stranger, stranger); /* expired, and signed by itself: whoever asks for it judges it */
}

/* A resumed session is the same client. */
static void test_client_certificates_of_resumed_sessions(void **state)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct offer o = {.version = version, .cert = vouched};
		struct client c;

		get_session(&o);
		o.cert = NULL;
		c = shaken(&o);
		assert_int_equal(SSL_session_reused(c.ssl), 1);
		expect_cert(&c, vouched);
		client_close(&c);
		forget_session(&o);
	}
}

static void test_client_certificates_are_verified(void **state)
{
	int64_t failures = metric_get(M_http_tls_failures);

	expect_certs(NULL, NULL);
	expect_certs(vouched, vouched);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client c = client_new();

		/* In TLS 1.3 the client is through before the server has seen its certificate. */
		if (shake(&c, &(struct offer){.version = version, .cert = stranger})) {
			char byte;

			client_get(&c, "/cert");
			assert_true(client_recv(&c, &byte, 1) <= 0);
		}
		client_close(&c);
	}
	wait_metric(M_http_tls_failures, failures, 2);
}

static void test_client_certificates_nobody_asked_for(void **state)
{
	expect_certs(vouched, NULL);
}

/* ---- handshakes that do not end, and what is none ---- */

static int set_up_impatient(void **state)
{
	rig_tls = true;
	rig_defaults();
	rig.limits.header_ms = 100;
	rig_start();
	return 0;
}

static void test_a_handshake_that_does_not_come(void **state)
{
	int64_t timeouts = metric_get(M_http_timeouts), failures = metric_get(M_http_tls_failures);
	struct client silent = client_new(), slow;
	const struct timespec moment = {.tv_nsec = 5000000};
	char byte;

	assert_int_equal(recv(silent.fd, &byte, 1, 0), 0);
	/* A byte now and then moves no deadline: a record that never ends. */
	slow = client_new();
	assert_int_equal(send(slow.fd, "\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb", 9, MSG_NOSIGNAL), 9);
	while (send(slow.fd, "x", 1, MSG_NOSIGNAL) == 1 && recv(slow.fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		(void)nanosleep(&moment, NULL);
	wait_metric(M_http_timeouts, timeouts, 2);
	assert_int_equal(metric_get(M_http_tls_failures) - failures, 2);
	client_close(&silent);
	client_close(&slow);
}

/* What follows the handshake has its own. */
static int set_up_idle(void **state)
{
	rig_tls = true;
	rig_defaults();
	rig.limits.idle_ms = 100;
	rig_start();
	return 0;
}

static void test_a_silent_client_is_told_of_the_end(void **state)
{
	int64_t timeouts = metric_get(M_http_timeouts);
	struct client c = shaken(&(struct offer){0});

	assert_false(client_is_closed(&c));
	assert_false(c.cut);
	assert_int_equal(metric_get(M_http_timeouts) - timeouts, 1);
	client_close(&c);
}

static int set_up_send(void **state)
{
	rig_tls = true;
	rig_defaults();
	rig.limits.send_ms = 100;
	rig_start();
	return 0;
}

static void test_a_reader_that_reads_nothing_is_cut_off(void **state)
{
	static const char *const targets[] = {"/mem?8000000", "/file?8000000", "/script"};

	script_begin(-1, PATTERN_N, false);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		int64_t before = metric_get(M_http_timeouts);
		struct client c = client_new_slow();
		struct answer a;

		client_get(&c, targets[i]);
		wait_metric(M_http_timeouts, before, 1);
		a = client_read(&c, false);
		assert_int_equal(a.status, 200);
		assert_false(a.complete);
		answer_fini(&a);
		client_close(&c);
	}
}

static int set_up_two(void **state)
{
	rig_tls = true;
	rig_defaults();
	rig.limits.max_handshakes = 2;
	rig_start();
	return 0;
}

static void test_too_many_handshakes_wait(void **state)
{
	int64_t accepted = metric_get(M_http_connections_accepted);
	struct client held[2] = {client_new(), client_new()}, late;

	wait_metric(M_http_connections_accepted, accepted, 2);
	late = client_new();
	wait_metric_past(M_http_tls_waits, 0, 1);
	assert_int_equal(metric_get(M_http_connections_accepted) - accepted, 2);
	client_close(&held[0]);
	served(&late);
	/* What is through does not count. */
	client_close(&held[1]);
	held[0] = client_new();
	served(&held[0]);
	held[1] = client_new();
	served(&held[1]);
	client_close(&held[0]);
	client_close(&held[1]);
	client_close(&late);
}

static void test_handshakes_end_when_the_server_does(void **state)
{
	int64_t accepted = metric_get(M_http_connections_accepted);
	struct client c = client_new();

	wait_metric(M_http_connections_accepted, accepted, 1);
	rig_drain(WAIT_S * 1000);
	client_close(&c);
}

/* As of a socket without TLS. */
static char *plain_answer(struct client *c, const char *request)
{
	static char text[1000];
	size_t n = 0;
	ssize_t got;

	assert_int_equal(send(c->fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (n < sizeof(text) - 1 && (got = recv(c->fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

static void test_http_without_tls(void **state)
{
	int64_t failures = metric_get(M_http_tls_failures);
	struct client c = client_new();
	const char *got = plain_answer(&c, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");

	assert_true(strncmp(got, "HTTP/1.1 400 ", 13) == 0);
	assert_non_null(strstr(got, "https"));
	client_close(&c);
	c = client_new();
	got = plain_answer(&c, "SSH-2.0-OpenSSH_9.2\r\n");
	assert_true(got[0] == '\0' || got[0] == '\x15'); /* an alert */
	client_close(&c);
	wait_metric(M_http_tls_failures, failures, 2);
}

/* ---- the protocol's own ---- */

static void test_keys_may_change(void **state)
{
	struct client c = shaken(&(struct offer){.version = TLS1_3_VERSION});

	if (getenv("SLUICE_TEST_KTLS") != NULL) {
		client_close(&c);
		skip(); /* OpenSSL 3.0 does not tell the kernel of new keys */
	}
	for (int i = 0; i < 5; i++) {
		assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		served(&c);
	}
	client_close(&c);
}

static void test_no_renegotiation(void **state)
{
	struct client c = shaken(&(struct offer){.version = TLS1_2_VERSION});
	char byte;

	served(&c);
	SSL_clear_options(c.ssl, SSL_OP_NO_RENEGOTIATION);
	assert_int_equal(SSL_renegotiate(c.ssl), 1);
	(void)SSL_do_handshake(c.ssl);
	ERR_clear_error();
	/* An alert, after which an honest client gives up. */
	assert_true(client_recv(&c, &byte, 1) <= 0);
	client_close(&c);
}

/* The end is told: else whoever reads to the end could not know that it is one. */
static void test_the_end_is_told(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, "GET /mem?100 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	a = client_expect(&c, 200, pattern_bytes(), 100);
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	assert_false(c.cut);
	client_close(&c);
}

static int set_up_kernel(void **state)
{
	rig_tls = true;
	rig_defaults();
	rig.tls.kernel = true; /* where it can; else nothing is different */
	rig_start();
	return 0;
}

static void test_large_files_with_and_without_the_kernel(void **state)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client c = shaken(&(struct offer){.version = version});
		struct answer a;

		client_get(&c, "/file?8000000");
		a = client_expect(&c, 200, pattern_bytes(), 8000000);
		answer_fini(&a);
		client_get(&c, "/readyfile?5000000");
		a = client_expect(&c, 200, pattern_bytes(), 5000000);
		answer_fini(&a);
		client_close(&c);
	}
}

#define WITH(set_up, t) cmocka_unit_test_setup_teardown(t, set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(set_up_names, test_certificates_by_name),
		WITH(set_up, test_versions),
		WITH(set_up_only_1_3, test_only_1_3),
		WITH(set_up, test_protocols),
		WITH(set_up, test_sessions_are_resumed_on_any_loop),
		WITH(set_up_names, test_reload),
		WITH(set_up_names, test_what_cannot_be_loaded_changes_nothing),
		WITH(set_up_names, test_reload_while_clients_come),
		WITH(set_up_passing, test_client_certificates_are_handed_on),
		WITH(set_up_passing, test_client_certificates_of_resumed_sessions),
		WITH(set_up_verifying, test_client_certificates_are_verified),
		WITH(set_up_not_asking, test_client_certificates_nobody_asked_for),
		WITH(set_up_impatient, test_a_handshake_that_does_not_come),
		WITH(set_up_idle, test_a_silent_client_is_told_of_the_end),
		WITH(set_up_send, test_a_reader_that_reads_nothing_is_cut_off),
		WITH(set_up_two, test_too_many_handshakes_wait),
		WITH(set_up, test_handshakes_end_when_the_server_does),
		WITH(set_up, test_http_without_tls),
		WITH(set_up, test_keys_may_change),
		WITH(set_up, test_no_renegotiation),
		WITH(set_up, test_the_end_is_told),
		WITH(set_up_kernel, test_large_files_with_and_without_the_kernel),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as rig_run() does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
