"""Protected content, as clients see it: by header, by password, by certificate through a real proxy."""
import base64

import pytest
import requests

import site_front
from data import KiB
from entitlement import version_1, version_3
from front import Authority, Nginx
from sluice import SLOW

GUARDS = "contentguards/"
DOWNLOADER = "core.rbaccontentguard_downloader"
needs_nginx = pytest.mark.skipif(Nginx.found is None, reason="there is no nginx")
TRUSTING = {"SLUICE_SERVER_TRUSTED_PROXIES": "127.0.0.1"}
DENIED = (403, "Access denied.", "403: Access denied.")


def lazy(s, upstream, guard):
    """A repository of one missing file, read by whom the guard lets pass."""
    body = upstream.add("/r/a", 40 * KiB)
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    protect(s, guard)
    return body.all()


def protect(s, guard):
    d = s.api.find("distributions/file/file/", "r")
    s.api.do("PATCH", d["pulp_href"], content_guard=guard["pulp_href"] if guard else None)


def refused(s, path, **kw):
    r = s.get(path, **kw)
    assert (r.status_code, r.reason, r.text) == DENIED
    return True


def test_every_path_is_refused_alike_and_nothing_is_fetched(start_sluice, upstream):
    s = start_sluice()
    guard = s.api.do("POST", GUARDS + "core/header/", name="h", header_name="X-Org", header_value="12", jq_filter=".org")
    a = lazy(s, upstream, guard)
    good = {"X-Org": base64.b64encode(b'{"org": "12"}').decode()}
    for path in ("r/a", "r/none", "r/", "r", "r/PULP_MANIFEST"):
        assert refused(s, path, allow_redirects=False)
        assert refused(s, path, headers={"X-Org": base64.b64encode(b'{"org": "13"}').decode()})
        r = requests.head(s.base + "/pulp/content/" + path, timeout=60, allow_redirects=False)
        assert r.status_code == 403
    assert upstream.hits("/r/a") == 0
    assert s.get("r/a", headers=good).content == a  # the miss
    assert s.get("r/a", headers=good).status_code == 200 and upstream.hits("/r/a") == 1
    assert refused(s, "r/a") and refused(s, "r/a", headers={"Range": "bytes=0-9"})
    assert s.get("r/none", headers=good).status_code == 404
    # a change counts for the next request, also on a connection that is kept
    with requests.Session() as client:
        assert client.get(s.base + "/pulp/content/r/a", headers=good, timeout=60).status_code == 200
        s.api.do("PATCH", guard["pulp_href"], header_value="14")
        assert client.get(s.base + "/pulp/content/r/a", headers=good, timeout=60).status_code == 403
        s.api.delete(guard["pulp_href"])
        assert client.get(s.base + "/pulp/content/r/a", timeout=60).status_code == 200


def test_passwords(start_sluice, upstream):
    s = start_sluice()
    guard = s.api.do("POST", GUARDS + "core/rbac/", name="g")
    lazy(s, upstream, guard)
    assert refused(s, "r/a") and refused(s, "r/a", auth=("admin", "wrong")) and refused(s, "r/a", auth=("eve", "x"))
    for _ in range(3):
        assert s.get("r/a", auth=s.api.auth).status_code == 200
    assert "wrong" not in s.log() and s.api.auth[1] not in s.log()


@needs_nginx
def test_certificates_through_nginx(start_sluice, upstream, tmp_path):
    ca, other = Authority(tmp_path, "root"), Authority(tmp_path, "other")
    good, bad = ca.issue("client"), other.issue("client")
    s = start_sluice(env=TRUSTING)
    a = lazy(s, upstream, s.api.do("POST", GUARDS + "certguard/x509/", name="x", ca_certificate=ca.pem))
    inside = f"""location / {{ proxy_pass {s.base}; proxy_set_header X-CLIENT-CERT $ssl_client_escaped_cert; }}"""
    with Nginx(tmp_path / "n", inside, ca.issue("localhost")) as front:
        path = "/pulp/content/r/a"
        assert front.curl(path)[0] == 403
        assert front.curl(path, client=bad)[0] == 403
        # what a client says about itself does not get through
        assert front.curl(path, "-H", f"X-CLIENT-CERT: {good.escaped}")[0] == 403
        assert front.curl(path, "-H", f"X-CLIENT-CERT: {good.escaped}", client=bad)[0] == 403
        assert upstream.hits("/r/a") == 0
        for _ in range(2):
            status, _, body = front.curl(path, client=good)
            assert status == 200 and body == a
        assert upstream.hits("/r/a") == 1
        assert front.curl("/pulp/content/r/none", client=good)[0] == 404


