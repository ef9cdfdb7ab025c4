/* The texts of the document that describes the API. It is made from tables that do not change, so each variant is made when it is first asked
 * for, and kept compressed: as most clients want it, and at a twentieth of its size. Clients without gzip get it inflated.
 *
 * Where the client found the server stands in it once. The text is kept as the two parts around that place, each compressed for itself; what the
 * request's Host makes of it goes between them as a stored block. So there are as many texts as variants, whatever Hosts clients think of.
 *
 * The table has room for every variant. An entry is published by compare and exchange, and constant from then on: requests that come at once may
 * make it twice, and one of the two is dropped. */
#include "api/api_priv.h"

#include "api/docs.h"
#include "base/check.h"
#include "base/digest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <zlib.h>

#define TEXT_MAX (64u << 20)
#define STORED_MAX 0xffffu              /* bytes of a stored block, RFC 1951 3.2.4 */
#define PLACE "\"sluice-base.invalid\"" /* where the server's URL goes */
#define BITS_RAW (-15)                  /* of zlib: no header around the compressed bytes */

struct part {
	uint8_t *p; /* compressed; of the first part whole bytes without an end, which the second has */
	size_t n, size;
	uLong crc;
};

struct text {
	struct part before, after;
	char digest[33];
};

struct api_documents {
	size_t components; /* all, none, core, certguard, and the formats */
	_Atomic(struct text *) texts[];
};

enum { VARIANT_YAML = 1, VARIANT_BINDINGS = 2, VARIANT_PK_PATH = 4, VARIANTS = 8 };

/* ---- making one ---- */

static void text_free(struct text *t)
{
	if (t == NULL)
		return;
	free(t->before.p);
	free(t->after.p);
	free(t);
}

/* flush: Z_FINISH, or Z_FULL_FLUSH for what something follows. */
static int part_make(struct part *out, struct slice in, int flush)
{
	z_stream z = {0};
	int rc;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, BITS_RAW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ERR_NOMEM;
	out->n = deflateBound(&z, in.n) + 16; /* a flush ends in an empty block, of five bytes */
	if ((out->p = malloc(out->n)) == NULL) {
		(void)deflateEnd(&z);
		return -ERR_NOMEM;
	}
	z.next_in = (Bytef *)(uintptr_t)in.p; /* zlib does not write there */
	z.avail_in = (uInt)in.n;
	z.next_out = out->p;
	z.avail_out = (uInt)out->n;
	rc = deflate(&z, flush);
	BUG(rc != (flush == Z_FINISH ? Z_STREAM_END : Z_OK) || z.avail_in != 0 || z.avail_out == 0);
	out->size = in.n;
	out->n = z.total_out;
	out->crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *)in.p, in.n);
	(void)deflateEnd(&z);
	return 0;
}

static int digest_of(struct slice text, char out[33])
{
	struct digests d = {0};
	struct hasher *h = NULL;
	int rc = hasher_new(1u << DIGEST_SHA256, &h);

	if (rc < 0)
		return rc;
	hasher_add(h, text.p, text.n);
	hasher_end(h, &d);
	hasher_free(&h);
	(void)hex_of(d.d[DIGEST_SHA256], 16, out);
	return 0;
}

static int dump(const char *p, size_t n, void *arg)
{
	return buf_add(arg, p, n);
}

static int write_text(struct api_ctx *x, const struct api_doc_opts *opts, bool yaml, struct buf *out)
{
	json_t *doc = api_openapi(x, opts);
	int rc = doc == NULL ? -ERR_NOMEM : 0;

	if (rc == 0 && yaml)
		rc = api_yaml(out, doc);
	else if (rc == 0 && json_dump_callback(doc, dump, out, JSON_COMPACT) < 0)
		rc = out->failed < 0 ? out->failed : -ERR_NOMEM;
	json_decref(doc);
	return rc;
}

