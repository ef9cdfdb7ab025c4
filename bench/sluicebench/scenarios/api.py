"""The REST API: lists of a large catalog, what an administrator waits for, requests per processor time, and memory that does not grow."""
import base64
import datetime
import hashlib
import http.client
import json
import random
import sqlite3
import threading
import time

from ..load import Window
from ..machine import Spread, Trouble, cpu_ns, memory, tree
from ..peers.sluice import SluicePeer
from ..report import Table

MIB = 1 << 20
ROOT = "/pulp/api/v3/"
MANIFEST = 100_000  # entries


class Client:
    """One connection that is kept, as the published clients have it."""

    def __init__(self, side):
        from sluice import PASSWORD  # of tests/lib
        self.login = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        self.connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=600)

    def ask(self, method, path, body=None, headers=(), status=(200, 201, 202)):
        kind = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
        self.connection.request(method, path if path.startswith("/") else ROOT + path, json.dumps(body) if isinstance(body, dict) else body,
                                {"Authorization": self.login, **kind, **dict(headers)})
        r = self.connection.getresponse()
        got = r.read()
        if r.status not in status:
            raise Trouble(f"{method} {path}: {r.status} {got[:200]!r}")
        return json.loads(got) if got else None

    def wait(self, task):
        while True:
            t = self.ask("GET", task)
            if t["state"] in ("completed", "failed", "canceled", "skipped"):
                if t["state"] != "completed":
                    raise Trouble(f"a task {t['state']}: {t['error']}")
                return t
            time.sleep(0.002)

    def task(self, method, path, body):
        return self.wait(self.ask(method, path, body)["task"])


