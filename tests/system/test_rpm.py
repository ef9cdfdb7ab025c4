"""Repositories of rpm packages: made by createrepo_c, synced, and used by dnf."""
import pytest

from rpms import Dnf, Rpms, entries, needs_tools, opened, repomd, run, sha256
from sluice import TaskFailed

pytestmark = needs_tools
RPM = "rpm/rpm/"
REPOMD = "repodata/repomd.xml"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """bear requires lion; both at a path of their own, with a group and an update beside them."""
    repo = Rpms(tmp_path_factory.mktemp("rpms") / "up")
    repo.build("bear", "1.0", requires=["lion"], into="Packages/b")
    repo.build("lion", "2.0~rc1", files={"/usr/bin/lion": "roar", "/usr/share/lion/mane": "long"}, into="Packages/l")
    comps = repo.directory.parent / "comps.xml"
    comps.write_text('<comps><group><id>zoo</id><name>Zoo</name><description/><default>true</default><uservisible>true</uservisible>'
                     '<packagelist><packagereq type="mandatory">bear</packagereq></packagelist></group></comps>')
    repo.createrepo("--revision", "7", "-g", comps)
    odd = repo.directory.parent / "productid"
    odd.write_text("a certificate\n")
    repo.modifyrepo(odd, "productid")
    (repo.directory / (REPOMD + ".asc")).write_text("a signature\n")
    return repo


@pytest.fixture
def up(upstream, built):
    built.put(upstream, "/r/")
    return upstream


class Repo:
    """Remote, repository and distribution of the rpm format, all called the same."""

    def __init__(self, server, name, url, policy="on_demand", sync="mirror_complete", **fields):
        self.server, self.api, self.name = server, server.api, name
        remote = self.api.do("POST", "remotes/" + RPM, name=name, url=url, policy=policy)
        self.repo = self.api.do("POST", "repositories/" + RPM, name=name, remote=remote["pulp_href"], **fields)
        self.remote = remote
        self.api.do("POST", "distributions/" + RPM, name=name, base_path=name, repository=self.repo["pulp_href"])
        if sync:
            self.sync(sync)

    def sync(self, policy="mirror_complete", **options):
        return self.api.sync(self.repo, sync_policy=policy, **options)

    def version(self):
        return self.api.version(self.repo)

    def get(self, path):
        r = self.server.get(f"{self.name}/{path}")
        return r.status_code, r.content

    def units(self, plural="packages"):
        latest = self.api.show(self.repo["pulp_href"])["latest_version_href"]
        return self.api.list(f"content/rpm/{plural}/", repository_version=latest, limit=1000)


def test_a_complete_mirror_is_upstream_byte_for_byte(sluice, up, built):
    r = Repo(sluice, "r", up.url("/r"))
    packages, files = built.packages(), built.files()
    assert all(up.hits("/r/" + p) == 0 for p in packages)  # lazy
    assert all(up.hits("/r/" + p) == 1 for p in files if p not in packages)
    for path, there in files.items():
        assert r.get(path) == (200, there.read_bytes()), path
    assert all(up.hits("/r/" + p) == 1 for p in files)
    summary = sluice.api.show(sluice.api.show(r.repo["pulp_href"])["latest_version_href"])["content_summary"]["present"]
    assert summary["rpm.package"]["count"] == 2
    assert summary["rpm.repo_metadata_file"]["count"] == len(files) - 2
    assert summary["rpm.package"]["href"].startswith("/pulp/api/v3/content/rpm/packages/?repository_version=")


