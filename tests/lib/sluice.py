"""The server under test: started on a data directory of its own, watched, killed, started again.

    with Sluice(tmp_path) as s:
        s.mirror("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
        assert s.get("r/a.bin").content == ...

The binary is $SLUICE_BIN, else build/sluice. What the server and its children write to standard error is kept in
server.log beside the data directory, and scanned when the server is stopped: a sanitizer's report, a failed BUG or CHECK,
or a crash fails the test.
"""
import json
import os
import pathlib
import queue
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

import requests

from described import Described, query_of, sent_by
from waiting import Timeout, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SLUICE_BIN", ROOT / "build" / "sluice")).resolve()
PASSWORD = "correct horse"
API = "/pulp/api/v3/"
CONTENT = "/pulp/content/"

TROUBLE = re.compile(
    r"ERROR: (Address|Leak|Memory)Sanitizer|runtime error:|WARNING: ThreadSanitizer|SUMMARY: \w*Sanitizer|"
    r"\bBUG at |\bfailed at \S+:\d+: ")


def _has(text):
    try:
        return text.encode() in BINARY.read_bytes()
    except OSError:
        return False


SANITIZER = "tsan" if _has("__tsan_init") else "asan" if _has("__asan_init") else ""
FAULTS = _has("SLUICE_FAULT_FILE")
# How much longer things may take: sanitizers cost that much, and a machine may be told to be slow.
SLOW = float(os.environ.get("SLUICE_TEST_SLOW", {"tsan": 8, "asan": 4, "": 1}[SANITIZER]))

FILE = "file/file/"


class TaskFailed(AssertionError):
    def __init__(self, task):
        super().__init__(f"task {task['name']} is {task['state']}: {task.get('error')}")
        self.task = task


class Api(requests.Session):
    """The REST API, paths relative to /pulp/api/v3/ or hrefs. Answers with an error status raise, unless asked not to; so does everything that is not as the
    server's own description says (described.py)."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.auth = ("admin", PASSWORD)

    def request(self, method, path, *args, check=True, **kw):
        url = self.server.base + (path if path.startswith("/") else API + path)
        kw.setdefault("timeout", 30 * SLOW)
        r = super().request(method, url, *args, **kw)
        if r.url.startswith(self.server.base + API):
            path_of = urllib.parse.unquote(urllib.parse.urlsplit(r.url).path)
            described().check(r.request.method, path_of, query_of(r.url), lambda: sent_by(kw), r.status_code, r.headers.get("Content-Type", ""),
                              None if kw.get("stream") else r.content)
        if check and r.status_code >= 400:
            raise AssertionError(f"{method} {path}: {r.status_code} {r.text[:2000]}")
        return r

    def show(self, path, **params):
        return self.get(path, params=params).json()

    def list(self, path, **params):
        return self.get(path, params=params).json()["results"]

    def find(self, path, name):
        got = self.list(path, name=name)
        assert len(got) == 1, f"{len(got)} of {path} are called {name}"
        return got[0]

    def wait(self, task, timeout=60, states=("completed",)):
        """Waits until the task is over; returns it, or raises TaskFailed if its state is none of `states`."""
        href = task if isinstance(task, str) else task["task"] if "task" in task else task["pulp_href"]
        seen = {}

        def over():
            seen.update(self.show(href))
            return seen["state"] in ("completed", "failed", "canceled", "skipped")
        try:
            wait_for(f"the end of task {href}", over, timeout * SLOW, 0.02)
        except Timeout as e:
            raise Timeout(f"{e}; the task: {json.dumps(seen)}") from None
        if seen["state"] not in states:
            raise TaskFailed(seen)
        return seen

    def do(self, method, path, timeout=60, **body):
        """Sends JSON; waits for the task if it is answered with one. Returns the object, or the finished task."""
        r = self.request(method, path, json=body)
        got = r.json() if r.content else None
        if r.status_code == 202:
            return self.wait(got, timeout)
        return got

    # ---- the file format

    def remote(self, name, url, policy="immediate", **fields):
        return self.do("POST", "remotes/" + FILE, name=name, url=url, policy=policy, **fields)

    def repository(self, name, **fields):
        return self.do("POST", "repositories/" + FILE, name=name, **fields)

    def start_sync(self, repo, remote=None, **options):
        body = dict(options)
        if remote is not None:
            body["remote"] = remote["pulp_href"]
        return self.post(repo["pulp_href"] + "sync/", json=body).json()["task"]

    def sync(self, repo, remote=None, timeout=60, states=("completed",), **options):
        return self.wait(self.start_sync(repo, remote, **options), timeout, states)

    def publish(self, repo, **fields):
        task = self.do("POST", "publications/" + FILE, repository=repo["pulp_href"], **fields)
        return self.show(task["created_resources"][0])

    def distribute(self, name, base_path, **fields):
        task = self.do("POST", "distributions/" + FILE, name=name, base_path=base_path, **fields)
        return self.show(task["created_resources"][0])

    def repo(self, name, url, policy="on_demand", base_path=None, sync=True, **remote_fields):
        """Remote, repository with autopublish, distribution; synced. What most tests begin with."""
        remote = self.remote(name, url, policy, **remote_fields)
        repo = self.repository(name, remote=remote["pulp_href"], autopublish=True)
        self.distribute(name, base_path or name, repository=repo["pulp_href"])
        if sync:
            self.sync(repo)
        return self.show(repo["pulp_href"])

    def version(self, repo):
        """The number of its latest version."""
        return int(self.show(repo["pulp_href"])["latest_version_href"].rstrip("/").rsplit("/", 1)[1])

    def units(self, repo=None, **params):
        """The units of a repository's latest version, or all."""
        if repo is not None:
            params["repository_version"] = self.show(repo["pulp_href"])["latest_version_href"]
        return self.list("content/file/files/", limit=100000, **params)


