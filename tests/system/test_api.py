"""The conventions of the REST API that clients of Pulp 3 rely on."""
import json
import re
import uuid

import pytest
import requests

from data import KiB
from sluice import API, PASSWORD

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
KINDS = ["remotes/file/file/", "repositories/file/file/", "distributions/file/file/", "publications/file/file/", "content/file/files/",
         "tasks/", "artifacts/", "repository_versions/"]
NAME = iter(f"n{i}" for i in range(10 ** 6))


@pytest.fixture
def a(shared):
    return shared.api


def make_remote(a, **fields):
    body = {"name": next(NAME), "url": "http://127.0.0.1:1/PULP_MANIFEST"} | fields
    return a.post("remotes/file/file/", json=body).json()


def refused(a, path, method="POST", **body):
    r = a.request(method, path, json=body, check=False)
    assert r.status_code == 400, (r.status_code, r.text)
    assert r.headers["Content-Type"] == "application/json"
    return r.json()


# ---- doors

def test_status_is_for_everybody(shared):
    r = requests.get(shared.base + API + "status/")
    s = r.json()
    assert r.status_code == 200 and r.headers["Content-Type"] == "application/json"
    assert {v["component"] for v in s["versions"]} >= {"core", "file"}
    assert s["online_workers"] and s["online_content_apps"] and s["online_api_apps"]
    assert s["database_connection"]["connected"] is True
    assert s["storage"]["total"] > s["storage"]["free"] > 0
    assert s["content_settings"]["content_path_prefix"] == "/pulp/content/"
    assert s["domain_enabled"] is False


def test_livez_and_root_are_for_everybody(shared):
    r = requests.get(shared.base + API + "livez/")
    assert (r.status_code, r.content) == (200, b"")
    root = requests.get(shared.base + API).json()
    assert all(isinstance(v, str) for v in root.values()) and len(root) >= 6


@pytest.mark.parametrize("path", KINDS)
def test_everything_else_wants_a_password(shared, path):
    r = requests.get(shared.base + API + path)
    assert r.status_code == 401 and r.json() == {"detail": "Authentication credentials were not provided."}
    assert r.headers["WWW-Authenticate"] == 'Basic realm="api"'
    for auth in (("admin", "wrong"), ("nobody", PASSWORD), ("admin", ""), ("", "")):
        r = requests.get(shared.base + API + path, auth=auth)
        assert r.status_code == 401 and r.json() == {"detail": "Invalid username/password."}, auth


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic YWRtaW4=", "Bearer x", "Basic " + "A" * 8000])
def test_broken_credentials_are_401(shared, value):
    assert requests.get(shared.base + API + "tasks/", headers={"Authorization": value}).status_code == 401


def test_ajax_gets_another_scheme_word(shared):
    r = requests.get(shared.base + API + "tasks/", headers={"X-Requested-With": "XMLHttpRequest"})
    assert r.headers["WWW-Authenticate"].startswith("xBasic")


def test_missing_slash_is_redirected(a, shared):
    r = a.get("remotes/file/file", allow_redirects=False)
    assert r.status_code == 301 and r.headers["Location"].endswith(API + "remotes/file/file/")
    assert a.get("no/such/thing", check=False).status_code == 404


def test_unrouted_is_404_and_unknown_objects_have_a_detail(a):
    assert a.get("nothing/", check=False).status_code == 404
    r = a.get(f"remotes/file/file/{uuid.uuid4()}/", check=False)
    assert r.status_code == 404 and re.fullmatch(r"No FileRemote matches the given query\.|Not found\.", r.json()["detail"])
    assert a.get("remotes/file/file/not-a-uuid/", check=False).status_code == 404


def test_methods_that_are_not(a):
    for method, path in [("DELETE", "remotes/file/file/"), ("PUT", "tasks/"), ("POST", "status/"), ("PATCH", "artifacts/")]:
        r = a.request(method, path, check=False)
        assert r.status_code == 405, (method, path)
    assert a.request("DELETE", "remotes/file/file/", check=False).json() == {"detail": 'Method "DELETE" not allowed.'}


