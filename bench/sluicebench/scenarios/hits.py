"""What is saved, served again and again: processor time per request and per byte."""
from ..machine import Spread
from ..load import Window
from ..peers.ceiling import Constant, Sendfile
from ..peers.nginx import NginxProxy, NginxStatic
from ..peers.sluice import SluicePeer
from ..report import Table

CONNECTIONS = 64


def warm(bench, side, wants, connections=16, *options):
    """Everything twice, each body compared: so that it is saved, and then known as saved (open files, resolved paths)."""
    for _ in range(2):
        Window(bench, side, wants, "-c", connections, *options)


def alternate(bench, sides, seconds, rounds, value, *options):
    """Rounds of one window for each side in turn: {name: Spread of value(window)}, and the windows' own figures."""
    out = {s.name: Spread() for s, _ in sides}
    for _ in range(rounds):
        for side, wants in sides:
            with bench.attempt(side.name):
                out[side.name].add(value(Window(bench, side, wants, "-d", int(seconds * 1000), *options, settle=False)))
    return out


def ratio(spreads, name, base):
    """Round by round, because the machine's speed changes slowly: neighbours compare best."""
    return Spread(a / b for a, b in zip(spreads[name].values, spreads[base].values))


def rates(bench, title, files, peers, connections, seconds, rounds, goals):
    """Requests per second of processor time."""
    sides = []
    with bench.peers(peers) as started:
        for side in started:
            with bench.attempt(side.name):
                side.serve(files)
                wants = side.wants(files)
                warm(bench, side, wants)
                sides.append((side, wants))
        got = alternate(bench, sides, seconds, rounds, lambda w: w.per_cpu, "-c", connections)
    t = Table(title, ["server", "requests per CPU-second", "beside nginx static"])
    for name, spread in got.items():
        if spread.values:
            beside = ratio(got, name, NginxStatic.name) if NginxStatic.name in got else Spread()
            t.row(name, spread.text(",.0f"), beside.text(".2f"), value=spread.median)
    if got.get("sluice") and NginxStatic.name in got and got["sluice"].values:
        t.goal(*goals, ratio(got, "sluice", NginxStatic.name).median)
    return t


def hit(bench):
    """a saved 4 KiB artifact, keep-alive"""
    o = bench.options
    return rates(bench, "Hit: one saved artifact of 4 KiB, 64 connections, keep-alive", bench.files.get("one4k"),
                 [SluicePeer, NginxStatic, NginxProxy, *bench.caches, Constant], CONNECTIONS, o.seconds, o.rounds,
                 ("≥ 1.3 × nginx static", ">=", 1.3, "{:.2f} ×"))


def files(bench):
    """20,000 saved files of 4 to 64 KiB, at random"""
    o = bench.options
    return rates(bench, f"Hits over {o.many:,} saved files of 4 to 64 KiB, at random, 64 connections", bench.files.get("many"),
                 [SluicePeer, NginxStatic, *bench.caches], CONNECTIONS, o.seconds, o.rounds, ("≥ 1.3 × nginx static", ">=", 1.3, "{:.2f} ×"))


def large(bench):
    """a saved file of 256 MiB"""
    o, files = bench.options, bench.files.get("one256m")
    sides = []
    with bench.peers([SluicePeer, NginxStatic, *bench.caches, Sendfile]) as started:
        for side in started:
            with bench.attempt(side.name):
                side.serve(files)
                wants = side.wants(files)
                warm(bench, side, wants, 1)
                sides.append((side, wants))
        got = {s.name: Spread() for s, _ in sides}
        for _ in range(o.rounds):
            for side, wants in sides:
                with bench.attempt(side.name):
                    got[side.name].add(Window(bench, side, wants, "-c", 4, "-n", 4 if o.quick else 12, settle=False).cpu_per_gib)
    t = Table("Hit: one saved artifact of 256 MiB, 4 connections", ["server", "CPU-seconds per GiB", "beside nginx static", "beside bare sendfile"])
    for name, spread in got.items():
        if spread.values:
            beside = [ratio(got, name, b).text(".2f") if b in got else "–" for b in (NginxStatic.name, Sendfile.name)]
            t.row(name, spread.text(".3f"), *beside, value=spread.median, less=True)
    for base, most in ((NginxStatic.name, 1.0), (Sendfile.name, 1.1)):
        if base in got and "sluice" in got and got[base].values and got["sluice"].values:
            t.goal(f"≤ {most:g} × {base}", "<=", most, "{:.2f} ×", ratio(got, "sluice", base).median)
    return t


def notfound(bench):
    """an unknown path beside a saved 4 KiB artifact"""
    o, files = bench.options, bench.files.get("many")
    small = bench.files.get("one4k")
    sides, hits = [], None
    with bench.peers([SluicePeer, NginxStatic]) as started:
        for side in started:
            with bench.attempt(side.name):
                side.serve(files)
                sides.append((side, [(side.target(f"no/such/path-{i}"), 404, "-", 0, -1) for i in range(1000)]))
                if isinstance(side, SluicePeer):
                    side.serve(small)
                    hits = Named(side, "sluice, a hit of 4 KiB")
                    warm(bench, side, side.wants(small))
                    sides.append((hits, side.wants(small)))
        got = alternate(bench, sides, o.seconds, o.rounds, lambda w: w.per_cpu, "-c", CONNECTIONS)
    t = Table(f"Unknown paths: 404 of a distribution of {o.many:,} paths, 64 connections", ["server", "requests per CPU-second"])
    for name, spread in got.items():
        if spread.values:
            t.row(name, spread.text(",.0f"), value=spread.median)
    if hits is not None and got["sluice"].values and got[hits.name].values:
        t.goal("≥ the rate of a hit of 4 KiB", ">=", 1.0, "{:.2f} ×", ratio(got, "sluice", hits.name).median)
    return t


class Named:
    """The same server under another name, for a second row."""

    def __init__(self, side, name):
        self.side, self.name = side, name

    def __getattr__(self, key):
        return getattr(self.side, key)


