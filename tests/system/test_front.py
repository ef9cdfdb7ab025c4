"""The split deployment whole: the real Apache httpd and Squid, from the configuration in deploy/, between clients and the roles.

One site for the module: client ── Apache ── content, redirect; client ── Apache ── Squid ── streamer ── upstream, which wants a
certificate of its own; and the save task, which goes through Apache and Squid like a client.
"""
import concurrent.futures
import hashlib
import http.client
import shutil

import pytest

import site_front as front
from data import KiB, MiB
from sluice import CONTENT, SANITIZER, SLOW, Sluice
from tls_upstream import TlsUpstream
from waiting import wait_for

pytestmark = [pytest.mark.together,
              pytest.mark.skipif(front.APACHE is None or front.SQUID is None, reason="needs Apache httpd and Squid")]

SAVE = "sluice.app.tasks.lazy.save"

# What sluice does there is done by the other tests, too; it is the other programs that these look at.
programs = pytest.mark.skipif(SANITIZER != "", reason="looks at programs that have no sanitizer")


class Answer:
    def __init__(self, response, body, complete):
        self.status, self.headers, self.body, self.complete = response.status, response.headers, body, complete

    @property
    def sha256(self):
        return hashlib.sha256(self.body).hexdigest()


class Site:
    def __init__(self, directory, cache=front.squid, apart=True, **env):
        """`apart`: each role is a process of its own."""
        self.dir = front.open_to_all(directory)
        self.cache, self.apart, self.env = cache, apart, env
        self.parts = []
        try:
            self._start()
        except BaseException:
            self.close(False)
            raise

    def _start(self):
        ca = front.Ca(self.dir / "ca", "clients")
        other = front.Ca(self.dir / "other", "strangers")
        theirs = front.Ca(self.dir / "theirs", "their-ca")
        self.good, self.bad = ca.issue("client"), other.issue("client")
        save, mirror = ca.issue("sluice-save"), theirs.issue("mirror")
        tls = self.dir / "tls"
        tls.mkdir()
        for source, name in zip((*ca.issue("localhost"), ca.pem), ("cert.pem", "key.pem", "client-ca.pem")):
            shutil.copy(source, tls / name)
        self.upstream = TlsUpstream(*theirs.issue("upstream"), theirs.pem)
        self.parts.append(self.upstream)
        self.port, self.cache_port = front.ports(2)
        url = f"https://127.0.0.1:{self.port}/streamer"
        env = {"SLUICE_LAZY_REDIRECT_URL": url, "SLUICE_LAZY_STREAMER_PORT": "0", "SLUICE_LAZY_STREAMER_INTERFACE": "127.0.0.1",
               "SLUICE_LAZY_STREAMER_CACHE_TIMEOUT": "1234", "SLUICE_LAZY_SAVE_CA_CERT": ca.pem,
               "SLUICE_LAZY_SAVE_CLIENT_CERT": save[0], "SLUICE_LAZY_SAVE_CLIENT_KEY": save[1], **self.env}
        refusing = {**env, "SLUICE_CONTENT_ON_MISSING": "refuse"}
        if self.apart:
            self.api = self._role(Sluice(self.dir / "api", env, args=["--role", "api,worker"]))
            join = {"data": self.api.data}
            self.content = self._role(Sluice(self.dir / "content", refusing, args=["--role", "content"], **join))
            self.redirect = self._role(Sluice(self.dir / "redirect", env, args=["--role", "redirect"], **join))
            self.streamer = self._role(Sluice(self.dir / "streamer", env, args=["--role", "streamer"], **join))
        else:
            self.api = self._role(Sluice(self.dir / "all", refusing, args=["--role", "api,worker,content,redirect,streamer"]))
            self.content = self.redirect = self.streamer = self.api
        self.parts.append(self.cache(self.dir / "cache", self.cache_port, self.streamer.streamer.removeprefix("http://")))
        self.apache = front.apache(self.dir / "apache", self.port, name="localhost", tls=tls,
                                   content=f"127.0.0.1:{self.content.port}", redirect=f"127.0.0.1:{self.redirect.port}",
                                   cache=f"127.0.0.1:{self.cache_port}")
        self.parts.append(self.apache)
        self.remote = {"ca_cert": theirs.pem.read_text(), "client_cert": mirror[0].read_text(), "client_key": mirror[1].read_text()}

    def _role(self, s):
        self.parts.append(s)
        return s

    def close(self, check=True):
        errors = []
        for p in reversed(self.parts):
            try:
                p.stop() if isinstance(p, front.Program) else p.close()
            except AssertionError as e:
                errors.append(str(e))
        assert not (check and errors), "\n".join(errors)

    def repo(self, name, files):
        for path, what in files.items():
            self.upstream.add(f"/{name}/{path}", what)
        self.api.api.repo(name, self.upstream.manifest(f"/{name}/PULP_MANIFEST"), **self.remote)

    def ask(self, target, cert=None, method="GET", headers=None):
        """One request to Apache, byte for byte as it is given."""
        context = front.no_tls_checks()
        if cert is not None:
            context.load_cert_chain(*map(str, cert))
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60 * SLOW)
        try:
            c.putrequest(method, target, skip_accept_encoding=True)
            for k, v in (headers or {}).items():
                c.putheader(k, v)
            c.endheaders()
            r = c.getresponse()
            try:
                return Answer(r, r.read(), True)
            except http.client.IncompleteRead as e:
                return Answer(r, e.partial, False)
        finally:
            c.close()

    def follow(self, target, cert):
        """As a client does: the redirects, and the answer behind them."""
        seen = []
        for _ in range(3):
            a = self.ask(target, cert)
            seen.append(a)
            if a.status != 302:
                break
            target = a.headers["Location"].removeprefix(f"https://127.0.0.1:{self.port}")
        return seen

    def saves(self):
        return self.api.api.list("tasks/", name=SAVE)

    def saved(self, name):
        """Waits until the artifact is saved, and the tasks are over."""
        for t in self.saves():
            self.api.api.wait(t, states=("completed", "failed"))
        wait_for(f"{name} to be saved", lambda: self.upstream.sha256(name) in self.api.artifacts(), 60 * SLOW)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    s = Site(tmp_path_factory.mktemp("front"))
    yield s
    s.close()


