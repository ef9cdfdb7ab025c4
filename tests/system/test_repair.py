"""Damage on the disk, found and put right by repair."""
import concurrent.futures

import invariants
from data import KiB, MiB
from waiting import wait_for


def reports(task):
    return {r["code"]: r["done"] for r in task["progress_reports"]}


def flip(path, at=1000):
    """In place, so that whoever has the file open reads it, too."""
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def test_repair_finds_damage_and_serves_none_of_it_meanwhile(sluice, upstream):
    upstream.add("/r/large", 3 * MiB)
    upstream.add("/r/lost", 20 * KiB)
    upstream.add("/r/good", 20 * KiB)
    repo = sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    large, lost = upstream.body("/r/large"), upstream.body("/r/lost")
    file = sluice.artifacts()[large.sha256]
    assert sluice.get("r/large").content == large.all(), "and a loop has it open now"
    flip(file)
    assert sluice.get("r/large").content != large.all(), "nobody looks at what is saved"
    sluice.artifacts()[lost.sha256].unlink()

    gate = upstream.gate()
    upstream.rule("/r/large", gate_at=(MiB, gate))
    task = sluice.api.post("repair/", json={}).json()
    gate.wait_reached(1, 30)
    assert not file.exists()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        client = pool.submit(sluice.get, "r/large")
        wait_for("the client's own download to be there", lambda: gate.reached >= 2, 30)
        gate.open()
        assert client.result().content == large.all()
    task = sluice.api.wait(task)
    done = reports(task)
    assert (done["repair.missing"], done["repair.corrupted"], done["repair.repaired"]) == (1, 1, 2)
    assert done["repair.checked"] >= 4, "the manifest of the publication, too"
    for path in ("large", "lost", "good"):
        assert sluice.get("r/" + path).content == upstream.body("/r/" + path).all()
    assert upstream.hits("/r/good") == 1
    invariants.saved_files_match_their_names(sluice)
    invariants.catalog_and_disk_agree(sluice)
    assert sluice.staged() == []

    again = sluice.api.wait(sluice.api.post(repo["latest_version_href"] + "repair/", json={"verify_checksums": True}).json())
    assert again["name"].endswith("repair_version") and reports(again)["repair.checked"] == 3
    assert any(r.startswith("shared:prn:file.filerepository:") for r in again["reserved_resources_record"])
    assert sum(reports(again)[c] for c in ("repair.missing", "repair.corrupted", "repair.repaired")) == 0


def test_what_no_source_has_is_taken_away_and_comes_back_with_an_upload(sluice, upstream):
    upstream.add("/r/f", 2 * MiB)
    repo = sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "immediate")
    body = upstream.body("/r/f")
    upstream.remove("/r/f")
    flip(sluice.artifacts()[body.sha256])
    done = reports(sluice.api.wait(sluice.api.post(repo["latest_version_href"] + "repair/").json()))
    assert (done["repair.corrupted"], done["repair.repaired"]) == (1, 0)
    assert body.sha256 not in sluice.artifacts()
    assert sluice.get("r/f").status_code in (404, 502)
    sluice.api.post("content/file/files/upload/", data={"relative_path": "f"}, files={"file": body.all()})
    assert sluice.get("r/f").content == body.all()
