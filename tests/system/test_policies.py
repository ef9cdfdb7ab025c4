"""immediate, on_demand, streamed; and that once everything was asked for nobody can tell which it was."""
import re

import pytest

from data import KiB, MiB
from sluice import TaskFailed
from waiting import wait_for

POLICIES = ["immediate", "on_demand", "streamed"]


def fill(up, n=6, where="/r"):
    for i in range(n):
        up.add(f"{where}/d{i % 2}/f{i}.bin", 10 * KiB + i)
    up.add(f"{where}/large.bin", 2 * MiB)
    return up.manifest(f"{where}/PULP_MANIFEST")


def files(up, where="/r"):
    return {p.removeprefix(where + "/"): b for p, b in up._files.items() if p.startswith(where + "/")}


def fetch_all(s, up, base="r"):
    for path, body in files(up).items():
        r = s.get(f"{base}/{path}")
        assert r.status_code == 200 and r.content == body.all(), path
    s.quiet()


def test_immediate_downloads_everything_in_the_sync(sluice, upstream):
    sluice.api.repo("r", fill(upstream), "immediate")
    assert all(upstream.hits("/r/" + p) == 1 for p in files(upstream))
    assert {b.sha256 for b in files(upstream).values()} <= set(sluice.artifacts())
    upstream.close()
    fetch_all(sluice, upstream)


def test_on_demand_fetches_each_artifact_once_ever(sluice, upstream):
    api = sluice.api
    repo = api.repo("r", fill(upstream), "on_demand")
    assert upstream.hits() == 1 and sluice.artifacts().keys().isdisjoint({b.sha256 for b in files(upstream).values()})
    assert all(u["artifact"] is None and u["sha256"] is None for u in api.units(repo))
    fetch_all(sluice, upstream)
    assert all(u["artifact"] and u["sha256"] == upstream.sha256("/r/" + u["relative_path"]) for u in api.units(repo))
    fetch_all(sluice, upstream)
    api.sync(repo, optimize=False)
    sluice.restart()
    fetch_all(sluice, upstream)
    assert all(upstream.hits("/r/" + p) == 1 for p in files(upstream))


def test_streamed_keeps_nothing(sluice, upstream):
    api = sluice.api
    repo = api.repo("r", fill(upstream), "streamed")
    for n in (1, 2):
        fetch_all(sluice, upstream)
        assert all(upstream.hits("/r/" + p) == n for p in files(upstream))
    assert sluice.artifacts().keys().isdisjoint({b.sha256 for b in files(upstream).values()})
    assert sluice.staged() == [] and sluice.deleted_bytes() == 0
    assert all(u["artifact"] is None for u in api.units(repo))


@pytest.mark.parametrize("policy", ["on_demand ", "lazy", "", None, 1])
def test_other_policies_are_refused_with_a_field_error(shared, policy):
    r = shared.api.post("remotes/file/file/", json={"name": "x", "url": "http://h/M", "policy": policy}, check=False)
    assert r.status_code == 400 and list(r.json()) == ["policy"], r.text


def test_immediate_is_the_default(shared):
    assert shared.api.do("POST", "remotes/file/file/", name="dflt", url="http://h/M")["policy"] == "immediate"


