"""Directory listings, redirects to the slash, content types: Pulp's, for clients that read them."""
import re

import pytest

from data import MiB
from rawhttp import Conn
from sluice import CONTENT

SIZES = {"a0": 0, "a1": 1, "a999": 999, "b1000": 1000, "c1500": 1500, "m": 4_200_000}
TYPES = {
    "x.gz": "application/gzip", "x.GZ": "application/gzip", "x.tar.gz": "application/gzip", "x.xz": "application/x-xz",
    "x.bz2": "application/x-bzip2", "x.zst": "application/zstd", "x.zip": "application/zip", "x.tar": "application/x-tar",
    "x.7z": "application/x-7z-compressed", "x.jar": "application/java-archive", "x.xml": "text/xml", "x.json": "application/json",
    "x.js": "application/javascript", "x.html": "text/html", "x.htm": "text/html", "x.css": "text/css", "x.csv": "text/csv",
    "x.txt": "text/plain", "x.c": "text/plain", "x.py": "text/x-python", "x.sh": "application/x-sh", "x.jpg": "image/jpeg",
    "x.jpeg": "image/jpeg", "x.png": "image/png", "x.gif": "image/gif", "x.svg": "image/svg+xml", "x.pdf": "application/pdf",
    "x.wasm": "application/wasm", "x.rpm": None, "x.deb": None, "x.whl": None, "x.iso": None, "x.tgz": None, "x.asc": None,
    "x.yaml": None, "x.md": None, "Release": None, "txt": None, "x.": None,
}


@pytest.fixture(scope="module")
def site(shared, shared_upstream):
    up = shared_upstream
    for name, size in SIZES.items():
        up.add("/r/sizes/" + name, size)
    for name in TYPES:
        up.add("/r/types/" + name, b"type")
    up.add("/r/top.txt", b"top")
    up.add("/r/deep/er/file", b"x")
    up.add("/r/odd/<b>&\"'.txt", b"x")
    up.add("/r/odd/päth.txt", b"x")
    up.add("/r/html/index.html", b"<p>passed through</p>")
    up.add("/r/html/other", b"x")
    shared.api.repo("r", up.manifest("/r/PULP_MANIFEST"))
    shared.api.repo("n1", up.manifest("/r/PULP_MANIFEST"), base_path="nested/one", sync=False)
    shared.api.repo("n2", up.manifest("/r/PULP_MANIFEST"), base_path="nested/two/deep", sync=False)
    hidden = shared.api.repository("h")
    shared.api.distribute("h", "secret", repository=hidden["pulp_href"], hidden=True)
    return shared


ENTRY = re.compile(r'<a href="\./([^"]*)">([^<]*)</a>( *)(\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d)?  ([^\n]*)')


def listing(site, path):
    """{name: size} of a listing, after its frame was checked."""
    r = site.get(path)
    assert r.status_code == 200 and r.headers["Content-Type"].startswith("text/html"), (r.status_code, r.text[:300])
    where = CONTENT + path
    assert f"<head><title>Index of {where}</title></head>" in r.text
    assert f"<h1>Index of {where}</h1>" in r.text
    body = re.search(r"<hr><pre>(.*)</pre><hr></body>", r.text, re.S).group(1)
    rows = body.split("\n")
    assert rows[0] == ('<a href="../">../</a>' if path else "")
    assert rows[-1] == ""
    out = {}
    for row in rows[1:-1]:
        m = ENTRY.fullmatch(row)
        assert m, repr(row)
        assert m.group(1) == m.group(2)
        out[m.group(2)] = m.group(5).strip()
    assert list(out) == sorted(out), "not sorted"
    return out


def test_root_of_a_distribution(site):
    assert list(listing(site, "r/")) == ["PULP_MANIFEST", "deep/", "html/", "odd/", "sizes/", "top.txt", "types/"]


def test_sizes_are_for_people(site):
    assert listing(site, "r/sizes/") == {"a0": "0 Bytes", "a1": "1 Byte", "a999": "999 Bytes", "b1000": "1.0 kB", "c1500": "1.5 kB",
                                         "m": "4.2 MB"}