# ---- shapes

def test_common_fields(a):
    r = make_remote(a)
    assert re.fullmatch(f"{API}remotes/file/file/{UUID}/", r["pulp_href"])
    assert re.fullmatch(f"prn:file.fileremote:{UUID}", r["prn"]) and r["prn"][-36:] == r["pulp_href"][-37:-1]
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"
    assert re.fullmatch(stamp, r["pulp_created"]) and re.fullmatch(stamp, r["pulp_last_updated"])
    assert a.show(r["pulp_href"]) == r


def test_create_answers_201_with_location(a):
    r = a.post("remotes/file/file/", json={"name": next(NAME), "url": "http://h/M"})
    assert r.status_code == 201 and r.headers["Location"] == r.json()["pulp_href"]


def test_json_is_compact_and_utf8(a):
    name = next(NAME) + " größe"
    r = a.post("remotes/file/file/", json={"name": name, "url": "http://h/M"})
    assert r.headers["Content-Type"] == "application/json"
    assert b'": ' not in r.content and b'", ' not in r.content and "größe".encode() in r.content


def test_remote_fields_and_defaults(a):
    r = make_remote(a)
    want = {"policy": "immediate", "pulp_labels": {}, "ca_cert": None, "client_cert": None, "tls_validation": True, "proxy_url": None,
            "max_retries": None, "total_timeout": None, "connect_timeout": None, "sock_connect_timeout": None, "sock_read_timeout": None,
            "headers": None, "download_concurrency": None, "rate_limit": None}
    got = {k: r[k] for k in want}
    got["headers"] = got["headers"] or None
    assert got == want
    for secret in ("client_key", "proxy_username", "proxy_password", "username", "password"):
        assert secret not in r
    assert {h["name"]: h["is_set"] for h in r["hidden_fields"]} == dict.fromkeys(
        ("client_key", "proxy_username", "proxy_password", "username", "password"), False)


def test_secrets_are_written_never_read(a):
    r = make_remote(a, username="u", password="s3cret!")
    assert "s3cret!" not in json.dumps(r)
    assert {h["name"]: h["is_set"] for h in r["hidden_fields"]}["password"] is True
    got = a.do("PUT", r["pulp_href"], name=r["name"], url="http://h/N")  # absent: kept
    got = a.show(r["pulp_href"])
    assert {h["name"]: h["is_set"] for h in got["hidden_fields"]}["password"] is True


def test_secrets_are_not_in_the_log(a, shared):
    make_remote(a, username="u", password="do-not-log-me", url="http://127.0.0.1:1/M?token=nor-me")
    assert "do-not-log-me" not in shared.log()


def test_repository_fields_and_version_0(a):
    r = a.repository(next(NAME))
    assert r["latest_version_href"] == r["versions_href"] + "0/" == r["pulp_href"] + "versions/0/"
    assert {k: r[k] for k in ("description", "remote", "retain_repo_versions", "autopublish", "manifest", "pulp_labels")} == \
        {"description": None, "remote": None, "retain_repo_versions": None, "autopublish": False, "manifest": "PULP_MANIFEST", "pulp_labels": {}}
    v = a.show(r["latest_version_href"])
    assert v["number"] == 0 and v["repository"] == r["pulp_href"] and v["base_version"] is None
    assert v["content_summary"] == {"added": {}, "removed": {}, "present": {}}