def comparable(s, repo):
    """All that a client or the API shows of a repository, without names, hrefs and dates."""
    api = s.api
    drop = {"pulp_href", "prn", "pulp_created", "pulp_last_updated", "artifact", "last_used"}  # who used it when is not what it is
    units = sorted(({k: v for k, v in u.items() if k not in drop} | {"has_artifact": u["artifact"] is not None, "unavailable_since": bool(u.get("unavailable_since"))}
                    for u in api.units(repo)), key=lambda u: u["relative_path"])
    version = api.show(api.show(repo["pulp_href"])["latest_version_href"])
    counts = {k: {t: c["count"] for t, c in v.items()} for k, v in version["content_summary"].items()}
    pages, bodies = {}, {}
    seen, todo = set(), [repo["name"] + "/"]
    while todo:
        path = todo.pop()
        r = s.get(path)
        rel = path.removeprefix(repo["name"] + "/")
        if path.endswith("/"):
            text = r.text.replace("/content/" + repo["name"], "/content/R")
            pages[rel] = re.sub(r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d", "DATE", text)
            for name in re.findall(r'href="\./([^"]+)"', r.text):
                if path + name not in seen:
                    seen.add(path + name)
                    todo.append(path + name)
        else:
            headers = {k.lower(): v for k, v in r.headers.items() if k.lower() not in ("date", "last-modified")}
            bodies[rel] = (r.status_code, r.content, headers)
    return units, counts, pages, bodies


def test_on_demand_ends_as_immediate(sluice, upstream):
    """P7. Everything is compared: units, counts, listings, bodies, headers."""
    url = fill(upstream)
    now = sluice.api.repo("now", url, "immediate")
    # a server of its own would share nothing; in one server the artifacts must not be the same, so ask it first elsewhere
    want = comparable(sluice, now)
    sluice.stop()
    later_dir = sluice.directory / "later"
    from sluice import Sluice
    with Sluice(later_dir) as other:
        later = other.api.repo("now", url, "on_demand")
        assert all(not u["artifact"] for u in other.api.units(later))
        first = comparable(other, later)[3]  # requests everything
        other.quiet()
        got = comparable(other, later)
        assert got == want
        assert first == want[3], "the first, streamed answers differ from the saved ones"


@pytest.mark.parametrize("status", [404, 410])
def test_what_upstream_lacks_ends_alike(start_sluice, upstream, status):
    """P7: the unit stays, is shown as not there, and is a 404, under immediate and on_demand alike."""
    url = fill(upstream)
    upstream.rule("/r/d0/f0.bin", status=status)
    ends = []
    for policy in ("immediate", "on_demand"):
        s = start_sluice()
        repo = s.api.repo("r", url, policy)
        for path in files(upstream):
            r = s.get("r/" + path)
            assert r.status_code == (404 if path == "d0/f0.bin" else 200), (policy, path)
        s.quiet()
        assert s.api.version(repo) == 1
        ends.append(comparable(s, repo))
    assert ends[0] == ends[1]
    missing = [u for u in ends[0][0] if u["relative_path"] == "d0/f0.bin"]
    assert len(missing) == 1 and not missing[0]["has_artifact"] and missing[0]["unavailable_since"]


def test_what_nobody_offers_is_listed(sluice, upstream):
    upstream.rule("/r/d0/f0.bin", status=404)
    repo = sluice.api.repo("r", fill(upstream))
    fetched = {"d1/f1.bin", "large.bin"}
    for path in fetched | {"d0/f0.bin"}:
        sluice.get("r/" + path)
    sluice.quiet()

    def listed(**which):
        return {u["relative_path"]: u["unavailable_since"] for u in sluice.api.units(repo, unavailable="true", **which)}
    assert list(listed()) == ["d0/f0.bin"] and listed()["d0/f0.bin"]
    sluice.api.do("DELETE", repo["remote"])
    assert listed() == dict.fromkeys(files(upstream).keys() - fetched), "nobody knows since when"


def test_an_immediate_sync_counts_what_is_missing(sluice, upstream):
    url = fill(upstream)
    upstream.rule("/r/d?/f[01].bin", status=404)
    task = sluice.api.sync(sluice.api.repo("r", url, "immediate", sync=False))
    reports = {p["code"]: p for p in task["progress_reports"]}
    missing = [p for code, p in reports.items() if "missing" in code or "unavailable" in code]
    assert missing and missing[0]["done"] == 2, reports


def test_on_missing_fail_fails_the_sync(sluice, upstream):
    url = fill(upstream)
    upstream.rule("/r/d0/f0.bin", status=404)
    repo = sluice.api.repo("r", url, "immediate", sync=False)
    task = sluice.api.sync(repo, states=("failed",), on_missing="fail")
    assert "d0/f0.bin" in task["error"]["description"]
    assert sluice.api.version(repo) == 0


def test_what_was_missing_is_tried_again_after_the_cool_down(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_FAILURE_COOLDOWN": "2s"})
    body = upstream.add("/r/a", 10 * KiB)
    upstream.rule("/r/a", status=404, times=1)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert s.get("r/a").status_code == 404
    assert s.get("r/a").status_code == 404
    assert upstream.hits("/r/a") == 1, "asked again during the cool-down"
    from waiting import wait_for
    r = wait_for("the end of the cool-down", lambda: (r := s.get("r/a")).status_code == 200 and r, 10)
    assert r.content == body.all()


@pytest.mark.parametrize("rule", [{"status": 500}, {"status": 403}, {"drop_after": 100}, {"corrupt_at": 5}, {"truncate": 100}],
                         ids=lambda r: next(iter(r)))
def test_an_immediate_sync_that_fails_leaves_the_repository_as_it_was(sluice, upstream, rule):
    upstream.add("/r/a", 10 * KiB)
    repo = sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate", max_retries=1)
    upstream.add("/r/b", 10 * KiB)
    upstream.rule("/r/b", **rule)
    task = sluice.api.sync(repo, states=("failed",))
    assert task["error"]["description"]
    assert sluice.api.version(repo) == 1 and [u["relative_path"] for u in sluice.api.units(repo)] == ["a"]
    assert sluice.staged() == [] and [u["relative_path"] for u in sluice.api.units()] == ["a"]
    states = {p["code"]: p["state"] for p in task["progress_reports"]}
    assert states.pop("sync.downloading.metadata") == states.pop("sync.parsing.metadata") == "completed"
    assert set(states.values()) <= {"failed"}
    assert sluice.get("r/b").status_code == 404 and sluice.get("r/a").status_code == 200
    upstream.unrule()
    sluice.api.sync(repo)
    assert sluice.api.version(repo) == 2 and sluice.get("r/b").status_code == 200


@pytest.mark.parametrize("rule", [{"status": 500}, {"status": 429, "retry_after": 1}, {"drop_after": 100}, {"corrupt_at": 5},
                                  {"reset": True}], ids=lambda r: next(iter(r)))
def test_an_immediate_sync_retries_what_can_pass(sluice, upstream, rule):
    upstream.add("/r/a", 10 * KiB)
    upstream.rule("/r/a", times=2, **rule)
    repo = sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    assert sluice.api.version(repo) == 1 and 2 <= upstream.hits("/r/a") <= 3
    assert upstream.sha256("/r/a") in sluice.artifacts()


def test_on_demand_becomes_immediate(sluice, upstream):
    """P8: the same content; what is missing is fetched, what is there is not."""
    api = sluice.api
    repo = api.repo("r", fill(upstream), "on_demand")
    assert sluice.get("r/d0/f0.bin").status_code == 200
    sluice.quiet()
    remote = api.find("remotes/file/file/", "r")
    api.do("PATCH", remote["pulp_href"], policy="immediate")
    task = api.sync(repo)
    assert task["created_resources"] == [] and api.version(repo) == 1
    assert all(upstream.hits("/r/" + p) == 1 for p in files(upstream))
    assert all(u["artifact"] for u in api.units(repo))
    upstream.close()
    fetch_all(sluice, upstream)


def test_reclaim_turns_saved_into_lazy(sluice, upstream):
    api = sluice.api
    repo = api.repo("r", fill(upstream), "immediate")
    api.do("POST", "repositories/reclaim_space/", repo_hrefs=[repo["pulp_href"]])
    assert all(u["artifact"] is None for u in api.units(repo))
    assert sluice.artifacts().keys().isdisjoint({b.sha256 for b in files(upstream).values()})
    fetch_all(sluice, upstream)
    assert all(upstream.hits("/r/" + p) == 2 for p in files(upstream))


def test_a_second_remote_is_a_further_source(sluice, upstream):
    """P5: never a second unit; the artifact comes from the one that is left when the first goes."""
    api = sluice.api
    for where in ("/r", "/s"):
        upstream.add(where + "/a", 10 * KiB, seed=1)
        upstream.manifest(where + "/PULP_MANIFEST")
    api.repo("r", upstream.url("/r/PULP_MANIFEST"))
    api.repo("s", upstream.url("/s/PULP_MANIFEST"))
    assert api.show("content/file/files/")["count"] == 1
    api.do("DELETE", api.find("remotes/file/file/", "r")["pulp_href"])
    assert sluice.get("r/a").content == upstream.body("/s/a").all()
    assert (upstream.hits("/r/a"), upstream.hits("/s/a")) == (0, 1)


def test_a_resync_follows_upstreams_urls(sluice, upstream):
    api = sluice.api
    upstream.add("/old/a", 10 * KiB, seed=1)
    upstream.add("/new/a", 10 * KiB, seed=1)
    upstream.manifest("/new/PULP_MANIFEST")
    repo = api.repo("r", upstream.manifest("/old/PULP_MANIFEST"))
    api.do("PATCH", api.find("remotes/file/file/", "r")["pulp_href"], url=upstream.url("/new/PULP_MANIFEST"))
    api.sync(repo)
    assert api.version(repo) == 1
    assert sluice.get("r/a").status_code == 200
    assert (upstream.hits("/old/a"), upstream.hits("/new/a")) == (0, 1)


# ---- what a sync does to the repository

def test_sync_is_additive_and_replaces_same_paths(sluice, upstream):
    api = sluice.api
    upstream.add("/r/a", 100, seed=1)
    upstream.add("/r/b", 100, seed=2)
    repo = api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    upstream.remove("/r/a")
    new = upstream.add("/r/b", 100, seed=3)
    api.sync(repo)
    assert sorted(u["relative_path"] for u in api.units(repo)) == ["a", "b"]
    assert sluice.get("r/b").content == new.all()


def test_mirror_sync_removes_and_takes_upstreams_manifest(sluice, upstream):
    api = sluice.api
    upstream.add("/r/a", 100)
    upstream.add("/r/b", 100)
    remote = api.remote("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
    repo = api.repository("r", remote=remote["pulp_href"])
    api.distribute("r", "r", repository=repo["pulp_href"])
    api.sync(repo, mirror=True)
    upstream.remove("/r/a")
    task = api.sync(repo, mirror=True)
    assert [u["relative_path"] for u in api.units(repo)] == ["b"]
    assert len(task["created_resources"]) == 2 and "/versions/2/" in task["created_resources"][0] and \
        "/publications/" in task["created_resources"][1]
    assert sluice.get("r/PULP_MANIFEST").content == upstream.manifest_bytes("/r/PULP_MANIFEST")
    assert sluice.get("r/b").status_code == 200


def test_resync_with_nothing_new_costs_one_conditional_request(sluice, upstream):
    api = sluice.api
    repo = api.repo("r", fill(upstream))
    upstream.forget()
    task = api.sync(repo)
    assert api.version(repo) == 1 and task["created_resources"] == []
    assert upstream.hits() == 1
    req = upstream.requests()[0]
    assert req.path == "/r/PULP_MANIFEST" and req.status == 304
    assert req.header("if-none-match") or req.header("if-modified-since")


def test_resync_without_validators_makes_no_version_either(sluice, upstream):
    api = sluice.api
    url = fill(upstream)
    upstream.rule("/r/PULP_MANIFEST", etag=None, last_modified=None)
    repo = api.repo("r", url)
    task = api.sync(repo)
    assert api.version(repo) == 1 and task["created_resources"] == []


@pytest.mark.parametrize("text, line", [
    ("a," + "0" * 64 + ",1\nnot a line\n", 2), ("a," + "0" * 63 + ",1\n", 1), ("a," + "g" * 64 + ",1\n", 1), ("a," + "0" * 64 + ",x\n", 1),
    ("a," + "0" * 64 + ",-1\n", 1), ("/a," + "0" * 64 + ",1\n", 1), ("a//b," + "0" * 64 + ",1\n", 1), ("../a," + "0" * 64 + ",1\n", 1),
    ("# c\n\n," + "0" * 64 + ",1\n", 3), ("a/./b," + "0" * 64 + ",1\n", 1), ("a,b\n", 1),
], ids=range(11))
def test_bad_manifest_lines_are_named(shared, shared_upstream, text, line):
    api = shared.api
    name = f"bad{abs(hash(text))}"
    shared_upstream.add(f"/{name}/PULP_MANIFEST", text)
    repo = api.repo(name, shared_upstream.url(f"/{name}/PULP_MANIFEST"), sync=False)
    task = api.sync(repo, states=("failed",))
    assert re.search(rf"line:? ?{line}\b", task["error"]["description"]), task["error"]
    assert api.version(repo) == 0


def test_manifest_oddities_that_are_fine(sluice, upstream):
    a = upstream.add("/r/with, comma,too.txt", 10)
    upstream.add("/r/b", 10)
    upstream.add("/r/PULP_MANIFEST", f"# comment\n\n  with, comma,too.txt , {a.sha256.upper()} , 10 \r\n\nb,{upstream.sha256('/r/b')},10")
    repo = sluice.api.repo("r", upstream.url("/r/PULP_MANIFEST"))
    assert sorted(u["relative_path"] for u in sluice.api.units(repo)) == ["b", "with, comma,too.txt"]
    assert sluice.get("r/with, comma,too.txt").content == a.all()


def test_empty_manifest_is_an_empty_repository(sluice, upstream):
    upstream.add("/r/PULP_MANIFEST", b"")
    sluice.api.repo("r", upstream.url("/r/PULP_MANIFEST"))
    assert sluice.get("r/a").status_code == 404


def test_html_instead_of_a_manifest_fails(sluice, upstream):
    upstream.add("/r/PULP_MANIFEST", b"<html><body>Please log in</body></html>\n")
    repo = sluice.api.repo("r", upstream.url("/r/PULP_MANIFEST"), sync=False)
    sluice.api.sync(repo, states=("failed",))


def test_the_query_of_the_manifests_url_survives(sluice, upstream):
    upstream.add("/r/a", 10)
    upstream.manifest("/r/PULP_MANIFEST")
    sluice.api.repo("r", upstream.url("/r/PULP_MANIFEST?token=t%26x"))
    assert sluice.get("r/a").status_code == 200
    assert [r.path for r in upstream.requests("/r/a")] == ["/r/a?token=t%26x"]


# ---- remote settings

def test_credentials_and_headers_reach_upstream(sluice, upstream):
    url = fill(upstream)
    upstream.rule("/r/*", auth=("user", "päss:word"))
    upstream.rule("/r/*", need_header=("X-Token", "t0ken"))
    sluice.api.repo("r", url, username="user", password="päss:word", headers=[{"X-Token": "t0ken"}])
    fetch_all(sluice, upstream)


def test_credentials_stay_with_their_origin(sluice, upstream):
    from upstream import Upstream
    with Upstream() as other:
        upstream.add("/r/a", 1000, seed=1)
        other.add("/a", 1000, seed=1)
        upstream.rule("/r/a", redirect=other.url("/a"))
        sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), username="u", password="p", headers=[{"X-Token": "t"}])
        assert sluice.get("r/a").status_code == 200
        assert upstream.requests("/r/a")[0].header("authorization")
        assert other.requests("/a")[0].header("authorization") is None
        assert other.requests("/a")[0].header("x-token") is None


def test_a_remotes_credentials_serve_its_own_repositories_only(start_sluice, upstream):
    """C20: the same unit in a repository that another remote filled is not fetched with these credentials."""
    for share, want in (("false", 404), ("true", 200)):
        s = start_sluice(env={"SLUICE_CONTENT_SHARE_CREDENTIALS": share})
        upstream.unrule()
        upstream.add("/r/a", 1000, seed=1)
        upstream.add("/s/a", 1000, seed=1)
        upstream.rule("/r/*", auth=("u", "p"))
        s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), username="u", password="p")
        s.api.repo("s", upstream.manifest("/s/PULP_MANIFEST"))
        s.api.do("DELETE", s.api.find("remotes/file/file/", "s")["pulp_href"])
        assert s.get("s/a").status_code == want, share


