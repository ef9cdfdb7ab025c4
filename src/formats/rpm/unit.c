/* A package as a unit: its key, and what REST shows of it by the names that Pulp has. Publications are made from the same. */
#include "formats/rpm/rpm_format.h"

static void add_text(struct buf *b, const char *name, struct slice s)
{
	buf_addf(b, ",\"%s\":", name);
	rpm_json_text(b, s);
}

/* What Pulp shows as empty when upstream does not say it. */
static void add_text_or_empty(struct buf *b, const char *name, struct slice s)
{
	add_text(b, name, s.p != NULL ? s : SLICE(""));
}

static void add_number(struct buf *b, const char *name, int64_t v)
{
	if (v >= 0)
		buf_addf(b, ",\"%s\":%lld", name, (long long)v);
	else
		buf_addf(b, ",\"%s\":null", name);
}

int rpm_package_json(const struct rpm_package *p, struct buf *out)
{
	buf_reset(out);
	buf_adds(out, "{\"name\":");
	rpm_json_text(out, p->name);
	add_text(out, "epoch", p->epoch);
	add_text(out, "version", p->version);
	add_text(out, "release", p->release);
	add_text(out, "arch", p->arch);
	add_text(out, "pkgId", p->pkgid);
	add_text(out, "checksum_type", p->checksum_type);
	add_text_or_empty(out, "summary", p->summary);
	add_text_or_empty(out, "description", p->description);
	add_text_or_empty(out, "url", p->url);
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		buf_addf(out, ",\"%s\":[%.*s]", rpm_relation_names[i], SLICE_ARG(p->relations[i]));
	buf_addf(out, ",\"files\":[%.*s]", SLICE_ARG(p->files));
	add_text_or_empty(out, "location_base", p->base);
	add_text(out, "location_href", p->href);
	add_text_or_empty(out, "rpm_buildhost", p->buildhost);
	add_text_or_empty(out, "rpm_group", p->group);
	add_text_or_empty(out, "rpm_license", p->license);
	add_text_or_empty(out, "rpm_packager", p->packager);
	add_text_or_empty(out, "rpm_sourcerpm", p->sourcerpm);
	add_text_or_empty(out, "rpm_vendor", p->vendor);
	add_number(out, "rpm_header_start", p->header_start);
	add_number(out, "rpm_header_end", p->header_end);
	add_number(out, "size_archive", p->size_archive);
	add_number(out, "size_installed", p->size_installed);
	add_number(out, "size_package", p->size_package);
	add_number(out, "time_build", p->time_build);
	add_number(out, "time_file", p->time_file);
	buf_addf(out, ",\"is_modular\":%s", p->is_modular ? "true" : "false");
	return buf_adds(out, "}");
}

int rpm_package_nevra(const struct rpm_package *p, struct buf *out)
{
	return buf_addf(out, "%.*s-%.*s:%.*s-%.*s.%.*s", SLICE_ARG(p->name), SLICE_ARG(p->epoch), SLICE_ARG(p->version),
		SLICE_ARG(p->release), SLICE_ARG(p->arch));
}

int rpm_package_key(const struct rpm_package *p, const char *path, struct buf *out)
{
	buf_reset(out);
	rpm_package_nevra(p, out);
	return buf_addf(out, "\n%.*s:%.*s\n%s", SLICE_ARG(p->checksum_type), SLICE_ARG(p->pkgid), path);
}
