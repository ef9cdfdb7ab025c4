"""Packages and repositories made by rpm's own tools, and dnf as a client of them.

    repo = Rpms(tmp_path / "up")
    repo.build("bear", "1.0", files={"/usr/bin/bear": "grr"}, requires=["lion"])
    repo.createrepo()
    repo.put(upstream, "/r/")
    Dnf(tmp_path / "dnf", {"r": sluice.url("r/")}).run("makecache")
"""
import gzip
import hashlib
import pathlib
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

TOOLS = ("rpmbuild", "createrepo_c", "dnf")
MD = "{http://linux.duke.edu/metadata/common}"
REPO = "{http://linux.duke.edu/metadata/repo}"
DATE = 1_700_000_000

needs_tools = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="rpm, createrepo-c or dnf are not installed")


def run(*args, check=True, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, **kw)
    assert not check or r.returncode == 0, f"{' '.join(map(str, args))}: {r.returncode}\n{r.stdout}\n{r.stderr}"
    return r


class Rpms:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def build(self, name, version, release="1", files=None, requires=(), into="", arch="noarch"):
        """One package; returns its path."""
        work = self.directory.parent / "rpmbuild"
        work.mkdir(exist_ok=True)
        files = files or {f"/usr/share/{name}/readme": f"{name} {version}\n"}
        lines = [f"Name: {name}", f"Version: {version}", f"Release: {release}", f"Summary: The {name} & <others>", "License: MIT",
                 "BuildArch: noarch", f"URL: http://example.org/{name}"]
        lines += [f"Requires: {r}" for r in requires]
        lines += ["%description", f"About {name}.", "%install"]
        for path, text in files.items():
            lines += [f"mkdir -p %{{buildroot}}{pathlib.PurePosixPath(path).parent}", f"printf %s '{text}' > %{{buildroot}}{path}"]
        lines += ["%files", *files, "%changelog", "* Mon Jan 01 2024 A Packager <a@example.org> - 1-1", f"- made {name}"]
        spec = work / f"{name}-{version}-{release}.spec"
        spec.write_text("\n".join(lines) + "\n")
        run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}", "--define", "_rpmdir " + str(work / "out"), "--nodeps", spec)
        built = next((work / "out").rglob(f"{name}-{version}-{release}.*.rpm"))
        target = self.directory / into / built.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(built, target)
        return target

    def createrepo(self, *args):
        run("createrepo_c", "--quiet", *args, self.directory)

    def modifyrepo(self, path, mdtype, *args):
        run("modifyrepo_c", "--mdtype", mdtype, *args, path, self.directory / "repodata")

    def files(self):
        return {p.relative_to(self.directory).as_posix(): p for p in sorted(self.directory.rglob("*")) if p.is_file()}

    def packages(self):
        return {n: p for n, p in self.files().items() if n.endswith(".rpm")}

    def put(self, upstream, prefix):
        """All of it, in place of what is there below the prefix."""
        for path in [p for p in list(upstream._files) if p.startswith(prefix)]:
            upstream.remove(path)
        for name, path in self.files().items():
            upstream.add(prefix + name, path.read_bytes())


def repomd(text):
    """{type: (href, checksum)}"""
    return {d.get("type"): (d.find(REPO + "location").get("href"), d.find(REPO + "checksum").text) for d in ET.fromstring(text).iter(REPO + "data")}


def opened(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return data


def entries(text):
    """{pkgid: [(tag, attributes, text) …]} of primary, filelists or other: all that is said of each package."""
    out = {}
    for package in ET.fromstring(text):
        facts = [(e.tag.split("}")[1], dict(e.attrib), (e.text or "").strip()) for e in package.iter()]
        pkgid = package.get("pkgid") or next(t for tag, _, t in facts if tag == "checksum")
        out[pkgid] = facts
    return out


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Dnf:
    def __init__(self, directory, repos, **options):
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        self.conf = self.directory / "dnf.conf"
        text = f"[main]\nreposdir=/none\ncachedir={self.directory}/cache\nlogdir={self.directory}/log\npersistdir={self.directory}/persist\n" \
               "gpgcheck=0\nmetadata_expire=0\ntsflags=nocontexts\nplugins=0\nskip_if_unavailable=0\nretries=2\ntimeout=30\n" \
               "pluginpath=/none\nzchunk=0\nassumeyes=1\n"
        for name, url in repos.items():
            text += f"[{name}]\nname={name}\nbaseurl={url}\nenabled=1\n"
            text += "".join(f"{k}={v}\n" for k, v in options.items())
        self.conf.write_text(text)

    def run(self, *args, check=True, timeout=120):
        return run("dnf", "-c", self.conf, f"--installroot={self.root}", "--releasever=1", "--forcearch=x86_64", *args, check=check,
                   timeout=timeout)

    def available(self):
        out = self.run("-q", "repoquery", "--qf", "%{name}-%{evr}.%{arch}").stdout
        return sorted(filter(None, out.splitlines()))
