/* What the command line knows of the objects of the REST API: their kinds, the fields that options set, and what lists can be narrowed
 * by. Only data; the server checks the values. */
#include "cmd/objects.h"
#include "cmd/remote_ops.h"

/* ---- cells ---- */

static void cell_remote_type(const struct client *c, const json_t *row, struct buf *out)
{
	buf_adds(out, object_type_of(&kind_remote, json_text_of(row, "pulp_href")));
}

static void cell_distribution_type(const struct client *c, const json_t *row, struct buf *out)
{
	buf_adds(out, object_type_of(&kind_distribution, json_text_of(row, "pulp_href")));
}

static void cell_guard_type(const struct client *c, const json_t *row, struct buf *out)
{
	buf_adds(out, object_type_of(&kind_guard, json_text_of(row, "pulp_href")));
}

static void cell_acs_type(const struct client *c, const json_t *row, struct buf *out)
{
	buf_adds(out, object_type_of(&kind_acs, json_text_of(row, "pulp_href")));
}

static void cell_content_type(const struct client *c, const json_t *row, struct buf *out)
{
	buf_adds(out, object_type_of(&kind_content, json_text_of(row, "pulp_href")));
}

static void cell_url(const struct client *c, const json_t *row, struct buf *out)
{
	(void)distribution_url(c, row, out);
}

/* The last segment of the href. */
static void cell_uuid(const struct client *c, const json_t *row, struct buf *out)
{
	struct slice href = slice_str(json_text_of(row, "pulp_href"));
	ptrdiff_t slash;

	if (slice_ends(href, SLICE("/")))
		href.n--;
	slash = slice_rchr(href, '/');
	buf_add_slice(out, slice_of(href.p + slash + 1, href.n - (size_t)(slash + 1)));
}

/* The list of one type has one path, that of all types has the files of a unit by path. */
static void cell_path(const struct client *c, const json_t *row, struct buf *out)
{
	const char *path = json_text_of(row, "relative_path");

	if (path[0] == '\0')
		path = json_object_iter_key(json_object_iter(json_object_get(row, "artifacts")));
	if (path != NULL) {
		json_t *v = json_string(path);

		table_add_value(v, out);
		json_decref(v);
	}
}

static void cell_saved(const struct client *c, const json_t *row, struct buf *out)
{
	const json_t *artifact = json_object_get(row, "artifact");

	if (artifact == NULL)
		artifact = json_object_iter_value(json_object_iter(json_object_get(row, "artifacts")));
	buf_adds(out, artifact != NULL && !json_is_null(artifact) ? "yes" : "no");
}

/* ---- kinds ---- */

/* Formats, and their first types of repositories, remotes and distributions. */
static const struct object_type formats[] = {
	{"file", "file/file/"},
	{"rpm", "rpm/rpm/"},
	{"deb", "deb/apt/"},
	{NULL, NULL},
};
static const struct object_type content_types[] = {
	{"file", "file/files/"},
	{"rpm", "rpm/packages/"},
	{"deb", "deb/packages/"},
	{NULL, NULL},
};
static const struct object_type guard_types[] = {
	{"header", "core/header/"},
	{"rbac", "core/rbac/"},
	{"composite", "core/composite/"},
	{"redirect", "core/content_redirect/"},
	{"x509", "certguard/x509/"},
	{"rhsm", "certguard/rhsm/"},
	{NULL, NULL},
};

static const struct column remote_columns[] = {
	{"NAME", "name", NULL},
	{"FORMAT", NULL, cell_remote_type},
	{"POLICY", "policy", NULL},
	{"URL", "url", NULL},
	{NULL, NULL, NULL},
};
const struct object_kind kind_remote = {.noun = "remote",
	.path = API "remotes/",
	.lists_all = true,
	.types = formats,
	.type_option = OPT_format,
	.preset_type = "file",
	.columns = remote_columns};

