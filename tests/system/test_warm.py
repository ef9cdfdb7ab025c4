"""Fetching ahead of clients: interrupted, resumed, bounded by the quota, and choosing what clients will want."""
import json

import invariants
from data import KiB
from rpms import Rpms, needs_tools
from test_quota import QUOTA, fetch, fill, saved
from test_rpm import Repo
from waiting import wait_for


def start(s, repo, **options):
    return s.api.post(s.api.show(repo["pulp_href"])["latest_version_href"] + "warm/", json=options).json()


def reports(task):
    return {r["code"]: r["done"] for r in task["progress_reports"]}


def warm(s, repo, states=("completed",), **options):
    return s.api.wait(start(s, repo, **options), states=states)


def held_at(s, upstream, repo, path, gate, **options):
    """A warm that hangs in that path, with two artifacts done."""
    upstream.rule(path, gate_head=gate)
    task = start(s, repo, concurrency=2, **options)
    wait_for("two artifacts to be saved", lambda: reports(s.api.show(task["task"])).get("warm.artifacts", 0) >= 2, 30)
    gate.wait_reached(1, 30)
    return task


def test_what_a_kill_leaves_is_not_fetched_again(sluice, upstream):
    repo = sluice.api.repo("r", fill(upstream, 8))
    gate = upstream.gate()
    held_at(sluice, upstream, repo, "/r/f2", gate)
    sluice.kill(children=True)
    known = invariants.known_artifacts(sluice)
    there = [p for p in (f"f{i}" for i in range(8)) if upstream.sha256("/r/" + p) in known]
    assert len(there) >= 2 and "f2" not in there
    gate.open()
    upstream.unrule()
    sluice.start()
    invariants.tasks_end(sluice)
    upstream.forget()
    task = warm(sluice, repo)
    assert reports(task)["warm.artifacts"] == 8 - len(there)
    assert [upstream.hits("/r/" + p) for p in there] == [0] * len(there)
    for i in range(8):
        assert sluice.get(f"r/f{i}").content == upstream.body(f"/r/f{i}").all()
    assert upstream.hits() == 8 - len(there)
    invariants.saved_files_match_their_names(sluice)
    invariants.nothing_is_staged(sluice)


def test_a_cancel_keeps_what_is_done_and_syncs_go_on_beside(sluice, upstream):
    api = sluice.api
    repo = api.repo("r", fill(upstream, 6))
    gate = upstream.gate()
    task = held_at(sluice, upstream, repo, "/r/f2", gate)
    upstream.add("/r/new", 10 * KiB)
    assert api.sync(repo)["state"] == "completed"
    api.patch(task["task"], json={"state": "canceled"})
    task = api.wait(task, states=("canceled",))
    kept = reports(task)["warm.artifacts"]
    assert kept >= 2
    gate.open()
    again = reports(warm(sluice, repo))
    assert again["warm.artifacts"] <= 7 - kept and all(saved(sluice, p) for p in ("f0", "f2", "f5", "new"))
    assert all(upstream.hits(f"/r/f{i}") == 1 for i in range(6) if i not in (2, 3)), "but for what was in progress"
    assert api.list("content/file/files/", relative_path="f4")[0]["last_used"] is None, "nobody has used it"


def test_nothing_that_is_used_goes_for_what_is_warmed(start_sluice, upstream):
    s = start_sluice(env=QUOTA)
    repo = s.api.repo("r", fill(upstream, 25))
    fetch(s, upstream, "f20", "f21", "f22")
    task = warm(s, repo, ("failed",))
    assert "storage.quota leaves no room" in task["error"]["description"]
    assert 1 <= reports(task)["warm.artifacts"] <= 5
    assert s.metric("store_evictions") == 0
    fetch(s, upstream, "f20", "f21", "f22")
    assert [upstream.hits(f"/r/f{i}") for i in (20, 21, 22)] == [1, 1, 1]
    invariants.catalog_and_disk_agree(s)


def test_from_the_command_line(sluice, upstream):
    sluice.api.repo("r", fill(upstream, 3))
    assert sluice.get("r/f0").status_code == 200
    sluice.quiet()
    out = sluice.cli("warm", "r", "--what", "all", "--bytes-per-second", "100000000").stdout
    assert "Warming Artifacts: 2\n" in out and all(saved(sluice, f"f{i}") for i in range(3))
    sluice.artifacts()[upstream.sha256("/r/f1")].unlink()
    out = sluice.cli("repair", "r", "--verify-checksums", "no").stdout
    assert "Missing Artifacts: 1\n" in out and "Repaired Artifacts: 1\n" in out
    assert json.loads(sluice.cli("repair", "--json").stdout)["name"].endswith("repair_all_artifacts")
    failed = sluice.cli("warm", "r", "--what", "nonsense", check=False)
    assert failed.returncode == 4 and "nonsense" in failed.stderr


@needs_tools
def test_updates_of_what_clients_have_and_what_is_superseded(sluice, upstream, tmp_path):
    up = Rpms(tmp_path / "up")
    names = ("bear", "lion", "wolf")
    for name in names:
        up.build(name, "1.0")
    up.createrepo()
    up.put(upstream, "/r/")
    r = Repo(sluice, "r", upstream.url("/r/"), sync="additive", autopublish=True)
    old = {name: f"/r/{name}-1.0-1.noarch.rpm" for name in names}
    new = {name: f"/r/{name}-1.1-1.noarch.rpm" for name in names}
    assert r.get("Packages/b/bear-1.0-1.noarch.rpm")[0] == 200
    for name in ("bear", "lion"):
        up.build(name, "1.1")
    up.createrepo()
    up.put(upstream, "/r/")
    r.sync("additive", warm="used")

    invariants.tasks_end(sluice)
    task = sluice.api.list("tasks/", name__contains="warm")[0]
    assert task["state"] == "completed" and reports(task)["warm.artifacts"] == 1
    assert upstream.hits(new["bear"]) == 1 and upstream.hits(new["lion"]) == 0
    assert reports(warm(sluice, r.repo, what="vanishing"))["warm.artifacts"] == 1
    assert upstream.hits(old["lion"]) == 1, "it has a successor, and may be gone soon"
    assert upstream.hits(old["wolf"]) == upstream.hits(new["lion"]) == 0
    assert reports(warm(sluice, r.repo))["warm.artifacts"] == 2
    upstream.close()
    for name in names:
        assert r.get(f"Packages/{name[0]}/{name}-1.0-1.noarch.rpm")[0] == 200