def test_repository_version_summary(a, shared_upstream):
    up, name = shared_upstream, next(NAME)
    up.add(f"/{name}/a", 10)
    up.add(f"/{name}/b", 10)
    repo = a.repo(name, up.manifest(f"/{name}/PULP_MANIFEST"))
    v = a.show(repo["latest_version_href"])
    for kind, param in [("added", "repository_version_added"), ("present", "repository_version")]:
        assert v["content_summary"][kind]["file.file"]["count"] == 2
        href = v["content_summary"][kind]["file.file"]["href"]
        assert param + "=" in href and a.show(href)["count"] == 2
    assert v["content_summary"]["removed"] == {}
    assert [x["number"] for x in a.list(repo["versions_href"])] == [1, 0]


def test_distribution_fields(a):
    name = next(NAME)
    d = a.distribute(name, name + "/x")
    assert d["base_url"] == f"/pulp/content/{name}/x/"
    assert {k: d[k] for k in ("content_guard", "repository", "repository_version", "publication", "hidden", "pulp_labels")} == \
        {"content_guard": None, "repository": None, "repository_version": None, "publication": None, "hidden": False, "pulp_labels": {}}


def test_content_unit_fields(a, shared, shared_upstream):
    up, name = shared_upstream, next(NAME)
    body = up.add(f"/{name}/a", 10 * KiB)
    repo = a.repo(name, up.manifest(f"/{name}/PULP_MANIFEST"))
    u = a.units(repo)[0]
    assert u["relative_path"] == "a" and u["artifact"] is None and u["sha256"] is None
    assert a.list("content/file/files/", sha256=body.sha256)[0]["pulp_href"] == u["pulp_href"]
    shared.get(f"{name}/a")
    shared.quiet()
    u = a.show(u["pulp_href"])
    art = a.show(u["artifact"])
    assert u["sha256"] == art["sha256"] == body.sha256 and art["size"] == 10 * KiB
    assert art["file"] == f"artifact/{body.sha256[:2]}/{body.sha256[2:]}"
    assert art["md5"] is None and art["sha1"] is None


# ---- errors

def test_field_errors(a):
    assert refused(a, "remotes/file/file/", url="http://h/M") == {"name": ["This field is required."]}
    assert refused(a, "remotes/file/file/", name="", url="http://h/M") == {"name": ["This field may not be blank."]}
    assert refused(a, "remotes/file/file/", name=None, url="http://h/M") == {"name": ["This field may not be null."]}
    assert refused(a, "remotes/file/file/", name="x", url="http://h/M", policy="x") == {"policy": ['"x" is not a valid choice.']}
    assert refused(a, "remotes/file/file/", name="x", url="http://h/M", nope=1) == {"nope": ["Unexpected field"]}
    assert refused(a, "remotes/file/file/", name="x", url="http://h/M", max_retries="x") == {"max_retries": ["A valid integer is required."]}
    assert refused(a, "remotes/file/file/", name="x", url="http://h/M", download_concurrency=0) == \
        {"download_concurrency": ["Ensure this value is greater than or equal to 1."]}
    taken = make_remote(a)["name"]
    assert refused(a, "remotes/file/file/", name=taken, url="http://h/M") == {"name": ["This field must be unique."]}


@pytest.mark.parametrize("url", ["", "not a url", "ftp://h/M", "http://", "http://user:pass@h/M", "http://h/\x01", "javascript:x", "/etc/passwd",
                                 "http://h:99999/M", "http://h:port/M", "file:///etc/PULP_MANIFEST", "file://etc", 5, None])
def test_bad_urls(a, url):
    assert list(refused(a, "remotes/file/file/", name="bad", url=url)) == ["url"]


