"""Ten thousand requests that look as if someone meant them: no 500, nothing that the document does not describe, and a server that goes on."""
import base64
import http.client
import os

import pytest

from asking import Asking
from described import Form
from sluice import PASSWORD, SLOW, described
from waiting import wait_for

COUNT = 10_000 if SLOW == 1 else 1_000
SEED = int(os.environ.get("SLUICE_TEST_SEED", 4))
MYSELF = "/pulp/api/v3/users/1/"
LOGIN = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


@pytest.mark.timeout(120)
def test_no_request_is_too_much(sluice):
    print(f"SLUICE_TEST_SEED={SEED}")
    asking = Asking(described(), SEED)
    for n in range(3):
        remote = sluice.api.remote(f"n{n}", "http://127.0.0.1:9/PULP_MANIFEST", max_retries=0)
        asking.know(remote["pulp_href"])
        asking.know(sluice.api.repository(f"n{n}", remote=remote["pulp_href"])["pulp_href"])
    connection = http.client.HTTPConnection("127.0.0.1", sluice.port, timeout=60 * SLOW)
    seen = {}
    for n in range(COUNT):
        ask = asking.next()
        while ask.method not in ("GET", "HEAD") and ask.path == MYSELF:  # another password, and nobody asks any more
            ask = asking.next()
        headers = {"Authorization": LOGIN} | ({"Content-Type": ask.content_type} if ask.content_type else {})
        if "Content-Range" in [p["name"] for p in ask.op.described["parameters"]]:
            headers["Content-Range"] = "bytes 0-9/10"
        connection.request(ask.method, ask.target, ask.body, headers)
        r = connection.getresponse()
        body = r.read()
        where = f"request {n} of seed {SEED}: {ask}"
        assert r.status < 500 or r.status == 503, f"{where}: {r.status} {body[:500]!r}"
        sent = ask.sent if ask.content_type == "application/json" or ask.sent is None else Form(ask.sent)
        described().check(ask.method, ask.path, {n for n, _ in ask.query}, lambda sent=sent: sent, r.status, r.getheader("Content-Type", ""), body)
        asking.learn(r.status, body)
        seen[r.status] = seen.get(r.status, 0) + 1
    print(seen)
    # Otherwise they would not have looked as if someone meant them.
    assert seen[200] > COUNT / 4 and seen.get(503, 0) < COUNT / 100, seen

    def all_end():
        for state in ("waiting", "running", "canceling"):
            for t in sluice.api.list("tasks/", state=state, limit=1000):
                if state != "canceling":
                    sluice.api.patch(t["pulp_href"], json={"state": "canceled"}, check=False)
        return not sluice.api.list("tasks/", state__in="waiting,running,canceling")
    wait_for("the end of all tasks", all_end, 30 * SLOW, 0.1)
    repo = sluice.api.repository("after all that")
    sluice.api.do("POST", repo["pulp_href"] + "modify/", add_content_units=[])
    assert sluice.api.show(repo["pulp_href"])["name"] == "after all that"
