"""Debian's own packages and the stanzas of its own index, as the machine's apt has them: what nobody thinks of when he makes up packages."""
import hashlib
import pathlib
import subprocess

import pytest

import debarchive
from debarchive import Apt, Archive
from test_deb import DEB, Deb, line

pytestmark = pytest.mark.skipif(bool(debarchive.missing()), reason=f"not there: {debarchive.missing()}")
COUNT = 40
LARGEST = 60_000  # bytes: the whole has to come quickly
HELPER = pathlib.Path("/usr/lib/apt/apt-helper")
PACKAGES = "content/deb/packages/"


def fields(stanza):
    return dict(f.split(":", 1) for f in stanza.replace("\n ", "\0 ").replace("\n\t", "\0\t").split("\n") if f)


def machine_index():
    """The stanzas of the largest index that the machine's apt has."""
    lists = sorted(pathlib.Path("/var/lib/apt/lists").glob("*_binary-amd64_Packages*"), key=lambda p: p.stat().st_size)
    if not lists or not HELPER.exists():
        pytest.skip("apt has no package lists here")
    return debarchive.run(HELPER, "cat-file", lists[-1]).stdout.split("\n\n")


def chosen(stanzas):
    """Small ones from all over the archive, half of them with names that have to be encoded in URLs."""
    small = [(s, fields(s)) for s in stanzas if s.strip()]
    small = [(s, f) for s, f in small if int(f["Size"]) < LARGEST]
    odd = [x for x in small if any(c in x[1]["Filename"] for c in "+~")]
    return [group[i * len(group) // (COUNT // 2)] for group in (odd, small) for i in range(COUNT // 2)]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """An upstream of them: (archive, {sha256: stanza})."""
    archive = Archive(tmp_path_factory.mktemp("real") / "up")
    got = tmp_path_factory.mktemp("got")
    picked = {f["SHA256"].strip(): (s, f) for s, f in chosen(machine_index())}
    names = sorted({f"{f['Package'].strip()}={f['Version'].strip()}" for _, f in picked.values()})
    r = subprocess.run(["apt-get", "download", *names], cwd=got, capture_output=True, text=True, timeout=300)
    if r.returncode != 0:
        pytest.skip(f"apt-get download has no network, or another index: {r.stderr[-300:]}")
    stanzas = {}
    for path in got.glob("*.deb"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        stanza, f = picked[digest]
        to = archive.root / f["Filename"].strip()
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(path.read_bytes())
        stanzas[digest] = stanza
    assert len(stanzas) == len(picked) >= COUNT // 2
    archive._forms(archive.root / "dists/stable/main/binary-amd64/Packages",
                   "".join(s.strip("\n") + "\n\n" for s in stanzas.values()).encode(), ["", ".xz"])
    archive.sign("stable")
    (archive.root / "dists/stable/InRelease").write_bytes((archive.root / "dists/stable/Release").read_bytes())
    return archive, stanzas


def test_debians_packages_are_what_they_are(sluice, upstream, real, tmp_path):
    """Synced, published anew without losing a word, fetched by apt-get lazily, and the same units when they are uploaded."""
    archive, stanzas = real
    d = Deb(sluice.api, "real", archive.serve(upstream, "/debian/"), mirror=False)
    d.sync()
    sluice.api.do("POST", "publications/deb/apt/", repository=d.repo["pulp_href"])
    d.distribute()
    paths = {u["relative_path"]: u for u in d.units()}
    units = {digest: paths[fields(s)["Filename"].strip()] for digest, s in stanzas.items()}
    assert len(paths) == len(stanzas)

    text = sluice.get("real/dists/stable/main/binary-amd64/Packages").text
    ours = {f["SHA256"].strip(): f for f in map(fields, text.split("\n\n")) if f}
    assert ours == {digest: fields(s) for digest, s in stanzas.items()}

    apt = Apt(tmp_path / "apt")
    apt.sources(line(sluice, "real", options="[trusted=yes]"))
    apt.update()
    out = tmp_path / "out"
    out.mkdir()
    apt.get("download", *[f"{u['package']}={u['version']}" for u in units.values()], cwd=out)
    assert {hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()} == set(stanzas)

    repo = sluice.api.do("POST", "repositories/" + DEB, name="own")
    of_indexes = {"description", "description_md5", "tag", "custom_fields", "section", "priority"}
    for digest in sorted(stanzas)[::5]:
        was = units[digest]
        with open(archive.root / was["relative_path"], "rb") as f:
            task = sluice.api.wait(sluice.api.post(PACKAGES, files={"file": f}, data={
                "repository": repo["pulp_href"], "component": "main"}).json())
        is_ = sluice.api.show(task["created_resources"][-1])
        assert is_["relative_path"] == was["relative_path"]
        differ = {k for k in was if k in is_ and was[k] != is_[k] and not k.startswith(("pulp_", "prn", "last_used"))}
        assert differ <= of_indexes | {"artifact", "artifacts", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"}, (was, is_)
        assert is_["description"].startswith(was["description"])
