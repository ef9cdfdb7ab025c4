/* Files that come in chunks: uploads/. Each chunk is staged whole and checked before it is copied to its place, so that a broken request changes nothing;
 * only the digest at the end says that all of it is right. What is put together becomes an artifact in a task.
 *
 * The row goes last, after the bytes: what an interruption leaves is an upload that can be seen and deleted. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/upload.h"

#include <stdlib.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (INT64_C(1) << 50)
#define READ_BLOCK ((size_t)256 << 10)
#define FILE_ALGS (1u << DIGEST_SHA224 | 1u << DIGEST_SHA256 | 1u << DIGEST_SHA384 | 1u << DIGEST_SHA512)

/* ---- fields ---- */

static json_t *show_chunks(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *list = json_array(), *rows = NULL, *chunk;
	struct err err = ERR_INIT;
	struct query *q = NULL;
	struct txn *t;
	size_t i;

	if (api_txn(x, &t, &err) < 0 || query_new(view_find("upload_chunk"), &q) < 0)
		return list;
	query_order(q, "offset", false);
	if (query_where(q, "upload", QUERY_EQ, slice_str(api_text(x, "%lld", (long long)api_row_int(row, "_id"))),
		    &err) == 0 &&
		query_rows(t, q, &rows, &err) == 0)
		json_array_foreach(rows, i, chunk)
			json_array_append_new(list, json_pack("{s:O, s:O}", "offset", json_object_get(chunk, "offset"),
							    "size", json_object_get(chunk, "size")));
	query_free(&q);
	json_decref(rows);
	return list;
}

static const char *check_size(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	return json_integer_value(*value) <= SIZE_MAX_BYTES
		       ? NULL
		       : api_text(x, "Ensure this value is less than or equal to %lld.", (long long)SIZE_MAX_BYTES);
}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "size",
		.type = T_INTEGER,
		.flags = F_REQUIRED | F_BIG,
		.bounded = true,
		.check = check_size,
		.help = "of the whole file, in bytes"},
	{.name = "completed",
		.type = T_TIME,
		.flags = F_READ_ONLY | F_NULLABLE,
		.help = "an upload that is complete becomes an artifact and goes: always null"},
	{.name = "chunks",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_chunks,
		.help = "what has come",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"offset\":{\"type\":"
			  "\"integer\"},"
			  "\"size\":{\"type\":\"integer\"}}}}"},
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"size", OPS_NUMBER, "size", .help = "size"},
	{.name = NULL},
};

/* ---- a chunk ---- */

static const struct api_field chunk_fields[] = {
	{.name = "file", .type = T_FILE, .flags = F_OPTION | F_REQUIRED, .help = "the chunk"},
	{.name = "sha256", .type = T_STRING, .flags = F_OPTION | F_NULLABLE, .help = "what the chunk's has to be"},
	{.name = NULL},
};

/* "bytes a-b/total", total perhaps "*". */
static bool range_of(struct slice field, int64_t *first, int64_t *last)
{
	struct slice rest = slice_trim(field), from;
	int64_t total;

	if (!slice_starts(rest, SLICE("bytes ")))
		return false;
	rest = slice_trim(slice_of(rest.p + 6, rest.n - 6));
	from = slice_cut(&rest, '-');
	if (rest.p == NULL)
		return false;
	return slice_to_i64(from, SIZE_MAX_BYTES, first) == 0 &&
	       slice_to_i64(slice_cut(&rest, '/'), SIZE_MAX_BYTES, last) == 0 && rest.p != NULL &&
	       (slice_eq(rest, SLICE("*")) || slice_to_i64(rest, INT64_MAX, &total) == 0) && *first <= *last;
}

/* NULL, or what is wrong with the chunk. */
static const char *wrong_with(
	const struct api_file *file, const char *sha256, int64_t size, int64_t first, int64_t last)
{
	char hex[DIGEST_HEX_MAX];

	if (file->size != last - first + 1)
		return "Chunk size does not match content range.";
	if (last >= size)
		return "End byte is greater than upload size.";
	(void)digest_hex(DIGEST_SHA256, file->digests.d[DIGEST_SHA256], hex);
	if (sha256 != NULL && !slice_eq_nocase(slice_str(sha256), slice_str(hex)))
		return "Checksum does not match chunk upload.";
	return NULL;
}