def test_download_concurrency_is_kept(sluice, upstream):
    for i in range(30):
        upstream.add(f"/r/{i}", 1000)
    gate = upstream.gate()
    upstream.rule("/r/[0-9]*", gate_head=gate)
    repo = sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate", sync=False, download_concurrency=3)
    task = sluice.api.start_sync(repo)
    gate.wait_reached(3)
    import time
    time.sleep(0.5)  # the fourth would have come by now
    assert gate.waiting == 3
    gate.open()
    sluice.api.wait(task)


def test_connections_to_upstream_are_reused(sluice, upstream):
    for i in range(40):
        upstream.add(f"/r/{i}", 1000)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate", download_concurrency=4)
    assert len({r.conn for r in upstream.requests()}) <= 6
    upstream.forget()


def test_failed_sync_says_status_and_url(sluice, upstream):
    repo = sluice.api.repo("r", upstream.url("/none/PULP_MANIFEST"), sync=False)
    task = sluice.api.sync(repo, states=("failed",))
    assert re.search(r"404.*Not Found.*/none/PULP_MANIFEST", task["error"]["description"]), task["error"]


def test_file_urls_only_below_allowed_paths(start_sluice, tmp_path):
    import hashlib
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(b"hello")
    line = f"a,{hashlib.sha256(b'hello').hexdigest()},5\n"
    (tree / "PULP_MANIFEST").write_text(line)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "PULP_MANIFEST").write_text(line)
    (outside / "a").write_bytes(b"hello")
    (tree / "link").symlink_to(outside)
    s = start_sluice(env={"SLUICE_CONTENT_ALLOWED_IMPORT_PATHS": str(tree)})
    s.api.repo("r", f"file://{tree}/PULP_MANIFEST")
    assert s.get("r/a").content == b"hello"
    for bad in (f"file://{outside}/PULP_MANIFEST", f"file://{tree}/../outside/PULP_MANIFEST", "file:///etc/passwd",
                f"file://{tree}x/PULP_MANIFEST", f"file://{tree}/link/PULP_MANIFEST", f"file://{tree}/%2e%2e/outside/PULP_MANIFEST"):
        r = s.api.post("remotes/file/file/", json={"name": bad[-40:], "url": bad, "policy": "on_demand"}, check=False)
        if r.status_code == 201:
            repo = s.api.repository(bad[-40:])
            with pytest.raises(TaskFailed):
                s.api.sync(repo, r.json())
        else:
            assert r.status_code == 400 and "url" in r.json(), r.text


