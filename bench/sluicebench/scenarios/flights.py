"""One download, many readers: herds, late joiners, ranges far ahead, upstreams that break off or lie. The artifact has 64 MiB
and is asked for when no server has it."""
import time

from ..load import Load, Window, complaint
from ..machine import Spread, Trouble
from ..peers.ceiling import Paced
from ..peers.nginx import NginxProxy
from ..peers.sluice import SluicePeer
from ..report import Table
from .misses import fresh

MIB = 1 << 20
RATE = 64 * MIB  # of the upstream, bytes a second
CLIENTS, SHARE = 50, 10  # each of the herd compares a tenth, five times over in all, so that the load's processor keeps up
PART = (50 * MIB, MIB)  # of the range: offset, length


def kinds_of(bench):
    return bench.present([SluicePeer, NginxProxy, *bench.caches])


def each(load):
    """What -e of bench/load.c printed, by client; times in milliseconds."""
    return {c: {"began": b / 1000, "first": (f - b) / 1000, "done": d / 1000, "bytes": n, "outcome": o} for c, b, f, d, n, o in load["each"]}


def upstream_quiet(bench, seconds=0.5):
    """Until the upstream has sent nothing more for that long: downloads that go on without a reader are over."""
    before, since, end = None, time.monotonic(), time.monotonic() + 60
    while time.monotonic() < end:
        now = bench.origin.total()["bytes"]
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since >= seconds:
            return
        time.sleep(0.05)
    raise Trouble("the upstream is still asked after a minute")


def herd(bench):
    """50 clients, one missing artifact, upstream at 64 MiB/s"""
    files, kinds = bench.files.get("one64m"), [*kinds_of(bench), Paced]
    gets, slowest, first, cpu = ({k.name: Spread() for k in kinds} for _ in range(4))
    ideal = files.bytes / RATE
    for _ in range(bench.options.miss_rounds):
        for kind in kinds:
            with bench.attempt(kind.name), fresh(bench, kind, files, f"rate={RATE}") as side:
                w = Window(bench, side, side.wants(files), "-c", CLIENTS, "-n", CLIENTS, "-s", SHARE)
                gets[kind.name].add(bench.origin.total()["requests"])
                slowest[kind.name].add(w.load["done_us"]["max"] / 1e6 / ideal)
                first[kind.name].add(w.load["first_us"]["p99"] / 1000)
                cpu[kind.name].add(w.cpu)
    t = Table(f"Herd: {CLIENTS} clients at once, one missing artifact of 64 MiB, upstream at 64 MiB/s",
              ["server", "slowest client, beside the upstream's own time", "first byte, p99, ms", "CPU-seconds", "upstream GETs"])
    t.note(f"The {Paced.name} does nothing but send: no upstream, no digest, no saving. On a loopback interface the sender's processor also does the "
           "work of the receiving side.")
    for name in gets:
        if gets[name].values:
            t.row(name, slowest[name].text(".3f"), first[name].text(".1f"), cpu[name].text(".2f"), gets[name].text(".0f"),
                  value=slowest[name].median, less=True)
    if gets.get("sluice") and gets["sluice"].values:
        t.goal("1 upstream GET", "==", 1, "{:.0f}", max(gets["sluice"].values))
        t.goal("slowest client ≤ 1.03 × ideal", "<=", 1.03, "{:.3f} ×", slowest["sluice"].median)
        t.goal("first byte, p99 ≤ 10 ms", "<=", 10, "{:.1f} ms", first["sluice"].median)
        t.goal("≤ 0.3 CPU-seconds", "<=", 0.3, "{:.2f} s", cpu["sluice"].median)
        t.goal("CPU ≤ 1.25 × the bare loop that sends what comes", "<=", 1.25, "{:.2f} ×", cpu["sluice"].median / cpu[Paced.name].median)
    return t