def test_packages_in_the_api(sluice, up, built):
    r = Repo(sluice, "r", up.url("/r/"))
    units = {u["name"]: u for u in r.units()}
    lion = units["lion"]
    assert (lion["epoch"], lion["version"], lion["release"], lion["arch"]) == ("0", "2.0~rc1", "1", "noarch")
    path = "Packages/l/lion-2.0~rc1-1.noarch.rpm"
    data = built.files()[path].read_bytes()
    assert lion["pkgId"] == sha256(data) and lion["checksum_type"] == "sha256" and lion["location_href"] == path
    assert lion["size_package"] == len(data) and lion["artifact"] is None
    assert lion["summary"] == "The lion & <others>" and lion["rpm_license"] == "MIT"
    assert [None, "/usr/bin/", "lion"] in lion["files"]
    assert ["lion", None, None, None, None, False] in units["bear"]["requires"]
    assert r.get(path)[0] == 200
    sluice.quiet()
    assert {u["name"]: u for u in r.units()}["lion"]["artifact"] is not None
    for params, names in [({"name": "lion"}, ["lion"]), ({"name__ne": "lion"}, ["bear"]), ({"arch": "noarch", "version__in": "1.0,9"}, ["bear"]),
                          ({"pkgId": lion["pkgId"]}, ["lion"]), ({"name": "tiger"}, [])]:
        assert [u["name"] for u in sluice.api.list("content/rpm/packages/", **params)] == names, params
    types = {f["data_type"] for f in r.units("repo_metadata_files")}
    assert {"primary", "filelists", "other", "group", "productid", "repomd"} <= types


@pytest.mark.parametrize("policy", ["on_demand", "streamed", "immediate"])
def test_dnf_installs_from_a_mirror(sluice, up, built, tmp_path, policy):
    Repo(sluice, "r", up.url("/r/"), policy)
    dnf = Dnf(tmp_path, {"r": sluice.url("r/")})
    dnf.run("makecache")
    assert dnf.available() == ["bear-1.0-1.noarch", "lion-2.0~rc1-1.noarch"]
    dnf.run("install", "bear")
    assert (dnf.root / "usr/bin/lion").read_text() == "roar"
    assert (dnf.root / "usr/share/bear/readme").exists()
    assert "Zoo" in dnf.run("group", "list").stdout


def test_dnf_gets_an_update_and_whoever_is_late_meets_no_gap(sluice, upstream, built, tmp_path):
    repo = Rpms(tmp_path / "up")
    repo.build("lion", "1.0")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r = Repo(sluice, "r", upstream.url("/r/"))
    dnf = Dnf(tmp_path / "dnf", {"r": sluice.url("r/")})
    dnf.run("install", "lion")
    before = repomd(r.get(REPOMD)[1])

    repo.build("lion", "1.1")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r.sync()
    assert r.version() == 2
    for href, checksum in before.values():
        status, data = r.get(href)
        assert status == 200 and sha256(data) == checksum
    dnf.run("upgrade")
    assert (dnf.root / "usr/share/lion/readme").read_text().strip() == "lion 1.1"


def test_nothing_new_is_one_conditional_request(sluice, up):
    r = Repo(sluice, "r", up.url("/r/"))
    up.forget()
    task = r.sync()
    assert [p.path for p in up.requests()] == ["/r/" + REPOMD]
    assert up.requests()[0].header("If-None-Match") or up.requests()[0].header("If-Modified-Since")
    assert [p["code"] for p in task["progress_reports"]] == ["sync.was_skipped"]
    assert r.version() == 1


def test_only_other_metadata_changed(sluice, upstream, built, tmp_path):
    """The same packages with another group: a version, a publication, and no package asked for."""
    repo = Rpms(tmp_path / "up")
    repo.build("lion", "1.0")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r = Repo(sluice, "r", upstream.url("/r/"))
    comps = tmp_path / "comps.xml"
    comps.write_text("<comps/>")
    repo.createrepo("-g", comps)
    repo.put(upstream, "/r/")
    r.sync()
    assert r.version() == 2
    assert r.get(REPOMD)[1] == (repo.directory / REPOMD).read_bytes()
    assert len(r.units()) == 1


def test_a_mirror_on_demand_ends_as_an_immediate_one(sluice, up, built):
    lazy, full = Repo(sluice, "lazy", up.url("/r/")), Repo(sluice, "full", up.url("/r/"), "immediate")
    for path in built.files():
        a, b = sluice.get("lazy/" + path), sluice.get("full/" + path)
        assert a.status_code == b.status_code == 200 and a.content == b.content, path
        assert a.headers["ETag"] == b.headers["ETag"] and a.headers["Content-Type"] == b.headers["Content-Type"], path
    sluice.quiet()
    ours = ("pulp_href", "prn", "pulp_created", "pulp_last_updated", "last_used")
    sides = [{u["name"]: {k: v for k, v in u.items() if k not in ours} for u in r.units()} for r in (lazy, full)]
    assert sides[0] == sides[1]


