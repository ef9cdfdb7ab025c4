"""Publications of our own, signed: the service is a program of the administrator's, and only what it signs well is believed."""
import pathlib
import shutil
import tempfile

import pytest

import debarchive
import rpms
from debarchive import Apt, Archive, Key
from test_deb import Deb, line

pytestmark = pytest.mark.skipif(bool(debarchive.missing()), reason=f"not there: {debarchive.missing()}")


@pytest.fixture(scope="module")
def keys():
    d = pathlib.Path(tempfile.mkdtemp(prefix="k"))
    both = [Key(d / "a"), Key(d / "b")]
    yield both
    for k in both:
        k.close()
    shutil.rmtree(d, ignore_errors=True)


def program(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def signer(path, key, clear="InRelease", detached="Release.gpg", answer=None, before=""):
    """As such programs are written for Pulp."""
    gpg = f"gpg --homedir {key.home} --batch --yes --passphrase '' --pinentry-mode loopback --no-auto-check-trustdb"
    answer = answer or '{\\"signatures\\": {\\"inline\\": \\"$d/%s\\", \\"detached\\": \\"$d/%s\\"}}' % (clear, detached)
    return program(path, f"""set -e
echo a-secret-passphrase >&2
test -z "$SLUICE_ADMIN_PASSWORD"
d=$(dirname "$1")
{before}
{gpg} --local-user "$PULP_SIGNING_KEY_FINGERPRINT" --clearsign -o "$d/{clear}" "$1"
{gpg} --local-user "$PULP_SIGNING_KEY_FINGERPRINT" --armor --detach-sign -o "$d/{detached}" "$1"
echo "{answer}"
""")


def add(sluice, name, script, key, directory, **kw):
    (directory / f"{name}.asc").write_text(key.public)
    return sluice.cli("signing-service", "add", name, str(script), str(directory / f"{name}.asc"), **kw)


def services(sluice):
    return {s["name"]: s for s in sluice.api.list("signing-services/")}


def test_a_publication_is_signed_and_apt_believes_it(sluice, upstream, keys, tmp_path):
    """The repository's service, one for a single distribution, and the publication's own, each by its key alone."""
    good, other = keys
    for name, key in (("good", good), ("other", other)):
        r = add(sluice, name, signer(tmp_path / f"{name}.sh", key), key, tmp_path)
        assert "signs with" in r.stdout and "clear-signed files and detached signatures" in r.stdout
    there = services(sluice)
    assert there["good"]["public_key"] == good.public and there["good"]["script"] == str(tmp_path / "good.sh")
    fingerprint = there["good"]["pubkey_fingerprint"]
    assert f"fpr:::::::::{fingerprint}:" in debarchive.run(*good._gpg(), "--with-colons", "--fingerprint").stdout
    assert sluice.cli("signing-service", "check", "good").returncode == 0
    assert sluice.cli("signing-service", "list").stdout.split() == [
        x for n in ("good", "other") for x in (n, there[n]["pubkey_fingerprint"], there[n]["script"])]

    archive = Archive(tmp_path / "up", good)
    archive.package("hello")
    archive.release("stable", contents=False, translation=False)
    archive.release("testing", contents=False, translation=False)
    d = Deb(sluice.api, "deb", archive.serve(upstream, "/debian/"), mirror=False, distributions="stable testing")
    sluice.api.do("PATCH", d.repo["pulp_href"], autopublish=True, signing_service=there["good"]["pulp_href"],
                  signing_service_release_overrides={"testing": there["other"]["pulp_href"]})
    assert sluice.api.show(d.repo["pulp_href"])["signing_service"] == there["good"]["pulp_href"]
    d.sync()
    d.distribute()

    def installs(name, key, dist):
        """With signed-by: this key and no other."""
        apt = Apt(tmp_path / f"apt-{name}")
        (apt.root / "key.asc").write_text(key.public)
        apt.sources(line(sluice, dist=dist, options=f"[signed-by={apt.root}/key.asc]"))
        if apt.update(check=False).returncode != 0:
            return False
        apt.get("install", "--download-only", "hello")
        return len(apt.archives()) == 1

    assert installs("1", good, "stable") and installs("2", other, "testing")
    assert not installs("3", other, "stable")
    release = sluice.get("deb/dists/stable/Release").content
    (tmp_path / "Release").write_bytes(release)
    (tmp_path / "Release.gpg").write_bytes(sluice.get("deb/dists/stable/Release.gpg").content)
    debarchive.run(*good._gpg(), "--verify", tmp_path / "Release.gpg", tmp_path / "Release")

    task = sluice.api.do("POST", "publications/deb/apt/", repository=d.repo["pulp_href"],
                         signing_service=there["other"]["pulp_href"])
    assert sluice.api.show(task["created_resources"][0])["signing_service"] == there["other"]["pulp_href"]
    assert task["result"] is None or task["result"]["signing_service"] == there["other"]["pulp_href"]
    assert installs("4", other, "stable")
    assert "a-secret-passphrase" not in sluice.log()


def test_what_is_not_signed_well_is_not_published(sluice, upstream, keys, tmp_path):
    """Neither added nor used: programs that fail, hang, answer nonsense, or sign with another key or something else."""
    good, other = keys
    bad = {
        "fails": (program(tmp_path / "1", "exit 7"), "ended with status 7"),
        "nonsense": (program(tmp_path / "2", "echo signed"), "has not printed JSON"),
        "nothing": (program(tmp_path / "3", 'echo \'{"signatures": {"inline": "x", "detached": "y"}}\''), "No such file"),
        "another": (signer(tmp_path / "4", good, answer="{\\\"signature\\\": \\\"Release\\\"}"), "is not armoured"),
        "changed": (signer(tmp_path / "5", good, before='echo "X: y" >>"$1"'), "says something else"),
    }
    for name, (script, reason) in bad.items():
        r = add(sluice, name, script, good, tmp_path, check=False)
        assert r.returncode != 0 and reason in r.stderr, (name, r.stderr)
    r = add(sluice, "key", signer(tmp_path / "6", other), good, tmp_path, check=False)
    assert r.returncode != 0, r.stderr
    assert services(sluice) == {}

    script = signer(tmp_path / "sign", good)
    add(sluice, "svc", script, good, tmp_path)
    r = add(sluice, "svc", script, good, tmp_path, check=False)
    assert "there is a signing service 'svc' already" in r.stderr
    archive = Archive(tmp_path / "up", good)
    archive.package("hello")
    archive.release("stable", contents=False, translation=False)
    d = Deb(sluice.api, "deb", archive.serve(upstream, "/debian/"), mirror=False)
    d.sync()
    sluice.api.do("PATCH", d.repo["pulp_href"], signing_service=services(sluice)["svc"]["pulp_href"])
    d.distribute()
    sluice.api.do("POST", "publications/deb/apt/", repository=d.repo["pulp_href"])
    served = sluice.get("deb/dists/stable/InRelease").content

    def refused(reason):
        task = sluice.api.wait(sluice.api.post("publications/deb/apt/", json={"repository": d.repo["pulp_href"]}).json(),
                               states=("failed",))
        assert reason in task["error"]["description"], task["error"]
        assert sluice.get("deb/dists/stable/InRelease").content == served

    gpg = script.read_text()
    program(script, "echo a-secret-passphrase >&2; exit 2")
    refused("signing service 'svc': '" + str(script) + "' ended with status 2")
    script.write_text(gpg.replace("--clearsign", "--clearsign --faked-system-time 20010101T000000"))
    refused("signing service 'svc'")
    sluice.cli("signing-service", "remove", "svc")
    assert services(sluice) == {}
    refused("there is no signing service")
    assert "there is no signing service 'svc'" in sluice.cli("signing-service", "remove", "svc", check=False).stderr
    assert "a-secret-passphrase" not in sluice.log()


@rpms.needs_tools
def test_repomd_is_signed_and_dnf_believes_it(sluice, upstream, keys, tmp_path):
    """The same service, for rpm: with repo_gpgcheck, by its key alone."""
    good, other = keys
    add(sluice, "rpm", signer(tmp_path / "sign", good, clear="x", detached="repomd.xml.asc"), good, tmp_path)
    repo = rpms.Rpms(tmp_path / "up")
    repo.build("lion", "1.0", into="Packages")
    repo.createrepo()
    repo.put(upstream, "/r/")
    remote = sluice.api.do("POST", "remotes/rpm/rpm/", name="r", url=upstream.url("/r/"), policy="on_demand")
    r = sluice.api.do("POST", "repositories/rpm/rpm/", name="r", remote=remote["pulp_href"], autopublish=True,
                      metadata_signing_service=services(sluice)["rpm"]["pulp_href"])
    sluice.api.do("POST", "distributions/rpm/rpm/", name="r", base_path="r", repository=r["pulp_href"])
    sluice.api.sync(r, sync_policy="additive")
    base = sluice.base + "/pulp/content/r/"
    assert sluice.get("r/repodata/repomd.xml.key").text == good.public
    dnf = rpms.Dnf(tmp_path / "dnf", {"r": base}, repo_gpgcheck=1, gpgkey=base + "repodata/repomd.xml.key")
    assert dnf.available() == ["lion-1.0-1.noarch"]
    (tmp_path / "other.asc").write_text(other.public)
    dnf = rpms.Dnf(tmp_path / "dnf2", {"r": base}, repo_gpgcheck=1, gpgkey=f"file://{tmp_path}/other.asc")
    assert dnf.run("makecache", check=False).returncode != 0