@pytest.mark.parametrize("fields", [
    {"headers": "x"}, {"headers": [{"a": "b", "c": "d"}]}, {"headers": [{"A": "b\r\nC: d"}]}, {"headers": [1]}, {"headers": [{"A b": "c"}]},
    {"total_timeout": -1}, {"total_timeout": "x"}, {"rate_limit": "x"}, {"ca_cert": "no pem"}, {"client_cert": "x"}, {"tls_validation": "maybe"},
    {"proxy_url": "http://u:p@h/"}, {"pulp_labels": {"a": "b(c)"}}, {"pulp_labels": {"": "x"}}, {"pulp_labels": {"a/b": "x"}},
    {"pulp_labels": []}, {"name": ["x"]}, {"name": {"x": 1}}, {"download_concurrency": 10 ** 12},
], ids=lambda f: json.dumps(f)[:30])
def test_bad_values_name_their_field(a, fields):
    body = {"name": "bad", "url": "http://h/M"} | fields
    got = refused(a, "remotes/file/file/", **body)
    assert set(got) <= set(fields) | {"non_field_errors"}, got


def test_proxy_credentials_go_together(a):
    refused(a, "remotes/file/file/", name="bad", url="http://h/M", proxy_username="u", proxy_password="p")
    refused(a, "remotes/file/file/", name="bad", url="http://h/M", proxy_url="http://h", proxy_username="u")


@pytest.mark.parametrize("body, kind", [(b"{", "JSON"), (b"[]", None), (b"null", None), (b'"x"', None), (b'{"name":1', "JSON"), (b"\xff\xfe", "JSON"),
                                        (b"[" * 100000, "JSON"), (b'{"name":"\\ud800"}', None), (b'{"name":"a\\u0000b","url":"http://h/M"}', None),
                                        (b'{"name":"x","name":"y","url":1}', None), (b"", None)], ids=range(11))
def test_bad_json(a, body, kind):
    r = a.post("remotes/file/file/", data=body, headers={"Content-Type": "application/json"}, check=False)
    assert r.status_code == 400, r.text
    if kind:
        assert r.json()["detail"].startswith("JSON parse error - ")


def test_media_type(a):
    r = a.post("remotes/file/file/", data=b"<x/>", headers={"Content-Type": "text/xml"}, check=False)
    assert r.status_code == 415 and r.json() == {"detail": 'Unsupported media type "text/xml" in request.'}


def test_form_bodies(a):
    name = next(NAME)
    r = a.post("remotes/file/file/", data={"name": name, "url": "http://h/M", "policy": "on_demand", "pulp_labels": '{"k":"v w"}'})
    assert r.json()["policy"] == "on_demand" and r.json()["pulp_labels"] == {"k": "v w"}


# ---- lists

def test_pages(a):
    prefix = next(NAME) + "-page-"
    names = [f"{prefix}{i:02}" for i in range(12)]
    for n in names:
        make_remote(a, name=n)
    first = a.show("remotes/file/file/", name__startswith=prefix, limit=5)
    assert first["count"] == 12 and first["previous"] is None and len(first["results"]) == 5
    got = [r["name"] for r in first["results"]]
    page = first
    while page["next"]:
        assert page["next"].startswith("http://")
        page = requests.get(page["next"], auth=("admin", PASSWORD)).json()
        got += [r["name"] for r in page["results"]]
    assert got == names[::-1]  # newest first
    assert page["previous"] is not None
    assert [r["name"] for r in a.list("remotes/file/file/", name__startswith=prefix, ordering="name", limit=3)] == names[:3]
    assert [r["name"] for r in a.list("remotes/file/file/", name__startswith=prefix, ordering="-name", limit=3)] == names[:-4:-1]
    assert a.show("remotes/file/file/", name__startswith=prefix, offset=100)["results"] == []
    assert len(a.list("remotes/file/file/", name__startswith=prefix, limit=0)) == 12


def test_filters(a):
    n = next(NAME)
    for suffix in ("-alpha", "-Alpha2", "-beta"):
        make_remote(a, name=n + suffix)

    def names(**params):
        return {r["name"].removeprefix(n) for r in a.list("remotes/file/file/", **params) if r["name"].startswith(n)}
    assert names(name=n + "-beta") == {"-beta"}
    assert names(name__in=f"{n}-beta,{n}-alpha") == {"-beta", "-alpha"}
    assert names(name__in="") == set()
    assert names(name__contains=n + "-alpha") == {"-alpha"}
    assert names(name__icontains=n + "-ALPHA") == {"-alpha", "-Alpha2"}
    assert names(name__startswith=n + "-A") == {"-Alpha2"}
    assert names(name__contains=n + "_") == set() and names(name__contains=n + "%") == set()  # no wildcards


