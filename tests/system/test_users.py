"""Users, as administrators and clients meet them: who may read, write and fetch, and that a change counts at once."""
import requests

from data import KiB
from sluice import API

RBAC = "contentguards/core/rbac/"
DOWNLOADER = "core.rbaccontentguard_downloader"
EVE = ("eve", "pass-word-of-eve")


def status(s, method, path, **kw):
    return requests.request(method, s.base + API + path, auth=EVE, timeout=60, **kw).status_code


def test_a_viewer_and_a_group(start_sluice, upstream):
    s = start_sluice()
    a = upstream.add("/r/a", 10 * KiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    guard = s.api.do("POST", RBAC, name="g")
    s.api.do("PATCH", s.api.find("distributions/file/file/", "r")["pulp_href"], content_guard=guard["pulp_href"])
    eve = s.api.do("POST", "users/", username=EVE[0], password=EVE[1])
    assert status(s, "GET", "tasks/") == 403 and s.get("r/a", auth=EVE).status_code == 403

    role = s.api.do("POST", eve["pulp_href"] + "roles/", role="sluice.viewer")
    assert status(s, "GET", "repositories/") == 200 and s.get("r/a", auth=EVE).status_code == 403
    assert status(s, "POST", "repositories/file/file/", json={"name": "x"}) == 403
    assert status(s, "POST", "artifacts/", files={"file": b"x" * KiB}) == 403
    s.api.do("DELETE", role["pulp_href"])
    assert status(s, "GET", "repositories/") == 403

    group = s.api.do("POST", "groups/", name="builders")
    s.api.do("POST", guard["pulp_href"] + "add_role/", role=DOWNLOADER, groups=["builders"])
    assert s.get("r/a", auth=EVE).status_code == 403
    s.api.do("POST", group["pulp_href"] + "users/", username="eve")
    assert s.get("r/a", auth=EVE).content == a.all()
    s.api.do("DELETE", group["pulp_href"] + "users/%d/" % eve["id"])
    assert s.get("r/a", auth=EVE).status_code == 403
    s.api.do("POST", group["pulp_href"] + "users/", username="eve")
    assert s.get("r/a", auth=EVE).status_code == 200
    s.api.do("DELETE", group["pulp_href"])
    assert s.get("r/a", auth=EVE).status_code == 403
    assert EVE[1] not in s.log() and EVE[1] not in s.api.get("users/").text


def test_guesses_are_slowed_down(start_sluice):
    s = start_sluice(env={"SLUICE_SERVER_LOGIN_FAILURES": "3"})
    answers = []
    while len(answers) < 30 and 429 not in answers:  # each costs half a minute, so that it comes however slow the machine is
        r = requests.get(s.base + API + "tasks/", auth=("eve", str(len(answers))), timeout=60)
        answers.append(r.status_code)
    assert len(answers) > 3 and set(answers[:-1]) == {401} and answers[-1] == 429
    assert 0 < int(r.headers["Retry-After"]) <= 31
    assert s.api.get("tasks/").status_code == 200
