"""Downloads in progress: one for all who ask, from the first byte, verified before it is complete, and what is left of it."""
import email.utils
import hashlib
import socket
import time

import pytest

import fanout
from data import KiB, MiB
from rawhttp import Conn
from sluice import CONTENT
from upstream import Upstream, refused_port
from waiting import in_thread, wait_for

SIZE = 16 * MiB
RATE = 16 * MiB
HOLDBACK = 256 * KiB


@pytest.fixture
def lazy(sluice, upstream):
    """A server with the distribution `r` of one file of 16 MiB, /r/a, not saved yet."""
    upstream.add("/r/a", SIZE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    upstream.forget()
    return sluice


def fetch(s, path="r/a", *headers):
    """(status, body, complete) of one request; a short body is no exception here."""
    with Conn(s.connect(60)) as c:
        r = c.ask("GET", CONTENT + path, *headers)
        return r.status, r.body, r.complete


def saved(s, upstream, path="/r/a"):
    return upstream.sha256(path) in s.artifacts()


def check_saved_files(s):
    for name, path in s.artifacts().items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name


# ---- many clients

@pytest.mark.plain
@pytest.mark.timeout(120)
def test_forty_clients_cause_one_upstream_get(sluice, upstream):
    """Each is fed from its first byte within 0.3 s; the slowest is done within 1.3 times the upstream's own time. What is
    right must be right each time; of the times the best of three counts, for other programs can only make them worse."""
    for i in range(3):
        upstream.add(f"/r/{i}", SIZE)
    upstream.rule("/r/[0-9]", rate=RATE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    times = []
    for i in range(3):
        path = f"/r/{i}"
        d = sluice.delta()
        results = fanout.spawn(sluice.url(path[1:]), 40, SIZE)()
        assert len(results) == 40
        assert {(r["status"], r["bytes"], r["sha256"], r["complete"]) for r in results} == {(200, SIZE, upstream.sha256(path), True)}
        assert upstream.hits(path) == 1 and upstream.settle().bytes_sent(path) == SIZE
        assert d("flights_started") == 1 and d("content_misses") == 40
        took = upstream.requests(path)[0].finished - upstream.requests(path)[0].at
        times.append((max(r["first"] for r in results), max(r["done"] for r in results) / took))
        sluice.quiet()
        assert saved(sluice, upstream, path)
        if times[-1][0] <= 0.3 and times[-1][1] <= 1.3:
            return
    raise AssertionError(f"first byte in s, and the slowest in times of the upstream: {times}")


def test_forty_clients_get_the_same(lazy, upstream):
    """The same without the clock, for sanitizers: all bodies right, one upstream GET."""
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(MiB, gate))
    results = fanout.spawn(lazy.url("r/a"), 40, SIZE)
    lazy.wait_metric("flight_readers", 40, 20)
    gate.open()
    got = results()
    assert {(r["status"], r["bytes"], r["sha256"], r["complete"]) for r in got} == {(200, SIZE, upstream.sha256("/r/a"), True)}
    assert len(got) == 40 and upstream.hits("/r/a") == 1


def test_late_joiner_gets_it_from_the_first_byte_at_once(lazy, upstream):
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(8 * MiB, gate))
    first = in_thread(fetch, lazy)
    gate.wait_reached()
    with Conn(lazy.connect(30)) as late:
        late.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        assert late.head().status == 200
        early = late._exactly(8 * MiB - HOLDBACK)  # while the gate is shut
        assert len(early) == 8 * MiB - HOLDBACK
        assert early == upstream.body("/r/a").slice(0, len(early) - 1)
        gate.open()
        assert late._exactly(SIZE - len(early)) == upstream.body("/r/a").slice(len(early), SIZE - 1)
    assert first() == (200, upstream.body("/r/a").all(), True)
    assert upstream.hits("/r/a") == 1


