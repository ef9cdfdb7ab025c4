"""The roles of the split deployment as processes: who joins whom, what the redirect handler and the streamer answer."""
import hashlib

import pytest
import requests

from data import KiB, MiB
from sluice import CONTENT, SLOW
from waiting import in_thread, wait_for

REDIRECT = "/pulp/api/v2/content/redirect"
AWAY = "//cache.example.org/streamer"


def redirect(s, path=None, **fields):
    headers = {"X-Redirect-Url": path, "X-Redirect-Status": "404"} if path else {}
    return requests.get(s.base + REDIRECT, headers={**headers, **fields}, allow_redirects=False, timeout=30 * SLOW)


def stream(s, path, **kw):
    return requests.get(s.streamer + CONTENT + path, timeout=60 * SLOW, **kw)


def sha256(response):
    return hashlib.sha256(response.content).hexdigest()


@pytest.fixture
def all_roles(start_sluice):
    """One process with every role."""
    return start_sluice(env={"SLUICE_LAZY_REDIRECT_URL": AWAY, "SLUICE_LAZY_STREAMER_PORT": "0"},
                        args=["--role", "content,api,worker,redirect,streamer"])


def test_redirect_has_four_answers(all_roles, upstream):
    s = all_roles
    upstream.add("/r/a b.rpm", 64 * KiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    at = CONTENT + "r/a%20b.rpm"
    got = redirect(s, at, **{"X-Redirect-Request": f"GET {at}?x=%41 HTTP/1.1"})
    assert got.status_code == 302 and got.headers["Location"] == AWAY + at + "?x=%41"
    assert redirect(s).status_code == 400
    assert redirect(s, CONTENT + "r/unknown").status_code == 404
    assert redirect(s, "/elsewhere/a").status_code == 404
    assert upstream.hits("/r/a%20b.rpm") == 0


def test_redirect_without_a_url_is_404(sluice, upstream):
    upstream.add("/r/a", KiB)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert redirect(sluice, CONTENT + "r/a").status_code == 404
    assert redirect(sluice).status_code == 404


def test_streamer_passes_what_it_gets_as_it_comes(all_roles, upstream):
    s = all_roles
    upstream.add("/r/a", 4 * MiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    gate = upstream.gate()
    upstream.rule("/r/a", gate_at=(2 * MiB, gate), headers={"Cache-Control": "private", "X-Theirs": "yes"})
    with stream(s, "r/a", stream=True) as first:
        assert first.headers["Cache-Control"] == "public, max-age=86400"
        assert first.headers["X-Theirs"] == "yes"
        assert first.headers["Content-Type"] == "application/x-upstream"
        assert first.headers["Content-Length"] == str(4 * MiB)
        chunks = first.iter_content(64 * KiB)
        head = next(chunks)  # data before upstream has sent all
        others = [in_thread(stream, s, "r/a") for _ in range(3)]
        s.wait_metric("flight_readers", 4)
        gate.open()
        assert len(head) + sum(len(c) for c in chunks) == 4 * MiB
        for o in others:
            assert sha256(o()) == upstream.sha256("/r/a")
    assert upstream.hits("/r/a") == 1
    s.quiet()
    assert s.artifacts().keys() & {upstream.sha256("/r/a")} == set()
    assert s.get("r/a").status_code == 200  # and this saves it
    assert sha256(stream(s, "r/a")) == upstream.sha256("/r/a")
    assert upstream.hits("/r/a") == 2


def test_streamer_says_404_for_whatever_upstream_does(all_roles, upstream):
    s = all_roles
    upstream.add("/r/a", 64 * KiB)
    upstream.add("/r/b", 4 * MiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"), max_retries=0)
    upstream.rule("/r/a", status=501)
    upstream.rule("/r/b", corrupt_at=1000)
    got = stream(s, "r/a")
    assert (got.status_code, got.content) == (404, b"")
    assert stream(s, "r/unknown").status_code == 404
    got = stream(s, "r/b")
    assert int(got.headers["Content-Length"]) > len(got.content)  # never complete


def test_roles_are_processes(start_sluice, upstream, tmp_path):
    main = start_sluice(args=["--role", "api,worker"])
    env = {"SLUICE_LAZY_REDIRECT_URL": AWAY, "SLUICE_LAZY_STREAMER_PORT": "0"}
    parts = {r: start_sluice(env=env, data=main.data, args=["--role", r]) for r in ("content", "redirect", "streamer")}
    upstream.add("/r/a", 64 * KiB)
    main.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert requests.get(main.url("r/a"), timeout=30 * SLOW).status_code == 404
    assert redirect(main, CONTENT + "r/a").status_code == 404
    assert redirect(parts["redirect"], CONTENT + "r/a").headers["Location"] == AWAY + CONTENT + "r/a"
    assert sha256(stream(parts["streamer"], "r/a")) == upstream.sha256("/r/a")
    assert sha256(parts["content"].get("r/a")) == upstream.sha256("/r/a")
    # The one with the lock comes and goes; the others see what it does then.
    main.restart()
    upstream.add("/r/b", 64 * KiB)
    main.api.sync(main.api.find("repositories/file/file/", "r"))
    for part, ask in (("content", lambda s: s.get("r/b")), ("streamer", lambda s: stream(s, "r/b"))):
        assert sha256(ask(parts[part])) == upstream.sha256("/r/b")


def test_two_with_a_worker_are_refused(start_sluice):
    main = start_sluice()
    with pytest.raises(AssertionError, match="ended with 1"):
        start_sluice(data=main.data, args=["--role", "worker"])


def test_content_may_redirect_or_refuse(start_sluice, upstream):
    upstream.add("/r/a", 64 * KiB)
    main = start_sluice()
    main.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    away = start_sluice(data=main.data, args=["--role", "content"],
                        env={"SLUICE_CONTENT_ON_MISSING": "redirect", "SLUICE_LAZY_REDIRECT_URL": AWAY})
    refuse = start_sluice(data=main.data, args=["--role", "content"], env={"SLUICE_CONTENT_ON_MISSING": "refuse"})
    got = away.get("r/a", allow_redirects=False)
    assert (got.status_code, got.headers["Location"]) == (302, AWAY + CONTENT + "r/a")
    got = refuse.get("r/a")
    assert (got.status_code, got.headers["X-Sluice-Reason"]) == (404, "not-saved")
    assert main.get("r/a").status_code == 200
    assert sha256(away.get("r/a")) == sha256(refuse.get("r/a")) == upstream.sha256("/r/a")


def test_streamer_listens_where_it_is_told(start_sluice):
    s = start_sluice(args=["--role=streamer"], data=start_sluice().data,
                     env={"SLUICE_LAZY_STREAMER_PORT": "0", "SLUICE_LAZY_STREAMER_INTERFACE": "127.0.0.2, lo"})
    assert s.streamer.startswith("http://127.0.0.2:")
    s.wait_log(r"streamer listening on http://127\.0\.0\.1:")


# ---- the save task

SAVE = "sluice.app.tasks.lazy.save"


def saves(s):
    return s.api.list("tasks/", name=SAVE)


@pytest.fixture
def fronted(start_sluice, upstream):
    """A server whose save task asks `upstream` as its front; `upstream` serves the repository, too."""
    def start(**kw):
        s = start_sluice(env={"SLUICE_LAZY_REDIRECT_URL": AWAY, "SLUICE_LAZY_SAVE_URL": upstream.url("").rstrip("/")},
                         **kw)
        body = upstream.add("/r/a", 256 * KiB)
        upstream.add(CONTENT + "r/a", body)
        s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
        return s
    return start


def test_a_redirect_saves_through_the_front(fronted, upstream):
    s = fronted()
    for _ in range(3):
        assert redirect(s, CONTENT + "r/a").status_code == 302
    wait_for("a save task", lambda: saves(s), 10 * SLOW)
    s.api.wait(saves(s)[0])
    front = upstream.requests(CONTENT + "r/a")
    assert len(front) == 1 and front[0].header("X-Sluice-Save")
    assert upstream.hits("/r/a") == 0
    assert upstream.sha256("/r/a") in s.artifacts()
    assert s.get("r/a").status_code == 200 and upstream.hits("/r/a") == 0
    assert redirect(s, CONTENT + "r/a").status_code == 302  # it came too late: the streamer has it from the store
    assert len(saves(s)) == 1


def test_a_front_in_trouble_is_asked_again(fronted, upstream):
    s = fronted()
    upstream.rule(CONTENT + "r/a", times=1, status=404)
    upstream.rule(CONTENT + "r/a", times=1, corrupt_at=100)
    upstream.rule(CONTENT + "r/a", times=1, drop_after=1000)
    redirect(s, CONTENT + "r/a")
    wait_for("a save task", lambda: saves(s), 10 * SLOW)
    s.api.wait(saves(s)[0])
    assert upstream.sha256("/r/a") in s.artifacts()
    assert upstream.hits("/r/a") == 0


def test_a_save_that_fails_leaves_the_unit_lazy(fronted, upstream):
    s = fronted()
    upstream.rule(CONTENT + "r/a", corrupt_at=100)
    redirect(s, CONTENT + "r/a")
    wait_for("a save task", lambda: saves(s), 10 * SLOW)
    task = s.api.wait(saves(s)[0], states=("failed",))
    assert "PLP0003" in str(task["error"])
    assert not s.artifacts().keys() & {upstream.sha256("/r/a")}
    assert redirect(s, CONTENT + "r/a").status_code == 302
    wait_for("another save task", lambda: len(saves(s)) == 2, 10 * SLOW)


def test_what_is_saved_meanwhile_is_left_alone(fronted, upstream):
    """The task waits for a worker; then there is nothing left to do."""
    s = fronted()
    gate = upstream.gate()
    upstream.rule("/r/PULP_MANIFEST", gate_head=gate)
    for name in ("x", "y"):  # both workers are busy
        remote = s.api.remote(name, upstream.url("/r/PULP_MANIFEST"))
        s.api.start_sync(s.api.repository(name), remote)
    redirect(s, CONTENT + "r/a")
    wait_for("a save task", lambda: saves(s), 10 * SLOW)
    assert s.get("r/a").status_code == 200
    gate.open()
    s.api.wait(saves(s)[0])
    assert upstream.hits(CONTENT + "r/a") == 0


def test_a_streamed_download_is_saved_once(start_sluice, upstream):
    main = start_sluice()
    streamer = start_sluice(data=main.data, args=["--role", "streamer"],
                            env={"SLUICE_LAZY_STREAMER_PORT": "0", "SLUICE_LAZY_REDIRECT_URL": "http://127.0.0.1:1"})
    main.env["SLUICE_LAZY_SAVE_URL"] = streamer.streamer  # no cache between: the save task asks the streamer itself
    main.restart()
    upstream.add("/r/a", 256 * KiB)
    main.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert sha256(stream(streamer, "r/a")) == upstream.sha256("/r/a")
    wait_for("a save task", lambda: saves(main), 10 * SLOW)
    main.api.wait(saves(main)[0])
    assert upstream.sha256("/r/a") in main.artifacts() and upstream.hits("/r/a") == 2
    assert sha256(stream(streamer, "r/a")) == upstream.sha256("/r/a") and upstream.hits("/r/a") == 2
    assert len(saves(main)) == 1 and streamer.metric("lazy_saves") == 1
