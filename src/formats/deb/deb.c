/* The deb format: archives as apt reads them. Its units are packages (one stanza, one file) and the files of each
 * distribution as upstream has them: Release files, indexes, and whatever else a Release lists, each under its own path and
 * under its by-hash names. So a version shows upstream's archive byte for byte, and upstream's signature holds. */
#include "formats/deb/deb_format.h"

#include "formats/deb/package.h"
#include "formats/deb/source.h"

static const struct sluice_field remote_fields[] = {
	{.name = "distributions",
		.type = SLUICE_STRING,
		.required = true,
		.help = "distributions to have, separated by blanks; one that ends in / is a flat repository"},
	{.name = "components",
		.type = SLUICE_STRING,
		.nullable = true,
		.help = "components to have, separated by blanks; null: all"},
	{.name = "architectures",
		.type = SLUICE_STRING,
		.nullable = true,
		.help = "architectures to have beside all, separated by blanks; null: every one"},
	{.name = "sync_sources", .type = SLUICE_BOOLEAN, .default_json = "false", .help = "source packages too"},
	{.name = "sync_udebs",
		.type = SLUICE_BOOLEAN,
		.default_json = "false",
		.help = "packages of the Debian installer too"},
	{.name = "sync_installer",
		.type = SLUICE_BOOLEAN,
		.default_json = "false",
		.help = "files of the Debian installer too"},
	{.name = "gpgkey",
		.type = SLUICE_TEXT,
		.nullable = true,
		.help = "public keys, armoured, one of which must have signed each Release; null: signatures are not "
			"checked"},
	{.name = "ignore_missing_package_indices",
		.type = SLUICE_BOOLEAN,
		.default_json = "false",
		.help = "an index that is listed and that upstream has not is left out, instead of failing the sync"},
	{.name = NULL},
};

/* Of the files of a distribution. */
static const struct sluice_field file_fields[] = {
	{.name = "distribution", .type = SLUICE_STRING, .nullable = true, .help = "distribution that it belongs to"},
	{.name = "component", .type = SLUICE_STRING, .nullable = true, .help = "component, of an index"},
	{.name = "architecture", .type = SLUICE_STRING, .nullable = true, .help = "architecture, of an index"},
	{.name = "codename", .type = SLUICE_STRING, .nullable = true, .help = "Codename, of a Release"},
	{.name = "suite", .type = SLUICE_STRING, .nullable = true, .help = "Suite, of a Release"},
	{.name = "size", .type = SLUICE_INTEGER, .nullable = true, .help = "bytes"},
	{.name = "sha256", .type = SLUICE_STRING, .nullable = true, .help = "digest, as upstream declares it"},
	{.name = NULL},
};

/* That a package is in a component of a distribution. */
static const struct sluice_field member_fields[] = {
	{.name = "path", .type = SLUICE_STRING, .nullable = true, .help = "path of the package"},
	{.name = "distribution", .type = SLUICE_STRING, .nullable = true, .help = "distribution"},
	{.name = "component", .type = SLUICE_STRING, .nullable = true, .help = "component"},
	{.name = NULL},
};

static const struct sluice_field publication_fields[] = {
	{.name = "simple",
		.type = SLUICE_BOOLEAN,
		.default_json = "false",
		.help = "a distribution `default` with one component `all`, in which every package is"},
	{.name = "structured",
		.type = SLUICE_BOOLEAN,
		.default_json = "true",
		.help = "the distributions and components that packages came from"},
	{.name = "publish_upstream_release_fields",
		.type = SLUICE_BOOLEAN,
		.default_json = "true",
		.help = "whether Release files say of themselves what upstream's say (Origin, Label, Version, "
			"Description)"},
	{.name = "signing_service",
		.type = SLUICE_SIGNING_SERVICE,
		.nullable = true,
		.help = "what signs its Release files; null: the repository's"},
	{.name = NULL},
};

static const struct sluice_field repository_fields[] = {
	{.name = "publish_upstream_release_fields",
		.type = SLUICE_BOOLEAN,
		.default_json = "true",
		.help = "that of publications which autopublish makes"},
	{.name = "signing_service",
		.type = SLUICE_SIGNING_SERVICE,
		.nullable = true,
		.help = "what signs the Release files of its publications"},
	{.name = "signing_service_release_overrides",
		.type = SLUICE_OBJECT,
		.default_json = "{}",
		.help = "other services for single distributions: {distribution: service}"},
	{.name = NULL},
};

static const struct sluice_field upload_fields[] = {
	{.name = "distribution",
		.type = SLUICE_STRING,
		.nullable = true,
		.help = "distribution that it is put into (default: " DEB_UPLOAD_DISTRIBUTION ")"},
	{.name = "component",
		.type = SLUICE_STRING,
		.nullable = true,
		.help = "component that it is put into (default: " DEB_UPLOAD_COMPONENT ")"},
	{.name = NULL},
};

static const struct sluice_content_type more_content[] = {
	{DEB_MEMBER, "package_release_components", "PackageReleaseComponent", member_fields},
	{DEB_RELEASE_FILE, "release_files", "ReleaseFile", file_fields},
	{DEB_PACKAGE_INDEX, "package_indices", "PackageIndex", file_fields},
	{DEB_SOURCE_INDEX, "source_indices", "SourceIndex", file_fields},
	{DEB_INSTALLER_INDEX, "installer_file_indices", "InstallerFileIndex", file_fields},
	{DEB_GENERIC, "generic_contents", "GenericContent", file_fields},
	{DEB_SOURCE, "source_packages", "SourcePackage", source_fields},
	{DEB_UDEB, "installer_packages", "InstallerPackage", package_fields},
	{NULL, NULL, NULL, NULL},
};

static const struct sluice_publication_kind more_publications[] = {
	{
		.kind = "verbatim",
		.model = "VerbatimPublication",
		.verbatim = true,
		.task_publish = "pulp_deb.app.tasks.publishing.publish_verbatim",
		.publish = deb_publish_verbatim,
	},
	{.kind = NULL},
};

static const char *const same_thing[] = {"package", "architecture", NULL};

const struct sluice_format deb_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "deb",
	.kind = "apt",
	.version = "3.11.0",
	.model = "Apt",
	.policies = SLUICE_IMMEDIATE | SLUICE_ON_DEMAND | SLUICE_STREAMED,
	.serves_without_publication = false,
	.reclaimable = true,
	.same_thing = same_thing,
	.remote_fields = remote_fields,
	.repository_fields = repository_fields,
	.publication_fields = publication_fields,
	.content_fields = package_fields,
	.content_type = DEB_PACKAGE,
	.content_plural = "packages",
	.content_model = "Package",
	.more_content = more_content,
	.task_sync = "pulp_deb.app.tasks.synchronizing.synchronize",
	.task_publish = "pulp_deb.app.tasks.publishing.publish",
	.more_publications = more_publications,
	.sync = deb_sync,
	.publish = deb_publish,
	.upload = deb_upload,
	.upload_names = true,
	.upload_fields = upload_fields,
};
