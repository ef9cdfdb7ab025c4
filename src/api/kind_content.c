/* Content units and artifacts: what there is, and what of it is saved. Read-only but for labels. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/clock.h"

/* Minutes; Pulp's default of ORPHAN_PROTECTION_TIME. */
#define ORPHAN_PROTECTION_MIN 1440

/* ---- content ---- */

#define DIGEST_FIELD(alg)                                                                                            \
	{                                                                                                            \
		.name = alg, .type = T_STRING, .flags = F_READ_ONLY | F_NULLABLE, .help = "digest of the saved file" \
	}

/* What was fetched ahead of clients has the time 0. */
static json_t *show_last_used(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const char *iso = api_row_str(row, "last_used");

	return iso == NULL || strncmp(iso, "1970-01-01T00:00:00", 19) == 0 ? json_null() : json_string(iso);
}

#define LAST_USED_FIELD                                                                                         \
	{                                                                                                       \
		.name = "last_used", .type = T_TIME, .flags = F_READ_ONLY | F_NULLABLE, .show = show_last_used, \
		.help = "when a client was given the saved file last, or when it was saved for one"             \
	}

/* {relative_path: href of the saved file, or null} */
static json_t *show_artifacts(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *all = json_object(), *rows = NULL, *one;
	struct err err = ERR_INIT;
	struct query *q = NULL;
	struct txn *t;
	size_t i;

	if (api_txn(x, &t, &err) < 0 || query_new(view_find("content_artifact"), &q) < 0)
		return all;
	if (query_where(q, "content", QUERY_EQ, slice_str(api_text(x, "%lld", (long long)api_row_int(row, "_id"))),
		    &err) == 0 &&
		query_rows(t, q, &rows, &err) == 0)
		json_array_foreach(rows, i, one)
		{
			const char *artifact = api_row_str(one, "artifact");

			json_object_set_new(all, api_row_str(one, "relative_path"),
				artifact != NULL ? json_string(api_href_by(x, "artifacts", NULL, artifact))
						 : json_null());
		}
	query_free(&q);
	json_decref(rows);
	return all;
}

static const struct api_field content_fields[] = {
	API_COMMON_FIELDS,
	{.name = "pulp_labels",
		.type = T_LABELS,
		.flags = F_READ_ONLY | F_COMMON,
		.column = "labels",
		.help = "labels"},
	{.name = "vuln_report",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE | F_COMMON,
		.show = api_show_null,
		.help = "vulnerability report"},
	{.name = "artifacts",
		.type = T_JSON,
		.flags = F_READ_ONLY | F_GENERIC,
		.show = show_artifacts,
		.help = "its files by path; null while one is not saved",
		.schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\",\"nullable\":true}}"},
	{.name = "artifact",
		.type = T_REF,
		.flags = F_READ_ONLY | F_NULLABLE,
		.kind = "artifacts",
		.help = "saved file; null while it is not"},
	{.name = "relative_path",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE,
		.help = "path below the distribution; null: it has no file, or several"},
	DIGEST_FIELD("md5"),
	DIGEST_FIELD("sha1"),
	DIGEST_FIELD("sha224"),
	DIGEST_FIELD("sha256"),
	DIGEST_FIELD("sha384"),
	DIGEST_FIELD("sha512"),
	LAST_USED_FIELD,
	{.name = "unavailable_since",
		.type = T_TIME,
		.flags = F_READ_ONLY | F_NULLABLE,
		.help = "since when upstream answers that it has not got the file, which is not saved either; null "
			"also where no source is left"},
	{.name = NULL},
};

/* Minutes without any version; -1: the server's own protection time. */
static int filter_orphaned(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	int64_t minutes = ORPHAN_PROTECTION_MIN;
	char iso[CLOCK_ISO_MAX];
	struct slice when;

	if (!slice_eq(value, SLICE("-1")) && slice_to_i64(value, 1 << 30, &minutes) < 0)
		return err_set(err, -ERR_INVAL, "Enter a number.");
	when = slice_str(clock_iso(clock_wall_us() - minutes * 60 * US_PER_S, iso));
	return query_condition(q, f->column, &when, 1, err);
}

