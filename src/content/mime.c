/* See mime.h. Packages (.rpm, .deb, .whl, .tgz) and signatures are octet-streams on purpose. */
#include "content/mime.h"

#include "base/check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Sorted by extension. */
static const struct {
	const char *ext, *type;
} types[] = {
	{"7z", "application/x-7z-compressed"},
	{"bat", "text/plain"},
	{"bz", "application/x-bzip"},
	{"bz2", "application/x-bzip2"},
	{"c", "text/plain"},
	{"css", "text/css"},
	{"csv", "text/csv"},
	{"doc", "application/msword"},
	{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{"gif", "image/gif"},
	{"gz", "application/gzip"},
	{"gzip", "application/gzip"},
	{"h", "text/plain"},
	{"htm", "text/html"},
	{"html", "text/html"},
	{"jar", "application/java-archive"},
	{"jpeg", "image/jpeg"},
	{"jpg", "image/jpeg"},
	{"js", "application/javascript"},
	{"json", "application/json"},
	{"ksh", "text/plain"},
	{"mjs", "application/javascript"},
	{"otf", "font/otf"},
	{"pdf", "application/pdf"},
	{"pl", "text/plain"},
	{"png", "image/png"},
	{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{"py", "text/x-python"},
	{"rdf", "application/xml"},
	{"sh", "application/x-sh"},
	{"svg", "image/svg+xml"},
	{"tar", "application/x-tar"},
	{"ttf", "font/ttf"},
	{"txt", "text/plain"},
	{"wasm", "application/wasm"},
	{"woff", "font/woff"},
	{"woff2", "font/woff2"},
	{"wsdl", "application/xml"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{"xml", "text/xml"},
	{"xsl", "application/xml"},
	{"xz", "application/x-xz"},
	{"zip", "application/zip"},
	{"zst", "application/zstd"},
	{"zstd", "application/zstd"},
};

#define EXT_MAX 8

static int by_ext(const void *key, const void *row)
{
	return strcmp(key, *(const char *const *)row);
}

const char *mime_of_path(struct slice path)
{
	ptrdiff_t slash = slice_rchr(path, '/'), dot;
	struct slice name = slice_of(path.p + slash + 1, path.n - (size_t)(slash + 1));
	char ext[EXT_MAX];
	size_t n;
	const void *row;

	dot = slice_rchr(name, '.');
	n = dot >= 0 ? name.n - (size_t)dot - 1 : 0;
	if (dot <= 0 || n == 0 || n >= sizeof(ext))
		return "application/octet-stream";
	for (size_t i = 0; i < n; i++)
		ext[i] = (char)tolower((unsigned char)name.p[(size_t)dot + 1 + i]);
	ext[n] = '\0';
	row = bsearch(ext, types, ARRAY_LEN(types), sizeof(types[0]), by_ext);
	return row != NULL ? ((const char *const *)row)[1] : "application/octet-stream";
}