static int text_make(struct api_ctx *x, const struct api_doc_opts *opts, bool yaml, struct text **out)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	struct text *t = calloc(1, sizeof(*t));
	int rc = t == NULL ? -ERR_NOMEM : write_text(x, opts, yaml, &b);
	const char *place;
	size_t before;

	if (rc == 0) {
		place = strstr(b.p, PLACE);
		BUG(place == NULL);
		before = (size_t)(place - b.p);
		rc = digest_of(buf_slice(&b), t->digest);
		if (rc == 0)
			rc = part_make(&t->before, slice_of(b.p, before), Z_FULL_FLUSH);
		before += strlen(PLACE);
		if (rc == 0)
			rc = part_make(&t->after, slice_of(b.p + before, b.n - before), Z_FINISH);
	}
	buf_fini(&b);
	if (rc == 0)
		*out = t;
	else
		text_free(t);
	return rc;
}

/* ---- the table ---- */

int api_documents_new(const struct api *api, struct api_documents **out)
{
	size_t components = 4;
	struct api_documents *d;

	for (const struct sluice_format *const *f = api->formats; *f != NULL; f++)
		components++;
	if ((d = calloc(1, sizeof(*d) + components * VARIANTS * sizeof(d->texts[0]))) == NULL)
		return -ERR_NOMEM;
	d->components = components;
	*out = d;
	return 0;
}

void api_documents_free(struct api_documents **pd)
{
	struct api_documents *d = TAKE(*pd);

	for (size_t i = 0; d != NULL && i < d->components * VARIANTS; i++)
		text_free(atomic_load_explicit(&d->texts[i], memory_order_relaxed)); /* nobody else is there any more */
	free(d);
}

/* Every name that nothing has is one and the same: a document without paths. */
static size_t component_index(const struct api *api, struct slice name)
{
	size_t i = 4;

	if (name.n == 0)
		return 0;
	if (slice_eq(name, SLICE("core")))
		return 2;
	if (slice_eq(name, SLICE("certguard")))
		return 3;
	for (const struct sluice_format *const *f = api->formats; *f != NULL; f++, i++)
		if (slice_eq(name, slice_str((*f)->name)))
			return i;
	return 1;
}

static int text_get(struct api_ctx *x, bool yaml, const struct text **out)
{
	struct slice name = api_param_get(x, "component");
	size_t component = component_index(x->api, name);
	struct api_doc_opts opts = {
		.bindings = api_param_get(x, "bindings").p != NULL,
		.pk_path = api_param_get(x, "pk_path").n > 0,
		.component = component == 1 ? SLICE(" ") : name,
		.base = slice_of(&PLACE[1], strlen(PLACE) - 2),
	};
	unsigned variant = (yaml ? VARIANT_YAML : 0u) | (opts.bindings ? VARIANT_BINDINGS : 0u) |
			   (opts.pk_path ? VARIANT_PK_PATH : 0u);
	_Atomic(struct text *) *at = &x->api->documents->texts[component * VARIANTS + variant];
	struct text *have = atomic_load_explicit(at, memory_order_acquire), *made;
	int rc;

	if (have == NULL) {
		if ((rc = text_make(x, &opts, yaml, &made)) < 0)
			return rc;
		if (atomic_compare_exchange_strong(at, &have, made))
			have = made;
		else
			text_free(made);
	}
	*out = have;
	return 0;
}

/* ---- answering ---- */

static bool accepts_gzip(struct slice fields)
{
	while (fields.p != NULL) {
		struct slice one = slice_cut(&fields, ','), name = slice_trim(slice_cut(&one, ';')),
			     q = slice_trim(one);

		if (!slice_eq_nocase(name, SLICE("gzip")))
			continue;
		/* "q=0", "q=0.000" */
		if (!slice_starts_nocase(q, SLICE("q=")))
			return true;
		for (size_t i = 2; i < q.n; i++)
			if (q.p[i] >= '1' && q.p[i] <= '9')
				return true;
		return false;
	}
	return false;
}

static void add_le32(struct buf *out, uLong v)
{
	uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

	(void)buf_add(out, bytes, sizeof(bytes));
}