static int take_chunk(struct api_ctx *x, const json_t *row, struct api_file *file, int64_t first, struct err *err)
{
	struct txn *t = NULL;
	int rc;

	api_txn_end(x);
	rc = store_part_write(x->api->store, api_row_str(row, "uuid"), file->st, file->size, first, err);
	if (rc == 0)
		rc = catalog_write(x->api->catalog, &t, err);
	if (rc == 0)
		rc = catalog_upload_chunk(t, api_row_int(row, "_id"), first, file->size, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	/* deleted meanwhile: so are the bytes */
	if (rc == -ERR_NOTFOUND)
		(void)store_part_remove(x->api->store, api_row_str(row, "uuid"), NULL);
	return rc;
}

static void action_chunk(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL, *options = NULL;
	struct err err = ERR_INIT;
	struct api_file *file;
	int64_t first, last;
	const char *wrong;
	int rc;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!api_options_read(x, chunk_fields, &options))
		goto out;
	file = api_form_file(x->files, json_object_get(options, "file"));
	wrong = range_of(x->req->content_range, &first, &last)
			? wrong_with(file, api_row_str(options, "sha256"), api_row_int(row, "size"), first, last)
			: "Invalid or missing content range header.";
	if (wrong != NULL) {
		api_reply_bare(x, "%s", wrong);
		goto out;
	}
	rc = take_chunk(x, row, file, first, &err);
	json_decref(row);
	row = NULL;
	if (rc == -ERR_NOTFOUND)
		api_reply_no_object(x, rt->resource);
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	else if (api_row_of_route(x, rt, &row))
		api_reply(x, 200, api_show_row(x, rt->resource, row, NULL));
out:
	json_decref(row);
	json_decref(options);
}

/* ---- the whole ---- */

static int hash(struct api_file *file, struct err *err)
{
	struct hasher *h = NULL;
	char *block = malloc(READ_BLOCK);
	int rc = block == NULL ? err_set(err, -ERR_NOMEM, "no memory to read an upload") : hasher_new(FILE_ALGS, &h);

	for (int64_t at = 0; rc == 0 && at < file->size;) {
		ssize_t got = pread(staging_fd(file->st), block, READ_BLOCK, at);

		if (got <= 0)
			rc = err_set(err, -ERR_IO, "an upload cannot be read");
		else
			hasher_add(h, block, (size_t)got);
		at += got;
	}
	if (rc == 0)
		hasher_end(h, &file->digests);
	hasher_free(&h);
	free(block);
	return rc;
}

/* Are all chunks there? */
static int check_whole(struct api_ctx *x, const json_t *row, struct err *err)
{
	int64_t size = api_row_int(row, "size"), reach;
	struct txn *t;
	int rc = api_txn(x, &t, err);

	if (rc == 0)
		rc = catalog_upload_reach(t, api_row_int(row, "_id"), &reach, err);
	if (rc == 0 && reach < size)
		rc = err_set(err, -ERR_INVAL,
			"The upload is not complete: of %lld bytes those from %lld on are missing.", (long long)size,
			(long long)reach);
	return rc;
}

static int forget(struct api_ctx *x, const json_t *row, struct err *err)
{
	int rc = store_part_remove(x->api->store, api_row_str(row, "uuid"), err);

	if (rc == 0)
		rc = row_delete(x->api->catalog, view_find("upload"), api_row_int(row, "_id"), err);
	return rc == -ERR_NOTFOUND ? 0 : rc;
}

