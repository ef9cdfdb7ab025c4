/* Settings: every type, every source, and what is said about a mistake. */
#include "base/settings.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct settings s;

static int set_up(void **state)
{
	return settings_init(&s, NULL);
}

static int tear_down(void **state)
{
	settings_fini(&s);
	return 0;
}

static int read_text(const char *text, struct err *err)
{
	return settings_read_text(&s, "server.conf", slice_str(text), err);
}

static void test_defaults(void **state)
{
	assert_string_equal(s.server_data, "");
	assert_string_equal(s.server_listen, "127.0.0.1:8080");
	assert_int_equal(s.server_pool_queue, 10000);
	assert_int_equal(s.server_idle_timeout, 60000);
	assert_int_equal(s.server_max_line, 16384);
	assert_int_equal(s.content_holdback, 256 * 1024);
	assert_int_equal(s.content_superseded_window, INT64_C(3) * 86400000);
	assert_false(s.content_share_credentials);
	assert_true(s.log_access);
	assert_string_equal(s.origin[0], "default");
}

static void test_numbers(void **state)
{
	static const struct {
		const char *section, *key, *text;
		size_t at;
		int64_t value;
	} rows[] = {
#define ROW(section, key, text, value) {#section, #key, text, offsetof(struct settings, section##_##key), value}
		ROW(server, loops, "0", 0),
		ROW(server, loops, "256", 256),
		ROW(server, max_body, "1024", 1024),
		ROW(server, max_body, "7k", 7168),
		ROW(server, max_body, "7K", 7168),
		ROW(server, max_body, "3M", 3 * 1048576),
		ROW(server, max_body, "2G", INT64_C(2) << 30),
		ROW(server, max_body, "5T", INT64_C(5) << 40),
		ROW(server, idle_timeout, "100ms", 100),
		ROW(server, idle_timeout, "7", 7000),
		ROW(server, idle_timeout, "7s", 7000),
		ROW(server, idle_timeout, "7m", 420000),
		ROW(server, idle_timeout, "7h", 25200000),
		ROW(server, idle_timeout, "1d", 86400000),
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			settings_set(&s, rows[i].section, rows[i].key, slice_str(rows[i].text), "test", NULL), 0);
		assert_int_equal(*(int64_t *)((char *)&s + rows[i].at), rows[i].value);
	}
}

static void test_bools(void **state)
{
	static const char *const yes[] = {"true", "yes", "on", "1", "True", "YES"};
	static const char *const no[] = {"false", "no", "off", "0", "False", "OFF"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		s.log_access = false;
		assert_int_equal(settings_set(&s, "log", "access", slice_str(yes[i]), "test", NULL), 0);
		assert_true(s.log_access);
		assert_int_equal(settings_set(&s, "log", "access", slice_str(no[i]), "test", NULL), 0);
		assert_false(s.log_access);
	}
}

static void test_shares(void **state)
{
	assert_int_equal(settings_share("0", 1000), 0);
	assert_int_equal(settings_share("0%", 1000), 0);
	assert_int_equal(settings_share("12k", 1000), 12288);
	assert_int_equal(settings_share("90%", 1000), 900);
	assert_int_equal(settings_share("100%", 1000), 1000);
	assert_true(settings_share("1%", INT64_MAX) > 0);
	assert_int_equal(settings_share("nonsense", 1000), 0);
}

