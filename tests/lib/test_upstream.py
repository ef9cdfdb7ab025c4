"""The upstream itself: a test that trusts it must be able to."""
import hashlib
import socket
import threading
import time

import pytest
import requests

from data import GiB, KiB, MiB, Generated
from upstream import Upstream, refused_port
from waiting import Timeout, wait_for


@pytest.fixture
def up():
    with Upstream() as u:
        yield u


def test_serves_files_and_a_manifest(up):
    up.add("/r/a", b"hello")
    up.add("/r/d/b", 300 * KiB)
    url = up.manifest("/r/PULP_MANIFEST")
    lines = requests.get(url).text.splitlines()
    assert lines == [f"a,{hashlib.sha256(b'hello').hexdigest()},5", f"d/b,{up.sha256('/r/d/b')},{300 * KiB}"]
    assert hashlib.sha256(requests.get(up.url("/r/d/b")).content).hexdigest() == up.sha256("/r/d/b")
    assert requests.get(up.url("/r/none")).status_code == 404
    assert up.hits("/r/d/b") == 1 and up.settle().bytes_sent("/r/d/b") == 300 * KiB


def test_generated_data_is_the_same_from_any_offset():
    g = Generated(GiB, 7)
    whole = g.slice(0, 3 * MiB - 1)
    assert len(whole) == 3 * MiB
    for off, n in [(0, 1), (5, 30), (256 * KiB - 3, 20), (MiB + 1, 700 * KiB)]:
        assert g.slice(off, off + n - 1) == whole[off:off + n]
    assert whole[:256 * KiB] != whole[256 * KiB:512 * KiB]
    assert g.slice(GiB - 10, GiB - 1) and g.size == GiB


def test_keeps_connections_and_counts_them(up):
    up.add("/a", b"x")
    with requests.Session() as s:
        for _ in range(3):
            s.get(up.url("/a"))
    assert len({r.conn for r in up.requests("/a")}) == 1
    assert up.hits("/a", "HEAD") == 0