def test_slow_reader_slows_nobody(lazy, upstream):
    """One client takes nothing; another is done at the upstream's pace, and what is fetched is saved."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", lazy.port))
    with Conn(s) as slow:
        slow.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        upstream.wait_hits("/r/a")
        assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
        wait_for("it to be saved", lambda: saved(lazy, upstream))
        s.settimeout(30)
        assert slow.read().body == upstream.body("/r/a").all()
    assert upstream.hits("/r/a") == 1


def test_flights_of_many_artifacts_at_once(sluice, upstream):
    for i in range(60):
        upstream.add(f"/r/{i}", 100 * KiB)
    upstream.rule("/r/[0-9]*", latency=0.05)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), download_concurrency=50)
    clients = [in_thread(fetch, sluice, f"r/{i % 60}") for i in range(120)]
    for i, c in enumerate(clients):
        assert c() == (200, upstream.body(f"/r/{i % 60}").all(), True)
    assert all(upstream.hits(f"/r/{i}") == 1 for i in range(60))


@pytest.mark.plain
def test_headers_and_first_bytes_do_not_wait_for_the_last(lazy, upstream):
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(2 * MiB, gate))
    with Conn(lazy.connect(20)) as c:
        start = time.monotonic()
        c.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        assert c.head().get("Content-Length") == str(SIZE)
        assert len(c._exactly(MiB)) == MiB
        assert time.monotonic() - start < 0.5
        gate.open()


# ---- an upstream that breaks off

def test_drop_once_is_not_noticed(lazy, upstream):
    """At 37 %: complete and right, and at most 64 KiB are read twice."""
    upstream.rule("/r/a", drop_after=int(SIZE * 0.37), times=1)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    assert upstream.settle().bytes_sent("/r/a") - SIZE <= 64 * KiB
    second = upstream.requests("/r/a")[1]
    assert second.range and second.header("if-range") and second.status == 206
    lazy.quiet()
    assert saved(lazy, upstream) and lazy.metric("flight_resumes") == 1


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("at", [0, 1, 4095, HOLDBACK, SIZE - 1])
def test_drop_anywhere_once(lazy, upstream, how, at):
    upstream.rule("/r/a", drop_after=at, drop_how=how, times=1)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    lazy.quiet()
    assert saved(lazy, upstream)


def test_many_drops_in_a_row_as_long_as_it_moves(lazy, upstream):
    upstream.rule("/r/a", drop_after=3 * MiB)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    assert upstream.hits("/r/a") == 6 or upstream.hits("/r/a") == 7


def test_drop_without_ranges_starts_over_unseen(lazy, upstream):
    """An upstream that ignores Range sends everything again: what is known is skipped."""
    upstream.rule("/r/a", drop_after=5 * MiB, times=1)
    upstream.rule("/r/a", ranges=False)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    lazy.quiet()
    assert saved(lazy, upstream)


def test_drop_always_is_an_honest_failure(lazy, upstream):
    """Always at the same place: the client gets a short body or an error, nothing is saved, and it heals."""
    upstream.rule("/r/a", drop_after=int(SIZE * 0.37), ranges=False)
    status, body, complete = fetch(lazy)
    assert not complete or status >= 500
    if status == 200:
        assert upstream.body("/r/a").slice(0, len(body) - 1 if body else 0)[:len(body)] == body
    lazy.quiet(30)
    assert not saved(lazy, upstream) and lazy.staged() == []
    lazy.wait_log("transfer closed|broke off")
    upstream.unrule()
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)


def test_drop_at_the_first_byte_always(lazy, upstream):
    upstream.rule("/r/a", drop_after=0)
    status, body, complete = fetch(lazy)
    assert status in (502, 504) or (not complete and body == b"")
    lazy.quiet(30)
    assert not saved(lazy, upstream)


def test_changed_validator_during_a_resume(lazy, upstream):
    """The second answer is of another version: If-Range brings all of it, and it is the digest that decides."""
    upstream.rule("/r/a", drop_after=5 * MiB, times=1)
    upstream.rule("/r/a", skip=1, etag='"other"', last_modified=1_600_000_000)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    lazy.quiet()
    assert saved(lazy, upstream)


def test_changed_body_during_a_resume_is_never_complete(lazy, upstream):
    other = upstream.add("/other/a", SIZE, seed=99)
    upstream.rule("/r/a", drop_after=5 * MiB, times=1)
    upstream.rule("/r/a", skip=1, replace=other, etag='"other"', last_modified=1_600_000_000)
    status, body, complete = fetch(lazy)
    assert not complete and body[:5 * MiB - HOLDBACK] == upstream.body("/r/a").slice(0, 5 * MiB - HOLDBACK - 1)
    lazy.quiet(30)
    assert lazy.artifacts().keys().isdisjoint({upstream.sha256("/r/a"), other.sha256})
    check_saved_files(lazy)


def test_connections_cut_from_outside(lazy, upstream):
    """All of the upstream's connections die in the middle of the transfer; it lives on."""
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(6 * MiB, gate), times=1)
    client = in_thread(fetch, lazy)
    gate.wait_reached()
    upstream.drop_connections()
    assert client() == (200, upstream.body("/r/a").all(), True)


