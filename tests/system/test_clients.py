"""Real clients, and a real server upstream."""
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from data import KiB, MiB
from sluice import SLOW
from waiting import wait_for

SIZE = 8 * MiB


def sha(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@pytest.fixture
def lazy(sluice, upstream):
    upstream.add("/r/a.bin", SIZE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    return sluice


def curl(*args, check=True):
    r = subprocess.run(["curl", "-sS", "--max-time", "60", *map(str, args)], capture_output=True, text=True)
    if check:
        assert r.returncode == 0, r.stderr
    return r


def test_curl_fetches_missing_and_saved(lazy, upstream, tmp_path):
    for n in ("first", "second"):
        curl("-fo", tmp_path / n, lazy.url("r/a.bin"))
        assert sha(tmp_path / n) == upstream.sha256("/r/a.bin")
        lazy.quiet()
    assert upstream.hits("/r/a.bin") == 1


def test_curl_of_what_is_not_there(lazy):
    assert curl("-f", lazy.url("r/none"), check=False).returncode == 22


def test_curl_sees_that_a_wrong_body_is_not_complete(lazy, upstream, tmp_path):
    upstream.rule("/r/a.bin", corrupt_at=SIZE - 1)
    r = curl("-fo", tmp_path / "x", lazy.url("r/a.bin"), check=False)
    assert r.returncode in (18, 56, 22), r


def test_curl_continues(lazy, upstream, tmp_path):
    """curl -C - after a cut, on the streamed and on the saved artifact."""
    gate = upstream.gate()
    upstream.rule("/r/a.bin", gate_at=(5 * MiB, gate), times=1)
    out = tmp_path / "x"
    p = subprocess.Popen(["curl", "-sSo", str(out), lazy.url("r/a.bin")], stderr=subprocess.DEVNULL)
    wait_for("curl to have some of it", lambda: out.exists() and out.stat().st_size > 3 * MiB, 10 * SLOW)
    p.kill()
    p.wait()
    part = out.stat().st_size
    gate.open()
    curl("-fC", "-", "-o", out, lazy.url("r/a.bin"))
    assert sha(out) == upstream.sha256("/r/a.bin") and 3 * MiB < part < SIZE
    lazy.quiet()
    with open(out, "r+b") as f:
        f.truncate(1 * MiB)
    curl("-fC", "-", "-o", out, lazy.url("r/a.bin"))
    assert sha(out) == upstream.sha256("/r/a.bin")
    assert upstream.hits("/r/a.bin") == 1


def test_wget_continues(lazy, upstream, tmp_path):
    gate = upstream.gate()
    upstream.rule("/r/a.bin", gate_at=(5 * MiB, gate), times=1)
    out = tmp_path / "a.bin"
    p = subprocess.Popen(["wget", "-q", lazy.url("r/a.bin")], cwd=tmp_path)
    wait_for("wget to have some of it", lambda: out.exists() and out.stat().st_size > 3 * MiB, 10 * SLOW)
    p.kill()
    p.wait()
    gate.open()
    r = subprocess.run(["wget", "-c", "-nv", "--tries=2", "--timeout=30", lazy.url("r/a.bin")], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert sha(out) == upstream.sha256("/r/a.bin")
    again = subprocess.run(["wget", "-c", "-nv", lazy.url("r/a.bin")], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0 and sha(out) == upstream.sha256("/r/a.bin")


def test_wget_timestamping(lazy, upstream, tmp_path):
    """-N: the second time nothing is transferred."""
    for _ in range(2):
        r = subprocess.run(["wget", "-N", "-nv", lazy.url("r/a.bin")], cwd=tmp_path, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        lazy.quiet()
    assert "304" in r.stderr or "not retrieving" in r.stderr or r.stderr.strip() == "", r.stderr


def test_wget_mirrors_by_the_listings(sluice, upstream, tmp_path):
    for p in ("a.txt", "d/b.txt", "d/e/c d.txt", "d/e/f&g.txt"):
        upstream.add("/r/" + p, 1000)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    r = subprocess.run(["wget", "-q", "-r", "-np", "-nH", "--cut-dirs=3", "-R", "index.html*", sluice.url("r/")], cwd=tmp_path,
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    for p in ("a.txt", "d/b.txt", "d/e/c d.txt", "d/e/f&g.txt"):
        assert sha(tmp_path / p) == upstream.sha256("/r/" + p), p


def test_forty_curls_at_once(lazy, upstream, tmp_path):
    upstream.rule("/r/a.bin", rate=8 * MiB)
    ps = [subprocess.Popen(["curl", "-sSf", "-o", str(tmp_path / str(i)), lazy.url("r/a.bin")]) for i in range(40)]
    assert [p.wait(60 * SLOW) for p in ps] == [0] * 40
    assert {sha(tmp_path / str(i)) for i in range(40)} == {upstream.sha256("/r/a.bin")}
    assert upstream.hits("/r/a.bin") == 1


def test_curl_ranges(lazy, upstream, tmp_path):
    for spec, first, last in (("100-199", 100, 199), ("-10", SIZE - 10, SIZE - 1)):
        curl("-fr", spec, "-o", tmp_path / "x", lazy.url("r/a.bin"))
        assert (tmp_path / "x").read_bytes() == upstream.body("/r/a.bin").slice(first, last)


def test_curl_head_and_conditions(lazy):
    r = curl("-fI", lazy.url("r/a.bin"))
    assert f"Content-Length: {SIZE}" in r.stdout and "ETag:" in r.stdout
    curl("-f", "-o", "/dev/null", lazy.url("r/a.bin"))
    lazy.quiet()
    code = curl("-o", "/dev/null", "-w", "%{http_code}", "-z", "now + 1 day", lazy.url("r/a.bin")).stdout
    assert code in ("304", "200")


# ---- a real nginx upstream

@pytest.fixture
def nginx(tmp_path):
    """Serves tmp_path/tree on a free port, restartable: (directory, url, stop, start)."""
    if not shutil.which("nginx"):
        pytest.fail("no nginx: script/bootstrap --test")
    tree = tmp_path / "tree"
    tree.mkdir()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    run = tmp_path / "nginx"
    run.mkdir()
    temps = "".join(f"{n}_temp_path {run}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (run / "nginx.conf").write_text(f"""
        {'user root;' if os.getuid() == 0 else ''}
        daemon off; worker_processes 1; pid {run}/pid; error_log {run}/error.log;
        events {{ worker_connections 256; }}
        http {{ access_log {run}/access.log; {temps} sendfile on;
                server {{ listen 127.0.0.1:{port}; root {tree}; }} }}""")
    procs = []

    def start():
        procs.append(subprocess.Popen(["nginx", "-p", str(run), "-c", str(run / "nginx.conf")], stderr=subprocess.DEVNULL))

        def up():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        wait_for("nginx to listen", up)

    def stop():
        p = procs.pop()
        p.send_signal(signal.SIGQUIT)
        p.wait(10)
    start()
    yield tree, f"http://127.0.0.1:{port}/", stop, start
    while procs:
        p = procs.pop()
        p.terminate()
        p.wait(10)


def write_tree(tree, n):
    lines = []
    for i in range(n):
        p = tree / f"d{i % 10}" / f"f {i}.txt"
        p.parent.mkdir(exist_ok=True)
        data = os.urandom(100 + i * 37 % 30000)
        p.write_bytes(data)
        lines.append(f"{p.relative_to(tree)},{hashlib.sha256(data).hexdigest()},{len(data)}\n")
    big = os.urandom(4 * MiB)
    (tree / "big.iso").write_bytes(big)
    lines.append(f"big.iso,{hashlib.sha256(big).hexdigest()},{len(big)}\n")
    (tree / "PULP_MANIFEST").write_text("".join(lines))
    return [line.rsplit(",", 2) for line in lines]


@pytest.mark.timeout(120)
def test_nginx_upstream_end_to_end(sluice, nginx, tmp_path):
    """Mirror, fetch some by curl, restart, upstream gone: what was fetched is there, the rest says 502."""
    tree, url, stop, start = nginx
    files = write_tree(tree, 300)
    sluice.mirror("docs", url + "PULP_MANIFEST", "on_demand")
    some, rest = files[::3] + files[-1:], [f for i, f in enumerate(files[:-1]) if i % 3]

    def get(path, check=True):
        return curl("-f", "--globoff", "-o", tmp_path / "out", sluice.url("docs/" + path.replace(" ", "%20")), check=check).returncode
    for path, digest, _ in some:
        assert get(path) == 0 and sha(tmp_path / "out") == digest, path
    sluice.quiet()
    sluice.restart()
    stop()
    for path, digest, _ in some:
        assert get(path) == 0 and sha(tmp_path / "out") == digest, path
    assert sluice.get("docs/" + rest[0][0]).status_code == 502
    start()
    wait_for("what was out of reach", lambda: sluice.get("docs/" + rest[0][0]).status_code == 200, 10)
    t = sluice.api.sync(sluice.api.find("repositories/file/file/", "docs"))
    assert t["created_resources"] == []


def test_nginx_upstream_immediate(sluice, nginx):
    tree, url, stop, _ = nginx
    files = write_tree(tree, 200)
    sluice.mirror("docs", url + "PULP_MANIFEST", "immediate")
    stop()
    for path, digest, _ in files:
        assert hashlib.sha256(sluice.get("docs/" + path).content).hexdigest() == digest


def test_nginx_changes_a_file_in_place(start_sluice, nginx):
    """Upstream's file is not what its manifest says: never served as complete; the next sync mends it."""
    s = start_sluice(env={"SLUICE_CONTENT_FAILURE_COOLDOWN": "1s"})
    tree, url, _, _ = nginx
    (tree / "a").write_bytes(b"1" * 1000)
    (tree / "PULP_MANIFEST").write_text(f"a,{hashlib.sha256(b'1' * 1000).hexdigest()},1000\n")
    s.mirror("r", url + "PULP_MANIFEST")
    (tree / "a").write_bytes(b"2" * 1000)
    assert curl("-f", s.url("r/a"), check=False).returncode != 0
    (tree / "PULP_MANIFEST").write_text(f"a,{hashlib.sha256(b'2' * 1000).hexdigest()},1000\n")
    os.utime(tree / "PULP_MANIFEST", (time.time() + 10, time.time() + 10))
    s.cli("sync", "r")
    assert curl("-f", s.url("r/a")).stdout == "2" * 1000


def test_proxy_with_credentials(sluice, upstream):
    """The upstream plays the proxy too: it understands absolute-form."""
    upstream.add("/r/a", 10 * KiB)
    upstream.manifest("/r/PULP_MANIFEST")
    import base64
    want = "Basic " + base64.b64encode(b"pu:pp").decode()
    upstream.rule("*", need_header=("Proxy-Authorization", want))
    sluice.api.repo("r", "http://only-by-proxy.invalid/r/PULP_MANIFEST", proxy_url=upstream.base, proxy_username="pu", proxy_password="pp")
    assert sluice.get("r/a").content == upstream.body("/r/a").all()
