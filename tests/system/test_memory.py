"""What it costs: memory that does not grow with bodies, clients or repositories."""
import socket
import threading

import pytest

from data import GiB, KiB, MiB, Generated
from sluice import CONTENT
from rawhttp import Conn

pytestmark = pytest.mark.plain


class Peak:
    """The largest resident size of a server and its children while the block runs."""

    def __init__(self, server):
        self.server, self.peak, self.stop = server, 0, threading.Event()

    def __enter__(self):
        def watch():
            while not self.stop.wait(0.02):
                self.peak = max(self.peak, self.server.rss())
        self.thread = threading.Thread(target=watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join()


def drain(s, path, n=None):
    """Reads a body and forgets it; the number of bytes."""
    with Conn(s.connect(120)) as c:
        c.send(f"GET {CONTENT}{path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        r = c.head()
        assert r.status == 200
        got = len(c.rest)
        buf = bytearray(MiB)
        while k := c.sock.recv_into(buf):
            got += k
            if n is not None and got >= n:
                break
        return got


@pytest.mark.timeout(240)
@pytest.mark.parametrize("policy, clients", [("on_demand", 1), ("on_demand", 8), ("streamed", 3)])
def test_a_gibibyte_streams_in_64_mib(sluice, upstream, policy, clients):
    upstream.add("/r/iso", Generated(GiB, 3))
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), policy)
    got = []
    with Peak(sluice) as p:
        threads = [threading.Thread(target=lambda: got.append(drain(sluice, "r/iso"))) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        sluice.quiet(60)
    assert got == [GiB] * clients
    assert p.peak < 64 * MiB, f"{p.peak / MiB:.1f} MiB"
    assert upstream.hits("/r/iso") == 1
    if policy == "streamed":
        assert upstream.sha256("/r/iso") not in sluice.artifacts() and sluice.deleted_bytes() == 0
    else:
        assert upstream.sha256("/r/iso") in sluice.artifacts()


def test_thousand_connections_cost_little(sluice, upstream):
    upstream.add("/r/a", 100 * KiB)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    before = sluice.rss()
    conns = [Conn(sluice.connect()) for _ in range(400)]
    for c in conns:
        assert c.ask("GET", CONTENT + "r/a").status == 200
    grown = sluice.rss() - before
    for c in conns:
        c.sock.close()
    assert grown / 400 < 24 * KiB, f"{grown / 400:.0f} bytes each"


@pytest.mark.timeout(120)
def test_readers_of_a_flight_cost_little(sluice, upstream):
    """Two hundred clients that wait for more of a download, each with a full socket or an empty one."""
    upstream.add("/r/a", 64 * MiB)
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(32 * MiB, gate))
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    socks = []
    first = Conn(sluice.connect())
    first.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
    gate.wait_reached()
    before = sluice.rss()
    for _ in range(200):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", sluice.port))
        s.sendall(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        socks.append(s)
    sluice.wait_metric("flight_readers", 201)
    grown = sluice.rss() - before
    assert grown / 200 < 32 * KiB, f"{grown / 200:.0f} bytes each"
    for s in socks:
        s.close()
    first.sock.close()
    gate.open()
    sluice.quiet(30)


@pytest.mark.timeout(300)
def test_memory_of_a_sync_is_flat(sluice, upstream):
    """Ten times as many files do not take ten times the memory."""
    peaks = []
    for n in (2000, 20000):
        lines = "".join(f"d{i % 100}/file-{i:06}.bin,{i:064x},{i + 1}\n" for i in range(n))
        upstream.add(f"/r{n}/PULP_MANIFEST", lines)
        repo = sluice.api.repo(f"r{n}", upstream.url(f"/r{n}/PULP_MANIFEST"), sync=False)
        with Peak(sluice) as p:
            sluice.api.sync(repo, timeout=200)
        peaks.append(p.peak)
        assert len(sluice.api.show("content/file/files/", repository_version=sluice.api.show(repo["pulp_href"])["latest_version_href"],
                                   limit=1)["results"]) == 1
    assert peaks[1] < 200 * MiB and peaks[1] < 2 * peaks[0], [f"{p / MiB:.1f}" for p in peaks]


@pytest.mark.timeout(180)
def test_rss_does_not_creep(sluice, upstream):
    """Thousands of hits, misses and 404s later the server is as small as before."""
    for i in range(300):
        upstream.add(f"/r/{i}", 20 * KiB)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))

    def round_(misses):
        with Conn(sluice.connect(30)) as c:
            for i in range(3000):
                path = f"r/{i % (300 if misses else 100)}" if i % 3 else f"r/none{i}"
                assert c.ask("GET", CONTENT + path).status in (200, 404)
    round_(True)
    sluice.quiet()
    round_(False)
    before = sluice.rss()
    for _ in range(4):
        round_(False)
    assert sluice.rss() - before < 4 * MiB


def test_an_upload_costs_a_block(sluice):
    """A file of 300 MiB in one request."""
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(300):
            yield b"\0" * MiB
        yield b"\r\n--b--\r\n"
    sluice.api.post("artifacts/", files={"file": ("f", b"first")})
    before = sluice.rss()
    with Peak(sluice) as p:
        r = sluice.api.post("artifacts/", data=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}, timeout=60)
    assert r.json()["size"] == 300 * MiB
    assert p.peak - before < 8 * MiB
