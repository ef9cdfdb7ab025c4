"""What is kept and what goes: last use, quota and eviction, reclaim."""
import json
import time

import pytest

import invariants
from data import KiB
from sluice import Sluice
from waiting import wait_for

# One artifact of 100 KiB fits between the mark and the quota, however slow eviction is.
QUOTA = {"SLUICE_STORAGE_QUOTA": "1000k", "SLUICE_STORAGE_QUOTA_HIGH": "85", "SLUICE_STORAGE_QUOTA_LOW": "80",
         "SLUICE_STORAGE_MIN_FREE": "0"}
HIGH = 850 * KiB


def last_used(api, path):
    return api.list("content/file/files/", relative_path=path)[0]["last_used"]


def fill(up, n=10, size=100 * KiB, where="/r"):
    for i in range(n):
        up.add(f"{where}/f{i}", size, seed=i + 1)
    return up.manifest(f"{where}/PULP_MANIFEST")


# ---- last use

def test_last_use_is_written_in_batches_and_not_on_every_hit(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_STORAGE_USE_INTERVAL": "500ms"})
    s.api.repo("r", fill(upstream, 3))
    assert last_used(s.api, "f0") is None
    assert s.get("r/f0").status_code == 200 and s.get("r/f1").status_code == 200
    s.quiet()
    assert last_used(s.api, "f0") is not None and last_used(s.api, "f2") is None
    saved = max(last_used(s.api, "f0"), last_used(s.api, "f1"))

    def used():
        assert s.get("r/f0").status_code == 200
        return last_used(s.api, "f0") > saved or None
    wait_for("the use to be written", used, 10)
    writes = s.metric("store_uses_written")
    hits, began = s.delta(), time.monotonic()
    for _ in range(50):
        assert s.get("r/f0").status_code == 200
    assert hits("content_hits") == 50
    # A use that is known to within half an interval is not written again; f1's may be among them, and what was on its way.
    written = s.metric("store_uses_written") - writes
    assert written <= 4 + (time.monotonic() - began) / 0.25
    assert last_used(s.api, "f1") <= last_used(s.api, "f0")
    recent = s.api.list("artifacts/", last_used__gt=saved)
    assert [a["sha256"] for a in recent] == [upstream.sha256("/r/f0")] and s.metric("store_uses_dropped") == 0


def test_a_stop_writes_the_uses_of_the_last_minute(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_STORAGE_USE_INTERVAL": "1h"})
    s.api.repo("r", fill(upstream, 1))
    assert s.get("r/f0").status_code == 200
    s.quiet()
    s.stop()
    age(s, "f0", 7200)
    s.start()
    before = last_used(s.api, "f0")
    assert s.get("r/f0").status_code == 200
    assert last_used(s.api, "f0") == before
    s.restart()
    assert last_used(s.api, "f0") > before


def age(s, path, seconds):
    """Of a stopped server: as if it had been used that much earlier."""
    import sqlite3
    db = sqlite3.connect(s.data / "catalog.db")
    db.execute("UPDATE artifact SET last_used = last_used - ? WHERE id = (SELECT artifact_id FROM content_artifact WHERE relative_path = ?)",
               (seconds * 1000000, path))
    db.commit()
    db.close()


# ---- quota and eviction

def stored(s):
    return s.api.show("status/")["storage"]["artifact_bytes"]


def saved(s, path):
    return s.api.list("content/file/files/", relative_path=path)[0]["artifact"] is not None


def fetch(s, up, *paths):
    """Each is saved, and what has to go for it is gone, before the next is asked for."""
    for path in paths:
        r = s.get("r/" + path)
        assert r.status_code == 200 and r.content == up.body("/r/" + path).all()
        s.quiet()
        wait_for("the bytes to fall below the mark", lambda: stored(s) <= HIGH, 60)


def test_the_least_recently_used_go_and_come_back(start_sluice, upstream):
    s = start_sluice(env=QUOTA)
    s.api.repo("r", fill(upstream, 25))
    paths = [f"f{i}" for i in range(25)]
    fetch(s, upstream, *paths)
    assert s.metric("store_unsaved") == 0 and s.metric("store_evictions") >= 25 - 8
    assert s.metric("store_evicted_bytes") == s.metric("store_evictions") * 100 * KiB
    there = [p for p in paths if saved(s, p)]
    assert there and there == paths[-len(there):], "the last ones stay"
    assert upstream.sha256("/r/f0") not in s.artifacts() and upstream.sha256("/r/f24") in s.artifacts()
    wait_for("the loops to let go of what was evicted", lambda: s.deleted_bytes() == 0, 60)
    invariants.catalog_and_disk_agree(s)
    storage = s.api.show("status/")["storage"]
    assert storage["quota"] == 1000 * KiB and 0 < storage["artifact_bytes"] <= HIGH
    text = s.cli("status").stdout
    assert "of at most 0.0 GiB" in text and "evicted since the start" in text
    fetch(s, upstream, "f0", "f24")
    assert (upstream.hits("/r/f0"), upstream.hits("/r/f24")) == (2, 1)
    s.wait_log("evicted artifacts=")


def test_what_is_used_again_stays(start_sluice, upstream):
    s = start_sluice(env={**QUOTA, "SLUICE_STORAGE_USE_INTERVAL": "200ms"})
    s.api.repo("r", fill(upstream, 14))
    fetch(s, upstream, *[f"f{i}" for i in range(8)])
    newest = last_used(s.api, "f7")

    def used():
        assert s.get("r/f0").status_code == 200
        return last_used(s.api, "f0") > newest
    wait_for("the use to be written", used, 60)
    fetch(s, upstream, "f8", "f9", "f10", "f11")
    assert saved(s, "f0") and not saved(s, "f1")
    assert upstream.hits("/r/f0") == 1


def test_what_an_immediate_sync_brought_stays_and_misses_are_served_unsaved(start_sluice, upstream):
    """Nothing can be evicted: clients are served all the same, and nothing grows past the quota."""
    s = start_sluice(env=QUOTA)
    s.api.repo("now", fill(upstream, 9, where="/now"), "immediate")
    s.wait_metric("store_artifact_bytes", lambda n: n >= 900 * KiB)  # what a task saves, the server sees within a second
    body = upstream.add("/r/big", 300 * KiB, seed=100)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    before = s.artifacts().keys()
    for n in (1, 2):
        assert s.get("r/big").content == body.all()
        s.quiet()
        assert upstream.hits("/r/big") == n
    assert not saved(s, "big") and s.artifacts().keys() == before
    assert s.metric("store_unsaved") == 2 and s.metric("store_evictions") == 0
    s.wait_log("downloads are served, but not saved")
    assert s.staged() == []
    for i in range(9):
        assert s.get(f"now/f{i}").status_code == 200
    assert all(upstream.hits(f"/now/f{i}") == 1 for i in range(9))


def test_a_sync_makes_room_or_fails_with_the_reason(start_sluice, upstream):
    s = start_sluice(env=QUOTA)
    s.api.repo("r", fill(upstream, 8))
    fetch(s, upstream, *[f"f{i}" for i in range(8)])
    s.api.repo("now", fill(upstream, 5, 101 * KiB, "/now"), "immediate")
    assert stored(s) <= 1000 * KiB and all(saved(s, f"f{i}") for i in range(5, 8))
    assert all(u["artifact"] for u in s.api.units(s.api.find("repositories/file/file/", "now")))
    big = s.api.repo("big", fill(upstream, 9, 102 * KiB, "/big"), "immediate", sync=False)
    task = s.api.sync(big, states=("failed",))
    assert "storage.quota" in str(task["error"])
    assert s.api.version(big) == 0 and stored(s) <= 1000 * KiB
    invariants.catalog_and_disk_agree(s)


def test_a_file_system_that_fills_up_evicts_too(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_STORAGE_QUOTA": "100%", "SLUICE_STORAGE_MIN_FREE": "100%"})
    s.api.repo("r", fill(upstream, 3))
    for i in range(3):
        assert s.get(f"r/f{i}").content == upstream.body(f"/r/f{i}").all()
    s.wait_log("evicted artifacts=.*for=min_free", 60)
    wait_for("all of them to go", lambda: not any(saved(s, f"f{i}") for i in range(3)), 60)
    assert s.api.show("status/")["storage"]["quota"] > 0


def test_without_a_quota_nothing_is_evicted(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_STORAGE_MIN_FREE": "100%"})
    s.api.repo("r", fill(upstream, 2))
    assert s.get("r/f0").status_code == 200
    s.quiet()
    assert s.api.show("status/")["storage"]["quota"] is None
    assert saved(s, "f0") and s.metric("store_evictions") == 0


@pytest.mark.parametrize("setting,value", [("QUOTA", "much"), ("QUOTA", "101%"), ("MIN_FREE", "-1"), ("QUOTA_HIGH", "0")])
def test_a_bad_quota_stops_the_start(tmp_path, setting, value):
    s = Sluice(tmp_path, env={f"SLUICE_STORAGE_{setting}": value}, start=False)
    r = s.cli("config", check=False)
    assert r.returncode == 2 and f"SLUICE_STORAGE_{setting}" in r.stderr and value in r.stderr


# ---- reclaim

def reclaim(s, **body):
    task = s.api.do("POST", "repositories/reclaim_space/", **body)
    return {r["code"]: r["done"] for r in task["progress_reports"]}


def test_reclaim_by_repository_and_version_and_dry_run(start_sluice, upstream):
    s = start_sluice()
    one = s.api.repo("one", fill(upstream, 3), "immediate")
    two = s.api.repo("two", fill(upstream, 2, 50 * KiB, "/two"), "immediate")
    f0 = s.api.list("content/file/files/", relative_path="f0", sha256=upstream.sha256("/r/f0"))[0]["pulp_href"]
    s.api.do("POST", one["pulp_href"] + "modify/", remove_content_units=[f0])  # version 2 lacks it
    latest = s.api.show(one["pulp_href"])["latest_version_href"]
    assert reclaim(s, repo_hrefs=[one["pulp_href"]], dry_run=True) == {
        "reclaim-space.artifact": 3, "reclaim-space.bytes": 300 * KiB}
    assert reclaim(s, repo_hrefs=["*"], dry_run=True)["reclaim-space.bytes"] == 400 * KiB
    assert s.api.show(f0)["artifact"] and all(u["artifact"] for u in s.api.units(one) + s.api.units(two))
    assert reclaim(s, repo_hrefs=[one["pulp_href"]], repo_versions_keeplist=[latest]) == {
        "reclaim-space.artifact": 1, "reclaim-space.bytes": 100 * KiB}
    assert s.api.show(f0)["artifact"] is None and all(u["artifact"] for u in s.api.units(one))
    assert reclaim(s, repo_hrefs=["*"]) == {"reclaim-space.artifact": 4, "reclaim-space.bytes": 300 * KiB}
    assert all(u["artifact"] is None for u in s.api.units(two) + s.api.units(one))
    assert s.get("one/f1").content == upstream.body("/r/f1").all()
    invariants.catalog_and_disk_agree(s)


def test_what_is_reclaimed_is_not_held_open(start_sluice, upstream):
    s = start_sluice()
    repo = s.api.repo("r", fill(upstream, 3))
    for i in range(3):
        assert s.get(f"r/f{i}").status_code == 200
        s.quiet()
        assert s.get(f"r/f{i}").status_code == 200
    assert reclaim(s, repo_hrefs=[repo["pulp_href"]])["reclaim-space.artifact"] == 3

    def released():
        assert s.get("r/nothing").status_code == 404  # a loop notices changes when it is asked for something
        return s.deleted_bytes() == 0
    wait_for("the loops to let go", released, 60)


def test_reclaim_from_the_command_line(start_sluice, upstream):
    s = start_sluice()
    s.api.repo("one", fill(upstream, 3), "immediate")
    assert s.cli("reclaim", "one", "--dry-run").stdout == "3 artifacts, 0.3 MiB would be reclaimed\n"
    assert s.cli("reclaim", "--all", "--keep-latest").stdout == "0 artifacts, 0.0 MiB reclaimed\n"
    got = json.loads(s.cli("reclaim", "one", "--json").stdout)
    assert (got["artifacts"], got["bytes"], got["dry_run"]) == (3, 300 * KiB, False)
    assert s.cli("reclaim", "--all").stdout == "0 artifacts, 0.0 MiB reclaimed\n"
    for args in ((), ("one", "--all"), ("none",)):
        r = s.cli("reclaim", *args, check=False)
        assert r.returncode != 0 and r.stderr