# ---- metadata of our own

LAYOUTS = {"nested_alphabetically": "Packages/l/lion-", "flat": "Packages/lion-", "nested_by_digest": "Packages/l/by-digest/"}


@pytest.mark.parametrize("compression,layout,checksum", [("gz", "nested_alphabetically", "sha256"), ("zstd", "flat", "sha512"),
                                                         ("none", "nested_by_digest", "sha384")])
def test_regenerated_metadata(sluice, up, built, tmp_path, compression, layout, checksum):
    r = Repo(sluice, "r", up.url("/r/"), sync="additive", autopublish=True, compression_type=compression, layout=layout, checksum_type=checksum)
    files = repomd(r.get(REPOMD)[1])
    assert set(files) == {"primary", "filelists", "other", "group", "productid"}
    theirs = repomd((built.directory / REPOMD).read_bytes())
    for kind in ("primary", "filelists", "other"):
        href, _ = files[kind]
        status, data = r.get(href)
        assert status == 200 and getattr(__import__("hashlib"), checksum)(data).hexdigest() == files[kind][1]
        assert href.endswith({"gz": ".xml.gz", "zstd": ".xml.zst", "none": ".xml"}[compression])
        mine, want = entries(opened(data)), entries(opened((built.directory / theirs[kind][0]).read_bytes()))
        paths = {}
        for package in list(mine.values()) + list(want.values()):  # the only thing that may differ
            for i, (tag, attrs, text) in enumerate(package):
                if tag == "location":
                    paths.setdefault(attrs.pop("href"), None)
        assert mine == want, kind
        for path in [p for p in paths if p.startswith(LAYOUTS[layout])]:
            assert r.get(path)[0] == 200, path
    assert sha256(r.get(files["productid"][0])[1]) == files["productid"][1]
    assert r.get("repodata/" + theirs["primary"][0])[0] == 404
    dnf = Dnf(tmp_path / "dnf", {"r": sluice.url("r/")})
    dnf.run("install", "bear")
    assert (dnf.root / "usr/bin/lion").read_text() == "roar"
    assert "Zoo" in dnf.run("group", "list").stdout
    if compression != "zstd":  # which these tools of Debian 12 do not read
        copy = tmp_path / "copy"
        for href in [REPOMD] + [h for h, _ in files.values()]:
            (copy / href).parent.mkdir(parents=True, exist_ok=True)
            (copy / href).write_bytes(r.get(href)[1])
        run("sqliterepo_c", "--quiet", copy)


def test_regenerated_metadata_does_not_depend_on_what_is_saved(sluice, up):
    lazy = Repo(sluice, "lazy", up.url("/r/"), sync="mirror_content_only", autopublish=True)
    full = Repo(sluice, "full", up.url("/r/"), "immediate", sync="mirror_content_only", autopublish=True)
    assert lazy.get(REPOMD) == full.get(REPOMD)


def test_additive_keeps_what_upstream_drops(sluice, upstream, tmp_path):
    repo = Rpms(tmp_path / "up")
    old = repo.build("lion", "1.0")
    repo.build("bear", "1.0")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r = Repo(sluice, "r", upstream.url("/r/"), sync="additive", autopublish=True)
    before = r.get("Packages/l/" + old.name)
    assert before[0] == 200
    sluice.quiet()
    old.unlink()
    repo.build("lion", "1.1")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r.sync("additive")
    assert Dnf(tmp_path / "dnf", {"r": sluice.url("r/")}).run("-q", "repoquery", "lion").stdout.split() == ["lion-0:1.0-1.noarch", "lion-0:1.1-1.noarch"]
    assert r.get("Packages/l/" + old.name) == before
    r.sync("mirror_content_only")
    assert sorted(u["version"] for u in r.units()) == ["1.0", "1.1"]  # of bear and lion
    assert upstream.hits("/r/" + old.name) == 1


