"""The servers that are compared. Each is configured as its friends would, with one worker, on the server's processor.

A peer is started for one measurement and ended after it. `serve` tells it what: a set of files, by the path that the upstream
gives them (with the rules of bench/origin.c in front)."""
import shutil

from ..machine import CORES, SERVER_CPU, cpu_ns, empty, free_port, kill, memory, start, tree, wait_port


class Peer:
    name = ""        # as tables show it
    packages = ()    # of Debian
    program = ""     # without which there is nothing to measure
    static = False   # serves the files themselves, not an upstream

    def __init__(self, bench, directory, pinned=True):
        self.bench = bench
        self.directory = directory
        self.cpus = [SERVER_CPU] if pinned else CORES
        self.port = free_port()
        self.p = None
        directory.mkdir(parents=True)
        directory.chmod(0o755)

    @classmethod
    def missing(cls):
        """Why it cannot take part, or nothing."""
        if cls.program and not shutil.which(cls.program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"):
            return f"no {cls.program}"
        return ""

    def start(self):
        raise NotImplementedError

    def serve(self, files, rules=""):
        """Makes a set available, and remembers under which path."""
        self.prefix = f"/{'~' + rules + '/' if rules else ''}{files.name}/"

    def run(self, *args, **kw):
        self.p = start(args, cpus=self.cpus, log=self.directory / "log", stdin=-3, stdout=-3, **kw)
        wait_port(self.port, self.p)

    def target(self, path):
        return self.prefix + path

    def wants(self, files, status=200):
        """All of a set, to be compared byte by byte."""
        return [(self.target(path), status, files.directory / path, 0, size) for path, size, _ in files.files]

    def pids(self):
        return tree(self.p.pid)

    def settle(self):
        """Until nothing of the last load is left to do: its processor time stands still."""
        import time
        pids, before = self.pids(), -1
        for _ in range(100):
            now = cpu_ns(pids)
            if now - before < 2_000_000 and before >= 0:
                return
            before = now
            time.sleep(0.05)

    def memory(self):
        return memory(self.pids())

    def log_tail(self):
        try:
            return (self.directory / "log").read_text("utf-8", "replace").strip().split("\n")[-1][-200:]
        except OSError:
            return ""

    def close(self):
        if self.p is not None:
            kill(self.p)
            self.p = None
        empty(self.directory)
