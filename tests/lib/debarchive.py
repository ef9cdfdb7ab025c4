"""A Debian archive made by the archive's own tools (dpkg-deb, apt-ftparchive, gpg), in a directory; and an apt with a root of
its own. What the tools lack makes `missing()` say so.

    a = Archive(tmp_path / "up")
    a.package("hello", "1.0", depends="libx")
    a.release("stable")                      # Packages, Contents, Translation, Release, InRelease
    a.serve(upstream, "/debian/")
"""
import bz2
import gzip
import hashlib
import lzma
import os
import pathlib
import shutil
import subprocess

TOOLS = ("apt-get", "apt-ftparchive", "dpkg-deb", "dpkg-source", "gpg", "gpgv")


def missing():
    return [t for t in TOOLS if shutil.which(t) is None]


def run(*cmd, check=True, **kw):
    kw.setdefault("timeout", 300)
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, stdin=subprocess.DEVNULL, **kw)
    assert not check or r.returncode == 0, f"{cmd}: {r.returncode}\n{r.stdout}\n{r.stderr}"
    return r


class Key:
    """A throwaway signing key."""

    def __init__(self, directory):
        # The agent's socket has to have a short path.
        self.home = pathlib.Path(directory)
        self.home.mkdir(parents=True, mode=0o700)
        run(*self._gpg(), "--quick-generate-key", "Test <test@example.org>", "rsa2048", "sign", "never")
        self.public = run(*self._gpg(), "--armor", "--export").stdout

    def _gpg(self):
        return ["gpg", "--homedir", self.home, "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback",
                "--no-auto-check-trustdb"]

    def clearsign(self, src, dst):
        run(*self._gpg(), "--clearsign", "-o", dst, src)

    def detach(self, src, dst):
        run(*self._gpg(), "--armor", "--detach-sign", "-o", dst, src)

    def close(self):
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], capture_output=True)