# ---- P5: distributions and versions

def test_distribution_of_a_version_and_of_a_publication(sluice, upstream):
    api = sluice.api
    upstream.add("/r/a", 10, seed=1)
    repo = api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    first = sluice.get("r/a").content
    pub1 = api.list("publications/file/file/")[0]
    upstream.add("/r/a", 10, seed=2)
    upstream.add("/r/b", 10)
    api.sync(repo)
    api.distribute("v1", "v1", repository_version=pub1["repository_version"])
    api.distribute("p1", "p1", publication=pub1["pulp_href"])
    assert sluice.get("r/a").content == upstream.body("/r/a").all() != first
    for base in ("v1", "p1"):
        assert sluice.get(base + "/a").content == first
        assert sluice.get(base + "/b").status_code == 404


def test_superseded_paths_stay_for_a_while(start_sluice, upstream):
    """P10: a client between two requests sees no gap; but a listing shows the present only."""
    for window, want in (("1h", 200), ("0", 404)):
        s = start_sluice(env={"SLUICE_CONTENT_SUPERSEDED_WINDOW": window})
        up = upstream
        up.add("/r/old", 10)
        up.add("/r/both", 10)
        api = s.api
        remote = api.remote("r", up.manifest("/r/PULP_MANIFEST"), "on_demand")
        repo = api.repository("r", remote=remote["pulp_href"])
        api.distribute("r", "r", repository=repo["pulp_href"])
        api.sync(repo, mirror=True)
        assert s.get("r/old").status_code == 200  # saved: a source it loses when upstream drops it
        s.quiet()
        up.remove("/r/old")
        api.sync(repo, mirror=True)
        assert "old" not in s.get("r/").text
        assert s.get("r/both").status_code == 200
        assert s.get("r/old").status_code == want, window


