"""No space left: clients still get their bytes or an honest error, what is saved is served on, and it heals by itself."""
import os
import subprocess

import pytest

import invariants
from data import KiB, MiB
from rawhttp import Conn
from sluice import CONTENT
from waiting import wait_for


def fetch(s, path):
    with Conn(s.connect(60)) as c:
        r = c.ask("GET", CONTENT + path)
        return r.status, r.body, r.complete


def honest(answer, body):
    """Everything and right, or visibly not everything."""
    status, data, complete = answer
    if status == 200 and complete:
        assert data == body.all()
    else:
        assert status in (200, 500, 502, 503, 507) and data[:1] in (b"", body.read(0, 1)) or status >= 500


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB: its directory, and fill() and free()."""
    where = tmp_path / "disk"
    where.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root mounts file systems")
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(where)], capture_output=True, text=True)
    if r.returncode != 0:
        pytest.skip(f"no tmpfs here: {r.stderr.strip()}")

    class Disk:
        path = where

        @staticmethod
        def fill(leave=0):
            free = os.statvfs(where)
            n = free.f_bavail * free.f_frsize - leave
            with open(where / "ballast", "ab") as f:
                while n > 0:
                    n -= f.write(b"\0" * min(n, MiB))

        @staticmethod
        def free():
            (where / "ballast").unlink()
    yield Disk
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_real_full_disk(start_sluice, upstream, small_disk):
    saved = upstream.add("/r/saved", MiB)
    big = upstream.add("/r/big", 8 * MiB)
    small = upstream.add("/r/small", 10 * KiB)
    s = start_sluice(data=small_disk.path / "data")
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert fetch(s, "r/saved") == (200, saved.all(), True)
    s.quiet()
    small_disk.fill(leave=2 * MiB)
    honest(fetch(s, "r/big"), big)
    s.quiet()
    assert fetch(s, "r/saved") == (200, saved.all(), True), "what is saved must be served on"
    small_disk.fill()
    honest(fetch(s, "r/small"), small)
    assert fetch(s, "r/saved") == (200, saved.all(), True)
    s.wait_log("(?i)no space")
    assert s.proc.poll() is None
    small_disk.free()
    wait_for("the big one, now that there is space", lambda: fetch(s, "r/big") == (200, big.all(), True), 20)
    assert fetch(s, "r/small") == (200, small.all(), True)
    s.quiet()
    assert {big.sha256, small.sha256} <= set(s.artifacts())
    invariants.all_hold(s)


def test_a_sync_on_a_full_disk_fails_and_heals(start_sluice, upstream, small_disk):
    for i in range(12):
        upstream.add(f"/r/{i}", 2 * MiB)
    s = start_sluice(data=small_disk.path / "data")
    repo = s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate", sync=False)
    small_disk.fill(leave=12 * MiB)
    t = s.api.sync(repo, states=("failed",))
    assert "space" in str(t["error"]).lower()
    assert s.api.version(repo) == 0
    assert s.staged() == []
    for i in range(6, 12):
        upstream.remove(f"/r/{i}")
    small_disk.free()
    s.api.sync(repo)
    for i in range(6):
        assert fetch(s, f"r/{i}") == (200, upstream.body(f"/r/{i}").all(), True)
    invariants.all_hold(s)


# ---- the same by fault points, which strike where a small file system does not

@pytest.fixture
def faulty(start_sluice, tmp_path):
    """A server whose faults can be switched: faulty("name@*=ENOSPC"), faulty("")."""
    file = tmp_path / "faults"
    file.write_text("")
    s = start_sluice(env={"SLUICE_FAULT_FILE": str(file)})

    def switch(text):
        new = tmp_path / "faults.new"
        new.write_text(text)
        new.rename(file)
    s.fault = switch
    return s


POINTS = ["staging.new", "staging.write", "store.commit.sync", "store.commit.link", "store.commit.dirsync", "lazy.commit"]


@pytest.mark.faults
@pytest.mark.parametrize("errno", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("size", [10 * KiB, 4 * MiB], ids=["small", "large"])
def test_fault_in_saving(faulty, upstream, point, errno, size):
    body = upstream.add("/r/a", size)
    other = upstream.add("/r/saved", 100 * KiB)
    faulty.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert fetch(faulty, "r/saved")[2]
    faulty.quiet()
    faulty.fault(f"{point}@*={errno}")
    honest(fetch(faulty, "r/a"), body)
    faulty.quiet()
    assert fetch(faulty, "r/saved") == (200, other.all(), True)
    assert faulty.get("r/").status_code == 200
    faulty.fault("")
    wait_for("it to heal", lambda: fetch(faulty, "r/a") == (200, body.all(), True), 20)
    faulty.quiet()
    assert body.sha256 in faulty.artifacts()
    invariants.all_hold(faulty)


@pytest.mark.faults
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_fault_in_the_middle_of_a_body(faulty, upstream, n):
    """The n-th write fails, once: the clients are served all the same, or told."""
    body = upstream.add("/r/a", 4 * MiB)
    faulty.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    faulty.fault(f"staging.write@{n}=ENOSPC")
    honest(fetch(faulty, "r/a"), body)
    faulty.quiet()
    assert fetch(faulty, "r/a") == (200, body.all(), True)
    faulty.quiet()
    invariants.all_hold(faulty)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["staging.new", "staging.write", "store.commit.sync", "store.commit.link"])
def test_fault_in_an_immediate_sync(faulty, upstream, point):
    for i in range(5):
        upstream.add(f"/r/{i}", 1000)
    repo = faulty.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate", sync=False)
    faulty.fault(f"{point}@*=ENOSPC")
    t = faulty.api.sync(repo, states=("failed",))
    assert t["error"]["description"]
    assert faulty.api.version(repo) == 0
    faulty.fault("")
    faulty.api.sync(repo)
    assert faulty.api.version(repo) == 1
    invariants.all_hold(faulty)
