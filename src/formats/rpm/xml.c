/* What expat calls, and what stops it. Its own protection against entities that grow is not needed: without a document type there are none. */
#include "formats/rpm/xml.h"

#include "base/check.h"

#include <expat.h>
#include <ctype.h>
#include <string.h>

static void stop(struct xml *x, int rc)
{
	if (x->rc == 0)
		x->rc = rc;
	(void)XML_StopParser(x->parser, XML_FALSE); /* fails only when it is stopped already */
}

/* Without the prefix. What is no name by itself ("a:", "a:1") stays as it is: it may be written again. */
static const char *local(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon != NULL && (colon[1] == '_' || isalpha((unsigned char)colon[1])) ? colon + 1 : name;
}

const char *xml_attr(const char **attrs, const char *name)
{
	for (; *attrs != NULL; attrs += 2)
		if (strcmp(*attrs, name) == 0 || (strcmp(name, "xml:base") != 0 && strcmp(local(*attrs), name) == 0))
			return attrs[1];
	return NULL;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
	struct xml *x = arg;
	int rc;

	if (x->rc != 0)
		return;
	if (++x->depth > XML_DEPTH_MAX) {
		stop(x, err_set(&x->err, -ERR_LIMIT, "its elements are nested more than %d deep", XML_DEPTH_MAX));
		return;
	}
	if (x->skip_depth != 0)
		return;
	buf_reset(&x->text);
	rc = x->ops->start(x->arg, x, local(name), attrs);
	if (rc != 0)
		stop(x, rc);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct xml *x = arg;
	int rc;

	if (x->rc != 0)
		return;
	if (x->skip_depth != 0 && x->depth > x->skip_depth) {
		x->depth--;
		return;
	}
	x->skip_depth = 0;
	rc = x->ops->end(x->arg, x, local(name), x->text.n > 0 ? buf_slice(&x->text) : SLICE(""));
	buf_reset(&x->text);
	x->depth--;
	if (rc != 0)
		stop(x, rc);
}

static void XMLCALL on_text(void *arg, const XML_Char *p, int n)
{
	struct xml *x = arg;

	if (x->rc == 0 && x->skip_depth == 0 && buf_add(&x->text, p, (size_t)n) != 0)
		stop(x, err_set(&x->err, x->text.failed, "an element holds more than %zu bytes", XML_TEXT_MAX));
}

static void XMLCALL on_doctype(
	void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public_id, int has_internal_subset)
{
	struct xml *x = arg;

	/* comps.xml names its DTD at times, which nobody reads; only what is inside of the brackets could declare entities. */
	if (has_internal_subset)
		stop(x, err_set(&x->err, -ERR_PARSE, "it has a document type, which no repository needs"));
}

int xml_init(struct xml *x, const struct xml_ops *ops, void *arg)
{
	*x = (struct xml){.ops = ops, .arg = arg, .text = BUF_INIT(XML_TEXT_MAX)};
	x->parser = XML_ParserCreate(NULL);
	if (x->parser == NULL)
		return -ERR_NOMEM;
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_start, on_end);
	XML_SetCharacterDataHandler(x->parser, on_text);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	return 0;
}

void xml_fini(struct xml *x)
{
	if (x->parser != NULL)
		XML_ParserFree(x->parser);
	x->parser = NULL;
	buf_fini(&x->text);
}

int64_t xml_line(const struct xml *x)
{
	return (int64_t)XML_GetCurrentLineNumber(x->parser);
}

static int failed(struct xml *x, struct err *err)
{
	enum XML_Error code = XML_GetErrorCode(x->parser);

	if (x->rc != 0) {
		if (err != NULL && x->err.code != 0)
			*err = x->err;
		return x->rc;
	}
	if (code == XML_ERROR_NO_MEMORY)
		return err_set(err, -ERR_NOMEM, "no memory for XML");
	return err_set(err, -ERR_PARSE, "line %lld: %s", (long long)xml_line(x), XML_ErrorString(code));
}

int xml_feed(struct xml *x, const char *p, size_t n, struct err *err)
{
	while (n > 0) {
		int piece = (int)MIN(n, (size_t)65536);

		if (XML_Parse(x->parser, p, piece, XML_FALSE) != XML_STATUS_OK)
			return failed(x, err);
		x->fed += piece;
		if (x->fed - (int64_t)XML_GetCurrentByteIndex(x->parser) > XML_TAG_MAX)
			return err_set(err, -ERR_LIMIT, "line %lld: a tag is longer than %lld bytes",
				(long long)xml_line(x), (long long)XML_TAG_MAX);
		p += piece;
		n -= (size_t)piece;
	}
	return 0;
}

int xml_end(struct xml *x, struct err *err)
{
	return XML_Parse(x->parser, "", 0, XML_TRUE) == XML_STATUS_OK ? 0 : failed(x, err);
}

void xml_add(struct buf *b, struct slice s)
{
	size_t from = 0;

	for (size_t i = 0; i <= s.n; i++) {
		unsigned char c = i < s.n ? (unsigned char)s.p[i] : '\0';
		const char *as = i == s.n                              ? ""
				 : c == '&'                            ? "&amp;"
				 : c == '<'                            ? "&lt;"
				 : c == '>'                            ? "&gt;"
				 : c == '"'                            ? "&quot;"
				 : c == '\r'                           ? "&#13;"
				 : c >= 0x20 || c == '\t' || c == '\n' ? NULL
								       : "";

		if (as == NULL)
			continue;
		buf_add(b, s.p + from, i - from);
		buf_adds(b, as);
		from = i + 1;
	}
}
