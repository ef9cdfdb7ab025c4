/* The order of elements is createrepo_c's: clients with parsers of their own expect it. */
#include "formats/rpm/elements.h"

#include "formats/rpm/rpm_format.h"

#include <string.h>

static struct slice text_of(const json_t *fields, const char *name)
{
	const json_t *v = json_object_get(fields, name);

	return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : SLICE("");
}

static long long number_of(const json_t *fields, const char *name)
{
	return (long long)json_integer_value(json_object_get(fields, name));
}

static void element(struct buf *out, const char *name, struct slice text)
{
	buf_addf(out, "  <%s>", name);
	xml_add(out, text);
	buf_addf(out, "</%s>\n", name);
}

static void attribute(struct buf *out, const char *name, struct slice value)
{
	buf_addf(out, " %s=\"", name);
	xml_add(out, value);
	buf_adds(out, "\"");
}

static void version(struct buf *out, const json_t *fields)
{
	buf_adds(out, "  <version");
	attribute(out, "epoch", text_of(fields, "epoch"));
	attribute(out, "ver", text_of(fields, "version"));
	attribute(out, "rel", text_of(fields, "release"));
	buf_adds(out, "/>\n");
}

static void entry(struct buf *out, const json_t *parts)
{
	static const char *const names[] = {"name", "flags", "epoch", "ver", "rel"};

	buf_adds(out, "      <rpm:entry");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *v = json_array_get(parts, i);

		if (json_is_string(v))
			attribute(out, names[i], slice_of(json_string_value(v), json_string_length(v)));
	}
	buf_adds(out, json_is_true(json_array_get(parts, 5)) ? " pre=\"1\"/>\n" : "/>\n");
}

static void relations(struct buf *out, const json_t *fields)
{
	/* Of primary.xml; REST has another order. */
	static const enum rpm_relation order[] = {RPM_PROVIDES, RPM_REQUIRES, RPM_CONFLICTS, RPM_OBSOLETES,
		RPM_SUGGESTS, RPM_ENHANCES, RPM_RECOMMENDS, RPM_SUPPLEMENTS};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const char *name = rpm_relation_names[order[i]];
		const json_t *list = json_object_get(fields, name), *parts;
		size_t k;

		if (json_array_size(list) == 0)
			continue;
		buf_addf(out, "    <rpm:%s>\n", name);
		json_array_foreach((json_t *)(uintptr_t)list, k, parts) entry(out, parts);
		buf_addf(out, "    </rpm:%s>\n", name);
	}
}

static void files(struct buf *out, const json_t *fields)
{
	const json_t *list = json_object_get(fields, "files"), *parts;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, parts)
	{
		const char *type = json_string_value(json_array_get(parts, 0)),
			   *dir = json_string_value(json_array_get(parts, 1)),
			   *name = json_string_value(json_array_get(parts, 2));

		buf_adds(out, "    <file");
		if (type != NULL)
			attribute(out, "type", slice_str(type));
		buf_adds(out, ">");
		xml_add(out, slice_str(dir != NULL ? dir : ""));
		xml_add(out, slice_str(name != NULL ? name : ""));
		buf_adds(out, "</file>\n");
	}
}

void elements_primary(struct buf *out, const json_t *fields, const char *path)
{
	static const char *const details[][2] = {{"rpm:license", "rpm_license"}, {"rpm:vendor", "rpm_vendor"},
		{"rpm:group", "rpm_group"}, {"rpm:buildhost", "rpm_buildhost"}, {"rpm:sourcerpm", "rpm_sourcerpm"}};

	buf_adds(out, "<package type=\"rpm\">\n");
	element(out, "name", text_of(fields, "name"));
	element(out, "arch", text_of(fields, "arch"));
	version(out, fields);
	buf_adds(out, "  <checksum");
	attribute(out, "type", text_of(fields, "checksum_type"));
	buf_adds(out, " pkgid=\"YES\">");
	xml_add(out, text_of(fields, "pkgId"));
	buf_adds(out, "</checksum>\n");
	element(out, "summary", text_of(fields, "summary"));
	element(out, "description", text_of(fields, "description"));
	element(out, "packager", text_of(fields, "rpm_packager"));
	element(out, "url", text_of(fields, "url"));
	buf_addf(out, "  <time file=\"%lld\" build=\"%lld\"/>\n", number_of(fields, "time_file"),
		number_of(fields, "time_build"));
	buf_addf(out, "  <size package=\"%lld\" installed=\"%lld\" archive=\"%lld\"/>\n",
		number_of(fields, "size_package"), number_of(fields, "size_installed"),
		number_of(fields, "size_archive"));
	buf_adds(out, "  <location");
	attribute(out, "href", slice_str(path));
	buf_adds(out, "/>\n  <format>\n");
	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		buf_adds(out, "  ");
		element(out, details[i][0], text_of(fields, details[i][1]));
	}
	if (json_is_integer(json_object_get(fields, "rpm_header_start")))
		buf_addf(out, "    <rpm:header-range start=\"%lld\" end=\"%lld\"/>\n",
			number_of(fields, "rpm_header_start"), number_of(fields, "rpm_header_end"));
	relations(out, fields);
	files(out, fields);
	buf_adds(out, "  </format>\n</package>\n");
}

void elements_list(struct buf *out, const json_t *fields, struct slice inside)
{
	buf_adds(out, "<package");
	attribute(out, "pkgid", text_of(fields, "pkgId"));
	attribute(out, "name", text_of(fields, "name"));
	attribute(out, "arch", text_of(fields, "arch"));
	buf_adds(out, ">\n");
	version(out, fields);
	buf_add_slice(out, inside);
	buf_adds(out, "</package>\n");
}
