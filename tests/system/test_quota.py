"""What is kept and what goes: last use, quota and eviction, reclaim."""
from data import KiB
from waiting import wait_for


def last_used(api, path):
    return api.list("content/file/files/", relative_path=path)[0]["last_used"]


def fill(up, n=10, size=100 * KiB, where="/r"):
    for i in range(n):
        up.add(f"{where}/f{i}", size, seed=i + 1)
    return up.manifest(f"{where}/PULP_MANIFEST")


# ---- last use

def test_last_use_is_written_in_batches_and_not_on_every_hit(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_STORAGE_USE_INTERVAL": "500ms"})
    s.api.repo("r", fill(upstream, 3))
    assert last_used(s.api, "f0") is None
    assert s.get("r/f0").status_code == 200 and s.get("r/f1").status_code == 200
    s.quiet()
    assert last_used(s.api, "f0") is not None and last_used(s.api, "f2") is None
    saved = max(last_used(s.api, "f0"), last_used(s.api, "f1"))

    def used():
        assert s.get("r/f0").status_code == 200
        return last_used(s.api, "f0") > saved or None
    wait_for("the use to be written", used, 10)
    writes = s.metric("store_uses_written")
    hits = s.delta()
    for _ in range(50):
        assert s.get("r/f0").status_code == 200
    assert hits("content_hits") == 50 and s.metric("store_uses_written") - writes <= 3
    assert last_used(s.api, "f1") <= last_used(s.api, "f0")
    recent = s.api.list("artifacts/", last_used__gt=saved)
    assert [a["sha256"] for a in recent] == [upstream.sha256("/r/f0")] and s.metric("store_uses_dropped") == 0


def test_a_stop_writes_the_uses_of_the_last_minute(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_STORAGE_USE_INTERVAL": "1h"})
    s.api.repo("r", fill(upstream, 1))
    assert s.get("r/f0").status_code == 200
    s.quiet()
    s.stop()
    age(s, "f0", 7200)
    s.start()
    before = last_used(s.api, "f0")
    assert s.get("r/f0").status_code == 200
    assert last_used(s.api, "f0") == before
    s.restart()
    assert last_used(s.api, "f0") > before


def age(s, path, seconds):
    """Of a stopped server: as if it had been used that much earlier."""
    import sqlite3
    db = sqlite3.connect(s.data / "catalog.db")
    db.execute("UPDATE artifact SET last_used = last_used - ? WHERE id = (SELECT artifact_id FROM content_artifact WHERE relative_path = ?)",
               (seconds * 1000000, path))
    db.commit()
    db.close()