def test_from_redirect_to_disk(site):
    """A missing file by way of the redirect, Squid and the streamer; then it is saved through Squid; then there is no redirect."""
    site.repo("a", {"one two.rpm": 3 * MiB})
    site.upstream.rule("/a/one%20two.rpm", headers={"Cache-Control": "private, max-age=5", "X-Theirs": "as it is"})
    target = CONTENT + "a/one%20two.rpm"
    away, got = site.follow(target, site.good)
    assert away.status == 302 and away.headers["Location"] == f"https://127.0.0.1:{site.port}/streamer{target}"
    assert got.status == 200 and got.sha256 == site.upstream.sha256("/a/one two.rpm")
    assert got.headers["Cache-Control"] == "public, max-age=1234"
    assert got.headers["X-Theirs"] == "as it is" and got.headers["Content-Type"] == "application/x-upstream"
    assert got.headers["ETag"] == f'"{site.upstream.sha256("/a/one two.rpm")[:20]}"'
    wait_for("a save task", site.saves, 60 * SLOW)
    site.saved("/a/one two.rpm")
    assert site.upstream.hits("/a/one%20two.rpm") == 1  # the save task was served by Squid
    only, = site.follow(target, site.good)
    assert only.status == 200 and only.sha256 == got.sha256


def test_twenty_clients_one_upstream_get(site):
    site.repo("b", {"big": 4 * MiB})
    gate = site.upstream.gate()
    site.upstream.rule("/b/big", gate_at=(MiB, gate))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        clients = [pool.submit(site.follow, CONTENT + "b/big", site.good) for _ in range(20)]
        gate.wait_reached()
        gate.open()
        for c in clients:
            assert c.result()[-1].sha256 == site.upstream.sha256("/b/big")
    site.saved("/b/big")
    assert site.upstream.hits("/b/big") == 1
    assert len([t for t in site.saves() if t["reserved_resources_record"][0].endswith(":big")]) == 1


@programs
def test_certificates_are_checked_at_both_hops(site):
    site.repo("c", {"x": 64 * KiB})
    for cert in (site.bad, None):
        for target in (CONTENT + "c/x", "/streamer" + CONTENT + "c/x", "/pulp/api/v2/content/redirect", CONTENT + "c/unknown"):
            assert site.ask(target, cert).status == 403
    assert site.upstream.hits("/c/x") == 0
    assert site.follow(CONTENT + "c/x", site.good)[-1].status == 200


@programs
def test_answers_of_the_redirect_handler(site):
    site.repo("d", {"x": 64 * KiB})
    assert site.ask(CONTENT + "d/unknown", site.good).status == 404
    assert site.ask("/pulp/api/v2/content/redirect", site.good).status == 400
    # What only Apache may say is not taken from a client.
    forged = {"X-Redirect-Url": CONTENT + "d/x", "X-Redirect-Status": "404", "X-Redirect-Request": f"GET {CONTENT}d/x HTTP/1.1"}
    assert site.ask("/pulp/api/v2/content/redirect", site.good, headers=forged).status == 400
    assert site.ask("/metrics", site.good).status == 403
    assert site.ask("/streamer/metrics", site.good).status == 403
    assert site.ask("/pulp/api/v3/status/", site.good).status == 403
    assert site.upstream.hits("/d/x") == 0


@programs
def test_without_redirect_url_there_is_no_redirect(site, tmp_path):
    """Another redirect process, without the setting, in the place of the first."""
    site.repo("e", {"x": 64 * KiB})
    port, = front.ports(1)
    with Sluice(tmp_path / "r", args=["--role", "redirect"], data=site.api.data) as r:
        front.open_to_all(tmp_path)
        apache = front.apache(tmp_path / "apache", port, name="localhost", tls=site.dir / "tls",
                              content=f"127.0.0.1:{site.content.port}", redirect=f"127.0.0.1:{r.port}")
        try:
            first, site.port = site.port, port
            assert site.ask(CONTENT + "e/x", site.good).status == 404
            assert site.ask("/pulp/api/v2/content/redirect", site.good).status == 404
        finally:
            site.port = first
            apache.stop()


