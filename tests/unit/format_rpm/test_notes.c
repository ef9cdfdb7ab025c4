/* Advisories, groups and modules: what is read from them, their text, and what is wrong with some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "formats/rpm/notes.h"

struct seen {
	struct buf keys, texts;
	json_t *last;
	struct err err;
	bool comps;
};

static int see(void *arg, const struct note *n)
{
	struct seen *s = arg;

	buf_addf(&s->keys, "%s %.*s;", n->type, (int)strcspn(n->key, "\n"), n->key);
	buf_adds(&s->texts, json_string_value(json_object_get(n->fields, NOTE_TEXT)));
	json_decref(s->last);
	s->last = json_incref(n->fields);
	return 0;
}

static int take(void *arg, const struct record *r)
{
	struct seen *s = arg;

	return s->comps ? note_comps(r, see, s, &s->err) : note_advisory(r, see, s, &s->err);
}

/* `piece`: bytes at a time. */
static int parse(struct seen *s, const char *text, bool comps, size_t piece)
{
	struct records r;
	int rc = 0;

	*s = (struct seen){.comps = comps};
	assert_int_equal(records_init(&r, comps ? "comps" : "updates", take, s), 0);
	for (size_t at = 0, n = strlen(text); rc == 0 && at < n; at += piece)
		rc = records_feed(&r, text + at, MIN(piece, n - at), &s->err);
	if (rc == 0)
		rc = records_end(&r, &s->err);
	records_fini(&r);
	return rc;
}

static void fini(struct seen *s)
{
	buf_fini(&s->keys);
	buf_fini(&s->texts);
	json_decref(s->last);
}

static void an_advisory(void **state)
{
	static const char text[] =
		"<updates><other/><update from=\"a\" type=\"t\"> <id>X-1</id> <title>a &lt; b</title><pkglist>"
		"<collection short=\"c\"><name>C</name><module name=\"m\" stream=\"s\"/><package name=\"p\" "
		"epoch=\"1\">"
		"<filename>f</filename><sum type=\"md5\">00</sum><restart_suggested/></package></collection></pkglist>"
		"</update></updates>";
	const char *stream, *sum_type, *title, *severity;
	struct seen s;
	int restart, reboot;

	for (size_t piece = 1; piece < sizeof(text); piece += 100) {
		assert_int_equal(parse(&s, text, false, piece), 0);
		assert_string_equal(s.keys.p, "rpm.advisory X-1;");
		/* Blanks between elements mean nothing, and go. */
		assert_string_equal(s.texts.p,
			"<update from=\"a\" type=\"t\"><id>X-1</id><title>a &lt; b</title><pkglist>"
			"<collection short=\"c\"><name>C</name><module name=\"m\" stream=\"s\"/><package name=\"p\" "
			"epoch=\"1\">"
			"<filename>f</filename><sum "
			"type=\"md5\">00</sum><restart_suggested/></package></collection></pkglist>"
			"</update>");
		assert_int_equal(
			json_unpack(s.last, "{s:s, s:s, s:[{s:{s:s}, s:[{s:s, s:b, s:b}]}]}", "title", &title,
				"severity", &severity, "pkglist", "module", "stream", &stream, "packages", "sum_type",
				&sum_type, "restart_suggested", &restart, "reboot_suggested", &reboot),
			0);
		assert_string_equal(title, "a < b");
		assert_string_equal(severity, "");
		assert_string_equal(stream, "s");
		assert_string_equal(sum_type, "md5");
		assert_true(restart && !reboot);
		fini(&s);
	}
}

static void groups(void **state)
{
	struct seen s;

	assert_int_equal(parse(&s,
				 "<!DOCTYPE comps PUBLIC 'x' "
				 "'comps.dtd'><comps><group><id>g</id></group><blacklist/><category><id>c</id>"
				 "</category><environment><id>e</id></environment><langpacks><match name='a' "
				 "install='b'/></langpacks>"
				 "</comps>",
				 true, 7),
		0);
	assert_string_equal(s.keys.p,
		"rpm.packagegroup g;rpm.packagecategory c;rpm.packageenvironment e;rpm.packagelangpacks langpacks;");
	assert_string_equal(json_string_value(json_object_get(json_object_get(s.last, "matches"), "a")), "b");
	fini(&s);
}

static void bad_xml(void **state)
{
	static const char *const bad[] = {"<updates><update/></updates>",
		"<updates><update><id>a\nb</id></update></updates>", "<updates>", "<comps/>",
		"<!DOCTYPE a [<!ENTITY b 'c'>]><updates/>"};
	struct seen s;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(&s, bad[i], false, 5), -ERR_PARSE);
		assert_int_not_equal(s.err.msg[0], '\0');
		fini(&s);
	}
}

static void modules(void **state)
{
	static const char text[] =
		"# first\n%YAML 1.1\n---\ndocument: modulemd\ndata:\n  name: m\n  stream: \"1\"\n  version: 7\n  "
		"context: c\n"
		"  arch: a\n  profiles: {p: {rpms: [x]}}\n  artifacts: {rpms: [x-0:1-1.a]}\n...\n"
		"--- \ndocument: modulemd-defaults\ndata: {module: m, stream: s, profiles: {s: [p]}}\n"
		"---\ndocument: something-else\n---\n# nothing\n"
		"---\ndocument: modulemd-obsoletes\ndata: {modified: d, module: m, stream: s, message: b}";
	struct seen s = {.comps = false};

	assert_int_equal(note_modules(SLICE(text), see, &s, &s.err), 0);
	assert_string_equal(s.keys.p, "rpm.modulemd m:1:7:c:a;rpm.modulemd_defaults m;rpm.modulemd_obsolete d:m:s:;");
	assert_string_equal(s.texts.p,
		"---\ndocument: modulemd\ndata:\n  name: m\n  stream: \"1\"\n  version: 7\n  context: c\n  arch: a\n"
		"  profiles: {p: {rpms: [x]}}\n  artifacts: {rpms: [x-0:1-1.a]}\n...\n"
		"--- \ndocument: modulemd-defaults\ndata: {module: m, stream: s, profiles: {s: [p]}}\n...\n"
		"---\ndocument: modulemd-obsoletes\ndata: {modified: d, module: m, stream: s, message: b}\n...\n");
	assert_true(json_is_null(json_object_get(s.last, "eol_date")));
	fini(&s);
	s = (struct seen){.comps = false};
	assert_int_equal(note_modules(SLICE(""), see, &s, &s.err), 0);
	assert_int_equal(s.keys.n, 0);
}

static void bad_modules(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"---\na: [\n", "line "},
		{"---\nx: y\n---\na: *b\n", "line 4: it has an alias"},
		{"---\n[a]: b\n", "key"},
		{"---\ndocument: \"a\\0\"\n", "zero byte"},
		{"---\ndocument: modulemd-defaults\ndata: {module: \"a\\nb\"}\n", "no id"},
		{"---\na: [[[[[[[[[[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n", "nested"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct seen s = {.comps = false};
		int rc = note_modules(slice_str(bad[i].text), see, &s, &s.err);

		assert_true(rc == -ERR_PARSE || rc == -ERR_LIMIT);
		if (strstr(s.err.msg, bad[i].why) == NULL)
			fail_msg("%zu: %s", i, s.err.msg);
		fini(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_advisory),
		cmocka_unit_test(groups),
		cmocka_unit_test(bad_xml),
		cmocka_unit_test(modules),
		cmocka_unit_test(bad_modules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
