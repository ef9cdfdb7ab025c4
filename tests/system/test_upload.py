"""Files that clients send: artifacts and units, served afterwards like any other."""
import base64
import hashlib
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
