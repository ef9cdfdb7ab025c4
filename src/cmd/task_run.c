/* `sluice task-run UUID`: the process of one task. Its worker started it, watches it, and writes down how it died if it does. */
#include "base/log.h"
#include "base/log_writer.h"
#include "cmd/commands.h"
#include "cmd/wiring.h"

#include <curl/curl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>

/* What the last lines wait for a reader that hangs; the worker waits for this process. */
#define LOG_STOP_MS 1000

int cmd_task_run(const struct options *o)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct err err = ERR_INIT;
	struct wiring w;
	int status, rc;

	/* It is started as /proc/self/exe: what lists processes shall show more than "exe". */
	prctl(PR_SET_NAME, "sluice-task");
	/* An upstream that closes its end is an error of a write, not the end of the process. */
	sigaction(SIGPIPE, &ignore, NULL);
	/* Each arena of malloc reserves 64 MiB of the addresses that tasks.memory_limit allows; by default there may be eight of
	 * them for each processor. */
	mallopt(M_ARENA_MAX, 2);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	/* Without one lines are written at once, and a log that nobody reads stops the task. */
	if (log_writer_start(&err) < 0)
		log_warn("task", "%s", err.msg);
	rc = wiring_open_task(o, &w, &err);
	if (rc < 0) {
		log_error("task", "%s cannot be run: %s", o->operands[1], err.msg);
		curl_global_cleanup();
		log_writer_stop(LOG_STOP_MS);
		return EXIT_FAILED;
	}
	status = task_child_main(&w.registry, w.catalog, o->operands[1]);
	wiring_close(&w);
	curl_global_cleanup();
	log_writer_stop(LOG_STOP_MS);
	return status;
}