static int filter_unavailable(struct api_ctx *x, const struct api_resource *r, struct query *q,
	const struct api_filter *f, enum query_op op, struct slice value, struct err *err)
{
	bool wanted;
	int rc;

	if (!api_bool_parse(value, &wanted))
		return err_set(err, -ERR_INVAL, "Enter true or false.");
	query_open(q, wanted ? QUERY_AND : QUERY_NOT);
	rc = query_condition(q, "unavailable", NULL, 0, err);
	query_close(q);
	return rc;
}

#define IN_VERSION_FILTERS                                                          \
	{                                                                           \
		"repository_version", OPS_EXACT, "in_version",                      \
			.apply = api_filter_version, .kind = "repository_versions", \
			.help = "what a version holds; of a repository, the newest" \
	}

static const struct api_filter content_filters[] = {
	{"relative_path", OPS_STRING, "relative_path", .help = "path below the distribution"},
	{"sha256", OPS_EXACT, "sha256", .apply = api_filter_condition, .help = "digest, saved or declared by upstream"},
	{"digest", OPS_EXACT, "sha256", .apply = api_filter_condition, .help = "the same"},
	IN_VERSION_FILTERS,
	{"repository_version_added", OPS_EXACT, "added_by_version", .apply = api_filter_version,
		.kind = "repository_versions", .help = "what a version added"},
	{"repository_version_removed", OPS_EXACT, "removed_by_version", .apply = api_filter_version,
		.kind = "repository_versions", .help = "what a version removed"},
	{"orphaned_for", OPS_EXACT, "orphaned", .apply = filter_orphaned,
		.help = "minutes in no version; -1: the server's setting", .type = T_INTEGER},
	{"unavailable", OPS_EXACT, "unavailable", .apply = filter_unavailable,
		.help = "whether we have not got it, and no source offers it", .type = T_BOOLEAN},
	{"last_used", OPS_TIME, "last_used",
		.help = "when a client was given the saved file last, or when it was saved"},
	{"pulp_label_select", OPS_EXACT, .apply = api_filter_label, .help = "terms about labels"},
	{.name = NULL},
};

static const struct api_action content_actions[] = {
	{.name = "upload",
		.method = HTTP_POST,
		.uploads = true,
		.run = api_action_upload,
		.fields = api_unit_upload_fields,
		.help = "makes a unit of a file at once",
		.doc = {.body = "*Upload", .answer = ANSWER_NEW}},
	API_LABEL_ACTIONS,
	{.name = NULL},
};

const struct api_kind api_kinds_content = {
	.name = "content",
	.model = "Content",
	.view = "content",
	.per_format = true,
	.generic = true,
	.ops = API_LIST | API_READ | API_CREATE,
	.create = API_TASK,
	.fields = content_fields,
	.create_fields = api_unit_fields,
	.create_by = api_unit_create_by,
	.make = api_unit_make,
	.filters = content_filters,
	.actions = content_actions,
};

/* ---- artifacts ---- */

static json_t *show_file(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const char *sha256 = api_row_str(row, "sha256");

	return json_string(api_text(x, "artifact/%.2s/%s", sha256, sha256 + 2));
}

static const struct api_field artifact_fields[] = {
	API_COMMON_FIELDS,
	{.name = "file", .type = T_STRING, .flags = F_READ_ONLY, .show = show_file, .help = "path in the store"},
	{.name = "size", .type = T_INTEGER, .flags = F_READ_ONLY, .help = "bytes"},
	DIGEST_FIELD("md5"),
	DIGEST_FIELD("sha1"),
	DIGEST_FIELD("sha224"),
	DIGEST_FIELD("sha256"),
	DIGEST_FIELD("sha384"),
	DIGEST_FIELD("sha512"),
	LAST_USED_FIELD,
	{.name = NULL},
};

