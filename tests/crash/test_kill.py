"""kill -9 at random instants of downloads, syncs and API writes, again and again on the same data directory. Afterwards:
every saved file is what its name says, nothing unfinished is left, every path serves the right bytes, no task hangs.

The seed is printed, and taken back from SLUICE_TEST_SEED; SLUICE_TEST_KILLS says how often (default 20)."""
import os
import random
import threading
import time

import pytest
import requests
import urllib3

import invariants
from data import KiB, MiB
from sluice import SLOW

KILLS = int(os.environ.get("SLUICE_TEST_KILLS", "20"))
SEED = int(os.environ.get("SLUICE_TEST_SEED", time.time_ns() % 10 ** 9))


class Load:
    """Clients, syncs and API writes that go on until the server is gone. What the API promised is remembered."""

    def __init__(self, s, paths, rng):
        self.s, self.paths, self.rng = s, paths, rng
        self.stop = threading.Event()
        self.created = set()  # names that were answered with 201
        self.wrong = []
        self.threads = [threading.Thread(target=self._run, args=(f, random.Random(rng.random())))
                        for f in (self.fetch, self.fetch, self.fetch, self.sync, self.write)]
        for t in self.threads:
            t.start()

    def _run(self, act, rng):
        while not self.stop.is_set():
            try:
                act(rng)
            except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, AssertionError):
                time.sleep(0.01)  # the server is dying: so it should be

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), "a client hangs"

    def fetch(self, rng):
        base, path, body = rng.choice(self.paths)
        r = self.s.get(f"{base}/{path}", stream=True, timeout=20)
        data = r.raw.read(decode_content=False)
        if r.status_code == 200 and len(data) == body.size and data != body.all():
            self.wrong.append((base, path))
        r.close()

    def sync(self, rng):
        repos = self.s.api.list("repositories/file/file/", name__in="r,now", timeout=10)
        repo = rng.choice(repos)
        path, options = rng.choice([(repo["pulp_href"] + "sync/", {"optimize": False}), (repo["latest_version_href"] + "warm/", {}),
                                    (repo["latest_version_href"] + "repair/", {})])
        self.s.api.post(path, json=options, timeout=10)
        time.sleep(rng.random() * 0.2)

    def write(self, rng):
        name = f"w{rng.getrandbits(60)}"
        r = self.s.api.post("remotes/file/file/", json={"name": name, "url": "http://127.0.0.1:1/M"}, timeout=10)
        if r.status_code == 201:
            self.created.add(name)


@pytest.mark.timeout(60 + 8 * KILLS)
def test_kill_9_at_random_instants(sluice, upstream):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for i in range(30):
        upstream.add(f"/r/f{i}", rng.choice([1, 1000, 100 * KiB, 3 * MiB]) + i)
        upstream.add(f"/now/f{i}", rng.choice([1, 1000, 100 * KiB]) + i)
    upstream.rule("/r/*", rate=20 * MiB)
    upstream.manifest("/now/PULP_MANIFEST")
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
    sluice.api.repo("now", upstream.url("/now/PULP_MANIFEST"), "immediate", sync=False)
    bodies = {base: {p.removeprefix(f"/{base}/"): b for p, b in upstream._files.items() if p.startswith(f"/{base}/")}
              for base in ("r", "now")}
    paths = [(base, p, b) for base, of in bodies.items() for p, b in of.items()]
    promised = set()
    for kill in range(KILLS):
        # upstream grows, so that syncs have something to write each time
        upstream.add(f"/now/k{kill}", 50 * KiB)
        upstream.add(f"/r/k{kill}", 50 * KiB)
        load = Load(sluice, paths, rng)
        time.sleep(rng.random() ** 2 * 1.5 * min(SLOW, 3))
        sluice.kill(children=rng.random() < 0.5)
        load.end()
        promised |= load.created
        assert not load.wrong, f"wrong bytes, complete: {load.wrong}; seed {SEED}, kill {kill}"
        if kill % 5 == 4:
            invariants.database_is_sound(sluice)
        sluice.start()
        invariants.saved_files_match_their_names(sluice)
        invariants.nothing_is_staged(sluice) if not sluice.children() else None
        # what is saved was never wrong, and whoever asks right after the start gets right bytes
        base, path, body = rng.choice(paths)
        r = sluice.get(f"{base}/{path}")
        assert r.status_code in (200, 404) and (r.status_code == 404 or r.content == body.all()), f"seed {SEED}, kill {kill}"
    invariants.tasks_end(sluice, 60 * SLOW)
    for name in ("r", "now"):
        repo = sluice.api.find("repositories/file/file/", name)
        sluice.api.sync(repo, optimize=False)
        bodies[name] = {p.removeprefix(f"/{name}/"): b for p, b in upstream._files.items() if p.startswith(f"/{name}/")}
        invariants.every_path_serves_the_right_bytes(sluice, name, bodies[name])
    invariants.all_hold(sluice)
    there = {r["name"] for r in sluice.api.list("remotes/file/file/", limit=100000)}
    assert promised <= there, f"created, and gone after the kill: {len(promised - there)}; seed {SEED}"
    sluice.stop()
    invariants.database_is_sound(sluice)


def commit_points():
    return ["store.commit.sync", "store.commit.link", "store.commit.dirsync", "lazy.commit", "staging.new", "staging.write"]