def test_unknown_filters_are_refused(a):
    assert refused(a, "remotes/file/file/?nope=1", "GET") == {"errors": ["Invalid Filter: 'nope'"]}


@pytest.mark.parametrize("query", ["pulp_id__in=x", "ordering=nope", "pulp_last_updated__gt=yesterday", "pulp_label_select=", "pulp_label_select=!a=b"])
def test_wrong_filter_values_are_refused(a, query):
    refused(a, "remotes/file/file/?" + query, "GET")


def test_label_selection(a):
    n = next(NAME)
    make_remote(a, name=n + "1", pulp_labels={n: "x", "env": "prod"})
    make_remote(a, name=n + "2", pulp_labels={n: "y"})
    make_remote(a, name=n + "3")

    def sel(expression):
        return sorted(r["name"].removeprefix(n) for r in a.list("remotes/file/file/", name__startswith=n, pulp_label_select=expression))
    assert sel(f"{n}=x") == ["1"] and sel(n) == ["1", "2"] and sel(f"!{n}") == ["3"] and sel(f"{n}!=x") == ["2"]
    assert sel(f"{n},env~RO") == ["1"]


def test_fields_and_exclude_fields(a):
    r = make_remote(a)
    assert set(a.show(r["pulp_href"], fields="name,pulp_href,nope")) == {"name", "pulp_href"}
    assert set(r) - set(a.show(r["pulp_href"], exclude_fields="name")) == {"name"}
    assert all(set(x) == {"name"} for x in a.list("remotes/file/file/", fields="name"))


# ---- changes

def test_patch_put_and_no_change(a):
    r = make_remote(a, policy="on_demand", max_retries=5)
    href = r["pulp_href"]
    same = a.patch(href, json={"policy": "on_demand"})
    assert same.status_code == 200 and same.json()["pulp_href"] == href
    diff = a.patch(href, json={"policy": "streamed"})
    assert diff.status_code == 202 and set(diff.json()) == {"task"}
    a.wait(diff.json())
    now = a.show(href)
    assert now["policy"] == "streamed" and now["max_retries"] == 5 and now["pulp_last_updated"] > r["pulp_last_updated"]
    a.do("PUT", href, name=r["name"], url=r["url"])
    now = a.show(href)
    assert now["policy"] == "immediate" and now["max_retries"] == 5  # reset to its default; kept
    back = a.put(href, json=now)
    assert back.status_code == 200, back.text
    assert refused(a, href, "PUT", name=r["name"]) == {"url": ["This field is required."]}
    assert list(refused(a, href, "PATCH", policy="x")) == ["policy"]


def test_delete_and_what_hangs_on_it(a, shared_upstream):
    up, n = shared_upstream, next(NAME)
    up.add(f"/{n}/a", 10)
    repo = a.repo(n, up.manifest(f"/{n}/PULP_MANIFEST"))
    remote = a.find("remotes/file/file/", n)
    r = a.delete(remote["pulp_href"])
    assert r.status_code == 202
    a.wait(r.json())
    assert a.get(remote["pulp_href"], check=False).status_code == 404
    assert a.show(repo["pulp_href"])["remote"] is None
    a.do("DELETE", repo["pulp_href"])
    assert a.get(repo["pulp_href"] + "versions/1/", check=False).status_code == 404
    d = a.find("distributions/file/file/", n)
    assert d["repository"] is None
    r = a.delete(d["pulp_href"])
    assert r.status_code == 202
    assert a.get(d["pulp_href"], check=False).status_code == 404  # at once


