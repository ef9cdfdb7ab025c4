"""Files that clients send: artifacts and units, served afterwards like any other."""
import base64
import hashlib
import json
import os

from data import KiB, MiB
from sluice import PASSWORD
from waiting import wait_for

FILES = "content/file/files/"


def upload(s, path, data, **fields):
    return s.api.post(path, files={"file": ("f", data)}, data=fields)


def test_an_uploaded_unit_is_served(sluice):
    repo = sluice.api.repository("up", autopublish=True)
    sluice.api.distribute("up", "up", repository=repo["pulp_href"])
    body = os.urandom(300 * KiB)

    task = sluice.api.wait(upload(sluice, FILES, body, relative_path="d/a.bin", repository=repo["pulp_href"]).json())
    version, publication, unit = task["created_resources"]
    assert version == repo["pulp_href"] + "versions/1/" and "/publications/" in publication
    unit = sluice.api.show(unit)
    assert unit["sha256"] == hashlib.sha256(body).hexdigest() and unit["relative_path"] == "d/a.bin"
    assert sluice.get("up/d/a.bin").content == body
    assert f"d/a.bin,{unit['sha256']},{len(body)}\n" == sluice.get("up/PULP_MANIFEST").text

    # what has the same path goes, unless it is to stay
    second = upload(sluice, FILES + "upload/", b"second", relative_path="d/a.bin").json()
    add = {"relative_path": "d/a.bin", "artifact": second["artifact"], "repository": repo["pulp_href"]}
    failed = sluice.api.wait(sluice.api.post(FILES, json=add | {"overwrite": False}).json(), states=("failed",))
    assert failed["error"]["description"].startswith("[PLP0023]")
    task = sluice.api.do("POST", FILES, **add)
    assert task["result"]["pulp_href"] == second["pulp_href"]
    assert sluice.get("up/d/a.bin").content == b"second"
    # once more: nothing changes, so there is no version
    assert sluice.api.do("POST", FILES, **add)["created_resources"] == [second["pulp_href"]]


def test_an_upload_saves_what_was_on_demand(sluice, upstream):
    body = os.urandom(10 * KiB)
    upstream.add("/r/a.bin", body)
    sluice.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert sluice.api.units()[0]["artifact"] is None
    unit = upload(sluice, FILES + "upload/", body, relative_path="a.bin").json()
    assert unit["pulp_href"] == sluice.api.units()[0]["pulp_href"] and unit["artifact"]
    assert sluice.get("r/a.bin").content == body
    assert upstream.hits("/r/a.bin") == 0


def test_an_upload_that_breaks_off_leaves_nothing(sluice):
    login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    head = (f"POST /pulp/api/v3/artifacts/ HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {login}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000000\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n')
    with sluice.connect() as c:
        c.sendall(head.encode() + b"x" * (2 * MiB))
        wait_for("a file in staging", lambda: sluice.deleted_bytes() + len(sluice.staged()) > 0, 60)
    wait_for("the end of the file", lambda: sluice.deleted_bytes() + len(sluice.staged()) == 0, 60)
    assert sluice.api.list("artifacts/") == [] and sluice.artifacts() == {}


# ---- by URL

def by_url(api, url, **fields):
    return api.post(FILES, data={"relative_path": "d/f", "file_url": url, **fields}).json()


def test_a_unit_of_what_lies_at_a_url(sluice, upstream):
    api, body = sluice.api, upstream.add("/x/f", 3 * MiB)
    repo = api.repository("r", autopublish=True)
    api.distribute("r", "r", repository=repo["pulp_href"])
    upstream.rule("/x/f", drop_after=MiB, times=1)  # begun anew
    upstream.rule("/x/f", auth=("me", "secret"))
    config = json.dumps({"username": "me", "password": "secret", "max_retries": 2})
    task = api.wait(by_url(api, upstream.url("/x/f"), repository=repo["pulp_href"], downloader_config=config))
    assert "/versions/1/" in task["created_resources"][0]
    unit = api.show(task["created_resources"][-1])
    assert (unit["relative_path"], unit["sha256"]) == ("d/f", upstream.sha256("/x/f")) and unit["artifact"]
    assert sluice.get("r/d/f").content == upstream.body("/x/f").all() and upstream.hits("/x/f") == 2
    assert sluice.staged() == []


def test_a_url_that_cannot_be_had_or_may_not_be_asked(start_sluice, upstream):
    upstream.add("/x/f", KiB)
    s = start_sluice(env={"SLUICE_CONTENT_FOREIGN_NETWORKS": "192.0.2.0/24"})
    for config in (None, json.dumps({"proxy_url": upstream.base}), json.dumps({"username": "me", "password": "secret"})):
        task = s.api.wait(by_url(s.api, upstream.url("/x/f"), **({"downloader_config": config} if config else {})), states=("failed",))
        assert "content.foreign_networks" in task["error"]["description"], config
    assert upstream.hits() == 0
    s.stop()
    s.env.clear()
    s.start()
    task = s.api.wait(by_url(s.api, upstream.url("/x/none")), states=("failed",))
    assert "404, message='Not Found'" in task["error"]["description"] and upstream.hits("/x/none") == 1
    for fields, where in (({"file_url": "nonsense"}, "file_url"), ({"file_url": "file:///etc/passwd"}, "file_url"),
                          ({"file_url": upstream.url("/x/f"), "artifact": ""}, None),
                          ({"file_url": upstream.url("/x/f"), "downloader_config": '{"policy": "x"}'}, "downloader_config"),
                          ({"file_url": upstream.url("/x/f"), "downloader_config": '{"max_retries": "many"}'}, "downloader_config")):
        r = s.api.post(FILES, data={"relative_path": "f", **fields}, check=False)
        assert (r.status_code, list(r.json())) == ((400, [where]) if where else (202, ["task"])), fields
    r = s.api.post(FILES, data={"relative_path": "f", "file_url": upstream.url("/x/f")}, files={"file": b"x"}, check=False)
    assert r.json() == {"non_field_errors": ["Exactly one of 'upload', 'artifact', 'file', 'file_url' must be specified."]}
