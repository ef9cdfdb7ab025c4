"""The document that describes the API, and the page that shows it, as clients get them."""
import base64
import hashlib
import json
import re
import zlib

import requests

DOCS = "/pulp/api/v3/docs/"


def raw(server, path, **headers):
    with requests.get(server.base + DOCS + path, headers={"Accept-Encoding": "identity", **headers}, stream=True, timeout=60) as r:
        return r, r.raw.read(decode_content=False)


def test_the_document_is_kept_and_compressed(sluice):
    plain, text = raw(sluice, "api.json")
    assert plain.status_code == 200 and "Content-Encoding" not in plain.headers
    assert json.loads(text)["servers"] == [{"url": sluice.base}]
    for asked, coded in (("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False), ("xgzip", False)):
        r, body = raw(sluice, "api.json", **{"Accept-Encoding": asked})
        assert (r.headers.get("Content-Encoding") == "gzip") == coded, asked
        assert r.headers["Vary"] == "Accept-Encoding" and r.headers["Cache-Control"] == "no-cache"
        assert (zlib.decompress(body, 31) if coded else body) == text, asked
        assert (r.headers["ETag"] == plain.headers["ETag"]) == (not coded)
        again, rest = raw(sluice, "api.json", **{"Accept-Encoding": asked, "If-None-Match": r.headers["ETag"]})
        assert again.status_code == 304 and rest == b"" and again.headers["ETag"] == r.headers["ETag"]


def test_each_host_finds_itself_in_it(sluice):
    """The Host stands in the middle of a text that is compressed: whatever its length."""
    tags = set()
    for host in ("a", "mirror.example:8443", "h" * 3000):
        for path in ("api.json", "api.yaml?bindings&component=core"):
            r, body = raw(sluice, path, Host=host, **{"Accept-Encoding": "gzip"})
            text = zlib.decompress(body, 31).decode()
            assert text.count(f'"http://{host}"') == 1
            assert raw(sluice, path, Host=host)[1].decode() == text
            tags.add(r.headers["ETag"])
    assert len(tags) == 6


def test_variants_do_not_get_mixed_up(sluice):
    seen = {}
    for _ in range(2):
        for query in ("", "?bindings", "?pk_path=1", "?bindings&pk_path=1", "?component=file", "?component=core", "?component=none", "?component=rpm&bindings"):
            r, body = raw(sluice, "api.json" + query)
            assert seen.setdefault(query, (r.headers["ETag"], body)) == (r.headers["ETag"], body), query
    assert len({body for _, body in seen.values()}) == len(seen)
    assert json.loads(seen["?component=none"][1])["paths"] == {}


def test_the_page_needs_nothing_else_and_lets_nothing_else_run(sluice):
    r, page = raw(sluice, "")
    assert r.status_code == 200 and r.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(p.strip().split(" ", 1) for p in r.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'" and policy["connect-src"] == "'self'"
    for name in ("script", "style"):
        (text,) = re.findall(rb"<%b>(.*?)</%b>" % (name.encode(), name.encode()), page, re.S)
        assert policy[f"{name}-src"] == "'sha256-" + base64.b64encode(hashlib.sha256(text).digest()).decode() + "'"
    # Nothing that the policy would block, and no way from the document's text into markup.
    for never in (b"http:", b"https:", b" style=", b" src=", b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"eval("):
        assert never not in page, never
    assert not re.search(rb" on[a-z]+=", page)
    assert all(link in (b"api.json", b"api.yaml", b"data:,") or link.startswith(b"#") for link in re.findall(rb'href="([^"]*)"', page))
    gz, body = raw(sluice, "", **{"Accept-Encoding": "gzip"})
    assert zlib.decompress(body, 31) == page and gz.headers["ETag"] != r.headers["ETag"]
    assert raw(sluice, "", **{"If-None-Match": r.headers["ETag"]})[0].status_code == 304
    assert requests.post(sluice.base + DOCS, timeout=60).status_code == 405
    assert requests.get(sluice.base + DOCS.rstrip("/"), timeout=60, allow_redirects=False).status_code == 301
    assert sluice.api.show("")["docs"] == sluice.base + DOCS