static void test_bad_values_are_refused_and_change_nothing(void **state)
{
	static const struct {
		const char *section, *key, *text, *said;
	} rows[] = {
		{"server", "loops", "", "'' is not a whole number"},
		{"server", "loops", "x", "'x' is not a whole number"},
		{"server", "loops", "1x", "not a whole number"},
		{"server", "loops", "1.5", "not a whole number"},
		{"server", "loops", "-1", "'-1' is not 0 to 256"},
		{"server", "loops", "257", "'257' is not 0 to 256"},
		{"server", "loops", "99999999999999999999", "is not 0 to 256"},
		{"server", "max_line", "k", "not a size"},
		{"server", "max_line", "1kk", "not a size"},
		{"server", "max_line", "-1k", "not a size"},
		{"server", "max_line", "1s", "not a size"},
		{"server", "max_line", "2M", "'2M' is not 1k to 1M"},
		{"server", "max_line", "9999999999T", "is not 1k to 1M"},
		{"server", "max_line", "99999999999999999999k", "is not 1k to 1M"},
		{"server", "idle_timeout", "1w", "not a duration"},
		{"server", "idle_timeout", "1 s", "not a duration"},
		{"server", "idle_timeout", "2d", "'2d' is not 100ms to 1d"},
		{"log", "access", "maybe", "'maybe' is not true or false"},
		{"log", "access", "", "'' is not true or false"},
		{"log", "level", "loud", "'loud' is not debug, info"},
		{"server", "roles", "content, cook", "'cook' is not content, api"},
		{"server", "roles", "", "'' is not content, api"},
		{"server", "trusted_proxies", "localhost", "'localhost' is not an address"},
		{"server", "trusted_proxies", "10.0.0.0/33", "'10.0.0.0/33' is not an address"},
		{"content", "on_missing", "wait", "'wait' is not stream"},
		{"lazy", "redirect_url", "http://a/?b", "'http://a/?b' is not the beginning"},
		{"lazy", "streamer_interface", "lo, e th0", "'e th0' is not the name"},
		{"lazy", "streamer_port", "65536", "is not 0 to 65535"},
		{"server", "listen", "localhost", "'localhost' is not ADDR:PORT"},
		{"server", "listen", ":80", "':80' is not ADDR:PORT"},
		{"server", "listen", "a:80,", "'' is not ADDR:PORT"},
		{"server", "listen", "a:65536", "'a:65536' is not ADDR:PORT"},
		{"server", "listen", "::1:80", "'::1:80' is not ADDR:PORT"},
		{"server", "listen", "[]:80", "'[]:80' is not ADDR:PORT"},
		{"content", "path_prefix", "content", "'content' is not a path"},
		{"content", "origin", "mirror.example", "is not http://HOST"},
		{"storage", "allowed_checksums", "sha256,crc32", "'crc32' is not"},
		{"storage", "allowed_checksums", "md5, sha512", "sha256 must be among them"},
		{"storage", "quota", "", "'' is not a size"},
		{"storage", "quota", "101%", "'101%' is not a size"},
		{"storage", "quota", "%", "'%' is not a size"},
		{"storage", "quota", "5 %", "'5 %' is not a size"},
		{"storage", "min_free", "-1", "'-1' is not a size"},
		{"storage", "quota_high", "0", "'0' is not 1 to 100"},
		{"content", "allowed_import_paths", "relative", "'relative' is not an absolute path"},
		{"content", "allowed_import_paths", "/srv, srv", "'srv' is not an absolute path"},
		{"database", "url", "postgresql://db/x", "'postgresql://db/x' is not sqlite:PATH"},
		{"database", "url", "/srv/catalog.db", "is not sqlite:PATH"},
		{"database", "url", "sqlite:", "is not sqlite:PATH"},
		{"storage", "media", "a\nb", "control character"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
		struct err err = ERR_INIT;
		char place[80];

		assert_int_equal(settings_print(&s, false, &before), 0);
		assert_int_equal(settings_set(&s, rows[i].section, rows[i].key, slice_str(rows[i].text), "here", &err),
			-ERR_INVAL);
		snprintf(place, sizeof(place), "here: [%s] %s: ", rows[i].section, rows[i].key);
		assert_ptr_equal(strstr(err.msg, place), err.msg);
		assert_non_null(strstr(err.msg, rows[i].said));
		assert_int_equal(settings_print(&s, false, &after), 0);
		assert_string_equal(before.p, after.p);
		buf_fini(&before);
		buf_fini(&after);
	}
}

static void test_texts_that_are_fine(void **state)
{
	static const struct {
		const char *section, *key, *text;
	} rows[] = {
		{"server", "listen", ""},
		{"server", "listen", "0.0.0.0:80, [::1]:0,localhost:8080"},
		{"server", "roles", "worker"},
		{"server", "roles", "streamer,redirect"},
		{"server", "trusted_proxies", ""},
		{"server", "trusted_proxies", "192.0.2.0/24, ::1"},
		{"lazy", "redirect_url", ""},
		{"lazy", "redirect_url", "//cache.example.org:8080/streamer"},
		{"lazy", "streamer_interface", "lo, eth0,192.0.2.7, ::1"},
		{"server", "roles", "content, worker"},
		{"content", "path_prefix", "/"},
		{"content", "origin", ""},
		{"content", "origin", "HTTPS://mirror.example"},
		{"content", "allowed_import_paths", ""},
		{"content", "allowed_import_paths", "/srv/a, /mnt"},
		{"database", "url", ""},
		{"database", "url", "sqlite:/srv/catalog.db"},
		{"log", "level", "debug"},
		{"storage", "allowed_checksums", "md5, sha256"},
		{"storage", "media",
			"/srv/b\xc3\xbc"
			"cher and more"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			settings_set(&s, rows[i].section, rows[i].key, slice_str(rows[i].text), "test", NULL), 0);
	assert_string_equal(s.storage_media, "/srv/b\xc3\xbc"
					     "cher and more");
	assert_string_equal(s.content_path_prefix, "/");
}

static void test_file_as_people_write_it(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(read_text("\xef\xbb\xbf# a comment\n"
				   "; another = one\n"
				   "\n"
				   "[server]\r\n"
				   "data=/srv/sluice\r\n"
				   "  listen   =  0.0.0.0:80 ; everywhere\n"
				   "\troles: content\n"
				   "[log]\n"
				   "level = warning\n"
				   "[server]\n"
				   "loops = 3",
				 &err),
		0);
	assert_string_equal(s.server_data, "/srv/sluice");
	assert_string_equal(s.server_listen, "0.0.0.0:80");
	assert_string_equal(s.server_roles, "content");
	assert_string_equal(s.log_level, "warning");
	assert_int_equal(s.server_loops, 3);
	assert_string_equal(s.origin[0], "server.conf:5");
	assert_string_equal(s.origin[1], "server.conf:6");
	assert_string_equal(s.origin[2], "server.conf:7");
	assert_string_equal(s.origin[3], "server.conf:11");
}

static void test_values_may_be_empty_or_hold_separators(void **state)
{
	assert_int_equal(read_text("[server]\ndata =\n[database]\nurl = sqlite:/srv/a=b;c#d\n", NULL), 0);
	assert_string_equal(s.server_data, "");
	assert_string_equal(s.database_url, "sqlite:/srv/a=b;c#d");
	assert_int_equal(settings_read_text(&s, "empty", SLICE_NULL, NULL), 0);
	assert_int_equal(settings_read_text(&s, "empty", SLICE(""), NULL), 0);
}

/* libinih's lines end at 200 bytes. Every length around that, with blanks and comment signs where it would cut. */
static void test_long_lines(void **state)
{
	char value[2000], text[8000];

	for (size_t n = 150; n < 1900; n += n < 700 ? 1 : 97) {
		struct err err = ERR_INIT;

		for (size_t i = 0; i < n; i++)
			value[i] = i % 7 == 3 && i % 3 == 0 ? ' '
				   : i % 11 == 1            ? '#'
				   : i % 11 == 5            ? '='
							    : 'a' + (char)(i % 26);
		value[0] = 'v';
		value[n - 1] = 'z';
		value[n] = '\0';
		snprintf(text, sizeof(text), "# %s\n[storage]\nmedia = %s ; %s\n[log]\nlevel = error\n", value, value,
			value);
		assert_int_equal(read_text(text, &err), 0);
		assert_string_equal(s.storage_media, value);
		assert_string_equal(s.log_level, "error");
	}
}

static void test_mistakes_are_told_with_file_and_line(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{"[server]\nloops = x\n", "server.conf:2: [server] loops: 'x' is not a whole number"},
		{"\n\n[server]\n\n# c\nlop = 1\n", "server.conf:6: there is no setting 'lop' in [server]"},
		{"[server]\nloops = 2 # two\n", "server.conf:2: [server] loops: '2 # two' is not a whole number"},
		{"[server]\nloops = 1\nloops = 1\n", "server.conf:3: [server] loops is set in line 2 already"},
		{"[log]\nlevel = info\n[server]\n[log]\nlevel =\n",
			"server.conf:5: [log] level is set in line 2 already"},
		{"loops = 1\n", "server.conf:1: 'loops' stands before the first [section]"},
		{"[serve]\n", "server.conf:1: there is no section [serve]"},
		{"[]\n", "server.conf:1: there is no section []"},
		{"[server\nloops = 1\n", "server.conf:1: a section is written as [name]"},
		{"[server] loops = 1\n", "server.conf:1: a section is written as [name]"},
		{"[\n", "server.conf:1: a section is written as [name]"},
		{"[server]\nloops\n", "server.conf:2: expected 'key = value'"},
		{"[server]\nloops\nloops = 1\n", "server.conf:2: expected 'key = value'"},
		{"[server]\n= 1\n", "server.conf:2: expected 'key = value'"},
		{"[server]\nlisten = a:1,\n   b:2\n", "server.conf:2: [server] listen"},
		{"[server]\nlisten = a:1\n   b\n", "server.conf:3: expected 'key = value'"},
		{"[server]\nda\x01ta = 1\n", "server.conf:2: control character"},
		{"[server]\nloops = x\n[nope]\n", "server.conf:2: [server] loops"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(read_text(rows[i].text, &err), -ERR_PARSE);
		assert_int_equal(err.code, -ERR_PARSE);
		assert_ptr_equal(strstr(err.msg, rows[i].said), err.msg);
		assert_int_equal(read_text(rows[i].text, NULL), -ERR_PARSE);
	}
}

static void test_bytes_that_are_no_text(void **state)
{
	char line[1200];
	struct err err = ERR_INIT;

	assert_int_equal(settings_read_text(&s, "f", SLICE("[log]\nlevel = info\0debug\n"), &err), -ERR_PARSE);
	assert_string_equal(err.msg, "f:2: control character");
	memset(line, 'k', sizeof(line));
	assert_int_equal(settings_read_text(&s, "f", slice_of(line, sizeof(line)), &err), -ERR_PARSE);
	assert_string_equal(err.msg, "f:1: line too long");
	memcpy(line, "[log]\nlevel=x", 13);
	memset(line + 13, ' ', sizeof(line) - 14);
	line[sizeof(line) - 1] = 'x';
	assert_int_equal(settings_read_text(&s, "f", slice_of(line, sizeof(line)), &err), -ERR_PARSE);
	assert_string_equal(err.msg, "f:2: line too long");
}

static void test_file(void **state)
{
	char path[] = "/tmp/sluice-settings-XXXXXX", origin[64];
	struct err err = ERR_INIT;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[server]\nloops = 9\n", 19), 19);
	close(fd);
	assert_int_equal(settings_read_file(&s, path, &err), 0);
	assert_int_equal(s.server_loops, 9);
	snprintf(origin, sizeof(origin), "%s:2", path);
	assert_string_equal(s.origin[3], origin);
	unlink(path);
	assert_int_equal(settings_read_file(&s, path, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(err.msg, path));
}

static void test_later_sources_win(void **state)
{
	const char *env[] = {"PATH=/bin", "SLUICE_SERVER_LOOPS=5", "SLUICE_SERVER_MAX_BODY= 1M",
		"SLUICE_SERVER=http://h", "SLUICE_SERVERS_LOOPS=9", "SLUICE_NOPE_X=1", "SLUICE_=1", "SLUICE_DATA=/d",
		"SLUICE_LOG_NOPE", "SLUICE_LOG_LEVEL", "sluice_server_pool_threads=7", "SLUICE_SERVER_DATA=", NULL};

	assert_int_equal(read_text("[server]\nloops = 3\nmax_body = 2M\npool_threads = 4\ndata = /x\n", NULL), 0);
	assert_int_equal(settings_read_env(&s, (char **)env, NULL), 0);
	assert_int_equal(settings_set(&s, "server", "max_body", SLICE("3M"), "command line", NULL), 0);
	assert_int_equal(s.server_loops, 5);
	assert_int_equal(s.server_max_body, 3 * 1048576);
	assert_int_equal(s.server_pool_threads, 4);
	assert_string_equal(s.server_data, "");
	assert_string_equal(s.origin[3], "environment");
	assert_string_equal(s.origin[4], "server.conf:4");
	assert_int_equal(settings_read_env(&s, NULL, NULL), 0);
}

static void test_bad_environment_names_the_variable(void **state)
{
	const char *env[] = {"SLUICE_SERVER_LOOPS=many", NULL};
	struct err err = ERR_INIT;

	assert_int_equal(settings_read_env(&s, (char **)env, &err), -ERR_INVAL);
	assert_non_null(strstr(err.msg, "SLUICE_SERVER_LOOPS"));
	assert_non_null(strstr(err.msg, "'many' is not a whole number"));
	assert_int_equal(settings_read_env(&s, (char **)env, NULL), -ERR_INVAL);
	assert_int_equal(s.server_loops, 0);
}

static void test_an_unknown_key_in_the_environment_is_an_error(void **state)
{
	static const char *const names[] = {"SLUICE_SERVER_NOPE=1", "SLUICE_SERVER_LOOP=1", "SLUICE_SERVER_loops=1",
		"SLUICE_SERVER_=1", "SLUICE_TASKS_LOOPS="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *env[] = {"SLUICE_SERVER_LOOPS=5", names[i], NULL};
		char said[80] = "environment: ";
		struct err err = ERR_INIT;

		assert_int_equal(settings_read_env(&s, (char **)env, &err), -ERR_INVAL);
		strncat(said, names[i], strcspn(names[i], "="));
		assert_ptr_equal(strstr(err.msg, said), err.msg);
		assert_non_null(strstr(err.msg, "there is no such setting in ["));
		assert_int_equal(s.server_loops, 0);
	}
}

static void test_print_shows_values_and_origins(void **state)
{
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(read_text("[server]\nloops = 3\nidle_timeout = 90\n[content]\nholdback = 1000\n", NULL), 0);
	assert_int_equal(settings_print(&s, false, &out), 0);
	assert_ptr_equal(strstr(out.p, "[server]\n# directory of everything"), out.p);
	assert_non_null(strstr(out.p, "\nloops = 3  (server.conf:2)\n"));
	assert_non_null(strstr(out.p, "\nidle_timeout = 90s  (server.conf:3)\n"));
	assert_non_null(strstr(out.p, "\nholdback = 1000  (server.conf:5)\n"));
	assert_non_null(strstr(out.p, "\nmax_line = 16k  (default)\n"));
	assert_non_null(strstr(out.p, "\nsuperseded_window = 3d  (default)\n"));
	assert_non_null(strstr(out.p, "\ndrain_timeout = 30s  (default)\n"));
	assert_non_null(strstr(out.p, "\n\n[log]\n# debug, info, warning or error\nlevel = info  (default)\n"));
	assert_non_null(strstr(out.p, "\naccess = true  (default)\n"));
	buf_fini(&out);
}

/* The shipped file changes nothing as it is, and nothing when every row is switched on. */
static void test_shipped_file_reads_back(void **state)
{
	struct buf shipped = BUF_INIT(1 << 20);
	struct settings fresh;

	assert_int_equal(settings_print(&s, true, &shipped), 0);
	assert_int_equal(read_text(shipped.p, NULL), 0);
	assert_string_equal(s.origin[0], "default");
	for (size_t i = 1; i < shipped.n; i++) {
		if (shipped.p[i - 1] == '\n' && shipped.p[i] == '#' && shipped.p[i + 1] != ' ')
			shipped.p[i] = ' ';
	}
	assert_int_equal(read_text(shipped.p, NULL), 0);
	assert_string_equal(s.origin[0], "server.conf:3");
	assert_int_equal(settings_init(&fresh, NULL), 0);
#define X(section, key, type, dflt, lo, hi, help) compare_##type(s.section##_##key, fresh.section##_##key);
#define compare_STR(a, b) assert_string_equal(a, b)
#define compare_LIST(a, b) assert_string_equal(a, b)
#define compare_INT(a, b) assert_int_equal(a, b)
#define compare_BYTES(a, b) assert_int_equal(a, b)
#define compare_MSEC(a, b) assert_int_equal(a, b)
#define compare_BOOL(a, b) assert_int_equal(a, b)
	SETTINGS(X)
#undef X
	settings_fini(&fresh);
	buf_fini(&shipped);
}

static void test_list_has(void **state)
{
	assert_true(settings_list_has("a,b,c", SLICE("a")));
	assert_true(settings_list_has("a, b ,c", SLICE("b")));
	assert_true(settings_list_has("a,b,c", SLICE("c")));
	assert_false(settings_list_has("ab,bc", SLICE("b")));
	assert_false(settings_list_has("a,,b", SLICE("")));
	assert_false(settings_list_has("", SLICE("a")));
	assert_false(settings_list_has("", SLICE("")));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_defaults),
		T(test_numbers),
		T(test_bools),
		T(test_shares),
		T(test_bad_values_are_refused_and_change_nothing),
		T(test_texts_that_are_fine),
		T(test_file_as_people_write_it),
		T(test_values_may_be_empty_or_hold_separators),
		T(test_long_lines),
		T(test_mistakes_are_told_with_file_and_line),
		T(test_bytes_that_are_no_text),
		T(test_file),
		T(test_later_sources_win),
		T(test_bad_environment_names_the_variable),
		T(test_an_unknown_key_in_the_environment_is_an_error),
		T(test_print_shows_values_and_origins),
		T(test_shipped_file_reads_back),
		T(test_list_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
