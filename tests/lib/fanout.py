"""N clients of one URL from one process and one thread, for tests that measure: epoll, received into memory that is there
already (when SIZE is given), so that the clients cost little of what is measured. As a program:

    fanout.py URL N [SIZE]

prints a JSON list with, for each client: status, bytes, sha256, first (seconds until the first body byte), done (until
the last), complete (the connection delivered its Content-Length, or its last chunk).
"""
import hashlib
import json
import pathlib
import select
import socket
import subprocess
import sys
import time
import urllib.parse

MAX_HEAD = 65536


class Client:
    def __init__(self, where, request, room):
        self.room = room
        self.start = time.monotonic()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.connect(where)
        self.sock.sendall(request)
        self.sock.setblocking(False)
        self.head = b""
        self.status = 0
        self.length = None
        self.chunked = False
        self.data = None
        self.got = 0
        self.first = None
        self.end = None

    def ready(self):
        """True when there is nothing more to come."""
        if self.data is None or self.length is None:
            piece = self._recv()
            if piece is None:
                return False
            if not piece:
                return True
            return self._early(piece)
        while self.got < self.length:
            try:
                n = self.sock.recv_into(memoryview(self.data)[self.got:], min(1 << 18, self.length - self.got))
            except BlockingIOError:
                return False
            except OSError:
                return True
            if n == 0:
                return True
            if self.first is None:
                self.first = time.monotonic()
            self.got += n
        return True

    def _recv(self):
        try:
            return self.sock.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _early(self, piece):
        if self.data is not None:  # no length: keep what comes
            self.first = self.first or time.monotonic()
            self.data += piece
            self.got += len(piece)
            return self.chunked and self.data.endswith(b"0\r\n\r\n")
        self.head += piece
        if b"\r\n\r\n" not in self.head:
            return len(self.head) > MAX_HEAD
        head, rest = self.head.split(b"\r\n\r\n", 1)
        self.status = int(head.split(b" ", 2)[1])
        for line in head.split(b"\r\n")[1:]:
            k, _, v = line.partition(b":")
            if k.lower() == b"content-length":
                self.length = int(v)
            if k.lower() == b"transfer-encoding":
                self.chunked = True
        if rest:
            self.first = time.monotonic()
        self.got = len(rest)
        if self.length is None:
            self.data = bytearray(rest)
            return self.chunked and rest.endswith(b"0\r\n\r\n")
        self.data = self.room if len(self.room) >= self.length else bytearray(self.length)
        self.data[:len(rest)] = rest
        return self.got >= self.length or self.ready()

    def body(self):
        if not self.chunked:
            return bytes(memoryview(self.data or b"")[:self.got])
        out, data = b"", bytes(self.data or b"")
        while data:
            size, _, data = data.partition(b"\r\n")
            n = int(size, 16)
            out, data = out + data[:n], data[n + 2:]
            if n == 0:
                self.complete = True
        return out

    complete = False

    def result(self):
        body = self.body()
        return {"status": self.status, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(),
                "first": self.first and self.first - self.start, "done": self.end - self.start,
                "complete": self.complete if self.chunked else self.got == self.length, "head": self.head.decode("latin-1")[:2000]}


def run(url, n, size=0, timeout=120):
    parts = urllib.parse.urlsplit(url)
    where = (parts.hostname, parts.port)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    rooms = [bytearray(b"\1") * size for _ in range(n)]  # touched now, not when it is timed
    ep = select.epoll()
    open_, done = {}, []
    deadline = time.monotonic() + timeout
    for room in rooms:
        c = Client(where, request, room)
        open_[c.sock.fileno()] = c
        ep.register(c.sock.fileno(), select.EPOLLIN)
    while open_ and time.monotonic() < deadline:
        for fd, _ in ep.poll(0.5):
            c = open_[fd]
            if c.ready():
                c.end = time.monotonic()
                ep.unregister(fd)
                c.sock.close()
                done.append(open_.pop(fd))
    for c in open_.values():
        c.end = time.monotonic()
    return [c.result() for c in [*done, *open_.values()]]


def spawn(url, n, size=0):
    """As a process of its own. Returns a function that waits for it and gives the results."""
    p = subprocess.Popen([sys.executable, str(pathlib.Path(__file__)), url, str(n), str(size)], stdout=subprocess.PIPE, text=True)

    def results(timeout=150):
        out, _ = p.communicate(timeout=timeout)
        assert p.returncode == 0
        return json.loads(out)
    return results


if __name__ == "__main__":
    json.dump(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0), sys.stdout)
