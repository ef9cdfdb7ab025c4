"""Upstreams that fail are left alone and found again; what a busy one is asked at once is bounded, and nobody waits for ever."""
import json
import time

import pytest

from data import KiB, MiB
from upstream import Upstream
from waiting import in_thread, wait_for


def until_served(s, path):
    """Asks as a client does that heeds Retry-After loosely; returns the failed answers before."""
    failed = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        r = s.get(path)
        if r.status_code == 200:
            return failed
        failed.append(r)
        time.sleep(0.05)
    raise AssertionError(f"{path} was never served: {failed[-1].status_code} {failed[-1].headers}")


def refused_at_once(s, upstream, path):
    """It is answered from memory: the reason, when to come again, and no connection."""
    before = upstream.hits(), s.metric("fetch_requests")
    r = s.get(path)
    assert r.status_code == 502 and r.headers["X-Sluice-Reason"] == "upstream-unreachable"
    assert 1 <= int(r.headers["Retry-After"]) <= 2
    assert (upstream.hits(), s.metric("fetch_requests")) == before


def test_dead_upstream_is_left_alone_and_its_recovery_noticed(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_SOURCE_BACKOFF": "2s", "SLUICE_CONTENT_SOURCE_BACKOFF_MAX": "2s"})
    for name in "abcd":
        upstream.add(f"/r/{name}", 4 * KiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    upstream.rule("/r/?", reset=True)
    first = s.get("r/a")  # with all its retries
    assert first.status_code == 502 and int(first.headers["Retry-After"]) <= 2 and upstream.hits("/r/a") == 4
    assert s.metric("sources_down") == 1
    refused_at_once(s, upstream, "r/a")
    refused_at_once(s, upstream, "r/b")
    # It comes back, slowly: one request goes through to see, the others do not wait for what it finds.
    upstream.unrule()
    gate = upstream.gate()
    upstream.rule("/r/c", gate_head=gate)
    probing = in_thread(until_served, s, "r/c")
    gate.wait_reached()
    refused_at_once(s, upstream, "r/d")
    gate.open()
    assert all("Retry-After" in r.headers for r in probing())
    assert s.get("r/d").status_code == 200
    assert s.metric("sources_down") == 0 and s.metric("sources_probed") == 1


def test_missing_and_wrong_files_do_not_punish_their_upstream(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_SOURCE_FAILURES": "1", "SLUICE_CONTENT_FAILURE_COOLDOWN": "0"})
    for name in ("gone", "wrong", "good"):
        upstream.add(f"/r/{name}", 4 * KiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    upstream.rule("/r/gone", status=404)
    upstream.rule("/r/wrong", corrupt_at=0)
    began = time.monotonic()
    while time.monotonic() < began + 1.2:  # longer than a restart that is overlooked
        assert s.get("r/gone").status_code == 404
        assert s.get("r/wrong").status_code == 502
    assert s.metric("sources_backoffs") == 0
    assert s.get("r/good").status_code == 200


def test_what_a_dead_upstream_has_comes_from_the_other_one(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_SOURCE_BACKOFF": "30s"})
    with Upstream() as other:
        body = upstream.add("/r/both", 4 * KiB)
        upstream.add("/r/one", 4 * KiB, seed=7)
        other.add("/r/both", body)
        first = s.api.remote("first", upstream.manifest("/r/PULP_MANIFEST"), "on_demand", max_retries=1)
        second = s.api.remote("second", other.manifest("/r/PULP_MANIFEST"), "on_demand")
        repo = s.api.repository("r", autopublish=True)
        s.api.sync(repo, first, mirror=False)
        s.api.sync(repo, second, mirror=False)
        s.api.distribute("r", "r", repository=repo["pulp_href"])
        upstream.rule("/r/*", reset=True)
        deadline = time.monotonic() + 20
        while s.metric("sources_down") == 0:
            assert s.get("r/one").status_code == 502 and time.monotonic() < deadline
        upstream.forget()
        assert s.get("r/both").status_code == 200
        assert upstream.hits() == 0 and other.hits("/r/both") == 1

# ---- what an administrator sees

def test_flights_and_sources_are_shown(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_SOURCE_BACKOFF": "20s"})
    with Upstream() as dead:
        upstream.add("/r/a", 8 * MiB)
        dead.add("/d/x", 4 * KiB)
        s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
        s.api.repo("d", dead.manifest("/d/PULP_MANIFEST"))
        gate = upstream.gate()
        upstream.rule("/r/a", gate_at=(4 * MiB, gate))
        client = in_thread(s.get, "r/a")
        gate.wait_reached()

        def arrived():
            rows = s.api.show("flights/")["results"]
            return rows if rows and rows[0]["bytes"] == 4 * MiB else None
        (row,) = wait_for("the half to have come", arrived, 30)
        assert row["artifact"] == "sha256:" + upstream.sha256("/r/a") and row["state"] == "fetching"
        assert row["source"] == upstream.url("/r/a") and row["remote"] == s.api.find("remotes/file/file/", "r")["pulp_href"]
        assert row["size"] == 8 * MiB and row["readers"] == 1 and row["age"] > 0 and row["remote_name"] == "r"
        shown = s.cli("flights").stdout.splitlines()
        assert len(shown) == 2 and upstream.url("/r/a") in shown[1] and "4.0 of" in shown[1]
        gate.open()
        assert client().content == upstream.body("/r/a").all()
        s.quiet()
        assert s.api.show("flights/") == {"count": 0, "next": None, "previous": None, "results": []}

        dead.rule("/d/?", reset=True)
        assert s.get("d/x").status_code == 502
        rows = {r["remote_name"]: r for r in s.api.show("sources/")["results"]}
        assert rows["r"]["state"] == "up" and rows["r"]["answers"] >= 1 and rows["r"]["first_byte_ms"] > 0
        assert rows["d"]["state"] == "down" and rows["d"]["origin"] == dead.url("").rstrip("/")
        assert rows["d"]["failures"] >= 3 and rows["d"]["backoff_until"] > "20" and rows["d"]["last_error"]
        assert json.loads(s.cli("sources", "--json").stdout) and "left alone until" in s.cli("sources").stdout
