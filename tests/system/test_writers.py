"""Two hundred writers at once on one repository. The table of tasks is replayed afterwards: who had reserved what, and when it ran."""
import datetime
import threading

import pytest

from sluice import SLOW, Api
from waiting import wait_for

WRITERS = 200 if SLOW == 1 else 60
FINAL = {"completed", "canceled", "failed", "skipped"}
SHARED = "shared:"


class Broken(AssertionError):
    pass


def time_of(task, name):
    return datetime.datetime.fromisoformat(task[name].replace("Z", "+00:00")) if task[name] else None


def replay(tasks):
    """Two tasks that share a resource, one of them exclusively, ran one after the other, the one that was dispatched first before the other; and each ran once it
    was free to."""
    by_resource = {}
    for t in sorted(tasks, key=lambda t: t["pulp_created"]):
        if t["state"] not in FINAL:
            raise Broken(f"{t['pulp_href']} is {t['state']}")
        start, end = time_of(t, "started_at"), time_of(t, "finished_at")
        if start is None:
            if t["state"] != "canceled":
                raise Broken(f"{t['pulp_href']} is {t['state']}, and has not run")
            continue
        if not time_of(t, "unblocked_at") <= start <= end:
            raise Broken(f"{t['pulp_href']} was free at {t['unblocked_at']}, started at {t['started_at']} and ended at {t['finished_at']}")
        for r in t["reserved_resources_record"]:
            by_resource.setdefault(r.removeprefix(SHARED), []).append((start, end, not r.startswith(SHARED), t["pulp_href"]))
    pairs = 0
    for resource, users in by_resource.items():
        for i, (_, end, exclusive, href) in enumerate(users):
            for start, _, also, later in users[i + 1:]:
                if exclusive or also:
                    pairs += 1
                    if start < end:
                        raise Broken(f"{later} started at {start}, before {href} ended at {end}; both use {resource}")
    return pairs


def task(n, begins, ends, *resources, state="completed"):
    def at(s):
        return None if s is None else f"2026-01-01T00:00:{s:02}Z"
    return {"pulp_href": f"/t/{n}/", "pulp_created": at(n), "unblocked_at": at(begins), "started_at": at(begins), "finished_at": at(ends), "state": state,
            "reserved_resources_record": list(resources)}


def test_the_replay_finds_what_is_wrong():
    assert replay([task(0, 1, 5, "r"), task(1, 5, 9, "shared:r"), task(2, 6, 8, "shared:r"), task(3, 9, 10, "r"), task(4, None, 7, "r", state="canceled")]) == 5
    for bad in ([task(0, 1, 5, "r"), task(1, 4, 9, "r")], [task(0, 1, 5, "shared:r"), task(1, 4, 9, "r")], [task(0, 6, 8, "r"), task(1, 1, 5, "r")],
                [task(0, 1, 5, "r", state="running")], [task(0, None, None, "r", state="failed")]):
        with pytest.raises(Broken):
            replay(bad)


@pytest.mark.timeout(120)
def test_two_hundred_writers(sluice, api, upstream):
    for n in range(20):
        upstream.add(f"/r/f{n}", 10 + n)
    remote = api.remote("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
    repo = api.repository("r", remote=remote["pulp_href"])
    api.sync(repo)
    units = [u["pulp_href"] for u in api.units(repo)]
    old = [api.distribute(f"old{n}", f"old{n}", repository=repo["pulp_href"])["pulp_href"] for n in range(WRITERS // 10)]
    at = repo["pulp_href"]
    jobs = []
    for n in range(WRITERS // 10):  # ten writers each
        jobs += [
            ("POST", at + "modify/", {"remove_content_units": [units[n % 20]]}), ("POST", at + "modify/", {"add_content_units": [units[n % 20]]}),
            ("POST", at + "modify/", {"remove_content_units": ["*"], "add_content_units": units[:n % 20]}),
            ("POST", at + "sync/", {}), ("POST", at + "set_label/", {"key": f"k{n}", "value": "v"}), ("PATCH", at, {"description": f"d{n}"}),
            ("POST", "publications/file/file/", {"repository": at}), ("DELETE", old[n], None), ("PATCH", remote["pulp_href"], {"max_retries": n % 4}),
            ("POST", "distributions/file/file/", {"name": f"new{n}", "base_path": f"new{n}", "repository": at})]
    gate, failures, dispatched = threading.Barrier(len(jobs)), [], []

    def write(method, path, body):
        with Api(sluice) as own:
            gate.wait(60 * SLOW)
            try:
                def taken():  # too many at once may be told to come again
                    a = own.request(method, path, json=body, check=False, timeout=100 * SLOW)
                    return [] if a.status_code == 503 else [a]
                r, = wait_for(f"{method} {path} to be taken", taken, 90 * SLOW, 0.2)
                assert r.status_code in (200, 201, 202), (method, path, r.status_code, r.text)
                if r.status_code == 202:
                    dispatched.append(r.json()["task"])
            except Exception as e:  # noqa: BLE001 shown by the test
                failures.append(e)
    threads = [threading.Thread(target=write, args=j) for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:3]
    canceled = [api.patch(t, json={"state": "canceled"}, check=False).status_code for t in dispatched[-10:]]
    assert set(canceled) <= {200, 409}
    wait_for("the end of all tasks", lambda: not api.list("tasks/", state__in="waiting,running,canceling", limit=1), 90 * SLOW, 0.1)
    tasks = api.list("tasks/", limit=10000)
    assert {t["pulp_href"] for t in tasks} >= set(dispatched) and len(dispatched) >= WRITERS * 6 // 10
    assert [(t["name"], t["error"]) for t in tasks if t["state"] not in ("completed", "canceled")] == []
    assert replay(tasks) > len(dispatched)
    # What they wrote is there.
    labels = api.show(at)["pulp_labels"]
    assert labels == {f"k{n}": "v" for n in range(WRITERS // 10)}
    versions = [v["number"] for v in api.list(at + "versions/", limit=1000)]
    assert versions == list(range(len(versions) - 1, -1, -1))