_described = []
_described_lock = threading.Lock()


def described():
    """What servers say of their API. Asked once, of a server that is there for nothing else: tests count what theirs are asked."""
    with _described_lock:
        if not _described:
            with tempfile.TemporaryDirectory() as directory, Sluice(directory) as s:
                _described.append(Described(requests.get(s.base + API + "docs/api.json?pk_path=1", timeout=60 * SLOW).json()))
        return _described[0]


class Sluice:
    def __init__(self, directory, env=None, args=(), start=True, data=None, listen="127.0.0.1:0", nofile=None, stderr=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = pathlib.Path(data) if data else self.directory / "data"
        self.log_path = self.directory / "server.log"
        self.env = dict(env or {})
        self.args = list(args)
        self.listen = listen
        self.nofile = nofile  # descriptor limit
        self.stderr = stderr  # a descriptor, instead of server.log
        self.proc = None
        self.base = None
        self.port = None
        self.streamer = None  # URL of the streamer, when it has that role
        self.expect_death = False
        self.api = Api(self)
        if start:
            self.start()

    # ---- life

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        env["SLUICE_ADMIN_PASSWORD"] = PASSWORD
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99:allocator_may_return_null=1")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:exitcode=99")
        env.setdefault("TSAN_OPTIONS", "halt_on_error=0:exitcode=99:second_deadlock_stack=1")
        env.update(self.env)
        env.update(more)
        return {k: str(v) for k, v in env.items()}

    def start(self, timeout=20):
        assert self.proc is None
        assert BINARY.is_file(), f"no {BINARY}: build it, or name another in SLUICE_BIN"
        log = open(self.log_path, "ab")
        self.proc = subprocess.Popen(
            [str(BINARY), "serve", "--data", str(self.data), "--listen", self.listen, *self.args],
            env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=log if self.stderr is None else self.stderr, start_new_session=True,
            preexec_fn=self._limit if self.nofile else None)
        log.close()
        lines = queue.Queue()

        def reader(out):
            for line in out:
                lines.put(line.decode("utf-8", "replace"))
            lines.put(None)
        threading.Thread(target=reader, args=(self.proc.stdout,), daemon=True).start()
        deadline = time.monotonic() + timeout * SLOW
        said = []
        while True:
            try:
                line = lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self._end()
                raise Timeout(f"no 'listening on' from the server in {timeout * SLOW:g} s; it said {said}") from None
            if line is None:
                rc = self.proc.wait()
                self._end()
                raise AssertionError(f"the server ended with {rc} at its start; it said {said}; log:\n{self.log()[-3000:]}")
            said.append(line)
            m = re.match(r"streamer listening on (http://.+:\d+)/$", line)
            if m:
                self.streamer = m.group(1)
            m = re.match(r"listening on (https?://(.+):(\d+))/$", line)
            if m:
                self.base, self.port = m.group(1), int(m.group(3))
                return self

    def _limit(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))

    def _end(self):
        """Nothing of this server's session survives, whatever it did."""
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proc.wait()
        self.proc = None

    def stop(self, timeout=40):
        """As systemd stops it. Returns the exit status."""
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            rc = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self._end()
            raise Timeout(f"the server did not end within {timeout * SLOW:g} s of SIGTERM; log:\n{self.log()[-3000:]}") from None
        self._end()
        return rc

    def kill(self, children=False):
        """kill -9, of the server alone or of its children too. start() brings it up again."""
        if children:
            os.killpg(self.proc.pid, signal.SIGKILL)
        self.proc.kill()
        self.proc.wait()
        self.proc = None

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        """Stops it and complains about whatever went wrong unseen."""
        died = None
        if self.proc is not None:
            died = self.proc.poll()
            rc = self.stop()
            if died is None and rc != 0:
                died = rc
        trouble = self.trouble()
        assert not trouble, "the server's log reports trouble:\n" + trouble
        assert died is None or self.expect_death, f"the server ended by itself or badly: {died}; log:\n{self.log()[-3000:]}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            self.close()
        elif self.proc is not None:
            self._end()

    # ---- what it says

    def log(self):
        try:
            return self.log_path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def trouble(self):
        text = self.log()
        m = TROUBLE.search(text)
        return text[max(0, m.start() - 200):m.start() + 6000] if m else ""

    def wait_log(self, pattern, timeout=10):
        return wait_for(f"a log line with {pattern!r}", lambda: re.search(pattern, self.log()), timeout * SLOW)

    def metrics(self):
        out = {}
        for line in requests.get(self.base + "/metrics", timeout=10 * SLOW).text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name.removeprefix("sluice_").removesuffix("_total")] = float(value)
        return out

    def metric(self, name):
        return self.metrics()[name]

    def wait_metric(self, name, value, timeout=10):
        """Waits until it is `value`, or until value(it) is true."""
        ok = value if callable(value) else lambda v: v == value
        seen = []

        def look():
            seen[:] = [self.metric(name)]
            return ok(seen[0]) or None
        try:
            wait_for(name, look, timeout * SLOW)
        except Timeout:
            raise Timeout(f"waited {timeout * SLOW:g} s for {name} to be {value}; it is {seen[0]}") from None

    def delta(self):
        """d = s.delta(); …; d("flights_started") is how much it grew since."""
        before = self.metrics()
        return lambda name: self.metric(name) - before[name]

    def quiet(self, timeout=10):
        """Waits until no download is in progress and the catalog knows how each ended: clients do not wait longer than a second for that."""
        self.wait_metric("flights_open", 0, timeout)
        self.wait_metric("flights_recording", 0, timeout)

    # ---- what it uses

    def _pids(self):
        out = []
        for p in pathlib.Path("/proc").iterdir():
            if p.name.isdigit():
                try:
                    fields = (p / "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if int(fields[3]) == self.proc.pid and fields[0] != "Z":  # the session
                    out.append(int(p.name))
        return out

    def children(self):
        return [p for p in self._pids() if p != self.proc.pid]

    def rss(self):
        """Resident bytes of the server and its children."""
        total = 0
        for pid in self._pids():
            try:
                m = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
            except OSError:
                continue
            total += int(m.group(1)) * 1024 if m else 0
        return total

    def fds(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def deleted_bytes(self):
        """Bytes on disk of files without a name that the server holds open."""
        held = {}
        for fd in os.listdir(f"/proc/{self.proc.pid}/fd"):
            path = f"/proc/{self.proc.pid}/fd/{fd}"
            try:
                name = os.readlink(path)
                if name.startswith(str(self.data)) and name.endswith(" (deleted)"):
                    st = os.stat(path)
                    held[st.st_dev, st.st_ino] = st.st_blocks * 512
            except OSError:
                continue
        return sum(held.values())

    # ---- its files

    @property
    def media(self):
        return self.data / "media"

    def artifacts(self):
        """{sha256: path} of everything saved."""
        out = {}
        top = self.media / "artifact"
        for p in top.glob("*/*") if top.is_dir() else ():
            out[p.parent.name + p.name] = p
        return out

    def staged(self):
        """Files of unfinished downloads that have a name."""
        return [p for p in self.media.rglob("*") if p.is_file() and "artifact" not in p.relative_to(self.media).parts[:1]]

    # ---- clients

    def url(self, path):
        return self.base + CONTENT + path

    def get(self, path, method="GET", **kw):
        """A content request; `path` begins with the distribution's base path."""
        kw.setdefault("timeout", 60 * SLOW)
        kw.setdefault("allow_redirects", False)
        headers = {"Accept-Encoding": "identity"}
        headers.update(kw.pop("headers", {}))
        return requests.request(method, self.url(path), headers=headers, **kw)

    def head(self, path, **kw):
        return self.get(path, "HEAD", **kw)

    def connect(self, timeout=10):
        s = socket.create_connection(("127.0.0.1", self.port), timeout * SLOW)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def cli(self, *args, check=True, timeout=60, env=None, server=True, **kw):
        """Runs `sluice …` against this server's data directory."""
        where = ["--data", str(self.data)] if server else []
        r = subprocess.run([str(BINARY), *args, *where], env=self.environment(**(env or {})), stdin=kw.pop("stdin", subprocess.DEVNULL),
                           capture_output=True, text=True, timeout=timeout * SLOW, **kw)
        m = TROUBLE.search(r.stderr)
        assert not m, r.stderr[-6000:]
        if check:
            assert r.returncode == 0, f"sluice {' '.join(args)}: {r.returncode}\n{r.stdout}\n{r.stderr}"
        return r

    def mirror(self, name, url, policy="on_demand", *args):
        return self.cli("mirror", name, url, "--policy", policy, *args)
