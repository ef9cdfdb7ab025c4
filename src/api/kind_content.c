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

#define LAST_USED_FIELD                                                                     \
	{                                                                                   \
		.name = "last_used", .type = T_TIME, .flags = F_READ_ONLY | F_NULLABLE,     \
		.help = "when a client was given the saved file last, or when it was saved" \
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
	{.name = "artifact",
		.type = T_REF,
		.flags = F_READ_ONLY | F_NULLABLE,
		.kind = "artifacts",
		.help = "saved file; null while it is not"},
	{.name = "relative_path", .type = T_STRING, .flags = F_READ_ONLY, .help = "path below the distribution"},
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
		.help = "since when upstream answers that it has not got the file, which is not saved either"},
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
		.help = "whether upstream has not got it, nor we", .type = T_BOOLEAN},
	{"last_used", OPS_TIME, "last_used",
		.help = "when a client was given the saved file last, or when it was saved"},
	{"pulp_label_select", OPS_EXACT, .apply = api_filter_label, .help = "terms about labels"},
	{.name = NULL},
};

static const struct api_action content_actions[] = {API_LABEL_ACTIONS, {.name = NULL}};

const struct api_kind api_kinds_content = {
	.name = "content",
	.model = "Content",
	.view = "content",
	.per_format = true,
	.generic = true,
	.ops = API_LIST | API_READ,
	.fields = content_fields,
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

/* Artifacts go when no content needs them (orphans/cleanup/), not before. */
static void artifact_destroy_by(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	api_reply_detail(x, 403, "You do not have permission to perform this action.");
}

const struct api_kind api_kinds_artifact = {
	.name = "artifacts",
	.model = "Artifact",
	.view = "artifact",
	.ops = API_LIST | API_READ | API_DELETE,
	.fields = artifact_fields,
	.filters = artifact_filters,
	.destroy_by = artifact_destroy_by,
};