def test_columns_line_up(site):
    row = next(line for line in site.get("r/sizes/").text.split("\n") if "a999" in line)
    m = ENTRY.fullmatch(row)
    assert len(m.group(2)) + len(m.group(3)) == 100
    assert m.group(4)


def test_directories_in_directories(site):
    assert list(listing(site, "r/deep/")) == ["er/"]
    assert list(listing(site, "r/deep/er/")) == ["file"]


def test_names_are_escaped(site):
    text = site.get("r/odd/").text
    assert "<b>" not in text and "&lt;b&gt;&amp;&quot;" in text
    assert "päth.txt" in site.get("r/odd/").content.decode("utf-8")


def test_a_listing_does_not_change_with_what_is_saved(site):
    before = site.get("r/").content
    assert site.get("r/top.txt").content == b"top"
    site.quiet()
    assert site.get("r/").content == before


def test_all_distributions_are_listed_but_hidden_ones(site):
    assert list(listing(site, "")) == ["nested/", "r/"]
    assert list(listing(site, "nested/")) == ["one/", "two/"]
    assert list(listing(site, "nested/two/")) == ["deep/"]


@pytest.mark.parametrize("path", ["r", "r/deep", "r/deep/er", "r/sizes", "nested", ""])
def test_missing_slash_is_a_redirect(site, path):
    target = (CONTENT + path).rstrip("/")
    with Conn(site.connect()) as c:
        r = c.ask("GET", target)
    if path == "nested":
        assert r.status in (301, 404)  # Pulp leaves a prefix of base paths alone; a redirect is kinder
        return
    assert r.status == 301 and re.sub(r"^http://[^/]+", "", r.get("Location")) == target + "/"


def test_a_file_with_a_slash_is_not_a_file(site):
    assert site.get("r/top.txt/").status_code == 404


def test_head_of_a_listing(site):
    get, head = site.get("r/"), site.head("r/")
    assert head.status_code == 200 and head.content == b"" and head.headers.get("Content-Length") == get.headers.get("Content-Length")


def test_an_index_that_only_passes_through_is_not_the_answer(site):
    assert list(listing(site, "r/html/")) == ["index.html", "other"]
    assert site.get("r/html/index.html").text == "<p>passed through</p>"


@pytest.mark.parametrize("name", TYPES)
def test_content_type(site, name):
    for _ in range(2):  # first streamed, then saved
        assert site.get("r/types/" + name).headers["Content-Type"] == (TYPES[name] or "application/octet-stream")
        site.quiet()


def test_content_type_of_the_manifest(site):
    assert site.get("r/PULP_MANIFEST").headers["Content-Type"] == "application/octet-stream"


def test_a_repository_without_publication_is_404_everywhere(sluice, upstream):
    upstream.add("/r/a", MiB)
    api = sluice.api
    remote = api.remote("r", upstream.manifest("/r/PULP_MANIFEST"), "on_demand")
    repo = api.repository("r", remote=remote["pulp_href"])
    api.distribute("r", "r", repository=repo["pulp_href"])
    api.sync(repo)
    assert [sluice.get(p).status_code for p in ("r/", "r/a", "r/PULP_MANIFEST")] == [404, 404, 404]
    api.publish(repo)
    assert [sluice.get(p).status_code for p in ("r/", "r/a", "r/PULP_MANIFEST")] == [200, 200, 200]


def test_a_distribution_that_points_nowhere_says_so(sluice):
    sluice.api.distribute("void", "void")
    r = sluice.get("void/x")
    assert r.status_code == 404
    assert "Distribution is not pointing to a publication, repository, repository version, or remote." in (r.reason + r.text)


def test_unknown_distribution_is_404_without_redirect(site):
    for path in ("nope", "nope/", "nope/x", "rr/top.txt", "nest/one/"):
        assert site.get(path).status_code == 404, path
