"""Debian archives, with the real apt-get, against an upstream that the archive's own tools made."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import tempfile

import pytest

import debarchive
from debarchive import Apt, Archive, Key
from waiting import wait_for

pytestmark = pytest.mark.skipif(bool(debarchive.missing()), reason=f"not there: {debarchive.missing()}")
DEB = "deb/apt/"


@pytest.fixture(scope="module")
def key():
    d = pathlib.Path(tempfile.mkdtemp(prefix="k"))
    k = Key(d / "g")
    yield k
    k.close()
    shutil.rmtree(d, ignore_errors=True)


@pytest.fixture
def archive(tmp_path, key):
    return Archive(tmp_path / "up", key)


class Deb:
    """A deb remote, repository and distribution, over REST."""

    def __init__(self, api, name, url, policy="on_demand", mirror=True, **fields):
        self.api, self.name, self.mirror = api, name, mirror
        fields.setdefault("distributions", "stable")
        self.remote = api.do("POST", "remotes/" + DEB, name=name, url=url, policy=policy, **fields)
        self.repo = api.do("POST", "repositories/" + DEB, name=name, remote=self.remote["pulp_href"])

    def sync(self, **options):
        return self.api.wait(self.api.start_sync(self.repo, mirror=self.mirror, **options))

    def distribute(self):
        task = self.api.do("POST", "distributions/" + DEB, name=self.name, base_path=self.name,
                           repository=self.repo["pulp_href"])
        return self.api.show(task["created_resources"][0])

    def version(self):
        return self.api.version(self.repo)

    def units(self, what="packages", **params):
        params["repository_version"] = self.api.show(self.repo["pulp_href"])["latest_version_href"]
        return self.api.list(f"content/deb/{what}/", limit=100000, **params)


def mirror(sluice, url, name="deb", **fields):
    d = Deb(sluice.api, name, url, **fields)
    d.sync()
    d.distribute()
    return d


def line(sluice, name="deb", dist="stable", components="main", kind="deb", options=""):
    return f"{kind} {options} {sluice.base}/pulp/content/{name}/ {dist} {components}"


def test_apt_updates_and_installs_lazily(sluice, upstream, archive, key, tmp_path):
    """The whole way: on_demand, upstream's signature checked by apt, indexes by-hash, packages fetched when asked for."""
    hello = archive.package("hello", "1.0", depends="libhello++ (>= 1)")
    lib = archive.package("libhello++", "1.0~rc1+b1")
    other = archive.package("other", "2.0")
    archive.release("stable")
    mirror(sluice, archive.serve(upstream, "/debian/"), components="main", architectures="amd64")
    assert upstream.hits("/debian/" + hello) == 0

    apt = Apt(tmp_path / "apt", key)
    apt.contents()
    apt.sources(line(sluice))
    out = apt.update()
    assert "Err" not in out.stdout and "W:" not in out.stderr, (out.stdout, out.stderr)
    names = " ".join(apt.lists())
    for part in ("InRelease", "Packages", "Translation-en", "Contents-amd64"):
        assert part in names
    apt.get("install", "--download-only", "hello")
    got = apt.archives()
    assert {hashlib.sha256(b).hexdigest() for b in got.values()} == {
        hashlib.sha256((archive.root / p).read_bytes()).hexdigest() for p in (hello, lib)}
    sluice.quiet()
    # Again, by another client: all of it is saved.
    apt2 = Apt(tmp_path / "apt2", key)
    apt2.sources(line(sluice))
    apt2.update()
    apt2.get("install", "--download-only", "hello")
    assert len([r for r in upstream.requests() if r.path.endswith(".deb")]) == 2
    assert upstream.hits("/debian/" + other) == 0


def test_every_file_of_the_release_is_served_as_upstream_has_it(sluice, upstream, archive):
    """Verbatim, under its name and under each of its digests; packages too."""
    archive.package("hello")
    archive.release("stable")
    mirror(sluice, archive.serve(upstream, "/debian/"))
    for path in archive.files():
        r = sluice.get("deb/" + path)
        assert r.status_code == 200 and r.content == (archive.root / path).read_bytes(), path
    # Listed, and not there: like Debian's own.
    assert sluice.get("deb/dists/stable/main/binary-amd64/Packages").status_code == 404
    data = (archive.root / "dists/stable/main/binary-amd64/Packages.gz").read_bytes()
    release = (archive.root / "dists/stable/Release").read_text()
    for name, algorithm in (("MD5Sum", "md5"), ("SHA1", "sha1"), ("SHA256", "sha256"), ("SHA512", "sha512")):
        assert f"\n{name}:" in release
        r = sluice.get(f"deb/dists/stable/main/binary-amd64/by-hash/{name}/{hashlib.new(algorithm, data).hexdigest()}")
        assert r.content == data, name