# ---- wrong bytes

@pytest.mark.parametrize("at", [0, 5 * MiB, SIZE - HOLDBACK - 1, SIZE - HOLDBACK, SIZE - 1])
def test_flipped_byte_is_never_complete_and_never_saved(lazy, upstream, at):
    upstream.rule("/r/a", corrupt_at=at)
    status, body, complete = fetch(lazy)
    assert not (status == 200 and complete)
    assert len(body) <= SIZE - HOLDBACK
    lazy.quiet(30)
    assert not saved(lazy, upstream)
    check_saved_files(lazy)
    lazy.wait_log(f"{upstream.url('/r/a')}.*sha256 is .* but {upstream.sha256('/r/a')} was expected")


@pytest.mark.parametrize("kind", ["corrupt", "longer", "shorter"])
def test_wrong_small_body_is_not_sent_at_all(sluice, upstream, kind):
    """Smaller than what is withheld: nothing of it reaches the client."""
    upstream.add("/r/a", 100 * KiB)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    upstream.rule("/r/a", **{"corrupt": {"corrupt_at": 50}, "longer": {"replace": 101 * KiB}, "shorter": {"truncate": 99 * KiB}}[kind])
    status, body, complete = fetch(sluice)
    assert (status >= 400 or not complete) and upstream.body("/r/a").slice(0, 9) not in body
    sluice.quiet(30)
    assert sluice.artifacts().keys() & {upstream.sha256("/r/a")} == set()
    check_saved_files(sluice)


@pytest.mark.parametrize("rule", [{"corrupt_at": 5 * MiB}, {"truncate": SIZE - 1}, {"replace": SIZE + 1}, {"length": SIZE + 7}],
                         ids=["flipped", "short", "long", "lying-length"])
def test_forty_clients_of_a_wrong_body(lazy, upstream, rule):
    upstream.rule("/r/a", **rule)
    results = fanout.spawn(lazy.url("r/a"), 40, SIZE)()
    if rule == {"length": SIZE + 7}:
        # The digest wins over what a header claims: right or honest, but all alike
        assert all(not r["complete"] or r["status"] != 200 or r["sha256"] == upstream.sha256("/r/a") for r in results)
    else:
        assert not any(r["complete"] and r["status"] == 200 for r in results)
        lazy.quiet(30)
        assert not saved(lazy, upstream)


def test_cool_down_after_wrong_bytes(start_sluice, upstream):
    """Left alone for a while: 404 with Retry-After, without asking upstream; then tried again."""
    s = start_sluice(env={"SLUICE_CONTENT_FAILURE_COOLDOWN": "3s"})
    upstream.add("/r/a", 100 * KiB)
    upstream.rule("/r/a", corrupt_at=5, times=1)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    fetch(s)
    s.quiet()
    r = s.get("r/a")
    assert r.status_code == 404 and 1 <= int(r.headers["Retry-After"]) <= 3
    assert r.headers["X-Sluice-Reason"]
    assert upstream.hits("/r/a") == 1
    wait_for("the end of the cool-down", lambda: s.get("r/a").status_code == 200, 10)


def two_sources(s, upstream, size=SIZE):
    """One unit, two remotes. Returns the paths in no promised order; rules decide which is good."""
    for where in ("/r", "/s"):
        upstream.add(where + "/a", size, seed=1)
        upstream.manifest(where + "/PULP_MANIFEST")
    s.api.repo("r", upstream.url("/r/PULP_MANIFEST"))
    s.api.repo("s", upstream.url("/s/PULP_MANIFEST"))
    upstream.forget()


