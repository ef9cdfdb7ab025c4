"""TLS with real clients: curl, requests, openssl s_client and Python's own; certificates that are renewed while the server runs."""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
import requests

from data import MiB
from sluice import BINARY, CONTENT, SLOW
from waiting import in_thread, wait_for

SIZE = 3 * MiB
DEADLINE = 60 * SLOW


def openssl(*args, **kw):
    r = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=DEADLINE, **kw)
    assert r.returncode == 0, r.stderr
    return r.stdout


class Authority:
    """A certificate authority, and what it signs."""

    def __init__(self, directory, name="Test CA"):
        self.directory = directory
        directory.mkdir()
        self.pem, self.key = directory / "ca.pem", directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.pem, "-subj", f"/CN={name}", "-days", 30,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,cRLSign")

    def sign(self, name, *names, serial=None, expired=False):
        """Chain and key, two files. `names`: subject alternative names as OpenSSL writes them."""
        chain, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        ext = self.directory / f"{name}.ext"
        ext.write_text(f"subjectAltName={','.join(names or ('DNS:' + name,))}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                "-out", f"{chain}.csr", "-subj", f"/CN={name}")
        # A number of days that is negative ends before it begins, which OpenSSL signs.
        openssl("x509", "-req", "-in", f"{chain}.csr", "-CA", self.pem, "-CAkey", self.key, "-out", chain,
                "-set_serial", serial or 2, "-days", -1 if expired else 30, "-extfile", ext)
        key.chmod(0o600)
        return chain, key

    def revoke(self, *serials):
        """A list of revoked certificates, which ends tomorrow."""
        index, conf = self.directory / "index.txt", self.directory / "ca.conf"
        index.write_text("".join(f"R\t391231235959Z\t200101000000Z\t{s:02X}\tunknown\t/CN=revoked\n" for s in serials))
        conf.write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={index}\ndefault_md=sha256\ndefault_crl_days=1\n")
        return openssl("ca", "-gencrl", "-config", conf, "-keyfile", self.key, "-cert", self.pem)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


@pytest.fixture(scope="module")
def own(ca):
    """The certificate for everything that reaches the server by its address."""
    return ca.sign("sluice.test", "DNS:sluice.test", "DNS:localhost", "IP:127.0.0.1")


def tls_env(*pairs, **more):
    return {"SLUICE_SERVER_TLS_CERTIFICATES": ",".join(f"{chain}:{key}" for chain, key in pairs), **more}


class Served:
    """A server with a plain port, for the tests' own needs, and one with TLS."""

    def __init__(self, server, ca):
        self.server, self.ca = server, ca
        self.port = int(re.search(r"listening on https://127\.0\.0\.1:(\d+)/", server.log()).group(1))
        self.url = f"https://127.0.0.1:{self.port}{CONTENT}"

    def get(self, path, **kw):
        return requests.get(self.url + path, verify=kw.pop("verify", str(self.ca.pem)), timeout=DEADLINE,
                            headers={"Accept-Encoding": "identity", **kw.pop("headers", {})}, **kw)

    def context(self, version=None):
        c = ssl.create_default_context(cafile=str(self.ca.pem))
        if version:
            c.minimum_version = c.maximum_version = version
        return c

    def connect(self, context=None, name="127.0.0.1", session=None):
        raw = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        return (context or self.context()).wrap_socket(raw, server_hostname=name, session=session)

    def subject(self, name):
        """Of the certificate that is shown to whoever asks for `name`."""
        out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *name_args(name)],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE).stdout
        m = re.search(r"^subject=(.*)$", out, re.M)
        return m.group(1).replace(" ", "") if m else out

    def serial(self):
        context = self.context()
        context.check_hostname = False
        with self.connect(context) as s:
            return int(s.getpeercert()["serialNumber"], 16)


def name_args(name):
    return ["-servername", name] if name else ["-noservername"]


@pytest.fixture
def serve(start_sluice, upstream, ca, own):
    def start(*pairs, **env):
        server = start_sluice(env=tls_env(*(pairs or (own,)), **env), listen="127.0.0.1:0,https://127.0.0.1:0")
        upstream.add("/r/a.bin", SIZE)
        upstream.add("/r/b.bin", SIZE)
        server.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
        return Served(server, ca)
    return start


def ask(sock, path, close=False):
    """One request on a connection of our own: status and body."""
    sock.sendall(f"GET {CONTENT}{path} HTTP/1.1\r\nHost: t\r\n{'Connection: close' if close else 'X-Y: z'}\r\n\r\n".encode())
    return answer(sock)


