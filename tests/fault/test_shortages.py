"""Shortages other than space: a database that somebody holds, descriptors that run out, an upstream that takes all."""
import sqlite3
import threading
import time

import pytest

import invariants
from data import KiB
from rawhttp import Closed, Conn
from sluice import API, CONTENT, SLOW
from waiting import wait_for


@pytest.fixture
def lazy(start_sluice, upstream):
    def make(**kw):
        for i in range(5):
            upstream.add(f"/r/{i}", 100 * KiB)
        s = start_sluice(**kw)
        s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
        assert s.get("r/0").content == upstream.body("/r/0").all()
        s.quiet()
        return s
    return make


class Locked:
    """Another process's write transaction, as a backup or an administrator's shell would hold it."""

    def __init__(self, s):
        self.db = sqlite3.connect(s.data / "catalog.db", isolation_level=None, check_same_thread=False)

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *exc):
        self.db.execute("ROLLBACK")
        self.db.close()


def test_locked_database_does_not_stop_content(lazy, upstream):
    """Saved and missing are served while nobody can write; what was fetched meanwhile is not fetched again."""
    s = lazy(env={"SLUICE_DATABASE_BUSY_TIMEOUT": "2s"})
    with Locked(s):
        assert s.get("r/0", timeout=5).content == upstream.body("/r/0").all()
        with Conn(s.connect(20)) as c:
            r = c.ask("GET", CONTENT + "r/1")
            assert r.status == 200 and r.body == upstream.body("/r/1").all()
        assert s.get("r/none").status_code == 404
        assert s.api.get("status/").status_code == 200
    s.quiet(60)
    assert s.get("r/1").content == upstream.body("/r/1").all()
    s.quiet(60)
    unit = next(u for u in s.api.units() if u["relative_path"] == "1")
    wait_for("the unit to have its artifact", lambda: s.api.show(unit["pulp_href"])["artifact"], 20 * SLOW)
    assert upstream.hits("/r/1") == 1


def test_what_the_catalog_is_not_told_yet_is_counted(lazy, upstream):
    """A client does not wait for it longer than a second, an administrator can see it."""
    s = lazy(env={"SLUICE_DATABASE_BUSY_TIMEOUT": "60s"})
    unit = next(u for u in s.api.units() if u["relative_path"] == "1")
    with Locked(s):
        assert s.get("r/1").content == upstream.body("/r/1").all()
        s.wait_metric("flights_open", 0)
        assert s.metric("flights_recording") == 1
        assert s.api.show(unit["pulp_href"])["artifact"] is None
    s.quiet(60)
    assert s.api.show(unit["pulp_href"])["artifact"]


def test_locked_database_delays_writes_only(lazy):
    s = lazy()
    with Locked(s):
        got = []
        t = threading.Thread(target=lambda: got.append(s.api.remote("late", "http://h/M")))
        t.start()
        for _ in range(20):
            assert s.api.get("remotes/file/file/").status_code == 200
    t.join(40)
    assert got and got[0]["name"] == "late"


def test_writes_that_wait_too_long_are_503(lazy):
    s = lazy(env={"SLUICE_DATABASE_BUSY_TIMEOUT": "500ms"})
    with Locked(s):
        r = s.api.post("remotes/file/file/", json={"name": "x", "url": "http://h/M"}, check=False)
        assert r.status_code == 503, r.text
    s.api.remote("x", "http://h/M")


def test_descriptors_run_out_and_come_back(lazy, upstream):
    """With 100 descriptors and 150 clients: those that are in are served, the others wait or are refused, and then all is well."""
    s = lazy(nofile=100)
    conns, answered = [], 0
    for _ in range(150):
        try:
            conns.append(Conn(s.connect(2)))
        except OSError:
            break
    for c in conns:
        c.sock.settimeout(1)
        try:
            c.send(f"GET {CONTENT}r/0 HTTP/1.1\r\nHost: t\r\n\r\n")
            answered += c.read().status == 200
        except (Closed, OSError, TimeoutError):
            pass
    assert answered >= 20
    for c in conns:
        c.sock.close()

    def well():
        try:
            return s.get("r/2", timeout=5).content == upstream.body("/r/2").all()
        except Exception:
            return False
    wait_for("the server to serve again", well, 20 * SLOW)
    assert s.proc.poll() is None
    s.quiet()
    s.api.sync(s.api.find("repositories/file/file/", "r"), optimize=False)
    invariants.all_hold(s)


def test_an_upstream_that_hangs_hinders_nobody(lazy, upstream):
    """Fifty clients wait for an upstream that says nothing; everything else goes on."""
    s = lazy()
    upstream.rule("/r/1", hang="head")
    conns = [Conn(s.connect(60)) for _ in range(50)]
    for c in conns:
        c.send(f"GET {CONTENT}r/1 HTTP/1.1\r\nHost: t\r\n\r\n")
    upstream.wait_hits("/r/1")
    for _ in range(5):
        start = time.monotonic()
        assert s.get("r/0").status_code == 200
        assert s.get("r/none").status_code == 404
        assert s.api.get("tasks/").status_code == 200
        assert time.monotonic() - start < 5 * SLOW  # the hanging one would take a minute
    assert s.get("r/2").content == upstream.body("/r/2").all()
    for c in conns:
        c.sock.close()


def test_queue_of_waiting_work_is_bounded(start_sluice, upstream):
    """A thousand API requests at once on one thread: answers or 503 with Retry-After, never silence."""
    s = start_sluice(env={"SLUICE_SERVER_POOL_THREADS": "1", "SLUICE_SERVER_POOL_QUEUE": "16"})
    conns = [Conn(s.connect(30)) for _ in range(200)]
    for c in conns:
        c.send(f"GET {API}status/ HTTP/1.1\r\nHost: t\r\n\r\n")
    seen = [c.read() for c in conns]
    assert {r.status for r in seen} <= {200, 503} and any(r.status == 200 for r in seen)
    assert all(int(r.get("Retry-After")) >= 1 for r in seen if r.status == 503)
    assert s.get("nope/").status_code == 404


@pytest.mark.timeout(120)
def test_a_flood_of_misses(start_sluice, upstream):
    """Five hundred different missing artifacts at once."""
    for i in range(500):
        upstream.add(f"/r/{i}", 10 * KiB)
    s = start_sluice()
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), download_concurrency=20)
    conns = [Conn(s.connect(60)) for _ in range(250)]
    for k in range(2):
        for i, c in enumerate(conns):
            c.send(f"GET {CONTENT}r/{i + 250 * k} HTTP/1.1\r\nHost: t\r\n\r\n")
        for i, c in enumerate(conns):
            r = c.read()
            assert r.status == 200 and r.body == upstream.body(f"/r/{i + 250 * k}").all(), i
    s.quiet(60)
    assert len(s.artifacts()) >= 500 and all(upstream.hits(f"/r/{i}") == 1 for i in range(500))
