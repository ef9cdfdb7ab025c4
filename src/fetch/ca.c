/* The system's certificate authorities.
 *
 * Parsing the usual bundle takes OpenSSL 3 tens of milliseconds. libcurl would do that on the loop, for the first
 * connection of each remote; here it is done once, at start, and all TLS contexts share the result. It belongs to the host and
 * not to a context, hence one for the process. `lock` protects all of it, but is not held while the bundle is parsed. */
#include "fetch/ca.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_NS (60 * NS_PER_S)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static X509_STORE *store;
static struct stat loaded; /* the file that `store` was read from */
static int64_t looked_ns;
static bool loading;

/* NULL: another TLS library, or no bundle in one file; libcurl then goes its own way. */
static const char *bundle_path(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	if (v->ssl_version == NULL || strncmp(v->ssl_version, "OpenSSL/", 8) != 0 || v->age < CURLVERSION_SEVENTH)
		return NULL;
	return v->cainfo;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static X509_STORE *read_bundle(const char *path, struct stat *st)
{
	X509_STORE *s = NULL;

	/* Looked at first: if it changes while it is read, it is read again the next time. */
	if (path == NULL || stat(path, st) != 0 || (s = X509_STORE_new()) == NULL)
		return NULL;
	if (X509_STORE_load_file(s, path) != 1) {
		ERR_clear_error();
		X509_STORE_free(s);
		return NULL;
	}
	/* As libcurl sets them: an intermediate that is trusted ends the chain. */
	X509_STORE_set_flags(s, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	return s;
}

static void load(void)
{
	struct stat st;
	X509_STORE *fresh = read_bundle(bundle_path(), &st), *old = NULL;

	pthread_mutex_lock(&lock);
	loading = false;
	if (fresh != NULL) {
		old = store;
		store = fresh;
		loaded = st;
	}
	pthread_mutex_unlock(&lock);
	X509_STORE_free(old); /* connections that use it hold references */
	if (fresh == NULL && bundle_path() != NULL)
		log_warn("fetch", "cannot read the certificate authorities path=%s", bundle_path());
}

void ca_open(void)
{
	bool needed;

	pthread_mutex_lock(&lock);
	needed = store == NULL && !loading;
	loading |= needed;
	looked_ns = needed ? clock_mono_ns() : looked_ns;
	pthread_mutex_unlock(&lock);
	if (needed)
		load();
}

bool ca_ready(void)
{
	bool ready;

	pthread_mutex_lock(&lock);
	ready = store != NULL;
	pthread_mutex_unlock(&lock);
	return ready;
}

CURLcode ca_apply(CURL *easy, void *ssl_ctx, void *arg)
{
	(void)easy, (void)arg;
	pthread_mutex_lock(&lock);
	SSL_CTX_set1_cert_store(ssl_ctx, store);
	pthread_mutex_unlock(&lock);
	return CURLE_OK;
}

static void load_in_pool(struct pool_job *j)
{
	load();
	free(j);
}

void ca_refresh(struct pool *pool)
{
	struct pool_job *j = NULL;
	struct stat st;
	int64_t now = clock_mono_ns();
	bool changed;

	pthread_mutex_lock(&lock);
	changed = store != NULL && !loading && now - looked_ns >= LOOK_NS;
	if (changed) {
		looked_ns = now;
		changed = stat(bundle_path(), &st) == 0 && !same_file(&st, &loaded);
	}
	loading |= changed;
	pthread_mutex_unlock(&lock);
	if (!changed)
		return;
	if (pool != NULL)
		j = calloc(1, sizeof(*j));
	if (j != NULL) {
		j->fn = load_in_pool;
		if (pool_submit(pool, j) == 0)
			return;
		free(j);
		/* Too much to do: another time. */
		pthread_mutex_lock(&lock);
		loading = false;
		pthread_mutex_unlock(&lock);
		return;
	}
	load();
}
