"""Packages that users bring: uploaded, listed as the archive's own tools list them, and installed by apt-get."""
import hashlib

import pytest

import debarchive
from debarchive import Apt, Archive
from test_deb import DEB, line

pytestmark = pytest.mark.skipif(bool(debarchive.missing()), reason=f"not there: {debarchive.missing()}")
PACKAGES = "content/deb/packages/"


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "up")


def stanzas(text):
    """What each says, whatever the order; without digests that only the tool has."""
    return sorted(sorted(f for f in s.replace("\n ", "\0").split("\n") if not f.startswith(("MD5sum:", "SHA1:")))
                  for s in text.split("\n\n") if s.strip())


def upload(api, path, **fields):
    with open(path, "rb") as f:
        r = api.post(PACKAGES, files={"file": f}, data=fields)
    assert r.status_code == 202, r.text
    return api.wait(r.json())


def test_uploaded_packages_are_listed_and_installed(sluice, archive, tmp_path):
    api = sluice.api
    repo = api.do("POST", "repositories/" + DEB, name="own", autopublish=True)
    api.do("POST", "distributions/" + DEB, name="own", base_path="own", repository=repo["pulp_href"])
    hello = archive.root / archive.package("hello", "1:1.0~rc1+b1", depends="libhello++", multi_arch="same", x_own="kept")
    lib = archive.root / archive.package("libhello++", source="hello-src (2.0)", arch="all")
    task = upload(api, hello, repository=repo["pulp_href"])
    assert any(r.endswith("/versions/1/") for r in task["created_resources"])
    unit = api.show(task["created_resources"][-1])
    data = hello.read_bytes()
    assert unit["relative_path"] == "pool/upload/h/hello/hello_1.0~rc1+b1_amd64.deb"
    assert unit["sha256"] == hashlib.sha256(data).hexdigest() and unit["size"] == len(data)
    assert unit["version"] == "1:1.0~rc1+b1" and unit["custom_fields"] == {"X-Own": "kept"}
    upload(api, lib, repository=repo["pulp_href"], distribution="stable", component="main")
    members = api.list("content/deb/package_release_components/", repository_version=f"{repo['pulp_href']}versions/2/")
    assert {(m["distribution"], m["component"]) for m in members} == {("pulp", "upload"), ("stable", "main")}

    # As apt-ftparchive and dpkg-scanpackages list the same files at the same paths.
    for dist, component, arch, package in (("pulp", "upload", "amd64", hello), ("stable", "main", "all", lib)):
        (listed,) = [u for u in api.list(PACKAGES) if u["sha256"] == hashlib.sha256(package.read_bytes()).hexdigest()]
        (path := tmp_path / dist / listed["relative_path"]).parent.mkdir(parents=True)
        path.write_bytes(package.read_bytes())
        ours = sluice.get(f"own/dists/{dist}/{component}/binary-{arch}/Packages").text
        theirs = debarchive.run("apt-ftparchive", "packages", "pool", cwd=tmp_path / dist).stdout
        assert stanzas(ours) == stanzas(theirs)
        scanned = debarchive.run("dpkg-scanpackages", "-m", "pool", cwd=tmp_path / dist).stdout
        assert [f for f in stanzas(ours)[0] if not f.startswith("SHA512")] == stanzas(scanned)[0]

    apt = Apt(tmp_path / "apt")
    apt.sources(line(sluice, "own", "pulp", "upload", options="[trusted=yes]"),
                line(sluice, "own", "stable", "main", options="[trusted=yes]"))
    apt.update()
    apt.get("install", "--download-only", "hello")
    assert sorted(apt.archives().values()) == sorted([data, lib.read_bytes()])


@pytest.mark.parametrize("packing", ["none", "gzip", "xz", "zstd"])
def test_at_once_and_added_later(sluice, archive, tmp_path, packing):
    """The action upload, then modify: it is published in a place of its own, whatever packs its control file."""
    api = sluice.api
    built = archive.root / archive.package("hello")
    work = built.parent / "w"
    debarchive.run("dpkg-deb", "--raw-extract", built, work)
    (work / "DEBIAN/postinst").write_text("#!/bin/sh\n" + "# padding\n" * 20000)
    (work / "DEBIAN/postinst").chmod(0o755)
    debarchive.run("dpkg-deb", "--root-owner-group", f"-Z{packing}", "--uniform-compression", "--build", work, built)
    with open(built, "rb") as f:
        r = api.post(PACKAGES + "upload/", check=False, files={"file": f}, data={"relative_path": "pool/x/hello.deb"})
    assert r.status_code == 201, r.text
    unit = r.json()
    assert unit["package"] == "hello" and unit["relative_path"] == "pool/x/hello.deb"
    repo = api.do("POST", "repositories/" + DEB, name="own")
    api.do("POST", repo["pulp_href"] + "modify/", add_content_units=[unit["pulp_href"]])
    api.do("POST", "publications/deb/apt/", repository=repo["pulp_href"])
    api.do("POST", "distributions/" + DEB, name="own", base_path="own", repository=repo["pulp_href"])
    apt = Apt(tmp_path / "apt")
    apt.sources(line(sluice, "own", "pulp", "upload", options="[trusted=yes]"))
    apt.update()
    apt.get("install", "--download-only", "hello")
    assert list(apt.archives().values()) == [built.read_bytes()]


def test_what_is_no_package_is_refused(sluice, archive, tmp_path):
    api = sluice.api
    built = archive.root / archive.package("hello")
    data = built.read_bytes()
    lying = archive.root / archive.package("liar", filename="../../etc/passwd")
    repo = api.do("POST", "repositories/" + DEB, name="own")
    cases = {
        "text": (b"no package at all\n", "no Debian binary package"),
        "cut": (data[:200], "breaks off"),
        "liar": (lying.read_bytes(), "a field Filename, which only indexes have"),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        with open(tmp_path / name, "rb") as f:
            r = api.post(PACKAGES + "upload/", check=False, files={"file": f})
        assert r.status_code == 400 and reason in r.text, (name, r.text)
        with open(tmp_path / name, "rb") as f:
            r = api.post(PACKAGES, files={"file": f}, data={"repository": repo["pulp_href"]})
        task = api.wait(r.json(), states=("failed",))
        assert reason in task["error"]["description"]
    with open(built, "rb") as f:
        r = api.post(PACKAGES, files={"file": f}, data={"repository": repo["pulp_href"], "component": "../x"})
    assert "has to be a relative path" in api.wait(r.json(), states=("failed",))["error"]["description"]
    assert api.list(PACKAGES) == [] and api.version(repo) == 0
