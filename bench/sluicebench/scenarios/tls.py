"""What is saved, over TLS 1.3 with AES-128-GCM or what else the two agree on: processor time per request and per byte."""
import re
import subprocess

from ..load import Window
from ..machine import Spread
from ..peers.nginx import Nginx
from ..peers.sluice import SluicePeer
from ..report import Table
from .hits import CONNECTIONS, ratio, warm


def identity(bench):
    """A certificate (ECDSA, P-256) and its key, in one file."""
    path = bench.directory / "identity.pem"
    if not path.exists():
        out = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                              "/CN=127.0.0.1", "-keyout", "-", "-out", "-"], capture_output=True, text=True, check=True).stdout
        path.touch(0o600)
        path.write_text(out)
    return path


class NginxTls(Nginx):
    name = "nginx static"

    def start(self):
        pem = identity(self.bench)
        self.configure(f"""  server {{ listen 127.0.0.1:{self.port} ssl backlog=4096; root {self.bench.files.directory}; ssl_protocols TLSv1.3;
    ssl_certificate {pem}; ssl_certificate_key {pem}; }}\n""")

    def serve(self, files, rules=""):
        self.prefix = f"/{files.name}/"


class SluiceTls(SluicePeer):
    """Its plain address is for the API."""
    listen = "127.0.0.1:0,https://127.0.0.1:0"

    def start(self):
        super().start(SLUICE_SERVER_TLS_CERTIFICATES=identity(self.bench))
        self.port = int(re.search(r"listening on https://127\.0\.0\.1:(\d+)/", self.server.log()).group(1))


def measure(bench, files, connections, rounds, window):
    """{name: Spread of window(side, wants)}; the servers take turns."""
    sides, got = [], {}
    with bench.peers([SluiceTls, NginxTls]) as started:
        for side in started:
            with bench.attempt(side.name):
                side.serve(files)
                wants = side.wants(files)
                warm(bench, side, wants, connections, "-t")
                sides.append((side, wants))
                got[side.name] = Spread()
        for _ in range(rounds):
            for side, wants in sides:
                with bench.attempt(side.name):
                    got[side.name].add(window(side, wants))
    return got


def table(title, column, got, fmt, goal, how, bound, less=False):
    t = Table(title, ["server", column, "beside nginx"])
    for name, spread in got.items():
        if spread.values:
            t.row(name, spread.text(fmt), ratio(got, name, NginxTls.name).text(".2f"), value=spread.median, less=less)
    if all(s.values for s in got.values()) and len(got) == 2:
        t.goal(goal, how, bound, "{:.2f} ×", ratio(got, SluiceTls.name, NginxTls.name).median)
    return t


def rates(bench, *options):
    o = bench.options
    return measure(bench, bench.files.get("one4k"), 16, o.rounds, lambda side, wants: Window(
        bench, side, wants, "-t", "-c", CONNECTIONS, "-d", int(o.seconds * 1000), *options, settle=False).per_cpu)


def small(bench):
    """a saved 4 KiB artifact over TLS 1.3, keep-alive"""
    return table("TLS: one saved artifact of 4 KiB, 64 connections, keep-alive", "requests per CPU-second", rates(bench), ",.0f",
                 "≥ 1.2 × nginx", ">=", 1.2)


def handshakes(bench):
    """a full TLS 1.3 handshake (ECDSA P-256) for each 4 KiB"""
    return table("TLS: a connection and a full handshake for each 4 KiB, 64 at once", "requests per CPU-second", rates(bench, "-x"), ",.0f",
                 "≥ 1.0 × nginx", ">=", 1.0)


def large(bench):
    """a saved file of 256 MiB over TLS 1.3"""
    o = bench.options
    got = measure(bench, bench.files.get("one256m"), 1, o.rounds, lambda side, wants: Window(
        bench, side, wants, "-t", "-c", 4, "-n", 4 if o.quick else 8, settle=False).cpu_per_gib)
    return table("TLS: one saved artifact of 256 MiB, 4 connections", "CPU-seconds per GiB", got, ".3f", "≤ 1.0 × nginx", "<=", 1.0, True)