def test_a_forged_certificate_field_counts_for_nothing(start_sluice, upstream, tmp_path):
    """Whoever asks is none of the proxies."""
    ca = Authority(tmp_path, "root")
    good = ca.issue("client")
    s = start_sluice(env={"SLUICE_SERVER_TRUSTED_PROXIES": "192.0.2.1"})
    lazy(s, upstream, s.api.do("POST", GUARDS + "certguard/x509/", name="x", ca_certificate=ca.pem))
    assert refused(s, "r/a", headers={"X-CLIENT-CERT": good.escaped})
    s.stop()
    s.env.update(TRUSTING)
    s.start()
    for value in (good.escaped, good.pem.replace("\n", " ").strip()):
        assert s.get("r/a", headers={"X-CLIENT-CERT": value}).status_code == 200
    assert refused(s, "r/a", headers={"X-CLIENT-CERT": good.escaped[:-200]})


@pytest.mark.parametrize("extensions", [version_1, version_3], ids=["v1", "v3"])
def test_entitlements_go_by_path(start_sluice, upstream, tmp_path, extensions):
    ca, other = Authority(tmp_path, "root"), Authority(tmp_path, "other")
    s = start_sluice(env=TRUSTING)
    a = lazy(s, upstream, s.api.do("POST", GUARDS + "certguard/rhsm/", name="x", ca_certificate=ca.pem))
    d = s.api.find("distributions/file/file/", "r")
    s.api.do("PATCH", d["pulp_href"], base_path="content/dist/9/x86_64")

    def ask(path, paths, by=ca):
        cert = by.issue("client", extensions(paths) if paths else [])
        return s.get("content/dist/9/x86_64" + path, headers={"X-CLIENT-CERT": cert.escaped}, allow_redirects=False)

    assert ask("/a", ["/else", "/content/dist/$releasever/$basearch"]).content == a
    assert ask("/none", ["/content/dist/$releasever/$basearch"]).status_code == 404
    assert ask("/a", ["/content/dist/9/x86_64/a"]).status_code == 200
    for paths in (["/content/dist/8/$basearch"], ["/content/dist/$releasever/$basearch/b"], ["/content/dist/9/x86"], []):
        for path in ("/a", "/none", "/", ""):
            assert ask(path, paths).status_code == 403
    assert ask("/a", ["/content"], by=other).status_code == 403


def test_signed_urls(start_sluice, upstream):
    s = start_sluice()
    guard = s.api.do("POST", GUARDS + "core/content_redirect/", name="s")
    a = lazy(s, upstream, guard)

    def signed(url, **options):
        return s.api.do("POST", guard["pulp_href"] + "sign_url/", url=url, **options)["url"]

    def ask(url):
        return requests.get(s.base + url, timeout=60)

    url = signed("/pulp/content/r/a")
    assert refused(s, "r/a")
    assert ask(url).content == a
    for wrong in (url.replace("r/a", "r/b"), url + "&x=y", url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("expires=", "expires=1")):
        assert ask(wrong).status_code == 403
    s.restart()  # the key stays
    assert ask(url).status_code == 200
    token = url.rsplit("=", 1)[1]
    assert ask(signed("/pulp/content/r/none")).status_code == 404
    assert token not in s.log()


ACCEL = """
  location / { proxy_pass %s; proxy_set_header X-CLIENT-CERT $ssl_client_escaped_cert; }
  location /sluice-media/ {
    internal; alias %s/; etag off; if_modified_since off;
    add_header ETag $upstream_http_etag; add_header Last-Modified $upstream_http_last_modified;
    add_header X-PULP-ARTIFACT-SIZE $upstream_http_x_pulp_artifact_size;
  }"""