def test_labels_actions(a):
    r = make_remote(a)
    assert a.post(r["pulp_href"] + "set_label/", json={"key": "k", "value": "v"}).status_code == 201
    assert a.show(r["pulp_href"])["pulp_labels"] == {"k": "v"}
    assert a.post(r["pulp_href"] + "unset_label/", json={"key": "k"}).status_code == 201
    bad = a.post(r["pulp_href"] + "unset_label/", json={"key": "k"}, check=False)
    assert bad.status_code == 400 and "Label 'k' is not set on the object." in bad.text


def test_base_paths_do_not_nest(a):
    n = next(NAME)
    a.distribute(n, n + "/one")
    for path in (n, n + "/one/two", n + "/one"):
        r = a.post("distributions/file/file/", json={"name": n + path, "base_path": path}, check=False)
        assert r.status_code == 400 and "base_path" in r.json(), path
    got = a.post("distributions/file/file/", json={"name": n + "x", "base_path": n + "/one/two"}, check=False).json()
    assert got == {"base_path": {"base_path": f"Overlaps with existing distribution '{n}'"}}
    a.distribute(n + "2", n + "/onetwo")


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a b", "a/../b", "a/./b", "..", "a\tb", "a\nb", None, [], "x" * 5000])
def test_bad_base_paths(a, path):
    assert list(refused(a, "distributions/file/file/", name="bad", base_path=path)) == ["base_path"]


@pytest.mark.parametrize("path", ["", "/abs", "../x", ".", "a/..", "a//b", "a\\b", "PULP_MANIFEST/", "a\tb", [], 1, "x" * 5000])
def test_manifest_names_are_paths(a, path):
    name = next(NAME)
    repo = a.repository(name)
    for refusal in (refused(a, "repositories/file/file/", name=name + "x", manifest=path),
                    refused(a, "publications/file/file/", repository=repo["pulp_href"], manifest=path)):
        assert list(refusal) == ["manifest"]
    r = a.patch(repo["pulp_href"], json={"manifest": path}, check=False)
    assert r.status_code == 400 and list(r.json()) == ["manifest"], r.text
    assert a.show(repo["pulp_href"])["manifest"] == "PULP_MANIFEST"


@pytest.mark.parametrize("path", [None, "INDEX", "lists/all files.txt"])
def test_other_names_of_the_manifest(a, path):
    repo = a.repository(next(NAME), manifest=path)
    assert repo["manifest"] == path and a.publish(repo, manifest=path)["manifest"] == path


def test_distribution_has_one_source(a):
    n = next(NAME)
    repo = a.repository(n)
    got = refused(a, "distributions/file/file/", name=n, base_path=n, repository=repo["pulp_href"], repository_version=repo["latest_version_href"])
    assert list(got) == ["non_field_errors"]
    bad = refused(a, "distributions/file/file/", name=n, base_path=n, repository=API + f"repositories/file/file/{uuid.uuid4()}/")
    assert list(bad) == ["repository"]


def test_references_by_prn(a):
    n = next(NAME)
    remote = make_remote(a, name=n)
    repo = a.repository(n, remote=remote["prn"])
    assert repo["remote"] == remote["pulp_href"]
    assert [x["name"] for x in a.list("repositories/file/file/", remote=remote["prn"])] == [n]


def test_sync_needs_a_remote(a):
    repo = a.repository(next(NAME))
    got = refused(a, repo["pulp_href"] + "sync/")
    assert got == {"remote": ["This field is required since a remote is not set on the repository."]}
    auto = a.repository(next(NAME), autopublish=True)
    assert refused(a, auto["pulp_href"] + "sync/", remote=make_remote(a)["pulp_href"], mirror=True) == \
        ["Cannot use mirror mode with autopublished repository."]


