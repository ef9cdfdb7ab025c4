"""Installable trees: .treeinfo, its images, and the repositories of its variants."""
import json

import pytest

from rpms import Dnf, Rpms, needs_tools, opened, repomd, run, sha256
from sluice import TaskFailed
from test_rpm import REPOMD, RPM, Repo

pytestmark = needs_tools
KERNEL, INITRD, STAGE2 = b"a kernel" * 1000, b"an initrd" * 1000, b"stage 2" * 1000
IMAGES = {"images/pxeboot/vmlinuz": KERNEL, "images/pxeboot/initrd.img": INITRD, "images/install.img": STAGE2}


def treeinfo(repo, more=""):
    sums = "".join(f"{path} = sha256:{sha256(data)}\n" for path, data in IMAGES.items() if data is not STAGE2)
    return ("[header]\ntype = productmd.treeinfo\nversion = 1.2\n[release]\nname = Zoo\nshort = Z\nversion = 9\n[tree]\narch = x86_64\n"
            "build_timestamp = 1700000000\nplatforms = x86_64\nvariants = Main,App\n"
            f"[checksums]\n{sums}repodata/repomd.xml = sha256:{sha256((repo.directory / REPOMD).read_bytes())}\n"
            "[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n[stage2]\nmainimage = images/install.img\n"
            "[variant-Main]\nid = Main\nname = Main\nuid = Main\nrepository = .\npackages = Packages\n"
            "[variant-App]\nid = App\nname = App\nuid = App\nrepository = App\npackages = App/Packages\n"
            "[variant-Gone]\nid = Gone\nrepository = Gone\n[variant-Else]\nid = Else\nrepository = ../../Else/os\n" + more).encode()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """bear in the main repository; App has lion, and lists bear, which lies above it."""
    base = tmp_path_factory.mktemp("tree")
    repo, app = Rpms(base / "up"), Rpms(base / "app")
    repo.build("bear", "1.0", into="Packages/deep")
    repo.createrepo("--no-database")
    app.build("lion", "1.0", into="App/Packages")
    (app.directory / "Packages").symlink_to(repo.directory / "Packages")
    app.createrepo("--no-database", "--outputdir", app.directory / "App")
    # Hrefs as an upstream has them whose repository of a variant points to its parent.
    md = app.directory / "App/repodata"
    names = repomd((md / "repomd.xml").read_bytes())
    text = opened((app.directory / "App" / names["primary"][0]).read_bytes()).decode()
    (md / "primary.xml").write_text(text.replace('href="App/', 'href="').replace('href="Packages/deep', 'href="../Packages/deep'))
    run("modifyrepo_c", "--mdtype=primary", md / "primary.xml", md)
    (md / "primary.xml").unlink()
    return repo, app


@pytest.fixture
def up(upstream, built):
    repo, app = built
    repo.put(upstream, "/r/")
    for name, path in app.files().items():
        if name.startswith("App/"):
            upstream.add("/r/" + name, path.read_bytes())
    for path, data in IMAGES.items():
        upstream.add("/r/" + path, data)
    upstream.add("/r/.treeinfo", treeinfo(repo))
    return upstream


def test_a_complete_mirror_of_a_tree(sluice, up, built, tmp_path):
    repo, app = built
    extra = {"data": [{"file": "EULA", "checksums": {"sha256": sha256(b"agree")}, "size": 5}]}
    up.add("/r/extra_files.json", json.dumps(extra).encode())
    up.add("/r/EULA", b"agree")
    r = Repo(sluice, "r", up.url("/r/"))
    lazy = [*IMAGES, "EULA", "Packages/deep/bear-1.0-1.noarch.rpm", "App/Packages/lion-1.0-1.noarch.rpm"]
    assert all(up.hits("/r/" + p) == 0 for p in lazy)
    for path in [p[3:] for p in list(up._files) if p.startswith("/r/")]:
        assert r.get(path) == (200, up.body("/r/" + path).all()), path
    dnf = Dnf(tmp_path, {"app": sluice.url("r/App/")})
    dnf.run("install", "lion", "bear")
    assert (dnf.root / "usr/share/bear/readme").exists()
    [tree] = r.units("distribution_trees")
    assert (tree["release_name"], tree["release_version"], tree["arch"], tree["build_timestamp"]) == ("Zoo", "9", "x86_64", 1700000000)
    assert [v["variant_id"] for v in tree["variants"]] == ["Main", "App", "Gone", "Else"]
    assert {"name": "kernel", "path": "images/pxeboot/vmlinuz", "platforms": "x86_64"} in tree["images"]
    assert len(r.units()) == 1

    up.forget()
    assert "sync.was_skipped" in [p["code"] for p in r.sync()["progress_reports"]]
    assert sorted(p.path for p in up.requests()) == sorted(["/r/" + REPOMD, "/r/.treeinfo", "/r/App/" + REPOMD])
    up.add("/r/.treeinfo", treeinfo(repo, "[media]\ndiscnum = 1\n"))
    r.sync()
    assert r.version() == 2 and r.units("distribution_trees")[0]["discnum"] == 1


def test_a_tree_with_metadata_of_our_own(sluice, up, built, tmp_path):
    """The variants' repositories are upstream's, the main one is ours; and so is the digest of it that .treeinfo had."""
    lazy = Repo(sluice, "lazy", up.url("/r/"), sync="mirror_content_only", autopublish=True)
    full = Repo(sluice, "full", up.url("/r/"), "immediate", sync="mirror_content_only", autopublish=True)
    for path in [".treeinfo", REPOMD, "App/" + REPOMD, *IMAGES, "App/Packages/lion-1.0-1.noarch.rpm", "Packages/b/bear-1.0-1.noarch.rpm",
                 "Packages/deep/bear-1.0-1.noarch.rpm"]:
        got = lazy.get(path)
        assert got[0] == 200 and got == full.get(path), path
    text = lazy.get(".treeinfo")[1]
    assert b"repodata/repomd.xml" not in text and b"kernel = images/pxeboot/vmlinuz" in text
    dnf = Dnf(tmp_path, {"main": sluice.url("lazy/"), "app": sluice.url("lazy/App/")})
    dnf.run("install", "lion", "bear")
    none = Repo(sluice, "none", up.url("/r/"), sync=None)
    none.sync("additive", skip_types=["treeinfo"])
    assert none.units("distribution_trees") == [] and none.units("tree_files") == []


@pytest.mark.parametrize("line,reason", [("[images-x]\nkernel = ../../etc/passwd\n", "no path inside of the tree"),
                                         ("[variant-x]\nrepository = /etc\n", "the repository '/etc'"), ("nonsense\n", "line 40 ")])
def test_a_bad_tree_changes_nothing(sluice, up, built, line, reason):
    r = Repo(sluice, "r", up.url("/r/"))
    up.add("/r/.treeinfo", treeinfo(built[0], line))
    with pytest.raises(TaskFailed) as failed:
        r.sync()
    assert reason in failed.value.task["error"]["description"]
    assert r.version() == 1


def test_a_tree_that_upstream_cannot_answer_for_now_does_not_go(sluice, up, built):
    r = Repo(sluice, "r", up.url("/r/"))
    up.rule("/r/.treeinfo", status=500)
    with pytest.raises(TaskFailed):
        r.sync(optimize=False)
    assert r.version() == 1 and len(r.units("distribution_trees")) == 1
