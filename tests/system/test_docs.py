"""The document that describes the API, and the page that shows it, as clients get them."""
import json
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