def test_a_second_sync_knows_what_it_has(sluice, upstream, tmp_path):
    """Of what is new everything is read, be it between packages that are known, or another copy of one of them."""
    repo = Rpms(tmp_path / "up")
    for name in ("ape", "cow", "lion"):
        repo.build(name, "1.0")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r = Repo(sluice, "r", upstream.url("/r/"), sync="additive", autopublish=True, layout="flat")
    repo.build("bear", "1.0", files={"/usr/bin/bear": "grr", "/usr/bin/cub": "grr"})
    repo.build("wolf", "1.0")
    repo.createrepo()
    repo.put(upstream, "/r/")
    r.sync("additive")
    check_like_upstream(r, repo)
    cow = next(p for n, p in repo.packages().items() if n.startswith("cow"))
    copy = repo.directory / "more" / cow.name
    copy.parent.mkdir()
    copy.write_bytes(cow.read_bytes())
    repo.createrepo()
    repo.put(upstream, "/r/")
    r.sync("additive")
    assert sorted(u["name"] for u in r.units()) == ["ape", "bear", "cow", "cow", "lion", "wolf"]
    cow.unlink()
    repo.createrepo()
    repo.put(upstream, "/r/")
    r.sync("mirror_content_only")
    check_like_upstream(r, repo)


def check_like_upstream(r, repo):
    ours = repomd(r.get(REPOMD)[1])
    theirs = repomd((repo.directory / REPOMD).read_bytes())
    for kind in ("filelists", "other"):
        assert entries(opened(r.get(ours[kind][0])[1])) == entries(opened((repo.directory / theirs[kind][0]).read_bytes()))


def test_a_publication_by_hand(sluice, up):
    """Of a complete mirror it is upstream's metadata, whoever asks for it; of what lacks file lists there is none."""
    r = Repo(sluice, "r", up.url("/r/"))
    theirs = r.get(REPOMD)
    task = sluice.api.do("POST", "publications/" + RPM, repository=r.repo["pulp_href"])
    assert sluice.api.show(task["created_resources"][0])["checksum_type"] == "unknown"
    assert r.get(REPOMD) == theirs
    bear = next(u for u in r.units() if u["name"] == "bear")
    sluice.api.do("POST", r.repo["pulp_href"] + "modify/", remove_content_units=[bear["pulp_href"]])
    with pytest.raises(TaskFailed) as failed:
        sluice.api.do("POST", "publications/" + RPM, repository=r.repo["pulp_href"])
    assert "file list" in failed.value.task["error"]["description"]
    r.sync("additive")
    sluice.api.do("POST", "publications/" + RPM, repository=r.repo["pulp_href"])
    assert set(repomd(r.get(REPOMD)[1])) >= {"primary", "filelists", "other"}


def test_packages_beside_the_repository_and_at_other_servers(sluice, upstream, built, tmp_path):
    """href="../" and xml:base, as sub-repositories and composed ones have them: not for mirror_complete."""
    repo = Rpms(tmp_path / "up")
    lion = repo.build("lion", "1.0")
    repo.build("bear", "1.0")
    repo.createrepo("--simple-md-filenames", "--no-database")
    repo.put(upstream, "/a/b/r/")
    for name in list(repo.packages()):
        upstream.add(("/a/b/" if name == lion.name else "/other/") + name, (repo.directory / name).read_bytes())
        upstream.remove("/a/b/r/" + name)
    text = opened((repo.directory / "repodata/primary.xml.gz").read_bytes()).decode()
    text = text.replace('href="lion', 'href="../lion').replace('href="bear', f'xml:base="{upstream.url("/other")}" href="bear')
    upstream.add("/a/b/r/repodata/primary.xml.gz", text.encode())
    md = (repo.directory / REPOMD).read_text()
    old = repomd(md)["primary"][1]
    size = len((repo.directory / "repodata/primary.xml.gz").read_bytes())
    upstream.add("/a/b/r/" + REPOMD, md.replace(old, sha256(text.encode())).replace(f"<size>{size}</size>", f"<size>{len(text.encode())}</size>"))
    r = Repo(sluice, "r", upstream.url("/a/b/r/"), sync=None)
    with pytest.raises(TaskFailed) as failed:
        r.sync("mirror_complete")
    assert "mirror_content_only" in failed.value.task["error"]["description"] or "leaves the repository" in failed.value.task["error"]["description"]
    r.sync("mirror_content_only")
    sluice.api.do("POST", "publications/" + RPM, repository=r.repo["pulp_href"])
    for name, path in repo.packages().items():
        assert r.get(f"Packages/{name[0]}/{name}") == (200, path.read_bytes())


