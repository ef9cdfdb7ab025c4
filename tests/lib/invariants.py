"""What must hold after anything: a kill, a full disk, a fault."""
import hashlib
import sqlite3

from waiting import wait_for


def saved_files_match_their_names(s):
    for name, path in s.artifacts().items():
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == name, f"{path} of {len(data)} bytes is not what its name says"


def nothing_is_staged(s):
    assert s.staged() == [], "unfinished downloads are left behind"


def database_is_sound(s):
    """Only while the server is stopped, or as another reader."""
    db = sqlite3.connect(f"file:{s.data}/catalog.db?mode=ro", uri=True, timeout=30)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("SELECT type, units FROM content_count WHERE units <> 0 ORDER BY type").fetchall() == \
            db.execute("SELECT type, count(*) FROM content GROUP BY type ORDER BY type").fetchall()
    finally:
        db.close()


def known_artifacts(s):
    """The digests that the catalog has. Only while the server is stopped, or as another reader."""
    db = sqlite3.connect(f"file:{s.data}/catalog.db?mode=ro", uri=True, timeout=30)
    try:
        return {sha256.hex() for sha256, in db.execute("SELECT sha256 FROM artifact")}
    finally:
        db.close()


def catalog_and_disk_agree(s):
    """Every artifact that the catalog knows is there, their sum is right, and no removal is pending. While nothing is saved or removed."""
    def rows(sql):
        db = sqlite3.connect(f"file:{s.data}/catalog.db?mode=ro", uri=True, timeout=30)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()
    wait_for("removals to be done", lambda: rows("SELECT COUNT(*) FROM artifact_removal") == [(0,)], 60)
    lost = known_artifacts(s) - s.artifacts().keys()
    assert not lost, f"the catalog has {len(lost)} artifacts without a file"
    assert rows("SELECT artifacts, bytes FROM artifact_total") == rows("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM artifact")


def tasks_end(s, timeout=60):
    def open_tasks():
        return s.api.list("tasks/", state__in="waiting,running,canceling", limit=1000)
    wait_for("every task to end", lambda: not open_tasks() or None, timeout)


def every_path_serves_the_right_bytes(s, base, bodies):
    """bodies: {path below the distribution: Body}"""
    for path, body in bodies.items():
        r = s.get(f"{base}/{path}")
        assert r.status_code == 200, f"{path}: {r.status_code} {r.text[:300]}"
        assert hashlib.sha256(r.content).hexdigest() == body.sha256, path


def all_hold(s):
    s.quiet(30)
    saved_files_match_their_names(s)
    nothing_is_staged(s)
    tasks_end(s)