def test_the_second_sync_asks_once_and_makes_nothing(sluice, upstream, archive):
    archive.package("hello")
    archive.release("stable")
    d = mirror(sluice, archive.serve(upstream, "/debian/"))
    before = len(upstream.requests())
    task = d.sync()
    assert task["created_resources"] == [] and d.version() == 1
    assert [r.path for r in upstream.requests()[before:]] == ["/debian/dists/stable/InRelease"]


def test_an_update_of_upstream_and_what_was_served_before(sluice, upstream, archive, key, tmp_path):
    """A client that has the old index still gets what it names and was saved; then the new one."""
    old = archive.package("hello", "1.0")
    archive.release("stable")
    d = mirror(sluice, archive.serve(upstream, "/debian/"))
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice))
    apt.update()
    assert sluice.get("deb/" + old).status_code == 200
    sluice.quiet()
    index = (archive.root / "dists/stable/main/binary-amd64/Packages.xz").read_bytes()

    new = archive.package("hello", "2.0")
    (archive.root / old).unlink()
    archive.release("stable")
    archive.serve(upstream, "/debian/")
    d.sync()
    assert d.version() == 2
    assert [u["version"] for u in d.units()] == ["2.0"]
    apt.get("install", "--download-only", "hello")
    assert list(apt.archives()) == ["hello_1.0_amd64.deb"]
    by_hash = f"deb/dists/stable/main/binary-amd64/by-hash/SHA256/{hashlib.sha256(index).hexdigest()}"
    assert sluice.get(by_hash).content == index
    apt.update()
    apt.get("install", "--download-only", "hello")
    assert "hello_2.0_amd64.deb" in apt.archives()
    assert upstream.hits("/debian/" + new) == 1


def test_what_was_dropped_and_never_asked_for_is_served_for_a_while(sluice, upstream, archive, key, tmp_path):
    """A client between two of our syncs: neither the package nor the index that it comes for was ever saved here."""
    old = archive.package("hello", "1.0")
    archive.release("stable")
    d = mirror(sluice, archive.serve(upstream, "/debian/"))
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice))
    apt.update()
    contents = (archive.root / "dists/stable/main/Contents-amd64.gz").read_bytes()
    archive.package("hello", "2.0")
    (archive.root / old).rename(tmp_path / "old.deb")
    archive.release("stable")
    archive.serve(upstream, "/debian/")
    d.sync()
    assert [u["version"] for u in d.units()] == ["2.0"]
    assert upstream.hits("/debian/" + old) == 0
    apt.get("install", "--download-only", "hello")
    assert list(apt.archives().values()) == [(tmp_path / "old.deb").read_bytes()]
    by_hash = "dists/stable/main/by-hash/SHA256/" + hashlib.sha256(contents).hexdigest()
    assert sluice.get("deb/" + by_hash).content == contents
    assert upstream.hits("/debian/" + by_hash) == 1


def test_fields_of_packages_and_counts(sluice, upstream, archive):
    archive.package("hello", "1.0", depends="libc6", multi_arch="same", x_own="kept")
    archive.release("stable", contents=False, translation=False)
    d = mirror(sluice, archive.serve(upstream, "/debian/"))
    (u,) = d.units()
    assert u["package"] == "hello" and u["version"] == "1.0" and u["architecture"] == "amd64"
    assert u["depends"] == "libc6" and u["multi_arch"] == "same" and u["custom_fields"] == {"X-Own": "kept"}
    assert u["relative_path"] == "pool/main/h/hello/hello_1.0_amd64.deb" and u["artifact"] is None
    assert u["description"] == "package hello of a test\n It has two lines.\n .\n And a paragraph."
    version = sluice.api.show(sluice.api.show(d.repo["pulp_href"])["latest_version_href"])
    present = version["content_summary"]["present"]
    assert present["deb.package"]["count"] == 1 and present["deb.release_file"]["count"] == 1
    assert present["deb.package_index"]["count"] == 3
    assert {u["relative_path"] for u in d.units("package_indices")} == {
        "dists/stable/main/binary-amd64/Packages" + f for f in ("", ".gz", ".xz")}


