"""Background work: what it reports, in which order it runs, and how it ends."""
import os
import signal
import time

import pytest


from sluice import SLOW
from waiting import wait_for

SYNC = "pulp_file.app.tasks.synchronizing.synchronize"


def lazy_repo(api, upstream, name, n=3, policy="immediate", **fields):
    for i in range(n):
        upstream.add(f"/{name}/{i}", 1000, seed=hash((name, i)) & 0xffff)
    return api.repo(name, upstream.manifest(f"/{name}/PULP_MANIFEST"), policy, sync=False, **fields)


def state(api, href):
    return api.show(href)["state"]


def wait_state(api, href, *want):
    wait_for(f"task {href} to be {want}", lambda: state(api, href) in want, 20 * SLOW)


def task_process(server):
    """The pid of the one task that runs."""
    return wait_for("a task's process", lambda: (server.children() or [None])[0], 10 * SLOW)


def test_fields_of_a_finished_sync(api, upstream):
    repo = lazy_repo(api, upstream, "r")
    t = api.sync(repo)
    assert t["name"] == SYNC and t["state"] == "completed" and t["error"] is None
    assert t["pulp_created"] <= t["unblocked_at"] <= t["started_at"] <= t["finished_at"]
    assert t["created_resources"][0] == repo["pulp_href"] + "versions/1/" and "/publications/" in t["created_resources"][1]
    assert len(t["created_resource_prns"]) == 2 and t["created_resource_prns"][0].startswith("prn:core.repositoryversion:")
    remote = api.find("remotes/file/file/", "r")
    record = t["reserved_resources_record"]
    assert repo["prn"] in record and "shared:" + remote["prn"] in record
    assert record.index(repo["prn"]) < record.index("shared:" + remote["prn"])
    assert t["prn"].startswith("prn:core.task:") and t["created_by"].startswith("/pulp/api/v3/users/")
    assert "result" in t


def test_progress_reports_of_a_sync(api, upstream):
    t = api.sync(lazy_repo(api, upstream, "r", 5))
    reports = {p["code"]: p for p in t["progress_reports"]}
    assert reports["sync.downloading.artifacts"]["done"] == 5
    assert {"sync.downloading.metadata", "sync.parsing.metadata", "associating.content"} <= set(reports)
    for p in reports.values():
        assert set(p) == {"message", "code", "state", "total", "done", "suffix"} and p["state"] == "completed", p
    assert reports["associating.content"]["done"] == 5


def test_progress_is_visible_while_it_runs(api, upstream):
    repo = lazy_repo(api, upstream, "r", 10, download_concurrency=1)
    gate = upstream.gate()
    upstream.rule("/r/[0-9]*", skip=4, gate_head=gate)
    href = api.start_sync(repo)
    gate.wait_reached()

    def done():
        for p in api.show(href)["progress_reports"]:
            if p["code"] == "sync.downloading.artifacts" and p["done"] == 4 and p["state"] == "running":
                return True
        return False
    wait_for("4 of 10 to be reported", done, 10 * SLOW)
    gate.open()
    api.wait(href)


def test_a_failed_sync_says_why(api, upstream):
    repo = api.repo("r", upstream.url("/none"), sync=False)
    t = api.sync(repo, states=("failed",))
    assert set(t["error"]) >= {"description"} and "404" in t["error"]["description"]
    assert t["created_resources"] == [] and t["finished_at"]
    assert all(p["state"] == "failed" or p["state"] == "completed" for p in t["progress_reports"])


def test_a_skipped_sync_says_so(api, upstream):
    repo = lazy_repo(api, upstream, "r")
    api.sync(repo)
    t = api.sync(repo)
    assert "sync.was_skipped" in [p["code"] for p in t["progress_reports"]]


# ---- order

def test_tasks_on_one_repository_run_one_after_the_other(api, upstream):
    repo = lazy_repo(api, upstream, "r")
    gate = upstream.gate()
    upstream.rule("/r/PULP_MANIFEST", gate_head=gate)
    first, second, third = (api.start_sync(repo, optimize=False) for _ in range(3))
    gate.wait_reached()
    time.sleep(0.5)  # a second one would have come by now
    assert gate.reached == 1
    assert [state(api, t) for t in (first, second, third)] == ["running", "waiting", "waiting"]
    gate.open()
    done = [api.wait(t) for t in (first, second, third)]
    assert done[0]["finished_at"] <= done[1]["started_at"] and done[1]["finished_at"] <= done[2]["started_at"]


