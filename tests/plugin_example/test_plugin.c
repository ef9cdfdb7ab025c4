/* The example of docs/plugins.md, loaded as the shared object that it is compiled to. */
#include "../unit/sync/bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const struct sluice_format *bench_formats[2];

static void lazily_served_by_a_plugin(void **state)
{
	struct bench *b = *state;
	const char *remote = bench_remote(b, "url.list", "upstream", site_url(b->up, "/list"), "'policy': 'on_demand'");
	const char *repo = bench_repository(b, "url.list", "r", "'autopublish': true");
	struct buf list = BUF_INIT(0);

	site_put(b->up, "/x/one.txt", SLICE("one"));
	site_put(b->up, "/y/z/two.txt", SLICE("two"));
	buf_addf(&list, "%s\n\n", site_url(b->up, "/x/one.txt"));
	buf_addf(&list, "%s", site_url(b->up, "/y/z/two.txt"));
	site_put(b->up, "/list", buf_slice(&list));
	buf_fini(&list);

	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(b, repo, "one.txt"), 0);
	assert_int_equal(bench_saved(b, repo, "two.txt"), 0);
	assert_int_equal(site_all_hits(b->up), 1);
	assert_string_equal(bench_published(b, repo, "index.txt"), "two.txt\none.txt\n");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
	bench_remote_set(b, remote, "'policy': 'immediate'");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(b, repo, "two.txt"), 1);

	site_put(b->up, "/list", SLICE("rubbish\n"));
	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
	assert_string_equal(bench_error(b), "the list holds a line that is no URL");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lazily_served_by_a_plugin, bench_setup, bench_teardown),
	};
	void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	int rc;

	if (plugin == NULL) {
		fprintf(stderr, "usage: test_plugin URLS.so: %s\n", argc == 2 ? dlerror() : "no plugin given");
		return 2;
	}
	bench_formats[0] = dlsym(plugin, "sluice_format");
	if (bench_formats[0] == NULL || bench_formats[0]->abi != SLUICE_FORMAT_ABI) {
		fprintf(stderr, "the plugin has no format of interface %d\n", SLUICE_FORMAT_ABI);
		return 2;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	dlclose(plugin);
	return rc;
}
