"""Alternate content sources: the same bytes from a nearer place, for syncs and for clients, and the remote itself when that fails."""
import hashlib
import os

import pytest

from data import KiB
from sluice import FILE, SLOW
from upstream import Upstream
from waiting import wait_for


@pytest.fixture
def near():
    with Upstream() as u:
        yield u


def sha256(response):
    return hashlib.sha256(response.content).hexdigest()


def acs(s, name, url, paths=None, **remote):
    remote = s.api.remote(name, url, "on_demand", **remote)
    body = {"name": name, "remote": remote["pulp_href"]}
    if paths is not None:
        body["paths"] = paths
    return s.api.post("acs/" + FILE, json=body).json()


def refresh(s, source, state="completed"):
    got = s.api.post(source["pulp_href"] + "refresh/", json={})
    assert got.status_code == 202
    group = got.json()["task_group"]

    def over():
        g = s.api.show(group)
        return g if g["all_tasks_dispatched"] and not g["waiting"] + g["running"] else None
    g = wait_for("the refresh", over, 60 * SLOW)
    assert g[state] == len(s.api.list("tasks/", task_group=group)), g
    return s.api.show(source["pulp_href"])


def test_the_resource(sluice, near):
    s = sluice
    made = acs(s, "near", near.url("/"), ["a/PULP_MANIFEST", "b/PULP_MANIFEST"])
    assert made["paths"] == ["a/PULP_MANIFEST", "b/PULP_MANIFEST"] and made["last_refreshed"] is None
    assert [x["name"] for x in s.api.list("acs/" + FILE)] == ["near"]
    bad = s.api.post("acs/" + FILE, json={"name": "x", "remote": made["remote"], "paths": ["/a"]}, check=False)
    assert bad.status_code == 400 and "Path cannot start with a slash." in str(bad.json()["paths"])
    now = s.api.remote("now", near.url("/"), "immediate")
    bad = s.api.post("acs/" + FILE, json={"name": "x", "remote": now["pulp_href"]}, check=False)
    assert bad.json()["remote"] == ["Remote used with alternate content source must have the 'on_demand' policy."]
    s.api.do("PATCH", made["pulp_href"], paths=["c"])
    s.api.do("PUT", made["pulp_href"], name="near", remote=made["remote"])
    assert s.api.show(made["pulp_href"])["paths"] == ["c"]
    # its remote stays as long as it uses it
    task = s.api.wait(s.api.delete(made["remote"]).json()["task"], states=("failed",))
    assert "Cannot delete" in str(task["error"]) and "AlternateContentSource.remote" in str(task["error"])
    assert s.api.show(made["remote"])["name"] == "near"
    s.api.do("DELETE", made["pulp_href"])
    assert s.api.list("acs/" + FILE) == []
    s.api.do("DELETE", made["remote"])


def test_a_client_is_served_from_the_nearer_place(sluice, upstream, near):
    """By digest: the path there is another one. Nothing of it is downloaded by the refresh."""
    s = sluice
    body = upstream.add("/r/x", 64 * KiB)
    other = upstream.add("/r/y", 64 * KiB)
    near.add("/mirror/sub/elsewhere", body)
    source = acs(s, "near", near.url("/mirror"), ["sub/PULP_MANIFEST"])
    near.manifest("/mirror/sub/PULP_MANIFEST")
    assert refresh(s, source)["last_refreshed"] is not None
    assert near.hits("/mirror/sub/elsewhere") == 0
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert sha256(s.get("r/x")) == body.sha256
    assert (near.hits("/mirror/sub/elsewhere"), upstream.hits("/r/x")) == (1, 0)
    assert sha256(s.get("r/y")) == other.sha256 and upstream.hits("/r/y") == 1


@pytest.mark.parametrize("trouble", [{"status": 404}, {"status": 500}, {"corrupt_at": 10}, {"drop_after": 1000, "ranges": False}])
def test_fall_back_in_the_same_request(sluice, upstream, near, trouble):
    s = sluice
    body = upstream.add("/r/x", 64 * KiB)
    near.add("/n/x", body)
    source = acs(s, "near", near.url("/n/PULP_MANIFEST"), max_retries=1)
    near.manifest("/n/PULP_MANIFEST")
    refresh(s, source)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    near.rule("/n/x", **trouble)
    assert sha256(s.get("r/x")) == body.sha256
    assert near.hits("/n/x") >= 1 and upstream.hits("/r/x") == 1