def answer(sock):
    got = b""
    while b"\r\n\r\n" not in got:
        part = sock.recv(65536)
        assert part, f"the connection ended in the head: {got!r}"
        got += part
    head, body = got.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head).group(1))
    while len(body) < length:
        part = sock.recv(65536)
        assert part, f"the connection ended after {len(body)} of {length} bytes"
        body += part
    return int(head.split()[1]), body


# ---- the same content

def test_curl_gets_a_missing_file_and_the_saved_one(serve, upstream, tmp_path):
    s = serve()
    for i in range(2):
        out = tmp_path / f"out{i}"
        r = subprocess.run(["curl", "-sS", "--fail", "--cacert", str(s.ca.pem), "--connect-to", f"::127.0.0.1:{s.port}",
                            "-o", str(out), "-w", "%{http_code} %{ssl_verify_result} %{http_version}",
                            f"https://sluice.test{CONTENT}r/a.bin"], capture_output=True, text=True, timeout=DEADLINE)
        assert r.returncode == 0, r.stderr
        assert r.stdout == "200 0 1.1"
        assert hashlib.sha256(out.read_bytes()).hexdigest() == upstream.sha256("/r/a.bin")
        s.server.quiet()
    assert upstream.hits("/r/a.bin") == 1
    s.server.wait_log(r'method="GET" target="[^"]*r/a\.bin".* tls=TLSv1\.3', DEADLINE)
    assert s.server.metric("http_tls_handshakes") == 2
    assert s.server.metric("http_tls_expiry_seconds") > 1.7e9


def test_many_requests_on_one_connection(serve, upstream):
    s = serve()
    with requests.Session() as session:
        kw = {"verify": str(s.ca.pem), "timeout": DEADLINE}
        for _ in range(5):
            for path in ("a.bin", "b.bin"):
                got = session.get(s.url + "r/" + path, headers={"Accept-Encoding": "identity"}, **kw)
                assert hashlib.sha256(got.content).hexdigest() == upstream.sha256("/r/" + path)
        whole = session.get(s.url + "r/a.bin", **kw).content
        part = session.get(s.url + "r/a.bin", headers={"Range": "bytes=1000000-1000009"}, **kw)
        assert part.status_code == 206 and part.content == whole[1000000:1000010]
    assert s.server.metric("http_tls_handshakes") == 1


def test_wget_does_not_trust_a_stranger(serve, tmp_path):
    s = serve()
    url = f"https://localhost:{s.port}{CONTENT}r/a.bin"
    bad = subprocess.run(["wget", "-q", "--no-proxy", "-O", str(tmp_path / "x"), url], timeout=DEADLINE)
    assert bad.returncode == 5  # its code for TLS
    good = subprocess.run(["wget", "-q", "--no-proxy", "--ca-certificate", str(s.ca.pem), "-O", str(tmp_path / "x"), url],
                          timeout=DEADLINE)
    assert good.returncode == 0 and (tmp_path / "x").stat().st_size == SIZE


# ---- handshakes

def test_certificates_by_name(serve, ca, own):
    s = serve(own, ca.sign("one.test"), ca.sign("wild.test", "DNS:*.wild.test"))
    assert s.subject("one.test") == "CN=one.test"
    assert s.subject("x.wild.test") == "CN=wild.test"
    assert s.subject("unknown.test") == "CN=sluice.test"
    assert s.subject(None) == "CN=sluice.test"