@programs
def test_paths_and_queries_survive_byte_for_byte(site):
    names = ["a+b.rpm", "a b.rpm", "x%41.rpm", "ü.rpm", "~t@:,;=&$!'().rpm"]
    site.repo("f", {n: 4 * KiB for n in names})
    for name, spelled in ((names[0], "a%2Bb.rpm"), (names[0], "a+b.rpm"), (names[1], "a%20b.rpm"), (names[2], "x%2541.rpm"),
                          (names[3], "%C3%BC.rpm"), (names[3], "%c3%bc.rpm"), (names[4], names[4]), (names[0], "%61%2bb.rpm")):
        for query in ("", "?x=%41&y=a+b", "?"):
            target = CONTENT + "f/" + spelled + query
            seen = site.follow(target, site.good)
            if len(seen) == 2:
                assert seen[0].headers["Location"] == f"https://127.0.0.1:{site.port}/streamer{target}"
            assert seen[-1].status == 200 and seen[-1].sha256 == site.upstream.sha256("/f/" + name), spelled


def test_a_broken_upstream_ends_short(site):
    site.repo("g", {"cut": 4 * MiB, "wrong": 4 * MiB})
    site.upstream.rule("/g/cut", drop_after=2 * MiB, ranges=False)
    site.upstream.rule("/g/wrong", corrupt_at=1000)
    for name in ("cut", "wrong"):
        got = site.follow(CONTENT + "g/" + name, site.good)[-1]
        assert not got.complete and len(got.body) < 4 * MiB
        assert site.upstream.sha256("/g/" + name) not in site.api.artifacts()


@programs
def test_a_range_fetches_the_whole_once(site):
    site.repo("h", {"x": 2 * MiB})
    away = site.ask(CONTENT + "h/x", site.good)
    target = away.headers["Location"].removeprefix(f"https://127.0.0.1:{site.port}")
    got = site.ask(target, site.good, headers={"Range": "bytes=1000000-1000099"})
    assert got.status == 206 and got.body == site.upstream.body("/h/x").read(1000000, 100)
    site.saved("/h/x")
    assert site.upstream.hits("/h/x") == 1


CACHES = {"varnish": (front.VARNISH, front.varnish), "nginx": (front.NGINX, front.nginx_cache)}


@programs
@pytest.mark.parametrize("name", CACHES)
def test_other_caches(name, tmp_path):
    """Varnish and nginx in Squid's place do what Squid does there, here with signed redirects."""
    found, cache = CACHES[name]
    if found is None:
        pytest.skip(f"there is no {name}")
    site = Site(tmp_path / "site", cache, apart=False, SLUICE_LAZY_REDIRECT_VALID="3600")
    try:
        site.repo("a", {"x y.rpm": MiB, "piece": 2 * MiB, "cut": 4 * MiB})
        gate = site.upstream.gate()
        site.upstream.rule("/a/x%20y.rpm", gate_at=(256 * KiB, gate), headers={"Cache-Control": "private", "X-Theirs": "yes"})
        site.upstream.rule("/a/cut", drop_after=2 * MiB, ranges=False)
        target = CONTENT + "a/x%20y.rpm?q=%41"
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(site.follow, target, site.good) for _ in range(8)]
            gate.wait_reached()
            gate.open()
            seen = [c.result() for c in clients]
        assert {s[-1].sha256 for s in seen} == {site.upstream.sha256("/a/x y.rpm")}
        away = [s for s in seen if len(s) == 2]  # who comes late gets what is saved already
        assert away and all(first.status == 302 for first, _ in away)
        assert {(a.headers["Cache-Control"], a.headers["X-Theirs"]) for _, a in away} == {("public, max-age=1234", "yes")}
        away = site.ask(CONTENT + "a/piece", site.good)
        piece = site.ask(away.headers["Location"].removeprefix(f"https://127.0.0.1:{site.port}"), site.good, headers={"Range": "bytes=1000000-1000099"})
        assert piece.status == 206 and piece.body == site.upstream.body("/a/piece").read(1000000, 100)
        for path, spelled in (("/a/x y.rpm", "/a/x%20y.rpm"), ("/a/piece", "/a/piece")):
            site.saved(path)
            assert site.upstream.hits(spelled) == 1  # the save task was served by the cache
            assert [a.status for a in site.follow(CONTENT + spelled[1:], site.good)] == [200]
        assert site.ask("/streamer" + CONTENT + "a/cut", site.good).status == 403  # nobody sent it there
        got = site.follow(CONTENT + "a/cut", site.good)[-1]
        assert not got.complete and len(got.body) < 4 * MiB
    finally:
        site.close()
