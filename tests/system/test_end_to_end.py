"""What the product is for, from an administrator's first command to the day the upstream is gone."""
import hashlib
import json
import os

import pytest
import requests

from data import KiB, MiB
from sluice import PASSWORD

FILES = {"README": 10, "a/one.bin": 300 * KiB, "a/two.bin": 2 * MiB, "a/b/three.txt": 5000, "empty": 0, "x y/not.here": None}


def fill(upstream):
    for path, size in FILES.items():
        if size is not None:
            upstream.add("/r/" + path, size)
    upstream.add("/r/ümläut/файл-№1.txt", 1000)
    upstream.add("/r/with+plus&and=more.txt", 1000)
    return upstream.manifest("/r/PULP_MANIFEST")


def paths(upstream):
    return [p.removeprefix("/r/") for p in upstream._files if p.startswith("/r/")]


def test_mirror_fetch_restart_remote_deleted(sluice, upstream):
    url = fill(upstream)
    sluice.mirror("r", url, "on_demand")
    assert upstream.hits("/r/PULP_MANIFEST") == 1 and upstream.hits() == 1

    fetched, left = paths(upstream)[:4], paths(upstream)[4:]
    for path in fetched:
        assert sluice.get("r/" + path).content == upstream.body("/r/" + path).all(), path
    sluice.quiet()

    sluice.restart()
    d = sluice.delta()
    for path in fetched:
        assert sluice.get("r/" + path).content == upstream.body("/r/" + path).all(), path
    assert d("flights_started") == 0
    assert {r.path.split("?")[0] for r in upstream.requests()} >= {"/r/PULP_MANIFEST"}
    for path in fetched:
        assert sum(r.path.startswith("/r/") and requests.utils.unquote(r.path) == "/r/" + path for r in upstream.requests()) == 1

    api = sluice.api
    api.do("DELETE", api.find("remotes/file/file/", "r")["pulp_href"])
    for path in fetched:
        assert sluice.get("r/" + path).status_code == 200, path
    for path in left:
        r = sluice.get("r/" + path)
        assert r.status_code == 404, path
    sluice.restart()
    assert sluice.get("r/" + fetched[0]).status_code == 200
    assert sluice.get("r/" + left[0]).status_code == 404


def test_mirror_twice_changes_nothing(sluice, upstream):
    url = fill(upstream)
    sluice.mirror("r", url)
    before = [sluice.api.show(p) for p in ("remotes/file/file/", "repositories/file/file/", "distributions/file/file/",
                                           "publications/file/file/", "repository_versions/")]
    sluice.mirror("r", url)
    after = [sluice.api.show(p) for p in ("remotes/file/file/", "repositories/file/file/", "distributions/file/file/",
                                          "publications/file/file/", "repository_versions/")]
    for b, a in zip(before, after):
        assert [x["pulp_href"] for x in b["results"]] == [x["pulp_href"] for x in a["results"]]


def test_published_manifest_lists_what_is_served(sluice, upstream):
    url = fill(upstream)
    sluice.mirror("r", url)
    got = sluice.get("r/PULP_MANIFEST")
    assert got.status_code == 200
    ours = dict(line.rsplit(",", 2)[0:2] for line in got.text.splitlines())
    theirs = dict(line.rsplit(",", 2)[0:2] for line in upstream.manifest_bytes("/r/PULP_MANIFEST").decode().splitlines())
    assert ours == theirs
    assert got.headers["ETag"].strip('"') == hashlib.sha256(got.content).hexdigest()


def test_a_mirror_of_a_mirror(start_sluice, upstream):
    """The published manifest is good input for a second server, which fetches through the first."""
    first, second = start_sluice(), start_sluice()
    first.mirror("r", fill(upstream))
    second.mirror("r", first.url("r/PULP_MANIFEST"))
    for path in paths(upstream):
        assert second.get("r/" + path).content == upstream.body("/r/" + path).all(), path
    assert all(upstream.hits("/r/" + p) <= 1 for p in paths(upstream))


def drop_from_page_cache(path):
    """False where that cannot be done, or be told."""
    with open(path, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            return os.preadv(f.fileno(), [bytearray(1)], path.stat().st_size - 1, os.RWF_NOWAIT) < 0
        except BlockingIOError:
            return True
        except OSError:
            return False


def test_what_only_the_disk_has_is_read_by_threads(sluice, upstream):
    upstream.add("/r/large.bin", 5 * MiB + 17)
    sluice.mirror("r", upstream.manifest("/r/PULP_MANIFEST"))
    want = upstream.body("/r/large.bin").all()
    assert sluice.get("r/large.bin").content == want
    sluice.quiet()
    artifact = sluice.artifacts()[upstream.sha256("/r/large.bin")]
    for headers, first in ({}, 0), ({"Range": "bytes=4000000-"}, 4000000):
        before, cold = sluice.metric("cold_reads"), drop_from_page_cache(artifact)
        assert sluice.get("r/large.bin", headers=headers).content == want[first:]
        assert not cold or sluice.metric("cold_reads") > before
    assert upstream.hits("/r/large.bin") == 1


def test_two_repositories_share_what_is_the_same(sluice, upstream):
    """One artifact on disk, one download, whichever path it was asked for first."""
    upstream.add("/r/a", MiB, seed=1)
    upstream.add("/s/b", MiB, seed=1)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    sluice.api.repo("s", upstream.manifest("/s/PULP_MANIFEST"))
    assert sluice.get("r/a").content == sluice.get("s/b").content
    sluice.quiet()
    assert list(sluice.artifacts()).count(upstream.sha256("/r/a")) == 1
    assert upstream.hits("/r/a") + upstream.hits("/s/b") == 1


def test_everything_survives_a_restart(sluice, upstream):
    api = sluice.api
    api.repo("r", fill(upstream), username="u", password="secret", max_retries=7, pulp_labels={"k": "v"})
    kinds = ["remotes/file/file/", "repositories/file/file/", "distributions/file/file/", "publications/file/file/", "tasks/",
             "content/file/files/"]
    before = {k: api.show(k)["results"] for k in kinds}
    sluice.restart()
    assert {k: api.show(k)["results"] for k in kinds} == before


def test_admin_password_is_made_and_kept_private(start_sluice):
    s = start_sluice(env={"SLUICE_ADMIN_PASSWORD": ""})
    assert requests.get(s.base + "/pulp/api/v3/remotes/file/file/", auth=("admin", PASSWORD)).status_code == 401
    for p in s.data.rglob("*"):
        if p.is_file() and p.stat().st_size < 10000 and "assword" in p.name + p.read_bytes().decode("latin-1"):
            assert p.stat().st_mode & 0o077 == 0, p
    r = s.cli("repo", "list", "--json", env={"SLUICE_ADMIN_PASSWORD": ""})  # the CLI finds it
    assert json.loads(r.stdout) is not None


def test_second_server_on_the_same_data_is_refused(sluice, start_sluice):
    with pytest.raises(AssertionError, match="ended with [1-9]"):
        start_sluice(data=sluice.data)
    assert sluice.api.get("status/").status_code == 200