def test_ranges_and_validators(up):
    body = up.add("/a", 100 * KiB).all()
    r = requests.get(up.url("/a"), headers={"Range": "bytes=1000-1999"})
    assert r.status_code == 206 and r.content == body[1000:2000]
    assert r.headers["Content-Range"] == f"bytes 1000-1999/{len(body)}"
    assert requests.get(up.url("/a"), headers={"Range": "bytes=-5"}).content == body[-5:]
    assert requests.get(up.url("/a"), headers={"Range": "bytes=999999-"}).status_code == 416
    assert requests.get(up.url("/a"), headers={"Range": "bytes=5-", "If-Range": '"no"'}).status_code == 200
    assert requests.get(up.url("/a"), headers={"Range": "bytes=5-", "If-Range": r.headers["ETag"]}).status_code == 206
    assert requests.get(up.url("/a"), headers={"If-None-Match": r.headers["ETag"]}).status_code == 304
    assert requests.get(up.url("/a"), headers={"If-Modified-Since": r.headers["Last-Modified"]}).status_code == 304
    up.rule("/a", ranges=False)
    assert requests.get(up.url("/a"), headers={"Range": "bytes=5-"}).status_code == 200
    up.rule("/a", etag='"other"', ranges=True)
    assert requests.get(up.url("/a"), headers={"Range": "bytes=5-", "If-Range": r.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("how, error", [("fin", None), ("rst", ConnectionResetError)])
def test_drops_after_n_bytes_once(up, how, error):
    up.add("/a", 100 * KiB)
    up.rule("/a", drop_after=1000, drop_how=how, times=1)
    s = socket.create_connection((up.host, up.port))
    s.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    got = b""
    failed = None
    try:
        while piece := s.recv(65536):
            got += piece
    except OSError as e:
        failed = e
    assert len(got.split(b"\r\n\r\n", 1)[1]) == 1000
    assert failed is None if error is None else isinstance(failed, error)
    assert len(requests.get(up.url("/a")).content) == 100 * KiB
    assert [r.end for r in up.settle().requests("/a")] == ["dropped", "done"]
    assert up.bytes_sent("/a") == 1000 + 100 * KiB


def test_corrupts_one_bit(up):
    body = up.add("/a", 300 * KiB).all()
    up.rule("/a", corrupt_at=200 * KiB, times=1)
    got = requests.get(up.url("/a")).content
    assert [i for i in range(len(body)) if body[i] != got[i]] == [200 * KiB]
    assert requests.get(up.url("/a")).content == body


def test_statuses_with_retry_after_n_times(up):
    up.add("/a", b"x")
    up.rule("/a", status=429, retry_after=1, times=2)
    up.rule("/gone", status=410)
    got = [requests.get(up.url("/a")) for _ in range(3)]
    assert [r.status_code for r in got] == [429, 429, 200] and got[0].headers["Retry-After"] == "1"
    assert requests.get(up.url("/gone")).status_code == 410


def test_framings(up):
    body = up.add("/a", 300 * KiB).all()
    up.rule("/a", chunked=True, times=1)
    up.rule("/a", skip=1, until_close=True, times=1)
    one, two = requests.get(up.url("/a")), requests.get(up.url("/a"))
    assert one.headers["Transfer-Encoding"] == "chunked" and one.content == body
    assert "Content-Length" not in two.headers and two.content == body
    up.rule("/a", length=500 * KiB)
    three = requests.get(up.url("/a"))
    assert three.headers["Content-Length"] == str(500 * KiB) and three.content == body


def test_redirect_auth_and_header(up):
    up.add("/a", b"x")
    up.rule("/from", redirect=up.url("/a"))
    assert requests.get(up.url("/from")).content == b"x"
    up.rule("/a", auth=("u", "p"))
    assert requests.get(up.url("/a")).status_code == 401
    assert requests.get(up.url("/a"), auth=("u", "p")).status_code == 200
    up.rule("/a", need_header=("X-Token", "t"))
    assert requests.get(up.url("/a"), auth=("u", "p")).status_code == 403
    assert requests.get(up.url("/a"), auth=("u", "p"), headers={"X-Token": "t"}).status_code == 200


def test_gate_holds_until_it_is_opened(up):
    body = up.add("/a", 300 * KiB).all()
    gate = up.gate()
    up.rule("/a", gate_at=(1000, gate))
    r = requests.get(up.url("/a"), stream=True)
    assert r.raw.read(1000) == body[:1000]
    gate.wait_reached()
    assert up.bytes_sent("/a") == 1000
    gate.open()
    assert r.raw.read() == body[1000:]


def test_hangs(up):
    up.add("/a", 100 * KiB)
    up.rule("/a", hang="head", times=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(up.url("/a"), timeout=0.2)
    up.rule("/a", hang=50)
    r = requests.get(up.url("/a"), stream=True, timeout=0.2)
    assert len(r.raw.read(50)) == 50
    with pytest.raises(Exception, match="timed out"):
        r.raw.read(1)
    r.close()
    wait_for("both to be noticed", lambda: [q.end for q in up.requests("/a")] == ["hung", "hung"])


def test_a_closed_upstream_refuses(up):
    up.add("/a", b"x")
    up.close()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(up.url("/a"))
    sock, port = refused_port()
    with sock, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_rate_is_kept(up):
    up.add("/a", 2 * MiB)
    up.rule("/a", rate=8 * MiB)
    start = time.monotonic()
    assert len(requests.get(up.url("/a")).content) == 2 * MiB
    assert 0.23 <= time.monotonic() - start < 1


def test_forty_clients_share_sixteen_mebibytes_a_second(up):
    up.add("/a", 410 * KiB)
    up.rule("/a", rate=410 * KiB)
    done = []

    def client():
        s = socket.create_connection((up.host, up.port))
        s.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        n = 0
        while piece := s.recv(65536):
            n += len(piece)
        done.append(n)

    start = time.monotonic()
    threads = [threading.Thread(target=client) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 40 and min(done) > 410 * KiB
    assert time.monotonic() - start < 2


def test_a_wait_says_what_it_waited_for():
    with pytest.raises(Timeout, match="waited 0.05 s for the moon; last seen: 0"):
        wait_for("the moon", lambda: 0, 0.05)
