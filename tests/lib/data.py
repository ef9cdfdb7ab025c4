"""Bodies for tests: bytes, or pseudo-random data of any size that costs one block of memory.

A Generated body is a block of random bytes, repeated; the number of the repetition is added into its first 16 bytes, so
that no two blocks are alike and a piece that lands at a wrong offset is noticed.
"""
import functools
import hashlib
import random

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

BLOCK = 256 * KiB


@functools.lru_cache(maxsize=16)
def _block(seed):
    return random.Random(seed).randbytes(BLOCK)


class Body:
    """What an upstream path serves. read() gives at most n bytes from off, fewer only at a block's or the body's end."""

    size = 0

    def read(self, off, n):
        raise NotImplementedError

    @functools.cached_property
    def sha256(self):
        h = hashlib.sha256()
        off = 0
        while off < self.size:
            piece = self.read(off, MiB)
            h.update(piece)
            off += len(piece)
        return h.hexdigest()

    def all(self):
        out = bytearray()
        while len(out) < self.size:
            out += self.read(len(out), MiB)
        return bytes(out)

    def slice(self, first, last):
        """Bytes first..last, both included, as Content-Range counts them."""
        out = bytearray()
        while first + len(out) <= last:
            out += self.read(first + len(out), last + 1 - first - len(out))
        return bytes(out)


class Bytes(Body):
    def __init__(self, data):
        self.data = bytes(data)
        self.size = len(self.data)

    def read(self, off, n):
        return self.data[off:off + n]


class Generated(Body):
    def __init__(self, size, seed=0):
        self.size = size
        self.seed = seed
        self._data = _block(seed) if size >= BLOCK else random.Random(seed).randbytes(size)

    def read(self, off, n):
        number, inner = divmod(off, BLOCK)
        n = min(n, BLOCK - inner, self.size - off)
        if inner < 16 and number > 0:
            first = (int.from_bytes(self._data[:16], "big") ^ number).to_bytes(16, "big")
            return (first + self._data[16:inner + n])[inner:inner + n]
        return self._data[inner:inner + n]


def as_body(what, seed=0):
    if isinstance(what, Body):
        return what
    if isinstance(what, int):
        return Generated(what, seed)
    if isinstance(what, str):
        return Bytes(what.encode())
    return Bytes(what)