def test_tasks_without_common_resources_run_at_once(api, upstream):
    gate = upstream.gate()
    repos = [lazy_repo(api, upstream, n) for n in ("r", "s")]
    upstream.rule("*/PULP_MANIFEST", gate_head=gate)
    tasks = [api.start_sync(r) for r in repos]
    gate.wait_reached(2)
    gate.open()
    for t in tasks:
        api.wait(t)


def test_shared_and_exclusive(api, upstream):
    """Two syncs share a remote; its deletion waits for both; a sync that comes later does not overtake the deletion."""
    remote = api.remote("m", upstream.manifest("/m/PULP_MANIFEST"), "on_demand")
    upstream.add("/m/a", 10)
    repos = [api.repository(n) for n in ("r", "s")]
    gate = upstream.gate()
    upstream.rule("/m/PULP_MANIFEST", gate_head=gate)
    syncs = [api.start_sync(r, remote) for r in repos]
    gate.wait_reached(2)
    delete = api.delete(remote["pulp_href"]).json()["task"]
    late = api.start_sync(api.repository("t"), remote)
    time.sleep(0.5)
    assert state(api, delete) == "waiting" and state(api, late) == "waiting"
    gate.open()
    for t in syncs:
        api.wait(t)
    api.wait(delete)
    assert api.wait(late, states=("failed", "completed"))["state"] == "failed"  # the remote is gone


