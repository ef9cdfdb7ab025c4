"""HTTP/1.1 as the whole server speaks it, byte by byte: what a library would hide. The saved content is small, and the same for all."""
import base64
import email.utils
import re
import threading
import time

import pytest

from data import KiB, MiB
from rawhttp import Closed, Conn
from sluice import API, CONTENT, PASSWORD, SLOW, Sluice
from upstream import Upstream
from waiting import wait_for

AUTH = "Authorization: Basic " + base64.b64encode(b"admin:" + PASSWORD.encode()).decode()
SMALL = b"0123456789abcdefghij"


class Site:
    """A server with a distribution `r` in which everything is saved."""

    def __init__(self, server):
        self.server = server
        self.big = None

    def fill(self):
        with Upstream() as up:
            up.add("/r/small.txt", SMALL)
            up.add("/r/empty", b"")
            up.add("/r/d/x.json", b"{}")
            self.big = up.add("/r/big.bin", 8 * MiB)
            self.server.api.repo("r", up.manifest("/r/PULP_MANIFEST"), "immediate")
        return self

    def conn(self, timeout=10):
        return Conn(self.server.connect(timeout))

    def get(self, path, *headers, method="GET"):
        with self.conn() as c:
            return c.ask(method, CONTENT + path, *headers)


@pytest.fixture(scope="module")
def site(shared):
    return Site(shared).fill()


@pytest.fixture
def strict_site(start_sluice):
    """With short time-outs."""
    return Site(start_sluice(env={"SLUICE_SERVER_HEADER_TIMEOUT": f"{int(1000 * SLOW)}ms",
                                  "SLUICE_SERVER_IDLE_TIMEOUT": f"{int(2000 * SLOW)}ms",
                                  "SLUICE_SERVER_BODY_TIMEOUT": f"{int(1000 * SLOW)}ms",
                                  "SLUICE_SERVER_SEND_TIMEOUT": f"{int(1000 * SLOW)}ms"})).fill()


def create(name, *headers):
    """Head and body of a valid creation of a remote."""
    body = b'{"name":"%s","url":"http://127.0.0.1:1/PULP_MANIFEST"}' % name.encode()
    return [f"POST {API}remotes/file/file/ HTTP/1.1", "Host: t", AUTH, "Content-Type: application/json", *headers], body


def lines(*rows):
    return "\r\n".join(rows) + "\r\n\r\n"


# ---- connections

def test_keeps_the_connection(site):
    with site.conn() as c:
        for _ in range(50):
            r = c.ask("GET", CONTENT + "r/small.txt")
            assert r.status == 200 and r.body == SMALL


def without_date(r):
    return r.status, sorted((k, v) for k, v in r.headers if k.lower() != "date"), r.body


def test_the_answer_does_not_depend_on_how_it_was_made(site):
    """Hits and unknown paths are answered from what was made for others before; a connection that closes gets its own."""
    for path, status in (("small.txt", 200), ("empty", 200), ("big.bin", 200), ("d/x.json", 200), ("no/such", 404)):
        for method in ("GET", "HEAD"):
            with site.conn() as c:
                first, second = (without_date(c.ask(method, CONTENT + "r/" + path)) for _ in range(2))
                own = c.ask(method, CONTENT + "r/" + path, "Connection: close")
            assert first == second and first[0] == status
            status_, fields, body = without_date(own)
            assert (status_, [f for f in fields if f[0].lower() != "connection"], body) == first


def test_connection_close_is_honoured(site):
    with site.conn() as c:
        assert c.ask("GET", CONTENT + "r/small.txt", "Connection: close").body == SMALL
        assert c.closed()


def test_http_1_0_gets_a_plain_body_and_a_close(site):
    with site.conn() as c:
        c.send(f"GET {CONTENT}r/small.txt HTTP/1.0\r\n\r\n")
        r = c.read()
        assert r.status == 200 and r.body == SMALL and r.get("Transfer-Encoding") is None
        assert c.closed()


