"""What downloads in progress hold of the disk: bounded, with an answer that says so."""
from data import MiB
from waiting import in_thread


def test_past_the_bound_a_miss_is_told_to_come_again(start_sluice, upstream):
    """What runs and what is saved goes on; the refused one is served when there is room."""
    s = start_sluice(env={"SLUICE_STORAGE_STAGING_MAX": "12M"})
    saved, big, other = upstream.add("/r/saved", MiB), upstream.add("/r/big", 8 * MiB), upstream.add("/r/other", 8 * MiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert s.get("r/saved").content == saved.all()
    s.quiet()
    gate = upstream.gate()
    upstream.rule("/r/big", gate_at=(MiB, gate))
    first = in_thread(s.get, "r/big")
    gate.wait_reached()
    assert s.metric("staging_bytes") == 8 * MiB
    r = s.get("r/other")
    assert (r.status_code, r.headers["X-Sluice-Reason"]) == (503, "staging-full") and int(r.headers["Retry-After"]) > 0
    s.wait_log("storage.staging_max")
    assert upstream.hits("/r/other") == 0 and s.metric("staging_refusals") == 1
    assert s.get("r/saved").content == saved.all()
    gate.open()
    assert first().content == big.all()
    s.quiet()
    assert s.metric("staging_bytes") == 0
    assert s.get("r/other").content == other.all()


def test_a_streamed_artifact_takes_a_window_of_the_disk(start_sluice, upstream):
    """It is larger than all staging; the client reads, stops and reads on, and gets what was sent though it was freed behind it."""
    s = start_sluice(env={"SLUICE_CONTENT_STREAMED_WINDOW": "8M", "SLUICE_STORAGE_STAGING_MAX": "40M"})
    body = upstream.add("/r/iso", 64 * MiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), "streamed")
    most = 0
    with s.connect(timeout=60) as c:
        c.sendall(b"GET /pulp/content/r/iso HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        f = c.makefile("rb")
        assert b" 200 " in f.readline()
        while f.readline() != b"\r\n":
            pass
        for at in range(0, 64 * MiB, MiB):
            assert f.read(MiB) == body.slice(at, at + MiB - 1), f"at {at}"
            most = max(most, s.deleted_bytes())
        assert f.read() == b""
    s.quiet()
    assert upstream.hits("/r/iso") == 1 and upstream.sha256("/r/iso") not in s.artifacts() and s.deleted_bytes() == 0
    assert s.metric("staging_punched_bytes") >= 40 * MiB
    assert most <= 40 * MiB, most  # the window, a piece in hand, and what a slow pool has not given back yet
