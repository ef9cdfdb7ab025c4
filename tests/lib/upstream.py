"""A programmable upstream: an HTTP/1.1 server that serves bodies from memory and misbehaves as told.

    up = Upstream()
    up.add("/r/a.bin", 16 * MiB)                    # pseudo-random; or bytes, str, a Body
    up.manifest("/r/PULP_MANIFEST")                 # lists what lies below /r/ when it is asked for
    up.rule("/r/a.bin", rate=16 * MiB)              # each request
    up.rule("/r/a.bin", drop_after=600000, times=1) # the next request only

Rules on a path stack; where two set the same thing the later one wins. `times` counts requests that a rule applied to,
`skip` lets the first ones pass, `when` is a function of the request. What a rule can set:

    latency=s            wait before the head            rate=bytes/s         pace of the body
    drop_after=n         close after n body bytes        drop_how="fin"|"rst"
    corrupt_at=off       flip one bit of that byte       replace=body         serve something else
    truncate=n           body ends there, honestly       length=n             what Content-Length claims
    ranges=False         ignore Range                    etag=str|None        another validator; None: none
    last_modified=s|None likewise                        status=n             answer with that, and retry_after=s
    headers={..}         further response headers        no_headers=[..]      leave these out
    chunked=True         no length                       until_close=True     no length, ends with the connection
    redirect=url         302 (or status=301…)            auth=(user, pw)      401 without
    need_header=(n, v)   403 without                     gate_head=gate       wait for the gate before the head
    gate_at=(n, gate)    wait for it after n body bytes  hang="head"|n        say nothing more, there or after n bytes
    reset=True           RST instead of an answer        garbage=bytes        send that instead of a response

Every request is recorded: requests(path), hits(path), bytes_sent(path). Threads: one for each connection.
"""
import base64
import email.utils
import fnmatch
import itertools
import select
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass

from data import Body, Bytes, as_body
from waiting import wait_for

DATE = 1_700_000_000  # Last-Modified of everything, unless told otherwise
PIECE = 64 * 1024


class Gate:
    """A barrier: the upstream stops there until the test opens it."""

    def __init__(self):
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.waiting = 0
        self.reached = 0

    def open(self):
        self._open.set()

    def wait_reached(self, n=1, timeout=10.0):
        wait_for(f"{n} upstream request(s) at the gate", lambda: self.reached >= n, timeout)

    def _pass(self, alive):
        with self._lock:
            self.waiting += 1
            self.reached += 1
        try:
            while not self._open.wait(0.05):
                if not alive():
                    return False
            return True
        finally:
            with self._lock:
                self.waiting -= 1


@dataclass
class Request:
    method: str
    path: str  # with the query
    headers: list
    conn: int
    at: float
    status: int = 0
    sent: int = 0  # body bytes handed to the kernel
    end: str = "open"  # open, done, dropped, client-gone, hung
    finished: float = 0.0

    def header(self, name):
        name = name.lower()
        for k, v in self.headers:
            if k.lower() == name:
                return v
        return None

    @property
    def range(self):
        return self.header("range")


class Rule:
    def __init__(self, path, what, times, skip, when):
        self.path, self.what, self.times, self.skip, self.when = path, what, times, skip, when


KNOWN = {"latency", "rate", "drop_after", "drop_how", "corrupt_at", "replace", "truncate", "length", "ranges", "etag",
         "last_modified", "status", "retry_after", "headers", "no_headers", "chunked", "until_close", "redirect", "auth",
         "need_header", "gate_head", "gate_at", "hang", "reset", "garbage", "body"}


class _Gone(Exception):
    """The client closed, or the server is being stopped."""