@pytest.mark.parametrize("bad", ["/r/a", "/s/a"])
@pytest.mark.parametrize("rule", [{"corrupt_at": 5}, {"status": 404}, {"status": 500}, {"truncate": 1000}, {"reset": True},
                                  {"drop_after": 50 * KiB, "ranges": False}, {"garbage": b"SSH-2.0-x\r\n"}], ids=lambda r: next(iter(r)))
def test_second_source_saves_the_request_below_the_withheld_tail(sluice, upstream, bad, rule):
    two_sources(sluice, upstream, 100 * KiB)
    for remote in sluice.api.list("remotes/file/file/"):
        sluice.api.do("PATCH", remote["pulp_href"], max_retries=1)
    upstream.rule(bad, **rule)
    assert fetch(sluice) == (200, upstream.body("/r/a").all(), True)
    sluice.quiet()
    assert saved(sluice, upstream)


@pytest.mark.parametrize("bad", ["/r/a", "/s/a"])
def test_second_source_continues_where_the_first_broke_off(sluice, upstream, bad):
    two_sources(sluice, upstream)
    upstream.rule(bad, drop_after=5 * MiB, times=1)
    upstream.rule(bad, skip=1, status=503)
    for remote in sluice.api.list("remotes/file/file/"):
        sluice.api.do("PATCH", remote["pulp_href"], max_retries=1)
    assert fetch(sluice) == (200, upstream.body("/r/a").all(), True)
    assert upstream.settle().bytes_sent("/r/a") + upstream.bytes_sent("/s/a") - SIZE <= 64 * KiB


# ---- clients that go away

def test_a_client_that_goes_away_does_not_waste_the_download(lazy, upstream):
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(4 * MiB, gate))
    with Conn(lazy.connect()) as c:
        c.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        gate.wait_reached()
    lazy.wait_metric("flight_readers", 0)
    gate.open()
    wait_for("it to be saved", lambda: saved(lazy, upstream))
    assert upstream.hits("/r/a") == 1
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True) and upstream.hits("/r/a") == 1


@pytest.mark.parametrize("percent, finishes", [("101", False), ("20", True), ("60", False)])
def test_whether_it_is_finished_is_a_setting(start_sluice, upstream, percent, finishes):
    s = start_sluice(env={"SLUICE_CONTENT_FINISH_ABANDONED": percent})
    upstream.add("/r/a", SIZE)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(8 * MiB, gate))
    with Conn(s.connect()) as c:
        c.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        gate.wait_reached()
        assert len(c._exactly(4 * MiB)) == 4 * MiB
    s.wait_metric("flight_readers", 0)
    if not finishes:
        s.quiet()
    gate.open()
    s.quiet()
    assert saved(s, upstream) == finishes


def test_one_of_two_clients_goes_away(lazy, upstream):
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(4 * MiB, gate))
    stays = in_thread(fetch, lazy)
    gate.wait_reached()
    with Conn(lazy.connect()) as c:
        c.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        lazy.wait_metric("flight_readers", 2)
    lazy.wait_metric("flight_readers", 1)
    gate.open()
    assert stays() == (200, upstream.body("/r/a").all(), True)
    assert upstream.hits("/r/a") == 1


# ---- HEAD and Range on what is missing

def test_head_of_a_missing_artifact_does_not_wait(lazy, upstream):
    """Answered from what the manifest said, while upstream hangs."""
    upstream.rule("/r/a", hang="head")
    r = lazy.head("r/a", timeout=5)
    assert r.status_code == 200 and r.headers["Content-Length"] == str(SIZE)


def test_headers_are_the_same_first_and_later(lazy, upstream):
    drop = {"date", "age"}
    seen = []
    for method in ("HEAD", "GET", "GET", "HEAD"):
        with Conn(lazy.connect(30)) as c:
            seen.append([(k, v) for k, v in c.ask(method, CONTENT + "r/a").headers if k.lower() not in drop])
        if method == "GET":
            lazy.quiet()
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert dict(seen[0])["ETag"].strip('"') == upstream.sha256("/r/a")