def test_http_1_0_keep_alive_when_asked_for(site):
    with site.conn() as c:
        for _ in range(2):
            c.send(f"GET {CONTENT}r/small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            r = c.read()
            assert r.body == SMALL and r.get("Connection", "").lower() == "keep-alive"


def test_pipelined_requests_are_answered_in_order(site):
    paths = ["small.txt", "none", "d/x.json", "empty", "small.txt"] * 20
    with site.conn() as c:
        c.send("".join(f"GET {CONTENT}r/{p} HTTP/1.1\r\nHost: t\r\n\r\n" for p in paths))
        for p in paths:
            r = c.read()
            want = {"small.txt": (200, SMALL), "d/x.json": (200, b"{}"), "empty": (200, b"")}.get(p)
            assert (r.status, r.body) == want if want else r.status == 404, p


def test_pipelined_large_bodies_do_not_mix(site):
    whole = site.big.all()
    with site.conn() as c:
        for a in (0, 5000, 4 * MiB):
            c.send(f"GET {CONTENT}r/big.bin HTTP/1.1\r\nHost: t\r\nRange: bytes={a}-{a + MiB}\r\n\r\n")
        for a in (0, 5000, 4 * MiB):
            assert c.read().body == whole[a:a + MiB + 1]


def test_a_request_that_comes_byte_by_byte(site):
    with site.conn() as c:
        for byte in f"GET {CONTENT}r/small.txt HTTP/1.1\r\nHost: t\r\n\r\n".encode():
            c.send(bytes([byte]))
        assert c.read().body == SMALL


def test_absolute_form_is_understood(site):
    with site.conn() as c:
        assert c.ask("GET", f"http://other.example{CONTENT}r/small.txt").body == SMALL


def test_methods(site):
    for method, want in [("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("BREW", (405, 501))]:
        with site.conn() as c:
            r = c.ask(method, CONTENT + "r/small.txt", "Content-Length: 0")
            assert r.status in (want if isinstance(want, tuple) else (want,)), method


def test_every_response_has_a_date_and_a_length(site):
    for path, method in [("r/small.txt", "GET"), ("r/none", "GET"), ("r/", "GET"), ("r/small.txt", "HEAD")]:
        r = site.get(path, method=method)
        assert email.utils.parsedate_to_datetime(r.get("Date"))
        assert r.get("Content-Length") is not None or r.get("Transfer-Encoding") == "chunked"


# ---- request bodies

def test_sized_body(site):
    head, body = create("sized")
    with site.conn() as c:
        r = c.send(lines(*head, f"Content-Length: {len(body)}"), body).read()
        assert r.status == 201, r
        assert c.ask("GET", CONTENT + "r/small.txt").body == SMALL


def test_chunked_body_in_odd_pieces(site):
    head, body = create("chunked")
    out = b""
    for i in range(0, len(body), 7):
        piece = body[i:i + 7]
        out += b"%x;ext=\"v\"\r\n%s\r\n" % (len(piece), piece)
    out += b"0\r\nTrailer: x\r\n\r\n"
    with site.conn() as c:
        c.send(lines(*head, "Transfer-Encoding: chunked"))
        for i in range(0, len(out), 3):
            c.send(out[i:i + 3])
        assert c.read().status == 201
        assert c.ask("GET", CONTENT + "r/small.txt").body == SMALL


@pytest.mark.parametrize("piece", [100, 70000, MiB])
def test_large_chunked_body(site, piece):
    head, body = create(f"largechunks{piece}")
    body = body[:-1] + b" " * (3 * MiB) + b"}"
    with site.conn() as c:
        c.send(lines(*head, "Transfer-Encoding: chunked"))
        for i in range(0, len(body), piece):
            part = body[i:i + piece]
            c.send(b"%x\r\n%s\r\n" % (len(part), part))
        assert c.send("0\r\n\r\n").read().status == 201


def test_expect_100_continue(site):
    head, body = create("expect")
    with site.conn() as c:
        c.send(lines(*head, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert c.read().status == 100
        assert c.send(body).read().status == 201


def test_expect_100_continue_is_not_promised_when_the_answer_is_no(site):
    with site.conn() as c:
        c.send(lines(f"POST {API}remotes/file/file/ HTTP/1.1", "Host: t", "Content-Type: application/json",
                     "Content-Length: 100", "Expect: 100-continue"))
        assert c.read().status in (100, 401)  # both are allowed; a hang is not


def test_unknown_expectation(site):
    with site.conn() as c:
        assert c.ask("GET", CONTENT + "r/small.txt", "Expect: miracles").status == 417


def test_body_larger_than_the_limit(site):
    with site.conn() as c:
        c.send(lines(*create("large")[0], f"Content-Length: {1 << 40}"))
        assert c.read().status == 413


def test_endless_chunked_body_is_cut_off(site):
    with site.conn(60) as c:
        c.send(lines(*create("endless")[0], "Transfer-Encoding: chunked"))
        piece = b"100000\r\n" + b" " * MiB + b"\r\n"
        try:
            for _ in range(64):
                c.send(piece)
        except OSError:
            pass  # it hung up, which is right
        try:
            assert c.read().status == 413
        except Closed:
            pass


@pytest.mark.parametrize("sizes", ["zz", "-1", "0x5", "+5", "5 5", "", "fffffffffffffffff", "7fffffffffffffff1", ";"])
def test_bad_chunk_size(site, sizes):
    with site.conn() as c:
        c.send(lines(*create("badchunk")[0], "Transfer-Encoding: chunked"), f"{sizes}\r\nhello\r\n0\r\n\r\n")
        assert c.read().status == 400
        assert c.closed()


def test_chunk_without_its_line_end(site):
    with site.conn() as c:
        c.send(lines(*create("badchunk")[0], "Transfer-Encoding: chunked"), "5\r\nhelloXX0\r\n\r\n")
        assert c.read().status == 400


# ---- what two parsers could read differently

SMUGGLE = [
    ("both lengths", ["Content-Length: 5", "Transfer-Encoding: chunked"]),
    ("both lengths, other order", ["Transfer-Encoding: chunked", "Content-Length: 5"]),
    ("two different lengths", ["Content-Length: 5", "Content-Length: 6"]),
    ("two lengths in one field", ["Content-Length: 5, 6"]),
    ("negative length", ["Content-Length: -5"]),
    ("signed length", ["Content-Length: +5"]),
    ("hexadecimal length", ["Content-Length: 0x5"]),
    ("length with a space", ["Content-Length: 5 0"]),
    ("length out of range", ["Content-Length: 99999999999999999999"]),
    ("empty length", ["Content-Length:"]),
    ("chunked twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
    ("identity after chunked", ["Transfer-Encoding: chunked, identity"]),
    ("unknown coding", ["Transfer-Encoding: gzip, chunked"]),
    ("nearly chunked", ["Transfer-Encoding: xchunked"]),
    ("chunked and a vertical tab", ["Transfer-Encoding: \x0bchunked"]),
    ("folded field", ["X-A: b", " Transfer-Encoding: chunked"]),
    ("folded by a tab", ["Transfer-Encoding:", "\tchunked"]),
    ("space before the colon", ["Content-Length : 5"]),
    ("space before the name", [" Content-Length: 5"]),
    ("no colon", ["Content-Length 5"]),
    ("no name", [": 5"]),
    ("bare CR in a value", ["X-A: b\rTransfer-Encoding: chunked"]),
    ("bare LF in a value", ["X-A: b\nTransfer-Encoding: chunked"]),
    ("NUL in a value", ["X-A: b\0c"]),
    ("NUL in a name", ["X\0A: b"]),
    ("control byte in a name", ["X\x01A: b"]),
    ("two hosts", ["Host: other"]),
]


@pytest.mark.parametrize("what, fields", SMUGGLE, ids=[w.replace(" ", "-") for w, _ in SMUGGLE])
def test_smuggling(site, what, fields):
    """One refusal, a close, and nothing of the rest is taken for a request."""
    d = site.server.delta()
    with site.conn() as c:
        c.send(lines(f"POST {API}remotes/file/file/ HTTP/1.1", "Host: t", AUTH, *fields),
               f"0\r\n\r\nGET {CONTENT}r/smuggled HTTP/1.1\r\nHost: t\r\n\r\n")
        r = c.read()
        assert r.status in (400, 501), r
        assert r.get("Connection") == "close"
        assert c.closed(), "an answer to what was smuggled in"
    assert d("http_bad_requests") >= 1
    assert "smuggled" not in site.server.log()


@pytest.mark.parametrize("line, status", [
    ("GET", 400), ("GET /", 400), ("GET  / HTTP/1.1", 400), ("GET / HTTP/1.1 x", 400), ("GET / http/1.1", 400),
    ("GET / HTTP/1", 400), ("GET / HTTP/1.x", 400), ("GET / HTTP/2.0", 505), ("GET / HTTP/9.9", 505), (" GET / HTTP/1.1", 400),
    ("G ET / HTTP/1.1", 400), ("G\x00T / HTTP/1.1", 400), ("G\"T / HTTP/1.1", 400), ("GET\t/ HTTP/1.1", 400),
    ("GET /a\x7fb HTTP/1.1", 400), ("GET /a\x01b HTTP/1.1", 400), ("GET pulp HTTP/1.1", 400), ("GET * HTTP/1.1", 400),
    ("CONNECT example.org:443 HTTP/1.1", (400, 405, 501)), ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("PRI * HTTP/2.0", (400, 505)),
])
def test_bad_request_lines(site, line, status):
    with site.conn() as c:
        c.send(line.encode("latin-1") + b"\r\nHost: t\r\n\r\n")
        assert c.read().status in (status if isinstance(status, tuple) else (status,))
        assert c.closed()


def test_host_is_required_once_and_well_formed(site):
    for head in ("", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a@b\r\n"):
        with site.conn() as c:
            c.send(f"GET {CONTENT}r/small.txt HTTP/1.1\r\n{head}\r\n")
            assert c.read().status == 400, head
    for host in ("a", "a:80", "[::1]:80", ""):
        with site.conn() as c:
            c.send(f"GET {CONTENT}r/small.txt HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert c.read().status == 200, host


def test_a_refusal_is_logged_with_its_reason(site):
    with site.conn() as c:
        c.send(lines(f"GET {CONTENT}r/why HTTP/1.1", "Host: t", "Content-Length: 5", "Transfer-Encoding: chunked"))
        assert c.read().status == 400
    site.server.wait_log(r"conflicting message lengths")


# ---- limits

def test_request_line_of_64_kib(site):
    with site.conn() as c:
        c.send(f"GET {CONTENT}r/{'a' * 65536} HTTP/1.1\r\nHost: t\r\n\r\n")
        assert c.read().status == 414
    site.server.wait_log("request line too long")


def test_ten_thousand_headers(site):
    with site.conn() as c:
        c.send(f"GET {CONTENT}r/small.txt HTTP/1.1\r\nHost: t\r\n" + "A: b\r\n" * 10000 + "\r\n")
        assert c.read().status == 431
    site.server.wait_log("too many header fields|header fields too large")


def test_one_huge_header(site):
    with site.conn() as c:
        c.send(f"GET {CONTENT}r/small.txt HTTP/1.1\r\nHost: t\r\nX-Big: {'a' * 40000}\r\n\r\n")
        assert c.read().status == 431


def test_a_header_of_15_kib_passes(site):
    assert site.get("r/small.txt", f"X-CLIENT-CERT: {'a' * 15 * KiB}").status == 200


def test_an_endless_line_is_refused_before_it_ends(site):
    with site.conn() as c:
        c.send("GET /" + "a" * 200000)
        assert c.read().status == 414


def test_connection_limit(start_sluice):
    s = start_sluice(env={"SLUICE_SERVER_MAX_CONNECTIONS": "20"})
    conns = [Conn(s.connect()) for _ in range(20)]
    for c in conns:
        assert c.ask("GET", API + "status/").status == 200
    late = Conn(s.connect())
    try:
        assert late.ask("GET", API + "status/").status == 503
    except (Closed, OSError):
        pass
    for c in conns:
        c.sock.close()

    def again():
        try:
            return Conn(s.connect()).ask("GET", API + "status/").status == 200
        except (Closed, OSError):
            return False
    wait_for("a free place", again)


# ---- time

def test_slow_loris_is_cut_off(strict_site):
    """A byte now and then does not keep a head alive."""
    with strict_site.conn(30) as c:
        start = time.monotonic()
        c.send(f"GET {CONTENT}r/small.txt HTTP/1.1\r\n")
        end = None
        for i in range(200):
            try:
                c.send(f"X-{i}: y\r\n")
            except OSError:
                end = time.monotonic()
                break
            c.sock.settimeout(0.1)
            try:
                if not c._more():
                    end = time.monotonic()
                    break
            except TimeoutError:
                pass
        assert end is not None and 0.9 * SLOW <= end - start <= 4 * SLOW
        assert c.rest == b"" or b" 408 " in c.rest
    assert strict_site.server.metric("http_timeouts") == 1


def test_silent_connection_is_closed(strict_site):
    with strict_site.conn(30) as c:
        assert 1.5 * SLOW <= c.seconds_until_closed() <= 6 * SLOW


def test_kept_alive_connection_is_closed_when_idle(strict_site):
    with strict_site.conn(30) as c:
        assert c.ask("GET", CONTENT + "r/small.txt").status == 200
        assert 1.5 * SLOW <= c.seconds_until_closed() <= 6 * SLOW


def test_body_that_stops_is_given_up(strict_site):
    with strict_site.conn(30) as c:
        c.send(lines(*create("slow")[0], "Content-Length: 100"), "{")
        start = time.monotonic()
        try:
            assert c.read().status == 408
        except Closed:
            pass
        assert 0.9 * SLOW <= time.monotonic() - start <= 5 * SLOW


def test_reader_that_takes_nothing_is_cut_off(strict_site):
    """And while it sleeps, others are served."""
    import socket
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", strict_site.server.port))
    with Conn(s) as c:
        c.send(f"GET {CONTENT}r/big.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        assert strict_site.get("r/small.txt").body == SMALL
        strict_site.server.wait_metric("http_timeouts", 1, 8)
        s.settimeout(10)
        n = 0
        try:
            while piece := s.recv(1 << 20):
                n += len(piece)
        except ConnectionError:
            pass
        assert n < 8 * MiB


def test_reader_that_is_slow_but_moves_is_served(strict_site):
    with strict_site.conn(60) as c:
        want = strict_site.big.slice(0, MiB - 1)
        c.sock.setsockopt(__import__("socket").SOL_SOCKET, __import__("socket").SO_RCVBUF, 16384)
        c.send(f"GET {CONTENT}r/big.bin HTTP/1.1\r\nHost: t\r\nRange: bytes=0-{MiB - 1}\r\n\r\n")
        r = c.head()
        start = time.monotonic()
        got = bytearray(c.rest)
        while len(got) < MiB:
            piece = c.sock.recv(65536)
            assert piece, "cut off although it was reading"
            got += piece
            time.sleep(2.5 * SLOW * len(piece) / MiB)  # longer in all than the send time-out
        assert bytes(got) == want and r.status == 206
        assert time.monotonic() - start > 1.5 * SLOW


# ---- HEAD, ranges, conditions

def test_head_says_what_get_says(site):
    get, head = site.get("r/big.bin"), site.get("r/big.bin", method="HEAD")
    drop = ("date",)
    assert [h for h in get.headers if h[0].lower() not in drop] == [h for h in head.headers if h[0].lower() not in drop]
    assert head.status == get.status == 200 and get.get("Content-Length") == str(8 * MiB)


@pytest.mark.parametrize("spec, first, last", [
    ("0-0", 0, 0), ("0-4", 0, 4), ("5-", 5, 19), ("-3", 17, 19), ("0-", 0, 19), ("19-19", 19, 19), ("5-999", 5, 19), ("-999", 0, 19),
    ("0-99999999999999", 0, 19),
])
def test_single_range(site, spec, first, last):
    r = site.get("r/small.txt", f"Range: bytes={spec}")
    assert r.status == 206 and r.body == SMALL[first:last + 1]
    assert r.get("Content-Range") == f"bytes {first}-{last}/{len(SMALL)}"
    assert r.get("Content-Length") == str(last + 1 - first)


@pytest.mark.parametrize("spec", ["20-", "20-30", "-0", "999999999999-"])
def test_range_not_satisfiable(site, spec):
    r = site.get("r/small.txt", f"Range: bytes={spec}")
    assert r.status == 416 and r.get("Content-Range") == f"bytes */{len(SMALL)}"


@pytest.mark.parametrize("spec", ["a-b", "5-2", "", "--5", "0-1;2-3", "-1-11"])
def test_malformed_range_is_not_satisfiable(site, spec):
    r = site.get("r/small.txt", f"Range: bytes={spec}")
    assert r.status == 416 and r.get("Content-Range") == f"bytes */{len(SMALL)}"


@pytest.mark.parametrize("spec", ["lines=0-1", "bytes"])
def test_range_of_other_units_is_ignored(site, spec):
    r = site.get("r/small.txt", f"Range: {spec}")
    assert (r.status, r.body) == (200, SMALL)


def parts_of(r):
    """The parts of a multipart/byteranges response: [(content range, body)]."""
    boundary = re.fullmatch(r"multipart/byteranges; ?boundary=\"?([^\"]+)\"?", r.get("Content-Type")).group(1).encode()
    pieces = r.body.split(b"--" + boundary)
    assert pieces[0] in (b"", b"\r\n") and pieces[-1].strip() == b"--"
    out = []
    for p in pieces[1:-1]:
        head, body = p.split(b"\r\n\r\n", 1)
        assert body.endswith(b"\r\n")
        out.append((re.search(rb"(?i)content-range: (.+?)(\r\n|$)", head).group(1).decode(), body[:-2]))
    return out


def test_several_ranges(site):
    r = site.get("r/small.txt", "Range: bytes=0-1, 5-6 ,-2")
    assert r.status == 206 and r.complete
    assert parts_of(r) == [("bytes 0-1/20", b"01"), ("bytes 5-6/20", b"56"), ("bytes 18-19/20", b"ij")]


def test_several_ranges_of_a_large_file(site):
    spec = [(i * 200000, i * 200000 + 99999) for i in range(30)]
    r = site.get("r/big.bin", "Range: bytes=" + ",".join(f"{a}-{b}" for a, b in spec))
    assert [b for _, b in parts_of(r)] == [site.big.slice(a, b) for a, b in spec]
    assert r.get("Content-Length") == str(len(r.body))


def test_ranges_of_which_one_is_satisfiable(site):
    r = site.get("r/small.txt", "Range: bytes=3-4,100-")
    assert (r.status, r.body) == (206, b"34")


def test_overlapping_ranges_cannot_multiply_the_work(site):
    r = site.get("r/big.bin", "Range: bytes=" + ",".join("0-" for _ in range(200)))
    assert r.status in (200, 206, 416) and len(r.body) <= 2 * 8 * MiB + 100 * KiB


def test_etag_is_the_digest_and_strong(site):
    import hashlib
    etag = site.get("r/small.txt").get("ETag")
    assert hashlib.sha256(SMALL).hexdigest() in etag and not etag.startswith("W/")


def test_if_none_match(site):
    etag = site.get("r/small.txt").get("ETag")
    for value, status in [(etag, 304), ("*", 304), (f'"x", {etag}', 304), ("W/" + etag, 304), ('"x"', 200)]:
        r = site.get("r/small.txt", f"If-None-Match: {value}")
        assert r.status == status, value
        assert r.get("ETag") == etag
        assert r.body == (SMALL if status == 200 else b"")


def test_if_modified_since(site):
    date = site.get("r/small.txt").get("Last-Modified")
    later = email.utils.formatdate(email.utils.parsedate_to_datetime(date).timestamp() + 100, usegmt=True)
    earlier = email.utils.formatdate(email.utils.parsedate_to_datetime(date).timestamp() - 100, usegmt=True)
    for value, status in [(date, 304), (later, 304), (earlier, 200), ("yesterday", 200)]:
        assert site.get("r/small.txt", f"If-Modified-Since: {value}").status == status, value
    # the entity tag decides alone when both are there
    assert site.get("r/small.txt", f"If-Modified-Since: {date}", 'If-None-Match: "x"').status == 200


def test_preconditions_that_fail(site):
    r = site.get("r/small.txt")
    assert site.get("r/small.txt", 'If-Match: "x"').status == 412
    assert site.get("r/small.txt", f"If-Match: {r.get('ETag')}").status == 200
    assert site.get("r/small.txt", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:01 GMT").status == 412


def test_if_range(site):
    r = site.get("r/small.txt")
    for value, status in [(r.get("ETag"), 206), ('"x"', 200), ("W/" + r.get("ETag"), 200), (r.get("Last-Modified"), 206),
                          ("Thu, 01 Jan 1970 00:00:01 GMT", 200)]:
        assert site.get("r/small.txt", "Range: bytes=0-1", f"If-Range: {value}").status == status, value


def test_empty_file(site):
    r = site.get("r/empty")
    assert (r.status, r.body, r.get("Content-Length")) == (200, b"", "0")
    assert site.get("r/empty", "Range: bytes=0-").status in (200, 416)


# ---- paths

TRICKS = ["r/../../../etc/passwd", "r/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "r/%2E%2E%2F%2E%2E%2Fetc/passwd", "r/..%2f..%2fetc/passwd",
          "r//etc/passwd", "/etc/passwd", "r/%00", "r/small.txt%00.json", "r/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "r/%c0%af",
          "r/%e0%80%af", "r/%ff", "r/..;/", "r/%252e%252e/", "r/..\\..\\etc\\passwd", "r/%5c..%5c", "r/./small.txt", "r/%2e/small.txt",
          "r/d/../small.txt", "r/%", "r/%4", "r/%zz", "r/%u002e", "r/small.txt/..", "r/small.txt/.", "../../data/catalog.db",
          "..", "%2e%2e", "r/%0d%0aX-Injected:%20y", "r/%7f"]


@pytest.mark.parametrize("path", TRICKS)
def test_path_tricks(site, path):
    with site.conn() as c:
        r = c.ask("GET", CONTENT + path)
    assert 400 <= r.status < 500, r
    assert b"root:" not in r.body and r.get("X-Injected") is None


def test_percent_coding_of_harmless_bytes_means_the_same(site):
    assert site.get("r/%73mall.tx%74").body == SMALL
    assert site.get("r/d%2Fx.json").status == 400  # but an encoded slash is no separator


def test_a_path_that_is_refused_is_logged(site):
    with site.conn() as c:
        c.ask("GET", CONTENT + "r/%2e%2e/logged-trick")
    site.server.wait_log(r"logged-trick.*")


def test_the_data_directory_is_not_served(site):
    for path in ("/catalog.db", "/data/catalog.db", "/media/", "/pulp/media/", "/pulp/content/media/artifact/"):
        with site.conn() as c:
            assert c.ask("GET", path).status in (404, 401, 403), path


# ---- graceful shutdown

def test_shutdown_lets_responses_in_progress_end(sluice, upstream):
    body = upstream.add("/r/a", 4 * MiB)
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(2 * MiB, gate))
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    with Conn(sluice.connect(30)) as c, Conn(sluice.connect()) as idle:
        assert idle.ask("GET", API + "status/").status == 200
        c.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        head = c.head()
        assert head.status == 200
        gate.wait_reached()
        stopped = []
        t = threading.Thread(target=lambda: stopped.append(sluice.stop()))
        t.start()
        assert idle.closed()  # idle connections end at once
        wait_for("the server to refuse connections", lambda: _refused(sluice))
        assert not stopped
        gate.open()
        assert c._exactly(4 * MiB) == body.all()
        t.join()
        assert stopped == [0]


def _refused(s):
    try:
        s.connect().close()
        return False
    except OSError:
        return True


def test_shutdown_does_not_wait_for_ever(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_SERVER_DRAIN_TIMEOUT": "1s"})
    upstream.add("/r/a", 4 * MiB)
    upstream.rule("/r/a", hang=2 * MiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    with Conn(s.connect(30)) as c:
        c.send(f"GET {CONTENT}r/a HTTP/1.1\r\nHost: t\r\n\r\n")
        assert c.head().status == 200
        start = time.monotonic()
        assert s.stop() == 0
        assert 0.9 <= time.monotonic() - start < 15 * SLOW


def test_leaves_no_descriptor_behind(site):
    s = site.server
    before = s.fds()
    for _ in range(30):
        conns = [site.conn() for _ in range(10)]
        for i, c in enumerate(conns):
            if i % 3 == 0:
                c.send("GET /half")
            elif i % 3 == 1:
                c.send(f"GET {CONTENT}r/big.bin HTTP/1.1\r\nHost: t\r\n\r\n")
            c.sock.close()
    wait_for("descriptors to be closed", lambda: s.fds() <= before + 12 or None, 10 * SLOW)


def test_abuse_of_the_whole_file_at_once(site):
    """Two hundred connections that break every rule at the same time, and then all is as it was."""
    def abuse(i):
        try:
            with site.conn() as c:
                c.send([b"\0" * 1000, b"GET / HTTP/1.1\r\n" + b"A:b\r\n" * 5000, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nff",
                        f"GET {CONTENT}r/big.bin HTTP/1.1\r\nHost: t\r\n\r\n".encode() * 50][i % 4])
                if i % 2:
                    c.sock.recv(100)
        except OSError:
            pass
    threads = [threading.Thread(target=abuse, args=(i,)) for i in range(200)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert site.get("r/small.txt").body == SMALL
    assert isinstance(site.server, Sluice) and site.server.proc.poll() is None
