"""The published Python bindings (pulpcore-client, pulp-file-client), unmodified, against this server: each resource made, read, listed, changed and
deleted. What they check for us is every answer's shape: a field that is missing or of another type is an exception there."""
import json
import os
import subprocess
import sys

import pytest

from data import KiB
from sluice import PASSWORD, ROOT, SLOW

pytestmark = [pytest.mark.timeout(600), pytest.mark.once, pytest.mark.together]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has them. $SLUICE_TEST_BINDINGS names one."""
    have = os.environ.get("SLUICE_TEST_BINDINGS")
    if have:
        return have
    venv = tmp_path_factory.mktemp("bindings") / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True, timeout=120)
        subprocess.run([venv / "bin" / "pip", "install", "-q", "--retries", "1", "--timeout", "10", "pulpcore-client", "pulp-file-client"],
                       check=True, capture_output=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
        pytest.skip(f"the bindings cannot be had: {e}")
    return venv / "bin" / "python3"


def test_the_published_bindings(python, sluice, upstream, tmp_path):
    upstream.add("/b/a.bin", b"a" * KiB)
    upstream.add("/b/d/b.bin", b"b" * KiB)
    r = subprocess.run([python, ROOT / "tests" / "lib" / "bindings_runner.py", sluice.base, PASSWORD, upstream.manifest("/b/PULP_MANIFEST"),
                        str(tmp_path)], capture_output=True, text=True, timeout=550 * SLOW)
    assert r.returncode == 0, r.stdout + r.stderr
    done = json.loads(r.stdout.splitlines()[-1])
    assert done["calls"] >= 60
