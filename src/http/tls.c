/* One connection's TLS: the handshake, reading, sealing what is sent. See tls.h for how writing works. */
#include "http/tls.h"

#include "http/sock_raw.h"
#include "http/tls_config.h"

#include "base/check.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How often one call may read the socket. OpenSSL goes on reading as long as it gets records without content, and each is work: a client that sends
 * nothing else must not hold the loop. */
#define READS_MAX 2
#define HANDSHAKE_READS_MAX 16

struct tls {
	SSL *ssl;
	struct tls_config *cfg; /* held */
	struct tls_room *room;  /* the loop's */
	int fd;
	int reads_left;
	bool in_kernel, broken;
	bool was_full; /* the last record filled what a record can hold: more is likely */
	char *kept;    /* sealed bytes that the socket did not take, in kept[kept_at .. kept_at + kept_n) */
	size_t kept_at, kept_n;
	unsigned char *cert; /* DER, once it was asked for */
	int cert_n;
};

/* ---- below OpenSSL ---- */

/* Before each read of the socket. */
static long count_read(BIO *b, int oper, const char *argp, size_t len, int argi, long argl, int ret, size_t *done)
{
	struct tls *t = (struct tls *)(void *)BIO_get_callback_arg(b);

	if (oper != BIO_CB_READ || t->reads_left-- > 0)
		return ret;
	BIO_set_retry_read(b);
	return -1;
}

/* A BIO that gathers in the loop's room. It takes all or nothing, so that OpenSSL never comes again with a record. */
static int gather(BIO *b, const char *p, size_t n, size_t *written)
{
	struct tls *t = BIO_get_data(b);
	struct tls_room *room = t->room;

	BIO_clear_retry_flags(b);
	if (n > sizeof(room->sealed) - room->n)
		return 0;
	memcpy(room->sealed + room->n, p, n);
	room->n += n;
	*written = n;
	return 1;
}

static long gather_ctrl(BIO *b, int cmd, long num, void *p)
{
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *gatherer;

static void make_gatherer(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice gather");

	if (m == NULL || BIO_meth_set_write_ex(m, gather) != 1 || BIO_meth_set_ctrl(m, gather_ctrl) != 1) {
		BIO_meth_free(m);
		return;
	}
	gatherer = m;
}

static BIO *gatherer_new(struct tls *t)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *b;

	(void)pthread_once(&once, make_gatherer);
	b = gatherer != NULL ? BIO_new(gatherer) : NULL;
	if (b != NULL) {
		BIO_set_data(b, t);
		BIO_set_init(b, 1);
	}
	return b;
}

/* ---- beginning and end ---- */

struct tls *tls_new(struct tls_config *cfg, int fd, struct tls_room *room)
{
	struct tls *t = calloc(1, sizeof(*t));
	BIO *b = NULL;

	if (t == NULL)
		return NULL;
	t->fd = fd;
	t->room = room;
	t->cfg = tls_config_ref(cfg);
	t->ssl = SSL_new(tls_config_ctx(cfg));
	if (t->ssl != NULL)
		b = BIO_new_socket(fd, BIO_NOCLOSE);
	if (b == NULL) {
		ERR_clear_error();
		tls_free(&t);
		return NULL;
	}
	BIO_set_callback_arg(b, (char *)t);
	BIO_set_callback_ex(b, count_read);
	SSL_set_bio(t->ssl, b, b);
	SSL_set_accept_state(t->ssl);
	return t;
}

void tls_free(struct tls **pt)
{
	struct tls *t = TAKE(*pt);

	if (t == NULL)
		return;
	SSL_free(t->ssl);
	tls_config_unref(&t->cfg);
	OPENSSL_free(t->cert);
	free(t->kept);
	free(t);
}

/* ---- the handshake ---- */

static enum tls_step begin_data(struct tls *t, struct err *err)
{
	BIO *b;

	t->in_kernel = BIO_get_ktls_send(SSL_get_wbio(t->ssl)) == 1;
	if (t->in_kernel)
		return TLS_DONE;
	b = gatherer_new(t);
	if (b == NULL) {
		ERR_clear_error();
		(void)err_set(err, -ERR_NOMEM, "out of memory");
		return TLS_HAS_FAILED;
	}
	SSL_set0_wbio(t->ssl, b);
	return TLS_DONE;
}

enum tls_step tls_handshake(struct tls *t, struct err *err)
{
	unsigned long code;
	long verdict;
	int rc;

	ERR_clear_error();
	t->reads_left = HANDSHAKE_READS_MAX;
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1)
		return begin_data(t, err);
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANTS_INPUT;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANTS_ROOM;
	case SSL_ERROR_SSL:
		break;
	default:
		t->broken = true;
		return TLS_GONE;
	}
	t->broken = true;
	code = ERR_peek_error();
	verdict = SSL_get_verify_result(t->ssl);
	ERR_clear_error();
	if (ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)
		return TLS_IS_PLAIN;
	if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return TLS_GONE;
	if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		(void)err_set(err, -ERR_DENIED, "client certificate: %s", X509_verify_cert_error_string(verdict));
	else
		(void)err_set(err, -ERR_PARSE, "%s", code != 0 ? ERR_reason_error_string(code) : "protocol error");
	return TLS_HAS_FAILED;
}

bool tls_was_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

bool tls_in_kernel(const struct tls *t)
{
	return t->in_kernel;
}

