"""Processes of a run and what they use: starting, pinning, processor time, memory, and the end of all of them."""
import atexit
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BENCH_BUILD", ROOT / "build-release")).resolve()
os.environ.setdefault("SLUICE_BIN", str(BUILD / "sluice"))
sys.path.insert(0, str(ROOT / "tests" / "lib"))

CORES = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CORES[0], CORES[-1]
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

# A second of processor time in which the gauge's burst takes this long is a whole one; figures are scaled to it. The value is
# about what the machine of docs/performance.md needs: elsewhere it only shifts all figures alike.
BURST_NS = 1_500_000


class Trouble(Exception):
    """A peer or a scenario cannot be measured; the run goes on without it."""


# ---- processes

_started = []


def _fields(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def tree(pid):
    """The process and everything in its session, which is what remains of a daemon's family."""
    out = []
    for p in os.listdir("/proc"):
        if p.isdigit():
            with contextlib.suppress(OSError, IndexError):
                f = _fields(p)
                if (int(f[3]) == pid or int(p) == pid) and f[0] != "Z":
                    out.append(int(p))
    return out


@contextlib.contextmanager
def on(cpus):
    """What is started inside runs on these processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(args, cpus=None, log=None, **kw):
    """A program in a session of its own, which ends with this run whatever happens."""
    err = open(log, "ab") if log else subprocess.DEVNULL
    with on(cpus or CORES):
        p = subprocess.Popen([str(a) for a in args], stderr=err, start_new_session=True, **kw)
    if log:
        err.close()
    _started.append(p)
    return p


def kill(p):
    for pid in tree(p.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    p.wait()
    for f in (p.stdin, p.stdout):
        if f:
            f.close()
    if p in _started:
        _started.remove(p)


def _end():
    for p in list(_started):
        kill(p)


def _stop(number, frame):
    sys.exit(128 + number)


def prepare():
    """Once, at the start of a run."""
    atexit.register(_end)
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, _stop)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def workspace():
    """A directory for everything that the run writes, readable by peers that give their privileges up."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    d.chmod(0o755)
    atexit.register(shutil.rmtree, d, ignore_errors=True)
    return d


def empty(directory):
    """Gives back the space of a directory's files, not the files: for minutes after thousands are deleted ext4 looks at each of them whenever a
    new one is made (it does not use an inode again so soon), and that would be the next server's processor time. They go with the workspace."""
    for where, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(where, name)
            with contextlib.suppress(OSError):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    os.truncate(path, 0)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, p, seconds=30):
    """Until somebody listens; Trouble when the process ended or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if p.poll() is not None:
            raise Trouble(f"it ended with {p.returncode} at its start")
        time.sleep(0.02)
    raise Trouble(f"nothing listens on its port after {seconds} s")


# ---- what they use

def cpu_ns(pids):
    """Processor time of processes: their threads, dead ones too, and the children that they have waited for."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += time.clock_gettime_ns((~pid << 3) | 2)  # the process's clock, as clock_getcpuclockid() makes it
            f = _fields(pid)
            total += (int(f[13]) + int(f[14])) * TICK_NS
    return total


def memory(pids):
    """Proportional set size and its peak resident size, bytes."""
    pss = peak = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            pss += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1)) << 10
            peak += int(re.search(r"^VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) << 10
    return pss, peak


def socket_memory(port):
    """What the kernel holds for connections accepted on this port: queued to be sent, and received. Bytes."""
    out = subprocess.run(["ss", "-tmnH", "state", "established", f"( sport = :{port} )"], capture_output=True, text=True, check=True).stdout
    return sum(int(r) + int(w) for r, w in re.findall(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f\d+,w(\d+)", out))


# ---- how fast the machine is just now

class Gauge:
    def __init__(self):
        self.p = start([BUILD / "bench" / "gauge", SERVER_CPU, LOAD_CPU], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.last = (1.0, 1.0)

    def speeds(self):
        """(server's processor, load's): work done in a second since the last call, in usual seconds."""
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        n0, ns0, n1, ns1 = map(int, self.p.stdout.readline().split())
        self.last = (BURST_NS / ns0 if n0 else self.last[0], BURST_NS / ns1 if n1 else self.last[1])
        return self.last

    def close(self):
        kill(self.p)


class Spread:
    """Values of one thing over the rounds."""

    def __init__(self, values=()):
        self.values = list(values)

    def add(self, v):
        self.values.append(v)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, fmt):
        v = self.values
        if not v:
            return "–"
        if len(v) == 1:
            return format(v[0], fmt)
        return f"{format(self.median, fmt)} ({format(min(v), fmt)}–{format(max(v), fmt)})"


# ---- programs from Debian

def install(packages):
    """apt-get install of what is missing, without starting its services. Returns what could not be had."""
    have = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages], capture_output=True, text=True).stdout
    missing = [p for p in packages if f"{p} install ok installed" not in have]
    if not missing:
        return []
    if os.geteuid() != 0:
        return missing
    # Debian starts a service as it is installed, unless policy-rc.d says no; ours says so only for this moment.
    policy, ours = pathlib.Path("/usr/sbin/policy-rc.d"), False
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        if not policy.exists():
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
            ours = True
        subprocess.run(["apt-get", "update", "-qq"], env=env, stdout=subprocess.DEVNULL, check=False)
        for p in missing:
            subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", p], env=env, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
    finally:
        if ours:
            policy.unlink()
    # A later boot must not start them either.
    units = {"nginx-light": "nginx", "varnish": "varnish", "squid": "squid", "trafficserver": "trafficserver"}
    if shutil.which("systemctl"):
        for p in missing:
            if p in units:
                subprocess.run(["systemctl", "disable", units[p]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    have = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages], capture_output=True, text=True).stdout
    return [p for p in packages if f"{p} install ok installed" not in have]