def seconds_of(task):
    """That it ran, by its own record."""
    started, finished = (datetime.datetime.fromisoformat(task[n].replace("Z", "+00:00")) for n in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


class Peak:
    """The highest resident size of the server's children while it lasts: of the task, which is a process of its own."""

    def __init__(self, side):
        self.side, self.bytes, self.over = side, 0, threading.Event()

    def watch(self):
        while not self.over.wait(0.01):
            for pid in tree(self.side.p.pid):
                if pid != self.side.p.pid:
                    self.bytes = max(self.bytes, memory([pid])[1])

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()


def write_manifest(bench):
    directory = bench.directory / "www" / "manifest"
    directory.mkdir(exist_ok=True)
    with open(directory / "PULP_MANIFEST", "w") as f:
        for n in range(MANIFEST):
            f.write(f"{n % 1000:03d}/file-{n}.bin,{hashlib.sha256(b'%d' % n).hexdigest()},{n}\n")
    return "manifest/PULP_MANIFEST"


def multiply(side, total):
    """Makes units of the units that are there, in the catalog of a server that does not run, until there are `total`: all of the repository's latest version."""
    (path,) = [p for p in side.server.data.rglob("*") if p.is_file() and p.open("rb").read(15) == b"SQLite format 3"]
    db = sqlite3.connect(path)
    with db:
        db.execute("PRAGMA synchronous = OFF")
        have, highest, lowest = db.execute("SELECT count(*), max(id), min(id) FROM content").fetchone()
        repository, version = db.execute("SELECT repository_id, max(version_added) FROM repository_content").fetchone()
        for n in range(1, total // have):
            by = n * (highest - lowest + 1)
            db.execute("INSERT INTO content SELECT id + ?, randomblob(16), type, ? || natural_key, created + ?, updated + ?, labels, extra FROM content WHERE id <= ?",
                       (by, f"c{n}/", by, by, highest))
            top = db.execute("SELECT max(id) FROM content_artifact").fetchone()[0] if n == 1 else top
            db.execute("INSERT INTO content_artifact (id, content_id, relative_path) SELECT id + ?, content_id + ?, ? || relative_path FROM content_artifact WHERE id <= ?",
                       (n * top, by, f"c{n}/", top))
            db.execute("INSERT INTO remote_artifact (content_artifact_id, remote_id, url, size, sha256) SELECT content_artifact_id + ?, remote_id, url, size, sha256 "
                       "FROM remote_artifact WHERE content_artifact_id <= ?", (n * top, top))
            db.execute("INSERT INTO repository_content SELECT repository_id, content_id + ?, version_added, version_removed FROM repository_content WHERE content_id <= ?",
                       (by, highest))
            db.execute("INSERT INTO repository_path SELECT repository_id, ? || relative_path, version_added, version_removed, content_artifact_id + ?, added_at FROM repository_path "
                       "WHERE content_artifact_id <= ?", (f"c{n}/", n * top, top))
        db.execute("UPDATE repository_version SET added = ?, present = ? WHERE repository_id = ? AND number = ?", (total, total, repository, version))
    db.close()


def milliseconds(side, client, path, rounds):
    """Of one request, and the processor time of each, which says more on a machine that does other things as well."""
    out = Spread()
    before = cpu_ns([side.p.pid])
    for _ in range(rounds):
        began = time.perf_counter()
        client.ask("GET", path)
        out.add((time.perf_counter() - began) * 1000)
    return out, (cpu_ns([side.p.pid]) - before) / 1e6 / rounds


def lists(t, side, client, repo, rounds, total):
    """Each kind of page of a hundred. Returns the plain one's milliseconds."""
    unit = client.ask("GET", f"content/file/files/?limit=1&offset={total // 2}")["results"][0]
    version = repo["latest_version_href"]
    first = None
    for name, query in (
            ("first page", ""), ("newest first", "ordering=-pulp_created"), ("by path", "ordering=relative_path"), ("page 5,001", f"offset={total // 2}"), ("last page", f"offset={total - 100}"),
            ("one path", "relative_path=" + unit["relative_path"]), ("one digest", "sha256=" + hashlib.sha256(b"77").hexdigest()), ("paths that contain", "relative_path__contains=file-77"),
            ("of a repository version", "repository_version=" + version), ("its last page", f"repository_version={version}&offset={total - 100}"),
            ("of a version, one path", f"repository_version={version}&relative_path=" + unit["relative_path"]),
            ("q", 'q=relative_path="%s"%%20OR%%20relative_path="x"' % unit["relative_path"])):
        ms, cpu = milliseconds(side, client, f"content/file/files/?limit=100&{query}", rounds)
        first = first or ms.median
        t.row(f"100 of {total:,} units: {name}, ms; processor time", f"{ms.text('.1f')}; {cpu:.1f}")
    return first


def distributions(client, repo, rounds):
    """Create, wait for its task, read: as a script does it."""
    out = Spread()
    for n in range(rounds):
        began = time.perf_counter()
        task = client.task("POST", "distributions/file/file/", {"name": f"d{n}", "base_path": f"d{n}", "repository": repo})
        client.ask("GET", task["created_resources"][0])
        out.add((time.perf_counter() - began) * 1000)
    return out


def rates(bench, t, side, client, repo, seconds):
    login = ["-H", f"Authorization: {client.login}\r\nAccept-Encoding: gzip"]
    worst = None
    for name, path in (("status", "status/"), ("a repository", repo["pulp_href"]), ("a unit", client.ask("GET", "content/file/files/?limit=1")["results"][0]["pulp_href"]),
                       ("its version", repo["latest_version_href"]), ("docs/api.json", "docs/api.json")):
        target = path if path.startswith("/") else ROOT + path
        w = Window(bench, side, [(target, 200, "-", 0, -1)], "-c", 8, "-d", int(seconds * 1000), *login, settle=False)
        t.row(f"{name}: requests per CPU-second", f"{w.per_cpu:,.0f}")
        if name != "docs/api.json":
            worst = min(worst or w.per_cpu, w.per_cpu)
    return worst


def steady_memory(bench, t, side, client, repo, count):
    """Peak resident size after a tenth of the requests, and after all."""
    login = ["-H", f"Authorization: {client.login}"]
    wants = [(p if p.startswith("/") else ROOT + p, 200, "-", 0, -1) for p in
             ("status/", repo["pulp_href"], "content/file/files/?limit=100", "tasks/?limit=100", "docs/api.json", "remotes/file/file/?name__contains=a")]
    sizes = []
    for n in (count // 10, count - count // 10):
        Window(bench, side, wants, "-c", 8, "-n", n, *login, settle=False)
        sizes.append(memory([side.p.pid])[1])
    t.row(f"peak memory after {count // 10:,} and after {count:,} requests, MiB", f"{sizes[0] / MIB:.1f}, {sizes[1] / MIB:.1f}")
    return sizes[1] / sizes[0]


def upload(t, side, client, size, chunk=8 * MIB):
    """In chunks, to the end of the commit: growth of the peak of the server or its task while it lasts."""
    block, digest = random.Random(1).randbytes(chunk), hashlib.sha256()
    href = client.ask("POST", "uploads/", {"size": size})["pulp_href"]
    before = memory([side.p.pid])[1]
    began = time.perf_counter()
    with Peak(side) as peak:
        for at in range(0, size, chunk):
            piece = block[:size - at]
            digest.update(piece)
            form = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: application/octet-stream\r\n\r\n', piece, b"\r\n--b--\r\n")
            client.ask("PUT", href, b"".join(form), {"Content-Type": "multipart/form-data; boundary=b",
                                                      "Content-Range": f"bytes {at}-{at + len(piece) - 1}/{size}"}.items())
        client.task("POST", href + "commit/", {"sha256": digest.hexdigest()})
    seconds = time.perf_counter() - began
    grown = max(memory([side.p.pid])[1] - before, 0)
    t.row(f"upload of {size / (1 << 30):.0f} GiB in chunks of {chunk // MIB} MiB: MB/s", f"{size / 1e6 / seconds:.0f}")
    t.row("the server's peak grew by, and the task's peak was, MiB", f"{grown / MIB:.1f}, {peak.bytes / MIB:.1f}")
    return max(grown, peak.bytes) / MIB


def api(bench):
    """the REST API: a million units, waiting, rates, memory, an upload"""
    o = bench.options
    total, rounds = (200_000, 5) if o.quick else (1_000_000, 20)
    if why := SluicePeer.missing():
        raise Trouble(why)
    t = Table(f"The REST API over {total:,} units", ["what", "median (lowest–highest)"])
    url = bench.origin.url(write_manifest(bench))
    side = SluicePeer(bench, bench.new_directory("sluice"), pinned=False)
    try:
        side.start()
        client = Client(side)
        remote = client.ask("POST", "remotes/file/file/", {"name": "r", "url": url, "policy": "on_demand"})["pulp_href"]
        repo = client.ask("POST", "repositories/file/file/", {"name": "r", "remote": remote})["pulp_href"]
        with Peak(side) as peak:
            first = seconds_of(client.task("POST", repo + "sync/", {}))
        t.row(f"sync of a manifest of {MANIFEST:,}, s; peak of its task, MiB", f"{first:.2f}; {peak.bytes / MIB:.0f}")
        again = Spread(seconds_of(client.task("POST", repo + "sync/", {})) * 1000 for _ in range(rounds))
        t.row("sync when nothing is new, ms", again.text(".0f"))
        made = distributions(client, repo, 3 * rounds)
        t.row("create a distribution, wait for its task, read it, ms", made.text(".1f"))
        side.server.stop()
        multiply(side, total)
        side.restart()
        client = Client(side)
        shown = client.ask("GET", repo)
        page = lists(t, side, client, shown, rounds, total)
        rate = rates(bench, t, side, client, shown, o.seconds)
        growth = steady_memory(bench, t, side, client, shown, 5_000 if o.quick else 100_000)
        grown = upload(t, side, Client(side), (1 << 30) if o.quick else (10 << 30))
    finally:
        side.close()
    t.goal("a page of 100 units ≤ 10 ms", "<=", 10, "{:.1f} ms", page)
    t.goal("create + task + read of a distribution ≤ 20 ms", "<=", 20, "{:.1f} ms", made.median)
    t.goal("≥ 1,000 single reads and status per CPU-second", ">=", 1000, "{:,.0f}", rate)
    t.goal("memory flat over the requests: ≤ 1.1 ×", "<=", 1.1, "{:.2f} ×", growth)
    t.goal("upload: no process grows by more than 32 MiB", "<=", 32, "{:.0f} MiB", grown)
    t.goal(f"sync of {MANIFEST:,} ≤ 8 s", "<=", 8, "{:.2f} s", first)
    t.goal("its peak ≤ 100 MiB", "<=", 100, "{:.0f} MiB", peak.bytes / MIB)
    t.goal("nothing new ≤ 50 ms", "<=", 50, "{:.0f} ms", again.median)
    return t