const char *tls_version(const struct tls *t)
{
	return SSL_get_version(t->ssl);
}

struct slice tls_client_cert(struct tls *t)
{
	const X509 *cert = SSL_get0_peer_certificate(t->ssl);

	if (cert == NULL)
		return SLICE_NULL;
	if (t->cert == NULL && (t->cert_n = i2d_X509(cert, &t->cert)) <= 0) {
		ERR_clear_error();
		t->cert = NULL;
		return SLICE_NULL;
	}
	return slice_of((const char *)t->cert, (size_t)t->cert_n);
}

/* ---- sending ---- */

/* Keeps what the socket did not take of the room. */
static int keep_sealed(struct tls *t, size_t sent)
{
	struct tls_room *room = t->room;
	size_t n = room->n - sent;

	room->n = 0;
	if (n == 0)
		return 0;
	BUG(t->kept != NULL);
	t->kept = malloc(n);
	if (t->kept == NULL) {
		t->broken = true;
		errno = ENOMEM;
		return -1;
	}
	memcpy(t->kept, room->sealed + sent, n);
	t->kept_at = 0;
	t->kept_n = n;
	return 0;
}

int tls_flush(struct tls *t)
{
	while (t->kept_n > 0) {
		ssize_t sent = raw_send(t->fd, t->kept + t->kept_at, t->kept_n, 0);

		if (sent < 0)
			return -1;
		t->kept_at += (size_t)sent;
		t->kept_n -= (size_t)sent;
	}
	free(t->kept);
	t->kept = NULL;
	return 0;
}

/* Sends what lies in the room. Only what no socket may answer is an error: what it does not take is kept. */
static int send_sealed(struct tls *t, int flags)
{
	ssize_t sent;

	if (t->room->n == 0)
		return 0;
	sent = raw_send(t->fd, t->room->sealed, t->room->n, flags);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		t->room->n = 0;
		t->broken = true;
		return -1;
	}
	return keep_sealed(t, (size_t)MAX(sent, 0));
}

/* What cannot be sealed any more ends the connection. */
static int seal(struct tls *t, const void *p, size_t n)
{
	while (n > 0) {
		size_t done = 0;

		if (SSL_write_ex(t->ssl, p, n, &done) != 1) {
			ERR_clear_error();
			t->room->n = 0;
			t->broken = true;
			errno = ECONNRESET;
			return -1;
		}
		p = (const char *)p + done;
		n -= done;
	}
	return 0;
}

/* May more be sealed? Not before what is kept is out. */
static int make_way(struct tls *t)
{
	if (t->broken) {
		errno = ECONNRESET;
		return -1;
	}
	return t->kept_n > 0 ? tls_flush(t) : 0;
}

ssize_t tls_send2(struct tls *t, const void *a, size_t a_n, const void *b, size_t b_n, int flags)
{
	int rc;

	a_n = MIN(a_n, (size_t)SEAL_MAX);
	b_n = MIN(b_n, SEAL_MAX - a_n);
	if (make_way(t) < 0)
		return -1;
	ERR_clear_error();
	if (a_n > 0 && b_n > 0 && a_n + b_n <= sizeof(t->room->plain)) { /* one record */
		memcpy(t->room->plain, a, a_n);
		memcpy(t->room->plain + a_n, b, b_n);
		rc = seal(t, t->room->plain, a_n + b_n);
	} else {
		rc = seal(t, a, a_n);
		if (rc == 0)
			rc = seal(t, b, b_n);
	}
	if (rc < 0 || send_sealed(t, flags) < 0)
		return -1;
	return (ssize_t)(a_n + b_n);
}

ssize_t tls_sendfile(struct tls *t, int in_fd, int64_t off, size_t n, char *scratch)
{
	ssize_t got;

	if (make_way(t) < 0)
		return -1;
	got = pread(in_fd, scratch, MIN(n, (size_t)SEAL_MAX), off);
	return got <= 0 ? got : tls_send2(t, NULL, 0, scratch, (size_t)got, 0);
}

size_t tls_unsent(const struct tls *t)
{
	return t->kept_n;
}

void tls_goodbye(struct tls *t)
{
	if (t->broken || t->kept_n > 0 || SSL_in_init(t->ssl))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
	(void)send_sealed(t, 0); /* the socket has room as a rule; else the client sees the end all the same */
	t->broken = true;
}

/* ---- receiving ---- */

ssize_t tls_recv(struct tls *t, void *p, size_t n)
{
	size_t got = 0;
	int rc, why;

	if (t->broken) {
		errno = ECONNRESET;
		return -1;
	}
	ERR_clear_error();
	t->reads_left = READS_MAX;
	rc = SSL_read_ex(t->ssl, p, n, &got);
	why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc);
	t->was_full = got == TLS_RECORD_MAX;
	/* An answer of the protocol's own. While something is kept it has to wait behind that. */
	if (t->room->n > 0 && (t->kept_n > 0 || send_sealed(t, 0) < 0)) {
		t->room->n = 0;
		t->broken = true;
	}
	switch (why) {
	case SSL_ERROR_NONE:
		return (ssize_t)got;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	default:
		ERR_clear_error();
		t->broken = true;
		errno = ECONNRESET;
		return -1;
	}
}

bool tls_has_input(const struct tls *t)
{
	return t->was_full || SSL_has_pending(t->ssl) == 1;
}