@needs_nginx
def test_nginx_sends_what_sluice_lets_pass(start_sluice, upstream, tmp_path):
    ca = Authority(tmp_path, "root")
    good = ca.issue("client")
    s = start_sluice(env={**TRUSTING, "SLUICE_CONTENT_SEND_BY": "x-accel-redirect"})
    a = lazy(s, upstream, s.api.do("POST", GUARDS + "certguard/x509/", name="x", ca_certificate=ca.pem))
    with Nginx(tmp_path / "n", ACCEL % (s.base, s.data / "media"), ca.issue("localhost")) as front:
        path = "/pulp/content/r/a"
        same = ("content-type", "content-length", "etag", "last-modified", "accept-ranges", "x-pulp-artifact-size")
        assert front.curl(path)[0] == 403
        first = front.curl(path, client=good)  # streamed, by sluice
        assert first[0] == 200 and first[2] == a and s.metric("content_delegated") == 0
        for n in (1, 2):
            later = front.curl(path, client=good)
            assert later[0] == 200 and later[2] == a and s.metric("content_delegated") == n
            assert {k: later[1].get(k) for k in same} == {k: first[1].get(k) for k in same}
            assert "x-accel-redirect" not in later[1]
        assert front.curl(path)[0] == 403
        piece = front.curl(path, "-r", "100-199", client=good)
        assert piece[0] == 206 and piece[2] == a[100:200] and s.metric("content_delegated") == 3
        # what is about validators is sluice's
        assert front.curl(path, "-H", f"If-None-Match: {first[1]['etag']}", client=good)[0] == 304
        resumed = front.curl(path, "-r", "100-199", "-H", f"If-Range: {first[1]['etag']}", client=good)
        assert resumed[0] == 206 and resumed[2] == a[100:200]
        assert front.curl(path, "-I", client=good)[1]["content-length"] == str(len(a))
        assert s.metric("content_delegated") == 3
        # nobody reaches the files by themselves
        assert front.curl("/sluice-media/artifact/", client=good)[0] == 404
        digest = first[1]["etag"].strip('"')
        assert front.curl(f"/sluice-media/artifact/{digest[:2]}/{digest[2:]}", client=good)[0] == 404


SENDFILE = """
  Listen 127.0.0.1:{port}
  XSendFile on
  XSendFilePath {media}
  ProxyPass "/pulp/content/" "{base}/pulp/content/" nocanon
"""


@pytest.mark.skipif(not site_front.XSENDFILE, reason="there is no Apache httpd with mod_xsendfile")
def test_apache_sends_what_sluice_lets_pass(start_sluice, upstream, tmp_path):
    """From the first request of a missing file, which sluice streams, to pieces of the saved one, which Apache cuts out."""
    s = start_sluice(env={**TRUSTING, "SLUICE_CONTENT_SEND_BY": "x-sendfile"})
    a = lazy(s, upstream, s.api.do("POST", GUARDS + "core/header/", name="h", header_name="X-Org", header_value="12"))
    good = {"X-Org": base64.b64encode(b"12").decode(), "Accept-Encoding": "identity"}
    site_front.open_to_group(s.data / "media")
    port, = site_front.ports(1)
    conf = tmp_path / "site.conf"
    conf.write_text(SENDFILE.format(port=port, media=s.data / "media", base=s.base))
    apache = site_front.apache(tmp_path / "apache", port, conf=conf, more_modules="xsendfile")

    def ask(path="r/a", **fields):
        return requests.get(f"http://127.0.0.1:{port}/pulp/content/{path}", headers={**good, **fields}, timeout=60 * SLOW)

    try:
        assert ask(**{"X-Org": "x"}).status_code == 403 and ask(**{"X-Org": "x"}, path="r/none").status_code == 403
        first = ask()
        assert (first.status_code, first.content, s.metric("content_delegated")) == (200, a, 0)
        later = ask()
        assert (later.status_code, later.content, s.metric("content_delegated")) == (200, a, 1)
        for k in ("Content-Type", "Content-Length", "ETag", "Last-Modified"):
            assert later.headers[k] == first.headers[k], k
        assert "X-Sendfile" not in later.headers
        piece = ask(Range="bytes=100-199")
        assert (piece.status_code, piece.content) == (206, a[100:200]) and s.metric("content_delegated") == 2
        # what is about validators is sluice's
        assert ask(**{"If-None-Match": first.headers["ETag"]}).status_code == 304
        resumed = ask(**{"If-Range": first.headers["ETag"], "Range": "bytes=100-199"})
        assert (resumed.status_code, resumed.content) == (206, a[100:200])
        assert ask(**{"X-Org": "x"}).status_code == 403 and s.metric("content_delegated") == 2
        assert ask(path="r/none").status_code == 404
    finally:
        apache.stop()


def test_no_file_name_for_strangers(start_sluice, upstream):
    s = start_sluice(env={"SLUICE_SERVER_TRUSTED_PROXIES": "192.0.2.1", "SLUICE_CONTENT_SEND_BY": "x-sendfile"})
    a = lazy(s, upstream, None)
    for _ in range(3):
        r = s.get("r/a")
        assert r.content == a and "X-Sendfile" not in r.headers
