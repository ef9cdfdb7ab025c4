/* The rpm format: repositories as createrepo_c makes them.
 *
 * A package is a unit of one artifact, at upstream's path. A metadata file is a unit as well (its natural key is
 * "<type>\n<checksum type>:<checksum>\n<path>"), saved in the sync: with sync_policy=mirror_complete a version holds upstream's repodata as it is,
 * repomd.xml and its signature included, and its publication only says that it is there. An installable tree is a unit with its images, and the files of
 * the repositories in it are units each (tree.h). */
#include "formats/rpm/rpm_format.h"

#include "formats/rpm/notes.h"

#define TEXT(name_, help_)                                                             \
	{                                                                              \
		.name = name_, .type = SLUICE_STRING, .read_only = true, .help = help_ \
	}
#define TEXT_OR_NULL(name_, help_)                                                                       \
	{                                                                                                \
		.name = name_, .type = SLUICE_STRING, .read_only = true, .nullable = true, .help = help_ \
	}
#define KEY(name_, help_)                                                                              \
	{                                                                                              \
		.name = name_, .type = SLUICE_STRING, .read_only = true, .help = help_, .filter = true \
	}
#define NUMBER(name_, help_)                                                                              \
	{                                                                                                 \
		.name = name_, .type = SLUICE_INTEGER, .read_only = true, .nullable = true, .help = help_ \
	}
#define LIST(name_, help_)                                                                                 \
	{                                                                                                  \
		.name = name_, .type = SLUICE_JSON, .read_only = true, .default_json = "[]", .help = help_ \
	}
#define RELATION "; each [name, flags, epoch, version, release, pre]"

static const struct sluice_field package_fields[] = {
	KEY("name", "name"),
	KEY("epoch", "epoch"),
	KEY("version", "version"),
	KEY("release", "release"),
	KEY("arch", "architecture"),
	KEY("pkgId", "checksum of the package, as upstream's metadata has it"),
	KEY("checksum_type", "kind of pkgId"),
	TEXT("summary", "one line"),
	TEXT("description", "text"),
	TEXT("url", "home page"),
	LIST("requires", "what it needs" RELATION),
	LIST("provides", "what it offers" RELATION),
	LIST("conflicts", "what it cannot be installed with" RELATION),
	LIST("obsoletes", "what it takes the place of" RELATION),
	LIST("suggests", "what goes with it" RELATION),
	LIST("enhances", "what it goes with" RELATION),
	LIST("recommends", "what is installed with it where possible" RELATION),
	LIST("supplements", "what it is installed with where possible" RELATION),
	LIST("files", "files that primary.xml lists; each [type, directory, name]"),
	TEXT("location_base", "xml:base of its location"),
	TEXT("location_href", "path below upstream's repository"),
	TEXT("rpm_buildhost", "host that built it"),
	TEXT("rpm_group", "group"),
	TEXT("rpm_license", "licence"),
	TEXT("rpm_packager", "packager"),
	TEXT("rpm_sourcerpm", "source package"),
	TEXT("rpm_vendor", "vendor"),
	NUMBER("rpm_header_start", "where the header begins, bytes"),
	NUMBER("rpm_header_end", "where it ends"),
	NUMBER("size_archive", "bytes of the archive in it"),
	NUMBER("size_installed", "bytes when installed"),
	NUMBER("size_package", "bytes of the package"),
	NUMBER("time_build", "when it was built, seconds since 1970"),
	NUMBER("time_file", "date of the file, seconds since 1970"),
	{.name = "is_modular",
		.type = SLUICE_BOOLEAN,
		.read_only = true,
		.default_json = "false",
		.help = "does a module stream have it?"},
	{.name = NULL},
};

static const struct sluice_field metadata_file_fields[] = {
	KEY("data_type", "type in repomd.xml"),
	TEXT("checksum_type", "kind of checksum"),
	TEXT("checksum", "checksum in repomd.xml"),
	TEXT("location_href", "path in repomd.xml"),
	{.name = NULL},
};

/* Read by clients that install from the network; Pulp's names. */
static const struct sluice_field tree_fields[] = {
	TEXT_OR_NULL("header_version", "version of the file's form"),
	TEXT_OR_NULL("release_name", "name of the release"),
	TEXT_OR_NULL("release_short", "its short name"),
	TEXT_OR_NULL("release_version", "its version"),
	{.name = "release_is_layered",
		.type = SLUICE_BOOLEAN,
		.read_only = true,
		.help = "is it on top of another product?"},
	TEXT_OR_NULL("base_product_name", "name of the product below a layered one"),
	TEXT_OR_NULL("base_product_short", "its short name"),
	TEXT_OR_NULL("base_product_version", "its version"),
	TEXT_OR_NULL("arch", "architecture"),
	NUMBER("build_timestamp", "when it was built, seconds since 1970"),
	TEXT_OR_NULL("instimage", "path of Anaconda's instimage"),
	TEXT_OR_NULL("mainimage", "path of Anaconda's stage2"),
	NUMBER("discnum", "number of the disc"),
	NUMBER("totaldiscs", "of how many"),
	LIST("addons", "each an object: addon_id, uid, name, type, packages"),
	LIST("checksums", "each an object: path, checksum"),
	LIST("images", "each an object: name, path, platforms"),
	LIST("variants", "each an object: variant_id, uid, name, type, packages and more"),
	{.name = NULL},
};