class Archive:
    def __init__(self, root, key=None):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.key = key

    # ---- packages

    def package(self, name, version="1.0", arch="amd64", component="main", udeb=False, size=2000, **fields):
        """Builds pool/<component>/<letter>/<name>/<name>_<version>_<arch>.deb; returns its path in the archive."""
        work = self.root.parent / "work" / f"{name}_{version}_{arch}"
        shutil.rmtree(work, ignore_errors=True)
        (work / "DEBIAN").mkdir(parents=True)
        doc = work / "usr" / "share" / "doc" / name
        doc.mkdir(parents=True)
        (doc / "data").write_bytes(hashlib.shake_128(f"{name}{version}{arch}".encode()).digest(size))
        control = {"Package": name, "Version": version, "Architecture": arch, "Maintainer": "Test <test@example.org>",
                   "Section": "misc", "Priority": "optional",
                   "Description": f"package {name} of a test\n It has two lines.\n .\n And a paragraph."}
        control.update({k.replace("_", "-").title(): v for k, v in fields.items()})
        (work / "DEBIAN" / "control").write_text("".join(f"{k}: {v}\n" for k, v in control.items()))
        path = f"pool/{component}/{name[0]}/{name}/{name}_{version}_{arch}.{'udeb' if udeb else 'deb'}"
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        run("dpkg-deb", "--root-owner-group", "-Zgzip", "--build", work, self.root / path)
        return path

    def source(self, name, version="1.0", component="main"):
        """A source package of format 3.0 (native)."""
        work = self.root.parent / "work" / f"{name}-{version}"
        shutil.rmtree(work, ignore_errors=True)
        (work / "debian" / "source").mkdir(parents=True)
        (work / "debian" / "control").write_text(
            f"Source: {name}\nMaintainer: Test <test@example.org>\nSection: misc\nPriority: optional\n"
            f"Standards-Version: 4.6.2\n\nPackage: {name}\nArchitecture: any\nDescription: test\n")
        (work / "debian" / "changelog").write_text(
            f"{name} ({version}) unstable; urgency=low\n\n  * Test.\n\n -- Test <test@example.org>  Mon, 01 Jan 2024 00:00:00 +0000\n")
        (work / "debian" / "source" / "format").write_text("3.0 (native)\n")
        (work / "data").write_text(name * 100)
        pool = self.root / "pool" / component / name[0] / name
        pool.mkdir(parents=True, exist_ok=True)
        run("dpkg-source", "-b", work, cwd=pool)
        return str(pool.relative_to(self.root))

    # ---- indexes

    def _forms(self, path, data, forms):
        path.parent.mkdir(parents=True, exist_ok=True)
        for form in forms:
            packed = {"": lambda d: d, ".gz": lambda d: gzip.compress(d, mtime=0), ".xz": lzma.compress,
                      ".bz2": bz2.compress}[form](data)
            pathlib.Path(f"{path}{form}").write_bytes(packed)

    def release(self, dist, components=("main",), arches=("amd64",), forms=("", ".gz", ".xz"), by_hash=True,
                contents=True, translation=True, sources=False, udebs=False, in_release=True, detached=True, **fields):
        """Writes everything below dists/<dist>/; what was there before goes, but for by-hash."""
        top = self.root / "dists" / dist
        for p in top.rglob("*") if top.is_dir() else ():
            if p.is_file() and "by-hash" not in p.parts:
                p.unlink()
        for component in components:
            pool = self.root / "pool" / component
            for arch in arches:
                text = run("apt-ftparchive", "--arch", arch, "packages", f"pool/{component}", cwd=self.root).stdout \
                    if pool.is_dir() else ""
                text = "".join(s + "\n\n" for s in text.split("\n\n") if s.strip() and ".udeb\n" not in s)
                self._forms(top / component / f"binary-{arch}" / "Packages", text.encode(), forms)
                if udebs:
                    udeb = "\n".join(s for s in self._udebs(pool, arch))
                    self._forms(top / component / "debian-installer" / f"binary-{arch}" / "Packages", udeb.encode(), forms)
                if contents:
                    text = run("apt-ftparchive", "--arch", arch, "contents", f"pool/{component}", cwd=self.root).stdout \
                        if pool.is_dir() else ""
                    self._forms(top / component / f"Contents-{arch}", text.encode(), ["", ".gz"])
            if translation:
                text = "Package: hello\nDescription-md5: 0123456789abcdef0123456789abcdef\nDescription-en: x\n y\n"
                self._forms(top / component / "i18n" / "Translation-en", text.encode(), ["", ".xz"])
            if sources:
                text = run("apt-ftparchive", "sources", f"pool/{component}", cwd=self.root).stdout
                self._forms(top / component / "source" / "Sources", text.encode(), forms)
        self.sign(dist, components, arches, by_hash, in_release, detached, **fields)

    def _udebs(self, pool, arch):
        for p in sorted(pool.rglob(f"*_{arch}.udeb")):
            control = run("dpkg-deb", "-f", p).stdout
            data = p.read_bytes()
            yield (f"{control}Filename: {p.relative_to(self.root)}\nSize: {len(data)}\n"
                   f"MD5sum: {hashlib.md5(data).hexdigest()}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")

    def sign(self, dist, components=("main",), arches=("amd64",), by_hash=True, in_release=True, detached=True, edit=None,
             plain=False, **fields):
        """Release from what is there, by-hash, and signatures. `edit`: changes the text of Release before it is signed. `plain`:
        what is not compressed stays; Debian lists it, and has it not."""
        top = self.root / "dists" / dist
        for name in ("Release", "InRelease", "Release.gpg"):
            (top / name).unlink(missing_ok=True)
        what = {"Origin": "Test", "Label": "Test", "Suite": dist, "Codename": dist, "Components": " ".join(components),
                "Architectures": " ".join(arches), "Acquire-By-Hash": "yes" if by_hash else ""}
        what.update(fields)
        args = [x for k, v in what.items() if v for x in ("-o", f"APT::FTPArchive::Release::{k}={v}")]
        # by-hash is not listed: it is the same files again.
        hold = self.root.parent / "hold"
        held = [(p, hold / str(i)) for i, p in enumerate(sorted(top.rglob("by-hash")))]
        hold.mkdir(exist_ok=True)
        for p, to in held:
            p.rename(to)
        text = run("apt-ftparchive", *args, "release", ".", cwd=top).stdout
        for p, to in held:
            to.rename(p)
        if edit is not None:
            text = edit(text)
        release = top / "Release"
        release.write_text(text)
        if not plain:
            for p in list(top.rglob("*")):
                if p.is_file() and p.suffix == "" and p.parent != top and "by-hash" not in p.parts:
                    p.unlink()
        if by_hash:
            for p in sorted(top.rglob("*")):
                if p.is_file() and p.parent != top and "by-hash" not in p.parts:
                    to = p.parent / "by-hash" / "SHA256" / hashlib.sha256(p.read_bytes()).hexdigest()
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(p, to)
        if self.key is not None and in_release:
            self.key.clearsign(release, top / "InRelease")
        if self.key is not None and detached:
            self.key.detach(release, top / "Release.gpg")
        if not detached:
            release.unlink()

    # ---- serving

    def files(self):
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())

    def serve(self, upstream, prefix):
        """Puts every file below `prefix` of a programmable upstream, and takes away what is gone."""
        for path in self.files():
            upstream.add(prefix + path, (self.root / path).read_bytes())
        return upstream.url(prefix)