def test_versions_and_protocols(serve):
    s = serve()
    where = ["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}"]

    def shake(*args):
        r = subprocess.run([*where, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE)
        m = re.search(r"New, (\S+), Cipher is (\S+)", r.stdout)
        return r, m.group(2) if m and m.group(2) != "(NONE)" else None
    for old in ("-tls1", "-tls1_1"):
        assert shake(old, "-cipher", "ALL@SECLEVEL=0")[1] is None
    assert "ECDHE" in shake("-tls1_2")[1]
    assert shake("-tls1_3")[1].startswith("TLS_")
    assert shake("-tls1_2", "-cipher", "AES128-SHA")[1] is None  # no forward secrecy
    r, _ = shake("-alpn", "h2,http/1.1")
    assert "ALPN protocol: http/1.1" in r.stdout
    wait_for("the failures to be counted", lambda: s.server.metric("http_tls_failures") >= 3, DEADLINE)


def test_sessions_are_resumed(serve):
    s = serve()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = s.context(version)
        with s.connect(context) as c:
            assert not c.session_reused
            ask(c, "r/a.bin")
            session = c.session
        before = s.server.metric("http_tls_resumed")
        for _ in range(4):
            with s.connect(context, session=session) as c:
                assert c.session_reused
                assert ask(c, "r/a.bin")[0] == 200
        assert s.server.metric("http_tls_resumed") == before + 4


def test_http_on_the_https_port(serve):
    s = serve()
    r = requests.get(f"http://127.0.0.1:{s.port}/", timeout=DEADLINE)
    assert r.status_code == 400 and "https" in r.text


def test_a_slow_handshake_is_ended(serve):
    s = serve(SLUICE_SERVER_HEADER_TIMEOUT=f"{int(500 * SLOW)}ms")
    with socket.create_connection(("127.0.0.1", s.port), DEADLINE) as c:
        c.sendall(b"\x16\x03\x01")
        assert c.recv(1) == b""
    assert s.server.metric("http_timeouts") == 1 and s.server.metric("http_tls_failures") == 1


def test_handshakes_are_bounded(serve):
    s = serve(SLUICE_SERVER_TLS_MAX_HANDSHAKES="2")
    asked = [s.server.metric("http_connections_accepted")]  # each look is a connection of its own
    held = [socket.create_connection(("127.0.0.1", s.port), DEADLINE) for _ in range(2)]

    def both_accepted():
        asked.append(s.server.metric("http_connections_accepted"))
        return asked[-1] - asked[0] - len(asked[1:]) >= 2 or None
    wait_for("both to be accepted", both_accepted, DEADLINE)
    late = in_thread(lambda: s.get("r/a.bin").status_code)
    s.server.wait_metric("http_tls_waits", lambda n: n >= 1, DEADLINE)
    assert s.server.metric("http_tls_handshakes") == 0
    for c in held:
        c.close()
    assert late() == 200


# ---- renewal

def renew(ca, own, serial):
    """The same names, another certificate in the same files, as an ACME client does it."""
    chain, key = ca.sign("renewed", "DNS:sluice.test", "DNS:localhost", "IP:127.0.0.1", serial=serial)
    for new, old in ((key, own[1]), (chain, own[0])):
        shutil.copyfile(new, f"{old}.new")
        os.chmod(f"{old}.new", 0o600)
        os.replace(f"{old}.new", old)


@pytest.fixture
def mine(ca):
    return ca.sign("mine", "DNS:sluice.test", "DNS:localhost", "IP:127.0.0.1", serial=100)


def test_reload_while_a_transfer_runs(serve, upstream, ca, mine):
    s = serve(mine, SLUICE_TASKS_WORKER_TTL="1h")  # it does not look by itself
    gate = upstream.gate()
    upstream.rule("/r/b.bin", gate_at=(MiB, gate))
    assert s.serial() == 100
    with s.connect() as c:
        c.sendall(f"GET {CONTENT}r/b.bin HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        gate.wait_reached(timeout=DEADLINE)
        renew(ca, mine, 200)
        assert s.serial() == 100
        s.server.proc.send_signal(signal.SIGHUP)
        wait_for("the new certificate", lambda: s.serial() == 200, DEADLINE)
        gate.open()
        status, body = answer(c)
        assert status == 200 and hashlib.sha256(body).hexdigest() == upstream.sha256("/r/b.bin")
        assert ask(c, "r/a.bin")[0] == 200  # and on
    # What cannot be used is said, by its name, and changes nothing.
    mine[0].write_text("no certificate")
    s.server.proc.send_signal(signal.SIGHUP)
    s.server.wait_log(r"not reloaded.*mine\.pem", DEADLINE)
    assert s.serial() == 200 and s.get("r/a.bin").status_code == 200


def test_files_that_change_are_reloaded(serve, ca, mine):
    s = serve(mine, SLUICE_TASKS_WORKER_TTL="1s")  # it looks at its files four times in that
    assert s.serial() == 100
    renew(ca, mine, 300)
    wait_for("the new certificate", lambda: s.serial() == 300, DEADLINE)


# ---- client certificates

def test_client_certificates_are_asked_for_and_not_judged(serve, tmp_path):
    s = serve(SLUICE_SERVER_TLS_CLIENT_CERTIFICATES="request")
    stranger = Authority(tmp_path / "other", "Other CA").sign("client")
    assert s.get("r/a.bin").status_code == 200
    assert s.get("r/a.bin", cert=tuple(map(str, stranger))).status_code == 200
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=DEADLINE).stdout
    assert "No client certificate CA names sent" in out and "Requested Signature Algorithms" in out


def test_client_certificates_are_verified(serve, ca, tmp_path):
    s = serve(SLUICE_SERVER_TLS_CLIENT_CERTIFICATES="verify", SLUICE_SERVER_TLS_CLIENT_CA=str(ca.pem))
    stranger = Authority(tmp_path / "other", "Other CA").sign("client")
    assert s.get("r/a.bin", cert=tuple(map(str, ca.sign("client")))).status_code == 200
    assert s.get("r/a.bin").status_code == 200  # whoever has none is the guards' business
    for bad in (stranger, ca.sign("late", expired=True)):
        with pytest.raises(requests.exceptions.ConnectionError):
            s.get("r/a.bin", cert=tuple(map(str, bad)))
    s.server.wait_log(r"TLS handshake with \S+ failed: client certificate: ", DEADLINE)


def test_guards_judge_the_certificate_of_the_connection(serve, ca, tmp_path):
    s = serve(SLUICE_SERVER_TLS_CLIENT_CERTIFICATES="request", SLUICE_SERVER_TRUSTED_PROXIES="")
    api = s.server.api
    guard = api.do("POST", "contentguards/certguard/x509/", name="x", ca_certificate=ca.pem.read_text())
    api.do("PATCH", api.find("distributions/file/file/", "r")["pulp_href"], content_guard=guard["pulp_href"])
    good, stranger = ca.sign("client"), Authority(tmp_path / "other", "Other CA").sign("client")
    late = ca.sign("late", expired=True)
    field = {"X-CLIENT-CERT": good[0].read_text().replace("\n", " ").strip()}

    def status(cert, path="r/a.bin", headers=()):
        return s.get(path, cert=cert and tuple(map(str, cert)), headers=dict(headers)).status_code
    for path in ("r/a.bin", "r/none"):
        assert status(None, path) == status(stranger, path) == status(late, path) == 403
    assert status(None, headers=field) == status(stranger, headers=field) == 403  # nobody's word is taken
    assert status(good) == status(good) == 200 and status(good, "r/none") == 404
    # a resumed session is the same client
    context = s.context()
    context.load_cert_chain(*map(str, good))
    with s.connect(context) as c:
        assert ask(c, "r/a.bin")[0] == 200
        session = c.session
    with s.connect(context, session=session) as c:
        assert c.session_reused and ask(c, "r/a.bin")[0] == 200
        # revoked: from then on, on the connection that was let pass, too; and the list can be renewed
        for serials, answers in (((7,), 200), ((7, 2), 403), ((), 200)):
            api.do("PATCH", guard["pulp_href"], crl=ca.revoke(*serials))
            c.sendall(f"GET {CONTENT}r/a.bin HTTP/1.1\r\nHost: t\r\nRange: bytes=0-0\r\n\r\n".encode())
            assert answer(c)[0] == (206 if answers == 200 else 403)


# ---- the command line, and what stops the start

def test_the_command_line_over_tls_alone(start_sluice, own, ca, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.pem))
    s = start_sluice(env=tls_env(own), listen="https://127.0.0.1:0")
    assert s.base.startswith("https://")
    told = json.loads((s.data / "client.json").read_text())
    assert told["url"] == f"https://sluice.test:{s.port}"
    assert "content" in s.cli("status").stdout