/* RFC 1952 around RFC 1951. */
static void add_gzip(struct buf *out, const struct text *t, struct slice middle)
{
	static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255};
	uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *)middle.p, middle.n);
	size_t done = 0;

	(void)buf_add(out, head, sizeof(head));
	(void)buf_add(out, t->before.p, t->before.n);
	while (done < middle.n) {
		size_t n = middle.n - done < STORED_MAX ? middle.n - done : STORED_MAX;
		uint8_t block[5] = {
			0, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(~n & 0xff), (uint8_t)((~n >> 8) & 0xff)};

		(void)buf_add(out, block, sizeof(block));
		(void)buf_add(out, middle.p + done, n);
		done += n;
	}
	(void)buf_add(out, t->after.p, t->after.n);
	crc = crc32_combine(t->before.crc, crc, (z_off_t)middle.n);
	add_le32(out, crc32_combine(crc, t->after.crc, (z_off_t)t->after.size));
	add_le32(out, t->before.size + middle.n + t->after.size);
}

static int add_plain(struct buf *out, const struct part *part)
{
	z_stream z = {.next_in = part->p, .avail_in = (uInt)part->n};
	int rc = buf_reserve(out, part->size);

	if (rc < 0)
		return rc;
	if (inflateInit2(&z, BITS_RAW) != Z_OK)
		return -ERR_NOMEM;
	z.next_out = (Bytef *)out->p + out->n;
	z.avail_out = (uInt)part->size;
	rc = inflate(&z, Z_SYNC_FLUSH);
	BUG((rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR && rc != Z_MEM_ERROR) ||
		(rc != Z_MEM_ERROR && z.avail_out != 0));
	(void)inflateEnd(&z);
	if (rc == Z_MEM_ERROR)
		return -ERR_NOMEM;
	out->n += part->size;
	out->p[out->n] = '\0';
	return 0;
}

static void page(struct api_ctx *x, bool yaml)
{
	bool gzip = accepts_gzip(x->req->accept_encoding);
	json_t *base = json_string(api_base_url(x));
	struct buf middle = BUF_INIT(1 << 20);
	const struct text *t = NULL;
	struct err err = ERR_INIT;
	int rc = base == NULL || x->nomem || json_dump_callback(base, dump, &middle, JSON_ENCODE_ANY) < 0 ? -ERR_NOMEM
													  : 0;

	if (rc == 0)
		rc = text_get(x, yaml, &t);
	if (rc == 0) {
		api_reply_begin(x, "");
		if (gzip)
			add_gzip(&x->res->body, t, buf_slice(&middle));
		else if ((rc = add_plain(&x->res->body, &t->before)) == 0 &&
			 (rc = buf_add_slice(&x->res->body, buf_slice(&middle))) == 0)
			rc = add_plain(&x->res->body, &t->after);
		if (rc == 0)
			rc = x->res->body.failed;
	}
	if (rc < 0) {
		api_reply_err(x, rc, &err);
	} else {
		x->res->content_type = yaml ? "application/yaml" /* RFC 9512 */ : "application/json";
		x->res->gzip = gzip;
		(void)snprintf(x->res->etag, sizeof(x->res->etag), "\"%s-%08lx%s\"", t->digest,
			crc32_z(crc32_z(0, NULL, 0), (const Bytef *)middle.p, middle.n), gzip ? "-gzip" : "");
	}
	buf_fini(&middle);
	json_decref(base);
}

void api_page_openapi_json(struct api_ctx *x, const struct api_route *rt)
{
	page(x, false);
}

void api_page_openapi_yaml(struct api_ctx *x, const struct api_route *rt)
{
	page(x, true);
}

/* ---- the page for people ---- */

void api_page_docs(struct api_ctx *x, const struct api_route *rt)
{
	bool gzip = accepts_gzip(x->req->accept_encoding);
	struct err err = ERR_INIT;
	int rc;

	api_reply_begin(x, "");
	rc = gzip ? buf_add(&x->res->body, api_docs_page_gzip, api_docs_page_gzip_size)
		  : buf_add(&x->res->body, api_docs_page, api_docs_page_size);
	if (rc < 0) {
		api_reply_err(x, rc, &err);
		return;
	}
	x->res->content_type = "text/html; charset=utf-8";
	x->res->policy = api_docs_policy;
	x->res->gzip = gzip;
	(void)snprintf(x->res->etag, sizeof(x->res->etag), "\"%s%s\"", api_docs_digest, gzip ? "-gzip" : "");
}
