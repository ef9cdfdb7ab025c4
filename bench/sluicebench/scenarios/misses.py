"""What is not saved yet: fetched, verified, saved, and served meanwhile."""
import hashlib
import subprocess
import time

from ..load import Load, Window, complaint
from ..machine import BUILD, SERVER_CPU, Spread, Trouble, empty
from ..peers.nginx import NginxProxy
from ..peers.sluice import SluicePeer
from ..report import Table

GBIT = 125_000_000  # bytes a second


def fresh(bench, kind, files, rules="", pinned=True):
    """A server that has none of it: a context."""
    class Fresh:
        def __enter__(self):
            self.side = kind(bench, bench.new_directory(kind.name), pinned)
            try:
                self.side.start()
                self.side.serve(files, rules)
            except BaseException:
                self.side.close()
                raise
            bench.origin.forget()
            return self.side

        def __exit__(self, *exc):
            self.side.close()
    return Fresh()


def sha256_cost(bench):
    """Processor seconds of one sha256 pass over a GiB, here and now, as sluice computes it (libcrypto), scaled."""
    block = bytes(1 << 20)
    out = []
    for _ in range(3):
        bench.gauge.speeds()
        before = time.thread_time_ns()
        h = hashlib.sha256()
        for _ in range(256):
            h.update(block)
        out.append((time.thread_time_ns() - before) / 1e9 * 4 * sum(bench.gauge.speeds()) / 2)
    return Spread(out).median


def big(bench):
    """a missing artifact of 1 GiB, one client"""
    o, files = bench.options, bench.files.get("one1g")
    gib = files.bytes / (1 << 30)
    kinds = bench.present([SluicePeer, NginxProxy, *bench.caches])
    speed, cost, peak, line = ({k.name: Spread() for k in kinds} for _ in range(4))
    for _ in range(o.miss_rounds):
        for kind in kinds:
            # Not pinned: a digest that is taken beside the loop needs somewhere to be.
            with bench.attempt(kind.name), fresh(bench, kind, files, pinned=False) as side:
                w = Window(bench, side, side.wants(files))
                bench.expect(kind.name, bench.origin.total()["requests"] == 1, "not one upstream GET")
                speed[kind.name].add(files.bytes / 1e6 / w.seconds)
                cost[kind.name].add(w.cpu_raw * (w.speed + w.load_speed) / 2 / gib)
                peak[kind.name].add(side.memory()[1] / (1 << 20))
    direct = Spread()
    if not o.quick:
        rules = f"rate={GBIT}"
        for kind in [None, SluicePeer, NginxProxy]:
            if kind is None:
                direct.add(at_line_rate(bench, bench.origin.port, [(f"/~{rules}/{files.name}/{files.files[0][0]}", 200, files.path(), 0, files.bytes)], files))
                continue
            if kind in kinds:
                with bench.attempt(kind.name), fresh(bench, kind, files, rules, pinned=False) as side:
                    line[kind.name].add(at_line_rate(bench, side.port, side.wants(files), files))
    digest = sha256_cost(bench)
    t = Table(f"Miss: one artifact of {gib:g} GiB, one client, both processors for everybody",
              ["server", "MB/s", "CPU-seconds per GiB", "peak resident MiB", "beside a direct download at 1 Gbit/s"])
    for name in cost:
        if cost[name].values:
            beside = f"{line[name].median / direct.median:.3f}" if direct.values and line[name].values else "–"
            t.row(name, speed[name].text(",.0f"), cost[name].text(".2f"), peak[name].text(".0f"), beside, value=cost[name].median, less=True)
    t.note(f"One pass of sha256 costs {digest:.2f} CPU-seconds per GiB here; of these servers sluice alone takes it.")
    ours, theirs = cost.get("sluice"), cost.get(NginxProxy.name)
    if ours and theirs and ours.values and theirs.values:
        t.goal("MB/s ≥ nginx proxy_cache", ">=", 1.0, "{:.2f} ×", speed["sluice"].median / speed[NginxProxy.name].median)
        t.goal(f"CPU ≤ nginx's + one sha256 pass ({theirs.median + digest:.2f} s per GiB)", "<=", theirs.median + digest, "{:.2f} s", ours.median)
        t.goal("≤ 64 MiB resident", "<=", 64, "{:.0f} MiB", max(peak["sluice"].values))
        if line["sluice"].values and direct.values:
            t.goal("at 1 Gbit/s ≥ 0.99 × direct", ">=", 0.99, "{:.3f} ×", line["sluice"].median / direct.median)
    return t


def at_line_rate(bench, port, wants, files):
    """MB/s of one download behind a paced upstream."""
    load = Load(port, wants, bench.directory)
    load.go()
    r = load.result()
    if complaint(r):
        raise Trouble(complaint(r))
    return files.bytes / 1e6 / r["seconds"]


SAVED_TOGETHER = 32  # about what sluice has to save at a time with 64 connections


def saving(bench, files):
    """Files per CPU-second that a bare program makes, fills, syncs in groups and links."""
    directory = bench.new_directory("saving")
    directory.mkdir(parents=True)
    sizes = "".join(f"{size}\n" for _, size, _ in files.files)
    bench.gauge.speeds()
    r = subprocess.run(["taskset", "-c", str(SERVER_CPU), BUILD / "bench" / "saving", directory, str(SAVED_TOGETHER)], input=sizes, text=True,
                       stdout=subprocess.PIPE, check=True)
    speed, _ = bench.gauge.speeds()
    empty(directory)
    return len(files.files) / (int(r.stdout) / 1e9 * speed)


def many(bench):
    """20,000 missing files of 4 to 64 KiB"""
    o, files = bench.options, bench.files.get("many")
    kinds = bench.present([SluicePeer, NginxProxy, *bench.caches])
    rate, wall, saved = ({k.name: Spread() for k in kinds} for _ in range(3))
    bare = Spread()
    for _ in range(o.miss_rounds):
        bare.add(saving(bench, files))
        for kind in kinds:
            with bench.attempt(kind.name), fresh(bench, kind, files) as side:
                w = Window(bench, side, side.wants(files), "-c", 64)
                total = bench.origin.total()["requests"]
                bench.expect(kind.name, total == len(files.files), f"{total} upstream GETs")
                rate[kind.name].add(w.per_cpu)
                wall[kind.name].add(w.requests / w.seconds)
                Window(bench, side, side.wants(files), "-c", 64)
                saved[kind.name].add(1 - (bench.origin.total()["requests"] - total) / len(files.files))
    t = Table(f"{len(files.files):,} missing files of 4 to 64 KiB, each once, 64 connections",
              ["server", "misses per CPU-second", "misses per second", "saved"])
    for name in rate:
        if rate[name].values:
            t.row(name, rate[name].text(",.0f"), wall[name].text(",.0f"), saved[name].text(".1%"), value=rate[name].median)
    t.row(f"bare saving, {SAVED_TOGETHER} at a time", bare.text(",.0f"), "–", "–")
    t.note("Bare saving makes, fills, syncs and links files as sluice does, and nothing else: no client, no upstream, no digest, no database "
           "(bench/saving.c).")
    t.note("sluice verifies each one and makes it durable (fdatasync, link, fsync of the directory, one catalog); the others write without "
           "waiting for the disk, or keep it in memory.")
    if rate.get("sluice") and rate["sluice"].values:
        t.goal("≥ 8,000 misses per CPU-second", ">=", 8000, "{:,.0f}", rate["sluice"].median)
    return t


