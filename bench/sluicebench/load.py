"""Clients and upstream of a run, and one measured window."""
import json
import subprocess
import time
import urllib.request

from .machine import BUILD, LOAD_CPU, Trouble, cpu_ns, kill, start


class Origin:
    """bench/origin.c on the load's processor."""

    def __init__(self, directory):
        self.p = start([BUILD / "bench" / "origin", directory], cpus=[LOAD_CPU], stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline().split()[1])

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def total(self, path=None):
        """What was asked of it: requests, ranges, bytes; of one path or of all."""
        with urllib.request.urlopen(self.url("_total" + (f"/{path}" if path else "")), timeout=10) as r:
            return json.load(r)

    def forget(self):
        urllib.request.urlopen(self.url("_forget"), timeout=10).read()

    def close(self):
        kill(self.p)


class Load:
    """bench/load.c: ready when made, runs with go(), and result() waits for its end."""

    def __init__(self, port, wants, directory, *options, cpus=(LOAD_CPU,)):
        """wants: (target, status, file or "-", offset, length)."""
        path = directory / f"list-{time.monotonic_ns()}"
        with open(path, "w") as f:
            for w in wants:
                f.write(" ".join(map(str, w)) + "\n")
        self.p = start([BUILD / "bench" / "load", *options, port, path], cpus=list(cpus), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       text=True, log=directory / "load.log")
        if self.p.stdout.readline() != "ready\n":
            self.close()
            raise Trouble("the load generator did not start")
        path.unlink()

    def go(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()

    def steady(self):
        """With -r: until every connection has its head."""
        if self.p.stdout.readline() != "steady\n":
            raise Trouble("not every slow reader got its answer")

    def result(self):
        text = self.p.stdout.readline()
        self.close()
        if not text:
            raise Trouble("the load generator broke off")
        return json.loads(text)

    def close(self):
        kill(self.p)


BAD = ("bad_status", "bad_length", "wrong_bytes", "cut_short", "no_answer", "refused", "unfinished")


def complaint(r):
    """What of a load's result is not as it must be; empty when all is well."""
    return ", ".join(f"{r[k]} {k.replace('_', ' ')}" for k in BAD if r[k])


class Window:
    """One run of a load against one server: what came, and what it cost the server."""

    def __init__(self, bench, side, wants, *options, settle=True, allow_bad=False, cpus=None):
        load = Load(side.port, wants, bench.directory, *options, **({"cpus": cpus} if cpus else {}))
        pids = side.pids()
        bench.gauge.speeds()
        before = cpu_ns(pids)
        load.go()
        self.load = load.result()
        if settle:
            side.settle()
        self.cpu_raw = (cpu_ns(side.pids()) - before) / 1e9
        self.speed, self.load_speed = bench.gauge.speeds()
        self.cpu = self.cpu_raw * self.speed
        self.requests, self.bytes, self.seconds = (self.load[k] for k in ("requests", "bytes", "seconds"))
        bad = complaint(self.load)
        if bad and not allow_bad:
            raise Trouble(bad)

    @property
    def per_cpu(self):
        return self.requests / self.cpu

    @property
    def cpu_per_gib(self):
        return self.cpu / (self.bytes / (1 << 30))