def test_a_flat_repository(sluice, upstream, archive, key, tmp_path):
    path = archive.package("hello")
    flat = archive.root / "flat"
    flat.mkdir()
    text = debarchive.run("apt-ftparchive", "packages", "pool", cwd=archive.root).stdout
    archive._forms(flat / "Packages", text.encode(), ["", ".gz"])
    (flat / "Release").write_text(debarchive.run("apt-ftparchive", "release", ".", cwd=flat).stdout)
    key.clearsign(flat / "Release", flat / "InRelease")
    mirror(sluice, archive.serve(upstream, "/debian/"), distributions="flat/")
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice, dist="flat/", components=""))
    apt.update()
    apt.get("install", "--download-only", "hello")
    assert list(apt.archives().values()) == [(archive.root / path).read_bytes()]


def test_verbatim_publications(sluice, upstream, archive):
    """Pulp's way: sync without mirror, publish verbatim, distribute the publication."""
    archive.package("hello")
    archive.release("stable")
    d = Deb(sluice.api, "deb", archive.serve(upstream, "/debian/"), mirror=False)
    assert len(d.sync()["created_resources"]) == 1
    task = sluice.api.do("POST", "publications/deb/verbatim/", repository=d.repo["pulp_href"])
    assert task["name"] == "pulp_deb.app.tasks.publishing.publish_verbatim"
    (href,) = task["created_resources"]
    assert href.startswith("/pulp/api/v3/publications/deb/verbatim/")
    publication = sluice.api.show(href)
    assert publication["prn"].startswith("prn:deb.verbatimpublication:")
    assert [p["pulp_href"] for p in sluice.api.list("publications/deb/verbatim/")] == [href]
    assert sluice.api.list("publications/deb/apt/") == []
    assert [p["pulp_href"] for p in sluice.api.list("publications/")] == [href]
    task = sluice.api.do("POST", "distributions/" + DEB, name="deb", base_path="deb", publication=href)
    distribution = task["created_resources"][0]
    assert sluice.api.show(distribution)["publication"] == href
    assert sluice.api.show(href)["distributions"] == [distribution]
    for path in archive.files():
        assert sluice.get("deb/" + path).content == (archive.root / path).read_bytes(), path


def test_the_command_line(sluice, upstream, archive, key, tmp_path):
    archive.package("hello")
    archive.release("stable")
    url = archive.serve(upstream, "/debian/")
    r = sluice.cli("mirror", "deb", url, "--format", "deb", "--distributions", "stable", "--architectures", "amd64")
    assert r.stdout == sluice.base + "/pulp/content/deb/\n"
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice))
    apt.update()
    apt.get("install", "--download-only", "hello")
    assert "nothing new" in sluice.cli("sync", "deb").stdout
    archive.package("hello", "2.0")
    archive.release("stable")
    archive.serve(upstream, "/debian/")
    assert "version 2" in sluice.cli("sync", "deb").stdout
    apt.update()
    assert "hello" in apt.get("list", "hello", tool="apt").stdout
    assert "deb " in sluice.cli("repo", "list").stdout
    r = sluice.cli("mirror", "x", url, "--format", "deb", check=False)
    assert r.returncode == 2 or "--distributions is needed" in r.stderr
    r = sluice.cli("mirror", "x", url, "--format", "zip", check=False)
    assert "there is no format 'zip'" in r.stderr


def test_signatures_are_checked_with_gpgkey(sluice, upstream, archive, key, tmp_path):
    """A good one is taken; of another key, a changed file or none at all is a task error, and what is served stays."""
    archive.package("hello")
    archive.release("stable")
    url = archive.serve(upstream, "/debian/")
    d = Deb(sluice.api, "deb", url, gpgkey=key.public)
    d.sync()
    d.distribute()
    release = sluice.get("deb/dists/stable/InRelease").content

    def refused(reason):
        task = sluice.api.wait(sluice.api.start_sync(d.repo, mirror=True), states=("failed",))
        assert reason in task["error"]["description"], task["error"]
        assert d.version() == 1 and sluice.get("deb/dists/stable/InRelease").content == release

    text = (archive.root / "dists/stable/InRelease").read_bytes()
    upstream.add("/debian/dists/stable/InRelease", text.replace(b"Label: Test", b"Label: Tent"))
    refused("its signature is wrong")
    upstream.add("/debian/dists/stable/InRelease", (archive.root / "dists/stable/Release").read_bytes() + b"\n")
    refused("it is not signed")
    upstream.add("/debian/dists/stable/InRelease", b"Label: Bad\n" + text)
    refused("it is not signed")
    other = Key(pathlib.Path(tempfile.mkdtemp(prefix="k", dir=tmp_path.parent)) / "g")
    try:
        archive.key = other
        archive.sign("stable")
        archive.serve(upstream, "/debian/")
        refused("which is not among those that may sign it")
    finally:
        other.close()
        archive.key = key
    archive.sign("stable", edit=lambda t: "Valid-Until: Mon, 01 Jan 2024 00:00:00 UTC\n" + t)
    archive.serve(upstream, "/debian/")
    refused("Valid-Until has passed")
    archive.package("more")
    archive.release("stable")
    archive.serve(upstream, "/debian/")
    d.sync()
    assert d.version() == 2