class Apt:
    """apt-get with everything below a directory of its own."""

    def __init__(self, directory, key=None, arch="amd64"):
        self.root = pathlib.Path(directory)
        for d in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d",
                  "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg", "var/log/apt"):
            (self.root / d).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").write_text("")
        if key is not None:
            (self.root / "etc/apt/trusted.gpg.d/test.asc").write_text(key.public)
        self.conf = self.root / "apt.conf"
        self.conf.write_text(
            f'Dir "{self.root}";\nDir::State::status "{self.root}/var/lib/dpkg/status";\n'
            f'Dir::Bin::methods "/usr/lib/apt/methods";\nDir::Bin::solvers "";\nDir::Bin::planners "";\n'
            f'APT::Architecture "{arch}";\nAPT::Architectures {{ "{arch}"; }};\nAPT::Sandbox::User "";\n'
            'Acquire::Languages { "en"; };\nAcquire::Retries "0";\nAPT::Get::Assume-Yes "true";\n'
            'Acquire::http::Timeout "120";\nAcquire::http::Proxy "DIRECT";\nAPT::Update::Error-Mode "any";\n'
            'DPkg::Post-Invoke {};\nAPT::Update::Post-Invoke {};\n')

    def sources(self, *lines):
        (self.root / "etc/apt/sources.list").write_text("".join(line + "\n" for line in lines))

    def contents(self):
        """As apt-file configures it."""
        (self.root / "etc/apt/apt.conf.d/50contents").write_text("")
        with open(self.conf, "a") as f:
            f.write('Acquire::IndexTargets::deb::Contents-deb { MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";\n'
                    '  ShortDescription "Contents-$(ARCHITECTURE)"; Description "Contents"; };\n')

    def _env(self):
        env = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "no_proxy")}
        env.update(APT_CONFIG=str(self.conf), LC_ALL="C")
        return env

    def get(self, *args, check=True, tool="apt-get", cwd=None):
        return run(tool, "-c", self.conf, *args, check=check, env=self._env(), cwd=cwd or self.root)

    def start(self, *args):
        """apt-get in the background, in a process group of its own."""
        return subprocess.Popen(["apt-get", "-c", str(self.conf), *args], env=self._env(), cwd=self.root,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True)

    def update(self, check=True, **kw):
        return self.get("update", check=check, **kw)

    def lists(self):
        d = self.root / "var/lib/apt/lists"
        return sorted(p.name for p in d.iterdir() if p.is_file() and p.name != "lock")

    def archives(self):
        return {p.name: p.read_bytes() for p in (self.root / "var/cache/apt/archives").glob("*.deb")}
