"""retain_package_versions: of each package the newest versions stay."""
import pytest

from rpms import Rpms, needs_tools
from sluice import TaskFailed
from test_rpm import REPOMD, RPM, Repo

pytestmark = needs_tools


def test_old_versions_go(sluice, upstream, tmp_path):
    repo = Rpms(tmp_path / "up")
    for version in ("1.0~rc1", "1.0", "1.10", "1.9"):
        repo.build("lion", version)
    repo.build("bear", "1.0")
    repo.createrepo("--no-database")
    repo.put(upstream, "/r/")
    r = Repo(sluice, "r", upstream.url("/r/"), sync="additive", autopublish=True, retain_package_versions=2)
    assert sorted((p["name"], p["version"]) for p in r.units()) == [("bear", "1.0"), ("lion", "1.10"), ("lion", "1.9")]
    status, text = r.get(REPOMD)
    assert status == 200
    # What somebody adds is measured the same way; and fewer from now on at the next sync, although upstream has nothing new.
    [old] = sluice.api.list("content/rpm/packages/", name="lion", version="1.0")
    sluice.api.do("POST", r.repo["pulp_href"] + "modify/", add_content_units=[old["pulp_href"]])
    assert r.get(REPOMD) == (200, text)
    sluice.api.do("PATCH", r.repo["pulp_href"], retain_package_versions=1)
    r.sync("additive")
    assert sorted((p["name"], p["version"]) for p in r.units()) == [("bear", "1.0"), ("lion", "1.10")]
    with pytest.raises(TaskFailed) as failed:
        r.sync("mirror_content_only")
    assert "retain_package_versions" in failed.value.task["error"]["description"]
