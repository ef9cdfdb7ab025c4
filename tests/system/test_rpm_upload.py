"""Packages that users bring are the units that a sync of createrepo_c's metadata brings."""
import pytest

from rpms import Dnf, Rpms, entries, needs_tools, opened, repomd, run
from sluice import TaskFailed
from test_rpm import REPOMD, RPM, Repo

pytestmark = needs_tools

SPEC = """Name: odd
Epoch: 3
Version: 1.0~rc1
Release: 2
Summary: Odd & <even>
License: MIT
Group: Zoo
Vendor: A vendor
Packager: P <p@example.org>
URL: http://example.org/odd
BuildArch: noarch
Provides: even = 2:1.5-3, config(odd) = 1
Requires: /bin/sh, libc.so.6(GLIBC_2.4)(64bit), libc.so.6(GLIBC_2.17)(64bit), even = 2:1.5-3, lion >= 1.2, lion >= 1.2, /etc/odd.conf
Requires(pre): shadow
Conflicts: cat < 9
Obsoletes: older <= 1:2-3
Recommends: nice
Suggests: nicer > 4
Supplements: (a and b)
Enhances: c
%description
More than
one line: ä.
%install
mkdir -p %{buildroot}/etc/odd.d %{buildroot}/usr/bin %{buildroot}/usr/share/odd
echo x > %{buildroot}/etc/odd.conf
echo x > %{buildroot}/usr/bin/odd
echo x > "%{buildroot}/usr/share/odd/a b & c"
%files
%config /etc/odd.conf
%dir /etc/odd.d
/usr/bin/odd
/usr/share/odd
%ghost /etc/odd.ghost
%pre
true
%changelog
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    base = tmp_path_factory.mktemp("upload")
    repo = Rpms(base / "up")
    repo.build("bear", "1.0")
    changes = "".join(f"* Mon Jan {day:02} 2024 A P <a@example.org> - 1-{day}\n- change {day}\n" for day in (15, 15, 15, 8, 8, 1))
    changes += "".join(f"* Mon Jan 02 {year} A P <a@example.org> - 1\n- of {year}\n" for year in (2017, 2012, 2006, 1995, 1989))
    spec = base / "odd.spec"
    spec.write_text(SPEC + changes)
    run("rpmbuild", "-ba", "--quiet", "--define", f"_topdir {base}/b", "--nodeps", spec)
    for path in (base / "b").rglob("odd-*.rpm"):
        path.rename(repo.directory / path.name)
    repo.createrepo("--no-database")
    return repo


OURS = ("pulp_href", "prn", "pulp_created", "pulp_last_updated", "last_used", "time_file", "artifact", "md5", "sha1", "sha224", "sha256", "sha384",
        "sha512")


def put_into(server, repository, path, **fields):
    with path.open("rb") as f:
        r = server.api.post("content/rpm/packages/", files={"file": (path.name, f)}, data={"repository": repository["pulp_href"], **fields})
    return server.api.wait(r.json()["task"])


def test_uploaded_packages_are_as_synced_ones(sluice, upstream, built, tmp_path):
    built.put(upstream, "/r/")
    synced = Repo(sluice, "synced", upstream.url("/r/"), sync="mirror_content_only", autopublish=True)
    want = {(u["name"], u["arch"]): {k: v for k, v in u.items() if k not in OURS} for u in synced.units()}
    assert set(want) == {("bear", "noarch"), ("odd", "noarch"), ("odd", "src")}
    hand = sluice.api.do("POST", "repositories/" + RPM, name="hand", autopublish=True)
    sluice.api.do("POST", "distributions/" + RPM, name="hand", base_path="hand", repository=hand["pulp_href"])
    # The same file at another path is another unit: so none of these is the synced one.
    for path in built.packages().values():
        task = put_into(sluice, hand, path, relative_path="mine/" + path.name)
        assert any("/content/rpm/packages/" in href for href in task["created_resources"])
    latest = sluice.api.show(hand["pulp_href"])["latest_version_href"]
    for unit in sluice.api.list("content/rpm/packages/", repository_version=latest):
        mine = {k: v for k, v in unit.items() if k not in OURS}
        assert mine.pop("relative_path") == mine["location_href"] == "mine/" + want[mine["name"], mine["arch"]].pop("relative_path")
        mine["location_href"] = mine["location_href"][len("mine/"):]
        assert mine == want[mine["name"], mine["arch"]]
    a, b = (repomd(sluice.get(f"{name}/{REPOMD}").content) for name in ("synced", "hand"))
    for kind in ("primary", "filelists", "other"):
        theirs, ours = (entries(opened(sluice.get(f"{name}/{files[kind][0]}").content)) for name, files in (("synced", a), ("hand", b)))
        for package in [*theirs.values(), *ours.values()]:
            for tag, attrs, _ in package:
                if tag == "time":
                    attrs.pop("file")
        assert ours == theirs, kind
    dnf = Dnf(tmp_path, {"hand": sluice.url("hand/")})
    dnf.run("install", "bear")
    assert (dnf.root / "usr/share/bear/readme").exists()


def test_a_package_at_its_own_name_and_what_is_none(sluice, upstream, built):
    path = next(p for n, p in built.packages().items() if n.startswith("bear"))
    with path.open("rb") as f:
        r = sluice.api.post("content/rpm/packages/upload/", files={"file": ("x", f)})
    assert r.status_code == 201 and r.json()["location_href"] == "bear-1.0-1.noarch.rpm" and r.json()["pkgId"] == r.json()["sha256"]
    built.put(upstream, "/r/")
    synced = Repo(sluice, "synced", upstream.url("/r/"))
    assert r.json()["pulp_href"] in [u["pulp_href"] for u in synced.units()]  # one and the same
    hand = sluice.api.do("POST", "repositories/" + RPM, name="hand")
    bad = built.directory.parent / "bad.rpm"
    for data, reason in ((b"no package", "no rpm package"), (path.read_bytes()[:200], "it ends at its header")):
        bad.write_bytes(data)
        with pytest.raises(TaskFailed) as failed:
            put_into(sluice, hand, bad)
        assert reason in failed.value.task["error"]["description"]
    assert sluice.api.show(hand["pulp_href"])["latest_version_href"].endswith("/0/")