def test_conditions_that_fail_need_no_download(sluice, upstream):
    upstream.add("/r/a", SIZE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
    etag = f'"{upstream.sha256("/r/a")}"'
    assert sluice.get("r/a", headers={"If-None-Match": etag}).status_code == 304
    assert sluice.get("r/a", headers={"If-Match": '"x"'}).status_code == 412
    assert sluice.get("r/a", headers={"Range": f"bytes={SIZE}-"}).status_code == 416
    assert upstream.hits("/r/a") == 0


def test_conditions_on_a_missing_artifact(lazy, upstream):
    r = lazy.head("r/a")
    lazy.quiet(30)
    for first in (True, False):
        assert lazy.get("r/a", headers={"If-None-Match": r.headers["ETag"]}).status_code == 304
        assert lazy.get("r/a", headers={"If-Modified-Since": r.headers["Last-Modified"]}).status_code == 304
        assert lazy.get("r/a", headers={"If-Match": '"x"'}).status_code == 412
        if first:
            assert fetch(lazy)[2]
            lazy.quiet()
    assert email.utils.parsedate_to_datetime(r.headers["Last-Modified"])


@pytest.mark.parametrize("spec, first, last", [("0-99", 0, 99), ("1000000-1999999", 1000000, 1999999), ("-100", SIZE - 100, SIZE - 1),
                                               (f"{SIZE - 1}-", SIZE - 1, SIZE - 1), ("0-", 0, SIZE - 1), (f"5-{SIZE + 9}", 5, SIZE - 1)])
def test_range_on_missing_and_on_saved(lazy, upstream, spec, first, last):
    want = upstream.body("/r/a").slice(first, last)
    answers = []
    for _ in range(2):
        with Conn(lazy.connect(30)) as c:
            r = c.ask("GET", CONTENT + "r/a", f"Range: bytes={spec}")
        assert r.status == 206 and r.body == want
        assert r.get("Content-Range") == f"bytes {first}-{last}/{SIZE}"
        answers.append([h for h in r.headers if h[0] != "Date"])
        lazy.quiet(30)
    assert answers[0] == answers[1]
    assert saved(lazy, upstream)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)


def test_several_ranges_on_missing(lazy, upstream):
    from test_http import parts_of
    with Conn(lazy.connect(30)) as c:
        r = c.ask("GET", CONTENT + "r/a", f"Range: bytes=0-9,5000000-5000099,{SIZE - 5}-")
    b = upstream.body("/r/a")
    assert [p for _, p in parts_of(r)] == [b.slice(0, 9), b.slice(5000000, 5000099), b.slice(SIZE - 5, SIZE - 1)]


def test_a_range_far_into_a_missing_artifact_does_not_wait_for_what_lies_before(sluice, upstream):
    """While the download stands at 2 of 64 MiB: its bytes come, nothing is asked for twice but them, and the whole is saved in the end."""
    size, part = 64 * MiB, MiB
    upstream.add("/r/big", size)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
    gate = upstream.gate()
    upstream.rule("/r/big", gate_at=(2 * MiB, gate), times=1)
    whole = in_thread(lambda: sluice.get("r/big").content)
    gate.wait_reached()
    want = upstream.body("/r/big")
    with Conn(sluice.connect(20)) as c:
        r = c.ask("GET", CONTENT + "r/big", f"Range: bytes={50 * MiB}-{50 * MiB + part - 1}")
        assert r.status == 206 and r.get("Content-Range") == f"bytes {50 * MiB}-{50 * MiB + part - 1}/{size}"
        assert r.body == want.slice(50 * MiB, 50 * MiB + part - 1)
        r = c.ask("GET", CONTENT + "r/big", f"Range: bytes={50 * MiB + 10}-{50 * MiB + 19},{20 * MiB}-{20 * MiB + 9}")
        from test_http import parts_of
        assert [p for _, p in parts_of(r)] == [want.slice(50 * MiB + 10, 50 * MiB + 19), want.slice(20 * MiB, 20 * MiB + 9)]
    assert upstream.hits("/r/big") == 3  # the whole, and two ranges: what one has fetched serves the others
    gate.open()
    assert whole() == want.all()
    sluice.quiet(30)
    assert upstream.bytes_sent("/r/big") <= size + part + 10
    hits = upstream.hits("/r/big")
    assert sluice.get("r/big").content == want.all() and upstream.hits("/r/big") == hits


