/* Content types by extension. */
#include "content/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

#define BYTES "application/octet-stream"

static const struct {
	const char *path, *type;
} rows[] = {
	{"a.gz", "application/gzip"},
	{"a.gzip", "application/gzip"},
	{"a.xz", "application/x-xz"},
	{"a.bz2", "application/x-bzip2"},
	{"a.bz", "application/x-bzip"},
	{"a.zst", "application/zstd"},
	{"a.zstd", "application/zstd"},
	{"a.zip", "application/zip"},
	{"a.tar", "application/x-tar"},
	{"a.7z", "application/x-7z-compressed"},
	{"a.jar", "application/java-archive"},
	{"a.xml", "text/xml"},
	{"a.xsl", "application/xml"},
	{"a.rdf", "application/xml"},
	{"a.wsdl", "application/xml"},
	{"a.json", "application/json"},
	{"a.js", "application/javascript"},
	{"a.mjs", "application/javascript"},
	{"a.html", "text/html"},
	{"a.htm", "text/html"},
	{"a.css", "text/css"},
	{"a.csv", "text/csv"},
	{"a.txt", "text/plain"},
	{"a.bat", "text/plain"},
	{"a.c", "text/plain"},
	{"a.h", "text/plain"},
	{"a.ksh", "text/plain"},
	{"a.pl", "text/plain"},
	{"a.py", "text/x-python"},
	{"a.sh", "application/x-sh"},
	{"a.jpg", "image/jpeg"},
	{"a.jpeg", "image/jpeg"},
	{"a.png", "image/png"},
	{"a.gif", "image/gif"},
	{"a.svg", "image/svg+xml"},
	{"a.pdf", "application/pdf"},
	{"a.wasm", "application/wasm"},
	{"a.woff2", "font/woff2"},
	{"a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	/* the last extension, any case */
	{"a.tar.gz", "application/gzip"},
	{"dir.json/A.XML", "text/xml"},
	{"a.b.c.JpEg", "image/jpeg"},
	/* packages, and what has no type of its own */
	{"a.rpm", BYTES},
	{"a.deb", BYTES},
	{"a.whl", BYTES},
	{"a.iso", BYTES},
	{"a.img", BYTES},
	{"a.tgz", BYTES},
	{"a.asc", BYTES},
	{"a.sig", BYTES},
	{"a.key", BYTES},
	{"a.yaml", BYTES},
	{"a.md", BYTES},
	{"a.zck", BYTES},
	{"a.sqlite", BYTES},
	{"PULP_MANIFEST", BYTES},
	{"dists/stable/Release", BYTES},
	/* no extension at all */
	{"", BYTES},
	{"a", BYTES},
	{"a.", BYTES},
	{".gz", BYTES},
	{"dir/.xml", BYTES},
	{"dir.gz/a", BYTES},
	{"dir.gz/", BYTES},
	{"a.x", BYTES},
	{"a.xmlx", BYTES},
	{"a.verylongextension", BYTES},
};

static void test_type_of_a_path(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(mime_of_path(slice_str(rows[i].path)), rows[i].type);
	assert_string_equal(mime_of_path(SLICE_NULL), BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_type_of_a_path)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