static const struct sluice_field tree_file_fields[] = {
	KEY("repository", "directory of the repository in the tree; empty: of the tree itself"),
	{.name = NULL},
};

#define FLAG(name_, help_)                                                              \
	{                                                                               \
		.name = name_, .type = SLUICE_BOOLEAN, .read_only = true, .help = help_ \
	}
#define OBJECT(name_, help_)                                                                               \
	{                                                                                                  \
		.name = name_, .type = SLUICE_JSON, .read_only = true, .default_json = "{}", .help = help_ \
	}
static const struct sluice_field advisory_fields[] = {
	KEY("id", "name of the advisory"),
	TEXT("updated_date", "when it was changed"),
	TEXT("description", "text"),
	TEXT("issued_date", "when it was issued"),
	TEXT("fromstr", "who issued it"),
	KEY("status", "final, stable, testing …"),
	TEXT("title", "title"),
	TEXT("summary", "one line"),
	TEXT("version", "version of the advisory"),
	KEY("type", "security, bugfix, enhancement …"),
	KEY("severity", "Critical, Important …"),
	TEXT("solution", "what to do"),
	TEXT("release", "release that it is for"),
	TEXT("rights", "copyright"),
	TEXT("pushcount", "how often it was pushed"),
	LIST("pkglist", "collections, each an object: name, shortname, module, packages"),
	LIST("references", "each an object: href, ref_id, title, ref_type"),
	FLAG("reboot_suggested", "whether to reboot"),
	{.name = NULL},
};

#define COMPS_FIELDS                                                                                         \
	KEY("id", "name in comps.xml"), TEXT("name", "name for people"), TEXT("description", "text"),        \
		NUMBER("display_order", "place among its like"), OBJECT("desc_by_lang", "text by language"), \
		OBJECT("name_by_lang", "name by language"), TEXT("digest", "sha256 of what comps.xml says of it")

static const struct sluice_field group_fields[] = {
	COMPS_FIELDS,
	FLAG("default", "installed by default?"),
	FLAG("user_visible", "shown to users?"),
	FLAG("biarch_only", "only where two architectures are"),
	LIST("packages", "each an object: name, type (0 default, 1 optional, 2 conditional, 3 mandatory), "
			 "basearchonly, requires"),
	{.name = NULL},
};

static const struct sluice_field category_fields[] = {
	COMPS_FIELDS,
	LIST("group_ids", "groups, each an object: name, default"),
	{.name = NULL},
};

static const struct sluice_field environment_fields[] = {
	COMPS_FIELDS,
	LIST("group_ids", "groups, each an object: name, default"),
	LIST("option_ids", "groups to choose from, likewise"),
	{.name = NULL},
};

static const struct sluice_field langpacks_fields[] = {
	OBJECT("matches", "package of a language by package"),
	TEXT("digest", "sha256 of what comps.xml says of them"),
	{.name = NULL},
};

static const struct sluice_field modulemd_fields[] = {
	KEY("name", "module"),
	KEY("stream", "stream"),
	TEXT("version", "version"),
	FLAG("static_context", "whether the context is the packager's"),
	TEXT("context", "context"),
	TEXT("arch", "architecture"),
	LIST("artifacts", "packages, as name-epoch:version-release.arch"),
	LIST("dependencies", "what it requires; each {module: streams}"),
	OBJECT("profiles", "packages by profile"),
	TEXT("description", "text"),
	{.name = NULL},
};

static const struct sluice_field defaults_fields[] = {
	KEY("module", "module"),
	KEY("stream", "stream by default"),
	OBJECT("profiles", "profiles by default, by stream"),
	{.name = NULL},
};

static const struct sluice_field obsolete_fields[] = {
	TEXT("modified", "when it was changed"),
	KEY("module_name", "module"),
	KEY("module_stream", "stream"),
	TEXT("message", "for users"),
	TEXT_OR_NULL("override_previous", "whether what was said before does not hold"),
	TEXT_OR_NULL("module_context", "context; null: all"),
	TEXT_OR_NULL("eol_date", "when it ends"),
	TEXT_OR_NULL("obsoleted_by_module_name", "module that takes its place"),
	TEXT_OR_NULL("obsoleted_by_module_stream", "stream that takes its place"),
	{.name = NULL},
};

static const struct sluice_content_type more_content[] = {
	{RPM_ADVISORY, "advisories", "UpdateRecord", advisory_fields},
	{RPM_GROUP, "packagegroups", "PackageGroup", group_fields},
	{RPM_CATEGORY, "packagecategories", "PackageCategory", category_fields},
	{RPM_ENVIRONMENT, "packageenvironments", "PackageEnvironment", environment_fields},
	{RPM_LANGPACKS, "packagelangpacks", "PackageLangpacks", langpacks_fields},
	{RPM_MODULEMD, "modulemds", "Modulemd", modulemd_fields},
	{RPM_MODULEMD_DEFAULTS, "modulemd_defaults", "ModulemdDefaults", defaults_fields},
	{RPM_MODULEMD_OBSOLETE, "modulemd_obsoletes", "ModulemdObsolete", obsolete_fields},
	{RPM_METADATA_FILE, "repo_metadata_files", "RepoMetadataFile", metadata_file_fields},
	{RPM_TREE, "distribution_trees", "DistributionTree", tree_fields},
	{RPM_TREE_FILE, "tree_files", "TreeFile", tree_file_fields},
	{.type = NULL},
};