static const struct api_filter artifact_filters[] = {
	{"last_used", OPS_TIME, "last_used", .help = "when a client was given it last, or when it was saved"},
	{"md5", OP(EQ) | OP(IN), "md5", .help = "digest"},
	{"sha1", OP(EQ) | OP(IN), "sha1", .help = "digest"},
	{"sha224", OP(EQ) | OP(IN), "sha224", .help = "digest"},
	{"sha256", OP(EQ) | OP(IN), "sha256", .help = "digest"},
	{"sha384", OP(EQ) | OP(IN), "sha384", .help = "digest"},
	{"sha512", OP(EQ) | OP(IN), "sha512", .help = "digest"},
	IN_VERSION_FILTERS,
	{"orphaned_for", OPS_EXACT, "orphaned", .apply = filter_orphaned,
		.help = "minutes without use; -1: the server's setting", .type = T_INTEGER},
	{.name = NULL},
};

#define DIGEST_TO_CHECK(alg)                                                                                       \
	{                                                                                                          \
		.name = alg, .type = T_STRING, .flags = F_OPTION | F_NULLABLE, .help = "what the file's has to be" \
	}

static const struct api_field artifact_create_fields[] = {
	{.name = "file", .type = T_FILE, .flags = F_OPTION | F_REQUIRED, .help = "the file"},
	{.name = "size",
		.type = T_INTEGER,
		.flags = F_OPTION | F_NULLABLE | F_BIG,
		.bounded = true,
		.help = "what the file's has to be, in bytes"},
	DIGEST_TO_CHECK("md5"),
	DIGEST_TO_CHECK("sha1"),
	DIGEST_TO_CHECK("sha224"),
	DIGEST_TO_CHECK("sha256"),
	DIGEST_TO_CHECK("sha384"),
	DIGEST_TO_CHECK("sha512"),
	{.name = NULL},
};

/* What the client says of its file. NULL, or what is wrong. */
static const char *wrong_with(struct api_ctx *x, const struct api_file *file, const json_t *options)
{
	const json_t *size = json_object_get(options, "size");
	char hex[DIGEST_HEX_MAX];

	if (json_is_integer(size) && json_integer_value(size) != file->size)
		return "The size did not match actual size of file.";
	for (int alg = 0; alg < DIGEST_COUNT; alg++) {
		const char *name = digest_name((enum digest_alg)alg), *want = api_row_str(options, name);

		if (want == NULL)
			continue;
		if (!(file->digests.have & 1u << alg))
			return api_text(x, "Checksum algorithms ['%s'] forbidden for this Pulp instance.", name);
		(void)digest_hex((enum digest_alg)alg, file->digests.d[alg], hex);
		if (!slice_eq_nocase(slice_str(want), slice_str(hex)))
			return api_text(x, "The %s checksum did not match.", name);
	}
	return NULL;
}

static void artifact_create_by(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options)
{
	struct api_file *file = api_form_file(x->files, json_object_get(options, "file"));
	char hex[DIGEST_HEX_MAX];
	struct err err = ERR_INIT;
	const char *wrong;
	json_t *row = NULL;
	bool existed;
	int64_t id;
	int rc;

	if ((wrong = wrong_with(x, file, options)) != NULL) {
		api_reply_field(x, "non_field_errors", "%s", wrong);
		return;
	}
	(void)digest_hex(DIGEST_SHA256, file->digests.d[DIGEST_SHA256], hex);
	if ((rc = api_save(x, file, &id, &existed, &err)) == 0 && !existed)
		rc = api_row_by(x, r, "sha256", hex, &row, &err);
	if (rc < 0) {
		api_reply_err(x, rc, &err);
	} else if (existed) {
		api_reply_field(x, "non_field_errors", "Artifact with sha256 checksum of '%s' already exists.", hex);
	} else {
		api_reply_location(x, api_href(x, r, row));
		api_reply(x, 201, api_show_row(x, r, row, NULL));
	}
	json_decref(row);
}

/* Artifacts go when no content needs them (orphans/cleanup/), not before. */
static void artifact_destroy_by(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	api_reply_detail(x, 403, "You do not have permission to perform this action.");
}

const struct api_kind api_kinds_artifact = {
	.name = "artifacts",
	.model = "Artifact",
	.view = "artifact",
	.ops = API_LIST | API_READ | API_CREATE | API_DELETE,
	.create = API_NOW,
	.fields = artifact_fields,
	.create_fields = artifact_create_fields,
	.create_by = artifact_create_by,
	.filters = artifact_filters,
	.destroy_by = artifact_destroy_by,
	.refused = 403,
};