def test_unsatisfiable_range_on_missing(lazy, upstream):
    r = lazy.get("r/a", headers={"Range": f"bytes={SIZE}-"})
    assert r.status_code == 416 and r.headers["Content-Range"] == f"bytes */{SIZE}"


# ---- streamed

def test_streamed_leaves_nothing_with_ten_clients(sluice, upstream):
    upstream.add("/r/a", SIZE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(MiB, gate), times=1)
    results = fanout.spawn(sluice.url("r/a"), 10, SIZE)
    sluice.wait_metric("flight_readers", 10, 20)
    gate.open()
    assert {(r["status"], r["sha256"], r["complete"]) for r in results()} == {(200, upstream.sha256("/r/a"), True)}
    sluice.quiet()
    assert upstream.hits("/r/a") == 1
    assert not saved(sluice, upstream) and sluice.staged() == []
    wait_for("the space to be free again", lambda: sluice.deleted_bytes() == 0)
    assert fetch(sluice) == (200, upstream.body("/r/a").all(), True)
    assert upstream.hits("/r/a") == 2


def test_streamed_is_verified_too(sluice, upstream):
    upstream.add("/r/a", SIZE)
    upstream.rule("/r/a", corrupt_at=SIZE - 5)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    status, body, complete = fetch(sluice)
    assert not (status == 200 and complete) and len(body) <= SIZE - HOLDBACK


def test_streamed_resumes_too(sluice, upstream):
    upstream.add("/r/a", SIZE)
    upstream.rule("/r/a", drop_after=5 * MiB, times=1)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    assert fetch(sluice) == (200, upstream.body("/r/a").all(), True)
    assert upstream.settle().bytes_sent("/r/a") - SIZE <= 64 * KiB


def test_streamed_late_joiner(sluice, upstream):
    """Comes when space behind the first reader may be given back already: right all the same."""
    upstream.add("/r/a", SIZE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(12 * MiB, gate), times=1)
    first = in_thread(fetch, sluice)
    gate.wait_reached()
    late = in_thread(fetch, sluice)
    sluice.wait_metric("content_misses", lambda v: v >= 2)
    gate.open()
    assert first() == late() == (200, upstream.body("/r/a").all(), True)


def test_streamed_with_slow_and_fast_readers(sluice, upstream):
    """What is punched is what was acknowledged, not what was sent: the slow one's bytes are right."""
    upstream.add("/r/a", SIZE)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    s.connect(("127.0.0.1", sluice.port))
    with Conn(s) as slow:
        slow.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        assert slow.head().status == 200
        fast = in_thread(fetch, sluice)
        got = bytearray(slow.rest)
        while len(got) < SIZE:
            s.settimeout(20)
            piece = s.recv(70000)
            assert piece, f"ended at {len(got)}"
            got += piece
            time.sleep(0.001)
        assert bytes(got) == upstream.body("/r/a").all()
        assert fast() == (200, upstream.body("/r/a").all(), True)


# ---- what upstream may answer

@pytest.mark.parametrize("rule", [{"status": 429, "retry_after": 1}, {"status": 429}, {"status": 500}, {"status": 502}, {"status": 503},
                                  {"status": 503, "retry_after": 1}, {"reset": True}], ids=lambda r: "-".join(map(str, r.values())))
def test_what_can_pass_is_retried(lazy, upstream, rule):
    upstream.rule("/r/a", times=2, **rule)
    start = time.monotonic()
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    assert upstream.hits("/r/a") == 3
    if "retry_after" in rule:
        assert time.monotonic() - start >= 2


