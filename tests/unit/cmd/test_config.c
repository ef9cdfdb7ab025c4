/* Where settings come from, and who wins. */
#include "cmd/config.h"

#include "base/fsutil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], conf[96], other[96];

static int set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/sluice-config-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(conf, sizeof(conf), "%s/server.conf", dir);
	snprintf(other, sizeof(other), "%s/other.conf", dir);
	unsetenv("SLUICE_DATA");
	unsetenv("SLUICE_CONFIG");
	unsetenv("SLUICE_TASKS_WORKERS");
	unsetenv("SLUICE_SERVER_DATA");
	return 0;
}

static int tear_down(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static void write_conf(const char *path, const char *text)
{
	assert_int_equal(fs_replace_file(path, text, strlen(text), 0600, NULL), 0);
}

static void load(const struct options *o, struct settings *s)
{
	struct err err = ERR_INIT;

	if (config_load(o, s, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_defaults_follow_the_data_directory(void **state)
{
	struct options o = {.data = dir};
	struct settings s;
	char want[128];

	load(&o, &s);
	assert_string_equal(s.server_data, dir);
	snprintf(want, sizeof(want), "sqlite:%s/catalog.db", dir);
	assert_string_equal(s.database_url, want);
	snprintf(want, sizeof(want), "%s/media", dir);
	assert_string_equal(s.storage_media, want);
	settings_fini(&s);
}

static void test_who_wins(void **state)
{
	struct options o = {.data = dir, .listen = "127.0.0.1:1"};
	struct settings s;

	write_conf(conf, "[tasks]\nworkers = 5\nworker_ttl = 9s\n[server]\nlisten = 127.0.0.1:2\n");
	load(&o, &s);
	assert_int_equal(s.tasks_workers, 5);
	assert_string_equal(s.server_listen, "127.0.0.1:1");
	settings_fini(&s);
	setenv("SLUICE_TASKS_WORKERS", "6", 1);
	load(&o, &s);
	assert_int_equal(s.tasks_workers, 6);
	assert_int_equal(s.tasks_worker_ttl, 9000);
	settings_fini(&s);
	/* One file, not both. */
	write_conf(other, "[tasks]\nmemory_limit = 1G\n");
	o.config = other;
	load(&o, &s);
	assert_int_equal(s.tasks_worker_ttl, 30000);
	assert_int_equal(s.tasks_memory_limit, 1 << 30);
	settings_fini(&s);
	o.config = NULL;
	setenv("SLUICE_CONFIG", other, 1);
	load(&o, &s);
	assert_int_equal(s.tasks_memory_limit, 1 << 30);
	settings_fini(&s);
}

static void test_a_file_may_name_the_data_directory(void **state)
{
	struct options o = {.config = conf};
	char text[128], cwd[4096], want[4200];
	struct settings s;

	snprintf(text, sizeof(text), "[server]\ndata = %s/elsewhere\n", dir);
	write_conf(conf, text);
	load(&o, &s);
	snprintf(want, sizeof(want), "%s/elsewhere", dir);
	assert_string_equal(s.server_data, want);
	settings_fini(&s);
	/* The command line wins, and a relative name is of where we are. */
	o.data = "here";
	load(&o, &s);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/here", cwd);
	assert_string_equal(s.server_data, want);
	settings_fini(&s);
}

static void test_wrong_ones_name_their_place(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"[tasks]\n\nworkers = many\n", "server.conf:3"},
		{"[nope]\n", "server.conf:1"},
		{"[server]\nnope = 1\n", "server.conf:2"},
	};
	struct options o = {.data = dir};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		struct settings s;

		write_conf(conf, rows[i].text);
		assert_true(config_load(&o, &s, &err) < 0);
		assert_non_null(strstr(err.msg, rows[i].says));
	}
}

static void test_named_file_must_be_there(void **state)
{
	struct options o = {.data = dir, .config = other};
	struct settings s;

	assert_int_equal(config_load(&o, &s, NULL), -ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults_follow_the_data_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_may_name_the_data_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_ones_name_their_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_named_file_must_be_there, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