static const char *const checksum_types[] = {"unknown", "sha256", "sha384", "sha512", NULL};
static const char *const compression_types[] = {"gz", "zstd", "none", NULL};
static const char *const layouts[] = {"nested_alphabetically", "flat", "nested_by_digest", NULL};

/* What publications have, and repositories for those that autopublish makes. The last ones are what Pulp has kept of older versions. */
#define PUBLICATION_FIELDS                                                                                     \
	{.name = "checksum_type",                                                                              \
		.type = SLUICE_CHOICE,                                                                         \
		.choices = checksum_types,                                                                     \
		.default_json = "\"sha256\"",                                                                  \
		.help = "of the metadata files; packages keep upstream's. unknown: as upstream has it"},       \
		{.name = "compression_type",                                                                   \
			.type = SLUICE_CHOICE,                                                                 \
			.choices = compression_types,                                                          \
			.default_json = "\"gz\"",                                                              \
			.help = "of the metadata files"},                                                      \
		{.name = "layout",                                                                             \
			.type = SLUICE_CHOICE,                                                                 \
			.choices = layouts,                                                                    \
			.default_json = "\"nested_alphabetically\"",                                           \
			.help = "where packages are: Packages/f/foo.rpm, Packages/foo.rpm, or with their "     \
				"digest in the path"},                                                         \
		{.name = "repo_config",                                                                        \
			.type = SLUICE_OBJECT,                                                                 \
			.default_json = "{}",                                                                  \
			.help = "options of config.repo, for distributions that have one"},                    \
		{.name = "metadata_signing_service",                                                           \
			.type = SLUICE_SIGNING_SERVICE,                                                        \
			.nullable = true,                                                                      \
			.help = "what signs repomd.xml; of a publication null: the repository's"},             \
		TEXT_OR_NULL("metadata_checksum_type", "always null: checksum_type says it"),                  \
		TEXT_OR_NULL("package_checksum_type", "always null: packages keep upstream's"),                \
		NUMBER("gpgcheck", "always null: repo_config says it"),                                        \
		NUMBER("repo_gpgcheck", "always null: repo_config says it"),                                   \
	{                                                                                                      \
		.name = "sqlite_metadata", .type = SLUICE_BOOLEAN, .read_only = true, .default_json = "false", \
		.help = "never"                                                                                \
	}

static const struct sluice_field publication_fields[] = {
	PUBLICATION_FIELDS,
	{.name = NULL},
};

static const struct sluice_field repository_fields[] = {
	PUBLICATION_FIELDS,
	{.name = "retain_package_versions",
		.type = SLUICE_INTEGER,
		.default_json = "0",
		.help = "how many versions of a package (by name and architecture) stay in new versions of the "
			"repository, but for packages of module streams; 0: all. With the sync policy additive only"},
	{.name = NULL},
};

static const char *const skippable[] = {"srpm", "treeinfo", NULL};
static const char *const sync_policies[] = {"additive", "mirror_content_only", "mirror_complete", NULL};

static const struct sluice_field sync_fields[] = {
	{.name = "sync_policy",
		.type = SLUICE_CHOICE,
		.choices = sync_policies,
		.help = "additive: what upstream dropped stays; mirror_content_only: exactly upstream's packages; "
			"mirror_complete: "
			"these, and upstream's metadata as it is. Default: additive"},
	{.name = "skip_types",
		.type = SLUICE_CHOICE_LIST,
		.choices = skippable,
		.default_json = "[]",
		.help = "what is left out: srpm, treeinfo (installable trees)"},
	{.name = NULL},
};

static const char *const same_thing[] = {"name", "arch", NULL};

const struct sluice_format rpm_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "rpm",
	.kind = "rpm",
	.version = "3.39.0",
	.model = "Rpm",
	.policies = SLUICE_IMMEDIATE | SLUICE_ON_DEMAND | SLUICE_STREAMED,
	.serves_without_publication = false,
	.reclaimable = true,
	.same_thing = same_thing,
	.repository_fields = repository_fields,
	.publication_fields = publication_fields,
	.content_fields = package_fields,
	.content_type = RPM_PACKAGE,
	.content_plural = "packages",
	.content_model = "Package",
	.more_content = more_content,
	.sync_fields = sync_fields,
	.task_sync = "pulp_rpm.app.tasks.synchronizing.synchronize",
	.task_publish = "pulp_rpm.app.tasks.publishing.publish",
	.sync = rpm_sync,
	.publish = rpm_publish,
	.settle = rpm_settle,
	.upload = rpm_upload,
	.upload_names = true,
};
