/* The least that reading metadata costs: opened, parsed by the parser that is used for it, and nothing done with what it says.
 *
 *   bare xml|stanzas|lines FILE…
 *
 * Prints the processor seconds of all files together. */
#include "base/err.h"
#include "tool.h"
#include "formats/deb/stanza.h"
#include "formats/file/manifest.h"
#include "sync/unpack.h"

#include <expat.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t seen; /* so that nothing can be left out as without effect */

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
	seen++;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	seen++;
}

static void XMLCALL on_text(void *arg, const XML_Char *p, int n)
{
	seen += n;
}

static int take_xml(void *arg, const char *p, size_t n)
{
	return XML_Parse(arg, p, (int)n, XML_FALSE) == XML_STATUS_OK ? 0 : -ERR_PARSE;
}

static int on_stanza(void *arg, const struct stanza *s, struct err *err)
{
	seen += (int64_t)s->count;
	return 0;
}

static int take_stanzas(void *arg, const char *p, size_t n)
{
	return stanza_feed(arg, p, n, NULL);
}

static int on_entry(void *arg, const struct manifest_entry *e)
{
	seen += e->size;
	return 0;
}

static int take_lines(void *arg, const char *p, size_t n)
{
	return manifest_feed(arg, p, n, NULL);
}

static void read_file(const char *path, int (*take)(void *arg, const char *p, size_t n), void *arg)
{
	static char piece[65536];
	struct err err = ERR_INIT;
	struct unpack *u;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || unpack_new(take, arg, &u) != 0)
		tool_die("%s: %m", path);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		if (unpack_feed(u, piece, (size_t)n, &err) != 0)
			tool_die("%s: %s", path, err.msg);
	if (n < 0 || unpack_end(u, &err) != 0)
		tool_die("%s: %s", path, err.msg);
	unpack_free(&u);
	close(fd);
}

static void read_xml(const char *path)
{
	XML_Parser x = XML_ParserCreate(NULL);

	if (x == NULL)
		tool_die("out of memory");
	XML_SetElementHandler(x, on_start, on_end);
	XML_SetCharacterDataHandler(x, on_text);
	read_file(path, take_xml, x);
	if (XML_Parse(x, "", 0, XML_TRUE) != XML_STATUS_OK)
		tool_die("%s: %s", path, XML_ErrorString(XML_GetErrorCode(x)));
	XML_ParserFree(x);
}

static void read_stanzas(const char *path)
{
	struct stanza_parser p;

	if (stanza_init(&p, 0, on_stanza, NULL) != 0)
		tool_die("out of memory");
	read_file(path, take_stanzas, &p);
	if (stanza_end(&p, NULL) != 0)
		tool_die("%s: no stanzas", path);
	stanza_fini(&p);
}

static void read_lines(const char *path)
{
	struct manifest m;

	manifest_init(&m, on_entry, NULL);
	read_file(path, take_lines, &m);
	if (manifest_end(&m, NULL) != 0)
		tool_die("%s: no manifest", path);
	manifest_fini(&m);
}

int main(int argc, char **argv)
{
	struct rusage u;

	if (argc < 3)
		tool_die("usage: bare xml|stanzas|lines FILE…");
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[1], "xml") == 0)
			read_xml(argv[i]);
		else if (strcmp(argv[1], "stanzas") == 0)
			read_stanzas(argv[i]);
		else if (strcmp(argv[1], "lines") == 0)
			read_lines(argv[i]);
		else
			tool_die("'%s' is nothing that can be read", argv[1]);
	}
	if (seen == 0)
		tool_die("there was nothing in it");
	(void)getrusage(RUSAGE_SELF, &u);
	printf("%.3f\n", (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
				 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	return 0;
}