int api_upload_finish(struct api_ctx *x, const char *uuid, const char *sha256, struct api_file *file, struct err *err)
{
	const struct api_resource *uploads = api_resource_of(x->api, "uploads", NULL);
	char hex[DIGEST_HEX_MAX];
	json_t *row = NULL;
	bool existed;
	int64_t id;
	int rc = api_row_find(x, uploads, SLICE_NULL, slice_str(uuid), &row, err);

	if (rc < 0)
		return rc;
	*file = (struct api_file){.size = api_row_int(row, "size")};
	rc = check_whole(x, row, err);
	api_txn_end(x);
	if (rc == 0)
		rc = store_part_copy(x->api->store, uuid, file->size, &file->st, err);
	if (rc == 0)
		rc = hash(file, err);
	if (rc == 0) {
		(void)digest_hex(DIGEST_SHA256, file->digests.d[DIGEST_SHA256], hex);
		if (sha256 != NULL && !slice_eq_nocase(slice_str(sha256), slice_str(hex)))
			rc = err_set(err, -ERR_DIGEST, "[PLP0003] The sha256 checksum did not match: it is %s.", hex);
	}
	if (rc == 0)
		rc = api_save(x, file, &id, &existed, err);
	if (rc == 0)
		rc = forget(x, row, err);
	staging_drop(&file->st);
	json_decref(row);
	return rc;
}

static const struct api_field commit_fields[] = {
	{.name = "sha256", .type = T_STRING, .flags = F_OPTION | F_REQUIRED, .help = "what the whole file's has to be"},
	{.name = NULL},
};

static void action_commit(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL, *options = NULL;
	struct api_locks locks = {0};

	if (!api_row_of_route(x, rt, &row))
		return;
	if (api_options_read(x, commit_fields, &options)) {
		api_lock(x, &locks, true, api_prn(x, rt->resource, api_row_str(row, "uuid")));
		api_dispatch(x, API_TASK_UPLOAD_COMMIT,
			json_pack("{s:O, s:O}", "upload", json_object_get(row, "uuid"), "sha256",
				json_object_get(options, "sha256")),
			&locks);
	}
	json_decref(row);
	json_decref(options);
}

int api_task_upload_commit(struct task *t, struct err *err)
{
	const char *uuid = api_row_str(task_args(t), "upload"), *sha256 = api_row_str(task_args(t), "sha256");
	const struct api_resource *artifacts;
	char hex[DIGEST_HEX_MAX];
	struct api_file file;
	json_t *row = NULL;
	struct api_ctx x;
	int rc;

	if (uuid == NULL || sha256 == NULL || api_tasks_bound() == NULL)
		return err_set(err, -ERR_INVAL, "no upload or no digest is given");
	api_ctx_init(&x, api_tasks_bound());
	artifacts = api_resource_of(x.api, "artifacts", NULL);
	rc = api_upload_finish(&x, uuid, sha256, &file, err);
	if (rc == 0)
		rc = api_row_by(&x, artifacts, "sha256", digest_hex(DIGEST_SHA256, file.digests.d[DIGEST_SHA256], hex),
			&row, err);
	/* no result: clients take one for the answer, and look for the artifact among what was created */
	if (rc == 0)
		rc = task_created(t, api_prn(&x, artifacts, api_row_str(row, "uuid")), api_href(&x, artifacts, row));
	json_decref(row);
	api_ctx_fini(&x);
	return rc;
}

/* ---- the kind ---- */

static void destroy_by(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	struct err err = ERR_INIT;
	int rc;

	api_txn_end(x);
	if ((rc = forget(x, row, &err)) < 0)
		api_reply_err(x, rc, &err);
	else
		x->res->status = 204;
}

static const struct api_action actions[] = {
	{"", HTTP_PUT, true, action_chunk, chunk_fields, "takes one chunk, at the place that Content-Range names",
		{.body = "UploadChunk", .answer = ANSWER_OBJECT, .verb = "update", .header = "Content-Range"}},
	{"commit", HTTP_POST, true, action_commit, commit_fields, "makes an artifact of it",
		{.body = "UploadCommit", .answer = ANSWER_TASK}},
	{.name = NULL},
};

const struct api_kind api_kinds_upload = {
	.name = "uploads",
	.model = "Upload",
	.view = "upload",
	.ops = API_LIST | API_READ | API_CREATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_NOW,
	.fields = fields,
	.filters = filters,
	.actions = actions,
	.destroy_by = destroy_by,
};
