"""Requests byte by byte, and a strict reader of responses: what libraries would hide is what these tests are about."""
import socket
import time


class Response:
    def __init__(self, status, reason, headers, body, complete):
        self.status, self.reason, self.headers, self.body, self.complete = status, reason, headers, body, complete

    def get(self, name, default=None):
        got = [v for k, v in self.headers if k.lower() == name.lower()]
        assert len(got) <= 1, f"{name} came {len(got)} times: {got}"
        return got[0] if got else default

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.headers} {self.body[:200]!r}{'' if self.complete else ' INCOMPLETE'}>"


class Closed(Exception):
    """The server closed the connection where a response was expected."""


class Conn:
    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def send(self, *pieces):
        for p in pieces:
            self.sock.sendall(p if isinstance(p, bytes) else p.encode("latin-1"))
        return self

    def _more(self):
        try:
            piece = self.sock.recv(65536)
        except ConnectionError:
            piece = b""
        self.rest += piece
        return bool(piece)

    def _until(self, mark):
        while mark not in self.rest:
            if not self._more():
                raise Closed(self.rest)
        out, self.rest = self.rest.split(mark, 1)
        return out

    def _exactly(self, n):
        while len(self.rest) < n and self._more():
            pass
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def head(self):
        head = self._until(b"\r\n\r\n").decode("latin-1")
        lines = head.split("\r\n")
        version, status, reason = (lines[0] + " ").split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = []
        for line in lines[1:]:
            k, colon, v = line.partition(":")
            assert colon and k == k.strip() and k, f"malformed field {line!r}"
            headers.append((k, v.strip(" \t")))
        return Response(int(status), reason.strip(), headers, b"", False)

    def read(self, method="GET"):
        """The next response, framed as RFC 9112 says."""
        r = self.head()
        if r.status < 200:
            r.complete = True
            return r
        length, coding = r.get("Content-Length"), r.get("Transfer-Encoding")
        assert not (length is not None and coding is not None), r
        if method == "HEAD" or r.status in (204, 304):
            r.complete = True
        elif coding is not None:
            assert coding == "chunked", r
            r.complete = self._chunks(r)
        elif length is not None:
            r.body = self._exactly(int(length))
            r.complete = len(r.body) == int(length)
        else:
            while self._more():
                pass
            r.body, self.rest = self.rest, b""
            r.complete = True
        return r

    def _chunks(self, r):
        try:
            while True:
                n = int(self._until(b"\r\n"), 16)
                data = self._exactly(n + 2)
                r.body += data[:n]
                if len(data) < n + 2:
                    return False
                assert data[n:] == b"\r\n"
                if n == 0:
                    return True
        except Closed:
            return False

    def ask(self, method, path, *headers, body=b""):
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
        self.send("\r\n".join(lines) + "\r\n\r\n", body)
        return self.read(method)

    def closed(self, timeout=None):
        """Does the server close it (and send nothing before)? Waits as long as the socket's time-out, or `timeout`."""
        if timeout is not None:
            self.sock.settimeout(timeout)
        try:
            return self.rest == b"" and self.sock.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    def seconds_until_closed(self):
        start = time.monotonic()
        assert self.closed(), "the server keeps the connection open"
        return time.monotonic() - start