def late(bench):
    """a second client when the first one is half through"""
    files, kinds = bench.files.get("one64m"), kinds_of(bench)
    first, behind, gets = ({k.name: Spread() for k in kinds} for _ in range(3))
    for _ in range(bench.options.miss_rounds):
        for kind in kinds:
            with bench.attempt(kind.name), fresh(bench, kind, files, f"rate={RATE}") as side:
                got = each(Window(bench, side, side.wants(files), "-c", 2, "-n", 2, "-a", files.bytes // 2, "-e").load)
                first[kind.name].add(got[1]["first"])
                behind[kind.name].add(got[1]["done"] - got[0]["done"])
                gets[kind.name].add(bench.origin.total()["requests"])
    t = Table("Late joiner: a second client after 32 of 64 MiB, upstream at 64 MiB/s",
              ["server", "first byte, ms", "done after the first client, ms", "upstream GETs"])
    for name in first:
        if first[name].values:
            t.row(name, first[name].text(".1f"), behind[name].text(".0f"), gets[name].text(".0f"), value=first[name].median, less=True)
    if first.get("sluice") and first["sluice"].values:
        t.goal("first byte ≤ 5 ms", "<=", 5, "{:.1f} ms", first["sluice"].median)
        t.goal("done with the first client: ≤ 10 ms after it", "<=", 10, "{:.0f} ms", behind["sluice"].median)
    return t


def first_byte_of_upstream(bench, files, rules):
    """Milliseconds to the first byte of the range, asked of the upstream itself."""
    off, n = PART
    load = Load(bench.origin.port, [(f"/~{rules},as=direct/{files.name}/{files.files[0][0]}", 206, files.path(), off, n)], bench.directory,
                "-H", f"Range: bytes={off}-{off + n - 1}")
    load.go()
    r = load.result()
    if complaint(r):
        raise Trouble(complaint(r))
    return r["first_us"]["max"] / 1000


def cold_range(bench):
    """a range far into a missing artifact"""
    o, files, kinds = bench.options, bench.files.get("one64m"), kinds_of(bench)
    off, n = PART
    rules = f"rate={RATE}"
    over, sent = ({k.name: Spread() for k in kinds} for _ in range(2))
    hits = {k.name: [] for k in kinds}
    for _ in range(o.miss_rounds):
        own = Spread(first_byte_of_upstream(bench, files, rules) for _ in range(5)).median
        for kind in kinds:
            with bench.attempt(kind.name), fresh(bench, kind, files, rules) as side:
                wants = [(side.target(files.files[0][0]), 206, files.path(), off, n)]
                w = Window(bench, side, wants, "-H", f"Range: bytes={off}-{off + n - 1}", settle=False)
                over[kind.name].add(w.load["first_us"]["max"] / 1000 - own)
                upstream_quiet(bench)
                before = bench.origin.total()
                sent[kind.name].add(before["bytes"] / files.bytes)
                Window(bench, side, side.wants(files), settle=False)
                hits[kind.name].append(bench.origin.total()["requests"] == before["requests"])
    t = Table("Cold range: 1 MiB at 50 of 64 MiB, upstream at 64 MiB/s",
              ["server", "first byte, ms over the upstream's own", "upstream bytes / artifact", "the next full GET is a hit"])
    for name in over:
        if over[name].values:
            t.row(name, over[name].text(".1f"), sent[name].text(".3f"), "yes" if all(hits[name]) else "no", value=max(over[name].median, 0), less=True)
    if over.get("sluice") and over["sluice"].values:
        t.goal("first byte ≤ 5 ms over the upstream's", "<=", 5, "{:.1f} ms", over["sluice"].median)
        t.goal("upstream bytes ≤ artifact + range", "<=", 1 + n / files.bytes, "{:.3f} × artifact", max(sent["sluice"].values))
        t.goal("the next full GET is a hit, always", ">=", 1, "{:.0%}", sum(hits["sluice"]) / len(hits["sluice"]))
    return t


# What the upstream does, by the rules of bench/origin.c.
BREAKS = {"broken off, with length": "drop={half}", "broken off, chunked": "drop={half},chunked", "broken off, by close": "drop={half},close"}
FLIPPED = "flip={late}"


def ask(bench, side, files):
    """One GET of the artifact: what came."""
    w = Window(bench, side, side.wants(files), "-e", allow_bad=True, settle=False)
    got = next(iter(each(w.load).values()))
    got["whole"] = got["outcome"] == "ok"
    # A cut that the framing shows makes a client complain; one that it does not show is taken for the whole.
    got["unseen"] = w.load["unseen"] > 0
    return got


def broken(bench):
    """an upstream that breaks off half-way, or sends a wrong byte"""
    files, kinds = bench.files.get("one64m"), kinds_of(bench)
    numbers = {"half": files.bytes // 2, "late": files.bytes * 3 // 4}
    t = Table("Broken upstream: it breaks off after 32 of 64 MiB, once; or byte 48 MiB is a wrong one, always",
              ["server", *BREAKS, "one byte flipped"])
    right, cost, lies = 0, 0.0, []
    for kind in kinds:
        cells = []
        for rules in [*BREAKS.values(), FLIPPED]:
            cell = "–"
            with bench.attempt(kind.name), fresh(bench, kind, files, rules.format(**numbers)) as side:
                got = ask(bench, side, files)
                upstream_quiet(bench)
                sent = bench.origin.total()["bytes"]
                again = ask(bench, side, files)
                upstream_quiet(bench)
                kept = bench.origin.total()["bytes"] == sent and again["unseen"]
                cell = "whole" if got["whole"] else "wrong, unseen" if got["unseen"] else "cut short"
                cell += f", {sent / files.bytes:.2f} ×" + (", kept" if kept else "")
                if kind is SluicePeer and rules == FLIPPED:
                    lies = [got["unseen"] or again["unseen"], kept]
                elif kind is SluicePeer:
                    right += got["whole"]
                    cost = max(cost, sent / files.bytes)
            cells.append(cell)
        t.row(kind.name, *cells)
    t.note("What the first client got, and the upstream's bytes beside the artifact's. Wrong, unseen: the answer ended as if all were well. "
           "Kept: the next client gets the same from the cache.")
    if SluicePeer in kinds:
        t.goal("complete and right in all three cases", ">=", len(BREAKS), "{:.0f} of 3", right)
        t.goal("upstream bytes ≤ 1.01 × artifact", "<=", 1.01, "{:.3f} ×", cost)
        if lies:
            t.goal("the flipped one is never complete", "==", 0, "{:.0f} times", lies[0])
            t.goal("the flipped one is never kept", "==", 0, "{:.0f} times", lies[1])
    return t