def test_modify(a, shared_upstream):
    up, n = shared_upstream, next(NAME)
    for f in "abc":
        up.add(f"/{n}/{f}", 10)
    repo = a.repo(n, up.manifest(f"/{n}/PULP_MANIFEST"))
    unit = {u["relative_path"]: u["pulp_href"] for u in a.units(repo)}
    a.do("POST", repo["pulp_href"] + "modify/", remove_content_units=[unit["a"]])
    assert sorted(u["relative_path"] for u in a.units(repo)) == ["b", "c"]
    same = a.do("POST", repo["pulp_href"] + "modify/", add_content_units=[unit["b"]])
    assert same["created_resources"] == [] and a.version(repo) == 2
    a.do("POST", repo["pulp_href"] + "modify/", add_content_units=[unit["a"]], remove_content_units=["*"])
    assert [u["relative_path"] for u in a.units(repo)] == ["a"]
    a.do("POST", repo["pulp_href"] + "modify/", base_version=repo["versions_href"] + "1/")
    assert len(a.units(repo)) == 3


def test_version_delete(a, shared_upstream):
    up, n = shared_upstream, next(NAME)
    up.add(f"/{n}/a", 10)
    repo = a.repo(n, up.manifest(f"/{n}/PULP_MANIFEST"))
    for f in "bc":
        up.add(f"/{n}/{f}", 10)
        a.sync(repo)
    a.do("DELETE", repo["versions_href"] + "2/")
    assert a.get(repo["versions_href"] + "2/", check=False).status_code == 404
    assert sorted(u["relative_path"] for u in a.units(repo)) == ["a", "b", "c"]
    v3 = a.show(repo["versions_href"] + "3/")
    assert v3["content_summary"]["added"]["file.file"]["count"] == 2


def test_correlation_id(a):
    cid = str(uuid.uuid4())
    assert a.get("tasks/", headers={"Correlation-ID": cid}).headers["Correlation-ID"] == cid
    got = a.get("tasks/", headers={"Correlation-ID": "evil\tvalue"}).headers["Correlation-ID"]
    assert re.fullmatch("[0-9a-f]{32}|" + UUID, got)


def test_generic_lists(a, shared_upstream):
    make_remote(a)
    for kind in ("repositories/", "remotes/", "distributions/", "publications/", "content/"):
        got = a.show(kind, limit=1)
        assert set(got) == {"count", "next", "previous", "results"}, kind


def test_metrics_are_prometheus_text(shared):
    r = requests.get(shared.base + "/metrics")
    assert r.status_code == 200 and r.headers["Content-Type"].startswith("text/plain")
    for line in r.text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) sluice_\w+ .+|sluice_\w+(\{[^}]*\})? -?[0-9.e+]+", line), line


def test_rubbish_at_every_door(a, shared):
    """No 5xx, whatever is sent to whichever path."""
    hrefs = [make_remote(a)["pulp_href"], a.repository(next(NAME))["pulp_href"]]
    bodies = [b"", b"{}", b"[]", b"null", b'{"name":{}}', b'{"remote":5}', b'{"add_content_units":5}', b"\xff", b'{"x":' * 500]
    for path in KINDS + hrefs + [h + "sync/" for h in hrefs] + [h + "modify/" for h in hrefs] + [h + "versions/" for h in hrefs] + \
            ["repositories/reclaim_space/", "orphans/cleanup/", "tasks/purge/", "%00/", "remotes/file/file/%2e%2e/", "tasks/?limit=x&offset=-1",
             "tasks/?limit=99999999999999999999", "content/file/files/?repository_version=x"]:
        for method in ("GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD"):
            for body in bodies if method != "GET" else [b""]:
                if path == "orphans/cleanup/" and body in (b"", b"{}"):
                    continue
                r = a.request(method, path, data=body, headers={"Content-Type": "application/json"}, check=False, allow_redirects=False)
                assert r.status_code < 500 or r.status_code == 501, (method, path, body, r.status_code, r.text[:500])
    assert a.get("status/").status_code == 200