def test_a_sync_takes_what_it_can_from_there(sluice, upstream, near):
    s = sluice
    names = [f"f{i}" for i in range(8)]
    for n in names:
        body = upstream.add("/r/" + n, 8 * KiB)
        if n < "f6":
            near.add("/n/" + n, body)
    source = acs(s, "near", near.url("/n/PULP_MANIFEST"), max_retries=1)
    near.manifest("/n/PULP_MANIFEST")
    refresh(s, source)
    near.rule("/n/f4", status=404)
    near.rule("/n/f5", corrupt_at=5)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    assert [upstream.hits("/r/" + n) for n in names] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert {upstream.sha256("/r/" + n) for n in names} <= s.artifacts().keys()


def test_credentials_are_those_of_the_source(sluice, upstream, near):
    s = sluice
    body = upstream.add("/r/x", 8 * KiB)
    near.add("/n/x", body)
    near.rule("/n/*", auth=("near", "pw"))
    source = acs(s, "near", near.url("/n/PULP_MANIFEST"), username="near", password="pw")
    near.manifest("/n/PULP_MANIFEST")
    refresh(s, source)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), username="main", password="other")
    assert s.get("r/x").status_code == 200
    assert near.hits("/n/x") == 1 and upstream.hits("/r/x") == 0


def test_what_is_gone_there_is_forgotten(sluice, upstream, near):
    s = sluice
    for n in "ab":
        near.add("/n/" + n, upstream.add("/r/" + n, 8 * KiB))
        near.add(f"/m/{n}{n}", upstream.add(f"/r/{n}{n}", 8 * KiB))
    near.manifest("/n/PULP_MANIFEST")
    near.manifest("/m/PULP_MANIFEST")
    source = acs(s, "near", near.url("/"), ["n/PULP_MANIFEST", "m/PULP_MANIFEST"])
    refresh(s, source)
    near.remove("/n/a")
    s.api.do("PATCH", source["pulp_href"], paths=["n/PULP_MANIFEST"])
    refresh(s, source)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    for n in ("a", "b", "aa", "bb"):
        assert s.get("r/" + n).status_code == 200
    assert [near.hits(p) for p in ("/n/a", "/n/b", "/m/aa", "/m/bb")] == [0, 1, 0, 0]
    s.api.do("DELETE", source["pulp_href"])


def test_a_failed_refresh_keeps_what_was_known(sluice, upstream, near):
    s = sluice
    near.add("/n/x", upstream.add("/r/x", 8 * KiB))
    near.manifest("/n/PULP_MANIFEST")
    source = acs(s, "near", near.url("/n/PULP_MANIFEST"), max_retries=1)
    refresh(s, source)
    rule = near.rule("/n/PULP_MANIFEST", status=403)
    refresh(s, source, "failed")
    near.unrule(rule)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert s.get("r/x").status_code == 200 and near.hits("/n/x") == 1


def test_files_of_this_host(start_sluice, upstream, tmp_path):
    """Below the allowed paths only, and no link leads out of them."""
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    allowed.mkdir()
    secret.mkdir()
    s = start_sluice(env={"SLUICE_CONTENT_ALLOWED_IMPORT_PATHS": allowed})
    lines = []
    for n in ("x", "linked", "up"):
        body = upstream.add("/r/" + n, 8 * KiB)
        data = body.read(0, 8 * KiB)
        where = secret if n == "linked" else allowed
        (where / n).write_bytes(data)
        lines.append(f"{n},{body.sha256},{len(data)}")
    os.symlink(secret / "linked", allowed / "linked")
    (allowed / "PULP_MANIFEST").write_text("\n".join(lines) + "\n")
    (secret / "PULP_MANIFEST").write_text("\n".join(lines) + "\n")
    source = acs(s, "disk", f"file://{allowed}/PULP_MANIFEST")
    refresh(s, source)
    refresh(s, acs(s, "outside", f"file://{allowed}", ["../secret/PULP_MANIFEST"]), "failed")
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    for n in ("x", "linked"):
        assert sha256(s.get("r/" + n)) == upstream.sha256("/r/" + n)
    assert [upstream.hits("/r/" + n) for n in ("x", "linked")] == [0, 1]


def test_streamed_stays_streamed(sluice, upstream, near):
    """Whether it is kept is said by the repository's remote."""
    s = sluice
    body = upstream.add("/r/x", 8 * KiB)
    near.add("/n/x", body)
    near.manifest("/n/PULP_MANIFEST")
    refresh(s, acs(s, "near", near.url("/n/PULP_MANIFEST")))
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    assert s.get("r/x").status_code == 200
    s.quiet()
    assert near.hits("/n/x") == 1 and body.sha256 not in s.artifacts()
