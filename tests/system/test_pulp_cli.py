"""pulp-cli, as administrators of Pulp have it, against this server: unmodified, from its public package, in a virtual
environment of its own."""
import hashlib
import json
import os
import pathlib
import select
import subprocess
import sys

import pytest

from data import KiB
from sluice import PASSWORD, ROOT, SLOW

pytestmark = [pytest.mark.timeout(600), pytest.mark.once, pytest.mark.together]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has pulp-cli. $SLUICE_TEST_PULP_CLI names a `pulp` program that is there already."""
    have = os.environ.get("SLUICE_TEST_PULP_CLI")
    if have:
        return pathlib.Path(have).parent / "python3"
    venv = tmp_path_factory.mktemp("pulp-cli") / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True, timeout=120)
        subprocess.run([venv / "bin" / "pip", "install", "-q", "--retries", "1", "--timeout", "10", "pulp-cli"], check=True,
                       capture_output=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
        pytest.skip(f"pulp-cli cannot be had: {e}")
    return venv / "bin" / "python3"


class PulpCli:
    """pulp("file", "remote", "list") → what it printed, from JSON; with fails=True the text of its refusal."""

    def __init__(self, python, home, base):
        env = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
        self.options = ["--base-url", base, "--username", "admin", "--password", PASSWORD]
        self.log = open(home / "errors", "w+")
        self.process = subprocess.Popen([python, ROOT / "tests" / "lib" / "pulp_cli_runner.py"], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.commands = 0

    def __call__(self, *args, fails=False):
        self.process.stdin.write(json.dumps([*self.options, *map(str, args)]) + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], 120 * SLOW)[0], f"pulp {args} does not end"
        line = self.process.stdout.readline()
        assert line, f"pulp {args} ended pulp-cli itself: {open(self.log.name).read()}"
        r = json.loads(line)
        assert (r["code"] != 0) == fails, f"pulp {args}: {r['code']}\n{r['out']}\n{r['err']}"
        self.commands += 1
        if fails:
            return r["out"] + r["err"]
        try:
            return json.loads(r["out"])
        except ValueError:
            return r["out"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()


@pytest.fixture
def pulp(python, shared, tmp_path_factory):
    cli = PulpCli(python, tmp_path_factory.mktemp("home"), shared.base)
    yield cli
    cli.close()


def test_the_life_of_a_repository(pulp, shared, shared_upstream):
    shared_upstream.add("/cli/a.bin", b"a" * KiB)
    shared_upstream.add("/cli/d/b.bin", b"b" * KiB)
    assert {v["component"] for v in pulp("status")["versions"]} >= {"core", "file"}

    url = shared_upstream.manifest("/cli/PULP_MANIFEST")
    remote = pulp("file", "remote", "create", "--name", "cli", "--url", url, "--policy", "on_demand")
    assert pulp("file", "remote", "show", "--name", "cli") == remote and remote["policy"] == "on_demand"
    pulp("file", "remote", "update", "--name", "cli", "--max-retries", "2")
    assert pulp("file", "remote", "show", "--name", "cli")["max_retries"] == 2
    assert [r["name"] for r in pulp("file", "remote", "list", "--name-contains", "cli")] == ["cli"]

    pulp("file", "repository", "create", "--name", "cli", "--remote", "cli", "--description", "of pulp-cli")
    pulp("file", "repository", "update", "--name", "cli", "--retain-repo-versions", "3")
    pulp("file", "repository", "label", "set", "--repository", "cli", "--key", "team", "--value", "blue")
    assert pulp("file", "repository", "show", "--name", "cli")["pulp_labels"] == {"team": "blue"}
    assert [r["name"] for r in pulp("file", "repository", "list", "--label-select", "team=blue")] == ["cli"]
    pulp("file", "repository", "sync", "--name", "cli")
    version = pulp("file", "repository", "version", "show", "--repository", "cli")
    assert version["number"] == 1 and version["content_summary"]["present"]["file.file"]["count"] == 2
    assert [v["number"] for v in pulp("file", "repository", "version", "list", "--repository", "cli")] == [1, 0]
    assert sorted(c["relative_path"] for c in pulp("file", "content", "list")) == ["a.bin", "d/b.bin"]
    assert sorted(c["relative_path"] for c in pulp("file", "repository", "content", "list", "--repository", "cli")) == ["a.bin", "d/b.bin"]

    publication = pulp("file", "publication", "create", "--repository", "cli")
    assert pulp("file", "publication", "show", "--href", publication["pulp_href"])["manifest"] == "PULP_MANIFEST"
    pulp("file", "distribution", "create", "--name", "cli", "--base-path", "cli", "--publication", publication["pulp_href"])
    assert shared.get("cli/a.bin").content == b"a" * KiB
    pulp("file", "distribution", "update", "--name", "cli", "--repository", "cli", "--publication", "")
    assert pulp("file", "distribution", "show", "--name", "cli")["publication"] is None

    tasks = pulp("task", "list", "--name-contains", "synchronize")
    assert pulp("task", "show", "--href", tasks[0]["pulp_href"])["state"] == "completed"
    assert pulp("task", "summary")["failed"] == 0
    assert pulp("worker", "list")
    pulp("task", "purge", "--finished-before", "2001-01-01")
    assert [t["state"] for t in pulp("task", "list", "--name-contains", "purge")] == ["completed"]
    assert pulp("signing-service", "list") == []

    assert "nothing" in pulp("file", "repository", "show", "--name", "nothing", fails=True)
    pulp("file", "distribution", "destroy", "--name", "cli")
    pulp("file", "publication", "destroy", "--href", publication["pulp_href"])
    pulp("file", "repository", "destroy", "--name", "cli")
    pulp("file", "remote", "destroy", "--name", "cli")
    pulp("orphan", "cleanup", "--protection-time", "0")
    assert pulp("file", "content", "list") == [] and pulp("file", "repository", "list") == []


def test_files_are_brought(pulp, shared, tmp_path):
    """Artifacts and units, whole and in chunks, and what repositories do with them."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"small" * 100)
    large.write_bytes(bytes(range(256)) * 40)
    sha256 = hashlib.sha256(small.read_bytes()).hexdigest()

    made = pulp("artifact", "upload", "--file", small)
    assert made["sha256"] == sha256 and pulp("artifact", "show", "--sha256", sha256) == made
    assert pulp("artifact", "upload", "--file", small) == made  # it looks first
    chunked = pulp("artifact", "upload", "--file", large, "--chunk-size", "3KB")
    assert chunked["size"] == 10240 and pulp("upload", "list") == []
    assert {a["sha256"] for a in pulp("artifact", "list")} >= {sha256, chunked["sha256"]}

    pulp("file", "repository", "create", "--name", "up")
    unit = pulp("file", "content", "upload", "--relative-path", "small", "--file", small)
    assert pulp("file", "content", "show", "--href", unit["pulp_href"])["artifact"] == made["pulp_href"]
    pulp("file", "content", "upload", "--relative-path", "d/large", "--file", large, "--chunk-size", "4KB", "--repository", "up")
    pulp("file", "content", "create", "--relative-path", "again", "--sha256", sha256, "--repository", "up")
    pulp("file", "repository", "content", "add", "--repository", "up", "--sha256", sha256, "--relative-path", "small")
    listed = pulp("file", "repository", "content", "list", "--repository", "up")
    assert sorted(c["relative_path"] for c in listed) == ["again", "d/large", "small"]
    pulp("file", "repository", "content", "remove", "--repository", "up", "--sha256", sha256, "--relative-path", "again")
    change = json.dumps([{"sha256": sha256, "relative_path": "again"}])
    pulp("file", "repository", "content", "modify", "--repository", "up", "--add-content", change, "--remove-content", "[]")
    assert pulp("file", "repository", "version", "show", "--repository", "up")["number"] == 5
    pulp("file", "repository", "content", "modify", "--repository", "up", "--remove-content", change, "--base-version", "4")
    pulp("file", "content", "label", "set", "--href", unit["pulp_href"], "--key", "k", "--value", "v")
    assert pulp("file", "content", "label", "show", "--href", unit["pulp_href"], "--key", "k")
    pulp("file", "content", "label", "unset", "--href", unit["pulp_href"], "--key", "k")

    pulp("file", "publication", "create", "--repository", "up", "--manifest", "LIST")
    pulp("file", "distribution", "create", "--name", "up", "--base-path", "up", "--repository", "up")
    assert shared.get("up/d/large").content == large.read_bytes()
    pulp("file", "repository", "version", "destroy", "--repository", "up", "--version", "1")
    assert "cannot be deleted" in pulp("file", "repository", "version", "destroy", "--repository", "up", "--version",
                                       pulp("file", "repository", "version", "show", "--repository", "up")["number"], fails=True)
    pulp("file", "distribution", "destroy", "--name", "up")
    pulp("file", "repository", "destroy", "--name", "up")
    pulp("orphan", "cleanup", "--protection-time", "0")
    assert pulp("artifact", "list") == []