/* `repo list` shows more. */
static const struct column repository_columns[] = {
	{"NAME", "name", NULL},
	{"DESCRIPTION", "description", NULL},
	{NULL, NULL, NULL},
};
const struct object_kind kind_repository = {.noun = "repo",
	.path = API "repositories/",
	.lists_all = true,
	.types = formats,
	.type_option = OPT_format,
	.preset_type = "file",
	.columns = repository_columns};

static const struct column distribution_columns[] = {
	{"NAME", "name", NULL},
	{"FORMAT", NULL, cell_distribution_type},
	{"URL", NULL, cell_url},
	{NULL, NULL, NULL},
};
const struct object_kind kind_distribution = {.noun = "distribution",
	.path = API "distributions/",
	.lists_all = true,
	.types = formats,
	.type_option = OPT_format,
	.preset_type = "file",
	.columns = distribution_columns};

static const struct column guard_columns[] = {
	{"NAME", "name", NULL},
	{"TYPE", NULL, cell_guard_type},
	{"DESCRIPTION", "description", NULL},
	{NULL, NULL, NULL},
};
const struct object_kind kind_guard = {.noun = "guard",
	.path = API "contentguards/",
	.lists_all = true,
	.types = guard_types,
	.type_option = OPT_type,
	.columns = guard_columns};

static const struct column acs_columns[] = {
	{"NAME", "name", NULL},
	{"FORMAT", NULL, cell_acs_type},
	{"REFRESHED", "last_refreshed", NULL},
	{NULL, NULL, NULL},
};
const struct object_kind kind_acs = {.noun = "acs",
	.path = API "acs/",
	.types = formats,
	.type_option = OPT_format,
	.preset_type = "file",
	.columns = acs_columns};

static const struct column task_columns[] = {
	{"TASK", NULL, cell_uuid},
	{"STATE", "state", NULL},
	{"CREATED", "pulp_created", NULL},
	{"WHAT", "name", NULL},
	{NULL, NULL, NULL},
};
const struct object_kind kind_task = {
	.noun = "task", .path = API "tasks/", .lists_all = true, .by_uuid = true, .columns = task_columns, .limit = 50};

static const struct column content_columns[] = {
	{"TYPE", NULL, cell_content_type},
	{"SAVED", NULL, cell_saved},
	{"PATH", NULL, cell_path},
	{"HREF", "pulp_href", NULL},
	{NULL, NULL, NULL},
};
const struct object_kind kind_content = {.noun = "content",
	.path = API "content/",
	.lists_all = true,
	.key = "sha256",
	.types = content_types,
	.type_option = OPT_type,
	.preset_type = "file",
	.columns = content_columns,
	.limit = 100};

/* ---- fields ---- */

#define NULLABLE FIELD_NULLABLE
#define REQUIRED FIELD_REQUIRED