@pytest.mark.faults
@pytest.mark.parametrize("point", commit_points())
def test_kill_at_each_step_of_a_commit(start_sluice, upstream, point):
    """The same, but at the worst instants, one by one."""
    body = upstream.add("/r/a", 400 * KiB)
    s = start_sluice()
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    s.stop()
    s.env["SLUICE_FAULT"] = f"{point}@1=kill"
    s.start()
    try:
        s.get("r/a")
    except requests.exceptions.RequestException:
        pass
    s.proc.wait(20)  # it killed itself
    s.kill()
    del s.env["SLUICE_FAULT"]
    s.start()
    invariants.saved_files_match_their_names(s)
    invariants.nothing_is_staged(s)
    invariants.every_path_serves_the_right_bytes(s, "r", {"a": body})
    invariants.all_hold(s)
    assert body.sha256 in s.artifacts() and upstream.hits("/r/a") <= 2


@pytest.mark.faults
@pytest.mark.parametrize("point", ["store.commit.sync", "store.commit.link", "store.commit.dirsync"])
def test_kill_of_a_sync_at_each_step_of_a_commit(start_sluice, upstream, point):
    for i in range(5):
        upstream.add(f"/r/{i}", 1000)
    s = start_sluice(env={"SLUICE_FAULT": f"{point}@1=kill"})
    repo = s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate", sync=False)
    t = s.api.sync(repo, states=("failed",))
    assert t["error"]["reason"] == "Killed by signal 9."
    s.stop()
    del s.env["SLUICE_FAULT"]
    s.start()
    invariants.all_hold(s)
    s.api.sync(repo)
    invariants.every_path_serves_the_right_bytes(s, "r", {str(i): upstream.body(f"/r/{i}") for i in range(5)})


# ---- eviction and removal

QUOTA = {"SLUICE_STORAGE_QUOTA": "1000k", "SLUICE_STORAGE_MIN_FREE": "0"}


def fill(upstream, n, size=100 * KiB):
    for i in range(n):
        upstream.add(f"/r/f{i}", size, seed=i + 1)
    return upstream.manifest("/r/PULP_MANIFEST")


@pytest.mark.faults
@pytest.mark.parametrize("point", ["space.evict", "space.removal", "store.set_aside", "store.discard", "space.removal.forget"])
def test_kill_at_each_step_of_an_eviction(start_sluice, upstream, point):
    """Before the rows are gone, before their files are set aside, before the bytes are freed, and before the notes of them are."""
    s = start_sluice(env={**QUOTA, "SLUICE_STORAGE_QUOTA": "10M"})
    s.api.repo("r", fill(upstream, 9))
    for i in range(9):
        assert s.get(f"r/f{i}").status_code == 200
    s.quiet()
    s.stop()
    s.env.update(SLUICE_STORAGE_QUOTA="800k", SLUICE_FAULT=f"{point}@1=kill")  # it begins with more than the mark
    try:
        s.start()
        s.proc.wait(60)
        s.kill()
    except AssertionError:
        assert s.proc is None  # it died before it said that it listens
    del s.env["SLUICE_FAULT"]
    s.start()
    s.wait_metric("store_artifact_bytes", lambda v: 0 < v <= 760 * KiB, 60)
    invariants.catalog_and_disk_agree(s)
    invariants.saved_files_match_their_names(s)
    invariants.nothing_is_staged(s)
    assert invariants.known_artifacts(s) == s.artifacts().keys(), "files that nobody knows of"
    invariants.every_path_serves_the_right_bytes(s, "r", {f"f{i}": upstream.body(f"/r/f{i}") for i in range(9)})


@pytest.mark.timeout(60 + 6 * KILLS)
def test_kill_9_while_artifacts_come_and_go(start_sluice, upstream):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    s = start_sluice(env=QUOTA)
    repo = s.api.repo("r", fill(upstream, 40))
    for kill in range(max(KILLS // 2, 1)):
        stop = threading.Event()

        def client(seed):
            own = random.Random(seed)
            while not stop.is_set():
                path = f"f{own.randrange(40)}"
                try:
                    r = s.get("r/" + path, timeout=20)
                    body = upstream.body("/r/" + path)
                    # What is cut short is no lie: its length was announced (requests does not mind).
                    if r.status_code == 200 and len(r.content) == body.size and r.content != body.all():
                        wrong.append(path)
                except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
                    time.sleep(0.01)

        def reclaimer():
            while not stop.is_set():
                try:
                    s.api.post("repositories/reclaim_space/", json={"repo_hrefs": [repo["pulp_href"]]}, timeout=10)
                    time.sleep(0.2)
                except (requests.exceptions.RequestException, AssertionError):
                    time.sleep(0.01)
        wrong = []
        threads = [threading.Thread(target=client, args=(rng.random(),)) for _ in range(3)]
        threads.append(threading.Thread(target=reclaimer))
        for t in threads:
            t.start()
        time.sleep(rng.random() * min(SLOW, 3))
        s.kill(children=rng.random() < 0.5)
        stop.set()
        for t in threads:
            t.join(60)
            assert not t.is_alive(), "a client hangs"
        assert not wrong, f"wrong bytes, complete: {wrong}; seed {SEED}, kill {kill}"
        s.start()
        invariants.saved_files_match_their_names(s)
    invariants.tasks_end(s, 60 * SLOW)
    s.quiet(60)
    invariants.catalog_and_disk_agree(s)
    invariants.every_path_serves_the_right_bytes(s, "r", {f"f{i}": upstream.body(f"/r/f{i}") for i in range(40)})
    s.stop()
    invariants.database_is_sound(s)