def two_publications(s, upstream):
    """A repository whose first publication alone has r/old and whose second alone has r/new, and a distribution of the first."""
    api = s.api
    upstream.add("/r/old", 10)
    remote = api.remote("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    repo = api.repository("r", remote=remote["pulp_href"], autopublish=True)
    api.sync(repo)
    upstream.remove("/r/old")
    upstream.add("/r/new", 10)
    api.sync(repo)
    api.do("PATCH", repo["pulp_href"], autopublish=False)
    api.do("POST", repo["pulp_href"] + "modify/", remove_content_units=[u["pulp_href"] for u in api.units(repo) if u["relative_path"] == "old"])
    second = api.publish(repo)
    first = next(p for p in api.list("publications/file/file/") if p["repository_version"].endswith("/versions/1/"))
    return first, second, api.distribute("r", "r", publication=first["pulp_href"])


def test_a_new_source_keeps_the_paths_of_the_old_one_for_a_while(start_sluice, upstream):
    """P10: but what points at nothing serves nothing, at once, and forgets."""
    s = start_sluice()
    first, second, d = two_publications(s, upstream)
    assert s.get("r/old").status_code == 200 and s.get("r/new").status_code == 404
    s.api.do("PATCH", d["pulp_href"], publication=second["pulp_href"])
    assert s.get("r/old").status_code == 200 and s.get("r/new").status_code == 200
    assert "new" in s.get("r/").text and "old" not in s.get("r/").text
    s.api.do("PATCH", d["pulp_href"], publication=None)
    assert s.get("r/old").status_code == 404 and s.get("r/new").status_code == 404
    s.api.do("PATCH", d["pulp_href"], publication=second["pulp_href"])
    assert s.get("r/old").status_code == 404 and s.get("r/new").status_code == 200
    # The same when not the distribution but what it points at goes.
    s.api.do("PATCH", d["pulp_href"], publication=first["pulp_href"])
    s.api.delete(first["pulp_href"])
    assert s.get("r/old").status_code == 404 and s.get("r/new").status_code == 404


def test_the_window_of_a_superseded_publication_ends(start_sluice, upstream):
    """On a server where nothing else happens, too."""
    s = start_sluice(env={"SLUICE_CONTENT_SUPERSEDED_WINDOW": "3s", "SLUICE_TASKS_WORKER_TTL": "1s"})
    _, second, d = two_publications(s, upstream)
    assert s.get("r/old").status_code == 200
    s.api.do("PATCH", d["pulp_href"], publication=second["pulp_href"])
    assert s.get("r/old").status_code == 200
    wait_for("the end of the window", lambda: s.get("r/old").status_code == 404, 20)
    assert s.get("r/new").status_code == 200


def test_old_versions_are_kept_while_their_publications_are_answered(start_sluice, upstream):
    """P10 with retain_repo_versions: what is superseded is deleted by a later change, after its window."""
    for window, kept in (("1h", [1, 2, 3]), ("0", [3])):
        s = start_sluice(env={"SLUICE_CONTENT_SUPERSEDED_WINDOW": window})
        repo = s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand", sync=False)
        s.api.do("PATCH", repo["pulp_href"], retain_repo_versions=1)
        for n in range(3):
            upstream.add(f"/r/{window}{n}", 10)
            s.api.sync(repo)
        # A version becomes the old one in the moment in which the next one is published.
        assert sorted(v["number"] for v in s.api.list(repo["versions_href"])) == kept, window
        upstream.add(f"/r/{window}", 10)


def test_a_new_publication_is_served_as_soon_as_its_task_is_over(sluice, upstream):
    api = sluice.api
    upstream.add("/r/f", b"0")
    repo = api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    for i in range(1, 8):
        assert sluice.get("r/f").content == b"%d" % (i - 1)
        upstream.add("/r/f", b"%d" % i)
        api.sync(repo)
        assert sluice.get("r/f").content == b"%d" % i


def test_what_upstream_no_longer_lists_is_still_asked_for(sluice, upstream):
    """An additive sync keeps the unit, so that its file can still be had as long as upstream serves it."""
    old, new = upstream.add("/r/old", b"still there"), upstream.add("/r/new", b"new")
    upstream.add("/r/MANIFEST", f"old,{old.sha256},{old.size}\n")
    repo = sluice.api.repo("r", upstream.url("/r/MANIFEST"), "on_demand")
    upstream.add("/r/MANIFEST", f"new,{new.sha256},{new.size}\n")
    sluice.api.sync(repo)
    assert sluice.get("r/old").content == old.all()
    assert sluice.get("r/new").content == new.all()
