/* Fault points. The source is included, so that the test also runs in builds without faults. */
#ifndef SLUICE_FAULTS
#define SLUICE_FAULTS 1
#endif
#include "base/fault.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_rules_are_read(void **state)
{
	static const struct {
		const char *text, *name;
		int64_t first, last;
		enum fault_act act;
		int64_t arg;
	} rows[] = {
		{"a.b@3=EIO", "a.b", 3, 3, FAULT_ERRNO, EIO},
		{"a@*=ENOSPC", "a", 1, INT64_MAX, FAULT_ERRNO, ENOSPC},
		{"a@2+=EAGAIN", "a", 2, INT64_MAX, FAULT_ERRNO, EAGAIN},
		{"a@1=kill", "a", 1, 1, FAULT_KILL, 0},
		{"a@2=sleep:500", "a", 2, 2, FAULT_SLEEP, 500},
		{" \n a@1=EIO\n", "a", 1, 1, FAULT_ERRNO, EIO},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fault_list l = {0};
		struct slice bad;

		assert_int_equal(fault_parse(slice_str(rows[i].text), &l, &bad), 0);
		assert_int_equal(l.n, 1);
		assert_string_equal(l.rules[0].name, rows[i].name);
		assert_int_equal(l.rules[0].first, rows[i].first);
		assert_int_equal(l.rules[0].last, rows[i].last);
		assert_int_equal(l.rules[0].act, rows[i].act);
		assert_int_equal(l.rules[0].arg, rows[i].arg);
	}
}

static void test_bad_rules_are_named(void **state)
{
	static const char *const rows[] = {"a", "a@1", "@1=EIO", "a@=EIO", "a@0=EIO", "a@0+=EIO", "a@+=EIO", "a@x=EIO",
		"a@1=", "a@1=EWHAT", "a@1=sleep:", "a@1=sleep:x", "a@1=killed",
		"a234567890123456789012345678901234567890123456789012345678901234@1=EIO"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fault_list l = {0};
		struct slice bad = SLICE_NULL;
		char text[200];

		snprintf(text, sizeof(text), "ok@1=EIO %s", rows[i]);
		assert_int_equal(fault_parse(slice_str(text), &l, &bad), -ERR_INVAL);
		assert_true(slice_eq(bad, slice_str(rows[i])));
	}
}

/* fault_at reads the environment once, hence a process for each row. */
static int in_child(const char *rules, void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("SLUICE_FAULT", rules, 1);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define EXPECT(cond) ((cond) ? (void)0 : _exit(__LINE__ % 100 + 1))

static void visit_some(void)
{
	EXPECT(fault_at("other") == 0);
	EXPECT(fault_at("third") == 0);
	EXPECT(fault_at("third") == 0);
	errno = 0;
	EXPECT(fault_at("third") == -EIO);
	EXPECT(errno == EIO);
	EXPECT(fault_at("third") == 0);
	EXPECT(fault_at("each") == -ENOSPC);
	EXPECT(fault_at("each") == -ENOSPC);
	EXPECT(fault_at("later") == 0);
	EXPECT(fault_at("later") == -EINTR);
	EXPECT(fault_at("later") == -EINTR);
}

static void test_faults_strike_when_asked(void **state)
{
	assert_int_equal(in_child("third@3=EIO each@*=ENOSPC later@2+=EINTR", visit_some), 0);
}

static void visit_sleepy(void)
{
	int64_t before = clock_mono_ns();

	EXPECT(fault_at("sleepy") == -EIO);
	EXPECT(clock_mono_ns() - before >= 20 * NS_PER_MS);
}

static void test_sleep_goes_with_an_errno(void **state)
{
	assert_int_equal(in_child("sleepy@1=sleep:20 sleepy@1=EIO", visit_sleepy), 0);
}

static void visit_once(void)
{
	fault_at("deadly");
}

static void test_kill_kills(void **state)
{
	int status = in_child("deadly@1=kill", visit_once);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void visit_misspelled(void)
{
	/* Not onto the test's output, and without the core file. */
	close(STDERR_FILENO);
	fault_at("anything");
}

static void test_a_misspelled_rule_ends_the_process(void **state)
{
	int status = in_child("deadly@1=kil", visit_misspelled);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static char fault_file[64];

static void write_rules(const char *rules)
{
	char temporary[80];
	FILE *f;

	snprintf(temporary, sizeof(temporary), "%s.new", fault_file);
	f = fopen(temporary, "we");
	EXPECT(f != NULL && fputs(rules, f) >= 0 && fclose(f) == 0);
	EXPECT(rename(temporary, fault_file) == 0);
}

static void visit_with_file(void)
{
	setenv("SLUICE_FAULT_FILE", fault_file, 1);
	EXPECT(fault_at("x") == 0);
	write_rules("x@*=EIO");
	EXPECT(fault_at("x") == -EIO);
	EXPECT(fault_at("y") == -EPERM); /* those of the environment stay */
	write_rules("x@2=ENOSPC\n");
	EXPECT(fault_at("x") == 0); /* counted anew */
	EXPECT(fault_at("x") == -ENOSPC);
	EXPECT(unlink(fault_file) == 0);
	EXPECT(fault_at("x") == 0);
}

static void test_the_file_is_read_again(void **state)
{
	int fd;

	strcpy(fault_file, "/tmp/sluice-fault-XXXXXX");
	fd = mkstemp(fault_file);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(in_child("y@*=EPERM", visit_with_file), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_are_read),
		cmocka_unit_test(test_bad_rules_are_named),
		cmocka_unit_test(test_faults_strike_when_asked),
		cmocka_unit_test(test_sleep_goes_with_an_errno),
		cmocka_unit_test(test_kill_kills),
		cmocka_unit_test(test_a_misspelled_rule_ends_the_process),
		cmocka_unit_test(test_the_file_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