@pytest.mark.parametrize("rule", [{"chunked": True}, {"until_close": True}, {"chunked": True, "rate": 30 * MiB}, {"ranges": False},
                                  {"etag": None, "last_modified": None}, {"headers": {"Content-Encoding": "identity"}}],
                         ids=["chunked", "until-close", "chunked-slow", "no-ranges", "no-validators", "identity"])
def test_framings_of_upstream(lazy, upstream, rule):
    upstream.rule("/r/a", **rule)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    lazy.quiet()
    assert saved(lazy, upstream)


def test_redirects_are_followed(lazy, upstream):
    upstream.add("/mirror/a", upstream.body("/r/a"))
    upstream.rule("/r/a", redirect="/hop")
    upstream.rule("/hop", redirect=upstream.url("/mirror/a"), status=307)
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)


def test_redirects_without_end(lazy, upstream):
    upstream.rule("/r/a", redirect="/r/a")
    status, _, _ = fetch(lazy)
    assert status == 502 and upstream.hits("/r/a") <= 50


def test_redirect_to_a_file_is_refused(lazy, upstream):
    upstream.rule("/r/a", redirect="file:///etc/passwd")
    status, body, _ = fetch(lazy)
    assert status == 502 and b"root:" not in body


# C15: what happened → status, a reason header, one line in the log with URL, source and cause
ANSWERS = [
    ("404", {"status": 404}, 404), ("410", {"status": 410}, 404), ("500", {"status": 500}, 502), ("503", {"status": 503}, 502),
    ("401", {"status": 401}, 502), ("403", {"status": 403}, 502), ("reset", {"reset": True}, 502), ("garbage", {"garbage": b"220 ftp\r\n"}, 502),
    ("silence", {"hang": "head"}, 504),
]


@pytest.mark.parametrize("what, rule, want", ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers_that_say_what_happened(sluice, upstream, what, rule, want):
    upstream.add("/r/a", 10 * KiB)
    upstream.rule("/r/a", **rule)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), max_retries=1, sock_read_timeout=1)
    r = sluice.get("r/a")
    assert r.status_code == want
    assert r.headers["X-Sluice-Reason"]
    sluice.wait_log(upstream.url("/r/a").replace(".", r"\."))
    assert sluice.get("r/unknown").status_code == 404
    upstream.unrule()
    if want != 404:  # nothing stays broken
        assert sluice.get("r/a").status_code == 200


def test_nobody_listens(sluice, upstream):
    sock, port = refused_port()
    with sock:
        upstream.add("/r/a", 10)
        upstream.add("/r/PULP_MANIFEST", upstream.manifest_bytes("/r/PULP_MANIFEST"))
        sluice.api.repo("r", upstream.url("/r/PULP_MANIFEST"), max_retries=1)
        upstream.close()
        r = sluice.get("r/a")
        assert r.status_code == 502 and r.headers["X-Sluice-Reason"] and port


def test_remote_deleted_is_a_404(lazy, upstream):
    lazy.api.do("DELETE", lazy.api.find("remotes/file/file/", "r")["pulp_href"])
    r = lazy.get("r/a")
    assert r.status_code == 404 and r.headers["X-Sluice-Reason"]


def test_too_many_flights_is_a_503(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_MAX_FLIGHTS": "2"})
    for i in range(3):
        upstream.add(f"/r/{i}", MiB)
    gate = upstream.gate()
    upstream.rule("/r/[0-9]", gate_head=gate)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    clients = [in_thread(fetch, s, f"r/{i}") for i in range(2)]
    gate.wait_reached(2)
    r = s.get("r/2")
    assert r.status_code == 503 and int(r.headers["Retry-After"]) >= 1
    gate.open()
    assert all(c()[2] for c in clients)
    s.quiet()
    assert s.get("r/2").status_code == 200


def test_timeout_in_the_middle_resumes_or_ends_short(sluice, upstream):
    upstream.add("/r/a", SIZE)
    upstream.rule("/r/a", hang=5 * MiB, times=1)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), sock_read_timeout=1)
    assert fetch(sluice) == (200, upstream.body("/r/a").all(), True)