@pytest.mark.parametrize("what, says", [
    ("readable", r"bad\.key.*mode is 0644.*chmod"),
    ("mismatch", r"bad\.key.*is not that of certificate"),
    ("no-pem", r"bad\.pem.*none in it"),
    ("absent", r"absent\.pem.*No such file"),
    ("none", r"https://127\.0\.0\.1:0.*no certificate"),
    ("relative", r"tls_certificates.*'a\.pem' is not /CHAIN"),
    ("authorities", r"no file of authorities"),
])
def test_what_stops_the_start(what, says, ca, own, tmp_path):
    chain, key = ca.sign("bad")
    env = dict(os.environ)
    pairs = [(chain, key)]
    if what == "readable":
        key.chmod(0o644)
    elif what == "mismatch":
        key.write_text(own[1].read_text())
    elif what == "no-pem":
        chain.write_text("no certificate\n")
    elif what == "absent":
        pairs = [(chain.with_name("absent.pem"), key)]
    env.update(tls_env(*pairs))
    if what == "none":
        env["SLUICE_SERVER_TLS_CERTIFICATES"] = ""
    elif what == "relative":
        env["SLUICE_SERVER_TLS_CERTIFICATES"] = "a.pem"
    elif what == "authorities":
        env["SLUICE_SERVER_TLS_CLIENT_CERTIFICATES"] = "verify"
    r = subprocess.run([str(BINARY), "serve", "--data", str(tmp_path / "data"), "--listen", "https://127.0.0.1:0"], env=env,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode in (1, 2)
    assert re.search(says, r.stderr), r.stderr


def test_an_expired_certificate_is_reported(serve, ca):
    s = serve(ca.sign("old", "DNS:sluice.test", "IP:127.0.0.1", expired=True))
    assert re.search(r"ERROR.*certificate '.*old\.pem.*' expired on", s.server.log())
    assert s.server.metric("http_tls_expiry_seconds") > 0
    with pytest.raises(requests.exceptions.SSLError):
        s.get("r/a.bin")