def test_release_with_a_signature_beside_it(sluice, upstream, archive, key, tmp_path):
    archive.package("hello")
    archive.release("stable", in_release=False)
    url = archive.serve(upstream, "/debian/")
    d = mirror(sluice, url, gpgkey=key.public)
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice))
    apt.update()
    assert sluice.get("deb/dists/stable/InRelease").status_code == 404
    assert sluice.get("deb/dists/stable/Release.gpg").content == (archive.root / "dists/stable/Release.gpg").read_bytes()
    upstream.add("/debian/dists/stable/Release", (archive.root / "dists/stable/Release").read_bytes() + b"X: y\n")
    task = sluice.api.wait(sluice.api.start_sync(d.repo, mirror=True), states=("failed",))
    assert "its signature is wrong" in task["error"]["description"]


def test_sources_and_udebs(sluice, upstream, archive, key, tmp_path):
    archive.package("hello")
    udeb = archive.package("tiny", udeb=True)
    pool = archive.source("hello")
    archive.release("stable", sources=True, udebs=True)
    d = mirror(sluice, archive.serve(upstream, "/debian/"), sync_sources=True, sync_udebs=True)
    assert [u["package"] for u in d.units("installer_packages")] == ["tiny"]
    assert [u["package"] for u in d.units("source_packages")] == ["hello"]
    assert sluice.get("deb/" + udeb).content == (archive.root / udeb).read_bytes()
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice), line(sluice, kind="deb-src"))
    apt.update()
    out = tmp_path / "src"
    out.mkdir()
    apt.get("source", "--download-only", "hello", cwd=out)
    got = sorted(p.name for p in out.iterdir())
    assert got == ["hello_1.0.dsc", "hello_1.0.tar.xz"]
    for name in got:
        assert (out / name).read_bytes() == (archive.root / pool / name).read_bytes()


def test_structured_publications(sluice, upstream, archive, tmp_path):
    """Indexes of our own: what upstream's stanzas say, where upstream has it; the same before and after packages were fetched."""
    paths = [archive.package("hello", "1.0", depends="data", x_own="kept"), archive.package("data", arch="all"),
             archive.package("extra", component="contrib"), archive.package("other", arch="arm64")]
    archive.release("stable", components=("main", "contrib"), arches=("amd64", "arm64"), Label="Up")
    d = Deb(sluice.api, "deb", archive.serve(upstream, "/debian/"), mirror=False)
    d.sync()

    def publish(**fields):
        task = sluice.api.do("POST", "publications/deb/apt/", repository=d.repo["pulp_href"], **fields)
        assert task["name"] == "pulp_deb.app.tasks.publishing.publish"
        return task["created_resources"][0]

    def index(arch="amd64", component="main", dist="stable"):
        r = sluice.get(f"deb/dists/{dist}/{component}/binary-{arch}/Packages")
        return sorted(sorted(line for line in s.splitlines()) for s in r.text.split("\n\n") if s)

    first = publish()
    assert sluice.api.show(first)["structured"] is True and sluice.api.show(first)["simple"] is False
    distribution = d.distribute()
    release = sluice.get("deb/dists/stable/Release").text
    for field in ("Origin: Test", "Label: Up", "Suite: stable", "Components: contrib main", "Acquire-By-Hash: yes"):
        assert field + "\n" in release
    assert "\nArchitectures: amd64 arm64 all\n" in release
    assert sluice.get("deb/dists/stable/InRelease").status_code == 404
    upstreams = {}
    for arch in ("amd64", "arm64"):
        text = debarchive.run("apt-ftparchive", "--arch", arch, "packages", "pool/main", cwd=archive.root).stdout
        upstreams[arch] = sorted(sorted(line for line in s.splitlines()) for s in text.split("\n\n") if s.strip())
        assert index(arch) == upstreams[arch]
    assert [s for s in index("all")] == [s for s in upstreams["amd64"] if "Architecture: all" in s]

    apt = Apt(tmp_path / "apt")
    apt.sources(line(sluice, components="main contrib", options="[trusted=yes]"))
    apt.update()
    apt.get("install", "--download-only", "hello", "extra")
    assert sorted(apt.archives().values()) == sorted((archive.root / p).read_bytes() for p in paths[:3])
    sluice.quiet()
    before = sluice.get("deb/dists/stable/main/binary-amd64/Packages.gz").content
    publish()
    assert sluice.get("deb/dists/stable/main/binary-amd64/Packages.gz").content == before

    publish(simple=True, structured=False)
    assert sluice.get("deb/dists/stable/Release").status_code in (200, 404)  # the one before is answered for a while
    apt = Apt(tmp_path / "apt2")
    apt.sources(line(sluice, dist="default", components="all", options="[trusted=yes]"))
    apt.update()
    apt.get("install", "--download-only", "hello", "extra")
    assert len(apt.archives()) == 3
    assert distribution["repository"] == d.repo["pulp_href"]
    task = sluice.api.wait(sluice.api.post("publications/deb/apt/", json={
        "repository": d.repo["pulp_href"], "simple": False, "structured": False}).json(), states=("failed",))
    assert "structured, or simple" in task["error"]["description"]