def test_people_and_what_they_may_do(pulp, shared):
    assert "admin" in {u["username"] for u in pulp("user", "list")}
    assert {"sluice.admin", "sluice.viewer"} <= {r["name"] for r in pulp("role", "list")}
    pulp("group", "create", "--name", "ops")
    pulp("user", "create", "--username", "eve", "--password", "long-enough-for-eve")
    pulp("group", "user", "add", "--group", "ops", "--username", "eve")
    assert [u["username"] for u in pulp("group", "user", "list", "--group", "ops")] == ["eve"]

    def status(method):
        return shared.api.request(method, "repositories/file/file/", auth=("eve", "long-enough-for-eve"), check=False,
                                  **({"json": {"name": "eves"}} if method == "POST" else {})).status_code
    assert (status("GET"), status("POST")) == (403, 403)
    pulp("user", "role-assignment", "add", "--username", "eve", "--role", "sluice.viewer", "--object", "")
    assert (status("GET"), status("POST")) == (200, 403)
    assert [r["role"] for r in pulp("user", "role-assignment", "list", "--username", "eve")] == ["sluice.viewer"]
    pulp("user", "role-assignment", "remove", "--username", "eve", "--role", "sluice.viewer", "--object", "")
    assert status("GET") == 403
    pulp("group", "user", "remove", "--group", "ops", "--username", "eve")
    pulp("user", "destroy", "--username", "eve")
    pulp("group", "destroy", "--name", "ops")