def test_a_lost_file_is_a_miss_and_heals(lazy, upstream):
    assert fetch(lazy)[2]
    lazy.quiet()
    lazy.restart()
    lazy.artifacts()[upstream.sha256("/r/a")].unlink()
    assert fetch(lazy) == (200, upstream.body("/r/a").all(), True)
    lazy.quiet()
    assert saved(lazy, upstream) and upstream.hits("/r/a") == 2


def test_a_saved_file_of_the_wrong_length_is_not_served(lazy, upstream):
    assert fetch(lazy)[2]
    lazy.quiet()
    lazy.stop()
    path = lazy.artifacts()[upstream.sha256("/r/a")]
    path.chmod(0o644)
    with open(path, "r+b") as f:
        f.truncate(1000)
    lazy.start()
    status, body, complete = fetch(lazy)
    assert (status, complete) != (200, True) or body == upstream.body("/r/a").all()


def test_nothing_is_leaked_by_flights_that_fail(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_CONTENT_FAILURE_COOLDOWN": "0"})
    rules = [{"status": 500}, {"corrupt_at": 5}, {"drop_after": 100}, {"reset": True}, {"status": 404}, {"truncate": 10}]
    for i in range(60):
        upstream.add(f"/r/{i}", 100 * KiB)
        upstream.rule(f"/r/{i}", **rules[i % 6])
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), max_retries=1, download_concurrency=20)
    fetch(s, "r/0")
    s.quiet(30)
    before = s.fds()
    for c in [in_thread(fetch, s, f"r/{i}") for i in range(60)]:
        status, _, complete = c()
        assert status != 200 or not complete
    s.quiet(60)
    assert s.metric("flight_readers") == 0 and s.staged() == [] and s.deleted_bytes() == 0
    # curl may keep connections to upstream; nothing else stays
    wait_for("descriptors to be closed", lambda: s.fds() <= before + 25 or None)


def test_unknown_paths_cost_no_database(sluice, upstream):
    for i in range(200):
        upstream.add(f"/r/{i}", 10)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert sluice.get("r/nope").status_code == 404
    sluice.wait_metric("content_not_found", 1)

    def warm():
        d = sluice.delta()
        for i in range(20):
            assert sluice.get(f"r/unknown{i}-{time.monotonic_ns()}").status_code == 404
        return d("content_filter_404") == 20 and d("content_catalog_lookups") == 0
    wait_for("unknown paths to be answered from memory", warm)


def test_hits_cost_no_database(lazy, upstream):
    assert fetch(lazy)[2]
    lazy.quiet()
    fetch(lazy)

    def warm():
        d = lazy.delta()
        for _ in range(5):
            assert fetch(lazy, "r/a", "Range: bytes=0-9")[0] == 206
        return d("content_catalog_lookups") == 0 and d("content_hits") == 5
    wait_for("hits to be answered from the resolver cache", warm)


@pytest.mark.timeout(120)
def test_with_upstream_gone_for_a_while(sluice):
    """The upstream's host dies in mid-flight and is back later: the answer is honest, then all is well."""
    with Upstream() as up:
        up.add("/r/a", SIZE)
        sluice.api.repo("r", up.manifest("/r/PULP_MANIFEST"), max_retries=1)
        gate = up.gate()
        up.rule("/r/a", gate_at=(5 * MiB, gate))
        client = in_thread(fetch, sluice)
        gate.wait_reached()
    status, body, complete = client()
    assert not complete or status >= 500
    sluice.quiet(60)
    assert sluice.metric("flights_failed") >= 1 and sluice.staged() == []


def test_a_stop_does_not_wait_for_an_upstream_that_hangs(start_sluice, upstream):
    """Nobody reads the download any more, and nothing comes of it."""
    s = start_sluice(env={"SLUICE_SERVER_DRAIN_TIMEOUT": "100s"})
    upstream.add("/r/a", 3 * MiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(MiB, gate))
    with s.get("r/a", stream=True) as r:
        assert r.raw.read(1000)
        gate.wait_reached()
    s.wait_metric("flight_readers", 0)
    assert s.metric("flights_open") == 1
    assert s.stop(timeout=60) == 0
    gate.open()
    s.start()
    assert s.get("r/a").content == upstream.body("/r/a").all()