def test_source_packages_are_left_out(sluice, up):
    r = Repo(sluice, "r", up.url("/r/"), sync=None)
    with pytest.raises(TaskFailed):
        r.sync("mirror_complete", skip_types=["srpm"])
    r.sync("additive", skip_types=["srpm", "treeinfo"])
    assert len(r.units()) == 2


def test_a_list_of_mirrors(sluice, up):
    up.add("/list", f"# mirrors\n\n{up.url('/gone/')}\n{up.url('/r')}\n{up.url('/never/')}\n")
    r = Repo(sluice, "r", up.url("/list"))
    assert len(r.units()) == 2 and up.hits("/never/" + REPOMD) == 0
    up.forget()
    assert "sync.was_skipped" in [p["code"] for p in r.sync()["progress_reports"]]
    bad = Repo(sluice, "bad", up.url("/none"), sync=None)
    with pytest.raises(TaskFailed) as failed:
        bad.sync()
    assert "404" in failed.value.task["error"]["description"] and "/none/repodata/repomd.xml" in failed.value.task["error"]["description"]


BAD = {
    "truncated": (lambda t: t[:len(t) // 2], "repomd.xml"),
    "no xml": (lambda t: b"<html>not found</html>", "its root is 'html'"),
    "leaves the tree": (lambda t: t.replace(b'href="repodata/', b'href="../repodata/', 1), "leaves the repository"),
    "no primary": (lambda t: t.replace(b'type="primary"', b'type="primari"'), "lists no primary"),
    "wrong size": (lambda t: t.replace(b"<size>", b"<size>1"), "expected"),
    "entities": (lambda t: t.replace(b"<repomd", b'<!DOCTYPE r [<!ENTITY a "aaaa">]><repomd', 1), "document type"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_repomd_changes_nothing(sluice, up, built, case):
    change, reason = BAD[case]
    r = Repo(sluice, "r", up.url("/r/"))
    good = r.get(REPOMD)
    up.add("/r/" + REPOMD, change(good[1]))
    with pytest.raises(TaskFailed) as failed:
        r.sync()
    assert reason in failed.value.task["error"]["description"]
    assert r.version() == 1 and r.get(REPOMD) == good


def test_a_metadata_file_that_is_not_what_repomd_says(sluice, up, built):
    r = Repo(sluice, "r", up.url("/r/"), sync=None)
    href = repomd((built.directory / REPOMD).read_bytes())["primary"][0]
    up.rule("/r/" + href, corrupt_at=5)
    with pytest.raises(TaskFailed) as failed:
        r.sync()
    assert "[PLP0003]" in failed.value.task["error"]["description"]
    up.unrule()
    up.remove("/r/" + href)
    with pytest.raises(TaskFailed) as failed:
        r.sync()
    assert "404" in failed.value.task["error"]["description"]
    assert r.version() == 0 and r.get(REPOMD)[0] == 404


@pytest.mark.parametrize("status, ends", [(500, "failed"), (404, "completed"), (403, "completed")])
def test_a_signature_is_left_out_only_where_there_is_none(sluice, up, built, status, ends):
    up.rule("/r/" + REPOMD + ".asc", status=status)
    r = Repo(sluice, "r", up.url("/r/"), sync=None)
    if ends == "failed":
        with pytest.raises(TaskFailed) as failed:
            r.sync()
        assert "repomd.xml.asc" in failed.value.task["error"]["description"]
        up.unrule()
    r.sync()
    assert r.get(REPOMD)[0] == 200
    assert r.get(REPOMD + ".asc")[0] == (200 if ends == "failed" else 404)