def test_only_so_many_workers(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_TASKS_WORKERS": "1"})
    gate = upstream.gate()
    repos = [lazy_repo(s.api, upstream, n) for n in ("r", "s")]
    upstream.rule("*/PULP_MANIFEST", gate_head=gate)
    tasks = [s.api.start_sync(r) for r in repos]
    gate.wait_reached()
    time.sleep(0.5)
    assert gate.reached == 1 and len(s.children()) == 1
    gate.open()
    for t in tasks:
        s.api.wait(t)


# ---- cancel

def cancel(api, href, status=200):
    r = api.patch(href, json={"state": "canceled"}, check=False)
    assert r.status_code == status, r.text
    return r


def test_cancel_a_waiting_task(api, upstream):
    repo = lazy_repo(api, upstream, "r")
    gate = upstream.gate()
    upstream.rule("/r/PULP_MANIFEST", gate_head=gate)
    first, second = api.start_sync(repo), api.start_sync(repo)
    gate.wait_reached()
    cancel(api, second)
    t = api.wait(second, states=("canceled",))
    assert t["started_at"] is None and t["finished_at"]
    gate.open()
    api.wait(first)


def test_cancel_a_running_task(sluice, api, upstream):
    repo = lazy_repo(api, upstream, "r", 10)
    gate = upstream.gate()
    upstream.rule("/r/[0-9]*", skip=2, gate_head=gate)
    href = api.start_sync(repo)
    gate.wait_reached()
    assert cancel(api, href).json()["state"] in ("canceling", "canceled")
    t = api.wait(href, states=("canceled",))
    assert all(p["state"] != "running" for p in t["progress_reports"])
    wait_for("its process to be gone", lambda: sluice.children() == [])
    gate.open()
    assert api.version(repo) == 0 and len(api.list(repo["versions_href"])) == 1
    upstream.unrule()
    api.sync(repo)  # its reservations are free
    assert api.version(repo) == 1 and sluice.staged() == []


def test_cancel_after_the_end_is_a_conflict(api, upstream):
    t = api.sync(lazy_repo(api, upstream, "r"))
    cancel(api, t["pulp_href"], 409)
    r = api.patch(t["pulp_href"], json={"state": "running"}, check=False)
    assert r.status_code == 400 and "The only acceptable value for 'state' is 'canceled'." in r.text


def test_delete_tasks(api, upstream):
    repo = lazy_repo(api, upstream, "r")
    gate = upstream.gate()
    upstream.rule("/r/PULP_MANIFEST", gate_head=gate)
    href = api.start_sync(repo)
    gate.wait_reached()
    assert api.delete(href, check=False).status_code == 409
    gate.open()
    api.wait(href)
    assert api.delete(href).status_code == 204
    assert api.get(href, check=False).status_code == 404


# ---- death

@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_killed_task_is_failed_and_its_reservations_are_free(sluice, api, upstream, sig):
    repo = lazy_repo(api, upstream, "r", 10)
    gate = upstream.gate()
    upstream.rule("/r/[0-9]*", skip=2, gate_head=gate, times=8)
    href = api.start_sync(repo)
    gate.wait_reached()
    os.kill(task_process(sluice), sig)
    t = api.wait(href, states=("failed",))
    error = t["error"]
    assert ("reason" in error or "description" in error) and error
    if sig == signal.SIGKILL:
        assert error.get("reason") == f"Killed by signal {int(sig)}."
    gate.open()
    upstream.unrule()
    api.sync(repo)
    assert api.version(repo) == 1 and len(api.units(repo)) == 10
    assert sluice.get("r/0").status_code == 200  # the server did not notice


def test_a_killed_server_fails_its_tasks(sluice, api, upstream):
    """The task's process dies with its server; after the start the task is failed, its reservations are free."""
    repo = lazy_repo(api, upstream, "r", 10)
    gate = upstream.gate()
    upstream.rule("/r/[0-9]*", skip=2, gate_head=gate, times=8)
    href = api.start_sync(repo)
    gate.wait_reached()
    waiting = api.start_sync(repo)
    child = task_process(sluice)
    sluice.kill()
    wait_for("the task's process to die with its server", lambda: not os.path.exists(f"/proc/{child}") or
             "Z" in open(f"/proc/{child}/stat").read().rsplit(")", 1)[1][:3])
    gate.open()
    sluice.start()
    t = api.wait(href, states=("failed",))
    assert t["error"].get("reason") or t["error"].get("description")
    api.wait(waiting)
    assert api.version(repo) == 1 and sluice.staged() == []


def test_shutdown_aborts_a_task_and_says_so(start_sluice, upstream):
    sluice = start_sluice(env={"SLUICE_SERVER_DRAIN_TIMEOUT": "1s"})
    api = sluice.api
    repo = lazy_repo(api, upstream, "r", 10)
    upstream.rule("/r/[0-9]*", skip=2, hang="head")
    href = api.start_sync(repo)
    upstream.wait_hits(None, 4)
    assert sluice.stop(60) == 0
    sluice.start()
    t = api.wait(href, states=("failed", "canceled"))
    assert "shutdown" in str(t["error"]).lower() or t["state"] == "canceled", t["error"]


def test_time_limit_fails_the_task_alone(start_sluice, upstream):
    """A task that takes too long ends as failed; the server lives."""
    s = start_sluice(env={"SLUICE_TASKS_TIME_LIMIT": f"{int(2 * SLOW)}s"})
    repo = lazy_repo(s.api, upstream, "r", 4)
    upstream.rule("/r/[0-9]*", hang="head")
    t = s.api.sync(repo, states=("failed",))
    assert t["error"]
    assert s.api.get("status/").status_code == 200 and s.children() == []


# ---- lists

def test_task_list_and_filters(api, upstream):
    repo = lazy_repo(api, upstream, "r")
    ok = api.sync(repo)
    bad = api.sync(api.repo("s", upstream.url("/none"), sync=False), states=("failed",))
    assert [t["pulp_href"] for t in api.list("tasks/", state="failed")] == [bad["pulp_href"]]
    assert {t["pulp_href"] for t in api.list("tasks/", name=SYNC)} == {ok["pulp_href"], bad["pulp_href"]}
    assert {t["pulp_href"] for t in api.list("tasks/", name__contains="synchron", state__in="completed,failed")} == \
        {ok["pulp_href"], bad["pulp_href"]}
    assert ok["pulp_href"] in [t["pulp_href"] for t in api.list("tasks/", reserved_resources=repo["pulp_href"])]
    assert [t["pulp_href"] for t in api.list("tasks/", created_resources=repo["pulp_href"] + "versions/1/")] == [ok["pulp_href"]]
    created = [t["pulp_created"] for t in api.list("tasks/")]
    assert created == sorted(created, reverse=True) and len(set(created)) == len(created)
    mini = api.list("tasks/", minimal="true", state="failed")[0]
    assert "progress_reports" not in mini and mini["state"] == "failed"


def test_workers_are_listed_in_status(sluice):
    assert len(sluice.api.show("status/")["online_workers"]) >= 1


@pytest.mark.timeout(180)
def test_many_short_tasks(sluice, api):
    """A hundred at once: all end, none is lost."""
    made = [api.post("distributions/file/file/", json={"name": f"d{i}", "base_path": f"d{i}"}).json()["task"] for i in range(100)]
    for t in made:
        api.wait(t, 120)
    assert api.show("distributions/file/file/")["count"] == 100
