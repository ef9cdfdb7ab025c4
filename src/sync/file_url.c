/* A file that a client names by its URL, with the settings of a remote that is made for this download alone. */
#include "sync/single.h"
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/url.h"

#include <stdlib.h>
#include <string.h>

#define RETRIES 3
#define RETRIES_MAX 100
#define ALGS (1u << DIGEST_SHA224 | 1u << DIGEST_SHA256 | 1u << DIGEST_SHA384 | 1u << DIGEST_SHA512)

static const char *text(const json_t *config, const char *name)
{
	return json_string_value(json_object_get(config, name));
}

static double seconds(const json_t *config, const char *name)
{
	return json_number_value(json_object_get(config, name));
}

static void read_config(const json_t *config, struct fetch_remote *r)
{
	const json_t *retries = json_object_get(config, "max_retries");

	r->ca_cert = text(config, "ca_cert");
	r->client_cert = text(config, "client_cert");
	r->client_key = text(config, "client_key");
	r->tls_validation = !json_is_false(json_object_get(config, "tls_validation"));
	r->proxy_url = text(config, "proxy_url");
	r->proxy_username = text(config, "proxy_username");
	r->proxy_password = text(config, "proxy_password");
	r->username = text(config, "username");
	r->password = text(config, "password");
	r->total_timeout_s = seconds(config, "total_timeout");
	r->connect_timeout_s = seconds(config, "connect_timeout");
	r->sock_connect_timeout_s = seconds(config, "sock_connect_timeout");
	r->sock_read_timeout_s = seconds(config, "sock_read_timeout");
	r->max_retries = RETRIES;
	if (json_is_integer(retries) && json_integer_value(retries) > 0)
		r->max_retries = (int)MIN(json_integer_value(retries), RETRIES_MAX);
}

int sync_fetch_url(struct task *t, const char *url, const json_t *config, char sha256[DIGEST_HEX_MAX], struct err *err)
{
	const json_t *headers = json_object_get(config, "headers");
	char *headers_text = json_is_array(headers) ? json_dumps(headers, JSON_COMPACT) : NULL;
	struct fetch_remote remote = {.foreign = true, .origin_url = url, .headers_json = headers_text};
	struct wire wire = {.loop = NULL};
	struct single one = {
		.env = task_env(t), .wire = &wire, .url = url, .remote = &remote, .algs = ALGS, .size = -1};
	int rc;

	read_config(config, &remote);
	one.retries = remote.max_retries;
	task_progress(t, "content.downloading", "Downloading File", 1, 0);
	rc = wire_init(&wire, one.env->settings, err);
	if (rc == 0)
		rc = single_fetch(&one, err);
	if (rc == 0)
		rc = single_save(&one, 0, err);
	if (rc == 0) {
		(void)digest_hex(DIGEST_SHA256, one.actual.d[DIGEST_SHA256], sha256);
		task_progress_done(t, "content.downloading", 1);
	}
	single_fini(&one);
	wire_fini(&wire);
	free(headers_text);
	return rc;
}
