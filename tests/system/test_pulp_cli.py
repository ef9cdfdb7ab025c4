"""pulp-cli, as administrators of Pulp have it, against this server: unmodified, from its public package, in a virtual
environment of its own."""
import json
import os
import subprocess
import sys

import pytest

from data import KiB
from sluice import PASSWORD, SLOW

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `pulp` program. $SLUICE_TEST_PULP_CLI names one that is there already."""
    have = os.environ.get("SLUICE_TEST_PULP_CLI")
    if have:
        return have
    venv = tmp_path_factory.mktemp("pulp-cli") / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True, timeout=120)
        subprocess.run([venv / "bin" / "pip", "install", "-q", "--retries", "1", "--timeout", "10", "pulp-cli"], check=True,
                       capture_output=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
        pytest.skip(f"pulp-cli cannot be had: {e}")
    return str(venv / "bin" / "pulp")


@pytest.fixture
def pulp(installed, shared, tmp_path_factory):
    """pulp("file", "remote", "list") → what it printed, from JSON; says what it was refused with fails=True."""
    home = tmp_path_factory.mktemp("home")
    env = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}

    def run(*args, fails=False):
        r = subprocess.run([installed, "--base-url", shared.base, "--username", "admin", "--password", PASSWORD, *args],
                           env=env, capture_output=True, text=True, timeout=60 * SLOW)
        assert (r.returncode != 0) == fails, f"pulp {' '.join(args)}: {r.returncode}\n{r.stdout}\n{r.stderr}"
        if fails:
            return r.stdout + r.stderr
        return json.loads(r.stdout) if r.stdout.strip() else None
    return run


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

    assert "nothing" in pulp("file", "repository", "show", "--name", "nothing", fails=True)
    pulp("file", "distribution", "destroy", "--name", "cli")
    pulp("file", "publication", "destroy", "--href", publication["pulp_href"])
    pulp("file", "repository", "destroy", "--name", "cli")
    pulp("file", "remote", "destroy", "--name", "cli")
    pulp("orphan", "cleanup", "--protection-time", "0")
    assert pulp("file", "content", "list") == [] and pulp("file", "repository", "list") == []