/* The same table serves create and update. */
const struct field remote_fields[] = {
	{OPT_url, "url", FIELD_TEXT, REQUIRED},
	{OPT_policy, "policy", FIELD_TEXT, .preset = "on_demand",
		.help = "on_demand (that of a new one): an artifact is downloaded when a client asks first; immediate: "
			"all "
			"at once; streamed: never kept"},
	{OPT_name, "name", FIELD_TEXT, .help = "another name"},
	{OPT_ca_cert, "ca_cert", FIELD_FILE, NULLABLE},
	{OPT_client_cert, "client_cert", FIELD_FILE, NULLABLE},
	{OPT_client_key, "client_key", FIELD_FILE, NULLABLE},
	{OPT_tls_validation, "tls_validation", FIELD_YESNO},
	{OPT_upstream_user, "username", FIELD_TEXT, NULLABLE},
	{OPT_upstream_password_file, "password", FIELD_SECRET, NULLABLE},
	{OPT_proxy_url, "proxy_url", FIELD_TEXT, NULLABLE},
	{OPT_proxy_user, "proxy_username", FIELD_TEXT, NULLABLE},
	{OPT_proxy_password_file, "proxy_password", FIELD_SECRET, NULLABLE},
	{OPT_header, "headers", FIELD_HEADERS},
	{OPT_download_concurrency, "download_concurrency", FIELD_NUMBER, NULLABLE},
	{OPT_max_retries, "max_retries", FIELD_NUMBER, NULLABLE},
	{OPT_rate_limit, "rate_limit", FIELD_NUMBER, NULLABLE},
	{OPT_total_timeout, "total_timeout", FIELD_NUMBER, NULLABLE},
	{OPT_connect_timeout, "connect_timeout", FIELD_NUMBER, NULLABLE},
	{OPT_sock_connect_timeout, "sock_connect_timeout", FIELD_NUMBER, NULLABLE},
	{OPT_sock_read_timeout, "sock_read_timeout", FIELD_NUMBER, NULLABLE},
	{OPT_distributions, "distributions", FIELD_TEXT, REQUIRED, .types = "deb"},
	{OPT_components, "components", FIELD_TEXT, NULLABLE, .types = "deb"},
	{OPT_architectures, "architectures", FIELD_TEXT, NULLABLE, .types = "deb"},
	{OPT_sync_sources, "sync_sources", FIELD_YESNO, .types = "deb"},
	{OPT_sync_udebs, "sync_udebs", FIELD_YESNO, .types = "deb"},
	{OPT_sync_installer, "sync_installer", FIELD_YESNO, .types = "deb"},
	{OPT_gpgkey, "gpgkey", FIELD_FILE, NULLABLE, .types = "deb"},
	{OPT_ignore_missing_package_indices, "ignore_missing_package_indices", FIELD_YESNO, .types = "deb"},
	{OPT_label, "pulp_labels", FIELD_LABELS},
	{OPT_set, "", FIELD_ANY},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field repository_fields[] = {
	{OPT_remote, "remote", FIELD_REF, NULLABLE, &kind_remote},
	{OPT_name, "name", FIELD_TEXT, .help = "another name"},
	{OPT_description, "description", FIELD_TEXT, NULLABLE},
	{OPT_autopublish, "autopublish", FIELD_YESNO},
	{OPT_retain_versions, "retain_repo_versions", FIELD_NUMBER, NULLABLE},
	{OPT_retain_checkpoints, "retain_checkpoints", FIELD_NUMBER, NULLABLE},
	{OPT_manifest, "manifest", FIELD_TEXT, NULLABLE, .types = "file"},
	{OPT_checksum_type, "checksum_type", FIELD_TEXT, .types = "rpm"},
	{OPT_compression_type, "compression_type", FIELD_TEXT, .types = "rpm"},
	{OPT_layout, "layout", FIELD_TEXT, .types = "rpm"},
	{OPT_label, "pulp_labels", FIELD_LABELS},
	{OPT_set, "", FIELD_ANY},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field distribution_fields[] = {
	{OPT_base_path, "base_path", FIELD_TEXT, FIELD_FROM_NAME},
	{OPT_repository, "repository", FIELD_REF, NULLABLE, &kind_repository,
		.help = "serve this repository's newest publication (name or href); '': nothing"},
	{OPT_repository_version, "repository_version", FIELD_VERSION, NULLABLE,
		.help = "serve version N of a repository (or href), always the same; '': no longer"},
	{OPT_publication, "publication", FIELD_TEXT, NULLABLE},
	{OPT_remote, "remote", FIELD_REF, NULLABLE, &kind_remote,
		.help = "fetch what is asked for and not there from this remote (name or href)"},
	{OPT_guard, "content_guard", FIELD_REF, NULLABLE, &kind_guard},
	{OPT_hidden, "hidden", FIELD_YESNO},
	{OPT_checkpoint, "checkpoint", FIELD_YESNO},
	{OPT_name, "name", FIELD_TEXT, .help = "another name"},
	{OPT_label, "pulp_labels", FIELD_LABELS},
	{OPT_set, "", FIELD_ANY},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field guard_fields[] = {
	{OPT_name, "name", FIELD_TEXT, .help = "another name"},
	{OPT_description, "description", FIELD_TEXT, NULLABLE},
	{OPT_ca_cert, "ca_certificate", FIELD_FILE, REQUIRED, .types = "x509 rhsm",
		.help = "x509, rhsm: certificates of whom a client's must be signed by, PEM"},
	{OPT_crl, "crl", FIELD_FILE, NULLABLE, .types = "x509 rhsm"},
	{OPT_header_name, "header_name", FIELD_TEXT, REQUIRED, .types = "header"},
	{OPT_header_value, "header_value", FIELD_TEXT, REQUIRED, .types = "header"},
	{OPT_jq_filter, "jq_filter", FIELD_TEXT, NULLABLE, .types = "header"},
	{OPT_member, "guards", FIELD_REFS, .ref = &kind_guard, .types = "composite"},
	{OPT_set, "", FIELD_ANY},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field acs_fields[] = {
	{OPT_remote, "remote", FIELD_REF, REQUIRED, &kind_remote,
		.help = "how it is reached (name or href); the remote's policy has to be on_demand"},
	{OPT_subpath, "paths", FIELD_WORDS},
	{OPT_name, "name", FIELD_TEXT, .help = "another name"},
	{OPT_set, "", FIELD_ANY},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field upload_fields[] = {
	{OPT_repository, "repository", FIELD_REF, .ref = &kind_repository,
		.help = "repository that gets it (name or href)"},
	{OPT_path, "relative_path", FIELD_TEXT, .help = "path below the distribution (default: the file's name)"},
	{OPT_label, "pulp_labels", FIELD_LABELS},
	{OPT_set, "", FIELD_ANY},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field sign_fields[] = {
	{OPT_valid, "valid", FIELD_NUMBER},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field orphan_fields[] = {
	{OPT_protection, "orphan_protection_time", FIELD_NUMBER},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field warm_fields[] = {
	{OPT_what, "what", FIELD_TEXT},
	{OPT_used_within, "used_within", FIELD_NUMBER},
	{OPT_bytes_per_second, "rate_limit", FIELD_NUMBER},
	{OPT_download_concurrency, "concurrency", FIELD_NUMBER,
		.help = "downloads at once, within what each remote allows (default: 4)"},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field repair_fields[] = {
	{OPT_verify_checksums, "verify_checksums", FIELD_YESNO},
	{OPT_help, NULL, FIELD_TEXT},
};

/* ---- filters ---- */

const struct field name_filters[] = {
	{OPT_name, "name", FIELD_TEXT, .help = "only the one of this name"},
	{OPT_name_contains, "name__contains", FIELD_TEXT},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field label_filters[] = {
	{OPT_name, "name", FIELD_TEXT, .help = "only the one of this name"},
	{OPT_name_contains, "name__contains", FIELD_TEXT},
	{OPT_label_select, "pulp_label_select", FIELD_TEXT},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field task_filters[] = {
	{OPT_state, "state__in", FIELD_TEXT},
	{OPT_name_contains, "name__contains", FIELD_TEXT, .help = "only those that do this: 'synchronize'"},
	{OPT_repository, "reserved_resources", FIELD_REF, .ref = &kind_repository,
		.help = "only those that have or had to do with this repository (name or href)"},
	{OPT_help, NULL, FIELD_TEXT},
};

const struct field content_filters[] = {
	{OPT_repository, "repository_version", FIELD_REF, .ref = &kind_repository,
		.help = "only what the newest version of this repository holds (name or href)"},
	{OPT_repository_version, "repository_version", FIELD_VERSION,
		.help = "only what version N of a repository holds (or href)"},
	{OPT_path, "relative_path", FIELD_TEXT, .help = "only what has this path below the distribution"},
	{OPT_path_contains, "relative_path__contains", FIELD_TEXT},
	{OPT_sha256, "sha256", FIELD_TEXT},
	{OPT_unavailable, "unavailable", FIELD_YESNO},
	{OPT_orphaned_for, "orphaned_for", FIELD_NUMBER},
	{OPT_label_select, "pulp_label_select", FIELD_TEXT},
	{OPT_help, NULL, FIELD_TEXT},
};