def test_autopublish(sluice, upstream, archive, tmp_path):
    """Additive: what upstream has dropped is still listed, in an index of our own."""
    old = archive.package("hello", "1.0")
    archive.release("stable")
    d = Deb(sluice.api, "deb", archive.serve(upstream, "/debian/"), mirror=False)
    sluice.api.do("PATCH", d.repo["pulp_href"], autopublish=True)
    d.sync()
    d.distribute()
    assert sluice.get("deb/" + old).status_code == 200
    (archive.root / old).unlink()
    archive.package("hello", "2.0")
    archive.release("stable")
    archive.serve(upstream, "/debian/")
    d.sync()
    text = sluice.get("deb/dists/stable/main/binary-amd64/Packages").text
    assert "Version: 1.0\n" in text and "Version: 2.0\n" in text


def test_installer_files(sluice, upstream, archive):
    """What SHA256SUMS lists, lazily: only that says that there are such files, and not how large they are."""
    archive.package("hello")
    images = archive.root / "dists/stable/main/installer-amd64/current/images"
    archive.release("stable")
    (images / "netboot").mkdir(parents=True)
    (images / "netboot/mini.iso").write_bytes(b"iso" * 5000)
    sums = f"{hashlib.sha256((images / 'netboot/mini.iso').read_bytes()).hexdigest()}  ./netboot/mini.iso\n"
    (images / "SHA256SUMS").write_text(sums)

    def edit(text):
        size, digest = len(sums), hashlib.sha256(sums.encode()).hexdigest()
        return text.replace("\nSHA256:\n", f"\nSHA256:\n {digest} {size} main/installer-amd64/current/images/SHA256SUMS\n")
    archive.sign("stable", edit=edit, plain=True)
    url = archive.serve(upstream, "/debian/")
    mirror(sluice, url, sync_installer=True)
    path = "dists/stable/main/installer-amd64/current/images/"
    assert upstream.hits("/debian/" + path + "netboot/mini.iso") == 0
    assert sluice.get("deb/" + path + "SHA256SUMS").text == sums
    assert sluice.get("deb/" + path + "netboot/mini.iso").content == b"iso" * 5000
    mirror(sluice, url, name="without")
    assert sluice.get("without/" + path + "SHA256SUMS").status_code == 404


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_apt_goes_on_where_it_was_interrupted(sluice, upstream, archive, key, tmp_path):
    """apt is killed in the middle of a missing package, and asks for the rest of it afterwards: the validators are the same."""
    path = archive.package("big", size=4 << 20)
    archive.release("stable")
    mirror(sluice, archive.serve(upstream, "/debian/"))
    apt = Apt(tmp_path / "apt", key)
    apt.sources(line(sluice))
    apt.update()
    gate = upstream.gate()
    upstream.rule("/debian/" + path, gate_at=(3 << 20, gate))
    p = apt.start("install", "--download-only", "big")
    partial = apt.root / "var/cache/apt/archives/partial/big_1.0_amd64.deb"
    wait_for("apt to have some of it", lambda: partial.exists() and partial.stat().st_size > 1 << 20, 60)
    os.killpg(p.pid, signal.SIGINT)  # as Ctrl-C does: its methods note what they have, and of which date
    p.wait()
    wait_for("apt's methods to end", lambda: not group_lives(p.pid), 60)
    had = partial.stat().st_size
    gate.open()
    sluice.quiet(60)
    apt.get("install", "--download-only", "big")
    assert list(apt.archives().values()) == [(archive.root / path).read_bytes()]
    assert upstream.hits("/debian/" + path) == 1
    m = sluice.wait_log(r'target="[^"]*big_1.0_amd64.deb" status=206 bytes=(\d+)')
    assert int(m.group(1)) < (4 << 20) - had + (64 << 10)
