"""Entitlement certificates of RHSM: what `extensions` of front.Authority.issue makes one. The tree of version 3 is written here from the
format's description, so that it says something about the reader in src/guard/entitlement.c:

    a zlib stream of words, each ended by a NUL; the count of nodes; bits: for each node its edges, (word, node) by their Huffman codes,
    then the code of the empty word. Words weigh 1, 2, 3 …, nodes likewise but the root, which has no code.
"""
import heapq
import itertools
import zlib

BASE = "1.3.6.1.4.1.2312.9."


def codes(count):
    """Huffman codes of leaves that weigh 1, 2, 3 …; of equal weights the older goes first."""
    order = itertools.count()
    heap = [(i + 1, next(order), i) for i in range(count)]
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (a[0] + b[0], next(order), (a[2], b[2])))
    out = {}

    def walk(at, code):
        if isinstance(at, tuple):
            walk(at[0], code + "0")
            walk(at[1], code + "1")
        else:
            out[at] = code
    if heap:
        walk(heap[0][2], "")
    return out


def tree(paths):
    """The bytes of version 3. Ends of paths are one node, as those who issue certificates have it."""
    root, end = {}, {}
    for path in paths:
        at, parts = root, path.strip("/").split("/")
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        at[parts[-1]] = end
    nodes, seen = [root], {id(root): 0}
    for node in nodes:
        for child in node.values():
            if id(child) not in seen:
                seen[id(child)] = len(nodes)
                nodes.append(child)
    uses = {}
    for node in nodes:
        for word in node:
            uses[word] = uses.get(word, 0) + 1
    words = sorted(uses, key=lambda w: (uses[w], w))
    word_code, node_code = codes(len(words) + 1), codes(len(nodes) - 1)
    bits = ""
    for node in nodes:
        for word, child in node.items():
            bits += word_code[words.index(word)] + node_code[seen[id(child)] - 1]
        bits += word_code[len(words)]
    bits += "0" * (-len(bits) % 8)
    n = len(nodes)
    length = n.to_bytes((n.bit_length() + 7) // 8, "big")
    count = bytes([n]) if n < 128 else bytes([128 + len(length)]) + length
    return (zlib.compress(b"".join(w.encode() + b"\0" for w in words), 9) + count +
            int(bits or "0", 2).to_bytes(len(bits) // 8, "big"))


def octets(data):
    """DER of an OCTET STRING."""
    n = len(data)
    length = bytes([n]) if n < 128 else (lambda b: bytes([128 + len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return b"\x04" + length + data


def version_3(paths):
    return [f"{BASE}6=ASN1:UTF8String:3.4", f"{BASE}7=DER:{octets(tree(paths)).hex()}"]


def version_1(paths):
    return [f"{BASE}2.{i}.1.6=ASN1:UTF8String:{p}" for i, p in enumerate(paths, 37060)]