class Upstream:
    def __init__(self, host="127.0.0.1"):
        self.host = host
        self._lock = threading.Lock()
        self._files = {}
        self._manifests = {}
        self._declared = {}
        self._rules = []
        self.log = []
        self._conns = {}
        self._serial = itertools.count(1)
        self._stopping = threading.Event()
        self._sock = socket.create_server((host, 0), backlog=1024)
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name=f"upstream-{self.port}").start()

    # ---- what it serves

    @property
    def base(self):
        return f"http://{self.host}:{self.port}"

    def url(self, path="/"):
        return self.base + path

    def add(self, path, what=b"", seed=None):
        body = as_body(what, seed if seed is not None else len(self._files) + 1)
        with self._lock:
            self._files[path] = body
        return body

    def remove(self, path):
        with self._lock:
            del self._files[path]

    def body(self, path):
        return self._files[path]

    def sha256(self, path):
        return self._files[path].sha256

    def manifest(self, path="/PULP_MANIFEST"):
        """Serves a manifest of all files below its directory, as they are at the time of the request."""
        with self._lock:
            self._manifests[path] = True
        return self.url(path)

    def declare(self, path, sha256=None, size=None):
        """Lets manifests say something else about a file (or list one that is not there)."""
        with self._lock:
            self._declared[path] = (sha256, size)

    def manifest_bytes(self, path):
        base = path.rsplit("/", 1)[0] + "/"
        with self._lock:
            files = {p: b for p, b in self._files.items() if p.startswith(base)}
            for p in self._declared:
                if p.startswith(base):
                    files.setdefault(p, None)
            declared = dict(self._declared)
        lines = []
        for p in sorted(files):
            b = files[p]
            sha, size = declared.get(p, (None, None))
            sha = sha or (b.sha256 if b else "0" * 64)
            size = size if size is not None else (b.size if b else 1)
            lines.append(f"{p[len(base):]},{sha},{size}\n")
        return "".join(lines).encode()

    # ---- how it behaves

    def gate(self):
        return Gate()

    def rule(self, path, times=None, skip=0, when=None, **what):
        """`path` may be a pattern as in fnmatch. Returns the rule, for unrule()."""
        unknown = set(what) - KNOWN
        assert not unknown, f"unknown rule {unknown}"
        r = Rule(path, what, times, skip, when)
        with self._lock:
            self._rules.append(r)
        return r

    def unrule(self, rule=None):
        with self._lock:
            if rule is None:
                self._rules.clear()
            else:
                self._rules.remove(rule)

    def _rules_for(self, req):
        out = {}
        path = req.path.split("?", 1)[0]
        with self._lock:
            for r in self._rules:
                if not (r.path == path or fnmatch.fnmatchcase(path, r.path)):
                    continue
                if r.when is not None and not r.when(req):
                    continue
                if r.skip > 0:
                    r.skip -= 1
                    continue
                if r.times is not None:
                    if r.times == 0:
                        continue
                    r.times -= 1
                out.update(r.what)
        return out

    # ---- what it saw

    def requests(self, path=None, method="GET"):
        with self._lock:
            return [r for r in self.log if (path is None or r.path.split("?", 1)[0] == path) and
                    (method is None or r.method == method)]

    def hits(self, path=None, method="GET"):
        return len(self.requests(path, method))

    def bytes_sent(self, path=None):
        return sum(r.sent for r in self.requests(path))

    def settle(self, path=None, timeout=10.0):
        """Waits until every request is over: a client may have all bytes before the upstream has counted them."""
        wait_for(f"the end of the upstream's requests for {path}", lambda: all(r.finished for r in self.requests(path, None)), timeout)
        return self

    def forget(self):
        with self._lock:
            self.log.clear()

    def connections(self):
        with self._lock:
            return len(self._conns)

    def wait_hits(self, path, n=1, timeout=10.0):
        wait_for(f"{n} upstream request(s) for {path}", lambda: self.hits(path) >= n, timeout)

    # ---- the server

    def close(self):
        """Stops listening, and cuts every connection: what a dead upstream looks like."""
        self._stopping.set()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()
        self.drop_connections()

    def drop_connections(self):
        with self._lock:
            conns = list(self._conns.values())
        for c in conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _accept(self):
        while not self._stopping.is_set():
            try:
                conn, _ = self._sock.accept()
            except OSError:
                return
            n = next(self._serial)
            with self._lock:
                self._conns[n] = conn
            threading.Thread(target=self._connection, args=(conn, n), daemon=True).start()

    def _connection(self, conn, n):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = b""
        try:
            while not self._stopping.is_set():
                req, rest = self._read_head(conn, n, rest)
                if req is None:
                    return
                with self._lock:
                    self.log.append(req)
                try:
                    keep = self._answer(conn, req)
                except (OSError, _Gone):
                    if req.end == "open":
                        req.end = "client-gone"
                    return
                finally:
                    req.finished = time.monotonic()
                if not keep:
                    return
        except OSError:
            pass
        finally:
            with self._lock:
                self._conns.pop(n, None)
            conn.close()

    @staticmethod
    def _read_head(conn, n, rest):
        while b"\r\n\r\n" not in rest:
            piece = conn.recv(65536)
            if not piece or len(rest) > 1 << 20:
                return None, b""
            rest += piece
        head, rest = rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        if "://" in target:  # as a proxy is asked
            parts = urllib.parse.urlsplit(target)
            target = parts.path + ("?" + parts.query if parts.query else "")
        headers = []
        for line in lines[1:]:
            k, _, v = line.partition(":")
            headers.append((k.strip(), v.strip()))
        return Request(method, target, headers, n, time.monotonic()), rest

    def _alive(self, conn):
        if self._stopping.is_set():
            return False
        p = select.poll()
        p.register(conn, select.POLLIN | select.POLLRDHUP)
        for _, ev in p.poll(0):
            if ev & (select.POLLHUP | select.POLLERR | select.POLLNVAL | select.POLLRDHUP):
                return False
        return True

    def _pause(self, conn, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            if left > 0.05 and not self._alive(conn):
                raise _Gone

    def _find(self, path):
        path = path.split("?", 1)[0]
        with self._lock:
            body = self._files.get(path)
            if body is None and "%" in path:
                body = self._files.get(urllib.parse.unquote(path))
            is_manifest = path in self._manifests
        if body is None and is_manifest:
            return Bytes(self.manifest_bytes(path))
        return body

    def _answer(self, conn, req):
        """True: the connection may be used again."""
        act = self._rules_for(req)
        if act.get("latency"):
            self._pause(conn, act["latency"])
        if act.get("gate_head") and not act["gate_head"]._pass(lambda: self._alive(conn)):
            raise _Gone
        if act.get("hang") == "head":
            self._hang(conn, req)
        if act.get("reset"):
            return self._drop(conn, req, "rst")
        if "garbage" in act:
            conn.sendall(act["garbage"])
            return self._drop(conn, req, "fin")
        if "auth" in act:
            want = "Basic " + base64.b64encode(":".join(act["auth"]).encode()).decode()
            if req.header("authorization") != want:
                return self._short(conn, req, 401, {"WWW-Authenticate": 'Basic realm="upstream"'})
        if "need_header" in act and req.header(act["need_header"][0]) != act["need_header"][1]:
            return self._short(conn, req, 403)
        if "redirect" in act:
            return self._short(conn, req, act.get("status", 302), {"Location": act["redirect"]})
        if "status" in act:
            extra = {}
            if act.get("retry_after") is not None:
                extra["Retry-After"] = str(act["retry_after"])
            return self._short(conn, req, act["status"], extra, act.get("body"))
        body = as_body(act["replace"]) if "replace" in act else self._find(req.path)
        if req.method not in ("GET", "HEAD"):
            return self._short(conn, req, 405)
        if body is None:
            return self._short(conn, req, 404)
        return self._serve(conn, req, body, act)

    def _serve(self, conn, req, body, act):
        etag = act["etag"] if "etag" in act else f'"{body.sha256[:20]}"'
        when = act["last_modified"] if "last_modified" in act else DATE
        date = email.utils.formatdate(when, usegmt=True) if when is not None else None
        if (etag and req.header("if-none-match") == etag) or \
                (req.header("if-none-match") is None and date and req.header("if-modified-since") == date):
            return self._short(conn, req, 304, {"ETag": etag} if etag else {})
        size = min(body.size, act.get("truncate", body.size))
        first, last = 0, size - 1
        req.status = 200
        if req.range and act.get("ranges", True) and req.header("if-range") in (None, etag, date):
            first, last = self._parse_range(req.range, size)
            if first is None:
                return self._short(conn, req, 416, {"Content-Range": f"bytes */{size}"})
            req.status = 206
        headers = {"Content-Type": "application/x-upstream", "Accept-Ranges": "bytes"}
        if not act.get("ranges", True):
            del headers["Accept-Ranges"]
        if etag:
            headers["ETag"] = etag
        if date:
            headers["Last-Modified"] = date
        if req.status == 206:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        chunked, until_close = act.get("chunked"), act.get("until_close")
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif until_close:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(act.get("length", last + 1 - first))
        headers.update(act.get("headers", {}))
        for h in act.get("no_headers", ()):
            headers.pop(h, None)
        self._send_head(conn, req.status, headers)
        if req.method == "HEAD":
            req.end = "done"
            return True
        if not self._send_body(conn, req, body, first, last, act, chunked):
            return False
        req.end = "done"
        if chunked:
            conn.sendall(b"0\r\n\r\n")
        honest = act.get("length", last + 1 - first) == last + 1 - first
        return honest and not until_close and (req.header("connection") or "").lower() != "close"

    def _send_body(self, conn, req, body, first, last, act, chunked):
        rate, drop, corrupt = act.get("rate"), act.get("drop_after"), act.get("corrupt_at")
        stop_at, gate = act.get("gate_at", (None, None))
        hang = act["hang"] if isinstance(act.get("hang"), int) else None
        piece = PIECE if not rate else max(1024, min(PIECE, rate // 200))
        start = time.monotonic()
        off = first
        while True:
            if hang is not None and off - first >= hang:
                self._hang(conn, req)
            if drop is not None and off - first >= drop:
                return self._drop(conn, req, act.get("drop_how", "fin"))
            if gate is not None and off - first >= stop_at:
                if not gate._pass(lambda: self._alive(conn)):
                    raise _Gone
                gate = None
                start = time.monotonic() - ((off - first) / rate if rate else 0)
            if off > last:
                return True
            n = min(piece, last + 1 - off)
            for limit in (hang, drop, stop_at if gate is not None else None):
                if limit is not None:
                    n = min(n, first + limit - off)
            data = body.read(off, n)
            if corrupt is not None and off <= corrupt < off + len(data):
                data = bytearray(data)
                data[corrupt - off] ^= 1
            conn.sendall(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            off += len(data)
            req.sent += len(data)
            if rate:
                ahead = (off - first) / rate - (time.monotonic() - start)
                if ahead > 0.001:
                    self._pause(conn, ahead)
                if self._stopping.is_set():
                    raise _Gone

    @staticmethod
    def _parse_range(text, size):
        first, _, last = text.removeprefix("bytes=").partition("-")
        if first == "":
            return max(0, size - int(last)), size - 1
        first, last = int(first), min(int(last), size - 1) if last else size - 1
        return (None, None) if first >= size else (first, last)

    @staticmethod
    def _send_head(conn, status, headers):
        text = {200: "OK", 206: "Partial Content", 304: "Not Modified", 404: "Not Found"}.get(status, "Because")
        head = f"HTTP/1.1 {status} {text}\r\nDate: {email.utils.formatdate(usegmt=True)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        conn.sendall(head.encode("latin-1") + b"\r\n")

    def _short(self, conn, req, status, headers=None, body=None):
        req.status = status
        body = b"" if status == 304 else body if body is not None else b"upstream says %d\n" % status
        h = dict(headers or {})
        if status != 304:
            h["Content-Length"] = str(len(body))
            h["Content-Type"] = "text/plain"
        self._send_head(conn, status, h)
        if req.method != "HEAD":
            conn.sendall(body)
        req.end = "done"
        return True

    @staticmethod
    def _drop(conn, req, how):
        if how == "rst":
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            conn.shutdown(socket.SHUT_WR)
        req.end = "dropped"
        return False

    def _hang(self, conn, req):
        req.end = "hung"
        while self._alive(conn):
            time.sleep(0.02)
        raise _Gone


def refused_port(host="127.0.0.1"):
    """A port on which nobody listens: bound, and kept by the returned socket, but not listening."""
    s = socket.socket()
    s.bind((host, 0))
    return s, s.getsockname()[1]


__all__ = ["Upstream", "Gate", "Request", "Body", "refused_port", "DATE"]
